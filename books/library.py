"""The shelf at a glance: how far each book is, what it cost, which books share files.

Counting a book's pages and Metrics takes the database 0.1 to 0.2 s, so what was counted is kept beside the search index under
the book's mark (`books.search`): it holds until the next job begins on the book. A book with a job on it is always counted.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from activities.holdings import being_deleted
from activities.registry import PAGE_OPERATIONS
from providers.artifacts import ArtifactStore
from providers.source import Manifest
from schemas.documents import Book, Document, Lease, Metric, Page, ToC
from schemas.keys import toc_key
from schemas.pagespec import format_pages
from schemas.store import Store, digest

CACHE = "library.json"
VERSION = 1
AT_ONCE = 4
"""Books that are counted at a time; DefraDB answers on as many cores as it has."""

NEW, COMPLETE, GAPS, FAILED = "new", "complete", "gaps", "failed"
HELD, RUNNING, PAUSED, INTERRUPTED = "held", "running", "paused", "interrupted"
DELETING = "deleting"
STATES = (NEW, COMPLETE, GAPS, FAILED, DELETING, HELD, RUNNING, PAUSED, INTERRUPTED)

Progress = Callable[[int, int], None]
"""Called with books counted and books to count."""


@dataclass(frozen=True, slots=True)
class Counts:
    """What is counted over the documents of a book."""

    pages_complete: int
    failed: str
    """Pages that failed, as "3,7-9"."""
    missing: str
    """Pages that were not read to the end, and did not fail."""
    errors: dict[str, str]
    """operation -> why it failed for the book as a whole."""
    done: bool
    """Labels, metadata and contents are there."""
    cost_usd: float | None
    """None where an attempt's cost is not known."""
    changed: str | None
    """Of the last save, RFC 3339 UTC."""


@dataclass(frozen=True, slots=True)
class ShelfBook:
    """A book on the shelf."""

    book: Book
    counts: Counts
    toc: ToC | None
    holder: str | None
    """Workflow that holds the book."""

    @property
    def state(self) -> str:
        """How far the documents are, whoever works on them."""
        if being_deleted(self.book):
            return DELETING
        if self.counts.errors:
            return FAILED
        if self.counts.failed:
            return GAPS
        if not self.counts.pages_complete:
            return NEW
        return GAPS if self.counts.missing or not self.counts.done else COMPLETE


_BOOK_FIELDS = (
    *("title", "authors", "year", "source_name", "barcode", "page_count", "chapter_count"),
    *(f"{name}_{flag}" for name in Book.operations for flag in ("op_id", "complete", "error")),
)
_TOC_FIELDS = (
    *("found", "entry_count", "mismatch_count"),
    *(f"{name}_{flag}" for name in ToC.operations for flag in ("op_id", "complete", "error")),
)
_PAGE_FIELDS = ("page", *(f"{name}_{flag}" for name in Page.operations for flag in ("complete", "error")))


async def all_books(store: Store, home: Path | None = None, *, progress: Progress | None = None) -> list[ShelfBook]:
    """Every book, by key.

    Args:
        home: state folder, where counts are kept; None keeps none.
    """
    # The leases first: what is written after this look has a later epoch.
    leases = {lease.key: lease for lease in await store.find(Lease, {}, ["epoch", "workflow_id"])}
    books, tocs = await asyncio.gather(store.find(Book, {}, _BOOK_FIELDS), store.find(ToC, {}, _TOC_FIELDS))
    contents = {toc.key: toc for toc in tocs}
    kept = _load(home)
    marks = {book.key: _mark(book, contents.get(toc_key(book.key)), leases.get(book.key)) for book in books}
    counts = {key: kept[key][1] for key, mark in marks.items() if mark and key in kept and kept[key][0] == mark}
    rest = [book for book in books if book.key not in counts]
    gate, done = asyncio.Semaphore(AT_ONCE), 0

    async def one(book: Book) -> None:
        nonlocal done
        async with gate:
            counts[book.key] = await _count(store, book, contents.get(toc_key(book.key)))
        done += 1
        if progress is not None:
            progress(done, len(rest))

    await asyncio.gather(*(one(book) for book in rest))
    if rest or len(kept) != len(books):
        _keep(home, {key: (mark, counts[key]) for key, mark in marks.items() if mark})
    holders = {key: lease.workflow_id or None for key, lease in leases.items()}
    return [ShelfBook(book, counts[book.key], contents.get(toc_key(book.key)), holders.get(book.key)) for book in books]


def _mark(book: Book, toc: ToC | None, lease: Lease | None) -> str:
    """'' while a job works on the book."""
    if lease is not None and lease.workflow_id:
        return ""
    saves = [book.flag(name, "op_id") for name in Book.operations]
    saves += [toc.flag(name, "op_id") for name in ToC.operations] if toc is not None else []
    return digest([lease.epoch if lease is not None else 0, book.page_count, *saves])[:16]


