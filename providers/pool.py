"""A pool of processes, each with one engine object, that may be killed at any moment without harm.

Engines are C++ libraries that hang, leak and crash on odd pages, hold the GIL, and are not safe in threads. So each
lives in a child process of its own and gets one task at a time by pipe. A task over its time limit gets the child
killed; after that, and after a crash, the next task starts a new child. Children die with their parent, even if
that is killed with -9.

A child is a fresh interpreter that imports only its engine (never a fork: the parent runs threads and an event loop),
in a session of its own, so that Ctrl-C in the terminal ends the parent's way and not a page.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import os
import pickle
import struct
import sys
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from providers.errors import EngineCrashed, ProviderError, ServerError
from schemas.errors import ShelfError

START_SECONDS = 120.0
"""For a child to import its engine and load its models; RapidOCR takes 5 s on a busy machine."""
STDERR_BYTES = 2000
"""Of a child's last words that go into the error message."""
STREAM_BYTES = 1 << 20

ENVIRONMENT = {
    # Tesseract's OpenMP threads cost five times the CPU for a gain of a tenth (facts/providers.md, finding 9); the
    # pool is the parallelism. Must be set before the library is loaded.
    "OMP_THREAD_LIMIT": "1",
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "PYTHONUNBUFFERED": "1",
}

_HEADER = struct.Struct("!I")


@dataclass(frozen=True, slots=True)
class Answer:
    """What a child returned, and what it took inside the child."""

    value: Any
    seconds: float
    cpu_seconds: float


@dataclass(slots=True, eq=False)
class _Child:
    process: asyncio.subprocess.Process
    last_words: deque[bytes] = field(default_factory=lambda: deque(maxlen=20))
    listener: asyncio.Task[None] | None = None

    @property
    def alive(self) -> bool:
        return self.process.returncode is None


