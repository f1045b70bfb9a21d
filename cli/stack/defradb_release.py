"""Which DefraDB Shelf is written for: its release, the module that pins it, where what is built of it is kept."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

from schemas.errors import ServerUnavailable

VERSION = "0.19.0"
MODULE = Path(__file__).parents[2] / "tools" / "defradb"
"""The Go module that pins DefraDB and everything it is built from."""


def cache_dir() -> Path:
    """Where Shelf keeps what is made once per user: `$XDG_CACHE_HOME/shelf`, by default `~/.cache/shelf`."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "shelf"


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
