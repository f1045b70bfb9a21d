"""Names of people, and the case of what is printed in capitals."""

from __future__ import annotations

import re

_DEGREES = re.compile(
    r",?\s*\b(?:M\.?A|B\.?A|D\.?D|Ph\.?\s?D|M\.?D|LL\.?D|D\.?Sc|B\.?Sc|F\.?R\.?S|K\.?C|Esq|S\.?J|O\.?S\.?B|D\.?Litt)\b\.?.*$"
)
_LETTERS_BEHIND = re.compile(r"^(?:[A-Z][a-z]{0,2}\.\s?){2,}$")
""" "F.S.A." is what somebody is, not who."""
_TITLES = re.compile(
    r"^(?:(?:the\s+)?(?:rev(?:erend)?|dr|prof(?:essor)?|sir|lady|mr|mrs|miss|hon|right)\b\.?\s*)+", re.I
)
_NAME_WORD = re.compile(
    r"^(?:[^\W\d_]\.(?:-?[^\W\d_]\.)*|[A-ZÀ-ÖØ-Þ][\w’'-]*\.?|van|von|de|der|den|du|la|le|di|da|dos|del|af|ter|y|e|zu)$"
)
_NO_NAME = re.compile(
    r"\b(?:edition|press|university|institute|organi[sz]ation|association|society|company|volume|the|of|and\s+sons?"
    r"|books?|guide|manual|introduction|history|january|february|march|april|june|july|august|september|october"
    r"|november|december|version|report|department|ministry|inc|ltd|llc|gmbh|limited|foundation|edinburgh|london"
    r"|new\s+york|illustrat\w*|chapter|part|contents|revised|on|in|to|for|with|from|at|an?|how|what"
    r"|why|its?|their|our|your)\b",
    re.I,
)
_SMALL = {
    "a", "an", "the", "and", "or", "but", "nor", "of", "in", "on", "at", "to", "for", "by", "with", "from", "as",
    "into", "de", "du", "des", "la", "le", "et", "der", "die", "das", "und", "von", "im", "del", "y", "e", "di",
}  # fmt: skip


def split_names(text: str) -> list[str]:
    """Names of several people in one line, without degrees and forms of address."""
    pieces = re.split(
        r"\s*(?:[;•·|]|&|\band\b|\bund\b|\bet\b|,(?!\s*(?:Jr|Sr|M\.?A|B\.?A|D\.?D|Ph|M\.?D|LL|Esq|S\.?J)\b))\s*",
        text,
        flags=re.I,
    )
    names = []
    for piece in pieces:
        name = _TITLES.sub("", _DEGREES.sub("", piece)).strip(" ,;:*†‡")
        if sum(c.isalpha() for c in name) >= 3 and not _LETTERS_BEHIND.match(name):
            names.append(name)
    return names


def looks_like_name(text: str) -> bool:
    """Every part of the line is two to five capitalised words, initials or particles."""
    if re.search(r"\d|[?!:/@]|^(?:and|und|et)\b", text, re.I) or not text.strip():
        return False
    names = split_names(text)
    if not names or _NO_NAME.search(" and ".join(names)):
        return False
    for name in names:
        words = name.split()
        if not 2 <= len(words) <= 5 or not all(_NAME_WORD.match(word) for word in words):
            return False
        if not sum(len(word.strip(".")) > 1 and word[0].isupper() for word in words):
            return False
    return True


def name_case(text: str) -> str:
    """A name printed in capitals in its usual case: "JOHN MCKAY-O'NEIL" -> "John McKay-O'Neil"."""
    if not text.isupper():
        return text
    words = []
    for i, word in enumerate(text.split()):
        if re.fullmatch(r"(?:[A-Z]\.)+|[IVX]{2,}", word):
            words.append(word)
        elif i and word.lower() in {
            "van",
            "von",
            "de",
            "der",
            "du",
            "di",
            "of",
            "and",
            "the",
            "und",
            "et",
            "zu",
            "la",
            "le",
        }:
            words.append(word.lower())
        else:
            cased = re.sub(r"[^\W\d_]+", lambda m: m[0].capitalize(), word)
            cased = re.sub(r"\bMc([a-z])", lambda m: "Mc" + m[1].upper(), cased)
            cased = re.sub(r"([’'])S\b", r"\1s", cased)
            words.append(cased)
    return " ".join(words)


def title_case(text: str) -> str:
    """A title printed in capitals in headline case: small words lower but first, last and after a colon."""
    if not text.isupper():
        return text
    words = text.split()
    result = []
    for i, word in enumerate(words):
        lower = word.lower()
        edge = i in (0, len(words) - 1) or words[i - 1].endswith((":", "—", "–"))
        if lower.strip(",.;") in _SMALL and not edge:
            result.append(lower)
        elif re.fullmatch(r"(?:II|III|IV|VI{0,3}|IX|XI{0,3}|XIV|XV)[,.:;]?|(?:[A-Z]\.){2,}", word):
            result.append(word)
        elif re.fullmatch(r"[BCDFGHJKLMNPQRSTVWXZ]{2,}[,.:;]?", word):
            result.append(word)  # without vowels: an acronym
        else:
            cased = re.sub(r"[^\W\d_]+", lambda m: m[0].capitalize(), word)
            result.append(re.sub(r"([’'])([A-Z])\b", lambda m: m[1] + m[2].lower(), cased))
    return " ".join(result)
