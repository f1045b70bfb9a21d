"""Commands that work on a book that was read before: run, retry, add-source, and `toc --rerun`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.options import BOOK, BUDGET, DETACH, JSON, LLM, PAGES, UNPRICED, WAIT

if TYPE_CHECKING:
    from cli.batch_rows import Start
    from cli.connect import Connection
    from cli.spending import Money
    from cli.summary import Ending
    from schemas.store import Store


def run(
    book: Annotated[str, BOOK],
    operations: Annotated[
        str, typer.Option("--operations", help="Names by commas: extract, ocr, blend, label, ...", show_default=False)
    ],
    pages: Annotated[str | None, PAGES] = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="Do them anew, although they are current.")] = False,
    from_operation: Annotated[
        str | None, typer.Option("--from", help="Do this one of them anew, and what follows from it.", metavar="OP")
    ] = None,
    llm: Annotated[list[str] | None, LLM] = None,
    budget: Annotated[float | None, BUDGET] = None,
    allow_unpriced: Annotated[bool, UNPRICED] = False,
    wait: Annotated[bool, WAIT] = False,
    detach: Annotated[bool, DETACH] = False,
    as_json: Annotated[bool, JSON] = False,
) -> None:
    """Run operations by name on a book. What they need and the book has not is said before anything starts."""
    from cli.starting import run_on_book

    names = [name.strip() for name in operations.split(",") if name.strip()]
    given = _chosen(operations=names, pages=pages, fresh=fresh or None, from_operation=from_operation)
    details = ", ".join(names) + (f" · pages {pages}" if pages else "")
    money = (llm, budget, allow_unpriced)
    run_on_book(book, "RunOperations", given, money=money, details=details, wait=wait, detach=detach, as_json=as_json)


def add_source(
    book: Annotated[str, BOOK],
    ocr: Annotated[str, typer.Option("--ocr", help="Engine that shall read the pages too.", show_default=False)],
    pages: Annotated[str | None, PAGES] = None,
    lang: Annotated[str | None, typer.Option("--lang", help="Languages, as deu+eng. Default: the book's.")] = None,
    no_blend: Annotated[bool, typer.Option("--no-blend", help="Only read; the text stays as it is for now.")] = False,
    llm: Annotated[list[str] | None, LLM] = None,
    budget: Annotated[float | None, BUDGET] = None,
    allow_unpriced: Annotated[bool, UNPRICED] = False,
    wait: Annotated[bool, WAIT] = False,
    detach: Annotated[bool, DETACH] = False,
    as_json: Annotated[bool, JSON] = False,
) -> None:
    """Let another engine read pages beside those that have; blend what it read in. Compare: `shelf compare`."""
    from cli.starting import run_on_book

    given = _chosen(provider=ocr, pages=pages, language=lang, blend=False if no_blend else None)
    details = ocr + (f" · pages {pages}" if pages else "") + (" · without blend" if no_blend else "")
    money = (llm, budget, allow_unpriced)
    run_on_book(book, "AddOcrSource", given, money=money, details=details, wait=wait, detach=detach, as_json=as_json)


def retry(
    books: Annotated[list[str], typer.Argument(help="Keys of books, or their beginnings.", metavar="BOOK...")],
    failed: Annotated[bool, typer.Option("--failed", help="The pages that failed: has to be said.")] = False,
    provider: Annotated[
        str | None, typer.Option("--provider", help="Engine that reads those pages in place of the book's own.")
    ] = None,
    jobs: Annotated[int, typer.Option("--jobs", help="Books at a time.", min=1)] = 2,
    llm: Annotated[list[str] | None, LLM] = None,
    budget: Annotated[float | None, BUDGET] = None,
    allow_unpriced: Annotated[bool, UNPRICED] = False,
    wait: Annotated[bool, WAIT] = False,
    detach: Annotated[bool, DETACH] = False,
    as_json: Annotated[bool, JSON] = False,
) -> None:
    """Try the pages that failed again, and what follows from them. The others are not touched."""
    from cli import connect
    from cli.starting import known_book, nothing_to_do, run_job

    if not failed:
        raise typer.BadParameter("say what is to be tried again: --failed")

    async def command() -> int | None:
        from cli.batch import run_batch
        from cli.batch_rows import Row
        from cli.spending import spending

        money = spending(llm, budget, allow_unpriced)
        async with connect.working(wait_for_worker=False) as shelf:
            if len(books) > 1:
                rows = [Row(book, _retry_of(shelf, book, provider, money)) for book in books]
                return await run_batch(shelf, rows, at_once=jobs, as_json=as_json, wait=wait, detach=detach)
            beginning = await _retry_of(shelf, books[0], provider, money)()
            if isinstance(beginning, str):
                key = await known_book(shelf, books[0])
                return nothing_to_do(key, f"{key}: {beginning}.", as_json=as_json)
            return await run_job(
                shelf,
                beginning.job,
                beginning.given,
                book=beginning.book,
                details=beginning.details,
                wait=wait,
                detach=detach,
                as_json=as_json,
            )

    connect.run(command)


def _retry_of(
    shelf: Connection, text: str, provider: str | None, money: Mapping[str, Any] | None = None
) -> Callable[[], Awaitable[Start | str]]:
    async def prepare() -> Start | str:
        from cli.batch_rows import Start
        from cli.starting import known_book
        from schemas.pagespec import format_pages
        from workflows.job import INTERACTIVE

        book = await known_book(shelf, text)
        pages, known = await failed_pages(shelf, book)
        if not pages:
            return "nothing of it failed"
        spec = format_pages(pages if pages != {0} else known)
        given = _chosen(book_id=book, pages=spec, stand_in=provider, priority=INTERACTIVE, **(money or {}))
        by = f" by {provider}" if provider else ""
        return Start(book, "ProcessPages", given, f"again what failed: pages {spec}{by}")

    return prepare


async def failed_pages(shelf: Connection, book: str) -> tuple[set[int], set[int]]:
    """(pages that failed, all pages that were looked at); the first is {0} where only something of the whole book
    failed. A page that failed before it had a document is known to its last job alone."""
    from cli.books import book_errors, page_errors
    from cli.jobs import find_job, result_of
    from schemas.documents import Book, Page, ToC
    from schemas.errors import ShelfError
    from schemas.keys import toc_key

    store: Store = shelf.store
    flags = [f"{name}_error" for name in Page.operations]
    pages = await store.find(Page, {"book_key": book}, ["page", *flags])
    known = {page.page for page in pages if page.page is not None}
    failed = {page.page for page in pages if page.page is not None and page_errors(page)}
    try:
        found = await find_job(shelf, await shelf.temporal(), book)
        if not found.running:
            result = await result_of(found.handle)
            failed |= {item.page for item in result.failed if item.page and item.page not in known}
            whole = (await store.get(Book, [book], ["page_count"]))[book]
            if result.failed_count > len(result.failed) and result.pages == whole.page_count:
                # A result names some of its failures. Of a job on the whole book, what got no document failed.
                failed |= set(range(1, result.pages + 1)) - known
    except ShelfError:
        pass  # no job is known any more, or it ended without a result
    if not failed:
        whole = (await store.get(Book, [book]))[book]
        toc = (await store.get(ToC, [toc_key(book)])).get(toc_key(book))
        failed = {0} if book_errors(whole, Book.operations) or book_errors(toc, ToC.operations) else set()
    return failed, known


def rerun_toc(text: str, *, diff: bool, money: Money, wait: bool, detach: bool, as_json: bool) -> None:
    """`shelf toc BOOK --rerun`: nothing is read; with `diff`, what it changed."""
    from cli import connect
    from cli.starting import known_book, run_job

    async def command() -> int | None:
        from cli.contents import current_set
        from cli.spending import spending

        chosen = spending(*money)
        async with connect.working(wait_for_worker=False) as shelf:
            book = await known_book(shelf, text)
            before = await current_set(shelf.store, book)
            return await run_job(
                shelf,
                "RerunToc",
                {"book_id": book, **chosen},
                book=book,
                details="the contents anew",
                wait=wait,
                detach=detach,
                as_json=as_json,
                ending=_ending_with_diff(before) if diff else None,
            )

    connect.run(command)


def _ending_with_diff(before: str | None) -> Ending:
    from cli.contents import compare_sets, current_set, show_diff
    from cli.summary import Ending, ending_of

    usual = ending_of("RerunToc")

    async def find(store: Store, facts: dict[str, Any]) -> dict[str, Any]:
        after = await current_set(store, facts["key"])
        return {**await usual.find(store, facts), "diff": await compare_sets(store, facts["key"], before, after)}

    def show(summary: dict[str, Any]) -> None:
        usual.show(summary)
        print()
        show_diff(summary["diff"])

    return Ending(find, show)


def _chosen(**given: Any) -> dict[str, Any]:
    """Without what was not chosen."""
    return {name: value for name, value in given.items() if value is not None}
