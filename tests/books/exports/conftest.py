"""A book with everything that formats show: chapters, notes, a figure, a page without a number, one that failed."""

from __future__ import annotations

import json
from pathlib import Path

import pymupdf
import pytest

from books.view import BookView
from tests.books.exports.builder import make_view, page_reading

AWKWARD = "<b>&amp; \x0b\ufffe “quoted” *stars* _under_ [x](y) 𝔘nicode"
"""What markup, escapes and XML 1.0 stumble over."""


@pytest.fixture
def rich(tmp_path: Path) -> BookView:
    """Six pages; page 5 failed, page 1 has no number."""
    document = pymupdf.open()
    for number in range(6):
        page = document.new_page(width=400, height=600)
        page.insert_text((50, 100), f"Page {number + 1}")
        page.draw_circle((200, 300), 60, color=(1, 0, 0), fill=(1, 0.5, 0))
    document.save(tmp_path / "rich & more.pdf")
    readings = {number: page_reading([f"Line of page {number}.", AWKWARD]) for number in range(1, 7) if number != 5}
    return make_view(
        tmp_path,
        [(tmp_path / "rich & more.pdf", "pdf", 6)],
        {**readings, 5: None},
        labels={2: "xi", 3: "1", 4: "2", 5: "3", 6: "4"},
        book={
            "title": f"Rich {AWKWARD}",
            "subtitle": "A Sub-title",
            "publisher": "P & Sons",
            "lccn": "16012345",
            "description": "Days & <how> they go.",
            "subjects": ["Calendars -- Early works"],
            "contributors": ["Q. R. <S> (editor)"],
            "place": "London",
            "year": 1901,
            "metadata_evidence": json.dumps({"title": {"page": 1, "confidence": 0.9, "source": "title_page"}}),
        },
        entries=[
            {"title": "The First", "number": "I", "page": 3, "printed": "1", "confidence": 0.9, "source": "printed"}
        ],
        chapters=[
            {"title": "Front matter", "bucket": "front matter", "matter": "front", "start_page": 1, "end_page": 2},
            {"title": "The First", "number": "I", "start_page": 3, "end_page": 6, "start_label": "1", "end_label": "4"},
            {"title": AWKWARD, "level": 3, "start_page": 4, "end_page": 5},
            {"title": "Plates", "bucket": "back matter", "matter": "back", "start_page": 6, "end_page": 6},
        ],
        paragraphs=[
            {"chapter": 0, "kind": "text", "text": "A title page.", "pages": [1]},
            {"chapter": 1, "kind": "heading", "text": "The First", "pages": [3], "level": 1},
            {"chapter": 1, "kind": "text", "text": "As he says,1 and so on.", "pages": [3]},
            {"chapter": 1, "kind": "footnote", "text": "1 Works, ii.", "pages": [3]},
            {"chapter": 1, "kind": "footnote", "text": "* Not found.", "pages": [3]},
            {"chapter": 2, "kind": "heading", "text": AWKWARD, "pages": [4], "level": 3},
            {"chapter": 2, "kind": "list", "text": "an item", "pages": [4]},
            {"chapter": 2, "kind": "text", "text": AWKWARD, "pages": [4]},
            {"chapter": 2, "kind": "figure", "text": "", "pages": [4], "crop": json.dumps([4, 130, 230, 270, 370])},
            {"chapter": 2, "kind": "caption", "text": "A sun.", "pages": [4]},
            {"chapter": 3, "kind": "text", "text": "1. # The end.", "pages": [6]},
        ],
    )
