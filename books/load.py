"""Reading a dump (`books/dump.py`): the whole file is checked before anything is written, then book by book.

Documents come back with their values, revisions and op_ids, so that jobs go on where they were. What DefraDB itself makes
does not: names of documents and commits are new, and the versions of before lie beside, in an artifact that a Metric of
the operation `load` names.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import re
import tempfile
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import pydantic_core
from pydantic import BaseModel, ConfigDict, ValidationError

from activities.holdings import EARLIER_HISTORY, MEMBERS, where
from books.dump import BLOCK_BYTES, FORMAT, FORMAT_VERSION, KINDS, MANIFEST, Busy, Tell
from providers.artifacts import ArtifactStore
from schemas.documents import Book, Document, Lease, Metric
from schemas.errors import BadInput, DocumentRefused, LeaseHeld, RevReused, ShelfError
from schemas.guard import difference, row_of, same
from schemas.sdl import SCALARS, python_types
from schemas.store import Store, Version, digest

LOADED = "load"
"""`kind` and `operation` of the Metric that says where a book came from."""
DOCUMENTS_A_REQUEST = 240
"""Of one `Store.create`, which sends a dozen at a time."""
NAMES = re.compile(
    r"manifest\.json|books/[a-z0-9-]+/(?:[A-Za-z]+\.jsonl|history\.jsonl|held\.json)"
    r"|(?:artifacts|sources)/[0-9a-f]+|attempts/[0-9a-f]+\.json"
)
"""Of the members; a path that leads elsewhere is none of them."""
MEMBERS_AND_BOOK: tuple[type[Document], ...] = (*MEMBERS, Book)
KIND_BY_NAME = {kind.__name__: kind for kind in KINDS}


class BadDump(ShelfError):
    """A file is no dump, is damaged, or was made by a later version of Shelf."""

    exit_code = 65


class BookDiffers(ShelfError):
    """A book of the dump is in the database with other content."""

    exit_code = 73


class _Member(BaseModel):
    model_config = ConfigDict(frozen=True)
    sha256: str
    bytes: int


class _BookEntry(BaseModel):
    model_config = ConfigDict(frozen=True)
    documents: dict[str, int]
    versions: int = 0
    artifacts: int = 0
    files: int = 0
    missing: int = 0


class DumpManifest(BaseModel):
    """`manifest.json` of a dump."""

    model_config = ConfigDict(frozen=True)
    format: str
    version: int
    id: str
    made: str
    shelf: str = ""
    database: str = ""
    history: bool
    artifacts: bool
    types: dict[str, dict[str, str]]
    books: dict[str, _BookEntry]
    files: dict[str, _Member]


class _Held(BaseModel):
    artifacts: list[str]
    files: list[str]
    missing: list[str] = []


@dataclass(frozen=True, slots=True)
class Loaded:
    """What became of one book."""

    key: str
    outcome: str
    """'loaded', or 'equal': it was there already."""
    documents: int
    artifacts: int
    missing: int
    """Artifacts that the dump itself did not have."""


class Dump:
    """A dump that can be read. Use as a context manager.

    Raises BadDump: no dump, cut off, of a later format."""

    def __init__(self, path: Path) -> None:
        self.path = path
        if not path.is_file():
            raise BadDump(f"There is no file {path}.", "Name a file that `shelf dump` wrote.")
        try:
            self._zip = zipfile.ZipFile(path)
        except (zipfile.BadZipFile, OSError) as error:
            raise BadDump(f"{path} is cut off or no dump of Shelf: {error}.", "Use another copy of it.") from None
        try:
            self.manifest = self._manifest()
        except BaseException:
            self._zip.close()
            raise

    def __enter__(self) -> Dump:
        return self

    def __exit__(self, *_: object) -> None:
        self._zip.close()

    def _manifest(self) -> DumpManifest:
        if MANIFEST not in self._zip.namelist():
            raise BadDump(f"{self.path} is no dump of Shelf: it has no {MANIFEST}.", "Name another file.")
        try:
            found = json.loads(self._read(MANIFEST))
            if not isinstance(found, dict) or found.get("format") != FORMAT:
                raise BadDump(f"{self.path} is no dump of Shelf.", "Name a file that `shelf dump` wrote.")
            if found.get("version") != FORMAT_VERSION:
                raise BadDump(
                    f"{self.path} has format {found.get('version')}, and this Shelf reads {FORMAT_VERSION}.",
                    f"Load it with the Shelf that made it ({found.get('shelf') or 'unknown'}), or a later one.",
                )
            return DumpManifest.model_validate(found)
        except (ValidationError, ValueError) as error:
            raise self._damaged(MANIFEST, str(error).split("\n")[0]) from None

    # Looking ------------------------------------------------------------------------------------------------------

    def books(self, only: Sequence[str] = ()) -> list[str]:
        """Keys of the books, or of those asked for: by key, or the beginning of exactly one. Raises BadInput."""
        keys = list(self.manifest.books)
        chosen = []
        for text in only:
            matching = [key for key in keys if key == text] or [key for key in keys if key.startswith(text.lower())]
            if len(matching) != 1:
                raise BadInput(f"{self.path} has {len(matching)} books {text!r}.", f"It has: {', '.join(keys)}.")
            chosen += matching
        return chosen or keys

    def verify(self, tell: Tell = lambda what, done, total: None) -> None:
        """Every member against its hash, every row against its type, every count. Raises BadDump, which names it."""
        listed = {MANIFEST, *self.manifest.files}
        names = self._zip.namelist()
        if len(names) != len(set(names)) or set(names) != listed:
            odd = sorted(set(names) ^ listed) or ["a name that occurs twice"]
            raise self._damaged(odd[0], "it is not what the manifest lists")
        for name in names:
            if not NAMES.fullmatch(name):
                raise self._damaged(name, "no dump has such a name")
        self._check_types()
        for number, (name, wanted) in enumerate(self.manifest.files.items()):
            tell(name, number, len(self.manifest.files))
            hashed, count = hashlib.sha256(), 0
            with self._member(name) as read:
                while block := read(BLOCK_BYTES):
                    hashed.update(block)
                    count += len(block)
            if (hashed.hexdigest(), count) != (wanted.sha256, wanted.bytes):
                raise self._damaged(name, "its bytes are not those that were written")
            if name.startswith("sources/") and name != f"sources/{wanted.sha256}":
                raise self._damaged(name, "its name is not its hash")
        for book in self.manifest.books:
            self._check_book(book)

    def _check_types(self) -> None:
        for type_name, fields in self.manifest.types.items():
            kind = KIND_BY_NAME.get(type_name)
            known = {} if kind is None else {name: SCALARS[each].name for name, each in python_types(kind).items()}
            for name, scalar in fields.items():
                if known.get(name) != scalar:
                    raise BadDump(
                        f"{self.path} has the field {type_name}.{name} ({scalar}), which this Shelf has not.",
                        f"Load it with the Shelf that made it ({self.manifest.shelf or 'unknown'}), or a later one.",
                    )

    def _check_book(self, book: str) -> None:
        entry = self.manifest.books[book]
        if unknown := sorted(set(entry.documents) - set(KIND_BY_NAME)):
            raise self._damaged(MANIFEST, f"it names the type {unknown[0]}")
        if entry.documents.get("Book") != 1:
            raise self._damaged(MANIFEST, f"it has no document of the book {book}")
        for type_name, count in entry.documents.items():
            kind, name = KIND_BY_NAME[type_name], f"books/{book}/{type_name}.jsonl"
            keys = set()
            for row in self.rows(book, kind):
                try:
                    row_of(kind, row)
                except DocumentRefused as error:
                    raise self._damaged(name, str(error)) from None
                if next(iter(where(kind, book))) not in row or row[next(iter(where(kind, book)))] != book:
                    raise self._damaged(name, f"{row['key']} belongs to another book")
                keys.add(row["key"])
            if len(keys) != count:
                raise self._damaged(name, f"it has {len(keys)} documents and not {count}")
        if self.manifest.artifacts:
            held = self.held(book)
            lacking = {f"artifacts/{each}" for each in held.artifacts} | {f"sources/{each}" for each in held.files}
            if lacking := lacking - set(self.manifest.files):
                raise self._damaged(min(lacking), f"{book} holds it, and it is not there")

    # Reading ------------------------------------------------------------------------------------------------------

    def rows(self, book: str, kind: type[Document]) -> Iterator[dict[str, Any]]:
        """The documents of a type, without their null fields. Raises BadDump."""
        name = f"books/{book}/{kind.__name__}.jsonl"
        if kind.__name__ not in self.manifest.books[book].documents:
            return
        with self._opened(name) as file:
            for line in file:
                try:
                    row = json.loads(line)
                except ValueError:
                    raise self._damaged(name, "a line of it is no JSON") from None
                if not isinstance(row, dict):
                    raise self._damaged(name, "a line of it is no document")
                yield row

    def documents(self, book: str, kind: type[Document]) -> list[Document]:
        """The documents of a type as they are written to a database."""
        return [kind.model_validate(row) for row in self.rows(book, kind)]

    def epoch(self, book: str) -> int:
        """Of the book's lease."""
        return max((int(row.get("epoch") or 0) for row in self.rows(book, Lease)), default=0)

    def held(self, book: str) -> _Held:
        """What the book has in the artifact store."""
        name = f"books/{book}/held.json"
        if not self.manifest.artifacts:
            return _Held(artifacts=[], files=[])
        try:
            return _Held.model_validate_json(self._read(name))
        except ValidationError:
            raise self._damaged(name, "it cannot be read") from None

    def history(self, book: str) -> bytes | None:
        """Versions of all documents, as JSON lines; None where the dump has none."""
        return self._read(f"books/{book}/history.jsonl") if self.manifest.history else None

    def artifact(self, fingerprint: str) -> bytes:
        """A published result."""
        return self._read(f"artifacts/{fingerprint}")

    def attempts(self, fingerprint: str) -> dict[str, dict[str, Any]]:
        """Notes of the attempts at it."""
        name = f"attempts/{fingerprint}.json"
        if name not in self.manifest.files:
            return {}
        found: dict[str, dict[str, Any]] = pydantic_core.from_json(self._read(name))
        return found

    @contextlib.contextmanager
    def source(self, sha256: str) -> Iterator[Path]:
        """A source file, unpacked for as long as the block lasts."""
        with tempfile.TemporaryDirectory(prefix="shelf-load-") as folder:
            path = Path(folder) / sha256[:12]
            with path.open("wb") as target, self._member(f"sources/{sha256}") as read:
                while block := read(BLOCK_BYTES):
                    target.write(block)
            yield path

    def _read(self, name: str) -> bytes:
        with self._member(name) as read:
            return read(-1)

    @contextlib.contextmanager
    def _member(self, name: str) -> Iterator[Callable[[int], bytes]]:
        with self._opened(name) as file:
            yield file.read

    @contextlib.contextmanager
    def _opened(self, name: str) -> Iterator[Any]:
        """Damage that the archive itself notices is named like ours."""
        try:
            with self._zip.open(name) as file:
                yield file
        except (zipfile.BadZipFile, EOFError, OSError, KeyError, NotImplementedError) as error:
            raise self._damaged(name, str(error)) from None
        except Exception as error:
            if type(error).__module__ == "zlib":
                raise self._damaged(name, str(error)) from None
            raise

    def _damaged(self, name: str, why: str) -> BadDump:
        return BadDump(f"{self.path} is damaged: {name}: {why}.", "Use another copy of it, or dump again.")


