"""The artifact store in a folder: one file per artifact, written so that no kill and no full disk leaves half of one.

The layout under the root is that of `providers/artifacts.py`, and `writing/` for the temporary files of writes under way.

Every write goes to a temporary file in `writing/`, is fsynced, and is then linked or renamed into place; the target's
folder is fsynced after it. A process killed in between leaves a file in `writing/`, where no reader looks and where
the next store on this root sweeps it once it is a day old.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from providers.artifacts import (
    cooling_path,
    path_of,
    read_cooling,
    read_record,
    record_path,
    seal,
    unseal,
    write_cooling,
    write_record,
)
from schemas.errors import ArtifactMissing, DiskFull

TEMPORARY_AGE_SECONDS = 24 * 3600.0
"""Older than any write can take, so the file of a live writer is never swept."""
COPY_BYTES = 1 << 20

NO_ROOM = {errno.ENOSPC, errno.EDQUOT}
NOT_WRITABLE = {errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EEXIST}


class LocalArtifactStore:
    """`ArtifactStore` in a local folder (which may be a network mount that honours fsync and link).

    Safe for any number of threads and processes on one root: published files are immutable and appear by link,
    all others are replaced by rename.
    """

    def __init__(self, root: Path | str) -> None:
        self.root = Path(root)
        self._known: set[Path] = set()
        with self._refusals(self.root):
            for name in ("published", "attempts", "intents", "sources", "cooling", "damaged", "writing"):
                self._make_folder(self.root / name)
        self._sweep()

    def __str__(self) -> str:
        return str(self.root)

    # Sources

    def put_file(self, path: Path) -> str:
        """Keep a source file under the SHA-256 of its bytes (hex), which is returned.

        The hash is that of the bytes that were copied, so a file that changes meanwhile cannot be kept under a
        wrong name. Raises DiskFull; FileNotFoundError if `path` is not there.
        """
        with path.open("rb") as source:
            sha256 = hashlib.file_digest(source, "sha256").hexdigest()
            target = self._path("sources", sha256)
            if target.exists() and target.stat().st_size == os.fstat(source.fileno()).st_size:
                return sha256
            source.seek(0)
            with self._refusals(target), self._temporary() as (temporary, file):
                copied = hashlib.sha256()
                while block := source.read(COPY_BYTES):
                    copied.update(block)
                    file.write(block)
                self._sync(file)
                os.chmod(temporary, 0o444)
                sha256 = copied.hexdigest()
                target = self._path("sources", sha256)
                self._make_folder(target.parent)
                os.replace(temporary, target)
                self._sync_folder(target.parent)
        return sha256

    def file(self, sha256: str) -> Path:
        """A local path of a kept file, to open and never to write. Raises ArtifactMissing.

        The bytes are not hashed again: a source may have a gigabyte and every page asks for it.
        """
        path = self._path("sources", sha256)
        if not path.is_file():
            raise ArtifactMissing(
                f"The source file {sha256[:12]}… is not in the artifact store ({path}).",
                "Process the book again from its original file: it is kept anew, and nothing is read twice.",
            )
        return path

    # Published results

    def publish(self, fingerprint: str, body: bytes) -> None:
        """Publish a checked result; the first one wins, a later one is dropped. Raises DiskFull."""
        target = self._path("published", fingerprint)
        if target.exists():
            return
        with self._refusals(target):
            self._make_folder(target.parent)
            with self._temporary() as (temporary, file):
                file.write(seal(body))
                self._sync(file)
                self._link(temporary, target)
                self._sync_folder(target.parent)

    def get(self, fingerprint: str) -> bytes | None:
        """The published body, its hash verified; None if there is none. A damaged one is set aside and is None."""
        path = self._path("published", fingerprint)
        try:
            content = path.read_bytes()
        except FileNotFoundError:
            return None
        body = unseal(content)
        if body is None:
            self._set_aside(path, fingerprint)
        return body

    def has(self, fingerprint: str) -> bool:
        """Whether something is published there; damage is seen by `get` only."""
        return self._path("published", fingerprint).exists()

    def size(self, fingerprint: str) -> int:
        """Bytes that are kept under the fingerprint: the result and the notes of its attempts; 0 for nothing."""
        return sum(_bytes_of(path) for path in self._all_of(fingerprint))

    def remove(self, fingerprint: str) -> int:
        """Forget the result and the notes of its attempts; returns the bytes. What is not there is no error."""
        freed = sum(self._unlink(path) for path in self._all_of(fingerprint))
        for kind in ("attempts", "intents"):
            with contextlib.suppress(OSError):  # not there, or another attempt is noted in this moment
                self._path(kind, fingerprint).rmdir()
        return freed

    def file_size(self, sha256: str) -> int:
        """Bytes of a kept file; 0 where it is not there."""
        return _bytes_of(self._path("sources", sha256))

    def remove_file(self, sha256: str) -> int:
        """Forget a source file; returns the bytes. What is not there is no error."""
        return self._unlink(self._path("sources", sha256))

    def _all_of(self, fingerprint: str) -> list[Path]:
        notes = [path for kind in ("attempts", "intents") for path in self._path(kind, fingerprint).glob("*.json")]
        return [self._path("published", fingerprint), *notes]

    def _unlink(self, path: Path) -> int:
        size = _bytes_of(path)
        with self._refusals(path), contextlib.suppress(FileNotFoundError):
            path.unlink()
            self._sync_folder(path.parent)
        return size

    def _set_aside(self, path: Path, fingerprint: str) -> None:
        """Move a damaged file out of the way, so that the work can be done and published again."""
        with self._refusals(path), contextlib.suppress(FileNotFoundError):
            os.replace(path, self.root / "damaged" / f"{fingerprint}-{time.time_ns()}")
            self._sync_folder(path.parent)

    # Attempts and intents

    def record_attempt(self, fingerprint: str, attempt_id: str, record: dict[str, Any]) -> None:
        """Keep what is known of one attempt. A repeat overwrites. Bytes in the record are kept as base64 text."""
        self._write_record("attempts", fingerprint, attempt_id, record)

    def attempts(self, fingerprint: str) -> dict[str, dict[str, Any]]:
        """attempt id -> record, of all attempts."""
        return self._read_records("attempts", fingerprint)

    def write_intent(self, fingerprint: str, attempt_id: str, record: dict[str, Any]) -> None:
        """On disk before this returns: the call that follows may be charged. Raises DiskFull."""
        self._write_record("intents", fingerprint, attempt_id, record)

    def settle_intent(self, fingerprint: str, attempt_id: str) -> None:
        """The outcome of the call is known: forget the intent."""
        path = self._record_path("intents", fingerprint, attempt_id)
        with self._refusals(path), contextlib.suppress(FileNotFoundError):
            path.unlink()
            self._sync_folder(path.parent)

    def open_intents(self, fingerprint: str) -> dict[str, dict[str, Any]]:
        """Intents without an outcome: the call may have been charged."""
        return self._read_records("intents", fingerprint)

    # Cooling

    def set_cooling(self, provider: str, until: float, reason: str) -> None:
        """No call of this provider before `until` (Unix seconds); only ever moved later, or cleared with 0."""
        path = self.root / cooling_path(provider)
        with self._refusals(path), self._locked(path):
            if until <= 0:
                path.unlink(missing_ok=True)
                self._sync_folder(path.parent)
            elif until > self.cooling(provider)[0]:
                self._replace(path, write_cooling(until, reason))

    def cooling(self, provider: str) -> tuple[float, str]:
        """(until, reason); (0.0, '') if not cooling. An unreadable note counts as none."""
        try:
            return read_cooling((self.root / cooling_path(provider)).read_bytes())
        except FileNotFoundError:
            return 0.0, ""

    # Paths

    def _path(self, kind: str, key: str) -> Path:
        return self.root / path_of(kind, key)

    def _record_path(self, kind: str, fingerprint: str, attempt_id: str) -> Path:
        return self.root / record_path(kind, fingerprint, attempt_id)

    # Records

    def _write_record(self, kind: str, fingerprint: str, attempt_id: str, record: dict[str, Any]) -> None:
        body = write_record(attempt_id, record)
        path = self._record_path(kind, fingerprint, attempt_id)
        with self._refusals(path):
            self._make_folder(path.parent)
            self._replace(path, body)

    def _read_records(self, kind: str, fingerprint: str) -> dict[str, dict[str, Any]]:
        records: dict[str, dict[str, Any]] = {}
        for path in sorted(self._path(kind, fingerprint).glob("*.json")):
            # Settled by another process meanwhile, or damaged: neither hides the others.
            with contextlib.suppress(FileNotFoundError):
                if note := read_record(path.read_bytes()):
                    records[note[0]] = note[1]
        return records

    # Writing

    def _replace(self, path: Path, body: bytes) -> None:
        with self._temporary() as (temporary, file):
            file.write(body)
            self._sync(file)
            os.replace(temporary, path)
            self._sync_folder(path.parent)

    @contextlib.contextmanager
    def _temporary(self) -> Iterator[tuple[str, BinaryIO]]:
        descriptor, name = tempfile.mkstemp(dir=self.root / "writing")
        try:
            with os.fdopen(descriptor, "wb") as file:
                yield name, file
        finally:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(name)

    def _link(self, temporary: str, target: Path) -> None:
        """Put a temporary file at a name that nobody has taken; the first one wins."""
        try:
            os.link(temporary, target)
        except FileExistsError:
            pass
        except OSError as error:
            if error.errno not in {errno.EPERM, errno.EOPNOTSUPP, errno.ENOTSUP, errno.EMLINK}:
                raise
            # A file system without hard links (FAT, some network mounts). Between two writers of one fingerprint
            # the last one then wins, which is harmless: either body passed its checks.
            if not target.exists():
                os.replace(temporary, target)

    def _sync(self, file: BinaryIO) -> None:
        file.flush()
        os.fsync(file.fileno())

    def _sync_folder(self, folder: Path) -> None:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        except OSError as error:
            if error.errno != errno.EINVAL:  # a mount that cannot sync folders has nothing better to offer
                raise
        finally:
            os.close(descriptor)

    def _make_folder(self, folder: Path) -> None:
        """Make a folder and its parents, each one synced into its own parent."""
        if folder in self._known and folder.is_dir():
            return
        missing = []
        while not folder.is_dir():
            missing.append(folder)
            folder = folder.parent
        for each in reversed(missing):
            each.mkdir(exist_ok=True)
            self._sync_folder(each.parent)
        self._known.update(missing or [folder])

    @contextlib.contextmanager
    def _locked(self, path: Path) -> Iterator[None]:
        """One writer at a time, over processes; the kernel drops the lock of a killed one."""
        descriptor = os.open(path.with_name(f".{path.name}.lock"), os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    @contextlib.contextmanager
    def _refusals(self, path: Path) -> Iterator[None]:
        """Turn the operating system's refusals into DiskFull, with the path and the next step."""
        try:
            yield
        except OSError as error:
            if error.errno in NO_ROOM:
                raise DiskFull(
                    f"No room left to write {path}: {os.strerror(error.errno)}.",
                    f"Free some space on the disk that holds {self.root}; a job that paused for it goes on with `shelf resume`.",
                ) from error
            if error.errno in NOT_WRITABLE:
                raise DiskFull(
                    f"Cannot write {error.filename or path}: {os.strerror(error.errno)}.",
                    f"Make {self.root} a folder that this user may write, or set another artifact folder; "
                    "a job that paused for it goes on with `shelf resume`.",
                ) from error
            raise

    def _sweep(self) -> None:
        """Delete temporary files that a killed process left, once they are surely nobody's."""
        oldest = time.time() - TEMPORARY_AGE_SECONDS
        for path in (self.root / "writing").iterdir():
            with contextlib.suppress(OSError):
                if path.stat().st_mtime < oldest:
                    path.unlink()

    def free_bytes(self) -> int:
        """Room left on the disk of the store, for `shelf doctor`."""
        return shutil.disk_usage(self.root).free


def _bytes_of(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0
