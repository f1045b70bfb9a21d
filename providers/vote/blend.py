"""One reading of a page out of several."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Container, Sequence
from dataclasses import dataclass, replace
from statistics import median

from providers.text_damage import is_broken
from providers.vote.align import Block, LineGroup, align_words, group_lines, level, plain
from providers.vote.choose import (
    BULLETS,
    DOUBT,
    GOOD,
    LEADER_WIDTH,
    Decision,
    confidence,
    decide,
    is_dots,
    is_leader,
    key,
    known,
    union,
)
from providers.vote.locate import placed
from providers.vote.quality import expected_cer
from schemas.reading import Line, PageReading, Word

PRIOR = {"tesseract": 1, "rapidocr": 2}
"""Which engine is the pivot when the page itself does not tell. 65 scans of letters: word error rate of Tesseract
4.99 %, of RapidOCR 3.81 %. Engines that are not named (text layers, paid services) come before both."""

LAYOUT = {"rapidocr": 0, "tesseract": 2}
"""Whose order of lines is followed, highest first, 1 if not named: RapidOCR sorts boxes by y and mixes columns."""

POOR = 70.0
"""A reading below this mean confidence is not the pivot if another is above (Tesseract has 14 to 70 on contents
pages with dot leaders, over 90 on plain ones)."""

CLEAR = 4
"""So many times more known words than the other, where they differ, make a reading the pivot against `PRIOR`. With 2, the
blanks that RapidOCR loses in letterheads made Tesseract the pivot on pages that it reads worse."""


def blend(readings: Sequence[PageReading], lexicon: Container[str] = frozenset()) -> PageReading:
    """Blend the readings of one page; its figures say how many errors to expect ("expected_cer").

    One reading passes unchanged but for the provider's name. Of several, lines are matched by geometry, words
    aligned inside matched lines, and every disputed block is decided by the rules of `choose`: two engines by
    pivot and lexicon, three and more by vote (65 scans of letters: 15 % fewer wrong words than the better engine alone;
    a vote of two is no gain). docs/reading.md has the figures.

    Args:
        readings: One per engine, of the same page, in points of the same upright page.
        lexicon: Known words as `choose.key` has them, of the language and the book's other pages
            (`providers/lexicon.py`). Words that all engines read alike on this page are added.

    Raises:
        ValueError: `readings` is empty.
    """
    if not readings:
        raise ValueError("nothing to blend: no reading of this page was given")
    usable = [
        guarded
        for reading in readings
        if reading.lines and not _invented(reading, readings) and (guarded := _guarded(reading)) is not None
    ]
    if not usable:
        usable = [next((r for r in readings if not r.lines), readings[0])]
    if len(usable) == 1:
        figures = {**usable[0].figures, "expected_cer": expected_cer(usable[0], lexicon)}
        return _in_letters(replace(usable[0], provider="vote", figures=figures))
    blended = _blended(usable, lexicon)
    measured = [reading.figures["ink_outside"] for reading in usable if "ink_outside" in reading.figures]
    blended.figures = {"ink_outside": min(measured)} if measured else {}  # a line that one lost another may have
    blended.figures["expected_cer"] = expected_cer(blended, lexicon)
    return _in_letters(blended)


LIGATURES = {
    ord("ﬀ"): "ff", ord("ﬁ"): "fi", ord("ﬂ"): "fl", ord("ﬃ"): "ffi", ord("ﬄ"): "ffl", ord("ﬅ"): "ſt", ord("ﬆ"): "st",
}  # fmt: skip
"""Typography of fonts, not letters of the text: text layers have them, and who looks for "file" would not find it."""


def _in_letters(reading: PageReading) -> PageReading:
    """Ligatures as the letters that they join; last, because one behind a capital tells a broken font."""
    if not any(ord(sign) in LIGATURES for line in reading.lines for word in line.words for sign in word.text):
        return reading
    return replace(
        reading,
        lines=[
            replace(line, words=[replace(word, text=word.text.translate(LIGATURES)) for word in line.words])
            for line in reading.lines
        ],
    )


def _blended(usable: Sequence[PageReading], lexicon: Container[str]) -> PageReading:
    usable = level([_items_apart(reading) for reading in placed(usable)])
    names = [reading.provider for reading in usable]
    groups = group_lines(usable)
    words_known = _Words(lexicon, _agreed_words(groups))
    pivot = _pivot(usable, groups, words_known)
    curly = _uses_curly_quotes(usable)
    rows: list[tuple[LineGroup, list[Line]]] = []
    tall = TALL * _type_height(groups)
    for group in groups:
        lines = _blend_group(group, names, pivot, words_known, tall, curly=curly)
        if lines:
            rows.append((group, lines))
    rows = _without_echoes(rows)
    _complete_leaders([line for _, lines in rows for line in lines])
    layout = max(range(len(usable)), key=lambda i: (LAYOUT.get(names[i], 1), i == pivot))
    return PageReading(
        provider="vote",
        width=usable[layout].width,
        height=usable[layout].height,
        lines=_in_reading_order(rows, usable, layout),
        model=" + ".join(f"{reading.provider} {reading.model}".strip() for reading in usable),
        language=usable[layout].language,
    )


@dataclass(frozen=True, slots=True)
class _Words(Container[str]):
    """The lexicon that was given, and the page's own words."""

    given: Container[str]
    agreed: Container[str]

    def __contains__(self, word: object) -> bool:
        return word in self.agreed or word in self.given


