"""What failed calls mean: the table of facts/providers.md A.9, and the bodies that services document."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest

from providers.classify import RULES, classify, retry_after_seconds, transport_error, unreadable
from providers.errors import ProviderError
from providers.queues import provider_queues
from schemas.http import AnswerLost, ForbiddenAddress, NotSent, Reply

QUEUES = provider_queues()
KEY = "sk-live-0123456789abcdef"


def reply(status: int, body: Any = None, **headers: str) -> Reply:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode() if body is not None else b""
    return Reply(status, {name.replace("_", "-"): value for name, value in headers.items()}, raw)


def google(code: int, status: str, message: str = "", **info: Any) -> dict[str, Any]:
    details = [{"@type": "type.googleapis.com/google.rpc.ErrorInfo", **info}] if info else []
    return {"error": {"code": code, "status": status, "message": message, "details": details}}


def openrouter(code: int, error_type: str = "", message: str = "", **metadata: Any) -> dict[str, Any]:
    return {"error": {"code": code, "message": message, "metadata": {"error_type": error_type, **metadata}}}


def anthropic(kind: str, message: str = "", error_code: str = "") -> dict[str, Any]:
    details = {"error_code": error_code} if error_code else None
    return {"type": "error", "error": {"type": kind, "message": message, "details": details}, "request_id": "req_1"}


def openai(message: str, kind: str | None = None, code: str | None = None) -> dict[str, Any]:
    return {"error": {"message": message, "type": kind, "param": None, "code": code}}


def aws(kind: str) -> dict[str, Any]:
    return {"__type": f"com.amazonaws.textract#{kind}", "message": "…"}


def azure(code: str, message: str = "", inner: str = "") -> dict[str, Any]:
    return {"error": {"code": code, "message": message, "innererror": {"code": inner, "message": message}}}


# (provider, answer, kind, retry after, cost)
TABLE: list[tuple[str, Reply, str, float | None, float | None]] = [
    # Statuses alone, of a service that says nothing more
    *(("mistral", reply(status), kind, None, 0.0) for status, kind in {
        400: "Rejected", 401: "CredentialsRefused", 402: "QuotaExhausted", 403: "CredentialsRefused", 404: "NotServed",
        405: "NotServed", 409: "ServerError", 413: "Rejected", 415: "Rejected", 422: "Rejected",
        425: "ServerError", 429: "RateLimited", 451: "Rejected", 500: "ServerError", 503: "Overloaded", 529: "Overloaded",
        301: "NotServed",
    }.items()),
    # A gateway in front of the service may have let it work on: nobody knows what that cost.
    *(("mistral", reply(status), "ServerError", None, None) for status in (408, 502, 504, 520, 521, 522, 523, 524)),
    ("mistral", reply(502, b"<html><head><title>502</title></head><body>Bad Gateway</body></html>"), "ServerError", None, None),
    # Mistral
    ("mistral", reply(429, {"object": "error", "message": "Rate limit exceeded", "type": "rate_limited", "code": "1300"},
                      retry_after="7"), "RateLimited", 7.0, 0.0),
    ("mistral", reply(429, {"message": "Monthly spending limit reached"}), "QuotaExhausted", None, 0.0),
    ("mistral", reply(400, {"message": "Invalid model: x", "type": "invalid_model", "code": "1500"}), "NotServed", None, 0.0),
    ("mistral", reply(422, {"detail": [{"loc": ["body"], "msg": "Field required", "type": "missing"}]}), "Rejected", None, 0.0),
    ("mistral", reply(401, {"detail": "Unauthorized"}), "CredentialsRefused", None, 0.0),
    # Google
    ("google-vision", reply(429, {"error": {"code": 429, "status": "RESOURCE_EXHAUSTED", "message": "Quota exceeded for "
     "quota metric 'Requests' and limit 'Requests per minute'", "details": [
         {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "RATE_LIMIT_EXCEEDED",
          "metadata": {"quota_limit": "RequestsPerMinutePerProject"}},
         {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "12.5s"}]}}), "RateLimited", 12.5, 0.0),
    ("google-vision", reply(429, google(429, "RESOURCE_EXHAUSTED", "Quota exceeded", reason="RATE_LIMIT_EXCEEDED",
                                        metadata={"quota_limit": "RequestsPerDayPerProject"})), "QuotaExhausted", None, 0.0),
    ("google-vision", reply(400, google(400, "INVALID_ARGUMENT", "API key not valid.", reason="API_KEY_INVALID")),
     "CredentialsRefused", None, 0.0),
    ("google-vision", reply(403, google(403, "PERMISSION_DENIED", "…", reason="BILLING_DISABLED")), "QuotaExhausted", None, 0.0),
    ("google-vision", reply(403, google(403, "PERMISSION_DENIED", "…", reason="SERVICE_DISABLED")),
     "CredentialsRefused", None, 0.0),
    ("google-vision", reply(403, google(403, "PERMISSION_DENIED", "The caller has no permission")),
     "CredentialsRefused", None, 0.0),
    ("google-vision", reply(400, google(400, "INVALID_ARGUMENT", "Bad image data.")), "Rejected", None, 0.0),
    ("google-vision", reply(500, google(500, "INTERNAL")), "ServerError", None, 0.0),
    ("google-vision", reply(503, google(503, "UNAVAILABLE")), "Overloaded", None, 0.0),
    ("google-vision", reply(504, google(504, "DEADLINE_EXCEEDED")), "ServerError", None, None),
    # Azure
    ("azure-document-intelligence", reply(429, azure("429", "exceeded the rate"), retry_after="1"), "RateLimited", 1.0, 0.0),
    ("azure-document-intelligence", reply(403, azure("403", "Out of call volume quota for the F0 pricing tier.")),
     "QuotaExhausted", None, 0.0),
    ("azure-document-intelligence", reply(401, azure("401", "Access denied")), "CredentialsRefused", None, 0.0),
    ("azure-document-intelligence", reply(404, azure("NotFound", "…", "ModelNotFound")), "NotServed", None, 0.0),
    ("azure-document-intelligence", reply(400, azure("InvalidRequest", "…", "InvalidContentLength")), "Rejected", None, 0.0),
    ("azure-document-intelligence", reply(500, azure("InternalServerError")), "ServerError", None, 0.0),
    # Textract: 400 for nearly everything
    *(("textract", reply(400, aws(kind)), "RateLimited", None, 0.0) for kind in (
        "ProvisionedThroughputExceededException", "ThrottlingException", "LimitExceededException")),
    ("textract", reply(400, b"{}", x_amzn_errortype="ThrottlingException:http://internal.amazon.com/coral/"),
     "RateLimited", None, 0.0),
    ("textract", reply(500, aws("InternalServerError")), "ServerError", None, 0.0),
    *(("textract", reply(400, aws(kind)), "Rejected", None, 0.0) for kind in (
        "BadDocumentException", "UnsupportedDocumentException", "DocumentTooLargeException", "InvalidParameterException",
        "InvalidS3ObjectException", "IdempotentParameterMismatchException")),
    *(("textract", reply(400, aws(kind)), "CredentialsRefused", None, 0.0) for kind in (
        "AccessDeniedException", "UnrecognizedClientException", "InvalidSignatureException", "ExpiredTokenException")),
    ("textract", reply(402, aws("HumanLoopQuotaExceededException")), "QuotaExhausted", None, 0.0),
    # OpenRouter
    ("openrouter", reply(402, openrouter(402, "payment_required", limit_source="openrouter_in_flight_budget"),
                         retry_after="3"), "RateLimited", 3.0, 0.0),
    ("openrouter", reply(402, openrouter(402, "payment_required", "…"), retry_after="3"), "RateLimited", 3.0, 0.0),
    ("openrouter", reply(402, openrouter(402, "payment_required", "Insufficient credits")), "QuotaExhausted", None, 0.0),
    ("openrouter", reply(403, openrouter(403, "permission_denied", "…", limit_source="key_limit", resets_at="2026-12-01")),
     "QuotaExhausted", None, 0.0),
    ("openrouter", reply(403, openrouter(403, "content_policy_violation", "flagged")), "Rejected", None, 0.0),
    ("openrouter", reply(400, openrouter(400, "", "document parsing engine is currently rate limited")),
     "RateLimited", None, 0.0),
    ("openrouter", reply(429, openrouter(429, "rate_limit_exceeded", "Rate limit exceeded: free-models-per-day")),
     "QuotaExhausted", None, 0.0),
    ("openrouter", reply(429, openrouter(429, "rate_limit_exceeded", "Rate limit exceeded"), retry_after_ms="1500"),
     "RateLimited", 1.5, 0.0),
    ("openrouter", reply(503, openrouter(503, "provider_overloaded")), "Overloaded", None, 0.0),
    ("openrouter", reply(502, openrouter(502, "provider_unavailable")), "ServerError", None, None),
    ("openrouter", reply(400, openrouter(400, "context_length_exceeded")), "Rejected", None, 0.0),
    ("openrouter", reply(404, openrouter(404, "not_found", "No endpoints found")), "NotServed", None, 0.0),
    ("openrouter", reply(429, openrouter(429, "", "Provider returned error",
     raw='{"error": {"code": "insufficient_quota"}}')), "QuotaExhausted", None, 0.0),
    # Anthropic
    ("anthropic", reply(429, anthropic("rate_limit_error"), retry_after="20"), "RateLimited", 20.0, 0.0),
    ("anthropic", reply(429, anthropic("rate_limit_error", "…", "enforced_spend_limit_reached")), "QuotaExhausted", None, 0.0),
    ("anthropic", reply(429, anthropic("rate_limit_error", "…", "ramp_limit_exceeded"), retry_after="9"),
     "RateLimited", 9.0, 0.0),
    ("anthropic", reply(400, anthropic("invalid_request_error", "Your credit balance is too low to access the API.")),
     "QuotaExhausted", None, 0.0),
    ("anthropic", reply(400, anthropic("invalid_request_error", "You have reached your specified API usage limits.")),
     "QuotaExhausted", None, 0.0),
    ("anthropic", reply(400, anthropic("invalid_request_error", "max_tokens: required")), "Rejected", None, 0.0),
    ("anthropic", reply(529, anthropic("overloaded_error")), "Overloaded", None, 0.0),
    ("anthropic", reply(500, anthropic("api_error")), "ServerError", None, 0.0),
    ("anthropic", reply(401, anthropic("authentication_error")), "CredentialsRefused", None, 0.0),
    ("anthropic", reply(404, anthropic("not_found_error", "model: x")), "NotServed", None, 0.0),
    ("anthropic", reply(413, b"<html><h1>413 Request Entity Too Large</h1></html>"), "Rejected", None, 0.0),
    # OpenAI and those that speak like it
    ("openai", reply(429, openai("You exceeded your current quota", "insufficient_quota", "insufficient_quota")),
     "QuotaExhausted", None, 0.0),
    ("openai", reply(429, openai("Rate limit reached for requests", "requests", "rate_limit_exceeded")),
     "RateLimited", None, 0.0),
    ("openai", reply(429, openai("…"), x_should_retry="false"), "QuotaExhausted", None, 0.0),
    ("openai", reply(500, openai("…"), x_should_retry="false"), "Rejected", None, 0.0),
    ("openai", reply(400, openai("…"), x_should_retry="true"), "ServerError", None, 0.0),
    ("openai", reply(401, openai("Incorrect API key", "invalid_request_error", "invalid_api_key")),
     "CredentialsRefused", None, 0.0),
    ("openai", reply(404, openai("The model x does not exist", None, "model_not_found")), "NotServed", None, 0.0),
    ("llamacpp", reply(503, {"error": {"code": 503, "message": "Loading model", "type": "unavailable_error"}}),
     "Overloaded", None, 0.0),
    ("ollama", reply(404, {"error": "model 'x' not found"}), "NotServed", None, 0.0),
    ("deepinfra", reply(429, {"detail": {"error": "Model busy, retry later"}}), "RateLimited", None, 0.0),
]  # fmt: skip


@pytest.mark.parametrize(
    ("provider", "answer", "kind", "retry_after", "cost"),
    TABLE,
    ids=[f"{n}-{row[0]}-{row[1].status}" for n, row in enumerate(TABLE)],
)
def test_table(provider: str, answer: Reply, kind: str, retry_after: float | None, cost: float | None) -> None:
    error = classify(QUEUES[provider], answer, "page 7 of a-day")
    assert (error.kind, error.retry_after_seconds, error.cost_usd) == (kind, retry_after, cost)
    assert error.message.startswith(f"{provider} answered {answer.status}")
    assert "on page 7 of a-day" in error.message
    assert error.raw == answer.body


def test_every_rule_of_the_table_decides_something() -> None:
    """A rule that an earlier one hides, or that no documented answer reaches, is a mistake or dead."""
    import providers.classify as module

    reached = set()
    fits = module._fits

    def noting(rule: Any, *rest: Any) -> bool:
        fitted = fits(rule, *rest)
        if fitted:
            reached.add(RULES.index(rule))
        return fitted

    module._fits = noting
    try:
        for provider, answer, *_ in TABLE:
            classify(QUEUES[provider], answer)
        for provider, error, status, _ in INSIDE:
            classify(QUEUES[provider], reply(200), error=error, status=status)
        for provider, answer in FURTHER:
            classify(QUEUES[provider], answer)
    finally:
        module._fits = fits
    assert [RULES[number] for number in range(len(RULES)) if number not in reached] == []


FURTHER: list[tuple[str, Reply]] = [
    ("textract", reply(503, aws("ServiceUnavailableException"))),
    ("textract", reply(400, aws("UnknownOperationException"))),
    ("google-vision", reply(404, google(404, "NOT_FOUND"))),
    ("google-vision", reply(429, google(429, "RESOURCE_EXHAUSTED", "Daily limit: 1800 units per day"))),
    ("azure-document-intelligence", reply(403, azure("QuotaExceeded", "…"))),
    ("azure-document-intelligence", reply(503, azure("ServiceUnavailable"))),
    ("openrouter", reply(403, openrouter(403, "permission_denied", "…"))),
    ("deepinfra", reply(402)),
    ("deepinfra", reply(402, retry_after="2")),
    ("vllm", reply(403, {"error": {"message": "the input was flagged by moderation"}})),
]

INSIDE: list[tuple[str, dict[str, Any], int | None, str]] = [
    ("google-vision", {"code": 3, "status": "INVALID_ARGUMENT", "message": "Bad image data."}, None, "Rejected"),
    ("google-vision", {"code": 7, "status": "PERMISSION_DENIED"}, None, "CredentialsRefused"),
    ("google-vision", {"code": 8, "status": "RESOURCE_EXHAUSTED"}, None, "RateLimited"),
    ("google-vision", {"code": 13, "status": "INTERNAL"}, None, "ServerError"),
    ("google-vision", {"code": 14, "status": "UNAVAILABLE"}, None, "Overloaded"),
    (
        "openrouter",
        {"code": 429, "message": "…", "metadata": {"error_type": "rate_limit_exceeded"}},
        429,
        "RateLimited",
    ),
    ("openrouter", {"code": 502, "message": "…"}, 502, "ServerError"),
    ("openrouter", {"code": 0, "message": "?"}, None, "ServerError"),
]


@pytest.mark.parametrize(("provider", "error", "status", "kind"), INSIDE)
def test_an_error_inside_an_answer_of_status_200_may_have_cost_something(
    provider: str, error: dict[str, Any], status: int | None, kind: str
) -> None:
    found = classify(QUEUES[provider], reply(200, {"responses": [{"error": error}]}), error=error, status=status)
    assert (found.kind, found.cost_usd) == (kind, None)


class TestRetryAfter:
    NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)

    @pytest.mark.parametrize(
        ("headers", "seconds"),
        [
            ({"retry-after": "5"}, 5.0),
            ({"retry-after": " 0.5 "}, 0.5),
            ({"retry-after-ms": "1500", "retry-after": "2"}, 1.5),
            ({"retry-after": format_datetime(NOW + timedelta(seconds=90), usegmt=True)}, 90.0),
            ({"retry-after": format_datetime(NOW - timedelta(seconds=90), usegmt=True)}, 0.0),
            ({"retry-after": "soon"}, None),
            ({"retry-after": "-3"}, None),
            ({"retry-after": "nan"}, None),
            ({"retry-after": "1e400"}, None),
            ({}, None),
        ],
    )
    def test_headers(self, headers: dict[str, str], seconds: float | None) -> None:
        assert retry_after_seconds(headers, now=self.NOW.timestamp()) == seconds

    def test_a_date_goes_by_the_clock_of_the_service(self) -> None:
        """Ours may be wrong by minutes: the wait would be none, or far too long."""
        later = format_datetime(self.NOW + timedelta(seconds=90), usegmt=True)
        assert retry_after_seconds({"retry-after": later, "date": format_datetime(self.NOW, usegmt=True)}) == 90.0
        assert retry_after_seconds({"retry-after": later, "date": "yesterday"}) is None

    @pytest.mark.parametrize(
        ("seconds", "kind"),
        [("60", "RateLimited"), ("3600", "RateLimited"), ("3601", "QuotaExhausted"), ("999999999", "QuotaExhausted")],
    )
    def test_who_wants_no_call_for_hours_has_a_quota(self, seconds: str, kind: str) -> None:
        error = classify(QUEUES["mistral"], reply(429, retry_after=seconds), "page 3 of b")
        assert (error.kind, error.stops) == (kind, kind == "QuotaExhausted")
        assert ("it wants no call before " in error.message) is error.stops
        assert ("resume the job" in error.message) is error.stops

    def test_the_header_before_the_body(self) -> None:
        body = {"error": {"details": [{"retryDelay": "12s"}]}}
        assert retry_after_seconds({"retry-after": "2"}, body) == 2.0
        assert retry_after_seconds({}, body) == 12.0
        assert retry_after_seconds({}, {"details": [{"retryDelay": {"seconds": 3}}]}) is None


class TestTransport:
    def test_what_was_not_sent_cost_nothing_and_what_was_lost_nobody_knows(self) -> None:
        not_sent = transport_error(QUEUES["mistral"], NotSent("POST http://x: refused"), "page 3 of b")
        lost = transport_error(QUEUES["mistral"], AnswerLost("POST http://x: no answer within 3 s"))
        assert (not_sent.kind, not_sent.cost_usd, not_sent.permanent) == ("Connection", 0.0, False)
        assert (lost.kind, lost.cost_usd) == ("Connection", None)
        assert "page 3 of b" in not_sent.message

    def test_a_forbidden_address_stops_instead_of_being_tried_again(self) -> None:
        assert transport_error(QUEUES["mistral"], ForbiddenAddress("only loopback")).stops

    def test_an_answer_that_cannot_be_read(self) -> None:
        error = unreadable(QUEUES["mistral"], reply(200, b"<html>"), "not JSON", "page 3 of b")
        assert (error.kind, error.cost_usd, error.raw) == ("ServerError", None, b"<html>")


class TestMessages:
    def said(self, error: ProviderError) -> str:
        return error.message

    def test_they_name_the_next_step(self) -> None:
        assert "MISTRAL_API_KEY" in self.said(classify(QUEUES["mistral"], reply(401)))
        assert "Add credit" in self.said(classify(QUEUES["mistral"], reply(402)))
        assert "[providers.mistral]" in self.said(classify(QUEUES["mistral"], reply(404)))

    def test_html_is_said_in_words(self) -> None:
        page = b"<html><head><style>p {}</style></head><body><h1>502</h1><p>Bad &amp; sad</p></body></html>"
        assert self.said(classify(QUEUES["mistral"], reply(502, page))) == "mistral answered 502: 502 Bad & sad."

    def test_a_key_that_the_service_quotes_is_taken_out(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("OPENAI_API_KEY", KEY)
        answer = reply(401, openai(f"Incorrect API key provided: {KEY}.", None, "invalid_api_key"))
        error = classify(QUEUES["openai"], answer)
        lost = transport_error(QUEUES["openai"], AnswerLost(f"illegal header {KEY}"))
        garbage = unreadable(QUEUES["openai"], reply(200, KEY.encode()), KEY)
        for each in (error, lost, garbage):
            assert KEY not in repr(each) + str(each) + each.message
            assert KEY.encode() not in each.raw
        assert "[key]" in error.message

    def test_half_a_key_is_not_left_where_a_message_is_cut(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("OPENAI_API_KEY", KEY)
        for before in range(470, 500):
            error = classify(QUEUES["openai"], reply(401, openai("x" * before + KEY, None, "invalid_api_key")))
            assert KEY[:8] not in error.message

    def test_bodies_of_any_shape(self) -> None:
        for body in (
            b"",
            b"null",
            b"[]",
            b'"x"',
            b"17",
            b"\xff\xfe",
            b'{"error": null}',
            b'{"error": []}',
            b"[" * 3000,
        ):
            assert classify(QUEUES["openrouter"], reply(500, body)).kind == "ServerError"
