"""Focused jobs: compositions over what the database has."""

from __future__ import annotations

import pytest
from temporalio.client import WorkflowFailureError
from temporalio.exceptions import ApplicationError

from schemas.documents import Metric, ToC, TocEntry
from schemas.keys import toc_key
from schemas.store import Update
from tests.workflows.conftest import Shelf

CONTENTS = ["CONTENTS", "The First Part . . . . . . 4", "The Second Part . . . . . . 7", "The Third Part . . . . . . 9"]


async def book_with_contents(shelf: Shelf) -> str:
    """Ten pages; the contents on page 2, the headings where it says."""
    titles = {4: "The First Part", 7: "The Second Part", 9: "The Third Part"}
    shelf.tesseract.texts = {
        page: CONTENTS if page == 2 else [titles.get(page, "more of it"), f"Words of page {page} and more.", str(page)]
        for page in range(1, 11)
    }
    return (await shelf.run(10)).book_id


async def test_rerun_toc_reads_no_page_and_an_equal_result_is_the_same_set(shelf: Shelf) -> None:
    book = await book_with_contents(shelf)
    key = toc_key(book)
    before = (await shelf.store.get(ToC, [key]))[key]
    calls = dict(shelf.tesseract.calls)
    attempts = {m.key for m in await shelf.store.find(Metric, {"book_key": book}) if m.kind == "attempt"}
    result = await shelf.run(workflow="RerunToc", book_id=book)
    assert result.state == "complete"
    assert set(result.operations) == {"toc_find", "toc_extract"}
    assert dict(shelf.tesseract.calls) == calls
    new = [
        metric
        for metric in await shelf.store.find(Metric, {"book_key": book})
        if metric.kind == "attempt" and metric.key not in attempts
    ]
    assert {metric.operation for metric in new} == {"toc_find", "toc_extract"}
    after = (await shelf.store.get(ToC, [key]))[key]
    assert after.current_set == before.current_set
    assert after.flag("toc_extract", "generation") == 2
    again = await shelf.run(10)
    assert again.state == "complete"
    assert dict(shelf.tesseract.calls) == calls
    assert (await shelf.store.get(ToC, [key]))[key] == after, "the main job finds the re-run current"


async def test_rerun_toc_replaces_the_set_and_keeps_the_old_one(shelf: Shelf) -> None:
    book = await book_with_contents(shelf)
    key = toc_key(book)
    before = (await shelf.store.get(ToC, [key]))[key]
    # The witness that was missing the first time: the printed contents are flat, the outline knows levels.
    shelf.pdf.outline = [(1, "The First Part", 4), (2, "The Second Part", 7), (1, "The Third Part", 9)]
    await shelf.run(workflow="RerunToc", book_id=book)
    after = (await shelf.store.get(ToC, [key]))[key]
    assert after.current_set != before.current_set
    levels = {
        entries: [entry.level for entry in await shelf.store.find(TocEntry, {"toc_set": entries, "book_key": book})]
        for entries in (before.current_set, after.current_set)
    }
    assert levels == {before.current_set: [1, 1, 1], after.current_set: [1, 2, 1]}


async def test_rerun_toc_of_a_book_that_was_never_read_is_blocked_not_stuck(shelf: Shelf) -> None:
    with pytest.raises(WorkflowFailureError) as failed:
        await shelf.run(workflow="RerunToc", book_id="nobody-00000000")
    assert isinstance(failed.value.cause, ApplicationError)
    assert failed.value.cause.type == "BadInput"


