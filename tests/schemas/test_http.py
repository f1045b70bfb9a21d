"""The client's one promise: whether a request surely never left, or may have been carried out."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from schemas.defradb import DefraStore
from schemas.documents import Page
from schemas.errors import StoreRefused, StoreUnavailable
from schemas.http import LOOPBACK_ONLY, AnswerLost, ForbiddenAddress, HttpClient, NotSent, is_loopback, loopback_only

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def serving(handler: Handler) -> AsyncIterator[str]:
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await handler(reader, writer)
        finally:
            writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()


async def read_request(reader: asyncio.StreamReader) -> bytes:
    head = await reader.readuntil(b"\r\n\r\n")
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            head += await reader.readexactly(int(line.split(b":")[1]))
    return head


def answers(*replies: tuple[int, bytes]) -> tuple[Handler, list[bytes]]:
    """One reply after the other, the last for ever."""
    seen: list[bytes] = []

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.append(await read_request(reader))
        status, body = replies[min(len(seen), len(replies)) - 1]
        writer.write(b"HTTP/1.1 %d X\r\nconnection: close\r\nX-Thing: y\r\n" % status)
        writer.write(b"content-length: %d\r\n\r\n" % len(body) + body)
        await writer.drain()

    return handler, seen


async def test_any_status_is_an_answer() -> None:
    handler, seen = answers((503, b'{"a": "\xc3\xa9"}'))
    async with serving(handler) as url, HttpClient(url + "/base", headers={"authorization": "secret"}) as http:
        reply = await http.post_json("/x", {"t": "é\x00\n"})
        assert (reply.status, reply.headers["x-thing"], reply.json()) == (503, "y", {"a": "é"})
        assert seen[0].startswith(b"POST /base/x HTTP/1.1\r\n")
        assert '{"t":"é\\u0000\\n"}'.encode() in seen[0]
        assert b"authorization: secret" in seen[0].lower()
        assert (await http.get("/y", params={"q": "1"})).status == 503
        assert seen[1].startswith(b"GET /base/y?q=1 ")


async def test_nobody_listens() -> None:
    async with HttpClient("http://127.0.0.1:1", headers={"authorization": "secret"}) as http:
        with pytest.raises(NotSent) as caught:
            await http.get("/path", params={"key": "secret"})
    assert "127.0.0.1:1/path" in str(caught.value)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("said", [b"", b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf"])
async def test_the_connection_breaks_after_sending(said: bytes) -> None:
    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(said)
        await writer.drain()

    async with serving(handler) as url, HttpClient(url) as http:
        with pytest.raises(AnswerLost):
            await http.post_json("/", {})


@pytest.mark.parametrize("limits", [{"read": 0.1, "deadline": None}, {"read": 30.0, "deadline": 0.1}], ids=str)
async def test_no_answer_in_time(limits: dict[str, Any]) -> None:
    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n")
        await asyncio.sleep(1)

    async with serving(handler) as url, HttpClient(url, read_seconds=limits["read"]) as http:
        with pytest.raises(AnswerLost):
            await http.post_json("/", {}, deadline_seconds=limits["deadline"])


async def test_what_json_cannot_say_is_not_sent() -> None:
    handler, seen = answers((200, b""))
    async with serving(handler) as url, HttpClient(url) as http:
        for value in (float("nan"), "\ud800"):
            with pytest.raises(ValueError):
                await http.post_json("/", {"v": value})
    assert seen == []


async def test_only_loopback(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(LOOPBACK_ONLY, "")
    loopback_only()
    for url in (
        "http://192.0.2.1",
        "https://example.org",
        "http://127.0.0.1.example.org",
        "http://localhost@192.0.2.1",
    ):
        async with HttpClient(url) as http:
            with pytest.raises(ForbiddenAddress):
                await http.get("/")
    handler, _ = answers((200, b"1"))
    async with serving(handler) as url, HttpClient(url) as http:
        assert (await http.get("/")).json() == 1
    loopback_only(False)
    assert not __import__("os").environ.get(LOOPBACK_ONLY)


@pytest.mark.parametrize(
    ("host", "local"),
    [("localhost", True), ("127.0.0.1", True), ("127.9.9.9", True), ("::1", True), ("10.0.0.1", False), ("a.b", False)],
)
def test_loopback(host: str, local: bool) -> None:
    assert is_loopback(host) is local


async def test_a_proxy_of_the_environment_never_sees_loopback(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:1")
    handler, _ = answers((200, b"1"))
    async with serving(handler) as url, HttpClient(url) as http:
        assert (await http.get("/")).json() == 1


# --- what DefraDB may answer (the real one gives these at bad moments only) ---

CONFLICT = b'{"errors":[{"message":"transaction conflict. Please retry"}],"data":{"r":[{"key":"wrong"}]}}'
FOUND = b'{"data":{"r":[{"_docID":"bae-1","key":"k"}]}}'


async def fetch(*replies: tuple[int, bytes]) -> tuple[Any, int]:
    handler, seen = answers(*replies)
    async with serving(handler) as url:
        store = DefraStore(url)
        try:
            return sorted(await store.get(Page, ["k"], [])), len(seen)
        except (StoreUnavailable, StoreRefused) as error:
            return type(error), len(seen)
        finally:
            await store.close()


async def test_errors_come_before_data() -> None:
    assert await fetch((200, CONFLICT), (200, CONFLICT), (200, FOUND)) == (["k"], 3)


async def test_conflicts_end_as_unavailable() -> None:
    kind, tries = await fetch((200, CONFLICT))
    assert kind is StoreUnavailable
    assert tries >= 8


async def test_a_panic_is_tried_again_and_then_refused() -> None:
    assert await fetch((500, b""), (200, FOUND)) == (["k"], 2)
    assert await fetch((500, b"")) == (StoreRefused, 3)


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (502, b"<html>", StoreUnavailable),
        (503, b'{"error":"no"}', StoreUnavailable),
        (429, b'{"error":"slow"}', StoreUnavailable),
        (200, b"", StoreUnavailable),
        (200, b"<html>", StoreUnavailable),
        (200, b'{"data":null}', StoreUnavailable),
        (200, b"[]", StoreUnavailable),
        (200, b'{"data":null,"errors":[{"message":"write: no space left on device"}]}', StoreUnavailable),
        (200, b'{"data":null,"errors":[{"message":"Cannot query field"}]}', StoreRefused),
        (400, b'{"error":"bad"}', StoreRefused),
        (403, b'{"error":"forbidden"}', StoreRefused),
    ],
)
async def test_other_answers_are_not_tried_again(status: int, body: bytes, kind: type[Exception]) -> None:
    assert await fetch((status, body)) == (kind, 1)


async def test_an_unreachable_server_is_unavailable() -> None:
    store = DefraStore("http://127.0.0.1:1")
    with pytest.raises(StoreUnavailable, match="does not answer"):
        await store.ready()
    with pytest.raises(StoreUnavailable):
        await store.bootstrap()
    await store.close()


async def test_an_answer_that_is_too_long_is_not_read_to_its_end() -> None:
    sent = 0

    async def endless(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        await read_request(reader)
        writer.write(b"HTTP/1.1 200 X\r\nconnection: close\r\n\r\n")
        while sent < 100_000_000:
            writer.write(b"x" * 100_000)
            await writer.drain()
            sent += 100_000

    async with serving(endless) as url, HttpClient(url, most_bytes=1_000_000) as http:
        with pytest.raises(AnswerLost, match=r"longer than 1 MB"):
            await http.get("/")
    assert sent < 100_000_000


async def test_a_bomb_is_not_unpacked() -> None:
    import gzip

    bomb = gzip.compress(bytes(50_000_000))

    async def packed(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        head = f"HTTP/1.1 200 X\r\ncontent-encoding: gzip\r\nconnection: close\r\ncontent-length: {len(bomb)}\r\n\r\n"
        writer.write(head.encode() + bomb)
        await writer.drain()

    async with serving(packed) as url, HttpClient(url, most_bytes=1_000_000) as http:
        with pytest.raises(AnswerLost, match=r"longer than 1 MB"):
            await http.get("/")


async def test_an_answer_of_just_the_length_that_it_may_have() -> None:
    handler, _ = answers((200, b"y" * 1000))
    async with serving(handler) as url, HttpClient(url, most_bytes=1000) as http:
        assert (await http.get("/")).body == b"y" * 1000
