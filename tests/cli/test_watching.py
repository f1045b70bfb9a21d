"""Following a job whose Temporal is made up: its ends, Ctrl-C, and servers that die meanwhile."""

import asyncio
import os
import signal
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from temporalio.client import WorkflowFailureError
from temporalio.exceptions import ApplicationError, CancelledError
from temporalio.service import RPCError, RPCStatusCode

from activities.contracts import JobResult, OperationProgress, Progress
from cli import limits, watching
from cli.connect import JobCancelled, JobFailed
from cli.watching import Detached, Paused, Watch
from schemas.errors import ServerUnavailable

RESULT = JobResult(job="ProcessPages", book_id="book", state="complete", pages=2, pages_complete=2, operations={})


class Job:
    """Client and handle in one."""

    def __init__(self) -> None:
        self.end: asyncio.Future[JobResult] = asyncio.get_running_loop().create_future()
        self.state = "running"
        self.reason = ""
        self.answers = True
        self.asked = 0
        self.cancelled = False

    def get_workflow_handle(self, *_: Any, **__: Any) -> "Job":
        return self

    async def result(self) -> JobResult:
        return await asyncio.shield(self.end)

    async def cancel(self) -> None:
        self.cancelled = True
        self.end.set_exception(WorkflowFailureError(cause=CancelledError("cancelled")))

    async def query(self, *_: Any, **__: Any) -> Progress:
        self.asked += 1
        if not self.answers:
            raise RPCError("nobody", RPCStatusCode.DEADLINE_EXCEEDED, b"")
        count = OperationProgress(total=2, complete=self.asked % 3)
        return Progress(job="ProcessPages", state=self.state, reason=self.reason, pages=2, operations={"ocr": count})


class Stack:
    """Servers of which one is away until it is started, or whenever one looks."""

    def __init__(self, job: Job, *, hopeless: bool = False) -> None:
        self.job = job
        self.hopeless = hopeless
        self.started: list[bool] = []
        self.up = True

    def endpoints(self) -> Any:
        return SimpleNamespace(temporal_address="here", temporal_ui_url=None) if self.up else None

    def status(self) -> list[Any]:
        return [SimpleNamespace(name="temporal", state="running"), SimpleNamespace(name="worker", state="stopped")]

    def ensure(self, *, wait_for_worker: bool) -> Any:
        self.started.append(wait_for_worker)
        if self.hopeless:
            raise ServerUnavailable("The worker ended while starting.")
        self.up = self.job.answers = True
        return self.endpoints()


@pytest.fixture
async def job() -> Job:
    return Job()


@pytest.fixture
def make_watch(job: Job, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Watch]:
    for name, seconds in (("SILENT_SECONDS", 0.1), ("QUIET_SECONDS", 0.3), ("SECOND_INTERRUPT_SECONDS", 0.5)):
        monkeypatch.setattr(watching, name, seconds)
    monkeypatch.setattr(watching.make_display("").__class__, "poll_seconds", 0.05)

    async def nothing(*_: Any) -> list[str]:
        return []

    monkeypatch.setattr(limits, "waits_for", nothing)

    def make(stack: Stack | None = None) -> Watch:
        shelf = SimpleNamespace(stack=stack or Stack(job), temporal_address="here", ui_url=None, settings=None)
        return Watch(shelf, job, "process-pages:book", None, "book")  # type: ignore[arg-type]

    return make


async def after(seconds: float, call: Callable[[], Any]) -> None:
    await asyncio.sleep(seconds)
    call()


async def test_the_result_is_seen_at_once(job: Job, make_watch: Callable[..., Watch]) -> None:
    asyncio.get_running_loop().call_later(0.2, job.end.set_result, RESULT)
    assert await asyncio.wait_for(make_watch().to_the_end(), 5) == RESULT
    assert job.asked >= 1


