"""Tesseract 5.5 as a library, one API object in each process of a pool; pages are rendered where they are read."""

from __future__ import annotations

import contextlib
import functools
import os
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from providers.edge_marks import lone_marks
from providers.errors import Rejected
from providers.image_steps import ImageSteps, apply
from providers.ink import REVISION as INK_REVISION
from providers.ink import ink_figures
from providers.pool import EnginePool
from providers.rules.numerals import parse
from schemas.errors import LanguageMissing
from schemas.reading import Line, PageReading, Word

if TYPE_CHECKING:  # pydantic takes longer to import than the engine, and the children have no use for it
    from providers.base import Reading
    from providers.edge_marks import Mark
    from providers.leaves import Raster
    from providers.source import LeafSource

NAME = "tesseract"

PAGE_SEGMENTATION = 3
"""PSM_AUTO: full layout analysis, no orientation detection."""

EDGES_REVISION = 1
"""Of the second look at the edges of a page; raised when it finds other numbers."""

LONE_NUMBER = 50
"""Confidence from which a number at the edge is believed: of dirt, Tesseract makes digits with less."""

READING_DPI = 200
"""A finer scan is shrunk to it with antialiasing: gray edges carry what the bilevel pixels had. On 33 real bilevel scans of
300 dpi (two quarters of UNLV BUS.3B) the word error rate fell from 3.86 to 3.36 and from 5.14 to 5.04 %, CPU by 17 %."""

SHRINK_FROM_DPI = 250
"""Below it there is nothing to spare."""

WHEELS = ("deu", "eng", "jpn")
"""Languages for which PyPI has a wheel tessdata-fast-…."""

SYSTEM_FOLDERS = (
    "/usr/share/tesseract-ocr/5/tessdata",
    "/usr/share/tesseract-ocr/4.00/tessdata",
    "/usr/share/tessdata",
    "/usr/local/share/tessdata",
    "/opt/homebrew/share/tessdata",
)


class TesseractProvider:
    """`OcrProvider` over a pool of `processes` engines of about 250 MB each."""

    name = NAME

    def __init__(self, processes: int = 1) -> None:
        self.pool = EnginePool(processes, "providers.tesseract:Engine", NAME)

    def model(self, language: str) -> str:
        """Engine, languages and the size of each model ("tesseract 5.5.4 eng:4113088"), which tells fast, standard and
        best models apart without reading them. Raises LanguageMissing."""
        sizes = [f"{part}:{(folder / f'{part}.traineddata').stat().st_size}" for part, folder in _found(language)]
        return f"tesseract {_version()} {'+'.join(sizes)}"

    def parameters(self) -> Mapping[str, object]:
        return {"psm": PAGE_SEGMENTATION, "dpi": READING_DPI, "edges": EDGES_REVISION, "ink": INK_REVISION}

    async def read(self, leaf: LeafSource, language: str, timeout_seconds: float) -> Reading:
        """Read one page. Raises EngineCrashed, Rejected (the page cannot be rendered), LanguageMissing."""
        from providers.base import pool_reading

        task = (leaf.path, leaf.kind, leaf.index, leaf.region, leaf.image_steps, language)
        return await pool_reading(self.pool, task, leaf, self.model(language), language, timeout_seconds)

    async def warm(self) -> None:
        await self.pool.warm()

    async def close(self) -> None:
        await self.pool.close()


# Models


def tessdata_folders() -> list[Path]:
    """Where models are looked for, in this order: TESSDATA_PREFIX, this environment's wheels, the system."""
    folders = [Path(sys.prefix) / "share" / "tessdata", *map(Path, SYSTEM_FOLDERS)]
    prefix = os.environ.get("TESSDATA_PREFIX")
    if prefix:
        # Tesseract 3 meant the parent folder, 4 and 5 the folder itself; both are still about.
        folders = [Path(prefix), Path(prefix) / "tessdata", *folders]
    return [folder for folder in dict.fromkeys(folders) if folder.is_dir()]


