import io
import sys

import pytest
from temporalio.client import WorkflowFailureError
from temporalio.exceptions import ApplicationError, CancelledError, TerminatedError

from activities.contracts import FailedItem, OperationProgress, Progress
from cli import display
from cli.connect import exit_code_of, job_error
from cli.display import LineDisplay, LiveDisplay, Pace, clock
from cli.jobs import add_up, pages_read, pages_settled
from cli.output import cell, duration, money
from cli.summary import next_step


def progress(ocr: int, blend: int, ranges: tuple[str, ...] = (), failed: int = 0) -> Progress:
    counts = {
        name: OperationProgress(total=30, complete=done, failed=failed if name == "ocr" else 0, in_flight=1)
        for name, done in (("extract", 30), ("ocr", ocr), ("blend", blend), ("label_read", blend))
    }
    items = tuple(FailedItem(page=n + 1, operation="ocr", code="TimedOut", message="late") for n in range(failed))
    return Progress(
        job="ProcessPages", state="running", pages=30, operations=counts, open_ranges=ranges, failed=items, cost_usd=0.5
    )


def test_open_ranges_are_added() -> None:
    total = add_up(progress(10, 5), [progress(4, 2, failed=1), progress(3, 0)])
    assert total.operations["ocr"] == OperationProgress(total=30, complete=17, failed=1, in_flight=3)
    assert total.operations["extract"].complete == 30
    assert [item.page for item in total.failed] == [1]
    assert total.cost_usd == 1.5
    assert (pages_read(total), pages_settled(total)) == (18, 7)


@pytest.mark.parametrize(
    ("code", "exit_code"),
    [("LeaseHeld", 73), ("BadSource", 65), ("SourceNotAllowed", 66), ("BadInput", 2), ("DiskFull", 74), ("Odd", 1)],
)
def test_a_jobs_failure_has_the_exit_code_of_its_cause(code: str, exit_code: int) -> None:
    assert exit_code_of(code) == exit_code
    error = job_error(WorkflowFailureError(cause=ApplicationError("What happened.", type=code)))
    assert (error.message, error.exit_code) == ("What happened.", exit_code)


def test_other_ends() -> None:
    assert job_error(WorkflowFailureError(cause=CancelledError("x"))).exit_code == 75
    assert job_error(WorkflowFailureError(cause=TerminatedError("x"))).exit_code == 1


def test_pace_is_that_of_the_last_half_minute() -> None:
    pace = Pace()
    assert pace.describe(100) == ""
    for second in range(0, 100, 5):
        pace.add(second if second < 50 else 50 + (second - 50) // 5, now=float(second))
    assert pace.per_second == pytest.approx(0.2)
    assert pace.describe(100) == "12.0 pages/min · 3:25 left"
    assert pace.describe(59) == "", "all is read: what follows has no pace of pages"


def test_lines_of_operations_end_between_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    names = ("extract", "ocr", "blend", "label_read", "label", "metadata", "toc_find", "toc_extract")
    counts = {name: OperationProgress(total=1, complete=0, failed=0, blocked=0, in_flight=0) for name in names}
    live = LiveDisplay("book")
    try:
        shown = live._operations(Progress(job="ProcessPages", state="running", pages=1, operations=counts)).plain
    finally:
        live.close()
    assert shown.splitlines() == [
        "pages found · read · blended",
        "numbers read · labels · metadata",
        "contents found · contents read",
    ]


def test_lines_are_sparse(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr(display.time, "monotonic", lambda: now[0])
    out = io.StringIO()
    monkeypatch.setattr(sys, "stderr", out)
    lines = LineDisplay("book")
    for step in range(61):
        now[0] = 100.0 + step
        lines.update(progress(step // 2, 0))
    assert len(out.getvalue().splitlines()) == 6
    assert out.getvalue().splitlines()[0] == "book: reading, 5 of 30 pages · 30.0 pages/min · 0:50 left"


def test_words_for_numbers() -> None:
    assert [duration(seconds) for seconds in (4.21, 59.99, 185, 7620)] == [
        "4.2 s",
        "1 min 0 s",
        "3 min 5 s",
        "2 h 7 min",
    ]
    assert [money(cost) for cost in (0.0, 0.0123, 1.5, None)] == ["$0.00", "$0.0123", "$1.50", "unknown"]
    assert [clock(seconds) for seconds in (7, 725, 10809)] == ["0:07", "12:05", "3:00:09"]
    assert [cell(value) for value in (None, True, 1.25, ["a", "b"], [])] == ["–", "yes", "1.2", "a, b", "–"]


def test_every_failure_has_a_next_step() -> None:
    assert next_step("Rejected", "book", 7) == "look at the page: `shelf page book 7 --image page.png`"
    assert next_step("Rejected", "book", 0) == "try it again: `shelf retry book --failed`"
    assert next_step("SomethingNew", "book", 7) == "try it again: `shelf retry book --failed`"
