"""The artifact store in a bucket while requests fail: an outage is an outage, never a missing result; nothing is paid for twice.

What it does without faults: test_artifacts.py.
"""

from __future__ import annotations

import errno
import logging
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from cli.doctor import examine
from providers import artifact_stores, s3_artifacts
from providers.artifacts import Request
from providers.local_artifacts import LocalArtifactStore
from providers.s3_artifacts import S3ArtifactStore
from providers.settings import load_settings
from schemas.errors import ArtifactMissing, BadInput, BadSource, DiskFull, ShelfError, StoreUnavailable
from schemas.http import LOOPBACK_ONLY
from tests.providers.test_artifacts import at_once
from tests.s3_server import BUCKET, KEYS, Fault, S3Server, s3_server

ROOT = Path(__file__).parents[2]
URL = f"s3://{BUCKET}/library"
FINGERPRINT = Request("ocr", "mistral", "m", {}, ("a",)).fingerprint
PUBLISHED = f"library/published/{FINGERPRINT[:2]}/{FINGERPRINT[2:]}"


@pytest.fixture(scope="module")
def one_server() -> Iterator[S3Server]:
    with s3_server() as server:
        yield server


@pytest.fixture
def server(one_server: S3Server, monkeypatch: pytest.MonkeyPatch) -> S3Server:
    """Empty and without faults; retries do not wait."""
    from botocore.retries.standard import ExponentialBackoff

    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    for name, value in KEYS.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv(LOOPBACK_ONLY, "1")
    monkeypatch.setattr(ExponentialBackoff, "delay_amount", lambda *arguments: 0)
    monkeypatch.setattr(s3_artifacts, "READ_PAUSE_SECONDS", 0)
    one_server.objects.clear()
    one_server.faults.clear()
    one_server.requests.clear()
    one_server.conditional = one_server.versions = True
    return one_server


@pytest.fixture
def store(server: S3Server, tmp_path: Path) -> S3ArtifactStore:
    return S3ArtifactStore(URL, tmp_path / "copies", endpoint=server.url)


