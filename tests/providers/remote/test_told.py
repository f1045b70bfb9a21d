"""What is told of calls to remote services: a span for each call of a model, its requests below, and no key, text or query."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from temporalio.contrib.opentelemetry import create_tracer_provider

from providers.anthropic import Anthropic
from providers.errors import BadOutput, ProviderError, RateLimited
from providers.language_model import Answer, Message, ToolCall
from providers.model_service import ModelService
from providers.openai_compatible import OpenAiCompatible
from schemas import semconv
from schemas.telemetry import INFERENCE_SECONDS
from schemas.telemetry_sdk import Telemetry
from tests.providers.remote import anthropic_responder, openai_responder
from tests.providers.remote.conftest import SERVICES, Desk
from tests.providers.remote.model_calls import ADD, KEY, KEY_ENV, ledger, png, question, row_of
from tests.providers.remote.server import ScriptedServer, after, json_answer


class Told:
    """What an exporter got."""

    def __init__(self) -> None:
        self.exporter, self.reader = InMemorySpanExporter(), InMemoryMetricReader()

    def spans(self, kind: str) -> list[ReadableSpan]:
        """'model' or 'http'."""
        mark = semconv.GEN_AI_OPERATION if kind == "model" else semconv.HTTP_METHOD
        return [span for span in self.exporter.get_finished_spans() if mark in (span.attributes or {})]

    def everything(self) -> str:
        return "".join(span.to_json() for span in self.exporter.get_finished_spans())

    def durations(self) -> list[dict[str, Any]]:
        """Attributes of each point of the histogram of models' calls, with how many there were."""
        data = self.reader.get_metrics_data()
        assert data is not None
        return [
            {**(point.attributes or {}), "count": point.count}  # type: ignore[union-attr]
            for resource in data.resource_metrics
            for scope in resource.scope_metrics
            for metric in scope.metrics
            if metric.name == INFERENCE_SECONDS.name
            for point in metric.data.data_points
        ]


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> Iterator[Told]:
    monkeypatch.delenv(semconv.CAPTURE_CONTENT, raising=False)
    told = Told()
    running = Telemetry({}, "test", create_tracer_provider, span_exporter=told.exporter, metric_reader=told.reader)
    try:
        yield told
    finally:
        running.stop()


class Protocol:
    """A service of models, and the adapter that speaks to it."""

    def __init__(self, name: str) -> None:
        self.service: Any
        self.adapter: type[ModelService]
        if name == "anthropic":
            self.service = anthropic_responder.MessagesService(say=anthropic_responder.always("answer-private"))
            self.path, self.adapter, self.ended, self.usage = "/v1/messages", Anthropic, "end_turn", (1000, 150)
        else:
            self.service = openai_responder.ChatService(name, say=openai_responder.always("answer-private"))
            self.path, self.adapter = "/v1/chat/completions", OpenAiCompatible
            self.ended, self.usage = "stop", (1200, 300)
        self.name = name

    async def ask(self, server: ScriptedServer, folder: Path, check: Callable[[Answer], str] | None = None) -> Answer:
        row = row_of(self.name, server.url + getattr(self.service, "prefix", ""))
        model: ModelService = self.adapter(row)
        assert isinstance(model, Anthropic | OpenAiCompatible)
        conversation = (
            Message("user", "question-private", (png(),)),
            Message("assistant", tool_calls=(ToolCall("1", "add", {"a": "call-private"}),)),
            Message("tool", "result-private", tool_call_id="1"),
        )
        asked = question(system="system-private", messages=conversation, tools=(ADD,), temperature=0.5)
        try:
            return await model.answer(
                asked, self.service.model, 20, ledger(folder, row), what="page 3 of a-book", check=check
            )
        finally:
            await model.close()


