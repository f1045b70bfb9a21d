"""Commands that say where a value comes from: history, why."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from cli.options import BOOK, JSON, PAGE

VALUE_CHARACTERS = 60
"""Of a value in a table; `--json` has all of it."""

RULES = {
    "only-source": "only one engine read this page",
    "agreed": "all read the same",
    "typography": "they differ only in quotes and dashes: the typographic sign is kept",
    "spacing": "they differ only in blanks",
    "leaders": "dot leaders that an engine took for letters, or that only one kept",
    "majority": "more than half of the engines read the same",
    "characters": "majority letter by letter gives a known word",
    "damage": "another reading has a broken font's characters here",
    "case": "another reading has a capital inside the word",
    "stop": "full stop or comma: a small letter follows",
    "script": "another reading has signs of another script in it",
    "lexicon": "this reading consists of known words, the leading engine's does not",
    "number": "readings with digits: the one without letters inside, else the leading engine's",
    "confidence": "the leading engine doubts itself and the other does not",
    "only-one": "only one engine read anything here, and its evidence is good",
    "pivot": "nothing spoke against the leading engine",
}
"""The rules of `providers/vote/choose.py`, for people."""


def history(
    book: Annotated[str, BOOK],
    page: Annotated[
        int | None, typer.Option("--page", help="Of this physical page and its readings.", metavar="N", min=1)
    ] = None,
    as_json: Annotated[bool, JSON] = False,
) -> None:
    """Show every version of a book's metadata and contents, or of one page, newest first."""
    from books.load import with_earlier
    from cli import connect, output
    from cli.books import find_book
    from cli.evidence import book_history, page_history

    async def command() -> None:
        async with connect.reading() as shelf:
            key = await find_book(shelf.store, book)
            store = with_earlier(shelf.store, shelf.artifacts, key)
            if page is None:
                found = await book_history(store, shelf.artifacts, key, shelf.link)
            else:
                found = await page_history(store, shelf.artifacts, key, page, shelf.link)
        if as_json:
            output.data(found)
        else:
            show_history(found)

    connect.run(command)


def show_history(found: dict[str, Any]) -> None:
    """One block per version: when, which document, by which save; then what it says."""
    from cli.evidence import content_of

    for row in found["versions"]:
        print(f"{local_time(row['at'])}  {row['type']} version {row['height']}  {row['operation'] or 'created'}")
        print(f"  document  {row['document']}")
        print(f"  commit    {row['cid']}")
        if row["workflow_id"]:
            print(f"  by        {row['workflow_id']}, activity {row['activity_id']}{_by_provider(row)}")
        if row["prompt_hash"]:
            print(f"  model     {model_of(row)}")
        if row["op_id"]:
            print(f"  save      {row['op_id']}")
        if row["url"]:
            print(f"  see       {row['url']}")
        changed = content_of(row["changed"])
        for name, value in changed.items():
            print(f"  {name} = {short(value)}")
        if not changed:
            print("  (flags only)" if row["operation"] else "  (empty)")
        print()


def why(
    book: Annotated[str, BOOK],
    number: Annotated[int, PAGE],
    word: Annotated[str, typer.Argument(help="A word on the page, in any case.", metavar="WORD", show_default=False)],
    as_json: Annotated[bool, JSON] = False,
) -> None:
    """Show why a word stands on a page: each engine's reading, the rule that decided, the commit, the workflow."""
    from books.load import with_earlier
    from cli import connect, output
    from cli.books import find_book
    from cli.evidence import why as explain

    async def command() -> None:
        async with connect.reading() as shelf:
            key = await find_book(shelf.store, book)
            store = with_earlier(shelf.store, shelf.artifacts, key)
            found = await explain(store, shelf.artifacts, key, number, word, shelf.link)
        if as_json:
            output.data(found)
        else:
            show_why(found)

    connect.run(command)


def show_why(found: dict[str, Any]) -> None:
    """Each occurrence with its readings; then what they all share."""
    from cli import output

    for number, occurrence in enumerate(found["occurrences"], 1):
        count = len(found["occurrences"])
        where = f" ({number} of {count})" if count > 1 else ""
        print(f"“{occurrence['text']}”{where} in: {occurrence['line']}")
        rule = occurrence["rule"]
        meaning = f"{rule}: {RULES[rule]}" if rule in RULES else rule
        output.facts(
            [
                ("  rule", meaning),
                ("  confidence", occurrence["confidence"]),
                *(
                    (
                        f"  {reading['provider']}",
                        (f"“{reading['text']}”" if reading["text"] else "nothing")
                        + ("" if reading["confidence"] is None else f", confidence {reading['confidence']:.1f}"),
                    )
                    for reading in occurrence["readings"]
                ),
            ]
        )
        print()
    output.facts(
        [
            ("Page", f"{found['page']}{' · ' + found['label'] if found['label'] else ''} of {found['key']}"),
            *(("Corrected", correction(row)) for row in found["corrections"]),
            ("Model", model_of(found) if found["prompt_hash"] else None),
            *(("Note", note) for note in found["notes"]),
            ("Leaf", found["leaf_note"]),
            *(("Image", said) for said in found["image_steps"].values()),
            *(("Reading", source["key"]) for source in found["sources"]),
            ("Document", found["document"]),
            ("Commit", found["cid"]),
            ("Written", local_time(found["at"]) if found["at"] else None),
            ("Workflow", found["workflow_id"]),
            ("Activity", found["activity_id"]),
            ("Temporal UI", found["url"]),
        ]
    )


def local_time(at: str | None) -> str:
    """An RFC 3339 time as the clock on the wall had it."""
    if not at:
        return "(time not known)"
    from datetime import datetime

    return datetime.fromisoformat(at).astimezone().strftime("%Y-%m-%d %H:%M:%S")


def short(value: Any) -> str:
    """A value in one line."""
    import json

    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= VALUE_CHARACTERS else f"{text[: VALUE_CHARACTERS - 1]}…"


def correction(row: dict[str, Any]) -> str:
    """What a person corrected, in a line: field, who, when and why."""
    why = f": {row['why']}" if row["why"] else ""
    return f"{row['field']}, by {row['who']} at {local_time(row['at'])}{why}"


def model_of(row: dict[str, Any]) -> str:
    """Which model said it, and by whose instructions."""
    whose = f"given by {row['prompt_by']}" if row["prompt_by"] else "the program's"
    return f"{row['provider']}/{row['model']}, prompt {row['prompt_hash']} ({whose})"


def _by_provider(row: dict[str, Any]) -> str:
    return f", {row['provider']}" if row["provider"] else ""
