"""Work and save of `toc_find`."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from temporalio import activity

from activities.book import BookRecords, book_item, each_page, scope_of, update_book
from activities.contracts import SaveInput, SaveResult, UnitInput, WorkResult
from activities.corrections import read_corrections, types_said
from activities.metadata.operation import each_type
from activities.operation import stored_generation
from activities.save import Loaded, save
from activities.services import Services
from activities.toc_find.operation import TOC_FIND, toc_find_inputs
from activities.work import Item, work
from providers.pdf import PdfReader
from providers.rules.contents import ContentsFound, find
from schemas.documents import Document, ToC
from schemas.keys import toc_key
from schemas.store import Written


class TocFindActivities:
    """Finds the contents pages, saves the ToC."""

    def __init__(self, services: Services, pdf: PdfReader) -> None:
        self.services = services
        self.pdf = pdf

    @activity.defn(name=TOC_FIND.work_activity)
    async def find_contents(self, job: UnitInput) -> WorkResult:
        """The printed contents pages and the outline."""

        async def items() -> Sequence[Item]:
            records = await BookRecords.read(self.services, job.book_id)
            generation = stored_generation(records.toc, TOC_FIND.name, job.generation)
            wanted = scope_of(job)
            types = types_said(await read_corrections(self.services.store, job.book_id), records.pages, wanted)

            async def call() -> bytes:
                readings = await records.readings(wanted)
                facts = await self.pdf.book(await self.services.manifest(job.manifest), self.services.artifacts)
                found = await asyncio.to_thread(find, readings, facts.outline, types)
                return found.model_dump_json().encode()

            return book_item(
                job,
                toc_find_inputs(job.manifest, records.pages, wanted, job.choice, generation, types),
                [job.manifest, *each_page(records.artifacts("blend", wanted)), *each_type(types)],
                generation,
                call,
                earlier=str((records.toc.flag(TOC_FIND.name, "artifact") if records.toc else None) or ""),
            )

        return await work(self.services, job, items)

    @activity.defn(name=TOC_FIND.save_activity)
    async def save_toc(self, job: SaveInput) -> SaveResult:
        """The ToC document: made where it is new, then filled."""
        key = toc_key(job.book_id)
        await self.services.store.stub(ToC, [{"key": key, "book_key": job.book_id}])

        async def write(items: Sequence[Loaded]) -> list[tuple[type[Document], Written, str]]:
            found = ContentsFound.model_validate_json(items[0].body)
            fields = {"found": found.found, "source": found.source, "pages": list(found.pages), "reason": found.reason}
            return await update_book(self.services, job, items[0], ToC, key, fields)

        return await save(self.services, job, write, ToC, key)
