"""Commands that read a book and follow the job that does it: process, watch."""

from __future__ import annotations

import contextlib
import re
import threading
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.options import BOOK, BUDGET, DETACH, JSON, LLM, OTEL, PAGES, PRIORITY, UNPRICED, WAIT

if TYPE_CHECKING:
    from cli.sources import BookSource, Imported
    from providers.settings import Settings
    from schemas.store import Store

BOOK_KEY = re.compile(r"[a-z0-9-]+-[0-9a-f]{8}")
"""What a key looks like: a source that has been read needs not be there any more to be read again."""


@dataclass(frozen=True, slots=True)
class Options:
    """What the user chose for one job."""

    pages: str | None = None
    ocr: str | None = None
    language: str | None = None
    second_opinion: bool | None = None
    spreads: str | None = None
    rtl: bool = False
    fresh: bool = False
    from_operation: str | None = None
    wait: bool = False
    images: str | None = None
    duplicate: bool = False
    spending: Mapping[str, Any] = field(default_factory=dict)
    """Fields of `SpendingInput` that were chosen."""
    priority: int | None = None

    def job_input(self) -> dict[str, Any]:
        """Fields of `ProcessPagesInput` that were chosen; the rest keeps the job's defaults."""
        chosen = {
            "pages": self.pages,
            "ocr": self.ocr,
            "language": self.language,
            "second_opinion": "" if self.second_opinion is False else None,
            "images": self.images,
            "spreads": self.spreads,
            "rtl": self.rtl or None,
            "fresh": self.fresh or None,
            "from_operation": self.from_operation,
            "priority": self.priority,
            **self.spending,
        }
        return {name: value for name, value in chosen.items() if value is not None}

    def describe(self) -> str:
        """For the Temporal UI; '' where nothing was chosen."""
        from cli.sources import chosen_in_words

        return chosen_in_words(self.job_input())

    def check(self) -> None:
        """Before anything is looked at. Raises BadInput."""
        from schemas.pagespec import parse_pages
        from workflows.inputs import ProcessPagesInput, validate_input

        parse_pages(self.pages or "")
        checked = validate_input(ProcessPagesInput, {**self.job_input(), "book_id": "-"})
        if self.from_operation:
            from workflows.process_pages import ProcessPages

            checked.anew(tuple(operation.name for operation in ProcessPages.operations))


@dataclass(frozen=True, slots=True)
class BatchOptions:
    """What the user chose for several books together."""

    only: str | None = None
    preview: bool = False
    jobs: int = 2


