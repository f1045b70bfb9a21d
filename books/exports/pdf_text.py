"""Invisible text over page images: words that can be searched and selected where they are printed.

The font has no outlines and one width, as Tesseract's and OCRmyPDF's "glyphless" fonts have: a viewer that lays a selection
over a word needs a box, not letters. Each word is stretched over its box by its own text matrix. Codes are given in the order
in which characters first appear and explained by a /ToUnicode map, so any character of Unicode can be written and the font
costs about 1 KB.

Source: ISO 32000-1, 9.4 (text matrices), 9.7 (composite fonts), 9.10.3 (ToUnicode).
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass, field
from typing import Any

from schemas.reading import Box, PageReading

FONT_NAME = "ShelfText"
"""Of the font in a page's resources; a page that has one of that name already gets a number after it."""
ADVANCE = 0.5
"""Width of every character in em: half, so that a stretched word is about as wide as high letters are."""
UNIT = 0.5
"""Points in which places and sizes are counted: a word lies within a quarter of a point of where it was read."""
LEAST_HEIGHT = 0.45
"""Of a word, as a share of its line. A dash is 0.5 points high: text of that size is taken for another line, and cannot be hit
with a mouse."""
TOLERANCE = 1.0
"""Points by which such a word may grow over its box, above and below."""


@dataclass(frozen=True, slots=True)
class Matrix:
    """From points of the upright page (y downwards) to the PDF's user space: x' = a·x + c·y + e, y' = b·x + d·y + f."""

    a: float
    b: float
    c: float
    d: float
    e: float
    f: float

    def point(self, x: float, y: float) -> tuple[float, float]:
        return self.a * x + self.c * y + self.e, self.b * x + self.d * y + self.f

    def box(self, box: Box) -> Box:
        """The upright rectangle around a box's image."""
        x0, y0 = self.point(box[0], box[1])
        x1, y1 = self.point(box[2], box[3])
        return min(x0, x1), min(y0, y1), max(x0, x1), max(y0, y1)


@dataclass(slots=True)
class TextFont:
    """The font of one document: which code each character got."""

    codes: dict[str, int] = field(default_factory=dict)

    def encode(self, text: str) -> bytes:
        """Two bytes a character, as a PDF string object. Code 0 means "no such glyph" to some readers: it is not given."""
        raw = b"".join(self.codes.setdefault(char, len(self.codes) + 1).to_bytes(2, "big") for char in text)
        return (
            b"(" + raw.replace(b"\\", b"\\\\").replace(b"(", b"\\(").replace(b")", b"\\)").replace(b"\r", b"\\r") + b")"
        )

    def write(self, document: Any) -> int:
        """Add the font to an open document, after all text is encoded; returns its object number."""
        program = add_stream(document, _empty_truetype(), "/Length1 {length}")
        # All codes lead to the one glyph, which is empty.
        no_glyphs = add_stream(document, bytes(2 * (len(self.codes) + 2)))
        to_unicode = add_stream(document, _to_unicode(self.codes))
        descriptor = add_object(
            document,
            f"<</Type/FontDescriptor/FontName/{FONT_NAME}/Flags 4/FontBBox[0 0 {1000 * ADVANCE:g} 1000]/ItalicAngle 0"
            f"/Ascent 1000/Descent 0/CapHeight 1000/StemV 80/FontFile2 {program} 0 R>>",
        )
        descendant = add_object(
            document,
            f"<</Type/Font/Subtype/CIDFontType2/BaseFont/{FONT_NAME}/DW {1000 * ADVANCE:g}/FontDescriptor {descriptor} 0 R"
            f"/CIDToGIDMap {no_glyphs} 0 R/CIDSystemInfo<</Registry(Adobe)/Ordering(Identity)/Supplement 0>>>>",
        )
        return add_object(
            document,
            f"<</Type/Font/Subtype/Type0/BaseFont/{FONT_NAME}/Encoding/Identity-H/DescendantFonts[{descendant} 0 R]"
            f"/ToUnicode {to_unicode} 0 R>>",
        )


def text_content(reading: PageReading, matrix: Matrix, font: TextFont, name: str) -> bytes:
    """Content that draws the words invisibly (text rendering mode 3), line by line in reading order; b'' without words.

    Lengths are whole numbers of UNIT, which takes a fifth off the size: a page of 300 words is 3 KB. A blank follows each
    word but the last of a line, so that what is copied has its blanks whatever a viewer makes of gaps.
    """
    scale = (matrix.a * UNIT, matrix.b * UNIT, -matrix.c * UNIT, -matrix.d * UNIT)
    origin = matrix.point(0.0, reading.height)
    shown: list[bytes] = []
    state = _TextState()
    for line in reading.lines:
        words = [(text, word.box) for word in line.words if (text := printable(word.text))]
        least = LEAST_HEIGHT * max((box[3] - box[1] for _, box in words), default=0.0)
        for number, (text, box) in enumerate(words):
            blank = "" if number == len(words) - 1 else " "
            place = state.move(_units(box, least, reading.height), len(text), name)
            shown.append(place.encode() + font.encode(text + blank) + b"Tj")
    if not shown:
        return b""
    start = " ".join(_number(value) for value in (*scale, *origin))
    # q and Q keep the rendering mode from what may come after.
    return b"q BT 3 Tr " + start.encode() + b" Tm\n" + b"\n".join(shown) + b"\nET Q\n"


