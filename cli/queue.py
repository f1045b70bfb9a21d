"""`shelf queue`: what each provider may do, does and waits for; `limit`, `pause`, `resume` and `cool` change it at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from cli.options import JSON, WHO

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence
    from datetime import datetime

    from temporalio.client import Client

    from cli.connect import Connection
    from cli.limits import Pending, QueueState
    from providers.queues import ProviderQueue

DEFAULT = "default"
OFF = "off"


class ProviderOrCommand(TyperGroup):
    """`shelf queue mistral` is `shelf queue show mistral`."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        return super().resolve_command(ctx, args if args[0] in self.commands else ["show", *args])


queue = typer.Typer(
    help="Show what providers may do, do and wait for (one more closely: `shelf queue PROVIDER`); slow one down, pause it, "
    "let it go on.",
    invoke_without_command=True,
    rich_markup_mode=None,
    cls=ProviderOrCommand,
)

PROVIDER = typer.Argument(help="Name of a provider; see `shelf providers`.", metavar="PROVIDER", show_default=False)
REASON = typer.Option("--reason", help="Why; shown wherever it is told that the provider waits.", metavar="TEXT")


@queue.callback()
def overview(
    context: typer.Context,
    every: Annotated[
        bool, typer.Option("--all", help="Also those that no worker serves and nothing waits for.")
    ] = False,
    as_json: Annotated[bool, JSON] = False,
) -> None:
    """Show each provider's queue: rate, what waits, what is under way, throttles, and what holds it back."""
    if context.invoked_subcommand is not None:
        return
    from cli import output

    async def command(shelf: Connection, client: Client) -> None:
        found, whole = await look(shelf, client, list(table_of(shelf).values()))
        if as_json:
            output.data({"queues": found, "counted_all": whole})
        else:
            _show(found if every else [each for each in found if _matters(each)], len(found))
            _say_partial(whole)

    _run(command)


@queue.command()
def show(provider: Annotated[str, PROVIDER], as_json: Annotated[bool, JSON] = False) -> None:
    """Show the queue of one provider, with the books that it works for."""
    from cli import output

    async def command(shelf: Connection, client: Client) -> None:
        found, whole = await look(shelf, client, [row_of(shelf, provider)])
        if as_json:
            output.data({**found[0], "counted_all": whole})
        else:
            _show_one(found[0])
            _say_partial(whole)

    _run(command)


@queue.command()
def limit(
    provider: Annotated[str, PROVIDER],
    per_second: Annotated[
        str,
        typer.Argument(
            help=f"Activities that may begin per second, over all workers; `{DEFAULT}` takes the limit away.",
            metavar="RPS",
        ),
    ],
    reason: Annotated[str, REASON] = "",
    who: Annotated[str | None, WHO] = None,
) -> None:
    """Slow a provider down, for all books and workers, at once and until it is taken back: also over restarts.

    A limit below the configured rate. A higher rate is set in shelf.toml: by it each worker spaces its calls.
    """
    from cli import output

    async def command(shelf: Connection, client: Client) -> None:
        from cli.correct import person
        from cli.limits import describe, queue_states, set_rate

        row = row_of(shelf, provider)
        wanted = read_rate(row, per_second)
        before = (await queue_states(client, [row]))[row.name]
        if before.paused:
            raise _refusal(
                f"{row.name} is {describe(before)}.", f"Let it go on first: `shelf queue resume {row.name}`."
            )
        await set_rate(client, row, wanted, reason, person(who))
        if wanted is None:
            output.note(f"{row.name} goes at its configured rate again: {_configured(row)}.")
        else:
            output.note(
                f"{row.name} begins {wanted:g} activities a second from now on, over all workers. "
                f"Take it back with `shelf queue limit {row.name} {DEFAULT}`."
            )

    _run(command)


@queue.command()
def pause(
    provider: Annotated[str, PROVIDER],
    reason: Annotated[str, REASON] = "by request",
    who: Annotated[str | None, WHO] = None,
) -> None:
    """Let nothing more of a provider begin, for all books. What is under way ends and is saved; jobs wait."""
    from cli import output

    async def command(shelf: Connection, client: Client) -> None:
        from cli.correct import person
        from cli.limits import pause, queue_states

        row = row_of(shelf, provider)
        await pause(client, (await queue_states(client, [row]))[row.name], reason, person(who))
        output.note(f"{row.name} is paused. Let it go on with `shelf queue resume {row.name}`.")

    _run(command)


