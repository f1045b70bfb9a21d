"""A job's trace, metrics and logs, as a receiver on loopback gets them, against what lies in the database."""

from __future__ import annotations

import asyncio
import json
import sys
from collections import Counter, defaultdict
from pathlib import Path

import pytest

from schemas.documents import Metric
from schemas.telemetry import INSTRUMENTS
from tests.deploy.test_dashboards import TEMPORAL
from tests.e2e.machine import JOB_SECONDS, Machine, until
from tests.e2e.otlp_receiver import Receiver, Seen, receiving
from tests.e2e.test_paid import book_of
from tests.providers.remote.ocr_services import Mistral
from tests.providers.remote.server import ScriptedServer, after

pytestmark = pytest.mark.slow


def run(folder: Path, defradb: Path, environment: dict[str, str]) -> tuple[str, list[Metric]]:
    """Four pages by the command line; returns the book and the Metrics of its attempts."""
    machine = Machine(folder, defradb, counted=False)
    machine.environment |= environment
    try:
        machine.start()
        done = machine.shelf(
            "process", "--pages", "1-4", str(Path(__file__).parents[2] / "samples/a-day-at-a-time-scan.pdf")
        )
        assert done.returncode == 0, done.stderr
        [book] = asyncio.run(machine.books())
        metrics = asyncio.run(machine.attempts(book))
        assert machine.stop("worker") == 0
        return book, metrics
    finally:
        machine.end()


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory, defradb_binary: Path) -> tuple[Receiver, str, list[Metric]]:
    with receiving() as receiver:
        environment = {
            "OTEL_EXPORTER_OTLP_ENDPOINT": receiver.url,
            "OTEL_EXPORTER_OTLP_HEADERS": "authorization=s3cret-of-the-receiver",
            # Longer than the worker lives: what it exports last is all that arrives.
            "OTEL_METRIC_EXPORT_INTERVAL": "60000",
        }
        book, metrics = run(tmp_path_factory.mktemp("telemetry"), defradb_binary, environment)
        return receiver, book, metrics


def test_one_trace_from_the_command_to_the_writes(exported: tuple[Receiver, str, list[Metric]]) -> None:
    receiver, book, _ = exported
    by_id = {span.id: span for span in receiver.spans}
    assert len(by_id) == len(receiver.spans), "a span was exported twice"
    [start] = [span for span in receiver.spans if span.name == "start ProcessPages"]

    def way(span: Seen) -> list[str]:
        names = [span.name]
        while span.parent:
            span = by_id[span.parent]
            names.insert(0, span.name)
        return names

    # What belongs to the job is in its trace, and hangs together.
    mine = [span for span in receiver.spans if span.trace == start.trace]
    assert all(way(span)[0] == "start ProcessPages" for span in mine)
    in_jobs = [span for span in receiver.spans if "temporalWorkflowID" in span.attributes]
    assert {span.trace for span in in_jobs} == {start.trace}

    ways = [way(span) for span in mine]
    calls = [each for each in ways if each[-1] == "ocr tesseract"]
    assert calls
    assert {tuple(name.split(" ")[0] for name in each) for each in calls} == {
        ("start", "ProcessPages", "PageRange", "ocr", "ocr", "ocr_pages", "ocr")
    }
    saves = [each for each in ways if each[-1] == "create OcrResult"]
    assert {each[-2] for each in saves} == {"save_ocr_results"}
    assert {each[:3] == ["start ProcessPages", "ProcessPages", "PageRange"] for each in map(list, saves)} == {True}
    metadata = [each for each in ways if each[-1] == "metadata rules"]
    assert [[name.split(" ")[0] for name in each] for each in metadata] == [
        ["start", "ProcessPages", "metadata", "metadata", "extract_metadata", "metadata"]
    ]

    [job] = [span for span in mine if span.name == "ProcessPages"]
    assert job.attributes["shelf.book"] == book
    longest = max(span.seconds for span in mine if span.name == "ocr_pages")
    assert job.seconds > longest > 0
    writes = [span for span in mine if span.name == "update Page"]
    assert all(span.attributes["db.system.name"] == "defradb" for span in writes)
    assert writes
    assert not [span.name for span in mine if span.failed]


