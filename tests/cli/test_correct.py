"""The commands by which people correct: what they take, what they refuse, what they give to the job; and where it shows."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import re
import stat
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from typer.testing import CliRunner

from cli import connect, starting
from cli.main import make_app
from providers.image_steps import ImageSteps
from providers.source import Manifest, ManifestLeaf, SourcePart
from schemas.documents import Book, Correction, Metric, Page
from schemas.errors import LeaseHeld
from schemas.keys import correction_key
from schemas.reading import PageReading
from schemas.store import Update, op_id
from tests.cli.conftest import BLEND, BOOK, JOB, Library, key_of

TEXT = "The Doctor"
Shelf = Callable[..., tuple[int, str, str]]


class Jobs:
    """Takes the place of the servers: what jobs were started with."""

    def __init__(self) -> None:
        self.inputs: list[dict[str, Any]] = []
        self.error: Exception | None = None

    async def run_job(self, shelf: Any, job: str, given: dict[str, Any], **options: Any) -> int | None:
        if self.error is not None:
            raise self.error
        assert job == "Correct"
        assert given["book_id"] == BOOK
        self.inputs.append(given)
        return None

    @property
    def said(self) -> list[dict[str, Any]]:
        return list(self.inputs[-1]["corrections"])


@pytest.fixture
def jobs(monkeypatch: pytest.MonkeyPatch) -> Jobs:
    found = Jobs()
    monkeypatch.setattr(starting, "run_job", found.run_job)
    return found


@pytest.fixture
def run(
    library: Library, jobs: Jobs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., tuple[int, str]]:
    """Runs a command by Ann; returns its exit code and stderr."""

    @asynccontextmanager
    async def opened(**_: Any) -> AsyncIterator[Any]:
        yield SimpleNamespace(store=library.store, artifacts=library.artifacts)

    monkeypatch.setattr(connect, "working", opened)
    monkeypatch.chdir(tmp_path)
    for name in ("VISUAL", "EDITOR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("SHELF_USER", "Ann")
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)

    def run(*arguments: str, stdin: str | None = None) -> tuple[int, str]:
        result = CliRunner().invoke(make_app(), list(arguments), input=stdin)
        assert result.stdout == ""
        return result.exit_code, result.stderr

    return run


@pytest.fixture
def editor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Makes $EDITOR a script; "$2" is the file."""

    def make(script: str) -> None:
        file = tmp_path / "editor"
        file.write_text(f"#!/bin/sh\n{script}\n")
        file.chmod(file.stat().st_mode | stat.S_IXUSR)
        monkeypatch.setenv("EDITOR", f"'{file}' --wait")

    return make


def text_of(library: Library, said: dict[str, Any]) -> str:
    body = library.artifacts.get(said["artifact"])
    assert body is not None
    return body.decode()


