"""One book, or several, against their truths."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from pydantic import BaseModel, ConfigDict

from books.evaluation.contents import ContentsScore, score_contents
from books.evaluation.figures import Hits, plus
from books.evaluation.labels import (
    HeaderScore,
    LabelScore,
    physical_pages,
    score_header,
    score_label,
    score_type,
)
from books.evaluation.metadata import FieldScore, score_metadata
from books.evaluation.text import TextScore, score_text, wrong_words
from books.evaluation.truth import Truth, TruthPage
from schemas.documents import Book, Page, ToC, TocEntry

WRONG_WORDS = 5
"""Misread places of a page that are named."""


SUMMED = ("text", "contents_text", "labels", "page_types", "headers", "contents", "metadata_fields")
"""Fields of a BookScore that add up over books."""


class Processed(Protocol):
    """What is scored; a `books.view.BookView` is one."""

    book: Book
    pages: list[Page]
    toc: ToC | None
    entries: list[TocEntry]


class PageScore(BaseModel):
    """One page on which something is wrong."""

    model_config = ConfigDict(frozen=True)

    page: int
    text: TextScore | None = None
    wrong: list[tuple[str, str]] = []
    """(what stands there, what we have) of the first misread places."""
    label: tuple[str | None, str | None] | None = None
    """(truth, ours) where they differ."""
    page_type: tuple[str | None, str | None] | None = None
    running_header: tuple[str | None, str | None] | None = None


class BookScore(BaseModel):
    """Figures of one book, or sums over several. None: the truth has nothing to compare with."""

    model_config = ConfigDict(frozen=True)

    book: str
    """Key of the book; '' of a sum."""
    truth: str
    """Name of the truth file."""
    text: TextScore | None = None
    contents_text: TextScore | None = None
    """The same of the pages that the truth names as contents."""
    labels: LabelScore | None = None
    page_types: Hits | None = None
    headers: HeaderScore | None = None
    contents: ContentsScore = ContentsScore()
    metadata: dict[str, FieldScore] = {}
    metadata_fields: Hits | None = None
    """Fields that the truth states: right or not."""
    pages: list[PageScore] = []
    """Pages on which anything is wrong, those with the most wrong characters first."""


def score_book(ours: Processed, truth: Truth, name: str | None = None) -> BookScore:
    """Compare a processed book with its truth. A page that is not there, or was not read, has an empty text."""
    by_number = {page.page: page for page in ours.pages}
    toc_pages = set(truth.toc_pages or ())
    text = contents_text = labels = page_types = headers = None
    wrong = []
    for told in truth.pages:
        page = by_number.get(told.page)
        score = (
            score_text(told.text, (page.text if page is not None else None) or "") if told.text is not None else None
        )
        if score is not None:
            text = plus(text, score)
            if told.page in toc_pages:
                contents_text = plus(contents_text, score)
        label, kind, header = score_label(told, page), score_type(told, page), score_header(told, page)
        labels, page_types, headers = plus(labels, label), plus(page_types, kind), plus(headers, header)
        found = _page_score(told, page, score, label, kind, header)
        if found is not None:
            wrong.append(found)
    fields = score_metadata(truth, ours.book)
    right = sum(field.verdict == "right" for field in fields.values())
    return BookScore(
        book=ours.book.key if name is None else name,
        truth=truth.name,
        text=text,
        contents_text=contents_text,
        labels=labels,
        page_types=page_types,
        headers=headers,
        contents=score_contents(
            truth.toc_pages,
            truth.entries,
            (ours.toc.pages if ours.toc is not None else None) or (),
            ours.entries,
            physical_pages({page.page: page.label for page in truth.pages}),
        ),
        metadata=fields,
        metadata_fields=Hits(right=right, of=len(fields)) if fields else None,
        pages=sorted(wrong, key=lambda page: (-(page.text.characters.errors if page.text else 0), page.page)),
    )


def _page_score(
    told: TruthPage,
    page: Page | None,
    text: TextScore | None,
    label: LabelScore | None,
    kind: Hits | None,
    header: HeaderScore | None,
) -> PageScore | None:
    """None where nothing is wrong."""
    ours = page if page is not None else Page(key="")
    differs: dict[str, Any] = {}
    if text is not None and text.characters.errors:
        differs["text"] = text
    if label is not None and not label.all.right:
        differs["label"] = (told.label, ours.label)
    if kind is not None and not kind.right:
        differs["page_type"] = (told.page_type, ours.page_type)
    if header is not None and not (header.printed.right or header.none.right):
        differs["running_header"] = (told.running_header, ours.running_header)
    if not differs:
        return None
    wrong = wrong_words(told.text or "", ours.text or "", WRONG_WORDS) if "text" in differs else []
    return PageScore(page=told.page, wrong=wrong, **differs)


def total(scores: Sequence[BookScore]) -> BookScore:
    """All books as one: counts are added, so a long book weighs as much as it has characters, pages and entries."""
    result = BookScore(book="", truth="total")
    for score in scores:
        sums = {name: plus(getattr(result, name), getattr(score, name)) for name in SUMMED}
        result = result.model_copy(update=sums)
    return result
