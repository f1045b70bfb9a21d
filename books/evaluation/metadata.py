"""Metadata against the truth, field by field."""

from __future__ import annotations

import re
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from books.evaluation.text import normalised
from books.evaluation.truth import METADATA, Truth
from schemas.documents import Book

Verdict = Literal["right", "wrong", "missing", "invented"]


class FieldScore(BaseModel):
    """One field that the truth states."""

    model_config = ConfigDict(frozen=True)

    verdict: Verdict
    """'missing': the book prints it, and we have nothing; 'invented': the book prints none, and we have one."""
    truth: Any
    ours: Any


def score_metadata(truth: Truth, book: Book) -> dict[str, FieldScore]:
    """A verdict per field that the file states. Compared in any case, without the signs at the ends; people in any order,
    ISBNs by their digits."""
    scores = {}
    for name in METADATA:
        if truth.states(name):
            told, ours = getattr(truth, name), getattr(book, name)
            scores[name] = FieldScore(verdict=_verdict(_compared(told), _compared(ours)), truth=told, ours=ours)
    return scores


def _verdict(told: object, ours: object) -> Verdict:
    if told == ours:
        return "right"
    if not told:
        return "invented"
    return "wrong" if ours else "missing"


def _compared(value: object) -> object:
    """Equal for what is the same; empty for nothing."""
    if value is None:
        return ""
    if isinstance(value, list):
        return sorted(str(_compared(item)) for item in value) or ""
    text = re.sub(r"^\W+|\W+$", "", normalised(str(value)).casefold())
    digits = re.sub(r"[\s-]", "", text)
    return digits if re.fullmatch(r"\d{9}[\dx]|\d{13}", digits) else text
