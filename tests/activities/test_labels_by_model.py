"""What becomes of a page number and a header that a model names."""

from __future__ import annotations

import pytest

from activities.label_read.schema import DENIED, SEEN, SURE, PageLabels, problems, question, weighed
from providers.rules.labels import propose
from schemas.reading import PageReading
from tests.providers.reading_helpers import body, line, page


def labels(number: str | None = None, header: str | None = None) -> PageLabels:
    return PageLabels(page_number=number, running_header=header)


def numbers(reading: PageReading, answer: PageLabels, *, seen: bool = False) -> dict[str, float]:
    return {each.text: each.score for each in weighed(propose(reading), answer, reading, seen=seen).numbers}


def test_a_candidate_that_it_names_is_sure_and_others_hardly_count() -> None:
    reading = page(line("7", 350, 40), *(line("some words of the page", 40, 80 + 20 * at) for at in range(20)))
    reading.lines.append(line("1984", 200, 560))
    before = {each.text: each.score for each in propose(reading).numbers}
    assert set(before) == {"7", "1984"}
    assert numbers(reading, labels("7")) == {"7": SURE, "1984": pytest.approx(before["1984"] * DENIED, abs=0.001)}


def test_no_number_denies_all() -> None:
    reading = body(number="17", header="A Header")
    (before,) = propose(reading).numbers
    assert numbers(reading, labels(None)) == {"17": pytest.approx(before.score * DENIED, abs=0.001)}


def test_a_number_that_no_engine_read_is_believed_of_who_saw_the_page() -> None:
    reading = body(header="A Header")
    assert numbers(reading, labels("xii"), seen=True) == {"xii": SEEN}
    assert numbers(reading, labels("xii"), seen=False) == {}


def test_a_number_in_an_outer_line_needs_no_eyes() -> None:
    lines = ["words of", "the page", "and 17", *("words of the page" for _ in range(12))]
    reading = page(*(line(text, 40, 100 + 20 * at) for at, text in enumerate(lines)))
    assert numbers(reading, labels("17")) == {"17": SEEN}
    reading = page(*(line(text, 40, 100 + 20 * at) for at, text in enumerate([*lines[3:9], lines[2], *lines[3:9]])))
    assert numbers(reading, labels("17")) == {}, "in the middle it is part of the text"


def test_composite_numbers_differ_by_what_stands_before_them() -> None:
    reading = page(*(line("words of the page", 40, 80 + 20 * at) for at in range(20)), line("A-3", 200, 560))
    assert numbers(reading, labels("A-3"))["A-3"] == SURE
    assert numbers(reading, labels("B-3"), seen=True)["B-3"] == SEEN


def test_the_header_that_it_names_comes_first_and_none_is_none() -> None:
    reading = body(number="17", header="A Header")
    proposal = propose(reading)
    first = weighed(proposal, labels("17", "A HEADER"), reading, seen=False).headers
    assert first[0].text == "A Header"
    assert set(first) == set(proposal.headers)
    assert weighed(proposal, labels("17", None), reading, seen=False).headers == ()
    assert weighed(proposal, labels("17", "Another"), reading, seen=False).headers == proposal.headers


@pytest.mark.parametrize("number", ["17", "xii", "A-3", None])
def test_what_can_be_a_number(number: str | None) -> None:
    assert problems(labels(number)) == []


@pytest.mark.parametrize("number", ["seventeen", "l7", "page 17", ""])
def test_what_cannot(number: str) -> None:
    (said,) = problems(labels(number))
    assert repr(number) in said


def test_a_short_page_is_divided_between_head_and_foot() -> None:
    reading = page(*(line(text, 40, 100 + 20 * at) for at, text in enumerate(["One", "two", "17"])))
    assert question(reading) == "First lines:\nOne\ntwo\n\nBetween them:\n\nLast lines:\n17"
