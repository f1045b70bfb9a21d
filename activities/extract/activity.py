"""Work and save of `extract`."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pydantic_core
from temporalio import activity

from activities.contracts import SaveInput, SaveResult, UnitInput, WorkResult
from activities.corrections import IMAGE_STEPS, Corrections, read_corrections
from activities.extract.operation import EXTRACT, extract_inputs
from activities.operation import stored_generation
from activities.save import RESULT, Loaded, page_updates, save, update_pages
from activities.services import Services
from activities.work import Item, Produced, request_of, work
from providers.image_steps import OFF
from providers.pdf import PdfReader
from providers.source import Manifest
from schemas.documents import Document, Page
from schemas.store import Written, first_write

REVISION = 2
"""Of what is looked at; a change makes new artifacts where pages are extracted again."""

FACTS = ("width", "height", "rotation", "image_hash", "text_layer", "text_layer_reason", "image_steps")
"""What an artifact says of a leaf, as fields of its Page."""


class ExtractActivities:
    """Looks at leaves in the PDF process, saves their pages."""

    def __init__(self, services: Services, pdf: PdfReader) -> None:
        self.services = services
        self.pdf = pdf

    @activity.defn(name=EXTRACT.work_activity)
    async def extract_pages(self, job: UnitInput) -> WorkResult:
        """Geometry, rotation, image hash and quality of the text layer of each leaf; what is wrong with its picture."""

        async def items() -> Sequence[Item]:
            manifest = await self.services.manifest(job.manifest)
            documents = await self.services.pages(job.book_id, job.unit)
            corrections = await read_corrections(self.services.store, job.book_id)
            # In threads: the file of a page may have to be fetched first.
            return [
                await asyncio.to_thread(self._item, job, manifest, page, documents.get(page), corrections)
                for page in job.unit.pages
            ]

        return await work(self.services, job, items)

    def _item(
        self, job: UnitInput, manifest: Manifest, page: int, document: Page | None, corrections: Corrections
    ) -> Item:
        leaf = self.services.leaf(manifest, job.book_id, page, document)
        generation = stored_generation(document, EXTRACT.name, job.generation)
        at = manifest.leaf(page)
        key = document.key if document is not None else ""
        steps = str(corrections.value(key, IMAGE_STEPS) or "") if corrections.has(key, IMAGE_STEPS) else None

        async def call() -> Produced:
            facts = await self.pdf.leaf(leaf, job.page_timeout_seconds, images=job.choice != OFF, steps=steps)
            body = facts.model_dump() | {"part": at.part, "index": at.index, "region": at.region}
            return Produced(pydantic_core.to_json(body))

        return Item(
            item=page,
            request=request_of(
                job,
                f"pymupdf/{REVISION}",
                [manifest.parts[at.part].sha256],
                generation,
                {
                    "index": at.index,
                    "region": at.region,
                    **({"images": job.choice} if steps is None else {"steps": steps}),
                },
            ),
            inputs=extract_inputs(
                job.unit.leaves[job.unit.pages.index(page)],
                job.choice,
                generation,
                corrections.digest_of(key, [IMAGE_STEPS]),
            ),
            call=call,
            figures=lambda body: {"text_layer": str(pydantic_core.from_json(body)["text_layer"])},
        )

    @activity.defn(name=EXTRACT.save_activity)
    async def save_pages(self, job: SaveInput) -> SaveResult:
        """Page documents: made as stubs where they are new, then filled."""

        async def write(items: Sequence[Loaded]) -> list[tuple[type[Document], Written, str]]:
            facts = {item.key: pydantic_core.from_json(item.body) for item in items}

            def fields(item: Loaded) -> dict[str, Any]:
                return {"page": item.outcome.item} | {name: facts[item.key][name] for name in FACTS}

            updates = page_updates(job, items, fields)
            await self.services.store.stub(
                Page,
                [
                    first_write(
                        EXTRACT.name,
                        job.epoch,
                        RESULT,
                        update,
                        {
                            "book_key": job.book_id,
                            **{name: facts[update.key][name] for name in ("part", "index", "region")},
                        },
                    )
                    for update in updates
                ],
            )
            return await update_pages(self.services, job, items, fields)

        return await save(self.services, job, write, Page)
