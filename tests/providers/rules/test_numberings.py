"""Numberings as books have them: where the number stands, how it is dressed, and what else looks like one."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from providers.rules.labels import propose, sequence
from providers.rules.numerals import to_roman
from schemas.reading import PageReading
from tests.providers.reading_helpers import body, line, page


def texts(readings: Sequence[PageReading]) -> list[str | None]:
    return [label.label for label in sequence([propose(reading) for reading in readings])]


def at(text: str, x: float, y: float, *more: tuple[str, float, float]) -> PageReading:
    """A page of text with something at its edges."""
    lines = [line(text, x, y), *(line(*piece) for piece in more), *body(None).lines]
    return page(*sorted(lines, key=lambda row: row.box[1]))


NUMBERS = list(range(1, 13))
PLAIN = [str(n) for n in NUMBERS]


@pytest.mark.parametrize(
    "dress",
    [
        *(
            "{}",
            "– {} –",
            "- {} -",
            "[{}]",
            "({})",
            "Page {}",
            "Page {} of 300",
            "Seite {}",
            "p. {}",
            "{} | Chapter One",
        ),
        *("| {}", "• {} •", "~ {} ~", "Page {}/300", "{} of 300", "{}/300"),
    ],
)
def test_dresses_of_a_number(dress: str) -> None:
    assert texts([at(dress.format(n), 180, 570) for n in NUMBERS]) == PLAIN


def test_outer_corners_change_sides() -> None:
    assert texts([at(str(n), 350 if n % 2 else 40, 40) for n in NUMBERS]) == PLAIN


def test_a_folio_in_the_header_beside_a_chapters_number() -> None:
    """ "12 CHAPTER 3. THE SEA" and "3.1 Waves 13": the chapter's number stays, the page's grows."""
    readings = [
        at("CHAPTER 3. THE SEA", 120, 40, (str(n), 40, 40))
        if n % 2 == 0
        else at("3.1 Waves", 120, 40, (str(n), 350, 40))
        for n in range(30, 44)
    ]
    assert texts(readings) == [str(n) for n in range(30, 44)]


def test_a_chapters_number_alone_above_its_title_is_no_page_number() -> None:
    readings = []
    for n in range(1, 21):
        chapter = n // 5 + 1
        readings.append(at(str(chapter), 195, 70, (str(n), 195, 570)) if n % 5 == 0 else at(str(n), 195, 570))
    assert texts(readings) == [str(n) for n in range(1, 21)]


def test_a_year_in_the_header_is_no_page_number() -> None:
    readings = [at("1916", 190, 40, (str(n), 190, 570)) for n in NUMBERS]
    assert texts(readings) == PLAIN
    assert texts([at("1916", 190, 40) for _ in NUMBERS]) == [None] * 12


def test_verses_and_line_numbers_in_the_margin_are_no_page_numbers() -> None:
    readings = [at(str(n), 190, 570, ("5", 20, 206), ("10", 20, 276)) for n in NUMBERS]
    assert texts(readings) == PLAIN


def test_roman_front_matter_to_xxiv_then_one() -> None:
    front = [body(to_roman(n)) if n not in (1, 2, 4) else page(line("The Harbour", 100, 150, 30)) for n in range(1, 25)]
    text = [body(None, heading="One"), *[body(str(n), "A HEADER") for n in range(2, 20)]]
    found = texts(front + text)
    assert found[4:24] == [to_roman(n) for n in range(5, 25)]
    assert found[24:] == [str(n) for n in range(1, 20)]


def test_an_appendix_with_numbers_of_its_own() -> None:
    readings = [body(str(n)) for n in range(1, 15)] + [body(f"A-{n}") for n in range(1, 9)]
    readings += [body(f"I.{n}") for n in range(1, 7)]
    assert texts(readings) == [
        *map(str, range(1, 15)),
        *(f"A-{n}" for n in range(1, 9)),
        *(f"I.{n}" for n in range(1, 7)),
    ]


def test_two_volumes_in_one() -> None:
    readings = [body(str(n)) for n in range(1, 21)] + [page(line("Volume II", 120, 200, 24))]
    readings += [body(str(n)) for n in range(1, 21)]
    assert texts(readings) == [*map(str, range(1, 21)), None, *map(str, range(1, 21))]


def test_openings_of_chapters_without_a_number() -> None:
    readings = [body(None, heading="A chapter") if n % 6 == 1 else body(str(n)) for n in range(1, 40)]
    assert texts(readings) == [str(n) for n in range(1, 40)]


def test_no_number_on_any_page() -> None:
    assert texts([body(None) for _ in range(15)]) == [None] * 15


def test_numbers_of_lists_at_the_head_of_pages_are_none() -> None:
    readings = [at(f"{n % 3 + 1}. The harbour master sees the ship come in and", 50, 40) for n in range(15)]
    assert texts(readings) == [None] * 15


def test_notes_at_the_foot_are_no_page_numbers() -> None:
    readings = [at("1 Smith, Boats, p. 14", 50, 560, (str(n), 350, 40)) for n in NUMBERS]
    assert texts(readings) == PLAIN


def test_most_numbers_lost() -> None:
    """Every fourth is read: the rest follows, the pages beyond the last one too, and all that follows is marked."""
    readings = [body(str(n)) if n % 4 == 2 else body(None) for n in range(1, 40)]
    found = sequence([propose(reading) for reading in readings])
    assert [label.label for label in found] == [str(n) for n in range(1, 40)]
    assert [label.inferred for label in found] == [n % 4 != 2 for n in range(1, 40)]
    assert all(label.confidence <= 0.5 for label in found[38:])


def test_blank_pages_and_pictures_have_no_number_where_most_are_lost() -> None:
    readings = [body(str(n)) if n % 3 == 0 else body(None) for n in range(1, 31)]
    readings[9] = page()
    readings += [page(line("The end", 180, 300)), page()]
    found = texts(readings)
    assert found[9] is None
    assert found[30:] == [None, None]


def test_misread_numbers_count_where_the_others_confirm_them() -> None:
    wrong = {4: "AT", 6: "4g", 7: "S0", 8: "5l"}
    readings = [body(wrong.get(i, str(43 + i)), "A HEADER") for i in range(12)]
    assert texts(readings) == [str(43 + i) for i in range(12)]
    assert texts([body("AT", "A HEADER") for _ in range(12)]) == [None] * 12
