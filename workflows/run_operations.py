"""A job of any operations, by name, on any pages."""

from __future__ import annotations

from typing import Any

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.contracts import BOOK_ITEM, JobResult
    from activities.operation import FLAG_SCOPES, Operation, Scope
    from activities.registry import OPERATIONS
    from activities.state import JobState
    from schemas.errors import BadInput
    from schemas.pagespec import format_pages
    from workflows.inputs import RunOperationsInput
    from workflows.job import INTERACTIVE, Job


@workflow.defn
class RunOperations(Job):
    """Takes from the database what the named operations require and do not complete among themselves."""

    operations: tuple[Operation, ...] = ()
    input_model = RunOperationsInput
    priority = INTERACTIVE

    @workflow.run
    async def run(self, job: Any = None) -> JobResult:
        return await self.execute(job)

    def compose(self, job: RunOperationsInput) -> tuple[Operation, ...]:
        unknown = [name for name in job.operations if name not in OPERATIONS]
        if unknown:
            raise BadInput(f"There is no operation {', '.join(unknown)}.", f"Known: {', '.join(OPERATIONS)}.")
        chosen = tuple(operation for name, operation in OPERATIONS.items() if name in job.operations)
        required = [flag for operation in chosen for flag in operation.requires if flag not in job.operations]
        self.takes = tuple(name for name in OPERATIONS if name in required)
        return chosen

    def check(self, state: JobState) -> None:
        """Every flag that is taken must be complete: for all the pages, or for the book."""
        for flag in self.takes:
            readers = [operation for operation in self.operations if flag in operation.requires]
            if FLAG_SCOPES[flag] is Scope.BOOK:
                missing = "the book" if not state.complete(flag, BOOK_ITEM) else ""
            else:
                # A page that is ready without the flag does not miss it: one whose text a person gave needs no reading.
                wanted = {
                    page
                    for operation in readers
                    for page in (
                        [page for page in state.pages if not operation.ready(state, page)]
                        if operation.scope is Scope.PAGE
                        else operation.reads(state)
                    )
                }
                pages = [page for page in wanted if not state.complete(flag, page)]
                missing = f"pages {format_pages(pages)}" if pages else ""
            if missing:
                raise BadInput(
                    f"{readers[0].name} requires {flag}, which is not complete for {missing}.",
                    f"Add {flag} to the operations: it completes that.",
                )
