"""Better readings of the worst pages of a real scan, bought from a loopback service that keeps the bill."""

from __future__ import annotations

import asyncio
import io
import json
import random
from collections import Counter
from collections.abc import Iterator, Sequence
from decimal import Decimal
from pathlib import Path

import pymupdf
import pytest
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from activities.ranking import RankInput, rank
from schemas.documents import Page
from schemas.pagespec import parse_pages
from tests.e2e.machine import Machine, until
from tests.providers.remote.ocr_services import Mistral, PrintedLine
from tests.providers.remote.server import ScriptedServer, slow

pytestmark = pytest.mark.slow

PAGES = 9
PRICE = Decimal("0.004")
KEY = "sk-of-the-test-0815"
SIZE = (600, 840)
LINE, FIRST, LEFT, TEXT_SIZE = 52, 70, 60, 20
TEXT = (
    "It was late when the doctor came",
    "and nobody had lit the lamp there",
    "in the narrow hall of the old house",
    "where the letters of many winters",
    "lay unopened on a wooden table",
    "under the portrait of the captain",
    "who had sailed from the harbour",
    "with candles and silver for the",
    "village behind the mountains and",
    "had never written a single word",
    "to his brother or to anybody else",
)


def printed(_: bytes) -> Sequence[PrintedLine]:
    """What stands on every page, as a good service reads it."""
    font = ImageFont.load_default(TEXT_SIZE)
    found = []
    for at, text in enumerate(TEXT):
        top = FIRST + at * LINE
        box = (
            LEFT / SIZE[0],
            top / SIZE[1],
            (LEFT + font.getlength(text)) / SIZE[0],
            (top + TEXT_SIZE * 1.2) / SIZE[1],
        )
        found.append(PrintedLine(text, box))
    return found


def scan(path: Path) -> Path:
    """A book of the same page, scanned ever better."""
    font, chance = ImageFont.load_default(TEXT_SIZE), random.Random(1)
    document = pymupdf.open()
    for page in range(1, PAGES + 1):
        image = Image.new("L", SIZE, 235)
        draw = ImageDraw.Draw(image)
        for at, text in enumerate(TEXT):
            draw.text((LEFT, FIRST + at * LINE), text, 60, font=font)
        noise = Image.frombytes("L", SIZE, chance.randbytes(SIZE[0] * SIZE[1]))
        blurred = image.filter(ImageFilter.GaussianBlur(2.2 - 0.12 * page))
        body = io.BytesIO()
        Image.blend(blurred, noise, 0.12).save(body, "png")
        document.new_page(width=300, height=420).insert_image((0, 0, 300, 420), stream=body.getvalue())
    path.parent.mkdir(parents=True, exist_ok=True)
    document.save(path)
    return path


@pytest.fixture
def service() -> Iterator[tuple[Mistral, ScriptedServer]]:
    mistral = Mistral(key=KEY, usd_per_page=float(PRICE), read=printed)
    with ScriptedServer(mistral.handlers()) as server:
        yield mistral, server


@pytest.fixture
def machine_with_mistral(
    tmp_path: Path, defradb_binary: Path, service: tuple[Mistral, ScriptedServer]
) -> Iterator[Machine]:
    machine = Machine(tmp_path, defradb_binary, counted=False)
    machine.environment |= {
        "MISTRAL_API_KEY": KEY,
        "SHELF_PROVIDERS": json.dumps(
            {"mistral": {"base_url": service[1].url, "usd_per_page": float(PRICE), "in_flight": 2}}
        ),
    }
    try:
        machine.start()
        yield machine
    finally:
        machine.end()


async def test_a_worker_that_dies_while_pages_are_bought_costs_no_page_twice_unreported(
    machine_with_mistral: Machine, service: tuple[Mistral, ScriptedServer]
) -> None:
    machine, (mistral, server) = machine_with_mistral, service
    source = scan(machine.folder / "scans" / "foggy.pdf")
    book = (await machine.run_job("foggy", {"source": str(source), "second_opinion": ""})).book_id
    async with machine.store() as store:
        asked = RankInput(book_id=book, pages=f"1-{PAGES}", providers=("mistral",), most=PAGES)
        worst = [each.page for each in (await rank(store, asked)).pages]
    assert len(worst) >= 7

    # The second lot hangs when the worker dies.
    server.rule = lambda request: slow(mistral.ocr(request), 2.0) if request.number > 5 else None
    buying = asyncio.create_task(asyncio.to_thread(machine.shelf, "improve", book, "--budget", "0.035", "--json"))
    await until("the second lot is under way", lambda: len(server.log) > 5)
    machine.kill("worker")
    server.rule = None
    machine.start("worker")
    done = await buying
    assert done.returncode == 0, done.stderr
    summary = json.loads(done.stdout)
    bought = summary["purchase"]
    assert (summary["job"], summary["state"]) == ("Improve", "complete")
    assert bought["considered"] == len(worst)
    assert parse_pages(bought["lots"][0]["pages"]) == sorted(worst[:5])
    assert bought["wrong_after"] < 0.7 * bought["wrong_before"]
    pages = parse_pages(bought["pages"])
    assert len(bought["lots"]) >= 2

    # The bill: each page once, but for those that were under way, and all of it is reported.
    attempts = [each for each in await machine.attempts(book) if each.provider == "mistral"]
    lost = [each for each in attempts if each.outcome == "unknown"]
    paid = Counter(str(entry.request.json["document"]["image_url"]) for entry in server.log if entry.charge_usd)
    assert len(paid) == len(pages)
    assert sum(paid.values()) - len(paid) <= len(lost) <= 2
    reported = sum((Decimal(repr(each.cost_usd)) for each in attempts), Decimal(0))
    assert reported == PRICE * (len(pages) + len(lost)) <= Decimal("0.035")
    assert Decimal(repr(bought["cost_usd"])) == reported
    async with machine.store() as store:
        after = {page.page: page for page in await store.find(Page, {"book_key": book})}
    assert {at for at, page in after.items() if any("/ocr/mistral/" in key for key in page.ocr_results or ())} == set(
        pages
    )

    assert await machine.held_leases() == []
