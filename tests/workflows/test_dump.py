"""A book that was dumped and loaded elsewhere: jobs find it as it was, and call nobody."""

from __future__ import annotations

from books.dump import DumpOptions, dump
from books.load import Dump, load
from providers.local_artifacts import LocalArtifactStore
from schemas.documents import Lease
from schemas.memory import MemoryStore
from tests.workflows.conftest import Shelf


async def nobody(lease: Lease) -> bool:
    return False


async def move(shelf: Shelf, book: str) -> None:
    """Let the worker go on over another, empty database and artifact store, filled from a dump."""
    file = shelf.folder / "library.zip"
    before = shelf.services
    await dump(before.store, before.artifacts, [book], file, DumpOptions(), busy=nobody, versions={})
    shelf.store = shelf.services.store = MemoryStore()
    shelf.services.artifacts = LocalArtifactStore(shelf.folder / "elsewhere")
    shelf.services._manifests.clear()
    with Dump(file) as found:
        found.verify()
        await load(found, shelf.services.store, shelf.services.artifacts, busy=nobody)


async def test_a_job_on_a_loaded_book_has_nothing_to_do(shelf: Shelf) -> None:
    book = (await shelf.run(8)).book_id
    await shelf.run(
        workflow="Correct", book_id=book, who="Ann", corrections=[{"page": 2, "field": "text", "value": "By hand."}]
    )
    await shelf.run(workflow="BuildStructure", book_id=book)
    texts = {number: page.text for number, page in (await shelf.pages(book)).items()}
    calls = dict(shelf.tesseract.calls)
    await move(shelf, book)
    commits = await shelf.commits()
    for job in ("ProcessPages", "BuildStructure"):
        result = await shelf.run(workflow=job, book_id=book)
        assert result.state == "complete"
    assert (await shelf.run(8)).state == "complete"  # from its file as well
    assert dict(shelf.tesseract.calls) == calls
    assert await shelf.commits() == commits
    assert {number: page.text for number, page in (await shelf.pages(book)).items()} == texts
    assert texts[2] == "By hand."


async def test_what_is_done_anew_there_is_saved(shelf: Shelf) -> None:
    book = (await shelf.run(4)).book_id
    await move(shelf, book)
    read = dict(shelf.tesseract.calls)
    result = await shelf.run(book_id=book, fresh=True)
    assert result.state == "complete"
    assert {page: count - read[page] for page, count in shelf.tesseract.calls.items()} == dict.fromkeys(read, 1)
    for page in (await shelf.pages(book)).values():
        assert f"call {shelf.tesseract.calls[page.page or 0]}." in (page.text or "")


async def test_deleted_and_loaded_again(shelf: Shelf) -> None:
    """The epoch has gone on in the database since, and the documents are those of before."""
    book = (await shelf.run(4)).book_id
    before = await shelf.pages(book)
    file = shelf.folder / "library.zip"
    services = shelf.services
    await dump(services.store, services.artifacts, [book], file, DumpOptions(), busy=nobody, versions={})
    await shelf.run(workflow="DeleteBook", book_id=book)
    with Dump(file) as found:
        found.verify()
        await load(found, services.store, services.artifacts, busy=nobody)
    assert await shelf.pages(book) == before
    calls = dict(shelf.tesseract.calls)
    assert (await shelf.run(4)).state == "complete"
    assert dict(shelf.tesseract.calls) == calls
