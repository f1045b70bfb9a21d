"""Sets whole books by the conventions of a `Design`, and says what stands on their pages: a PDF and its truth.

The same design gives the same book. Text is shuffled from the sample's (public domain), or given with the design for other
languages; nothing else of a page is random but which words the index has and where a footnote stands.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import pymupdf

from books.evaluation.truth import Truth, TruthEntry, TruthPage
from providers.rules.numerals import to_roman

SAMPLE = Path(__file__).resolve().parent.parent / "samples" / "a-day-at-a-time.json"

FONTS = {
    "serif": ("tiro", "tibo", "tiit"),
    "sans": ("helv", "hebo", "heit"),
}
"""Regular, bold, italic: fonts that PyMuPDF has within itself."""

NUMBER_WORDS = (
    *("One", "Two", "Three", "Four", "Five", "Six", "Seven", "Eight", "Nine", "Ten", "Eleven", "Twelve", "Thirteen"),
    *("Fourteen", "Fifteen", "Sixteen", "Seventeen", "Eighteen", "Nineteen", "Twenty"),
)
FRENCH_ORDINALS = ("PREMIÈRE", "DEUXIÈME", "TROISIÈME", "QUATRIÈME")
GERMAN_ORDINALS = ("Erster", "Zweiter", "Dritter", "Vierter")


@dataclass(frozen=True)
class Section:
    title: str
    below: tuple[str, ...] = ()


@dataclass(frozen=True)
class Chapter:
    title: str
    sections: tuple[Section, ...] = ()
    author: str = ""
    numbered: bool = True
    """False: an introduction, a conclusion."""
    paragraphs: int = 0
    """0 = as the design says."""


@dataclass(frozen=True)
class Part:
    title: str
    """'' = the book has no parts."""
    chapters: tuple[Chapter, ...]
    page: bool = True
    """Its title has a page of its own."""


@dataclass(frozen=True)
class Design:
    """A book and the conventions by which it is set. Templates know {n} (arabic), {R} and {r} (roman), {W} and {w} (word), {L}
    (letter), {o}, {p} (German, French ordinal), {t} (title) and {T} (title in capitals)."""

    name: str
    title: str
    authors: tuple[str, ...]
    title_page: tuple[tuple[float, float, str], ...]
    """(height on the page as a share, size, text); "*text" is bold, "/text" italic, "<text" flush left."""
    copyright_page: tuple[str, ...]
    parts: tuple[Part, ...]
    subtitle: str | None = None
    publisher: str | None = None
    place: str | None = None
    year: int | None = None
    isbn: tuple[str, ...] = ()
    language: str = "en"
    text: str = ""
    """Sentences to shuffle; '' = the sample's."""

    width: float = 396
    height: float = 612
    font: str = "serif"
    size: float = 10.0
    columns: int = 1
    paragraphs: int = 9
    """Of a chapter or section."""

    front: tuple[str, ...] = ("half_title", "blank", "title_page", "copyright", "toc")
    """Before the text: half_title, title_page, copyright, blank, toc, recto (blank, where the next page would be a verso), cover,
    frontispiece, dedication, epigraph, figures (a list of them), and "preface", "foreword", "acknowledgements",
    "introduction" with a heading of their own after a colon ("preface:Preface to the Second Edition")."""
    back: tuple[str, ...] = ()
    """After it: notes, bibliography, glossary, index, appendix, colophon; a heading after a colon; and blank."""
    dedication: tuple[str, ...] = ("To", "my mother")
    front_numbers: str = "roman"
    """roman, none, or arabic: the text's own numbers, which then do not begin anew."""
    body_numbers: str = "arabic"
    """arabic, composite (chapter-page), none."""
    restart: bool = True
    """The text begins with 1."""
    restart_in_parts: bool = False
    number_at: str = "foot-centre"
    """foot-centre, foot-outer, head-outer, head-centre"""
    number_form: str = "{}"
    """{} = the page's number, {all} = the number of pages."""
    number_on_openings: str = "foot"
    """foot, none, or same: as on any other page."""
    front_numbered: bool = True
    """Contents and prefaces show their numbers."""
    header: str = "title/chapter"
    """What stands on verso and recto: title, author, chapter, part, fixed:TEXT, none."""
    header_case: str = "upper"
    """upper, plain, italic"""
    header_at: str = "centre"
    """centre, inner, outer, beside (the number, a gap apart)"""
    header_rule: bool = False
    recto: bool = True
    """Chapters begin on rectos."""
    first_number: int = 1
    """Of the text, where it begins anew: a journal's volume goes on."""
    plates: int = 0
    """After so many pages of text comes a leaf that is not counted: a picture, its back blank."""

    heading: tuple[tuple[float, str], ...] = ((11, "CHAPTER {n}"), (18, "{t}"))
    """(size, template) of the rows over a chapter."""
    plain_heading: str = "{t}"
    """The last row's template for chapters without a number."""
    sink: float = 0.2
    """Share of the page's height at which a chapter's heading stands."""
    drop_cap: bool = False
    section_heading: str = "{n}.{m} {t}"
    footnotes: bool = False
    part_page: tuple[tuple[float, str], ...] = ((14, "PART {W}"), (22, "{t}"))

    contents_heading: str = "CONTENTS"
    entry: str = "{t}"
    """Of a chapter; "|" begins a new row."""
    plain_entry: str = "{t}"
    part_entry: str = "PART {W}: {t}"
    part_numbered: bool = True
    """Parts have page numbers in the contents."""
    section_entry: str = "{n}.{m} {t}"
    sections_listed: bool = True
    leader: str = "dots"
    """dots, spaced, spaces, comma, left, quad (behind the title, an em apart)"""
    indent: float = 14
    chapter_indent: float = 0
    """Of chapters below parts."""
    flush: bool = False
    """Chapters below parts are not deeper in the contents than what has no part (the indent says nothing)."""
    entry_case: str = "plain"
    """plain or upper, for chapters"""
    author_below: bool = False
    page_head: str = ""
    """ "PAGE" above the numbers, "CHAP.|PAGE" above both columns."""
    contents_header: bool = False
    """Later pages of the contents have a running head."""
    narrow: float = 0.0
    """Points that contents are set in on both sides."""
    front_listed: bool = True
    """Prefaces after the contents are listed in them."""
    contents_leading: float = 1.45
    seed: int = 1


