"""The tutorial, as a stranger types it: the `sh` blocks of the page in order, on real servers with real engines.

Each line of a `text` block stands in the output of the block before it; `…` is anything.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.docs.pages import ROOT, Block, blocks
from tests.e2e.machine import JOB_SECONDS, Machine

TUTORIAL = blocks((ROOT / "docs" / "tutorial.md").read_text(encoding="utf-8"))


@pytest.fixture
def machine(tmp_path: Path, defradb_binary: Path) -> Iterator[Machine]:
    """Its folder looks like a clone of Shelf: ./shelf, samples/, .venv/."""
    folder = tmp_path / "shelf"
    folder.mkdir()
    made = Machine(folder, defradb_binary, counted=False)
    (folder / "samples").symlink_to(ROOT / "samples")
    (folder / ".venv").symlink_to(sys.prefix)
    launcher = folder / "shelf"
    launcher.write_text(f'#!/bin/sh\nexec "{sys.executable}" -P -m cli "$@"\n')
    launcher.chmod(0o755)
    try:
        made.start()
        yield made
    finally:
        made.end()


def run(machine: Machine, block: Block) -> str:
    """What a block prints; it ends at the first command that fails."""
    done = subprocess.run(
        ["/bin/sh", "-e", "-c", block.text],
        capture_output=True,
        text=True,
        timeout=JOB_SECONDS,
        check=False,
        cwd=machine.folder,
        env=machine.environment | {"SHELF_WORKER": "external", "SHELF_USER": "you"},
    )
    assert done.returncode == 0, f"{block.text}{done.stdout}{done.stderr}"
    return done.stdout + done.stderr


def is_in(line: str, output: str) -> bool:
    """Whether a line of the page is a line of the output; how wide columns are depends on what else is in them."""
    pattern = ".*".join(r"[ ]+".join(map(re.escape, part.split(" "))) for part in re.sub(" +", " ", line).split("…"))
    return re.search(rf"^{pattern}[ ]*$", output, re.MULTILINE) is not None


@pytest.mark.slow
def test_the_tutorial_does_what_it_says(machine: Machine) -> None:
    output = ""
    for block in TUTORIAL:
        if block.language == "sh":
            output = run(machine, block)
        else:
            assert block.language == "text"
            missing = [line for line in block.text.splitlines() if line.strip() and not is_in(line, output)]
            assert not missing, output
    assert {path.suffix for path in machine.folder.glob("a-day-*")} == {".epub", ".pdf"}


def test_a_line_stands_in_the_output_or_not() -> None:
    output = "Title      A Day\nPages        26 of 26 complete\n"
    assert is_in("Title      A Day", output)
    assert is_in("Pages 26 of 26 complete", output)
    assert is_in("Pages … complete", output)
    assert not is_in("Title      A", output)
    assert not is_in("Pages … gaps", output)
