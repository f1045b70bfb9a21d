"""Printed page numbers: candidates of a page, and the sequence that explains them over the book.

A page alone does not tell: over six real books the best number of each page was right on 55.5 % of them, Viterbi over
the same candidates on 96.2 %. States are offsets between printed and physical number, per style, and a hole for pages
that are not numbered (sequences with holes: Déjean and Meunier, US 7,797,622, lapsed).
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from pydantic import BaseModel, ConfigDict

from providers.rules.headers import running_headers
from providers.rules.layout import Row, has_leaders, last_stands_apart, type_height, visual_rows, without_leaders
from providers.rules.numerals import Number, folio, parse, printed, roman_value
from providers.rules.page_types import page_types
from providers.rules.proposal import Candidate, EdgeLine, Heading, Proposal
from schemas.reading import PageReading, Word

MARGIN = 0.15
"""Share of the page's height in which numbers and headers are expected. Xerox's experiments on densities and margins
used 10 %; LaTeX's default on Letter puts the header at 12.5 %."""

_LONG_HEADER = 90


class PageLabel(BaseModel):
    """What is printed on a page as its number, and what kind of page it is."""

    model_config = ConfigDict(frozen=True)

    label: str | None
    """The number as printed ("xii", "A-3"); None for pages outside the numbering and blank ones."""
    inferred: bool = False
    """The page itself shows no number, but its place in a run of numbered pages tells it."""
    confidence: float = 0.0
    """0 to 1; of a None: how sure it is that no number is printed."""
    running_header: str | None = None
    page_type: str = "body"


def propose(reading: PageReading) -> Proposal:
    """Candidates for number, header and footer of one page, and cheap facts about it."""
    rows = [] if _speckle(reading) else visual_rows(reading)
    height = reading.height or 1.0
    words = sum(len(row.words) for row in rows)
    body = type_height(rows)
    text = reading.text if rows else ""
    return Proposal(
        numbers=_candidates(rows, reading.width, height),
        headers=_edge_lines(rows[:2], rows, height, top=True),
        footers=_edge_lines(rows[-2:][::-1] if len(rows) > 2 else [], rows, height, top=False),
        first_lines=tuple(_short(row.text, 90) for row in rows[:6]),
        headings=_headings(rows, body),
        words=words,
        rows=len(rows),
        numbered=round(_share(rows, _ends_in_number), 3),
        leaders=round(_share(rows, lambda row: has_leaders(row.text)), 3),
        listed=round(_share(rows, lambda row: bool(_INDEX_ENTRY.search(row.text))), 3),
        type_height=round(body, 1),
        largest=round(max((row.height for row in rows if _letters(row) > 2), default=0.0), 1),
        top=round(rows[0].box[1] / height, 3) if rows else 1.0,
        bottom=round(rows[-1].box[3] / height, 3) if rows else 0.0,
        has_copyright="©" in text or bool(re.search(r"\bcopyright\b", text, re.I)),
        has_isbn=bool(re.search(r"\bISBN", text)),
    )


def _speckle(reading: PageReading) -> bool:
    """A blank page on which an engine read dirt: no word in which it had half confidence."""
    return all(word.confidence is not None and word.confidence < 50 for word in reading.words)


_INDEX_ENTRY = re.compile(r"\w[,\s]\s*\d{1,4}([–-]\d{1,4})?(,\s*\d{1,4}([–-]\d{1,4})?n?)*[.;]?$")


def _short(text: str, limit: int) -> str:
    text = without_leaders(text) if has_leaders(text) else text
    return text if len(text) <= limit else text[: limit - 1] + "…"


def _letters(row: Row) -> int:
    return sum(c.isalpha() for c in row.text)


def _share(rows: Sequence[Row], test: Callable[[Row], bool]) -> float:
    return sum(test(row) for row in rows) / len(rows) if rows else 0.0


