"""Search over real SQLite files: what is found, how the index follows the database, what a crash leaves."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import unicodedata
from collections.abc import AsyncIterator, Callable, Iterable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from books import search, search_index
from books.search import Divided, Freshness, forget, fresh_index, open_index, rebuild
from books.search_index import HIT, Found, IndexBroken, IndexPage, SearchBusy, SearchIndex
from books.search_query import parse_query, pieces
from schemas.documents import Book, Page
from schemas.errors import BadInput
from schemas.keys import leaf_id, page_key
from schemas.memory import MemoryStore
from schemas.store import Update, op_id

ALICE, MOBY = "alice-00000001", "moby-00000002"
TEXTS = {
    ALICE: ["Alice was begin-\nning to get very tired", "the White Rabbit with pink eyes", "Café naïveté, ﬁne Maſſe"],
    MOBY: ["Call me Ishmael, said the whale", "the white whale and the ship", "no such thing; Ahab's leg"],
}


class Shelf:
    """Books in memory, written as jobs do: under a lease, each save with a mark of its own."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.store = MemoryStore()
        self.epoch: dict[str, int] = {}

    async def job(self, book: str) -> int:
        """Takes the lease; `end` gives it back."""
        before = self.epoch.get(book, 0)
        epoch = await self.store.acquire_lease(book, f"job:{book}", f"r{before}", f"r{before}", before)
        assert epoch == before + 1
        self.epoch[book] = epoch
        return epoch

    async def end(self, book: str) -> None:
        await self.store.release_lease(book, f"r{self.epoch[book] - 1}", self.epoch[book])

    async def add(self, book: str, texts: Iterable[str], title: str | None = None) -> None:
        epoch = await self.job(book)
        await self.store.stub(Book, [{"key": book}])
        names = {"source_name": book, "title": title}
        await self.store.update(Book, "source", epoch, 1, [Update(book, names, {}, op_id(epoch, "source", 1, ""))])
        for number, text in enumerate(texts, 1):
            await self.store.stub(Page, [{"key": self.key(book, number), "book_key": book, "page": number}])
            await self.say(book, number, "blend", {"text": text})
            await self.say(book, number, "label", {"label": str(number + 10), "label_inferred": False})
        await self.end(book)

    async def say(self, book: str, number: int, operation: str, fields: dict[str, Any]) -> None:
        epoch, key = self.epoch[book], self.key(book, number)
        mark = op_id(epoch, operation, 1, json.dumps(fields))
        await self.store.update(Page, operation, epoch, 1, [Update(key, fields, {}, mark)])

    async def change(self, book: str, number: int, operation: str, **fields: Any) -> None:
        await self.job(book)
        await self.say(book, number, operation, fields)
        await self.end(book)

    @staticmethod
    def key(book: str, number: int) -> str:
        return page_key(book, leaf_id(0, number - 1))

    async def look(self, text: str, **options: Any) -> list[tuple[str, int, str | None]]:
        """Refresh and search: (book, page, label) of each hit."""
        return [(hit.book, hit.page, hit.label) for hit in (await self.find(text, **options))[0].hits]

    async def find(self, text: str, seconds: float = 60, **options: Any) -> tuple[Found, Freshness]:
        index, fresh = await fresh_index(self.home, self.store, seconds=seconds)
        try:
            return index.search(parse_query(text), **options), fresh
        finally:
            index.close()


@pytest.fixture
async def shelf(tmp_path: Path) -> Shelf:
    made = Shelf(tmp_path)
    for book, texts in TEXTS.items():
        await made.add(book, texts)
    return made


