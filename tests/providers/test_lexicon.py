"""Which words are known."""

from __future__ import annotations

import pytest

from providers.lexicon import Lexicon, book_words


class TestLanguages:
    @pytest.mark.parametrize("word", ["the", "her", "houses", "london", "don't", "man's", "xiv", "i"])
    def test_english_words(self, word: str) -> None:
        assert word in Lexicon("eng")

    @pytest.mark.parametrize("word", ["horscs", "modcrn", "tbe", "you'l1", "civii", "", "x7", "1916"])
    def test_misreadings_are_no_words(self, word: str) -> None:
        assert word not in Lexicon("eng")

    def test_a_book_in_two_languages_has_the_words_of_both(self) -> None:
        both = Lexicon("deu+eng")
        assert "straße" in both
        assert "street" in both
        assert "straße" not in Lexicon("eng")

    def test_french_articles_belong_to_their_words(self) -> None:
        assert "l'homme" in Lexicon("fra")

    def test_a_language_without_a_list_knows_nothing_and_says_so(self) -> None:
        assert not Lexicon("chr")
        assert "the" not in Lexicon("chr")


class TestBook:
    def test_words_of_two_pages_are_the_books_own(self) -> None:
        words = book_words(["“Rothwell came, and saw.", "and Rothwell’s horse", "Rothwe11 and"])
        assert "rothwell" not in words
        assert words == {"and"}
        assert "rothwell" in book_words(["“Rothwell came.", "(Rothwell) went 1916", "1916"])
        assert "1916" not in book_words(["1916", "1916"])

    def test_they_add_to_the_language(self) -> None:
        lexicon = Lexicon("eng", {"galleonry"})
        assert "galleonry" in lexicon
        assert "galleonry" not in Lexicon("eng")
