"""The blend: what stands where engines differ, and what is said about it."""

from __future__ import annotations

import pytest

from providers.vote import agreement, blend
from schemas.reading import Line, PageReading, Word
from tests.providers.reading_helpers import character_errors, line, page, sample, sample_truth


def two(tesseract: str, rapidocr: str, first: float = 96.0, second: float = 99.0) -> PageReading:
    """Blend of one line that both engines read."""
    return blend(
        [
            page(line(tesseract, 50, 100, confidence=first)),
            page(line(rapidocr, 49, 99, 12, confidence=second), provider="rapidocr"),
        ]
    )


def rules(reading: PageReading) -> dict[str, str]:
    return {word.text: word.rule for word in reading.words}


class TestOneSource:
    def test_passes_unchanged_under_the_blends_name(self) -> None:
        reading = page(line("Ifa man", 50, 100), line("wo... 9", 50, 120, confidence=5))
        blended = blend([reading])
        assert blended.provider == "vote"
        assert blended.lines == reading.lines

    def test_ligatures_are_letters(self) -> None:
        """Who looks for "file" finds it, whatever the font made of it; what was read stays as it was read."""
        reading = page(line("the ﬁle of eﬃcient oﬀers", 50, 100), provider="text-layer")
        assert blend([reading]).text == "the file of efficient offers"
        assert reading.text == "the ﬁle of eﬃcient oﬀers"
        assert (
            blend([reading, page(line("the file of efficient offers", 50, 100))]).text == "the file of efficient offers"
        )

    def test_has_no_agreement(self) -> None:
        assert agreement(blend([page(line("word", 50, 100))])) is None

    def test_a_blank_page_stays_blank(self) -> None:
        assert blend([page()]).text == ""
        assert blend([page(), page(provider="rapidocr")]).text == ""

    def test_no_source_is_an_error(self) -> None:
        with pytest.raises(ValueError, match="nothing to blend"):
            blend([])


