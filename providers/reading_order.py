"""Reading order of lines that come as boxes without any: columns, and pieces that stand on one line."""

from __future__ import annotations

from collections.abc import Sequence

from schemas.reading import Line


def reading_order(lines: Sequence[Line], page_width: float) -> list[Line]:
    """Lines of boxes from top to bottom, columns from left to right; `block` numbers the column or band.

    Pieces on one baseline are joined into one line (a contents entry and its page number). Columns are two stacks of at
    least three lines beside each other, with a gutter that no line crosses, each wide enough to be text: a
    narrow stack is a column of numbers and belongs to the lines at its left.
    """
    ordered: list[Line] = []
    for block, stack in enumerate(_columns([line for line in lines if line.words], page_width)):
        for row in _rows(stack):
            words = [word for piece in sorted(row, key=lambda piece: piece.box[0]) for word in piece.words]
            ordered.append(Line(words, block=block))
    return ordered


def _columns(lines: list[Line], page_width: float) -> list[list[Line]]:
    gutter = _gutter(lines, page_width)
    if gutter is not None:
        left = [line for line in lines if line.box[2] <= gutter]
        right = [line for line in lines if line.box[2] > gutter]
        return _columns(left, page_width) + _columns(right, page_width)
    # A heading above columns, or a page number below: find the rows among which there is a gutter.
    rows = _rows(lines)
    for first in range(len(rows) - 2):
        last = first + 3
        while last <= len(rows) and _gutter(_flat(rows[first:last]), page_width) is not None:
            last += 1
        last -= 1
        if last >= first + 3:
            above, beside, below = _flat(rows[:first]), _flat(rows[first:last]), _flat(rows[last:])
            return [*([above] if above else []), *_columns(beside, page_width), *_columns(below, page_width)]
    return [lines] if lines else []


def _flat(rows: Sequence[Sequence[Line]]) -> list[Line]:
    return [line for row in rows for line in row]


def _middle(line: Line) -> float:
    return (line.box[1] + line.box[3]) / 2


def _gutter(lines: list[Line], page_width: float) -> float | None:
    """The x of a gap that no line crosses, with a column of text on either side; None if there is none."""
    if len(lines) < 6:
        return None
    spans = sorted((line.box[0], line.box[2]) for line in lines)
    height = sorted(line.height for line in lines)[len(lines) // 2]
    reach = spans[0][1]
    for x0, x1 in spans[1:]:
        if x0 - reach >= 0.6 * height:
            gap = (reach + x0) / 2
            left = [line for line in lines if line.box[2] <= gap]
            right = [line for line in lines if line.box[0] >= gap]
            if _is_column(left, right, page_width) and _is_column(right, left, page_width):
                return gap
        reach = max(reach, x1)
    return None


def _is_column(lines: list[Line], others: list[Line], page_width: float) -> bool:
    if len(lines) < 3:
        return False
    widths = sorted(line.box[2] - line.box[0] for line in lines)
    if widths[len(widths) // 2] < 0.18 * page_width:
        return False
    top, bottom = min(line.box[1] for line in lines), max(line.box[3] for line in lines)
    beside = [line for line in others if top <= _middle(line) <= bottom]
    return len(beside) >= 3


def _rows(lines: list[Line]) -> list[list[Line]]:
    """Pieces grouped by baseline, top to bottom."""
    rows: list[list[Line]] = []
    for line in sorted(lines, key=_middle):
        if rows:
            last = rows[-1][-1]
            overlap = min(last.box[3], line.box[3]) - max(last.box[1], line.box[1])
            apart = all(
                line.box[0] >= other.box[2] - 0.3 * other.height or line.box[2] <= other.box[0] + 0.3 * other.height
                for other in rows[-1]
            )
            if apart and overlap > 0.5 * min(last.height, line.height):
                rows[-1].append(line)
                continue
        rows.append([line])
    return rows
