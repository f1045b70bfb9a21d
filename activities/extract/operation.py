"""Plan of `extract`."""

from __future__ import annotations

from activities.contracts import UnitResult, WorkUnit
from activities.corrections import IMAGE_STEPS, with_corrections
from activities.operation import PageOperation, Records, current, generation
from activities.state import JobState
from providers.image_steps import AUTO, REVISION
from schemas.documents import Page
from schemas.pagespec import parse_pages
from schemas.store import digest

FIRST_PAGES = 3
"""As many as `ocr` sends first."""

TEXT_LAYER = "text_layer"
"""Section: pages whose text layer is good."""


def extract_inputs(leaf: str, choice: str, generation: int, correction: str = "") -> str:
    """What the facts of a leaf follow from: who it is, for its file cannot change under a book's key, whether its picture
    is looked at, and what a person says of that.

    Not where it stands: a leaf that moves is the same picture. Its position is written when the job takes the book
    (`activities/placing.py`), so that an inserted page costs one reading and no second look at those behind it."""
    return digest(with_corrections([leaf, choice, generation], correction))[:16]


class Extract(PageOperation):
    """What each leaf is, without reading it."""

    name = "extract"
    target_schemas = (Page,)
    work_activity = "extract_pages"
    save_activity = "save_pages"
    title = "page geometry and text layers"
    linger = False

    def choice(self, state: JobState) -> str:
        """The user's, and by which rules pictures are judged today."""
        return f"{AUTO}/{REVISION}" if state.config.images == AUTO else state.config.images

    def create_work_units(self, state: JobState) -> list[WorkUnit]:
        """The first pages of the book go ahead of the rest: to look at a page takes 50 ms, and the engines wait."""
        units = super().create_work_units(state)
        ahead = units[0].pages[:FIRST_PAGES] if units else ()
        if state.of(self.name).planned or ahead[:1] != tuple(parse_pages(state.config.pages)[:1]):
            return units
        pages = [page for unit in units for page in unit.pages]
        size = state.config.providers[self.provider(state)].batch_pages
        return [
            *self.batches(state, self.provider(state), list(ahead), FIRST_PAGES),
            *self.batches(state, self.provider(state), pages[FIRST_PAGES:], size),
        ]

    def handle_result(self, state: JobState, result: UnitResult) -> list[WorkUnit]:
        state.of(self.name).add_pages(
            TEXT_LAYER, (page for page, outcome in result.done.items() if outcome.figures.get("text_layer") == "good")
        )
        return super().handle_result(state, result)

    def load(self, state: JobState, records: Records) -> None:
        own = state.of(self.name)
        for page in state.pages:
            document = records.pages.get(page)
            said = records.corrections.digest_of(document.key, [IMAGE_STEPS]) if document is not None else ""
            inputs = extract_inputs(
                state.leaves[page], self.choice(state), generation(document, self.name, state), said
            )
            if current(document, self.name, inputs):
                own.complete.add(page)
                if isinstance(document, Page) and document.text_layer == "good":
                    own.add_pages(TEXT_LAYER, [page])


EXTRACT = Extract()
