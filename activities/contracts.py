"""What travels between workflows and activities. References and small figures only, never a page's text."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

BOOK_ITEM = 0
"""The one item of a book-scoped operation; pages count from 1."""


class Contract(BaseModel):
    """Frozen, and strict about names: a field that one side does not know is an error, not a loss."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class ProviderPolicy(Contract):
    """How the calls of one provider are made: a row of `providers/queues.py` after the user's overrides."""

    name: str
    queue: str
    batch_pages: int = 1
    in_flight: int = 1
    page_timeout_seconds: float
    max_attempts: int
    """Failed calls after which a page counts as failed; shutdowns and outages of ours do not count."""
    retry_initial_seconds: float = 1.0
    retry_maximum_seconds: float = 60.0
    remote: bool = False
    """Calls leave the worker's process: they are limited, and one unit is one page."""
    paid: bool = False
    """Calls may cost money: they are reserved before they are made."""
    answers: bool = False
    """A language model: an item may take several calls (repair turns)."""
    failing_in_a_row: int = 8


class JobConfig(Contract):
    """Everything that a plan may read, frozen by `resolve_job` and recorded in history."""

    job: str
    book_id: str
    epoch: int
    run_id: str
    """Token of the lease: the run that acquired it."""
    manifest: str
    page_count: int
    pages: str
    """The pages asked for, as "1-20,35"."""
    generation: int | None = None
    """The generation of what this job does anew: its first epoch."""
    anew: tuple[str, ...] = ()
    """Operations that are done anew although they are current; any other keeps the stored generation of each page."""
    ocr: str = "auto"
    """'auto' = the text layer where it is good, else `image_ocr`; or the name of a provider for all pages."""
    stand_in: str = ""
    """Provider that reads what this job has to read in place of the chosen one; the choice stays, so that such a page is
    current afterwards."""
    images: str = "auto"
    """'auto' = pictures are looked at and prepared for reading where that is sure to help; 'off' = read as they are."""
    image_ocr: str = "tesseract"
    second_opinion: str = "rapidocr"
    """Provider that reads the pages with the most expected errors again; '' = none."""
    second_opinion_above: float = 0.02
    """Expected character error rate, 0..1."""
    second_opinion_share: float = 0.04
    language: str = "eng"
    providers: dict[str, ProviderPolicy]
    book_providers: dict[str, str] = Field(default_factory=dict)
    """operation -> provider, for the operations that have a choice."""
    models: dict[str, str] = Field(default_factory=dict)
    """operation -> model, of those that a language model does."""
    fallbacks: dict[str, str] = Field(default_factory=dict)
    """"operation provider" -> provider that takes over what that one fails at."""
    high_usd: dict[str, float] = Field(default_factory=dict)
    """"operation provider" -> high estimate of one unit; what is not named costs nothing."""
    budget_usd: float | None = None
    """At most so much for this job; None = no cap. `shelf budget raise` changes the Budget document, not this."""
    budget_key: str = ""
    """Of the job's Budget document."""
    day_budget_usd: float | None = None
    """At most so much a day, over all jobs."""
    agent_turns: int = 15
    """Calls of the model at most, in one run of an agent."""
    agent_usd: float = 0.5
    """What one run of an agent may cost at most."""
    priority: int = 3
    """Of its activities, 1 (first) to 5: re-runs that somebody waits for go before bulk."""
    range_pages: int = 50
    first_range_pages: int = 30
    open_ranges: int = 4
    window: int = 20
    metadata_pages: int = 20
    contents_pages: int = 30
    failing_pages: int = 20
    """Failed pages that are named one by one in results; the rest is counted."""


class WorkUnit(Contract):
    """Work for one provider: some pages, or the book."""

    operation: str
    provider: str
    pages: tuple[int, ...] = ()
    """Physical pages; empty for a book-scoped operation."""
    leaves: tuple[str, ...] = ()
    """Leaf ids of the pages, in the same order."""
    variant: str = ""
    """The operation's own word for why this unit was planned ('second' opinion)."""
    single: bool = False
    """Planned alone after a transient failure: Temporal's policy retries it, and it alone can settle as failed."""
    agent: bool = False
    """Carried by the operation's child workflow, a conversation with a model, instead of its work activity."""
    scope: str = ""
    """Pages that it reads besides its own, as "1-20": of a book-scoped unit all, of a blend those whose words it knows."""
    settled_usd: float = 0.0
    """What was settled for it in this job before it was sent again: its save tells the cost of all of its calls."""

    @property
    def items(self) -> tuple[int, ...]:
        return self.pages or (BOOK_ITEM,)

    def alone(self, page: int) -> WorkUnit:
        """The same work for one of its pages."""
        if not self.pages:
            return self.model_copy(update={"single": True})
        at = self.pages.index(page)
        return self.model_copy(update={"pages": (page,), "leaves": self.leaves[at : at + 1], "single": True})


