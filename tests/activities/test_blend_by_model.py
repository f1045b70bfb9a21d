"""What becomes of a model's corrections: each applied once or not at all, with who and why; another text is refused."""

from __future__ import annotations

import pytest

from activities.blend.schema import Change, Proofread, apply, proofread
from providers.errors import BadOutput
from schemas.reading import PageReading
from tests.providers.reading_helpers import line, page

WHO = "maker/model-1"
TEXT = "The cat sal on the mat\nand the dog sal beside it\n12"


def change(original: str, replacement: str, line: int | None = None, reason: str = "misread") -> Change:
    return Change(line=line, original=original, replacement=replacement, reason=reason)


def reading(text: str = TEXT, **figures: float) -> PageReading:
    found = page(*(line(row, 40, 40 + 20 * at) for at, row in enumerate(text.splitlines())))
    found.figures.update(figures)
    return found


def said(*changes: Change, whole_text: str | None = None, confidence: float = 1.0) -> Proofread:
    return Proofread(corrections=list(changes), whole_text=whole_text, confidence=confidence)


class TestApply:
    def test_in_the_named_line(self) -> None:
        found = apply(TEXT, [change("sal", "sat", 2)])
        assert found.text == "The cat sal on the mat\nand the dog sat beside it\n12"
        assert [at for at, _ in found.done] == [1]
        assert found.notes == ()

    def test_without_a_line_only_where_it_stands_once(self) -> None:
        assert apply(TEXT, [change("mat", "mast")]).text.startswith("The cat sal on the mast\n")
        found = apply(TEXT, [change("sal", "sat")])
        assert (found.text, found.done) == (TEXT, ())
        assert found.notes == ("not applied: 'sal' to 'sat' (misread): that stands there 2 times",)

    def test_a_line_that_has_it_twice(self) -> None:
        found = apply("so so\nso", [change("so", "to", 1)])
        assert (found.text, len(found.done)) == ("so so\nso", 0)
        assert "stands there 2 times" in found.notes[0]

    def test_a_wrong_line_number_of_a_place_that_is_certain(self) -> None:
        assert apply(TEXT, [change("mat", "mast", 3)]).text.startswith("The cat sal on the mast")
        assert apply(TEXT, [change("mat", "mast", 99)]).text.startswith("The cat sal on the mast")

    def test_absent(self) -> None:
        found = apply(TEXT, [change("cow", "cat")])
        assert (found.text, found.notes[0].rpartition(": ")[2]) == (TEXT, "that does not stand there")

    def test_each_once(self) -> None:
        found = apply("sal", [change("sal", "sat", 1), change("sal", "sat", 1)])
        assert (found.text, len(found.done), len(found.notes)) == ("sat", 1, 1)

    def test_what_changes_nothing_is_no_correction(self) -> None:
        found = apply(TEXT, [change("mat", "mat")])
        assert (found.done, found.notes) == ((), ())

    def test_a_rewritten_line(self) -> None:
        found = apply(TEXT, [change("mat", "mat " + "and so forth " * 10, 1)])
        assert found.text == TEXT
        assert found.notes[0].endswith("it rewrites too much")


class TestProofread:
    def test_each_word_says_who_and_why(self) -> None:
        base = reading()
        made = proofread(
            base, said(change("sal", "sat", 1, "no word"), change("dog", "fog", 2, "tall f")), WHO, seen=False
        )
        assert made.text == "The cat sat on the mat\nand the fog sal beside it\n12"
        words = {word.text: word for word in made.words}
        assert (words["sat"].rule, words["sat"].voters) == (f"corrected by {WHO}: no word", ("maker",))
        assert words["fog"].rule == f"corrected by {WHO}: tall f"
        assert words["sat"].readings == (("tesseract", "sal"),)
        assert (words["cat"].rule, words["cat"].confidence) == ("", 96.0), "what it left is as the engines read it"
        assert words["sat"].box == base.lines[0].words[2].box
        assert made.figures["corrections"] == 2

    def test_two_corrections_of_a_line(self) -> None:
        made = proofread(reading(), said(change("cat", "bat", 1, "b"), change("mat", "map", 1, "p")), WHO, seen=True)
        assert {word.text: word.rule.rpartition(": ")[2] for word in made.words if word.rule} == {
            "bat": "b",
            "map": "p",
        }

    def test_a_line_that_is_divided(self) -> None:
        changes = [change("on the", "on\nthe", 1, "two lines"), change("dog", "fog", 2, "tall f")]
        made = proofread(reading(), said(*changes), WHO, seen=True)
        assert made.text.splitlines()[:2] == ["The cat sal on", "the mat"]
        assert next(word for word in made.words if word.text == "fog").rule.endswith(": tall f")

    def test_its_confidence_is_that_of_its_words(self) -> None:
        made = proofread(reading(), said(change("sal", "sat", 1), confidence=0.5), WHO, seen=True)
        assert next(word for word in made.words if word.text == "sat").confidence == 45.0

    def test_nothing_to_correct(self) -> None:
        base = reading()
        made = proofread(base, said(change("cow", "cat")), WHO, seen=True)
        assert made.lines == base.lines
        assert made.figures["corrections_not_applied"] == 1
        assert len(made.notes) == 1

    def test_another_text_is_refused(self) -> None:
        rows = TEXT.splitlines()
        changes = [change(row, row[::-1].upper(), at) for at, row in enumerate(rows[:2], 1)]
        with pytest.raises(BadOutput, match="of the page's 51 characters"):
            proofread(reading(), said(*changes), WHO, seen=True)

    def test_a_number_alone_may_be_corrected(self) -> None:
        assert proofread(reading("l2"), said(change("l2", "12", 1)), WHO, seen=True).text == "12"


class TestWholeText:
    def test_of_a_page_that_the_engines_could_not_read(self) -> None:
        for base in (reading("xx ~"), reading(expected_cer=0.4)):
            made = proofread(base, said(whole_text="What stands\nthere"), WHO, seen=True)
            assert made.text == "What stands\nthere"
            assert {word.rule for word in made.words} == {f"corrected by {WHO}"}
            assert "given anew" in made.notes[0]

    def test_of_a_page_that_they_read(self) -> None:
        made = proofread(reading(), said(change("sal", "sat", 1), whole_text="Once upon a time"), WHO, seen=True)
        assert made.text == TEXT.replace("sal", "sat", 1), "its corrections count all the same"
        assert made.notes == ["not applied: a whole text: the engines read the page"]

    def test_of_a_page_that_it_did_not_see(self) -> None:
        made = proofread(reading("xx ~"), said(whole_text="Once upon a time"), WHO, seen=False)
        assert (made.text, made.notes) == ("xx ~", ["not applied: a whole text: nobody saw the page"])

    def test_that_loops(self) -> None:
        with pytest.raises(BadOutput, match="repeats"):
            proofread(reading("xx"), said(whole_text="and so on " * 60), WHO, seen=True)
