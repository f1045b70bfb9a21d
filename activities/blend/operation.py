"""Plan of `blend`."""

from __future__ import annotations

from collections.abc import Sequence

from activities.contracts import WorkUnit
from activities.corrections import TEXT, with_corrections
from activities.operation import PageOperation, Records, current, generation
from activities.state import JobState
from schemas.documents import Page
from schemas.pagespec import format_pages
from schemas.store import digest

CORRECTED = "corrected"
"""Section: pages whose text a person gave. They need no reading, but wait for one that is under way."""


def blend_inputs(ocr_results: Sequence[str] | None, choice: str, generation: int, correction: str = "") -> str:
    """The readings that are blended, the choice of who blends, and what a person says of the text."""
    return digest(with_corrections([list(ocr_results or ()), choice, generation], correction))[:16]


class Blend(PageOperation):
    """The best text of a page from all its readings."""

    name = "blend"
    target_schemas = (Page,)
    requires = ("ocr",)
    work_activity = "blend_pages"
    save_activity = "save_blended_text"
    title = "blending the readings"
    eager = True

    def create_work_units(self, state: JobState) -> list[WorkUnit]:
        """Each unit names all pages of its range: their words are the lexicon for those that were read more than once."""
        pages = format_pages(state.pages)
        return [unit.model_copy(update={"scope": pages}) for unit in super().create_work_units(state)]

    def ready(self, state: JobState, item: int) -> bool:
        if self._corrected(state, item):
            return all(state.settled(flag, item) for flag in self.requires)
        return super().ready(state, item)

    def blockers(self, state: JobState, item: int) -> str:
        return "" if self._corrected(state, item) else super().blockers(state, item)

    def _corrected(self, state: JobState, page: int) -> bool:
        return page in state.of(self.name).pages(CORRECTED)

    def load(self, state: JobState, records: Records) -> None:
        own = state.of(self.name)
        choice = self.choice(state)
        for page in state.pages:
            document = records.pages.get(page)
            if not isinstance(document, Page):
                continue
            if records.corrections.has(document.key, TEXT):
                own.add_pages(CORRECTED, [page])
            said = records.corrections.digest_of(document.key, [TEXT])
            inputs = blend_inputs(document.ocr_results, choice, generation(document, self.name, state), said)
            if current(document, self.name, inputs):
                own.complete.add(page)


BLEND = Blend()
