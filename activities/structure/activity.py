"""Work and save of `structure`."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

import pydantic_core
from temporalio import activity

from activities.book import BookRecords, book_item, update_book
from activities.contracts import SaveInput, SaveResult, UnitInput, WorkResult
from activities.save import RESULT, Loaded, save
from activities.services import Services
from activities.sheets import MODEL, contents_pages, read_sheets, reads_of
from activities.structure.operation import STRUCTURE, structure_inputs
from activities.toc_link.activity import live_entries
from activities.work import Item, work
from providers.structure.chapters import EntryTitle, chapters
from providers.structure.links import Link
from schemas.documents import Book, Chapter, Document
from schemas.keys import chapter_key
from schemas.store import Written, digest, op_id

CHAPTERS_A_REQUEST = 25


def chapter_keys(book_id: str, rows: Sequence[Mapping[str, Any]]) -> tuple[str, list[str]]:
    """Fingerprint of a set of chapters, and the keys of its members. Named by what it says: an identical result is the
    same set and adds no commit."""
    chapter_set = digest(list(rows))[:16]
    return chapter_set, [chapter_key(book_id, chapter_set, order) for order in range(len(rows))]


class StructureActivities:
    """Finds the chapters, saves them as a set."""

    def __init__(self, services: Services) -> None:
        self.services = services

    @activity.defn(name=STRUCTURE.work_activity)
    async def find_chapters(self, job: UnitInput) -> WorkResult:
        """Chapters from the contents, or from the headings; buckets for the rest."""

        async def items() -> Sequence[Item]:
            records = await BookRecords.read(self.services, job.book_id)
            generation = records.generation(job)
            toc = records.toc

            async def call() -> bytes:
                sheets = await read_sheets(records, job.page_count)
                links = (
                    [Link.model_validate(each) for each in pydantic_core.from_json(toc.links or "[]")] if toc else []
                )
                of_entry = {each.entry: each for each in links}
                entries = [entry for entry in await live_entries(records, job.book_id) if entry.key in of_entry]
                found = await asyncio.to_thread(
                    chapters,
                    [
                        EntryTitle(key=entry.key, number=entry.number, title=entry.title or "", level=entry.level or 1)
                        for entry in entries
                    ],
                    [of_entry[entry.key] for entry in entries],
                    sheets,
                    contents_pages(records),
                )
                return pydantic_core.to_json([each.model_dump() for each in found])

            return book_item(
                job,
                structure_inputs(records.pages, records.book, toc, job.choice, generation),
                [records.artifact("toc_link"), *reads_of(records)],
                generation,
                call,
                {"pages": job.page_count},
                earlier=records.artifact(STRUCTURE.name),
                model=MODEL,
            )

        return await work(self.services, job, items)

    @activity.defn(name=STRUCTURE.save_activity)
    async def save_chapters(self, job: SaveInput) -> SaveResult:
        """The members of the set first; then the Book names it in one guarded update: readers never see half a set."""

        async def write(items: Sequence[Loaded]) -> list[tuple[type[Document], Written, str]]:
            item = items[0]
            rows = pydantic_core.from_json(item.body)
            chapter_set, keys = chapter_keys(job.book_id, rows)
            documents = [
                Chapter(
                    key=key,
                    book_key=job.book_id,
                    chapter_set=chapter_set,
                    sort_order=order,
                    **{name: value for name, value in row.items() if name in Chapter.model_fields and name != "parent"},
                    parent=keys[row["parent"]] if row["parent"] is not None else None,
                )
                for order, (key, row) in enumerate(zip(keys, rows, strict=True))
            ]
            mark = op_id(job.epoch, STRUCTURE.name, RESULT, item.outcome.artifact)
            written: list[tuple[type[Document], Written, str]] = []
            for at in range(0, len(documents), CHAPTERS_A_REQUEST):
                made = await self.services.store.create(Chapter, documents[at : at + CHAPTERS_A_REQUEST])
                written += [(Chapter, result, mark) for result in made]
            count = sum(not row["bucket"] for row in rows)
            fields = {"chapter_set": chapter_set, "chapter_count": count}
            return written + await update_book(self.services, job, item, Book, job.book_id, fields)

        return await save(self.services, job, write, Book)
