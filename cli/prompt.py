"""`shelf prompt`: what a language model is told, and other instructions for one book."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.options import JSON, WAIT, WHO, WHY

if TYPE_CHECKING:
    from activities.prompts import Prompt
    from cli.connect import Connection
    from schemas.store import Store

prompt = typer.Typer(
    help="Show what a language model is told; give a book other instructions.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

OPERATION = typer.Argument(
    help="blend, label_read, metadata, toc_find or toc_extract.", metavar="OPERATION", show_default=False
)
OF_BOOK = typer.Argument(help="Key of a book, or its beginning.", metavar="BOOK", show_default=False)


@prompt.command()
def show(
    operation: Annotated[str, OPERATION],
    book: Annotated[
        str | None, typer.Argument(help="A book; without it the program's own.", metavar="[BOOK]", show_default=False)
    ] = None,
    as_json: Annotated[bool, JSON] = False,
) -> None:
    """Show the instructions, their hash, and who gave them."""
    from cli import connect, output

    async def command() -> None:
        name = known_operation(operation)
        if book is None:
            found = own(name)
        else:
            from cli.books import find_book

            async with connect.reading() as shelf:
                found = await of_book(shelf, await find_book(shelf.store, book), name)
        if as_json:
            output.data(found)
            return
        output.note(sentence(found))
        print(found["text"], end="")

    connect.run(command)


@prompt.command("set")
def set_(
    operation: Annotated[str, OPERATION],
    book: Annotated[str, OF_BOOK],
    file: Annotated[
        Path | None,
        typer.Argument(
            help="A text in UTF-8 (- for stdin); without it, the present one in an editor.",
            metavar="[FILE]",
            show_default=False,
        ),
    ] = None,
    why: Annotated[str | None, WHY] = None,
    who: Annotated[str | None, WHO] = None,
    wait: Annotated[bool, WAIT] = False,
    as_json: Annotated[bool, JSON] = False,
) -> None:
    """Give a book other instructions for an operation. Nothing is asked anew by that: the end says how."""
    from cli import connect

    async def command() -> int | None:
        from cli.correct import person, read_text
        from cli.starting import known_book

        name = known_operation(operation)
        given = None if file is None else read_text(file)
        speaker = person(who)
        async with connect.working(wait_for_worker=False) as shelf:
            key = await known_book(shelf, book)
            current = await of_book(shelf, key, name)
            if given is not None:
                return await _set(shelf, current, given, speaker, why, wait=wait, as_json=as_json)
            return await _edit(shelf, current, speaker, why, wait=wait, as_json=as_json)

    connect.run(command)


@prompt.command()
def reset(
    operation: Annotated[str, OPERATION],
    book: Annotated[str, OF_BOOK],
    why: Annotated[str | None, WHY] = None,
    who: Annotated[str | None, WHO] = None,
    wait: Annotated[bool, WAIT] = False,
    as_json: Annotated[bool, JSON] = False,
) -> None:
    """Give a book the program's own instructions again."""
    from cli import connect

    async def command() -> int | None:
        from activities.prompts import PROMPT
        from cli.correct import person
        from cli.starting import known_book

        name = known_operation(operation)
        speaker = person(who)
        async with connect.working(wait_for_worker=False) as shelf:
            key = await known_book(shelf, book)
            said = {"field": PROMPT + name, "revert": True, "why": why}
            return await _run(shelf, key, name, speaker, said, wait=wait, as_json=as_json)

    connect.run(command)


async def _set(
    shelf: Connection,
    current: dict[str, Any],
    text: str,
    who: str,
    why: str | None,
    *,
    wait: bool,
    as_json: bool,
) -> int | None:
    """The text goes into the artifact store, the job is given its fingerprint."""
    import asyncio

    from activities.correcting import publish_prompt
    from activities.prompts import PROMPT
    from cli.starting import nothing_to_do

    key, name = current["key"], current["operation"]
    if text.strip() == current["text"].strip():
        return nothing_to_do(key, f"The prompt of {name} for {key} says that already.", as_json=as_json)
    fingerprint = await asyncio.to_thread(publish_prompt, shelf.artifacts, text)
    said = {"field": PROMPT + name, "artifact": fingerprint, "why": why}
    return await _run(shelf, key, name, who, said, wait=wait, as_json=as_json)


