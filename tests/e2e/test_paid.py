"""A paid provider under fire: nothing is lost, nothing is paid twice whose outcome is known, every cent is in a Metric.

Real Temporal, DefraDB and worker; the provider is a loopback server that speaks Mistral's protocol and keeps the bill."""

from __future__ import annotations

import asyncio
import json
from collections import Counter, defaultdict
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pymupdf
import pytest

from activities.work import LOST
from schemas.documents import Budget, Metric, OcrResult, Page
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
TIMEOUT_SECONDS = 3.0
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
    charged = Answer(charge_usd=PRICE)

    def fire(request: Request) -> Answer | None:
        number = request.number
        if number % 17 == 0:
            return after(mistral.errors["rate limited"], 1)
        if number % 19 == 0:
            return mistral.errors["server error"]
        if number % 41 == 0:
            return slow(mistral.ocr(request), TIMEOUT_SECONDS + 1)
        if number % 37 == 0:
            return half(mistral.ocr(request))
        if number % 43 == 0:
            return garbage(charged.charge_usd)
        if number % 47 == 0:
            return hung_up(charged.charge_usd)
        return None

    server.rule = fire
    source = book_of(200, machine.folder / "scans" / "two-hundred.pdf")
    handle = await machine.start_job("paid", {"source": str(source), "ocr": "mistral", "second_opinion": ""})
    killed: list[Entry] = []
    for calls in (60, 140):
        await until(f"{calls} calls", lambda calls=calls: len(server.log) >= calls)
        machine.kill("worker")
        killed += [entry for entry in list(server.log) if entry.left is None and entry.status != 200]
        machine.start("worker")
    result = await asyncio.wait_for(handle.result(), JOB_SECONDS)

    assert (result.state, result.pages_complete, result.failed_count) == ("complete", 200, 0)
    async with machine.store() as store:
        pages = await store.find(Page, {"book_key": result.book_id}, ["page", "text"])
        assert sorted(page.page for page in pages) == list(range(1, 201))
        assert all(page.text for page in pages)
    log = list(server.log)
    for seconds in (1.0, 2.0, 5.0, 10.0):
        # One more per process that began anew, and one for the clocks of two processes.
        assert most_begun(log, seconds) <= RATE * seconds + 1 + 2 + 1, f"in a window of {seconds} s"
    heard = [
        entry for entry in log if entry.note != "slow" and entry.left and entry.left - entry.arrived < TIMEOUT_SECONDS
    ]
    assert most_in_flight(heard) <= IN_FLIGHT

    metrics = await machine.attempts(result.book_id)
    calls = [metric for metric in metrics if metric.provider == "mistral"]
    lost = [metric for metric in calls if LOST in (metric.error or "")]
    known = [metric for metric in calls if metric not in lost]
    by_outcome = Counter(metric.outcome for metric in known)
    # What was under way when a worker died is reported as lost; maybe it never left.
    assert len(log) - len(known) <= len(lost) <= 2 * IN_FLIGHT
    assert by_outcome["ok"] == 200
    reported = exactly(metric.cost_usd for metric in known)
    assert reported == PRICE_EXACT * (by_outcome["ok"] + by_outcome["unknown"])
    charged_calls = sum(1 for entry in log if entry.charge_usd)
    assert exactly(entry.charge_usd for entry in log) == PRICE_EXACT * charged_calls
    assert (
        by_outcome["ok"] + by_outcome["unknown"]
        <= charged_calls
        <= by_outcome["ok"] + by_outcome["unknown"] + len(lost)
    )
    assert all(metric.cost_usd == PRICE for metric in lost)

    # Paid more than once: only where an earlier outcome was not known, and each such is reported.
    paid: dict[str, list[Entry]] = defaultdict(list)
    for entry in log:
        if entry.charge_usd:
            paid[page_of(entry)].append(entry)
    repeats = sum(len(entries) - 1 for entries in paid.values())
    assert len(paid) == 200
    assert repeats <= by_outcome["unknown"] + len(lost)
    assert result.cost_usd == pytest.approx(float(exactly(metric.cost_usd for metric in calls)))


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


async def test_no_key_is_anywhere(paid_machine: Machine, service: tuple[Mistral, ScriptedServer]) -> None:
    machine, (mistral, server) = paid_machine, service
    source = book_of(3, machine.folder / "scans" / "secret.pdf")
    server.rule = lambda request: mistral.errors["server error"] if request.number == 2 else None
    result = await machine.run_job("secret", {"source": str(source), "ocr": "mistral", "second_opinion": ""})
    assert result.state == "complete"
    assert all(entry.authorized for entry in server.log)
    history = machine.temporal("workflow", "show", "--workflow-id", "secret", "--output", "json")
    assert KEY not in history
    async with machine.store() as store:
        for kind in (Metric, OcrResult, Page):
            assert KEY not in str(await store.find(kind, {"book_key": result.book_id}))
    machine.end()
    needle = KEY.encode()
    for file in machine.folder.rglob("*"):
        if file.is_file():
            assert needle not in file.read_bytes(), f"the key lies in {file.relative_to(machine.folder)}"
