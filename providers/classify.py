"""What a failed call of a remote service means: rules as data, the first that fits decides.

Status codes alone do not tell: Textract throttles with 400, OpenRouter asks for patience with 402, Anthropic and OpenAI say
"no credit" with 400 and 429, and Google and OpenRouter put errors into answers of status 200 (facts/providers.md A.9).

What the tests cover is what services document and what their SDKs do; nothing here was seen live.
"""

from __future__ import annotations

import html
import json
import re
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from providers.errors import (
    Connection,
    CredentialsRefused,
    NotServed,
    Overloaded,
    ProviderError,
    QuotaExhausted,
    RateLimited,
    Rejected,
    ServerError,
)
from providers.queues import FURTHER_SECRETS, ProviderQueue
from schemas.http import ForbiddenAddress, HttpError, NotSent, Reply


@dataclass(frozen=True, slots=True)
class Rule:
    """All that is given must fit; codes and messages are searched for without regard to capitals."""

    error: type[ProviderError]
    services: tuple[str, ...] = ()
    """Kinds and dialects of `providers/queues.py`; () = all."""
    statuses: tuple[int, ...] = ()
    code: str = ""
    """Fits one of the codes, types, reasons that the body names, all of it."""
    message: str = ""
    """Found in what the body says to people."""
    retry_after: bool | None = None
    """Whether the answer says when to come again."""
    should_retry: bool | None = None
    """Header x-should-retry, which Anthropic's and OpenAI's own clients obey."""


TEXTRACT, GOOGLE, AZURE = ("textract",), ("google-vision",), ("azure-document-intelligence",)
ANTHROPIC, OPENROUTER = ("anthropic",), ("openrouter",)

NO_MONEY = (
    r"credit balance|insufficient (?:credits?|quota|balance|funds)|exceeded your current quota|spend(?:ing)?[ _]limit"
    r"|budget|billing|(?:monthly|daily) (?:\w+ )?(?:limit|quota)|per[- _]?day|api usage limits|call volume quota"
)
"""Of a 402, 403 or 429: waiting seconds does not help."""