class Failure(Contract):
    """Why an item failed, in words for people."""

    code: str
    message: str


class Outcome(Contract):
    """What became of one item of a unit in the work activity."""

    item: int
    status: str
    """'ok', 'permanent', 'transient', 'stopped' (no page is to blame, the job drains and pauses), or 'again': the next call needs
    money that is not set aside yet, so the item is sent once more."""
    artifact: str = ""
    """Fingerprint of what was published."""
    inputs: str = ""
    """Hash of what was read and chosen; stored beside the flag."""
    generation: int = 0
    failure: Failure | None = None
    figures: dict[str, float | int | str | bool] = Field(default_factory=dict)
    """Small facts that plans need (confidence, quality of the text layer)."""


class Attempt(Contract):
    """One attempt of a unit that reached its provider; becomes a Metric."""

    id: str
    run_id: str
    workflow_id: str
    activity_id: str
    attempt: int
    epoch: int = 0
    """Of the job that made it; 0 = the job that reports it."""
    provider: str
    model: str = ""
    prompt_hash: str = ""
    at: str
    queue_seconds: float
    execution_seconds: float
    read: int
    cost_usd: float | None = 0.0
    price_source: str = ""
    input_tokens: int | None = None
    output_tokens: int | None = None
    outcome: str
    """'ok', 'partial', 'failed', or 'unknown': it may have been charged, `cost_usd` is the high estimate."""
    error: str = ""
    pages: tuple[int, ...] = ()


class UnitInput(Contract):
    """Argument of every work activity."""

    book_id: str
    epoch: int
    manifest: str
    page_count: int
    generation: int | None
    language: str
    choice: str
    """What the user chose for this operation, part of its `_inputs`."""
    page_timeout_seconds: float
    max_attempts: int
    model: str = ""
    """Of a language model: which one; '' = the one of the provider's row."""
    allowance_usd: float | None = None
    """What is set aside for the unit: a repeat that might exceed it is not made. None = no budget holds the job."""
    unit: WorkUnit


class WorkResult(Contract):
    """Answer of every work activity."""

    outcomes: tuple[Outcome, ...]
    attempts: tuple[Attempt, ...] = ()


class AgentInput(Contract):
    """Argument of an agent's workflow; its result is the WorkResult of the unit."""

    config: JobConfig
    job: UnitInput


class SaveInput(Contract):
    """Argument of every save activity: documents are written from what `result` refers to."""

    book_id: str
    epoch: int
    manifest: str
    unit: WorkUnit
    result: WorkResult


class SaveResult(Contract):
    """Answer of every save activity."""

    missing: tuple[int, ...] = ()
    """Items whose artifact is gone or damaged: the driver plans the work again."""
    refused: dict[int, Failure] = Field(default_factory=dict)
    """Items whose document the database refuses."""
    cost_usd: float = 0.0


class UnitResult(Contract):
    """What a unit came to after work and save: the argument of `Operation.handle_result`."""

    unit: WorkUnit
    done: dict[int, Outcome] = Field(default_factory=dict)
    failed: dict[int, Failure] = Field(default_factory=dict)


class LoadInput(Contract):
    """Argument of `load_state`."""

    config: JobConfig
    operations: tuple[str, ...]
    takes: tuple[str, ...] = ()
    """Flags of other operations that the job takes as the database has them."""
    pages: str
    """The pages of the range; of the whole scope for the job itself."""
    leaves: bool
    """Whether the leaf ids of the pages are wanted (a range needs them, the job does not)."""


class LoadedState(Contract):
    """What DefraDB says: per operation what is complete and current, plus each operation's own section."""

    complete: dict[str, str]
    """operation -> pages as "1-20,35"; "0" for a book-scoped operation that is complete."""
    sections: dict[str, dict[str, str]] = Field(default_factory=dict)
    leaves: dict[int, str] = Field(default_factory=dict)


class FailedItem(Contract):
    """One failed or blocked item in a result."""

    page: int
    operation: str
    code: str
    message: str


class RangeInput(Contract):
    """Argument of the PageRange workflow."""

    config: JobConfig
    pages: str
    operations: tuple[str, ...]
    takes: tuple[str, ...] = ()