@queue.command()
def resume(provider: Annotated[str, PROVIDER], who: Annotated[str | None, WHO] = None) -> None:
    """Let a paused provider go on; a limit that was set before the pause holds again."""
    from cli import output

    async def command(shelf: Connection, client: Client) -> None:
        from cli.correct import person
        from cli.limits import describe, queue_states, rate, resume

        row = row_of(shelf, provider)
        state = (await queue_states(client, [row]))[row.name]
        if not state.paused:
            said = describe(state)
            raise _refusal(
                f"{row.name} is not paused{f', but {said}' if said else ''}.",
                f"Take the limit away with `shelf queue limit {row.name} {DEFAULT}`."
                if said
                else f"See `shelf queue {row.name}` for what it waits for.",
            )
        await resume(client, state, person(who))
        output.note(f"{row.name} goes on, at {rate(state.limit_before) or _configured(row)}.")

    _run(command)


@queue.command()
def cool(
    provider: Annotated[str, PROVIDER],
    off: Annotated[str, typer.Argument(help="`off`: it may be called again.", metavar=OFF)],
    who: Annotated[str | None, WHO] = None,
) -> None:
    """End the pause that a provider asked for (Retry-After), where you know that it takes calls again."""
    from cli import output

    async def command(shelf: Connection, client: Client) -> None:
        import asyncio

        from cli.correct import person
        from cli.limits import cooling_of, wake

        row = row_of(shelf, provider)
        if off != OFF:
            raise _refusal(
                f"{off!r} is not understood: a provider cools down by itself when it asks for it.",
                f"End that with `shelf queue cool {row.name} {OFF}`, or hold it with `shelf queue pause {row.name}`.",
            )
        cooling = await asyncio.to_thread(cooling_of, shelf.artifacts, [row.name])
        await asyncio.to_thread(shelf.artifacts.set_cooling, row.name, 0, "")
        woken = await wake(client, row, person(who))
        if not cooling and not woken:
            output.note(f"{row.name} was not cooling down.")
        else:
            output.note(f"{row.name} may be called again; {woken} activities that waited for it go on.")

    _run(command)


def _run(command: Callable[[Connection, Client], Awaitable[None]]) -> None:
    from cli import connect

    async def connected() -> None:
        async with connect.working(wait_for_worker=False) as shelf:
            await command(shelf, await shelf.temporal())

    connect.run(connected)


def _refusal(message: str, next_step: str) -> Exception:
    from schemas.errors import BadInput

    return BadInput(message, next_step)


def table_of(shelf: Connection) -> dict[str, ProviderQueue]:
    """The queue table by provider. Raises BadInput for a wrong setting."""
    from providers.queues import provider_queues

    return provider_queues(shelf.settings.providers)


def row_of(shelf: Connection, provider: str) -> ProviderQueue:
    """Raises BadInput for a provider that does not exist."""
    table = table_of(shelf)
    if provider not in table:
        raise _refusal(f"There is no provider {provider!r}.", f"Known: {', '.join(sorted(table))}.")
    return table[provider]


def read_rate(row: ProviderQueue, text: str) -> float | None:
    """What was typed after `limit PROVIDER`; None = the configured rate.

    Raises BadInput for what is no rate, and for one that the workers would not follow."""
    if text == DEFAULT:
        return None
    try:
        wanted = float(text)
    except ValueError:
        wanted = float("nan")
    if wanted == 0:
        raise _refusal("A limit of 0 is a pause.", f"Type `shelf queue pause {row.name}`.")
    if not 0 < wanted < float("inf"):
        raise _refusal(f"{text!r} is no rate.", f"Give activities per second, as 0.5 or 4; or `{DEFAULT}`.")
    if row.requests_per_second is not None and wanted > row.requests_per_second:
        raise _refusal(
            f"{row.name} is configured for {row.requests_per_second:g} requests a second, and each worker spaces its calls by "
            f"that: {wanted:g} would change nothing.",
            f"Set [providers.{row.name}] requests_per_second = {wanted:g} in shelf.toml and start the workers anew.",
        )
    return wanted


def _configured(row: ProviderQueue) -> str:
    return "no limit" if row.requests_per_second is None else f"{row.requests_per_second:g}/s"


# What is shown -----------------------------------------------------------------------------------------------------------


async def look(shelf: Connection, client: Client, rows: Sequence[ProviderQueue]) -> tuple[list[dict[str, Any]], bool]:
    """The queues as `--json` has them, and whether all running workflows were counted."""
    import asyncio

    from cli.limits import cooling_of, pending_activities, queue_states, throttles

    states, (pending, whole) = await asyncio.gather(queue_states(client, rows), pending_activities(client))
    cooling = await asyncio.to_thread(cooling_of, shelf.artifacts, states)
    # Only who is called over the network is told to slow down; those that nobody serves were not called.
    called = [name for name, state in states.items() if state.row.remote and (state.workers or name in cooling)]
    throttled = await throttles(client, shelf.store, called)
    configured = shelf.settings.providers
    found = [
        as_row(
            state,
            [each for each in pending if each.queue == state.row.queue],
            cooling.get(name),
            throttled.get(name, 0) if name in called else None,
            overridden="requests_per_second" in configured.get(name, {}),
        )
        for name, state in states.items()
    ]
    return found, whole


