"""The printed table of contents: where it is, and its entries with level, printed number and physical page.

Printed contents and PDF outline are independent witnesses: outlines have wrong levels and paraphrased titles, printed
contents are misread. Entries are verified on their page; what does not fit shows in their confidence.
"""

from __future__ import annotations

import itertools
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Literal

from pydantic import BaseModel, ConfigDict
from rapidfuzz import fuzz

from providers.rules.entries import RawEntry, read_entries
from providers.rules.labels import propose
from providers.rules.layout import has_leaders, last_stands_apart, visual_rows, without_leaders
from providers.rules.levels import assign_levels
from providers.rules.numerals import parse, roman_value
from providers.rules.page_types import CONTENTS, LISTS, contents_score
from providers.rules.proposal import Proposal
from schemas.reading import PageReading

Outline = Sequence[tuple[int, str, int]]
"""(level from 1, title, physical page) as in the PDF's outline."""

FOUND = 82.0
"""A title is on a page if one of its lines is this similar (rapidfuzz ratio): allows two misread letters in ten."""

NEAR = 3
"""Pages on either side of the printed number's page on which the title is looked for."""


DOUBTED = 60.0
"""Mean confidence of a title (of 100) below which its heading in the body is believed before it."""

REACH = 200
"""Pages on which a title without a printed number is looked for by similarity: keeps books of 5,000 pages fast."""


class ContentsFound(BaseModel):
    """Where the contents are."""

    model_config = ConfigDict(frozen=True)

    found: bool
    pages: list[int]
    source: Literal["printed", "outline", "printed+outline", "none"]
    reason: str
    structure: str | None = None
    """Levels of the entries and how each is marked, in a sentence, where a model looked."""
    unsure: bool = False
    """A model looked, and could not decide."""


class Entry(BaseModel):
    """One entry of the contents."""

    model_config = ConfigDict(frozen=True)

    number: str | None
    """What numbers it: "3", "3.1", "IV", "A"."""
    title: str
    level: int
    """From 1."""
    printed: str | None
    """Page number as the contents print it; of an entry from the outline the label of its page."""
    page: int | None
    """Physical page, from 1."""
    confidence: float
    source: Literal["printed", "outline", "printed+outline", "printed+heading"]
    """What told title and printed number. "printed+heading": the contents could not be read there, and the heading on
    the page itself told the title or, by the page that it stands on, the number."""


def find(
    pages: Sequence[tuple[int, PageReading]], outline: Outline = (), types: Mapping[int, str] | None = None
) -> ContentsFound:
    """Find the contents pages among the first pages of a book, or, where there are none, among the last.

    Four statistics, of which one must speak and none contradict: the keyword at the head, rows that end in rising
    numbers (after `tocky`'s rules: at least five of them, three quarters rising), rows that recur as headings of later
    pages, titles of the outline in its rows.

    Args:
        pages: (physical page, reading) of the first pages and, after a gap, of the last ones.
        outline: The PDF's outline.
        types: Physical page -> kind, where a person says it. A "toc" is certain, with the pages around it that go on; a
            page of any other kind is none.
    """
    types = types or {}
    gap = next((n for n in range(1, len(pages)) if pages[n][0] - pages[n - 1][0] > LEFT_OUT), len(pages))
    if "toc" in types.values():
        return _find(pages, outline, types)
    found = _find(pages[:gap], outline, types)
    if not found.pages and gap < len(pages):
        last = _find(pages[gap:], outline, types)
        # An index ends in numbers too: of the last pages the word for contents must tell.
        if last.pages and WORD in last.reason:
            return last
    return found


LEFT_OUT = 8
"""Pages that are not among those given, between the first ones and the last ones; fewer may have failed."""

WORD = "the word for contents at its head"


