"""What is wrong with the picture of a page: sideways, skewed, dark edges, fingers, punch holes, nothing on it.

`decide` looks at a gray picture of about 100 dpi. It leaves alone what it is not sure of: a wrong step spoils a page that
would have been read well, a missing one leaves a page as every engine would have had it. What each test was measured
on, and how it did, stands in `docs/images.md`.

Terms: *paper* is the brightness of the sheet; *ink* is what is clearly darker than the paper around it; a *mark* is a
piece of ink of the size of a letter. Lengths are in inches, so that they hold at any resolution.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from providers.image_steps import ImageSteps, Polygon

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from providers.leaves import Raster

    Bits = NDArray[Any]
    """(height, width) of bytes: gray, or 0 and 1."""

LOOK_DPI = 100
"""To look at: letters of 8 points have an x-height of 5 pixels, and a page has a million pixels."""

INK_CONTRAST = 0.3
"""Share of the paper's brightness by which ink is darker. Show-through stays below it, faded print above."""
FAINT_CONTRAST = 0.1
"""... of show-through, and of print that has faded almost away."""
FAINT_LETTERS = 100
"""From which faint marks may be a page's text, and Tesseract is asked whether they are: the page behind reads backwards."""
LETTER_INCHES = 0.05
"""Height of the smallest mark that may be a letter: x-height of 7 points. Dirt and scanning noise is smaller."""

MAX_SKEW = 10.0
"""Degrees to either side that are searched."""
MIN_SKEW = 0.5
"""Degrees from which straightening pays. On 12 real scans that lean by 0.3° to 0.5° Tesseract's errors stayed the same (137
and 140 of 3600 words), on 3 above that they went from 37 to 34 of 850; at 2° it begins to lose lines, at 5° most of a page."""
SURE_SKEW = 0.3
"""Half the width of the peak, in degrees: on 66 pages with four skews each, estimates with a sharper peak were wrong by
0.08° at most, the others by up to 0.3°."""
LINES_CONTRAST = 3.0
"""How much stronger the lines stand out at their own angle than at others; text gives 5 to 30, scattered marks 1 to 3."""

Verify = Callable[[int, ImageSteps], tuple[int, float]]
"""A second opinion on the orientation, asked in doubt alone: takes the clockwise turn to look at and the masks to cover,
returns the further turn that makes it upright, and its confidence."""

VERIFIED = 5.0
"""Confidence of Tesseract's orientation detection from which it was right on all pages tried (at 150 dpi; mostly over 10)."""
VERIFIED_WITH_LETTERS = 2.0
"""... and where the letters' own ups and downs say the same."""


def decide(raster: Raster, verify: Verify | None = None) -> ImageSteps:
    """How to prepare a page for reading: about 25 core-ms, and what `verify` costs where it is asked.

    Args:
        raster: the page, gray, at about LOOK_DPI.
        verify: without it, only an orientation that the letters themselves show is trusted.
    """
    rows, columns = raster.pixels.shape
    if min(rows, columns) < raster.dpi / 2:  # a scrap; nothing here holds for it
        return ImageSteps()
    sheet = _Sheet.of(raster)
    why: dict[str, str] = {}
    masks, kinds = _masks(sheet)
    if masks:
        why["masks"] = f"{' and '.join(sorted(kinds))} without letters"
        sheet = sheet.without(masks)
    ask = None if verify is None else functools.partial(_asked, verify, ImageSteps(masks=masks))
    if sheet.bare() and not _faded(sheet, ask):
        why["blank"] = "no mark as large and as dark as a letter, no picture"
        return ImageSteps(masks=masks, blank=True, why=why)
    orientation, said, lines = _orientation(sheet, ask)
    if orientation:
        why["orientation"] = said
    skew = 0.0
    if (
        lines is not None
        and lines.contrast >= LINES_CONTRAST
        and lines.doubt < SURE_SKEW
        and abs(lines.skew) >= MIN_SKEW
    ):
        skew = round(lines.skew, 2)
        why["skew"] = f"its lines run {'down' if skew > 0 else 'up'} to the right"
    return ImageSteps(orientation=orientation, skew=skew, masks=masks, why=why)


