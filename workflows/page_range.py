"""The child workflow that runs page-scoped operations over some pages of a book."""

from __future__ import annotations

from datetime import timedelta

from temporalio import workflow
from temporalio.common import RetryPolicy

with workflow.unsafe.imports_passed_through():
    from activities.contracts import (
        FailedItem,
        LoadedState,
        LoadInput,
        Progress,
        RangeInput,
        RangeResult,
    )
    from activities.registry import by_key
    from activities.state import JobState
    from providers.queues import STORE_QUEUE
    from schemas.pagespec import format_pages, parse_pages
    from workflows.details import job_details
    from workflows.dispatch import HEARTBEAT, Dispatcher, as_application_error, first_of
    from workflows.driver import Driver, PlanStalled
    from workflows.purse import Purse

LOAD_RETRY = RetryPolicy(
    initial_interval=timedelta(seconds=1),
    maximum_interval=timedelta(seconds=30),
    non_retryable_error_types=["LeaseLost", "StoreRefused", "BadInput"],
)


@workflow.defn
class PageRange:
    """About 50 pages. Loads its own state, returns bounded data, drains when it is told to stop."""

    @workflow.init
    def __init__(self, job: RangeInput) -> None:
        config = job.config
        self.operations = {operation.name: operation for operation in map(by_key, job.operations)}
        self.state = JobState(config=config, pages=tuple(parse_pages(job.pages)), own=tuple(self.operations))
        self.purse = Purse(config, workflow.info().workflow_id)
        self.driver = Driver(
            state=self.state,
            operations=list(self.operations.values()),
            carry=Dispatcher(self.state, self.operations, self.purse).carry,
            wait=first_of,
            window=config.window,
            changed=self._show,
        )
        self.purse.stopping = lambda: self.driver.stopped

    @workflow.run
    async def run(self, job: RangeInput) -> RangeResult:
        loaded = await workflow.execute_activity(
            "load_state",
            LoadInput(config=job.config, operations=job.operations, takes=job.takes, pages=job.pages, leaves=True),
            result_type=LoadedState,
            task_queue=STORE_QUEUE,
            start_to_close_timeout=timedelta(minutes=5),
            heartbeat_timeout=HEARTBEAT,
            retry_policy=LOAD_RETRY,
            summary=f"pp. {job.pages}",
        )
        self.state.load(loaded)
        self._show()
        try:
            await self.driver.run()
        except PlanStalled as error:
            raise as_application_error(error) from None
        finally:
            await self.purse.close()
        return self._result()

    @workflow.signal
    def stop(self, reason: str) -> None:
        """Start nothing more, finish and save what is under way, return."""
        self.driver.stop(reason)

    @workflow.query
    def progress(self) -> Progress:
        """Counts of this range."""
        return Progress(
            job="PageRange",
            book_id=self.state.config.book_id,
            state="stopping" if self.driver.stopped else "running",
            reason=self.driver.stopped,
            pages=len(self.state.pages),
            operations=self.state.progress({name: op.items(self.state) for name, op in self.operations.items()}),
            failed=self._failed(),
            cost_usd=self.driver.cost_usd,
            notes=self._notes(),
        )

    def _notes(self) -> tuple[str, ...]:
        return tuple(filter(None, [*self.driver.planner.notes, self.purse.note]))

    def _failed(self) -> tuple[FailedItem, ...]:
        return tuple(self.state.failures(self.operations))

    def _result(self) -> RangeResult:
        return RangeResult(
            complete={name: format_pages(self.state.of(name).complete) for name in self.operations},
            failed=self._failed(),
            blocked={
                name: format_pages(self.state.of(name).blocked)
                for name in self.operations
                if self.state.of(name).blocked
            },
            stopped="" if self.driver.planner.settled() else self.driver.stopped,
            cost_usd=self.driver.cost_usd,
            notes=self._notes(),
        )

    def _show(self) -> None:
        workflow.set_current_details(job_details(self.progress()))
