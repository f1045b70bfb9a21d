"""A loopback HTTP server whose answers are scripted, with a log of everything that was asked of it.

It runs in a thread of the test's process, so that workers in other processes, killed or not, meet the same server and its
log is there in the end. Each protocol is a set of handlers (`ocr_services.py` has those of the OCR services):

    service = Mistral()
    with ScriptedServer(service.handlers()) as server:
        server.script(service.errors["rate-limited"], half(GOOD), None)    # the next three requests; None = as usual
        server.rule = lambda request: garbage() if request.number % 7 == 0 else None   # of all the others
        ...
        assert most_begun(server.log, 1.0) <= 7
"""

from __future__ import annotations

import json
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

CREDENTIALS = ("authorization", "x-api-key", "x-goog-api-key", "ocp-apim-subscription-key")
"""Headers in which services look for a key."""


@dataclass(frozen=True, slots=True)
class Request:
    """What arrived."""

    number: int
    """1-based, in the order of arrival."""
    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    """Names in lower case; the key is among them: tests compare it, nothing prints it."""
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def authorized(self) -> bool:
        """Whether some credentials came along."""
        return any(name in self.headers for name in CREDENTIALS)


@dataclass(frozen=True, slots=True)
class Answer:
    """What is sent back."""

    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    charge_usd: float = 0.0
    """What the service puts on the bill for it, whether or not the answer arrives."""
    delay_seconds: float = 0.0
    """Before the first byte."""
    cut: int | None = None
    """Bytes of the body after which the connection is closed, although all of it was announced."""
    silent: bool = False
    """Close the connection without a byte."""
    note: str = ""
    """For the log: what kind of answer it was."""


@dataclass(slots=True)
class Entry:
    """One request and its end, times by `time.monotonic` (one clock for all processes of a machine)."""

    request: Request
    arrived: float
    left: float | None = None
    """When the last byte was sent, or the connection was found broken; None = still being answered."""
    status: int = 0
    charge_usd: float = 0.0
    note: str = ""
    delivered: bool = False
    """Whether all of the answer was handed to the network: the caller may have died all the same."""

    @property
    def authorized(self) -> bool:
        return self.request.authorized


Handler = Callable[[Request], Answer]
Step = Answer | Handler | None


