"""Figures on drawn pages: pictures are found; text, frames, grounds and shadows are not."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from providers.pdf import PdfReader
from providers.source import LeafSource
from providers.structure.figures import DPI, figures
from schemas.reading import Box
from tests.e2e.machine import SAMPLE

WIDTH, HEIGHT = 360.0, 540.0
SCALE = DPI / 72


def paper() -> NDArray[np.uint8]:
    return np.full((int(HEIGHT * SCALE), int(WIDTH * SCALE)), 245, dtype=np.uint8)


def area(box: Box) -> tuple[slice, slice]:
    x0, y0, x1, y1 = (int(value * SCALE) for value in box)
    return slice(y0, y1), slice(x0, x1)


def draw_text(pixels: NDArray[np.uint8]) -> list[Box]:
    """Thirty lines, as grey as letters are at this resolution."""
    boxes: list[Box] = [(40.0, 40.0 + 16 * row, 320.0, 50.0 + 16 * row) for row in range(30)]
    noise = np.random.default_rng(3)
    for box in boxes:
        part = area(box)
        pixels[part] = noise.integers(60, 250, size=pixels[part].shape, dtype=np.uint8)
    return boxes


def test_a_page_of_text_has_none() -> None:
    pixels = paper()
    assert figures(pixels, WIDTH, HEIGHT, draw_text(pixels)) == []


def test_a_photograph_and_a_drawing_among_text() -> None:
    pixels = paper()
    text = [box for box in draw_text(pixels) if box[3] < 200 or box[1] > 460]
    pixels[area((0, 195, WIDTH, 460))] = 245
    photograph, drawing = (40.0, 210.0, 200.0, 330.0), (220.0, 210.0, 320.0, 330.0)
    part = area(photograph)
    pixels[part] = np.random.default_rng(5).integers(20, 230, size=pixels[part].shape, dtype=np.uint8)
    for offset in range(0, 100, 9):
        pixels[area((220 + offset, 210, 222 + offset, 330))] = 90
    found = figures(pixels, WIDTH, HEIGHT, text)
    assert len(found) == 2
    for box, wanted in zip(sorted(found), (photograph, drawing), strict=True):
        assert box == pytest.approx(wanted, abs=8)


def test_frames_rules_grounds_and_shadows_are_no_figures() -> None:
    pixels = paper()
    text = draw_text(pixels)
    pixels[area((20, 20, 340, 22))] = pixels[area((20, 516, 340, 518))] = 30
    pixels[area((20, 20, 22, 518))] = pixels[area((338, 20, 340, 518))] = 30
    pixels[:, :6] = 10  # beside the page
    assert figures(pixels, WIDTH, HEIGHT, text) == []
    ground = paper()
    ground[area((40, 60, 320, 110))] = 120
    assert figures(ground, WIDTH, HEIGHT, [(60.0, 80.0, 150.0, 90.0)]) == []


async def test_the_pool_finds_none_on_a_scan_of_text() -> None:
    reader = PdfReader()
    try:
        leaf = LeafSource(path=str(SAMPLE), kind="pdf", index=4, page=5, book="sample")
        # The lines of the page as one box: what is left over is dirt.
        assert await reader.figures(leaf, [(40.0, 30.0, 356.0, 590.0)], 30.0) == []
        (whole,) = await reader.figures(leaf, [], 30.0)
    finally:
        await reader.close()
    assert whole[0] < 60
    assert whole[3] > 540
