"""Image files as PDF pages, without a pixel changed and where possible without a byte.

JPEG and JPEG 2000 streams go in as they are, so do the data of plain PNGs and of Group 4 TIFFs in one strip. Other bilevel images
become Group 4, everything else the compression of PNG: both give back every pixel. Transparent images are shown over white.

Source: ISO 32000-1, 7.4 (filters) and 8.9 (images); TIFF 6.0, tags 259, 262, 266, 273 to 279; PNG, 11.2.
"""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from books.exports.pdf_text import add_object
from providers.image_pages import open_image

if TYPE_CHECKING:
    from PIL import Image as PillowImage

PLACES: Mapping[int, tuple[int, int, int, int, int, int]] = {
    1: (1, 0, 0, 1, 0, 0),
    2: (-1, 0, 0, 1, 1, 0),
    3: (-1, 0, 0, -1, 1, 1),
    4: (1, 0, 0, -1, 0, 1),
    5: (0, -1, -1, 0, 1, 1),
    6: (0, -1, 1, 0, 0, 1),
    7: (0, 1, 1, 0, 0, 0),
    8: (0, 1, -1, 0, 1, 0),
}
"""EXIF orientation -> where the image's unit square goes in that of the upright page (a, b, c, d, e, f)."""

GROUP4 = 4
"""TIFF's number of the compression."""


def add_image_page(document: Any, path: Path, index: int, width: float, height: float) -> None:
    """Append a page of width x height points that shows one frame of an image file, upright."""
    with open_image(path) as image:
        if index:
            image.seek(index)
        exif = int(image.getexif().get(274, 1) or 1)
        number = _image_object(document, image, path)
    page = document.new_page(-1, width=width, height=height)
    a, b, c, d, e, f = PLACES.get(exif, PLACES[1])
    scaled = (a * width, b * height, c * width, d * height, e * width, f * height)
    content = f"q {' '.join(f'{value:.4f}'.rstrip('0').rstrip('.') for value in scaled)} cm /Im0 Do Q\n"
    stream = add_object(document, "<<>>")
    document.update_stream(stream, content.encode(), new=1, compress=0)
    document.xref_set_key(page.xref, "Contents", f"{stream} 0 R")
    document.xref_set_key(page.xref, "Resources", f"<</XObject<</Im0 {number} 0 R>>>>")


def _image_object(document: Any, image: PillowImage.Image, path: Path) -> int:
    """Add a frame as an image XObject; returns its object number."""
    whole = getattr(image, "n_frames", 1) == 1 or image.format in ("MPO", "PNG")
    if image.format in ("JPEG", "MPO") and image.mode in ("L", "RGB", "CMYK"):
        colours = {"L": "/DeviceGray", "RGB": "/DeviceRGB", "CMYK": "/DeviceCMYK"}[image.mode]
        # Adobe's CMYK is stored inverted, and its marker says so.
        inverted = "/Decode[1 0 1 0 1 0 1 0]" if image.mode == "CMYK" and "adobe" in image.info else ""
        return _xobject(document, image, path.read_bytes(), f"/Filter/DCTDecode/BitsPerComponent 8{inverted}", colours)
    if image.format == "JPEG2000" and image.mode in ("L", "RGB"):
        colours = {"L": "/DeviceGray", "RGB": "/DeviceRGB"}[image.mode]
        return _xobject(document, image, path.read_bytes(), "/Filter/JPXDecode/BitsPerComponent 8", colours)
    if image.mode == "1" and image.format != "PNG":
        data, black_is_1 = _group4(image)
        parameters = f"/K -1/Columns {image.width}/Rows {image.height}/BlackIs1 {'true' if black_is_1 else 'false'}"
        coding = f"/Filter/CCITTFaxDecode/DecodeParms<<{parameters}>>/BitsPerComponent 1"
        return _xobject(document, image, data, coding, "/DeviceGray")
    if image.mode == "CMYK":
        packed = zlib.compress(image.tobytes(), 9)
        return _xobject(document, image, packed, "/Filter/FlateDecode/BitsPerComponent 8", "/DeviceCMYK")
    plain = _PlainPng.parse(path.read_bytes()) if image.format == "PNG" and whole else None
    plain = plain or _PlainPng.parse(_as_png(image))
    assert plain is not None
    return _xobject(document, image, plain.data, plain.coding, plain.colours)


