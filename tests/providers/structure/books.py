"""Small books from literals, and the sample scan, as sheets."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from functools import cache

from providers.rules.contents import extract, find
from providers.rules.labels import propose, sequence
from providers.structure.chapters import EntryTitle
from providers.structure.edges import mark
from providers.structure.lines import Sheet, make_sheet
from providers.structure.links import EntryFacts
from providers.vote import blend
from schemas.reading import Line, PageReading
from tests.providers.reading_helpers import line, page, sample

WORDS = (
    "and",
    "so",
    "it",
    "was",
    "that",
    "the",
    "people",
    "of",
    "town",
    "went",
    "to",
    "see",
    "what",
    "had",
    "come",
    "over",
)
_ORDER = random.Random(7)


def prose(rows: int, x: float = 50, y: float = 100, width: int = 60, leading: float = 14) -> list[Line]:
    """Full lines of text without an end, all of one width, no two alike."""
    found = []
    for row in range(rows):
        text = " ".join(_ORDER.choices(WORDS, k=20))[:width].rstrip()
        found.append(line(text + "o" * (width - len(text)), x, y + leading * row))
    return found


def sheet_of(
    number: int,
    *lines: Line,
    label: str | None = None,
    header: str | None = None,
    kind: str = "body",
    inferred: bool = False,
) -> Sheet:
    """A page of these lines, its edges not marked yet."""
    return make_sheet(number, page(*lines), label=label, label_inferred=inferred, running_header=header, page_type=kind)


def book(pages: Sequence[Sequence[Line]]) -> list[Sheet]:
    """Pages 1.. with labels 1.. and their edges marked."""
    sheets = [sheet_of(number, *lines, label=str(number)) for number, lines in enumerate(pages, start=1)]
    mark(sheets)
    return sheets


def entry(
    title: str, printed: str | None, page: int | None = None, number: str | None = None, source: str = "printed"
) -> EntryFacts:
    return EntryFacts(key=title, number=number, title=title, printed=printed, page=page, source=source)


@cache
def sample_book() -> tuple[list[Sheet], list[EntryFacts], list[EntryTitle], frozenset[int], Mapping[int, PageReading]]:
    """The sample scan as Tesseract read it: sheets, entries twice, contents pages, blended readings."""
    readings = [blend([reading]) for _, reading in sample("tesseract")]
    proposals = [propose(reading) for reading in readings]
    labels = sequence(proposals)
    numbered = list(enumerate(readings, start=1))
    contents = find(numbered)
    entries = extract(
        [(number, reading) for number, reading in numbered if number in contents.pages],
        (),
        {number: label.label for number, label in enumerate(labels, start=1)},
        list(enumerate(proposals, start=1)),
    )
    sheets = [
        make_sheet(
            number,
            reading,
            label=label.label,
            label_inferred=label.inferred,
            running_header=label.running_header,
            page_type=label.page_type,
        )
        for (number, reading), label in zip(numbered, labels, strict=True)
    ]
    mark(sheets)
    return (
        sheets,
        [entry(each.title, each.printed, each.page, each.number) for each in entries],
        [EntryTitle(key=each.title, number=each.number, title=each.title, level=each.level) for each in entries],
        frozenset(contents.pages),
        dict(numbered),
    )
