"""Commands by which people correct the machines: correct, label, meta, corrections.

Each is the job `Correct` with what was typed: the word of a person counts, whatever is read again, until it is reverted.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.options import BOOK, JSON, PAGE_OPTION, WAIT, WHO, WHY

if TYPE_CHECKING:
    from cli.connect import Connection

STDIN = "-"
LISTS = ("authors", "isbn")
"""Fields that hold several values; `--set` separates them by semicolons, since names have commas in them."""


def correct(
    book: Annotated[str, BOOK],
    page: Annotated[int, PAGE_OPTION],
    text_file: Annotated[
        Path | None,
        typer.Option(
            "--text-file", help="Take the text from this file (- for stdin) instead of an editor.", metavar="F"
        ),
    ] = None,
    revert: Annotated[bool, typer.Option("--revert", help="Give the machines back their say.")] = False,
    why: Annotated[str | None, WHY] = None,
    who: Annotated[str | None, WHO] = None,
    wait: Annotated[bool, WAIT] = False,
    as_json: Annotated[bool, JSON] = False,
) -> None:
    """Correct the text of a page, in $EDITOR or from a file.

    Lines of the text are lines of the page. Words that stay keep their places and their evidence.
    """
    from cli import connect

    async def command() -> int | None:
        from cli.books import find_page
        from cli.starting import known_book
        from schemas.errors import BadInput

        if revert and text_file is not None:
            raise BadInput("--revert takes no text.", "Leave out --text-file.")
        name = person(who)
        given = None if text_file is None else read_text(text_file)
        async with connect.working(wait_for_worker=False) as shelf:
            key = await known_book(shelf, book)
            current = (await find_page(shelf.store, key, page)).text
            if revert:
                said = {"page": page, "field": "text", "revert": True, "why": why}
                return await run_correction(shelf, key, name, [said], wait=wait, as_json=as_json)
            if given is not None:
                return await _correct_text(shelf, key, page, current, given, name, why, wait=wait, as_json=as_json)
            return await _edit(shelf, key, page, current or "", name, why, wait=wait, as_json=as_json)

    connect.run(command)


async def _correct_text(
    shelf: Connection,
    key: str,
    page: int,
    current: str | None,
    text: str,
    who: str,
    why: str | None,
    *,
    wait: bool,
    as_json: bool,
) -> int | None:
    """The text goes into the artifact store, the job is given its fingerprint. A text that is there already is no news."""
    import asyncio

    from activities.correcting import publish_text
    from cli.starting import nothing_to_do
    from providers.vote import tidy

    if current is not None and tidy(text) == tidy(current):
        return nothing_to_do(key, f"The text of page {page} is the same: nothing changed.", as_json=as_json)
    fingerprint = await asyncio.to_thread(publish_text, shelf.artifacts, text)
    said = {"page": page, "field": "text", "artifact": fingerprint, "why": why}
    return await run_correction(shelf, key, who, [said], wait=wait, as_json=as_json)


async def _edit(
    shelf: Connection, key: str, page: int, current: str, who: str, why: str | None, *, wait: bool, as_json: bool
) -> int | None:
    """Let the user edit; a text that could not be saved stays in its file."""
    import asyncio

    from cli import output
    from cli.starting import nothing_to_do
    from schemas.errors import ShelfError

    file = scratch_file(f"{key}-page-{page}.txt", f"{current}\n" if current else "")
    kept = False
    try:
        await asyncio.to_thread(open_editor, file)
        text = read_text(file)
        if current and not text.strip():
            sentence = "The text is empty: nothing changed. Of a blank page, say so with --text-file /dev/null."
            return nothing_to_do(key, sentence, as_json=as_json)
        try:
            return await _correct_text(shelf, key, page, current, text, who, why, wait=wait, as_json=as_json)
        except ShelfError:
            kept = True
            output.note(f"Your text is kept: `shelf correct {key} --page {page} --text-file {file}`.")
            raise
    finally:
        if not kept:
            remove(file)


def label(
    book: Annotated[str, BOOK],
    page: Annotated[int, PAGE_OPTION],
    printed: Annotated[
        str | None, typer.Option("--printed", help="The number that is printed there; '' for none.", metavar="xii")
    ] = None,
    kind: Annotated[
        str | None, typer.Option("--type", help="What kind of page it is: toc, body, index, ...", metavar="TYPE")
    ] = None,
    header: Annotated[
        str | None, typer.Option("--header", help="Its running header; '' for none.", metavar="TEXT")
    ] = None,
    revert: Annotated[bool, typer.Option("--revert", help="Give the machines back their say on all three.")] = False,
    why: Annotated[str | None, WHY] = None,
    who: Annotated[str | None, WHO] = None,
    wait: Annotated[bool, WAIT] = False,
    as_json: Annotated[bool, JSON] = False,
) -> None:
    """Correct a page's printed number, its type, its running header; the numbers around it follow."""
    from cli import connect

    given = {"label": printed, "page_type": kind, "running_header": header}
    chosen = {field: value for field, value in given.items() if value is not None}

    async def command() -> int | None:
        from activities.correcting import checked
        from activities.corrections import read_corrections
        from cli.books import find_page
        from cli.starting import known_book
        from schemas.errors import BadInput

        if bool(chosen) == revert:
            raise BadInput(
                f"What is right on page {page} was not said." if not revert else "--revert takes no values.",
                "Give --printed, --type or --header; or --revert alone.",
            )
        said: list[dict[str, Any]] = [
            {"page": page, "field": field, "value": checked(field, value), "why": why}
            for field, value in chosen.items()
        ]
        name = person(who)
        async with connect.working(wait_for_worker=False) as shelf:
            key = await known_book(shelf, book)
            if revert:
                target = (await find_page(shelf.store, key, page)).key
                live = await read_corrections(shelf.store, key)
                said = [
                    {"page": page, "field": field, "revert": True, "why": why}
                    for field in given
                    if live.has(target, field)
                ]
                if not said:
                    raise BadInput(
                        f"Number, type and header of page {page} of {key} are not corrected: there is nothing to revert.",
                        f"See what is: `shelf corrections {key}`.",
                    )
            return await run_correction(shelf, key, name, said, wait=wait, as_json=as_json)

    connect.run(command)