def installed_languages() -> list[str]:
    """Codes of the languages that can be read here, for `shelf doctor`."""
    return sorted(
        {model.stem for folder in tessdata_folders() for model in folder.glob("*.traineddata") if model.stem != "osd"}
    )


def _found(language: str) -> list[tuple[str, Path]]:
    """(code, folder) of every part of "deu+eng". Raises LanguageMissing for the first that is not there."""
    parts = list(dict.fromkeys(part for part in language.split("+") if part))
    if not parts:
        raise LanguageMissing(f"No language in {language!r}.", "Give codes such as eng, or deu+eng.")
    found = []
    for part in parts:
        folder = _folder_of(part)
        if folder is None:
            raise _missing(part)
        found.append((part, folder))
    return found


def _missing(part: str) -> LanguageMissing:
    installed = ", ".join(installed_languages()) or "none"
    own = Path(sys.prefix) / "share" / "tessdata"
    ways = [f"put {part}.traineddata of github.com/tesseract-ocr/tessdata_fast into {own}"]
    if sys.platform == "linux":
        ways.insert(0, f"install the system package tesseract-ocr-{part.lower().replace('_', '-')}")
    if part in WHEELS:
        ways.insert(0, f"uv pip install --python {sys.executable} tessdata-fast-{part}")
    return LanguageMissing(
        f"Tesseract has no model for the language {part!r} (installed: {installed}).",
        f"Get it by one of these: {'; '.join(ways)}.",
    )


def _folder_of(part: str) -> Path | None:
    if not part.replace("_", "").replace("-", "").replace("/", "").isalnum():  # no way out of the folder
        return None
    return next((folder for folder in tessdata_folders() if (folder / f"{part}.traineddata").is_file()), None)


@functools.cache
def _version() -> str:
    """Of the library inside the wheel."""
    import tesserocr

    return str(tesserocr.tesseract_version()).split()[1]


# The child's side


