"""Real servers for tests: one DefraDB and one Temporal dev server a session, on free ports, gone at the end."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from cli.stack.defradb_binary import find_or_build
from cli.stack.progress import StderrProgress
from cli.stack.servers import defradb_command, temporal_command


def free_port() -> int:
    """A port of the loopback address that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def answers(url: str, body: dict[str, object] | None = None) -> bool:
    """Whether a GET, or a POST of `body` as JSON, is answered with 200."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=2) as response:
            return bool(response.status == 200)
    except (urllib.error.URLError, OSError):
        return False


@contextmanager
def running(command: list[str], log: Path, ready: Callable[[], bool], within_seconds: float = 30) -> Iterator[int]:
    """A server process while the block runs; yields its pid."""
    with log.open("ab") as output:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, cwd=log.parent)
    try:
        deadline = time.monotonic() + within_seconds
        while not ready():
            assert process.poll() is None, f"{command[0]} ended: {log.read_text()[-2000:]}"
            assert time.monotonic() < deadline, f"{command[0]} does not answer: {log.read_text()[-2000:]}"
            time.sleep(0.05)
        yield process.pid
    finally:
        process.terminate()
        try:
            process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@pytest.fixture(scope="session")
def defradb_binary() -> Path:
    """The DefraDB program; built first where there is none."""
    return find_or_build(StderrProgress(sys.__stderr__))


@pytest.fixture(scope="session")
def defradb_url(defradb_binary: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of a DefraDB in memory, shared by the session: tests keep apart by the keys they use."""
    folder = tmp_path_factory.mktemp("defradb")
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    command = defradb_command(defradb_binary, folder / "root", port, store="memory")
    with running(command, folder / "defradb.log", lambda: answers(f"{url}/api/v0/collections")):
        yield url


@pytest.fixture(scope="session")
def temporal_dev(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """host:port of a Temporal dev server in memory with Shelf's search attributes and one partition a queue."""
    folder = tmp_path_factory.mktemp("temporal")
    port, ui_port, http_port = free_port(), free_port(), free_port()
    command = temporal_command(None, port, ui_port, http_port)
    url = f"http://127.0.0.1:{http_port}/api/v1/namespaces/default"
    with running(command, folder / "temporal.log", lambda: answers(url)):
        yield f"127.0.0.1:{port}"
