"""What the program tells of itself: spans and metrics, and the facts that every log line carries.

Off unless `schemas/telemetry_sdk.py` was started, which only happens where the standard `OTEL_*` variables (or `--otel
console`) ask for it: then every function here costs a look at one variable, and OpenTelemetry is not even imported.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from enum import StrEnum
from types import TracebackType
from typing import TYPE_CHECKING, Any, Protocol, Self

from schemas import semconv

if TYPE_CHECKING:
    from schemas.documents import Metric

Value = str | bool | int | float | Sequence[str] | Sequence[int]
Attributes = Mapping[str, Value | None]
"""None is left out."""

SIGNALS = ("traces", "metrics", "logs")
_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0)
_CONFIDENCE = (50.0, 60.0, 70.0, 75.0, 80.0, 85.0, 90.0, 92.5, 95.0, 97.5, 99.0)


class Kind(StrEnum):
    """Of a span, as OpenTelemetry has them."""

    INTERNAL = "INTERNAL"
    CLIENT = "CLIENT"
    SERVER = "SERVER"


@dataclass(frozen=True, slots=True)
class Instrument:
    """A metric that the program exports."""

    name: str
    kind: str
    """'counter' or 'histogram'."""
    unit: str
    """UCUM; what is in braces is a word for people."""
    description: str
    attributes: tuple[str, ...]
    buckets: tuple[float, ...] = ()


CHAT = "chat"
"""What all our calls of language models are, among the conventions' operations."""

_WORK = (semconv.OPERATION, semconv.PROVIDER)
_MODEL = (*_WORK, semconv.MODEL)
_SERVER = (semconv.SERVER_ADDRESS, semconv.SERVER_PORT, semconv.ERROR_TYPE)

PAGES_SAVED = Instrument(
    "shelf.pages", "counter", "{page}", "Pages (or books) whose result was saved.", (*_WORK, semconv.STATE)
)
ATTEMPTS = Instrument(
    "shelf.attempts", "counter", "{attempt}", "Attempts that reached a provider.", (*_MODEL, semconv.OUTCOME)
)
PAGES_READ = Instrument(
    "shelf.pages.read", "counter", "{page}", "Pages that a provider was asked for and gave.", _MODEL
)
CALLS = Instrument(
    "shelf.provider.calls",
    "counter",
    "{call}",
    "Calls of remote providers, each repeat too, and pages given to local ones, by how that ended.",
    (*_WORK, semconv.OUTCOME),
)
THROTTLED = Instrument(
    "shelf.provider.throttled", "counter", "{call}", "Calls refused because there were too many.", (semconv.PROVIDER,)
)
COOLDOWN = Instrument(
    "shelf.queue.cooldown", "histogram", "s", "Pauses that a provider asked for.", (semconv.PROVIDER,), _SECONDS
)
QUEUE_SECONDS = Instrument(
    "shelf.attempt.queue.duration", "histogram", "s", "From scheduling to start of an attempt.", _WORK, _SECONDS
)
EXECUTION_SECONDS = Instrument(
    "shelf.attempt.execution.duration", "histogram", "s", "From start to end of an attempt.", _WORK, _SECONDS
)
COST = Instrument("shelf.cost.usd", "counter", "{USD}", "Cost of attempts, where it is known.", _MODEL)
COST_UNKNOWN = Instrument(
    "shelf.cost.unknown", "counter", "{attempt}", "Attempts of which nobody knows what they cost.", _MODEL
)
CONFIDENCE = Instrument(
    "shelf.page.confidence", "histogram", "%", "Mean confidence of the words of a saved page.", _WORK, _CONFIDENCE
)
SAVE_CONFLICTS = Instrument(
    "shelf.save.conflicts",
    "counter",
    "{conflict}",
    "Writes that began anew because another was first: 'transaction' (the database said so) or 'revision'.",
    (semconv.CONFLICT,),
)
_TOKENS = (semconv.GEN_AI_OPERATION, semconv.GEN_AI_PROVIDER, semconv.GEN_AI_RESPONSE_MODEL, semconv.OPERATION)
INPUT_TOKENS = Instrument(
    "gen_ai.client.inference.usage.input_tokens", "counter", "{token}", "Tokens in, cached ones too.", _TOKENS
)
OUTPUT_TOKENS = Instrument("gen_ai.client.inference.usage.output_tokens", "counter", "{token}", "Tokens out.", _TOKENS)
INFERENCE_SECONDS = Instrument(
    "gen_ai.client.operation.duration",
    "histogram",
    "s",
    "Calls of language models.",
    (semconv.GEN_AI_OPERATION, semconv.GEN_AI_PROVIDER, semconv.GEN_AI_REQUEST_MODEL, *_SERVER),
    _SECONDS,
)
HTTP_SECONDS = Instrument(
    "http.client.request.duration",
    "histogram",
    "s",
    "HTTP requests, those to DefraDB aside.",
    (semconv.HTTP_METHOD, semconv.HTTP_STATUS, *_SERVER),
    _SECONDS,
)
DB_SECONDS = Instrument(
    "db.client.operation.duration",
    "histogram",
    "s",
    "Operations on DefraDB with their retries.",
    (semconv.DB_SYSTEM, semconv.DB_OPERATION, semconv.DB_COLLECTION, *_SERVER),
    _SECONDS,
)

