"""Which books the user means: by folders and files, or by a CSV file with a row per book."""

from __future__ import annotations

import csv
import hashlib
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from schemas.errors import BadInput, BadSource, SourceNotFound

if TYPE_CHECKING:
    from providers.artifacts import ArtifactStore
    from providers.pdf import PdfReader
    from providers.source import Manifest
    from schemas.store import Store

PATH = "path"
ALIASES = {"lang": "language", "budget": "budget_usd", "from": "from_operation", "file": PATH, "source": PATH}
"""Headers that mean another one."""
NOT_PER_ROW = ("source", "manifest", "book_id", "wait")
"""Fields of `ProcessPagesInput` that a row cannot have."""
SECOND_OPINION = {"no": "", "none": "", "false": "", "yes": None, "true": None}
"""Cells that name no provider: none, or the usual one."""
DELIMITERS = ",;\t"
KEY_BEGINS = re.compile(r"[a-z0-9-]+")


@dataclass(frozen=True, slots=True)
class BookSource:
    """One book that shall be read: its files, and what was chosen for it alone."""

    paths: tuple[Path, ...]
    options: Mapping[str, Any] = field(default_factory=dict)
    """Fields of `ProcessPagesInput`."""
    where: str = ""
    """Row that named it, as "scans.csv, line 3"; '' where no file did."""

    @property
    def title(self) -> str:
        """What the user knows it by."""
        return str(self.paths[0]) if len(self.paths) == 1 else f"{self.paths[0]} and {len(self.paths) - 1} more"


class FolderClosed(BadSource):
    """A folder may not be read, or is not there any more."""


def books_of(paths: Sequence[Path], *, each: bool = False) -> list[BookSource] | None:
    """The books among these arguments; None where all of them together are one, as files in order or a folder of images.

    A folder without images is a batch: each PDF in it is a book, and so is each folder of images, at any depth; links are
    followed, each folder once. With `each`, every file is a book of its own.

    Raises BadSource for a folder in which there is none, FolderClosed for one that may not be read."""
    folders = [path for path in paths if path.is_dir()]
    if not each and (not folders or (len(paths) == 1 and _images(paths[0]))):
        return None
    found = [source for path in paths for source in _books_in(path, set(), each=each)]
    if not found:
        raise BadSource(
            f"There is no PDF and no image in {', '.join(map(str, folders))}.",
            "Name a folder of PDFs, or of folders of page images.",
        )
    return found


def _books_in(path: Path, seen: set[Path], *, each: bool) -> Iterator[BookSource]:
    """`seen`: folders that were looked at, by the path without links: two that link to each other would never end."""
    if not path.is_dir():
        yield BookSource((path,))
        return
    if (real := path.resolve()) in seen:
        return
    seen.add(real)
    images = _images(path)
    if images and not each:
        yield BookSource((path,))
        return
    for entry in entries_of(path):
        if entry.is_dir():
            yield from _books_in(entry, seen, each=False)
        elif entry.suffix.lower() == ".pdf" or entry in images:
            yield BookSource((entry,))


def _images(folder: Path) -> list[Path]:
    from providers.pages import IMAGE_SUFFIXES

    return [entry for entry in entries_of(folder) if entry.is_file() and entry.suffix.lower() in IMAGE_SUFFIXES]


def entries_of(folder: Path) -> list[Path]:
    """What lies in a folder, in the order of people: scan2 before scan10. Raises FolderClosed."""
    from providers.pages import natural_key

    try:
        entries = [entry for entry in folder.iterdir() if not entry.name.startswith(".")]
    except OSError as error:
        raise FolderClosed(
            f"{folder} may not be read: {error.strerror}.", "Give this user the right to read it."
        ) from None
    return sorted(entries, key=lambda entry: natural_key(entry.name))


