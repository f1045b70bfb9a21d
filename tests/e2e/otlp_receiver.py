"""A receiver of OTLP over HTTP on loopback: what a program exported, decoded."""

from __future__ import annotations

import gzip
import threading
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest


def values(attributes: Any) -> dict[str, Any]:
    found = {}
    for each in attributes:
        which = each.value.WhichOneof("value")
        found[each.key] = getattr(each.value, which) if which else None
    return found


@dataclass(frozen=True)
class Seen:
    """A span as it was received."""

    trace: str
    id: str
    parent: str
    name: str
    attributes: dict[str, Any]
    failed: bool
    seconds: float


@dataclass
class Receiver:
    url: str = ""
    spans: list[Seen] = field(default_factory=list)
    points: dict[tuple[str, tuple[tuple[str, Any], ...], str], tuple[float, int]] = field(default_factory=dict)
    """(metric, attributes, instance) -> (sum, count), the latest of each: they are cumulative."""
    units: dict[str, tuple[str, str]] = field(default_factory=dict)
    """metric -> (unit, kind)."""
    logs: list[dict[str, Any]] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)

    def take(self, path: str, body: bytes) -> None:
        self.bodies.append(body)
        if path.endswith("/v1/traces"):
            self._spans(ExportTraceServiceRequest.FromString(body))
        elif path.endswith("/v1/metrics"):
            self._metrics(ExportMetricsServiceRequest.FromString(body))
        else:
            for resource in ExportLogsServiceRequest.FromString(body).resource_logs:
                for scope in resource.scope_logs:
                    for record in scope.log_records:
                        self.logs.append(
                            {
                                "body": record.body.string_value,
                                "trace": record.trace_id.hex(),
                                **values(record.attributes),
                            }
                        )

    def _spans(self, request: Any) -> None:
        for resource in request.resource_spans:
            for scope in resource.scope_spans:
                for each in scope.spans:
                    self.spans.append(
                        Seen(
                            each.trace_id.hex(),
                            each.span_id.hex(),
                            each.parent_span_id.hex(),
                            each.name,
                            values(each.attributes),
                            each.status.code == 2,
                            (each.end_time_unix_nano - each.start_time_unix_nano) / 1e9,
                        )
                    )

    def _metrics(self, request: Any) -> None:
        for resource in request.resource_metrics:
            instance = values(resource.resource.attributes).get("service.instance.id", "")
            for scope in resource.scope_metrics:
                for metric in scope.metrics:
                    kind = metric.WhichOneof("data")
                    self.units[metric.name] = (metric.unit, kind)
                    for point in getattr(metric, kind).data_points:
                        key = (metric.name, tuple(sorted(values(point.attributes).items())), instance)
                        if kind == "histogram":
                            self.points[key] = (point.sum, point.count)
                        else:
                            self.points[key] = (getattr(point, point.WhichOneof("value")), 1)

    def total(self, metric: str, *by: str, count: bool = False) -> dict[tuple[Any, ...], float]:
        """Sum (of a histogram: of its values, or how many) by some of the attributes."""
        found: dict[tuple[Any, ...], float] = defaultdict(float)
        for (name, attributes, _), (value, number) in self.points.items():
            if name == metric:
                known = dict(attributes)
                found[tuple(known.get(each) for each in by)] += number if count else value
        return dict(found)


@contextmanager
def receiving() -> Iterator[Receiver]:
    receiver = Receiver()
    lock = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            if self.headers.get("content-encoding") == "gzip":
                body = gzip.decompress(body)
            with lock:
                receiver.take(self.path, body)
            self.send_response(200)
            self.send_header("content-type", "application/x-protobuf")
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *arguments: Any) -> None:
            return None

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    receiver.url = f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield receiver
    finally:
        server.shutdown()
        server.server_close()
