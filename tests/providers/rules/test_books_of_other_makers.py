"""Manuals, reports and articles: running headers with numbers on contents pages, titles above text, pages counted "3 / 233"."""

from __future__ import annotations

import pytest

from providers.rules.contents import extract, find
from providers.rules.labels import propose, sequence
from providers.rules.metadata import extract as read_metadata
from schemas.reading import Line, PageReading, Word
from tests.providers.reading_helpers import body, line, page
from tests.providers.rules.test_contents import contents_page, read, shape

TITLES = ("Boats and crews", "Ropes in the wind", "Sails at evening", "Winds from the west", "End of the song")


def headed(number: str, *rows: tuple[str, str], title: str = "A Book of Boats") -> PageReading:
    """A contents page under a running header, with its own number at the header's end."""
    rest = contents_page(*rows, heading=None)
    return page(line(title, 50, 40), line(number, 350 - 5 * len(number), 40), *rest.lines)


def numbered_rows(first: int, start: int, count: int) -> list[tuple[str, str]]:
    return [(f"{first + i} Of boats number {first + i}", str(start + 9 * i)) for i in range(count)]


class TestContents:
    @pytest.mark.parametrize("own", ["4", "iv"])
    def test_they_go_on_under_a_running_header_with_their_own_number(self, own: str) -> None:
        pages = [
            body(None),
            body(None),
            contents_page(*numbered_rows(1, 1, 6)),
            headed(own, *numbered_rows(7, 60, 6)),
            *[body(str(n)) for n in range(1, 6)],
        ]
        found = find(list(enumerate(pages, 1)))
        assert found.pages == [3, 4]
        entries = read(*pages[2:4])
        assert [entry.number for entry in entries] == [str(n) for n in range(1, 13)], "the header is no entry"

    def test_a_title_and_a_summary_above_them_are_no_entries(self) -> None:
        above = [line("A Book of Boats", 100, 20, 20), line("Anna Lee", 150, 44)]
        above += [line("What this book tells of boats and of the people in them", 60, 56 + 6 * i, 6) for i in range(3)]
        rows = contents_page(*numbered_rows(1, 4, 5), heading="Contents")
        below = [Line([word_down(word, 40) for word in each.words]) for each in rows.lines]
        assert [entry.number for entry in read(page(*above, *below))] == ["1", "2", "3", "4", "5"]

    def test_a_list_of_tables_below_them_is_another_list(self) -> None:
        rows = contents_page(*numbered_rows(1, 4, 5))
        tables = [line("List of Tables", 50, 200)]
        for i, title in enumerate(("Lengths of ropes", "Depths of harbours")):
            tables += [line(f"{i + 1} {title}", 50, 220 + 16 * i), line(str(9 + i), 345, 220 + 16 * i)]
        assert [entry.printed for entry in read(page(*rows.lines, *tables))] == ["4", "13", "22", "31", "40"]

    def test_a_list_of_tables_with_a_page_number_is_an_entry(self) -> None:
        entries = read(contents_page(*numbered_rows(1, 4, 5), ("List of Tables", "90")))
        assert (entries[-1].title, entries[-1].printed) == ("List of Tables", "90")

    def test_of_contents_in_brief_and_in_full_those_in_full_are_read(self) -> None:
        full: list[tuple[str, str]] = []
        for n in range(1, 6):
            full += [(f"{n} {TITLES[n - 1]}", str(10 * n)), (f"{n}.1 The first of them", str(10 * n + 2))]
        brief = contents_page(*full[::2], heading="Contents in brief")
        entries = read(brief, contents_page(*full))
        assert [entry.printed for entry in entries] == [number for _, number in full]
        assert {entry.level for entry in entries} == {1, 2}

    def test_entries_in_a_paragraph_are_told_apart(self) -> None:
        rows = [*numbered_rows(1, 4, 3), ("3.1 Boats of oak", "24")]
        paragraph = "3.1.1 Their width 25, 3.1.2 Their height 26, 3.1.3 Their age 27"
        found = read(contents_page(*rows, (paragraph, None), ("4 The end", "31")))
        assert [(e.number, e.title, e.printed, e.level) for e in found[4:7]] == [
            ("3.1.1", "Their width", "25", 3),
            ("3.1.2", "Their height", "26", 3),
            ("3.1.3", "Their age", "27", 3),
        ]

    def test_two_columns_a_few_points_apart_with_the_pages_number_between_them(self) -> None:
        lines = [line("A Book of Boats", 130, 20, 20)]
        lines += [line("What this book tells of boats and of the people in them", 60, 46 + 8 * i, 6) for i in range(6)]
        for i in range(6):
            for column, first in ((0, 1), (1, 7)):
                title = f"{first + i} Of boats {'. ' * 11}"
                lines += [
                    line(title.strip(), 40 + 166 * column, 100 + 16 * i),
                    line(str(first + i + 3), 186 + 166 * column, 100 + 16 * i),
                ]
        lines.append(line("1", 200, 570))
        found = read(page(*lines))
        assert [(entry.number, entry.printed) for entry in found] == [(str(n), str(n + 3)) for n in range(1, 13)]

    def test_a_heading_in_the_middle_of_its_page_is_found_by_its_reading(self) -> None:
        """The table "Ropes" two pages on has the title at its head; the section is on the page that the contents name."""
        here = body("2", rows=24)
        here.lines[12] = line("Ropes in the wind", 50, here.lines[12].box[1])
        pages = {1: body("1"), 2: here, 3: body("3"), 4: body("4", heading="Ropes in the wind")}
        contents = contents_page(("Boats and crews", "1"), ("Ropes in the wind", "2"), ("End of the song", "4"))
        known = (
            [(9, contents)],
            (),
            {n: str(n) for n in pages},
            [(n, propose(reading)) for n, reading in pages.items()],
        )
        assert extract(*known)[1].page == 4
        entry = extract(*known, reading_of=pages.get)[1]
        assert (entry.page, entry.confidence) == (2, 0.95)


