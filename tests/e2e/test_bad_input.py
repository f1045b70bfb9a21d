"""What is no book, and a disk without room: each its own error and sentence, and nothing left behind."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pymupdf
import pytest
from temporalio.client import WorkflowFailureError
from temporalio.exceptions import ApplicationError

from activities.contracts import JobResult, Progress
from providers.importing import import_source
from providers.local_artifacts import LocalArtifactStore
from providers.pdf import PdfReader
from schemas.documents import Lease
from schemas.errors import BadSource, DiskFull, ShelfError, SourceNotFound
from tests.e2e.machine import JOB_SECONDS, SAMPLE, Machine, files_below, until
from tests.workflows.conftest import Shelf, progress
from tests.workflows.conftest import until as in_skipped_time


def without_pages(path: Path) -> None:
    head = b"%PDF-1.4\n"
    catalog = b"1 0 obj\n<</Type/Catalog/Pages 2 0 R>>\nendobj\n"
    tree = b"2 0 obj\n<</Type/Pages/Kids[]/Count 0>>\nendobj\n"
    table = b"xref\n0 3\n0000000000 65535 f \n%010d 00000 n \n%010d 00000 n \n" % (len(head), len(head + catalog))
    trailer = b"trailer\n<</Root 1 0 R/Size 3>>\nstartxref\n%d\n%%%%EOF\n" % len(head + catalog + tree)
    path.write_bytes(head + catalog + tree + table + trailer)


def locked(path: Path) -> None:
    document = pymupdf.open()
    document.new_page()
    document.save(path, encryption=pymupdf.PDF_ENCRYPT_AES_256, owner_pw="owner", user_pw="secret")


def absurd(path: Path) -> None:
    document = pymupdf.open()
    document.new_page()
    document.new_page()
    document.xref_set_key(document[1].xref, "MediaBox", "[0 0 100000 100000]")
    document.save(path)


@dataclass(frozen=True)
class Bad:
    """A file that is no book, and what is said of it."""

    name: str
    make: Callable[[Path], object]
    error: type[ShelfError]
    says: str


FILES = (
    Bad("notes.pdf", lambda path: path.write_text("no book at all"), BadSource, "is not a PDF and not an image"),
    Bad("empty.pdf", lambda path: path.touch(), BadSource, "is empty (0 bytes)"),
    Bad("cut.pdf", lambda path: path.write_bytes(SAMPLE.read_bytes()[:400_000]), BadSource, "is truncated"),
    Bad("locked.pdf", locked, BadSource, "is locked by a password"),
    Bad("no-pages.pdf", without_pages, BadSource, "has no pages"),
    Bad("absurd.pdf", absurd, BadSource, "measures 1389 x 1389 inches"),
    Bad("nowhere.pdf", lambda path: None, SourceNotFound, "does not exist"),
)


async def test_imported_here(tmp_path: Path) -> None:
    artifacts = LocalArtifactStore(tmp_path / "artifacts")
    pdf = PdfReader()
    try:
        for bad in FILES:
            path = tmp_path / bad.name
            bad.make(path)
            with pytest.raises(bad.error) as refused:
                await import_source(pdf, artifacts, [path])
            assert bad.says in refused.value.message
            assert bad.name in refused.value.message
            assert refused.value.next_step
    finally:
        await pdf.close()
    assert files_below(tmp_path / "artifacts") == set()


@pytest.mark.slow
async def test_through_temporal(machine: Machine, tmp_path: Path) -> None:
    books, leases, files = await machine.books(), await machine.held_leases(), files_below(machine.artifacts)
    scans = machine.folder / "scans"
    outside = tmp_path / "outside.pdf"
    outside.write_bytes(SAMPLE.read_bytes())
    sample = "samples/a-day-at-a-time-scan.pdf"
    cases: list[tuple[Any, str, str]] = [
        ({"source": str(outside)}, "SourceNotAllowed", "lies outside the folders that the worker may read"),
        ({"source": "../outside.pdf"}, "SourceNotAllowed", "lies outside the folders that the worker may read"),
        ({"source": sample, "pagse": "1-2"}, "BadInput", "pagse"),
        ({"source": sample, "pages": "20-30"}, "BadInput", "26 pages"),
        ({"source": sample, "ocr": "crystal-ball"}, "BadInput", "crystal-ball"),
        ({"source": sample, "language": "xyz"}, "LanguageMissing", "xyz"),
        ({"source": sample, "fresh": "perhaps"}, "BadInput", "fresh"),
        ("samples", "BadInput", "input"),
    ]
    for bad in FILES:
        bad.make(scans / bad.name)
        cases.append(({"source": bad.name}, bad.error.__name__, bad.says))
    client = await machine.client()
    handles = [
        await client.start_workflow("ProcessPages", given, id=f"bad-{number}", task_queue="shelf")
        for number, (given, _, _) in enumerate(cases)
    ]
    ends = await asyncio.wait_for(
        asyncio.gather(*(handle.result() for handle in handles), return_exceptions=True), JOB_SECONDS
    )
    sentences = set()
    for (given, code, says), end in zip(cases, ends, strict=True):
        assert isinstance(end, WorkflowFailureError), given
        cause = end.cause
        assert isinstance(cause, ApplicationError)
        assert (cause.type, says in cause.message) == (code, True), f"{given}: {cause.type}: {cause.message}"
        assert len(cause.message) < 500
        sentences.add(cause.message)
    assert len(sentences) == len(cases)
    assert await machine.books() == books
    assert await machine.held_leases() == leases
    new = files_below(machine.artifacts) - files
    # A good source with a wrong wish (a language, an engine) may have been kept: it is the next job's.
    assert all(name.startswith(("sources/", "published/")) for name in new)
    assert sum(name.startswith("sources/") for name in new) <= 1
    assert sum(name.startswith("published/") for name in new) <= 1


@pytest.mark.slow
def test_an_artifact_folder_that_cannot_be_written(machine: Machine, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    environment = machine.environment | {"SHELF_ARTIFACTS_DIR": str(tmp_path / "file" / "artifacts")}
    for command in (["-m", "cli", "process", str(SAMPLE)], ["worker.py"]):
        done = subprocess.run(
            [sys.executable, *command],
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
            cwd=environment["PYTHONPATH"],
            env=environment | {"SHELF_WORKER": "external"},
        )
        assert done.returncode == 74, done.stderr
        assert "Cannot write" in done.stderr
        assert "set another artifact folder" in done.stderr
        assert "Traceback" not in done.stderr


class Disk:
    """A file system of a size that the test sets."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def mount(self, kilobytes: int) -> bool:
        return self._call("mount", "-t", "tmpfs", "-o", f"size={kilobytes}k", "tmpfs", str(self.folder))

    def resize(self, kilobytes: int) -> None:
        assert self._call("mount", "-o", f"remount,size={kilobytes}k", str(self.folder))

    def unmount(self) -> None:
        # Lazily: whatever a process that was just killed still holds goes with it.
        self._call("umount", "--lazy", str(self.folder))

    @staticmethod
    def _call(*command: str) -> bool:
        return subprocess.run(command, capture_output=True, check=False, timeout=20).returncode == 0


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Disk]:
    (tmp_path / "disk").mkdir()
    disk = Disk(tmp_path / "disk")
    if os.geteuid() != 0 or not disk.mount(600):
        pytest.skip("a small file system needs the right to mount one")
    try:
        yield disk
    finally:
        disk.unmount()


