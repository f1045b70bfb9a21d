"""One class per cause of failure; each carries its sentence, its next step and its exit code.

Exit codes (documented in the README): 0 done, 1 error, 2 usage, 3 done with gaps (failed pages),
4 paused, 65 bad input, 66 input not found, 69 a server is unavailable, 73 the book is held by another job,
74 the disk is full or not writable, 75 the job was cancelled.
"""

from __future__ import annotations


class ShelfError(Exception):
    """Base of every error that a user may see.

    Attributes:
        message: what happened, to which file, book and page.
        next_step: what the user can do about it; one sentence.
        exit_code: of the command that ends with it.
        retryable: whether Temporal may try the activity again.
    """

    exit_code = 1
    retryable = False

    def __init__(self, message: str, next_step: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.next_step = next_step

    def __str__(self) -> str:
        return f"{self.message} {self.next_step}".strip()


class BadSource(ShelfError):
    """The source cannot be read as a book: not a PDF, empty, truncated, encrypted, no pages, an absurd page."""

    exit_code = 65


class SourceNotFound(ShelfError):
    """The path of a source does not exist."""

    exit_code = 66


class SourceNotAllowed(ShelfError):
    """The path lies outside the roots that the worker may read."""

    exit_code = 66


class BadInput(ShelfError):
    """A job's input has a wrong field, a page range that does not parse, a book that is not known."""

    exit_code = 2


class LanguageMissing(ShelfError):
    """An engine has no model for a language that was asked for."""

    exit_code = 65


class LeaseHeld(ShelfError):
    """Another job works on the book. Retryable: with `wait` the acquiring activity tries again."""

    exit_code = 73
    retryable = True


class LeaseLost(ShelfError):
    """A later job took the book over; this one must stop writing."""


class RevReused(ShelfError):
    """Two different results carry one revision number: a bug, never an accident of delivery."""


class StoreUnavailable(ShelfError):
    """The database, or an object store, does not answer, or answers with a fault that a later try may not meet."""

    exit_code = 69
    retryable = True


class StoreRefused(ShelfError):
    """The database refused a document or a query, and would refuse it again."""


class DocumentRefused(StoreRefused):
    """One named document of a request was refused; the others were written."""

    def __init__(self, message: str, key: str) -> None:
        super().__init__(message)
        self.key = key


class ArtifactMissing(ShelfError):
    """A published artifact is not there, or does not match its hash; the work is planned again."""


class DiskFull(ShelfError):
    """The artifact store cannot write, or refuses our keys. Retryable: the job waits for room, nothing is half-written."""

    exit_code = 74
    retryable = True


class ServerUnavailable(ShelfError):
    """A server that the job needs does not answer, cannot be started, or its program cannot be built here."""

    exit_code = 69
