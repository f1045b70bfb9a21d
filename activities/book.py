"""What the book-scoped operations share: the book's documents and the artifacts of its pages."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from activities.contracts import SaveInput, UnitInput
from activities.save import RESULT, Loaded, flags
from activities.services import Services
from providers.rules.proposal import Proposal
from schemas.documents import Book, Document, Page, ToC
from schemas.keys import toc_key
from schemas.pagespec import parse_pages
from schemas.reading import PageReading
from schemas.store import Update, Written, op_id


class BookRecords:
    """The book, its contents and its pages as the database has them, read once per activity."""

    def __init__(self, services: Services, book: Book | None, toc: ToC | None, pages: dict[int, Page]) -> None:
        self.services = services
        self.book = book
        self.toc = toc
        self.pages = pages

    @classmethod
    async def read(cls, services: Services, book_id: str) -> BookRecords:
        book = (await services.store.get(Book, [book_id])).get(book_id)
        toc = (await services.store.get(ToC, [toc_key(book_id)])).get(toc_key(book_id))
        return cls(services, book, toc, await services.book_pages(book_id))

    def artifacts(self, operation: str, pages: Mapping[int, Page] | None = None) -> dict[int, str]:
        """physical page -> artifact of the operation, of the pages for which it is complete."""
        return {
            page: str(document.flag(operation, "artifact"))
            for page, document in sorted((pages if pages is not None else self.pages).items())
            if document.flag(operation, "complete") and document.flag(operation, "artifact")
        }

    async def readings(self, wanted: list[int]) -> list[tuple[int, PageReading]]:
        """Blended readings of the wanted pages that have one."""
        artifacts = self.artifacts("blend", {page: self.pages[page] for page in wanted if page in self.pages})
        return await asyncio.to_thread(
            lambda: [
                (page, PageReading.from_json(body))
                for page, artifact in artifacts.items()
                if (body := self.services.artifacts.get(artifact)) is not None
            ]
        )

    async def proposals(self) -> dict[int, Proposal]:
        """Label proposals of all pages that have one."""
        artifacts = self.artifacts("label_read")
        return await asyncio.to_thread(
            lambda: {
                page: Proposal.model_validate_json(body)
                for page, artifact in artifacts.items()
                if (body := self.services.artifacts.get(artifact)) is not None
            }
        )


async def update_book(
    services: Services, job: SaveInput, item: Loaded, kind: type[Document], key: str, fields: Mapping[str, Any]
) -> list[tuple[type[Document], Written, str]]:
    """Save fields and the operation's flag on the book or its ToC."""
    mark = op_id(job.epoch, job.unit.operation, RESULT, item.outcome.artifact)
    written = await services.store.update(
        kind, job.unit.operation, job.epoch, RESULT, [Update(key, fields, flags(item.outcome), mark)]
    )
    return [(kind, result, mark) for result in written]


def scope_of(job: UnitInput) -> list[int]:
    """The pages that a book-scoped unit reads."""
    return parse_pages(job.unit.scope)