def as_row(
    state: QueueState,
    pending: Sequence[Pending],
    cooling: tuple[datetime, str] | None,
    throttled: int | None,
    *,
    overridden: bool,
) -> dict[str, Any]:
    """A queue as `--json` has it."""
    from collections import Counter

    books = {
        name: Counter(each.book for each in pending if chosen(each))
        for name, chosen in (
            ("in_flight", lambda each: each.started),
            ("retrying", lambda each: each.retries),
            ("waiting", lambda each: not each.started and not each.retries),
        )
    }
    row = state.row
    return {
        "provider": row.name,
        "queue": row.queue,
        "workers": state.workers,
        "configured_per_second": row.requests_per_second,
        "configured_source": "settings" if overridden else "table",
        "effective_per_second": state.effective,
        "effective_source": state.source,
        "in_flight": books["in_flight"].total(),
        "in_flight_limit": row.in_flight * state.workers,
        "backlog": state.backlog,
        "backlog_age_seconds": round(state.backlog_age_seconds, 1),
        "retrying": books["retrying"].total(),
        "throttled_last_hour": throttled,
        "paused": state.paused,
        "limited": state.limited,
        "reason": state.reason or None,
        "by": state.by or None,
        "since": state.since.isoformat(timespec="seconds") if state.since else None,
        "limit_after_pause": state.limit_before,
        "cooling_until": cooling[0].isoformat(timespec="seconds") if cooling else None,
        "cooling_reason": cooling[1] if cooling else None,
        "books": {
            book: {name: counted[book] for name, counted in books.items()}
            for book in sorted({book for counted in books.values() for book in counted})
        },
        "holds": _holds(state, cooling),
    }


def _holds(state: QueueState, cooling: tuple[datetime, str] | None) -> list[str]:
    from cli.limits import describe

    held = [describe(state)] if describe(state) else []
    if cooling:
        held.append(f"not called until {cooling[0].isoformat(timespec='seconds')}: {cooling[1]}")
    if not state.workers:
        held.append("no worker serves it")
    return held


def _matters(found: Mapping[str, Any]) -> bool:
    return bool(found["workers"] or found["backlog"] or found["books"] or len(found["holds"]) > 1 or found["paused"])


def _show(found: Sequence[dict[str, Any]], known: int) -> None:
    from cli import output

    headers = ["provider", "rate", "effective", "from", "under way", "of", "waiting", "oldest", "retrying", "throttled"]
    right = ["rate", "effective", *headers[4:]]
    if found:
        cells = [_cells(each) for each in found]
        output.table([*headers, "held back"], cells, right=right, optional=["from", "oldest", "effective"])
    if len(found) < known:
        output.note(f"{known - len(found)} more that no worker serves: `shelf queue --all`.")


def _cells(found: dict[str, Any]) -> list[Any]:
    from cli import output
    from cli.limits import rate

    return [
        found["provider"],
        rate(found["configured_per_second"]),
        rate(found["effective_per_second"]),
        found["effective_source"] if found["effective_source"] != "none" else None,
        found["in_flight"],
        found["in_flight_limit"],
        found["backlog"],
        output.duration(found["backlog_age_seconds"]) if found["backlog"] else None,
        found["retrying"],
        found["throttled_last_hour"],
        "; ".join(found["holds"]),
    ]


def _show_one(found: dict[str, Any]) -> None:
    from cli import output
    from cli.limits import rate

    effective = rate(found["effective_per_second"])
    sources = {"set": "set at run time", "worker": "given by the workers"}
    throttled = found["throttled_last_hour"]
    output.facts(
        [
            ("Provider", found["provider"]),
            ("Queue", found["queue"]),
            ("Workers", found["workers"]),
            ("Configured", f"{rate(found['configured_per_second']) or 'no limit'} ({found['configured_source']})"),
            ("Effective", f"{effective} ({sources[found['effective_source']]})" if effective else "no limit"),
            ("Under way", f"{found['in_flight']} of {found['in_flight_limit']} at once"),
            ("Waiting", found["backlog"]),
            ("Oldest", output.duration(found["backlog_age_seconds"]) if found["backlog"] else None),
            ("Retrying", f"{found['retrying']} wait for their next attempt" if found["retrying"] else None),
            ("Throttled", f"{throttled} times in the last hour" if throttled is not None else None),
            *(("Held back", said) for said in found["holds"]),
        ]
    )
    if found["books"]:
        print()
        counts = [[book, *count.values()] for book, count in found["books"].items()]
        headers = ["book", "under way", "retrying", "waiting"]
        output.table(headers, counts, right=headers[1:])


def _say_partial(whole: bool) -> None:
    from cli import output
    from cli.limits import RUNS_LOOKED_AT

    if not whole:
        output.note(f"What is under way was counted over the last {RUNS_LOOKED_AT} running workflows only.")
