"""The artifact store: what providers returned, kept under the fingerprint of what they were asked.

Interface here; `providers/local_artifacts.py` keeps it in a folder. An object store fits behind the same methods:
publish = put-if-absent, everything else plain get, put and list.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from schemas.store import digest


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

    Raises DiskFull where a write finds no room or no permission; nothing half-written is ever visible."""

    def put_file(self, path: Path) -> str:
        """Keep a source file under the SHA-256 of its bytes (hex), which is returned."""

    def file(self, sha256: str) -> Path:
        """A local path of a kept file, to open and never to write. Raises ArtifactMissing."""

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
