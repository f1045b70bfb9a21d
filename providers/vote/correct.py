"""A text that a person gave, laid over the words that engines read on the page.

Words that stand as they were read keep their place and what is known of them; for the others a place is derived from
what stood there, or from what stands around them. Pure, like the rest of the package.
"""

from __future__ import annotations

import itertools
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from statistics import median

from rapidfuzz.distance import Levenshtein

from providers.vote.align import align_words
from providers.vote.choose import union
from schemas.reading import Box, Line, PageReading, Word

CORRECTION = "correction"
"""Who read a page, or a word of it, where a person did."""

SURE = 100.0
"""Confidence of every word on a corrected page: a person has read all of it."""

LEAST = 1.0
"""Points: no box is narrower or lower, so that each can be found and drawn."""

MARGIN = 0.1
"""Share of the page that stays free around a text of which no place is known."""

LINE_HEIGHT = 14.0
CHARACTER_WIDTH = 6.0
"""Points: of type in which nothing else on the page tells the size; twelve points with leading."""

NOWHERE: Box = (0.0, 0.0, 0.0, 0.0)


def tidy(text: str) -> str:
    """A text as a reading holds it: one blank between words, no empty lines, no control characters, composed letters."""
    lines = []
    for line in unicodedata.normalize("NFC", text).splitlines():
        kept = "".join(c for c in line if c.isspace() or unicodedata.category(c) not in {"Cc", "Cs"})
        lines.append(" ".join(kept.split()))
    return "\n".join(line for line in lines if line)


def corrected(
    text: str,
    who: str,
    base: PageReading | None,
    width: float,
    height: float,
    *,
    voter: str = CORRECTION,
    confidence: float = SURE,
) -> PageReading:
    """The page's reading with the given text.

    Args:
        text: What stands on the page, lines by newlines; read through `tidy`.
        who: Who says so; stands in the `rule` of each word that differs.
        base: What engines read, blended; None where none of them read the page.
        width, height: Of the upright page in points; those of `base` are preferred.
        voter: Under which name words that differ were read: a person's, or that of a model.
        confidence: Of those words. A person has read all of the page, and vouches for the others too.

    Returns:
        A reading whose `text` is `tidy(text)`, each word with a box inside the page. A word that differs from the engines'
        carries what they had in its place as `readings`.
    """
    page = (base.width, base.height) if base is not None else (width, height)
    rows = [_Row([_Given(word) for word in line.split()]) for line in tidy(text).splitlines()]
    if base is not None:
        _match(rows, base)
    _place(rows, *page)
    lines = []
    block = next((row.block for row in rows if row.block is not None), 0)
    for row in rows:
        block = block if row.block is None else row.block
        lines.append(Line([given.word(who, page, voter, confidence) for given in row.words], block))
    return PageReading(
        provider=CORRECTION,
        width=page[0],
        height=page[1],
        lines=lines,
        model=base.model if base is not None else "",
        language=base.language if base is not None else "",
    )


@dataclass(slots=True)
class _Given:
    """A word of the given text, and what becomes known of it."""

    text: str
    box: Box | None = None
    same: Word | None = None
    """The engines' word, where it is the same."""
    readings: tuple[tuple[str, str], ...] = ()

    def word(self, who: str, page: tuple[float, float], voter: str, confidence: float) -> Word:
        assert self.box is not None
        box = _inside(self.box, *page)
        if self.same is not None:
            sure = confidence if voter == CORRECTION else self.same.confidence
            return replace(self.same, box=box, confidence=sure)
        return Word(self.text, box, confidence, (voter,), self.readings, f"corrected by {who}")


@dataclass(slots=True)
class _Row:
    """A line of the given text."""

    words: list[_Given]
    blocks: Counter[int] = field(default_factory=Counter)
    """Blocks of the engines' words that stand in it, with their letters."""

    @property
    def block(self) -> int | None:
        return max(self.blocks, key=lambda block: (self.blocks[block], -block), default=None)

    @property
    def placed(self) -> list[Box]:
        return [given.box for given in self.words if given.box is not None]

    @property
    def text(self) -> str:
        return " ".join(given.text for given in self.words)


@dataclass(slots=True)
class _Read:
    """An engine's word, the number of its line, and the line's block."""

    word: Word
    line: int
    block: int


