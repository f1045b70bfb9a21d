"""Stacks with a worker that is ready at once: what these tests look at is how the parts start and stop."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cli.stack import stack as stack_module
from cli.stack.stack import Stack
from providers.settings import Settings, load_settings

FAKE_WORKER = """
import os, signal, sys, time
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
print("serving", os.environ["TEMPORAL_ADDRESS"], os.environ["SHELF_DEFRADB_URL"], flush=True)
while True:
    time.sleep(1)
"""


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """The user's own servers and settings must not be met here."""
    for name in (
        "TEMPORAL_ADDRESS",
        "TEMPORAL_NAMESPACE",
        "TEMPORAL_PROFILE",
        "TEMPORAL_CONFIG_FILE",
        "SHELF_DEFRADB_URL",
    ):
        monkeypatch.delenv(name, raising=False)
    for name in ("SHELF_HOME", "SHELF_WORKER", "SHELF_ARTIFACTS_DIR"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def fake_worker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    script = tmp_path / "worker.py"
    script.write_text(FAKE_WORKER)
    monkeypatch.setattr(stack_module, "WORKER_SCRIPT", script)
    return script


@pytest.fixture
def make_stack(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fake_worker: Path, defradb_binary: Path
) -> Iterator[Callable[..., Stack]]:
    """Makes stacks in folders of this test; all are stopped at its end."""
    monkeypatch.setenv("DEFRADB_BIN", str(defradb_binary))
    made: list[Stack] = []

    def make(name: str = "one", **flags: object) -> Stack:
        settings: Settings = load_settings(home=tmp_path / name / ".shelf", **flags)
        made.append(Stack(settings))
        return made[-1]

    yield make
    for stack in made:
        stack.down()
