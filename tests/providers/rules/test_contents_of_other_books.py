"""Contents as other books have them: languages, places, columns, what engines do to them, and what the body proves."""

from __future__ import annotations

import pytest

from providers.rules.contents import extract, find
from providers.rules.labels import propose
from schemas.reading import Line, PageReading, Word
from tests.providers.reading_helpers import body, line, page
from tests.providers.rules.test_contents import contents_page, read

TITLES = ("Boote und Leute", "Taue im Wind", "Segel am Abend", "Winde aus West", "Das Ende vom Lied")


@pytest.mark.parametrize(
    "word",
    [
        *(
            "Inhalt",
            "INHALTSVERZEICHNIS",
            "Table des matières",
            "TABLE DES MATIÈRES",
            "Sommaire",
            "Índice",
            "ÍNDICE GENERAL",
        ),
        *("Indice", "Sommario", "Inhoud", "Contents", "Table of Contents"),
    ],
)
def test_the_word_in_other_languages(word: str) -> None:
    rows = [(title, str(1 + 20 * i)) for i, title in enumerate(TITLES[:3])]
    pages = [body(None), contents_page(*rows, heading=word), body("1"), body("2")]
    assert find(list(enumerate(pages, 1))).pages == [2]
    assert [(entry.title, entry.printed) for entry in read(pages[1])] == rows


def test_at_the_end_of_the_book() -> None:
    rows = [(title, str(1 + 20 * i)) for i, title in enumerate(TITLES)]
    first = [(n, body(str(n))) for n in range(1, 31)]
    last = [(n, body(str(n))) for n in range(189, 198)]
    contents = contents_page(*rows, heading="TABLE DES MATIÈRES")
    assert find([*first, *last, (198, contents), (199, page())]).pages == [198]


def test_an_index_at_the_end_is_no_contents() -> None:
    rows = [(f"harbour {word}", str(10 + 9 * i)) for i, word in enumerate("abcdefghij")]
    first = [(n, body(str(n))) for n in range(1, 31)]
    assert not find(
        [*first, (198, contents_page(*rows, heading="INDEX")), (199, contents_page(*rows, heading=None))]
    ).found


