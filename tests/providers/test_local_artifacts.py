"""The artifact store in a folder: first wins, damage is seen, kills and full disks leave nothing behind."""

from __future__ import annotations

import errno
import hashlib
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from providers import local_artifacts
from providers.artifacts import ArtifactStore, Request
from providers.local_artifacts import LocalArtifactStore
from schemas.errors import ArtifactMissing, DiskFull

ROOT = Path(__file__).parents[2]


def key(name: str) -> str:
    return Request("ocr", "tesseract", "m", {}, (name,)).fingerprint


@pytest.fixture
def store(tmp_path: Path) -> LocalArtifactStore:
    return LocalArtifactStore(tmp_path / "store")


def files(root: Path, kind: str = "") -> list[Path]:
    return [path for path in (root / kind).rglob("*") if path.is_file()]


def test_what_is_removed_is_gone_with_the_notes_of_its_attempts(store: LocalArtifactStore, tmp_path: Path) -> None:
    source = tmp_path / "scan.pdf"
    source.write_bytes(b"a scan" * 100)
    sha256 = store.put_file(source)
    for name in ("one", "two"):
        store.publish(key(name), b"answer")
        store.record_attempt(key(name), "attempt-1", {"seconds": 1})
        store.write_intent(key(name), "attempt-2", {})
    size = store.size(key("one"))
    assert size == sum(path.stat().st_size for path in files(store.root) if key("one")[2:] in str(path))
    assert store.file_size(sha256) == 600
    assert (store.remove(key("one")), store.remove_file(sha256)) == (size, 600)
    assert (store.remove(key("one")), store.remove_file(sha256)) == (0, 0)
    assert (store.size(key("one")), store.file_size(sha256), store.get(key("one"))) == (0, 0, None)
    assert store.attempts(key("one")) == store.open_intents(key("one")) == {}
    assert (store.get(key("two")), len(store.attempts(key("two")))) == (b"answer", 1)
    store.publish(key("one"), b"anew")
    assert (store.get(key("one")), store.put_file(source)) == (b"anew", sha256)


def test_it_is_an_artifact_store(store: LocalArtifactStore) -> None:
    checked: ArtifactStore = store
    assert checked.get(key("x")) is None
    assert not checked.has(key("x"))


def test_publish_and_get(store: LocalArtifactStore) -> None:
    for body in (b"", b"text", bytes(range(256)) * 1000):
        fingerprint = key(hashlib.sha256(body).hexdigest())
        store.publish(fingerprint, body)
        assert store.has(fingerprint)
        assert store.get(fingerprint) == body
    assert LocalArtifactStore(store.root).get(fingerprint) == body


def test_the_first_wins(store: LocalArtifactStore) -> None:
    store.publish(key("a"), b"first")
    store.publish(key("a"), b"second")
    assert store.get(key("a")) == b"first"


def test_the_first_wins_among_racing_writers(store: LocalArtifactStore) -> None:
    barrier = threading.Barrier(8)
    seen: list[bytes | None] = []

    def write(number: int) -> None:
        barrier.wait()
        store.publish(key("a"), b"%d" % number * 1000)
        seen.append(store.get(key("a")))

    threads = [threading.Thread(target=write, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(seen) == 8
    assert len(set(seen)) == 1
    assert files(store.root, "writing") == []


@pytest.mark.parametrize("damage", ["flip", "cut", "empty", "grow"])
def test_a_damaged_artifact_is_set_aside_and_published_again(store: LocalArtifactStore, damage: str) -> None:
    store.publish(key("a"), b"the body of it")
    (path,) = files(store.root, "published")
    body = path.read_bytes()
    damaged = {"flip": body[:-1] + b"!", "cut": body[:-4], "empty": b"", "grow": body + b" "}[damage]
    path.write_bytes(damaged)
    assert store.get(key("a")) is None
    assert not store.has(key("a"))
    (aside,) = files(store.root, "damaged")
    assert aside.read_bytes() == damaged
    store.publish(key("a"), b"again")
    assert store.get(key("a")) == b"again"


def test_a_source_file_is_kept_under_its_hash(store: LocalArtifactStore, tmp_path: Path) -> None:
    source = tmp_path / "book.pdf"
    source.write_bytes(b"%PDF " * 300_000)
    sha256 = store.put_file(source)
    assert sha256 == hashlib.sha256(source.read_bytes()).hexdigest()
    assert store.file(sha256).read_bytes() == source.read_bytes()
    before = store.file(sha256).stat().st_mtime_ns
    assert store.put_file(source) == sha256
    assert store.file(sha256).stat().st_mtime_ns == before
    with pytest.raises(ArtifactMissing, match="not in the artifact store"):
        store.file("ab" * 32)


def test_attempts(store: LocalArtifactStore) -> None:
    store.record_attempt(key("a"), "wf/act/1", {"error": "RateLimited"})
    store.record_attempt(key("a"), "wf/act/2", {"seconds": 1.5})
    store.record_attempt(key("a"), "wf/act/2", {"seconds": 2.5, "raw": "ü"})
    assert store.attempts(key("a")) == {"wf/act/1": {"error": "RateLimited"}, "wf/act/2": {"seconds": 2.5, "raw": "ü"}}
    assert store.attempts(key("b")) == {}


def test_intents(store: LocalArtifactStore) -> None:
    store.write_intent(key("a"), "1", {"usd": 0.02})
    store.write_intent(key("a"), "2", {"usd": 0.03})
    store.settle_intent(key("a"), "1")
    store.settle_intent(key("a"), "1")
    store.settle_intent(key("b"), "1")
    assert LocalArtifactStore(store.root).open_intents(key("a")) == {"2": {"usd": 0.03}}


def test_cooling_only_moves_later(store: LocalArtifactStore) -> None:
    assert store.cooling("mistral") == (0.0, "")
    store.set_cooling("mistral", 100.0, "429")
    store.set_cooling("mistral", 50.0, "earlier")
    assert store.cooling("mistral") == (100.0, "429")
    store.set_cooling("mistral", 200.0, "again")
    assert LocalArtifactStore(store.root).cooling("mistral") == (200.0, "again")
    store.set_cooling("mistral", 0, "")
    store.set_cooling("mistral", 0, "")
    assert store.cooling("mistral") == (0.0, "")


def test_cooling_of_racing_workers_ends_at_the_latest(store: LocalArtifactStore) -> None:
    threads = [threading.Thread(target=store.set_cooling, args=("p", float(n), "")) for n in range(1, 21)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert store.cooling("p")[0] == 20.0


@pytest.mark.parametrize("name", ["../x", "", "a/b", ".hidden"])
def test_names_stay_in_the_store(store: LocalArtifactStore, name: str) -> None:
    with pytest.raises(ValueError):
        store.publish(name, b"")
    with pytest.raises(ValueError):
        store.set_cooling(name, 1, "")


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
