"""The order in which the parts of a book follow each other, as a prior over page types.

Each page's own evidence says how well each type suits it; how books are made says which type follows which. The best
path over the book (Viterbi) keeps a page whose keyword is plain, and mends one whose only witness was noise: a contents
page that reads like a copyright page, a page of text in the middle of the contents.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

ORDER: Mapping[str, int] = {
    "cover": 0,
    "half_title": 1,
    "title_page": 2,
    "copyright": 3,
    "dedication": 4,
    "toc": 5,
    "list": 6,
    "foreword": 7,
    "preface": 7,
    "acknowledgements": 7,
    "abbreviations": 7,
    "introduction": 8,
    "body": 9,
    "notes": 10,
    "appendix": 10,
    "glossary": 10,
    "bibliography": 10,
    "index": 11,
    "colophon": 12,
    "closing_acknowledgements": 10,
}
"""Place of each type in a book; equal ones come in any order. Blank and unread pages lie anywhere and are passed over."""

AT_THE_END = {"acknowledgements": "closing_acknowledgements"}
"""Parts that stand before the text in some books, after it in others: what they are called here in the second half."""
AT_THE_END_AS = {there: kind for kind, there in AT_THE_END.items()}

BODY = ORDER["body"]

ON = 0.7
"""Cost of the next part beginning."""
BEGIN = 0.3
"""Cost of the text itself beginning, or going on after a part: the most common of all."""
BACK = 2.5
"""Cost of a part that should have come before: prefaces stand on either side of the contents, title pages do not."""
FRONT_IN_BODY = 4.0
"""Cost of front matter after the text has begun."""
CONTENTS_IN_BODY = 2.0
"""Contents stand at the end of French books, and before each part of some."""


def cost(before: str, after: str) -> float:
    """What it costs that a page of the one type is followed by a page of the other; 0 for the same."""
    if before == after:
        return 0.0
    if after == "body":
        return BEGIN if ORDER[before] < BODY else BACK - 1
    if before == "body" and ORDER[after] < BODY:
        return CONTENTS_IN_BODY if after in ("toc", "introduction") else FRONT_IN_BODY
    if ORDER[after] >= ORDER[before]:
        return ON
    return BACK


def likeliest(evidence: Sequence[Mapping[str, float]]) -> list[str]:
    """The types, page by page, that the evidence and the order of books speak for most.

    Args:
        evidence: per page, how much speaks for each type, on the scale of the costs; a type that is not named has
            nothing that speaks for it. The first page may be of any type.
    """
    if not evidence:
        return []
    kinds = list(ORDER)
    best = {kind: evidence[0].get(kind, 0.0) for kind in kinds}
    steps: list[dict[str, str]] = []
    for page in evidence[1:]:
        came: dict[str, str] = {}
        scores: dict[str, float] = {}
        for kind in kinds:
            # Of equals the first in the order of ORDER, so that the path is always the same.
            came[kind] = max(kinds, key=lambda before: best[before] - cost(before, kind))
            scores[kind] = best[came[kind]] - cost(came[kind], kind) + page.get(kind, 0.0)
        steps.append(came)
        best = scores
    path = [max(kinds, key=lambda kind: best[kind])]
    for came in reversed(steps):
        path.append(came[path[-1]])
    return path[::-1]
