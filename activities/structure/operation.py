"""Plan of `structure`."""

from __future__ import annotations

from collections.abc import Mapping

from activities.operation import BookOperation, Records
from activities.state import JobState
from activities.toc_link.operation import lines_of
from schemas.documents import Book, Chapter, Document
from schemas.store import digest


def structure_inputs(
    pages: Mapping[int, Document], book: Book | None, toc: Document | None, choice: str, generation: int
) -> str:
    """The links of the contents, the labels, the texts, and how many leaves there are to belong somewhere."""
    return digest(
        [
            toc.flag("toc_link", "artifact") if toc is not None else None,
            lines_of(pages, book),
            book.page_count if book is not None else None,
            choice,
            generation,
        ]
    )[:16]


class Structure(BookOperation):
    """Chapters and buckets."""

    name = "structure"
    target_schemas = (Chapter, Book)
    requires = ("toc_link", "label", "blend")
    work_activity = "find_chapters"
    save_activity = "save_chapters"
    title = "chapters, front and back matter"

    def inputs(self, state: JobState, records: Records, generation: int) -> str:
        book = records.book if isinstance(records.book, Book) else None
        return structure_inputs(records.pages, book, records.toc, self.choice(state), generation)


STRUCTURE = Structure()
