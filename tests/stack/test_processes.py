from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from cli.stack import processes


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(["sleep", "60"]) as child:
        yield child
        child.kill()


def test_a_process_is_known_by_its_birth(sleeper: subprocess.Popen[bytes]) -> None:
    born = processes.birth(sleeper.pid)
    assert born is not None
    assert processes.is_alive(sleeper.pid, born)
    assert born != processes.birth(os.getpid())


def test_a_reused_pid_is_not_ours_and_is_never_hit(sleeper: subprocess.Popen[bytes]) -> None:
    earlier = "another-boot:1"
    assert not processes.is_alive(sleeper.pid, earlier)
    processes.stop(sleeper.pid, earlier, grace_seconds=0.1)
    assert sleeper.poll() is None


def test_a_zombie_does_not_run(sleeper: subprocess.Popen[bytes]) -> None:
    sleeper.send_signal(signal.SIGKILL)
    deadline = time.monotonic() + 5
    while processes.birth(sleeper.pid) is not None:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert sleeper.returncode is None  # not yet waited for: the pid is still taken


def test_stop_is_gentle_first_and_firm_after_the_grace(tmp_path: Path) -> None:
    ready = tmp_path / "ready"
    stubborn = f"import signal, time; signal.signal(15, signal.SIG_IGN); open({str(ready)!r}, 'w'); time.sleep(60)"
    with subprocess.Popen([sys.executable, "-c", stubborn]) as child:
        while not ready.exists():
            time.sleep(0.01)
        born = processes.birth(child.pid)
        assert born is not None
        assert not processes.stop(child.pid, born, grace_seconds=0.2)
        assert not processes.is_alive(child.pid, born)

    with subprocess.Popen(["sleep", "60"]) as child:
        born = processes.birth(child.pid)
        assert born is not None
        assert processes.stop(child.pid, born, grace_seconds=5)


def test_processes_are_found_by_a_whole_argument_only(tmp_path: Path) -> None:
    wait = [sys.executable, "-c", "import time; time.sleep(60)"]
    mine, other = tmp_path / "a", tmp_path / "ab"
    with subprocess.Popen([*wait, str(mine)]) as first, subprocess.Popen([*wait, str(other)]) as second:
        try:
            deadline = time.monotonic() + 5
            while len(processes.find_by_argument(str(other))) != 1:  # between fork and exec it has our command line
                assert time.monotonic() < deadline
                time.sleep(0.01)
            assert [pid for pid, _ in processes.find_by_argument(str(mine))] == [first.pid]
            assert [pid for pid, _ in processes.find_by_argument(str(other))] == [second.pid]
        finally:
            first.kill()
            second.kill()


def test_what_is_spawned_has_its_own_session_and_log(tmp_path: Path) -> None:
    log = tmp_path / "log"
    child = processes.spawn(["sh", "-c", "echo out; echo err >&2; read x || echo no input"], log, os.environ, tmp_path)
    assert os.getsid(child.pid) == child.pid
    assert child.wait(timeout=5) == 0
    assert log.read_text() == "out\nerr\nno input\n"
