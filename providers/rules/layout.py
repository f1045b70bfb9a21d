"""Visual rows of a page: what stands on one height, whatever lines and blocks the engine made of it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from statistics import median

from schemas.reading import Box, PageReading, Word

_LEADER = re.compile(r"[.·…‥_]{2,}|(?:(?<=\s)[.·]\s*){2,}")


@dataclass(frozen=True, slots=True)
class Row:
    """Words of one height from left to right."""

    words: tuple[Word, ...]
    box: Box
    block: int
    text: str
    height: float
    """Height of the type: the tallest word, which is steadier than the row's box on skewed scans."""

    @property
    def middle(self) -> float:
        return (self.box[1] + self.box[3]) / 2


def row_of(words: list[Word], block: int = 0) -> Row:
    """A row of these words."""
    ordered = sorted(words, key=_left)
    return Row(
        words=tuple(ordered),
        box=(
            ordered[0].box[0],
            min([word.box[1] for word in ordered]),
            max([word.box[2] for word in ordered]),
            max([word.box[3] for word in ordered]),
        ),
        block=block,
        text=" ".join([word.text for word in ordered]),
        height=max([word.box[3] - word.box[1] for word in ordered]),
    )


def _left(word: Word) -> float:
    return word.box[0]


def visual_rows(reading: PageReading) -> list[Row]:
    """The page's rows from top to bottom.

    Lines join a row if they share at least half of the lower one's height with the row's nearest line and do not
    overlap sideways; so a page number and a header, or a title and its page number, come together again.
    """
    pieces = [row_of(words, line.block) for line in reading.lines for words in _stacked(_visible(line.words)) if words]
    pieces.sort(key=_middle)
    rows: list[list[Row]] = []
    for piece in pieces:
        x0, y0, x1, y1 = piece.box
        for row in reversed(rows[-6:]):
            nearest = row[0].box
            apart = True
            for other in row:
                box = other.box
                if min(x1, box[2]) - max(x0, box[0]) > 0.3 * min(x1 - x0, box[2] - box[0]) and _overlie(piece, other):
                    apart = False
                    break
                if max(box[0] - x1, x0 - box[2]) < max(nearest[0] - x1, x0 - nearest[2]):
                    nearest = box
            shared = min(y1, nearest[3]) - max(y0, nearest[1])
            if apart and shared >= 0.5 * min(y1 - y0, nearest[3] - nearest[1]):
                row.append(piece)
                break
        else:
            rows.append([piece])
    joined = [
        row[0] if len(row) == 1 else row_of([word for piece in row for word in piece.words], row[0].block)
        for row in rows
    ]
    return sorted(joined, key=_middle)


def _overlie(a: Row, b: Row) -> bool:
    """Words of both stand in the same place; a line may also lie in a gap of the other, as leaders do between a title and
    its number."""
    for one in a.words:
        for other in b.words:
            shared = min(one.box[2], other.box[2]) - max(one.box[0], other.box[0])
            if shared > 0.3 * min(one.box[2] - one.box[0], other.box[2] - other.box[0]):
                return True
    return False


def _middle(row: Row) -> float:
    return row.middle


def _stacked(words: list[Word]) -> list[list[Word]]:
    """The words of a line that is one; else, of a column that an engine took for a line, those of each height."""
    if len(words) < 3:
        return [words]
    tallest = max([word.box[3] - word.box[1] for word in words])
    if max([word.box[3] for word in words]) - min([word.box[1] for word in words]) < 2.5 * tallest:
        return [words]
    groups: list[list[Word]] = []
    for word in sorted(words, key=_top):
        # A line that leans, however much, has words that overlap from one to the next; boxes of lines overlap a little.
        if groups and any(_level(word.box, other.box) for other in groups[-1]):
            groups[-1].append(word)
        else:
            groups.append([word])
    return groups


def _top(word: Word) -> float:
    return word.box[1]


def _level(a: Box, b: Box) -> bool:
    return min(a[3], b[3]) - max(a[1], b[1]) >= 0.5 * min(a[3] - a[1], b[3] - b[1])


_INVISIBLE = re.compile("[\u2060\u200b-\u200f\ufeff\x00-\x1f]")


def _visible(words: list[Word]) -> list[Word]:
    """Words without joiners and control characters, which text layers have and which are no ink."""
    if all(word.text.isascii() and word.text.isprintable() for word in words):
        return words
    cleaned = [(word, _INVISIBLE.sub("", word.text)) for word in words]
    return [word if word.text == text else Word(text, word.box, word.confidence) for word, text in cleaned if text]


def last_stands_apart(row: Row) -> bool:
    """The last word stands farther from the one before it than words of running text."""
    return len(row.words) > 1 and row.words[-1].box[0] - row.words[-2].box[2] > 1.2 * row.height


def type_height(rows: list[Row]) -> float:
    """Height of the page's ordinary type: the median over letters; 0.0 on a blank page."""
    heights = [row.height for row in rows for _ in range(max(1, len(row.text) // 10))]
    return float(median(heights)) if heights else 0.0


def without_leaders(text: str) -> str:
    """`text` with dot leaders replaced by one blank."""
    return re.sub(r"\s+", " ", _LEADER.sub(" ", text)).strip(" .·_")


def has_leaders(text: str) -> bool:
    """Four dots and more in a row, blanks between them or not."""
    return bool(re.search(r"(?:[.·…_]\s?){4,}", text))