def test_headings_that_recur_tell_without_the_word_and_without_numbers() -> None:
    contents = page(*[line(title, 60, 90 + 20 * i) for i, title in enumerate(TITLES)])
    pages = [body(None), contents] + [
        body(str(n), heading=TITLES[n // 3] if n % 3 == 0 and n // 3 < len(TITLES) else None) for n in range(15)
    ]
    found = find(list(enumerate(pages, 1)))
    assert found.pages == [2]
    assert "headings of later pages" in found.reason


def test_a_page_that_quotes_two_titles_is_no_contents() -> None:
    quoting = page(*[line(text, 60, 90 + 20 * i) for i, text in enumerate((*TITLES[:2], *("words of all kinds",) * 8))])
    pages = [body(None), quoting] + [body(str(n), heading=TITLES[n] if n < len(TITLES) else None) for n in range(12)]
    assert not find(list(enumerate(pages, 1))).found


def test_points_that_were_misread() -> None:
    """Numbers follow one another: what has the digits of the next one is the next one."""
    found = read(
        contents_page(
            ("1 Boats", "1"), ("1.1 Small boats", "2"), ("1:2. Large boats", "4"), ("1,3 Rafts", "5"), ("1.3:1 Logs", "6"),
            ("2 Ropes", "9"), ("2.1 Knots", "10"), ("22 Splices", "12"), ("3 Winds", "20"),
        )
    )  # fmt: skip
    assert [(entry.number, entry.level) for entry in found] == [
        ("1", 1), ("1.1", 2), ("1.2", 2), ("1.3", 2), ("1.3.1", 3), ("2", 1), ("2.1", 2), ("2.2", 2), ("3", 1),
    ]  # fmt: skip
    assert [entry.title for entry in found][2:5] == ["Large boats", "Rafts", "Logs"]


def test_years_and_clock_times_are_no_numbering() -> None:
    found = read(
        contents_page(("1914: the war", "1"), ("10:30 at night", "9"), ("7,000 miles", "15"), ("The end", "30"))
    )
    assert [(entry.number, entry.title) for entry in found] == [
        (None, "1914: the war"),
        (None, "10:30 at night"),
        (None, "7,000 miles"),
        (None, "The end"),
    ]


def test_leaders_that_were_read_as_words() -> None:
    rows = [line("Fair Weather", 50, 90), line("Foul Weather", 50, 106), line("Storm", 50, 122)]
    rows[0].words += line("ae gece no oa", 130, 90, confidence=12).words + line("13", 340, 90).words
    rows[1].words += line(". . . . . .", 130, 106).words + line("21", 340, 106).words
    rows[2].words += line("ee", 130, 122, confidence=60).words + line("a", 160, 122, confidence=40).words
    rows[2].words += line("en Ge", 180, 122, confidence=30).words + line("34", 340, 122).words
    found = read(page(line("CONTENTS", 160, 50), *rows))
    assert [(entry.title, entry.printed) for entry in found] == [
        ("Fair Weather", "13"),
        ("Foul Weather", "21"),
        ("Storm", "34"),
    ]


def test_a_title_that_is_doubted_is_still_a_title() -> None:
    rows = [line(title, 50, 90 + 16 * i) for i, title in enumerate(("1.1 Boats", "1.2 Playback.", "1.3 Ropes"))]
    for i, row in enumerate(rows):
        row.words += line(str(3 + 2 * i), 340, 90 + 16 * i).words
    rows[1].words[1].confidence = 0.0
    found = read(page(line("CONTENTS", 160, 50), *rows))
    assert [(entry.number, entry.title, entry.printed) for entry in found][1] == ("1.2", "Playback", "5")


def test_a_column_of_numbers_that_was_read_as_one_line() -> None:
    titles = [line(title, 50, 90 + 16 * i) for i, title in enumerate(TITLES)]
    column = Line([Word(str(1 + 20 * i), (340, 90 + 16 * i, 352, 100 + 16 * i), 90.0) for i in range(len(TITLES))])
    found = read(page(line("INHALT", 160, 50), *titles, column))
    assert [(entry.title, entry.printed) for entry in found] == [(t, str(1 + 20 * i)) for i, t in enumerate(TITLES)]


class TestProof:
    """What the contents lost, where the body shows it."""

    def entries(
        self, *rows: tuple[str, str | None], doubted: int | None = None
    ) -> list[tuple[str | None, str, str | None, str]]:
        contents = contents_page(*rows)
        if doubted is not None:
            for word in contents.lines[1 + doubted * 2].words[1:]:
                word.confidence = 12.0
        headings = {4: "1.1 Boats", 7: "1.2 Naming", 10: "1.3 Sails", 13: "1.4 Winds"}
        readings = [(n, body(str(n - 3), heading=headings.get(n))) for n in range(4, 18)]
        labels: dict[int, str | None] = {n: str(n - 3) for n in range(4, 18)}
        found = extract([(3, contents)], [], labels, [(n, propose(reading)) for n, reading in readings])
        return [(entry.number, entry.title, entry.printed, entry.source) for entry in found]

    def test_a_lost_number_is_that_of_the_page_with_its_heading(self) -> None:
        found = self.entries(("1.1 Boats", "1"), ("1.2 Naming", None), ("1.3 Sails", "7"), ("1.4 Winds", "10"))
        assert found[1] == ("1.2", "Naming", "4", "printed+heading")
        assert {entry[3] for i, entry in enumerate(found) if i != 1} == {"printed"}

    def test_without_its_heading_it_stays_lost(self) -> None:
        found = self.entries(("1.1 Boats", "1"), ("1.2 Gulls", None), ("1.3 Sails", "7"), ("1.4 Winds", "10"))
        assert found[1] == ("1.2", "Gulls", None, "printed")

    def test_a_title_that_the_engines_doubt_is_that_of_the_heading_with_its_number(self) -> None:
        found = self.entries(("1.1 Boats", "1"), ("1.2 Neng", "4"), ("1.3 Sails", "7"), ("1.4 Winds", "10"), doubted=1)
        assert found[1] == ("1.2", "Naming", "4", "printed+heading")

    def test_a_title_that_they_do_not_doubt_stays(self) -> None:
        found = self.entries(("1.1 Boats", "1"), ("1.2 Names", "4"), ("1.3 Sails", "7"), ("1.4 Winds", "10"))
        assert found[1] == ("1.2", "Names", "4", "printed")


def test_numbers_of_the_outline_tell_titles_that_recur_apart() -> None:
    found = read(
        contents_page(("1 Boats", "1"), ("1.1 Summary", "2"), ("2 Ropes", "5"), ("2.1 Summary", "7")),
        outline=[(1, "1 Boats", 4), (1, "2 Ropes", 8), (2, "2.1 Summary", 10)],
    )
    assert [(entry.number, entry.title, entry.source) for entry in found] == [
        ("1", "Boats", "printed+outline"),
        ("1.1", "Summary", "printed"),
        ("2", "Ropes", "printed+outline"),
        ("2.1", "Summary", "printed+outline"),
    ]


def test_two_columns() -> None:
    left = [
        line(f"Boat {word} .... {3 * i + 1}", 30, 90 + 16 * i)
        for i, word in enumerate(["one", "two", "three", "four", "five"])
    ]
    right = [
        line(f"Rope {word} .... {3 * i + 20}", 215, 90 + 16 * i)
        for i, word in enumerate(["one", "two", "three", "four", "five"])
    ]
    for row in right:
        row.block = 1
    reading: PageReading = page(line("CONTENTS", 160, 50), *left, *right)
    found = read(reading)
    assert [(entry.title, entry.printed) for entry in found] == [
        *((f"Boat {word}", str(3 * i + 1)) for i, word in enumerate(["one", "two", "three", "four", "five"])),
        *((f"Rope {word}", str(3 * i + 20)) for i, word in enumerate(["one", "two", "three", "four", "five"])),
    ]
