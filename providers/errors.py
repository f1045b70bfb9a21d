"""The closed taxonomy of what a provider call may end in; `kind` goes on ApplicationError.type."""

from __future__ import annotations

MESSAGE_BYTES = 4096
"""Longer bodies are cut: Temporal keeps 4 KB of a failure in mutable state (facts/temporal.md 2.1)."""


class ProviderError(Exception):
    """A call failed. `permanent`: a repeat of the same call would fail alike."""

    kind = "ServerError"
    permanent = False

    def __init__(self, message: str, retry_after_seconds: float | None = None) -> None:
        super().__init__(message[:MESSAGE_BYTES])
        self.message = message[:MESSAGE_BYTES]
        self.retry_after_seconds = retry_after_seconds


class RateLimited(ProviderError):
    """Too many calls; `retry_after_seconds` where the provider says how long."""

    kind = "RateLimited"


class Overloaded(ProviderError):
    """The provider is too busy; asking at once again makes it worse."""

    kind = "Overloaded"


class ServerError(ProviderError):
    """A fault on the provider's side that a repeat may not meet."""

    kind = "ServerError"


class Connection(ProviderError):
    """The request was not sent, or its answer was lost (then it may have been charged)."""

    kind = "Connection"


class QuotaExhausted(ProviderError):
    """No credit or budget: no call of this provider can succeed until somebody acts."""

    kind = "QuotaExhausted"
    permanent = True


class Rejected(ProviderError):
    """The request itself is refused: credentials, size, content, a page that cannot be rendered."""

    kind = "Rejected"
    permanent = True


class BadOutput(ProviderError):
    """An answer came, but it fails its checks: truncated, looping, empty, the wrong page."""

    kind = "BadOutput"
    permanent = True


class EngineCrashed(ServerError):
    """A local engine's process died or ran over its time limit on this page; the page fails alone."""
