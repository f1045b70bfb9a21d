"""Title, authors, imprint, ISBN and language of a book from its first pages.

The copyright page is the anchor (©, ISBN, imprint formulas), the title page tells title and authors by size of type;
the case of what is printed in capitals is taken from where it is printed otherwise. DocInfo is a weak witness: often
empty, often the name of a template.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import median

from pydantic import BaseModel, ConfigDict
from rapidfuzz import fuzz

from providers.rules.confidence import ASIDE, CHECKED, DOUBTFUL, FORMULA, GUESSED, ONCE, TWICE
from providers.rules.imprint import Imprint, find_imprint, is_city, looks_like_publisher
from providers.rules.isbn import find_isbns
from providers.rules.labels import propose, sequence
from providers.rules.layout import Row, row_of, type_height, visual_rows
from providers.rules.lexicon import language_of
from providers.rules.names import looks_like_name, name_case, split_names, title_case
from providers.rules.page_types import LARGE, may_open_a_book, names_a_part
from schemas.reading import PageReading, Word


class Evidence(BaseModel):
    """Where a field comes from."""

    model_config = ConfigDict(frozen=True)

    page: int | None
    """Physical page; None for the PDF's document information."""
    confidence: float
    """What it means: `rules/confidence.py`."""
    source: str
    """title_page, copyright_page, docinfo, running_header, ..."""


class Metadata(BaseModel):
    """What the book's first pages say about it; a field that they do not print is None or empty."""

    model_config = ConfigDict(frozen=True)

    title: str | None = None
    subtitle: str | None = None
    authors: list[str] = []
    publisher: str | None = None
    place: str | None = None
    year: int | None = None
    isbn: list[str] = []
    """Thirteen digits each, checksum verified, in the order in which they are printed."""
    language: str | None = None
    lccn: str | None = None
    """This and the next three only where a model reads the pages."""
    description: str | None = None
    subjects: list[str] = []
    contributors: list[str] = []
    """ "Name (role)", of those who are no authors."""
    evidence: dict[str, Evidence] = {}


@dataclass(frozen=True, slots=True)
class _Page:
    number: int
    reading: PageReading
    rows: list[Row]
    kind: str
    label: str | None
    header: str | None

    @property
    def text(self) -> str:
        return "\n".join(row.text for row in self.rows)

    @property
    def words(self) -> int:
        return sum(len(row.words) for row in self.rows)


def extract(
    pages: Sequence[tuple[int, PageReading]],
    doc_info: Mapping[str, str] | None = None,
    types: Mapping[int, str] | None = None,
) -> Metadata:
    """Read metadata from the first pages (about twenty; the last ones may be appended: colophon, back cover).

    Args:
        pages: (physical page, reading).
        doc_info: The PDF's document information, keys "title" and "author".
        types: Physical page -> kind, where a person says it.
    """
    labelled = sequence([propose(reading) for _, reading in pages])
    book = [
        _Page(
            number,
            reading,
            visual_rows(reading),
            _kind(number, label.page_type, types or {}),
            label.label,
            label.running_header,
        )
        for (number, reading), label in zip(pages, labelled, strict=True)
    ]
    info = {key.lower(): value.strip() for key, value in (doc_info or {}).items() if isinstance(value, str)}
    found: dict[str, object] = {}
    evidence: dict[str, Evidence] = {}

    def put(field: str, value: object, page: int | None, confidence: float, source: str) -> None:
        if value:
            found[field] = value
            evidence[field] = Evidence(page=page, confidence=round(confidence, 2), source=source)

    title_page = next((page for page in book if page.kind == "title_page"), None)
    size = _type_size(book)
    if title_page is None and "title_page" not in (types or {}).values():
        title_page = _headed_by_a_title(book, types or {}, size)
    elif title_page is not None and title_page.words > TITLE_PAGE_WORDS:
        title_page = _head(title_page, size) or title_page
    imprint = _imprint(book, title_page)
    if imprint.publisher:
        put("publisher", _printed_case(imprint.publisher, book, name_case), imprint.page, *imprint.publisher_evidence)
    if imprint.place:
        put("place", _printed_case(imprint.place, book, name_case), imprint.place_page, *imprint.place_evidence)
    if imprint.year:
        put("year", imprint.year, imprint.year_page, *imprint.year_evidence)

    isbns = [
        (number, page.number)
        for page in book
        if page.kind not in {"body", "toc", "bibliography", "index", "list"} or page.number <= 4
        for number in find_isbns(page.text)
    ]
    if isbns:
        put("isbn", list(dict.fromkeys(number for number, _ in isbns)), isbns[0][1], CHECKED, "checksum")

    sample = "\n".join(page.text for page in book if page.kind in {"body", "preface", "introduction", "foreword"})
    language, sure = language_of(sample if len(sample) > 400 else "\n".join(page.text for page in book))
    put("language", language, None, sure, "stop_words")

    display = _display_rows(title_page, book, imprint) if title_page is not None else []
    start, end = _title_block(display, book)
    authors, at, sure, source = _authors(display[:start] + display[end:], title_page, book, imprint, info)
    put("authors", authors, at, sure, source)
    title, subtitle, at, sure, source = _title(display, start, end, title_page, book, authors, info)
    put("title", title, at, sure, source)
    put("subtitle", subtitle, at, sure * 0.9, source)
    return Metadata.model_validate({**found, "evidence": evidence})


