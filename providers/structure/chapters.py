"""The parts of a book: chapters from its contents, or from its headings where it has none; buckets for the rest.

The result is a list of beginnings in reading order. Whatever stands between one beginning and the next belongs to the
first of them and to those that hold it, so every line belongs to exactly one deepest part.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median

from pydantic import BaseModel, ConfigDict
from rapidfuzz import fuzz

from providers.rules.numerals import parse, printed, roman_value
from providers.structure.lines import Sheet, TextLine, body_size, squeezed
from providers.structure.links import Link, is_number_line

FRONT, BODY, BACK = "front", "body", "back"


class EntryTitle(BaseModel):
    """What chapters need of an entry of the contents."""

    model_config = ConfigDict(frozen=True)

    key: str
    number: str | None
    title: str
    level: int


class ChapterFacts(BaseModel):
    """A part of the book; the fields of `schemas.documents.Chapter`, its parent by position in the list."""

    model_config = ConfigDict(frozen=True)

    level: int
    parent: int | None
    number: str | None
    title: str
    matter: str
    bucket: str
    start_page: int
    start_line: int
    """0 where it begins with the page, whatever stands in the page's head."""
    end_page: int
    end_line: int | None
    start_label: str | None
    end_label: str | None
    toc_entry: str | None
    source: str
    confidence: float
    heading_line: int | None
    """Line of the start page at which its heading begins, as far as it was seen."""


@dataclass(slots=True)
class _Part:
    """A part while it is being found."""

    page: int
    line: int
    """As `ChapterFacts.start_line`."""
    level: int
    title: str
    number: str | None = None
    bucket: str = ""
    matter: str = BODY
    toc_entry: str | None = None
    source: str = "contents"
    confidence: float = 0.0
    heading_line: int | None = None
    parent: _Part | None = field(default=None, repr=False)


def chapters(
    entries: Sequence[EntryTitle],
    links: Sequence[Link],
    sheets: Sequence[Sheet],
    contents: frozenset[int] = frozenset(),
) -> list[ChapterFacts]:
    """The chapters and buckets of a book in reading order, parents before children.

    Args:
        entries, links: of the contents, in one order; empty for a book without any.
        sheets: all pages in physical order, their edges marked.
        contents: physical pages of the printed contents.
    """
    if not sheets:
        return []
    parts = _from_contents(entries, links, sheets)
    if not parts:
        parts = _from_headings(sheets, contents)
    parts = _with_unlisted(parts, sheets, contents)
    parts.sort(key=lambda part: (part.page, part.line))
    _nest(parts)
    _set_matter(parts, sheets)
    return _facts(parts, sheets)


class Owner:
    """Which part a line belongs to."""

    def __init__(self, parts: Sequence[ChapterFacts]) -> None:
        self._starts = [(part.start_page, part.start_line) for part in parts]

    def of(self, page: int, line: int) -> int:
        """Position of the deepest part that has the line."""
        return max(0, bisect_right(self._starts, (page, line)) - 1)


# --- from the contents -------------------------------------------------------------------------------------------


def _from_contents(entries: Sequence[EntryTitle], links: Sequence[Link], sheets: Sequence[Sheet]) -> list[_Part]:
    by_page = {sheet.page: sheet for sheet in sheets}
    parts: list[_Part] = []
    for entry, link in zip(entries, links, strict=True):
        if link.page is None or link.page not in by_page:
            continue
        line = 0 if link.line is None else begins_at(by_page[link.page], link.line)
        if link.line is None and parts and parts[-1].page == link.page and parts[-1].heading_line is not None:
            # Two entries of one page, of which one was seen: the other has what follows its heading.
            line = parts[-1].heading_line + 1
        parts.append(
            _Part(
                page=link.page,
                line=line,
                level=max(1, entry.level),
                number=entry.number,
                title=entry.title,
                toc_entry=entry.key,
                confidence=link.confidence,
                heading_line=link.line,
            )
        )
    return parts


