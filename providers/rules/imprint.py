"""Publisher, place and year of publication from title page and copyright page."""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass

from providers.rules.confidence import FORMULA, GUESSED, TWICE
from providers.rules.numerals import roman_value


@dataclass(frozen=True, slots=True)
class Imprint:
    """What was found; evidence is (confidence, source)."""

    publisher: str | None = None
    place: str | None = None
    year: int | None = None
    page: int | None = None
    year_page: int | None = None
    publisher_evidence: tuple[float, str] = (0.0, "")
    place_evidence: tuple[float, str] = (0.0, "")
    year_evidence: tuple[float, str] = (0.0, "")


_HOUSE = re.compile(
    r"(?:&|\band)\s*(?:co|sons?|company|brothers)\b|\b(?:press|publish(?:er|ers|ing)|publications?|verlag|éditions?|editions|editorial|ediciones|books|house|editore"
    r"|edizioni|libra(?:iry|irie)|druck|brothers|gmbh|ltd|limited|inc|llc|organization|organisation|uitgever\w*|förlag|forlag)\b",
    re.I,
)
_CITIES = frozenset(
    """amsterdam|antwerp|athens|austin|baltimore|barcelona|basel|beijing|berkeley|berlin|bern|bologna|boston|bristol
    |brussels|budapest|buenos aires|calcutta|cambridge|cape town|chicago|cincinnati|cologne|copenhagen|delhi|dordrecht
    |dresden|dublin|edinburgh|florence|frankfurt|freiburg|garden city|geneva|gent|glasgow|göttingen|the hague|halle
    |hamburg|hannover|harmondsworth|heidelberg|helsinki|hong kong|houston|ithaca|jena|jerusalem|kiel|köln|leiden|leipzig
    |lisbon|london|los angeles|lyon|madras|madrid|manchester|melbourne|mexico city|milan|milano|minneapolis|montreal
    |moscow|mumbai|munich|münchen|nashville|new delhi|new haven|new york|oslo|oxford|padua|palo alto|paris|philadelphia
    |prague|princeton|providence|rome|roma|rotterdam|san francisco|santa monica|seattle|shanghai|singapore|st. louis
    |stanford|stockholm|strasbourg|stuttgart|sydney|tokyo|toronto|tübingen|turin|uppsala|utrecht|vienna|warsaw
    |washington|weimar|wien|zurich|zürich""".replace("\n", "")
    .replace("    ", "")
    .split("|")
)
"""Places that stand most often in imprints; only breaks ties between lines of a title page."""
_YEAR = r"(?:1[4-9]\d\d|20\d\d)"


def looks_like_publisher(text: str) -> bool:
    """The line has a word that names of publishers have."""
    return bool(_HOUSE.search(text)) and len(text) < 90


def is_city(text: str) -> bool:
    """The line begins with a place of publication."""
    parts = [part.strip(" .,").casefold() for part in re.split(r"[,:&•·|]|\band\b", text)]
    return bool(parts) and parts[0] in _CITIES


def split_place(text: str) -> str:
    """First place of several: "New York and London" -> "New York"."""
    return re.split(r"\s*(?:[,;:&•·|/]|\band\b|\bund\b|\bet\b|\s-\s)\s*", text.strip())[0].strip(" .")


_CITATION = re.compile(
    rf"(?:^|[.;]\s+)((?:St\. )?[A-Z][\w’' -]{{2,30}}?)\s?:\s([A-Z][^:;.]{{2,60}}?)[;,]\s?(?:c|©)?({_YEAR})\b"
)
_PUBLISHED_BY = re.compile(
    r"\bpublished\s+(?:and\s+distributed\s+)?(?:in\s+(?:\d{4}|[A-Z][\w .]+?)(?:\s+in\s+\d{4})?\s+)?by:?\s+(.+)$", re.I
)
_FIRST = re.compile(
    rf"\b(?:first\s+(?:published|edition|printed|printing)|published|printed|erste\s+auflage)\b[^\d]{{0,40}}({_YEAR})",
    re.I,
)
_COPYRIGHT = re.compile(rf"(?:©|\(c\)|\bcopyright\b)[^\d]{{0,60}}({_YEAR}(?:\s?[,–-]\s?{_YEAR})*)", re.I)


def find_imprint(pages: Sequence[tuple[int, Sequence[str]]], title_page: int | None, bottom: Sequence[str]) -> Imprint:
    """Imprint of a book.

    Args:
        pages: (physical page, rows) of copyright page, colophon and the like, the best first.
        title_page: Its physical page.
        bottom: Rows of the lower half of the title page.
    """
    publisher = place = None
    page: int | None = None
    said = ""
    for number, rows in pages:
        publisher, place = _from_formulas(rows)
        if publisher:
            page, said = number, "copyright_page"
            break
    own, own_place, own_year = _from_title_page(bottom)
    if own and publisher is None:
        publisher, page, said = own, title_page, "title_page"
    agreed = bool(own and publisher and _same(own, publisher))
    place_said = said
    if place is None and own_place:
        place, place_said = own_place, "title_page"
    if publisher is None:
        for number, rows in pages:
            publisher = _house_line(rows) or _organisation(rows)
            if publisher:
                page, said = number, "copyright_page"
                break
    year, year_page, sure, year_said = _year(pages, title_page, own_year)
    return Imprint(
        publisher=publisher,
        place=place,
        year=year,
        page=page if page is not None else title_page,
        year_page=year_page,
        publisher_evidence=(TWICE if agreed else FORMULA if place else GUESSED, said),
        place_evidence=(TWICE if own_place and place and _same(own_place, place) else FORMULA, place_said),
        year_evidence=(sure, year_said),
    )


