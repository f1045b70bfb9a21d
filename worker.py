"""The worker: serves the workflows, the store's queue and the providers' queues of one Temporal namespace.

    python worker.py [--queues shelf,shelf-store,tesseract,...]

Wires all layers; nothing imports it. Queues are named as in `providers/queues.py`, with or without "shelf-"; "all" is the
default. A fleet runs several of these with different queues.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import logging
import os
import signal
import sys
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.worker import PollerBehaviorSimpleMaximum, Worker
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner, SandboxRestrictions

from activities.blend.activity import BlendActivities
from activities.correcting import CorrectActivities
from activities.deleting import DeleteActivities
from activities.extract.activity import ExtractActivities
from activities.job import JobActivities
from activities.label.activity import LabelActivities
from activities.label_read.activity import LabelReadActivities
from activities.metadata.activity import MetadataActivities
from activities.ocr.activity import OcrActivities
from activities.paragraph.activity import ParagraphActivities
from activities.services import Services
from activities.structure.activity import StructureActivities
from activities.toc_extract.activity import TocExtractActivities
from activities.toc_find.activity import TocFindActivities
from activities.toc_link.activity import TocLinkActivities
from providers.base import OcrProvider
from providers.local_artifacts import LocalArtifactStore
from providers.pdf import PdfReader
from providers.queues import STORE_QUEUE, WORKFLOW_QUEUE, ProviderQueue, provider_queues
from providers.rapidocr import RapidOcrProvider
from providers.scripted import ScriptedProvider
from providers.tesseract import TesseractProvider
from providers.text_layer import TextLayerProvider
from schemas.defradb import DefraStore
from schemas.errors import BadInput, ShelfError, StoreUnavailable
from workflows.registry import WORKFLOWS

if TYPE_CHECKING:
    from providers.settings import Settings

GRACE_SECONDS = 20.0
"""For units under way when the worker is told to stop: a batch of pages is a few seconds' work."""
STORE_IN_FLIGHT = 8
PASSED_THROUGH = ("activities", "providers", "schemas", "workflows", "pydantic_settings")
"""Pure contracts and plans: loaded once instead of once per workflow run."""

log = logging.getLogger("shelf.worker")


def make_providers(settings: Settings) -> dict[str, OcrProvider]:
    """Every provider that reads pages; engines start when they are first used."""
    return {
        "text-layer": TextLayerProvider(),
        "tesseract": TesseractProvider(settings.tesseract_processes),
        "rapidocr": RapidOcrProvider(settings.rapidocr_processes),
        "scripted": ScriptedProvider(settings.script),
    }


def make_activities(services: Services, pdf: PdfReader) -> dict[str, list[Callable[..., Any]]]:
    """Activities by the queue that serves them. What a plan may send to a queue is tested against this."""
    jobs = JobActivities(services, pdf)
    deleting = DeleteActivities(services, jobs)
    extract = ExtractActivities(services, pdf)
    ocr = OcrActivities(services)
    blend = BlendActivities(services)
    label_read = LabelReadActivities(services)
    label = LabelActivities(services, pdf)
    metadata = MetadataActivities(services, pdf)
    toc_find = TocFindActivities(services, pdf)
    toc_extract = TocExtractActivities(services, pdf)
    toc_link = TocLinkActivities(services)
    structure = StructureActivities(services)
    paragraph = ParagraphActivities(services, pdf)
    by_provider: dict[str, list[Callable[..., Any]]] = {
        "pdf": [extract.extract_pages],
        "vote": [blend.blend_pages],
        "rules": [
            label_read.read_labels,
            label.infer_labels,
            metadata.extract_metadata,
            toc_find.find_contents,
            toc_extract.extract_contents,
        ],
        "structure": [toc_link.link_contents, structure.find_chapters, paragraph.find_paragraphs],
        **{name: [ocr.ocr_pages] for name, row in services.queues.items() if row.reads_pages},
    }
    return {
        STORE_QUEUE: [
            jobs.resolve_job,
            jobs.load_state,
            jobs.renew_lease,
            jobs.release_lease,
            CorrectActivities(services).record_corrections,
            deleting.begin_deletion,
            deleting.delete_documents,
            deleting.delete_artifacts,
            deleting.finish_deletion,
            extract.save_pages,
            ocr.save_ocr_results,
            blend.save_blended_text,
            label_read.save_label_proposals,
            label.save_labels,
            metadata.save_metadata,
            toc_find.save_toc,
            toc_extract.save_toc_entries,
            toc_link.save_links,
            structure.save_chapters,
            paragraph.save_paragraphs,
        ],
        **{services.queues[name].queue: activities for name, activities in by_provider.items()},
    }


