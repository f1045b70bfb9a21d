"""Builds DefraDB inside the image's build: `python build_defradb.py TARGET`. Standard library only."""

from __future__ import annotations

import sys
from pathlib import Path

from cli.stack.defradb_build import build
from cli.stack.progress import StderrProgress
from schemas.errors import ShelfError

if __name__ == "__main__":
    try:
        build(Path(sys.argv[1]), StderrProgress(sys.stderr))
    except ShelfError as error:
        sys.exit(str(error))
