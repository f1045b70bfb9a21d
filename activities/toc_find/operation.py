"""Plan of `toc_find`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from activities.contracts import BOOK_ITEM, UnitResult, WorkUnit
from activities.corrections import types_said, with_corrections
from activities.metadata.operation import each_type, texts_of
from activities.operation import BookOperation, Records
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
    agent = "ContentsAgent"
    title = "the contents pages"
    kinds = ("toc",)

    def reads(self, state: JobState) -> tuple[int, ...]:
        """The first pages, and the last ones: French books have their contents there."""
        last = BookOperation.reads(self, state)[-LAST_PAGES:]
        return tuple(sorted({*self.first_pages(state, state.config.contents_pages), *last}))

    def handle_result(self, state: JobState, result: UnitResult) -> list[WorkUnit]:
        """A look that did not decide is not saved (`save_toc`): an agent goes on. After a crash between the two the look is
        found published, and leads here again."""
        looked = result.done.get(BOOK_ITEM)
        if looked is not None and looked.figures.get("unsure") and not result.unit.agent:
            # Under this name its price is known (`activities/choosing.py`).
            return [result.unit.model_copy(update={"agent": True, "variant": "agent", "single": False})]
        return super().handle_result(state, result)

    def inputs(self, state: JobState, records: Records, generation: int) -> str:
        wanted = self.reads(state)
        return toc_find_inputs(
            state.config.manifest,
            records.pages,
            wanted,
            self.choice(state),
            generation,
            types_said(records.corrections, records.pages, wanted),
        )


TOC_FIND = TocFind()