def _kind(page: int, guessed: str, types: Mapping[int, str]) -> str:
    """What a person says of the page. Of what a book has once, a guess elsewhere no longer counts."""
    once = guessed in {"title_page", "copyright"} and guessed in types.values()
    return types.get(page, "front" if once else guessed)


def _imprint(book: Sequence[_Page], title_page: _Page | None) -> Imprint:
    copyright_text = [(page.number, [row.text for row in page.rows]) for page in book if page.kind == "copyright"]
    bottom: list[str] = []
    number = foot = None
    if title_page is not None:
        number = title_page.number
        half = 0.45 * title_page.reading.height
        # A date may stand higher, below the names.
        lower = [row for row in title_page.rows if row.middle > half or _DATE.search(row.text)]
        for i, row in enumerate(lower):
            if i and row.box[1] - lower[i - 1].box[3] > APART * row.height:
                bottom.append("")
            if foot is None and row.middle > FOOT * title_page.reading.height:
                foot = len(bottom)
            bottom.append(row.text)
    others = [
        (page.number, [row.text for row in page.rows])
        for page in book
        if page.kind in {"colophon", "half_title", "cover"}
    ]
    return find_imprint(copyright_text + others, number, bottom, foot)


APART = 2.5
"""Heights of a row between it and one that it does not belong to."""

FOOT = 0.7
"""Share of a title page's height below which imprints stand."""


# --- title -------------------------------------------------------------------------------------------------------

TITLE_PAGE_WORDS = 80
"""Of a page with more, title and names stand above running text."""

RUNNING_WORDS = 8
"""A row of so many words, in ordinary type, is running text."""


def _type_size(book: Sequence[_Page]) -> float:
    sizes = [type_height(page.rows) for page in book if page.words > TITLE_PAGE_WORDS]
    return median(sizes) if sizes else 10.0


def _headed_by_a_title(book: Sequence[_Page], said: Mapping[int, str], size: float) -> _Page | None:
    """The first page of a book that has no title page (a report, an article), if a title is set at its head."""
    first = next((page for page in book if page.rows), None)
    if first is None or first.number in said or first.kind == "cover" or not may_open_a_book(first.label):
        return None
    return _head(first, size)


def _head(page: _Page, size: float) -> _Page | None:
    """What stands above the running text of a page that begins with a title; None where it does not."""
    start = next((i for i, row in enumerate(page.rows) if row.height >= LARGE * size), None)
    if start is None or start > 5 or page.rows[start].middle > 0.5 * page.reading.height:
        return None
    if any(names_a_part(row.text) for row in page.rows[: start + 2]):
        return None
    end = start + 1
    while end < len(page.rows):
        row = page.rows[end]
        if names_a_part(row.text) or (row.height < LARGE * size and len(row.words) >= RUNNING_WORDS):
            break
        end += 1
    return replace(page, rows=page.rows[:end])


