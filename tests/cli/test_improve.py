"""`shelf improve`: what it would consider, what it asks of its job, what it says of a purchase."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any

import pytest
from typer.testing import CliRunner

from activities.contracts import Lot, Purchase
from cli import connect, starting
from cli.main import make_app
from cli.summary import show_purchase
from providers.queues import QUEUES
from tests.cli.conftest import BOOK, Library

Run = Callable[..., tuple[int, str, str]]
TEXT = "The Doctor came late. " * 50


@pytest.fixture
def foggy(library: Library, monkeypatch: pytest.MonkeyPatch) -> Library:
    """Page 1 has many expected errors, page 3 a few; no provider has a key."""
    from schemas.documents import Page
    from schemas.store import Update
    from tests.cli.conftest import key_of

    async def change() -> None:
        for page, cer in ((1, 0.2), (3, 0.01)):
            update = Update(key_of(page), {"text": TEXT, "expected_cer": cer}, {}, f"foggy {page}")
            await library.store.update(Page, "blend", 9, 1, [update])

    asyncio.run(change())
    for row in QUEUES:
        if row.key_env:
            monkeypatch.delenv(row.key_env, raising=False)
    return library


def test_a_preview_names_the_worst_pages_and_the_price(foggy: Library, shelf: Run) -> None:
    code, out, _ = shelf("improve", BOOK, "--with", "mistral", "--preview", "--json")
    assert code == 0
    found = json.loads(out)
    assert (found["key"], found["considered"]) == (BOOK, 2)
    assert found["worst"] == [
        {"page": 1, "expected_cer": 0.2, "wrong": 220.0},
        {"page": 3, "expected_cer": 0.01, "wrong": 11.0},
    ]
    (mistral,) = found["providers"]
    assert (mistral["provider"], mistral["usd_per_page"]["high"]) == ("mistral", 0.004)
    assert mistral["price_source"]
    code, out, _ = shelf("improve", BOOK, "--with", "mistral", "--with", "rapidocr", "--pages", "1", "--preview")
    assert code == 0
    assert f"{BOOK}: 1 page with 220 expected wrong characters; a page costs: mistral $0.0040, rapidocr free." in out


def test_by_default_those_that_are_set_up_are_asked(
    foggy: Library, shelf: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    code, _, said = shelf("improve", BOOK, "--preview")
    assert (code, "No paid provider that reads pages is set up" in said) == (2, True)
    monkeypatch.setenv("MISTRAL_API_KEY", "for the test")
    monkeypatch.setenv("GOOGLE_VISION_API_KEY", "for the test")
    monkeypatch.setenv("OPENROUTER_API_KEY", "of a model that nobody named, at a price that nobody knows")
    _, out, _ = shelf("improve", BOOK, "--preview", "--json")
    assert [each["provider"] for each in json.loads(out)["providers"]] == ["google-vision", "mistral"]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--with", "nobody"], "There is no OCR provider 'nobody'"),
        (["--with", "mistral", "--pages", "9"], "the book has 4 pages"),
        (["--with", "mistral", "--budget", "-1"], "is no amount"),
    ],
)
def test_what_is_wrong_is_said(foggy: Library, shelf: Run, arguments: list[str], says: str) -> None:
    code, _, said = shelf("improve", BOOK, "--preview", *arguments)
    assert (code, says in said) == (2, True), said


def test_what_the_job_is_given(foggy: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[tuple[str, dict[str, Any], str]] = []

    @asynccontextmanager
    async def working(**_: Any) -> Any:
        yield SimpleNamespace(store=foggy.store, settings=SimpleNamespace(providers={}))

    async def known_book(_: Any, text: str) -> str:
        return text

    async def run_job(_: Any, job: str, given: dict[str, Any], *, details: str, **__: Any) -> int:
        started.append((job, given, details))
        return 0

    monkeypatch.setattr(connect, "working", working)
    monkeypatch.setattr(starting, "known_book", known_book)
    monkeypatch.setattr(starting, "run_job", run_job)
    result = CliRunner().invoke(
        make_app(),
        ["improve", BOOK, "--budget", "2.00", "--with", "mistral", "--at-most", "9", "--pages", "1-3"],
    )
    assert result.exit_code == 0
    assert f"{BOOK}: 2 pages with 231 expected wrong characters" in result.stderr
    # Nobody is set up here: the worker may know somebody.
    assert CliRunner().invoke(make_app(), ["improve", BOOK, "--budget", "2"]).exit_code == 0
    assert started == [
        (
            "Improve",
            {"book_id": BOOK, "providers": ["mistral"], "pages": "1-3", "most_pages": 9, "budget_usd": 2.0},
            "mistral · 2 USD · at most 9 pages",
        ),
        ("Improve", {"book_id": BOOK, "budget_usd": 2.0}, "whoever is set up · 2 USD"),
    ]


def test_a_purchase_is_shown_lot_by_lot(capsys: pytest.CaptureFixture[str]) -> None:
    lots = (
        Lot(provider="mistral", pages="1-5", compared=True, cost_usd=0.02, wrong_before=666.0, wrong_after=303.0),
        Lot(provider="mistral", pages="6-7", cost_usd=0.008, wrong_before=42.0, wrong_after=27.0),
    )
    purchase = Purchase(
        considered=11,
        provider="mistral",
        lots=lots,
        pages="1-7",
        cost_usd=0.028,
        wrong_before=708.0,
        wrong_after=330.0,
        stopped="the gain fell.",
    )
    show_purchase({"purchase": purchase.model_dump(), "seconds": 4.0, "url": None, "failed": [], "failed_count": 0})
    shown = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    assert "mistral (compared) 1-5 $0.0200 666 303 18,150" in shown
    assert "mistral 6-7 $0.0080 42 27 1,875" in shown
    assert "Gained 378 expected wrong characters fewer (53%)" in shown
    assert "Stopped the gain fell." in shown
