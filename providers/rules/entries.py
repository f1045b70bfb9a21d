"""Entries of contents pages from their visual rows, before levels and physical pages are known."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from statistics import fmean, median

from providers.rules.layout import Row, row_of, type_height, visual_rows
from providers.rules.names import looks_like_name
from providers.rules.numerals import folio, parse, printed, roman_value
from providers.rules.page_types import CONTENTS, LISTS
from schemas.reading import Box, Line, PageReading, Word


@dataclass(slots=True)
class RawEntry:
    """An entry as printed."""

    title: str
    number: str | None
    printed: str | None
    indent: float
    """Points from the left edge of the entry to the right edge of the column of numbers, negated: the same on recto
    and verso, and on pages without an entry of the first level."""
    height: float
    physical: int
    """Contents page on which it stands."""
    kind: str = ""
    """part, chapter, appendix, section where a keyword says so"""
    depth: int | None = None
    """From decimal numbering: "3" is 1, "3.1" is 2."""
    rows: list[Row] = field(default_factory=list)
    confidence: float = 100.0
    """Mean of the title's words, 0 to 100."""


@dataclass(slots=True)
class _Piece:
    """A row cut into title words and page number."""

    words: list[Word]
    printed: str | None
    row: Row
    physical: int
    right: float
    reaches: float
    """Where the title's last word ends, as a share of the width between left edge and numbers."""


_KEYWORD = re.compile(
    r"^(chapter|chap\.|part|book|section|appendix|(?:\w+\s)?annex|volume|teil|kapitel|abschnitt|anhang|chapitre|partie"
    r"|livre|cap[íi]tulo|capitolo|parte|libro)\s+([IVXLC]+|\d{1,3}|[A-Z]|one|two|three|four|five|six|seven|eight|nine|ten)\b"
    r"[.:]?\s*[—–:-]?\s*(.*)$",
    re.I,
)
_PARTS = {"part", "book", "volume", "teil", "buch", "band", "partie", "livre", "parte", "libro"}
_ORDINAL = re.compile(
    r"^(first|second|third|fourth|fifth|sixth|seventh|eighth|ninth|tenth|erste[rs]?|zweite[rs]?|dritte[rs]?|vierte[rs]?|fünfte[rs]?"
    r"|sechste[rs]?|siebte[rs]?|achte[rs]?|neunte[rs]?|zehnte[rs]?|premi[eè]re?|deuxi[eè]me|seconde?|troisi[eè]me|quatri[eè]me"
    r"|cinqui[eè]me|sixi[eè]me|prim[ao]|primer[ao]?|segund[ao]|secondo|seconda|tercer[ao]?|terz[ao]|cuart[ao]|quart[ao]|quint[ao])\s+"
    r"(part|book|chapter|teil|buch|band|kapitel|partie|livre|chapitre|parte|libro|cap[íi]tulo|capitolo)\b",
    re.I,
)
"""Parts and chapters that are numbered by a word before them."""
_DECIMAL = re.compile(r"^((?:\d{1,3}|[A-Z])(?:\.\d{1,3})+|\d{1,3})[.)]?(?:\s+|(?=[A-Z“‘]))(?=\S)(.+)$")
_ROMAN = re.compile(r"^([IVXLC]{1,7})[.)]?\s+(\S.*)$")
_LETTER = re.compile(r"^([A-Z])([.)]?)\s+(\S.*)$")


def read_entries(pages: Sequence[tuple[int, PageReading]]) -> list[RawEntry]:
    """Entries in order. Rows are cut into title and number, wrapped titles joined, numbering split off."""
    pieces: list[_Piece] = []
    for physical, whole in pages:
        listing = _listing(whole)
        of_page = [piece for column in _columns(listing) for piece in _pieces(physical, column)]
        if _headed_by_page(of_page, pieces, MARGIN * whole.height):
            del of_page[0]
        pieces += of_page
    numbered = sum(piece.printed is not None for piece in pieces)
    if pieces and numbered < 0.3 * len(pieces):
        pieces = _numbers_on_the_left(pieces) or pieces
    pieces = _without_authors(pieces)
    _mend_ones(pieces)
    _mend_numbering(pieces)
    entries = []
    for group in _joined(pieces):
        entry = _entry(group)
        if entry is not None:
            entries += _run_in(entry)
    entries = _in_full(entries)
    _mend_numbers(entries)
    return entries