def begins_at(sheet: Sheet, line: int) -> int:
    """The line at which a part with its heading there begins: 0 if nothing of the text stands before it."""
    for each in sheet.body:
        if each.index == line:
            return 0
        if any(c.isalnum() for c in each.text):
            return line
    return line


# --- from the headings -------------------------------------------------------------------------------------------

_DIVISION = re.compile(
    r"^(?:part|book|volume|teil|buch|partie|livre|parte|libro|tome)\s+(?:the\s+\w+|[IVXLC]+|\d{1,2}|one|two|three|four"
    r"|five|six|seven|eight|nine|ten|first|second|third|fourth|fifth)\b.{0,60}$",
    re.IGNORECASE,
)
_CHAPTER = re.compile(
    r"^(?:chapter|chap\.|lecture|letter|canto|act|stave|kapitel|chapitre|cap[ií]tulo|capitolo|hoofdstuk)"
    r"\s+(?:the\s+\w+|[IVXLC]+|\d{1,3}|one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|\w+teen|twenty\W?\w*"
    r"|first|second|third|fourth|fifth|sixth|seventh|eighth|ninth|tenth|last)\b.{0,70}$",
    re.IGNORECASE,
)
_NAMED = re.compile(
    r"^(?:preface|foreword|prologue|introduction|epilogue|conclusion|afterword|appendix(?:\s+\w{1,4})?|appendices|glossary"
    r"|bibliography|references|index|notes|acknowledge?ments?|abbreviations|vorwort|einleitung|nachwort|anhang|register"
    r"|pr[ée]face|avant.propos|conclusion|annexes?)[\s.:]*$",
    re.IGNORECASE,
)
_SECTION = re.compile(r"^(\d{1,2}(?:\.\d{1,2}){1,3})\.?\s+\S")

ACCEPTED = 1.0
"""Evidence that makes a line a heading of a chapter; see `_evidence`."""
HEADING_LINES = 5


@dataclass(slots=True)
class _Heading:
    sheet: Sheet
    lines: list[TextLine]
    evidence: float
    kind: str
    """'division', 'chapter', 'named', 'section' or 'plain'."""


def _from_headings(sheets: Sequence[Sheet], contents: frozenset[int]) -> list[_Part]:
    size = body_size(sheets)
    usual_top = _usual_top(sheets)
    headings: list[_Heading] = []
    for sheet in sheets:
        if sheet.page in contents or sheet.page_type in _APART:
            continue
        headings += _headings(sheet, sheets, size, usual_top)
    found = [heading for heading in headings if heading.evidence >= ACCEPTED]
    if sum(heading.kind in {"chapter", "division"} for heading in found) >= 2:
        # A book that numbers its chapters in words has no others, but those that have a name of their own.
        found = [heading for heading in found if heading.kind != "plain" or _is_opening(heading, sheets)]
    has_divisions = any(heading.kind == "division" for heading in found)
    parts = []
    for heading in found:
        number, title = split_number([line.text for line in heading.lines])
        level = 1 + (has_divisions and heading.kind in {"chapter", "plain"} and _under_division(heading, found))
        if heading.kind == "section":
            match = _SECTION.match(heading.lines[0].text)
            level = has_divisions + 1 + (match[1].count(".") if match else 1)
        first = heading.lines[0].index
        parts.append(
            _Part(
                page=heading.sheet.page,
                line=begins_at(heading.sheet, first),
                level=level,
                number=number,
                title=title,
                source="heading",
                confidence=round(min(0.9, 0.3 + 0.3 * heading.evidence), 1),
                heading_line=first,
            )
        )
    return parts


_APART = frozenset({"cover", "title_page", "half_title", "copyright", "dedication", "toc", "list", "blank", "unread"})
"""Pages on which large lines are no chapters."""


def _under_division(heading: _Heading, found: Sequence[_Heading]) -> bool:
    return any(
        other.kind == "division"
        and (other.sheet.page, other.lines[0].index) < (heading.sheet.page, heading.lines[0].index)
        for other in found
    )


