"""Plans alone: random outcomes over random compositions always end (design §2)."""

from __future__ import annotations

import math
import random
from collections.abc import Callable

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
from activities.operation import Operation, Records, Scope
from activities.registry import OPERATIONS
from activities.state import JobState
from schemas.documents import Page
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


def second_opinions(
    pages: int, range_of: tuple[int, ...], expected: dict[int, float], documents: dict[int, Page] | None = None
) -> list[int]:
    """Pages of a range that get a second opinion, given what is expected of their first readings; `documents` = how they
    are in the database, from a job before."""
    operations = [OPERATIONS["ocr"], OPERATIONS["blend"]]
    state = JobState(
        config=config(pages, second_opinion_share=0.1),
        pages=range_of,
        leaves={page: f"0000-{page:04d}" for page in range_of},
        own=("ocr", "blend"),
    )
    state.of("extract").complete = set(range_of)
    OPERATIONS["ocr"].load(state, Records(documents or {}, None, None, {}))
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


def test_a_page_read_anew_keeps_its_second_opinion() -> None:
    def read_by(*providers: str) -> Page:
        return Page(key="book-1/60", page=60, ocr_results=[f"book-1/0060/ocr/{name}/abc" for name in providers])

    assert second_opinions(100, (60,), {60: 0.3}) == [], "one page of a hundred has no part of the share"
    assert second_opinions(100, (60,), {60: 0.3}, {60: read_by("tesseract", "rapidocr")}) == [60]
    assert second_opinions(100, (60,), {60: 0.3}, {60: read_by("rapidocr")}) == [], "that was its only reading"
    assert second_opinions(100, (60,), {60: 0.01}, {60: read_by("tesseract", "rapidocr")}) == [], "it is read well now"
    body, many = tuple(range(31, 81)), {page: 0.02 + page / 1000 for page in range(1, 101)}
    assert second_opinions(100, body, many, {60: read_by("tesseract", "rapidocr")}) == [80], "the worst, and no more"


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


@pytest.mark.parametrize(("pages", "expected"), [(50, [3, 0]), (120, [6, 0, 0]), (285, [13, 0, 0, 1, 0, 0, 1])])
def test_quotas_of_all_ranges_add_up_and_the_front_has_most(pages: int, expected: list[int]) -> None:
    assert quotas(pages, 0.05) == expected
    assert sum(expected) == math.ceil(0.05 * pages)


def test_no_share_no_second_opinions() -> None:
    assert quotas(120, 0.0) == [0, 0, 0]


# Remote providers -----------------------------------------------------------------------------------------------------

IN_A_ROW = 3
REJECTED = Failure(code="Rejected", message="the picture is refused")


def remote_book(pages: int, *, in_flight: int = 1, fallback: str = "", provider: str = "mistral") -> Planner:
    """`ocr` alone, by a remote provider, of pages that are extracted."""
    job = config(pages, ocr=provider, fallbacks={f"ocr {provider}": fallback} if fallback else {})
    policy = ProviderPolicy(
        name="mistral",
        queue="mistral",
        in_flight=in_flight,
        page_timeout_seconds=1,
        max_attempts=3,
        remote=True,
        failing_in_a_row=IN_A_ROW,
    )
    job = job.model_copy(update={"providers": {**job.providers, "mistral": policy}})
    state = state_of(job, [OPERATIONS["ocr"]])
    state.of("extract").complete = set(state.pages)
    return Planner(state, [OPERATIONS["ocr"]])


def drive(planner: Planner, fails: Callable[[WorkUnit], bool]) -> list[WorkUnit]:
    """One unit after the other until all is settled or the planner stops; returns what was sent."""
    sent: list[WorkUnit] = []
    while not planner.settled() and not planner.stopped:
        planner.collect()
        unit = planner.next_unit()
        assert unit is not None, planner.incomplete()
        sent.append(unit)
        failure = REJECTED if fails(unit) else None
        outcomes = tuple(
            Outcome(item=item, status="permanent" if failure else "ok", failure=failure, artifact="a" * 64)
            for item in unit.items
        )
        planner.apply(Carried(unit, work=WorkResult(outcomes=outcomes), save=SaveResult()))
        assert len(sent) < 1000
    return sent


def by_mistral(unit: WorkUnit) -> bool:
    return unit.provider == "mistral"