MARGIN = 0.15
"""Share of the page's height in which running headers stand."""


def _headed_by_page(pieces: Sequence[_Piece], before: Sequence[_Piece], margin: float) -> bool:
    """The first row is a running header with the number of the contents page itself: it falls out of the order of those
    before and after it."""
    if not before or len(pieces) < 2 or pieces[0].row.middle > margin or pieces[0].printed is None:
        return False
    last = next((value for piece in reversed(before) if (value := _arabic(piece)) is not None), None)
    following = next((value for piece in pieces[1:] if (value := _arabic(piece)) is not None), None)
    own = _arabic(pieces[0])
    return last is not None and following is not None and following >= last and (own is None or own < last)


def _arabic(piece: _Piece) -> int | None:
    return int(piece.printed) if piece.printed is not None and piece.printed.isdigit() else None


def _listing(reading: PageReading) -> PageReading:
    """The page without what stands above its heading "Contents" (a title, an abstract) and below that of a list of figures or
    tables."""
    rows = visual_rows(reading)
    first = next(
        (
            i
            for i, row in enumerate(rows)
            if _heading(row, CONTENTS) and (i < BELOW_OTHERS or _numbered(rows[i + 1 : i + 1 + BELOW_OTHERS]) >= 2)
        ),
        None,
    )
    if first is None:
        first = next((i for i, row in enumerate(rows) if _cut(row)[1] is not None), 0)
        if first < TEXT_ABOVE or _numbered(rows[first:]) < 0.6 * len(rows[first:]):
            first = 0
    other = next((row for row in rows[max(first, BELOW_OTHERS) :] if _heading(row, LISTS)), None)
    if first == 0 and other is None:
        return reading
    top = rows[first].box[1]
    bottom = other.box[1] if other is not None else rows[-1].box[3] + 1.0
    return _part(reading, lambda box: top <= (box[1] + box[3]) / 2 < bottom)


TEXT_ABOVE = 6
"""Rows without numbers above the first that has one: more than the names of parts."""

BELOW_OTHERS = 4
"""Rows above a heading that is not at the head of its page."""


def _heading(row: Row, names: re.Pattern[str]) -> bool:
    text = row.text.strip(" .:|")
    return len(row.words) <= 4 and bool(names.match(text)) and not _is_page_number(row.words[-1].text)


def _numbered(rows: Sequence[Row]) -> int:
    return sum(_cut(row)[1] is not None for row in rows)


def _run_in(entry: RawEntry) -> list[RawEntry]:
    """The entries of a paragraph of them: "2.4.1 The width 13, 2.4.2 The height 16"."""
    parts = _NEXT_NUMBER.split(entry.title) if entry.number and "." in entry.number else [entry.title]
    cut = [_TITLE_AND_PAGE.match(part) for part in parts]
    if len(parts) < 2 or not all(cut[:-1]):
        return [entry]
    found = []
    for part, match in zip(parts, cut, strict=True):
        number, title, _, depth = split_number(match[1] if match else part)
        found.append(
            replace(
                entry,
                title=title,
                number=number or entry.number,
                depth=depth or entry.depth,
                printed=match[2] if match else entry.printed,
            )
        )
    return found


_NEXT_NUMBER = re.compile(r"[,;]\s+(?=(?:\d{1,3}|[A-Z])(?:\.\d{1,3})+\s)")
_TITLE_AND_PAGE = re.compile(r"^(.*\D)\s(\d{1,4}),?$")


def _in_full(entries: list[RawEntry]) -> list[RawEntry]:
    """Of "Contents in brief" and the contents that follow, those that follow: what is listed again is listed there."""

    def row(entry: RawEntry) -> tuple[str, str | None]:
        return re.sub(r"[\W_]+", "", entry.title.casefold()), entry.printed

    for at in [i for i in range(len(entries) - 1, 0, -1) if entries[i].physical != entries[i - 1].physical]:
        brief, full = entries[:at], {row(entry) for entry in entries[at:]}
        if at >= 3 and sum(row(entry) in full for entry in brief) >= 0.8 * at:
            return entries[at:]
    return entries


