"""Commands that steer jobs: pause, resume, cancel, status."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.options import BOOK, JSON

PAUSED = 4
"""Exit code of `status BOOK` for a job that waits to be resumed."""

if TYPE_CHECKING:
    from temporalio.client import Client

    from cli.connect import Connection
    from cli.jobs import Found


def pause(
    book: Annotated[str, BOOK],
    reason: Annotated[str, typer.Option("--reason", help="Shown wherever the job is.")] = "by request",
) -> None:
    """Pause the job of a book: pages under way are finished and saved, nothing more is started."""

    async def send(found: Found) -> str:
        from workflows.job import Job

        await found.handle.signal(Job.pause, reason)
        return f"{found.description.id} finishes what is under way and pauses. Go on with `shelf resume {found.book}`."

    _steer(book, send)


def resume(book: Annotated[str, BOOK]) -> None:
    """Let a paused job go on."""

    async def send(found: Found) -> str:
        from workflows.job import Job

        await found.handle.signal(Job.resume)
        return f"{found.description.id} goes on. Watch it with `shelf watch {found.book}`."

    _steer(book, send, before=_with_keys)


def cancel(book: Annotated[str, BOOK]) -> None:
    """Cancel the job of a book: pages under way are finished and saved, what is there stays."""

    async def send(found: Found) -> str:
        await found.handle.cancel()
        return f"{found.description.id} finishes what is under way and ends. What it has saved stays."

    _steer(book, send)


async def _with_keys(shelf: Connection, client: Client, found: Found) -> None:
    """A job that waits for a key, or for another address or model, must find it: our worker has the environment and the
    settings with which it was started."""
    from temporalio.client import WorkflowQueryFailedError
    from temporalio.service import RPCError

    from cli.jobs import look
    from cli.starting import take_up_keys

    try:
        reason = (await look(client, found.handle)).reason
    except (RPCError, WorkflowQueryFailedError):
        reason = ""
    await take_up_keys(shelf, client, anyway=reason.startswith(("CredentialsRefused", "NotServed")))


def _steer(
    book: str,
    send: Callable[[Found], Awaitable[str]],
    before: Callable[[Connection, Client, Found], Awaitable[None]] | None = None,
) -> None:
    from cli import connect, output

    async def command() -> None:
        from temporalio.service import RPCError, RPCStatusCode

        from cli.jobs import NotRunning, find_job

        async with connect.working(wait_for_worker=False) as shelf:
            client = await shelf.temporal()
            found = await find_job(shelf, client, book)
            not_running = NotRunning(f"No job runs on {found.book}.", f"Start one with `shelf process {found.book}`.")
            if not found.running:
                raise not_running
            try:
                if before is not None:
                    await before(shelf, client, found)
                output.note(await send(found))
            except RPCError as error:
                raise (not_running if error.status == RPCStatusCode.NOT_FOUND else connect.rpc_error(error)) from None

    connect.run(command)


def status(
    book: Annotated[
        str | None,
        typer.Argument(help="Key of a book, or its beginning; all jobs that run by default.", metavar="[BOOK]"),
    ] = None,
    as_json: Annotated[bool, JSON] = False,
) -> None:
    """Show how far jobs are, what waits and why. Of a book whose job is paused, the exit code is 4."""
    from cli import connect, output

    async def command() -> int:
        from cli.jobs import find_job, job_row, running_jobs
        from cli.limits import waits_for

        async with connect.working(wait_for_worker=False) as shelf:
            client = await shelf.temporal()
            if book is not None:
                rows = [await job_row(shelf, client, await find_job(shelf, client, book))]
            else:
                rows = [await job_row(shelf, client, found) for found in await running_jobs(client)]
            cooling = cooling_providers(shelf)
            held = await held_queues(shelf, client)
            for row in rows:
                names = [] if row["ended"] else [row["workflow_id"], *row["open_ranges"]]
                row["waits_for"] = await waits_for(shelf, client, names)
        waits = book is not None and rows[0]["state"] == "paused"
        if as_json:
            output.data({"jobs": rows, "cooling": cooling, "queues": held})
            return PAUSED if waits else 0
        for row in rows:
            show_job(row)
        if not rows:
            output.note("No job runs. See `shelf books` for what has been read.")
        for provider in cooling:
            print(f"{provider['provider']} is not called until {provider['until']}: {provider['reason']}")
        for queue in held:
            print(f"{queue['provider']} is {queue['what']} (undo: `{queue['undo']}`)")
        return PAUSED if waits else 0

    connect.run(command)


def cooling_providers(shelf: Connection) -> list[dict[str, Any]]:
    """Providers that asked not to be called for a while."""
    import time
    from datetime import UTC, datetime

    from providers.artifact_stores import may_hold
    from providers.queues import provider_queues

    if not may_hold(shelf.settings):
        return []
    artifacts = shelf.artifacts
    found = []
    for provider in provider_queues(shelf.settings.providers):
        until, reason = artifacts.cooling(provider)
        if until > time.time():
            at = datetime.fromtimestamp(until, UTC).isoformat(timespec="seconds")
            found.append({"provider": provider, "until": at, "reason": reason})
    return found


async def held_queues(shelf: Connection, client: Client) -> list[dict[str, Any]]:
    """Providers that a person has paused or slowed down. Raises ServerUnavailable."""
    from cli.limits import describe, queue_states, undo
    from providers.queues import provider_queues

    states = await queue_states(client, provider_queues(shelf.settings.providers).values())
    return [
        {
            "provider": name,
            "paused": state.paused,
            "per_second": state.effective,
            "what": describe(state),
            "undo": undo(state),
        }
        for name, state in states.items()
        if describe(state)
    ]


def show_job(row: dict[str, Any]) -> None:
    """State and counts of one job."""
    from cli import output
    from cli.display import STATES, title_of

    state = STATES.get(row["state"], row["state"]).replace("_", " ")
    if row["reason"]:
        state += f": {row['reason']}"
    done = f"{row['pages_settled']} of {row['pages']}" if row["pages"] and row["pages_settled"] is not None else None
    output.facts(
        [
            ("Book", row["key"]),
            ("Job", row["workflow_id"]),
            ("State", state),
            ("Next", row["next_step"]),
            *(("Waits for", said) for said in row["waits_for"]),
            ("Pages", done),
            ("Ranges", row["open_ranges"]),
            ("Cost", output.money(row["cost_usd"]) if row["cost_usd"] is not None else None),
            ("Started", row["started"]),
            ("Ended", row["ended"]),
            ("Temporal UI", row["url"]),
        ]
    )
    if row["operations"]:
        print()
        counts = [
            [
                name,
                title_of(name),
                *(count[part] for part in ("complete", "failed", "blocked", "in_flight", "total")),
            ]
            for name, count in row["operations"].items()
        ]
        headers = ["operation", "", "complete", "failed", "blocked", "under way", "of"]
        output.table(headers, counts, right=headers[2:])
    if row["failed"]:
        print()
        failed = [
            [item["page"] or "book", item["operation"], f"{item['code']}: {item['message']}"] for item in row["failed"]
        ]
        output.table(["page", "operation", "reason"], failed, right=["page"])
    for said in row["notes"]:
        print(said)
    print()