RULES: tuple[Rule, ...] = (
    # Textract: nearly everything is a 400, the type tells.
    Rule(
        RateLimited,
        TEXTRACT,
        code="provisionedthroughputexceeded.*|throttl.*|limitexceeded.*|requestlimitexceeded|toomanyrequests.*|slowdown",
    ),
    Rule(ServerError, TEXTRACT, code="internalservererror|internalfailure|requesttimeout.*"),
    Rule(Overloaded, TEXTRACT, code="serviceunavailable.*"),
    Rule(
        CredentialsRefused,
        TEXTRACT,
        code="accessdenied.*|unrecognizedclient.*|invalidsignature.*|signaturedoesnotmatch|incompletesignature.*"
        "|expiredtoken.*|invalidclienttokenid|missingauthenticationtoken.*|notauthorized|optinrequired"
        "|subscriptionrequired.*",
    ),
    Rule(QuotaExhausted, TEXTRACT, code="humanloopquotaexceeded.*"),
    Rule(NotServed, TEXTRACT, code="unknownoperation.*"),
    # Google: names of google.rpc.Code, and reasons of ErrorInfo. A wrong key is a 400.
    Rule(QuotaExhausted, GOOGLE, code="billing_disabled|.*per_?day.*"),
    Rule(QuotaExhausted, GOOGLE, code="resource_exhausted", message=NO_MONEY),
    Rule(
        CredentialsRefused, GOOGLE, code="api_key_.*|service_disabled|consumer_.*|access_token_.*|credentials_missing"
    ),
    Rule(RateLimited, GOOGLE, code="resource_exhausted"),
    Rule(Overloaded, GOOGLE, code="unavailable"),
    Rule(ServerError, GOOGLE, code="internal|deadline_exceeded|aborted|unknown|cancelled|data_loss"),
    Rule(CredentialsRefused, GOOGLE, code="permission_denied|unauthenticated"),
    Rule(NotServed, GOOGLE, code="not_found|unimplemented"),
    Rule(Rejected, GOOGLE, code="invalid_argument|failed_precondition|out_of_range|already_exists"),
    # Azure: the volume of a free tier is a 403.
    Rule(QuotaExhausted, AZURE, (403, 429), message=NO_MONEY),
    Rule(QuotaExhausted, AZURE, code="quotaexceeded"),
    Rule(NotServed, AZURE, code="modelnotfound"),
    Rule(Overloaded, AZURE, code="serviceunavailable|serverbusy"),
    Rule(ServerError, AZURE, code="internalservererror|timeout|operationtimeout"),
    # Anthropic
    Rule(QuotaExhausted, ANTHROPIC, code="enforced_spend_limit_reached|contract_spend_limit_reached|billing_error"),
    Rule(RateLimited, ANTHROPIC, code="ramp_limit_exceeded"),
    Rule(QuotaExhausted, ANTHROPIC, (400, 402, 403, 429), message=r"credit balance|usage limits"),
    Rule(RateLimited, ANTHROPIC, code="rate_limit_error"),
    Rule(Overloaded, ANTHROPIC, code="overloaded_error"),
    Rule(ServerError, ANTHROPIC, code="api_error|timeout_error"),
    # OpenRouter: `error_type` before the status; both are in the body where the status is 200.
    Rule(RateLimited, OPENROUTER, code="openrouter_in_flight_budget"),
    Rule(QuotaExhausted, OPENROUTER, code="openrouter_guardrail_budget|workspace_budget|key_limit"),
    Rule(RateLimited, OPENROUTER, code="payment_required", retry_after=True),
    Rule(QuotaExhausted, OPENROUTER, code="payment_required"),
    Rule(QuotaExhausted, OPENROUTER, code="rate_limit_exceeded", message=NO_MONEY),
    Rule(RateLimited, OPENROUTER, code="rate_limit_exceeded"),
    Rule(Overloaded, OPENROUTER, code="provider_overloaded"),
    Rule(ServerError, OPENROUTER, code="provider_unavailable|server|timeout|image_download_failed"),
    Rule(
        Rejected,
        OPENROUTER,
        code="context_length_exceeded|max_tokens_exceeded|token_limit_exceeded|string_too_long|invalid_request"
        "|invalid_prompt|precondition_failed|payload_too_large|unprocessable|content_policy_violation|refusal"
        "|invalid_image|image_too_(?:large|small)|unsupported_image_format|image_not_found",
    ),
    Rule(CredentialsRefused, OPENROUTER, code="authentication|permission_denied"),
    Rule(NotServed, OPENROUTER, code="not_found"),
    # All
    Rule(QuotaExhausted, code=r"insufficient_quota|insufficient_credits|billing_\w+|.*spend_limit.*|quota_exceeded"),
    Rule(CredentialsRefused, code="invalid_api_key|incorrect_api_key|authentication_error|invalid_authentication"),
    Rule(NotServed, code="model_not_found|invalid_model|model_not_available|not_found_error"),
    Rule(RateLimited, statuses=(400,), message=r"rate limit"),
    Rule(RateLimited, statuses=(402,), retry_after=True),
    Rule(QuotaExhausted, statuses=(402,)),
    Rule(QuotaExhausted, statuses=(403, 429), message=NO_MONEY),
    Rule(QuotaExhausted, statuses=(429,), should_retry=False),
    Rule(RateLimited, statuses=(429,)),
    Rule(Rejected, statuses=(408, 409, *range(500, 600)), should_retry=False),
    Rule(Overloaded, statuses=(503, 529)),
    Rule(ServerError, statuses=(408, 409, 425, *range(500, 600))),
    Rule(Rejected, statuses=(403,), message=r"moderat|flagged|content policy|safety"),
    Rule(CredentialsRefused, statuses=(401, 403, 407)),
    Rule(NotServed, statuses=(404, 405, 410, *range(300, 400))),
    Rule(ServerError, statuses=tuple(range(400, 500)), should_retry=True),
    Rule(Rejected, statuses=tuple(range(400, 500))),
    # 200 and no answer in it.
    Rule(ServerError),
)

PERHAPS_CHARGED = (408, 502, 504, 520, 521, 522, 523, 524)
"""Said by something in front of the service, which may have worked on; any other error was no answer, and is not charged."""

