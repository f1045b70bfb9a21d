"""Every entry of the contents to its leaf: what the label map says, where the title stands, and what disagrees.

Label and title are independent witnesses. The label map errs where a leaf is missing or a number misread, the title where
it recurs ("Summary") or is paraphrased. All places an entry may have are weighed together under one condition: the
entries of a book stand in its order.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from pydantic import BaseModel, ConfigDict
from rapidfuzz import fuzz, process

from providers.rules.numerals import parse, roman_value
from providers.structure.lines import Sheet, TextLine, body_size, squeezed

FOUND = 82.0
"""As in `rules/contents.py`: allows two misread letters in ten."""
NEAR = 3
"""Pages on either side of the printed number's page on which the title is looked for first."""
ROWS = 4
"""Lines over which a title may run."""
FAR = 6
"""Places of a title in the whole book that are weighed."""
ELSEWHERE = 88.0
"""How similar a line far from where the number points must be."""
BACKWARDS = 0.8
"""What it costs an entry to stand before the one that precedes it in the contents: more than a title alone is worth, less
than number and title together."""


class EntryFacts(BaseModel):
    """What `toc_extract` saved of one entry."""

    model_config = ConfigDict(frozen=True)

    key: str
    number: str | None
    title: str
    printed: str | None
    page: int | None
    source: str
    """'printed', 'outline' or 'printed+outline'."""


class Link(BaseModel):
    """Where one entry begins, and what disagrees about it."""

    model_config = ConfigDict(frozen=True)

    order: int
    entry: str
    """Key of the TocEntry."""
    page: int | None
    """Physical page."""
    line: int | None
    """0-based line of the blended reading at which the heading begins, a number above the title included; None where the
    heading was not seen."""
    method: str
    """'label+title', 'outline+title', 'title', 'label', 'outline' or 'none'."""
    confidence: float
    mismatch: str | None


class _Place(NamedTuple):
    page: int | None
    line: int | None
    method: str
    weight: float


NOWHERE = _Place(None, None, "none", 0.0)


def link(entries: Sequence[EntryFacts], sheets: Sequence[Sheet], contents: frozenset[int] = frozenset()) -> list[Link]:
    """A link for each entry, in their order.

    Args:
        sheets: all pages in physical order, their edges marked.
        contents: physical pages of the printed contents, on which every title stands and none begins.
    """
    book = _Titles(sheets, contents)
    labels = _label_map(sheets)
    places = [_places(entry, book, labels) for entry in entries]
    chosen = _in_order(places)
    return [
        Link(
            order=order,
            entry=entry.key,
            page=place.page,
            line=book.with_number(place.page, place.line, entry) if place.line is not None else None,
            method=place.method,
            confidence=_confidence(place, entry, book),
            mismatch=_mismatch(entry, place, book, labels),
        )
        for order, (entry, place) in enumerate(zip(entries, chosen, strict=True))
    ]


def _label_map(sheets: Sequence[Sheet]) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {}
    for sheet in sheets:
        if sheet.label is not None:
            found.setdefault(_label_key(sheet.label), []).append(sheet.page)
    return found


def _label_key(label: str) -> str:
    text = re.sub(r"[\s–—.]", "-", label.strip().casefold())
    value = roman_value(text)
    return f"roman {value}" if value is not None else text


def _places(entry: EntryFacts, book: _Titles, labels: Mapping[str, list[int]]) -> list[_Place]:
    """Everywhere the entry may begin, each with the weight of what speaks for it."""
    titles = spellings(entry.number, entry.title)
    told = entry.page if entry.source == "outline" else None
    # Of an entry that only the outline has, the printed number is that of the outline's page: no second witness.
    numbered = labels.get(_label_key(entry.printed), []) if entry.printed and told is None else []
    places = [NOWHERE]
    for page in numbered[:4]:
        here = book.on_page(page, titles)
        trust = 0.45 if book.sheets[page].label_inferred else 0.6
        places += [_Place(page, line, "label+title", trust + 0.4 + 0.3 * score) for line, score in here]
        if not here:
            places.append(_Place(page, None, "label", trust))
    if told is not None and told in book.sheets:
        here = book.on_page(told, titles)
        places += [_Place(told, line, "outline+title", 1.0 + 0.3 * score) for line, score in here]
        if not here:
            places.append(_Place(told, None, "outline", 0.6))
    if not any(place.line is not None for place in places):
        places += _near(titles, [*numbered[:4], *filter(None, [told, entry.page])], book)
    if not any(place.line is not None for place in places):
        places += [
            _Place(page, line, "title", 0.35 + 0.35 * score)
            for page, line, score in book.anywhere(titles, bool(numbered))
        ]
    return places


