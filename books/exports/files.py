"""Files and folders that appear whole or not at all."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from providers.local_artifacts import NO_ROOM, NOT_WRITABLE
from schemas.errors import BadInput, DiskFull, ShelfError


@contextlib.contextmanager
def written(target: Path, *, folder: bool, force: bool) -> Iterator[Path]:
    """A temporary path beside the target, which takes its place when the block ends well and is removed when it does not.

    What else lies beside that path by then (the figures of a Markdown file) comes along.

    Raises BadInput where the target is there and may not be replaced, DiskFull where there is no room or no right to write
    it, ShelfError for what else the system refuses."""
    check(target, folder=folder, force=force)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=f".{target.name}.", suffix=".partial", dir=target.parent))
    except OSError as error:
        raise refused(target, error) from error
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
        raise refused(target, error) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def refused(target: Path, error: OSError) -> ShelfError:
    """What the system said while the target was made, for people: of the disk, or of the file that it was about."""
    said = error.strerror or str(error)
    if error.errno in NO_ROOM:
        return DiskFull(f"No room left to write {target}: {said}.", "Make room, or name another place by --out.")
    if error.errno in NOT_WRITABLE:
        return DiskFull(
            f"{target} may not be written: {said}.", "Give this user the right to, or name another place by --out."
        )
    about = f": {error.filename}" if error.filename and Path(error.filename) != target else ""
    return ShelfError(
        f"{target} was not written: {said}{about}.", "Check that file and its disk, or name another place by --out."
    )


def check(target: Path, *, folder: bool, force: bool) -> None:
    """Raises BadInput where the target may not be written, DiskFull or ShelfError where the system says so; nothing was done
    by then."""
    try:
        if not target.exists():
            return
    except OSError as error:  # a name that is too long, a folder that may not be looked into
        raise refused(target, error) from error
    if not force:
        raise BadInput(f"{target} exists already.", "Replace it with --force, or name another place by --out.")
    if target.is_dir() != folder:
        what = "a folder" if target.is_dir() else "a file"
        raise BadInput(f"{target} is {what}, which this format does not replace.", "Name another place by --out.")
