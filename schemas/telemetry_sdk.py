"""Telemetry switched on: OpenTelemetry's SDK behind `schemas/telemetry.py`, configured by the standard variables."""

from __future__ import annotations

import logging
import os
import sys
import time
import uuid
from collections.abc import Callable, Mapping
from importlib import import_module
from types import TracebackType
from typing import Any, Self

from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry._logs import LogRecord
from opentelemetry._logs.severity import SeverityNumber
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import MetricExporter, MetricReader, PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanProcessor
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SimpleSpanProcessor, SpanExporter

from schemas import logs, semconv, telemetry
from schemas.errors import BadInput, ShelfError
from schemas.telemetry import Attributes, Instrument, Kind, Span

SCOPE = "shelf"
FLUSH_SECONDS = 5.0
"""At the end of a process: a receiver that is away must not hold it up for longer."""


def clean(attributes: Attributes) -> dict[str, Any]:
    """Without what is not known."""
    return {name: value for name, value in attributes.items() if value is not None}


def error_type(error: BaseException) -> str:
    """Low in cardinality: the kind of our taxonomies, Temporal's type, or the class."""
    return str(getattr(error, "kind", None) or getattr(error, "type", None) or type(error).__name__)


class LiveSpan(Span):
    """A span of the SDK. Of an exception it keeps the type, and the sentence only where it is one of ours: what a service
    answers may repeat what it was asked."""

    __slots__ = ("_arguments", "_attributes", "_backend", "_began", "_duration", "_parent", "_span", "_token")

    def __init__(
        self,
        backend: SdkBackend,
        name: str,
        attributes: Attributes,
        kind: Kind,
        parent: Span | None,
        duration: Instrument | None,
    ) -> None:
        self._backend = backend
        self._arguments = (name, trace.SpanKind[kind.value])
        self._attributes = clean(attributes)
        self._parent = parent
        self._duration = duration
        self._token: Any = None
        self._span: trace.Span = trace.INVALID_SPAN

    def start(self) -> Self:
        name, kind = self._arguments
        above = None
        if isinstance(self._parent, LiveSpan):
            above = trace.set_span_in_context(self._parent._span)
        self._span = self._backend.tracer.start_span(name, context=above, kind=kind, attributes=self._attributes)
        self._began = time.perf_counter()
        return self

    def set(self, attributes: Attributes) -> None:
        known = clean(attributes)
        self._attributes |= known
        self._span.set_attributes(known)

    def event(self, name: str, attributes: Attributes | None = None) -> None:
        self._span.add_event(name, clean(attributes or {}))

    def fail(self, error_type: str) -> None:
        self.set({semconv.ERROR_TYPE: error_type})
        self._span.set_status(trace.Status(trace.StatusCode.ERROR))

    def end(self, at_nanoseconds: int | None = None) -> None:
        self._span.end(at_nanoseconds)

    def __enter__(self) -> Self:
        self.start()
        self._token = otel_context.attach(trace.set_span_in_context(self._span))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace_back: TracebackType | None
    ) -> None:
        try:
            # Not `detach`, which complains: see `telemetry.about`.
            self._token.var.reset(self._token)
        except ValueError:
            pass
        if isinstance(error, Exception):
            self.set({semconv.ERROR_TYPE: error_type(error)})
            said = error.message[:500] if isinstance(error, ShelfError) else ""
            # Temporal's replay-safe span wants the exception: of a workflow task that fails, its spans end later.
            self._span.record_exception(error, {"exception.message": said, "exception.stacktrace": ""})
            if getattr(getattr(error, "category", None), "name", "") != "BENIGN":
                self._span.set_status(trace.Status(trace.StatusCode.ERROR, said or None))
        elif error is not None:
            self.set({semconv.ERROR_TYPE: error_type(error)})
        if self._duration is not None:
            self._backend.record(
                self._duration,
                time.perf_counter() - self._began,
                {name: self._attributes.get(name) for name in self._duration.attributes},
            )
        self._span.end()