class TestTwoEngines:
    def test_what_both_read_is_agreed_and_says_so(self) -> None:
        blended = two("the same words", "the same words")
        assert blended.text == "the same words"
        assert {word.rule for word in blended.words} == {"agreed"}
        assert blended.words[0].voters == ("rapidocr", "tesseract")
        assert agreement(blended) == 1.0

    def test_typographic_quotes_and_dashes_are_kept(self) -> None:
        blended = two("“Time—flies,” he said, “isn’t", '"Time-flies," he said, "isn\'t')
        assert blended.text == "“Time—flies,” he said, “isn’t"
        assert rules(blended)["“Time—flies,”"] == "typography"

    def test_straight_quotes_of_the_pivot_follow_the_pages_typography(self) -> None:
        blended = blend(
            [
                page(line("“A word,” she said", 50, 100), line("fly be’ It was", 50, 120)),
                page(
                    line('"A word," she said', 50, 100, confidence=99),
                    line('fly be." It was', 50, 120, confidence=99),
                    provider="rapidocr",
                ),
            ]
        )
        assert blended.lines[1].text == "fly be.” It was"

    @pytest.mark.parametrize(
        ("tesseract", "rapidocr", "stands"),
        [
            ("time, and the end", "time,and theend", "time, and the end"),
            ("© 1916 by", "©1916 by", "© 1916 by"),
            ("if you’ ve come", "if you've come", "if you’ve come"),
            ("the2 774 men", "the 2774 men", "the 2 774 men"),
        ],
    )
    def test_blanks(self, tesseract: str, rapidocr: str, stands: str) -> None:
        assert two(tesseract, rapidocr).text == stands

    def test_a_known_word_beats_an_unknown_one_of_the_pivot(self) -> None:
        readings = [
            page(line("the horses ran", 50, 100), line("two horses here", 50, 120)),
            page(line("the horses ran", 50, 100), line("two horscs here", 50, 120), provider="rapidocr"),
        ]
        blended = blend(readings)
        assert blended.lines[1].text == "two horses here"
        word = blended.lines[1].words[1]
        assert word.rule == "lexicon"
        assert word.voters == ("tesseract",)
        assert word.readings == (("rapidocr", "horscs"), ("tesseract", "horses"))

    def test_the_lexicon_may_come_from_other_pages(self) -> None:
        readings = [page(line("a galleon", 50, 100)), page(line("a gallcon", 50, 100), provider="rapidocr")]
        assert blend(readings).text == "a gallcon"
        assert blend(readings, {"galleon"}).text == "a galleon"

    def test_a_doubtful_pivot_gives_way(self) -> None:
        assert two("Rothwell came", "Roihwcll came", first=96, second=60).text == "Rothwell came"

    def test_disputed_numbers_are_marked_and_doubted(self) -> None:
        blended = two("in 1916 and", "in 1918 and")
        word = blended.words[1]
        assert word.rule == "number"
        assert word.confidence == pytest.approx(49.5)
        assert ("tesseract", "1916") in word.readings

    def test_a_clean_number_beats_one_with_letters_in_it(self) -> None:
        assert two("page 134 of", "page l34 of").text == "page 134 of"

    def test_garbage_of_one_engine_is_dropped(self) -> None:
        readings = [
            page(line("a real line of text", 50, 100), line("~ Fj ,", 50, 300, confidence=20)),
            page(line("a real line of text", 50, 100), provider="rapidocr"),
        ]
        assert blend(readings).text == "a real line of text"

    def test_a_line_that_one_engine_lost_is_kept_in_its_place(self) -> None:
        readings = [
            page(line("first line of text", 50, 100), line("third line of text", 50, 128)),
            page(
                line("first line of text", 50, 100, confidence=99),
                line("second line that was lost", 50, 114, confidence=99),
                line("third line of text", 50, 128, confidence=99),
                provider="rapidocr",
            ),
        ]
        blended = blend(readings)
        assert blended.text.split("\n")[1] == "second line that was lost"
        assert blended.lines[1].words[0].rule == "only-one"

    def handwriting(self, text: str, printed: int = 10, height: float = 40, provider: str = "rapidocr") -> list[str]:
        """Lines of the blend of a page that only one engine reads all of."""
        lines = [line(f"printed line number {word}", 50, 100 + 14 * i) for i, word in enumerate("abcdefghij"[:printed])]
        seen = [line(row.text, 50, 100 + 14 * i, confidence=99) for i, row in enumerate(lines)]
        written = line(text, 60, 300, confidence=95)
        for word in written.words:
            x0, y0, x1, _ = word.box
            word.box = (x0, y0, x1, y0 + height)
        return blend([page(*lines), page(*seen, written, provider=provider)], {"yours", "truly"}).text.split("\n")[
            printed:
        ]

    def test_what_is_written_by_hand_is_no_text_of_the_page(self) -> None:
        assert self.handwriting("Wielion Lyeer") == []
        assert self.handwriting("Yours truly") == ["Yours truly"], "known words, in whatever size"
        assert self.handwriting("Wielion Lyeer", height=12) == ["Wielion Lyeer"], "the size of print"
        assert self.handwriting("WIELION LYEER", printed=3) == ["WIELION LYEER"], "a title page"
        assert self.handwriting("Wielion Lyeer", provider="mistral") == ["Wielion Lyeer"], "a service reads it"

    def test_pieces_of_a_line_come_together(self) -> None:
        readings = [
            page(line("A DAY AT A TIME                         7", 50, 40)),
            page(line("A DAY AT A TIME", 50, 40), line("7", 177.5, 40), provider="rapidocr"),
        ]
        blended = blend(readings)
        assert blended.text == "A DAY AT A TIME 7"
        assert agreement(blended) == 1.0

    def test_a_line_whose_boxes_do_not_meet_is_not_said_twice(self) -> None:
        readings = [
            page(line("possible. Please see our letter", 50, 100), line("and the Sourcebook of May", 50, 113)),
            page(
                line("possible. Please see our letter", 50, 100),
                line("and the Sourcebook of May", 50, 122),
                provider="rapidocr",
            ),
        ]
        assert blend(readings).text.count("Sourcebook") == 1

    def test_columns_are_read_one_after_the_other(self) -> None:
        left = [line(f"left column row {i} text", 50, 100 + 14 * i, 8, block=0) for i in range(8)]
        right = [line(f"right column row {i} text", 220, 100 + 14 * i, 8, block=1) for i in range(8)]
        zigzag = [row for pair in zip(left, right, strict=True) for row in pair]
        blended = blend([page(*left, *right), page(*zigzag, provider="rapidocr")])
        assert [row.text for row in blended.lines] == [row.text for row in [*left, *right]]

    def test_broken_words_of_a_text_layer_have_no_vote(self) -> None:
        layer = page(line("the \ufffd\ue001nal word stands here", 50, 100, confidence=None), provider="text")
        assert blend([layer, page(line("the final word stands here", 50, 100))]).text == "the final word stands here"
        rubbish = page(line("\ue001\ue002 \ue003 \ue004 here", 50, 100, confidence=None), provider="text")
        assert blend([rubbish, page(line("the final word", 50, 100))]).text == "the final word"

    def test_a_reading_that_loops_has_no_vote(self) -> None:
        loop = page(*[line("and then he said that", 50, 100 + 12 * i) for i in range(30)], provider="model")
        assert blend([loop, page(line("It was the end.", 50, 100))]).text == "It was the end."


