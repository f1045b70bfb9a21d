"""Budgets: what jobs and days may spend, as documents that change by compare-and-set.

What the holders of a budget (ranges, jobs) were allotted together never exceeds its cap. A holder asks for some calls at a
time, at their high estimate, and settles what they cost with its next request; what it asked for and did not use it gives
back at its end.
"""

from __future__ import annotations

import asyncio
import json
import math
import random
from collections.abc import Mapping
from dataclasses import astuple, dataclass
from datetime import UTC, datetime

from pydantic import Field
from temporalio import activity

from activities.beat import beating
from activities.contracts import Contract, ReserveInput, ReserveResult
from activities.services import Services
from activities.work import as_application_error
from schemas.documents import Budget
from schemas.errors import BadInput, LeaseLost, RevReused, ShelfError, StoreUnavailable
from schemas.keys import day_key
from schemas.store import STEPS_PER_EPOCH, Update, digest

WARN_FROM = 0.8
"""Of a cap: from here on people are told."""
SHARERS = 4
"""Of what is left, one holder is granted at most a fourth at a time: others spend from the same budget."""
CONFLICTS = 50
CENT = 1e-9
"""Sums of floats are compared with this tolerance."""
CLOSED = 64
"""Holders that gave back what they had left and are kept by name, for repeats that come late; older ones are one sum. A day
has thousands of ranges."""
OLDER = ""
"""The holder that stands for them."""

SPEND, LIMIT = "spend", "limit"


@dataclass(slots=True)
class Holder:
    """What a holder has of a budget, in USD; a list in the document."""

    settled: float = 0.0
    allotted: float = 0.0
    """Its high estimates included; never less than what is settled counts."""
    request: int = 0
    """Number of the request that this is from: one that comes late must not undo what a later one was told."""
    closed: int = 0
    """Number of its closing among those of the budget; 0 = it is open."""

    @property
    def held(self) -> float:
        """What others cannot have."""
        return max(self.settled, self.allotted)


def today() -> str:
    """The day that budgets go by, as "2026-11-24"."""
    return datetime.now(UTC).date().isoformat()


class LimitInput(Contract):
    """Argument of `set_budget`."""

    key: str
    limit_usd: float = Field(gt=0, allow_inf_nan=False)
    by: str
    """Who says so."""


