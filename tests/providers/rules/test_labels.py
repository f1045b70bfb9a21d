"""Printed numbers, running headers and page types."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from providers.rules.labels import PageLabel, propose, sequence
from providers.rules.numerals import parse, printed, roman_value, to_roman
from providers.rules.proposal import Proposal
from schemas.reading import PageReading
from tests.providers.reading_helpers import body, line, page, sample, sample_truth


def labels(readings: Sequence[PageReading | None], pdf_labels: Sequence[str] | None = None) -> list[PageLabel]:
    return sequence([None if reading is None else propose(reading) for reading in readings], pdf_labels)


def texts(readings: Sequence[PageReading | None], pdf_labels: Sequence[str] | None = None) -> list[str | None]:
    return [label.label for label in labels(readings, pdf_labels)]


TITLE = page(line("The Harbour", 100, 150, 30), line("by Anna Lee", 150, 250, 12), line("1916", 180, 550))


TOKENS = [
    ("12", "arabic", 12), ("— 12 —", "arabic", 12), ("[7]", "arabic", 7), ("l2", "arabic", 12), ("1O4", "arabic", 104),
    ("ili", "roman", 3), ("vil", "roman", 7), ("xiv", "roman", 14), ("A-3", "composite", 3),
]  # fmt: skip


class TestNumerals:
    @pytest.mark.parametrize("value", range(1, 400))
    def test_roman_there_and_back(self, value: int) -> None:
        assert roman_value(to_roman(value)) == value

    @pytest.mark.parametrize("text", ["ili", "iix", "vx", "word", "Iv", ""])
    def test_not_canonical_is_no_numeral(self, text: str) -> None:
        assert roman_value(text) is None

    @pytest.mark.parametrize(("text", "style", "value"), TOKENS)
    def test_tokens(self, text: str, style: str, value: int) -> None:
        assert any((n.style, n.value) == (style, value) for n in parse(text))

    @pytest.mark.parametrize("text", ["hill", "bold", "So", "is", "was", "12th", "3.5%", "12345"])
    def test_words_are_no_numbers(self, text: str) -> None:
        assert not [n for n in parse(text) if n.style == "arabic"]

    def test_printed(self) -> None:
        assert printed("roman", "", 14) == "xiv"
        assert printed("composite", "A-", 3) == "A-3"


class TestSequence:
    def test_an_unnumbered_opening_inside_a_run_is_inferred(self) -> None:
        found = labels([body(str(n), "HEADER TEXT") if n != 5 else body(None, heading="Chapter") for n in range(1, 10)])
        assert [label.label for label in found] == [str(n) for n in range(1, 10)]
        assert [label.inferred for label in found] == [n == 5 for n in range(1, 10)]
        assert found[4].confidence < found[3].confidence

    def test_a_blank_page_inside_a_run_has_none(self) -> None:
        readings = [body(str(n)) for n in range(1, 9)]
        readings[4] = page()
        found = labels(readings)
        assert found[4].label is None
        assert found[4].page_type == "blank"
        assert found[5].label == "6"

    def test_dirt_on_a_blank_page_is_no_number(self) -> None:
        readings = [body(str(n)) for n in range(1, 9)]
        readings[4] = page(line("5", 200, 570, confidence=20), line("~ i |", 90, 300, confidence=10))
        found = labels(readings)
        assert (found[4].label, found[4].page_type) == (None, "blank")

    def test_pages_before_the_first_number_and_after_the_last_have_none(self) -> None:
        readings = [TITLE, body(None), *[body(to_roman(n)) for n in range(5, 9)], page(line("THE END", 180, 300))]
        assert texts(readings) == [None, None, "v", "vi", "vii", "viii", None]

    def test_roman_then_arabic_with_an_unnumbered_first_page(self) -> None:
        readings = [TITLE, *[body(to_roman(n)) for n in range(2, 6)], body(None, heading="One")]
        readings += [body(str(n), "A HEADER") for n in range(2, 8)]
        found = labels(readings)
        assert [label.label for label in found] == [None, "ii", "iii", "iv", "v", *"1234567"]
        assert found[5].inferred

    def test_a_missing_leaf_and_a_restart(self) -> None:
        numbers = [*range(1, 11), *range(13, 21), *range(1, 9)]
        assert texts([body(str(n)) for n in numbers]) == [str(n) for n in numbers]

    def test_plates_do_not_count(self) -> None:
        readings = [body(str(n)) for n in range(40, 46)]
        readings += [page(line("Plate IV. The harbour at dusk", 100, 500))] * 2
        readings += [body(str(n)) for n in range(46, 52)]
        assert texts(readings) == [*map(str, range(40, 46)), None, None, *map(str, range(46, 52))]

    def test_composite_numbers(self) -> None:
        readings = [body(f"A-{n}") for n in range(1, 6)] + [body(f"B-{n}") for n in range(1, 6)]
        assert texts(readings) == [*(f"A-{n}" for n in range(1, 6)), *(f"B-{n}" for n in range(1, 6))]

    def test_misread_numbers_are_mended_by_their_neighbours(self) -> None:
        wrong = {3: "l3", 5: "1S", 7: "71", 8: "l8"}
        readings = [body(wrong.get(i, str(10 + i))) for i in range(12)]
        assert texts(readings) == [str(10 + i) for i in range(12)]

    def test_a_year_or_a_list_number_is_no_page_number(self) -> None:
        readings = [TITLE, page(line("Copyright 1916 by Anna Lee", 50, 400), line("1916", 50, 560))]
        readings += [body(None, heading="Text") for _ in range(8)]
        assert texts(readings) == [None] * 10

    def test_failed_pages_inside_a_run_are_inferred(self) -> None:
        readings: list[PageReading | None] = [body(str(n)) for n in range(1, 9)]
        readings[3] = None
        found = labels(readings)
        assert (found[3].label, found[3].inferred, found[3].page_type) == ("4", True, "unread")

    def test_empty_and_single(self) -> None:
        assert labels([]) == []
        assert texts([page()]) == [None]
        assert texts([None]) == [None]

    def test_pdf_labels_extend_a_run_that_is_printed(self) -> None:
        readings = [TITLE, body(None), *[body(to_roman(n)) for n in range(3, 9)]]
        told = [to_roman(n) for n in range(1, 9)]
        assert texts(readings, told) == told
        assert texts(readings, [f"ageLabel{n}" for n in range(8)])[:2] == [None, None]

    def test_pdf_labels_that_contradict_the_print_are_not_believed(self) -> None:
        readings = [TITLE, body(None), *[body(str(n)) for n in range(1, 9)]]
        assert texts(readings, [str(n) for n in range(1, 11)])[:4] == [None, None, "1", "2"]

    def test_three_thousand_pages(self) -> None:
        proposals: list[Proposal | None] = [propose(body(str(n), "HEADER")) for n in range(1, 31)]
        long = []
        for n in range(3000):
            base = proposals[n % 30]
            assert base is not None
            number = base.numbers[0].model_copy(update={"value": n + 1, "text": str(n + 1)})
            long.append(base.model_copy(update={"numbers": (number,)}))
        assert [label.label for label in sequence(long)] == [str(n + 1) for n in range(3000)]


class TestProposal:
    def test_is_small_and_survives_json(self) -> None:
        for _, reading in sample("tesseract"):
            proposal = propose(reading)
            body_json = proposal.model_dump_json()
            assert len(body_json) < 2048
            assert Proposal.model_validate_json(body_json) == proposal

    def test_header_and_number_are_told_apart(self) -> None:
        proposal = propose(body("27", "GOD IN THE WHEELS"))
        assert proposal.headers[0].text == "GOD IN THE WHEELS"
        assert proposal.headers[0].numbered
        assert (proposal.numbers[0].value, proposal.numbers[0].place) == (27, "top-right")


class TestHeaders:
    def test_recto_and_verso(self) -> None:
        readings = [body(str(n), "THE BOOK" if n % 2 == 0 else "CHAPTER ONE") for n in range(1, 13)]
        assert [label.running_header for label in labels(readings)] == ["CHAPTER ONE", "THE BOOK"] * 6

    def test_a_chapters_title_on_its_first_page_is_none(self) -> None:
        readings = [body(str(n), "THE BOOK") for n in range(1, 9)]
        readings[4] = body(None, heading="The Book")
        assert labels(readings)[4].running_header is None

    def test_first_lines_that_never_recur_are_none(self) -> None:
        readings = [
            page(line(f"{word} of a sentence", 50, 40), *body(None).lines)
            for word in ("boats", "ropes", "sails", "winds", "tides", "ports")
        ]
        assert all(label.running_header is None for label in labels(readings))

    def test_a_misread_header_is_mended_by_the_others(self) -> None:
        readings = [body(str(n), "A DAY AT A TIMF" if n == 4 else "A DAY AT A TIME") for n in range(1, 9)]
        assert {label.running_header for label in labels(readings)} == {"A DAY AT A TIME"}


class TestPageTypes:
    def test_front_and_back_matter(self) -> None:
        cover = page(line("The Harbour", 100, 150, 30))
        notice = page(
            line("Copyright © 1916 by Anna Lee", 50, 400), line("All rights reserved. No part of it may be", 50, 415)
        )
        contents = page(
            line("CONTENTS", 150, 60, 14),
            *[line(f"Chapter title {c} ...... {n}", 50, 100 + 15 * n) for n, c in enumerate("ABCDEF", 1)],
        )
        index = page(
            line("INDEX", 180, 60, 16),
            *[line(f"harbour {c}, {n}, {n + 4}", 50, 100 + 12 * n) for n, c in enumerate("abcdefgh", 1)],
        )
        readings = [cover, TITLE, notice, contents, body(None, heading="Preface")]
        readings += [body(str(n)) for n in range(1, 20)] + [index]
        kinds = [label.page_type for label in labels(readings)]
        assert kinds[:5] == ["cover", "title_page", "copyright", "toc", "preface"]
        assert set(kinds[5:-1]) == {"body"}
        assert kinds[-1] == "index"


@pytest.mark.parametrize("engine", ["tesseract", "rapidocr"])
def test_sample(engine: str) -> None:
    found = labels([reading for _, reading in sample(engine)])
    truth = sample_truth()["pages"]
    assert [label.label for label in found] == [told["label"] for told in truth]
    assert [label.running_header for label in found] == [told["running_header"] for told in truth]
    assert [label.page_type for label in found] == [told["page_type"] for told in truth]
