"""Facts of a source without reading it: what files it has, what each leaf is, outline, page labels, DocInfo.

PyMuPDF is not safe in threads and crashes on odd files: it runs in a pool process of its own.
"""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from providers.artifacts import ArtifactStore
from providers.pool import EnginePool
from providers.source import LeafSource, Manifest
from schemas.reading import Box

INSPECT_SECONDS = 600.0
"""For all files of a source: every page of a PDF is looked at once."""
SPREAD_SECONDS = 5.0
"""For each page of a source, should all be landscape: decoding a scan at a low resolution."""
BOOK_SECONDS = 120.0


class LeafFacts(BaseModel):
    """What one leaf is; see `providers/pages.py` for how each is found."""

    model_config = ConfigDict(frozen=True)

    width: float
    height: float
    rotation: int
    image_hash: str
    text_layer: str
    text_layer_reason: str | None = None
    image_steps: str | None = None
    """JSON of `ImageSteps`; None = the image is read as it is. Width and height are those after its orientation."""


class BookFacts(BaseModel):
    """What the files say about the book as a whole. Pages are physical pages of the book."""

    model_config = ConfigDict(frozen=True)

    outline: list[tuple[int, str, int]] = []
    """(level, title, page)."""
    page_labels: list[str] = []
    """One per page, '' where the file gives none; empty if no file has labels."""
    info: dict[str, str] = {}
    """DocInfo of the first file that has one: title, author, ..."""


class PdfReader:
    """The pool and its questions."""

    def __init__(self, processes: int = 1) -> None:
        self._pool = EnginePool(processes, "providers.pdf:engine", "pdf")

    async def inspect(self, paths: Sequence[Path]) -> list[tuple[Path, str, int]]:
        """(path, kind, pages) of every file, checked. Raises BadSource, SourceNotFound."""
        answer = await self._pool.run(("inspect", [str(path) for path in paths]), INSPECT_SECONDS, "the source")
        return [(Path(path), kind, pages) for path, kind, pages in answer.value]

    async def spreads(
        self, files: Sequence[tuple[Path, str, int]], *, always: bool = False
    ) -> dict[tuple[int, int], tuple[float | None, str]]:
        """What was decided about the landscape pages: (file, page in it), both 0-based, to where the gutter is (share
        of the width, None = not split) and why. Empty where no page is landscape."""
        pages = sum(count for _, _, count in files)
        answer = await self._pool.run(
            ("spreads", [(str(path), kind, count) for path, kind, count in files], always),
            INSPECT_SECONDS + SPREAD_SECONDS * pages,
            "the source",
        )
        return {(part, index): (at, why) for part, index, at, why in answer.value}

    async def leaf(
        self, leaf: LeafSource, timeout_seconds: float, *, images: bool = False, steps: str | None = None
    ) -> LeafFacts:
        """What a leaf is.

        Args:
            images: look at the picture, and decide how it is to be prepared for reading.
            steps: how it is to be prepared, where a person says so: JSON, '' for as it is.

        Raises ProviderError."""
        answer = await self._pool.run(
            ("leaf", leaf.path, leaf.kind, leaf.index, leaf.region, images, steps),
            timeout_seconds,
            f"page {leaf.page} of {leaf.book}",
        )
        return LeafFacts.model_validate(answer.value)

    async def figures(self, leaf: LeafSource, text: Sequence[Box], timeout_seconds: float) -> list[Box]:
        """Boxes of the figures of a page, in points of the upright page; `text` = boxes of its lines. Raises ProviderError."""
        answer = await self._pool.run(
            ("figures", leaf.path, leaf.kind, leaf.index, leaf.region, list(text)),
            timeout_seconds,
            f"page {leaf.page} of {leaf.book}",
        )
        return list(answer.value)

    async def book(self, manifest: Manifest, artifacts: ArtifactStore) -> BookFacts:
        """Outline, labels and DocInfo of all parts, as of one book."""
        outline: list[tuple[int, str, int]] = []
        labels = [""] * manifest.page_count
        info: dict[str, str] = {}
        leaves = manifest.all_leaves()
        own = await asyncio.to_thread(self._own_parts, manifest, artifacts)
        for number, part in enumerate(manifest.parts[:own]):
            if part.kind != "pdf" or not (positions := manifest.positions(number)):
                continue
            path = await asyncio.to_thread(artifacts.file, part.sha256)
            answer = await self._pool.run(("book", str(path)), BOOK_SECONDS, part.name)
            facts = BookFacts.model_validate(answer.value)
            outline += [
                (level, title, positions[page - 1]) for level, title, page in facts.outline if page - 1 in positions
            ]
            for index, label in enumerate(facts.page_labels):
                # What the file calls a scan of two pages is the name of neither.
                if index in positions and not leaves[positions[index] - 1].region:
                    labels[positions[index] - 1] = label
            info = info or facts.info
        return BookFacts(outline=outline, page_labels=labels if any(labels) else [], info=info)

    def _own_parts(self, manifest: Manifest, artifacts: ArtifactStore) -> int:
        """How many of the files are the book's own: a rescan's title and outline say nothing about the book."""
        body = artifacts.get(manifest.original) if manifest.original else None
        return len(manifest.parts if body is None else Manifest.model_validate_json(body).parts)

    async def warm(self) -> None:
        """Start the processes, and have one load what it needs to look at pictures."""
        await self._pool.warm()
        await self._pool.run(("warm",), INSPECT_SECONDS)

    async def close(self) -> None:
        await self._pool.close()


def engine() -> Callable[[tuple[Any, ...]], Any]:
    """What a child process answers; called once in each."""
    from providers import pages
    from providers.image_steps import ImageSteps, upright_size
    from providers.looking import look_at
    from providers.structure import figures

    def answer(task: tuple[Any, ...]) -> Any:
        match task:
            case ("inspect", paths):
                return [(str(part.path), part.kind, part.pages) for part in pages.inspect([Path(at) for at in paths])]
            case ("spreads", files, always):
                from providers.spreads import decide

                return decide([(Path(path), kind, count) for path, kind, count in files], always=always)
            case ("leaf", path, kind, index, region, images, given):
                facts = dataclasses.asdict(pages.leaf_facts(path, kind, index, region))
                facts["text_layer_reason"] = facts.pop("reason") or None
                if given is not None:
                    steps = ImageSteps.from_json(given)
                elif images and facts["text_layer"] != "good":
                    steps = look_at(path, kind, index, region)
                else:  # a page that was set, not scanned, lies straight
                    steps = ImageSteps()
                facts["width"], facts["height"] = upright_size(facts["width"], facts["height"], steps.orientation)
                facts["image_steps"] = steps.to_json() or None
                return facts
            case ("figures", path, kind, index, region, text):
                raster = pages.render(path, kind, index, figures.DPI, region)
                return figures.figures(raster.pixels, raster.width, raster.height, text)
            case ("book", path):
                return _book(path)
            case ("warm",):  # whoever only imports a source is spared this
                import providers.image_analysis  # noqa: F401

                return None
        raise ValueError(f"unknown task {task[0]!r}")

    return answer


def _book(path: str) -> Mapping[str, Any]:
    from providers import pages

    with pages.mupdf_library().open(path, filetype="pdf") as document:
        return {
            "outline": [(level, title, page) for level, title, page in document.get_toc() if page > 0],
            "page_labels": [page.get_label() for page in document] if document.get_page_labels() else [],
            "info": {key: str(value) for key, value in (document.metadata or {}).items() if value},
        }
