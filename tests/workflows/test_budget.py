"""A cap pauses the job within the calls under way, and raising it lets the job finish; a plan says beforehand what it takes."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from temporalio.client import WorkflowHandle

from activities.contracts import JobResult, Progress
from cli.cost import add_up
from cli.planning import BookPlan, BookPlanner
from providers.base import Reading
from providers.errors import Connection
from providers.ledger import Calls, Response
from providers.ocr_service import READING
from providers.prices import Usage
from providers.settings import BudgetSettings, load_settings
from providers.source import LeafSource
from schemas.documents import Budget, Metric
from schemas.keys import budget_key
from schemas.reading import PageReading
from tests.workflows.conftest import Shelf, progress, reading, until
from worker import make_workers

PAGE_USD = 0.004


class PaidReader:
    """A page-priced provider in the test's own hands, behind the real ledger."""

    name = "mistral"

    def __init__(self) -> None:
        self.calls: Counter[int] = Counter()
        self.says_usd: float | None = None
        """What each response says that it cost."""
        self.lost = 0
        """Answers to the first calls of each page that get lost on the way."""

    def model(self, language: str) -> str:
        return "mistral-ocr-4-1"

    def parameters(self) -> dict[str, object]:
        return {}

    async def read(self, leaf: LeafSource, language: str, timeout_seconds: float, calls: Calls) -> Reading:
        async def send() -> Response[PageReading]:
            self.calls[leaf.page] += 1
            if self.calls[leaf.page] <= self.lost:
                raise Connection(f"the answer on page {leaf.page} was lost", cost_usd=None)
            page = reading(self.name, [str(leaf.page), f"Text of page {leaf.page}, paid for."], 99.0)
            return Response(page, Usage(pages=1, cost_usd=self.says_usd), "mistral-ocr-4-1")

        return Reading(await calls.paid(send, keep=READING), 0.01)

    async def close(self) -> None:
        return None


@pytest.fixture
async def paid(shelf: Shelf) -> AsyncIterator[PaidReader]:
    """The reader, and a worker for its queue; no rate, since a test has no time for it."""
    reader = PaidReader()
    shelf.services.remote["mistral"] = reader
    shelf.services.queues["mistral"] = replace(shelf.services.queues["mistral"], requests_per_second=None)
    async with AsyncExitStack() as stack:
        for worker in make_workers(shelf.client, shelf.services, shelf.pdf, ["mistral"]):  # type: ignore[arg-type]
            await stack.enter_async_context(worker)
        yield reader


async def paused(handle: WorkflowHandle[Any, JobResult]) -> Progress:
    async def is_paused() -> bool:
        return (await progress(handle)).state == "paused"

    await until(is_paused)
    return await progress(handle)


async def raise_cap(shelf: Shelf, key: str, usd: float) -> float:
    with shelf.env.auto_time_skipping_disabled():  # a job is paused meanwhile, and its time limit runs
        before: float = await shelf.client.execute_workflow(
            "SetBudget", {"key": key, "limit_usd": usd, "by": "somebody"}, id=f"set:{usd}", task_queue="shelf"
        )
    return before


async def spent(shelf: Shelf) -> Decimal:
    """By the command that adds it up."""
    found = [each for each in await shelf.store.find(Metric, {}) if each.kind == "attempt"]
    [group] = [group for group in add_up(found, "provider") if group.name == "mistral"]
    return group.cost


async def test_a_cap_pauses_the_job_and_raising_it_lets_it_finish(shelf: Shelf, paid: PaidReader) -> None:
    handle = await shelf.start(12, ocr="mistral", budget_usd=0.021)
    found = await paused(handle)
    assert found.reason.startswith("BudgetExhausted: the budget of this job is used up: 0.0200 of 0.021 USD are spent")
    assert paid.calls.total() == 5
    assert found.notes == ("80% of the budget of this job, 0.021 USD, are spent.",)

    # Whoever resumes without raising it pays nothing, and is told the same.
    await handle.signal("resume")

    async def paused_again() -> bool:
        now = await progress(handle)
        return now.state == "paused" and len(await shelf.store.history(Budget, key)) > 0

    description = await handle.describe()
    key = budget_key(description.id, description.run_id)
    await until(paused_again)
    assert paid.calls.total() == 5

    assert await raise_cap(shelf, key, 1.0) == 0.021
    await handle.signal("resume")
    result = await handle.result()
    assert (result.state, result.pages_complete) == ("complete", 12)
    assert paid.calls == Counter(range(1, 13))
    assert await spent(shelf) == Decimal("0.048")
    [document] = await shelf.store.find(Budget, {})
    assert document.spent_usd == pytest.approx(0.048)