def _ends_in_number(row: Row) -> bool:
    if len(row.words) < 2:
        return False
    numbers = parse(row.words[-1].text)
    if any(n.style == "arabic" or (n.style == "roman" and not n.repaired and not n.upper) for n in numbers):
        return True
    # "3-12" may be the pages of an article, unless it stands apart as in contents.
    return any(n.style == "composite" for n in numbers) and (has_leaders(row.text) or last_stands_apart(row))


_SECTION = re.compile(r"^(?:[A-Z]|\d{1,2})(?:\.\d{1,3}){1,3}\.?\s|^(?:chapter|part|appendix|section)\b", re.I)


def _headings(rows: Sequence[Row], body: float) -> tuple[Heading, ...]:
    """Lines that may be headings: larger than the page's type by a tenth, or numbered like sections."""
    found = []
    for i, row in enumerate(rows):
        if not 2 <= _letters(row) <= 100 or (_ends_in_number(row) and has_leaders(row.text)):
            continue
        larger = body > 0 and row.height >= 1.1 * body
        if larger or (_SECTION.match(row.text) and len(row.text) < 90):
            found.append(Heading(text=_short(row.text, 70), height=round(row.height, 1), row=i))
    found.sort(key=lambda heading: -heading.height)
    return tuple(sorted(found[:6], key=lambda heading: heading.row))


def _edge_lines(edge: Sequence[Row], rows: Sequence[Row], height: float, *, top: bool) -> tuple[EdgeLine, ...]:
    """Text of the outermost rows without their numbers."""
    found = []
    for row in edge:
        share = row.box[1] / height if top else 1 - row.box[3] / height
        if share > MARGIN + 0.05:
            break
        words, numbered = _without_count(row)
        if numbered:
            pass
        elif len(words) > 1 and _page_number(words[0].text) and not _page_number(words[-1].text):
            words, numbered = words[1:], True
        elif len(words) > 1 and _page_number(words[-1].text):
            words, numbered = words[:-1], True
        elif len(words) == 1 and parse(words[0].text):
            continue
        text = " ".join(word.text for word in words).strip(" |·•—–-")
        if sum(c.isalpha() for c in text) < 2 or len(text) > _LONG_HEADER:
            continue
        index = next(i for i, other in enumerate(rows) if other is row)
        beside = index + 1 if top else index - 1
        gap = 0.0
        if 0 <= beside < len(rows):
            gap = rows[beside].box[1] - row.box[3] if top else row.box[1] - rows[beside].box[3]
        found.append(
            EdgeLine(
                text=text,
                place=round(row.middle / height, 3),
                height=round(max(word.box[3] - word.box[1] for word in words), 1),
                numbered=numbered,
                gap=round(gap, 1),
                row=index,
            )
        )
    return tuple(found)


_OF_ALL = re.compile(r"(?:^|\s)(?:page\s+)?(\d{1,4})\s?(?:/|of|von|de|sur|di|van)\s?(\d{1,4})$", re.I)
"""At the end of a header or footer: the page and how many there are."""


def _without_count(row: Row) -> tuple[list[Word], bool]:
    """The words of a header without "3 / 233", and whether it had that."""
    match = _of_all(row.text)
    if match is None:
        return list(row.words), False
    kept = len(row.text[: match.start()].split())
    return list(row.words[:kept]), True


def _of_all(text: str) -> re.Match[str] | None:
    match = _OF_ALL.search(text)
    return match if match and int(match[1]) <= int(match[2]) else None


def _page_number(text: str) -> bool:
    return any(not n.upper and (n.style != "roman" or not n.repaired or len(text) <= 5) for n in parse(text))


_YEAR = range(1450, 2101)


