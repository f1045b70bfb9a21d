"""What the holders of a budget are granted never exceeds its cap, whoever asks, repeats, comes late or dies."""

from __future__ import annotations

import asyncio
import random
from typing import Any

import pytest
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from activities import budget as budget_module
from activities.budget import BudgetActivities, LimitInput, read_holders
from activities.contracts import ReserveInput, ReserveResult
from activities.services import Services
from schemas.documents import Budget
from schemas.keys import budget_key, day_key
from schemas.store import Store

PRICE = 0.004


class Caps:
    """The two activities over a store, and a job's budget of its own for each test."""

    def __init__(self, store: Store, book: str) -> None:
        self.store = store
        self.book = book
        self.key = budget_key(f"process-pages:{book}", "run-1")
        services = Services(store, None, {}, {}, None, [])  # type: ignore[arg-type]
        self.activities = BudgetActivities(services)

    async def ask(self, holder: str = "a", limit: float = 0.1, **given: Any) -> ReserveResult:
        asked = ReserveInput(
            **{
                "book_id": self.book,
                "holder": holder,
                "job_key": self.key,
                "job_limit_usd": limit,
                "settled_usd": 0.0,
                "day_settled_usd": 0.0,
                "open_usd": 0.0,
                "call_usd": PRICE,
                "calls": 25,
                **given,
            }
        )
        result: ReserveResult = await ActivityEnvironment().run(self.activities.reserve_budget, asked)
        return result

    async def set(self, key: str, usd: float) -> float:
        before: float = await ActivityEnvironment().run(
            self.activities.set_budget, LimitInput(key=key, limit_usd=usd, by="somebody")
        )
        return before

    async def document(self, key: str = "") -> Budget:
        return (await self.store.get(Budget, [key or self.key]))[key or self.key]

    async def held(self, key: str = "") -> float:
        return sum(holder.held for holder in read_holders(await self.document(key)).values())


@pytest.fixture
def caps(store: Store, book: str) -> Caps:
    return Caps(store, book)


async def test_holders_that_spend_at_once_never_get_more_than_there_is(caps: Caps) -> None:
    cap, dice, spent = 0.2, random.Random(7), []

    async def holder(name: str) -> None:
        settled, allotted, request = 0.0, 0.0, 0
        while True:
            while settled + PRICE <= allotted + 1e-9:
                cost = dice.choice([0.0, PRICE / 2, PRICE])
                spent.append(cost)
                settled += cost
            request += 1
            result = await caps.ask(name, cap, settled_usd=settled, request=request)
            assert await caps.held() <= cap + 1e-9
            if result.refused:
                break
            allotted = result.allotted_usd
        await caps.ask(name, cap, settled_usd=settled, calls=0, call_usd=0.0, request=request + 1)

    await asyncio.gather(*(holder(name) for name in "abcd"))
    document = await caps.document()
    assert document.spent_usd == pytest.approx(sum(spent))
    assert document.spent_usd is not None
    assert cap - PRICE < await caps.held() <= cap + 1e-9  # and it is used up
    assert document.book_key == caps.book


async def test_a_repeat_is_answered_alike_and_reserves_nothing_twice(caps: Caps) -> None:
    first = await caps.ask()
    held = await caps.held()
    assert await caps.ask() == first
    assert await caps.held() == held


async def test_a_repeat_that_comes_late_undoes_nothing(caps: Caps) -> None:
    await caps.ask(request=1, calls=2)
    await caps.ask(request=2, calls=10, settled_usd=0.008, call_usd=PRICE)
    later = await caps.held()
    await caps.ask(request=1, calls=2)
    assert await caps.held() >= later
    assert read_holders(await caps.document())["a"].settled == 0.008


