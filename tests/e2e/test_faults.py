"""kill -9 of every part during one run, and a worker that is asked to leave: nothing is lost, little is read again."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from temporalio.api.enums.v1 import EventType

from activities.contracts import JobResult
from tests.e2e.conftest import SampleRun
from tests.e2e.machine import ENGINE_PROCESSES, JOB_SECONDS, RESUMES_SECONDS, Machine, until

pytestmark = pytest.mark.slow

SOURCE = {"source": "samples/a-day-at-a-time-scan.pdf"}
AWAY_SECONDS = 1.5


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory, defradb_binary: Path) -> Iterator[Machine]:
    """A machine that has never seen the book."""
    made = Machine(tmp_path_factory.mktemp("other"), defradb_binary)
    try:
        made.start()
        yield made
    finally:
        made.end()


async def test_kills_of_every_part_in_one_run(sample_run: SampleRun, other: Machine) -> None:
    handle = await other.start_job("disturbed", SOURCE)
    killed = 0
    for part, after_pages in (("worker", 3), ("defradb", 8), ("temporal", 14)):
        await until(f"{after_pages} pages are read", lambda wanted=after_pages: other.ended() >= wanted)
        assert other.ended() < 26, "the run was over before it could be disturbed"
        other.kill(part)
        killed += 1
        time.sleep(AWAY_SECONDS)
        before = other.ended()
        other.start(part)

        async def goes_on(before: int = before) -> bool:
            return other.ended() > before or await _is_over(other)

        await until(f"work goes on after the kill of {part}", goes_on, RESUMES_SECONDS)

    client = await other.client()  # the first connection died with its server
    result = await asyncio.wait_for(client.get_workflow_handle(handle.id, result_type=JobResult).result(), JOB_SECONDS)
    assert (result.state, result.pages_complete, result.failed) == ("complete", 26, ())

    read = other.begun()
    assert {page for engine, page in read if engine == "tesseract"} == set(range(1, 27))
    again = {item: count - 1 for item, count in read.items() if count > 1}
    assert sum(again.values()) <= ENGINE_PROCESSES * killed, f"read again: {again}"

    undisturbed, disturbed = sample_run.documents, await other.documents(result.book_id)
    assert result.book_id == sample_run.book
    assert set(disturbed) == set(undisturbed)
    different = {
        key: {
            name: (row.get(name), disturbed[key].get(name))
            for name in row.keys() | disturbed[key].keys()
            if row.get(name) != disturbed[key].get(name)
        }
        for key, row in undisturbed.items()
    }
    assert {key: fields for key, fields in different.items() if fields} == {}
    assert await other.held_leases() == []


async def _is_over(machine: Machine) -> bool:
    client = await machine.client()
    return (await client.get_workflow_handle("disturbed").describe()).close_time is not None


async def test_a_worker_that_is_asked_to_leave_burns_no_attempt(sample_run: SampleRun, other: Machine) -> None:
    mark = len(other.calls())
    handle = await other.start_job("deploy", SOURCE | {"pages": "1-20", "fresh": True})
    await until("a page is read", lambda: other.ended(mark) >= 1)
    assert other.stop("worker") == 0, "it ends by itself"
    assert other.ended(mark) < 20, "it stayed until its run was over instead of leaving the rest to the next worker"
    other.start("worker")
    result = await asyncio.wait_for(handle.result(), JOB_SECONDS)
    assert (result.state, result.pages_complete, result.failed) == ("complete", 20, ())

    read = other.begun(mark)
    again = {item: count - 1 for item, count in read.items() if count > 1}
    assert sum(again.values()) <= ENGINE_PROCESSES, f"read again: {again}"
    attempts = [m for m in await other.attempts(sample_run.book) if (m.workflow_id or "").startswith("deploy")]
    assert attempts
    assert {metric.outcome for metric in attempts} == {"ok"}, "a page counts as failed because a worker left"
    # Temporal counts the attempts that the worker left behind; nothing was split into single pages for them.
    retried = 0
    async for event in _events(other, f"deploy:e{await _epoch(other, 'deploy')}:p0001-0020"):
        if event.event_type == EventType.EVENT_TYPE_ACTIVITY_TASK_STARTED:
            retried += event.activity_task_started_event_attributes.attempt > 1
        elif event.event_type == EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED:
            assert b"again" not in event.user_metadata.summary.data
        assert event.event_type != EventType.EVENT_TYPE_ACTIVITY_TASK_FAILED
        assert event.event_type != EventType.EVENT_TYPE_ACTIVITY_TASK_TIMED_OUT
    assert retried <= ENGINE_PROCESSES + 1


async def _events(machine: Machine, workflow_id: str) -> AsyncIterator[Any]:
    client = await machine.client()
    async for event in client.get_workflow_handle(workflow_id).fetch_history_events():
        yield event


async def _epoch(machine: Machine, workflow_id: str) -> int:
    """From the ids of the job's ranges."""
    async for event in _events(machine, workflow_id):
        if event.event_type == EventType.EVENT_TYPE_START_CHILD_WORKFLOW_EXECUTION_INITIATED:
            child = event.start_child_workflow_execution_initiated_event_attributes.workflow_id
            return int(child.split(":")[1].removeprefix("e"))
    raise AssertionError("no range was started")
