"""Novels, collections and scholarly books as their publishers set them: title pages, front matter, parts, contents, headers."""

from __future__ import annotations

import pytest

from providers.rules.contents import extract
from providers.rules.labels import propose, sequence
from providers.rules.metadata import Metadata
from providers.rules.metadata import extract as read_metadata
from schemas.reading import Line, PageReading, Word
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

    def test_authors_below_their_essays_are_no_entries(self) -> None:
        rows: list[tuple[str, str | None]] = []
        for i, (title, author) in enumerate(
            (
                ("Boats and crews", "Anna Lee"),
                ("Ropes in the wind", "R. Stone, T. Wood"),
                ("Sails at evening", "Eva Holm"),
            )
        ):
            rows += [(title, str(1 + 20 * i)), (author, None)]
        expected = [("Boats and crews", "1"), ("Ropes in the wind", "21"), ("Sails at evening", "41")]
        assert [(e.title, e.printed) for e in read(contents_page(*rows))] == expected
        above = [row for pair in zip(rows[1::2], rows[::2], strict=True) for row in pair]
        assert [(e.title, e.printed) for e in read(contents_page(*above))] == expected

    def test_authors_of_entries_whose_number_was_lost(self) -> None:
        rows: list[tuple[str, str | None]] = [("Of the boats and crews", None), ("Anna Lee", None)]
        for title, number, author in (
            ("Ropes", "21", "Tom Wood"),
            ("Sails", "41", "Eva Holm"),
            ("Winds", "61", "R. Stone"),
        ):
            rows += [(title, number), (author, None)]
        assert [e.title for e in read(contents_page(*rows))] == ["Of the boats and crews", "Ropes", "Sails", "Winds"]

    def test_eleven_that_was_read_as_a_roman_number(self) -> None:
        rows = [("Preface", "ii"), ("Boats", "1"), ("Ropes", "9"), ("Sails", "ii"), ("Winds", "13")]
        assert [e.printed for e in read(contents_page(*rows))] == ["ii", "1", "9", "11", "13"]

    def test_parts_without_numbers_that_look_like_names_are_entries(self) -> None:
        rows = [("Old Friends", None), *[(f"Of boats number {i}", str(9 * i)) for i in (1, 2, 3)]]
        rows += [("New Worlds", None), *[(f"Of ropes number {i}", str(9 * i)) for i in (4, 5, 6)]]
        entries = read(contents_page(*rows))
        assert [entry.level for entry in entries] == [1, 2, 2, 2, 1, 2, 2, 2]

    def test_a_chapters_number_in_a_row_of_its_own_goes_with_its_title(self) -> None:
        rows = [("CHAPTER I.", None, 100), ("THE HARBOUR", "1"), ("CHAPTER II.", None, 100), ("THE PILOT", "19")]
        assert [(e.title, e.printed) for e in read(contents_page(*rows))] == [
            ("CHAPTER I. THE HARBOUR", "1"),
            ("CHAPTER II. THE PILOT", "19"),
        ]

    def test_a_part_without_a_title_is_not_joined_to_its_first_chapter(self) -> None:
        rows = [("PART I", None, 100), ("The Harbour", "1"), ("PART II", None, 100), ("The Pilot", "19")]
        assert [e.title for e in read(contents_page(*rows))] == ["PART I", "The Harbour", "PART II", "The Pilot"]

    def test_contents_at_the_end_list_what_stands_before_them(self) -> None:
        part = page(line("PREMIÈRE PARTIE", 120, 200, 14), line("LE FLEUVE", 140, 230, 20))
        pages = {1: part, 2: page(), **{n: body(str(n)) for n in range(3, 12)}}
        contents = contents_page(("PREMIÈRE PARTIE. — LE FLEUVE", None), ("I. Le gué", "3"), ("II. La barque", "7"))
        found = extract(
            [(12, contents)], (), {n: str(n) for n in pages}, [(n, propose(reading)) for n, reading in pages.items()]
        )
        assert found[0].page == 1

    @pytest.mark.parametrize("number", ["Page 3 of 17", "– iii –", "[3]"])
    def test_the_pages_own_number_is_no_entry(self, number: str) -> None:
        rows = contents_page(("Boats and crews", "1"), ("Ropes in the wind", "20"), ("Sails at evening", "40"))
        assert len(read(page(*rows.lines, line(number, 180, 570)))) == 3

    def test_numbers_by_chapter(self) -> None:
        """ "1-3" stands where page numbers stand; "1.3" numbers a section, "1914-18" belongs to a title."""
        rows = contents_page(
            ("Section 1. Boats", "1-1"),
            ("Their Crews, 1914-18", "1-3"),
            ("Section 2. Ropes", "2-1"),
            ("Their ends", "2-4"),
        )
        assert [(e.title, e.printed) for e in read(rows)][1::2] == [
            ("Their Crews, 1914-18", "1-3"),
            ("Their ends", "2-4"),
        ]

    def test_leaders_in_a_line_of_their_own_belong_to_the_row_around_them(self) -> None:
        words = [*line("Boats and crews", 50, 90).words, *line("1", 345, 90).words]
        rows = contents_page(("Ropes in the wind", "20"), ("Sails at evening", "40")).lines
        found = read(
            page(rows[0], Line(words), line("." * 38, 140, 90), *[Line([down(w) for w in r.words]) for r in rows[1:]])
        )
        assert next((entry.title, entry.printed) for entry in found) == ("Boats and crews", "1")

    def test_parts_that_are_numbered_by_a_word(self) -> None:
        rows = [("Erster Teil: Der Fluss", "7"), ("Ankunft", "9"), ("Zweiter Teil: Das Haus", "41"), ("Abschied", "43")]
        assert [entry.level for entry in read(contents_page(*rows))] == [1, 2, 1, 2]