class TestCorrect:
    def test_in_an_editor(self, run: Any, jobs: Jobs, library: Library, editor: Any, tmp_path: Path) -> None:
        editor('test "$1" = --wait; sed -i "s/Doctor/Nurse/" "$2"; touch "$2~"')
        assert run("correct", BOOK, "--page", "2", "--why", "misread") == (0, "")
        (said,) = jobs.said
        assert text_of(library, said) == "The Nurse"
        assert (said["page"], said["field"], said["why"]) == (2, "text", "misread")
        assert jobs.inputs[-1]["who"] == "Ann"
        assert not list(tmp_path.glob("shelf-*")), "the scratch file goes"

    def test_nothing_changed(self, run: Any, jobs: Jobs, editor: Any) -> None:
        editor('printf "The   Doctor\\n\\n" > "$2"')
        code, err = run("correct", BOOK, "--page", "2")
        assert (code, jobs.inputs) == (0, [])
        assert "nothing changed" in err

    def test_nothing_changed_is_said_as_json_too(self, run: Any, jobs: Jobs, tmp_path: Path) -> None:
        (tmp_path / "text").write_text(TEXT)
        result = CliRunner().invoke(make_app(), ["correct", BOOK, "--page", "2", "--text-file", "text", "--json"])
        assert (result.exit_code, jobs.inputs) == (0, [])
        assert json.loads(result.stdout) == {
            "key": BOOK,
            "state": "complete",
            "pages": 0,
            "failed_count": 0,
            "failed": [],
        }

    def test_an_emptied_file_is_no_blank_page(self, run: Any, jobs: Jobs, editor: Any) -> None:
        editor(': > "$2"')
        code, err = run("correct", BOOK, "--page", "2")
        assert (code, jobs.inputs) == (0, [])
        assert "--text-file /dev/null" in err
        assert run("correct", BOOK, "--page", "2", "--text-file", "/dev/null")[0] == 0
        assert len(jobs.inputs) == 1

    def test_no_editor(self, run: Any) -> None:
        code, err = run("correct", BOOK, "--page", "2")
        assert code == 2
        assert err.startswith("error: No editor is set. Set EDITOR")

    def test_an_editor_that_fails(self, run: Any, editor: Any, jobs: Jobs, monkeypatch: pytest.MonkeyPatch) -> None:
        editor('echo more >> "$2"; exit 3')
        code, err = run("correct", BOOK, "--page", "2")
        assert (code, jobs.inputs) == (2, [])
        assert "ended with code 3" in err
        monkeypatch.setenv("VISUAL", "/nowhere/editor")
        assert "cannot be started" in run("correct", BOOK, "--page", "2")[1]

    def test_an_edited_text_is_not_lost(self, run: Any, jobs: Jobs, editor: Any) -> None:
        editor('echo more >> "$2"')
        jobs.error = LeaseHeld(f"Book {BOOK} is being worked on.")
        code, err = run("correct", BOOK, "--page", "2")
        assert code == 73
        kept = Path(err.split("--text-file ")[1].split("`")[0])
        assert kept.read_text() == f"{TEXT}\nmore\n"

    def test_from_a_file_and_from_stdin(self, run: Any, jobs: Jobs, library: Library, tmp_path: Path) -> None:
        (tmp_path / "page.txt").write_bytes("\ufeffThe  Nurse\r\n".encode())
        assert run("correct", BOOK, "--page", "2", "--text-file", "page.txt", "--who", "Ben")[0] == 0
        assert text_of(library, jobs.said[0]) == "The Nurse"
        assert jobs.inputs[-1]["who"] == "Ben"
        assert run("correct", BOOK, "--page", "4", "--text-file", "-", stdin="Never read.\n")[0] == 0
        assert text_of(library, jobs.said[0]) == "Never read."

    def test_a_file_that_is_no_text(self, run: Any, tmp_path: Path) -> None:
        (tmp_path / "page.txt").write_bytes("Köln".encode("latin-1"))
        assert run("correct", BOOK, "--page", "2", "--text-file", "page.txt")[0] == 2
        assert run("correct", BOOK, "--page", "2", "--text-file", "nowhere.txt")[0] == 66

    def test_a_page_that_is_not_there(self, run: Any) -> None:
        code, err = run("correct", BOOK, "--page", "9", "--text-file", "/dev/null")
        assert code == 2
        assert "has no page 9" in err

    def test_revert(self, run: Any, jobs: Jobs) -> None:
        assert run("correct", BOOK, "--page", "2", "--revert")[0] == 0
        assert jobs.said == [{"page": 2, "field": "text", "revert": True}]


class TestLabelAndMeta:
    def test_label(self, run: Any, jobs: Jobs) -> None:
        assert run("label", BOOK, "--page", "2", "--printed", " xii ", "--type", "toc", "--header", "")[0] == 0
        assert jobs.said == [
            {"page": 2, "field": "label", "value": "xii"},
            {"page": 2, "field": "page_type", "value": "toc"},
            {"page": 2, "field": "running_header"},
        ]

    def test_meta(self, run: Any, jobs: Jobs) -> None:
        arguments = ("--set", "year=1916", "--set", "authors=Lee, A.; B. Day", "--set", "Subtitle=", "--revert", "isbn")
        assert run("meta", BOOK, *arguments, "--why", "the colophon")[0] == 0
        why = {"why": "the colophon"}
        assert jobs.said == [
            {"field": "year", "value": 1916, **why},
            {"field": "authors", "value": ["Lee, A.", "B. Day"], **why},
            {"field": "subtitle", **why},
            {"field": "isbn", "revert": True, **why},
        ]

    @pytest.mark.parametrize(
        ("arguments", "says"),
        [
            (("label", BOOK, "--page", "2"), "What is right on page 2 was not said"),
            (("label", BOOK, "--page", "2", "--printed", "3", "--revert"), "--revert takes no values"),
            (("label", BOOK, "--page", "2", "--revert"), "there is nothing to revert"),
            (("label", BOOK, "--page", "2", "--type", "contents"), "There is no page type 'contents'. Known: cover, "),
            (("meta", BOOK), "What is right was not said"),
            (("meta", BOOK, "--set", "year"), "'year' is not a field and its value"),
            (("meta", BOOK, "--set", "year=soon"), "The year must be a whole number"),
            (("meta", BOOK, "--set", "isbn=123"), "'123' is no ISBN"),
            (("meta", BOOK, "--set", "pages=3"), "A book has no field 'pages' to correct. Known: title, "),
            (("meta", BOOK, "--revert", "yaer"), "A book has no field 'yaer'"),
            (("correct", BOOK, "--page", "2", "--revert", "--text-file", "x"), "--revert takes no text"),
        ],
    )
    def test_what_is_wrong_is_said_before_anything_starts(
        self, run: Any, jobs: Jobs, arguments: tuple[str, ...], says: str
    ) -> None:
        code, err = run(*arguments)
        assert (code, jobs.inputs) == (2, [])
        assert says in err


