"""Work and save of `label`."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

import pydantic_core
from temporalio import activity

from activities.book import BookRecords, book_item, each_page, update_book
from activities.contracts import SaveInput, SaveResult, UnitInput, WorkResult
from activities.corrections import LABEL_FIELDS, Corrections, read_corrections, types_said
from activities.label.operation import LABEL, label_inputs, said_of_labels
from activities.save import RESULT, Loaded, save
from activities.services import Services
from activities.work import Item, work
from providers.pdf import PdfReader
from providers.rules.labels import PageLabel, sequence
from providers.rules.leaves import LeafNote, leaf_report
from providers.rules.proposal import Proposal
from schemas.documents import Book, Document, Page
from schemas.store import Update, Written, op_id

PAGES_A_REQUEST = 25
"""Of one guarded update (facts/defradb.md 5)."""


def said_of(corrections: Corrections, key: str) -> dict[str, str | None]:
    """What people say of a page's number, type and header."""
    return {name: corrections.value(key, name) for name in LABEL_FIELDS if corrections.has(key, name)}


def _labels_and_report(
    proposals: Sequence[Proposal | None],
    pdf_labels: Sequence[str] | None,
    pinned: Mapping[int, str | None],
    types: Mapping[int, str],
) -> tuple[list[PageLabel], list[LeafNote]]:
    labels = sequence(proposals, pdf_labels, pinned, types)
    return labels, leaf_report(labels, proposals)


class LabelActivities:
    """Infers the sequence from all proposals, saves the pages that changed and what is wrong with the leaves."""

    def __init__(self, services: Services, pdf: PdfReader) -> None:
        self.services = services
        self.pdf = pdf

    @activity.defn(name=LABEL.work_activity)
    async def infer_labels(self, job: UnitInput) -> WorkResult:
        """The printed numbers as one sequence over all pages that are known."""

        async def items() -> Sequence[Item]:
            records = await BookRecords.read(self.services, job.book_id)
            corrections = await read_corrections(self.services.store, job.book_id)
            generation = records.generation(job)

            async def call() -> bytes:
                proposals = await records.proposals()
                facts = await self.pdf.book(await self.services.manifest(job.manifest), self.services.artifacts)
                pages = range(1, job.page_count + 1)
                keys = {page: document.key for page, document in records.pages.items()}
                pinned = {
                    page - 1: corrections.value(key, "label")
                    for page, key in keys.items()
                    if corrections.has(key, "label")
                }
                types = types_said(corrections, records.pages, records.pages)
                labels, report = await asyncio.to_thread(
                    _labels_and_report,
                    [proposals.get(page) for page in pages],
                    facts.page_labels or None,
                    pinned,
                    {page - 1: kind for page, kind in types.items()},
                )
                said = {page: said_of(corrections, key) for page, key in keys.items()}
                rows = [
                    {"page": page, "key": keys[page], **label.model_dump(), **said[page]}
                    for page, label in zip(pages, labels, strict=True)
                    if page in keys and (page in proposals or said[page])
                ]
                return pydantic_core.to_json({"pages": rows, "report": [note.model_dump() for note in report]})

            return book_item(
                job,
                label_inputs(records.pages, job.choice, generation, corrections),
                [
                    job.manifest,
                    *each_page(records.artifacts("label_read")),
                    *said_of_labels(records.pages, corrections),
                ],
                generation,
                call,
                {"pages": job.page_count},
                earlier=records.artifact(LABEL.name),
            )

        return await work(self.services, job, items)

    @activity.defn(name=LABEL.save_activity)
    async def save_labels(self, job: SaveInput) -> SaveResult:
        """Label, header and type of the pages that changed; the book's report and flag last."""

        async def write(items: Sequence[Loaded]) -> list[tuple[type[Document], Written, str]]:
            item = items[0]
            found = pydantic_core.from_json(item.body)
            rows, report = found["pages"], found["report"]
            mark = op_id(job.epoch, LABEL.name, RESULT, item.outcome.artifact)
            # The flag's inputs and artifact cover the whole book; on a page they would change with every other page
            # and write a commit to each, so pages carry the flag alone.
            page_flags = {"complete": True, "error": None}
            written: list[tuple[type[Document], Written, str]] = []
            for at in range(0, len(rows), PAGES_A_REQUEST):
                updates = [
                    Update(
                        row["key"],
                        {
                            "label": row["label"],
                            "label_inferred": row["inferred"],
                            "running_header": row["running_header"],
                            "page_type": row["page_type"],
                        },
                        page_flags,
                        mark,
                    )
                    for row in rows[at : at + PAGES_A_REQUEST]
                ]
                results = await self.services.store.update(Page, LABEL.name, job.epoch, RESULT, updates)
                written += [(Page, result, mark) for result in results]
            fields = {"label_report": pydantic_core.to_json(report).decode() if report else None}
            return written + await update_book(self.services, job, item, Book, job.book_id, fields)

        return await save(self.services, job, write, Book)
