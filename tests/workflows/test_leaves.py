"""EditLeaves in skipped time: identities stay, positions change, only what is new is read."""

from __future__ import annotations

from typing import Any

import pytest
from temporalio.client import WorkflowFailureError
from temporalio.exceptions import ApplicationError

from activities.contracts import JobResult
from schemas.documents import Book, Page, ToC, TocEntry
from schemas.keys import toc_key
from schemas.memory import SeededFaults
from tests.workflows.conftest import Shelf

CONTENTS = ["CONTENTS", "The First Part . . . . . . 4", "The Second Part . . . . . . 7", "The Third Part . . . . . . 9"]
TITLES = {4: "The First Part", 7: "The Second Part", 9: "The Third Part"}


async def ten_pages(shelf: Shelf) -> str:
    """A book with printed numbers; the contents on page 2, the headings where it says."""
    shelf.tesseract.texts = {
        page: CONTENTS if page == 2 else [str(page), TITLES.get(page, "more of it"), f"Words of page {page} and more."]
        for page in range(1, 11)
    }
    return (await shelf.run(10)).book_id


def rescan(shelf: Shelf, pages: int = 1, name: str = "rescan") -> str:
    """A file with so many pages, where the worker may read it."""
    path = shelf.folder / f"{name}.pdf"
    path.write_text(f"{pages} {name}")
    return str(path)


async def edit(shelf: Shelf, book: str, *edits: dict[str, Any], **options: Any) -> JobResult:
    return await shelf.run(workflow="EditLeaves", book_id=book, edits=list(edits), **options)


async def leaves(shelf: Shelf, book: str) -> list[str]:
    """Leaf ids in the order of the pages."""
    return [page.key.rpartition("/")[2] for _, page in sorted((await shelf.pages(book)).items())]


async def contents(shelf: Shelf, book: str) -> list[tuple[str | None, int | None, str]]:
    """(title, page, leaf) of the live entries."""
    toc = (await shelf.store.get(ToC, [toc_key(book)]))[toc_key(book)]
    entries = await shelf.store.find(TocEntry, {"book_key": book, "toc_set": toc.current_set})
    return [(entry.title, entry.page, str(entry.page_key).rpartition("/")[2]) for entry in entries]


def original(*pages: int) -> list[str]:
    return [f"0000-{page:04d}" for page in pages]


async def again_adds_nothing(shelf: Shelf, book: str) -> None:
    before, calls = await shelf.commits(), shelf.tesseract.calls.total()
    assert (await shelf.run(book_id=book)).state == "complete"
    assert await shelf.commits() == before
    assert shelf.tesseract.calls.total() == calls


async def test_a_rescan_is_read_and_nothing_else(shelf: Shelf) -> None:
    book = await ten_pages(shelf)
    old = (await shelf.pages(book))[7]
    shelf.tesseract.calls.clear()
    shelf.tesseract.texts = {**shelf.tesseract.texts, 7: ["7", "The Second Part", "Words that are sharp now."]}
    result = await edit(shelf, book, {"action": "replace", "pages": "7", "source": rescan(shelf)})
    assert (result.state, result.pages) == ("complete", 10)
    assert dict(shelf.tesseract.calls) == {7: 1}
    assert await leaves(shelf, book) == [*original(1, 2, 3, 4, 5, 6), "0001-0001", *original(8, 9, 10)]
    page = (await shelf.pages(book))[7]
    assert "sharp now" in str(page.text)
    assert (page.label, page.label_inferred) == ("7", False)
    assert ("The Second Part", 7, "0001-0001") in await contents(shelf, book), "the contents name the new leaf"
    gone = (await shelf.store.get(Page, [old.key]))[old.key]
    assert gone.page is None
    assert gone.text == old.text, "what was read of the old leaf stays"
    assert len(await shelf.store.history(Page, old.key)) > 1
    await again_adds_nothing(shelf, book)


