"""Processes that outlive the command that started them, told apart from strangers that later got the same pid."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

PROC = Path("/proc")


def birth(pid: int) -> str | None:
    """What tells this process from every other with its pid: boot and start time; None if it does not run.

    A zombie does not run: it has ended and waits for its parent. It still counts while threads of it are ending, as these
    hold its ports and the locks of its databases: a successor would find them taken.
    """
    if PROC.joinpath("self").exists():
        try:
            # The name in parentheses may hold spaces; after it come, counted from 3: state, ..., 20 threads, 22 start in ticks.
            fields = (PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
            boot = (PROC / "sys/kernel/random/boot_id").read_text().strip()
        except (OSError, IndexError):
            return None
        has_ended = fields[0] in "ZX" and int(fields[17]) <= 1
        return None if has_ended else f"{boot}:{fields[19]}"
    said = subprocess.run(["ps", "-o", "state=,lstart=", "-p", str(pid)], check=False, capture_output=True, text=True)
    state, _, started = said.stdout.strip().partition(" ")
    return started.strip() if state and not state.startswith("Z") else None


def is_alive(pid: int | None, born: str | None) -> bool:
    """Whether exactly this process still runs."""
    return pid is not None and born is not None and birth(pid) == born


def spawn(command: Sequence[str], log: Path, environment: Mapping[str, str], cwd: Path) -> subprocess.Popen[bytes]:
    """Start a process in a session of its own: it survives our end, our terminal and its Ctrl-C."""
    with log.open("ab") as output:
        return subprocess.Popen(
            list(command),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=dict(environment),
            cwd=cwd,
            start_new_session=True,
        )


def find_by_argument(argument: str) -> list[tuple[int, str]]:
    """Pid and birth of our user's processes that have exactly this argument on their command line.

    Only for arguments that hold the path of a state folder, which belong to one stack alone.
    """
    found: list[tuple[int, str]] = []
    if PROC.joinpath("self").exists():
        wanted = os.fsencode(argument)
        for entry in PROC.iterdir():
            if not entry.name.isdigit():
                continue
            with contextlib.suppress(OSError):  # it ended meanwhile
                ours = entry.stat().st_uid == os.getuid() and wanted in (entry / "cmdline").read_bytes().split(b"\0")
                if ours and (born := birth(int(entry.name))):
                    found.append((int(entry.name), born))
        return found
    said = subprocess.run(["ps", "-xo", "pid=,command="], check=False, capture_output=True, text=True).stdout
    for line in said.splitlines():
        pid, _, command = line.strip().partition(" ")
        if f" {argument} " in f"{command} " and (born := birth(int(pid))):
            found.append((int(pid), born))
    return found


def stop(pid: int, born: str, grace_seconds: float) -> bool:
    """End one process: SIGTERM, then after the grace SIGKILL; True if it ended by itself.

    `born` is compared before each signal, so a stranger that got the pid is never hit.
    """
    for number, patience in ((signal.SIGTERM, grace_seconds), (signal.SIGKILL, 5.0)):
        if not is_alive(pid, born):
            return number == signal.SIGTERM
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)
        deadline = time.monotonic() + patience
        while time.monotonic() < deadline:
            with contextlib.suppress(ChildProcessError):  # our own child would stay a zombie
                os.waitpid(pid, os.WNOHANG)
            if not is_alive(pid, born):
                return number == signal.SIGTERM
            time.sleep(0.02)
    return False
