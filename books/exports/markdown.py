"""Markdown (CommonMark) with metadata in front, headings, printed page numbers as anchors, notes, figures beside it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

from books.exports.content import Block, title_of
from books.exports.job import Export
from books.exports.notes import body_of, link_notes
from books.exports.pictures import picture
from books.exports.text import gap

_SPECIAL = re.compile(r"([\\`*_\[\]<>]|&(?=#?\w+;))")
_AT_START = re.compile(r"^(\s*)(#{1,6}(?=\s|$)|[-+](?=\s)|>|=+\s*$|-{3,}|~{3,})")
_NUMBERED = re.compile(r"^(\d{1,9})([.)])(?=\s)")


def write_markdown(export: Export, target: Path) -> None:
    """A folder `figures` beside the text holds the figures; without any there is none."""
    target.write_text("\n\n".join(_document(export, target)) + "\n", encoding="utf-8", newline="\n")


def _document(export: Export, target: Path) -> Iterator[str]:
    yield front_matter(export)
    blocks = list(export.content.blocks)
    links = link_notes(blocks)
    noted = {link.note: f"{link.note + 1}" for link in links}
    marks: dict[int, list[tuple[int, int, str]]] = {}
    for link in links:
        marks.setdefault(link.block, []).append((link.start, link.end, f"[^{noted[link.note]}]"))
    figures = 0
    pending = ""
    for at, block in enumerate(blocks):
        match block.kind:
            case "page":
                pending += anchor(export, block.page)
                export.progress(block.page, export.page_count)
                continue
            case "gap":
                piece = f"*{escaped(gap(export, block.page))}*"
            case "heading":
                piece = f"{'#' * min(6, block.level + 1)} {pending}{_inline(export, block, marks.get(at, []))}"
                pending = ""
            case "footnote" if at in noted:
                piece = f"[^{noted[at]}]: {escaped(body_of(block.text))}"
            case "footnote":
                piece = f"> {escaped(block.text)}"
            case "figure" if block.crop is not None:
                figures += 1
                piece = figure(export, block, figures, target)
            case "caption":
                piece = f"*{_inline(export, block, [])}*"
            case "list":
                piece = f"- {_inline(export, block, marks.get(at, []))}"
            case _:
                piece = _inline(export, block, marks.get(at, []))
        if pending and (block.kind == "footnote" or piece.startswith(("- ", ">", "[^"))):
            yield pending
            pending = ""
        if piece:
            yield pending + piece
            pending = ""
    if pending:
        yield pending


def front_matter(export: Export) -> str:
    """YAML; strings as JSON writes them, which YAML reads alike."""
    book = export.view.book
    values = {
        "title": title_of(export.view),
        "subtitle": book.subtitle,
        "author": book.authors or None,
        "publisher": book.publisher,
        "place": book.place,
        "date": book.year,
        "isbn": book.isbn or None,
        "lang": book.language,
        "description": book.description,
        "keywords": book.subjects or None,
        "contributor": book.contributors or None,
        "identifier": export.view.key,
    }
    lines = [f"{name}: {json.dumps(value, ensure_ascii=False)}" for name, value in values.items() if value is not None]
    return "\n".join(["---", *lines, "---"])


def anchor(export: Export, number: int) -> str:
    """A page begins: to be linked by its printed number, or its physical one where it has none."""
    return f'<a id="{export.page_ids[number]}"></a>'


def figure(export: Export, block: Block, number: int, target: Path) -> str:
    """Writes the figure's image and returns the reference to it."""
    assert block.crop is not None
    page, box = block.crop
    made = picture(export, page, box)
    folder = target.parent / figures_folder(target)
    folder.mkdir(exist_ok=True)
    name = f"figure-{number:03d}.{made.suffix}"
    (folder / name).write_bytes(made.body)
    return f"![{escaped(block.text)}]({figures_folder(target)}/{name})"


def figures_folder(target: Path) -> str:
    """Name of the folder with the figures of a Markdown file."""
    return f"{target.stem}-figures"


def _inline(export: Export, block: Block, marks: list[tuple[int, int, str]]) -> str:
    """The text with anchors where pages begin inside it, and references in place of the marks of notes."""
    changes = [(at, at, anchor(export, page)) for at, page in block.breaks] + marks
    done, parts = 0, []
    for start, end, put in sorted(changes):
        parts += [_SPECIAL.sub(r"\\\1", block.text[done:start]), put]
        done = max(done, end)
    parts.append(_SPECIAL.sub(r"\\\1", block.text[done:]))
    for _, page in block.breaks:
        export.progress(page, export.page_count)
    return _start_escaped("".join(parts).replace("\n", " "))


def escaped(text: str) -> str:
    """Without anything that Markdown would take for its own."""
    return _start_escaped(_SPECIAL.sub(r"\\\1", text.replace("\n", " ")))


def _start_escaped(text: str) -> str:
    return _NUMBERED.sub(r"\1\\\2", _AT_START.sub(r"\1\\\2", text))
