"""Determinism and size of histories: stored ones are replayed, a job runs without any cache, a long book stays small."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from temporalio.api.enums.v1 import EventType
from temporalio.client import WorkflowHistory
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Replayer, Worker
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner, SandboxRestrictions

from activities.services import Services
from providers.errors import ServerError
from providers.local_artifacts import LocalArtifactStore
from providers.queues import QUEUES, STORE_QUEUE, WORKFLOW_QUEUE
from schemas.memory import MemoryStore
from tests.histories.record import JOB, kebab
from tests.workflows.conftest import Pdf, Reader, Shelf
from worker import PASSED_THROUGH, make_workers
from workflows.registry import JOBS, WORKFLOWS

HISTORIES = sorted((Path(__file__).parents[1] / "histories").glob("*.json"))
RUN_EVENTS = 3000
PAYLOAD_BYTES_PER_PAGE = 6_000
"""Measured: 3,400, over all runs of a book of 120 pages."""


def runner() -> SandboxedWorkflowRunner:
    """As in worker.py."""
    return SandboxedWorkflowRunner(restrictions=SandboxRestrictions.default.with_passthrough_modules(*PASSED_THROUGH))


def replayer() -> Replayer:
    return Replayer(workflows=WORKFLOWS, workflow_runner=runner(), data_converter=pydantic_data_converter)


def test_every_job_has_a_stored_history() -> None:
    assert {path.stem.rstrip("-0123456789") for path in HISTORIES} == {*map(kebab, JOBS), "page-range"}


@pytest.mark.parametrize("path", HISTORIES, ids=lambda path: path.stem)
async def test_stored_histories_replay(path: Path) -> None:
    """A failure means: a job that runs today would not go on after this change. Guard the change with
    `workflow.patched()`; where no job has to go on, record anew (tests/histories/record.py)."""
    workflow_id = JOB if path.stem == "process-pages" else path.stem
    await replayer().replay_workflow(WorkflowHistory.from_json(workflow_id, path.read_text()))


@pytest.fixture
async def uncached(time_skipping: WorkflowEnvironment, tmp_path: Path) -> AsyncIterator[Shelf]:
    """Like `shelf`, but the workflow worker keeps nothing: every workflow task is replayed from the first event."""
    pdf, store = Pdf(), MemoryStore()
    tesseract, rapidocr, text_layer = Reader(), Reader("rapidocr"), Reader("text-layer", 99.0)
    services = Services(
        store=store,
        artifacts=LocalArtifactStore(tmp_path / "artifacts"),
        providers={reader.name: reader for reader in (tesseract, rapidocr, text_layer)},
        queues={row.name: row for row in QUEUES if row.name != "scripted"},
        client=time_skipping.client,
        source_roots=[tmp_path],
    )
    queues = [STORE_QUEUE, *(row.queue for row in services.queues.values())]
    workers = make_workers(time_skipping.client, services, pdf, queues)  # type: ignore[arg-type]
    assert WORKFLOW_QUEUE not in {worker.task_queue for worker in workers}
    workers.append(
        Worker(
            time_skipping.client,
            task_queue=WORKFLOW_QUEUE,
            workflows=WORKFLOWS,
            workflow_runner=runner(),
            max_cached_workflows=0,
        )
    )
    async with AsyncExitStack() as stack:
        for worker in workers:
            await stack.enter_async_context(worker)
        yield Shelf(time_skipping, services, store, pdf, tesseract, rapidocr, tmp_path)


async def test_a_whole_job_without_a_cache(uncached: Shelf) -> None:
    uncached.tesseract.low = {3, 17}
    uncached.tesseract.fail = lambda page, call: ServerError("hiccup") if page == 5 and call == 1 else None
    result = await uncached.run(34)
    assert (result.state, result.pages_complete) == ("complete", 34)
    assert uncached.tesseract.calls[5] == 2
    assert set(uncached.rapidocr.calls) == {3, 17}


async def test_runs_stay_small_and_carry_no_text(shelf: Shelf) -> None:
    pages = 120
    shelf.tesseract.low = {3, 40}
    handle = await shelf.start(pages, id=f"long-{uuid.uuid4().hex[:8]}")
    result = await handle.result()
    assert result.state == "complete"
    histories = {handle.id: await handle.fetch_history()}
    for event in histories[handle.id].events:
        if event.event_type == EventType.EVENT_TYPE_START_CHILD_WORKFLOW_EXECUTION_INITIATED:
            child = event.start_child_workflow_execution_initiated_event_attributes.workflow_id
            histories[child] = await shelf.client.get_workflow_handle(child).fetch_history()
    assert len(histories) == 1 + 3
    sizes = {name: len(history.events) for name, history in histories.items()}
    assert max(sizes.values()) < RUN_EVENTS, sizes
    assert sum(sizes.values()) < RUN_EVENTS
    continued = EventType.EVENT_TYPE_WORKFLOW_EXECUTION_CONTINUED_AS_NEW
    assert not any(event.event_type == continued for history in histories.values() for event in history.events)
    stored = [bytes(event.SerializeToString()) for history in histories.values() for event in history.events]
    assert not any(b"Text of page" in event or b"read by" in event for event in stored)
    assert sum(map(len, stored)) / pages < PAYLOAD_BYTES_PER_PAGE
    assert max(map(len, stored)) < 100_000
    await replayer().replay_workflows(_each(histories), raise_on_replay_failure=True)


async def _each(histories: dict[str, WorkflowHistory]) -> AsyncIterator[WorkflowHistory]:
    for history in histories.values():
        yield history
