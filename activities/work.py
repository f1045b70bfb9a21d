"""The way of a unit through its provider: look up, call, publish, count what it cost.

A published fingerprint is not called again. A page's artifact is published before the next page begins, so a batch that
dies repeats at most the page that was under way.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from temporalio import activity
from temporalio.exceptions import ApplicationError, ApplicationErrorCategory

from activities.beat import beating
from activities.contracts import Attempt, Failure, Outcome, UnitInput, WorkResult
from activities.services import Services
from providers.artifacts import Request
from providers.errors import MESSAGE_BYTES, Cooling, NotSetAside, ProviderError, RateLimited, ServerError
from providers.ledger import Calls, Ledger, cool, note_cooling
from schemas import semconv, telemetry
from schemas.errors import DiskFull, ShelfError
from schemas.telemetry import Kind

WORKER_DEATHS = 3
"""A batch whose worker died so often is split into singles; a single is then failed. Temporal's own count also grows with
every deploy and outage, so those are carried in the heartbeat and subtracted."""

STOPPED = "stopped"
AGAIN = "again"

REFUSALS = 1000
"""Kept in memory: one per job that waits for somebody to act."""

MESSAGE_LOGGED = 500

log = logging.getLogger("shelf.work")
"""Not Temporal's: that one repeats in each message what the line's facts say (`schemas/logs.py`)."""

LOST = "the worker died before the answer was noted"
"""Of a remote call: what `Ledger.recover` says of it."""


@dataclass(frozen=True, slots=True)
class Produced:
    """What a call gave."""

    body: bytes
    model: str = ""
    prompt_hash: str = ""


@dataclass(frozen=True, slots=True)
class Item:
    """One page (or the book) of a unit: what is asked, how it is called, what plans want to know of the answer."""

    item: int
    request: Request
    inputs: str
    call: Callable[[], Awaitable[Produced]]
    figures: Callable[[bytes], Mapping[str, float | int | str | bool]] = lambda body: {}
    earlier: str = ""
    """The artifact that the document names now, if others read it by its name: an equal answer keeps that name, so that
    nothing follows from doing it anew."""
    ask: Callable[[Calls], Awaitable[Produced]] | None = None
    """In place of `call`, where a remote provider is asked: every request goes through its `Calls`."""
    estimate_usd: float | None = None
    """Of one of those calls: the high estimate, noted where nobody knows what it cost; by default that of a page."""


def request_of(
    job: UnitInput,
    model: str,
    reads: Iterable[str],
    generation: int,
    parameters: Mapping[str, Any] | None = None,
    prompt_hash: str = "",
) -> Request:
    """What an item of the unit asks of the unit's provider.

    Args:
        model: the engine or the rules, with their revision.
        reads: everything that is looked at, as hashes.
        parameters: what else changes the answer.
    """
    return Request(
        operation=job.unit.operation,
        provider=job.unit.provider,
        model=model,
        parameters=dict(parameters or {}),
        inputs=tuple(reads),
        prompt_hash=prompt_hash,
        generation=generation,
    )


@dataclass(slots=True)
class _Tally:
    """What this attempt has done so far, of a local provider; the calls of a remote one have their `Ledger`."""

    began: float = field(default_factory=time.monotonic)
    at: str = field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="milliseconds"))
    read: int = 0
    failed: int = 0
    model: str = ""
    prompt_hash: str = ""
    error: str = ""

    def add(self, produced: Produced) -> None:
        self.read += 1
        self.model = produced.model or self.model
        self.prompt_hash = produced.prompt_hash or self.prompt_hash


async def work(services: Services, job: UnitInput, items: Callable[[], Awaitable[Sequence[Item]]]) -> WorkResult:
    """Run a unit. `items` reads what the unit needs; it may raise ShelfError (retryable ones are outages of ours).

    Raises ApplicationError: retryable for outages and, in a single, for a failed call; the taxonomy's kind as its type."""
    if services.looking:
        return WorkResult(outcomes=tuple([await _look(services, item) for item in await items()]))
    outages = _outages()
    deaths = activity.info().attempt - 1 - outages
    if not services.queues[job.unit.provider].remote:
        # What a death cost at a remote provider is in its notes, and so is how often it happened.
        if deaths >= WORKER_DEATHS and not job.unit.single:
            failure = Failure(code="WorkerDied", message=f"the worker died {deaths} times in this batch")
            return WorkResult(outcomes=tuple(_transient(item, failure) for item in job.unit.items))
        if job.unit.single and deaths >= WORKER_DEATHS + job.max_attempts:
            failure = Failure(code="WorkerDied", message=f"the worker died {deaths} times on this page")
            return WorkResult(outcomes=tuple(_permanent(item, failure) for item in job.unit.items))
    try:
        async with beating(outages):
            return await _work(services, job, await items(), outages)
    except ShelfError as error:
        activity.heartbeat(outages + 1)
        raise as_application_error(error) from None
    except Cooling as error:
        activity.heartbeat(outages + 1)
        raise _later(error) from None
    except asyncio.CancelledError:
        # A worker that shuts down is no failed call.
        activity.heartbeat(outages + 1)
        raise


