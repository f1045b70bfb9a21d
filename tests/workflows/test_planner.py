"""Plans alone: random outcomes over random compositions always end (design §2)."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from activities.contracts import (
    Failure,
    JobConfig,
    Outcome,
    ProviderPolicy,
    SaveResult,
    WorkResult,
    WorkUnit,
)
from activities.operation import Operation, Scope
from activities.registry import OPERATIONS
from activities.state import JobState
from workflows.driver import Carried, Planner

PROVIDERS = ("pdf", "text-layer", "tesseract", "rapidocr", "vote", "rules", "structure")


def config(pages: int, batch: int = 4, **changes: object) -> JobConfig:
    return JobConfig.model_validate(
        {
            "job": "Test",
            "book_id": "book-1",
            "epoch": 1,
            "run_id": "run",
            "manifest": "m",
            "page_count": pages,
            "pages": f"1-{pages}",
            "providers": {
                name: ProviderPolicy(
                    name=name, queue=name, batch_pages=batch, page_timeout_seconds=1, max_attempts=3
                ).model_dump()
                for name in PROVIDERS
            },
            "book_providers": {
                "extract": "pdf",
                "blend": "vote",
                **dict.fromkeys(("label_read", "label", "metadata", "toc_find", "toc_extract"), "rules"),
                **dict.fromkeys(("toc_link", "structure", "paragraph"), "structure"),
            },
            **changes,
        }
    )


def state_of(job: JobConfig, operations: list[Operation]) -> JobState:
    pages = tuple(range(1, job.page_count + 1))
    return JobState(
        config=job,
        pages=pages,
        leaves={page: f"0000-{page:04d}" for page in pages},
        own=tuple(operation.name for operation in operations),
    )


def outcome_of(unit: WorkUnit, item: int, chance: random.Random, fault: float) -> Outcome:
    if chance.random() < fault:
        status = chance.choice(["permanent", "transient"])
        return Outcome(item=item, status=status, failure=Failure(code="ServerError", message="scripted"))
    figures = {"expected_cer": chance.uniform(0, 0.2), "text_layer": chance.choice(["good", "poor"])}
    return Outcome(item=item, status="ok", artifact="a" * 64, figures=figures)


def run(planner: Planner, chance: random.Random, fault: float, window: int = 6) -> list[WorkUnit]:
    """Drive without Temporal: up to `window` units under way, finished in random order."""
    under_way: list[WorkUnit] = []
    sent: list[WorkUnit] = []
    for _ in range(20_000):
        planner.collect()
        while len(under_way) < window and (unit := planner.next_unit()) is not None:
            under_way.append(unit)
            sent.append(unit)
        if not under_way:
            if planner.settled():
                return sent
            assert not planner.state.flush, f"stalled: {planner.incomplete()}"
            planner.state.flush = True
            continue
        planner.state.flush = False
        unit = under_way.pop(chance.randrange(len(under_way)))
        if chance.random() < fault / 3:
            planner.apply(Carried(unit, failure=Failure(code="TimedOut", message="scripted")))
            continue
        work = WorkResult(outcomes=tuple(outcome_of(unit, item, chance, fault) for item in unit.items))
        missing = tuple(item for item in unit.items if chance.random() < fault / 3)
        planner.apply(Carried(unit, work=work, save=SaveResult(missing=missing)))
    raise AssertionError(f"does not end: {planner.incomplete()}")


@settings(max_examples=150, deadline=None)
@given(
    pages=st.integers(1, 60),
    batch=st.integers(1, 9),
    fault=st.sampled_from([0.0, 0.05, 0.4, 1.0]),
    seed=st.integers(0, 2**32),
    names=st.sets(st.sampled_from(sorted(OPERATIONS)), min_size=1),
)
def test_random_outcomes_over_random_compositions_always_end(
    pages: int, batch: int, fault: float, seed: int, names: set[str]
) -> None:
    operations = [operation for name, operation in OPERATIONS.items() if name in names]
    state = state_of(config(pages, batch), operations)
    chance = random.Random(seed)
    # What the composition does not set is as the database has it: here and there.
    for name in set(OPERATIONS) - names:
        items = state.pages if OPERATIONS[name].scope is Scope.PAGE else (0,)
        state.of(name).complete = {item for item in items if chance.random() < 0.7}
    sent = run(Planner(state, operations), chance, fault)
    for operation in operations:
        own = state.of(operation.name)
        for item in operation.items(state):
            homes = (item in own.complete) + (item in own.failed) + (item in own.blocked)
            assert homes == 1, f"{operation.name} {item} is in {homes} places"
        assert not own.planned
    if fault == 0.0:
        first = [(unit.operation, item, unit.variant) for unit in sent for item in unit.items]
        assert len(first) == len(set(first)), "something was asked for twice"


def test_without_faults_everything_completes_and_second_opinions_keep_to_their_share() -> None:
    operations = list(OPERATIONS.values())
    state = state_of(config(100), operations)
    sent = run(Planner(state, operations), random.Random(7), 0.0)
    assert all(operation.is_complete(state) for operation in operations)
    second = [page for unit in sent if unit.variant == "second" for page in unit.pages]
    assert 0 < len(second) <= 5


def second_opinions(pages: int, range_of: tuple[int, ...], expected: dict[int, float]) -> list[int]:
    """Pages of a range that get a second opinion, given what is expected of their first readings."""
    operations = [OPERATIONS["ocr"], OPERATIONS["blend"]]
    state = JobState(
        config=config(pages, second_opinion_share=0.1),
        pages=range_of,
        leaves={page: f"0000-{page:04d}" for page in range_of},
        own=("ocr", "blend"),
    )
    state.of("extract").complete = set(range_of)
    planner = Planner(state, operations)
    chosen: list[int] = []
    while not planner.settled():
        planner.collect()
        unit = planner.next_unit()
        if unit is None:
            state.flush = True
            continue
        if unit.variant == "second":
            chosen += unit.pages
        outcomes = tuple(
            Outcome(item=item, status="ok", artifact="a" * 64, figures={"expected_cer": expected.get(item, 0.002)})
            for item in unit.items
        )
        planner.apply(Carried(unit, work=WorkResult(outcomes=outcomes), save=SaveResult()))
    return sorted(chosen)


def test_the_pages_with_the_most_expected_errors_get_the_second_opinions_of_their_range() -> None:
    front, body = tuple(range(1, 31)), tuple(range(31, 81))
    many = {page: 0.02 + page / 1000 for page in range(1, 101)}
    # Of ten second opinions for 100 pages the front has nine, and the next fifty pages keep to what is left.
    assert second_opinions(100, front, many) == [22, 23, 24, 25, 26, 27, 28, 29, 30]
    assert second_opinions(100, body, many) == [80]
    assert second_opinions(100, body, {60: 0.3}) == [60]
    assert second_opinions(100, body, {60: 0.019}) == [], "few errors are expected: one reading is enough"


def test_units_of_a_blend_name_the_range_whose_words_they_know() -> None:
    operations = [OPERATIONS[name] for name in ("extract", "ocr", "blend")]
    state = state_of(config(20), operations)
    sent = run(Planner(state, operations), random.Random(3), 0.0)
    assert {unit.scope for unit in sent if unit.operation == "blend"} == {"1-20"}


def test_blend_runs_once_for_a_page_that_is_read_twice() -> None:
    operations = list(OPERATIONS.values())
    state = state_of(config(20), operations)
    planner = Planner(state, operations)
    sent = run(planner, random.Random(3), 0.0)
    order = [(unit.operation, unit.variant, page) for unit in sent for page in unit.pages]
    second = [page for name, variant, page in order if variant == "second"]
    assert second
    for page in second:
        assert order.index(("blend", "", page)) > order.index(("ocr", "second", page))
        assert sum(1 for name, _, at in order if name == "blend" and at == page) == 1


def test_a_page_that_fails_blocks_only_what_needs_it() -> None:
    operations = list(OPERATIONS.values())
    state = state_of(config(5), operations)
    planner = Planner(state, operations)
    while not planner.settled():
        planner.collect()
        unit = planner.next_unit()
        if unit is None:
            state.flush = True
            continue
        broken = unit.operation == "ocr" and 3 in unit.pages
        planner.apply(
            Carried(
                unit,
                work=WorkResult(
                    outcomes=tuple(
                        Outcome(item=item, status="permanent", failure=Failure(code="Rejected", message="no"))
                        if broken and item == 3
                        else Outcome(item=item, status="ok", figures={"expected_cer": 0.002, "text_layer": "none"})
                        for item in unit.items
                    )
                ),
                save=SaveResult(),
            )
        )
    assert set(state.of("ocr").failed) == {3}
    assert set(state.of("blend").blocked) == {3}
    assert state.of("blend").complete == {1, 2, 4, 5}
    assert state.of("label").complete == {0}
    assert state.of("toc_extract").complete == {0}


def test_a_batch_that_dies_is_repeated_page_by_page_and_only_a_single_fails() -> None:
    operations = [OPERATIONS["ocr"]]
    state = state_of(config(20), operations)
    state.of("extract").complete = set(state.pages)
    state.of("ocr").complete = {1, 2}
    planner = Planner(state, operations)
    planner.collect()
    batch = planner.next_unit()
    assert batch is not None
    assert batch.pages == (3, 4, 5, 6)
    planner.apply(Carried(batch, failure=Failure(code="TimedOut", message="x")))
    assert not state.of("ocr").failed
    singles = [planner.next_unit() for _ in range(4)]
    assert [unit.pages for unit in singles if unit] == [(3,), (4,), (5,), (6,)]
    assert all(unit.single for unit in singles if unit)
    assert singles[0] is not None
    planner.apply(Carried(singles[0], failure=Failure(code="TimedOut", message="x")))
    assert set(state.of("ocr").failed) == {3}


def quotas(pages: int, share: float) -> list[int]:
    """Of the ranges of a whole book."""
    from activities.ocr.operation import _quota
    from workflows.ranges import cut

    job = config(pages, second_opinion_share=share)
    return [_quota(chunk, job) for chunk in cut(tuple(range(1, pages + 1)), job)]


@pytest.mark.parametrize(("pages", "expected"), [(1, [1]), (20, [1]), (21, [2]), (30, [2]), (0, [])])
def test_quota_of_a_short_book(pages: int, expected: list[int]) -> None:
    assert quotas(pages, 0.05) == expected


@pytest.mark.parametrize(("pages", "expected"), [(50, [2, 1]), (120, [5, 1, 0]), (285, [13, 0, 0, 1, 0, 0, 1])])
def test_quotas_of_all_ranges_add_up_and_the_front_has_most(pages: int, expected: list[int]) -> None:
    assert quotas(pages, 0.05) == expected
    assert sum(expected) == math.ceil(0.05 * pages)


def test_no_share_no_second_opinions() -> None:
    assert quotas(120, 0.0) == [0, 0, 0]
