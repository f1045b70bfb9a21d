"""What a model answers that extracts contents, and how it goes to where entries are verified."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from pydantic import BaseModel, Field
from rapidfuzz import fuzz

from providers.rules.entries import RawEntry
from providers.rules.numerals import parse
from schemas.reading import PageReading

LEVELS = 4
INVENTED = 60
"""Likeness of a title to the contents pages, in per cent, below which it does not stand there."""
MOST_INVENTED = 0.2
"""Share of the entries that may not stand there: engines misread, but a model that writes another book's contents is
refused."""

Pages = Sequence[tuple[int, PageReading]]


class Listed(BaseModel):
    """One entry."""

    number: str | None
    title: str
    level: int = Field(ge=1, le=LEVELS)
    kind: str | None
    page: str | None
    contents_page: int


class Entries(BaseModel):
    """A model's answer."""

    entries: list[Listed]


def problems(answer: Entries, pages: Pages) -> list[str]:
    """Why the answer cannot be one."""
    found = []
    known = [page for page, _ in pages]
    text = _letters(" ".join(reading.text for _, reading in pages))
    if not answer.entries:
        found.append("there are no entries, but these are contents pages")
    for at, entry in enumerate(answer.entries, 1):
        if entry.contents_page not in known:
            found.append(f"entry {at}: contents_page {entry.contents_page} is none of {known}")
        if entry.page is not None and not parse(entry.page):
            found.append(f"entry {at}: page {entry.page!r} is no page number")
        if not entry.title.strip() and not entry.number:
            found.append(f"entry {at} has neither number nor title")
    strange = [
        entry.title for entry in answer.entries if len(_letters(entry.title)) >= 8 and not _stands(entry.title, text)
    ]
    if text and len(strange) > MOST_INVENTED * len(answer.entries):
        found.append(f"{len(strange)} titles do not stand on these pages, as {strange[0]!r}")
    return found


def listed(answer: Entries) -> list[tuple[RawEntry, int]]:
    """The entries with their levels, for `providers.rules.contents.extract`, which finds each on its page."""
    return [
        (
            RawEntry(
                title=entry.title.strip(),
                number=(entry.number or "").strip() or None,
                printed=(entry.page or "").strip() or None,
                indent=0.0,
                height=0.0,
                physical=entry.contents_page,
                kind=entry.kind or "",
            ),
            level,
        )
        for entry, level in zip(answer.entries, _without_gaps([each.level for each in answer.entries]), strict=True)
    ]


def question(pages: Pages, structure: str | None) -> str:
    """The contents pages as the model gets them."""
    parts = [f"--- physical page {page} ---\n{reading.text}" for page, reading in pages]
    return "\n\n".join([*([f"Who found the contents says of them: {structure}"] if structure else []), *parts])


def _without_gaps(levels: Iterable[int]) -> list[int]:
    """By how many entries that are open hold each: siblings stay siblings, and none lies deeper than one below another."""
    found: list[int] = []
    open_levels: list[int] = []
    for level in levels:
        while open_levels and open_levels[-1] >= level:
            open_levels.pop()
        open_levels.append(level)
        found.append(len(open_levels))
    return found


def _stands(title: str, text: str) -> bool:
    letters = _letters(title)
    return letters in text or (
        len(letters) <= len(text) and fuzz.partial_ratio(letters, text, score_cutoff=INVENTED) > 0
    )


def _letters(text: str) -> str:
    return "".join(c for c in text.casefold() if c.isalnum())
