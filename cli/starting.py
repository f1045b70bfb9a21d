"""Start any job of the registry for a book, and see it through: watch, summary, exit code.

A command that is a job is a few lines: find the book, name the job and its input, `run_job`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from cli import connect, output, trace

if TYPE_CHECKING:
    from temporalio.client import Client

    from activities.contracts import JobResult
    from cli.connect import Connection
    from cli.spending import Money
    from cli.summary import Ending
    from cli.watching import Watch

GAPS = 3
"""Exit code of a job that is done, with failed pages."""
WAIT_POLL_SECONDS = 2.0


def run_on_book(
    text: str,
    job: str,
    given: Mapping[str, Any],
    *,
    money: Money = (None, None, False),
    details: str = "",
    wait: bool = False,
    detach: bool = False,
    as_json: bool = False,
    ending: Ending | None = None,
) -> None:
    """A whole command: a job on a book that was read before. `text` is its key, or the beginning of one."""
    from cli.spending import spending

    async def command() -> int | None:
        chosen = spending(*money)
        async with connect.working(wait_for_worker=False) as shelf:
            book = await known_book(shelf, text)
            return await run_job(
                shelf,
                job,
                {"book_id": book, **given, **chosen},
                book=book,
                details=details,
                wait=wait,
                detach=detach,
                as_json=as_json,
                ending=ending,
            )

    connect.run(command)


async def known_book(shelf: Connection, text: str) -> str:
    """The key of a book; the database may have been started this moment. Raises BadInput."""
    from cli.books import find_book

    await shelf.store.bootstrap()
    return await find_book(shelf.store, text)


async def run_job(
    shelf: Connection,
    job: str,
    given: Mapping[str, Any],
    *,
    book: str,
    details: str = "",
    wait: bool = False,
    detach: bool = False,
    as_json: bool = False,
    ending: Ending | None = None,
) -> int | None:
    """Start the job and watch it to its end; or only start it, and print its id.

    Args:
        job: name in `workflows.registry.JOBS`.
        given: the job's input without `wait`.
        details: what was chosen, for the Temporal UI.
        ending: what to say at the end, where it is not what `cli.summary` has for the job.

    Returns the exit code. Raises LeaseHeld, and what `Watch.to_the_end` raises."""
    watch = await start(shelf, job, given, book=book, details=details, wait=wait)
    if detach:
        url = shelf.link(watch.workflow_id, watch.run_id or "")
        if as_json:
            output.data({"key": book, "workflow_id": watch.workflow_id, "run_id": watch.run_id, "url": url})
        else:
            print(watch.workflow_id)
        output.note(f"The job runs. Watch it with `shelf watch {book}`.")
        return None
    return await finish(watch, as_json=as_json, ending=ending)


def nothing_to_do(book: str, why: str, *, as_json: bool) -> int:
    """In place of a job that has nothing to do: says why; as JSON, what `job_facts` would say of it. Returns the exit
    code."""
    output.note(why)
    if as_json:
        output.data({"key": book, "state": "complete", "pages": 0, "failed_count": 0, "failed": []})
    return 0


async def start(
    shelf: Connection, job: str, given: Mapping[str, Any], *, book: str, details: str = "", wait: bool = False
) -> Watch:
    """Start a job. Raises LeaseHeld where the same one runs on this book, unless it is waited for; of any other
    job that holds the book, the job itself says it."""
    from temporalio.client import WorkflowHandle
    from temporalio.common import WorkflowIDConflictPolicy
    from temporalio.exceptions import WorkflowAlreadyStartedError
    from temporalio.service import RPCError

    from cli.jobs import job_id
    from cli.watching import Watch
    from providers.queues import WORKFLOW_QUEUE
    from schemas import semconv, telemetry
    from schemas.errors import LeaseHeld
    from workflows.registry import JOBS

    client = await shelf.temporal()
    await take_up_keys(shelf, client)
    name = job_id(book, job)
    told = False
    while True:
        try:
            with telemetry.span(f"start {job}", {semconv.BOOK: book}, kind=telemetry.Kind.CLIENT):
                trace.remember()
                handle: WorkflowHandle[Any, Any] = await client.start_workflow(
                    JOBS[job].__name__,
                    {**given, **({"wait": True} if wait else {})},
                    id=name,
                    task_queue=WORKFLOW_QUEUE,
                    id_conflict_policy=WorkflowIDConflictPolicy.FAIL,
                    static_summary=f"{book}{' · ' if details else ''}{details}"[:190],
                    static_details=f"{JOBS[job].__name__} of **{book}**\n\n{details}",
                )
            return Watch(shelf, client, handle.id, handle.first_execution_run_id, book)
        except WorkflowAlreadyStartedError:
            if not wait:
                raise LeaseHeld(
                    f"Book {book} is being worked on by {name}.",
                    f"Watch it with `shelf watch {book}`, or start with --wait.",
                ) from None
            if not told:
                output.note(f"Waiting for {name}, which works on {book}.")
                told = True
            await asyncio.sleep(WAIT_POLL_SECONDS)
        except RPCError as error:
            raise connect.rpc_error(error) from None


async def take_up_keys(shelf: Connection, client: Client, *, anyway: bool = False) -> None:
    """Start our own worker anew where a provider's key is set now that it was not started with: it has the environment of
    its start. Not while a job runs, whose calls under way would be made again.

    Args:
        anyway: where a key, an address or a model was refused, and is another one by now.
    """
    from cli.jobs import look, running_jobs
    from cli.stack.progress import StderrProgress

    keys = await asyncio.to_thread(shelf.stack.new_keys)
    if not keys and not anyway:
        return
    for found in await running_jobs(client):
        try:
            progress = await look(client, found.handle)
        except Exception:  # nobody answers: it may be under way all the same
            busy = True
        else:
            busy = progress.state != "paused"
        if busy:
            output.note(
                f"{', '.join(keys) or 'A key or a setting'} is set now, but the worker was started without it and "
                f"{found.description.id} runs. When that has ended: `shelf down`, then this command again."
            )
            return
    await asyncio.to_thread(shelf.stack.renew_worker, StderrProgress(), anyway=anyway)


async def finish(watch: Watch, *, as_json: bool, ending: Ending | None = None) -> int:
    """Watch a job to its end and show its summary. Returns the exit code; raises ShelfError for a job without result."""
    from cli.summary import ending_of

    shelf = watch.shelf
    try:
        result = await watch.to_the_end()
    except connect.JobFailed:
        if url := shelf.link(watch.workflow_id, watch.run_id or ""):
            output.note(f"See {url}")
        raise
    for said in result.notes:
        if said not in watch.told:
            output.note(said)
    chosen = ending or ending_of(result.job)
    found = await chosen.find(shelf.store, await job_facts(watch, result))
    if as_json:
        output.data(found)
    else:
        chosen.show(found)
    await trace.show(shelf)
    return exit_code(result)


async def job_facts(watch: Watch, result: JobResult) -> dict[str, Any]:
    """What every job says of itself: which one it was, how far it came, what it took."""
    description = await watch.handle.describe()
    ended = description.close_time or datetime.now(UTC)
    return {
        "key": result.book_id,
        "job": result.job,
        "workflow_id": watch.workflow_id,
        "run_id": watch.run_id,
        "state": result.state,
        "pages": result.pages,
        "pages_complete": result.pages_complete,
        "operations": {name: count.model_dump() for name, count in result.operations.items()},
        "failed_count": result.failed_count,
        "failed": [item.model_dump() for item in result.failed],
        "notes": list(result.notes),
        "cost_usd": result.cost_usd,
        **({"purchase": result.purchase.model_dump()} if result.purchase is not None else {}),
        "seconds": round((ended - description.start_time).total_seconds(), 1),
        "url": watch.shelf.link(watch.workflow_id, watch.run_id or ""),
    }


def exit_code(result: JobResult) -> int:
    """0, or 3 for a book with gaps."""
    return 0 if result.state == "complete" else GAPS
