"""`shelf budget`: what jobs and days may spend, and `raise`, which lifts a cap and lets what waits for it go on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.options import JSON, WHO

if TYPE_CHECKING:
    from temporalio.client import Client

    from cli.connect import Connection
    from cli.jobs import Found
    from schemas.documents import Budget

budget = typer.Typer(
    help="Show what jobs and days may spend, and raise it.",
    invoke_without_command=True,
    rich_markup_mode=None,
)

SHOWN = 20
"""Jobs in the table; all of them in JSON."""


@budget.callback()
def show(context: typer.Context, as_json: Annotated[bool, JSON] = False) -> None:
    """Show today's cap and those of jobs: the limit, what is spent, what is set aside for calls under way."""
    if context.invoked_subcommand is not None:
        return
    from cli import connect, output

    async def command() -> None:
        from activities.budget import today
        from schemas.documents import Budget
        from schemas.keys import day_key

        async with connect.reading() as shelf:
            found = {each.key: each for each in await shelf.store.find(Budget, {})}
            settings = shelf.settings.budget
        key = day_key(today())
        day = row(found.get(key), key, settings.per_day_usd)
        jobs = [row(each, key) for key, each in sorted(found.items(), reverse=True) if key.startswith("job/")]
        if as_json:
            output.data({"day": day, "per_job_usd": settings.per_job_usd, "jobs": jobs})
            return
        shown = [["today", *_cells(day)], *([each["key"], *_cells(each)] for each in jobs[:SHOWN])]
        output.table(["", "cap", "spent", "set aside", "left"], shown, right=["cap", "spent", "set aside", "left"])
        if settings.per_job_usd is not None:
            print(f"A job without --budget has {_usd(settings.per_job_usd)}.")
        elif not jobs and settings.per_day_usd is None:
            output.note("No cap is set: give --budget, or write [budget] in shelf.toml (docs/money.md).")

    connect.run(command)


@budget.command("raise")
def raise_(
    what: Annotated[
        list[str] | None,
        typer.Argument(help="A book and the new cap of its job, as BOOK 5.00; with --day only the cap.", metavar="..."),
    ] = None,
    day: Annotated[bool, typer.Option("--day", help="The cap of today (UTC), over all jobs.")] = False,
    who: Annotated[str | None, WHO] = None,
    as_json: Annotated[bool, JSON] = False,
) -> None:
    """Raise a cap to so many US dollars. A job that is paused because of it goes on."""
    from cli import connect, output

    async def command() -> None:
        from cli.correct import person

        book, usd = _read(what or [], day=day)
        name = person(who)
        async with connect.working(wait_for_worker=False) as shelf:
            client = await shelf.temporal()
            found = (
                await raise_day(shelf, client, usd, name) if day else await raise_job(shelf, client, book, usd, name)
            )
        if as_json:
            output.data(found)
            return
        of = "today" if day else found["book"]
        output.note(f"The cap of {of} is {_usd(usd)} now; it was {_usd(found['before_usd'])}.")
        for each in found["resumed"]:
            output.note(f"{each} goes on. Watch it with `shelf watch {each.partition(':')[2] or each}`.")

    connect.run(command)


def _read(what: list[str], *, day: bool) -> tuple[str, float]:
    from schemas.errors import BadInput

    if len(what) != (1 if day else 2):
        usage = "shelf budget raise --day USD" if day else "shelf budget raise BOOK USD"
        raise BadInput("It is not clear which cap is meant, or how much it shall be.", f"Type `{usage}`.")
    try:
        usd = float(what[-1].removeprefix("$"))
    except ValueError:
        raise BadInput(f"{what[-1]!r} is no amount.", "Give US dollars, as 5.00.") from None
    if not 0 < usd < float("inf"):
        raise BadInput(f"{what[-1]!r} is no amount.", "Give US dollars, as 5.00.")
    return what[0], usd


async def raise_job(shelf: Connection, client: Client, text: str, usd: float, who: str) -> dict[str, Any]:
    """Raises BadInput for a job without a cap, or one whose cap is higher; NotRunning."""
    from cli.jobs import NotRunning, find_job
    from schemas.documents import Budget
    from schemas.errors import BadInput
    from schemas.keys import budget_key

    found = await find_job(shelf, client, text)
    if not found.running:
        raise NotRunning(
            f"No job runs on {found.book}.", f"Start one with its cap: `shelf process {found.book} --budget {usd:g}`."
        )
    key = budget_key(found.description.id, first_run_of(found))
    document = (await shelf.store.get(Budget, [key])).get(key)
    waits = await waits_for_budget(client, found)
    if document is None:
        raise BadInput(
            f"The job {found.description.id} has spent nothing under a cap of its own.",
            "It waits for the cap of the day: `shelf budget raise --day USD`."
            if waits
            else "A job has a cap if it was started with --budget, or where [budget] per_job_usd is set.",
        )
    _check_higher(document, usd, found.book)
    before = await set_budget(client, key, usd, who)
    resumed = await resume(client, [found] if waits else [])
    return {"book": found.book, "key": key, "before_usd": before, "limit_usd": usd, "resumed": resumed}


