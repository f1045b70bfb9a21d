"""Jobs on the time-skipping server: the real workflows and activities over the in-memory store (which has the real lease
and rev semantics) and a reader without engines."""

from __future__ import annotations

import asyncio
import hashlib
import shutil
import sys
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from temporalio.api.enums.v1 import IndexedValueType
from temporalio.api.operatorservice.v1 import AddSearchAttributesRequest
from temporalio.client import Client, WorkflowHandle
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.testing import WorkflowEnvironment

from activities.contracts import JobResult, Progress
from activities.services import Services
from providers.base import Reading
from providers.errors import ProviderError
from providers.local_artifacts import LocalArtifactStore
from providers.pdf import BookFacts, LeafFacts
from providers.queues import QUEUES
from providers.source import LeafSource, Manifest, SourcePart
from schemas.documents import Book, OcrResult, Page, ToC, TocEntry
from schemas.memory import MemoryStore
from schemas.reading import Box, Line, PageReading, Word
from schemas.store import digest
from worker import make_workers

RUN_LIMIT = timedelta(days=30)
"""A workflow that would hang is fast-forwarded to its limit and reports a time-out (facts/temporal.md 4)."""

ATTRIBUTES = {
    "ShelfBook": IndexedValueType.INDEXED_VALUE_TYPE_KEYWORD,
    "ShelfJob": IndexedValueType.INDEXED_VALUE_TYPE_KEYWORD,
    "ShelfState": IndexedValueType.INDEXED_VALUE_TYPE_KEYWORD,
    "ShelfPagesDone": IndexedValueType.INDEXED_VALUE_TYPE_INT,
    "ShelfPagesFailed": IndexedValueType.INDEXED_VALUE_TYPE_INT,
    "ShelfCostUsd": IndexedValueType.INDEXED_VALUE_TYPE_DOUBLE,
}


@pytest.fixture(scope="session")
def test_server() -> str:
    found = Path(sys.executable).parent / "temporal-test-server"
    return str(found) if found.exists() else str(shutil.which("temporal-test-server"))


@pytest.fixture
async def time_skipping(test_server: str) -> AsyncIterator[WorkflowEnvironment]:
    """An unknown search attribute hangs the task on this server: all are registered first."""
    env = await WorkflowEnvironment.start_time_skipping(
        test_server_existing_path=test_server, data_converter=pydantic_data_converter
    )
    await env.client.operator_service.add_search_attributes(
        AddSearchAttributesRequest(namespace=env.client.namespace, search_attributes=ATTRIBUTES)
    )
    try:
        yield env
    finally:
        await env.shutdown()


class Reader:
    """An OCR provider in the test's own hands: counts its calls, fails as told, waits where told."""

    def __init__(self, name: str = "tesseract", confidence: float = 95.0) -> None:
        self.name = name
        self.confidence = confidence
        self.calls: Counter[int] = Counter()
        self.fail: Callable[[int, int], ProviderError | None] = lambda page, call: None
        self.texts: Mapping[int, Sequence[str]] = {}
        self.low: set[int] = set()
        self.gate: asyncio.Event | None = None

    def model(self, language: str) -> str:
        return f"{self.name} 1 {language}"

    def parameters(self) -> Mapping[str, object]:
        return {}

    async def read(self, leaf: LeafSource, language: str, timeout_seconds: float) -> Reading:
        page = leaf.page
        self.calls[page] += 1
        if self.gate is not None:
            await self.gate.wait()
        error = self.fail(page, self.calls[page])
        if error is not None:
            raise error
        default = [str(page), f"Text of page {page}, read by {self.name}, call {self.calls[page]}."]
        lines = self.texts.get(page, default)
        confidence = 50.0 + page / 10 if page in self.low else self.confidence
        return Reading(reading(self.name, lines, confidence), 0.01)

    async def close(self) -> None:
        return None


def reading(provider: str, lines: Sequence[str], confidence: float) -> PageReading:
    rows = []
    for number, text in enumerate(lines):
        top = 40.0 + 20 * number
        words = [
            Word(word, (60.0 + 40 * at, top, 60.0 + 40 * at + 35, top + 12), confidence)
            for at, word in enumerate(text.split())
        ]
        if words:
            rows.append(Line(words))
    return PageReading(provider, 400.0, 600.0, rows, model=f"{provider} 1", language="eng")


