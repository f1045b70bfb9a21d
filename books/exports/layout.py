"""Pages as formats with coordinates see them: whole pixels of the page's image.

Of an image file these are its own pixels, upright. A PDF page has none of its own and counts at PDF_DPI; so the numbers fit any
rendering after scaling by the page's size, which every format states.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby

from books.exports.job import Export, orientation
from books.exports.pictures import page_size
from providers.image_pages import open_image
from providers.leaves import region_box
from schemas.reading import Box, Line

PDF_DPI = 300.0

PixelBox = tuple[int, int, int, int]
"""x0, y0, x1, y1."""


@dataclass(frozen=True, slots=True)
class PixelPage:
    """One physical page in pixels."""

    number: int
    label: str
    image: str
    """Name of the source file, with the page or frame where it has several."""
    width: int
    height: int
    scale_x: float
    """Pixels a point."""
    scale_y: float
    lines: tuple[Line, ...]

    @property
    def blocks(self) -> Iterator[tuple[Line, ...]]:
        """Lines that belong together (column, paragraph, header), in reading order."""
        for _, lines in groupby(self.lines, key=lambda line: line.block):
            yield tuple(lines)

    def pixels(self, box: Box) -> PixelBox:
        """A box of the reading, within the page."""
        x0 = min(max(0, round(box[0] * self.scale_x)), self.width)
        y0 = min(max(0, round(box[1] * self.scale_y)), self.height)
        x1 = min(max(x0, round(box[2] * self.scale_x)), self.width)
        y1 = min(max(y0, round(box[3] * self.scale_y)), self.height)
        return x0, y0, x1, y1


def around(boxes: list[Box]) -> Box:
    """The box around boxes, of which there is one at least."""
    return (
        min(box[0] for box in boxes),
        min(box[1] for box in boxes),
        max(box[2] for box in boxes),
        max(box[3] for box in boxes),
    )


def pixel_page(export: Export, number: int) -> PixelPage:
    """A physical page; without lines where it has no reading. Raises ArtifactMissing."""
    manifest = export.view.manifest
    leaf = manifest.leaf(number)
    part = manifest.parts[leaf.part]
    points_wide, points_high = page_size(export, number)
    width, height = round(points_wide * PDF_DPI / 72), round(points_high * PDF_DPI / 72)
    page = export.view.page(number)
    if part.kind == "image":
        with open_image(export.view.artifacts.file(part.sha256)) as image:
            if leaf.index:
                image.seek(leaf.index)
            width, height = image.width, image.height
            if image.getexif().get(274, 1) in (5, 6, 7, 8):
                width, height = height, width
        x0, y0, x1, y1 = region_box(leaf.region, width, height)
        width, height = round(x1) - round(x0), round(y1) - round(y0)
        if page is not None and orientation(page.image_steps) in (90, 270):
            width, height = height, width
    reading = export.reading(number)
    lines = tuple(line for line in reading.lines if line.words) if reading is not None else ()
    name = part.name if part.pages == 1 else f"{part.name}#page={leaf.index + 1}"
    label = export.label(number)
    return PixelPage(number, label, name, width, height, width / points_wide, height / points_high, lines)