async def test_a_failed_job(job: Job, make_watch: Callable[..., Watch]) -> None:
    job.end.set_exception(WorkflowFailureError(cause=ApplicationError("Held by another.", type="LeaseHeld")))
    with pytest.raises(JobFailed, match="Held by another") as caught:
        await make_watch().to_the_end()
    assert caught.value.exit_code == 73


async def test_a_paused_job_is_left(job: Job, make_watch: Callable[..., Watch]) -> None:
    job.state, job.reason = "paused", "the disk is full"
    with pytest.raises(Paused, match=r"The job is paused: the disk is full. Go on with `shelf resume book`.") as caught:
        await make_watch().to_the_end()
    assert caught.value.exit_code == 4


async def test_ctrl_c_detaches_and_the_job_goes_on(
    job: Job, make_watch: Callable[..., Watch], capsys: pytest.CaptureFixture[str]
) -> None:
    asyncio.get_running_loop().call_later(0.2, os.kill, os.getpid(), signal.SIGINT)
    with pytest.raises(Detached) as caught:
        await make_watch().to_the_end()
    assert caught.value.exit_code == 130
    assert not job.cancelled
    err = capsys.readouterr().err
    assert "shelf watch book" in err
    assert "shelf cancel book" in err


async def test_ctrl_c_twice_cancels(
    job: Job, make_watch: Callable[..., Watch], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watching.sys, "stdin", SimpleNamespace(isatty=lambda: True))
    monkeypatch.setattr(watching.sys, "stderr", SimpleNamespace(isatty=lambda: True, write=print, flush=lambda: None))
    loop = asyncio.get_running_loop()
    for seconds in (0.2, 0.4):
        loop.call_later(seconds, os.kill, os.getpid(), signal.SIGINT)
    monkeypatch.setattr(watching, "make_display", lambda _: watching_display())
    with pytest.raises(JobCancelled):
        await make_watch().to_the_end()
    assert job.cancelled


def watching_display() -> Any:
    return SimpleNamespace(poll_seconds=0.05, update=lambda _: None, note=lambda _: None, close=lambda: None)


async def test_servers_that_die_are_started_again(
    job: Job, make_watch: Callable[..., Watch], capsys: pytest.CaptureFixture[str]
) -> None:
    stack = Stack(job)
    stack.up = job.answers = False
    watch = make_watch(stack)
    following = asyncio.ensure_future(watch.to_the_end())
    async with asyncio.timeout(10):
        while not stack.started:
            await asyncio.sleep(0.05)
    asyncio.get_running_loop().call_later(1.5, job.end.set_result, RESULT)
    assert await following == RESULT
    assert stack.started == [False]
    assert capsys.readouterr().err == "No answer from worker: starting again. The job goes on by itself.\n"


async def test_servers_that_die_every_time_end_the_watch(job: Job, make_watch: Callable[..., Watch]) -> None:
    stack = Stack(job, hopeless=True)
    stack.up = job.answers = False
    with pytest.raises(ServerUnavailable) as caught:
        await asyncio.wait_for(make_watch(stack).to_the_end(), 20)
    assert caught.value.exit_code == 69
    assert stack.started == [False, True, True, True]


async def test_a_job_that_stands_still_says_once_what_it_waits_for(
    job: Job, make_watch: Callable[..., Watch], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    looks: list[list[str]] = []

    async def paused_provider(_: Any, __: Any, workflow_ids: list[str]) -> list[str]:
        looks.append(workflow_ids)
        if len(looks) > 2 and not job.end.done():
            job.end.set_result(RESULT)
        return ["mistral, paused by ann: invoice unpaid (go on: `shelf queue resume mistral`)"]

    watch = make_watch()
    monkeypatch.setattr(limits, "waits_for", paused_provider)
    monkeypatch.setattr(watching, "QUIET_SECONDS", -1.0)  # at each look
    assert await asyncio.wait_for(watch.to_the_end(), 20) == RESULT
    assert looks[0] == ["process-pages:book"]
    assert capsys.readouterr().err.count("Waiting for mistral, paused by ann: invoice unpaid") == 1