def _find(pages: Sequence[tuple[int, PageReading]], outline: Outline, types: Mapping[int, str]) -> ContentsFound:
    headings = _headings(pages)
    pages = [(page, reading) for page, reading in pages if types.get(page, "toc") == "toc"]
    certain = {page for page, _ in pages if page in types}
    titles = {_plain(title) for _, title, _ in outline if len(_plain(title)) >= 5}
    runs: list[tuple[list[int], list[str]]] = []
    run: list[int] = []
    why: list[str] = []
    last_number = 0
    previous = None
    held = None  # looks like a list and was misread: it belongs to the run if the page after it goes on
    for page, reading in pages:
        proposal = propose(reading)
        numbers = _trailing_numbers(reading)
        score = contents_score(proposal)
        rising = _rising(numbers)
        head = [line.strip(" .:") for line in (*proposal.first_lines[:3], *(edge.text for edge in proposal.headers))]
        keyword = any(CONTENTS.match(line) for line in head)
        other_list = any(LISTS.match(line) for line in head)
        hits = _outline_hits(reading, titles) if titles else 0
        recurring = _recurring(reading, page, headings)
        starts = None
        if page in certain:
            starts = "a person says so"
        elif keyword and (len(numbers) >= 2 or score >= 0.3 or hits >= 2 or _list_like(proposal)):
            starts = WORD
        elif not other_list and len(numbers) >= 5 and score >= 0.75 and rising >= 0.75:
            starts = f"{len(numbers)} rows end in rising numbers"
        elif (
            not other_list
            and recurring >= 3
            and recurring >= 0.3 * proposal.rows
            and (score >= 0.2 or _list_like(proposal))
        ):
            starts = f"{recurring} of its rows are headings of later pages"
        elif not other_list and hits >= 5 and hits >= 0.4 * max(1, proposal.rows):
            starts = f"{hits} titles of the outline stand on it"
        follows = (
            bool(run)
            and previous is not None
            and page - previous <= 2
            and (page in certain or not other_list)
            and (
                page in certain
                # The first number may be that of the page itself, beside its running header.
                or (len(numbers) >= 2 and score >= 0.35 and rising >= 0.6 and max(numbers[:2]) >= 0.5 * last_number)
                or (keyword and len(numbers) >= 1)
                or max(hits, recurring) >= max(3, 0.3 * proposal.rows)
            )
        )
        if follows or (starts and not run):
            if held is not None:
                run.append(held)
                why.append("lies between two pages of them")
                held = None
            run.append(page)
            why.append(starts or "continues the page before")
            last_number = numbers[-1] if numbers else last_number
            previous = page
        elif run and held is None and not starts and not other_list and _list_like(proposal) and proposal.rows >= 10:
            held = page
        elif proposal.words > 0 or not run:
            runs += [(run, why)] if run else []
            run, why, last_number, previous, held = [], [], 0, None, None
            if starts:
                run, why, previous = [page], [starts], page
                last_number = numbers[-1] if numbers else 0
        if runs and _longest(runs)[1][0] == WORD and not run and not certain:
            break
    runs += [(run, why)] if run else []
    if runs:
        said = [found for found in runs if certain.intersection(found[0])]
        best = [page for found, _ in said for page in found] or _longest(runs)[0]
        reasons = said[0][1] if said else _longest(runs)[1]
        return ContentsFound(
            found=True,
            pages=best,
            source="printed+outline" if outline else "printed",
            reason=f"page {best[0]}: {reasons[0]}" + (f"; {len(reasons)} pages in a row" if len(reasons) > 1 else ""),
        )
    if outline:
        return ContentsFound(
            found=True, pages=[], source="outline", reason="no contents page among the first pages, but a PDF outline"
        )
    return ContentsFound(found=False, pages=[], source="none", reason="no contents page and no PDF outline")


def _longest(runs: Sequence[tuple[list[int], list[str]]]) -> tuple[list[int], list[str]]:
    """The first of the longest runs of pages, with what was found on each."""
    return max(runs, key=lambda run: len(run[0]))


def _list_like(proposal: Proposal) -> bool:
    """Contents without page numbers: short rows, no running text."""
    return 4 <= proposal.rows <= 60 and proposal.words <= 8 * proposal.rows


_NUMBERING = re.compile(
    r"^(?:(?:chapter|part|appendix|section)\s+)?(?:\d+(?:\.\d+)*|[IVXLC]+|[A-Z](?:\.\d+)+)[.:)]?\s+", re.I
)


_DECIMAL = re.compile(r"^(\d+(?:\.\d+)*|[A-Z](?:\.\d+)+)[.)]?\s+(?=[^\W\d_])")


def _plain(text: str) -> str:
    """Letters and digits only, lower case, leading numbering removed."""
    return re.sub(r"[\W_]+", " ", _NUMBERING.sub("", text).casefold()).strip()


PAGES_IN_CHAPTER = 1000
"""So that 3-12 comes after 2-40."""


def _trailing_numbers(reading: PageReading) -> list[int]:
    """Values of the numbers in which rows end; roman ones count as 0."""
    found = []
    for row in visual_rows(reading):
        if len(row.words) < 2 or not any(c.isalpha() for c in row.words[0].text + row.words[1].text):
            continue
        for number in parse(row.words[-1].text):
            if number.style == "arabic" and not number.repaired:
                found.append(number.value)
                break
            if number.style == "roman" and not number.upper and not number.repaired:
                found.append(0)
                break
            if number.style == "composite" and (has_leaders(row.text) or last_stands_apart(row)):
                chapter = number.prefix[:-1]
                found.append(PAGES_IN_CHAPTER * int(chapter) + number.value if chapter.isdigit() else 0)
                break
    return found


