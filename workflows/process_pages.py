"""The main job: a source goes in; text, labels, metadata and contents come out."""

from __future__ import annotations

from typing import Any

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.blend.operation import BLEND
    from activities.contracts import JobResult
    from activities.extract.operation import EXTRACT
    from activities.label.operation import LABEL
    from activities.label_read.operation import LABEL_READ
    from activities.metadata.operation import METADATA
    from activities.ocr.operation import OCR
    from activities.toc_extract.operation import TOC_EXTRACT
    from activities.toc_find.operation import TOC_FIND
    from workflows.inputs import ProcessPagesInput
    from workflows.job import Job


@workflow.defn
class ProcessPages(Job):
    """Everything that can be had of a book without anybody's help."""

    operations = (EXTRACT, OCR, BLEND, LABEL_READ, LABEL, METADATA, TOC_FIND, TOC_EXTRACT)
    input_model = ProcessPagesInput

    @workflow.run
    async def run(self, job: Any = None) -> JobResult:
        return await self.execute(job)