def agreement(blended: PageReading) -> float | None:
    """Share of words that all readings have alike; None if only one reading went in."""
    words = [word for word in blended.words if word.rule]
    if not words:
        return None
    return sum(word.rule == "agreed" for word in words) / len(words)


def _guarded(reading: PageReading) -> PageReading | None:
    """The reading without what is no reading of the page; None if it has no say at all.

    Of a text layer in which one word in three has a broken font's characters, nothing else is to be trusted either. Single
    broken words lose their vote where they stand (`choose.decide`). A model that repeats itself keeps what it said first.
    """
    if _loops(reading):
        return None
    words = reading.words
    if sum(is_broken(word.text) for word in words) * 3 > len(words):
        return None
    lines: list[Line] = []
    again = 0
    for line in reading.lines:
        kept = [word for word in line.words if _on_page(word, reading)]
        again = again + 1 if lines and len(kept) >= 3 and _texts(kept) == _texts(lines[-1].words) else 0
        if kept and again < REPEATED:
            lines.append(line if len(kept) == len(line.words) else Line(kept, line.block))
    return replace(reading, lines=lines) if lines else None


def _texts(words: Sequence[Word]) -> list[str]:
    return [word.text for word in words]


def _on_page(word: Word, reading: PageReading) -> bool:
    """The middle of its box lies on the page."""
    x, y = (word.box[0] + word.box[2]) / 2, (word.box[1] + word.box[3]) / 2
    return 0 <= x <= reading.width and 0 <= y <= reading.height


REPEATED = 3
"""A line of three words and more that follows itself so often is a loop; forms and tables repeat one twice."""


def _loops(reading: PageReading) -> bool:
    """A language model that repeats itself: one run of five words makes up over a third of a longer text."""
    texts = _texts(reading.words)
    if len(texts) < 60:
        return False
    runs = Counter(zip(*(texts[i:] for i in range(5)), strict=False))
    run, count = runs.most_common(1)[0]
    return count * 5 > len(texts) / 3 and not all(is_leader(text) or len(text) == 1 for text in run)


def _invented(reading: PageReading, readings: Sequence[PageReading]) -> bool:
    """Text without confidences for a page on which an engine saw no print at all: models describe blank pages and plates."""
    return all(word.confidence is None for word in reading.words) and any(
        not other.lines and other.figures.get("ink_lines") == 0.0 for other in readings
    )


def _items_apart(reading: PageReading) -> PageReading:
    """The reading with a blank between a bullet and the item: RapidOCR writes them as one word."""
    lines = [
        Line([*_apart(line.words[0]), *line.words[1:]], line.block)
        if line.words
        and len(line.words[0].text) > 1
        and line.words[0].text[0] in BULLETS
        and line.words[0].text[1].isalnum()
        else line
        for line in reading.lines
    ]
    return replace(reading, lines=lines)


def _apart(word: Word) -> tuple[Word, Word]:
    """A word's first sign, and the rest of it."""
    x0, y0, x1, y1 = word.box
    cut = x0 + (x1 - x0) / len(word.text)
    return replace(word, text=word.text[0], box=(x0, y0, cut, y1)), replace(
        word, text=word.text[1:], box=(cut, y0, x1, y1)
    )


def _agreed_words(groups: Sequence[LineGroup]) -> set[str]:
    """Words that all readings of a line have: the page's own lexicon."""
    found: set[str] = set()
    for group in groups:
        sets = [{key(word.text) for line in lines for word in line.words} for lines in group.lines if lines]
        if len(sets) > 1:
            found |= set.intersection(*sets)
    return {word for word in found if len(word) > 1 or word in {"a", "i"}}