def _xobject(document: Any, image: PillowImage.Image, data: bytes, coding: str, colours: str) -> int:
    profile = image.info.get("icc_profile")
    components = {"/DeviceGray": 1, "/DeviceRGB": 3, "/DeviceCMYK": 4}.get(colours)
    if profile and components and _profile_components(profile) == components:
        space = add_object(document, f"<</N {components}/Alternate {colours}/Filter/FlateDecode>>")
        document.update_stream(space, zlib.compress(profile, 9), new=1, compress=0)
        document.xref_set_key(space, "Filter", "/FlateDecode")
        colours = f"[/ICCBased {space} 0 R]"
    number = add_object(
        document,
        f"<</Type/XObject/Subtype/Image/Width {image.width}/Height {image.height}/ColorSpace {colours}{coding}>>",
    )
    kept = {key: document.xref_get_key(number, key)[1] for key in ("Filter", "DecodeParms")}
    document.update_stream(number, data, new=1, compress=0)
    # update_stream takes the data for uncompressed and drops what says otherwise.
    for key, value in kept.items():
        if value != "null":
            document.xref_set_key(number, key, value)
    return number


def _profile_components(profile: bytes) -> int:
    """Colour components of an ICC profile, by its header; 0 for another kind."""
    return {b"GRAY": 1, b"RGB ": 3, b"CMYK": 4}.get(profile[16:20], 0)


def _group4(image: PillowImage.Image) -> tuple[bytes, bool]:
    """(data, whether a 1 is black) of a bilevel image: its own data where they are one strip of Group 4, else coded anew."""
    found = _group4_strip(image)
    if found is not None:
        return found
    body = io.BytesIO()
    image.save(body, "TIFF", compression="group4", tiffinfo={278: image.height})
    from PIL import Image

    with Image.open(body) as again:
        coded = _group4_strip(again)
    assert coded is not None
    return coded


def _group4_strip(image: PillowImage.Image) -> tuple[bytes, bool] | None:
    tags = getattr(image, "tag_v2", None)
    if tags is None or tags.get(259) != GROUP4 or tags.get(266, 1) != 1 or len(tags.get(273) or ()) != 1:
        return None
    file = image.fp  # type: ignore[attr-defined]
    if file is None or file.closed:
        return None
    file.seek(tags[273][0])
    # Group 4 codes a 0 as white; in a TIFF that says BlackIsZero it stands for black.
    return file.read(tags[279][0]), tags.get(262) == 1


def _as_png(image: PillowImage.Image) -> bytes:
    """The frame as a PNG that `_PlainPng` takes: no transparency, 8 or 16 bits."""
    from PIL import Image

    if "transparency" in image.info or image.mode in ("LA", "PA", "RGBA", "La", "RGBa"):
        rgba = image.convert("RGBA")
        image = Image.new("RGBA", rgba.size, "white")
        image.alpha_composite(rgba)
        image = image.convert("RGB")
    if image.mode not in ("1", "L", "P", "RGB", "I;16"):
        image = image.convert("I;16" if image.mode.startswith("I") else "L" if image.mode == "F" else "RGB")
    body = io.BytesIO()
    image.save(body, "PNG", optimize=True)
    return body.getvalue()


class _PlainPng:
    """The data of a PNG that a PDF can hold as they are: not interlaced, not transparent."""

    def __init__(self, data: bytes, coding: str, colours: str) -> None:
        self.data, self.coding, self.colours = data, coding, colours

    @classmethod
    def parse(cls, body: bytes) -> _PlainPng | None:
        if body[:8] != b"\x89PNG\r\n\x1a\n":
            return None
        at, data, palette = 8, b"", b""
        width = depth = kind = interlace = 0
        while at + 8 <= len(body):
            length, name = struct.unpack(">I4s", body[at : at + 8])
            chunk = body[at + 8 : at + 8 + length]
            at += 12 + length
            if name == b"IHDR":
                width, _, depth, kind, _, _, interlace = struct.unpack(">IIBBBBB", chunk)
            elif name == b"PLTE":
                palette = chunk
            elif name == b"tRNS":
                return None
            elif name == b"IDAT":
                data += chunk
        if interlace or kind not in (0, 2, 3):
            return None
        components = 3 if kind == 2 else 1
        colours = {0: "/DeviceGray", 2: "/DeviceRGB"}.get(kind) or (
            f"[/Indexed/DeviceRGB {len(palette) // 3 - 1}<{palette.hex()}>]"
        )
        parameters = f"/Predictor 15/Colors {components}/BitsPerComponent {depth}/Columns {width}"
        return cls(data, f"/Filter/FlateDecode/DecodeParms<<{parameters}>>/BitsPerComponent {depth}", colours)