def _near(titles: Sequence[str], pages: Sequence[int], book: _Titles) -> list[_Place]:
    found = {}
    for page in pages:
        for distance in range(NEAR + 1):
            for at in {page + distance, page - distance}:
                if at in book.sheets and at not in found:
                    found[at] = [
                        _Place(at, line, "title", 0.6 + 0.35 * score - 0.03 * distance)
                        for line, score in book.on_page(at, titles)
                    ]
    return [place for places in found.values() for place in places]


def _in_order(places: Sequence[Sequence[_Place]]) -> list[_Place]:
    """The heaviest choice of a place for each entry, where standing out of order costs."""
    # State: the place of the last entry that has one, as (page, line) -> (weight, choices). Entries without a place
    # leave the state as it is, so that one that is not found does not let the next one go anywhere.
    best: dict[tuple[int, int], tuple[float, _Chain | None]] = {(0, -1): (0.0, None)}
    for choices in places:
        following: dict[tuple[int, int], tuple[float, _Chain | None]] = {}
        for (page, line), (weight, chain) in best.items():
            for place in choices:
                if place.page is None:
                    at, total = (page, line), weight
                else:
                    behind = place.page < page or (place.page == page and place.line is not None and place.line <= line)
                    total = weight + place.weight - (BACKWARDS if behind else 0.0)
                    at = (place.page, place.line if place.line is not None else (line if place.page == page else -1))
                if at not in following or following[at][0] < total:
                    following[at] = (total, _Chain(place, chain))
        # Few places are worth following: those near the best.
        ranked = sorted(following.items(), key=lambda item: (-item[1][0], item[0]))[:40]
        best = dict(ranked)
    _, chain = max(best.values(), key=lambda state: state[0])
    chosen = []
    while chain is not None:
        chosen.append(chain.place)
        chain = chain.before
    return chosen[::-1]


class _Chain(NamedTuple):
    place: _Place
    before: _Chain | None


def _confidence(place: _Place, entry: EntryFacts, book: _Titles) -> float:
    """By kind of evidence, not by similarity: a letter that is corrected somewhere must not change it."""
    if place.page is None:
        return 0.0
    inferred = book.sheets[place.page].label_inferred
    return {
        "label+title": 0.9 if inferred else 0.98,
        "outline+title": 0.95,
        "title": 0.6 if entry.printed else 0.8,
        "label": 0.5 if inferred else 0.6,
        "outline": 0.6,
    }[place.method]


def _mismatch(entry: EntryFacts, place: _Place, book: _Titles, labels: Mapping[str, list[int]]) -> str | None:
    """What disagrees, in a sentence; None where nothing does."""
    name = f"'{entry.title}'"
    numbered = labels.get(_label_key(entry.printed), []) if entry.printed else []
    if entry.source == "outline" and entry.page is not None:
        said = f"The outline puts {name} on image {entry.page}"
        if place.page == entry.page:
            if place.line is not None or book.is_empty(entry.page):
                return None
            return f"{said}, but its title does not stand there."
        return (
            f"{said}, but its title stands on {book.name(place.page)}."
            if place.page
            else f"{said}, which is not there."
        )
    if entry.printed is None:
        return f"{name} has no page number, and its title was not found." if place.page is None else None
    said = f"{name} is printed p. {entry.printed}"
    if not numbered:
        if place.page is None:
            return f"{said}, a number that no page has, and its title was not found."
        return f"{said}, a number that no page has; its title stands on {book.name(place.page)}."
    target = place.page if place.page in numbered else numbered[0]
    said = f"{said} = image {target}"
    if place.page == target:
        if place.line is not None or book.is_empty(target):
            return None
        return f"{said}, but its title does not stand there."
    if place.page is None:
        return f"{said}, which does not fit the entries before and after it."
    return f"{said}, but its title stands on {book.name(place.page)}."


