"""Is this page a scan of two, and where is the gutter?

Looked at are landscape pages that are pictures and nothing else; a page of a book is upright, so two of them side by side
are wider than high. A page is split where all of this holds, and stays whole in doubt:

- text lines run horizontally, some on the left and some on the right, and are as small as a book's;
- near the middle nothing crosses a straight, possibly slanted band, which is the widest gap between the two texts and
  about as wide as the two outer margins together, or narrower and dark along a fold.

So tables, plates, maps and single wide pages stay whole: their lines cross the middle, or their columns stand as far from
each other as everywhere else. Where most landscape pages of a source are spreads, one of the same shape whose middle is
empty (a chapter's end beside a blank page, a plate on one side) is taken for one too.

Assumed of the steps that prepare an image for reading (`providers/image_steps.py`): they come later, and see the halves.
A portrait page that lies on its side is landscape as well; its lines run vertically, so it is left to them.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Mask = NDArray[np.bool_]
    Profile = NDArray[np.float64]

LANDSCAPE = 1.15
"""Width by height from which a page may be two. Two narrow pages (2:3) make 1.33, two square ones 2."""
WIDEST = 2.2
LOOK_HEIGHT = 560
"""Pixels: about 60 dpi of a book, a line and its gap of 40 lines a page are 13 pixels high."""

PALE = 0.8
"""Ink is darker than this share of the paper around it."""
PAPER_BLOCK = (56, 4)
"""Pixels, height and width: some lines of text high, and so narrow that the shadow of a gutter is paper."""
PICTURE = 0.7
"""A column whose paper is so much darker in some places than in others runs through a picture."""
EDGE = 0.05
"""Of the height, above and below: edges of the book and of the scanner's bed are no print."""
SPECKS = 0.007
"""Of the height: as much ink in a column is dirt."""
THIN = 0.006
"""Of the width: less is a line and no letter."""
FOLD = 0.4
"""Of the height: as much ink in a column is a fold or an edge; print covers a fifth of it."""

MIDDLE = (0.37, 0.63)
"""Of the width: where a gutter may be."""
SLANTS = tuple(step / 2 for step in range(-6, 7))
"""Degrees."""
NARROWEST_GAP = 0.015
"""Of the width; inner margins of a tight binding."""
MARGINS = 0.65
"""A gutter without a fold is at least so wide, as a share of both outer margins together."""
WIDER = 1.25
"""Than any other gap between the texts."""

FEWEST_LINES, FEW_LINES = 5, 12
"""On the emptier side, on the fuller one. A slide has fewer."""
LINE_HEIGHT = 0.024
"""Of the page height: the most that the body of a line measures. A slide's are higher."""
SHADOW = 0.94
"""A fold is darker than this share of the paper beside it."""

SURE = 0.5
MOST = 0.5
"""Share of the landscape pages that are spreads from which the unsure ones are looked at in their light."""
LIKE = 0.06
"""Relative difference of shape that pages of one book have."""


@dataclass(frozen=True, slots=True)
class Spread:
    """What was found out about one landscape page."""

    at: float
    """Where the gutter is, as a share of the width; the middle where none was found."""
    sure: bool
    why: str
    """In a few words, for people."""
    confidence: float = 0.0
    gaps: tuple[tuple[float, float], ...] = ()
    """Bands near the middle that nothing crosses, as shares of the width, each at the slant that makes it widest."""


def decide(files: Sequence[tuple[Path, str, int]], *, always: bool = False) -> list[tuple[int, int, float | None, str]]:
    """Every landscape page of a source: (file, page in it, where to split or None, why), numbers 0-based.

    Args:
        files: (path, kind, pages).
        always: split each of them, also born-digital ones; in the middle where no gutter is found.
    """
    from providers import pages

    found: list[tuple[int, int, float, Spread]] = []
    for number, (path, kind, _) in enumerate(files):
        for index, width, height in pages.landscape_pages(path, kind, LANDSCAPE, scans_only=not always):
            raster = pages.render(path, kind, index, dpi=LOOK_HEIGHT * 72 / height)
            found.append((number, index, width / height, look(raster.pixels)))
    decided = []
    for number, index, shape, spread in found:
        at, why = _in_context(shape, spread, [(shape, other) for _, _, shape, other in found])
        name = f"of page {index + 1} of {files[number][0].name}"
        if at is None and always:
            at, why = spread.at, f"{name}, split as asked"
        elif at is not None:
            why = f"{name}, split at {at:.1%}: {why}"
        else:
            why = f"landscape, not split: {why}"
        decided.append((number, index, at, why))
    return decided