class Engine:
    """One Tesseract API object per language, made when it is first asked for; languages beyond three are dropped."""

    def __init__(self) -> None:
        import tesserocr

        from providers import pages

        self._tesserocr = tesserocr
        self._pages = pages
        self._apis: dict[str, Any] = {}

    def __call__(self, task: tuple[str, str, int, str, str, str]) -> bytes:
        """Read (path, kind, index, region, image steps, language); JSON of a PageReading without model."""
        path, kind, index, region, steps, language = task
        api = self._api(language)
        raster = apply(_shrunk(self._pages.render(path, kind, index, region=region)), ImageSteps.from_json(steps))
        rows, columns = raster.pixels.shape
        page = PageReading(provider=NAME, width=raster.width, height=raster.height)
        if rows < 8 or columns < 8:  # Tesseract refuses such an image, and no letter fits
            return page.to_json()
        # Raw bytes: handing over a Pillow image goes by way of an encoded file, 12 ms a page.
        api.SetImageBytes(raster.pixels.tobytes(), columns, rows, 1, columns)
        api.SetSourceResolution(round(raster.dpi))
        try:
            if not api.Recognize():
                raise Rejected(f"Tesseract refuses page {index + 1} of {path}")
            page.lines = list(self._lines(api, raster))
            self._add_lone_numbers(api, raster, page.lines)
            page.figures = ink_figures(raster, page.lines)
            for word in page.words:
                word.box = raster.on_page(word.box)
        finally:
            api.Clear()
        return page.to_json()

    def _api(self, language: str) -> Any:
        api = self._apis.pop(language, None)
        if api is None:
            while len(self._apis) >= 3:
                self._apis.pop(next(iter(self._apis))).End()
            found = _found(language)
            with _one_folder(found) as folder:
                api = self._tesserocr.PyTessBaseAPI(
                    path=str(folder), lang="+".join(part for part, _ in found), psm=PAGE_SEGMENTATION
                )
        self._apis[language] = api
        return api

    def _lines(self, api: Any, raster: Any) -> Iterator[Line]:
        """Lines in Tesseract's reading order. The iterator costs 7 ms a page, TSV (and parsing it) 17."""
        level = self._tesserocr.RIL
        iterator = api.GetIterator()
        if iterator is None:  # an empty page
            return
        block, line = -1, None
        while True:
            if iterator.IsAtBeginningOf(level.BLOCK):
                block += 1
            if iterator.IsAtBeginningOf(level.TEXTLINE):
                if line is not None and line.words:
                    yield line
                line = Line([], block=block)
            if not iterator.Empty(level.WORD):
                text = iterator.GetUTF8Text(level.WORD).strip()
                box = iterator.BoundingBox(level.WORD)
                if text and box and line is not None:
                    # Tesseract may put a blank inside a word ("1 000" in some languages).
                    confidence = max(0.0, min(100.0, iterator.Confidence(level.WORD)))
                    line.words.append(Word("".join(text.split()), raster.to_points(*box), confidence))
            if not iterator.Next(level.WORD):
                break
        if line is not None and line.words:
            yield line

    def _add_lone_numbers(self, api: Any, raster: Raster, lines: list[Line]) -> None:
        """Page numbers that layout analysis took for dirt or for part of a picture: what stands alone at head and foot is
        read once more as a single line. On a rasterised book with its numbers in tabs it finds 25 of 25 that were lost,
        for 20 ms a page; what is no number there is left alone."""
        marks = lone_marks(raster, lines)
        if not marks:
            return
        api.SetPageSegMode(self._tesserocr.PSM.SINGLE_LINE)
        try:
            found = [line for mark in marks if (line := self._number(api, mark, raster))]
        finally:
            api.SetPageSegMode(PAGE_SEGMENTATION)
        last = max((line.block for line in lines), default=-1)
        for n, line in enumerate(found, 1):
            line.block = last + n
        middle = raster.height / 2
        lines[:0] = [line for line in found if line.box[1] < middle]
        lines += [line for line in found if line.box[1] >= middle]

    @staticmethod
    def _number(api: Any, mark: Mark, raster: Raster) -> Line | None:
        high, wide = mark.pixels.shape
        api.SetImageBytes(mark.pixels.tobytes(), wide, high, 1, wide)
        api.SetSourceResolution(round(raster.dpi))
        if not api.Recognize():
            return None
        text, confidence = "".join(api.GetUTF8Text().split()), float(api.MeanTextConf())
        stroke = len(text.strip("|.,'-_~")) == 1 and not text.isalnum()
        if confidence < LONE_NUMBER or stroke or not parse(text):
            return None
        return Line([Word(text, raster.to_points(*mark.box), confidence)])


def _shrunk(raster: Raster) -> Raster:
    """At READING_DPI, if the scan is finer."""
    if raster.dpi < SHRINK_FROM_DPI:
        return raster
    import numpy as np
    from PIL import Image

    factor = READING_DPI / raster.dpi
    image = Image.fromarray(raster.pixels)
    size = (max(1, round(image.width * factor)), max(1, round(image.height * factor)))
    pixels = np.asarray(image.resize(size, Image.Resampling.BILINEAR), dtype=np.uint8)
    return replace(raster, pixels=pixels, dpi=READING_DPI)


@contextlib.contextmanager
def _one_folder(found: list[tuple[str, Path]]) -> Iterator[Path]:
    """The folder that holds all the models; where they lie in several, one with links to them while they are loaded,
    for Tesseract takes one folder only."""
    folders = {folder for _, folder in found}
    if len(folders) == 1:
        yield folders.pop()
        return
    with tempfile.TemporaryDirectory(prefix="shelf-tessdata-") as temporary:
        for part, source in found:
            link = Path(temporary) / f"{part}.traineddata"
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(source / f"{part}.traineddata")
        yield Path(temporary)
