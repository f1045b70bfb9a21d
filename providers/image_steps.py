"""How the picture of a page is prepared for reading: turned upright, cleaned at its edges, straightened.

The steps are decided once per page (`providers/image_analysis.py`), kept as JSON in `Page.image_steps`, and carried out
each time an engine renders the page: the file is never changed, and another decision needs nothing undone.

Geometry: `orientation` makes the upright page that all boxes and the page's size are in. Straightening and masks change
what an engine sees and nothing else: what it finds is put back where it lies on the upright page (`Raster.on_page`).
"""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from providers.errors import Rejected
from schemas.reading import Box, PageReading, Word

if TYPE_CHECKING:
    from providers.leaves import Raster

ORIENTATIONS = (0, 90, 180, 270)

AUTO, OFF = "auto", "off"
"""What a user may choose: pictures are looked at, or read as they are."""
REVISION = 2
"""Of the decisions: leaves that an earlier one decided on are looked at again."""

Polygon = tuple[tuple[float, float], ...]
"""Corners as shares of the width and height of the page as the file has it, before `orientation`."""


@dataclass(frozen=True, slots=True)
class ImageSteps:
    """The steps of one page; the default is to leave it as it is."""

    orientation: int = 0
    """Degrees clockwise that make the page upright, after the file's own rotation: 0, 90, 180 or 270."""
    skew: float = 0.0
    """Degrees by which the lines run down to the right; undone by turning counter-clockwise."""
    masks: tuple[Polygon, ...] = ()
    """What engines get to see as bare paper."""
    blank: bool = False
    """Nothing to read: no engine is asked."""
    why: Mapping[str, str] = field(default_factory=dict)
    """Step -> how it was found, in a sentence."""

    @classmethod
    def from_json(cls, body: str | None) -> ImageSteps:
        """The steps that a page carries. Raises Rejected for what is none."""
        if not body:
            return cls()
        try:
            given = json.loads(body)
            steps = cls(
                orientation=int(given.get("orientation", 0)),
                skew=float(given.get("skew", 0.0)),
                masks=tuple(tuple((float(x), float(y)) for x, y in polygon) for polygon in given.get("masks", ())),
                blank=bool(given.get("blank", False)),
                why={str(step): str(said) for step, said in given.get("why", {}).items()},
            )
        except (ValueError, TypeError, AttributeError) as error:
            raise Rejected(f"not the steps of an image: {body[:100]!r}") from error
        if steps.orientation not in ORIENTATIONS or not abs(steps.skew) <= 45:
            raise Rejected(f"not the steps of an image: {body[:100]!r}")
        return steps

    def to_json(self) -> str:
        """Canonical JSON; '' where there is nothing to do."""
        body = self._changes()
        return _canonical(body | ({"why": dict(self.why)} if self.why else {})) if body else ""

    def effect(self) -> str:
        """What changes the picture, without the sentences, for fingerprints; '' where nothing does."""
        body = self._changes()
        return _canonical(body) if body else ""

    def _changes(self) -> dict[str, Any]:
        found = {
            "orientation": self.orientation,
            "skew": round(self.skew, 2),
            "masks": [[[round(x, 4), round(y, 4)] for x, y in polygon] for polygon in self.masks],
            "blank": self.blank,
        }
        return {name: value for name, value in found.items() if value}

    def turned_to(self, orientation: int, said: str) -> ImageSteps:
        """The same page with another orientation: its lines lean as they did, or, by a quarter turn, not known how."""
        quarter = (orientation - self.orientation) % 180 != 0
        why = {step: text for step, text in self.why.items() if not (quarter and step == "skew")}
        return dataclasses.replace(
            self, orientation=orientation, skew=0.0 if quarter else self.skew, why=why | {"orientation": said}
        )


def _canonical(body: Mapping[str, Any]) -> str:
    return json.dumps(body, sort_keys=True, ensure_ascii=False, separators=(",", ":"))


def effect(body: str | None) -> str:
    """`ImageSteps.effect` of what a page carries. Raises Rejected."""
    return ImageSteps.from_json(body).effect()


