"""What one page says about its number, header and kind: small enough to be loaded for every page of a book."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Candidate(BaseModel):
    """A number that may be the page's."""

    model_config = ConfigDict(frozen=True)

    text: str
    style: str
    """arabic, roman or composite"""
    prefix: str
    value: int
    upper: bool
    place: str
    """top-left ... bottom-right"""
    score: float
    """1.0: alone in the margin, read without correction."""


class EdgeLine(BaseModel):
    """An outermost line of the page, without its number."""

    model_config = ConfigDict(frozen=True)

    text: str
    place: float
    """Middle of the line, as a share of the page's height."""
    height: float
    numbered: bool
    """A number stands at its left or right."""
    gap: float
    """Points to the next line towards the middle of the page."""
    row: int


class Heading(BaseModel):
    """A line that may be a heading; `row` counts visual rows from the top."""

    model_config = ConfigDict(frozen=True)

    text: str
    height: float
    row: int


class Proposal(BaseModel):
    """Result of `labels.propose`, page-scoped; under 2 KB of JSON."""

    model_config = ConfigDict(frozen=True)

    numbers: tuple[Candidate, ...] = ()
    headers: tuple[EdgeLine, ...] = ()
    footers: tuple[EdgeLine, ...] = ()
    first_lines: tuple[str, ...] = ()
    """The first six visual rows, each cut at 90 letters: enough to find a title on its page."""
    headings: tuple[Heading, ...] = ()
    words: int = 0
    rows: int = 0
    numbered: float = 0.0
    """Share of rows that end in a number."""
    leaders: float = 0.0
    """Share of rows with dot leaders."""
    listed: float = 0.0
    """Share of rows that end like entries of an index."""
    type_height: float = 0.0
    """Height of the page's ordinary type in points."""
    largest: float = 0.0
    """Height of its largest line."""
    top: float = 1.0
    bottom: float = 0.0
    """Where text begins and ends, as shares of the page's height."""
    has_copyright: bool = False
    has_isbn: bool = False
