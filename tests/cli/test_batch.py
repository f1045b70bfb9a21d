"""Several books at a time: what runs, what each came to, and the exit code. Temporal is made up, the rest is not."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import Awaitable, Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from activities.contracts import FailedItem, JobResult
from cli import batch
from cli.batch import parse_only, run_batch, state_of
from cli.batch_rows import Row, Start, exit_code_of_rows
from cli.watch_folder import Notes, stamps
from schemas.documents import Book
from schemas.errors import BadInput, BadSource, ServerUnavailable, ShelfError
from tests.cli.conftest import BOOK, Library, link, write_pdf

Ends = dict[str, JobResult | ShelfError]


def result(book: str, failed: int = 0) -> JobResult:
    items = tuple(FailedItem(page=n + 1, operation="ocr", code="TimedOut", message="late") for n in range(failed))
    state = "complete_with_gaps" if failed else "complete"
    return JobResult(
        job="ProcessPages",
        book_id=book,
        state=state,
        pages=9,
        pages_complete=9 - failed,
        operations={},
        failed=items,
        failed_count=failed,
    )


class Jobs:
    """Stands for Temporal: what was started, how many at once, how each ends."""

    def __init__(self, ends: Ends) -> None:
        self.ends = ends
        self.started: list[str] = []
        self.open = self.most = 0
        self.forever = False

    async def start(self, shelf: Any, job: str, given: Any, *, book: str, **_: Any) -> Any:
        self.started.append(book)
        return SimpleNamespace(
            shelf=shelf, workflow_id=f"process-pages:{book}", run_id="r", reviving=None, follow=lambda _: self.end(book)
        )

    async def end(self, book: str) -> JobResult:
        self.open += 1
        self.most = max(self.most, self.open)
        await asyncio.sleep(3600 if self.forever else 0.02)
        self.open -= 1
        end = self.ends[book]
        if isinstance(end, ShelfError):
            raise end
        return end


@pytest.fixture
def jobs(monkeypatch: pytest.MonkeyPatch) -> Callable[[Ends], Jobs]:
    def make(ends: Ends) -> Jobs:
        made = Jobs(ends)
        monkeypatch.setattr(batch, "start", made.start)
        return made

    return make


def row(book: str, error: ShelfError | None = None) -> Row:
    async def prepare() -> Start:
        if error is not None:
            raise error
        return Start(book, "ProcessPages", {})

    preparing: Callable[[], Awaitable[Start | str]] = prepare
    return Row(f"{book}.pdf", preparing)


def run(rows: list[Row], at_once: int = 2, **options: Any) -> int:
    return asyncio.run(run_batch(SimpleNamespace(link=link), rows, at_once=at_once, as_json=True, **options))  # type: ignore[arg-type]


def test_one_bad_file_never_stops_the_rest(jobs: Callable[[Ends], Jobs], capsys: pytest.CaptureFixture[str]) -> None:
    made = jobs({"a": result("a"), "b": result("b", failed=2), "d": result("d")})
    bad = BadSource("c.pdf is truncated.", "Copy it again.")
    assert run([row("a"), row("b"), row("c", bad), row("d")]) == 65
    assert made.started == ["a", "b", "d"]
    assert made.most == 2
    out, err = capsys.readouterr()
    found = json.loads(out)
    assert [(book["key"], book["state"], book["exit_code"]) for book in found["books"]] == [
        ("a", "complete", 0),
        ("b", "complete_with_gaps", 3),
        (None, "failed", 65),
        ("d", "complete", 0),
    ]
    assert found["books"][2]["error"] == {
        "code": "BadSource",
        "message": "c.pdf is truncated.",
        "next_step": "Copy it again.",
    }
    assert (found["complete"], found["complete_with_gaps"], found["failed"]) == (2, 1, 1)
    assert "[3/4] c.pdf: failed: c.pdf is truncated." in err.splitlines()


@pytest.mark.parametrize(
    ("ends", "code"),
    [
        ([None, None], 0),
        ([3, None], 3),
        ([3, BadSource("x"), ServerUnavailable("y")], 65),
    ],
)
def test_the_exit_code_tells(ends: list[Any], code: int) -> None:
    rows = []
    for number, end in enumerate(ends):
        made = row(str(number))
        made.error = end if isinstance(end, ShelfError) else None
        made.state = "failed" if made.error else "complete_with_gaps" if end == 3 else "complete"
        rows.append(made)
    assert exit_code_of_rows(rows) == code


def test_the_same_files_twice_are_one_book(jobs: Callable[[Ends], Jobs], capsys: pytest.CaptureFixture[str]) -> None:
    made = jobs({"a": result("a")})
    assert run([row("a"), row("a")], at_once=1) == 0
    assert made.started == ["a"]
    assert json.loads(capsys.readouterr().out)["books"][1]["reason"] == "the same files as a.pdf"


def test_ctrl_c_lets_go_and_says_so(jobs: Callable[[Ends], Jobs], capsys: pytest.CaptureFixture[str]) -> None:
    made = jobs({})
    made.forever = True

    async def interrupted() -> int:
        asyncio.get_running_loop().call_later(0.3, os.kill, os.getpid(), signal.SIGINT)
        shelf: Any = SimpleNamespace(link=link)
        return await run_batch(shelf, [row("a"), row("b"), row("c")], at_once=2, as_json=False)

    assert asyncio.run(interrupted()) == 130
    err = capsys.readouterr().err
    assert "Detached; 2 jobs go on, 1 books were not begun." in err
    assert "shelf watch a" in err


def test_a_detached_batch_starts_all(jobs: Callable[[Ends], Jobs]) -> None:
    made = jobs({})
    assert run([row("a"), row("b"), row("c")], at_once=1, detach=True) == 0
    assert made.started == ["a", "b", "c"]


async def test_how_far_a_book_is(library: Library) -> None:
    assert await state_of(library.store, BOOK) == {"state": "failed", "pages_complete": 3, "pages_failed": 1}
    assert (await state_of(library.store, BOOK, "1-3"))["state"] == "partly read", "its labels are not inferred yet"
    await library.save(Book, BOOK, "label", {})
    assert (await state_of(library.store, BOOK, "1-3"))["state"] == "complete"
    assert (await state_of(library.store, "nobody-01234567"))["state"] == "new"


def test_only_lets_through_what_it_names() -> None:
    assert parse_only("missing") == {"new", "partly read"}
    assert parse_only("failed, missing") == {"new", "partly read", "failed"}
    assert "complete" in parse_only(None)
    with pytest.raises(BadInput, match="does not know all"):
        parse_only("all")


def test_a_preview_starts_nothing(
    shelf: Callable[..., tuple[int, str, str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHELF_HOME", str(tmp_path / "home"))
    (tmp_path / "home").mkdir()
    scans = tmp_path / "scans"
    scans.mkdir()
    write_pdf(scans / "one.pdf", "One.", "Two.")
    (scans / "two.pdf").write_bytes(b"%PDF-1.7 and no more")
    code, out, err = shelf("process", str(scans), "--preview", "--json")
    one, two = json.loads(out)["books"]
    assert (one["pages"], one["state"], one["runs"], one["error"]) == (2, "new", True, None)
    assert (two["runs"], two["error"]["code"]) == (False, "BadSource")
    assert code == 65
    assert not list((tmp_path / "home").iterdir())
    code, out, err = shelf("process", str(scans / "one.pdf"), "--preview", "--pages", "2", "--only", "failed")
    assert code == 0
    assert "0 of 1 books would run, 0 pages." in err


def test_a_watched_folder_knows_what_it_saw(tmp_path: Path) -> None:
    scans = tmp_path / "scans"
    scans.mkdir()
    assert stamps(scans) == {}
    book = scans / "a.pdf"
    book.write_bytes(b"half")
    (scans / "loose.png").write_bytes(b"x")
    first = stamps(scans)
    assert list(first) == [str(book)]
    book.write_bytes(b"half and more")
    second = stamps(scans)
    assert first != second, "it grows"
    notes = Notes(tmp_path / "state", scans)
    assert not notes.knows(str(book), second[str(book)])
    notes.add(str(book), second[str(book)], {"key": None, "state": "failed", "error": {"message": "no book"}})
    again = Notes(tmp_path / "state", scans)
    assert again.knows(str(book), second[str(book)])
    assert not again.knows(str(book), first[str(book)]), "changed since: looked at again"
    notes.file.write_text("{ damaged")
    assert not again.knows(str(book), second[str(book)])


def test_a_folder_that_may_not_be_read_does_not_hide_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "closed").mkdir()
    (tmp_path / "empty").mkdir()
    (tmp_path / "pages").mkdir()
    (tmp_path / "pages" / "1.png").write_bytes(b"x")
    (tmp_path / "a.pdf").write_bytes(b"x")
    open_folder = Path.iterdir

    def refused(folder: Path) -> Any:
        if folder.name == "closed":
            raise PermissionError(13, "Permission denied")
        return open_folder(folder)

    monkeypatch.setattr(Path, "iterdir", refused)
    closed: dict[Path, str] = {}
    assert list(stamps(tmp_path, closed)) == [str(tmp_path / "a.pdf"), str(tmp_path / "pages")]
    assert list(closed) == [tmp_path / "closed"]
    assert "may not be read: Permission denied" in closed[tmp_path / "closed"]


def test_on_a_terminal_a_bar_per_book_that_is_read(capsys: pytest.CaptureFixture[str]) -> None:
    from rich.console import Console

    from activities.contracts import OperationProgress, Progress
    from cli.batch_display import LiveBatch

    rows = [row(name) for name in ("one", "two", "three", "four")]
    rows[0].state, rows[1].state, rows[2].state = "complete", "running", "failed"
    rows[1].key = "two-0123abcd"
    count = OperationProgress(total=30, complete=12)
    rows[1].progress = Progress(job="ProcessPages", state="running", pages=30, operations={"ocr": count})
    display = LiveBatch(rows)
    display.changed(rows[1])
    display.close()
    console = Console(width=120, record=True)
    console.print(display._draw())
    head, bar = console.export_text().splitlines()
    assert head.startswith("2 of 4 books, 1 failed")
    assert bar.startswith("two-0123abcd ")
    assert (bar.count("━"), bar.endswith("reading, 12 of 30 pages")) == (30, True)
