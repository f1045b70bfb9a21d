"""Work and save of `metadata`."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pydantic_core
from temporalio import activity

from activities.book import BookRecords, book_item, each_page, scope_of, update_book
from activities.contracts import SaveInput, SaveResult, UnitInput, WorkResult
from activities.corrections import BOOK_FIELDS, Corrections, read_corrections, types_said
from activities.metadata.operation import METADATA, each_type, metadata_inputs
from activities.operation import stored_generation
from activities.save import Loaded, save
from activities.services import Services
from activities.work import Item, work
from providers.pdf import PdfReader
from providers.rules.metadata import extract
from schemas.documents import Book, Document
from schemas.store import Written


def corrected(found: dict[str, Any], corrections: Corrections, book_id: str) -> dict[str, Any]:
    """What was found, with the fields of which people know better; their name stands as the evidence."""
    evidence = dict(found["evidence"])
    for name in BOOK_FIELDS:
        said = corrections.of(book_id, name)
        if said is not None:
            found = {**found, name: corrections.value(book_id, name)}
            evidence[name] = {
                "page": None,
                "confidence": 1.0,
                "source": f"correction by {said.who}",
                **({"why": said.why} if said.why else {}),
            }
    return {**found, "evidence": evidence}


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
            corrections = await read_corrections(self.services.store, job.book_id)
            said = corrections.digest_of(job.book_id, BOOK_FIELDS)
            generation = stored_generation(records.book, METADATA.name, job.generation)
            wanted = scope_of(job)
            types = types_said(corrections, records.pages, wanted)

            async def call() -> bytes:
                readings = await records.readings(wanted)
                facts = await self.pdf.book(await self.services.manifest(job.manifest), self.services.artifacts)
                found = await asyncio.to_thread(extract, readings, facts.info, types)
                return pydantic_core.to_json(corrected(found.model_dump(mode="json"), corrections, job.book_id))

            return book_item(
                job,
                metadata_inputs(records.pages, wanted, job.choice, generation, said, types),
                [
                    job.manifest,
                    *each_page(records.artifacts("blend", wanted)),
                    *filter(None, [said]),
                    *each_type(types),
                ],
                generation,
                call,
            )

        return await work(self.services, job, items)

    @activity.defn(name=METADATA.save_activity)
    async def save_metadata(self, job: SaveInput) -> SaveResult:
        """Every field, and the evidence for each."""

        async def write(items: Sequence[Loaded]) -> list[tuple[type[Document], Written, str]]:
            found = pydantic_core.from_json(items[0].body)
            fields = {name: found[name] for name in BOOK_FIELDS}
            fields["metadata_evidence"] = pydantic_core.to_json(found["evidence"]).decode()
            return await update_book(self.services, job, items[0], Book, job.book_id, fields)

        return await save(self.services, job, write, Book)
