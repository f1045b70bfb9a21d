"""What holds a provider's queue back, and what a person sets about it: rate, pause, cooling.

The rate of a queue lies in the Temporal server, which all workers ask; the cooling of a provider in the artifact store, which
they share. Nothing here starts or stops a worker.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.enums.v1 import PendingActivityState, RateLimitSource, TaskQueueType
from temporalio.api.taskqueue.v1 import RateLimit, TaskQueue
from temporalio.api.workflowservice.v1 import (
    DescribeTaskQueueRequest,
    PauseActivityRequest,
    UnpauseActivityRequest,
    UpdateTaskQueueConfigRequest,
)
from temporalio.service import RPCError, RPCStatusCode

from cli.connect import Connection, rpc_error
from providers.errors import RateLimited
from providers.queues import ProviderQueue, provider_queues
from schemas.documents import Metric

if TYPE_CHECKING:
    from temporalio.client import Client, WorkflowExecutionDescription

    from providers.artifacts import ArtifactStore
    from schemas.store import Store

ACTIVITY = TaskQueueType.TASK_QUEUE_TYPE_ACTIVITY
RATE_LIMITED = RateLimited.kind

RUNS_LOOKED_AT = 2000
"""A book that is read has five at most: the job and four ranges. What is under way is counted over so many."""
ASKED_AT_ONCE = 16
THROTTLED_WITHIN = timedelta(hours=1)
ABOUT_TO_GO_SECONDS = 1.0
"""A retry that is due so soon needs nobody to wake it."""

BEFORE = " | limit before: "
"""In the reason of a pause: the limit that was set when it began, and that `resume` sets again. The server keeps one value."""
REASON = re.compile(rf"(?P<reason>.*?)(?:{re.escape(BEFORE)}(?P<before>\d+(\.\d+)?(e[-+]\d+)?))?", re.DOTALL)


@dataclass(frozen=True, slots=True)
class QueueState:
    """What the server says of a provider's queue."""

    row: ProviderQueue
    workers: int
    """Processes that asked for its activities in the last minutes."""
    effective: float | None
    """Activities per second that the server lets go, over all workers; None = as many as are asked for."""
    source: str
    """Of `effective`: 'set' at run time, 'worker' (what the workers were started with), 'none'."""
    backlog: int
    """Activities that wait in the queue; the server counts anew every few seconds."""
    backlog_age_seconds: float
    """Of the one that waits longest."""
    reason: str = ""
    """Why the limit was set."""
    by: str = ""
    since: datetime | None = None
    limit_before: float | None = None
    """Of a paused queue: the limit that comes back when it is resumed."""

    @property
    def paused(self) -> bool:
        return self.source == "set" and self.effective == 0

    @property
    def limited(self) -> bool:
        """Whether a limit was set at run time, other than a pause."""
        return self.source == "set" and not self.paused


@dataclass(frozen=True, slots=True)
class Pending:
    """An activity of a running workflow that has not ended."""

    workflow_id: str
    activity_id: str
    queue: str
    book: str
    started: bool
    """Under way in a worker; else it waits, in its queue or until `retry_at`."""
    retry_at: datetime | None = None
    failure: str = ""
    """Type of the error with which its last attempt ended."""

    @property
    def retries(self) -> bool:
        return not self.started and self.retry_at is not None and self.retry_at > datetime.now(UTC)


# The server's queues ----------------------------------------------------------------------------------------------------


async def queue_states(client: Client, rows: Iterable[ProviderQueue]) -> dict[str, QueueState]:
    """Provider -> its queue. Raises ServerUnavailable."""
    rows = list(rows)
    try:
        states = await asyncio.gather(*(_queue_state(client, row) for row in rows))
    except RPCError as error:
        raise rpc_error(error) from None
    return {row.name: state for row, state in zip(rows, states, strict=True)}


async def _queue_state(client: Client, row: ProviderQueue) -> QueueState:
    described: Any = await client.workflow_service.describe_task_queue(
        DescribeTaskQueueRequest(
            namespace=client.namespace,
            task_queue=TaskQueue(name=row.queue),
            task_queue_type=ACTIVITY,
            report_config=True,
            report_stats=True,
        )
    )
    limit, metadata = described.config.queue_rate_limit, described.config.queue_rate_limit.metadata
    effective = described.effective_rate_limit
    is_set = limit.HasField("rate_limit")
    by_worker = effective.rate_limit_source == RateLimitSource.RATE_LIMIT_SOURCE_WORKER
    # The server's own default (a thousand a second) limits nobody.
    source = "set" if is_set else "worker" if by_worker else "none"
    rate = limit.rate_limit.requests_per_second if is_set else effective.requests_per_second
    said = REASON.fullmatch(metadata.reason)
    assert said is not None
    return QueueState(
        row=row,
        workers=len({poller.identity for poller in described.pollers}),
        effective=rate if source != "none" else None,
        source=source,
        backlog=described.stats.approximate_backlog_count,
        backlog_age_seconds=described.stats.approximate_backlog_age.ToTimedelta().total_seconds(),
        reason=said["reason"] if is_set else "",
        by=metadata.update_identity if is_set else "",
        since=metadata.update_time.ToDatetime(tzinfo=UTC) if is_set else None,
        limit_before=float(said["before"]) if is_set and rate == 0 and said["before"] else None,
    )


