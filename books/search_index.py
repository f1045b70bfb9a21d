"""The search index: an SQLite file with a row per page, searched by FTS5. What is in it can be made anew at any time.

Row ids are `book << 20 | page`, so that the pages of a book lie side by side: the filter by book is a range, and rows come in
the order of the shelf. Texts lie in a table of their own (external content), which `snippet()` reads: a contentless index saves
2 KB a page, and DefraDB takes thirty times that.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import time
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from books.search_query import Query, Term
from schemas.errors import DiskFull, ShelfError

FORMAT = "1"
"""Of the file; another one is made anew."""
PAGES_OF_A_BOOK = 1 << 20
CURRENT = "current"
"""Names the file that counts. A file is never renamed onto another: SQLite would find the old one's journal beside it."""

CANDIDATES = 10_000
"""Pages that are ranked, and above which a word is too frequent to rank by: BM25 takes 8 µs a page (2 loaded cores), and gives
a word that stands on every other page no weight at all."""
SLICES = 24
"""Ranges of rows in which a phrase of frequent words is looked for, with a look at the clock after each: 300,000 pages with
both words of "of the" take half a second."""
SEARCH_SECONDS = 0.12
"""After which no further range is begun."""
LATE_CHECKS = 200
BUSY_SECONDS = 10.0
SCRATCH_BYTES, USUAL_BYTES = 64 << 20, 1 << 20
"""What FTS5 keeps in memory before it writes a segment: while a file is made aside, and after (its default)."""
SNIPPET_WORDS = 24
ANEW = "Make it anew: `shelf search --rebuild`."
HIT = ("\x02", "\x03")
"""Around each hit in a snippet; a page cannot hold them."""

_TOKENS = "tokenize='unicode61 remove_diacritics 2'"
_SCHEMA = f"""
CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT);
CREATE TABLE book (id INTEGER PRIMARY KEY, key TEXT UNIQUE, title TEXT, mark TEXT, last INTEGER NOT NULL DEFAULT 0);
CREATE TABLE page (
    id INTEGER PRIMARY KEY, key TEXT UNIQUE, page INTEGER, label TEXT, inferred INTEGER, mark TEXT, text TEXT
);
CREATE VIRTUAL TABLE pages USING fts5(
    text, content='page', content_rowid='id', {_TOKENS}, prefix='2 3 4'
);
"""


class IndexBroken(ShelfError):
    """The index file cannot be read; it is made anew from the database."""


class SearchBusy(ShelfError):
    """Another process has the index for itself."""

    exit_code = 69


class SearchUnavailable(ShelfError):
    """This Python's SQLite has no FTS5."""


@dataclass(frozen=True, slots=True)
class IndexPage:
    """A page as it is indexed."""

    key: str
    page: int
    label: str | None
    inferred: bool
    mark: str
    """Names the text: as long as it is the same, so is that."""
    text: str


@dataclass(frozen=True, slots=True)
class Placed:
    """What the index knows of a page besides its text."""

    mark: str
    page: int
    label: str | None
    inferred: bool


@dataclass(frozen=True, slots=True)
class Hit:
    """A page that was found."""

    book: str
    title: str
    page: int
    label: str | None
    inferred: bool
    snippet: str
    """Hits between `HIT`."""


@dataclass(frozen=True, slots=True)
class Found:
    """A window of the pages that fit, best first."""

    hits: tuple[Hit, ...]
    total: int
    exact: bool
    """False: there are more than `total`."""
    ranked: bool
    """False: every word is too frequent to tell pages apart, and they come in the order of the shelf."""


def check_fts5() -> None:
    """Raises SearchUnavailable."""
    connection = sqlite3.connect(":memory:")
    try:
        connection.execute("CREATE VIRTUAL TABLE t USING fts5(x)")
    except sqlite3.OperationalError:
        raise SearchUnavailable(
            f"SQLite {sqlite3.sqlite_version} of this Python was built without FTS5.",
            "Use a Python whose SQLite has it, as those of uv, python.org and the distributions have.",
        ) from None
    finally:
        connection.close()