@pytest.fixture(params=["openai", "openrouter", "anthropic"])
def protocol(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Protocol:
    monkeypatch.setenv(KEY_ENV, KEY)
    return Protocol(request.param)


def attributes(span: ReadableSpan) -> dict[str, Any]:
    return dict(span.attributes or {})


async def test_a_models_call_is_a_span_above_its_request(told: Told, protocol: Protocol, tmp_path: Path) -> None:
    with ScriptedServer(protocol.service.handlers()) as server:
        await protocol.ask(server, tmp_path)
        port = int(server.url.rpartition(":")[2])
    [call], [request] = told.spans("model"), told.spans("http")
    assert request.parent is not None
    assert call.context is not None
    assert request.parent.span_id == call.context.span_id
    assert attributes(request)[semconv.URL_FULL] == f"{server.url}{protocol.path}"
    found = attributes(call)
    model = protocol.service.model
    assert call.name == f"chat {model}"
    assert found.pop(semconv.GEN_AI_RESPONSE_ID)
    # What the test servers say of their caches; not all of them say anything.
    cached = {"anthropic": 500, "openai": 1000, "openrouter": 1000}.get(protocol.name)
    assert found.pop(semconv.GEN_AI_CACHE_READ_TOKENS, None) == cached
    temperature = {} if protocol.name == "anthropic" else {semconv.GEN_AI_TEMPERATURE: 0.5}
    assert found == {
        semconv.GEN_AI_OPERATION: "chat",
        semconv.GEN_AI_PROVIDER: protocol.name,
        semconv.GEN_AI_REQUEST_MODEL: model,
        semconv.GEN_AI_MAX_TOKENS: 4096,
        semconv.SERVER_ADDRESS: "127.0.0.1",
        semconv.SERVER_PORT: port,
        semconv.GEN_AI_RESPONSE_MODEL: model,
        semconv.GEN_AI_FINISH_REASONS: (protocol.ended,),
        semconv.GEN_AI_INPUT_TOKENS: protocol.usage[0],
        semconv.GEN_AI_OUTPUT_TOKENS: protocol.usage[1],
        **temperature,
    }
    [point] = told.durations()
    assert (point["count"], point[semconv.GEN_AI_REQUEST_MODEL], point[semconv.SERVER_PORT]) == (1, model, port)
    assert semconv.ERROR_TYPE not in point


async def test_a_call_that_fails_says_how(told: Told, protocol: Protocol, tmp_path: Path) -> None:
    with ScriptedServer(protocol.service.handlers()) as server:
        server.script(after(json_answer({"error": {"message": "too many"}}, 429), 1))
        with pytest.raises(RateLimited):
            await protocol.ask(server, tmp_path / "refused")
        with pytest.raises(BadOutput):
            await protocol.ask(server, tmp_path / "unfit", check=lambda answer: f"{answer.text} is unfit")
    refused, unfit = told.spans("model")
    assert attributes(refused)[semconv.ERROR_TYPE] == "RateLimited"
    assert semconv.GEN_AI_OUTPUT_TOKENS not in attributes(refused)
    # Of no use, and paid all the same.
    assert attributes(unfit)[semconv.ERROR_TYPE] == "BadOutput"
    assert attributes(unfit)[semconv.GEN_AI_OUTPUT_TOKENS] == protocol.usage[1]
    assert {point[semconv.ERROR_TYPE]: point["count"] for point in told.durations()} == {
        "RateLimited": 1,
        "BadOutput": 1,
    }
    assert "private" not in told.everything()


async def test_prompts_and_answers_by_opt_in_only(
    told: Told, protocol: Protocol, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with ScriptedServer(protocol.service.handlers()) as server:
        await protocol.ask(server, tmp_path / "closed")
        assert "private" not in told.everything()
        monkeypatch.setenv(semconv.CAPTURE_CONTENT, "true")
        await protocol.ask(server, tmp_path / "open")
    opened = attributes(told.spans("model")[-1])
    for said in ("system", "question", "call", "result"):
        assert f"{said}-private" in opened[semconv.GEN_AI_INPUT_MESSAGES]
    assert "answer-private" in opened[semconv.GEN_AI_OUTPUT_MESSAGES]
    # What is in a picture is not, whoever opts in.
    assert '"mime_type": "image/png", "bytes"' in opened[semconv.GEN_AI_INPUT_MESSAGES]
    assert "iVBOR" not in told.everything()
    assert KEY not in told.everything()


@pytest.mark.parametrize("name", SERVICES)
async def test_ocr_services_are_told_by_their_requests_alone(told: Told, desks: Callable[..., Desk], name: str) -> None:
    desk = desks(name)
    refusals = desk.service.errors
    await desk.read()
    desk.server.script(refusals["refused key"], method="POST")
    desk.ledgers.clear()
    with pytest.raises(ProviderError):
        # Another question: the answer to this one is known.
        await desk.provider.read(desk.leaf, "eng", 20, ledger(Path(str(desk.store)) / "other", desk.row))
    requests = told.spans("http")
    assert len(requests) == len(desk.server.log) >= 2
    assert not told.spans("model")
    for request, entry in zip(requests, desk.server.log, strict=True):
        assert attributes(request)[semconv.URL_FULL] == f"{desk.server.url}{entry.request.path}"
    secrets = {value for entry in desk.server.log for value in entry.request.query.values()} | {desk.service.key}
    assert not [secret for secret in secrets if len(secret) > 3 and secret in told.everything()]
    assert "?" not in told.everything()