async def set_rate(client: Client, row: ProviderQueue, rate: float | None, reason: str, by: str) -> None:
    """Activities of the provider per second, over all workers: 0 pauses it, None is the workers' own rate again.

    Raises ServerUnavailable."""
    update = UpdateTaskQueueConfigRequest.RateLimitUpdate(reason=reason)
    if rate is not None:
        update.rate_limit.CopyFrom(RateLimit(requests_per_second=rate))
    try:
        await client.workflow_service.update_task_queue_config(
            UpdateTaskQueueConfigRequest(
                namespace=client.namespace,
                identity=by,
                task_queue=row.queue,
                task_queue_type=ACTIVITY,
                update_queue_rate_limit=update,
            )
        )
    except RPCError as error:
        raise rpc_error(error) from None


async def pause(client: Client, state: QueueState, reason: str, by: str) -> None:
    """Let nothing of the provider start; what is under way ends. A limit that was set comes back with `resume`."""
    before = state.effective if state.limited else state.limit_before
    await set_rate(client, state.row, 0, reason if before is None else f"{reason}{BEFORE}{before:g}", by)


async def resume(client: Client, state: QueueState, by: str) -> None:
    """The opposite of `pause`."""
    await set_rate(client, state.row, state.limit_before, "as before the pause", by)


# What is under way ------------------------------------------------------------------------------------------------------


async def pending_activities(client: Client) -> tuple[list[Pending], bool]:
    """Of all running workflows, and whether these were all: the server knows which activities have begun, on whichever
    worker. Raises ServerUnavailable."""
    from workflows.registry import WORKFLOWS

    kinds = ", ".join(f"'{kind.__name__}'" for kind in WORKFLOWS)
    running = f"WorkflowType IN ({kinds}) AND ExecutionStatus = 'Running'"
    try:
        names = [(run.id, run.run_id) async for run in client.list_workflows(running, limit=RUNS_LOOKED_AT)]
    except RPCError as error:
        raise rpc_error(error) from None
    return await pending_of(client, names), len(names) < RUNS_LOOKED_AT


async def pending_of(client: Client, runs: Sequence[tuple[str, str | None]]) -> list[Pending]:
    """Pending activities of these workflows (id, run id); of one that ended meanwhile none. Raises ServerUnavailable."""
    at_once = asyncio.Semaphore(ASKED_AT_ONCE)

    async def look(workflow_id: str, run_id: str | None) -> list[Pending]:
        async with at_once:
            try:
                description = await client.get_workflow_handle(workflow_id, run_id=run_id).describe()
            except RPCError as error:
                if error.status == RPCStatusCode.NOT_FOUND:
                    return []
                raise rpc_error(error) from None
        return _pending(description)

    return [each for found in await asyncio.gather(*(look(*run) for run in runs)) for each in found]


def _pending(description: WorkflowExecutionDescription) -> list[Pending]:
    found = []
    for each in description.raw_description.pending_activities:
        retry_at = each.next_attempt_schedule_time
        found.append(
            Pending(
                workflow_id=description.id,
                activity_id=each.activity_id,
                queue=each.activity_options.task_queue.name,
                book=each.priority.fairness_key,
                started=each.state != PendingActivityState.PENDING_ACTIVITY_STATE_SCHEDULED,
                retry_at=retry_at.ToDatetime(tzinfo=UTC) if each.HasField("next_attempt_schedule_time") else None,
                failure=each.last_failure.application_failure_info.type if each.HasField("last_failure") else "",
            )
        )
    return found


async def wake(client: Client, row: ProviderQueue, by: str) -> int:
    """Let the activities go that wait because the provider was cooling; returns how many.

    Each keeps its number of attempts: the calls of an attempt are noted under it. Raises ServerUnavailable."""
    soon = datetime.now(UTC) + timedelta(seconds=ABOUT_TO_GO_SECONDS)
    waiting = [
        each
        for each in (await pending_activities(client))[0]
        if each.queue == row.queue
        and each.failure == RATE_LIMITED
        and each.retries
        and each.retry_at is not None
        and each.retry_at > soon
    ]
    service = client.workflow_service
    woken = 0
    for each in waiting:
        which: dict[str, Any] = {
            "namespace": client.namespace,
            "execution": WorkflowExecution(workflow_id=each.workflow_id),
            "id": each.activity_id,
            "identity": by,
        }
        try:
            # An activity that waits for its retry is scheduled at once when it is unpaused.
            await service.pause_activity(PauseActivityRequest(**which, reason="woken"), retry=True)
            await service.unpause_activity(UnpauseActivityRequest(**which), retry=True)
        except RPCError as error:
            if error.status != RPCStatusCode.NOT_FOUND:  # it ended in this moment
                raise rpc_error(error) from None
        else:
            woken += 1
    return woken