def down(word: Word) -> Word:
    x0, y0, x1, y1 = word.box
    return Word(word.text, (x0, y0 + 20, x1, y1 + 20), word.confidence)


class TestHeaders:
    def test_a_series_on_the_title_page_is_no_header(self) -> None:
        title = page(line("NORTHERN STUDIES", 120, 40), line("Boats of the North", 60, 150, 26))
        pages = [title, page(), *[body(str(n), "BOATS AND CREWS") for n in range(1, 12)]]
        found = sequence([propose(each) for each in pages])
        assert [label.running_header for label in found[:3]] == [None, None, "BOATS AND CREWS"]

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

    def test_headers_of_chapters_so_short_that_none_recurs(self) -> None:
        words = ("anchors", "boats", "crews", "dunes", "ebb", "fog", "gulls", "harbours", "islands", "jetties")
        pages = []
        for n in range(1, 11):
            header = line(f"{words[n - 1]} of the {words[-n]}", 50, 40)
            pages.append(propose(page(header, line(str(n), 350, 40), *body(None).lines)))
        assert all(label.running_header for label in sequence(pages))

    def test_a_large_line_at_the_head_of_chapters_is_no_header(self) -> None:
        pages = []
        for n in range(1, 31):
            reading = body(str(n))
            lines = [line(f"CHAPTER {n // 3 + 1}", 140, 100, 14), *reading.lines] if n % 3 == 1 else reading.lines
            pages.append(propose(page(*lines)))
        assert {label.running_header for label in sequence(pages)} == {None}


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

    def test_a_second_part_begins_with_one_again_behind_three_pages_without_numbers(self) -> None:
        part = [page(line("BURIALS.", 150, 200, 20)), page(), body(None, heading="In the Church")]
        pages = [*[body(str(n)) for n in range(1, 12)], *part, *[body(str(n)) for n in range(4, 12)]]
        found = sequence([propose(each) for each in pages])
        assert [(label.label, label.inferred) for label in found[11:15]] == [
            ("1", True),
            (None, False),
            ("3", True),
            ("4", False),
        ]

    @pytest.mark.parametrize("form", ["- {} -", "[{}]", "Page {}"])
    def test_numbers_with_signs_around_them(self, form: str) -> None:
        pages = [propose(page(*body(None).lines, line(form.format(n), 190, 570))) for n in range(1, 9)]
        assert [label.label for label in sequence(pages)] == [str(n) for n in range(1, 9)]


