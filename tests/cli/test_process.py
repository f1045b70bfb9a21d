"""`shelf process` before anything is started: what is refused, how, and that nothing is left behind."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from cli import connect
from cli.main import make_app
from cli.process import Options

ROOT = Path(__file__).parents[2]
SAMPLE = ROOT / "samples" / "a-day-at-a-time-scan.pdf"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    def started(**_: Any) -> None:
        raise AssertionError("the servers were started")

    monkeypatch.setattr(connect, "working", started)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SHELF_HOME", raising=False)
    return tmp_path


def refused(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(make_app(), ["process", *arguments])
    assert result.stdout == ""
    assert len(result.stderr.splitlines()) == 1
    return result.exit_code, result.stderr


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("notes.pdf", b"no book at all", "is not a PDF and not an image"),
        ("empty.pdf", b"", "is empty (0 bytes)"),
        ("cut.pdf", SAMPLE.read_bytes()[:40_000], "is truncated"),
    ],
)
def test_files_that_are_no_books(folder: Path, name: str, content: bytes, says: str) -> None:
    (folder / name).write_bytes(content)
    code, err = refused(name)
    assert code == 65
    assert says in err
    assert [path.name for path in folder.iterdir()] == [name]


def test_a_path_that_is_not_there(folder: Path) -> None:
    assert refused("nowhere.pdf") == (
        66,
        "error: nowhere.pdf does not exist. Check the path; a book is a PDF, images, or a folder.\n",
    )
    assert not list(folder.iterdir())


def test_the_beginning_of_a_key_is_told_that_it_takes_the_whole(folder: Path) -> None:
    code, err = refused("a-day")
    assert code == 66
    assert "a-day does not exist." in err
    assert "give its whole key: `shelf books`" in err


@pytest.mark.parametrize(("pages", "says"), [("x", "'x' is not a page"), ("20-40", "the book has 26 pages")])
def test_pages_that_the_book_does_not_have(folder: Path, pages: str, says: str) -> None:
    code, err = refused(str(SAMPLE), "--pages", pages)
    assert code == 2
    assert says in err
    assert not list(folder.iterdir())


@pytest.mark.parametrize("source", [[""], ["book.pdf", ""], [" "]])
def test_an_empty_name_is_not_the_current_folder(folder: Path, source: list[str]) -> None:
    (folder / "book.pdf").write_bytes(b"%PDF-1.7")
    code, err = refused(*source)
    assert code == 2
    assert "One of the sources is empty" in err


def test_only_what_was_chosen_goes_into_the_input() -> None:
    assert Options().job_input() == {}
    chosen = Options("1-3", "tesseract", "deu", second_opinion=False, fresh=True, wait=True)
    assert chosen.job_input() == {
        "pages": "1-3",
        "ocr": "tesseract",
        "language": "deu",
        "second_opinion": "",
        "fresh": True,
    }


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys\n"
        "from cli.main import make_app\n"
        "try: make_app()(['--help'])\n"
        "except SystemExit: pass\n"
        "heavy = {'temporalio', 'pymupdf', 'pydantic', 'httpx', 'rich', 'numpy', 'asyncio'} & set(sys.modules)\n"
        "print(sorted(heavy), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stderr.strip() == "[]"