def sentences(body: str | None) -> dict[str, str]:
    """Step -> what is done and why, for people; {} for a page that is read as it is. Raises Rejected."""
    steps = ImageSteps.from_json(body)
    done = {}
    if steps.orientation:
        done["orientation"] = f"turned {steps.orientation}° clockwise"
    if steps.skew:
        done["skew"] = (
            f"straightened by {abs(steps.skew):.2f}° {'counter-clockwise' if steps.skew > 0 else 'clockwise'}"
        )
    if steps.masks:
        count = len(steps.masks)
        done["masks"] = f"{count} part{'s' * (count > 1)} of the edge covered"
    if steps.blank:
        done["blank"] = "blank: not read"
    return {step: f"{what}: {steps.why[step]}" if step in steps.why else what for step, what in done.items()}


def apply(raster: Raster, steps: ImageSteps) -> Raster:
    """What an engine should see of a rendered page; the raster itself where there is nothing to do.

    The answer's `to_points` gives points of the straightened picture, its `on_page` those of the upright page."""
    if steps.masks:
        raster = _masked(raster, steps.masks)
    if steps.orientation:
        raster = turned(raster, steps.orientation)
    if steps.skew:
        raster = _straightened(raster, steps.skew)
    return raster


def turned(raster: Raster, orientation: int) -> Raster:
    """Turned clockwise by quarter turns."""
    import numpy as np

    if not orientation:
        return raster
    pixels = np.ascontiguousarray(np.rot90(raster.pixels, -orientation // 90))
    width, height = upright_size(raster.width, raster.height, orientation)
    return dataclasses.replace(raster, pixels=pixels, width=width, height=height)


def upright_size(width: float, height: float, orientation: int) -> tuple[float, float]:
    """Width and height after the turn."""
    return (height, width) if orientation in (90, 270) else (width, height)


def _paper(raster: Raster) -> int:
    """Brightness of the paper: of the page without its darker part."""
    import numpy as np

    return int(np.percentile(raster.pixels[::8, ::8], 80))


def _masked(raster: Raster, masks: tuple[Polygon, ...]) -> Raster:
    import cv2
    import numpy as np

    rows, columns = raster.pixels.shape
    pixels = raster.pixels.copy()
    paper = _paper(raster)
    for polygon in masks:
        corners = np.rint(np.array(polygon) * (columns, rows)).astype(np.int32)
        cv2.fillPoly(pixels, [corners], paper)
    return dataclasses.replace(raster, pixels=pixels)


def _straightened(raster: Raster, skew: float) -> Raster:
    """Turned against the skew, on a sheet so large that no corner is lost."""
    import cv2
    import numpy as np

    rows, columns = raster.pixels.shape
    turn = cv2.getRotationMatrix2D((columns / 2, rows / 2), skew, 1.0)
    sine, cosine = abs(turn[0, 1]), abs(turn[0, 0])
    width, height = math.ceil(columns * cosine + rows * sine), math.ceil(columns * sine + rows * cosine)
    turn[:, 2] += (width - columns) / 2, (height - rows) / 2
    pixels = cv2.warpAffine(
        raster.pixels, turn, (width, height), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_CONSTANT,
        borderValue=_paper(raster),
    )  # fmt: skip
    margin = ((width - columns) / 2 * raster.width / columns, (height - rows) / 2 * raster.height / rows)
    return dataclasses.replace(raster, pixels=np.ascontiguousarray(pixels), skew=skew, margin=margin)


def turn_words(page: PageReading, orientation: int) -> PageReading:
    """A reading in points of the file's page, as one of the upright page; words keep their order."""
    if not orientation:
        return page
    width, height = page.width, page.height
    for word in page.words:
        word.box = _turned_box(word, width, height, orientation)
    page.width, page.height = upright_size(width, height, orientation)
    return page


def _turned_box(word: Word, width: float, height: float, orientation: int) -> Box:
    x0, y0, x1, y1 = word.box
    if orientation == 90:
        return (height - y1, x0, height - y0, x1)
    if orientation == 180:
        return (width - x1, height - y1, width - x0, height - y0)
    return (y0, width - x1, y1, width - x0)
