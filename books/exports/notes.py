"""Footnotes and the marks in the text that lead to them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from books.exports.content import Block

_NOTE = re.compile(r"^[\[(]?(?P<mark>\d{1,3}|[*†‡§¶‖]{1,3}|[a-z](?=[).]))[\])]?\.?\s+(?=\S)")
"""How a footnote begins: "1 ", "12. ", "* ", "(a) "."""


@dataclass(frozen=True, slots=True)
class NoteLink:
    """One footnote whose mark was found."""

    note: int
    """Position of the footnote among the blocks."""
    block: int
    """Position of the block with the mark."""
    start: int
    """Offsets of the mark in that block's text."""
    end: int
    mark: str


def mark_of(note: str) -> str:
    """The mark with which a footnote begins; '' where it has none."""
    found = _NOTE.match(note)
    return found["mark"] if found else ""


def body_of(note: str) -> str:
    """A footnote without its mark."""
    return _NOTE.sub("", note, count=1)


def link_notes(blocks: Sequence[Block]) -> list[NoteLink]:
    """The marks of the footnotes: on the page where the note stands, behind a letter or the end of a sentence and before no
    other letter. A note whose mark is found twice, or not at all, is left unlinked."""
    links: list[NoteLink] = []
    taken: set[tuple[int, int]] = set()
    standing: dict[int, list[int]] = {}
    for number, block in enumerate(blocks):
        if block.kind in ("text", "list", "heading", "caption"):
            for page in dict.fromkeys(pages_of(block)):
                standing.setdefault(page, []).append(number)
    for at, block in enumerate(blocks):
        mark = mark_of(block.text) if block.kind == "footnote" else ""
        if not mark:
            continue
        found = [
            (number, match.start(), match.end())
            for number in standing.get(block.page, ())
            for match in _pattern(mark).finditer(blocks[number].text)
            if page_at(blocks[number], match.start()) == block.page and (number, match.start()) not in taken
        ]
        if len(found) == 1:
            number, start, end = found[0]
            taken.add((number, start))
            links.append(NoteLink(at, number, start, end, mark))
    return links


def pages_of(block: Block) -> tuple[int, ...]:
    """The physical pages that a block stands on."""
    return (block.page, *(page for _, page in block.breaks))


def page_at(block: Block, offset: int) -> int:
    """The physical page of a place in a block's text."""
    page = block.page
    for start, number in block.breaks:
        if offset >= start:
            page = number
    return page


def _pattern(mark: str) -> re.Pattern[str]:
    if mark.isdigit():
        # Not 1916, not 3.1, not "page 5": a number that touches the word or the sentence it explains.
        before = r"(?:(?<=[^\W\d_])|(?<=[,;:!?’”\"')\]])|(?<=[^\W\d_’”\"')\]]\.)|(?<=[’”\"')\]]\.))"
        return re.compile(rf"{before}{mark}(?!\d|[.,]\d|[^\W\d_])")
    if mark.isalpha():
        return re.compile(rf"(?<=\S)[(\[]{mark}[)\]]")
    return re.compile(rf"(?<=\S)(?<!{re.escape(mark[0])}){re.escape(mark)}(?!{re.escape(mark[0])})")
