"""Readings side by side: scores, ranks, lines in their places."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable

import pytest

from cli.compare import Score, costs, lines_of, marked, ranking
from schemas.documents import Metric
from schemas.reading import Line, PageReading, Word
from tests.cli.conftest import BLEND, BOOK, RAPIDOCR, TESSERACT, Library

Shelf = Callable[..., tuple[int, str, str]]


@pytest.fixture
def measured(library: Library) -> Library:
    """What the two engines took."""
    rows = [("tesseract", 3, 6.0, 0.0), ("tesseract", 1, 1.0, 0.0), ("rapidocr", 1, 8.0, None)]
    metrics = [
        Metric(
            key=f"attempt/measured-{at}",
            book_key=BOOK,
            kind="attempt",
            operation="ocr",
            provider=provider,
            read=read,
            execution_seconds=seconds,
            cost_usd=cost,
        )
        for at, (provider, read, seconds, cost) in enumerate(rows)
    ]
    asyncio.run(library.store.create(Metric, metrics))
    return library


def test_the_pages_that_were_read_twice(shelf: Shelf, measured: Library) -> None:
    code, out, err = shelf("compare", BOOK, "--json")
    found = json.loads(out)
    assert (code, err) == (0, "")
    assert (found["pages_compared"], found["pages_with_one_source"]) == (1, 0)
    (page,) = found["pages"]
    assert (page["page"], page["agreement"], page["words"], page["disputed"]) == (2, 0.5, 2, 1)
    assert [(source["provider"], source["agreement"], source["won"]) for source in page["sources"]] == [
        ("tesseract", 0.5, 0),
        ("rapidocr", 1.0, 1),
    ]


def test_the_engines_by_rank(shelf: Shelf, measured: Library) -> None:
    found = json.loads(shelf("compare", BOOK, "--summary", "--json")[1])
    assert "pages" not in found
    best, other = found["providers"]
    assert (best["provider"], best["agreement"], best["won"], best["disputed"]) == ("rapidocr", 1.0, 1, 1)
    assert (best["seconds_per_page"], best["cost_usd"]) == (8.0, None)
    assert (other["provider"], other["pages_read"], other["seconds_per_page"], other["cost_usd"]) == (
        *("tesseract", 4, 1.75),
        0.0,
    )
    code, out, _ = shelf("compare", BOOK, "--summary")
    assert code == 0
    assert [line.split()[0] for line in out.splitlines()] == ["provider", "rapidocr", "tesseract"]


def test_one_page_says_who_won_what(shelf: Shelf, library: Library) -> None:
    found = json.loads(shelf("compare", BOOK, "--page", "2", "--json")[1])
    assert found["words"] == [
        {
            "line": 1,
            "word": "Doctor",
            "won_by": ["rapidocr"],
            "rule": "lexicon",
            "readings": [{"provider": "tesseract", "text": "Doct0r"}, {"provider": "rapidocr", "text": "Doctor"}],
        }
    ]
    assert found["lines"] == [
        {"text": "The Doctor", "sources": {"tesseract": "The Doct0r", "rapidocr": "The Doctor"}},
    ]
    code, out, _ = shelf("compare", BOOK, "--page", "2")
    assert code == 0
    lines = out.splitlines()
    assert "blend      The Doctor" in lines
    assert "tesseract  The *Doct0r*" in lines
    assert "rapidocr   The Doctor" in lines


def test_pages_that_cannot_be_compared(shelf: Shelf) -> None:
    assert shelf("compare", BOOK, "--page", "3")[0] == 2
    assert "was not read yet" in shelf("compare", BOOK, "--page", "3")[2]
    assert "was not looked at yet" in shelf("compare", BOOK, "--page", "9")[2]


def test_lines_go_where_they_stand_on_the_page() -> None:
    def line(text: str, left: float, top: float) -> Line:
        words = text.split()
        return Line([Word(word, (left + 40 * at, top, left + 40 * at + 35, top + 10)) for at, word in enumerate(words)])

    blend = PageReading("vote", 400, 600, [line("one two three", 10, 10), line("four", 10, 30)])
    split = PageReading("a", 400, 600, [line("three", 90, 11), line("one two", 10, 9), line("stain", 300, 500)])
    assert lines_of(blend, {"a": split}) == [
        {"text": "one two three", "sources": {"a": "one two three"}},
        {"text": "four", "sources": {"a": ""}},
        {"text": "", "sources": {"a": "stain"}},
    ]
    assert lines_of(None, {"tesseract": TESSERACT, "rapidocr": RAPIDOCR})[0]["text"] == "The Doct0r"
    assert lines_of(BLEND, {}) == [{"text": "The Doctor", "sources": {}}]


def test_words_that_differ_are_marked_where_they_stand() -> None:
    assert marked("the cat the hat", "the cat a hat") == [
        ("the", False),
        ("cat", False),
        ("the", True),
        ("hat", False),
    ]


def test_a_provider_that_was_never_compared_comes_last() -> None:
    rows = ranking({"alone": Score(confidences=[90.0]), "both": Score(1, 10, 5, 4, 1)}, costs([]))
    assert [(row["provider"], row["agreement"]) for row in rows] == [("both", 0.5), ("alone", None)]
