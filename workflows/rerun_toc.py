"""A focused job: the contents anew, over the texts that are there."""

from __future__ import annotations

from typing import Any

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.contracts import JobResult
    from activities.toc_extract.operation import TOC_EXTRACT
    from activities.toc_find.operation import TOC_FIND
    from workflows.inputs import RerunTocInput
    from workflows.job import INTERACTIVE, Job


@workflow.defn
class RerunToc(Job):
    """Finds and extracts the contents again; reads no page. The old set of entries stays in the history."""

    operations = (TOC_FIND, TOC_EXTRACT)
    takes = ("blend", "label")
    anew = True
    input_model = RerunTocInput
    priority = INTERACTIVE

    @workflow.run
    async def run(self, job: Any = None) -> JobResult:
        return await self.execute(job)
