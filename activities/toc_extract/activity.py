"""Work and save of `toc_extract`."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pydantic_core
from temporalio import activity

from activities.asking import Asked, is_asked, model_item, prompt_of
from activities.book import BookRecords, book_item, each_page, update_book
from activities.contracts import SaveInput, SaveResult, UnitInput, WorkResult
from activities.corrections import read_corrections
from activities.save import RESULT, Loaded, save
from activities.services import Services
from activities.toc_extract.operation import TOC_EXTRACT, toc_extract_inputs
from activities.toc_extract.schema import Entries, Pages, listed, problems, question
from activities.work import Item, work
from providers.pdf import PdfReader
from providers.rules.contents import ContentsFound, Entry, extract
from providers.rules.entries import RawEntry
from schemas.documents import Document, ToC, TocEntry
from schemas.keys import toc_entry_key, toc_key
from schemas.store import Written, digest, op_id


class TocExtractActivities:
    """Extracts entries, saves them as a set."""

    def __init__(self, services: Services, pdf: PdfReader) -> None:
        self.services = services
        self.pdf = pdf

    @activity.defn(name=TOC_EXTRACT.work_activity)
    async def extract_contents(self, job: UnitInput) -> WorkResult:
        """Entries from the contents pages and the outline, each verified on its page."""

        async def items() -> Sequence[Item]:
            records = await BookRecords.read(self.services, job.book_id)
            generation = records.generation(job)

            pages = list((records.toc.pages if records.toc else None) or ())
            inputs = toc_extract_inputs(records.pages, records.book, records.toc, job.choice, generation)
            reads = [
                job.manifest,
                records.artifact("toc_find"),
                records.artifact("label"),
                *each_page(records.artifacts("blend")),
            ]

            async def entries(contents: Pages, by_model: Sequence[tuple[RawEntry, int]] | None = None) -> bytes:
                facts = await self.pdf.book(await self.services.manifest(job.manifest), self.services.artifacts)
                proposals = await records.proposals()
                labels = {page: document.label for page, document in sorted(records.pages.items())}
                found: Sequence[Entry] = await asyncio.to_thread(
                    extract,
                    contents,
                    facts.outline,
                    labels,
                    sorted(proposals.items()),
                    reading_of=records.reading,
                    listed=by_model,
                )
                return pydantic_core.to_json([entry.model_dump() for entry in found])

            async def call() -> bytes:
                return await entries(await records.readings(pages))

            by_rules_alone = book_item(job, inputs, reads, generation, call)
            if not is_asked(self.services, job) or not pages:
                # An outline is what it is: there is nothing to read.
                return by_rules_alone

            async def answer(asked: Asked) -> bytes:
                contents = await records.readings(pages)
                images = [image for page in pages for image in await asked.picture(page, records.pages.get(page))]
                said = await asked.answer(
                    Entries,
                    question(contents, await self._structure(records.artifact("toc_find"))),
                    tuple(images),
                    check=lambda said: problems(said, contents),
                    max_tokens=16_000,
                )
                return await entries(contents, listed(said))

            corrections = await read_corrections(self.services.store, job.book_id)
            prompt = await prompt_of(self.services.artifacts, corrections, job.book_id, TOC_EXTRACT.name)
            return [model_item(self.services, job, prompt, *by_rules_alone, answer=answer)]

        return await work(self.services, job, items)

    async def _structure(self, artifact: str) -> str | None:
        """What the model that found the contents says of their levels."""
        body = await asyncio.to_thread(self.services.artifacts.get, artifact) if artifact else None
        return ContentsFound.model_validate_json(body).structure if body is not None else None

    @activity.defn(name=TOC_EXTRACT.save_activity)
    async def save_toc_entries(self, job: SaveInput) -> SaveResult:
        """The members of the set first; then the ToC names it in one guarded update: readers never see half a set."""
        key = toc_key(job.book_id)

        async def write(items: Sequence[Loaded]) -> list[tuple[type[Document], Written, str]]:
            item = items[0]
            rows = pydantic_core.from_json(item.body)
            pages = await self.services.book_pages(job.book_id)
            for row in rows:
                row["page_key"] = pages[row["page"]].key if row["page"] in pages else None
            # Named by what it says, the leaves that it names included (a rescan is another leaf at the same place): an
            # identical result is the same set and adds no commit.
            toc_set = digest(rows)[:16]
            entries = [
                TocEntry(
                    key=toc_entry_key(job.book_id, toc_set, order),
                    book_key=job.book_id,
                    toc_set=toc_set,
                    sort_order=order,
                    number=row["number"],
                    title=row["title"],
                    level=row["level"],
                    printed=row["printed"],
                    page=row["page"],
                    page_key=row["page_key"],
                    confidence=row["confidence"],
                    source=row["source"],
                )
                for order, row in enumerate(rows)
            ]
            mark = op_id(job.epoch, TOC_EXTRACT.name, RESULT, item.outcome.artifact)
            written: list[tuple[type[Document], Written, str]] = [
                (TocEntry, result, mark) for result in await self.services.store.create(TocEntry, entries)
            ]
            return written + await update_book(
                self.services, job, item, ToC, key, {"current_set": toc_set, "entry_count": len(entries)}
            )

        return await save(self.services, job, write, ToC, key)
