"""Finds the DefraDB program; `defradb_build.py` makes it where there is none."""

from __future__ import annotations

import contextlib
import hashlib
import os
import platform
import re
import shutil
import subprocess
from pathlib import Path

from cli.stack.progress import Progress, no_progress
from schemas.errors import ServerUnavailable

VERSION = "0.19.0"
MODULE = Path(__file__).parents[2] / "tools" / "defradb"
"""The Go module that pins DefraDB and everything it is built from."""


def cache_dir() -> Path:
    """Where Shelf keeps what is made once per user: `$XDG_CACHE_HOME/shelf`, by default `~/.cache/shelf`."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "shelf"


def built_binary() -> Path:
    """Where the built program lies, whether it is there or not.

    The name carries the platform, as homes are shared between machines, and a hash of what go.sum pins.
    """
    pins = hashlib.sha256((MODULE / "go.mod").read_bytes() + (MODULE / "go.sum").read_bytes()).hexdigest()[:8]
    system = f"{platform.system()}-{platform.machine()}".lower()
    return cache_dir() / f"defradb-{VERSION}-{system}-{pins}" / "defradb"


def version_of(binary: Path) -> str:
    """The release that a DefraDB program says it is; empty where it was built without saying so.

    Raises:
        ServerUnavailable: it does not run.
    """
    try:
        # The release is printed on stderr (cobra's Println), so both streams are read.
        said = subprocess.run(
            [binary, "version"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=20, check=True
        )
    except (OSError, subprocess.SubprocessError) as error:
        reason = getattr(error, "output", None) or str(error)
        raise ServerUnavailable(
            f"The DefraDB program {binary} does not run: {reason.strip()[-300:]}.",
            "Remove it, or set DEFRADB_BIN to one that does.",
        ) from error
    match = re.match(r"defradb v?(\d+\.\d+\.\d+)", said.stdout)
    return match.group(1) if match else ""


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
