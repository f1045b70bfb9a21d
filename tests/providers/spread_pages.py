"""Scans of two pages, made of two real ones, and landscape pages that are none: `spread` and the functions below it.

Everything is drawn at 150 dpi in gray; random parts follow from `seed`.
"""

from __future__ import annotations

import functools
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from providers import pages

SAMPLE = Path(__file__).parents[2] / "samples" / "a-day-at-a-time-scan.pdf"
DPI = 150
TEXT_PAGES = (8, 9, 10, 11, 12, 13, 14, 15)
"""Physical pages of the sample that are full of text."""


@functools.cache
def page(number: int) -> Image.Image:
    """A page of the sample."""
    return Image.fromarray(pages.render(SAMPLE, "pdf", number - 1, dpi=DPI).pixels)


def blank() -> Image.Image:
    return Image.new("L", page(TEXT_PAGES[0]).size, 245)


def spread(
    left: Image.Image,
    right: Image.Image,
    *,
    seed: int = 0,
    shadow: float = 0.5,
    slant: float = 0.0,
    cut: tuple[int, int, int, int] = (0, 0, 0, 0),
    fold: bool = True,
) -> tuple[Image.Image, float]:
    """Two pages side by side and where their gutter is, as a share of the width.

    Args:
        shadow: how dark the gutter is, 0 to 1.
        slant: degrees by which the whole is turned.
        cut: pixels that are missing: left edge, inner margin of the left page, of the right page, right edge.
        fold: whether a thin dark line shows where the pages meet.
    """
    rng = np.random.default_rng(seed)
    height = min(left.height, right.height)
    left = left.crop((cut[0], 0, left.width - cut[1], height))
    right = right.crop((cut[2], 0, right.width - cut[3], height))
    both = np.concatenate((np.asarray(left, np.float32), np.asarray(right, np.float32)), axis=1)
    gutter = left.width
    away = np.abs(np.arange(both.shape[1]) - gutter)
    both *= 0.94 * (1 - shadow * np.exp(-away / 18.0))[None, :]
    if fold:
        both[:, gutter - 1 : gutter + 1] *= 0.6
    both += rng.normal(0, 6, both.shape)
    image = Image.fromarray(np.clip(both, 0, 255).astype(np.uint8))
    if slant:
        image = image.rotate(slant, resample=Image.Resampling.BILINEAR, fillcolor=235)
    return image, gutter / image.width


def font(size: int) -> ImageFont.ImageFont | ImageFont.FreeTypeFont:
    return ImageFont.load_default(size)


def sheet(width: int = 1650, height: int = 1275) -> tuple[Image.Image, ImageDraw.ImageDraw]:
    image = Image.new("L", (width, height), 245)
    return image, ImageDraw.Draw(image)


TEXT = (
    "the plates of this volume were drawn from nature and cut in wood by the hands of several masters whose names "
    "are given below each of them with the year in which the work was done and the place where it now is kept"
)
WORDS = TEXT.split()


def wide_page() -> Image.Image:
    """One landscape page of text over its whole width."""
    image, draw = sheet()
    for number in range(40):
        line = " ".join(WORDS[(number * 7 + at) % len(WORDS)] for at in range(26))
        draw.text((150, 120 + 26 * number), line[: 150 - number % 9], font=font(18), fill=20)
    return image


def two_columns(gap: int = 60, margin: int = 160, title: bool = False, rule: bool = False) -> Image.Image:
    """One landscape page in two columns."""
    image, draw = sheet()
    if rule:
        draw.line((image.width // 2, 130, image.width // 2, 1140), fill=40, width=3)
    column = (image.width - 2 * margin - gap) // 2
    if title:
        draw.text((image.width // 2 - 220, 60), "A Title over both Columns", font=font(36), fill=20)
    for left in (margin, margin + column + gap):
        for number in range(38):
            text = " ".join(WORDS[(number * 5 + at + left) % len(WORDS)] for at in range(14))
            while draw.textlength(text, font=font(18)) > column:
                text = text[:-1]
            draw.text((left, 140 + 26 * number), text, font=font(18), fill=20)
    return image


def table(rules: bool) -> Image.Image:
    """A landscape table of eight columns."""
    image, draw = sheet()
    for row in range(34):
        for column in range(8):
            text = WORDS[(row * 3 + column) % len(WORDS)] if column == 0 else f"{(row * 37 + column * 101) % 9973}"
            draw.text((140 + 175 * column, 140 + 30 * row), text, font=font(18), fill=20)
    if rules:
        for column in range(9):
            draw.line((130 + 175 * column, 130, 130 + 175 * column, 1160), fill=20, width=2)
        for row in range(35):
            draw.line((130, 135 + 30 * row, 1530, 135 + 30 * row), fill=20, width=2)
    return image


def plate(seed: int = 3) -> Image.Image:
    """A picture over the page, a caption centred below."""
    rng = np.random.default_rng(seed)
    image, draw = sheet()
    small = rng.integers(30, 230, (24, 36)).astype(np.uint8)
    image.paste(Image.fromarray(small).resize((1300, 900), Image.Resampling.BICUBIC), (175, 120))
    draw.text((600, 1080), "Plate XIV. The harbour from the south", font=font(22), fill=20)
    return image


def slide() -> Image.Image:
    """A slide as an image: a title on the left, points on both sides."""
    image, draw = sheet(1600, 900)
    draw.text((120, 60), "Where we are", font=font(64), fill=20)
    for side in (120, 900):
        for number in range(7):
            text = " ".join(WORDS[(number * 3 + at + side) % len(WORDS)] for at in range(4))
            draw.text((side, 220 + 85 * number), f"- {text}", font=font(40), fill=20)
    return image


def centred() -> Image.Image:
    """A landscape page with a few centred lines."""
    image, draw = sheet()
    for number in range(14):
        text = " ".join(WORDS[(number + at) % len(WORDS)] for at in range(4 + number % 4))
        length = draw.textlength(text, font=font(24))
        draw.text(((image.width - length) / 2, 300 + 40 * number), text, font=font(24), fill=20)
    return image


def sideways(number: int) -> Image.Image:
    """A page of the sample that lies on its side."""
    return page(number).rotate(90, expand=True)


def gray(image: Image.Image, height: int) -> NDArray[np.uint8]:
    """As the detection sees it."""
    size = (round(image.width * height / image.height), height)
    return np.asarray(image.convert("L").resize(size, Image.Resampling.BOX), np.uint8)
