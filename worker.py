"""The worker: serves the workflows, the store's queue and the providers' queues of one Temporal namespace.

    python worker.py [--queues shelf,shelf-store,tesseract,...]

Wires all layers; nothing imports it. Queues are named as in `providers/queues.py`, with or without "shelf-"; "all" is the
default. A fleet runs several of these with different queues.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import gc
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
from activities.budget import BudgetActivities
from activities.correcting import CorrectActivities
from activities.deleting import DeleteActivities
from activities.extract.activity import ExtractActivities
from activities.improving import ImproveActivities
from activities.job import JobActivities
from activities.label.activity import LabelActivities
from activities.label_read.activity import LabelReadActivities
from activities.metadata.activity import MetadataActivities
from activities.ocr.activity import OcrActivities
from activities.paragraph.activity import ParagraphActivities
from activities.services import Services, make_services
from activities.structure.activity import StructureActivities
from activities.toc_extract.activity import TocExtractActivities
from activities.toc_find.activity import TocFindActivities
from activities.toc_find.agent_activity import ContentsAgentActivities
from activities.toc_link.activity import TocLinkActivities
from providers.artifact_stores import open_store
from providers.base import OcrProvider
from providers.pdf import PdfReader
from providers.queues import STORE_QUEUE, WORKFLOW_QUEUE, ProviderQueue, is_set_up
from providers.tesseract import TesseractProvider
from schemas import logs, telemetry
from schemas.defradb import DefraStore
from schemas.errors import BadInput, ShelfError, StoreUnavailable
from workflows import tracing
from workflows.registry import WORKFLOWS

if TYPE_CHECKING:
    from providers.settings import Settings
    from schemas.telemetry_sdk import Telemetry

GRACE_SECONDS = 20.0
"""For units under way when the worker is told to stop: a batch of pages is a few seconds' work."""
STORE_IN_FLIGHT = 8
PASSED_THROUGH = ("activities", "providers", "schemas", "workflows", "pydantic_settings")
"""Pure contracts and plans: loaded once instead of once per workflow run."""

log = logging.getLogger("shelf.worker")


