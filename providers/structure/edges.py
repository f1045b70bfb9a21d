"""What stands on a page beside the text: running heads and feet, page numbers, catchwords, signature marks.

By recurrence over the book and by what `label` found for each page. Lines are marked, never removed: what is left out of the
paragraphs is reported by class.
"""

from __future__ import annotations

import itertools
import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from rapidfuzz import fuzz, process

from providers.rules.numerals import parse
from providers.structure.lines import (
    CATCHWORD,
    PAGE_NUMBER,
    RUNNING_HEAD,
    SIGNATURE,
    Sheet,
    TextLine,
    squeezed,
    visual_rows,
)

ZONE = 0.2
"""Share of the page's height at either end in which heads and feet stand (`rules/labels.py`: MARGIN and a twentieth)."""
DEPTH = 2
"""Rows at either end that are looked at: two-line heads exist, three-line ones were not met."""
SIMILAR = 85
"""Two readings of one head (rapidfuzz ratio), as in `rules/headers.py`."""
LONGEST = 100


@dataclass(slots=True, eq=False)
class _Edge:
    """One of the outermost rows of a page."""

    sheet: Sheet
    lines: list[TextLine]
    top: bool
    depth: int
    place: float
    """Middle, as a share of the page's height."""
    size: float
    text: str
    key: str
    numbers: set[tuple[str, int]]
    """What its first or last token may be as a number; of a row that is a number alone, that."""
    alone: bool
    """The row is a number alone."""
    gap: float
    """To the next row towards the middle of the page, in sizes."""


def mark(sheets: Sequence[Sheet]) -> None:
    """Fill `Sheet.left_out` of all pages of a book."""
    rows = {sheet.page: visual_rows(sheet.lines) for sheet in sheets}
    edges = [edge for sheet in sheets for edge in _edges(sheet, rows[sheet.page])]
    accepted = [edge for edge in edges if _is_its_number(edge) or _is_its_head(edge)]
    accepted += _recurring([edge for edge in _without(edges, accepted) if not edge.alone])
    slots = _Slots(accepted)
    accepted += [edge for edge in _without(edges, accepted) if _stands_like(edge, slots)]
    for edge in accepted:
        _leave_out(edge)
    _mark_signatures(sheets, rows)
    _mark_catchwords(sheets, rows)


def _without(edges: Sequence[_Edge], accepted: Sequence[_Edge]) -> list[_Edge]:
    taken = {id(edge) for edge in accepted}
    return [edge for edge in edges if id(edge) not in taken]


def _edges(sheet: Sheet, rows: list[list[TextLine]]) -> list[_Edge]:
    found = []
    height = sheet.height or 1.0
    for top in (True, False):
        ordered = rows if top else rows[::-1]
        for depth, row in enumerate(ordered[:DEPTH]):
            y0, y1 = min(line.y0 for line in row), max(line.y1 for line in row)
            place = (y0 + y1) / 2 / height
            if not (place <= ZONE if top else place >= 1 - ZONE) or (not top and len(rows) <= DEPTH):
                break
            words = [word for line in row for word in line.words]
            text = " ".join(words)
            if len(text) > LONGEST:
                break
            size = max(line.size for line in row)
            gap = 9.0
            if depth + 1 < len(ordered):
                beside = ordered[depth + 1]
                gap = min(line.y0 for line in beside) - y1 if top else y0 - max(line.y1 for line in beside)
            core = [word for word in words if any(c.isalnum() for c in word)]
            alone = 0 < len(core) <= 2 and bool(parse("".join(core)))
            found.append(
                _Edge(
                    sheet=sheet,
                    lines=row,
                    top=top,
                    depth=depth,
                    place=place,
                    size=size,
                    text=text,
                    key=_key(core),
                    numbers=_values("".join(core))
                    if alone
                    else _values(core[0]) | _values(core[-1])
                    if core
                    else set(),
                    alone=alone,
                    gap=gap / (size or 1.0),
                )
            )
    return found


def _key(words: Sequence[str]) -> str:
    """A head without its number, chapter numbers made alike."""
    rest = list(words)
    if len(rest) > 1 and parse(rest[0]):
        rest = rest[1:]
    if len(rest) > 1 and parse(rest[-1]):
        rest = rest[:-1]
    return re.sub(r"\d+|\b[ivxl]+\b", "#", " ".join(rest).casefold())


def _values(token: str) -> set[tuple[str, int]]:
    return {(number.prefix, number.value) for number in parse(token)}


def _is_its_number(edge: _Edge) -> bool:
    """The page's own number, alone on its row."""
    return edge.alone and edge.sheet.label is not None and bool(edge.numbers & _values(edge.sheet.label))


def _is_its_head(edge: _Edge) -> bool:
    """What `label` found as the page's running header."""
    header = edge.sheet.running_header
    if header is None or not edge.top or edge.alone:
        return False
    return fuzz.ratio(edge.key, _key(header.split())) >= SIMILAR - 5


