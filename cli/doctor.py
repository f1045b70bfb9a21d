"""What `shelf doctor` looks at. Each check ends in a finding with a sentence and, where something is to do, the next step.

Nothing is started and nothing changed; what does not run is "off", not wrong, as `process` and `up` start it.
"""

from __future__ import annotations

import asyncio
import errno
import os
import platform
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cli.stack import servers
from cli.stack.defradb_binary import find
from cli.stack.defradb_build import BUILD_BYTES
from cli.stack.defradb_release import VERSION as DEFRADB_VERSION
from cli.stack.defradb_release import cache_dir, version_of
from cli.stack.stack import Part, Stack
from schemas.errors import ShelfError

if TYPE_CHECKING:
    from temporalio.client import Client

    from providers.queues import ProviderQueue
    from providers.settings import Settings

ROOT = Path(__file__).parents[1]
LITTLE_BYTES = 2_000_000_000
"""A 400-page book with its images and databases takes a few hundred megabytes."""


@dataclass(frozen=True)
class Finding:
    """The outcome of one check."""

    part: str
    state: str
    """ok, off (does not run or not yet made; nothing is wrong), problem."""
    message: str
    next_step: str = ""


def examine(settings: Settings) -> list[Finding]:
    """All checks, in the order of what needs what."""
    stack = Stack(settings)
    parts = {part.name: part for part in stack.status()}
    checks: tuple[Callable[[], Iterator[Finding]], ...] = (
        _python,
        _environment,
        lambda: _defradb_program(settings),
        _languages,
        lambda: _artifacts(settings),
        lambda: _writable("state", settings.home),
        lambda: _defradb(parts["defradb"]),
        lambda: _temporal(settings, parts["temporal"], parts["worker"]),
        lambda: _worker(parts["worker"]),
        _licences,
    )
    findings: list[Finding] = []
    for check in checks:
        try:
            findings += check()
        except ShelfError as error:
            findings.append(Finding("settings", "problem", error.message, error.next_step))
    return findings


def _python() -> Iterator[Finding]:
    yield Finding("python", "ok", f"{platform.python_version()} at {sys.executable}")


def _environment() -> Iterator[Finding]:
    installed = Path(sys.prefix) / "installed.lock"
    if not installed.exists():
        yield Finding(
            "environment", "ok", f"{sys.prefix}, not made by ./shelf: its packages are not compared with the lock"
        )
        return
    content = installed.read_bytes()
    if any(content == lock.read_bytes() for lock in ROOT.glob("requirements*.lock")):
        yield Finding("environment", "ok", f"{sys.prefix} holds what the lock says")
    else:
        yield Finding("environment", "problem", f"{sys.prefix} is older than the lock.", "Start through ./shelf.")


def _defradb_program(settings: Settings) -> Iterator[Finding]:
    if settings.defradb_is_external:
        return
    try:
        program = find()
        version = version_of(program) if program else ""
    except ShelfError as error:
        yield Finding("defradb program", "problem", error.message, error.next_step)
        return
    if program is None:
        free = _free(cache_dir())
        if free < BUILD_BYTES:
            message = f"Building it takes {BUILD_BYTES / 1e9:.0f} GB; {cache_dir()} has {free / 1e9:.1f} GB."
            yield Finding("defradb program", "problem", message, "Make room, or set XDG_CACHE_HOME or DEFRADB_BIN.")
        else:
            yield Finding(
                "defradb program", "off", "Not there yet; the first start builds it, some minutes, once per user."
            )
    elif version in (DEFRADB_VERSION, ""):
        yield Finding("defradb program", "ok", f"{version or 'a build that does not tell its version'} at {program}")
    else:
        yield Finding(
            "defradb program",
            "problem",
            f"{program} is {version}; Shelf is written for {DEFRADB_VERSION}.",
            "Unset DEFRADB_BIN, or let it name the right version.",
        )


def _languages() -> Iterator[Finding]:
    from providers.tesseract import installed_languages

    if languages := installed_languages():
        yield Finding("tesseract languages", "ok", ", ".join(languages))
    else:
        yield Finding(
            "tesseract languages",
            "problem",
            "No model is installed.",
            "Start through ./shelf, which installs English, or set TESSDATA_PREFIX to a folder of .traineddata files.",
        )


