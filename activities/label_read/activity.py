"""Work and save of `label_read`."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from temporalio import activity

from activities.contracts import SaveInput, SaveResult, UnitInput, WorkResult
from activities.label_read.operation import LABEL_READ, label_read_inputs
from activities.operation import stored_generation
from activities.save import Loaded, save, update_pages
from activities.services import Services
from activities.work import Item, Produced, request_of, work
from providers.rules import REVISION
from providers.rules.labels import propose
from schemas.documents import Document, Page
from schemas.errors import ArtifactMissing
from schemas.reading import PageReading
from schemas.store import Written


class LabelReadActivities:
    """Proposes from the blended reading of each page."""

    def __init__(self, services: Services) -> None:
        self.services = services

    @activity.defn(name=LABEL_READ.work_activity)
    async def read_labels(self, job: UnitInput) -> WorkResult:
        """Candidates for the printed number and the header of each page."""

        async def items() -> Sequence[Item]:
            documents = await self.services.pages(job.book_id, job.unit)
            return [self._item(job, page, document) for page, document in documents.items()]

        return await work(self.services, job, items)

    def _item(self, job: UnitInput, page: int, document: Page) -> Item:
        generation = stored_generation(document, LABEL_READ.name, job.generation)
        blended = str(document.flag("blend", "artifact") or "")

        async def call() -> Produced:
            body = await asyncio.to_thread(self.services.artifacts.get, blended)
            if body is None:
                raise ArtifactMissing(
                    f"The blended text of page {page} of {job.book_id} is not in the artifact store.",
                    f"Blend it again: `shelf process {job.book_id} --pages {page} --from blend`.",
                )
            return Produced(propose(PageReading.from_json(body)).model_dump_json().encode(), model=f"rules/{REVISION}")

        return Item(
            item=page,
            request=request_of(job, f"rules/{REVISION}", [blended], generation),
            inputs=label_read_inputs(blended or None, job.choice, generation),
            call=call,
            earlier=str(document.flag(LABEL_READ.name, "artifact") or ""),
        )

    @activity.defn(name=LABEL_READ.save_activity)
    async def save_label_proposals(self, job: SaveInput) -> SaveResult:
        """The proposals stay in their artifact; the page names it."""

        async def write(items: Sequence[Loaded]) -> list[tuple[type[Document], Written, str]]:
            return await update_pages(self.services, job, items, lambda item: {})

        return await save(self.services, job, write, Page)
