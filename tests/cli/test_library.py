"""The commands over all books: what they print, what they read, and which sources they know again."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from activities.holdings import BEING_DELETED
from books.library import all_books, duplicates, same_source
from cli import batch, connect
from cli.library import _as_typed, _job_state
from cli.sources import BookSource, import_book
from providers.importing import publish_manifest
from providers.pdf import PdfReader
from providers.source import Manifest, SourcePart
from schemas.documents import Book, Metric, Page
from schemas.keys import book_key
from schemas.store import Update, op_id
from tests.cli.conftest import BOOK, Library, key_of, write_pdf

Shelf = Callable[..., tuple[int, str, str]]


def rows(shelf: Shelf, *options: str) -> list[dict[str, Any]]:
    code, out, err = shelf("books", "--json", *options)
    assert code == 0, err
    return list(json.loads(out)["books"])


async def put(
    library: Library, name: str, files: Sequence[str], original: Manifest | None = None
) -> tuple[str, Manifest]:
    """A book whose source are these files."""
    parts = tuple(SourcePart(sha256=file * 64, name=file, kind="pdf", pages=1) for file in files)
    manifest = Manifest(name=name, parts=parts)
    source = original or manifest
    if original is not None:
        manifest = manifest.model_copy(update={"original": await publish_manifest(library.artifacts, original)})
    key = book_key(name, [part.sha256 for part in source.parts])
    fields = {"source_name": name, "source_manifest": await publish_manifest(library.artifacts, manifest)}
    await library.store.stub(Book, [{"key": key}])
    await library.store.update(Book, "source", 1, 1, [Update(key, fields, {}, op_id(1, "source", 1, key))])
    return key, source


class TestBooks:
    def test_as_json(self, shelf: Shelf) -> None:
        (book,) = rows(shelf)
        assert book == {
            "key": BOOK,
            "title": "A [small] Book",
            "authors": ["Ann Author"],
            "year": 1916,
            "source_name": "small",
            "barcode": None,
            "state": "gaps",
            "page_count": 4,
            "pages_complete": 3,
            "pages_failed": 1,
            "failed": "4",
            "missing": "",
            "errors": {},
            "cost_usd": None,
            "toc_entries": 2,
            "chapters": None,
            "changed": "2026-01-02T03:04:05.000+00:00",
            "job": None,
        }

    def test_for_people(self, shelf: Shelf) -> None:
        _, out, _ = shelf("books", "--gaps")
        header, line = out.splitlines()
        assert header.split()[-4:] == ["failed", "pages", "missing", "pages"]
        assert "unknown" in line, "a cost that is not known is none of 0"
        assert "2 entries" in line

    def test_states_and_sorting(self, shelf: Shelf, library: Library) -> None:
        asyncio.run(library.store.stub(Book, [{"key": "another-4567cdef", "title": "Zebra"}]))
        assert [row["key"] for row in rows(shelf)] == ["another-4567cdef", BOOK]
        assert [row["key"] for row in rows(shelf, "--sort", "title")] == [BOOK, "another-4567cdef"]
        assert [row["key"] for row in rows(shelf, "--sort", "changed")] == [BOOK, "another-4567cdef"]
        assert [row["key"] for row in rows(shelf, "--state", "new")] == ["another-4567cdef"]
        assert rows(shelf, "--state", "new")[0]["cost_usd"] == 0, "nothing was asked of anybody"
        assert rows(shelf, "--state", "complete,running") == []
        assert shelf("books", "--state", "odd")[0] == shelf("books", "--sort", "odd")[0] == 2

    def test_a_book_that_is_being_deleted(self, shelf: Shelf, library: Library) -> None:
        assert rows(shelf)[0]["state"] == "gaps", "counted, and kept"
        update = Update(BOOK, {}, {"error": BEING_DELETED}, "deletion")
        asyncio.run(library.store.update(Book, "source", 2, 63, [update]))
        assert [(row["key"], row["state"]) for row in rows(shelf, "--state", "deleting")] == [(BOOK, "deleting")]
        assert "being deleted" in shelf("books")[1]
        asyncio.run(library.store.acquire_lease(BOOK, "job", "r", "r", 0))
        assert [row["state"] for row in rows(shelf)] == ["deleting"], "whatever becomes of the job that does it"

    def test_the_cost_is_the_sum_of_all_attempts(self, shelf: Shelf, library: Library) -> None:
        paid = [
            Metric(key=f"attempt/p{n}", book_key="another-4567cdef", kind="attempt", cost_usd=0.25) for n in range(3)
        ]
        asyncio.run(library.store.stub(Book, [{"key": "another-4567cdef"}]))
        asyncio.run(library.store.create(Metric, paid))
        assert rows(shelf, "--sort", "cost")[0]["cost_usd"] == 0.75
        assert rows(shelf, "--sort", "cost")[1]["cost_usd"] is None

    async def test_what_was_counted_is_not_counted_again(self, library: Library) -> None:
        first = await all_books(library.store, library.home)
        calls: list[str] = []
        library.store.faults = calls.append
        assert await all_books(library.store, library.home) == first
        assert calls == ["find"] * 3, "leases, books and contents"
        library.store.faults = None
        epoch = await library.store.acquire_lease(BOOK, "job", "r", "r", 0)
        (held,) = await all_books(library.store, library.home)
        assert held.holder == "job"
        await library.store.update(
            Page, "ocr", 1, 2, [Update(key_of(4), {}, {"complete": True, "error": None}, "again")]
        )
        assert (await all_books(library.store, library.home))[0].counts.failed == "", "a held book is counted each time"
        await library.store.release_lease(BOOK, "r", epoch or 0)
        assert (await all_books(library.store, library.home))[0].counts.missing == "4"
        (library.home / "library.json").write_text("{")
        assert (await all_books(library.store, library.home))[0].counts.missing == "4"

    def test_a_book_that_is_held_where_nobody_can_be_asked(self, shelf: Shelf, library: Library) -> None:
        asyncio.run(library.store.acquire_lease(BOOK, "job", "r", "r", 0))
        assert [(row["state"], row["job"]) for row in rows(shelf)] == [("held", "job")]

    async def test_a_holder_that_temporal_does_not_know(self) -> None:
        from temporalio.service import RPCError, RPCStatusCode

        async def describe(**_: Any) -> None:
            raise RPCError("no such workflow", RPCStatusCode.NOT_FOUND, b"")

        client = SimpleNamespace(get_workflow_handle=lambda _: SimpleNamespace(describe=describe))
        assert await _job_state(client, "job") == "interrupted"


class TestDuplicates:
    async def test_the_same_files_under_another_name(self, library: Library) -> None:
        one, manifest = await put(library, "One", "ab")
        two, _ = await put(library, "Two", "ab")
        part, _ = await put(library, "Part", "bc")
        await put(library, "Other", "d")
        edited, _ = await put(library, "Edited", "abe", original=manifest)
        pairs = await duplicates(library.store, library.artifacts)
        found = {frozenset((pair.first, pair.second)): (pair.files, pair.same) for pair in pairs}
        assert found[frozenset((one, two))] == (2, True)
        assert found[frozenset((one, edited))] == (2, True), "a rescan makes no other book of it"
        assert found[frozenset((one, part))] == (1, False)
        assert len(found) == 6

    async def test_a_source_is_known_by_its_files(self, library: Library) -> None:
        one, _ = await put(library, "One", "ab")
        hashes = ["a" * 64, "b" * 64]
        found = await same_source(library.store, library.artifacts, book_key("Two", hashes), hashes)
        assert found is not None
        assert found.key == one
        assert await same_source(library.store, library.artifacts, one, hashes) is None
        for other in (hashes[:1], hashes[::-1], [*hashes, "c" * 64]):
            assert await same_source(library.store, library.artifacts, book_key("Two", other), other) is None

    def test_the_command(self, shelf: Shelf, library: Library) -> None:
        assert shelf("books", "--duplicates")[2] == "No two books share a file.\n"
        one, _ = asyncio.run(put(library, "One", "ab"))
        two, _ = asyncio.run(put(library, "Two", "ab"))
        found = json.loads(shelf("books", "--duplicates", "--json")[1])
        assert found == {"duplicates": [{"books": [one, two], "files": 2, "same": True}]}
        assert "the same source" in shelf("books", "--duplicates")[1]

    async def test_a_batch_leaves_them_out(self, library: Library, tmp_path: Path) -> None:
        first = write_pdf(tmp_path / "first.pdf", "Some text")
        copy, third = tmp_path / "copy.pdf", tmp_path / "third.pdf"
        copy.write_bytes(first.read_bytes())
        third.write_bytes(first.read_bytes())
        opened: Any = SimpleNamespace(store=library.store, artifacts=library.artifacts)
        pdf = PdfReader()
        try:
            sources = [BookSource((path,)) for path in (first, copy)]
            rows = batch.rows_of(opened, pdf, sources, batch.parse_only(None))
            begun = await rows[0].prepare()
            assert isinstance(begun, batch.Start)
            assert await rows[1].prepare() == f"the same files as {first}"
            fields = {"source_manifest": begun.given["manifest"]}
            await library.store.stub(Book, [{"key": begun.book}])
            await library.store.update(Book, "source", 1, 1, [Update(begun.book, fields, {}, "x")])
            (row,) = batch.rows_of(opened, pdf, [BookSource((third,))], batch.parse_only(None))
            assert str(await row.prepare()).startswith(f"the same files as the book {begun.book};")
            (row,) = batch.rows_of(opened, pdf, [BookSource((third,))], batch.parse_only(None), duplicate=True)
            assert isinstance(await row.prepare(), batch.Start)
            (row,) = batch.rows_of(opened, pdf, [BookSource((first,))], batch.parse_only(None))
            assert isinstance(await row.prepare(), batch.Start), "under its own name it goes on"
        finally:
            await pdf.close()

    def test_process_refuses_them(
        self, library: Library, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shelf: Shelf
    ) -> None:
        first = write_pdf(tmp_path / "first.pdf", "Some text")
        (tmp_path / "copy.pdf").write_bytes(first.read_bytes())

        async def keep() -> str:
            pdf = PdfReader()
            try:
                imported = await import_book(pdf, lambda: library.artifacts, [first], {})
            finally:
                await pdf.close()
            fields = {"source_manifest": imported.fingerprint}
            await library.store.stub(Book, [{"key": imported.book}])
            await library.store.update(Book, "source", 1, 1, [Update(imported.book, fields, {}, "x")])
            return imported.book

        book = asyncio.run(keep())
        monkeypatch.setenv("SHELF_HOME", str(library.home))
        monkeypatch.setattr(connect, "working", lambda **_: connect.reading())
        code, out, err = shelf("process", str(tmp_path / "copy.pdf"))
        assert (code, out) == (2, "")
        assert err.startswith(f"error: These files are the book {book} already. See `shelf show {book}`")


class TestSearch:
    def test_a_hit_with_its_printed_page(self, shelf: Shelf) -> None:
        code, out, err = shelf("search", "doctor")
        assert code == 0
        assert out == f"A [small] Book, p. iii (page 2)  [{BOOK}]\n    The Doctor\n"
        assert err.endswith("1 to 1 of 1 pages.\n")

    def test_as_json(self, shelf: Shelf) -> None:
        found = json.loads(shelf("search", "text", "page", "--json", "--limit", "1")[1])
        assert {name: found[name] for name in ("query", "total", "total_exact", "books_behind")} == {
            "query": "text page",
            "total": 2,
            "total_exact": True,
            "books_behind": 0,
        }
        (hit,) = found["hits"]
        assert hit["snippet"] in ("Text of page 1.", "Text of page 3.")
        assert [hit["snippet"][first:last] for first, last in hit["hits"]] == ["Text", "page"]

    def test_options(self, shelf: Shelf) -> None:
        assert shelf("search", "--no-refresh", "doctor") == (
            1,
            "",
            "error: There is no search index yet. Make it: `shelf search --rebuild`.\n",
        )
        code, out, err = shelf("search", "--rebuild")
        assert (code, out) == (0, "")
        assert err.startswith("The index was made: 3 pages in")
        assert shelf("search", "--no-refresh", "doctor", "--book", "small")[0] == 0
        assert shelf("search", "doctor", "--", "-the")[:2] == (0, "")
        assert shelf("search", "zebra") == (0, "", "No page has zebra.\n")
        assert shelf("search", "doctor", "--offset", "5")[2] == "There are only 1 pages; lower --offset.\n"
        assert shelf("search")[0] == shelf("search", "...")[0] == shelf("search", "x", "--book", "none")[0] == 2

    def test_damaged_where_only_a_search_looks(self, shelf: Shelf, library: Library) -> None:
        assert shelf("search", "doctor")[0] == 0
        folder = library.home / "search"
        database = sqlite3.connect(folder / (folder / "current").read_text(), isolation_level=None)
        database.execute("UPDATE pages_data SET block = x'00ff' WHERE id > 10")
        database.close()
        code, out, err = shelf("search", "--no-refresh", "doctor")
        assert (code, out) == (1, "")
        assert err.endswith("Make it anew: `shelf search --rebuild`.\n")
        code, out, err = shelf("search", "doctor")
        assert (code, "The Doctor" in out, "The index was made" in err) == (0, True, True)

    @pytest.mark.parametrize(
        ("argument", "query"),
        [
            ("whale", "whale"),
            ("white whale", '"white whale"'),
            ('"white whale" ship', '"white whale" ship'),
            ("whale OR ship", "whale OR ship"),
            ("whale -ship", "whale -ship"),
        ],
    )
    def test_what_the_shell_makes_of_quotes(self, argument: str, query: str) -> None:
        assert _as_typed(argument) == query
