"""A given text over what engines read: it comes out as it was given, and every word has its place."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from providers.vote import CORRECTION, corrected, tidy
from schemas.reading import Line, PageReading, Word

WIDTH, HEIGHT = 400.0, 600.0


def reading(*lines: str, block: int = 0) -> PageReading:
    """Lines of type whose letters are 6 points wide, 20 points apart."""
    rows = []
    for number, text in enumerate(lines):
        x, words = 50.0, []
        for word in text.split():
            words.append(Word(word, (x, 40.0 + 20 * number, x + 6 * len(word), 52.0 + 20 * number), 80.0))
            x += 6 * (len(word) + 1)
        rows.append(Line(words, block + number))
    return PageReading("tesseract", WIDTH, HEIGHT, rows, model="tesseract 5", language="eng")


def result(text: str, base: PageReading | None) -> PageReading:
    return corrected(text, "Ann", base, WIDTH, HEIGHT)


def words_of(text: str, base: PageReading | None) -> dict[str, Word]:
    return {word.text: word for word in result(text, base).words}


def test_a_word_that_was_misread_stands_where_it_stood() -> None:
    base = reading("the qu1ck fox", "jumps over it")
    found = words_of("the quick fox\njumps over it", base)
    quick = found["quick"]
    assert quick.box == base.lines[0].words[1].box
    assert (quick.voters, quick.rule, quick.confidence) == ((CORRECTION,), "corrected by Ann", 100.0)
    assert quick.readings == (("tesseract", "qu1ck"),)


def test_words_that_stay_keep_their_place_and_who_read_them() -> None:
    base = reading("the qu1ck fox")
    fox = Word("fox", (110, 40, 128, 52), 71.0, ("tesseract",), (("tesseract", "fox"), ("rapidocr", "f0x")), "lexicon")
    base.lines[0].words[2] = fox
    assert words_of("the quick fox", base)["fox"] == replace(fox, confidence=100.0), "a person has read it too"


def test_a_word_that_was_joined_and_one_that_was_split() -> None:
    found = words_of("the cat sat down", reading("thecat s at down"))
    assert found["the"].box == (50.0, 40.0, 68.0, 52.0)
    assert found["cat"].box == (68.0, 40.0, 86.0, 52.0)
    assert found["sat"].box == (92.0, 40.0, 116.0, 52.0)


def test_a_word_that_was_missed_stands_between_its_neighbours() -> None:
    base = reading("one three")
    base.lines[0].words[1] = replace(base.lines[0].words[1], box=(110.0, 40.0, 140.0, 52.0))
    two = words_of("one two three four", base)["two"]
    assert (two.box[0], two.box[2]) == (68.0, 110.0)
    assert two.readings == ()
    four = words_of("one two three four", base)["four"]
    assert 140.0 <= four.box[0] < four.box[2] <= WIDTH
    assert four.box[1:4:2] == (40.0, 52.0)


def test_lines_that_change_places_take_their_words_along() -> None:
    base = reading("left one", "right one", "left two")
    found = result("left one\nleft two\nright one", base)
    assert [line.words[0].box[1] for line in found.lines] == [40.0, 80.0, 60.0]
    assert [line.block for line in found.lines] == [0, 2, 1]


def test_a_line_that_was_missed_stands_between_those_around_it() -> None:
    base = reading("first line", "second line", "fourth line")
    base.lines[2] = Line([replace(w, box=(w.box[0], 100.0, w.box[2], 112.0)) for w in base.lines[2].words], 7)
    line = result("first line\nsecond line\nthird comes here\nfourth line", base).lines[2]
    assert (line.text, line.block) == ("third comes here", 1)
    assert 72.0 <= line.box[1] < line.box[3] <= 100.0
    assert line.box[0] == 50.0


def test_a_divided_word_that_was_joined_stands_in_the_line_with_most_of_it() -> None:
    found = words_of("an example\nof it", reading("an exam-", "ple of it"))
    assert found["example"].box[1:4:2] == (40.0, 52.0)
    assert found["of"].box[1:4:2] == (60.0, 72.0)


def test_readings_of_a_disputed_place_are_said_once() -> None:
    base = reading("a b c")
    said = (("tesseract", "a b"), ("rapidocr", "ab"))
    base.lines[0].words[:2] = [
        replace(word, voters=("tesseract",), readings=said, rule="pivot") for word in base.lines[0].words[:2]
    ]
    assert words_of("alpha c", base)["alpha"].readings == said


def test_a_page_that_nobody_could_read() -> None:
    page = result("Two lines\nof text", None)
    assert (page.width, page.height, page.provider) == (WIDTH, HEIGHT, CORRECTION)
    assert page.text == "Two lines\nof text"
    assert page.lines[0].box[3] <= page.lines[1].box[1]


def test_a_page_without_text() -> None:
    assert result("", reading("dirt")).lines == []
    assert result(" \n\n", None).text == ""


@pytest.mark.parametrize(
    ("given_text", "stands"),
    [
        ("a  b\r\n\r\n c\t d \n", "a b\nc d"),
        ("page one\x0cpage two", "page one\npage two"),
        ("e\u0301t\u00e9\u00a0! \x00x", "\u00e9t\u00e9 ! x"),
    ],
)
def test_tidy(given_text: str, stands: str) -> None:
    assert tidy(given_text) == stands
    assert tidy(stands) == stands


WORDS = st.text(st.sampled_from("abcil1.,—é中"), min_size=1, max_size=5)
LINES = st.lists(st.lists(WORDS, min_size=1, max_size=4).map(" ".join), max_size=5)
BUSY = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
"""Nothing is timed: the tests share the machine."""


@st.composite
def pages(draw: st.DrawFn) -> PageReading:
    """Readings as engines give them: boxes in any order, that overlap, lie partly outside, have no area."""
    rows = []
    for text in draw(LINES):
        words = []
        for word in text.split():
            x, y = draw(st.integers(-20, 400)), draw(st.integers(-20, 600))
            box = (float(x), float(y), x + draw(st.integers(0, 300)) / 2, y + draw(st.integers(0, 40)) / 2)
            words.append(Word(word, box, draw(st.sampled_from([None, 0.0, 80.0]))))
        rows.append(Line(words, draw(st.integers(0, 3))))
    return PageReading("vote", WIDTH, HEIGHT, rows)


@BUSY
@given(st.one_of(st.none(), pages()), st.data())
def test_the_text_comes_out_and_every_word_lies_in_the_page(base: PageReading | None, data: st.DataObject) -> None:
    lines = data.draw(LINES)
    if base is not None:
        # Some of what was read, in another order.
        lines = data.draw(st.permutations([*lines, *(line.text for line in base.lines[::2])]))
    text = "\n".join(lines)
    found = result(text, base)
    assert found.text == tidy(text)
    for word in found.words:
        x0, y0, x1, y1 = word.box
        assert 0 <= x0 < x1 <= WIDTH
        assert 0 <= y0 < y1 <= HEIGHT
        assert word.confidence == 100.0
        assert word.rule or word.text in {other.text for other in (base.words if base else [])}
    assert PageReading.from_json(found.to_json()).text == found.text


@BUSY
@given(pages())
def test_the_text_that_was_read_changes_no_word(base: PageReading) -> None:
    assert not [word for word in result(base.text, base).words if word.rule]
