"""Two sets of contents entries side by side: what a re-run added, removed and changed."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import SequenceMatcher
from typing import Any

from cli import output
from schemas.documents import ToC, TocEntry
from schemas.keys import toc_key
from schemas.store import Store

FIELDS = ("number", "title", "level", "printed", "page")
"""What is compared of an entry."""
SAME_TITLE = 0.7
"""Two titles that share so much of their letters are one title that was read differently."""


async def current_set(store: Store, book: str) -> str | None:
    """Fingerprint of the set that is live; None where no contents were extracted yet."""
    toc = (await store.get(ToC, [toc_key(book)], ["current_set"])).get(toc_key(book))
    return toc.current_set if toc is not None else None


async def former_set(store: Store, book: str) -> str | None:
    """The set that was live before the one that is; None if there was none."""
    sets = [version.changed.get("current_set") for version in await store.history(ToC, toc_key(book))]
    now = await current_set(store, book)
    return next((name for name in reversed(sets) if name and name != now), None)


async def compare_sets(store: Store, book: str, old: str | None, new: str | None) -> dict[str, Any]:
    """What differs between two sets, as `toc --diff --json` shows it."""
    before, after = await _entries(store, book, old), await _entries(store, book, new)
    changes = []
    unchanged = 0
    for one, other in paired(before, after):
        fields = [name for name in FIELDS if one is not None and other is not None and one[name] != other[name]]
        if one is not None and other is not None and not fields:
            unchanged += 1
            continue
        change = "added" if one is None else "removed" if other is None else "changed"
        changes.append({"change": change, "fields": fields, "old": one, "new": other})
    return {"key": book, "old_set": old, "new_set": new, "unchanged": unchanged, "changes": changes}


async def _entries(store: Store, book: str, toc_set: str | None) -> list[dict[str, Any]]:
    if toc_set is None:
        return []
    found = await store.find(TocEntry, {"book_key": book, "toc_set": toc_set})
    ordered = sorted(found, key=lambda entry: entry.sort_order or 0)
    return [{name: getattr(entry, name) for name in FIELDS} for entry in ordered]


Pair = tuple[dict[str, Any] | None, dict[str, Any] | None]


def paired(old: Sequence[dict[str, Any]], new: Sequence[dict[str, Any]]) -> list[Pair]:
    """Each entry with its counterpart, in the order of the new set; removed ones where they stood.

    Equal titles in order first; then, of what is left between two of those, the most similar ones."""
    pairs: list[Pair] = []
    matcher = SequenceMatcher(None, [_plain(entry) for entry in old], [_plain(entry) for entry in new], autojunk=False)
    for tag, i1, i2, j1, j2 in matcher.get_opcodes():
        if tag == "equal":
            pairs += zip(old[i1:i2], new[j1:j2], strict=True)
        else:
            pairs += _most_similar(list(old[i1:i2]), list(new[j1:j2]))
    return pairs


def _most_similar(old: list[dict[str, Any]], new: list[dict[str, Any]]) -> list[Pair]:
    scored = sorted(
        (
            (SequenceMatcher(None, _plain(one), _plain(other), autojunk=False).ratio(), i, j)
            for i, one in enumerate(old)
            for j, other in enumerate(new)
        ),
        key=lambda each: (-each[0], each[1], each[2]),
    )
    counterpart: dict[int, int] = {}
    for score, i, j in scored:
        if score >= SAME_TITLE and i not in counterpart.values() and j not in counterpart:
            counterpart[j] = i
    removed: list[Pair] = [(one, None) for i, one in enumerate(old) if i not in counterpart.values()]
    return removed + [(old[counterpart[j]] if j in counterpart else None, other) for j, other in enumerate(new)]


def _plain(entry: dict[str, Any]) -> str:
    return " ".join(str(entry["title"] or "").casefold().split())


def show_diff(diff: dict[str, Any]) -> None:
    """For people: one line per change."""
    if diff["old_set"] is None:
        output.note("There is no earlier contents to compare with.")
    if not diff["changes"]:
        print(f"The contents are the same: {diff['unchanged']} entries.")
        return
    rows = []
    for change in diff["changes"]:
        old, new = change["old"], change["new"]
        shown = new or old
        marks = {"added": "+", "removed": "-", "changed": "~"}
        values = [
            f"{output.cell(old[name])} → {output.cell(new[name])}" if name in change["fields"] else shown[name]
            for name in ("level", "number", "title", "printed", "page")
        ]
        rows.append([marks[change["change"]], *values])
    output.table(["", "level", "number", "title", "printed", "page"], rows)
    counts = [sum(change["change"] == kind for change in diff["changes"]) for kind in ("added", "removed", "changed")]
    print(f"{counts[0]} added, {counts[1]} removed, {counts[2]} changed, {diff['unchanged']} the same.")
