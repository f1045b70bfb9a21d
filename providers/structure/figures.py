"""Figures of a page: large areas of ink without words, found on a small rendering.

Photographs, engravings and drawings make a heap of ink that no line of text explains; rules, frames around the text, tables and
the dark edges of scans do not. Some 10 core-ms a page beside the rendering.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from providers.structure.lines import TextLine
from schemas.reading import Box

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

DPI = 48.0
"""A cell of 6 points is then 4 by 4 pixels."""
CELL_PIXELS = 4
CELL_POINTS = 6.0
INK = 40
"""Levels darker than the paper: hairlines of an engraving at this resolution still are."""
JOIN = 1
"""Cells that may lie between parts of one figure: pictures side by side are further apart."""
SMALLEST_POINTS = 36.0
"""Half an inch: initials and ornaments are smaller."""
SMALLEST_SHARE = 0.01
"""Of the page."""
FILLED = 0.12
"""Share of a figure's cells that have ink; frames and single rules have less."""
FLAT_LEVELS, FLAT_SHARE, GROUND_SHARE = 8.0, 0.75, 0.7
"""Ink of one tone, give or take so many levels, that fills its box but for the words, is a ground for them."""
BELIEVED = 50.0
"""Mean confidence of a line, 0..100."""
TEXT_SHARE = 0.4
"""A box that words fill so far is a table, or text on a coloured ground."""


def figures(pixels: NDArray[np.uint8], width: float, height: float, text: Sequence[Box]) -> list[Box]:
    """Boxes of the figures of a page, in points of the upright page, from top to bottom.

    Args:
        pixels: the page in gray at `DPI`, (rows, columns), 0 black.
        width, height: of the page in points.
        text: boxes of its lines of text.
    """
    import numpy as np

    rows, columns = pixels.shape
    if not rows or not columns or width <= 0 or height <= 0:
        return []
    paper = int(np.percentile(pixels, 90))
    dark = (paper - pixels.astype(np.int16)) >= INK
    bare = np.ones_like(dark)
    scale_x, scale_y = columns / width, rows / height
    for x0, y0, x1, y1 in text:
        bare[
            max(0, int((y0 - 2) * scale_y)) : max(0, int((y1 + 2) * scale_y) + 1),
            max(0, int((x0 - 2) * scale_x)) : max(0, int((x1 + 2) * scale_x) + 1),
        ] = False
    dark &= bare
    cells = _cells(dark)
    found = []
    for first_row, first_column, last_row, last_column, count in _components(cells):
        box = (
            first_column * CELL_PIXELS / scale_x,
            first_row * CELL_PIXELS / scale_y,
            min(width, (last_column + 1) * CELL_PIXELS / scale_x),
            min(height, (last_row + 1) * CELL_PIXELS / scale_y),
        )
        size = (last_row - first_row + 1) * (last_column - first_column + 1)
        area = (
            slice(first_row * CELL_PIXELS, (last_row + 1) * CELL_PIXELS),
            slice(first_column * CELL_PIXELS, (last_column + 1) * CELL_PIXELS),
        )
        if not _is_figure(box, count / size, width, height, text):
            continue
        if _is_ground(pixels[area], dark[area], bare[area]):
            continue
        found.append(box)
    return sorted(_merged(found), key=lambda box: (box[1], box[0]))


def text_boxes(lines: Sequence[TextLine]) -> list[Box]:
    """Boxes of the lines that are text: what an engine makes of a picture's strokes it does not believe itself."""
    return [line.box for line in lines if line.confidence is None or line.confidence >= BELIEVED]