def _artifacts(settings: Settings) -> Iterator[Finding]:
    if settings.artifacts_url is None:
        yield from _writable("artifacts", settings.artifacts_dir)
        return
    from providers.artifact_stores import check, place_of

    try:
        check(settings)
    except ShelfError as error:
        yield Finding("artifacts", "problem", error.message, error.next_step)
    else:
        yield Finding("artifacts", "ok", f"{place_of(settings)} takes conditional writes")
    yield from _writable("copies of sources", settings.artifacts_dir)


def _writable(part: str, folder: Path) -> Iterator[Finding]:
    try:
        existing = _existing(folder)
        with tempfile.TemporaryFile(dir=existing) as probe:
            probe.write(b"x")
    except OSError as error:
        yield Finding(part, "problem", f"{folder} cannot be written: {error.strerror}.", "Set SHELF_HOME or make room.")
        return
    free = _free(existing)
    if free < LITTLE_BYTES:
        yield Finding(part, "problem", f"{folder} has {free / 1e9:.1f} GB left.", "Make room, or set SHELF_HOME.")
    else:
        yield Finding(part, "ok", f"{folder}, {free / 1e9:.0f} GB free")


def _existing(folder: Path) -> Path:
    """The folder, or the nearest one above it that exists. Raises NotADirectoryError where a file is in the way."""
    if folder.is_dir():
        return folder
    if folder.exists():
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(folder))
    return _existing(folder.parent)


def _free(folder: Path) -> int:
    return shutil.disk_usage(_existing(folder)).free


def _unreachable(part: Part, variable: str) -> Finding:
    if part.state == "stopped":
        return Finding(part.name, "off", "Does not run; `shelf up` and `shelf process` start it.")
    if part.state == "silent":
        return Finding(
            part.name, "problem", f"Process {part.pid} runs but does not answer.", "`shelf up` starts it anew."
        )
    return Finding(part.name, "problem", f"Nothing answers at {part.address}.", f"Start it, or correct {variable}.")


def _defradb(part: Part) -> Iterator[Finding]:
    if part.state not in ("running", "external"):
        yield _unreachable(part, "SHELF_DEFRADB_URL")
        return
    from schemas.documents import TYPES

    url = part.address if "://" in part.address else f"http://{part.address}"
    described = servers.request(url.rpartition("://")[2].rstrip("/"), "GET", "/api/v0/collections") or []
    there = {collection["version"]["Name"] for collection in described}
    missing = [kind.__name__ for kind in TYPES if kind.__name__ not in there]
    if missing:
        yield Finding("defradb", "off", f"Answers at {url}; the worker has yet to add {', '.join(missing)}.")
    else:
        yield Finding("defradb", "ok", f"answers at {url}, {len(TYPES)} document types")


def _temporal(settings: Settings, part: Part, worker: Part) -> Iterator[Finding]:
    if part.state not in ("running", "external"):
        yield _unreachable(part, "TEMPORAL_ADDRESS")
        return
    yield from asyncio.run(_ask_temporal(settings, part, worker))


async def _ask_temporal(settings: Settings, part: Part, worker: Part) -> list[Finding]:
    from temporalio.client import Client
    from temporalio.service import RPCError

    try:
        client = await Client.connect(**settings.temporal_connect(part.address))
        return [await _namespace(client), await _search_attributes(client), *await _queues(client, settings, worker)]
    except (RPCError, RuntimeError, OSError) as error:
        return [
            Finding(
                "temporal",
                "problem",
                f"{part.address}: {str(error)[:200]}.",
                "Correct TEMPORAL_ADDRESS or TEMPORAL_NAMESPACE.",
            )
        ]


async def _namespace(client: Client) -> Finding:
    from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest

    answer = await client.workflow_service.describe_namespace(DescribeNamespaceRequest(namespace=client.namespace))
    days = answer.config.workflow_execution_retention_ttl.seconds / 86400
    message = f"answers at {client.service_client.config.target_host}, namespace {client.namespace}, history kept {days:g} days"
    return Finding("temporal", "ok", message)


