"""Commands that read a book and follow the job that does it: process, watch."""

from __future__ import annotations

import re
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.read import BOOK, JSON

if TYPE_CHECKING:
    from cli.connect import Connection
    from cli.watching import Watch
    from providers.settings import Settings
    from providers.source import Manifest

GAPS = 3
BOOK_KEY = re.compile(r"[a-z0-9-]+-[0-9a-f]{8}")
"""What a key looks like: a source that has been read needs not be there any more to be read again."""
WAIT_POLL_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Options:
    """What the user chose for one job."""

    pages: str | None
    ocr: str | None
    language: str | None
    second_opinion: bool | None
    fresh: bool
    wait: bool

    def job_input(self) -> dict[str, Any]:
        """Fields of `ProcessPagesInput` that were chosen; the rest keeps the job's defaults."""
        chosen = {
            "pages": self.pages,
            "ocr": self.ocr,
            "language": self.language,
            "second_opinion": "" if self.second_opinion is False else None,
            "fresh": self.fresh or None,
            "wait": self.wait or None,
        }
        return {name: value for name, value in chosen.items() if value is not None}

    def describe(self) -> str:
        """For the Temporal UI; '' where nothing was chosen."""
        return ", ".join(f"{name}: {value}" for name, value in self.job_input().items())


def process(
    source: Annotated[
        list[str],
        typer.Argument(
            help="A PDF, several files in order, a folder of page images, or the key of a book that was read before.",
            metavar="SOURCE...",
            show_default=False,
        ),
    ],
    pages: Annotated[str | None, typer.Option("--pages", help="Physical pages, as 1-20,35.")] = None,
    ocr: Annotated[
        str | None,
        typer.Option("--ocr", help="Engine for every page: tesseract, rapidocr, text-layer. Default: what suits each."),
    ] = None,
    lang: Annotated[str | None, typer.Option("--lang", help="Languages, as deu+eng.")] = None,
    second_opinion: Annotated[
        bool | None,
        typer.Option(
            "--second-opinion/--no-second-opinion",
            help="Let a second engine read pages of low confidence.",
            show_default="second opinion",
        ),
    ] = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="Read everything anew, although it was read before.")] = False,
    wait: Annotated[
        bool, typer.Option("--wait", help="Wait while another job works on the book, instead of being refused.")
    ] = False,
    detach: Annotated[bool, typer.Option("--detach", help="Start the job, print its id, and return.")] = False,
    as_json: Annotated[bool, JSON] = False,
) -> None:
    """Read a book: text, page labels, metadata and table of contents.

    Starts the servers if need be. The job goes on by itself, whatever happens to this command: watch it again with
    `shelf watch`. What was read before is not read again.
    """
    from cli import connect

    options = Options(pages, ocr, lang, second_opinion, fresh, wait)

    async def command() -> int | None:
        return await _process(source, options, detach=detach, as_json=as_json)

    connect.run(command)


async def _process(source: Sequence[str], options: Options, *, detach: bool, as_json: bool) -> int | None:
    from cli import connect, output
    from providers.settings import load_settings
    from schemas.pagespec import parse_pages

    parse_pages(options.pages or "")
    settings = load_settings()
    known = source[0] if len(source) == 1 and _is_key(source[0]) else None
    imported = None if known else await _import(settings, [Path(name) for name in source], options)
    async with connect.working(wait_for_worker=False) as shelf:
        if imported is not None:
            fingerprint, manifest, book = imported
            given: dict[str, Any] = {"manifest": fingerprint}
            named = ", ".join(part.name for part in manifest.parts[:3]) + (", …" if len(manifest.parts) > 3 else "")
            details = f"{named}, {manifest.page_count} pages"
        else:
            from cli.books import find_book

            await shelf.store.bootstrap()
            book = await find_book(shelf.store, str(known))
            given, details = {"book_id": book}, "source as it was imported before"
        if chosen := options.describe():
            details += f" · {chosen}"
        watch = await _start(shelf, book, given | options.job_input(), details, wait=options.wait)
        if detach:
            if as_json:
                url = shelf.link(watch.workflow_id, watch.run_id or "")
                output.data({"key": book, "workflow_id": watch.workflow_id, "run_id": watch.run_id, "url": url})
            else:
                print(watch.workflow_id)
            output.note(f"The job runs. Watch it with `shelf watch {book}`.")
            return None
        return await finish(watch, as_json=as_json)


def _is_key(text: str) -> bool:
    return BOOK_KEY.fullmatch(text) is not None and not Path(text).exists()


