"""Which words there are: those of a language, and those that a book uses.

The words of a language come from simplemma (MIT, no dependencies, the lists of 54 languages in the wheel). Read through its
compact form, English takes 0.2 s to load and 3 MB, German (1.1 million forms) 1.2 s and 22 MB. Measured on the truth of 65
letters and three books it knows 97.5 % of the words, and 2.4 % of words with a typical misreading (e for c, rn for m).
wordfreq knows 98.9 and 6.6 % (the web's misspellings are in its lists) and is no longer kept up; pyspellchecker 96.9 and
2.1 %, in twelve languages.
"""

from __future__ import annotations

import functools
import re
from collections import Counter
from collections.abc import Container, Iterable

from providers.rules.lexicon import STOP_WORDS
from providers.vote.choose import key

MODEL = "simplemma 2"
"""Part of the fingerprint of what is decided with it."""

_LANGUAGES = {
    "ara": "ar", "bos": "hbs", "bul": "bg", "cat": "ca", "ces": "cs", "cym": "cy", "dan": "da", "deu": "de", "ell": "el",
    "eng": "en", "enm": "enm", "epo": "eo", "est": "et", "fas": "fa", "fil": "tl", "fin": "fi", "fra": "fr", "frk": "de",
    "gla": "gd", "gle": "ga", "glg": "gl", "grc": "grc", "heb": "he", "hin": "hi", "hrv": "hbs", "hun": "hu", "hye": "hy",
    "ind": "id", "isl": "is", "ita": "it", "ita_old": "it", "kat": "ka", "lat": "la", "lav": "lv", "lit": "lt", "ltz": "lb",
    "mal": "ml", "mkd": "mk", "msa": "ms", "nld": "nl", "nor": "nb", "pol": "pl", "por": "pt", "ron": "ro", "rus": "ru",
    "slk": "sk", "slv": "sl", "spa": "es", "spa_old": "es", "sqi": "sq", "srp": "hbs", "srp_latn": "hbs", "swa": "sw",
    "swe": "sv", "tgl": "tl", "tur": "tr", "ukr": "uk",
}  # fmt: skip
"""Tesseract's name of a language -> the word list's."""

_ADDED = {"en": frozenset({"a", "i", "o", "her", "lesser", "com", "org", "etc"})}
"""Common words that the list lacks."""

_ROMAN = re.compile(r"(?=.)m{0,3}(cm|cd|d?c{0,3})(xc|xl|l?x{0,3})(ix|iv|v?i{0,3})")


class Lexicon(Container[str]):
    """Words as `vote.choose.key` has them: lower case, without signs around them.

    Args:
        language: Tesseract's names joined by "+"; parts without a word list count as unknown.
        words: The book's own.
    """

    def __init__(self, language: str = "", words: Iterable[str] = ()) -> None:
        self.languages = tuple(dict.fromkeys(_LANGUAGES[part] for part in language.split("+") if part in _LANGUAGES))
        self.words = frozenset(words)

    def __contains__(self, word: object) -> bool:
        return isinstance(word, str) and (word in self.words or _is_word(word, self.languages))

    def __bool__(self) -> bool:
        """Whether it can tell anything at all."""
        return bool(self.languages or self.words)


@functools.lru_cache(maxsize=100_000)
def _is_word(word: str, languages: tuple[str, ...]) -> bool:
    """Cached: a look-up takes 20 µs, and the commonest thousand words make up four fifths of any text."""
    if not word or not languages:
        return False
    if any(word in STOP_WORDS.get(code, ()) or word in _ADDED.get(code, ()) for code in languages):
        return True
    if len(word) == 1:
        return False
    from simplemma import is_known  # here, because the lists are loaded with it

    if is_known(word, languages, low_memory=True):
        return True
    if "'" in word:  # don't, Goodman's, l'homme: the list has the longest part, the others are endings and articles
        parts = sorted((part for part in word.split("'") if part), key=len)
        return (
            bool(parts)
            and len(parts[-1]) > 1
            and all(len(part) <= 3 and part.isalpha() for part in parts[:-1])
            and (is_known(parts[-1], languages, low_memory=True))
        )
    return _ROMAN.fullmatch(word) is not None


def book_words(texts: Iterable[str], pages: int = 2) -> frozenset[str]:
    """Words that stand on at least so many of the pages: names and terms that no list of a language has."""
    counts: Counter[str] = Counter()
    for text in texts:
        counts.update({key(word) for word in text.split()})
    return frozenset(word for word, n in counts.items() if n >= pages and any(c.isalpha() for c in word))
