"""BuildStructure over the in-memory store: chapters and paragraphs of small books, and what a second run adds."""

from __future__ import annotations

import json
import random
from collections import Counter

import pytest
from temporalio.client import WorkflowFailureError
from temporalio.exceptions import ApplicationError

from books.exports.job import Export
from books.view import BookView, load_book
from schemas.documents import Chapter, Paragraph
from tests.workflows.conftest import Shelf

CONTENTS = ["CONTENTS", "The First Part ..... 4", "The Second Part ..... 7", "The Third Part ..... 9"]
NUMBERS = {3: "I", 10: "II", 17: "III"}
TITLES = {4: "The First Part", 7: "The Second Part", 9: "The Third Part"}


WORDS = ("storm", "harbour", "wheel", "engine", "winter", "letter", "doctor", "garden", "silver", "morning")


def page_text(page: int, *first: str, rows: int = 25) -> list[str]:
    """A full page: `first`, lines of which no two are alike, and the page number at its foot."""
    draw = random.Random(page)
    rest = [" ".join(draw.choices(WORDS, k=7)) for _ in range(rows - len(first))]
    return [*first, *rest, str(page)]


async def read_book(shelf: Shelf) -> str:
    """Ten pages; the contents on page 2, the headings where it says."""
    shelf.tesseract.texts = {
        page: CONTENTS if page == 2 else page_text(page, *([TITLES[page]] if page in TITLES else []))
        for page in range(1, 11)
    }
    return (await shelf.run(10)).book_id


async def build(shelf: Shelf, book: str) -> BookView:
    result = await shelf.run(workflow="BuildStructure", book_id=book)
    assert result.state == "complete", result.failed
    assert set(result.operations) == {"toc_link", "structure", "paragraph"}
    return await load_book(shelf.store, shelf.services.artifacts, book)


async def structure_commits(shelf: Shelf) -> dict[str, int]:
    counts = await shelf.commits()
    for kind in (Chapter, Paragraph):
        for document in await shelf.store.find(kind, {}):
            counts[document.key] = len(await shelf.store.history(kind, document.key))
    return counts


def words_of(view: BookView) -> Counter[tuple[int, int, int]]:
    """How often each word (page, line, word) is in a paragraph."""
    found: Counter[tuple[int, int, int]] = Counter()
    for paragraph in view.paragraphs:
        for page, line, first, last in json.loads(paragraph.spans or "[]"):
            found.update((page, line, word) for word in range(first, last))
    return found


async def test_entries_become_chapters_and_every_word_is_in_one_place(shelf: Shelf) -> None:
    book = await read_book(shelf)
    shelf.pdf.drawings = {8: [(50.0, 200.0, 300.0, 400.0)]}
    view = await build(shelf, book)
    assert [(link["page"], link["method"], link["mismatch"]) for link in view.links] == [
        (4, "label+title", None),
        (7, "label+title", None),
        (9, "label+title", None),
    ]
    assert [link["page_key"] for link in view.links] == [page.key for page in view.pages if page.page in TITLES]
    assert [(c.title, c.bucket, c.start_page, c.end_page) for c in view.chapters if not c.bucket] == [
        ("The First Part", "", 4, 6),
        ("The Second Part", "", 7, 8),
        ("The Third Part", "", 9, 10),
    ]
    pages = [page for c in view.chapters for page in range(c.start_page or 0, (c.end_page or 0) + 1)]
    assert pages == list(range(1, 11))
    assert {c.toc_entry for c in view.chapters if not c.bucket} == {entry.key for entry in view.entries}
    figures = [p for p in view.paragraphs if p.kind == "figure"]
    assert [json.loads(p.crop or "") for p in figures] == [[8, 50.0, 200.0, 300.0, 400.0]]
    assert figures[0].chapter_key == view.chapters[-2].key
    body = shelf.services.artifacts.get(str(view.book.flag("paragraph", "artifact")))
    left_out = json.loads(body or b"{}")["left_out"]
    counted = words_of(view) + Counter(
        (page, line, word) for page, line, first, last, _ in left_out for word in range(first, last)
    )
    expected = {
        (page.page, line, word)
        for page in view.pages
        for line, text in enumerate((page.text or "").split("\n"))
        for word in range(len(text.split()))
    }
    assert set(counted) == expected
    assert set(counted.values()) == {1}


