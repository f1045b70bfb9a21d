"""JobState: the one picture of a job (or of a page range) that plans read and write.

Loaded from DefraDB and never a second source of truth. Sets of page numbers, not texts.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from activities.contracts import FailedItem, Failure, JobConfig, LoadedState, OperationProgress
from schemas.pagespec import format_pages, parse_pages


@dataclass(slots=True)
class OperationState:
    """What is known of one operation's items. The four sets are disjoint; `planned` = on its way."""

    complete: set[int] = field(default_factory=set)
    failed: dict[int, Failure] = field(default_factory=dict)
    blocked: dict[int, Failure] = field(default_factory=dict)
    planned: set[int] = field(default_factory=set)
    section: dict[str, str] = field(default_factory=dict)
    """The operation's own notes; only it may write them. Strings, so that they travel."""

    def settled(self, item: int) -> bool:
        return item in self.complete or item in self.failed or item in self.blocked

    def pages(self, name: str) -> set[int]:
        """A set of pages that the operation keeps in its section."""
        return set(parse_pages(self.section.get(name, "")))

    def add_pages(self, name: str, pages: Iterable[int]) -> None:
        self.section[name] = format_pages(self.pages(name) | set(pages))


@dataclass(slots=True)
class JobState:
    """Config, the pages in scope (ascending), and a state per flag.

    `operations` holds the operations of the job and also flags that only others set: those count as the database
    has them."""

    config: JobConfig
    pages: tuple[int, ...]
    leaves: dict[int, str] = field(default_factory=dict)
    operations: dict[str, OperationState] = field(default_factory=dict)
    own: tuple[str, ...] = ()
    """Names of the operations that this driver runs; any other flag is settled as it stands."""

    flush: bool = False
    """Set by the driver when nothing else is under way: operations send even half-empty batches."""

    def of(self, operation: str) -> OperationState:
        return self.operations.setdefault(operation, OperationState())

    def complete(self, operation: str, item: int) -> bool:
        return item in self.of(operation).complete

    def settled(self, operation: str, item: int) -> bool:
        """Complete, failed or blocked; a flag that nobody here sets is settled as the database has it."""
        return operation not in self.own or self.of(operation).settled(item)

    def failures(self, operations: Iterable[str]) -> list[FailedItem]:
        """The failed items of these operations, operation by operation, in page order."""
        return [
            FailedItem(page=item, operation=name, code=failure.code, message=failure.message)
            for name in operations
            for item, failure in sorted(self.of(name).failed.items())
        ]

    def load(self, loaded: LoadedState) -> None:
        """Take over what the database says."""
        for name, pages in loaded.complete.items():
            self.of(name).complete = {0} if pages == "0" else set(parse_pages(pages))
        for name, section in loaded.sections.items():
            self.of(name).section = dict(section)
        self.leaves.update(loaded.leaves)

    def progress(self, items: dict[str, tuple[int, ...]]) -> dict[str, OperationProgress]:
        """Counts per operation; `items` = the items in each one's scope."""
        counts = {}
        for name, scope in items.items():
            state = self.of(name)
            counts[name] = OperationProgress(
                total=len(scope),
                complete=sum(1 for item in scope if item in state.complete),
                failed=len(state.failed),
                blocked=len(state.blocked),
                in_flight=len(state.planned),
            )
        return counts
