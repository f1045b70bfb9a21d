"""The store of documents, as the rest of the program sees it.

Two implementations: `schemas/defradb.py` (the real one) and `schemas/memory.py` (for time-skipping tests; passes the
same contract tests). Nothing here knows an operation or a job.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol, TypeVar

from schemas.documents import Document

D = TypeVar("D", bound=Document)

STEPS_PER_EPOCH = 64


class Saved(StrEnum):
    """What a read-back after a guarded update says (design §5)."""

    SAVED = "saved"
    """The document carries my revision and my op_id: written now, or by an earlier delivery of the same save."""
    EQUAL = "equal"
    """The document already held these values; nothing was written, no commit added."""
    OVERTAKEN = "overtaken"
    """A later save of the same epoch is there: fine."""


@dataclass(frozen=True, slots=True)
class Update:
    """One guarded update of a mutable document.

    `fields` are the plain fields and the operation's own ones under their short names:
    Update("k", {"text": ...}, {"complete": True, "inputs": ..., "generation": 0, "artifact": ..., "error": None}).
    """

    key: str
    fields: Mapping[str, Any]
    flags: Mapping[str, Any]
    op_id: str


@dataclass(frozen=True, slots=True)
class Written:
    """What became of one document of a save."""

    key: str
    outcome: Saved
    doc_id: str = ""
    cid: str = ""
    """Of the commit that this save made; '' where it made none (EQUAL, OVERTAKEN)."""


@dataclass(frozen=True, slots=True)
class Version:
    """One past state of a document, rebuilt from the commits' deltas."""

    cid: str
    height: int
    changed: Mapping[str, Any]
    """The fields that this commit wrote."""
    state: Mapping[str, Any] = field(default_factory=dict)
    """The whole document after it."""
    signer: str | None = None


def revision(epoch: int, step: int) -> int:
    """N = epoch * 64 + step; step 0 is a failure note, 1 and up are results."""
    if not 0 <= step < STEPS_PER_EPOCH:
        raise ValueError(f"step {step} is not in 0..{STEPS_PER_EPOCH - 1}")
    return epoch * STEPS_PER_EPOCH + step


def op_id(epoch: int, operation: str, step: int, artifact: str) -> str:
    """Names a save by what it saves, never by the attempt: repeats of one save share it."""
    return digest([epoch, operation, step, artifact])[:32]


def digest(value: Any) -> str:
    """SHA-256 of the canonical JSON of `value`, in hex."""
    body = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return hashlib.sha256(body.encode()).hexdigest()


def first_write(operation: str, epoch: int, step: int, update: Update, identity: Mapping[str, Any]) -> dict[str, Any]:
    """A stub that already holds its first save: one commit instead of two where the document is new. The `update` that
    follows finds its own revision and reads back; where the document existed, it does its work."""
    return {
        **identity,
        **update.fields,
        **{f"{operation}_{name}": value for name, value in update.flags.items()},
        f"{operation}_rev": revision(epoch, step),
        f"{operation}_op_id": update.op_id,
        "key": update.key,
    }


class Store(Protocol):
    """Idempotent writes, plain reads, history. Every method may be repeated after an unknown outcome."""

    async def bootstrap(self) -> None:
        """Create missing types, fields and indexes by diff; back-fill 0 into `_rev` fields that are null."""

    async def ready(self) -> None:
        """Read something real. Raises StoreUnavailable."""

    async def close(self) -> None: ...

    async def stub(self, kind: type[Document], documents: Sequence[Mapping[str, Any]]) -> None:
        """Create mutable documents that do not exist yet: key, the fields given, every <op>_rev 0.

        One that exists is left as it is."""

    async def create(self, kind: type[Document], documents: Sequence[Document]) -> list[Written]:
        """Create immutable documents. One that exists with equal content (`op_id` aside) is EQUAL.

        Raises DocumentRefused (after writing the others) where the database refuses one; RevReused where the key
        exists with other content."""

    async def update(
        self, kind: type[Document], operation: str, epoch: int, step: int, updates: Sequence[Update]
    ) -> list[Written]:
        """Guarded updates of existing documents: compare first, skip equal values, write where
        `<op>_rev < N`, read back.

        Raises RevReused, LeaseLost (a higher epoch wrote), DocumentRefused, StoreUnavailable."""

    async def get(self, kind: type[D], keys: Sequence[str], fields: Iterable[str] | None = None) -> dict[str, D]:
        """Documents by key; missing ones are absent. `fields` limits what is read (key always is)."""

    async def find(self, kind: type[D], where: Mapping[str, Any], fields: Iterable[str] | None = None) -> list[D]:
        """Documents whose fields equal `where` (an indexed field must be among them; {} = all), by key.

        A list or tuple as value means one of its items."""

    async def delete(self, kind: type[Document], keys: Sequence[str]) -> int:
        """Delete documents by key; those that do not exist are none. Returns how many there were.

        What they said stays in the database's history, where nothing here finds it. A document may be created under the
        same key again, with the same content too; its history begins anew.

        Raises StoreUnavailable."""

    async def history(self, kind: type[Document], key: str) -> list[Version]:
        """All versions, oldest first."""

    async def acquire_lease(
        self, book_key: str, workflow_id: str, first_run_id: str, run_id: str, expected: int
    ) -> int | None:
        """Take the lease by compare-and-set: epoch `expected` -> expected + 1. Returns the new epoch, or the epoch
        that my own token already holds (a lost response); None where somebody else was first. The holder itself may
        take the next epoch, by naming its own as `expected`."""

    async def release_lease(self, book_key: str, run_id: str, epoch: int) -> None:
        """Free the book if run_id and epoch still hold it; the epoch stays."""