Ask = Callable[[int], tuple[int, float]]


def _asked(verify: Verify, masked: ImageSteps, turn: int) -> tuple[int, float]:
    return verify(turn, masked)


def _faded(sheet: _Sheet, verify: Ask | None) -> bool:
    """Whether the faint marks of a page without ink are text and not the page behind."""
    if len(sheet.faint().letters()) < FAINT_LETTERS:
        return False
    return verify is None or verify(0)[1] >= VERIFIED


def _turned(bits: Bits, orientation: int) -> Bits:
    return np.ascontiguousarray(np.rot90(bits, -orientation // 90)) if orientation else bits


# Paper and ink


@dataclass(frozen=True, slots=True)
class _Sheet:
    """A page taken apart."""

    gray: Bits
    ground: Bits
    """The page without its letters, at half the resolution: paper, and whatever is thicker than a stroke."""
    paper: float
    marks: Bits
    boxes: NDArray[np.int32]
    """x, y, width, height, area of each mark."""
    large: int
    """Pixels of ink that belong to no mark: rules, drawings, pictures."""
    dpi: float

    @classmethod
    def of(cls, raster: Raster) -> _Sheet:
        return cls.taken_apart(raster.pixels, raster.dpi)

    @classmethod
    def taken_apart(cls, gray: Bits, dpi: float, contrast: float = INK_CONTRAST) -> _Sheet:
        rows, columns = gray.shape
        half = cv2.resize(gray, (columns // 2, rows // 2), interpolation=cv2.INTER_AREA)
        # A stroke is thinner than a tenth of an inch up to letters of 50 points.
        ground = cv2.morphologyEx(half, cv2.MORPH_CLOSE, np.ones((_odd(0.22 * dpi / 2),) * 2, np.uint8))
        top, left = ground.shape[0] // 6, ground.shape[1] // 6
        paper = float(np.percentile(ground[top:-top:2, left:-left:2], 75))
        full = cv2.resize(ground, (columns, rows), interpolation=cv2.INTER_LINEAR)
        ink = (cv2.subtract(full, gray) > np.maximum(full * np.float32(contrast), 80 * contrast)).view(np.uint8)
        labels, stats = _parts(ink)
        width, height, area = stats[:, cv2.CC_STAT_WIDTH], stats[:, cv2.CC_STAT_HEIGHT], stats[:, cv2.CC_STAT_AREA]
        rule = (width > 0.6 * dpi) & (height < 0.08 * dpi)
        mark = (height <= 0.5 * dpi) & (width <= 1.5 * dpi) & (area >= 4) & ~rule
        mark[0] = False
        other = ~mark & (area >= 4)
        other[0] = False
        return cls(gray, ground, paper, np.take(mark.view(np.uint8), labels), stats[mark], int(area[other].sum()), dpi)

    def without(self, masks: Sequence[Polygon]) -> _Sheet:
        """The page with paper where the masks are."""
        gray = self.gray.copy()
        rows, columns = gray.shape
        for polygon in masks:
            cv2.fillPoly(gray, [np.rint(np.array(polygon) * (columns, rows)).astype(np.int32)], int(self.paper))
        return self.taken_apart(gray, self.dpi)

    def letters(self) -> NDArray[np.int32]:
        """The marks that are as large as a letter or a digit."""
        size = np.maximum(self.boxes[:, 2], self.boxes[:, 3])
        return self.boxes[(size >= LETTER_INCHES * self.dpi) & (self.boxes[:, 4] >= 6)]

    def bare(self) -> bool:
        """No ink that could be read, and nothing that could be looked at. Not where anything is in doubt: a page with
        no more on it than its number has a single mark."""
        if len(self.letters()) or self.large:
            return False
        shaded = self.ground < 0.8 * self.paper
        return self.paper > 100 and float(shaded.mean()) < 0.005

    def faint(self) -> _Sheet:
        """The page with its faintest marks taken for ink."""
        return self.taken_apart(self.gray, self.dpi, FAINT_CONTRAST)


def _parts(bits: Bits) -> tuple[NDArray[Any], NDArray[Any]]:
    """(number of the connected part at each pixel, their boxes and areas); 0 is what is around them. In blocks of four
    pixels (Grana's algorithm), which takes less than half as long as the one that the library would choose."""
    _, labels, stats, _ = cv2.connectedComponentsWithStatsWithAlgorithm(bits, 8, cv2.CV_32S, cv2.CCL_BBDT)
    return labels, stats


def _odd(pixels: float) -> int:
    return max(3, round(pixels) // 2 * 2 + 1)


# Edges


def _masks(sheet: _Sheet) -> tuple[tuple[Polygon, ...], set[str]]:
    """What to cover, and what it is."""
    rows, columns = sheet.ground.shape
    cover: Bits = np.zeros((rows, columns), np.uint8)
    kinds: set[str] = set()
    if sheet.paper < 120:  # a cover or a plate: what is dark there is the picture
        return (), kinds
    for name, part in (
        ("dark edges", _black(sheet)),
        ("shadows or fingers", _shades(sheet)),
        ("punch holes", _holes(sheet)),
    ):
        if part is not None and part.any():
            cover |= part
            kinds.add(name)
    sliver = _slivers(sheet)
    if sliver is not None:
        cover |= sliver
        kinds.add("a strip of the neighbouring page")
    if not kinds or float(cover.mean()) > 0.7:
        return (), set()
    cover = cv2.dilate(cover, np.ones((3, 3), np.uint8))
    return tuple(_polygons(cover)), kinds


def _black(sheet: _Sheet) -> Bits | None:
    """Black along the edges of the picture: what a scanner sees beside the sheet, wedges of it where the sheet lay askew."""
    rows, columns = sheet.ground.shape
    dpi = sheet.dpi / 2
    half = cv2.resize(sheet.gray, (columns, rows), interpolation=cv2.INTER_AREA)
    dark = (half < 0.5 * sheet.paper).view(np.uint8)
    if not _rim(dark).any():
        return None
    long = max(3, round(0.6 * dpi))
    # Opening along an edge keeps bars and lets go of the letters that touch them.
    upright: Bits = cv2.morphologyEx(_padded(dark), cv2.MORPH_OPEN, np.ones((long, 1), np.uint8))
    level = cv2.morphologyEx(_padded(dark), cv2.MORPH_OPEN, np.ones((1, long), np.uint8))
    thick = cv2.morphologyEx(_padded(dark), cv2.MORPH_OPEN, np.ones((_odd(0.16 * dpi),) * 2, np.uint8))
    bars = (upright | level | thick)[1:-1, 1:-1]
    return _wordless(sheet, _at_edge(bars, 0.04 * dpi))


def _padded(bits: Bits) -> Bits:
    """With a rim of ones: what touches the edge of the picture goes on beyond it."""
    return cv2.copyMakeBorder(bits, 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=1)


def _rim(bits: Bits) -> Bits:
    return np.concatenate([bits[:2].ravel(), bits[-2:].ravel(), bits[:, :2].ravel(), bits[:, -2:].ravel()])


def _at_edge(bits: Bits, reach: float) -> list[Bits]:
    """The connected parts that touch the edge of the picture."""
    rows, columns = bits.shape
    count, labels, stats, _ = cv2.connectedComponentsWithStats(bits, connectivity=8)
    found = []
    for number in range(1, count):
        x, y, width, height, area = stats[number]
        if area >= 8 and (x <= reach or y <= reach or x + width >= columns - reach or y + height >= rows - reach):
            found.append((labels == number).view(np.uint8))
    return found


def _shades(sheet: _Sheet) -> Bits | None:
    """Fingers and hard shadows at the edge: darker than paper, thick, no larger than a hand shows of itself."""
    rows, columns = sheet.ground.shape
    dpi = sheet.dpi / 2
    shaded = (sheet.ground < 0.85 * sheet.paper).view(np.uint8)
    if not _rim(shaded).any():
        return None
    parts = []
    for part in _at_edge(shaded, 0.04 * dpi):
        ys, xs = np.flatnonzero(part.any(1)), np.flatnonzero(part.any(0))
        width, height = xs[-1] - xs[0] + 1, ys[-1] - ys[0] + 1
        finger = max(width, height) <= 2.2 * dpi and min(width, height) <= 1.5 * dpi
        strip = min(width / columns, height / rows) <= 0.08
        if finger or strip:
            parts.append(part)
    return _wordless(sheet, parts)


def _wordless(sheet: _Sheet, parts: list[Bits]) -> Bits | None:
    """Of the parts, those with paper around them in which nothing is written, neither dark on gray nor white on black: a
    page number may stand in a black tab."""
    if not parts:
        return None
    rows, columns = sheet.ground.shape
    letters = sheet.letters()
    inside = np.zeros((0, 2), np.int64)
    if len(letters):
        middle = (letters[:, :2] + letters[:, 2:4] / 2) / 2
        inside = np.minimum(middle.astype(np.int64), (columns - 1, rows - 1))
    bright = _light_letters(sheet)
    kernel = np.ones((_odd(0.08 * sheet.dpi / 2),) * 2, np.uint8)
    near, far = (np.ones((_odd(inches * sheet.dpi / 2),) * 2, np.uint8) for inches in (0.06, 0.2))
    paper = (sheet.ground > 0.8 * sheet.paper).view(np.uint8)
    cover = np.zeros((rows, columns), np.uint8)
    for part in parts:
        around: Bits = cv2.dilate(part, far) - cv2.dilate(part, near)
        if int((around & paper).sum()) < 0.5 * int(around.sum()):  # the dark part of a picture
            continue
        core = cv2.erode(_padded(part), kernel)[1:-1, 1:-1]
        written = int(core[inside[:, 1], inside[:, 0]].sum()) if len(inside) else 0
        # White letters are holes in the part: they lie in what closing fills.
        closed = cv2.erode(
            cv2.morphologyEx(part, cv2.MORPH_CLOSE, np.ones((_odd(0.3 * sheet.dpi / 2),) * 2, np.uint8)), kernel
        )
        white = int(closed[bright[:, 1], bright[:, 0]].sum()) if len(bright) else 0
        if written <= 2 and not white:
            cover |= part
    return cover


def _light_letters(sheet: _Sheet) -> NDArray[np.int64]:
    """Middles, at half the resolution, of bright marks on dark ground."""
    size = _odd(0.22 * sheet.dpi)
    light = cv2.subtract(sheet.gray, cv2.morphologyEx(sheet.gray, cv2.MORPH_OPEN, np.ones((size, size), np.uint8)))
    _, _, stats, middle = cv2.connectedComponentsWithStats((light > 0.15 * sheet.paper).view(np.uint8), connectivity=8)
    height = stats[:, cv2.CC_STAT_HEIGHT]
    letter = (height >= LETTER_INCHES * sheet.dpi) & (height <= 0.4 * sheet.dpi) & (stats[:, cv2.CC_STAT_AREA] >= 6)
    letter[0] = False
    rows, columns = sheet.ground.shape
    return np.minimum((middle[letter] / 2).astype(np.int64), (columns - 1, rows - 1))


def _holes(sheet: _Sheet) -> Bits | None:
    """Punch holes: solid dark discs of 4 to 10 mm in the margin."""
    rows, columns = sheet.ground.shape
    dpi = sheet.dpi / 2
    half = cv2.resize(sheet.gray, (columns, rows), interpolation=cv2.INTER_AREA)
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (_odd(0.12 * dpi),) * 2)
    dark = (half < 0.5 * sheet.paper).view(np.uint8)
    solid = cv2.morphologyEx(dark, cv2.MORPH_OPEN, disc)
    if not solid.any():
        return None
    count, labels, stats, _ = cv2.connectedComponentsWithStats(solid, connectivity=8)
    near, far = (np.ones((_odd(inches * dpi),) * 2, np.uint8) for inches in (0.06, 0.2))
    discs = []
    for number in range(1, count):
        x, y, width, height, area = stats[number]
        size = max(width, height) / dpi
        margin = min(x, y, columns - x - width, rows - y - height) / dpi
        round_ = min(width, height) > 0.75 * max(width, height) and 0.66 <= area / (width * height) <= 0.88
        if 0.14 <= size <= 0.42 and 0.06 <= margin < 0.7 and round_:
            part = (labels == number).view(np.uint8)
            around: Bits = cv2.dilate(part, far) - cv2.dilate(part, near)
            # A hole stands alone; a disc in a drawing does not.
            if int((around & dark).sum()) <= 0.03 * int(around.sum()):
                discs.append(part)
    cover = _wordless(sheet, discs)
    return None if cover is None else cv2.dilate(cover, np.ones((3, 3), np.uint8))


SLIVER = 0.08
"""Of the width: what shows of the page beside this one."""


def _slivers(sheet: _Sheet) -> Bits | None:
    """A strip of the page beside this one: lines cut off by the edge of the picture, with a gap before our own text."""
    rows, columns = sheet.marks.shape
    boxes = sheet.letters()
    if len(boxes) < 40:
        return None
    cover: Bits = np.zeros(sheet.ground.shape, np.uint8)
    taken = sheet.marks.sum(0) > 0
    gap = round(0.1 * sheet.dpi)
    limit = round(SLIVER * columns)
    for left in (True, False):
        inked = taken if left else taken[::-1]
        start = boxes[:, 0] if left else columns - boxes[:, 0] - boxes[:, 2]
        cut = boxes[start <= 1]
        if len(cut) < 6 or int(cut[:, 1].max() - cut[:, 1].min()) < 0.25 * rows:
            continue
        free = np.flatnonzero(np.convolve(inked[: limit + gap], np.ones(gap), "valid") == 0)
        if not len(free):
            continue
        end = int(free[0])
        within = boxes[start < end]
        # A line is cut through a letter, or between two.
        if end and _height(cut) >= 0.3 * _height(within):
            strip = np.arange(cover.shape[1]) < (end + gap // 2) // 2
            cover |= (strip if left else strip[::-1]).view(np.uint8)
    return cover if cover.any() else None


def _height(boxes: NDArray[np.int32]) -> int:
    """Rows that any of the boxes reaches into."""
    rows = np.zeros(int((boxes[:, 1] + boxes[:, 3]).max(initial=0)), np.bool_)
    for y, height in zip(boxes[:, 1].tolist(), boxes[:, 3].tolist(), strict=True):
        rows[y : y + height] = True
    return int(rows.sum())


FINER = 4
"""Outlines run through the middle of pixels: of smaller ones, so that little of the part is left out."""


def _polygons(cover: Bits) -> list[Polygon]:
    """The outlines of the parts, as shares of the page."""
    rows, columns = cover.shape
    finer = cv2.resize(cover, (columns * FINER, rows * FINER), interpolation=cv2.INTER_NEAREST)
    return [
        tuple(
            (round((float(x) + 0.5) / (columns * FINER), 4), round((float(y) + 0.5) / (rows * FINER), 4))
            for x, y in outline
        )
        for outline in _outlines(finer, 0)
    ]


def _outlines(cover: Bits, top: int) -> list[NDArray[Any]]:
    """Corners of each part, in pixels. A part around a hole (a frame) is cut in two through the hole."""
    outlines, tree = cv2.findContours(cover, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE)
    if not len(outlines):
        return []
    inner = [outline for outline, (_, _, _, parent) in zip(outlines, tree[0], strict=True) if parent >= 0]
    for hole in inner:
        if cv2.contourArea(hole) > 100 * FINER**2:
            _, y, _, height = cv2.boundingRect(hole)
            middle = y + height // 2
            return _outlines(cover[: middle + 1], top) + _outlines(cover[middle:], top + middle)
    outer = [outline for outline, (_, _, _, parent) in zip(outlines, tree[0], strict=True) if parent < 0]
    simple = [cv2.approxPolyDP(outline, FINER, closed=True)[:, 0] for outline in outer]
    return [corners + np.array([0, top], np.int32) for corners in simple if len(corners) >= 3]


# Lines


@dataclass(frozen=True, slots=True)
class _Lines:
    """How the lines of a page run."""

    skew: float
    contrast: float
    doubt: float
    """Half the width of the peak, in degrees."""


STRIP = 16
"""Columns that are taken as one when lines are tried at an angle: at 10° they drop by 3 pixels across."""
COARSE = np.arange(-MAX_SKEW, MAX_SKEW + 0.01, 0.5)
"""Angles to try first."""


def _lines(marks: Bits, scores: NDArray[np.float64]) -> _Lines:
    """The angle at which the rows' ink varies most from row to row (Postl's criterion), to about 0.05°.

    The page is cut into upright strips, each summed across; trying an angle is shifting the strips against each other.
    `scores` are those of the coarse angles."""
    first = float(COARSE[scores.argmax()])
    contrast = _contrast(scores)
    # Each row twice, and smoothed: else level lines fit the pixels better than any others, and 0.2° is taken for 0.
    strips = np.pad(np.repeat(_strips(marks), 2, axis=1), ((0, 0), (2, 2)))
    strips = strips[:, :-4] + 4 * strips[:, 1:-3] + 6 * strips[:, 2:-2] + 4 * strips[:, 3:-1] + strips[:, 4:]
    angles = np.arange(first - 1, first + 1.01, 0.1)
    scores = _scores(strips, angles, 2 * STRIP)
    best = int(scores.argmax())
    skew = float(angles[best])
    if 0 < best < len(angles) - 1:
        before, at, after = scores[best - 1 : best + 2]
        bend = before - 2 * at + after
        if bend < 0:
            skew += 0.05 * float((before - after) / bend)
    low = scores.min()
    near = angles[scores > low + 0.7 * (scores.max() - low)]
    return _Lines(skew, contrast, float(near[-1] - near[0]) / 2)


def _coarse(marks: Bits) -> NDArray[np.float32]:
    """The strips at half the resolution."""
    rows, columns = marks.shape
    even = marks[: rows // 2 * 2, : columns // 2 * 2]
    return _strips(even[::2, ::2] + even[1::2, ::2] + even[::2, 1::2] + even[1::2, 1::2])


def _strips(marks: Bits) -> NDArray[np.float32]:
    """(strips, rows)"""
    rows, columns = marks.shape
    count = columns // STRIP
    summed = marks[:, : count * STRIP].reshape(rows, count, STRIP).sum(2, dtype=np.float32)
    return np.ascontiguousarray(summed.T)


def _scores(strips: NDArray[np.float32], angles: NDArray[np.float64], width: float) -> NDArray[np.float64]:
    """Postl's criterion at each angle; `width` of a strip, in rows."""
    count, rows = strips.shape
    places = (np.arange(count) + 0.5 - count / 2) * width
    reach = math.ceil(math.tan(math.radians(float(np.abs(angles).max()))) * count / 2 * width) + 2
    padded = np.pad(strips, ((0, 0), (reach, reach)))
    scores = np.zeros(len(angles))
    summed = np.empty(rows, np.float32)
    for number, angle in enumerate(angles):
        shifts = np.rint(math.tan(math.radians(float(angle))) * places).astype(np.int64) + reach
        summed[:] = 0
        for strip, shift in zip(padded, shifts.tolist(), strict=True):
            summed += strip[shift : shift + rows]
        steps = np.diff(summed)
        scores[number] = float(steps @ steps)
    return scores


def _contrast(scores: NDArray[np.float64]) -> float:
    """How much the lines stand out at their own angle."""
    return float(scores.max() / max(float(np.median(scores)), 1e-9))


# Orientation

MIN_LETTERS = 12
"""Fewer say nothing, and a wrong turn is worse than none."""


def _orientation(sheet: _Sheet, verify: Ask | None) -> tuple[int, str, _Lines | None]:
    """(degrees clockwise, why, the lines of the page so turned)."""
    if len(sheet.letters()) < MIN_LETTERS:
        return 0, "", None
    along, across = (_scores(_coarse(marks), COARSE, STRIP) for marks in (sheet.marks, _turned(sheet.marks, 90)))
    level, upright = _contrast(along), _contrast(across)
    # The dots of leaders stand one below the other, and on a page of contents stand out more than its lines do. Ascenders and
    # descenders are not deceived: they outweigh each other by 8 to 15 standard errors there, by 1 at most on pages that lie.
    sideways = (
        upright >= LINES_CONTRAST and upright > 1.5 * level and abs(_ups(sheet.marks, 0.0, sheet.dpi)) < VERY_SURE_UPS
    )
    turn = 90 if sideways else 0
    marks = _turned(sheet.marks, turn)
    lines = _lines(marks, across if sideways else along)
    ups = _ups(marks, lines.skew if lines.doubt < SURE_SKEW else 0.0, sheet.dpi)
    clear = sideways or level >= upright or upright < LINES_CONTRAST
    if not sideways and clear and ups >= SURE_UPS:
        return 0, "", lines
    further, confidence = verify(turn) if verify is not None else (0, 0.0)
    lines_run = "its lines run from top to bottom; " if sideways else ""
    if further in (90, 270):
        if sideways or clear or confidence < VERIFIED:
            return _by_letters(turn, ups, lines_run, lines)
        said = f"Tesseract's orientation detection says so (confidence {confidence:.1f})"
        return (turn + further) % 360, said, _lines(_turned(marks, further), across)
    flipped = further == 180
    agreed = (ups < 0) == flipped and abs(ups) >= SURE_UPS
    if confidence >= VERIFIED or (agreed and confidence >= VERIFIED_WITH_LETTERS):
        letters = " and so do ascenders and descenders" if agreed else ""
        said = f"{lines_run}Tesseract's orientation detection says so (confidence {confidence:.1f}){letters}"
        return (turn + further) % 360, said if (turn + further) % 360 else "", lines
    return _by_letters(turn, ups, lines_run, lines)


SURE_UPS = 1.5
"""Standard errors by which the ascenders outweigh the descenders: 4 to 11 on pages of running text, 1 to 3 on some sans
serifs, 0 where all are capitals. No page of 66 had it below 0 while upright."""
VERY_SURE_UPS = 4.0
"""... for the letters alone to turn a page upside down."""


def _by_letters(turn: int, ups: float, lines_run: str, lines: _Lines) -> tuple[int, str, _Lines]:
    """What ascenders and descenders say, with nobody to confirm it."""
    if ups <= -(SURE_UPS if turn else VERY_SURE_UPS):
        return (turn + 180) % 360, f"{lines_run}more strokes reach below the lines than above them", lines
    return turn, f"{lines_run}more strokes reach above the lines than below them" if turn else "", lines


def _ups(marks: Bits, skew: float, dpi: float) -> float:
    """By how many standard errors the ink above the x-height outweighs that below the baseline, over the lines.

    Latin, Greek and Cyrillic letters rise above the line three times as often as they hang below it."""
    if abs(skew) >= 0.15:
        rows, columns = marks.shape
        turn = cv2.getRotationMatrix2D((columns / 2, rows / 2), skew, 1.0)
        marks = cv2.warpAffine(marks, turn, (columns, rows), flags=cv2.INTER_NEAREST)
    words = cv2.morphologyEx(marks, cv2.MORPH_CLOSE, np.ones((1, _odd(0.13 * dpi)), np.uint8))
    _, stats = _parts(words)
    width, height = stats[:, cv2.CC_STAT_WIDTH], stats[:, cv2.CC_STAT_HEIGHT]
    line = (height >= 0.06 * dpi) & (height <= 0.36 * dpi) & (width >= 0.3 * dpi) & (width >= 3 * height)
    line[0] = False
    votes, weights = [], []
    for x, y, across, down, _ in stats[line]:
        ink = marks[y : y + down, x : x + across].sum(1, dtype=np.float64)
        band = np.flatnonzero(ink >= 0.5 * ink.max())
        # One line that ran into another must not outvote the rest.
        votes.append(float(np.clip((ink[: band[0]].sum() - ink[band[-1] + 1 :].sum()) / ink.sum(), -0.2, 0.2)))
        weights.append(min(float(across), 3 * dpi))
    if len(votes) < 2:
        return 0.0
    vote, weight = np.array(votes), np.array(weights)
    mean = float((vote * weight).sum() / weight.sum())
    spread = math.sqrt(float((weight * (vote - mean) ** 2).sum() / weight.sum()))
    lines = float(weight.sum() ** 2 / (weight**2).sum())
    return mean / max(spread / math.sqrt(lines), 0.002)
