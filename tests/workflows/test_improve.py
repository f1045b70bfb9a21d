"""Better readings are bought for the worst pages, for the money that there is, and no longer than it is worth it."""

from __future__ import annotations

import asyncio
import random
import re
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from temporalio.client import WorkflowFailureError
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.exceptions import ApplicationError, CancelledError
from temporalio.worker import Replayer
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner, SandboxRestrictions

from activities.contracts import JobResult, Purchase
from activities.ranking import RankInput, rank
from providers.base import Reading
from providers.errors import ProviderError, Rejected
from providers.ledger import Calls, Response
from providers.prices import Usage
from providers.source import LeafSource
from schemas.documents import Budget, Lease, Metric
from schemas.keys import budget_key
from schemas.pagespec import parse_pages
from schemas.store import Update
from tests.workflows.conftest import Shelf, progress, reading, until
from worker import PASSED_THROUGH, make_workers
from workflows.registry import WORKFLOWS

PAGES = 24
DOUBTFUL = 18
"""So many pages Tesseract reads badly, the first ones worst."""
PAGE_WORDS = 90
WORDS = re.findall(
    "[a-z]+",
    "weather morning harbour letters windows gardens thunder whisper candles forests journey kitchen markets evening "
    "shadows bridges hunters islands valleys station carpets mirrors doctors engines captain village",
)
"""Of seven letters each, so that as many wrong words are as many wrong letters."""


def words(page: int) -> list[str]:
    """What is printed there; no two pages alike."""
    return random.Random(page).choices(WORDS, k=PAGE_WORDS)


def lines(words: Sequence[str]) -> list[str]:
    return [" ".join(words[at : at + 10]) for at in range(0, len(words), 10)]


def wrong_words(page: int) -> int:
    """The first ones of a page, as Tesseract reads it."""
    return max(0, 5 * (DOUBTFUL + 1 - page))


class Seller:
    """A page-priced provider in the test's own hands, behind the real ledger."""

    def __init__(self, name: str, confidence: float = 99.0) -> None:
        self.name = name
        self.confidence = confidence
        self.calls: Counter[int] = Counter()
        self.fail: Callable[[int], ProviderError | None] = lambda page: None
        self.gate: Callable[[int], asyncio.Event | None] = lambda page: None
        self.usd: float | None = None
        """What its responses say that they cost."""

    def model(self, language: str) -> str:
        return f"{self.name}-1"

    def parameters(self) -> dict[str, object]:
        return {}

    async def read(self, leaf: LeafSource, language: str, timeout_seconds: float, calls: Calls) -> Reading:
        async def send() -> Response[str]:
            self.calls[leaf.page] += 1
            if (gate := self.gate(leaf.page)) is not None:
                await gate.wait()
            if (error := self.fail(leaf.page)) is not None:
                raise error
            return Response("", Usage(pages=1, cost_usd=self.usd), self.model(language))

        await calls.paid(send)
        return Reading(reading(self.name, lines(words(leaf.page)), self.confidence), 0.01)

    async def close(self) -> None:
        return None


@pytest.fixture
async def sellers(shelf: Shelf) -> AsyncIterator[tuple[Seller, Seller]]:
    """Mistral reads well for 0.4 cents a page, Google Vision hardly better than Tesseract for 0.2."""
    mistral, google = Seller("mistral"), Seller("google-vision", 59.0)
    queues = shelf.services.queues
    for seller, usd in ((mistral, 0.004), (google, 0.002)):
        shelf.services.remote[seller.name] = seller
        queues[seller.name] = replace(queues[seller.name], requests_per_second=None, usd_per_page=usd)
    async with AsyncExitStack() as stack:
        for worker in make_workers(shelf.client, shelf.services, shelf.pdf, [mistral.name, google.name]):  # type: ignore[arg-type]
            await stack.enter_async_context(worker)
        yield mistral, google