_NOT_TITLE = re.compile(
    r"^(?:by|von|par|por|di|edited|translated|transcribed|compiled|selected|arranged|adapted|retold|illustrated"
    r"|with(?=\s+(?:[\w-]+\s+){0,4}(?:introductions?|illustrations?|engravings|plates|maps?|drawings|photographs|portraits?|foreword"
    r"|preface|notes|figures|diagrams|commentary)\b|$)"
    r"|vol(?:ume)?\.?\s|(?:a\s+novel|novel|roman|récit)$|author\s+of"
    r"|(?:\w+[\s,]+){1,3}(?:edition|printing|impression|auflage)|(?:in\s+)?(?:one|two|three|four)\s+volumes?"
    r"|©|copyright|isbn|(?:for\s+)?version|release|edition|revision|revised|draft)\b"
    r"|^the\b.*\b(?:team|group|project|committee|developers)$",
    re.I,
)


def _display_rows(title_page: _Page, book: Sequence[_Page], imprint: Imprint) -> list[Row]:
    """Rows of the title page that can be title, subtitle or author: no imprint, no ornaments read as letters."""
    rows = []
    for row in title_page.rows:
        sure = [word for word in row.words if _is_lettering(word)]
        if not sure:
            continue
        kept = row if len(sure) == len(row.words) else row_of(list(sure), row.block)
        letters = sum(c.isalpha() for c in kept.text)
        if _YEARS.match(kept.text):
            rows.append(kept)
            continue
        if letters < 3 and not (letters == 2 and kept.text.isalpha()):
            continue
        if not _is_imprint(kept.text, imprint):
            rows.append(kept)
    return rows


def _is_lettering(word: Word) -> bool:
    """No ornament that an engine took for letters: it is sure of the word, or the word is long and of letters."""
    if word.confidence is None or word.confidence >= 50:
        return True
    letters = sum(c.isalpha() for c in word.text)
    return word.confidence >= 30 and letters >= 5 and letters >= 0.8 * len(word.text)


def _title_block(rows: Sequence[Row], book: Sequence[_Page]) -> tuple[int, int]:
    """First and last (exclusive) row of the title: the largest type, but for a name that the copyright notice has."""
    holders = {_letters(name) for name, _ in _copyright_holders(book)}
    usable = [i for i, row in enumerate(rows) if _letters(row.text) not in holders and not _NOT_TITLE.match(row.text)]
    if not usable:
        return 0, 0
    largest = max(rows[i].height for i in usable)
    start = next(i for i in usable if rows[i].height >= 0.8 * largest)
    end = start + 1
    while end < len(rows) and end in usable and rows[end].height >= 0.75 * largest:
        if rows[end].box[1] - rows[end - 1].box[3] > 2.5 * largest or _DATE.search(rows[end].text):
            break
        if looks_like_name(rows[end].text) and rows[end].height < 0.85 * median(row.height for row in rows[start:end]):
            break
        end += 1
    start = _begins_before(rows, start, end, book)
    return start, _ends_after(rows, start, end, book)


def _title(
    display: Sequence[Row],
    start: int,
    end: int,
    title_page: _Page | None,
    book: Sequence[_Page],
    authors: Sequence[str],
    info: Mapping[str, str],
) -> tuple[str | None, str | None, int | None, float, str]:
    told = _plausible_info(info.get("title", ""))
    if title_page is None or start == end:
        if told:
            return told, None, None, ASIDE, "docinfo"
        cited = _cited_title(book)
        if cited is not None:
            return cited[0], None, cited[1], FORMULA, "citation"
        header = _common_header(book)
        return (title_case(header), None, None, ASIDE, "running_header") if header else (None, None, None, 0.0, "")
    printed = _run_on(display[start:end])
    following: list[Row] = []
    for row in display[end:]:
        if _NOT_TITLE.match(row.text) or row.middle > 0.72 * title_page.reading.height or _DATE.search(row.text):
            break
        if any(_letters(name) in _letters(row.text) for name in authors) or looks_like_publisher(row.text):
            break
        following.append(row)
        if len(following) == 4:
            break
    subtitle = _run_on(following) if following else None
    title = printed
    if ":" in printed.strip(":") and subtitle is None:
        title, subtitle = (part.strip() for part in printed.split(":", 1))
    title = _printed_case(title.strip(" :."), book, title_case, told)
    if subtitle:
        subtitle = _printed_case(subtitle.strip(" :."), book, title_case, told)
    witnesses = [told] + [page.header or "" for page in book]
    for page in book:
        if page.kind in {"half_title", "cover", "copyright"}:
            witnesses += [_run_on(page.rows[:n]) for n in range(1, min(6, len(page.rows)) + 1)]
    cited = _cited_title(book)
    if cited is not None:
        witnesses += [cited[0], re.split(r"[:–—]\s", cited[0])[0]]
        known = any(_same(title, witness) for witness in witnesses)
        if not known and fuzz.partial_ratio(_letters(cited[0]), _letters(title_page.text)) >= 85:
            return cited[0], None, cited[1], FORMULA, "citation"
    whole = _in_full(title, [_run_on(page.rows) for page in book if page.kind == "half_title"] + witnesses, title_page)
    if whole is not None:
        return _printed_case(whole, book, title_case, told), subtitle, title_page.number, TWICE, "title_page"
    if any(_same(title, witness) for witness in witnesses if witness):
        return title, subtitle, title_page.number, TWICE, "title_page"
    sure = [word.confidence for row in display[start:end] for word in row.words if word.confidence is not None]
    doubtful = bool(sure) and sum(sure) / len(sure) < 80
    return title, subtitle, title_page.number, DOUBTFUL if doubtful else ONCE, "title_page"