class TestPageTypes:
    def test_an_old_copyright_page_says_who_printed_the_book(self) -> None:
        printer = page(line("PRINTED BY WILLIAM CLOWES AND SONS", 80, 500, 8), line("STAMFORD STREET", 120, 512, 8))
        rows = [(f"Of boats number {i}", str(9 * i)) for i in range(1, 8)]
        pages = [front_matter()[0], printer, contents_page(*rows), page(), *[body(str(n)) for n in range(1, 12)]]
        assert types_of(*pages)[:3] == ["title_page", "copyright", "toc"]

    def test_a_printer_behind_the_place(self) -> None:
        printer = page(
            line("LONDON: PRINTED BY W. CLOWES AND SONS,", 80, 500, 8), line("STAMFORD STREET.", 120, 512, 8)
        )
        pages = [front_matter()[0], printer, *[body(str(n)) for n in range(1, 12)]]
        assert types_of(*pages)[:2] == ["title_page", "copyright"]

    def test_a_cover_says_what_the_title_page_says(self) -> None:
        rows = [
            line("Boats at Risk", 60, 120, 26),
            line("A Review of Practice", 60, 160, 14),
            line("June 2009", 60, 220, 11),
        ]
        pages = [
            page(*rows),
            page(),
            page(*rows),
            notice_page("Copyright © 2009"),
            *[body(str(n)) for n in range(1, 12)],
        ]
        assert types_of(*pages)[:4] == ["cover", "blank", "title_page", "copyright"]

    def test_a_list_of_figures_behind_contents_is_a_list(self) -> None:
        rows = [(f"Of boats number {i} {'.' * 20}", str(9 * i)) for i in range(1, 8)]
        figures = contents_page(*rows, heading="LIST OF FIGURES")
        pages = [*front_matter(), contents_page(*rows), figures, *[body(str(n)) for n in range(1, 12)]]
        assert types_of(*pages)[2:4] == ["toc", "list"]

    def test_an_index_with_leaders_at_the_end_of_a_short_book_is_no_contents(self) -> None:
        rows = [
            (f"{word} {'.' * 30}", str(3 * i % 20 + 1))
            for i, word in enumerate(["anchor", "boat", "crew", "dune", "ebb", "fog", "gull"])
        ]
        pages = [*front_matter(), *[body(str(n)) for n in range(1, 18)], contents_page(*rows, heading="Index")]
        assert types_of(*pages)[-1] != "toc"

    def test_contents_at_the_end_of_a_long_book(self) -> None:
        rows = [(f"Of boats number {i}", str(9 * i)) for i in range(1, 8)]
        pages = [
            *front_matter(),
            *[body(str(n)) for n in range(1, 90)],
            contents_page(*rows, heading="TABLE DES MATIÈRES"),
        ]
        assert types_of(*pages)[-1] == "toc"

    def test_an_introduction_to_something_is_a_title(self) -> None:
        title = page(line("Introduction", 120, 120, 26), line("to", 190, 150, 20), line("Rowing", 150, 180, 26))
        assert (
            types_of(title, notice_page("Copyright © 2009"), *[body(str(n)) for n in range(1, 12)])[0] == "title_page"
        )

    def test_a_preface_goes_on_under_a_header_whose_number_has_a_tall_box(self) -> None:
        second = body(None)
        header = line("iv BOATS OF THE NORTH", 50, 40, 8)
        x0, y0, x1, _ = header.words[0].box
        header.words[0] = Word("iv", (x0, y0 - 6, x1, y0 + 10), 96)
        preface = [body(None, heading="Preface"), page(header, *second.lines)]
        found = types_of(*front_matter(), *preface, *[body(str(n)) for n in range(1, 12)])
        assert found[2:5] == ["preface", "preface", "body"]

    def test_contents_without_a_heading_before_the_text(self) -> None:
        rows = [(f"Of boats number {i}", str(9 * i)) for i in range(1, 8)]
        pages = [*front_matter(), contents_page(*rows, heading=None), page(), *[body(str(n)) for n in range(1, 12)]]
        assert types_of(*pages)[2] == "toc"

    def test_a_foreword_has_numbers_that_go_on_from_the_title_page(self) -> None:
        text = [body(str(n)) for n in range(5, 40)]
        pages = [*front_matter(), body("3", heading="Foreword"), body("4"), body("5", heading="The Harbour"), *text[1:]]
        assert types_of(*pages)[2:5] == ["foreword", "foreword", "body"]

    def test_acknowledgements_at_the_end(self) -> None:
        pages = [*front_matter(), *[body(str(n)) for n in range(1, 30)], body("30", heading="Acknowledgments")]
        assert types_of(*pages)[-1] == "acknowledgements"

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


