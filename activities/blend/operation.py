"""Plan of `blend`."""

from __future__ import annotations

from collections.abc import Sequence

from activities.operation import PageOperation, Records, current, generation
from activities.state import JobState
from schemas.documents import Page
from schemas.store import digest


def blend_inputs(ocr_results: Sequence[str] | None, choice: str, generation: int) -> str:
    """The readings that are blended, and the choice of who blends."""
    return digest([list(ocr_results or ()), choice, generation])[:16]


class Blend(PageOperation):
    """The best text of a page from all its readings."""

    name = "blend"
    target_schemas = (Page,)
    requires = ("ocr",)
    work_activity = "blend_pages"
    save_activity = "save_blended_text"
    title = "blending the readings"
    eager = True

    def load(self, state: JobState, records: Records) -> None:
        own = state.of(self.name)
        choice = self.choice(state)
        for page in state.pages:
            document = records.pages.get(page)
            if isinstance(document, Page) and current(
                document,
                self.name,
                blend_inputs(document.ocr_results, choice, generation(document, self.name, state)),
            ):
                own.complete.add(page)


BLEND = Blend()