def _pivot(readings: Sequence[PageReading], groups: Sequence[LineGroup], lexicon: Container[str]) -> int:
    """The reading that is followed where nothing speaks against it.

    Three or more: the medoid, i.e. the one that shares most words with the others. Two: the one not in doubt
    (`POOR`); else the one with more known words where they differ, if that is clear (twice as many); else `PRIOR`.
    """
    prior = [PRIOR.get(reading.provider, 3) for reading in readings]
    sure = [confidence(reading.words) >= POOR for reading in readings]
    if len(readings) > 2:
        bags = [Counter(plain(word.text) for word in reading.words) for reading in readings]
        shared = [sum((bag & other).total() for other in bags if other is not bag) for bag in bags]
        size = [max(1, bag.total()) for bag in bags]
        best = max(shared)
        return max(
            range(len(readings)),
            key=lambda i: (sure[i], shared[i] >= 0.98 * best, prior[i], shared[i] / size[i]),
        )
    differing = [0, 0]
    for group in groups:
        bags = [Counter(key(word.text) for line in lines for word in line.words) for lines in group.lines]
        for i in (0, 1):
            differing[i] += sum(n for word, n in (bags[i] - bags[1 - i]).items() if word in lexicon)
    clear = [differing[i] >= 4 and differing[i] >= CLEAR * differing[1 - i] for i in (0, 1)]
    return max((0, 1), key=lambda i: (sure[i], clear[i], prior[i]))


def _uses_curly_quotes(readings: Sequence[PageReading]) -> bool:
    """Any engine that knows typographic quotes saw mostly such ones."""
    for reading in readings:
        text = reading.text
        curly = sum(text.count(c) for c in "“”‘’")
        if curly and curly >= sum(text.count(c) for c in "\"'"):
            return True
    return False


TALL = 2.2
"""So many times as tall as the page's lines of print, and of unknown words, is a line of one engine of this machine alone: a
signature, handwriting, a logo, which none of them reads. On 65 letters such lines were a twelfth of the blend's wrong words."""
PRINTED_LINES = 8
"""So many lines must have been read by several engines for their height to be the page's: a title page has fewer."""


def _type_height(groups: Sequence[LineGroup]) -> float:
    """Of the lines that several engines have; endless where there are too few."""
    heights = [lines[0].height for group in groups if sum(map(bool, group.lines)) > 1 for lines in group.lines if lines]
    return median(heights) if len(heights) >= 2 * PRINTED_LINES else math.inf


def _blend_group(
    group: LineGroup, names: Sequence[str], pivot: int, lexicon: Container[str], tall: float, *, curly: bool
) -> list[Line]:
    """The blended words of one group of matched lines: one line, or several where columns were joined by one engine."""
    present = [i for i, lines in enumerate(group.lines) if lines]
    if len(present) == 1:
        return _only_one(group.lines[present[0]], names[present[0]], names, lexicon, tall)
    order = [pivot] * (pivot in present) + [i for i in present if i != pivot]
    blocks = align_words([[word for line in group.lines[i] for word in line.words] for i in order])
    words: list[Word] = []
    spoken = {plain(block[0][0].text) for block in blocks if len(block[0]) == 1 and not any(block[1:])}
    for position, block in enumerate(blocks):
        if not block[0] and spoken and all(plain(word.text) in spoken for words_of in block for word in words_of):
            continue  # the same words in another order: the pivot's place is kept
        full: Block = tuple(block[order.index(i)] if i in present else () for i in range(len(names)))
        voting = tuple(full[i] for i in order)
        between = _between(blocks, position)
        following = _first_word(blocks[position + 1 :])
        decision = decide(voting, 0, lexicon, between=between, first=not words, following=following)
        words += _signed(decision, voting, [names[i] for i in order], curly=curly)
    words = _one_leader(words)
    if not words:
        return []
    split = max((group.lines[i] for i in present), key=_columns)
    if _columns(split) > 1:
        return _split(words, split)
    first = group.lines[order[0]][0]
    return [Line(words=words, block=first.block)]


def _one_leader(words: Sequence[Word]) -> list[Word]:
    """Leaders that came in several blocks as one word."""
    result: list[Word] = []
    for word in words:
        if result and word.rule == "leaders" and is_leader(word.text) and is_dots(result[-1].text):
            result[-1] = replace(word, box=union([result[-1].box, word.box]))
        else:
            result.append(word)
    return result


LEADER_LINES = 2
"""So many entries with leaders, and a lone dot before a number at the end of a line is what is left of others."""


