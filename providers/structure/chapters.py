"""The parts of a book: chapters from its contents, or from its headings where it has none; buckets for the rest.

The result is a list of beginnings in reading order. Whatever stands between one beginning and the next belongs to the
first of them and to those that hold it, so every line belongs to exactly one deepest part.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Mapping, Sequence

from pydantic import BaseModel, ConfigDict

from providers.rules.numerals import roman_value
from providers.structure.headings import parts_from_headings
from providers.structure.lines import Sheet, squeezed
from providers.structure.links import Link
from providers.structure.parts import BACK, BODY, FRONT, Part, begins_at


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
        parts = parts_from_headings(sheets, contents)
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


def _from_contents(entries: Sequence[EntryTitle], links: Sequence[Link], sheets: Sequence[Sheet]) -> list[Part]:
    by_page = {sheet.page: sheet for sheet in sheets}
    parts: list[Part] = []
    for entry, link in zip(entries, links, strict=True):
        if link.page is None or link.page not in by_page:
            continue
        line = 0 if link.line is None else begins_at(by_page[link.page], link.line)
        if link.line is None and parts and parts[-1].page == link.page and parts[-1].heading_line is not None:
            # Two entries of one page, of which one was seen: the other has what follows its heading.
            line = parts[-1].heading_line + 1
        parts.append(
            Part(
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


def _with_unlisted(parts: Sequence[Part], sheets: Sequence[Sheet], contents: frozenset[int]) -> list[Part]:
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


def _contents_bucket(parts: Sequence[Part], contents: frozenset[int]) -> list[Part]:
    """The contents are no part of the chapter before them (a preface, say)."""
    begins = min(contents, default=0)
    before = max((part for part in parts if part.page < begins), key=lambda part: (part.page, part.line), default=None)
    if before is None or before.bucket or any(part.page in contents for part in parts):
        return []
    return [Part(begins, 0, 1, "Contents", bucket="contents", matter=FRONT, source="bucket", confidence=0.9)]


def _after(last: Part, sheets: Sequence[Sheet]) -> list[Part]:
    found: list[Part] = []
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


def _unlisted(sheet: Sheet, name: str, matter: str) -> Part:
    if name not in _TITLES:
        title = name[:1].upper() + name[1:]
        return Part(sheet.page, 0, 1, title, bucket=name, matter=matter, source="bucket", confidence=0.9)
    heading = next((line for line in sheet.body[:3] if any(c.isalpha() for c in line.text)), None)
    title = heading.text if heading is not None and len(heading.text) <= 60 else _TITLES[name]
    return Part(
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


def _nest(parts: Sequence[Part]) -> None:
    """Parents by level; a level that is left out is none: levels count from the top without holes."""
    stack: list[tuple[int, Part]] = []
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


def _set_matter(parts: Sequence[Part], sheets: Sequence[Sheet]) -> None:
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


def _facts(parts: Sequence[Part], sheets: Sequence[Sheet]) -> list[ChapterFacts]:
    labels = {sheet.page: sheet.label for sheet in sheets}
    last_page = sheets[-1].page
    position = {id(part): at for at, part in enumerate(parts)}
    following: Mapping[int, Part] = _followers(parts)
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


def _followers(parts: Sequence[Part]) -> dict[int, Part]:
    """Position -> the next part of its own level or above: where it ends, its sub-chapters included."""
    found: dict[int, Part] = {}
    open_at: dict[int, list[int]] = defaultdict(list)
    for at, part in enumerate(parts):
        for level in [level for level in open_at if level >= part.level]:
            for each in open_at.pop(level):
                found[each] = part
        open_at[part.level].append(at)
    return found