async def test_near_the_cap_fewer_calls_are_granted_and_then_none(caps: Caps) -> None:
    result = await caps.ask(limit=0.01)
    assert result.allotted_usd == pytest.approx(PRICE)  # nobody takes all that is left
    other = await caps.ask("b", limit=0.01)
    assert other.allotted_usd == pytest.approx(PRICE)
    refused = await caps.ask("c", limit=0.01)
    assert refused.refused.startswith("the budget of this job is used up: 0.0000 of 0.01 USD are spent")
    assert "one more call may cost 0.0040" in refused.refused


async def test_what_was_not_used_is_given_back(caps: Caps) -> None:
    await caps.ask("a", limit=0.004)
    assert (await caps.ask("b", limit=0.004)).refused
    await caps.ask("a", limit=0.004, request=2, calls=0, call_usd=0.0)
    assert not (await caps.ask("b", limit=0.004, request=2)).refused


async def test_it_warns_from_80_percent(caps: Caps) -> None:
    assert (await caps.ask(settled_usd=0.079)).note == ""
    assert (await caps.ask(settled_usd=0.08, request=2)).note == "80% of the budget of this job, 0.1 USD, are spent."


async def test_a_cap_is_raised(caps: Caps) -> None:
    assert (await caps.ask(settled_usd=0.1)).refused
    assert await caps.set(caps.key, 0.2) == 0.1
    assert await caps.set(caps.key, 0.2) == 0.2  # a repeat
    result = await caps.ask(settled_usd=0.1, request=2)
    assert result.refused == ""
    assert result.allotted_usd > 0.1
    with pytest.raises(ApplicationError) as raised:
        await caps.set(f"job/{caps.book}/nothing", 1.0)
    assert raised.value.type == "BadInput"


async def test_a_new_day_begins_with_nothing_spent(caps: Caps, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = f"1999-01-01-{caps.book}", f"1999-01-02-{caps.book}"
    monkeypatch.setattr(budget_module, "today", lambda: first)
    day = {"job_key": "", "job_limit_usd": None, "day_limit_usd": 0.01}
    result = await caps.ask(**day)
    assert (result.day, result.refused) == (first, "")
    refused = await caps.ask(**day, day=first, settled_usd=0.01, day_settled_usd=0.01, request=2)
    assert refused.refused.startswith(f"the budget of {first} is used up: 0.0100 of 0.01")

    monkeypatch.setattr(budget_module, "today", lambda: second)
    result = await caps.ask(**day, day=first, settled_usd=0.01, day_settled_usd=0.01, request=3)
    assert (result.day, result.refused) == (second, "")
    assert result.allotted_usd == pytest.approx(0.01 + PRICE)
    assert (await caps.document(day_key(first))).spent_usd == 0.01
    assert await caps.held(day_key(first)) == 0.01  # the rest was given back
    assert await caps.held(day_key(second)) == pytest.approx(PRICE)


async def test_the_cap_of_the_day_counts_beside_that_of_the_job(caps: Caps, monkeypatch: pytest.MonkeyPatch) -> None:
    today = f"1999-02-01-{caps.book}"
    monkeypatch.setattr(budget_module, "today", lambda: today)
    result = await caps.ask(limit=1.0, day_limit_usd=0.004)
    assert result.allotted_usd == pytest.approx(PRICE)
    refused = await caps.ask("b", limit=1.0, day_limit_usd=0.004)
    assert refused.refused.startswith(f"the budget of {today}")
    await caps.set(day_key(today), 1.0)
    assert not (await caps.ask("b", limit=1.0, day_limit_usd=0.004, request=2)).refused


async def test_holders_that_are_done_become_one_sum(caps: Caps, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(budget_module, "CLOSED", 2)
    for number in range(6):
        await caps.ask(f"range-{number}", limit=1.0)
        await caps.ask(f"range-{number}", limit=1.0, settled_usd=0.01, calls=0, call_usd=0.0, request=2)
    document = await caps.document()
    assert sorted(read_holders(document)) == ["", "range-4", "range-5"]
    assert document.spent_usd == pytest.approx(0.06)
    assert await caps.held() == pytest.approx(0.06)