class EnginePool:
    """Up to `processes` children, started when they are first needed.

    Args:
        processes: how many work at the same time; further tasks wait in order.
        factory: "module:callable"; called once in each child with `arguments`, returns the engine, itself a callable
            that takes a task and returns a value (both picklable).
        name: of the engine, for messages.
        arguments: picklable keyword arguments of the factory.

    Use it from one event loop at a time.
    """

    def __init__(self, processes: int, factory: str, name: str, arguments: dict[str, Any] | None = None) -> None:
        if processes < 1:
            raise ValueError("a pool needs a process")
        self.processes = processes
        self.name = name
        self._factory = factory
        self._arguments = arguments or {}
        self._places = asyncio.Semaphore(processes)
        self._idle: list[_Child] = []
        self._children: set[_Child] = set()
        self._running: set[asyncio.Task[Answer]] = set()
        self._closed = False

    async def run(self, task: Any, timeout_seconds: float, what: str = "") -> Answer:
        """Have one child carry out one task.

        Args:
            timeout_seconds: of the work itself; waiting for a free child and starting one do not count.
            what: the page, for messages.

        Raises:
            EngineCrashed: the child died, or ran over its time limit and was killed.
            ProviderError, ShelfError: what the engine raised, as it raised it.
            ServerError: any other exception of the engine.

        A cancelled call returns at once; its child finishes (or is killed at the limit) before it gets another task, so
        that no answer can reach the wrong caller.
        """
        work = asyncio.ensure_future(self._run(task, timeout_seconds, what))
        self._running.add(work)
        work.add_done_callback(self._forget)
        return await asyncio.shield(work)

    def _forget(self, work: asyncio.Task[Answer]) -> None:
        self._running.discard(work)
        if not work.cancelled():
            work.exception()  # looked at, so that a cancelled caller leaves no "never retrieved" behind

    async def _run(self, task: Any, timeout_seconds: float, what: str) -> Answer:
        async with self._places:
            child = await self._take()
            try:
                return await self._ask(child, task, timeout_seconds, what)
            finally:
                if child.alive and not self._closed:
                    self._idle.append(child)
                else:
                    await self._end(child)

    async def warm(self) -> None:
        """Start all children now, so that the first page need not wait for imports and models."""
        missing = self.processes - len(self._children)
        for child in await asyncio.gather(*(self._start() for _ in range(missing))):
            self._idle.append(child)

    async def close(self) -> None:
        """Kill all children. Tasks under way end as EngineCrashed. The pool may be used no more."""
        self._closed = True
        for child in list(self._children):
            await self._end(child)
        self._idle.clear()
        if self._running:
            await asyncio.gather(*self._running, return_exceptions=True)

    @property
    def pids(self) -> list[int]:
        """Of the living children."""
        return [child.process.pid for child in self._children if child.alive]

    async def _take(self) -> _Child:
        if self._closed:
            raise EngineCrashed(f"the {self.name} processes were stopped")
        while self._idle:
            child = self._idle.pop()
            if child.alive:
                return child
            await self._end(child)  # killed while it had nothing to do, by somebody else
        return await self._start()

    async def _start(self) -> _Child:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-c",
            "from providers.pool import child_main; child_main()",
            self._factory,
            str(os.getpid()),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            limit=STREAM_BYTES,
            env=_environment(),
            start_new_session=True,
        )
        child = _Child(process)
        self._children.add(child)
        child.listener = asyncio.ensure_future(_listen(child))
        try:
            await self._ask(child, self._arguments, START_SECONDS, "while starting")
        except BaseException:
            await self._end(child)
            raise
        return child

    async def _ask(self, child: _Child, task: Any, timeout_seconds: float, what: str) -> Answer:
        """Send a task, wait for its answer. After any other end than an answer, the child is dead."""
        where = f" on {what}" if what else ""
        try:
            async with asyncio.timeout(timeout_seconds):
                outcome, value, seconds, cpu_seconds = await self._exchange(child, task)
        except TimeoutError:
            await self._end(child)
            raise EngineCrashed(
                f"{self.name} ran over its limit of {timeout_seconds:g} s{where}; its process was killed"
            ) from None
        except (OSError, asyncio.IncompleteReadError, EOFError, pickle.UnpicklingError):
            # Given a moment to end by itself, it leaves its exit code; Popen.kill would take that from asyncio.
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(child.process.wait(), timeout=1)
            await self._end(child)
            raise EngineCrashed(f"{self.name} died{where}: {_obituary(child)}") from None
        except BaseException:
            await self._end(child)
            raise
        if outcome == "value":
            return Answer(value, seconds, cpu_seconds)
        if isinstance(value, (ProviderError, ShelfError)):
            raise value
        if outcome == "fatal":
            await self._end(child)
            raise EngineCrashed(f"{self.name} gave up{where}: {value}")
        raise ServerError(f"{self.name} failed{where}: {value}")

    async def _exchange(self, child: _Child, task: Any) -> tuple[str, Any, float, float]:
        stdin, stdout = child.process.stdin, child.process.stdout
        assert stdin is not None
        assert stdout is not None
        body = pickle.dumps(task, protocol=5)
        stdin.write(_HEADER.pack(len(body)) + body)
        await stdin.drain()
        (size,) = _HEADER.unpack(await stdout.readexactly(_HEADER.size))
        outcome, value, seconds, cpu_seconds = pickle.loads(await stdout.readexactly(size))  # noqa: S301  our own child
        return outcome, value, seconds, cpu_seconds

    async def _end(self, child: _Child) -> None:
        """Kill a child and wait until it is gone; nothing it sent is read any more."""
        self._children.discard(child)
        if child.alive:
            with contextlib.suppress(ProcessLookupError):
                child.process.kill()
        await asyncio.shield(asyncio.ensure_future(_reap(child)))


async def _reap(child: _Child) -> None:
    await child.process.wait()
    if child.listener is not None:
        # A grandchild may hold the pipe open; its words are not waited for.
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(child.listener, timeout=0.5)
    transport = getattr(child.process, "_transport", None)
    if transport is not None:
        transport.close()  # else the pipes stay open until the garbage collector comes by


