"""Several books, some at a time, each by a job of its own: what would run, how far all are, what became of each.

One bad book never stops the rest. The jobs do not depend on any of this: whoever begins the same batch again finds done
what is done.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any

from cli import output
from cli.batch_display import make_batch_display
from cli.batch_rows import (
    CANCELLED,
    FAILED,
    PAUSED,
    PREPARING,
    RUNNING,
    SKIPPED,
    BatchDisplay,
    Row,
    RowDisplay,
    Start,
    as_json_rows,
    error_as_json,
    exit_code_of_rows,
    say_detached,
    show_rows,
)
from cli.connect import JobCancelled
from cli.output import INTERRUPTED
from cli.sources import check_there, import_book, source_key, twin_of
from cli.starting import start
from cli.watching import Detached, Paused, interrupts
from schemas.documents import Book, Page, ToC
from schemas.errors import BadInput, ShelfError
from schemas.keys import toc_key
from schemas.pagespec import parse_pages
from schemas.store import Store

if TYPE_CHECKING:
    from cli.connect import Connection
    from cli.sources import BookSource
    from providers.pdf import PdfReader

ONLY = ("missing", "failed")
NEW, PARTIAL, WITH_FAILURES, DONE = "new", "partly read", "failed", "complete"
"""How far a book is, before anything is started."""


# How far books are --------------------------------------------------------------------------------------------------------


async def state_of(store: Store, key: str, pages: str = "") -> dict[str, Any]:
    """How far the documents of a book are: `state`, `pages_complete`, `pages_failed`; of some pages, where given."""
    from cli.books import book_errors, is_complete, page_errors

    book = (await store.get(Book, [key])).get(key)
    flags = [f"{name}_{flag}" for name in Page.operations for flag in ("complete", "error")]
    count = (book.page_count if book is not None else None) or 0
    wanted = set(parse_pages(pages) or range(1, count + 1))
    documents = [] if book is None else await store.find(Page, {"book_key": key}, ["page", *flags])
    inside = [page for page in documents if page.page in wanted]
    complete = sum(1 for page in inside if is_complete(page))
    failed = sum(1 for page in inside if page_errors(page))
    toc = (await store.get(ToC, [toc_key(key)])).get(toc_key(key))
    if book is None or not count:
        state = NEW
    elif failed or book_errors(book, Book.operations) or book_errors(toc, ToC.operations):
        state = WITH_FAILURES
    else:
        whole = [
            *(book.flag(name, "complete") for name in ("label", "metadata")),
            toc and toc.flag("toc_extract", "complete"),
        ]
        state = DONE if complete >= len(wanted) and all(whole) else PARTIAL
    return {"state": state, "pages_complete": complete, "pages_failed": failed}


EVERY = frozenset({NEW, PARTIAL, WITH_FAILURES, DONE})


def parse_only(text: str | None) -> set[str]:
    """The states of books that `--only` lets through; all of them without it. Raises BadInput."""
    if text is None:
        return set(EVERY)
    names = {name.strip() for name in text.split(",")}
    if unknown := names - set(ONLY):
        raise BadInput(f"--only does not know {', '.join(sorted(unknown))}.", f"Known: {', '.join(ONLY)}.")
    allowed = {"missing": {NEW, PARTIAL}, "failed": {WITH_FAILURES}}
    return set().union(*(allowed[name] for name in names))


def rows_of(
    shelf: Connection, pdf: PdfReader, books: Sequence[BookSource], only: set[str], *, duplicate: bool = False
) -> list[Row]:
    """A row per book, each to be imported and read when its turn comes.

    Files that are a book already, under another name, are left out unless `duplicate`."""
    taken: dict[tuple[str, ...], str] = {}

    def preparation(book: BookSource) -> Callable[[], Awaitable[Start | str]]:
        async def prepare() -> Start | str:
            if only < EVERY:
                key = await asyncio.to_thread(source_key, book.paths)
                state = (await state_of(shelf.store, key, str(book.options.get("pages") or "")))["state"]
                if state not in only:
                    return f"it is {state}"
            imported = await import_book(pdf, lambda: shelf.artifacts, book.paths, book.options)
            if not duplicate:
                files = tuple(part.sha256 for part in imported.manifest.parts)
                if (first := taken.setdefault(files, book.title)) != book.title:
                    return f"the same files as {first}"
                if (twin := await twin_of(shelf.store, shelf.artifacts, imported)) is not None:
                    return f"the same files as the book {twin}; --duplicate reads them all the same"
            given = {"manifest": imported.fingerprint, **book.options}
            return Start(imported.book, "ProcessPages", given, imported.describe(book.options))

        return prepare

    return [Row(book.title, preparation(book), book.options.get("barcode"), book.where) for book in books]


async def preview(
    store: Store | None, pdf: PdfReader, books: Sequence[BookSource], only: set[str], *, as_json: bool
) -> int:
    """Show what would run. `store` is None where nothing has been read yet. Returns the first error's exit code, or 0."""
    found, code = [], 0
    for book in books:
        row: dict[str, Any] = {
            "source": book.title,
            "key": None,
            "barcode": book.options.get("barcode"),
            "pages": None,
            "state": None,
            "runs": False,
            "options": {name: value for name, value in book.options.items() if name != "barcode"},
            "error": None,
        }
        try:
            check_there(book.paths)
            pages = sum(count for _, _, count in await pdf.inspect(book.paths))
            asked = str(book.options.get("pages") or "")
            row["pages"] = len(parse_pages(asked, pages)) if asked else pages
            row["key"] = await asyncio.to_thread(source_key, book.paths)
            row["state"] = (await state_of(store, row["key"], asked))["state"] if store is not None else NEW
            row["runs"] = row["state"] in only
        except ShelfError as error:
            row["error"] = error_as_json(error)
            code = code or error.exit_code
        found.append(row)
    if as_json:
        output.data({"books": found})
        return code
    table = [
        [
            *([row["barcode"]] if any(each["barcode"] for each in found) else []),
            *(row["source"], row["key"], row["pages"]),
            row["error"]["message"] if row["error"] else row["state"],
            row["runs"],
            ", ".join(f"{name}: {value}" for name, value in row["options"].items()) or "",
        ]
        for row in found
    ]
    headers = ["source", "key", "pages", "state", "would run", "options"]
    output.table(["barcode", *headers] if any(row["barcode"] for row in found) else headers, table, right=["pages"])
    running = [row for row in found if row["runs"]]
    output.note(f"{len(running)} of {len(found)} books would run, {sum(row['pages'] for row in running)} pages.")
    return code


