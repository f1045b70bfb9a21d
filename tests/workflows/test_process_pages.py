"""ProcessPages in skipped time: sizes, gaps, refusals, pauses, ends."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest
from temporalio.client import WorkflowFailureError
from temporalio.exceptions import ApplicationError, CancelledError

from providers.errors import Rejected, ServerError
from schemas.documents import Lease, Metric, Page
from tests.workflows.conftest import Shelf, progress, until


@pytest.mark.parametrize("pages", [1, 19, 51, 120])
async def test_books_of_all_sizes_end_complete(shelf: Shelf, pages: int) -> None:
    result = await shelf.run(pages)
    assert (result.state, result.pages, result.pages_complete, result.failed_count) == ("complete", pages, pages, 0)
    assert set(shelf.tesseract.calls) == set(range(1, pages + 1))
    assert set(shelf.tesseract.calls.values()) == {1}, "a page was read twice"
    documents = await shelf.pages(result.book_id)
    assert all(f"Text of page {page}," in (documents[page].text or "") for page in range(1, pages + 1))
    lease = (await shelf.store.get(Lease, [result.book_id]))[result.book_id]
    assert lease.workflow_id is None
    assert lease.epoch == 1


async def test_a_second_run_calls_nobody_and_adds_no_commit(shelf: Shelf) -> None:
    first = await shelf.run(26)
    calls, results = dict(shelf.tesseract.calls), await shelf.ocr_results(first.book_id)
    before = await shelf.commits()
    second = await shelf.run(26)
    assert second.state == "complete"
    assert dict(shelf.tesseract.calls) == calls
    assert await shelf.ocr_results(first.book_id) == results
    assert await shelf.commits() == before


async def test_fresh_reads_anew_once_and_keeps_both_readings(shelf: Shelf) -> None:
    first = await shelf.run(5)
    fresh = await shelf.run(5, fresh=True)
    assert fresh.state == "complete"
    assert set(shelf.tesseract.calls.values()) == {2}
    assert len(await shelf.ocr_results(first.book_id)) == 10
    history = await shelf.store.history(Page, (await shelf.pages(first.book_id))[3].key)
    texts = [version.changed["text"] for version in history if "text" in version.changed]
    assert len(texts) == 2
    assert "call 1" in texts[0]
    assert "call 2" in texts[1]
    third = await shelf.run(5)
    assert third.state == "complete"
    assert set(shelf.tesseract.calls.values()) == {2}, "the fresh reading is the one that counts from now on"


async def test_some_pages_of_a_long_book(shelf: Shelf) -> None:
    result = await shelf.run(300, pages="1-20")
    assert result.pages == 20
    assert result.state == "complete"
    assert set(shelf.tesseract.calls) == set(range(1, 21))
    rest = await shelf.run(300, pages="19-24")
    assert rest.state == "complete"
    assert set(shelf.tesseract.calls) == set(range(1, 25))
    assert set(shelf.tesseract.calls.values()) == {1}


async def test_good_text_layers_are_taken_and_poor_pages_are_read(shelf: Shelf) -> None:
    shelf.pdf.good = {1, 2, 4}
    result = await shelf.run(5)
    assert set(shelf.tesseract.calls) == {3, 5}
    providers = {r.page_key[-4:]: r.provider for r in await shelf.ocr_results(result.book_id) if r.page_key}
    assert providers == {
        "0001": "text-layer",
        "0002": "text-layer",
        "0003": "tesseract",
        "0004": "text-layer",
        "0005": "tesseract",
    }


async def test_second_opinions_worst_first_within_their_share(shelf: Shelf) -> None:
    shelf.services.second_opinion_share = 0.2
    shelf.tesseract.low = {*range(3, 17), 40, 41}
    result = await shelf.run(60)
    assert result.state == "complete"
    # Of 12 for the book pages 1-30 may have nine tenths, rounded up, pages 31-60 the last one: the worst of each.
    assert set(shelf.rapidocr.calls) == {*range(3, 14), 40}
    documents = await shelf.pages(result.book_id)
    assert [len(documents[page].ocr_results or ()) for page in (3, 13, 14, 40, 41)] == [2, 2, 1, 2, 1]


async def test_words_of_the_range_decide_where_two_readings_differ(shelf: Shelf) -> None:
    name = "Brother Rothwxll came home"  # no list of a language has the name, but three pages have
    shelf.tesseract.texts = {1: [name], 2: [name], 5: [name], 3: ["Then Rothwxll spoke"]}
    shelf.rapidocr.texts = {3: ["Then Rothwcll spoke"]}
    shelf.tesseract.low = {3}
    result = await shelf.run(6)
    assert result.state == "complete"
    assert set(shelf.rapidocr.calls) == {3}
    documents = await shelf.pages(result.book_id)
    assert documents[3].text == "Then Rothwxll spoke"
    assert documents[3].agreement == pytest.approx(2 / 3, abs=0.001)
    first, second = sorted(await shelf.ocr_results(result.book_id), key=lambda each: -(each.expected_cer or 0))[:2]
    assert first.page_key == documents[3].key
    assert (first.expected_cer or 0) > 0.5 > (documents[3].expected_cer or 0) > (second.expected_cer or 0)


async def test_blank_pages_complete(shelf: Shelf) -> None:
    shelf.tesseract.texts = {2: [], 4: []}
    result = await shelf.run(5)
    assert result.state == "complete"
    documents = await shelf.pages(result.book_id)
    assert documents[2].text == ""
    assert documents[2].label is None


async def test_a_page_that_always_fails_leaves_a_gap_with_a_reason(shelf: Shelf) -> None:
    shelf.tesseract.fail = lambda page, call: ServerError(f"engine says no to {page}") if page == 3 else None
    result = await shelf.run(6)
    assert result.state == "complete_with_gaps"
    assert [(item.page, item.operation, item.code) for item in result.failed] == [(3, "ocr", "ServerError")]
    assert "engine says no to 3" in result.failed[0].message
    assert result.pages_complete == 5
    assert shelf.tesseract.calls[3] == 3, "max_attempts counts failed calls"
    documents = await shelf.pages(result.book_id)
    assert "ServerError" in str(documents[3].flag("ocr", "error"))
    attempts = [
        m
        for m in await shelf.store.find(Metric, {"book_key": result.book_id})
        if m.kind == "attempt" and m.operation == "ocr"
    ]
    assert sum(3 in (metric.pages or ()) and metric.outcome in ("failed", "partial") for metric in attempts) == 3

    shelf.tesseract.fail = lambda page, call: None
    again = await shelf.run(6)
    assert again.state == "complete", "the next job tries a failed page again"
    assert (await shelf.pages(result.book_id))[3].flag("ocr", "error") is None
    assert shelf.tesseract.calls[1] == 1


async def test_a_transient_failure_in_a_batch_costs_that_page_only(shelf: Shelf) -> None:
    shelf.tesseract.fail = lambda page, call: ServerError("hiccup") if page == 5 and call == 1 else None
    result = await shelf.run(8)
    assert result.state == "complete"
    assert shelf.tesseract.calls[5] == 2
    assert all(calls == 1 for page, calls in shelf.tesseract.calls.items() if page != 5)


async def test_all_pages_failing_still_ends(shelf: Shelf) -> None:
    shelf.tesseract.fail = lambda page, call: Rejected("cannot be rendered")
    result = await shelf.run(52)
    assert result.state == "complete_with_gaps"
    assert result.pages_complete == 0
    assert result.operations["ocr"].failed == 52
    assert result.operations["label"].blocked == 1
    assert set(shelf.tesseract.calls.values()) == {1}, "a permanent failure is not repeated"


async def test_a_book_without_contents_completes(shelf: Shelf) -> None:
    result = await shelf.run(3)
    assert result.operations["toc_extract"].complete == 1


async def test_second_job_is_refused_with_the_holders_name(shelf: Shelf) -> None:
    shelf.tesseract.gate = asyncio.Event()
    with shelf.env.auto_time_skipping_disabled():
        first = await shelf.start(3, id="first-job")
        await until(lambda: shelf.tesseract.calls)
        second = await shelf.start(3)
        with pytest.raises(WorkflowFailureError) as refused:
            await second.result()
        assert isinstance(refused.value.cause, ApplicationError)
        assert refused.value.cause.type == "LeaseHeld"
        assert "first-job" in str(refused.value.cause)
        shelf.tesseract.gate.set()
        assert (await first.result()).state == "complete"


async def test_with_wait_the_second_job_runs_after_the_first(shelf: Shelf) -> None:
    shelf.tesseract.gate = asyncio.Event()
    with shelf.env.auto_time_skipping_disabled():
        first = await shelf.start(3)
        await until(lambda: shelf.tesseract.calls)
        second = await shelf.start(3, wait=True)
        await asyncio.sleep(0.5)
        shelf.tesseract.gate.set()
        await first.result()
    assert (await second.result()).state == "complete"
    assert set(shelf.tesseract.calls.values()) == {1}


async def test_a_dead_holders_lease_is_taken_over(shelf: Shelf) -> None:
    shelf.tesseract.gate = asyncio.Event()
    with shelf.env.auto_time_skipping_disabled():
        first = await shelf.start(3)
        await until(lambda: shelf.tesseract.calls)
        await first.terminate("gone")
        shelf.tesseract.gate.set()
        result = await shelf.run(3)
    assert result.state == "complete"
    lease = (await shelf.store.get(Lease, [result.book_id]))[result.book_id]
    assert lease.epoch == 2


async def test_cancel_keeps_what_is_finished_and_releases_the_lease(shelf: Shelf) -> None:
    shelf.tesseract.gate = asyncio.Event()
    with shelf.env.auto_time_skipping_disabled():
        handle = await shelf.start(40)
        await until(lambda: shelf.tesseract.calls)
        await handle.cancel()
        await asyncio.sleep(0.3)
        shelf.tesseract.gate.set()
        with pytest.raises(WorkflowFailureError) as cancelled:
            await handle.result()
    assert isinstance(cancelled.value.cause, CancelledError)
    started = set(shelf.tesseract.calls)
    assert len(started) < 40, "units were started after the cancel"
    assert [lease.workflow_id for lease in await shelf.store.find(Lease, {})] == [None]
    shelf.tesseract.gate = None
    result = await shelf.run(40)
    assert result.state == "complete"
    assert set(shelf.tesseract.calls.values()) == {1}, "what was read before the cancel is not read again"


async def test_a_pause_of_a_week(shelf: Shelf) -> None:
    shelf.tesseract.gate = asyncio.Event()
    with shelf.env.auto_time_skipping_disabled():
        handle = await shelf.start(40)
        await until(lambda: shelf.tesseract.calls)
        await handle.signal("pause", "weekend")
        await asyncio.sleep(0.3)
        shelf.tesseract.gate.set()

        async def is_paused() -> bool:
            return (await progress(handle)).state == "paused"

        await until(is_paused)
        now = await progress(handle)
        assert now.reason == "weekend"
        started = set(shelf.tesseract.calls)
        assert len(started) < 40
    await shelf.env.sleep(timedelta(days=7))
    assert set(shelf.tesseract.calls) == started, "a paused job went on"
    await handle.signal("resume")
    result = await handle.result()
    assert result.state == "complete"
    assert result.pages_complete == 40
    assert set(shelf.tesseract.calls.values()) == {1}


async def test_a_wrong_field_is_named(shelf: Shelf) -> None:
    with pytest.raises(WorkflowFailureError) as failed:
        await shelf.run(3, pagse="1-2")
    assert isinstance(failed.value.cause, ApplicationError)
    assert failed.value.cause.type == "BadInput"
    assert "pagse" in str(failed.value.cause)


@pytest.mark.parametrize(
    ("options", "code", "says"),
    [
        ({"source": "missing.pdf"}, "SourceNotFound", "missing.pdf"),
        ({"source": "/etc/passwd"}, "SourceNotAllowed", "/etc/passwd"),
        ({"book_id": "nobody-00000000"}, "BadInput", "nobody-00000000"),
        ({}, "BadInput", "source"),
        (3, "BadInput", "input"),
    ],
)
async def test_bad_input_fails_with_its_own_sentence(shelf: Shelf, options: object, code: str, says: str) -> None:
    handle = await shelf.client.start_workflow(
        "ProcessPages", options, id="bad", task_queue="shelf", execution_timeout=timedelta(days=1)
    )
    with pytest.raises(WorkflowFailureError) as failed:
        await handle.result()
    assert isinstance(failed.value.cause, ApplicationError)
    assert failed.value.cause.type == code
    assert says in str(failed.value.cause)
    assert await shelf.store.find(Lease, {}) == []


async def test_pages_beyond_the_end_are_refused_before_anything_is_written(shelf: Shelf) -> None:
    with pytest.raises(WorkflowFailureError) as failed:
        await shelf.run(3, pages="2-9")
    assert isinstance(failed.value.cause, ApplicationError)
    assert failed.value.cause.type == "BadInput"
    assert "3 pages" in str(failed.value.cause)
    assert await shelf.store.find(Lease, {}) == []


async def test_what_later_pages_make_stale_is_done_again(shelf: Shelf) -> None:
    """Labels and contents of the first pages are current when the rest of the book is asked for; not afterwards."""
    first = await shelf.run(8, pages="1-4")
    assert first.state == "complete"
    second = await shelf.run(8)
    assert second.state == "complete"
    documents = await shelf.pages(first.book_id)
    assert {page: document.label for page, document in documents.items()} == {page: str(page) for page in range(1, 9)}
    third = await shelf.commits()
    await shelf.run(8)
    assert await shelf.commits() == third
