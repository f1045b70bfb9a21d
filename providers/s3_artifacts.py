"""The artifact store in an object store that speaks S3: for workers on several machines.

Needed of the server: conditional writes (`If-None-Match: *`, `If-Match`), listing that sees what was just written, and
`CopyObject`. `S3ArtifactStore.check` tries them; docs/scaling.md says which servers have them.

Names below the prefix are those of a folder (`providers/artifacts.py`), so that the one can be copied into the other. Source
files are opened by engines as local files: each is fetched once per machine, verified, and kept as long as there is room:

    copies/sources/ab/cdef…         source files, as in the store; the longest unused go first
    copies/unsent/<fingerprint>     results whose publishing met an outage: sent before anything else is asked
    copies/writing/                 temporary files, and the locks under which files are fetched
"""

from __future__ import annotations

import configparser
import contextlib
import errno
import fcntl
import functools
import hashlib
import os
import random
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, TypeVar
from urllib.parse import urlsplit

from providers.artifacts import (
    cooling_path,
    path_of,
    read_cooling,
    read_record,
    record_path,
    safe_name,
    seal,
    unseal,
    write_cooling,
    write_record,
)
from schemas.errors import ArtifactMissing, BadInput, BadSource, DiskFull, ShelfError, StoreUnavailable
from schemas.http import LOOPBACK_ONLY, is_loopback

if TYPE_CHECKING:
    from botocore.client import BaseClient

Answer = TypeVar("Answer")

ATTEMPTS = 4
"""Of one request, by botocore's standard mode: pauses of up to 1, 2 and 4 s, fewer while much fails. A longer outage is for
Temporal's retries, which are seen in its UI."""
CONNECT_SECONDS = 5.0
READ_SECONDS = 60.0
"""Between two pieces of an answer, and until the server has stored what it was sent."""
CONNECTIONS = 32
READS = 3
"""Of a body whose transfer breaks off, which botocore does not repeat."""
READ_PAUSE_SECONDS = 0.5
"""At most before the second read; twice that before the third."""
DOUBTS = 2
"""Reads of a body with a wrong hash before the object, and not the way to here, is taken for damaged."""
RACES = 30
"""Conditional writes of one note: each that loses means that another one won."""
OBJECT_BYTES = 5 * 1024**3
"""The largest object that S3 takes in one request."""
BLOCK_BYTES = 1 << 20

IN_USE_SECONDS = 3600.0
"""No local copy is removed so soon after it was asked for: the longest activity takes half of it, then the file is open."""

DISK_FULL = {errno.ENOSPC, errno.EDQUOT}
NOT_WRITABLE = {errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EEXIST}

ABSENT = {"404", "NoSuchKey", "NotFound"}
LOST_RACE = {"412", "PreconditionFailed", "409", "ConditionalRequestConflict", "OperationAborted"}
NO_ROOM = {"507", "InsufficientStorage", "QuotaExceeded", "XMinioStorageFull", "XMinioAdminBucketQuotaExceeded"}

CREDENTIALS = (
    "AWS_ACCESS_KEY_ID",
    "AWS_SHARED_CREDENTIALS_FILE",
    "AWS_PROFILE",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
)
"""Any of them in the environment says where the keys are. A file in the home folder alone does not: keys that somebody keeps
for something else must not be used unasked."""


class _Absent(Exception):
    """There is no such object."""


class _LostRace(Exception):
    """The condition of a write does not hold (any more)."""