async def _look(services: Services, item: Item) -> Outcome:
    """For a plan: 'ok' where nobody needs to be asked, because the answer lies there or there is nothing to ask about."""
    fingerprint = item.request.fingerprint
    there = item.ask is None or await asyncio.to_thread(services.artifacts.get, fingerprint) is not None
    return Outcome(item=item.item, status="ok" if there else "transient", artifact=fingerprint)


async def _work(services: Services, job: UnitInput, items: Sequence[Item], outages: int) -> WorkResult:
    tally = _Tally()
    outcomes: list[Outcome] = []
    earlier: list[Attempt] = []
    for item in items:
        if outcomes and outcomes[-1].status == STOPPED:
            # The same would stop each of them.
            outcomes.append(outcomes[-1].model_copy(update={"item": item.item}))
            continue
        with telemetry.about(page=item.item or None):
            outcomes.append(
                await _one(services, job, item, tally, earlier)
                if item.ask is None
                else await _ask(services, job, item, earlier, outages)
            )
    attempts = [*earlier]
    # What a remote provider need not be asked (a blank page) never reached it.
    if (tally.read or tally.failed) and not services.queues[job.unit.provider].remote:
        attempts.append(_attempt(job, tally, "ok" if not tally.failed else "partial" if tally.read else "failed"))
    return WorkResult(outcomes=tuple(outcomes), attempts=tuple(attempts))


async def _made(job: UnitInput, item: Item, make: Awaitable[Produced]) -> Produced:
    """The answer. Raises ProviderError, also for a bug of ours or of a library on this page: it fails like any call, with its
    traceback in the log; ShelfError and ApplicationError as they come."""
    try:
        with telemetry.span(f"{job.unit.operation} {job.unit.provider}", _asked(job, item), kind=Kind.CLIENT):
            return await make
    except Cooling:
        raise
    except ProviderError as error:
        # Whether it is tried again is decided later; who has only the log shall find the page in any case.
        level = logging.INFO if isinstance(error, RateLimited) else logging.WARNING
        said = error.message[:MESSAGE_LOGGED]
        log.log(level, "%s by %s failed: %s: %s", job.unit.operation, job.unit.provider, error.kind, said)
        raise
    except (ShelfError, ApplicationError):
        raise
    except Exception as error:
        log.exception("%s by %s failed by a fault of the program", job.unit.operation, job.unit.provider)
        raise ServerError(f"{type(error).__name__}: {error}") from error


async def _one(services: Services, job: UnitInput, item: Item, tally: _Tally, earlier: list[Attempt]) -> Outcome:
    """One item of a local provider."""
    fingerprint = item.request.fingerprint
    body = await asyncio.to_thread(services.artifacts.get, fingerprint)
    if body is None:
        await cool(services.artifacts, job.unit.provider)
        try:
            produced = await _made(job, item, item.call())
        except ProviderError as error:
            return await _failed(services, job, item, tally, earlier, error)
        telemetry.call_ended(job.unit.operation, job.unit.provider, "ok")
        tally.add(produced)
        body = produced.body
        await asyncio.to_thread(services.artifacts.publish, fingerprint, body)
        if job.unit.single:
            records = await asyncio.to_thread(services.artifacts.attempts, fingerprint)
            earlier += _unreported([record for record in records.values() if record.get("epoch") == job.epoch], "")
    return await _published(services, item, body)


