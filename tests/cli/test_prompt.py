"""`shelf prompt`: what it shows, what it takes and refuses, what it gives to the job; and where results name a prompt."""

from __future__ import annotations

import asyncio
import json
import stat
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from typer.testing import CliRunner

from activities.choosing import MODEL_BACKED
from activities.correcting import publish_prompt
from activities.prompts import OWN, PROMPT, Prompt
from cli import connect, starting
from cli.main import make_app
from schemas.documents import Book, Correction, Metric, Page
from schemas.keys import correction_key
from schemas.reading import PageReading
from schemas.store import Update, op_id
from tests.cli.conftest import BLEND, BOOK, JOB, Library, key_of

TEXT = "Correct nothing but digits.\n\n  Leave the rest.\n"
Shelf = Callable[..., tuple[int, str, str]]


def give(library: Library, text: str, operation: str = "blend") -> None:
    """As the job records it."""
    field = PROMPT + operation
    said = Correction(
        key=correction_key(BOOK, field, 1),
        book_key=BOOK,
        target=BOOK,
        field=field,
        number=1,
        value=json.dumps(publish_prompt(library.artifacts, text)),
        who="Ann",
        why="old type",
        at="2026-01-02T03:04:05.000+00:00",
    )
    asyncio.run(library.store.create(Correction, [said]))


def test_every_operation_that_a_model_can_do_has_a_prompt() -> None:
    assert set(OWN) == set(MODEL_BACKED)


class TestShow:
    def test_the_programs_own(self, shelf: Shelf) -> None:
        code, out, err = shelf("prompt", "show", "toc-find")
        assert (code, out) == (0, OWN["toc_find"])
        assert err == f"Prompt of toc_find, {Prompt(OWN['toc_find']).hash}: the program's own.\n"

    def test_a_books(self, shelf: Shelf, library: Library) -> None:
        assert json.loads(shelf("prompt", "show", "blend", BOOK, "--json")[1])["own"] is True
        give(library, TEXT)
        code, out, err = shelf("prompt", "show", "blend", "small")
        assert (code, out) == (0, f"{TEXT.strip()}\n")
        assert "by Ann" in err
        assert "(old type)" in err
        found = json.loads(shelf("prompt", "show", "blend", BOOK, "--json")[1])
        assert (found["own"], found["who"], found["why"]) == (False, "Ann", "old type")
        assert found["hash"] == Prompt(f"{TEXT.strip()}\n").hash
        assert json.loads(shelf("prompt", "show", "metadata", BOOK, "--json")[1])["own"] is True

    def test_no_such_operation(self, shelf: Shelf) -> None:
        code, _, err = shelf("prompt", "show", "ocr")
        assert code == 2
        assert "No language model is told anything for 'ocr'. Known: blend, " in err

    def test_corrections_list_it(self, shelf: Shelf, library: Library) -> None:
        give(library, TEXT)
        (row,) = json.loads(shelf("corrections", BOOK, "--json")[1])["corrections"]
        assert (row["field"], row["page"], row["value"], row["live"]) == (
            "prompt:blend",
            None,
            TEXT.strip() + "\n",
            True,
        )