def _is_opening(heading: _Heading, sheets: Sequence[Sheet]) -> bool:
    """A page that opens a chapter in every respect, although its heading names no number."""
    return heading.evidence >= ACCEPTED + 0.6


def _usual_top(sheets: Sequence[Sheet]) -> float:
    """Where the text of a page usually begins, as a share of its height."""
    tops = [
        min(line.y0 for line in body) / sheet.height
        for sheet in sheets
        if sheet.height and len(body := sheet.body) >= 10
    ]
    return float(median(tops)) if tops else 0.1


def _headings(sheet: Sheet, sheets: Sequence[Sheet], size: float, usual_top: float) -> list[_Heading]:
    """Headings of a page: at its top any that looks like one, further down only those that say what they are."""
    body = sheet.body
    found: list[_Heading] = []
    at = 0
    while at < len(body):
        kind = _kind(body[at], size)
        if at == 0 or kind in {"chapter", "division", "named", "section"}:
            lines = _together(body, at, size)
            evidence = _evidence(sheet, sheets, body, at, lines, kind, size, usual_top)
            if evidence > 0:
                found.append(_Heading(sheet, lines, evidence, kind))
                at += len(lines)
                continue
        at += 1
    return found


def _kind(line: TextLine, size: float) -> str:
    text = line.text.strip(" .·*—–-")
    if len(text) > 100:
        return "plain"
    if _DIVISION.match(text):
        return "division"
    if _CHAPTER.match(text):
        return "chapter"
    if _NAMED.match(text):
        return "named"
    if _SECTION.match(text) and line.size >= 1.1 * size and not line.is_table_row:
        return "section"
    return "plain"


def _together(body: Sequence[TextLine], at: int, size: float) -> list[TextLine]:
    """The lines of one heading: a number line and what it numbers, or lines of one large size."""
    lines = [body[at]]
    for line in body[at + 1 : at + HEADING_LINES]:
        last = lines[-1]
        if line.y0 - last.y1 > 4 * max(size, last.size) or line.y0 < last.y0 or len(line.text) > 90:
            break
        large = line.size >= 1.12 * size
        numbered = is_number_line(last.text) and (large or _is_centred_capitals(line, body))
        same = large and last.size >= 1.12 * size and abs(line.size - last.size) <= 0.15 * last.size
        if not (numbered or same) or _kind(line, size) in {"chapter", "division", "section"}:
            break
        lines.append(line)
    return lines


def _is_centred_capitals(line: TextLine, body: Sequence[TextLine]) -> bool:
    return line.text.isupper() and is_centred(line, body)


def is_centred(line: TextLine, body: Sequence[TextLine]) -> bool:
    """The line stands in the middle of the column, blanks at both sides."""
    left, right = min(each.x0 for each in body), max(each.x1 for each in body)
    before, after = line.x0 - left, right - line.x1
    return min(before, after) >= 0.08 * (right - left) and abs(before - after) <= 0.12 * (right - left)


