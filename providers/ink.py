"""What is printed on a page and lies in no line that was recognised: the sign of a lost line, which no confidence gives."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from providers.leaves import Raster
from schemas.reading import Line

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

REVISION = 1
"""Of the figures, which readings carry: part of the parameters of every engine that measures them."""
LOOK_DPI = 100
"""Enough to tell print from speckle and pictures, and 5 ms a page."""
USUAL_HEIGHT = 10.0
"""Points; of a line's box where nothing was recognised."""
PALE = 0.75
"""Ink is darker than this share of the paper around it."""


def ink_figures(raster: Raster, lines: Sequence[Line]) -> dict[str, float]:
    """How much of a page's print lies outside of `lines`.

    The page is cut into cells a line's height wide and a quarter of it high. A cell is print if it has some ink, not only
    ink, and many changes between ink and paper. Cells of print far from any word count if they form a band four cells
    long that is as flat as a line, or a higher one with the rhythm of lines: pictures have none, specks are shorter.

    Returns:
        "ink_outside": share of the print, in words and in such bands, that lies in the bands, 0 to 1; "ink_lines": number
        of lines in them. {} where the page is too small to tell.
    """
    import numpy as np

    dark, scale = ink(raster)
    height = line_height(lines) * scale
    cell_rows, cell_columns = max(2, round(height / 4)), max(5, round(height))
    rows, columns = dark.shape[0] // cell_rows, dark.shape[1] // cell_columns
    if rows < 8 or columns < 8:
        return {}
    dark = dark[: rows * cell_rows, : columns * cell_columns]
    changes = np.zeros_like(dark)
    changes[:, 1:] = dark[:, 1:] != dark[:, :-1]

    def per_cell(mask: NDArray[np.bool_]) -> NDArray[np.float64]:
        # Rows first: summing both at once takes four times as long.
        upright = mask.reshape(rows, cell_rows, -1).sum(axis=1, dtype=np.uint8)
        total: NDArray[np.float64] = (
            upright.reshape(rows, columns, cell_columns).sum(axis=2, dtype=np.int32) / cell_rows
        )
        return total

    share = per_cell(dark) / cell_columns
    inked = share >= 0.08
    text = inked & (share <= 0.7) & (per_cell(changes) >= 0.12 * cell_columns + 0.5)
    covered = np.zeros((rows, columns), dtype=np.bool_)
    for line in lines:
        for word in line.words:
            x0, x1 = ((x + raster.margin[0]) * scale for x in (word.box[0], word.box[2]))
            y0, y1 = ((y + raster.margin[1]) * scale for y in (word.box[1], word.box[3]))
            reach = 0.35 * (y1 - y0)
            covered[
                max(0, int((y0 - reach) / cell_rows)) : int((y1 + reach) / cell_rows) + 1,
                max(0, int((x0 - height) / cell_columns)) : int((x1 + height) / cell_columns) + 1,
            ] = True
    outside = number = 0
    for band in connected(inked & ~covered):
        print_cells = sum(bool(text[cell]) for cell in band)
        if 2 * print_cells >= len(band) and (found := _lines_in(band, dark, cell_rows, cell_columns)):
            outside += print_cells
            number += found
    total = outside + int((text & covered).sum())
    return {"ink_outside": round(outside / total, 4) if total else 0.0, "ink_lines": float(number)}


def line_height(lines: Sequence[Line]) -> float:
    """Points: of the page's usual line, within reason."""
    heights = sorted(line.height for line in lines)
    return min(max(heights[len(heights) // 2] if heights else USUAL_HEIGHT, 6.0), 24.0)


def ink(raster: Raster) -> tuple[Any, float]:
    """(where there is ink, pixels a point) at about LOOK_DPI. Paper is what is brightest nearby: scans are shaded."""
    import numpy as np
    from PIL import Image, ImageFilter

    factor = max(1, round(raster.dpi / LOOK_DPI))
    image = Image.fromarray(raster.pixels)
    if factor > 1:
        image = image.reduce(factor)
    paper = image.reduce(8).filter(ImageFilter.MaxFilter(7)).resize(image.size, Image.Resampling.BILINEAR)
    limit = np.asarray(paper.point(lambda value: value * PALE))
    return np.asarray(image) < limit, image.width / (raster.width + 2 * raster.margin[0])


def connected(mask: NDArray[np.bool_]) -> list[list[tuple[int, int]]]:
    """Connected cells; a gap of two cells in a row is bridged."""
    import numpy as np

    todo = {(int(row), int(column)) for row, column in zip(*np.nonzero(mask), strict=True)}
    bands = []
    for start in sorted(todo):
        if start not in todo:
            continue
        todo.remove(start)
        band, front = [start], [start]
        while front:
            row, column = front.pop()
            for down in (-1, 0, 1):
                for right in (-2, -1, 0, 1, 2):
                    near = (row + down, column + right)
                    if near in todo:
                        todo.remove(near)
                        band.append(near)
                        front.append(near)
        bands.append(band)
    return bands


def _lines_in(band: Sequence[tuple[int, int]], dark: NDArray[np.bool_], cell_rows: int, cell_columns: int) -> int:
    """How many lines of print a band is; 0 for a picture, a rule, specks or a page number."""
    rows, columns = [row for row, _ in band], [column for _, column in band]
    top, left = min(rows), min(columns)
    high, wide = max(rows) - top + 1, max(columns) - left + 1
    if high < 2 or wide < 4 or wide * 2 < high:
        return 0
    if high <= 8:
        return 1
    # Lines that blur or skew has joined: their ink goes up and down every one to three heights (four cells).
    area = dark[top * cell_rows : (top + high) * cell_rows, left * cell_columns : (left + wide) * cell_columns]
    profile = area.sum(axis=1)
    above = profile > profile.mean()
    lines = int((above[1:] & ~above[:-1]).sum()) + int(above[0])
    pale = float((profile < 0.6 * profile.mean()).mean())
    return lines if lines >= 2 and 4 <= high / lines <= 12 and pale >= 0.15 else 0