def book_of(folder: Path, size: int = 3_000_000) -> Path:
    path = folder / f"book-{size}.pdf"
    path.write_bytes(b"%PDF-" + bytes(range(256)) * (size // 256))
    return path


def everything(store: S3ArtifactStore, book: Path) -> dict[str, Callable[[], object]]:
    """Every method that asks the server."""
    return {
        "publish": lambda: store.publish(FINGERPRINT, b"x"),
        "get": lambda: store.get(FINGERPRINT),
        "has": lambda: store.has(FINGERPRINT),
        "size": lambda: store.size(FINGERPRINT),
        "remove": lambda: store.remove(FINGERPRINT),
        "put_file": lambda: store.put_file(book),
        "file": lambda: store.file("ab" * 32),
        "file_size": lambda: store.file_size("ab" * 32),
        "remove_file": lambda: store.remove_file("ab" * 32),
        "record_attempt": lambda: store.record_attempt(FINGERPRINT, "1", {}),
        "attempts": lambda: store.attempts(FINGERPRINT),
        "write_intent": lambda: store.write_intent(FINGERPRINT, "1", {}),
        "settle_intent": lambda: store.settle_intent(FINGERPRINT, "1"),
        "open_intents": lambda: store.open_intents(FINGERPRINT),
        "set_cooling": lambda: store.set_cooling("p", 5.0, ""),
        "cooling": lambda: store.cooling("p"),
        "check": store.check,
    }


@pytest.mark.parametrize("kind", ["503 SlowDown", "500 InternalError", "429 TooManyRequests", "drop", "lost"])
def test_a_failure_that_passes_is_not_seen(server: S3Server, store: S3ArtifactStore, kind: str, tmp_path: Path) -> None:
    for method in ("PUT", "GET", "HEAD", "LIST", "DELETE"):
        server.faults.append(Fault(kind, method, times=2))
    store.publish(FINGERPRINT, b"paid for")
    assert store.get(FINGERPRINT) == b"paid for"
    store.write_intent(FINGERPRINT, "1", {"usd": 1})
    assert store.open_intents(FINGERPRINT) == {"1": {"usd": 1}}
    store.settle_intent(FINGERPRINT, "1")
    assert store.open_intents(FINGERPRINT) == {}
    server.faults.append(Fault(kind, "PUT", "cooling", times=1))
    store.set_cooling("p", 50.0, "429")
    assert store.cooling("p") == (50.0, "429")
    assert store.file(store.put_file(book_of(tmp_path))).stat().st_size > 0
    assert server.refused == []


@pytest.mark.parametrize("kind", ["503 SlowDown", "500 InternalError", "drop"])
def test_an_outage_is_said_and_never_taken_for_absence(
    server: S3Server, store: S3ArtifactStore, kind: str, tmp_path: Path
) -> None:
    server.faults.append(Fault(kind))
    for name, call in everything(store, book_of(tmp_path)).items():
        with pytest.raises(StoreUnavailable) as caught:
            call()
        assert caught.value.retryable, name
        assert URL in str(caught.value), name
    assert server.objects == {}


def test_nobody_listens(store: S3ArtifactStore, tmp_path: Path) -> None:
    away = S3ArtifactStore(URL, tmp_path / "other", endpoint="http://127.0.0.1:9")
    with pytest.raises(StoreUnavailable, match="does not answer"):
        away.get(FINGERPRINT)


def test_a_result_that_an_outage_held_back_is_published_after_it(
    server: S3Server, store: S3ArtifactStore, tmp_path: Path
) -> None:
    server.faults.append(Fault("drop"))
    with pytest.raises(StoreUnavailable):
        store.publish(FINGERPRINT, b"paid for")
    with pytest.raises(StoreUnavailable):
        store.get(FINGERPRINT)
    server.faults.clear()
    again = S3ArtifactStore(URL, tmp_path / "copies", endpoint=server.url)  # the worker was killed meanwhile
    assert again.get("cd" * 32) is None
    assert S3ArtifactStore(URL, tmp_path / "elsewhere", endpoint=server.url).get(FINGERPRINT) == b"paid for"
    assert store.get(FINGERPRINT) == b"paid for"
    assert list((tmp_path / "copies" / "unsent").iterdir()) == []


def test_what_was_held_back_comes_second_if_another_was_quicker(
    server: S3Server, store: S3ArtifactStore, tmp_path: Path
) -> None:
    server.faults.append(Fault("503 SlowDown", "PUT"))
    with pytest.raises(StoreUnavailable):
        store.publish(FINGERPRINT, b"late")
    server.faults.clear()
    S3ArtifactStore(URL, tmp_path / "elsewhere", endpoint=server.url).publish(FINGERPRINT, b"quicker")
    assert store.get(FINGERPRINT) == b"quicker"


@pytest.mark.parametrize("kind", ["half", "flip"])
def test_a_body_that_arrives_damaged_is_asked_for_again(
    server: S3Server, store: S3ArtifactStore, kind: str, tmp_path: Path
) -> None:
    store.publish(FINGERPRINT, b"the body of it")
    sha256 = store.put_file(book_of(tmp_path))
    elsewhere = S3ArtifactStore(URL, tmp_path / "elsewhere", endpoint=server.url)
    server.faults += [Fault(kind, "GET", "published", times=1), Fault(kind, "GET", "sources", times=1)]
    assert elsewhere.get(FINGERPRINT) == b"the body of it"
    assert elsewhere.file(sha256).read_bytes() == book_of(tmp_path).read_bytes()
    assert server.faults == [Fault(kind, "GET", "published", 0), Fault(kind, "GET", "sources", 0)]
    assert not [key for key in server.objects if "damaged" in key]


def test_half_a_body_each_time_is_an_outage(server: S3Server, store: S3ArtifactStore, tmp_path: Path) -> None:
    store.publish(FINGERPRINT, b"the body of it")
    sha256 = store.put_file(book_of(tmp_path))
    before = dict(server.objects)
    elsewhere = S3ArtifactStore(URL, tmp_path / "elsewhere", endpoint=server.url)
    server.faults.append(Fault("half", "GET"))
    for call in (lambda: elsewhere.get(FINGERPRINT), lambda: elsewhere.file(sha256)):
        with pytest.raises(StoreUnavailable):
            call()
    assert server.objects == before
    assert [path for path in (tmp_path / "elsewhere").rglob("*") if path.is_file() and path.suffix != ".lock"] == []


def test_a_damaged_source_is_said_and_kept_anew(server: S3Server, store: S3ArtifactStore, tmp_path: Path) -> None:
    book = book_of(tmp_path)
    sha256 = store.put_file(book)
    key = f"library/sources/{sha256[:2]}/{sha256[2:]}"
    server.objects[key] = server.objects[key][:-1] + b"!"
    elsewhere = S3ArtifactStore(URL, tmp_path / "elsewhere", endpoint=server.url)
    with pytest.raises(ArtifactMissing, match="is damaged in the artifact store"):
        elsewhere.file(sha256)
    assert [body[-1:] for name, body in server.objects.items() if name.startswith("library/damaged/")] == [b"!"]
    assert elsewhere.put_file(book) == sha256
    assert elsewhere.file(sha256).read_bytes() == book.read_bytes()


def test_a_damaged_result_gives_way_only_as_it_was_read(server: S3Server, store: S3ArtifactStore) -> None:
    """Between the read and the removal another worker may have put a good one there."""
    store.publish(FINGERPRINT, b"the body of it")
    good = server.objects[PUBLISHED]
    server.objects[PUBLISHED] = b"shelf1 damaged"
    ask = store._ask

    def meanwhile(operation: str, **arguments: Any) -> Any:
        if operation == "copy_object":
            server.objects[PUBLISHED] = good
        return ask(operation, **arguments)

    store._ask = meanwhile  # type: ignore[method-assign]
    assert store.get(FINGERPRINT) is None
    assert store.get(FINGERPRINT) == b"the body of it"


def test_objects_without_a_version(server: S3Server, store: S3ArtifactStore) -> None:
    """Copied into a server's folder, past the server: what they are can be read, and only whether they stay so is not known."""
    server.versions = False
    store.publish(FINGERPRINT, b"the body of it")
    store.set_cooling("p", 5.0, "429")
    store.set_cooling("p", 9.0, "429")
    assert (store.get(FINGERPRINT), store.cooling("p")) == (b"the body of it", (9.0, "429"))
    server.objects[PUBLISHED] = b"damaged"
    assert store.get(FINGERPRINT) is None
    assert not store.has(FINGERPRINT)


@pytest.mark.parametrize(("kind", "said"), [
    ("403 AccessDenied", "refuses"),
    ("403 SignatureDoesNotMatch", "refuses"),
    ("404 NoSuchBucket", "refuses"),
    ("507 InsufficientStorage", "No room left"),
    ("400 QuotaExceeded", "No room left"),
])  # fmt: skip
def test_a_refusal_waits_for_people(
    server: S3Server, store: S3ArtifactStore, kind: str, said: str, tmp_path: Path
) -> None:
    """As a full disk: the job pauses, with what to do."""
    room = said == "No room left"
    server.faults.append(Fault(kind, "PUT" if room else ""))
    calls = everything(store, book_of(tmp_path))
    reads = () if room else ("get", "file", "attempts", "cooling")
    for name in ("publish", "put_file", "record_attempt", "write_intent", "set_cooling", *reads):
        with pytest.raises(DiskFull, match=said) as caught:
            calls[name]()
        assert caught.value.next_step
        assert not any(secret in str(caught.value) for secret in KEYS.values())


def test_a_full_disk_under_the_copies(
    server: S3Server, store: S3ArtifactStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sha256 = store.put_file(book_of(tmp_path))
    elsewhere = S3ArtifactStore(URL, tmp_path / "elsewhere", endpoint=server.url)

    def full(*arguments: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(DiskFull, match="No room left for a copy"):
            elsewhere.file(sha256)
        with pytest.raises(DiskFull, match="No room left for a copy"):
            elsewhere.put_file(book_of(tmp_path, 5000))
    assert elsewhere.file(sha256).stat().st_size > 0
    assert elsewhere.put_file(book_of(tmp_path, 5000))


def test_a_source_is_fetched_once_for_all_threads(server: S3Server, store: S3ArtifactStore, tmp_path: Path) -> None:
    sha256 = store.put_file(book_of(tmp_path))
    stores = [S3ArtifactStore(URL, tmp_path / "elsewhere", endpoint=server.url) for _ in range(2)]
    paths: list[Path] = []
    at_once(lambda number: paths.append(stores[number % 2].file(sha256)), range(8))
    assert len(paths) == 8
    assert len(set(paths)) == 1
    assert server.counts()["GET"] == 1
    assert paths[0].stat().st_mode & 0o777 == 0o444


def test_copies_that_are_not_in_use_make_room(server: S3Server, store: S3ArtifactStore, tmp_path: Path) -> None:
    sizes = (30_000, 40_000, 50_000)
    old, older, fresh = (store.put_file(book_of(tmp_path, size)) for size in sizes)
    small = S3ArtifactStore(URL, tmp_path / "elsewhere", endpoint=server.url, copies_bytes=85_000)
    for sha256, age in ((old, 2), (older, 3)):
        os.utime(small.file(sha256), (time.time() - age * s3_artifacts.IN_USE_SECONDS,) * 2)
    open_file = small._copy_of(older).open("rb")
    small.file(fresh)
    assert (small._copy_of(old).exists(), small._copy_of(older).exists()) == (True, False)
    with open_file:
        assert len(open_file.read()) > 39_000, "who has it open keeps it"
    before = server.counts()["GET"]
    small.file(older)
    assert server.counts()["GET"] == before + 1
    assert not small._copy_of(old).exists()
    assert small._copy_of(fresh).exists(), "what was just asked for stays, whatever it takes"
    assert small.file(fresh).exists()
    assert server.counts()["GET"] == before + 1


def test_a_file_that_is_too_large_for_one_request(
    store: S3ArtifactStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(s3_artifacts, "OBJECT_BYTES", 1000)
    with pytest.raises(BadSource, match="takes 5 GiB a file"):
        store.put_file(book_of(tmp_path))


def test_the_check_of_the_doctor(server: S3Server, store: S3ArtifactStore, tmp_path: Path) -> None:
    store.check()
    assert server.objects == {}
    settings = load_settings(home=tmp_path / "home", artifacts_url=URL, artifacts_endpoint=server.url)

    def found() -> dict[str, tuple[str, str]]:
        return {each.part: (each.state, each.message) for each in examine(settings)}

    assert found()["artifacts"] == ("ok", f"{URL} at {server.url} takes conditional writes")
    assert found()["copies of sources"][0] == "ok"
    server.conditional = False
    with pytest.raises(BadInput, match="ignores If-None-Match"):
        store.check()
    state, message = found()["artifacts"]
    assert state == "problem"
    assert "If-None-Match" in message
    assert server.objects == {}


def test_which_store_the_settings_open(server: S3Server, tmp_path: Path) -> None:
    folder = load_settings(home=tmp_path)
    assert not artifact_stores.may_hold(folder)
    assert isinstance(artifact_stores.open_store(folder), LocalArtifactStore)
    assert artifact_stores.may_hold(folder)
    bucket = load_settings(home=tmp_path, artifacts_url=URL, artifacts_endpoint=server.url)
    opened = artifact_stores.open_store(bucket)
    assert (type(opened), str(opened)) == (S3ArtifactStore, URL)
    opened.publish(FINGERPRINT, b"x")
    assert list(server.objects) == [PUBLISHED]


@pytest.mark.parametrize(("name", "value"), [
    ("artifacts_url", "http://host/bucket"),
    ("artifacts_url", "s3://key:secret-in-it@bucket/x"),
    ("artifacts_url", "s3:///x"),
    ("artifacts_endpoint", "127.0.0.1:9000"),
    ("artifacts_endpoint", "https://key:secret-in-it@host"),
    ("artifacts_copies_bytes", -1),
])  # fmt: skip
def test_addresses_that_are_none(name: str, value: Any) -> None:
    with pytest.raises(BadInput, match=name) as caught:
        load_settings(**{name: value})
    assert "secret" not in str(caught.value)


def test_nothing_but_loopback_in_tests(server: S3Server, tmp_path: Path) -> None:
    for endpoint in (None, "https://s3.example.org", "http://192.168.1.2:9000"):
        with pytest.raises(BadInput, match="only loopback"):
            S3ArtifactStore(URL, tmp_path, endpoint=endpoint)


def test_keys_come_from_the_environment(server: S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def opened() -> S3ArtifactStore:
        return S3ArtifactStore(URL, tmp_path / "copies", endpoint=server.url)

    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    with pytest.raises(BadInput, match="AWS_SECRET_ACCESS_KEY"):
        opened()
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    home = tmp_path / "home" / ".aws"
    home.mkdir(parents=True)
    monkeypatch.setenv("HOME", str(home.parent))
    lines = "\n".join(f"{name.lower()} = {value}" for name, value in KEYS.items())
    (home / "credentials").write_text(f"[default]\n{lines}\n")
    with pytest.raises(BadInput, match="no keys"):
        opened()  # those of the home folder are for something else
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(home / "credentials"))
    opened().publish(FINGERPRINT, b"x")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(home / "nowhere"))
    with pytest.raises(BadInput, match="no keys"):
        opened()


def test_keys_of_the_store_alone(server: S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beside those of another service of Amazon's, which the same variables hold."""
    lines = "\n".join(f"{name.lower()} = {value}" for name, value in KEYS.items())
    (tmp_path / "keys").write_text(f"[default]\n{lines}\n")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "of-textract")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "of-textract-too")
    chosen = {"artifacts_url": URL, "artifacts_endpoint": server.url}
    store = artifact_stores.open_store(load_settings(home=tmp_path, artifacts_credentials=tmp_path / "keys", **chosen))
    store.publish(FINGERPRINT, b"x")
    for name in KEYS:
        monkeypatch.delenv(name)
    store = artifact_stores.open_store(load_settings(home=tmp_path, artifacts_credentials=tmp_path / "keys", **chosen))
    assert store.get(FINGERPRINT) == b"x"
    assert server.refused == []
    for content in ("", "[default]\n", "[other]\n"):
        (tmp_path / "none").write_text(content)
        with pytest.raises(BadInput, match="no keys"):
            artifact_stores.open_store(load_settings(home=tmp_path, artifacts_credentials=tmp_path / "none", **chosen))


def test_a_wrong_key_is_said_and_shown_nowhere(
    server: S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "wrong-key-id")
    store = S3ArtifactStore(URL, tmp_path / "copies", endpoint=server.url)
    with caplog.at_level(logging.INFO), pytest.raises(ShelfError, match="InvalidAccessKeyId") as caught:
        store.get(FINGERPRINT)
    server.refused.clear()
    for secret in ("wrong-key-id", KEYS["AWS_SECRET_ACCESS_KEY"]):
        assert secret not in f"{caught.value!r} {caught.value} {store!r} {caplog.text}"


def test_commands_do_without_the_library_until_it_is_needed() -> None:
    code = "import sys, worker, cli.main, providers.artifact_stores, providers.s3_artifacts; print('botocore' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
