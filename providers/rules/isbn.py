"""International Standard Book Numbers in text (ISO 2108): found, checked, brought to thirteen digits."""

from __future__ import annotations

import re

_LABELLED = re.compile(
    r"(?:ISBN|SBN|I5BN|1SBN|(?i:International\s+Standard\s+Book\s+Number))(?:[-–\s]?1[03])?\s*(?:\([^)]{1,20}\))?[:\s]*([0-9OoIlSB][0-9OoIlSBXx\s\-–—.]{8,22})"
)
_BARE = re.compile(r"(?<!\d)(97[89][\s\-–]?(?:\d[\s\-–]?){9}\d)(?!\d)")
_CONFUSED = str.maketrans({"O": "0", "o": "0", "I": "1", "l": "1", "S": "5", "B": "8", "x": "X"})


def find_isbns(text: str) -> list[str]:
    """Valid numbers in the order in which they stand, each once. ISBN-10 is converted.

    A number with a wrong checksum is no ISBN: better none than a false one. Letters that engines confuse with
    digits are corrected, the checksum guards that.
    """
    found: list[tuple[int, str]] = []
    for pattern in (_LABELLED, _BARE):
        for match in pattern.finditer(text):
            number = _valid(match[1].translate(_CONFUSED))
            if number:
                found.append((match.start(1), number))
    return list(dict.fromkeys(number for _, number in sorted(found)))


def _valid(raw: str) -> str | None:
    digits = re.sub(r"[^0-9X]", "", raw)
    for length in (13, 10):
        candidate = digits[:length]
        if length == 13 and re.fullmatch(r"97[89]\d{10}", candidate) and _check13(candidate[:12]) == candidate[12]:
            return candidate
        if length == 10 and re.fullmatch(r"\d{9}[\dX]", candidate) and _sum10(candidate) % 11 == 0:
            body = "978" + candidate[:9]
            return body + _check13(body)
    return None


def _check13(twelve: str) -> str:
    return str(-sum(int(d) * (3 if i % 2 else 1) for i, d in enumerate(twelve)) % 10)


def _sum10(ten: str) -> int:
    return sum((10 if d == "X" else int(d)) * (10 - i) for i, d in enumerate(ten))
