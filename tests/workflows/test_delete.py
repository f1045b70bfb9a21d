"""DeleteBook: what goes, what stays, what a half deleted book is, and that a deleted one can be read again."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from temporalio.client import WorkflowFailureError
from temporalio.exceptions import CancelledError

from activities.deleting import ORDER
from activities.holdings import MEMBERS, being_deleted, count_documents, held
from schemas.documents import Book, Lease, OcrResult, Page
from schemas.errors import StoreUnavailable
from schemas.memory import SeededFaults
from tests.workflows.conftest import Shelf, progress, until


async def book_of(shelf: Shelf, count: int) -> str:
    return (await shelf.run(count)).book_id


async def delete(shelf: Shelf, book: str, **options: Any) -> Any:
    return await shelf.run(workflow="DeleteBook", book_id=book, **options)


def published(shelf: Shelf) -> set[Path]:
    root = shelf.folder / "artifacts"
    return {
        path for name in ("published", "sources", "attempts") for path in (root / name).rglob("*") if path.is_file()
    }


async def test_nothing_of_the_book_is_left_but_its_lease(shelf: Shelf) -> None:
    book = await book_of(shelf, 12)
    before = await count_documents(shelf.store, book)
    assert (before["Page"], before["OcrResult"], before["Book"]) == (12, 12, 1)
    result = await delete(shelf, book)
    assert (result.job, result.state) == ("DeleteBook", "complete")
    assert {name: count.complete for name, count in result.operations.items() if name != "artifacts"} == {
        name: count for name, count in before.items() if name != "Book"
    }
    assert await count_documents(shelf.store, book) == {}
    assert published(shelf) == set()
    [lease] = await shelf.store.find(Lease, {})
    assert (lease.key, lease.epoch, lease.workflow_id) == (book, 2, None)


async def test_nothing_that_the_structure_is_made_of_is_left(shelf: Shelf) -> None:
    book = await book_of(shelf, 6)
    await shelf.run(workflow="BuildStructure", book_id=book)
    assert shelf.pdf.looked_at  # for figures: an artifact a page, which no document names
    await delete(shelf, book)
    assert await count_documents(shelf.store, book) == {}
    assert published(shelf) == set()


async def test_read_again_it_is_the_book_that_it_was(shelf: Shelf) -> None:
    book = await book_of(shelf, 6)
    texts = {number: page.text for number, page in (await shelf.pages(book)).items()}
    await delete(shelf, book)
    read = dict(shelf.tesseract.calls)
    again = await shelf.run(6)
    assert (again.book_id, again.state, again.pages_complete) == (book, "complete", 6)
    assert dict(shelf.tesseract.calls) == {page: count + 1 for page, count in read.items()}  # each page, once
    assert set(texts) == set(await shelf.pages(book))


async def test_with_its_artifacts_kept_nothing_is_read_again(shelf: Shelf) -> None:
    book = await book_of(shelf, 6)
    texts = {number: page.text for number, page in (await shelf.pages(book)).items()}
    files = published(shelf)
    await delete(shelf, book, keep_artifacts=True)
    assert await count_documents(shelf.store, book) == {}
    assert published(shelf) >= files
    read = dict(shelf.tesseract.calls)
    await shelf.run(6)
    assert dict(shelf.tesseract.calls) == read
    assert {number: page.text for number, page in (await shelf.pages(book)).items()} == texts


async def test_what_another_book_holds_too_stays(shelf: Shelf) -> None:
    """Another name of the same file is another edition of its key: two books over one source."""
    book = await book_of(shelf, 5)
    twin_path = shelf.folder / "another-name.pdf"
    twin_path.write_text("5")
    twin = (await shelf.run(source=str(twin_path))).book_id
    assert twin != book
    mine, theirs = [await held(shelf.store, shelf.services.artifacts, key) for key in (book, twin)]
    assert mine.files == theirs.files
    result = await delete(shelf, book)
    counted = result.operations["artifacts"]
    assert counted.total - counted.complete == len(mine & theirs) > 0
    for fingerprint in theirs.artifacts:
        assert shelf.services.artifacts.has(fingerprint)
    for sha256 in theirs.files:
        assert shelf.services.artifacts.file(sha256).exists()
    assert (await shelf.run(source=str(twin_path))).state == "complete"
    await delete(shelf, twin)
    assert published(shelf) == set()


async def test_faults_of_the_database_change_nothing_of_it(shelf: Shelf) -> None:
    book = await book_of(shelf, 12)
    faults = SeededFaults(seed=5, rate=0.25, methods=("delete", "find", "get", "update", "acquire_lease"))
    shelf.store.faults = faults
    result = await delete(shelf, book)
    shelf.store.faults = None
    assert sum(faults.raised.values()) >= 5
    assert result.state == "complete"
    assert await count_documents(shelf.store, book) == {}
    assert published(shelf) == set()


@pytest.fixture
def stops_at(shelf: Shelf) -> Callable[[str], asyncio.Event]:
    """Lets the deletion come to the `nth` delete of the store and no further, until a test goes on."""

    def arrange(nth: int) -> asyncio.Event:
        reached = asyncio.Event()
        seen = 0

        def fault(name: str) -> None:
            nonlocal seen
            if name == "delete":
                seen += 1
                if seen >= nth:
                    reached.set()
                    raise StoreUnavailable("the machine is away")

        shelf.store.faults = fault
        return reached

    return arrange  # type: ignore[return-value]


@pytest.mark.parametrize("nth", [1, 2, 3, len(ORDER) // 2])
async def test_ended_in_the_middle_it_says_so_and_can_be_begun_again(
    shelf: Shelf, stops_at: Callable[[int], asyncio.Event], nth: int
) -> None:
    book = await book_of(shelf, 6)
    reached = stops_at(nth)
    handle = await shelf.start(workflow="DeleteBook", book_id=book)
    await asyncio.wait_for(reached.wait(), 20)
    await handle.terminate()
    shelf.store.faults = None
    left = (await shelf.store.get(Book, [book]))[book]
    assert being_deleted(left)
    assert not any(left.flag(operation, "complete") for operation in Book.operations)
    result = await delete(shelf, book)
    assert result.state == "complete"
    assert await count_documents(shelf.store, book) == {}
    assert published(shelf) == set()


async def test_half_deleted_and_read_again_it_is_whole(shelf: Shelf, stops_at: Callable[[int], asyncio.Event]) -> None:
    book = await book_of(shelf, 6)
    before = {number: (page.text, page.label) for number, page in (await shelf.pages(book)).items()}
    reached = stops_at(3)  # contents and pages are gone, their readings are not
    handle = await shelf.start(workflow="DeleteBook", book_id=book)
    await asyncio.wait_for(reached.wait(), 20)
    await handle.terminate()
    shelf.store.faults = None
    assert await shelf.pages(book) == {}
    assert await shelf.ocr_results(book)
    result = await shelf.run(6)
    assert (result.state, result.pages_complete) == ("complete", 6)
    assert {number: (page.text, page.label) for number, page in (await shelf.pages(book)).items()} == before
    whole = (await shelf.store.get(Book, [book]))[book]
    assert not being_deleted(whole)
    assert all(whole.flag(operation, "complete") for operation in ("source", "label", "metadata"))


async def test_cancelled_it_ends_between_two_steps_and_frees_the_book(
    shelf: Shelf, stops_at: Callable[[int], asyncio.Event]
) -> None:
    book = await book_of(shelf, 6)
    reached = stops_at(1)
    handle = await shelf.start(workflow="DeleteBook", book_id=book)
    await asyncio.wait_for(reached.wait(), 20)
    await handle.signal("pause", "wait")
    shelf.store.faults = None
    await until(lambda: _paused(handle))
    await handle.cancel()
    with pytest.raises(WorkflowFailureError) as caught:
        await handle.result()
    assert isinstance(caught.value.cause, CancelledError)
    [lease] = await shelf.store.find(Lease, {})
    assert lease.workflow_id is None
    assert being_deleted((await shelf.store.get(Book, [book]))[book])
    assert (await delete(shelf, book)).state == "complete"


async def _paused(handle: Any) -> bool:
    return bool((await progress(handle)).state == "paused")


async def test_a_book_that_is_worked_on_is_not_deleted(shelf: Shelf) -> None:
    shelf.tesseract.gate = asyncio.Event()
    handle = await shelf.start(6)
    await until(lambda: shelf.tesseract.calls)
    [lease] = await shelf.store.find(Lease, {})
    with pytest.raises(WorkflowFailureError) as caught:
        await delete(shelf, lease.key)
    assert getattr(caught.value.cause, "type", "") == "LeaseHeld"
    shelf.tesseract.gate.set()
    assert (await handle.result()).state == "complete"
    assert len(await shelf.store.find(Page, {"book_key": lease.key}, [])) == 6


async def test_a_book_that_is_not_there(shelf: Shelf) -> None:
    with pytest.raises(WorkflowFailureError) as caught:
        await delete(shelf, "nobody-00000000")
    assert getattr(caught.value.cause, "type", "") == "BadInput"
    assert await shelf.store.find(Lease, {}) == []


async def test_another_book_is_left_alone(shelf: Shelf) -> None:
    book, other = await book_of(shelf, 4), await book_of(shelf, 5)
    before = [await shelf.store.find(kind, {"book_key": other}) for kind in MEMBERS]
    await delete(shelf, book)
    assert [await shelf.store.find(kind, {"book_key": other}) for kind in MEMBERS] == before
    assert await shelf.store.find(OcrResult, {"book_key": book}) == []
