"""`--otel console`: a line per span, a line per metric, for a look without a receiver."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TextIO

from opentelemetry.sdk.metrics.export import MetricExporter, MetricExportResult, MetricsData
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

MARK = "otel span"


class ConsoleSpans(SpanExporter):
    """`otel span TRACE SPAN PARENT|- BEGAN SECONDS ok|error NAME | attributes`: greppable by trace."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        for span in spans:
            self._stream.write(line_of(span) + "\n")
        self._stream.flush()
        return SpanExportResult.SUCCESS


def line_of(span: ReadableSpan) -> str:
    """One span on one line."""
    assert span.start_time is not None
    assert span.end_time is not None
    assert span.context is not None
    began = datetime.fromtimestamp(span.start_time / 1e9, UTC).isoformat(timespec="microseconds")
    seconds = (span.end_time - span.start_time) / 1e9
    state = "ok" if span.status.is_ok else "error"
    parent = f"{span.parent.span_id:016x}" if span.parent is not None else "-"
    said = " ".join(f"{name}={value!s}" for name, value in (span.attributes or {}).items())
    return (
        f"{MARK} {span.context.trace_id:032x} {span.context.span_id:016x} {parent} {began} {seconds:.3f} {state} "
        f"{span.name} | {said}".replace("\n", " ")
    )


@dataclass(frozen=True, slots=True)
class Line:
    """A line of `ConsoleSpans`, read back."""

    trace: str
    span: str
    parent: str
    began: str
    seconds: str
    state: str
    text: str


def read_lines(lines: Iterable[str], trace: str) -> list[Line]:
    """The spans of one trace among the lines of a log."""
    found = []
    for line in lines:
        if line.startswith(f"{MARK} {trace} "):
            parts = line.rstrip("\n").split(" ", 8)
            if len(parts) == 9:
                _, _, trace_id, span, parent, began, seconds, state, text = parts
                found.append(Line(trace_id, span, parent, began, seconds, state, text))
    return found


def tree(lines: Iterable[Line]) -> list[str]:
    """A trace as an indented tree, in order of time; what has lost its parent stands at the margin."""
    known = {line.span: line for line in lines}
    below: dict[str, list[Line]] = {}
    for line in sorted(known.values(), key=lambda each: each.began):
        below.setdefault(line.parent if line.parent in known else "-", []).append(line)
    shown: list[str] = []

    def show(parent: str, depth: int) -> None:
        for line in below.get(parent, []):
            name = line.text.partition(" | ")[0]
            failed = "" if line.state == "ok" else "  failed"
            shown.append(f"{float(line.seconds):9.3f} s  {'  ' * depth}{name}{failed}")
            show(line.span, depth + 1)

    show("-", 0)
    return shown


class ConsoleMetrics(MetricExporter):
    """`otel metric NAME VALUE {attributes}`; of a histogram count and sum."""

    def __init__(self, stream: TextIO) -> None:
        super().__init__()
        self._stream = stream

    def export(self, metrics_data: MetricsData, timeout_millis: float = 10_000, **kwargs: Any) -> MetricExportResult:
        for resource in metrics_data.resource_metrics:
            for scope in resource.scope_metrics:
                for metric in scope.metrics:
                    for point in metric.data.data_points:
                        value = getattr(point, "value", None)
                        shown = f"{value:g}" if value is not None else f"n={point.count} sum={point.sum:g}"  # type: ignore[union-attr]
                        labels = " ".join(f"{name}={each!s}" for name, each in (point.attributes or {}).items())
                        self._stream.write(f"otel metric {metric.name} {shown} {{{labels}}}\n")
        self._stream.flush()
        return MetricExportResult.SUCCESS

    def force_flush(self, timeout_millis: float = 10_000) -> bool:
        return True

    def shutdown(self, timeout_millis: float = 30_000, **kwargs: Any) -> None:
        return None
