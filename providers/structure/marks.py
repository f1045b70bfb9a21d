"""How lines of a kind begin and end: notes, items of lists, captions, sentences."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from statistics import median

from providers.structure.lines import TextLine

NOTE_SIZE = 0.92
"""Of the book's ordinary type: notes are set smaller."""

_END = re.compile(r"[.!?:;…][\"”’'»)\]]*\d{0,3}$|[\"”»)}{]$")
_NOTE_MARK = re.compile(r"^[(\[]?(\d{1,3}|[*†‡§‖¶#]{1,3}|[¹²³⁴⁵⁶⁷⁸⁹⁰]{1,3})[)\].]?(?=$|[A-Z“\"‘'(])")
_ITEM_MARK = re.compile(r"^\(?(?:\d{1,2}|[a-z]|[ivx]{1,5})[.)]$")
CAPTION = re.compile(
    r"^(?:fig(?:ure|\.)?|plate|pl\.|table|map|chart|diagram|illustration|photo(?:graph)?|box|abb(?:ildung|\.)|tafel|tab(?:elle|\.)"
    r"|planche|tableau|carte|figura|l[áa]mina|tavola)\s*(?:\d+(?:[.–-]\d+)*|[ivxlc]+|[A-Z])\b[.:)]?",
    re.IGNORECASE,
)

CAPTION_OF = re.compile(r"^\S+\s*\S*\w[.:)]?(?:\s+[A-Z“(]|$)")
"""The number is followed by a title: "Table 3 shows ..." is a sentence."""


def ends_sentence(text: str) -> bool:
    """A sentence, or what stands alone, ends with the text."""
    return bool(_END.search(text.rstrip()))


def is_title(words: Sequence[str]) -> bool:
    """Words of more than three letters begin with capitals."""
    long = [word for word in words if len(word) > 3 and word[0].isalpha()]
    return words[0][:1].isupper() and sum(word[0].isupper() for word in long) >= 0.6 * len(long)


def note_mark(words: Sequence[str]) -> str | None:
    """What numbers a note at the beginning of a line: "1", "*", "†"; None if nothing does."""
    match = _NOTE_MARK.match(words[0])
    if match is None or (len(words) == 1 and match[0] == words[0]):
        return None
    return match[1]


def is_bullet(word: str) -> bool:
    """A sign of its own, dash and asterisk included; fonts of symbols have theirs in the private area."""
    return len(word) == 1 and (unicodedata.category(word) in {"So", "Co", "Cn", "Pd", "Cc"} or word in "•◦▪‣●■○*·➢►▶∗")


def item_mark(words: Sequence[str]) -> bool:
    """Whether a line begins as an item of a list does."""
    return len(words) > 1 and (is_bullet(words[0]) or bool(_ITEM_MARK.match(words[0])))


def note_zone(column: Sequence[TextLine], size: float, height: float) -> list[TextLine]:
    """The lines at the foot of a column that are notes: smaller than the text above them, the first with a mark or the
    rest of a note."""
    at = len(column)
    while at > 0 and column[at - 1].size <= NOTE_SIZE * size and column[at - 1].y0 > 0.3 * height:
        at -= 1
    zone = list(column[at:])
    above = [line for line in column[:at] if line.size > NOTE_SIZE * size]
    if zone and len(above) >= 2 and median(line.size for line in zone) <= 0.9 * size:
        first = next((i for i, line in enumerate(zone) if note_mark(line.words) is not None), None)
        if first is not None and first <= 1 and (first == 0 or len(zone) > 2):
            return zone
        if first is None and zone[0].y0 - column[at - 1].y1 >= 0.5 * size and not CAPTION.match(zone[0].text):
            # Without a mark it may be the rest of the last page's note: the caller knows.
            return zone if not any(line.is_table_row for line in zone) else []
        return zone[first:] if first is not None else []
    # Type of one size: a sign that is no number, under a blank, in the lower third.
    for at, line in enumerate(column):
        mark = note_mark(line.words)
        if mark is None or mark.isdigit() or at < 2 or line.y0 < 0.65 * height:
            continue
        if line.y0 - column[at - 1].y1 >= 0.6 * line.size:
            return list(column[at:])
    return []