async def test_a_second_run_does_nothing_and_one_that_is_asked_to_adds_nothing_but_its_flags(shelf: Shelf) -> None:
    book = await read_book(shelf)
    before = await build(shelf, book)
    looked_at = list(shelf.pdf.looked_at)
    assert sorted(looked_at) == list(range(1, 11))
    commits = await structure_commits(shelf)
    await build(shelf, book)
    assert await structure_commits(shelf) == commits
    result = await shelf.run(workflow="BuildStructure", book_id=book, fresh=True)
    assert result.state == "complete"
    after = await load_book(shelf.store, shelf.services.artifacts, book)
    assert [chapter.key for chapter in after.chapters] == [chapter.key for chapter in before.chapters]
    assert [paragraph.key for paragraph in after.paragraphs] == [paragraph.key for paragraph in before.paragraphs]
    assert shelf.pdf.looked_at == looked_at, "figures are kept page by page"


async def test_a_page_that_reads_otherwise_changes_its_chapter_alone(shelf: Shelf) -> None:
    book = await read_book(shelf)
    before = await build(shelf, book)
    shelf.tesseract.texts = {**shelf.tesseract.texts, 8: page_text(8, "Quite other words stand here")}
    await shelf.run(book_id=book, pages="8", fresh=True)
    await shelf.run(book_id=book)
    after = await build(shelf, book)
    old, new = before.book.paragraph_sets or [], after.book.paragraph_sets or []
    assert len(old) == len(new) == len(after.chapters)
    changed = [chapter.title for chapter, a, b in zip(after.chapters, old, new, strict=True) if a != b]
    assert changed == ["The Second Part"]
    assert any("Quite other words stand here" in (paragraph.text or "") for paragraph in after.paragraphs)


async def test_it_is_known_when_the_text_is_newer(shelf: Shelf) -> None:
    book = await read_book(shelf)
    artifacts = shelf.services.artifacts
    assert not (await load_book(shelf.store, artifacts, book)).structure_is_current, "none was built"
    assert Export(await load_book(shelf.store, artifacts, book)).notes == []
    assert (await build(shelf, book)).structure_is_current
    text = "The Second Part\nWhat a person reads here."
    said = [{"page": 7, "field": "text", "value": text}]
    await shelf.run(workflow="Correct", book_id=book, who="Ann", corrections=said)
    view = await load_book(shelf.store, artifacts, book)
    assert not view.structure_is_current
    export = Export(view)
    assert any("What a person reads here." in block.text for block in export.content.blocks)
    assert not export.content.structured
    (note,) = export.notes
    assert "is older than its text, and is left out: chapters follow the contents" in note
    assert f"`shelf structure {book}`" in note
    rebuilt = await build(shelf, book)
    assert rebuilt.structure_is_current
    assert Export(rebuilt).notes == []
    assert any("What a person reads here." in block.text for block in Export(rebuilt).content.blocks)
    await shelf.run(10)
    assert (await load_book(shelf.store, artifacts, book)).structure_is_current, "a run that changes nothing"


async def test_a_book_without_contents_gets_its_chapters_from_its_headings(shelf: Shelf) -> None:
    shelf.tesseract.texts = {
        page: page_text(page, *([f"CHAPTER {NUMBERS[page]}"] if page in NUMBERS else [])) for page in range(1, 20)
    }
    book = (await shelf.run(19)).book_id
    view = await build(shelf, book)
    assert view.links == []
    assert [(c.number, c.start_page, c.source) for c in view.chapters if not c.bucket] == [
        ("I", 3, "heading"),
        ("II", 10, "heading"),
        ("III", 17, "heading"),
    ]
    assert [p.text for p in view.paragraphs if p.kind == "heading"] == ["CHAPTER I", "CHAPTER II", "CHAPTER III"]


async def test_what_is_missing_is_said(shelf: Shelf) -> None:
    book = await read_book(shelf)
    shelf.tesseract.texts = {**shelf.tesseract.texts, 5: page_text(5, "Quite another page")}
    await shelf.run(workflow="RunOperations", book_id=book, operations=["ocr", "blend"], pages="5", fresh=True)
    with pytest.raises(WorkflowFailureError) as failed:
        await shelf.run(workflow="BuildStructure", book_id=book)
    assert isinstance(failed.value.cause, ApplicationError)
    assert failed.value.cause.type == "BadInput"
    assert f"shelf process {book}" in str(failed.value.cause)
