"""The pages of docs/reference/ are what the code says."""

from __future__ import annotations

import os
import subprocess
import sys

from tools import reference


def test_the_pages_are_what_the_code_says() -> None:
    wrong = reference.different(reference.render())
    assert not wrong, f"docs/reference: {', '.join(wrong)} differ from the code. Mend: {reference.COMMAND}"


def test_a_change_of_the_code_is_seen() -> None:
    pages = reference.render()
    pages["settings.md"] = pages["settings.md"].replace("`SHELF_HOME`", "`SHELF_HOUSE`")
    pages["new.md"] = "# New\n"
    assert {"settings.md", "new.md"} <= set(reference.different(pages))


def test_the_pages_do_not_depend_on_the_machine(tmp_path: object) -> None:
    """Another folder, other settings in the environment, another width of the terminal, another number of cores."""
    script = "import os; os.cpu_count = lambda: 61; from tools import reference; print(repr(reference.render()))"
    environment = {"SHELF_HOME": "/elsewhere", "SHELF_LANGUAGE": "deu", "COLUMNS": "40", "LC_ALL": "C.UTF-8"}
    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
        cwd=str(tmp_path),
        env={**os.environ, **environment, "PYTHONPATH": str(reference.ROOT)},
    )
    assert done.stdout.strip() == repr(reference.render())
