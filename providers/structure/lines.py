"""A page as lines with their geometry: what all rules about the structure of a book read.

A reading has a box for every word; over 5,000 pages that is more than fits in memory. A line keeps the words' texts and
what the rules ask of their boxes.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from statistics import median

from schemas.reading import Box, Line, PageReading, Word

RUNNING_HEAD = "running_head"
PAGE_NUMBER = "page_number"
CATCHWORD = "catchword"
SIGNATURE = "signature"

Span = tuple[int, int, int, int]
"""(physical page, 0-based line of the blended reading, first word, word after the last)."""


@dataclass(slots=True)
class TextLine:
    """One line of a blended reading; geometry in points of the upright page."""

    index: int
    """0-based line of the reading."""
    words: tuple[str, ...]
    x0: float
    y0: float
    x1: float
    y1: float
    baseline: float
    """Where the letters stand: steadier from line to line than a box that ends with a "g" or without."""
    size: float
    """Height of the type from ascender to descender, whichever letters the line has."""
    gap: float
    """Widest blank between two neighbouring words."""
    confidence: float | None
    """Mean of the words', 0..100; None where most have none."""

    @property
    def text(self) -> str:
        return " ".join(self.words)

    @property
    def box(self) -> Box:
        return (self.x0, self.y0, self.x1, self.y1)

    @property
    def middle(self) -> float:
        return (self.y0 + self.y1) / 2

    @property
    def width(self) -> float:
        return self.x1 - self.x0

    @property
    def is_table_row(self) -> bool:
        """Cells apart from each other."""
        return self.gap > 2.5 * self.size


@dataclass(slots=True)
class Sheet:
    """One page: its lines in reading order and what is known of it."""

    page: int
    width: float
    height: float
    lines: list[TextLine]
    """In reading order; a heading that a reading has last although it stands above all else comes first."""
    label: str | None = None
    label_inferred: bool = False
    running_header: str | None = None
    page_type: str = "body"
    left_out: dict[int, tuple[tuple[int, int, str], ...]] = field(default_factory=dict)
    """line -> (first word, word after the last, class), filled by `edges.mark`: running heads and the like, always
    whole lines."""

    @property
    def body(self) -> list[TextLine]:
        """The lines that are the book's text."""
        return [line for line in self.lines if line.index not in self.left_out]


def make_sheet(
    page: int,
    reading: PageReading | None,
    *,
    label: str | None = None,
    label_inferred: bool = False,
    running_header: str | None = None,
    page_type: str | None = None,
) -> Sheet:
    """The sheet of a page; without lines where the page was not read."""
    lines = _top_first(text_lines(reading)) if reading is not None else []
    return Sheet(
        page=page,
        width=reading.width if reading is not None else 0.0,
        height=reading.height if reading is not None else 0.0,
        lines=lines,
        label=label,
        label_inferred=label_inferred,
        running_header=running_header,
        page_type=page_type or "body",
    )


def _top_first(lines: list[TextLine]) -> list[TextLine]:
    """What stands above all other lines is read first, whatever order a text layer has: headings are often drawn last."""
    rows = visual_rows(lines)
    for at, row in enumerate(rows[:4]):
        bottom = max(line.y1 for line in row)
        if len(row) > 1 or any(line.y0 < bottom - 1.0 for other in rows[at + 1 :] for line in other):
            break  # columns, or lines that overlap
        if any(line not in row for line in lines[: len(row)]):
            first = [line for above in rows[: at + 1] for line in above]
            indices = {line.index for line in first}
            lines = [*first, *(line for line in lines if line.index not in indices)]
    return lines


_TALL = re.compile(r"[A-ZÀ-ÖØ-Þbdfhiklt0-9ßà-öø-ÿ§†‡“”‘’\"'?!(\[]")
_DEEP = re.compile(r"[gjpqyçQþ;,()\[\]]")
_SMALL = re.compile(r"[acemnorsuvwxz]+")
_FLAT = re.compile(r"[A-Z0-9bdfhkl][A-Za-fh-ik-or-xz0-9]*")

TALL_SHARE, SMALL_SHARE = 0.75, 0.52
"""Of the full height of the type: what stands on the line with an ascender, and an x-height. Medians over Times,
Garamond and Computer Modern."""