class ScriptedServer:
    """Args:
    handlers: "METHOD /path" -> who answers; the longest path that the request's begins with is taken.
    """

    def __init__(self, handlers: Mapping[str, Handler]) -> None:
        self.handlers = dict(handlers)
        self.log: list[Entry] = []
        self.rule: Callable[[Request], Answer | None] | None = None
        """Asked before the handler, after the script; None = as usual."""
        self._script: deque[tuple[str, Step]] = deque()
        self._lock = threading.Lock()
        self._server = _Server(("127.0.0.1", 0), _bound(self))
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    @property
    def charged_usd(self) -> float:
        """The bill so far."""
        return sum(entry.charge_usd for entry in self.log)

    def script(self, *steps: Step, method: str = "") -> None:
        """What the next requests (with that method) get, one each; None = as usual. May be called again to add more."""
        with self._lock:
            self._script.extend((method, step) for step in steps)

    def handler(self, request: Request) -> Handler:
        """Who answers such a request when nothing is scripted."""
        fitting = [
            (len(path), handler)
            for method, _, path in (key.partition(" ") for key in self.handlers)
            if method == request.method and request.path.startswith(path)
            for handler in [self.handlers[f"{method} {path}"]]
        ]
        return max(fitting, key=lambda pair: pair[0])[1] if fitting else _nobody

    def answer(self, request: Request) -> Answer:
        with self._lock:
            step: Step = None
            for position, (method, scripted) in enumerate(self._script):
                if method in ("", request.method):
                    step = scripted
                    del self._script[position]
                    break
        if isinstance(step, Answer):
            return step
        if step is not None:
            return step(request)
        ruled = self.rule(request) if self.rule is not None else None
        return ruled if ruled is not None else self.handler(request)(request)

    def enter(self, method: str, target: str, headers: Mapping[str, str], body: bytes) -> Entry:
        parts = urlsplit(target)
        query = {name: values[-1] for name, values in parse_qs(parts.query).items()}
        with self._lock:
            request = Request(len(self.log) + 1, method, parts.path, query, headers, body)
            entry = Entry(request, time.monotonic())
            self.log.append(entry)
        return entry

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False  # a slow answer must not hold up the end of the test
    request_queue_size = 128

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A caller that went away is part of the tests."""


def _bound(server: ScriptedServer) -> type[BaseHTTPRequestHandler]:
    class Connection(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def _serve(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            headers = {name.lower(): value for name, value in self.headers.items()}
            entry = server.enter(self.command, self.path, headers, body)
            try:
                answer = server.answer(entry.request)
                entry.status, entry.note, entry.charge_usd = answer.status, answer.note, answer.charge_usd
                if answer.delay_seconds:
                    time.sleep(answer.delay_seconds)
                self._send(answer)
                entry.delivered = answer.cut is None and not answer.silent
            finally:
                entry.left = time.monotonic()

        do_GET = do_POST = do_PUT = do_DELETE = _serve

        def _send(self, answer: Answer) -> None:
            if answer.silent:
                self.close_connection = True
                return
            self.send_response(answer.status)
            for name, value in {"content-type": "application/json", **answer.headers}.items():
                self.send_header(name, value)
            self.send_header("content-length", str(len(answer.body)))
            self.end_headers()
            self.wfile.write(answer.body[: answer.cut])
            self.wfile.flush()
            if answer.cut is not None:
                self.close_connection = True

        def log_message(self, format: str, *args: Any) -> None:
            """The log is kept by the server."""

    return Connection


def _nobody(request: Request) -> Answer:
    return json_answer({"message": f"no such route: {request.method} {request.path}"}, 404, note="no route")


# Answers


def json_answer(
    value: Any, status: int = 200, *, headers: Mapping[str, str] | None = None, charge_usd: float = 0.0, note: str = ""
) -> Answer:
    """`value` as JSON."""
    return Answer(status, json.dumps(value, ensure_ascii=False).encode(), headers or {}, charge_usd, note=note)


def slow(answer: Answer, seconds: float) -> Answer:
    """The same, later."""
    return replace(answer, delay_seconds=seconds)


def half(answer: Answer) -> Answer:
    """The connection breaks in the middle of the body; the bill stays."""
    return replace(answer, cut=len(answer.body) // 2, note="half")


def hung_up(charge_usd: float = 0.0) -> Answer:
    """The connection breaks before the answer."""
    return Answer(silent=True, charge_usd=charge_usd, note="hung up")


def garbage(charge_usd: float = 0.0) -> Answer:
    """200, and what follows is no JSON."""
    return Answer(body=b"<html>everything is fine</html>", charge_usd=charge_usd, note="garbage")


def wrong_json(charge_usd: float = 0.0) -> Answer:
    """200 and JSON, but nothing that the service's documentation knows."""
    return json_answer({"unexpected": [1, 2, 3]}, charge_usd=charge_usd, note="wrong JSON")


def after(answer: Answer, retry_after: float | str) -> Answer:
    """The same, with Retry-After."""
    return replace(answer, headers={**answer.headers, "retry-after": str(retry_after)})


# What the log says


def most_begun(log: Iterable[Entry], seconds: float) -> int:
    """The most requests that arrived within any window of so many seconds."""
    times = sorted(entry.arrived for entry in log)
    most = first = 0
    for last, arrived in enumerate(times):
        while times[first] <= arrived - seconds:
            first += 1
        most = max(most, last - first + 1)
    return most


def most_in_flight(log: Sequence[Entry]) -> int:
    """The most requests that were being answered at one time."""
    end = time.monotonic()
    # At the same instant the one that leaves goes first.
    events = sorted(
        event for entry in log for event in ((entry.arrived, 1), (entry.left if entry.left is not None else end, -1))
    )
    now = most = 0
    for _, change in events:
        now += change
        most = max(most, now)
    return most
