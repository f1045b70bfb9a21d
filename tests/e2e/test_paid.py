"""A paid provider under fire: nothing is lost, nothing is paid twice whose outcome is known, every cent is in a Metric.

Real Temporal, DefraDB and worker; the provider is a loopback server that speaks Mistral's protocol and keeps the bill."""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from decimal import Decimal
from email.utils import formatdate
from itertools import pairwise
from math import inf
from pathlib import Path
from typing import Any

import pymupdf
import pytest

from activities.work import LOST
from schemas.documents import Budget, OcrResult, Page
from tests.e2e.bill import UNKNOWN, differences, sealed
from tests.e2e.machine import JOB_SECONDS, Machine, until
from tests.providers.remote.ocr_services import Mistral
from tests.providers.remote.server import (
    Answer,
    Entry,
    Request,
    ScriptedServer,
    after,
    garbage,
    half,
    hung_up,
    most_begun,
    most_in_flight,
    slow,
)

PRICE = 0.004
RATE, IN_FLIGHT = 6.0, 10
TIMEOUT_SECONDS = 5.0
FEWER_THAN_ATTEMPTS = 3
KEY = "sk-of-the-test-4711-never-to-be-seen"

pytestmark = pytest.mark.slow


def book_of(pages: int, path: Path) -> Path:
    """A PDF whose pages differ."""
    document = pymupdf.open()
    for number in range(1, pages + 1):
        page = document.new_page(width=300, height=420)
        for line in range(12):
            page.insert_text((30, 40 + 28 * line), f"Page {number}, line {line + 1} of the book.", fontsize=12)
    document.save(path)
    return path


@pytest.fixture
def service() -> Iterator[tuple[Mistral, ScriptedServer]]:
    mistral = Mistral(key=KEY, usd_per_page=PRICE)
    with ScriptedServer(mistral.handlers()) as server:
        yield mistral, server


@pytest.fixture
def paid_machine(tmp_path: Path, defradb_binary: Path, service: tuple[Mistral, ScriptedServer]) -> Iterator[Machine]:
    _, server = service
    machine = Machine(tmp_path, defradb_binary, counted=False)
    machine.environment |= {
        "MISTRAL_API_KEY": KEY,
        "SHELF_PROVIDERS": json.dumps(
            {
                "mistral": {
                    "base_url": server.url,
                    "requests_per_second": RATE,
                    "in_flight": IN_FLIGHT,
                    "page_timeout_seconds": TIMEOUT_SECONDS,
                    "usd_per_page": PRICE,
                    "retry_initial_seconds": 0.3,
                    "failing_in_a_row": 3,
                }
            }
        ),
    }
    try:
        machine.start()
        yield machine
    finally:
        machine.end()


def page_of(entry: Entry) -> str:
    """Which page was sent: its picture."""
    return str(entry.request.json["document"]["image_url"])


def exactly(values: Iterator[float | None]) -> Decimal:
    return sum((Decimal(str(value)) for value in values if value), Decimal(0))


