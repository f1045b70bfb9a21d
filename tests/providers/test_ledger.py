"""The way of a paid call: nothing is paid twice whose outcome is known, and what is not known is said."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from pathlib import Path

import pytest

from providers.errors import BadOutput, Connection, Cooling, NotSetAside, ProviderError, RateLimited, ServerError
from providers.ledger import PATIENCE_SECONDS, Bucket, Keep, Ledger, Response
from providers.local_artifacts import LocalArtifactStore
from providers.prices import Usage
from providers.queues import provider_queues

QUESTION = "a1" * 32
ROW = replace(provider_queues()["mistral"], usd_per_page=0.004, requests_per_second=None)


def ledger(store: LocalArtifactStore, attempt: int = 1) -> Ledger:
    who = {"epoch": 1, "run_id": "r", "workflow_id": "w", "activity_id": "7", "attempt": attempt, "queue_seconds": 0.5}
    return Ledger(store, ROW, Bucket(None), QUESTION, f"r/7/{attempt}", {**who, "pages": [3]})


@pytest.fixture
def store(tmp_path: Path) -> LocalArtifactStore:
    return LocalArtifactStore(tmp_path)


def answering(text: str) -> Response[str]:
    return Response(text, Usage(pages=1), "mistral-ocr-4-1", raw=b'{"pages": []}')


async def test_a_call_is_noted_with_its_price_and_its_raw_response(store: LocalArtifactStore) -> None:
    async def send() -> Response[str]:
        assert store.open_intents(QUESTION), "the intent lies on disk before the call leaves"
        return answering("text")

    book = ledger(store)
    assert await book.paid(send, prompt_hash="abc") == "text"
    (note,) = await book.notes()
    assert (note["outcome"], note["cost_usd"], note["read"], note["prompt_hash"]) == ("ok", 0.004, 1, "abc")
    assert note["id"] == "r/7/1/1"
    assert note["price_source"].startswith("[providers.mistral]")
    assert store.open_intents(QUESTION) == {}
    assert "raw" in store.attempts(QUESTION)["r/7/1/1"]


@pytest.mark.parametrize(
    ("error", "outcome", "cost"),
    [
        (ServerError("500"), "failed", 0.0),
        (BadOutput("cut off", cost_usd=0.004, raw=b"{}"), "failed", 0.004),
        (Connection("answer lost", cost_usd=None), "unknown", 0.004),
    ],
)
async def test_a_failed_call_costs_what_is_known_of_it_else_the_high_estimate(
    store: LocalArtifactStore, error: ProviderError, outcome: str, cost: float
) -> None:
    async def send() -> Response[str]:
        raise error

    book = ledger(store)
    with pytest.raises(type(error)):
        await book.paid(send)
    (note,) = await book.notes()
    assert (note["outcome"], note["cost_usd"]) == (outcome, cost)
    assert note["error"].startswith(f"{error.kind}: ")
    assert store.open_intents(QUESTION) == {}


async def test_a_bug_after_the_answer_is_a_call_of_unknown_outcome(store: LocalArtifactStore) -> None:
    async def send() -> Response[str]:
        raise KeyError("pages")

    book = ledger(store)
    with pytest.raises(ServerError):
        await book.paid(send)
    assert [note["outcome"] for note in await book.notes()] == ["unknown"]


async def test_a_worker_that_dies_in_a_call_leaves_an_intent_which_the_next_attempt_reports(
    store: LocalArtifactStore,
) -> None:
    sent = asyncio.Event()

    async def send() -> Response[str]:
        sent.set()
        await asyncio.sleep(3600)
        raise AssertionError

    dying = asyncio.ensure_future(ledger(store).paid(send))
    await sent.wait()
    dying.cancel()
    await asyncio.gather(dying, return_exceptions=True)
    assert store.open_intents(QUESTION), "whether it was charged is not known"

    again = ledger(store, attempt=2)
    await again.recover()
    await again.recover()
    assert await again.paid(lambda: _later(answering("text"))) == "text"
    notes = await again.notes()
    assert [(note["outcome"], note["cost_usd"], note["attempt"]) for note in notes] == [
        ("unknown", 0.004, 1),
        ("ok", 0.004, 2),
    ]


async def _later(response: Response[str]) -> Response[str]:
    return response


async def test_an_answer_that_was_noted_is_not_paid_again_whoever_died_before_it_was_used(
    store: LocalArtifactStore,
) -> None:
    keep = Keep("reading", str.upper, str.lower)
    assert await ledger(store).paid(lambda: _later(answering("text")), keep=keep) == "text"
    again = ledger(store, attempt=2)
    assert await again.paid(lambda: _later(answering("never sent")), keep=keep) == "text"
    (note,) = await again.notes()
    assert note["attempt"] == 1
    assert "TEXT" not in str(note), "notes are reported, answers are not"
    # Another call of the same question is another call.
    assert await again.paid(lambda: _later(answering("more")), keep=Keep("next", str, str)) == "more"


async def test_retry_after_cools_the_provider_for_everybody(store: LocalArtifactStore) -> None:
    async def refused() -> Response[str]:
        raise RateLimited("slow down", 60)

    with pytest.raises(RateLimited):
        await ledger(store).paid(refused)
    with pytest.raises(Cooling) as cooling:
        await ledger(LocalArtifactStore(store.root), attempt=2).paid(lambda: _later(answering("never sent")))
    assert 50 < (cooling.value.retry_after_seconds or 0) <= 60
    assert len(await ledger(store).notes()) == 1, "what was not sent is no call"


async def test_a_refusal_without_a_time_is_a_short_pause_for_everybody(store: LocalArtifactStore) -> None:
    async def refused() -> Response[str]:
        raise RateLimited("slow down")

    began = time.time()
    with pytest.raises(RateLimited):
        await ledger(store).paid(refused)
    until, reason = store.cooling("mistral")
    assert began < until <= time.time() + PATIENCE_SECONDS
    assert reason == "slow down"


async def test_what_was_submitted_is_remembered_over_attempts(store: LocalArtifactStore) -> None:
    await ledger(store).remember("operation", "https://example.test/1")
    assert await ledger(store, attempt=2).recall("operation") == "https://example.test/1"
    assert await ledger(store).recall("other") is None
    assert await ledger(store).notes() == [], "a memory is no call"


async def test_calls_are_spaced_evenly_and_never_in_bursts() -> None:
    bucket = Bucket(50)
    began: list[float] = []

    async def call() -> None:
        async with bucket.turn():
            began.append(time.monotonic())

    await asyncio.gather(*(call() for _ in range(10)))
    await asyncio.sleep(0.2)
    await asyncio.gather(*(call() for _ in range(5)))
    began.sort()
    for first in range(len(began)):
        for last in range(first + 1, len(began)):
            assert last - first <= (began[last] - began[first]) * 50 + 1e-6, "at most rate x window + 1 in any window"


class TestAllowance:
    """What a budget has set aside for a page is for its first call; a repeat is made when there is money for it."""

    @staticmethod
    def held(store: LocalArtifactStore, activity: str, allowance_usd: float = 0.004) -> Ledger:
        who = {"epoch": 1, "run_id": "r", "workflow_id": "w", "activity_id": activity, "attempt": 1, "pages": [3]}
        return Ledger(store, ROW, Bucket(None), QUESTION, f"r/{activity}/1", who, allowance_usd=allowance_usd)

    @staticmethod
    async def lose() -> Response[str]:
        raise Connection("answer lost", cost_usd=None)

    @staticmethod
    async def refuse() -> Response[str]:
        raise ServerError("500", cost_usd=0.0)

    async def test_a_repeat_of_what_may_have_been_charged_waits_for_money(self, store: LocalArtifactStore) -> None:
        with pytest.raises(Connection):
            await self.held(store, "7").paid(self.lose)
        with pytest.raises(NotSetAside):
            await self.held(store, "7").paid(lambda: _later(answering("never sent")))
        # The unit that is sent again has an allowance of its own.
        again = self.held(store, "9")
        assert await again.paid(lambda: _later(answering("text"))) == "text"
        assert [note["outcome"] for note in await again.notes()] == ["unknown", "ok"], "what was not sent is no call"

    async def test_a_repeat_of_what_cost_nothing_does_not(self, store: LocalArtifactStore) -> None:
        with pytest.raises(ServerError):
            await self.held(store, "7").paid(self.refuse)
        assert await self.held(store, "7").paid(lambda: _later(answering("text"))) == "text"

    async def test_several_calls_may_fit(self, store: LocalArtifactStore) -> None:
        book = self.held(store, "7", allowance_usd=0.008)
        assert await book.paid(lambda: _later(answering("one"))) == "one"
        assert await book.paid(lambda: _later(answering("two"))) == "two"
        with pytest.raises(NotSetAside):
            await book.paid(lambda: _later(answering("three")))

    async def test_a_first_call_is_made_whatever_it_was_estimated_at(self, store: LocalArtifactStore) -> None:
        assert await self.held(store, "7", 0.000001).paid(lambda: _later(answering("text"))) == "text"
