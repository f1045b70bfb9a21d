"""Facts of a source without reading it: what files it has, what each leaf is, outline, page labels, DocInfo.

PyMuPDF is not safe in threads and crashes on odd files: it runs in a pool process of its own.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from providers.artifacts import ArtifactStore
from providers.pool import EnginePool
from providers.source import LeafSource, Manifest

INSPECT_SECONDS = 600.0
"""For all files of a source: every page of a PDF is looked at once."""
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
    """The pool and its three questions."""

    def __init__(self, processes: int = 1) -> None:
        self._pool = EnginePool(processes, "providers.pdf:engine", "pdf")

    async def inspect(self, paths: Sequence[Path]) -> list[tuple[Path, str, int]]:
        """(path, kind, pages) of every file, checked. Raises BadSource, SourceNotFound."""
        answer = await self._pool.run(("inspect", [str(path) for path in paths]), INSPECT_SECONDS, "the source")
        return [(Path(path), kind, pages) for path, kind, pages in answer.value]

    async def leaf(self, leaf: LeafSource, timeout_seconds: float) -> LeafFacts:
        """Raises ProviderError."""
        answer = await self._pool.run(
            ("leaf", leaf.path, leaf.kind, leaf.index), timeout_seconds, f"page {leaf.page} of {leaf.book}"
        )
        return LeafFacts.model_validate(answer.value)

    async def book(self, manifest: Manifest, artifacts: ArtifactStore) -> BookFacts:
        """Outline, labels and DocInfo of all parts, as of one book."""
        outline: list[tuple[int, str, int]] = []
        labels = [""] * manifest.page_count
        info: dict[str, str] = {}
        for number, part in enumerate(manifest.parts):
            if part.kind != "pdf":
                continue
            answer = await self._pool.run(("book", str(artifacts.file(part.sha256))), BOOK_SECONDS, part.name)
            facts = BookFacts.model_validate(answer.value)
            positions = manifest.positions(number)
            outline += [
                (level, title, positions[page - 1]) for level, title, page in facts.outline if page - 1 in positions
            ]
            for index, label in enumerate(facts.page_labels):
                if index in positions:
                    labels[positions[index] - 1] = label
            info = info or facts.info
        return BookFacts(outline=outline, page_labels=labels if any(labels) else [], info=info)

    async def warm(self) -> None:
        await self._pool.warm()

    async def close(self) -> None:
        await self._pool.close()


def engine() -> Callable[[tuple[Any, ...]], Any]:
    """What a child process answers; called once in each."""
    from providers import pages

    def answer(task: tuple[Any, ...]) -> Any:
        match task:
            case ("inspect", paths):
                return [(str(part.path), part.kind, part.pages) for part in pages.inspect([Path(at) for at in paths])]
            case ("leaf", path, kind, index):
                facts = dataclasses.asdict(pages.leaf_facts(path, kind, index))
                facts["text_layer_reason"] = facts.pop("reason") or None
                return facts
            case ("book", path):
                return _book(path)
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
