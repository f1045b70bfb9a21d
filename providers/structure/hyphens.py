"""Words that a line's end divides, put together again by the book's own usage."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence

from providers.structure.lines import Sheet, visible

SOFT = "\u00ad"
HYPHENS = ("-", "\u2010", "\u00ac", SOFT)
"""Hyphen-minus, hyphen, the sign that engines make of a worn hyphen, and the soft hyphen of text layers."""
COMMON = 2
"""How often both halves stand alone before they are taken for two words."""

_WORD = re.compile(r"[^\W_]+(?:[-\u2010'’][^\W_]+)*")
_PREFIXES = frozenset({"self", "ex", "non", "half", "well", "cross", "quasi", "vice", "anti", "semi", "all"})


class Lexicon:
    """How often words stand in the book within a line, in lower case."""

    def __init__(self, words: Iterable[str] = ()) -> None:
        self._counts = Counter(words)

    @classmethod
    def of(cls, sheets: Iterable[Sheet]) -> Lexicon:
        """Of all lines, heads and feet aside; what a line's end divides does not count."""
        lexicon = cls()
        for sheet in sheets:
            divided = False
            for line in sheet.body:
                words = line.words[divided:]
                divided = line.words[-1].endswith(HYPHENS)
                for word in words[: len(words) - divided]:
                    found = _WORD.search(visible(word).casefold())
                    if found:
                        lexicon._counts[found[0].replace("\u2010", "-")] += 1
        return lexicon

    def count(self, word: str) -> int:
        return self._counts[word.casefold()]

    def joined(self, first: str, second: str) -> str:
        """`first`, which ends in a hyphen, and `second` as one word.

        The book's own use decides: the word in one piece, or with its hyphen, wherever it stands within a line. A form that the
        book has not is judged by its halves: two words of their own keep their hyphen.
        """
        stem = first.rstrip("".join(HYPHENS))
        if first.endswith(SOFT):
            return stem + second
        a, b = _core(stem, last=True), _core(second, last=False)
        whole, hyphenated = self._forms(a, b)
        if whole or hyphenated:
            return stem + second if whole >= hyphenated else f"{stem}-{second}"
        if not a or not b or not b[0].islower() or a[-1].isdigit():
            return f"{stem}-{second}"
        if a.casefold() in _PREFIXES or (
            min(len(a), len(b)) >= 3 and self.count(a) >= COMMON and self.count(b) >= COMMON
        ):
            return f"{stem}-{second}"
        return stem + second

    def _forms(self, a: str, b: str) -> tuple[int, int]:
        """How often the word occurs whole and with a hyphen, in this form or a near one."""
        if not a or not b:
            return 0, 0
        whole, hyphenated = self.count(a + b), self.count(f"{a}-{b}")
        if not whole and not hyphenated:
            for ending in ("s", "ed", "d", "ing", "ly"):
                near = b.removesuffix(ending) if b.endswith(ending) and len(b) > len(ending) + 1 else b + ending
                whole += self.count(a + near)
                hyphenated += self.count(f"{a}-{near}")
        return whole, hyphenated


def _core(text: str, *, last: bool) -> str:
    """The last or first piece of letters of a token."""
    found = re.findall(r"[^\W_]+", text)
    return (found[-1] if last else found[0]) if found else ""


def is_divided(word: str) -> bool:
    """Ends in a hyphen behind a letter or digit: no dash, no minus."""
    return len(word) > 1 and word.endswith(HYPHENS) and word[-2].isalnum()


def running_text(lines: Sequence[Sequence[str]], lexicon: Lexicon) -> str:
    """Lines of words as running text: one blank between words, divided words in one piece."""
    words: list[str] = []
    for line in lines:
        shown = [text for word in line if (text := visible(word))]
        if words and shown and is_divided(words[-1]) and any(c.isalnum() for c in shown[0][:2]):
            words[-1] = lexicon.joined(words[-1], shown[0])
            shown = shown[1:]
        words += shown
    return " ".join(word.replace(SOFT, "") for word in words)
