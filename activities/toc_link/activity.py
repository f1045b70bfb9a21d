"""Work and save of `toc_link`."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pydantic_core
from temporalio import activity

from activities.book import BookRecords, book_item, update_book
from activities.contracts import SaveInput, SaveResult, UnitInput, WorkResult
from activities.save import Loaded, save
from activities.services import Services
from activities.sheets import MODEL, contents_pages, read_sheets, reads_of
from activities.toc_link.operation import TOC_LINK, toc_link_inputs
from activities.work import Item, work
from providers.structure.links import EntryFacts, link
from schemas.documents import Document, ToC, TocEntry
from schemas.keys import toc_key
from schemas.store import Written


async def live_entries(records: BookRecords, book_id: str) -> list[TocEntry]:
    """Entries of the set that is live, in their order."""
    if records.toc is None or not records.toc.current_set:
        return []
    found = await records.services.store.find(TocEntry, {"book_key": book_id, "toc_set": records.toc.current_set})
    return sorted(found, key=lambda entry: entry.sort_order or 0)


class TocLinkActivities:
    """Links the entries, saves the links on the ToC."""

    def __init__(self, services: Services) -> None:
        self.services = services

    @activity.defn(name=TOC_LINK.work_activity)
    async def link_contents(self, job: UnitInput) -> WorkResult:
        """Where each entry begins, by its number and by its title."""

        async def items() -> Sequence[Item]:
            records = await BookRecords.read(self.services, job.book_id)
            generation = records.generation(job)

            async def call() -> bytes:
                sheets = await read_sheets(records, job.page_count)
                entries = [
                    EntryFacts(
                        key=entry.key,
                        number=entry.number,
                        title=entry.title or "",
                        printed=entry.printed,
                        page=entry.page,
                        source=entry.source or "printed",
                    )
                    for entry in await live_entries(records, job.book_id)
                ]
                links = await asyncio.to_thread(link, entries, sheets, contents_pages(records))
                keys = {page: document.key for page, document in records.pages.items()}
                return pydantic_core.to_json(
                    [{**each.model_dump(), "page_key": keys.get(each.page or 0)} for each in links]
                )

            return book_item(
                job,
                toc_link_inputs(records.pages, records.book, records.toc, job.choice, generation),
                [
                    str(records.toc.current_set if records.toc is not None else ""),
                    ",".join(map(str, sorted(contents_pages(records)))),
                    *reads_of(records),
                ],
                generation,
                call,
                {"pages": job.page_count},
                earlier=records.artifact(TOC_LINK.name),
                model=MODEL,
            )

        return await work(self.services, job, items)

    @activity.defn(name=TOC_LINK.save_activity)
    async def save_links(self, job: SaveInput) -> SaveResult:
        """The links, and how many entries have a mismatch."""
        key = toc_key(job.book_id)

        async def write(items: Sequence[Loaded]) -> list[tuple[type[Document], Written, str]]:
            links = pydantic_core.from_json(items[0].body)
            fields = {
                "links": pydantic_core.to_json(links).decode(),
                "mismatch_count": sum(each["mismatch"] is not None for each in links),
            }
            return await update_book(self.services, job, items[0], ToC, key, fields)

        return await save(self.services, job, write, ToC, key)
