"""The artifact store in a folder: kills and full disks leave nothing behind. The rest: test_artifacts.py."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from providers import local_artifacts
from providers.artifacts import Request
from providers.local_artifacts import LocalArtifactStore
from schemas.errors import DiskFull

ROOT = Path(__file__).parents[2]


def key(name: str) -> str:
    return Request("ocr", "tesseract", "m", {}, (name,)).fingerprint


@pytest.fixture
def store(tmp_path: Path) -> LocalArtifactStore:
    return LocalArtifactStore(tmp_path / "store")


def files(root: Path, kind: str = "") -> list[Path]:
    return [path for path in (root / kind).rglob("*") if path.is_file()]


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EROFS])
def test_a_full_or_locked_disk(
    store: LocalArtifactStore, code: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    book = tmp_path / "book.pdf"
    book.write_bytes(b"x")

    def refuse(*arguments: Any) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(local_artifacts.os, "fsync", refuse)
    for write in (
        lambda: store.publish(key("a"), b"x"),
        lambda: store.record_attempt(key("a"), "1", {}),
        lambda: store.write_intent(key("a"), "1", {}),
        lambda: store.set_cooling("p", 1.0, ""),
        lambda: store.put_file(book),
    ):
        with pytest.raises(DiskFull) as caught:
            write()
        assert str(store.root) in str(caught.value)
        assert caught.value.next_step
        assert caught.value.retryable
    monkeypatch.undo()
    assert files(store.root, "writing") == []
    assert not store.has(key("a"))
    store.publish(key("a"), b"x")
    assert store.get(key("a")) == b"x"


def test_a_root_that_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(DiskFull, match="Cannot write"):
        LocalArtifactStore(tmp_path / "file" / "store")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_really_full_device(store: LocalArtifactStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        local_artifacts.tempfile, "mkstemp", lambda dir: (os.open("/dev/full", os.O_WRONLY), str(store.root / "none"))
    )
    with pytest.raises(DiskFull, match="No room left"):
        store.publish(key("a"), b"x" * 100_000)
    assert not store.has(key("a"))


def test_temporary_files_of_the_killed_are_swept_once_old(store: LocalArtifactStore) -> None:
    old, young = store.root / "writing" / "old", store.root / "writing" / "young"
    old.touch()
    young.touch()
    os.utime(old, (time.time() - 2 * local_artifacts.TEMPORARY_AGE_SECONDS,) * 2)
    LocalArtifactStore(store.root)
    assert files(store.root, "writing") == [young]


WRITER = """
import sys
from providers.local_artifacts import LocalArtifactStore
store = LocalArtifactStore(sys.argv[1])
print("ready", flush=True)
number = 0
while True:
    number += 1
    name = f"{number % 200:064d}"
    store.publish(name, name.encode() * 2000)
    store.record_attempt(name, "1", {"n": name})
    store.write_intent(name, "1", {"n": name})
    store.set_cooling("p", number, "x" * 1000)
    store.settle_intent(name, "1")
"""


def test_killed_at_any_point_nothing_half_written_is_visible(tmp_path: Path) -> None:
    root = tmp_path / "store"
    for delay in (0.01, 0.02, 0.05, 0.1, 0.17, 0.23):
        writer = subprocess.Popen([sys.executable, "-c", WRITER, str(root)], stdout=subprocess.PIPE, cwd=ROOT)
        assert writer.stdout is not None
        writer.stdout.readline()
        time.sleep(delay)
        writer.send_signal(signal.SIGKILL)
        writer.wait()
        writer.stdout.close()
        store = LocalArtifactStore(root)
        for number in range(200):
            name = f"{number:064d}"
            body = store.get(name)
            assert body in (None, name.encode() * 2000)
            assert store.attempts(name) in ({}, {"1": {"n": name}})
            assert store.open_intents(name) in ({}, {"1": {"n": name}})
        assert store.cooling("p")[1] in ("", "x" * 1000)
    assert files(root, "damaged") == []
