"""A page to send, the services to send it to, and the adapters that speak to them."""

from __future__ import annotations

import functools
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pymupdf
import pytest

from providers.base import Reading, RemoteOcrProvider
from providers.ledger import Bucket, Ledger
from providers.local_artifacts import LocalArtifactStore
from providers.queues import ProviderQueue, provider_queues
from providers.remote import READERS, _adapter
from providers.remote_image import Engine, PageImage, PageImages
from providers.source import LeafSource
from tests.providers.remote.ocr_services import PAGE, Amazon, Azure, Google, Mistral, OcrService
from tests.providers.remote.server import ScriptedServer

WIDTH, HEIGHT = 400.0, 600.0
QUESTION = "b2" * 32
SERVICES: dict[str, type[OcrService]] = {
    "mistral": Mistral,
    "google-vision": Google,
    "azure-document-intelligence": Azure,
    "textract": Amazon,
}


@dataclass
class Desk:
    """One provider, its service, and everything that was noted."""

    service: Any
    server: ScriptedServer
    row: ProviderQueue
    provider: RemoteOcrProvider
    store: LocalArtifactStore
    leaf: LeafSource
    attempts: int = 0
    answered: int = 0
    ledgers: list[Ledger] = field(default_factory=list)

    async def read(self, leaf: LeafSource | None = None, timeout_seconds: float = 20, language: str = "eng") -> Reading:
        """One attempt of an activity, at the same question until it is answered."""
        self.attempts += 1
        who = {"epoch": 1, "pages": [7], "attempt": self.attempts}
        question = f"{self.answered:02x}" + QUESTION[2:]
        self.ledgers.append(Ledger(self.store, self.row, Bucket(None), question, f"run/1/{self.attempts}", who))
        await self.ledgers[-1].recover()
        reading = await self.provider.read(leaf or self.leaf, language, timeout_seconds, self.ledgers[-1])
        self.answered += 1
        return reading

    async def notes(self) -> list[dict[str, Any]]:
        return await self.ledgers[-1].notes()

    @property
    def paid_requests(self) -> int:
        return sum(entry.request.method == "POST" for entry in self.server.log)


@pytest.fixture(scope="session")
def printed_page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A PDF of one page with the lines that the services read, at their places."""
    path = tmp_path_factory.mktemp("page") / "page.pdf"
    document = pymupdf.open()
    page = document.new_page(width=WIDTH, height=HEIGHT)
    for line in PAGE:
        x0, _, x1, y1 = line.box
        size = (x1 - x0) * WIDTH / pymupdf.get_text_length(line.text, fontsize=1)
        page.insert_text((x0 * WIDTH, y1 * HEIGHT - 0.2 * size), line.text, fontsize=size)
    document.save(path)
    return path


@pytest.fixture
def leaf(printed_page: Path) -> LeafSource:
    return LeafSource(path=str(printed_page), kind="pdf", index=0, page=7, book="a-day")


@functools.cache
def picture(leaf: LeafSource, max_bytes: int, max_side: int) -> PageImage:
    """What a process of the pool makes, made here: to start one for each test takes longer than all else in it.
    The pool itself is tested in test_remote_image.py."""
    return Engine(max_bytes, max_side)((leaf.path, leaf.kind, leaf.index, leaf.region, leaf.image_steps))


@pytest.fixture
async def desks(
    tmp_path: Path, leaf: LeafSource, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Callable[..., Desk]]:
    """Makes a desk for a provider of the table."""
    opened: list[Desk] = []

    async def of(self: PageImages, leaf: LeafSource, timeout_seconds: float) -> PageImage:
        return picture(leaf, self.row.max_image_bytes, self.row.max_image_side)

    monkeypatch.setattr(PageImages, "of", of)

    def open_desk(name: str, **settings: Any) -> Desk:
        service = SERVICES[name]()
        server = ScriptedServer(service.handlers())
        server.__enter__()
        values = {"base_url": server.url, "requests_per_second": None, **settings}
        row = provider_queues({name: values})[name]
        monkeypatch.setenv(row.key_env, service.key)
        if isinstance(service, Amazon):
            monkeypatch.setenv(row.key_env, service.access_key)
            monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", service.key)
        for variable in ("AWS_SESSION_TOKEN", "GOOGLE_OAUTH_ACCESS_TOKEN", "GOOGLE_CLOUD_PROJECT"):
            monkeypatch.delenv(variable, raising=False)
        desk = Desk(service, server, row, _adapter(row, READERS)(row), LocalArtifactStore(tmp_path / "artifacts"), leaf)
        opened.append(desk)
        return desk

    yield open_desk
    for desk in opened:
        await desk.provider.close()
        desk.server.__exit__(None, None, None)


@pytest.fixture(autouse=True)
def loopback_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHELF_LOOPBACK_ONLY", "1")