def _in_full(title: str, witnesses: Sequence[str], page: _Page) -> str | None:
    """The title as half title or running headers have it, where the title page has its first words in small type, which engines
    lose: "THE" or "OF" alone, while longer words are still there."""
    there = {_letters(word.text) for row in page.rows for word in row.words}
    for witness in witnesses:
        words = witness.split()
        for first in range(1, min(len(words), 8)):
            lost = [_letters(word) for word in words[:first]]
            if _letters(" ".join(words[first:])) == _letters(title) and all(len(w) <= 3 or w in there for w in lost):
                return " ".join(words)
    return None


def _same(a: str, b: str) -> bool:
    return bool(a and b) and fuzz.ratio(_letters(a), _letters(b)) >= 88


def _begins_before(rows: Sequence[Row], start: int, end: int, book: Sequence[_Page]) -> int:
    """First row of a title whose first words are set smaller ("A short history of / BRITAIN"): the rows above belong to
    it if a page elsewhere has them in one run with it, or if they end in a preposition."""
    elsewhere = _elsewhere(book)
    for before in (3, 2, 1):
        if before <= start:
            text = _run_on(rows[start - before : end])
            if _attested(text, elsewhere):
                return start - before
    if start and rows[start - 1].text.split()[-1].casefold() in {*_GOES_ON, "and"}:
        return start - 1
    return start


def _ends_after(rows: Sequence[Row], start: int, end: int, book: Sequence[_Page]) -> int:
    """The same downwards, but only where a row ends in mid-phrase: a subtitle also follows the title in citations."""
    elsewhere = _elsewhere(book)
    while end < len(rows):
        goes_on = (
            rows[end - 1].text.split()[-1].casefold() in _BINDING
            or rows[end].text.split()[0].casefold() in _BINDING - _BEGINS_A_SUBTITLE
        )
        close = rows[end].box[1] - rows[end - 1].box[3] <= 1.5 * rows[end - 1].height
        if _NOT_TITLE.match(rows[end].text) or not (
            goes_on and close and _attested(_run_on(rows[start : end + 1]), elsewhere)
        ):
            break
        end += 1
    return end


_BINDING = {"of", "on", "in", "to", "for", "the", "a", "an", "and", "with", "by", "from", "or"}


_BEGINS_A_SUBTITLE = {"a", "an", "the", "in", "from", "with"}

_GOES_ON = {"of", "on", "in", "to", "for", "the", "a", "an"}


def _elsewhere(book: Sequence[_Page]) -> list[str]:
    return [_letters(page.text) for page in book if page.kind not in {"title_page", "cover", "toc"}]


def _attested(text: str, elsewhere: Sequence[str]) -> bool:
    """One of the pages has these letters in a row; of long texts nine in ten, for engines misread."""
    wanted = _letters(text)
    if any(wanted in other for other in elsewhere):
        return True
    return len(wanted) >= 20 and any(
        len(other) >= len(wanted) and fuzz.partial_ratio(wanted, other, score_cutoff=92) > 0 for other in elsewhere
    )


_CITED = re.compile(
    r"\b(?:citation|cite\s+(?:this|as)|zitiervorschlag|citer)\b[^.:]{0,40}[.:]\s*(?:[^.]+\.\s+)*?([^.]{5,300})\.\s+"
    r"[A-Z][^:;.]{2,30}:\s[^:;]{2,60}[;,]\s?(?:1[4-9]|20)\d\d\b",
    re.I,
)