# Cooling and throttles --------------------------------------------------------------------------------------------------


def cooling_of(artifacts: ArtifactStore, names: Iterable[str]) -> dict[str, tuple[datetime, str]]:
    """Provider -> until when it must not be called, and why; of those that cool down now."""
    found = {}
    for name in names:
        until, reason = artifacts.cooling(name)
        if until > time.time():
            found[name] = datetime.fromtimestamp(until, UTC), reason
    return found


async def throttles(client: Client, store: Store, names: Sequence[str]) -> dict[str, int]:
    """Provider -> calls of the last hour that it answered with "too many".

    From the Metrics of the books that a job has worked on in this hour. A call is in a Metric when its page is saved, so the
    last ones are still missing. Raises ServerUnavailable, StoreUnavailable."""
    if not names:
        return {}
    since = datetime.now(UTC) - THROTTLED_WITHIN
    recent = f"(ExecutionStatus = 'Running' OR CloseTime > '{_rfc3339(since)}') AND ShelfBook IS NOT NULL"
    try:
        books = {
            str(book)
            async for run in client.list_workflows(recent, limit=RUNS_LOOKED_AT)
            for book in run.search_attributes.get("ShelfBook", [])
        }
    except RPCError as error:
        raise rpc_error(error) from None
    if not books:
        return {}
    where: Mapping[str, Any] = {"book_key": sorted(books), "kind": "attempt", "provider": list(names)}
    found = await store.find(Metric, where, ("provider", "at", "error"))
    return count_throttles(found, since)


def count_throttles(metrics: Iterable[Metric], since: datetime) -> dict[str, int]:
    """Provider -> attempts that began after `since` and ended as RateLimited."""
    return Counter(
        metric.provider
        for metric in metrics
        if metric.provider
        and (metric.error or "").startswith(RATE_LIMITED)
        and metric.at
        and datetime.fromisoformat(metric.at) > since
    )


def _rfc3339(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


# In words ---------------------------------------------------------------------------------------------------------------


def describe(state: QueueState) -> str:
    """What a person set: `paused by ann since 14:02: quota`; '' where nothing was."""
    if state.source != "set" or state.effective is None:
        return ""
    what = "paused" if state.paused else f"limited to {rate(state.effective)}"
    if state.row.requests_per_second is not None and state.effective > state.row.requests_per_second:
        # Set past `shelf queue limit`, which refuses it.
        what += f" (each worker keeps to {rate(state.row.requests_per_second)} all the same)"
    since = f" since {state.since.isoformat(timespec='seconds')}" if state.since else ""
    return f"{what}{f' by {state.by}' if state.by else ''}{since}{f': {state.reason}' if state.reason else ''}"


def undo(state: QueueState) -> str:
    """How to take back what `describe` tells."""
    name = state.row.name
    return f"shelf queue resume {name}" if state.paused else f"shelf queue limit {name} default"


def rate(per_second: float | None) -> str | None:
    """`6/s`."""
    return None if per_second is None else f"{per_second:g}/s"


async def holds(
    client: Client, artifacts: ArtifactStore, rows: Iterable[ProviderQueue], pending: Sequence[Pending]
) -> list[str]:
    """For what these activities wait that a person can do something about, a sentence each. Raises ServerUnavailable."""
    waiting = {each.queue for each in pending if not each.started}
    wanted = [row for row in rows if row.queue in waiting]
    states = await queue_states(client, wanted)
    cooling = await asyncio.to_thread(cooling_of, artifacts, states)
    found = []
    for name, state in states.items():
        if state.paused:
            found.append(f"{name}, {describe(state)} (go on: `{undo(state)}`)")
        elif name in cooling:
            until, reason = cooling[name]
            found.append(f"{name}, which is not called until {until.isoformat(timespec='seconds')}: {reason}")
        elif not state.workers:
            found.append(f"a worker: none serves {state.row.queue} (see `shelf doctor`)")
    return found


async def waits_for(shelf: Connection, client: Client, workflow_ids: Sequence[str]) -> list[str]:
    """What keeps the activities of a job and its ranges from going on, where a person should know. Raises ServerUnavailable."""
    pending = await pending_of(client, [(name, None) for name in workflow_ids])
    if all(each.started for each in pending):
        return []
    return await holds(client, shelf.artifacts, provider_queues(shelf.settings.providers).values(), pending)