class RangeResult(Contract):
    """What a range came to. Bounded: bitmaps as ranges, failures of its own pages."""

    complete: dict[str, str]
    failed: tuple[FailedItem, ...] = ()
    blocked: dict[str, str] = Field(default_factory=dict)
    stopped: str = ""
    """Why the range stopped before it was settled; '' = it is settled."""
    cost_usd: float = 0.0
    notes: tuple[str, ...] = ()


class OperationProgress(Contract):
    """How far one operation is, in items: pages, or the one book."""

    total: int
    complete: int
    failed: int = 0
    blocked: int = 0
    in_flight: int = 0


class Progress(Contract):
    """Answer of the `progress` query. Of a job: without what open ranges have done; ask those too."""

    job: str
    book_id: str = ""
    state: str
    reason: str = ""
    pages: int = 0
    operations: dict[str, OperationProgress] = Field(default_factory=dict)
    open_ranges: tuple[str, ...] = ()
    """Workflow ids of the ranges that are open."""
    failed: tuple[FailedItem, ...] = ()
    cost_usd: float = 0.0
    notes: tuple[str, ...] = ()
    """What people should know: a budget that is nearly used up, a provider that another one stands in for."""


class Lot(Contract):
    """Pages that `Improve` had read by one provider at a time, and what that gained."""

    provider: str
    pages: str
    """Those that it read, as "3,17-18"."""
    compared: bool = False
    """Read by several providers, to compare them: what would be without the others."""
    cost_usd: float
    wrong_before: float
    """Characters that were expected to be wrong or missing on these pages."""
    wrong_after: float


class Purchase(Contract):
    """What `Improve` bought, and why it stopped."""

    considered: int
    """Pages that it might have bought."""
    provider: str
    """Who was found best for the money; '' where several were compared and none gained anything."""
    lots: tuple[Lot, ...] = ()
    pages: str = ""
    """All pages that were read."""
    cost_usd: float = 0.0
    wrong_before: float = 0.0
    """Characters that were expected to be wrong or missing on those pages."""
    wrong_after: float = 0.0
    stopped: str
    """In a sentence."""


class JobResult(Contract):
    """Result of a job."""

    job: str
    book_id: str
    state: str
    """'complete' or 'complete_with_gaps'."""
    pages: int
    pages_complete: int
    operations: dict[str, OperationProgress]
    failed: tuple[FailedItem, ...] = ()
    """At most `failing_pages` of them by name."""
    failed_count: int = 0
    cost_usd: float = 0.0
    notes: tuple[str, ...] = ()
    purchase: Purchase | None = None
    """Of `Improve` alone."""


class ResolveInput(Contract):
    """Argument of `resolve_job`."""

    job: str
    input: dict[str, Any]
    """The validated input of the job."""
    anew: tuple[str, ...] = ()
    """Operations that are to be done anew."""
    operations: tuple[str, ...] = ()
    """All operations of the job: only for those are providers looked for and prices asked."""
    priority: int = 3
    workflow_id: str
    first_run_id: str
    run_id: str


class ReserveInput(Contract):
    """Argument of `reserve_budget`. All sums are absolute, so that a repeat is harmless."""

    book_id: str
    holder: str
    """Workflow id of the range or job that spends."""
    job_key: str = ""
    """Key of the job's Budget; '' = the job has no cap."""
    job_limit_usd: float | None = None
    """The cap where the Budget is new; one that exists keeps its own."""
    day_limit_usd: float | None = None
    day: str = ""
    """Day of the last answer, '' at first; where it is over, the sums of the new day begin at 0."""
    settled_usd: float
    """What the holder's calls have cost so far."""
    day_settled_usd: float
    """Of that, since `day` began."""
    open_usd: float
    """High estimate of its calls that are under way."""
    call_usd: float
    """High estimate of the call that is to be made; 0 = none: what was asked for and not used is given back."""
    calls: int = 0
    """For how many calls more is asked at most; fewer are granted near the cap."""
    request: int = 1
    """Number of the holder's request: a repeat that comes after a later one must undo nothing."""


class ReserveResult(Contract):
    """Answer of `reserve_budget`."""

    allotted_usd: float
    """The holder may spend up to this, all it ever settled included."""
    day: str
    refused: str = ""
    """Why not even one call is granted, with what to do about it; '' = granted."""
    note: str = ""
    """A warning from 80 % of a cap on."""


class LeaseInput(Contract):
    """Argument of `release_lease` and `renew_lease`."""

    book_id: str
    run_id: str
    epoch: int
