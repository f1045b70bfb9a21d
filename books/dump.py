"""A dump: books as one file that any version of the database can be filled from. Format: docs/dump-format.md.

A zip archive of JSON lines and of the artifacts as they are, written book by book, so that memory follows the largest
book and not the shelf. Its manifest is the last member: a file that was cut off has none.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import hashlib
import json
import os
import uuid
import zipfile
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO

import pydantic_core

from activities.holdings import MEMBERS, Collector, Holdings, where
from providers.artifacts import ArtifactStore
from schemas.documents import Book, Document, Lease, Metric
from schemas.errors import ArtifactMissing, DiskFull, LeaseHeld
from schemas.guard import row_of, same_content
from schemas.sdl import SCALARS, python_types
from schemas.store import Store, Version

FORMAT = "shelf-dump"
FORMAT_VERSION = 1
MANIFEST = "manifest.json"
KINDS: tuple[type[Document], ...] = (*MEMBERS, Lease, Book)
"""In the order in which they are loaded: a book that is named is whole."""
HISTORIES_AT_ONCE = 8
"""One question per document; more at once only wait for each other in the server."""
LOOKS = 3
"""Times that a book is read again because a job came and went meanwhile."""
BLOCK_BYTES = 1 << 20
MEMBER_DATE = (1980, 1, 1, 0, 0, 0)
"""Of every member: when the dump was made stands in its manifest, once."""

Busy = Callable[[Lease], Awaitable[bool]]
"""Whether the job that a lease names still runs."""
Tell = Callable[[str, int, int], None]
"""What is done now, how many are done, of how many."""


@dataclass(frozen=True, slots=True)
class DumpOptions:
    """What goes into a dump."""

    artifacts: bool = True
    """Engines' results and source files."""
    history: bool = True
    """Every version of every document: one question to the database for each."""
    compress: bool = True
    """Deflate what is text. Source files are compressed images, and stay as they are."""


@dataclass
class BookSummary:
    """What a dump has of one book."""

    documents: dict[str, int] = field(default_factory=dict)
    versions: int = 0
    artifacts: int = 0
    files: int = 0
    missing: list[str] = field(default_factory=list)
    """Artifacts and files that documents name and the artifact store has not, or has damaged."""


@dataclass
class DumpSummary:
    """What was written."""

    path: Path
    id: str
    bytes: int
    books: dict[str, BookSummary]


def field_types() -> dict[str, dict[str, str]]:
    """Type -> field -> its type in the database's words."""
    return {
        kind.__name__: {name: SCALARS[python_type].name for name, python_type in python_types(kind).items()}
        for kind in KINDS
    }


async def dump(
    store: Store,
    artifacts: ArtifactStore,
    books: Sequence[str],
    target: Path,
    options: DumpOptions,
    *,
    busy: Busy,
    versions: Mapping[str, str],
    tell: Tell = lambda what, done, total: None,
) -> DumpSummary:
    """Write these books into `target`, which appears when it is whole.

    Args:
        busy: tells whether the holder of a lease lives.
        versions: of Shelf and of the database, for the manifest.

    Raises LeaseHeld (a job works on a book), DiskFull, StoreUnavailable."""
    made = {"id": uuid.uuid4().hex, "made": datetime.now(UTC).isoformat(timespec="milliseconds")}
    part = target.with_name(f".{target.name}.{made['id'][:8]}.part")
    try:
        with _refusals(target), part.open("wb") as file:
            with contextlib.closing(_Writer(file, store, artifacts, options, busy)) as writer:
                for number, book in enumerate(books):
                    tell(book, number, len(books))
                    await writer.add(book)
                writer.finish({**made, **versions})
            file.flush()
            os.fsync(file.fileno())
            size = file.tell()
        with _refusals(target):
            os.replace(part, target)
    finally:
        part.unlink(missing_ok=True)
    return DumpSummary(target, made["id"], size, writer.books)


