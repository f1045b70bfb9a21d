"""Plan of `label`."""

from __future__ import annotations

from collections.abc import Mapping

from activities.corrections import LABEL_FIELDS, Corrections, with_corrections
from activities.operation import BookOperation, Records
from activities.state import JobState
from schemas.documents import Book, Document, Page
from schemas.store import digest


def label_inputs(
    pages: Mapping[int, Document], choice: str, generation: int, corrections: Corrections | None = None
) -> str:
    """All pages of the book count, not only those asked for: the sequence runs over all that is known. With their
    keys, for two leaves may look alike (blank ones) and have changed places. And what people say of any of them."""
    return digest(
        with_corrections(
            [[page, pages[page].key, pages[page].flag("label_read", "artifact")] for page in sorted(pages)]
            + [choice, generation],
            *said_of_labels(pages, corrections or Corrections()),
        )
    )[:16]


def said_of_labels(pages: Mapping[int, Document], corrections: Corrections) -> list[str]:
    """What people say of numbers, types and headers: page and hash, of the pages of which they do."""
    return [
        f"{page}:{said}" for page in sorted(pages) if (said := corrections.digest_of(pages[page].key, LABEL_FIELDS))
    ]


class Label(BookOperation):
    """Printed numbers, headers and page types as one sequence over the book."""

    name = "label"
    target_schemas = (Page, Book)
    requires = ("label_read",)
    work_activity = "infer_labels"
    save_activity = "save_labels"
    title = "page numbers, headers and page types"

    def inputs(self, state: JobState, records: Records, generation: int) -> str:
        return label_inputs(records.pages, self.choice(state), generation, records.corrections)


LABEL = Label()