INSTRUMENTS = (
    *(PAGES_SAVED, PAGES_READ, ATTEMPTS, CALLS, THROTTLED, COOLDOWN, QUEUE_SECONDS, EXECUTION_SECONDS),
    *(COST, COST_UNKNOWN, INPUT_TOKENS, OUTPUT_TOKENS, CONFIDENCE, SAVE_CONFLICTS),
    *(INFERENCE_SECONDS, HTTP_SECONDS, DB_SECONDS),
)
"""Every metric of ours; `docs/telemetry.md` and the dashboards are tested against them."""


class Span:
    """A stretch of work. This base does nothing: it is what there is while telemetry is off."""

    __slots__ = ()

    def set(self, attributes: Attributes) -> None:
        """Add what became known on the way."""

    def event(self, name: str, attributes: Attributes | None = None) -> None:
        """Something that happened at one moment."""

    def fail(self, error_type: str) -> None:
        """Mark as failed without an exception."""

    def end(self, at_nanoseconds: int | None = None) -> None:
        """Of a span of `begin`."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None


class Backend(Protocol):
    """What `schemas/telemetry_sdk.py` does."""

    def span(
        self, name: str, attributes: Attributes, kind: Kind, parent: Span | None, duration: Instrument | None
    ) -> Span:
        """Not begun before it is entered, or `begin` is called."""
        ...

    def begin(self, name: str, attributes: Attributes) -> Span: ...

    def record(self, instrument: Instrument, value: float, attributes: Attributes) -> None: ...

    def current(self) -> tuple[str, str]: ...


NOTHING = Span()
_backend: Backend | None = None
_facts: ContextVar[Mapping[str, Value]] = ContextVar("shelf_facts", default={})  # noqa: B039  never changed in place


def use(backend: Backend | None) -> None:
    """Switch on, or off with None."""
    global _backend  # noqa: PLW0603  one per process, looked at on every call
    _backend = backend


def wanted(environment: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Signal -> 'otlp' or 'console', as the standard variables say; empty = off."""
    if environment.get("OTEL_SDK_DISABLED", "").lower() == "true":
        return {}
    found = {}
    for signal in SIGNALS:
        chosen = environment.get(f"OTEL_{signal.upper()}_EXPORTER", "").strip().lower()
        endpoint = environment.get("OTEL_EXPORTER_OTLP_ENDPOINT") or environment.get(
            f"OTEL_EXPORTER_OTLP_{signal.upper()}_ENDPOINT"
        )
        exporter = chosen or ("otlp" if endpoint else "none")
        if exporter != "none":
            found[signal] = exporter
    return found


def to_console(environment: dict[str, str] | None = None) -> None:
    """`--otel console`: what the standard variables would say, where they say nothing."""
    given: Any = os.environ if environment is None else environment
    for signal in ("TRACES", "METRICS"):
        given.setdefault(f"OTEL_{signal}_EXPORTER", "console")


