"""The way from a published artifact into documents: lease first, then guarded writes, then the Metrics.

A save may be repeated, reordered or raced by a late twin; it ends in the same documents.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from temporalio import activity

from activities.beat import beating
from activities.contracts import BOOK_ITEM, Failure, Outcome, SaveInput, SaveResult
from activities.services import Services
from activities.work import AGAIN, STOPPED, as_application_error
from schemas import telemetry
from schemas.documents import Document, Lease, Metric, Page
from schemas.errors import DocumentRefused, LeaseLost, RevReused, ShelfError
from schemas.keys import page_key
from schemas.store import Saved, Update, Written, digest, op_id

FAILURE_NOTE = 0
RESULT = 1


@dataclass(frozen=True, slots=True)
class Loaded:
    """An item whose artifact was found."""

    outcome: Outcome
    key: str
    """Key of the page; of the book for a book-scoped unit."""
    body: bytes


Writes = Callable[[Sequence[Loaded]], Awaitable[list[tuple[type[Document], Written, str]]]]
"""Writes the documents of the items; returns (type, what became of it, op_id) for each."""


async def save(
    services: Services, job: SaveInput, write: Writes, note: type[Document] | None, note_key: str = ""
) -> SaveResult:
    """Save a unit's results, and notes for its failures on documents of type `note` (None: no notes).

    Raises ApplicationError with LeaseLost, RevReused, StoreUnavailable, ... as type."""
    try:
        async with beating():
            return await _save(services, job, write, note, note_key)
    except ShelfError as error:
        raise as_application_error(error) from None


async def _save(
    services: Services, job: SaveInput, write: Writes, note: type[Document] | None, note_key: str
) -> SaveResult:
    await check_lease(services, job.book_id, job.epoch)
    keys = {page: page_key(job.book_id, leaf) for page, leaf in zip(job.unit.pages, job.unit.leaves, strict=True)} or {
        BOOK_ITEM: note_key or job.book_id
    }
    loaded: list[Loaded] = []
    missing: list[int] = []
    failures: list[tuple[type[Document], Outcome]] = []
    for outcome in job.result.outcomes:
        if outcome.status == "ok":
            body = await asyncio.to_thread(services.artifacts.get, outcome.artifact)
            if body is None:
                missing.append(outcome.item)
            else:
                loaded.append(Loaded(outcome, keys[outcome.item], body))
        elif outcome.status in (STOPPED, AGAIN):
            continue
        elif note is not None and (outcome.status == "permanent" or job.unit.single):
            failures.append((note, outcome))
    written, refused = await _write(write, loaded)
    for kind, outcome in failures:
        assert outcome.failure is not None
        text = f"{outcome.failure.code}: {outcome.failure.message}"
        mark = op_id(job.epoch, job.unit.operation, FAILURE_NOTE, text)
        try:
            for result in await services.store.update(
                kind,
                job.unit.operation,
                job.epoch,
                FAILURE_NOTE,
                [Update(keys[outcome.item], {}, {"error": text}, mark)],
            ):
                written.append((kind, result, mark))
        except (DocumentRefused, RevReused):
            # No document to write the note on (the first operation failed), or its place in the book was written under
            # this very revision (`activities/placing.py`): the job's result names the failure.
            activity.logger.info("no document for a failure note: %s", keys[outcome.item])
    await _write_metrics(services, job, written)
    for state, count in (
        ("complete", len(loaded) - len(refused)),
        ("failed", len(failures)),
        ("missing", len(missing)),
        ("refused", len(refused)),
    ):
        telemetry.pages_saved(job.unit.operation, job.unit.provider, state, count)
    return SaveResult(
        missing=tuple(missing),
        refused=refused,
        # What an earlier job left unreported is not this one's cost.
        cost_usd=sum(each.cost_usd or 0.0 for each in job.result.attempts if each.epoch in (0, job.epoch)),
    )


async def _write(
    write: Writes, loaded: Sequence[Loaded]
) -> tuple[list[tuple[type[Document], Written, str]], dict[int, Failure]]:
    """Write all at once; where a document is refused, each item alone, so that one bad document names itself."""
    if not loaded:
        return [], {}
    try:
        return await write(loaded), {}
    except DocumentRefused as error:
        if len(loaded) == 1:
            return [], {loaded[0].outcome.item: Failure(code="DocumentRefused", message=str(error)[:500])}
    written: list[tuple[type[Document], Written, str]] = []
    refused: dict[int, Failure] = {}
    for item in loaded:
        some, bad = await _write(write, [item])
        written += some
        refused.update(bad)
    return written, refused


async def check_lease(services: Services, book_id: str, epoch: int) -> None:
    """Raises LeaseLost where another job holds the book. The rev guard covers the milliseconds after."""
    lease = (await services.store.get(Lease, [book_id])).get(book_id)
    if lease is None or lease.epoch != epoch:
        holder = lease.workflow_id if lease is not None else None
        raise LeaseLost(
            f"Book {book_id} is now held by {holder or 'nobody'} (epoch {lease.epoch if lease else 0}, ours was {epoch}).",
            "This job ends without writing more; what it had saved stays.",
        )


async def update_pages(
    services: Services,
    job: SaveInput,
    items: Sequence[Loaded],
    fields: Callable[[Loaded], Mapping[str, Any]],
    step: int = RESULT,
    only: Sequence[str] | None = None,
) -> list[tuple[type[Document], Written, str]]:
    """The usual page save: `fields` of each item and the operation's flag (`only` some of its fields)."""
    updates = page_updates(job, items, fields, step)
    if only is not None:
        updates = [
            replace(update, flags={name: value for name, value in update.flags.items() if name in only})
            for update in updates
        ]
    written = await services.store.update(Page, job.unit.operation, job.epoch, step, updates)
    marks = {update.key: update.op_id for update in updates}
    return [(Page, result, marks[result.key]) for result in written]


