"""Which pages have the most errors, and who may be paid to read them again: what `Improve` goes by.

Errors are expected ones: `Page.expected_cer`, a calibrated share (docs/reading.md), times the length of the text.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from activities.contracts import Contract
from activities.corrections import TEXT, read_corrections
from providers.image_steps import ImageSteps
from providers.prices import estimate
from providers.queues import ProviderQueue, is_set_up
from schemas.documents import Page
from schemas.errors import BadInput
from schemas.pagespec import parse_pages
from schemas.store import Store

LEAST_WRONG = 1.0
"""Expected wrong characters; a page with fewer is not considered."""
COMPARED = 3
"""Providers that are compared where none is named: each is paid for the same first pages."""


class PageErrors(Contract):
    """What is expected to be wrong with a page."""

    page: int
    cer: float
    """Share of its characters that is wrong or missing, 0..1."""
    characters: float
    """Length of its text; of a page from which text seems lost, what it may have had at least."""

    @property
    def wrong(self) -> float:
        """Characters."""
        return self.cer * self.characters


class RankInput(Contract):
    """Argument of `rank_pages`."""

    book_id: str
    pages: str
    """Among which to choose."""
    providers: tuple[str, ...]
    """What one of them has read is not considered."""
    skip: str = ""
    """Pages that were tried."""
    measure: str = ""
    """Pages of which the figures are wanted in any case."""
    most: int


class RankResult(Contract):
    """Answer of `rank_pages`."""

    pages: tuple[PageErrors, ...]
    """The worst first, at most `most`."""
    count: int
    """How many are worth considering."""
    wrong: float
    """Expected wrong characters on all of those."""
    measured: tuple[PageErrors, ...] = ()


class RateInput(Contract):
    """Argument of `rate_readings`."""

    book_id: str
    pages: str
    providers: tuple[str, ...]


class RateResult(Contract):
    """Answer of `rate_readings`."""

    pages: dict[str, tuple[PageErrors, ...]]
    """provider -> pages as they would be with its reading and without those of the others; what it has not read is absent."""


class SellersInput(Contract):
    """Argument of `find_sellers`."""

    book_id: str


async def rank(store: Store, job: RankInput) -> RankResult:
    """Pages that were read, have text, and were not corrected by hand. Writes nothing."""
    wanted, skip = set(parse_pages(job.pages)), set(parse_pages(job.skip))
    measure = set(parse_pages(job.measure))
    found = await store.find(
        Page, {"book_key": job.book_id}, ["page", "text", "expected_cer", "ocr_results", "image_steps"]
    )
    corrections = await read_corrections(store, job.book_id)
    lengths = [len(page.text) for page in found if page.text]
    usual = sum(lengths) / len(lengths) if lengths else 0.0
    errors = {
        page.page: _errors(page, usual) for page in found if page.page is not None and page.expected_cer is not None
    }
    worth = [
        errors[page.page]
        for page in found
        if page.page in errors
        and page.page in wanted - skip
        and errors[page.page].wrong >= LEAST_WRONG
        and not _read_by(page, job.providers)
        and not corrections.has(page.key, TEXT)
        and not ImageSteps.from_json(page.image_steps).blank
    ]
    worth.sort(key=lambda each: (-each.wrong, each.page))
    return RankResult(
        pages=tuple(worth[: job.most]),
        count=len(worth),
        wrong=sum(each.wrong for each in worth),
        measured=tuple(errors[page] for page in sorted(measure) if page in errors),
    )


def _errors(page: Page, usual: float) -> PageErrors:
    """A page from which all text was lost has none to count: it is taken to have had its share of a usual page."""
    cer = page.expected_cer or 0.0
    return PageErrors(page=page.page or 0, cer=cer, characters=max(float(len(page.text or "")), cer * usual))


def _read_by(page: Page, providers: Collection[str]) -> bool:
    return any(f"/ocr/{provider}/" in key for provider in providers for key in page.ocr_results or ())


def sellers(queues: Mapping[str, ProviderQueue], configured: Collection[str]) -> list[ProviderQueue]:
    """Paid providers that read pages, are set up, and have a known price; the cheapest first."""
    priced = [
        (cost.expected, row.name, row)
        for row in queues.values()
        if row.paid
        and row.reads_pages
        and is_set_up(row, configured)
        and (cost := estimate(row, row.model)) is not None
    ]
    return [row for _, _, row in sorted(priced)]


def nobody_sells(book: str) -> BadInput:
    """Nobody was named, and nobody is set up."""
    return BadInput(
        f"No paid provider that reads pages is set up, so nothing can be bought for {book}.",
        "Set the key of one where the worker is started (`shelf providers --remote`), or name one with --with.",
    )
