"""Preparing images: what is decided on good and on spoiled scans, and what engines then read."""

from __future__ import annotations

import dataclasses
import functools
import io
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from rapidfuzz.distance import Levenshtein

from providers import pages
from providers.errors import Rejected
from providers.image_steps import ImageSteps, apply, effect, sentences, turn_words, upright_size
from providers.leaves import Raster
from providers.looking import look_at
from providers.tesseract import Engine
from schemas.reading import Line, PageReading, Word
from tests.providers.page_faults import (
    askew_on_black,
    beside,
    bordered,
    foxed,
    in_gray,
    punched,
    shown_through,
    skewed,
    specked,
    with_finger,
)
from tests.providers.reading_helpers import ROOT, sample_truth

SAMPLE = ROOT / "samples" / "a-day-at-a-time-scan.pdf"
Gray = NDArray[Any]


@functools.cache
def scan(page: int) -> Gray:
    """A page of the sample, at 300 dpi."""
    return pages.render(SAMPLE, "pdf", page - 1).pixels


@functools.cache
def tesseract() -> Engine:
    return Engine()


def file(folder: Path, pixels: Gray) -> Path:
    path = folder / "page.tif"
    Image.fromarray(pixels).save(path, dpi=(300, 300))
    return path


def decided(folder: Path, pixels: Gray) -> ImageSteps:
    return look_at(file(folder, pixels), "image", 0)


def read(folder: Path, pixels: Gray, steps: ImageSteps | None = None) -> PageReading:
    path = file(folder, pixels)
    steps = look_at(path, "image", 0) if steps is None else steps
    return PageReading.from_json(tesseract()((str(path), "image", 0, "", steps.to_json(), "eng")))


def words(text: str) -> list[str]:
    return re.findall(r"\w+", text.replace("\u00ad\n", "").lower())


def wrong(reading: PageReading, page: int) -> int:
    """Words by which a reading differs from what the sample's page says."""
    return Levenshtein.distance(words(sample_truth()["pages"][page - 1]["text"]), words(reading.text))


def contents_with_leaders() -> Gray:
    """A page of contents whose dots stand in columns, as TeX sets them."""
    import pymupdf

    with pymupdf.open() as document:
        page = document.new_page(width=612, height=792)
        titles = (
            "Fonts",
            "Text on paths",
            "Images",
            "Reading",
            "The display list",
            "Pens",
            "Output",
            "Paths and clips",
        )
        for row in range(42):
            y, title = 90 + 15.5 * row, f"{row // 5 + 1}.{row % 5 + 1}   {titles[row * 5 % 8]}"
            page.insert_text((90 + 15 * (row % 5 > 0), y), title, fontsize=10)
            for column in range(28 + row * 7 % 5, 63):
                page.insert_text((72 + 6.5 * column, y), ".", fontsize=10)
            page.insert_text((500, y), str(20 + 3 * row), fontsize=10)
        pixmap = page.get_pixmap(dpi=300, colorspace=pymupdf.csGRAY, alpha=False)
    return np.frombuffer(pixmap.samples, np.uint8).reshape(pixmap.height, pixmap.width)


