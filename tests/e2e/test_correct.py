"""Corrections on the sample, by the command line and through Temporal: they win, nothing is read for them, and taken back
they leave the book as it was."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from activities.contracts import JobResult
from tests.e2e.conftest import SampleRun
from tests.e2e.machine import JOB_SECONDS

pytestmark = pytest.mark.slow


def shown(run: SampleRun, *arguments: str) -> Any:
    """What a command prints as JSON."""
    done = run.machine.shelf(*arguments, "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def titles(run: SampleRun) -> list[str]:
    return [entry["title"] for entry in shown(run, "toc", run.book)["toc"]]


def test_a_page_of_the_contents(sample_run: SampleRun, tmp_path: Path) -> None:
    machine, book = sample_run.machine, sample_run.book
    contents = sample_run.documents[f"{book}/toc"]["pages"][0]
    before = shown(sample_run, "page", book, str(contents))
    listed = titles(sample_run)
    old = next(title for title in listed if len(title.split()) > 1 and title in before["text"])
    new = f"Corrected {old}"
    file = tmp_path / "page.txt"
    file.write_text(before["text"].replace(old, new))
    calls = len(machine.calls())
    page = ("--page", str(contents))
    found = shown(sample_run, "correct", book, *page, "--text-file", str(file), "--who", "Ann", "--why", "a test")
    assert found["state"] == "complete"
    assert [(row["field"], row["who"], row["live"]) for row in found["corrections"]] == [("text", "Ann", True)]
    after = shown(sample_run, "page", book, str(contents))
    assert after["text"] == before["text"].replace(old, new)
    assert after["confidence"] == 100.0
    assert titles(sample_run) == [new if title == old else title for title in listed]
    why = shown(sample_run, "why", book, str(contents), "Corrected")
    assert why["occurrences"][0]["rule"] == "corrected by Ann"
    assert why["corrections"][0]["why"] == "a test"
    same = machine.shelf("correct", book, *page, "--text-file", str(file))
    assert (same.returncode, "nothing changed" in same.stderr) == (0, True)
    shown(sample_run, "correct", book, *page, "--revert")
    assert shown(sample_run, "page", book, str(contents))["text"] == before["text"]
    assert titles(sample_run) == listed
    assert len(machine.calls()) == calls, "no engine was asked"


async def test_a_label_and_a_year_through_temporal(sample_run: SampleRun) -> None:
    machine, book = sample_run.machine, sample_run.book

    def start(name: str, *said: dict[str, Any]) -> None:
        given = json.dumps({"book_id": book, "who": "Ann", "corrections": said})
        machine.temporal(
            *("workflow", "start", "--type", "Correct", "--task-queue", "shelf", "--workflow-id", name),
            *("--input", given),
        )

    async def end(name: str) -> JobResult:
        handle = (await machine.client()).get_workflow_handle(name, result_type=JobResult)
        return await asyncio.wait_for(handle.result(), JOB_SECONDS)

    start("by-hand", {"page": 1, "field": "label", "value": "A-1"}, {"field": "year", "value": 1717})
    assert (await end("by-hand")).state == "complete"
    documents = await machine.documents(book)
    (page,) = (row for row in documents.values() if row.get("page") == 1 and "index" in row)
    assert page["label"] == "A-1"
    assert documents[book]["year"] == 1717
    assert json.loads(documents[book]["metadata_evidence"])["year"]["source"] == "correction by Ann"
    start("by-hand-no-more", {"page": 1, "field": "label", "revert": True}, {"field": "year", "revert": True})
    await end("by-hand-no-more")
    documents = await machine.documents(book)
    assert documents[book]["year"] == sample_run.documents[book]["year"]
    assert documents[page["key"]].get("label") == sample_run.documents[page["key"]].get("label")
