"""Rows, questions and ledgers for tests of language models."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image as Pictures

from providers.errors import ProviderError
from providers.language_model import Answer, Image, Message, Question, Tool
from providers.ledger import Bucket, Ledger
from providers.local_artifacts import LocalArtifactStore
from providers.model_service import ModelService
from providers.queues import ProviderQueue, provider_queues
from tests.providers.remote.server import ScriptedServer

KEY = "secret-of-the-test-0123456789"
KEY_ENV = "SHELF_TEST_KEY"
QUESTION = "a1" * 32


def row_of(name: str, url: str, **fields: Any) -> ProviderQueue:
    """A row of the table, at a loopback server, with the key of the tests."""
    given = {"base_url": url, "key_env": KEY_ENV, "requests_per_second": None, **fields}
    return replace(provider_queues()[name], **given)


def ledger(folder: Path, row: ProviderQueue) -> Ledger:
    return Ledger(LocalArtifactStore(folder), row, Bucket(None), QUESTION, "r/7/1", {"epoch": 1}, estimate_usd=0.5)


def png(width: int = 40, height: int = 60, format: str = "PNG") -> Image:
    body = io.BytesIO()
    Pictures.new("L", (width, height), 255).save(body, format)
    return Image(body.getvalue(), f"image/{format.lower()}")


ADD = Tool("add", "Adds.", {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]})


def question(text: str = "What stands there?", **fields: Any) -> Question:
    given: Mapping[str, Any] = {"system": "You read.", "messages": (Message("user", text),), "prompt_hash": "p1"}
    return Question(**{**given, **fields})


def assert_no_key(calls: Ledger, *shown: object) -> None:
    """Nothing that is kept or said has the key: no note, no raw response, no cooling reason, no error."""
    assert calls.artifacts is not None
    folder = Path(str(calls.artifacts))
    for file in folder.rglob("*"):
        assert not file.is_file() or KEY.encode() not in file.read_bytes(), file
    for each in shown:
        assert KEY not in str(each)
        assert KEY not in repr(each)
        assert KEY not in str(getattr(each, "__dict__", ""))
        assert KEY not in str(getattr(each, "__cause__", "")) + str(getattr(each, "__context__", ""))


class Talk:
    """An adapter, the service at the other end, and the ledger between them."""

    def __init__(
        self, service: Any, server: ScriptedServer, adapter: type[ModelService], row: ProviderQueue, folder: Path
    ) -> None:
        self.service, self.server, self.row = service, server, row
        self.model: Any = adapter(row)
        self.calls: Ledger = ledger(folder, row)

    async def ask(self, timeout_seconds: float = 20, **fields: Any) -> Answer:
        answer: Answer = await self.model.answer(
            question(**fields), self.service.model, timeout_seconds, self.calls, what="page 3 of a-book"
        )
        return answer

    async def fails(self, expected: type[ProviderError], timeout_seconds: float = 20, **fields: Any) -> Any:
        with pytest.raises(ProviderError) as raised:
            await self.ask(timeout_seconds, **fields)
        assert type(raised.value) is expected, raised.value
        assert_no_key(self.calls, raised.value, self.model, self.calls)
        return raised.value

    @property
    def note(self) -> dict[str, Any]:
        return self.calls.made[-1]


@asynccontextmanager
async def talking(
    service: Any, adapter: type[ModelService], row: Callable[[str], ProviderQueue], folder: Path
) -> AsyncIterator[Talk]:
    """The adapter with its service while that runs. `row`: of its address."""
    with ScriptedServer(service.handlers()) as server:
        # What another service answered to the same question is kept for that one.
        talk = Talk(service, server, adapter, row(server.url), folder / row(server.url).name)
        try:
            yield talk
        finally:
            await talk.model.close()
