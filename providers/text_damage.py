"""Whether a text layer's characters are what is printed: mojibake, unknown and private characters, scrambled fonts."""

from __future__ import annotations

import re

_MOJIBAKE = re.compile("[ÃÂ][\u0080-\u00bf€‚ƒ„…†‡ˆ‰Š‹ŒŽ‘’“”•–—˜™š›œžŸ]|â€|ï¬[\u0081\u0082]|\\(cid:\\d+\\)")
"""UTF-8 read as Latin-1 or Windows-1252 ("Ã©", "â€™"), and what some writers put where they knew no character."""
_LATIN_WORD = re.compile(r"[A-Za-z\u00c0-\u024f]{3,}")
_VOWEL = re.compile(
    r"[aeiouyAEIOUY\u00c0-\u00c6\u00c8-\u00cf\u00d2-\u00d6\u00d8-\u00dd\u00e0-\u00e6\u00e8-\u00ef\u00f2-\u00f6\u00f8-\u00ff\u0100-\u024f]"
)


_BROKEN = re.compile(
    f"[\ufffd\uffff\ue000-\uf8ff\U000f0000-\U0010ffff\x00-\x08\x0e-\x1f\x7f-\x9f]|[A-Z0-9][\ufb00-\ufb06]|{_MOJIBAKE.pattern}"
)
"""Unknown, private and control characters, ligatures behind capitals and digits, and mojibake."""


def is_broken(text: str) -> bool:
    """Whether a word is not what is printed: one such character says it of a word, though not yet of a page."""
    return _BROKEN.search(text) is not None


def text_damage(text: str) -> str:
    """Why a page's text is not what is printed, in a few words; '' where nothing speaks against it.

    The shares are of characters without blanks. They are low enough for one bad font on a page to show, and high
    enough for a symbol, a dingbat or a foreign name to pass.
    """
    characters = [character for character in text if not character.isspace()]
    total = len(characters)
    if not total:
        return ""
    unknown = sum(character == "\ufffd" for character in characters)
    private = sum("\ue000" <= character <= "\uf8ff" or character >= "\U000f0000" for character in characters)
    control = sum(character < " " or "\x7f" <= character <= "\x9f" for character in characters)
    if unknown > max(1, 0.01 * total):
        return f"{unknown} of {total} characters are unknown (U+FFFD)"
    if private > max(3, 0.03 * total):
        return f"{private} of {total} characters are private to a font"
    if control > max(1, 0.01 * total):
        return f"{control} of {total} characters are control codes"
    mojibake = len(_MOJIBAKE.findall(text))
    if mojibake > max(1, 0.002 * total):
        return f"mojibake ({mojibake} places)"
    words = _LATIN_WORD.findall(text)
    # A font whose codes are shifted gives consonants ("WKH ERRN" for "the book"). Real text of any language in Latin
    # letters has vowels in nearly all words of three letters and more; tables of acronyms fall to about 70 %.
    if len(words) >= 20 and sum(_VOWEL.search(word) is not None for word in words) < 0.5 * len(words):
        return "the words have no vowels: the fonts' codes are scrambled"
    return ""