class TestSet:
    @pytest.fixture
    def jobs(self, library: Library, monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
        inputs: list[dict[str, Any]] = []

        @asynccontextmanager
        async def opened(**_: Any) -> AsyncIterator[Any]:
            yield SimpleNamespace(store=library.store, artifacts=library.artifacts)

        async def run_job(shelf: Any, job: str, given: dict[str, Any], **options: Any) -> int | None:
            assert job == "Correct"
            inputs.append(given)
            return None

        monkeypatch.setattr(connect, "working", opened)
        monkeypatch.setattr(starting, "run_job", run_job)
        monkeypatch.setenv("SHELF_USER", "Ann")
        monkeypatch.delenv("VISUAL", raising=False)
        return inputs

    @staticmethod
    def run(*arguments: str, stdin: str | None = None) -> tuple[int, str]:
        result = CliRunner().invoke(make_app(), list(arguments), input=stdin)
        return result.exit_code, result.stderr

    def text(self, library: Library, given: dict[str, Any]) -> str:
        (said,) = given["corrections"]
        assert (said["field"], given["who"], given["book_id"]) == ("prompt:blend", "Ann", BOOK)
        return (library.artifacts.get(said["artifact"]) or b"").decode()

    def test_from_a_file(self, jobs: list[dict[str, Any]], library: Library, tmp_path: Path) -> None:
        (tmp_path / "mine.txt").write_text(TEXT)
        assert self.run("prompt", "set", "blend", BOOK, str(tmp_path / "mine.txt"), "--why", "old type") == (0, "")
        assert self.text(library, jobs[0]) == TEXT, "blank lines and indents stay"
        assert jobs[0]["corrections"][0]["why"] == "old type"
        assert self.run("prompt", "set", "blend", BOOK, "-", stdin="Do it.")[0] == 0
        assert self.text(library, jobs[1]) == "Do it.\n"

    def test_in_an_editor(
        self, jobs: list[dict[str, Any]], library: Library, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        editor = tmp_path / "editor"
        editor.write_text('#!/bin/sh\necho "Mind the long s." >> "$1"\n')
        editor.chmod(editor.stat().st_mode | stat.S_IXUSR)
        monkeypatch.setenv("EDITOR", str(editor))
        assert self.run("prompt", "set", "blend", BOOK) == (0, "")
        assert self.text(library, jobs[0]) == f"{OWN['blend']}Mind the long s.\n"

    def test_the_same_again(self, jobs: list[dict[str, Any]]) -> None:
        code, err = self.run("prompt", "set", "blend", BOOK, "-", stdin=OWN["blend"])
        assert (code, jobs) == (0, [])
        assert "says that already" in err

    def test_an_empty_one(self, jobs: list[dict[str, Any]]) -> None:
        code, err = self.run("prompt", "set", "blend", BOOK, "-", stdin="\n")
        assert (code, jobs) == (2, [])
        assert "The prompt is empty" in err

    def test_reset(self, jobs: list[dict[str, Any]]) -> None:
        assert self.run("prompt", "reset", "blend", BOOK) == (0, "")
        assert jobs[0]["corrections"] == [{"field": "prompt:blend", "revert": True}]


class TestResults:
    """A text that a model corrected, by a prompt of Ann's."""

    @pytest.fixture
    def blended(self, library: Library) -> None:
        give(library, TEXT)
        asyncio.run(self.by_model(library))

    async def by_model(self, library: Library) -> None:
        proof = PageReading.from_json(BLEND.to_json())
        proof.lines[0].words[1].rule = "corrected by maker/model-1: a misread letter"
        proof.notes.append("not applied: 'dog' to 'cow' (a whim): that does not stand there")
        library.artifacts.publish("fd" * 32, proof.to_json())
        mark = op_id(2, "blend", 1, "by-model")
        flags = {"complete": True, "artifact": "fd" * 32}
        (written,) = await library.store.update(
            Page, "blend", 2, 1, [Update(key_of(2), {"text": "The Doctor!"}, flags, mark)]
        )
        about = {"book_key": BOOK, "operation": "blend", "workflow_id": JOB, "run_id": "run-2", "op_id": "unit-2"}
        document = f"Page {key_of(2)} {written.doc_id} {written.cid} {mark}"
        price = "genai-prices 2026-11-01"
        prompt = Prompt(f"{TEXT.strip()}\n").hash
        await library.store.create(
            Metric,
            [
                Metric(
                    key="attempt/model",
                    kind="attempt",
                    provider="maker",
                    model="model-1",
                    prompt_hash=prompt,
                    price_source=price,
                    at="2026-02-02T03:04:05.000+00:00",
                    **about,
                ),
                Metric(key="save/model", kind="save", provider="maker", documents=[document], **about),
            ],
        )

    def test_why(self, blended: None, shelf: Shelf) -> None:
        found = json.loads(shelf("why", BOOK, "2", "doctor", "--json")[1])
        assert found["occurrences"][0]["rule"] == "corrected by maker/model-1: a misread letter"
        assert (found["provider"], found["model"], found["prompt_by"]) == ("maker", "model-1", "Ann")
        assert found["prompt_hash"] == Prompt(f"{TEXT.strip()}\n").hash
        assert found["price_source"] == "genai-prices 2026-11-01"
        assert found["notes"] == ["not applied: 'dog' to 'cow' (a whim): that does not stand there"]
        out = shelf("why", BOOK, "2", "doctor")[1]
        assert f"maker/model-1, prompt {found['prompt_hash']} (given by Ann)" in out
        assert "not applied: 'dog' to 'cow'" in out

    def test_history(self, blended: None, shelf: Shelf) -> None:
        versions = json.loads(shelf("history", BOOK, "--page", "2", "--json")[1])["versions"]
        (newest, *_, older) = [version for version in versions if version["operation"] == "blend"]
        assert (newest["model"], newest["prompt_by"]) == ("model-1", "Ann")
        assert older["prompt_hash"] is None
        assert "  model     maker/model-1, prompt " in shelf("history", BOOK, "--page", "2")[1]

    def test_metadata_that_only_models_give(self, library: Library, shelf: Shelf) -> None:
        values = {
            "lccn": "16012345",
            "subjects": ["Nurses"],
            "contributors": ["B. See (editor)"],
            "description": "Days.",
        }
        mark = op_id(2, "metadata", 1, "by-model")
        asyncio.run(library.store.update(Book, "metadata", 2, 1, [Update(BOOK, values, {"complete": True}, mark)]))
        found = json.loads(shelf("show", BOOK, "--json")[1])
        assert {name: found[name] for name in values} == values
        out = shelf("show", BOOK)[1]
        assert "LCCN" in out
        assert "B. See (editor)" in out
