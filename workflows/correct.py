"""A focused job: what people say against the machines, and what it makes stale."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError

with workflow.unsafe.imports_passed_through():
    from activities.contracts import JobConfig, JobResult
    from activities.corrections import IMAGE_STEPS, RecordInput, RecordResult
    from activities.extract.operation import EXTRACT
    from activities.ocr.operation import OCR
    from activities.operation import Operation
    from activities.prompts import PROMPT_FIELDS
    from providers.queues import STORE_QUEUE
    from workflows.dispatch import HEARTBEAT
    from workflows.failures import describe_failure
    from workflows.inputs import CorrectInput
    from workflows.job import INTERACTIVE, RESOLVE_RETRY, Job
    from workflows.process_pages import ProcessPages

READING = (EXTRACT, OCR)
"""What comes before the texts: only another way to prepare an image makes it stale."""


@workflow.defn
class Correct(Job):
    """Records the corrections, then does all that `ProcessPages` does with what was read; nothing where only prompts are
    given, for they make nothing stale."""

    operations = tuple(operation for operation in ProcessPages.operations if operation not in READING)
    takes = tuple(operation.completes for operation in READING)
    input_model = CorrectInput
    priority = INTERACTIVE

    @workflow.run
    async def run(self, job: Any = None) -> JobResult:
        return await self.execute(job)

    def compose(self, job: CorrectInput) -> tuple[Operation, ...]:
        if all(said.field in PROMPT_FIELDS for said in job.corrections):
            return ()
        if not self._images(job):
            return self.operations
        self.takes = ()
        return ProcessPages.operations

    async def prepare(self, job: CorrectInput, config: JobConfig) -> JobConfig:
        """All known pages are looked at, for what was left undone is not to be taken for what the book is; where images
        are prepared otherwise, only theirs, for those are read."""
        try:
            record: RecordResult = await workflow.execute_activity(
                "record_corrections",
                RecordInput(
                    book_id=config.book_id,
                    epoch=config.epoch,
                    who=job.who,
                    at=workflow.now().isoformat(timespec="milliseconds"),
                    corrections=tuple(job.corrections),
                ),
                result_type=RecordResult,
                task_queue=STORE_QUEUE,
                start_to_close_timeout=timedelta(minutes=10),
                heartbeat_timeout=HEARTBEAT,
                retry_policy=RESOLVE_RETRY,
                summary=_summary(job),
            )
        except ActivityError as error:
            failure = describe_failure(error)
            raise ApplicationError(failure.message, type=failure.code, non_retryable=True) from None
        return config.model_copy(update={"pages": record.corrected if self._images(job) else record.pages})

    @staticmethod
    def _images(job: CorrectInput) -> bool:
        return any(said.field == IMAGE_STEPS for said in job.corrections)


def _summary(job: CorrectInput) -> str:
    """For the Temporal UI."""
    said = ", ".join(
        f"{'p. ' + str(each.page) + ' ' if each.page else ''}{each.field}{' reverted' if each.revert else ''}"
        for each in job.corrections
    )
    return f"{said} · {job.who}"[:190]
