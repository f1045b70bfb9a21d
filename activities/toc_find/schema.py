"""What a model answers that looks for the contents, and what becomes of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

from pydantic import BaseModel, Field

from providers.rules.contents import ContentsFound
from providers.rules.labels import propose
from providers.rules.page_types import contents_score
from schemas.reading import PageReading

SURE = 0.7
"""Below it the look did not decide: an agent goes on."""
SHORTLIST = 6
"""Pictures of one look."""
LIKELY = 0.5
"""`contents_score` from which a page is shortlisted although the rules decided otherwise."""

Source = Literal["printed", "outline", "printed+outline", "none"]
Pages = Sequence[tuple[int, PageReading]]


class Look(BaseModel):
    """A model's answer."""

    pages: list[int]
    goes_on: bool
    structure: str | None
    confidence: float = Field(ge=0, le=1)
    reason: str


def shortlist(found: ContentsFound, pages: Pages) -> dict[int, str]:
    """Physical page -> why it is shown: what the rules found, the pages around, and those that look like contents too."""
    scores = {page: contents_score(propose(reading)) for page, reading in pages}
    listed = dict.fromkeys(found.pages[:SHORTLIST], "the rules take it for contents")
    if found.pages:
        for page in (found.pages[0] - 1, found.pages[-1] + 1):
            if page in scores and len(listed) < SHORTLIST:
                listed[page] = "it stands beside those"
    for page in sorted(scores, key=lambda page: (-scores[page], page)):
        if len(listed) < SHORTLIST and page not in listed and scores[page] >= LIKELY:
            listed[page] = "it looks like a list with page numbers"
    return dict(sorted(listed.items()))


def problems(answer: Look, shown: Mapping[int, str]) -> list[str]:
    """Why the answer cannot be one."""
    other = [page for page in answer.pages if page not in shown]
    return [f"page {page} is none of those that you were given ({', '.join(map(str, shown))})" for page in other]


def decided(found: ContentsFound, answer: Look, who: str) -> ContentsFound:
    """The contents by the model's look; `unsure` where it did not decide."""
    pages = sorted(set(answer.pages))
    # More pages by the rules than could be shown: the look says nothing of the rest.
    pages += [page for page in found.pages[SHORTLIST:] if pages and page > pages[-1]]
    outline = "outline" in found.source
    source: Source = (
        "printed+outline" if pages and outline else "printed" if pages else "outline" if outline else "none"
    )
    return ContentsFound(
        found=bool(pages) or outline,
        pages=pages,
        source=source,
        reason=f"{answer.reason} ({who}, {answer.confidence:.0%} sure)",
        structure=answer.structure if pages else None,
        unsure=answer.confidence < SURE or answer.goes_on or (not pages and bool(found.pages)),
    )


def question(shown: Mapping[int, str], pages: Pages) -> str:
    """The shortlisted pages as the model gets them."""
    texts = dict(pages)
    return "\n\n".join(
        f"--- page {page}: {why} ---\n{texts[page].text if page in texts else '(no text)'}"
        for page, why in shown.items()
    )
