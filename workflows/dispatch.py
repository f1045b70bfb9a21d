"""Carries one unit: work activity on the provider's queue, then save activity on the store's."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta

from temporalio import workflow
from temporalio.common import Priority, RetryPolicy
from temporalio.exceptions import ActivityError, ApplicationError, ChildWorkflowError, is_cancelled_exception

from activities.beat import HEARTBEAT_TIMEOUT_SECONDS
from activities.contracts import (
    BOOK_ITEM,
    AgentInput,
    Failure,
    JobConfig,
    ProviderPolicy,
    SaveInput,
    SaveResult,
    UnitInput,
    WorkResult,
    WorkUnit,
)
from activities.operation import Operation, asked_generation
from activities.state import JobState
from providers.queues import STORE_QUEUE
from schemas.pagespec import format_pages
from workflows.driver import Carried
from workflows.failures import describe_failure
from workflows.purse import Purse, high_usd, is_capped
from workflows.tracing import unit_span

NEVER_RETRIED = ["PayloadsTooLarge", "PayloadSizeError", "PayloadValidationError"]
"""An oversized payload is oversized again (facts/temporal.md 6)."""

HEARTBEAT = timedelta(seconds=HEARTBEAT_TIMEOUT_SECONDS)

STOPPING = ("DiskFull", "QuotaExhausted", "CredentialsRefused", "NotServed")
"""Failures that no page is to blame for: the job drains and pauses, and says so."""

BUDGET = "BudgetExhausted"

TURNS = 4
"""Calls that an item of a language model may take, a repeat with its repair turns included, for the time limit."""

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

    def __init__(self, state: JobState, operations: dict[str, Operation], purse: Purse) -> None:
        self.state = state
        self.operations = operations
        self.purse = purse

    async def carry(self, unit: WorkUnit) -> Carried:
        if refused := await self.purse.take(unit):
            return Carried(unit, stop=f"{BUDGET}: {refused}")
        with unit_span(unit, summarise(unit)):
            carried = _newly_settled(await self._carry(unit))
        self.purse.settle(unit, carried.save.cost_usd if carried.save is not None else 0.0)
        stopped = (
            next((each for each in carried.work.outcomes if each.status == "stopped"), None) if carried.work else None
        )
        if stopped is not None and stopped.failure is not None and not carried.stop:
            return Carried(unit, stop=f"{stopped.failure.code}: {stopped.failure.message}", save=carried.save)
        return carried

    async def _work(self, operation: Operation, unit: WorkUnit) -> WorkResult:
        config = self.state.config
        policy = config.providers[unit.provider]
        job = unit_input(self.state, operation, unit)
        if unit.agent:
            agent = await workflow.start_child_workflow(
                operation.agent,
                AgentInput(config=config, job=job),
                id=f"{workflow.info().workflow_id}:e{config.epoch}:{operation.name}",
                result_type=WorkResult,
                static_summary=f"{config.book_id} · {operation.title}"[:190],
                priority=priority_of(config, unit),
            )
            await workflow.wait_condition(lambda: agent.done() or bool(self.purse.stopping()))
            if not agent.done():
                # Its conversation is kept: after `resume` it goes on where it stood.
                await agent.signal("stop", str(self.purse.stopping()))
            said: WorkResult = await agent
            return said
        done: WorkResult = await workflow.execute_activity(
            operation.work_activity,
            job,
            result_type=WorkResult,
            task_queue=policy.queue,
            heartbeat_timeout=HEARTBEAT,
            start_to_close_timeout=_time_limit(policy, unit),
            retry_policy=RetryPolicy(
                initial_interval=timedelta(seconds=policy.retry_initial_seconds),
                maximum_interval=timedelta(seconds=policy.retry_maximum_seconds),
                non_retryable_error_types=NEVER_RETRIED,
            ),
            summary=summarise(unit),
            priority=priority_of(config, unit),
        )
        return done

    async def _carry(self, unit: WorkUnit) -> Carried:
        config = self.state.config
        operation = self.operations[unit.operation]
        summary = summarise(unit)
        try:
            work = await self._work(operation, unit)
        except (ActivityError, ChildWorkflowError) as error:
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
                priority=priority_of(config, unit),
            )
        except ActivityError as error:
            if is_cancelled_exception(error):
                return Carried(unit, stop="cancelled")
            failure = describe_failure(error)
            if failure.code == "LeaseLost" or failure.code in STOPPING:
                return Carried(unit, stop=f"{failure.code}: {failure.message}")
            return Carried(unit, failure=Failure(code=failure.code, message=f"saving failed: {failure.message}"))
        return Carried(unit, work=work, save=save)


def unit_input(state: JobState, operation: Operation, unit: WorkUnit) -> UnitInput:
    """What the unit's work activity is given."""
    config = state.config
    policy = config.providers[unit.provider]
    return UnitInput(
        book_id=config.book_id,
        epoch=config.epoch,
        manifest=config.manifest,
        page_count=config.page_count,
        generation=asked_generation(config, unit.operation),
        language=config.language,
        choice=operation.choice(state),
        page_timeout_seconds=policy.page_timeout_seconds,
        max_attempts=policy.max_attempts,
        # A fallback is asked for a model of its own.
        model=config.models.get(unit.operation, "")
        if unit.provider == config.book_providers.get(unit.operation)
        else "",
        # An agent counts its money by itself.
        allowance_usd=high_usd(config, unit) or None if is_capped(config) and not unit.agent else None,
        unit=unit,
    )


def _newly_settled(carried: Carried) -> Carried:
    """The same with the cost of what it was sent for this time: a unit that is sent again tells of all of its calls."""
    before = carried.unit.settled_usd
    if carried.save is None or not before:
        return carried
    return replace(carried, save=carried.save.model_copy(update={"cost_usd": max(0.0, carried.save.cost_usd - before)}))


def _time_limit(policy: ProviderPolicy, unit: WorkUnit) -> timedelta:
    """Longer than everything inside that has a limit of its own, so that a call's deadline ends before it."""
    calls = (TURNS if policy.answers else 1) * max(1, len(unit.pages))
    return timedelta(seconds=policy.page_timeout_seconds * (calls + 1) + 60.0)


def priority_of(config: JobConfig, unit: WorkUnit) -> Priority:
    """What concerns the whole book goes before its pages; between books, no one waits for another's backlog."""
    ahead = BOOK_ITEM in unit.items
    return Priority(priority_key=max(1, config.priority - ahead), fairness_key=config.book_id[:64])


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
