"""What there is to read in a book, in reading order, for the formats that have no pages: text, Markdown, EPUB.

From chapters and paragraphs where `BuildStructure` made them. Else from the blended lines: the running head and the page
number are left out, lines are joined to paragraphs by indents and short last lines, and the entries of the contents begin the
sections. Every physical page is in it once as a page break, also those that are blank or were not read.
"""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Literal

from rapidfuzz import fuzz

from books.view import BookView
from schemas.documents import Chapter, Page, Paragraph, TocEntry
from schemas.reading import Box, Line, PageReading

Kind = Literal["heading", "text", "list", "contents", "footnote", "figure", "caption", "page", "gap"]
Reader = Callable[[int], PageReading | None]
"""The blended reading of a physical page."""

_CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ufffe\uffff]")
"""What some text layers carry, and no text file should."""
SAME_TITLE = 85
"""rapidfuzz ratio of a line and a title of the contents, as in `providers/rules`."""
INDENT = 0.8
"""Of the line's height: what a paragraph's first line is moved in by, at least."""
SHORT = 0.88
"""Share of the column's width that a line falls short of, which ends a paragraph if a sentence ends there."""
LINE_BY_LINE = ("toc", "title_page", "half_title", "cover", "dedication", "index")
"""Types of pages whose lines are no running text."""
MISREAD = 60
"""rapidfuzz ratio of a short line at the edge of a page and the page's number: 'ili' for 'iii'."""
ENDS = (".", "!", "?", ":", "”", '"', "’", ")", "»", "…")


@dataclass(frozen=True, slots=True)
class Block:
    """One piece of the stream."""

    kind: Kind
    """'page' is a page break, 'gap' a page without a reading."""
    text: str = ""
    page: int = 0
    """Physical page on which it begins."""
    level: int = 0
    """Of a heading: 1 = top."""
    breaks: tuple[tuple[int, int], ...] = ()
    """(offset in the text, physical page) of the page breaks inside it, in order."""
    crop: tuple[int, Box] | None = None
    """Of a figure: physical page and box in points of the upright page."""


@dataclass(slots=True)
class Section:
    """A chapter, or what lies before, between and after them."""

    title: str
    number: str = ""
    level: int = 1
    page: int = 0
    """Physical page on which it begins."""
    bucket: str = ""
    """Name of a bucket ('cover', 'front matter'); '' = a chapter."""
    matter: str = "body"
    """'front', 'body' or 'back'."""
    blocks: list[Block] = field(default_factory=list)

    @property
    def heading(self) -> str:
        """Number and title as one line."""
        return " ".join(filter(None, (self.number, self.title)))


@dataclass(slots=True)
class Content:
    """The sections in reading order, parents before children."""

    sections: list[Section]
    structured: bool
    """Whether paragraphs come from `BuildStructure`."""

    @property
    def blocks(self) -> Iterator[Block]:
        for section in self.sections:
            yield from section.blocks


def read_content(view: BookView, reading: Reader) -> Content:
    """The stream of a book. Raises ArtifactMissing where words are needed that are gone."""
    structured = bool(view.chapters and view.paragraphs)
    sections = _from_structure(view, reading) if structured else _from_lines(view, reading)
    count = view.manifest.page_count
    _put_page_breaks(sections, view, count)
    return Content(sections or [Section(title_of(view), page=1)], structured)


def title_of(view: BookView) -> str:
    """The title, or the name of the source where none is known."""
    return view.book.title or view.book.source_name or view.key


def legal_levels(levels: Sequence[int]) -> list[int]:
    """Levels that begin at 1 and go down one at a time, as trees need them; what was deeper stays deeper."""
    stack: list[int] = []
    legal = []
    for level in levels:
        while stack and stack[-1] >= level:
            stack.pop()
        stack.append(level)
        legal.append(len(stack))
    return legal


def _put_page_breaks(sections: list[Section], view: BookView, count: int) -> None:
    """Before the first block of each page; pages without blocks where they fall, at the end of the section before."""
    reached = 0

    def until(page: int) -> Iterator[Block]:
        nonlocal reached
        for number in range(reached + 1, page + 1):
            yield Block("page", page=number)
            known = view.page(number)
            if known is None or not known.flag("blend", "complete"):
                yield Block("gap", page=number)
        reached = max(reached, page)

    for at, section in enumerate(sections):
        placed: list[Block] = []
        for block in section.blocks:
            placed += until(block.page)
            placed.append(block)
            reached = max([reached, *(page for _, page in block.breaks)])
        following = sections[at + 1].page - 1 if at + 1 < len(sections) else count
        placed += until(min(following, count))
        section.blocks = placed


