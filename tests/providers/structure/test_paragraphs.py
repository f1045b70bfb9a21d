"""Paragraphs from lines: where they begin, how words are joined, and that none is lost."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Mapping, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from providers.structure.chapters import ChapterFacts, chapters
from providers.structure.edges import mark
from providers.structure.hyphens import Lexicon, running_text
from providers.structure.lines import Sheet
from providers.structure.links import link
from providers.structure.paragraphs import BookParagraphs, ParagraphFacts, paragraphs
from schemas.reading import Box, Line
from tests.providers.reading_helpers import line, sample_truth
from tests.providers.structure.books import book, prose, sample_book, sheet_of


def of(sheets: Sequence[Sheet], figures: Mapping[int, Sequence[Box]] | None = None) -> list[ParagraphFacts]:
    """The paragraphs of a book without contents, in reading order."""
    found = paragraphs(sheets, chapters([], [], sheets), figures)
    return [paragraph for part in found.chapters for paragraph in part]


def set_in(text: str, rows: int, y: float) -> list[Line]:
    """A paragraph: its first line set in and beginning with `text`, its last line short and ended."""
    lines = prose(rows, y=y)
    lines[0] = line(text.ljust(58, "o"), 62, y)
    lines[-1] = line("and that was the end.", 50, y + 14 * (rows - 1))
    return lines


class TestWhereParagraphsBegin:
    def test_by_indent(self) -> None:
        found = of(book([[*set_in("First", 5, 100), *set_in("Second", 4, 170), *set_in("Third", 6, 226)]]))
        assert [(paragraph.text.split("o")[0], len(paragraph.spans)) for paragraph in found] == [
            ("First", 5),
            ("Sec", 4),
            ("Third", 6),
        ]

    def test_by_leading(self) -> None:
        found = of(book([[*prose(5, y=100), *prose(6, y=190), *prose(4, y=294)]]))
        assert [len(paragraph.spans) for paragraph in found] == [5, 6, 4]

    def test_lists_are_kept_item_by_item(self) -> None:
        items = [line("1. The first thing to do is this and nothing else at all", 60, 170)]
        items += [line("but quietly.", 72, 184), line("2. The second thing to do is that.", 60, 198)]
        found = of(book([[*prose(4, y=100), line("Do this:", 50, 156), *items, *set_in("Then", 4, 226)]]))
        assert [(paragraph.kind, len(paragraph.spans)) for paragraph in found[1:3]] == [("list", 2), ("list", 1)]
        assert found[1].text.endswith("at all but quietly.")

    def test_columns_follow_the_reading(self) -> None:
        left, right = prose(12, x=40, width=28), prose(12, x=220, width=28)
        (whole,) = of(book([[*left, *right]]))
        assert [span[1] for span in whole.spans] == list(range(24))


class TestOverPages:
    def test_a_paragraph_goes_on_over_a_page_break_and_around_notes(self) -> None:
        notes = [line("1 See the first book of the same man, which says so", 50, 500, 8)]
        notes += [line("and more of that kind.", 50, 510, 8), line("2 Ibid., at the end.", 50, 520, 8)]
        pages = [[*prose(25), *notes, line("1", 198, 570)], [*prose(3), *set_in("Next", 20, 142), line("2", 198, 570)]]
        found = of(book(pages))
        assert [(paragraph.kind, paragraph.pages, len(paragraph.spans)) for paragraph in found] == [
            ("text", [1, 2], 28),
            ("footnote", [1], 2),
            ("footnote", [1], 1),
            ("text", [2], 20),
        ]
        assert found[1].text.endswith("says so and more of that kind.")

    def test_a_note_goes_on_at_the_foot_of_the_next_page(self) -> None:
        first = [*prose(20), line("* A long note that is not at its end when the page", 50, 500, 8)]
        second = [*prose(20), line("is, and so goes on here.", 50, 510, 8)]
        notes = [paragraph for paragraph in of(book([first, second])) if paragraph.kind == "footnote"]
        assert [(note.pages, note.text[-25:]) for note in notes] == [([1, 2], " is, and so goes on here.")]

    def test_a_word_that_the_page_break_divides(self) -> None:
        first, second = prose(20), prose(20)
        first[5] = line("it was a wonderful thing to see in the town at noon, they sa", 50, 170)
        first[-1] = line("and so it was that the people of the town went to see wonder-", 50, 366)
        second[0] = line("ful things that had come over the hill at noon when nobody", 50, 100)
        (whole,) = of(book([first, second]))
        assert "to see wonderful things" in whole.text


class TestFigures:
    def test_a_figure_with_its_words_its_caption_and_the_text_around_it(self) -> None:
        pages = [[*prose(6), line("valve", 150, 260, 7), line("Fig. 3. The engine.", 120, 335, 8), *prose(8, y=380)]]
        found = of(book(pages), {1: [(80.0, 200.0, 320.0, 325.0)]})
        assert [(paragraph.kind, paragraph.text) for paragraph in found if paragraph.kind != "text"] == [
            ("figure", "valve"),
            ("caption", "Fig. 3. The engine."),
        ]
        figure = next(paragraph for paragraph in found if paragraph.kind == "figure")
        assert (figure.crop, figure.pages) == ((1, 80.0, 200.0, 320.0, 325.0), [1])
        (text,) = [paragraph for paragraph in found if paragraph.kind == "text"]
        assert len(text.spans) == 14, "the text goes on under the figure"

    def test_a_plate_without_a_word(self) -> None:
        sheets = book([prose(20), [], prose(20)])
        assert [(p.kind, p.pages) for p in of(sheets, {2: [(50.0, 50.0, 350.0, 500.0)]}) if p.kind == "figure"] == [
            ("figure", [2])
        ]


def test_contents_are_kept_line_by_line() -> None:
    lines = [line("CONTENTS", 160, 80), line("The Wheels . . . . . 5", 50, 120), line("The Doctor", 50, 140)]
    sheet = sheet_of(1, *lines, line("9", 340, 140), kind="toc")
    mark([sheet])
    found = [p for part in paragraphs([sheet], chapters([], [], [sheet]), {}, frozenset({1})).chapters for p in part]
    assert [(paragraph.kind, paragraph.text) for paragraph in found] == [
        ("heading", "CONTENTS"),
        ("contents", "The Wheels . . . . . 5"),
        ("contents", "The Doctor 9"),
    ]


@pytest.mark.parametrize(
    ("known", "first", "second", "joined"),
    [
        (["tomorrow"], "to-", "morrow,", "tomorrow,"),
        (["to-morrow", "to-morrow", "tomorrow"], "to-", "morrow", "to-morrow"),
        (["well-known"], "“well-", "known", "“well-known"),
        (["anxiously"], "anx-", "ious", "anxious"),
        ([], "anx-", "iously", "anxiously"),
        (["house", "house", "boat", "boat"], "house-", "boat", "house-boat"),
        ([], "Anglo-", "Saxon", "Anglo-Saxon"),
        ([], "1914-", "18", "1914-18"),
        ([], "self-", "evident", "self-evident"),
        ([], "anx\u00ad", "iously", "anxiously"),
    ],
)
def test_divided_words(known: list[str], first: str, second: str, joined: str) -> None:
    assert Lexicon(known).joined(first, second) == joined


def test_a_dash_at_a_lines_end_is_no_hyphen() -> None:
    assert (
        running_text([["he", "said", "-"], ["nothing", "—"], ["at", "all"]], Lexicon()) == "he said - nothing — at all"
    )


def words_in(found: BookParagraphs) -> Counter[tuple[int, int, int]]:
    counted: Counter[tuple[int, int, int]] = Counter()
    for part in found.chapters:
        for paragraph in part:
            for page, at, first, last in paragraph.spans:
                counted.update((page, at, word) for word in range(first, last))
    for page, at, first, last, _ in found.left_out:
        counted.update((page, at, word) for word in range(first, last))
    return counted


def all_words(sheets: Sequence[Sheet]) -> set[tuple[int, int, int]]:
    return {
        (sheet.page, each.index, word) for sheet in sheets for each in sheet.lines for word in range(len(each.words))
    }


Scan = tuple[list[Sheet], list[ChapterFacts], BookParagraphs]


@pytest.fixture(scope="module")
def scan() -> Scan:
    """Sheets, chapters and paragraphs of the sample scan."""
    sheets, facts, names, contents, _ = sample_book()
    parts = chapters(names, link(facts, sheets, contents), sheets, contents)
    return sheets, parts, paragraphs(sheets, parts, {}, contents)


class TestTheSampleScan:
    def test_no_word_is_lost(self, scan: Scan) -> None:
        counted = words_in(scan[2])
        assert set(counted) == all_words(scan[0])
        assert set(counted.values()) == {1}

    def test_heads_and_numbers_are_out_and_headings_are_in(self, scan: Scan) -> None:
        _, parts, result = scan
        assert Counter(each[4] for each in result.left_out) == {"page_number": 24, "running_head": 17}
        for part, members in zip(parts, result.chapters, strict=True):
            if not part.bucket:
                assert members[0].kind == "heading"
                assert members[0].text.endswith(part.title.replace("Fimical", "Finical"))

    def test_paragraphs_are_those_of_the_truth(self, scan: Scan) -> None:
        text = " ".join(p.text for part in scan[2].chapters for p in part)
        for whole in (
            "looking anxiously ahead",
            "a meaningless jumble of cherubim",
            "the life-motto of George Stephenson",
        ):
            assert whole in text
        assert "-\n" not in text
        body = [p for part in scan[2].chapters for p in part if p.kind == "text" and p.pages[0] > 3]
        truth = sum(len(page["text"].split()) for page in sample_truth()["pages"][3:])
        assert sum(len(p.text.split()) for p in body) > 0.95 * truth
        over = [p for p in body if len(p.pages) == 2]
        assert len(over) >= 12, "of 17 page breaks within chapters"
        assert sum(p.text[-1] in ".!?”’" for p in body) >= 0.9 * len(body)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 4))
def test_whatever_stands_on_the_pages_no_word_is_lost(seed: int, count: int) -> None:
    draw = random.Random(seed)
    sheets, figures = [], {}
    pieces = ["1", "IV", "Fig. 2. A", "* note of it", "• thing", "CHAPTER II", "two-", "12 See", "CONTENTS", "THE HEAD"]
    for number in range(1, count + 1):
        lines = []
        for _ in range(draw.randrange(0, 18)):
            text = (
                draw.choice(pieces)
                if draw.random() < 0.4
                else " ".join(draw.choices(("some", "words", "of", "text"), k=6))
            )
            lines.append(
                line(text, draw.choice([40, 60, 220]), draw.randrange(20, 580), draw.choice([7, 10, 10, 10, 16]))
            )
        kind = draw.choice(["body", "body", "body", "toc", "index", "title_page"])
        sheets.append(
            sheet_of(
                number,
                *lines,
                label=draw.choice([None, str(number)]),
                header=draw.choice([None, "THE HEAD"]),
                kind=kind,
            )
        )
        if draw.random() < 0.3:
            figures[number] = [(40.0, 100.0, 300.0, 400.0)]
    mark(sheets)
    found = paragraphs(sheets, chapters([], [], sheets), figures)
    counted = words_in(found)
    assert set(counted) == all_words(sheets)
    assert set(counted.values()) <= {1}
    kinds = [paragraph.kind for part in found.chapters for paragraph in part]
    assert kinds.count("figure") == sum(map(len, figures.values()))
