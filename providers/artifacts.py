"""The artifact store: what providers returned, kept under the fingerprint of what they were asked.

Interface and form of what is kept here; `providers/local_artifacts.py` keeps it in a folder, `providers/s3_artifacts.py` in an
object store, under the same names: the one can be copied into the other. `providers/artifact_stores.py` opens what is set.

    published/ab/cdef…              a checked result, under its fingerprint
    attempts/ab/cdef…/<id>.json     what is known of each attempt
    intents/ab/cdef…/<id>.json      paid calls whose outcome is not known
    sources/ab/cdef…                source files, under the SHA-256 of their bytes
    cooling/<provider>.json         until when a provider must not be called
    damaged/                        published results whose hash did not match, set aside for a look
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import pydantic_core

from schemas.store import digest

MAGIC = b"shelf1 "
"""First bytes of a published result: magic, SHA-256 of the body in hex, newline, body."""
HEADER_BYTES = len(MAGIC) + 64 + 1

SAFE_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")


@dataclass(frozen=True, slots=True)
class Request:
    """What a fingerprint is made of: everything that may change the answer, nothing that may not."""

    operation: str
    provider: str
    model: str
    parameters: dict[str, Any]
    inputs: tuple[str, ...]
    """Hashes of what is read: image hashes, artifacts' fingerprints."""
    prompt_hash: str = ""
    generation: int = 0

    @property
    def fingerprint(self) -> str:
        return digest(
            [
                self.operation,
                self.provider,
                self.model,
                self.parameters,
                list(self.inputs),
                self.prompt_hash,
                self.generation,
            ]
        )


class ArtifactStore(Protocol):
    """Blocking methods (call them by asyncio.to_thread where a loop runs); all may be repeated.

    `str()` of a store is its place, for people. Raises DiskFull where a write finds no room or no permission, StoreUnavailable
    where a store elsewhere does not answer; nothing half-written is ever visible."""

    def put_file(self, path: Path) -> str:
        """Keep a source file under the SHA-256 of its bytes (hex), which is returned."""

    def file(self, sha256: str) -> Path:
        """A local path of a kept file, to open soon and never to write. Raises ArtifactMissing."""

    def publish(self, fingerprint: str, body: bytes) -> None:
        """Publish a checked result: temp file, fsync, link; the first one wins, a later one is dropped."""

    def get(self, fingerprint: str) -> bytes | None:
        """The published body, its hash verified; None if there is none. A damaged one is set aside and is None."""

    def has(self, fingerprint: str) -> bool: ...

    def size(self, fingerprint: str) -> int:
        """Bytes that are kept under the fingerprint: the result and the notes of its attempts; 0 for nothing."""

    def remove(self, fingerprint: str) -> int:
        """Forget the result and the notes of its attempts; returns the bytes. What is not there is no error."""

    def file_size(self, sha256: str) -> int:
        """Bytes of a kept file; 0 where it is not there."""

    def remove_file(self, sha256: str) -> int:
        """Forget a source file; returns the bytes. What is not there is no error."""

    def record_attempt(self, fingerprint: str, attempt_id: str, record: dict[str, Any]) -> None:
        """Keep what is known of one attempt (raw response, error, figures). A repeat overwrites."""

    def attempts(self, fingerprint: str) -> dict[str, dict[str, Any]]:
        """attempt id -> record, of all attempts."""

    def write_intent(self, fingerprint: str, attempt_id: str, record: dict[str, Any]) -> None:
        """fsynced, before a paid call."""

    def settle_intent(self, fingerprint: str, attempt_id: str) -> None:
        """The outcome of the call is known: forget the intent."""

    def open_intents(self, fingerprint: str) -> dict[str, dict[str, Any]]:
        """Intents without an outcome: the call may have been charged."""

    def set_cooling(self, provider: str, until: float, reason: str) -> None:
        """No call of this provider before `until` (Unix seconds); only ever moved later, or cleared with 0."""

    def cooling(self, provider: str) -> tuple[float, str]:
        """(until, reason); (0.0, '') if not cooling."""


# The form of what is kept, the same in every store ---------------------------------------------------------------------


def path_of(kind: str, key: str) -> str:
    """Where something is kept, below the root; 256 folders a kind, so that none gets large. Raises ValueError."""
    return f"{kind}/{safe_name(key)[:2]}/{key[2:]}"


def record_path(kind: str, fingerprint: str, attempt_id: str) -> str:
    """Where the record of an attempt is kept.

    Its id may be "<workflow>/<activity>/<attempt>": kept readable in the record, hashed in the name."""
    return f"{path_of(kind, fingerprint)}/{hashlib.sha256(attempt_id.encode()).hexdigest()[:24]}.json"


def cooling_path(provider: str) -> str:
    """Where it is kept until when a provider must not be called."""
    return f"cooling/{safe_name(provider)}.json"


def safe_name(name: str) -> str:
    """The name itself. Raises ValueError for one that could lead out of the store."""
    if not SAFE_NAME.fullmatch(name):
        raise ValueError(f"not a name of an artifact: {name!r}")
    return name


def seal(body: bytes) -> bytes:
    """A result as it is kept, with the hash that tells damage."""
    return MAGIC + hashlib.sha256(body).hexdigest().encode() + b"\n" + body


def unseal(content: bytes) -> bytes | None:
    """The result in what is kept; None if it is damaged."""
    header, body = content[:HEADER_BYTES], content[HEADER_BYTES:]
    return body if header == MAGIC + hashlib.sha256(body).hexdigest().encode() + b"\n" else None


def write_record(attempt_id: str, record: dict[str, Any]) -> bytes:
    """The record of an attempt as it is kept. Bytes in it become base64 text."""
    return pydantic_core.to_json({"id": attempt_id, "record": record}, bytes_mode="base64")


def read_record(content: bytes) -> tuple[str, dict[str, Any]] | None:
    """(attempt id, record); None if it is damaged."""
    try:
        note = pydantic_core.from_json(content)
        return note["id"], note["record"]
    except (ValueError, KeyError, TypeError):
        return None


def write_cooling(until: float, reason: str) -> bytes:
    """A cooling as it is kept."""
    return pydantic_core.to_json({"until": until, "reason": reason})


def read_cooling(content: bytes | None) -> tuple[float, str]:
    """(until, reason); an unreadable note counts as none."""
    try:
        note = pydantic_core.from_json(content or b"")
        return float(note["until"]), str(note["reason"])
    except (ValueError, KeyError, TypeError):
        return 0.0, ""