def text_lines(reading: PageReading) -> list[TextLine]:
    """The lines of a reading, words and all, in its order. Lines without words keep their number and are left out."""
    ink = _is_ink(reading)
    return [_text_line(index, line, ink) for index, line in enumerate(reading.lines) if line.words]


def _is_ink(reading: PageReading) -> bool:
    """Whether boxes end where the ink ends (an engine's) or have the height of the font (a text layer's)."""
    small, flat = [], []
    for line in reading.lines:
        heights = sorted(word.box[3] - word.box[1] for word in line.words)
        if not heights:
            continue
        for word in line.words:
            share = (word.box[3] - word.box[1]) / (heights[-1] or 1.0)
            if _SMALL.fullmatch(word.text):
                small.append(share)
            elif _FLAT.fullmatch(word.text):
                flat.append(share)
    if len(small) >= 4 and len(flat) >= 4:
        return median(small) < 0.9 * median(flat)
    return any(voter != "text-layer" for line in reading.lines for word in line.words for voter in word.voters)


def _text_line(index: int, line: Line, ink: bool) -> TextLine:
    words = line.words
    x0, y0, x1, y1 = line.box
    confidences = [word.confidence for word in words if word.confidence is not None]
    ordered = sorted(words, key=lambda word: word.box[0])
    gaps = [right.box[0] - left.box[2] for left, right in pairwise(ordered)]
    standing = [word.box[3] for word in words if not _DEEP.search(word.text)] if ink else []
    return TextLine(
        index=index,
        words=tuple(word.text for word in words),
        x0=x0,
        y0=y0,
        x1=x1,
        y1=y1,
        baseline=median(standing) if standing else y1 - (0.25 * (y1 - y0) if ink else 0.0),
        size=_size(words, ink),
        gap=max(gaps, default=0.0),
        confidence=sum(confidences) / len(confidences) if 2 * len(confidences) > len(words) else None,
    )


def _size(words: Sequence[Word], ink: bool) -> float:
    heights = []
    for word in words:
        height, width = word.box[3] - word.box[1], word.box[2] - word.box[0]
        if len(word.text) >= 3 and height > 2 * width:
            height = width  # set on its side
        elif ink:
            if not any(c.isalnum() for c in word.text):
                continue  # a dash tells nothing
            tall, deep = bool(_TALL.search(word.text)), bool(_DEEP.search(word.text))
            height /= 1.0 if tall and deep else TALL_SHARE if tall or deep else SMALL_SHARE
        heights += [height] * min(len(word.text), 12)
    if not heights:
        heights = [word.box[3] - word.box[1] for word in words]
    return round(float(median(heights)), 2)


def body_size(sheets: Iterable[Sheet]) -> float:
    """Height of the book's ordinary type: the median over its letters; 10.0 for a book without any."""
    weights: dict[float, int] = {}
    for sheet in sheets:
        for line in sheet.lines:
            size = round(line.size * 2) / 2
            weights[size] = weights.get(size, 0) + sum(map(len, line.words))
    half, seen = sum(weights.values()) / 2, 0
    for size in sorted(weights):
        seen += weights[size]
        if seen >= half:
            return size or 10.0
    return 10.0


def visual_rows(lines: Sequence[TextLine]) -> list[list[TextLine]]:
    """Lines that stand on one height together, from top to bottom, each row from left to right."""
    rows: list[list[TextLine]] = []
    for line in sorted(lines, key=lambda line: line.middle):
        if rows:
            last = rows[-1][-1]
            shared = min(line.y1, last.y1) - max(line.y0, last.y0)
            if shared > 0.5 * min(line.y1 - line.y0, last.y1 - last.y0):
                rows[-1].append(line)
                continue
        rows.append([line])
    return [sorted(row, key=lambda line: line.x0) for row in rows]


def squeezed(text: str) -> str:
    """Letters and digits only, in lower case: blanks and signs differ between contents, heads and headings."""
    return re.sub(r"[\W_]+", "", text.casefold())


_INVISIBLE = re.compile("[\u2060\u200b-\u200f\ufeff\x00-\x1f]")


def visible(text: str) -> str:
    """Without joiners and control characters, which text layers have and which are no ink."""
    return text if text.isascii() and text.isprintable() else _INVISIBLE.sub("", text)
