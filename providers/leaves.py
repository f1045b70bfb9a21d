"""What a page is to the rest of the program, whatever file it comes from; limits and resolutions common to all.

Geometry: see `providers/pages.py`.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from providers.errors import Rejected
from schemas.errors import BadSource
from schemas.reading import Box

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

POINTS_PER_INCH = 72.0

MAX_PAGE_POINTS = 14_400.0
"""200 inches, the largest page that PDF viewers accept (ISO 32000-1, annex C)."""
MAX_IMAGE_PIXELS = 400_000_000
"""A double page of A2 at 600 dpi has 280 million; more is a decompression bomb or a mistake."""
MAX_RENDER_PIXELS = 60_000_000
"""Of what an engine gets to read: A3 at 400 dpi has 31 million."""
MAX_READABLE_INCHES = 17.0
"""Pages that claim to be larger than A3 usually are scans whose resolution was lost (1 pixel = 1 point)."""

NATIVE_DPI_MIN, NATIVE_DPI_MAX = 150.0, 400.0
DEFAULT_DPI = 300.0
"""Where there is no resolution to take over: what Tesseract's documentation advises."""


@dataclass(frozen=True, slots=True)
class Part:
    """One file of a source; unpacks as (path, kind, pages)."""

    path: Path
    kind: str
    """'pdf' or 'image'."""
    pages: int

    def __iter__(self) -> Iterator[Any]:
        return iter((self.path, self.kind, self.pages))


@dataclass(frozen=True, slots=True)
class LeafFacts:
    """What is known of a page without rendering it."""

    width: float
    """Of the upright page, in points."""
    height: float
    rotation: int
    """Degrees clockwise that were applied to make it upright: 0, 90, 180 or 270."""
    image_hash: str
    """SHA-256 over all that is drawn, undecoded: equal hashes show equal pictures."""
    text_layer: str
    """'good', 'poor' or 'none'."""
    reason: str
    """Why the layer is not good; '' if it is."""


@dataclass(frozen=True, slots=True)
class Raster:
    """A rendered page, or region of one."""

    pixels: NDArray[np.uint8]
    """(height, width), 0 black to 255 white, contiguous."""
    width: float
    """Of what is shown, in points."""
    height: float
    dpi: float
    skew: float = 0.0
    """Degrees by which it was turned counter-clockwise to make its lines level; see `providers/image_steps.py`."""
    margin: tuple[float, float] = (0.0, 0.0)
    """Points of bare paper added on either side, left and right, above and below, so that turning cut nothing off."""

    def to_points(self, x0: float, y0: float, x1: float, y1: float) -> Box:
        """A box in pixels as a box in points of what is shown."""
        rows, columns = self.pixels.shape
        across, down = self.margin
        sx, sy = (self.width + 2 * across) / columns, (self.height + 2 * down) / rows
        return (x0 * sx - across, y0 * sy - down, x1 * sx - across, y1 * sy - down)

    def on_page(self, box: Box) -> Box:
        """A box in points of what is shown as one on the upright page: moved to where its middle lies there, and no
        larger, for the box around a word that leans would hold parts of the lines above and below."""
        if not self.skew:
            return box
        x, y = (box[0] + box[2] - self.width) / 2, (box[1] + box[3] - self.height) / 2
        sine, cosine = math.sin(math.radians(self.skew)), math.cos(math.radians(self.skew))
        dx, dy = x * cosine - y * sine - x, x * sine + y * cosine - y
        return (box[0] + dx, box[1] + dy, box[2] + dx, box[3] + dy)


def identity(path: Path | str) -> tuple[str, int, int]:
    """Path, time of change, size: what caches know a file by."""
    status = os.stat(path)
    return (str(path), status.st_mtime_ns, status.st_size)


def first_line(error: BaseException) -> str:
    """First line of a library's message, short."""
    text = str(error).strip() or type(error).__name__
    return text.splitlines()[0][:200].rstrip(".")


def overlap(a: Sequence[float], b: Sequence[float]) -> float:
    """Area that two boxes share."""
    return max(0.0, min(a[2], b[2]) - max(a[0], b[0])) * max(0.0, min(a[3], b[3]) - max(a[1], b[1]))


def region_box(region: str, width: float, height: float) -> Box:
    """The region in points of the upright page; all of it for ''. Raises Rejected where it does not parse."""
    if not region:
        return (0.0, 0.0, width, height)
    try:
        x0, y0, x1, y1 = (float(value) for value in region.split(","))
    except ValueError:
        raise Rejected(f"not a region: {region!r}") from None
    if not (0 <= x0 < x1 <= 1 and 0 <= y0 < y1 <= 1):
        raise Rejected(f"not a region: {region!r}")
    return (x0 * width, y0 * height, x1 * width, y1 * height)


def within_limit(zoom_x: float, zoom_y: float, width: float, height: float) -> tuple[float, float]:
    """The zoom (pixels a point, in x and y), lowered so that the picture has no more than MAX_RENDER_PIXELS."""
    pixels = zoom_x * width * zoom_y * height
    factor = min(1.0, math.sqrt(MAX_RENDER_PIXELS / pixels))
    return zoom_x * factor, zoom_y * factor


def native_zoom(zoom_x: float, zoom_y: float, width: float, height: float) -> tuple[float, float]:
    """A scan's own zoom, unless it is out of what engines read well."""
    dpi = 72 * math.sqrt(zoom_x * zoom_y)
    longest = max(zoom_x * width, zoom_y * height)
    if dpi > NATIVE_DPI_MAX and longest > NATIVE_DPI_MAX * MAX_READABLE_INCHES * 0.5:
        factor = NATIVE_DPI_MAX / dpi
    elif dpi < NATIVE_DPI_MIN and longest < NATIVE_DPI_MIN * 11:
        factor = NATIVE_DPI_MIN / dpi
    else:
        factor = 1.0
    if factor == 1.0 and abs(zoom_x / zoom_y - 1) < 0.02:
        return zoom_x, zoom_y
    square = factor * math.sqrt(zoom_x * zoom_y) if factor != 1.0 else max(zoom_x, zoom_y)
    return square, square


def too_many_pixels(what: str, width: int, height: int) -> BadSource:
    """The refusal of an image over MAX_IMAGE_PIXELS."""
    return BadSource(
        f"{what} has {width} x {height} pixels; {MAX_IMAGE_PIXELS // 1_000_000} million are the most that is read.",
        "Scale it down to at most 600 dpi.",
    )
