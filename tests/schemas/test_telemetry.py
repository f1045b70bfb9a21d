"""Off it does nothing; on it tells what was done and no secret; log lines say what they are about."""

from __future__ import annotations

import io
import json
import logging
import subprocess
import sys
from collections.abc import Iterator

import pytest
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from temporalio.contrib.opentelemetry import create_tracer_provider

from providers.errors import BadOutput
from schemas import logs, semconv, telemetry
from schemas.errors import BadSource
from schemas.http import HttpClient
from schemas.telemetry_console import line_of, read_lines, tree
from schemas.telemetry_sdk import Telemetry
from tests.schemas.test_http import answers, serving


@pytest.fixture
def spans() -> Iterator[InMemorySpanExporter]:
    exporter = InMemorySpanExporter()
    running = Telemetry(
        {}, "test", create_tracer_provider, span_exporter=exporter, metric_reader=InMemoryMetricReader()
    )
    try:
        yield exporter
    finally:
        running.stop()


def test_off_unless_the_standard_variables_say_so() -> None:
    assert telemetry.wanted({}) == {}
    assert telemetry.wanted({"OTEL_EXPORTER_OTLP_ENDPOINT": ""}) == {}
    every = {"traces": "otlp", "metrics": "otlp", "logs": "otlp"}
    assert telemetry.wanted({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://x"}) == every
    assert telemetry.wanted({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://x", "OTEL_SDK_DISABLED": "true"}) == {}
    assert telemetry.wanted({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://x"}) == {"traces": "otlp"}
    assert telemetry.wanted({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://x", "OTEL_LOGS_EXPORTER": "none"}) == {
        "traces": "otlp",
        "metrics": "otlp",
    }


def test_off_nothing_is_made_and_nothing_imported() -> None:
    assert telemetry.span("x") is telemetry.database("get", "Page") is telemetry.NOTHING
    code = "import worker, sys; sys.exit(any(name.startswith('opentelemetry.sdk') for name in sys.modules))"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


async def test_requests_are_told_without_headers_and_query(spans: InMemorySpanExporter) -> None:
    handler, _ = answers((401, b'{"error": "the key k-secret is wrong"}'))
    async with serving(handler) as url, HttpClient(url + "/v1", headers={"authorization": "k-secret"}) as http:
        await http.request("POST", "/ocr", params={"key": "k-secret"}, json_body={"prompt": "p-private"})
    [span] = spans.get_finished_spans()
    assert span.attributes is not None
    assert span.attributes[semconv.URL_FULL] == f"{url}/v1/ocr"
    assert span.attributes[semconv.HTTP_STATUS] == 401
    assert span.attributes[semconv.ERROR_TYPE] == "401"
    assert "secret" not in span.to_json()
    assert "private" not in span.to_json()


def test_of_an_error_the_type_and_only_our_own_sentence(spans: InMemorySpanExporter) -> None:
    with pytest.raises(BadOutput), telemetry.span("call"):
        raise BadOutput("the service says: you asked p-private")
    with pytest.raises(BadSource), telemetry.span("import"):
        raise BadSource("book.pdf is encrypted.")
    theirs, ours = spans.get_finished_spans()
    assert theirs.attributes is not None
    assert theirs.attributes[semconv.ERROR_TYPE] == "BadOutput"
    assert "private" not in theirs.to_json()
    assert ours.status.description == "book.pdf is encrypted."


def test_prompts_by_opt_in_only(spans: InMemorySpanExporter, monkeypatch: pytest.MonkeyPatch) -> None:
    for given in ("", "true"):
        monkeypatch.setenv(semconv.CAPTURE_CONTENT, given)
        with telemetry.inference("mistral_ai", "m-1", messages=[{"role": "user", "content": "p-private"}]) as call:
            telemetry.answered(call, model="m-1-0", input_tokens=3, output_tokens=4, messages=["a-private"])
    closed, opened = spans.get_finished_spans()
    assert closed.name == "chat m-1"
    assert closed.attributes is not None
    assert closed.attributes[semconv.GEN_AI_INPUT_TOKENS] == 3
    assert "private" not in closed.to_json()
    assert "p-private" in opened.to_json()
    assert "a-private" in opened.to_json()


def test_console_lines_become_a_tree(spans: InMemorySpanExporter) -> None:
    with telemetry.about(book="b"), telemetry.span("outer"):
        with telemetry.span("inner one", {"n": 1}):
            pass
        with telemetry.span("inner two"):
            pass
    lines = [line_of(span) for span in spans.get_finished_spans()]
    trace = lines[0].split()[2]
    shown = [line.split(" s  ", 1)[1] for line in tree(read_lines(["noise", *lines], trace))]
    assert shown == ["outer", "  inner one", "  inner two"]
    assert all("shelf.book=b" in line for line in lines)


@pytest.mark.parametrize("form", ["json", "text"])
def test_log_lines_say_what_they_are_about(
    spans: InMemorySpanExporter, monkeypatch: pytest.MonkeyPatch, form: str
) -> None:
    stream = io.StringIO()
    monkeypatch.setenv(logs.FORMAT, form)
    before = logging.getLogger().handlers[:]
    try:
        logs.configure("INFO", stream)
        with telemetry.about(workflow="job-1", book="b-1"), telemetry.span("work"), telemetry.about(page=7):
            trace, _ = telemetry.current()
            logging.getLogger("shelf.x").info("read %s", "it")
    finally:
        logging.getLogger().handlers[:] = before
    line = stream.getvalue()
    if form == "text":
        assert "INFO shelf.x read it  [" in line
        assert f"trace_id={trace} workflow=job-1 book=b-1 page=7]" in line
    else:
        found = json.loads(line)
        assert found["message"] == "read it"
        assert (found["trace_id"], found["workflow"], found["book"], found["page"]) == (trace, "job-1", "b-1", 7)
