"""One place that turns Temporal's failures into a code and a sentence for people."""

from __future__ import annotations

from temporalio.exceptions import ActivityError, ApplicationError, ChildWorkflowError, TimeoutError, TimeoutType

from activities.contracts import Failure

MESSAGE_CHARACTERS = 500
"""A failure travels in results and queries: a sentence, not a page."""


def describe_failure(error: BaseException) -> Failure:
    """The innermost cause that says something: `str(ActivityError)` is only "Activity task failed"."""
    cause: BaseException = error
    while isinstance(cause, ActivityError | ChildWorkflowError) and cause.cause is not None:
        cause = cause.cause
    if isinstance(cause, ApplicationError):
        return Failure(code=cause.type or "Error", message=cause.message[:MESSAGE_CHARACTERS])
    if isinstance(cause, TimeoutError):
        kind = {
            TimeoutType.HEARTBEAT: "the worker stopped reporting progress",
            TimeoutType.START_TO_CLOSE: "it took longer than it may",
        }.get(cause.type or TimeoutType.START_TO_CLOSE, "it was not started in time")
        return Failure(code="TimedOut", message=kind)
    return Failure(code=type(cause).__name__, message=str(cause)[:MESSAGE_CHARACTERS])