@pytest.mark.slow
async def test_a_full_disk_fails_the_start_and_pauses_the_run(
    small_disk: Disk, tmp_path: Path, defradb_binary: Path
) -> None:
    (tmp_path / "machine").mkdir()
    machine = Machine(tmp_path / "machine", defradb_binary, artifacts=small_disk.folder / "artifacts")
    source = {"source": "samples/a-day-at-a-time-scan.pdf", "pages": "1-12", "second_opinion": ""}
    try:
        machine.start()
        with pytest.raises(WorkflowFailureError) as failed:
            await machine.run_job("no-room", source)
        assert isinstance(failed.value.cause, ApplicationError)
        assert failed.value.cause.type == "DiskFull"
        assert "No room left to write" in failed.value.cause.message
        assert (await machine.books(), await machine.held_leases()) == ([], [])
        assert files_below(machine.artifacts) == set()

        small_disk.resize(SAMPLE.stat().st_size // 1024 + 130)
        handle = await machine.start_job("little-room", source)

        async def paused() -> Progress | None:
            now = await handle.query("progress", result_type=Progress)
            assert now.state not in ("complete", "complete_with_gaps"), "the disk was not full"
            return now if now.state == "paused" else None

        now = await until("the job is paused", paused)
        assert now.reason.startswith("DiskFull: No room left to write")
        assert now.failed == ()
        assert machine.ended() > 1, "it was full before anything was read"

        small_disk.resize(100_000)
        done = machine.shelf("resume", (await machine.books())[0])
        assert done.returncode == 0, done.stderr
        result = await asyncio.wait_for(handle.result(), JOB_SECONDS)
        assert (result.state, result.pages_complete, result.failed) == ("complete", 12, ())
        assert await machine.held_leases() == []
        pages = [row for row in (await machine.documents(result.book_id)).values() if row.get("page") and "text" in row]
        assert len([row for row in pages if row.get("ocr_complete")]) == 12
    finally:
        machine.end()


async def test_a_full_disk_in_the_middle_pauses_with_the_reason(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same where no file system can be mounted: the fault is in the store."""
    room = [12]
    publish = LocalArtifactStore.publish

    def without_room(self: LocalArtifactStore, fingerprint: str, body: bytes) -> None:
        if room[0] <= 0:
            raise DiskFull("No room left to write here.", "Free some space.")
        room[0] -= 1
        publish(self, fingerprint, body)

    monkeypatch.setattr(LocalArtifactStore, "publish", without_room)
    with shelf.env.auto_time_skipping_disabled():
        handle = await shelf.start(9)

        async def is_paused() -> bool:
            return (await progress(handle)).state == "paused"

        await in_skipped_time(is_paused)
        assert (await progress(handle)).reason == "DiskFull: No room left to write here. Free some space."
        room[0] = 1000
        await handle.signal("resume")
        result: JobResult = await handle.result()
    assert (result.state, result.pages_complete, result.failed) == ("complete", 9, ())
    lease = (await shelf.store.get(Lease, [result.book_id]))[result.book_id]
    assert (lease.workflow_id, lease.epoch) == (None, 2), "what came after the pause has an epoch of its own"
