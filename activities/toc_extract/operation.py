"""Plan of `toc_extract`."""

from __future__ import annotations

from collections.abc import Mapping

from activities.metadata.operation import texts_of
from activities.operation import BookOperation, Records
from activities.state import JobState
from schemas.documents import Document, ToC, TocEntry
from schemas.store import digest


def toc_extract_inputs(
    pages: Mapping[int, Document], book: Document | None, toc: Document | None, choice: str, generation: int
) -> str:
    """The contents pages, the labels, and every page on which a title may be found."""
    return digest(
        [
            toc.flag("toc_find", "artifact") if toc is not None else None,
            book.flag("label", "artifact") if book is not None else None,
            texts_of(pages, sorted(pages)),
            choice,
            generation,
        ]
    )[:16]


class TocExtract(BookOperation):
    """The entries of the contents, verified on their pages."""

    name = "toc_extract"
    target_schemas = (TocEntry, ToC)
    requires = ("toc_find", "label", "blend")
    work_activity = "extract_contents"
    save_activity = "save_toc_entries"
    title = "the entries of the contents"

    def inputs(self, state: JobState, records: Records, generation: int) -> str:
        return toc_extract_inputs(records.pages, records.book, records.toc, self.choice(state), generation)


TOC_EXTRACT = TocExtract()
