"""Follow a job to its end: show its progress, bring the embedded servers back if they die, let go at Ctrl-C.

The job does not depend on any of this: it lives in Temporal, and whoever watches may come and go.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from temporalio.client import Client, WorkflowHandle, WorkflowQueryFailedError, WorkflowQueryRejectedError
from temporalio.service import RPCError, RPCStatusCode

from activities.contracts import JobResult, Progress
from cli.connect import Connection, Notice, connect_temporal, rpc_error
from cli.display import Display, make_display
from cli.jobs import QUERY_TIMEOUT, look, result_of
from cli.output import INTERRUPTED, note, sentence
from cli.pauses import next_step
from schemas.errors import ServerUnavailable, ShelfError

if TYPE_CHECKING:
    from collections.abc import Iterator

SILENT_SECONDS = 1.5
"""A question that is not answered within it may have nobody to answer it."""
QUIET_SECONDS = 5.0
"""Without any change for so long, it is worth a look whether all servers live: without its database, the job waits."""
QUERY_SECONDS = 0.5
"""Pause per query sent: a job of one range is asked about every second, one of four every two and a half. A query costs
the worker and the server together about 10 core-ms, which the reading of pages should have."""
REVIVALS = 3
"""A server that dies each time it is started will not live by trying."""
SECOND_INTERRUPT_SECONDS = 3.0
PAUSED = 4

T = TypeVar("T")


class Detached(Notice):
    """The user let go of the job; it goes on."""

    exit_code = INTERRUPTED


class Paused(Notice):
    """The job waits to be resumed."""

    exit_code = PAUSED


@dataclass(slots=True)
class Watch:
    """One job that is watched."""

    shelf: Connection
    client: Client
    workflow_id: str
    run_id: str | None
    book: str
    """Key of the book, for what the user is told to type."""
    reviving: asyncio.Lock = field(default_factory=asyncio.Lock)
    """Shared by those who watch several jobs on the same servers."""
    told: set[str] = field(default_factory=set, init=False)
    """What the job noted and the user has been told."""
    _answered_at: float = field(default_factory=time.monotonic, init=False)
    _changed_at: float = field(default_factory=time.monotonic, init=False)
    _ranges: tuple[str, ...] = field(default=(), init=False)

    @property
    def handle(self) -> WorkflowHandle[Any, JobResult]:
        return self.client.get_workflow_handle(self.workflow_id, run_id=self.run_id, result_type=JobResult)

    async def to_the_end(self) -> JobResult:
        """Raises ShelfError: how the job ended without a result, Paused, or Detached."""
        try:
            return await self._follow()
        except Detached:
            if not await self._cancel_asked():
                raise
        note("Cancelling: pages under way are finished and saved.")
        await self.cancel()
        return await self._follow()

    async def cancel(self) -> None:
        """Raises ServerUnavailable."""
        try:
            await self.handle.cancel()
        except RPCError as error:
            if error.status != RPCStatusCode.NOT_FOUND:  # it ended in this moment
                raise rpc_error(error) from None

    async def _follow(self) -> JobResult:
        end: asyncio.Future[JobResult] = asyncio.get_running_loop().create_future()
        with interrupts(end):
            return await self.follow(make_display(self.book), end)

    async def follow(self, display: Display, end: asyncio.Future[JobResult] | None = None) -> JobResult:
        """Until the job ends, or somebody else settles `end`. Raises as `to_the_end`, but for Detached."""
        end = end or asyncio.get_running_loop().create_future()
        parts = (self._await_result(end), self._poll(end, display), self._guard(end, display))
        tasks = [asyncio.ensure_future(part) for part in parts]
        try:
            return await end
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            display.close()

    async def _await_result(self, end: asyncio.Future[JobResult]) -> None:
        while True:
            try:
                result = await result_of(self.handle)
            except ShelfError as error:
                _settle(end, error)
                return
            except RPCError as error:
                if error.status == RPCStatusCode.NOT_FOUND:
                    _settle(end, rpc_error(error))
                    return
                await asyncio.sleep(1.0)  # the server is away; `_poll` brings it back
            else:
                _settle(end, result)
                return

    async def _poll(self, end: asyncio.Future[JobResult], display: Display) -> None:
        """Ask how far the job is, and show it. Nobody there to answer is `_guard`'s business."""
        seen: Progress | None = None
        while True:
            with contextlib.suppress(RPCError, WorkflowQueryFailedError, WorkflowQueryRejectedError, TimeoutError):
                # The client tries a dead server for much longer than a call may take. (`wait_for` of Python 3.11 forgets a
                # cancellation that comes together with the answer.)
                async with asyncio.timeout(QUERY_TIMEOUT.total_seconds()):
                    progress = await look(self.client, self.handle)
                self._answered_at = time.monotonic()
                display.update(progress)
                for said in progress.notes:
                    if said not in self.told:
                        self.told.add(said)
                        display.note(said)
                if progress.state == "paused":
                    _settle(end, paused(self.book, progress.reason))
                    return
                if progress != seen:
                    seen, self._changed_at = progress, self._answered_at
                    self._ranges = progress.open_ranges
            queries = 1 + (len(seen.open_ranges) if seen is not None else 0)
            await asyncio.sleep(max(display.poll_seconds, QUERY_SECONDS * queries))

    async def _guard(self, end: asyncio.Future[JobResult], display: Display) -> None:
        """Start again what died of the embedded stack. Gives up if it dies every time."""
        failures = 0
        checked_at = 0.0
        while True:
            await asyncio.sleep(1.0)
            now = time.monotonic()
            silent = now - self._answered_at > display.poll_seconds + SILENT_SECONDS
            quiet = now - max(self._changed_at, checked_at) > QUIET_SECONDS
            if not silent and not quiet:
                continue
            try:
                async with self.reviving:
                    revived = await self._revive(display, patiently=failures > 0)
            except ShelfError as error:
                display.note(f"{sentence(error.message)} Trying again.")
                revived = True
            checked_at = time.monotonic()
            if not revived and quiet:
                await self._tell_what_it_waits_for(display)
            if self._changed_at > checked_at - 2 * QUIET_SECONDS:
                failures = 0
            failures += revived
            if failures > REVIVALS:
                _settle(end, ServerUnavailable("The servers end as soon as they are started.", "See `shelf doctor`."))

    async def _revive(self, display: Display, *, patiently: bool) -> bool:
        """Start again whatever of the embedded stack does not run; False if all of it does.

        `patiently` waits until the worker serves, and so learns why it does not. Raises ServerUnavailable, DiskFull."""
        stack = self.shelf.stack
        if await asyncio.to_thread(stack.endpoints) is not None:
            return False
        away = [
            part.name for part in await asyncio.to_thread(stack.status) if part.state not in ("running", "external")
        ]
        if away:
            display.note(f"No answer from {_listed(away)}: starting again. The job goes on by itself.")
        endpoints = await asyncio.to_thread(stack.ensure, wait_for_worker=patiently)
        if endpoints.temporal_address != self.shelf.temporal_address:
            self.shelf.temporal_address, self.shelf.ui_url = endpoints.temporal_address, endpoints.temporal_ui_url
            self.client = await connect_temporal(self.shelf.settings, endpoints.temporal_address)
        return True

    async def _tell_what_it_waits_for(self, display: Display) -> None:
        """Once for each: a provider that somebody paused, one that cools down, a queue that nobody serves."""
        from cli.limits import waits_for

        with contextlib.suppress(ShelfError, RPCError, TimeoutError):
            async with asyncio.timeout(QUERY_TIMEOUT.total_seconds()):
                found = await waits_for(self.shelf, self.client, [self.workflow_id, *self._ranges])
            for said in found:
                if said not in self.told:
                    self.told.add(said)
                    display.note(f"Waiting for {said}")

    async def _cancel_asked(self) -> bool:
        """Whether a second Ctrl-C follows the first."""
        note("Detached; the job goes on.")
        note(f"  watch it:  shelf watch {self.book}")
        note(f"  cancel it: shelf cancel {self.book}")
        if not (sys.stdin.isatty() and sys.stderr.isatty()):
            return False
        note("Press Ctrl-C again within 3 seconds to cancel it now.")
        again: asyncio.Future[JobResult] = asyncio.get_running_loop().create_future()
        with interrupts(again):
            try:
                async with asyncio.timeout(SECOND_INTERRUPT_SECONDS):
                    await again
            except Detached:
                return True
            except TimeoutError:
                pass
        return False


def paused(book: str, reason: str) -> Paused:
    """The job's own reason, and how to go on."""
    return Paused(f"The job is paused: {sentence(reason)}", next_step(book, reason))


def _settle(end: asyncio.Future[T], value: T | ShelfError) -> None:
    """The first end counts."""
    if end.done():
        return
    if isinstance(value, ShelfError):
        end.set_exception(value)
    else:
        end.set_result(value)


@contextlib.contextmanager
def interrupts(end: asyncio.Future[Any]) -> Iterator[None]:
    """Ctrl-C settles the future instead of ending the process."""
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGINT, lambda: _settle(end, Detached("")))
    try:
        yield
    finally:
        loop.remove_signal_handler(signal.SIGINT)


def _listed(names: list[str]) -> str:
    return " and ".join(names) if len(names) < 3 else f"{', '.join(names[:-1])} and {names[-1]}"
