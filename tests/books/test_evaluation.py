"""Scores of small hand-made books, with the figures that the definitions in docs/evaluation.md give."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from rapidfuzz.distance import Levenshtein

from books.evaluation import Truth, load_truth, score_book, total, truth_files
from books.evaluation.contents import match_entries
from books.evaluation.figures import Errors, Found, Hits
from books.evaluation.report import book_row, worst_pages, wrong_fields
from books.evaluation.text import normalised, score_text, wrong_words
from books.evaluation.truth import TruthEntry, truth_of, truths_by_source
from schemas.documents import Book, Page, ToC, TocEntry
from schemas.errors import BadInput, SourceNotFound
from tests.providers.reading_helpers import ROOT, sample_truth


@dataclass
class Ours:
    """A processed book from literals."""

    pages: list[Page] = field(default_factory=list)
    entries: list[TocEntry] = field(default_factory=list)
    toc: ToC | None = None
    book: Book = field(default_factory=lambda: Book(key="b-1"))


def page(number: int, **fields: Any) -> Page:
    return Page(key=f"p{number}", page=number, **fields)


def entry(
    title: str, printed: str | None = None, level: int = 1, page: int | None = None, number: str = ""
) -> TocEntry:
    return TocEntry(key=title, title=title, printed=printed, level=level, page=page, number=number or None)


def truth(**fields: Any) -> Truth:
    return Truth.model_validate({"name": "t", **fields})


class TestText:
    @pytest.mark.parametrize(
        ("text", "compared"),
        [
            ("ﬁnd  the\n‘ﬂaw’ — “here”", "find the 'flaw' - \"here\""),
            ("e\u0301tude", "étude"),
            ("Preface . . . . . . ix", "Preface … ix"),
            ("Preface.......ix", "Preface … ix"),
            ("Preface ···· ix", "Preface … ix"),
            ("wait… what", "wait … what"),
            ("Docu\u00ad\nment", "Docu- ment"),
            ("Docu\u00adment", "Document"),
            ("\x07a point. Next, 3.1 of p. 4", "a point. Next, 3.1 of p. 4"),
        ],
    )
    def test_what_is_compared(self, text: str, compared: str) -> None:
        assert normalised(text) == compared

    def test_equal_texts_have_no_errors(self) -> None:
        score = score_text("One “two”\nthree", 'One "two" three')
        assert (score.cer, score.wer, score.letters.errors, score.whole_words.errors, score.bag.errors) == (
            0,
            0,
            0,
            0,
            0,
        )

    def test_a_lost_blank_is_no_error_of_letters(self) -> None:
        score = score_text("in the house", "inthe house")
        assert score.characters == Errors(errors=1, of=12)
        assert score.letters == Errors(errors=0, of=10)
        assert score.words == Errors(errors=2, of=3)
        assert score.whole_words == Errors(errors=0, of=3)
        assert score.bag == Errors(errors=2, of=3)

    def test_a_misread_word_and_an_invented_one(self) -> None:
        score = score_text("the cat sat", "the cot sat down")
        assert score.characters == Errors(errors=6, of=11)
        assert score.words == Errors(errors=2, of=3)
        assert score.whole_words == Errors(errors=2, of=3), "'cat', and 'sat' for what was invented behind it"
        assert score.bag == Errors(errors=2, of=3)

    def test_another_order_is_no_error_of_the_bag(self) -> None:
        score = score_text("left one\nright two", "right two\nleft one")
        assert score.words.errors == 4
        assert score.bag == Errors(errors=0, of=4)

    def test_a_blank_page_counts_what_was_invented(self) -> None:
        score = score_text("", "· ;")
        assert (score.characters.errors, score.characters.of, score.cer) == (3, 0, None)
        assert (score.words.errors, score.whole_words.errors, score.bag.errors) == (2, 1, 2)

    def test_nothing_was_read(self) -> None:
        score = score_text("two words", "")
        assert (score.cer, score.wer, score.whole_words.rate, score.bag.rate) == (1, 1, 1, 1)

    def test_distances_are_levenshteins(self) -> None:
        for told in [page["text"] for page in sample_truth()["pages"]][:6]:
            ours = told.replace("the", "tho").replace(" a ", " ")[10:]
            score = score_text(told, ours)
            assert score.characters.errors == Levenshtein.distance(normalised(told), normalised(ours))
            assert score.words.errors == Levenshtein.distance(normalised(told).split(), normalised(ours).split())

    def test_wrong_words_are_pairs_in_order(self) -> None:
        assert wrong_words("a red fox ran", "a rod fox", 5) == [("red", "rod"), ("ran", "")]
        assert wrong_words("a red fox ran", "a rod fox", 1) == [("red", "rod")]
        assert wrong_words("", "dust here", 5) == [("", "dust"), ("", "here")]


class TestLabels:
    def test_each_kind_of_page(self) -> None:
        told = truth(
            pages=[
                {"page": 1, "label": None, "text": "Title"},
                {"page": 2, "label": None, "page_type": "blank"},
                {"page": 3, "label": "iii", "text": "iii\nContents"},
                {"page": 4, "label": "1", "text": "Chapter One\nIt was\na day\nof rain\nand so"},
                {"page": 5, "label": "2", "label_printed": False},
                {"page": 6, "label": "3", "text": "A BOOK 3\nmore"},
                {"page": 7, "label": None, "text": "  \n"},
                {"page": 8, "text": "says nothing of its number"},
            ]
        )
        ours = Ours(
            [
                page(1, label="1", label_inferred=False),
                page(2, label="2", label_inferred=True),
                page(3, label="iii"),
                page(4, label="1", label_inferred=True),
                page(5),
                page(6, label="8"),
                page(8, label="77"),
            ]
        )
        labels = score_book(ours, told).labels
        assert labels is not None
        assert labels.all == Hits(right=3, of=7)
        assert labels.observed == Hits(right=1, of=2), "3 and 6 print theirs"
        assert labels.inferred == Hits(right=1, of=2), "4 and 5 are counted only"
        assert labels.unnumbered == Hits(right=1, of=3)
        assert (labels.false_observed, labels.false_inferred, labels.false_on_blank) == (1, 1, 1)

    def test_a_number_inside_the_text_is_not_the_pages(self) -> None:
        text = "one\ntwo\nthere were 5 of them\nthree\nfour"
        labels = score_book(Ours([page(1, label="5")]), truth(pages=[{"page": 1, "label": "5", "text": text}])).labels
        assert labels is not None
        assert labels.inferred == Hits(right=1, of=1)

    def test_types_by_any_of_their_names(self) -> None:
        told = truth(pages=[{"page": 1, "page_type": "title"}, {"page": 2, "page_type": "toc"}, {"page": 3}])
        score = score_book(Ours([page(1, page_type="title_page"), page(2, page_type="body"), page(3)]), told)
        assert score.page_types == Hits(right=1, of=2)

    def test_running_headers(self) -> None:
        headers = ["A DAY AT A TIME", "A Day at a Time", None, None, "GOD IN THE WHEELS"]
        told = truth(
            pages=[{"page": n, "running_header": header} for n, header in enumerate(headers, 1)] + [{"page": 6}]
        )
        ours = ["A DAY AT A TlME", "Another Header", None, "dust", None, "anything"]
        score = score_book(Ours([page(n, running_header=header) for n, header in enumerate(ours, 1)]), told)
        assert score.headers is not None
        assert score.headers.printed == Hits(right=1, of=3)
        assert score.headers.none == Hits(right=1, of=2)


class TestContents:
    TOLD = (
        {"title": "Preface", "level": 1, "printed": "v"},
        {"title": "I The First Part", "level": 1, "printed": "1"},
        {"title": "Overview", "level": 2, "printed": "2"},
        {"title": "Methods", "level": 2, "printed": "7"},
        {"title": "Overview", "level": 2, "printed": "9"},
    )

    def test_figures(self) -> None:
        told = truth(
            toc_pages=[3, 4],
            toc=list(self.TOLD),
            pages=[{"page": n + 5, "label": str(n)} for n in range(1, 10)],
        )
        ours = Ours(
            entries=[
                entry("PREFACE", "V", 1, 5),
                entry("The First Part", "1", 1, 6, number="I"),
                entry("Overview", "2", 2, 7),
                entry("Dust", "3", 2, 8),
                entry("Overview", "8", 1, 14),
            ],
            toc=ToC(key="t", pages=[4, 5, 6]),
        )
        contents = score_book(ours, told).contents
        assert contents.pages == Found(right=1, given=3, wanted=2)
        assert contents.pages.precision == pytest.approx(1 / 3, abs=1e-6)
        assert contents.pages.recall == 0.5
        assert contents.titles == Found(right=4, given=5, wanted=5)
        assert contents.titles_pages == Found(right=3, given=5, wanted=5)
        assert contents.titles_pages.f == 0.6
        assert contents.levels == Found(right=3, given=5, wanted=5)
        assert contents.physical == Hits(right=3, of=4), "'v' is the label of no page, 'Methods' was not found"

    def test_entries_match_once_and_in_order(self) -> None:
        told = [TruthEntry.model_validate(row) for row in self.TOLD]
        assert match_entries(told, [entry("Overview", "9")]) == [(4, 0)], "the number decides between equal titles"
        assert len(match_entries(told, [entry("Overview"), entry("Overview"), entry("Overview")])) == 2
        assert len(match_entries(told, [entry("Methods"), entry("Preface")])) == 1, "never crosswise"
        assert match_entries(told, [entry("Methodology of things")]) == []
        assert match_entries(told, []) == []

    def test_a_physical_page_that_the_truth_gives(self) -> None:
        told = truth(toc=[{"title": "One", "printed": "1", "page": 4}, {"title": "Two", "printed": "2", "page": None}])
        contents = score_book(Ours(entries=[entry("One", "1", 1, 4), entry("Two", "2", 1, 9)]), told).contents
        assert contents.physical == Hits(right=1, of=1)
        assert contents.levels is None, "no level is stated"

    def test_what_was_not_transcribed_is_not_scored(self) -> None:
        contents = score_book(
            Ours(entries=[entry("One")]), truth(toc=[], toc_transcribed=False, toc_pages=[3])
        ).contents
        assert contents.titles is None
        assert contents.pages == Found(right=0, given=0, wanted=1)

    def test_no_contents_and_none_invented(self) -> None:
        contents = score_book(Ours(entries=[entry("One")]), truth(toc=[], toc_pages=[])).contents
        assert contents.titles == Found(right=0, given=1, wanted=0)
        assert contents.pages is not None
        assert contents.pages.f is None


class TestMetadata:
    def test_a_verdict_per_stated_field(self) -> None:
        told = truth(
            title="The Wheel: A History",
            subtitle=None,
            authors=["Ann Lee", "Bo Ek"],
            publisher="Harbour Press",
            year=1916,
            place=None,
            isbn=["978-1-4028-9462-6"],
        )
        book = Book(
            key="b",
            title="THE WHEEL: A HISTORY.",
            subtitle="Dust",
            authors=["Bo Ek", "Ann Lee"],
            year=1961,
            isbn=["9781402894626"],
            language="en",
        )
        score = score_book(Ours(book=book), told)
        assert {name: one.verdict for name, one in score.metadata.items()} == {
            "title": "right",
            "subtitle": "invented",
            "authors": "right",
            "publisher": "missing",
            "place": "right",
            "year": "wrong",
            "isbn": "right",
        }
        assert score.metadata_fields == Hits(right=4, of=7)
        assert wrong_fields(score)[-1] == ["b", "year", "wrong", 1916, 1961]


class TestTotals:
    def test_long_books_weigh_more(self) -> None:
        long = score_book(Ours([page(1, text="x" * 90)]), truth(pages=[{"page": 1, "text": "x" * 90}]))
        short = score_book(Ours([page(1, text="yyyyyyyyyz")]), truth(pages=[{"page": 1, "text": "y" * 10}]))
        both = total([long, short])
        assert both.text is not None
        assert both.text.characters == Errors(errors=1, of=100)
        assert both.text.pages == 2
        assert both.labels is None, "nobody states any"
        assert book_row(both)[:3] == ["total", "2", "1.00 %"]

    def test_a_truth_without_anything_scores_nothing(self) -> None:
        score = score_book(Ours([page(1, text="text", label="1")]), truth(pages=[{"page": 1}]))
        assert set(book_row(score)[1:]) == {None}
        assert score.pages == []

    def test_worst_pages_come_first_with_a_command(self) -> None:
        told = truth(
            pages=[
                {"page": 1, "text": "quite right"},
                {"page": 2, "text": "“one” wrong", "label": "2"},
                {"page": 3, "text": "all is lost"},
                {"page": 4, "text": "fine", "page_type": "toc"},
            ]
        )
        ours = Ours([page(1, text="quite right"), page(2, text="“ono” wrong"), page(4, text="fine")])
        rows = worst_pages(score_book(ours, told), 5)
        assert [row[0] for row in rows] == ["3", "2", "4"]
        assert [row[2] for row in rows] == ["shelf page b-1 3", "shelf why b-1 2 ono", "shelf page b-1 4"]
        assert rows[1][1] == 'CER 9.09 %: "one" → "ono"; label 2 → none'


class TestTruthFiles:
    def write(self, folder: Path, value: object) -> Path:
        path = folder / "book.json"
        path.write_text(value if isinstance(value, str) else json.dumps(value))
        return path

    def test_the_sample(self) -> None:
        told = load_truth(ROOT / "samples/a-day-at-a-time.json")
        assert (told.name, told.title, len(told.pages), len(told.entries or ())) == (
            "a-day-at-a-time",
            "A Day at a Time",
            26,
            6,
        )
        assert not told.states("subtitle")
        assert told.pages[0].states("label")

    @pytest.mark.parametrize(
        ("value", "field"),
        [
            ({"pages": [{"page": 1}, {"page": "two"}]}, "pages.1.page"),
            ({"pages": [{"page": 0}]}, "pages.0.page"),
            ({"pages": [{"page": 1}, {"page": 1}]}, "page 1 is there twice"),
            ({"toc": [{"level": 1}]}, "toc.0.title"),
            ({"authors": "Ann Lee"}, "authors"),
            ([], "the file itself"),
            ("{", "is no JSON"),
        ],
    )
    def test_errors_name_file_and_field(self, tmp_path: Path, value: object, field: str) -> None:
        path = self.write(tmp_path, value)
        with pytest.raises(BadInput) as refused:
            load_truth(path)
        assert str(path) in refused.value.message
        assert field in refused.value.message
        assert "docs/evaluation.md" in refused.value.next_step

    def test_two_files_for_one_source(self) -> None:
        one, other = Truth(name="a"), Truth(name="b", source_name="a")
        assert truths_by_source([one, Truth(name="b")]).keys() == {"a", "b"}
        with pytest.raises(BadInput, match=r"a\.json and b\.json"):
            truths_by_source([one, other])

    def test_missing_files(self, tmp_path: Path) -> None:
        with pytest.raises(SourceNotFound):
            load_truth(tmp_path / "none.json")
        with pytest.raises(SourceNotFound):
            truth_files(tmp_path)

    def test_a_source_finds_its_truth_by_name(self) -> None:
        truths = {name: Truth(name=name) for name in ("book", "book-two")}
        found = {name: getattr(truth_of(name, truths), "name", None) for name in ("book", "book.pdf", "book-scan.pdf")}
        assert set(found.values()) == {"book"}
        assert truth_of("book-two-scan.pdf", truths) is truths["book-two"]
        assert truth_of("bookshelf.pdf", truths) is None
        assert truth_of("other.pdf", truths) is None
