"""The table of contents against the truth: which pages it stands on, and its entries."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from rapidfuzz import fuzz, process

from books.evaluation.figures import Figure, Found, Hits
from books.evaluation.text import normalised
from books.evaluation.truth import TruthEntry
from schemas.documents import TocEntry

SAME_TITLE = 80.0
"""Similarity (0 to 100, letters in any case) from which two titles are the same entry."""


class ContentsScore(Figure):
    """Each None where the truth has nothing to compare with."""

    pages: Found | None = None
    """Physical pages of the printed contents."""
    titles: Found | None = None
    """Entries whose titles are alike, one to one, in order."""
    titles_pages: Found | None = None
    """Of those: with the same printed page number."""
    levels: Found | None = None
    """Of those with like titles: on the same level."""
    physical: Hits | None = None
    """Entries of the truth with a physical page: right = found, and on that page."""


def score_contents(
    toc_pages: Sequence[int] | None,
    truth: Sequence[TruthEntry] | None,
    our_pages: Sequence[int],
    ours: Sequence[TocEntry],
    physical: Mapping[str, int],
) -> ContentsScore:
    """Score pages and entries.

    Args:
        toc_pages: physical pages of the contents, None = not stated.
        truth: its entries in order, None = not transcribed.
        physical: label (in lower case) -> physical page, for entries whose page the truth leaves out.
    """
    pages = None
    if toc_pages is not None:
        pages = Found(right=len({*toc_pages} & {*our_pages}), given=len({*our_pages}), wanted=len({*toc_pages}))
    if truth is None:
        return ContentsScore(pages=pages)
    pairs = match_entries(truth, ours)
    with_level = any(entry.level is not None for entry in truth)
    targets = {i: page for i, entry in enumerate(truth) if (page := _physical(entry, physical)) is not None}
    return ContentsScore(
        pages=pages,
        titles=_found(len(pairs), truth, ours),
        titles_pages=_found(sum(same_number(truth[i], ours[j]) for i, j in pairs), truth, ours),
        levels=_found(sum(truth[i].level == ours[j].level for i, j in pairs), truth, ours) if with_level else None,
        physical=Hits(right=sum(targets.get(i) == ours[j].page for i, j in pairs if i in targets), of=len(targets))
        if targets
        else None,
    )


def _found(right: int, truth: Sequence[TruthEntry], ours: Sequence[TocEntry]) -> Found:
    return Found(right=right, given=len(ours), wanted=len(truth))


def _physical(entry: TruthEntry, physical: Mapping[str, int]) -> int | None:
    return entry.page if entry.states("page") else physical.get((entry.printed or "").casefold())


def same_number(truth: TruthEntry, ours: TocEntry) -> bool:
    """The same printed page number, in any case."""
    return (truth.printed or "").strip().casefold() == (ours.printed or "").strip().casefold()


def match_entries(truth: Sequence[TruthEntry], ours: Sequence[TocEntry]) -> list[tuple[int, int]]:
    """(index in the truth, index in ours) of the entries that are the same: one to one, both in order, so that the
    similarities add up to the most that is possible.

    Titles recur ("Overview"), so entries cannot be matched one by one. A number before the title ("3.1 Methods") may be
    part of a truth's title; ours is compared with and without it."""
    if not truth or not ours:
        return []
    told = [_plain(entry.title) for entry in truth]
    alike = np.zeros((len(truth), len(ours)))
    for titles in (
        [_plain(entry.title or "") for entry in ours],
        [_plain(f"{entry.number or ''} {entry.title or ''}") for entry in ours],
    ):
        alike = np.maximum(alike, process.cdist(told, titles, scorer=fuzz.ratio))
    # An equal page number decides between two entries of the same title, and nothing else.
    numbers = np.array([[same_number(a, b) for b in ours] for a in truth])
    worth = np.where(alike >= SAME_TITLE, alike + 0.01 * numbers, 0.0)
    best = np.zeros((len(truth) + 1, len(ours) + 1))
    for i in range(len(truth)):
        taken = best[i, :-1] + worth[i]
        best[i + 1, 1:] = np.maximum.accumulate(np.maximum(best[i, 1:], taken))
    pairs = []
    i, j = len(truth), len(ours)
    while i and j:
        if best[i, j] == best[i - 1, j]:
            i -= 1
        elif best[i, j] == best[i, j - 1]:
            j -= 1
        else:
            i, j = i - 1, j - 1
            pairs.append((i, j))
    return pairs[::-1]


def _plain(title: str) -> str:
    return normalised(title).casefold()