def _candidates(rows: Sequence[Row], width: float, height: float) -> tuple[Candidate, ...]:
    """Numbers in the two outermost rows at the top and at the bottom."""
    found: dict[tuple[str, str, int], Candidate] = {}
    listing = _share(rows, _ends_in_number) >= 0.4  # contents, index: the numbers of the last rows are not the page's
    edges = [(row, "top", depth) for depth, row in enumerate(rows[:2])]
    edges += [(row, "bottom", depth) for depth, row in enumerate(rows[::-1][:2]) if len(rows) > 2 or depth == 0]
    for row, edge, depth in edges:
        share = row.middle / height if edge == "top" else 1 - row.middle / height
        if share > 0.35:
            continue
        place = (1.0 if share <= MARGIN else 0.6) * (1.0 if depth == 0 else 0.6)
        for token, x, base in _tokens(row):
            side = "left" if x < 0.33 * width else "right" if x > 0.67 * width else "centre"
            for number in parse(token):
                score = (base if base == 1.0 or not listing else 0.5 * base) * place * _prior(number, alone=base == 1.0)
                candidate = Candidate(
                    text=token[:12],
                    style=number.style,
                    prefix=number.prefix,
                    value=number.value,
                    upper=number.upper,
                    place=f"{edge}-{side}",
                    score=round(score, 2),
                )
                key = (number.style, number.prefix, number.value)
                if key not in found or found[key].score < candidate.score:
                    found[key] = candidate
    return tuple(sorted(found.values(), key=lambda c: -c.score)[:6])


def _prior(number: Number, *, alone: bool) -> float:
    prior = 0.7 if number.repaired else 1.0
    if number.style == "roman" and number.upper:
        prior *= 0.4  # mostly chapter numbers
    if number.style == "composite":
        prior *= 0.8
    if number.style == "arabic" and number.value in _YEAR:
        prior *= 0.5
    if not alone and number.style == "roman" and number.repaired:
        prior *= 0.3  # "I", "l" at the edge of a header
    return prior


def _tokens(row: Row) -> list[tuple[str, float, float]]:
    """Tokens of a row that may be its page number: (text, x of its middle, score)."""
    words = row.words
    text = row.text
    middle = (row.box[0] + row.box[2]) / 2
    alone = folio(text)
    if alone is not None and len(words) <= 5:
        return [(alone, middle, 1.0)]
    counted = _of_all(text)
    if counted is not None:
        word = row.words[min(len(text[: counted.start(1)].split()), len(words) - 1)]
        return [(counted[1], (word.box[0] + word.box[2]) / 2, 0.85)]
    core = [word for word in words if any(c.isalnum() or c == "|" for c in word.text)]
    if len(core) == 1:
        return [(core[0].text, (core[0].box[0] + core[0].box[2]) / 2, 1.0)]
    if len(core) <= 3 and len(text) <= 9 and parse(text.replace(" ", "")):  # "A - 3", "1 2"
        return [(text.replace(" ", ""), middle, 0.9)]
    if not core or has_leaders(text):
        return []
    result = []
    for word, neighbour in ((core[0], core[1]), (core[-1], core[-2])):
        left, right = sorted((word, neighbour), key=lambda w: w.box[0])
        gap = right.box[0] - left.box[2]
        rest = " ".join(other.text for other in core if other is not word)
        wide = gap > 1.2 * row.height
        headline = len(rest) <= _LONG_HEADER and (rest.isupper() or wide)
        score = 0.85 if headline and (wide or rest.isupper()) else 0.3 if len(rest) < 50 else 0.1
        result.append((word.text, (word.box[0] + word.box[2]) / 2, score))
    return result


# --- the sequence ------------------------------------------------------------------------------------------------

_State = tuple[str, str, int]
"""style, prefix, offset = value - index of the page (0-based)"""

MAX_STATES = 150
"""Offsets that are considered, best supported first: keeps 5,000 pages under a second."""

UNSEEN = -0.06
"""Evidence of a page without the number that a state expects: forty such pages in a row cost as much as leaving the
run and coming back, so unnumbered openings and plates do not end a run."""

LEAVING = 0.5
"""What ending a run costs if none follows at once; more than the step to the same numbering a few leaves on, so that
the last page of a run is not given up to save that step."""

CONTRADICTED = -0.25
"""The same where a number stands alone in the margin that does not fit."""

REACH = 2.0
"""Pages beyond its first and last number to which a run goes on, for each page of it that is lost for one that is read."""

ENOUGH = 5
"""Numbers that are read, to tell what share of a run's is lost."""

EXTENDED = 0.5
"""Confidence of such a number: nothing on its other side confirms it."""

