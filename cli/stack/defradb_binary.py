"""Finds the DefraDB program; `defradb_build.py` makes it where there is none."""

from __future__ import annotations

import contextlib
import hashlib
import os
import platform
import shutil
from pathlib import Path

from cli.stack.defradb_release import MODULE, VERSION, cache_dir, version_of
from cli.stack.progress import Progress, no_progress
from schemas.errors import ServerUnavailable


def built_binary() -> Path:
    """Where the built program lies, whether it is there or not.

    The name carries the platform, as homes are shared between machines, and a hash of what go.sum pins.
    """
    pins = hashlib.sha256((MODULE / "go.mod").read_bytes() + (MODULE / "go.sum").read_bytes()).hexdigest()[:8]
    system = f"{platform.system()}-{platform.machine()}".lower()
    return cache_dir() / f"defradb-{VERSION}-{system}-{pins}" / "defradb"


def find() -> Path | None:
    """The program to use: `$DEFRADB_BIN`, then a 0.19.0 on PATH, then the one built earlier; None if there is none.

    Raises:
        ServerUnavailable: DEFRADB_BIN is set and names no program.
    """
    if named := os.environ.get("DEFRADB_BIN"):
        if not os.access(named, os.X_OK) or Path(named).is_dir():
            raise ServerUnavailable(
                f"DEFRADB_BIN names {named}, which is not a program.", "Correct the path, or unset the variable."
            )
        return Path(named).resolve()
    if on_path := shutil.which("defradb"):
        # Another version writes another format of data: passed over, never tried.
        with contextlib.suppress(ServerUnavailable):
            if version_of(Path(on_path)) == VERSION:
                return Path(on_path)
    built = built_binary()
    return built if built.exists() else None


def find_or_build(progress: Progress = no_progress) -> Path:
    """The program to use, built first if there is none.

    Raises:
        ServerUnavailable: the build failed; the message ends with the compiler's last lines.
        DiskFull: too little room for the build.
    """
    if found := find():
        return found
    from cli.stack.defradb_build import build

    return build(built_binary(), progress)
