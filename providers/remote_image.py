"""The picture of a page as a remote service gets it, and the way back from the service's answer to the page.

It is rendered and prepared as for the local engines (`providers/image_steps.py`), in a process of a pool, for PyMuPDF is not
safe in threads.
"""

from __future__ import annotations

import io
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from providers.errors import EngineCrashed, Rejected
from providers.image_steps import ImageSteps, apply
from providers.ink import LOOK_DPI, ink_figures
from providers.ink import REVISION as INK_REVISION
from providers.leaves import Raster
from providers.pool import EnginePool
from providers.reading_order import reading_order
from schemas.reading import Line, PageReading

if TYPE_CHECKING:
    from providers.queues import ProviderQueue
    from providers.source import LeafSource

REVISION = 1
"""Of what is sent for a page; raised when the same page gives another picture."""
REMOTE_DPI = 300.0
"""A finer scan is shrunk to it: services shrink by themselves, and bytes take time."""
PNG_BYTES = 1_500_000
"""A page that is larger as PNG is a scan in gray, of which JPEG makes a fifth without harm to the letters."""
JPEG_QUALITIES = (90, 80, 65)
SMALLEST_SIDE = 64
"""Pixels; a picture that must be smaller to fit shows nothing."""
RENDER_SECONDS = 60.0
"""For a picture at least: a time limit that is meant for a fast service says nothing about this machine."""
PROCESSES = max(1, min(4, os.cpu_count() or 1))
"""One makes some four pictures a second."""


@dataclass(frozen=True, slots=True)
class PageImage:
    """A page as it is sent."""

    body: bytes
    media_type: str
    """'image/png' or 'image/jpeg'."""
    columns: int
    """Of the picture that is sent, in pixels."""
    rows: int
    look: Raster
    """The same at about `ink.LOOK_DPI`: where its points lie, and where its ink is."""

    @property
    def data_url(self) -> str:
        import base64

        return f"data:{self.media_type};base64,{base64.b64encode(self.body).decode('ascii')}"

    def reading(self, provider: str, lines: Sequence[Line], *, ordered: bool = True) -> PageReading:
        """A service's lines as a reading of the page; it takes the words over.

        Args:
            lines: boxes in shares of the picture's width and height, 0 to 1.
            ordered: they come in reading order; else they are put into it by their places, and the pieces of a line (an
                entry of a contents page and its number) together.

        Raises: ValueError for places or confidences that are no numbers.
        """
        rows, columns = self.look.pixels.shape
        page = PageReading(provider, self.look.width, self.look.height, [line for line in lines if line.words])
        for word in page.words:
            word.confidence = confidence(word.confidence)
            x0, y0, x1, y1 = (min(max(share, 0.0), 1.0) for share in word.box)
            word.box = self.look.to_points(x0 * columns, y0 * rows, x1 * columns, y1 * rows)
        if not ordered:
            page.lines = reading_order(page.lines, page.width)
        page.figures = ink_figures(self.look, page.lines)
        for word in page.words:
            word.box = self.look.on_page(word.box)
        return page


class PageImages:
    """Makes the pictures for one provider, within what its row allows, in processes of its own."""

    def __init__(self, row: ProviderQueue, processes: int = PROCESSES) -> None:
        self.row = row
        self.pool = EnginePool(
            processes,
            "providers.remote_image:Engine",
            f"pictures for {row.name}",
            {"max_bytes": row.max_image_bytes, "max_side": row.max_image_side},
        )

    def parameters(self) -> Mapping[str, object]:
        """What may change the picture, part of the fingerprint."""
        return {
            "image": [REVISION, REMOTE_DPI, self.row.max_image_bytes, self.row.max_image_side],
            "ink": INK_REVISION,
        }

    async def of(self, leaf: LeafSource, timeout_seconds: float) -> PageImage:
        """The picture of a page. Raises Rejected: the page cannot be rendered, or its process ended twice."""
        task = (leaf.path, leaf.kind, leaf.index, leaf.region, leaf.image_steps)
        seconds = max(timeout_seconds, RENDER_SECONDS)
        try:
            answer = await self.pool.run(task, seconds, what=page_name(leaf))
        except EngineCrashed:
            # It may have been killed for what another page needed. No call is noted yet that would count attempts.
            try:
                answer = await self.pool.run(task, seconds, what=page_name(leaf))
            except EngineCrashed as error:
                raise Rejected(error.message) from None
        image: PageImage = answer.value
        return image

    async def close(self) -> None:
        await self.pool.close()


