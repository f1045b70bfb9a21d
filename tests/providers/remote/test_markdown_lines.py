"""Markdown as the lines that are printed, and places for them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from providers.markdown_lines import laid_out, plain_lines


@pytest.mark.parametrize(
    ("markdown", "lines"),
    [
        ("# Chapter I\n\n## *The* Doctor ##", ["Chapter I", "The Doctor"]),
        ("It was **late**, and _nobody_ had\nlit ***the*** lamp.", ["It was late, and nobody had", "lit the lamp."]),
        ("| The Doctor | 17 |\n|:---|---:|\n| A Triple Best | 9 |", ["The Doctor 17", "A Triple Best 9"]),
        ("<table><tr><td>The Doctor</td><td>17</td></tr><tr><td>Well</td></tr></table>", ["The Doctor 17", "Well"]),
        ("* one\n* two\n1. three\n- four", ["• one", "• two", "1. three", "- four"]),
        ("a note$^{1}$ and *another*$^2$, $\\text{x}_{1}$", ["a note1 and another2, x1"]),
        ("word<sup>3</sup><br>next", ["word3", "next"]),
        ("![img-0.jpeg](img-0.jpeg)\nFig. 1", ["Fig. 1"]),
        ("see [the page](https://example.org/a_(b)) and [^4]", ["see the page and 4"]),
        (r"\* not a list, \$5 and \$6, a\_b\_c, 1\. x", ["* not a list, $5 and $6, a_b_c, 1. x"]),
        ("$5 and $6; 2 < 3 > 1; a * b * c; snake_case_name", ["$5 and $6; 2 < 3 > 1; a * b * c; snake_case_name"]),
        ("Tom &amp; Jerry &lt;x&gt;", ["Tom & Jerry <x>"]),
        ("> quoted\n> > twice", ["quoted", "twice"]),
        ("```\n# code | x\n```\n`a*b*c`", ["# code | x", "a*b*c"]),
        ("above\n\n---\n\n* * *\n\nbelow", ["above", "* * *", "below"]),
        ("[sic] and [1]", ["[sic] and [1]"]),
        ("", []),
        (" \n\n ", []),
    ],
)
def test_plain_lines(markdown: str, lines: list[str]) -> None:
    assert plain_lines(markdown) == lines


@given(st.text(alphabet=st.characters(blacklist_categories=("Cs", "Co")), max_size=200))
def test_any_text_gives_lines_without_breaks(text: str) -> None:
    for line in plain_lines(text):
        assert line == " ".join(line.split())
        assert line


@given(st.text(alphabet="abcdefg hijk.,;:'\n", max_size=300))
def test_plain_text_loses_nothing(text: str) -> None:
    assert "".join("".join(plain_lines(text)).split()) == "".join(text.split())


class TestPlaces:
    def test_lines_are_spaced_over_their_paragraph_and_words_over_their_line(self) -> None:
        lines, guessed = laid_out(["It was late when the", "doctor came"], (0.1, 0.2, 0.7, 0.26), 400, 600, block=3)
        assert not guessed
        first, second = lines
        assert [word.text for word in first.words] == ["It", "was", "late", "when", "the"]
        assert first.box[0] == pytest.approx(0.1)
        assert first.box[2] == pytest.approx(0.7)
        assert second.box[2] < 0.5
        assert 0.2 < first.box[1] < first.box[3] <= second.box[1] < second.box[3] < 0.26
        assert {line.block for line in lines} == {3}
        assert all(word.confidence is None for line in lines for word in line.words)

    def test_a_long_line_in_a_high_box_is_broken_into_as_many_lines_as_fit(self) -> None:
        # 650 letters, 300 points wide: ten lines of 12 points.
        text = " ".join(["nine-word"] * 65)
        lines, guessed = laid_out([text], (0.1, 0.2, 0.85, 0.4), 400, 600)
        assert guessed
        assert 8 <= len(lines) <= 12
        assert " ".join(line.text for line in lines) == text

    def test_nothing(self) -> None:
        assert laid_out([], (0, 0, 1, 1), 10, 10) == ([], False)

    @given(
        st.lists(st.text(alphabet="ab cde", min_size=1, max_size=60).map(str.strip).filter(bool), max_size=6),
        st.tuples(*[st.floats(0, 1)] * 4),
    )
    def test_any_box_keeps_all_words(self, texts: list[str], box: tuple[float, float, float, float]) -> None:
        lines, _ = laid_out(texts, box, 400, 600)
        assert " ".join(line.text for line in lines).split() == " ".join(texts).split()
