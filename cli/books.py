"""What the reading commands show, as plain values: one function per command, from the store alone.

The shapes are those of `--json`, documented in `docs/cli.md` and stable; names are those of the truth files in `samples/`.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from activities.registry import PAGE_OPERATIONS
from cli.labels import short_labels
from providers.image_steps import sentences
from schemas.documents import Book, Document, OcrResult, Page, ToC, TocEntry
from schemas.errors import BadInput
from schemas.keys import toc_key
from schemas.store import Store

METADATA = (
    *("title", "subtitle", "authors", "publisher", "place", "year", "isbn", "language"),
    *("lccn", "description", "subjects", "contributors"),
)
"""Only a language model gives the last four."""
LISTS = ("authors", "isbn", "subjects", "contributors")
CANDIDATES = 8
"""Books named in an error."""


async def find_book(store: Store, text: str) -> str:
    """The key of the book that is meant: the key itself, its barcode, or the beginning of exactly one.

    Raises BadInput, which names the candidates."""
    wanted = text.strip().lower()
    if wanted in await store.get(Book, [wanted], ["key"]):
        return wanted
    books = await store.find(Book, {}, ["key", "barcode"])
    if named := [book.key for book in books if book.barcode and book.barcode.lower() == wanted]:
        if len(named) > 1:
            raise BadInput(f"{text!r} is the barcode of {len(named)} books.", f"Name one by its key: {_some(named)}.")
        return named[0]
    keys = [book.key for book in books]
    matching = [key for key in keys if key.startswith(wanted)] if wanted else []
    if len(matching) == 1:
        return matching[0]
    if matching:
        raise BadInput(f"{text!r} is the beginning of {len(matching)} books.", f"Write more of one: {_some(matching)}.")
    if not keys:
        raise BadInput(f"There is no book {text!r}, nor any other.", "Read one first: `shelf process FILE.pdf`.")
    raise BadInput(f"There is no book {text!r}.", f"There are: {_some(keys)}.")


def _some(keys: Sequence[str]) -> str:
    return ", ".join(keys[:CANDIDATES]) + (", …" if len(keys) > CANDIDATES else "")


async def book_metadata(store: Store, key: str) -> dict[str, Any]:
    """What the book says about itself, where each field was found and how sure that is."""
    book = (await store.get(Book, [key]))[key]
    pages = await _pages(store, key, text=False)
    return {
        "key": key,
        "source_name": book.source_name,
        "barcode": book.barcode,
        "page_count": book.page_count,
        **{name: getattr(book, name) or ([] if name in LISTS else None) for name in METADATA},
        "evidence": json.loads(book.metadata_evidence or "{}"),
        "labels": short_labels([page.label for page in pages]),
        "label_report": json.loads(book.label_report or "[]"),
        "pages_complete": sum(1 for page in pages if is_complete(page)),
        "pages_failed": sum(1 for page in pages if page_errors(page)),
        "errors": book_errors(book, ("metadata", "label")),
    }


async def book_pages(store: Store, key: str, *, text: bool) -> dict[str, Any]:
    """All pages in physical order; their texts only where wanted."""
    book = (await store.get(Book, [key], ["label_report"]))[key]
    return {
        "key": key,
        "label_report": json.loads(book.label_report or "[]"),
        "pages": [page_row(page, text=text) for page in await _pages(store, key, text=text)],
    }


async def book_contents(store: Store, key: str) -> dict[str, Any]:
    """The live table of contents: the entries of the set that the ToC names."""
    toc = (await store.get(ToC, [toc_key(key)])).get(toc_key(key))
    entries: list[TocEntry] = []
    if toc is not None and toc.current_set:
        entries = await store.find(TocEntry, {"book_key": key, "toc_set": toc.current_set})
    return {
        "key": key,
        "found": toc.found if toc is not None else None,
        "source": toc.source if toc is not None else None,
        "reason": toc.reason if toc is not None else None,
        "toc_pages": (toc.pages if toc is not None else None) or [],
        "toc": [
            {
                "title": entry.title,
                "level": entry.level,
                "printed": entry.printed,
                "page": entry.page,
                "number": entry.number,
                "confidence": entry.confidence,
                "source": entry.source,
            }
            for entry in sorted(entries, key=lambda entry: entry.sort_order or 0)
        ],
        "errors": book_errors(toc, ToC.operations),
    }


async def one_page(store: Store, key: str, number: int) -> dict[str, Any]:
    """One page with its text and every reading that the text was made from."""
    page = await find_page(store, key, number)
    results = await store.get(OcrResult, page.ocr_results or [])
    return {
        "key": page.key,
        **page_row(page, text=True),
        "text_layer": page.text_layer,
        "text_layer_reason": page.text_layer_reason,
        "width": page.width,
        "height": page.height,
        "rotation": page.rotation,
        "image_steps": sentences(page.image_steps),
        "sources": [
            {
                "key": result.key,
                "provider": result.provider,
                "model": result.model,
                "language": result.language,
                "confidence": result.confidence,
                "expected_cer": result.expected_cer,
                "generation": result.generation,
                "text": result.text,
            }
            for name in page.ocr_results or []
            if (result := results.get(name)) is not None
        ],
    }


async def find_page(store: Store, key: str, number: int) -> Page:
    """The Page document at a physical position. Raises BadInput."""
    pages = await _pages(store, key, text=False)
    for page in pages:
        if page.page == number:
            return (await store.get(Page, [page.key]))[page.key]
    if not pages:
        raise BadInput(f"No page of {key} has been looked at yet.", f"See how far its job is: `shelf status {key}`.")
    raise BadInput(
        f"Book {key} has no page {number}.", f"It has {len(pages)}, counted from 1; see `shelf pages {key}`."
    )


def page_row(page: Page, *, text: bool) -> dict[str, Any]:
    """A page as it stands in `pages`."""
    return {
        "page": page.page,
        "label": page.label,
        "label_inferred": bool(page.label_inferred),
        "running_header": page.running_header,
        "page_type": page.page_type,
        "confidence": page.confidence,
        "agreement": page.agreement,
        "expected_cer": page.expected_cer,
        "complete": is_complete(page),
        "errors": page_errors(page),
        **({"text": page.text} if text else {}),
    }


def is_complete(page: Page) -> bool:
    """Everything that is done page by page is done."""
    return all(page.flag(name, "complete") for name in PAGE_OPERATIONS)


def page_errors(page: Page) -> dict[str, str]:
    """operation -> why it failed for this page."""
    return book_errors(page, Page.operations)


def book_errors(document: Document | None, operations: Sequence[str]) -> dict[str, str]:
    """operation -> why it failed for this document."""
    if document is None:
        return {}
    return {name: str(error) for name in operations if (error := document.flag(name, "error"))}


async def _pages(store: Store, key: str, *, text: bool) -> list[Page]:
    """In physical order; dropped leaves are none. Without texts, most of what a book weighs, unless they are wanted."""
    flags = [f"{name}_{flag}" for name in Page.operations for flag in ("complete", "error")]
    fields = [name for name in (*Page.model_fields, *flags) if text or name != "text"]
    pages = await store.find(Page, {"book_key": key}, fields)
    return sorted((page for page in pages if page.page), key=lambda page: page.page or 0)