class TestImage:
    """Page 2 was turned, straightened and cleaned by the machine."""

    FOUND = ImageSteps(
        orientation=90,
        skew=1.25,
        masks=(((0.0, 0.0), (0.1, 0.0), (0.1, 1.0)),),
        why={"orientation": "its lines run down", "skew": "its lines lean", "masks": "a black edge"},
    )
    SAID = "said by hand"

    @pytest.fixture
    def prepared(self, library: Library) -> None:
        fields = {"image_steps": self.FOUND.to_json()}
        asyncio.run(library.store.update(Page, "extract", 2, 1, [Update(key_of(2), fields, {}, "found")]))

    @pytest.mark.parametrize(
        ("options", "changes", "by_hand"),
        [
            (("--orientation", "180"), {"orientation": 180, "skew": 0.0}, {"orientation"}),
            (("--orientation", "270"), {"orientation": 270}, {"orientation"}),
            (("--orientation", "90"), {}, set()),
            (("--skew", "none"), {"skew": 0.0}, {"skew"}),
            (("--skew", "-1.5"), {"skew": -1.5}, {"skew"}),
            (("--no-mask",), {"masks": ()}, {"masks"}),
            (("--blank",), {"blank": True}, {"blank"}),
            (("--not-blank",), {"blank": False}, {"blank"}),
            (("--skew", "2", "--no-mask", "--blank"), {"skew": 2.0, "masks": (), "blank": True}, {"skew", "masks", "blank"}),
        ],
    )  # fmt: skip
    def test_what_is_said_is_laid_over_what_was_found(
        self, run: Any, jobs: Jobs, prepared: None, options: tuple[str, ...], changes: dict[str, Any], by_hand: set[str]
    ) -> None:
        assert run("image", BOOK, "--page", "2", *options, "--why", "seen") == (0, "")
        (said,) = jobs.said
        assert (said["page"], said["field"], said["why"]) == (2, "image_steps", "seen")
        steps = ImageSteps.from_json(said["value"])
        assert dataclasses.replace(steps, why={}) == dataclasses.replace(self.FOUND, **changes, why={})
        assert {step for step, why in steps.why.items() if why == self.SAID} == by_hand

    def test_nothing_left_to_do_is_the_page_as_it_is(self, run: Any, jobs: Jobs, prepared: None) -> None:
        run("image", BOOK, "--page", "2", "--orientation", "0", "--skew", "none", "--no-mask")
        assert jobs.said[0]["value"] == ""

    def test_auto(self, run: Any, jobs: Jobs) -> None:
        assert run("image", BOOK, "--page", "2", "--auto") == (0, "")
        assert jobs.said == [{"page": 2, "field": "image_steps", "revert": True}]

    @pytest.mark.parametrize(
        ("options", "says"),
        [
            ((), "How page 2 is to be prepared was not said"),
            (("--auto", "--blank"), "--auto takes nothing else"),
            (("--skew", "steep"), "An image is not skewed by 'steep'"),
            (("--skew", "46"), "An image is not skewed by '46'"),
            (("--skew", "nan"), "An image is not skewed by 'nan'"),
            (("--orientation", "45"), "An image is not turned by 45 degrees"),
        ],
    )
    def test_what_is_wrong_is_said(self, run: Any, jobs: Jobs, options: tuple[str, ...], says: str) -> None:
        code, err = run("image", BOOK, "--page", "2", *options)
        assert (code, jobs.inputs) == (2, [])
        assert says in err


