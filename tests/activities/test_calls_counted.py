"""What is counted of a provider's calls is what the Metric documents say, however often a save is repeated."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from temporalio.contrib.opentelemetry import create_tracer_provider
from temporalio.testing import ActivityEnvironment

from activities.contracts import Attempt, SaveInput, WorkResult, WorkUnit
from activities.save import Loaded, save
from activities.services import Services
from activities.work import LOST
from providers.local_artifacts import LocalArtifactStore
from providers.queues import provider_queues
from schemas.documents import Metric
from schemas.memory import MemoryStore
from schemas.telemetry import CALLS, INPUT_TOKENS, OUTPUT_TOKENS
from schemas.telemetry_sdk import Telemetry

BOOK = "a-book"


@pytest.fixture
def counted() -> Iterator[InMemoryMetricReader]:
    reader = InMemoryMetricReader()
    running = Telemetry({}, "test", create_tracer_provider, metric_reader=reader)
    try:
        yield reader
    finally:
        running.stop()


def calls(reader: InMemoryMetricReader) -> Counter[tuple[str, str, str]]:
    """(operation, provider, outcome) -> calls."""
    found: Counter[tuple[str, str, str]] = Counter()
    data = reader.get_metrics_data()
    for resource in data.resource_metrics if data is not None else ():
        for scope in resource.scope_metrics:
            for metric in scope.metrics:
                for point in metric.data.data_points if metric.name == CALLS.name else ():
                    given: dict[str, Any] = dict(point.attributes or {})
                    key = (given["shelf.operation"], given["shelf.provider"], given["shelf.outcome"])
                    found[key] += int(point.value)  # type: ignore[union-attr]
    return found


def attempt(provider: str, number: int, outcome: str, error: str = "") -> Attempt:
    return Attempt(
        id=f"run/7/1/{number}",
        run_id="run",
        workflow_id="job",
        activity_id="7",
        attempt=1,
        provider=provider,
        at=f"2026-11-24T00:00:0{number}.000",
        queue_seconds=0.1,
        execution_seconds=0.2,
        read=int(outcome == "ok"),
        cost_usd=0.01,
        outcome=outcome,
        error=error,
        pages=(3,),
    )


async def nothing(loaded: Any) -> list[Any]:
    assert not list[Loaded](loaded)
    return []


async def saved(folder: Path, provider: str, *attempts: Attempt) -> list[Metric]:
    """The Metrics after a save, and the same save once more."""
    store = MemoryStore()
    epoch = await store.acquire_lease(BOOK, "job", "run", "run", 0)
    assert epoch is not None
    services = Services(store, LocalArtifactStore(folder), {}, provider_queues(), None, ())
    unit = WorkUnit(operation="ocr", provider=provider, pages=(3,), leaves=("p0003",))
    job = SaveInput(
        book_id=BOOK, epoch=epoch, manifest="", unit=unit, result=WorkResult(outcomes=(), attempts=attempts)
    )
    for _ in range(2):
        await ActivityEnvironment().run(save, services, job, nothing, None)
    return await store.find(Metric, {"book_key": BOOK})


async def test_each_call_of_a_remote_provider_once_by_how_it_ended(
    tmp_path: Path, counted: InMemoryMetricReader
) -> None:
    """Five calls for one page, as a question with repeats makes them."""
    metrics = await saved(
        tmp_path,
        "openai",
        attempt("openai", 1, "failed", "RateLimited: openai says: slow down"),
        attempt("openai", 2, "unknown", LOST),
        attempt("openai", 3, "failed", "BadOutput: the answer is no JSON: no"),
        attempt("openai", 4, "failed", "BadOutput: the answer is empty"),
        attempt("openai", 5, "ok"),
    )
    assert len(metrics) == 5
    assert calls(counted) == {
        ("ocr", "openai", "RateLimited"): 1,
        ("ocr", "openai", "unknown"): 1,
        ("ocr", "openai", "BadOutput"): 2,
        ("ocr", "openai", "ok"): 1,
    }


async def test_tokens_are_told_by_the_names_of_the_conventions(tmp_path: Path, counted: InMemoryMetricReader) -> None:
    asked = attempt("anthropic", 1, "ok").model_copy(
        update={"model": "claude-x", "input_tokens": 900, "output_tokens": 40}
    )
    await saved(tmp_path, "anthropic", asked)
    data = counted.get_metrics_data()
    assert data is not None
    [scope] = data.resource_metrics[0].scope_metrics
    found = {
        metric.name: (dict(point.attributes or {}), point.value)  # type: ignore[union-attr]
        for metric in scope.metrics
        for point in metric.data.data_points
        if metric.name in (INPUT_TOKENS.name, OUTPUT_TOKENS.name)
    }
    names = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "anthropic",
        "gen_ai.response.model": "claude-x",
        "shelf.operation": "ocr",
    }
    assert found == {INPUT_TOKENS.name: (names, 900), OUTPUT_TOKENS.name: (names, 40)}


async def test_a_batch_of_a_local_engine_is_not_counted_as_a_call(
    tmp_path: Path, counted: InMemoryMetricReader
) -> None:
    """Its pages were counted when they were read."""
    assert len(await saved(tmp_path, "tesseract", attempt("tesseract", 1, "ok"))) == 1
    assert calls(counted) == {}