def _cited_title(book: Sequence[_Page]) -> tuple[str, int] | None:
    """(title, page) of "Suggested citation: Title. Place: Publisher; 2022": set small, so engines read it well."""
    for page in book:
        if page.kind == "copyright":
            match = _CITED.search(_run_on(page.rows))
            if match:
                return match[1].strip(" :."), page.number
    return None


_YEARS = re.compile(r"^\W*\d{3,4}\s?[-–—]\s?\d{2,4}\W*$")
"""The end of a subtitle, never the year of an imprint."""

_DATE = re.compile(
    r"\b(?:january|february|march|april|may|june|july|august|september|october|november|december)\b.*\d{4}|^\d{4}$"
    r"|^\d{4}-\d\d-\d\d$",
    re.I,
)


def _run_on(rows: Sequence[Row]) -> str:
    """Rows as one text; a word divided at a row's end is joined."""
    text = ""
    for row in rows:
        piece = row.text.strip()
        text = (
            text[:-1] + piece if text.endswith(("-", "\u00ad")) and piece[:1].islower() else f"{text} {piece}".strip()
        )
    return re.sub(r"\s+", " ", text)


def _letters(text: str) -> str:
    return re.sub(r"[\W_]+", "", text.casefold())


def _is_imprint(text: str, imprint: Imprint) -> bool:
    """The row is publisher, place or year, or a piece of the publisher's name (a logo in two lines)."""
    letters = _letters(text)
    parts = [_letters(part) for part in (imprint.publisher, imprint.place) if part]
    if bool(re.fullmatch(r"\W*(?:1[4-9]|20)\d\d\W*", text)) or letters in parts:
        return True
    if imprint.publisher and len(letters) >= 5 and (letters in parts[0] or _is_logo(text, imprint.publisher)):
        return True
    return len(parts) == 2 and letters in {parts[0] + parts[1], parts[1] + parts[0]}


def _is_logo(text: str, publisher: str) -> bool:
    """Words of the publisher's name, and beside them what an engine made of the picture: a few letters."""
    name = {_letters(word) for word in publisher.split()}
    words = [_letters(word) for word in text.split()]
    long = [word for word in words if len(word) >= 4]
    return len(words) <= 6 and bool(long) and all(word in name for word in long)


def _plausible_info(text: str) -> str:
    """DocInfo titles that are file names or templates are none."""
    if len(text) < 3 or re.search(
        r"\.(?:docx?|pdf|tex|indd|qxd|dvi|ps)$|^untitled|^microsoft word|^\W*$|_", text, re.I
    ):
        return ""
    return text


def _common_header(book: Sequence[_Page]) -> str | None:
    headers = [page.header for page in book if page.header and not names_a_part(page.header)]
    return max(sorted(set(headers)), key=headers.count) if headers else None


def _printed_case(text: str, book: Sequence[_Page], fallback: Callable[[str], str], told: str = "") -> str:
    """`text`; if it is printed in capitals, as it is printed elsewhere in these pages, else in `fallback`'s case."""
    if not text.isupper():
        return text
    wanted = _letters(text)
    sources = [told] + [page.text.replace("-\n", "").replace("\n", " ") for page in book if page.kind != "toc"]
    sources += [row.text for page in book if page.kind == "toc" for row in page.rows]
    for source in sources:
        found = _find_letters(source, wanted)
        if found and not found.isupper() and found[:1].isupper():
            return found
    acronyms = _acronyms(book)
    # Word by word: a title in headline case has as many as it has in capitals.
    cased = zip(text.split(), fallback(text).split(), strict=True)
    return " ".join(word if _letters(word) in acronyms else other for word, other in cased)


def _acronyms(book: Sequence[_Page]) -> set[str]:
    """Words that are in capitals in running text, and never otherwise."""
    found: set[str] = set()
    others: set[str] = set()
    for page in book:
        for row in page.rows:
            words = [word.text for word in row.words]
            running = sum(word[:1].islower() for word in words) >= 3
            for word in words:
                if not word.isupper():
                    others.add(_letters(word))
                elif running and 2 <= len(_letters(word)) <= 6:
                    found.add(_letters(word))
    return found - others


