"""Starts, recognises and stops the embedded servers of one state folder.

`stack.json` holds what was started: command, pid, birth, ports. It is written under a lock and replaced whole. A process
counts as ours only if pid and birth agree with it and the server answers; whatever else has files of this folder on its
command line was left by a command that was killed, and is stopped before its place is taken.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from cli.stack import processes, servers
from cli.stack.defradb_binary import find_or_build
from cli.stack.progress import Progress, no_progress
from providers.artifact_stores import place_of
from schemas.errors import DiskFull, ServerUnavailable

if TYPE_CHECKING:
    from providers.settings import Settings

WORKER_SCRIPT = Path(__file__).parents[2] / "worker.py"
TEMPORAL_PORTS = {"port": 7233, "ui_port": 8233, "http_port": 7243}
DEFRADB_PORTS = {"port": 9181}
START_SECONDS = 60.0
"""They take 0.3 s (DefraDB), 1 s (Temporal) and 2 s (worker); a slow disk and a full machine take their time."""
PORT_ATTEMPTS = 5
WORKER_GRACE_SECONDS = 25.0
"""The worker gives units under way 20 s; the rest is for saying goodbye."""
SERVER_GRACE_SECONDS = 10.0
"""Temporal ends within 2 s; DefraDB never while a subscription is open, and survives SIGKILL."""
LOG_BYTES = 20_000_000
"""A longer log is set aside at the next start, one generation."""
ROOM_BYTES = 64_000_000
"""Free in the state folder, before a server is started: on a file system of 12 MB both hung, and said nothing."""
NAMES = ("temporal", "defradb", "worker")


@dataclass(frozen=True)
class Endpoints:
    """Where the parts are, once they answer."""

    temporal_address: str
    temporal_namespace: str
    temporal_ui_url: str | None
    """None for an external server whose `temporal_ui_url` is not set."""
    defradb_url: str
    artifacts: str
    """Folder or address of the artifact store, for people."""


@dataclass(frozen=True)
class Part:
    """One part of the stack, for people."""

    name: str
    state: str
    """running, stopped, silent (runs but does not answer) or, for servers that others run, external / unreachable."""
    address: str
    pid: int | None = None
    log: Path | None = None


@dataclass
class _Process:
    """One line of stack.json."""

    command: list[str]
    pid: int | None = None
    born: str | None = None
    ports: dict[str, int] = field(default_factory=dict)
    serves: dict[str, str] = field(default_factory=dict)
    """Of the worker: the addresses it was given."""
    keys: list[str] = field(default_factory=list)
    """Of the worker: names of the environment variables with providers' keys that it was started with."""

    @property
    def alive(self) -> bool:
        return processes.is_alive(self.pid, self.born)


