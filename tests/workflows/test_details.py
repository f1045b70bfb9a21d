"""What a person reads of a job in Temporal's UI."""

from __future__ import annotations

from activities.contracts import FailedItem, OperationProgress, Progress
from workflows.details import FAILED_SHOWN, GAP, job_details

BOOK = "moby-0a1b2c3d"


def progress(**given: object) -> Progress:
    counts = {"ocr": OperationProgress(total=26, complete=24, failed=1, blocked=0, in_flight=1)}
    return Progress.model_validate(
        {"job": "ProcessPages", "book_id": BOOK, "state": "running", "operations": counts, **given}
    )


def failed(page: int, message: str = "its image is damaged") -> FailedItem:
    return FailedItem(page=page, operation="ocr", code="Rejected", message=message)


def test_columns_stand_apart_where_tables_have_no_padding() -> None:
    said = job_details(progress())
    [row] = [line for line in said.splitlines() if line.startswith("| ocr")]
    assert [each.strip(" ") for each in row.strip("|").split("|")] == [
        f"{each}{GAP}" for each in ("ocr", "24", "1", "0", "1", "26")
    ]


def test_a_message_cannot_end_its_cell_or_its_row() -> None:
    said = job_details(progress(failed=(failed(7, "first | second\nthird"),)))
    assert f"| 7{GAP} | ocr{GAP} | Rejected: first \\| second third{GAP} |" in said.splitlines()


def test_a_job_with_gaps_says_what_to_do_next() -> None:
    many = tuple(failed(page) for page in range(1, FAILED_SHOWN + 4))
    said = job_details(progress(state="complete_with_gaps", failed=many))
    assert "... and 3 more" in said
    assert f"`shelf retry {BOOK} --failed`" in said
    assert "shelf retry" not in job_details(progress(failed=many)), "its job still runs"


def test_a_paused_job_says_how_it_goes_on() -> None:
    said = job_details(progress(state="paused", reason="budget of 2.00 USD is used up"))
    assert said.startswith(f"**{BOOK}** · paused · budget of 2.00 USD is used up")
    assert f"`shelf resume {BOOK}`" in said


def test_what_open_ranges_count_is_said_to_be_theirs() -> None:
    said = job_details(progress(open_ranges=("job:e1:p0001-0030", "job:e1:p0031-0080")))
    assert "*Relationships*" in said
    assert "0001-0030, 0031-0080" in said
