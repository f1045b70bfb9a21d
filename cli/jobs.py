"""Jobs as the command line sees them: which one works on a book, how far it is, how it ended."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from temporalio.client import (
    Client,
    WorkflowExecutionDescription,
    WorkflowExecutionStatus,
    WorkflowFailureError,
    WorkflowHandle,
)
from temporalio.service import RPCError, RPCStatusCode

from activities.contracts import FailedItem, JobResult, OperationProgress, Progress
from activities.operation import Scope
from cli.books import find_book
from cli.connect import Connection, job_error, rpc_error
from cli.pauses import next_step
from schemas.documents import Lease
from schemas.errors import BadInput, ShelfError

QUERY_TIMEOUT = timedelta(seconds=5)
"""A worker that does not answer within it is dead, or too busy to be asked."""


class NotRunning(ShelfError):
    """The command needs a job that runs, and there is none."""


def job_id(book: str, job: str = "ProcessPages") -> str:
    """Workflow id of a job of a book that was started here: `rerun-toc:BOOK`."""
    return f"{re.sub(r'(?<!^)(?=[A-Z])', '-', job).lower()}:{book}"


def job_ids(book: str) -> list[str]:
    """Of all jobs."""
    from workflows.registry import JOBS

    return [job_id(book, job) for job in JOBS]


@dataclass(frozen=True, slots=True)
class Found:
    """The job of a book: the one that holds it, else the last one that was started for it here."""

    book: str
    handle: WorkflowHandle[Any, JobResult]
    description: WorkflowExecutionDescription

    @property
    def running(self) -> bool:
        return self.description.status == WorkflowExecutionStatus.RUNNING


async def find_job(shelf: Connection, client: Client, text: str) -> Found:
    """`text` is the key of a book, the beginning of one, or the id of a workflow.

    Raises BadInput, ServerUnavailable."""
    try:
        book = await find_book(shelf.store, text)
    except BadInput as error:
        # A job that has just begun has written nothing yet; one started by hand has an id of its own.
        if (found := await _foremost(client, text, [*job_ids(text), text])) is not None:
            return found
        raise error from None
    lease = (await shelf.store.get(Lease, [book], ["workflow_id"])).get(book)
    holder = lease.workflow_id if lease is not None else None
    if (found := await _foremost(client, book, [*([holder] if holder else []), *job_ids(book)])) is not None:
        return found
    raise BadInput(
        f"No job is known that works or worked on {book}.",
        f"Its documents can be read all the same: `shelf show {book}`.",
    )


async def _foremost(client: Client, book: str, workflow_ids: Sequence[str]) -> Found | None:
    """The first of them that runs, else the one that was started last."""
    answers = await asyncio.gather(*(_describe(client, book, name) for name in dict.fromkeys(workflow_ids)))
    known = [found for found in answers if found is not None]
    running = [found for found in known if found.running]
    return running[0] if running else max(known, key=lambda found: found.description.start_time, default=None)


async def _describe(client: Client, book: str, workflow_id: str) -> Found | None:
    handle: WorkflowHandle[Any, JobResult] = client.get_workflow_handle(workflow_id, result_type=JobResult)
    try:
        description = await handle.describe(rpc_timeout=QUERY_TIMEOUT)
    except RPCError as error:
        if error.status == RPCStatusCode.NOT_FOUND:
            return None
        raise rpc_error(error) from None
    return Found(book, handle, description)


async def look(client: Client, handle: WorkflowHandle[Any, JobResult]) -> Progress:
    """The progress of a job with what its open ranges have done.

    Raises RPCError or WorkflowQueryFailedError where nobody answers."""
    job: Progress = await handle.query("progress", result_type=Progress, rpc_timeout=QUERY_TIMEOUT)
    if job.state == "running" and job.reason:
        # It was told to stop and drains; its own word for it comes with its next step.
        job = job.model_copy(update={"state": "cancelling" if job.reason == "cancelled" else "pausing"})
    answers = await asyncio.gather(
        *(
            client.get_workflow_handle(name).query("progress", result_type=Progress, rpc_timeout=QUERY_TIMEOUT)
            for name in job.open_ranges
        ),
        return_exceptions=True,
    )
    # A range that ended in this moment, or that has not begun, is counted next time.
    return add_up(job, [answer for answer in answers if isinstance(answer, Progress)])


def add_up(job: Progress, ranges: Sequence[Progress]) -> Progress:
    """One Progress of a job's and its open ranges'."""
    operations = {}
    for name, count in job.operations.items():
        parts = [count, *(part.operations[name] for part in ranges if name in part.operations)]
        operations[name] = OperationProgress(
            total=count.total,
            # Pages that were complete when the job began are in the job's count and in their range's.
            complete=min(count.total, sum(part.complete for part in parts)),
            failed=sum(part.failed for part in parts),
            blocked=sum(part.blocked for part in parts),
            in_flight=sum(part.in_flight for part in parts),
        )
    failed: list[FailedItem] = [*job.failed]
    failed += [item for part in ranges for item in part.failed if item not in failed]
    return job.model_copy(
        update={
            "operations": operations,
            "failed": tuple(failed),
            "cost_usd": job.cost_usd + sum(part.cost_usd for part in ranges),
            "notes": tuple(dict.fromkeys(note for part in (job, *ranges) for note in part.notes)),
        }
    )


def page_operations() -> set[str]:
    """Operations that go page by page."""
    from activities.registry import OPERATIONS

    return {name for name, operation in OPERATIONS.items() if operation.scope is Scope.PAGE}


def works_on_pages(progress: Progress) -> bool:
    """Whether some of its operations go page by page."""
    return any(name in page_operations() for name in progress.operations)


def pages_settled(progress: Progress) -> int:
    """Pages with which all page by page operations are through, whatever came of it."""
    counts = [count for name, count in progress.operations.items() if name in page_operations()]
    return min((count.complete + count.failed + count.blocked for count in counts), default=0)


def pages_read(progress: Progress) -> int:
    """Pages whose reading is settled: what a book's time goes into. The rest follows in batches, seconds later."""
    count = progress.operations.get("ocr")
    return pages_settled(progress) if count is None else count.complete + count.failed + count.blocked


