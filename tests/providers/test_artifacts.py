"""What every artifact store does: first wins, damage is seen, cooling only moves later. Run over each of them.

`shared` is the folder; `s3` our own loopback server; `versitygw` a real S3 server, where its program is on PATH.
"""

from __future__ import annotations

import hashlib
import shutil
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from providers.artifacts import ArtifactStore, Request
from providers.local_artifacts import LocalArtifactStore
from providers.s3_artifacts import S3ArtifactStore
from schemas.errors import ArtifactMissing
from tests.conftest import answers, free_port, running
from tests.s3_server import BUCKET, KEYS, S3Server, s3_server

PREFIX = "the/library"


@dataclass
class Kept:
    """A store, and what lies in it."""

    store: ArtifactStore
    reopen: Callable[[], ArtifactStore]
    """The same content, as another process sees it."""
    content: Callable[[str], dict[str, bytes]]
    """By path, of what lies under a prefix ("published")."""
    change: Callable[[str, bytes], None]


def key(name: str) -> str:
    return Request("ocr", "tesseract", "m", {}, (name,)).fingerprint


def in_folder(folder: Path) -> Kept:
    root = folder / "store"

    def content(kind: str) -> dict[str, bytes]:
        files = [path for path in (root / kind).rglob("*") if path.is_file()]
        return {str(path.relative_to(root)): path.read_bytes() for path in files}

    def change(path: str, body: bytes) -> None:
        (root / path).write_bytes(body)

    return Kept(LocalArtifactStore(root), lambda: LocalArtifactStore(root), content, change)


def in_bucket(folder: Path, endpoint: str) -> Kept:
    url = f"s3://{BUCKET}/{PREFIX}"
    numbers = iter(range(100))

    def opened() -> S3ArtifactStore:
        return S3ArtifactStore(url, folder / f"machine-{next(numbers)}", endpoint=endpoint)

    store = opened()
    s3 = store._client

    def content(kind: str) -> dict[str, bytes]:
        return {path: s3.get_object(Bucket=BUCKET, Key=f"{PREFIX}/{path}")["Body"].read() for path in store._list(kind)}

    def change(path: str, body: bytes) -> None:
        s3.put_object(Bucket=BUCKET, Key=f"{PREFIX}/{path}", Body=body)

    return Kept(store, opened, content, change)


