"""Carries one unit: work activity on the provider's queue, then save activity on the store's."""

from __future__ import annotations

import asyncio
from datetime import timedelta

from temporalio import workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import ActivityError, ApplicationError, is_cancelled_exception

from activities.beat import HEARTBEAT_TIMEOUT_SECONDS
from activities.contracts import Failure, SaveInput, SaveResult, UnitInput, WorkResult, WorkUnit
from activities.operation import Operation, asked_generation
from activities.state import JobState
from providers.queues import STORE_QUEUE
from schemas.pagespec import format_pages
from workflows.driver import Carried
from workflows.failures import describe_failure

NEVER_RETRIED = ["PayloadsTooLarge", "PayloadSizeError", "PayloadValidationError"]
"""An oversized payload is oversized again (facts/temporal.md 6)."""

HEARTBEAT = timedelta(seconds=HEARTBEAT_TIMEOUT_SECONDS)

STOPPING = ("DiskFull", "QuotaExhausted")
"""Failures that no page is to blame for: the job drains and pauses, and says so."""

STORE_RETRY = RetryPolicy(
    initial_interval=timedelta(seconds=1),
    backoff_coefficient=2.0,
    maximum_interval=timedelta(seconds=30),
    non_retryable_error_types=[*NEVER_RETRIED, "LeaseLost", "RevReused", "StoreRefused"],
)
"""Work and saves retry without a maximum: a night offline is not a gap. What counts as a failed call is counted by the
work activity itself, because Temporal's count also grows with every deploy (facts/temporal.md 6).

A database that is down for a night is waited for: no maximum of attempts."""


class Dispatcher:
    """`carry` of a driver inside a workflow."""

    def __init__(self, state: JobState, operations: dict[str, Operation]) -> None:
        self.state = state
        self.operations = operations

    async def carry(self, unit: WorkUnit) -> Carried:
        config = self.state.config
        operation = self.operations[unit.operation]
        policy = config.providers[unit.provider]
        summary = summarise(unit)
        try:
            work = await workflow.execute_activity(
                operation.work_activity,
                UnitInput(
                    book_id=config.book_id,
                    epoch=config.epoch,
                    manifest=config.manifest,
                    page_count=config.page_count,
                    generation=asked_generation(config, unit.operation),
                    language=config.language,
                    choice=operation.choice(self.state),
                    page_timeout_seconds=policy.page_timeout_seconds,
                    max_attempts=policy.max_attempts,
                    unit=unit,
                ),
                result_type=WorkResult,
                task_queue=policy.queue,
                heartbeat_timeout=HEARTBEAT,
                start_to_close_timeout=timedelta(
                    seconds=policy.page_timeout_seconds * (max(1, len(unit.pages)) + 1) + 60.0
                ),
                retry_policy=RetryPolicy(
                    initial_interval=timedelta(seconds=policy.retry_initial_seconds),
                    maximum_interval=timedelta(seconds=policy.retry_maximum_seconds),
                    non_retryable_error_types=NEVER_RETRIED,
                ),
                summary=summary,
            )
        except ActivityError as error:
            if is_cancelled_exception(error):
                return Carried(unit, stop="cancelled")
            failure = describe_failure(error)
            if failure.code in STOPPING:
                return Carried(unit, stop=f"{failure.code}: {failure.message}")
            return Carried(unit, failure=failure)
        try:
            save = await workflow.execute_activity(
                operation.save_activity,
                SaveInput(book_id=config.book_id, epoch=config.epoch, manifest=config.manifest, unit=unit, result=work),
                result_type=SaveResult,
                task_queue=STORE_QUEUE,
                heartbeat_timeout=HEARTBEAT,
                start_to_close_timeout=timedelta(minutes=10),
                retry_policy=STORE_RETRY,
                summary=summary,
            )
        except ActivityError as error:
            if is_cancelled_exception(error):
                return Carried(unit, stop="cancelled")
            failure = describe_failure(error)
            if failure.code == "LeaseLost" or failure.code in STOPPING:
                return Carried(unit, stop=f"{failure.code}: {failure.message}")
            return Carried(unit, failure=Failure(code=failure.code, message=f"saving failed: {failure.message}"))
        return Carried(unit, work=work, save=save)


def summarise(unit: WorkUnit) -> str:
    """What the Temporal UI shows on the bar: "pp. 9-16 · tesseract"."""
    if not unit.pages:
        return f"book · {unit.provider}"
    one = len(unit.pages) == 1
    again = " · again" if unit.single else ""
    opinion = f" · {unit.variant}" if unit.variant else ""
    return f"{'p.' if one else 'pp.'} {format_pages(unit.pages)} · {unit.provider}{opinion}{again}"[:190]


def as_application_error(error: Exception, code: str | None = None) -> ApplicationError:
    """An error that ends a workflow as Failed, with its class as type."""
    return ApplicationError(str(error), type=code or type(error).__name__, non_retryable=True)


async def first_of(tasks: list[asyncio.Task[Carried]]) -> object:
    """Wait of a driver in a workflow: deterministic, unlike asyncio's."""
    return await workflow.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
