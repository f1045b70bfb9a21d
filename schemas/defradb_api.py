"""Requests to a DefraDB server: what its answers mean, and which of them are tried again.

Faults of 0.19 that are met here: a conflict comes with status 200, errors and data that was not committed; a panic comes as
status 500 with an empty body.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Mapping
from typing import Any

from schemas import telemetry
from schemas.errors import StoreRefused, StoreUnavailable
from schemas.http import AnswerLost, HttpClient, NotSent, Reply

API = "/api/v0"

CONFLICT_TRIES = 12
"""With 8 writers on one document 3 of 4 commits conflict; 3 tries were not enough, 8 were."""
PANIC_TRIES = 3
"""A panic is nearly always the query's fault, so it ends soon."""

SAME_ID = "a document with the given ID already exists"
_CONFLICTS = ("transaction conflict", "Trying to commit a discarded txn", "invalid transaction id")
_EXISTS = (SAME_ID, "violates unique index")
_UNAVAILABLE = ("no space left on device", "context canceled", "context deadline exceeded", "DB Closed")


class Conflict(Exception):
    """Another transaction was first; nothing was committed."""


class Panic(Exception):
    """Status 500 with an empty body: the server recovered from a panic, nothing was committed."""


class Exists(StoreRefused):
    """A create met a document with this key or content."""


class DefraApi:
    """One server's GraphQL and its requests about types.

    Args:
        url: address of the server, without path; for messages.
        http: the client that requests go by.
    """

    def __init__(self, url: str, http: HttpClient) -> None:
        self.url = url
        self._http = http
        self._random = random.Random()  # noqa: S311 (jitter)

    async def graphql(self, query: str, variables: Mapping[str, Any]) -> dict[str, Any]:
        """One request; conflicts and panics are tried again (neither committed anything).

        Raises:
            StoreUnavailable: no connection, a lost answer, conflicts without end, a server in trouble.
            StoreRefused: the query or a value; `Exists` where a document is there already.
        """
        conflicts = panics = 0
        while True:
            try:
                return self._answer(await self._send("POST", "/graphql", {"query": query, "variables": variables}))
            except Conflict as error:
                conflicts += 1
                telemetry.save_conflict("transaction")
                if conflicts >= CONFLICT_TRIES:
                    message = f"{self.url}: {conflicts} transaction conflicts in a row: {error}"
                    raise StoreUnavailable(message) from error
                await self.pause(conflicts)
            except Panic as error:
                panics += 1
                if panics >= PANIC_TRIES:
                    raise StoreRefused(f"{self.url}: the server fails on this query: {query[:2000]}") from error
                await self.pause(panics)

    async def admin(self, method: str, path: str, body: Any = None) -> Any:
        """A request about types, tried again on conflicts; `path` without its beginning `API`. Raises as `graphql`."""
        for attempt in range(1, CONFLICT_TRIES + 1):
            try:
                return self._body(await self._send(method, path, body), empty=True)
            except (Conflict, Panic) as error:
                if attempt == CONFLICT_TRIES or (isinstance(error, Panic) and attempt == PANIC_TRIES):
                    raise StoreRefused(f"{self.url}: {method} {path} fails: {error}") from error
                await self.pause(attempt)
        raise AssertionError("unreachable")

    async def pause(self, attempt: int) -> None:
        """Jitter over a window that doubles from 10 ms to 0.64 s: two that met must not meet again."""
        await asyncio.sleep(self._random.uniform(0.2, 1.0) * 0.01 * 2 ** min(attempt, 6))

    def _answer(self, reply: Reply) -> dict[str, Any]:
        """`errors` before `data`, which is not committed where there are any."""
        body = self._body(reply)
        if not isinstance(body, dict):
            raise StoreUnavailable(f"{self.url}: not an answer of DefraDB: {reply.text[:500]!r}")
        messages = [str(each.get("message", each)) for each in body.get("errors") or []]
        if messages:
            raise self._refusal("; ".join(messages))
        data = body.get("data")
        if not isinstance(data, dict):
            raise StoreUnavailable(f"{self.url}: an answer without data: {reply.text[:500]!r}")
        return {name: value or [] for name, value in data.items()}

    async def _send(self, method: str, path: str, body: Any) -> Reply:
        try:
            if isinstance(body, str):
                return await self._http.request(
                    method, API + path, content=body.encode(), headers={"content-type": "text/plain"}
                )
            return await self._http.request(method, API + path, json_body=body)
        except (NotSent, AnswerLost) as error:
            raise StoreUnavailable(
                f"The database does not answer: {error}.", "Start it, or check the address."
            ) from error
        except ValueError as error:
            raise StoreRefused(f"A value cannot be sent to the database: {error}") from error

    def _body(self, reply: Reply, *, empty: bool = False) -> Any:
        """The JSON of an answer. An empty one is fine where `empty` and the status is 200.

        Raises: Panic, Conflict, StoreUnavailable, StoreRefused."""
        text = reply.body.strip()
        if not text:
            if reply.status == 500:
                raise Panic("status 500 with an empty body")
            if reply.status == 200 and empty:
                return None
            raise StoreUnavailable(f"{self.url}: status {reply.status} with an empty body")
        try:
            body = reply.json()
        except ValueError as error:
            raise StoreUnavailable(f"{self.url}: status {reply.status}, no JSON: {reply.text[:500]!r}") from error
        if reply.status == 200:
            return body
        message = str(body.get("error", body)) if isinstance(body, dict) else str(body)
        if reply.status == 429 or reply.status > 500:
            raise StoreUnavailable(f"{self.url}: status {reply.status}: {message[:500]}")
        raise self._refusal(message)

    def _refusal(self, message: str) -> Exception:
        """What the server's words mean."""
        if any(text in message for text in _CONFLICTS):
            return Conflict(message)
        if any(text in message for text in _EXISTS):
            return Exists(message)
        if any(text in message for text in _UNAVAILABLE):
            return StoreUnavailable(f"{self.url}: {message[:500]}")
        return StoreRefused(f"The database refused: {message[:2000]}")