def _cells(dark: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Cells that have ink."""
    import numpy as np

    rows, columns = (-(-side // CELL_PIXELS) for side in dark.shape)
    padded = np.zeros((rows * CELL_PIXELS, columns * CELL_PIXELS), dtype=bool)
    padded[: dark.shape[0], : dark.shape[1]] = dark
    return np.asarray(padded.reshape(rows, CELL_PIXELS, columns, CELL_PIXELS).any(axis=(1, 3)), dtype=np.bool_)


def _components(cells: NDArray[np.bool_]) -> list[tuple[int, int, int, int, int]]:
    """(first row, first column, last row, last column, cells) of what hangs together over gaps of `JOIN` cells."""
    import numpy as np

    open_cells = {(int(row), int(column)) for row, column in np.argwhere(cells)}
    reach = range(-JOIN - 1, JOIN + 2)
    found = []
    while open_cells:
        start = open_cells.pop()
        heap, members = [start], [start]
        while heap:
            row, column = heap.pop()
            for down in reach:
                for right in reach:
                    near = (row + down, column + right)
                    if near in open_cells:
                        open_cells.discard(near)
                        heap.append(near)
                        members.append(near)
        down_, right_ = [row for row, _ in members], [column for _, column in members]
        found.append((min(down_), min(right_), max(down_), max(right_), len(members)))
    return found


def _is_figure(box: Box, filled: float, width: float, height: float, text: Sequence[Box]) -> bool:
    x0, y0, x1, y1 = box
    across, down = x1 - x0, y1 - y0
    if min(across, down) < SMALLEST_POINTS or across * down < SMALLEST_SHARE * width * height or filled < FILLED:
        return False
    at_edge = x0 <= CELL_POINTS or y0 <= CELL_POINTS or x1 >= width - CELL_POINTS or y1 >= height - CELL_POINTS
    if at_edge and (across < 0.12 * width or down < 0.06 * height):
        return False  # the shadow of the gutter, the dark beside the page
    covered = sum(_shared(line, box) for line in text)
    if covered > TEXT_SHARE * across * down or _is_text(box, text):
        return False
    inside = sum(_shared(line, box) > 0.5 * _area(line) for line in text)
    # A frame around the page, or a ground under all of it.
    return not (len(text) >= 8 and inside > 0.6 * len(text) and across * down > 0.4 * width * height)


def _is_text(box: Box, text: Sequence[Box]) -> bool:
    """Lines one below the other, as wide as the box: their signs stand out of boxes that are too low."""
    x0, y0, x1, y1 = box
    inside = [line for line in text if _shared(line, box) > 0.3 * _area(line)]
    if len(inside) < 2:
        return False
    rows = sum(1.8 * (min(line[3], y1) - max(line[1], y0)) for line in inside)
    wide = sum(min(line[2], x1) - max(line[0], x0) for line in inside) / len(inside)
    return rows >= 0.7 * (y1 - y0) and wide >= 0.4 * (x1 - x0)


def _is_ground(pixels: NDArray[np.uint8], dark: NDArray[np.bool_], bare: NDArray[np.bool_]) -> bool:
    """One tone all over where no words stand (`bare`): the ground of a table's head or of a banner, no picture."""
    import numpy as np

    ink = pixels[dark]
    if ink.size < GROUND_SHARE * max(1, int(np.count_nonzero(bare))):
        return False
    middle = float(np.median(ink))
    return float(np.mean(np.abs(ink.astype(np.float32) - middle) <= FLAT_LEVELS)) >= FLAT_SHARE


def _area(box: Box) -> float:
    return max(0.0, box[2] - box[0]) * max(0.0, box[3] - box[1])


def _shared(a: Box, b: Box) -> float:
    return max(0.0, min(a[2], b[2]) - max(a[0], b[0])) * max(0.0, min(a[3], b[3]) - max(a[1], b[1]))


def _merged(boxes: Sequence[Box]) -> list[Box]:
    """Overlapping boxes as one."""
    found: list[Box] = []
    for box in sorted(boxes, key=_area, reverse=True):
        for at, other in enumerate(found):
            if _shared(box, other) > 0.3 * _area(box):
                found[at] = (
                    min(box[0], other[0]),
                    min(box[1], other[1]),
                    max(box[2], other[2]),
                    max(box[3], other[3]),
                )
                break
        else:
            found.append(box)
    return found