GUTTER = 0.01
"""Share of the page's width that lies between two columns of contents at least; what decides is that both end in numbers."""


def _columns(reading: PageReading) -> list[PageReading]:
    """The page, or its two columns if rows end in numbers on both sides of a gap that runs down the page."""
    # A heading may lie across, and so does the page's number.
    body = [word for row in visual_rows(reading)[2:] if len(row.words) > 1 for word in row.words]
    reach = 0.0
    for word in sorted(body, key=lambda word: word.box[0]):
        middle = (reach + word.box[0]) / 2
        if word.box[0] - reach > GUTTER * reading.width and 0.3 * reading.width < middle < 0.7 * reading.width:
            sides = [_side(reading, 0.0, middle), _side(reading, middle, reading.width)]
            if all(_ends_in_numbers(side) for side in sides):
                return sides
        reach = max(reach, word.box[2])
    return [reading]


def _side(reading: PageReading, left: float, right: float) -> PageReading:
    return _part(reading, lambda box: left <= (box[0] + box[2]) / 2 < right)


def _part(reading: PageReading, inside: Callable[[Box], bool]) -> PageReading:
    lines = [Line([word for word in line.words if inside(word.box)], line.block) for line in reading.lines]
    return PageReading(reading.provider, reading.width, reading.height, [line for line in lines if line.words])


def _ends_in_numbers(side: PageReading) -> bool:
    cut = [_cut(row) for row in visual_rows(side)]
    return len(cut) >= 4 and sum(bool(words) and number is not None for words, number in cut) >= 0.6 * len(cut)


def _pieces(physical: int, reading: PageReading) -> list[_Piece]:
    rows = visual_rows(reading)
    height = type_height(rows)
    rows = [row for i, row in enumerate(rows) if not _furniture(row, i, len(rows), reading)]
    cut = [_cut(row) for row in rows]
    rights = [number.box[2] for _, number in cut if number is not None]
    right = median(rights) if rights else max((row.box[2] for row in rows), default=reading.width)
    left = min((row.box[0] for row in rows), default=0.0)
    width = max(1.0, right - left)
    pieces: list[_Piece] = []
    for row, (words, number) in zip(rows, cut, strict=True):
        # A number in mid-column belongs to the title ("Life after 1945"), unless nearly all rows are ragged.
        if (
            number is not None
            and abs(number.box[2] - right) > max(0.06 * width, 2 * height)
            and _aligned(rights, right)
        ):
            words, number = [*words, number], None
        if not words:
            if number is not None and pieces and pieces[-1].printed is None:
                pieces[-1].printed = number.text
            continue
        pieces.append(
            _Piece(
                words=words,
                printed=_as_printed(number.text) if number is not None else None,
                row=row,
                physical=physical,
                right=right,
                reaches=(words[-1].box[2] - left) / width,
            )
        )
    return pieces


def _aligned(rights: Sequence[float], right: float) -> bool:
    return sum(abs(x - right) < 8 for x in rights) >= 0.7 * len(rights)


def _furniture(row: Row, index: int, count: int, reading: PageReading) -> bool:
    """Heading "Contents", running header, page number, "Page"."""
    text = row.text.strip(" .:|")
    words = [word.text for word in row.words]
    bare = " ".join(w for w in words if not _is_page_number(w)).strip(" .:|")
    if index <= 3 and (CONTENTS.match(bare) or LISTS.match(bare)) and len(words) <= 5:
        return True
    edge = row.middle < 0.15 * reading.height or row.middle > 0.85 * reading.height
    if edge and (index <= 1 or index >= count - 2) and folio(text) is not None:
        return True
    if index == 0 and edge and bare.isupper() and len(words) <= 4 and re.search(r"\bCONTENTS\b", bare):
        return True
    return bool(re.fullmatch(r"(?:page|pages|seite|pag\.?|p\.|chap(?:ter|\.)?(?:\s+page)?)", text, re.I))


