"""Real servers, a real worker, real engines. One run of the sample is shared: others are compared with it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from activities.contracts import JobResult
from tests.e2e.machine import JOB_SECONDS, Machine
from tests.workflows.conftest import shelf, test_server, time_skipping  # noqa: F401

SAMPLE_JOB = "demo"

LAST = ("test_structure", "test_correct", "test_sample", "test_sample_again")
"""Modules that work on the shared book, in an order in which each finds it as it expects: the last three leave it with
corrections, old contents and other readings."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: LAST.index(item.path.stem) + 1 if item.path.stem in LAST else 0)


@dataclass(frozen=True)
class SampleRun:
    """The first run of the sample, undisturbed, and what it left."""

    machine: Machine
    result: JobResult
    documents: dict[str, dict[str, Any]]
    begun: dict[tuple[str, int], int]

    @property
    def book(self) -> str:
        return self.result.book_id


@pytest.fixture(scope="session")
def machine(tmp_path_factory: pytest.TempPathFactory, defradb_binary: Path) -> Iterator[Machine]:
    made = Machine(tmp_path_factory.mktemp("machine"), defradb_binary)
    try:
        made.start()
        yield made
    finally:
        made.end()


@pytest.fixture(scope="session")
def sample_run(machine: Machine) -> SampleRun:
    """The sample, started as the README says."""
    machine.temporal(
        *("workflow", "start", "--type", "ProcessPages", "--task-queue", "shelf", "--workflow-id", SAMPLE_JOB),
        *("--input", json.dumps({"source": "samples/a-day-at-a-time-scan.pdf"})),
    )

    async def finish() -> SampleRun:
        client = await machine.client()
        handle = client.get_workflow_handle(SAMPLE_JOB, result_type=JobResult)
        result = await asyncio.wait_for(handle.result(), JOB_SECONDS)
        return SampleRun(machine, result, await machine.documents(result.book_id), dict(machine.begun()))

    return asyncio.run(finish())