# The facts of what is being done -------------------------------------------------------------------------------------


@contextlib.contextmanager
def about(**facts: Value | None) -> Iterator[None]:
    """Facts (workflow, book, operation, page, ...) of every log line in the block; book, operation and page also of
    every span."""
    token = _facts.set({**_facts.get(), **{name: value for name, value in facts.items() if value not in (None, "")}})
    try:
        yield
    finally:
        # A workflow that left the cache is finalised in whatever context the garbage collector runs in.
        with contextlib.suppress(ValueError):
            _facts.reset(token)


def facts() -> Mapping[str, Value]:
    """What `about` said."""
    return _facts.get()


def current() -> tuple[str, str]:
    """Trace and span id in hex; '' while off or outside of a span."""
    return ("", "") if _backend is None else _backend.current()


# Spans ---------------------------------------------------------------------------------------------------------------

_SPANNED = {"book": semconv.BOOK, "operation": semconv.OPERATION, "page": semconv.PAGE}


def _with_facts(attributes: Attributes | None) -> dict[str, Value | None]:
    known = {_SPANNED[name]: value for name, value in _facts.get().items() if name in _SPANNED}
    return {**known, **(attributes or {})}


def span(
    name: str,
    attributes: Attributes | None = None,
    *,
    kind: Kind = Kind.INTERNAL,
    parent: Span | None = None,
    duration: Instrument | None = None,
) -> Span:
    """A span for a `with` block; an exception marks it as failed, by its type alone.

    Args:
        parent: instead of the span that is current.
        duration: histogram that takes how long it lasted, with those of the span's attributes that it names.
    """
    if _backend is None:
        return NOTHING
    return _backend.span(name, _with_facts(attributes), kind, parent, duration)


def begin(name: str, attributes: Attributes | None = None) -> Span:
    """A span that is not current, below the one that is; ends with `end()`."""
    return NOTHING if _backend is None else _backend.begin(name, _with_facts(attributes))


def http_request(method: str, url: str, host: str, port: int | None) -> Span:
    """`url` without credentials, query and fragment."""
    if _backend is None:
        return NOTHING
    attributes: Attributes = {
        semconv.HTTP_METHOD: method,
        semconv.SERVER_ADDRESS: host,
        semconv.SERVER_PORT: port,
        semconv.URL_FULL: url,
    }
    return span(method, attributes, kind=Kind.CLIENT, duration=HTTP_SECONDS)


def database(operation: str, collection: str, count: int | None = None) -> Span:
    """An operation of the store, with all its requests; `count` documents or keys."""
    if _backend is None:
        return NOTHING
    attributes: Attributes = {
        semconv.DB_SYSTEM: "defradb",
        semconv.DB_OPERATION: operation,
        semconv.DB_COLLECTION: collection,
        semconv.DB_BATCH_SIZE: count if count is not None and count > 1 else None,
    }
    return span(f"{operation} {collection}", attributes, kind=Kind.CLIENT, duration=DB_SECONDS)


def inference(
    provider: str,
    model: str,
    *,
    operation: str = CHAT,
    host: str = "",
    port: int | None = None,
    max_tokens: int | None = None,
    temperature: float | None = None,
    messages: Any = None,
) -> Span:
    """A call of a language model, around its HTTP requests. `messages` go into the span only by opt-in."""
    if _backend is None:
        return NOTHING
    attributes: Attributes = {
        semconv.GEN_AI_OPERATION: operation,
        semconv.GEN_AI_PROVIDER: provider,
        semconv.GEN_AI_REQUEST_MODEL: model,
        semconv.GEN_AI_MAX_TOKENS: max_tokens,
        semconv.GEN_AI_TEMPERATURE: temperature,
        semconv.SERVER_ADDRESS: host or None,
        semconv.SERVER_PORT: port,
        semconv.GEN_AI_INPUT_MESSAGES: _content(messages),
    }
    return span(f"{operation} {model}", attributes, kind=Kind.CLIENT, duration=INFERENCE_SECONDS)


