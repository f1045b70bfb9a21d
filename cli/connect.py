"""From the settings to what a command works with: store, artifacts, Temporal; and from any failure to an exit code."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import typer

from cli.output import interrupted, note, report
from schemas import telemetry
from schemas.errors import ServerUnavailable, ShelfError

if TYPE_CHECKING:
    from temporalio.client import Client
    from temporalio.runtime import Runtime

    from cli.stack.stack import Endpoints, Stack
    from providers.artifacts import ArtifactStore
    from providers.settings import Settings
    from schemas.store import Store
    from schemas.telemetry_sdk import Telemetry

BROKEN_PIPE = 141


def run(command: Callable[[], Awaitable[int | None]]) -> None:
    """Carry out a command; every failure that a user may meet becomes one sentence on stderr and an exit code."""
    try:
        code = asyncio.run(_awaited(command))
    except Notice as end:
        if end.message:  # what has none was said where it happened
            note(str(end))
        code = end.exit_code
    except ShelfError as error:
        report(error)
        code = error.exit_code
    except KeyboardInterrupt:
        code = interrupted()
    except BrokenPipeError:
        # The reader (`| head`) has what it wanted; Python would complain once more when it flushes stdout at the end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = BROKEN_PIPE
    finally:
        if running_telemetry.cache_info().currsize and (running := running_telemetry()) is not None:
            running.stop()
    if code:
        raise typer.Exit(code)


async def _awaited(command: Callable[[], Awaitable[int | None]]) -> int | None:
    code = await command()
    sys.stdout.flush()
    return code


@dataclass(slots=True)
class Connection:
    """What a command works with. Temporal is reached when it is first asked for."""

    settings: Settings
    stack: Stack
    store: Store
    temporal_address: str | None
    """None where only the database runs."""
    namespace: str
    ui_url: str | None

    @property
    def artifacts(self) -> ArtifactStore:
        from providers.artifact_stores import open_store

        return open_store(self.settings)

    async def temporal(self) -> Client:
        """Raises ServerUnavailable."""
        if self.temporal_address is None:
            endpoints = await ensure(self.stack, wait_for_worker=False)
            self.temporal_address, self.ui_url = endpoints.temporal_address, endpoints.temporal_ui_url
        return await connect_temporal(self.settings, self.temporal_address)

    def link(self, workflow_id: str, run_id: str = "") -> str | None:
        """Address of a workflow in the Temporal UI; None where the UI is not known."""
        if not self.ui_url:
            return None
        # The UI finds the latest run by itself, and moves on to it.
        tail = f"/{run_id}/history" if run_id else ""
        return f"{self.ui_url.rstrip('/')}/namespaces/{self.namespace}/workflows/{quote(workflow_id, safe='')}{tail}"


@contextlib.asynccontextmanager
async def reading() -> AsyncIterator[Connection]:
    """For commands that read documents: the database alone is enough; if none runs, the stack is started."""
    from cli.stack.stack import Stack
    from providers.settings import load_settings

    settings = load_settings()
    stack = Stack(settings)
    endpoints = await asyncio.to_thread(stack.endpoints)
    if endpoints is None and (url := await asyncio.to_thread(_database_of, stack)) is not None:
        connection = _connection(settings, stack, url, None, settings.temporal_ui_url)
    else:
        fresh = endpoints is None
        endpoints = endpoints or await ensure(stack, wait_for_worker=False)
        connection = _of(settings, stack, endpoints)
        if fresh:
            # The worker may not have got to it yet, and a database without types refuses every question.
            await connection.store.bootstrap()
    try:
        yield connection
    finally:
        await connection.store.close()


@contextlib.asynccontextmanager
async def working(*, wait_for_worker: bool = True) -> AsyncIterator[Connection]:
    """For commands that talk to jobs: everything runs, started if need be."""
    from cli.stack.stack import Stack
    from providers.settings import load_settings

    settings = load_settings()
    stack = Stack(settings)
    endpoints = await ensure(stack, wait_for_worker=wait_for_worker)
    connection = _of(settings, stack, endpoints)
    try:
        yield connection
    finally:
        await connection.store.close()


async def ensure(stack: Stack, *, wait_for_worker: bool = True) -> Endpoints:
    """Start what does not run, with progress on stderr. Ctrl-C ends the wait at once; the servers start all the same."""
    from cli.stack.progress import StderrProgress

    # ensure() watches and builds in this thread, so that Ctrl-C reaches what it started.
    return stack.ensure(StderrProgress(), wait_for_worker=wait_for_worker)


async def connect_temporal(settings: Settings, address: str) -> Client:
    """Raises ServerUnavailable."""
    from temporalio.client import Client
    from temporalio.contrib.pydantic import pydantic_data_converter

    options = settings.temporal_connect(address)
    try:
        return await Client.connect(
            **options, data_converter=pydantic_data_converter, runtime=_quiet_runtime(), plugins=_plugins()
        )
    except (RuntimeError, OSError) as error:
        raise ServerUnavailable(
            f"Temporal does not answer at {address}: {str(error)[:200]}.", "See `shelf doctor`."
        ) from None


@functools.cache
def running_telemetry() -> Telemetry | None:
    """Of this process; started when Temporal is first talked to, so that the trace of a job begins at the command."""
    if not telemetry.wanted():
        return None
    import logging

    from workflows import tracing

    # A receiver that is away is the worker's log's to tell, not the display's.
    logging.getLogger("opentelemetry").setLevel(logging.CRITICAL)
    return tracing.start("shelf", but="console")


def _plugins() -> list[Any]:
    running = running_telemetry()
    if running is None:
        return []
    from workflows import tracing

    return tracing.client_plugins(running)


@functools.cache
def _quiet_runtime() -> Runtime:
    """Without the library's own warnings: each try to reach a server that is away would be a line through the display."""
    from temporalio.runtime import LoggingConfig, Runtime, TelemetryConfig

    return Runtime(telemetry=TelemetryConfig(logging=LoggingConfig(filter="error")))