# From chapters and paragraphs -----------------------------------------------------------------------------------------


def _from_structure(view: BookView, reading: Reader) -> list[Section]:
    belonging: dict[str, list[Paragraph]] = {}
    for paragraph in view.paragraphs:
        belonging.setdefault(paragraph.chapter_key or "", []).append(paragraph)
    sections = []
    for chapter in view.chapters:
        paragraphs = belonging.pop(chapter.key, [])
        section = Section(
            title=chapter.title or chapter.bucket or f"Page {chapter.start_page}",
            number=chapter.number or "",
            level=max(1, chapter.level or 1),
            page=chapter.start_page or 1,
            bucket=chapter.bucket or "",
            matter=chapter.matter or "body",
            blocks=[_block(paragraph, chapter, reading) for paragraph in paragraphs],
        )
        if not section.bucket and (not section.blocks or section.blocks[0].kind != "heading"):
            section.blocks.insert(0, Block("heading", section.heading, section.page, section.level))
        sections.append(section)
    return sections


def _block(paragraph: Paragraph, chapter: Chapter, reading: Reader) -> Block:
    kind: Kind = paragraph.kind or "text"  # type: ignore[assignment]
    pages = paragraph.pages or [chapter.start_page or 1]
    text = _CONTROLS.sub("", paragraph.text or "")
    crop = None
    if paragraph.crop:
        page, *box = json.loads(paragraph.crop)
        crop = (int(page), (float(box[0]), float(box[1]), float(box[2]), float(box[3])))
    level = max(1, paragraph.level or chapter.level or 1) if kind == "heading" else 0
    breaks = _breaks(text, pages, json.loads(paragraph.spans or "[]"), reading) if len(pages) > 1 else ()
    return Block(kind, text, pages[0], level, breaks, crop)


def _breaks(
    text: str, pages: Sequence[int], spans: Sequence[Sequence[int]], reading: Reader
) -> tuple[tuple[int, int], ...]:
    """Where the later pages of a paragraph begin in its text, at the beginning of a word.

    Counted in letters without blanks and hyphens, which is what undoing hyphenation leaves alone."""
    letters: dict[int, int] = {}
    for page, line, first, after in spans:
        found = reading(page)
        if found is None or line >= len(found.lines):
            continue
        words = found.lines[line].words[first:after]
        letters[page] = letters.get(page, 0) + sum(len(_plain(word.text)) for word in words)
    breaks: list[tuple[int, int]] = []
    before = 0
    for earlier, page in itertools.pairwise(pages):
        before += letters.get(earlier, 0)
        breaks.append((_word_at(text, before) if letters else len(text), page))
    return tuple(breaks)


def _plain(text: str) -> str:
    return re.sub(r"[\s\u00ad-]", "", text)


def _word_at(text: str, letters: int) -> int:
    """Offset of the first word that begins when so many letters have passed; the end where there is none."""
    passed = 0
    for match in re.finditer(r"\S+", text):
        if passed >= letters:
            return match.start()
        passed += len(_plain(match[0]))
    return len(text)


# From the lines alone -------------------------------------------------------------------------------------------------


def linked_entries(view: BookView) -> list[tuple[TocEntry, int]]:
    """(entry, physical page) of the contents in their order; entries whose page is not known are left out."""
    found = []
    for number, entry in enumerate(view.entries):
        link = view.links[number] if number < len(view.links) else {}
        page = link.get("page") or entry.page
        if page:
            found.append((entry, int(page)))
    return found


def _from_lines(view: BookView, reading: Reader) -> list[Section]:
    """Sections begin where the entries of the contents say. An entry that leads back to an earlier page than the one before
    (a mistake of the contents, or of ours) begins none: text must not be told out of order."""
    starts: dict[int, list[TocEntry]] = {}
    reached = 0
    for entry, page in linked_entries(view):
        if page >= reached:
            starts.setdefault(page, []).append(entry)
            reached = page
    sections: list[Section] = []
    if 1 not in starts:
        sections.append(
            Section("Front matter" if starts else title_of(view), page=1, matter="front" if starts else "body")
        )
        sections[0].bucket = "front matter" if starts else ""
    for known in view.pages:
        number = known.page or 0
        found = reading(number)
        blocks = page_blocks(known, found) if found is not None else []
        for entry in starts.get(number, []):
            level = max(1, entry.level or 1)
            section = Section(entry.title or entry.number or "", _number_of(entry), level, number)
            at = next((i for i, block in enumerate(blocks) if _is_title(block.text, section)), None)
            if at is not None:
                above = blocks[:at]
                if above and _NUMERAL.fullmatch(above[-1].text):
                    # As a line of its own: a numeral is too often misread to stand in a navigation.
                    section.blocks.append(above.pop())
                # What else stands above the title still belongs to the section before.
                _extend(sections, above)
                blocks = blocks[at + 1 :]
            section.blocks.append(Block("heading", section.heading, number, level))
            sections.append(section)
        _extend(sections, blocks)
    return sections


