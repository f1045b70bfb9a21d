"""Current details of a workflow: what Temporal's UI and `temporal workflow describe` show of it, as Markdown."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from activities.contracts import Progress

GAP = "\u00a0\u00a0\u00a0"
"""Behind each cell: the UI's tables have no padding, and Markdown strips spaces that are none but spaces."""
FAILED_SHOWN = 20
MESSAGE_CHARACTERS = 200


def cell(text: str) -> str:
    """Text of anybody's that must not end its cell or its row."""
    return text.replace("|", "\\|").replace("\n", " ")


def table(heads: Sequence[str], rows: Sequence[Sequence[object]]) -> list[str]:
    """Lines of a table; cells that hold others' words went through `cell`."""
    return [
        _row(heads),
        "|" + "---|" * len(heads),
        *(_row(row) for row in rows),
    ]


def _row(cells: Sequence[object]) -> str:
    return "| " + " | ".join(f"{each}{GAP}" for each in cells) + " |"


def job_details(progress: Progress) -> str:
    """A job or a range of pages: how far each operation is, what failed and why, what to do next."""
    book = progress.book_id
    lines = [f"**{book}** · {progress.state}{' · ' + progress.reason if progress.reason else ''}"]
    if progress.state == "paused":
        lines += ["", f"To go on: signal `resume`, or `shelf resume {book}`."]
    if progress.open_ranges:
        # A range tells its job what it has done when it returns: until then the job's own table does not know.
        spans = ", ".join(name.rpartition(":p")[2] for name in progress.open_ranges)
        lines += ["", f"Pages under way, counted in ranges of their own (*Relationships*): {spans}"]
    lines += [""]
    lines += table(
        ("operation", "complete", "failed", "blocked", "under way", "of"),
        [
            (name, count.complete, count.failed, count.blocked, count.in_flight, count.total)
            for name, count in progress.operations.items()
        ],
    )
    for note in progress.notes:
        lines += ["", note]
    if progress.failed:
        lines += [""]
        lines += table(
            ("page", "operation", "reason"),
            [
                (item.page or "book", item.operation, cell(f"{item.code}: {item.message[:MESSAGE_CHARACTERS]}"))
                for item in progress.failed[:FAILED_SHOWN]
            ],
        )
        if len(progress.failed) > FAILED_SHOWN:
            lines += ["", f"... and {len(progress.failed) - FAILED_SHOWN} more: `shelf status {book}`"]
        if progress.state == "complete_with_gaps":
            lines += ["", f"To try them again, once the cause is mended: `shelf retry {book} --failed`"]
    return "\n".join(lines)
