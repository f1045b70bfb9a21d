"""What an engine or service looks like to the operations."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from providers.ledger import Calls
from providers.pool import EnginePool
from providers.source import LeafSource
from schemas.reading import PageReading


@dataclass(frozen=True, slots=True)
class Reading:
    """A provider's answer for one page."""

    page: PageReading
    execution_seconds: float


async def pool_reading(
    pool: EnginePool, task: object, leaf: LeafSource, model: str, language: str, timeout_seconds: float
) -> Reading:
    """The answer of an engine in a pool of processes, to a task that it answers with the JSON of a PageReading.

    Raises what the pool raises, with the page and its book named."""
    answer = await pool.run(task, timeout_seconds, what=f"page {leaf.page} of {leaf.book or leaf.path}")
    page = PageReading.from_json(answer.value)
    page.model, page.language = model, language
    return Reading(page=page, execution_seconds=answer.seconds)


class OcrProvider(Protocol):
    """Reads one page. One file, one row in `providers/queues.py`."""

    name: str

    def model(self, language: str) -> str:
        """Model and version for these languages, part of the fingerprint. Raises LanguageMissing."""

    def parameters(self) -> Mapping[str, object]:
        """What else may change the answer (dpi, classifier off, ...), part of the fingerprint."""

    async def read(self, leaf: LeafSource, language: str, timeout_seconds: float) -> Reading:
        """Read one page. Raises a ProviderError (`providers/errors.py`)."""

    async def close(self) -> None: ...


class RemoteOcrProvider(Protocol):
    """Reads one page by calls that may be charged. One file, one row in `providers/queues.py`, one line in
    `providers/remote.py`. What a call costs and how often it is made is `calls`' business, not the adapter's."""

    name: str

    def model(self, language: str) -> str:
        """The model that is asked, as in the row; part of the fingerprint. Raises LanguageMissing, BadInput (no model)."""

    def parameters(self) -> Mapping[str, object]:
        """What else may change the answer (image size, prompt's hash, ...), part of the fingerprint."""

    async def read(self, leaf: LeafSource, language: str, timeout_seconds: float, calls: Calls) -> Reading:
        """Read one page: every request through `calls`. Raises a ProviderError (`providers/errors.py`)."""

    async def close(self) -> None: ...
