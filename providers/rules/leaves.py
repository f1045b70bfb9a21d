"""What the printed numbers say of the leaves: some missing, scanned twice or bound in another order.

Only what is read on both sides is believed: a number that was lost, a plate that does not count, a new numbering and a
single misreading are no report. A report asks somebody to look at the book, so a false one costs more than a missing one.
"""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from pydantic import BaseModel, ConfigDict
from rapidfuzz import fuzz

from providers.rules.labels import PageLabel
from providers.rules.numerals import Number, parse, printed
from providers.rules.proposal import Proposal

STEADY = 2
"""Numbers in a row, on either side of a jump, that agree with one another."""
MOST_MISSING = 64
"""Pages; numbers that jump further begin another count (a second volume)."""
ALIKE = 90.0
"""First lines of two scans of one page (rapidfuzz ratio): each tenth letter may be misread."""
WORDS = 40
"""A page of fewer may look like another one and be none."""
NEAR = 4
"""Images between two scans of one page, at most."""


class LeafNote(BaseModel):
    """One thing that is wrong with the leaves."""

    model_config = ConfigDict(frozen=True)

    kind: Literal["missing", "doubled", "out of order"]
    after_page: int | None
    """Of what is missing: the image after which it belongs."""
    pages: list[int]
    """Of what is doubled or out of order: its images, from 1."""
    printed: str
    """Printed numbers, "45" or "45-46"; "" where the pages bear none."""
    sentence: str


@dataclass(slots=True)
class _Run:
    """Images in a row whose numbers, as read, grow with them."""

    style: str
    prefix: str
    upper: bool
    first: int
    """Image, from 1."""
    last: int
    value: int
    """Number of the first."""
    count: int
    """Numbers that were read."""

    end: int
    """Number of the last."""

    def name(self, first: int, last: int) -> str:
        one, other = (printed(self.style, self.prefix, value, upper=self.upper) for value in (first, last))
        return one if first == last else f"{one}-{other}"


def leaf_report(labels: Sequence[PageLabel], proposals: Sequence[Proposal | None]) -> list[LeafNote]:
    """What is missing, doubled and out of order, in the order of the images; [] where the book is whole.

    Args:
        labels: Result of `labels.sequence`.
        proposals: What it was made from.
    """
    doubled = _doubled(labels, proposals)
    again = {page for _, page in doubled}
    notes = [_note_doubled(labels, first, second) for first, second in doubled]
    moved = _moved(_runs(labels, again))
    out_of_place = again | {page for run, _ in moved for page in range(run.first, run.last + 1)}
    gaps: list[tuple[_Run, _Run, int, int]] = []
    for before, after in itertools.pairwise(_runs(labels, out_of_place)):
        if (before.style, before.prefix) != (after.style, after.prefix) or min(before.count, after.count) < STEADY:
            continue
        # Pages between them that bear no number may be those that are numbered next.
        unnumbered = sum(page not in out_of_place for page in range(before.last + 1, after.first))
        lost = after.value - before.end - 1 - unnumbered
        if 0 < lost <= MOST_MISSING:
            gaps.append((before, after, lost, unnumbered))
    for run, home in moved:
        notes.append(
            LeafNote(
                kind="out of order",
                after_page=None,
                pages=list(range(run.first, run.last + 1)),
                printed=run.name(run.value, run.end),
                sentence=f"Printed {run.name(run.value, run.end)} {_stands(run)} after printed {home}.",
            )
        )
    elsewhere = {value for run, _ in moved for value in range(run.value, run.end + 1)}
    for before, after, lost, unnumbered in gaps:
        first, last = before.end + 1, after.value - 1
        if elsewhere.issuperset(range(first, last + 1)):
            continue
        name = before.name(first, last)
        sentence = f"Printed {name} {'is' if first == last else 'are'} missing after image {before.last}."
        if unnumbered:
            sentence = f"{lost} of printed {name} {'is' if lost == 1 else 'are'} missing after image {before.last}."
        notes.append(LeafNote(kind="missing", after_page=before.last, pages=[], printed=name, sentence=sentence))
    return sorted(notes, key=lambda note: note.after_page or note.pages[0])