def read_manifest(file: Path, common: Mapping[str, Any]) -> list[BookSource]:
    """A CSV file with a row per book: `path` (from the file's own folder), and any option of `process`.

    Args:
        common: options of the command; a row's own win.

    Raises BadInput that names file and line: a column that does not exist, a row without path, a value that does not
    fit, a path twice. Whether the paths are there is each book's own matter."""
    try:
        text = file.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise BadInput(f"{file} is not UTF-8.", "Save it as CSV in UTF-8.") from None
    except OSError as error:
        raise BadInput(f"{file} cannot be read: {error.strerror}.", "Name a CSV file with a column `path`.") from None
    lines = text.splitlines()
    header = lines[0] if lines else ""
    delimiter = max(DELIMITERS, key=header.count)
    reader = csv.reader(lines, delimiter=delimiter, strict=True)
    rows: list[BookSource] = []
    seen: dict[Path, str] = {}
    try:
        columns = _columns(file, next(reader, []))
        for cells in reader:
            if not any(cell.strip() for cell in cells):
                continue
            where = f"{file.name}, line {reader.line_num}"
            if len(cells) > len(columns):
                raise BadInput(f"{where}: it has {len(cells)} cells, but there are {len(columns)} columns.", QUOTES)
            row = {name: cell.strip() for name, cell in zip(columns, cells, strict=False) if cell.strip()}
            source = _row(file, where, row, common)
            if source.paths[0] in seen:
                raise BadInput(
                    f"{where}: {row[PATH]} is the book of {seen[source.paths[0]]}.", "Remove one of the two."
                )
            seen[source.paths[0]] = where
            rows.append(source)
    except csv.Error as error:
        raise BadInput(f"{file.name}, line {reader.line_num}: it is no CSV: {error}.", QUOTES) from None
    if not rows:
        raise BadInput(f"{file} names no book.", "Below the header it has a row per book, with its path.")
    return rows


QUOTES = 'Put a cell that contains the delimiter into "double quotes".'


def _columns(file: Path, header: Sequence[str]) -> list[str]:
    columns = [ALIASES.get(name, name) for name in (cell.strip().lower().replace("-", "_") for cell in header)]
    known = (PATH, *_options())
    for name in columns:
        if name not in known:
            raise BadInput(f"{file.name}, line 1: there is no column {name!r}.", f"Known: {', '.join(known)}.")
    if PATH not in columns:
        raise BadInput(f"{file.name}, line 1: there is no column `path`.", f"Known: {', '.join(known)}.")
    if len(set(columns)) < len(columns):
        twice = next(name for name in columns if columns.count(name) > 1)
        raise BadInput(f"{file.name}, line 1: the column {twice!r} is there twice.", "Remove one of the two.")
    return columns


def _options() -> list[str]:
    from workflows.inputs import ProcessPagesInput

    return [name for name in ProcessPagesInput.model_fields if name not in NOT_PER_ROW]


def _row(file: Path, where: str, row: Mapping[str, str], common: Mapping[str, Any]) -> BookSource:
    from cli.spending import models
    from schemas.pagespec import parse_pages
    from workflows.inputs import ProcessPagesInput, validate_input

    if PATH not in row:
        raise BadInput(f"{where}: the path is missing.", "Write the path of a PDF or of a folder of images.")
    given = {**common, **{name: value for name, value in row.items() if name != PATH}}
    if (wanted := str(given.get("second_opinion", "")).lower()) in SECOND_OPINION:
        given["second_opinion"] = SECOND_OPINION[wanted]
    try:
        if "llm" in row:
            given["llm"] = models(row["llm"].split())
        parse_pages(str(given.get("pages") or ""))
        checked = validate_input(ProcessPagesInput, {**given, "book_id": "-"})
    except BadInput as error:
        raise BadInput(f"{where}: {error.message}", error.next_step) from None
    options = checked.model_dump(exclude={"book_id"}, exclude_defaults=True)
    return BookSource(((file.parent / row[PATH]).absolute(),), options, where)