def _in_context(shape: float, spread: Spread, all_pages: Sequence[tuple[float, Spread]]) -> tuple[float | None, str]:
    """(where to split or None, why), with what the other landscape pages say."""
    if spread.sure:
        return spread.at, f"{spread.why} (confidence {spread.confidence:.2f})"
    alike = [other for its_shape, other in all_pages if abs(its_shape / shape - 1) <= LIKE]
    sure = [other.at for other in alike if other.sure]
    if len(sure) < 2 or len(sure) < MOST * len(alike):
        return None, spread.why
    usual = statistics.median(sure)
    for left, right in spread.gaps:
        if left + NARROWEST_GAP / 2 <= usual <= right - NARROWEST_GAP / 2:
            return usual, "nothing crosses the gutter of the other spreads"
    return None, spread.why


def look(pixels: NDArray[np.uint8]) -> Spread:
    """One landscape page.

    Args:
        pixels: gray, about LOOK_HEIGHT high.
    """
    import numpy as np

    height, width = pixels.shape
    if not LANDSCAPE <= width / height <= WIDEST:
        return Spread(0.5, False, "not the shape of two pages")
    paper = _paper(pixels)
    ink = pixels < PALE * paper
    ink[: round(EDGE * height)] = ink[height - round(EDGE * height) :] = False
    ink &= ~_long_runs(ink, round(0.06 * width))
    rows, columns = np.nonzero(ink)
    if not len(rows):
        return Spread(0.5, False, "nothing on it", gaps=((0.0, 1.0),))
    gap, slant, gaps = _widest_gap(rows, columns, paper)
    if gap is None:
        return Spread(0.5, False, "print or a picture crosses the middle")
    first, last = gap
    at, fold = _fold(pixels, slant, first, last)
    share = (at + 0.5) / width
    sides = [ink[:, :first], ink[:, last + 1 :]]
    if not all(side.any() for side in sides):
        return Spread(share, False, "print on one side only", gaps=gaps)
    if not all(_runs_across(side) for side in sides):
        return Spread(share, False, "no lines of text on both sides, or they run upwards", gaps=gaps)
    counts = sorted(_lines(side) for side in sides)
    if counts[0] < FEWEST_LINES or counts[1] < FEW_LINES:
        return Spread(share, False, "too few lines of text, or too large ones", gaps=gaps)
    text = _print_columns(rows, columns, slant, paper)
    breadth = (last - first + 1) / width
    outer = (int(text.argmax()) + int(text[::-1].argmax())) / width
    other = max((end - begin + 1 for begin, end in _inner_gaps(text) if end < first or begin > last), default=0) / width
    if not fold and breadth < MARGINS * outer:
        return Spread(share, False, "the gap is one between columns: narrow beside the outer margins", gaps=gaps)
    if not fold and breadth < WIDER * other:
        return Spread(share, False, "there are gaps as wide beside the middle", gaps=gaps)
    confidence = (
        0.35 * min(1.0, breadth / 0.05)
        + 0.25 * min(1.0, breadth / (outer + 0.01))
        + 0.25 * fold
        + 0.15 * counts[0] / counts[1]
    )
    why = f"two texts with a gap of {breadth:.1%} between them" + (" and a fold in it" if fold else "")
    return Spread(share, confidence >= SURE, why, round(confidence, 2), gaps)