@pytest.fixture
async def book(shelf: Shelf, sellers: tuple[Seller, Seller]) -> str:
    """Eighteen pages of doubtful words, the fewer the later; then six good ones."""
    shelf.services.second_opinion = ""
    read = shelf.tesseract.read

    async def doubtful(leaf: LeafSource, language: str, timeout_seconds: float) -> Reading:
        found = await read(leaf, language, timeout_seconds)
        for word in [word for line in found.page.lines for word in line.words][: wrong_words(leaf.page)]:
            word.confidence = 30.0
        return found

    shelf.tesseract.texts = {
        page: lines(
            [
                word.replace("e", "c").replace("r", "v") if at < wrong_words(page) else word
                for at, word in enumerate(words(page))
            ]
        )
        for page in range(1, PAGES + 1)
    }
    shelf.tesseract.read = doubtful  # type: ignore[method-assign]
    return (await shelf.run(PAGES)).book_id


def replayer() -> Replayer:
    restrictions = SandboxRestrictions.default.with_passthrough_modules(*PASSED_THROUGH)
    return Replayer(
        workflows=WORKFLOWS,
        workflow_runner=SandboxedWorkflowRunner(restrictions=restrictions),
        data_converter=pydantic_data_converter,
    )


async def improve(shelf: Shelf, book: str, *providers: str, **options: Any) -> tuple[JobResult, Purchase]:
    result = await shelf.run(workflow="Improve", book_id=book, providers=providers or ["mistral"], **options)
    assert result.purchase is not None
    return result, result.purchase


async def paid(shelf: Shelf) -> Decimal:
    metrics = await shelf.store.find(Metric, {})
    return sum((Decimal(repr(metric.cost_usd)) for metric in metrics if metric.kind == "attempt"), Decimal(0))


async def test_the_worst_pages_are_bought_until_the_gain_falls(
    shelf: Shelf, sellers: tuple[Seller, Seller], book: str
) -> None:
    mistral, google = sellers
    before = await shelf.pages(book)
    result, bought = await improve(shelf, book, budget_usd=2.0)
    pages = parse_pages(bought.pages)
    assert result.state == "complete"
    assert [parse_pages(lot.pages) for lot in bought.lots][:2] == [list(range(1, 6)), list(range(6, 16))]
    assert bought.stopped.startswith(("the gain fell", "the next page promises"))
    assert 15 <= len(pages) < DOUBTFUL, "the good pages, and those that are nearly good, are not worth it"
    assert mistral.calls == Counter(pages)
    assert google.calls.total() == 0
    assert Decimal(repr(bought.cost_usd)) == await paid(shelf) == Decimal("0.004") * len(pages)
    after = await shelf.pages(book)
    assert all(len(after[page].ocr_results or []) == 2 for page in pages)
    assert all((after[page].expected_cer or 0.0) < 0.7 * (before[page].expected_cer or 0.0) for page in pages)
    assert bought.wrong_after < 0.7 * bought.wrong_before
    assert (result.operations["ocr"].complete, result.operations["blend"].complete) == (len(pages), len(pages))
    assert (await shelf.store.get(Lease, [book]))[book].workflow_id is None

    # Again: what was bought is not paid for twice, and the rest is still not worth it.
    total = mistral.calls.total()
    _, again = await improve(shelf, book, budget_usd=2.0)
    assert not set(parse_pages(again.pages)) & set(pages)
    assert set(mistral.calls.values()) == {1}
    assert mistral.calls.total() - total <= DOUBTFUL - len(pages)


async def test_it_stops_at_the_budget(shelf: Shelf, sellers: tuple[Seller, Seller], book: str) -> None:
    mistral, _ = sellers
    handle = await shelf.start(workflow="Improve", book_id=book, providers=["mistral"], budget_usd=0.05)
    result = await handle.result()
    assert result.purchase is not None
    assert mistral.calls == Counter(range(1, 13))
    assert result.purchase.stopped.startswith("0.05 USD do not pay for one more page: 0.0480 are spent")
    description = await handle.describe()
    key = budget_key(description.id, description.run_id)
    assert (await shelf.store.get(Budget, [key]))[key].spent_usd == pytest.approx(0.048)


