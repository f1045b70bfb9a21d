"""`shelf export`: where it writes, what it prints, how it ends."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from typer.testing import CliRunner

from books.view import BookView
from cli import connect, export
from schemas.documents import Chapter
from tests.books.exports.builder import BOOK, SAMPLE, make_view, page_reading

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def view(tmp_path: Path) -> BookView:
    """Three pages of the sample's 26; the others were not read."""
    readings = {number: page_reading([f"Line of page {number}."]) for number in range(1, 27)}
    return make_view(tmp_path / "shelf", [(SAMPLE, "pdf", 26)], readings, labels={3: "iii"})


@pytest.fixture
def run(view: BookView, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """The command over that book, in an empty folder."""

    @asynccontextmanager
    async def opened() -> Any:
        yield SimpleNamespace(store=view.store, artifacts=view.artifacts)

    async def loaded(store: object, artifacts: object, key: str) -> BookView:
        assert key == BOOK
        return view

    async def found(store: object, text: str) -> str:
        return BOOK

    out = tmp_path / "out"
    out.mkdir()
    monkeypatch.chdir(out)
    monkeypatch.setattr(connect, "reading", opened)
    monkeypatch.setattr("books.view.load_book", loaded)
    monkeypatch.setattr("cli.books.find_book", found)

    def command(*arguments: str) -> tuple[int, str, str]:
        import typer

        app = typer.Typer()
        app.command()(export.export)
        result = CliRunner().invoke(app, list(arguments))
        return result.exit_code, result.stdout, result.stderr

    return command


def test_several_formats_under_the_key(run: Run) -> None:
    code, out, _ = run("hand", "--format", "text,epub,mets")
    assert code == 0
    assert out.split() == [f"{BOOK}.txt", f"{BOOK}.epub", f"{BOOK}-mets"]
    assert Path(f"{BOOK}.txt").read_text().startswith("Hand Made\n")
    assert Path(f"{BOOK}-mets", "mets.xml").exists()


def test_out_is_a_file_or_a_folder(run: Run) -> None:
    assert run("hand", "-f", "text", "-o", "mine.txt", "--pages")[0] == 0
    assert Path("mine.txt").read_text().count("\f") == 26
    assert run("hand", "-f", "text,json", "-o", "both")[0] == 0
    assert sorted(path.name for path in Path("both").iterdir()) == [f"{BOOK}.json", f"{BOOK}.txt"]
    assert run("hand", "-f", "markdown", "-o", "both")[0] == 0
    assert Path("both", f"{BOOK}.md").exists()


def test_what_is_there_stays_without_force(run: Run) -> None:
    Path("mine.txt").write_text("mine")
    code, out, err = run("hand", "-f", "text", "-o", "mine.txt")
    assert (code, out) == (2, "")
    assert err == "error: mine.txt exists already. Replace it with --force, or name another place by --out.\n"
    assert Path("mine.txt").read_text() == "mine"
    assert run("hand", "-f", "text", "-o", "mine.txt", "--force")[0] == 0
    assert Path("mine.txt").read_text() != "mine"


def test_unknown_formats_are_named(run: Run) -> None:
    code, _, err = run("hand", "-f", "docx")
    assert code == 2
    assert "'docx' is no export format. There are: text, markdown" in err


def test_missing_pages_are_gaps(run: Run, view: BookView) -> None:
    for at in (3, 4, 7):
        page = view.pages[at]
        view.pages[at] = type(page)(**{**page.model_dump(), "blend_complete": False, "ocr_error": "TimedOut: too long"})
    code, out, err = run("hand", "-f", "text", "--json")
    assert code == 3
    found = json.loads(out)
    assert found["exports"] == [{"format": "text", "path": f"{BOOK}.txt", "bytes": Path(f"{BOOK}.txt").stat().st_size}]
    assert [(row["page"], row["problem"]) for row in found["missing"]] == [(n, "TimedOut: too long") for n in (4, 5, 8)]
    assert "Pages 4-5,8 are missing, and marked so: TimedOut: too long." in err
    assert f"shelf process {BOOK}" in err


INTERRUPTED = """
import sys, threading, os, signal
from pathlib import Path
from cli import connect, export
from schemas.documents import Chapter
from books.exports.job import Export
from books.exports.registry import FORMATS
from tests.books.exports.builder import sample_view
import asyncio

folder = Path(sys.argv[1])
made = Export(sample_view(folder / "shelf"))
label = made.label
def slow(number):
    if number == 13:
        os.kill(os.getpid(), signal.SIGINT)
        threading.Event().wait(0.5)
    return label(number)
made.label = slow
format = FORMATS["hocr"]

async def command():
    await export._write(made, [(format, folder / "book.hocr")], force=False)

connect.run(command)
"""


def test_ctrl_c_leaves_nothing(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[2])}
    done = subprocess.run(
        [sys.executable, "-c", INTERRUPTED, str(tmp_path)], capture_output=True, text=True, timeout=60, env=environment
    )
    assert "Interrupted." in done.stderr, done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["shelf"]


def test_a_structure_that_is_older_than_the_text_is_named(run: Run, view: BookView) -> None:
    view.chapters.append(Chapter(key="c", title="Old", start_page=1))
    view.book = view.book.model_copy(update={"paragraph_inputs": "of yesterday"})
    code, _, err = run("hand", "--format", "text")
    assert code == 0
    assert f"The structure of {BOOK} is older than its text" in err
    assert f"`shelf structure {BOOK}`" in err
    assert json.loads(run("hand", "--format", "text", "--force", "--json")[1])["notes"][0] in err
