"""An S3 server of one bucket, in memory, on loopback: what `providers/s3_artifacts.py` asks for, and faults on request.

Own code and no `moto`: that one cannot break connections off, checks no signed hash of a body, and brings Flask. It was compared
with a real server: tests/providers/test_artifacts.py runs the contract on one where its program is on PATH.
"""

from __future__ import annotations

import hashlib
import re
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape

KEYS = {"AWS_ACCESS_KEY_ID": "test-key-id", "AWS_SECRET_ACCESS_KEY": "test-secret-nobody-may-see"}
BUCKET = "books"
LISTED = 3
"""Keys in one answer of a listing: few, so that tests meet the second page."""


@dataclass
class Fault:
    """What happens to requests that match.

    Kinds: a status and code ("503 SlowDown"); "drop" = no answer, nothing done; "lost" = done, no answer; "half" = half a body;
    "flip" = a body with another last byte."""

    kind: str
    method: str = ""
    key: str = ""
    times: int = 1_000_000

    def matches(self, method: str, key: str) -> bool:
        return self.times > 0 and self.method in ("", method) and self.key in key


@dataclass
class S3Server:
    """A running server; `objects` may be looked at and changed."""

    url: str
    conditional: bool = True
    """False: as old servers, which ignore conditions of writes."""
    versions: bool = True
    """False: objects have no ETag, as those that were copied below a server."""
    objects: dict[str, bytes] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)
    requests: list[tuple[str, str]] = field(default_factory=list)
    """(method or LIST, key or prefix), in the order of their coming."""
    refused: list[str] = field(default_factory=list)
    """What was wrong with signatures."""
    lock: threading.RLock = field(default_factory=threading.RLock)

    def counts(self) -> Counter[str]:
        return Counter(method for method, _ in self.requests)

    def fault(self, method: str, key: str) -> str:
        with self.lock:
            for fault in self.faults:
                if fault.matches(method, key):
                    fault.times -= 1
                    return fault.kind
        return ""


