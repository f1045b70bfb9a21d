"""Headings of chapters by how they are set and what they say, for a book without contents."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from rapidfuzz import fuzz

from providers.rules.numerals import parse, printed, roman_value
from providers.structure.lines import Sheet, TextLine, body_size, squeezed
from providers.structure.links import is_number_line
from providers.structure.parts import Part, begins_at

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


def parts_from_headings(sheets: Sequence[Sheet], contents: frozenset[int]) -> list[Part]:
    """The parts that the headings tell, in reading order.

    Args:
        sheets: all pages in physical order, their edges marked.
        contents: physical pages of the printed contents, whose lines are none.
    """
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
        found = [heading for heading in found if heading.kind != "plain" or _is_opening(heading)]
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
            Part(
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


def _is_opening(heading: _Heading) -> bool:
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