def source_key(paths: Sequence[Path]) -> str:
    """The key that a source's book has or will have, by its files alone; reads every byte of them.

    Raises BadSource, SourceNotFound."""
    from providers.pages import IMAGE_SUFFIXES
    from schemas.keys import book_key

    hashes = []
    for path in paths:
        for file in _images(path) if path.is_dir() else [path]:
            try:
                with file.open("rb") as opened:
                    hashes.append(hashlib.file_digest(opened, "sha256").hexdigest())
            except FileNotFoundError:
                raise SourceNotFound(f"{file} does not exist.", "Check the path.") from None
            except OSError as error:
                raise BadSource(f"{file} cannot be read: {error.strerror}.", "Check the path and its rights.") from None
    if not hashes:
        raise BadSource(f"{paths[0]} has no images.", f"Pages may be {', '.join(sorted(IMAGE_SUFFIXES))}.")
    return book_key(paths[0].name if paths[0].is_dir() else paths[0].stem, hashes)


@dataclass(frozen=True, slots=True)
class Imported:
    """A source that lies in the artifact store."""

    fingerprint: str
    """Of the manifest."""
    manifest: Manifest
    book: str
    """Key of the book."""

    def describe(self, options: Mapping[str, Any]) -> str:
        """For the Temporal UI: files, pages, what was chosen."""
        parts = self.manifest.parts
        named = ", ".join(part.name for part in parts[:3]) + (", …" if len(parts) > 3 else "")
        chosen = chosen_in_words(options)
        return f"{named}, {self.manifest.page_count} pages{' · ' if chosen else ''}{chosen}"


async def import_book(
    pdf: PdfReader, open_artifacts: Callable[[], ArtifactStore], paths: Sequence[Path], options: Mapping[str, Any]
) -> Imported:
    """Check the source and put it into the artifact store, before anything is started.

    Raises BadSource, SourceNotFound, BadInput, DiskFull, StoreUnavailable; nothing is left behind then."""
    from providers.importing import AUTO, keep_source, look_at_source
    from schemas.keys import book_key
    from schemas.pagespec import parse_pages

    check_there(paths)
    looked = await look_at_source(pdf, paths, str(options.get("spreads") or AUTO), rtl=bool(options.get("rtl")))
    parse_pages(str(options.get("pages") or ""), looked.page_count)
    # A folder is made when the store is opened: a file that is no book leaves nothing behind.
    fingerprint, manifest = await keep_source(open_artifacts(), looked)
    return Imported(fingerprint, manifest, book_key(manifest.name, [part.sha256 for part in manifest.parts]))


async def twin_of(store: Store, artifacts: ArtifactStore, imported: Imported) -> str | None:
    """Key of the book that these very files have been under another name; None where they are new, or known as this one."""
    from books.library import same_source

    hashes = [part.sha256 for part in imported.manifest.parts]
    book = await same_source(store, artifacts, imported.book, hashes)
    return book.key if book is not None else None


def chosen_in_words(options: Mapping[str, Any]) -> str:
    """`ocr: tesseract, second opinion: none`: a job's options, for the Temporal UI."""
    words = {"": "none", "True": "yes", "False": "no"}
    return ", ".join(f"{name.replace('_', ' ')}: {words.get(str(value), value)}" for name, value in options.items())


def check_there(paths: Sequence[Path]) -> None:
    """Raises SourceNotFound."""
    for path in paths:
        if not path.exists():
            hint = "Check the path; a book is a PDF, images, or a folder."
            # Elsewhere the beginning of a key names a book. Here a misspelt folder would be taken for one.
            if len(paths) == 1 and KEY_BEGINS.fullmatch(str(path)):
                hint += " To go on with a book that is known, give its whole key: `shelf books` lists them."
            raise SourceNotFound(f"{path} does not exist.", hint)


def folder_there(folder: Path) -> None:
    """Raises SourceNotFound."""
    if not folder.is_dir():
        raise SourceNotFound(f"{folder} is not a folder.", "Name the folder into which books are put.")
