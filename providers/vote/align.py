"""Which lines and words of several readings stand for the same ink.

Lines are matched by geometry, because reading order differs between engines and aligning page strings mixes
up columns (that, not misread letters, is most of what remains after voting on page strings). Inside a group of
matched lines the letters are aligned by edit distance with the blanks taken out, and the words are cut
where all readings have a boundary: engines split and join words differently, so words cannot be aligned one by one.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace

from rapidfuzz.distance import Levenshtein

from schemas.reading import Box, Line, PageReading, Word

_SAME = str.maketrans(
    {
        "‘": "'", "’": "'", "‚": "'", "‛": "'", "′": "'", "`": "'", "´": "'",
        "“": '"', "”": '"', "„": '"', "‟": '"', "″": '"', "«": '"', "»": '"',
        "–": "-", "—": "-", "―": "-", "‐": "-", "‑": "-", "−": "-", "\u00ad": "-", "一": "-",
        "·": ".", "•": ".", "‧": ".", "，": ",", "：": ":", "；": ";", "（": "(", "）": ")", "！": "!", "？": "?",
    }
)  # fmt: skip
"""Characters that engines use for one another; one for one, so that offsets stay valid."""


def plain(text: str) -> str:
    """`text` with quotes, dashes and full-width signs mapped to ASCII, length unchanged."""
    return text.translate(_SAME)


@dataclass(frozen=True, slots=True)
class LineGroup:
    """Lines of the readings (one list per reading) that cover the same ink."""

    lines: tuple[tuple[Line, ...], ...]


def group_lines(readings: Sequence[PageReading]) -> list[LineGroup]:
    """Connected components of lines that overlap in the page.

    Two lines of different readings overlap if they share at least half of the lower one's height and a fifth of the
    shorter one's width: boxes of RapidOCR are a quarter higher than the ink, and detectors cut a line where
    a wide gap is, so that one line of one engine often is two or three of another.
    """
    items = [
        (source, line, line.box) for source, reading in enumerate(readings) for line in reading.lines if line.words
    ]
    parent = list(range(len(items)))

    def root(i: int) -> int:
        while parent[i] != i:
            parent[i] = parent[parent[i]]
            i = parent[i]
        return i

    pairs = _neighbours([(source, line.box) for source, line, _ in items])
    alike = {(i, j): _alike(items[i][1], items[j][1]) for i, j, _ in pairs}
    twins: dict[tuple[int, int], Box] = {}
    for i, j, _ in sorted(pairs, key=lambda pair: pair[2]):  # an overlapping twin replaces one that is not
        if alike[i, j] >= 0.8:
            twins[i, items[j][0]] = items[j][2]
            twins[j, items[i][0]] = items[i][2]
    met = {k for i, j, overlaps in pairs if overlaps and alike[i, j] >= 0.6 for k in (i, j)}

    def meant_otherwise(i: int, j: int) -> bool:
        """Line i has a better partner than j, and the two stand above one another."""
        twin = twins.get((i, items[j][0]))
        return twin is not None and min(twin[2], items[j][2][2]) > max(twin[0], items[j][2][0])

    for i, j, overlaps in pairs:
        ratio = alike[i, j]
        if ratio < 0.5 and (meant_otherwise(i, j) or meant_otherwise(j, i)):
            continue  # on a skewed page boxes also overlap the next line; the text tells which one is meant
        if overlaps or (ratio >= 0.8 and i not in met and j not in met):
            parent[root(j)] = root(i)
    members: dict[int, list[int]] = {}
    for i in range(len(items)):
        members.setdefault(root(i), []).append(i)
    groups = []
    for indices in members.values():
        lines: list[list[Line]] = [[] for _ in readings]
        for i in indices:
            lines[items[i][0]].append(items[i][1])
        groups.append(LineGroup(tuple(tuple(_left_to_right(rows)) for rows in lines)))
    return groups


def level(readings: Sequence[PageReading]) -> list[PageReading]:
    """The readings without lines that stand on end where another reading has level lines, one below another.

    Tesseract takes a column of page numbers, or the holes of a perforation, for one line of turned text; matched by its
    box it would draw all the lines that it crosses into one. Where nobody read level lines, a turned line is text.
    """
    result = []
    for source, reading in enumerate(readings):
        others = [line for i, other in enumerate(readings) if i != source for line in other.lines if line.words]
        kept = [line for line in reading.lines if not (_on_end(line) and _crossed(line.box, others))]
        result.append(reading if len(kept) == len(reading.lines) else replace(reading, lines=kept))
    return result


def _on_end(line: Line) -> bool:
    """Higher than twice its width, and more than an initial."""
    x0, y0, x1, y1 = line.box
    return y1 - y0 > 2 * (x1 - x0) and sum(len(word.text) for word in line.words) > 1


def _crossed(box: Box, lines: Sequence[Line]) -> bool:
    """Two of the lines and more, each at most half as high as the box, lie in its height and partly in its width."""
    x0, y0, x1, y1 = box
    crossing = 0
    for line in lines:
        u0, v0, u1, v1 = line.box
        across = min(x1, u1) - max(x0, u0)
        low = 2 * (v1 - v0) <= y1 - y0
        crossing += low and y0 <= (v0 + v1) / 2 <= y1 and across >= 0.2 * min(x1 - x0, u1 - u0)
    return crossing > 1


def _neighbours(items: Sequence[tuple[int, Box]]) -> list[tuple[int, int, bool]]:
    """Pairs of lines of different readings that are near each other, and whether their boxes overlap enough."""
    by_top = sorted(range(len(items)), key=lambda i: items[i][1][1])
    pairs = []
    for position, i in enumerate(by_top):
        source, (x0, y0, x1, y1) = items[i]
        for j in by_top[position + 1 :]:
            other, (u0, v0, u1, v1) = items[j]
            if v0 >= y1 + (y1 - y0):
                break
            across = min(x1, u1) - max(x0, u0)
            if other == source or across < 0.2 * min(x1 - x0, u1 - u0):
                continue
            pairs.append((i, j, min(y1, v1) - max(y0, v0) >= 0.5 * min(y1 - y0, v1 - v0)))
    return pairs


def _alike(a: Line, b: Line) -> float:
    """Similarity of two lines' letters, 0 to 1; short lines say nothing (0.6)."""
    left, right = (plain(line.text).replace(" ", "") for line in (a, b))
    if min(len(left), len(right)) < 5:
        return 0.6
    return Levenshtein.normalized_similarity(left, right)


