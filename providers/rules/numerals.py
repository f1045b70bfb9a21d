"""Numbers as books print them: arabic, roman, composite; and what engines make of them."""

from __future__ import annotations

import re
from dataclasses import dataclass

_ROMAN = re.compile(r"^m{0,3}(cm|cd|d?c{0,3})(xc|xl|l?x{0,3})(ix|iv|v?i{0,3})$")
_VALUES = {"i": 1, "v": 5, "x": 10, "l": 50, "c": 100, "d": 500, "m": 1000}
_ARABIC_CONFUSED = str.maketrans(
    {"l": "1", "I": "1", "|": "1", "i": "1", "!": "1", "O": "0", "o": "0", "Q": "0", "S": "5", "s": "5", "B": "8",
     "Z": "2", "z": "2", "g": "9", "q": "9", "b": "6", "]": "1", "[": "1"}
)  # fmt: skip
_ROMAN_CONFUSED = str.maketrans(
    {"1": "i", "l": "i", "|": "i", "j": "i", "!": "i", "I": "i", "y": "v", "X": "x", "V": "v", "í": "i", "ï": "i"}
)
_COMPOSITE = re.compile(r"^([A-Z]{1,2}|\d{1,3})\s?([-–—./])\s?(\d{1,3})$")


@dataclass(frozen=True, slots=True)
class Number:
    """A printed number: `style` is arabic, roman or composite; `prefix` what stands before it ("A-")."""

    style: str
    prefix: str
    value: int
    repaired: bool
    """Read only after correcting letters that engines confuse with digits."""
    upper: bool = False


def roman_value(text: str) -> int | None:
    """Value of a canonical roman numeral in either case, None if it is none."""
    lower = text.lower()
    if not lower or text not in (lower, text.upper()) or not _ROMAN.match(lower):
        return None
    total = 0
    for c, following in zip(lower, lower[1:] + " ", strict=True):
        value = _VALUES[c]
        total += -value if _VALUES.get(following, 0) > value else value
    return total


def to_roman(value: int) -> str:
    """The canonical roman numeral, in lower case."""
    result = ""
    for amount, letters in (
        (1000, "m"), (900, "cm"), (500, "d"), (400, "cd"), (100, "c"), (90, "xc"), (50, "l"), (40, "xl"),
        (10, "x"), (9, "ix"), (5, "v"), (4, "iv"), (1, "i"),
    ):  # fmt: skip
        while value >= amount:
            result += letters
            value -= amount
    return result


def parse(token: str) -> list[Number]:
    """All numbers that a token may be, the likeliest first; [] if it is none.

    Corrections (l for 1, O for 0, "ili" for "iii") are tried only in tokens that are numeric but for them.
    """
    text = token.strip().strip(".,;:()[]{}<>*~_'\"“”‘’«»·•-–—|= ")
    if not text or len(text) > 9:
        return []
    if text.isascii() and text.isdigit():
        if text[0] == "0":
            return []
        numbers = [Number("arabic", "", int(text), False)] if len(text) <= 4 and int(text) > 0 else []
        if set(text) == {"1"} and len(text) <= 3:
            numbers.append(Number("roman", "", len(text), True))
        return numbers
    numbers = []
    value = roman_value(text)
    if value is not None and value < 400:
        numbers.append(Number("roman", "", value, False, text.isupper()))
    match = _COMPOSITE.match(text)
    if match:
        numbers.append(Number("composite", match[1] + match[2], int(match[3]), False))
    if len(text) <= 9:
        repaired = text.translate(_ROMAN_CONFUSED)
        value = roman_value(repaired)
        if value is not None and repaired != text and value < 200 and not any(c in "23456789" for c in text):
            numbers.append(Number("roman", "", value, True, False))
    if len(text) <= 4 and (
        any(c.isdigit() for c in text) or text in {"l", "I", "|", "i", "O"} or set(text) <= set("lI|")
    ):
        repaired = text.translate(_ARABIC_CONFUSED)
        if repaired.isascii() and repaired.isdigit() and int(repaired) > 0:
            numbers.append(Number("arabic", "", int(repaired), True))
    return numbers


_FOLIO = re.compile(
    r"^(?:(?:page|p\.|seite|pag\.|página|s\.)\s*([^\s/]+)(?:\s*(?:of|/|von|de)\s*\d+)?|(\d+)\s*(?:of|/|von|de)\s*\d+)$",
    re.I,
)


def folio(text: str) -> str | None:
    """The number in a row that is a page's number and nothing else: "Page 4 of 90", "– 12 –", "[12]", "xii"; None if it is
    none."""
    bare = text.strip("-–—|[](){}<>*~•· ")
    match = _FOLIO.match(bare)
    if match:
        return match[1] or match[2]
    return bare if parse(bare) else None


def printed(style: str, prefix: str, value: int, *, upper: bool = False) -> str:
    """The number as it is printed."""
    if style == "roman":
        return to_roman(value).upper() if upper else to_roman(value)
    return f"{prefix}{value}"