def process(
    source: Annotated[
        list[str] | None,
        typer.Argument(
            help="A PDF, several files in order, a folder of page images, or the key of a book that was read before. A "
            "folder of PDFs or of such folders is a batch of books.",
            metavar="SOURCE...",
            show_default=False,
        ),
    ] = None,
    pages: Annotated[str | None, PAGES] = None,
    ocr: Annotated[
        str | None,
        typer.Option(
            "--ocr",
            help="Engine for every page: tesseract, rapidocr, text-layer, or one of `shelf providers`. Default: what suits.",
        ),
    ] = None,
    lang: Annotated[str | None, typer.Option("--lang", help="Languages, as deu+eng.")] = None,
    second_opinion: Annotated[
        bool | None,
        typer.Option(
            "--second-opinion/--no-second-opinion",
            help="Let a second engine read the pages with the most expected errors.",
            show_default="second opinion",
        ),
    ] = None,
    images: Annotated[
        str | None,
        typer.Option(
            "--images",
            help="Turn, straighten and clean pages for reading: auto (where that is sure to help), off.",
        ),
    ] = None,
    spreads: Annotated[
        str | None,
        typer.Option(
            "--spreads", help="Scans of two pages become two leaves: auto (where that is sure), never, always."
        ),
    ] = None,
    rtl: Annotated[bool, typer.Option("--rtl", help="Of two pages in one scan the right one comes first.")] = False,
    fresh: Annotated[bool, typer.Option("--fresh", help="Read everything anew, although it was read before.")] = False,
    from_operation: Annotated[
        str | None,
        typer.Option(
            "--from", help="Do this operation anew (ocr, blend, ...), and what follows from it.", metavar="OP"
        ),
    ] = None,
    each: Annotated[bool, typer.Option("--each", help="Every file is a book of its own.")] = False,
    manifest: Annotated[
        Path | None,
        typer.Option("--manifest", help="Books from a CSV file with a column path, and options.", metavar="FILE.csv"),
    ] = None,
    only: Annotated[
        str | None,
        typer.Option("--only", help="Of a batch: missing (not read, or partly), failed, or both by a comma."),
    ] = None,
    preview: Annotated[bool, typer.Option("--preview", help="Show what would run; start no job.")] = False,
    jobs: Annotated[int, typer.Option("--jobs", help="Books of a batch that are read at a time.", min=1)] = 2,
    llm: Annotated[list[str] | None, LLM] = None,
    budget: Annotated[float | None, BUDGET] = None,
    allow_unpriced: Annotated[bool, UNPRICED] = False,
    duplicate: Annotated[
        bool,
        typer.Option("--duplicate", help="Read files that are a book already, under another name, as a second one."),
    ] = False,
    priority: Annotated[int | None, PRIORITY] = None,
    wait: Annotated[bool, WAIT] = False,
    detach: Annotated[bool, DETACH] = False,
    otel: Annotated[str | None, OTEL] = None,
    as_json: Annotated[bool, JSON] = False,
) -> None:
    """Read books: text, page labels, metadata and table of contents.

    Starts the servers if need be. The job goes on by itself, whatever happens to this command: watch it again with
    `shelf watch`. What was read before is not read again.
    """
    from cli import connect

    batch = BatchOptions(only, preview, jobs)

    async def command() -> int | None:
        from cli.spending import spending

        money = spending(llm, budget, allow_unpriced)
        if otel:
            from cli.trace import to_console

            to_console(otel)
        options = Options(
            *(pages, ocr, lang, second_opinion, spreads, rtl, fresh, from_operation, wait, images, duplicate, money),
            priority=priority,
        )
        options.check()
        books = _books(source or [], manifest, options, each=each, batch=only is not None or preview)
        if books is None:
            return await _one(source or [], options, detach=detach, as_json=as_json)
        return await _several(books, options, batch, detach=detach, as_json=as_json)

    connect.run(command)


def _books(
    source: Sequence[str], manifest: Path | None, options: Options, *, each: bool, batch: bool
) -> list[BookSource] | None:
    """The books of a batch; None where one book is meant, unless only a batch can do what was asked for."""
    from schemas.errors import BadInput

    if (manifest is None) is (not source):
        raise BadInput("Name sources or a --manifest.", "See `shelf process --help`.")
    if any(not name.strip() for name in source):
        # An unset variable of a shell; as a path it would be the current folder, with every book in it.
        raise BadInput("One of the sources is empty.", "Name files or folders; `.` is the current folder.")
    if not each and not batch and len(source) == 1 and not Path(source[0]).is_dir():
        return None  # the usual case, before anything else is loaded
    from cli import sources

    chosen = options.job_input()
    if manifest is not None:
        return sources.read_manifest(manifest, chosen)
    paths = [Path(name) for name in source]
    sources.check_there(paths)
    found = sources.books_of(paths, each=each)
    if found is None:
        return [sources.BookSource(tuple(paths), chosen)] if batch else None
    return [sources.BookSource(book.paths, chosen) for book in found]


