"""What is said of a job that waits, and when our own worker is started anew for a key that was set later."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any

import pytest
from typer.testing import CliRunner

from activities.contracts import Progress
from cli import connect, control, jobs, limits, starting
from cli.main import make_app
from providers.settings import load_settings

REASON = "BudgetExhausted: the budget of this job is used up: 0.1000 of 0.1 USD are spent."


class Stack:
    """What the embedded servers are asked."""

    def __init__(self, keys: list[str]) -> None:
        self.keys = keys
        self.renewed: list[bool] = []

    def new_keys(self) -> list[str]:
        return self.keys

    def renew_worker(self, progress: object, *, anyway: bool = False) -> bool:
        self.renewed.append(anyway)
        return True


@pytest.mark.parametrize(("state", "code"), [("paused", 4), ("running", 0)])
def test_status_of_a_paused_job_says_how_it_goes_on(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Any, state: str, code: int
) -> None:
    progress = Progress(job="ProcessPages", book_id="book-1", state=state, reason=REASON, notes=("80% are spent.",))

    @asynccontextmanager
    async def opened(**_: Any) -> AsyncIterator[Any]:
        async def temporal() -> None:
            return None

        yield SimpleNamespace(temporal=temporal, settings=load_settings(home=tmp_path / "none"))

    async def found(*_: Any) -> Any:
        return SimpleNamespace(book="book-1")

    async def row(*_: Any) -> dict[str, Any]:
        rest = ("workflow_id", "run_id", "pages", "started", "ended", "url", "pages_settled", "cost_usd")
        return {**dict.fromkeys(rest), **jobs._of_progress(progress), "key": "book-1"}

    async def nothing(*_: Any) -> list[Any]:
        return []

    monkeypatch.setattr(connect, "working", opened)
    monkeypatch.setattr(jobs, "find_job", found)
    monkeypatch.setattr(jobs, "job_row", row)
    monkeypatch.setattr(control, "held_queues", nothing)
    monkeypatch.setattr(limits, "waits_for", nothing)
    result = CliRunner().invoke(make_app(), ["status", "book-1"])
    assert result.exit_code == code
    assert ("shelf budget raise book-1 USD" in result.stdout) is (state == "paused")
    assert "80% are spent." in result.stdout


@pytest.mark.parametrize(
    ("keys", "states", "anyway", "renewed"),
    [
        ([], ["running"], False, []),
        (["MISTRAL_API_KEY"], [], False, [False]),
        # A paused job has nothing under way.
        (["MISTRAL_API_KEY"], ["paused"], False, [False]),
        (["MISTRAL_API_KEY"], ["paused", "running"], False, []),
        ([], ["paused"], True, [True]),
    ],
)
async def test_the_worker_is_started_anew_where_nothing_is_under_way(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    keys: list[str],
    states: list[str],
    anyway: bool,
    renewed: list[bool],
) -> None:
    found = [SimpleNamespace(handle=state, description=SimpleNamespace(id=f"job-{state}")) for state in states]

    async def running(*_: Any) -> Any:
        return found

    async def look(_: Any, handle: str) -> Progress:
        return Progress(job="ProcessPages", state=handle)

    monkeypatch.setattr(jobs, "running_jobs", running)
    monkeypatch.setattr(jobs, "look", look)
    stack = Stack(keys)
    await starting.take_up_keys(SimpleNamespace(stack=stack), None, anyway=anyway)  # type: ignore[arg-type]
    assert stack.renewed == renewed
    told = capsys.readouterr().err
    assert ("MISTRAL_API_KEY is set now" in told and "job-running runs" in told) is ("running" in states and bool(keys))
