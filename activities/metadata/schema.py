"""What a model answers that reads metadata, held against the pages: a value that they do not print hardly counts."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime

from pydantic import BaseModel, Field
from rapidfuzz import fuzz

from providers.rules.isbn import find_isbns
from providers.rules.metadata import Evidence, Metadata
from schemas.reading import PageReading

TOLD = 0.4
"""Confidence of a value that stands on none of the pages."""
PRINTED = 0.85
"""Of one that stands on one of them."""
AGREED = 0.95
"""Of one that the rules found too."""
ALIKE = 88
"""Of the letters of a value and of a place on a page, in per cent: engines misread some."""
OLDEST = 1440
"""Before it nothing was printed."""
LCCN = re.compile(r"(?:[a-z]{0,3}\s?)?\d{2,4}-?\d{5,7}", re.I)

Pages = Sequence[tuple[int, PageReading]]


class Contributor(BaseModel):
    """Somebody who is no author."""

    name: str
    role: str


class Catalogued(BaseModel):
    """A model's answer."""

    title: str | None
    subtitle: str | None
    authors: list[str]
    publisher: str | None
    place: str | None
    year: int | None
    isbn: list[str]
    lccn: str | None
    language: str | None = Field(description="ISO 639-1.")
    description: str | None
    subjects: list[str]
    contributors: list[Contributor]
    confidence: float = Field(ge=0, le=1)


def problems(answer: Catalogued) -> list[str]:
    """Why the answer cannot be one."""
    found = []
    if answer.year is not None and not OLDEST <= answer.year <= datetime.now(UTC).year + 1:
        found.append(f"year {answer.year} is none in which a book was printed")
    if answer.language is not None and not re.fullmatch(r"[a-z]{2}", answer.language):
        found.append(f"language {answer.language!r} is no code of ISO 639-1")
    return found


def verified(answer: Catalogued, rules: Metadata, pages: Pages, who: str) -> Metadata:
    """The model's values with the page on which each was found; where it has none, what the rules found.

    ISBNs are those whose checksum is right. The more of the answer stands on the pages, the more is said for it."""
    texts = [(page, _letters(reading.text)) for page, reading in pages]
    values: dict[str, object] = rules.model_dump()
    evidence = dict(rules.evidence)

    def put(field: str, value: object, *wanted: str) -> None:
        if not value:
            return
        place = _page_of(texts, wanted)
        agreed = _same(values.get(field), value)
        sure = AGREED if agreed else PRINTED if place is not None else TOLD
        evidence[field] = Evidence(page=place, confidence=round(sure, 2), source=who)
        values[field] = value

    put("title", answer.title, answer.title or "")
    put("subtitle", answer.subtitle, answer.subtitle or "")
    put("authors", [name for name in answer.authors if name.strip()], *answer.authors)
    put("publisher", answer.publisher, answer.publisher or "")
    put("place", answer.place, answer.place or "")
    put("year", answer.year, str(answer.year or ""))
    isbns = {given: found for given in answer.isbn if (found := find_isbns(f"ISBN {given}"))}
    put("isbn", list(dict.fromkeys(isbn for found in isbns.values() for isbn in found)), *isbns)
    lccn = answer.lccn if answer.lccn and LCCN.fullmatch(answer.lccn.strip()) else None
    put("lccn", lccn, lccn or "")
    put("subjects", answer.subjects, *answer.subjects)
    put(
        "contributors",
        [f"{each.name} ({each.role})" for each in answer.contributors],
        *(c.name for c in answer.contributors),
    )
    if answer.language:
        agreed = rules.language == answer.language
        evidence["language"] = Evidence(page=None, confidence=AGREED if agreed else PRINTED, source=who)
        values["language"] = answer.language
    if answer.description:
        # Written by the model, and on no page.
        evidence["description"] = Evidence(page=None, confidence=TOLD, source=who)
        values["description"] = answer.description
    return Metadata.model_validate({**values, "evidence": evidence})


def _page_of(texts: Sequence[tuple[int, str]], wanted: Sequence[str]) -> int | None:
    """The first page that prints all of it."""
    letters = [_letters(each) for each in wanted if _letters(each)]
    for page, text in texts:
        if letters and all(_stands(each, text) for each in letters):
            return page
    return None


def _stands(letters: str, text: str) -> bool:
    if letters in text:
        return True
    # A page that says less than that would be found in it, instead of the other way round.
    return len(letters) <= len(text) and fuzz.partial_ratio(letters, text, score_cutoff=ALIKE) > 0


def _same(one: object, other: object) -> bool:
    return bool(one) and _letters(str(one)) == _letters(str(other))


def _letters(text: str) -> str:
    return "".join(c for c in text.casefold() if c.isalnum())