async def test_200_pages_under_fire_are_paid_once_and_accounted_for_to_the_cent(
    paid_machine: Machine, service: tuple[Mistral, ScriptedServer]
) -> None:
    machine, (mistral, server) = paid_machine, service
    mistral.read = sealed
    failures: Counter[str] = Counter()

    def fire(request: Request) -> Answer | None:
        answer = fault(request)
        if answer is not None and answer.status != 429:
            picture = str(request.json["document"]["image_url"])
            failures[picture] += 1
            if failures[picture] >= FEWER_THAN_ATTEMPTS:
                # A page that always meets a fault would rightly fail: here all are to be read in the end.
                return None
        return answer

    def fault(request: Request) -> Answer | None:
        number = request.number
        if number % 17 == 0:
            return after(mistral.errors["rate limited"], 1)
        if number % 53 == 0:
            return after(mistral.errors["rate limited"], formatdate(time.time() + 2, usegmt=True))
        if number % 19 == 0:
            return mistral.errors["server error"]
        if number % 29 == 0:
            return mistral.errors["overloaded"]
        if number % 41 == 0:
            return replace(slow(mistral.ocr(request), TIMEOUT_SECONDS + 1), note="slow")
        if number % 37 == 0:
            return half(mistral.ocr(request))
        if number % 43 == 0:
            return garbage(PRICE)
        if number % 47 == 0:
            return hung_up(PRICE)
        return None

    server.rule = fire
    source = book_of(200, machine.folder / "scans" / "two-hundred.pdf")
    job = {"source": str(source), "ocr": "mistral", "second_opinion": "", "budget_usd": 5.0}
    handle = await machine.start_job("paid", job)
    killed_at: list[float] = []
    for begun in (60, 140):
        await until(f"{begun} calls", lambda begun=begun: len(server.log) >= begun)
        machine.kill("worker")
        killed_at.append(time.monotonic())
        machine.start("worker")
    result = await asyncio.wait_for(handle.result(), JOB_SECONDS)

    assert (result.state, result.pages_complete, result.failed) == ("complete", 200, ())
    log = list(server.log)
    async with machine.store() as store:
        pages = await store.find(Page, {"book_key": result.book_id}, ["key", "page", "text"])
        (budget,) = [each for each in await store.find(Budget, {}) if each.key.startswith("job/")]
        readings = await store.find(OcrResult, {"book_key": result.book_id}, ["page_key", "text"])
    assert sorted(page.page for page in pages) == list(range(1, 201))
    assert all(page.text for page in pages)
    numbers = {page.key: int(page.page or 0) for page in pages}
    seals = {numbers[str(reading.page_key)]: str(reading.text).split()[-1] for reading in readings}
    assert len(set(seals.values())) == 200, "no page has the reading of another"

    # Limits, by the server's log: each worker process in any window of its life.
    lives = [
        [entry for entry in log if begin <= entry.arrived < end] for begin, end in pairwise([0.0, *killed_at, inf])
    ]
    for seconds in (0.5, 1.0, 2.0, 5.0, 10.0, 30.0):
        for number, life in enumerate(lives, 1):
            # One more for what a request takes from here to there.
            most = most_begun(life, seconds)
            assert most <= RATE * seconds + 1 + 1, f"{most} calls of worker {number} in a window of {seconds} s"
    assert most_in_flight([until_given_up(entry, killed_at) for entry in log]) <= IN_FLIGHT

    # Metrics are the log, attempt by attempt, cent by cent.
    calls = [metric for metric in await machine.attempts(result.book_id) if metric.provider == "mistral"]
    assert differences(log, calls, seals, PRICE) == []
    lost = [metric for metric in calls if LOST in (metric.error or "")]
    outcomes = Counter(metric.outcome for metric in calls)
    # What was under way when a worker died; maybe it never left.
    assert len(calls) - len(log) <= len(lost) <= 2 * IN_FLIGHT
    assert outcomes["ok"] == 200
    # What was cut short by a death may have been cut short by the server as well.
    assert outcomes["unknown"] - len(lost) <= sum(entry.note in UNKNOWN for entry in log) <= outcomes["unknown"]
    reported = exactly(metric.cost_usd for metric in calls)
    assert reported == PRICE_EXACT * (200 + outcomes["unknown"]), "an unknown outcome at its high estimate"
    charged = exactly(entry.charge_usd for entry in log)
    assert 200 * PRICE_EXACT <= charged <= reported
    assert Decimal(str(round(result.cost_usd, 6))) == reported == Decimal(str(round(budget.spent_usd or 0.0, 6)))

    # Paid more than once: only where an earlier outcome was not known, and each such is reported.
    paid = Counter(page_of(entry) for entry in log if entry.charge_usd)
    assert len(paid) == 200
    assert paid.total() - 200 <= outcomes["unknown"]
    bill = json.loads(machine.shelf("cost", result.book_id, "--json").stdout)
    (row,) = [each for each in bill["rows"] if each["name"] == "mistral"]
    assert (row["calls"], row["unknown"]) == (len(calls), outcomes["unknown"])
    assert exactly(iter([row["cost_usd"], row["unknown_high_usd"]])) == reported


def until_given_up(entry: Entry, killed_at: Sequence[float]) -> Entry:
    """The same as its caller has it: a call ends with the caller's patience, or its life, however long the server goes on."""
    ends = [entry.arrived + TIMEOUT_SECONDS, *(at for at in killed_at if at > entry.arrived)]
    return replace(entry, left=min([*ends, *([entry.left] if entry.left is not None else [])]))


PRICE_EXACT = Decimal(str(PRICE))