NEXT_STEP: Mapping[type[ProviderError], str] = {
    CredentialsRefused: "Put a valid key into {key_env} of the worker, then resume the job.",
    QuotaExhausted: "Add credit or raise the limit with the service, or name another provider, then resume the job.",
    NotServed: "Check base_url and model of [providers.{name}], then resume the job.",
}

LONGEST_WAIT_SECONDS = 3600.0
"""Asked for by Retry-After: who wants no call for longer has a quota that is used up. A person is told, in place of a job that
waits in silence (one that is paused or cancelled waits as well, for what it has sent)."""

_CODES = {
    "code", "type", "status", "reason", "error_type", "error_code", "provider_code", "limit_source", "__type", "quota_limit"
}  # fmt: skip
_MESSAGES = {"message", "msg", "detail", "error", "title", "raw"}
_SAID_CHARACTERS = 500


def classify(
    row: ProviderQueue,
    reply: Reply,
    what: str = "",
    *,
    error: Mapping[str, Any] | None = None,
    status: int | None = None,
) -> ProviderError:
    """What an answer means that is not the one that was asked for.

    Args:
        what: the page and its book, for the message.
        error: the error inside an answer of status 200; None = the body is the error.
        status: that this error names in place of HTTP's.

    Returns:
        `cost_usd` is None where the service may have charged (an answer of status 200, a gateway's error), `raw` the body;
        neither shows a key.
    """
    body = _body(reply) if error is None else error
    status = reply.status if status is None else status
    # Keys go out before anything is cut off: half a key is no longer found.
    said = redacted(row, " ".join(dict.fromkeys(" ".join(text.split()) for text in _strings(body, _MESSAGES))))
    codes = {_code(value) for value in _strings(body, _CODES)} - {"", "error"}
    if name := reply.headers.get("x-amzn-errortype"):
        codes.add(_code(name))
    retry_after = retry_after_seconds(reply.headers, body)
    should_retry = {"true": True, "false": False}.get(reply.headers.get("x-should-retry", "").lower())
    kind = next(
        rule for rule in RULES if _fits(rule, row.dialect or row.kind, status, codes, said, retry_after, should_retry)
    ).error
    wait = ""
    if kind is RateLimited and retry_after is not None and retry_after > LONGEST_WAIT_SECONDS:
        kind = QuotaExhausted
        wait = f" (it wants no call before {_clock(time.time() + retry_after)})"
    names = ", ".join(sorted(codes - {str(status)}))
    message = (
        f"{row.name} answered {status}{f' ({names})' if names else ''}{f' on {what}' if what else ''}"
        f"{f': {said[:_SAID_CHARACTERS]}' if said else ''}".rstrip(".")
        + wait
    )
    return kind(
        redacted(row, f"{message}.{_next_step(row, kind)}"),
        retry_after,
        cost_usd=None if reply.status < 300 or reply.status in PERHAPS_CHARGED else 0.0,
        raw=redacted_bytes(row, reply.body),
    )


def _fits(
    rule: Rule,
    service: str,
    status: int,
    codes: set[str],
    said: str,
    retry_after: float | None,
    should_retry: bool | None,
) -> bool:
    return (
        (not rule.services or service in rule.services)
        and (not rule.statuses or status in rule.statuses)
        and (not rule.code or any(re.fullmatch(rule.code, code) for code in codes))
        and (not rule.message or re.search(rule.message, said, re.IGNORECASE) is not None)
        and (rule.retry_after is None or rule.retry_after == (retry_after is not None))
        and (rule.should_retry is None or rule.should_retry == should_retry)
    )


def transport_error(row: ProviderQueue, error: HttpError, what: str = "") -> ProviderError:
    """A request without an answer: surely not sent (costs nothing), or its answer lost (nobody knows)."""
    message = redacted(row, f"{row.name} gave no answer{f' on {what}' if what else ''}: {error}")
    if isinstance(error, ForbiddenAddress):
        return NotServed(message)
    return Connection(message, cost_usd=0.0 if isinstance(error, NotSent) else None)