def title_page(*below: str, name: str = "ANNA LEE") -> PageReading:
    """ "Boats of the North", a name, and rows at the foot."""
    rows = [line(text, 120, 480 + 18 * i) for i, text in enumerate(below)]
    return page(line("Boats of the North", 60, 120, 26), line(name, 150, 220, 12), *rows)


def notice_page(*rows: str) -> PageReading:
    text = "without permission in writing from the publisher of this"
    return page(
        *[line(row, 50, 250 + 14 * i, 8) for i, row in enumerate(rows)],
        *[line(text, 50, 250 + 14 * (len(rows) + i), 8) for i in range(3)],
    )


def metadata_of(title: PageReading, *notice: str) -> Metadata:
    pages = [title, notice_page(*notice) if notice else page(), *[body(str(n)) for n in range(1, 8)]]
    return read_metadata(list(enumerate(pages, 1)))


class TestImprint:
    @pytest.mark.parametrize(
        ("foot", "publisher", "place"),
        [
            (("LONDON", "COBDEN-SANDERS", "MCMXXXI"), "Cobden-Sanders", "London"),
            (("FABER & LANE", "24 Russell Square", "London"), "Faber & Lane", "London"),
            (("INDIANAPOLIS", "BOBBS & MERROW COMPANY", "PUBLISHERS"), "Bobbs & Merrow Company", "Indianapolis"),
            (("Saltmarsh Editions · Norwich",), "Saltmarsh Editions", "Norwich"),
            (("BRANDT PRESS", "Des Moines, Iowa"), "Brandt Press", "Des Moines"),
            (("ACADEMIC HOUSE", "San Diego London Boston New York Sydney"), "Academic House", "San Diego"),
            (("CAMBRIDGE", "AT THE UNIVERSITY PRESS", "1925"), "Cambridge University Press", "Cambridge"),
            (("LONDON:", "JOHN MURGATROYD, ALBEMARLE STREET.", "1858."), "John Murgatroyd", "London"),
            (("STOWBRIDGE", "PRINTED FOR THE RECORD SOCIETY", "1899"), "Record Society", "Stowbridge"),
        ],
    )
    def test_at_the_foot_of_the_title_page(self, foot: tuple[str, ...], publisher: str, place: str) -> None:
        found = metadata_of(title_page(*foot))
        assert (found.publisher, found.place) == (publisher, place)

    @pytest.mark.parametrize(
        ("foot", "notice", "publisher", "place"),
        [
            (
                ("WEAVER MEDIA",),
                (
                    "Copyright © 2021 Anna Lee",
                    "Published by Weaver Media, Inc., 1005 Gravenstein Road, Sebastopol, CA 95472.",
                ),
                "Weaver Media",
                "Sebastopol",
            ),
            (
                ("OXBRIDGE", "UNIVERSITY PRESS"),
                ("OXBRIDGE UNIVERSITY PRESS", "Great Clarion Street, Oxford OX2 6DP", "© Anna Lee 2009"),
                "OXBRIDGE UNIVERSITY PRESS",
                "Oxford",
            ),
            (
                ("FENBRIDGE", "UNIVERSITY PRESS"),
                (
                    "Fenbridge, New York, Melbourne, Madrid, Cape Town",
                    "Published in the United States by Fenbridge University Press, New York",
                    "© Anna Lee 2008",
                ),
                "Fenbridge University Press",
                "Fenbridge",
            ),
            (("Sommer",), ("Sommer Heidelberg Dordrecht London New York", "© Sommer 2011"), "Sommer", "Heidelberg"),
            (
                ("Lindenhof Verlag",),
                ("© Lindenhof Verlag, Frankfurt am Main 2003",),
                "Lindenhof Verlag",
                "Frankfurt am Main",
            ),
            (
                (),
                (
                    "First published in mcmlxii",
                    "by Faber & Lane Limited",
                    "Printed in Great Britain by",
                    "Trend & Co Ltd",
                    "© Anna Lee",
                ),
                "Faber & Lane Limited",
                None,
            ),
            (
                (),
                ("Penfold Books Ltd, Harmondsworth, Middlesex, England", "Copyright © Anna Lee, 1974"),
                "Penfold Books Ltd",
                "Harmondsworth",
            ),
        ],
    )
    def test_with_the_copyright_page(
        self, foot: tuple[str, ...], notice: tuple[str, ...], publisher: str, place: str | None
    ) -> None:
        found = metadata_of(title_page(*foot), *notice)
        assert ((found.publisher or "").casefold(), found.place) == (publisher.casefold(), place)

    def test_a_printer_is_no_publisher(self) -> None:
        found = metadata_of(title_page(), "COPYRIGHT, 1904, BY ANNA LEE", "PRINTED BY", "THE DEVINNE PRESS")
        assert found.publisher is None

    def test_a_name_far_above_the_house_is_no_place(self) -> None:
        assert metadata_of(title_page("WEAVER PRESS")).place is None

    def test_a_year_in_roman_letters(self) -> None:
        assert metadata_of(title_page("Weaver Press"), "First published in mcmlxii", "All rights reserved").year == 1962

    def test_a_date_under_the_names(self) -> None:
        title = page(*title_page().lines, line("March 2020", 150, 245, 11))
        assert metadata_of(title).year == 2020

    def test_an_isbn_that_is_spelt_out(self) -> None:
        found = metadata_of(title_page(), "Copyright © 1996", "International Standard Book Number: 0-345-52010-6")
        assert found.isbn == ["9780345520104"]


