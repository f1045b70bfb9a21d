"""The service of `docs/extending.md`, as it stands there: installed as a package, set up by its row, read with over loopback."""

from __future__ import annotations

import sys
import tomllib
from pathlib import Path

import pymupdf
import pytest

from providers.ledger import Bucket, Ledger
from providers.local_artifacts import LocalArtifactStore
from providers.queues import provider_queues
from providers.remote import make_readers
from providers.source import LeafSource
from tests.docs.pages import ROOT, blocks
from tests.providers.remote.server import Answer, Request, ScriptedServer, json_answer

BLOCKS = [block.text.partition("\n") for block in blocks((ROOT / "docs" / "extending.md").read_text(encoding="utf-8"))]
KEY = "sk-of-the-almanac"


def after(first_line: str) -> str:
    """The block that begins so."""
    (found,) = [rest for first, _, rest in BLOCKS if first.startswith(first_line)]
    return found


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The package as an installer leaves it."""
    (tmp_path / "almanac_for_shelf.py").write_text(after("# almanac_for_shelf.py"))
    info = tmp_path / "almanac_for_shelf-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: almanac-for-shelf\nVersion: 1.0\n")
    points = tomllib.loads(after("# pyproject.toml of that package"))["project"]["entry-points"]["shelf.providers"]
    lines = [f"{kind} = {where}" for kind, where in points.items()]
    (info / "entry_points.txt").write_text("\n".join(["[shelf.providers]", *lines, ""]))
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setitem(sys.modules, "almanac_for_shelf", None)
    monkeypatch.delitem(sys.modules, "almanac_for_shelf")
    monkeypatch.setenv("ALMANAC_KEY", KEY)
    monkeypatch.setenv("SHELF_LOOPBACK_ONLY", "1")


def almanac(request: Request) -> Answer:
    if request.headers.get("authorization") != f"Bearer {KEY}":
        return json_answer({"message": "who are you?"}, 401)
    assert request.query == {"model": "almanac-1"}
    assert request.headers["content-type"].startswith("image/")
    return json_answer({"lines": [[["Tides", 0.1, 0.1, 0.3, 0.12], ["today", 0.32, 0.1, 0.5, 0.12]]]}, charge_usd=0.001)


@pytest.mark.usefixtures("installed")
async def test_what_the_page_shows_reads_a_page(tmp_path: Path) -> None:
    path = tmp_path / "page.pdf"
    document = pymupdf.open()
    document.new_page(width=400, height=600).insert_text((40, 70), "Tides today", fontsize=12)
    document.save(path)
    rows = tomllib.loads(after("# shelf.toml"))["providers"]
    with ScriptedServer({"POST /read": almanac}) as server:
        row = provider_queues({"mine": {**rows["mine"], "base_url": server.url}})["mine"]
        adapter = make_readers({"mine": row})["mine"]
        ledger = Ledger(
            LocalArtifactStore(tmp_path / "artifacts"), row, Bucket(None), "d4" * 32, "run/1/1", {"epoch": 1}
        )
        try:
            leaf = LeafSource(path=str(path), kind="pdf", index=0, page=1, book="book-1")
            page = (await adapter.read(leaf, "eng", 30.0, ledger)).page
        finally:
            await adapter.close()
    assert (page.text, page.provider, page.model) == ("Tides today", "mine", "almanac-1")
    (note,) = await ledger.notes()
    assert (note["outcome"], note["cost_usd"]) == ("ok", 0.001)
    assert len(server.log) == 1