class TestOrientation:
    @pytest.mark.slow
    def test_every_page_of_a_book_is_turned_upright(self, tmp_path: Path) -> None:
        for page in range(3, 27):
            turn = (90, 180, 270)[page % 3]
            lying = np.ascontiguousarray(np.rot90(scan(page), turn // 90))
            assert decided(tmp_path, lying).orientation == turn, f"page {page}"

    @pytest.mark.parametrize("turn", [90, 180, 270])
    def test_pages_are_turned_upright(self, tmp_path: Path, turn: int) -> None:
        page = {90: 3, 180: 11, 270: 22}[turn]  # a contents page, a chapter's beginning, running text
        assert decided(tmp_path, np.ascontiguousarray(np.rot90(scan(page), turn // 90))).orientation == turn

    def test_a_page_of_few_words_is_left_alone_or_right(self, tmp_path: Path) -> None:
        for page in (1, 2):
            for turn in (0, 180):
                assert decided(tmp_path, np.ascontiguousarray(np.rot90(scan(page), turn // 90))).orientation in (
                    0,
                    turn,
                )

    def test_capitals_and_digits_alone_turn_nothing(self, tmp_path: Path) -> None:
        sheet = np.full((2550, 1650), 255, np.uint8)
        import cv2

        for row, text in enumerate(("THE WHOLE HISTORY", "OF THE TOWN", "IN TWO VOLUMES", "1893")):
            cv2.putText(sheet, text, (250, 500 + 300 * row), cv2.FONT_HERSHEY_SIMPLEX, 3, 0, 8)
        assert decided(tmp_path, sheet).orientation == 0

    def test_leaders_below_each_other_turn_nothing(self, tmp_path: Path) -> None:
        upright = contents_with_leaders()
        assert decided(tmp_path, upright).orientation == 0
        assert decided(tmp_path, np.ascontiguousarray(np.rot90(upright, 2))).orientation == 180

    def test_a_sideways_page_reads_like_the_upright_one(self, tmp_path: Path) -> None:
        for page, turn in ((5, 90), (8, 180)):
            reading = read(tmp_path, np.ascontiguousarray(np.rot90(scan(page), turn // 90)))
            assert wrong(reading, page) <= wrong(read(tmp_path, scan(page), ImageSteps()), page) + 1
            assert (reading.width, reading.height) == pytest.approx((396, 612), abs=1)

    def test_a_skewed_and_sideways_page(self, tmp_path: Path) -> None:
        lying = np.ascontiguousarray(np.rot90(skewed(scan(14), 2.0), 3))
        steps = decided(tmp_path, lying)
        assert steps.orientation == 270
        assert steps.skew == pytest.approx(2.2, abs=0.15)  # the scan itself leans by 0.2


class TestSkew:
    @pytest.mark.parametrize("page", [4, 7, 11, 16, 22])
    def test_is_found_to_a_sixth_of_a_degree(self, tmp_path: Path, page: int) -> None:
        leans = {4: 0.15, 7: 0.04, 11: -0.04, 16: -0.03, 22: -0.04}[page]  # of the scan itself
        for degrees in (-5.0, -1.3, -0.7, 0.8, 3.0, 5.0):
            found = decided(tmp_path, skewed(scan(page), degrees)).skew
            assert found == pytest.approx(degrees + leans, abs=0.15)

    def test_a_page_that_is_straight_or_almost_is_left_alone(self, tmp_path: Path) -> None:
        for page in range(1, 27):
            assert decided(tmp_path, scan(page)) == ImageSteps(), f"page {page}"

    def test_a_skewed_page_reads_like_the_straight_one(self, tmp_path: Path) -> None:
        for page, degrees in ((5, 5.0), (9, -3.0)):
            straight = wrong(read(tmp_path, scan(page), ImageSteps()), page)
            spoiled = skewed(scan(page), degrees)
            assert wrong(read(tmp_path, spoiled), page) <= straight + 2
            assert degrees < 5 or wrong(read(tmp_path, spoiled, ImageSteps()), page) > 50  # as it would be without

    def test_boxes_lie_on_the_ink_of_the_skewed_page(self, tmp_path: Path) -> None:
        degrees = 4.0
        straight = read(tmp_path, scan(22), ImageSteps())
        found = {}
        for word in read(tmp_path, skewed(scan(22), degrees)).words:
            found.setdefault(word.text, []).append(word.box)
        angle, near = np.radians(degrees), 0
        for word in straight.words:
            x, y = (word.box[0] + word.box[2]) / 2 - 198, (word.box[1] + word.box[3]) / 2 - 306
            x, y = x * np.cos(angle) - y * np.sin(angle) + 198, x * np.sin(angle) + y * np.cos(angle) + 306
            for box in found.get(word.text, []):
                if abs((box[0] + box[2]) / 2 - x) < 3 and abs((box[1] + box[3]) / 2 - y) < 3:
                    assert box[2] - box[0] == pytest.approx(word.box[2] - word.box[0], abs=3)
                    near += 1
                    break
        assert near >= 0.95 * len(straight.words)


class TestEdges:
    def covered(self, steps: ImageSteps, pixels: Gray) -> Gray:
        """Where something is masked."""
        # Paper is white: what is covered loses its black stripes.
        checks = ((np.indices(pixels.shape).sum(0) // 3) % 2 * 255).astype(np.uint8)
        shown = apply(Raster(checks, 100, 100, 300), ImageSteps(masks=steps.masks)).pixels
        return (shown == 255) & (checks == 0) if steps.masks else np.zeros(pixels.shape, bool)

    @pytest.mark.parametrize("gray", [False, True])
    def test_black_edges_are_covered_and_the_page_is_not(self, tmp_path: Path, gray: bool) -> None:
        sheet = in_gray(scan(7)) if gray else scan(7)
        framed = bordered(sheet)
        covered = self.covered(decided(tmp_path, framed), framed)
        inside = covered[40:-30, 60:-90]
        assert covered.sum() - inside.sum() > 0.97 * (covered.size - inside.size) / 2
        assert not inside[30:-30, 30:-30].any()

    def test_wedges_beside_a_sheet_that_lay_askew(self, tmp_path: Path) -> None:
        spoiled = askew_on_black(scan(7), -3.0)
        assert wrong(read(tmp_path, spoiled), 7) <= wrong(read(tmp_path, scan(7), ImageSteps()), 7) + 2

    def test_fingers_holes_and_the_facing_page_give_no_words(self, tmp_path: Path) -> None:
        page = scan(11)  # a chapter's beginning: half of it is empty
        clean = wrong(read(tmp_path, page, ImageSteps()), 11)
        for spoiled in (
            with_finger(in_gray(page)),
            with_finger(in_gray(page), left=False, at=0.8, skin=90),
            punched(page),
            bordered(page, 20, 0, 14, 9),
        ):
            steps = decided(tmp_path, spoiled)
            assert steps.masks
            assert wrong(read(tmp_path, spoiled, steps), 11) <= clean + 1
        strip = beside(scan(5), scan(6))
        assert wrong(read(tmp_path, strip), 5) <= wrong(read(tmp_path, scan(5), ImageSteps()), 5) + 1

    def test_what_is_printed_near_the_edge_stays(self, tmp_path: Path) -> None:
        """Numbers, marginalia and catchwords, also under a black border and in a black tab."""
        import cv2

        sheet = scan(7).copy()
        for x, y, text in ((12, 60, "123"), (1560, 1200, "b"), (1480, 2530, "which"), (20, 1500, "Gen. 4")):
            cv2.putText(sheet, text, (x, y), cv2.FONT_HERSHEY_SIMPLEX, 1.1, 0, 3)
        sheet[900:1010, 1560:] = 20
        cv2.putText(sheet, "17", (1575, 980), cv2.FONT_HERSHEY_SIMPLEX, 1.4, 255, 4)
        for spoiled, (x, y) in ((sheet, (0, 0)), (bordered(sheet), (60, 40)), (in_gray(sheet), (0, 0))):
            covered = self.covered(decided(tmp_path, spoiled), spoiled)[y : y + 2550, x : x + 1650]
            for region in (np.s_[25:75, 10:90], np.s_[1150:1210, 1550:1600], np.s_[2490:2545, 1470:1600]):
                assert not covered[region][sheet[region] < 128].any()
            assert not covered[1460:1510, 15:150].any()
            if spoiled is sheet:
                assert not covered[900:1010, 1565:].any()

    def test_a_plate_that_bleeds_to_the_edge_is_no_border(self, tmp_path: Path) -> None:
        plate = scan(7).copy()
        shades = np.random.default_rng(6).integers(60, 190, (40, 34), dtype=np.uint8)
        plate[:1200] = np.asarray(Image.fromarray(shades).resize((plate.shape[1], 1200), Image.Resampling.BICUBIC))
        assert not decided(tmp_path, plate).masks
        assert not decided(tmp_path, plate).blank


class TestBlank:
    EMPTY = np.full((2550, 1650), 255, np.uint8)

    @pytest.mark.parametrize(
        "sheet",
        [
            EMPTY,
            in_gray(EMPTY, noise=10),
            specked(EMPTY),
            foxed(in_gray(EMPTY)),
            bordered(in_gray(EMPTY)),
            with_finger(in_gray(EMPTY)),
        ],
        ids=["white", "gray", "specks", "foxing", "border", "finger"],
    )
    def test_an_empty_sheet_is_blank_whatever_its_state(self, tmp_path: Path, sheet: Gray) -> None:
        assert decided(tmp_path, sheet).blank

    def test_the_page_behind_is_no_text(self, tmp_path: Path) -> None:
        for page, strength in ((5, 0.1), (9, 0.2), (22, 0.3)):
            assert decided(tmp_path, shown_through(scan(page), strength)).blank

    def test_a_page_number_alone_is_not_blank(self, tmp_path: Path) -> None:
        import cv2

        sheet = self.EMPTY.copy()
        cv2.putText(sheet, "7", (800, 2400), cv2.FONT_HERSHEY_SIMPLEX, 1.0, 0, 3)
        for spoiled in (sheet, in_gray(sheet), in_gray(sheet, ink=120), bordered(in_gray(sheet))):
            assert not decided(tmp_path, spoiled).blank

    def test_faded_print_is_not_blank(self, tmp_path: Path) -> None:
        assert not decided(tmp_path, in_gray(scan(5), ink=175)).blank

    def test_pages_with_little_on_them_are_not_blank(self, tmp_path: Path) -> None:
        assert not any(decided(tmp_path, in_gray(scan(page))).blank for page in (1, 2, 3, 11, 19))


class TestSteps:
    STEPS = ImageSteps(90, -1.25, (((0.0, 0.0), (0.1, 0.0), (0.1, 1.0), (0.0, 1.0)),), why={"skew": "the lines lean"})

    def test_json_and_back(self) -> None:
        assert ImageSteps.from_json(self.STEPS.to_json()) == self.STEPS
        assert ImageSteps().to_json() == ""
        assert ImageSteps.from_json("") == ImageSteps.from_json(None) == ImageSteps()

    def test_sentences_change_no_fingerprint(self) -> None:
        assert effect(self.STEPS.to_json()) == dataclasses.replace(self.STEPS, why={}).to_json()

    def test_sentences(self) -> None:
        said = sentences(self.STEPS.to_json())
        assert said["orientation"] == "turned 90° clockwise"
        assert said["skew"] == "straightened by 1.25° clockwise: the lines lean"
        assert said["masks"] == "1 part of the edge covered"

    @pytest.mark.parametrize("body", ["{", "[]", '{"orientation": 45}', '{"skew": 99}', '{"masks": [1]}'])
    def test_what_is_no_step_is_refused(self, body: str) -> None:
        with pytest.raises(Rejected, match="not the steps"):
            ImageSteps.from_json(body)

    def test_without_steps_the_raster_is_the_same(self) -> None:
        raster = pages.render(SAMPLE, "pdf", 4)
        assert apply(raster, ImageSteps()) is raster

    def test_steps_change_neither_the_file_nor_the_raster(self, tmp_path: Path) -> None:
        path = file(tmp_path, scan(5))
        before = path.read_bytes()
        raster = pages.render(path, "image", 0)
        kept = raster.pixels.copy()
        apply(raster, self.STEPS)
        assert np.array_equal(raster.pixels, kept)
        assert path.read_bytes() == before

    @pytest.mark.parametrize("turn", [90, 180, 270])
    def test_a_text_layer_is_turned_with_its_page(self, turn: int) -> None:
        reading = PageReading("text-layer", 400, 600, [Line([Word("a", (10, 20, 50, 30))])])
        turned = turn_words(reading, turn)
        assert (turned.width, turned.height) == upright_size(400, 600, turn)
        assert (
            turned.words[0].box
            == {
                90: (570, 10, 580, 50),
                180: (350, 570, 390, 580),
                270: (20, 350, 30, 390),
            }[turn]
        )

    def test_png_is_upright(self) -> None:
        shown = {
            turn: Image.open(io.BytesIO(pages.png(SAMPLE, "pdf", 4, 50, "", turn))).convert("L") for turn in (0, 90)
        }
        assert shown[90].size == shown[0].size[::-1]
        back = np.asarray(shown[90].rotate(90, expand=True), dtype=int)
        assert np.abs(back - np.asarray(shown[0], dtype=int)).mean() < 12

    def test_a_page_that_was_set_is_not_looked_at(self, tmp_path: Path) -> None:
        from providers.pdf import engine

        document = pages.mupdf_library().open()
        page = document.new_page(width=396, height=612)
        page.insert_textbox((50, 50, 346, 560), "The quick brown fox jumps over the lazy dog. " * 30, rotate=90)
        document.save(tmp_path / "set.pdf")
        facts = engine()(("leaf", str(tmp_path / "set.pdf"), "pdf", 0, "", True, None))
        assert facts["text_layer"] == "good"
        assert facts["image_steps"] is None