def _evidence(
    sheet: Sheet,
    sheets: Sequence[Sheet],
    body: Sequence[TextLine],
    at: int,
    lines: Sequence[TextLine],
    kind: str,
    size: float,
    usual_top: float,
) -> float:
    """How much speaks for a heading of a chapter. A line that calls itself one needs a little more; any other needs large
    type, a sunken page without a running head, and the head of the next pages to say the same."""
    text = " ".join(line.text for line in lines)
    letters = sum(c.isalpha() for c in text)
    if (letters < 2 and not is_number_line(text)) or len(text) > 160 or text.rstrip().endswith((",", ";", "-")):
        return 0.0
    largest = max(line.size for line in lines)
    evidence = {"chapter": 0.7, "division": 0.7, "named": 0.6, "section": 0.8}.get(kind, 0.0)
    if any(c.islower() for c in text[:1]):
        evidence -= 0.5
    if is_number_line(lines[0].text):
        evidence += 0.5 if len(lines) > 1 else 0.3 if kind in {"chapter", "division"} else 0.0
    evidence += 0.5 if largest >= 1.3 * size else 0.3 if largest >= 1.12 * size else 0.0
    centred = len(body) > len(lines) and all(is_centred(line, body) for line in lines)
    evidence += 0.2 if centred or (kind != "plain" and text.isupper()) else 0.0
    if at == 0:
        if sheet.height and lines[0].y0 / sheet.height >= usual_top + 0.05:
            evidence += 0.3
        position = next(i for i, other in enumerate(sheets) if other is sheet)
        around = [other for other in sheets[max(0, position - 2) : position + 4] if other is not sheet]
        if sheet.running_header is None and sum(other.running_header is not None for other in around) >= 2:
            evidence += 0.3
        evidence += 0.5 * _is_named_by_heads(text, lines, sheets[position + 1 : position + 5], sheets[:position][-4:])
    else:
        above = body[at - 1]
        below = body[at + len(lines)] if at + len(lines) < len(body) else None
        if largest < 1.12 * size and lines[0].y0 - above.y1 < 0.8 * size:
            return 0.0  # "... see the fourth chapter of / Book II."
        if lines[0].y0 - above.y1 >= 1.2 * size and (below is None or below.y0 - lines[-1].y1 >= 0.5 * size):
            evidence += 0.3
        if kind == "section":
            evidence += 0.1
    return evidence


def _is_named_by_heads(
    text: str, lines: Sequence[TextLine], following: Sequence[Sheet], before: Sequence[Sheet]
) -> bool:
    """The pages that follow have the heading as their running head, those before have not."""
    wanted = {squeezed(text), squeezed(lines[-1].text)}

    def alike(sheet: Sheet) -> bool:
        head = squeezed(sheet.running_header or "")
        return len(head) >= 4 and any(fuzz.partial_ratio(head, title) >= 88 for title in wanted if len(title) >= 4)

    return any(alike(sheet) for sheet in following) and not any(alike(sheet) for sheet in before)


_NUMBER = re.compile(
    r"^(?:(?:chapter|chap\.|part|book|section|lecture|letter|canto|act|stave|kapitel|teil|chapitre|partie|livre|cap[ií]tulo"
    r"|capitolo|hoofdstuk)\s+)?(\d{1,3}(?:\.\d{1,3})*|[IVXLC]+)(?:[.:)—–-]+\s*|\s+|$)(.*)$",
    re.IGNORECASE,
)


def split_number(texts: Sequence[str]) -> tuple[str | None, str]:
    """(number, title) of a heading's lines: ("IV", "The Storm") of "CHAPTER IV" and "The Storm"."""
    if len(texts) > 1 and is_number_line(texts[0]) and " " not in texts[0].strip():
        # As an engine reads it: "Ill" for III.
        read = [number for number in parse(texts[0]) if number.prefix == ""]
        number = printed(read[0].style, "", read[0].value, upper=texts[0][:1].isupper()) if read else None
        return number, " ".join(text.strip() for text in texts[1:])
    whole = " ".join(text.strip(" .·*—–-") if is_number_line(text) else text.strip() for text in texts)
    match = _NUMBER.match(whole)
    worded = re.match(r"^[A-Za-z.]+\s+[A-Za-z\d]", whole) is not None and not re.match(r"^[IVXLC]+[\s.]", whole)
    if match is None or (match[1].isalpha() and roman_value(match[1].upper()) is None):
        return None, whole
    if not match[2] or (worded and len(texts) == 1 and not match[2][:1].isalnum()):
        return match[1], whole
    if match[1].upper() == "I" and not worded and len(texts) == 1:
        return None, whole  # "I was born ..."
    return match[1], match[2].strip()


# --- what neither names ------------------------------------------------------------------------------------------

