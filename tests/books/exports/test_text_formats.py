"""Text, Markdown and JSON."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from books.exports.job import Export, gather_sources
from books.exports.json_export import ExportJson, write_json
from books.exports.markdown import write_markdown
from books.exports.text import write_text
from books.view import BookView
from schemas.documents import OcrResult
from tests.books.exports.builder import BOOK, ROOT, sample_view

GAP = "[Page 5 (printed 3) is missing: TimedOut: it took longer than it may.]"


def test_running_text(rich: BookView, tmp_path: Path) -> None:
    write_text(Export(rich), tmp_path / "book.txt")
    paragraphs = (tmp_path / "book.txt").read_text(encoding="utf-8").rstrip("\n").split("\n\n")
    assert paragraphs[0].endswith("\nA Sub-title\nAnn Author")
    assert paragraphs[1:5] == ["A title page.", "The First", "As he says,1 and so on.", "1 Works, ii."]
    assert GAP in paragraphs


def test_text_by_pages(tmp_path: Path, rich: BookView) -> None:
    write_text(Export(rich, by_page=True), tmp_path / "book.txt")
    pages = (tmp_path / "book.txt").read_text(encoding="utf-8").split("\f")
    assert len(pages) == 7
    assert pages[0].startswith("[page 1]\nLine of page 1.\n")
    assert pages[1].startswith("[page 2, printed xi]\n")
    assert pages[4] == f"[page 5, printed 3]\n{GAP}\n"
    assert pages[6] == ""


def test_sample_text_says_what_the_pages_say(tmp_path: Path) -> None:
    view = sample_view(tmp_path)
    write_text(Export(view), tmp_path / "book.txt")
    body = (tmp_path / "book.txt").read_text(encoding="utf-8")
    # Words of every page in their order, but for heads, numbers and undone hyphens.
    flat = " ".join(body.split())
    for page in view.pages[3:]:
        words = (page.text or "").split()
        middle = " ".join(words[len(words) // 2 : len(words) // 2 + 4])
        assert "-" in middle or middle in flat, f"page {page.page}"
    assert "A DAY AT A TIME" not in body


def test_markdown(rich: BookView, tmp_path: Path) -> None:
    write_markdown(Export(rich), tmp_path / "book.md")
    body = (tmp_path / "book.md").read_text(encoding="utf-8")
    head, _, rest = body.removeprefix("---\n").partition("\n---\n")
    fields = dict(line.split(": ", 1) for line in head.splitlines())
    assert json.loads(fields["author"]) == ["Ann Author"]
    assert json.loads(fields["date"]) == 1901
    pieces = rest.strip().split("\n\n")
    assert '## <a id="page-xi"></a><a id="page-1"></a>The First' in pieces, "page xi has nothing to read"
    (note,) = (piece for piece in pieces if piece.endswith("Works, ii."))
    assert note.startswith("[^")
    assert f"As he says,{note.partition(':')[0]} and so on." in pieces
    assert "> \\* Not found." in pieces
    assert "- an item" in pieces
    assert any(piece.endswith("1\\. # The end.") for piece in pieces), "no list, no heading"
    assert "\\<b\\>\\&amp;" in rest
    assert "\x0b" not in rest
    assert "\\*stars\\*" in rest
    assert "\\[x\\](y)" in rest
    (picture,) = (piece for piece in pieces if "![" in piece)
    path = picture.partition("](")[2].rstrip(")")
    assert (tmp_path / path).stat().st_size > 100
    assert rest.count('<a id="') == 6


class TestJson:
    def test_it_holds_what_is_known(self, rich: BookView, tmp_path: Path) -> None:
        result = OcrResult(
            key=f"{rich.pages[0].key}/ocr/tesseract/1", provider="tesseract", text="Lime", confidence=80.0
        )
        asyncio.run(rich.store.create(OcrResult, [result]))
        rich.pages[0] = rich.pages[0].model_copy(update={"ocr_results": [result.key], "expected_cer": 0.01})
        export = Export(rich, sources=asyncio.run(gather_sources(rich)))
        write_json(export, tmp_path / "book.json")
        found: dict[str, Any] = json.loads((tmp_path / "book.json").read_text(encoding="utf-8"))
        assert (found["format"], found["version"]) == ("shelf-book", "1.1")
        assert found["book"]["key"] == BOOK
        assert found["book"]["evidence"]["title"] == {"page": 1, "confidence": 0.9, "source": "title_page"}
        first, fifth = found["pages"][0], found["pages"][4]
        assert first["expected_cer"] == 0.01
        assert [source["text"] for source in first["sources"]] == ["Lime"]
        assert first["lines"][0]["words"][0] == {"text": "Line", "box": [50.0, 100.0, 70.0, 110.0], "confidence": 95.0}
        assert (fifth["status"], fifth["problem"]) == ("missing", "TimedOut: it took longer than it may")
        assert fifth["text"] is None
        assert [chapter["title"] for chapter in found["chapters"]][:2] == ["Front matter", "The First"]
        assert {paragraph["kind"] for paragraph in found["paragraphs"]} >= {"figure", "footnote", "heading"}
        assert found["contents"][0]["page"] == 3
        ExportJson.model_validate(found)

    def test_the_documented_schema_is_today_s(self) -> None:
        kept = json.loads((ROOT / "docs" / "export-json.schema.json").read_text(encoding="utf-8"))
        assert kept == ExportJson.model_json_schema(), (
            "write it anew: python -c 'import json; from books.exports.json_export import ExportJson as E;"
            " print(json.dumps(E.model_json_schema(), indent=2, ensure_ascii=False))' > docs/export-json.schema.json"
        )

    def test_every_field_is_in_the_docs(self) -> None:
        text = (ROOT / "docs" / "export-json.md").read_text(encoding="utf-8")
        schema = ExportJson.model_json_schema()
        fields = {name for part in [schema, *schema["$defs"].values()] for name in part["properties"]}
        assert [name for name in sorted(fields) if f"`{name}`" not in text] == []


@pytest.mark.parametrize("label", ["iii", "A-3"])
def test_anchors_are_unique(rich: BookView, label: str) -> None:
    rich.pages[1] = rich.pages[1].model_copy(update={"label": label})
    rich.pages[2] = rich.pages[2].model_copy(update={"label": label})
    names = Export(rich).page_ids
    assert names[2] == f"page-{label}"
    assert names[3] == "leaf-3"
    assert len(set(names.values())) == 6