def unreadable(row: ProviderQueue, reply: Reply, why: str, what: str = "") -> ServerError:
    """An answer of status 200 that is none: garbage, or not of the documented shape. Nobody knows whether it is charged."""
    message = f"{row.name} gave an answer{f' on {what}' if what else ''} that cannot be read: {why}."
    return ServerError(redacted(row, message), cost_usd=None, raw=redacted_bytes(row, reply.body))


# Keys


def secrets(row: ProviderQueue) -> list[str]:
    """What must not be shown, longest first: the values of the variables that hold a row's credentials."""
    import os

    names = (row.key_env, *FURTHER_SECRETS)
    values = {os.environ.get(name, "").strip() for name in names if name}
    # Anything shorter is no key, and would be taken out of every sentence.
    return sorted((value for value in values if len(value) >= 6), key=len, reverse=True)


def redacted(row: ProviderQueue, text: str) -> str:
    """`text` without the keys: services quote them in their refusals."""
    for secret in secrets(row):
        text = text.replace(secret, "[key]")
    return text


def redacted_bytes(row: ProviderQueue, body: bytes) -> bytes:
    """The same of a body as received."""
    for secret in secrets(row):
        body = body.replace(secret.encode(), b"[key]")
    return body


# Waiting


def retry_after_seconds(headers: Mapping[str, str], body: Any = None, now: float | None = None) -> float | None:
    """How long the service asks to wait: `retry-after-ms`, `retry-after` in seconds or as an HTTP date, or google.rpc.RetryInfo
    in the body; None where it says nothing that makes sense. A date in the past is 0; `now` is the service's own, if it says."""
    milliseconds = _number(headers.get("retry-after-ms", ""))
    if milliseconds is not None:
        return milliseconds / 1000
    value = headers.get("retry-after", "").strip()
    seconds = _number(value)
    if seconds is not None:
        return seconds
    if value:
        try:
            if now is None:
                # By the service's clock: ours may be wrong by minutes.
                now = _moment(headers["date"]) if "date" in headers else time.time()
            return max(0.0, _moment(value) - now)
        except (ValueError, OverflowError):
            pass
    for delay in _strings(body, {"retrydelay"}):
        seconds = _number(delay.removesuffix("s"))
        if seconds is not None:
            return seconds
    return None


def _moment(value: str) -> float:
    """Unix seconds of an HTTP date. Raises ValueError, OverflowError."""
    return parsedate_to_datetime(value).timestamp()


def _clock(moment: float) -> str:
    """For people; a time that no calendar has is as far as one goes."""
    try:
        return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%d %H:%M UTC")
    except (ValueError, OverflowError, OSError):
        return "the end of time"


def _number(value: str) -> float | None:
    return float(value) if re.fullmatch(r"\d{1,9}(?:\.\d*)?", value.strip()) else None


# Bodies


def _body(reply: Reply) -> Any:
    """What the body says; a page of HTML, from a gateway, as the message that it is."""
    try:
        return reply.json()
    except (ValueError, RecursionError):
        text = html.unescape(re.sub(r"(?s)<(script|style)\b.*?</\1>|<[^>]*>", " ", reply.text))
        return {"message": text}


def _strings(value: Any, names: set[str], depth: int = 8) -> Iterator[str]:
    """Strings and numbers under these names (in small letters), wherever they are; JSON inside a string is looked into, for
    OpenRouter passes on what its providers said."""
    if not depth:
        return
    if isinstance(value, list):
        for item in value:
            yield from _strings(item, names, depth - 1)
    elif isinstance(value, Mapping):
        for name, item in value.items():
            if isinstance(item, str) and item.lstrip()[:1] == "{":
                try:
                    item = json.loads(item)
                except (ValueError, RecursionError):
                    pass
            if isinstance(item, Mapping | list):
                yield from _strings(item, names, depth - 1)
            elif name.lower() in names and isinstance(item, str | int):
                yield str(item)


def _code(value: str) -> str:
    """A code as the rules have it: Amazon puts a namespace before its types and an address behind."""
    return value.rpartition("#")[2].partition(":")[0].strip().lower()


def _next_step(row: ProviderQueue, kind: type[ProviderError]) -> str:
    step = NEXT_STEP.get(kind)
    return f" {step.format(name=row.name, key_env=row.key_env or 'the key')}" if step else ""
