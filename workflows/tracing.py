"""Temporal's side of the telemetry: which work belongs to which span and log line, over workflows, activities, workers.

The trace of a job: the command that started it -> the job -> its page ranges -> operations -> units -> the two activities of a
unit -> calls and writes. It travels in Temporal's headers, by `temporalio.contrib.opentelemetry.OpenTelemetryPlugin`:

- its spans in workflows last as long as what they stand for (those of the older `TracingInterceptor` last 0 s);
- their ids follow from the workflow's own random numbers and replays end none of them again, so that a job that moves to
  another worker has one span, sent by whoever finishes it (twice under one id where Temporal refuses the last task's answer
  because a signal came meanwhile, and has it done again);
- a job that was started without a trace (`temporal workflow start`) gets one.

It is marked experimental; we ask of it only the headers and the provider, and make the spans ourselves: its own would double
their number and add one for each query of a progress display.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from temporalio import activity, workflow
from temporalio.worker import (
    ActivityInboundInterceptor,
    ExecuteActivityInput,
    ExecuteWorkflowInput,
    HandleSignalInput,
    Interceptor,
    StartActivityInput,
    WorkflowInboundInterceptor,
    WorkflowInterceptorClassInput,
    WorkflowOutboundInterceptor,
)

from schemas import semconv, telemetry
from schemas.telemetry import Kind, Span

if TYPE_CHECKING:
    from temporalio.runtime import OpenTelemetryConfig

    from activities.contracts import WorkUnit
    from schemas.telemetry_sdk import Telemetry


# In workers ----------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Operations:
    """The open span of each operation in one workflow: from its first unit to the end of its last."""

    spans: dict[str, Span] = field(default_factory=dict)
    ended: dict[str, int] = field(default_factory=dict)
    job: Span = telemetry.NOTHING

    def of(self, name: str) -> Span:
        if name not in self.spans:
            self.spans[name] = telemetry.begin(name, {semconv.OPERATION: name})
        return self.spans[name]

    def end(self) -> None:
        for name, span in self.spans.items():
            span.end(self.ended.get(name))


_operations: ContextVar[_Operations | None] = ContextVar("shelf_operations", default=None)


@contextmanager
def unit_span(unit: WorkUnit, summary: str) -> Iterator[None]:
    """In a workflow: a unit, from the dispatch of its work to the end of its save."""
    operations = _operations.get()
    if operations is None:
        yield
        return
    attributes: telemetry.Attributes = {
        semconv.OPERATION: unit.operation,
        semconv.PROVIDER: unit.provider,
        semconv.PAGES: list(unit.pages) or None,
        semconv.VARIANT: unit.variant or None,
    }
    try:
        with telemetry.span(f"{unit.operation} {summary}", attributes, parent=operations.of(unit.operation)):
            yield
    finally:
        operations.ended[unit.operation] = workflow.time_ns()


class Tracing(Interceptor):
    """For every worker, whether telemetry is on or not: log lines say what they are about in any case."""

    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:
        return _Activities(next)

    def workflow_interceptor_class(self, input: WorkflowInterceptorClassInput) -> type[WorkflowInboundInterceptor]:
        return _Workflows


def subject_of(arguments: Sequence[Any]) -> dict[str, str | int]:
    """Book, operation and page (of a unit of one) that a workflow or activity is about, by its argument."""
    found: dict[str, str | int] = {}
    for each in arguments[:1]:
        unit = getattr(each, "unit", None)
        book = getattr(each, "book_id", None) or getattr(getattr(each, "config", None), "book_id", None)
        if isinstance(each, Mapping):
            book = each.get("book_id")
        if isinstance(book, str):
            found["book"] = book
        if unit is not None:
            found["operation"] = unit.operation
            if len(unit.pages) == 1:
                found["page"] = unit.pages[0]
    return found


class _Activities(ActivityInboundInterceptor):
    async def execute_activity(self, input: ExecuteActivityInput) -> Any:
        info = activity.info()
        attributes: telemetry.Attributes = {
            semconv.TEMPORAL_WORKFLOW: info.workflow_id,
            semconv.TEMPORAL_RUN: info.workflow_run_id,
            semconv.TEMPORAL_ACTIVITY: info.activity_id,
            semconv.ATTEMPT: info.attempt,
        }
        with (
            telemetry.about(
                workflow=info.workflow_id,
                run=info.workflow_run_id,
                activity=info.activity_type,
                attempt=info.attempt,
                **subject_of(input.args),
            ),
            telemetry.span(info.activity_type, attributes, kind=Kind.SERVER),
        ):
            return await super().execute_activity(input)


class _Workflows(WorkflowInboundInterceptor):
    def init(self, outbound: WorkflowOutboundInterceptor) -> None:
        super().init(_Outbound(outbound))

    async def execute_workflow(self, input: ExecuteWorkflowInput) -> Any:
        info = workflow.info()
        attributes: telemetry.Attributes = {
            semconv.TEMPORAL_WORKFLOW: info.workflow_id,
            semconv.TEMPORAL_RUN: info.run_id,
            semconv.JOB: info.workflow_type,
        }
        operations = _Operations()
        _operations.set(operations)
        with (
            telemetry.about(workflow=info.workflow_id, run=info.run_id, **subject_of(input.args)),
            telemetry.span(info.workflow_type, attributes, kind=Kind.SERVER) as span,
        ):
            operations.job = span
            try:
                return await super().execute_workflow(input)
            finally:
                operations.end()

    async def handle_signal(self, input: HandleSignalInput) -> None:
        # Pause, resume, stop: what a gap in the trace is explained by.
        if (operations := _operations.get()) is not None:
            operations.job.event(input.signal)
        await super().handle_signal(input)


class _Outbound(WorkflowOutboundInterceptor):
    def start_activity(self, input: StartActivityInput) -> workflow.ActivityHandle[Any]:
        # A job that starts from a source learns its book from its first activity.
        if (operations := _operations.get()) is not None and (book := subject_of(input.args).get("book")):
            operations.job.set({semconv.BOOK: book})
        return super().start_activity(input)


# In processes --------------------------------------------------------------------------------------------------------


def start(service: str, but: str = "") -> Telemetry | None:
    """Telemetry for this process, if the standard variables ask for it.

    Args:
        but: an exporter whose metrics are left out: a command that shows a trace has no use for its own few numbers.

    Raises BadInput."""
    signals = {name: where for name, where in telemetry.wanted().items() if (name, where) != ("metrics", but)}
    if not signals:
        return None
    from temporalio.contrib.opentelemetry import create_tracer_provider

    from schemas.telemetry_sdk import Telemetry

    return Telemetry(signals, service, create_tracer_provider)


def client_plugins(running: Telemetry | None) -> list[Any]:
    """For `Client.connect`: workers of the client have them too."""
    if running is None or running.tracer_provider is None:
        return []
    from temporalio.contrib.opentelemetry import OpenTelemetryPlugin

    return [OpenTelemetryPlugin(add_temporal_spans=False)]


def sdk_metrics(running: Telemetry | None) -> OpenTelemetryConfig | None:
    """Where Temporal's own metrics go: to the receiver of ours, by its own exporter, which costs Python nothing."""
    if running is None or telemetry.wanted().get("metrics") != "otlp":
        return None
    from opentelemetry.util.re import parse_env_headers
    from temporalio.runtime import OpenTelemetryConfig, OpenTelemetryMetricTemporality

    from schemas.telemetry_sdk import protocol

    http = protocol("metrics") == "http/protobuf"
    base = os.environ.get("OTEL_EXPORTER_OTLP_ENDPOINT") or f"http://localhost:{4318 if http else 4317}"
    url = os.environ.get("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT") or (base.rstrip("/") + "/v1/metrics" if http else base)
    headers = os.environ.get("OTEL_EXPORTER_OTLP_METRICS_HEADERS") or os.environ.get("OTEL_EXPORTER_OTLP_HEADERS", "")
    delta = os.environ.get("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", "").lower() == "delta"
    return OpenTelemetryConfig(
        url=url,
        headers=parse_env_headers(headers, liberal=True),
        http=http,
        durations_as_seconds=True,
        metric_periodicity=timedelta(milliseconds=float(os.environ.get("OTEL_METRIC_EXPORT_INTERVAL", "60000"))),
        metric_temporality=OpenTelemetryMetricTemporality.DELTA if delta else OpenTelemetryMetricTemporality.CUMULATIVE,
    )


def runtime_options(running: Telemetry | None) -> dict[str, Any]:
    """`runtime` and `plugins` of a worker's `Client.connect`: the core's metrics to our receiver, its log lines in our
    format."""
    import logging

    from temporalio.runtime import LogForwardingConfig, LoggingConfig, Runtime, TelemetryConfig

    core = LoggingConfig(
        filter=LoggingConfig.default.filter,
        forwarding=LogForwardingConfig(
            logger=logging.getLogger("temporalio"), append_target_to_name=False, prepend_target_on_message=False
        ),
    )
    metrics = sdk_metrics(running)
    tags = {} if running is None else {name: str(value) for name, value in running.resource.attributes.items()}
    config = TelemetryConfig(
        logging=core, metrics=metrics, global_tags=tags if metrics else {}, attach_service_name=False
    )
    return {"runtime": Runtime(telemetry=config), "plugins": client_plugins(running)}
