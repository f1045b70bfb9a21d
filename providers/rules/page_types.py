"""What kind of page each is: by position in the book, keywords at its head, layout, and the order of a book's parts."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from statistics import median

from rapidfuzz import fuzz

from providers.rules.proposal import Proposal
from providers.rules.type_order import AT_THE_END, AT_THE_END_AS, likeliest

CONTENTS = re.compile(
    r"^(?:table\s+of\s+)?contents\b|^(?:inhalt(?:s(?:verzeichnis|übersicht))?|table\s+des\s+mati[eè]res|sommaire"
    r"|[íi]ndice(?:\s+general)?|indice|sommario|inhoud(?:sopgave)?|conte[úu]do|sum[áa]rio)\W*$",
    re.I,
)
LISTS = re.compile(r"^(?:list\s+of\s+)?(?:illustrations|figures|tables|plates|maps|diagrams)\b\W*\w{0,5}$", re.I)
_FRONT = (
    ("preface", re.compile(r"^(?:author.s\s+)?(?:preface|vorwort|pr[ée]face|prefacio|prefazione)\b.{0,40}$", re.I)),
    ("foreword", re.compile(r"^(?:foreword|geleitwort|avant.propos|pr[óo]logo)\b.{0,30}$", re.I)),
    (
        "acknowledgements",
        re.compile(r"^(?:acknowledge?ments?|danksagung|remerciements|agradecimientos)\b.{0,20}$", re.I),
    ),
    (
        "dedication",
        re.compile(r"^(?:dedicat(?:ed|ion)\b|to\s+my\b|to\s+the\s+memory\b|for\s+my\b|in\s+memory\b)", re.I),
    ),
    ("abbreviations", re.compile(r"^(?:list\s+of\s+)?abbreviations\b.{0,30}$", re.I)),
    ("introduction", re.compile(r"^(?:general\s+)?(?:introduction|einleitung|introducci[óo]n|introduzione)\W*$", re.I)),
)
_BACK = (
    ("index", re.compile(r"^(?:(?:general|subject|name|author)\s+)?index\b.{0,30}$|^(?:sach|namen)?register$", re.I)),
    (
        "bibliography",
        re.compile(
            r"^(?:(?:select(?:ed)?\s+)?bibliography|references|works\s+cited|literatur(?:verzeichnis)?)\W*$", re.I
        ),
    ),
    ("appendix", re.compile(r"^(?:appendix|appendices|anhang|annex(?:e|es)?)\b.{0,60}$", re.I)),
    ("glossary", re.compile(r"^(?:glossary|glossar|glossaire)\b.{0,30}$", re.I)),
    ("notes", re.compile(r"^(?:end)?notes\W*$", re.I)),
    ("colophon", re.compile(r"^(?:colophon|a\s+note\s+on\s+the\s+type)\b", re.I)),
)

PAGE_TYPES = (
    *("cover", "half_title", "title_page", "copyright", "dedication", "toc", "list", "preface", "foreword"),
    *("acknowledgements", "introduction", "abbreviations", "body", "notes", "appendix", "glossary", "bibliography"),
    *("index", "colophon", "blank"),
)
"""Every kind of page that was read."""


def contents_score(proposal: Proposal) -> float:
    """0 to 1: how much a page looks like a contents page, keyword aside: rows that end in numbers, and leaders.

    Half of its rows end in a number on a page of entries with wrapped titles, nearly all where titles are short.
    """
    if proposal.rows < 2:
        return 0.0
    return min(1.0, proposal.numbered / 0.6) * 0.8 + min(1.0, proposal.leaders / 0.4) * 0.2


ONE_OF_A_KIND = ("title_page", "copyright")
"""Kinds of which a book has one page: where a person says which, none is guessed."""


def page_types(
    proposals: Sequence[Proposal | None], labels: Sequence[str | None], said: Mapping[int, str] | None = None
) -> list[str]:
    """Kind of every page: cover, half_title, title_page, copyright, dedication, toc, list, preface, foreword,
    acknowledgements, introduction, abbreviations, body, notes, appendix, glossary, bibliography, index, colophon,
    blank, unread (reading failed).

    `said`: position (0-based) -> what a person says that the page is. Here it decides only over title and copyright page,
    which it may be or not be; whatever is said of a page stands in place of what is found."""
    said = said or {}
    count = len(proposals)
    types: list[str | None] = [_blank_or_unread(p, label) for p, label in zip(proposals, labels, strict=True)]
    first_text = next((i for i, label in enumerate(labels) if label and label[-1].isdigit()), min(count, 12))
    front = min(count, max(first_text, 6), max(2, count // 3))
    body = [p.type_height for p in proposals if p is not None and p.words > 80]
    size = median(body) if body else 10.0
    types = [kind if said.get(i) not in ONE_OF_A_KIND else said[i] for i, kind in enumerate(types)]
    _title_and_copyright(proposals, types, labels, front, said, size)
    early = min(count, max(front + 2, 30))
    _dedication(proposals, types, range(first_text))
    _contents(proposals, types, range(early))
    _contents(proposals, types, range(max(early, count - LAST), count))
    _by_keyword(proposals, types, range(first_text), _FRONT + _BACK, size)
    # Where numbers go on from the title page, prefaces have such as the text has.
    prefaces = [(kind, test) for kind, test in _FRONT if kind in PREFACES]
    _by_keyword(proposals, types, range(first_text, min(count // 3, first_text + 30)), prefaces, size)
    thanks = [(kind, test) for kind, test in _FRONT if kind in AT_THE_END]
    _by_keyword(proposals, types, range(max(first_text, int(0.5 * count)), count), [*_BACK, *thanks], size)
    return _in_order(proposals, types, early, first_text, said)


PREFACES = {"preface", "foreword", "acknowledgements", "abbreviations"}


SAID = 5.0
"""Weight of a type that a keyword at the head of the page names."""
SEEN = 4.0
"""Of one that position and layout tell: the title page and what stands around it."""
GOES_ON = 2.5
"""Of a page that follows one of its kind."""
PLAIN = 2.0
"""Of text, where nothing speaks for anything else."""
LISTED = 1.8
"""Of rows that end in numbers, for contents and index; less than PLAIN, for tables have such rows as well."""
LISTED_BEFORE = 4.0
"""The same of pages before the text, where there are no tables."""
LEADERS = 2.2
"""Of dot leaders besides, for contents."""


def _in_order(
    proposals: Sequence[Proposal | None],
    types: Sequence[str | None],
    early: int,
    first_text: int,
    said: Mapping[int, str],
) -> list[str]:
    """The types, with those mended that the order of a book's parts speaks against more than the page speaks for them.

    Only the first `early` pages may be contents by their layout alone."""
    found = [kind or "body" for kind in types]
    # A title page in the middle of the book would move the parts around it: what is said is out of the order.
    fixed = {i for i, kind in said.items() if kind in ONE_OF_A_KIND}
    pages = [i for i, kind in enumerate(found) if kind not in ("blank", "unread") and i not in fixed]
    evidence = []
    for i in pages:
        proposal = proposals[i]
        assert proposal is not None  # such a page is unread
        kind = AT_THE_END.get(found[i], found[i]) if i >= 0.5 * len(found) else found[i]
        weights = {kind: _weight(proposal, found[i])}
        if i < min(early, 0.5 * len(found)) and found[i] != "list":
            before = i < first_text and proposal.rows >= 5
            listed = LISTED_BEFORE if before else LISTED
            looks = listed * contents_score(proposal) + LEADERS * (proposal.leaders >= 0.4)
            weights["toc"] = max(weights.get("toc", 0.0), looks)
        if proposal.listed >= 0.3:
            weights["index"] = max(weights.get("index", 0.0), LISTED * min(1.0, proposal.listed))
        evidence.append(weights)
    for i, kind in zip(pages, likeliest(evidence), strict=True):
        found[i] = AT_THE_END_AS.get(kind, kind)
    return found


def _weight(proposal: Proposal, kind: str) -> float:
    if kind == "body":
        return PLAIN
    tests = {"toc": CONTENTS, "list": LISTS, **dict(_FRONT + _BACK)}
    head = [line.strip(" .:") for line in (*proposal.first_lines[:3], *(edge.text for edge in proposal.headers))]
    if kind in tests:
        return SAID if any(tests[kind].match(line) for line in head) else GOES_ON
    return SEEN


def _blank_or_unread(proposal: Proposal | None, label: str | None) -> str | None:
    if proposal is None:
        return "unread"
    letters = sum(c.isalnum() for line in proposal.first_lines for c in line)
    return "blank" if proposal.words == 0 or (letters < 3 and proposal.words <= 3 and label is None) else None


def _title_and_copyright(
    proposals: Sequence[Proposal | None],
    types: list[str | None],
    labels: Sequence[str | None],
    front: int,
    said: Mapping[int, str],
    size: float,
) -> None:
    near = range(min(front, 12))
    noticed = "copyright" in said.values()
    anchor = next((i for i in near if said.get(i) == "copyright"), None)
    for i in () if noticed else near:
        p = proposals[i]
        notice = p is not None and (p.has_copyright or p.has_isbn) and p.words >= 12
        if types[i] is None and i not in said and notice and i > 0:
            anchor = i
            types[i] = "copyright"
            break
    for i in () if noticed or anchor is not None else near[1:]:
        p = proposals[i]
        # Without ©, as older books: a few rows in small type that say who printed the book, or when.
        if p is None or types[i] is not None or i in said or not 3 <= p.words <= 150 or p.largest > 1.2 * size:
            continue
        if any(PRINTED.search(line.strip()) for line in p.first_lines):
            anchor = i
            types[i] = "copyright"
            break
    named = min((i for i, kind in said.items() if kind == "title_page"), default=None)
    limit = anchor if anchor is not None else min(front, 8)
    candidates = [
        i
        for i in range(limit)
        if types[i] is None
        and i not in said
        and (p := proposals[i]) is not None
        and p.words <= 80
        and p.numbered * p.rows <= 3  # a date, the number of the edition
        and not _headed_by_a_keyword(p)
    ]
    if not candidates and named is None and "title_page" not in said.values():
        first = next((i for i in near if types[i] != "blank"), None)
        p = proposals[first] if first is not None and types[first] is None and first not in said else None
        if first is not None and p is not None and may_open_a_book(labels[first]) and _title_and_notice(p, size):
            types[first] = "title_page"
    if not candidates:
        return
    largest = max(p.largest for i in candidates if (p := proposals[i]) is not None)

    def rank(i: int) -> tuple[float, bool, float, int]:
        p = proposals[i]
        assert p is not None
        # Title, author and imprint make at least three rows. It faces the copyright page's back. Of equals the
        # last before a copyright page (a cover or half-title comes first), else the first of the book.
        before = anchor is not None and i == anchor - 1
        return (min(p.rows, 3) + 2.0 * before, p.words > 3, p.largest >= 0.9 * largest, i if anchor is not None else -i)

    title = max(candidates, key=rank) if named is None else named
    chosen = proposals[title]
    if named is None and chosen is not None:
        # A cover says what the title page says, and comes before it.
        again = [i for i in candidates if i > title and (p := proposals[i]) is not None and _same_display(chosen, p)]
        title = again[0] if again else title
    types[title] = "title_page"
    for i in candidates:
        p, t = proposals[i], proposals[title]
        if i >= title or p is None or t is None or types[i] is not None:
            continue
        alike = fuzz.token_set_ratio(" ".join(p.first_lines).casefold(), " ".join(t.first_lines).casefold()) >= 80
        if alike:
            # A cover says what the title page says, a half title only how the book is called.
            whole = p.largest >= 0.9 * t.largest or p.rows >= 0.6 * t.rows
            types[i] = "cover" if i == 0 and whole else "half_title"
        elif i == 0 and p.words <= 40:
            types[i] = "cover"


def _headed_by_a_keyword(proposal: Proposal) -> bool:
    """But "Introduction / to / Rowing" is a title."""
    lines = [line.strip(" .:") for line in proposal.first_lines[:3]]
    if len(lines) > 1 and re.match(r"(?:to|into|zu[rm]?)\b", lines[1], re.I) and "introduction" in lines[0].casefold():
        return False
    return any(test.match(line) for line in lines[:2] for _, test in _FRONT + _BACK)


def _same_display(a: Proposal, b: Proposal) -> bool:
    """The same rows in large type, whatever their size."""
    alike = fuzz.ratio(" ".join(a.first_lines).casefold(), " ".join(b.first_lines).casefold())
    return alike >= 90 and abs(a.rows - b.rows) <= 1 and a.rows >= 2


PRINTED = re.compile(
    r"^(?:first|second|third|re)?[\s-]*(?:published|printed|impression|edition|printing)\b.*(?:\d{4}|\bin\b|\bby\b)"
    r"|^(?:all\s+rights\s+reserved|press\s+of|erstausgabe|druck|imprimé)\b|\bprinted\s+(?:and\s+bound\s+)?(?:by|in|at)\b"
    r"|\b(?:suggested\s+citation|public\s+domain)\b",
    re.I,
)
"""Rows of a copyright page that has no notice."""

CHAPTER = re.compile(
    r"^(?:chapter|part|section|book|kapitel|teil|chapitre|partie|cap[íi]tulo|capitolo)\b|^\W*(?:\d+(?:\.\d+)*|[IVXLC]+)\W*$"
    r"|^\d+(?:\.\d+)+\s|^\d+\s+[A-Z]|^abstract\W*$",
    re.I,
)
"""A heading of a part of a book: where a book begins with one it has no title there."""

MANUAL_WORDS = 400
"""Of a page that is title page and copyright page in one, with a word on what the book is."""


def names_a_part(line: str) -> bool:
    """A heading that any book may have, or that opens a chapter."""
    line = line.strip(" .:")
    tests = (CHAPTER, CONTENTS, LISTS, *(test for _, test in _FRONT + _BACK))
    return any(test.match(line) for test in tests)


def may_open_a_book(label: str | None) -> bool:
    """A page with a higher number opens a chapter, of a book whose first pages are not there."""
    return label is None or not label.isdigit() or int(label) <= 1


def _title_and_notice(proposal: Proposal, size: float) -> bool:
    """The first page of a manual or report: its title in large type, and below it who made it, the notice, a summary."""
    if proposal.words > MANUAL_WORDS or proposal.numbered > 0.3:
        return False
    if any(names_a_part(line) for line in proposal.first_lines[:2]):
        return False
    large = [heading for heading in proposal.headings if heading.height >= LARGE * size and heading.row <= 3]
    return bool(large) and (proposal.has_copyright or proposal.words <= MANUAL_WORDS // 2)


LARGE = 1.35
"""Of a book's ordinary type: set larger than this, a row of the first page may be its title."""