class TestWhatIsFound:
    @pytest.mark.parametrize(
        ("text", "wanted"),
        [
            ("whale", [(MOBY, 1), (MOBY, 2)]),
            ("WHALE ship", [(MOBY, 2)]),
            ("ishmael OR rabbit", [(ALICE, 2), (MOBY, 1)]),
            ("ishmael OR rabbit the", [(ALICE, 2), (MOBY, 1)]),
            ('"white whale"', [(MOBY, 2)]),
            ('"whale white"', []),
            ("white -whale", [(ALICE, 2)]),
            ('white -"white rabbit"', [(MOBY, 2)]),
            ("rab*", [(ALICE, 2)]),
            ('"the white wh"*', [(MOBY, 2)]),
            ("beginning", [(ALICE, 1)]),
            ("cafe naivete", [(ALICE, 3)]),
            ("CAFÉ", [(ALICE, 3)]),
            ("cafe\u0301", [(ALICE, 3)]),
            ("fine masse", [(ALICE, 3)]),
            ("Ahab’s", [(MOBY, 3)]),
            ("Ahab's", [(MOBY, 3)]),
            ('unclosed "white whale', []),
            ('"white whale', [(MOBY, 2)]),
            ("AND whale", [(MOBY, 2)]),
            ("whale NEAR(", []),
            ("text:whale", []),
        ],
    )
    async def test_query(self, shelf: Shelf, text: str, wanted: list[tuple[str, int]]) -> None:
        assert sorted((book, page) for book, page, _ in await shelf.look(text)) == wanted

    async def test_a_hit(self, shelf: Shelf) -> None:
        found, _ = await shelf.find("ishmael")
        (hit,) = found.hits
        assert (hit.book, hit.title, hit.page, hit.label, hit.inferred) == (MOBY, MOBY, 1, "11", False)
        assert hit.snippet == f"Call me {HIT[0]}Ishmael{HIT[1]}, said the whale"
        assert (found.total, found.exact) == (1, True)

    async def test_the_better_page_comes_first(self, shelf: Shelf) -> None:
        await shelf.add("long-00000003", ["whale " + "and much else that is no animal of the sea " * 9, "whale whale"])
        assert (await shelf.look("whale"))[0] == ("long-00000003", 2, "12")
        assert (await shelf.look("whale"))[-1] == ("long-00000003", 1, "11")

    async def test_book_limit_and_offset(self, shelf: Shelf) -> None:
        everywhere = await shelf.look("the")
        assert {book for book, _, _ in everywhere} == {ALICE, MOBY}
        assert {book for book, _, _ in await shelf.look("the", book=MOBY)} == {MOBY}
        windows = [await shelf.look("the", limit=1, offset=at) for at in range(len(everywhere) + 1)]
        assert [hit for window in windows for hit in window] == everywhere
        assert await shelf.look("the", book="none-00000009") == []

    @pytest.mark.parametrize("text", ["", "  ", '""', "-whale", "...", "a* OR b", "*"])
    def test_a_question_without_a_word(self, text: str) -> None:
        with pytest.raises(BadInput):
            parse_query(text)

    def test_too_many_words(self) -> None:
        with pytest.raises(BadInput, match="at most 32"):
            parse_query(" ".join(f"word{number}" for number in range(33)))


