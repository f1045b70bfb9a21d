"""Small print that stands alone at the head or foot of a page, dark on paper or white in a dark tab: layout analysis takes
it for dirt or for a picture, and it often is the page's number."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from providers.ink import connected, ink, line_height
from schemas.reading import Line

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from providers.leaves import Raster

EDGE = 0.13
"""Share of the page's height in which it is looked for: LaTeX's default on Letter puts the header at 12.5 %."""
MOST = 3
"""Marks of a page; where there are more, they are dirt or the print of a picture."""
CELL = 2
"""Pixels of the look (100 dpi) a cell: half the width of a stroke, and a gap of two cells lies between letters."""
CROWDED = 3000
"""Cells with ink above which an edge is a picture or a dark border."""

TAB_FILL = 0.6
"""Share of a tab's box that is dark, at least: letters have less than half."""

INSET = 0.12
"""Share of a tab that is cut off on each side."""
CONTRAST = 60
"""Levels of 256 between a tab and what stands in it; grain makes less."""


@dataclass(frozen=True, slots=True)
class Mark:
    """A piece of the page that may be print."""

    pixels: NDArray[Any]
    """Dark on light, with paper around it, contiguous."""
    box: tuple[int, int, int, int]
    """Pixels of the raster: left, top, right, bottom of the print without the paper."""


def lone_marks(raster: Raster, lines: Sequence[Line]) -> list[Mark]:
    """From the top down: ink in no line of `lines`, about as high as print, a few letters wide, nothing beside it; or a
    dark block a few lines large with something light in it."""
    import numpy as np

    dark, scale = ink(raster)
    height = line_height(lines) * scale
    rows, columns = dark.shape[0] // CELL, dark.shape[1] // CELL
    cells = dark[: rows * CELL, : columns * CELL].reshape(rows, CELL, columns, CELL).any(axis=(1, 3))
    # Borders of a scan, rules, the fold, pictures: what is dark along half a side is no letter, nor what hangs on it.
    bars = np.zeros_like(cells)
    bars[:, cells.mean(axis=0) > 0.5] = True
    bars[cells.mean(axis=1) > 0.5, :] = True
    bars &= cells
    cells &= ~bars
    edge = round(EDGE * rows)
    cells[edge : rows - edge] = False
    print_boxes = [[value * scale for value in word.box] for line in lines for word in line.words]
    for x0, y0, x1, y1 in print_boxes:
        reach = 0.3 * height
        cells[
            max(0, int((y0 - reach) / CELL)) : int((y1 + reach) / CELL) + 1,
            max(0, int((x0 - reach) / CELL)) : int((x1 + reach) / CELL) + 1,
        ] = False
    if not 0 < int(np.count_nonzero(cells)) <= CROWDED:
        return []
    found: list[list[float]] = []
    for band in connected(cells):
        y, x = [row for row, _ in band], [column for _, column in band]
        box = [float(value * CELL) for value in (min(x), min(y), max(x) + 1, max(y) + 1)]
        near = [other for other in found if _beside(box, other, height)]
        for other in near:
            box = [min(box[0], other[0]), min(box[1], other[1]), max(box[2], other[2]), max(box[3], other[3])]
            found.remove(other)
        found.append(box)
    marks = []
    for box in sorted(found, key=lambda box: box[1]):
        wide, high = box[2] - box[0], box[3] - box[1]
        x0, y0, x1, y1 = map(int, box)
        tab = float(dark[y0:y1, x0:x1].mean()) >= TAB_FILL and high >= height and wide >= height
        small = 0.35 * height <= high <= 1.8 * height and 0.1 * height <= wide <= 8 * height
        if bars[
            max(0, y0 // CELL - 1) : y1 // CELL + 2,
            max(0, x0 // CELL - 1) : x1 // CELL + 2,
        ].any():
            continue
        if (small or (tab and high <= 6 * height and wide <= 12 * height)) and not any(
            _beside(box, other, 1.5 * height) for other in print_boxes
        ):
            marks.append((box, tab))
    if len(marks) > MOST:
        return []
    zoom = raster.pixels.shape[1] / dark.shape[1]
    paper = round(0.5 * height * zoom)
    cut = [_cut(raster.pixels, [round(value * zoom) for value in box], paper, tab=tab) for box, tab in marks]
    return [mark for mark in cut if mark is not None]


def _cut(pixels: NDArray[Any], box: Sequence[int], paper: int, *, tab: bool) -> Mark | None:
    """A box with some paper around it; of a tab what is light in it, inverted, None if it is all dark."""
    import numpy as np

    x0, y0, x1, y1 = box
    if not tab:
        high, wide = pixels.shape
        around = pixels[max(0, y0 - paper) : min(high, y1 + paper), max(0, x0 - paper) : min(wide, x1 + paper)]
        return Mark(np.ascontiguousarray(around), (x0, y0, x1, y1))
    # A scan leans: the tab's own edges would stay as wedges.
    across, down = round(INSET * (x1 - x0)), round(INSET * (y1 - y0))
    inside = 255 - pixels[y0 + down : y1 - down, x0 + across : x1 - across]
    if not inside.size:
        return None
    ground = int(np.median(inside))
    rows, columns = np.nonzero(inside < (ground + int(inside.min())) / 2)
    if not rows.size or ground - int(inside.min()) < CONTRAST:
        return None
    left, top, right, bottom = int(columns.min()), int(rows.min()), int(columns.max()) + 1, int(rows.max()) + 1
    around = inside[max(0, top - paper) : bottom + paper, max(0, left - paper) : right + paper]
    pixels = np.ascontiguousarray(np.pad(around, paper, constant_values=ground))
    x0, y0 = x0 + across, y0 + down
    return Mark(pixels, (x0 + left, y0 + top, x0 + right, y0 + bottom))


def _beside(a: Sequence[float], b: Sequence[float], gap: float) -> bool:
    """They share a height and lie no more than `gap` apart."""
    return min(a[3], b[3]) > max(a[1], b[1]) and max(a[0], b[0]) - min(a[2], b[2]) <= gap