def test_sums_are_those_of_the_metric_documents(exported: tuple[Receiver, str, list[Metric]]) -> None:
    receiver, _, metrics = exported
    by = ("shelf.operation", "shelf.provider")
    attempts: Counter[tuple[str | None, ...]] = Counter()
    sums: dict[str, dict[tuple[str | None, ...], float]] = defaultdict(lambda: defaultdict(float))
    for metric in metrics:
        work = (metric.operation, metric.provider)
        attempts[(*work, metric.outcome)] += 1
        sums["read"][work] += metric.read or 0
        sums["queue"][work] += metric.queue_seconds or 0
        sums["execution"][work] += metric.execution_seconds or 0
        sums["cost"][work] += metric.cost_usd or 0
    assert attempts
    assert receiver.total("shelf.attempts", *by, "shelf.outcome") == dict(attempts)
    assert receiver.total("shelf.pages.read", *by) == sums["read"]
    assert receiver.total("shelf.provider.calls", *by) == sums["read"]
    assert receiver.total("shelf.attempt.queue.duration", *by) == pytest.approx(dict(sums["queue"]))
    assert receiver.total("shelf.attempt.execution.duration", *by) == pytest.approx(dict(sums["execution"]))
    assert receiver.total("shelf.cost.usd", *by) == pytest.approx(dict(sums["cost"]))
    pages = receiver.total("shelf.pages", *by, "shelf.state")
    assert pages["extract", "pdf", "complete"] == 4
    assert pages["blend", "vote", "complete"] == 4
    assert {state for *_, state in pages} == {"complete"}
    # Four pages and perhaps second opinions; a blank page has no confidence.
    assert receiver.total("shelf.page.confidence", count=True)[()] >= 2


def test_temporal_sends_its_own_metrics_to_the_same_place(exported: tuple[Receiver, str, list[Metric]]) -> None:
    receiver, _, _ = exported
    names = {name for name, *_ in receiver.points}
    assert "temporal_activity_schedule_to_start_latency" in names
    assert receiver.total("temporal_workflow_completed", "workflow_type")[("ProcessPages",)] == 1
    assert receiver.units["temporal_activity_schedule_to_start_latency"][0] == "s"
    # The dashboards' names follow from kind and unit: those that are believed are those that came.
    kinds = {"histogram": "histogram", "counter": "sum", "gauge": "gauge"}
    shown = {name: (unit, kinds[kind]) for name, (kind, unit) in TEMPORAL.items() if name in names}
    assert shown == {name: receiver.units[name] for name in shown}
    assert "temporal_worker_task_slots_available" in shown
    ours = {each.name: each for each in INSTRUMENTS}
    assert {name for name in names if not name.startswith("temporal_")} <= set(ours)


def test_log_lines_name_trace_workflow_and_book(exported: tuple[Receiver, str, list[Metric]]) -> None:
    receiver, book, _ = exported
    [start] = [span for span in receiver.spans if span.name == "start ProcessPages"]
    of_job = {line["body"]: line for line in receiver.logs if line["body"].startswith("ProcessPages ")}
    assert list(of_job) == [
        "ProcessPages begins, pages 1-4",
        "ProcessPages ended: complete, 4 of 4 pages complete, 0 failures, 0.0000 USD",
    ]
    for line in of_job.values():
        assert line["trace"] == start.trace
        assert (line["shelf.workflow"], line["shelf.book"]) == (f"process-pages:{book}", book)


async def test_neither_replays_nor_a_killed_worker_tell_anything_twice(tmp_path: Path, defradb_binary: Path) -> None:
    script = {
        "delay_seconds": 0.2,
        "log": str(tmp_path / "calls.jsonl"),
        "pages": {
            "2": {"faults": [{"error": "ServerError", "message": "try again"}]},
            # Late enough for the line on page 2 to be on its way.
            "3": {"delay_seconds": 3, "faults": [{"error": "kill"}]},
        },
    }
    (tmp_path / "script.json").write_text(json.dumps(script))
    with receiving() as receiver:
        machine = Machine(tmp_path, defradb_binary, counted=False)
        machine.commands["worker"] = [sys.executable, "-m", "tests.e2e.uncached_worker"]
        machine.environment |= {
            "OTEL_EXPORTER_OTLP_ENDPOINT": receiver.url,
            # At once: what the killed worker had told must have arrived, or a second telling would be the first.
            "OTEL_BSP_SCHEDULE_DELAY": "100",
            "OTEL_BLRP_SCHEDULE_DELAY": "100",
            "SHELF_SCRIPT": str(tmp_path / "script.json"),
        }
        try:
            machine.start()
            source = book_of(6, tmp_path / "scans" / "six.pdf")
            handle = await machine.start_job("again", {"source": str(source), "ocr": "scripted", "second_opinion": ""})
            await until("the worker to be killed", lambda: machine.processes["worker"].poll() is not None)
            before = len(receiver.spans)
            machine.start("worker")
            result = await asyncio.wait_for(handle.result(), JOB_SECONDS)
            assert machine.stop("worker") == 0
        finally:
            machine.end()

    assert result.state == "complete"
    assert before, "nothing had been told when the worker died"
    twice = [name for (_, name), count in Counter((span.id, span.name) for span in receiver.spans).items() if count > 1]
    assert not twice
    [trace] = {span.trace for span in receiver.spans if "temporalWorkflowID" in span.attributes}
    names = Counter(span.name for span in receiver.spans if span.trace == trace)
    assert (names["ProcessPages"], names["PageRange"]) == (1, 1)
    # One of each operation and of each unit, over both workers.
    operations = ("extract", "ocr", "blend", "label_read", "label", "metadata", "toc_find", "toc_extract")
    assert {name: names[name] for name in operations} == dict.fromkeys(operations, 1)
    units = {name: count for name, count in names.items() if " p. " in name or " pp. " in name}
    assert units
    assert set(units.values()) == {1}
    # The page that failed is found in the log, with all that a line knows.
    lines = [line for line in receiver.logs if line["body"] == "ocr by scripted failed: ServerError: try again"]
    assert [(line["trace"], line["shelf.book"], line["shelf.page"]) for line in lines] == [(trace, result.book_id, 2)]
    assert lines[0]["shelf.workflow"].startswith("again:e1:p0001-")
    assert Counter(line["body"] for line in receiver.logs)["ProcessPages begins, pages 1-6"] == 1


