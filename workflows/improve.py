"""A focused job: buys better readings of the pages with the most expected errors, as long as they are worth the money."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from typing import Any, TypeVar

from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError

with workflow.unsafe.imports_passed_through():
    from activities.blend.operation import BLEND
    from activities.contracts import (
        FailedItem,
        JobConfig,
        JobResult,
        Lot,
        OperationProgress,
        Progress,
    )
    from activities.label.operation import LABEL
    from activities.label_read.operation import LABEL_READ
    from activities.ocr.operation import ADDED_OCR
    from activities.operation import Operation, Scope
    from activities.ranking import RankInput, RankResult, RateInput, RateResult, SellersInput
    from activities.state import JobState
    from providers.queues import STORE_QUEUE
    from schemas.errors import BadInput
    from schemas.pagespec import format_pages
    from workflows.buying import LARGEST_LOT, Buyer, Offer
    from workflows.dispatch import BUDGET, HEARTBEAT, as_application_error
    from workflows.failures import describe_failure
    from workflows.inputs import AddOcrSourceInput, ImproveInput, JobInput
    from workflows.job import COST_USD, PAGES_DONE, PAGES_FAILED, STATE, Job
    from workflows.page_range import LOAD_RETRY

T = TypeVar("T")

SPENT = f"{BUDGET}: the budget of this job"
"""How a stop begins that ends this job instead of pausing it (`activities/budget.py`): all its money is spent."""

READING: tuple[Operation, ...] = (ADDED_OCR,)
BLENDING: tuple[Operation, ...] = (BLEND, LABEL_READ, LABEL)


@workflow.defn
class Improve(Job):
    """Has the worst pages read by paid providers, lot by lot, each like `AddOcrSource`, until the budget is spent or the
    gain per dollar has fallen. Of several providers the first pages tell who goes on."""

    operations = (*READING, *BLENDING)
    takes: tuple[str, ...] = ("extract",)
    input_model = ImproveInput

    def __init__(self) -> None:
        super().__init__()
        self.job = ImproveInput(book_id="")
        self.configs: dict[str, JobConfig] = {}
        """provider -> what its readings are frozen to; the epoch is that of `config`."""
        self.buyer = Buyer([], None, None)
        self.counts: dict[str, OperationProgress] = {}
        """Of the passes that are over."""
        self.failures: list[FailedItem] = []
        self.read: set[int] = set()
        """Pages that the last pass has read, or found read."""
        self.passes = 0

    @workflow.run
    async def run(self, job: Any = None) -> JobResult:
        return await self.execute(job)

    @workflow.query
    def progress(self) -> Progress:
        """Readings and what followed, over all passes; without those of open ranges."""
        now = super().progress()
        if self.config is None:
            return now
        counts = _added(self.counts, now.operations)
        return now.model_copy(
            update={
                "book_id": self.config.book_id,
                "reason": self.paused or self.stop_reason,
                "pages": _readings(counts),
                "operations": counts,
                "failed": (*self.failures, *now.failed)[: self.config.failing_pages],
                "cost_usd": self._cost(),
                "notes": tuple(self.notes),
            }
        )

    # One configuration per provider, under one lease ---------------------------------------------------------------

    async def _resolve(self, job: JobInput) -> JobConfig | None:
        assert isinstance(job, ImproveInput)
        self.job = job
        first: JobConfig | None = None
        try:
            for provider in job.providers or await self._sellers(job):
                config = await super()._resolve(_as_added(job, provider))
                if config is None:
                    break
                # Whoever takes over elsewhere would be paid for under another's name.
                fallbacks = {each: by for each, by in config.fallbacks.items() if not each.startswith("ocr ")}
                update = {"fallbacks": fallbacks, "first_range_pages": config.range_pages}
                self.configs[provider] = config.model_copy(update=update)
                first = first or self.configs[provider]
            else:
                return first
        except ApplicationError:
            workflow.upsert_search_attributes([STATE.value_set("failed")])
            if first is not None:
                await self._release(first.book_id, first.run_id, first.epoch)
            raise
        if first is not None:
            await self._release(first.book_id, first.run_id, first.epoch)
        return None

    async def _sellers(self, job: ImproveInput) -> list[str]:
        found: list[str] = await self._look("find_sellers", SellersInput(book_id=job.book_id), list, "who may be paid")
        return found

    async def prepare(self, job: ImproveInput, config: JobConfig) -> JobConfig:
        """Nothing is bought without a limit."""
        offers = [self._offer(provider) for provider in self.configs]
        paid = [offer.provider for offer in offers if offer.paid]
        if paid and config.budget_usd is None and job.most_pages is None:
            raise as_application_error(
                BadInput(
                    f"It is not said how much may be paid to {', '.join(paid)} for {config.book_id}.",
                    "Give --budget (`budget_usd`), or --at-most pages (`most_pages`).",
                )
            )
        self.buyer = Buyer(offers, config.budget_usd, job.most_pages)
        return config

    def _offer(self, provider: str) -> Offer:
        config = self.configs[provider]
        names = {
            operation.name: provider if operation.name == ADDED_OCR.name else config.book_providers[operation.name]
            for operation in self.operations
            if operation.scope is Scope.PAGE
        }
        high = sum(config.high_usd.get(f"{operation} {by}", 0.0) for operation, by in names.items())
        return Offer(provider, high, config.providers[provider].paid)

    # Lot after lot -----------------------------------------------------------------------------------------------------

    async def _process(self, config: JobConfig) -> JobResult:
        buyer = self.buyer
        found = await self._rank(config)
        while pages := buyer.next_lot(found.pages, found.count, self._cost()):
            if buyer.comparing:
                read = await self._compare(pages)
                found = await self._rank(config, measure=pages)
                buyer.blended(read, found.measured)
            else:
                (provider,) = buyer.providers
                before = self._cost()
                await self._pass(provider, pages, (*READING, *BLENDING))
                found = await self._rank(config, measure=pages)
                self._tell(buyer.bought(provider, self.read, found.measured, self._cost() - before))
        self._note([f"Nothing more is bought: {buyer.stopped}"])
        result = self._result(config)
        failed = {item.page for item in self.failures if item.page}
        workflow.upsert_search_attributes([STATE.value_set(result.state), PAGES_FAILED.value_set(len(failed))])
        self._show(result.state)
        return result

    async def _compare(self, pages: Sequence[int]) -> set[int]:
        """Every provider reads the pages; then they are blended, once. Returns those that anybody read."""
        costs: dict[str, float] = {}
        read: dict[str, set[int]] = {}
        for provider in self.buyer.providers:
            before = self._cost()
            await self._pass(provider, pages, READING)
            costs[provider], read[provider] = self._cost() - before, self.read
        names = tuple(read)
        rated: RateResult = await self._look(
            "rate_readings",
            RateInput(book_id=self.job.book_id, pages=format_pages(pages), providers=names),
            RateResult,
            f"pp. {format_pages(pages)} · with each of {', '.join(names)}",
            queue=self.configs[names[0]].providers["vote"].queue,
        )
        best = self.buyer.compared({name: (read[name], rated.pages.get(name, ()), costs[name]) for name in names})
        for lot in self.buyer.lots:
            self._tell(lot)
        if best is not None:
            self._note([f"{best.provider} gains most for the money and goes on."])
        await self._pass(names[0], pages, BLENDING)
        return set().union(*read.values())

    async def _pass(self, provider: str, pages: Sequence[int], operations: tuple[Operation, ...]) -> None:
        """Some operations on some pages, like a job of its own; pauses and cancels included."""
        assert self.config is not None
        epoch = self.config.epoch
        config = self.configs[provider].model_copy(update={"epoch": epoch, "pages": format_pages(pages)})
        if self.passes:
            # What this pass saves must not meet what the one before has saved of the same page.
            config = await self._renew(config)
        self.passes += 1
        self.operations = operations
        self.takes = type(self).takes if operations[0] is ADDED_OCR else (*type(self).takes, ADDED_OCR.name)
        self.config = config
        await super()._process(config)

    async def _drive(self, config: JobConfig, state: JobState) -> None:
        await super()._drive(config, state)
        if self.stop_reason.startswith(SPENT):
            self.buyer.stopped = self.stop_reason.removeprefix(f"{BUDGET}: ").partition(". ")[0] + "."
            self.stop_reason = ""

    def _finish(self, config: JobConfig, state: JobState) -> JobResult:
        """A pass is over: it counts among those before."""
        failed = self._failed()
        self.failures += [item for item in failed if item not in self.failures]
        self.counts = _added(self.counts, state.progress({op.name: op.items(state) for op in self.operations}))
        if ADDED_OCR in self.operations:
            self.read = {page for page in state.pages if state.complete(ADDED_OCR.name, page)}
        self.state = None
        workflow.upsert_search_attributes(
            [PAGES_DONE.value_set(self.counts[ADDED_OCR.name].complete), COST_USD.value_set(self._cost())]
        )
        self._show("running")
        return self._result(config)

    def _result(self, config: JobConfig) -> JobResult:
        """What it came to so far."""
        return JobResult(
            job=type(self).__name__,
            book_id=config.book_id,
            state="complete_with_gaps" if self.failures else "complete",
            pages=_readings(self.counts),
            pages_complete=self.counts[ADDED_OCR.name].complete if self.counts else 0,
            operations=self.counts,
            failed=tuple(self.failures[: config.failing_pages]),
            failed_count=len(self.failures),
            cost_usd=self._cost(),
            notes=tuple(self.notes),
            purchase=self.buyer.purchase(self._cost()),
        )

    # Looks -------------------------------------------------------------------------------------------------------------

    async def _rank(self, config: JobConfig, measure: Sequence[int] = ()) -> RankResult:
        ranked: RankResult = await self._look(
            "rank_pages",
            RankInput(
                book_id=config.book_id,
                pages=config.pages,
                providers=self.buyer.providers,
                skip=format_pages(self.buyer.tried),
                measure=format_pages(measure),
                most=LARGEST_LOT,
            ),
            RankResult,
            "pages by expected errors",
        )
        return ranked

    async def _look(self, name: str, argument: object, result: type[T], summary: str, queue: str = STORE_QUEUE) -> T:
        try:
            answer: T = await workflow.execute_activity(
                name,
                argument,
                result_type=result,
                task_queue=queue,
                start_to_close_timeout=timedelta(minutes=10),
                heartbeat_timeout=HEARTBEAT,
                retry_policy=LOAD_RETRY,
                summary=summary[:190],
            )
        except ActivityError as error:
            failure = describe_failure(error)
            raise ApplicationError(failure.message, type=failure.code, non_retryable=True) from None
        if self.cancelling:
            raise asyncio.CancelledError
        return answer

    def _tell(self, lot: Lot) -> None:
        """A line for whoever watches."""
        if not lot.pages:
            self._note([f"{lot.provider} read none of the pages that it was given."])
            return
        self._note(
            [
                f"{lot.provider}, pages {lot.pages}: {lot.cost_usd:.4f} USD, {lot.wrong_before:,.0f} -> "
                f"{lot.wrong_after:,.0f} expected wrong characters{' (by its reading alone)' if lot.compared else ''}."
            ]
        )


def _as_added(job: ImproveInput, provider: str) -> AddOcrSourceInput:
    """What a job is given that reads with this provider alone."""
    return AddOcrSourceInput(
        **job.model_dump(include={"book_id", "pages", "llm", "budget_usd", "allow_unpriced", "priority", "wait"}),
        provider=provider,
    )


def _added(before: dict[str, OperationProgress], more: dict[str, OperationProgress]) -> dict[str, OperationProgress]:
    """Counts of several passes as one."""
    fields = OperationProgress.model_fields
    return {
        name: OperationProgress(
            **{
                field: sum(getattr(counts[name], field) for counts in (before, more) if name in counts)
                for field in fields
            }
        )
        for name in dict.fromkeys((*before, *more))
    }


def _readings(counts: dict[str, OperationProgress]) -> int:
    return counts[ADDED_OCR.name].total if ADDED_OCR.name in counts else 0
