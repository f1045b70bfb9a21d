"""The Operation interface of the ADR, and the planning that most operations share.

An operation plans and records; it calls nothing. Plans are pure and deterministic: they run inside workflows, read
JobState and the frozen JobConfig, and know no other operation, only flags.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import ClassVar

from activities.contracts import BOOK_ITEM, JobConfig, UnitResult, WorkUnit
from activities.corrections import Corrections, types_said
from activities.state import JobState
from schemas.documents import Document, ToC
from schemas.pagespec import format_pages
from schemas.store import digest


class Scope(StrEnum):
    """What an operation's items are."""

    PAGE = "page"
    """Its items are pages; runs in a page range."""
    BOOK = "book"
    """Its one item is the book; runs in the job itself."""


class Records:
    """What `load_state` read from the database, for `Operation.load`: documents by physical page."""

    def __init__(
        self,
        pages: Mapping[int, Document],
        book: Document | None,
        toc: Document | None,
        ocr_results: Mapping[str, Document],
        corrections: Corrections | None = None,
    ) -> None:
        self.pages = pages
        self.book = book
        self.toc = toc
        self.ocr_results = ocr_results
        self.corrections = corrections or Corrections()
        """What people say against the machines, by key of the document and field."""


class Operation:
    """A reusable unit of work that mutates schemas. Subclasses are stateless: one instance serves all jobs."""

    name: ClassVar[str]
    scope: ClassVar[Scope]
    target_schemas: ClassVar[tuple[type[Document], ...]]
    requires: ClassVar[tuple[str, ...]] = ()
    """Flags that it reads. A page-scoped operation reads the same page's flag; a book-scoped one the flags of the
    pages in `reads`, or the book's."""
    work_activity: ClassVar[str]
    save_activity: ClassVar[str]
    agent: ClassVar[str] = ""
    """Name of the child workflow that carries its units with `agent` set; '' = it has none."""
    title: ClassVar[str] = ""
    """What it does, in a few words, for the Temporal UI and the docs."""
    key: ClassVar[str] = ""
    """Under which `registry.by_key` finds it, where that is not its name: another plan for the same flag."""

    @property
    def completes(self) -> str:
        """The flag that it sets: its name."""
        return self.name

    # The ADR's members ------------------------------------------------------------------------------------------

    def create_work_units(self, state: JobState) -> list[WorkUnit]:
        """Units for what is ready and neither settled nor planned."""
        raise NotImplementedError

    def handle_result(self, state: JobState, result: UnitResult) -> list[WorkUnit]:
        """Record the result; return follow-up units."""
        own = state.of(self.name)
        own.complete.update(result.done)
        own.failed.update(result.failed)
        return []

    def is_complete(self, state: JobState) -> bool:
        """Every item in scope is settled."""
        own = state.of(self.name)
        return all(own.settled(item) for item in self.items(state))

    # What the driver and the activities ask besides ---------------------------------------------------------------

    def items(self, state: JobState) -> tuple[int, ...]:
        """The items in scope: the pages, or the book."""
        return state.pages if self.scope is Scope.PAGE else (BOOK_ITEM,)

    def reads(self, state: JobState) -> tuple[int, ...]:
        """Of a book-scoped operation: the pages that it reads. Those of the job, and those that were done before:
        the book is one, whichever pages a job was asked for."""
        flags = [flag for flag, scope in self._requirements(state) if scope is Scope.PAGE]
        return tuple(sorted({*state.pages, *(page for flag in flags for page in state.of(flag).complete)}))

    def provider(self, state: JobState) -> str:
        """Name of the provider that does the work."""
        return state.config.book_providers[self.name]

    def choice(self, state: JobState) -> str:
        """What the user chose, as a hash; part of `_inputs`, so that another choice makes the flag stale."""
        return choice_of(self.provider(state), state.config.models.get(self.name, ""))

    def blockers(self, state: JobState, item: int) -> str:
        """The flag that keeps the item from ever becoming ready: settled but not complete; '' if none."""
        for flag, scope in self._requirements(state):
            if scope is Scope.BOOK or item != BOOK_ITEM:
                if state.settled(flag, item) and not state.complete(flag, item):
                    return flag
            else:
                pages = self.reads(state)
                if all(state.settled(flag, page) for page in pages) and not any(
                    state.complete(flag, page) for page in pages
                ):
                    return flag
        return ""

    def ready(self, state: JobState, item: int) -> bool:
        """All that it reads is there. A book-scoped operation starts when the pages that it reads are settled."""
        for flag, scope in self._requirements(state):
            if scope is Scope.BOOK or item != BOOK_ITEM:
                if not state.complete(flag, item):
                    return False
            else:
                pages = self.reads(state)
                if not all(state.settled(flag, page) for page in pages):
                    return False
                if not any(state.complete(flag, page) for page in pages):
                    return False
        return True

    def forget_stale(self, state: JobState) -> None:
        """After loading: what reads something that this job will do anew is not complete, whatever its flag says."""
        own = state.of(self.name)
        own.complete -= {item for item in own.complete.intersection(self.items(state)) if self.stale(state, item)}

    def stale(self, state: JobState, item: int) -> bool:
        """Whether the job will do anew what the item was made from."""
        for flag, scope in self._requirements(state):
            items = self.reads(state) if scope is Scope.PAGE and item == BOOK_ITEM else (item,)
            if flag in state.own and not all(state.complete(flag, each) for each in items):
                return True
        return False

    def load_elsewhere(self, state: JobState, records: Records) -> None:
        """After loading: pages that the job was not asked for count as they are."""
        if self.scope is Scope.PAGE:
            state.of(self.name).complete.update(
                page
                for page, document in records.pages.items()
                if page not in state.pages and document.flag(self.name, "complete")
            )

    def load(self, state: JobState, records: Records) -> None:
        """Fill `state.of(self.name)` from documents: complete = the flag is set and its inputs are today's."""
        raise NotImplementedError

    def _requirements(self, state: JobState) -> list[tuple[str, Scope]]:
        return [(flag, FLAG_SCOPES[flag]) for flag in self.requires]


