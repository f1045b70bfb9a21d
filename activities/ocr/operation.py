"""Plan of `ocr`.

'auto' takes the text layer where `extract` found it good, else the image engine. A page in whose
first reading many errors are expected waits until the range's first readings are all there; then the worst of them, up
to the share, are read again by the second provider. Only then is `ocr` complete for them, so that blend runs once.
"""

from __future__ import annotations

import math

from activities.contracts import JobConfig, UnitResult, WorkUnit
from activities.extract.operation import TEXT_LAYER
from activities.operation import PageOperation, Records, current, generation
from activities.state import JobState
from providers.image_steps import effect
from schemas.documents import OcrResult, Page
from schemas.pagespec import format_pages, parse_pages
from schemas.store import digest

SECOND = "second"
"""Variant of the units that ask for a second opinion; such a reading is added beside the first."""

ADDED = "added"
"""Variant of the units of `AddOcrSource`; such a reading is added beside all others."""

READ = "read"
"""Section: pages whose first reading is saved but which may get a second one."""
SECOND_DONE = "second_done"
"""Section: pages whose second opinion is settled."""
EXPECTED = "expected_cer"
"""Section: expected error rates of the pages in READ, as "3:0.0412 17:0.2"."""

HAD = "had_second"
"""Section: pages that had a second opinion when the job began. Read anew, so many may have one, whatever the share gives: one
page alone gets none of a share, and would be read worse than before."""

FRONT_SHARE = 0.9
"""Of the second opinions of a book, for the first of its ranges: a manual of 285 pages with ten pages of contents gets 11, and
keeps one for the rest, whose running text the first engine reads well."""

FIRST_PAGES = 3
"""Enough to keep two engine processes busy until their first result."""

TEXT_LAYER_PROVIDER = "text-layer"


def ocr_choice(config: JobConfig) -> str:
    """What the user chose: another engine or language makes the readings stale."""
    return digest([config.ocr, config.image_ocr, config.second_opinion, config.language])[:16]


def ocr_inputs(image_hash: str | None, choice: str, generation: int, steps: str = "") -> str:
    """The picture that is read, the choice of engine and language, and the effect of the steps that prepare the picture."""
    return digest([image_hash, choice, generation, *([steps] if steps else [])])[:16]


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
            local = not state.config.providers[provider].remote
            if beginning and local and len(pages) > FIRST_PAGES and not own.planned:
                # The very first units are single pages and go alone, so that a reader sees the first page at once:
                # units that are sent together are not begun in order. A remote provider is sent no more than it serves.
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
            expected = outcome.figures.get("expected_cer")
            if self._doubtful(state.config, result.unit.provider, expected):
                self._wait(state, page, float(expected or 0.0))
            else:
                own.complete.add(page)
        return self._second_opinions(state)

    def load(self, state: JobState, records: Records) -> None:
        own = state.of(self.name)
        choice = self.choice(state)
        mark = f"/ocr/{state.config.second_opinion}/"
        for page in state.pages:
            document = records.pages.get(page)
            if not isinstance(document, Page):
                continue
            if any(mark in key for key in (document.ocr_results or ())[1:]):
                own.add_pages(HAD, [page])
            if state.own and self.name not in state.own:
                # A job that only takes readings takes those that there are, whoever was chosen to read.
                if document.flag(self.name, "complete") and document.ocr_results:
                    own.complete.add(page)
                continue
            steps = effect(document.image_steps)
            inputs = ocr_inputs(document.image_hash, choice, generation(document, self.name, state), steps)
            if not current(document, self.name, inputs) or not document.ocr_results:
                continue
            keys = document.ocr_results
            first = records.ocr_results.get(keys[0])
            if not isinstance(first, OcrResult):
                # The job itself loads no results: it leaves the second opinions to the ranges.
                own.complete.add(page)
            elif self._doubtful(state.config, first.provider or "", first.expected_cer):
                self._wait(state, page, first.expected_cer or 0.0)
                if len(keys) > 1:
                    own.add_pages(SECOND_DONE, [page])
                    own.complete.add(page)
            else:
                own.complete.add(page)
        self._second_opinions(state)

    def forget_stale(self, state: JobState) -> None:
        super().forget_stale(state)
        own = state.of(self.name)
        for name in (READ, SECOND_DONE):
            # Of these the first reading is planned again, whatever is known of it.
            own.section[name] = format_pages(page for page in own.pages(name) if not self.stale(state, page))

    def _batch(self, state: JobState, provider: str, pages: int) -> int:
        """Full batches in a long range; in a short one smaller ones, so that all processes end about together."""
        policy = state.config.providers[provider]
        return max(1, min(policy.batch_pages, math.ceil(pages / (2 * policy.in_flight))))

    def _provider_of(self, state: JobState, page: int) -> str:
        config = state.config
        if config.stand_in or config.ocr != "auto":
            return config.stand_in or config.ocr
        return TEXT_LAYER_PROVIDER if page in state.of("extract").pages(TEXT_LAYER) else config.image_ocr

    def _doubtful(self, config: JobConfig, provider: str, expected_cer: object) -> bool:
        return (
            config.ocr == "auto"
            and bool(config.second_opinion)
            and provider == config.image_ocr
            and isinstance(expected_cer, float | int)
            and expected_cer > config.second_opinion_above
        )

    def _wait(self, state: JobState, page: int, expected_cer: float) -> None:
        own = state.of(self.name)
        own.add_pages(READ, [page])
        known = _by_page(own.section.get(EXPECTED, ""))
        known[page] = expected_cer
        own.section[EXPECTED] = " ".join(f"{at}:{value:g}" for at, value in sorted(known.items()))

    def _second_opinions(self, state: JobState) -> list[WorkUnit]:
        """Once all first readings of the range are settled: the worst pages, up to the share; the rest is complete.

        Needs no memory: the same readings give the same choice, so a restarted job decides alike."""
        own = state.of(self.name)
        read = own.pages(READ)
        if not read or any(not own.settled(page) and page not in read for page in state.pages):
            return []
        allowed = max(_quota(state.pages, state.config), len(read & own.pages(HAD)))
        expected = _by_page(own.section.get(EXPECTED, ""))
        worst = sorted(read, key=lambda page: (-expected.get(page, 0.0), page))[:allowed]
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


def _quota(pages: tuple[int, ...], config: JobConfig) -> int:
    """How many pages of this range may be read again, so that all ranges of a book together keep to the share.

    Counted over the physical positions, so that it does not depend on what other ranges needed. The first pages of the
    book get FRONT_SHARE of all: titles, imprint and contents stand there, set in ways that engines misread, and
    everything else hangs on them."""
    share, count = config.second_opinion_share, config.page_count
    front = min(config.first_range_pages, count)
    in_front = max(FRONT_SHARE, front / count) if count else 1.0

    def until(page: int) -> int:
        part = in_front * min(page, front) / front if front else 0.0
        if page > front:
            part += (1 - in_front) * (page - front) / (count - front)
        allowed = round(share * count * part, 6)
        # In favour of the front: of a booklet it gets both, for it has one page of contents or two.
        return math.ceil(allowed) if page <= front or page >= count else max(until(front), math.floor(allowed + 0.5))

    return until(pages[-1]) - until(pages[0] - 1) if pages else 0


def _by_page(section: str) -> dict[int, float]:
    pairs = (entry.partition(":") for entry in section.split())
    return {int(page): float(value) for page, _, value in pairs}


OCR = Ocr()
ADDED_OCR = AddedOcr()
