"""What keeps a book whole when things overlap: stolen leases, zombies, lost answers, plans that stall."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import AsyncExitStack
from typing import Any

import pytest
from temporalio import workflow
from temporalio.client import WorkflowFailureError
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

with workflow.unsafe.imports_passed_through():
    from activities.blend.operation import BLEND
    from activities.contracts import JobResult, Outcome, SaveInput, WorkResult, WorkUnit
    from activities.extract.operation import EXTRACT
    from activities.ocr.activity import OcrActivities
    from activities.ocr.operation import OCR
    from activities.state import JobState
    from activities.toc_find.operation import TocFind
    from schemas.documents import Lease, OcrResult, Page
    from schemas.memory import SeededFaults
    from tests.workflows.conftest import RUN_LIMIT, Shelf, until
    from worker import make_workers
    from workflows.inputs import ProcessPagesInput
    from workflows.job import Job


class NeverPlanned(TocFind):
    """A plan with a bug: it never asks for anything."""

    def create_work_units(self, state: JobState) -> list[WorkUnit]:
        return []


@workflow.defn
class Stalling(Job):
    """A job with that operation."""

    operations = (EXTRACT, OCR, BLEND, NeverPlanned())
    input_model = ProcessPagesInput

    @workflow.run
    async def run(self, job: Any = None) -> JobResult:
        return await self.execute(job)


async def test_a_plan_that_stalls_fails_the_job_and_is_named(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    import worker

    monkeypatch.setattr(worker, "WORKFLOWS", (*worker.WORKFLOWS, Stalling))
    monkeypatch.setattr(worker, "WORKFLOW_QUEUE", "stalling")
    async with AsyncExitStack() as stack:
        for each in make_workers(shelf.client, shelf.services, shelf.pdf, ["stalling"]):  # type: ignore[arg-type]
            await stack.enter_async_context(each)
        source = shelf.folder / "book-of-3.pdf"
        source.write_text("3")
        handle = await shelf.client.start_workflow(
            "Stalling", {"source": str(source)}, id="stalls", task_queue="stalling", execution_timeout=RUN_LIMIT
        )
        with pytest.raises(WorkflowFailureError) as failed:
            await handle.result()
    assert isinstance(failed.value.cause, ApplicationError)
    assert failed.value.cause.type == "PlanStalled"
    assert "toc_find" in str(failed.value.cause)
    assert [lease.workflow_id for lease in await shelf.store.find(Lease, {})] == [None]


async def test_a_job_whose_lease_is_taken_stops_and_writes_no_more(shelf: Shelf) -> None:
    shelf.tesseract.gate = asyncio.Event()
    with shelf.env.auto_time_skipping_disabled():
        handle = await shelf.start(20)
        await until(lambda: shelf.tesseract.calls)
        lease = (await shelf.store.find(Lease, {}))[0]
        taken = await shelf.store.acquire_lease(lease.key, "other", "other-first", "other-run", lease.epoch or 0)
        assert taken == 2
        shelf.tesseract.gate.set()
        with pytest.raises(WorkflowFailureError) as failed:
            await handle.result()
    assert isinstance(failed.value.cause, ApplicationError)
    assert failed.value.cause.type == "LeaseLost"
    assert "other" in str(failed.value.cause)
    assert await shelf.store.find(OcrResult, {"book_key": lease.key}) == []
    now = (await shelf.store.get(Lease, [lease.key]))[lease.key]
    assert (now.workflow_id, now.epoch) == ("other", 2), "the loser must not release the winner's lease"


async def test_a_zombies_late_save_changes_nothing(shelf: Shelf) -> None:
    """A worker that was cut off and comes back saves what an earlier epoch had read."""
    result = await shelf.run(3)
    fresh = await shelf.run(3, fresh=True)
    assert fresh.state == "complete"
    before = await shelf.commits()
    page = (await shelf.pages(result.book_id))[2]
    old = next(
        each for each in await shelf.ocr_results(result.book_id) if each.page_key == page.key and not each.generation
    )
    late = SaveInput(
        book_id=result.book_id,
        epoch=1,
        manifest="",
        unit=WorkUnit(operation="ocr", provider="tesseract", pages=(2,), leaves=(page.key.rpartition("/")[2],)),
        result=WorkResult(outcomes=(Outcome(item=2, status="ok", artifact=str(old.artifact), inputs="x"),)),
    )
    with pytest.raises(ApplicationError) as refused:
        await ActivityEnvironment().run(OcrActivities(shelf.services).save_ocr_results, late)
    assert refused.value.type == "LeaseLost"
    assert refused.value.non_retryable
    assert await shelf.commits() == before


@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_writes_that_commit_and_then_time_out_leave_one_document_each(shelf: Shelf, seed: int) -> None:
    faults = SeededFaults(seed, 0.1)
    shelf.store.faults = faults
    result = await shelf.run(40)
    shelf.store.faults = None
    assert result.state == "complete"
    assert faults.raised, "the test must inject something"
    assert any(name.endswith(":after") for name in faults.raised)
    results = await shelf.ocr_results(result.book_id)
    assert Counter((each.page_key, each.provider) for each in results).most_common(1)[0][1] == 1
    assert len(results) == 40
    assert set(shelf.tesseract.calls.values()) == {1}, "an outage of the database is no reason to read again"
    history = await shelf.store.history(Page, (await shelf.pages(result.book_id))[7].key)
    assert sum("text" in version.changed for version in history) == 1


async def test_contents_are_not_sought_in_part_of_a_book_whose_readings_are_lost(shelf: Shelf) -> None:
    """A result without the lost page would look like the whole book's and stay."""
    book = (await shelf.run(3)).book_id
    page = (await shelf.pages(book))[2]
    shelf.services.artifacts.remove(str(page.flag("blend", "artifact")))
    result = await shelf.run(workflow="RerunToc", book_id=book)
    assert result.state == "complete_with_gaps"
    assert next((item.operation, item.code) for item in result.failed) == ("toc_find", "ArtifactMissing")
    assert "page 2" in result.failed[0].message
    assert "--pages 2 --fresh" in result.failed[0].message
