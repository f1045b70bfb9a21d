"""Places for the words of a reading that says what stands on a page, but not where: services that give the text of a page
or of its paragraphs. The other readings know where the same words are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from statistics import median

from providers.vote.correct import corrected
from schemas.reading import Box, Line, PageReading, Word

TALL = 2.5
"""Boxes this many times as high as another reading's lines are those of paragraphs or of the page."""


def placed(readings: Sequence[PageReading]) -> list[PageReading]:
    """The readings, each with boxes of lines and words; those that had some are returned as they are."""
    heights = {i: height for i, reading in enumerate(readings) if (height := _line_height(reading)) > 0}
    usual = min(heights.values(), default=0.0)
    known = [i for i, height in heights.items() if height <= TALL * usual]
    if len(known) == len(readings):
        return list(readings)
    if known:
        reference = max((readings[i] for i in known), key=lambda reading: sum(len(word.text) for word in reading.words))
    else:
        reference = _placed(readings[0], None)
    return [reading if i in known else _placed(reading, reference) for i, reading in enumerate(readings)]


GUESSED = 0.5
"""Share of boxes that an adapter made up, from which another engine's are better (Mistral joins the lines of a paragraph)."""


def _line_height(reading: PageReading) -> float:
    """Median height of its words' boxes; 0 where they are the page or nothing."""
    boxes = [word.box for line in reading.lines for word in line.words]
    if reading.figures.get("boxes_guessed", 0.0) > GUESSED:
        return 0.0
    if not boxes or len(set(boxes)) * 2 <= len(boxes):
        return 0.0
    height = median(box[3] - box[1] for box in boxes)
    return height if height <= 0.1 * reading.height else 0.0


def _placed(reading: PageReading, reference: PageReading | None) -> PageReading:
    """The reading's words where the reference has the same ones, in the reference's lines."""
    laid = corrected(reading.text, "", reference, reading.width, reading.height)
    words = [Word(word.text, word.box) for word in laid.words]
    if len(words) == len(reading.words):
        words = [replace(word, confidence=own.confidence) for word, own in zip(words, reading.words, strict=True)]
    if reference is None:
        lines, rest = [], iter(words)
        for line in laid.lines:
            lines.append(Line([next(rest) for _ in line.words], line.block))
    else:
        lines = _in_lines(words, reference.lines)
    return replace(reading, width=laid.width, height=laid.height, lines=lines)


def _in_lines(words: Sequence[Word], lines: Sequence[Line]) -> list[Line]:
    """Each word in the line whose middle is nearest in height, of those that it stands in or beside."""
    boxes = [line.box for line in lines]
    rows: list[list[Word]] = [[] for _ in lines]
    for word in words:
        rows[min(range(len(boxes)), key=lambda i: _away(word.box, boxes[i]))].append(word)
    return [Line(row, line.block) for row, line in zip(rows, lines, strict=True) if row]


def _away(word: Box, line: Box) -> float:
    middle = (word[0] + word[2]) / 2
    aside = max(line[0] - middle, 0.0, middle - line[2])
    return abs(word[1] + word[3] - line[1] - line[3]) / 2 + 0.2 * aside
