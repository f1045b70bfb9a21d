"""Engine readings of pages as they are and as degraded copies, kept in a folder: each page is read once by each engine.

Pages are looked at first, as `extract` does, and read with the steps that are found then. A reading is found again by what
made it: the source file's hash, the page, the profile, the effect of the steps, and the engine with its model and parameters.
So a benchmark that is run again after the blend or the rules have changed costs seconds.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import tempfile
import threading
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

from activities.extract.activity import REVISION as EXTRACT_REVISION
from benchmarks.degrade import PROFILES, RENDER_DPI, degrade, seed_of
from benchmarks.engines import cpu_of
from providers import image_steps
from providers.base import OcrProvider
from providers.image_steps import ImageSteps
from providers.pool import EnginePool
from providers.source import LeafSource
from schemas.reading import PageReading

PAGE_SECONDS = 600.0
"""The machine may be busy with other things; only a hang ends a page."""


CHEAP = ("text-layer",)
"""Not kept: milliseconds, and no parameter tells when their own code has changed."""


@dataclass(frozen=True, slots=True)
class PageImage:
    """One page of a file, as it is or degraded."""

    file: str
    index: int
    """0-based."""
    profile: str = ""
    """'' = as it is."""

    @property
    def number(self) -> int:
        return self.index + 1

    @property
    def kind(self) -> str:
        return "pdf" if self.file.lower().endswith(".pdf") else "image"

    def identity(self) -> str:
        profile = PROFILES[self.profile].identity() if self.profile else ""
        return hashlib.sha256(f"{_file_hash(self.file)} {self.index} {profile}".encode()).hexdigest()

    def leaf(self, picture: Path | None = None, steps: str = "") -> LeafSource:
        """What an engine is asked to read; `picture` = where the degraded page lies, `steps` = JSON of `ImageSteps`."""
        book = f"{Path(self.file).stem}{f' ({self.profile})' if self.profile else ''}"
        path, kind, index = (self.file, self.kind, self.index) if picture is None else (str(picture), "image", 0)
        return LeafSource(path=path, kind=kind, index=index, page=self.number, book=book, image_steps=steps)


@dataclass(frozen=True, slots=True)
class EngineReading:
    """What an engine made of a page, and what that took."""

    page: PageReading
    cpu_seconds: float


@dataclass(frozen=True, slots=True)
class Look:
    """What `extract` finds when it looks at a page, and what that takes."""

    width: float
    """Of the upright page, in points."""
    height: float
    steps: str
    """JSON of `ImageSteps`; '' = the page is read as it is."""
    cpu_seconds: float


class ReadingCache:
    """`<folder>/<engine>/<aa>/<key>.json`: the reading, with page and profile beside it for people who look; in `look`, what
    was found before reading."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def path(self, image: PageImage, provider: OcrProvider, language: str, effect: str = "") -> Path:
        how = json.dumps(
            [provider.model(language), language, dict(provider.parameters()), *([effect] if effect else [])],
            sort_keys=True,
        )
        return self._path(provider.name, f"{image.identity()} {how}")

    def get(
        self, image: PageImage, provider: OcrProvider, language: str = "eng", effect: str = ""
    ) -> EngineReading | None:
        body = self._load(self.path(image, provider, language, effect))
        if body is None:
            return None
        return EngineReading(PageReading.from_json(json.dumps(body["reading"]).encode()), body["cpu_seconds"])

    def put(
        self, image: PageImage, provider: OcrProvider, reading: EngineReading, language: str = "eng", effect: str = ""
    ) -> None:
        body = {"cpu_seconds": reading.cpu_seconds, "reading": json.loads(reading.page.to_json())}
        self._save(self.path(image, provider, language, effect), image, body)

    def look(self, image: PageImage) -> Look | None:
        body = self._load(self._look_path(image))
        return None if body is None else Look(**body["look"])

    def put_look(self, image: PageImage, look: Look) -> None:
        self._save(self._look_path(image), image, {"look": asdict(look)})

    def _look_path(self, image: PageImage) -> Path:
        return self._path("look", f"{image.identity()} {EXTRACT_REVISION} {image_steps.REVISION}")

    def _path(self, kind: str, what: str) -> Path:
        key = hashlib.sha256(what.encode()).hexdigest()[:40]
        return self.folder / kind / key[:2] / f"{key}.json"

    @staticmethod
    def _load(path: Path) -> dict[str, Any] | None:
        try:
            body: dict[str, Any] = json.loads(path.read_text())
        except FileNotFoundError:
            return None
        return body

    @staticmethod
    def _save(path: Path, image: PageImage, body: dict[str, Any]) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        about = {"file": Path(image.file).name, "page": image.number, "profile": image.profile}
        draft = path.with_suffix(f".{os.getpid()}")
        draft.write_text(json.dumps(about | body, ensure_ascii=False))
        draft.replace(path)


class _Picture:
    """Where a page can be read: a degraded one is made when it is asked for, and is gone at the end of the block."""

    _one_at_a_time = threading.Lock()
    """PyMuPDF is not safe in threads."""

    def __init__(self, image: PageImage) -> None:
        self._image = image
        self._folder: tempfile.TemporaryDirectory[str] | None = None

    def __enter__(self) -> _Picture:
        return self

    def __exit__(self, *_: object) -> None:
        if self._folder is not None:
            self._folder.cleanup()

    async def path(self) -> Path | None:
        """None for a page as it is: it is read from its file."""
        if not self._image.profile:
            return None
        if self._folder is None:
            self._folder = tempfile.TemporaryDirectory(prefix="shelf-picture-")
            await asyncio.to_thread(self._write)
        return Path(self._folder.name) / "page.png"

    def _write(self) -> None:
        assert self._folder is not None
        with self._one_at_a_time:
            write_picture(self._image, Path(self._folder.name) / "page.png")