class TestForms:
    """Two engines: what only one of them can have right."""

    @pytest.mark.parametrize(
        ("tesseract", "rapidocr", "stands", "rule"),
        [
            ("the GEICO policy", "the GEIco policy", "the GEICO policy", "case"),
            ("paid in concerns, and", "paid in concerns. and", "paid in concerns, and", "stop"),
            ("* only five days", "本 only five days", "* only five days", "script"),
            ("in the 1990s. And", "in the l990s. And", "in the 1990s. And", "number"),
        ],
    )
    def test_the_regular_form_stands(self, tesseract: str, rapidocr: str, stands: str, rule: str) -> None:
        blended = two(tesseract, rapidocr)
        assert blended.text == stands
        assert rule in {word.rule for word in blended.words}

    def test_capitals_that_both_may_have_are_the_pivots(self) -> None:
        assert two("the Village green", "the village green").text == "the village green"

    def test_a_word_with_a_slash_is_not_taken_apart(self) -> None:
        readings = [
            page(line("the Ingres/ Advisor", 50, 100)),
            page(line("the Ingres/Advisor", 50, 100), provider="rapidocr"),
        ]
        assert blend(readings, {"ingres", "advisor"}).text == "the Ingres/Advisor"


class TestGuards:
    def test_a_broken_word_loses_its_vote_though_it_would_be_known(self) -> None:
        layer = page(
            line("the caf\u00c3\u00a9 and \ufffdfinal word of it all", 50, 100, confidence=None), provider="text-layer"
        )
        blended = blend([layer, page(line("the café and final word of it all", 50, 100))], {"final"})
        assert blended.text == "the café and final word of it all"
        assert rules(blended)["café"] == rules(blended)["final"] == "damage"
        assert blended.words[1].voters == ("tesseract",)

    def test_of_three_the_sound_ones_decide(self) -> None:
        texts = ["the fi\ue001h", "the fish", "the fish"]
        readings = [page(line(text, 50, 100), provider=f"engine{i}") for i, text in enumerate(texts)]
        assert blend(readings).text == "the fish"

    def test_a_line_said_again_and_again_is_kept_where_it_was_said_first(self) -> None:
        words = iter("abcdefghijklmnopqrstuvwxyz")
        told = [
            line(" ".join(c * n for n in range(2, 12)), 50, 100 + 14 * i) for i, c in zip(range(9), words, strict=False)
        ]
        said = [*told, *[line("and so it went on", 50, 240 + 14 * i) for i in range(7)]]
        other = page(*told, line("and so it went on", 50, 240))
        blended = blend([page(*said, provider="model"), other])
        assert blended.text.count("and so") == 3
        assert len(blended.lines) == 12

    def test_a_description_of_a_blank_page_is_no_text(self) -> None:
        empty = page()
        empty.figures = {"ink_outside": 0.0, "ink_lines": 0.0}
        invented = page(line("The page shows a quiet harbour.", 50, 100, confidence=None), provider="model")
        assert blend([empty, invented]).text == ""
        empty.figures = {"ink_outside": 1.0, "ink_lines": 1.0}
        assert blend([empty, invented]).text == "The page shows a quiet harbour."

    def test_words_beyond_the_page_are_dropped(self) -> None:
        out = page(line("on the page", 50, 100), line("off the page", 50, 640), provider="model")
        assert blend([out, page(line("on the page", 50, 100))]).text == "on the page"