class TestWhereItShows:
    @pytest.fixture
    def corrected(self, library: Library) -> None:
        """The year, twice; the word "Doctor" of page 2; a label that was taken back."""
        library.artifacts.publish("ab" * 32, b"The Surgeon")
        blended = PageReading.from_json(BLEND.to_json())
        word = blended.lines[0].words[1]
        word.text, word.voters, word.rule = "Surgeon", ("correction",), "corrected by Ann"
        library.artifacts.publish("fe" * 32, blended.to_json())

        def said(target: str, field: str, number: int, value: Any, **more: Any) -> Correction:
            return Correction(
                key=correction_key(target, field, number),
                book_key=BOOK,
                target=target,
                field=field,
                number=number,
                value=None if value is None else json.dumps(value),
                who="Ann",
                at=f"2026-01-0{number}T00:00:00.000+00:00",
                **more,
            )

        async def fill() -> None:
            written = await library.store.create(
                Correction,
                [
                    said(BOOK, "year", 1, 1915),
                    said(BOOK, "year", 2, 1917, why="the colophon"),
                    said(key_of(2), "text", 1, "ab" * 32, why="it says so"),
                    said(key_of(3), "label", 1, "7"),
                    said(key_of(3), "label", 2, None, reverted=True),
                ],
            )
            documents = [f"Correction {each.key} {each.doc_id} {each.cid}" for each in written]
            run = {"book_key": BOOK, "operation": "correct", "provider": "person", "workflow_id": JOB, "run_id": "r"}
            await library.store.create(Metric, [Metric(key="save/r/1/1", kind="save", documents=documents, **run)])
            fields = {"text": "The Surgeon", "confidence": 100.0}
            mark = op_id(2, "blend", 1, "fe")
            flags = {"complete": True, "artifact": "fe" * 32}
            await library.store.update(Page, "blend", 2, 1, [Update(key_of(2), fields, flags, mark)])

        asyncio.run(fill())

    def test_corrections(self, shelf: Shelf, corrected: None) -> None:
        rows = json.loads(shelf("corrections", BOOK, "--json")[1])["corrections"]
        assert [(row["page"], row["field"], row["number"], row["live"]) for row in rows] == [
            (None, "year", 2, True),
            (2, "text", 1, True),
            (3, "label", 2, False),
            (None, "year", 1, False),
            (3, "label", 1, False),
        ]
        assert rows[1]["value"] == "The Surgeon"
        assert (rows[2]["reverted"], rows[2]["value"]) == (True, None)
        code, out, _ = shelf("corrections", BOOK)
        assert code == 0
        assert "the colophon" in out
        assert "(the machines')" in out

    def test_a_book_without_any(self, shelf: Shelf) -> None:
        assert shelf("corrections", BOOK)[2] == "Nothing is corrected in this book.\n"

    def test_history(self, shelf: Shelf, corrected: None) -> None:
        versions = json.loads(shelf("history", BOOK, "--json")[1])["versions"]
        (newest, _) = (version for version in versions if version["type"] == "Correction")
        assert (newest["operation"], newest["workflow_id"]) == ("correct", JOB)
        assert newest["changed"]["why"] == "the colophon"
        of_page = json.loads(shelf("history", BOOK, "--page", "2", "--json")[1])["versions"]
        assert [v["document"] for v in of_page if v["type"] == "Correction"] == [correction_key(key_of(2), "text", 1)]

    def test_why(self, shelf: Shelf, corrected: None) -> None:
        found = json.loads(shelf("why", BOOK, "2", "surgeon", "--json")[1])
        assert found["occurrences"][0]["rule"] == "corrected by Ann"
        assert [reading["text"] for reading in found["occurrences"][0]["readings"]] == ["Doct0r", "Doctor"]
        assert [row["why"] for row in found["corrections"]] == ["it says so"]
        out = shelf("why", BOOK, "2", "surgeon")[1]
        assert "rule        corrected by Ann\n" in out
        assert "text, by Ann at " in out

    def test_page(self, shelf: Shelf, corrected: None) -> None:
        found = json.loads(shelf("page", BOOK, "2", "--json")[1])
        assert [(row["field"], row["who"], row["why"]) for row in found["corrections"]] == [
            ("text", "Ann", "it says so")
        ]
        out = shelf("page", BOOK, "2")[1]
        assert re.search(r"^Corrected +text, by Ann at .*: it says so$", out, re.M)
        assert json.loads(shelf("page", BOOK, "3", "--json")[1])["corrections"] == [], "taken back"
        assert "Corrected" not in shelf("page", BOOK, "3")[1]

    def test_where_a_leaf_comes_from(self, shelf: Shelf, library: Library, corrected: None) -> None:
        assert json.loads(shelf("page", BOOK, "2", "--json")[1])["leaf_note"] == ""
        note = "left half of a spread, cut at 0.49"
        manifest = Manifest(
            name="small",
            parts=(SourcePart(sha256="0" * 64, name="small.pdf", kind="pdf", pages=4),),
            leaves=tuple(ManifestLeaf(part=0, index=n, note=note if n == 1 else "") for n in range(4)),
        )
        library.artifacts.publish(manifest.fingerprint(), manifest.model_dump_json().encode())
        fields = {"source_manifest": manifest.fingerprint()}
        asyncio.run(library.store.update(Book, "source", 2, 1, [Update(BOOK, fields, {}, "edited")]))
        for command in (("page", BOOK, "2"), ("why", BOOK, "2", "surgeon")):
            assert json.loads(shelf(*command, "--json")[1])["leaf_note"] == note
            assert re.search(rf"^Leaf +{note}$", shelf(*command)[1], re.M)
        assert "Leaf" not in shelf("page", BOOK, "3")[1]
