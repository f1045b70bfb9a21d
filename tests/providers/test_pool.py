"""The pool of killable processes, with engines that hang, crash, print and lie."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
import pytest_asyncio

from providers.errors import EngineCrashed, RateLimited, Rejected, ServerError
from providers.pool import EnginePool
from schemas.errors import LanguageMissing

FACTORY = "tests.providers.engines:obedient"
ROOT = Path(__file__).parents[2]


@pytest_asyncio.fixture
async def pool() -> AsyncIterator[EnginePool]:
    made = EnginePool(2, FACTORY, "obedient")
    yield made
    await made.close()
    assert made.pids == []


def exists(pid: int) -> bool:
    """Whether a process runs (a zombie does not)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except FileNotFoundError:
        return False


async def until(condition: Callable[[], bool], within_seconds: float = 30) -> None:
    async with asyncio.timeout(within_seconds):
        while not condition():
            await asyncio.sleep(0.02)


async def test_answers_reach_their_callers(pool: EnginePool) -> None:
    answers = await asyncio.gather(*(pool.run(("echo", n), 30) for n in range(50)))
    assert [answer.value for answer in answers] == list(range(50))
    assert len(pool.pids) == 2


async def test_started_only_when_used(pool: EnginePool) -> None:
    assert pool.pids == []
    first = (await pool.run("pid", 30)).value
    assert pool.pids == [first]
    assert (await pool.run("pid", 30)).value == first
    await pool.warm()
    assert len(pool.pids) == 2
    await pool.warm()
    assert len(pool.pids) == 2


async def test_arguments_reach_the_factory() -> None:
    pool = EnginePool(1, FACTORY, "obedient", {"greeting": "salve"})
    assert (await pool.run("greeting", 30)).value == "salve"
    await pool.close()


async def test_large_tasks_and_answers(pool: EnginePool) -> None:
    body = os.urandom(5_000_000)
    assert (await pool.run(("echo", body), 30)).value == body


async def test_libraries_that_print_do_no_harm(pool: EnginePool, capfd: pytest.CaptureFixture[str]) -> None:
    assert (await pool.run("print", 30)).value == "quiet"
    assert (await pool.run(("echo", 1), 30)).value == 1
    assert capfd.readouterr().out == ""


async def test_children_are_lean(pool: EnginePool) -> None:
    assert (await pool.run("threads", 30)).value == ("1", "1")
    modules = (await pool.run("modules", 30)).value
    assert {"pydantic", "temporalio", "numpy", "pymupdf", "rich"}.isdisjoint(modules)


async def test_over_its_time_limit_the_child_is_killed_and_replaced(pool: EnginePool) -> None:
    pid = (await pool.run("pid", 30)).value
    with pytest.raises(EngineCrashed, match=r"limit of 0.3 s on page 7 of x"):
        await pool.run(("sleep", 60, "late"), 0.3, what="page 7 of x")
    assert not exists(pid)
    assert (await pool.run(("echo", "next"), 30)).value == "next"


async def test_waiting_for_a_child_does_not_count(pool: EnginePool) -> None:
    answers = await asyncio.gather(*(pool.run(("sleep", 0.4, n), 2) for n in range(12)))
    assert [answer.value for answer in answers] == list(range(12))


@pytest.mark.parametrize(
    ("task", "said"),
    [("segfault", "SIGSEGV"), ("last words", "exit code 3; the model is upside down"), ("memory", "out of memory")],
)
async def test_a_crash_costs_one_task(pool: EnginePool, task: str, said: str) -> None:
    others = [asyncio.ensure_future(pool.run(("sleep", 0.2, n), 30)) for n in range(6)]
    with pytest.raises(EngineCrashed, match=said):
        await pool.run(task, 30, what="page 3")
    assert [answer.value for answer in await asyncio.gather(*others)] == list(range(6))


