"""What a job would do: its own plans over the state that the database gives, with results made up instead of called for.

Nothing runs and nothing is written. What is planned here is what the job plans, as long as nothing fails: one unit follows
from another as it would there (a blend from its readings, a second opinion from a doubtful first one).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field

from activities.contracts import BOOK_ITEM, JobConfig, LoadInput, Outcome, SaveResult, UnitInput, WorkResult, WorkUnit
from activities.operation import FLAG_SCOPES, Operation, Scope
from activities.registry import key_of
from activities.state import JobState
from schemas.pagespec import format_pages, parse_pages
from workflows.dispatch import unit_input
from workflows.driver import Carried, Planner, PlanStalled
from workflows.job import Job
from workflows.ranges import cut

SURE, DOUBTFUL = 0.0, 1.0
"""Expected error rate of what is not read yet: no page is read again, or as many as may be."""

ReadState = Callable[[LoadInput], Awaitable[JobState]]


@dataclass(frozen=True, slots=True)
class PlannedUnit:
    """A unit that the job would send."""

    unit: WorkUnit
    job: UnitInput
    """What its work activity would be given."""
    answerable: bool
    """Everything that it reads is there today, so that it can be asked whether its answer is, too."""


@dataclass(slots=True)
class Forecast:
    """What a job would do with one operation."""

    operation: Operation
    total: int = 0
    """Items in scope: pages, or the one book."""
    current: int = 0
    """Of these: complete, and made from what there is today."""
    provider: str = ""
    """Who would do the operation; of `ocr` each unit says it."""
    units: list[PlannedUnit] = field(default_factory=list)


async def forecast(job: Job, config: JobConfig, read: ReadState, expected_cer: float = DOUBTFUL) -> dict[str, Forecast]:
    """Operation -> what the job would do, in the order of the job.

    Args:
        read: `activities.job.read_state` with its services.
        expected_cer: of the pages that are not read yet.
    """
    found = {operation.name: Forecast(operation) for operation in job.operations}
    pages = tuple(parse_pages(config.pages))
    state = await read(_load(job, config, config.pages, job.operations, leaves=False))
    there = _complete(state)
    by_page = [operation for operation in job.operations if operation.scope is Scope.PAGE]
    by_book = [operation for operation in job.operations if operation.scope is Scope.BOOK]
    for chunk in cut(pages, config):
        part = await read(_load(job, config, format_pages(chunk), by_page, leaves=True))
        for planned in _run(part, by_page, expected_cer, found, _complete(part)):
            found[planned.unit.operation].units.append(planned)
        for operation in by_page:
            state.of(operation.name).complete.update(part.of(operation.name).complete)
            state.of(operation.name).complete -= set(chunk) - part.of(operation.name).complete
    for planned in _run(state, by_book, expected_cer, found, there):
        found[planned.unit.operation].units.append(planned)
    return found


def _load(job: Job, config: JobConfig, pages: str, operations: Iterable[Operation], *, leaves: bool) -> LoadInput:
    takes = tuple(flag for flag in job.takes if not leaves or FLAG_SCOPES[flag] is Scope.PAGE)
    return LoadInput(config=config, operations=tuple(map(key_of, operations)), takes=takes, pages=pages, leaves=leaves)


def _run(
    state: JobState,
    operations: Sequence[Operation],
    expected_cer: float,
    found: dict[str, Forecast],
    there: dict[str, set[int]],
) -> list[PlannedUnit]:
    """The units of these operations, until all is settled. `there`: what is complete today. Raises PlanStalled."""
    for operation in operations:
        items = operation.items(state)
        share = found[operation.name]
        share.total += len(items)
        share.current += sum(1 for item in items if item in there.get(operation.name, ()))
        share.provider = "" if operation.name == "ocr" else operation.provider(state)
    planner = Planner(state, operations)
    units: list[PlannedUnit] = []
    while True:
        planner.collect()
        unit = planner.next_unit()
        if unit is None:
            if planner.settled():
                return units
            if state.flush:
                raise PlanStalled(f"no work is left to plan, but not settled: {planner.incomplete()}")
            state.flush = True
            continue
        state.flush = False
        operation = planner.operations[unit.operation]
        units.append(PlannedUnit(unit, unit_input(state, operation, unit), _answerable(state, operation, unit, there)))
        outcomes = [Outcome(item=item, status="ok", figures={"expected_cer": expected_cer}) for item in unit.items]
        planner.apply(Carried(unit, work=WorkResult(outcomes=tuple(outcomes)), save=SaveResult()))


def _complete(state: JobState) -> dict[str, set[int]]:
    return {name: set(own.complete) for name, own in state.operations.items()}


def _answerable(state: JobState, operation: Operation, unit: WorkUnit, there: dict[str, set[int]]) -> bool:
    if operation.name in state.config.anew:
        return False
    pages = unit.pages or tuple(parse_pages(unit.scope))
    for flag in operation.requires:
        items = pages if FLAG_SCOPES[flag] is Scope.PAGE else (BOOK_ITEM,)
        if not there.get(flag, set()).issuperset(items):
            return False
    return True
