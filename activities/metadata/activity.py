"""Work and save of `metadata`."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pydantic_core
from temporalio import activity

from activities.book import BookRecords, book_item, each_page, scope_of, update_book
from activities.contracts import SaveInput, SaveResult, UnitInput, WorkResult
from activities.metadata.operation import METADATA, metadata_inputs
from activities.operation import stored_generation
from activities.save import Loaded, save
from activities.services import Services
from activities.work import Item, work
from providers.pdf import PdfReader
from providers.rules.metadata import Metadata, extract
from schemas.documents import Book, Document
from schemas.store import Written

FIELDS = ("title", "subtitle", "authors", "publisher", "place", "year", "isbn", "language")


class MetadataActivities:
    """Extracts from the first pages, saves to the book."""

    def __init__(self, services: Services, pdf: PdfReader) -> None:
        self.services = services
        self.pdf = pdf

    @activity.defn(name=METADATA.work_activity)
    async def extract_metadata(self, job: UnitInput) -> WorkResult:
        """Title page, copyright page, DocInfo."""

        async def items() -> Sequence[Item]:
            records = await BookRecords.read(self.services, job.book_id)
            generation = stored_generation(records.book, METADATA.name, job.generation)
            wanted = scope_of(job)

            async def call() -> bytes:
                readings = await records.readings(wanted)
                facts = await self.pdf.book(await self.services.manifest(job.manifest), self.services.artifacts)
                found = await asyncio.to_thread(extract, readings, facts.info)
                return found.model_dump_json().encode()

            return book_item(
                job,
                metadata_inputs(records.pages, wanted, job.choice, generation),
                [job.manifest, *each_page(records.artifacts("blend", wanted))],
                generation,
                call,
            )

        return await work(self.services, job, items)

    @activity.defn(name=METADATA.save_activity)
    async def save_metadata(self, job: SaveInput) -> SaveResult:
        """Every field, and the evidence for each."""

        async def write(items: Sequence[Loaded]) -> list[tuple[type[Document], Written, str]]:
            found = Metadata.model_validate_json(items[0].body).model_dump(mode="json")
            fields = {name: found[name] for name in FIELDS}
            fields["metadata_evidence"] = pydantic_core.to_json(found["evidence"]).decode()
            return await update_book(self.services, job, items[0], Book, job.book_id, fields)

        return await save(self.services, job, write, Book)
