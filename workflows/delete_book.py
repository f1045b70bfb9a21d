"""A job that takes a book away: its documents, and what only it has in the artifact store."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any, TypeVar

from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError

with workflow.unsafe.imports_passed_through():
    from activities.contracts import JobResult, OperationProgress, Progress, ResolveInput
    from activities.deleting import ORDER, DeleteStep, Deletion, Removed
    from providers.queues import STORE_QUEUE
    from workflows.dispatch import HEARTBEAT
    from workflows.failures import describe_failure
    from workflows.inputs import DeleteBookInput, JobInput
    from workflows.job import BOOK, JOB, RESOLVE_RETRY, STATE, Job
    from workflows.page_range import LOAD_RETRY

T = TypeVar("T")

ARTIFACTS = "artifacts"
"""Beside the types of documents in the progress."""


@workflow.defn
class DeleteBook(Job):
    """Marks the book, deletes type by type, then its artifacts, then the Book; begun again, it goes on."""

    operations = ()
    input_model = DeleteBookInput

    def __init__(self) -> None:
        super().__init__()
        self.book_id = ""
        self.counts: dict[str, OperationProgress] = {}

    @workflow.run
    async def run(self, job: Any = None) -> JobResult:
        return await self.execute(job)

    @workflow.query
    def progress(self) -> Progress:
        """Documents by type: how many there were, how many are gone."""
        return Progress(
            job=type(self).__name__, book_id=self.book_id, state=self.phase, reason=self.paused, operations=self.counts
        )

    async def _run(self, job: JobInput) -> JobResult:
        assert isinstance(job, DeleteBookInput)
        workflow.upsert_search_attributes(
            [JOB.value_set(type(self).__name__), STATE.value_set("running"), BOOK.value_set(job.book_id)]
        )
        self.book_id = job.book_id
        run_id = workflow.info().run_id
        deletion = await self._begin(job, run_id)
        self.phase = "running"
        try:
            await self._delete(deletion)
        except (Exception, asyncio.CancelledError):
            workflow.upsert_search_attributes([STATE.value_set("cancelled" if self.cancelling else "failed")])
            await self._release(deletion.book_id, run_id, deletion.epoch)
            raise
        await self._release(deletion.book_id, run_id, deletion.epoch)
        self.phase = "complete"
        workflow.upsert_search_attributes([STATE.value_set(self.phase)])
        return JobResult(
            job=type(self).__name__,
            book_id=deletion.book_id,
            state=self.phase,
            pages=0,
            pages_complete=0,
            operations=self.counts,
        )

    async def _begin(self, job: DeleteBookInput, run_id: str) -> Deletion:
        info = workflow.info()
        handle = workflow.start_activity(
            "begin_deletion",
            ResolveInput(
                job=type(self).__name__,
                input=job.model_dump(),
                workflow_id=info.workflow_id,
                first_run_id=info.first_execution_run_id,
                run_id=run_id,
            ),
            result_type=Deletion,
            task_queue=STORE_QUEUE,
            start_to_close_timeout=timedelta(hours=1),
            heartbeat_timeout=HEARTBEAT,
            retry_policy=RESOLVE_RETRY,
            summary="lease, what there is, mark",
        )
        # A cancelled job must not wait for another one's lease.
        await workflow.wait_condition(lambda: self.cancelling or handle.done())
        if self.cancelling and not handle.done():
            handle.cancel()
        try:
            deletion: Deletion = await handle
        except ActivityError as error:
            if self.cancelling:
                raise asyncio.CancelledError from None
            failure = describe_failure(error)
            workflow.upsert_search_attributes([STATE.value_set("failed")])
            raise ApplicationError(failure.message, type=failure.code, non_retryable=True) from None
        self.counts = {
            name: OperationProgress(total=deletion.counts[name], complete=0)
            for name in ORDER
            if name in deletion.counts
        }
        return deletion

    async def _delete(self, deletion: Deletion) -> None:
        for name in self.counts:
            await self._may_go_on()
            count = await self._step("delete_documents", DeleteStep(deletion=deletion, kind=name), int, name)
            self.counts[name] = OperationProgress(total=count, complete=count)
        await self._may_go_on()
        removed = await self._step("delete_artifacts", DeleteStep(deletion=deletion), Removed, ARTIFACTS)
        if deletion.plan:
            self.counts[ARTIFACTS] = OperationProgress(total=removed.removed + removed.kept, complete=removed.removed)
        await self._may_go_on()
        await self._step("finish_deletion", DeleteStep(deletion=deletion), type(None), "the book itself")

    async def _may_go_on(self) -> None:
        """Between two steps: a pause waits, a cancelled deletion ends; what is left says what it is."""
        if self.paused:
            workflow.upsert_search_attributes([STATE.value_set("paused")])
            self.phase = "paused"
            await workflow.wait_condition(lambda: not self.paused or self.cancelling)
            self.phase = "running"
            workflow.upsert_search_attributes([STATE.value_set("running")])
        if self.cancelling:
            raise asyncio.CancelledError

    async def _step(self, name: str, step: DeleteStep, result: type[T], summary: str) -> T:
        try:
            answer: T = await workflow.execute_activity(
                name,
                step,
                result_type=result,
                task_queue=STORE_QUEUE,
                start_to_close_timeout=timedelta(hours=12),
                heartbeat_timeout=HEARTBEAT,
                retry_policy=LOAD_RETRY,
                summary=summary,
            )
            return answer
        except ActivityError as error:
            failure = describe_failure(error)
            raise ApplicationError(failure.message, type=failure.code, non_retryable=True) from None