def _left_to_right(lines: list[Line]) -> list[Line]:
    """Pieces of one visual line by x; pieces that stand below one another by y."""
    ordered = sorted(lines, key=lambda line: line.box[0])
    for left, right in itertools.pairwise(ordered):
        a, b = left.box, right.box
        if min(a[2], b[2]) - b[0] > 0.3 * min(a[2] - a[0], b[2] - b[0]):
            return sorted(lines, key=lambda line: (line.box[1], line.box[0]))
    return ordered


Block = tuple[tuple[Word, ...], ...]
"""The words of each reading between two boundaries that all readings share; () where one read nothing."""


def align_words(readings: Sequence[Sequence[Word]]) -> list[Block]:
    """Cut the word sequences into the smallest blocks whose ends are word boundaries in all readings.

    The first sequence is the pivot; each other one is aligned with it letter by letter (Levenshtein, blanks
    removed, quotes and dashes equal).
    """
    pivot = readings[0]
    paths = [_boundaries(pivot, other) for other in readings[1:]]
    cuts: list[tuple[int, ...]] = []
    for a in range(len(pivot) + 1):
        options = [path.get(a) for path in paths]
        if any(option is None for option in options):
            continue
        found = [option for option in options if option is not None]
        cuts.append((a, *(option[0] for option in found)))
        if any(option[0] != option[-1] for option in found):
            cuts.append((a, *(option[-1] for option in found)))
    blocks = []
    for start, end in itertools.pairwise(cuts):
        block = tuple(tuple(words[i:j]) for words, i, j in zip(readings, start, end, strict=True))
        if any(block):
            blocks.append(block)
    return blocks


def _boundaries(pivot: Sequence[Word], other: Sequence[Word]) -> dict[int, list[int]]:
    """Boundary index in `pivot` -> boundary indices in `other` that the best alignment runs through there."""
    text_a, ends_a = _joined(pivot)
    text_b, ends_b = _joined(other)
    low = [0] * (len(text_a) + 1)
    high = [0] * (len(text_a) + 1)
    for edit in Levenshtein.opcodes(text_a, text_b):
        tag, a0, a1, b0, b1 = edit.tag, edit.src_start, edit.src_end, edit.dest_start, edit.dest_end
        if tag == "insert":
            high[a0] = b1
            continue
        for step in range(1, a1 - a0 + 1):
            low[a0 + step] = high[a0 + step] = b0 if tag == "delete" else b0 + step
    index_b = {offset: i for i, offset in enumerate(ends_b)}
    result: dict[int, list[int]] = {}
    for i, offset in enumerate(ends_a):
        on_path = [index_b[b] for b in range(low[offset], high[offset] + 1) if b in index_b]
        if on_path:
            result[i] = on_path
    return result


def _joined(words: Sequence[Word]) -> tuple[str, list[int]]:
    """All letters without blanks, and the offset of every boundary, the first being 0."""
    ends = [0]
    for word in words:
        ends.append(ends[-1] + len(word.text))
    return plain("".join(word.text for word in words)), ends
