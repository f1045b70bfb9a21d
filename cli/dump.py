"""Commands that take books out of the database and into one: dump, load. Format: docs/dump-format.md."""

from __future__ import annotations

import contextlib
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.options import JSON

if TYPE_CHECKING:
    from books.dump import Busy, Tell
    from books.load import Dump, Loaded
    from cli.connect import Connection
    from schemas.defradb import DefraStore

BOOKS = typer.Argument(
    help="Keys of books, or their beginnings; all of them by default.", metavar="[BOOK]…", show_default=False
)
EXCEPT = typer.Option("--except", help="Leave this book out; may be repeated.", metavar="BOOK", show_default=False)
OUT = typer.Option("--out", "-o", help="File to write.", metavar="FILE.zip", show_default=False)
CHECK = typer.Option(
    "--check",
    help="Instead: load this dump into an empty database, compare every document, and throw it away.",
    metavar="FILE.zip",
    show_default=False,
)
REPORT_SECONDS = 10.0
"""Between two lines of progress."""
START_SECONDS = 60.0
DIFFERENCES = 5
"""Of a dump that is not what it says: named in the error."""


def dump(
    books: Annotated[list[str] | None, BOOKS] = None,
    out: Annotated[Path | None, OUT] = None,
    without: Annotated[list[str] | None, EXCEPT] = None,
    artifacts: Annotated[
        bool, typer.Option("--artifacts/--no-artifacts", help="With what engines answered and the source files.")
    ] = True,
    history: Annotated[
        bool, typer.Option("--history/--no-history", help="With every version of every document.")
    ] = True,
    compress: Annotated[bool, typer.Option("--compress/--no-compress", help="Smaller, or faster.")] = True,
    force: Annotated[bool, typer.Option("--force", help="Replace the file, if it is there.")] = False,
    check: Annotated[Path | None, CHECK] = None,
    as_json: Annotated[bool, JSON] = False,
) -> None:
    """Write books into one file: every document with its versions, and the artifacts. `shelf load` reads it."""
    from cli import connect, output
    from schemas.errors import BadInput

    async def command() -> int | None:
        if check is not None:
            found = await _check(check)
            if as_json:
                output.data(found)
            else:
                books_read = output.counted(found["books"], "book")
                print(f"{check}: {books_read}, {output.counted(found['documents'], 'document')}, as they were written.")
            return None
        if out is None:
            raise BadInput("No file is named.", "Say where to write it: --out library.zip.")
        if out.exists() and not force:
            raise BadInput(f"{out} exists.", "Name another file, or replace it with --force.")
        async with connect.reading() as shelf:
            found = await _dump(shelf, books or [], without or [], out, artifacts, history, compress)
        if as_json:
            output.data(found)
        else:
            print(f"{out}: {output.counted(len(found['books']), 'book')}, {found['bytes'] / 1e6:.1f} MB.")
            if missing := sum(len(book["missing"]) for book in found["books"].values()):
                output.note(
                    f"{missing} artifacts were not there, or damaged, and are not in it; --json names them. "
                    "Jobs make them anew where they need them."
                )
            output.note(f"Check it: `shelf dump --check {out}`.")
        return None

    connect.run(command)


def load(
    file: Annotated[Path, typer.Argument(help="What `shelf dump` wrote.", metavar="FILE.zip", show_default=False)],
    only: Annotated[
        list[str] | None,
        typer.Option("--only", help="Only this book; may be repeated.", metavar="BOOK", show_default=False),
    ] = None,
    as_json: Annotated[bool, JSON] = False,
) -> None:
    """Fill the database and the artifact store from a dump. What is there already, and equal, is left as it is."""
    from cli import connect, output

    async def command() -> None:
        from books.load import Dump
        from books.load import load as load_books

        with Dump(file) as found:
            books = found.books(only or [])
            await _verify(found)
            async with connect.reading() as shelf:
                await shelf.store.bootstrap()
                rows = await load_books(
                    found, shelf.store, shelf.artifacts, books=books, busy=_busy(shelf), tell=_progress("loading")
                )
        if as_json:
            output.data({"file": str(file), "id": found.manifest.id, "books": [_row(row) for row in rows]})
        else:
            output.table(
                ["book", "", "documents", "artifacts"],
                [[row.key, _said(row), row.documents, row.artifacts] for row in rows],
                right=["documents", "artifacts"],
            )

    connect.run(command)


