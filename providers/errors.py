"""The closed taxonomy of what a provider call may end in; `kind` goes on ApplicationError.type.

Status codes alone do not decide (facts of each provider are in its own file): a classifier looks at the provider, the
status, its own error code and the headers.
"""

from __future__ import annotations

MESSAGE_BYTES = 4096
"""Longer bodies are cut: Temporal keeps 4 KB of a failure in mutable state (facts/temporal.md 2.1)."""


class ProviderError(Exception):
    """A call failed.

    Attributes:
        permanent: a repeat of the same call would fail alike.
        stops: no page is to blame, no call of this provider can succeed until somebody acts: the job drains and pauses.
        cost_usd: what the failed call cost; 0.0 = surely nothing, None = nobody knows (its answer was lost or cannot be
            read): then the high estimate is noted.
        raw: the response as received, kept with the attempt.
        model, input_tokens, output_tokens: as far as the response says.
    """

    kind = "ServerError"
    permanent = False
    stops = False

    def __init__(
        self,
        message: str,
        retry_after_seconds: float | None = None,
        *,
        cost_usd: float | None = 0.0,
        raw: bytes = b"",
        model: str = "",
        input_tokens: int | None = None,
        output_tokens: int | None = None,
    ) -> None:
        super().__init__(message[:MESSAGE_BYTES])
        self.message = message[:MESSAGE_BYTES]
        self.retry_after_seconds = retry_after_seconds
        self.cost_usd = cost_usd
        self.raw = raw
        self.model = model
        self.input_tokens = input_tokens
        self.output_tokens = output_tokens


class RateLimited(ProviderError):
    """Too many calls; `retry_after_seconds` where the provider says how long."""

    kind = "RateLimited"


class Cooling(RateLimited):
    """Not sent: the provider asked for a pause that is not over. `retry_after_seconds` is what is left of it."""


class NotSetAside(ProviderError):
    """Not sent: the calls before it have used up what the job's budget had set aside for this page."""

    kind = "NotSetAside"


class Overloaded(ProviderError):
    """The provider is too busy; asking at once again makes it worse."""

    kind = "Overloaded"


class ServerError(ProviderError):
    """A fault on the provider's side that a repeat may not meet; an answer that is no answer (garbage, half a body)."""

    kind = "ServerError"


class Connection(ProviderError):
    """The request was not sent (`cost_usd` 0.0), or its answer was lost (None: it may have been charged)."""

    kind = "Connection"


class QuotaExhausted(ProviderError):
    """No credit, spending limit or daily quota: no call of this provider can succeed until somebody acts."""

    kind = "QuotaExhausted"
    permanent = True
    stops = True


class Rejected(ProviderError):
    """The request itself is refused: size, content, a page that cannot be rendered."""

    kind = "Rejected"
    permanent = True


class CredentialsRefused(Rejected):
    """The key is missing, wrong, or may not do this. Only a person can mend it."""

    kind = "CredentialsRefused"
    stops = True


class NotServed(Rejected):
    """The model or the address does not exist there: every call would fail alike."""

    kind = "NotServed"
    stops = True


class BadOutput(ProviderError):
    """An answer came and was paid, but it fails its checks: truncated, looping, empty, refused, the wrong shape."""

    kind = "BadOutput"
    permanent = True


class EngineCrashed(ServerError):
    """A local engine's process died or ran over its time limit on this page; the page fails alone."""
