"""BuildStructure on the sample that was processed through real servers: by Temporal's own command line, then by ours."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from dataclasses import dataclass
from typing import Any

import pytest

from activities.contracts import JobResult
from books.view import BookView, load_book
from providers.local_artifacts import LocalArtifactStore
from tests.e2e.conftest import SampleRun
from tests.e2e.machine import JOB_SECONDS
from tests.providers.reading_helpers import sample_truth

pytestmark = pytest.mark.slow

TRUTH = sample_truth()


@dataclass(frozen=True)
class Built:
    """What the job and two runs of the command left."""

    result: JobResult
    view: BookView
    words: Counter[tuple[int, int, int]]
    """Every word of the blended readings: 0; one more for each paragraph or left-out run that has it."""
    commits: tuple[dict[str, int], dict[str, int]]
    output: dict[str, Any]


@pytest.fixture(scope="module")
def built(sample_run: SampleRun) -> Built:
    machine, book = sample_run.machine, sample_run.book
    machine.temporal(
        *("workflow", "start", "--type", "BuildStructure", "--task-queue", "shelf", "--workflow-id", "parts"),
        *("--input", json.dumps({"book_id": book})),
    )

    async def finish() -> tuple[JobResult, BookView, Counter[tuple[int, int, int]], dict[str, int]]:
        client = await machine.client()
        handle = client.get_workflow_handle("parts", result_type=JobResult)
        result = await asyncio.wait_for(handle.result(), JOB_SECONDS)
        async with machine.store() as store:
            view = await load_book(store, LocalArtifactStore(machine.artifacts), book)
        return result, view, _words(view), await machine.commits(book)

    result, view, words, commits = asyncio.run(finish())
    done = machine.shelf("structure", book, "--json")
    assert done.returncode == 0, done.stderr
    return Built(result, view, words, (commits, asyncio.run(machine.commits(book))), json.loads(done.stdout))


def _words(view: BookView) -> Counter[tuple[int, int, int]]:
    words: Counter[tuple[int, int, int]] = Counter()
    for page in view.pages:
        reading = view.reading(page)
        for at, line in enumerate(reading.lines if reading is not None else ()):
            words.update({(page.page or 0, at, word): 0 for word in range(len(line.words))})
    runs = [span for paragraph in view.paragraphs for span in json.loads(paragraph.spans or "[]")]
    body = view.artifacts.get(str(view.book.flag("paragraph", "artifact"))) or b"{}"
    runs += [run[:4] for run in json.loads(body)["left_out"]]
    for page_number, at, first, last in runs:
        words.update((page_number, at, word) for word in range(first, last))
    return words


def test_the_job_is_complete(built: Built) -> None:
    assert built.result.state == "complete", built.result.failed
    assert {name: count.complete for name, count in built.result.operations.items()} == {
        "toc_link": 1,
        "structure": 1,
        "paragraph": 1,
    }
    assert built.view.structure_is_current, "exports would leave it out"


def test_every_entry_is_on_its_leaf_without_a_mismatch(built: Built) -> None:
    view = built.view
    assert [(link["page"], link["method"], link["mismatch"]) for link in view.links] == [
        (row["page"], "label+title", None) for row in TRUTH["toc"]
    ]
    assert view.toc is not None
    assert view.toc.mismatch_count == 0


def test_chapters_are_those_of_the_truth_and_every_page_is_in_one(built: Built) -> None:
    chapters = built.view.chapters
    assert [(c.title, c.start_page, c.start_label) for c in chapters if not c.bucket] == [
        (row["title"], row["page"], row["printed"]) for row in TRUTH["toc"]
    ]
    pages = [page for c in chapters for page in range(c.start_page or 0, (c.end_page or 0) + 1)]
    assert pages == list(range(1, 27))
    assert [c.bucket for c in chapters if c.bucket] == ["front matter", "contents"]
    assert {c.matter for c in chapters if not c.bucket} == {"body"}


def test_paragraphs_have_every_word_once(built: Built) -> None:
    assert set(built.words.values()) == {1}
    view = built.view
    assert view.book.paragraph_count == len(view.paragraphs)
    assert {paragraph.chapter_key for paragraph in view.paragraphs} == {chapter.key for chapter in view.chapters}
    headings = [paragraph.text or "" for paragraph in view.paragraphs if paragraph.kind == "heading"]
    for row in TRUTH["toc"]:
        assert any(heading.endswith(row["title"]) for heading in headings)
    text = " ".join(paragraph.text or "" for paragraph in view.paragraphs)
    assert "looking anxiously ahead" in text, "a word that a line's end divides"
    assert not any(paragraph.kind == "figure" for paragraph in view.paragraphs), "the sample has none"


def test_a_second_run_adds_no_commit_and_shows_the_chapters(built: Built, sample_run: SampleRun) -> None:
    before, after = built.commits
    assert sum("/paragraph/" in key for key in before) == len(built.view.paragraphs)
    assert after == before
    assert [row["title"] for row in built.output["chapters"] if not row["bucket"]] == [r["title"] for r in TRUTH["toc"]]
    assert built.output["mismatches"] == []
    shown = sample_run.machine.shelf("chapters", sample_run.book)
    assert shown.returncode == 0, shown.stderr
    rows = [row.split() for row in shown.stdout.splitlines()]
    assert ["(Contents)", "front", "3", "iii", "bucket"] in rows
    assert ["The", "Doctor", "body", "20-23", "17-20", "contents"] in rows
