"""HTTP, in one place: the only module of the project that imports httpx.

It retries nothing. Whoever calls decides, and for that an exception says the one thing that matters: whether the
request surely never left (`NotSent`) or may have been carried out (`AnswerLost`).
"""

from __future__ import annotations

import asyncio
import ipaddress
import json
import os
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

import httpx

from schemas import semconv, telemetry

LOOPBACK_ONLY = "SHELF_LOOPBACK_ONLY"
"""Environment variable, so that processes started by a test are bound by it too."""


class HttpError(Exception):
    """A request without an answer. Never carries headers or the query of the address: keys lie there."""


class NotSent(HttpError):
    """The request surely did not reach the server: repeating it cannot do anything twice."""


class AnswerLost(HttpError):
    """The request may have been carried out; its answer did not arrive."""


class ForbiddenAddress(NotSent):
    """Only loopback is allowed in this process (tests)."""


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer, whatever its status."""

    status: int
    headers: Mapping[str, str]
    """Names in lower case."""
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode("utf-8", "replace")

    def json(self) -> Any:
        """Raises ValueError where the body is no JSON."""
        return json.loads(self.body)


def loopback_only(on: bool = True) -> None:
    """Make any request to another machine an error, in this process and those that it starts."""
    if on:
        os.environ[LOOPBACK_ONLY] = "1"
    else:
        os.environ.pop(LOOPBACK_ONLY, None)


def is_loopback(host: str) -> bool:
    """Whether `host` can only be this machine; names other than localhost are not looked up."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class HttpClient:
    """A keep-alive client for one base address.

    Args:
        base_url: scheme, host, port and path prefix.
        headers: sent with every request (credentials; never shown).
        connect_seconds: until a connection stands.
        read_seconds: between two pieces of the answer.
        connections: at most so many at a time; more requests wait for one.
        most_bytes: of an answer, after unpacking; a longer one is not read to its end. None = any.
        on_connect: awaited before each new connection is used; what it raises ends the request, which was not sent.
        spans: whether each request is a span; where the caller has one that says more, it is not.
    """

    def __init__(
        self,
        base_url: str,
        *,
        headers: Mapping[str, str] | None = None,
        connect_seconds: float = 5.0,
        read_seconds: float = 60.0,
        connections: int = 20,
        most_bytes: int | None = None,
        on_connect: Callable[[], Awaitable[None]] | None = None,
        spans: bool = True,
    ) -> None:
        self._on_connect = on_connect
        self._most_bytes = most_bytes
        self._spans = spans
        self.base_url = base_url.rstrip("/")
        try:
            url = httpx.URL(self.base_url)
        except httpx.InvalidURL as error:
            raise NotSent(f"{base_url!r} is not an address: {error}") from error
        self._shown = f"{url.scheme}://{url.netloc.decode('ascii', 'replace').rpartition('@')[2]}"
        self._local = is_loopback(url.host)
        self._host, self._port = url.host, url.port or (443 if url.scheme == "https" else 80)
        self._prefix = url.path.rstrip("/")
        self._client = httpx.AsyncClient(
            headers=dict(headers or {}),
            timeout=httpx.Timeout(read_seconds, connect=connect_seconds),
            limits=httpx.Limits(max_connections=connections, max_keepalive_connections=connections),
            # A proxy from the environment must never see what is meant for this machine.
            trust_env=not self._local,
            # Loading the certificates costs 20-50 ms and memory; nothing there is read over plain http.
            verify=url.scheme == "https",
        )

    async def _trace(self, event: str, details: Mapping[str, Any]) -> None:
        if event == "connection.connect_tcp.complete" and self._on_connect is not None:
            await self._on_connect()

    async def request(
        self,
        method: str,
        path: str = "",
        *,
        json_body: Any = None,
        content: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        params: Mapping[str, str] | None = None,
        deadline_seconds: float | None = None,
    ) -> Reply:
        """One request, one answer, any status.

        Args:
            json_body: encoded as JSON; excludes `content`.
            deadline_seconds: for the whole request, until the last byte of the answer.

        Raises:
            NotSent, AnswerLost.
            ValueError: `json_body` cannot be said in JSON (NaN, lone surrogates): nothing was sent.
        """
        if not self._local and os.environ.get(LOOPBACK_ONLY):
            raise ForbiddenAddress(f"{self._shown}: only loopback is allowed here ({LOOPBACK_ONLY} is set).")
        sent = dict(headers or {})
        if json_body is not None:
            # Not ensure_ascii: a lone surrogate must fail here, a server would store U+FFFD in its place.
            content = json.dumps(json_body, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()
            sent.setdefault("content-type", "application/json")
        where = f"{method} {self._shown}{self._prefix}{path}"
        if not self._spans:
            return await self._send(where, method, path, content, sent, params, deadline_seconds)
        bare = f"{self._shown}{self._prefix}{path}".partition("?")[0].partition("#")[0]
        with telemetry.http_request(method, bare, self._host, self._port) as span:
            reply = await self._send(where, method, path, content, sent, params, deadline_seconds)
            span.set({semconv.HTTP_STATUS: reply.status})
            if reply.status >= 400:
                span.fail(str(reply.status))
            return reply

    async def _send(
        self,
        where: str,
        method: str,
        path: str,
        content: bytes | None,
        sent: Mapping[str, str],
        params: Mapping[str, str] | None,
        deadline_seconds: float | None,
    ) -> Reply:
        try:
            async with (
                asyncio.timeout(deadline_seconds),
                self._client.stream(
                    method,
                    self.base_url + path,
                    content=content,
                    headers=sent,
                    params=params,
                    extensions={"trace": self._trace} if self._on_connect is not None else None,
                ) as reply,
            ):
                body = await self._body(reply, where)
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.UnsupportedProtocol) as error:
            raise NotSent(f"{where}: {_cause(error)}") from error
        except (httpx.InvalidURL, httpx.ProxyError) as error:
            raise NotSent(f"{where}: {_cause(error)}") from error
        except httpx.HTTPError as error:
            raise AnswerLost(f"{where}: {_cause(error)}") from error
        except TimeoutError as error:
            raise AnswerLost(f"{where}: no answer within {deadline_seconds} s") from error
        return Reply(reply.status_code, {name.lower(): value for name, value in reply.headers.items()}, body)

    async def _body(self, reply: httpx.Response, where: str) -> bytes:
        """All of it. Raises AnswerLost where it is longer than it may be: the worker's memory is everybody's."""
        if self._most_bytes is None:
            return await reply.aread()
        body = bytearray()
        async for piece in reply.aiter_bytes():
            body += piece
            if len(body) > self._most_bytes:
                raise AnswerLost(f"{where}: the answer is longer than {self._most_bytes / 1e6:g} MB")
        return bytes(body)

    async def get(
        self, path: str = "", *, params: Mapping[str, str] | None = None, deadline_seconds: float | None = None
    ) -> Reply:
        """GET; raises as `request`."""
        return await self.request("GET", path, params=params, deadline_seconds=deadline_seconds)

    async def post_json(
        self,
        path: str,
        body: Any,
        *,
        headers: Mapping[str, str] | None = None,
        deadline_seconds: float | None = None,
    ) -> Reply:
        """POST `body` as JSON; raises as `request`."""
        return await self.request("POST", path, json_body=body, headers=headers, deadline_seconds=deadline_seconds)

    async def close(self) -> None:
        """Close the connections; repeating it does nothing."""
        await self._client.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()


def _cause(error: Exception) -> str:
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