def meta(
    book: Annotated[str, BOOK],
    values: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            help="A field and its value, as year=1916, 'authors=A;B'; without a value: it has none.",
            metavar="F=V",
        ),
    ] = None,
    revert: Annotated[
        list[str] | None,
        typer.Option("--revert", help="Give the machines back their say on a field.", metavar="FIELD"),
    ] = None,
    why: Annotated[str | None, WHY] = None,
    who: Annotated[str | None, WHO] = None,
    wait: Annotated[bool, WAIT] = False,
    as_json: Annotated[bool, JSON] = False,
) -> None:
    """Correct what is known of a book: title, subtitle, authors, publisher, place, year, isbn, language."""
    from cli import connect

    async def command() -> int | None:
        from cli.starting import known_book
        from schemas.errors import BadInput

        if not values and not revert:
            raise BadInput("What is right was not said.", "Give --set FIELD=VALUE or --revert FIELD.")
        said = [{**assigned(text), "why": why} for text in values or []]
        said += [{"field": known_field(field), "revert": True, "why": why} for field in revert or []]
        name = person(who)
        async with connect.working(wait_for_worker=False) as shelf:
            return await run_correction(shelf, await known_book(shelf, book), name, said, wait=wait, as_json=as_json)

    connect.run(command)


def assigned(text: str) -> dict[str, Any]:
    """`year=1916` as a correction's field and value. Raises BadInput."""
    from activities.correcting import checked
    from schemas.errors import BadInput

    field, sign, value = text.partition("=")
    if not sign:
        raise BadInput(f"{text!r} is not a field and its value.", "Write --set year=1916.")
    field = known_field(field)
    if field in LISTS:
        return {"field": field, "value": checked(field, [each for each in value.split(";") if each.strip()])}
    return {"field": field, "value": checked(field, value)}


def known_field(text: str) -> str:
    """The name of a book's field that can be corrected, in any case. Raises BadInput."""
    from activities.corrections import BOOK_FIELDS
    from schemas.errors import BadInput

    field = text.strip().lower()
    if field not in BOOK_FIELDS:
        raise BadInput(f"A book has no field {text.strip()!r} to correct.", f"Known: {', '.join(BOOK_FIELDS)}.")
    return field


async def run_correction(
    shelf: Connection, key: str, who: str, said: Sequence[dict[str, Any]], *, wait: bool, as_json: bool
) -> int | None:
    """The job, to its end; then what it came to."""
    from cli.starting import run_job
    from cli.summary import Ending

    pages = sorted({each["page"] for each in said if "page" in each})
    given = {
        "who": who,
        "corrections": [{name: value for name, value in each.items() if value is not None} for each in said],
    }
    return await run_job(
        shelf,
        "Correct",
        {"book_id": key, **given},
        book=key,
        details=f"{', '.join(each['field'] for each in said)}"
        + (f" of page {', '.join(map(str, pages))}" if pages else "")
        + f" by {who}",
        wait=wait,
        as_json=as_json,
        ending=Ending(lambda store, facts: _found(store, facts, pages), show_result),
    )


