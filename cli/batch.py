"""Several books, some at a time, each by a job of its own: what would run, how far all are, what became of each.

One bad book never stops the rest. The jobs do not depend on any of this: whoever begins the same batch again finds done
what is done.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from cli import output
from cli.connect import INTERRUPTED, JobCancelled
from cli.sources import check_there, import_book, source_key, twin_of
from cli.starting import GAPS, start
from cli.watching import Detached, Paused, Watch, interrupts
from schemas.documents import Book, Page, ToC
from schemas.errors import BadInput, ShelfError
from schemas.keys import toc_key
from schemas.pagespec import parse_pages
from schemas.store import Store

if TYPE_CHECKING:
    from activities.contracts import JobResult, Progress
    from cli.connect import Connection
    from cli.sources import BookSource
    from providers.pdf import PdfReader

WAITING, PREPARING, RUNNING, SKIPPED, FAILED, PAUSED, CANCELLED = (
    *("waiting", "preparing", "running", "skipped", "failed", "paused", "cancelled"),
)
COMPLETE, WITH_GAPS = "complete", "complete_with_gaps"
"""As jobs have them."""
ENDED = (COMPLETE, WITH_GAPS, FAILED, PAUSED, CANCELLED, SKIPPED)

ONLY = ("missing", "failed")
NEW, PARTIAL, WITH_FAILURES, DONE = "new", "partly read", "failed", "complete"
"""How far a book is, before anything is started."""


@dataclass(frozen=True, slots=True)
class Start:
    """What a book's job is started with."""

    book: str
    job: str
    given: dict[str, Any]
    details: str = ""


@dataclass(slots=True)
class Row:
    """One book of a batch."""

    title: str
    """What the user knows it by: a path, or a key."""
    prepare: Callable[[], Awaitable[Start | str]]
    """Whatever must be done before its job can start; a text instead says why there is nothing to do. Raises ShelfError."""
    barcode: str | None = None
    where: str = ""
    """Line of the file that named it."""
    state: str = WAITING
    reason: str = ""
    key: str | None = None
    watch: Watch | None = None
    result: JobResult | None = None
    error: ShelfError | None = None
    progress: Progress | None = None
    began: float = 0.0
    seconds: float = 0.0

    def as_json(self) -> dict[str, Any]:
        """As `--json` shows it."""
        result, watch = self.result, self.watch
        return {
            "source": self.title,
            "key": self.key,
            "barcode": self.barcode,
            "state": self.state,
            "reason": self.reason or None,
            "pages": result.pages if result else None,
            "pages_complete": result.pages_complete if result else None,
            "failed_count": result.failed_count if result else None,
            "failed": [item.model_dump() for item in result.failed] if result else [],
            "error": _as_json(self.error) if self.error else None,
            "exit_code": self.exit_code,
            "cost_usd": result.cost_usd if result else None,
            "seconds": round(self.seconds, 1),
            "workflow_id": watch.workflow_id if watch else None,
            "url": watch.shelf.link(watch.workflow_id, watch.run_id or "") if watch else None,
        }

    @property
    def exit_code(self) -> int | None:
        """What `process` of this book alone would end with; None where it has not ended."""
        if self.error is not None:
            return self.error.exit_code
        return {COMPLETE: 0, SKIPPED: 0, WITH_GAPS: GAPS}.get(self.state)


def _as_json(error: ShelfError) -> dict[str, Any]:
    code = getattr(error, "code", type(error).__name__)
    return {"code": code, "message": error.message, "next_step": error.next_step}


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
            imported = await import_book(pdf, shelf.artifacts_dir, book.paths, book.options)
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
            row["error"] = _as_json(error)
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


class BatchDisplay(Protocol):
    """What shows how far several books are."""

    poll_seconds: float

    def changed(self, row: Row) -> None:
        """The row has another state, or another progress."""

    def note(self, text: str) -> None:
        """Say something beside the progress."""

    def close(self) -> None: ...


@dataclass(slots=True)
class RowDisplay:
    """Of one book, for its `Watch`."""

    row: Row
    batch: BatchDisplay
    poll_seconds: float

    def update(self, progress: Progress) -> None:
        self.row.progress = progress
        self.batch.changed(self.row)

    def note(self, text: str) -> None:
        self.batch.note(text)

    def close(self) -> None:
        pass


async def run_batch(
    shelf: Connection, rows: Sequence[Row], *, at_once: int, as_json: bool, wait: bool = False, detach: bool = False
) -> int:
    """Run all, `at_once` at a time, and show what became of each. Returns the exit code.

    0 where every book is complete; the first error's, by the order of the rows; 3 where books have gaps.
    With `detach` every job is started, none is watched. Raises Detached after Ctrl-C."""
    from cli.batch_display import make_batch_display

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
        _say_detached(rows)
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


def exit_code_of_rows(rows: Sequence[Row]) -> int:
    """Errors before gaps, gaps before nothing."""
    codes = [row.exit_code or 0 for row in rows]
    errors = [code for code in codes if code not in (0, GAPS)]
    return errors[0] if errors else max(codes, default=0)


def as_json_rows(rows: Sequence[Row]) -> dict[str, Any]:
    """All rows, and how many ended how."""
    states = [row.state for row in rows]
    counts = {state: states.count(state) for state in (COMPLETE, WITH_GAPS, FAILED, SKIPPED)}
    return {"books": [row.as_json() for row in rows], **counts, "other": len(rows) - sum(counts.values())}


def show_rows(rows: Sequence[Row]) -> None:
    """The summary of a batch: a line per book, then what to do about those that have none or gaps."""
    with_barcode = any(row.barcode for row in rows)
    table = []
    for row in rows:
        result = row.result
        pages = f"{result.pages_complete} of {result.pages}" if result else None
        what = row.reason
        if result is not None and result.failed_count:
            what = f"{result.failed_count} failed; see `shelf pages {row.key}`, try again: `shelf retry {row.key} --failed`"
        cells = [row.title, row.key, row.state.replace("_", " "), pages, output.duration(row.seconds), what]
        table.append([row.barcode, *cells] if with_barcode else cells)
    headers = ["source", "key", "state", "pages", "time", ""]
    output.table(["barcode", *headers] if with_barcode else headers, table, right=["pages", "time"])
    for row in rows:
        if row.error is not None and row.error.next_step:
            place = f" ({row.where})" if row.where else ""
            output.note(f"{row.title}{place}: {output.sentence(row.error.message)} {row.error.next_step}")


def _say_detached(rows: Sequence[Row]) -> None:
    running = [row for row in rows if row.state == RUNNING]
    waiting = [row for row in rows if row.state in (WAITING, PREPARING)]
    output.note(f"Detached; {len(running)} jobs go on, {len(waiting)} books were not begun.")
    for row in running:
        output.note(f"  watch it:  shelf watch {row.key}")
    output.note("The same command again goes on: what is done is not done twice.")