async def test_an_inserted_leaf_moves_those_behind_it_and_labels_and_contents_follow(shelf: Shelf) -> None:
    book = await ten_pages(shelf)
    before = {page.key: page for page in (await shelf.pages(book)).values()}
    shelf.tesseract.calls.clear()
    shelf.tesseract.texts = {page: ["5a", f"A plate, number {page}, with words."] for page in (6, 7)}
    result = await edit(shelf, book, {"action": "insert", "after": 5, "source": rescan(shelf, 3), "from_pages": "2-3"})
    assert result.state == "complete"
    assert dict(shelf.tesseract.calls) == {6: 1, 7: 1}
    assert await leaves(shelf, book) == [
        *original(1, 2, 3, 4, 5),
        *("0001-0002", "0001-0003"),
        *original(6, 7, 8, 9, 10),
    ]
    after = await shelf.pages(book)
    for page, document in after.items():
        if (old := before.get(document.key)) is not None:
            assert document.page == page
            assert document.ocr_results == old.ocr_results
            assert document.text == old.text
    assert after[9].key.endswith("0000-0007")
    assert [after[page].label for page in (5, 8, 12)] == ["5", "6", "10"]
    assert [(title, page) for title, page, _ in await contents(shelf, book)] == [
        ("The First Part", 4),
        ("The Second Part", 9),
        ("The Third Part", 11),
    ]
    versions = await shelf.store.history(Page, after[12].key)
    assert set(versions[-1].changed) == {"page", "extract_rev", "extract_op_id"}, "a move writes the position alone"
    await again_adds_nothing(shelf, book)


async def test_dropped_pages_are_gone_and_come_back_with_their_readings(shelf: Shelf) -> None:
    book = await ten_pages(shelf)
    texts = {page.key: page.text for page in (await shelf.pages(book)).values()}
    shelf.tesseract.calls.clear()
    result = await edit(shelf, book, {"action": "drop", "pages": "3,10"})
    assert (result.state, result.pages) == ("complete", 8)
    assert await leaves(shelf, book) == original(1, 2, 4, 5, 6, 7, 8, 9)
    row = (await shelf.store.get(Book, [book]))[book]
    assert row.page_count == 8
    assert (await contents(shelf, book))[0] == ("The First Part", 3, "0000-0004")
    await again_adds_nothing(shelf, book)
    path = next(shelf.folder.glob("book-of-10.pdf"))
    back = {"action": "insert", "after": 2, "source": str(path), "from_pages": "3"}
    assert (await edit(shelf, book, back)).state == "complete"
    assert await leaves(shelf, book) == original(1, 2, 3, 4, 5, 6, 7, 8, 9)
    assert {page.key: page.text for page in (await shelf.pages(book)).values()}.items() <= texts.items()
    assert shelf.tesseract.calls.total() == 0
    await again_adds_nothing(shelf, book)


async def test_moved_pages_keep_everything_but_their_place(shelf: Shelf) -> None:
    book = await ten_pages(shelf)
    shelf.tesseract.calls.clear()
    assert (await edit(shelf, book, {"action": "move", "pages": "5-6", "after": 7})).state == "complete"
    assert await leaves(shelf, book) == original(1, 2, 3, 4, 7, 5, 6, 8, 9, 10)
    assert shelf.tesseract.calls.total() == 0
    assert ("The Second Part", 5, "0000-0007") in await contents(shelf, book)
    await again_adds_nothing(shelf, book)


async def test_the_old_file_does_not_undo_edits_and_reset_does(shelf: Shelf) -> None:
    book = await ten_pages(shelf)
    manifest = (await shelf.store.get(Book, [book]))[book].source_manifest
    before = {page: document.key for page, document in (await shelf.pages(book)).items()}
    await edit(
        shelf,
        book,
        {"action": "replace", "pages": "7", "source": rescan(shelf)},
        {"action": "drop", "pages": "3"},
    )
    edited = await leaves(shelf, book)
    commits = await shelf.commits()
    assert (await shelf.run(10)).book_id == book
    assert (await shelf.run(manifest=manifest)).pages == 9
    assert await leaves(shelf, book) == edited
    assert await shelf.commits() == commits
    shelf.tesseract.calls.clear()
    assert (await edit(shelf, book, {"action": "reset"})).state == "complete"
    assert {page: document.key for page, document in (await shelf.pages(book)).items()} == before
    assert shelf.tesseract.calls.total() == 0
    await again_adds_nothing(shelf, book)
    await shelf.run(10)
    other = {"action": "insert", "after": 0, "source": rescan(shelf, name="another")}
    assert (await edit(shelf, book, other)).state == "complete"
    assert (await leaves(shelf, book))[0] == "0002-0001", "the number of the first rescan's file is not given again"
    assert dict(shelf.tesseract.calls) == {1: 1}