class TestWithoutBoxes:
    """Services that say what stands on a page, but not where."""

    def everywhere(self, reading: PageReading, *, one_line: bool) -> PageReading:
        box = (0.0, 0.0, reading.width, reading.height)
        lines = [[Word(word.text, box) for word in row.words] for row in reading.lines]
        if one_line:
            lines = [[word for row in lines for word in row]]
        return PageReading("service", reading.width, reading.height, [Line(row) for row in lines])

    @pytest.mark.parametrize("one_line", [False, True])
    @pytest.mark.parametrize("number", [4, 17])
    def test_the_other_readings_tell_where_its_words_stand(self, number: int, one_line: bool) -> None:
        tesseract, rapidocr = dict(sample("tesseract"))[number], dict(sample("rapidocr"))[number]
        blended = blend([tesseract, self.everywhere(rapidocr, one_line=one_line)])
        assert [row.text for row in blended.lines] == [row.text for row in blend([tesseract, rapidocr]).lines]
        assert all(word.box[3] - word.box[1] < 30 for word in blended.words)

    def test_a_lost_line_comes_from_it_in_its_place(self) -> None:
        whole = dict(sample("rapidocr"))[5]
        tesseract = dict(sample("tesseract"))[5]
        lost = tesseract.lines[10].text
        del tesseract.lines[10]
        found = [row.text for row in blend([tesseract, self.everywhere(whole, one_line=False)]).lines]
        assert any(lost.split()[2] in text and lost.split()[-2] in text for text in found[9:12])

    def test_two_without_boxes_are_blended_too(self) -> None:
        first, second = (self.everywhere(dict(sample(name))[17], one_line=False) for name in ("tesseract", "rapidocr"))
        blended = blend([first, second])
        assert len(blended.lines) == len(first.lines)


class TestLeaders:
    def test_letters_made_of_dots_become_leaders(self) -> None:
        noise = Word("ceesssescssseessseessssesceseccessscssssecsss", (130, 100, 330, 110), 2.0)
        tesseract = line("The Doctor", 50, 100)
        tesseract.words += [noise, Word("17", (338, 100, 348, 110), 96.0)]
        rapidocr = line("The Doctor", 50, 100, confidence=99)
        blended = blend([page(tesseract), page(rapidocr, line("17", 338, 100, confidence=99), provider="rapidocr")])
        assert blended.text == "The Doctor .... 17"
        assert blended.words[2].rule == "leaders"

    def test_a_number_that_one_engine_lost_behind_them_stays(self) -> None:
        tesseract = line("A Day at a Time", 50, 100)
        tesseract.words += [
            Word("oo.", (130, 100, 140, 110), 8.0),
            Word("cecceccsssescnsecsssseesssesses", (142, 100, 330, 110), 0.0),
            Word("1", (338, 100, 343, 110), 96.0),
        ]
        blended = blend([page(tesseract), page(line("A Day at a Time", 50, 100), provider="rapidocr")])
        assert blended.text == "A Day at a Time .... 1"

    @staticmethod
    def entries(*others: str) -> str:
        """Two entries or table rows of each kind, and one of which Tesseract read the title alone, RapidOCR also ".13"."""
        short, full = [], []
        for row, text in enumerate((*others, "Finical Farming")):
            y = 100 + 20 * row
            short.append(line(text, 50, y))
            last = row == len(others)
            full.append(line(text, 50, y, confidence=99))
            full[-1].words.append(Word(".13" if last else f"{row + 5}", (330, y, 348, y + 10), 99))
            if not last:
                short[-1].words.append(Word(f"{row + 5}", (330, y, 348, y + 10), 96))
        return blend([page(*short), page(*full, provider="rapidocr")]).lines[-1].text

    def test_a_dot_on_a_number_is_what_is_left_of_leaders_among_leaders(self) -> None:
        assert self.entries("The Doctor .........", "Well and Now ........") == "Finical Farming .... 13"

    def test_a_dot_on_a_number_is_its_own_in_a_table(self) -> None:
        assert self.entries("The Doctor", "Well and Now") == "Finical Farming .13"


