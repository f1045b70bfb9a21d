"""What goes wrong when a page is scanned, done to a good picture of one (gray pixels at 300 dpi)."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Gray = NDArray[Any]


def skewed(pixels: Gray, degrees: float, beside: int = 255) -> Gray:
    """Turned clockwise, on a sheet of the same size."""
    rows, columns = pixels.shape
    turn = cv2.getRotationMatrix2D((columns / 2, rows / 2), -degrees, 1)
    return cv2.warpAffine(pixels, turn, (columns, rows), flags=cv2.INTER_LINEAR, borderValue=beside)


def in_gray(pixels: Gray, paper: int = 225, ink: int = 40, noise: float = 6) -> Gray:
    """As a gray scan has it: soft edges, and paper that is not white."""
    soft = cv2.GaussianBlur(pixels, (0, 0), 1.0).astype(np.float32) / 255
    grain = np.random.default_rng(1).normal(0, noise, pixels.shape)
    return np.clip(ink + soft * (paper - ink) + grain, 0, 255).astype(np.uint8)


def bordered(pixels: Gray, left: int = 60, top: int = 40, right: int = 90, bottom: int = 30, black: int = 15) -> Gray:
    """With the scanner's black lid around the sheet, outside of it."""
    return cv2.copyMakeBorder(pixels, top, bottom, left, right, cv2.BORDER_CONSTANT, value=black)


def askew_on_black(pixels: Gray, degrees: float) -> Gray:
    """The sheet lay askew on a black ground: wedges along its edges."""
    return skewed(bordered(pixels, 120, 120, 120, 120, 12), degrees, beside=12)


def with_finger(pixels: Gray, left: bool = True, at: float = 0.6, skin: int = 140) -> Gray:
    """A thumb that holds the page open."""
    rows, columns = pixels.shape
    shape = np.zeros_like(pixels)
    cv2.ellipse(shape, (0 if left else columns, int(at * rows)), (150, 110), 0, 0, 360, 255, -1)
    share = cv2.GaussianBlur(shape, (0, 0), 5).astype(np.float32) / 255
    grain = np.random.default_rng(2).normal(0, 5, pixels.shape)
    return np.clip(pixels * (1 - share) + (skin + grain) * share, 0, 255).astype(np.uint8)


def punched(pixels: Gray) -> Gray:
    holed = pixels.copy()
    for share in (0.25, 0.75):
        cv2.circle(holed, (90, int(share * pixels.shape[0])), 40, 20, -1)
    return holed


def beside(pixels: Gray, other: Gray, width: int = 90) -> Gray:
    """With a strip of the facing page at the right edge."""
    whole = pixels.copy()
    whole[:, -width:] = np.minimum(whole[:, -width:], other[: pixels.shape[0], 300 : 300 + width])
    return whole


def shown_through(behind: Gray, strength: float = 0.2, paper: int = 225) -> Gray:
    """An empty page of thin paper with the print of the other side behind it."""
    soft = cv2.GaussianBlur(behind[:, ::-1], (0, 0), 3).astype(np.float32) / 255
    grain = np.random.default_rng(3).normal(0, 4, behind.shape)
    return np.clip(paper * (1 - strength * (1 - soft)) + grain, 0, 255).astype(np.uint8)


def specked(pixels: Gray, specks: int = 4000) -> Gray:
    dirty = pixels.copy()
    chance = np.random.default_rng(4)
    ys, xs = chance.integers(0, pixels.shape[0] - 2, specks), chance.integers(0, pixels.shape[1] - 2, specks)
    for size in (0, 1):
        dirty[ys + size, xs] = dirty[ys, xs + size] = 0
    return dirty


def foxed(pixels: Gray) -> Gray:
    """Brown spots of old paper."""
    chance = np.random.default_rng(5)
    spots = np.zeros_like(pixels)
    for _ in range(40):
        place = (int(chance.integers(0, pixels.shape[1])), int(chance.integers(0, pixels.shape[0])))
        cv2.circle(spots, place, int(chance.integers(3, 20)), 40, -1)
    return cv2.subtract(pixels, cv2.GaussianBlur(spots, (0, 0), 3))