class TestFrequentWords:
    """With few candidates, what otherwise takes a hundred thousand pages happens on ten."""

    @pytest.fixture
    async def index(self, shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[SearchIndex]:
        await shelf.add("much-00000003", [f"of the of the page{number}" for number in range(20)])
        await shelf.add("rare-00000004", ["of the whale of the", "the of whalebone", "of what the"])
        monkeypatch.setattr(search_index, "CANDIDATES", 5)
        opened, _ = await fresh_index(shelf.home, shelf.store, seconds=60)
        yield opened
        opened.close()

    def found(self, index: SearchIndex, text: str, limit: int = 50) -> list[tuple[str, int]]:
        return [(hit.book[:4], hit.page) for hit in index.search(parse_query(text), limit=limit).hits]

    def test_the_rare_word_orders_and_the_frequent_one_filters(self, index: SearchIndex) -> None:
        assert self.found(index, '"of the" whale') == [("rare", 1)]
        assert set(self.found(index, "the whale")) == {("rare", 1), ("moby", 1), ("moby", 2)}
        assert self.found(index, "whale -of") == [("moby", 2), ("moby", 1)] or set(self.found(index, "whale -of")) == {
            ("moby", 1),
            ("moby", 2),
        }

    def test_beyond_the_candidates_too(self, index: SearchIndex) -> None:
        # The five candidates of "of" lie in the book before; the page is found by the rare word and checked by itself.
        assert self.found(index, "of whalebone") == [("rare", 2)]
        assert self.found(index, "of OR whalebone")[0] == ("rare", 2)

    def test_frequent_words_alone(self, index: SearchIndex) -> None:
        found = index.search(parse_query('"of the"'), limit=3)
        assert [(hit.book[:4], hit.page) for hit in found.hits] == [("much", 1), ("much", 2), ("much", 3)]
        assert (found.total, found.exact, found.ranked) == (5, False, False)

    def test_when_there_is_no_time(self, index: SearchIndex, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(search_index, "SEARCH_SECONDS", -1.0)
        found = index.search(parse_query('"of the"'))
        assert not found.exact
        assert self.found(index, '"of the" whale') == [("rare", 1)]


@pytest.fixture(scope="module")
def some_pages(tmp_path_factory: pytest.TempPathFactory) -> SearchIndex:
    index = SearchIndex(tmp_path_factory.mktemp("search") / "a.db", scratch=True)
    index.write_book("b", "B", "1", [IndexPage("b/1", 1, "i", False, "m", "the white whale and a ship")])
    index.finish()
    return SearchIndex(index.path)


TYPED = st.text(st.one_of(st.characters(), st.sampled_from(" \"*-()^:+{}'ORAND\x00\u0301\ud800")), max_size=60)


class TestAnything:
    @given(TYPED)
    @settings(max_examples=250, deadline=None)
    @example('"')
    @example("NOT NEAR(a b, 2) ^x {text}: y")
    @example('a"b"*c-"d')
    def test_no_question_is_a_syntax_error(self, some_pages: SearchIndex, text: str) -> None:
        try:
            query = parse_query(text)
        except BadInput:
            return
        found = some_pages.search(query)
        assert found.total in (0, 1)

    @given(st.text(st.characters(codec="utf-8"), max_size=80))
    @settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    def test_each_word_of_a_page_finds_it(self, tmp_path: Path, text: str) -> None:
        path = tmp_path / "one.db"
        path.unlink(missing_ok=True)
        index = SearchIndex(path, scratch=True)
        # SQLite's tables of letters end with Unicode 6.1.
        shown = "".join(each if _is_old(each) else " " for each in Divided([text]).running(text))
        index.write_book("b", "B", "1", [IndexPage("b/1", 1, None, False, "m", shown)])
        index.finish()
        index = SearchIndex(path)
        for word in pieces(shown):
            assert index.search(parse_query(word)).total == 1, word
        index.close()


def _is_old(character: str) -> bool:
    return unicodedata.ucd_3_2_0.category(character)[0] in "LNPZS"


class TestWordsAtTheEndOfALine:
    def test_in_one_piece(self) -> None:
        assert (
            Divided(["a begin-\nning, a be\u00ac\n  gun soft\u00ad\nly"]).running(
                "a begin-\nning, a be\u00ac\n  gun soft\u00ad\nly"
            )
            == "a beginning, a begun softly"
        )

    def test_with_its_hyphen_where_the_book_writes_it_so(self) -> None:
        divided = Divided(["his self-control was great"], ["self-\ncontrol"])
        assert divided.running("self-\ncontrol and con-\ntrol") == "self-control and control"

    def test_what_is_no_divided_word(self) -> None:
        text = "Saint-\nGermain, 12-\n14, a dash -\nhere"
        assert Divided([text]).running(text) == "Saint-Germain, 12- 14, a dash - here"


class TestFollowsTheDatabase:
    async def test_a_second_search_writes_nothing(self, shelf: Shelf) -> None:
        _, first = await shelf.find("whale")
        assert (first.rebuilt, first.pages_written) == (True, 6)
        calls: list[str] = []
        shelf.store.faults = calls.append
        _, second = await shelf.find("whale")
        assert (second.books_changed, second.pages_written) == (0, 0)
        assert calls == ["find", "find"], "the leases and the books, no page"

    async def test_a_new_book(self, shelf: Shelf) -> None:
        await shelf.look("whale")
        await shelf.add("third-00000003", ["a narwhal"], title="Third")
        found, fresh = await shelf.find("narwhal")
        assert [hit.title for hit in found.hits] == ["Third"]
        assert (fresh.books_changed, fresh.pages_written, fresh.rebuilt) == (1, 1, False)

    async def test_a_corrected_page(self, shelf: Shelf) -> None:
        await shelf.look("whale")
        await shelf.change(MOBY, 2, "blend", text="the white dolphin")
        found, fresh = await shelf.find("dolphin")
        assert [(hit.page, hit.label) for hit in found.hits] == [(2, "12")]
        assert fresh.pages_written == 1
        assert await shelf.look("ship") == []
        assert await shelf.look("whale") == [(MOBY, 1, "11")]

    async def test_a_label_alone(self, shelf: Shelf) -> None:
        await shelf.look("whale")
        await shelf.change(MOBY, 1, "label", label="xi", label_inferred=True)
        found, fresh = await shelf.find("ishmael")
        assert [(hit.label, hit.inferred) for hit in found.hits] == [("xi", True)]
        assert fresh.pages_written == 0

    async def test_leaves_that_move_and_one_that_is_dropped(self, shelf: Shelf) -> None:
        await shelf.look("whale")
        await shelf.change(MOBY, 1, "extract", page=None)
        await shelf.change(MOBY, 2, "extract", page=1)
        assert await shelf.look("whale") == [(MOBY, 1, "12")]
        await shelf.change(MOBY, 1, "extract", page=2)
        assert sorted(await shelf.look("whale")) == [(MOBY, 1, "12"), (MOBY, 2, "11")]

    async def test_a_book_that_is_deleted(self, shelf: Shelf) -> None:
        await shelf.look("whale")
        del shelf.store._of(Book)[MOBY]
        assert await shelf.look("whale") == []
        assert await shelf.look("rabbit") == [(ALICE, 2, "12")]

    async def test_forget(self, shelf: Shelf) -> None:
        forget(shelf.home, MOBY)
        await shelf.look("whale")
        forget(shelf.home, MOBY)
        forget(shelf.home, MOBY)
        index = open_index(shelf.home)
        assert index.search(parse_query("whale")).total == 0
        index.close()
        assert len(await shelf.look("whale")) == 2, "still in the database, so it comes back"

    async def test_while_a_job_works_on_it(self, shelf: Shelf) -> None:
        await shelf.look("whale")
        await shelf.job(MOBY)
        await shelf.say(MOBY, 3, "blend", {"text": "a porpoise"})
        assert await shelf.look("porpoise") == [(MOBY, 3, "13")]
        await shelf.say(MOBY, 2, "blend", {"text": "a walrus"})
        assert await shelf.look("walrus") == [(MOBY, 2, "12")]
        await shelf.end(MOBY)
        assert await shelf.look("walrus") == [(MOBY, 2, "12")]

    async def test_without_time_it_says_how_far_it_is_behind(self, shelf: Shelf) -> None:
        await shelf.look("whale")
        await shelf.add("third-00000003", ["a narwhal"])
        await shelf.add("fourth-00000004", ["a narwhal"])
        found, fresh = await shelf.find("narwhal", seconds=-1)
        assert (found.total, fresh.books_behind) == (0, 2)
        found, fresh = await shelf.find("narwhal")
        assert (found.total, fresh.books_behind) == (2, 0)

    async def test_the_same_after_changes_as_anew(self, shelf: Shelf) -> None:
        await shelf.look("whale")
        await shelf.change(MOBY, 2, "blend", text="dol-\nphin and dol-\nlar")
        await shelf.change(ALICE, 1, "label", label="i")
        await shelf.change(ALICE, 3, "extract", page=None)
        await shelf.look("whale")

        def rows() -> list[Any]:
            database = sqlite3.connect(open_index(shelf.home).path)
            return sorted(database.execute("SELECT key, page, label, mark, text FROM page"))

        before = rows()
        index, fresh = await rebuild(shelf.home, shelf.store)
        index.close()
        assert fresh.pages_written == 5
        assert rows() == before

    async def test_integrity_after_many_changes(self, shelf: Shelf) -> None:
        for number in range(12):
            await shelf.change(MOBY, 1 + number % 3, "blend", text=f"word{number} the whale")
            await shelf.look("whale")
        index = open_index(shelf.home)
        index._db.execute("INSERT INTO pages(pages, rank) VALUES ('integrity-check', 1)")
        assert [index.search(parse_query(f"word{number}")).total for number in range(12)] == [0] * 9 + [1] * 3
        index.close()


class TestCrashes:
    @pytest.fixture
    async def made(self, shelf: Shelf) -> Shelf:
        assert len(await shelf.look("whale")) == 2
        return shelf

    def current(self, shelf: Shelf) -> Path:
        folder = shelf.home / "search"
        return folder / (folder / "current").read_text()

    @pytest.mark.parametrize(
        "harm",
        [
            lambda path: path.unlink(),
            lambda path: path.write_bytes(b""),
            lambda path: path.write_bytes(b"no database at all" * 500),
            lambda path: path.write_bytes(path.read_bytes()[:5000]),
            lambda path: (path.parent / "current").write_text("none.db"),
            lambda path: (path.parent / "current").write_text(""),
            lambda path: sqlite3.connect(path, isolation_level=None).execute("UPDATE meta SET value = 'old'"),
        ],
    )
    async def test_a_broken_index_is_made_anew(self, made: Shelf, harm: Callable[[Path], object]) -> None:
        harm(self.current(made))
        found, fresh = await made.find("whale")
        assert (found.total, fresh.rebuilt) == (2, True)

    async def test_killed_in_the_middle_of_a_rebuild(self, made: Shelf) -> None:
        # Another process builds aside, and dies by SIGKILL with half of it written.
        code = """
import os, signal, sys
from pathlib import Path
from books.search import _writing
from books.search_index import IndexPage, SearchIndex
with _writing(Path(sys.argv[1])) as mine:
    assert mine
    index = SearchIndex(Path(sys.argv[1]) / "search" / "half.db", scratch=True)
    index.write_book("b", "B", "1", [IndexPage("b/1", 1, None, False, "m", "whale")] )
    os.kill(os.getpid(), signal.SIGKILL)
"""
        done = subprocess.run([sys.executable, "-c", code, str(made.home)], check=False, cwd=Path(__file__).parents[2])
        assert done.returncode == -signal.SIGKILL
        assert (made.home / "search" / "half.db").exists()
        assert len(await made.look("whale")) == 2
        index, _ = await rebuild(made.home, made.store)
        index.close()
        assert {path.name for path in (made.home / "search").glob("*.db")} == {self.current(made).name}

    async def test_killed_in_the_middle_of_a_change(self, made: Shelf) -> None:
        code = """
import os, signal, sys
from pathlib import Path
from books.search import open_index
index = open_index(Path(sys.argv[1]))
index._db.execute("BEGIN IMMEDIATE")
index._remove([key for book in index.books() for key in index.pages(book)])
index._db.execute("INSERT INTO pages(pages) VALUES ('optimize')")
os.kill(os.getpid(), signal.SIGKILL)
"""
        done = subprocess.run([sys.executable, "-c", code, str(made.home)], check=False, cwd=Path(__file__).parents[2])
        assert done.returncode == -signal.SIGKILL
        found, fresh = await made.find("whale")
        assert (found.total, fresh.rebuilt) == (2, False)

    async def test_a_rebuild_that_fails_leaves_the_index_as_it_was(self, made: Shelf) -> None:
        def fail(name: str) -> None:
            raise RuntimeError(name)

        before = self.current(made)
        made.store.faults = fail
        with pytest.raises(RuntimeError):
            await rebuild(made.home, made.store)
        made.store.faults = None
        assert self.current(made) == before
        assert [path.name for path in (made.home / "search").glob("*.db")] == [before.name]

    async def test_another_process_writes(self, made: Shelf) -> None:
        await made.add("third-00000003", ["a narwhal"])
        with search._writing(made.home) as mine:
            assert mine
            found, fresh = await made.find("narwhal")
            assert (found.total, fresh.books_behind) == (0, 1)
        assert len(await made.look("narwhal")) == 1

    async def test_who_searches_while_it_is_made_anew_keeps_the_old_one(self, made: Shelf) -> None:
        old = open_index(made.home)
        index, _ = await rebuild(made.home, made.store)
        index.close()
        assert old.path != self.current(made)
        assert old.search(parse_query("whale")).total == 2
        old.close()

    async def test_the_first_one_is_being_made_elsewhere(self, shelf: Shelf) -> None:
        with search._writing(shelf.home), pytest.raises(SearchBusy):
            await shelf.find("whale")

    def test_no_index_at_all(self, tmp_path: Path) -> None:
        with pytest.raises(IndexBroken, match="There is no search index yet"):
            open_index(tmp_path)
        assert os.listdir(tmp_path) == []