class TestTitleAndNames:
    def test_a_novel_is_no_part_of_the_title_though_the_catalogue_has_it_so(self) -> None:
        rows = [line("THE SALT ROAD", 60, 120, 26), line("A NOVEL", 150, 160, 20), line("ANNA LEE", 150, 300, 14)]
        found = metadata_of(page(*rows), "Copyright © 2014 by Anna Lee", "The salt road : a novel / Anna Lee.")
        assert (found.title or "").casefold() == "the salt road"

    def test_a_subtitle_that_ends_in_years(self) -> None:
        rows = [
            line("Bread and Bells", 60, 120, 26),
            line("Life in a Northern Port,", 60, 160, 13),
            line("1540–1680", 150, 178, 13),
        ]
        found = metadata_of(page(*rows, line("ANNA LEE", 150, 300, 13)), "© Anna Lee 2009")
        assert (found.title, found.subtitle) == ("Bread and Bells", "Life in a Northern Port, 1540–1680")

    def test_a_title_whose_second_row_begins_with_third(self) -> None:
        rows = [line("Proceedings of the", 60, 120, 26), line("Third Workshop on Boats", 60, 150, 26)]
        assert metadata_of(page(*rows)).title == "Proceedings of the Third Workshop on Boats"

    def test_a_subtitle_that_the_citation_has_behind_the_title(self) -> None:
        rows = [line("Boats at Risk", 60, 120, 26), line("A Review of Practice", 60, 150, 14)]
        found = metadata_of(
            page(*rows), "© 2009", "Suggested citation: Boats at Risk: A Review of Practice. London: Sea; 2009."
        )
        assert (found.title, found.subtitle) == ("Boats at Risk", "A Review of Practice")

    @pytest.mark.parametrize(
        ("row", "subtitle"), [("With an Account of Its Rivers", True), ("With numerous illustrations", False)]
    )
    def test_with_what(self, row: str, subtitle: bool) -> None:
        found = metadata_of(page(line("Boats of the North", 60, 120, 26), line(row, 60, 170, 13)))
        assert found.subtitle == (row if subtitle else None)

    def test_the_half_title_has_the_article_that_the_title_page_lost(self) -> None:
        title = page(line("HEIR OF DUNMORE", 60, 120, 26), line("ANNA LEE", 150, 220, 12), line("LONDON", 150, 500))
        half = page(line("The Heir of Dunmore", 100, 180, 12))
        pages = [half, page(), title, notice_page("© Anna Lee"), *[body(str(n)) for n in range(1, 12)]]
        assert read_metadata(list(enumerate(pages, 1))).title == "The Heir of Dunmore"

    def test_running_headers_have_the_first_words_of_a_title_whose_small_word_was_lost(self) -> None:
        rows = [line("THE ADVENTURES", 120, 90, 11), line("CAPTAIN BOLD", 60, 150, 26), line("ANNA LEE", 150, 260, 12)]
        text = [body(str(n), "THE ADVENTURES OF CAPTAIN BOLD") for n in range(1, 12)]
        pages = [page(*rows, line("LONDON", 150, 500)), notice_page("© Anna Lee"), *text]
        assert read_metadata(list(enumerate(pages, 1))).title == "The Adventures of Captain Bold"

    def test_the_second_edition_is_no_part_of_it(self) -> None:
        rows = [line("Boats of the North", 60, 120, 26), line("Second, Revised Edition", 60, 170, 13)]
        assert (metadata_of(page(*rows)).title, metadata_of(page(*rows)).subtitle) == ("Boats of the North", None)

    @pytest.mark.parametrize(
        ("rows", "authors"),
        [
            (("Mikhail Orlov", "", "TRANSLATED WITH AN INTRODUCTION BY", "Rosamund Edge"), ["Mikhail Orlov"]),
            (("with drawings by Iain Ross", "", "Fiona Lee"), ["Fiona Lee"]),
            (("Anna Lee • Tom Wood",), ["Anna Lee", "Tom Wood"]),
            (("BY THE", "REV. H. G. WOOD, D.D."), ["H. G. Wood"]),
            (("Edited by", "Anna Lee", "Tom Wood"), ["Anna Lee", "Tom Wood"]),
            (("Anna Lee", "", "Edited by", "Tom Wood"), ["Anna Lee"]),
            (("TRANSCRIBED AND EDITED BY", "WILLIAM CADE, M.A., F.S.A."), ["William Cade"]),
        ],
    )
    def test_who_wrote_it_and_who_helped(self, rows: tuple[str, ...], authors: list[str]) -> None:
        lines = [line(row, 100, 200 + 16 * i, 12) for i, row in enumerate(rows)]
        found = metadata_of(page(line("Boats of the North", 60, 120, 26), *lines), "Copyright © Rosamund Edge, 1974")
        assert found.authors == authors


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