async def _search_attributes(client: Client) -> Finding:
    from temporalio.api.operatorservice.v1 import ListSearchAttributesRequest

    answer = await client.operator_service.list_search_attributes(
        ListSearchAttributesRequest(namespace=client.namespace)
    )
    missing = {name: kind for name, kind in servers.SEARCH_ATTRIBUTES.items() if name not in answer.custom_attributes}
    if not missing:
        return Finding("search attributes", "ok", ", ".join(servers.SEARCH_ATTRIBUTES))
    # An unknown attribute does not fail a workflow, it hangs its task: the one check that must not be skipped.
    command = " ".join(f"--name {name} --type {kind}" for name, kind in missing.items())
    return Finding(
        "search attributes",
        "problem",
        f"Not registered: {', '.join(missing)}; jobs would hang.",
        f"temporal operator search-attribute create --namespace {client.namespace} {command}",
    )


async def _queues(client: Client, settings: Settings, worker: Part) -> list[Finding]:
    """Who polls each queue, and whether it has the one partition that makes its rate limit exact."""
    from temporalio.api.enums.v1 import TaskQueueType
    from temporalio.api.taskqueue.v1 import TaskQueue
    from temporalio.api.workflowservice.v1 import DescribeTaskQueueRequest, ListTaskQueuePartitionsRequest

    from providers.queues import STORE_QUEUE, WORKFLOW_QUEUE, is_set_up, provider_queues

    kinds = {
        WORKFLOW_QUEUE: TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW,
        STORE_QUEUE: TaskQueueType.TASK_QUEUE_TYPE_ACTIVITY,
    }
    table = provider_queues(settings.providers)
    limited = {row.queue: row.requests_per_second for row in table.values() if is_set_up(row, settings.providers)}
    kinds |= dict.fromkeys(limited, TaskQueueType.TASK_QUEUE_TYPE_ACTIVITY)
    service = client.workflow_service

    async def look(queue: str) -> tuple[str, bool, int]:
        name = TaskQueue(name=queue)
        described, partitions = await asyncio.gather(
            service.describe_task_queue(
                DescribeTaskQueueRequest(namespace=client.namespace, task_queue=name, task_queue_type=kinds[queue])
            ),
            service.list_task_queue_partitions(
                ListTaskQueuePartitionsRequest(namespace=client.namespace, task_queue=name)
            ),
        )
        return queue, bool(described.pollers), len(partitions.activity_task_queue_partitions)

    looks = await asyncio.gather(*map(look, kinds))
    findings = []
    unpolled = [queue for queue, polled, _ in looks if not polled]
    if not unpolled:
        findings.append(Finding("queues", "ok", f"workers poll all {len(looks)}"))
    elif worker.state == "stopped":
        findings.append(Finding("queues", "off", "Nobody polls " + ", ".join(unpolled), "`shelf up` starts a worker."))
    else:
        findings.append(
            Finding(
                "queues", "problem", f"Nobody polls {', '.join(unpolled)}.", "Start a worker with --queues for them."
            )
        )
    divided = [f"{queue} ({count})" for queue, _, count in looks if count > 1 and limited.get(queue)]
    if divided:
        findings.append(
            Finding(
                "partitions",
                "problem",
                f"More than one partition: {', '.join(divided)}; their limits of requests per second are uneven.",
                "Set matching.numTaskqueueReadPartitions and ...WritePartitions to 1 for them (dynamic configuration).",
            )
        )
    else:
        findings.append(Finding("partitions", "ok", "one for each queue with a limit"))
    return [*findings, *await _held(client, table.values())]


async def _held(client: Client, rows: Iterable[ProviderQueue]) -> list[Finding]:
    """Providers that a person has paused, or slowed down."""
    from cli.limits import describe, queue_states, undo

    return [
        Finding(
            "provider limits", "problem" if state.paused else "ok", f"{name} is {describe(state)}.", f"`{undo(state)}`"
        )
        for name, state in (await queue_states(client, rows)).items()
        if describe(state)
    ]


def _worker(part: Part) -> Iterator[Finding]:
    if part.state == "external":
        yield Finding("worker", "ok", "run by somebody else (SHELF_WORKER=external)")
    elif part.state == "stopped":
        yield Finding("worker", "off", "Does not run; `shelf up` and `shelf process` start it.")
    else:
        yield Finding("worker", "ok", f"process {part.pid}, log {os.path.relpath(part.log)}" if part.log else "runs")


def _licences() -> Iterator[Finding]:
    yield Finding(
        "licences",
        "ok",
        "Shelf and PyMuPDF: AGPL-3.0. DefraDB: BSL 1.1, free for non-profit use and before production; "
        "a business in production needs a licence from its makers.",
    )
