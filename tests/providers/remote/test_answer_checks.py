"""Is an answer a reading of the page: loops, too much text, nothing where there is print."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from providers.answer_checks import accepted, loop, page_fault, text_fault
from providers.errors import BadOutput
from providers.leaves import Raster
from providers.prices import Usage
from providers.queues import provider_queues
from providers.remote_image import Engine, PageImage
from schemas.reading import Line, PageReading, Word
from tests.providers.reading_helpers import sample

ROW = provider_queues()["mistral"]
SAMPLE = Path(__file__).parents[3] / "samples" / "a-day-at-a-time-scan.pdf"
AREA = 396.0 * 612.0


def reading(text: str) -> PageReading:
    lines = [Line([Word(word, (0, 0, 396, 612)) for word in row.split()]) for row in text.splitlines()]
    return PageReading("mistral", 396, 612, lines, model="mistral-ocr-4-1")


def bare(brightness: int) -> PageImage:
    look = Raster(np.full((850, 550), brightness, dtype=np.uint8), 396, 612, 100)
    return PageImage(b"", "image/png", 550, 850, look)


@pytest.fixture(scope="module")
def printed() -> PageImage:
    return Engine(7_000_000, 4000)((str(SAMPLE), "pdf", 4, "", ""))


class TestLoops:
    @pytest.mark.parametrize(
        "unit", ["the old man", "and so on and", "he said that it was late when the doctor came again"]
    )
    def test_a_phrase_over_and_over(self, unit: str) -> None:
        words = f"Before it there is some text of the page. {' '.join([unit] * 30)}".split()
        found = loop(words)
        assert found is not None
        assert found[1] >= 29

    def test_a_cut_off_repetition_at_the_end(self) -> None:
        assert loop(["so", "it", "goes"] * 20 + ["so"]) is not None

    @pytest.mark.parametrize(
        "text",
        [
            "0 0 0 0 " * 50,  # a table of zeros
            "12 7 12 7 " * 40,
            "ditto " * 30,  # a list
            "row row row your boat gently down the stream merrily merrily merrily merrily life is but a dream " * 3,
            "",
            "one",
        ],
    )
    def test_what_books_do_is_none(self, text: str) -> None:
        assert loop(text.split()) is None


class TestText:
    def test_more_than_the_page_has_room_for(self) -> None:
        assert "has room or print for" in text_fault("words and words, all of them other " * 2000, AREA)

    def test_more_than_there_is_print(self) -> None:
        text = " ".join(f"invented{n}" for n in range(400))
        assert text_fault(text, AREA) == ""
        assert "room or print" in text_fault(text, AREA, print_lines=1)
        assert text_fault(text, AREA, print_lines=30) == ""


class TestPage:
    def test_empty_where_there_is_print(self, printed: PageImage) -> None:
        assert "it is empty" in page_fault(reading(""), printed)

    @pytest.mark.parametrize("brightness", [255, 0])
    def test_empty_where_there_is_none(self, brightness: int) -> None:
        assert page_fault(reading(""), bare(brightness)) == ""

    def test_text_on_bare_paper(self) -> None:
        text = " ".join(f"invented{n}" for n in range(400))
        assert "room or print" in page_fault(reading(text), bare(255))
        assert page_fault(reading(text), bare(20)) == "", "white on black: lines cannot be counted"
        assert page_fault(reading("a stamp"), bare(255)) == ""

    def test_real_pages_pass(self) -> None:
        for _, page in sample("tesseract"):
            assert text_fault(page.text, page.width * page.height) == ""

    def test_what_fails_is_paid(self, printed: PageImage) -> None:
        page = reading("the old man\n" * 60)
        with pytest.raises(BadOutput, match="page 3 of b is no reading of it: it repeats") as bad:
            accepted(ROW, page, printed, Usage(pages=1), b"raw", "page 3 of b")
        assert (bad.value.cost_usd, bad.value.raw, bad.value.model) == (0.004, b"raw", "mistral-ocr-4-1")

    def test_what_passes_is_the_response(self, printed: PageImage) -> None:
        page = replace(reading("Some text of the page"), model="mistral-ocr-4-1-0716")
        response = accepted(ROW, page, printed, Usage(pages=1), b"raw", "page 3 of b")
        assert (response.value, response.usage.pages, response.model, response.raw) == (page, 1, page.model, b"raw")
