"""Work and save of `paragraph`."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pydantic_core
from temporalio import activity

from activities.book import BookRecords, book_item, update_book
from activities.contracts import SaveInput, SaveResult, UnitInput, WorkResult
from activities.paragraph.operation import PARAGRAPH, paragraph_inputs
from activities.save import Loaded, save
from activities.services import Services
from activities.sheets import MODEL, contents_pages, read_sheets, reads_of
from activities.structure.activity import chapter_keys
from activities.work import Item, work
from providers.artifacts import Request
from providers.errors import ProviderError
from providers.pdf import PdfReader
from providers.structure import FIGURES_REVISION
from providers.structure.chapters import ChapterFacts
from providers.structure.figures import text_boxes
from providers.structure.lines import Sheet
from providers.structure.paragraphs import paragraphs
from schemas.documents import Book, Document, Page, Paragraph
from schemas.errors import ArtifactMissing
from schemas.keys import paragraph_key
from schemas.reading import Box
from schemas.store import Written, digest

PARAGRAPHS_A_REQUEST = 25
FIGURES_SECONDS = 30.0
"""For the figures of one page, which take a hundredth of a second."""


class ParagraphActivities:
    """Finds the paragraphs, saves a set for each chapter."""

    def __init__(self, services: Services, pdf: PdfReader) -> None:
        self.services = services
        self.pdf = pdf

    @activity.defn(name=PARAGRAPH.work_activity)
    async def find_paragraphs(self, job: UnitInput) -> WorkResult:
        """The paragraphs of every chapter, and what was left out of them by class.

        The artifact: {"chapters": [{"chapter": key, "set": fingerprint, "paragraphs": [...]}], "left_out": [[page, line,
        first word, word after the last, class], ...]}. Every word of the blended readings is in one of the two."""

        async def items() -> Sequence[Item]:
            records = await BookRecords.read(self.services, job.book_id)
            generation = records.generation(job)
            structure = records.artifact("structure")

            async def call() -> bytes:
                body = await asyncio.to_thread(self.services.artifacts.get, structure)
                if body is None:
                    raise ArtifactMissing(
                        f"The chapters of {job.book_id} are not in the artifact store.",
                        f"Find them again: `shelf structure {job.book_id} --fresh`.",
                    )
                rows = pydantic_core.from_json(body)
                sheets = await read_sheets(records, job.page_count)
                figures = await self._figures(job, records, sheets)
                return await asyncio.to_thread(_body, job.book_id, rows, sheets, figures, contents_pages(records))

            return book_item(
                job,
                paragraph_inputs(records.pages, records.book, job.choice, generation),
                [
                    structure,
                    *reads_of(records),
                    *(f"{page}:{document.image_hash}" for page, document in sorted(records.pages.items())),
                ],
                generation,
                call,
                {"pages": job.page_count, "figures": FIGURES_REVISION},
                model=MODEL,
            )

        return await work(self.services, job, items)

    async def _figures(self, job: UnitInput, records: BookRecords, sheets: Sequence[Sheet]) -> dict[int, list[Box]]:
        """Boxes of the figures of each page, from the page's own artifact where they were found before."""
        manifest = await self.services.manifest(job.manifest)
        found: dict[int, list[Box]] = {}
        for sheet in sheets:
            document = records.pages.get(sheet.page)
            if document is None:
                continue
            text = text_boxes(sheet.lines)
            fingerprint = _figures_request(document, text).fingerprint
            body = await asyncio.to_thread(self.services.artifacts.get, fingerprint)
            if body is None:
                leaf = await asyncio.to_thread(self.services.leaf, manifest, job.book_id, sheet.page, document)
                try:
                    boxes = await self.pdf.figures(leaf, text, FIGURES_SECONDS)
                except ProviderError as error:
                    # A page that cannot be rendered keeps its words.
                    activity.logger.warning("no figures of page %s of %s: %s", sheet.page, job.book_id, error)
                    continue
                body = pydantic_core.to_json([[round(value, 1) for value in box] for box in boxes])
                await asyncio.to_thread(self.services.artifacts.publish, fingerprint, body)
            if boxes := [(box[0], box[1], box[2], box[3]) for box in pydantic_core.from_json(body)]:
                found[sheet.page] = boxes
        return found

    @activity.defn(name=PARAGRAPH.save_activity)
    async def save_paragraphs(self, job: SaveInput) -> SaveResult:
        """The members of the sets that are new; then the Book names all sets in one guarded update.

        Paragraphs are not named in the save's Metric, which their thousands would make larger than they are: the Book's
        commit is, and it names their sets."""

        async def write(items: Sequence[Loaded]) -> list[tuple[type[Document], Written, str]]:
            item = items[0]
            chapters = pydantic_core.from_json(item.body)["chapters"]
            book = (await self.services.store.get(Book, [job.book_id], ["paragraph_sets"])).get(job.book_id)
            # Only whole sets are named by a book.
            live = set((book.paragraph_sets if book is not None else None) or ())
            documents = [
                document
                for chapter in chapters
                if chapter["set"] not in live
                for document in _documents(job.book_id, chapter)
            ]
            for at in range(0, len(documents), PARAGRAPHS_A_REQUEST):
                await self.services.store.create(Paragraph, documents[at : at + PARAGRAPHS_A_REQUEST])
            fields = {
                "paragraph_sets": [chapter["set"] for chapter in chapters],
                "paragraph_count": sum(len(chapter["paragraphs"]) for chapter in chapters),
            }
            return await update_book(self.services, job, item, Book, job.book_id, fields)

        return await save(self.services, job, write, Book)


async def figure_artifacts(services: Services, book_id: str) -> set[str]:
    """Fingerprints under which the figures of the book's pages lie, or would: no document names them."""
    records = await BookRecords.read(services, book_id)
    pages = max(records.pages, default=0)
    return {
        _figures_request(document, text_boxes(sheet.lines)).fingerprint
        for sheet in await read_sheets(records, pages)
        if (document := records.pages.get(sheet.page)) is not None
    }


def _figures_request(document: Page, text: Sequence[Box]) -> Request:
    return Request(
        operation="figures",
        provider="structure",
        model=f"figures/{FIGURES_REVISION}",
        parameters={"region": document.region or ""},
        inputs=(document.image_hash or document.key, digest([[round(value, 1) for value in box] for box in text])),
    )


def _body(
    book_id: str,
    rows: Sequence[dict[str, Any]],
    sheets: Sequence[Sheet],
    figures: dict[int, list[Box]],
    contents: frozenset[int],
) -> bytes:
    _, keys = chapter_keys(book_id, rows)
    found = paragraphs(sheets, [ChapterFacts.model_validate(row) for row in rows], figures, contents)
    chapters = []
    for key, members in zip(keys, found.chapters, strict=True):
        written = [member.model_dump(mode="json") for member in members]
        chapters.append({"chapter": key, "set": digest([key, written])[:16], "paragraphs": written})
    return pydantic_core.to_json({"chapters": chapters, "left_out": found.left_out})


def _documents(book_id: str, chapter: dict[str, Any]) -> list[Paragraph]:
    return [
        Paragraph(
            key=paragraph_key(book_id, chapter["set"], order),
            book_key=book_id,
            paragraph_set=chapter["set"],
            sort_order=order,
            chapter_key=chapter["chapter"],
            kind=row["kind"],
            level=row["level"],
            text=row["text"],
            pages=row["pages"],
            spans=pydantic_core.to_json(row["spans"]).decode(),
            crop=pydantic_core.to_json(row["crop"]).decode() if row["crop"] is not None else None,
        )
        for order, row in enumerate(chapter["paragraphs"])
    ]
