"""Pages of image files, by Pillow: checking, facts, decoding upright. Used through `providers/pages.py`."""

from __future__ import annotations

import contextlib
import functools
import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from providers.errors import Rejected
from providers.leaves import (
    DEFAULT_DPI,
    MAX_IMAGE_PIXELS,
    MAX_READABLE_INCHES,
    LeafFacts,
    Raster,
    first_line,
    identity,
    native_zoom,
    region_box,
    too_many_pixels,
    within_limit,
)
from schemas.errors import BadSource, SourceNotFound

if TYPE_CHECKING:
    from PIL import Image

IMAGE_FORMATS = ("TIFF", "JPEG", "PNG", "JPEG2000", "MPO")
"""Pillow's names; MPO is what some phones call a JPEG with a preview."""


@contextlib.contextmanager
def open_image(path: Path | str) -> Iterator[Image.Image]:
    """An image file with its header read and nothing decoded. Pillow's own limit is off: ours is checked instead."""
    import warnings

    from PIL import Image, ImageFile

    Image.MAX_IMAGE_PIXELS = None
    ImageFile.LOAD_TRUNCATED_IMAGES = False
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # odd EXIF blocks and tags are nobody's concern here
        with Image.open(path, formats=IMAGE_FORMATS) as image:
            yield image


def _frames(image: Image.Image) -> int:
    """Pages of an image file. Only TIFF has pages: an animated PNG or a phone's preview are one."""
    return int(getattr(image, "n_frames", 1)) if image.format == "TIFF" else 1


def check(path: Path) -> int:
    """The number of frames of an image that looks whole; BadSource otherwise."""
    try:
        with open_image(path) as image:
            frames = _frames(image)
            for index in range(frames):
                image.seek(index) if frames > 1 else None
                if image.width * image.height > MAX_IMAGE_PIXELS:
                    where = f"Page {index + 1} of {path}" if frames > 1 else str(path)
                    raise too_many_pixels(where, image.width, image.height)
                if not _looks_whole(path, image):
                    # Decoding takes long, so only what looks cut off is decoded for certainty.
                    image.load()
    except BadSource:
        raise
    except Exception as error:
        raise BadSource(
            f"{path} is damaged or truncated: {first_line(error)}.", "Copy, export or scan that page again."
        ) from error
    return frames


def _looks_whole(path: Path, image: Image.Image) -> bool:
    size = path.stat().st_size
    if image.format == "TIFF":
        tags = image.tag_v2  # type: ignore[attr-defined]
        for offsets, counts in ((273, 279), (324, 325)):  # strips, tiles
            if offsets in tags and counts in tags:
                return all(
                    start + length <= size
                    for start, length in zip(_tuple(tags[offsets]), _tuple(tags[counts]), strict=False)
                )
        return False
    with path.open("rb") as file:
        file.seek(max(0, size - 4096))
        tail = file.read()
    return (b"IEND" if image.format == "PNG" else b"\xff\xd9") in tail


def _tuple(value: Any) -> tuple[int, ...]:
    return tuple(value) if isinstance(value, tuple | list) else (int(value),)


@contextlib.contextmanager
def _frame(path: Path | str, index: int) -> Iterator[Image.Image]:
    """One frame, not yet decoded. Raises Rejected, also for what fails while it is open."""
    try:
        with open_image(path) as image:
            if index >= _frames(image):
                raise Rejected(f"{path} has no page {index + 1}, only {_frames(image)}")
            if index:
                image.seek(index)
            if image.width * image.height > MAX_IMAGE_PIXELS:
                raise Rejected(too_many_pixels(str(path), image.width, image.height).message)
            yield image
    except (Rejected, MemoryError):
        raise
    except FileNotFoundError as error:
        raise SourceNotFound(f"{path} does not exist.", "Check the path.") from error
    except Exception as error:
        raise Rejected(f"page {index + 1} of {path} cannot be decoded: {first_line(error)}") from error


_ROTATION = {3: 180, 4: 180, 5: 90, 6: 90, 7: 270, 8: 270}
"""EXIF orientation -> degrees clockwise that make it upright (the mirrored ones are mirrored as well)."""


def _orientation(image: Image.Image) -> int:
    from PIL import Image

    try:
        # Pillow decodes a whole PNG to see what stands behind its pixels, which is half of what looking at a page costs.
        decode = image.format != "PNG" or _said_at_the_end(image)
        exif = image.getexif() if decode else Image.Image.getexif(image)
        return int(exif.get(274, 1) or 1)
    except Exception:  # a broken EXIF block must not cost the page
        return 1


def _said_at_the_end(image: Image.Image) -> bool:
    """Whether a PNG has anything behind its pixels in which an orientation may stand."""
    with open(image.filename, "rb") as file:  # type: ignore[attr-defined]
        file.seek(len(b"\x89PNG\r\n\x1a\n"))
        pixels = False
        while len(head := file.read(8)) == 8:
            length, kind = int.from_bytes(head[:4], "big"), head[4:]
            if pixels and kind in (b"eXIf", b"iTXt", b"tEXt", b"zTXt"):
                return True
            pixels = pixels or kind == b"IDAT"
            file.seek(length + 4, 1)
    return False


