"""What reading a book would take: calls, money and time, from the job's own plans. Nothing is called, nothing is written."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import hashlib
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from activities.blend.activity import BlendActivities
from activities.choosing import AGENT, Chooser
from activities.contracts import JobConfig, Outcome, ResolveInput, UnitInput
from activities.job import JobActivities, Source, read_state
from activities.label_read.activity import LabelReadActivities
from activities.metadata.activity import MetadataActivities
from activities.ocr.activity import OcrActivities
from activities.ocr.operation import OCR
from activities.toc_extract.activity import TocExtractActivities
from activities.toc_find.activity import TocFindActivities
from providers.errors import ProviderError
from providers.image_steps import OFF, ImageSteps
from providers.importing import AUTO, look_at_source
from providers.prices import CostRange, call_seconds, estimate, rates
from providers.source import LeafSource
from schemas.documents import Lease, Page
from schemas.errors import ShelfError
from schemas.keys import leaf_id, page_key
from schemas.pagespec import parse_pages
from workflows.forecast import SURE, Forecast, PlannedUnit, forecast
from workflows.inputs import ProcessPagesInput, validate_input
from workflows.job import Job
from workflows.process_pages import ProcessPages

if TYPE_CHECKING:
    from activities.services import Services
    from providers.pdf import PdfReader
    from providers.queues import ProviderQueue
    from providers.settings import Settings

LOCAL_SECONDS = {"pdf": 0.05, "text-layer": 0.02, "tesseract": 0.8, "rapidocr": 3.0}
"""Core seconds a page, on scans of 300 dpi (ARCHITECTURE.md, `providers/queues.py`); rules and votes take none to speak of."""

NOTHING = CostRange(0.0, 0.0, 0.0)


@dataclass(slots=True)
class Row:
    """One operation by one provider."""

    operation: str
    provider: str
    model: str
    paid: bool
    current: int
    """Items (pages, or the one book) that are complete and up to date. They are in the first row of an operation."""
    published: int = 0
    """Items whose answer lies in the artifact store, or that need none: nobody is asked again."""
    items: int = 0
    """What is left to do."""
    calls: int | None = None
    """Of a remote provider: one for each item, without repeats."""
    cost: CostRange | None = NOTHING
    """None = nobody knows the price."""
    price_source: str = ""
    seconds: float = 0.0

    def as_json(self) -> dict[str, Any]:
        return {
            "operation": self.operation,
            "provider": self.provider,
            "model": self.model or None,
            "paid": self.paid,
            "current": self.current,
            "published": self.published,
            "pages": self.items,
            "calls": self.calls,
            "cost_usd": _cost_json(self.cost),
            "price_source": self.price_source or None,
            "seconds": round(self.seconds, 1),
        }


@dataclass(slots=True)
class BookPlan:
    """What a book would take."""

    title: str
    book: str
    pages: int
    rows: list[Row] = field(default_factory=list)

    @property
    def cost(self) -> CostRange:
        """Of what has a price."""
        return add(row.cost for row in self.rows)

    @property
    def unknown(self) -> list[str]:
        """What has none, as "operation provider"."""
        return [f"{row.operation} {row.provider}" for row in self.rows if row.cost is None]

    @property
    def seconds(self) -> float:
        """Providers work side by side: as long as the busiest of them."""
        busy: dict[str, float] = {}
        for row in self.rows:
            busy[row.provider] = busy.get(row.provider, 0.0) + row.seconds
        return max(busy.values(), default=0.0)

    def as_json(self) -> dict[str, Any]:
        return {
            "source": self.title,
            "key": self.book,
            "pages": self.pages,
            "operations": [row.as_json() for row in self.rows],
            "cost_usd": _cost_json(self.cost),
            "unknown": self.unknown,
            "seconds": round(self.seconds, 1),
        }


def add(costs: Iterable[CostRange | None]) -> CostRange:
    """The sum of those that are known."""
    known = [cost for cost in costs if cost is not None]
    return CostRange(*(round(sum(getattr(cost, name) for cost in known), 10) for name in ("low", "expected", "high")))


def _cost_json(cost: CostRange | None) -> dict[str, float] | None:
    return None if cost is None else {"low": cost.low, "expected": cost.expected, "high": cost.high}


class BookPlanner:
    """Plans books over the documents and artifacts that there are."""

    def __init__(self, services: Services, pdf: PdfReader, settings: Settings) -> None:
        services.looking = True
        self.services = services
        self.pdf = pdf
        self.processes = {"tesseract": settings.tesseract_processes, "rapidocr": settings.rapidocr_processes}
        self.jobs = JobActivities(services, pdf)
        self.files: dict[str, Path] = {}
        """SHA-256 -> where a file lies that is not kept yet."""
        self.looks: dict[str, tuple[str, ImageSteps] | None] = {}
        """What pages look like that nobody has extracted, by key: looking takes 50 ms."""
        self.answers = {
            "ocr": OcrActivities(services).ocr_pages,
            "blend": BlendActivities(services).blend_pages,
            "label_read": LabelReadActivities(services).read_labels,
            "metadata": MetadataActivities(services, pdf).extract_metadata,
            "toc_find": TocFindActivities(services, pdf).find_contents,
            "toc_extract": TocExtractActivities(services, pdf).extract_contents,
        }
        """Work activities that may cost money, by operation."""

    async def of_book(self, book: str, given: Mapping[str, Any]) -> BookPlan:
        """A book that is known. Raises BadInput, ArtifactMissing."""
        source = await self.jobs.source_by_key(book)
        return await self._plan(book, source, given)

    async def of_files(self, paths: Sequence[Path], title: str, given: Mapping[str, Any]) -> BookPlan:
        """A source, which is looked at and not kept. Raises BadSource, SourceNotFound, BadInput."""
        looked = await look_at_source(self.pdf, paths, str(given.get("spreads") or AUTO), rtl=bool(given.get("rtl")))
        hashes = []
        for path, _, _ in looked.files:
            hashes.append(await asyncio.to_thread(_sha256, path))
            self.files[hashes[-1]] = path
        return await self._plan(title, await self.jobs.source_of(looked.manifest(hashes)), given)

    async def _plan(self, title: str, source: Source, given: Mapping[str, Any]) -> BookPlan:
        job: Job = ProcessPages()
        asked = validate_input(ProcessPagesInput, {**given, "book_id": source.book_id})
        job.operations = job.compose(asked)
        names = tuple(operation.name for operation in job.operations)
        config = await self._config(source, asked, names)
        self.services.remember(source.fingerprint, source.manifest)
        read = functools.partial(read_state, self.services)
        most = await forecast(job, config, read)
        least = await forecast(job, config, read, SURE)
        plan = BookPlan(title, source.book_id, len(parse_pages(config.pages)))
        characters = await self._characters(source.book_id) if config.models else None
        for name in names:
            plan.rows += await self._rows(config, source, most[name], least[name], characters)
        return plan

    async def _config(self, source: Source, asked: ProcessPagesInput, operations: tuple[str, ...]) -> JobConfig:
        """What the job would be frozen to. That nobody knows a price is no error here: the plan says so."""
        given = asked.model_dump(exclude_none=True) | {"allow_unpriced": True}
        anew = asked.anew(operations)
        lease = (await self.services.store.get(Lease, [source.book_id], ["epoch"])).get(source.book_id)
        epoch = ((lease.epoch if lease is not None else None) or 0) + 1
        job = ResolveInput(
            job="ProcessPages",
            input=given,
            anew=anew,
            operations=operations,
            workflow_id="plan",
            first_run_id="plan",
            run_id="plan",
        )
        count = source.manifest.page_count
        chooser = Chooser(self.services)
        pages = parse_pages(asked.pages or f"1-{count}", count)
        chosen = chooser.choose(job, source.choices)
        return chooser.freeze(job, chosen, source.book_id, epoch, source.fingerprint, count, pages)

    async def _characters(self, book: str) -> float | None:
        """Of a page's text, on average over those that were read; None where none was."""
        pages = await self.services.store.find(Page, {"book_key": book}, ["text"])
        texts = [len(page.text) for page in pages if page.text is not None]
        return sum(texts) / len(texts) if texts else None

    # Rows -------------------------------------------------------------------------------------------------------------

    async def _rows(
        self, config: JobConfig, source: Source, most: Forecast, least: Forecast, characters: float | None
    ) -> list[Row]:
        """One for each provider that would be asked; one for an operation with nothing left to do.

        Args:
            most: where what is not read yet is doubtful, and read again.
            least: where it is not.
            characters: of a page's text, if known.
        """
        operation, surely = most.operation.name, _by_provider(least.units)
        rows = [
            await self._row(config, source, operation, units, surely.get(provider, []), characters)
            for provider, units in _by_provider(most.units).items()
        ]
        if not rows:
            paid = bool(most.provider) and self.services.queues[most.provider].paid
            rows = [Row(operation, most.provider, config.models.get(operation, ""), paid, 0)]
        rows[0].current = most.current
        return rows

    async def _row(
        self,
        config: JobConfig,
        source: Source,
        operation: str,
        units: Sequence[PlannedUnit],
        surely: Sequence[PlannedUnit],
        characters: float | None,
    ) -> Row:
        provider = units[0].unit.provider
        queue = self.services.queues[provider]
        model = config.models.get(operation, "") or queue.model if queue.remote else ""
        row = Row(operation, provider, model, queue.paid, 0)
        row.items = sum(len(each.unit.items) for each in units)
        if not queue.remote:
            processes = self.processes.get(provider, queue.in_flight)
            row.seconds = row.items * LOCAL_SECONDS.get(provider, 0.0) / processes
            return row
        unasked = await self._unasked(config, source, units)
        row.published = len(unasked)
        row.items -= row.published
        row.calls = row.items
        certain = {item for each in surely for item in each.unit.items} - unasked
        row.seconds = _seconds(queue, model, operation, row.calls)
        if row.calls:
            scopes = [len(each.unit.pages) or len(parse_pages(each.unit.scope)) for each in units]
            once = estimate(queue, model, operation, characters, max(scopes))
            row.cost = once and CostRange(
                round(once.low * len(certain), 10),
                round(once.expected * row.calls, 10),
                round(once.high * row.calls + config.high_usd.get(f"{operation} {provider} {AGENT}", 0.0), 10),
            )
        row.price_source = rates(queue, model).source
        return row

    async def _unasked(self, config: JobConfig, source: Source, units: Sequence[PlannedUnit]) -> set[int]:
        """Items that cost nothing: their answer lies in the artifact store, another one asks the same, or the page is
        blank."""
        found: set[int] = set()
        seen: set[str] = set()
        for outcome in await self._answers([each.job for each in units if each.answerable]):
            if outcome.status == "ok" or outcome.artifact in seen:
                found.add(outcome.item)
            seen.add(outcome.artifact)
        unread = [page for each in units if not each.answerable for page in each.unit.pages]
        images: set[tuple[str, str]] = set()
        for page, look in zip(unread, await self._looks(config, source, unread), strict=True):
            if look is None:
                continue
            image, steps = look
            # Of two leaves that look alike, a blank form twice, only one is read.
            alike = (image, steps.effect())
            if steps.blank or (units[0].unit.operation == OCR.name and alike in images):
                found.add(page)
            images.add(alike)
        return found

    async def _answers(self, jobs: Sequence[UnitInput]) -> list[Outcome]:
        """What the work activities say, which only look."""
        found: list[Outcome] = []
        for job in _together(jobs):
            answer = self.answers[job.unit.operation]
            try:
                found += (await answer(job)).outcomes
            except ShelfError:
                # Something of a page is lost, and will be made again: the others are asked one by one.
                for page in job.unit.pages:
                    with contextlib.suppress(ShelfError):
                        found += (await answer(job.model_copy(update={"unit": job.unit.alone(page)}))).outcomes
        return found

    async def _looks(
        self, config: JobConfig, source: Source, pages: Sequence[int]
    ) -> list[tuple[str, ImageSteps] | None]:
        """Image and steps of pages, as `extract` decided on them, else as it will. None of one that cannot be opened: that is
        for the job to say."""
        keys = {}
        for page in pages:
            at = source.manifest.leaf(page)
            keys[page] = page_key(source.book_id, leaf_id(at.part, at.index, at.region))
        known = await self.services.store.get(Page, list(keys.values()), ["image_hash", "image_steps"])

        async def look(page: int) -> tuple[str, ImageSteps] | None:
            document = known.get(keys[page])
            if document is not None and document.image_hash:
                return document.image_hash, ImageSteps.from_json(document.image_steps)
            if keys[page] not in self.looks:
                self.looks[keys[page]] = await self._look(config, source, page)
            return self.looks[keys[page]]

        return list(await asyncio.gather(*map(look, pages)))

    async def _look(self, config: JobConfig, source: Source, page: int) -> tuple[str, ImageSteps] | None:
        at = source.manifest.leaf(page)
        part = source.manifest.parts[at.part]
        path = self.files.get(part.sha256) or self.services.artifacts.file(part.sha256)
        leaf = LeafSource(
            path=str(path), kind=part.kind, index=at.index, region=at.region, page=page, book=source.book_id
        )
        timeout = self.services.queues["pdf"].page_timeout_seconds
        try:
            facts = await self.pdf.leaf(leaf, timeout, images=config.images != OFF)
        except ProviderError:
            return None
        return facts.image_hash, ImageSteps.from_json(facts.image_steps)


def _together(jobs: Sequence[UnitInput]) -> list[UnitInput]:
    """Single pages as one unit where nothing else tells them apart: a question to the database instead of thousands."""
    groups: dict[tuple[str, str], list[UnitInput]] = {}
    for job in jobs:
        groups.setdefault((job.unit.variant, job.unit.scope), []).append(job)
    return [
        first.model_copy(
            update={
                "unit": first.unit.model_copy(
                    update={
                        "pages": tuple(page for job in group for page in job.unit.pages),
                        "leaves": tuple(leaf for job in group for leaf in job.unit.leaves),
                    }
                )
            }
        )
        for group in groups.values()
        for first in group[:1]
    ]


def _by_provider(units: Sequence[PlannedUnit]) -> dict[str, list[PlannedUnit]]:
    found: dict[str, list[PlannedUnit]] = {}
    for each in units:
        found.setdefault(each.unit.provider, []).append(each)
    return found


def _seconds(queue: ProviderQueue, model: str, operation: str, calls: int) -> float:
    """At the configured rate and so many in flight, in one worker."""
    at_once = math.ceil(calls / queue.in_flight) * call_seconds(queue, model, operation)
    return max(at_once, calls / queue.requests_per_second if queue.requests_per_second else 0.0)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