async def finished(machine: Machine, handle: Any) -> Any:
    return await asyncio.wait_for(handle.result(), JOB_SECONDS)


async def paused(handle: Any) -> str:
    """The reason, once the job waits."""

    async def look() -> str:
        progress = await handle.query("progress")
        return str(progress["reason"]) if progress["state"] == "paused" else ""

    return str(await until("the job pauses", look))


async def test_a_refused_key_pauses_the_job_and_resume_goes_on(
    paid_machine: Machine, service: tuple[Mistral, ScriptedServer]
) -> None:
    machine, (mistral, server) = paid_machine, service
    source = book_of(60, machine.folder / "scans" / "refused.pdf")
    server.rule = lambda request: mistral.errors["refused key"] if request.number > 3 else None
    handle = await machine.start_job("refused", {"source": str(source), "ocr": "mistral", "second_opinion": ""})
    reason = await paused(handle)
    assert reason.startswith("CredentialsRefused")
    assert "MISTRAL_API_KEY" in reason
    assert len(server.log) <= 3 + IN_FLIGHT, "only what was under way"
    server.rule = None
    await handle.signal("resume")
    result = await finished(machine, handle)
    assert (result.state, result.pages_complete) == ("complete", 60)
    calls = [each for each in await machine.attempts(result.book_id) if each.provider == "mistral"]
    assert len(calls) == len(server.log), "each refused call is a Metric too"
    assert exactly(each.cost_usd for each in calls) == 60 * PRICE_EXACT == exactly(e.charge_usd for e in server.log)


async def test_an_exhausted_quota_pauses_the_job_and_resume_goes_on(
    paid_machine: Machine, service: tuple[Mistral, ScriptedServer]
) -> None:
    machine, (mistral, server) = paid_machine, service
    source = book_of(12, machine.folder / "scans" / "quota.pdf")
    server.rule = lambda request: mistral.errors["quota"] if request.number > 5 else None
    handle = await machine.start_job("quota", {"source": str(source), "ocr": "mistral", "second_opinion": ""})
    assert (await paused(handle)).startswith("QuotaExhausted")
    assert len(server.log) <= 5 + IN_FLIGHT
    server.rule = None
    await handle.signal("resume")
    assert (await finished(machine, handle)).pages_complete == 12


async def test_a_cap_pauses_the_job_within_the_calls_in_flight_and_raising_it_finishes(
    paid_machine: Machine, service: tuple[Mistral, ScriptedServer]
) -> None:
    machine, (_, server) = paid_machine, service
    source = book_of(40, machine.folder / "scans" / "capped.pdf")
    job = {"source": str(source), "ocr": "mistral", "second_opinion": "", "budget_usd": 0.10}
    handle = await machine.start_job("capped", job)
    reason = await paused(handle)
    assert reason.startswith("BudgetExhausted")
    assert "shelf budget raise" in reason
    spent = exactly(entry.charge_usd for entry in server.log)
    assert Decimal("0.08") <= spent <= Decimal("0.10"), "not a cent more than the cap, and most of it"
    async with machine.store() as store:
        (budget,) = [each for each in await store.find(Budget, {}) if each.key.startswith("job/")]
        assert Decimal(str(budget.spent_usd)) == spent
    raised = machine.shelf("budget", "raise", "capped", "1.00")
    assert raised.returncode == 0, raised.stderr
    result = await finished(machine, handle)
    assert (result.state, result.pages_complete) == ("complete", 40)
    assert exactly(entry.charge_usd for entry in server.log) == 40 * PRICE_EXACT


async def test_a_provider_that_fails_at_page_after_page_pauses_the_job(
    paid_machine: Machine, service: tuple[Mistral, ScriptedServer]
) -> None:
    machine, (mistral, server) = paid_machine, service
    source = book_of(40, machine.folder / "scans" / "failing.pdf")
    server.rule = lambda request: mistral.errors["rejected"]
    handle = await machine.start_job("failing", {"source": str(source), "ocr": "mistral", "second_opinion": ""})
    reason = await paused(handle)
    assert reason.startswith("ProviderFailing")
    # Two ranges, each with as many under way as are served at once.
    assert len(server.log) <= 2 * (3 + IN_FLIGHT), "it does not burn through the book"
    server.rule = None
    await handle.signal("resume")
    assert (await finished(machine, handle)).pages_complete == 40
