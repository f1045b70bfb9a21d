"""Work and save of `metadata`."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pydantic_core
from temporalio import activity

from activities.asking import Asked, is_asked, model_item, prompt_of
from activities.book import BookRecords, book_item, each_page, scope_of, update_book
from activities.contracts import SaveInput, SaveResult, UnitInput, WorkResult
from activities.corrections import BOOK_FIELDS, Corrections, read_corrections, types_said
from activities.metadata.operation import METADATA, each_type, metadata_inputs
from activities.metadata.schema import Catalogued, problems, verified
from activities.save import Loaded, save
from activities.services import Services
from activities.work import Item, work
from providers.pdf import PdfReader
from providers.rules.labels import propose, sequence
from providers.rules.metadata import Metadata, extract
from schemas.documents import Book, Document
from schemas.reading import PageReading
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


MODEL_FIELDS = ("lccn", "description", "subjects", "contributors")

SEEN_PAGES = 3
"""Title page and copyright page tell most; a picture costs as much as many pages of text."""


def _looked_at(readings: Sequence[tuple[int, PageReading]]) -> dict[int, str]:
    """Pages whose picture a model is shown: those that look like title page and copyright page, else the first."""
    kinds = sequence([propose(reading) for _, reading in readings])
    likely = {
        page: label.page_type
        for (page, _), label in zip(readings, kinds, strict=True)
        if label.page_type in ("title_page", "copyright")
    }
    return dict(list((likely or {page: "first" for page, _ in readings}).items())[:SEEN_PAGES])


def _question(readings: Sequence[tuple[int, PageReading]]) -> str:
    return "\n\n".join(f"--- page {page} ---\n{reading.text}" for page, reading in readings if reading.text)


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
            generation = records.generation(job)
            wanted = scope_of(job)
            types = types_said(corrections, records.pages, wanted)

            inputs = metadata_inputs(records.pages, wanted, job.choice, generation, said, types)
            reads = [
                job.manifest,
                *each_page(records.artifacts("blend", wanted)),
                *filter(None, [said]),
                *each_type(types),
            ]

            async def found() -> tuple[list[tuple[int, PageReading]], Metadata]:
                readings = await records.readings(wanted)
                facts = await self.pdf.book(await self.services.manifest(job.manifest), self.services.artifacts)
                return readings, await asyncio.to_thread(extract, readings, facts.info, types)

            def body(metadata: Metadata) -> bytes:
                return pydantic_core.to_json(corrected(metadata.model_dump(mode="json"), corrections, job.book_id))

            async def call() -> bytes:
                return body((await found())[1])

            by_rules_alone = book_item(job, inputs, reads, generation, call)
            if not is_asked(self.services, job):
                return by_rules_alone

            async def answer(asked: Asked) -> bytes:
                readings, by_rules = await found()
                look = list(_looked_at(readings))
                images = [image for page in look for image in await asked.picture(page, records.pages.get(page))]
                said_of_it = await asked.answer(
                    Catalogued, _question(readings), tuple(images), check=problems, max_tokens=2048
                )
                return body(verified(said_of_it, by_rules, readings, asked.name))

            prompt = await prompt_of(self.services.artifacts, corrections, job.book_id, METADATA.name)
            return [model_item(self.services, job, prompt, *by_rules_alone, answer=answer)]

        return await work(self.services, job, items)

    @activity.defn(name=METADATA.save_activity)
    async def save_metadata(self, job: SaveInput) -> SaveResult:
        """Every field, and the evidence for each."""

        async def write(items: Sequence[Loaded]) -> list[tuple[type[Document], Written, str]]:
            found = pydantic_core.from_json(items[0].body)
            fields = {name: found[name] for name in BOOK_FIELDS}
            # Only a model gives these, and an older artifact has none of them.
            fields |= {name: found.get(name) or None for name in MODEL_FIELDS}
            fields["metadata_evidence"] = pydantic_core.to_json(found["evidence"]).decode()
            return await update_book(self.services, job, items[0], Book, job.book_id, fields)

        return await save(self.services, job, write, Book)