async def _count(store: Store, book: Book, toc: ToC | None) -> Counts:
    found, metrics = await asyncio.gather(
        store.find(Page, {"book_key": book.key}, _PAGE_FIELDS),
        store.find(Metric, {"book_key": book.key}, ["kind", "cost_usd", "at"]),
    )
    pages = [page for page in found if page.page]
    complete = {page.page for page in pages if all(page.flag(name, "complete") for name in PAGE_OPERATIONS)}
    failed = {page.page for page in pages if any(page.flag(name, "error") for name in Page.operations)}
    missing = set(range(1, (book.page_count or 0) + 1)) - complete - failed
    wholes: list[tuple[Document | None, str]] = [(book, "label"), (book, "metadata"), (toc, "toc_extract")]
    costs = [metric.cost_usd for metric in metrics if metric.kind == "attempt"]
    known = [cost for cost in costs if cost is not None]
    return Counts(
        pages_complete=len(complete),
        failed=format_pages(page for page in failed if page),
        missing=format_pages(missing),
        errors={**_errors(book, Book.operations), **_errors(toc, ToC.operations)},
        done=all(document is not None and document.flag(name, "complete") for document, name in wholes),
        cost_usd=float(sum(known)) if len(known) == len(costs) else None,
        changed=max((metric.at for metric in metrics if metric.at), default=None),
    )


def _errors(document: Document | None, operations: Sequence[str]) -> dict[str, str]:
    if document is None:
        return {}
    return {name: str(error) for name in operations if (error := document.flag(name, "error"))}


def _load(home: Path | None) -> dict[str, tuple[str, Counts]]:
    """What was counted before; nothing where that cannot be read."""
    if home is None:
        return {}
    try:
        kept = json.loads((home / CACHE).read_text())
        if kept["version"] != VERSION:
            return {}
        return {key: (mark, Counts(**counts)) for key, (mark, counts) in kept["books"].items()}
    except (OSError, ValueError, KeyError, TypeError):
        return {}


def _keep(home: Path | None, counted: Mapping[str, tuple[str, Counts]]) -> None:
    if home is None or not home.is_dir():
        return
    books = {key: (mark, asdict(counts)) for key, (mark, counts) in counted.items()}
    aside = home / f"{CACHE}.new"
    with contextlib.suppress(OSError):  # a full disk: it is counted again next time
        aside.write_text(json.dumps({"version": VERSION, "books": books}))
        aside.replace(home / CACHE)


# Files that several books have ----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Shared:
    """Two books with files in common."""

    first: str
    second: str
    files: int
    """How many they share."""
    same: bool
    """Their sources are the same files in the same order."""


async def duplicates(store: Store, artifacts: ArtifactStore) -> list[Shared]:
    """Every pair of books with a file in common. A book whose manifest is lost is compared with none."""
    books = await store.find(Book, {}, ["source_manifest"])
    manifests = {book.key: found for book in books if (found := _manifest(book.source_manifest, artifacts)) is not None}
    owners: dict[str, list[str]] = {}
    for key, manifest in manifests.items():
        for sha256 in dict.fromkeys(part.sha256 for part in manifest.parts):
            owners.setdefault(sha256, []).append(key)
    pairs: dict[tuple[str, str], int] = {}
    for keys in owners.values():
        for number, first in enumerate(keys):
            for second in keys[number + 1 :]:
                pairs[first, second] = pairs.get((first, second), 0) + 1
    original = {key: _original(manifests[key], artifacts) for pair in pairs for key in pair}
    return [
        Shared(first, second, count, original[first] == original[second])
        for (first, second), count in sorted(pairs.items())
    ]


async def same_source(store: Store, artifacts: ArtifactStore, book_key: str, hashes: Sequence[str]) -> Book | None:
    """The book that was made before from exactly these files in this order, under another name; None where `book_key`
    itself is known.

    A key ends with the hash of the files, so that the others need not be looked at."""
    mine = book_key.rpartition("-")[2]
    books = await store.find(Book, {}, ["source_name", "title", "source_manifest"])
    for book in books if all(book.key != book_key for book in books) else ():
        if book.key.rpartition("-")[2] != mine:
            continue
        manifest = _manifest(book.source_manifest, artifacts)
        if manifest is None or _original(manifest, artifacts) == list(hashes):
            return book
    return None


def _original(manifest: Manifest, artifacts: ArtifactStore) -> list[str]:
    """Files of the source, without those that came with rescans."""
    first = _manifest(manifest.original, artifacts) if manifest.original else None
    return [part.sha256 for part in (first or manifest).parts]


def _manifest(fingerprint: str | None, artifacts: ArtifactStore) -> Manifest | None:
    body = artifacts.get(fingerprint) if fingerprint else None
    return Manifest.model_validate_json(body) if body is not None else None
