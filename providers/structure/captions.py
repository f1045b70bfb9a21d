"""Which lines belong to a figure: those within it, its caption, and where it stands in the reading."""

from __future__ import annotations

from collections.abc import Sequence

from providers.structure.lines import TextLine
from providers.structure.marks import CAPTION, CAPTION_OF, ends_sentence
from schemas.reading import Box


def inside_figures(lines: Sequence[TextLine], figures: Sequence[Box]) -> dict[int, int]:
    """line -> number of the figure in which it stands."""
    found = {}
    for line in lines:
        area = max(1e-6, (line.x1 - line.x0) * (line.y1 - line.y0))
        for number, (x0, y0, x1, y1) in enumerate(figures):
            shared = max(0.0, min(line.x1, x1) - max(line.x0, x0)) * max(0.0, min(line.y1, y1) - max(line.y0, y0))
            if shared >= 0.7 * area:
                found[line.index] = number
                break
    return found


def captions_of(lines: Sequence[TextLine], figures: Sequence[Box], size: float) -> set[int]:
    """Lines under or over a figure, or that call themselves captions and are set off."""
    found: set[int] = set()
    for at, line in enumerate(lines):
        before = lines[at - 1] if at else None
        named = bool(CAPTION.match(line.text))
        set_off = before is None or line.y0 - before.y1 > 0.45 * line.size or line.y0 < before.y0
        near = any(_touches(line, figure) for figure in figures)
        says_so = named and (near or (set_off and bool(CAPTION_OF.match(line.text))))
        small_print = not named and _is_under(line, figures) and line.size <= 0.95 * size and len(line.words) <= 25
        goes_on = (
            before is not None
            and before.index in found
            and before.y0 <= line.y0 <= before.y1 + 0.4 * line.size
            and abs(line.size - before.size) <= 0.1 * before.size
            and not ends_sentence(before.text)
        )
        if says_so or small_print or goes_on:
            found.add(line.index)
    return found


def _touches(line: TextLine, figure: Box) -> bool:
    x0, y0, x1, y1 = figure
    beside = min(line.x1, x1 + line.size) - max(line.x0, x0 - line.size) > 0.5 * line.width
    return beside and (-line.size <= line.y0 - y1 <= 3 * line.size or -line.size <= y0 - line.y1 <= 2 * line.size)


def _is_under(line: TextLine, figures: Sequence[Box]) -> bool:
    return any(
        -line.size <= line.y0 - y1 <= 2 * line.size and _touches(line, (x0, y0, x1, y1)) for x0, y0, x1, y1 in figures
    )


def figure_places(figures: Sequence[Box], lines: Sequence[TextLine]) -> list[tuple[int, int]]:
    """(position among the lines before which it comes, number of the figure), in order."""
    found = []
    for number, (x0, _, x1, y1) in enumerate(figures):
        below = [
            at
            for at, line in enumerate(lines)
            if line.middle >= y1 - line.size and min(line.x1, x1) - max(line.x0, x0) > 0
        ]
        found.append((min(below, default=len(lines)), number))
    return sorted(found)