async def _found(store: Any, facts: dict[str, Any], pages: Sequence[int]) -> dict[str, Any]:
    """The job's own part, the corrected pages or the book's metadata, and the corrections of them that count."""
    from cli.books import book_metadata, one_page
    from cli.evidence import book_corrections
    from cli.summary import with_steps

    key = facts["key"]
    live = [row for row in (await book_corrections(store, key))["corrections"] if row["live"]]
    return {
        **await with_steps(store, facts),
        "metadata": None if pages else await book_metadata(store, key),
        "corrected_pages": [await one_page(store, key, page) for page in pages],
        "corrections": [row for row in live if (row["page"] in pages if pages else row["page"] is None)],
    }


def show_result(found: dict[str, Any]) -> None:
    """The pages or the book as they stand now, and what of it is a person's word."""
    from cli import output, read, summary

    for page in found["corrected_pages"]:
        output.facts(
            [
                ("Page", page["page"]),
                ("Label", page["label"] or "none"),
                ("Type", page["page_type"]),
                ("Running header", page["running_header"]),
                ("Text", f"{len((page['text'] or '').split())} words, confidence {output.cell(page['confidence'])}"),
            ]
        )
    if found["metadata"] is not None:
        read.show_metadata(found["metadata"])
    print()
    if found["corrections"]:
        show_corrections(found)
    else:
        print("Nothing of it is corrected any more: the machines have their say.")
    summary.show_failures(found)


def corrections(book: Annotated[str, BOOK], as_json: Annotated[bool, JSON] = False) -> None:
    """List what people corrected in a book: who, when, what and why; first what counts now."""
    from cli import connect, output
    from cli.books import find_book
    from cli.evidence import book_corrections

    async def command() -> None:
        async with connect.reading() as shelf:
            found = await book_corrections(shelf.store, await find_book(shelf.store, book), shelf.artifacts)
        if as_json:
            output.data(found)
        elif not found["corrections"]:
            output.note("Nothing is corrected in this book.")
        else:
            show_corrections(found)

    connect.run(command)


def show_corrections(found: dict[str, Any]) -> None:
    """One row each."""
    from cli import output
    from cli.provenance import local_time, short

    rows = [
        [
            "counts" if row["live"] else "revert" if row["reverted"] else "past",
            row["page"] or "book",
            row["field"],
            "(the machines')" if row["reverted"] else short(row["value"]),
            row["who"],
            local_time(row["at"]),
            row["why"],
        ]
        for row in found["corrections"]
    ]
    output.table(["state", "page", "field", "value", "who", "when", "why"], rows, right=["page"])


# What comes from outside --------------------------------------------------------------------------------------------


def person(who: str | None) -> str:
    """Who corrects: named, configured, or logged in. Raises BadInput where nobody is known."""
    import getpass

    from providers.settings import load_settings
    from schemas.errors import BadInput

    name = (who or load_settings().user or "").strip()
    if not name:
        try:
            name = getpass.getuser()
        except (KeyError, OSError):
            raise BadInput("It is not known who corrects.", "Say it with --who, or set SHELF_USER.") from None
    return name


def read_text(file: Path) -> str:
    """A text in UTF-8; `-` is stdin. Raises SourceNotFound, BadInput."""
    import sys

    from schemas.errors import BadInput, SourceNotFound

    try:
        body = sys.stdin.buffer.read() if str(file) == STDIN else file.read_bytes()
        return body.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise BadInput(f"{file} is not a text in UTF-8.", "Convert it, for instance with iconv.") from None
    except OSError as error:
        raise SourceNotFound(f"{file} cannot be read: {error.strerror}.", "Check the path.") from None


def scratch_file(name: str, text: str) -> Path:
    """A file of this name in a folder of its own, so that an editor shows what it is."""
    import tempfile

    file = Path(tempfile.mkdtemp(prefix="shelf-")) / name
    file.write_text(text, encoding="utf-8")
    return file


def remove(file: Path) -> None:
    """A scratch file, its folder, and what the editor left beside it."""
    import shutil

    shutil.rmtree(file.parent, ignore_errors=True)


def open_editor(file: Path) -> None:
    """The user's editor on a file, to its end. Raises BadInput where there is none, or where it fails."""
    import os
    import shlex
    import subprocess

    from schemas.errors import BadInput

    editor = os.environ.get("VISUAL") or os.environ.get("EDITOR")
    if not editor:
        raise BadInput("No editor is set.", "Set EDITOR (or VISUAL), or give the text with --text-file.")
    try:
        ended = subprocess.run([*shlex.split(editor), str(file)], check=False).returncode
    except (OSError, ValueError) as error:
        raise BadInput(f"The editor {editor!r} cannot be started: {error}.", "Set EDITOR to another.") from None
    if ended:
        raise BadInput(f"The editor {editor!r} ended with code {ended}: nothing was changed.", "Try it again.")