class BudgetActivities:
    """Reserves, settles, changes caps."""

    def __init__(self, services: Services) -> None:
        self.services = services

    @activity.defn
    async def reserve_budget(self, job: ReserveInput) -> ReserveResult:
        """Grant a holder its next calls, as many as all its budgets have room for; or say why not even one.

        Absolute sums: what was granted and not used is given back by asking for 0 calls."""
        try:
            async with beating():
                return await self._reserve(job)
        except ShelfError as error:
            raise as_application_error(error) from None

    async def _reserve(self, job: ReserveInput) -> ReserveResult:
        now = today()
        same_day = job.day in ("", now)
        budgets: list[tuple[str, float, float, str]] = []
        if job.job_key and job.job_limit_usd is not None:
            budgets.append((job.job_key, job.job_limit_usd, job.settled_usd, job.book_id))
        if job.day_limit_usd is not None:
            if not same_day:
                # The old day is over: what was spent on it stays there, the rest is given back.
                await self._grant(day_key(job.day), job.day_limit_usd, "", job.day_settled_usd, 0.0, 0.0, 0, job)
            budgets.append((day_key(now), job.day_limit_usd, job.day_settled_usd if same_day else 0.0, ""))
        calls = job.calls
        notes: list[str] = []
        for key, limit, settled, book in budgets:
            granted, note, refused = await self._grant(
                key, limit, book, settled, job.open_usd, job.call_usd, calls, job
            )
            if refused:
                return ReserveResult(allotted_usd=job.settled_usd + job.open_usd, day=now, refused=refused, note=note)
            calls = min(calls, granted)
            notes += [note] if note else []
        allotted = job.settled_usd + job.open_usd + calls * job.call_usd
        return ReserveResult(allotted_usd=allotted, day=now, note=" ".join(notes))

    async def _grant(
        self,
        key: str,
        limit: float,
        book: str,
        settled: float,
        opened: float,
        price: float,
        calls: int,
        job: ReserveInput,
    ) -> tuple[int, str, str]:
        """(calls granted, warning, why none)."""
        store = self.services.store
        await store.stub(Budget, [{"key": key, "limit_usd": limit, **({"book_key": book} if book else {})}])
        for _ in range(CONFLICTS):
            document = (await store.get(Budget, [key]))[key]
            cap = document.limit_usd if document.limit_usd is not None else limit
            holders = read_holders(document)
            known = holders.pop(job.holder, Holder())
            mine = settled + opened
            left = cap - sum(holder.held for holder in holders.values()) - mine
            granted = 0
            if calls and price > 0:
                fits = max(0, math.floor((left + CENT) / price))
                granted = min(calls, fits, max(1, fits // SHARERS))
            wanted = Holder(settled, mine + granted * price, job.request)
            if job.request <= known.request:
                # A repeat, or one that was late: what its holder was told since, or by the other try, still holds.
                wanted = Holder(
                    max(settled, known.settled), max(wanted.allotted, known.allotted), known.request, known.closed
                )
            elif not calls and not opened:
                wanted.closed = max((holder.closed for holder in holders.values()), default=0) + 1
            holders[job.holder] = wanted
            _fold(holders)
            spent = round(sum(holder.settled for holder in holders.values()), 9)
            if not await self._write(document, SPEND, {"holders": _as_json(holders), "spent_usd": spent}):
                continue
            what = f"the budget of {key.removeprefix('day/')}" if not book else "the budget of this job"
            refused = ""
            if calls and granted < 1:
                refused = (
                    f"{what} is used up: {spent:.4f} of {cap:g} USD are spent, and one more call may cost {price:.4f}. "
                    "`shelf budget raise` lifts it."
                )
            # The same words however often it is said: people are told once.
            note = f"{WARN_FROM:.0%} of {what}, {cap:g} USD, are spent." if spent >= WARN_FROM * cap - CENT else ""
            return granted, note, refused
        raise StoreUnavailable(f"The budget {key} is written by too many at once.", "It is tried again.")

    @activity.defn
    async def set_budget(self, job: LimitInput) -> float:
        """Change a cap; returns what it was (0.0 where there was none). Raises ApplicationError BadInput for a job that has
        no budget."""
        try:
            store = self.services.store
            if job.key.startswith("day/"):
                await store.stub(Budget, [{"key": job.key}])
            for _ in range(CONFLICTS):
                document = (await store.get(Budget, [job.key])).get(job.key)
                if document is None:
                    raise BadInput(
                        f"There is no budget {job.key}.",
                        "A job has one if it was started with --budget, or [budget] is set.",
                    )
                before = document.limit_usd or 0.0
                if before == job.limit_usd or await self._write(document, LIMIT, {"limit_usd": job.limit_usd}):
                    return before
            raise StoreUnavailable(f"The budget {job.key} is written by too many at once.", "It is tried again.")
        except ShelfError as error:
            raise as_application_error(error) from None

    async def _write(self, document: Budget, operation: str, fields: dict[str, object]) -> bool:
        """Whether nobody was faster."""
        revision = int(document.flag(operation, "rev") or 0)
        epoch = revision // STEPS_PER_EPOCH + 1
        # Two that write the same are one: its sums are absolute.
        mark = digest([document.key, epoch, fields])[:32]
        try:
            await self.services.store.update(
                Budget, operation, epoch, 1, [Update(document.key, fields, {"complete": True}, mark)]
            )
        except (RevReused, LeaseLost):
            await asyncio.sleep(random.uniform(0.01, 0.2))  # noqa: S311
            return False
        return True


def read_holders(document: Budget) -> dict[str, Holder]:
    """Holders by workflow id."""
    return {name: Holder(*each) for name, each in json.loads(document.holders or "{}").items()}


def _as_json(holders: Mapping[str, Holder]) -> str:
    return json.dumps(
        {
            name: [round(holder.settled, 9), round(holder.allotted, 9), *astuple(holder)[2:]]
            for name, holder in sorted(holders.items())
        }
    )


def _fold(holders: dict[str, Holder]) -> None:
    """Make one sum of those that closed first."""
    closed = sorted((each for each in holders if holders[each].closed), key=lambda name: holders[name].closed)
    for name in closed[:-CLOSED]:
        settled = holders.pop(name).settled
        older = holders.setdefault(OLDER, Holder())
        older.settled = older.allotted = older.settled + settled