def page_updates(
    job: SaveInput, items: Sequence[Loaded], fields: Callable[[Loaded], Mapping[str, Any]], step: int = RESULT
) -> list[Update]:
    """One guarded update per item."""
    return [
        Update(
            item.key,
            fields(item),
            flags(item.outcome),
            op_id(job.epoch, job.unit.operation, step, item.outcome.artifact),
        )
        for item in items
    ]


def flags(outcome: Outcome) -> dict[str, Any]:
    """The operation's own fields after a success."""
    return {
        "complete": True,
        "inputs": outcome.inputs,
        # 0 is not written: each field of an update costs DefraDB a block.
        "generation": outcome.generation or None,
        "artifact": outcome.artifact,
        "error": None,
    }


async def _write_metrics(
    services: Services, job: SaveInput, written: Sequence[tuple[type[Document], Written, str]]
) -> None:
    """One per attempt that reached its provider, one for the save if it changed anything; joined by the unit's id."""
    unit = job.unit
    joined = digest([job.epoch, unit.operation, unit.variant, list(unit.pages)])[:32]
    metrics: list[Document] = [
        Metric(
            key=f"attempt/{attempt.id}",
            book_key=job.book_id,
            kind="attempt",
            operation=unit.operation,
            provider=attempt.provider,
            model=attempt.model or None,
            prompt_hash=attempt.prompt_hash or None,
            workflow_id=attempt.workflow_id,
            run_id=attempt.run_id,
            activity_id=attempt.activity_id,
            attempt=attempt.attempt,
            pages=list(attempt.pages),
            read=attempt.read,
            at=attempt.at,
            queue_seconds=attempt.queue_seconds,
            execution_seconds=attempt.execution_seconds,
            input_tokens=attempt.input_tokens,
            output_tokens=attempt.output_tokens,
            cost_usd=attempt.cost_usd,
            price_source=attempt.price_source or None,
            outcome=attempt.outcome,
            error=attempt.error or None,
            op_id=joined,
        )
        for attempt in job.result.attempts
    ]
    changed = [(kind, result, mark) for kind, result, mark in written if result.outcome is Saved.SAVED]
    if changed:
        info = activity.info()
        metrics.append(
            Metric(
                key=f"save/{info.workflow_run_id}/{info.activity_id}/{info.attempt}",
                book_key=job.book_id,
                kind="save",
                operation=unit.operation,
                provider=unit.provider,
                workflow_id=info.workflow_id,
                run_id=info.workflow_run_id,
                activity_id=info.activity_id,
                attempt=info.attempt,
                pages=list(unit.pages),
                at=info.started_time.isoformat(timespec="milliseconds"),
                outcome="ok",
                op_id=joined,
                documents=[
                    f"{kind.__name__} {result.key} {result.doc_id} {result.cid} {mark}"
                    for kind, result, mark in changed
                ],
            )
        )
    if metrics:
        created = await services.store.create(Metric, metrics)
        for metric, done in zip(metrics, created, strict=True):
            # What a repeated save finds there was counted when it was written.
            if isinstance(metric, Metric) and metric.kind == "attempt" and done.outcome is Saved.SAVED:
                telemetry.attempt_saved(metric)
                row = services.queues.get(metric.provider or "")
                if row is not None and row.remote:
                    # Each is one call; of a local provider's, which are batches, `activities/work.py` tells the pages.
                    telemetry.call_ended(metric.operation or "", row.name, _ending(metric))


def _ending(metric: Metric) -> str:
    """'ok', or the kind of the error that a call ended in, as its note begins; 'unknown' where nobody saw its end."""
    kind, colon, _ = (metric.error or "").partition(": ")
    return kind if colon and kind.isidentifier() else metric.outcome or "unknown"