IMPOSSIBLE = -1e9
"""Less than all the evidence of a book."""


def sequence(
    proposals: Sequence[Proposal | None],
    pdf_labels: Sequence[str] | None = None,
    pinned: Mapping[int, str | None] | None = None,
    types: Mapping[int, str] | None = None,
) -> list[PageLabel]:
    """Printed number, running header and type of every page of a book.

    Args:
        proposals: One per page in physical order; None where reading failed.
        pdf_labels: /PageLabels of the PDF, one per page. A witness only: they extend runs of numbers that are
            printed, where they agree with them.
        pinned: Position (0-based) -> what a person says is printed there, None for nothing. It stands as it is given,
            and as a number it is certain evidence for the pages around it.
        types: Position (0-based) -> what a person says that the page is.
    """
    headers = running_headers(proposals)
    labels = _numbers(proposals, pdf_labels, pinned or {})
    kinds = page_types(proposals, [label for label, _, _ in labels], types)
    result = []
    for (label, inferred, confidence), header, kind in zip(labels, headers, kinds, strict=True):
        if inferred and kind in {"blank", "cover"}:
            label, inferred, confidence = None, False, 0.8
        if kind in {"cover", "half_title", "title_page"}:
            header = None  # a series, a report's number
        result.append(
            PageLabel(
                label=label,
                inferred=inferred,
                confidence=round(confidence, 3),
                running_header=header,
                page_type=kind,
            )
        )
    return result


def _numbers(
    proposals: Sequence[Proposal | None], pdf_labels: Sequence[str] | None, pinned: Mapping[int, str | None]
) -> list[tuple[str | None, bool, float]]:
    """(label, inferred, confidence) of each page."""
    count = len(proposals)
    seen: list[dict[_State, Candidate]] = []
    support: dict[_State, list[float]] = defaultdict(list)
    certain: dict[_State, int] = {}
    for i, proposal in enumerate(proposals):
        here: dict[_State, Candidate] = {}
        numbers = _as_candidates(pinned[i]) if i in pinned else proposal.numbers if proposal else ()
        for candidate in numbers:
            state = (candidate.style, candidate.prefix, candidate.value - i)
            here[state] = candidate
            support[state].append(candidate.score)
            if i in pinned:
                certain[state] = i
        seen.append(here)
    states = sorted(support, key=lambda s: (s not in certain, -sum(support[s]), s))[: max(MAX_STATES, len(certain))]
    states = [s for s in states if sum(support[s]) >= 0.3]
    found: list[tuple[str | None, bool, float]] = [(None, False, 0.9)] * count
    if states:
        witness = _pdf_numbers(pdf_labels, count)
        path = _viterbi(states, seen, proposals, support, witness, pinned)
        found = _read_off(path, states, seen, proposals, witness)
    for i, label in pinned.items():
        found[i] = (label, False, 1.0)
    return found


def _as_candidates(label: str | None) -> tuple[Candidate, ...]:
    """What a person says is printed on a page, as the numbers that it may be."""
    return tuple(
        Candidate(
            text=label[:12],
            style=number.style,
            prefix=number.prefix,
            value=number.value,
            upper=number.upper,
            place="",
            score=1.0,
        )
        for number in parse(label or "")
        if label and not number.repaired
    )


