"""A small book in the in-memory store: a title page, a contents page that two engines read, a page that failed."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from cli import connect
from providers.local_artifacts import LocalArtifactStore
from providers.settings import BudgetSettings
from schemas.documents import Book, Document, Metric, OcrResult, Page, ToC, TocEntry
from schemas.keys import leaf_id, ocr_result_key, page_key, toc_entry_key, toc_key
from schemas.memory import MemoryStore
from schemas.reading import Line, PageReading, Word
from schemas.store import Update, op_id

BOOK = "small-book-0123abcd"
JOB = f"process-pages:{BOOK}"


def key_of(page: int) -> str:
    return page_key(BOOK, leaf_id(0, page - 1))


def reading(provider: str, words: list[Word]) -> PageReading:
    return PageReading(provider, 400.0, 600.0, [Line(words)], model=f"{provider} 1", language="eng")


TESSERACT = reading("tesseract", [Word("The", (10, 10, 40, 20), 96.0), Word("Doct0r", (50, 10, 90, 20), 41.0)])
RAPIDOCR = reading("rapidocr", [Word("The", (10, 10, 40, 20), 99.0), Word("Doctor", (50, 10, 90, 20), 98.0)])
BLEND = reading(
    "vote",
    [
        Word("The", (10, 10, 40, 20), 99.0, voters=("tesseract", "rapidocr"), rule="agreed"),
        Word(
            "Doctor",
            (50, 10, 90, 20),
            98.0,
            voters=("rapidocr",),
            readings=(("tesseract", "Doct0r"), ("rapidocr", "Doctor")),
            rule="lexicon",
        ),
    ],
)


class Library:
    """The store, the artifacts, and what puts documents there as the saves do."""

    def __init__(self, folder: Path) -> None:
        self.store = MemoryStore()
        self.home = folder
        self.artifacts = LocalArtifactStore(folder / "artifacts")

    async def save(
        self,
        kind: type[Document],
        key: str,
        operation: str,
        fields: dict[str, Any],
        artifact: str = "",
        error: str | None = None,
    ) -> None:
        """A guarded update and the Metrics that go with it."""
        mark = op_id(1, operation, 1, f"{key}{artifact}")
        flags = {"complete": error is None, "artifact": artifact or None, "error": error}
        (written,) = await self.store.update(kind, operation, 1, 1, [Update(key, fields, flags, mark)])
        document = f"{kind.__name__} {key} {written.doc_id} {written.cid} {mark}"
        run = {"book_key": BOOK, "operation": operation, "workflow_id": JOB, "run_id": "run-1", "provider": "rules"}
        joined = f"unit-{operation}-{key}"
        await self.store.create(
            Metric,
            [
                Metric(
                    key=f"attempt/{joined}", kind="attempt", at="2026-01-02T03:04:05.000+00:00", op_id=joined, **run
                ),
                Metric(key=f"save/{joined}", kind="save", activity_id="7", documents=[document], op_id=joined, **run),
            ],
        )

    async def fill(self) -> None:
        store = self.store
        await store.stub(Book, [{"key": BOOK}])
        await self.save(Book, BOOK, "source", {"source_name": "small", "source_manifest": "m", "page_count": 4})
        evidence = {"title": {"page": 1, "confidence": 0.95, "source": "title_page"}}
        await self.save(
            Book,
            BOOK,
            "metadata",
            {
                "title": "A [small] Book",
                "authors": ["Ann Author"],
                "year": 1916,
                "isbn": ["9781402894626"],
                "language": "en",
                "metadata_evidence": json.dumps(evidence),
            },
        )
        await store.stub(
            Page,
            [
                {"key": key_of(n), "book_key": BOOK, "part": 0, "index": n - 1, "page": n, "region": ""}
                for n in range(1, 5)
            ],
        )
        for n in range(1, 5):
            await self.save(Page, key_of(n), "extract", {"text_layer": "none", "width": 400.0, "height": 600.0})
        for n in (1, 3):
            await self.save(Page, key_of(n), "ocr", {"ocr_results": []})
            await self.save(Page, key_of(n), "blend", {"text": f"Text of page {n}.", "confidence": 96.25})
            await self.save(Page, key_of(n), "label_read", {})
        await self._contents_page()
        await self.save(Page, key_of(4), "ocr", {}, error="TimedOut: it took longer than it may")
        for n, label, inferred, kind in (
            (1, None, False, "title_page"),
            (2, "iii", False, "toc"),
            (3, "1", True, "body"),
        ):
            fields = {"label": label, "label_inferred": inferred, "page_type": kind, "running_header": None}
            await self.save(Page, key_of(n), "label", fields)
        await store.stub(ToC, [{"key": toc_key(BOOK), "book_key": BOOK}])
        await self.save(
            ToC,
            toc_key(BOOK),
            "toc_find",
            {"found": True, "source": "printed", "pages": [2], "reason": "the word for contents"},
        )
        await store.create(
            TocEntry,
            [
                entry("old", 0, "Gone", None, None),
                entry("new", 0, "The Doctor", "1", 3),
                entry("new", 1, "A Second", "2", 4),
            ],
        )
        await self.save(ToC, toc_key(BOOK), "toc_extract", {"current_set": "new", "entry_count": 2})

    async def _contents_page(self) -> None:
        for name, page in (("fa", TESSERACT), ("fb", RAPIDOCR), ("fc", BLEND)):
            self.artifacts.publish(name * 32, page.to_json())
        results = [
            OcrResult(
                key=ocr_result_key(key_of(2), page.provider, name * 32),
                book_key=BOOK,
                page_key=key_of(2),
                provider=page.provider,
                model=page.model,
                language="eng",
                text=page.text,
                confidence=page.confidence,
                artifact=name * 32,
                generation=0,
            )
            for name, page in (("fa", TESSERACT), ("fb", RAPIDOCR))
        ]
        await self.store.create(OcrResult, results)
        await self.save(Page, key_of(2), "ocr", {"ocr_results": [result.key for result in results]})
        fields = {"text": BLEND.text, "confidence": 98.0, "agreement": 0.5, "expected_cer": 0.0341}
        await self.save(Page, key_of(2), "blend", fields, artifact="fc" * 32)
        await self.save(Page, key_of(2), "label_read", {})


def entry(toc_set: str, order: int, title: str, printed: str | None, page: int | None) -> TocEntry:
    return TocEntry(
        key=toc_entry_key(BOOK, toc_set, order),
        book_key=BOOK,
        toc_set=toc_set,
        sort_order=order,
        title=title,
        level=1 + order,
        printed=printed,
        page=page,
        confidence=0.9,
        source="printed",
    )


def link(workflow_id: str, run_id: str) -> str:
    return f"ui/{workflow_id}/{run_id}"


@pytest.fixture
def library(tmp_path: Path) -> Library:
    found = Library(tmp_path)
    asyncio.run(found.fill())
    return found


@pytest.fixture
def shelf(library: Library, monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[int, str, str]]:
    """Runs a command over the library; returns its exit code, stdout and stderr."""
    from typer.testing import CliRunner

    from cli.main import make_app

    @asynccontextmanager
    async def opened() -> AsyncIterator[Any]:
        yield SimpleNamespace(
            store=library.store,
            artifacts=library.artifacts,
            settings=SimpleNamespace(home=library.home, providers={}, budget=BudgetSettings(per_day_usd=5.0)),
            temporal_address=None,
            link=link,
        )

    monkeypatch.setattr(connect, "reading", opened)

    def run(*arguments: str) -> tuple[int, str, str]:
        result = CliRunner().invoke(make_app(), list(arguments))
        return result.exit_code, result.stdout, result.stderr

    return run


def write_pdf(path: Path, *texts: str) -> Path:
    """A born-digital PDF with a page per text."""
    import pymupdf

    document = pymupdf.open()
    for text in texts:
        document.new_page(width=300, height=400).insert_textbox((30, 30, 270, 370), text, fontsize=12)
    document.save(path)
    return path