def _is_page_number(text: str) -> bool:
    return any(not n.upper for n in parse(text))


_DOTS = re.compile(r"^[.·…‥_\-–—•,:;'‘’~*«»]+$")


def _cut(row: Row) -> tuple[list[Word], Word | None]:
    """Title words and page number of a row; leaders are dropped."""
    dotted = any(_is_dots(word) for word in row.words[:-1]) or re.search(r"[.…·]{2,}", row.text) is not None
    words = [_without_dots(word) for word in row.words if not _is_dots(word)]
    words = [word for word in words if word.text]
    if not words:
        return [], None
    last = words[-1]
    if len(words) == 1:
        alone = parse(last.text)
        return ([], last) if alone and not alone[0].upper and not alone[0].repaired else (words, None)
    gap = last.box[0] - words[-2].box[2]
    far = gap > 1.2 * row.height
    # "3.12" numbers a section, "3-12" a page; in running text it is a stretch of years or pages.
    apart = dotted or far
    numbers = [
        n
        for n in parse(last.text)
        if n.style != "composite" or n.prefix[0].isalpha() or (apart and n.prefix[-1] in "-–—")
    ]
    if not numbers or (last.confidence is not None and last.confidence < _NOISE):
        return _without_noise(words, dotted=dotted), None
    number = numbers[0]
    if number.style == "roman" and (number.upper or number.repaired) and not apart:
        return _without_noise(words, dotted=dotted), None
    title = _without_noise(words[:-1], dotted=dotted)
    if not any(c.isalpha() for word in title for c in word.text):
        return _without_noise(words, dotted=dotted), None
    return title, last


def _is_dots(word: Word) -> bool:
    text = word.text
    if not _DOTS.match(text):
        return False
    return text not in {"-", "–", "—", "_"}


def _without_dots(word: Word) -> Word:
    """Leaders glued to a word: "Preface......" and ".....12"."""
    text = re.sub(r"(?:[.·…_]\s?){3,}$|^(?:[.·…_]\s?){2,}", "", word.text)
    text = re.sub(r"…$", "", text)
    if text == word.text:
        return word
    x0, y0, x1, y1 = word.box
    share = (x1 - x0) * len(text) / max(1, len(word.text))
    box = (x0, y0, x0 + share, y1) if word.text.startswith(text) else (x1 - share, y0, x1, y1)
    # The dots made the engine doubt the word, not its letters.
    return Word(text, box, None if len(text) >= 3 and text.isalpha() else word.confidence)


_NOISE = 20.0
"""Numbers that Tesseract reads into dot leaders have 0 to 15 (of 100), printed ones 50 and more."""


def _without_noise(words: list[Word], *, dotted: bool) -> list[Word]:
    """Cut what an engine made of dot leaders: from the right, words without confidence or with dots inside."""
    kept = list(words)
    while any(c.isalpha() for word in kept[:-1] for c in word.text):  # a title that is doubted is still the title
        word = kept[-1]
        dotty = word.text.count(".") >= 2 and len(word.text) >= 3 and not re.fullmatch(r"(?:[A-Z]\.)+", word.text)
        doubtful = word.confidence is not None and word.confidence < (50 if dotted else 30)
        if not (dotty or doubtful):
            break
        kept.pop()
    return _without_doubtful_tail(kept)


def _without_doubtful_tail(words: list[Word]) -> list[Word]:
    """Leaders that an engine read as several short words: the last three and more, which it doubts on the whole."""
    start = len(words)
    while start > 1 and len(words[start - 1].text) <= 5 and _confidence(words[start - 1]) < 75:
        start -= 1
    tail = [_confidence(word) for word in words[start:]]
    return words[:start] if len(tail) >= 3 and sum(tail) / len(tail) < 55 else words


def _confidence(word: Word) -> float:
    return 100.0 if word.confidence is None else word.confidence


def _as_printed(text: str) -> str:
    numbers = parse(text)
    if not numbers:
        return text
    first = numbers[0]
    if first.repaired or first.style != "composite":
        return printed(first.style, first.prefix, first.value, upper=first.upper)
    return text.strip(" .,")


