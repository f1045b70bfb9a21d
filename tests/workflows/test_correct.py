"""People's word against the machines': it wins, it survives every re-run, it can be taken back, and only what depends on
it is done again."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import pytest
from temporalio.client import WorkflowFailureError
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from activities.contracts import JobResult
from activities.correcting import TEXT_BYTES, CorrectActivities, publish_text
from activities.corrections import RecordInput, Said
from providers.errors import Rejected
from schemas.documents import Book, Correction, Lease, Metric, Page, ToC, TocEntry
from schemas.keys import toc_key
from schemas.reading import PageReading
from tests.workflows.conftest import Shelf
from tests.workflows.test_focused_jobs import book_with_contents

WHO = "Ann"


async def correct(shelf: Shelf, book: str, *said: dict[str, Any], who: str = WHO, **options: Any) -> JobResult:
    return await shelf.run(workflow="Correct", book_id=book, who=who, corrections=list(said), **options)


async def refused(shelf: Shelf, book: str, *said: dict[str, Any], who: str = WHO) -> ApplicationError:
    with pytest.raises(WorkflowFailureError) as failed:
        await correct(shelf, book, *said, who=who)
    assert isinstance(failed.value.cause, ApplicationError)
    return failed.value.cause


class Attempts:
    """Which operations reached a provider since the last look, and for how many items."""

    def __init__(self, shelf: Shelf, book: str) -> None:
        self.shelf = shelf
        self.book = book
        self.seen: set[str] = set()

    async def new(self) -> Counter[str]:
        found = {m.key: m for m in await self.shelf.store.find(Metric, {"book_key": self.book}) if m.kind == "attempt"}
        counts = Counter[str]()
        for key, metric in found.items():
            if key not in self.seen:
                counts[str(metric.operation)] += metric.read or 0
        self.seen |= set(found)
        return counts


async def live(shelf: Shelf, book: str) -> list[Correction]:
    return await shelf.store.find(Correction, {"book_key": book})


async def book_of(shelf: Shelf, book: str) -> Book:
    return (await shelf.store.get(Book, [book]))[book]


async def test_a_text_wins_survives_and_is_taken_back(shelf: Shelf) -> None:
    book = await book_with_contents(shelf)
    attempts = Attempts(shelf, book)
    await attempts.new()
    machine = await shelf.pages(book)
    text = "The First Part\nWords, corrected, of page 4 and more.\n4"
    result = await correct(shelf, book, {"page": 4, "field": "text", "value": text, "why": "two words"})
    assert result.state == "complete"
    assert "ocr" not in result.operations
    done = await attempts.new()
    assert (done["blend"], done["label_read"]) == (1, 1)
    assert "ocr" not in done
    assert "extract" not in done
    page = (await shelf.pages(book))[4]
    assert page.text == text
    assert (page.confidence, page.agreement, page.expected_cer) == (100.0, None, 0.0)
    body = shelf.services.artifacts.get(str(page.flag("blend", "artifact")))
    assert body is not None
    words = {word.text: word for word in PageReading.from_json(body).words}
    assert words["First"].rule == ""
    assert (words["corrected,"].voters, words["corrected,"].rule) == (("correction",), f"corrected by {WHO}")
    before = await shelf.commits()
    await shelf.run(10)
    assert await shelf.commits() == before, "the main job finds everything current"
    assert not await attempts.new()
    await shelf.run(10, fresh=True)
    assert (await shelf.pages(book))[4].text == text, "also where everything is read anew"
    assert shelf.tesseract.calls[4] == 2
    await correct(shelf, book, {"page": 4, "field": "text", "revert": True})
    page = (await shelf.pages(book))[4]
    assert page.text == machine[4].text
    assert (page.confidence, page.expected_cer) == (machine[4].confidence, machine[4].expected_cer)
    assert [(c.number, c.reverted, c.who) for c in await live(shelf, book)] == [(1, None, WHO), (2, True, WHO)]


async def test_the_contents_follow_from_a_text(shelf: Shelf) -> None:
    book = await book_with_contents(shelf)
    lines = ["CONTENTS", "The First Part . . . . . . 4", "Another Name . . . . . . 7", "The Third Part . . . . . . 9"]
    fingerprint = publish_text(shelf.services.artifacts, "\n".join(lines))
    await correct(shelf, book, {"page": 2, "field": "text", "artifact": fingerprint})
    titles = {entry.title for entry in await shelf.store.find(TocEntry, {"book_key": book})}
    assert {"The First Part", "The Second Part", "Another Name"} <= titles


async def test_a_text_for_a_page_that_no_engine_could_read(shelf: Shelf) -> None:
    shelf.tesseract.fail = lambda page, call: Rejected("nothing legible") if page == 3 else None
    result = await shelf.run(5)
    book = result.book_id
    assert result.state == "complete_with_gaps"
    await correct(shelf, book, {"page": 3, "field": "text", "value": "What a person can read.\n3"})
    page = (await shelf.pages(book))[3]
    assert (page.text, page.label) == ("What a person can read.\n3", "3")
    await shelf.run(5, fresh=True)
    assert (await shelf.pages(book))[3].text == "What a person can read.\n3"
    blend: dict[str, Any] = {"workflow": "RunOperations", "book_id": book, "operations": ["blend"], "fresh": True}
    assert (await shelf.run(pages="3", **blend)).state == "complete", "it needs no reading"
    await correct(shelf, book, {"page": 3, "field": "text", "revert": True})
    with pytest.raises(WorkflowFailureError) as failed:
        await shelf.run(pages="2-3", **blend)
    assert "blend requires ocr, which is not complete for pages 3." in str(failed.value.cause)


async def test_a_label_moves_the_pages_around_it_and_nothing_else(shelf: Shelf) -> None:
    # Two runs of numbers with a page between them that is not counted; nothing printed tells which.
    numbers = {1: "1", 2: "2", 8: "7", 9: "8", 10: "9"}
    shelf.tesseract.texts = {
        page: [numbers.get(page, ""), f"Words of page {page} and more.", "more of it"] for page in range(1, 11)
    }
    book = (await shelf.run(10)).book_id
    attempts = Attempts(shelf, book)
    await attempts.new()
    machine = {page: document.label for page, document in (await shelf.pages(book)).items()}
    said = {"page": 4, "field": "label", "value": "3"}
    await correct(shelf, book, said, {"page": 3, "field": "page_type", "value": "list"})
    done = await attempts.new()
    assert done["label"] == 1
    assert not {"extract", "ocr", "blend", "label_read"} & set(done)
    assert (done["metadata"], done["toc_find"]) == (1, 1), "a page's type is evidence for both"
    pages = await shelf.pages(book)
    assert [pages[page].label for page in range(1, 11)] == ["1", "2", None, "3", "4", "5", "6", "7", "8", "9"]
    assert pages[4].label_inferred is False
    assert pages[5].label_inferred is True
    assert pages[3].page_type == "list"
    await shelf.run(10, fresh=True)
    assert (await shelf.pages(book))[5].label == "4"
    await correct(
        shelf,
        book,
        {"page": 4, "field": "label", "revert": True},
        {"page": 3, "field": "page_type", "revert": True},
        {"page": 9, "field": "label", "value": ""},
    )
    pages = await shelf.pages(book)
    assert pages[9].label is None
    assert {page: document.label for page, document in pages.items() if page != 9} == {
        page: label for page, label in machine.items() if page != 9
    }


async def toc_of(shelf: Shelf, book: str) -> ToC:
    return (await shelf.store.get(ToC, [toc_key(book)]))[toc_key(book)]


async def test_a_page_type_says_where_the_contents_are(shelf: Shelf) -> None:
    book = await book_with_contents(shelf)
    machine = await toc_of(shelf, book)
    assert machine.pages == [2]
    attempts = Attempts(shelf, book)
    await attempts.new()
    await correct(shelf, book, {"page": 2, "field": "page_type", "value": "list"})
    done = await attempts.new()
    assert (done["toc_find"], done["toc_extract"], done["blend"]) == (1, 1, 0)
    assert ((await toc_of(shelf, book)).found, (await toc_of(shelf, book)).entry_count) == (False, 0)
    await correct(shelf, book, {"page": 8, "field": "page_type", "value": "toc"})
    found = await toc_of(shelf, book)
    assert (found.found, found.pages, found.reason) == (True, [8], "page 8: a person says so")
    before = await shelf.commits()
    await shelf.run(10)
    assert await shelf.commits() == before, "the main job finds everything current"
    await correct(
        shelf,
        book,
        {"page": 2, "field": "page_type", "revert": True},
        {"page": 8, "field": "page_type", "revert": True},
    )
    assert ((await toc_of(shelf, book)).pages, (await toc_of(shelf, book)).current_set) == ([2], machine.current_set)


async def test_contents_are_found_beyond_the_first_pages_where_a_person_says_so(shelf: Shelf) -> None:
    rows = [f"The {name} Part . . . . . . {n}" for n, name in ((4, "First"), (7, "Second"), (9, "Third"))]
    shelf.tesseract.texts = {page: [f"Words of page {page} and more."] for page in range(1, 36)} | {34: rows}
    book = (await shelf.run(35)).book_id
    assert not (await toc_of(shelf, book)).found
    await correct(shelf, book, {"page": 34, "field": "page_type", "value": "toc"})
    found = await toc_of(shelf, book)
    assert (found.pages, found.entry_count) == ([34], 3)
    before = await shelf.commits()
    await shelf.run(35)
    assert await shelf.commits() == before


async def test_a_page_type_says_which_page_is_the_title_page(shelf: Shelf) -> None:
    numbered = {page: [f"Words of page {page} and more.", "more of it", str(page)] for page in range(1, 9)}
    shelf.tesseract.texts = {**numbered, 1: ["Deep Water", "by Anna Lee"], 3: ["Salt and Sand", "by Tom Wood"]}
    book = (await shelf.run(8)).book_id
    machine = (await book_of(shelf, book)).title
    page, title = (3, "Salt and Sand") if machine != "Salt and Sand" else (1, "Deep Water")
    await correct(shelf, book, {"page": page, "field": "page_type", "value": "title_page"})
    assert (await book_of(shelf, book)).title == title
    await correct(shelf, book, {"page": page, "field": "page_type", "revert": True})
    assert (await book_of(shelf, book)).title == machine


async def test_metadata_with_who_and_why(shelf: Shelf) -> None:
    book = await book_with_contents(shelf)
    machine = await book_of(shelf, book)
    attempts = Attempts(shelf, book)
    await attempts.new()
    await correct(
        shelf,
        book,
        {"field": "year", "value": 1916, "why": "the colophon has it"},
        {"field": "authors", "value": ["A. Lee", " B.  Day "]},
        {"field": "isbn", "value": ["0-19-852663-6"]},
    )
    assert await attempts.new() == Counter({"metadata": 1})
    found = await book_of(shelf, book)
    assert (found.year, found.authors, found.isbn) == (1916, ["A. Lee", "B. Day"], ["9780198526636"])
    assert found.title == machine.title
    evidence = json.loads(found.metadata_evidence or "")
    assert evidence["year"] == {
        "page": None,
        "confidence": 1.0,
        "source": f"correction by {WHO}",
        "why": "the colophon has it",
    }
    await shelf.run(10, fresh=True)
    assert (await book_of(shelf, book)).year == 1916
    await correct(shelf, book, {"field": "year", "revert": True})
    found = await book_of(shelf, book)
    assert found.year == machine.year
    assert found.authors == ["A. Lee", "B. Day"], "the others stay"


async def test_another_way_to_prepare_an_image_reads_that_page_alone(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    leaf = shelf.pdf.leaf

    async def turned(*given: Any, steps: str | None = None, **options: Any) -> Any:
        facts = await leaf(*given, **options)
        return facts.model_copy(update={"image_hash": facts.image_hash + (steps or "")})

    monkeypatch.setattr(shelf.pdf, "leaf", turned)
    book = (await shelf.run(4, ocr="rapidocr", language="deu")).book_id
    await correct(shelf, book, {"page": 2, "field": "image_steps", "value": '{"orientation": 90}'})
    assert dict(shelf.rapidocr.calls) == {1: 1, 2: 2, 3: 1, 4: 1}, "by the engine that was chosen for the book"
    assert not shelf.tesseract.calls
    await shelf.run(4)
    await correct(shelf, book, {"page": 2, "field": "image_steps", "revert": True})
    assert shelf.rapidocr.calls[2] == 2, "the first reading is found again"


async def test_the_same_said_twice_is_one_correction(shelf: Shelf) -> None:
    book = (await shelf.run(2)).book_id
    for _ in range(2):
        await correct(shelf, book, {"page": 1, "field": "label", "value": "v"})
    assert [correction.number for correction in await live(shelf, book)] == [1]
    await correct(shelf, book, {"page": 1, "field": "label", "value": "v"}, who="Ben")
    assert [(c.number, c.who) for c in await live(shelf, book)] == [(1, "Ann"), (2, "Ben")]


async def test_a_lost_answer_makes_no_second_correction(shelf: Shelf) -> None:
    from schemas.errors import StoreUnavailable

    book = (await shelf.run(2)).book_id
    lost: list[str] = []

    def faults(name: str) -> None:
        if name == "create:after" and len(lost) < 2:
            lost.append(name)
            raise StoreUnavailable("the answer was lost")

    shelf.store.faults = faults
    await correct(shelf, book, {"page": 2, "field": "label", "value": "v"}, {"field": "year", "value": "1900"})
    await correct(shelf, book, {"page": 2, "field": "label", "revert": True})
    shelf.store.faults = None
    assert len(lost) == 2
    said = [(correction.field, correction.number, correction.value) for correction in await live(shelf, book)]
    assert said == [("year", 1, "1900"), ("label", 1, '"v"'), ("label", 2, None)]


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"page": 9, "field": "text", "value": "x"}, "Page 9 of"),
    ({"page": 1, "field": "title", "value": "x"}, "The field 'title' of a page cannot be corrected. Known: text"),
    ({"field": "txet", "value": "x"}, "The field 'txet' of a book cannot be corrected. Known: title"),
    ({"field": "year", "value": "19i6"}, "The year must be a whole number of at most four digits, not '19i6'"),
    ({"field": "isbn", "value": ["9780198526637"]}, "'9780198526637' is no ISBN"),
    ({"field": "authors", "value": "A. Lee"}, "The authors must be a list of texts"),
    ({"field": "language", "value": "english"}, "'english' is no language by ISO 639-1"),
    ({"field": "title", "value": 7}, "The title must be a text, not 7"),
    ({"page": 1, "field": "page_type", "value": "contents"}, "There is no page type 'contents'. Known: cover"),
    ({"page": 1, "field": "label", "value": "x" * 21}, "The label has 21 characters"),
    ({"page": 1, "field": "image_steps", "value": "{"}, "'{' are no image_steps"),
    ({"page": 1, "field": "image_steps", "value": '{"orientation": 45}'}, "are no image_steps"),
    ({"page": 1, "field": "image_steps", "value": '{"skew": NaN}'}, "are no image_steps"),
    ({"page": 1, "field": "text"}, "Page 1 is given no text"),
    ({"page": 1, "field": "text", "artifact": "0" * 64}, "is not in the artifact store of the worker"),
    ({"page": 1, "field": "text", "value": "x" * (TEXT_BYTES + 1)}, f"longer than {TEXT_BYTES} bytes"),
    ({"page": 1, "field": "label", "revert": True}, "there is nothing to revert"),
]


async def test_what_is_wrong_is_named_and_nothing_is_written(shelf: Shelf) -> None:
    book = (await shelf.run(2)).book_id
    good = {"page": 1, "field": "label", "value": "good"}
    error = await refused(shelf, book, good, {"field": "year", "value": "soon"})
    assert error.type == "BadInput"
    assert "The year must be" in str(error)
    assert "field 'corrections.1.field'" in str(await refused(shelf, book, good, {"page": 1, "feild": "label"}))
    lease = (await shelf.store.get(Lease, [book]))[book]
    assert not lease.workflow_id, "given back"
    record = CorrectActivities(shelf.services).record_corrections
    for said, says in WRONG:
        job = RecordInput(
            book_id=book, epoch=lease.epoch or 0, who=WHO, at="now", corrections=(Said(**good), Said(**said))
        )
        with pytest.raises(ApplicationError) as failed:
            await ActivityEnvironment().run(record, job)
        assert failed.value.type in {"BadInput", "ArtifactMissing"}
        assert says in str(failed.value)
        assert failed.value.non_retryable
    assert not await live(shelf, book)


async def test_nobody_corrects_without_a_name(shelf: Shelf) -> None:
    assert "field 'who'" in str(await refused(shelf, "any", {"field": "year", "value": 1}, who=""))


async def test_pages_that_were_never_read_are_left_alone(shelf: Shelf) -> None:
    book = (await shelf.run(8, pages="3-5")).book_id
    result = await correct(shelf, book, {"page": 4, "field": "text", "value": "By hand."})
    assert result.state == "complete"
    pages = await shelf.pages(book)
    assert set(pages) == {3, 4, 5}
    assert pages[4].text == "By hand."
    assert set(shelf.tesseract.calls.values()) == {1}
    assert isinstance(pages[3], Page)
