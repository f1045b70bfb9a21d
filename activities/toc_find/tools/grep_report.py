"""get_frontmatter_grep_report: where words and rows point to, so that few pages must be looked at."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pydantic import BaseModel

from activities.toc_find.tools.base import AgentTool, Desk, Ran
from providers.rules.labels import propose
from providers.rules.page_types import contents_score
from schemas.pagespec import format_pages

_NUMBER = r"(?:\d{1,3}|[ivxlc]{1,7}|one|two|three|four|five|six|seven|eight|nine|ten)\b"

CATEGORIES: Mapping[str, re.Pattern[str]] = {
    "toc": re.compile(
        r"\bcontents\b|\border of battle\b|\blist of chapters\b|\bchapter overview\b|\bsynopsis\b"
        r"|\binhalt(?:sverzeichnis|sübersicht)?\b|\btable des mati[eè]res\b|\bsommaire\b|\b[íi]ndice\b|\bsommario\b"
        r"|\binhoud(?:sopgave)?\b|\bsum[áa]rio\b",
        re.IGNORECASE,
    ),
    "front_matter": re.compile(
        r"\bpreface\b|\bforeword\b|\bintroduction\b|\bprologue\b|\backnowledge?ments?\b|\bdedicat(?:ion|ed to)\b"
        r"|\bauthor['’]?s note\b|\bvorwort\b|\beinleitung\b|\bpr[ée]face\b|\bavant-propos\b|\bpr[óo]logo\b"
        r"|\bprefazione\b",
        re.IGNORECASE,
    ),
    "structure": re.compile(
        rf"\b(?:chapter|part|section|book|kapitel|teil|chapitre|partie|cap[íi]tulo|parte|capitolo)\s+{_NUMBER}",
        re.IGNORECASE,
    ),
    "back_matter": re.compile(
        r"\bappendi(?:x|ces)\b|\bbibliograph(?:y|ie)\b|\bworks cited\b|\breferences\b|\bindex\b|\bepilogue\b"
        r"|\bafterword\b|\bend ?notes\b|\bnotes\b|\banhang\b|\bregister\b|\bannexes?\b",
        re.IGNORECASE,
    ),
}

CLUSTER_PAGES = 3
"""So many pages with chapters on them, near each other, are the body or a long table of contents."""
CLUSTER_GAP = 2
LIST_LIKE = 0.5
"""`contents_score` from which a page's rows are those of a list with page numbers."""
DENSE = 4
"""Chapters named on one page from which it lists them."""
MATCHES = 6
"""Shown of one page and category."""


class Arguments(BaseModel):
    """None."""


def report(texts: Mapping[int, str], pages: Sequence[int], scores: Mapping[int, float]) -> dict[str, Any]:
    """What the words on the pages say.

    Args:
        texts: physical page -> text, of the pages that have one.
        pages: all that are searched.
        scores: physical page -> how much its rows look like a list with page numbers, 0 to 1.
    """
    found: dict[int, dict[str, list[str]]] = {}
    counts: dict[int, int] = {}
    for page in pages:
        text = " ".join(texts.get(page, "").split())
        hits = {name: [match.group(0) for match in pattern.finditer(text)] for name, pattern in CATEGORIES.items()}
        counts[page] = len({hit.lower() for hit in hits["structure"]})
        found[page] = {name: list(dict.fromkeys(matches))[:MATCHES] for name, matches in hits.items() if matches}
    unread = [page for page in pages if not texts.get(page, "").strip()]
    by_category = {name: [page for page in pages if name in found[page]] for name in CATEGORIES}
    lists = [page for page in pages if scores.get(page, 0.0) >= LIST_LIKE]
    return {
        "search_range": format_pages(pages),
        "total_pages_searched": len(pages),
        "pages_with_data": len(pages) - len(unread),
        "failed_pages": format_pages(unread),
        "categorized_pages": {name: format_pages(listed) for name, listed in by_category.items()},
        "list_like_pages": format_pages(lists),
        "page_details": {
            str(page): {**found[page], **({"list_like": round(scores[page], 2)} if page in lists else {})}
            for page in pages
            if found[page] or page in lists
        },
        "summary": _summary(unread, by_category, lists, [page for page in pages if counts[page] >= DENSE]),
    }


def _summary(
    unread: Sequence[int], by_category: Mapping[str, Sequence[int]], lists: Sequence[int], dense: Sequence[int]
) -> list[str]:
    said = []
    if unread:
        said.append(f"No text was recognised on {format_pages(unread)}: what stands there, no search can find.")
    toc = by_category["toc"]
    both = [page for page in toc if page in lists or page in dense]
    if both:
        said.append(f"Look first at {format_pages(both)}: a word for contents, and rows or chapters as in a list.")
    if rest := [page for page in toc if page not in both]:
        said.append(f"A word for contents stands on {format_pages(rest)}, perhaps in running text.")
    if more := sorted({*lists, *dense} - set(toc)):
        said.append(f"Without such a word, {format_pages(more)} look like lists, or name several chapters.")
    clusters = structure_clusters(by_category["structure"])
    if clusters:
        shown = ", ".join(format_pages(cluster) for cluster in clusters)
        said.append(f"Chapters are named on runs of pages ({shown}): contents often stand at or before the first.")
    if by_category["front_matter"] and not toc and not more:
        said.append(f"Contents often stand near a preface: see around {format_pages(by_category['front_matter'])}.")
    return said or ["Nothing points anywhere: look at the first pages after the title page."]


def structure_clusters(pages: Iterable[int]) -> list[list[int]]:
    """Runs of at least CLUSTER_PAGES pages, no two neighbours further apart than CLUSTER_GAP."""
    runs: list[list[int]] = []
    for page in sorted(pages):
        if runs and page - runs[-1][-1] <= CLUSTER_GAP:
            runs[-1].append(page)
        else:
            runs.append([page])
    return [run for run in runs if len(run) >= CLUSTER_PAGES]


def grep(desk: Desk, asked: Arguments) -> Ran:
    """The report over all pages that may be loaded."""
    texts = {page: reading.text for page, reading in desk.readings.items()}
    scores = {page: contents_score(propose(reading)) for page, reading in desk.readings.items()}
    made = report(texts, desk.conversation.pages, scores)
    toc = made["categorized_pages"]["toc"]
    return Ran(json.dumps(made, ensure_ascii=False), f"a word for contents on {f'pages {toc}' if toc else 'no page'}")


TOOL = AgentTool(
    "get_frontmatter_grep_report",
    "Searches the recognised text of all pages that you can load for words that tell where the contents are. Free.",
    Arguments,
    grep,
)