async def test_a_page_that_costs_more_than_was_said_ends_it_and_pauses_nothing(
    shelf: Shelf, sellers: tuple[Seller, Seller], book: str
) -> None:
    mistral, _ = sellers
    mistral.usd = 0.008
    shelf.services.queues["mistral"] = replace(shelf.services.queues["mistral"], in_flight=1)
    result, bought = await improve(shelf, book, budget_usd=0.021)
    assert result.state == "complete"
    assert (bought.pages, bought.cost_usd) == ("1-3", pytest.approx(0.024))
    assert bought.stopped.startswith("the budget of this job is used up")


async def test_two_providers_read_the_same_pages_and_the_better_goes_on(
    shelf: Shelf, sellers: tuple[Seller, Seller], book: str
) -> None:
    mistral, google = sellers
    result, bought = await improve(shelf, book, "google-vision", "mistral", budget_usd=2.0)
    assert bought.provider == "mistral"
    compared = [lot for lot in bought.lots if lot.compared]
    assert [(lot.provider, lot.pages) for lot in compared] == [("google-vision", "1-5"), ("mistral", "1-5")]
    gains = [lot.wrong_before - lot.wrong_after for lot in compared]
    assert gains[1] > gains[0], "although its reading came second, and what the first gained was gone by then"
    assert google.calls == Counter(range(1, 6))
    assert set(mistral.calls) == set(parse_pages(bought.pages)) > set(range(1, 11))
    assert Decimal(repr(bought.cost_usd)) == await paid(shelf)
    documents = await shelf.pages(book)
    assert all(len(documents[page].ocr_results or []) == 3 for page in range(1, 6))
    assert all(documents[page].flag("blend", "complete") for page in range(1, PAGES + 1))
    assert "mistral gains most for the money and goes on." in result.notes
    # From the first event: a worker that takes the job over decides alike.
    await replayer().replay_workflow(await shelf.handles[-1].fetch_history())


async def test_a_page_that_cannot_be_read_is_a_gap_and_is_not_tried_again(
    shelf: Shelf, sellers: tuple[Seller, Seller], book: str
) -> None:
    mistral, _ = sellers
    mistral.fail = lambda page: Rejected("it shows nothing") if page in (2, 7) else None
    result, bought = await improve(shelf, book, budget_usd=2.0)
    assert result.state == "complete_with_gaps"
    assert {(item.page, item.operation) for item in result.failed} >= {(2, "ocr"), (7, "ocr")}
    assert not {2, 7} & set(parse_pages(bought.pages))
    assert (mistral.calls[2], mistral.calls[7]) == (1, 1)
    documents = await shelf.pages(book)
    assert documents[2].text, "it keeps what it had"


async def test_a_pause_is_waited_for_and_a_cancel_keeps_what_was_bought(
    shelf: Shelf, sellers: tuple[Seller, Seller], book: str
) -> None:
    mistral, _ = sellers
    gate = asyncio.Event()
    mistral.gate = lambda page: gate if page == 8 else None
    handle = await shelf.start(workflow="Improve", book_id=book, providers=["mistral"], budget_usd=2.0)
    await until(lambda: mistral.calls[8])
    await handle.signal("pause", "lunch")
    gate.set()

    async def is_paused() -> bool:
        return (await progress(handle)).state == "paused"

    await until(is_paused)
    found = await progress(handle)
    assert (found.reason, found.book_id) == ("lunch", book)
    assert 5 < found.operations["ocr"].complete <= 15
    asked = mistral.calls.total()
    gate.clear()
    mistral.gate = lambda page: gate if page > 15 else None
    await handle.signal("resume")
    await until(lambda: mistral.calls.total() > max(15, asked))
    await handle.cancel()
    gate.set()
    with pytest.raises(WorkflowFailureError) as ended:
        await handle.result()
    assert isinstance(ended.value.cause, CancelledError)
    assert set(mistral.calls.values()) == {1}
    assert (await shelf.store.get(Lease, [book]))[book].workflow_id is None
    documents = await shelf.pages(book)
    assert all(len(documents[page].ocr_results or []) == 2 for page in mistral.calls)