class SearchIndex:
    """One file. Reading goes on beside one writer; `books.search` sees to it that there is one."""

    def __init__(self, path: Path, *, scratch: bool = False) -> None:
        """Open it.

        Args:
            scratch: made aside and of no worth until it is complete: nothing is waited for to reach the disk.

        Raises IndexBroken."""
        self.path = path
        new = scratch and not path.exists()
        if not new and not path.exists():
            raise IndexBroken(f"The search index {path} is not there.", ANEW)
        self._db = sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)
        try:
            self._prepare(new, scratch)
        except BaseException:
            self.close()
            raise

    def _prepare(self, new: bool, scratch: bool) -> None:
        with self._sound():
            self._db.execute("PRAGMA cache_size = -65536")
            if scratch:
                self._db.execute("PRAGMA journal_mode = OFF")
                self._db.execute("PRAGMA synchronous = OFF")
            else:
                self._db.execute("PRAGMA journal_mode = WAL")
                self._db.execute("PRAGMA synchronous = NORMAL")
            if new:
                self._db.executescript(_SCHEMA)
                # One transaction for all, and fewer, larger segments to merge.
                self._db.execute("INSERT INTO pages(pages, rank) VALUES ('hashsize', ?)", (SCRATCH_BYTES,))
                self._db.execute("BEGIN")
            elif self.meta("format") != FORMAT:
                raise IndexBroken(f"The search index {self.path} is of another version, or was not finished.", ANEW)

    def close(self) -> None:
        self._db.close()

    @contextlib.contextmanager
    def _sound(self) -> Iterator[None]:
        """What SQLite says of a file that is none of its own, cut off or overwritten becomes IndexBroken."""
        try:
            yield
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY:
                raise SearchBusy("Another command writes the search index.", "Search again in a moment.") from error
            if error.sqlite_errorcode & 0xFF in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR):
                raise DiskFull(f"The search index {self.path} cannot be written: {error}.", "Make room.") from error
            raise IndexBroken(f"The search index {self.path} cannot be read: {error}.", ANEW) from error
        except sqlite3.DatabaseError as error:
            raise IndexBroken(f"The search index {self.path} is damaged: {error}.", ANEW) from error

    def meta(self, name: str) -> str | None:
        row = self._db.execute("SELECT value FROM meta WHERE name = ?", (name,)).fetchone()
        return None if row is None else str(row[0])

    # Writing

    def finish(self) -> None:
        """Of a file that was made aside: merge, mark as complete, bring to the disk."""
        db = self._db
        db.execute("INSERT INTO pages(pages) VALUES ('optimize')")
        db.execute("INSERT INTO pages(pages, rank) VALUES ('hashsize', ?)", (USUAL_BYTES,))
        db.execute("INSERT INTO meta VALUES ('format', ?)", (FORMAT,))
        db.execute("COMMIT")
        self.close()
        descriptor = os.open(self.path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def write_book(
        self,
        key: str,
        title: str,
        mark: str,
        changed: Iterable[IndexPage],
        *,
        moved: Mapping[str, Placed] | None = None,
        gone: Collection[str] = (),
    ) -> None:
        """All or nothing: pages whose text is new, pages that only stand elsewhere or have another label, pages
        that are gone."""
        with self._sound(), self._transaction():
            db = self._db
            db.execute(
                "INSERT INTO book(key, title, mark) VALUES (?1, ?2, ?3) "
                "ON CONFLICT(key) DO UPDATE SET title = ?2, mark = ?3",
                (key, title, mark),
            )
            number, last = db.execute("SELECT id, last FROM book WHERE key = ?", (key,)).fetchone()
            self._remove(gone)
            for page in changed:
                if last:
                    self._remove([page.key])
                last += 1
                row = (number * PAGES_OF_A_BOOK + last, page.key, page.page, page.label, page.inferred, page.mark)
                db.execute("INSERT INTO page VALUES (?, ?, ?, ?, ?, ?, ?)", (*row, page.text))
                db.execute("INSERT INTO pages(rowid, text) VALUES (?, ?)", (row[0], page.text))
            for name, at in (moved or {}).items():
                db.execute(
                    "UPDATE page SET page = ?, label = ?, inferred = ?, mark = ? WHERE key = ?",
                    (at.page, at.label, at.inferred, at.mark, name),
                )
            db.execute("UPDATE book SET last = ? WHERE id = ?", (last, number))

    def remove_book(self, key: str) -> None:
        """Nothing happens where it is not there."""
        with self._sound(), self._transaction():
            self._remove([name for (name,) in self._db.execute(*self._pages_of("key", key))])
            self._db.execute("DELETE FROM book WHERE key = ?", (key,))

    def _remove(self, keys: Collection[str]) -> None:
        for key in keys:
            row = self._db.execute("SELECT id, text FROM page WHERE key = ?", (key,)).fetchone()
            if row is not None:
                # FTS5 takes the old text back word by word: it keeps none of its own.
                self._db.execute("INSERT INTO pages(pages, rowid, text) VALUES ('delete', ?, ?)", row)
                self._db.execute("DELETE FROM page WHERE id = ?", (row[0],))

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[None]:
        if self._db.in_transaction:  # the one of a file that is made aside
            yield
            return
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")

    # What is in it

    def books(self) -> dict[str, str]:
        """key -> mark."""
        with self._sound():
            return dict(self._db.execute("SELECT key, mark FROM book"))

    def pages(self, book: str) -> dict[str, Placed]:
        """key -> what is known of it."""
        with self._sound():
            rows = self._db.execute(*self._pages_of("key, mark, page, label, inferred", book))
            return {key: Placed(mark, page, label, bool(inferred)) for key, mark, page, label, inferred in rows}

    def texts(self, book: str) -> list[str]:
        with self._sound():
            return [text for (text,) in self._db.execute(*self._pages_of("text", book))]

    def page_count(self) -> int:
        with self._sound():
            return int(self._db.execute("SELECT count(*) FROM page").fetchone()[0])

    def _pages_of(self, columns: str, book: str) -> tuple[str, tuple[int, int]]:
        low, high = self._range(book)
        return f"SELECT {columns} FROM page WHERE id BETWEEN ? AND ? ORDER BY id", (low, high)  # noqa: S608

    def _range(self, book: str | None) -> tuple[int, int]:
        """Row ids of a book, or of all; an empty range where the book is not there."""
        if book is None:
            row = self._db.execute("SELECT (SELECT min(id) FROM page), (SELECT max(id) FROM page)").fetchone()
            return (0, -1) if row[0] is None else (row[0], row[1])
        row = self._db.execute("SELECT id FROM book WHERE key = ?", (book,)).fetchone()
        if row is None:
            return 0, -1
        return row[0] * PAGES_OF_A_BOOK, (row[0] + 1) * PAGES_OF_A_BOOK - 1

    # Searching

    def search(self, query: Query, *, book: str | None = None, limit: int = 10, offset: int = 0) -> Found:
        """Pages that fit, best first, within a bounded time: what frequent words alone cannot order comes in the order of
        the shelf, and of very many pages the first `CANDIDATES` are counted. Raises IndexBroken."""
        with self._sound():
            return self._search(query, book, limit, offset)

    def _search(self, query: Query, book: str | None, limit: int, offset: int) -> Found:
        match, (low, high) = query.match(), self._range(book)
        deadline = time.monotonic() + SEARCH_SECONDS
        frequent = {term for term in dict.fromkeys(query.terms) if all(map(self._is_frequent, term.words()))}
        rare = query.keep(lambda term: term not in frequent)
        # Slices only where phrases make it slow: each begins the merge of a long prefix over again.
        slices = SLICES if any(len(term.words()) > 1 for term in frequent) else 1
        fitting, reached = self._fitting(match, low, high, slices, deadline)
        ranked = [] if not rare.groups else self._ranked(rare.match(), low, high)
        inside, wanted, late = set(fitting), offset + limit, LATE_CHECKS
        ordered: list[int] = []
        for row in ranked:
            if len(ordered) >= wanted:
                break
            if row > reached and row not in inside:
                late -= 1
                if late < 0 or not self._fits(match, row):
                    continue
            elif row not in inside:
                continue
            ordered.append(row)
        if len(ordered) < wanted:
            seen = set(ordered)
            ordered += [row for row in fitting if row not in seen]
        hits = self._hits(match, ordered[offset:wanted])
        total = max(len(fitting), offset + len(hits) if hits else 0)
        return Found(hits, total, exact=reached >= high, ranked=bool(ranked) or total <= 1)

    def _is_frequent(self, word: Term) -> bool:
        rows = self._db.execute(
            "SELECT count(*) FROM (SELECT 1 FROM pages WHERE pages MATCH ? LIMIT ?)", (word.match(), CANDIDATES + 1)
        )
        return int(rows.fetchone()[0]) > CANDIDATES

    def _fitting(self, match: str, low: int, high: int, slices: int, deadline: float) -> tuple[list[int], int]:
        """Row ids in order, at most `CANDIDATES`; and up to which row was looked."""
        rows: list[int] = []
        step = -(-(high - low + 1) // slices)
        for start in range(low, high + 1, max(step, 1)):
            end = min(start + step - 1, high)
            rows += [row for (row,) in self._db.execute(_FITTING, (match, start, end, CANDIDATES + 1 - len(rows)))]
            if len(rows) > CANDIDATES:
                rows.pop()
                return rows, rows[-1]
            if time.monotonic() > deadline and end < high:
                return rows, end
        return rows, high

    def _ranked(self, match: str, low: int, high: int) -> list[int]:
        """Row ids, best first, of the first `CANDIDATES`."""
        scored = self._db.execute(_SCORED, (match, low, high, CANDIDATES)).fetchall()
        return [row for _, row in sorted(scored)]

    def _fits(self, match: str, row: int) -> bool:
        return self._db.execute(_FITTING, (match, row, row, 1)).fetchone() is not None

    def _hits(self, match: str, rows: Sequence[int]) -> tuple[Hit, ...]:
        """With snippets, from an index of these pages alone: in the large one each of them would begin the search anew."""
        with contextlib.closing(sqlite3.connect(":memory:")) as few:
            few.execute(f"CREATE VIRTUAL TABLE pages USING fts5(text, {_TOKENS})")
            found = {row: self._db.execute(_PAGE, (row,)).fetchone() for row in rows}
            few.executemany("INSERT INTO pages(rowid, text) VALUES (?, ?)", ((row, at[0]) for row, at in found.items()))
            snippets = dict(few.execute(_SNIPPETS, (*HIT, SNIPPET_WORDS, match)))
        return tuple(
            Hit(key, title, page, label, bool(inferred), snippets[row])
            for row, (_, page, label, inferred, key, title) in found.items()
        )


_FITTING = "SELECT rowid FROM pages WHERE pages MATCH ? AND rowid BETWEEN ? AND ? LIMIT ?"
# `LIMIT` bounds how many pages are scored; with ORDER BY rank all of them would be.
_SCORED = "SELECT bm25(pages), rowid FROM pages WHERE pages MATCH ? AND rowid BETWEEN ? AND ? LIMIT ?"
_SNIPPETS = "SELECT rowid, snippet(pages, 0, ?, ?, '…', ?) FROM pages WHERE pages MATCH ?"
_PAGE = f"""
SELECT page.text, page.page, page.label, page.inferred, book.key, book.title
FROM page JOIN book ON book.id = page.id / {PAGES_OF_A_BOOK} WHERE page.id = ?
"""  # noqa: S608