async def test_repeats_are_set_aside_like_first_calls(shelf: Shelf, paid: PaidReader) -> None:
    """A call whose answer was lost may have been charged, and so may its repeat: together they keep to the cap."""
    paid.lost = 2
    handle = await shelf.start(12, ocr="mistral", budget_usd=0.021)
    found = await paused(handle)
    assert found.reason.startswith("BudgetExhausted: the budget of this job is used up: 0.0200 of 0.021 USD are spent")
    assert paid.calls.total() == 5
    assert found.cost_usd == pytest.approx(0.02)
    description = await handle.describe()
    await raise_cap(shelf, budget_key(description.id, description.run_id), 1.0)
    await handle.signal("resume")
    result = await handle.result()
    assert (result.state, result.pages_complete) == ("complete", 12)
    assert paid.calls == Counter(dict.fromkeys(range(1, 13), 3))
    attempts = [each for each in await shelf.store.find(Metric, {}) if each.provider == "mistral" and each.cost_usd]
    assert Counter(each.outcome for each in attempts) == {"ok": 12, "unknown": 24}
    [document] = await shelf.store.find(Budget, {})
    assert document.spent_usd == pytest.approx(36 * PAGE_USD)
    assert result.cost_usd == pytest.approx(36 * PAGE_USD)


async def test_without_a_cap_a_repeat_is_one_more_attempt(shelf: Shelf, paid: PaidReader) -> None:
    paid.lost = 1
    result = await shelf.run(3, ocr="mistral")
    assert (result.state, result.cost_usd) == ("complete", pytest.approx(6 * PAGE_USD))


async def test_the_cap_of_a_day_holds_several_jobs(shelf: Shelf, paid: PaidReader) -> None:
    shelf.services.budget = BudgetSettings(per_day_usd=0.04)
    first = await shelf.run(6, ocr="mistral")
    assert first.cost_usd == pytest.approx(0.024)
    handle = await shelf.start(7, ocr="mistral")
    found = await paused(handle)
    assert found.reason.startswith("BudgetExhausted: the budget of 20")
    assert paid.calls.total() == 10
    [document] = await shelf.store.find(Budget, {})
    await raise_cap(shelf, document.key, 10.0)
    await handle.signal("resume")
    assert (await handle.result()).state == "complete"


async def test_calls_that_cost_less_than_was_set_aside_do_not_pause_the_job(shelf: Shelf, paid: PaidReader) -> None:
    """Ten in flight at their high estimate would be 0.04 USD; what they come to fits the cap."""
    paid.says_usd = 0.001
    result = await shelf.run(12, ocr="mistral", budget_usd=0.016)
    assert (result.state, result.pages_complete) == ("complete", 12)
    assert await spent(shelf) == Decimal("0.012")


async def test_a_job_without_a_cap_has_no_budget(shelf: Shelf, paid: PaidReader) -> None:
    result = await shelf.run(3, ocr="mistral")
    assert result.cost_usd == pytest.approx(3 * PAGE_USD)
    assert await shelf.store.find(Budget, {}) == []


# Plans ----------------------------------------------------------------------------------------------------------------


async def plan(shelf: Shelf, book: str, **given: Any) -> BookPlan:
    services = replace(shelf.services)
    return await BookPlanner(services, shelf.pdf, load_settings()).of_book(book, given)  # type: ignore[arg-type]


def row_of(plan: BookPlan, operation: str, provider: str) -> Any:
    return next(row for row in plan.rows if (row.operation, row.provider) == (operation, provider))