async def _dump(
    shelf: Connection,
    books: list[str],
    without: list[str],
    out: Path,
    artifacts: bool,
    history: bool,
    compress: bool,
) -> dict[str, Any]:
    from activities.holdings import being_deleted
    from books.dump import DumpOptions
    from books.dump import dump as dump_books
    from cli.books import find_book
    from cli.output import note
    from schemas.documents import Book
    from schemas.errors import BadInput

    left_out = {await find_book(shelf.store, text) for text in without}
    found = {book.key: book for book in await shelf.store.find(Book, {}, ["source_error"])}
    chosen = [await find_book(shelf.store, text) for text in books] or list(found)
    for key in chosen:
        if being_deleted(found[key]):
            note(f"{key} is being deleted, and left out.")
            left_out.add(key)
    keys = [key for key in dict.fromkeys(chosen) if key not in left_out]
    if not keys:
        raise BadInput("There is no book to dump.", "See `shelf books` for those there are.")
    summary = await dump_books(
        shelf.store,
        shelf.artifacts,
        keys,
        out,
        DumpOptions(artifacts=artifacts, history=history, compress=compress),
        busy=_busy(shelf),
        versions=versions(),
        tell=_progress("writing"),
    )
    return {
        "path": str(summary.path),
        "id": summary.id,
        "bytes": summary.bytes,
        "books": {key: vars(book) for key, book in summary.books.items()},
    }


def versions() -> dict[str, str]:
    """Of Shelf and of the database, for the manifest."""
    import tomllib

    from cli.stack.defradb_release import VERSION

    project = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text())["project"]
    return {"shelf": str(project["version"]), "database": f"DefraDB {VERSION}"}


async def _verify(found: Dump) -> None:
    import asyncio

    await asyncio.to_thread(found.verify, _progress("checking"))


async def _check(file: Path) -> dict[str, Any]:
    """Raises BadDump: it is damaged, or does not come back as it was written."""
    import tempfile

    from books.load import BadDump, Dump, differences
    from books.load import load as load_books
    from providers.local_artifacts import LocalArtifactStore

    async def nobody(lease: object) -> bool:
        return False

    with Dump(file) as found, tempfile.TemporaryDirectory(prefix="shelf-check-") as folder:
        await _verify(found)
        async with empty_database(Path(folder)) as store:
            artifacts = LocalArtifactStore(Path(folder) / "artifacts")
            rows = await load_books(found, store, artifacts, busy=nobody, tell=_progress("loading"))
            for row in rows:
                if wrong := await differences(found, store, row.key):
                    raise BadDump(
                        f"{file} does not come back as it was written: {'; '.join(wrong[:DIFFERENCES])}.",
                        "Dump again, and report it if it happens again.",
                    )
        return {
            "file": str(file),
            "id": found.manifest.id,
            "books": len(rows),
            "documents": sum(row.documents for row in rows),
            "artifacts": sum(row.artifacts for row in rows),
            "missing": sum(row.missing for row in rows),
        }


@contextlib.asynccontextmanager
async def empty_database(folder: Path) -> AsyncIterator[DefraStore]:
    """A DefraDB of its own, gone with the block. Raises ServerUnavailable."""
    from schemas.defradb import DefraStore

    with _server(folder) as url:
        store = DefraStore(url)
        try:
            await store.bootstrap()
            yield store
        finally:
            await store.close()


@contextlib.contextmanager
def _server(folder: Path) -> Iterator[str]:
    import subprocess

    from cli.stack import servers
    from cli.stack.defradb_binary import find_or_build
    from cli.stack.progress import StderrProgress
    from schemas.errors import ServerUnavailable

    program = find_or_build(StderrProgress())
    port = servers.free_port()
    log = folder / "defradb.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            servers.defradb_command(program, folder / "defradb", port),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            cwd=folder,
        )
    try:
        deadline = time.monotonic() + START_SECONDS
        while servers.request(f"{servers.HOST}:{port}", "GET", "/api/v0/collections") is None:
            if process.poll() is not None or time.monotonic() > deadline:
                said = log.read_text(errors="replace")[-500:]
                raise ServerUnavailable(f"DefraDB does not start for the check: {said}", "See `shelf doctor`.")
            time.sleep(0.1)
        yield f"http://{servers.HOST}:{port}"
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _busy(shelf: Connection) -> Busy:
    """Whether the job that a lease names runs; one that Temporal does not know any more does not."""

    async def busy(lease: Any) -> bool:
        from temporalio.client import WorkflowExecutionStatus
        from temporalio.service import RPCError, RPCStatusCode

        from cli.connect import rpc_error

        client = await shelf.temporal()
        try:
            description = await client.get_workflow_handle(lease.workflow_id).describe()
        except RPCError as error:
            if error.status == RPCStatusCode.NOT_FOUND:
                return False
            raise rpc_error(error) from None
        return description.status == WorkflowExecutionStatus.RUNNING

    return busy


def _progress(doing: str) -> Tell:
    """A line on stderr now and then."""
    from cli.output import note

    shown = time.monotonic()

    def tell(what: str, done: int, total: int) -> None:
        nonlocal shown
        if time.monotonic() - shown >= REPORT_SECONDS:
            note(f"{doing} {what}: {done + 1} of {total}")
            shown = time.monotonic()

    return tell


def _said(row: Loaded) -> str:
    return "was there already" if row.outcome == "equal" else "loaded"


def _row(row: Loaded) -> dict[str, Any]:
    return {
        "key": row.key,
        "outcome": row.outcome,
        "documents": row.documents,
        "artifacts": row.artifacts,
        "missing": row.missing,
    }
