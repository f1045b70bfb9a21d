"""Work and save of `ocr`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from temporalio import activity

from activities.contracts import SaveInput, SaveResult, UnitInput, WorkResult
from activities.ocr.operation import ADDED, OCR, SECOND, ocr_inputs
from activities.operation import stored_generation
from activities.save import RESULT, Loaded, save, update_pages
from activities.services import Services
from activities.work import Item, Produced, work
from providers.artifacts import Request
from providers.source import Manifest
from schemas.documents import Document, OcrResult, Page
from schemas.errors import ArtifactMissing
from schemas.keys import ocr_result_key
from schemas.reading import PageReading
from schemas.store import Written, op_id

STEPS = {"": RESULT, SECOND: 2, ADDED: 3}
"""Step of a save by why the page was read."""


class OcrActivities:
    """Reads with any provider that reads pages."""

    def __init__(self, services: Services) -> None:
        self.services = services

    @activity.defn(name=OCR.work_activity)
    async def ocr_pages(self, job: UnitInput) -> WorkResult:
        """Read each page with the unit's provider."""

        async def items() -> Sequence[Item]:
            manifest = await self.services.manifest(job.manifest)
            documents = await self.services.pages(job.book_id, job.unit.pages, job.unit.leaves)
            return [self._item(job, manifest, page, documents.get(page)) for page in job.unit.pages]

        return await work(self.services, job, items)

    def _item(self, job: UnitInput, manifest: Manifest, page: int, document: Page | None) -> Item:
        if document is None:
            raise ArtifactMissing(f"Page {page} of {job.book_id} has no document, although `extract` is complete.")
        provider = self.services.providers[job.unit.provider]
        leaf = self.services.leaf(manifest, job.book_id, page, document)
        generation = stored_generation(document, OCR.name, job.generation)

        async def call() -> Produced:
            reading = await provider.read(leaf, job.language, job.page_timeout_seconds)
            return Produced(reading.page.to_json(), model=reading.page.model, cost_usd=reading.cost_usd)

        return Item(
            item=page,
            request=Request(
                operation=OCR.name,
                provider=provider.name,
                model=provider.model(job.language),
                parameters={**provider.parameters(), "language": job.language},
                inputs=(document.image_hash or "",),
                generation=generation,
            ),
            inputs=ocr_inputs(document.image_hash, job.choice, generation),
            call=call,
            figures=_figures,
        )

    @activity.defn(name=OCR.save_activity)
    async def save_ocr_results(self, job: SaveInput) -> SaveResult:
        """An immutable OcrResult per reading; the page names those that count."""
        added = job.unit.variant in (SECOND, ADDED)
        step = STEPS[job.unit.variant]

        async def write(items: Sequence[Loaded]) -> list[tuple[type[Document], Written, str]]:
            pages = await self.services.store.get(Page, [item.key for item in items], ["image_hash", "ocr_results"])
            results = {item.key: _result(job, item, pages[item.key], step) for item in items if item.key in pages}
            created = await self.services.store.create(OcrResult, list(results.values()))
            marks = {result.key: str(result.op_id) for result in results.values()}

            def fields(item: Loaded) -> Mapping[str, Any]:
                known = (pages[item.key].ocr_results or []) if added and item.key in pages else []
                new = results[item.key].key if item.key in results else ""
                # One reading of each provider: a newer one takes the place of its elder.
                mine = f"/ocr/{job.unit.provider}/"
                return {"ocr_results": [*(key for key in known if mine not in key), new]}

            return [(OcrResult, done, marks[done.key]) for done in created] + await update_pages(
                self.services, job, items, fields, step, ("complete", "error") if job.unit.variant == ADDED else None
            )

        return await save(self.services, job, write, Page)


def _result(job: SaveInput, item: Loaded, page: Page, step: int) -> OcrResult:
    reading = PageReading.from_json(item.body)
    confidence = reading.confidence
    return OcrResult(
        key=ocr_result_key(item.key, job.unit.provider, item.outcome.artifact),
        book_key=job.book_id,
        page_key=item.key,
        provider=job.unit.provider,
        model=reading.model,
        language=reading.language,
        text=reading.text,
        confidence=None if confidence is None else round(confidence, 1),
        image_hash=page.image_hash,
        artifact=item.outcome.artifact,
        generation=item.outcome.generation,
        op_id=op_id(job.epoch, OCR.name, step, item.outcome.artifact),
    )


def _figures(body: bytes) -> dict[str, float | int | str | bool]:
    confidence = PageReading.from_json(body).confidence
    return {} if confidence is None else {"confidence": round(confidence, 1)}