_NUMERAL = re.compile(r"\s*(?:(?:chapter|part|book)\s+)?(?:[ivxlc]{1,7}|\d{1,3})\s*\.?\s*", re.IGNORECASE)
"""The line over a title that numbers it."""


def _number_of(entry: TocEntry) -> str:
    number = entry.number or ""
    return "" if (entry.title or "").startswith(number) else number


def _is_title(text: str, section: Section) -> bool:
    wanted = (section.title.casefold(), section.heading.casefold())
    return len(text) < 200 and any(fuzz.ratio(text.casefold(), title) >= SAME_TITLE for title in wanted)


def _extend(sections: list[Section], blocks: Sequence[Block]) -> None:
    """Add a page's blocks to the last section; a sentence that runs over from the page before is joined to it."""
    if not blocks or not sections:
        return
    into, first = sections[-1].blocks, blocks[0]
    last = into[-1] if into else None
    if last is not None and last.kind == first.kind == "text" and first.page != last.page:
        hyphen = last.text.endswith("-") and last.text[-2:-1].isalpha() and first.text[:1].islower()
        runs_on = hyphen or (not last.text.endswith(ENDS) and first.text[:1].islower())
        if runs_on:
            text, blank = (last.text[:-1], "") if hyphen else (last.text, " ")
            joined = text + blank + first.text
            # A page may begin inside a word; the break is put before it.
            at = joined.rfind(" ", 0, len(text)) + 1 if hyphen else len(text) + 1
            into[-1] = Block("text", joined, last.page, breaks=(*last.breaks, (at, first.page)))
            blocks = blocks[1:]
    into.extend(blocks)


def page_blocks(page: Page, reading: PageReading) -> list[Block]:
    """The paragraphs of a page by its lines alone."""
    number = page.page or 0
    lines = [line for line in body_lines(page, reading) if line.words]
    kind: Kind = "contents" if page.page_type == "toc" else "text"
    paragraphs = [[line] for line in lines] if page.page_type in LINE_BY_LINE else _paragraphs(lines)
    return [Block(kind, join_lines([line.text for line in paragraph]), number) for paragraph in paragraphs]


def body_lines(page: Page, reading: PageReading) -> list[Line]:
    """Without the running head and the printed number, which stand among the first and last two lines."""
    lines = list(reading.lines)
    outer = [*lines[:2], *lines[-2:]]
    head = (page.running_header or "").casefold()
    label = (page.label or "").casefold()

    def beside(line: Line) -> bool:
        text = line.text.casefold().strip(" .-–—[]()")
        if not text:
            return False
        if label and len(text) <= len(label) + 1 and fuzz.ratio(text, label) >= MISREAD:
            return True
        plain = text.removeprefix(label).removesuffix(label).strip() if label else text
        return not plain or bool(head and fuzz.ratio(plain, head) >= SAME_TITLE)

    return [line for line in lines if not (any(line is other for other in outer) and beside(line))]


def _paragraphs(lines: Sequence[Line]) -> list[list[Line]]:
    found: list[list[Line]] = []
    previous: Line | None = None
    columns: dict[int, tuple[float, float]] = {}
    for line in lines:
        left, right = columns.get(line.block, (line.box[0], line.box[2]))
        columns[line.block] = (min(left, line.box[0]), max(right, line.box[2]))
    height = median([line.height for line in lines]) if lines else 0.0
    for line in lines:
        left, right = columns[line.block]
        begins = previous is None or line.block != previous.block
        if previous is not None and not begins:
            indented = line.box[0] - left > INDENT * height and previous.box[0] - left <= INDENT * height
            short = previous.box[2] - left < SHORT * (right - left) and previous.text.endswith(ENDS)
            apart = line.box[1] - previous.box[3] > 1.2 * height
            begins = indented or short or apart
        if begins:
            found.append([])
        found[-1].append(line)
        previous = line
    return found


def join_lines(lines: Sequence[str]) -> str:
    """Lines as running text: a word that a hyphen broke before a small letter is joined again."""
    text = ""
    for line in lines:
        if text.endswith(("-", "\u00ad")) and text[-2:-1].isalpha() and line[:1].islower():
            text = text[:-1] + line
        else:
            text = f"{text} {line}" if text else line
    return _CONTROLS.sub("", text)