def _rising(numbers: Sequence[int]) -> float:
    """Share of neighbours that do not fall."""
    pairs = list(itertools.pairwise(numbers))
    return sum(a <= b for a, b in pairs) / len(pairs) if pairs else 1.0


def _headings(pages: Sequence[tuple[int, PageReading]]) -> dict[str, set[int]]:
    """Squeezed headings -> pages on which they stand: the largest lines, one or two rows each."""
    found: dict[str, set[int]] = defaultdict(set)
    for page, reading in pages:
        proposal = propose(reading)
        texts = [heading.text for heading in proposal.headings if heading.height >= 1.15 * proposal.type_height]
        for text in (*texts, *(f"{a} {b}" for a, b in itertools.pairwise(texts))):
            key = _squeezed(_plain(text))
            if len(key) >= 5:
                found[key].add(page)
    return found


def _recurring(reading: PageReading, page: int, headings: Mapping[str, set[int]]) -> int:
    """Rows, number aside, that are headings of different later pages."""
    hits: set[str] = set()
    for row in visual_rows(reading):
        words = [word.text for word in row.words]
        if len(words) > 1 and parse(words[-1]):
            words = words[:-1]
        key = _squeezed(_plain(without_leaders(" ".join(words))))
        where = headings.get(key)
        # Many pages have a running header in common, none a heading.
        if where is not None and len(where) <= 2 and max(where) > page and page not in where:
            hits.add(key)
    return len(hits)


def _outline_hits(reading: PageReading, titles: set[str]) -> int:
    hits = 0
    for row in visual_rows(reading):
        words = [word.text for word in row.words]
        if len(words) > 1 and parse(words[-1]):
            words = words[:-1]
        hits += _plain(without_leaders(" ".join(words))) in titles
    return hits


def extract(
    contents_pages: Sequence[tuple[int, PageReading]],
    outline: Outline,
    labels: Mapping[int, str | None],
    body: Sequence[tuple[int, Proposal]],
    reading_of: Callable[[int], PageReading | None] | None = None,
    listed: Sequence[tuple[RawEntry, int]] | None = None,
) -> list[Entry]:
    """Entries of the contents.

    Args:
        contents_pages: (physical page, reading) of the contents pages in order; empty = outline only.
        outline: The PDF's outline, () if it has none.
        labels: Physical page -> printed number.
        body: (physical page, proposal) of all pages that were read. Titles are looked for in its first lines and
            headings, so that a book of 5,000 pages needs no readings.
        reading_of: Full reading of a page, asked only for pages on which a title should stand and was not
            found in the proposal; may return None.
        listed: Entries with their levels, where somebody else has read them off the contents pages.
    """
    raw = [entry for entry, _ in listed] if listed is not None else read_entries(contents_pages)
    if len(raw) < 2 and outline:
        return _from_outline(outline, labels)
    levels = [level for _, level in listed] if listed is not None else assign_levels(raw)
    matched = _match_outline(raw, outline)
    if listed is None and outline and _flat(levels, raw) and len(matched) >= 0.8 * len(raw):
        levels = [outline[matched[i]][0] if i in matched else level for i, level in enumerate(levels)]
    places = _Places(labels, dict(body), reading_of, {page for page, _ in contents_pages})
    numbered = _levels_with_numbers(raw, levels)
    targets = [places.target(entry.printed, 0) for entry in raw]
    entries = []
    previous = 0
    for i, entry in enumerate(raw):
        told = outline[matched[i]] if i in matched else None
        following = min(
            (page for page in targets[i + 1 : i + 9] if page is not None and page >= previous), default=None
        )
        page, confidence = places.locate(entry, previous, told[2] if told else None, following)
        title = _better_title(entry.title, _without_number(told[1], entry)) if told else entry.title
        number = entry.printed
        mended = False
        if told is None and page is not None:
            heading = places.heading(page, entry)
            if heading is not None:
                title, mended, confidence = heading, True, max(confidence, 0.8)
            elif number is None and levels[i] in numbered and confidence >= 0.5 and following is not None:
                # Its neighbours have numbers, and its heading stands between theirs: the number was lost.
                number = labels.get(page)
                mended = number is not None
        if page is not None:
            previous = page
        entries.append(
            Entry(
                number=entry.number,
                title=title,
                level=levels[i],
                printed=number,
                page=page,
                confidence=round(confidence, 2),
                source="printed+outline" if told else "printed+heading" if mended else "printed",
            )
        )
    return entries


