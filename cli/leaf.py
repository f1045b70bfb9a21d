"""`shelf leaf`: which leaf stands where in a book, and edits of that: rescans, missing and doubled pages, spreads."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.options import BOOK, DETACH, JSON, PAGE_OPTION, WAIT

if TYPE_CHECKING:
    from cli.connect import Connection
    from providers.source import Manifest

leaf = typer.Typer(
    no_args_is_help=True, rich_markup_mode=None, help="Rescans, missing pages, spreads: edit a book's leaves."
)

PAGES = typer.Option("--pages", help="Physical pages of the book, as 3-4.", show_default=False)
AFTER = typer.Option("--after", help="Physical page behind which they are put; 0 = before the first.", min=0)
PREVIEW = typer.Option("--preview", help="Only say what would change.")


@dataclass(frozen=True, slots=True)
class How:
    """What holds for every edit."""

    preview: bool
    wait: bool
    detach: bool
    as_json: bool


@leaf.command("list")
def list_leaves(book: Annotated[str, BOOK], as_json: Annotated[bool, JSON] = False) -> None:
    """List the leaves in the order of the pages: identity, label, where they come from."""
    from cli import connect, output

    async def command() -> None:
        from cli.books import find_book

        async with connect.reading() as shelf:
            key = await find_book(shelf.store, book)
            found = await leaves_of(shelf, key)
        if as_json:
            output.data(found)
            return
        rows = [
            [row["page"], row["leaf"], row["label"], row["file"], row["file_page"], row["note"]]
            for row in found["leaves"]
        ]
        output.table(["page", "leaf", "label", "file", "its page", "note"], rows, right=["page", "label", "its page"])
        for row in found["dropped"]:
            output.note(f"Not in the book any more, but kept: {row['leaf']} ({row['label'] or 'no label'}).")
        if found["edited"]:
            output.note(f"The leaves were edited. `shelf leaf reset {key}` goes back to the source as it was imported.")

    connect.run(command)


@leaf.command()
def replace(
    book: Annotated[str, BOOK],
    page: Annotated[int, PAGE_OPTION],
    file: Annotated[Path, typer.Option("--with", help="PDF or image with the rescan.", metavar="FILE")],
    from_page: Annotated[int, typer.Option("--from-page", help="Page of that file.", min=1)] = 1,
    preview: Annotated[bool, PREVIEW] = False,
    wait: Annotated[bool, WAIT] = False,
    detach: Annotated[bool, DETACH] = False,
    as_json: Annotated[bool, JSON] = False,
) -> None:
    """Put a rescan in the place of a page."""
    edit = {"action": "replace", "pages": str(page), "from_pages": str(from_page)}
    _run(book, edit, How(preview, wait, detach, as_json), [file])


@leaf.command()
def insert(
    book: Annotated[str, BOOK],
    after: Annotated[int, AFTER],
    files: Annotated[
        list[Path], typer.Option("--with", help="PDF, image or folder of images; may be repeated.", metavar="FILE")
    ],
    from_pages: Annotated[
        str | None, typer.Option("--from-page", "--pages", help="Which pages of the files, as 1-2; all by default.")
    ] = None,
    preview: Annotated[bool, PREVIEW] = False,
    wait: Annotated[bool, WAIT] = False,
    detach: Annotated[bool, DETACH] = False,
    as_json: Annotated[bool, JSON] = False,
) -> None:
    """Put pages that were missing, or were dropped, into a book."""
    edit = {"action": "insert", "after": after, "from_pages": from_pages}
    _run(book, edit, How(preview, wait, detach, as_json), files)


@leaf.command()
def drop(
    book: Annotated[str, BOOK],
    pages: Annotated[str, PAGES],
    preview: Annotated[bool, PREVIEW] = False,
    wait: Annotated[bool, WAIT] = False,
    detach: Annotated[bool, DETACH] = False,
    as_json: Annotated[bool, JSON] = False,
) -> None:
    """Take pages out of a book; what was read of them is kept."""
    _run(book, {"action": "drop", "pages": pages}, How(preview, wait, detach, as_json))


@leaf.command()
def move(
    book: Annotated[str, BOOK],
    pages: Annotated[str, PAGES],
    after: Annotated[int, AFTER],
    preview: Annotated[bool, PREVIEW] = False,
    wait: Annotated[bool, WAIT] = False,
    detach: Annotated[bool, DETACH] = False,
    as_json: Annotated[bool, JSON] = False,
) -> None:
    """Put pages elsewhere in a book."""
    _run(book, {"action": "move", "pages": pages, "after": after}, How(preview, wait, detach, as_json))


@leaf.command()
def split(
    book: Annotated[str, BOOK],
    page: Annotated[int, PAGE_OPTION],
    at: Annotated[
        float, typer.Option("--at", help="Where the gutter is, as a share of the width.", min=0, max=1)
    ] = 0.5,
    rtl: Annotated[bool, typer.Option("--rtl", help="The right half comes first.")] = False,
    preview: Annotated[bool, PREVIEW] = False,
    wait: Annotated[bool, WAIT] = False,
    detach: Annotated[bool, DETACH] = False,
    as_json: Annotated[bool, JSON] = False,
) -> None:
    """Make two leaves of a scan that shows two pages."""
    edit = {"action": "split", "pages": str(page), "at": at, "rtl": rtl}
    _run(book, edit, How(preview, wait, detach, as_json))


@leaf.command()
def join(
    book: Annotated[str, BOOK],
    page: Annotated[int, PAGE_OPTION],
    preview: Annotated[bool, PREVIEW] = False,
    wait: Annotated[bool, WAIT] = False,
    detach: Annotated[bool, DETACH] = False,
    as_json: Annotated[bool, JSON] = False,
) -> None:
    """Undo a split: a half and the one beside it become one page again."""
    _run(book, {"action": "join", "pages": str(page)}, How(preview, wait, detach, as_json))


@leaf.command()
def reset(
    book: Annotated[str, BOOK],
    preview: Annotated[bool, PREVIEW] = False,
    wait: Annotated[bool, WAIT] = False,
    detach: Annotated[bool, DETACH] = False,
    as_json: Annotated[bool, JSON] = False,
) -> None:
    """Go back to the leaves of the source as it was imported."""
    _run(book, {"action": "reset"}, How(preview, wait, detach, as_json))


def _run(book: str, edit: Mapping[str, Any], how: How, files: Sequence[Path] = ()) -> None:
    from cli import connect

    given = {name: value for name, value in edit.items() if value is not None}

    async def command() -> int | None:
        if how.preview:
            async with connect.reading() as shelf:
                return await _preview(shelf, book, given, files, as_json=how.as_json)
        async with connect.working(wait_for_worker=False) as shelf:
            return await _edit(shelf, book, given, files, how)

    connect.run(command)


async def _preview(
    shelf: Connection, text: str, edit: dict[str, Any], files: Sequence[Path], *, as_json: bool
) -> int | None:
    """Nothing is kept: the files are only looked at."""
    import asyncio
    import hashlib

    from cli import output
    from cli.books import find_book
    from providers.importing import Looked

    def digest_of(path: Path) -> str:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()

    async def hashed(looked: Looked) -> tuple[str, Manifest]:
        manifest = looked.manifest([await asyncio.to_thread(digest_of, path) for path, _, _ in looked.files])
        return manifest.fingerprint(), manifest

    key = await find_book(shelf.store, text)
    planned = await _planned(shelf, key, edit, files, hashed)
    if as_json:
        output.data(planned.facts)
    else:
        print(planned.sentence)
    return None


async def _edit(shelf: Connection, text: str, edit: dict[str, Any], files: Sequence[Path], how: How) -> int | None:
    from cli import output
    from cli.starting import known_book, run_job
    from providers.importing import Looked, keep_source

    async def kept(looked: Looked) -> tuple[str, Manifest]:
        return await keep_source(shelf.artifacts, looked)

    key = await known_book(shelf, text)
    planned = await _planned(shelf, key, edit, files, kept)
    output.note(planned.sentence)
    return await run_job(
        shelf,
        "EditLeaves",
        {"edits": [planned.edit], "book_id": key, "of": planned.before},
        book=key,
        details=f"{edit['action']}: {planned.sentence}",
        wait=how.wait,
        detach=how.detach,
        as_json=how.as_json,
    )


@dataclass(frozen=True, slots=True)
class _Planned:
    """An edit and what it would do."""

    edit: dict[str, Any]
    before: str
    """Fingerprint of the manifest that is edited."""
    sentence: str
    facts: dict[str, Any]


async def _planned(
    shelf: Connection,
    key: str,
    given: Mapping[str, Any],
    files: Sequence[Path],
    manifest_of: Callable[[Any], Awaitable[tuple[str, Manifest]]],
) -> _Planned:
    """What the job will make of it, by the same functions. Raises BadInput, BadSource, SourceNotFound."""
    from activities.placing import positions
    from providers.importing import AUTO, NEVER, look_at_source
    from providers.leaf_edits import LeafEdit, apply, changes, describe
    from providers.pdf import PdfReader
    from schemas.documents import Page
    from workflows.inputs import EditLeavesInput, validate_input

    before, manifest = await _manifest(shelf, key)
    edit, added = dict(given), None
    if files:
        pdf = PdfReader()
        try:
            # One page takes the place of one, whatever it shows; of what is inserted, spreads are split as usual.
            looked = await look_at_source(pdf, files, NEVER if edit["action"] == "replace" else AUTO)
        finally:
            await pdf.close()
        edit["manifest"], added = await manifest_of(looked)
    validate_input(EditLeavesInput, {"book_id": key, "edits": [edit]})
    original = _load(shelf, key, manifest.original) if manifest.original else manifest
    after = apply(manifest, key, LeafEdit.model_validate(edit), added, original)
    change = changes(manifest, after)
    found = await shelf.store.find(Page, {"book_key": key}, ["ocr_complete"])
    read = {page.key for page in found if page.flag("ocr", "complete")}
    keys = {page: name for name, page in positions(key, after).items()}
    to_read = [page for page in change.new if keys[page] not in read]
    facts = {
        "key": key,
        "page_count": after.page_count,
        "moved": [list(pair) for pair in change.moved],
        "gone": list(change.gone),
        "new": list(change.new),
        "to_read": to_read,
    }
    return _Planned(edit, before, describe(change, len(to_read)), facts)


async def leaves_of(shelf: Connection, key: str) -> dict[str, Any]:
    """What `leaf list` shows."""
    from schemas.documents import Page
    from schemas.keys import leaf_id

    _, manifest = await _manifest(shelf, key)
    found = await shelf.store.find(Page, {"book_key": key}, ["label", "page"])
    by_leaf = {page.key.rpartition("/")[2]: page for page in found}
    rows = []
    for number, at in enumerate(manifest.all_leaves(), start=1):
        name = leaf_id(at.part, at.index, at.region)
        page = by_leaf.pop(name, None)
        rows.append(
            {
                "page": number,
                "leaf": name,
                "label": page.label if page is not None else None,
                "file": manifest.parts[at.part].name,
                "file_page": at.index + 1,
                "region": at.region,
                "note": at.note or None,
            }
        )
    dropped = [{"leaf": name, "label": page.label} for name, page in sorted(by_leaf.items())]
    return {"key": key, "edited": bool(manifest.original), "leaves": rows, "dropped": dropped}


async def tell_of_edits(shelf: Connection, key: str, given: Manifest) -> None:
    """A note where the files that were given are not what the job will work on, because the leaves were edited."""
    from cli.output import note
    from providers.source import Manifest
    from schemas.documents import Book

    await shelf.store.bootstrap()
    book = (await shelf.store.get(Book, [key], ["source_manifest"])).get(key)
    if book is None or not book.source_manifest or given.book:
        return
    body = shelf.artifacts.get(book.source_manifest)
    if body is not None and Manifest.model_validate_json(body).original:
        note(f"The leaves of {key} were edited, and stay so. `shelf leaf reset {key}` goes back to this source.")


async def _manifest(shelf: Connection, key: str) -> tuple[str, Manifest]:
    """Of a book that is known: fingerprint and manifest. Raises BadInput, ArtifactMissing."""
    from schemas.documents import Book
    from schemas.errors import BadInput

    book = (await shelf.store.get(Book, [key], ["source_manifest"]))[key]
    if not book.source_manifest:
        raise BadInput(f"The source of {key} has not been looked at yet.", f"See `shelf status {key}`.")
    return book.source_manifest, _load(shelf, key, book.source_manifest)


def _load(shelf: Connection, key: str, fingerprint: str) -> Manifest:
    from providers.source import Manifest
    from schemas.errors import ArtifactMissing

    body = shelf.artifacts.get(fingerprint)
    if body is None:
        raise ArtifactMissing(
            f"The list of the source files of {key} is not in {shelf.artifacts}.", "Process the source again."
        )
    return Manifest.model_validate_json(body)
