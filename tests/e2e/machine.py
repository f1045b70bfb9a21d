"""A Temporal dev server with a database file, a DefraDB on disk and a worker process, each of which a test may kill and
bring back on the same ports and data."""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

from temporalio.client import Client, WorkflowHandle
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.service import RPCError

from activities.contracts import JobResult
from cli.stack import servers
from schemas.defradb import DefraStore
from schemas.documents import Book, Chapter, Document, Lease, Metric, OcrResult, Page, Paragraph, ToC, TocEntry
from schemas.errors import StoreUnavailable

ROOT = Path(__file__).resolve().parents[2]
SAMPLE = ROOT / "samples" / "a-day-at-a-time-scan.pdf"
BOOK_TYPES: tuple[type[Document], ...] = (Book, Page, OcrResult, ToC, TocEntry, Chapter, Paragraph)
TESSERACT_PROCESSES = 2
"""As on a machine of two cores, wherever it runs."""
RAPIDOCR_PROCESSES = 1
BATCH_PAGES = 4
"""Of Tesseract's units."""
ENGINE_PROCESSES = TESSERACT_PROCESSES + RAPIDOCR_PROCESSES

START_SECONDS = 90.0
JOB_SECONDS = 300.0
"""The sample takes 15 s on an idle machine of two cores."""
RESUMES_SECONDS = 60.0
"""It goes on within 20 s on an idle machine; the bound only tells going on from not going on."""