def answered(
    call: Span,
    *,
    response_id: str = "",
    model: str = "",
    finish_reasons: Sequence[str] = (),
    input_tokens: int | None = None,
    output_tokens: int | None = None,
    cached_tokens: int | None = None,
    messages: Any = None,
) -> None:
    """What a language model answered, on the span of `inference`."""
    call.set(
        {
            semconv.GEN_AI_RESPONSE_ID: response_id or None,
            semconv.GEN_AI_RESPONSE_MODEL: model or None,
            semconv.GEN_AI_FINISH_REASONS: list(finish_reasons) or None,
            semconv.GEN_AI_INPUT_TOKENS: input_tokens,
            semconv.GEN_AI_OUTPUT_TOKENS: output_tokens,
            semconv.GEN_AI_CACHE_READ_TOKENS: cached_tokens,
            semconv.GEN_AI_OUTPUT_MESSAGES: _content(messages),
        }
    )


def _content(messages: Any) -> str | None:
    """Books are private, and so are prompts about them."""
    if messages is None or os.environ.get(semconv.CAPTURE_CONTENT, "").lower() != "true":
        return None
    return json.dumps(messages, ensure_ascii=False, default=str)


# Metrics -------------------------------------------------------------------------------------------------------------


def pages_saved(operation: str, provider: str, state: str, count: int) -> None:
    """`state`: 'complete', 'failed', 'missing' (its artifact was gone) or 'refused' (by the database)."""
    if _backend is not None and count:
        attributes = {semconv.OPERATION: operation, semconv.PROVIDER: provider, semconv.STATE: state}
        _backend.record(PAGES_SAVED, count, attributes)


def attempt_saved(metric: Metric) -> None:
    """A Metric of kind 'attempt' that was written now: the sums of the metrics are those of the documents."""
    if _backend is None:
        return
    work: dict[str, Value | None] = {semconv.OPERATION: metric.operation, semconv.PROVIDER: metric.provider}
    model = {**work, semconv.MODEL: metric.model}
    _backend.record(ATTEMPTS, 1, {**model, semconv.OUTCOME: metric.outcome})
    if metric.read:
        _backend.record(PAGES_READ, metric.read, model)
    for instrument, count in ((INPUT_TOKENS, metric.input_tokens), (OUTPUT_TOKENS, metric.output_tokens)):
        if count:
            attributes = {
                semconv.GEN_AI_OPERATION: CHAT,
                semconv.GEN_AI_PROVIDER: metric.provider,
                semconv.GEN_AI_RESPONSE_MODEL: metric.model,
                semconv.OPERATION: metric.operation,
            }
            _backend.record(instrument, count, attributes)
    if metric.cost_usd is None:
        _backend.record(COST_UNKNOWN, 1, model)
    else:
        _backend.record(COST, metric.cost_usd, model)
    _backend.record(QUEUE_SECONDS, metric.queue_seconds or 0.0, work)
    _backend.record(EXECUTION_SECONDS, metric.execution_seconds or 0.0, work)


def call_ended(operation: str, provider: str, outcome: str) -> None:
    """`outcome`: 'ok', the kind of the error (`providers/errors.py`), or 'unknown': the worker died before the answer."""
    if _backend is not None:
        attributes = {semconv.OPERATION: operation, semconv.PROVIDER: provider, semconv.OUTCOME: outcome}
        _backend.record(CALLS, 1, attributes)


def throttled(provider: str, seconds: float | None) -> None:
    """A provider asked for fewer calls; `seconds` is the pause that it asked for."""
    if _backend is not None:
        _backend.record(THROTTLED, 1, {semconv.PROVIDER: provider})
        if seconds:
            _backend.record(COOLDOWN, seconds, {semconv.PROVIDER: provider})


def confidence_saved(operation: str, provider: str, confidence: float | None) -> None:
    """Mean confidence of a page's words, 0..100."""
    if _backend is not None and confidence is not None:
        _backend.record(CONFIDENCE, confidence, {semconv.OPERATION: operation, semconv.PROVIDER: provider})


def save_conflict(kind: str) -> None:
    """`kind`: 'transaction' or 'revision'."""
    if _backend is not None:
        _backend.record(SAVE_CONFLICTS, 1, {semconv.CONFLICT: kind})
