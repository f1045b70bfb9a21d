"""The way of a unit through its provider: look up, call, publish, count what it cost.

A published fingerprint is not called again. A page's artifact is published before the next page begins, so a batch that
dies repeats at most the page that was under way.
"""

from __future__ import annotations

import asyncio
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
from providers.errors import MESSAGE_BYTES, ProviderError, QuotaExhausted, RateLimited, ServerError
from schemas.errors import DiskFull, ShelfError

WORKER_DEATHS = 3
"""A batch whose worker died so often is split into singles; a single is then failed. Temporal's own count also grows with
every deploy and outage, so those are carried in the heartbeat and subtracted."""

COOLING_SECONDS = 5.0
"""A unit that would wait longer for its provider goes back to its queue instead (design §6)."""


@dataclass(frozen=True, slots=True)
class Produced:
    """What a call gave."""

    body: bytes
    model: str = ""
    cost_usd: float | None = 0.0
    input_tokens: int | None = None
    output_tokens: int | None = None
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


def request_of(
    job: UnitInput, model: str, reads: Iterable[str], generation: int, parameters: Mapping[str, Any] | None = None
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
        generation=generation,
    )


@dataclass(slots=True)
class _Tally:
    """What this attempt has cost so far."""

    began: float = field(default_factory=time.monotonic)
    at: str = field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="milliseconds"))
    read: int = 0
    failed: int = 0
    cost_usd: float | None = 0.0
    model: str = ""
    prompt_hash: str = ""
    input_tokens: int | None = None
    output_tokens: int | None = None
    error: str = ""

    def add(self, produced: Produced) -> None:
        self.read += 1
        self.model = produced.model or self.model
        self.prompt_hash = produced.prompt_hash or self.prompt_hash
        known = self.cost_usd is not None and produced.cost_usd is not None
        self.cost_usd = (self.cost_usd or 0.0) + (produced.cost_usd or 0.0) if known else None
        for name in ("input_tokens", "output_tokens"):
            count = getattr(produced, name)
            if count is not None:
                setattr(self, name, (getattr(self, name) or 0) + count)


async def work(services: Services, job: UnitInput, items: Callable[[], Awaitable[Sequence[Item]]]) -> WorkResult:
    """Run a unit. `items` reads what the unit needs; it may raise ShelfError (retryable ones are outages of ours).

    Raises ApplicationError: retryable for outages and, in a single, for a failed call; the taxonomy's kind as its type."""
    outages = _outages()
    deaths = activity.info().attempt - 1 - outages
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
    except asyncio.CancelledError:
        # A worker that shuts down is no failed call.
        activity.heartbeat(outages + 1)
        raise


async def _work(services: Services, job: UnitInput, items: Sequence[Item], outages: int) -> WorkResult:
    tally = _Tally()
    outcomes: list[Outcome] = []
    earlier: list[Attempt] = []
    for item in items:
        outcome = await _one(services, job, item, tally, earlier, outages)
        outcomes.append(outcome)
    attempts = [*earlier]
    if tally.read or tally.failed:
        attempts.append(_attempt(job, tally, "ok" if not tally.failed else "partial" if tally.read else "failed"))
    return WorkResult(outcomes=tuple(outcomes), attempts=tuple(attempts))


