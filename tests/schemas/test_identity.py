"""A server that was killed leaves its port to anybody: another database there must not get our documents."""

from __future__ import annotations

from pathlib import Path

import pytest

from cli.stack.servers import defradb_command
from schemas.defradb import DefraStore
from schemas.documents import Book
from schemas.errors import StoreUnavailable
from tests.conftest import answers, free_port, running


async def test_another_database_at_the_same_address_is_refused(defradb_binary: Path, tmp_path: Path) -> None:
    port = free_port()
    url = f"http://127.0.0.1:{port}"

    def command(root: str) -> list[str]:
        return defradb_command(defradb_binary, tmp_path / root, port)

    def ready() -> bool:
        return answers(f"{url}/api/v0/collections")

    store = DefraStore(url)
    with running(command("ours"), tmp_path / "ours.log", ready):
        await store.bootstrap()
        await store.stub(Book, [{"key": "b"}])
    with running(command("theirs"), tmp_path / "theirs.log", ready):
        other = DefraStore(url)
        await other.bootstrap()
        with pytest.raises(StoreUnavailable, match="Another database"):
            await store.stub(Book, [{"key": "c"}])
        assert await other.find(Book, {}) == []
        await other.close()
    with running(command("ours"), tmp_path / "again.log", ready):
        await store.stub(Book, [{"key": "c"}])
        assert [book.key for book in await store.find(Book, {})] == ["b", "c"]
    await store.close()
