"""`shelf queue` without a server: what is refused, and what is shown of a queue's state."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from typer.testing import CliRunner

from cli import connect, limits
from cli import queue as commands
from cli.limits import Pending, QueueState, count_throttles, describe, undo
from cli.main import make_app
from providers.queues import provider_queues
from schemas.documents import Metric

NOW = datetime.now(UTC)
MISTRAL = provider_queues()["mistral"]
TESSERACT = provider_queues()["tesseract"]
RUNS = QueueState(MISTRAL, workers=2, effective=6.0, source="worker", backlog=3, backlog_age_seconds=61.2)
SINCE = datetime(2026, 5, 6, 7, 8, 9, tzinfo=UTC)
PAUSED = replace(RUNS, effective=0.0, source="set", reason="invoice unpaid", by="ann", since=SINCE, limit_before=2.0)


class Server:
    """Temporal, as far as `cli.limits` asks it."""

    def __init__(self) -> None:
        self.states = {"mistral": RUNS}
        self.rates: list[tuple[str, float | None, str]] = []

    async def queue_states(self, client: Any, rows: Any) -> dict[str, QueueState]:
        idle = QueueState(MISTRAL, 0, None, "none", 0, 0.0)
        return {row.name: self.states.get(row.name, replace(idle, row=row)) for row in rows}

    async def set_rate(self, client: Any, row: Any, rate: float | None, reason: str, by: str) -> None:
        self.rates.append((row.name, rate, reason))

    async def pending_activities(self, client: Any) -> tuple[list[Pending], bool]:
        queue = MISTRAL.queue
        return [
            Pending("w1", "1", queue, "first", started=True),
            Pending("w1", "2", queue, "first", started=False),
            Pending("w2", "3", queue, "second", started=False, retry_at=NOW + timedelta(hours=1)),
            Pending("w2", "4", "shelf-tesseract", "second", started=True),
        ], True

    async def throttles(self, client: Any, store: Any, names: Any) -> dict[str, int]:
        return dict.fromkeys(names, 7)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Server:
    server = Server()
    for name in ("queue_states", "set_rate", "pending_activities", "throttles"):
        monkeypatch.setattr(limits, name, getattr(server, name))

    @asynccontextmanager
    async def opened(**_: Any) -> AsyncIterator[Any]:
        async def temporal() -> None:
            return None

        yield SimpleNamespace(
            temporal=temporal,
            settings=SimpleNamespace(providers={"mistral": {"requests_per_second": 6}}),
            store=None,
            artifacts=SimpleNamespace(cooling=lambda name: (0.0, "")),
        )

    monkeypatch.setattr(connect, "working", opened)
    return server


def shelf(*arguments: str) -> tuple[int, str, str]:
    result = CliRunner().invoke(make_app(), list(arguments))
    return result.exit_code, result.stdout, result.stderr


@pytest.mark.parametrize(
    ("arguments", "message", "next_step"),
    [
        (
            ("limit", "mistral", "7"),
            "configured for 6 requests a second",
            "[providers.mistral] requests_per_second = 7",
        ),
        (("limit", "mistral", "0"), "A limit of 0 is a pause", "shelf queue pause mistral"),
        (("limit", "mistral", "fast"), "'fast' is no rate", "as 0.5 or 4; or `default`"),
        (("limit", "mistral", "nan"), "'nan' is no rate", "as 0.5 or 4"),
        (("limit", "mitsral", "1"), "There is no provider 'mitsral'", "Known: "),
        (("pause", "shelf-store"), "There is no provider 'shelf-store'", "Known: "),
        (("resume", "mistral"), "mistral is not paused", "shelf queue mistral"),
        (("cool", "mistral", "60"), "'60' is not understood", "shelf queue cool mistral off"),
        (("nobody",), "There is no provider 'nobody'", "Known: "),
    ],
)
def test_what_is_refused_says_what_to_type(
    server: Server, arguments: tuple[str, ...], message: str, next_step: str
) -> None:
    code, _, errors = shelf("queue", *arguments)
    assert code == 2
    assert message in errors
    assert next_step in errors
    assert not server.rates


def test_a_local_engine_has_no_configured_rate_and_may_be_slowed_down(server: Server) -> None:
    assert shelf("queue", "limit", "tesseract", "0.5", "--reason", "laptop on battery")[0] == 0
    assert shelf("queue", "limit", "tesseract", "default")[0] == 0
    assert server.rates == [("tesseract", 0.5, "laptop on battery"), ("tesseract", None, "")]


def test_a_pause_keeps_the_limit_that_was_set_and_resume_brings_it_back(server: Server) -> None:
    server.states["mistral"] = replace(RUNS, effective=2.0, source="set", reason="shared key", by="ann")
    assert shelf("queue", "pause", "mistral", "--reason", "quota | gone")[0] == 0
    ((_, paused_at, reason),) = server.rates
    assert paused_at == 0
    assert reason.partition(limits.BEFORE) == ("quota | gone", limits.BEFORE, "2")
    server.states["mistral"] = PAUSED
    code, _, errors = shelf("queue", "limit", "mistral", "3")
    assert (code, "paused by ann since 2026-05-06T07:08:09+00:00: invoice unpaid" in errors) == (2, True)
    assert shelf("queue", "resume", "mistral")[2].startswith("mistral goes on, at 2/s.")
    assert server.rates[-1][:2] == ("mistral", 2.0)


def test_the_table_shows_who_does_something_and_why_not(server: Server) -> None:
    _, table, errors = shelf("queue")
    headers, other, line = table.splitlines()
    assert headers.split()[0] == "provider"
    assert line.split()[:4] == ["mistral", "6/s", "6/s", "worker"]
    # One of two times ten under way, three wait, the oldest for a minute, one retries.
    assert line.split()[4:] == ["1", "20", "3", "1", "min", "1", "s", "1", "7", "–"]
    # Nobody serves it, but something of it is under way.
    assert other.split()[0] == "tesseract"
    assert "no worker serves it" in other
    assert "shelf queue --all" in errors
    server.states["mistral"] = PAUSED
    assert "paused by ann since 2026-05-06T07:08:09+00:00: invoice unpaid" in shelf("queue")[1]
    assert len(shelf("queue", "--all")[1].splitlines()) == 1 + len(provider_queues())


def test_one_provider_is_shown_with_its_books(server: Server) -> None:
    _, text, _ = shelf("queue", "mistral")
    assert "Configured  6/s (settings)" in text
    assert "Effective   6/s (given by the workers)" in text
    assert "Throttled   7 times in the last hour" in text
    books = [line.split() for line in text.splitlines()[-2:]]
    assert books == [["first", "1", "0", "1"], ["second", "0", "1", "0"]]


def test_how_a_state_is_told_and_undone() -> None:
    assert describe(RUNS) == ""
    assert undo(PAUSED) == "shelf queue resume mistral"
    limited = replace(RUNS, effective=0.5, source="set", by="bob")
    assert describe(limited) == "limited to 0.5/s by bob"
    assert undo(limited) == "shelf queue limit mistral default"
    raised = replace(RUNS, effective=20.0, source="set")
    assert describe(raised) == "limited to 20/s (each worker keeps to 6/s all the same)"


def test_throttles_are_the_attempts_of_this_hour_that_were_told_to_wait() -> None:
    def metric(minutes_ago: int, error: str | None, provider: str = "mistral") -> Metric:
        at = (NOW - timedelta(minutes=minutes_ago)).isoformat(timespec="milliseconds")
        return Metric(key=f"{minutes_ago} {error} {provider}", provider=provider, at=at, error=error)

    found = [
        metric(5, "RateLimited: slow down"),
        metric(59, "RateLimited: slow down"),
        metric(61, "RateLimited: long ago"),
        metric(1, "ServerError: 500"),
        metric(1, None),
        metric(2, "RateLimited: slow down", "anthropic"),
    ]
    assert count_throttles(found, NOW - timedelta(hours=1)) == {"mistral": 2, "anthropic": 1}


def test_the_rate_that_is_read_is_never_above_what_the_workers_keep_to() -> None:
    assert commands.read_rate(MISTRAL, "6") == 6.0
    assert commands.read_rate(MISTRAL, "default") is None
    assert commands.read_rate(TESSERACT, "1000") == 1000.0
