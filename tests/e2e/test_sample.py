"""The sample scan, read by real engines through real servers, against its truth; then again, and anew."""

from __future__ import annotations

import asyncio
import json
import zipfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from temporalio.api.enums.v1 import EventType
from temporalio.api.sdk.v1 import WorkflowMetadata
from temporalio.client import Client, WorkflowHandle

from schemas.documents import Book, OcrResult, Page
from tests.e2e.conftest import SAMPLE_JOB, SampleRun
from tests.e2e.machine import ENGINE_PROCESSES, JOB_SECONDS, SAMPLE, Machine, until
from tests.providers.reading_helpers import character_errors, sample_truth
from workflows.details import GAP

pytestmark = pytest.mark.slow

TRUTH = sample_truth()
FRESH_PAGES = "1-6"
FRESH_KILLED_PAGES = "1-10"


@dataclass(frozen=True)
class Text:
    """A page's text where a reading is compared."""

    text: str


def phrase_of_one_page() -> tuple[str, dict[str, Any]]:
    """Words of a line in the middle of the book that stand nowhere else, and their page."""
    for page in TRUTH["pages"][len(TRUTH["pages"]) // 2 :]:
        for line in (page.get("text") or "").splitlines():
            words = " ".join(line.split()[1:6])
            others = sum(words in " ".join((each.get("text") or "").split()) for each in TRUTH["pages"])
            if page["label"] and others == 1 and len(words) > 20 and words.replace(" ", "").isalpha():
                return words, page
    raise AssertionError("the sample has no such line")


def pages_of(run: SampleRun) -> dict[int, dict[str, Any]]:
    return {row["page"]: row for key, row in run.documents.items() if "/leaf/" in key and "/ocr/" not in key}


class TestAgainstTheTruth:
    def test_the_job_is_complete(self, sample_run: SampleRun) -> None:
        result = sample_run.result
        assert (result.state, result.pages, result.pages_complete) == ("complete", 26, 26)
        assert result.failed == ()
        assert result.cost_usd == 0.0

    def test_metadata(self, sample_run: SampleRun) -> None:
        book = sample_run.documents[sample_run.book]
        wanted = {name: TRUTH[name] for name in ("title", "authors", "publisher", "year", "isbn", "language")}
        assert {name: book.get(name) for name in wanted} == wanted
        evidence = json.loads(book["metadata_evidence"])
        assert set(wanted) <= set(evidence)

    def test_contents(self, sample_run: SampleRun) -> None:
        toc = sample_run.documents[f"{sample_run.book}/toc"]
        assert toc["pages"] == TRUTH["toc_pages"]
        entries = sorted(
            (row for row in sample_run.documents.values() if row.get("toc_set") == toc["current_set"]),
            key=lambda row: row["sort_order"],
        )
        fields = ("title", "level", "page", "printed")
        assert [{name: row[name] for name in fields} for row in entries] == TRUTH["toc"]
        pages = pages_of(sample_run)
        assert [row["page_key"] for row in entries] == [pages[row["page"]]["key"] for row in entries]

    def test_labels(self, sample_run: SampleRun) -> None:
        pages = pages_of(sample_run)
        assert [pages[page["page"]].get("label") for page in TRUTH["pages"]] == [p["label"] for p in TRUTH["pages"]]

    def test_the_text(self, sample_run: SampleRun) -> None:
        readings = [(number, Text(row.get("text", ""))) for number, row in sorted(pages_of(sample_run).items())]
        assert len(readings) == 26
        assert character_errors(readings, TRUTH) <= 0.2  # type: ignore[arg-type]

    def test_search_finds_a_phrase_with_its_printed_page(self, sample_run: SampleRun) -> None:
        words, wanted = phrase_of_one_page()
        done = sample_run.machine.shelf("search", f'"{words}"', "--json")
        assert done.returncode == 0, done.stderr
        found = json.loads(done.stdout)
        assert (sample_run.book, wanted["page"], wanted["label"]) in [
            (hit["key"], hit["page"], hit["label"]) for hit in found["hits"]
        ]
        again = sample_run.machine.shelf("search", "--book", sample_run.book, f'"{words}"', "--json")
        hits = json.loads(again.stdout)["hits"]
        assert [(hit["page"], hit["label"]) for hit in hits] == [(wanted["page"], wanted["label"])]
        assert again.stderr == "", "the index was made by the search before"

    def test_the_shelf(self, sample_run: SampleRun) -> None:
        done = sample_run.machine.shelf("books", "--json")
        rows = {row["key"]: row for row in json.loads(done.stdout)["books"]}
        row = rows[sample_run.book]
        assert (row["state"], row["pages_complete"], row["pages_failed"], row["cost_usd"]) == ("complete", 26, 0, 0.0)
        assert row["toc_entries"] == len(TRUTH["toc"])

    def test_each_page_was_read_once(self, sample_run: SampleRun) -> None:
        assert set(sample_run.begun.values()) == {1}
        assert {page for engine, page in sample_run.begun if engine == "tesseract"} == set(range(1, 27))
        assert sum(engine == "rapidocr" for engine, _ in sample_run.begun) <= 2, "second opinions: at most 5 %"

    async def test_metrics_account_for_what_was_read(self, sample_run: SampleRun) -> None:
        attempts = [
            metric for metric in await sample_run.machine.attempts(sample_run.book) if metric.operation == "ocr"
        ]
        read = Counter[str]()
        for metric in attempts:
            read[str(metric.provider)] += metric.read or 0
        assert read["tesseract"] == 26
        assert read["rapidocr"] == sum(engine == "rapidocr" for engine, _ in sample_run.begun)
        assert {metric.outcome for metric in attempts} == {"ok"}


@pytest.fixture(scope="module")
def exports(sample_run: SampleRun) -> Path:
    """Every format, written by one command."""
    folder = sample_run.machine.folder / "exports"
    done = sample_run.machine.shelf("export", sample_run.book, "--format", "all", "--out", str(folder), "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["missing"] == []
    assert sorted(row["path"] for row in found["exports"]) == sorted(str(path) for path in folder.iterdir())
    return folder


class TestExports:
    def test_all_formats_are_there(self, exports: Path, sample_run: SampleRun) -> None:
        names = (".txt", ".md", ".json", ".epub", ".pdf", ".hocr", "-alto", "-mets")
        assert {path.name for path in exports.iterdir()} == {sample_run.book + name for name in names}

    def test_the_pdf_finds_every_word_where_it_was_read(self, exports: Path, sample_run: SampleRun) -> None:
        import pymupdf

        path = exports / f"{sample_run.book}.pdf"
        pages = json.loads((exports / f"{sample_run.book}.json").read_text())["pages"]
        with pymupdf.open(path) as document:
            assert [page.get_label() for page in document] == [row["label"] or "" for row in TRUTH["pages"]]
            assert [(title, page) for _, title, page in document.get_toc()] == [
                (row["title"], row["page"]) for row in TRUTH["toc"]
            ]
            for page, row in zip(document, pages, strict=True):
                read = [word for line in row["lines"] for word in line["words"]]
                words = page.get_text("words", sort=False)
                assert [word[4] for word in words] == [word["text"] for word in read]
                for word, known in zip(words, read, strict=True):
                    assert max(abs(a - b) for a, b in zip(word[:4], known["box"], strict=True)) <= 1.5
        assert path.stat().st_size <= 1.1 * SAMPLE.stat().st_size

    def test_the_epub_lists_the_printed_pages(self, exports: Path, sample_run: SampleRun) -> None:
        with zipfile.ZipFile(exports / f"{sample_run.book}.epub") as book:
            nav = book.read("EPUB/nav.xhtml").decode()
        for row in TRUTH["pages"]:
            assert row["label"] is None or f">{row['label']}</a>" in nav
        for row in TRUTH["toc"]:
            assert f"{row['title']}</a>" in nav


class TestWhatTemporalShows:
    @staticmethod
    def job(client: Client) -> WorkflowHandle[Any, Any]:
        return client.get_workflow_handle(SAMPLE_JOB)

    async def test_every_activity_has_a_summary(self, sample_run: SampleRun) -> None:
        client = await sample_run.machine.client()
        summaries: dict[str, set[str]] = {}
        for workflow_id in (SAMPLE_JOB, f"{SAMPLE_JOB}:e1:p0001-0026"):
            async for event in client.get_workflow_handle(workflow_id).fetch_history_events():
                if event.event_type == EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED:
                    name = event.activity_task_scheduled_event_attributes.activity_type.name
                    summaries.setdefault(name, set()).add(json.loads(event.user_metadata.summary.data or b'""'))
        assert "" not in set().union(*summaries.values())
        assert any(summary.startswith("p. 1 · tesseract") for summary in summaries["ocr_pages"])
        assert any("rapidocr · second" in summary for summary in summaries["ocr_pages"])
        assert {"ocr_pages", "save_ocr_results", "blend_pages", "infer_labels", "extract_contents"} <= set(summaries)

    async def test_ranges_carry_the_book_and_their_pages(self, sample_run: SampleRun) -> None:
        client = await sample_run.machine.client()
        description = await client.get_workflow_handle(f"{SAMPLE_JOB}:e1:p0001-0026").describe()
        assert await description.static_summary() == f"{sample_run.book} · pp. 1-26"

    async def test_current_details_are_a_table(self, sample_run: SampleRun) -> None:
        client = await sample_run.machine.client()
        metadata = await self.job(client).query("__temporal_workflow_metadata", result_type=WorkflowMetadata)
        details = metadata.current_details
        assert details.startswith(f"**{sample_run.book}** · complete")
        plain = details.replace(GAP, "")
        assert "| ocr | 26 | 0 | 0 | 0 | 26 |" in plain
        assert "| toc_extract | 1 |" in plain

    async def test_search_attributes_find_it(self, sample_run: SampleRun) -> None:
        query = f'ShelfBook="{sample_run.book}" AND ShelfState="complete" AND ShelfJob="ProcessPages"'

        def listed() -> list[dict[str, Any]]:
            rows = json.loads(sample_run.machine.temporal("workflow", "list", "--query", query, "--output", "json"))
            return [row for row in rows if row["execution"]["workflowId"] == SAMPLE_JOB]

        (row,) = await until("the job is listed", listed, 30)
        values = {
            name: json.loads(_decoded(payload)) for name, payload in row["searchAttributes"]["indexedFields"].items()
        }
        assert values["ShelfPagesDone"] == 26
        assert values["ShelfPagesFailed"] == 0
        assert values["ShelfCostUsd"] == 0


def _decoded(payload: dict[str, Any]) -> bytes:
    import base64

    return base64.b64decode(payload["data"])


@dataclass(frozen=True)
class Again:
    """A second run, and what it left untouched or not."""

    commits: tuple[dict[str, int], dict[str, int]]
    attempts: tuple[set[str], set[str]]
    calls: int
    output: dict[str, Any]


@pytest.fixture(scope="module")
def second_run(sample_run: SampleRun) -> Again:
    """By the command line this time."""
    machine, book = sample_run.machine, sample_run.book

    async def state() -> tuple[dict[str, int], set[str]]:
        return await machine.commits(book), {metric.key for metric in await machine.attempts(book)}

    before, mark = asyncio.run(state()), len(machine.calls())
    done = machine.shelf(
        "process", "--json", str(machine.environment["PYTHONPATH"]) + "/samples/a-day-at-a-time-scan.pdf"
    )
    assert done.returncode == 0, done.stderr
    after = asyncio.run(state())
    return Again((before[0], after[0]), (before[1], after[1]), len(machine.calls()) - mark, json.loads(done.stdout))


class TestASecondRun:
    def test_calls_no_provider(self, second_run: Again) -> None:
        assert second_run.calls == 0
        assert second_run.attempts[0] == second_run.attempts[1]

    def test_adds_no_commit(self, second_run: Again) -> None:
        before, after = second_run.commits
        assert len(before) >= 26 * 2 + 6 + 2
        assert after == before

    async def test_names_itself_in_temporal(self, sample_run: SampleRun, second_run: Again) -> None:
        client = await sample_run.machine.client()
        description = await client.get_workflow_handle(f"process-pages:{sample_run.book}").describe()
        assert (await description.static_summary() or "").startswith(sample_run.book)
        assert sample_run.book in (await description.static_details() or "")


@pytest.fixture(scope="module")
def after_second_run(second_run: Again, sample_run: SampleRun) -> Machine:
    """Reading anew changes what the others compare with, so it comes last."""
    return sample_run.machine


async def test_fresh_reads_anew_once_and_keeps_both_readings(sample_run: SampleRun, after_second_run: Machine) -> None:
    machine, book = after_second_run, sample_run.book
    mark = len(machine.calls())
    result = await machine.run_job("fresh", {"book_id": book, "pages": FRESH_PAGES, "fresh": True})
    assert result.state == "complete"
    read = machine.begun(mark)
    assert {page for engine, page in read if engine == "tesseract"} == set(range(1, 7))
    assert set(read.values()) == {1}, "a page was read twice"

    async with machine.store() as store:
        page = next(p for p in await store.find(Page, {"book_key": book}) if p.page == 5)
        readings = [r for r in await store.find(OcrResult, {"page_key": page.key}) if r.provider == "tesseract"]
        assert sorted(r.generation or 0 for r in readings) == [0, page.flag("ocr", "generation")]
        named = [v.changed["ocr_results"] for v in await store.history(Page, page.key) if v.changed.get("ocr_results")]
    assert [keys[0] for keys in named] == [r.key for r in sorted(readings, key=lambda r: r.generation or 0)], (
        "the history shows both readings, the old one first"
    )

    mark = len(machine.calls())
    before = await machine.commits(book)
    result = await machine.run_job("after-fresh", {"book_id": book, "pages": FRESH_PAGES})
    assert result.state == "complete"
    assert len(machine.calls()) == mark, "the new reading counts from now on"
    assert await machine.commits(book) == before


async def test_fresh_that_is_killed_reads_a_page_again_per_process_at_most(
    sample_run: SampleRun, after_second_run: Machine
) -> None:
    machine, book = after_second_run, sample_run.book
    mark = len(machine.calls())
    handle = await machine.start_job("fresh-killed", {"book_id": book, "pages": FRESH_KILLED_PAGES, "fresh": True})
    await until("three pages are read", lambda: machine.ended(mark) >= 3)
    machine.kill("worker")
    machine.start("worker")
    result = await asyncio.wait_for(handle.result(), JOB_SECONDS)
    assert (result.state, result.pages_complete) == ("complete", 10)
    read = machine.begun(mark)
    assert {page for engine, page in read if engine == "tesseract"} == set(range(1, 11))
    again = {item: count - 1 for item, count in read.items() if count > 1}
    assert sum(again.values()) <= ENGINE_PROCESSES, f"read again: {again}"
    async with machine.store() as store:
        generations = {
            page.flag("ocr", "generation")
            for page in await store.find(Page, {"book_key": book})
            if page.page is not None and page.page <= 10
        }
        (kept,) = await store.find(Book, {"key": book})
    assert len(generations) == 1
    assert generations != {0}
    assert kept.title == TRUTH["title"]