_TITLES = {
    "preface": "Preface",
    "foreword": "Foreword",
    "acknowledgements": "Acknowledgements",
    "introduction": "Introduction",
    "abbreviations": "Abbreviations",
    "notes": "Notes",
    "appendix": "Appendix",
    "glossary": "Glossary",
    "bibliography": "Bibliography",
    "index": "Index",
    "colophon": "Colophon",
}
"""Page types that are parts of their own, and what they are called where their heading cannot be read."""


def _with_unlisted(parts: Sequence[_Part], sheets: Sequence[Sheet], contents: frozenset[int]) -> list[_Part]:
    """Add what stands before the first part and after the last one: prefaces and indexes by their type, the rest as
    buckets."""
    first = min(parts, key=lambda part: (part.page, part.line), default=None)
    last = max(parts, key=lambda part: (part.page, part.line), default=None)
    found = list(parts)
    open_part: str | None = None
    for sheet in sheets:
        if first is not None and (sheet.page > first.page or (sheet.page == first.page and first.line == 0)):
            break
        bucket = _bucket_of(sheet, contents)
        if first is None and not bucket and sheet.page_type not in _TITLES:
            bucket = "text"
        name = sheet.page_type if not bucket and sheet.page_type in _TITLES else bucket or "front matter"
        if sheet.page_type in {"blank", "unread"} and open_part is not None:
            continue  # the back of what stands before it
        if name != open_part:
            found.append(_unlisted(sheet, name, FRONT if name != "text" else BODY))
            open_part = name
    if last is None:
        return found
    found += _contents_bucket(found, contents)
    return found + _after(last, sheets)


def _contents_bucket(parts: Sequence[_Part], contents: frozenset[int]) -> list[_Part]:
    """The contents are no part of the chapter before them (a preface, say)."""
    begins = min(contents, default=0)
    before = max((part for part in parts if part.page < begins), key=lambda part: (part.page, part.line), default=None)
    if before is None or before.bucket or any(part.page in contents for part in parts):
        return []
    return [_Part(begins, 0, 1, "Contents", bucket="contents", matter=FRONT, source="bucket", confidence=0.9)]


def _after(last: _Part, sheets: Sequence[Sheet]) -> list[_Part]:
    found: list[_Part] = []
    rest = [sheet for sheet in sheets if sheet.page > last.page]
    kind_of_last = next((sheet.page_type for sheet in sheets if sheet.page == last.page), "body")
    open_kind = kind_of_last
    for sheet in rest:
        if sheet.page_type in _TITLES and sheet.page_type != open_kind:
            heading = next((line for line in sheet.body[:3]), None)
            if heading is not None and squeezed(heading.text) == squeezed(last.title):
                continue
            found.append(_unlisted(sheet, sheet.page_type, BACK))
            open_kind = sheet.page_type
    # Empty leaves and what is printed on the back cover.
    tail = len(rest)
    while tail > 0 and rest[tail - 1].page_type in {"blank", "cover"}:
        tail -= 1
    if tail < len(rest):
        found.append(_unlisted(rest[tail], "back matter", BACK))
    return found


def _bucket_of(sheet: Sheet, contents: frozenset[int]) -> str:
    if sheet.page in contents or sheet.page_type == "toc":
        return "contents"
    if sheet.page_type == "cover":
        return "cover"
    if sheet.page_type in {"title_page", "half_title", "copyright", "dedication", "blank", "unread", "list"}:
        return "front matter"
    return ""


def _unlisted(sheet: Sheet, name: str, matter: str) -> _Part:
    if name not in _TITLES:
        title = name[:1].upper() + name[1:]
        return _Part(sheet.page, 0, 1, title, bucket=name, matter=matter, source="bucket", confidence=0.9)
    heading = next((line for line in sheet.body[:3] if any(c.isalpha() for c in line.text)), None)
    title = heading.text if heading is not None and len(heading.text) <= 60 else _TITLES[name]
    return _Part(
        sheet.page,
        0,
        1,
        title,
        matter=matter,
        source="heading",
        confidence=0.6,
        heading_line=heading.index if heading is not None and title == heading.text else None,
    )


