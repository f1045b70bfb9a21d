"""Plan of `paragraph`."""

from __future__ import annotations

from collections.abc import Mapping

from activities.operation import BookOperation, Records
from activities.state import JobState
from activities.toc_link.operation import lines_of
from schemas.documents import Book, Document, Page, Paragraph
from schemas.store import digest


def paragraph_inputs(pages: Mapping[int, Document], book: Document | None, choice: str, generation: int) -> str:
    """The chapters, the labels and types of the pages, their texts, and the images that figures are found on."""
    images = [[page, document.image_hash] for page, document in sorted(pages.items()) if isinstance(document, Page)]
    chapters = book.flag("structure", "artifact") if book is not None else None
    return digest([chapters, lines_of(pages, book), images, choice, generation])[:16]


class Paragraphs(BookOperation):
    """Paragraphs, headings, notes, captions and figures."""

    name = "paragraph"
    target_schemas = (Paragraph, Book)
    requires = ("structure", "label", "blend")
    work_activity = "find_paragraphs"
    save_activity = "save_paragraphs"
    title = "paragraphs, notes and figures"

    def inputs(self, state: JobState, records: Records, generation: int) -> str:
        return paragraph_inputs(records.pages, records.book, self.choice(state), generation)


PARAGRAPH = Paragraphs()
