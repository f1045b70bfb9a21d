"""Which pages `Improve` buys next, from whom, and when it stops. Pure: a test drives it with literals.

Gains are expected ones: characters that were expected to be wrong or missing before, less those that are after. Pages are
bought from the worst on, so the gain per dollar falls by itself; what is bought at a time grows, so that one page says less
the later it is.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from activities.contracts import Lot, Purchase
from activities.ranking import PageErrors
from schemas.pagespec import format_pages, parse_pages

FIRST_LOT = 5
LARGEST_LOT = 40
"""Lots double up to this."""
LEAST_SHARE = 0.1
"""Of the first lot's gain per dollar: below it nothing more is bought. The first pages may be ruins, with half of their text
wrong; with a quarter of what those gain, a page on which one character in twelve is wrong would be left as it is."""
LEAST_PER_USD = 1000.0
"""Expected characters per dollar: four on a page of 0.4 cents."""
LEAST_PER_PAGE = 1.0
"""Expected characters on each page, of a provider that costs nothing."""
CENT = 1e-9


@dataclass(frozen=True, slots=True)
class Offer:
    """What a page costs at a provider."""

    provider: str
    high_usd: float
    """At most, with all that follows from the reading; 0.0 where it is free."""
    paid: bool


class Buyer:
    """Decides; whoever carries it out tells it what came of it."""

    def __init__(self, offers: Sequence[Offer], budget_usd: float | None, most_pages: int | None) -> None:
        self.offers = list(offers)
        self.budget_usd = budget_usd
        self.most_pages = most_pages
        self.lots: list[Lot] = []
        self.tried: set[int] = set()
        self.stopped = ""
        """Why nothing more is bought; '' while it goes on."""
        self._before: dict[int, PageErrors] = {}
        self._after: dict[int, PageErrors] = {}
        self._read: set[int] = set()
        self._considered: int | None = None

    @property
    def comparing(self) -> bool:
        """Several providers are left: the next lot is read by each of them."""
        return len(self.offers) > 1

    @property
    def providers(self) -> tuple[str, ...]:
        """Those that are left."""
        return tuple(offer.provider for offer in self.offers)

    def next_lot(self, worst: Sequence[PageErrors], count: int, spent_usd: float) -> tuple[int, ...]:
        """Pages to buy now, ascending; () where it ends, and `stopped` says why.

        Args:
            worst: pages that none of `providers` has read, the worst first.
            count: how many of them there are.
            spent_usd: by all that was done so far.
        """
        if self._considered is None:
            self._considered = count
        size = min(FIRST_LOT * 2 ** len(self._mine()), LARGEST_LOT)
        if not self.stopped:
            self.stopped = self._fallen() or self._none_left(worst)
        if not self.stopped and self.most_pages is not None:
            size = min(size, self.most_pages - len(self.tried))
            if size < 1:
                self.stopped = f"{self.most_pages} pages were asked for at most."
        if not self.stopped and (pays := self._pays_for(spent_usd)) is not None:
            size = min(size, pays)
            if size < 1:
                self.stopped = (
                    f"{self.budget_usd:g} USD do not pay for one more page: {spent_usd:.4f} are spent, and it may cost "
                    f"{self._high():.4f}."
                )
        if self.stopped:
            return ()
        chosen = self._worth(worst[:size])
        self._before |= {each.page: each for each in chosen}
        self.tried |= {each.page for each in chosen}
        return tuple(sorted(each.page for each in chosen))

    def bought(self, provider: str, read: Iterable[int], after: Iterable[PageErrors], cost_usd: float) -> Lot:
        """A lot came back: which of its pages were read, how they are now, and what all of it cost."""
        pages = set(read)
        self._note(pages, after)
        lot = self._lot(provider, pages, {page: self._after[page] for page in pages if page in self._after}, cost_usd)
        self.lots.append(lot)
        return lot

    def compared(self, rated: Mapping[str, tuple[set[int], Sequence[PageErrors], float]]) -> Lot | None:
        """Every provider has read the same pages; the best for the money goes on. None where none gained anything.

        Args:
            rated: provider -> pages that it read, how they would be with its reading alone, what it cost.
        """
        lots = [
            self._lot(provider, read, {each.page: each for each in after}, cost, compared=True)
            for provider, (read, after, cost) in rated.items()
        ]
        self.lots += lots
        paid = {offer.provider: offer.paid for offer in self.offers}
        best = max(lots, key=lambda lot: (rate(lot, paid[lot.provider]), gain(lot)))
        if gain(best) <= 0.0:
            self.offers = []
            self.stopped = (
                f"no reading of {', '.join(rated)} promised fewer errors on the pages that they were compared on."
            )
            return None
        self.offers = [offer for offer in self.offers if offer.provider == best.provider]
        return best

    def blended(self, read: Iterable[int], after: Iterable[PageErrors]) -> None:
        """How the pages on which providers were compared are with the readings of all."""
        self._note(set(read), after)

    def purchase(self, spent_usd: float) -> Purchase:
        """What all of it came to."""
        pairs = [(self._before[page], self._after.get(page, self._before[page])) for page in sorted(self._read)]
        before, after = _sums(pairs)
        return Purchase(
            considered=self._considered or 0,
            provider=self.offers[0].provider if len(self.offers) == 1 else "",
            lots=tuple(self.lots),
            pages=format_pages(self._read),
            cost_usd=round(spent_usd, 10),
            wrong_before=before,
            wrong_after=after,
            stopped=self.stopped,
        )

    def _note(self, read: set[int], after: Iterable[PageErrors]) -> None:
        self._read |= read
        self._after |= {each.page: each for each in after}

    def _lot(
        self, provider: str, read: set[int], after: Mapping[int, PageErrors], cost_usd: float, *, compared: bool = False
    ) -> Lot:
        pairs = [(self._before[page], after.get(page, self._before[page])) for page in sorted(read)]
        wrong_before, wrong_after = _sums(pairs)
        return Lot(
            provider=provider,
            pages=format_pages(read),
            compared=compared,
            cost_usd=round(cost_usd, 10),
            wrong_before=wrong_before,
            wrong_after=wrong_after,
        )

    def _mine(self) -> list[Lot]:
        """Lots of the provider that goes on; while several are compared, none."""
        return [lot for lot in self.lots if not self.comparing and lot.provider in self.providers]

    def _high(self) -> float:
        """Of one page, by all that are to read it."""
        return sum(offer.high_usd for offer in self.offers)

    def _pays_for(self, spent_usd: float) -> int | None:
        """Pages that what is left surely pays for; None where money does not count."""
        if self.budget_usd is None or not self._high():
            return None
        return max(0, math.floor((self.budget_usd - spent_usd + CENT) / self._high()))

    def _least(self) -> float:
        """Gain per dollar, or per page where nothing is paid, below which it is not worth it."""
        mine = self._mine()
        paid = any(offer.paid for offer in self.offers)
        first = rate(mine[0], paid) if mine else 0.0
        return max(LEAST_PER_USD if paid else LEAST_PER_PAGE, LEAST_SHARE * first if math.isfinite(first) else 0.0)

    def _fallen(self) -> str:
        mine = self._mine()
        if not mine:
            return ""
        paid = self.offers[0].paid
        last = rate(mine[-1], paid)
        if last >= self._least():
            return ""
        per = "dollar" if paid else "page"
        if len(mine) == 1:
            return f"the first pages gained {last:,.0f} characters per {per}."
        return f"the gain fell: the last pages gained {last:,.0f} characters per {per}, the first {rate(mine[0], paid):,.0f}."

    def _none_left(self, worst: Sequence[PageErrors]) -> str:
        if worst:
            return ""
        who = self.providers[0] if not self.comparing else f"none of {', '.join(self.providers)}"
        has = "has" if self.comparing else "has not"
        return f"no page is left on which errors are expected and that {who} {has} read."

    def _worth(self, worst: Sequence[PageErrors]) -> list[PageErrors]:
        """Those that promise enough, if as large a part of their errors goes as on the pages before (all of them, where
        nothing is known). Where none does, `stopped` says so."""
        mine = self._mine()
        paid = any(offer.paid for offer in self.offers)
        before = sum(lot.wrong_before for lot in mine)
        removed = sum(map(gain, mine)) / before if before else 1.0
        price = self._price() if paid else 1.0
        if not price:
            return list(worst)  # nobody knows it, and that was allowed
        least = self._least()
        worth = [page for page in worst if removed * page.wrong / price >= least]
        if not worth:
            self.stopped = (
                f"the next page promises {removed * worst[0].wrong / price:,.0f} characters per "
                f"{'dollar' if paid else 'page'}: {worst[0].wrong:,.0f} of it are expected to be wrong."
            )
        return worth

    def _price(self) -> float:
        """Of a page by the one that goes on: what it cost so far, else what it may cost; of several the lowest."""
        if self.comparing:
            return min(offer.high_usd for offer in self.offers)
        mine = self._mine()
        pages = sum(_count(lot) for lot in mine)
        cost = sum(lot.cost_usd for lot in mine)
        return cost / pages if cost and pages else self._high()


def gain(lot: Lot) -> float:
    """Characters."""
    return lot.wrong_before - lot.wrong_after


def rate(lot: Lot, paid: bool) -> float:
    """Gain per dollar; per page where nothing is paid. What was paid for before and lay there is worth any price."""
    pages = _count(lot)
    if not pages:
        return 0.0
    if not paid:
        return gain(lot) / pages
    if lot.cost_usd:
        return gain(lot) / lot.cost_usd
    return math.inf if gain(lot) > 0.0 else 0.0


def _count(lot: Lot) -> int:
    return len(parse_pages(lot.pages))


def _sums(pairs: Sequence[tuple[PageErrors, PageErrors]]) -> tuple[float, float]:
    """Expected wrong characters before and after. Both by the longer of the two texts: a line that was found has not become
    more of an error."""
    longer = [max(before.characters, after.characters) for before, after in pairs]
    sums = (sum(pair[at].cer * length for pair, length in zip(pairs, longer, strict=True)) for at in (0, 1))
    before, after = (round(each, 2) for each in sums)
    return before, after
