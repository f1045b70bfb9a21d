"""A book through the default pipeline in this process: engines by the reading cache, no Temporal, no database.

`process` is the composition of `ProcessPages` in one place. Plans come from the operations themselves (`Ocr` decides who reads
which page and which pages get a second opinion, driven by the workflow's own `Planner`); what the activities call is called
here with the same arguments (`Reader` looks at each page as `extract` does). When an activity calls something else, so must
this.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from activities.contracts import JobConfig, Outcome, ProviderPolicy, SaveResult, WorkResult
from activities.extract.operation import TEXT_LAYER
from activities.ocr.activity import _figures
from activities.registry import by_key
from activities.state import JobState
from activities.toc_find.operation import LAST_PAGES
from benchmarks.readings import EngineReading, PageImage, Reader
from books.evaluation.truth import METADATA
from providers.lexicon import Lexicon, book_words
from providers.pdf import BookFacts
from providers.pdf import engine as pdf_engine
from providers.queues import provider_queues
from providers.rules import contents, metadata
from providers.rules.labels import propose, sequence
from providers.vote import blend
from schemas.documents import Book, Page, ToC, TocEntry
from schemas.pagespec import format_pages
from schemas.reading import PageReading
from workflows.driver import Carried, Planner
from workflows.ranges import cut


@dataclass
class ProcessedBook:
    """What is scored (`books.evaluation.Processed`), and what it took."""

    book: Book
    pages: list[Page]
    toc: ToC | None
    entries: list[TocEntry]
    second_opinions: int = 0
    """Pages that were read twice."""
    cpu_seconds: float = 0.0
    """Of looking at the pages, of the engines for what they read, and of blending and rules."""
    prepared: int = 0
    """Pages that are straightened, cleaned, turned, or left unread because they are blank."""
    blended: dict[int, PageReading] = field(default_factory=dict)


async def process(name: str, images: Sequence[PageImage], reader: Reader) -> ProcessedBook:
    """Process pages as one book with the defaults; physical pages count from 1 in the order of `images`."""
    facts = book_facts(images)
    config = job_config(name, len(images))
    readings: dict[int, list[EngineReading]] = {}
    ranges = cut(tuple(range(1, len(images) + 1)), config)
    for pages in ranges:
        readings |= await read_range(config, pages, images, reader)
    began = time.process_time()
    blended: dict[int, PageReading] = {}
    for pages in ranges:
        blended |= blend_range({page: [each.page for each in readings[page]] for page in pages})
    proposals = {page: propose(reading) for page, reading in blended.items()}
    labels = sequence([proposals[page] for page in sorted(blended)], facts.page_labels or None)
    first = sorted(blended.items())
    told = metadata.extract(first[: config.metadata_pages], facts.info)
    looked_at = first[: config.contents_pages]
    found = contents.find([*looked_at, *first[len(looked_at) :][-LAST_PAGES:]], facts.outline)
    entries = contents.extract(
        [(page, blended[page]) for page in found.pages],
        facts.outline,
        {page: label.label for page, label in zip(sorted(blended), labels, strict=True)},
        sorted(proposals.items()),
        reading_of=blended.get,
    )
    cpu_seconds = time.process_time() - began
    looks = await asyncio.gather(*(reader.look(image) for image in images))
    values = told.model_dump(mode="json")
    return ProcessedBook(
        book=Book(key=name, page_count=len(images), **{name: values[name] for name in METADATA}),
        pages=[
            Page(
                key=f"{name}/{page}",
                page=page,
                text=blended[page].text,
                label=label.label,
                label_inferred=label.inferred,
                running_header=label.running_header,
                page_type=label.page_type,
            )
            for page, label in zip(sorted(blended), labels, strict=True)
        ],
        toc=ToC(key=f"{name}/toc", found=found.found, source=found.source, pages=found.pages, reason=found.reason),
        entries=[TocEntry(key=f"{name}/toc/{n}", sort_order=n, **row.model_dump()) for n, row in enumerate(entries)],
        second_opinions=sum(len(found) > 1 for found in readings.values()),
        cpu_seconds=cpu_seconds
        + sum(look.cpu_seconds for look in looks)
        + sum(each.cpu_seconds for found in readings.values() for each in found),
        prepared=sum(bool(look.steps) for look in looks),
        blended=blended,
    )


def job_config(name: str, page_count: int) -> JobConfig:
    """The defaults of a job."""
    names = ("text-layer", "tesseract", "rapidocr")
    policies = {
        row.name: ProviderPolicy(
            name=row.name,
            queue=row.queue,
            batch_pages=row.batch_pages,
            in_flight=row.in_flight,
            page_timeout_seconds=row.page_timeout_seconds,
            max_attempts=row.max_attempts,
        )
        for row in provider_queues().values()
        if row.name in names
    }
    return JobConfig(
        job="ProcessPages",
        book_id=name,
        epoch=1,
        run_id="benchmark",
        manifest="",
        page_count=page_count,
        pages=format_pages(range(1, page_count + 1)),
        providers=policies,
    )


async def read_range(
    config: JobConfig, pages: tuple[int, ...], images: Sequence[PageImage], reader: Reader
) -> dict[int, list[EngineReading]]:
    """Physical page -> its readings in the order in which they were made, as the plan of `ocr` wants them."""
    readings: dict[int, list[EngineReading]] = {page: [] for page in pages}
    state = JobState(config, pages, leaves={page: str(page) for page in pages})
    state.of("extract").complete.update(pages)
    state.of("extract").add_pages(TEXT_LAYER, [page for page in pages if has_text_layer(images[page - 1])])
    planner = Planner(state, [by_key("ocr")])
    planner.collect()
    while not planner.settled():
        units = []
        while unit := planner.next_unit():
            units.append(unit)
        if not units:
            raise RuntimeError(f"the plan of {config.book_id} stalls: {planner.incomplete()}")
        answers = await asyncio.gather(
            *(reader.read_all(unit.provider, [images[page - 1] for page in unit.pages]) for unit in units)
        )
        for unit, answer in zip(units, answers, strict=True):
            found = {page: answer[images[page - 1]] for page in unit.pages}
            for page, reading in found.items():
                readings[page].append(reading)
            outcomes = [
                Outcome(item=page, status="ok", figures=_figures(reading.page.to_json()))
                for page, reading in found.items()
            ]
            planner.apply(Carried(unit, work=WorkResult(outcomes=tuple(outcomes)), save=SaveResult()))
        planner.collect()
    return readings


def blend_range(readings: Mapping[int, Sequence[PageReading]]) -> dict[int, PageReading]:
    """Physical page -> its blended reading. The words of the range's first readings are the lexicon for the pages that were
    read more than once."""
    words = book_words([found[0].text for found in readings.values()])
    return {
        page: blend(found, Lexicon(found[0].language, words if len(found) > 1 else frozenset()))
        for page, found in readings.items()
    }


@cache
def has_text_layer(image: PageImage) -> bool:
    """Whether the pipeline takes the file's own text."""
    from providers import pages

    if image.profile or image.kind != "pdf":
        return False
    return pages.leaf_facts(image.file, image.kind, image.index).text_layer == "good"


def book_facts(images: Sequence[PageImage]) -> BookFacts:
    """Outline, labels and DocInfo of the file; of scans and degraded copies nothing, as of any folder of images."""
    files = {image.file for image in images}
    if len(files) != 1 or images[0].profile or images[0].kind != "pdf":
        return BookFacts()
    answer = pdf_engine()(("book", str(Path(files.pop()))))
    return BookFacts.model_validate(answer)