@pytest.fixture(scope="module")
def versitygw(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A real server, as docker-compose.yml has it; its files lie in a folder."""
    program = shutil.which("versitygw")
    if program is None:
        pytest.skip("versitygw is not on PATH")
    folder = tmp_path_factory.mktemp("versitygw")
    (folder / "data" / BUCKET).mkdir(parents=True)
    port = free_port()
    command = [program, "--port", f"127.0.0.1:{port}", "--health", "/health", "posix", str(folder / "data")]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ROOT_ACCESS_KEY", KEYS["AWS_ACCESS_KEY_ID"])
        patch.setenv("ROOT_SECRET_KEY", KEYS["AWS_SECRET_ACCESS_KEY"])
        with running(command, folder / "log", lambda: answers(f"http://127.0.0.1:{port}/health")):
            yield f"http://127.0.0.1:{port}"


@pytest.fixture(scope="module")
def loopback() -> Iterator[S3Server]:
    with s3_server() as server:
        yield server
        assert server.refused == []


@pytest.fixture(params=["folder", "s3", "versitygw"])
def kept(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Kept:
    for name, value in KEYS.items():
        monkeypatch.setenv(name, value)
    if request.param == "folder":
        return in_folder(tmp_path)
    if request.param == "s3":
        server = request.getfixturevalue("loopback")
        server.objects.clear()
        return in_bucket(tmp_path, server.url)
    made = in_bucket(tmp_path, request.getfixturevalue("versitygw"))
    s3: Any = made.store
    for path in s3._list(""):
        s3._delete(path, 0)
    return made


@pytest.fixture
def store(kept: Kept) -> ArtifactStore:
    return kept.store


def test_what_is_removed_is_gone_with_the_notes_of_its_attempts(kept: Kept, tmp_path: Path) -> None:
    store, source = kept.store, tmp_path / "scan.pdf"
    source.write_bytes(b"a scan" * 100)
    sha256 = store.put_file(source)
    for name in ("one", "two"):
        store.publish(key(name), b"answer")
        for attempt in range(4):
            store.record_attempt(key(name), f"attempt-{attempt}", {"seconds": 1})
        store.write_intent(key(name), "attempt-2", {})
    size = store.size(key("one"))
    assert size == sum(len(body) for path, body in kept.content("").items() if key("one")[2:] in path)
    assert store.file_size(sha256) == 600
    assert (store.remove(key("one")), store.remove_file(sha256)) == (size, 600)
    assert (store.remove(key("one")), store.remove_file(sha256)) == (0, 0)
    assert (store.size(key("one")), store.file_size(sha256), store.get(key("one"))) == (0, 0, None)
    assert store.attempts(key("one")) == store.open_intents(key("one")) == {}
    with pytest.raises(ArtifactMissing):
        store.file(sha256)
    assert (store.get(key("two")), len(store.attempts(key("two")))) == (b"answer", 4)
    store.publish(key("one"), b"anew")
    assert (store.get(key("one")), store.put_file(source)) == (b"anew", sha256)


def test_nothing_is_there_at_first(store: ArtifactStore) -> None:
    assert store.get(key("x")) is None
    assert not store.has(key("x"))


def test_publish_and_get(kept: Kept) -> None:
    for body in (b"", b"text", bytes(range(256)) * 1000):
        fingerprint = key(hashlib.sha256(body).hexdigest())
        kept.store.publish(fingerprint, body)
        assert kept.store.has(fingerprint)
        assert kept.reopen().get(fingerprint) == body


def test_the_first_wins(kept: Kept) -> None:
    kept.store.publish(key("a"), b"first")
    kept.reopen().publish(key("a"), b"second")
    assert kept.store.get(key("a")) == b"first"


def test_the_first_wins_among_racing_writers(kept: Kept) -> None:
    barrier = threading.Barrier(8)
    seen: list[bytes | None] = []
    stores = [kept.store, kept.reopen()]

    def write(number: int) -> None:
        barrier.wait()
        stores[number % 2].publish(key("a"), b"%d" % number * 1000)
        seen.append(stores[number % 2].get(key("a")))

    at_once(write, range(8))
    assert len(seen) == 8
    assert len(set(seen)) == 1
    assert kept.content("writing") == {}


@pytest.mark.parametrize("damage", ["flip", "cut", "empty", "grow"])
def test_a_damaged_artifact_is_set_aside_and_published_again(kept: Kept, damage: str) -> None:
    store = kept.store
    store.publish(key("a"), b"the body of it")
    ((path, body),) = kept.content("published").items()
    damaged = {"flip": body[:-1] + b"!", "cut": body[:-4], "empty": b"", "grow": body + b" "}[damage]
    kept.change(path, damaged)
    assert store.get(key("a")) is None
    assert not store.has(key("a"))
    (aside,) = kept.content("damaged").values()
    assert aside == damaged
    store.publish(key("a"), b"again")
    assert store.get(key("a")) == b"again"


def test_a_source_file_is_kept_under_its_hash(kept: Kept, tmp_path: Path) -> None:
    source = tmp_path / "book.pdf"
    source.write_bytes(b"%PDF " * 300_000)
    sha256 = kept.store.put_file(source)
    assert sha256 == hashlib.sha256(source.read_bytes()).hexdigest()
    elsewhere = kept.reopen()
    for store in (kept.store, elsewhere):
        path = store.file(sha256)
        assert path.read_bytes() == source.read_bytes()
        before = path.stat().st_ino
        assert store.put_file(source) == sha256
        assert store.file(sha256).stat().st_ino == before
    with pytest.raises(ArtifactMissing, match="not in the artifact store"):
        kept.store.file("ab" * 32)


def test_attempts(store: ArtifactStore) -> None:
    store.record_attempt(key("a"), "wf/act/1", {"error": "RateLimited"})
    store.record_attempt(key("a"), "wf/act/2", {"seconds": 1.5})
    store.record_attempt(key("a"), "wf/act/2", {"seconds": 2.5, "raw": "ü"})
    assert store.attempts(key("a")) == {"wf/act/1": {"error": "RateLimited"}, "wf/act/2": {"seconds": 2.5, "raw": "ü"}}
    assert store.attempts(key("b")) == {}


def test_intents(kept: Kept) -> None:
    store = kept.store
    store.write_intent(key("a"), "1", {"usd": 0.02})
    store.write_intent(key("a"), "2", {"usd": 0.03})
    store.settle_intent(key("a"), "1")
    store.settle_intent(key("a"), "1")
    store.settle_intent(key("b"), "1")
    assert kept.reopen().open_intents(key("a")) == {"2": {"usd": 0.03}}


def test_damaged_notes_hide_no_others(kept: Kept) -> None:
    for attempt in ("1", "2"):
        kept.store.record_attempt(key("a"), attempt, {})
    path = next(iter(kept.content("attempts")))
    kept.change(path, b"{half")
    assert len(kept.store.attempts(key("a"))) == 1
    kept.store.set_cooling("mistral", 100.0, "429")
    kept.change("cooling/mistral.json", b"{half")
    assert kept.store.cooling("mistral") == (0.0, "")
    kept.store.set_cooling("mistral", 100.0, "429")
    assert kept.store.cooling("mistral") == (100.0, "429")


def test_cooling_only_moves_later(kept: Kept) -> None:
    store = kept.store
    assert store.cooling("mistral") == (0.0, "")
    store.set_cooling("mistral", 100.0, "429")
    store.set_cooling("mistral", 50.0, "earlier")
    assert store.cooling("mistral") == (100.0, "429")
    store.set_cooling("mistral", 200.0, "again")
    assert kept.reopen().cooling("mistral") == (200.0, "again")
    store.set_cooling("mistral", 0, "")
    store.set_cooling("mistral", 0, "")
    assert store.cooling("mistral") == (0.0, "")


def test_cooling_of_racing_workers_ends_at_the_latest(kept: Kept) -> None:
    stores = [kept.store, kept.reopen()]
    at_once(lambda number: stores[number % 2].set_cooling("p", float(number), ""), range(1, 21))
    assert kept.store.cooling("p")[0] == 20.0


@pytest.mark.parametrize("name", ["../x", "", "a/b", ".hidden"])
def test_names_stay_in_the_store(store: ArtifactStore, name: str) -> None:
    with pytest.raises(ValueError):
        store.publish(name, b"")
    with pytest.raises(ValueError):
        store.set_cooling(name, 1, "")


def test_a_folder_copied_into_a_bucket_is_the_same_store(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, loopback: S3Server
) -> None:
    for name, value in KEYS.items():
        monkeypatch.setenv(name, value)
    folder = in_folder(tmp_path)
    source = tmp_path / "scan.pdf"
    source.write_bytes(b"a scan")
    sha256 = folder.store.put_file(source)
    folder.store.publish(key("a"), b"answer")
    folder.store.record_attempt(key("a"), "1", {"raw": "ü"})
    folder.store.set_cooling("p", 5.0, "429")
    loopback.objects.clear()
    bucket = in_bucket(tmp_path, loopback.url)
    for path, body in folder.content("").items():
        bucket.change(path, body)
    assert bucket.store.file(sha256).read_bytes() == b"a scan"
    assert bucket.store.get(key("a")) == b"answer"
    assert bucket.store.attempts(key("a")) == {"1": {"raw": "ü"}}
    assert bucket.store.cooling("p") == (5.0, "429")


def at_once(act: Callable[[int], None], numbers: range) -> None:
    """Each number in a thread; what one raises is raised here."""
    failures: list[BaseException] = []

    def run(number: int) -> None:
        try:
            act(number)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=run, args=(number,)) for number in numbers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for failure in failures:
        raise failure
