"""Commands over all books: books, search."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.options import JSON

if TYPE_CHECKING:
    from books.library import ShelfBook
    from books.search import Freshness
    from books.search_index import Found, Hit
    from cli.connect import Connection

REFRESH_SECONDS = 20.0
"""A search waits no longer for what is new; it says what it left out."""
PROGRESS_SECONDS = 1.0
SORTS = ("key", "title", "year", "pages", "cost", "changed")


def books(
    state: Annotated[
        str | None,
        typer.Option(
            "--state",
            help="Only these, by commas: new, complete, gaps, failed, running, paused, interrupted, deleting.",
        ),
    ] = None,
    sort: Annotated[
        str, typer.Option("--sort", help="By key, title, year, pages, cost or changed (newest first).")
    ] = "key",
    gaps: Annotated[bool, typer.Option("--gaps", help="Which pages failed or are missing, book by book.")] = False,
    duplicates: Annotated[bool, typer.Option("--duplicates", help="Books that share files.")] = False,
    as_json: Annotated[bool, JSON] = False,
) -> None:
    """List the books: how far each is, what it cost, what it has; or those that share files."""
    from cli import connect, output

    async def command() -> None:
        from books.library import duplicates as find_duplicates

        wanted = _states(state)
        _check_sort(sort)
        async with connect.reading() as shelf:
            if duplicates:
                shared = await find_duplicates(shelf.store, shelf.artifacts)
                rows = [{"books": [pair.first, pair.second], "files": pair.files, "same": pair.same} for pair in shared]
            else:
                rows = await _book_rows(shelf)
        if duplicates:
            output.data({"duplicates": rows}) if as_json else _show_duplicates(rows)
            return
        rows = sorted((row for row in rows if not wanted or row["state"] in wanted), key=_sorter(sort))
        if as_json:
            output.data({"books": rows})
        elif not rows:
            output.note(
                "There is no such book." if wanted else "There are no books yet. Read one: `shelf process FILE.pdf`."
            )
        else:
            _show_books(rows, gaps=gaps)

    connect.run(command)


def _states(text: str | None) -> set[str]:
    from books.library import STATES
    from schemas.errors import BadInput

    names = {name.strip() for name in (text or "").split(",")} - {""}
    if unknown := names - set(STATES):
        raise BadInput(f"--state does not know {', '.join(sorted(unknown))}.", f"Known: {', '.join(STATES)}.")
    return names


def _check_sort(sort: str) -> None:
    from schemas.errors import BadInput

    if sort not in SORTS:
        raise BadInput(f"--sort does not know {sort!r}.", f"Known: {', '.join(SORTS)}.")


def _sorter(sort: str) -> Any:
    """What is not known comes last; of times, the newest first."""
    field = {"pages": "page_count", "cost": "cost_usd"}.get(sort, sort)
    if sort == "changed":
        return lambda row: (row[field] is None, [-ord(character) for character in row[field] or ""])
    if sort in ("key", "title"):
        return lambda row: (row[field] is None, (row[field] or "").casefold())
    return lambda row: (row[field] is None, row[field] or 0)


async def _book_rows(shelf: Connection) -> list[dict[str, Any]]:
    from books.library import DELETING, all_books

    found = await all_books(shelf.store, shelf.settings.home, progress=_teller("counting book"))
    states = await _job_states(shelf, [row for row in found if row.holder and row.state != DELETING])
    return [_row(each, states.get(each.book.key, each.state)) for each in found]


def _row(each: ShelfBook, state: str) -> dict[str, Any]:
    from schemas.pagespec import parse_pages

    book, counts, toc = each.book, each.counts, each.toc
    return {
        "key": book.key,
        "title": book.title,
        "authors": book.authors or [],
        "year": book.year,
        "source_name": book.source_name,
        "barcode": book.barcode,
        "state": state,
        "page_count": book.page_count,
        "pages_complete": counts.pages_complete,
        "pages_failed": len(parse_pages(counts.failed)),
        "failed": counts.failed,
        "missing": counts.missing,
        "errors": counts.errors,
        "cost_usd": counts.cost_usd,
        "toc_entries": toc.entry_count if toc is not None else None,
        "chapters": book.chapter_count,
        "changed": counts.changed,
        "job": each.holder,
    }


async def _job_states(shelf: Connection, held: list[ShelfBook]) -> dict[str, str]:
    """Of the books that a job holds: running, paused or, where it is gone, interrupted; held where nobody can be asked."""
    from books.library import HELD

    if not held:
        return {}
    states = dict.fromkeys((each.book.key for each in held), HELD)
    if shelf.temporal_address is None:
        return states
    import asyncio

    from temporalio.service import RPCError

    from schemas.errors import ShelfError

    try:
        client = await shelf.temporal()
        answers = await asyncio.gather(*(_job_state(client, each.holder or "") for each in held))
    except (RPCError, ShelfError):
        return states
    return {each.book.key: answer for each, answer in zip(held, answers, strict=True)}


async def _job_state(client: Any, workflow_id: str) -> str:
    from temporalio.client import WorkflowExecutionStatus
    from temporalio.service import RPCError, RPCStatusCode

    from books.library import INTERRUPTED, PAUSED, RUNNING
    from cli.jobs import QUERY_TIMEOUT
    from workflows.job import STATE

    try:
        found = await client.get_workflow_handle(workflow_id).describe(rpc_timeout=QUERY_TIMEOUT)
    except RPCError as error:
        if error.status == RPCStatusCode.NOT_FOUND:
            return INTERRUPTED
        raise
    if found.status != WorkflowExecutionStatus.RUNNING:
        return INTERRUPTED
    return PAUSED if found.typed_search_attributes.get(STATE) == PAUSED else RUNNING


def _show_books(rows: list[dict[str, Any]], *, gaps: bool) -> None:
    from books.library import DELETING
    from cli import output

    table = []
    for row in rows:
        state = "being deleted" if row["state"] == DELETING else row["state"]
        entries = f"{row['toc_entries']} entries" if row["toc_entries"] else None
        chapters = f"{row['chapters']} chapters" if row["chapters"] else None
        cells = [row[name] for name in ("key", "title", "authors", "year")]
        cells += [state, *(row[name] for name in ("page_count", "pages_complete", "pages_failed"))]
        cells += [output.money(row["cost_usd"]), ", ".join(filter(None, [entries, chapters]))]
        cells += [(row["changed"] or "")[:10], *([row["failed"], row["missing"]] if gaps else [])]
        table.append(cells)
    headers = ["key", "title", "authors", "year", "state", "pages", "complete", "failed", "cost", "contents", "changed"]
    headers += ["failed pages", "missing pages"] if gaps else []
    right, optional = (
        ["year", "pages", "complete", "failed", "cost"],
        ["changed", "contents", "year", "authors", "cost"],
    )
    output.table(headers, table, right=right, optional=optional)
    if gaps:
        for row in rows:
            for operation, why in row["errors"].items():
                output.note(f"{row['key']}: {operation} failed: {output.sentence(why)}")


def _show_duplicates(rows: list[dict[str, Any]]) -> None:
    from cli import output

    if not rows:
        output.note("No two books share a file.")
        return
    table = [[*row["books"], row["files"], "the same source" if row["same"] else "in part"] for row in rows]
    output.table(["book", "and", "files", ""], table, right=["files"])


def search(
    words: Annotated[
        list[str] | None,
        typer.Argument(
            help='Words that a page shall have; "side by side", -without, begin*, one OR another.',
            metavar="WORDS...",
            show_default=False,
        ),
    ] = None,
    book: Annotated[str | None, typer.Option("--book", help="Only in this book.", metavar="BOOK")] = None,
    limit: Annotated[int, typer.Option("--limit", help="Pages shown.", min=1, max=1000)] = 10,
    offset: Annotated[int, typer.Option("--offset", help="Pages left out before them.", min=0)] = 0,
    refresh: Annotated[
        bool, typer.Option("--refresh/--no-refresh", help="First take in what was read since.", show_default="refresh")
    ] = True,
    rebuild: Annotated[bool, typer.Option("--rebuild", help="First make the index anew from the database.")] = False,
    as_json: Annotated[bool, JSON] = False,
) -> None:
    """Search the text of all books: title, printed page, the place with its hits.

    A minus before a word needs `--` before all words: shelf search -- whale -ship.
    """
    from cli import connect, output

    text = " ".join(_as_typed(word) for word in words or [])

    async def command() -> None:
        from books import search as index
        from books.search_index import IndexBroken
        from books.search_query import parse_query
        from cli.books import find_book
        from schemas.errors import BadInput

        if not text and not rebuild:
            raise BadInput("There is nothing to search for.", "Write a word: `shelf search whale`.")
        query = parse_query(text) if text else None
        async with connect.reading() as shelf:
            home = shelf.settings.home
            key = await find_book(shelf.store, book) if book else None
            tell = _teller("indexing book")
            if rebuild:
                opened, fresh = await index.rebuild(home, shelf.store, progress=tell)
            elif refresh:
                opened, fresh = await index.fresh_index(home, shelf.store, seconds=REFRESH_SECONDS, progress=tell)
            else:
                opened, fresh = index.open_index(home), index.Freshness()
            found = None
            try:
                if query is not None:
                    found = opened.search(query, book=key, limit=limit, offset=offset)
            except IndexBroken:
                # Damaged where the look at what changed did not come by.
                if fresh.rebuilt or not refresh:
                    raise
                opened.close()
                opened, fresh = await index.rebuild(home, shelf.store, progress=tell)
                found = opened.search(query, book=key, limit=limit, offset=offset) if query is not None else None
            finally:
                opened.close()
        _say_freshness(fresh)
        if as_json:
            output.data({"query": text, **_as_json(found, fresh)})
        elif found is not None:
            _show_found(found, text, offset)

    connect.run(command)


def _as_typed(argument: str) -> str:
    """An argument with blanks was in quotes, which the shell took away; unless it is a whole question."""
    words = argument.split()
    question = any(word == "OR" or word.startswith("-") or word.endswith("*") or '"' in word for word in words)
    return argument if len(words) < 2 or question else f'"{argument}"'


def _say_freshness(fresh: Freshness) -> None:
    from cli import output

    if fresh.rebuilt:
        rate = fresh.pages_written / max(fresh.seconds, 0.001)
        output.note(
            f"The index was made: {fresh.pages_written} pages in {output.duration(fresh.seconds)} ({rate:.0f} a second)."
        )
    if fresh.books_behind:
        output.note(
            f"The index is behind by {fresh.books_behind} books that were changed; the next search goes on with them."
        )


def _as_json(found: Found | None, fresh: Freshness) -> dict[str, Any]:
    hits = found.hits if found is not None else ()
    return {
        "total": found.total if found is not None else None,
        "total_exact": found.exact if found is not None else None,
        "ranked": found.ranked if found is not None else None,
        "books_behind": fresh.books_behind,
        "hits": [
            {"key": hit.book, "title": hit.title, "page": hit.page, "label": hit.label, "label_inferred": hit.inferred}
            | {"snippet": _marked(hit.snippet, "", ""), "hits": _spans(hit.snippet)}
            for hit in hits
        ],
    }


def _spans(snippet: str) -> list[list[int]]:
    """[first, after the last] character of each hit in the snippet without its marks."""
    from books.search_index import HIT

    spans: list[list[int]] = []
    at = 0
    for character in snippet:
        if character == HIT[0]:
            spans.append([at, at])
        elif character == HIT[1]:
            spans[-1][1] = at
        else:
            at += 1
    return spans


def _marked(snippet: str, before: str, after: str) -> str:
    from books.search_index import HIT

    return snippet.replace(HIT[0], before).replace(HIT[1], after)


def _show_found(found: Found, text: str, offset: int) -> None:
    import sys

    from cli import output

    if not found.hits:
        output.note(
            f"No page has {text}." if not found.total else f"There are only {found.total} pages; lower --offset."
        )
        return
    live = output.is_live(sys.stdout)
    bold, plain = ("\x1b[1m", "\x1b[0m") if live else ("", "")
    for hit in found.hits:
        print(f"{bold}{hit.title}{plain}, {_place(hit)}  [{hit.book}]")
        print(f"    {_marked(hit.snippet, bold, plain)}")
    count = f"{found.total:,}" if found.exact else f"more than {found.total:,}"
    output.note(f"{offset + 1} to {offset + len(found.hits)} of {count} pages.")
    if not found.ranked:
        output.note("The words are too frequent to tell pages apart by; they come in the order of the shelf.")


def _place(hit: Hit) -> str:
    if hit.label is None:
        return f"page {hit.page}"
    label = f"({hit.label})" if hit.inferred else hit.label
    return f"p. {label} (page {hit.page})"


def _teller(what: str) -> Any:
    """Says on stderr how far something is, once it has taken a second."""
    import sys
    import time

    from cli import output

    said = began = time.monotonic()
    live = output.is_live()

    def tell(done: int, total: int) -> None:
        nonlocal said
        now = time.monotonic()
        if live and now - began >= PROGRESS_SECONDS and (done == total or now - said >= 0.1):
            print(f"\r{what} {done} of {total}", end="\n" if done == total else "", file=sys.stderr, flush=True)
        elif not live and now - said >= 10 * PROGRESS_SECONDS:
            output.note(f"{what} {done} of {total}")
        else:
            return
        said = now

    return tell