def _find_letters(source: str, wanted: str) -> str | None:
    """The stretch of `source` that has these letters, whatever stands between them; not all in capitals."""
    kept = [(i, c) for i, c in enumerate(source) if c.isalnum()]
    squeezed = "".join(c.casefold() if len(c.casefold()) == 1 else c for _, c in kept)
    at = squeezed.find(wanted)
    while at >= 0 and wanted:
        first, last = kept[at][0], kept[at + len(wanted) - 1][0]
        starts = first == 0 or not source[first - 1].isalnum()
        ends = last + 1 == len(source) or not source[last + 1].isalnum()
        stretch = re.sub(r"\s+", " ", source[first : last + 1])
        if starts and ends and not stretch.isupper():
            return stretch
        at = squeezed.find(wanted, at + 1)
    return None


# --- authors -----------------------------------------------------------------------------------------------------

_BY = re.compile(r"^(?:written\s+)?(?:by|von|par|por|di|door)\b[:\s]*", re.I)
_EDITED = re.compile(
    r"^(?:edited|selected|compiled|transcribed|collected|arranged|herausgegeben)\b.*?\b(?:by|von)\b[:\s]*|^editors?\b[:\s]*",
    re.I,
)
_HELP = r"(?:(?:an?|the|new)\s+)*(?:introduction|illustrations|drawings|photographs|pictures|foreword|preface|afterword|maps)"
_OTHERS = re.compile(
    r"^(?:(?:newly\s+)?(?:translated|illustrated|adapted|retold|übersetzt|traduit)\b(?:.*\b(?:by|von|par)\b[:\s]*)?"
    rf"|with\s+{_HELP}\b(?:.*\bby\b[:\s]*)?|{_HELP}\b.*\bby\b[:\s]*)",
    re.I,
)
_NOTICE = re.compile(
    r"(?:©|\(c\)|\bcopyright\b)[\s©,]*(?:\(c\)\s*)?(?:(?:1[4-9]|20)\d\d(?:\s*[-–,]\s*(?:1[4-9]|20)\d\d)*)?[,\s]*(?:by\s+)?"
    r"([^\W\d_][^©\n\d]{3,70}?)(?:[.,]?\s*(?:(?:1[4-9]|20)\d\d|all\s+rights|$))",
    re.I | re.M,
)


def _authors(
    rows: Sequence[Row],
    title_page: _Page | None,
    book: Sequence[_Page],
    imprint: Imprint,
    info: Mapping[str, str],
) -> tuple[list[str], int | None, float, str]:
    """(authors, page, confidence, source); `rows` are those of the title page without the title."""
    holders = _copyright_holders(book)
    told = split_names(info.get("author", "")) if looks_like_name(info.get("author", "")) else []
    witnesses = [*(name for holder, _ in holders for name in split_names(holder)), *told]

    def attested(name: str) -> bool:
        return any(_same_person(name, witness) for witness in witnesses)

    if title_page is not None:
        helped = _rows_after(rows, _OTHERS, imprint)
        edited = _rows_after(rows, _EDITED, imprint)
        names = _names_after(rows, _BY, imprint)
        own = [row for i, row in enumerate(rows) if i not in helped and i not in edited]
        if not names and edited and not any(looks_like_name(_unmarked(row)) for row in own):
            names = _names_after(rows, _EDITED, imprint)
        if names:
            cased = [_printed_case(name, book, name_case) for name in names]
            return cased, title_page.number, TWICE if any(map(attested, names)) else FORMULA, "title_page"
        # "for / Configurable Typesetting" is the end of a title, whatever its second row looks like.
        whole = [row for i, row in enumerate(own) if i == 0 or own[i - 1].text.split()[-1].casefold() not in _GOES_ON]
        lines = [text for row in whole if looks_like_name(text := _unmarked(row)) and not looks_like_publisher(text)]
        sure = [line for line in lines if all(map(attested, split_names(line)))]
        if sure or lines:
            marked = [text for row in rows if (text := _unmarked(row)) in lines and text != row.text.strip()]
            chosen = sure or marked or _listed_alike(whole, lines)
            names = [_printed_case(name, book, name_case) for line in chosen for name in split_names(line)]
            return names, title_page.number, TWICE if sure else GUESSED, "title_page"
    people = [(name, page) for name, page in holders if looks_like_name(name) and not looks_like_publisher(name)]
    if people:
        publisher = _letters(imprint.publisher or "")
        names = [
            name_case(name) for holder, _ in people[:1] for name in split_names(holder) if _letters(name) != publisher
        ]
        if names:
            return names, people[0][1], GUESSED, "copyright_page"
    if told and title_page is None:
        return told, None, ASIDE, "docinfo"
    return [], None, 0.0, ""


