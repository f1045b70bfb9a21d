"""Plan of `label_read`."""

from __future__ import annotations

from activities.operation import PageOperation, Records, current, generation
from activities.state import JobState
from schemas.documents import Page
from schemas.store import digest


def label_read_inputs(blend_artifact: str | None, choice: str, generation: int) -> str:
    """The blended text that is looked at."""
    return digest([blend_artifact, choice, generation])[:16]


class LabelRead(PageOperation):
    """Candidates for a page's number and header."""

    name = "label_read"
    target_schemas = (Page,)
    requires = ("blend",)
    work_activity = "read_labels"
    save_activity = "save_label_proposals"
    title = "candidates for page numbers and headers"

    def load(self, state: JobState, records: Records) -> None:
        own = state.of(self.name)
        choice = self.choice(state)
        for page in state.pages:
            document = records.pages.get(page)
            if document is not None and current(
                document,
                self.name,
                label_read_inputs(document.flag("blend", "artifact"), choice, generation(document, self.name, state)),
            ):
                own.complete.add(page)


LABEL_READ = LabelRead()
