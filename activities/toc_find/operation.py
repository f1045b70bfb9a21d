"""Plan of `toc_find`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from activities.contracts import BOOK_ITEM
from activities.corrections import types_said, with_corrections
from activities.metadata.operation import each_type, texts_of
from activities.operation import BookOperation, Records, current, generation
from activities.state import JobState
from schemas.documents import Document, ToC
from schemas.store import digest


def toc_find_inputs(
    manifest: str,
    pages: Mapping[int, Document],
    wanted: Iterable[int],
    choice: str,
    generation: int,
    types: Mapping[int, str],
) -> str:
    """The files (for their outline), the texts of the pages that are looked at, and what people say that they are."""
    inputs = [manifest, texts_of(pages, wanted), choice, generation]
    return digest(with_corrections(inputs, *each_type(types)))[:16]


LAST_PAGES = 12
"""Of a book: contents, advertisements of the publisher, an empty leaf."""


class TocFind(BookOperation):
    """Where the contents are."""

    name = "toc_find"
    target_schemas = (ToC,)
    requires = ("blend",)
    work_activity = "find_contents"
    save_activity = "save_toc"
    title = "the contents pages"
    kinds = ("toc",)

    def reads(self, state: JobState) -> tuple[int, ...]:
        """The first pages, and the last ones: French books have their contents there."""
        last = BookOperation.reads(self, state)[-LAST_PAGES:]
        return tuple(sorted({*self.first_pages(state, state.config.contents_pages), *last}))

    def load(self, state: JobState, records: Records) -> None:
        self.note_said(state, records)
        wanted = self.reads(state)
        inputs = toc_find_inputs(
            state.config.manifest,
            records.pages,
            wanted,
            self.choice(state),
            generation(records.toc, self.name, state),
            types_said(records.corrections, records.pages, wanted),
        )
        if current(records.toc, self.name, inputs):
            state.of(self.name).complete.add(BOOK_ITEM)


TOC_FIND = TocFind()
