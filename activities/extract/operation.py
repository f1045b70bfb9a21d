"""Plan of `extract`."""

from __future__ import annotations

from activities.contracts import UnitResult, WorkUnit
from activities.operation import PageOperation, Records, current, generation
from activities.state import JobState
from schemas.documents import Page
from schemas.store import digest

TEXT_LAYER = "text_layer"
"""Section: pages whose text layer is good."""


def extract_inputs(leaf: str, page: int, generation: int) -> str:
    """What the facts of a leaf follow from: who it is (its file cannot change under a book's key) and where it stands.

    Not the whole manifest: a leaf that is inserted moves those behind it and leaves those before it alone."""
    return digest([leaf, page, generation])[:16]


class Extract(PageOperation):
    """What each leaf is, without reading it."""

    name = "extract"
    target_schemas = (Page,)
    work_activity = "extract_pages"
    save_activity = "save_pages"
    title = "page geometry and text layers"
    linger = False

    def handle_result(self, state: JobState, result: UnitResult) -> list[WorkUnit]:
        state.of(self.name).add_pages(
            TEXT_LAYER, (page for page, outcome in result.done.items() if outcome.figures.get("text_layer") == "good")
        )
        return super().handle_result(state, result)

    def load(self, state: JobState, records: Records) -> None:
        own = state.of(self.name)
        for page in state.pages:
            document = records.pages.get(page)
            inputs = extract_inputs(state.leaves[page], page, generation(document, self.name, state))
            if current(document, self.name, inputs):
                own.complete.add(page)
                if isinstance(document, Page) and document.text_layer == "good":
                    own.add_pages(TEXT_LAYER, [page])


EXTRACT = Extract()