def _numbers_on_the_left(pieces: list[_Piece]) -> list[_Piece] | None:
    """Contents with page numbers before the titles: they rise, and by more than one."""
    values = []
    for piece in pieces:
        numbers = [n for n in parse(piece.words[0].text) if n.style == "arabic"] if len(piece.words) > 1 else []
        values.append(numbers[0].value if numbers else None)
    present = [v for v in values if v is not None]
    if len(present) < max(3, 0.5 * len(pieces)):
        return None
    steps = [b - a for a, b in itertools.pairwise(present)]
    if sum(s >= 0 for s in steps) < 0.8 * len(steps) or sum(s == 1 for s in steps) > 0.6 * len(steps):
        return None
    result = []
    for piece, value in zip(pieces, values, strict=True):
        if value is None:
            result.append(piece)
        else:
            result.append(
                _Piece(piece.words[1:], str(value), row_of(piece.words[1:]), piece.physical, piece.right, piece.reaches)
            )
    return result


EACH = 0.6
"""Share of the entries that have an author below or above them, where rows of names are authors: parts have several entries."""


def _without_authors(pieces: list[_Piece]) -> list[_Piece]:
    """Without the rows that say who wrote an entry, of a collection."""
    names = {
        i
        for i, piece in enumerate(pieces)
        if piece.printed is None
        and looks_like_name(text := " ".join(word.text for word in piece.words))
        and not _KEYWORD.match(text)
    }
    numbered = [i for i, piece in enumerate(pieces) if piece.printed is not None]
    for step in (1, -1):
        authors = {i + step for i in numbered} & names
        if len(authors) >= max(3, EACH * len(numbered)):
            # Also those of entries whose number was lost: what does not follow another name.
            authors |= {i for i in names if 0 <= i - step < len(pieces) and i - step not in names}
            return [piece for i, piece in enumerate(pieces) if i not in authors]
    return pieces


def _mend_ones(pieces: Sequence[_Piece]) -> None:
    """ "ii" for 11: a roman number that stands where the arabic one is between its neighbours."""
    for i, piece in enumerate(pieces):
        if piece.printed is None or set(piece.printed) != {"i"}:
            continue
        before = next((n for other in reversed(pieces[:i]) if (n := _arabic(other)) is not None), None)
        after = next((n for other in pieces[i + 1 :] if (n := _arabic(other)) is not None), None)
        ones = "1" * len(piece.printed)
        if before is not None and after is not None and before <= int(ones) <= after:
            piece.printed = ones


_NUMBERING = re.compile(r"^(\d{1,3}(?:[.:,;·-]{1,2}\d{1,3}){0,3})[.:,;)]*$")


def _mend_numbering(pieces: Sequence[_Piece]) -> None:
    """Decimal numbers whose points were misread: "13.3:3.", "16,10:4", and "42" after 4.1.

    A book's numbers follow one another, so what has the digits of the number that is next is that number.
    """
    decimal = sum(
        "." in piece.words[0].text.strip(".") and bool(_NUMBERING.match(piece.words[0].text)) for piece in pieces
    )
    if decimal < 3:
        return
    last: list[int] = []
    for piece in pieces:
        match = _NUMBERING.match(piece.words[0].text) if len(piece.words) > 1 else None
        if match is None:
            continue
        parts = [int(part) for part in re.findall(r"\d+", match[1])]
        digits = "".join(map(str, parts))
        expected = next((number for number in _next_numbers(last) if "".join(map(str, number)) == digits), None)
        pure = re.fullmatch(r"\d+(?:\.\d+)*", match[1]) is not None
        # What is read as a whole number is only mended where it would leave the order: a chapter may be 42.
        if expected is not None and (len(parts) > 1 or (last and len(last) > 1 and parts[0] > last[0] + 1)):
            parts = expected
        elif pure and len(parts) == 1 and last and not last[0] <= parts[0] <= last[0] + 1:
            continue
        if not pure or expected is not None:
            word = piece.words[0]
            piece.words[0] = Word(".".join(map(str, parts)), word.box, word.confidence)
        last = parts


