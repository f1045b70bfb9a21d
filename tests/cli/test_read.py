import asyncio
import json
from collections.abc import Callable

import pytest

from cli.books import find_book
from schemas.documents import Book
from schemas.errors import BadInput
from schemas.store import Update
from tests.cli.conftest import BOOK, Library, key_of

Shelf = Callable[..., tuple[int, str, str]]


def test_show_has_the_names_of_the_truth_files(shelf: Shelf) -> None:
    code, out, err = shelf("show", BOOK, "--json")
    found = json.loads(out)
    assert (code, err) == (0, "")
    assert {name: found[name] for name in ("title", "subtitle", "authors", "publisher", "place", "year", "isbn")} == {
        "title": "A [small] Book",
        "subtitle": None,
        "authors": ["Ann Author"],
        "publisher": None,
        "place": None,
        "year": 1916,
        "isbn": ["9781402894626"],
    }
    assert found["language"] == "en"
    assert found["evidence"]["title"] == {"page": 1, "confidence": 0.95, "source": "title_page"}
    assert found["labels"] == "1 unnumbered, iii, 1, 1 unnumbered"
    assert (found["page_count"], found["pages_complete"], found["pages_failed"]) == (4, 3, 1)


def test_show_for_people(shelf: Shelf) -> None:
    code, out, _ = shelf("show", "small")
    assert code == 0
    assert "Title     A [small] Book" in out
    assert "95%  page 1, title page" in out
    assert "3 of 4 complete, 1 failed" in out
    assert all(line == line.rstrip() for line in out.splitlines())


def test_toc_is_the_live_set_in_order(shelf: Shelf) -> None:
    found = json.loads(shelf("toc", BOOK, "--json")[1])
    assert found["toc_pages"] == [2]
    assert [(e["title"], e["level"], e["printed"], e["page"], e["source"]) for e in found["toc"]] == [
        ("The Doctor", 1, "1", 3, "printed"),
        ("A Second", 2, "2", 4, "printed"),
    ]
    code, out, err = shelf("toc", BOOK)
    assert code == 0
    assert out.splitlines()[2].startswith("  A Second")
    assert "the word for contents." in err


def test_a_book_that_was_not_processed_further(shelf: Shelf, library: Library) -> None:
    asyncio.run(library.store.stub(Book, [{"key": "another-4567cdef"}]))
    assert json.loads(shelf("toc", "another", "--json")[1])["toc"] == []
    code, out, err = shelf("toc", "another")
    assert (code, out, err) == (0, "", "The contents have not been looked for yet.\n")
    assert "0 of ? complete" in shelf("show", "another")[1]


def test_what_the_numbers_say_of_missing_leaves_is_a_warning(shelf: Shelf, library: Library) -> None:
    sentence = "Printed 45-46 are missing after image 61."
    note = {"kind": "missing", "after_page": 61, "pages": [], "printed": "45-46", "sentence": sentence}

    async def fill() -> None:
        await library.store.stub(Book, [{"key": "gaps-4567cdef"}])
        fields, flags = {"label_report": json.dumps([note])}, {"complete": True}
        await library.store.update(Book, "label", 1, 1, [Update("gaps-4567cdef", fields, flags, "mark")])

    asyncio.run(fill())
    for command in ("show", "pages"):
        code, _, err = shelf(command, "gaps")
        assert (code, err) == (0, f"warning: {sentence}\n")
        assert json.loads(shelf(command, "gaps", "--json")[1])["label_report"] == [note]
        assert json.loads(shelf(command, BOOK, "--json")[1])["label_report"] == []


def test_pages(shelf: Shelf) -> None:
    found = json.loads(shelf("pages", BOOK, "--json")[1])["pages"]
    assert [page["page"] for page in found] == [1, 2, 3, 4]
    assert all("text" not in page for page in found)
    assert found[2] | {"errors": {}} == {
        "page": 3,
        "label": "1",
        "label_inferred": True,
        "running_header": None,
        "page_type": "body",
        "confidence": 96.25,
        "agreement": None,
        "expected_cer": None,
        "complete": True,
        "errors": {},
    }
    assert found[3]["errors"] == {"ocr": "TimedOut: it took longer than it may"}
    with_text = json.loads(shelf("pages", BOOK, "--text", "--json")[1])["pages"]
    assert [page["text"] for page in with_text] == ["Text of page 1.", "The Doctor", "Text of page 3.", None]


def test_pages_for_people(shelf: Shelf) -> None:
    _, out, err = shelf("pages", BOOK)
    assert "(1)" in out
    assert "3.4%" in out
    assert "ocr: TimedOut: it took longer than it may" in out
    assert "follow from its neighbours" in err
    _, out, _ = shelf("pages", BOOK, "--text")
    assert out.splitlines()[:4] == ["--- page 1 ---", "Text of page 1.", "--- page 2 · iii ---", "The Doctor"]
    assert out.rstrip().endswith("--- page 4 ---\n(not read)")


def test_page(shelf: Shelf) -> None:
    found = json.loads(shelf("page", BOOK, "2", "--json")[1])
    assert (found["page"], found["label"], found["text"], found["agreement"]) == (2, "iii", "The Doctor", 0.5)
    assert [(source["provider"], source["text"]) for source in found["sources"]] == [
        ("tesseract", "The Doct0r"),
        ("rapidocr", "The Doctor"),
    ]
    assert found["sources"][0]["key"].startswith(f"{key_of(2)}/ocr/tesseract/")
    _, out, _ = shelf("page", BOOK, "2")
    assert "50.0% of the words read alike" in out
    assert found["expected_cer"] == 0.0341
    assert "3.4% of the characters" in out
    assert out.rstrip().endswith("The Doctor")


def test_a_page_that_is_not_there(shelf: Shelf) -> None:
    code, out, err = shelf("page", BOOK, "9")
    assert (code, out) == (2, "")
    assert err == f"error: Book {BOOK} has no page 9. It has 4, counted from 1; see `shelf pages {BOOK}`.\n"


def test_an_image_without_its_source(shelf: Shelf) -> None:
    code, _, err = shelf("page", BOOK, "1", "--image", "page.png")
    assert code == 1
    assert "Process the source again." in err


async def test_a_book_is_named_by_the_beginning_of_its_key(library: Library) -> None:
    assert await find_book(library.store, BOOK) == BOOK
    assert await find_book(library.store, "Small") == BOOK
    await library.store.stub(Book, [{"key": "small-other-4567cdef"}])
    assert await find_book(library.store, "small-b") == BOOK
    with pytest.raises(BadInput, match=f"beginning of 2 books. Write more of one: {BOOK}, small-other-4567cdef"):
        await find_book(library.store, "small")
    with pytest.raises(BadInput, match=r"There is no book 'tall'. There are: "):
        await find_book(library.store, "tall")