def test_no_secret_and_no_text_of_the_book(exported: tuple[Receiver, str, list[Metric]]) -> None:
    receiver, _, _ = exported
    everything = b"".join(receiver.bodies)
    assert b"s3cret-of-the-receiver" not in everything
    assert b"Harbour Lane Press" not in everything


async def test_every_call_of_a_paid_provider_and_what_it_cost(tmp_path: Path, defradb_binary: Path) -> None:
    mistral = Mistral(key="sk-of-the-test-0815-never-to-be-seen", usd_per_page=0.004)
    with receiving() as receiver, ScriptedServer(mistral.handlers()) as server:
        server.script(after(mistral.errors["rate limited"], 1), mistral.errors["server error"])
        row = {"base_url": server.url, "requests_per_second": 20, "usd_per_page": 0.004, "retry_initial_seconds": 0.2}
        machine = Machine(tmp_path, defradb_binary, counted=False)
        machine.environment |= {
            "OTEL_EXPORTER_OTLP_ENDPOINT": receiver.url,
            "MISTRAL_API_KEY": mistral.key,
            "SHELF_PROVIDERS": json.dumps({"mistral": row}),
        }
        try:
            machine.start()
            source = book_of(4, tmp_path / "scans" / "four.pdf")
            result = await machine.run_job("paid", {"source": str(source), "ocr": "mistral", "second_opinion": ""})
            metrics = [each for each in await machine.attempts(result.book_id) if each.provider == "mistral"]
            assert machine.stop("worker") == 0
        finally:
            machine.end()

    kinds = Counter((each.error or "ok").partition(":")[0] for each in metrics)
    assert kinds == {"ok": 4, "RateLimited": 1, "ServerError": 1}

    def of_mistral(name: str, *by: str, count: bool = False) -> dict[str, float]:
        found = receiver.total(name, "shelf.provider", *by, count=count)
        return {"/".join(rest): value for (provider, *rest), value in found.items() if provider == "mistral"}

    assert of_mistral("shelf.provider.calls", "shelf.outcome") == dict(kinds)
    assert of_mistral("shelf.attempts") == {"": len(metrics)} == {"": len(server.log)}
    assert of_mistral("shelf.provider.throttled") == {"": 1}
    assert of_mistral("shelf.queue.cooldown", count=True) == {"": 1}
    assert of_mistral("shelf.queue.cooldown") == {"": pytest.approx(1.0)}
    cost = sum(each.cost_usd or 0.0 for each in metrics)
    assert of_mistral("shelf.cost.usd") == {"": pytest.approx(cost)}
    assert cost == pytest.approx(server.charged_usd) == pytest.approx(result.cost_usd)
    assert of_mistral("shelf.cost.unknown") == {}

    # Each call's request is below its page's span; of the two that failed it says so.
    by_id = {span.id: span for span in receiver.spans}
    requests = [span for span in receiver.spans if span.attributes.get("url.full") == f"{server.url}/v1/ocr"]
    assert Counter(span.attributes["http.response.status_code"] for span in requests) == {200: 4, 429: 1, 500: 1}
    assert {by_id[span.parent].name for span in requests} == {"ocr mistral"}
    assert sorted(span.attributes["error.type"] for span in requests if span.failed) == ["429", "500"]
    everything = b"".join(receiver.bodies)
    assert mistral.key.encode() not in everything
    assert b"A DAY AT A TIME" not in everything


def test_off_by_default(tmp_path: Path, defradb_binary: Path) -> None:
    with receiving() as receiver:
        # An endpoint alone would switch it on; the standard switch keeps it off, and so does saying nothing.
        run(tmp_path, defradb_binary, {"OTEL_EXPORTER_OTLP_ENDPOINT": receiver.url, "OTEL_SDK_DISABLED": "true"})
        assert receiver.bodies == []