async def test_killed_in_the_middle_and_killed_when_idle(pool: EnginePool) -> None:
    pid = (await pool.run("pid", 30)).value
    work = asyncio.ensure_future(pool.run(("sleep", 60, None), 90))
    await asyncio.sleep(0.1)
    os.kill(pid, signal.SIGKILL)
    with pytest.raises(EngineCrashed, match="SIGKILL"):
        await work
    second = (await pool.run("pid", 30)).value
    os.kill(second, signal.SIGKILL)  # nobody's page: the next task must not pay for it
    await until(lambda: second not in pool.pids)
    assert (await pool.run(("echo", "fine"), 30)).value == "fine"


async def test_errors_keep_their_class(pool: EnginePool) -> None:
    with pytest.raises(Rejected, match="too large"):
        await pool.run("rejected", 30)
    with pytest.raises(RateLimited) as limited:
        await pool.run("limited", 30)
    assert limited.value.retry_after_seconds == 1.5
    with pytest.raises(LanguageMissing) as missing:
        await pool.run("language", 30)
    assert missing.value.next_step == "install xyz"
    with pytest.raises(ServerError, match=r"KeyError: 'x'") as bug:
        await pool.run("bug", 30)
    assert not isinstance(bug.value, EngineCrashed)
    assert len(pool.pids) == 1


async def test_an_engine_that_does_not_start() -> None:
    pool = EnginePool(1, FACTORY, "obedient", {"refuse": True})
    for _ in range(2):
        with pytest.raises(LanguageMissing, match="no such language"):
            await pool.run("pid", 30)
    missing = EnginePool(1, "providers.nowhere:Engine", "nowhere")
    with pytest.raises(ServerError, match="ModuleNotFoundError"):
        await missing.run("pid", 30)
    assert pool.pids == missing.pids == []


async def test_a_cancelled_call_gives_no_answer_to_the_next() -> None:
    pool = EnginePool(1, FACTORY, "obedient")
    await pool.warm()
    work = asyncio.ensure_future(pool.run(("sleep", 0.5, "stale"), 30))
    await asyncio.sleep(0.1)
    work.cancel()
    with pytest.raises(asyncio.CancelledError):
        await work
    assert (await pool.run(("echo", "fresh"), 30)).value == "fresh"
    assert len(pool.pids) == 1
    await pool.close()


async def test_close_kills_what_runs() -> None:
    pool = EnginePool(1, FACTORY, "obedient")
    pid = (await pool.run("pid", 30)).value
    work = asyncio.ensure_future(pool.run(("sleep", 60, None), 90))
    waiting = asyncio.ensure_future(pool.run(("echo", 1), 90))
    await asyncio.sleep(0.1)
    await pool.close()
    assert not exists(pid)
    for each in (work, waiting):
        with pytest.raises(EngineCrashed):
            await each


PARENT = """
import asyncio, sys
from providers.pool import EnginePool
async def main():
    pool = EnginePool(2, "tests.providers.engines:obedient", "obedient")
    await pool.warm()
    print(*pool.pids, flush=True)
    await asyncio.gather(pool.run(("sleep", 600, None), 900), pool.run("pid", 30))
    await asyncio.sleep(600)
asyncio.run(main())
"""


async def test_children_die_with_a_parent_that_is_killed() -> None:
    """One child is in the middle of a task, one is idle."""
    parent = subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE, cwd=ROOT)
    assert parent.stdout is not None
    pids = [int(pid) for pid in (await asyncio.to_thread(parent.stdout.readline)).split()]
    assert len(pids) == 2
    assert all(exists(pid) for pid in pids)
    parent.kill()
    parent.wait()
    parent.stdout.close()
    await until(lambda: not any(exists(pid) for pid in pids))


async def test_ctrl_c_in_the_terminal_does_not_reach_the_children(pool: EnginePool) -> None:
    pid = (await pool.run("pid", 30)).value
    assert os.getpgid(pid) != os.getpgrp()
