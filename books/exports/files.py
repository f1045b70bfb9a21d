"""Files and folders that appear whole or not at all."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from schemas.errors import BadInput, DiskFull


@contextlib.contextmanager
def written(target: Path, *, folder: bool, force: bool) -> Iterator[Path]:
    """A temporary path beside the target, which takes its place when the block ends well and is removed when it does not.

    What else lies beside that path by then (the figures of a Markdown file) comes along.

    Raises BadInput where the target is there and may not be replaced, DiskFull where it cannot be written."""
    check(target, folder=folder, force=force)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=f".{target.name}.", suffix=".partial", dir=target.parent))
    except OSError as error:
        raise DiskFull(f"{target} cannot be written: {error.strerror}.", "Name another place by --out.") from error
    try:
        made = temporary / target.name
        if folder:
            made.mkdir()
        yield made
        for path in temporary.rglob("*"):
            if path.is_file():
                with path.open("rb") as file:
                    os.fsync(file.fileno())
        companions = [path for path in temporary.iterdir() if path != made]
        for path in companions:
            check(target.parent / path.name, folder=path.is_dir(), force=force)
        aside = temporary / "replaced"
        aside.mkdir()
        for path in [*companions, made]:
            place = target.parent / path.name
            if place.is_dir() and not place.is_symlink():
                # A folder cannot be replaced in one step: the old one makes room first, and goes when the new one is there.
                place.rename(aside / place.name)
            path.replace(place)
    except OSError as error:
        raise DiskFull(
            f"{target} cannot be written: {error.strerror or error}.", "Make room, or name another place by --out."
        ) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def check(target: Path, *, folder: bool, force: bool) -> None:
    """Raises BadInput where the target may not be written; nothing was done by then."""
    if not target.exists():
        return
    if not force:
        raise BadInput(f"{target} exists already.", "Replace it with --force, or name another place by --out.")
    if target.is_dir() != folder:
        what = "a folder" if target.is_dir() else "a file"
        raise BadInput(f"{target} is {what}, which this format does not replace.", "Name another place by --out.")
