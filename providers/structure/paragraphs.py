"""Paragraphs, headings, notes, captions and figures of a book, each with the words that it is made of.

A paragraph's lines are told from the next one's by indent, leading, a short last line and size; it goes on over columns and
pages and around notes and figures. No word is lost: each is in exactly one paragraph, or left out by class (`edges.py`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from pydantic import BaseModel, ConfigDict
from rapidfuzz import fuzz

from providers.rules.page_types import CONTENTS, LISTS
from providers.structure.captions import captions_of, figure_places, inside_figures
from providers.structure.chapters import ChapterFacts, Owner
from providers.structure.columns import INDENT, Column, columns_of, is_short, sets_in, split_columns
from providers.structure.headings import is_centred
from providers.structure.hyphens import Lexicon, is_divided, running_text
from providers.structure.lines import Sheet, Span, TextLine, body_size, squeezed
from providers.structure.links import is_number_line, spellings
from providers.structure.marks import CAPTION, ends_sentence, is_bullet, is_title, item_mark, note_mark, note_zone
from schemas.reading import Box

LEADING = 1.4
"""Of the usual distance of lines: more is a new paragraph."""
HEADING_SIZE = 1.15
SIZE_CHANGE = 1.2

_ALONE = frozenset({"title_page", "half_title", "cover", "copyright", "dedication"})
"""Page types whose text ends with the page, and whose large lines are no headings."""


class ParagraphFacts(BaseModel):
    """Fields of `schemas.documents.Paragraph`."""

    model_config = ConfigDict(frozen=True)

    kind: str
    level: int | None
    text: str
    pages: list[int]
    spans: list[Span]
    crop: tuple[int, float, float, float, float] | None


class BookParagraphs(BaseModel):
    """Every word of a book: in a paragraph, or left out."""

    model_config = ConfigDict(frozen=True)

    chapters: list[list[ParagraphFacts]]
    """For each part of the book, in its order."""
    left_out: list[tuple[int, int, int, int, str]]
    """(page, line, first word, word after the last, class)."""


@dataclass(slots=True)
class _Open:
    """A paragraph that is being written."""

    kind: str
    part: int
    level: int | None = None
    lines: list[tuple[int, TextLine]] = field(default_factory=list)
    crop: tuple[int, float, float, float, float] | None = None


def paragraphs(
    sheets: Sequence[Sheet],
    parts: Sequence[ChapterFacts],
    figures: Mapping[int, Sequence[Box]] | None = None,
    contents: frozenset[int] = frozenset(),
) -> BookParagraphs:
    """The paragraphs of every part.

    Args:
        sheets: all pages in physical order, their edges marked.
        parts: of `chapters.chapters`, not empty.
        figures: physical page -> boxes of its figures in points of the upright page.
        contents: physical pages of the printed contents: kept line by line.
    """
    writer = _Writer(sheets, parts, contents)
    for sheet in sheets:
        writer.page(sheet, list((figures or {}).get(sheet.page, ())))
    return writer.result()


class _Writer:
    def __init__(self, sheets: Sequence[Sheet], parts: Sequence[ChapterFacts], contents: frozenset[int]) -> None:
        self._sheets = sheets
        self._parts = parts
        self._contents = contents
        self._owner = Owner(parts)
        self._lexicon = Lexicon.of(sheets)
        self._size = body_size(sheets)
        self._indents = sets_in(sheets)
        self._headings: dict[tuple[int, int], int] = {
            (part.start_page, part.heading_line): at for at, part in enumerate(parts) if part.heading_line is not None
        }
        self._done: list[_Open] = []
        self._text: _Open | None = None
        """The paragraph that the next line of text may go on."""
        self._note: _Open | None = None
        """The note that the next page's first small lines may go on."""
        self._last: _Last | None = None
        self._interrupted = False
        """A figure, a caption or a note stands between that line and the next one."""
        self._page_type = "body"

    def result(self) -> BookParagraphs:
        chapters: list[list[ParagraphFacts]] = [[] for _ in self._parts]
        for each in self._done:
            chapters[each.part].append(self._facts(each))
        left_out = [
            (sheet.page, line, first, last, kind)
            for sheet in self._sheets
            for line, runs in sorted(sheet.left_out.items())
            for first, last, kind in runs
        ]
        return BookParagraphs(chapters=chapters, left_out=left_out)

    def _facts(self, each: _Open) -> ParagraphFacts:
        lines = [line.words for _, line in each.lines]
        pages = [page for page, _ in each.lines] or ([each.crop[0]] if each.crop else [])
        return ParagraphFacts(
            kind=each.kind,
            level=each.level,
            text=running_text(lines, self._lexicon),
            pages=sorted(set(pages)),
            spans=[(page, line.index, 0, len(line.words)) for page, line in each.lines],
            crop=each.crop,
        )

    def _begin(self, kind: str, page: int, line: TextLine | None, part: int, level: int | None = None) -> _Open:
        made = _Open(kind, part, level)
        if line is not None:
            made.lines.append((page, line))
        self._done.append(made)
        return made

    # A page ------------------------------------------------------------------------------------------------------

    def page(self, sheet: Sheet, figures: list[Box]) -> None:
        if sheet.page_type in _ALONE or self._page_type in _ALONE:
            self._text = None
        self._page_type = sheet.page_type
        body = sheet.body
        inside = inside_figures(body, figures)
        rest = [line for line in body if line.index not in inside]
        if sheet.page in self._contents or sheet.page_type in {"toc", "list"}:
            self._list_page(sheet, rest)
            self._figures_left(sheet, figures, inside, body, 0)
            return
        captions = captions_of(rest, figures, self._size)
        notes = self._notes(sheet, [line for line in rest if line.index not in captions])
        text = [line for line in rest if line.index not in captions and line.index not in notes]
        columns = columns_of(text, sheet.page_type)
        drawn = 0
        placed = figure_places(figures, rest)
        where = {line.index: (column, at) for column in columns for at, line in enumerate(column.lines)}
        skip: set[int] = set()
        for position, line in enumerate(rest):
            while drawn < len(placed) and placed[drawn][0] <= position:
                self._figure(sheet, placed[drawn][1], figures, inside, body, line.index)
                drawn += 1
            if line.index in skip:
                continue
            part = self._owner.of(sheet.page, line.index)
            if line.index in captions:
                self._caption(sheet.page, line, part)
            elif line.index in notes:
                self._footnote(sheet.page, line, part, marked=notes[line.index])
            else:
                heading = self._heading(sheet, rest[position:], columns, where)
                if heading is not None:
                    lines, level = heading
                    made = self._begin("heading", sheet.page, None, part, level)
                    made.lines += [(sheet.page, each) for each in lines]
                    skip.update(each.index for each in lines)
                    self._text = None
                else:
                    self._line(sheet, line, *where[line.index], part)
        for _, number in placed[drawn:]:
            self._figure(sheet, number, figures, inside, body, body[-1].index if body else 0)

    def _list_page(self, sheet: Sheet, lines: Sequence[TextLine]) -> None:
        """Contents and lists: an entry a line, its page number with it."""
        self._text = None
        last: TextLine | None = None
        made: _Open | None = None
        for line in lines:
            part = self._owner.of(sheet.page, line.index)
            title = line.text.strip(" .:")
            if CONTENTS.fullmatch(title) or LISTS.fullmatch(title):
                made = self._begin("heading", sheet.page, line, part, self._parts[part].level)
                last = None
                continue
            beside = (
                last is not None
                and made is not None
                and min(last.y1, line.y1) - max(last.y0, line.y0) > 0.5 * min(last.y1 - last.y0, line.y1 - line.y0)
            )
            if beside and made is not None and made.part == part:
                made.lines.append((sheet.page, line))
            else:
                made = self._begin("contents", sheet.page, line, part)
            last = line

    # Figures and captions ----------------------------------------------------------------------------------------

    def _figure(
        self,
        sheet: Sheet,
        number: int,
        figures: Sequence[Box],
        inside: Mapping[int, int],
        body: Sequence[TextLine],
        near: int,
    ) -> None:
        made = self._begin("figure", sheet.page, None, self._owner.of(sheet.page, near))
        made.lines += [(sheet.page, line) for line in body if inside.get(line.index) == number]
        self._interrupted = True
        x0, y0, x1, y1 = figures[number]
        made.crop = (sheet.page, round(x0, 1), round(y0, 1), round(x1, 1), round(y1, 1))

    def _figures_left(
        self, sheet: Sheet, figures: Sequence[Box], inside: Mapping[int, int], body: Sequence[TextLine], near: int
    ) -> None:
        for number in range(len(figures)):
            self._figure(sheet, number, figures, inside, body, near)

    def _caption(self, page: int, line: TextLine, part: int) -> None:
        self._interrupted = True
        last = self._done[-1] if self._done else None
        if (
            last is not None
            and last.kind == "caption"
            and last.part == part
            and last.lines[-1][0] == page
            and not CAPTION.match(line.text)
            and abs(line.y0 - last.lines[-1][1].y1) <= line.size
        ):
            last.lines.append((page, line))
        else:
            self._begin("caption", page, line, part)

    # Notes -------------------------------------------------------------------------------------------------------

    def _notes(self, sheet: Sheet, lines: Sequence[TextLine]) -> dict[int, bool]:
        """line -> whether a note begins there, of the notes at the foot of the page."""
        found: dict[int, bool] = {}
        for column in split_columns(lines):
            zone = note_zone(column, self._size, sheet.height)
            if not zone:
                continue
            value: int | None = None
            started = self._goes_on(sheet.page)
            for at, line in enumerate(zone):
                mark = note_mark(line.words)
                begins = mark is not None and (
                    not mark.isdigit()
                    or int(mark) == (value or 0) + 1
                    or (value is None and (at == 0 or ends_sentence(zone[at - 1].text)))
                )
                if begins and mark is not None and mark.isdigit():
                    value = int(mark)
                started = started or begins
                if started:
                    found[line.index] = begins
        return found

    def _goes_on(self, page: int) -> bool:
        """Whether the last note of the page before may have more on this one."""
        if self._note is None or self._note.lines[-1][0] != page - 1:
            return False
        return not ends_sentence(self._note.lines[-1][1].text)

    def _footnote(self, page: int, line: TextLine, part: int, *, marked: bool) -> None:
        goes_on = self._note is not None and self._note.part == part and self._note.lines[-1][0] in {page, page - 1}
        if marked or not goes_on or self._note is None:
            self._note = self._begin("footnote", page, line, part)
        else:
            self._note.lines.append((page, line))

    # Headings ----------------------------------------------------------------------------------------------------

    def _heading(
        self,
        sheet: Sheet,
        lines: Sequence[TextLine],
        columns: Sequence[Column],
        where: Mapping[int, tuple[Column, int]],
    ) -> tuple[list[TextLine], int] | None:
        """The lines of the heading that begins with the first of `lines`, and its level; None if none begins."""
        line = lines[0]
        at = self._headings.get((sheet.page, line.index))
        ahead = [each for each in lines[1:6] if each.index in where]
        if at is not None:
            part = self._parts[at]
            taken = self._heading_of(part, [line, *ahead], sheet.page)
            return (taken, part.level) if taken else None
        if sheet.page_type in _ALONE or sheet.page_type == "index":
            return None
        column, place = where[line.index]
        if not self._looks_like_heading(line, column, place):
            return None
        taken = [line]
        for each in ahead:
            last = taken[-1]
            if (
                (sheet.page, each.index) in self._headings
                or each.y0 - last.y1 > 0.8 * line.size
                or each.y0 < last.y0
                or abs(each.size - line.size) > 0.1 * line.size
                or not self._looks_like_heading(each, *where[each.index])
            ):
                break
            taken.append(each)
        return taken, self._parts[self._owner.of(sheet.page, line.index)].level + 1

    def _heading_of(self, part: ChapterFacts, lines: Sequence[TextLine], page: int) -> list[TextLine]:
        """As many lines as make the title of the part, with the number above it."""
        titles = spellings(part.number, part.title)
        best, count, text = 0.0, 0, ""
        numbers = ""
        for taken, line in enumerate(lines, start=1):
            if taken > 1 and ((page, line.index) in self._headings or line.y0 < lines[0].y0):
                break
            text += squeezed(line.text)
            if numbers == text[: -len(squeezed(line.text)) or None] and is_number_line(line.text):
                numbers = text
            rest = text.removeprefix(numbers)
            score = max(_alike(title, option) for title in titles for option in (text, rest or text))
            if score > best + 0.5:
                best, count = score, taken
        large = lines[0].size >= 1.1 * self._size
        longest = max(len(title) for title in titles)
        if count <= 1 and not large and len(squeezed(lines[0].text)) > 1.5 * longest + 4:
            return []  # run in: the heading is the beginning of a line of text
        taken_lines = list(lines[: max(1, count)])
        for line in lines[len(taken_lines) :]:
            last = taken_lines[-1]
            if (
                (page, line.index) in self._headings
                or line.size < HEADING_SIZE * self._size
                or abs(line.size - last.size) > 0.1 * last.size
                or not 0 <= line.y0 - last.y1 + last.size <= 1.8 * last.size
            ):
                break
            taken_lines.append(line)
        return taken_lines

    def _looks_like_heading(self, line: TextLine, column: Column, at: int) -> bool:
        text = line.text.rstrip()
        letters = sum(c.isalpha() for c in text)
        if (
            letters < 3
            or len(line.words) > 14
            or text.endswith((",", ";", "-"))
            or text[:1].islower()
            or line.is_table_row
        ):
            return False
        if line.size >= HEADING_SIZE * self._size:
            return not (text.endswith(".") and len(line.words) > 8)
        if len(line.words) > 10 or text.endswith((".", ":")) or line.size < 0.95 * self._size:
            return False
        above = line.baseline - column.lines[at - 1].baseline if at > 0 else 9.0 * column.pitch
        below = column.lines[at + 1].baseline - line.baseline if at + 1 < len(column.lines) else 0.0
        set_off = above >= 1.3 * column.pitch and below >= 1.15 * column.pitch
        return set_off and len(column.lines) >= 4 and is_centred(line, column.lines) and is_title(line.words)

    # Text --------------------------------------------------------------------------------------------------------

    def _line(self, sheet: Sheet, line: TextLine, column: Column, at: int, part: int) -> None:
        last = self._last
        goes_on = (
            self._text is not None
            and last is not None
            and self._text.part == part
            and not self._is_new(line, column, at, last, sheet.page)
        )
        if goes_on and self._text is not None:
            self._text.lines.append((sheet.page, line))
        else:
            kind = "list" if item_mark(line.words) and self._may_be_item(line, column, at) else "text"
            self._text = self._begin(kind, sheet.page, line, part)
        self._interrupted = False
        self._last = _Last(
            page=sheet.page,
            line=line,
            column=column,
            began=not goes_on,
            indent=(line.x0 - column.left(at)) / line.size if line.size else 0.0,
            short=is_short(column, at),
        )

    def _may_be_item(self, line: TextLine, column: Column, at: int) -> bool:
        """A bullet always is one; a number at a line's beginning if the item before or after has one too, or it is
        set in."""
        if is_bullet(line.words[0]):
            return True
        if line.x0 - column.left(at) > INDENT * line.size:
            return True
        near = column.lines[max(0, at - 12) : at] + column.lines[at + 1 : at + 13]
        return any(item_mark(other.words) and abs(other.x0 - line.x0) < line.size for other in near)

    def _is_new(self, line: TextLine, column: Column, at: int, last: _Last, page: int) -> bool:
        """Whether a paragraph begins with the line."""
        before, em = last.line, max(line.size, 1.0)
        divided = is_divided(before.words[-1])
        lower = line.words[0][:1].islower()
        if last.column is not column or self._interrupted:
            return self._is_new_over_a_break(line, column, at, last)
        if line.is_table_row or before.is_table_row:
            return True
        if max(line.size, before.size) > SIZE_CHANGE * min(line.size, before.size) and not divided:
            return True
        if column.pitch and line.baseline - before.baseline > LEADING * column.pitch and not (divided and lower):
            return True
        if item_mark(line.words) and self._may_be_item(line, column, at) and not divided:
            return bool(
                is_bullet(line.words[0])
                or last.short
                or ends_sentence(before.text)
                or line.x0 > before.x0 + INDENT * em
            )
        step = (line.x0 - before.x0) / em
        in_item = self._text is not None and self._text.kind == "list"
        if column.hanging:
            return (line.x0 - column.left(at)) / em < 0.5
        if in_item and last.began and 0 < step < 4:
            return False
        if step > INDENT:
            # An entry of a list whose further lines are set in goes on; a first line follows the end of something.
            hangs = last.began and last.indent < INDENT and not last.short and not ends_sentence(before.text)
            return not divided and not hangs
        if step < -INDENT:
            # Back to the margin: the second line of a paragraph, or the first after a block that is set in.
            return not last.began and not divided
        if last.began and last.indent > INDENT and not divided and at + 1 < len(column.lines):
            following = column.lines[at + 1]
            if (line.x0 - following.x0) / em > INDENT and following.baseline - line.baseline < LEADING * column.pitch:
                return True  # two first lines in a row: the one before was a paragraph of one line
        if not last.short or divided:
            return False
        if column.justified:
            return ends_sentence(before.text) or not lower
        width = column.right(at) - column.left(at)
        return before.x1 < column.right(at) - 0.25 * width and (
            (ends_sentence(before.text) and not lower) or before.x1 < column.right(at) - 0.5 * width
        )

    def _is_new_over_a_break(self, line: TextLine, column: Column, at: int, last: _Last) -> bool:
        """The same at the head of a column or page."""
        before = last.line
        if is_divided(before.words[-1]):
            return False
        if line.is_table_row or before.is_table_row:
            return True
        if max(line.size, before.size) > SIZE_CHANGE * min(line.size, before.size):
            return True
        if item_mark(line.words) and self._may_be_item(line, column, at):
            return True
        first = line.words[0].lstrip("“\"'‘(")
        if first[:1].islower() and not (last.short and ends_sentence(before.text)):
            return False
        indented = line.x0 - column.left(at) > INDENT * line.size
        if column.hanging:
            return not indented
        if indented or (last.short and ends_sentence(before.text)):
            return True
        # A full line that ends a sentence: where paragraphs are indented, the next flush line goes on.
        return ends_sentence(before.text) and not self._indents


@dataclass(slots=True)
class _Last:
    """The line of text before."""

    page: int
    line: TextLine
    column: Column
    began: bool
    indent: float
    short: bool


def _alike(title: str, text: str) -> float:
    """A heading may say more than the contents do."""
    return max(fuzz.ratio(title, text), 0.98 * fuzz.ratio(title, text[: len(title)]) if len(title) >= 8 else 0.0)
