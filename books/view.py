"""A processed book as one value: what exports, evaluation and search read."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from activities.operation import choice_of, current, stored_generation
from activities.paragraph.operation import PARAGRAPH, paragraph_inputs
from activities.structure.operation import STRUCTURE, structure_inputs
from activities.toc_link.operation import TOC_LINK, toc_link_inputs
from providers.artifacts import ArtifactStore
from providers.source import LeafSource, Manifest, leaf_source
from schemas.documents import Book, Chapter, Document, OcrResult, Page, Paragraph, ToC, TocEntry
from schemas.errors import ArtifactMissing, BadInput
from schemas.keys import toc_key
from schemas.reading import PageReading
from schemas.store import Store


@dataclass
class BookView:
    """The live documents of a book; readings and images are fetched when asked for."""

    key: str
    book: Book
    pages: list[Page]
    """In physical order; a page that was never looked at is absent."""
    toc: ToC | None
    entries: list[TocEntry]
    chapters: list[Chapter]
    """In reading order; empty before `BuildStructure`."""
    paragraphs: list[Paragraph]
    """Chapter by chapter, in reading order; empty before `BuildStructure`."""
    artifacts: ArtifactStore = field(repr=False)
    store: Store = field(repr=False)

    def page(self, number: int) -> Page | None:
        """The page at a physical position."""
        return self._by_number.get(number)

    @cached_property
    def _by_number(self) -> dict[int, Page]:
        return {page.page: page for page in self.pages if page.page is not None}

    @cached_property
    def links(self) -> list[dict[str, Any]]:
        """`ToC.links`: one object per entry, in their order; empty before `toc_link`."""
        return list(json.loads(self.toc.links)) if self.toc is not None and self.toc.links else []

    @cached_property
    def structure_is_current(self) -> bool:
        """Whether links, chapters and paragraphs were made from the texts, labels and contents of today.

        False also where none were made."""
        from activities.choosing import BOOK_PROVIDERS

        pages, book, toc = self._by_number, self.book, self.toc

        def fresh(operation: str, document: Document | None, inputs: Callable[[str, int], str]) -> bool:
            choice = choice_of(BOOK_PROVIDERS[operation])
            return current(document, operation, inputs(choice, stored_generation(document, operation, None)))

        return (
            fresh(TOC_LINK.name, toc, lambda choice, made: toc_link_inputs(pages, book, toc, choice, made))
            and fresh(STRUCTURE.name, book, lambda choice, made: structure_inputs(pages, book, toc, choice, made))
            and fresh(PARAGRAPH.name, book, lambda choice, made: paragraph_inputs(pages, book, choice, made))
        )

    def reading(self, page: Page) -> PageReading | None:
        """The blended reading: words in their boxes, points of the upright page. None where the page has none yet.

        Raises ArtifactMissing."""
        artifact = page.flag("blend", "artifact")
        if not artifact or not page.flag("blend", "complete"):
            return None
        return self._reading(str(artifact), page)

    async def sources(self, page: Page) -> list[OcrResult]:
        """The readings that the blend read, in its order, with their texts."""
        keys = page.ocr_results or []
        found = await self.store.get(OcrResult, keys)
        return [found[key] for key in keys if key in found]

    def source_reading(self, result: OcrResult, page: Page) -> PageReading:
        """One provider's words and boxes. Raises ArtifactMissing."""
        return self._reading(str(result.artifact), page)

    def _reading(self, artifact: str, page: Page) -> PageReading:
        body = self.artifacts.get(artifact)
        if body is None:
            raise ArtifactMissing(
                f"The words of page {page.page} of {self.key} are not in the artifact store.",
                f"Read it again: `shelf process {self.key} --pages {page.page} --fresh`.",
            )
        return PageReading.from_json(body)

    @cached_property
    def manifest(self) -> Manifest:
        """The source files and the order of the leaves. Raises ArtifactMissing."""
        body = self.artifacts.get(self.book.source_manifest or "")
        if body is None:
            raise ArtifactMissing(
                f"The list of the source files of {self.key} is not in the artifact store.",
                "Process the book from its source again; what was read is not read again.",
            )
        return Manifest.model_validate_json(body)

    def leaf(self, page: Page) -> LeafSource:
        """Where the image of a page lies; for `providers.pages.render` and `png`."""
        return leaf_source(self.manifest, self.artifacts, self.key, page.page or 0, page)


async def load_book(store: Store, artifacts: ArtifactStore, key: str) -> BookView:
    """Everything that is live of the book. Raises BadInput where there is none."""
    book = (await store.get(Book, [key])).get(key)
    if book is None:
        raise BadInput(f"There is no book {key!r}.", "See `shelf books` for those there are.")
    pages, tocs = await asyncio.gather(store.find(Page, {"book_key": key}), store.get(ToC, [toc_key(key)]))
    toc = tocs.get(toc_key(key))
    entries: list[TocEntry] = []
    if toc is not None and toc.current_set:
        entries = await store.find(TocEntry, {"book_key": key, "toc_set": toc.current_set})
    chapters: list[Chapter] = []
    if book.chapter_set:
        chapters = await store.find(Chapter, {"book_key": key, "chapter_set": book.chapter_set})
    paragraphs: list[Paragraph] = []
    for name in book.paragraph_sets or []:
        found = await store.find(Paragraph, {"book_key": key, "paragraph_set": name})
        paragraphs += sorted(found, key=lambda paragraph: paragraph.sort_order or 0)
    return BookView(
        key=key,
        book=book,
        pages=sorted((page for page in pages if page.page is not None), key=lambda page: page.page or 0),
        toc=toc,
        entries=sorted(entries, key=lambda entry: entry.sort_order or 0),
        chapters=sorted(chapters, key=lambda chapter: chapter.sort_order or 0),
        paragraphs=paragraphs,
        artifacts=artifacts,
        store=store,
    )