def confidence(value: float | None) -> float | None:
    """A service's confidence, already times 100, within 0 to 100. Raises ValueError for what is no number."""
    if value is None:
        return None
    if math.isnan(value):
        raise ValueError("a confidence is not a number")
    return min(max(value, 0.0), 100.0)


def page_name(leaf: LeafSource) -> str:
    """The page and its book, for messages."""
    return f"page {leaf.page} of {leaf.book or leaf.path}"


# The child's side


class Engine:
    """Renders, prepares and encodes."""

    def __init__(self, max_bytes: int, max_side: int) -> None:
        from providers import pages

        self._pages = pages
        self._max_bytes = max_bytes
        self._max_side = max_side

    def __call__(self, task: tuple[str, str, int, str, str]) -> PageImage:
        """The picture of (path, kind, index, region, image steps). Raises Rejected."""
        path, kind, index, region, steps = task
        raster = shrunk(self._pages.render(path, kind, index, region=region), REMOTE_DPI)
        raster = apply(raster, ImageSteps.from_json(steps))
        body, media_type, columns, rows = encoded(raster.pixels, self._max_bytes, self._max_side)
        return PageImage(body, media_type, columns, rows, _look(raster))


def shrunk(raster: Raster, dpi: float) -> Raster:
    """At `dpi`, if it is finer by a tenth or more."""
    if raster.dpi < 1.1 * dpi:
        return raster
    factor = dpi / raster.dpi
    rows, columns = raster.pixels.shape
    return replace(raster, pixels=_resized(raster.pixels, round(columns * factor), round(rows * factor)), dpi=dpi)


def encoded(pixels: Any, max_bytes: int, max_side: int) -> tuple[bytes, str, int, int]:
    """(body, media type, columns, rows) of a gray picture, the same bytes for the same pixels and limits: PNG where that is
    small, else JPEG, and smaller only where it must be. Raises Rejected where it cannot be made to fit."""
    from PIL import Image

    rows, columns = pixels.shape
    factor = min(1.0, max_side / max(rows, columns))
    while True:
        wide, high = max(1, int(columns * factor)), max(1, int(rows * factor))
        image = Image.fromarray(pixels if factor == 1.0 else _resized(pixels, wide, high))
        body = _saved(image, "PNG", compress_level=4)
        if len(body) <= min(PNG_BYTES, max_bytes):
            return body, "image/png", wide, high
        for quality in JPEG_QUALITIES:
            body = _saved(image, "JPEG", quality=quality)
            if len(body) <= max_bytes:
                return body, "image/jpeg", wide, high
        factor *= 0.8
        if max(rows, columns) * factor < SMALLEST_SIDE:
            raise Rejected(f"the page's picture cannot be made to fit into {max_bytes} bytes")


def _saved(image: Any, format: str, **options: Any) -> bytes:
    body = io.BytesIO()
    image.save(body, format, **options)
    return body.getvalue()


def _resized(pixels: Any, columns: int, rows: int) -> Any:
    import numpy as np
    from PIL import Image

    size = (max(1, columns), max(1, rows))
    return np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.LANCZOS), dtype=np.uint8)


def _look(raster: Raster) -> Raster:
    """As `ink` would shrink it."""
    import numpy as np
    from PIL import Image

    factor = max(1, round(raster.dpi / LOOK_DPI))
    if factor == 1:
        return raster
    pixels = np.asarray(Image.fromarray(raster.pixels).reduce(factor), dtype=np.uint8)
    return replace(raster, pixels=pixels, dpi=raster.dpi / factor)