@dataclass
class Sheet:
    """One page as it is set."""

    kind: str
    pieces: list[tuple[float, float, str, float, str]] = field(default_factory=list)
    rules: list[tuple[float, float, float]] = field(default_factory=list)
    label: str | None = None
    shown: bool = False
    stated: bool = True
    """The truth says what label it has; titles in front of numbered pages are counted by some books only."""
    header: str | None = None
    typed: bool = True


@dataclass
class Listed:
    """A row of the contents."""

    text: str
    truth: str
    level: int
    key: int
    numbered: bool = True
    author: str = ""


@cache
def _font(name: str) -> pymupdf.Font:
    return pymupdf.Font(name)


@cache
def _width(text: str, name: str) -> float:
    return float(_font(name).text_length(text, 1.0))


def width_of(text: str, size: float, name: str) -> float:
    """In points. Set word by word, which lets words be measured once."""
    words = text.split(" ")
    return size * (sum(_width(word, name) for word in words) + (len(words) - 1) * _width(" ", name))


@cache
def _sample_sentences() -> tuple[str, ...]:
    pages = json.loads(SAMPLE.read_text(encoding="utf-8"))["pages"]
    rows = [row for page in pages if page["page_type"] == "body" for row in page["text"].splitlines()[2:]]
    text = " ".join(row.strip() for row in rows if not row.strip().isupper()).replace("\u2060", "")
    text = text.replace("\u00ad ", "").replace("- ", "").replace("\u00ad", "")
    found = [sentence.strip() for sentence in text.replace("”", "").replace("“", "").split(". ")]
    return tuple(f"{one}." for one in found if 30 < len(one) < 260 and one[0].isupper())