# --- putting together --------------------------------------------------------------------------------------------


def _nest(parts: Sequence[_Part]) -> None:
    """Parents by level; a level that is left out is none: levels count from the top without holes."""
    stack: list[tuple[int, _Part]] = []
    for part in parts:
        while stack and stack[-1][0] >= part.level:
            stack.pop()
        part.parent = stack[-1][1] if stack else None
        stack.append((part.level, part))
        part.level = len(stack)


_FRONT_TITLE = re.compile(
    r"^(?:author.s |editor.s |translator.s )?(?:preface|foreword|acknowledge?ments?|abbreviations|dedication|contributors"
    r"|(?:list|table) of |about (?:the|this)|note (?:to|on)|vorwort|geleitwort|danksagung|pr[ée]face|avant.propos"
    r"|remerciements|pr[óo]logo|prefazione)",
    re.IGNORECASE,
)
_BACK_TITLE = re.compile(
    r"^(?:appendix|appendices|annex|glossary|(?:select(?:ed)? )?bibliography|references|works cited|(?:general |subject |name )?"
    r"index|indices|(?:end)?notes|colophon|further reading|anhang|glossar|literatur|(?:sach|namen)?register|anmerkungen"
    r"|annexes?|bibliographie|[íi]ndice|ap[ée]ndice)\b",
    re.IGNORECASE,
)


def _set_matter(parts: Sequence[_Part], sheets: Sequence[Sheet]) -> None:
    """Front matter are the first parts, as long as roman numbers or their titles say so; back matter the last ones that
    say so. Parts in others are what those are."""
    labels = {sheet.page: sheet.label for sheet in sheets}
    top = [part for part in parts if part.parent is None]
    named = [part for part in top if not part.bucket]
    for part in named:
        label = labels.get(part.page)
        roman = label is not None and roman_value(label) is not None
        says_so = bool(_FRONT_TITLE.match(part.title)) and part.page <= len(sheets) // 4
        if not (roman or says_so):
            break
        part.matter = FRONT
    for part in reversed(named):
        if part.matter == FRONT or not (_BACK_TITLE.match(part.title) or part.matter == BACK):
            break
        part.matter = BACK
    for part in parts:
        if part.parent is not None:
            part.matter = part.parent.matter


def _facts(parts: Sequence[_Part], sheets: Sequence[Sheet]) -> list[ChapterFacts]:
    labels = {sheet.page: sheet.label for sheet in sheets}
    last_page = sheets[-1].page
    position = {id(part): at for at, part in enumerate(parts)}
    following: Mapping[int, _Part] = _followers(parts)
    facts = []
    for at, part in enumerate(parts):
        after = following.get(at)
        if after is None:
            end_page, end_line = last_page, None
        elif after.line > 0 or after.page == part.page:
            end_page, end_line = after.page, after.line
        else:
            end_page, end_line = after.page - 1, None
        facts.append(
            ChapterFacts(
                level=part.level,
                parent=position[id(part.parent)] if part.parent is not None else None,
                number=part.number,
                title=part.title,
                matter=part.matter,
                bucket=part.bucket,
                start_page=part.page,
                start_line=part.line,
                end_page=end_page,
                end_line=end_line,
                start_label=labels.get(part.page),
                end_label=labels.get(end_page),
                toc_entry=part.toc_entry,
                source=part.source,
                confidence=part.confidence,
                heading_line=part.heading_line,
            )
        )
    return facts


def _followers(parts: Sequence[_Part]) -> dict[int, _Part]:
    """Position -> the next part of its own level or above: where it ends, its sub-chapters included."""
    found: dict[int, _Part] = {}
    open_at: dict[int, list[int]] = defaultdict(list)
    for at, part in enumerate(parts):
        for level in [level for level in open_at if level >= part.level]:
            for each in open_at.pop(level):
                found[each] = part
        open_at[part.level].append(at)
    return found