def _runs(labels: Sequence[PageLabel], skipped: Collection[int]) -> list[_Run]:
    """Runs of the book without the images in `skipped`."""
    runs: list[_Run] = []
    for page, label in enumerate(labels, 1):
        number = _number(label)
        if number is None or page in skipped:
            continue
        last = runs[-1] if runs else None
        if (
            last is not None
            and (last.style, last.prefix) == (number.style, number.prefix)
            and number.value - last.end == sum(between not in skipped for between in range(last.last, page))
        ):
            last.last, last.end, last.count = page, number.value, last.count + 1
            continue
        runs.append(
            _Run(
                style=number.style,
                prefix=number.prefix,
                upper=number.upper,
                first=page,
                last=page,
                value=number.value,
                end=number.value,
                count=1,
            )
        )
    return runs


def _number(label: PageLabel) -> Number | None:
    """As it was read; None where it was inferred or there is none."""
    if label.label is None or label.inferred:
        return None
    return next((number for number in parse(label.label) if not number.repaired), None)


def _moved(runs: Sequence[_Run]) -> list[tuple[_Run, str]]:
    """Short runs that fit between two others to which they do not stand next, and the number after which they belong."""
    found = []
    for before, run, after in zip(runs, runs[1:], runs[2:], strict=False):
        kinds = {(each.style, each.prefix) for each in (before, run, after)}
        shorter = run.last - run.first <= 2 * NEAR and run.count <= min(before.count, after.count)
        # Without it, its neighbours go on from one another, or lack only what it holds.
        if len(kinds) > 1 or not shorter or not before.end < after.value or before.end < run.value < after.value:
            continue
        for other, following in itertools.pairwise(each for each in runs if each is not run):
            if (
                other.style == run.style
                and other.prefix == run.prefix
                and other.end < run.value <= run.end < following.value
            ):
                found.append((run, other.name(other.end, other.end)))
                break
    return found


def _stands(run: _Run) -> str:
    if run.first == run.last:
        return f"stands on image {run.first} and belongs"
    return f"stand on images {run.first}-{run.last} and belong"


def _doubled(labels: Sequence[PageLabel], proposals: Sequence[Proposal | None]) -> list[tuple[int, int]]:
    """(image, later image) of pages with one number and one text."""
    found: list[tuple[int, int]] = []
    for first, second in _near(len(labels)):
        a, b = proposals[first], proposals[second]
        one, other = _number(labels[first]), _number(labels[second])
        if a is None or b is None or (one is not None and other is not None and one != other):
            continue
        if min(a.words, b.words) >= WORDS and abs(a.words - b.words) <= 0.1 * max(a.words, b.words) and _alike(a, b):
            found.append((first + 1, second + 1))
    return found


def _near(count: int) -> Iterator[tuple[int, int]]:
    return ((first, second) for first in range(count) for second in range(first + 1, min(count, first + 1 + NEAR)))


def _alike(a: Proposal, b: Proposal) -> bool:
    """Rows that both have; running headers and numbers alone, which many pages share, are too few."""
    pairs = list(zip(a.first_lines, b.first_lines, strict=False))
    return len(pairs) >= 4 and fuzz.ratio(" ".join(x for x, _ in pairs), " ".join(y for _, y in pairs)) >= ALIKE


def _note_doubled(labels: Sequence[PageLabel], first: int, second: int) -> LeafNote:
    label = next((labels[page - 1].label for page in (first, second) if _number(labels[page - 1])), None)
    what = f"printed {label}" if label else "a page without a number"
    return LeafNote(
        kind="doubled",
        after_page=None,
        pages=[first, second],
        printed=label or "",
        sentence=f"Images {first} and {second} show the same page, {what}.",
    )
