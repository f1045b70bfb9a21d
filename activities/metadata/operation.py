"""Plan of `metadata`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from activities.corrections import BOOK_FIELDS, types_said, with_corrections
from activities.operation import BookOperation, Records
from activities.state import JobState
from schemas.documents import Book, Document
from schemas.store import digest


def texts_of(pages: Mapping[int, Document], wanted: Iterable[int]) -> list[list[object]]:
    """[page, blend artifact] of the wanted pages that have a text."""
    texts: list[list[object]] = []
    for page in wanted:
        document = pages.get(page)
        if document is not None and document.flag("blend", "complete"):
            texts.append([page, document.flag("blend", "artifact")])
    return texts


def each_type(types: Mapping[int, str]) -> list[str]:
    """What people say that pages are, as inputs: page and type."""
    return [f"{page}:{kind}" for page, kind in sorted(types.items())]


def metadata_inputs(
    pages: Mapping[int, Document],
    wanted: Iterable[int],
    choice: str,
    generation: int,
    correction: str,
    types: Mapping[int, str],
) -> str:
    """The texts of the pages that are looked at, and what people say of the book and that these pages are."""
    inputs = [texts_of(pages, wanted), choice, generation]
    return digest(with_corrections(inputs, correction, *each_type(types)))[:16]


class ExtractMetadata(BookOperation):
    """Who wrote what, published where and when."""

    name = "metadata"
    target_schemas = (Book,)
    requires = ("blend",)
    work_activity = "extract_metadata"
    save_activity = "save_metadata"
    title = "title, authors, publisher, year, ISBN"
    kinds = ("title_page", "copyright")

    def reads(self, state: JobState) -> tuple[int, ...]:
        """The first pages in book order: title and copyright page lie there, and the choice must not depend on
        which pages happened to be read first."""
        return self.first_pages(state, state.config.metadata_pages)

    def inputs(self, state: JobState, records: Records, generation: int) -> str:
        wanted = self.reads(state)
        return metadata_inputs(
            records.pages,
            wanted,
            self.choice(state),
            generation,
            records.corrections.digest_of(state.config.book_id, BOOK_FIELDS),
            types_said(records.corrections, records.pages, wanted),
        )


METADATA = ExtractMetadata()