# Loading --------------------------------------------------------------------------------------------------------------


async def load(
    dump: Dump,
    store: Store,
    artifacts: ArtifactStore,
    *,
    books: Sequence[str] = (),
    busy: Busy,
    tell: Tell = lambda what, done, total: None,
) -> list[Loaded]:
    """Fill a database from a dump that was verified; begun again after a kill, it goes on.

    Raises BookDiffers before anything is written: a book is there with other content. LeaseHeld, DiskFull,
    StoreUnavailable."""
    keys = list(books) or dump.books()
    there = {key: await _compare_with(dump, store, key) for key in keys}
    result = []
    for number, key in enumerate(keys):
        tell(key, number, len(keys))
        entry = dump.manifest.books[key]
        count = await asyncio.to_thread(_artifacts, dump, artifacts, key)
        if there[key]:
            await _let_go(dump, store, key)
        else:
            await _documents(dump, store, artifacts, key, busy)
        result.append(
            Loaded(key, "equal" if there[key] else "loaded", sum(entry.documents.values()), count, entry.missing)
        )
    return result


async def _compare_with(dump: Dump, store: Store, book: str) -> bool:
    """Whether the book is there as the dump has it. Raises BookDiffers where it is there otherwise.

    A part of it, of a load that was interrupted, is none of both: its Book comes last."""
    difference = await differences(dump, store, book, partial=True)
    if difference:
        raise BookDiffers(
            f"The book {book} is in the database with other content: {difference[0]}.",
            f"Load into an empty database, delete the book first (`shelf delete {book}`), or choose with --only.",
        )
    return book in await store.get(Book, [book], ["key"])