def _image_points(image: Image.Image) -> tuple[float, float]:
    """(width, height) in points, upright. Resolutions under 100 dpi are what software writes that knows none."""
    dpi_x = dpi_y = DEFAULT_DPI
    declared = image.info.get("dpi")
    with contextlib.suppress(TypeError, ValueError, ZeroDivisionError):
        x, y = (float(value) for value in declared or ())
        if 100 <= x <= 4800 and 100 <= y <= 4800:
            dpi_x, dpi_y = x, y
    width, height = image.width / dpi_x * 72, image.height / dpi_y * 72
    return (height, width) if _orientation(image) in (5, 6, 7, 8) else (width, height)


def leaf_facts(path: Path | str, index: int) -> LeafFacts:
    """Facts of a frame; its hash is that of the file and the frame's number. Raises Rejected."""
    with _frame(path, index) as image:
        width, height = _image_points(image)
        return LeafFacts(
            width=width,
            height=height,
            rotation=_ROTATION.get(_orientation(image), 0),
            image_hash=hashlib.sha256(f"{_file_hash(identity(path))} {index}".encode()).hexdigest(),
            text_layer="none",
            reason="an image",
        )


def landscape_pages(path: Path | str, shape: float) -> list[tuple[int, float, float]]:
    """(index, width, height) in points of the frames that are so much wider than high. Raises Rejected."""
    with _frame(path, 0) as image:
        frames = _frames(image)
    found = []
    for index in range(frames):
        with _frame(path, index) as image:
            width, height = _image_points(image)
            if width >= shape * height:
                found.append((index, width, height))
    return found


@functools.lru_cache(maxsize=256)
def _file_hash(identity: tuple[str, int, int]) -> str:
    with open(identity[0], "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _upright(image: Image.Image, mode: str) -> Image.Image:
    """The frame decoded, in mode 'L' or 'RGB', over white where it is transparent, turned upright."""
    from PIL import Image, ImageOps

    orientation = _orientation(image)
    if image.mode.startswith(("I;16", "I", "F")):
        # Pillow's own conversion clips instead of scaling.
        import numpy as np

        values = np.asarray(image).astype(np.float32)
        top = 65535.0 if image.mode.startswith("I") and values.max(initial=0) > 255 else 255.0
        if image.mode == "F" and values.max(initial=0) <= 1.0:
            top = 1.0
        image = Image.fromarray((np.clip(values / top, 0, 1) * 255).astype(np.uint8))
    if "transparency" in image.info or image.mode in ("LA", "PA", "RGBA", "La", "RGBa"):
        rgba = image.convert("RGBA")
        image = Image.new("RGBA", rgba.size, "white")
        image.alpha_composite(rgba)
    image = image.convert(mode)
    if orientation != 1:
        exif = Image.Exif()
        exif[274] = orientation
        image.info["exif"] = exif.tobytes()
        image = ImageOps.exif_transpose(image)
    return image


def _cut(image: Image.Image, region: str) -> Image.Image:
    if not region:
        return image
    x0, y0, x1, y1 = region_box(region, image.width, image.height)
    return image.crop((round(x0), round(y0), round(x1), round(y1)))


def render(path: Path | str, index: int, dpi: float | None, region: str) -> Raster:
    """A frame in gray. Raises Rejected."""
    import numpy as np
    from PIL import Image

    with _frame(path, index) as opened:
        width, height = _image_points(opened)
        x0, y0, x1, y1 = region_box(region, width, height)
        image = _cut(_upright(opened, "L"), region)
        width, height = x1 - x0, y1 - y0
        zoom_x, zoom_y = image.width / width, image.height / height
        if dpi is None:
            zoom_x, zoom_y = native_zoom(zoom_x, zoom_y, width, height)
        else:
            zoom_x = zoom_y = dpi / 72 * min(1.0, MAX_READABLE_INCHES * 72 / max(width, height))
        zoom_x, zoom_y = within_limit(zoom_x, zoom_y, width, height)
        size = (max(1, round(width * zoom_x)), max(1, round(height * zoom_y)))
        if size != image.size:
            smaller = size[0] < image.width
            image = image.resize(size, Image.Resampling.BOX if smaller else Image.Resampling.BICUBIC)
        return Raster(np.asarray(image, dtype=np.uint8), width, height, zoom_y * 72)


def look(path: Path | str, index: int, dpi: float, region: str) -> Raster:
    """A frame in gray at a whole part of its own resolution. Raises Rejected."""
    import numpy as np

    with _frame(path, index) as opened:
        width, height = _image_points(opened)
        x0, y0, x1, y1 = region_box(region, width, height)
        part = max(1, round(max(opened.size) / max(width, height) * 72 / dpi))
        # A JPEG is decoded at a half, a quarter or an eighth right away.
        opened.draft("L", (opened.width // part, opened.height // part))
        image = _cut(_upright(opened, "L"), region)
        left = max(1, round(image.height / (y1 - y0) * 72 / dpi))
        if left > 1:
            image = image.reduce(left)
        return Raster(np.asarray(image, dtype=np.uint8), x1 - x0, y1 - y0, image.height / (y1 - y0) * 72)


def png(path: Path | str, index: int, dpi: float, region: str, orientation: int = 0) -> bytes:
    """A frame in colour. Raises Rejected."""
    import io

    with _frame(path, index) as opened:
        width, height = _image_points(opened)
        image = _cut(_upright(opened, "RGB"), region)
        limit = (max(1, round(width * dpi / 72)), max(1, round(height * dpi / 72)))
        image.thumbnail(limit)
        if orientation:
            image = image.rotate(-orientation, expand=True)
        body = io.BytesIO()
        image.save(body, "PNG")
        return body.getvalue()
