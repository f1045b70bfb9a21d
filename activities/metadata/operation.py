"""Plan of `metadata`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from activities.contracts import BOOK_ITEM
from activities.operation import BookOperation, Records, current, generation
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


def metadata_inputs(pages: Mapping[int, Document], wanted: Iterable[int], choice: str, generation: int) -> str:
    """The texts of the pages that are looked at."""
    return digest([texts_of(pages, wanted), choice, generation])[:16]


class ExtractMetadata(BookOperation):
    """Who wrote what, published where and when."""

    name = "metadata"
    target_schemas = (Book,)
    requires = ("blend",)
    work_activity = "extract_metadata"
    save_activity = "save_metadata"
    title = "title, authors, publisher, year, ISBN"

    def reads(self, state: JobState) -> tuple[int, ...]:
        """The first pages in book order: title and copyright page lie there, and the choice must not depend on
        which pages happened to be read first."""
        return state.pages[: state.config.metadata_pages]

    def load(self, state: JobState, records: Records) -> None:
        inputs = metadata_inputs(
            records.pages, self.reads(state), self.choice(state), generation(records.book, self.name, state)
        )
        if current(records.book, self.name, inputs):
            state.of(self.name).complete.add(BOOK_ITEM)


METADATA = ExtractMetadata()
