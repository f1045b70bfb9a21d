"""Doing things again: from an operation on, what failed, some pages only. Nothing else may change."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from temporalio.client import WorkflowFailureError

from activities.blend import activity as blending
from providers.errors import ProviderError, Rejected
from schemas.documents import Book, Metric, ToC
from schemas.keys import toc_key
from schemas.reading import PageReading
from tests.workflows.conftest import Shelf
from tests.workflows.test_focused_jobs import book_with_contents


def changed(before: dict[str, int], after: dict[str, int]) -> dict[str, int]:
    """Commits that were added, by document."""
    return {key: after[key] - before.get(key, 0) for key in after if after[key] != before.get(key, 0)}


def refuses(*pages: int, saying: str = "no such page") -> Callable[[int, int], ProviderError | None]:
    """A provider that rejects these pages for good."""

    def fail(page: int, call: int) -> ProviderError | None:
        return Rejected(saying) if page in pages else None

    return fail


async def attempts(shelf: Shelf, book: str) -> dict[str, str]:
    """key -> operation of the attempts that reached a provider."""
    metrics = await shelf.store.find(Metric, {"book_key": book})
    return {metric.key: str(metric.operation) for metric in metrics if metric.kind == "attempt"}


async def test_an_equal_blend_ripples_no_further(shelf: Shelf) -> None:
    book = await book_with_contents(shelf)
    documents, before, known = await shelf.pages(book), await shelf.commits(), await attempts(shelf, book)
    result = await shelf.run(book_id=book, from_operation="blend", pages="1-3")
    assert (result.state, result.pages, result.pages_complete) == ("complete", 3, 3)
    after = await shelf.commits()
    assert changed(before, after) == {documents[page].key: 1 for page in (1, 2, 3)}, "the generation of three pages"
    called = [operation for key, operation in (await attempts(shelf, book)).items() if key not in known]
    assert set(called) == {"blend"}
    assert [p.flag("blend", "generation") for p in (await shelf.pages(book)).values()] == [2] * 3 + [None] * 7
    await shelf.run(10)
    assert await shelf.commits() == after, "a second run commits nothing"


async def test_what_depends_on_another_text_follows(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    book = await book_with_contents(shelf)
    original = blending.blend

    def better(*given: Any) -> PageReading:
        blended = original(*given)
        for line in blended.lines:
            for word in line.words:
                word.text = word.text.replace("Second", "Next")
        return blended

    # As a new version of the rules would: its name is in the requests, not in what makes a flag stale.
    monkeypatch.setattr(blending, "blend", better)
    monkeypatch.setattr(blending, "REVISION", "better")
    before = await shelf.commits()
    await shelf.run(10)
    assert await shelf.commits() == before, "a new version of the rules makes nothing stale by itself"
    calls = dict(shelf.tesseract.calls)
    result = await shelf.run(book_id=book, from_operation="blend")
    assert result.state == "complete"
    assert dict(shelf.tesseract.calls) == calls
    assert "The Next Part" in ((await shelf.pages(book))[7].text or "")
    toc = (await shelf.store.get(ToC, [toc_key(book)]))[toc_key(book)]
    assert f"{book}/toc/{toc.current_set}/000" in changed(before, await shelf.commits()), "the contents name it too"
    before = await shelf.commits()
    await shelf.run(10)
    assert await shelf.commits() == before


async def test_from_ocr_reads_only_the_pages_asked_for(shelf: Shelf) -> None:
    book = (await shelf.run(6)).book_id
    result = await shelf.run(book_id=book, from_operation="ocr", pages="4")
    assert result.state == "complete"
    assert dict(shelf.tesseract.calls) == {1: 1, 2: 1, 3: 1, 4: 2, 5: 1, 6: 1}
    documents = await shelf.pages(book)
    assert "call 2" in (documents[4].text or "")
    assert documents[4].flag("blend", "generation") is None, "only what was named is a new generation"
    before = await shelf.commits()
    await shelf.run(6)
    assert await shelf.commits() == before


async def test_from_extract_asks_no_engine_again(shelf: Shelf) -> None:
    shelf.tesseract.low = {2, 3}
    book = (await shelf.run(20)).book_id
    calls, opinions, before = dict(shelf.tesseract.calls), dict(shelf.rapidocr.calls), await shelf.commits()
    assert opinions, "one page was read twice"
    assert (await shelf.run(book_id=book, from_operation="extract")).state == "complete"
    assert (dict(shelf.tesseract.calls), dict(shelf.rapidocr.calls)) == (calls, opinions)
    assert set(changed(before, await shelf.commits()).values()) == {1}, "the flag of the pages"


async def test_run_operations_takes_it_too(shelf: Shelf) -> None:
    book = (await shelf.run(4)).book_id
    result = await shelf.run(
        workflow="RunOperations", book_id=book, operations=["ocr", "blend"], from_operation="ocr", pages="1-2"
    )
    assert result.state == "complete"
    assert dict(shelf.tesseract.calls) == {1: 2, 2: 2, 3: 1, 4: 1}


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"from_operation": "blned"}, "no operation 'blned' to begin from"),
        ({"from_operation": "ocr", "fresh": True}, "not both"),
    ],
)
async def test_a_wrong_beginning_is_refused(shelf: Shelf, options: dict[str, object], says: str) -> None:
    with pytest.raises(WorkflowFailureError) as failed:
        await shelf.run(2, **options)
    assert says in str(failed.value.cause)
    assert not await shelf.store.find(Book, {})


async def test_a_failed_page_is_read_by_another_provider_and_stays_so(shelf: Shelf) -> None:
    shelf.tesseract.fail = refuses(3)
    first = await shelf.run(5)
    book = first.book_id
    assert (first.state, first.pages_complete, first.failed_count) == ("complete_with_gaps", 4, 1)
    assert "no such page" in (await shelf.pages(book))[3].flag("ocr", "error")
    result = await shelf.run(book_id=book, pages="3", stand_in="rapidocr")
    assert (result.state, result.pages, result.pages_complete, result.failed) == ("complete", 1, 1, ())
    page = (await shelf.pages(book))[3]
    assert page.flag("ocr", "error") is None
    assert "read by rapidocr" in (page.text or "")
    assert dict(shelf.rapidocr.calls) == {3: 1}
    calls, before = dict(shelf.tesseract.calls), await shelf.commits()
    again = await shelf.run(5)
    assert (again.state, again.pages_complete, again.failed_count) == ("complete", 5, 0)
    assert dict(shelf.tesseract.calls) == calls, "it counts as read, by whomever"
    assert await shelf.commits() == before


async def test_a_page_that_fails_again_keeps_a_note_with_the_new_reason(shelf: Shelf) -> None:
    shelf.tesseract.fail = refuses(3)
    book = (await shelf.run(5)).book_id
    shelf.tesseract.fail = refuses(3, saying="still no such page")
    result = await shelf.run(book_id=book, pages="3")
    assert (result.state, result.pages_complete, result.failed_count) == ("complete_with_gaps", 0, 1)
    assert "still no such page" in result.failed[0].message
    assert "still no such page" in (await shelf.pages(book))[3].flag("ocr", "error")
    shelf.tesseract.fail = refuses()
    assert (await shelf.run(book_id=book, pages="3")).state == "complete"
    assert (await shelf.pages(book))[3].flag("ocr", "error") is None


async def test_a_reading_anew_that_failed_leaves_no_note_for_ever(shelf: Shelf) -> None:
    book = (await shelf.run(3)).book_id
    await shelf.run(workflow="AddOcrSource", book_id=book, provider="rapidocr", pages="2")
    sources = (await shelf.pages(book))[2].ocr_results
    text = (await shelf.pages(book))[2].text
    shelf.tesseract.fail = refuses(2)
    assert (await shelf.run(book_id=book, fresh=True, pages="2")).state == "complete_with_gaps"
    page = (await shelf.pages(book))[2]
    assert (page.flag("ocr", "error") is not None, page.text) == (True, text)
    calls = dict(shelf.tesseract.calls)
    assert (await shelf.run(book_id=book, pages="2")).state == "complete"
    page = (await shelf.pages(book))[2]
    assert (page.flag("ocr", "error"), page.text, page.ocr_results) == (None, text, sources)
    assert dict(shelf.tesseract.calls) == calls, "the reading that is there was found"


async def test_a_further_source_that_fails_is_a_gap_of_the_job_not_of_the_page(shelf: Shelf) -> None:
    book = (await shelf.run(3)).book_id
    shelf.rapidocr.fail = refuses(2)
    result = await shelf.run(workflow="AddOcrSource", book_id=book, provider="rapidocr")
    assert (result.state, [item.page for item in result.failed]) == ("complete_with_gaps", [2])
    pages = await shelf.pages(book)
    assert [page.flag("ocr", "error") for page in pages.values()] == [None] * 3
    assert [len(page.ocr_results or ()) for page in pages.values()] == [2, 1, 2]


async def test_a_known_book_is_read_as_it_was_chosen(shelf: Shelf) -> None:
    book = (await shelf.run(3, pages="1-2", language="deu", ocr="rapidocr")).book_id
    await shelf.run(book_id=book)
    assert dict(shelf.rapidocr.calls) == {1: 1, 2: 1, 3: 1}
    assert not shelf.tesseract.calls
    before = await shelf.commits()
    await shelf.run(workflow="RunOperations", book_id=book, operations=["extract", "ocr", "blend"])
    assert await shelf.commits() == before
    await shelf.run(3)
    assert set(shelf.tesseract.calls) == {1, 2, 3}, "a source is read as its job says, or by default"


async def test_one_page_more_keeps_what_was_found_on_the_others(shelf: Shelf) -> None:
    book = await book_with_contents(shelf)
    before = await shelf.commits()
    result = await shelf.run(book_id=book, pages="9")
    assert (result.state, result.pages) == ("complete", 1)
    assert await shelf.commits() == before, (
        "metadata and contents come from the first pages of the book, not of the job"
    )
