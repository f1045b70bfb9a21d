"""Search over the texts of all books: the index is kept like the database, and made anew from it at will.

In `<home>/search/` lies one SQLite file, named by `current`. A rebuild makes another one aside and then changes the name, so that
whoever searches meanwhile has the old one to the end, and a crash leaves it as it was. One process writes at a time (a lock that
dies with it); the others search what is there.

Every write to a book happens under its lease, whose epoch grows with each job. So one query for the leases and one for the books
say which books may have changed; only of those the pages are looked at, and only texts that are new are fetched.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import re
import time
import uuid
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from books.search_index import CURRENT, IndexBroken, IndexPage, Placed, SearchBusy, SearchIndex, check_fts5
from books.search_query import plain
from schemas.documents import Book, Lease, Page
from schemas.store import Store, digest

FOLDER = "search"
BOOKS_AT_ONCE = 3
"""Read from the database while one is indexed."""
LOCK_SECONDS = 0.2

Progress = Callable[[int, int], None]
"""Called with books done and books in all."""


@dataclass(frozen=True, slots=True)
class Freshness:
    """What a refresh came to."""

    books_changed: int = 0
    """Taken in now."""
    books_behind: int = 0
    """Changed since, but there was no time for them, or another process was at it."""
    pages_written: int = 0
    rebuilt: bool = False
    seconds: float = 0.0


def open_index(home: Path) -> SearchIndex:
    """The index that counts. Raises IndexBroken where there is none that can be read."""
    check_fts5()
    folder = home / FOLDER
    for _ in range(3):
        try:
            name = (folder / CURRENT).read_text().strip()
        except OSError:
            break
        with contextlib.suppress(FileNotFoundError):
            return SearchIndex(folder / (name or "none"))
        # A rebuild ended between the look at the name and the file.
    raise IndexBroken("There is no search index yet.", "Make it: `shelf search --rebuild`.")


async def fresh_index(
    home: Path, store: Store, *, seconds: float, progress: Progress | None = None
) -> tuple[SearchIndex, Freshness]:
    """The index, brought up to date as far as `seconds` allow; made from the start where there is none or it is broken.

    Raises StoreUnavailable; SearchBusy while another process makes the first one; SearchUnavailable."""
    try:
        index = open_index(home)
    except IndexBroken:
        with _writing(home) as mine:
            if not mine:
                raise SearchBusy(
                    "Another command is making the search index for the first time.", "Search again when it is done."
                ) from None
            return await _rebuilt(home, store, progress)
    try:
        return index, await refresh(index, home, store, seconds=seconds, progress=progress)
    except IndexBroken:
        index.close()
        return await rebuild(home, store, progress=progress)


async def rebuild(home: Path, store: Store, *, progress: Progress | None = None) -> tuple[SearchIndex, Freshness]:
    """Make the index from the database alone. Waits for a process that writes it. Raises StoreUnavailable."""
    check_fts5()
    while True:
        with _writing(home) as mine:
            if mine:
                return await _rebuilt(home, store, progress)
        await asyncio.sleep(LOCK_SECONDS)


async def _rebuilt(home: Path, store: Store, progress: Progress | None) -> tuple[SearchIndex, Freshness]:
    began = time.monotonic()
    folder = home / FOLDER
    _sweep(folder)
    name = f"{uuid.uuid4().hex[:12]}.db"
    index = SearchIndex(folder / name, scratch=True)
    try:
        marks = await _marks(store)
        written = 0
        async for number, (book, pages) in _numbered(_read_books(store, list(marks.values()))):
            await asyncio.to_thread(_write, index, book, pages)
            written += len(pages)
            if progress is not None:
                progress(number, len(marks))
        await asyncio.to_thread(index.finish)
    except BaseException:
        index.close()
        (folder / name).unlink(missing_ok=True)
        raise
    _point(folder, name)
    _sweep(folder)
    seconds = time.monotonic() - began
    return open_index(home), Freshness(len(marks), pages_written=written, rebuilt=True, seconds=seconds)


async def refresh(
    index: SearchIndex, home: Path, store: Store, *, seconds: float, progress: Progress | None = None
) -> Freshness:
    """Take in what changed since; books for which there is no time are left to the next refresh."""
    began = time.monotonic()
    known = index.books()
    marks = await _marks(store)
    gone = [key for key in known if key not in marks]
    changed = [book for book in marks.values() if not book.mark or known.get(book.key) != book.mark]
    if not gone and not changed:
        return Freshness(seconds=time.monotonic() - began)
    with _writing(home) as mine:
        if not mine or _current(home) != index.path.name:
            return Freshness(books_behind=len(gone) + len(changed), seconds=time.monotonic() - began)
        for key in gone:
            await asyncio.to_thread(index.remove_book, key)
        done = pages = 0
        for number, book in enumerate(changed, 1):
            if time.monotonic() - began > seconds:
                break
            pages += await _take_in(index, store, book)
            done = number
            if progress is not None:
                progress(number, len(changed))
    return Freshness(done + len(gone), len(changed) - done, pages, seconds=time.monotonic() - began)


def forget(home: Path, book_key: str) -> None:
    """Take a book out of the index, if there is one; for what deletes it, or puts another state of it in its place."""
    with contextlib.suppress(IndexBroken), contextlib.closing(open_index(home)) as index:
        index.remove_book(book_key)


# What changed -------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _BookMark:
    key: str
    title: str
    mark: str
    """'' while a job works on the book: nothing is sure then."""


async def _marks(store: Store) -> dict[str, _BookMark]:
    """Every book. The leases are read before anything else: what is written later has a later epoch."""
    leases = {lease.key: lease for lease in await store.find(Lease, {}, ["epoch", "workflow_id"])}
    saves = [f"{operation}_op_id" for operation in Book.operations]
    found = {}
    for book in await store.find(Book, {}, ["title", "source_name", *saves]):
        lease = leases.get(book.key)
        title = book.title or book.source_name or book.key
        parts = [title, lease.epoch if lease else 0, *(book.flag(name, "op_id") for name in Book.operations)]
        held = lease is not None and bool(lease.workflow_id)
        found[book.key] = _BookMark(book.key, title, "" if held else digest(parts)[:16])
    return found


_PLACE = ("page", "label", "label_inferred", "blend_op_id")
"""The last names the save that wrote the text."""


def _placed(page: Page) -> Placed:
    return Placed(str(page.flag("blend", "op_id") or ""), page.page or 0, page.label, bool(page.label_inferred))


def _is_read(page: Page) -> bool:
    """A leaf of the book whose text is there, be it blank; a leaf that was dropped has no place."""
    return bool(page.page and page.flag("blend", "op_id"))


async def _take_in(index: SearchIndex, store: Store, book: _BookMark) -> int:
    """The difference of one book. Returns the number of texts that were written."""
    known = index.pages(book.key)
    if not known:
        pages = await _read_book(store, book)
        await asyncio.to_thread(_write, index, book, pages)
        return len(pages)
    found = await store.find(Page, {"book_key": book.key}, _PLACE)
    today = {page.key: _placed(page) for page in found if _is_read(page)}
    wanted = [key for key, at in today.items() if key not in known or known[key].mark != at.mark]
    texts = await store.get(Page, wanted, [*_PLACE, "text"])
    moved = {key: at for key, at in today.items() if key in known and key not in texts and known[key] != at}
    gone = [key for key in known if key not in today]
    await asyncio.to_thread(_write, index, book, list(texts.values()), moved, gone)
    return len(texts)


async def _read_book(store: Store, book: _BookMark) -> list[Page]:
    found = await store.find(Page, {"book_key": book.key}, [*_PLACE, "text"])
    return sorted((page for page in found if _is_read(page)), key=lambda page: page.page or 0)


async def _read_books(store: Store, books: Sequence[_BookMark]) -> AsyncIterator[tuple[_BookMark, list[Page]]]:
    """In order; the next ones are on their way meanwhile."""
    waiting: list[tuple[_BookMark, asyncio.Task[list[Page]]]] = []
    rest = iter(books)
    try:
        while True:
            while len(waiting) < BOOKS_AT_ONCE and (book := next(rest, None)) is not None:
                waiting.append((book, asyncio.ensure_future(_read_book(store, book))))
            if not waiting:
                return
            book, task = waiting.pop(0)
            yield book, await task
    finally:
        for _, task in waiting:
            task.cancel()


async def _numbered(
    books: AsyncIterator[tuple[_BookMark, list[Page]]],
) -> AsyncIterator[tuple[int, tuple[_BookMark, list[Page]]]]:
    number = 0
    async for book in books:
        number += 1
        yield number, book


def _write(
    index: SearchIndex,
    book: _BookMark,
    pages: Sequence[Page],
    moved: Mapping[str, Placed] | None = None,
    gone: Sequence[str] = (),
) -> None:
    divided = Divided([page.text or "" for page in pages], index.texts(book.key))
    rows = []
    for page in pages:
        at = _placed(page)
        rows.append(IndexPage(page.key, at.page, at.label, at.inferred, at.mark, divided.running(page.text or "")))
    index.write_book(book.key, book.title, book.mark, rows, moved=moved, gone=gone)


# Texts --------------------------------------------------------------------------------------------------------------------

SOFT = "\u00ad"
LONGEST_PART = 60
"""Letters of a word before the line's end."""
_LINE_END = re.compile(r"[-\u2010\u00ac\u00ad][ \t]*\r?\n\s*")
_HYPHENATED = re.compile(r"[^\W\d_]+(?:-[^\W\d_]+)+")
_FIRST, _LAST = re.compile(r"[^\W\d_]+"), re.compile(r"[^\W\d_]+$")