class TestThreeEngines:
    def vote(self, *texts: str) -> PageReading:
        return blend([page(line(text, 50, 100), provider=f"engine{i}") for i, text in enumerate(texts)])

    def test_the_majority_decides(self) -> None:
        blended = self.vote("the quiet sea", "the quict sea", "the quiet sea")
        assert blended.text == "the quiet sea"
        assert rules(blended)["quiet"] == "majority"
        assert blended.words[1].voters == ("engine0", "engine2")

    def test_words_of_one_are_dropped_if_two_are_silent(self) -> None:
        assert self.vote("the sea", "the big sea", "the sea").text == "the sea"

    def test_letters_are_voted_where_all_words_differ(self) -> None:
        readings = [
            page(line("harbour wall", 50, 100), line(word, 50, 120), provider=f"engine{i}")
            for i, word in enumerate(["harbonr", "hazbour", "harbcur"])
        ]
        blended = blend(readings)
        assert blended.lines[1].text == "harbour"
        assert blended.lines[1].words[0].rule == "characters"


class TestSample:
    """26 pages at 300 dpi; Tesseract alone has 1.2 % errors, nearly all on the contents page."""

    def test_a_second_reading_of_low_confidence_pages_brings_errors_under_a_fifth_of_a_per_cent(self) -> None:
        second = dict(sample("rapidocr"))
        blended = [
            (i, blend([reading, second[i]] if (reading.confidence or 0) < 85 else [reading]))
            for i, reading in sample("tesseract")
        ]
        assert character_errors(blended, sample_truth()) <= 0.1
        assert character_errors(blended, sample_truth(), straight_quotes=True) <= 0.1

    def test_the_blend_of_all_pages_is_better_than_each_engine(self) -> None:
        first, second = sample("tesseract"), sample("rapidocr")
        blended = [(i, blend([a, b])) for (i, a), (_, b) in zip(first, second, strict=True)]
        truth = sample_truth()
        best = min(character_errors(readings, truth, straight_quotes=True) for readings in (first, second))
        assert character_errors(blended, truth) <= 0.05 < best

    def test_the_order_of_the_readings_does_not_matter(self) -> None:
        first, second = dict(sample("tesseract")), dict(sample("rapidocr"))
        for i in (3, 4, 17):
            assert blend([first[i], second[i]]).text == blend([second[i], first[i]]).text

    def test_every_word_survives_json(self) -> None:
        blended = blend([dict(sample("tesseract"))[3], dict(sample("rapidocr"))[3]])
        again = PageReading.from_json(blended.to_json())
        assert [(w.text, w.voters, w.readings, w.rule) for w in again.words] == [
            (w.text, w.voters, w.readings, w.rule) for w in blended.words
        ]


