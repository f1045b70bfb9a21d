"""Novels, collections and scholarly books as their publishers set them: title pages, front matter, parts, contents, headers."""

from __future__ import annotations

import pytest

from providers.rules.labels import propose, sequence
from providers.rules.metadata import extract as read_metadata
from schemas.reading import Line, PageReading
from tests.providers.reading_helpers import body, line, page
from tests.providers.rules.test_contents import contents_page, read, shape


def types_of(*pages: PageReading) -> list[str]:
    return [label.page_type for label in sequence([propose(each) for each in pages])]


class TestContents:
    def test_a_head_over_the_numbers_of_chapters_is_no_entry(self) -> None:
        rows = contents_page(("I. The Harbour", "1"), ("II. The Pilot", "19"), ("III. The Storm", "40"))
        head = [line("CHAP.", 50, 75, 8), line("PAGE", 334, 75, 8)]
        assert shape(read(page(rows.lines[0], *head, *rows.lines[1:])))[0] == ("I", "The Harbour", 1, "1")

    def test_chapters_that_are_set_deeper_than_their_parts_are_lifted_once(self) -> None:
        rows = [
            ("Preface", "vii"),
            ("Part One: The Sea", "1"),
            ("Boats and crews", "3", 18),
            ("Ropes in the wind", "20", 18),
            ("Part Two: The Land", "41"),
            ("Sails at evening", "43", 18),
            ("Index", "60"),
        ]
        assert [entry.level for entry in read(contents_page(*rows))] == [1, 1, 2, 2, 1, 2, 1]

    def test_chapters_that_are_flush_with_their_parts_are_below_them(self) -> None:
        rows = [("Part One: The Sea", "1"), ("Boats and crews", "3"), ("Part Two: The Land", "41"), ("The end", "43")]
        assert [entry.level for entry in read(contents_page(*rows))] == [1, 2, 1, 2]


class TestHeaders:
    def test_chapter_over_every_chapter_is_no_header(self) -> None:
        pages = []
        for n in range(1, 41):
            opens = n % 5 == 1
            reading = body(str(n), None if opens else "BOATS AND CREWS")
            lines = [line("CHAPTER", 170, 85), *reading.lines] if opens else reading.lines
            pages.append(propose(page(*sorted(lines, key=lambda row: row.words[0].box[1]))))
        found = sequence(pages)
        assert {label.running_header for label in found[0::5]} == {None}
        assert {label.running_header for label in found[1::5]} == {"BOATS AND CREWS"}


class TestLabels:
    def test_the_first_page_of_a_preface_has_a_number_that_is_not_printed(self) -> None:
        front = [
            page(line("Boats", 150, 150, 24)),
            page(),
            body(None, heading="Preface"),
            body("iv"),
            body("v"),
            page(),
        ]
        found = sequence([propose(each) for each in (*front, *[body(str(n)) for n in range(1, 12)])])
        assert [(label.label, label.inferred) for label in found[:6]] == [
            (None, False),
            (None, False),
            ("iii", True),
            ("iv", False),
            ("v", False),
            (None, False),
        ]

    def test_one_roman_number_of_a_preface_is_enough(self) -> None:
        front = [page(line("Boats", 150, 150, 24)), page(), body(None, heading="Preface"), body("iv")]
        found = sequence([propose(each) for each in (*front, *[body(str(n)) for n in range(1, 12)])])
        assert [label.label for label in found[2:5]] == ["iii", "iv", "1"]

    def test_a_parts_title_is_page_one_and_its_blank_back_has_no_number(self) -> None:
        front = [page(line("Boats", 150, 150, 24)), page()]
        part = [page(line("PART ONE", 150, 200, 16), line("The Sea", 150, 230, 16)), page()]
        found = sequence([propose(each) for each in (*front, *part, *[body(str(n)) for n in range(3, 12)])])
        assert [label.label for label in found[:5]] == [None, None, "1", None, "3"]


class TestPageTypes:
    @pytest.mark.parametrize("rows", [("To", "ANNA"), ("For my mother",), ("TO ALL", "who go down to the sea")])
    def test_a_dedication_in_few_words(self, rows: tuple[str, ...]) -> None:
        dedication = page(*[line(text, 160, 200 + 20 * i) for i, text in enumerate(rows)])
        found = types_of(*front_matter(), dedication, page(), *[body(str(n)) for n in range(1, 12)])
        assert found[2] == "dedication"

    def test_to_be_is_no_dedication(self) -> None:
        epigraph = page(line("to be, or not to be", 100, 200))
        found = types_of(*front_matter(), epigraph, page(), *[body(str(n)) for n in range(1, 12)])
        assert found[2] != "dedication"


def front_matter(*below: Line) -> tuple[PageReading, PageReading]:
    """Title page and copyright page of "Boats of the North"."""
    title = page(line("Boats of the North", 60, 120, 26), *below, line("HARBOUR PRESS", 140, 500))
    text = "without permission in writing from the publisher of this"
    notice = [line("Copyright © 1960 by Harbour Press", 50, 300)]
    return title, page(*notice, *[line(text, 50, 320 + 14 * i) for i in range(4)])


class TestMetadata:
    def test_the_address_of_a_house_is_not_its_name(self) -> None:
        rows = [
            line("LONDON", 180, 500),
            line("SMITH, ELDER & CO., 15 WATERLOO PLACE", 60, 520),
            line("1870", 190, 545),
        ]
        found = read_metadata(
            list(enumerate([page(line("Boats", 150, 120, 26), *rows), *[body(str(n)) for n in range(1, 8)]], 1))
        )
        assert (found.publisher, found.place, found.year) == ("Smith, Elder & Co.", "London", 1870)

    def test_authors_that_are_listed_with_where_they_work(self) -> None:
        below = [
            line("Anna Lee", 60, 200, 12),
            line("University of the Sea", 60, 216, 9),
            line("Tom Wood", 60, 236, 12),
            line("Harbour College", 60, 252, 9),
            line("Eva Stone", 60, 440, 12),
        ]
        found = read_metadata(list(enumerate([*front_matter(*below), *[body(str(n)) for n in range(1, 8)]], 1)))
        assert found.authors == ["Anna Lee", "Tom Wood"], "who stands far below is somebody else"

    def test_a_notice_with_initials_attests_the_name(self) -> None:
        title, _ = front_matter(line("Anna-Maria Lee", 60, 200, 12), line("Grey Harbour", 60, 220, 12))
        text = "without permission in writing from the publisher of this"
        notice = page(line("© A.-M. Lee 1960", 50, 300), *[line(text, 50, 320 + 14 * i) for i in range(4)])
        found = read_metadata(list(enumerate([title, notice, *[body(str(n)) for n in range(1, 8)]], 1)))
        assert (found.authors, found.evidence["authors"].confidence) == (["Anna-Maria Lee"], 0.95)
