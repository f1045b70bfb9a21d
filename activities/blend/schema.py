"""What a model answers that blends, and what is made of it: nothing is taken over that does not fit the page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from pydantic import BaseModel, Field
from rapidfuzz.distance import Levenshtein

from providers.answer_checks import text_fault
from providers.errors import BadOutput
from providers.vote import corrected, tidy
from schemas.reading import Line, PageReading

MOST_CHANGED = 0.3
"""Of a page's characters: who changes more writes another text."""
FEW_CHANGED = 10
"""Characters that may be changed on any page, be it a title or a number alone."""
LONGEST = 200
"""Characters that one correction may replace."""
GROWS = 40
"""A replacement may be so much longer than three times what it replaces."""
FEW_WORDS = 5
HOPELESS_CER = 0.25
"""Expected error rate from which the text of a page is as good as none."""
SURE_OF_A_MODEL = 90.0
"""Confidence of a word that a sure model corrected; engines' own words keep theirs."""


class Change(BaseModel):
    """One correction."""

    line: int | None = Field(description="Number of the line.")
    original: str = Field(min_length=1, description="Exactly what stands there and is wrong.")
    replacement: str = Field(description="What belongs there.")
    reason: str = Field(description="Why, in a few words.")


class Proofread(BaseModel):
    """A model's answer."""

    corrections: list[Change]
    whole_text: str | None = Field(description="Only where the given text is useless.")
    confidence: float = Field(ge=0, le=1)


@dataclass(frozen=True, slots=True)
class Applied:
    """What became of the corrections."""

    lines: tuple[str, ...]
    """The page's, with the corrections in them; a correction may have made two of one."""
    done: tuple[tuple[int, Change], ...]
    """Those that applied, each with the 0-based number of its line."""
    notes: tuple[str, ...]
    """Those that did not, each with why."""

    @property
    def text(self) -> str:
        return "\n".join(self.lines)

    def reason(self, row: int, word: str) -> str:
        """Why a word was changed that stands in this line of the tidied text; '' where it is not known."""
        origins = [at for at, line in enumerate(self.lines) for part in line.splitlines() if tidy(part)]
        here = [change for at, change in self.done if row < len(origins) and at == origins[row]]
        named = [change for change in here if word in change.replacement or change.replacement.strip() in word]
        return "; ".join(dict.fromkeys(change.reason.strip() for change in named or here if change.reason.strip()))


def apply(text: str, changes: Sequence[Change]) -> Applied:
    """Each correction exactly once, in order, in its line; what is not there or not unambiguous stays out."""
    lines = text.splitlines()
    notes: list[str] = []
    done: list[tuple[int, Change]] = []
    for change in changes:
        if change.original == change.replacement:
            continue
        shown = f"{_short(change.original)!r} to {_short(change.replacement)!r} ({change.reason[:80]})"
        if len(change.original) > LONGEST or len(change.replacement) > 3 * len(change.original) + GROWS:
            notes.append(f"not applied: {shown}: it rewrites too much")
            continue
        where = _where(lines, change)
        if len(where) != 1:
            why = "that does not stand there" if not where else f"that stands there {len(where)} times"
            notes.append(f"not applied: {shown}: {why}")
            continue
        at = where[0]
        lines[at] = lines[at].replace(change.original, change.replacement, 1)
        done.append((at, change))
    return Applied(tuple(lines), tuple(done), tuple(notes))


def _where(lines: Sequence[str], change: Change) -> list[int]:
    """Lines that hold the original once; where the named line has it, that one. A line that has it twice counts twice."""
    if change.line is not None and 1 <= change.line <= len(lines):
        count = lines[change.line - 1].count(change.original)
        if count:
            return [change.line - 1] * count
    return [at for at, line in enumerate(lines) for _ in range(line.count(change.original))]


def _short(text: str) -> str:
    return text if len(text) <= 40 else f"{text[:37]}..."


def proofread(base: PageReading, answer: Proofread, who: str, *, seen: bool) -> PageReading:
    """The base with the corrections in it; each corrected word says who corrected it, why, and what stood there.

    Args:
        who: provider/model.
        seen: whether the model saw the page: one that did not may not write a whole text.

    Raises:
        BadOutput: the corrections would make another text of the page.
    """
    whole = (answer.whole_text or "").strip()
    useless = len(base.words) < FEW_WORDS or base.figures.get("expected_cer", 0.0) >= HOPELESS_CER
    if whole and seen and useless:
        if fault := text_fault(whole, base.width * base.height):
            raise BadOutput(f"the whole text is no page's: {fault}", cost_usd=0.0)
        note = "the whole text was given anew: what the engines read was of no use"
        return replace(_corrected(whole, base, answer, who), figures=dict(base.figures), notes=[*base.notes, note])
    applied = apply(base.text, answer.corrections)
    refused = list(applied.notes)
    if whole:
        refused.append(f"not applied: a whole text: {'the engines read the page' if seen else 'nobody saw the page'}")
    changed = Levenshtein.distance(base.text, applied.text)
    if changed > max(FEW_CHANGED, MOST_CHANGED * len(base.text)):
        raise BadOutput(f"the corrections change {changed} of the page's {len(base.text)} characters", cost_usd=0.0)
    figures = {
        **base.figures,
        "corrections": float(len(applied.done)),
        "corrections_not_applied": float(len(refused)),
    }
    if applied.text == base.text:
        return replace(base, notes=[*base.notes, *refused], figures=figures)
    made = _corrected(applied.text, base, answer, who)
    lines = [_explained(line, row, applied, who) for row, line in enumerate(made.lines)]
    return replace(made, lines=lines, figures=figures, notes=[*base.notes, *refused])


def _corrected(text: str, base: PageReading, answer: Proofread, who: str) -> PageReading:
    voter = who.partition("/")[0]
    sure = SURE_OF_A_MODEL * answer.confidence
    made = corrected(text, who, base, base.width, base.height, voter=voter, confidence=sure)
    return replace(made, provider=base.provider)


def _explained(line: Line, row: int, applied: Applied, who: str) -> Line:
    """With the reason in the rule of each word that the model changed."""
    words = [
        replace(word, rule=f"{word.rule}: {reason}")
        if word.rule == f"corrected by {who}" and (reason := applied.reason(row, word.text))
        else word
        for word in line.words
    ]
    return replace(line, words=words)