class SdkBackend:
    """`telemetry.Backend` over providers of the SDK; either may be None."""

    def __init__(self, tracer_provider: trace.TracerProvider | None, meter_provider: MeterProvider | None) -> None:
        self.tracer = (tracer_provider or trace.NoOpTracerProvider()).get_tracer(SCOPE)
        self._instruments: dict[str, Callable[[float, dict[str, Any]], None]] = {}
        meter = meter_provider.get_meter(SCOPE) if meter_provider is not None else None
        for each in telemetry.INSTRUMENTS if meter is not None else ():
            assert meter is not None
            if each.kind == "counter":
                self._instruments[each.name] = meter.create_counter(each.name, each.unit, each.description).add
            else:
                self._instruments[each.name] = meter.create_histogram(
                    each.name, each.unit, each.description, explicit_bucket_boundaries_advisory=each.buckets
                ).record

    def span(
        self, name: str, attributes: Attributes, kind: Kind, parent: Span | None, duration: Instrument | None
    ) -> Span:
        return LiveSpan(self, name, attributes, kind, parent, duration)

    def begin(self, name: str, attributes: Attributes) -> Span:
        return LiveSpan(self, name, attributes, Kind.INTERNAL, None, None).start()

    def record(self, instrument: Instrument, value: float, attributes: Attributes) -> None:
        if found := self._instruments.get(instrument.name):
            found(value, clean(attributes))

    def current(self) -> tuple[str, str]:
        here = trace.get_current_span().get_span_context()
        return (f"{here.trace_id:032x}", f"{here.span_id:016x}") if here.is_valid else ("", "")


_EXPORTERS = {"traces": "trace_exporter", "metrics": "metric_exporter", "logs": "_log_exporter"}
_CLASSES = {"traces": "OTLPSpanExporter", "metrics": "OTLPMetricExporter", "logs": "OTLPLogExporter"}


def protocol(signal: str) -> str:
    """'http/protobuf' unless the variables say 'grpc'. Raises BadInput for any other."""
    named = os.environ.get(f"OTEL_EXPORTER_OTLP_{signal.upper()}_PROTOCOL") or os.environ.get(
        "OTEL_EXPORTER_OTLP_PROTOCOL"
    )
    if named not in (None, "", "grpc", "http/protobuf"):
        raise BadInput(f"OTEL_EXPORTER_OTLP_PROTOCOL is {named!r}.", "Use http/protobuf (port 4318) or grpc (4317).")
    return named or "http/protobuf"


def otlp_exporter(signal: str) -> Any:
    """The SDK's exporter, which reads endpoint, headers, time-outs and certificates from the environment by itself.

    Raises BadInput: gRPC without its package."""
    package = "grpc" if protocol(signal) == "grpc" else "http"
    try:
        module = import_module(f"opentelemetry.exporter.otlp.proto.{package}.{_EXPORTERS[signal]}")
    except ImportError as error:
        raise BadInput(
            "OTEL_EXPORTER_OTLP_PROTOCOL=grpc needs the package opentelemetry-exporter-otlp-proto-grpc.",
            "Install it, or send to port 4318 with http/protobuf, the default.",
        ) from error
    return getattr(module, _CLASSES[signal])()


