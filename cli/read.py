"""Commands that read what is known of a book: show, pages, page, toc."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.options import BOOK, BUDGET, JSON, LLM, PAGE, UNPRICED

if TYPE_CHECKING:
    from cli.connect import Connection

NAMES = {"isbn": "ISBN", "lccn": "LCCN"}
"""Fields whose name people write otherwise than by a capital."""


def show(book: Annotated[str, BOOK], as_json: Annotated[bool, JSON] = False) -> None:
    """Show a book's metadata, each field with its source and confidence."""
    from cli import connect, output
    from cli.books import book_metadata, find_book

    async def command() -> None:
        async with connect.reading() as shelf:
            found = await book_metadata(shelf.store, await find_book(shelf.store, book))
        if as_json:
            output.data(found)
        else:
            show_metadata(found)

    connect.run(command)


def show_metadata(found: dict[str, Any]) -> None:
    """Metadata as a table: field, value, confidence, where it was found; then how far the book is."""
    from cli import output
    from cli.books import METADATA

    rows = []
    for name in METADATA:
        value = found[name]
        if value in (None, [], ""):
            continue
        evidence = found["evidence"].get(name) or {}
        confidence = evidence.get("confidence")
        source = str(evidence.get("source") or "")
        where = source if "/" in source else source.replace("_", " ")  # models are named as they are
        if evidence.get("page"):
            where = f"page {evidence['page']}, {where}".rstrip(", ")
        rows.append(
            [NAMES.get(name, name.capitalize()), value, f"{confidence:.0%}" if confidence is not None else None, where]
        )
    if rows:
        output.table(["field", "value", "confidence", "found on"], rows, right=["confidence"])
        print()
    pages = f"{found['pages_complete']} of {found['page_count'] or '?'} complete"
    if found["pages_failed"]:
        pages += f", {found['pages_failed']} failed"
    facts = [
        ("Key", found["key"]),
        ("Barcode", found["barcode"]),
        ("Source", found["source_name"]),
        ("Pages", pages),
        ("Labels", found["labels"]),
    ]
    output.facts(facts + [(f"{name} failed", error) for name, error in found["errors"].items()])
    _warn_of_leaves(found)


def _warn_of_leaves(found: dict[str, Any]) -> None:
    """What the printed numbers say of leaves that are missing, doubled or out of order: a line for each."""
    from cli import output

    for leaf in found["label_report"]:
        output.note(f"warning: {leaf['sentence']}")


def toc(
    book: Annotated[str, BOOK],
    rerun: Annotated[bool, typer.Option("--rerun", help="Find and extract the contents anew; reads no page.")] = False,
    diff: Annotated[
        bool, typer.Option("--diff", help="What changed: by the re-run, or since the contents were otherwise.")
    ] = False,
    wait: Annotated[
        bool, typer.Option("--wait", help="With --rerun: wait while another job works on the book.")
    ] = False,
    detach: Annotated[bool, typer.Option("--detach", help="With --rerun: start the job and return.")] = False,
    llm: Annotated[list[str] | None, LLM] = None,
    budget: Annotated[float | None, BUDGET] = None,
    allow_unpriced: Annotated[bool, UNPRICED] = False,
    as_json: Annotated[bool, JSON] = False,
) -> None:
    """Show a book's table of contents with printed and physical pages; make it anew; compare it with the former one."""
    from cli import connect, output

    if rerun:
        from cli.again import rerun_toc

        money = (llm, budget, allow_unpriced)
        rerun_toc(book, diff=diff, money=money, wait=wait, detach=detach, as_json=as_json)
        return

    async def command() -> None:
        from cli.books import book_contents, find_book

        async with connect.reading() as shelf:
            key = await find_book(shelf.store, book)
            if diff:
                from cli.contents import compare_sets, current_set, former_set, show_diff

                store = shelf.store
                found = await compare_sets(store, key, await former_set(store, key), await current_set(store, key))
            else:
                found = await book_contents(shelf.store, key)
        if as_json:
            output.data(found)
        elif diff:
            show_diff(found)
        else:
            show_contents(found)

    connect.run(command)


def show_contents(found: dict[str, Any]) -> None:
    """The entries as a table; then which evidence decided."""
    from cli import output

    if found["toc"]:
        rows = [
            [
                "  " * ((entry["level"] or 1) - 1) + " ".join(filter(None, [entry["number"], entry["title"]])),
                entry["printed"],
                entry["page"],
                None if entry["confidence"] is None else f"{entry['confidence']:.0%}",
                entry["source"],
            ]
            for entry in found["toc"]
        ]
        output.table(
            ["title", "printed page", "page", "confidence", "source"],
            rows,
            right=["printed page", "page", "confidence"],
        )
    elif found["found"] is None:
        output.note("The contents have not been looked for yet.")
    else:
        output.note("The book has no table of contents that could be read.")
    for name, error in found["errors"].items():
        output.note(f"{name} failed: {output.sentence(error)}")
    if found["reason"]:
        output.note(output.sentence(found["reason"]))