def _next_numbers(last: Sequence[int]) -> list[list[int]]:
    """What may follow a decimal number: its first child, and the next one on each of its levels."""
    if not last:
        return []
    return [[*last, 1], *([*last[: n - 1], last[n - 1] + 1] for n in range(len(last), 0, -1))]


def _joined(pieces: Sequence[_Piece]) -> list[list[_Piece]]:
    """Rows that make one entry: a row without a number goes with the next one if the title is wrapped."""
    groups: list[list[_Piece]] = []
    open_group: list[_Piece] = []
    for i, piece in enumerate(pieces):
        following = pieces[i + 1] if i + 1 < len(pieces) else None
        if open_group:
            open_group.append(piece)
        elif groups and piece.printed is None and _continues(groups[-1][-1], piece):
            groups[-1].append(piece)
            continue
        else:
            open_group = [piece]
        if piece.printed is None and following is not None and _wraps(piece, following) and len(open_group) < 5:
            continue
        groups.append(open_group)
        open_group = []
    if open_group:
        groups.append(open_group)
    return groups


def _starts_entry(piece: _Piece) -> bool:
    text = " ".join(word.text for word in piece.words)
    return bool(_KEYWORD.match(text) or _ORDINAL.match(text) or _DECIMAL.match(text))


def _wraps(piece: _Piece, following: _Piece) -> bool:
    """The title goes on in the next row."""
    if _starts_entry(following):
        return False
    text = " ".join(word.text for word in piece.words)
    if following.physical != piece.physical:
        return False
    alone = _KEYWORD.match(text)
    if alone and not alone[3]:
        # "CHAPTER I." in a row of its own, its title in the next; below "PART I" the next may be its first chapter.
        return alone[1].lower() not in _PARTS or following.printed is None
    gap = following.row.box[1] - piece.row.box[3]
    if gap > 1.2 * piece.row.height:
        return False
    indented = following.words[0].box[0] - piece.words[0].box[0]
    lower = (
        following.words[0].text[:1].islower()
        or text.endswith(("-", ",", ":", "—", "–"))
        or text.split()[-1].lower() in _OPEN
    )
    if lower:
        return True
    return piece.reaches > 0.6 and indented > -0.5 * piece.row.height


_OPEN = {"of", "the", "and", "a", "an", "in", "to", "for", "on", "with", "by", "from", "at", "or", "as", "its", "their"}


def _continues(before: _Piece, piece: _Piece) -> bool:
    """The number stands in the first row of a wrapped title."""
    if before.printed is None or piece.physical != before.physical or _starts_entry(piece):
        return False
    close = piece.row.box[1] - before.row.box[3] <= 0.8 * before.row.height
    indented = piece.words[0].box[0] - before.words[0].box[0] > 0.8 * before.row.height
    return close and piece.words[0].text[:1].islower() and (indented or before.reaches > 0.6)


def _entry(group: Sequence[_Piece]) -> RawEntry | None:
    parts: list[str] = []
    for piece in group:
        text = " ".join(word.text for word in piece.words)
        if parts and parts[-1].endswith("-") and text[:1].islower():
            parts[-1] = parts[-1][:-1] + text
        else:
            parts.append(text)
    text = re.sub(r"\s+", " ", " ".join(parts)).strip(" .·…_|")
    printed = next((piece.printed for piece in reversed(group) if piece.printed is not None), None)
    if sum(c.isalpha() for c in text) < 2 and not re.search(r"\d{2}", text):
        return None
    first = group[0]
    number, title, kind, depth = split_number(text, first.words)
    if not title:
        return None
    return RawEntry(
        title=title,
        number=number,
        printed=printed,
        indent=first.words[0].box[0] - first.right,
        height=first.row.height,
        physical=first.physical,
        kind=kind,
        depth=depth,
        rows=[piece.row for piece in group],
        confidence=fmean(_confidence(word) for piece in group for word in piece.words),
    )