def _viterbi(
    states: Sequence[_State],
    seen: Sequence[dict[_State, Candidate]],
    proposals: Sequence[Proposal | None],
    support: dict[_State, list[float]],
    witness: Sequence[tuple[str, int] | None],
    pinned: Mapping[int, str | None],
) -> list[int]:
    """Best state per page; len(states) is the hole."""
    count, size = len(seen), len(states) + 1
    index = {state: k for k, state in enumerate(states)}
    entry = np.array([_entry_cost(state, support[state], count) for state in states] + [0.0])
    change = np.array([[_change_cost(a, b) for b in states] + [LEAVING] for a in states] + [[0.0] * size])
    step = -(change + entry[None, :])
    np.fill_diagonal(step, 0.0)
    offsets = np.array([state[2] for state in states])
    best = -entry
    back = np.zeros((count, size), dtype=np.int32)
    for i in range(count):
        proposal = proposals[i]
        strongest = max((c.score for c in seen[i].values()), default=0.0)
        evidence = np.full(size, CONTRADICTED if strongest >= 0.8 else UNSEEN)
        if proposal is None or proposal.words == 0:
            evidence[:] = UNSEEN / 3
        evidence[-1] = 0.0
        if i in pinned:
            # A number that is certain leaves no other state; a page that bears none says nothing about the run.
            evidence[:] = IMPOSSIBLE if seen[i] else 0.0
        for state, candidate in seen[i].items():
            k = index.get(state)
            if k is not None:
                evidence[k] = candidate.score
        told = witness[i]
        if told is not None:
            k = index.get((told[0], "", told[1] - i))
            if k is not None:
                evidence[k] += 0.15
        evidence[:-1][offsets + i < 1] = IMPOSSIBLE
        if i:
            scores = best[:, None] + step
            back[i] = scores.argmax(axis=0)
            best = scores.max(axis=0)
        best = best + evidence
    path = [int(best.argmax())]
    for i in range(count - 1, 0, -1):
        path.append(int(back[i, path[-1]]))
    return path[::-1]


def _entry_cost(state: _State, scores: Sequence[float], count: int) -> float:
    """What starting a run costs, in units of one number standing alone in the margin."""
    style, _, offset = state
    if style == "roman" and -3 <= offset - 1 <= 1:
        # Front matter that counts its leaves from near the first one is believed of a single number.
        return 0.5
    return {1: 2.5, 2: 1.4}.get(len(scores), 1.2)


def _change_cost(a: _State, b: _State) -> float:
    if a == b:
        return 0.0
    if a[:2] == b[:2]:
        return 0.2 + min(0.6, abs(a[2] - b[2]) / 20)  # leaves missing, doubled, or plates
    if a[0] == "roman" and b[0] == "arabic":
        return -0.2
    if a[0] == b[0] == "composite":
        return -0.2
    return 1.0 if b[0] == "roman" else 0.3


def _pdf_numbers(pdf_labels: Sequence[str] | None, count: int) -> list[tuple[str, int] | None]:
    """PDF labels that are plain numbers; mojibake and prefixed ones are left out."""
    found: list[tuple[str, int] | None] = [None] * count
    for i, label in enumerate((pdf_labels or ())[:count]):
        text = label.strip()
        value = roman_value(text)
        if text.isascii() and text.isdigit() and len(text) <= 5:
            found[i] = ("arabic", int(text))
        elif value is not None:
            found[i] = ("roman", value)
    return found


