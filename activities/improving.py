"""Activities of `Improve`: who may be paid, which pages are the worst, what other readings of them are worth."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from temporalio import activity

from activities.beat import beating
from activities.ranking import (
    COMPARED,
    PageErrors,
    RankInput,
    RankResult,
    RateInput,
    RateResult,
    SellersInput,
    nobody_sells,
    rank,
    sellers,
)
from activities.services import Services
from activities.work import as_application_error
from providers.lexicon import Lexicon, book_words
from providers.vote import blend
from schemas.documents import OcrResult
from schemas.errors import ShelfError
from schemas.pagespec import parse_pages
from schemas.reading import PageReading


class ImproveActivities:
    """Looks; writes nothing, calls nobody."""

    def __init__(self, services: Services) -> None:
        self.services = services

    @activity.defn
    async def find_sellers(self, job: SellersInput) -> list[str]:
        """Providers that may be paid for readings where the user names none. Raises ApplicationError BadInput where there
        is none."""
        rows = sellers(self.services.queues, self.services.configured)
        served = [row.name for row in rows if await self.services.served(row.queue)]
        if not served:
            raise as_application_error(nobody_sells(job.book_id))
        return served[:COMPARED]

    @activity.defn
    async def rank_pages(self, job: RankInput) -> RankResult:
        """Pages by expected wrong characters, the worst first."""
        try:
            async with beating():
                return await rank(self.services.store, job)
        except ShelfError as error:
            raise as_application_error(error) from None

    @activity.defn
    async def rate_readings(self, job: RateInput) -> RateResult:
        """What each provider's reading of the same pages would make of them, blended in alone. Nothing of it is saved."""
        try:
            async with beating():
                return await self._rate(job)
        except ShelfError as error:
            raise as_application_error(error) from None

    async def _rate(self, job: RateInput) -> RateResult:
        wanted = set(parse_pages(job.pages))
        documents = await self.services.book_pages(job.book_id)
        pages = {page: document for page, document in documents.items() if page in wanted}
        keys = [key for document in pages.values() for key in document.ocr_results or ()]
        results = await self.services.store.get(OcrResult, keys, ["provider", "artifact", "text", "language"])
        first = [document.ocr_results[0] for document in pages.values() if document.ocr_results]
        words = await asyncio.to_thread(book_words, [results[key].text or "" for key in first if key in results])
        found: dict[str, tuple[PageErrors, ...]] = {}
        for provider in job.providers:
            rated = []
            for page, document in sorted(pages.items()):
                mine = [results[key] for key in document.ocr_results or () if key in results]
                if not any(result.provider == provider for result in mine):
                    continue
                others = set(job.providers) - {provider}
                kept = [result for result in mine if result.provider not in others]
                rated.append(await asyncio.to_thread(self._blended, page, kept, words))
            found[provider] = tuple(each for each in rated if each is not None)
        return RateResult(pages=found)

    def _blended(self, page: int, results: Sequence[OcrResult], words: frozenset[str]) -> PageErrors | None:
        """None where an artifact is gone: of such a page nothing can be said."""
        bodies = [self.services.artifacts.get(str(result.artifact)) for result in results]
        readings = [PageReading.from_json(body) for body in bodies if body is not None]
        if len(readings) < len(results):
            return None
        blended = blend(readings, Lexicon(results[0].language or "", words))
        return PageErrors(page=page, cer=float(blended.figures["expected_cer"]), characters=float(len(blended.text)))
