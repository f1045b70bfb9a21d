"""Changes a cap: of a job, or of a day. No job of its own: it holds no book and changes no page."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from temporalio import workflow
from temporalio.common import RetryPolicy

with workflow.unsafe.imports_passed_through():
    from activities.budget import LimitInput
    from providers.queues import STORE_QUEUE
    from schemas.errors import BadInput
    from workflows.dispatch import as_application_error
    from workflows.inputs import validate_input


@workflow.defn
class SetBudget:
    """Sets the cap; its result is what it was, 0.0 where there was none."""

    @workflow.run
    async def run(self, limit: Any = None) -> float:
        try:
            checked = validate_input(LimitInput, limit)
        except BadInput as error:
            raise as_application_error(error) from None
        before: float = await workflow.execute_activity(
            "set_budget",
            checked,
            result_type=float,
            task_queue=STORE_QUEUE,
            start_to_close_timeout=timedelta(minutes=1),
            retry_policy=RetryPolicy(
                maximum_interval=timedelta(seconds=30), non_retryable_error_types=["BadInput", "StoreRefused"]
            ),
            summary=f"{checked.key} · {checked.limit_usd:.2f} USD · {checked.by}"[:190],
        )
        return before
