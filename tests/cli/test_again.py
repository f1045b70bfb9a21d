"""What `shelf retry` and `shelf run` ask of their jobs. The database is a book with a failed page, Temporal is made up."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from typer.testing import CliRunner

from activities.contracts import FailedItem, JobResult
from cli import again, jobs, starting
from cli.main import make_app
from schemas.documents import Book, Page
from schemas.errors import BadInput
from schemas.store import Update
from tests.cli.conftest import BOOK, Library, key_of

Started = list[tuple[str, dict[str, Any]]]


@pytest.fixture
def working(library: Library, monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """The servers: the library's store; no job is known unless a test says so."""

    async def temporal() -> None:
        return None

    async def no_job(*_: Any) -> Any:
        raise BadInput("No job is known.")

    monkeypatch.setattr(jobs, "find_job", no_job)
    return SimpleNamespace(store=library.store, temporal=temporal)


async def prepared(shelf: Any, provider: str | None = None) -> Any:
    return await again._retry_of(shelf, BOOK, provider)()


async def test_only_the_failed_page_is_tried(working: SimpleNamespace) -> None:
    beginning = await prepared(working, "rapidocr")
    assert (beginning.book, beginning.job) == (BOOK, "ProcessPages")
    assert beginning.given == {"book_id": BOOK, "pages": "4", "stand_in": "rapidocr", "priority": 2}


async def test_a_page_that_never_got_a_document_is_known_to_the_last_job(
    working: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    failed = tuple(FailedItem(page=n, operation="extract", code="BadOutput", message="?") for n in (3, 9))
    result = JobResult(
        job="ProcessPages", book_id=BOOK, state="x", pages=9, pages_complete=1, operations={}, failed=failed
    )

    async def handle_result() -> JobResult:
        return result

    async def last_job(*_: Any) -> Any:
        return SimpleNamespace(running=False, handle=SimpleNamespace(result=handle_result))

    monkeypatch.setattr(jobs, "find_job", last_job)
    assert (await prepared(working)).given == {"book_id": BOOK, "pages": "4,9", "priority": 2}, (
        "page 3 has succeeded since"
    )


async def test_failures_that_the_last_job_only_counted(
    working: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A result names 20 failures; of a job on the whole book, every page without a document is one of the others."""
    await working.store.update(Book, "source", 9, 1, [Update(BOOK, {"page_count": 9}, {}, "nine")])
    named = (FailedItem(page=6, operation="extract", code="BadOutput", message="?"),)
    facts: dict[str, Any] = {
        "job": "ProcessPages",
        "book_id": BOOK,
        "state": "x",
        "operations": {},
        "pages_complete": 1,
    }

    def last_job(pages: int) -> Any:
        async def handle_result() -> JobResult:
            return JobResult(**facts, pages=pages, failed=named, failed_count=4)

        async def find(*_: Any) -> Any:
            return SimpleNamespace(running=False, handle=SimpleNamespace(result=handle_result))

        return find

    monkeypatch.setattr(jobs, "find_job", last_job(pages=9))
    assert (await prepared(working)).given["pages"] == "4-9"
    monkeypatch.setattr(jobs, "find_job", last_job(pages=3))
    assert (await prepared(working)).given["pages"] == "4,6", "of a job on some pages it is not known which"


async def test_where_only_the_books_own_failed_no_page_is_asked_for_anew(working: SimpleNamespace) -> None:
    cleared = Update(key_of(4), {}, {"complete": True, "error": None}, "cleared")
    await working.store.update(Page, "ocr", 9, 1, [cleared])
    assert await prepared(working) == "nothing of it failed"
    noted = Update(BOOK, {}, {"error": "TimedOut: late"}, "noted")
    await working.store.update(Book, "metadata", 9, 1, [noted])
    assert (await prepared(working)).given == {"book_id": BOOK, "pages": "1-4", "priority": 2}


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> Started:
    """Jobs that commands would start."""
    found: Started = []

    def run_on_book(book: str, job: str, given: dict[str, Any], **_: Any) -> None:
        found.append((job, given))

    monkeypatch.setattr(starting, "run_on_book", run_on_book)
    return found


@pytest.mark.parametrize(
    ("arguments", "job", "given"),
    [
        (
            ["run", BOOK, "--operations", "blend, label", "--pages", "1-3", "--from", "blend"],
            "RunOperations",
            {"operations": ["blend", "label"], "pages": "1-3", "from_operation": "blend"},
        ),
        (["run", BOOK, "--operations", "ocr", "--fresh"], "RunOperations", {"operations": ["ocr"], "fresh": True}),
        (["add-source", BOOK, "--ocr", "rapidocr"], "AddOcrSource", {"provider": "rapidocr"}),
        (
            ["add-source", BOOK, "--ocr", "rapidocr", "--pages", "2", "--no-blend", "--lang", "deu"],
            "AddOcrSource",
            {"provider": "rapidocr", "pages": "2", "language": "deu", "blend": False},
        ),
    ],
)
def test_what_a_command_asks_for(started: Started, arguments: list[str], job: str, given: dict[str, Any]) -> None:
    assert CliRunner().invoke(make_app(), arguments).exit_code == 0
    assert started == [(job, given)]


def test_every_job_of_a_book_has_an_id_of_its_own() -> None:
    assert jobs.job_id("book") == "process-pages:book"
    assert jobs.job_id("book", "AddOcrSource") == "add-ocr-source:book"
    assert len(set(jobs.job_ids("book"))) == len(jobs.job_ids("book"))


async def test_the_job_that_runs_is_found_before_the_one_that_ran_last(monkeypatch: pytest.MonkeyPatch) -> None:
    known = {"a:book": ("ended", 1), "b:book": ("running", 2), "c:book": ("ended", 3)}

    async def describe(client: Any, book: str, workflow_id: str) -> Any:
        if workflow_id not in known:
            return None
        state, at = known[workflow_id]
        return SimpleNamespace(name=workflow_id, running=state == "running", description=SimpleNamespace(start_time=at))

    async def found() -> Any:
        return await jobs._foremost(client, "book", ["a:book", "b:book", "c:book", "d:book"])

    client: Any = None
    monkeypatch.setattr(jobs, "_describe", describe)
    assert (await found()).name == "b:book"
    known["b:book"] = ("ended", 2)
    assert (await found()).name == "c:book"
    known.clear()
    assert await found() is None


def test_retry_has_to_be_told_what(started: Started) -> None:
    done = CliRunner().invoke(make_app(), ["retry", BOOK])
    assert done.exit_code == 2
    assert "--failed" in done.stderr