class TestLinesOnEnd:
    """Tesseract takes a column of page numbers, or a row of holes, for one line of text that stands on end."""

    ENTRIES = ("Introduction", "Objectives and scope", "Related guidelines", "Intended audience")

    def contents(self, *extra: Line) -> list[PageReading]:
        one = page(*(line(title, 50, 100 + 14 * i) for i, title in enumerate(self.ENTRIES)), *extra)
        other = page(
            *(
                Line([*line(title, 50, 99 + 14 * i, 12).words, *line(str(i + 1), 350, 99 + 14 * i, 12).words])
                for i, title in enumerate(self.ENTRIES)
            ),
            provider="rapidocr",
        )
        return [one, other]

    def test_gives_way_to_the_level_lines_that_another_read_there(self) -> None:
        on_end = Line([Word("NYON", (350, 98, 357, 130), 20), Word("AWA", (350, 132, 357, 156), 11)], 2)
        blended = blend(self.contents(on_end))
        assert blended.text.splitlines() == [f"{title} {i}" for i, title in enumerate(self.ENTRIES, 1)]

    def test_stays_where_nobody_read_level_lines(self) -> None:
        spine = Line([Word("Guidelines", (380, 98, 390, 150), 92)], 2)
        assert "Guidelines" in blend(self.contents(spine)).text

    def test_an_initial_is_no_such_line(self) -> None:
        initial = page(
            Line([Word("I", (50, 98, 56, 122), 95)]), line("t was late.", 60, 100), line("He went.", 60, 112)
        )
        level = page(line("It was late.", 50, 99, 12), line("He went.", 60, 111, 12), provider="rapidocr")
        assert blend([initial, level]).text.split()[-2:] == ["He", "went."]
        assert "late." in blend([initial, level]).text


class TestBullets:
    def test_stand_apart_from_the_item(self) -> None:
        assert two("¢ Laboratory-based tests", "•Laboratory-based tests").text == "• Laboratory-based tests"
        assert two("e Anadolescent is", "•An adolescent is").text == "• An adolescent is"

    @pytest.mark.parametrize("sign", ["e", "¢", "©", "°", "«", "o"])
    def test_are_no_letters(self, sign: str) -> None:
        blended = blend(
            [
                page(line(f"{sign} all adults of", 50, 100), line("more words than one", 50, 114)),
                page(
                    line("• all adults of", 49, 99, 12), line("more words than one", 49, 113, 12), provider="rapidocr"
                ),
            ],
            {"e", "o"},
        )
        assert blended.text.splitlines()[0] == "• all adults of"
        assert rules(blended)["•"] == "bullet"

    def test_only_before_a_line(self) -> None:
        assert "bullet" not in rules(two("the word o of it", "the word • of it")).values()

    def test_numbers_and_dashes_of_the_other_engine_are_left_to_the_other_rules(self) -> None:
        assert "bullet" not in rules(two("1 of the words", "• of the words")).values()


class TestAddresses:
    @pytest.mark.parametrize(
        ("apart", "whole"),
        [
            ("see http://www.who. int/about/licensing. for", "see http://www.who.int/about/licensing. for"),
            ("at ghostscript. com today", "at ghostscript.com today"),
            ("at mupdf .com today", "at mupdf.com today"),
            ("from www.example.org/ books/index.html here", "from www.example.org/books/index.html here"),
        ],
    )
    def test_have_no_blanks(self, apart: str, whole: str) -> None:
        words = {"at", "ghostscript", "com", "mupdf", "int", "who", "http", "from", "books", "see", "for"}
        for first, second in ((apart, whole), (whole, apart)):
            pages = [page(line(first, 50, 100)), page(line(second, 49, 99, 12), provider="rapidocr")]
            assert blend(pages, words).text == whole

    def test_but_the_word_before_one_is_apart(self) -> None:
        assert two("at http://a.org/b today", "athttp://a.org/b today").text == "at http://a.org/b today"

    def test_a_compound_is_not_cut_at_its_hyphen(self) -> None:
        assert two("Anti- HCV tests", "Anti-HCV tests").text == "Anti-HCV tests"


def test_empty_lines_do_no_harm() -> None:
    assert blend([PageReading("a", 10, 10, [Line([])]), page(line("text here", 5, 5))]).text == "text here"