# Which words are the same ink ----------------------------------------------------------------------------------------


def _match(rows: Sequence[_Row], base: PageReading) -> None:
    """Lines that stand as they were read first, wherever they stand now; the rest letter by letter, in order."""
    unmatched: dict[tuple[str, ...], list[int]] = defaultdict(list)
    for number, line in enumerate(base.lines):
        unmatched[tuple(word.text for word in line.words)].append(number)
    rest: list[_Row] = []
    for row in rows:
        same = unmatched[tuple(given.text for given in row.words)]
        if not same:
            rest.append(row)
            continue
        line = base.lines[same.pop(0)]
        row.blocks[line.block] += 1
        for given, word in zip(row.words, line.words, strict=True):
            given.same, given.box = word, word.box
    left = {number for numbers in unmatched.values() for number in numbers}
    read = [
        _Read(word, number, line.block)
        for number, line in enumerate(base.lines)
        if number in left
        for word in line.words
        if word.text
    ]
    if rest and read:
        _match_words([(word, row) for row in rest for word in row.words], read, base.provider)


def _match_words(given: Sequence[tuple[_Given, _Row]], read: Sequence[_Read], provider: str) -> None:
    """Words that stay first: letters alone would find those of a missed word in its neighbour. Then what lies between."""
    edits = Levenshtein.opcodes([word.text for word, _ in given], [each.word.text for each in read])
    for changed, group in itertools.groupby(edits, key=lambda edit: edit.tag != "equal"):
        run = list(group)
        new = given[run[0].src_start : run[-1].src_end]
        old = read[run[0].dest_start : run[-1].dest_end]
        if not new or not old:
            continue
        if changed:
            _match_letters(new, old, provider)
            continue
        for (word, row), each in zip(new, old, strict=True):
            word.same, word.box = each.word, each.word.box
            row.blocks[each.block] += len(word.text)


def _match_letters(given: Sequence[tuple[_Given, _Row]], read: Sequence[_Read], provider: str) -> None:
    """Words that differ: engines split and join them, so the letters tell which belong together."""
    at = behind = 0
    for mine, theirs in align_words([[Word(word.text, NOWHERE) for word, _ in given], [each.word for each in read]]):
        new, old = given[at : at + len(mine)], read[behind : behind + len(theirs)]
        at, behind = at + len(mine), behind + len(theirs)
        if not new or not old:
            continue
        if len(new) == len(old) == 1 and new[0][0].text == old[0].word.text:
            new[0][0].same = old[0].word
        for _, row in new:
            for each in old:
                row.blocks[each.block] += len(each.word.text)
        said = _said([each.word for each in old], provider)
        for (word, _), box in zip(new, _shares([word.text for word, _ in new], old), strict=True):
            word.box, word.readings = box, said


def _said(words: Sequence[Word], provider: str) -> tuple[tuple[str, str], ...]:
    """What each engine read in these words' place."""
    said: dict[str, list[str]] = defaultdict(list)
    before: tuple[tuple[str, str], ...] = ()
    for word in words:
        here = word.readings or tuple((voter, word.text) for voter in word.voters or (provider,))
        # The words of one disputed place carry its readings each.
        if not word.readings or here != before:
            for engine, text in here:
                said[engine].append(text)
        before = here
    return tuple((engine, " ".join(filter(None, texts))) for engine, texts in said.items())


def _shares(texts: Sequence[str], old: Sequence[_Read]) -> Iterator[Box]:
    """The place of the old words, divided among the new ones by their letters.

    Where the old ones stand in several lines (a word that was divided), a new one gets its part in the line that has
    most of it."""
    ends = [0.0]
    for each in old:
        ends.append(ends[-1] + len(each.word.text))
    scale = ends[-1] / sum(map(len, texts))
    start = 0.0
    for text in texts:
        end = start + len(text) * scale
        parts: dict[int, list[Box]] = defaultdict(list)
        letters: dict[int, float] = defaultdict(float)
        for each, first, last in zip(old, ends, ends[1:], strict=False):
            low, high = max(start, first), min(end, last)
            if high > low:
                x0, y0, x1, y1 = each.word.box
                letter = (x1 - x0) / (last - first)
                parts[each.line].append((x0 + (low - first) * letter, y0, x0 + (high - first) * letter, y1))
                letters[each.line] += high - low
        yield union(parts[max(letters, key=lambda line: (letters[line], -line))])
        start = end


