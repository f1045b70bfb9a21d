"""A focused job: what the book is made of, over the texts, labels and contents that are there."""

from __future__ import annotations

from typing import Any

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.contracts import BOOK_ITEM, JobResult
    from activities.paragraph.operation import PARAGRAPH
    from activities.state import JobState
    from activities.structure.operation import STRUCTURE
    from activities.toc_link.operation import TOC_LINK
    from schemas.errors import BadInput
    from workflows.inputs import BuildStructureInput
    from workflows.job import INTERACTIVE, Job


@workflow.defn
class BuildStructure(Job):
    """Links the contents, finds chapters and paragraphs; reads no page anew."""

    operations = (TOC_LINK, STRUCTURE, PARAGRAPH)
    takes = ("blend", "label", "toc_extract")
    input_model = BuildStructureInput
    priority = INTERACTIVE

    @workflow.run
    async def run(self, job: Any = None) -> JobResult:
        return await self.execute(job)

    def check(self, state: JobState) -> None:
        """A book whose contents were looked for without finding any has them complete; one that was never read has not."""
        missing = [flag for flag in ("label", "toc_extract") if not state.complete(flag, BOOK_ITEM)]
        if not state.of("blend").complete:
            missing.insert(0, "blend")
        if missing:
            book = state.config.book_id
            raise BadInput(
                f"The structure of {book} needs {' and '.join(missing)}, which is not complete for today's pages.",
                f"Process it first: `shelf process {book}`; what was read is not read again.",
            )