class Stack:
    """The embedded servers whose state lies in one folder.

    Args:
        settings: `home` is the folder; servers that the user named are external.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.home = settings.home.resolve()
        self.logs = self.home / "logs"

    # --- what callers use ---

    def ensure(self, progress: Progress = no_progress, *, wait_for_worker: bool = True) -> Endpoints:
        """Start what does not run, and return once it answers; 10 ms if all is up.

        Args:
            progress: told what takes longer than a moment.
            wait_for_worker: False returns as soon as the two servers answer and the worker process exists.

        Raises:
            ServerUnavailable: something does not start or an external server does not answer; the message holds the end
                of its log.
            DiskFull: the state folder cannot be written, or has too little room for a server.
        """
        state = self._read()
        if self._is_up(state):
            return self._endpoints(state)
        self._check_external()
        program = None if self.settings.defradb_is_external else find_or_build(progress)
        with self._locked(progress):
            state = self._read()
            self._stop_left_behind(state, progress)
            self._start(state, program, progress, wait_for_worker)
            progress("")
            return self._endpoints(state)

    def down(self, progress: Progress = no_progress) -> list[str]:
        """Stop our processes, the worker first so that it can save what it has; returns the names of those stopped."""
        if not self.home.exists() and not self._left_behind({}):
            return []
        with self._locked(progress):
            state = self._read()
            stopped = [name for name in NAMES if name in state and state[name].alive]
            if "worker" in stopped:
                progress("stopping the worker", "it finishes the pages under way, at most 20 s")
                self._stop(state, "worker")
            for name in ("temporal", "defradb"):
                if name in stopped:
                    progress(f"stopping {name}")
                    self._stop(state, name)
            stopped += [f"process {pid}" for pid in self._stop_left_behind(state, progress)]
            progress("")
            return stopped

    def status(self) -> list[Part]:
        """How each part is at this moment; starts nothing."""
        state = self._read()
        settings = self.settings
        parts = []
        for name, external, address, check in (
            ("temporal", settings.temporal_is_external, settings.temporal_address, servers.temporal_accepts),
            ("defradb", settings.defradb_is_external, settings.defradb_url, servers.defradb_answers),
        ):
            if external:
                parts.append(Part(name, "external" if check(address) else "unreachable", address))
            else:
                parts.append(self._part(name, state.get(name), self._answers(name, state)))
        if settings.worker == "external":
            parts.append(Part("worker", "external", ""))
        else:
            parts.append(self._part("worker", state.get("worker"), True))
        return parts

    def new_keys(self) -> list[str]:
        """Names of variables with providers' keys that are set here, and were not when our worker was started."""
        worker = self._read().get("worker")
        if self.settings.worker == "external" or worker is None or not worker.alive:
            return []
        return [name for name in self._keys() if name not in worker.keys]

    def renew_worker(self, progress: Progress = no_progress, *, anyway: bool = False) -> bool:
        """Start our worker anew, so that it has the keys that are set here; whether that was needed.

        Args:
            anyway: also where it has all of them: one may have another value now.
        """
        with self._locked(progress):
            if self.settings.worker == "external" or not (anyway or self.new_keys()):
                return False
            state = self._read()
            progress("starting the worker anew", "it takes up keys and settings as they are now")
            if "worker" in state and state["worker"].alive:
                self._stop(state, "worker")
            mark = self._launch_worker(state)
            if mark is not None:
                self._await_worker(state["worker"], mark)
            progress("")
            return True

    def endpoints(self) -> Endpoints | None:
        """Where the parts are if all are up, else None; starts nothing."""
        state = self._read()
        return self._endpoints(state) if self._is_up(state) else None

    # --- state ---

    def _read(self) -> dict[str, _Process]:
        """What stack.json says; nothing if it is missing or damaged: then the command lines tell what is ours."""
        try:
            content = json.loads((self.home / "stack.json").read_text())
            return {name: _Process(**content[name]) for name in NAMES if name in content}
        except (OSError, ValueError, TypeError):
            return {}

    def _write(self, state: dict[str, _Process]) -> None:
        temporary = self.home / f"stack.json.{os.getpid()}"
        try:
            temporary.write_text(json.dumps({name: asdict(process) for name, process in state.items()}, indent=1))
            temporary.replace(self.home / "stack.json")
        except OSError as error:
            with contextlib.suppress(OSError):
                temporary.unlink()
            raise self._no_room(f"cannot be written: {error.strerror}") from error

    @contextlib.contextmanager
    def _locked(self, progress: Progress) -> Iterator[None]:
        """One command at a time starts or stops; the kernel drops the lock of one that was killed."""
        try:
            self.logs.mkdir(parents=True, exist_ok=True)
            lock = (self.home / "lock").open("w")
        except OSError as error:
            raise self._no_room(f"cannot be written: {error.strerror}") from error
        with lock:
            while True:
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    progress("waiting for another shelf command that starts or stops the servers")
                    time.sleep(0.05)
            yield

    def _is_up(self, state: dict[str, _Process]) -> bool:
        settings = self.settings
        temporal_up = (
            servers.temporal_accepts(settings.temporal_address)
            if settings.temporal_is_external
            else self._answers("temporal", state)
        )
        if not temporal_up:
            return False
        defradb_up = (
            servers.defradb_answers(settings.defradb_url)
            if settings.defradb_is_external
            else self._answers("defradb", state)
        )
        return defradb_up and (settings.worker == "external" or self._worker_serves(state))

    def _answers(self, name: str, state: dict[str, _Process]) -> bool:
        process = state.get(name)
        if process is None or not process.alive:
            return False
        if name == "temporal":
            return servers.temporal_answers(f"{servers.HOST}:{process.ports['http_port']}")
        return servers.defradb_answers(f"http://{servers.HOST}:{process.ports['port']}")

    def _worker_serves(self, state: dict[str, _Process]) -> bool:
        """Whether our worker lives and was given the addresses that hold today."""
        worker = state.get("worker")
        return worker is not None and worker.alive and worker.serves == self._served(state)

    def _served(self, state: dict[str, _Process]) -> dict[str, str]:
        endpoints = self._endpoints(state)
        return {
            "temporal": f"{endpoints.temporal_address}/{endpoints.temporal_namespace}",
            "defradb": endpoints.defradb_url,
            "artifacts": endpoints.artifacts,
        }

    def _endpoints(self, state: dict[str, _Process]) -> Endpoints:
        settings = self.settings
        temporal, ui = settings.temporal_address, settings.temporal_ui_url
        if not settings.temporal_is_external:
            ports = state["temporal"].ports
            temporal = f"{servers.HOST}:{ports['port']}"
            ui = f"http://{servers.HOST}:{ports['ui_port']}"
        defradb = settings.defradb_url
        if not settings.defradb_is_external:
            defradb = f"http://{servers.HOST}:{state['defradb'].ports['port']}"
        namespace = settings.temporal_namespace if settings.temporal_is_external else "default"
        return Endpoints(temporal, namespace, ui, defradb, place_of(settings))

    def _part(self, name: str, process: _Process | None, answers: bool) -> Part:
        log = self.logs / f"{name}.log"
        if process is None or not process.alive:
            return Part(name, "stopped", "", None, log if log.exists() else None)
        port = process.ports.get("port")
        return Part(
            name, "running" if answers else "silent", f"{servers.HOST}:{port}" if port else "", process.pid, log
        )

    # --- starting ---

    def _check_external(self) -> None:
        settings = self.settings
        if settings.temporal_is_external and not servers.temporal_accepts(settings.temporal_address):
            raise ServerUnavailable(
                f"No Temporal server answers at {settings.temporal_address}, the address that was configured.",
                "Start it, correct the address, or unset TEMPORAL_ADDRESS and temporal_address to let Shelf start its own.",
            )
        if settings.defradb_is_external and not servers.defradb_answers(settings.defradb_url):
            raise ServerUnavailable(
                f"No DefraDB answers at {settings.defradb_url}, the address that was configured.",
                "Start it, correct the address, or unset SHELF_DEFRADB_URL and defradb_url to let Shelf start its own.",
            )

    def _start(
        self, state: dict[str, _Process], program: Path | None, progress: Progress, wait_for_worker: bool
    ) -> None:
        """Start all that is missing at once, then wait for each: none needs another to begin."""
        managed: dict[str, Callable[[dict[str, int]], list[str]]] = {}
        if not self.settings.temporal_is_external:
            managed["temporal"] = lambda ports: servers.temporal_command(self.home / "temporal.db", **ports)
        if program is not None:
            managed["defradb"] = lambda ports: servers.defradb_command(program, self.home / "defradb", ports["port"])
        marks: dict[str, int] = {}
        for name, command in managed.items():
            process = state.get(name)
            if process is not None and process.alive:
                if self._becomes_ready(name, state, 0, within_seconds=servers.PROBE_SECONDS * 5):
                    continue
                progress(f"{name} runs but does not answer", "starting it anew")
                self._stop(state, name)
            self._check_room()
            marks[name] = self._launch(name, state, command)
        worker_mark = self._launch_worker(state)
        for name, mark in marks.items():
            progress(f"starting {name}")
            self._await_server(name, state, mark, managed[name])
        if "temporal" in marks:
            servers.keep_history_for_a_month(f"{servers.HOST}:{state['temporal'].ports['http_port']}")
        if not self._worker_current(state):  # a server had to take another port meanwhile
            self._stop(state, "worker")
            worker_mark = self._launch_worker(state)
        if worker_mark is not None and wait_for_worker:
            progress("starting the worker")
            self._await_worker(state["worker"], worker_mark)

    def _check_room(self) -> None:
        free = shutil.disk_usage(self.home).free
        if free < ROOM_BYTES:
            raise self._no_room(f"has {free / 1e6:.0f} MB left, and the servers need {ROOM_BYTES / 1e6:.0f}")

    def _no_room(self, what: str) -> DiskFull:
        return DiskFull(f"{self.home} {what}.", "Make room, or set SHELF_HOME.")

    def _worker_current(self, state: dict[str, _Process]) -> bool:
        worker = state.get("worker")
        return self.settings.worker == "external" or (worker is not None and worker.serves == self._served(state))

    def _launch(
        self, name: str, state: dict[str, _Process], command: Callable[[dict[str, int]], list[str]], fresh: bool = False
    ) -> int:
        """Start one server and write it down; returns where its part of the log begins.

        Ports are those of last time, so that links into the UI stay good, else the usual ones, else any free one.
        """
        usual = TEMPORAL_PORTS if name == "temporal" else DEFRADB_PORTS
        before = state[name].ports if name in state else {}
        ports: dict[str, int] = {}
        for key, port in usual.items():
            ports[key] = servers.free_port() if fresh else servers.free_port(before.get(key), port)
        # OTEL_* are for us: Temporal's server reads them too, and does not start with an exporter that it has not.
        theirs = ("DEFRA_", "TEMPORAL_", "OTEL_")
        environment = {key: value for key, value in os.environ.items() if not key.startswith(theirs)}
        return self._spawn(name, state, _Process(command(ports), ports=ports), environment, self.home)

    def _launch_worker(self, state: dict[str, _Process]) -> int | None:
        """Start the worker unless it runs with today's addresses; it waits for the servers by itself."""
        if self.settings.worker == "external" or self._worker_serves(state):
            return None
        if "worker" in state and state["worker"].alive:
            self._stop(state, "worker")
        endpoints = self._endpoints(state)
        given = {
            "SHELF_HOME": str(self.home),
            "SHELF_ARTIFACTS_DIR": str(self.settings.artifacts_dir),
            "SHELF_DEFRADB_URL": endpoints.defradb_url,
            "TEMPORAL_ADDRESS": endpoints.temporal_address,
            "TEMPORAL_NAMESPACE": endpoints.temporal_namespace,
            "OMP_THREAD_LIMIT": "1",
            "PYTHONUNBUFFERED": "1",
            # Its log is a file, but one for people.
            "SHELF_LOG_FORMAT": os.environ.get("SHELF_LOG_FORMAT", "text"),
        }
        inherited = {
            key: value
            for key, value in os.environ.items()
            if self.settings.temporal_is_external or not key.startswith("TEMPORAL_")
        }
        # -X takes any name: it marks the process as this folder's, for us and for whoever looks at `ps`.
        command = [sys.executable, "-X", f"shelf_home={self.home}", str(WORKER_SCRIPT)]
        process = _Process(command, serves=self._served(state), keys=self._keys())
        return self._spawn("worker", state, process, inherited | given, Path.cwd())

    def _keys(self) -> list[str]:
        """Names only: the values are nobody's business but the worker's."""
        from providers.queues import provider_queues

        names = {row.key_env for row in provider_queues(self.settings.providers).values()} - {""}
        return sorted(name for name in names if os.environ.get(name))

    def _spawn(
        self, name: str, state: dict[str, _Process], process: _Process, environment: dict[str, str], cwd: Path
    ) -> int:
        log = self.logs / f"{name}.log"
        with contextlib.suppress(FileNotFoundError):
            if log.stat().st_size > LOG_BYTES:
                log.replace(log.with_suffix(".log.1"))
        try:
            mark = log.stat().st_size if log.exists() else 0
            child = processes.spawn(process.command, log, environment, cwd)
        except OSError as error:
            raise ServerUnavailable(f"{name} cannot be started: {error}.", "Try `shelf doctor`.") from error
        _children.append(child)
        process.pid, process.born = child.pid, processes.birth(child.pid)
        state[name] = process
        self._write(state)
        return mark

    def _await_server(
        self, name: str, state: dict[str, _Process], mark: int, command: Callable[[dict[str, int]], list[str]]
    ) -> None:
        for _ in range(PORT_ATTEMPTS):
            if self._becomes_ready(name, state, mark, START_SECONDS):
                return
            said = self._log_since(name, mark)
            if state[name].alive:
                raise ServerUnavailable(
                    f"{name} does not answer after {START_SECONDS:.0f} s. Its log ends:\n{_tail(said)}",
                    f"See {self.logs / name}.log; `shelf down` stops what runs.",
                )
            if "address already in use" not in said and "already in use" not in said:
                raise ServerUnavailable(
                    f"{name} ended while starting. Its log ends:\n{_tail(said)}",
                    f"See {self.logs / name}.log and try `shelf doctor`.",
                )
            # Somebody took the port between our look and the server's.
            mark = self._launch(name, state, command, fresh=True)
        raise ServerUnavailable(f"{name} found its port taken {PORT_ATTEMPTS} times.", "Try again.")

    def _becomes_ready(self, name: str, state: dict[str, _Process], mark: int, within_seconds: float) -> bool:
        """Wait until this process answers; False if it ends first or time is up.

        Its own line in the log must have come too: on a taken port a stranger would answer in its place.
        """
        process = state[name]
        line = "Temporal Server:" if name == "temporal" else f"http://{servers.HOST}:{process.ports['port']}"
        deadline = time.monotonic() + within_seconds
        while process.alive and time.monotonic() < deadline:
            if line in self._log_since(name, mark) and self._answers(name, state):
                return True
            time.sleep(0.02)
        return False

    def _await_worker(self, worker: _Process, mark: int) -> None:
        deadline = time.monotonic() + START_SECONDS
        while "serving " not in self._log_since("worker", mark):
            ended = not worker.alive
            if ended or time.monotonic() > deadline:
                raise ServerUnavailable(
                    f"The worker {'ended' if ended else 'does not get ready'} while starting. Its log ends:\n"
                    f"{_tail(self._log_since('worker', mark))}",
                    f"See {self.logs / 'worker.log'} and try `shelf doctor`.",
                )
            time.sleep(0.05)

    def _log_since(self, name: str, mark: int) -> str:
        try:
            with (self.logs / f"{name}.log").open("rb") as log:
                log.seek(mark)
                return log.read().decode(errors="replace")
        except OSError:
            return ""

    # --- stopping ---

    def _stop(self, state: dict[str, _Process], name: str) -> None:
        process = state[name]
        if process.pid is not None and process.born is not None:
            grace = WORKER_GRACE_SECONDS if name == "worker" else SERVER_GRACE_SECONDS
            processes.stop(process.pid, process.born, grace)
        # The ports stay written: the next start takes them again.
        process.pid = process.born = None
        # On a full disk it is gone all the same: a process that does not live is not taken for ours.
        with contextlib.suppress(DiskFull):
            self._write(state)

    def _left_behind(self, state: dict[str, _Process]) -> list[tuple[int, str]]:
        """Processes of this folder that stack.json does not know: their command was killed before it wrote them down, or
        the folder was removed under them."""
        known = {process.pid for process in state.values() if process.alive}
        arguments = (f"shelf_home={self.home}", str(self.home / "temporal.db"), str(self.home / "defradb"))
        found = [process for argument in arguments for process in processes.find_by_argument(argument)]
        return [(pid, born) for pid, born in found if pid not in known]

    def _stop_left_behind(self, state: dict[str, _Process], progress: Progress) -> list[int]:
        left_behind = self._left_behind(state)
        for pid, born in left_behind:
            progress("stopping a server that an interrupted command left behind", f"pid {pid}")
            processes.stop(pid, born, SERVER_GRACE_SECONDS)
        return [pid for pid, _ in left_behind]


_children: list[subprocess.Popen[bytes]] = []
"""Kept so that Python does not warn about processes that are meant to outlive it."""


def _tail(text: str, lines: int = 15) -> str:
    return "\n".join(f"  {line}" for line in text.strip().splitlines()[-lines:]) or "  (nothing)"
