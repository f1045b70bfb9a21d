"""Numbers that a person gave: they stand as given, and the pages around them follow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from providers.rules.labels import propose, sequence
from schemas.reading import PageReading
from tests.providers.reading_helpers import body


def texts(readings: Sequence[PageReading], pinned: Mapping[int, str | None]) -> list[str | None]:
    return [label.label for label in sequence([propose(reading) for reading in readings], None, pinned)]


def numbered(*numbers: int | str | None) -> list[PageReading]:
    return [body(None if number is None else str(number), "HEADER TEXT") for number in numbers]


def test_it_stands_as_it_is_given_and_is_not_inferred() -> None:
    found = sequence([propose(reading) for reading in numbered(1, 2, 3, 4, 5)], None, {2: "[3a]"})
    assert [label.label for label in found] == ["1", "2", "[3a]", "4", "5"]
    assert not found[2].inferred
    assert found[2].confidence == 1.0


def test_pages_without_a_number_follow_from_two_that_are_given() -> None:
    pages = numbered(*[None] * 8)
    assert texts(pages, {}) == [None] * 8
    assert texts(pages, {1: "xii", 5: "xvi"}) == [None, "xii", "xiii", "xiv", "xv", "xvi", None, None]


def test_it_decides_where_a_number_was_left_out() -> None:
    """Two runs that a page without a number separates somewhere: nothing printed tells where."""
    pages = numbered(1, 2, None, None, None, None, None, 9, 10, 11)
    assert texts(pages, {})[2:7] == [None] * 5
    assert texts(pages, {3: "5"})[2:7] == [None, "5", "6", "7", "8"]
    assert texts(pages, {6: "7"})[2:7] == ["3", "4", "5", "6", "7"]


def test_it_outweighs_what_is_read_around_it() -> None:
    pages = numbered(1, 2, 3, 4, None, None, 9, 8, 9, 10)
    assert texts(pages, {6: "7"}) == ["1", "2", "3", "4", "5", "6", "7", "8", "9", "10"]
    assert texts(pages, {6: "xx"})[:4] == ["1", "2", "3", "4"]
    assert texts(pages, {6: "xx"})[6] == "xx"


def test_a_page_that_bears_none_has_none_and_the_run_goes_on() -> None:
    pages = numbered(1, 2, 3, 4, None, 6, 7)
    assert texts(pages, {})[4] == "5"
    assert texts(pages, {4: None}) == ["1", "2", "3", "4", None, "6", "7"]
    assert texts(pages, {2: None}) == ["1", "2", None, "4", "5", "6", "7"], "although a number was read there"


def test_a_book_without_any_number_but_one_that_is_given() -> None:
    assert texts(numbered(None, None, None), {1: "A-7"}) == [None, "A-7", None]
    assert texts(numbered(None, None), {0: "first leaf"}) == ["first leaf", None]


def test_upper_case_stays_upper_case_for_what_follows() -> None:
    assert texts(numbered(None, None, None), {0: "IV", 2: "VI"}) == ["IV", "V", "VI"]
