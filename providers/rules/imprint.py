"""Publisher, place and year of publication from title page and copyright page."""

from __future__ import annotations

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
    """Physical page on which the publisher is named; likewise the others."""
    place_page: int | None = None
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
    """The line begins with a place of publication, or is a row of such places."""
    parts = [part.strip(" .,").casefold() for part in re.split(r"[,:&•·|]|\band\b", text)]
    return bool(parts) and (parts[0] in _CITIES or _row_of_cities(text) is not None)


def split_place(text: str) -> str:
    """First place of several: "New York and London" -> "New York", "San Diego London Boston" -> "San Diego"."""
    first = re.split(r"\s*(?:[,;:&•·|/]|\band\b|\bund\b|\bet\b|\s-\s)\s*", text.strip())[0].strip(" .")
    return _row_of_cities(first) or first


_ANY_CITY = re.compile(rf"\b(?:{'|'.join(sorted(map(re.escape, _CITIES), key=len, reverse=True))})(?!\w)", re.I)


def _row_of_cities(text: str) -> str | None:
    """The first of places with nothing but blanks between them; None where the row is anything else."""
    known = list(_ANY_CITY.finditer(text))
    if len(known) < 2 or re.search(r"\d", text) or _HOUSE.search(text):
        return None
    if sum(len(match[0]) for match in known) < 0.5 * len(text.replace(" ", "")):
        return None
    return text[: known[0].start()].strip() or known[0][0]


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


def find_imprint(
    pages: Sequence[tuple[int, Sequence[str]]], title_page: int | None, bottom: Sequence[str], foot: int | None = None
) -> Imprint:
    """Imprint of a book. The title page says what a house calls itself, the copyright page who it is and where it lives.

    Args:
        pages: (physical page, rows) of copyright page, colophon and the like, the best first.
        title_page: Its physical page.
        bottom: Rows of the lower half of the title page; '' where there is room between two.
        foot: Which of them is the first at the page's foot, where a house stands even if no word tells that it is one;
            None = none of them.
    """
    publisher = formula = None
    page: int | None = None
    said = ""
    pages = [(number, [_arabic_years(row) for row in rows]) for number, rows in pages]
    for number, rows in pages:
        publisher, formula = _from_formulas(rows)
        if publisher:
            page, said = number, "copyright_page"
            break
    own, own_place, own_year = _from_title_page(bottom, foot, pages)
    if publisher is not None and own is None:
        own = next((row.strip(" .,") for row in bottom if _stem(row) == _stem(publisher)), None)
    if own and publisher is None:
        publisher, page, said = own, title_page, "title_page"
    elif own and publisher is not None and _stem(own) == _stem(publisher):
        publisher = own
    agreed = bool(said == "copyright_page" and own and publisher and _same(own, publisher))
    told, formula_page = None, page
    if publisher is None:
        for number, rows in pages:
            publisher, told = _house_line(rows) or (_organisation(rows), None)
            if publisher:
                page, said = number, "copyright_page"
                break
    place, where = _place(formula, formula_page, own_place, told, page, publisher, bottom, pages)
    year, year_page, sure, year_said = _year(pages, title_page, own_year)
    return Imprint(
        publisher=publisher,
        place=place,
        year=year,
        page=page if page is not None else title_page,
        place_page=title_page if where is None else where,
        year_page=year_page,
        publisher_evidence=(TWICE if agreed else FORMULA if place else GUESSED, said),
        place_evidence=(
            TWICE if own_place and place and _same(own_place, place) else FORMULA,
            "title_page" if where is None else "copyright_page",
        ),
        year_evidence=(sure, year_said),
    )


def _place(
    formula: str | None,
    formula_page: int | None,
    own: str | None,
    told: str | None,
    told_page: int | None,
    publisher: str | None,
    bottom: Sequence[str],
    pages: Sequence[tuple[int, Sequence[str]]],
) -> tuple[str | None, int | None]:
    """(place, physical page, None for the title page): a city of the title page, then the first of a house's offices, before what
    "published by X, Place" says, which may be the branch that is nearest to the reader."""
    if own and is_city(own):
        return own, None
    for page, rows in pages:
        if offices := next(filter(None, map(_first_office, rows)), None):
            return offices, page
    if formula:
        return formula, formula_page
    if own:
        return own, None
    if told or publisher is None:
        return told, told_page
    beside = _line_beside(bottom, publisher)
    if beside:
        return beside, None
    for page, rows in pages:
        if town := _where_it_lives(rows, publisher):
            return town, page
    return None, None


def _first_office(row: str) -> str | None:
    """Of a row of places, with commas or dots between them, the first."""
    parts = [part.strip(" .") for part in re.split(r"[,;•·|]", row)]
    if (
        len(parts) < 3
        or re.search(r"\d", row)
        or sum(part.casefold() in _CITIES for part in parts) < max(2, 0.4 * len(parts))
    ):
        return None
    return parts[0] if _place_like(parts[0]) else None


def _same(a: str, b: str) -> bool:
    left, right = (re.sub(r"[\W_]+", "", text.casefold()) for text in (a, b))
    return left in right or right in left


