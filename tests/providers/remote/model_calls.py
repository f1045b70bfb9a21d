"""Rows, questions and ledgers for tests of language models."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from PIL import Image as Pictures

from providers.language_model import Image, Message, Question, Tool
from providers.ledger import Bucket, Ledger
from providers.local_artifacts import LocalArtifactStore
from providers.queues import ProviderQueue, provider_queues

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
