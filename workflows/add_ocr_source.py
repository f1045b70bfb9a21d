"""A focused job: another engine's reading beside those that are there, and what it makes stale."""

from __future__ import annotations

from typing import Any

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.blend.operation import BLEND
    from activities.contracts import JobResult
    from activities.label.operation import LABEL
    from activities.label_read.operation import LABEL_READ
    from activities.ocr.operation import ADDED_OCR
    from activities.operation import Operation
    from workflows.inputs import AddOcrSourceInput
    from workflows.job import Job


@workflow.defn
class AddOcrSource(Job):
    """Reads pages with the named provider; without `blend` the blended text stays as it is, and stale."""

    operations = (ADDED_OCR, BLEND, LABEL_READ, LABEL)
    takes = ("extract",)
    input_model = AddOcrSourceInput

    @workflow.run
    async def run(self, job: Any = None) -> JobResult:
        return await self.execute(job)

    def compose(self, job: AddOcrSourceInput) -> tuple[Operation, ...]:
        return self.operations if job.blend else (ADDED_OCR,)