def _complete_leaders(lines: Sequence[Line]) -> None:
    """Leaders of which no more than a dot was read, by either engine, beside or on the number behind them ("Images .13").

    Only on a page where other lines have leaders, and across a gap as wide as leaders are: ".13" is a number in a table."""
    ends = [line for line in lines if len(line.words) > 1 and _is_number_like([_without_dots(line.words[-1])])]
    if sum(is_leader(line.words[-2].text) for line in ends) < LEADER_LINES:
        return
    for line in ends:
        before, number = line.words[-2:]
        whole = _without_dots(number)
        dots = whole.text != number.text or any(is_dots(text) for _, text in number.readings)
        x0, x1 = before.box[2], number.box[0]
        if dots and not is_dots(before.text) and x1 - x0 >= LEADER_WIDTH * (number.box[3] - number.box[1]):
            leaders = Word(
                "....", (x0, number.box[1], x1, number.box[3]), None, readings=number.readings, rule="leaders"
            )
            line.words[-1:] = [leaders, whole]


def _without_dots(word: Word) -> Word:
    return replace(word, text=word.text.lstrip(".·…"))


def _first_word(blocks: Sequence[Block]) -> str:
    """The pivot's next word in the line."""
    return next((block[0][0].text for block in blocks if block[0]), "")


def _between(blocks: Sequence[Block], position: int) -> bool:
    """Some text stands before this block in the same line, and a number or nothing after it."""
    return position > 0 and all(
        not any(c.isalpha() for word in words for c in word.text) or _is_number_like(words)
        for block in blocks[position + 1 :]
        for words in block[:1]
    )


def _is_number_like(words: Sequence[Word]) -> bool:
    return len(words) == 1 and bool(re.fullmatch(r"[ivxlcdmIVXLCDM0-9Oo|]+[.,]?", words[0].text))


def _signed(decision: Decision, block: Block, names: Sequence[str], *, curly: bool) -> list[Word]:
    """The decided words with who said them and, if disputed, what each one said."""
    if decision.rule == "agreed":
        best = [max((words[i] for words in block), key=lambda w: w.confidence or 0.0) for i in range(len(block[0]))]
        return [
            Word(chosen.text, chosen.box, top.confidence, voters=tuple(names), rule="agreed")
            for chosen, top in zip(decision.words, best, strict=True)
        ]
    readings = tuple((name, " ".join(word.text for word in words)) for name, words in zip(names, block, strict=True))
    voters = tuple(names[i] for i in decision.voters)
    return [
        Word(
            text=_curled(word.text) if curly else word.text,
            box=word.box,
            confidence=word.confidence,
            voters=voters,
            readings=readings,
            rule=decision.rule,
        )
        for word in decision.words
    ]


def _curled(text: str) -> str:
    """Straight quotes made typographic: opening at the start or after a dash or bracket, closing elsewhere.

    Only for words of a page on which an engine saw typographic quotes: RapidOCR gives most of them straight.
    """
    if '"' not in text and "'" not in text:
        return text
    result = []
    for i, c in enumerate(text):
        opening = all(before in "([{—–-\"'“‘" for before in text[:i][-1:]) and i + 1 < len(text)
        if c == '"':
            c = "“" if opening else "”"
        elif c == "'":
            c = "‘" if opening else "’"
        result.append(c)
    return "".join(result)


def _only_one(
    lines: Sequence[Line], name: str, names: Sequence[str], lexicon: Container[str], tall: float
) -> list[Line]:
    """Lines that only one engine has. Kept if they look like text: Tesseract reads rules and speckle as letters, RapidOCR
    whatever is written by hand."""
    result = []
    for line in lines:
        text = line.text
        letters = sum(c.isalnum() for c in text)
        told = all(word.confidence is None for word in line.words)
        shared = sum(len(key(word.text)) > 2 and known([word], lexicon) for word in line.words)
        sure = confidence(line.words) >= (GOOD - DOUBT if shared * 2 >= len(line.words) else GOOD)
        if not told and (not letters or not sure or letters * 2 < len(text.replace(" ", ""))):
            continue
        if letters == 1 and confidence(line.words) < 90:
            continue
        if line.height > tall and name in PRIOR and not known(line.words, lexicon):
            continue
        readings = tuple((other, "") for other in names if other != name)
        words = [
            Word(w.text, w.box, w.confidence, (name,), ((name, w.text), *readings), "only-one") for w in line.words
        ]
        result.append(Line(words=words, block=line.block))
    return result


