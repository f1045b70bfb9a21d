"""One remote service as its adapter sees it: its address, its key, and requests whose failures are ProviderErrors."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from providers.classify import classify, redacted, transport_error, unreadable
from providers.errors import MESSAGE_BYTES, CredentialsRefused, NotServed
from providers.queues import ProviderQueue
from schemas.http import HttpClient, HttpError, Reply, is_loopback

CONNECT_SECONDS = 10.0
MOST_BYTES = 50_000_000
"""Of an answer: that of a dense page with a box for each letter has 5 MB; what is longer is none, and must not fill memory."""
SHOWN_CHARACTERS = 80
"""Of an answer that is not understood."""
MISSHAPEN = (LookupError, TypeError, ValueError, AttributeError, ArithmeticError)
"""What reading an answer raises that has not the documented shape."""


class Service:
    """Requests to the service of one row. It connects when it is first asked, retries nothing and follows no redirect.

    Use it from one event loop."""

    def __init__(self, row: ProviderQueue) -> None:
        self.row = row
        self._clients: dict[str, HttpClient] = {}

    def key(self) -> str:
        """The row's key, from the environment of this process, as it is now. Raises CredentialsRefused where there is none."""
        return credential(self.row, self.row.key_env)

    async def request(
        self,
        method: str,
        path: str = "",
        *,
        base_url: str = "",
        json_body: Any = None,
        content: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        params: Mapping[str, str] | None = None,
        timeout_seconds: float,
        what: str = "",
    ) -> Reply:
        """One request, answered by a status below 300.

        Args:
            base_url: in place of the row's.
            timeout_seconds: until the last byte of the answer.
            what: the page and its book, for messages.

        Raises: ProviderError (`providers/classify.py`).
        """
        client = self._client(base_url or self.row.base_url)
        try:
            reply = await client.request(
                method,
                path,
                json_body=json_body,
                content=content,
                headers=headers,
                params=params,
                deadline_seconds=timeout_seconds,
            )
        except HttpError as error:
            # Without its cause: what a library says of a request may quote its headers.
            raise transport_error(self.row, error, what) from None
        if reply.status >= 300:
            raise classify(self.row, reply, what)
        return reply

    def json(self, reply: Reply, what: str = "") -> dict[str, Any]:
        """The JSON object of an answer. Raises ServerError of unknown cost where it is none."""
        try:
            value = reply.json()
        except (ValueError, RecursionError):
            # A page of HTML is that of a proxy or a hotel's network: its first words say so.
            begins = " ".join(redacted(self.row, reply.text[: 2 * MESSAGE_BYTES]).split())[:SHOWN_CHARACTERS]
            why = f"not JSON, it begins with {begins!r}" if begins else "it is empty"
            raise unreadable(self.row, reply, why, what) from None
        if not isinstance(value, dict):
            raise unreadable(self.row, reply, "no JSON object", what)
        return value

    async def close(self) -> None:
        for client in self._clients.values():
            await client.close()
        self._clients.clear()

    def _client(self, base_url: str) -> HttpClient:
        if base_url not in self._clients:
            self._clients[base_url] = HttpClient(
                checked_address(self.row, base_url),
                connect_seconds=CONNECT_SECONDS,
                read_seconds=self.row.page_timeout_seconds,
                connections=max(4, self.row.in_flight + 2),
                most_bytes=MOST_BYTES,
            )
        return self._clients[base_url]


def credential(row: ProviderQueue, variable: str) -> str:
    """The value of an environment variable of this process, fit for a header; '' where the row needs none.

    Raises CredentialsRefused where the variable is empty or holds what no key is; the message never shows it."""
    if not variable:
        return ""
    value = os.environ.get(variable, "").strip()
    if not value:
        raise CredentialsRefused(
            f"{row.name} needs a key, and {variable} of the worker is empty. Set it where the worker runs, then resume the job."
        )
    if not (value.isascii() and value.isprintable()) or " " in value:
        raise CredentialsRefused(
            f"What {variable} of the worker holds is no key for {row.name}: it has blanks, line breaks or letters "
            "outside of ASCII. Set it anew, then resume the job."
        )
    return value


def server_of(base_url: str) -> tuple[str, int | None]:
    """Host and port of an address, for spans; ('', None) where it is none."""
    try:
        parts = urlsplit(base_url)
        return parts.hostname or "", parts.port or {"http": 80, "https": 443}.get(parts.scheme)
    except ValueError:
        return "", None


def checked_address(row: ProviderQueue, base_url: str) -> str:
    """The address, if pages and keys may be sent there. Raises NotServed."""
    setting = f"base_url of [providers.{row.name}]"
    if not base_url:
        raise NotServed(f"{row.name} has no address. Set {setting}, then resume the job.")
    try:
        parts = urlsplit(base_url)
        host = parts.hostname or ""
        _ = parts.port
    except ValueError:
        host = ""
    if not host or parts.scheme not in ("http", "https"):
        raise NotServed(redacted(row, f"{setting} is no address: {base_url!r}. Set it, then resume the job."))
    if parts.scheme == "http" and row.key_env and not is_loopback(host):
        raise NotServed(
            f"{setting} is http, and {host} is another machine: the key would travel in the open. Set an https address."
        )
    return base_url