async def _ask(services: Services, job: UnitInput, item: Item, earlier: list[Attempt], outages: int) -> Outcome:
    """One item of a remote provider: its calls have notes, which are reported with the item, whichever attempt made
    them."""
    assert item.ask is not None
    ledger = make_ledger(services, job, item.request.fingerprint, item.estimate_usd)
    await ledger.recover()
    body = await asyncio.to_thread(services.artifacts.get, ledger.fingerprint)
    refusal = services.refusals.get((job.book_id, job.epoch, job.unit.provider))
    if body is None and refusal is not None:
        earlier += [attempt_of(note) for note in await ledger.notes()]
        return Outcome(item=item.item, status=STOPPED, failure=refusal)
    if body is None:
        try:
            body = (await _made(job, item, item.ask(ledger))).body
        except Cooling:
            raise
        except NotSetAside:
            # What the calls have cost is saved and settled; the next unit sets aside what one more may cost.
            earlier += [attempt_of(note) for note in await ledger.notes()]
            return Outcome(item=item.item, status=AGAIN)
        except ProviderError as error:
            if error.stops:
                known = services.refusals
                known[job.book_id, job.epoch, job.unit.provider] = Failure(code=error.kind, message=error.message[:500])
                if len(known) > REFUSALS:
                    known.pop(next(iter(known)))
            return await _asked_in_vain(job, item, ledger, earlier, error, outages)
        await asyncio.to_thread(services.artifacts.publish, ledger.fingerprint, body)
    earlier += [attempt_of(note) for note in await ledger.notes()]
    return await _published(services, item, body)


def make_ledger(services: Services, job: UnitInput, fingerprint: str, estimate_usd: float | None = None) -> Ledger:
    """The calls of this attempt of the activity, at one question."""
    info = activity.info()
    row = services.queues[job.unit.provider]
    return Ledger(
        artifacts=services.artifacts,
        row=row,
        bucket=services.buckets.of(row),
        fingerprint=fingerprint,
        attempt_id=f"{info.workflow_run_id}/{info.activity_id}/{info.attempt}",
        who={
            "epoch": job.epoch,
            "run_id": info.workflow_run_id or "",
            "workflow_id": info.workflow_id or "",
            "activity_id": info.activity_id,
            "attempt": info.attempt,
            "queue_seconds": _queue_seconds(),
            "pages": list(job.unit.pages),
        },
        model=job.model,
        estimate_usd=estimate_usd,
        allowance_usd=job.allowance_usd,
    )


def attempt_of(note: Mapping[str, Any]) -> Attempt:
    """What a `Ledger` noted of a call, as it is reported."""
    return Attempt.model_validate({name: note[name] for name in Attempt.model_fields if note.get(name) is not None})


async def _published(services: Services, item: Item, body: bytes) -> Outcome:
    fingerprint = item.request.fingerprint
    same = False
    if item.earlier and item.earlier != fingerprint:
        same = await asyncio.to_thread(services.artifacts.get, item.earlier) == body
    return Outcome(
        item=item.item,
        status="ok",
        artifact=item.earlier if same else fingerprint,
        inputs=item.inputs,
        generation=item.request.generation,
        figures=dict(await asyncio.to_thread(item.figures, body)),
    )


async def _failed(
    services: Services, job: UnitInput, item: Item, tally: _Tally, earlier: list[Attempt], error: ProviderError
) -> Outcome:
    """A local call failed: note it under the fingerprint; retry, give the page back, or settle it."""
    fingerprint = item.request.fingerprint
    telemetry.call_ended(job.unit.operation, job.unit.provider, error.kind)
    await note_cooling(services.artifacts, job.unit.provider, error)
    tally.failed += 1
    tally.error = f"{error.kind}: {error.message}"[:MESSAGE_BYTES]
    attempt = _attempt(job, tally, "failed")
    await asyncio.to_thread(
        services.artifacts.record_attempt,
        fingerprint,
        attempt.id,
        {
            "epoch": job.epoch,
            "kind": error.kind,
            # A single's failed attempt ends in an exception, which carries no Metric: a later result reports it.
            "unreported": job.unit.single,
            "attempt": attempt.model_dump(),
        },
    )
    failure = Failure(code=error.kind, message=error.message[:500])
    if error.stops:
        return Outcome(item=item.item, status=STOPPED, failure=failure)
    records = await asyncio.to_thread(services.artifacts.attempts, fingerprint)
    mine = [record for record in records.values() if record.get("epoch") == job.epoch]
    if error.permanent or len(mine) >= job.max_attempts:
        earlier += _unreported(mine, attempt.id)
        return _permanent(item.item, failure)
    if not job.unit.single:
        return _transient(item.item, failure)
    raise _later(error) from None