class Reader:
    """Engines in lanes of one process each, so that the CPU time of a page is that of its process."""

    def __init__(self, kinds: dict[str, Any], cache: ReadingCache, jobs: int, language: str = "eng") -> None:
        self.cache = cache
        self.language = language
        self.model = {name: kind() for name, kind in kinds.items()}
        """One of each kind, to ask for its model; starts no process."""
        self._kinds = kinds
        self._idle: dict[str, list[Any]] = {name: [] for name in kinds}
        self._lookers: list[EnginePool] = []
        self._gate = asyncio.Semaphore(jobs)
        self.read_count = 0

    async def read(self, engine: str, image: PageImage) -> EngineReading:
        """From the cache, or by the engine, which gets the page prepared as in the pipeline."""
        if engine in CHEAP:
            async with self._gate:
                return await self._by(engine, image.leaf())
        # All under the gate: what is in the cache is seen when its turn comes, another run may have put it there meanwhile.
        async with self._gate:
            with _Picture(image) as picture:
                look = await self._look(image, picture)
                steps = ImageSteps.from_json(look.steps)
                provider, effect = self.model[engine], steps.effect()
                if steps.blank:
                    blank = PageReading(engine, look.width, look.height, model=provider.model(self.language))
                    blank.language = self.language
                    return EngineReading(blank, 0.0)
                known = self.cache.get(image, provider, self.language, effect)
                if known is not None:
                    return known
                reading = await self._by(engine, image.leaf(await picture.path(), look.steps))
        self.cache.put(image, provider, reading, self.language, effect)
        self.read_count += 1
        return reading

    async def read_all(self, engine: str, images: Iterable[PageImage]) -> dict[PageImage, EngineReading]:
        wanted = list(images)
        found = await asyncio.gather(*(self.read(engine, image) for image in wanted))
        return dict(zip(wanted, found, strict=True))

    async def look(self, image: PageImage) -> Look:
        """From the cache, or by the process that opens the files."""
        async with self._gate:
            with _Picture(image) as picture:
                return await self._look(image, picture)

    async def _look(self, image: PageImage, picture: _Picture) -> Look:
        """By the very task of `extract`."""
        known = self.cache.look(image)
        if known is not None:
            return known
        leaf = image.leaf(await picture.path())
        task = ("leaf", leaf.path, leaf.kind, leaf.index, leaf.region, True, None)
        pool = self._lookers.pop() if self._lookers else EnginePool(1, "providers.pdf:engine", "pdf")
        try:
            if not pool.pids:  # loading is no page's cost
                await pool.run(task, PAGE_SECONDS, what=leaf.book)
            answer = await pool.run(task, PAGE_SECONDS, what=leaf.book)
        finally:
            self._lookers.append(pool)
        facts = answer.value
        look = Look(facts["width"], facts["height"], facts["image_steps"] or "", round(answer.cpu_seconds, 3))
        self.cache.put_look(image, look)
        return look

    async def _by(self, engine: str, leaf: LeafSource) -> EngineReading:
        provider = self._idle[engine].pop() if self._idle[engine] else self._kinds[engine](1)
        try:
            before = sum(cpu_of(pid) for pid in provider.pool.pids)
            if not before:
                # Loading the model is no page's cost: the first page is read twice.
                await provider.read(leaf, self.language, PAGE_SECONDS)
                before = sum(cpu_of(pid) for pid in provider.pool.pids)
            reading = await provider.read(leaf, self.language, PAGE_SECONDS)
            after = sum(cpu_of(pid) for pid in provider.pool.pids)
        finally:
            self._idle[engine].append(provider)
        return EngineReading(reading.page, round(after - before, 3))

    async def close(self) -> None:
        for providers in self._idle.values():
            for provider in providers:
                await provider.close()
        for pool in self._lookers:
            await pool.close()


def write_picture(image: PageImage, file: Path) -> None:
    """The degraded page as PNG with its resolution. The verso of an odd page is the next one."""
    from PIL import Image

    profile = PROFILES[image.profile]
    behind = image.index + 1 if image.index % 2 == 0 else image.index - 1
    verso = _rendered(image.file, image.kind, behind) if profile.show_through else None
    page = _rendered(image.file, image.kind, image.index)
    pixels = degrade(page, verso, profile, seed_of(image.index, profile.name))
    picture = Image.fromarray(pixels)
    if profile.bilevel:
        picture = picture.convert("1", dither=Image.Dither.NONE)
    picture.save(file, dpi=(profile.dpi, profile.dpi), compress_level=1)


def _rendered(file: str, kind: str, index: int) -> Any:
    """None beyond the ends of the book."""
    from providers import pages

    if not 0 <= index < page_count(file):
        return None
    return pages.render(file, kind, index, dpi=RENDER_DPI).pixels


@cache
def page_count(file: str) -> int:
    """Pages of a PDF, frames of an image."""
    from providers import pages

    return sum(part.pages for part in pages.inspect([Path(file)]))


@cache
def _file_hash(file: str) -> str:
    return hashlib.sha256(Path(file).read_bytes()).hexdigest()