async def test_without_a_name_those_that_are_set_up_are_asked(
    shelf: Shelf, sellers: tuple[Seller, Seller], book: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for row in shelf.services.queues.values():
        if row.key_env:
            monkeypatch.delenv(row.key_env, raising=False)
    with pytest.raises(WorkflowFailureError) as failed:
        await shelf.run(workflow="Improve", book_id=book, budget_usd=1.0)
    assert isinstance(failed.value.cause, ApplicationError)
    assert failed.value.cause.type == "BadInput"
    assert "No paid provider that reads pages is set up" in str(failed.value.cause)
    monkeypatch.setenv("MISTRAL_API_KEY", "for the test")
    result = await shelf.run(workflow="Improve", book_id=book, budget_usd=0.02)
    assert result.purchase is not None
    assert (result.purchase.provider, result.purchase.pages) == ("mistral", "1-5")


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"providers": ["mistral"]}, "It is not said how much may be paid to mistral"),
        ({"providers": ["mistral", "nobody"], "budget_usd": 1.0}, "There is no OCR provider 'nobody'"),
        ({"providers": ["mistral", "mistral"], "budget_usd": 1.0}, "name each provider once"),
        ({"providers": ["mistral"], "most_pages": 0}, "most_pages"),
    ],
)
async def test_what_is_missing_is_said_before_anything_is_bought(
    shelf: Shelf, sellers: tuple[Seller, Seller], given: dict[str, Any], says: str
) -> None:
    key = (await shelf.run(2)).book_id
    with pytest.raises(WorkflowFailureError) as failed:
        await shelf.run(workflow="Improve", book_id=key, **given)
    assert isinstance(failed.value.cause, ApplicationError)
    assert failed.value.cause.type == "BadInput"
    assert says in str(failed.value.cause)
    assert sellers[0].calls.total() == 0
    assert (await shelf.store.get(Lease, [key]))[key].workflow_id is None


async def test_an_engine_of_ones_own_costs_nothing_and_needs_no_budget(shelf: Shelf, book: str) -> None:
    shelf.rapidocr.texts = {page: lines(words(page)) for page in range(1, PAGES + 1)}
    result, bought = await improve(shelf, book, "rapidocr", most_pages=7)
    assert (bought.pages, bought.cost_usd, bought.stopped) == ("1-7", 0.0, "7 pages were asked for at most.")
    assert result.cost_usd == 0.0
    assert bought.wrong_after < bought.wrong_before


async def test_pages_are_ranked_by_their_expected_errors(shelf: Shelf, book: str) -> None:
    from schemas.documents import Correction, Page

    def asked(**given: Any) -> RankInput:
        return RankInput(**{"book_id": book, "pages": f"1-{PAGES}", "providers": (), "most": 3, **given})

    found = await rank(shelf.store, asked())
    assert [each.page for each in found.pages] == [1, 2, 3]
    assert found.count == PAGES
    assert found.wrong > sum(each.wrong for each in found.pages)
    documents = await shelf.pages(book)
    correction = Correction(
        key=f"{documents[2].key}/correction/text/1",
        book_key=book,
        target=documents[2].key,
        field="text",
        number=1,
        value='"abc"',
    )
    await shelf.store.create(Correction, [correction])
    blank = Update(documents[3].key, {"image_steps": '{"blank": true}'}, {}, "blank")
    lost = Update(documents[20].key, {"text": "", "expected_cer": 0.9}, {}, "lost")
    await shelf.store.update(Page, "extract", 9, 1, [blank])
    await shelf.store.update(Page, "blend", 9, 1, [lost])
    found = await rank(shelf.store, asked(skip="4", measure="2,20"))
    assert [each.page for each in found.pages] == [20, 1, 5], "a page of which all text is lost is the worst"
    assert [each.page for each in found.measured] == [2, 20]
    assert [each.page for each in (await rank(shelf.store, asked(pages="10-12"))).pages] == [10, 11, 12]
    assert not (await rank(shelf.store, asked(providers=("tesseract",)))).pages, "it has read them all"
