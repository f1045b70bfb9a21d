"""Plan of `ocr`.

'auto' takes the text layer where `extract` found it good, else the image engine. A page that the image engine read
with low confidence waits until the range's first readings are all there; then the worst of them, up to the share,
are read again by the second provider. Only then is `ocr` complete for them, so that blend runs once.
"""

from __future__ import annotations

import math

from activities.contracts import JobConfig, UnitResult, WorkUnit
from activities.extract.operation import TEXT_LAYER
from activities.operation import PageOperation, Records, current, generation
from activities.state import JobState
from schemas.documents import OcrResult, Page
from schemas.pagespec import parse_pages
from schemas.store import digest

SECOND = "second"
"""Variant of the units that ask for a second opinion; such a reading is added beside the first."""

ADDED = "added"
"""Variant of the units of `AddOcrSource`; such a reading is added beside all others."""

READ = "read"
"""Section: pages whose first reading is saved but which may get a second one."""
SECOND_DONE = "second_done"
"""Section: pages whose second opinion is settled."""
CONFIDENCE = "confidence"
"""Section: confidences of the pages in READ, as "3:68.2 17:80.1"."""

FIRST_PAGES = 3
"""Enough to keep two engine processes busy until their first result."""

TEXT_LAYER_PROVIDER = "text-layer"


def ocr_choice(config: JobConfig) -> str:
    """What the user chose: another engine or language makes the readings stale."""
    return digest([config.ocr, config.image_ocr, config.second_opinion, config.language])[:16]


def ocr_inputs(image_hash: str | None, choice: str, generation: int) -> str:
    """The picture that is read, and the choice of engine and language."""
    return digest([image_hash, choice, generation])[:16]