async def result_of(handle: WorkflowHandle[Any, JobResult]) -> JobResult:
    """The result of a job, waited for. Raises ShelfError for a job without one, RPCError for a server without answer."""
    try:
        return await handle.result()
    except WorkflowFailureError as error:
        raise job_error(error) from None


async def job_row(shelf: Connection, client: Client, found: Found) -> dict[str, Any]:
    """State of a job, as `status --json` shows it."""
    description = found.description
    row: dict[str, Any] = {
        "key": found.book,
        "job": description.workflow_type,
        "workflow_id": description.id,
        "run_id": description.run_id,
        "state": description.status.name.lower() if description.status is not None else "unknown",
        "reason": None,
        "next_step": None,
        "pages": None,
        "pages_settled": None,
        "operations": {},
        "open_ranges": [],
        "failed": [],
        "notes": [],
        "cost_usd": None,
        "started": description.start_time.isoformat(timespec="seconds"),
        "ended": description.close_time.isoformat(timespec="seconds") if description.close_time else None,
        "url": shelf.link(description.id, description.run_id or ""),
    }
    if found.running:
        try:
            row |= _of_progress(await look(client, found.handle))
        except Exception as error:  # whatever keeps a worker from answering, the rest is worth showing
            row["reason"] = f"no worker answers ({str(error)[:120]})"
        return row
    try:
        row |= _of_result(await result_of(found.handle))
    except ShelfError as error:
        row["reason"] = str(error)
    return row


def _of_progress(progress: Progress) -> dict[str, Any]:
    return {
        "key": progress.book_id or None,
        "state": progress.state,
        "reason": progress.reason or None,
        "next_step": next_step(progress.book_id, progress.reason) if progress.state == "paused" else None,
        "pages": progress.pages,
        "pages_settled": pages_settled(progress) if works_on_pages(progress) else None,
        "operations": {name: count.model_dump() for name, count in progress.operations.items()},
        "open_ranges": list(progress.open_ranges),
        "failed": [item.model_dump() for item in progress.failed],
        "notes": list(progress.notes),
        "cost_usd": progress.cost_usd,
    }


def _of_result(result: JobResult) -> dict[str, Any]:
    return {
        "key": result.book_id,
        "state": result.state,
        "pages": result.pages,
        "pages_settled": result.pages,
        "operations": {name: count.model_dump() for name, count in result.operations.items()},
        "failed": [item.model_dump() for item in result.failed],
        "notes": list(result.notes),
        "cost_usd": result.cost_usd,
    }


async def running_jobs(client: Client) -> list[Found]:
    """Jobs that run, oldest first; without their ranges."""
    from workflows.registry import JOBS

    kinds = ", ".join(f"'{name}'" for name in JOBS)
    found = []
    try:
        async for execution in client.list_workflows(f"WorkflowType IN ({kinds}) AND ExecutionStatus = 'Running'"):
            handle = client.get_workflow_handle(execution.id, run_id=execution.run_id, result_type=JobResult)
            found.append(Found(_book_of(execution.id), handle, await handle.describe()))
    except RPCError as error:
        raise rpc_error(error) from None
    return sorted(found, key=lambda job: job.description.start_time)


def _book_of(workflow_id: str) -> str:
    """The book in an id that was given here; of another one its job says it."""
    _, _, book = workflow_id.partition(":")
    return book or workflow_id
