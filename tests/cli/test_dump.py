"""`shelf dump`, `load` and `delete` as they are typed; what they do is in tests/books, tests/workflows and tests/e2e."""

from __future__ import annotations

import asyncio
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from cli.delete import asked, rebuild, tell, what_goes
from schemas.documents import Book, Page
from schemas.errors import BadInput
from schemas.memory import MemoryStore
from schemas.store import Update
from tests.cli.conftest import BOOK, JOB, Library

Shelf = Callable[..., tuple[int, str, str]]


def test_dump_and_load(shelf: Shelf, library: Library, tmp_path: Path) -> None:
    file = tmp_path / "library.zip"
    code, out, err = shelf("dump", "--out", str(file), "--json")
    assert code == 0, err
    found = json.loads(out)
    assert found["books"][BOOK]["documents"]["Page"] == 4
    assert found["bytes"] == file.stat().st_size
    before = asyncio.run(library.store.find(Page, {"book_key": BOOK}))
    library.store.__dict__ |= vars(MemoryStore())
    code, out, err = shelf("load", str(file), "--json")
    assert code == 0, err
    [row] = json.loads(out)["books"]
    assert (row["key"], row["outcome"]) == (BOOK, "loaded")
    assert asyncio.run(library.store.find(Page, {"book_key": BOOK})) == before
    code, out, _ = shelf("load", str(file))
    assert "was there already" in out


def test_history_and_why_go_back_to_before_the_load(shelf: Shelf, library: Library, tmp_path: Path) -> None:
    file = str(tmp_path / "library.zip")
    before = json.loads(shelf("history", BOOK, "--page", "2", "--json")[1])["versions"]
    reason = json.loads(shelf("why", BOOK, "2", "doctor", "--json")[1])
    assert shelf("dump", "--out", file)[0] == 0
    library.store.__dict__ |= vars(MemoryStore())
    assert shelf("load", file)[0] == 0
    after = json.loads(shelf("history", BOOK, "--page", "2", "--json")[1])["versions"]
    known = {row["cid"]: row for row in after}
    assert [known[row["cid"]] for row in before] == before
    assert len(after) == len(before) + 3  # the page and its two readings: a version each for the load
    again = json.loads(shelf("why", BOOK, "2", "doctor", "--json")[1])
    assert again == reason
    assert again["workflow_id"] == JOB


def test_a_file_that_is_there_is_kept(shelf: Shelf, tmp_path: Path) -> None:
    file = tmp_path / "library.zip"
    file.write_text("mine")
    code, _, err = shelf("dump", "--out", str(file))
    assert (code, file.read_text()) == (2, "mine")
    assert "--force" in err
    assert shelf("dump", "--out", str(file), "--force")[0] == 0
    assert zipfile.is_zipfile(file)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "--out"),
        (("nobody", "--out", "x.zip"), "There is no book 'nobody'"),
        (("--except", BOOK, "--out", "x.zip"), "no book to dump"),
    ],
)
def test_what_cannot_be_dumped(shelf: Shelf, arguments: tuple[str, ...], said: str) -> None:
    code, _, err = shelf("dump", *arguments)
    assert code == 2
    assert said in err


def test_what_cannot_be_loaded(shelf: Shelf, tmp_path: Path) -> None:
    file = tmp_path / "x.zip"
    assert shelf("load", str(file))[0] == 65
    file.write_text("x")
    code, _, err = shelf("load", str(file))
    assert code == 65
    assert str(file) in err


def test_a_book_that_is_being_deleted_is_left_out(shelf: Shelf, library: Library) -> None:
    update = Update(BOOK, {}, {"error": "being deleted"}, "deletion")
    asyncio.run(library.store.update(Book, "source", 2, 63, [update]))
    code, _, err = shelf("dump", "--out", "x.zip")
    assert code == 2
    assert f"{BOOK} is being deleted" in err


def connection(library: Library, **settings: Any) -> Any:
    settings = {"home": Path("/books/.shelf"), "defradb_is_external": False, **settings}
    return SimpleNamespace(store=library.store, artifacts=library.artifacts, settings=SimpleNamespace(**settings))


def test_what_is_told_before_a_deletion(library: Library) -> None:
    """Where the artifacts lie is said by the documents; what DefraDB keeps is said as it is."""
    found = asyncio.run(what_goes(connection(library), BOOK, keep_artifacts=False))
    assert (found["documents"]["Page"], found["documents"]["Book"], found["shared_artifacts"]) == (4, 1, 0)
    assert found["artifacts"] >= 3
    assert found["bytes"] > 0
    said = "\n".join(tell(found))
    assert "4 Page" in said
    assert "DefraDB keeps what deleted documents said" in said
    kept = asyncio.run(what_goes(connection(library), BOOK, keep_artifacts=True))
    assert (kept["artifacts"], kept["bytes"]) == (0, 0)


def test_how_the_past_values_go_for_good(library: Library) -> None:
    own = "\n".join(rebuild(connection(library)))
    assert "shelf dump --out library.zip" in own
    assert "mv /books/.shelf /books/.shelf-old" in own
    external = "\n".join(rebuild(connection(library, defradb_is_external=True)))
    assert "mv" not in external
    assert "SHELF_DEFRADB_URL=" in external


def test_nobody_there_to_be_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", SimpleNamespace(isatty=lambda: False))
    with pytest.raises(BadInput, match=BOOK):
        asked(BOOK)


@pytest.mark.parametrize(("answer", "meant"), [("y\n", True), ("n\n", False), ("\n", False)])
def test_asked(monkeypatch: pytest.MonkeyPatch, answer: str, meant: bool) -> None:
    import io

    typed = io.StringIO(answer)
    monkeypatch.setattr(typed, "isatty", lambda: True, raising=False)
    monkeypatch.setattr("sys.stdin", typed)
    assert asked(BOOK) is meant