def etag(body: bytes) -> str:
    return f'"{hashlib.md5(body, usedforsecurity=False).hexdigest()}"'


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    s3: S3Server

    def log_message(self, *arguments: Any) -> None:
        pass

    def handle(self) -> None:
        try:
            super().handle()
        except (ConnectionError, TimeoutError):
            self.close_connection = True

    def do_GET(self) -> None:
        self._serve()

    do_HEAD = do_PUT = do_DELETE = do_GET

    def _serve(self) -> None:
        parts = urlsplit(self.path)
        bucket, _, key = unquote(parts.path).lstrip("/").partition("/")
        query = {name: values[0] for name, values in parse_qs(parts.query, keep_blank_values=True).items()}
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        listing = self.command == "GET" and not key
        method = "LIST" if listing else "COPY" if self.headers.get("x-amz-copy-source") else self.command
        named = query.get("prefix", "") if listing else key
        with self.s3.lock:
            self.s3.requests.append((method, named))
        fault = self.s3.fault(method, named)
        if fault == "drop":
            self._hang_up()
            return
        if fault[:1].isdigit():
            said, _, code = fault.partition(" ")
            self._refuse(int(said), code)
            return
        if wrong := self._unsigned(body):
            self.s3.refused.append(wrong)
            self._refuse(403, wrong)
            return
        if bucket != BUCKET:
            self._refuse(404, "NoSuchBucket")
            return
        with self.s3.lock:
            status, answer, headers = self._answer(method, named, body, query)
        if fault == "lost":
            self._hang_up()
            return
        if fault == "flip" and answer:
            answer = answer[:-1] + bytes([answer[-1] ^ 1])
        self._send(status, answer, headers, half=fault == "half")

    def _answer(self, method: str, key: str, body: bytes, query: dict[str, str]) -> tuple[int, bytes, dict[str, str]]:
        objects = self.s3.objects
        there = objects.get(key)
        version = etag(there) if there is not None else None
        if method == "LIST":
            return 200, self._listing(key, query), {"Content-Type": "application/xml"}
        if method in ("PUT", "DELETE") and self.s3.conditional:
            wanted = self.headers.get("If-Match")
            if wanted is not None and version is None:
                return 404, _error("NoSuchKey"), {}
            if (wanted is not None and wanted != version) or (self.headers.get("If-None-Match") == "*" and version):
                return 412, _error("PreconditionFailed"), {}
        if method == "PUT":
            objects[key] = body
            return 200, b"", {"ETag": etag(body)}
        if method == "COPY":
            source = unquote(self.headers["x-amz-copy-source"]).removeprefix(f"{BUCKET}/")
            copied = objects.get(source)
            if copied is None:
                return 404, _error("NoSuchKey"), {}
            if self.headers.get("x-amz-copy-source-if-match", etag(copied)) != etag(copied):
                return 412, _error("PreconditionFailed"), {}
            objects[key] = copied
            result = f"<CopyObjectResult><ETag>{escape(etag(copied))}</ETag></CopyObjectResult>"
            return 200, result.encode(), {"Content-Type": "application/xml"}
        if method == "DELETE":
            objects.pop(key, None)
            return 204, b"", {}
        if there is None:
            return 404, _error("NoSuchKey"), {}
        return 200, there, {"ETag": str(version)} if self.s3.versions else {}

    def _listing(self, prefix: str, query: dict[str, str]) -> bytes:
        after = query.get("continuation-token", "")
        keys = [key for key in sorted(self.s3.objects) if key.startswith(prefix) and key > after]
        shown, more = keys[:LISTED], len(keys) > LISTED
        rows = "".join(
            f"<Contents><Key>{escape(key)}</Key><Size>{len(self.s3.objects[key])}</Size></Contents>" for key in shown
        )
        token = f"<NextContinuationToken>{escape(shown[-1])}</NextContinuationToken>" if more else ""
        return (
            f"<ListBucketResult><IsTruncated>{str(more).lower()}</IsTruncated>{token}{rows}</ListBucketResult>".encode()
        )

    def _unsigned(self, body: bytes) -> str:
        """What is wrong with the signature, as far as it is looked at: who, over what, and the hash of the body."""
        given = self.headers.get("Authorization", "")
        found = re.fullmatch(
            r"AWS4-HMAC-SHA256 Credential=([\w-]+)/\d{8}/[\w-]+/s3/aws4_request, "
            r"SignedHeaders=([\w;-]+), Signature=[0-9a-f]{64}",
            given,
        )
        if found is None:
            return "MissingSecurityHeader"
        if found[1] != KEYS["AWS_ACCESS_KEY_ID"]:
            return "InvalidAccessKeyId"
        if not {"host", "x-amz-content-sha256", "x-amz-date"} <= set(found[2].split(";")):
            return "SignatureDoesNotMatch"
        if self.headers["x-amz-content-sha256"] != hashlib.sha256(body).hexdigest():
            return "XAmzContentSHA256Mismatch"
        return ""

    def _refuse(self, status: int, code: str) -> None:
        self._send(status, _error(code), {"Content-Type": "application/xml"})

    def _send(self, status: int, body: bytes, headers: dict[str, str], half: bool = False) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "HEAD" or status == 204:
            return
        self.wfile.write(body[: len(body) // 2] if half else body)
        if half:
            self._hang_up()

    def _hang_up(self) -> None:
        self.close_connection = True
        self.wfile.flush()
        self.connection.shutdown(2)


def _error(code: str) -> bytes:
    return f"<Error><Code>{code}</Code><Message>{code}</Message></Error>".encode()


@contextmanager
def s3_server() -> Iterator[S3Server]:
    """A server while the block runs."""
    handler = type("Bound", (Handler,), {})
    listener = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    listener.daemon_threads = True
    server = S3Server(f"http://127.0.0.1:{listener.server_port}")
    handler.s3 = server  # type: ignore[attr-defined]
    thread = threading.Thread(target=listener.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        listener.shutdown()
        listener.server_close()
        thread.join()
