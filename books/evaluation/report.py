"""Scores as rows for people: one per book, one per field that is wrong, one per bad page."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence

from books.evaluation.figures import Errors, Found, Hits
from books.evaluation.score import BookScore, PageScore

HEADERS = (
    "book", "pages", "CER", "WER", "WER, no blanks", "bag of words", "labels", "inferred", "false", "types", "headers",
    "contents pages", "title F", "title+page F", "level F", "on page", "metadata",
)  # fmt: skip
"""Of the table with a row per book; what each means: `docs/evaluation.md`."""


def book_row(score: BookScore) -> list[str | None]:
    """One book; None where its truth has nothing to compare with."""
    text, labels, headers, contents = score.text, score.labels, score.headers, score.contents
    return [
        score.book or "total",
        str(text.pages) if text else None,
        _rate(text.characters if text else None),
        _rate(text.words if text else None),
        _rate(text.whole_words if text else None),
        _rate(text.bag if text else None),
        _hits(labels.all if labels else None),
        _hits(labels.inferred if labels else None),
        str(labels.false_observed + labels.false_inferred) if labels else None,
        _hits(score.page_types),
        _hits(headers.printed + headers.none if headers else None),
        _precision_recall(contents.pages),
        _f(contents.titles),
        _f(contents.titles_pages),
        _f(contents.levels),
        _hits(contents.physical),
        _hits(score.metadata_fields),
    ]


def wrong_fields(score: BookScore) -> list[list[object]]:
    """[book, field, verdict, truth, ours] of metadata that is not right."""
    return [
        [score.book, name, field.verdict, field.truth, field.ours]
        for name, field in score.metadata.items()
        if field.verdict != "right"
    ]


def worst_pages(score: BookScore, most: int) -> list[list[str]]:
    """[page, what is wrong, the command that tells why] of the pages with most wrong characters."""
    return [[str(page.page), faults(page), why(score.book, page)] for page in score.pages[:most]]


def faults(page: PageScore) -> str:
    """What is wrong on a page, in a line."""
    found = []
    if page.text is not None:
        places = ", ".join(f"{told or 'nothing'} → {ours or 'nothing'}" for told, ours in page.wrong)
        found.append(f"CER {_rate(page.text.characters) or '(blank page)'}: {places}")
    for name, pair in (("label", page.label), ("type", page.page_type), ("header", page.running_header)):
        if pair is not None:
            found.append(f"{name} {pair[0] or 'none'} → {pair[1] or 'none'}")
    return "; ".join(found)


def why(book: str, page: PageScore) -> str:
    """The command that shows where the first misread word comes from; of a page without one, what is known of it."""
    words = (re.sub(r"^\W+|\W+$", "", word) for _, ours in page.wrong for word in ours.split())
    word = next(filter(None, words), None)
    return f"shelf page {book} {page.page}" if word is None else f"shelf why {book} {page.page} {shlex.quote(word)}"


def _rate(errors: Errors | None) -> str | None:
    return f"{100 * errors.rate:.2f} %" if errors is not None and errors.rate is not None else None


def _hits(hits: Hits | None) -> str | None:
    return f"{hits.right}/{hits.of}" if hits is not None and hits.of else None


def _f(found: Found | None) -> str | None:
    return f"{found.f:.3f}" if found is not None and found.f is not None else None


def _precision_recall(found: Found | None) -> str | None:
    """ "P 1.00 R 0.90"; a precision of nothing given is none."""
    if found is None:
        return None
    shares = (("P", found.precision), ("R", found.recall))
    return " ".join(f"{name} {'–' if share is None else f'{share:.2f}'}" for name, share in shares)


def as_json(scores: Sequence[BookScore], sums: BookScore | None) -> dict[str, object]:
    """The shape of `--json`: every figure with its counts, and every page on which something is wrong."""
    return {
        "books": [score.model_dump(mode="json") for score in scores],
        "total": sums.model_dump(mode="json", exclude={"book", "truth", "metadata", "pages"}) if sums else None,
    }
