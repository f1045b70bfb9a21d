"""Columns of a page, and what their margins tell: set in, short, justified, hanging."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median

from providers.structure.lines import Sheet, TextLine
from providers.structure.marks import ends_sentence

INDENT = 0.7
"""Of the type's height: a first line begins so much further in. Books indent by 1 to 2."""
SHORT = 1.5
"""Of the type's height: a last line ends so much before the margin."""
WINDOW = 5
"""Lines above and below that tell where the margin is: scans lean, so the margin of a page does not."""


@dataclass(slots=True)
class Column:
    """Lines of one column, or of the whole page."""

    lines: list[TextLine]
    pitch: float
    justified: bool
    hanging: bool
    """Entries begin at the margin, their further lines further in: indexes, bibliographies."""

    def left(self, at: int) -> float:
        return min(line.x0 for line in self.lines[max(0, at - WINDOW) : at + WINDOW + 1])

    def right(self, at: int) -> float:
        return max(line.x1 for line in self.lines[max(0, at - WINDOW) : at + WINDOW + 1])


def split_columns(lines: Sequence[TextLine]) -> list[list[TextLine]]:
    """Stacks of lines in which the reading goes downwards."""
    found: list[list[TextLine]] = []
    for line in lines:
        if found and line.y0 >= found[-1][-1].y0 - 0.6 * line.size and _overlap(line, found[-1]):
            found[-1].append(line)
        else:
            found.append([line])
    return found


def _overlap(line: TextLine, column: Sequence[TextLine]) -> bool:
    """The line stands under the column, not beside it."""
    left, right = min(each.x0 for each in column), max(each.x1 for each in column)
    return min(line.x1, right) - max(line.x0, left) > 0 or right - left < 4 * line.size


def columns_of(lines: Sequence[TextLine], page_type: str) -> list[Column]:
    """The columns of the lines in reading order, with what their margins tell."""
    found = []
    for stack in split_columns(lines):
        steps = [b.baseline - a.baseline for a, b in pairwise(stack) if b.baseline > a.baseline + 0.3 * b.size]
        column = Column(stack, float(median(steps)) if steps else 0.0, False, False)
        full = [not is_short(column, at) for at in range(len(stack))]
        column.justified = len(stack) >= 4 and sum(full) >= 0.5 * len(stack)
        indented = [
            at for at in range(1, len(stack)) if stack[at].x0 - column.left(at) > INDENT * max(stack[at].size, 1.0)
        ]
        follows_full = sum(full[at - 1] for at in indented)
        inner = set(indented)
        # Flush lines that go on a flush line: in a hanging column a line at the margin begins an entry.
        running = sum(
            full[at - 1] and at not in inner and at - 1 not in inner and not ends_sentence(stack[at - 1].text)
            for at in range(1, len(stack))
        )
        column.hanging = page_type in {"index", "bibliography"} or (
            len(indented) >= max(4, 0.2 * len(stack))
            and follows_full >= 0.75 * len(indented)
            and running <= 0.1 * len(stack)
        )
        found.append(column)
    return found


def is_short(column: Column, at: int) -> bool:
    """The line ends well before the margin: the last one of a paragraph, or of a text that is not justified."""
    line = column.lines[at]
    return line.x1 < column.right(at) - SHORT * line.size


def sets_in(sheets: Sequence[Sheet]) -> bool:
    """Whether the book sets first lines in, instead of leaving a blank between paragraphs."""
    indents = blanks = 0
    for sheet in sheets:
        if sheet.page_type != "body":
            continue
        for column in columns_of(sheet.body, sheet.page_type):
            for at in range(1, len(column.lines)):
                line, before = column.lines[at], column.lines[at - 1]
                if not is_short(column, at - 1):
                    continue
                if line.baseline - before.baseline > 1.25 * column.pitch:
                    blanks += 1
                elif INDENT < (line.x0 - before.x0) / max(line.size, 1.0) < 5:
                    indents += 1
    return indents >= blanks
