"""The formats by name: what each is called, what its file ends with, what writes it."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from books.exports.files import check, written
from books.exports.job import Export
from schemas.errors import BadInput


@dataclass(frozen=True, slots=True)
class Format:
    """One format."""

    name: str
    suffix: str
    """Of the file; of a folder, what its name ends with."""
    writer: str
    """Module and function, imported when it is used: `shelf --help` must not pay for it."""
    folder: bool = False

    def default_target(self, key: str, folder: Path) -> Path:
        """Where a book goes if nobody says."""
        return folder / f"{key}{self.suffix}"

    def write(self, export: Export, target: Path, *, force: bool = False) -> None:
        """Write the book; the target is there afterwards, or nothing is.

        Raises BadInput, DiskFull, ArtifactMissing, BadSource."""
        module, function = self.writer.split(":")
        writer = cast(Callable[[Export, Path], None], getattr(importlib.import_module(module), function))
        with written(target, folder=self.folder, force=force) as path:
            writer(export, path)

    def check(self, target: Path, *, force: bool) -> None:
        """Raises BadInput where the target may not be written."""
        check(target, folder=self.folder, force=force)


FORMATS = {
    format.name: format
    for format in (
        Format("text", ".txt", "books.exports.text:write_text"),
        Format("markdown", ".md", "books.exports.markdown:write_markdown"),
        Format("json", ".json", "books.exports.json_export:write_json"),
        Format("epub", ".epub", "books.exports.epub:write_epub"),
        Format("pdf", ".pdf", "books.exports.pdf:write_pdf"),
        Format("hocr", ".hocr", "books.exports.hocr:write_hocr"),
        Format("alto", "-alto", "books.exports.alto:write_alto", folder=True),
        Format("mets", "-mets", "books.exports.mets:write_mets", folder=True),
    )
}


def parse_formats(text: str) -> list[Format]:
    """`epub,pdf` as formats, each once; `all` is all of them. Raises BadInput."""
    names = [name for part in text.split(",") if (name := part.strip().lower())]
    if "all" in names:
        return list(FORMATS.values())
    unknown = [name for name in names if name not in FORMATS]
    if unknown or not names:
        what = f"{unknown[0]!r} is no export format" if unknown else "No format was given"
        raise BadInput(f"{what}.", f"There are: {', '.join(FORMATS)}, or all.")
    return [FORMATS[name] for name in dict.fromkeys(names)]