def _same_person(name: str, witness: str) -> bool:
    """Also where a notice has initials: "© A.-M. Keller"."""
    if fuzz.ratio(_letters(name), _letters(witness)) >= 88:
        return True
    (*given, last), (*initials, other) = name.split(), witness.split()
    short = all(len(_letters(part)) <= 2 for part in initials)
    return bool(given and initials and short) and last.casefold() == other.casefold() and given[0][0] == initials[0][0]


def _listed_alike(rows: Sequence[Row], names: Sequence[str]) -> list[str]:
    """The first name, and those of the same size that follow it, with a row for where each works between them."""
    at = [i for i, row in enumerate(rows) if _unmarked(row) in names]
    listed = at[:1]
    for i in at[1:]:
        height = rows[listed[0]].height
        apart = rows[i].box[1] - rows[listed[-1]].box[3] > LISTED_APART * height
        if i - listed[-1] > 2 or apart or abs(rows[i].height - height) > 0.06 * height or is_city(rows[i].text):
            break
        listed.append(i)
    return [_unmarked(rows[i]) for i in listed]


LISTED_APART = 5.0
"""Heights of type between two names that are listed, a row between them; the imprint stands farther below."""


def _unmarked(row: Row) -> str:
    """Without the mark of a footnote, which says where an author works (engines read a raised 1 as "!")."""
    return re.sub(r"(?<=[^\W\d_]{2})\s?[\d*†‡§¶!?]$", "", row.text.strip())


def _rows_after(rows: Sequence[Row], test: re.Pattern[str], imprint: Imprint) -> dict[int, str]:
    """The rows that `test` matches and those of the names that follow it -> what of a name stands in each."""
    found: dict[int, str] = {}
    for i, row in enumerate(rows):
        text = row.text.strip()
        match = test.match(text)
        if match is None or (test is not _OTHERS and _OTHERS.match(text)):
            continue
        found[i] = re.sub(r"^the$", "", text[match.end() :].strip(" :"), flags=re.I)  # "by the / Rev. Tom Wood"
        named = found[i]
        for at in range(i + 1, min(i + 8, len(rows))):
            following = _unmarked(rows[at])
            if named and not (_continues_names(named, following) or _goes_on_alike(rows, at, i)):
                break
            if not looks_like_name(following) or looks_like_publisher(following) or _is_imprint(following, imprint):
                break
            found[at] = named = following
        if test is not _OTHERS:
            break
    return found


def _goes_on_alike(rows: Sequence[Row], at: int, first: int) -> bool:
    """Another name of a list of names, a row each: set as the one above it, and right below it."""
    above, row = rows[at - 1], rows[at]
    if at - 1 == first or abs(row.height - above.height) > 0.06 * above.height:
        return False
    return row.box[1] - above.box[3] <= 1.2 * above.height and not is_city(row.text)


def _names_after(rows: Sequence[Row], test: re.Pattern[str], imprint: Imprint) -> list[str]:
    """The names behind "by" or "edited by"."""
    names: list[str] = []
    for text in _rows_after(rows, test, imprint).values():
        if not text:
            continue
        if not looks_like_name(text) or looks_like_publisher(text) or _is_imprint(text, imprint):
            break
        names += split_names(text)
    return names


def _continues_names(before: str, following: str) -> bool:
    joined = bool(re.search(r"(?:,|&|\band)$", before, re.I) or re.match(r"(?:and|&|und|et)\b", following, re.I))
    return joined and looks_like_name(following)


def _copyright_holders(book: Sequence[_Page]) -> list[tuple[str, int]]:
    found = []
    for page in book:
        if page.kind in {"copyright", "title_page"}:
            for row in page.rows:
                for match in _NOTICE.finditer(row.text):
                    holder = match[1].strip(" ,.;")
                    if holder and not re.match(r"(?:notice|page|holder|law|act|in\b|and\b|reserved)", holder, re.I):
                        found.append((holder, page.number))
    return found
