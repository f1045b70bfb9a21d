"""What a range, or a job, may still spend: asked for in lots, before the calls that it pays for (design §6)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import timedelta

from temporalio import workflow
from temporalio.common import RetryPolicy

from activities.beat import HEARTBEAT_TIMEOUT_SECONDS
from activities.contracts import JobConfig, ReserveInput, ReserveResult, WorkUnit
from providers.queues import STORE_QUEUE

CALLS = 25
"""Asked for at once: one activity for so many calls. Near the cap fewer are granted, so that no range sits on what another
could use."""

RETRY = RetryPolicy(
    initial_interval=timedelta(seconds=1),
    maximum_interval=timedelta(seconds=30),
    non_retryable_error_types=["StoreRefused", "BadInput"],
)


def is_capped(config: JobConfig) -> bool:
    """Whether a budget holds the job."""
    return config.budget_usd is not None or config.day_budget_usd is not None


def high_usd(config: JobConfig, unit: WorkUnit) -> float:
    """High estimate of a unit; 0 = free."""
    return config.high_usd.get(f"{unit.operation} {unit.provider}{f' {unit.variant}' * unit.agent}", 0.0)


class Purse:
    """One holder of budgets. All sums are absolute and only grow, so that every request may be repeated."""

    def __init__(self, config: JobConfig, holder: str) -> None:
        self.config = config
        self.holder = holder
        self.note = ""
        self._capped = is_capped(config)
        self.stopping: Callable[[], object] = lambda: ""
        """Whether nothing more is to be started: what waits for money then gives up."""
        self._lock = asyncio.Lock()
        self._allotted = 0.0
        self._settled = 0.0
        self._open = 0.0
        self._day = ""
        self._day_began = 0.0
        self._requests = 0
        self._settlements = 0

    async def take(self, unit: WorkUnit) -> str:
        """Set the high estimate of the unit aside; '' if it may go, else why the job has to pause."""
        price = self.price(unit)
        if not self._capped or not price:
            return ""
        async with self._lock:
            while self._settled + self._open + price > self._allotted + 1e-9:
                settlements = self._settlements
                refused = (await self._reserve(price, CALLS)).refused
                if refused and (self.stopping() or (not self._open and settlements == self._settlements)):
                    return refused
                if refused:
                    # What is under way usually costs less than the high estimate that is set aside for it.
                    await self._settled_since(settlements)
            if self.stopping():
                return "nothing more is to be started"
            self._open += price
            return ""

    def settle(self, unit: WorkUnit, cost_usd: float) -> None:
        """The unit came back and cost so much."""
        price = self.price(unit)
        if self._capped and price:
            self._open = max(0.0, self._open - price)
            self._settled += cost_usd
            self._settlements += 1

    async def _settled_since(self, settlements: int) -> None:
        await workflow.wait_condition(lambda: self._settlements > settlements)

    async def close(self) -> None:
        """Give back what was asked for and not used; nothing is under way any more."""
        if self._requests:
            await self._reserve(0.0, 0)

    def price(self, unit: WorkUnit) -> float:
        """High estimate of a unit; 0 = free."""
        return high_usd(self.config, unit)

    async def _reserve(self, price: float, calls: int) -> ReserveResult:
        config = self.config
        self._requests += 1
        settled = self._settled
        result: ReserveResult = await workflow.execute_activity(
            "reserve_budget",
            ReserveInput(
                book_id=config.book_id,
                holder=self.holder,
                job_key=config.budget_key if config.budget_usd is not None else "",
                job_limit_usd=config.budget_usd,
                day_limit_usd=config.day_budget_usd,
                day=self._day,
                settled_usd=settled,
                day_settled_usd=settled - self._day_began,
                open_usd=self._open,
                call_usd=price,
                calls=calls,
                request=self._requests,
            ),
            result_type=ReserveResult,
            task_queue=STORE_QUEUE,
            start_to_close_timeout=timedelta(minutes=5),
            heartbeat_timeout=timedelta(seconds=HEARTBEAT_TIMEOUT_SECONDS),
            retry_policy=RETRY,
            summary=f"budget · {settled:.4f} USD spent" if calls else "budget · settled",
        )
        if result.day != self._day:
            # What came back meanwhile belongs to the day that it is told to.
            self._day, self._day_began = result.day, settled
        self._allotted = result.allotted_usd
        self.note = result.note or self.note
        return result