def _levels_with_numbers(raw: Sequence[RawEntry], levels: Sequence[int]) -> set[int]:
    """Levels on which entries have a page number but for those that lost it; parts often have none."""
    every, with_number = (
        Counter(levels),
        Counter(level for entry, level in zip(raw, levels, strict=True) if entry.printed),
    )
    return {level for level, count in every.items() if with_number[level] >= 0.6 * count}


def _from_outline(outline: Outline, labels: Mapping[int, str | None]) -> list[Entry]:
    return [
        Entry(
            number=None,
            title=re.sub(r"\s+", " ", title).strip(),
            level=max(1, level),
            printed=labels.get(page),
            page=page if page > 0 else None,
            confidence=0.7,
            source="outline",
        )
        for level, title, page in outline
        if title.strip()
    ]


def _flat(levels: Sequence[int], raw: Sequence[RawEntry]) -> bool:
    """The printed contents show no hierarchy: one level, no numbering."""
    return len(set(levels)) == 1 and sum(entry.number is not None for entry in raw) * 2 < len(raw)


def _match_outline(raw: Sequence[RawEntry], outline: Outline) -> dict[int, int]:
    """Entry index -> outline index: equal titles in order, each outline item once.

    Titles recur ("Overview", "Summary"), so the next similar one after the last match is taken, within a window that
    lets either side have entries that the other lacks.
    """
    items = [_plain(title) for _, title, _ in outline]
    numbers = [match[1] if (match := _DECIMAL.match(title.strip())) else None for _, title, _ in outline]
    matched: dict[int, int] = {}
    at = 0
    for i, entry in enumerate(raw):
        mine = _plain(entry.title)
        best, best_score = -1, 86.0
        for j in range(at, min(len(items), at + 60)):
            if entry.number and numbers[j] and numbers[j] != entry.number:
                continue
            score = fuzz.ratio(mine.replace(" ", ""), items[j].replace(" ", "")) - 0.4 * (j - at)
            if score > best_score:
                best, best_score = j, score
            if score >= 99:
                break
        if best >= 0:
            matched[i] = best
            at = best + 1
    return matched


def _without_number(told: str, entry: RawEntry) -> str:
    """The outline's title as the entry's is: its number apart, unless the entry's own title begins with one."""
    return told if _DECIMAL.match(entry.title) else _DECIMAL.sub("", told.strip())


def _better_title(printed: str, told: str) -> str:
    """The outline's spelling where both are the same but for signs and blanks: text layers and engines lose
    underscores, ligatures and blanks. Its case only if the printed one is in capitals for typography's sake."""
    told = re.sub(r"\s+", " ", told).strip()
    a, b = (re.sub(r"[\W_]+", "", text) for text in (printed, told))
    if a == b:
        return told
    if a.casefold() == b.casefold():
        return printed
    return told if fuzz.ratio(a, b) >= 90 and not told.isupper() and _plain(told) == _plain(printed) else printed


