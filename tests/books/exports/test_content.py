"""The stream of blocks: from lines alone, from chapters and paragraphs, with every page break once."""

from __future__ import annotations

import dataclasses
import json
import zipfile
from pathlib import Path

import pytest

from books.exports.content import Block, join_lines, legal_levels
from books.exports.job import Export
from books.exports.notes import link_notes
from books.exports.registry import FORMATS
from books.view import BookView
from tests.books.exports.builder import SAMPLE, make_view, page_reading, sample_view

PARTS = [(SAMPLE, "pdf", 26)]


def blocks(export: Export) -> list[tuple[str, str]]:
    return [(block.kind, block.text or str(block.page)) for block in export.content.blocks]


def test_lines_become_paragraphs_without_head_and_number(tmp_path: Path) -> None:
    first = page_reading(["A DAY AT A TIME 7", "The first para-", "graph has two lines", "  and an end."], top=30)
    second = page_reading(["8", "went on over the page.", "Then it stopped."], top=30)
    first.lines[3].words[-1].text = "end"
    view = make_view(
        tmp_path,
        PARTS,
        {1: first, 2: second},
        labels={1: "7", 2: "8"},
        pages={1: {"running_header": "A DAY AT A TIME"}},
        book={"page_count": 26},
    )
    stream = list(Export(view).content.blocks)
    texts = [block for block in stream if block.kind == "text"]
    assert texts[0].text.startswith("The first paragraph has two lines and an end went on over the page.")
    assert texts[0].breaks == ((texts[0].text.index("went"), 2),)


def test_every_page_has_one_break_and_missing_pages_a_gap(tmp_path: Path) -> None:
    view = make_view(tmp_path, PARTS, {1: page_reading(["One."]), 3: page_reading(["Three."]), 4: None})
    export = Export(view)
    stream = blocks(export)
    assert stream[:6] == [
        ("page", "1"),
        ("text", "One."),
        ("page", "2"),
        ("gap", "2"),
        ("page", "3"),
        ("text", "Three."),
    ]
    pages = [text for kind, text in stream if kind == "page"]
    assert pages == [str(number) for number in range(1, 27)]
    assert export.missing[4] == "TimedOut: it took longer than it may"
    assert export.missing[2] == "not read yet"


def test_entries_of_the_contents_begin_sections(tmp_path: Path) -> None:
    content = Export(sample_view(tmp_path)).content
    assert not content.structured
    assert [(section.heading, section.page) for section in content.sections] == [
        ("Front matter", 1),
        ("A Day at a Time", 4),
        ("God in the Wheels", 8),
        ("A Triple Best", 12),
        ("Finical Farming", 16),
        ("The Doctor", 20),
        ("Well and Now", 24),
    ]
    headings = [block for block in content.blocks if block.kind == "heading"]
    assert [block.page for block in headings] == [4, 8, 12, 16, 20, 24]
    texts = [block.text for block in content.blocks if block.kind == "text"]
    assert not any("A DAY AT A TIME" in text for text in texts), "a running head is left in the text"


def test_an_entry_out_of_order_begins_no_section(tmp_path: Path) -> None:
    entries = [{"title": "One", "page": 2}, {"title": "Astray", "page": 1}, {"title": "Two", "page": 3}]
    view = make_view(tmp_path, PARTS, {n: page_reading([f"Text {n}."]) for n in (1, 2, 3)}, entries=entries)
    assert [section.title for section in Export(view).content.sections] == ["Front matter", "One", "Two"]


