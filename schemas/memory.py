"""The store in memory, for tests on a time-skipping server: the same rules, no server, no waiting.

It passes the contract tests of the real one. A hook injects faults before a method does anything or after it has
done everything ("committed, then the answer was lost").
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

from schemas.documents import Document, Lease
from schemas.errors import DocumentRefused, RevReused, StoreUnavailable
from schemas.guard import (
    GUARD_FIELDS,
    difference,
    distinct,
    judge,
    matches,
    raise_refused,
    reused,
    row_of,
    same_content,
    selection,
    stub_of,
    values_of,
    where_of,
)
from schemas.sdl import python_types
from schemas.store import Saved, Update, Version, Written, digest, revision

D = TypeVar("D", bound=Document)

Faults = Callable[[str], None]
"""Called with the name of the method before it begins and with "<name>:after" when it has committed; may raise."""


class SeededFaults:
    """Raises StoreUnavailable at a fixed rate, half before and half after committing; the same for the same seed.

    Attributes:
        raised: how often, by name.
    """

    def __init__(self, seed: int, rate: float = 0.1, methods: Iterable[str] | None = None) -> None:
        self._random = random.Random(seed)  # noqa: S311
        self._rate = rate
        self._methods = None if methods is None else set(methods)
        self.raised: Counter[str] = Counter()

    def __call__(self, name: str) -> None:
        if self._methods is not None and name.partition(":")[0] not in self._methods:
            return
        if self._random.random() < self._rate / 2:
            self.raised[name] += 1
            raise StoreUnavailable(f"injected fault at {name}")


class MemoryStore:
    """`schemas.store.Store` in memory.

    Args:
        faults: hook for injected faults.

    Attributes:
        commits: documents written so far; a second run of a job must not raise it.
    """

    def __init__(self, faults: Faults | None = None) -> None:
        self.faults = faults
        self.commits = 0
        self._rows: dict[str, dict[str, dict[str, Any]]] = {}
        self._versions: dict[str, list[Version]] = {}

    async def bootstrap(self) -> None:
        """Nothing is missing here."""
        await self._step("bootstrap")

    async def ready(self) -> None:
        """Always; raises only injected faults."""
        await self._step("ready")

    async def close(self) -> None:
        """Keeps the documents: several workers of a test share one store."""

    async def stub(self, kind: type[Document], documents: Sequence[Mapping[str, Any]]) -> None:
        """As `Store.stub`."""
        await self._step("stub")
        refused: dict[str, Exception] = {}
        for document in documents:
            try:
                row = stub_of(kind, document)
            except DocumentRefused as error:
                refused[error.key] = error
                continue
            if row["key"] not in self._of(kind):
                self._write(kind, row["key"], row)
        raise_refused(refused)
        await self._step("stub:after")

    async def create(self, kind: type[Document], documents: Sequence[Document]) -> list[Written]:
        """As `Store.create`."""
        await self._step("create")
        names = list(python_types(kind))
        refused: dict[str, Exception] = {}
        rows: dict[str, dict[str, Any]] = {}
        for document in documents:
            try:
                row = row_of(kind, document)
            except DocumentRefused as error:
                refused[error.key] = error
                continue
            if not same_content(rows.setdefault(row["key"], row), row, names):
                refused[row["key"]] = reused(kind, row["key"])
        written: dict[str, Written] = {}
        for key, row in rows.items():
            stored = self._of(kind).get(key)
            if stored is None:
                version = self._write(kind, key, row)
                written[key] = Written(key, Saved.SAVED, self._doc_id(kind, key), version.cid)
            elif same_content(stored, row, names):
                written[key] = Written(key, Saved.EQUAL, self._doc_id(kind, key))
            else:
                refused[key] = reused(kind, key)
        raise_refused(refused)
        await self._step("create:after")
        return [written[document.key] for document in documents]

    async def update(
        self, kind: type[Document], operation: str, epoch: int, step: int, updates: Sequence[Update]
    ) -> list[Written]:
        """As `Store.update`."""
        await self._step("update")
        distinct(kind, [update.key for update in updates])
        rev = revision(epoch, step)
        rev_name, id_name = (f"{operation}_{name}" for name in GUARD_FIELDS)
        refused: dict[str, Exception] = {}
        written: dict[str, Written] = {}
        for update in updates:
            key = update.key
            try:
                values = values_of(kind, operation, update)
                row = self._of(kind).get(key)
                if row is None:
                    raise DocumentRefused(f"{kind.__name__} {key!r}: no such document.", key)
                doc_id = self._doc_id(kind, key)
                stored, stored_id = row.get(rev_name), row.get(id_name)
                changes = difference(row, values)
                if stored == rev and stored_id == update.op_id:
                    cid = next(v.cid for v in reversed(self._versions[doc_id]) if rev_name in v.changed)
                    written[key] = Written(key, Saved.SAVED, doc_id, cid)
                elif not changes:
                    written[key] = Written(key, Saved.EQUAL, doc_id)
                elif judge(kind, key, stored, stored_id, rev, update.op_id) is Saved.OVERTAKEN:
                    written[key] = Written(key, Saved.OVERTAKEN, doc_id)
                else:
                    version = self._write(kind, key, {**changes, rev_name: rev, id_name: update.op_id})
                    written[key] = Written(key, Saved.SAVED, doc_id, version.cid)
            except (DocumentRefused, RevReused) as error:
                refused[key] = error
        raise_refused(refused)
        await self._step("update:after")
        return [written[update.key] for update in updates]

    async def delete(self, kind: type[Document], keys: Sequence[str]) -> int:
        """As `Store.delete`."""
        await self._step("delete")
        rows = self._of(kind)
        found = [key for key in dict.fromkeys(keys) if key in rows]
        for key in found:
            self.commits += 1
            del rows[key]
            del self._versions[self._doc_id(kind, key)]
        await self._step("delete:after")
        return len(found)

    async def get(self, kind: type[D], keys: Sequence[str], fields: Iterable[str] | None = None) -> dict[str, D]:
        """As `Store.get`."""
        await self._step("get")
        names = selection(kind, fields)
        rows = self._of(kind)
        return {key: _document(kind, rows[key], names) for key in dict.fromkeys(keys) if key in rows}

    async def find(self, kind: type[D], where: Mapping[str, Any], fields: Iterable[str] | None = None) -> list[D]:
        """As `Store.find`."""
        await self._step("find")
        names = selection(kind, fields)
        wanted = where_of(kind, where)
        rows = sorted(self._of(kind).items())
        return [_document(kind, row, names) for _, row in rows if matches(row, wanted)]

    async def history(self, kind: type[Document], key: str) -> list[Version]:
        """As `Store.history`; the CIDs are made up."""
        await self._step("history")
        return list(self._versions.get(self._doc_id(kind, key), []))

    async def acquire_lease(
        self, book_key: str, workflow_id: str, first_run_id: str, run_id: str, expected: int
    ) -> int | None:
        """As `Store.acquire_lease`."""
        await self._step("acquire_lease")
        if book_key not in self._of(Lease):
            self._write(Lease, book_key, {"key": book_key, "book_key": book_key, "epoch": 0})
        row = self._of(Lease)[book_key]
        if row["epoch"] != expected and row.get("run_id") != run_id:
            return None
        if row["epoch"] == expected:
            holder = {"workflow_id": workflow_id, "first_run_id": first_run_id, "run_id": run_id}
            self._write(Lease, book_key, {**holder, "epoch": expected + 1})
        await self._step("acquire_lease:after")
        return int(self._of(Lease)[book_key]["epoch"])

    async def release_lease(self, book_key: str, run_id: str, epoch: int) -> None:
        """As `Store.release_lease`."""
        await self._step("release_lease")
        row = self._of(Lease).get(book_key)
        if row is not None and row.get("run_id") == run_id and row["epoch"] == epoch:
            self._write(Lease, book_key, {"workflow_id": None, "first_run_id": None, "run_id": None})
        await self._step("release_lease:after")

    async def _step(self, name: str) -> None:
        await asyncio.sleep(0)  # let others in, as a request does
        if self.faults is not None:
            self.faults(name)

    def _of(self, kind: type[Document]) -> dict[str, dict[str, Any]]:
        return self._rows.setdefault(kind.__name__, {})

    def _doc_id(self, kind: type[Document], key: str) -> str:
        return "bae-" + digest([kind.__name__, key])[:32]

    def _write(self, kind: type[Document], key: str, changed: Mapping[str, Any]) -> Version:
        """One commit: the whole state is copied, so that nobody can change the past."""
        self.commits += 1
        doc_id = self._doc_id(kind, key)
        versions = self._versions.setdefault(doc_id, [])
        state = {**self._of(kind).get(key, {}), **changed}
        self._of(kind)[key] = state
        height = len(versions) + 1
        cid = "bafy" + digest([doc_id, height, dict(changed)])[:48]
        versions.append(Version(cid, height, dict(sorted(changed.items())), dict(sorted(state.items()))))
        return versions[-1]


def _document(kind: type[D], row: Mapping[str, Any], names: Sequence[str]) -> D:
    return kind.model_validate({name: row.get(name) for name in names})