def make_activities(services: Services, pdf: PdfReader) -> dict[str, list[Callable[..., Any]]]:
    """Activities by the queue that serves them. What a plan may send to a queue is tested against this."""
    jobs = JobActivities(services, pdf)
    deleting = DeleteActivities(services, jobs)
    budgets = BudgetActivities(services)
    improving = ImproveActivities(services)
    extract = ExtractActivities(services, pdf)
    ocr = OcrActivities(services)
    blend = BlendActivities(services)
    label_read = LabelReadActivities(services)
    label = LabelActivities(services, pdf)
    metadata = MetadataActivities(services, pdf)
    toc_find = TocFindActivities(services, pdf)
    contents_agent = ContentsAgentActivities(services, pdf)
    toc_extract = TocExtractActivities(services, pdf)
    toc_link = TocLinkActivities(services)
    structure = StructureActivities(services)
    paragraph = ParagraphActivities(services, pdf)
    by_provider: dict[str, list[Callable[..., Any]]] = {
        "pdf": [extract.extract_pages],
        "vote": [blend.blend_pages, improving.rate_readings],
        "rules": [
            label_read.read_labels,
            label.infer_labels,
            metadata.extract_metadata,
            toc_find.find_contents,
            toc_extract.extract_contents,
            contents_agent.agent_begin,
            contents_agent.agent_tool,
            contents_agent.agent_end,
        ],
        "structure": [toc_link.link_contents, structure.find_chapters, paragraph.find_paragraphs],
        **{name: [ocr.ocr_pages] for name, row in services.queues.items() if row.reads_pages},
    }
    for name, row in services.queues.items():
        if row.answers:
            # Whoever answers questions does what the rules do, on its own queue and at its own rate.
            by_provider[name] = [
                *by_provider.get(name, []),
                blend.blend_pages,
                label_read.read_labels,
                metadata.extract_metadata,
                toc_find.find_contents,
                toc_extract.extract_contents,
                contents_agent.agent_turn,
            ]
    return {
        STORE_QUEUE: [
            jobs.resolve_job,
            jobs.load_state,
            jobs.renew_lease,
            jobs.release_lease,
            budgets.reserve_budget,
            budgets.set_budget,
            improving.find_sellers,
            improving.rank_pages,
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
                interceptors=[tracing.Tracing()],
                sticky_queue_schedule_to_start_timeout=timedelta(seconds=5),
                graceful_shutdown_timeout=timedelta(seconds=GRACE_SECONDS),
            )
        )
    for queue, activities in make_activities(services, pdf).items():
        row: ProviderQueue | None = rows.get(queue)
        if not _wanted(queue, queues) or (row is not None and not _served(row, services, queues)):
            continue
        in_flight = row.in_flight if row is not None else STORE_IN_FLIGHT
        workers.append(
            Worker(
                client,
                task_queue=queue,
                activities=activities,
                interceptors=[tracing.Tracing()],
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


def _served(row: ProviderQueue, services: Services, queues: Sequence[str]) -> bool:
    """What is set up, and what is named on the command line: a job that asks for another is told so at once."""
    named = row.queue in queues or row.queue.removeprefix("shelf-") in queues
    return named or is_set_up(row, services.configured)


async def connect(settings: Settings, **options: Any) -> Client:
    """The configured Temporal server, by the environment's and temporal.toml's rules.

    Args:
        options: further ones of `Client.connect`, as `tracing.runtime_options` has them.
    """
    return await Client.connect(**settings.temporal_connect(), data_converter=pydantic_data_converter, **options)


async def run(settings: Settings, queues: Sequence[str], stop: asyncio.Event, running: Telemetry | None = None) -> None:
    """Serve until `stop`, then finish what is under way."""
    store = DefraStore(settings.defradb_url)
    await _patiently("DefraDB", store.bootstrap, stop)
    if stop.is_set():
        return
    options = tracing.runtime_options(running)
    client = await _patiently("Temporal", lambda: connect(settings, **options), stop)
    if client is None:
        return
    pdf = PdfReader()
    services = make_services(settings, store, open_store(settings), client)
    workers = make_workers(client, services, pdf, queues)
    try:
        async with contextlib.AsyncExitStack() as stack:
            for worker in workers:
                await stack.enter_async_context(worker)
            log.info("serving %s", ", ".join(worker.task_queue for worker in workers))
            warm = asyncio.ensure_future(_warm(pdf, services.providers, queues))
            await stop.wait()
            warm.cancel()
            # All at once: one after another they would add up their grace.
            await asyncio.gather(*(worker.shutdown() for worker in workers))
    finally:
        await pdf.close()
        await services.close()
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
    parser.add_argument("--otel", choices=["console"], help="print spans and metrics to stderr (docs/telemetry.md)")
    options = parser.parse_args(arguments)
    if options.otel:
        telemetry.to_console()

    from providers.settings import load_settings

    async def serve() -> None:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop.set)
        await run(load_settings(), options.queues.split(","), stop, running)

    running: Telemetry | None = None
    try:
        logs.configure(os.environ.get("SHELF_LOG_LEVEL", "INFO"))
        running = tracing.start("shelf-worker")
        asyncio.run(serve())
    except ShelfError as error:
        log.error("%s", error)
        return error.exit_code
    finally:
        # The runtime exports its last metrics when nothing holds it any more, and workers hold it in circles.
        gc.collect()
        if running is not None:
            running.stop()
    return 0


if __name__ == "__main__":
    code = main()
    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    # All is closed. A Temporal client leaves threads that now and then abort the interpreter while it takes itself down
    # (temporalio/sdk-python#300), and a worker that ended well would be reported as a crash.
    os._exit(code)