def test_a_page_that_a_provider_fails_at_is_tried_alone_by_its_fallback() -> None:
    planner = remote_book(6, fallback="tesseract")
    sent = drive(planner, lambda unit: by_mistral(unit) and unit.pages == (2,))
    by = {page: [unit.provider for unit in sent if page in unit.pages] for page in range(1, 7)}
    assert by == {page: ["mistral", "tesseract"] if page == 2 else ["mistral"] for page in range(1, 7)}
    assert [unit.single for unit in sent if unit.provider == "tesseract"] == [True]
    assert planner.state.of("ocr").complete == set(range(1, 7))
    assert not planner.state.of("ocr").failed
    assert not planner.notes


def test_a_page_at_which_the_fallback_fails_too_has_failed() -> None:
    planner = remote_book(4, fallback="tesseract")
    sent = drive(planner, lambda unit: unit.pages == (2,))
    assert [unit.provider for unit in sent if unit.pages == (2,)] == ["mistral", "tesseract"]
    assert planner.state.of("ocr").failed == {2: REJECTED}
    assert planner.state.of("ocr").complete == {1, 3, 4}


def test_a_provider_that_fails_in_a_row_is_given_up_and_its_fallback_does_the_rest() -> None:
    planner = remote_book(20, fallback="tesseract")
    sent = drive(planner, by_mistral)
    asked = [page for unit in sent if by_mistral(unit) for page in unit.pages]
    assert len(asked) == IN_A_ROW
    assert planner.state.of("ocr").complete == set(range(1, 21))
    assert planner.notes == ["mistral failed 3 times in a row; tesseract goes on."]
    assert not planner.stopped


def test_failures_that_are_not_in_a_row_give_nobody_up() -> None:
    planner = remote_book(30, fallback="tesseract")
    sent = drive(planner, lambda unit: by_mistral(unit) and unit.pages[0] % IN_A_ROW != 0)
    assert {page for unit in sent if by_mistral(unit) for page in unit.pages} == set(range(1, 31))
    assert not planner.notes


def test_without_a_fallback_a_provider_that_fails_in_a_row_stops_the_job() -> None:
    planner = remote_book(20)
    sent = drive(planner, lambda unit: True)
    assert len(sent) == IN_A_ROW, "it does not burn through the book"
    assert planner.stopped == (
        "ProviderFailing: mistral failed 3 times in a row, at last with Rejected: the picture is refused"
    )
    assert len(planner.state.of("ocr").failed) == IN_A_ROW


def test_an_engine_of_ones_own_may_fail_at_every_page() -> None:
    planner = remote_book(20, provider="tesseract")
    drive(planner, lambda unit: True)
    assert set(planner.state.of("ocr").failed) == set(range(1, 21))
    assert not planner.stopped


@pytest.mark.parametrize("in_flight", [2, 4, 6])
def test_of_a_remote_provider_as_many_are_sent_as_it_serves_at_once(in_flight: int) -> None:
    """Also of a book that is just begun, all of whose pages were extracted at once."""
    planner = remote_book(10, in_flight=in_flight)
    planner.collect()
    sent = [planner.next_unit() for _ in range(in_flight)]
    first = sent[0]
    assert first is not None
    assert None not in sent, "a place is idle"
    assert planner.next_unit() is None, "what waited in its queue could not be held back"
    done = tuple(Outcome(item=item, status="ok", artifact="a" * 64) for item in first.items)
    planner.apply(Carried(first, work=WorkResult(outcomes=done), save=SaveResult()))
    assert planner.next_unit() is not None
    assert planner.next_unit() is None


@settings(max_examples=60, deadline=None)
@given(
    pages=st.integers(1, 40),
    in_flight=st.integers(1, 6),
    fault=st.sampled_from([0.0, 0.2, 0.6, 1.0]),
    seed=st.integers(0, 2**32),
)
def test_with_a_fallback_every_book_is_settled(pages: int, in_flight: int, fault: float, seed: int) -> None:
    planner = remote_book(pages, in_flight=in_flight, fallback="tesseract")
    sent = run(planner, random.Random(seed), fault)
    own = planner.state.of("ocr")
    assert set(own.complete) | set(own.failed) == set(planner.state.pages)
    assert not planner.stopped
    assert not +planner.sent, "nothing is under way any more"
    if fault == 0.0:
        assert {unit.provider for unit in sent} == {"mistral"}
    if fault == 1.0:
        assert {unit.provider for unit in sent} == {"mistral", "tesseract"}
