"""A part of a book while it is being found, whatever it was found by."""

from __future__ import annotations

from dataclasses import dataclass, field

from providers.structure.lines import Sheet

FRONT, BODY, BACK = "front", "body", "back"


@dataclass(slots=True)
class Part:
    """A part while it is being found."""

    page: int
    line: int
    """As `ChapterFacts.start_line`."""
    level: int
    title: str
    number: str | None = None
    bucket: str = ""
    matter: str = BODY
    toc_entry: str | None = None
    source: str = "contents"
    confidence: float = 0.0
    heading_line: int | None = None
    parent: Part | None = field(default=None, repr=False)


def begins_at(sheet: Sheet, line: int) -> int:
    """The line at which a part with its heading there begins: 0 if nothing of the text stands before it."""
    for each in sheet.body:
        if each.index == line:
            return 0
        if any(c.isalnum() for c in each.text):
            return line
    return line
