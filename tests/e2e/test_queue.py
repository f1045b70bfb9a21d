"""Limits on the real server: whose turn it is, what a person sets at run time, what a provider asks for."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pymupdf
import pytest
from temporalio import activity, workflow
from temporalio.client import Client
from temporalio.worker import Worker

from activities.contracts import JobConfig, WorkUnit
from cli.limits import Pending, QueueState, pending_activities, pending_of, queue_states
from providers.queues import provider_queues
from tests.e2e.machine import JOB_SECONDS, Machine, until
from tests.providers.remote.ocr_services import Mistral
from tests.providers.remote.server import ScriptedServer, after, most_begun
from workflows.dispatch import priority_of

pytestmark = pytest.mark.slow

KEY = "sk-of-the-queue-test"
RATE, IN_FLIGHT = 20.0, 4
QUEUE = "queue-test"


@activity.defn
async def take_turn(name: str) -> str:
    return name


@workflow.defn(sandboxed=False)
class Crowd:
    """A book with many units at once."""

    @workflow.run
    async def run(self, book: str, priority: int, pages: int, whole: bool) -> None:
        config = JobConfig(
            job="",
            book_id=book,
            epoch=1,
            run_id="",
            manifest="",
            page_count=1,
            pages="1",
            providers={},
            priority=priority,
        )
        unit = WorkUnit(operation="", provider="", pages=() if whole else (1,))
        await asyncio.gather(
            *(
                workflow.execute_activity(
                    take_turn,
                    f"{book} {number}",
                    task_queue=QUEUE,
                    start_to_close_timeout=timedelta(seconds=30),
                    priority=priority_of(config, unit),
                )
                for number in range(pages)
            )
        )


async def test_what_somebody_waits_for_goes_first_then_whole_books_and_books_take_turns(temporal_dev: str) -> None:
    client = await Client.connect(temporal_dev)
    row = provider_queues({"mine": {"kind": "openai-compatible", "queue": QUEUE}})["mine"]
    order: list[str] = []

    async def begin(book: str, priority: int, pages: int, whole: bool = False) -> Any:
        """Returns once the history has its activities, so that they come behind those of the books before."""
        handle = await client.start_workflow(
            Crowd.run, args=[book, priority, pages, whole], id=f"crowd {book}", task_queue=f"{QUEUE}-jobs"
        )

        async def waits() -> bool:
            return len(await pending_of(client, [(handle.id, None)])) == pages

        await until(f"{book} waits", waits, 20)
        return handle

    async def all_in_the_queue() -> bool:
        return (await queue_states(client, [row]))["mine"].backlog == 23

    @activity.defn(name="take_turn")
    async def noted(name: str) -> None:
        order.append(name.partition(" ")[0])

    async with Worker(client, task_queue=f"{QUEUE}-jobs", workflows=[Crowd]):
        handles = [await begin("bulk", 3, 10), await begin("other", 3, 10)]
        handles += [await begin("whole", 3, 1, whole=True), await begin("person", 2, 2)]
        await until("all wait", all_in_the_queue, 30)
        async with Worker(client, task_queue=QUEUE, activities=[noted], max_concurrent_activities=1):
            await asyncio.gather(*(handle.result() for handle in handles))
    first, pages = order[:4], [book for book in order if book in ("bulk", "other")]
    # They came last. The server may have taken one page in hand before it had read them.
    assert sorted(book for book in first if book not in ("bulk", "other")) == ["person", "person", "whole"], order
    assert len(pages) == 20
    assert all(abs(pages[:at].count("bulk") - at / 2) <= 1 for at in range(21)), f"no turns: {pages}"


def book_of(pages: int, path: Path) -> Path:
    document = pymupdf.open()
    for number in range(1, pages + 1):
        document.new_page(width=300, height=420).insert_text((30, 40), f"Page {number} of {path.stem}.", fontsize=12)
    document.save(path)
    return path


@pytest.fixture
def service() -> Iterator[ScriptedServer]:
    mistral = Mistral(key=KEY, usd_per_page=0.004)
    with ScriptedServer(mistral.handlers()) as server:
        yield server


@pytest.fixture
def machine_with_key(tmp_path: Path, defradb_binary: Path, service: ScriptedServer) -> Iterator[Machine]:
    machine = Machine(tmp_path, defradb_binary, counted=False)
    row = {"base_url": service.url, "requests_per_second": RATE, "in_flight": IN_FLIGHT, "usd_per_page": 0.004}
    machine.environment |= {"MISTRAL_API_KEY": KEY, "SHELF_PROVIDERS": json.dumps({"mistral": row})}
    try:
        machine.start()
        yield machine
    finally:
        machine.end()


async def shelf(machine: Machine, *arguments: str) -> str:
    """What a command prints."""
    done = await asyncio.to_thread(machine.shelf, *arguments)
    assert done.returncode == 0, done.stderr
    return done.stdout


async def test_a_person_pauses_limits_and_lets_go_and_a_provider_cools_for_all_books(
    machine_with_key: Machine, service: ScriptedServer
) -> None:
    machine = machine_with_key
    client = await machine.client()
    row = provider_queues(json.loads(machine.environment["SHELF_PROVIDERS"]))["mistral"]
    scans = machine.folder / "scans"

    async def begin(name: str, pages: int) -> Any:
        source = str(book_of(pages, scans / f"{name}.pdf"))
        return await machine.start_job(name, {"source": source, "ocr": "mistral", "second_opinion": ""})

    async def pending() -> list[Pending]:
        return [each for each in (await pending_activities(client))[0] if each.queue == row.queue]

    async def state() -> QueueState:
        return (await queue_states(client, [row]))["mistral"]

    # A limit, then a pause: a job that begins now waits, and says for what.
    await shelf(machine, "queue", "limit", "mistral", "4", "--reason", "shared key", "--who", "ann")
    await shelf(machine, "queue", "pause", "mistral", "--reason", "invoice unpaid", "--who", "bob")
    first = await begin("first", 6)

    async def as_many_wait_as_are_served_at_once() -> bool:
        return len(await pending()) == IN_FLIGHT

    await until("pages wait", as_many_wait_as_are_served_at_once)
    shown = json.loads(await shelf(machine, "queue", "mistral", "--json"))
    assert (shown["paused"], shown["reason"], shown["by"]) == (True, "invoice unpaid", "bob")
    assert (shown["configured_per_second"], shown["effective_per_second"]) == (RATE, 0)
    assert (shown["effective_source"], shown["limit_after_pause"], shown["workers"]) == ("set", 4, 1)
    (counts,) = shown["books"].values()
    assert counts == {"in_flight": 0, "retrying": 0, "waiting": IN_FLIGHT}
    status = await shelf(machine, "status", "first")
    assert "mistral, paused by bob" in status
    assert "shelf queue resume mistral" in status
    checks = {each["part"]: each for each in json.loads(machine.shelf("doctor", "--json").stdout)["checks"]}
    assert "mistral is paused by bob" in checks["provider limits"]["message"]
    assert not service.log

    # It goes on at the limit that was set before.
    await shelf(machine, "queue", "resume", "mistral")
    assert (await asyncio.wait_for(first.result(), JOB_SECONDS)).state == "complete"
    assert ((await state()).limited, (await state()).effective) == (True, 4)
    # A burst of one more than the rate, and a clock's tick.
    assert most_begun(service.log, 1.0) <= 4 + 1 + 1

    async def as_configured() -> bool:
        now = await state()
        return (now.source, now.effective) == ("worker", RATE)

    await shelf(machine, "queue", "limit", "mistral", "default")
    await until("the workers' rate counts again", as_configured)

    # One call is told to come back much later: no other is made, of this book or another, until a person knows better.
    before = len(service.log)
    service.script(after(Mistral(key=KEY).errors["rate limited"], 600))
    # More than can be answered beside that call: enough are left for as many to wait as are served at once.
    pages = 2 * IN_FLIGHT
    handles = [await begin(name, pages) for name in ("second", "third")]

    async def both_books_wait() -> bool:
        waiting = [each.book for each in await pending() if each.retries]
        return sorted(Counter(waiting).values()) == [IN_FLIGHT, IN_FLIGHT]

    await until("both books wait", both_books_wait)
    # What was on its way when the answer came.
    assert len(service.log) - before <= IN_FLIGHT
    assert "mistral, which is not called until" in await shelf(machine, "status", "second")
    await shelf(machine, "queue", "cool", "mistral", "off")
    results = [await asyncio.wait_for(handle.result(), JOB_SECONDS) for handle in handles]
    assert [(result.state, result.pages_complete) for result in results] == [("complete", pages)] * 2
    assert len(service.log) - before == 2 * pages + 1, "each page once, and the one that was told to wait once more"
    shown = json.loads(await shelf(machine, "queue", "mistral", "--json"))
    assert (shown["cooling_until"], shown["throttled_last_hour"], shown["holds"]) == (None, 1, [])
