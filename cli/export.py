"""The command that writes a book as a file for others: export."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.options import BOOK, JSON

if TYPE_CHECKING:
    from books.exports.job import Export
    from books.exports.registry import Format
    from books.view import BookView

FORMAT = typer.Option(
    "--format",
    "-f",
    help="text, markdown, json, epub, pdf, hocr, alto, mets or all; several by commas.",
    metavar="NAME,…",
    show_default=False,
)
OUT = typer.Option(
    "--out",
    "-o",
    help="File or folder to write; with several formats, the folder for them.",
    metavar="PATH",
    show_default=False,
)
REPORT_SECONDS = 10.0
"""Between two lines of progress where nothing is rewritten in place."""


def export(
    book: Annotated[str, BOOK],
    formats: Annotated[str, FORMAT],
    out: Annotated[Path | None, OUT] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace what is there.")] = False,
    by_page: Annotated[bool, typer.Option("--pages", help="text: page by page with printed numbers.")] = False,
    as_json: Annotated[bool, JSON] = False,
) -> None:
    """Write a book as text, Markdown, JSON, EPUB, PDF, hOCR, ALTO or METS."""
    from cli import connect, output
    from cli.books import find_book
    from cli.starting import GAPS

    async def command() -> int:
        from books.exports.registry import parse_formats
        from books.view import load_book

        chosen = parse_formats(formats)
        async with connect.reading() as shelf:
            key = await find_book(shelf.store, book)
            targets = _targets(chosen, key, out)
            for format, target in targets:
                format.check(target, force=force)
            view = await load_book(shelf.store, shelf.artifacts, key)
            made = await _prepared(view, chosen, by_page=by_page)
            await _write(made, targets, force=force)
        rows = [{"format": format.name, "path": str(target), "bytes": _bytes(target)} for format, target in targets]
        missing = [
            {"page": page, "label": made.label(page) or None, "problem": why} for page, why in made.missing.items()
        ]
        if as_json:
            output.data({"key": key, "exports": rows, "missing": missing, "notes": made.notes})
        else:
            for row in rows:
                print(row["path"])
        for note in made.notes:
            output.note(note)
        if missing:
            output.note(_gaps(key, missing))
        return GAPS if missing else 0

    connect.run(command)


def _targets(formats: Sequence[Format], key: str, out: Path | None) -> list[tuple[Format, Path]]:
    if out is None:
        return [(format, format.default_target(key, Path())) for format in formats]
    if len(formats) > 1:
        return [(format, format.default_target(key, out)) for format in formats]
    if out.is_dir() and not formats[0].folder:
        return [(formats[0], formats[0].default_target(key, out))]
    return [(formats[0], out)]


async def _prepared(view: BookView, formats: Sequence[Format], *, by_page: bool) -> Export:
    from books.exports.job import Export, gather_sources

    sources = await gather_sources(view) if any(format.name == "json" for format in formats) else {}
    return Export(view, by_page=by_page, sources=sources)


class Stopped(Exception):
    """Ends an export from within, page by page."""


async def _write(made: Export, targets: Sequence[tuple[Format, Path]], *, force: bool) -> None:
    """In a thread, so that Ctrl-C is heard: it then ends with the page that is under way, and what was begun is removed."""
    import asyncio
    import contextlib
    import threading

    stop = threading.Event()

    def work() -> None:
        for format, target in targets:
            made.progress = _progress(format.name, stop)
            format.write(made, target, force=force)

    task = asyncio.ensure_future(asyncio.to_thread(work))
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError:
        stop.set()
        # What was begun is removed by the time it ends; how it ends is no news after Ctrl-C.
        with contextlib.suppress(Exception):
            await task
        raise


def _progress(name: str, stop: Any) -> Any:
    """Tells stderr how far a format is: in place on a terminal, else a line now and then."""
    import sys
    import time

    from cli import output

    live = output.is_live()
    said = time.monotonic()

    def tell(done: int, total: int) -> None:
        nonlocal said
        if stop.is_set():
            raise Stopped
        now = time.monotonic()
        if live and (done == total or now - said >= 0.1):
            print(f"\r{name}: page {done} of {total}", end="\n" if done == total else "", file=sys.stderr, flush=True)
        elif not live and now - said >= REPORT_SECONDS:
            output.note(f"{name}: page {done} of {total}")
        else:
            return
        said = now

    return tell


def _bytes(target: Path) -> int:
    if target.is_dir():
        return sum(path.stat().st_size for path in target.rglob("*") if path.is_file())
    return target.stat().st_size


def _gaps(key: str, missing: Sequence[dict[str, Any]]) -> str:
    from schemas.pagespec import format_pages

    pages = format_pages([row["page"] for row in missing])
    what = f"Page {pages} is" if len(missing) == 1 else f"Pages {pages} are"
    return f"{what} missing, and marked so: {missing[0]['problem'].rstrip('.')}. Read again: `shelf process {key}`."
