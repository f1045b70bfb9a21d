"""Work and save of `toc_find`."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

from temporalio import activity

from activities.asking import Asked, is_asked, model_item, prompt_of
from activities.book import BookRecords, book_item, each_page, scope_of, update_book
from activities.contracts import SaveInput, SaveResult, UnitInput, WorkResult
from activities.corrections import read_corrections, types_said
from activities.metadata.operation import each_type
from activities.save import Loaded, save
from activities.services import Services
from activities.toc_find.operation import TOC_FIND, toc_find_inputs
from activities.toc_find.schema import Look, decided, problems, question, shortlist
from activities.work import Item, work
from providers.pdf import PdfReader
from providers.rules.contents import ContentsFound, find
from schemas.documents import Document, ToC
from schemas.keys import toc_key
from schemas.reading import PageReading
from schemas.store import Written

FEW_PAGES = 10
"""A pamphlet needs no contents."""


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
            generation = records.generation(job)
            wanted = scope_of(job)
            corrections = await read_corrections(self.services.store, job.book_id)
            types = types_said(corrections, records.pages, wanted)
            inputs = toc_find_inputs(job.manifest, records.pages, wanted, job.choice, generation, types)
            reads = [job.manifest, *each_page(records.artifacts("blend", wanted)), *each_type(types)]
            earlier = records.artifact(TOC_FIND.name)

            async def by_rules() -> tuple[list[tuple[int, PageReading]], ContentsFound]:
                readings = await records.readings(wanted)
                facts = await self.pdf.book(await self.services.manifest(job.manifest), self.services.artifacts)
                return readings, await asyncio.to_thread(find, readings, facts.outline, types)

            async def call() -> bytes:
                return (await by_rules())[1].model_dump_json().encode()

            # Where a person says which pages they are, nobody else is asked.
            by_rules_alone = book_item(job, inputs, reads, generation, call, earlier=earlier)
            if not is_asked(self.services, job) or "toc" in types.values():
                return by_rules_alone

            async def answer(asked: Asked) -> bytes:
                readings, found = await by_rules()
                shown = shortlist(found, readings)
                if not shown:
                    # Nothing to look at; whether there are contents all the same is for the agent to find out.
                    unsure = found.source == "none" and len(readings) > FEW_PAGES
                    return found.model_copy(update={"unsure": unsure}).model_dump_json().encode()
                images = [image for page in shown for image in await asked.picture(page, records.pages.get(page))]
                look = await asked.answer(
                    Look, question(shown, readings), tuple(images), check=lambda look: problems(look, shown)
                )
                return decided(found, look, asked.name).model_dump_json().encode()

            async def rules(why: str) -> bytes:
                found = (await by_rules())[1]
                return found.model_copy(update={"reason": f"{found.reason} ({why})"}).model_dump_json().encode()

            prompt = await prompt_of(self.services.artifacts, corrections, job.book_id, TOC_FIND.name)
            return [
                model_item(self.services, job, prompt, *by_rules_alone, answer=answer, rules=rules, figures=_figures)
            ]

        return await work(self.services, job, items)

    @activity.defn(name=TOC_FIND.save_activity)
    async def save_toc(self, job: SaveInput) -> SaveResult:
        """The ToC document: made where it is new, then filled."""
        key = toc_key(job.book_id)
        await self.services.store.stub(ToC, [{"key": key, "book_key": job.book_id}])

        async def write(items: Sequence[Loaded]) -> list[tuple[type[Document], Written, str]]:
            found = ContentsFound.model_validate_json(items[0].body)
            if found.unsure and not job.unit.agent:
                # The agent goes on, and its result is saved; until then no flag may say that the contents are found.
                return []
            fields = {"found": found.found, "source": found.source, "pages": list(found.pages), "reason": found.reason}
            return await update_book(self.services, job, items[0], ToC, key, fields)

        return await save(self.services, job, write, ToC, key)


def _figures(body: bytes) -> Mapping[str, float | int | str | bool]:
    return {"unsure": ContentsFound.model_validate_json(body).unsure}
