"""Work and save of `blend`."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from temporalio import activity

from activities.blend.operation import BLEND, blend_inputs
from activities.contracts import SaveInput, SaveResult, UnitInput, WorkResult
from activities.operation import stored_generation
from activities.save import Loaded, save, update_pages
from activities.services import Services
from activities.work import Item, Produced, work
from providers.artifacts import Request
from providers.vote import REVISION, agreement, blend
from schemas.documents import Document, OcrResult, Page
from schemas.errors import ArtifactMissing
from schemas.reading import PageReading
from schemas.store import Written


class BlendActivities:
    """Blends on the vote's queue, saves on the store's."""

    def __init__(self, services: Services) -> None:
        self.services = services

    @activity.defn(name=BLEND.work_activity)
    async def blend_pages(self, job: UnitInput) -> WorkResult:
        """One reading from all readings of each page."""

        async def items() -> Sequence[Item]:
            documents = await self.services.pages(job.book_id, job.unit.pages, job.unit.leaves)
            keys = [key for document in documents.values() for key in document.ocr_results or ()]
            results = await self.services.store.get(OcrResult, keys, ["provider", "artifact"])
            return [self._item(job, page, document, results) for page, document in documents.items()]

        return await work(self.services, job, items)

    def _item(self, job: UnitInput, page: int, document: Page, results: Mapping[str, OcrResult]) -> Item:
        generation = stored_generation(document, BLEND.name, job.generation)
        artifacts = tuple(str(results[key].artifact) for key in document.ocr_results or () if key in results)

        async def call() -> Produced:
            readings = await asyncio.gather(*(asyncio.to_thread(self._reading, artifact) for artifact in artifacts))
            blended = await asyncio.to_thread(blend, readings)
            return Produced(blended.to_json(), model=f"vote/{REVISION}")

        return Item(
            item=page,
            request=Request(
                operation=BLEND.name,
                provider=job.unit.provider,
                model=f"vote/{REVISION}",
                parameters={},
                inputs=artifacts,
                generation=generation,
            ),
            inputs=blend_inputs(document.ocr_results, job.choice, generation),
            call=call,
        )

    def _reading(self, artifact: str) -> PageReading:
        body = self.services.artifacts.get(artifact)
        if body is None:
            raise ArtifactMissing(
                f"The reading {artifact[:12]} is not in the artifact store.",
                "Read the page again with `shelf process --fresh`.",
            )
        return PageReading.from_json(body)

    @activity.defn(name=BLEND.save_activity)
    async def save_blended_text(self, job: SaveInput) -> SaveResult:
        """The best text of each page."""

        def fields(item: Loaded) -> Mapping[str, Any]:
            reading = PageReading.from_json(item.body)
            share = agreement(reading)
            return {
                "text": reading.text,
                "confidence": None if reading.confidence is None else round(reading.confidence, 1),
                "agreement": None if share is None else round(share, 4),
            }

        async def write(items: Sequence[Loaded]) -> list[tuple[type[Document], Written, str]]:
            return await update_pages(self.services, job, items, fields)

        return await save(self.services, job, write, Page)