class Telemetry:
    """What runs while telemetry is on."""

    def __init__(
        self,
        signals: Mapping[str, str],
        service: str,
        make_tracer_provider: Callable[..., Any],
        *,
        span_exporter: SpanExporter | None = None,
        metric_reader: MetricReader | None = None,
    ) -> None:
        """Start, for this process.

        Args:
            signals: as `telemetry.wanted` has them.
            service: name of the service where `OTEL_SERVICE_NAME` has none.
            make_tracer_provider: Temporal's, which keeps replays from telling anything twice.
            span_exporter, metric_reader: instead of those that `signals` name (tests, the command line).

        Raises BadInput: a signal is to go somewhere that we do not know.
        """
        for signal, exporter in signals.items():
            if exporter not in ("otlp", "console"):
                raise BadInput(f"OTEL_{signal.upper()}_EXPORTER is {exporter!r}.", "Use otlp, console or none.")
        named = os.environ.get("OTEL_SERVICE_NAME") or "service.name=" in os.environ.get("OTEL_RESOURCE_ATTRIBUTES", "")
        self.resource = Resource.create(
            {"service.instance.id": str(uuid.uuid4()), **({} if named else {"service.name": service})}
        )
        self.tracer_provider: Any = None
        self.meter_provider: MeterProvider | None = None
        self.logger_provider: LoggerProvider | None = None
        self._handler: logging.Handler | None = None
        if "traces" in signals or span_exporter is not None:
            self.tracer_provider = make_tracer_provider(resource=self.resource, shutdown_on_exit=False)
            self.tracer_provider.add_span_processor(_processor(signals.get("traces", ""), span_exporter))
            trace.set_tracer_provider(self.tracer_provider)
        if "metrics" in signals or metric_reader is not None:
            reader = metric_reader or PeriodicExportingMetricReader(_metric_exporter(signals["metrics"]))
            self.meter_provider = MeterProvider([reader], self.resource, shutdown_on_exit=False)
        if signals.get("logs") == "otlp":
            self.logger_provider = LoggerProvider(self.resource, shutdown_on_exit=False)
            self.logger_provider.add_log_record_processor(BatchLogRecordProcessor(otlp_exporter("logs")))
            self._handler = OtlpLogHandler(self.logger_provider)
            logging.getLogger().addHandler(self._handler)
        telemetry.use(SdkBackend(self.tracer_provider, self.meter_provider))

    def stop(self) -> None:
        """Send what is there, for at most a few seconds, and switch off."""
        telemetry.use(None)
        if self._handler is not None:
            logging.getLogger().removeHandler(self._handler)
        for provider in (self.tracer_provider, self.meter_provider, self.logger_provider):
            if provider is not None:
                provider.force_flush(int(FLUSH_SECONDS * 1000))


def _processor(exporter: str, given: SpanExporter | None) -> SpanProcessor:
    if given is not None:
        return SimpleSpanProcessor(given)
    if exporter == "console":
        from schemas.telemetry_console import ConsoleSpans

        return SimpleSpanProcessor(ConsoleSpans(sys.stderr))
    return BatchSpanProcessor(otlp_exporter("traces"))


def _metric_exporter(exporter: str) -> MetricExporter:
    if exporter == "console":
        from schemas.telemetry_console import ConsoleMetrics

        return ConsoleMetrics(sys.stderr)
    found: MetricExporter = otlp_exporter("metrics")
    return found


class OtlpLogHandler(logging.Handler):
    """Log records as OTLP, with the facts that `schemas/logs.py` puts on each line. (The SDK's own handler is deprecated
    in favour of a package for it.)"""

    def __init__(self, provider: LoggerProvider) -> None:
        super().__init__()
        self._provider = provider

    def emit(self, record: logging.LogRecord) -> None:
        # What the exporter logs of itself would be exported, and logged again.
        if record.name.startswith(("opentelemetry", "urllib3", "requests")):
            return
        known = logs.facts_of(record)
        attributes: dict[str, Any] = {f"shelf.{name}": value for name, value in known.items() if name in logs.FACTS}
        if record.exc_info and record.exc_info[0] is not None:
            attributes["exception.type"] = record.exc_info[0].__name__
            attributes["exception.stacktrace"] = logging.Formatter().formatException(record.exc_info)
        self._provider.get_logger(record.name).emit(
            LogRecord(
                timestamp=int(record.created * 1e9),
                observed_timestamp=time.time_ns(),
                context=otel_context.get_current(),
                severity_text=record.levelname,
                severity_number=_SEVERITIES.get(record.levelno, SeverityNumber.INFO),
                body=record.getMessage(),
                attributes=attributes,
            )
        )


_SEVERITIES = {
    logging.DEBUG: SeverityNumber.DEBUG,
    logging.INFO: SeverityNumber.INFO,
    logging.WARNING: SeverityNumber.WARN,
    logging.ERROR: SeverityNumber.ERROR,
    logging.CRITICAL: SeverityNumber.FATAL,
}
