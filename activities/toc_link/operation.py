"""Plan of `toc_link`."""

from __future__ import annotations

from collections.abc import Mapping

from activities.operation import BookOperation, Records
from activities.state import JobState
from schemas.documents import Document, ToC
from schemas.store import digest


def lines_of(pages: Mapping[int, Document], book: Document | None) -> list[object]:
    """What the structure of a book is read from: each leaf's text in its place, and the labels."""
    return [
        *([page, pages[page].key, pages[page].flag("blend", "artifact")] for page in sorted(pages)),
        book.flag("label", "artifact") if book is not None else None,
    ]


def toc_link_inputs(
    pages: Mapping[int, Document], book: Document | None, toc: Document | None, choice: str, generation: int
) -> str:
    """The live set of entries, the labels, and every page on which a title may stand."""
    live = [toc.current_set, toc.pages] if isinstance(toc, ToC) else None
    return digest([live, lines_of(pages, book), choice, generation])[:16]


class TocLink(BookOperation):
    """Every entry of the contents to its leaf."""

    name = "toc_link"
    target_schemas = (ToC,)
    requires = ("toc_extract", "label", "blend")
    work_activity = "link_contents"
    save_activity = "save_links"
    title = "the leaf of each entry"

    def inputs(self, state: JobState, records: Records, generation: int) -> str:
        return toc_link_inputs(records.pages, records.book, records.toc, self.choice(state), generation)


TOC_LINK = TocLink()
