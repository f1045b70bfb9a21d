"""Plan of `label`."""

from __future__ import annotations

from collections.abc import Mapping

from activities.contracts import BOOK_ITEM
from activities.operation import BookOperation, Records, current, generation
from activities.state import JobState
from schemas.documents import Book, Document, Page
from schemas.store import digest


def label_inputs(pages: Mapping[int, Document], choice: str, generation: int) -> str:
    """All pages of the book count, not only those asked for: the sequence runs over all that is known."""
    return digest(
        [[page, pages[page].flag("label_read", "artifact")] for page in sorted(pages)] + [choice, generation]
    )[:16]


class Label(BookOperation):
    """Printed numbers, headers and page types as one sequence over the book."""

    name = "label"
    target_schemas = (Page, Book)
    requires = ("label_read",)
    work_activity = "infer_labels"
    save_activity = "save_labels"
    title = "page numbers, headers and page types"

    def load(self, state: JobState, records: Records) -> None:
        inputs = label_inputs(records.pages, self.choice(state), generation(records.book, self.name, state))
        if current(records.book, self.name, inputs):
            state.of(self.name).complete.add(BOOK_ITEM)


LABEL = Label()