def spellings(number: str | None, title: str) -> list[str]:
    """How a title may stand on its page, squeezed: alone, with its number, without the number that it carries."""
    found = [squeezed(title)]
    if number:
        found += [squeezed(number + title), squeezed(f"chapter {number} {title}"), squeezed(f"part {number} {title}")]
    bare = squeezed(
        re.sub(
            r"^(?:(?:chapter|part|book|section|appendix)\s+)?(?:\d+(?:\.\d+)*|[IVXLC]+|[A-Z](?:\.\d+)*)[.:)]?\s+",
            "",
            title,
            flags=re.IGNORECASE,
        )
    )
    found.append(bare)
    return [text for text in dict.fromkeys(found) if text]


_DIVISIONS = re.compile(
    r"chapter|chap|part|book|section|lecture|letter|canto|act|stave|appendix|kapitel|teil|buch|chapitre|partie|livre"
    r"|cap[ií]tulo|capitolo|parte|libro|hoofdstuk|deel"
)
_NUMERALS = re.compile(
    r"the|one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|\w+teen|twenty|thirty|forty|fifty|first|second|third"
    r"|fourth|fifth|sixth|seventh|eighth|ninth|tenth|eleventh|twelfth|last|erste[rs]?|zweite[rs]?|dritte[rs]?|premi[eè]re?"
)
_FIGURES = re.compile(r"[ivxlc]+|\d{1,3}|[a-z]")


def is_number_line(text: str) -> bool:
    """A line that numbers the title under it and says nothing else: "CHAPTER IV", "IV.", "4", "Chapter the First"."""
    words = re.findall(r"[^\W_]+", text.casefold())
    if not words or len(words) > 4:
        return False
    rest = [word for word in words if not _DIVISIONS.fullmatch(word)]
    if len(rest) < len(words):
        return all(_NUMERALS.fullmatch(word) or _FIGURES.fullmatch(word) for word in rest)
    return len(words) == 1 and bool(_FIGURES.fullmatch(words[0]))