def _units(box: Box, least: float, page_height: float) -> tuple[int, int, int, int]:
    """Left, bottom, width, height in units from the lower left corner; what is too flat for text grows a little."""
    x0, y0, x1, y1 = box
    grow = min(max(0.0, (least - (y1 - y0)) / 2), TOLERANCE)
    left, bottom = round(x0 / UNIT), round((page_height - y1 - grow) / UNIT)
    return (
        left,
        bottom,
        max(1, round(x1 / UNIT) - left),
        max(1, round((page_height - y0 + grow) / UNIT) - bottom),
    )


@dataclass(slots=True)
class _TextState:
    """What the operators before have set, so that only what changes is written."""

    left: int = 0
    bottom: int = 0
    height: int = 0
    stretch: int = 0

    def move(self, box: tuple[int, int, int, int], characters: int, name: str) -> str:
        """Operators that set size, horizontal stretch in percent, and place."""
        left, bottom, width, height = box
        stretch = max(1, round(100 * width / (characters * ADVANCE * height)))
        written = ""
        if height != self.height:
            written += f"/{name} {height} Tf "
        if stretch != self.stretch:
            written += f"{stretch} Tz "
        written += f"{left - self.left} {bottom - self.bottom} Td"
        self.left, self.bottom, self.height, self.stretch = left, bottom, height, stretch
        return written


def printable(text: str) -> str:
    """Without control characters and lone surrogates, which no /ToUnicode map may name."""
    if text.isprintable():
        return text
    return "".join(
        char for char in text if not (ord(char) < 32 or 0x7F <= ord(char) < 0xA0 or 0xD800 <= ord(char) < 0xE000)
    )


def _number(value: float) -> str:
    return f"{value:.4f}".rstrip("0").rstrip(".") or "0"


def _to_unicode(codes: dict[str, int]) -> bytes:
    lines = [
        "/CIDInit/ProcSet findresource begin 12 dict begin begincmap",
        "/CIDSystemInfo<</Registry(Adobe)/Ordering(UCS)/Supplement 0>>def",
        "/CMapName/Adobe-Identity-UCS def/CMapType 2 def",
        "1 begincodespacerange<0000><FFFF>endcodespacerange",
    ]
    rows = [f"<{code:04X}><{char.encode('utf-16-be').hex().upper()}>" for char, code in codes.items()]
    for start in range(0, len(rows), 100):  # no more in one section
        part = rows[start : start + 100]
        lines.append(f"{len(part)} beginbfchar\n" + "\n".join(part) + "\nendbfchar")
    lines.append("endcmap CMapName currentdict/CMap defineresource pop end end")
    return "\n".join(lines).encode()


def _empty_truetype() -> bytes:
    """A TrueType font of one glyph, one em high: the tables that ISO 32000-1, 9.9 asks for.

    The outline is a line from corner to corner, which has no area: PDFium (Chromium) takes a character's box from it, and
    without one a selection would be a hair high."""
    advance = int(1000 * ADVANCE)
    glyph = struct.pack(">hhhhhHHBBhhhh", 1, 0, 0, advance, 1000, 1, 0, 1, 1, 0, advance, 0, 1000)
    tables = {
        b"cmap": struct.pack(">HHHHIHHHHHHHHHHHHh", 0, 1, 3, 1, 12, 4, 24, 0, 2, 2, 0, 0, 0xFFFF, 0, 0xFFFF, 1, 0, 0)[
            :36
        ],
        b"glyf": glyph + bytes(-len(glyph) % 4),
        b"head": struct.pack(
            ">IIIIHHqqhhhhHHhhh", 0x10000, 0x10000, 0, 0x5F0F3CF5, 0, 1000, 0, 0, 0, 0, advance, 1000, 0, 8, 2, 0, 0
        ),
        b"hhea": struct.pack(
            ">IhhhHhhhhhhhhhhhH", 0x10000, 1000, 0, 0, advance, 0, 0, advance, 1, 0, 0, 0, 0, 0, 0, 0, 1
        ),
        b"hmtx": struct.pack(">Hh", advance, 0),
        b"loca": struct.pack(">HH", 0, (len(glyph) + 3) // 4 * 2),
        b"maxp": struct.pack(">IHHHHHHHHHHHHHH", 0x10000, 1, 2, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0),
    }
    offset = 12 + 16 * len(tables)
    directory, body = struct.pack(">IHHHH", 0x10000, len(tables), 64, 2, 32), b""
    for tag, table in tables.items():
        padded = table + bytes(-len(table) % 4)
        total = sum(struct.unpack(f">{len(padded) // 4}I", padded)) & 0xFFFFFFFF
        directory += tag + struct.pack(">III", total, offset + len(body), len(table))
        body += padded
    return directory + body


def add_object(document: Any, body: str) -> int:
    """Add an object to an open document; returns its number."""
    number: int = document.get_new_xref()
    document.update_object(number, body)
    return number


def add_stream(document: Any, data: bytes, more: str = "") -> int:
    """Add a compressed stream; `more` is what else its dictionary says, with `{length}` for the bytes before compression."""
    number = add_object(document, f"<<{more.format(length=len(data))}>>")
    packed = zlib.compress(data, 9)
    document.update_stream(number, packed, new=1, compress=0)
    document.xref_set_key(number, "Filter", "/FlateDecode")
    return number