def _same(a: str, b: str) -> bool:
    left, right = (re.sub(r"[\W_]+", "", text.casefold()) for text in (a, b))
    return left in right or right in left


def _from_formulas(rows: Sequence[str]) -> tuple[str | None, str | None]:
    """ "Published by X, Place" and "Place: X; 1999" (citations, Vancouver style)."""
    for i, row in enumerate(rows):
        match = _PUBLISHED_BY.search(row)
        if match or re.search(r"\bpublished\s+by:?$", row, re.I):
            rest = match[1] if match else rows[i + 1] if i + 1 < len(rows) else ""
            rest = re.sub(rf"[,.]?\s*(?:in\s+)?{_YEAR}.*$", "", rest).strip(" .")
            parts = re.split(r",\s+(?!(?:Inc|Ltd|LLC|Co)\b)", rest, maxsplit=1)
            name = parts[0].strip(" .,")
            if name and name[0].isupper() and len(name) < 70:
                return name, split_place(parts[1]) if len(parts) > 1 and _place_like(parts[1]) else None
    text = " ".join(rows)
    match = _CITATION.search(text)
    if match:
        return match[2].strip(), split_place(match[1])
    return None, None


def _place_like(text: str) -> bool:
    first = split_place(text)
    return bool(re.fullmatch(r"[A-ZÀ-Þ][\w’'. -]{2,30}", first)) and not any(c.isdigit() for c in first)


def _from_title_page(bottom: Sequence[str]) -> tuple[str | None, str | None, int | None]:
    publisher = place = None
    year = None
    for row in bottom:
        text = row.strip(" .,*•·|—–-")
        match = re.search(rf"\b({_YEAR})\b", text)
        roman = roman_value(text.replace(".", "").replace(" ", ""))
        if match:
            year = int(match[1])
            text = text.replace(match[1], "").strip(" .,;:")
        elif roman and 1450 <= roman <= 2100:
            year, text = roman, ""
        if not text:
            continue
        left, _, right = text.partition(":")
        if right and _place_like(left) and (is_city(left) or looks_like_publisher(right)):
            place, publisher = place or split_place(left), publisher or right.strip()
        elif is_city(text) and not _HOUSE.search(text):
            place = place or split_place(text)
        elif looks_like_publisher(text) and publisher is None:
            head, _, tail = text.rpartition(", ")
            if head and is_city(tail):
                publisher, place = _ADDRESS.sub("", head), place or split_place(tail)
            else:
                publisher = _ADDRESS.sub("", text)
        elif publisher and place is None and len(text.split()) <= 3 and _place_like(text.title()) and match is None:
            place = split_place(text)
    if publisher and place is None:
        place = _line_beside(bottom, publisher)
    return publisher, place, year


def _line_beside(bottom: Sequence[str], publisher: str) -> str | None:
    """A short line right above the publisher's name is the place, if nothing else is."""
    rows = [row.strip(" .,*•·|—–-") for row in bottom]
    for above, row in itertools.pairwise(rows):
        if publisher in row and 1 <= len(above.split()) <= 3 and above[:1].isupper() and not re.search(r"\d", above):
            return split_place(above) if not _HOUSE.search(above) and above.upper() != "BY" else None
    return None


_ADDRESS = re.compile(r",\s*\d{1,4}[a-z]?,?\s+[^\W\d_].*$", re.I)
"""Behind the name of a house: ", 15 Waterloo Place"."""

_NO_HOUSE = re.compile(r"\b(?:reserved|printed|rights|without|permission|published|cover|editor)\b", re.I)


def _house_line(rows: Sequence[str]) -> str | None:
    """A line that is just the name of a house."""
    for row in rows:
        text = row.strip(" .,")
        short = len(text.split()) <= 6 and text[:1].isupper() and not re.search(r"\d|@|www", text)
        if short and _HOUSE.search(text) and not _NO_HOUSE.search(text):
            return text
    return None


_HOLDER = re.compile(
    rf"(?:©|\(c\)|\bcopyright\b)\s*(?:©\s*)?(?:{_YEAR}\s*)?(?:by\s+)?([A-Z][^©\d\n]{{3,70}}?)\s*,?\s*(?:{_YEAR})?[.,]?$"
)


def _organisation(rows: Sequence[str]) -> str | None:
    """The holder of the copyright, if it is an organisation: it publishes what it holds."""
    for row in rows:
        match = _HOLDER.search(row)
        if match and re.search(
            r"\b(?:organi[sz]ation|institut\w*|university|society|association|foundation|company|inc|ltd|limited|gmbh|ag"
            r"|press|bank|union|agency|council|commission|corporation|corp|software)\b",
            match[1],
            re.I,
        ):
            return match[1].strip(" .,")
    return None


def _year(
    pages: Sequence[tuple[int, Sequence[str]]], title_page: int | None, own: int | None
) -> tuple[int | None, int | None, float, str]:
    """Year of this edition: of the title page, else the latest of the copyright notice, else the first edition's."""
    notices = [
        (int(year), number)
        for number, rows in pages
        for match in _COPYRIGHT.finditer("\n".join(rows))
        for year in re.findall(_YEAR, match[1])
    ]
    firsts = [(int(match[1]), number) for number, rows in pages for match in _FIRST.finditer("\n".join(rows))]
    if own is not None:
        known = {year for year, _ in notices + firsts}
        return own, title_page, TWICE if own in known else FORMULA, "title_page"
    if notices:
        year, number = max(notices, key=lambda item: item[0])
        return year, number, TWICE if any(year == first for first, _ in firsts) else FORMULA, "copyright_page"
    if firsts:
        return firsts[0][0], firsts[0][1], FORMULA, "copyright_page"
    return None, None, 0.0, ""