class _Titles:
    """Where titles stand in the book."""

    def __init__(self, sheets: Sequence[Sheet], contents: frozenset[int]) -> None:
        self.sheets = {sheet.page: sheet for sheet in sheets}
        self._contents = contents
        self._size = body_size(sheets)
        self._lines: dict[int, list[tuple[str, int, TextLine]]] = {}
        self._index: tuple[list[str], list[tuple[int, int]]] | None = None

    def name(self, page: int | None) -> str:
        """The page for people: its image, and its number if it has one."""
        label = self.sheets[page].label if page is not None and page in self.sheets else None
        return f"image {page}" + (f" (p. {label})" if label else "")

    def is_empty(self, page: int) -> bool:
        """Nothing to find there: the page was not read, or is blank."""
        return not self.sheets[page].lines

    def on_page(self, page: int, titles: Sequence[str]) -> list[tuple[int, float]]:
        """(line, 0..1 how well and how much like a heading) of the two best places on the page."""
        if page in self._contents:
            return []
        found: list[tuple[int, float]] = []
        lines = self._of(page)
        longest = max(len(title) for title in titles)
        for at in range(len(lines)):
            text = ""
            best = 0.0
            for rows, (more, _, line) in enumerate(lines[at : at + ROWS], start=1):
                text += more
                for title in titles:
                    best = max(best, _similar(title, text))
                    if rows == 1 and len(text) > len(title) and self._begins_with(title, line):
                        # The text goes on behind the title, or the heading says more than the contents.
                        best = max(best, 0.95 * _similar(title, text[: len(title)]))
                if len(text) > 1.4 * longest + 4:
                    break
            if best > 0:
                line = lines[at][2]
                found.append((line.index, best / 100 * self._like_heading(line)))
        # The place at which a title begins beats the line after it, which also has most of it.
        found.sort(key=lambda item: (-round(item[1], 2), item[0]))
        return found[:2]

    def _begins_with(self, title: str, line: TextLine) -> bool:
        """Whether a title may be the beginning of the line: run into the text, or of a longer heading."""
        if self._is_large(line) or title[0].isdigit():
            return len(title) >= 5
        return len(title) >= 8 and line.text[:1].isupper() and bool(re.search(r"\w[.:—–]\s|\s[—–]", line.text))

    def anywhere(self, titles: Sequence[str], numbered: bool) -> list[tuple[int, int, float]]:
        """(page, line, 0..1) of the best places in the whole book; `numbered`: a page number points elsewhere."""
        if len(titles[0]) < 4:
            return []
        if self._index is None:
            texts, places = [], []
            for page in self.sheets:
                if page in self._contents:
                    continue
                lines = self._of(page)
                for at, (text, index, line) in enumerate(lines):
                    if len(text) < 3 or (len(text) > 90 and not self._is_large(line)):
                        continue
                    texts.append(text)
                    places.append((page, index))
                    if at + 1 < len(lines) and (self._is_large(line) or len(text) < 40):
                        texts.append(text + lines[at + 1][0])
                        places.append((page, index))
            self._index = texts, places
        texts, places = self._index
        found: dict[tuple[int, int], float] = {}
        for title in titles:
            cutoff = 96.0 if len(title) < 8 else ELSEWHERE if numbered else FOUND + 3
            for _, score, at in process.extract(title, texts, scorer=fuzz.ratio, score_cutoff=cutoff, limit=3 * FAR):
                found[places[at]] = max(found.get(places[at], 0.0), score)
        ranked = []
        for (page, index), score in found.items():
            line = next(line for _, i, line in self._of(page) if i == index)
            like = self._like_heading(line)
            if like >= 0.75:
                ranked.append((page, index, score / 100 * like))
        return sorted(ranked, key=lambda item: (-round(item[2], 3), item[0], item[1]))[:FAR]

    def with_number(self, page: int | None, line: int, entry: EntryFacts) -> int:
        """The line above, where it has the number of the title ("CHAPTER IV")."""
        if page is None:
            return line
        lines = [each for _, _, each in self._of(page)]
        at = next(i for i, each in enumerate(lines) if each.index == line)
        while at > 0 and is_number_line(lines[at - 1].text) and not is_number_line(lines[at].text):
            above, here = lines[at - 1], lines[at]
            if above.y1 > here.y0 + here.size or here.y0 - above.y1 > 5 * here.size:
                break
            own = {n.value for n in parse(entry.number or "")}
            theirs = {n.value for word in above.words for n in parse(word)}
            if own and theirs and not own & theirs:
                break
            at -= 1
        return lines[at].index

    def _of(self, page: int) -> list[tuple[str, int, TextLine]]:
        lines = self._lines.get(page)
        if lines is None:
            lines = [(squeezed(line.text), line.index, line) for line in self.sheets[page].body]
            lines = self._lines[page] = [line for line in lines if line[0]]
        return lines

    def _is_large(self, line: TextLine) -> bool:
        return line.size >= 1.12 * self._size

    def _like_heading(self, line: TextLine) -> float:
        """0.7 for a line of the text to 1.0 for one that is set as a heading."""
        short = len(line.text) <= 70 and not line.text.rstrip().endswith((",", ";"))
        return 0.7 + (0.15 if self._is_large(line) or line.text.isupper() else 0.0) + (0.15 if short else 0.0)


def _similar(title: str, line: str) -> float:
    if not title or not line or abs(len(title) - len(line)) > 0.35 * len(title) + 2:
        return 0.0
    # One letter of a short word is another word.
    return fuzz.ratio(title, line, score_cutoff=92.0 if len(title) < 6 else FOUND)