class Divided:
    """Words that a line's end divides, in one piece: with their hyphen only where the book writes them so within a line
    (`providers/structure/hyphens.py` decides so as well, by the words' boxes)."""

    def __init__(self, *texts: Sequence[str]) -> None:
        within = (_LINE_END.sub(" ", text) for some in texts for text in some if "-" in text)
        self._hyphenated = {
            found.casefold()
            for text in within
            for word in text.split()
            if "-" in word  # most words are none of these, and regular expressions are slow
            for found in _HYPHENATED.findall(word)
        }

    def running(self, text: str) -> str:
        """A page's text as it is indexed and shown: words in one piece, one blank between them."""
        return " ".join(plain(self._joined(text)).split())

    def _joined(self, text: str) -> str:
        parts: list[str] = []
        done = 0
        for end in _LINE_END.finditer(text):
            first = _LAST.search(text, max(done, end.start() - LONGEST_PART), end.start())
            second = _FIRST.match(text, end.end())
            if first is None or second is None:
                continue
            whole = first[0] + second[0]
            written_so = f"{first[0]}-{second[0]}".casefold() in self._hyphenated
            hyphen = (written_so or not second[0][0].islower()) and end[0][0] != SOFT
            parts += [text[done : first.start()], f"{first[0]}-{second[0]}" if hyphen else whole]
            done = second.end()
        return "".join([*parts, text[done:]])


# Files --------------------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def _writing(home: Path) -> Iterator[bool]:
    """Whether this process may write; nobody else may until the end. A process that dies lets go."""
    folder = home / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            yield False
            return
        yield True


def _current(home: Path) -> str:
    try:
        return (home / FOLDER / CURRENT).read_text().strip()
    except OSError:
        return ""


def _point(folder: Path, name: str) -> None:
    aside = folder / f"{CURRENT}.new"
    with aside.open("w") as file:
        file.write(name)
        file.flush()
        os.fsync(file.fileno())
    aside.replace(folder / CURRENT)


def _sweep(folder: Path) -> None:
    """What a crash or an earlier rebuild left. Whoever still searches in it keeps it until they end."""
    try:
        name = (folder / CURRENT).read_text().strip()
    except OSError:
        name = ""
    for path in folder.glob("*.db*"):
        if not name or not path.name.startswith(name):
            path.unlink(missing_ok=True)