async def differences(dump: Dump, store: Store, book: str, *, partial: bool = False) -> list[str]:
    """What of a book is not in the database as it is in the dump, one sentence per document.

    `partial`: a document that is not there is no difference."""
    found = []
    for kind in MEMBERS_AND_BOOK:
        stored = {each.key: row_of(kind, each) for each in await store.find(kind, where(kind, book))}
        for row in dump.rows(book, kind):
            other = stored.pop(row["key"], None)
            if other is None:
                if not partial:
                    found.append(f"{kind.__name__} {row['key']} is not there")
                continue
            unequal = [name for name in sorted({*row, *other}) if not same(other.get(name), row.get(name))]
            if unequal:
                found.append(f"{kind.__name__} {row['key']} differs in {', '.join(unequal)}")
        found += [
            f"{kind.__name__} {key} is not in the dump"
            for key, other in sorted(stored.items())
            if not (kind is Metric and other.get("kind") == LOADED)
        ]
    return found


def _artifacts(dump: Dump, artifacts: ArtifactStore, book: str) -> int:
    held = dump.held(book)
    for fingerprint in held.artifacts:
        if not artifacts.has(fingerprint):
            artifacts.publish(fingerprint, dump.artifact(fingerprint))
        for attempt, record in dump.attempts(fingerprint).items():
            artifacts.record_attempt(fingerprint, attempt, record)
    for sha256 in held.files:
        if not artifacts.file_size(sha256):
            with dump.source(sha256) as path:
                artifacts.put_file(path)
    return len(held.artifacts) + len(held.files)


