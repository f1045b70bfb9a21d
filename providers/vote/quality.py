"""The expected character error rate of a reading, from what the reading itself shows.

An engine's mean confidence is not enough: Tesseract drops whole lines at confidence 95. `signs` collects what tells of
errors, each as a share of the page's letters; `expected_cer` adds them up by weights that `benchmarks/calibrate.py` fitted
on pages with known text. docs/reading.md says how well they hold.
"""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass

from providers.text_damage import is_broken
from providers.vote.choose import is_leader, key
from schemas.reading import PageReading, Word

DOUBTED = 60.0
"""Words below this confidence (of 100) are wrong more often than right."""

DISPUTED = frozenset({"number", "confidence", "only-one", "pivot", "lexicon", "characters", "majority"})
"""Rules of the blend that decide between different letters; the others are about blanks, quotes and dots."""


@dataclass(frozen=True, slots=True)
class Weights:
    """Expected share of wrong letters for each sign."""

    base: float
    """Of any page."""
    low: float = 0.0
    """Share of letters in words below DOUBTED."""
    doubt: float = 0.0
    """1 - mean confidence."""
    unknown: float = 0.0
    """Share of letters in words, names apart, that are in no lexicon."""
    broken: float = 0.0
    """Share of letters in words with characters that are not printed (`text_damage.is_broken`)."""
    outside: float = 0.0
    """Share of the page's print that lies in no recognised line."""
    disputed: float = 0.0
    """Of a blend: share of letters on which the readings differ."""


WEIGHTS = {
    "tesseract": Weights(base=0.0003, low=0.55, doubt=0.047, outside=1.1),
    "rapidocr": Weights(base=0.0015, doubt=0.87, unknown=0.62, outside=1.8),
    "vote": Weights(base=0.0004, low=0.35, doubt=0.11, outside=0.7, disputed=0.34),
}
"""Fitted on 169 pages by Tesseract, 95 by RapidOCR and both. An engine that is not named counts as Tesseract."""

LAYER = Weights(base=0.001, broken=1.0)
"""Readings without confidences, such as text layers that passed `providers/text_damage.py`: reasoned, not fitted."""


def signs(reading: PageReading, lexicon: Container[str] = ()) -> dict[str, float]:
    """What tells of errors, by the names of `Weights`, each 0 to 1. `lexicon` as in `blend`; without one nothing is
    unknown."""
    words = [word for word in reading.words if not is_leader(word.text)]
    letters = sum(len(word.text) for word in words)
    if not letters:
        return {"outside": reading.figures.get("ink_outside", 0.0)}

    def share(chosen: list[Word]) -> float:
        return sum(len(word.text) for word in chosen) / letters

    sure = [word for word in words if word.confidence is not None]
    judged = [(word, core) for word in words if len(core := key(word.text)) > 2 and core.replace("-", "").isalpha()]
    unknown = [
        word
        for word, core in judged
        if lexicon
        and _begins_small(word.text)
        and not all(part in lexicon for part in core.split("-") if len(part) > 2)
    ]
    return {
        "low": share([word for word in sure if (word.confidence or 0.0) < DOUBTED]),
        "doubt": sum(len(word.text) * (100.0 - (word.confidence or 0.0)) for word in sure) / letters / 100.0,
        "unknown": share(unknown),
        "broken": share([word for word in words if is_broken(word.text)]),
        "outside": reading.figures.get("ink_outside", 0.0),
        "disputed": share([word for word in words if word.rule in DISPUTED]),
    }


def expected_cer(reading: PageReading, lexicon: Container[str] = ()) -> float:
    """The share of characters that are expected to be wrong or missing, 0 to 1; 0 for a blank page."""
    found = signs(reading, lexicon)
    if "low" not in found:
        return min(1.0, round(found["outside"], 4))
    told = any(word.confidence is not None for word in reading.words)
    blended = any(word.rule for word in reading.words)
    weights = WEIGHTS.get("vote" if blended else reading.provider, WEIGHTS["tesseract"]) if told else LAYER
    total: float = weights.base + sum(getattr(weights, name) * value for name, value in found.items())
    return min(1.0, round(total, 4))


def _begins_small(text: str) -> bool:
    """Not a name, and no noun of a German sentence."""
    return next((c.islower() for c in text if c.isalpha()), False)