async def test_add_ocr_source_reads_beside_and_blends_what_it_made_stale(shelf: Shelf) -> None:
    book = (await shelf.run(6)).book_id
    calls = dict(shelf.tesseract.calls)
    result = await shelf.run(workflow="AddOcrSource", book_id=book, provider="rapidocr", pages="2-4")
    assert result.state == "complete"
    assert dict(shelf.tesseract.calls) == calls
    assert set(shelf.rapidocr.calls) == {2, 3, 4}
    documents = await shelf.pages(book)
    assert [len(documents[page].ocr_results or ()) for page in range(1, 7)] == [1, 2, 2, 2, 1, 1]
    assert documents[3].agreement is not None, "blended from two readings"
    assert documents[5].agreement is None
    before = await shelf.commits()
    again = await shelf.run(workflow="AddOcrSource", book_id=book, provider="rapidocr", pages="2-4")
    assert again.state == "complete"
    await shelf.run(6)
    assert dict(shelf.rapidocr.calls) == {2: 1, 3: 1, 4: 1}
    assert dict(shelf.tesseract.calls) == calls, "the main job keeps the readings that are there"
    after = await shelf.commits()
    assert {key for key in after if after[key] != before.get(key)} <= {book, toc_key(book)}, (
        "only the contents follow from the new texts"
    )


async def test_add_ocr_source_without_blend_leaves_the_text_until_the_next_job(shelf: Shelf) -> None:
    book = (await shelf.run(3)).book_id
    texts = {page: document.text for page, document in (await shelf.pages(book)).items()}
    result = await shelf.run(workflow="AddOcrSource", book_id=book, provider="rapidocr", blend=False)
    assert set(result.operations) == {"ocr"}
    documents = await shelf.pages(book)
    assert {page: document.text for page, document in documents.items()} == texts
    assert all(len(document.ocr_results or ()) == 2 for document in documents.values())
    await shelf.run(3)
    assert all(document.agreement is not None for document in (await shelf.pages(book)).values())


async def test_add_ocr_source_by_nobody_is_refused(shelf: Shelf) -> None:
    book = (await shelf.run(1)).book_id
    with pytest.raises(WorkflowFailureError) as failed:
        await shelf.run(workflow="AddOcrSource", book_id=book, provider="nobody")
    assert isinstance(failed.value.cause, ApplicationError)
    assert failed.value.cause.type == "BadInput"
    assert "nobody" in str(failed.value.cause)


async def test_any_operations_on_any_pages(shelf: Shelf) -> None:
    book = (await shelf.run(8, pages="1-4")).book_id
    result = await shelf.run(workflow="RunOperations", book_id=book, operations=["ocr", "extract"], pages="5-6")
    assert result.state == "complete"
    assert set(result.operations) == {"extract", "ocr"}
    assert set(shelf.tesseract.calls) == {1, 2, 3, 4, 5, 6}
    assert [page.text is None for page in (await shelf.pages(book)).values()] == [False] * 4 + [True] * 2
    blended = await shelf.run(workflow="RunOperations", book_id=book, operations=["blend"], pages="5-6")
    assert blended.state == "complete"
    assert all(page.text for page in (await shelf.pages(book)).values())
    assert set(shelf.tesseract.calls.values()) == {1}


@pytest.mark.parametrize(
    ("operations", "pages", "says"),
    [
        (["blend"], "3-6", "blend requires ocr, which is not complete for pages 5-6. Add ocr to the operations"),
        (["toc_extract"], "1-4", "toc_extract requires toc_find, which is not complete for the book"),
        (["bledn"], "1-4", "There is no operation bledn"),
    ],
)
async def test_what_is_missing_is_said_before_anything_starts(
    shelf: Shelf, operations: list[str], pages: str, says: str
) -> None:
    book = (await shelf.run(8, pages="1-4")).book_id
    await shelf.store.update(
        ToC, "toc_find", 9, 1, [Update(toc_key(book), {}, {"complete": False}, "broken by the test")]
    )
    before = await shelf.commits()
    with pytest.raises(WorkflowFailureError) as failed:
        await shelf.run(workflow="RunOperations", book_id=book, operations=operations, pages=pages)
    assert isinstance(failed.value.cause, ApplicationError)
    assert failed.value.cause.type == "BadInput"
    assert says in str(failed.value.cause)
    assert await shelf.commits() == before