async def test_a_plan_of_page_priced_reading_is_what_the_job_does(shelf: Shelf, paid: PaidReader) -> None:
    book = (await shelf.run(70)).book_id  # by engines that cost nothing
    commits = await shelf.commits()
    ahead = await plan(shelf, book, ocr="mistral")
    row = row_of(ahead, "ocr", "mistral")
    assert (row.calls, row.items, row.published) == (70, 70, 0)
    assert (ahead.cost.low, ahead.cost.expected, ahead.cost.high) == (0.28, 0.28, 0.28)
    assert ahead.seconds >= 70 / 10 * 2.5
    assert await shelf.commits() == commits  # nothing was written
    assert paid.calls.total() == 0  # nobody was called

    await shelf.run(book_id=book, ocr="mistral")
    assert paid.calls.total() == 70
    assert await spent(shelf) == Decimal(repr(ahead.cost.expected))

    # Again: all of it is there.
    again = await plan(shelf, book)
    assert all((row.items, row.calls or 0) == (0, 0) for row in again.rows)
    assert row_of(again, "ocr", "").current == 70
    # Everything anew costs the same again, and pages can be chosen.
    assert (await plan(shelf, book, fresh=True)).cost.expected == 0.28
    assert (await plan(shelf, book, pages="1-10", from_operation="ocr")).cost.expected == 0.04


async def test_what_was_paid_for_is_not_paid_again(shelf: Shelf, paid: PaidReader) -> None:
    book = (await shelf.run(12, ocr="mistral")).book_id
    await shelf.run(book_id=book, ocr="tesseract")
    back = await plan(shelf, book, ocr="mistral")
    row = row_of(back, "ocr", "mistral")
    assert (row.published, row.calls, back.cost.high) == (12, 0, 0.0)
    before = paid.calls.total()
    await shelf.run(book_id=book, ocr="mistral")
    assert paid.calls.total() == before


async def test_a_book_half_read_is_planned_for_the_rest(shelf: Shelf, paid: PaidReader) -> None:
    book = (await shelf.run(40, pages="1-15", ocr="mistral")).book_id
    ahead = await plan(shelf, book, ocr="mistral")
    row = row_of(ahead, "ocr", "mistral")
    assert (row.current, row.calls, ahead.cost.expected) == (15, 25, 0.1)
    await shelf.run(book_id=book, ocr="mistral")
    assert paid.calls == Counter(range(1, 41))


async def test_an_answer_that_was_paid_for_and_not_published_is_not_paid_for_again(
    shelf: Shelf, paid: PaidReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The worker dies, or the store fails, between the note of a call and the artifact."""
    publish, died = shelf.services.artifacts.publish, set[str]()

    def dies_once(fingerprint: str, body: bytes) -> None:
        if b'"provider":"mistral"' in body.replace(b" ", b"") and fingerprint not in died:
            died.add(fingerprint)
            raise RuntimeError("the worker dies here")
        publish(fingerprint, body)

    monkeypatch.setattr(shelf.services.artifacts, "publish", dies_once)
    result = await shelf.run(4, ocr="mistral")
    assert result.state == "complete"
    assert len(died) == 4
    assert paid.calls == Counter(range(1, 5))
    metrics = await shelf.store.find(Metric, {"book_key": result.book_id})
    calls = [m for m in metrics if m.kind == "attempt" and m.provider == "mistral"]
    assert [(m.outcome, m.cost_usd) for m in calls] == [("ok", PAGE_USD)] * 4


async def test_a_paid_second_opinion_is_planned_from_none_to_the_share(shelf: Shelf, paid: PaidReader) -> None:
    shelf.services.second_opinion = "mistral"
    path = shelf.folder / "book-of-100.pdf"
    path.write_text("100")
    planner = BookPlanner(replace(shelf.services), shelf.pdf, load_settings())  # type: ignore[arg-type]
    ahead = await planner.of_files([path], "a book", {})
    row = row_of(ahead, "ocr", "mistral")
    assert row.calls == 4  # 4 % of 100
    assert (row.cost.low, row.cost.expected) == (0.0, 0.016)
    assert row_of(ahead, "ocr", "tesseract").items == 100
    assert await shelf.store.find(Budget, {}) == []
    assert not list((shelf.folder / "artifacts" / "sources").rglob("*.pdf"))