def _from_formulas(rows: Sequence[str]) -> tuple[str | None, str | None]:
    """ "Published by X, Place" and "Place: X; 1999" (citations, Vancouver style)."""
    for i, row in enumerate(rows):
        match = _PUBLISHED_BY.search(row)
        if match is None and i + 1 < len(rows) and re.search(r"\bpublished\b[^.,;]*$", row, re.I):
            match = _PUBLISHED_BY.search(f"{row} {rows[i + 1]}")
        if match:
            rest = match[1]
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


_APART = re.compile(r"\s*(?:[•·|—]|\s–\s)\s*")
"""Between the house and its place in one row."""

_TRADE = re.compile(
    r"^(?:book)?(?:publish|print|bind|sell)\w*(?:(?:\s+and\s+|\s*[,&]\s*)(?:book)?(?:publish|print|bind|sell)\w*)*$",
    re.I,
)
"""What a house does, not what it is called."""

_FOR = re.compile(
    r"^(?:(?:printed|published|issued)(?:\s+and\s+(?:sold|published|distributed))?)\s+(?:for|by)\s+(?:the\s+)?(?=\S)|^at\s+the\s+",
    re.I,
)
_UNIVERSITY_PRESS = re.compile(r"^(?:(?:at\s+)?the\s+)?university\s+press$", re.I)


def _from_title_page(
    bottom: Sequence[str], foot: int | None, pages: Sequence[tuple[int, Sequence[str]]] = ()
) -> tuple[str | None, str | None, int | None]:
    publisher = place = None
    year = None
    names: list[tuple[int, str]] = []  # rows that may be the house, where no word tells it
    cities: list[int] = []
    above = ""
    for i, row in enumerate(bottom):
        for part in _APART.split(row.strip(" .,*•·|—–-")):
            text = part.strip(" .,")
            match = re.search(rf"\b({_YEAR})\b", text)
            roman = roman_value(text.replace(".", "").replace(" ", ""))
            if match:
                year = int(match[1])
                text = text.replace(match[1], "").strip(" .,;:")
            elif roman and 1450 <= roman <= 2100:
                year, text = roman, ""
            if _TRADE.match(text):
                if above and publisher is None and not is_city(above):
                    publisher = above
                continue
            ordered = _FOR.match(text)
            text = _FOR.sub("", text)
            if not text:
                above = ""
                continue
            if (
                ordered
                and publisher is None
                and "printed by" not in ordered[0].lower()
                and "at" not in ordered[0].lower().split()
            ):
                publisher = text
                continue
            left, _, right = text.partition(":")
            if right and _place_like(left) and (is_city(left) or looks_like_publisher(right)):
                place, publisher = place or split_place(left), publisher or right.strip()
            elif _UNIVERSITY_PRESS.match(text) and publisher is None and _place_like(above.title()):
                publisher = f"{above} {text}"
            elif is_city(text) and not _HOUSE.search(text):
                place = place or split_place(text)
                cities.append(i)
            elif looks_like_publisher(text) and publisher is None:
                head, _, tail = text.rpartition(", ")
                if head and is_city(tail):
                    publisher, place = _ADDRESS.sub("", head), place or split_place(tail)
                else:
                    publisher = _ADDRESS.sub("", text)
            elif publisher and place is None and len(text.split()) <= 3 and _place_like(text.title()) and match is None:
                place = split_place(text)
            elif foot is not None and i >= foot and match is None and _may_be_a_house(text):
                names.append((i, _ADDRESS.sub("", text)))
            above = text
    if publisher is None:
        publisher = next((name for _, name in names if _named_at_the_head_of_a_row(name, pages)), None)
    if publisher is None and cities:
        # The house stands right below its place, or right above it.
        below = [name for i, name in names if i > cities[-1]]
        publisher = below[0] if below else names[-1][1] if names else None
    if publisher and place is None:
        place = _line_beside(bottom, publisher)
    return publisher, place, year


def _named_at_the_head_of_a_row(name: str, pages: Sequence[tuple[int, Sequence[str]]]) -> bool:
    """As who publishes is: "Sommer Heidelberg London", "© Sommer 2011", "by Sommer"."""
    test = re.compile(rf"^(?:©\s*(?:{_YEAR}\s*)?|by\s+)?{re.escape(name)}\b", re.I)
    return any(test.match(row) for _, rows in pages for row in rows)


def _may_be_a_house(text: str) -> bool:
    """Capitalised, without digits (an address), no sentence and no bracket."""
    return (
        len(text.split()) <= 6
        and text[:1].isupper()
        and not re.search(r"\d|[()\[\]“”]", text)
        and not _NO_HOUSE.search(text)
    )


