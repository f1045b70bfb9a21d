"""The driver: collects units, dispatches them within a window, applies results, follows up, until all is settled.

It knows scopes and flags; no operation and no job. `Planner` is the pure half (a property test drives it without
Temporal), `Driver` the half that awaits.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from activities.contracts import Failure, Outcome, SaveResult, UnitResult, WorkResult, WorkUnit
from activities.operation import Operation
from activities.state import JobState

REPLANS = 3
"""How often the work of one item is planned again because its artifact vanished before it was saved."""


class PlanStalled(Exception):
    """Nothing is under way or plannable, and something is incomplete: a bug in a plan, named so that it can be found."""


@dataclass(slots=True)
class Carried:
    """What a unit came to: the answers of its two activities, or the failure of the first."""

    unit: WorkUnit
    work: WorkResult | None = None
    save: SaveResult | None = None
    failure: Failure | None = None
    """The work activity died (time-out, crash) or failed for good; its pages are planned again one by one."""
    stop: str = ""
    """The job must stop (lease lost, cancelled); nothing can be said about the unit."""


class Planner:
    """Which units come next, and what a result changes. Pure and deterministic."""

    def __init__(self, state: JobState, operations: Sequence[Operation]) -> None:
        self.state = state
        self.operations = {operation.name: operation for operation in operations}
        self.queue: deque[WorkUnit] = deque()
        self.replans: dict[tuple[str, int], int] = {}
        state.own = state.own or tuple(self.operations)

    def collect(self) -> None:
        """Ask every operation for units; mark as blocked what can never become ready."""
        self._block()
        for operation in self.operations.values():
            self._add(operation.create_work_units(self.state))

    def next_unit(self) -> WorkUnit | None:
        return self.queue.popleft() if self.queue else None

    def apply(self, carried: Carried) -> None:
        """Take over the result of a unit."""
        unit = carried.unit
        operation = self.operations[unit.operation]
        planned = self.state.of(unit.operation).planned
        planned.difference_update(unit.items)
        done: dict[int, Outcome] = {}
        failed: dict[int, Failure] = {}
        again: list[int] = []
        if carried.failure is not None:
            if unit.single:
                failed = dict.fromkeys(unit.items, carried.failure)
            else:
                again = list(unit.items)
        elif carried.work is not None and carried.save is not None:
            for outcome in carried.work.outcomes:
                item = outcome.item
                if item in carried.save.refused:
                    failed[item] = carried.save.refused[item]
                elif item in carried.save.missing:
                    self._replan(unit, item, again, failed)
                elif outcome.status == "ok":
                    done[item] = outcome
                elif outcome.status == "permanent" or unit.single:
                    failed[item] = outcome.failure or Failure(code="Unknown", message="no reason was given")
                else:
                    again.append(item)
        if done or failed:
            self._add(operation.handle_result(self.state, UnitResult(unit=unit, done=done, failed=failed)))
        if again:
            # Before the rest: a page that must be repeated is the oldest work there is.
            for item in reversed(again):
                self._mark(unit.alone(item))
                self.queue.appendleft(unit.alone(item))

    def settled(self) -> bool:
        return all(operation.is_complete(self.state) for operation in self.operations.values())

    def incomplete(self) -> str:
        """Operations and items that are not settled, for the error."""
        rest = []
        for operation in self.operations.values():
            own = self.state.of(operation.name)
            items = [item for item in operation.items(self.state) if not own.settled(item)]
            if items:
                rest.append(f"{operation.name} ({len(items)} of {len(operation.items(self.state))}, first: {items[0]})")
        return ", ".join(rest)

    def _replan(self, unit: WorkUnit, item: int, again: list[int], failed: dict[int, Failure]) -> None:
        count = self.replans.get((unit.operation, item), 0) + 1
        self.replans[unit.operation, item] = count
        if count <= REPLANS:
            again.append(item)
        else:
            failed[item] = Failure(
                code="ArtifactMissing", message=f"what was read vanished {count} times before it was saved"
            )

    def _block(self) -> None:
        """To a fixed point: a blocked item blocks what requires its flag."""
        changed = True
        while changed:
            changed = False
            for operation in self.operations.values():
                own = self.state.of(operation.name)
                for item in operation.items(self.state):
                    if own.settled(item) or item in own.planned:
                        continue
                    flag = operation.blockers(self.state, item)
                    if flag:
                        own.blocked[item] = Failure(code="Blocked", message=f"needs {flag}, which is not complete")
                        changed = True

    def _add(self, units: Sequence[WorkUnit]) -> None:
        for unit in units:
            self._mark(unit)
            self.queue.append(unit)

    def _mark(self, unit: WorkUnit) -> None:
        self.state.of(unit.operation).planned.update(unit.items)


@dataclass(slots=True)
class Driver:
    """Runs operations over a state. `carry` takes a unit through work and save and never raises for a failed unit."""

    state: JobState
    operations: Sequence[Operation]
    carry: Callable[[WorkUnit], Awaitable[Carried]]
    wait: Callable[[list[asyncio.Task[Carried]]], Awaitable[object]]
    """Waits until one of the tasks is done (`workflow.wait` on a list: a set's order is not deterministic)."""
    window: int
    changed: Callable[[], None] = lambda: None
    """Called after every result."""
    stopped: str = ""
    cost_usd: float = 0.0
    planner: Planner = field(init=False)
    _wake: asyncio.Event = field(init=False)

    def __post_init__(self) -> None:
        self.planner = Planner(self.state, self.operations)
        self._wake = asyncio.Event()

    def stop(self, reason: str) -> None:
        """Start nothing more; what is under way is finished and saved. The first reason stays."""
        self.stopped = self.stopped or reason

    def poke(self) -> None:
        """The state was changed from outside (a range came back): look again."""
        self._wake.set()

    async def run(self, waiting: Callable[[], bool] = lambda: False) -> None:
        """Until everything is settled or the driver is stopped and drained.

        `waiting`: whether somebody else may still change the state, so that an empty plan is no stall.
        Raises PlanStalled."""
        tasks: list[asyncio.Task[Carried]] = []
        while True:
            if not self.stopped:
                self.planner.collect()
                while len(tasks) < self.window:
                    unit = self.planner.next_unit()
                    if unit is None:
                        break
                    tasks.append(asyncio.ensure_future(self.carry(unit)))
            if not tasks:
                if self.stopped or self.planner.settled():
                    return
                if not self.state.flush:
                    # Nothing under way: whatever an operation holds back for a fuller batch must go now.
                    self.state.flush = True
                    continue
                if not waiting():
                    raise PlanStalled(f"no work is left to plan, but not settled: {self.planner.incomplete()}")
            wake = asyncio.ensure_future(self._woken())
            await self.wait([*tasks, wake])  # type: ignore[list-item]
            wake.cancel()
            self.state.flush = False
            finished = [task for task in tasks if task.done()]
            tasks = [task for task in tasks if not task.done()]
            for task in finished:
                carried = task.result()
                if carried.stop:
                    self.stop(carried.stop)
                    continue
                if carried.save is not None:
                    self.cost_usd += carried.save.cost_usd
                self.planner.apply(carried)
            if finished:
                self.changed()

    async def _woken(self) -> None:
        await self._wake.wait()
        self._wake.clear()