async def _import(settings: Settings, paths: Sequence[Path], options: Options) -> tuple[str, Manifest, str]:
    """Check the source and put it into the artifact store, before anything is started.

    Returns the manifest's fingerprint, the manifest, the key of the book. Raises BadSource, SourceNotFound, BadInput,
    DiskFull; nothing is left behind then."""
    from providers.importing import import_source
    from providers.local_artifacts import LocalArtifactStore
    from providers.pdf import PdfReader
    from schemas.errors import SourceNotFound
    from schemas.keys import book_key
    from schemas.pagespec import parse_pages

    for path in paths:
        if not path.exists():
            raise SourceNotFound(f"{path} does not exist.", "Check the path; a book is a PDF, images, or a folder.")
    pdf = PdfReader()
    # The files are looked at in a process of their own; meanwhile this one loads what it needs next.
    threading.Thread(target=_load_client, daemon=True).start()
    try:
        # Looked at before the store's folders are made: a file that is no book leaves nothing behind. It costs little
        # twice, the second time the document is open.
        files = await pdf.inspect(paths)
        parse_pages(options.pages or "", sum(pages for _, _, pages in files))
        fingerprint, manifest = await import_source(pdf, LocalArtifactStore(settings.artifacts_dir), paths)
    finally:
        await pdf.close()
    return fingerprint, manifest, book_key(manifest.name, [part.sha256 for part in manifest.parts])


def _load_client() -> None:
    """Import what takes half a second."""
    from importlib import import_module

    for name in (
        "temporalio.contrib.pydantic",
        "cli.watching",
        "cli.summary",
        "schemas.defradb",
        "workflows.process_pages",
    ):
        import_module(name)


async def _start(shelf: Connection, book: str, job: dict[str, Any], details: str, *, wait: bool) -> Watch:
    """Start the job. Raises LeaseHeld where one runs on this book, unless it is waited for."""
    import asyncio

    from temporalio.client import Client, WorkflowHandle
    from temporalio.common import WorkflowIDConflictPolicy
    from temporalio.exceptions import WorkflowAlreadyStartedError
    from temporalio.service import RPCError

    from cli.connect import rpc_error
    from cli.jobs import job_id
    from cli.output import note
    from cli.watching import Watch
    from providers.queues import WORKFLOW_QUEUE
    from schemas.errors import LeaseHeld
    from workflows.process_pages import ProcessPages

    client: Client = await shelf.temporal()
    told = False
    while True:
        try:
            handle: WorkflowHandle[Any, Any] = await client.start_workflow(
                ProcessPages.run,
                job,
                id=job_id(book),
                task_queue=WORKFLOW_QUEUE,
                id_conflict_policy=WorkflowIDConflictPolicy.FAIL,
                static_summary=f"{book} · {details}"[:190],
                static_details=f"Reads **{book}**\n\n{details}",
            )
            return Watch(shelf, client, handle.id, handle.first_execution_run_id, book)
        except WorkflowAlreadyStartedError:
            if not wait:
                raise LeaseHeld(
                    f"Book {book} is being worked on by {job_id(book)}.",
                    f"Watch it with `shelf watch {book}`, or start with --wait.",
                ) from None
            if not told:
                note(f"Waiting for {job_id(book)}, which works on {book}.")
                told = True
            await asyncio.sleep(WAIT_POLL_SECONDS)
        except RPCError as error:
            raise rpc_error(error) from None


def watch(book: Annotated[str, BOOK], as_json: Annotated[bool, JSON] = False) -> None:
    """Watch the job of a book until it ends, then show its summary."""
    from cli import connect

    async def command() -> int | None:
        from cli.jobs import find_job
        from cli.watching import Watch

        async with connect.working(wait_for_worker=False) as shelf:
            client = await shelf.temporal()
            found = await find_job(shelf, client, book)
            description = found.description
            return await finish(Watch(shelf, client, description.id, description.run_id, found.book), as_json=as_json)

    connect.run(command)


async def finish(watch: Watch, *, as_json: bool) -> int:
    """Watch a job to its end and show its summary. Returns the exit code; raises ShelfError for a job without result."""
    from cli import output, summary
    from cli.connect import JobFailed

    shelf = watch.shelf
    try:
        result = await watch.to_the_end()
    except JobFailed:
        if url := shelf.link(watch.workflow_id, watch.run_id or ""):
            output.note(f"See {url}")
        raise
    description = await watch.handle.describe()
    ended = description.close_time or datetime.now(UTC)
    found = await summary.summarise(
        shelf.store,
        {
            "key": result.book_id,
            "workflow_id": watch.workflow_id,
            "run_id": watch.run_id,
            "state": result.state,
            "pages": result.pages,
            "pages_complete": result.pages_complete,
            "failed_count": result.failed_count,
            "failed": [item.model_dump() for item in result.failed],
            "cost_usd": result.cost_usd,
            "seconds": round((ended - description.start_time).total_seconds(), 1),
            "url": shelf.link(watch.workflow_id, watch.run_id or ""),
        },
    )
    if as_json:
        output.data(found)
    else:
        summary.show(found)
    return 0 if result.state == "complete" else GAPS
