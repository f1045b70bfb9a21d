"""Errors of a page's text: characters and words, with and without blanks, and words whatever their order.

Distances are jiwer's (Levenshtein, by rapidfuzz): 0.2 s for a book of 300 pages.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter

import jiwer
from pydantic import computed_field
from rapidfuzz.distance import Levenshtein

from books.evaluation.figures import Errors, Figure

_LIKE = str.maketrans(
    {
        "‘": "'", "’": "'", "‚": "'", "‛": "'", "′": "'", "`": "'", "´": "'",
        "“": '"', "”": '"', "„": '"', "‟": '"', "″": '"',
        "–": "-", "—": "-", "―": "-", "‐": "-", "‑": "-", "−": "-", "\u00ad": "-",
        "ﬀ": "ff", "ﬁ": "fi", "ﬂ": "fl", "ﬃ": "ffi", "ﬄ": "ffl", "ﬅ": "st", "ﬆ": "st",
        "\u200b": None, "\u2060": None, "\ufeff": None,
    }
)  # fmt: skip
_LEADERS = re.compile(r"…|(?:[.·•‥_]\s*){2,}")
_CONTROL = re.compile(r"[\x00-\x08\x0e-\x1f\x7f-\x9f]")
"""Not printed: what fonts put in place of bullets."""
_SOFT_HYPHEN = re.compile("\u00ad(?!\n)")
"""Inside a line it is not printed."""


def normalised(text: str) -> str:
    """What is compared: NFC, ligatures as letters, quotes and dashes as on a typewriter, runs of dots (leaders) as one "…",
    no control characters, any run of blanks and ends of lines as one blank."""
    text = _SOFT_HYPHEN.sub("", unicodedata.normalize("NFC", text)).translate(_LIKE)
    text = _CONTROL.sub("", text)
    return " ".join(_LEADERS.sub(" … ", text).split())


class TextScore(Figure):
    """Counts of one page, or sums over pages."""

    pages: int = 0
    characters: Errors = Errors()
    """Blanks are characters."""
    letters: Errors = Errors()
    """Blanks taken out of both texts."""
    words: Errors = Errors()
    """Words as blanks divide them."""
    whole_words: Errors = Errors()
    """Words of the truth that have a wrong letter when both texts are compared without blanks: a blank lost or invented
    is no error here."""
    bag: Errors = Errors()
    """Words in any order: the errors that no other reading order could mend."""

    @computed_field  # type: ignore[prop-decorator]
    @property
    def cer(self) -> float | None:
        """Character error rate."""
        return self.characters.rate

    @computed_field  # type: ignore[prop-decorator]
    @property
    def wer(self) -> float | None:
        """Word error rate."""
        return self.words.rate


def score_text(truth: str, ours: str) -> TextScore:
    """Compare two texts of one page, as they are; they are normalised here."""
    told, read = normalised(truth), normalised(ours)
    told_words, read_words = told.split(), read.split()
    told_letters, read_letters = "".join(told_words), "".join(read_words)
    return TextScore(
        pages=1,
        characters=Errors(errors=_characters(told, read), of=len(told)),
        letters=Errors(errors=_characters(told_letters, read_letters), of=len(told_letters)),
        words=Errors(errors=_words(told, read), of=len(told_words)),
        whole_words=Errors(errors=_whole_words(told_words, read_letters), of=len(told_words)),
        bag=Errors(errors=_bag(told_words, read_words), of=len(told_words)),
    )


def _characters(told: str, read: str) -> int:
    if not told:  # jiwer has no rate for an empty truth
        return len(read)
    found = jiwer.process_characters(told, read)
    return int(found.substitutions + found.deletions + found.insertions)


def _words(told: str, read: str) -> int:
    if not told:
        return len(read.split())
    found = jiwer.process_words(told, read)
    return int(found.substitutions + found.deletions + found.insertions)


def _bag(told: list[str], read: list[str]) -> int:
    """A missing word and one too many are one substitution."""
    a, b = Counter(told), Counter(read)
    return max((a - b).total(), (b - a).total())


def _whole_words(told: list[str], read: str) -> int:
    """Words of the truth that an edit touches. Letters invented between two words count for the one before."""
    owner = [number for number, word in enumerate(told) for _ in word]
    wrong: set[int] = set()
    for edit in Levenshtein.editops("".join(told), read):
        if owner:
            at = edit.src_pos - 1 if edit.tag == "insert" else edit.src_pos
            wrong.add(owner[max(0, min(at, len(owner) - 1))])
    return len(wrong) if told else int(bool(read))


def wrong_words(truth: str, ours: str, most: int) -> list[tuple[str, str]]:
    """(what stands in the truth, what we have) of the first misread places, '' where one has nothing."""
    told, read = normalised(truth), normalised(ours)
    if not told:
        return [("", word) for word in read.split()[:most]]
    found = jiwer.process_words(told, read)
    places = []
    for chunk in found.alignments[0]:
        if chunk.type != "equal":
            places.append(
                (
                    " ".join(found.references[0][chunk.ref_start_idx : chunk.ref_end_idx]),
                    " ".join(found.hypotheses[0][chunk.hyp_start_idx : chunk.hyp_end_idx]),
                )
            )
    return places[:most]
