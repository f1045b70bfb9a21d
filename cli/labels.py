"""The labels of a book in short: "2 unnumbered, i-iii, 1-23"."""

from __future__ import annotations

import re
from collections.abc import Sequence

from providers.rules.numerals import roman_value

_LAST_NUMBER = re.compile(r"(\d+)$")


def short_labels(labels: Sequence[str | None]) -> str:
    """Labels in page order as runs; '' for no pages."""
    runs: list[tuple[str | None, str | None, int]] = []
    for label in labels:
        if runs and _follows(runs[-1][1], label):
            first, _, length = runs[-1]
            runs[-1] = (first, label, length + 1)
        else:
            runs.append((label, label, 1))
    return ", ".join(_run(*run) for run in runs)


def _run(first: str | None, last: str | None, length: int) -> str:
    if first is None:
        return f"{length} unnumbered"
    return first if length == 1 else f"{first}-{last}"


def _follows(before: str | None, label: str | None) -> bool:
    """Whether `label` is the number after `before` in the same style; unnumbered pages follow each other."""
    if before is None or label is None:
        return before is label
    one, other = _number(before), _number(label)
    return one is not None and other is not None and one[0] == other[0] and other[1] == one[1] + 1


def _number(label: str) -> tuple[str, int] | None:
    """(what stands before it, or the style of roman numerals; its value)."""
    if (value := roman_value(label)) is not None:
        return ("ROMAN" if label.isupper() else "roman", value)
    if match := _LAST_NUMBER.search(label):
        return (label[: match.start()], int(match[1]))
    return None