class Pdf:
    """Facts of a source that exists only as a number of pages."""

    def __init__(self) -> None:
        self.good: set[int] = set()
        self.outline: list[tuple[int, str, int]] = []
        self.drawings: dict[int, list[Box]] = {}
        self.looked_at: list[int] = []
        self.gutters: dict[tuple[int, int], tuple[float | None, str]] = {}

    async def leaf(
        self, leaf: LeafSource, timeout_seconds: float, *, images: bool = False, steps: str | None = None
    ) -> LeafFacts:
        return LeafFacts(
            width=400.0,
            height=600.0,
            rotation=0,
            image_hash=hashlib.sha256(f"{Path(leaf.path).name} {leaf.index} {leaf.region}".encode()).hexdigest(),
            text_layer="good" if leaf.page in self.good else "none",
        )

    async def book(self, manifest: Manifest, artifacts: Any) -> BookFacts:
        return BookFacts(outline=self.outline)

    async def figures(self, leaf: LeafSource, text: Sequence[Box], timeout_seconds: float) -> list[Box]:
        self.looked_at.append(leaf.page)
        return self.drawings.get(leaf.page, [])

    async def inspect(self, paths: Sequence[Path]) -> list[tuple[Path, str, int]]:
        return [(path, "pdf", int(path.read_text().split()[0])) for path in paths]

    async def spreads(
        self, files: Sequence[tuple[Path, str, int]], *, always: bool = False
    ) -> dict[tuple[int, int], tuple[float | None, str]]:
        return dict(self.gutters)


@dataclass
class Shelf:
    """One worker over one in-memory database, and what tests ask of it."""

    env: WorkflowEnvironment
    services: Services
    store: MemoryStore
    pdf: Pdf
    tesseract: Reader
    rapidocr: Reader
    folder: Path
    handles: list[WorkflowHandle[Any, Any]] = field(default_factory=list)

    @property
    def client(self) -> Client:
        return self.env.client

    async def start(
        self, count: int | None = None, workflow: str = "ProcessPages", **options: Any
    ) -> WorkflowHandle[Any, JobResult]:
        """Start a job on a book of `count` pages."""
        if count is not None:
            path = self.folder / f"book-of-{count}.pdf"
            path.write_text(str(count))
            options["source"] = str(path)
        handle = await self.client.start_workflow(
            workflow,
            options,
            id=options.pop("id", None) or f"job-{uuid.uuid4().hex[:8]}",
            task_queue="shelf",
            execution_timeout=RUN_LIMIT,
            result_type=JobResult,
        )
        self.handles.append(handle)
        return handle

    async def run(self, count: int | None = None, **options: Any) -> JobResult:
        handle = await self.start(count, **options)
        return await handle.result()

    async def pages(self, book_id: str) -> dict[int, Page]:
        found = await self.store.find(Page, {"book_key": book_id})
        return {page.page: page for page in found if page.page is not None}

    async def ocr_results(self, book_id: str) -> list[OcrResult]:
        return await self.store.find(OcrResult, {"book_key": book_id})

    async def commits(self) -> dict[str, int]:
        """Number of versions of every document that a second run must leave alone."""
        counts = {}
        for kind in (Book, Page, OcrResult, ToC, TocEntry):
            for document in await self.store.find(kind, {}):
                counts[document.key] = len(await self.store.history(kind, document.key))
        return counts


@pytest.fixture
async def shelf(time_skipping: WorkflowEnvironment, tmp_path: Path) -> AsyncIterator[Shelf]:
    store = MemoryStore()
    pdf = Pdf()
    tesseract, rapidocr, text_layer = Reader(), Reader("rapidocr"), Reader("text-layer", 99.0)
    services = Services(
        store=store,
        artifacts=LocalArtifactStore(tmp_path / "artifacts"),
        providers={reader.name: reader for reader in (tesseract, rapidocr, text_layer)},
        queues={row.name: row for row in QUEUES if row.name != "scripted"},
        client=time_skipping.client,
        source_roots=[tmp_path],
    )
    async with AsyncExitStack() as stack:
        for worker in make_workers(time_skipping.client, services, pdf):  # type: ignore[arg-type]
            await stack.enter_async_context(worker)
        yield Shelf(time_skipping, services, store, pdf, tesseract, rapidocr, tmp_path)


async def progress(handle: WorkflowHandle[Any, Any]) -> Progress:
    return await handle.query("progress", result_type=Progress)


async def until(condition: Callable[[], Any], seconds: float = 20.0) -> None:
    """Real time: what is waited for happens in an activity."""
    deadline = asyncio.get_running_loop().time() + seconds
    while True:
        result = condition()
        if asyncio.iscoroutine(result):
            result = await result
        if result:
            return
        assert asyncio.get_running_loop().time() < deadline, "it did not come to pass"
        await asyncio.sleep(0.02)


def manifest_of(pages: int) -> Manifest:
    return Manifest(name="book", parts=(SourcePart(sha256=digest(pages), name="book.pdf", kind="pdf", pages=pages),))
