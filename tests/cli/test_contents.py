"""Two sets of contents entries side by side."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from cli.contents import paired
from schemas.documents import ToC, TocEntry
from schemas.keys import toc_key
from tests.cli.conftest import BOOK, Library, entry

Shelf = Callable[..., tuple[int, str, str]]


def row(title: str, **fields: Any) -> dict[str, Any]:
    return {"number": None, "title": title, "level": 1, "printed": None, "page": None, **fields}


def test_entries_meet_by_title_then_by_likeness() -> None:
    old = [row("Preface"), row("The Frist Day"), row("A Storm"), row("Index")]
    new = [row("Preface"), row("The First Day"), row("Of Quite Other Things"), row("Index"), row("Colophon")]
    assert [(one and one["title"], other and other["title"]) for one, other in paired(old, new)] == [
        ("Preface", "Preface"),
        ("A Storm", None),
        ("The Frist Day", "The First Day"),
        (None, "Of Quite Other Things"),
        ("Index", "Index"),
        (None, "Colophon"),
    ]


async def test_the_former_set_is_found_in_the_history(library: Library) -> None:
    from cli.contents import compare_sets, current_set, former_set

    store = library.store
    assert (await current_set(store, BOOK), await former_set(store, BOOK)) == ("new", None)
    better = [entry("better", 0, "The Doctor", "1", 4), entry("better", 1, "A Third", "9", 9)]
    await store.create(TocEntry, better)
    from schemas.store import Update

    update = Update(toc_key(BOOK), {"current_set": "better"}, {"complete": True}, "better")
    await store.update(ToC, "toc_extract", 2, 1, [update])
    assert await former_set(store, BOOK) == "new"
    diff = await compare_sets(store, BOOK, "new", "better")
    assert [(change["change"], change["fields"]) for change in diff["changes"]] == [
        ("changed", ["page"]),
        ("removed", []),
        ("added", []),
    ]


def test_a_book_whose_contents_never_changed(shelf: Shelf) -> None:
    code, out, err = shelf("toc", BOOK, "--diff")
    assert code == 0
    assert "no earlier contents" in err
    assert "2 added, 0 removed, 0 changed, 0 the same." in out
    found = json.loads(shelf("toc", BOOK, "--diff", "--json")[1])
    assert (found["old_set"], found["new_set"], found["unchanged"]) == (None, "new", 0)