def _of(settings: Settings, stack: Stack, endpoints: Endpoints) -> Connection:
    return _connection(settings, stack, endpoints.defradb_url, endpoints.temporal_address, endpoints.temporal_ui_url)


def _connection(settings: Settings, stack: Stack, defradb: str, temporal: str | None, ui: str | None) -> Connection:
    from schemas.defradb import DefraStore

    namespace = settings.temporal_namespace if settings.temporal_is_external else "default"
    return Connection(settings, stack, DefraStore(defradb), temporal, namespace, ui)


def _database_of(stack: Stack) -> str | None:
    """The database, where it answers although other parts do not."""
    for part in stack.status():
        if part.name == "defradb" and part.state in ("running", "external"):
            return part.address if "://" in part.address else f"http://{part.address}"
    return None


# What jobs end with ---------------------------------------------------------------------------------------------------


class Notice(ShelfError):
    """An end that is no error, although the book is not complete: paused, cancelled, detached."""


class JobFailed(ShelfError):
    """A job ended without a result. `code` is the type of the error as Temporal has it."""

    def __init__(self, code: str, message: str, next_step: str = "") -> None:
        super().__init__(message, next_step)
        self.code = code
        self.exit_code = exit_code_of(code)


class JobCancelled(Notice):
    """The job was cancelled; what it had saved stays."""

    exit_code = 75


NEXT_STEPS = {
    "PlanStalled": "This is a bug in the plan of the job: report it with the link below.",
    "LeaseLost": "See `shelf status` for the job that has the book now.",
    "Terminated": "What it had saved stays; start it again to go on from there.",
    "TimedOut": "What it had saved stays; start it again to go on from there.",
    "RevReused": "This is a bug: report it with the link below.",
}


def exit_code_of(code: str) -> int:
    """Of an error of ours by its class name (Temporal's `type`); 1 for any other."""
    found = _subclasses(ShelfError).get(code)
    return found.exit_code if found is not None else 1


def _subclasses(root: type[ShelfError]) -> dict[str, type[ShelfError]]:
    found: dict[str, type[ShelfError]] = {}
    for kind in root.__subclasses__():
        found[kind.__name__] = kind
        found.update(_subclasses(kind))
    return found


def job_error(error: BaseException) -> ShelfError:
    """How a job ended that has no result, as an error with a sentence, a next step and an exit code."""
    from temporalio.client import WorkflowFailureError
    from temporalio.exceptions import CancelledError, TerminatedError, TimeoutError

    from workflows.failures import describe_failure

    cause: BaseException = error.cause if isinstance(error, WorkflowFailureError) else error
    if isinstance(cause, CancelledError):
        return JobCancelled("The job was cancelled.", "What it had saved stays; start it again to go on from there.")
    if isinstance(cause, TerminatedError):
        return JobFailed("Terminated", "The job was terminated.", NEXT_STEPS["Terminated"])
    if isinstance(cause, TimeoutError):
        return JobFailed("TimedOut", "The job ran into its time limit.", NEXT_STEPS["TimedOut"])
    failure = describe_failure(cause)
    return JobFailed(failure.code, failure.message, NEXT_STEPS.get(failure.code, ""))


def rpc_error(error: Exception) -> ShelfError:
    """Temporal's answer to a call, as an error with an exit code."""
    return ServerUnavailable(f"Temporal refused or did not answer: {str(error)[:200]}.", "See `shelf doctor`.")
