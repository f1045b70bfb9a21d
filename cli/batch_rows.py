"""The books of a batch: how each is begun, how far it is, what became of it, and how that is shown at the end."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from cli import output
from cli.starting import GAPS
from schemas.errors import ShelfError

if TYPE_CHECKING:
    from activities.contracts import JobResult, Progress
    from cli.watching import Watch

WAITING, PREPARING, RUNNING, SKIPPED, FAILED, PAUSED, CANCELLED = (
    *("waiting", "preparing", "running", "skipped", "failed", "paused", "cancelled"),
)
COMPLETE, WITH_GAPS = "complete", "complete_with_gaps"
"""As jobs have them."""
ENDED = (COMPLETE, WITH_GAPS, FAILED, PAUSED, CANCELLED, SKIPPED)


@dataclass(frozen=True, slots=True)
class Start:
    """What a book's job is started with."""

    book: str
    job: str
    given: dict[str, Any]
    details: str = ""


@dataclass(slots=True)
class Row:
    """One book of a batch."""

    title: str
    """What the user knows it by: a path, or a key."""
    prepare: Callable[[], Awaitable[Start | str]]
    """Whatever must be done before its job can start; a text instead says why there is nothing to do. Raises ShelfError."""
    barcode: str | None = None
    where: str = ""
    """Line of the file that named it."""
    state: str = WAITING
    reason: str = ""
    key: str | None = None
    watch: Watch | None = None
    result: JobResult | None = None
    error: ShelfError | None = None
    progress: Progress | None = None
    began: float = 0.0
    seconds: float = 0.0

    def as_json(self) -> dict[str, Any]:
        """As `--json` shows it."""
        result, watch = self.result, self.watch
        return {
            "source": self.title,
            "key": self.key,
            "barcode": self.barcode,
            "state": self.state,
            "reason": self.reason or None,
            "pages": result.pages if result else None,
            "pages_complete": result.pages_complete if result else None,
            "failed_count": result.failed_count if result else None,
            "failed": [item.model_dump() for item in result.failed] if result else [],
            "error": error_as_json(self.error) if self.error else None,
            "exit_code": self.exit_code,
            "cost_usd": result.cost_usd if result else None,
            "seconds": round(self.seconds, 1),
            "workflow_id": watch.workflow_id if watch else None,
            "url": watch.shelf.link(watch.workflow_id, watch.run_id or "") if watch else None,
        }

    @property
    def exit_code(self) -> int | None:
        """What `process` of this book alone would end with; None where it has not ended."""
        if self.error is not None:
            return self.error.exit_code
        return {COMPLETE: 0, SKIPPED: 0, WITH_GAPS: GAPS}.get(self.state)


def error_as_json(error: ShelfError) -> dict[str, Any]:
    """Class, sentence and next step."""
    code = getattr(error, "code", type(error).__name__)
    return {"code": code, "message": error.message, "next_step": error.next_step}


class BatchDisplay(Protocol):
    """What shows how far several books are."""

    poll_seconds: float

    def changed(self, row: Row) -> None:
        """The row has another state, or another progress."""

    def note(self, text: str) -> None:
        """Say something beside the progress."""

    def close(self) -> None: ...


@dataclass(slots=True)
class RowDisplay:
    """Of one book, for its `Watch`."""

    row: Row
    batch: BatchDisplay
    poll_seconds: float

    def update(self, progress: Progress) -> None:
        self.row.progress = progress
        self.batch.changed(self.row)

    def note(self, text: str) -> None:
        self.batch.note(text)

    def close(self) -> None:
        pass


# What became of them ----------------------------------------------------------------------------------------------------


def exit_code_of_rows(rows: Sequence[Row]) -> int:
    """Errors before gaps, gaps before nothing."""
    codes = [row.exit_code or 0 for row in rows]
    errors = [code for code in codes if code not in (0, GAPS)]
    return errors[0] if errors else max(codes, default=0)


def as_json_rows(rows: Sequence[Row]) -> dict[str, Any]:
    """All rows, and how many ended how."""
    states = [row.state for row in rows]
    counts = {state: states.count(state) for state in (COMPLETE, WITH_GAPS, FAILED, SKIPPED)}
    return {"books": [row.as_json() for row in rows], **counts, "other": len(rows) - sum(counts.values())}


def show_rows(rows: Sequence[Row]) -> None:
    """The summary of a batch: a line per book, then what to do about those that have none or gaps."""
    with_barcode = any(row.barcode for row in rows)
    table = []
    for row in rows:
        result = row.result
        pages = f"{result.pages_complete} of {result.pages}" if result else None
        what = row.reason
        if result is not None and result.failed_count:
            what = f"{result.failed_count} failed; see `shelf pages {row.key}`, try again: `shelf retry {row.key} --failed`"
        cells = [row.title, row.key, row.state.replace("_", " "), pages, output.duration(row.seconds), what]
        table.append([row.barcode, *cells] if with_barcode else cells)
    headers = ["source", "key", "state", "pages", "time", ""]
    output.table(["barcode", *headers] if with_barcode else headers, table, right=["pages", "time"])
    for row in rows:
        if row.error is not None and row.error.next_step:
            place = f" ({row.where})" if row.where else ""
            output.note(f"{row.title}{place}: {output.sentence(row.error.message)} {row.error.next_step}")


def say_detached(rows: Sequence[Row]) -> None:
    """After Ctrl-C: what goes on, and how to come back to it."""
    running = [row for row in rows if row.state == RUNNING]
    waiting = [row for row in rows if row.state in (WAITING, PREPARING)]
    output.note(f"Detached; {len(running)} jobs go on, {len(waiting)} books were not begun.")
    for row in running:
        output.note(f"  watch it:  shelf watch {row.key}")
    output.note("The same command again goes on: what is done is not done twice.")
