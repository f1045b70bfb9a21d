"""Numbers that stand alone at the edges of a page: found beside what was recognised, and read."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from providers.edge_marks import MOST, lone_marks
from providers.leaves import Raster
from providers.source import LeafSource
from providers.tesseract import TesseractProvider
from schemas.reading import Line, Word

DPI = 200
WIDE, HIGH = 1200, 1800
POINT = 72 / DPI


def picture() -> tuple[Image.Image, ImageDraw.ImageDraw]:
    """A page of 6 by 9 inches with five lines of text in its middle."""
    image = Image.new("L", (WIDE, HIGH), 250)
    draw = ImageDraw.Draw(image)
    for row in range(5):
        draw.text((150, 700 + 60 * row), "and so it was that the people of the town", 0, ImageFont.load_default(34))
    return image, draw


def lines() -> list[Line]:
    """What an engine has recognised of it."""
    return [
        Line([Word("text", (150 * POINT, (700 + 60 * row) * POINT, 900 * POINT, (740 + 60 * row) * POINT), 96.0)])
        for row in range(5)
    ]


def raster(image: Image.Image) -> Raster:
    return Raster(np.asarray(image), WIDE * POINT, HIGH * POINT, DPI)


def test_a_number_at_the_foot_is_a_mark_and_text_is_none() -> None:
    image, draw = picture()
    assert lone_marks(raster(image), lines()) == []
    draw.text((590, 1700), "7", 0, ImageFont.load_default(34))
    (mark,) = lone_marks(raster(image), lines())
    x0, y0, x1, y1 = mark.box
    assert 580 < x0 < x1 < 620
    assert 1690 < y0 < y1 < 1750
    assert mark.pixels.max() > 240, "dark on light, with paper around"


def test_a_number_in_a_dark_tab_is_turned_dark_on_light() -> None:
    image, draw = picture()
    draw.rectangle((1130, 10, 1199, 80), fill=90)
    draw.text((1155, 25), "3", 255, ImageFont.load_default(34))
    (mark,) = lone_marks(raster(image), lines())
    assert float(np.median(mark.pixels)) > 150
    assert 1150 < mark.box[0] < mark.box[2] < 1185


def test_a_tab_without_anything_in_it_and_what_was_recognised_are_none() -> None:
    image, draw = picture()
    draw.rectangle((1130, 10, 1199, 80), fill=90)
    assert lone_marks(raster(image), lines()) == []
    image, draw = picture()
    draw.text((590, 1700), "7", 0, ImageFont.load_default(34))
    known = Line([Word("7", (590 * POINT, 1700 * POINT, 612 * POINT, 1740 * POINT), 96.0)])
    assert lone_marks(raster(image), [*lines(), known]) == []


def test_dirt_borders_and_pictures_are_none() -> None:
    image, draw = picture()
    draw.rectangle((0, 0, 30, HIGH), fill=0)
    draw.rectangle((200, 20, 1000, 160), fill=60)
    for n in range(40):
        draw.point((100 + 25 * n, 1720 + n % 7 * 5), fill=0)
    assert lone_marks(raster(image), lines()) == []


def test_more_marks_than_a_page_has_numbers_are_dirt() -> None:
    image, draw = picture()
    for n in range(MOST + 1):
        draw.text((100 + 250 * n, 1700), "7", 0, ImageFont.load_default(34))
    assert lone_marks(raster(image), lines()) == []


@pytest.mark.parametrize("tab", [False, True])
async def test_tesseract_reads_the_number_that_its_layout_analysis_loses(tmp_path: Path, tab: bool) -> None:
    image, draw = picture()
    if tab:
        draw.rectangle((1120, 8, 1199, 84), fill=90)
    draw.text((1145, 25), "14", 255 if tab else 0, ImageFont.load_default(34))
    image.save(tmp_path / "page.png", dpi=(DPI, DPI))
    provider = TesseractProvider(1)
    try:
        leaf = LeafSource(path=str(tmp_path / "page.png"), kind="image", index=0, page=1, book="tab")
        page = (await provider.read(leaf, "eng", 120)).page
    finally:
        await provider.close()
    (number,) = [word for word in page.words if word.text == "14"]
    assert number.box[0] > 0.9 * page.width
    assert number.box[3] < 0.1 * page.height
    assert len(page.lines) == 6