def test_chapters_and_paragraphs(tmp_path: Path) -> None:
    readings = {
        1: page_reading(["Title"]),
        2: page_reading(["THE STORM", "It was a dark and stor-"]),
        3: page_reading(["my night; the rain fell."]),
    }
    spans = [[2, 1, 0, 6], [3, 0, 0, 5]]
    view = make_view(
        tmp_path,
        PARTS,
        readings,
        chapters=[
            {"title": "Front matter", "bucket": "front matter", "matter": "front", "start_page": 1, "end_page": 1},
            {"title": "The Storm", "number": "I", "start_page": 2, "end_page": 3},
            {"title": "Its End", "start_page": 3, "end_page": 26, "level": 2},
        ],
        paragraphs=[
            {"chapter": 0, "kind": "text", "text": "Title", "pages": [1]},
            {"chapter": 1, "kind": "heading", "text": "The Storm", "pages": [2], "level": 1},
            {
                "chapter": 1,
                "kind": "text",
                "text": "It was a dark and stormy night; the rain fell.",
                "pages": [2, 3],
                "spans": json.dumps(spans),
            },
            {"chapter": 2, "kind": "figure", "text": "", "pages": [3], "crop": json.dumps([3, 10, 20, 30, 40])},
        ],
    )
    content = Export(view).content
    assert content.structured
    assert [(section.heading, section.level) for section in content.sections] == [
        ("Front matter", 1),
        ("I The Storm", 1),
        ("Its End", 2),
    ]
    storm = content.sections[1].blocks
    assert [block.kind for block in storm] == ["page", "heading", "text"]
    # The page begins inside "stormy": the break stands before the next word.
    assert storm[2].breaks == ((storm[2].text.index("night"), 3),)
    end = content.sections[2].blocks
    assert [block.kind for block in end[:2]] == ["heading", "figure"], "a chapter without a heading gets its title"
    assert end[1].crop == (3, (10.0, 20.0, 30.0, 40.0))


@pytest.mark.parametrize(
    ("lines", "text"),
    [
        (["a hyphen-", "ated word"], "a hyphenated word"),
        (["Anglo-", "Saxon"], "Anglo- Saxon"),
        (["1914-", "18"], "1914- 18"),
        (["soft\u00ad", "ly"], "softly"),
        ([], ""),
    ],
)
def test_join_lines(lines: list[str], text: str) -> None:
    assert join_lines(lines) == text


def test_legal_levels() -> None:
    assert legal_levels([2, 4, 3, 1, 3, 3]) == [1, 2, 2, 1, 2, 2]
    assert legal_levels([]) == []


class TestNotes:
    TEXT = Block("text", "As Burke says,1 in 1916 he* wrote it.2 See 2 pages, and the word.1", 5)

    def test_marks_are_found_where_they_touch_a_word(self) -> None:
        stream = [Block("text", "As Burke says,1 in 1916 he* wrote it.2", 5), Block("footnote", "1 Burke, Works.", 5)]
        (link,) = link_notes([*stream])
        assert (link.mark, stream[0].text[link.start : link.end]) == ("1", "1")
        (link,) = link_notes([stream[0], Block("footnote", "* A pencil.", 5)])
        assert stream[0].text[: link.start].endswith("he")
        (link,) = link_notes([stream[0], Block("footnote", "2. In ink.", 5)])
        assert link.start == len(stream[0].text) - 1

    def test_a_mark_that_is_there_twice_is_not_guessed(self) -> None:
        assert link_notes([self.TEXT, Block("footnote", "1 Which?", 5)]) == []

    def test_a_mark_on_another_page_is_not_meant(self) -> None:
        assert link_notes([Block("text", "he says,1", 4), Block("footnote", "1 Burke.", 5)]) == []

    def test_a_year_is_no_mark(self) -> None:
        assert link_notes([Block("text", "in,1916 and 3.16", 5), Block("footnote", "16 Sixteen.", 5)]) == []


@pytest.mark.parametrize("name", ["text", "markdown", "epub", "json"])
def test_what_is_older_than_the_text_is_not_exported(rich: BookView, tmp_path: Path, name: str) -> None:
    def written(view: BookView) -> tuple[str, list[str]]:
        export = Export(view)
        target = tmp_path / f"book{FORMATS[name].suffix}"
        FORMATS[name].write(export, target, force=True)
        if name != "epub":
            return target.read_text(), export.notes
        with zipfile.ZipFile(target) as archive:
            return "".join(archive.read(each).decode() for each in archive.namelist() if "xhtml" in each), export.notes

    old = "As he says,"
    body, notes = written(rich)
    assert old in body
    assert notes == []
    corrected = page_reading(["A person’s text."])
    rich.artifacts.publish("ab" * 32, corrected.to_json())
    changed = {"text": corrected.text, "blend_artifact": "ab" * 32}
    pages = [page.model_copy(update=changed) if page.page == 3 else page for page in rich.pages]
    body, notes = written(dataclasses.replace(rich, pages=pages))
    assert "A person’s text." in body
    assert old not in body
    assert len(notes) == 1
