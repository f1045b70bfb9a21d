"""up, doctor and down as a user types them, with the real worker."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture
def shelf(tmp_path: Path, defradb_binary: Path) -> Any:
    environment = os.environ | {"PYTHONPATH": str(ROOT), "DEFRADB_BIN": str(defradb_binary)}

    def run(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-P", "-m", "cli", *arguments],
            check=False,
            capture_output=True,
            text=True,
            cwd=tmp_path,
            env=environment | variables,
            timeout=120,
        )

    yield run
    run("down")


def checks(said: subprocess.CompletedProcess[str]) -> dict[str, dict[str, str]]:
    return {check["part"]: check for check in json.loads(said.stdout)["checks"]}


def test_up_doctor_down(shelf: Any, tmp_path: Path) -> None:
    before = shelf("doctor", "--json")
    assert before.returncode == 0, before.stdout
    assert {part: checks(before)[part]["state"] for part in ("defradb", "temporal", "worker")} == dict.fromkeys(
        ("defradb", "temporal", "worker"), "off"
    )
    assert not (tmp_path / ".shelf").exists(), "doctor changes nothing"

    up = shelf("up", "--json")
    assert up.returncode == 0, up.stderr
    assert json.loads(up.stdout)["temporal_ui_url"].startswith("http://127.0.0.1:")

    for _ in range(20):
        well = shelf("doctor", "--json")
        if checks(well)["queues"]["state"] == "ok":
            break
        time.sleep(0.5)  # the pollers of the last queues are on their way
    assert well.returncode == 0, well.stdout
    assert {check["state"] for check in checks(well).values()} == {"ok"}, well.stdout
    assert "30 days" in checks(well)["temporal"]["message"]

    down = shelf("down")
    assert down.returncode == 0
    assert down.stderr.splitlines()[-1] == "Stopped temporal, defradb, worker."
    assert shelf("down").stderr == "Nothing of Shelf's runs here.\n"


def test_doctor_names_what_is_wrong_and_what_to_do(shelf: Any, tmp_path: Path) -> None:
    sick = shelf("doctor", "--json", SHELF_DEFRADB_URL="http://127.0.0.1:9", DEFRADB_BIN=str(tmp_path / "gone"))
    assert sick.returncode == 1
    assert checks(sick)["defradb"]["state"] == "problem"
    assert "SHELF_DEFRADB_URL" in checks(sick)["defradb"]["next_step"]
    sick = shelf("doctor", DEFRADB_BIN=str(tmp_path / "gone"))
    assert sick.returncode == 1
    assert "DEFRADB_BIN" in sick.stdout


def test_a_wrong_setting_is_one_sentence(shelf: Any, tmp_path: Path) -> None:
    (tmp_path / "shelf.toml").write_text("colour = 1\n")
    said = shelf("up")
    assert said.returncode == 2
    assert said.stderr.count("\n") == 1
    assert "colour" in said.stderr


def test_help_imports_nothing_heavy() -> None:
    """What keeps it under 0.3 s; the time itself depends on what else the machine does."""
    script = "import sys; from cli.main import make_app; make_app(); print(*sys.modules)"
    said = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True, cwd=ROOT)
    heavy = {"temporalio", "pydantic", "pydantic_settings", "httpx", "rich.console", "numpy", "pymupdf", "rapidfuzz"}
    assert not heavy & set(said.stdout.split())
