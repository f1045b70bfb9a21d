"""A service that an installed package speaks to: its adapter is found by entry point, and called like ours."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from activities.services import make_services
from providers.ledger import Bucket, Ledger
from providers.local_artifacts import LocalArtifactStore
from providers.queues import provider_queues
from providers.remote import make_readers
from providers.settings import Settings
from providers.source import LeafSource
from schemas.errors import BadInput

MODULE = '''
from providers.base import Reading
from providers.ledger import Response
from providers.prices import Usage
from schemas.reading import Line, PageReading, Word


class Almanac:
    """Says which page it was given."""

    def __init__(self, row):
        self.name, self.row = row.name, row

    def model(self, language):
        return self.row.model or "almanac-1"

    def parameters(self):
        return {}

    async def read(self, leaf, language, timeout_seconds, calls):
        async def send():
            return Response(f"Page {leaf.page}", Usage(pages=1), self.model(language))

        text = await calls.paid(send)
        words = [Word(word, (10 + 40 * at, 10, 45 + 40 * at, 22), 98.0) for at, word in enumerate(text.split())]
        page = PageReading(self.name, 400.0, 600.0, [Line(words)], model=self.model(language), language=language)
        return Reading(page=page, execution_seconds=0.1)

    async def close(self):
        pass
'''
MINE = {"mine": {"kind": "almanac", "usd_per_page": 0.001, "key_env": "ALMANAC_KEY"}}


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The package as an installer leaves it."""
    (tmp_path / "almanac_for_shelf.py").write_text(MODULE)
    info = tmp_path / "almanac_for_shelf-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: almanac-for-shelf\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[shelf.providers]\nalmanac = almanac_for_shelf:Almanac\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setitem(sys.modules, "almanac_for_shelf", None)
    monkeypatch.delitem(sys.modules, "almanac_for_shelf")


@pytest.mark.usefixtures("installed")
async def test_a_plugin_reads_pages_under_the_ledger(tmp_path: Path) -> None:
    store = LocalArtifactStore(tmp_path / "artifacts")
    services = make_services(Settings(providers=MINE), None, store, None)  # type: ignore[arg-type]
    row, adapter = services.queues["mine"], services.remote["mine"]
    assert (row.queue, row.remote, row.paid, row.reads_pages) == ("shelf-mine", True, True, True)
    ledger = Ledger(store, row, Bucket(None), "c3" * 32, "run/1/1", {"epoch": 1, "pages": [7], "attempt": 1})
    leaf = LeafSource(path="nowhere.pdf", kind="pdf", index=6, region="", page=7, book="book-1")
    found = await adapter.read(leaf, "eng", 5.0, ledger)
    assert (found.page.text, found.page.provider) == ("Page 7", "mine")
    [note] = await ledger.notes()
    assert (note["cost_usd"], note["model"]) == (0.001, "almanac-1")


def test_a_kind_that_nobody_brings_is_refused_by_name() -> None:
    with pytest.raises(BadInput, match=r"\[providers\.mine\] kind 'almanac' is none that anything here speaks to"):
        make_readers(provider_queues(MINE))


@pytest.mark.usefixtures("installed")
def test_what_plugins_bring_is_among_the_known_kinds() -> None:
    other = {"other": {"kind": "calendar"}}
    with pytest.raises(BadInput) as refused:
        make_readers(provider_queues(other))
    assert "almanac" in refused.value.next_step
    assert "mistral-ocr" in refused.value.next_step


@pytest.mark.parametrize(
    ("code", "says"),
    [
        (None, "ModuleNotFoundError: No module named 'almanac_for_shelf'"),
        ("import nowhere_at_all", "ModuleNotFoundError: No module named 'nowhere_at_all'"),
        ("x = 1", "AttributeError: module 'almanac_for_shelf' has no attribute 'Almanac'"),
        ("def Almanac(row):\n    raise RuntimeError('no licence')", "RuntimeError: no licence"),
        ("Almanac = 5", "TypeError: 'int' object is not callable"),
    ],
)
@pytest.mark.usefixtures("installed")
def test_a_package_that_does_not_work_is_named(tmp_path: Path, code: str | None, says: str) -> None:
    module = tmp_path / "almanac_for_shelf.py"
    module.unlink() if code is None else module.write_text(code)
    with pytest.raises(BadInput) as refused:
        make_readers(provider_queues(MINE))
    assert "[providers.mine] kind 'almanac' comes from the package almanac-for-shelf 1.0" in str(refused.value)
    assert says in str(refused.value)
    assert "[providers.mine]" in refused.value.next_step
    # Whoever does not use it is not troubled.
    assert "mistral" in make_readers(provider_queues())