def make_workers(client: Client, services: Services, pdf: PdfReader, queues: Sequence[str] = ("all",)) -> list[Worker]:
    """One Worker per queue. Every poller of a queue must carry the same rate limit: the last one wins."""
    rows = {row.queue: row for row in services.queues.values()}
    workers = []
    if _wanted(WORKFLOW_QUEUE, queues):
        workers.append(
            Worker(
                client,
                task_queue=WORKFLOW_QUEUE,
                workflows=WORKFLOWS,
                workflow_runner=SandboxedWorkflowRunner(
                    restrictions=SandboxRestrictions.default.with_passthrough_modules(*PASSED_THROUGH)
                ),
                sticky_queue_schedule_to_start_timeout=timedelta(seconds=5),
                graceful_shutdown_timeout=timedelta(seconds=GRACE_SECONDS),
            )
        )
    for queue, activities in make_activities(services, pdf).items():
        if not _wanted(queue, queues):
            continue
        row: ProviderQueue | None = rows.get(queue)
        in_flight = row.in_flight if row is not None else STORE_IN_FLIGHT
        workers.append(
            Worker(
                client,
                task_queue=queue,
                activities=activities,
                max_concurrent_activities=in_flight,
                max_task_queue_activities_per_second=row.requests_per_second if row is not None else None,
                # Two polls keep a local queue busy; more only bursts (facts/temporal.md 3.2).
                activity_task_poller_behavior=PollerBehaviorSimpleMaximum(min(2, in_flight)),
                graceful_shutdown_timeout=timedelta(seconds=GRACE_SECONDS),
                default_heartbeat_throttle_interval=timedelta(seconds=2),
                max_heartbeat_throttle_interval=timedelta(seconds=2),
            )
        )
    if not workers:
        raise BadInput(
            f"No queue is called {', '.join(queues)}.", f"Known: {', '.join([WORKFLOW_QUEUE, STORE_QUEUE, *rows])}."
        )
    return workers


def _wanted(queue: str, queues: Sequence[str]) -> bool:
    return "all" in queues or queue in queues or queue.removeprefix("shelf-") in queues


async def connect(settings: Settings) -> Client:
    """The configured Temporal server, by the environment's and temporal.toml's rules."""
    return await Client.connect(**settings.temporal_connect(), data_converter=pydantic_data_converter)


async def run(settings: Settings, queues: Sequence[str], stop: asyncio.Event) -> None:
    """Serve until `stop`, then finish what is under way."""
    store = DefraStore(settings.defradb_url)
    await _patiently("DefraDB", store.bootstrap, stop)
    if stop.is_set():
        return
    client = await _patiently("Temporal", lambda: connect(settings), stop)
    if client is None:
        return
    providers = make_providers(settings)
    pdf = PdfReader()
    services = Services(
        store=store,
        artifacts=LocalArtifactStore(settings.artifacts_dir),
        providers=providers,
        queues=provider_queues(settings.providers),
        client=client,
        source_roots=settings.source_roots,
        language=settings.language,
        second_opinion_above=settings.second_opinion_above,
        second_opinion_share=settings.second_opinion_share,
    )
    workers = make_workers(client, services, pdf, queues)
    try:
        async with contextlib.AsyncExitStack() as stack:
            for worker in workers:
                await stack.enter_async_context(worker)
            log.info("serving %s", ", ".join(worker.task_queue for worker in workers))
            warm = asyncio.ensure_future(_warm(pdf, providers, queues))
            await stop.wait()
            warm.cancel()
            # All at once: one after another they would add up their grace.
            await asyncio.gather(*(worker.shutdown() for worker in workers))
    finally:
        await pdf.close()
        for provider in providers.values():
            await provider.close()
        await store.close()


async def _warm(pdf: PdfReader, providers: dict[str, OcrProvider], queues: Sequence[str]) -> None:
    """Start the engines that every book needs, so that the first page need not wait for them."""
    await pdf.warm()
    tesseract = providers["tesseract"]
    if isinstance(tesseract, TesseractProvider) and _wanted("shelf-tesseract", queues):
        await tesseract.warm()


async def _patiently(what: str, call: Callable[[], Any], stop: asyncio.Event) -> Any:
    """Wait for a server that is not up yet; the order in which a fleet starts is nobody's concern."""
    delay = 0.2
    while not stop.is_set():
        try:
            return await call()
        except (StoreUnavailable, RuntimeError, OSError) as error:
            log.warning("%s does not answer yet: %s", what, str(error)[:300])
            await asyncio.sleep(delay)
            delay = min(delay * 2, 5.0)
    return None


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns the exit code."""
    parser = argparse.ArgumentParser(description="Serve Shelf's task queues.")
    parser.add_argument("--queues", default="all", help="comma-separated; default: all")
    options = parser.parse_args(arguments)
    logging.basicConfig(
        level=os.environ.get("SHELF_LOG_LEVEL", "INFO"), format="%(asctime)s %(levelname)s %(name)s %(message)s"
    )

    from providers.settings import load_settings

    # One line per request of the database is no news.
    logging.getLogger("httpx").setLevel(logging.WARNING)

    async def serve() -> None:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop.set)
        await run(load_settings(), options.queues.split(","), stop)

    try:
        asyncio.run(serve())
    except ShelfError as error:
        log.error("%s", error)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