async def _documents(dump: Dump, store: Store, artifacts: ArtifactStore, book: str, busy: Busy) -> None:
    """Under the book's lease, so that no job begins in between; the Book comes last."""
    epoch = await _lease(dump, store, book, busy)
    try:
        for kind in MEMBERS_AND_BOOK:
            if kind is Book:
                await _note(dump, store, artifacts, book)
            documents = await asyncio.to_thread(dump.documents, book, kind)
            for at in range(0, len(documents), DOCUMENTS_A_REQUEST):
                await store.create(kind, documents[at : at + DOCUMENTS_A_REQUEST])
    except RevReused as error:
        raise BookDiffers(
            f"Something else wrote to {book} while it was loaded: {error.message}", "Load into an empty database."
        ) from None
    finally:
        await store.release_lease(book, dump.manifest.id, epoch)


async def _lease(dump: Dump, store: Store, book: str, busy: Busy) -> int:
    """The lease, under an epoch that neither database has given before. Raises LeaseHeld."""
    lowest = dump.epoch(book)
    if book not in await store.get(Lease, [book], ["key"]):
        await store.create(Lease, [Lease(key=book, book_key=book, epoch=lowest)])
    lease = (await store.get(Lease, [book]))[book]
    token, holder = dump.manifest.id, lease.workflow_id
    if holder and lease.run_id != token and await busy(lease):
        raise LeaseHeld(f"Book {book} is being worked on by {holder}.", "Load it when that job is done.")
    epoch = lease.epoch or 0
    while epoch <= lowest or (await store.get(Lease, [book]))[book].run_id != token:
        taken = await store.acquire_lease(book, f"{LOADED}:{token}", token, token, epoch)
        if taken is None:
            raise LeaseHeld(f"Another job took the book {book} in this moment.", "Load it when that job is done.")
        epoch = taken
    return epoch


