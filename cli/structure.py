"""Commands for what a book is made of: structure, chapters."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.options import BOOK, DETACH, JSON, WAIT

if TYPE_CHECKING:
    from schemas.store import Store

FIELDS = (
    *("key", "parent", "level", "number", "title", "matter", "bucket", "start_page", "start_line", "end_page"),
    *("end_line", "start_label", "end_label", "source", "confidence"),
)
"""Of a chapter, as `--json` shows it."""


def structure(
    book: Annotated[str, BOOK],
    fresh: Annotated[bool, typer.Option("--fresh", help="Do it anew, although it is current.")] = False,
    wait: Annotated[bool, WAIT] = False,
    detach: Annotated[bool, DETACH] = False,
    as_json: Annotated[bool, JSON] = False,
) -> None:
    """Link the contents, find chapters and paragraphs of a book that was read; what is current is not done again."""
    from cli.starting import run_on_book
    from cli.summary import Ending

    run_on_book(
        book,
        "BuildStructure",
        {"fresh": True} if fresh else {},
        details="fresh" if fresh else "",
        wait=wait,
        detach=detach,
        as_json=as_json,
        ending=Ending(_with_structure, _show_built),
    )


def chapters(book: Annotated[str, BOOK], as_json: Annotated[bool, JSON] = False) -> None:
    """Show a book's chapters with their pages, and where its contents disagree with it."""
    from cli import connect, output
    from cli.books import find_book

    async def command() -> None:
        async with connect.reading() as shelf:
            key = await find_book(shelf.store, book)
            found = {"key": key, **await book_structure(shelf.store, key)}
        if as_json:
            output.data(found)
        elif found["chapters"]:
            show_structure(found)
        else:
            output.note(f"The chapters have not been looked for yet: `shelf structure {key}`.")

    connect.run(command)


async def book_structure(store: Store, key: str) -> dict[str, Any]:
    """Chapters in reading order, mismatches of the contents, number of paragraphs."""
    import json

    from schemas.documents import Book, Chapter, ToC
    from schemas.keys import toc_key

    book = (await store.get(Book, [key], ["chapter_set", "paragraph_count"])).get(key)
    toc = (await store.get(ToC, [toc_key(key)], ["links"])).get(toc_key(key))
    found: list[Chapter] = []
    if book is not None and book.chapter_set:
        found = await store.find(Chapter, {"book_key": key, "chapter_set": book.chapter_set})
    links = json.loads(toc.links) if toc is not None and toc.links else []
    return {
        "chapters": [
            {name: getattr(chapter, name) for name in FIELDS}
            for chapter in sorted(found, key=lambda chapter: chapter.sort_order or 0)
        ],
        "mismatches": [link["mismatch"] for link in links if link["mismatch"]],
        "paragraph_count": (book.paragraph_count if book is not None else None) or 0,
    }


async def _with_structure(store: Store, facts: dict[str, Any]) -> dict[str, Any]:
    from cli.summary import with_steps

    return {**await with_steps(store, facts), **await book_structure(store, facts["key"])}


def show_structure(found: dict[str, Any]) -> None:
    """The chapters as a tree with their pages and printed numbers, then the mismatches."""
    from cli import output

    rows = [
        [
            "  " * ((chapter["level"] or 1) - 1) + _title(chapter),
            chapter["matter"],
            _span(chapter["start_page"], chapter["end_page"]),
            _span(chapter["start_label"], chapter["end_label"]),
            chapter["source"],
        ]
        for chapter in found["chapters"]
    ]
    output.table(["chapter", "matter", "pages", "printed", "from"], rows, right=["pages", "printed"])
    if found["mismatches"]:
        print()
        for mismatch in found["mismatches"]:
            print(mismatch)


def _show_built(summary: dict[str, Any]) -> None:
    from cli import output
    from cli.summary import show_failures

    show_structure(summary)
    print()
    output.facts(
        [
            ("Chapters", sum(not chapter["bucket"] for chapter in summary["chapters"])),
            ("Paragraphs", summary["paragraph_count"]),
            ("Mismatches", len(summary["mismatches"])),
            ("Time", output.duration(summary["seconds"])),
            ("Temporal UI", summary["url"]),
        ]
    )
    show_failures(summary)


def _title(chapter: dict[str, Any]) -> str:
    """With its number, unless the title has it already; a bucket in parentheses."""
    title = str(chapter["title"] or "")
    if chapter["bucket"]:
        return f"({title})"
    number = chapter["number"]
    return title if not number or number.casefold() in title.casefold().split() else f"{number} {title}"


def _span(first: Any, last: Any) -> str | None:
    if first is None:
        return None
    return str(first) if last is None or last == first else f"{first}-{last}"
