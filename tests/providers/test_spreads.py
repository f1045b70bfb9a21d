"""Scans of two pages, made of real pages, and landscape pages that must stay whole."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from providers import pages, spreads
from tests.providers import spread_pages as made
from tests.providers.spread_pages import TEXT_PAGES, gray, page, spread

NEAR = 0.012
"""Of the width; the inner margin of the sample is 6 %."""


def pdf_of(path: Path, images: list[Image.Image]) -> Path:
    """A PDF of scans at 150 dpi."""
    document = pages.mupdf_library().open()
    for image in images:
        body = io.BytesIO()
        image.save(body, "PNG")
        sheet = document.new_page(width=image.width * 72 / made.DPI, height=image.height * 72 / made.DPI)
        sheet.insert_image(sheet.rect, stream=body.getvalue())
    document.save(path)
    return path


@pytest.mark.parametrize(
    "how",
    [
        {},
        {"shadow": 0.0, "fold": False},
        {"shadow": 0.8},
        {"slant": -2.0},
        {"slant": 1.2},
        {"cut": (80, 0, 0, 0)},
        {"cut": (0, 0, 60, 90), "fold": False, "shadow": 0.3},
        {"cut": (0, 50, 50, 0), "shadow": 0.7},
        {"cut": (70, 0, 0, 0), "slant": 1.0},
    ],
)
@pytest.mark.parametrize("first", TEXT_PAGES[:4:2])
def test_a_spread_is_found_with_its_gutter(how: dict[str, object], first: int) -> None:
    image, gutter = spread(page(first), page(first + 1), seed=first, **how)  # type: ignore[arg-type]
    found = spreads.look(gray(image, spreads.LOOK_HEIGHT))
    assert found.sure, found.why
    assert found.at == pytest.approx(gutter, abs=NEAR)


@pytest.mark.parametrize(
    "image",
    [
        made.wide_page,
        made.two_columns,
        lambda: made.two_columns(gap=100, margin=120),
        lambda: made.two_columns(title=True),
        lambda: made.two_columns(rule=True),
        lambda: made.table(rules=False),
        lambda: made.table(rules=True),
        made.plate,
        made.slide,
        made.centred,
        lambda: made.sideways(TEXT_PAGES[0]),
        lambda: made.sideways(TEXT_PAGES[1]),
        lambda: Image.new("L", (1650, 1275), 240),
    ],
)
def test_other_landscape_pages_stay_whole(image: Callable[[], Image.Image]) -> None:
    found = spreads.look(gray(image(), spreads.LOOK_HEIGHT))
    assert not found.sure, found.why
    assert found.why


def test_a_blank_page_beside_a_text_is_known_by_the_other_spreads(tmp_path: Path) -> None:
    two = [spread(page(number), page(number + 1), seed=number)[0] for number in TEXT_PAGES[:4:2]]
    half = spread(page(TEXT_PAGES[4]), made.blank())[0]
    plate = made.plate().resize(half.size)
    path = pdf_of(tmp_path / "scan.pdf", [*two, half, plate, page(TEXT_PAGES[0])])
    decided = spreads.decide([(path, "pdf", 5)])
    assert [(index, at is not None) for _, index, at, _ in decided] == [(0, True), (1, True), (2, True), (3, False)]
    assert "of the other spreads" in decided[2][3]
    assert decided[3][3] == "landscape, not split: print or a picture crosses the middle"
    alone = spreads.decide([(pdf_of(tmp_path / "half.pdf", [half]), "pdf", 1)])
    assert alone[0][2] is None, "without others nobody knows"


def test_always_splits_every_landscape_page_and_no_other(tmp_path: Path) -> None:
    path = pdf_of(tmp_path / "scan.pdf", [made.wide_page(), page(TEXT_PAGES[0])])
    assert [(index, at) for _, index, at, _ in spreads.decide([(path, "pdf", 2)], always=True)] == [(0, 0.5)]


def test_a_born_digital_landscape_page_is_not_looked_at(tmp_path: Path) -> None:
    document = pages.mupdf_library().open()
    for _ in range(2):
        sheet = document.new_page(width=960, height=540)
        for left in (60, 520):
            for number in range(30):
                sheet.insert_text((left, 40 + 16 * number), "words of a page that was set, not scanned", fontsize=10)
    document.save(tmp_path / "set.pdf")
    assert spreads.decide([(tmp_path / "set.pdf", "pdf", 2)]) == []
    assert len(spreads.decide([(tmp_path / "set.pdf", "pdf", 2)], always=True)) == 2


def test_images_are_looked_at_as_well(tmp_path: Path) -> None:
    image, gutter = spread(page(TEXT_PAGES[2]), page(TEXT_PAGES[3]))
    image.save(tmp_path / "1.png", dpi=(150, 150))
    page(TEXT_PAGES[0]).save(tmp_path / "2.png")
    files = [(tmp_path / "1.png", "image", 1), (tmp_path / "2.png", "image", 1)]
    ((part, index, at, why),) = spreads.decide(files)
    assert (part, index) == (0, 0)
    assert at == pytest.approx(gutter, abs=NEAR)
    assert why.startswith("of page 1 of 1.png, split at ")


def test_the_halves_of_a_page_have_their_own_geometry_hash_and_text(tmp_path: Path) -> None:
    document = pages.mupdf_library().open()
    sheet = document.new_page(width=800, height=600)
    sheet.insert_text((50, 100), "left words")
    sheet.insert_text((500, 100), "right words")
    document.save(tmp_path / "two.pdf")
    whole = pages.leaf_facts(tmp_path / "two.pdf", "pdf", 0)
    left = pages.leaf_facts(tmp_path / "two.pdf", "pdf", 0, "0,0,0.45,1")
    right = pages.leaf_facts(tmp_path / "two.pdf", "pdf", 0, "0.45,0,1,1")
    assert [(facts.width, facts.height) for facts in (whole, left, right)] == [
        (800, 600),
        (pytest.approx(360), 600),
        (pytest.approx(440), 600),
    ]
    assert len({facts.image_hash for facts in (whole, left, right)}) == 3
    readings = [pages.text_layer_reading(tmp_path / "two.pdf", 0, region) for region in ("0,0,0.45,1", "0.45,0,1,1")]
    assert [reading.text for reading in readings] == ["left words", "right words"]
    assert readings[1].words[0].box[0] == pytest.approx(140, abs=1)