def _paper(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Brightness of the paper around each pixel: scans are shaded, most of all along the gutter."""
    import numpy as np
    from PIL import Image

    (height, width), (tall, wide) = pixels.shape, PAPER_BLOCK
    rows, columns = -(-height // tall), -(-width // wide)
    padded = np.pad(pixels, ((0, rows * tall - height), (0, columns * wide - width)), mode="edge")
    blocks = padded.reshape(rows, tall, columns, wide).swapaxes(1, 2).reshape(rows, columns, -1)
    bright = np.percentile(blocks, 85, axis=2).astype(np.float32)
    smooth = Image.fromarray(bright).resize((padded.shape[1], padded.shape[0]), Image.Resampling.BILINEAR)
    return np.asarray(smooth)[:height, :width]


def _pictured(paper: NDArray[np.float32], slant: float) -> Mask:
    """Whether each slanted column runs through a picture: a shadow darkens it from top to bottom, a picture a part."""
    import numpy as np

    height, width = paper.shape
    rows = np.arange(round(EDGE * height), height - round(EDGE * height), 10)
    shift = np.rint((rows - height / 2) * np.tan(np.radians(slant))).astype(np.int64)
    columns = np.clip(np.arange(width)[None, :] - shift[:, None], 0, width - 1)
    dark, bright = np.percentile(paper[rows[:, None], columns], (15, 85), axis=0)
    result: Mask = dark < PICTURE * bright
    return result


def _long_runs(mask: Mask, length: int) -> Mask:
    """The pixels that lie in horizontal runs of at least `length`: rules, edges."""
    import numpy as np

    sums = np.cumsum(np.pad(mask, ((0, 0), (1, 0))), axis=1, dtype=np.int32)
    begins = np.pad(sums[:, length:] - sums[:, :-length] == length, ((0, 0), (0, length - 1)))
    begun = np.cumsum(np.pad(begins, ((0, 0), (length, 0))), axis=1, dtype=np.int32)
    result: Mask = begun[:, length:] > begun[:, :-length]
    return result


def _print_columns(
    rows: NDArray[np.int64], columns: NDArray[np.int64], slant: float, paper: NDArray[np.float32]
) -> Mask:
    """Whether each column, slanted, has print in it (more than specks, and less than a fold), or a picture."""
    import numpy as np

    height, width = paper.shape
    profile = np.bincount(_slanted(rows, columns, slant, height, width), minlength=width)
    result: Mask = (profile > SPECKS * height) & (profile < FOLD * height) | _pictured(paper, slant)
    for first, last in _gaps(result):
        # What is left of a fold lies thin between two empty bands; letters are wider.
        reach = 4 * (last - first + 1)
        beside = np.concatenate((result[max(0, first - reach) : first], result[last + 1 : last + 1 + reach]))
        if last - first < THIN * width and not beside.any():
            result[first : last + 1] = False
    return result


def _slanted(
    rows: NDArray[np.int64], columns: NDArray[np.int64], slant: float, height: int, width: int
) -> NDArray[np.int64]:
    """The columns after the page is sheared about its middle row so that what slants stands upright."""
    import numpy as np

    shift = np.rint((rows - height / 2) * np.tan(np.radians(slant))).astype(np.int64)
    result: NDArray[np.int64] = np.clip(columns + shift, 0, width - 1)
    return result


def _widest_gap(
    rows: NDArray[np.int64], columns: NDArray[np.int64], paper: NDArray[np.float32]
) -> tuple[tuple[int, int] | None, float, tuple[tuple[float, float], ...]]:
    """(first and last column of the widest gap near the middle over all slants, its slant, all such gaps as shares)."""
    width = paper.shape[1]
    best: tuple[int, int] | None = None
    best_slant = 0.0
    gaps: list[tuple[float, float]] = []
    for slant in sorted(SLANTS, key=abs):
        for first, last in _gaps(~_print_columns(rows, columns, slant, paper)):
            # Where a page is blank its gap reaches to the edge; what counts is how near it comes to the middle.
            near = first < MIDDLE[1] * width and last > MIDDLE[0] * width
            if not near or last - first + 1 < NARROWEST_GAP * width:
                continue
            gaps.append((first / width, (last + 1) / width))
            inside = MIDDLE[0] * width <= (first + last) / 2 <= MIDDLE[1] * width
            # A slant must pay for itself: a few pixels more are chance.
            if inside and (best is None or last - first > 1.08 * (best[1] - best[0])):
                best, best_slant = (first, last), slant
    return best, best_slant, tuple(gaps)


def _gaps(empty: Mask) -> list[tuple[int, int]]:
    """(first, last) of each run."""
    import numpy as np

    edges = np.flatnonzero(np.diff(np.concatenate(([0], empty.astype(np.int8), [0]))))
    return [(int(begin), int(end) - 1) for begin, end in zip(edges[::2], edges[1::2], strict=True)]


def _inner_gaps(text: Mask) -> list[tuple[int, int]]:
    """Gaps with print on both sides."""
    return [(first, last) for first, last in _gaps(~text) if first > 0 and last < len(text) - 1]


def _along(pixels: NDArray[np.uint8], slant: float, top: float, bottom: float) -> Profile:
    """Brightness of each slanted column, between print, from one share of the height to another."""
    import numpy as np

    height, width = pixels.shape
    rows = np.arange(round(top * height), round(bottom * height))
    shift = np.rint((rows - height / 2) * np.tan(np.radians(slant))).astype(np.int64)
    columns = np.clip(np.arange(width)[None, :] - shift[:, None], 0, width - 1)
    level = np.percentile(pixels[rows[:, None], columns], 70, axis=0)
    result: Profile = np.convolve(np.pad(level, 1, mode="edge"), np.ones(3) / 3, mode="valid")
    return result


def _fold(pixels: NDArray[np.uint8], slant: float, first: int, last: int) -> tuple[float, bool]:
    """(column of the gutter, whether a fold shows it). Without one it is the middle of the gap.

    A fold is dark up to an edge of the scan; a rule between columns ends with them."""
    import numpy as np

    def darkest(top: float, bottom: float) -> tuple[float, bool]:
        level = _along(pixels, slant, top, bottom)
        inside = level[first : last + 1]
        beside = max(1, round(0.1 * len(level)))
        around = np.concatenate((level[max(0, first - beside) : first], level[last + 1 : last + 1 + beside]))
        usual = float(np.percentile(around, 80)) if len(around) else float(inside.max())
        dark = np.flatnonzero(inside <= inside.min() + 0.1 * max(0.0, usual - inside.min()))
        return first + float(dark.mean()), bool(inside.min() < SHADOW * usual)

    at, dark = darkest(EDGE, 1 - EDGE)
    ends = [darkest(0.01, EDGE), darkest(1 - EDGE, 0.99)]
    if dark and any(there and abs(end - at) < 0.02 * pixels.shape[1] for end, there in ends):
        return at, True
    return (first + last) / 2, False


def _runs_across(side: Mask) -> bool:
    """Whether lines of text run across and not upwards: the ink alternates with the rows more than with the columns."""
    return _rhythm(side) > 1.15 * _rhythm(side.T)


def _rhythm(mask: Mask) -> float:
    """How strongly the ink alternates along the first axis, in strips narrow enough to bear a slant."""
    import numpy as np

    found = []
    for strip in _strips(mask):
        profile = strip.sum(axis=1).astype(np.float64)
        if profile.mean() < 0.02 * strip.shape[1]:
            continue
        smooth = np.convolve(np.pad(profile, 11, mode="edge"), np.ones(23) / 23, mode="valid")
        found.append(float((profile - smooth).std() / profile.mean()))
    return statistics.median(found) if found else 0.0


def _lines(side: Mask) -> int:
    """Number of lines of text, 0 where they are too high for a book's."""
    import numpy as np

    counts, heights = [], []
    for strip in _strips(side):
        profile = strip.sum(axis=1)
        if not profile.any():
            continue
        runs = [last - first + 1 for first, last in _gaps(profile > 0.25 * np.percentile(profile[profile > 0], 90))]
        runs = [run for run in runs if run >= 2]
        counts.append(len(runs))
        heights += runs
    if not counts or statistics.median(heights or [0]) > LINE_HEIGHT * side.shape[0]:
        return 0
    return round(statistics.median(sorted(counts)[-3:]))


def _strips(mask: Mask, number: int = 6) -> list[Mask]:
    """The inked part of a mask, cut along its second axis."""
    import numpy as np

    used = np.flatnonzero(mask.any(axis=0))
    if len(used) < 2 * number:
        return []
    return list(np.array_split(mask[:, used[0] : used[-1] + 1], number, axis=1))