def word_down(word: Word, points: float) -> Word:
    x0, y0, x1, y1 = word.box
    return Word(word.text, (x0, y0 + points, x1, y1 + points), word.confidence)


class TestLabels:
    @pytest.mark.parametrize("form", ["{} / 40", "{}/40", "{} of 40", "Page {} of 40"])
    def test_pages_that_are_counted(self, form: str) -> None:
        pages = []
        for n in range(1, 9):
            lines = [line("A Book of Boats", 50, 40), line(form.format(n), 300, 40), *body(None).lines]
            pages.append(propose(page(*lines)))
        found = sequence(pages)
        assert [label.label for label in found] == [str(n) for n in range(1, 9)]
        assert {label.running_header for label in found} == {"A Book of Boats"}

    def test_more_than_there_are_is_no_count(self) -> None:
        pages = [propose(page(line("of 9/4 tons", 50, 40), *body(str(n)).lines)) for n in range(1, 9)]
        assert [label.label for label in sequence(pages)] == [str(n) for n in range(1, 9)]


class TestMetadata:
    def book(self, *first: Line, header: str | None = None) -> list[tuple[int, PageReading]]:
        return list(enumerate([page(*first), *[body(str(n), header) for n in range(1, 8)]], 1))

    def test_a_title_page_with_its_notice_and_a_word_on_the_book(self) -> None:
        text = "this manual tells of boats and how the people of the town may come to have them"
        found = read_metadata(
            self.book(
                line("A Manual of Boats", 60, 80, 24),
                line("for beginners", 60, 110, 14),
                line("Anna Lee", 60, 150, 14),
                *[line(text[: 60 + i % 3], 50, 220 + 14 * i) for i in range(14)],
                line("Copyright © 2004 Anna Lee", 50, 440),
                header="Chapter 1: Rowing",
            )
        )
        assert (found.title, found.subtitle, found.authors) == ("A Manual of Boats", "for beginners", ["Anna Lee"])

    def test_an_article_begins_with_its_title(self) -> None:
        text = "and so it was that the people of the town went to see what had come over the hill"
        found = read_metadata(
            self.book(
                line("Boats of the North", 90, 60, 18),
                line("Anna Lee", 150, 90, 12),
                line("Abstract", 180, 120, 10),
                *[line(text[: 60 + i % 3], 50, 140 + 14 * i) for i in range(28)],
            )
        )
        assert (found.title, found.authors) == ("Boats of the North", ["Anna Lee"])

    def test_a_book_that_begins_with_a_chapter_says_no_title(self) -> None:
        first = body("1").lines
        found = read_metadata(
            self.book(line("Chapter 1", 150, 60, 18), line("Rowing", 150, 90, 18), *first, header="Chapter 1: Rowing")
        )
        assert found.title is None

    def test_a_few_pages_from_the_middle_of_a_book_say_no_title(self) -> None:
        pages = [body(str(n), heading="Rowing on the River" if n == 45 else None) for n in range(45, 53)]
        found = read_metadata(list(enumerate(pages, 1)))
        assert found.title is None
        labelled = sequence([propose(reading) for reading in pages])
        assert {label.page_type for label in labelled} == {"body"}

    @pytest.mark.parametrize("row", ["Version 4.2.2 (2022-11-10)", "For version 2.85", "Release 12", "2022-09-08"])
    def test_a_version_is_no_subtitle(self, row: str) -> None:
        found = read_metadata(self.book(line("Boats", 100, 120, 28), line(row, 100, 170, 12)))
        assert (found.title, found.subtitle) == ("Boats", None)

    def test_the_rest_of_a_title_is_no_name(self) -> None:
        rows = [line("The Boat Book", 60, 120, 28), line("for", 60, 170, 12), line("Careful Rowing", 60, 190, 12)]
        found = read_metadata(self.book(*rows, line("Anna Lee", 60, 260, 12)))
        assert (found.subtitle, found.authors) == ("for Careful Rowing", ["Anna Lee"])

    def test_marks_of_footnotes_are_not_parts_of_names(self) -> None:
        found = read_metadata(
            self.book(
                line("Boats of the North", 60, 120, 26),
                line("Anna Lee1", 100, 200, 12),
                line("Tom Wood 2", 100, 220, 12),
            )
        )
        assert (found.authors, found.subtitle) == (["Anna Lee", "Tom Wood"], None)

    def test_a_long_word_that_the_engine_doubts_is_still_of_the_title(self) -> None:
        title = line("Boats Import/Export", 60, 120, 26)
        title.words[1].confidence = 40.0
        ornament = line("ae", 180, 200, 20, confidence=40)
        assert read_metadata(self.book(title, ornament)).title == "Boats Import/Export"

    def test_what_the_text_has_in_capitals_stays_in_capitals(self) -> None:
        pages = self.book(line("BOATS FOR NATO", 60, 120, 26))
        pages[2][1].lines.append(line("as the ships of NATO had to be made anew", 50, 480))
        assert read_metadata(pages).title == "Boats for NATO"


def test_contents_pages_of_another_kind_keep_their_shape() -> None:
    """Nothing of the above changes a plain list."""
    rows = [(title, str(1 + 20 * i)) for i, title in enumerate(TITLES)]
    assert shape(read(contents_page(*rows))) == [(None, title, 1, number) for title, number in rows]