class _Places:
    """Finds the physical page of entries."""

    def __init__(
        self,
        labels: Mapping[int, str | None],
        body: Mapping[int, Proposal],
        reading_of: Callable[[int], PageReading | None] | None,
        contents: set[int],
    ) -> None:
        self._by_label: dict[str, list[int]] = {}
        for page, label in sorted(labels.items()):
            if label is not None:
                self._by_label.setdefault(_label_key(label), []).append(page)
        self._body = body
        self._reading_of = reading_of
        self._contents = contents
        last = max(contents, default=0)
        # Contents at the end of a book have nothing after them.
        self._after = last + 1 if last <= 0.5 * max(body, default=0) else 1
        self._lines: dict[int, list[str]] = {}
        self._read: set[int] = set()
        self._exact: dict[str, list[int]] | None = None

    def locate(
        self, entry: RawEntry, previous: int, told: int | None, following: int | None = None
    ) -> tuple[int | None, float]:
        """(physical page, confidence); `told` is the outline's page, `following` where one of the next entries stands."""
        titles = _spellings(entry)
        target = self.target(entry.printed, previous)
        if target is None:
            if told is not None:
                return told, 0.8 if self._has(told, titles) else 0.6
            return self._search(titles, previous, following)
        here = self._has(target, titles)
        if told == target:
            return target, 0.98 if here else 0.9
        if here:
            return target, 0.95 if told is None else 0.85
        for distance in range(1, NEAR + 1):
            for page in (target + distance, target - distance):
                if page in self._body and page not in self._contents and self._has(page, titles):
                    # The number is misread or the labels are off by a few leaves: the title itself is better evidence.
                    return page, 0.85 if told == page else 0.6
        if told is not None:
            return target, 0.5
        return target, 0.7

    def heading(self, page: int, entry: RawEntry) -> str | None:
        """The title by the page's heading of the same number, for an entry whose title the engines doubt; None where
        there is none, or where it says the same."""
        proposal = self._body.get(page)
        if proposal is None or entry.number is None or entry.confidence >= DOUBTED:
            return None
        for line in (*(heading.text for heading in proposal.headings), *proposal.first_lines):
            match = _DECIMAL.match(line)
            if match and match[1] == entry.number and not line.endswith("…"):
                title = line[match.end() :].strip(" .")
                return title if _squeezed(title) != _squeezed(entry.title) else None
        return None

    def target(self, printed: str | None, previous: int) -> int | None:
        """The page with that label, from `previous` on if there are several."""
        if printed is None:
            return None
        pages = self._by_label.get(_label_key(printed), [])
        return next((page for page in pages if page >= previous), pages[0] if pages else None)

    def _has(self, page: int, titles: Sequence[str]) -> bool:
        if any(_similar(title, line) for title in titles for line in self._lines_of(page)):
            return True
        if self._reading_of is None or page in self._read or page not in self._body:
            return False
        self._read.add(page)
        reading = self._reading_of(page)
        if reading is None:
            return False
        rows = [_squeezed(row.text) for row in visual_rows(reading)]
        self._lines[page] = self._lines_of(page) + rows + [a + b for a, b in itertools.pairwise(rows)]
        return any(_similar(title, line) for title in titles for line in self._lines[page])

    def _lines_of(self, page: int) -> list[str]:
        lines = self._lines.get(page)
        if lines is None:
            proposal = self._body.get(page)
            lines = []
            if proposal is not None:
                running = {edge.row for edge in proposal.headers if edge.numbered}
                rows = [line for i, line in enumerate(proposal.first_lines) if i not in running]
                pairs = [f"{a} {b}" for a, b in itertools.pairwise(rows)]
                triples = [f"{a} {b}" for a, b in zip(pairs, rows[2:], strict=False)]
                heads = [heading.text for heading in proposal.headings]
                pairs += [f"{a} {b}" for a, b in itertools.pairwise(heads)]
                lines = [_squeezed(line) for line in (*rows, *pairs, *triples, *heads)]
            self._lines[page] = lines
        return lines

    def _search(self, titles: Sequence[str], previous: int, following: int | None) -> tuple[int | None, float]:
        """Without a printed number: the next page on which the title stands, word for word on any page up to `following`,
        similar on one of the next `REACH` pages."""
        if len(titles[0]) < 4:
            return None, 0.3
        first = max(self._after, previous)
        if self._exact is None:
            self._exact = {}
            for page in sorted(self._body):
                for text in self._lines_of(page):
                    self._exact.setdefault(text, []).append(page)
        last = following if following is not None and following >= first else max(self._body, default=first)
        word_for_word = [page for title in titles for page in self._exact.get(title, ()) if first <= page <= last]
        if word_for_word:
            return min(word_for_word), 0.6
        for page in range(first, min(last + 1, first + REACH)):
            if page in self._body and any(_similar(t, text) for t in titles for text in self._lines_of(page)):
                return page, 0.5
        return None, 0.3


def _label_key(label: str) -> str:
    text = label.strip().casefold()
    value = roman_value(text)
    return f"r{value}" if value is not None else text


def _squeezed(text: str) -> str:
    """Letters and digits only: blanks and signs differ between contents and page."""
    return re.sub(r"[\W_]+", "", text.casefold())


def _spellings(entry: RawEntry) -> list[str]:
    """The title alone and with its number, as it may stand on its page."""
    title = _squeezed(entry.title)
    found = [title]
    if entry.number and not entry.title.startswith(entry.number):
        found.append(_squeezed(entry.number) + title)
    bare = _squeezed(_plain(entry.title))
    if bare and bare not in found:
        found.append(bare)
    return found


def _similar(title: str, line: str) -> bool:
    if not title or not line:
        return False
    if abs(len(title) - len(line)) > 0.4 * len(title) + 2:
        return False
    return fuzz.ratio(title, line, score_cutoff=FOUND) > 0
