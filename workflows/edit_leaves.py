"""A focused job: rescans, missing and doubled pages, scans of two pages; only what that makes stale is done."""

from __future__ import annotations

from typing import Any

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.contracts import JobResult
    from workflows.inputs import EditLeavesInput
    from workflows.job import INTERACTIVE, Job
    from workflows.process_pages import ProcessPages


@workflow.defn
class EditLeaves(Job):
    """Edits the leaves of a book, then does what `ProcessPages` does: new leaves are read, and labels, metadata and
    contents follow; leaves that only move are neither looked at nor read again."""

    operations = ProcessPages.operations
    input_model = EditLeavesInput
    priority = INTERACTIVE

    @workflow.run
    async def run(self, job: Any = None) -> JobResult:
        return await self.execute(job)