async def test_the_source_brings_a_book_back_whose_manifest_was_lost(shelf: Shelf) -> None:
    book = (await shelf.run(3)).book_id
    await edit(shelf, book, {"action": "drop", "pages": "3"})
    lost = str((await shelf.store.get(Book, [book]))[book].source_manifest)
    shelf.services._manifests.clear()
    for path in (shelf.folder / "artifacts").rglob(f"*{lost[2:]}*"):
        path.unlink()
    assert shelf.services.artifacts.get(lost) is None
    assert (await shelf.run(3)).state == "complete"
    assert await leaves(shelf, book) == original(1, 2, 3)
    assert set(shelf.tesseract.calls.values()) == {1}


async def test_spreads_become_leaves_and_a_split_by_hand_is_undone(shelf: Shelf) -> None:
    shelf.pdf.gutters = {(0, 1): (0.48, "two texts"), (0, 2): (None, "a table crosses the middle")}
    book = (await shelf.run(3)).book_id
    halves = ["0000-0002-0,0,0.48,1", "0000-0002-0.48,0,1,1"]
    assert await leaves(shelf, book) == ["0000-0001", *halves, "0000-0003"]
    pages = await shelf.pages(book)
    assert pages[2].image_hash != pages[3].image_hash
    assert sorted(shelf.tesseract.calls) == [1, 2, 3, 4]
    await again_adds_nothing(shelf, book)
    shelf.tesseract.calls.clear()
    await edit(shelf, book, {"action": "join", "pages": "3"})
    assert await leaves(shelf, book) == original(1, 2, 3)
    assert dict(shelf.tesseract.calls) == {2: 1}
    await edit(shelf, book, {"action": "split", "pages": "2", "at": 0.48})
    assert await leaves(shelf, book) == ["0000-0001", *halves, "0000-0003"]
    assert dict(shelf.tesseract.calls) == {2: 1}, "the halves are those that were read before"


async def test_only_the_pages_that_were_read_and_the_new_ones_are_the_edits(shelf: Shelf) -> None:
    book = (await shelf.run(40, pages="1-6")).book_id
    shelf.tesseract.calls.clear()
    result = await edit(shelf, book, {"action": "insert", "after": 3, "source": rescan(shelf)})
    assert (result.pages, dict(shelf.tesseract.calls)) == (7, {4: 1})


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"action": "drop", "pages": "11"}, "Page 11 was asked for, but the book has 10 pages"),
        ({"action": "drop", "pages": "1-10"}, "No page would be left"),
        ({"action": "move", "pages": "2"}, "'move' needs 'after'"),
        ({"action": "join", "pages": "2"}, "is not a half"),
        ({"action": "bend", "pages": "2"}, "edits.0.action"),
    ],
)
async def test_an_edit_that_does_not_fit_changes_nothing(shelf: Shelf, wrong: dict[str, Any], sentence: str) -> None:
    book = (await shelf.run(10)).book_id
    commits = await shelf.commits()
    with pytest.raises(WorkflowFailureError) as failed:
        await edit(shelf, book, wrong)
    assert isinstance(failed.value.cause, ApplicationError)
    assert failed.value.cause.type == "BadInput"
    assert sentence in str(failed.value.cause)
    assert await shelf.commits() == commits


async def test_an_edit_of_leaves_that_changed_meanwhile_is_refused(shelf: Shelf) -> None:
    book = (await shelf.run(4)).book_id
    seen = (await shelf.store.get(Book, [book]))[book].source_manifest
    await edit(shelf, book, {"action": "drop", "pages": "2"}, of=seen)
    with pytest.raises(WorkflowFailureError) as failed:
        await edit(shelf, book, {"action": "drop", "pages": "2"}, of=seen)
    assert "have changed since" in str(failed.value.cause)
    assert await leaves(shelf, book) == original(1, 3, 4)


@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_an_edit_is_done_once_whatever_gets_lost(shelf: Shelf, seed: int) -> None:
    """Answers of the database get lost before and after they took effect; the activity that edits is repeated."""
    book = await ten_pages(shelf)
    shelf.tesseract.calls.clear()
    faults = shelf.store.faults = SeededFaults(seed, 0.25)
    result = await edit(
        shelf,
        book,
        {"action": "drop", "pages": "3"},
        {"action": "insert", "after": 1, "source": rescan(shelf)},
    )
    shelf.store.faults = None
    assert result.state == "complete"
    assert any(name.endswith(":after") for name in faults.raised)
    assert await leaves(shelf, book) == ["0000-0001", "0001-0001", *original(2, 4, 5, 6, 7, 8, 9, 10)]
    assert dict(shelf.tesseract.calls) == {2: 1}
    await again_adds_nothing(shelf, book)
