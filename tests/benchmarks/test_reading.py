"""The benchmark's pipeline on stored readings of the sample, its cache of readings, and its criteria."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from benchmarks.pipeline import process
from benchmarks.reading import Copy, Result, Verdict, _spread, each, samples, verdicts
from benchmarks.readings import EngineReading, Look, PageImage, Reader, ReadingCache
from books.evaluation import load_truth, score_book
from books.evaluation.text import TextScore, score_text
from providers.image_steps import ImageSteps
from providers.tesseract import TesseractProvider
from tests.providers.reading_helpers import ROOT, line, page, sample

SAMPLE = str(ROOT / "samples/a-day-at-a-time-scan.pdf")
IMAGES = [PageImage(SAMPLE, index) for index in range(26)]


class Stored(Reader):
    """Answers with the readings in tests/data; a page by Tesseract costs one second, by RapidOCR seven."""

    def __init__(self) -> None:
        self.pages = {name: dict(sample(name)) for name in ("tesseract", "rapidocr")}

    async def read_all(self, engine: str, images: Iterable[PageImage]) -> dict[PageImage, EngineReading]:
        seconds = {"tesseract": 1.0, "rapidocr": 7.0}[engine]
        return {image: EngineReading(self.pages[engine][image.number], seconds) for image in images}

    async def look(self, image: PageImage) -> Look:
        return Look(432, 648, "", 0.05)


async def test_the_default_pipeline_in_one_process() -> None:
    book = await process("sample", IMAGES, Stored())
    score = score_book(book, load_truth(ROOT / "samples/a-day-at-a-time.json"))
    assert score.text is not None
    assert score.text.pages == 26
    assert (score.text.cer or 0) <= 0.002
    assert score.labels is not None
    assert score.labels.all.share == 1
    assert score.contents.titles_pages is not None
    assert score.contents.titles_pages.f == 1
    assert score.metadata_fields is not None
    assert score.metadata_fields.share == 1
    assert 1 <= book.second_opinions <= 3, "the worst pages, up to the share"
    assert book.cpu_seconds == pytest.approx(26 + 7 * book.second_opinions, rel=0.3)


class TestCache:
    def test_a_reading_is_found_again_by_what_made_it(self, tmp_path: Path) -> None:
        cache, tesseract = ReadingCache(tmp_path), TesseractProvider()
        reading = EngineReading(page(line("some words", 50, 50)), 1.25)
        cache.put(IMAGES[3], tesseract, reading)
        assert cache.get(IMAGES[3], tesseract) == reading
        assert cache.get(IMAGES[4], tesseract) is None
        assert cache.get(PageImage(SAMPLE, 3, "worn"), tesseract) is None

    def test_other_parameters_are_another_reading(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        cache, tesseract = ReadingCache(tmp_path), TesseractProvider()
        cache.put(IMAGES[3], tesseract, EngineReading(page(line("some words", 50, 50)), 1.0))
        monkeypatch.setattr(TesseractProvider, "parameters", lambda self: {"psm": 3, "dpi": 150})
        assert cache.get(IMAGES[3], tesseract) is None

    async def test_engines_read_once(self, tmp_path: Path) -> None:
        reader = Reader({"tesseract": TesseractProvider}, ReadingCache(tmp_path), jobs=1)
        try:
            first = await reader.read("tesseract", PageImage(SAMPLE, 0, "lowres"))
            again = await reader.read("tesseract", PageImage(SAMPLE, 0, "lowres"))
        finally:
            await reader.close()
        assert reader.read_count == 1
        assert "A Day at a Time" in first.page.text
        assert first.cpu_seconds > 0
        assert again == first

    async def test_pages_are_read_as_the_pipeline_prepares_them(self, tmp_path: Path) -> None:
        Image.new("L", (1275, 1650), 255).save(tmp_path / "blank.png", dpi=(150, 150))
        skewed, blank = PageImage(SAMPLE, 4, "skewed"), PageImage(str(tmp_path / "blank.png"), 0)
        reader = Reader({"tesseract": TesseractProvider}, ReadingCache(tmp_path), jobs=1)
        try:
            look = await reader.look(skewed)
            nothing = await reader.read("tesseract", blank)
        finally:
            await reader.close()
        assert abs(ImageSteps.from_json(look.steps).skew) > 0.5
        assert look.cpu_seconds > 0
        assert reader.cache.look(skewed) == look
        assert reader.read_count == 0
        assert (nothing.page.words, nothing.cpu_seconds) == ([], 0.0)
        assert nothing.page.width == pytest.approx(612, abs=0.1)

    def test_other_steps_are_another_reading(self, tmp_path: Path) -> None:
        cache, tesseract = ReadingCache(tmp_path), TesseractProvider()
        cache.put(IMAGES[3], tesseract, EngineReading(page(line("some words", 50, 50)), 1.0), effect='{"skew":1.2}')
        assert cache.get(IMAGES[3], tesseract) is None
        assert cache.get(IMAGES[3], tesseract, effect='{"skew":1.2}') is not None


def test_sampled_pages_are_spread_over_the_book() -> None:
    assert _spread(285, 3) == [48, 143, 238]
    assert _spread(2, 3) == [1, 2]


class TestCriteria:
    @staticmethod
    async def result(**wrong: int) -> Result:
        """Engines and blend that misread as many of a hundred words as told."""
        book = await process("sample", IMAGES[:5], Stored())
        truth = load_truth(ROOT / "samples/a-day-at-a-time.json")
        truth = truth.model_copy(update={"pages": truth.pages[:5], "toc": None})
        copy = Copy("scans-with-text", "", IMAGES[:5], truth, [1], whole=False)
        told = ["word"] * 100
        texts: dict[str, TextScore] = {
            name: score_text(" ".join(told), " ".join(["dust"] * count + told[count:])) for name, count in wrong.items()
        }
        return Result(copy, book, score_book(book, truth), texts, tesseract_cpu=5.0)

    async def verdict(self, what: str, **wrong: int) -> Verdict:
        found = verdicts([await self.result(**wrong)])
        return next(one for one in found if what in one.what)

    async def test_the_blend_must_gain_on_the_scans(self) -> None:
        assert (await self.verdict("95 %", tesseract=40, rapidocr=20, blend=19, default=30)).passed is True
        missed = await self.verdict("95 %", tesseract=40, rapidocr=20, blend=20, default=20)
        assert missed.passed is False
        assert str(missed).startswith("FAIL")
        assert "20.00 % against 20.00 %" in missed.why

    async def test_the_blend_must_never_lose(self) -> None:
        assert (await self.verdict("never more", tesseract=10, rapidocr=20, blend=10, default=10)).passed is True
        assert (await self.verdict("never more", tesseract=10, rapidocr=20, blend=11, default=10)).passed is False

    async def test_what_nothing_tells_is_no_pass(self) -> None:
        assert (await self.verdict("long contents", tesseract=1, rapidocr=1, blend=1, default=1)).passed is None

    async def test_samples_of_a_book_count_together(self) -> None:
        one = await self.result(tesseract=10, rapidocr=20, blend=11)
        copies = [replace(one.copy, book="a book", profile=profile) for profile in ("worn", "noisy")]
        other = await self.result(tesseract=10, rapidocr=20, blend=8)
        found = samples([replace(one, copy=copies[0]), replace(other, copy=copies[1])])
        assert [each.name for each in found] == ["a book, samples in the other profiles"]
        assert found[0].wer("blend") == pytest.approx(0.095)
        assert replace(one, copy=copies[0]).cpu_ratio is None, "one second opinion is a fifth of five pages"

    def test_those_that_fail_are_named(self) -> None:
        def result(name: str) -> Any:
            return Result(Copy(name, "", [], None, [], whole=True), None, None)  # type: ignore[arg-type]

        one = each("short names", [result("a"), result("long")], lambda r: len(r.copy.name) < 2, lambda r: "too long")
        assert (one.passed, one.why) == (False, "long too long")
