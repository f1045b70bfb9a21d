"""Plain text: running text by chapters, or page by page as it stands on the pages."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from books.exports.content import title_of
from books.exports.job import Export


def write_text(export: Export, target: Path) -> None:
    """UTF-8 with a newline at the end. A paragraph is a line, with an empty line after it."""
    body = "".join(_by_page(export)) if export.by_page else "\n\n".join(_running(export)) + "\n"
    target.write_text(body, encoding="utf-8", newline="\n")
    export.progress(export.page_count, export.page_count)


def _running(export: Export) -> Iterator[str]:
    book = export.view.book
    yield "\n".join(filter(None, [title_of(export.view), book.subtitle, ", ".join(book.authors or [])]))
    for block in export.content.blocks:
        if block.kind == "gap":
            yield gap(export, block.page)
        elif block.text:
            yield block.text


def _by_page(export: Export) -> Iterator[str]:
    """Pages end with a form feed, as pdftotext has it, and begin with their numbers."""
    for number in range(1, export.page_count + 1):
        label = export.label(number)
        yield f"[page {number}{f', printed {label}' if label else ''}]\n"
        page = export.view.page(number)
        if number in export.missing:
            yield gap(export, number) + "\n"
        elif page is not None and page.text:
            yield page.text.rstrip("\n") + "\n"
        yield "\f"


def gap(export: Export, number: int) -> str:
    """What stands in place of a page that has no text."""
    label = export.label(number)
    return f"[Page {number}{f' (printed {label})' if label else ''} is missing: {export.missing[number].rstrip('.')}.]"