async def _listen(child: _Child) -> None:
    """Keep the last lines of a child's stderr: the libraries' complaints, of use only in an error message."""
    stderr = child.process.stderr
    assert stderr is not None
    while block := await stderr.read(4096):
        child.last_words.append(block)


def _obituary(child: _Child) -> str:
    code = child.process.returncode
    words = b"".join(child.last_words)[-STDERR_BYTES:].decode(errors="replace").strip()
    if code is None:
        cause = "its pipe broke"
    elif code >= 0:
        cause = f"exit code {code}"
    else:
        import signal

        name = signal.Signals(-code).name if -code in set(signal.Signals) else str(-code)
        cause = f"killed by {name}" + (" (out of memory?)" if name == "SIGKILL" else "")
    return f"{cause}; {words}" if words else cause


def _environment() -> dict[str, str]:
    """Of the children: ours, with the threads of numeric libraries off and the import path that this process has."""
    root = str(Path(__file__).resolve().parent.parent)
    path = [root, *(part for part in os.environ.get("PYTHONPATH", "").split(os.pathsep) if part and part != root)]
    return {**os.environ, **ENVIRONMENT, "PYTHONPATH": os.pathsep.join(path)}


# The child's side


def child_main() -> None:
    """Serve tasks from stdin until it ends. argv: factory, parent's pid."""
    import time

    factory, parent = sys.argv[1], int(sys.argv[2])
    _die_with(parent)
    tasks = os.fdopen(os.dup(0), "rb", buffering=STREAM_BYTES)
    answers = os.fdopen(os.dup(1), "wb", buffering=0)
    # What a library prints must not get between the answers, and nothing may read the tasks away.
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(2, 1)

    engine: Callable[[Any], Any] | None = None
    while (task := _read(tasks)) is not None:
        started, cpu = time.perf_counter(), time.process_time()
        value: Any
        try:
            if engine is None:
                module, _, attribute = factory.partition(":")
                engine = getattr(importlib.import_module(module), attribute)(**task[0])
                outcome, value = "value", None
            else:
                outcome, value = "value", engine(task[0])
        except (ProviderError, ShelfError) as error:
            error.__cause__ = error.__context__ = error.__traceback__ = None
            outcome, value = "error", error
        except MemoryError:
            outcome, value = "fatal", "out of memory"
        except Exception as error:
            import traceback

            traceback.print_exc()
            outcome, value = "error", f"{type(error).__name__}: {str(error)[:1000]}"
        body = pickle.dumps((outcome, value, time.perf_counter() - started, time.process_time() - cpu), protocol=5)
        answers.write(_HEADER.pack(len(body)))
        view = memoryview(body)
        while view:  # unbuffered: a pipe takes what fits
            view = view[answers.write(view) :]
    # Not sys.exit: the engines' own destructors have been seen to crash.
    os._exit(0)


def _read(tasks: BinaryIO) -> tuple[Any] | None:
    """The next task, in a tuple because it may be None itself; None at the end of the pipe."""
    header = tasks.read(_HEADER.size)
    if len(header) < _HEADER.size:
        return None
    (size,) = _HEADER.unpack(header)
    body = tasks.read(size)
    return (pickle.loads(body),) if len(body) == size else None  # noqa: S301  our own parent


def _die_with(parent: int) -> None:
    """End this process when its parent ends, however that ends: at the next read of the pipe everywhere, and on Linux
    also in the middle of a page."""
    if sys.platform == "linux":
        import ctypes
        import signal

        # The signal comes when the *thread* that started us ends: the event loop's, which is right.
        ctypes.CDLL(None, use_errno=True).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
        # Where memory runs out, a page should fail, not the worker or a server.
        with contextlib.suppress(OSError):
            Path("/proc/self/oom_score_adj").write_text("500")
    if os.getppid() != parent:  # it ended before that line
        os._exit(0)