async def _asked_in_vain(
    job: UnitInput, item: Item, ledger: Ledger, earlier: list[Attempt], error: ProviderError, outages: int
) -> Outcome:
    """A remote call failed, and its note is written: Temporal tries again, or the item is settled."""
    notes = await ledger.notes()
    failure = Failure(code=error.kind, message=error.message[:500])
    # A provider that asks for patience has not failed; a worker that died is no fault of the page until it did so often.
    mine = [note for note in notes if note["epoch"] == job.epoch and note["outcome"] != "ok"]
    deaths = sum(note["error"] == LOST for note in mine)
    failures = sum(not note["error"].startswith((RateLimited.kind, LOST)) for note in mine)
    if error.stops or error.permanent or failures >= job.max_attempts or deaths >= WORKER_DEATHS:
        earlier += [attempt_of(note) for note in notes]
        return (
            Outcome(item=item.item, status=STOPPED, failure=failure) if error.stops else _permanent(item.item, failure)
        )
    if isinstance(error, RateLimited):
        activity.heartbeat(outages + 1)
    raise _later(error) from None


def _later(error: ProviderError) -> ApplicationError:
    """Temporal tries again, not before the provider wants it."""
    delay = error.retry_after_seconds
    return ApplicationError(
        error.message,
        type=error.kind,
        # Upward only: a jitter that shortens a time given by the server asks too early.
        next_retry_delay=timedelta(seconds=delay * random.uniform(1.02, 1.2) + 0.1) if delay else None,  # noqa: S311
        category=ApplicationErrorCategory.BENIGN
        if isinstance(error, RateLimited)
        else ApplicationErrorCategory.UNSPECIFIED,
    )


def _unreported(records: Sequence[Mapping[str, Any]], current: str) -> list[Attempt]:
    """Earlier attempts of this job that ended in an exception, without the one that reports."""
    attempts = [Attempt.model_validate(record["attempt"]) for record in records if record.get("unreported")]
    return [attempt for attempt in attempts if attempt.id != current]


def _outages() -> int:
    details = activity.info().heartbeat_details
    return int(details[0]) if details else 0


def _attempt(job: UnitInput, tally: _Tally, outcome: str) -> Attempt:
    info = activity.info()
    return Attempt(
        id=f"{info.workflow_run_id}/{info.activity_id}/{info.attempt}",
        run_id=info.workflow_run_id or "",
        workflow_id=info.workflow_id or "",
        activity_id=info.activity_id,
        attempt=info.attempt,
        provider=job.unit.provider,
        model=tally.model,
        prompt_hash=tally.prompt_hash,
        at=tally.at,
        queue_seconds=_queue_seconds(),
        execution_seconds=round(time.monotonic() - tally.began, 3),
        read=tally.read,
        outcome=outcome,
        error=tally.error,
        pages=job.unit.pages,
    )


def _queue_seconds() -> float:
    info = activity.info()
    return round(max(0.0, (info.started_time - info.current_attempt_scheduled_time).total_seconds()), 3)


def _asked(job: UnitInput, item: Item) -> telemetry.Attributes:
    """Of the span of a call."""
    return {
        semconv.PROVIDER: job.unit.provider,
        semconv.MODEL: item.request.model,
        semconv.PAGE: item.item or None,
    }


def _transient(item: int, failure: Failure) -> Outcome:
    return Outcome(item=item, status="transient", failure=failure)


def _permanent(item: int, failure: Failure) -> Outcome:
    return Outcome(item=item, status="permanent", failure=failure)


def as_application_error(error: ShelfError) -> ApplicationError:
    """An error of ours as Temporal has it: class name as type, its own word on retries, its next step kept.

    A full disk is not retried here: the job drains, pauses and says so."""
    return ApplicationError(
        str(error),
        error.exit_code,
        type=type(error).__name__,
        non_retryable=not error.retryable or isinstance(error, DiskFull),
    )
