"""What all jobs share: resolve, lease, page ranges, pause and resume, cancel, the ends.

A job is a subclass that names its operations and its input; see `process_pages.py`.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from datetime import timedelta
from typing import Any, ClassVar

from temporalio import workflow
from temporalio.common import RetryPolicy, SearchAttributeKey
from temporalio.exceptions import ActivityError, ApplicationError, ChildWorkflowError, is_cancelled_exception
from temporalio.workflow import ChildWorkflowHandle

with workflow.unsafe.imports_passed_through():
    from activities.contracts import (
        BOOK_ITEM,
        FailedItem,
        Failure,
        JobConfig,
        JobResult,
        LeaseInput,
        LoadedState,
        LoadInput,
        Progress,
        RangeInput,
        RangeResult,
        ResolveInput,
    )
    from activities.operation import FLAG_SCOPES, Operation, Scope
    from activities.registry import key_of
    from activities.state import JobState
    from providers.queues import STORE_QUEUE
    from schemas import telemetry
    from schemas.errors import BadInput
    from schemas.pagespec import format_pages, parse_pages
    from workflows.details import job_details
    from workflows.dispatch import HEARTBEAT, Dispatcher, as_application_error, first_of
    from workflows.driver import Driver, PlanStalled
    from workflows.failures import describe_failure
    from workflows.inputs import JobInput, validate_input
    from workflows.page_range import LOAD_RETRY, PageRange
    from workflows.purse import Purse
    from workflows.ranges import cut

log = workflow.LoggerAdapter(logging.getLogger("shelf.job"), None)
"""Temporal's, because it is silent in a replay; under our name, and without the facts that each line has already
(`schemas/logs.py`)."""
log.workflow_info_on_message = False

BOOK = SearchAttributeKey.for_keyword("ShelfBook")
JOB = SearchAttributeKey.for_keyword("ShelfJob")
STATE = SearchAttributeKey.for_keyword("ShelfState")
PAGES_DONE = SearchAttributeKey.for_int("ShelfPagesDone")
PAGES_FAILED = SearchAttributeKey.for_int("ShelfPagesFailed")
COST_USD = SearchAttributeKey.for_float("ShelfCostUsd")

RESOLVE_RETRY = RetryPolicy(
    initial_interval=timedelta(seconds=1),
    maximum_interval=timedelta(minutes=10),
    non_retryable_error_types=[
        "BadSource",
        "SourceNotFound",
        "SourceNotAllowed",
        "BadInput",
        "LanguageMissing",
        "StoreRefused",
    ],
)


BULK, INTERACTIVE = 3, 2
"""Priorities of activities: of a book among many, of what somebody waits for. What concerns a whole book goes one before."""


class CompositionError(Exception):
    """A job requires a flag that none of its operations sets, and does not say that it takes it from the database."""


class Job:
    """Base of all jobs. Subclasses set `operations`, `input_model`, and define `run`."""

    operations: tuple[Operation, ...]
    input_model: ClassVar[type[JobInput]]
    takes: tuple[str, ...] = ()
    """Flags that the job takes as the database has them."""
    anew: ClassVar[bool] = False
    """Whether its operations are done again although they are current."""
    priority: ClassVar[int] = BULK
    """Of its activities, 1 (first) to 5, where its input says nothing else."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        provided = {operation.completes for operation in cls.operations} | set(cls.takes)
        for operation in cls.operations:
            missing = [flag for flag in operation.requires if flag not in provided]
            if missing:
                raise CompositionError(
                    f"{cls.__name__}: {operation.name} requires {', '.join(missing)}, which no operation of the job "
                    f"completes; add it to `operations`, or to `takes` if the database has it."
                )

    def __init__(self) -> None:
        self.config: JobConfig | None = None
        self.state: JobState | None = None
        self.driver: Driver | None = None
        self.phase = "resolving"
        self.paused = ""
        self.cancelling = False
        self.open: dict[str, ChildWorkflowHandle[Any, RangeResult]] = {}
        self.open_pages: dict[str, tuple[int, ...]] = {}
        self.settled_cost_usd = 0.0
        self.notes: list[str] = []
        self.stop_reason = ""

    # What people send ---------------------------------------------------------------------------------------------

    @workflow.signal
    async def pause(self, reason: str = "by request") -> None:
        """Drain: finish and save what is under way, start nothing more, wait for `resume`."""
        self.paused = reason or "by request"
        await self._stop(self.paused)

    @workflow.signal
    def resume(self) -> None:
        """Go on where the pause found things."""
        self.paused = ""

    @workflow.query
    def progress(self) -> Progress:
        """Counts without the pages of open ranges: ask those by their ids and add them up."""
        if self.config is None or self.state is None:
            return Progress(job=type(self).__name__, state=self.phase)
        state = self.state
        failed = self._failed()
        totals = {op.name: len(op.items(state)) for op in self.operations}
        elsewhere = {page for pages in self.open_pages.values() for page in pages}
        return Progress(
            job=type(self).__name__,
            book_id=self.config.book_id,
            state=self.phase,
            reason=self.paused or self.stop_reason,
            pages=len(state.pages),
            operations={
                name: count.model_copy(update={"total": totals[name]})
                for name, count in state.progress(
                    {
                        op.name: tuple(item for item in op.items(state) if item not in elsewhere)
                        for op in self.operations
                    }
                ).items()
            },
            open_ranges=tuple(self.open),
            failed=tuple(failed[: self.config.failing_pages]),
            cost_usd=self._cost(),
            notes=tuple(self.notes),
        )

    # The job ------------------------------------------------------------------------------------------------------

    async def execute(self, value: Any) -> JobResult:
        """Run to an end: a JobResult, a typed failure, or cancelled with the lease released."""
        try:
            job = validate_input(self.input_model, value)
        except BadInput as error:
            raise as_application_error(error) from None
        try:
            self.operations = self.compose(job)
            self._anew(job)
        except BadInput as error:
            raise as_application_error(error) from None
        task = asyncio.ensure_future(self._run(job))
        while True:
            try:
                return await asyncio.shield(task)
            except asyncio.CancelledError:
                if task.done():
                    raise
                self.cancelling = True
                self.phase = "cancelling"
                await self._stop("cancelled")

    def compose(self, job: Any) -> tuple[Operation, ...]:
        """The operations for this input: those of the class, unless a job leaves some out."""
        return self.operations

    def _anew(self, job: JobInput) -> tuple[str, ...]:
        """Operations that this input wants done anew. Raises BadInput for one that the job does not have."""
        names = tuple(operation.name for operation in self.operations)
        return names if self.anew else job.anew(names)

    async def prepare(self, job: Any, config: JobConfig) -> JobConfig:
        """What a job does before its operations, while it holds the book; may decide on the pages anew."""
        return config

    def check(self, state: JobState) -> None:
        """Whether what the job takes from the database is there. Raises BadInput."""

    async def _run(self, job: JobInput) -> JobResult:
        workflow.upsert_search_attributes(
            [JOB.value_set(type(self).__name__), STATE.value_set("running"), PAGES_DONE.value_set(0)]
        )
        config = await self._resolve(job)
        if config is None:
            raise asyncio.CancelledError
        self.config = config
        self._log("%s begins, pages %s", type(self).__name__, config.pages)
        try:
            self.config = config = await self.prepare(job, config)
            result = await self._process(config)
        except (Exception, asyncio.CancelledError) as error:
            if self.cancelling:
                self._log("%s was cancelled", type(self).__name__)
            else:
                self._log("%s failed: %s", type(self).__name__, error, level=logging.ERROR)
            workflow.upsert_search_attributes([STATE.value_set("cancelled" if self.cancelling else "failed")])
            await self._release(config.book_id, config.run_id, self.config.epoch)
            raise
        await self._release(config.book_id, config.run_id, self.config.epoch)
        return result

    async def _resolve(self, job: JobInput) -> JobConfig | None:
        info = workflow.info()
        handle = workflow.start_activity(
            "resolve_job",
            ResolveInput(
                job=type(self).__name__,
                input=job.model_dump(exclude_none=True),
                anew=self._anew(job),
                operations=tuple(operation.name for operation in self.operations),
                priority=job.rank(self.priority),
                workflow_id=info.workflow_id,
                first_run_id=info.first_execution_run_id,
                run_id=info.run_id,
            ),
            result_type=JobConfig,
            task_queue=STORE_QUEUE,
            start_to_close_timeout=timedelta(hours=1),
            heartbeat_timeout=HEARTBEAT,
            retry_policy=RESOLVE_RETRY,
            summary="source, lease, configuration",
        )
        while True:
            # A cancelled job must not wait for another one's lease.
            await workflow.wait_condition(lambda: self.cancelling or handle.done())
            if self.cancelling and not handle.done():
                handle.cancel()
            try:
                config: JobConfig = await handle
                return config
            except ActivityError as error:
                if is_cancelled_exception(error):
                    return None
                failure = describe_failure(error)
                workflow.upsert_search_attributes([STATE.value_set("failed")])
                raise ApplicationError(failure.message, type=failure.code, non_retryable=True) from None

    async def _process(self, config: JobConfig) -> JobResult:
        pages = tuple(parse_pages(config.pages))
        workflow.upsert_search_attributes([BOOK.value_set(config.book_id)])
        while True:
            self.state = JobState(config=config, pages=pages, own=tuple(op.name for op in self.operations))
            await self._load(self.state)
            try:
                self.check(self.state)
            except BadInput as error:
                raise as_application_error(error) from None
            self.phase = "running"
            self.stop_reason = self.paused or ("cancelled" if self.cancelling else "")
            await self._drive(config, self.state)
            if self.cancelling:
                raise asyncio.CancelledError
            if self.stop_reason.startswith("LeaseLost"):
                raise ApplicationError(self.stop_reason, type="LeaseLost", non_retryable=True)
            if not self.stop_reason:
                return self._finish(config, self.state)
            # What nobody asked for (a full disk, an exhausted quota) waits for `resume` like a pause by request.
            self.paused = self.paused or self.stop_reason
            workflow.upsert_search_attributes([STATE.value_set("paused")])
            self._show("paused")
            self._log("%s is paused: %s", type(self).__name__, self.paused)
            await workflow.wait_condition(lambda: not self.paused or self.cancelling)
            if self.cancelling:
                raise asyncio.CancelledError
            self.stop_reason = ""
            self._log("%s goes on", type(self).__name__)
            workflow.upsert_search_attributes([STATE.value_set("running")])
            config = self.config = await self._renew(config)

    async def _load(self, state: JobState) -> None:
        loaded = await workflow.execute_activity(
            "load_state",
            LoadInput(
                config=state.config,
                operations=tuple(key_of(op) for op in self.operations),
                takes=self.takes,
                pages=state.config.pages,
                leaves=False,
            ),
            result_type=LoadedState,
            task_queue=STORE_QUEUE,
            start_to_close_timeout=timedelta(minutes=10),
            heartbeat_timeout=HEARTBEAT,
            retry_policy=LOAD_RETRY,
            summary="what the database has",
        )
        state.load(loaded)

    async def _drive(self, config: JobConfig, state: JobState) -> None:
        """Page ranges as children, book-scoped operations here, both at once."""
        page_operations = [op for op in self.operations if op.scope is Scope.PAGE]
        book_operations = {op.name: op for op in self.operations if op.scope is Scope.BOOK}
        pending = [
            chunk
            for chunk in cut(state.pages, config)
            if any(not state.complete(op.name, page) for op in page_operations for page in chunk)
        ]
        purse = Purse(config, f"{workflow.info().workflow_id}:e{config.epoch}")
        if self.driver is not None:
            # What the stage before a pause has cost.
            self.settled_cost_usd += self.driver.cost_usd
        self.driver = driver = Driver(
            state=state,
            operations=list(book_operations.values()),
            carry=Dispatcher(state, dict(book_operations), purse).carry,
            wait=first_of,
            window=config.window,
            changed=lambda: self._show("running"),
        )
        purse.stopping = lambda: driver.stopped
        if self.stop_reason:
            driver.stop(self.stop_reason)
        gate = asyncio.Semaphore(config.open_ranges)
        children = [
            asyncio.ensure_future(self._range(gate, chunk, config, state, page_operations)) for chunk in pending
        ]
        self._show("running")
        stalled: PlanStalled | None = None
        try:
            await driver.run(waiting=lambda: any(not child.done() for child in children))
        except PlanStalled as error:
            stalled = error
        results = await asyncio.gather(*children, return_exceptions=True)
        await purse.close()
        self._note([*driver.planner.notes, purse.note])
        if stalled is not None:
            raise as_application_error(stalled)
        for result in results:
            if isinstance(result, BaseException):
                raise result
        self.stop_reason = self.stop_reason or driver.stopped

    async def _range(
        self,
        gate: asyncio.Semaphore,
        pages: tuple[int, ...],
        config: JobConfig,
        state: JobState,
        operations: list[Operation],
    ) -> None:
        """One child, from its start to its result in `state`."""
        driver = self.driver
        assert driver is not None
        async with gate:
            if self._stopping() or driver.stopped:
                return
            spec = format_pages(pages)
            child_id = f"{workflow.info().workflow_id}:e{config.epoch}:p{pages[0]:04d}-{pages[-1]:04d}"
            try:
                handle = await workflow.start_child_workflow(
                    PageRange.run,
                    RangeInput(
                        config=config,
                        pages=spec,
                        operations=tuple(map(key_of, operations)),
                        takes=tuple(flag for flag in self.takes if FLAG_SCOPES[flag] is Scope.PAGE),
                    ),
                    id=child_id,
                    static_summary=f"{config.book_id} · pp. {spec}"[:190],
                )
                self.open[child_id] = handle
                self.open_pages[child_id] = pages
                if reason := self._stopping():
                    # The stop came while the start was on its way.
                    await handle.signal(PageRange.stop, reason)
                result = await handle
            except ChildWorkflowError as error:
                failure = describe_failure(error)
                if failure.code == "PlanStalled":
                    raise ApplicationError(failure.message, type=failure.code, non_retryable=True) from None
                self._range_failed(state, pages, operations, failure)
            else:
                self._range_back(state, result)
            finally:
                self.open.pop(child_id, None)
                self.open_pages.pop(child_id, None)
                driver.poke()
        self._show("running")

    def _range_back(self, state: JobState, result: RangeResult) -> None:
        for name, spec in result.complete.items():
            state.of(name).complete.update(parse_pages(spec))
        for item in result.failed:
            state.of(item.operation).failed[item.page] = Failure(code=item.code, message=item.message)
        for name, spec in result.blocked.items():
            for page in parse_pages(spec):
                state.of(name).blocked[page] = Failure(code="Blocked", message="what it needs is not complete")
        self.settled_cost_usd += result.cost_usd
        self._note(result.notes)
        if result.stopped and not self.stop_reason:
            self.stop_reason = result.stopped
            if self.driver is not None:
                self.driver.stop(result.stopped)
        done = sum(1 for page in state.pages if self._page_done(state, page))
        workflow.upsert_search_attributes([PAGES_DONE.value_set(done), COST_USD.value_set(self._cost())])

    def _range_failed(
        self, state: JobState, pages: tuple[int, ...], operations: list[Operation], failure: Failure
    ) -> None:
        """A range that ended without a result (terminated by hand): its open pages fail, the others stay."""
        for name in (operation.name for operation in operations):
            own = state.of(name)
            for page in pages:
                if not own.settled(page):
                    own.failed[page] = failure

    def _stopping(self) -> str:
        """Why the job drains; changes at any await, since signals and other ranges set it."""
        return self.stop_reason

    async def _stop(self, reason: str) -> None:
        """Drain everything that is open."""
        self.stop_reason = self.stop_reason or reason
        if self.driver is not None:
            self.driver.stop(reason)
            self.driver.poke()
        for handle in list(self.open.values()):
            try:
                await handle.signal(PageRange.stop, reason)
            except ApplicationError:
                # It ended in this moment; its result says what it did.
                continue

    async def _renew(self, config: JobConfig) -> JobConfig:
        """The next epoch for what comes after a pause: a page that is saved again must not meet its own revision."""
        epoch = await workflow.execute_activity(
            "renew_lease",
            LeaseInput(book_id=config.book_id, run_id=config.run_id, epoch=config.epoch),
            result_type=int,
            task_queue=STORE_QUEUE,
            start_to_close_timeout=timedelta(minutes=1),
            heartbeat_timeout=HEARTBEAT,
            retry_policy=LOAD_RETRY,
            summary="lease renewed",
        )
        return config.model_copy(update={"epoch": epoch})

    async def _release(self, book_id: str, run_id: str, epoch: int) -> None:
        await workflow.execute_activity(
            "release_lease",
            LeaseInput(book_id=book_id, run_id=run_id, epoch=epoch),
            task_queue=STORE_QUEUE,
            start_to_close_timeout=timedelta(minutes=1),
            heartbeat_timeout=HEARTBEAT,
            retry_policy=LOAD_RETRY,
            summary="lease released",
        )

    def _finish(self, config: JobConfig, state: JobState) -> JobResult:
        failed = self._failed()
        done = sum(1 for page in state.pages if self._page_done(state, page))
        self.phase = "complete_with_gaps" if failed else "complete"
        workflow.upsert_search_attributes(
            [
                STATE.value_set(self.phase),
                PAGES_DONE.value_set(done),
                PAGES_FAILED.value_set(len({item.page for item in failed if item.page != BOOK_ITEM})),
                COST_USD.value_set(self._cost()),
            ]
        )
        self._show(self.phase)
        self._log(
            "%s ended: %s, %d of %d pages complete, %d failures, %.4f USD",
            *(type(self).__name__, self.phase, done, len(state.pages), len(failed), self._cost()),
            level=logging.WARNING if failed else logging.INFO,
        )
        return JobResult(
            job=type(self).__name__,
            book_id=config.book_id,
            state=self.phase,
            pages=len(state.pages),
            pages_complete=done,
            operations=state.progress({op.name: op.items(state) for op in self.operations}),
            failed=tuple(failed[: config.failing_pages]),
            failed_count=len(failed),
            cost_usd=self._cost(),
            notes=tuple(self.notes),
        )

    def _failed(self) -> list[FailedItem]:
        """Failed items, pages first; a blocked book-scoped operation is named too, since it leaves a gap."""
        if self.state is None:
            return []
        pages = [op.name for op in self.operations if op.scope is Scope.PAGE]
        failed = sorted(self.state.failures(pages), key=lambda item: (item.page, item.operation))
        for name in (op.name for op in self.operations if op.scope is Scope.BOOK):
            failed += self.state.failures([name])
            failed += [
                FailedItem(page=BOOK_ITEM, operation=name, code=failure.code, message=failure.message)
                for failure in self.state.of(name).blocked.values()
            ]
        return failed

    def _page_done(self, state: JobState, page: int) -> bool:
        return all(state.complete(op.name, page) for op in self.operations if op.scope is Scope.PAGE)

    def _cost(self) -> float:
        return self.settled_cost_usd + (self.driver.cost_usd if self.driver is not None else 0.0)

    def _note(self, notes: Sequence[str]) -> None:
        self.notes += [note for note in notes if note and note not in self.notes]

    def _log(self, said: str, *values: object, level: int = logging.INFO) -> None:
        """A job that starts from a source learns its book on the way, so the line has to name it."""
        with telemetry.about(book=self.config.book_id if self.config is not None else None):
            log.log(level, said, *values)

    def _show(self, phase: str) -> None:
        if phase == "running" and (self.cancelling or self.paused):
            phase = "cancelling" if self.cancelling else "pausing"
        self.phase = phase
        workflow.set_current_details(job_details(self.progress()))