async def _one(
    services: Services, job: UnitInput, item: Item, tally: _Tally, earlier: list[Attempt], outages: int
) -> Outcome:
    fingerprint = item.request.fingerprint
    body = await asyncio.to_thread(services.artifacts.get, fingerprint)
    if body is None:
        await _wait_for_cooling(services, job.unit.provider, outages)
        try:
            produced = await item.call()
        except ProviderError as error:
            return await _failed(services, job, item, tally, earlier, error)
        except (ShelfError, ApplicationError):
            raise
        except Exception as error:
            # A bug of ours or of a library on this page: it fails like any call, with its traceback in the log.
            activity.logger.exception("%s failed on %s", job.unit.operation, item.item)
            return await _failed(services, job, item, tally, earlier, ServerError(f"{type(error).__name__}: {error}"))
        tally.add(produced)
        body = produced.body
        await asyncio.to_thread(services.artifacts.publish, fingerprint, body)
        if job.unit.single:
            records = await asyncio.to_thread(services.artifacts.attempts, fingerprint)
            earlier += _unreported([record for record in records.values() if record.get("epoch") == job.epoch], "")
    if item.earlier and item.earlier != fingerprint:
        same = await asyncio.to_thread(services.artifacts.get, item.earlier) == body
    else:
        same = False
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
    """A call failed: note it under the fingerprint; retry, give the page back, or settle it."""
    fingerprint = item.request.fingerprint
    if isinstance(error, RateLimited) and error.retry_after_seconds:
        await asyncio.to_thread(
            services.artifacts.set_cooling, job.unit.provider, time.time() + error.retry_after_seconds, error.message
        )
    tally.failed += 1
    tally.error = f"{error.kind}: {error.message}"[:MESSAGE_BYTES]
    attempt = _attempt(job, tally, "failed")
    await asyncio.to_thread(
        services.artifacts.record_attempt,
        fingerprint,
        attempt.id,
        {
            "epoch": job.epoch,
            "outcome": "failed",
            "kind": error.kind,
            # A single's failed attempt ends in an exception, which carries no Metric: a later result reports it.
            "unreported": job.unit.single,
            "attempt": attempt.model_dump(),
        },
    )
    failure = Failure(code=error.kind, message=error.message[:500])
    if isinstance(error, QuotaExhausted):
        raise ApplicationError(error.message, type=error.kind, non_retryable=True) from None
    records = await asyncio.to_thread(services.artifacts.attempts, fingerprint)
    mine = [record for record in records.values() if record.get("epoch") == job.epoch]
    if error.permanent or len(mine) >= job.max_attempts:
        earlier += _unreported(mine, attempt.id)
        return _permanent(item.item, failure)
    if not job.unit.single:
        return _transient(item.item, failure)
    delay = error.retry_after_seconds
    raise ApplicationError(
        error.message,
        type=error.kind,
        next_retry_delay=timedelta(seconds=delay) if delay else None,
        category=ApplicationErrorCategory.BENIGN
        if isinstance(error, RateLimited)
        else ApplicationErrorCategory.UNSPECIFIED,
    ) from None


def _unreported(records: Sequence[Mapping[str, Any]], current: str) -> list[Attempt]:
    """Earlier attempts of this job that ended in an exception, without the one that reports."""
    attempts = [Attempt.model_validate(record["attempt"]) for record in records if record.get("unreported")]
    return [attempt for attempt in attempts if attempt.id != current]


async def _wait_for_cooling(services: Services, provider: str, outages: int) -> None:
    until, reason = await asyncio.to_thread(services.artifacts.cooling, provider)
    left = until - time.time()
    if left <= 0:
        return
    if left > COOLING_SECONDS:
        activity.heartbeat(outages + 1)
        raise ApplicationError(
            f"{provider} cools down for {left:.0f} s: {reason}",
            type=RateLimited.kind,
            # Upward only: a jitter that shortens a time given by the server asks too early.
            next_retry_delay=timedelta(seconds=left * 1.1 + 0.5),
            category=ApplicationErrorCategory.BENIGN,
        )
    await asyncio.sleep(left)


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
        queue_seconds=round(max(0.0, (info.started_time - info.current_attempt_scheduled_time).total_seconds()), 3),
        execution_seconds=round(time.monotonic() - tally.began, 3),
        read=tally.read,
        cost_usd=tally.cost_usd,
        input_tokens=tally.input_tokens,
        output_tokens=tally.output_tokens,
        outcome=outcome,
        error=tally.error,
        pages=job.unit.pages,
    )


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
