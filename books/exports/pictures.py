"""Pictures of pages and of figures in them, as EPUB and Markdown show them."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import TYPE_CHECKING

from books.exports.job import Export, orientation
from providers import pages
from providers.errors import ProviderError
from schemas.errors import BadSource
from schemas.reading import Box

if TYPE_CHECKING:
    from PIL import Image as PillowImage

FIGURE_DPI = 200.0
COVER_DPI = 150.0
STRAY = 9
"""Levels by which the channels of a gray picture may differ."""
GRAYS_OF_A_DRAWING = 64
"""Photographs have more; what has fewer is smaller and sharper as PNG."""


@dataclass(frozen=True, slots=True)
class Picture:
    """An encoded image."""

    body: bytes
    suffix: str
    """'png' or 'jpg'."""

    @property
    def media_type(self) -> str:
        return "image/png" if self.suffix == "png" else "image/jpeg"


def picture(export: Export, number: int, box: Box | None = None, dpi: float = FIGURE_DPI) -> Picture:
    """A physical page, or a box of it in points of the upright page, upright. Raises BadSource."""
    from PIL import Image

    page = export.view.page(number)
    if page is None:
        raise BadSource(f"Page {number} of {export.view.key} is not known.", "Process the book first.")
    leaf = export.view.leaf(page)
    try:
        body = pages.png(leaf.path, leaf.kind, leaf.index, dpi, leaf.region)
    except ProviderError as error:
        raise BadSource(
            f"Page {number} of {export.view.key} cannot be rendered: {error}.", "Check the source file."
        ) from None
    image: PillowImage.Image = Image.open(io.BytesIO(body))
    turn = orientation(page.image_steps)
    if turn:
        image = image.rotate(-turn, expand=True)  # Pillow turns counter-clockwise
    if box is not None:
        width, height = page_size(export, number)
        sx, sy = image.width / width, image.height / height
        left, top = max(0, int(box[0] * sx)), max(0, int(box[1] * sy))
        image = image.crop(
            (
                left,
                top,
                max(left + 1, min(image.width, round(box[2] * sx))),
                max(top + 1, min(image.height, round(box[3] * sy))),
            )
        )
    return _encoded(image)


def page_size(export: Export, number: int) -> tuple[float, float]:
    """Width and height in points of the upright page, after it was turned for reading."""
    found = export.reading(number)
    if found is not None and found.width and found.height:
        return found.width, found.height
    page = export.view.page(number)
    width, height = ((page.width or 0.0), (page.height or 0.0)) if page is not None else (0.0, 0.0)
    if page is not None and orientation(page.image_steps) in (90, 270):
        width, height = height, width
    return (width, height) if width and height else (612.0, 792.0)


def _encoded(image: PillowImage.Image) -> Picture:
    from PIL import ImageChops

    rgb = image.convert("RGB")
    gray = rgb.convert("L")
    red, green, blue = rgb.split()
    # Scans of gray pages that were kept as colour JPEGs stray by some levels.
    coloured = any(
        sum(ImageChops.difference(one, other).histogram()[STRAY:]) for one, other in ((red, green), (green, blue))
    )
    seldom = gray.width * gray.height // 5000
    grays = sum(1 for count in gray.histogram() if count > seldom)
    out = io.BytesIO()
    if not coloured and grays <= GRAYS_OF_A_DRAWING:
        gray.quantize(16).save(out, "PNG", optimize=True)
        return Picture(out.getvalue(), "png")
    (rgb if coloured else gray).save(out, "JPEG", quality=85, optimize=True)
    return Picture(out.getvalue(), "jpg")