async def _edit(
    shelf: Connection, current: dict[str, Any], who: str, why: str | None, *, wait: bool, as_json: bool
) -> int | None:
    """Let the user edit; a text that could not be saved stays in its file."""
    import asyncio

    from cli import output
    from cli.correct import open_editor, read_text, remove, scratch_file
    from schemas.errors import ShelfError

    key, name = current["key"], current["operation"]
    file = scratch_file(f"{key}-{name}.txt", current["text"])
    kept = False
    try:
        await asyncio.to_thread(open_editor, file)
        text = read_text(file)
        try:
            return await _set(shelf, current, text, who, why, wait=wait, as_json=as_json)
        except ShelfError:
            kept = bool(text.strip())
            if kept:
                output.note(f"Your text is kept: `shelf prompt set {name} {key} {file}`.")
            raise
    finally:
        if not kept:
            remove(file)


async def _run(
    shelf: Connection, key: str, name: str, who: str, said: dict[str, Any], *, wait: bool, as_json: bool
) -> int | None:
    """The job that records it; then what counts now, and how the book is read by it."""
    from cli.starting import run_job
    from cli.summary import Ending

    async def find(store: Store, facts: dict[str, Any]) -> dict[str, Any]:
        return {**facts, "prompt": await of_book(shelf, key, name)}

    return await run_job(
        shelf,
        "Correct",
        {"book_id": key, "who": who, "corrections": [{field: value for field, value in said.items() if value}]},
        book=key,
        details=f"prompt of {name}{' reset' if said.get('revert') else ''} by {who}",
        wait=wait,
        as_json=as_json,
        ending=Ending(find, _show_result),
    )


def _show_result(found: dict[str, Any]) -> None:
    from cli import output

    output.note(sentence(found["prompt"]))
    key, name = found["key"], found["prompt"]["operation"]
    print(f"Nothing was asked anew. Where a model does {name}: `shelf process {key} --from {name}`.")


def known_operation(text: str) -> str:
    """The name of an operation that a model can do, in any case, with - for _. Raises BadInput."""
    from activities.prompts import OWN
    from schemas.errors import BadInput

    name = text.strip().lower().replace("-", "_")
    if name not in OWN:
        raise BadInput(f"No language model is told anything for {text!r}.", f"Known: {', '.join(OWN)}.")
    return name


def own(operation: str) -> dict[str, Any]:
    """The program's instructions, as `--json` has them."""
    from activities.prompts import OWN, Prompt

    return _row(None, operation, Prompt(OWN[operation]))


async def of_book(shelf: Connection, key: str, operation: str) -> dict[str, Any]:
    """The instructions that count for a book. Raises ArtifactMissing."""
    from activities.asking import prompt_of
    from activities.corrections import read_corrections
    from activities.prompts import PROMPT

    corrections = await read_corrections(shelf.store, key)
    said = corrections.of(key, PROMPT + operation)
    found = _row(key, operation, await prompt_of(shelf.artifacts, corrections, key, operation))
    return {**found, "at": said.at, "why": said.why} if said is not None else found


def _row(key: str | None, operation: str, said: Prompt) -> dict[str, Any]:
    return {
        "key": key,
        "operation": operation,
        "hash": said.hash,
        "own": not said.by,
        "who": said.by or None,
        "at": None,
        "why": None,
        "text": said.text,
    }


def sentence(found: dict[str, Any]) -> str:
    """Whose they are, by which hash results name them."""
    from cli.provenance import local_time

    where = f" for {found['key']}" if found["key"] else ""
    head = f"Prompt of {found['operation']}{where}, {found['hash']}"
    if found["own"]:
        return f"{head}: the program's own."
    why = f" ({found['why']})" if found["why"] else ""
    return f"{head}: by {found['who']}, {local_time(found['at'])}{why}."