# Running them ---------------------------------------------------------------------------------------------------------


async def run_batch(
    shelf: Connection, rows: Sequence[Row], *, at_once: int, as_json: bool, wait: bool = False, detach: bool = False
) -> int:
    """Run all, `at_once` at a time, and show what became of each. Returns the exit code.

    0 where every book is complete; the first error's, by the order of the rows; 3 where books have gaps.
    With `detach` every job is started, none is watched. Raises Detached after Ctrl-C."""
    display = make_batch_display(rows)
    end: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    gate, reviving, keys = asyncio.Semaphore(at_once), asyncio.Lock(), dict[str, Row]()

    async def one(row: Row) -> None:
        async with gate:
            await _run_row(shelf, row, display, keys, reviving, wait=wait, detach=detach)

    async def all_of_them() -> None:
        await asyncio.gather(*(one(row) for row in rows))
        if not end.done():
            end.set_result(exit_code_of_rows(rows))

    with interrupts(end):
        running = asyncio.ensure_future(all_of_them())
        running.add_done_callback(lambda task: _fail(end, task))
        try:
            code = await end
        except Detached:
            code = INTERRUPTED
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
            display.close()
    if as_json:
        output.data(as_json_rows(rows))
    else:
        show_rows(rows)
    if code == INTERRUPTED:
        say_detached(rows)
    return code


def _fail(end: asyncio.Future[int], task: asyncio.Future[None]) -> None:
    """A bug in a row must not leave the batch waiting for ever."""
    if not task.cancelled() and (error := task.exception()) is not None and not end.done():
        end.set_exception(error)


async def _run_row(
    shelf: Connection,
    row: Row,
    display: BatchDisplay,
    keys: dict[str, Row],
    reviving: asyncio.Lock,
    *,
    wait: bool,
    detach: bool,
) -> None:
    def become(state: str, reason: str = "") -> None:
        row.state, row.reason = state, reason
        row.seconds = time.monotonic() - row.began
        display.changed(row)

    row.began = time.monotonic()
    become(PREPARING)
    try:
        beginning = await row.prepare()
        if isinstance(beginning, str):
            become(SKIPPED, beginning)
            return
        row.key = beginning.book
        if (twin := keys.setdefault(beginning.book, row)) is not row:
            become(SKIPPED, f"the same files as {twin.title}")
            return
        row.watch = await start(
            shelf, beginning.job, beginning.given, book=beginning.book, details=beginning.details, wait=wait
        )
        row.watch.reviving = reviving
        become(RUNNING)
        if detach:
            return
        row.result = await row.watch.follow(RowDisplay(row, display, display.poll_seconds))
    except Paused as error:
        row.error = error
        become(PAUSED, error.message)
    except JobCancelled as error:
        row.error = error
        become(CANCELLED)
    except ShelfError as error:
        row.error = error
        become(FAILED, error.message)
    else:
        become(row.result.state)
