"""What people type into a search, as an expression that FTS5 understands; nothing that is typed is a syntax error.

whale ship        both words            whale OR ship     either
"white whale"     side by side          -ship             not this
whal*             beginning so          whale -"white w"  and any mixture
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass

from schemas.errors import BadInput

MOST_TERMS = 32
"""Of one search."""
SHORTEST_PREFIX = 2
"""Letters before a `*`: one letter begins a twentieth of all words, and every page has one of them."""

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_PART = re.compile(r'(?P<minus>-?)(?:"(?P<phrase>[^"]*)(?:"(?P<phrase_star>\*?)|$)|(?P<word>[^\s"]+))')


@dataclass(frozen=True, slots=True)
class Term:
    """A word, or several side by side."""

    text: str
    prefix: bool = False
    """The last word may go on."""

    def match(self) -> str:
        """For FTS5, whose tokenizer sees what is between the quotes as it sees a page."""
        quoted = self.text.replace('"', '""')
        return f'"{quoted}"{" *" if self.prefix else ""}'

    def words(self) -> list[Term]:
        """Each word by itself."""
        words = pieces(self.text)
        return [Term(word, self.prefix and number == len(words)) for number, word in enumerate(words, 1)]


@dataclass(frozen=True, slots=True)
class Query:
    """Every group must be met, by one of its terms; none of `without` may be."""

    groups: tuple[tuple[Term, ...], ...]
    without: tuple[Term, ...] = ()

    def match(self) -> str:
        """The expression for FTS5; '' where nothing is left of it."""
        wanted = " AND ".join(_any_of(group) for group in self.groups)
        if wanted and self.without:
            return f"({wanted}) NOT {_any_of(self.without)}"
        return wanted

    def keep(self, wanted: Callable[[Term], bool]) -> Query:
        """Without the terms that are not wanted; a group that loses all of its own is left out."""
        groups = (tuple(term for term in group if wanted(term)) for group in self.groups)
        return Query(tuple(group for group in groups if group), tuple(term for term in self.without if wanted(term)))

    @property
    def terms(self) -> tuple[Term, ...]:
        """All of them, those that must not be there included."""
        return (*(term for group in self.groups for term in group), *self.without)


def _any_of(terms: tuple[Term, ...]) -> str:
    return f"({' OR '.join(term.match() for term in terms)})"


def plain(text: str) -> str:
    """As pages are indexed and questions asked: compatible forms in one (ligatures, the long s), no control characters."""
    text = unicodedata.normalize("NFKC", text.encode("utf-8", "ignore").decode())
    return _CONTROL.sub(" ", text.replace("\u00ad", ""))


def pieces(text: str) -> list[str]:
    """The words of a text as the index cuts it: runs of letters and digits."""
    return ["".join(run) for run in _runs(text)]


def _runs(text: str) -> list[list[str]]:
    runs: list[list[str]] = [[]]
    for character in text:
        if unicodedata.category(character)[0] in "LN" or (runs[-1] and unicodedata.category(character)[0] == "M"):
            runs[-1].append(character)
        elif runs[-1]:
            runs.append([])
    return [run for run in runs if run]


def parse_query(text: str) -> Query:
    """Raises BadInput where no word is left that could be found, and for a beginning of one letter."""
    groups: list[list[Term]] = []
    without: list[Term] = []
    alternative = False
    for part in _PART.finditer(plain(text)):
        word = part["word"]
        if word == "OR":
            alternative = bool(groups)
            continue
        prefix = bool(part["phrase_star"]) or (word or "").endswith("*")
        words = pieces(part["phrase"] if word is None else word)
        if not words:
            continue
        term = Term(" ".join(words), prefix)
        if prefix and len(words[-1]) < SHORTEST_PREFIX:
            raise BadInput(
                f"{words[-1]}* is the beginning of too many words.",
                f"Write {SHORTEST_PREFIX} letters or more before *.",
            )
        if part["minus"]:
            without.append(term)
        elif alternative:
            groups[-1].append(term)
        else:
            groups.append([term])
        alternative = False
    if not groups:
        raise BadInput(
            f"There is no word in {text.strip()[:80]!r} that could be found.", 'Write a word or a "phrase" without -.'
        )
    query = Query(tuple(tuple(group) for group in groups), tuple(without))
    if len(query.terms) > MOST_TERMS:
        raise BadInput(
            f"A search has at most {MOST_TERMS} words and phrases.", 'Put what belongs together in "quotes".'
        )
    return query