class Machine:
    """Three processes of one folder; `start`, `kill` and `stop` name them 'temporal', 'defradb', 'worker'."""

    def __init__(
        self,
        folder: Path,
        defradb: Path,
        *,
        artifacts: Path | None = None,
        counted: bool = True,
    ) -> None:
        self.folder = folder
        self.artifacts = artifacts or folder / "artifacts"
        self.calls_log = folder / "calls"
        (folder / "scans").mkdir()
        port, ui_port, http_port, defradb_port = _free_ports(4)
        self.temporal_address = f"{servers.HOST}:{port}"
        self.temporal_http = f"{servers.HOST}:{http_port}"
        self.defradb_url = f"http://{servers.HOST}:{defradb_port}"
        program = ["-m", "tests.e2e.counted_worker"] if counted else [str(ROOT / "worker.py")]
        self.commands = {
            "temporal": servers.temporal_command(folder / "temporal.db", port, ui_port, http_port),
            "defradb": servers.defradb_command(defradb, folder / "defradb", defradb_port),
            "worker": [sys.executable, *program],
        }
        ours = ("SHELF_", "TEMPORAL_", "DEFRA_")
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith(ours)},
            "TEMPORAL_ADDRESS": self.temporal_address,
            "SHELF_DEFRADB_URL": self.defradb_url,
            "SHELF_ARTIFACTS_DIR": str(self.artifacts),
            "SHELF_SOURCE_ROOTS": json.dumps([str(ROOT), str(folder / "scans")]),
            "SHELF_HOME": str(folder / "home"),
            "SHELF_TESSERACT_PROCESSES": str(TESSERACT_PROCESSES),
            "SHELF_RAPIDOCR_PROCESSES": str(RAPIDOCR_PROCESSES),
            "SHELF_PROVIDERS": json.dumps(
                {"tesseract": {"in_flight": TESSERACT_PROCESSES + 1, "batch_pages": BATCH_PAGES}}
            ),
            "SHELF_TEST_CALLS": str(self.calls_log),
            "PYTHONPATH": str(ROOT),
            "OMP_THREAD_LIMIT": "1",
        }
        self.own: dict[str, dict[str, str]] = {}
        """Environment of single processes, over that of all."""
        self.processes: dict[str, subprocess.Popen[bytes]] = {}

    # Processes

    def start(self, *names: str) -> None:
        """Start these (all without names) and return once each answers."""
        names = names or ("temporal", "defradb", "worker")
        marks = {name: self._launch(name) for name in names}
        for name, mark in marks.items():
            deadline = time.monotonic() + START_SECONDS
            while not self._ready(name, mark):
                said = self._log(name).read_text(errors="replace")[-2000:]
                assert self.processes[name].poll() is None, f"{name} ended: {said}"
                assert time.monotonic() < deadline, f"{name} does not get ready: {said}"
                time.sleep(0.05)

    def kill(self, name: str) -> None:
        """SIGKILL, and wait until it is gone."""
        process = self.processes[name]
        assert process.poll() is None, f"{name} had ended by itself: {self._log(name).read_text()[-2000:]}"
        process.kill()
        process.wait()

    def stop(self, name: str, within_seconds: float = 60.0) -> int:
        """SIGTERM; returns the exit code."""
        self.processes[name].send_signal(signal.SIGTERM)
        return self.processes[name].wait(timeout=within_seconds)

    def end(self) -> None:
        """Stop all that run; the folder stays."""
        for process in reversed(self.processes.values()):
            if process.poll() is None:
                process.kill()
                process.wait()

    def _launch(self, name: str) -> int:
        log = self._log(name)
        mark = log.stat().st_size if log.exists() else 0
        with log.open("ab") as output:
            self.processes[name] = subprocess.Popen(
                self.commands[name],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                cwd=self.folder,
                env=self.environment | self.own.get(name, {}),
                start_new_session=True,
            )
        return mark

    def _ready(self, name: str, mark: int) -> bool:
        if name == "temporal":
            return servers.temporal_answers(self.temporal_http)
        if name == "defradb":
            return servers.defradb_answers(self.defradb_url)
        return b"serving " in self._log(name).read_bytes()[mark:]

    def _log(self, name: str) -> Path:
        return self.folder / f"{name}.log"

    # What the engines did

    def begun(self, since: int = 0) -> Counter[tuple[str, int]]:
        """(engine, physical page) -> how often an engine began to read it."""
        return Counter((engine, int(page)) for engine, page, _, event in self.calls(since) if event == "begin")

    def ended(self, since: int = 0) -> int:
        """Pages that engines have read to the end."""
        return sum(event == "end" for _, _, _, event in self.calls(since))

    def calls(self, since: int = 0) -> list[list[str]]:
        """Lines of the engines' log after the first `since`."""
        if not self.calls_log.exists():
            return []
        return [line.split() for line in self.calls_log.read_text().splitlines()][since:]

    # What people do

    def temporal(self, *arguments: str) -> str:
        """Temporal's own command line."""
        done = subprocess.run(
            [str(servers.temporal_program()), *arguments, "--address", self.temporal_address],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            env={name: value for name, value in self.environment.items() if not name.startswith("TEMPORAL_")},
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def shelf(self, *arguments: str, timeout: float = JOB_SECONDS) -> subprocess.CompletedProcess[str]:
        """Our command line, on these servers."""
        return subprocess.run(
            [sys.executable, "-m", "cli", *arguments],
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
            cwd=self.folder,
            env=self.environment | {"SHELF_WORKER": "external"},
        )

    async def client(self) -> Client:
        return await Client.connect(self.temporal_address, data_converter=pydantic_data_converter)

    async def start_job(self, workflow_id: str, job: Any) -> WorkflowHandle[Any, JobResult]:
        client = await self.client()
        return await client.start_workflow(
            "ProcessPages", job, id=workflow_id, task_queue="shelf", result_type=JobResult
        )

    async def run_job(self, workflow_id: str, job: Any) -> JobResult:
        handle = await self.start_job(workflow_id, job)
        return await asyncio.wait_for(handle.result(), JOB_SECONDS)

    # What lies in the database

    @asynccontextmanager
    async def store(self) -> Any:
        store = DefraStore(self.defradb_url)
        try:
            yield store
        finally:
            await store.close()

    async def documents(self, book: str) -> dict[str, dict[str, Any]]:
        """All documents of a book by key, without what tells one run from another."""
        found: dict[str, dict[str, Any]] = {}
        async with self.store() as store:
            for kind in BOOK_TYPES:
                where = {"key": book} if kind is Book else {"book_key": book}
                for document in await store.find(kind, where):
                    found[document.key] = {
                        name: value
                        for name, value in document.model_dump().items()
                        if not name.endswith(("_rev", "op_id")) and value is not None
                    }
        return found

    async def commits(self, book: str) -> dict[str, int]:
        """Versions of each document of a book."""
        counts = {}
        async with self.store() as store:
            for kind in BOOK_TYPES:
                for document in await store.find(kind, {"key": book} if kind is Book else {"book_key": book}, ["key"]):
                    counts[document.key] = len(await store.history(kind, document.key))
        return counts

    async def attempts(self, book: str) -> list[Metric]:
        """Metrics of the attempts that reached a provider."""
        async with self.store() as store:
            return [metric for metric in await store.find(Metric, {"book_key": book}) if metric.kind == "attempt"]

    async def held_leases(self) -> list[str]:
        async with self.store() as store:
            return [lease.key for lease in await store.find(Lease, {}) if lease.workflow_id]

    async def books(self) -> list[str]:
        async with self.store() as store:
            return [book.key for book in await store.find(Book, {}, ["key"])]


async def until(what: str, condition: Callable[[], Any], seconds: float = JOB_SECONDS) -> Any:
    """Wait for something to become true; a server that is away at the moment is no answer."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            result = condition()
            if isinstance(result, Awaitable):
                result = await result
        except (StoreUnavailable, RPCError, RuntimeError, OSError):
            result = None
        if result:
            return result
        assert time.monotonic() < deadline, f"not within {seconds:.0f} s: {what}"
        await asyncio.sleep(0.1)


def files_below(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()} if folder.exists() else set()


def _free_ports(count: int) -> list[int]:
    """Below the ports that the system hands out: while a server is away, nothing else may be given its port."""
    found: set[int] = set()
    while len(found) < count:
        port = random.randrange(20_000, 32_000)
        with closing(socket.socket()) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((servers.HOST, port))
            except OSError:
                continue
            found.add(port)
    return list(found)
