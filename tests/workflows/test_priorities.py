"""Whose activities go first: the priority and the book on every unit of work and every save."""

from __future__ import annotations

from typing import Any

import pytest
from temporalio.api.enums.v1 import EventType

from tests.workflows.conftest import Shelf


async def priorities(shelf: Shelf, workflow_id: str) -> dict[str, tuple[int, str]]:
    """Activity type -> (priority, fairness key), of a workflow's own activities."""
    history = await shelf.client.get_workflow_handle(workflow_id).fetch_history()
    scheduled: list[Any] = [
        event.activity_task_scheduled_event_attributes
        for event in history.events
        if event.event_type == EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED
    ]
    return {each.activity_type.name: (each.priority.priority_key, each.priority.fairness_key) for each in scheduled}


@pytest.mark.parametrize(("chosen", "pages", "whole"), [({}, 3, 2), ({"priority": 5}, 5, 4), ({"priority": 1}, 1, 1)])
async def test_whole_books_go_before_pages_and_the_input_says_how_urgent_a_book_is(
    shelf: Shelf, chosen: dict[str, Any], pages: int, whole: int
) -> None:
    handle = await shelf.start(3, **chosen)
    book = (await handle.result()).book_id
    of_book = await priorities(shelf, handle.id)
    of_range = await priorities(shelf, f"{handle.id}:e1:p0001-0003")
    assert of_range["ocr_pages"] == of_range["save_ocr_results"] == of_range["blend_pages"] == (pages, book)
    assert of_book["infer_labels"] == of_book["save_metadata"] == of_book["find_contents"] == (whole, book)


async def test_what_somebody_waits_for_goes_before_bulk(shelf: Shelf) -> None:
    book = (await shelf.run(3)).book_id
    again = await shelf.start(workflow="RerunToc", book_id=book)
    await again.result()
    assert (await priorities(shelf, again.id))["find_contents"] == (1, book), "a whole book, and interactive"
    some = await shelf.start(workflow="RunOperations", book_id=book, operations=["blend"], fresh=True)
    await some.result()
    assert (await priorities(shelf, f"{some.id}:e3:p0001-0003"))["blend_pages"] == (2, book)