def _without_echoes(rows: list[tuple[LineGroup, list[Line]]]) -> list[tuple[LineGroup, list[Line]]]:
    """Drop a line of one engine that stands again close by, read by another engine: their boxes did not meet."""
    kept = []
    for group, lines in rows:
        sources = [i for i, present in enumerate(group.lines) if present]
        echo = False
        if len(sources) == 1 and len(lines) == 1 and len(text := plain(lines[0].text).replace(" ", "")) >= 8:
            x0, y0, x1, y1 = lines[0].box
            for other, others in rows:
                if other is group or not any(other.lines[i] for i in range(len(other.lines)) if i != sources[0]):
                    continue
                for line in others:
                    u0, v0, u1, v1 = line.box
                    near = abs(v0 + v1 - y0 - y1) / 2 <= 5 * (y1 - y0) and min(x1, u1) > max(x0, u0)
                    mine = any(
                        group_name in word.voters for word in line.words for group_name in lines[0].words[0].voters
                    )
                    if near and not mine and plain(line.text).replace(" ", "") == text:
                        echo = True
        if not echo:
            kept.append((group, lines))
    return kept


def _columns(lines: Sequence[Line]) -> int:
    """How many columns these pieces of a visual line are: pieces of three words and more, in blocks of their own."""
    return len({line.block for line in lines if len(line.words) >= 3})


def _split(words: list[Word], lines: Sequence[Line]) -> list[Line]:
    """Give each word to the piece whose box it is in (by its middle)."""
    rows: list[list[Word]] = [[] for _ in lines]
    for word in words:
        middle = ((word.box[0] + word.box[2]) / 2, (word.box[1] + word.box[3]) / 2)
        nearest = min(range(len(lines)), key=lambda i: _distance(middle, lines[i].box))
        rows[nearest].append(word)
    return [Line(words=row, block=line.block) for row, line in zip(rows, lines, strict=True) if row]


def _distance(point: tuple[float, float], box: tuple[float, float, float, float]) -> float:
    dx = max(box[0] - point[0], 0.0, point[0] - box[2])
    dy = max(box[1] - point[1], 0.0, point[1] - box[3])
    return dx + 2 * dy


def _in_reading_order(
    rows: Sequence[tuple[LineGroup, list[Line]]], readings: Sequence[PageReading], layout: int
) -> list[Line]:
    """Rows from top to bottom; on a page with columns the order of the reading with the best layout, where
    a line that it lacks follows the one above it."""
    if not _has_columns([line for _, lines in rows for line in lines]):
        return _by_rows([line for _, lines in rows for line in lines])
    place = {id(line): position for position, line in enumerate(readings[layout].lines)}
    anchored: list[tuple[float, list[Line]]] = []
    missing: list[list[Line]] = []
    for group, lines in rows:
        own = [place[id(line)] for line in group.lines[layout] if id(line) in place]
        if own:
            anchored.append((float(min(own)), lines))
        else:
            missing.append(lines)
    anchored.sort(key=lambda item: item[0])
    result = [lines for _, lines in anchored]
    for lines in sorted(missing, key=lambda piece: (piece[0].box[1], piece[0].box[0])):
        x0, y0, x1, y1 = lines[0].box
        middle = (y0 + y1) / 2
        at = 0
        for i, other in enumerate(result):
            u0, v0, u1, v1 = union([line.box for line in other])
            if (v0 + v1) / 2 <= middle and min(x1, u1) > max(x0, u0):
                at = i + 1
        if at == 0:
            at = sum(1 for other in result if other[0].box[3] <= middle)
        result.insert(at, lines)
    return [line for lines in result for line in lines]


def _has_columns(lines: Sequence[Line]) -> bool:
    """A quarter of the lines have running text (four words and more) beside them that is as long as they are."""
    boxes = [(line.box, len(line.words)) for line in lines if len(line.words) >= 4]
    beside = 0
    for (x0, y0, x1, y1), _ in boxes:
        beside += any(
            (u0 >= x1 or u1 <= x0) and min(y1, v1) - max(y0, v0) > 0.3 * min(y1 - y0, v1 - v0)
            for (u0, v0, u1, v1), _ in boxes
        )
    return beside >= 6 and beside >= 0.25 * len(lines)


def _by_rows(lines: Sequence[Line]) -> list[Line]:
    """Lines by height, those of one height from left to right.

    Tesseract puts letterheads, signatures and numbers that stand beside text into blocks of their own, in any
    order: on 65 letters that was a twentieth of all wrong words.
    """
    rows: list[list[Line]] = []
    for line in sorted(lines, key=lambda line: (line.box[1] + line.box[3]) / 2):
        middle = (line.box[1] + line.box[3]) / 2
        if rows:
            last = rows[-1][0].box
            if middle - (last[1] + last[3]) / 2 < 0.4 * min(last[3] - last[1], line.height):
                rows[-1].append(line)
                continue
        rows.append([line])
    return [line for row in rows for line in sorted(row, key=lambda line: line.box[0])]