async def raise_day(shelf: Connection, client: Client, usd: float, who: str) -> dict[str, Any]:
    """Today's cap, and every job that waits for a budget. Raises BadInput where there is no cap of a day."""
    from activities.budget import today
    from cli.jobs import running_jobs
    from schemas.documents import Budget
    from schemas.errors import BadInput
    from schemas.keys import day_key

    key = day_key(today())
    document = (await shelf.store.get(Budget, [key])).get(key)
    configured = shelf.settings.budget.per_day_usd
    if document is None and configured is None:
        raise BadInput("There is no cap for a day.", "Write [budget] per_day_usd in shelf.toml (docs/money.md).")
    if document is not None:
        _check_higher(document, usd, "today")
    before = await set_budget(client, key, usd, who)
    waiting = [job for job in await running_jobs(client) if await waits_for_budget(client, job, f"of {today()}")]
    resumed = await resume(client, waiting)
    return {"key": key, "before_usd": before or configured, "limit_usd": usd, "resumed": resumed}


def _check_higher(document: Budget, usd: float, what: str) -> None:
    from schemas.errors import BadInput

    if document.limit_usd is not None and usd <= document.limit_usd:
        raise BadInput(f"The cap of {what} is {_usd(document.limit_usd)} already.", "Give more than that, or leave it.")


def first_run_of(found: Found) -> str:
    """Of the chain of runs that the job is: under it lies its budget."""
    info = found.description.raw_description.workflow_execution_info
    return info.first_run_id or found.description.run_id


async def waits_for_budget(client: Client, found: Found, which: str = "") -> bool:
    """Whether the job is paused because a budget is used up (the one that its reason names so)."""
    from temporalio.client import WorkflowQueryFailedError
    from temporalio.service import RPCError

    from cli.jobs import look

    try:
        progress = await look(client, found.handle)
    except (RPCError, WorkflowQueryFailedError):
        return False
    return progress.state == "paused" and progress.reason.startswith("BudgetExhausted") and which in progress.reason


async def set_budget(client: Client, key: str, usd: float, who: str) -> float:
    """By a workflow, so that it is in the Temporal UI who raised what; returns the former cap. Raises ShelfError."""
    import uuid

    from temporalio.client import WorkflowFailureError

    from cli.connect import job_error
    from providers.queues import WORKFLOW_QUEUE

    try:
        before: float = await client.execute_workflow(
            "SetBudget",
            {"key": key, "limit_usd": usd, "by": who},
            id=f"set-budget:{key}:{uuid.uuid4().hex[:8]}",
            task_queue=WORKFLOW_QUEUE,
            result_type=float,
            static_summary=f"{key} · {usd:.2f} USD · {who}"[:190],
        )
    except WorkflowFailureError as error:
        raise job_error(error) from None
    return before


async def resume(client: Client, jobs: list[Found]) -> list[str]:
    """Their workflow ids."""
    from workflows.job import Job

    for found in jobs:
        await found.handle.signal(Job.resume)
    return [found.description.id for found in jobs]


def row(document: Budget | None, key: str, limit: float | None = None) -> dict[str, Any]:
    """A budget as `--json` has it."""
    from activities.budget import read_holders

    limit = document.limit_usd if document is not None and document.limit_usd is not None else limit
    spent = (document.spent_usd or 0.0) if document is not None else 0.0
    held = sum(holder.held for holder in read_holders(document).values()) if document is not None else 0.0
    return {
        "key": key,
        "book": document.book_key if document is not None else None,
        "limit_usd": limit,
        "spent_usd": spent,
        "set_aside_usd": round(held - spent, 9),
        "left_usd": None if limit is None else round(limit - held, 9),
    }


def _cells(found: dict[str, Any]) -> list[str]:
    names = ("limit_usd", "spent_usd", "set_aside_usd", "left_usd")
    return [_usd(found[name]) for name in names]


def _usd(cost: float | None) -> str:
    return "none" if cost is None else f"${cost:.4f}"
