"""Work and save of `label_read`."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from temporalio import activity

from activities.asking import Asked, is_asked, model_item, prompt_of
from activities.contracts import SaveInput, SaveResult, UnitInput, WorkResult
from activities.corrections import read_corrections
from activities.label_read.operation import LABEL_READ, label_read_inputs
from activities.label_read.schema import PageLabels, problems, question, weighed
from activities.operation import stored_generation
from activities.prompts import Prompt
from activities.save import Loaded, save, update_pages
from activities.services import Services
from activities.work import Item, Produced, request_of, work
from providers.image_steps import ImageSteps
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
            items = [self._item(job, page, document) for page, document in documents.items()]
            if not is_asked(self.services, job):
                return items
            corrections = await read_corrections(self.services.store, job.book_id)
            prompt = await prompt_of(self.services.artifacts, corrections, job.book_id, LABEL_READ.name)
            return [self._asked(job, item, documents[item.item], prompt) for item in items]

        return await work(self.services, job, items)

    def _item(self, job: UnitInput, page: int, document: Page) -> Item:
        generation = stored_generation(document, LABEL_READ.name, job.generation)
        blended = str(document.flag("blend", "artifact") or "")

        async def call() -> Produced:
            reading = await self._reading(job, page, document)
            return Produced(propose(reading).model_dump_json().encode(), model=f"rules/{REVISION}")

        return Item(
            item=page,
            request=request_of(job, f"rules/{REVISION}", [blended], generation),
            inputs=label_read_inputs(blended or None, job.choice, generation),
            call=call,
            earlier=str(document.flag(LABEL_READ.name, "artifact") or ""),
        )

    def _asked(self, job: UnitInput, item: Item, document: Page, prompt: Prompt) -> Item:
        """The same by a model, which is not asked for an empty page."""
        if ImageSteps.from_json(document.image_steps).blank:
            return item

        async def answer(asked: Asked) -> bytes:
            reading = await self._reading(job, item.item, document)
            proposal = propose(reading)
            image = await asked.picture(item.item, document)
            if not reading.lines and not image:
                return proposal.model_dump_json().encode()
            labels = await asked.answer(PageLabels, question(reading), image, check=problems, max_tokens=500)
            return weighed(proposal, labels, reading, seen=bool(image)).model_dump_json().encode()

        return model_item(self.services, job, prompt, item, answer=answer, also=[document.image_hash or ""])

    async def _reading(self, job: UnitInput, page: int, document: Page) -> PageReading:
        body = await asyncio.to_thread(self.services.artifacts.get, str(document.flag("blend", "artifact") or ""))
        if body is None:
            raise ArtifactMissing(
                f"The blended text of page {page} of {job.book_id} is not in the artifact store.",
                f"Blend it again: `shelf process {job.book_id} --pages {page} --from blend`.",
            )
        return PageReading.from_json(body)

    @activity.defn(name=LABEL_READ.save_activity)
    async def save_label_proposals(self, job: SaveInput) -> SaveResult:
        """The proposals stay in their artifact; the page names it."""

        async def write(items: Sequence[Loaded]) -> list[tuple[type[Document], Written, str]]:
            return await update_pages(self.services, job, items, lambda item: {})

        return await save(self.services, job, write, Page)