def _read_off(
    path: Sequence[int],
    states: Sequence[_State],
    seen: Sequence[dict[_State, Candidate]],
    proposals: Sequence[Proposal | None],
    witness: Sequence[tuple[str, int] | None],
) -> list[tuple[str | None, bool, float]]:
    count = len(path)
    result: list[tuple[str | None, bool, float]] = [(None, False, 0.9)] * count
    agreeing = disagreeing = 0
    runs: list[tuple[int, int, _State]] = []
    start = 0
    for i in range(1, count + 1):
        if i == count or path[i] != path[start]:
            if path[start] < len(states):
                runs.append((start, i, states[path[start]]))
            start = i
    observed_runs = []
    for start, end, state in runs:
        observed = [i for i in range(start, end) if state in seen[i]]
        if observed:
            observed_runs.append((state, observed))
            for i in observed:
                told = witness[i]
                if told is not None:
                    right = told == (state[0], state[2] + i)
                    agreeing += right
                    disagreeing += not right
    trusted = agreeing >= 3 and agreeing >= 9 * disagreeing
    for position, (state, observed) in enumerate(observed_runs):
        style, prefix, offset = state
        first, last = observed[0], observed[-1]
        upper = sum(seen[i][state].upper for i in observed) * 2 > len(observed)
        density = len(observed) / (last - first + 1)
        weight = min(1.0, 0.5 + len(observed) / 10)
        for i in range(first, last + 1):
            text = printed(style, prefix, offset + i, upper=upper)
            if state in seen[i]:
                result[i] = (text, False, min(0.99, (0.6 + 0.4 * seen[i][state].score) * (0.5 + 0.5 * weight)))
            elif not _is_blank(proposals[i]):
                result[i] = (text, True, 0.9 * density * weight)
        before = first - 1
        lower = observed_runs[position - 1][1][-1] + 1 if position else 0
        upper_end = count
        if position + 1 < len(observed_runs):
            (following, _, offset_after), seen_after = observed_runs[position + 1]
            upper_end = seen_after[0]
            if (following, style) == ("arabic", "roman"):
                upper_end = min(upper_end, max(last + 1, 1 - offset_after))  # its first page is 1
        # Where numbers are lost inside a run they are lost at its ends too; where all are read, a page without one has none.
        reach = round(REACH * (1 / density - 1)) if len(observed) >= ENOUGH else 0
        if style == "arabic" and 2 <= offset + first <= OPENING + 1:
            # Unnumbered first pages of the text: their numbers can only be 1 and what follows it.
            opening = list(range(first - (offset + first) + 1, first))
            if opening and opening[0] >= lower and _is_opening([proposals[i] for i in opening]):
                for i in opening:
                    if not _is_blank(proposals[i]):
                        result[i] = (printed(style, prefix, offset + i), True, 0.5 * weight)
                before = opening[0] - 1
        if style == "roman" and before >= lower and offset + before >= 1 and _opens(proposals[before]):
            # So has the first page of a preface.
            result[before] = (printed(style, prefix, offset + before, upper=upper), True, 0.5 * weight)
            before -= 1
        for i in range(before, max(lower, first - reach) - 1, -1):
            if offset + i < 1 or not (_is_text(proposals[i]) or _is_blank(proposals[i])):
                break
            if not _is_blank(proposals[i]):
                result[i] = (printed(style, prefix, offset + i, upper=upper), True, EXTENDED * weight)
            before = i - 1
        for i in range(last + 1, min(upper_end, last + 1 + reach)):
            if not (_is_text(proposals[i]) or _is_blank(proposals[i])):
                break
            if not _is_blank(proposals[i]):
                result[i] = (printed(style, prefix, offset + i, upper=upper), True, EXTENDED * weight)
            last = i
        if trusted:
            for i in [*range(before, lower - 1, -1)]:
                if witness[i] != (style, offset + i) or offset + i < 1:
                    break
                if not _is_blank(proposals[i]):
                    result[i] = (printed(style, prefix, offset + i, upper=upper), True, 0.6)
            for i in range(last + 1, upper_end):
                if witness[i] != (style, offset + i):
                    break
                if not _is_blank(proposals[i]):
                    result[i] = (printed(style, prefix, offset + i, upper=upper), True, 0.6)
    return result


def _is_blank(proposal: Proposal | None) -> bool:
    return proposal is not None and proposal.words == 0


def _opens(proposal: Proposal | None) -> bool:
    """Text under a heading in larger type."""
    if proposal is None or not _is_text(proposal):
        return False
    return any(heading.row <= 1 and heading.height >= 1.2 * proposal.type_height for heading in proposal.headings)


OPENING = 5
"""Pages without numbers with which a text begins at most: title of a part, motto, their backs, opening of the chapter."""


def _is_opening(proposals: Sequence[Proposal | None]) -> bool:
    """The last is text, and those before it are text, or few words (the title of a part) and their blank backs."""
    for behind, proposal in enumerate(proposals):
        if proposal is None or (_is_blank(proposal) and not behind):
            return False
        if proposal.words > FEW_WORDS and not _is_text(proposal):
            return False
    return _is_text(proposals[-1]) or len(proposals) <= 2


FEW_WORDS = 20


def _is_text(proposal: Proposal | None) -> bool:
    """A page of running text, not a title, a dedication or a list."""
    return proposal is not None and proposal.words >= 60 and proposal.numbered < 0.3 and not proposal.has_copyright