class S3ArtifactStore:
    """`ArtifactStore` in a bucket. Safe for any number of threads, processes and machines.

    Args:
        url: "s3://bucket/prefix".
        copies: folder for local copies of source files; several processes may share it.
        endpoint: scheme, host and port of a server that is not Amazon's.
        region: default: what the environment says, else us-east-1.
        credentials: a file with keys for this store alone; the environment may hold others, for Textract.
        copies_bytes: room for copies; what is in use may exceed it.

    Raises:
        BadInput: the address is none, there are no keys in the environment, or only loopback is allowed here.
    """

    def __init__(
        self,
        url: str,
        copies: Path,
        *,
        endpoint: str | None = None,
        region: str | None = None,
        credentials: Path | None = None,
        copies_bytes: int = 20_000_000_000,
    ) -> None:
        self.url = url.rstrip("/")
        self.bucket, prefix = parse_url(url)
        self._prefix = f"{prefix}/" if prefix else ""
        self._client: Any = _client(self.url, endpoint, region, credentials)
        self._copies = copies
        self._copies_bytes = copies_bytes
        self._sending = threading.Lock()
        folder = copies / "unsent"
        self._unsent = set(os.listdir(folder)) if folder.is_dir() else set()

    def __str__(self) -> str:
        return self.url

    # Sources

    def put_file(self, path: Path) -> str:
        """Keep a source file under the SHA-256 of its bytes (hex), which is returned.

        What is sent is a copy, whose hash is the name: a file that changes meanwhile cannot be kept under a wrong one.
        Raises DiskFull, StoreUnavailable, BadSource (over 5 GiB); FileNotFoundError if `path` is not there.
        """
        with path.open("rb") as source:
            sha256 = hashlib.file_digest(source, "sha256").hexdigest()
            size = os.fstat(source.fileno()).st_size
            if size > OBJECT_BYTES:
                raise BadSource(
                    f"{path} has {size / 1024**3:.1f} GiB; {self} takes 5 GiB a file.",
                    "Split it into several files, which may be one book, or keep the artifacts in a folder.",
                )
            if size and self.file_size(sha256) == size:
                return sha256
            source.seek(0)
            self._evict(self._copies_bytes - size)
            with self._disk(), self._temporary() as (temporary, copy):
                copied = hashlib.sha256()
                while block := source.read(BLOCK_BYTES):
                    copied.update(block)
                    copy.write(block)
                sha256 = copied.hexdigest()
                self._place(temporary, copy, self._copy_of(sha256))
        with self._copy_of(sha256).open("rb") as copy:
            self._call("put_object", path_of("sources", sha256), Body=copy)
        return sha256

    def file(self, sha256: str) -> Path:
        """A local copy of a kept file, to open soon and never to write: an hour after it was last asked for it may go.

        Fetched and its hash verified where there is none. Raises ArtifactMissing, StoreUnavailable, DiskFull.
        """
        copy = self._copy_of(sha256)
        if not _used(copy):
            with self._disk(), self._fetching(sha256):
                if not _used(copy):
                    self._fetch(sha256, copy)
        return copy

    def _fetch(self, sha256: str, copy: Path) -> None:
        key = path_of("sources", sha256)

        def fetch() -> str | None:
            """None once the file is there; the version of an object whose bytes are not those of its name."""
            answer = self._call("get_object", key)
            self._evict(self._copies_bytes - int(answer["ContentLength"]))
            with self._temporary() as (temporary, file):
                fetched = hashlib.sha256()
                for block in answer["Body"].iter_chunks(BLOCK_BYTES):
                    fetched.update(block)
                    file.write(block)
                if fetched.hexdigest() != sha256:
                    return _version(answer)
                self._place(temporary, file, copy)
            return None

        damaged: str | None = None
        with contextlib.suppress(_Absent):
            for _ in range(DOUBTS):
                damaged = self._whole(fetch)
                if damaged is None:
                    return
        if damaged is not None:
            self._set_aside(key, f"{sha256}-{time.time_ns()}", damaged)
        said = "not" if damaged is None else "damaged"
        raise ArtifactMissing(
            f"The source file {sha256[:12]}… is {said} in the artifact store ({self}).",
            "Process the book again from its original file: it is kept anew, and nothing is read twice.",
        )

    def file_size(self, sha256: str) -> int:
        """Bytes of a kept file; 0 where it is not there."""
        return self._size(path_of("sources", sha256))

    def remove_file(self, sha256: str) -> int:
        """Forget a source file, and its copy here; returns the bytes. What is not there is no error."""
        self._copy_of(sha256).unlink(missing_ok=True)
        return self._delete(path_of("sources", sha256), self.file_size(sha256))

    # Published results

    def publish(self, fingerprint: str, body: bytes) -> None:
        """Publish a checked result; the first one wins, a later one is dropped.

        Where the store does not answer, the result is kept here: it goes out with the next request of any process on
        this folder, so that the call, which may have been paid for, is not made again. Raises StoreUnavailable all the
        same (it is not published yet), DiskFull.
        """
        path_of("published", fingerprint)
        self._send_unsent()
        try:
            self._publish(fingerprint, seal(body))
        except ShelfError:
            self._keep_unsent(fingerprint, seal(body))
            raise

    def _publish(self, fingerprint: str, content: bytes) -> None:
        # Lost also where our own first request was carried out and its answer did not arrive.
        with contextlib.suppress(_LostRace):
            self._call("put_object", path_of("published", fingerprint), Body=content, IfNoneMatch="*")

    def get(self, fingerprint: str) -> bytes | None:
        """The published body, its hash verified; None if there is none. A damaged one is set aside and is None."""
        key = path_of("published", fingerprint)
        self._send_unsent()
        version = ""
        for _ in range(DOUBTS):
            found = self._read(key)
            if found is None:
                return None
            content, version = found
            if (body := unseal(content)) is not None:
                return body
        self._set_aside(key, f"{fingerprint}-{time.time_ns()}", version)
        return None

    def has(self, fingerprint: str) -> bool:
        """Whether something is published there; damage is seen by `get` only."""
        self._send_unsent()
        try:
            self._call("head_object", path_of("published", fingerprint))
        except _Absent:
            return False
        return True

    def size(self, fingerprint: str) -> int:
        """Bytes that are kept under the fingerprint: the result and the notes of its attempts; 0 for nothing."""
        return sum(self._all_of(fingerprint).values())

    def remove(self, fingerprint: str) -> int:
        """Forget the result and the notes of its attempts; returns the bytes. What is not there is no error."""
        return sum(self._delete(key, size) for key, size in self._all_of(fingerprint).items())

    def _all_of(self, fingerprint: str) -> dict[str, int]:
        """Key -> bytes of all that is kept under a fingerprint."""
        published = path_of("published", fingerprint)
        found = {published: size} if (size := self._size(published)) else {}
        for kind in ("attempts", "intents"):
            found |= self._list(f"{path_of(kind, fingerprint)}/")
        return found

    def _set_aside(self, key: str, name: str, version: str) -> None:
        """Move a damaged object out of the way, so that the work can be done and kept again.

        `version` names the one that was read: what another worker has put there meanwhile stays (on a server that
        does not know conditional deletes, only what came between these two requests is lost, and made again)."""
        with contextlib.suppress(_Absent, _LostRace):
            source = {"Bucket": self.bucket, "Key": self._prefix + key}
            self._call("copy_object", f"damaged/{name}", CopySource=source, **_only("CopySourceIfMatch", version))
            self._call("delete_object", key, **_only("IfMatch", version))

    # Attempts and intents

    def record_attempt(self, fingerprint: str, attempt_id: str, record: dict[str, Any]) -> None:
        """Keep what is known of one attempt. A repeat overwrites. Bytes in the record are kept as base64 text."""
        self._call(
            "put_object", record_path("attempts", fingerprint, attempt_id), Body=write_record(attempt_id, record)
        )

    def attempts(self, fingerprint: str) -> dict[str, dict[str, Any]]:
        """attempt id -> record, of all attempts."""
        return self._records("attempts", fingerprint)

    def write_intent(self, fingerprint: str, attempt_id: str, record: dict[str, Any]) -> None:
        """Stored before this returns: the call that follows may be charged."""
        self._call("put_object", record_path("intents", fingerprint, attempt_id), Body=write_record(attempt_id, record))

    def settle_intent(self, fingerprint: str, attempt_id: str) -> None:
        """The outcome of the call is known: forget the intent."""
        self._delete(record_path("intents", fingerprint, attempt_id), 0)

    def open_intents(self, fingerprint: str) -> dict[str, dict[str, Any]]:
        """Intents without an outcome: the call may have been charged."""
        return self._records("intents", fingerprint)

    def _records(self, kind: str, fingerprint: str) -> dict[str, dict[str, Any]]:
        records: dict[str, dict[str, Any]] = {}
        for key in sorted(self._list(f"{path_of(kind, fingerprint)}/")):
            # Settled by another process meanwhile, or damaged: neither hides the others.
            if (found := self._read(key)) and (note := read_record(found[0])):
                records[note[0]] = note[1]
        return records

    # Cooling

    def set_cooling(self, provider: str, until: float, reason: str) -> None:
        """No call of this provider before `until` (Unix seconds); only ever moved later, or cleared with 0."""
        key = cooling_path(provider)
        if until <= 0:
            self._delete(key, 0)
            return
        for race in range(RACES):
            found = self._read(key)
            if found and read_cooling(found[0])[0] >= until:
                return
            condition = _only("IfMatch", found[1]) if found else {"IfNoneMatch": "*"}
            try:
                self._call("put_object", key, Body=write_cooling(until, reason), **condition)
                return
            except (_LostRace, _Absent):
                time.sleep(random.uniform(0, 0.02 * min(race + 1, 10)))  # noqa: S311
        raise StoreUnavailable(f"{self}: {RACES} writers in a row were quicker to note how long {provider} cools down.")

    def cooling(self, provider: str) -> tuple[float, str]:
        """(until, reason); (0.0, '') if not cooling. An unreadable note counts as none."""
        found = self._read(cooling_path(provider))
        return read_cooling(found[0] if found else None)

    # For people

    def check(self) -> None:
        """Try what this store needs of a server, with an object of its own.

        Raises BadInput for a server that ignores conditions, DiskFull where the keys do not suffice, StoreUnavailable."""
        key = f"writing/check-{random.randbytes(8).hex()}"  # noqa: S311
        try:
            self._call("put_object", key, Body=b"a", IfNoneMatch="*")
            for condition in ({"IfNoneMatch": "*"}, {"IfMatch": f'"{"0" * 32}"'}):
                try:
                    self._call("put_object", key, Body=b"b", **condition)
                except _LostRace:
                    continue
                header = "If-None-Match" if "IfNoneMatch" in condition else "If-Match"
                raise BadInput(
                    f"The server of {self} ignores {header}: two workers could overwrite each other's results.",
                    "Use a server with conditional writes (docs/scaling.md names some), or a shared folder.",
                )
            found = self._read(key)
            if found is None or found[0] != b"a" or key not in self._list(key):
                raise StoreUnavailable(
                    f"{self} does not give back what was just written.", "See the server's own logs."
                )
        finally:
            with contextlib.suppress(ShelfError):
                self._delete(key, 0)

    # Requests

    def _call(self, operation: str, key: str, **arguments: Any) -> Any:
        """One request about one object. Raises _Absent, _LostRace, DiskFull, StoreUnavailable."""
        return self._ask(operation, Key=self._prefix + key, **arguments)

    def _ask(self, operation: str, **arguments: Any) -> Any:
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            return getattr(self._client, operation)(Bucket=self.bucket, **arguments)
        except ClientError as error:
            raise self._said(error.response, operation) from None
        except BotoCoreError as error:
            raise self._silent(error) from None

    def _said(self, answer: Mapping[str, Any], operation: str) -> Exception:
        """What a server's refusal means."""
        status = int(answer.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
        code = str(answer.get("Error", {}).get("Code", status))
        if code in ABSENT:
            return _Absent()
        if code in LOST_RACE:
            return _LostRace()
        if code in NO_ROOM or status == 507:
            return DiskFull(
                f"No room left in {self}: {code}.",
                "Make room there; a job that paused for it goes on with `shelf resume`.",
            )
        if status >= 500 or status == 429 or status == 408 or code in ("SlowDown", "RequestTimeout"):
            return StoreUnavailable(f"The artifact store {self} is in trouble: {code} (status {status}).")
        action = operation.partition("_")[0]
        return DiskFull(
            f"The artifact store refuses to {action} in {self}: {code} (status {status}).",
            "Check the bucket, its policy, and the AWS_* variables of the worker; then resume the job.",
        )

    def _silent(self, error: Exception) -> StoreUnavailable:
        """No answer, or half of one. The text of botocore's errors names address and cause, no key."""
        return StoreUnavailable(
            f"The artifact store {self} does not answer: {type(error).__name__}: {str(error)[:300]}."
        )

    def _whole(self, read: Callable[[], Answer]) -> Answer:
        """Read a body; again where its transfer breaks off. Raises _Absent, StoreUnavailable."""
        from botocore.exceptions import BotoCoreError

        for again in range(READS):
            try:
                return read()
            except BotoCoreError as error:
                broken = error
                time.sleep(random.uniform(0, READ_PAUSE_SECONDS * 2**again))  # noqa: S311
        raise self._silent(broken)

    def _read(self, key: str) -> tuple[bytes, str] | None:
        """(content, version) of an object; None if there is none."""

        def read() -> tuple[bytes, str]:
            answer = self._call("get_object", key)
            return answer["Body"].read(), _version(answer)

        try:
            return self._whole(read)
        except _Absent:
            return None

    def _size(self, key: str) -> int:
        try:
            return int(self._call("head_object", key)["ContentLength"])
        except _Absent:
            return 0

    def _delete(self, key: str, size: int) -> int:
        """Returns `size`, for whoever counts."""
        with contextlib.suppress(_Absent):
            self._call("delete_object", key)
        return size

    def _list(self, prefix: str) -> dict[str, int]:
        """Key -> bytes of what is kept below a prefix."""
        found: dict[str, int] = {}
        more: dict[str, str] = {}
        while True:
            answer = self._ask("list_objects_v2", Prefix=self._prefix + prefix, **more)
            found |= {each["Key"].removeprefix(self._prefix): int(each["Size"]) for each in answer.get("Contents", [])}
            if not answer.get("IsTruncated"):
                return found
            more = {"ContinuationToken": answer["NextContinuationToken"]}

    # What an outage held back

    def _keep_unsent(self, fingerprint: str, content: bytes) -> None:
        with contextlib.suppress(OSError):  # no disk either: then the call is made again
            with self._temporary() as (temporary, file):
                file.write(content)
                self._place(temporary, file, self._copies / "unsent" / safe_name(fingerprint))
            self._unsent.add(fingerprint)

    def _send_unsent(self) -> None:
        """Publish what an outage held back. Raises StoreUnavailable while it lasts: what follows would meet it too."""
        if not self._unsent:
            return
        with self._sending:
            for fingerprint in sorted(self._unsent):
                kept = self._copies / "unsent" / fingerprint
                with contextlib.suppress(FileNotFoundError):  # another process sent it
                    content = kept.read_bytes()
                    if unseal(content) is not None:
                        self._publish(fingerprint, content)
                    kept.unlink()
                self._unsent.discard(fingerprint)

    # Local copies

    def _copy_of(self, sha256: str) -> Path:
        return self._copies / path_of("sources", sha256)

    @contextlib.contextmanager
    def _fetching(self, sha256: str) -> Iterator[None]:
        """One at a time, over threads and processes; the kernel drops the lock of a killed one."""
        folder = self._folder("writing")
        descriptor = os.open(folder / f"{sha256[:2]}.lock", os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    @contextlib.contextmanager
    def _disk(self) -> Iterator[None]:
        """Turn the operating system's refusals into DiskFull, with the folder and the next step."""
        try:
            yield
        except OSError as error:
            if error.errno not in DISK_FULL | NOT_WRITABLE:
                raise
            said = "No room left for a copy" if error.errno in DISK_FULL else "Cannot keep a copy"
            raise DiskFull(
                f"{said} of a source file in {self._copies}: {error.strerror}.",
                "Make room there, or let SHELF_ARTIFACTS_DIR name another folder; a job that paused for it goes on "
                "with `shelf resume`.",
            ) from error

    def _evict(self, limit: int) -> None:
        """Remove copies until they take `limit` bytes, those first that were not asked for longest."""
        copies = []
        for path in (self._copies / "sources").glob("*/*"):
            with contextlib.suppress(FileNotFoundError):  # another process evicts too
                found = path.stat()
                copies.append((found.st_mtime, found.st_size, path))
        total = sum(size for _, size, _ in copies)
        for used, size, path in sorted(copies):
            if total <= limit or used > time.time() - IN_USE_SECONDS:
                return
            path.unlink(missing_ok=True)  # who has it open keeps it
            total -= size

    @contextlib.contextmanager
    def _temporary(self) -> Iterator[tuple[str, BinaryIO]]:
        descriptor, name = tempfile.mkstemp(dir=self._folder("writing"))
        try:
            with os.fdopen(descriptor, "wb") as file:
                yield name, file
        finally:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(name)

    def _place(self, temporary: str, file: BinaryIO, target: Path) -> None:
        file.flush()
        os.fsync(file.fileno())
        os.chmod(temporary, 0o444)
        target.parent.mkdir(parents=True, exist_ok=True)
        os.replace(temporary, target)

    def _folder(self, name: str) -> Path:
        folder = self._copies / name
        folder.mkdir(parents=True, exist_ok=True)
        return folder


def parse_url(url: str) -> tuple[str, str]:
    """(bucket, prefix) of "s3://bucket/prefix". Raises BadInput."""
    parts = urlsplit(url)
    if parts.scheme != "s3" or not parts.netloc or "@" in parts.netloc or parts.query or parts.fragment:
        raise BadInput("artifacts_url is no address of an object store.", "It reads s3://BUCKET or s3://BUCKET/PREFIX.")
    return parts.netloc, parts.path.strip("/")


def _version(answer: Mapping[str, Any]) -> str:
    """Of an object; '' for one that did not come through the server, but was copied below it."""
    return str(answer.get("ETag") or "")


def _only(condition: str, version: str) -> dict[str, str]:
    """That an object still is what was read, where it can be said."""
    return {condition: version} if version else {}


def _used(copy: Path) -> bool:
    """Whether there is a copy; notes that it is wanted."""
    try:
        os.utime(copy)
    except FileNotFoundError:
        return False
    except PermissionError:  # another user's: it is never evicted by us
        pass
    return True


def _client(url: str, endpoint: str | None, region: str | None, credentials: Path | None) -> BaseClient:
    """Raises BadInput."""
    variables = {name: value for name, value in os.environ.items() if name.startswith("AWS_")}
    if credentials is None and not any(variables.get(name) for name in CREDENTIALS):
        raise BadInput(
            f"There are no keys for {url}.",
            "Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or let artifacts_credentials name a file with them.",
        )
    endpoint = endpoint or variables.get("AWS_ENDPOINT_URL_S3") or variables.get("AWS_ENDPOINT_URL")
    try:
        keys = _keys(credentials) if credentials is not None else {}
        client = _made(endpoint, region, tuple(keys.items()), tuple(sorted(variables.items())))
    except (LookupError, ValueError) as error:
        raise BadInput(
            f"The object store of {url} cannot be used: {error}.", "Correct the settings artifacts_…."
        ) from None
    if os.environ.get(LOOPBACK_ONLY) and not is_loopback(urlsplit(client.meta.endpoint_url).hostname or ""):
        raise BadInput(f"{url}: only loopback is allowed here ({LOOPBACK_ONLY} is set).")
    return client


def _keys(file: Path) -> dict[str, str]:
    """The keys in a file such as `~/.aws/credentials`. Raises LookupError."""
    found = configparser.RawConfigParser()
    try:
        found.read_string(file.read_text(encoding="utf-8"))
        of_default = dict(found["default"])
        keys = {name: of_default[name] for name in ("aws_access_key_id", "aws_secret_access_key")}
        token = of_default.get("aws_session_token")
        return keys | ({"aws_session_token": token} if token else {})
    except (OSError, ValueError, KeyError, configparser.Error):
        raise LookupError(f"there are no keys under [default] in {file}") from None


@functools.lru_cache(maxsize=8)
def _made(
    endpoint: str | None,
    region: str | None,
    keys: tuple[tuple[str, str], ...],
    variables: tuple[tuple[str, str], ...],
) -> BaseClient:
    """One client for all threads and stores of a process: making one reads megabytes of JSON, 0.3 s.

    Raises ValueError, LookupError."""
    from botocore.config import Config
    from botocore.exceptions import BotoCoreError
    from botocore.session import Session

    local = endpoint is not None and is_loopback(urlsplit(endpoint).hostname or "")
    config = Config(
        retries={"mode": "standard", "total_max_attempts": ATTEMPTS},
        connect_timeout=CONNECT_SECONDS,
        read_timeout=READ_SECONDS,
        max_pool_connections=CONNECTIONS,
        tcp_keepalive=True,
        signature_version="s3v4",
        # Amazon's newer checksums in trailers are refused by many other servers; the signed hash of the body, which all
        # check, and our own in each object do the same.
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
        s3={"addressing_style": "path" if endpoint else "auto", "payload_signing_enabled": True},
        # A proxy from the environment must never see what is meant for this machine.
        proxies={} if local else None,
    )
    try:
        session = Session()
        # The role of the machine is no choice of whoever started this process, and asking for it takes seconds elsewhere.
        session.get_component("credential_provider").remove("iam-role")
        if not keys and session.get_credentials() is None:
            raise LookupError("there are no keys where the AWS_* variables say")
        return session.create_client(
            "s3",
            region_name=region or str(session.get_config_variable("region") or "us-east-1"),
            endpoint_url=endpoint,
            config=config,
            **dict(keys),
        )
    except BotoCoreError as error:
        raise ValueError(str(error).rstrip(".")) from None
