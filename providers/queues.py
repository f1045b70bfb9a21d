"""The one table of providers: task queue, limits, retries, time-outs, batch size, price. `shelf.toml` overrides a row
(`[providers.tesseract] in_flight = 8`); worker, jobs, command line, docs and tests read it.

A limit has three places (design §6): requests_per_second is given to the server with every poll (one partition, so
exact), in_flight is the worker's max_concurrent_activities, and a paid provider's own bucket counts its calls. Local
engines have no rate: their process pool is the limit.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from pydantic import TypeAdapter, ValidationError

from schemas.errors import BadInput

WORKFLOW_QUEUE = "shelf"
"""Workflows, and the job's own activities (resolve, load, release)."""
STORE_QUEUE = "shelf-store"
"""Saves."""


@dataclass(frozen=True, slots=True)
class ProviderQueue:
    """One provider budget."""

    name: str
    queue: str
    in_flight: int
    """Activities at once in one worker process; over a fleet: replicas times this."""
    page_timeout_seconds: float
    """Longest time for one page; the engine's process is killed after it."""
    batch_pages: int = 1
    """Pages per activity where a call is cheap: a few seconds' worth. 1 for paid providers."""
    requests_per_second: float | None = None
    """None = no rate limit (local)."""
    max_attempts: int = 3
    retry_initial_seconds: float = 1.0
    retry_maximum_seconds: float = 60.0
    price_usd_per_page: float | None = 0.0
    """0.0 = declared free; None = not priced by the page."""
    reads_pages: bool = False
    """Whether it may be named by `--ocr`."""


CORES = os.cpu_count() or 1

QUEUES: tuple[ProviderQueue, ...] = (
    # PyMuPDF facts of a leaf: a few milliseconds each; looking at a scan takes 50.
    ProviderQueue("pdf", "shelf-pdf", in_flight=2, page_timeout_seconds=30, batch_pages=50),
    ProviderQueue(
        "text-layer", "shelf-text-layer", in_flight=2, page_timeout_seconds=30, batch_pages=25, reads_pages=True
    ),
    # One more than engine processes, so that no process waits for the next activity to be polled.
    # 8 pages are 5 to 8 s of one core at 300 dpi; a page's result is kept before the next page begins.
    ProviderQueue(
        "tesseract", "shelf-tesseract", in_flight=CORES + 1, page_timeout_seconds=120, batch_pages=8, reads_pages=True
    ),
    # About 1 GB of memory and 3 core-seconds a page: low concurrency, single pages.
    ProviderQueue("rapidocr", "shelf-rapidocr", in_flight=2, page_timeout_seconds=180, batch_pages=1, reads_pages=True),
    ProviderQueue("vote", "shelf-vote", in_flight=2, page_timeout_seconds=60, batch_pages=25),
    ProviderQueue("rules", "shelf-rules", in_flight=4, page_timeout_seconds=120, batch_pages=50),
    # Whole books: 300 pages take seconds, 5,000 some minutes and a few hundred MB.
    ProviderQueue("structure", "shelf-structure", in_flight=1, page_timeout_seconds=1800),
    ProviderQueue(
        "scripted",
        "shelf-scripted",
        in_flight=8,
        page_timeout_seconds=30,
        batch_pages=4,
        retry_initial_seconds=0.2,
        reads_pages=True,
    ),
)


def provider_queues(overrides: Mapping[str, Mapping[str, Any]] | None = None) -> dict[str, ProviderQueue]:
    """The table by provider name, after the user's overrides.

    Raises BadInput for a provider or a setting that does not exist, or a value that is no number."""
    table = {row.name: row for row in QUEUES}
    names = {field.name for field in fields(ProviderQueue)} - {"name"}
    for provider, values in (overrides or {}).items():
        if provider not in table:
            raise BadInput(f"There is no provider {provider!r}.", f"Known: {', '.join(sorted(table))}.")
        unknown = set(values) - names
        if unknown:
            raise BadInput(
                f"[providers.{provider}] has no setting {', '.join(sorted(unknown))}.",
                f"Known: {', '.join(sorted(names))}.",
            )
        try:
            # Values from the environment are strings.
            table[provider] = TypeAdapter(ProviderQueue).validate_python({**asdict(table[provider]), **values})
        except ValidationError as error:
            first = error.errors()[0]
            raise BadInput(f"[providers.{provider}] {first['loc'][0]} is wrong: {first['msg']}.") from None
    return table
