"""Missing and doubled leaves, by the printed numbers and the texts."""

from __future__ import annotations

from collections.abc import Sequence

from providers.rules.labels import propose, sequence
from providers.rules.leaves import LeafNote, leaf_report
from schemas.reading import PageReading
from tests.providers.reading_helpers import line, page

WORDS = [
    *("harbour", "rope", "sail", "wind", "tide", "port", "crew", "mast", "anchor", "gull", "storm"),
    *("lamp", "stone", "sand", "wave", "net", "oar", "hull", "fog", "bell"),
]


def text_page(number: int | str | None, seed: int) -> PageReading:
    """A page of ten lines whose words nobody else's are in that order."""
    lines = [] if number is None else [line(str(number), 200, 570)]
    for row in range(10):
        words = [WORDS[(seed * 7 + row * 3 + k * (seed % 5 + 1)) % len(WORDS)] for k in range(8)]
        lines.append(line(f"{' '.join(words)} {seed * 31 + row}x", 50, 100 + 14 * row))
    return page(*sorted(lines, key=lambda row: row.box[1]))


def report(numbers: Sequence[int | str | None], seeds: Sequence[int] | None = None) -> list[LeafNote]:
    readings = [text_page(n, seed) for n, seed in zip(numbers, seeds or range(len(numbers)), strict=True)]
    proposals = [propose(reading) for reading in readings]
    return leaf_report(sequence(proposals), proposals)


def sentences(numbers: Sequence[int | str | None], seeds: Sequence[int] | None = None) -> list[str]:
    return [note.sentence for note in report(numbers, seeds)]


def test_a_whole_book_has_no_report() -> None:
    assert report([*["iii", "iv", "v", "vi", "vii"], *range(1, 30)]) == []


def test_a_missing_leaf_is_named_by_its_numbers_and_its_place() -> None:
    found = report([*range(40, 45), *range(47, 55)])
    assert [(note.kind, note.after_page, note.pages, note.printed) for note in found] == [("missing", 5, [], "45-46")]
    assert found[0].sentence == "Printed 45-46 are missing after image 5."


def test_one_missing_page_and_two_places() -> None:
    numbers = [*range(10, 15), *range(16, 22), *range(26, 32)]
    assert sentences(numbers) == ["Printed 15 is missing after image 5.", "Printed 22-25 are missing after image 11."]


def test_a_missing_leaf_in_roman_front_matter() -> None:
    numbers = ["iii", "iv", "v", "viii", "ix", "x", "xi", *range(1, 9)]
    assert sentences(numbers) == ["Printed vi-vii are missing after image 3."]


def test_plates_that_do_not_count_are_no_missing_leaves() -> None:
    assert report([*range(40, 46), None, None, *range(46, 52)]) == []


def test_an_opening_without_a_number_is_no_missing_leaf() -> None:
    assert report([*range(1, 6), None, *range(7, 12), None, None, *range(14, 20)]) == []


def test_a_missing_page_beside_an_unnumbered_one() -> None:
    """Which of the two it is, nothing tells."""
    assert sentences([*range(40, 45), None, *range(47, 53)]) == ["1 of printed 45-46 is missing after image 5."]


def test_a_single_misread_number_is_no_report() -> None:
    assert report([*range(40, 45), 145, *range(46, 52)]) == []
    assert report([*range(40, 45), 48, *range(46, 52)]) == []


def test_a_new_count_is_no_gap() -> None:
    assert report([*range(1, 11), *range(1, 9)]) == []
    assert report([*range(1, 11), *range(301, 311)]) == []
    assert report([*(f"A-{n}" for n in range(1, 6)), *(f"B-{n}" for n in range(1, 6))]) == []


def test_a_leaf_scanned_twice() -> None:
    numbers = [1, 2, 3, 4, 5, 6, 5, 6, 7, 8, 9, 10]
    found = report(numbers, seeds=numbers)
    assert [(note.kind, note.pages, note.printed) for note in found] == [
        ("doubled", [5, 7], "5"),
        ("doubled", [6, 8], "6"),
    ]
    assert found[0].sentence == "Images 5 and 7 show the same page, printed 5."


def test_a_page_without_a_number_scanned_twice() -> None:
    numbers = [1, 2, 3, 4, None, None, 6, 7, 8]
    assert sentences(numbers, seeds=[1, 2, 3, 4, 5, 5, 6, 7, 8]) == [
        "Images 5 and 6 show the same page, a page without a number."
    ]


def test_a_number_that_is_printed_twice_on_different_pages_is_not_doubled() -> None:
    assert report([1, 2, 3, 4, 4, 5, 6, 7]) == []


def test_leaves_out_of_order() -> None:
    numbers = [*range(1, 9), *range(13, 19), *range(9, 13), *range(19, 27)]
    found = report(numbers)
    assert [(note.kind, note.pages, note.printed) for note in found] == [("out of order", [15, 16, 17, 18], "9-12")]
    assert found[0].sentence == "Printed 9-12 stand on images 15-18 and belong after printed 8."


def test_nothing_is_said_of_books_without_numbers() -> None:
    assert report([None] * 12) == []
    assert leaf_report([], []) == []