# Where words stand that no engine read -------------------------------------------------------------------------------


def _place(rows: Sequence[_Row], width: float, height: float) -> None:
    """A box for every word that has none."""
    known = [(box, given.text) for row in rows for given in row.words if (box := given.box) is not None]
    letter = median((box[2] - box[0]) / len(text) for box, text in known) if known else CHARACTER_WIDTH
    tall = median(box[3] - box[1] for box, _ in known) if known else LINE_HEIGHT
    at = 0
    while at < len(rows):
        if rows[at].placed:
            _fill(rows[at], letter, width)
            at += 1
            continue
        end = next((i for i in range(at, len(rows)) if rows[i].placed), len(rows))
        above = union(rows[at - 1].placed) if at else None
        below = union(rows[end].placed) if end < len(rows) else None
        _stack(rows[at:end], above, below, letter, tall, (width, height))
        at = end


def _stack(
    rows: Sequence[_Row],
    above: Box | None,
    below: Box | None,
    letter: float,
    tall: float,
    page: tuple[float, float],
) -> None:
    """Lines of which no word was read: between those around them, or below or above the one that is there."""
    width, height = page
    count = len(rows)
    if above is not None and below is not None and below[3] > above[3]:
        x0, top, bottom = above[0], above[3], max(below[1], above[3] + count * LEAST)
    elif above is not None:
        x0, top, bottom = above[0], above[3], min(height, above[3] + count * tall)
    elif below is not None:
        x0, top, bottom = below[0], max(0.0, below[1] - count * tall), below[1]
    else:
        x0, top = MARGIN * width, MARGIN * height
        bottom = min((1 - MARGIN) * height, top + count * tall)
    if bottom - top < count * LEAST:
        # At the very edge of the page.
        top, bottom = max(0.0, min(top, height - count * LEAST)), min(height, top + count * LEAST)
    step = (bottom - top) / count
    x0 = max(0.0, min(x0, width / 2))
    for number, row in enumerate(rows):
        right = min((1 - MARGIN / 2) * width, x0 + letter * len(row.text))
        y0 = top + number * step
        _lay(row.words, x0, max(right, x0 + LEAST), y0, y0 + min(step, tall))


def _fill(row: _Row, letter: float, width: float) -> None:
    """The words of a line between, before and behind those that are placed."""
    words = row.words
    at = 0
    while at < len(words):
        if words[at].box is not None:
            at += 1
            continue
        end = next((i for i in range(at, len(words)) if words[i].box is not None), len(words))
        run = words[at:end]
        left = words[at - 1].box if at else None
        right = words[end].box if end < len(words) else None
        wanted = letter * (sum(len(word.text) + 1 for word in run))
        beside = left or right
        assert beside is not None
        if left is not None and right is not None and right[0] >= left[2]:
            x0, x1 = left[2], right[0]
        elif left is not None:
            x0, x1 = left[2], min(width, left[2] + wanted)
        else:
            x0, x1 = max(0.0, beside[0] - wanted), beside[0]
        if (short := len(run) * LEAST - (x1 - x0)) > 0:
            x0, x1 = x0 - short / 2, x1 + short / 2
        _lay(run, x0, x1, beside[1], beside[3])
        at = end


def _lay(words: Sequence[_Given], x0: float, x1: float, y0: float, y1: float) -> None:
    """Words side by side in a box, each with the room that its letters take; a blank takes as much as a letter."""
    total = sum(len(word.text) for word in words) + len(words) - 1
    letter = (x1 - x0) / total
    for word in words:
        end = x0 + letter * len(word.text)
        word.box = (x0, y0, end, y1)
        x0 = end + letter


def _inside(box: Box, width: float, height: float) -> Box:
    """Moved and cut to lie in the page, at least `LEAST` wide and high."""
    x0 = min(max(box[0], 0.0), max(0.0, width - LEAST))
    y0 = min(max(box[1], 0.0), max(0.0, height - LEAST))
    return (x0, y0, min(width, max(box[2], x0 + LEAST)), min(height, max(box[3], y0 + LEAST)))
