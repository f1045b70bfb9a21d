"""The typeset books say of themselves what stands on their pages."""

from __future__ import annotations

from pathlib import Path

import pymupdf
import pytest

from benchmarks.typeset_books import BOOKS, isbn, isbn10
from benchmarks.typesetter import Design, typeset
from providers.rules.isbn import find_isbns

SHORT = ("german-novel", "composite-numbers", "french-contents-at-end")


def design(name: str) -> Design:
    return next(book for book in BOOKS if book.name == name)


@pytest.mark.parametrize("name", SHORT)
def test_numbers_and_entries_agree_with_the_pages(name: str, tmp_path: Path) -> None:
    press = typeset(design(name))
    truth = press.truth()
    press.save(tmp_path / "book.pdf")
    with pymupdf.open(tmp_path / "book.pdf") as document:
        texts = [page.get_text() for page in document]
    assert len(texts) == len(truth.pages)
    for page, text in zip(truth.pages, texts, strict=True):
        if page.label is not None and page.label_printed:
            assert page.label in text.split(), page.page
        if page.page_type == "blank":
            assert not text.strip()
            assert page.label is None
        if page.running_header:
            assert page.running_header in text
    for entry in truth.entries or ():
        assert entry.page is not None
        assert entry.printed in (None, truth.pages[entry.page - 1].label)


def test_the_same_design_gives_the_same_book() -> None:
    one, other = (typeset(design("german-novel")) for _ in range(2))
    assert [sheet.pieces for sheet in one.sheets] == [sheet.pieces for sheet in other.sheets]


def test_names_of_books_are_their_own() -> None:
    assert len({book.name for book in BOOKS}) == len(BOOKS)


def test_their_isbns_are_valid() -> None:
    assert find_isbns(f"ISBN {isbn('978019876543')[1]}") == [isbn("978019876543")[0]]
    assert find_isbns(f"ISBN {isbn10('034552010')[1]}") == [isbn10("034552010")[0]]
