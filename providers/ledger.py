"""The way of one call to a remote provider: cooling, rate, intent, call, price, note.

A note of every call lies in the artifact store under the fingerprint of what was asked, so that no crash loses what a call
cost, and none is repeated whose outcome is known. Between an intent and its note lies the call itself; who dies there
leaves the intent, and the next to ask the same thing reports it as `unknown`, at the high estimate.

The bound: in any window of w seconds one worker process begins at most `requests_per_second * w + 1` calls of a provider,
repeats, repair turns and polls included; a process that starts anew begins a new window.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Generic, Protocol, TypeVar

from providers.artifacts import ArtifactStore
from providers.errors import Cooling, NotSetAside, ProviderError, RateLimited, ServerError
from providers.prices import Usage, call_price, high_estimate
from providers.queues import ProviderQueue
from schemas import telemetry

T = TypeVar("T")

PATIENCE_SECONDS = 2.0
"""After a 429 that does not say when to come again: nobody asks for so long. Each page backs off by itself besides."""

COOLING_SECONDS = 5.0
"""A unit that would wait longer for its provider goes back to its queue instead (design §6)."""


@dataclass(frozen=True, slots=True)
class Response(Generic[T]):
    """What a provider answered to one call that it charges for."""

    value: T
    usage: Usage
    model: str
    """As the response names it: the price goes by it."""
    raw: bytes = b""
    """As received."""


@dataclass(frozen=True, slots=True)
class Keep(Generic[T]):
    """How the answer to a call is kept in its note, in one writing with what it cost: who dies before the answer is used has
    not paid in vain, and the call is not made again."""

    name: str
    """Of the call among those of the question."""
    dump: Callable[[T], str]
    load: Callable[[str], T]


class Calls(Protocol):
    """What an adapter is given to make its calls with."""

    async def paid(
        self, send: Callable[[], Awaitable[Response[T]]], prompt_hash: str = "", keep: Keep[T] | None = None
    ) -> T:
        """One call that may be charged, or the answer that an earlier attempt kept. `send` makes exactly one request and
        raises ProviderError."""

    async def free(self, send: Callable[[], Awaitable[T]]) -> T:
        """One call that costs nothing (a poll): limited, not noted."""

    async def remember(self, name: str, value: str) -> None:
        """Keep something across attempts, before what follows from it (the address of a submitted operation)."""

    async def recall(self, name: str) -> str | None:
        """What an earlier attempt at the same question remembered."""


class Bucket:
    """The rate of one provider in this process: calls begin one after the other, never closer than the rate allows."""

    def __init__(self, requests_per_second: float | None) -> None:
        self.gap = 1.0 / requests_per_second if requests_per_second else 0.0
        self._next = 0.0
        self._one = asyncio.Lock()

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Wait for this call's turn; the next one's begins to count when the block ends, which is when the call is sent."""
        if not self.gap:
            yield
            return
        async with self._one:
            # A timer may fire a clock tick early, and the bound is exact.
            while (left := self._next - time.monotonic()) > 0:  # noqa: ASYNC110
                await asyncio.sleep(left)
            try:
                yield
            finally:
                self._next = time.monotonic() + self.gap


class Buckets:
    """One bucket per provider, shared by all activities of a worker process."""

    def __init__(self) -> None:
        self._by_name: dict[str, Bucket] = {}

    def of(self, row: ProviderQueue) -> Bucket:
        return self._by_name.setdefault(row.name, Bucket(row.requests_per_second))


async def cool(artifacts: ArtifactStore, provider: str) -> None:
    """Wait until the provider may be called again. Raises Cooling where that would be long."""
    until, reason = await asyncio.to_thread(artifacts.cooling, provider)
    left = until - time.time()
    if left > COOLING_SECONDS:
        raise Cooling(f"{provider} cools down for {left:.0f} s: {reason}", left)
    if left > 0:
        await asyncio.sleep(left)


async def note_cooling(
    artifacts: ArtifactStore, provider: str, error: ProviderError, patience_seconds: float = 0.0
) -> None:
    """Let everybody who shares the artifact store know that the provider asked for patience; where it does not say how much,
    for `patience_seconds`."""
    if not isinstance(error, RateLimited):
        return
    telemetry.throttled(provider, error.retry_after_seconds)
    if seconds := error.retry_after_seconds or patience_seconds:
        await asyncio.to_thread(artifacts.set_cooling, provider, time.time() + seconds, error.message)


