"""Working on again: contents anew, another engine's reading, some operations, several books at a time.

Comes after `test_sample.py`, whose book it goes on with."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from activities.contracts import JobResult
from schemas.documents import Page
from tests.cli.conftest import write_pdf
from tests.e2e.conftest import SampleRun
from tests.e2e.machine import JOB_SECONDS, Machine

pytestmark = pytest.mark.slow

ADDED_PAGES = (1, 2)


def shelf(machine: Machine, *arguments: str, code: int = 0) -> dict[str, Any]:
    """A command with `--json`."""
    done = machine.shelf(*arguments, "--json")
    assert done.returncode == code, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


async def called(machine: Machine, book: str, before: set[str]) -> Counter[tuple[str, str]]:
    """(operation, provider) -> pages (or 1 for the book) that providers were asked for since."""
    found = Counter[tuple[str, str]]()
    for metric in await machine.attempts(book):
        if metric.key not in before:
            found[str(metric.operation), str(metric.provider)] += metric.read or 0
    return found


async def attempts(machine: Machine, book: str) -> set[str]:
    return {metric.key for metric in await machine.attempts(book)}


async def test_the_contents_anew_by_command_read_no_page(sample_run: SampleRun) -> None:
    machine, book = sample_run.machine, sample_run.book
    before, mark = await attempts(machine, book), len(machine.calls())
    found = shelf(machine, "toc", book, "--rerun", "--diff")
    assert (found["job"], found["state"]) == ("RerunToc", "complete")
    assert found["workflow_id"] == f"rerun-toc:{book}"
    assert (found["diff"]["changes"], found["diff"]["unchanged"]) == ([], len(found["toc"]))
    assert found["diff"]["unchanged"] > 0
    assert len(machine.calls()) == mark
    assert {operation for operation, _ in await called(machine, book, before)} == {"toc_find", "toc_extract"}
    (job,) = shelf(machine, "status", book)["jobs"]
    assert (job["workflow_id"], job["state"]) == (f"rerun-toc:{book}", "complete"), "the last job of the book"


async def test_the_contents_anew_by_temporal_read_no_page(sample_run: SampleRun) -> None:
    machine, book = sample_run.machine, sample_run.book
    before, mark = await attempts(machine, book), len(machine.calls())
    machine.temporal(
        *("workflow", "start", "--type", "RerunToc", "--task-queue", "shelf", "--workflow-id", "contents-anew"),
        *("--input", json.dumps({"book_id": book})),
    )
    handle = (await machine.client()).get_workflow_handle("contents-anew", result_type=JobResult)
    result = await asyncio.wait_for(handle.result(), JOB_SECONDS)
    assert result.state == "complete"
    assert len(machine.calls()) == mark
    assert {operation for operation, _ in await called(machine, book, before)} == {"toc_find", "toc_extract"}


async def test_an_added_source_is_read_by_its_engine_alone(sample_run: SampleRun) -> None:
    machine, book = sample_run.machine, sample_run.book
    before, mark = await attempts(machine, book), len(machine.calls())
    found = shelf(machine, "add-source", book, "--ocr", "rapidocr", "--pages", "1-2")
    assert (found["job"], found["state"], found["pages_complete"]) == ("AddOcrSource", "complete", 2)
    assert {engine for engine, *_ in machine.calls(mark)} == {"rapidocr"}
    counts = await called(machine, book, before)
    read = {provider: count for (operation, provider), count in counts.items() if operation == "ocr"}
    assert read == {"rapidocr": sum(machine.begun(mark).values())}
    async with machine.store() as store:
        pages = [page for page in await store.find(Page, {"book_key": book}) if page.page in ADDED_PAGES]
    assert all(any("/ocr/rapidocr/" in key for key in page.ocr_results) for page in pages)
    mark = len(machine.calls())
    shelf(machine, "add-source", book, "--ocr", "rapidocr", "--pages", "1-2")
    assert len(machine.calls()) == mark, "it is there"


def test_readings_are_compared(sample_run: SampleRun) -> None:
    machine, book = sample_run.machine, sample_run.book
    found = shelf(machine, "compare", book)
    assert set(ADDED_PAGES) <= {page["page"] for page in found["pages"]}
    assert {row["provider"] for row in found["providers"]} == {"tesseract", "rapidocr"}
    assert all(row["seconds_per_page"] > 0 and row["cost_usd"] == 0 for row in found["providers"])
    one = shelf(machine, "compare", book, "--page", "2")
    assert [source["provider"] for source in one["sources"]] == ["tesseract", "rapidocr"]
    assert [line["text"] for line in one["lines"] if line["text"]] == [
        line for line in one["text"].splitlines() if line
    ]
    assert "tesseract" in machine.shelf("compare", book, "--page", "2").stdout


async def test_operations_by_name_and_from_one_on(sample_run: SampleRun) -> None:
    machine, book = sample_run.machine, sample_run.book
    mark = len(machine.calls())
    found = shelf(machine, "run", book, "--operations", "blend,label", "--pages", "1-3")
    assert (found["state"], set(found["operations"])) == ("complete", {"blend", "label"})
    found = shelf(machine, "process", book, "--from", "blend", "--pages", "1-3")
    assert (found["state"], found["pages"]) == ("complete", 3)
    assert len(machine.calls()) == mark, "nothing is read for it"
    before = await machine.commits(book)
    shelf(machine, "process", book, "--pages", "1-3")
    assert await machine.commits(book) == before
    assert shelf(machine, "retry", book, "--failed")["failed"] == []


async def test_a_batch_goes_on_past_a_broken_file_and_again_does_nothing(machine: Machine, tmp_path: Path) -> None:
    scans = tmp_path / "scans"
    scans.mkdir()
    lines = "The quick brown fox jumps over the lazy dog, and then it goes home again. " * 8
    for name in ("one", "two"):
        write_pdf(scans / f"{name}.pdf", f"{name}: {lines}", lines)
    (scans / "three.pdf").write_bytes(b"%PDF-1.7 and no more")
    manifest = scans / "scans.csv"
    manifest.write_text("path,barcode,pages\none.pdf,B-001,\ntwo.pdf,B-002,1\nthree.pdf,B-003,\n")

    planned = shelf(machine, "process", "--manifest", str(manifest), "--preview", code=65)
    assert [(row["pages"], row["runs"]) for row in planned["books"]] == [(2, True), (1, True), (None, False)]

    found = shelf(machine, "process", "--manifest", str(manifest), code=65)
    one, two, three = found["books"]
    assert [(row["state"], row["pages"], row["barcode"]) for row in (one, two, three)] == [
        ("complete", 2, "B-001"),
        ("complete", 1, "B-002"),
        ("failed", None, "B-003"),
    ]
    assert three["error"]["code"] == "BadSource"
    assert shelf(machine, "show", "b-001")["key"] == one["key"]

    before = [await machine.commits(row["key"]) for row in (one, two)]
    again = shelf(machine, "process", "--manifest", str(manifest), code=65)
    assert [row["state"] for row in again["books"]] == ["complete", "complete", "failed"]
    assert [await machine.commits(row["key"]) for row in (one, two)] == before
    rest = shelf(machine, "process", str(scans), "--only", "missing", code=65)
    assert {Path(row["source"]).name: row["state"] for row in rest["books"]} == {
        "one.pdf": "skipped",
        "two.pdf": "complete",
        "three.pdf": "failed",
    }


def test_a_watched_folder_is_read_once(machine: Machine, tmp_path: Path) -> None:
    write_pdf(tmp_path / "late.pdf", "A short page of text that is read from its layer. " * 10)
    (tmp_path / "broken.pdf").write_bytes(b"no book")
    first = shelf(machine, "watch-folder", str(tmp_path), "--once", "--every", "0.2", code=65)
    assert {Path(row["source"]).name: row["state"] for row in first["books"]} == {
        "broken.pdf": "failed",
        "late.pdf": "complete",
    }
    again = machine.shelf("watch-folder", str(tmp_path), "--once", "--every", "0.2")
    assert (again.returncode, again.stdout, again.stderr) == (0, "", "")
    assert (tmp_path / "broken.pdf").exists()
