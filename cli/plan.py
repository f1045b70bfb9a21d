"""`shelf plan`: what reading books would take, before anything is called."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.options import JSON, LLM, PAGES

if TYPE_CHECKING:
    from cli.planning import BookPlan, BookPlanner, Row
    from providers.artifacts import ArtifactStore
    from providers.prices import CostRange
    from schemas.store import Store


def plan(
    source: Annotated[
        list[str],
        typer.Argument(
            help="What `shelf process` would be given: files, folders, or keys of books that were read before.",
            metavar="SOURCE|BOOK...",
            show_default=False,
        ),
    ],
    pages: Annotated[str | None, PAGES] = None,
    ocr: Annotated[str | None, typer.Option("--ocr", help="As for `process`, also a paid provider.")] = None,
    lang: Annotated[str | None, typer.Option("--lang", help="As for `process`.")] = None,
    second_opinion: Annotated[
        bool | None, typer.Option("--second-opinion/--no-second-opinion", help="As for `process`.", show_default=False)
    ] = None,
    images: Annotated[str | None, typer.Option("--images", help="As for `process`.")] = None,
    spreads: Annotated[str | None, typer.Option("--spreads", help="As for `process`.")] = None,
    rtl: Annotated[bool, typer.Option("--rtl", help="As for `process`.")] = False,
    fresh: Annotated[bool, typer.Option("--fresh", help="As for `process`.")] = False,
    from_operation: Annotated[str | None, typer.Option("--from", help="As for `process`.", metavar="OP")] = None,
    llm: Annotated[list[str] | None, LLM] = None,
    budget: Annotated[
        float | None,
        typer.Option("--budget", help="Tell whether each job stays below it.", metavar="USD", show_default=False),
    ] = None,
    each: Annotated[bool, typer.Option("--each", help="Every file is a book of its own.")] = False,
    as_json: Annotated[bool, JSON] = False,
) -> None:
    """Tell what reading books would take: pages, calls, cost and time, and what is paid for already.

    Calls no provider, starts no job, writes nothing."""
    from cli import connect, output

    async def command() -> None:
        from cli.process import Options
        from cli.spending import spending

        money = spending(llm, budget, False)
        options = Options(
            pages, ocr, lang, second_opinion, spreads, rtl, fresh, from_operation, images=images, spending=money
        )
        options.check()
        async with _planner() as (planner, store):
            found = [await each_one for each_one in _plans(planner, store, source, options.job_input(), each=each)]
        if as_json:
            output.data(_as_json(found, budget))
        else:
            _show(found, budget)

    connect.run(command)


def _plans(
    planner: BookPlanner, store: Store, given: Sequence[str], options: dict[str, Any], *, each: bool
) -> list[Any]:
    """A coroutine per book."""
    from cli.process import is_key
    from cli.sources import books_of, check_there

    keys = [name for name in given if is_key(name) or (not Path(name).exists() and Path(name).suffix == "")]
    paths = [Path(name) for name in given if name not in keys]
    check_there(paths)
    books: list[Any] = [_known(planner, store, key, options) for key in keys]
    if paths:
        found = books_of(paths, each=each)
        if found is None:
            title = str(paths[0]) if len(paths) == 1 else f"{paths[0]} and {len(paths) - 1} more"
            books.append(planner.of_files(paths, title, options))
        else:
            books += [planner.of_files(book.paths, book.title, options) for book in found]
    return books


async def _known(planner: BookPlanner, store: Store, text: str, options: dict[str, Any]) -> BookPlan:
    from cli.books import find_book
    from schemas.errors import BadInput

    if "spreads" in options or "rtl" in options:
        raise BadInput(f"What becomes of the spreads of {text} was decided when it was imported.", "Leave it out.")
    return await planner.of_book(await find_book(store, text), options)


@contextlib.asynccontextmanager
async def _planner() -> AsyncIterator[tuple[BookPlanner, Store]]:
    """Over the database and the artifacts, where there are any: for an answer nothing is made."""
    from activities.services import make_services
    from cli.planning import BookPlanner
    from cli.process import database
    from providers.artifact_stores import may_hold, open_store
    from providers.local_artifacts import LocalArtifactStore
    from providers.pdf import PdfReader
    from providers.settings import load_settings
    from schemas.memory import MemoryStore

    settings = load_settings()
    pdf = PdfReader()
    async with database() as store, contextlib.AsyncExitStack() as stack:
        if may_hold(settings):
            artifacts: ArtifactStore = open_store(settings)
        else:
            artifacts = LocalArtifactStore(stack.enter_context(tempfile.TemporaryDirectory()))
        chosen = store if store is not None else MemoryStore()
        services = make_services(settings, chosen, artifacts, None)
        stack.push_async_callback(services.close)
        stack.push_async_callback(pdf.close)
        yield BookPlanner(services, pdf, settings), chosen


# Output ---------------------------------------------------------------------------------------------------------------


def _as_json(found: Sequence[BookPlan], budget: float | None) -> dict[str, Any]:
    from cli.planning import add

    total = add(plan.cost for plan in found)
    return {
        "plans": [
            {**plan.as_json(), **({"within_budget": _within(plan, budget)} if budget is not None else {})}
            for plan in found
        ],
        "total": {
            "pages": sum(plan.pages for plan in found),
            "calls": sum(row.calls or 0 for plan in found for row in plan.rows),
            "cost_usd": {"low": total.low, "expected": total.expected, "high": total.high},
            "unknown": sorted({name for plan in found for name in plan.unknown}),
            "seconds": round(sum(plan.seconds for plan in found), 1),
        },
    }


HEADERS = ("operation", "provider", "model", "done", "to do", "calls", "low", "expected", "high", "time")
RIGHT = ("done", "to do", "calls", "low", "expected", "high", "time")


def _within(plan: BookPlan, budget: float) -> str:
    """Whether a job that does so stays below its budget: 'yes', 'maybe', 'no'."""
    if plan.cost.low > budget:
        return "no"
    return "maybe" if plan.cost.high > budget or plan.unknown else "yes"


FITS = {
    "yes": "It stays below {budget}.",
    "maybe": "It may pause at {budget} before all is done.",
    "no": "It pauses at {budget} before all is done.",
}


def _show(found: Sequence[BookPlan], budget: float | None) -> None:
    from cli import output

    for at, plan in enumerate(found):
        if at:
            print()
        print(f"{plan.title}: {plan.pages} pages{f', {plan.book}' if plan.book != plan.title else ''}")
        output.table(HEADERS, [_cells(row) for row in plan.rows], right=RIGHT)
        paid = sum(row.published for row in plan.rows)
        if paid:
            print(f"{paid} answers lie there already, or need nobody (blank pages): they are not paid for again.")
        print(f"{_money(plan.cost, plan.unknown)}; about {output.duration(plan.seconds)}.")
        if budget is not None:
            print(FITS[_within(plan, budget)].format(budget=f"${budget:g}"))
    if len(found) > 1:
        from cli.planning import add

        unknown = sorted({name for plan in found for name in plan.unknown})
        print()
        print(f"All {len(found)} books: {_money(add(plan.cost for plan in found), unknown)}.")


def _cells(row: Row) -> list[Any]:
    from cli import output

    if row.cost is None:
        costs = ["unknown"] * 3
    elif row.paid:
        costs = [_usd(row.cost.low), _usd(row.cost.expected), _usd(row.cost.high)]
    else:
        costs = ["free"] * 3
    done = row.current + row.published
    seconds = output.duration(row.seconds) if row.seconds else ""
    return [row.operation, row.provider, row.model, done, row.items, row.calls, *costs, seconds]


def _usd(cost: float) -> str:
    """To a hundredth of a cent: what is planned can be compared with what was paid."""
    return f"${cost:.4f}" if cost < 10 else f"${cost:.2f}"


def _money(cost: CostRange, unknown: Sequence[str]) -> str:
    if unknown and not cost.high:
        return f"Cost unknown: no price of {', '.join(unknown)}"
    said = (
        "Nothing to pay"
        if not cost.high
        else f"Cost {_usd(cost.expected)}"
        if cost.low == cost.high
        else f"Cost {_usd(cost.expected)} ({_usd(cost.low)} to {_usd(cost.high)})"
    )
    return f"{said}, and what nobody knows the price of: {', '.join(unknown)}" if unknown else said