@dataclass(slots=True)
class Ledger:
    """`Calls` of one question (one page, or one turn of a conversation) in one attempt of an activity.

    Notes have the fields of a call beside those of `who`, so that a later attempt can report them."""

    artifacts: ArtifactStore
    row: ProviderQueue
    bucket: Bucket
    fingerprint: str
    attempt_id: str
    """Names this attempt; the number of the call is added to it."""
    who: Mapping[str, Any] = field(default_factory=dict)
    model: str = ""
    """What is asked, where it is not the row's own."""
    estimate_usd: float | None = None
    """High estimate of one call, noted where nobody knows; by default that of a page."""
    allowance_usd: float | None = None
    """What is set aside for all calls of this activity, earlier attempts included; None = nobody counts."""
    made: list[dict[str, Any]] = field(default_factory=list)
    """Notes of the calls of this attempt, in order."""

    async def paid(
        self, send: Callable[[], Awaitable[Response[T]]], prompt_hash: str = "", keep: Keep[T] | None = None
    ) -> T:
        """One call that may be charged: intent, call, note. Raises ProviderError; NotSetAside where it would be a repeat for
        which no money is set aside."""
        if keep is not None and (kept := await self.recall(keep.name)) is not None:
            return keep.load(kept)
        await self._check_allowance()
        call_id = f"{self.attempt_id}/{len(self.made) + 1}"
        note: dict[str, Any] = {
            **self.who,
            "id": call_id,
            "provider": self.row.name,
            "model": self.model or self.row.model,
            "prompt_hash": prompt_hash,
            "at": datetime.now(UTC).isoformat(timespec="milliseconds"),
            "read": 0,
            "execution_seconds": 0.0,
            "cost_usd": self._unknown(),
        }
        # What the next attempt reports, if this one ends before it can say more.
        lost = {**note, "outcome": "unknown", "error": "the worker died before the answer was noted"}
        async with self._turn():
            await asyncio.to_thread(self.artifacts.write_intent, self.fingerprint, call_id, lost)
        began = time.monotonic()
        try:
            response = await send()
        except ProviderError as error:
            unknown = error.cost_usd is None
            note |= {
                "outcome": "unknown" if unknown else "failed",
                "error": f"{error.kind}: {error.message}",
                "cost_usd": self._unknown() if unknown else error.cost_usd,
                "model": error.model or note["model"],
                "input_tokens": error.input_tokens,
                "output_tokens": error.output_tokens,
            }
            await self._note(call_id, note, began, error.raw)
            await note_cooling(self.artifacts, self.row.name, error, PATIENCE_SECONDS)
            raise
        except Exception as error:
            # A bug in an adapter, after the provider was paid: what it cost is not known.
            note |= {"outcome": "unknown", "error": f"{type(error).__name__}: {error}"}
            await self._note(call_id, note, began, b"")
            raise ServerError(f"{type(error).__name__}: {error}", cost_usd=None) from error
        price = call_price(self.row, response.model or self.model or self.row.model, response.usage)
        note |= {
            "outcome": "ok",
            "read": 1,
            "model": response.model,
            "cost_usd": price.usd,
            "price_source": price.source,
            "input_tokens": response.usage.input_tokens,
            "output_tokens": response.usage.output_tokens,
            **({"kept": keep.name, "value": keep.dump(response.value)} if keep is not None else {}),
        }
        await self._note(call_id, note, began, response.raw)
        return response.value

    async def free(self, send: Callable[[], Awaitable[T]]) -> T:
        """One call that costs nothing: limited, not noted."""
        async with self._turn():
            pass
        try:
            return await send()
        except RateLimited as error:
            await note_cooling(self.artifacts, self.row.name, error, PATIENCE_SECONDS)
            raise

    async def remember(self, name: str, value: str) -> None:
        await asyncio.to_thread(
            self.artifacts.record_attempt, self.fingerprint, f"note/{name}", {"note": name, "value": value}
        )

    async def recall(self, name: str) -> str | None:
        notes = await asyncio.to_thread(self.artifacts.attempts, self.fingerprint)
        note = notes.get(f"note/{name}") or next((each for each in notes.values() if each.get("kept") == name), None)
        return str(note["value"]) if note is not None else None

    async def recover(self) -> None:
        """Turn intents that earlier attempts left into notes of calls with an unknown outcome."""
        intents = await asyncio.to_thread(self.artifacts.open_intents, self.fingerprint)
        left = {call: lost for call, lost in intents.items() if not call.startswith(f"{self.attempt_id}/")}
        if not left:
            return
        known = await asyncio.to_thread(self.artifacts.attempts, self.fingerprint)
        for call_id, lost in left.items():
            if call_id not in known:
                await asyncio.to_thread(self.artifacts.record_attempt, self.fingerprint, call_id, lost)
            await asyncio.to_thread(self.artifacts.settle_intent, self.fingerprint, call_id)

    async def notes(self) -> list[dict[str, Any]]:
        """Notes of all calls that were ever made for this question, oldest first, without what was answered."""
        records = await asyncio.to_thread(self.artifacts.attempts, self.fingerprint)
        calls = [record for record in records.values() if "outcome" in record and "at" in record]
        return [
            {name: value for name, value in record.items() if name not in ("raw", "kept", "value")}
            for record in sorted(calls, key=lambda record: (record["at"], record["id"]))
        ]

    async def _check_allowance(self) -> None:
        """The first call is what the allowance is for, whatever it was estimated at."""
        if self.allowance_usd is None:
            return
        mine = ("run_id", "activity_id")
        spent = sum(
            note.get("cost_usd") or 0.0
            for note in await self.notes()
            if all(note.get(name) == self.who.get(name) for name in mine)
        )
        if spent and spent + (self._unknown() or 0.0) > self.allowance_usd + 1e-9:
            raise NotSetAside(
                f"{self.row.name} was paid {spent:.4f} USD of the {self.allowance_usd:.4f} that are set aside for this, and a "
                "further call may cost more than is left."
            )

    def _unknown(self) -> float | None:
        return self.estimate_usd if self.estimate_usd is not None else high_estimate(self.row, self.row.model)

    @asynccontextmanager
    async def _turn(self) -> AsyncIterator[None]:
        await cool(self.artifacts, self.row.name)
        async with self.bucket.turn():
            # Another call may have been told to slow down while this one waited.
            await cool(self.artifacts, self.row.name)
            yield

    async def _note(self, call_id: str, note: dict[str, Any], began: float, raw: bytes) -> None:
        note["execution_seconds"] = round(time.monotonic() - began, 3)
        self.made.append(note)
        await asyncio.to_thread(
            self.artifacts.record_attempt, self.fingerprint, call_id, {**note, **({"raw": raw} if raw else {})}
        )
        await asyncio.to_thread(self.artifacts.settle_intent, self.fingerprint, call_id)