async def _let_go(dump: Dump, store: Store, book: str) -> None:
    """The lease of a load that was killed after its last document."""
    lease = (await store.get(Lease, [book])).get(book)
    if lease is not None and lease.run_id == dump.manifest.id:
        await store.release_lease(book, dump.manifest.id, lease.epoch or 0)


async def _note(dump: Dump, store: Store, artifacts: ArtifactStore, book: str) -> None:
    """Where the book came from, and where its versions of before are."""
    history = await asyncio.to_thread(dump.history, book)
    documents = []
    if history:
        fingerprint = digest(["history", hashlib.sha256(history).hexdigest()])
        await asyncio.to_thread(artifacts.publish, fingerprint, history)
        documents.append(f"{EARLIER_HISTORY}{fingerprint}")
    metric = Metric(
        key=f"{LOADED}/{dump.manifest.id}/{book}",
        book_key=book,
        kind=LOADED,
        operation=LOADED,
        workflow_id=f"{LOADED}:{dump.manifest.id}",
        at=dump.manifest.made,
        outcome="ok",
        documents=documents,
    )
    await store.create(Metric, [metric])


class WholeHistory:
    """A store whose `history` of a document begins where it began, in the databases that its book came from.

    Heights go on from those of before. A load is one version, which changes nothing: who asks for the commit that wrote a
    value finds the one that wrote it first."""

    def __init__(self, store: Store, artifacts: ArtifactStore, book: str) -> None:
        self._store = store
        self._artifacts = artifacts
        self._book = book
        self._earlier: dict[str, list[Version]] | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    async def history(self, kind: type[Document], key: str) -> list[Version]:
        """As `Store.history`."""
        own = await self._store.history(kind, key)
        if self._earlier is None:
            self._earlier = await self._read()
        versions = list(self._earlier.get(key, ()))
        _append(versions, own)
        return versions

    async def _read(self) -> dict[str, list[Version]]:
        found: dict[str, list[Version]] = {}
        loads = [each for each in await self._store.find(Metric, {"book_key": self._book}) if each.kind == LOADED]
        for metric in sorted(loads, key=lambda each: each.at or ""):
            for noted in metric.documents or ():
                body = await asyncio.to_thread(self._artifacts.get, noted.removeprefix(EARLIER_HISTORY))
                for line in (body or b"").splitlines():
                    row = json.loads(line)
                    _append(found.setdefault(row["key"], []), _versions(row["versions"]))
        return found


def _versions(rows: Sequence[Mapping[str, Any]]) -> list[Version]:
    """As they stand in a dump, with the state that each one led to."""
    state: dict[str, Any] = {}
    versions = []
    for row in rows:
        state = {**state, **row["changed"]}
        versions.append(Version(row["cid"], row["height"], row["changed"], state, row["signer"]))
    return versions


def _append(versions: list[Version], later: Sequence[Version]) -> None:
    """One database's versions of a document after those of the databases before it."""
    before = len(versions)
    for number, version in enumerate(later):
        changed = version.changed
        if before and not number:
            changed = difference(versions[-1].state, changed)
        versions.append(replace(version, height=before + version.height, changed=changed))


def with_earlier(store: Store, artifacts: ArtifactStore, book: str) -> Store:
    """For who asks where a value comes from: the store with the whole history of a book."""
    return cast(Store, WholeHistory(store, artifacts, book))
