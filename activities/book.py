"""What the book-scoped operations share: the book's documents and the artifacts of its pages."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any

from activities.contracts import BOOK_ITEM, SaveInput, UnitInput
from activities.operation import stored_generation
from activities.save import RESULT, Loaded, flags
from activities.services import Services
from activities.work import Item, Produced, request_of
from providers.rules import REVISION
from providers.rules.proposal import Proposal
from schemas.documents import Book, Document, Page, ToC
from schemas.errors import ArtifactMissing
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

    def carrier(self, operation: str) -> Book | ToC | None:
        """The document that carries the flag of a book-scoped operation."""
        return self.toc if operation in ToC.operations else self.book

    def artifact(self, operation: str) -> str:
        """What the book, or its contents, has of the operation now; '' where that is nothing."""
        document = self.carrier(operation)
        return str((document.flag(operation, "artifact") if document is not None else None) or "")

    def generation(self, job: UnitInput) -> int:
        """The generation that the unit's operation is done in."""
        return stored_generation(self.carrier(job.unit.operation), job.unit.operation, job.generation)

    def artifacts(self, operation: str, wanted: Iterable[int] | None = None) -> dict[int, str]:
        """physical page -> artifact of the operation, of the (wanted) pages for which it is complete."""
        among = set(self.pages if wanted is None else wanted)
        return {
            page: str(document.flag(operation, "artifact"))
            for page, document in sorted(self.pages.items())
            if page in among and document.flag(operation, "complete") and document.flag(operation, "artifact")
        }

    def body(self, page: int, artifact: str) -> bytes:
        """What was published for the page. Raises ArtifactMissing: a result without that page would look complete."""
        body = self.services.artifacts.get(artifact)
        if body is None:
            key = self.book.key if self.book is not None else ""
            raise ArtifactMissing(
                f"What was read on page {page} of {key} is not in the artifact store.",
                f"Read it again: `shelf process {key} --pages {page} --fresh`.",
            )
        return body

    async def readings(self, wanted: list[int]) -> list[tuple[int, PageReading]]:
        """Blended readings of the wanted pages that have one. Raises ArtifactMissing."""
        artifacts = self.artifacts("blend", wanted)
        return await asyncio.to_thread(
            lambda: [(page, PageReading.from_json(self.body(page, name))) for page, name in artifacts.items()]
        )

    def reading(self, page: int) -> PageReading | None:
        """The blended reading of one page, if it has one; for use in a thread. Raises ArtifactMissing."""
        document = self.pages.get(page)
        if document is None or not document.flag("blend", "complete"):
            return None
        artifact = document.flag("blend", "artifact")
        return PageReading.from_json(self.body(page, str(artifact))) if artifact else None

    async def proposals(self) -> dict[int, Proposal]:
        """Label proposals of all pages that have one. Raises ArtifactMissing."""
        artifacts = self.artifacts("label_read")
        return await asyncio.to_thread(
            lambda: {page: Proposal.model_validate_json(self.body(page, name)) for page, name in artifacts.items()}
        )


def book_item(
    job: UnitInput,
    inputs: str,
    reads: Iterable[str],
    generation: int,
    call: Callable[[], Awaitable[bytes]],
    parameters: Mapping[str, Any] | None = None,
    earlier: str = "",
    model: str = f"rules/{REVISION}",
) -> list[Item]:
    """The one item of a book-scoped unit that is done by rules.

    Args:
        inputs: the flag's `_inputs`.
        reads: everything that the rules look at, as hashes; part of the fingerprint.
        call: the body of the result.
        earlier: the artifact that the document names now, where other operations read it by its name.
        model: the rules and their revision.
    """

    async def produce() -> Produced:
        return Produced(await call(), model=model)

    request = request_of(job, model, reads, generation, parameters)
    return [Item(item=BOOK_ITEM, request=request, inputs=inputs, call=produce, earlier=earlier)]


def each_page(artifacts: Mapping[int, str]) -> list[str]:
    """Artifacts of pages as inputs of a request: which page has which."""
    return [f"{page}:{artifact}" for page, artifact in artifacts.items()]


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
