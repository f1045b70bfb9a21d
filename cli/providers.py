"""`shelf providers`: who can read pages or answer questions, at which price, and what is missing for it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.options import JSON

if TYPE_CHECKING:
    from providers.prices import Rates
    from providers.queues import ProviderQueue
    from providers.settings import Settings


def providers(
    remote: Annotated[bool, typer.Option("--remote", help="Only those that are called over the network.")] = False,
    as_json: Annotated[bool, JSON] = False,
) -> None:
    """List the providers: model, price, key, limits, and whether a worker serves them. Starts and calls nothing."""
    from cli import connect, output

    async def command() -> None:
        from providers.queues import provider_queues
        from providers.settings import load_settings

        settings = load_settings()
        table = provider_queues(settings.providers)
        served = await _served(settings, [row.queue for row in table.values()])
        rows = [_row(row, served.get(row.queue)) for row in table.values() if row.remote or not remote]
        if as_json:
            output.data({"providers": rows})
        else:
            _show(rows, known=bool(served))

    connect.run(command)


async def _served(settings: Settings, queues: list[str]) -> dict[str, bool]:
    """Queue -> whether a worker asks for its activities; empty where no server answers: nothing is started for it."""
    import asyncio

    from activities.services import Services
    from cli.connect import connect_temporal
    from cli.stack.stack import Stack
    from providers.artifact_stores import open_store
    from schemas.errors import ServerUnavailable
    from schemas.memory import MemoryStore

    endpoints = await asyncio.to_thread(Stack(settings).endpoints)
    if endpoints is None:
        return {}
    try:
        client = await connect_temporal(settings, endpoints.temporal_address)
    except ServerUnavailable:
        return {}
    services = Services(MemoryStore(), open_store(settings), {}, {}, client, [])
    return dict(zip(queues, await asyncio.gather(*map(services.served, queues)), strict=True))


def _row(row: ProviderQueue, served: bool | None) -> dict[str, Any]:
    import os

    from providers.prices import rates
    from providers.remote import CALLED_LIVE

    price = rates(row)
    return {
        "name": row.name,
        "kind": row.kind,
        "model": row.model or None,
        "base_url": row.base_url or None,
        "reads_pages": row.reads_pages,
        "answers": row.answers,
        "sees": row.sees,
        "served": served,
        # By its name, never its value.
        "key_env": row.key_env or None,
        "key_present": bool(os.environ.get(row.key_env)) if row.key_env else None,
        "requests_per_second": row.requests_per_second,
        "in_flight": row.in_flight,
        "paid": row.paid,
        "usd_per_1000_pages": price.usd_per_1000_pages if row.paid else None,
        "usd_per_million_input": price.usd_per_million_input if row.paid else None,
        "usd_per_million_output": price.usd_per_million_output if row.paid else None,
        "price": _price(row, price),
        "price_source": price.source if row.paid else None,
        "fallback": row.fallback or None,
        "called_live": CALLED_LIVE.get(row.kind) if row.remote else None,
    }


def _price(row: ProviderQueue, price: Rates) -> str:
    if not row.paid:
        return "free"
    if price.usd_per_1000_pages is not None:
        return f"${price.usd_per_1000_pages:.2f} / 1,000 pages"
    if price.usd_per_million_input is not None and price.usd_per_million_output is not None:
        return f"${price.usd_per_million_input:.2f} in, ${price.usd_per_million_output:.2f} out / million tokens"
    return "unknown" if row.model else "by model"


def _show(rows: list[dict[str, Any]], *, known: bool) -> None:
    from cli import output

    headers = ["name", "model", "can", "served", "key", "rate", "at once", "price", "source", "fallback", "called live"]
    output.table(headers, [_cells(row) for row in rows], right=["rate", "at once"])
    missing = [row for row in rows if row["key_present"] is False]
    if missing:
        output.note(f"A key is read from the environment of the worker: set {missing[0]['key_env']}, for example.")
    if not known:
        output.note("Whether a worker serves them is not known: nothing runs (`shelf up`).")


def _cells(row: dict[str, Any]) -> list[Any]:
    remote = row["kind"] != "local"
    can = [
        name for name, has in (("read", row["reads_pages"]), ("answer", row["answers"]), ("see", row["sees"])) if has
    ]
    key = None if not row["key_env"] else f"{row['key_env']}{'' if row['key_present'] else ' (not set)'}"
    rate = row["requests_per_second"]
    return [
        row["name"],
        row["model"],
        can,
        row["served"],
        key,
        f"{rate:g}/s" if rate else None,
        row["in_flight"],
        row["price"],
        row["price_source"] if row["price"] not in ("unknown", "by model") else None,
        row["fallback"],
        (row["called_live"] or "never") if remote else None,
    ]
