"""Writes the stored histories that tests replay: `python -m tests.histories.record`, after the workflows were changed on
purpose and no job of an earlier release has to go on.

The jobs run on a real dev server, with the real workflows and activities over the in-memory store and readers without
engines: a history holds references and figures, so nothing else would be in it.
"""

from __future__ import annotations

import asyncio
import json
import tempfile
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

from temporalio.api.enums.v1 import EventType
from temporalio.client import Client, WorkflowHandle
from temporalio.contrib.pydantic import pydantic_data_converter

from activities.contracts import JobResult, Progress
from activities.services import Services
from cli.stack.servers import temporal_command
from providers.errors import Rejected, ServerError
from providers.local_artifacts import LocalArtifactStore
from providers.queues import QUEUES
from schemas.memory import MemoryStore
from tests.conftest import answers, free_port, running
from tests.workflows.conftest import Pdf, Reader, until
from worker import make_workers

FOLDER = Path(__file__).parent
JOB = "recorded"
"""Its workflow id, which is part of the ids of its ranges."""
PAGES = 34
"""Two ranges."""


async def record(client: Client, folder: Path) -> None:
    """An eventful job and its ranges: a page that is read at the second call, one that never is, second opinions, a
    pause with a resume."""
    tesseract, rapidocr, text_layer = Reader(), Reader("rapidocr"), Reader("text-layer", 99.0)
    tesseract.low = {3, 7}
    tesseract.fail = lambda page, call: (
        ServerError("hiccup") if page == 5 and call == 1 else Rejected("cannot be rendered") if page == 9 else None
    )
    tesseract.gate = asyncio.Event()
    pdf = Pdf()
    services = Services(
        store=MemoryStore(),
        artifacts=LocalArtifactStore(folder / "artifacts"),
        providers={reader.name: reader for reader in (tesseract, rapidocr, text_layer)},
        queues={row.name: row for row in QUEUES if row.name != "scripted"},
        client=client,
        source_roots=[folder],
    )
    (folder / "book.pdf").write_text(str(PAGES))
    async with AsyncExitStack() as stack:
        for worker in make_workers(client, services, pdf):  # type: ignore[arg-type]
            await stack.enter_async_context(worker)
        handle: WorkflowHandle[Any, JobResult] = await client.start_workflow(
            "ProcessPages", {"source": "book.pdf"}, id=JOB, task_queue="shelf", result_type=JobResult
        )
        await until(lambda: tesseract.calls)
        await handle.signal("pause", "for the record")
        await asyncio.sleep(0.5)
        tesseract.gate.set()

        async def is_paused() -> bool:
            return (await handle.query("progress", result_type=Progress)).state == "paused"

        await until(is_paused)
        await handle.signal("resume")
        result = await handle.result()
        assert (result.state, result.failed_count) == ("complete_with_gaps", 1), result
        children = await save(client, JOB, "process-pages")
        for number, child in enumerate(children, 1):
            await save(client, child, f"page-range-{number}")
        for job, given in others(result.book_id).items():
            name = kebab(job)
            await client.execute_workflow(job, given, id=name, task_queue="shelf", result_type=JobResult)
            await save(client, name, name)


def others(book: str) -> dict[str, dict[str, Any]]:
    """The other jobs with their inputs, in an order in which each finds something to do; the last one leaves nothing."""
    inputs: dict[str, dict[str, Any]] = {
        "RerunToc": {},
        "AddOcrSource": {"provider": "rapidocr", "pages": "1-2"},
        "Improve": {"providers": ["rapidocr"], "most_pages": 3},
        "RunOperations": {"operations": ["label_read", "label"], "pages": "1-4", "fresh": True},
        "Correct": {
            "who": "a reader",
            "corrections": [{"page": 4, "field": "label", "value": "4", "why": "it is printed so"}],
        },
        "EditLeaves": {"edits": [{"action": "drop", "pages": "2"}]},
        "BuildStructure": {},
        "DeleteBook": {},
    }
    return {job: {"book_id": book, **given} for job, given in inputs.items()}


def kebab(job: str) -> str:
    """`RerunToc` -> `rerun-toc`: the file of a job's history, and the job's workflow id."""
    return "".join(f"-{letter.lower()}" if letter.isupper() else letter for letter in job).strip("-")


async def save(client: Client, workflow_id: str, name: str) -> list[str]:
    """Write one history; returns the ids of the children."""
    history = await client.get_workflow_handle(workflow_id).fetch_history()
    document = history.to_json_dict()
    (FOLDER / f"{name}.json").write_text(json.dumps(document, indent=1, sort_keys=True) + "\n")
    return [
        event.start_child_workflow_execution_initiated_event_attributes.workflow_id
        for event in history.events
        if event.event_type == EventType.EVENT_TYPE_START_CHILD_WORKFLOW_EXECUTION_INITIATED
    ]


def main() -> None:
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        port, ui_port, http_port = free_port(), free_port(), free_port()
        url = f"http://127.0.0.1:{http_port}/api/v1/namespaces/default"

        async def connect_and_record() -> None:
            # The default names the machine.
            client = await Client.connect(
                f"127.0.0.1:{port}", identity="recorder", data_converter=pydantic_data_converter
            )
            await record(client, folder)

        with running(temporal_command(None, port, ui_port, http_port), folder / "temporal.log", lambda: answers(url)):
            asyncio.run(connect_and_record())


if __name__ == "__main__":
    main()
