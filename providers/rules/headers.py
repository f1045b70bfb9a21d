"""Running headers: by recurrence, and by the place in which the recurring ones stand."""

from __future__ import annotations

import itertools
import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from statistics import median

from rapidfuzz import fuzz, process

from providers.rules.proposal import EdgeLine, Proposal

SIMILAR = 85
"""Two readings of one header: rapidfuzz ratio of their normalised texts at least this."""


SHARE = 0.2
"""Of the pages of text that have a header, where any that looks like those is one."""

MOST = 0.4
"""Of the pages of text that have a header in larger type than the text's."""

LARGER = 1.15
"""Height of a heading, as a multiple of the page's ordinary type."""

LOWER = 0.04
"""Share of the page's height below the first rows of other pages from which a line is a heading."""


def running_headers(proposals: Sequence[Proposal | None]) -> list[str | None]:
    """Running header of each page as printed, without the page number.

    A top line is one if it recurs on three pages and more (digits aside, so that "CHAPTER 3" and "CHAPTER 4" are
    alike, recto and verso each for itself), at the same height of the page and in the same size. Where a book has such
    headers, a line that occurs once is one too if it looks and stands just as they do: the header of a
    chapter of two pages. The title on a chapter's first page stands lower and is larger.
    """
    tops = [_top_line(proposal) for proposal in proposals]
    clusters = _clusters(tops)
    members: dict[int, list[int]] = defaultdict(list)
    for i, cluster in enumerate(clusters):
        if cluster is not None:
            members[cluster].append(i)
    accepted: dict[int, str] = {}
    texts = sum(proposal is not None and proposal.words > 80 for proposal in proposals)
    highest = _highest([line.place for line in tops if line is not None])
    for pages in members.values():
        lines = {i: line for i in pages if (line := tops[i]) is not None}
        place = median(line.place for line in lines.values())
        height = median(line.height for line in lines.values())
        steady = [i for i, line in lines.items() if _stands_as(line, place, height)]
        if len(steady) < 3 or median(b - a for a, b in itertools.pairwise(steady)) > 6:
            continue  # headings that recur ("Summary") do so a chapter apart, headers on every second page or closer
        common = _spellings([lines[i].text for i in steady])
        if place > highest + LOWER:
            continue  # "CHAPTER" over every chapter recurs too, but lower than other pages begin
        if len(steady) < MOST * texts and median(_larger(lines[i], proposals[i]) for i in steady) >= LARGER:
            continue  # the same where pages have no headers
        accepted |= {i: common.get(_key(lines[i].text), lines[i].text) for i in steady}
    slot = [line for i in accepted if (line := tops[i]) is not None]
    if len(slot) < max(3, SHARE * texts):
        # Chapters and sections of few pages: no header recurs, but each has the page's number beside it.
        slot = _beside_numbers(tops, proposals)
    if len(slot) >= max(3, SHARE * texts):
        place, height = median(line.place for line in slot), median(line.height for line in slot)
        capitals = sum(line.text.isupper() for line in slot) >= 0.9 * len(slot)
        numbered = sum(line.numbered for line in slot) >= 0.9 * len(slot)
        gap = median(line.gap for line in slot)
        for i, line in enumerate(tops):
            if i in accepted or line is None or not _stands_as(line, place, height):
                continue
            if line.gap < 0.5 * gap or (capitals and not line.text.isupper()) or (numbered and not line.numbered):
                continue
            accepted[i] = line.text
    return [accepted.get(i) for i in range(len(proposals))]


def _larger(line: EdgeLine, proposal: Proposal | None) -> float:
    return line.height / proposal.type_height if proposal is not None and proposal.type_height else 1.0


def _beside_numbers(tops: Sequence[EdgeLine | None], proposals: Sequence[Proposal | None]) -> list[EdgeLine]:
    """Lines with a number at their end that stand where most of such lines do."""
    pages = zip(tops, proposals, strict=True)
    lines = [line for line, page in pages if line is not None and line.numbered and _larger(line, page) < LARGER]
    if not lines:
        return []
    place, height = median(line.place for line in lines), median(line.height for line in lines)
    return [line for line in lines if _stands_as(line, place, height)]


def _highest(places: Sequence[float]) -> float:
    """Where a quarter of the pages has begun: the height of the headers, or of text without any."""
    return sorted(places)[len(places) // 4] if places else 1.0


def _top_line(proposal: Proposal | None) -> EdgeLine | None:
    return proposal.headers[0] if proposal is not None and proposal.headers else None


def _stands_as(line: EdgeLine, place: float, height: float) -> bool:
    """Within 2.5 % of the page (scans shift) and a quarter of the type size (capitals lack descenders)."""
    return abs(line.place - place) <= 0.025 and abs(line.height - height) <= 0.25 * height


def _key(text: str) -> str:
    return re.sub(r"\d+|\b[ivxlIVXL]+\b", "#", re.sub(r"\s+", " ", text)).strip()


def _clusters(tops: Sequence[EdgeLine | None]) -> list[int | None]:
    """Cluster number of each page's top line; texts are compared with the commonest ones first."""
    keys = [None if line is None else _key(line.text) for line in tops]
    counts = Counter(key for key in keys if key)
    heads: list[str] = []
    of: dict[str, int] = {}
    for key, count in sorted(counts.items(), key=lambda item: (-item[1], item[0])):
        match = process.extractOne(key, heads, scorer=fuzz.ratio, score_cutoff=SIMILAR) if heads else None
        if match is not None:
            of[key] = match[2]
        else:
            of[key] = len(heads)
            heads.append(key)
            if count == 1 and len(heads) > 2000:
                heads.pop()  # a book without headers: every page's first line is new
                of[key] = -len(of) - 1
    return [of[key] if key else None for key in keys]


def _spellings(texts: Sequence[str]) -> dict[str, str]:
    """Key -> commonest spelling, where no digits stand in it: mends single misreadings."""
    counts = Counter(texts)
    best, votes = max(counts.items(), key=lambda item: (item[1], item[0]))
    if votes * 2 <= len(texts) or any(c.isdigit() for c in best):
        return {}
    return {_key(text): best for text in texts}