def pages(
    book: Annotated[str, BOOK],
    text: Annotated[bool, typer.Option("--text", help="With their texts.")] = False,
    as_json: Annotated[bool, JSON] = False,
) -> None:
    """List a book's pages."""
    from cli import connect, output
    from cli.books import book_pages, find_book

    async def command() -> None:
        async with connect.reading() as shelf:
            found = await book_pages(shelf.store, await find_book(shelf.store, book), text=text)
        if as_json:
            output.data(found)
        elif text:
            for row in found["pages"]:
                print(f"--- page {row['page']}{_label_of(row)} ---")
                print(row["text"] if row["text"] is not None else "(not read)")
        else:
            headers = [
                "page",
                "label",
                "type",
                "running header",
                "confidence",
                "agreement",
                "expected errors",
                "problem",
            ]
            rows = [
                [
                    row["page"],
                    f"({row['label']})" if row["label_inferred"] and row["label"] else row["label"],
                    row["page_type"],
                    row["running_header"],
                    row["confidence"],
                    None if row["agreement"] is None else f"{row['agreement']:.0%}",
                    None if row["expected_cer"] is None else f"{row['expected_cer']:.1%}",
                    "; ".join(f"{name}: {error}" for name, error in row["errors"].items())
                    or ("" if row["complete"] else "not complete"),
                ]
                for row in found["pages"]
            ]
            if any(row["label_inferred"] and row["label"] for row in found["pages"]):
                output.note("Labels in parentheses are not printed on the page; they follow from its neighbours.")
            right = ["page", "label", "confidence", "agreement", "expected errors"]
            output.table(headers, rows, right=right, optional=["agreement", "confidence"])
            _warn_of_leaves(found)

    connect.run(command)


def page(
    book: Annotated[str, BOOK],
    number: Annotated[int, PAGE],
    image: Annotated[
        Path | None, typer.Option("--image", help="Write the page's image there, as PNG.", metavar="FILE.png")
    ] = None,
    as_json: Annotated[bool, JSON] = False,
) -> None:
    """Show one page: text, label, header, type, and every reading behind it."""
    from cli import connect, output
    from cli.books import find_book, find_page, one_page
    from cli.evidence import page_background

    async def command() -> None:
        async with connect.reading() as shelf:
            key = await find_book(shelf.store, book)
            found = {
                **await one_page(shelf.store, key, number),
                **await page_background(shelf.store, shelf.artifacts, key, await find_page(shelf.store, key, number)),
            }
            if image is not None:
                await write_image(shelf, key, number, image)
        if as_json:
            output.data(found)
        else:
            show_page(found)
        if image is not None:
            output.note(f"The image of page {number} is in {image}.")

    connect.run(command)


def show_page(found: dict[str, Any]) -> None:
    """What is known of a page, its sources, then its text."""
    from cli import output
    from cli.provenance import correction

    label = found["label"]
    if label and found["label_inferred"]:
        label = f"{label} (inferred, not printed)"
    layer = found["text_layer"]
    if layer and found["text_layer_reason"]:
        layer = f"{layer}: {found['text_layer_reason']}"
    agreement, expected = found["agreement"], found["expected_cer"]
    output.facts(
        [
            ("Page", found["page"]),
            ("Label", label or "none"),
            ("Type", found["page_type"]),
            ("Running header", found["running_header"]),
            ("Confidence", found["confidence"]),
            ("Agreement", None if agreement is None else f"{agreement:.1%} of the words read alike"),
            ("Expected errors", None if expected is None else f"{expected:.1%} of the characters"),
            *(("Corrected", correction(row)) for row in found["corrections"]),
            ("Leaf", found["leaf_note"]),
            ("Text layer", layer),
            *(("Image", said) for said in found["image_steps"].values()),
            *((f"{name} failed", error) for name, error in found["errors"].items()),
        ]
    )
    if found["sources"]:
        print()
        rows = [
            [source["provider"], source["model"], source["language"], source["confidence"], source["key"]]
            for source in found["sources"]
        ]
        output.table(["source", "model", "language", "confidence", "key"], rows, right=["confidence"])
    print()
    print(found["text"] if found["text"] is not None else "(not read)")


async def write_image(shelf: Connection, key: str, number: int, file: Path) -> None:
    """Render a page into a PNG file. Raises BadInput, ArtifactMissing, DiskFull."""
    import asyncio

    from cli.books import find_page
    from providers import pages as images
    from providers.errors import ProviderError
    from providers.source import Manifest
    from schemas.documents import Book
    from schemas.errors import ArtifactMissing, BadSource, DiskFull

    page = await find_page(shelf.store, key, number)
    book = (await shelf.store.get(Book, [key], ["source_manifest"]))[key]
    artifacts = shelf.artifacts
    body = artifacts.get(book.source_manifest or "")
    if body is None:
        raise ArtifactMissing(f"The list of source files of {key} is not in {artifacts}.", "Process the source again.")
    part = Manifest.model_validate_json(body).parts[page.part or 0]
    path = artifacts.file(part.sha256)
    try:
        png = await asyncio.to_thread(images.png, path, part.kind, page.index or 0, region=page.region or "")
    except ProviderError as error:
        raise BadSource(f"Page {number} of {key} cannot be rendered: {error}.", "Check the source file.") from None
    try:
        await asyncio.to_thread(file.write_bytes, png)
    except OSError as error:
        raise DiskFull(f"{file} cannot be written: {error.strerror}.", "Name another file.") from None


def _label_of(row: dict[str, Any]) -> str:
    if not row["label"]:
        return ""
    return f" · {row['label']}{' (inferred)' if row['label_inferred'] else ''}"