async def _one(source: Sequence[str], options: Options, *, detach: bool, as_json: bool) -> int | None:
    """One book: a source, or the key of one that is known."""
    from cli import connect
    from cli.leaf import tell_of_edits
    from cli.sources import twin_of
    from cli.starting import known_book, run_job
    from providers.settings import load_settings
    from schemas.errors import BadInput

    settings = load_settings()
    chosen = options.job_input()
    known = source[0] if len(source) == 1 and is_key(source[0]) else None
    if known and (options.spreads or options.rtl):
        raise BadInput(
            f"What becomes of the spreads of {known} was decided when its files were imported.",
            f"Name the files instead, or use `shelf leaf split {known}` and `join`.",
        )
    imported = None if known else await _import(settings, [Path(name) for name in source], chosen)
    async with connect.working(wait_for_worker=False) as shelf:
        if imported is not None:
            book, given, details = imported.book, {"manifest": imported.fingerprint}, imported.describe(chosen)
            await tell_of_edits(shelf, book, imported.manifest)
            if not options.duplicate and (twin := await twin_of(shelf.store, shelf.artifacts, imported)) is not None:
                raise BadInput(
                    f"These files are the book {twin} already.",
                    f"See `shelf show {twin}`, go on with `shelf process {twin}`, or read them again with --duplicate.",
                )
        else:
            book = await known_book(shelf, str(known))
            given, details = {"book_id": book}, options.describe()
        return await run_job(
            shelf,
            "ProcessPages",
            given | chosen,
            book=book,
            details=details,
            wait=options.wait,
            detach=detach,
            as_json=as_json,
        )


def is_key(text: str) -> bool:
    """Whether it is the key of a book, and no file."""
    return BOOK_KEY.fullmatch(text) is not None and not Path(text).exists()


async def _import(settings: Settings, paths: Sequence[Path], chosen: Mapping[str, Any]) -> Imported:
    from cli.sources import check_there, import_book
    from providers.artifact_stores import open_store
    from providers.pdf import PdfReader

    check_there(paths)
    pdf = PdfReader()
    # The files are looked at in a process of their own; meanwhile this one loads what it needs next.
    threading.Thread(target=_load_client, daemon=True).start()
    try:
        return await import_book(pdf, lambda: open_store(settings), paths, chosen)
    finally:
        await pdf.close()


async def _several(
    books: Sequence[BookSource], options: Options, batch: BatchOptions, *, detach: bool, as_json: bool
) -> int:
    """Each book by a job of its own, or a preview of that."""
    from cli import batch as batches
    from cli import connect
    from cli.output import note
    from providers.pdf import PdfReader

    only = batches.parse_only(batch.only)
    pdf = PdfReader()
    try:
        if batch.preview:
            async with database() as store:
                return await batches.preview(store, pdf, books, only, as_json=as_json)
        async with connect.working(wait_for_worker=False) as shelf:
            await shelf.store.bootstrap()
            rows = batches.rows_of(shelf, pdf, books, only, duplicate=options.duplicate)
            code = await batches.run_batch(
                shelf, rows, at_once=batch.jobs, as_json=as_json, wait=options.wait, detach=detach
            )
            if detach:
                note("The jobs run. See `shelf status`.")
            return code
    finally:
        await pdf.close()


@contextlib.asynccontextmanager
async def database() -> AsyncIterator[Store | None]:
    """The database, where there is one at all: a preview starts nothing for an answer that is known to be no."""
    from cli import connect
    from providers.settings import load_settings

    settings = load_settings()
    if not settings.defradb_is_external and not settings.home.exists():
        yield None
        return
    async with connect.reading() as shelf:
        yield shelf.store


def _load_client() -> None:
    """Import what takes half a second."""
    from importlib import import_module

    for name in (
        "temporalio.contrib.pydantic",
        "cli.watching",
        "cli.summary",
        "schemas.defradb",
        "workflows.registry",
    ):
        import_module(name)


def watch(book: Annotated[str, BOOK], as_json: Annotated[bool, JSON] = False) -> None:
    """Watch the job of a book until it ends, then show its summary."""
    from cli import connect

    async def command() -> int | None:
        from cli.jobs import find_job
        from cli.starting import finish
        from cli.watching import Watch

        async with connect.working(wait_for_worker=False) as shelf:
            client = await shelf.temporal()
            found = await find_job(shelf, client, book)
            description = found.description
            return await finish(Watch(shelf, client, description.id, description.run_id, found.book), as_json=as_json)

    connect.run(command)
