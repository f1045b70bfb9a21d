"""A worker's log says which page failed, by whom and why: whoever has only the log finds it by page and book."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from activities.contracts import UnitInput, WorkUnit
from activities.services import Services
from activities.work import Item, Produced, request_of, work
from providers.errors import Cooling, ProviderError, RateLimited, Rejected
from providers.local_artifacts import LocalArtifactStore
from providers.queues import provider_queues
from schemas import logs, telemetry
from schemas.memory import MemoryStore


@pytest.fixture
def written() -> Iterator[io.StringIO]:
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(logs.JsonFormatter())
    logger = logging.getLogger("shelf")
    before = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        yield stream
    finally:
        logger.removeHandler(handler)
        logger.setLevel(before)


async def lines(folder: Path, written: io.StringIO, error: ProviderError) -> list[dict[str, Any]]:
    async def fails() -> Produced:
        raise error

    async def items() -> list[Item]:
        return [Item(7, request_of(job, "engine 1", ("hash",), 0), "inputs", fails)]

    services = Services(MemoryStore(), LocalArtifactStore(folder), {}, provider_queues(), None, ())
    unit = WorkUnit(operation="ocr", provider="tesseract", pages=(7,), leaves=("p0007",), single=True)
    job = UnitInput(
        book_id="moby-0a1b2c3d",
        epoch=1,
        manifest="",
        page_count=9,
        generation=None,
        language="eng",
        choice="",
        page_timeout_seconds=60,
        max_attempts=3,
        unit=unit,
    )
    with telemetry.about(workflow="job-1", book=job.book_id):
        try:
            await ActivityEnvironment().run(work, services, job, items)
        except ApplicationError:
            pass  # Temporal would try again
    return [json.loads(line) for line in written.getvalue().splitlines()]


async def test_a_failed_page_is_named_with_its_reason(tmp_path: Path, written: io.StringIO) -> None:
    [line] = await lines(tmp_path, written, Rejected("its image is damaged"))
    assert line["level"] == "WARNING"
    assert line["message"] == "ocr by tesseract failed: Rejected: its image is damaged"
    assert (line["workflow"], line["book"], line["page"]) == ("job-1", "moby-0a1b2c3d", 7)


async def test_a_provider_that_asks_for_patience_is_no_warning(tmp_path: Path, written: io.StringIO) -> None:
    [line] = await lines(tmp_path, written, RateLimited("slow down", 2))
    assert (line["level"], line["page"]) == ("INFO", 7)


async def test_what_was_not_sent_is_not_told(tmp_path: Path, written: io.StringIO) -> None:
    assert await lines(tmp_path, written, Cooling("not before 12:00", 20)) == []
