"""A store per test, over memory and over the real server; each test works under a book key of its own."""

from __future__ import annotations

import random
import uuid
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from cli.stack.servers import defradb_command
from schemas.defradb import DefraStore
from schemas.http import AnswerLost, HttpClient, NotSent, Reply
from schemas.memory import MemoryStore
from schemas.store import Store
from tests.conftest import answers, free_port, running


@contextmanager
def server(program: Path, root: Path, store: str, *arguments: str) -> Iterator[str]:
    """A DefraDB server on a free loopback port."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    command = [*defradb_command(program, root / "data", port, store=store), *arguments]
    with running(command, root / "log", lambda: answers(f"{url}/api/v0/collections")):
        yield url


@pytest.fixture(scope="session")
def defradb_url(defradb_binary: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """On disk, unlike the one that the other tests share: conflicts and indexes are matters of the real engine."""
    with server(defradb_binary, tmp_path_factory.mktemp("defradb"), "badger") as url:
        yield url


@pytest.fixture(scope="session")
def signing_url(defradb_binary: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server that has an identity, and so signs its commits."""
    with server(defradb_binary, tmp_path_factory.mktemp("signing"), "memory", "--development") as url:
        yield url


@pytest.fixture
def fresh_url(defradb_binary: Path, tmp_path: Path) -> Iterator[str]:
    """An empty server for one test, which may spoil it."""
    with server(defradb_binary, tmp_path, "memory") as url:
        yield url


@pytest.fixture
async def defra(defradb_url: str) -> AsyncIterator[DefraStore]:
    store = DefraStore(defradb_url)
    await store.bootstrap()
    yield store
    await store.close()


@pytest.fixture(params=["memory", "defradb"])
async def store(request: pytest.FixtureRequest) -> AsyncIterator[Store]:
    """The contract: whatever a test says here holds for both."""
    chosen: Store
    if request.param == "memory":
        chosen = MemoryStore()
    else:
        chosen = DefraStore(request.getfixturevalue("defradb_url"))
    await chosen.bootstrap()
    yield chosen
    await chosen.close()


@pytest.fixture
def book() -> str:
    """Key of a book that no other test has."""
    return f"book-{uuid.uuid4().hex[:8]}"


class LossyHttp(HttpClient):
    """Sends, and loses some answers after the server has carried the request out; drops some before."""

    def __init__(self, url: str, seed: int, rate: float) -> None:
        super().__init__(url)
        self._dice = random.Random(seed)
        self._rate = rate
        self.lost = 0

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
        dice = self._dice.random()
        if dice < self._rate / 4:
            self.lost += 1
            raise NotSent("injected: not sent")
        reply = await super().request(
            method,
            path,
            json_body=json_body,
            content=content,
            headers=headers,
            params=params,
            deadline_seconds=deadline_seconds,
        )
        if dice < self._rate:
            self.lost += 1
            raise AnswerLost("injected: carried out, answer lost")
        return reply


@pytest.fixture
async def lossy(defradb_url: str, defra: DefraStore) -> AsyncIterator[Callable[[int, float], DefraStore]]:
    """Makes stores that execute and time out; seeded."""
    made: list[DefraStore] = []

    def make(seed: int, rate: float) -> DefraStore:
        made.append(DefraStore(defradb_url, http=LossyHttp(defradb_url, seed, rate)))
        return made[-1]

    yield make
    for each in made:
        await each.close()
