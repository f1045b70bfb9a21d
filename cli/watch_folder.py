"""`shelf watch-folder`: what is put into a folder is read, once it has stopped growing."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.options import BUDGET, JSON, LLM, UNPRICED

if TYPE_CHECKING:
    from cli.batch_rows import Row
    from schemas.errors import ShelfError

INTERVAL_SECONDS = 10.0
PASSING = (66, 69, 73, 74)
"""Exit codes after which the same file is tried again: it went away, a server or another job was in the way, no room."""
STATE_FOLDER = "watched"
"""In the state folder: a file per folder that is watched."""


def watch_folder(
    folder: Annotated[Path, typer.Argument(help="Folder of PDFs and of folders of page images.", metavar="DIR")],
    once: Annotated[bool, typer.Option("--once", help="Read what is there and has stopped growing, and end.")] = False,
    every: Annotated[
        float,
        typer.Option("--every", help="Seconds between two looks; a file that is the same in both is whole.", min=0.1),
    ] = INTERVAL_SECONDS,
    ocr: Annotated[str | None, typer.Option("--ocr", help="As for `process`.")] = None,
    lang: Annotated[str | None, typer.Option("--lang", help="As for `process`.")] = None,
    second_opinion: Annotated[
        bool | None, typer.Option("--second-opinion/--no-second-opinion", help="As for `process`.", show_default=False)
    ] = None,
    spreads: Annotated[str | None, typer.Option("--spreads", help="As for `process`.")] = None,
    rtl: Annotated[bool, typer.Option("--rtl", help="As for `process`.")] = False,
    images: Annotated[str | None, typer.Option("--images", help="As for `process`.")] = None,
    llm: Annotated[list[str] | None, LLM] = None,
    budget: Annotated[float | None, BUDGET] = None,
    allow_unpriced: Annotated[bool, UNPRICED] = False,
    jobs: Annotated[int, typer.Option("--jobs", help="Books at a time.", min=1)] = 2,
    as_json: Annotated[bool, JSON] = False,
) -> None:
    """Read whatever is put into a folder. Ctrl-C ends it; a restart goes on where it was.

    Files stay where they are. One that is no book is reported once, and again only when it has changed."""
    from cli import connect
    from cli.process import Options

    async def command() -> int:
        import asyncio

        from cli.output import note
        from cli.sources import folder_there
        from cli.spending import spending
        from providers.settings import load_settings

        money = spending(llm, budget, allow_unpriced)
        options = Options(None, ocr, lang, second_opinion, spreads, rtl, images=images, spending=money)
        options.check()
        folder_there(folder)
        settings = load_settings()
        noted = Notes(settings.home / STATE_FOLDER, folder)
        code = 0
        told: dict[Path, str] = {}
        while True:
            before = stamps(folder)
            await asyncio.sleep(every)
            closed: dict[Path, str] = {}
            after = stamps(folder, closed)
            for path, sentence in closed.items():
                if path not in told:
                    note(sentence)
            told = closed
            still = {book: stamp for book, stamp in after.items() if before.get(book) == stamp}
            new = {book: stamp for book, stamp in still.items() if not noted.knows(book, stamp)}
            if new:
                code = await _read(new, options.job_input(), noted, jobs=jobs, as_json=as_json) or code
            if once:
                return code

    connect.run(command)


async def _read(books: Mapping[str, str], chosen: Mapping[str, Any], noted: Notes, *, jobs: int, as_json: bool) -> int:
    """Read these as a batch, and note those that need not be looked at again."""
    from cli import batch, connect, output
    from cli.sources import BookSource
    from cli.watching import Detached
    from providers.pdf import PdfReader

    sources = [BookSource((Path(book),), chosen) for book in books]
    pdf = PdfReader()
    try:
        async with connect.working(wait_for_worker=False) as shelf:
            await shelf.store.bootstrap()
            rows = batch.rows_of(shelf, pdf, sources, batch.parse_only(None))
            code = await batch.run_batch(shelf, rows, at_once=jobs, as_json=as_json, wait=True)
    finally:
        await pdf.close()
    for source, row in zip(sources, rows, strict=True):
        if _is_settled(row):
            noted.add(str(source.paths[0]), books[str(source.paths[0])], row.as_json())
    if code == output.INTERRUPTED:
        raise Detached("")
    return code


def _is_settled(row: Row) -> bool:
    """Whether the same file would come to the same end: read, or no book; or whether somebody paused or cancelled it."""
    return row.exit_code is not None and row.exit_code not in PASSING


# What is there ------------------------------------------------------------------------------------------------------------


def stamps(folder: Path, closed: dict[Path, str] | None = None) -> dict[str, str]:
    """Path of each book in the folder -> sizes and times of its files, by which one sees that it grows or changed.

    Images directly in it belong to no book yet: a scanner may be about to fill it.

    Args:
        closed: is given the folders that may not be read, each with a sentence; what lies beside them is looked at.
    """
    from cli.sources import FolderClosed, entries_of

    found: dict[str, str] = {}
    try:
        entries = entries_of(folder)
    except FolderClosed as error:
        entries = []
        _note_closed(closed, folder, error)
    for entry in entries:
        try:
            found |= {str(path.absolute()): _stamp(path) for path in _books_at(entry)}
        except FolderClosed as error:
            _note_closed(closed, entry, error)
    return found


def _books_at(entry: Path) -> list[Path]:
    """The books that an entry of the folder is or holds. Raises FolderClosed."""
    from cli.sources import FolderClosed, books_of
    from schemas.errors import BadSource

    if not entry.is_dir():
        return [entry] if entry.suffix.lower() == ".pdf" else []
    try:
        books = books_of([entry])
    except FolderClosed:
        raise
    except BadSource:
        return []  # nothing in it yet
    return [entry] if books is None else [book.paths[0] for book in books]


def _note_closed(closed: dict[Path, str] | None, folder: Path, error: ShelfError) -> None:
    if closed is not None:
        closed[folder] = str(error)


def _stamp(path: Path) -> str:
    from cli.sources import entries_of

    found = []
    for file in entries_of(path) if path.is_dir() else [path]:
        try:
            status = file.stat()
        except OSError:
            continue  # it went away in this moment
        found.append(f"{file.name} {status.st_size} {status.st_mtime_ns}")
    return "\n".join(found)


@dataclass(slots=True)
class Notes:
    """Which books of a folder were seen to their end: a JSON file that a restart reads, path -> stamp and end."""

    state_folder: Path
    folder: Path

    @property
    def file(self) -> Path:
        from schemas.store import digest

        return self.state_folder / f"{digest(str(self.folder.absolute()))[:16]}.json"

    def knows(self, book: str, stamp: str) -> bool:
        """Whether the book was seen to its end as it is now."""
        from schemas.store import digest

        return bool(self._read().get(book, {}).get("stamp") == digest(stamp))

    def add(self, book: str, stamp: str, row: Mapping[str, Any]) -> None:
        """Replaced in one step: an interruption leaves the old file or the new one."""
        from schemas.store import digest

        noted = self._read()
        error = row["error"] or {}
        noted[book] = {
            "stamp": digest(stamp),
            "key": row["key"],
            "state": row["state"],
            "reason": error.get("message"),
            "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        }
        self.file.parent.mkdir(parents=True, exist_ok=True)
        draft = self.file.with_suffix(".new")
        draft.write_text(json.dumps({"folder": str(self.folder.absolute()), "books": noted}, indent=2))
        os.replace(draft, self.file)

    def _read(self) -> dict[str, Any]:
        try:
            found: dict[str, Any] = json.loads(self.file.read_text())["books"]
        except (OSError, ValueError, KeyError):
            return {}  # the first time, or it was damaged: what is complete is found so again
        return found
