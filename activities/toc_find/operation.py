"""Plan of `toc_find`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from activities.contracts import BOOK_ITEM
from activities.metadata.operation import texts_of
from activities.operation import BookOperation, Records, current, generation
from activities.state import JobState
from schemas.documents import Document, ToC
from schemas.store import digest


def toc_find_inputs(
    manifest: str, pages: Mapping[int, Document], wanted: Iterable[int], choice: str, generation: int
) -> str:
    """The files (for their outline) and the texts of the pages that are looked at."""
    return digest([manifest, texts_of(pages, wanted), choice, generation])[:16]


class TocFind(BookOperation):
    """Where the contents are."""

    name = "toc_find"
    target_schemas = (ToC,)
    requires = ("blend",)
    work_activity = "find_contents"
    save_activity = "save_toc"
    title = "the contents pages"

    def reads(self, state: JobState) -> tuple[int, ...]:
        return state.pages[: state.config.contents_pages]

    def load(self, state: JobState, records: Records) -> None:
        inputs = toc_find_inputs(
            state.config.manifest,
            records.pages,
            self.reads(state),
            self.choice(state),
            generation(records.toc, self.name, state),
        )
        if current(records.toc, self.name, inputs):
            state.of(self.name).complete.add(BOOK_ITEM)


TOC_FIND = TocFind()
