"""The provider and the operation of `docs/extending.md`, applied to a copy of the program as they stand there, and run.

The job of that page is run by tests/workflows/test_docs_job.py."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs.pages import ROOT, Block, blocks

CODE = (
    "activities",
    "books",
    "cli",
    "providers",
    "samples",
    "schemas",
    "tests",
    "workflows",
    "worker.py",
    "pyproject.toml",
)
TESTS = ("tests/test_wiring.py", "tests/workflows/test_count.py", "tests/providers/test_my_engine.py")
PAGE = (ROOT / "docs" / "extending.md").read_text(encoding="utf-8")


def apply(block: Block, folder: Path) -> None:
    """Write the file that a block is, or make the changes that it shows."""
    first, _, rest = block.text.partition("\n")
    name = re.fullmatch(r" ?# ([\w/]+\.py)", first)
    if name is None:
        return  # an excerpt, or the job
    file = folder / name[1]
    if block.language != "diff":
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(rest, encoding="utf-8")
        return
    text = file.read_text(encoding="utf-8")
    for old, new in re.findall(r"((?:^-.*\n)+)((?:^\+.*\n)+)", rest, re.MULTILINE):
        was, becomes = (re.sub(r"^.", "", part, flags=re.MULTILINE) for part in (old, new))
        assert text.count(f"\n{was}") == 1, (
            f"docs/extending.md changes {name[1]} at lines that are not there once:\n{was}"
        )
        text = text.replace(f"\n{was}", f"\n{becomes}")
    file.write_text(text, encoding="utf-8")


@pytest.mark.slow
def test_what_the_page_shows_works(tmp_path: Path) -> None:
    for name in CODE:
        if (ROOT / name).is_dir():
            shutil.copytree(
                ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__", "e2e", "histories")
            )
        else:
            shutil.copy(ROOT / name, tmp_path / name)
    for block in blocks(PAGE):
        apply(block, tmp_path)
    (tmp_path / "tests" / "providers" / "test_my_engine.py").write_text(
        "from activities.services import make_services\n"
        "from providers.settings import Settings\n\n\n"
        "async def test_it_reads() -> None:\n"
        "    engine = make_services(Settings(), None, None, None).providers['my-engine']\n"
        "    assert (await engine.read(None, 'eng', 1.0)).page.text == 'Hello'\n"
    )
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *TESTS],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
    )
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
