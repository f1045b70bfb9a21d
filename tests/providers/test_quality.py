"""Expected error rates: what a reading shows of its own errors, print outside of its lines above all."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from activities.contracts import JobConfig
from providers import pages
from providers.ink import ink_figures
from providers.leaves import Raster
from providers.lexicon import Lexicon
from providers.vote import blend, expected_cer
from schemas.reading import Line, PageReading, Word
from tests.providers.reading_helpers import ROOT, line, page, sample

ENGLISH = Lexicon("eng")
ENOUGH = JobConfig.model_fields["second_opinion_above"].default
"""From here on a page is read again."""


@cache
def picture(number: int) -> Raster:
    return pages.render(ROOT / "samples/a-day-at-a-time-scan.pdf", "pdf", number - 1, dpi=200)


def seen(number: int, lines: list[Line], engine: str = "tesseract") -> PageReading:
    """The sample's reading of a page with these lines, measured against the page."""
    reading = dict(sample(engine))[number]
    return replace(reading, lines=lines, figures=ink_figures(picture(number), lines))


class TestInk:
    @pytest.mark.parametrize("number", [1, 2, 5, 12, 17])
    def test_a_page_that_is_read_completely_has_none_outside(self, number: int) -> None:
        assert ink_figures(picture(number), dict(sample("tesseract"))[number].lines)["ink_outside"] == 0

    @pytest.mark.parametrize("at", [3, 10, -2])
    def test_a_lost_line_is_found(self, at: int) -> None:
        lines = list(dict(sample("tesseract"))[5].lines)
        del lines[at]
        figures = ink_figures(picture(5), lines)
        assert figures["ink_lines"] == 1
        assert figures["ink_outside"] == pytest.approx(1 / (len(lines) + 1), rel=0.5)

    def test_lost_paragraphs_are_counted_in_lines(self) -> None:
        lines = dict(sample("tesseract"))[5].lines
        figures = ink_figures(picture(5), [*lines[:8], *lines[14:]])
        assert 5 <= figures["ink_lines"] <= 7

    def test_nothing_recognised_leaves_all_print_outside(self) -> None:
        assert ink_figures(picture(5), [])["ink_outside"] == 1

    def test_margins_that_straightening_adds_move_no_line(self) -> None:
        raster = picture(5)
        across, down = 36.0, 24.0
        pixels = np.pad(raster.pixels, ((67, 67), (100, 100)), constant_values=255)
        wider = replace(raster, pixels=pixels, margin=(across, down))
        lines = list(dict(sample("tesseract"))[5].lines)
        assert ink_figures(wider, lines)["ink_lines"] == 0
        del lines[10]
        assert ink_figures(wider, lines)["ink_lines"] == 1

    def test_blank_paper_speckle_rules_and_pictures_are_no_lines(self) -> None:
        lot = np.random.default_rng(3)
        pixels = np.full((1100, 850), 235, dtype=np.uint8)
        pixels[lot.integers(0, 1100, 300), lot.integers(0, 850, 300)] = 0
        pixels[100:104, 80:700] = 0
        pixels[300:700, 200:600] = lot.integers(0, 255, (400, 400), dtype=np.uint8)
        figures = ink_figures(Raster(pixels, 612.0, 792.0, 100.0), [])
        assert figures == {"ink_outside": 0.0, "ink_lines": 0.0}

    def test_figures_survive_json(self) -> None:
        reading = seen(5, dict(sample("tesseract"))[5].lines[:-4])
        assert PageReading.from_json(reading.to_json()).figures == reading.figures != {}


class TestExpectedErrors:
    def test_a_good_page_needs_no_second_opinion(self) -> None:
        reading = seen(5, dict(sample("tesseract"))[5].lines)
        assert expected_cer(reading, ENGLISH) < 0.01 < ENOUGH

    def test_a_page_with_a_lost_line_does_though_its_words_are_sure(self) -> None:
        lines = list(dict(sample("tesseract"))[5].lines)
        del lines[10]
        reading = seen(5, lines)
        assert (reading.confidence or 0) > 95
        assert expected_cer(reading, ENGLISH) > ENOUGH

    def test_leaders_read_as_letters_tell(self) -> None:
        assert expected_cer(seen(3, dict(sample("tesseract"))[3].lines), ENGLISH) > 0.2

    def test_a_blank_page_has_no_errors_and_an_unread_one_all(self) -> None:
        assert expected_cer(page()) == 0
        assert expected_cer(seen(5, [])) == 1

    def test_unknown_words_count_where_confidences_say_little(self) -> None:
        right = page(line("the horses ran over the hill", 50, 100, confidence=99), provider="rapidocr")
        wrong = page(line("tbe horscs ran ovcr tbe hill", 50, 100, confidence=99), provider="rapidocr")
        assert expected_cer(wrong, ENGLISH) > 5 * expected_cer(right, ENGLISH)
        assert expected_cer(wrong) == expected_cer(right), "without a lexicon nothing is unknown"

    def test_a_text_layer_is_taken_at_its_word(self) -> None:
        assert expected_cer(page(line("the end", 50, 100, confidence=None), provider="text-layer")) <= 0.002
        broken = page(line("the \ufffd\ufffdd of it", 50, 100, confidence=None), provider="text-layer")
        assert expected_cer(broken) > 0.2


class TestBlend:
    def test_a_single_reading_keeps_its_expectation(self) -> None:
        reading = seen(5, dict(sample("tesseract"))[5].lines[:-4])
        assert blend([reading], ENGLISH).figures["expected_cer"] == expected_cer(reading, ENGLISH)

    def test_what_one_engine_lost_and_the_other_has_is_not_lost(self) -> None:
        lines = list(dict(sample("tesseract"))[5].lines)
        lost = lines.pop(10)
        first = seen(5, lines)
        second = seen(5, dict(sample("rapidocr"))[5].lines, "rapidocr")
        blended = blend([first, second], ENGLISH)
        assert lost.words[1].text in blended.text
        assert blended.figures["expected_cer"] < ENOUGH < expected_cer(first, ENGLISH)

    def test_disputes_raise_it(self) -> None:
        same = [page(line("the horses ran", 50, 100)), page(line("the horses ran", 50, 100), provider="rapidocr")]
        other = [same[0], page(line("thc borses rau", 50, 100), provider="rapidocr")]
        assert blend(other).figures["expected_cer"] > 0.1 > blend(same).figures["expected_cer"]


def test_words_without_letters_are_judged_too() -> None:
    assert 0 <= expected_cer(PageReading("tesseract", 100, 100, [Line([Word("~", (1, 1, 2, 2), 3.0)])])) <= 1
