"""Work and save of `ocr`."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from temporalio import activity

from activities.contracts import SaveInput, SaveResult, UnitInput, WorkResult
from activities.ocr.operation import ADDED, OCR, SECOND, ocr_inputs
from activities.operation import stored_generation
from activities.save import RESULT, Loaded, save, update_pages
from activities.services import Services
from activities.work import Item, Produced, request_of, work
from providers.image_steps import ImageSteps
from providers.ledger import Calls
from providers.lexicon import Lexicon
from providers.source import Manifest
from providers.vote import expected_cer
from schemas import telemetry
from schemas.documents import Document, OcrResult, Page
from schemas.errors import ArtifactMissing
from schemas.keys import ocr_result_key
from schemas.reading import PageReading
from schemas.store import Saved, Written, op_id

STEPS = {"": RESULT, SECOND: 2, ADDED: 3}
"""Step of a save by why the page was read."""

ADDED_FLAGS = ("complete", "error")
"""What an added reading says of a page: no more, so that the page's flag still tells how it was first read."""
KNOWN_FLAGS = ("complete", "inputs", "generation", "error")
"""What is said of a page whose reading is the one that it had; the artifact is that of the last one saved."""


class OcrActivities:
    """Reads with any provider that reads pages."""

    def __init__(self, services: Services) -> None:
        self.services = services

    @activity.defn(name=OCR.work_activity)
    async def ocr_pages(self, job: UnitInput) -> WorkResult:
        """Read each page with the unit's provider."""

        async def items() -> Sequence[Item]:
            manifest = await self.services.manifest(job.manifest)
            documents = await self.services.pages(job.book_id, job.unit)
            # In threads: the file of a page may have to be fetched first.
            return [
                await asyncio.to_thread(self._item, job, manifest, page, documents.get(page)) for page in job.unit.pages
            ]

        return await work(self.services, job, items)

    def _item(self, job: UnitInput, manifest: Manifest, page: int, document: Page | None) -> Item:
        if document is None:
            raise ArtifactMissing(f"Page {page} of {job.book_id} has no document, although `extract` is complete.")
        local = self.services.providers.get(job.unit.provider)
        remote = self.services.remote.get(job.unit.provider)
        provider = local or remote
        assert provider is not None, f"{job.unit.provider} reads no pages"
        leaf = self.services.leaf(manifest, job.book_id, page, document)
        generation = stored_generation(document, OCR.name, job.generation)

        model = provider.model(job.language)
        steps = ImageSteps.from_json(document.image_steps)
        effect = steps.effect()

        async def call() -> Produced:
            if local is None or steps.blank:
                # Nobody is asked, and nobody paid, to read nothing.
                return Produced(_nothing(document, provider.name, model, job.language).to_json(), model=model)
            reading = await local.read(leaf, job.language, job.page_timeout_seconds)
            return Produced(reading.page.to_json(), model=reading.page.model)

        async def ask(calls: Calls) -> Produced:
            assert remote is not None
            reading = await remote.read(leaf, job.language, job.page_timeout_seconds, calls)
            return Produced(reading.page.to_json(), model=reading.page.model)

        return Item(
            item=page,
            request=request_of(
                job,
                model,
                [document.image_hash or ""],
                generation,
                {
                    **provider.parameters(),
                    "language": job.language,
                    **({"image_steps": effect} if effect else {}),
                },
            ),
            inputs=ocr_inputs(document.image_hash, job.choice, generation, effect),
            call=call,
            ask=None if local is not None or steps.blank else ask,
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
            # A reading that the page has already: planned again for its flag alone, beside others that may have been
            # added since.
            known = {key for key, result in results.items() if result.key in (pages[key].ocr_results or [])}
            new = [result for key, result in results.items() if key not in known]
            created = await self.services.store.create(OcrResult, new)
            for result, done in zip(new, created, strict=True):
                if done.outcome is Saved.SAVED:
                    telemetry.confidence_saved(OCR.name, job.unit.provider, result.confidence)
            marks = {result.key: str(result.op_id) for result in new}

            def fields(item: Loaded) -> Mapping[str, Any]:
                if item.key in known:
                    return {}
                others = (pages[item.key].ocr_results or []) if added and item.key in pages else []
                # One reading of each provider: a newer one takes the place of its elder.
                mine = f"/ocr/{job.unit.provider}/"
                result = results[item.key].key if item.key in results else ""
                return {"ocr_results": [*(key for key in others if mine not in key), result]}

            flags = ADDED_FLAGS if job.unit.variant == ADDED else None
            first = [item for item in items if item.key not in known]
            again = [item for item in items if item.key in known]
            return [
                *((OcrResult, done, marks[done.key]) for done in created),
                *await update_pages(self.services, job, first, fields, step, flags),
                *await update_pages(self.services, job, again, fields, step, flags or KNOWN_FLAGS),
            ]

        # Where a further reading fails, the page keeps what it has: the job's result names it, the page did not fail.
        return await save(self.services, job, write, None if added else Page)


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
        expected_cer=_number(item.outcome.figures.get("expected_cer")),
        image_hash=page.image_hash,
        artifact=item.outcome.artifact,
        generation=item.outcome.generation,
        op_id=op_id(job.epoch, OCR.name, step, item.outcome.artifact),
    )


def _nothing(page: Page, provider: str, model: str, language: str) -> PageReading:
    """The reading of a blank page, for which no engine is asked."""
    return PageReading(provider, page.width or 0.0, page.height or 0.0, model=model, language=language)


def _figures(body: bytes) -> dict[str, float | int | str | bool]:
    """What the choice of pages for a second opinion goes by."""
    reading = PageReading.from_json(body)
    return {"expected_cer": expected_cer(reading, Lexicon(reading.language))}


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) else None