def _recurring(edges: Sequence[_Edge]) -> list[_Edge]:
    """Rows that stand on three pages and more at one place in one size, a few pages apart."""
    found: list[_Edge] = []
    for top in (True, False):
        mine = [edge for edge in edges if edge.top is top and len(squeezed(edge.key)) >= 2]
        counts = Counter(edge.key for edge in mine)
        heads = [key for key, count in sorted(counts.items(), key=lambda item: (-item[1], item[0])) if count >= 2]
        clusters: dict[str, list[_Edge]] = defaultdict(list)
        for edge in mine:
            if counts[edge.key] >= 2:
                match = edge.key
            else:
                near = process.extractOne(edge.key, heads, scorer=fuzz.ratio, score_cutoff=SIMILAR)
                if near is None:
                    continue
                match = near[0]
            clusters[match].append(edge)
        for members in clusters.values():
            place, size = median(edge.place for edge in members), median(edge.size for edge in members)
            steady = [e for e in members if abs(e.place - place) <= 0.03 and abs(e.size - size) <= 0.3 * size]
            pages = sorted({edge.sheet.page for edge in steady})
            # Headings that recur ("Summary") do so a chapter apart, heads on each page or every second one.
            if len(pages) >= 3 and median(b - a for a, b in itertools.pairwise(pages)) < 3:
                found += steady
    return found


class _Slots:
    """Where accepted rows stand, so that a book of 5,000 pages need not compare each with each."""

    STEP = 0.025
    ENOUGH = 50

    def __init__(self, accepted: Sequence[_Edge]) -> None:
        self._found: dict[tuple[bool, bool, int], list[_Edge]] = defaultdict(list)
        for edge in accepted:
            here = self._found[edge.top, edge.alone, int(edge.place / self.STEP)]
            if len(here) < self.ENOUGH:
                here.append(edge)

    def near(self, edge: _Edge, *, alone: bool) -> list[_Edge]:
        """Accepted rows at the same end of the page within a step of its place."""
        at = int(edge.place / self.STEP)
        rows = [row for step in (at - 1, at, at + 1) for row in self._found[edge.top, alone, step]]
        return [row for row in rows if abs(row.place - edge.place) <= self.STEP]


def _stands_like(edge: _Edge, slots: _Slots) -> bool:
    """A number that was misread, or the head of a short chapter: it stands where those of other pages stand."""
    if edge.depth > 0:
        return False
    label = edge.sheet.label
    if edge.alone or (len(edge.text) <= 4 and label is not None and not edge.sheet.label_inferred):
        slot = slots.near(edge, alone=True)
        upper = edge.text.isupper() and edge.text.isalpha()
        return len(slot) >= 3 and not (upper and edge.top) and edge.gap >= 0.4
    if label is None or not edge.numbers & _values(label):
        return False
    slot = [row for row in slots.near(edge, alone=False) if abs(row.size - edge.size) <= 0.25 * row.size]
    return len(slot) >= 3 and edge.gap >= 0.5 * median(e.gap for e in slot)


def _leave_out(edge: _Edge) -> None:
    own = _values(edge.sheet.label) if edge.sheet.label is not None else set()
    for at, line in enumerate(edge.lines):
        count = len(line.words)
        if edge.alone:
            edge.sheet.left_out[line.index] = ((0, count, PAGE_NUMBER),)
            continue
        first, last = 0, count
        runs: list[tuple[int, int, str]] = []
        if at == 0 and _values(line.words[0]) & own:
            runs.append((0, 1, PAGE_NUMBER))
            first = 1
        if at == len(edge.lines) - 1 and last - first >= 1 and _values(line.words[-1]) & own:
            runs.append((count - 1, count, PAGE_NUMBER))
            last = count - 1
        if first < last:
            runs.append((first, last, RUNNING_HEAD))
        edge.sheet.left_out[line.index] = tuple(sorted(runs))


_SIGNATURE = re.compile(r"(?:[A-Z]{1,2}|[a-z])\s?(?:\d|[ivx]{1,3})?|\d{1,2}\s?[*†]?|[*†]\s?[A-Z]")


def _last_row(sheet: Sheet, rows: list[list[TextLine]]) -> list[TextLine] | None:
    """The lowest row of the page that is not left out, if it stands in the foot zone under other text."""
    kept = [row for row in rows if all(line.index not in sheet.left_out for line in row)]
    if len(kept) < 5 or kept[-1][0].middle < (1 - ZONE) * sheet.height:
        return None
    return kept[-1]


def _mark_signatures(sheets: Sequence[Sheet], rows: dict[int, list[list[TextLine]]]) -> None:
    """Letters or numbers of gatherings at the foot of every eighth page or so, in rising order."""
    found: list[tuple[Sheet, list[TextLine], str]] = []
    for sheet in sheets:
        row = _last_row(sheet, rows[sheet.page])
        if row is None:
            continue
        text = " ".join(line.text for line in row).strip(" .")
        if len(text) <= 5 and _SIGNATURE.fullmatch(text) and row[0].x0 > 0.2 * sheet.width:
            found.append((sheet, row, text.casefold()))
    if len(found) < 3:
        return
    pairs = list(itertools.pairwise(found))
    apart = median(b[0].page - a[0].page for a, b in pairs)
    rising = sum(a[2].rjust(5) <= b[2].rjust(5) for a, b in pairs) / len(pairs)
    if apart >= 2 and rising >= 0.8:
        for sheet, row, _ in found:
            sheet.left_out.update({line.index: ((0, len(line.words), SIGNATURE),) for line in row})


def _mark_catchwords(sheets: Sequence[Sheet], rows: dict[int, list[list[TextLine]]]) -> None:
    """The next page's first word, at the right under the last line."""
    for sheet, following in itertools.pairwise(sheets):
        row = _last_row(sheet, rows[sheet.page])
        if row is None or len(row) > 1 or len(row[0].words) > 2 or row[0].x0 < 0.5 * sheet.width:
            continue
        body = following.body
        word = squeezed(row[0].text)
        if body and word and squeezed(body[0].text).startswith(word):
            sheet.left_out[row[0].index] = ((0, len(row[0].words), CATCHWORD),)