def _line_beside(bottom: Sequence[str], publisher: str) -> str | None:
    """A short line right above or below the publisher's name is the place, if nothing else is."""
    rows = [re.sub(rf"\s*\b{_YEAR}\b", "", row).strip(" .,*•·|—–-") for row in bottom]
    for i, row in enumerate(rows):
        if _stem(publisher) != _stem(row) and publisher not in row:
            continue
        for beside in (*rows[i + 1 : i + 2], *rows[max(0, i - 1) : i]):
            if 1 <= len(beside.split()) <= 4 and beside[:1].isupper() and not re.search(r"\d", beside):
                named = _HOUSE.search(beside) or _TRADE.match(beside) or _NO_HOUSE.search(beside)
                if not named and beside.upper() != "BY" and _place_like(split_place(beside).title()):
                    return split_place(beside)
    return None


_FORM = re.compile(r"[\s,]+(?:inc|ltd|limited|llc|gmbh|co|company|plc|s\.?a|ag|publishers?)\.?$", re.I)


def _stem(name: str) -> str:
    """The letters of a name without the form of the company."""
    bare = name.strip(" .,")
    while (shorter := _FORM.sub("", bare).strip(" .,")) != bare:
        bare = shorter
    return re.sub(r"[\W_]+", "", bare.casefold())


_POSTAL = re.compile(
    r"(?:^|,\s*)([A-Z][\w.’' -]{2,30}?),?\s+"
    r"(?:[A-Z]{1,2}\d[\dA-Z]?\s?\d[A-Z]{2}|(?:[A-Z]{2}|[A-Z][a-z]+(?:\s[A-Z][a-z]+)?)\s+\d{5})\b"
    r"|\b\d{5}\s+([A-Z][\w.’' -]{2,30})"
)
"""A town with its postal code: "Oxford OX2 6DP", "Sebastopol, CA 95472", "10117 Berlin"."""

_NO_TOWN = re.compile(
    r"\b(?:street|road|avenue|square|place|lane|house|court|building|suite|floor|row|drive|inc|ltd|llc|limited|division|imprint)\b",
    re.I,
)


def _where_it_lives(rows: Sequence[str], publisher: str) -> str | None:
    """The town in the house's address on the copyright page: behind its name, or in the rows below it."""
    name = re.compile(r"\W+".join(map(re.escape, re.findall(r"\w+", publisher))), re.I)
    for i, row in enumerate(rows):
        match = name.search(row)
        if match is None:
            continue
        for told in (row[match.end() :], *rows[i + 1 : i + 4]):
            behind = re.sub(rf"\s*\b{_YEAR}\b", "", told)
            postal = _POSTAL.search(behind.strip(" ,."))
            if postal:
                return (postal[1] or postal[2]).strip(" ,.")
            parts = [part.strip(" .") for part in re.split(r"[,;:•·|]", behind)]
            town = next((part for part in parts if _ANY_CITY.match(part)), None)
            if town is not None and not _HOUSE.search(town) and not _NO_TOWN.search(town):
                known = _ANY_CITY.match(town)
                whole = len(town.split()) <= 4 and not re.search(r"\d", town)
                return split_place(town) if whole else known[0] if known else None
        dated = re.match(rf"\s*,\s*([A-Z][\w’' -]{{2,30}}?),?\s*(?:©\s*)?(?:{_YEAR})?\W*$", row[match.end() :])
        if dated and not _NO_TOWN.search(dated[1]) and not _HOUSE.search(dated[1]):
            return dated[1].strip()
    return None


_ROMAN_YEAR = re.compile(r"\bm[mdclxvi]{3,}\b", re.I)


def _arabic_years(row: str) -> str:
    """ "First published in mcmlxii" with the year in digits."""

    def digits(match: re.Match[str]) -> str:
        value = roman_value(match[0])
        return str(value) if value is not None and 1450 <= value <= 2100 else match[0]

    return _ROMAN_YEAR.sub(digits, row)


_ADDRESS = re.compile(
    r",\s*(?:\d{1,4}[a-z]?,?\s+[^\W\d_].*|[^,]*\b(?:street|square|place|row|road|lane|hill|yard|court|avenue|buildings)\b.*)$",
    re.I,
)
"""Behind the name of a house: ", 15 Waterloo Place", ", Albemarle Street"."""

_NO_HOUSE = re.compile(r"\b(?:reserved|printed|rights|without|permission|published|cover|editor)\b", re.I)


_MADE_BY = re.compile(r"\b(?:printed|bound|typeset|set|composed|manufactured|designed|distributed|press\s+of)\b", re.I)
"""Printers have names as publishers have."""


def _house_line(rows: Sequence[str]) -> tuple[str, str | None] | None:
    """(name, place) of a line that is just the name of a house, an address behind it or not."""
    for i, row in enumerate(rows):
        name, *address = re.split(r",\s+(?!(?:Inc|Ltd|LLC|Co|Limited)\b)", row.strip(" .,"))
        if _MADE_BY.search(" ".join(rows[max(0, i - 1) : i + 1])):
            continue
        short = len(name.split()) <= 6 and name[:1].isupper() and not re.search(r"\d|@|www", name)
        if short and _HOUSE.search(name) and not _NO_HOUSE.search(name):
            return name, split_place(address[0]) if address and _place_like(address[0]) and not _NO_TOWN.search(
                address[0]
            ) else None
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