FLAG_SCOPES: dict[str, Scope] = {}
"""flag -> scope of the operation that sets it; filled by the registry."""


class PageOperation(Operation):
    """Plans its pages in batches of the provider's size."""

    scope = Scope.PAGE
    linger: ClassVar[bool] = True
    """Wait until a whole batch is ready (or nothing more is coming): half-empty batches cost an activity each."""
    eager: ClassVar[bool] = False
    """Send the very first batch as soon as a page is ready, so that a reader sees a result early."""

    def create_work_units(self, state: JobState) -> list[WorkUnit]:
        own = state.of(self.name)
        ready = [
            page
            for page in state.pages
            if not own.settled(page) and page not in own.planned and self.ready(state, page)
        ]
        if not ready:
            return []
        provider = self.provider(state)
        size = state.config.providers[provider].batch_pages
        units = self.batches(state, provider, ready, size)
        started = bool(own.complete or own.planned) or not self.eager
        if self.linger and started and not state.flush and len(units[-1].pages) < size and self._more_to_come(state):
            units.pop()
        return units

    def batches(self, state: JobState, provider: str, pages: list[int], size: int, variant: str = "") -> list[WorkUnit]:
        """Units of at most `size` pages, in page order."""
        return [
            WorkUnit(
                operation=self.name,
                provider=provider,
                pages=tuple(chunk),
                leaves=tuple(state.leaves[page] for page in chunk),
                variant=variant,
            )
            for chunk in (pages[at : at + size] for at in range(0, len(pages), size))
        ]

    def _more_to_come(self, state: JobState) -> bool:
        return any(not state.settled(flag, page) for flag in self.requires for page in state.pages)


SAID = "said"
"""Section: pages that a person says to be of a kind that the operation looks for."""


class BookOperation(Operation):
    """Plans one unit for the book when the pages that it reads are settled."""

    scope = Scope.BOOK
    kinds: ClassVar[tuple[str, ...]] = ()
    """Types of pages that it looks for: where a person says of a page that it is one, it reads that page, wherever it lies."""

    def first_pages(self, state: JobState, count: int) -> tuple[int, ...]:
        """The first pages in book order, and those that are said to be what it looks for."""
        pages = super().reads(state)
        said = state.of(self.name).pages(SAID)
        return tuple(page for at, page in enumerate(pages) if at < count or page in said)

    def note_said(self, state: JobState, records: Records) -> None:
        """Before `reads` is asked, while loading."""
        types = types_said(records.corrections, records.pages, records.pages)
        state.of(self.name).add_pages(SAID, [page for page, kind in types.items() if kind in self.kinds])

    def record(self, records: Records) -> Document | None:
        """The document that carries its flag: the contents' where it writes to them, else the book's."""
        return records.toc if ToC in self.target_schemas else records.book

    def inputs(self, state: JobState, records: Records, generation: int) -> str:
        """Hash of everything that it would read today, of what the user chose, and of the generation."""
        raise NotImplementedError

    def load(self, state: JobState, records: Records) -> None:
        if self.kinds:
            self.note_said(state, records)
        document = self.record(records)
        inputs = self.inputs(state, records, generation(document, self.name, state))
        if current(document, self.name, inputs):
            state.of(self.name).complete.add(BOOK_ITEM)

    def create_work_units(self, state: JobState) -> list[WorkUnit]:
        own = state.of(self.name)
        if own.settled(BOOK_ITEM) or BOOK_ITEM in own.planned or not self.ready(state, BOOK_ITEM):
            return []
        return [WorkUnit(operation=self.name, provider=self.provider(state), scope=format_pages(self.reads(state)))]


def choice_of(provider: str, model: str = "") -> str:
    """The hash of a choice that consists of the provider, and of the model where it has several."""
    return digest([provider, model] if model else [provider])[:16]


def current(document: Document | None, operation: str, inputs: str) -> bool:
    """The flag is set, was set for these inputs, and nothing failed since.

    What failed where an earlier result stands is looked at again: the result is found published, and the note goes."""
    return (
        document is not None
        and document.flag(operation, "complete") is True
        and document.flag(operation, "inputs") == inputs
        and not document.flag(operation, "error")
    )


def generation(document: Document | None, operation: str, state: JobState) -> int:
    """The generation that counts for this job: its own of what it does anew, else the stored one."""
    return stored_generation(document, operation, asked_generation(state.config, operation))


def asked_generation(config: JobConfig, operation: str) -> int | None:
    """The generation that a job asks of an operation; None where it takes what is there."""
    return config.generation if operation in config.anew else None


def stored_generation(document: Document | None, operation: str, asked: int | None) -> int:
    """The generation that was asked for, else the one that the document was made with, else 0."""
    if asked is not None:
        return asked
    return int((document.flag(operation, "generation") if document is not None else 0) or 0)