DEDICATED = re.compile(r"^(?i:to|for)\s+(?:(?i:my|our|the|all|those|him|her|you)\b|[A-Z])")


def _dedication(proposals: Sequence[Proposal | None], types: list[str | None], pages: range) -> None:
    """A few words in the front matter that begin with "To" or "For", whatever rows they are set in."""
    for i in pages:
        p = proposals[i]
        if p is not None and types[i] is None and 0 < p.words <= 25 and DEDICATED.match(" ".join(p.first_lines)):
            types[i] = "dedication"


LAST = 12
"""Pages at the end of a book that may be its contents, as in French books."""


def _contents(proposals: Sequence[Proposal | None], types: list[str | None], pages: range) -> None:
    running = None
    for i in pages:
        p = proposals[i]
        if p is None or types[i] is not None:
            running = running if types[i] == "blank" else None
            continue
        head = [line.strip(" .:") for line in (*p.first_lines[:3], *(edge.text for edge in p.headers))]
        if any(CONTENTS.match(line) for line in head) and (p.numbered >= 0.2 or p.rows <= 40) and p.words >= 4:
            running = types[i] = "toc"
        elif any(LISTS.match(line) for line in head) and p.numbered >= 0.3:
            running = types[i] = "list"
        elif running is not None and contents_score(p) >= 0.5:
            types[i] = running
        else:
            running = None


def _heads_with_number(proposal: Proposal, row: int) -> bool:
    """The row is a running header, however tall an engine's box around its number is."""
    return any(edge.row == row and edge.numbered for edge in proposal.headers)


def _by_keyword(
    proposals: Sequence[Proposal | None],
    types: list[str | None],
    pages: range,
    kinds: Sequence[tuple[str, re.Pattern[str]]],
    size: float,
) -> None:
    """A keyword in the first rows opens a part; pages after it belong to it until another heading opens one."""
    running: str | None = None
    for i in pages:
        p = proposals[i]
        if p is None or types[i] == "blank":
            continue
        if types[i] is not None:
            running = None
            continue
        head = [line.strip(" .:") for line in (*p.first_lines[:3], *(edge.text for edge in p.headers))]
        found = next((kind for kind, test in kinds if any(test.match(line) for line in head)), None)
        if found == "index" and p.listed < 0.15 and p.words > 60:
            found = None
        if found is None and running == "index" and p.listed >= 0.3:
            found = running
        if found is not None:
            running = found
        elif any(h.row <= 3 and h.height >= 1.25 * size and not _heads_with_number(p, h.row) for h in p.headings):
            running = None
        if running is not None:
            types[i] = running
