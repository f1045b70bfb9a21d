"""Printed page numbers, kinds of pages and running headers against the truth."""

from __future__ import annotations

from collections.abc import Mapping

from rapidfuzz import fuzz

from books.evaluation.figures import Figure, Hits
from books.evaluation.text import normalised
from books.evaluation.truth import TruthPage
from schemas.documents import Page

HEADER_LIKE = 90.0
"""Similarity (0 to 100, letters in any case) from which two running headers are the same: one misread letter in ten."""

EDGE_LINES = 2
"""First and last lines of a page in which its number may stand."""

PAGE_TYPES = {"title": "title_page", "contents": "toc", "text": "body", "halftitle": "half_title"}
"""Other names that truths have for our kinds of pages."""


class LabelScore(Figure):
    """Labels of the pages for which the truth states one, or states that there is none."""

    all: Hits = Hits()
    """Every such page: the same label, or none where there is none."""
    observed: Hits = Hits()
    """Pages on which the number is printed."""
    inferred: Hits = Hits()
    """Pages that are counted without a number on them."""
    unnumbered: Hits = Hits()
    """Pages outside the numbering: right = we give none."""
    false_observed: int = 0
    """Unnumbered pages for which we give a number and say that it is printed there."""
    false_inferred: int = 0
    """Unnumbered pages for which we give a number and say that it follows from the others."""
    false_on_blank: int = 0
    """Of both: on blank pages."""


def score_label(truth: TruthPage, page: Page | None) -> LabelScore | None:
    """One page; None where the truth says nothing. A page that we do not have has no label."""
    if not truth.states("label"):
        return None
    ours = page.label if page is not None else None
    hit = Hits(right=int(ours == truth.label), of=1)
    if truth.label is not None:
        return LabelScore(all=hit, **{"observed" if _printed(truth) else "inferred": hit})
    inferred = ours is not None and page is not None and bool(page.label_inferred)
    blank = truth.page_type == "blank" or (truth.text is not None and not truth.text.strip())
    return LabelScore(
        all=hit,
        unnumbered=hit,
        false_observed=int(ours is not None and not inferred),
        false_inferred=int(inferred),
        false_on_blank=int(ours is not None and blank),
    )


def _printed(truth: TruthPage) -> bool:
    if truth.label_printed is not None:
        return truth.label_printed
    if truth.text is None:
        return True
    lines = [line for line in truth.text.splitlines() if line.strip()]
    wanted = _compact(truth.label or "")
    edges = [*lines[:EDGE_LINES], *lines[-EDGE_LINES:]]
    return any(wanted in (_compact(line), *map(_compact, line.split())) for line in edges)


def _compact(text: str) -> str:
    return "".join(normalised(text).split()).strip(".,-[]()|").casefold()


def score_type(truth: TruthPage, page: Page | None) -> Hits | None:
    """None where the truth names no kind."""
    if truth.page_type is None:
        return None
    return Hits(right=int(page is not None and _kind(page.page_type) == _kind(truth.page_type)), of=1)


def _kind(name: str | None) -> str:
    kind = (name or "").strip().casefold().replace(" ", "_").replace("-", "_")
    return PAGE_TYPES.get(kind, kind)


class HeaderScore(Figure):
    """Running headers of the pages for which the truth states one, or states that there is none."""

    printed: Hits = Hits()
    """Pages with a header: right = ours is the same, but for case and a misread letter in ten."""
    none: Hits = Hits()
    """Pages without: right = we give none."""


def score_header(truth: TruthPage, page: Page | None) -> HeaderScore | None:
    """One page; None where the truth says nothing."""
    if not truth.states("running_header"):
        return None
    ours = (page.running_header if page is not None else None) or ""
    if not truth.running_header:
        return HeaderScore(none=Hits(right=int(not ours), of=1))
    alike = fuzz.ratio(normalised(truth.running_header).casefold(), normalised(ours).casefold()) >= HEADER_LIKE
    return HeaderScore(printed=Hits(right=int(alike), of=1))


def physical_pages(labels: Mapping[int, str | None]) -> dict[str, int]:
    """label -> physical page, of labels that one page alone has."""
    found: dict[str, list[int]] = {}
    for page, label in labels.items():
        if label is not None:
            found.setdefault(label.casefold(), []).append(page)
    return {label: pages[0] for label, pages in found.items() if len(pages) == 1}
