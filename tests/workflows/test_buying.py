"""What is bought next, from whom, and why no more: the decisions of `Improve`, driven with literals."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest

from activities.contracts import Purchase
from activities.ranking import PageErrors
from schemas.pagespec import parse_pages
from workflows.buying import LEAST_SHARE, Buyer, Offer

PAGE_USD = 0.004
LENGTH = 2000.0

After = Callable[[PageErrors], PageErrors]


def book(*shares: float) -> list[PageErrors]:
    """Pages with these expected error rates."""
    return [PageErrors(page=page, cer=cer, characters=LENGTH) for page, cer in enumerate(shares, 1)]


def falling(pages: int, first: float = 0.2, last: float = 0.001) -> list[PageErrors]:
    """A book whose pages have ever fewer errors, as most have: few very bad ones, many that are nearly right."""
    return book(*(first * (last / first) ** (at / max(1, pages - 1)) for at in range(pages)))


def clean(left: float) -> After:
    """A provider that leaves this share of the errors."""
    return lambda page: page.model_copy(update={"cer": page.cer * left})


def buy(buyer: Buyer, pages: Sequence[PageErrors], readers: dict[str, tuple[float, After]]) -> Purchase:
    """Carry out what it decides. `readers`: provider -> (what a page costs, how it is afterwards)."""
    now = {page.page: page for page in pages}
    spent = 0.0
    while True:
        worst = sorted((now[at] for at in now if at not in buyer.tried), key=lambda page: -page.wrong)
        chosen = buyer.next_lot(worst[:40], len(worst), spent)
        if not chosen:
            return buyer.purchase(spent)
        rated = {}
        for provider in buyer.providers:
            price, after = readers[provider]
            spent += price * len(chosen)
            rated[provider] = (set(chosen), [after(now[at]) for at in chosen], price * len(chosen))
        if buyer.comparing:
            best = buyer.compared(rated)
            after = readers[best.provider if best else next(iter(rated))][1]
            now |= {at: after(now[at]) for at in chosen}
            buyer.blended(chosen, [now[at] for at in chosen])
        else:
            ((provider, (read, results, cost)),) = rated.items()
            now |= {page.page: page for page in results}
            buyer.bought(provider, read, results, cost)


def one(budget: float | None = None, most: int | None = None) -> Buyer:
    return Buyer([Offer("mistral", PAGE_USD, True)], budget, most)


def test_the_worst_pages_are_bought_and_lots_grow_until_the_gain_per_dollar_falls() -> None:
    found = buy(one(budget=10.0), falling(300), {"mistral": (PAGE_USD, clean(0.25))})
    bought = parse_pages(found.pages)
    assert bought == list(range(1, len(bought) + 1)), "the worst first"
    sizes = [len(parse_pages(lot.pages)) for lot in found.lots]
    assert sizes[:4] == [5, 10, 20, 40]
    assert found.stopped.startswith(("the gain fell", "the next page promises"))
    assert 75 < len(bought) < 200
    first = (found.lots[0].wrong_before - found.lots[0].wrong_after) / found.lots[0].cost_usd
    each = [(lot.wrong_before - lot.wrong_after) / lot.cost_usd for lot in found.lots]
    assert all(gain >= LEAST_SHARE * first for gain in each)
    assert found.wrong_after == pytest.approx(0.25 * found.wrong_before, rel=0.001)
    assert found.cost_usd == pytest.approx(PAGE_USD * len(bought))
    assert found.considered == 300


def test_what_promises_too_little_is_not_bought_to_find_out() -> None:
    """After the bad pages nothing is left but good ones: no lot of those is paid for."""
    found = buy(one(budget=10.0), book(*[0.2] * 15, *[0.004] * 50), {"mistral": (PAGE_USD, clean(0.1))})
    assert parse_pages(found.pages) == list(range(1, 16))
    assert found.stopped == "the next page promises 1,800 characters per dollar: 8 of it are expected to be wrong."


def test_a_provider_that_does_not_help_is_given_up_after_the_first_pages() -> None:
    found = buy(one(budget=10.0), falling(300), {"mistral": (PAGE_USD, clean(1.0))})
    assert (found.pages, found.cost_usd) == ("1-5", pytest.approx(5 * PAGE_USD))
    assert found.stopped == "the first pages gained 0 characters per dollar."


@pytest.mark.parametrize(
    ("budget", "pages"), [(0.02, 5), (0.0199, 4), (0.1, 25), (0.003, 0)], ids=["just", "short", "lots", "none"]
)
def test_the_budget_is_never_exceeded(budget: float, pages: int) -> None:
    found = buy(one(budget=budget), falling(300), {"mistral": (PAGE_USD, clean(0.1))})
    assert len(parse_pages(found.pages)) == pages
    assert found.cost_usd <= budget + 1e-9
    assert "do not pay for one more page" in found.stopped


def test_at_most_so_many_pages() -> None:
    found = buy(one(most=7), falling(300), {"mistral": (PAGE_USD, clean(0.1))})
    assert (found.pages, found.stopped) == ("1-7", "7 pages were asked for at most.")


def test_a_book_without_errors_costs_nothing() -> None:
    found = buy(one(budget=1.0), [], {})
    assert (found.considered, found.lots, found.cost_usd) == (0, (), 0.0)
    assert found.stopped == "no page is left on which errors are expected and that mistral has not read."
    good = buy(one(budget=1.0), book(*[0.0004] * 10), {})
    assert (good.considered, good.lots) == (10, ())
    assert good.stopped.startswith("the next page promises")


OFFERS = [Offer("mistral", 0.004, True), Offer("google-vision", 0.0015, True)]


@pytest.mark.parametrize(
    ("left", "best"),
    [((0.1, 0.2), "google-vision"), ((0.1, 0.9), "mistral"), ((0.9, 0.97), "mistral")],
    ids=["cheap and good", "dear and much better", "hardly any"],
)
def test_of_two_the_better_for_the_money_goes_on(left: tuple[float, float], best: str) -> None:
    readers = {"mistral": (0.004, clean(left[0])), "google-vision": (0.0015, clean(left[1]))}
    found = buy(Buyer(list(OFFERS), 1.0, None), falling(100), readers)
    assert found.provider == best
    assert [(lot.provider, lot.pages, lot.compared) for lot in found.lots[:2]] == [
        ("mistral", "1-5", True),
        ("google-vision", "1-5", True),
    ]
    assert {lot.provider for lot in found.lots[2:]} == {best}
    sizes = [len(parse_pages(lot.pages)) for lot in found.lots[2:]]
    assert sizes[0] == 10, "the pages of the comparison were its first lot"


def test_a_comparison_is_paid_for_by_every_provider() -> None:
    readers = {"mistral": (0.004, clean(0.1)), "google-vision": (0.0015, clean(0.1))}
    found = buy(Buyer(list(OFFERS), 0.012, None), falling(100), readers)
    assert parse_pages(found.pages) == [1, 2]
    assert found.cost_usd == pytest.approx(0.011)


def test_where_nobody_helps_nobody_goes_on() -> None:
    readers = {"mistral": (0.004, clean(1.0)), "google-vision": (0.0015, clean(1.2))}
    found = buy(Buyer(list(OFFERS), 1.0, None), falling(100), readers)
    assert (found.provider, found.pages) == ("", "1-5")
    assert found.stopped == (
        "no reading of mistral, google-vision promised fewer errors on the pages that they were compared on."
    )


def test_a_free_provider_is_judged_by_the_page() -> None:
    buyer = Buyer([Offer("ollama", 0.0, False)], None, None)
    found = buy(buyer, book(*[0.1] * 20, *[0.0006] * 100), {"ollama": (0.0, clean(0.2))})
    assert parse_pages(found.pages) == list(range(1, 21))
    assert found.stopped == "the next page promises 1 characters per page: 1 of it are expected to be wrong."


def test_pages_that_nobody_could_read_are_not_tried_again() -> None:
    buyer, pages = one(budget=1.0), falling(20)
    assert buyer.next_lot(pages, 20, 0.0) == (1, 2, 3, 4, 5)
    lot = buyer.bought("mistral", {1, 2, 4}, [clean(0.1)(page) for page in pages[:5]], 0.012)
    assert lot.pages == "1-2,4"
    assert not {1, 2, 3, 4, 5} & set(buyer.next_lot(pages[5:], 15, 0.012))
    assert buyer.purchase(0.012).pages == "1-2,4"


def test_lines_that_are_found_again_are_a_gain_although_the_text_grows() -> None:
    buyer = one(budget=1.0)
    lost = [PageErrors(page=1, cer=0.5, characters=800.0)]
    assert buyer.next_lot(lost, 1, 0.0) == (1,)
    lot = buyer.bought("mistral", {1}, [PageErrors(page=1, cer=0.02, characters=1600.0)], PAGE_USD)
    assert (lot.wrong_before, lot.wrong_after) == (800.0, 32.0)