class Ocr(PageOperation):
    """Reads pages; the doubtful ones twice."""

    name = "ocr"
    target_schemas = (OcrResult, Page)
    requires = ("extract",)
    work_activity = "ocr_pages"
    save_activity = "save_ocr_results"
    title = "reading the pages"
    linger = False

    def choice(self, state: JobState) -> str:
        return ocr_choice(state.config)

    def create_work_units(self, state: JobState) -> list[WorkUnit]:
        own = state.of(self.name)
        read = own.pages(READ)
        ready: dict[str, list[int]] = {}
        for page in state.pages:
            if own.settled(page) or page in own.planned or page in read or not self.ready(state, page):
                continue
            ready.setdefault(self._provider_of(state, page), []).append(page)
        units = []
        for provider, pages in ready.items():
            size = self._batch(state, provider, len(pages))
            beginning = parse_pages(state.config.pages)[:1] == [pages[0]]
            if beginning and len(pages) > FIRST_PAGES and not own.planned:
                # The very first units are single pages and go alone, so that a reader sees the first page at once:
                # units that are sent together are not begun in order.
                units += self.batches(state, provider, pages[:FIRST_PAGES], 1)
            else:
                units += self.batches(state, provider, pages, size)
        if not units:
            units = self._second_opinions(state)
        return units

    def handle_result(self, state: JobState, result: UnitResult) -> list[WorkUnit]:
        own = state.of(self.name)
        if result.unit.variant == SECOND:
            # A second opinion that failed leaves the page with its first reading.
            own.complete.update(result.unit.pages)
            own.add_pages(SECOND_DONE, result.unit.pages)
            return []
        own.failed.update(result.failed)
        for page, outcome in result.done.items():
            confidence = outcome.figures.get("confidence")
            if self._doubtful(state.config, result.unit.provider, confidence):
                self._wait(state, page, float(confidence or 0.0))
            else:
                own.complete.add(page)
        return self._second_opinions(state)

    def load(self, state: JobState, records: Records) -> None:
        own = state.of(self.name)
        choice = self.choice(state)
        for page in state.pages:
            document = records.pages.get(page)
            if not isinstance(document, Page):
                continue
            inputs = ocr_inputs(document.image_hash, choice, generation(document, self.name, state))
            if not current(document, self.name, inputs) or not document.ocr_results:
                continue
            keys = document.ocr_results
            first = records.ocr_results.get(keys[0])
            if not isinstance(first, OcrResult):
                # The job itself loads no results: it leaves the second opinions to the ranges.
                own.complete.add(page)
            elif self._doubtful(state.config, first.provider or "", first.confidence):
                self._wait(state, page, first.confidence or 0.0)
                if len(keys) > 1:
                    own.add_pages(SECOND_DONE, [page])
                    own.complete.add(page)
            else:
                own.complete.add(page)
        self._second_opinions(state)

    def _batch(self, state: JobState, provider: str, pages: int) -> int:
        """Full batches in a long range; in a short one smaller ones, so that all processes end about together."""
        policy = state.config.providers[provider]
        return max(1, min(policy.batch_pages, math.ceil(pages / (2 * policy.in_flight))))

    def _provider_of(self, state: JobState, page: int) -> str:
        config = state.config
        if config.ocr != "auto":
            return config.ocr
        return TEXT_LAYER_PROVIDER if page in state.of("extract").pages(TEXT_LAYER) else config.image_ocr

    def _doubtful(self, config: JobConfig, provider: str, confidence: object) -> bool:
        return (
            config.ocr == "auto"
            and bool(config.second_opinion)
            and provider == config.image_ocr
            and isinstance(confidence, float | int)
            and confidence < config.second_opinion_below
        )

    def _wait(self, state: JobState, page: int, confidence: float) -> None:
        own = state.of(self.name)
        own.add_pages(READ, [page])
        known = _confidences(own.section.get(CONFIDENCE, ""))
        known[page] = confidence
        own.section[CONFIDENCE] = " ".join(f"{at}:{value:.1f}" for at, value in sorted(known.items()))

    def _second_opinions(self, state: JobState) -> list[WorkUnit]:
        """Once all first readings of the range are settled: the worst pages, up to the share; the rest is complete.

        Needs no memory: the same readings give the same choice, so a restarted job decides alike."""
        own = state.of(self.name)
        read = own.pages(READ)
        if not read or any(not own.settled(page) and page not in read for page in state.pages):
            return []
        allowed = _quota(state.pages, state.config.second_opinion_share)
        confidences = _confidences(own.section.get(CONFIDENCE, ""))
        worst = sorted(read, key=lambda page: (confidences.get(page, 0.0), page))[:allowed]
        done = own.pages(SECOND_DONE)
        own.complete.update(page for page in read if page not in worst and not own.settled(page))
        provider = state.config.second_opinion
        return self.batches(
            state,
            provider,
            [page for page in sorted(worst) if page not in done and page not in own.planned and not own.settled(page)],
            state.config.providers[provider].batch_pages,
            SECOND,
        )


class AddedOcr(Ocr):
    """Reads with the named provider, beside the readings that are there; they stay, and so does what the page's flag
    says of how it was first read."""

    key = "ocr:added"
    title = "reading by another engine"

    def create_work_units(self, state: JobState) -> list[WorkUnit]:
        own = state.of(self.name)
        provider = state.config.ocr
        ready = [
            page
            for page in state.pages
            if not own.settled(page) and page not in own.planned and self.ready(state, page)
        ]
        return self.batches(state, provider, ready, self._batch(state, provider, len(ready)), ADDED) if ready else []

    def handle_result(self, state: JobState, result: UnitResult) -> list[WorkUnit]:
        return PageOperation.handle_result(self, state, result)

    def load(self, state: JobState, records: Records) -> None:
        mark = f"/ocr/{state.config.ocr}/"
        for page in state.pages:
            document = records.pages.get(page)
            if isinstance(document, Page) and any(mark in key for key in document.ocr_results or ()):
                state.of(self.name).complete.add(page)


def _quota(pages: tuple[int, ...], share: float) -> int:
    """How many of these pages may be read again, so that all ranges of a book together keep to the share.

    Counted over the physical positions: ceil(share * last) - ceil(share * (first - 1)), at least one in the range that
    begins the book."""
    if not pages or share <= 0:
        return 0
    return math.ceil(share * pages[-1]) - math.ceil(share * (pages[0] - 1))


def _confidences(section: str) -> dict[int, float]:
    pairs = (entry.partition(":") for entry in section.split())
    return {int(page): float(value) for page, _, value in pairs}


OCR = Ocr()
ADDED_OCR = AddedOcr()