def split_number(text: str, words: Sequence[Word] = ()) -> tuple[str | None, str, str, int | None]:
    """(number, title, kind, depth) of an entry's text.

    Bare numbers are split off. With a keyword ("Chapter 3. The Sea", "Part II") the designation stays in the title,
    which is how such entries are cited. A single letter or roman numeral counts only with a dot or a wide
    gap behind it, else "A Day" and "I Remember" would lose their first words.
    """
    match = _KEYWORD.match(text)
    if match:
        keyword = match[1].lower().rstrip(".")
        kind = (
            "part"
            if keyword in _PARTS
            else "appendix"
            if keyword in {"appendix", "anhang"} or keyword.endswith("annex")
            else "chapter"
        )
        return match[2], text, kind, 1
    match = _ORDINAL.match(text)
    if match:
        return match[1], text, "part" if match[2].lower() in _PARTS else "chapter", 1
    match = _DECIMAL.match(text)
    if match and any(c.isalpha() for c in match[2]):
        return match[1], match[2].strip(), "", match[1].count(".") + 1
    wide = _wide_gap(words)
    match = _ROMAN.match(text)
    if match and parse(match[1]) and (wide or text[len(match[1])] in ".)" or len(match[1]) > 1):
        return match[1], match[2].strip(), "roman", None
    match = _LETTER.match(text)
    if match and (wide or match[2]):
        return match[1], match[3].strip(), "letter", 1
    return None, text, "", None


def _wide_gap(words: Sequence[Word]) -> bool:
    """The first gap is half as wide again as the ordinary one of the row (or, with one gap only, 0.6 of the type)."""
    gaps = [b.box[0] - a.box[2] for a, b in itertools.pairwise(words) if b.box[0] > words[0].box[0]]
    if not gaps:
        return False
    height = words[0].box[3] - words[0].box[1]
    return gaps[0] > (max(1.5 * median(gaps[1:]), 0.4 * height) if len(gaps) > 1 else 0.6 * height)


def _add_romans(entries: Sequence[RawEntry]) -> None:
    """A single letter is a roman numeral where its neighbour is printed as one: "I The Coast" before "II The Hills"."""
    values = {roman_value(entry.number) for entry in entries if entry.kind == "roman" and entry.number}
    for entry in entries:
        match = re.match(r"^([IVX1l|])\.?\s+([^\W\d_].*)$", entry.title) if entry.number is None else None
        if match is None:
            continue
        letter = "I" if match[1] in "1l|" else match[1]
        value = roman_value(letter)
        if value is not None and (value + 1 in values or value - 1 in values) and value not in values:
            entry.number, entry.title, entry.kind = letter, match[2], "roman"
            values.add(value)


def _mend_numbers(entries: Sequence[RawEntry]) -> None:
    """Letters that became numbers by a wide gap only count if others do too; roman numerals may be parts."""
    _add_romans(entries)
    letters = {entry.number for entry in entries if entry.kind == "letter" and entry.number}
    romans = {entry.number for entry in entries if entry.kind == "roman"}
    sections = {entry.number.split(".")[0] for entry in entries if entry.number and "." in entry.number}
    for entry in entries:
        match = re.match(r"^([A-Z])\s+(\S.*)$", entry.title) if entry.number is None else None
        if match and match[1] in sections:
            entry.number, entry.title, entry.kind, entry.depth = match[1], match[2], "letter", 1
    for kind, series in (
        ("letter", any(chr(ord(letter) + 1) in letters for letter in letters)),
        ("roman", len(romans) > 1),
    ):
        if series:
            continue  # else "A Day" and "A Book" begin with an article, "I Remember" with a pronoun
        for entry in entries:
            if entry.kind == kind and entry.number is not None and entry.number not in sections:
                entry.title, entry.number, entry.kind, entry.depth = f"{entry.number} {entry.title}", None, "", None
    arabic = sum(entry.depth == 1 and entry.kind == "" and entry.number is not None for entry in entries)
    for entry in entries:
        if entry.kind == "roman" and arabic >= 2:
            # Roman numerals above arabic chapters are parts; like "Part II" the designation stays in the title.
            entry.title, entry.kind = f"{entry.number} {entry.title}", "part"