class _Writer:
    """The archive while it is written."""

    def __init__(
        self, file: BinaryIO, store: Store, artifacts: ArtifactStore, options: DumpOptions, busy: Busy
    ) -> None:
        self._zip = zipfile.ZipFile(file, "w", allowZip64=True)
        self._store = store
        self._artifacts = artifacts
        self._options = options
        self._busy = busy
        self._files: dict[str, dict[str, Any]] = {}
        self.books: dict[str, BookSummary] = {}

    async def add(self, book: str) -> None:
        """One book with all that it holds."""
        summary = self.books[book] = BookSummary()
        documents = await self._documents(book)
        collector = Collector()
        for kind, rows in documents.items():
            await asyncio.to_thread(self._lines, f"books/{book}/{kind.__name__}.jsonl", rows)
            summary.documents[kind.__name__] = len(rows)
            if kind is Metric and not self._options.history:
                continue  # what it names are the versions of earlier databases
            for row in rows:
                collector.add(kind, row)
        if self._options.history:
            await self._history(book, documents, collector, summary)
        if self._options.artifacts:
            found = await asyncio.to_thread(collector.result, self._artifacts)
            await asyncio.to_thread(self._held, book, found, summary)

    async def _documents(self, book: str) -> dict[type[Document], list[dict[str, Any]]]:
        """All rows of a book, as they were at one moment: between two looks at its lease nobody took it."""
        for _ in range(LOOKS):
            before = await self._free(book)
            found: dict[type[Document], list[dict[str, Any]]] = {}
            for kind in KINDS:
                if kind is not Lease:
                    rows = [row_of(kind, each) for each in await self._store.find(kind, where(kind, book))]
                    found[kind] = rows
            after = await self._free(book)
            if before == after:
                # Who held it last is over; what counts is that its epoch goes on growing.
                found[Lease] = [{"key": book, "book_key": book, "epoch": after}]
                return {kind: found[kind] for kind in KINDS if found[kind]}
        raise LeaseHeld(f"Jobs on book {book} came and went while it was read.", "Dump again when they are done.")

    async def _free(self, book: str) -> int:
        """Epoch of the book. Raises LeaseHeld where somebody works on it."""
        lease = (await self._store.get(Lease, [book])).get(book)
        if lease is None:
            return 0
        if lease.workflow_id and await self._busy(lease):
            raise LeaseHeld(
                f"Book {book} is being worked on by {lease.workflow_id}.",
                f"Wait for it (`shelf watch {book}`), or leave the book out: --except {book}.",
            )
        return lease.epoch or 0

    async def _history(
        self,
        book: str,
        documents: Mapping[type[Document], Sequence[Mapping[str, Any]]],
        collector: Collector,
        summary: BookSummary,
    ) -> None:
        with self._member(f"books/{book}/history.jsonl", pack=True) as write:
            for kind, rows in documents.items():
                if kind is Lease:
                    continue
                for at in range(0, len(rows), HISTORIES_AT_ONCE):
                    chunk = rows[at : at + HISTORIES_AT_ONCE]
                    found = await asyncio.gather(*(self._store.history(kind, row["key"]) for row in chunk))
                    for row, versions in zip(chunk, found, strict=True):
                        kept = _until(versions, row, kind)
                        summary.versions += len(kept)
                        for version in kept:
                            collector.add(kind, version.changed)
                        write(_line({"type": kind.__name__, "key": row["key"], "versions": list(map(_version, kept))}))

    def _held(self, book: str, found: Holdings, summary: BookSummary) -> None:
        """Artifacts and source files; those of several books once."""
        for fingerprint in sorted(found.artifacts):
            if f"artifacts/{fingerprint}" not in self._files:
                body = self._artifacts.get(fingerprint)
                if body is None:
                    summary.missing.append(fingerprint)
                    continue
                with self._member(f"artifacts/{fingerprint}", pack=True) as write:
                    write(body)
                if attempts := self._artifacts.attempts(fingerprint):
                    with self._member(f"attempts/{fingerprint}.json", pack=True) as write:
                        write(pydantic_core.to_json(attempts))
            summary.artifacts += 1
        for sha256 in sorted(found.files):
            if f"sources/{sha256}" not in self._files and not self._source(sha256):
                summary.missing.append(sha256)
                continue
            summary.files += 1
        names = {
            "artifacts": sorted(found.artifacts - set(summary.missing)),
            "files": sorted(found.files - set(summary.missing)),
            "missing": summary.missing,
        }
        with self._member(f"books/{book}/held.json", pack=True) as write:
            write(_line(names))

    def _source(self, sha256: str) -> bool:
        """Whether the source file is there, and is what its name says."""
        try:
            path = self._artifacts.file(sha256)
        except ArtifactMissing:
            return False
        with path.open("rb") as file:
            if hashlib.file_digest(file, "sha256").hexdigest() != sha256:
                return False
            file.seek(0)
            with self._member(f"sources/{sha256}", pack=False) as write:
                while block := file.read(BLOCK_BYTES):
                    write(block)
        return True

    def _lines(self, name: str, rows: Sequence[Mapping[str, Any]]) -> None:
        with self._member(name, pack=True) as write:
            for row in rows:
                write(_line(row))

    def finish(self, head: Mapping[str, str]) -> None:
        """The manifest, then the archive's own index."""
        manifest = {
            "format": FORMAT,
            "version": FORMAT_VERSION,
            **head,
            "history": self._options.history,
            "artifacts": self._options.artifacts,
            "types": field_types(),
            "books": {
                key: {name: value for name, value in vars(summary).items() if name != "missing"}
                | {"missing": len(summary.missing)}
                for key, summary in self.books.items()
            },
            "files": dict(self._files),
        }
        with self._member(MANIFEST, pack=True) as write:
            write(json.dumps(manifest, ensure_ascii=False, indent=1).encode())
        self._zip.close()

    def close(self) -> None:
        """Let go of the file; what is not finished is nothing."""
        with contextlib.suppress(OSError):
            self._zip.close()

    @contextlib.contextmanager
    def _member(self, name: str, *, pack: bool) -> Iterator[Callable[[bytes], None]]:
        info = zipfile.ZipInfo(name, MEMBER_DATE)
        info.compress_type = zipfile.ZIP_DEFLATED if pack and self._options.compress else zipfile.ZIP_STORED
        info.external_attr = 0o644 << 16
        hashed = hashlib.sha256()
        count = 0
        with self._zip.open(info, "w", force_zip64=True) as file:

            def write(body: bytes) -> None:
                nonlocal count
                hashed.update(body)
                count += len(body)
                file.write(body)

            yield write
        self._files[name] = {"sha256": hashed.hexdigest(), "bytes": count}


def _until(versions: Sequence[Version], row: Mapping[str, Any], kind: type[Document]) -> list[Version]:
    """The versions up to the one that was dumped: a job may have begun since."""
    kept = list(versions)
    while kept and not same_content(kept[-1].state, row, python_types(kind)):
        kept.pop()
    return kept


def _version(version: Version) -> dict[str, Any]:
    return {
        "cid": version.cid,
        "height": version.height,
        "signer": version.signer,
        "changed": dict(version.changed),
    }


def _line(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, sort_keys=True, allow_nan=False).encode() + b"\n"


@contextlib.contextmanager
def _refusals(target: Path) -> Iterator[None]:
    """What the operating system refuses, with the file and the next step. Raises DiskFull."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise DiskFull(
                f"No room left to write {target}.", "Name a file on another disk, or leave books out with --except."
            ) from error
        raise DiskFull(f"{target} cannot be written: {error.strerror}.", "Name another file with --out.") from error