class Press:
    """Sets one design. Contents need the pages that come after them, so `typeset` lets it run until they agree."""

    def __init__(self, design: Design, known: dict[int, tuple[str | None, int]], count: int) -> None:
        self.design = d = design
        self.known, self.count = known, count
        self.random = random.Random(f"{d.name} {d.seed}")
        self.regular, self.bold, self.italic = FONTS[d.font]
        self.sheets: list[Sheet] = []
        self.value = 1
        self.since = 0
        self.style = d.front_numbers
        self.prefix = ""
        self.places: dict[int, tuple[str | None, int]] = {}
        self.listed: list[Listed] = []
        self.toc_pages: list[int] = []
        self.running = {"title": d.title, "author": ", ".join(d.authors), "chapter": "", "part": "", "section": ""}
        sentences = tuple(s.strip() + "." for s in d.text.split(". ") if s.strip()) if d.text else _sample_sentences()
        self.sentences = sentences
        self.left, self.right = 0.14 * d.width, 0.86 * d.width
        self.top, self.bottom = 0.125 * d.height, 0.875 * d.height
        self._list()

    # Contents

    def _list(self) -> None:
        d = self.design
        seen_toc = False
        for key, item in enumerate(d.front):
            kind, _, heading = item.partition(":")
            seen_toc = seen_toc or kind == "toc"
            if kind in TEXTS and seen_toc and d.front_listed:
                heading = heading or kind.capitalize()
                self.listed.append(Listed(heading, heading, 1, key))
        number = 0
        for p, part in enumerate(d.parts, 1):
            if part.title:
                text = fill(d.part_entry, p, part.title)
                self.listed.append(Listed(text, text.replace("|", " "), 1, 1000 * p, d.part_numbered))
            for c, chapter in enumerate(part.chapters, 1):
                number += chapter.numbered
                text = fill(d.entry if chapter.numbered else d.plain_entry, number, chapter.title)
                level = 2 if part.title else 1
                own = 1000 * p + 20 * c
                self.listed.append(Listed(text, text.replace("|", " "), level, own, author=chapter.author))
                for s, section in enumerate(chapter.sections if d.sections_listed else (), 1):
                    text = fill(d.section_entry, number, section.title, s)
                    self.listed.append(Listed(text, text, level + 1, 100_000 + 100 * own + 10 * s))
                    for b, below in enumerate(section.below, 1):
                        text = f"{number}.{s}.{b} {below}"
                        self.listed.append(Listed(text, text, level + 2, 100_000 + 100 * own + 10 * s + b))
        for i, item in enumerate(d.back):
            kind, _, heading = item.partition(":")
            if kind not in ("blank", "colophon", "toc"):
                heading = heading or kind.capitalize()
                self.listed.append(Listed(heading, heading, 1, 900 + i))

    def run(self) -> None:
        d = self.design
        for i, item in enumerate(d.front):
            self._front(item, i)
        if d.restart:
            if d.recto and len(self.sheets) % 2:
                self._blank()
            self.value = d.first_number
        self.style = d.body_numbers
        number = 0
        for p, part in enumerate(d.parts, 1):
            if d.restart_in_parts and p > 1:
                if len(self.sheets) % 2:
                    self._blank()
                self.value = 1
            self.running["part"] = part.title
            if part.title:
                self._part(part, p)
            for c, chapter in enumerate(part.chapters, 1):
                number += chapter.numbered
                if d.body_numbers == "composite":
                    self.prefix, self.value = f"{number}-", 1
                self._chapter(chapter, number, 1000 * p + 20 * c)
        for i, item in enumerate(d.back):
            self._back(item, 900 + i)

    # Pages

    def _page(self, kind: str, *, opening: bool = False, display: bool = False, header: bool = True) -> Sheet:
        d = self.design
        sheet = Sheet(kind)
        self.sheets.append(sheet)
        own = "roman" if self.style == "roman" else "arabic"
        label = (
            None if self.style == "none" else f"{self.prefix}{to_roman(self.value) if own == 'roman' else self.value}"
        )
        self.value += 1
        front = kind not in AFTER and self.style != d.body_numbers
        if kind == "blank":
            return sheet
        sheet.label = label
        sheet.shown = label is not None and not display and (d.front_numbered or not front)
        if opening and d.number_on_openings == "none":
            sheet.shown = False
        sheet.stated = sheet.shown or label is None or not (display or kind in ("toc", "list"))
        if sheet.shown:
            self._number(sheet, "foot-centre" if opening and d.number_on_openings == "foot" else d.number_at)
        if header and not opening and not display and d.header != "none":
            self._header(sheet)
        return sheet

    def _number(self, sheet: Sheet, where: str) -> None:
        d = self.design
        text = d.number_form.format(sheet.label, all=self.count)
        recto = len(self.sheets) % 2 == 1
        y = 0.09 * d.height if where.startswith("head") else 0.93 * d.height
        wide = width_of(text, d.size, self.regular)
        x = (d.width - wide) / 2 if where.endswith("centre") else self.right - wide if recto else self.left
        sheet.pieces.append((x, y, text, d.size, self.regular))

    def _header(self, sheet: Sheet) -> None:
        d = self.design
        recto = len(self.sheets) % 2 == 1
        what = d.header.split("/")[-1 if recto else 0]
        text = what.split(":", 1)[1] if what.startswith("fixed:") else self.running[what]
        if sheet.kind in ("toc", "list"):
            text = "Contents" if what != "author" else text
        if not text or (sheet.kind == "toc" and not d.contents_header):
            return
        text = text.upper() if d.header_case == "upper" else text
        size = d.size * (0.85 if d.header_case == "upper" else 1.0)
        font = self.italic if d.header_case == "italic" else self.regular
        wide = width_of(text, size, font)
        room = self.right - self.left - 60
        while wide > room:
            text = text.rsplit(" ", 1)[0]
            wide = width_of(text, size, font)
        number = 34 if sheet.shown and d.number_at == "head-outer" else 0
        x = {
            "centre": (d.width - wide) / 2,
            "inner": self.left if recto else self.right - wide,
            "outer": self.right - wide if recto else self.left,
            "beside": self.right - number - wide if recto else self.left + number,
        }[d.header_at]
        sheet.pieces.append((x, 0.09 * d.height, text, size, font))
        if d.header_rule:
            sheet.rules.append((self.left, self.right, 0.09 * d.height + 4))
        sheet.header = text

    def _blank(self) -> None:
        self._page("blank")

    def _lines(self, sheet: Sheet, rows: Sequence[tuple[float, float, str]]) -> None:
        """Display rows at heights of the page."""
        for share, size, text in rows:
            font = self.bold if text[:1] == "*" else self.italic if text[:1] == "/" else self.regular
            flush = text[:1] == "<"
            shown = text.lstrip("*/<")
            wide = width_of(shown, size, font)
            x = self.left if flush else (self.design.width - wide) / 2
            sheet.pieces.append((x, share * self.design.height, shown, size, font))

    def _front(self, item: str, key: int) -> None:
        d = self.design
        kind, _, heading = item.partition(":")
        if kind == "recto":
            if len(self.sheets) % 2:
                self._blank()
        elif kind == "blank":
            self._blank()
        elif kind == "half_title":
            self._lines(self._page(kind, display=True), [(0.3, 14, d.title)])
        elif kind in ("title_page", "cover"):
            self._lines(self._page(kind, display=True), d.title_page)
        elif kind == "frontispiece":
            sheet = self._page("body", display=True)
            sheet.typed = False
            self._lines(sheet, [(0.8, 8, heading or "/The harbour from the hill")])
        elif kind == "copyright":
            sheet = self._page(kind, display=True)
            y = self.bottom - 12 * len(d.copyright_page) if len(d.copyright_page) < 12 else self.top
            for row in d.copyright_page:
                for part in self._wrapped(row, 8.5, self.regular, self.right - self.left) if row else [""]:
                    if part:
                        sheet.pieces.append((self.left, y, part, 8.5, self.regular))
                    y += 11.5
        elif kind == "dedication":
            rows = [(0.33 + 0.035 * i, 11.0, f"/{row}") for i, row in enumerate(d.dedication)]
            self._lines(self._page(kind, display=True), rows)
        elif kind == "epigraph":
            sheet = self._page("body", display=True)
            sheet.typed = False
            self._lines(
                sheet,
                [(0.35, 10, "/The sea has many voices"), (0.38, 10, "/and the wind but one."), (0.42, 9, "A. Mason")],
            )
        elif kind == "toc":
            self._contents()
        elif kind == "figures":
            self._figures()
        else:
            self.running["chapter"] = heading or kind.capitalize()
            if d.recto and len(self.sheets) % 2:
                self._blank()
            self._text(kind, [(18, heading or kind.capitalize())], 7, key)

    def _part(self, part: Part, number: int) -> None:
        d = self.design
        key = 1000 * number
        if not part.page:
            return
        if len(self.sheets) % 2:
            self._blank()
        sheet = self._page("body", display=True)
        sheet.stated = True
        sheet.typed = False
        rows = [(0.35 + 0.06 * i, size, fill(text, number, part.title)) for i, (size, text) in enumerate(d.part_page)]
        self._lines(sheet, rows)
        self._note(key)
        self._blank()

    def _plate(self, kind: str) -> None:
        """A leaf that is not counted, before a recto."""
        every = self.design.plates
        self.since += kind == "body"
        if every and kind == "body" and self.since >= every and len(self.sheets) % 2 == 0:
            self.since = 0
            self.sheets.append(Sheet("body", typed=False))
            self._lines(self.sheets[-1], [(0.82, 8, f"/Plate {len(self.sheets)}. The boats come home")])
            self.sheets.append(Sheet("blank"))

    def _note(self, key: int) -> None:
        self.places.setdefault(key, (self.sheets[-1].label, len(self.sheets)))

    def _chapter(self, chapter: Chapter, number: int, key: int) -> None:
        d = self.design
        self.running |= {"chapter": chapter.title, "section": chapter.title}
        if d.recto and len(self.sheets) % 2:
            self._blank()
        rows = [(size, fill(text, number, chapter.title)) for size, text in d.heading]
        if not chapter.numbered:
            rows = [(d.heading[-1][0], fill(d.plain_heading, 0, chapter.title))]
        if chapter.author:
            rows.append((11, f"/{chapter.author}"))
        sections: list[tuple[str, int]] = []
        for s, section in enumerate(chapter.sections, 1):
            own = 100_000 + 100 * key + 10 * s
            sections.append((fill(d.section_heading, number, section.title, s), own))
            sections += [(f"{number}.{s}.{b} {below}", own + b) for b, below in enumerate(section.below, 1)]
        part = d.parts[key // 1000 - 1]
        first = key % 1000 == 20 and part.title and not part.page
        over = [(14.0, fill(d.part_page[0][1], key // 1000, part.title) + ". " + part.title)] if first else []
        before = len(self.sheets)
        self._text("body", [*over, *rows], chapter.paragraphs or d.paragraphs, key, sections)
        if first:
            self.places[1000 * (key // 1000)] = (self.sheets[before].label, before + 1)

    def _text(
        self,
        kind: str,
        heading: Sequence[tuple[float, str]],
        paragraphs: int,
        key: int,
        sections: Sequence[tuple[str, int]] = (),
    ) -> None:
        """Pages of running text under a heading."""
        d = self.design
        sheet = self._page(kind, opening=True)
        self._note(key)
        y = max(self.top, d.sink * d.height)
        for size, text in heading:
            font = self.bold if text[:1] == "*" else self.italic if text[:1] == "/" else self.regular
            for row in self._wrapped(text.lstrip("*/<"), size, font, self.right - self.left):
                x = self.left if text[:1] == "<" else (d.width - width_of(row, size, font)) / 2
                sheet.pieces.append((x, y, row, size, font))
                y += 1.35 * size
        y += 1.5 * d.size
        column = 0
        tops = [y, y]
        gutter = 18.0
        wide = (self.right - self.left - gutter * (d.columns - 1)) / d.columns
        leading = 1.3 * d.size
        note = 0.0
        first = True

        def feed() -> None:
            nonlocal sheet, y, column, tops, note
            if column + 1 < d.columns:
                column += 1
                y = tops[column]
                return
            self._plate(kind)
            sheet, column = self._page(kind), 0
            tops = [self.top, self.top]
            y = self.top
            note = 0.0
            if d.footnotes and self.random.random() < 0.4:
                note = 3 * 0.8 * leading
                sheet.rules.append((self.left, self.left + 70, self.bottom - note - 4))
                text = f"{self.random.randint(1, 60)} {self.random.choice(self.sentences)}"
                for i, row in enumerate(self._wrapped(text, 0.8 * d.size, self.regular, self.right - self.left)[:2]):
                    base = self.bottom - note + (i + 1) * 0.8 * leading
                    sheet.pieces.append((self.left, base, row, 0.8 * d.size, self.regular))

        for heading_text, own in ("", 0), *sections:
            if heading_text:
                self.running["section"] = heading_text
                if y + 5 * leading > self.bottom - note:
                    feed()
                y += 0.8 * leading
                for row in self._wrapped(heading_text, 1.15 * d.size, self.bold, wide):
                    sheet.pieces.append((self.left + column * (wide + gutter), y, row, 1.15 * d.size, self.bold))
                    y += 1.3 * leading
                self._note(own)
            for _ in range(paragraphs):
                text = " ".join(self.random.choices(self.sentences, k=self.random.randint(3, 6)))
                indent = 0.0 if first or heading_text else 14.0
                cap = first and d.drop_cap
                for i, row in enumerate(self._wrapped(text, d.size, self.regular, wide - (26 if cap else 14))):
                    if y > self.bottom - note:
                        feed()
                    x = self.left + column * (wide + gutter) + (indent if i == 0 else 0)
                    if cap and i == 0:
                        sheet.pieces.append((x, y + leading, row[0], 3 * d.size, self.regular))
                        row = row[1:]
                    sheet.pieces.append((x + (26 if cap and i < 2 else 0), y, row.strip(), d.size, self.regular))
                    y += leading
                first = False

    def _wrapped(self, text: str, size: float, font: str, wide: float) -> list[str]:
        rows: list[str] = []
        row = ""
        for word in text.split(" "):
            longer = f"{row} {word}" if row else word
            if row and width_of(longer, size, font) > wide:
                rows.append(row)
                row = word
            else:
                row = longer
        return [*rows, row]

    # Lists

    def _contents(self) -> None:
        d = self.design
        sheet = self._page("toc", opening=True)
        self.toc_pages.append(len(self.sheets))
        left, right = self.left + d.narrow, self.right - d.narrow
        y = self.top + 20
        if d.contents_heading:
            self._lines(sheet, [(y / d.height, 15, d.contents_heading)])
            y += 34
        if d.page_head:
            *first, last = d.page_head.split("|")
            if first:
                sheet.pieces.append((left, y, first[0], 7.5, self.regular))
            sheet.pieces.append((right - width_of(last, 7.5, self.regular), y, last, 7.5, self.regular))
            y += 16
        leading = d.contents_leading * d.size
        for entry in self.listed:
            printed = self.known.get(entry.key, ("0", 0))[0] if entry.numbered else None
            level = entry.level - 1
            below = any(part.title for part in d.parts)
            if below and entry.level == 2:
                indent = d.chapter_indent
            elif below and entry.level > 2:
                indent = d.chapter_indent + d.indent * (level - 1)
            else:
                indent = d.indent * level
            x = left + indent
            text = entry.text
            chapter = entry.level == (2 if below else 1)
            upper = d.entry_case == "upper" and chapter
            rows: list[str] = []
            for piece in text.split("|"):
                rows += self._wrapped(piece.upper() if upper else piece, d.size, self.regular, right - x - 52)
            if entry.author and d.author_below:
                rows = [*rows, f"/{entry.author}"]
            if y + leading * len(rows) > self.bottom:
                sheet = self._page("toc", opening=False, header=d.contents_header)
                self.toc_pages.append(len(self.sheets))
                y = self.top + 14
            title_rows = [i for i, row in enumerate(rows) if row[:1] != "/"]
            for i, row in enumerate(rows):
                hang = 10.0 if i and "|" not in text and row[:1] != "/" else 0.0
                number = printed if i == title_rows[-1] else None
                self._entry_row(sheet, row, number, x + hang, y, right, left)
                y += leading * (0.85 if i + 1 < len(rows) else 1.0)

    def _entry_row(
        self, sheet: Sheet, row: str, number: str | None, x: float, y: float, right: float, left: float
    ) -> None:
        d = self.design
        font = self.italic if row[:1] == "/" else self.regular
        row = row.lstrip("/")
        if d.leader == "left":
            sheet.pieces.append((x + 40, y, row, d.size, font))
            if number:
                sheet.pieces.append((left + 24 - width_of(number, d.size, font), y, number, d.size, self.regular))
            return
        if d.leader == "comma" and number:
            sheet.pieces.append((x, y, f"{row}, {number}", d.size, font))
            return
        sheet.pieces.append((x, y, row, d.size, font))
        if not number:
            return
        wide, end = width_of(number, d.size, self.regular), x + width_of(row, d.size, font)
        if d.leader == "quad":
            sheet.pieces.append((end + 2 * d.size, y, number, d.size, self.regular))
            return
        sheet.pieces.append((right - wide, y, number, d.size, self.regular))
        dot = {"dots": ".", "spaced": ". "}.get(d.leader, "")
        if dot:
            step = width_of(dot, d.size, self.regular) if d.leader == "dots" else d.size
            count = int((right - wide - end - 1.2 * d.size) / step)
            if count > 2 and d.leader == "dots":
                sheet.pieces.append((right - wide - 4 - count * step, y, dot * count, d.size, self.regular))
            elif count > 2:
                sheet.pieces += [
                    (right - wide - 4 - (i + 1) * step, y, ".", d.size, self.regular) for i in range(count)
                ]

    def _figures(self) -> None:
        d = self.design
        sheet = self._page("list", opening=True)
        self._lines(sheet, [((self.top + 20) / d.height, 15, "LIST OF FIGURES")])
        y = self.top + 56
        for i, title in enumerate(
            ("The harbour", "A boat at the quay", "The ropes", "The pilot and his men", "Sails", "The hill"), 1
        ):
            self._entry_row(sheet, f"Figure {i}. {title}", str(4 * i), self.left, y, self.right, self.left)
            y += 1.5 * d.size

    def _back(self, item: str, key: int) -> None:
        d = self.design
        kind, _, heading = item.partition(":")
        if kind == "blank":
            self._blank()
            return
        if kind == "toc":
            self.style = self.style if d.front_numbered else "none"
            self._contents()
            return
        if kind == "colophon":
            sheet = self._page(kind, display=True)
            sheet.stated = False
            self._lines(
                sheet, [(0.5, 9, "A NOTE ON THE TYPE"), (0.54, 9, "This book is set in a type that was cut long ago.")]
            )
            return
        heading = heading or kind.capitalize()
        self.running["chapter"] = heading
        self.running["part"] = ""
        if d.recto and len(self.sheets) % 2:
            self._blank()
        if d.body_numbers == "composite":
            self.prefix, self.value = f"{heading[-1] if kind == 'appendix' else heading[0]}-", 1
        if kind == "index":
            self._index(heading, key)
        elif kind in ("bibliography", "glossary", "notes"):
            self._references(kind, heading, key)
        else:
            self._text(kind, [(18, heading)], 8, key)

    def _references(self, kind: str, heading: str, key: int) -> None:
        d = self.design
        sheet = self._page(kind, opening=True)
        self._note(key)
        self._lines(sheet, [(0.16, 18, heading)])
        y = 0.24 * d.height
        names = (
            "Adams, J.",
            "Brown, P.",
            "Clark, M. and T. Hall",
            "Evans, R.",
            "Fox, L.",
            "Gray, S.",
            "Hill, A.",
            "King, O.",
        )
        for i in range(36):
            words = self.random.choice(self.sentences).split()[:7]
            if kind == "bibliography":
                text = (
                    f"{names[i * 8 // 36]} {' '.join(words).strip('.,;:').title()}. London: Fisher Press, {1920 + i}."
                )
            elif kind == "glossary":
                text = f"{words[-1].strip('.,;:').lower()}: {self.random.choice(self.sentences)}"
            else:
                text = f"{i + 1}. See {' '.join(words).strip('.,;:')}, p. {3 * i + 2}."
            for j, row in enumerate(self._wrapped(text, 0.9 * d.size, self.regular, self.right - self.left - 14)):
                if y > self.bottom:
                    sheet = self._page(kind)
                    y = self.top
                sheet.pieces.append((self.left + (14 if j else 0), y, row, 0.9 * d.size, self.regular))
                y += 1.15 * d.size

    def _index(self, heading: str, key: int) -> None:
        d = self.design
        sheet = self._page("index", opening=True)
        self._note(key)
        self._lines(sheet, [(0.16, 18, heading)])
        words = sorted(
            {w.strip(".,;:?!’").lower() for s in self.sentences for w in s.split() if len(w) > 6 and w.isascii()}
        )[:150]
        top = y = 0.22 * d.height
        column = 0
        half = (self.right - self.left) / 2
        for word in words:
            if y > self.bottom:
                column += 1
                y = top
                if column == 2:
                    sheet = self._page("index")
                    column, top = 0, self.top
                    y = top
            numbers = sorted(self.random.sample(range(1, max(12, self.count - 10)), self.random.randint(1, 3)))
            text = f"{word}, {', '.join(map(str, numbers))}"
            sheet.pieces.append((self.left + column * (half + 6), y, text, 0.85 * d.size, self.regular))
            y += 1.1 * d.size

    # Results

    def truth(self) -> Truth:
        d = self.design
        told: dict[str, Any] = {}
        if "toc" in (*d.front, *d.back):
            told["toc_pages"] = self.toc_pages
            told["toc"] = [
                TruthEntry(
                    title=entry.truth,
                    level=entry.level,
                    printed=self.places[entry.key][0] if entry.numbered else None,
                    page=self.places[entry.key][1],
                )
                for entry in self.listed
            ]
        else:
            told["toc_pages"] = []
        return Truth(
            name=d.name,
            title=d.title,
            subtitle=d.subtitle,
            authors=list(d.authors),
            publisher=d.publisher,
            place=d.place,
            year=d.year,
            isbn=list(d.isbn),
            language=d.language,
            pages=[self._told(i, sheet) for i, sheet in enumerate(self.sheets, 1)],
            **told,
        )

    def _told(self, page: int, sheet: Sheet) -> TruthPage:
        fields: dict[str, Any] = {"page": page, "running_header": sheet.header}
        if sheet.stated:
            fields |= {"label": sheet.label, "label_printed": sheet.shown}
        if sheet.typed:
            fields["page_type"] = sheet.kind
        if sheet.kind == "blank":
            fields |= {"text": "", "label": None}
        return TruthPage(**fields)

    def save(self, path: Path) -> None:
        document = pymupdf.open()
        for sheet in self.sheets:
            page = document.new_page(width=self.design.width, height=self.design.height)
            writer = pymupdf.TextWriter(page.rect)
            for x, y, text, size, font in sheet.pieces:
                writer.append((x, y), text, font=_font(font), fontsize=size)
            writer.write_text(page)
            for left, right, y in sheet.rules:
                page.draw_line((left, y), (right, y), width=0.5)
        document.subset_fonts()
        document.save(path, deflate=True, garbage=3, no_new_id=True)
        document.close()


TEXTS = ("preface", "foreword", "acknowledgements", "introduction")
AFTER = ("body", "notes", "bibliography", "glossary", "index", "appendix", "colophon")


def fill(template: str, number: int, title: str, minor: int = 0) -> str:
    """A template of a `Design`."""
    word = NUMBER_WORDS[number - 1] if 0 < number <= len(NUMBER_WORDS) else str(number)
    roman = to_roman(number) if number else ""
    values = {
        "n": number,
        "m": minor,
        "R": roman.upper(),
        "r": roman,
        "W": word.upper(),
        "w": word,
        "o": GERMAN_ORDINALS[number - 1] if 0 < number <= len(GERMAN_ORDINALS) else "",
        "L": chr(64 + number) if 0 < number <= 26 else "",
        "p": FRENCH_ORDINALS[number - 1] if 0 < number <= len(FRENCH_ORDINALS) else "",
        "t": title,
        "T": title.upper(),
    }
    return template.format(**values)


def typeset(design: Design) -> Press:
    """The book, whose contents know its pages."""
    press = Press(design, {}, 0)
    press.run()
    for _ in range(4):
        again = Press(design, press.places, len(press.sheets))
        again.run()
        if (again.places, len(again.sheets)) == (press.places, press.count):
            return again
        press = again
    return press


def chapters(titles: Sequence[str], **options: Any) -> tuple[Chapter, ...]:
    """Chapters of these titles, alike in all else."""
    return tuple(Chapter(title, **options) for title in titles)


def grouped(titles: Sequence[str], size: int) -> Iterator[Sequence[str]]:
    """So many at a time."""
    for start in range(0, len(titles), size):
        yield titles[start : start + size]
