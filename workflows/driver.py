"""The driver: collects units, dispatches them within a window, applies results, follows up, until all is settled.

It knows scopes and flags; no operation and no job. `Planner` is the pure half (a property test drives it without
Temporal), `Driver` the half that awaits.
"""

from __future__ import annotations

import asyncio
from collections import Counter, deque
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
        self.sent: Counter[str] = Counter()
        """provider -> units under way."""
        self.failing: dict[str, int] = {}
        """provider -> items that it failed at one after the other."""
        self.given_up: set[str] = set()
        """Providers whose fallback does the rest."""
        self.notes: list[str] = []
        self.stopped = ""
        """Why nothing more should be started: a provider fails at everything."""
        state.own = state.own or tuple(self.operations)

    def collect(self) -> None:
        """Ask every operation for units; mark as blocked what can never become ready."""
        self._block()
        for operation in self.operations.values():
            self._add(operation.create_work_units(self.state))

    def next_unit(self) -> WorkUnit | None:
        """The oldest unit that may go. Of a remote provider only as many are sent as it serves at once: what waits in its
        queue can no longer be held back when it refuses."""
        for at, unit in enumerate(self.queue):
            policy = self.state.config.providers.get(unit.provider)
            if policy is not None and policy.remote and self.sent[unit.provider] >= policy.in_flight:
                continue
            del self.queue[at]
            fallback = self._fallback(unit) if unit.provider in self.given_up else ""
            if fallback:
                unit = unit.model_copy(update={"provider": fallback, "agent": False})
            self.sent[unit.provider] += 1
            return unit
        return None

    def apply(self, carried: Carried) -> None:
        """Take over the result of a unit."""
        unit = carried.unit
        self.sent[unit.provider] -= 1
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
                elif outcome.status == "again":
                    self._send_again(unit, item, carried.save.cost_usd)
                elif outcome.status == "permanent" or unit.single:
                    failed[item] = outcome.failure or Failure(code="Unknown", message="no reason was given")
                else:
                    again.append(item)
        instead = self._instead(unit, done, failed)
        if done or failed:
            self._add(operation.handle_result(self.state, UnitResult(unit=unit, done=done, failed=failed)))
        for each in instead:
            self._mark(each)
            self.queue.appendleft(each)
        if again:
            # Before the rest: a page that must be repeated is the oldest work there is.
            for item in reversed(again):
                self._mark(unit.alone(item))
                self.queue.appendleft(unit.alone(item))

    def _send_again(self, unit: WorkUnit, item: int, cost_usd: float) -> None:
        """The next call of an item, for which money is set aside like for the first."""
        again = unit.alone(item).model_copy(update={"settled_usd": unit.settled_usd + cost_usd})
        self._mark(again)
        self.queue.appendleft(again)

    def _instead(self, unit: WorkUnit, done: dict[int, Outcome], failed: dict[int, Failure]) -> list[WorkUnit]:
        """What the provider's fallback shall do; those items have not failed yet. A remote provider that fails at one item
        after the other is given up, or stops the job: it must not burn through the book."""
        policy = self.state.config.providers.get(unit.provider)
        if policy is None or not policy.remote:
            return []
        self.failing[unit.provider] = len(failed) + (0 if done else self.failing.get(unit.provider, 0))
        often = self.failing[unit.provider] >= policy.failing_in_a_row
        instead: list[WorkUnit] = []
        fallback = self._fallback(unit)
        if fallback:
            # A fallback is another provider's answer, so it is tried alone and anew.
            instead = [unit.alone(item).model_copy(update={"provider": fallback, "agent": False}) for item in failed]
            if often and unit.provider not in self.given_up:
                self.given_up.add(unit.provider)
                self.notes.append(
                    f"{unit.provider} failed {policy.failing_in_a_row} times in a row; {fallback} goes on."
                )
            failed.clear()
        elif often and not self.stopped:
            last = next(iter(failed.values()))
            self.stopped = (
                f"ProviderFailing: {unit.provider} failed {self.failing[unit.provider]} times in a row, at last with "
                f"{last.code}: {last.message}"
            )
        return instead

    def _fallback(self, unit: WorkUnit) -> str:
        return self.state.config.fallbacks.get(f"{unit.operation} {unit.provider}", "")

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
                if carried.save is not None:
                    self.cost_usd += carried.save.cost_usd
                if carried.stop:
                    self.stop(carried.stop)
                    continue
                self.planner.apply(carried)
            if self.planner.stopped:
                self.stop(self.planner.stopped)
            if finished:
                self.changed()

    async def _woken(self) -> None:
        await self._wake.wait()
        self._wake.clear()
