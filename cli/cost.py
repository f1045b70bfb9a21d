"""`shelf cost`: what was spent, from the Metric documents, each attempt once."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.options import JSON

if TYPE_CHECKING:
    from schemas.documents import Metric

BY = ("book", "operation", "provider", "model", "day")
PERCENTILES = (50, 95, 99)
FIELDS = (
    *("book_key", "kind", "operation", "provider", "model", "at", "pages", "read", "queue_seconds"),
    *("execution_seconds", "input_tokens", "output_tokens", "cost_usd", "outcome"),
)


def cost(
    book: Annotated[
        str | None,
        typer.Argument(help="Key of a book, or its beginning; all books by default.", metavar="[BOOK]"),
    ] = None,
    by: Annotated[str, typer.Option("--by", help="Add up by book, operation, provider, model or day.")] = "provider",
    as_json: Annotated[bool, JSON] = False,
) -> None:
    """Tell what was spent, on what, and how long calls took. Every attempt counts, also those that failed.

    What nobody knows is apart: calls whose answer was lost count as unknown, at their highest estimate."""
    from cli import connect, output

    async def command() -> None:
        from cli.books import find_book
        from schemas.documents import Metric
        from schemas.errors import BadInput

        if by not in BY:
            raise BadInput(f"--by does not know {by!r}.", f"Known: {', '.join(BY)}.")
        async with connect.reading() as shelf:
            where = {"book_key": await find_book(shelf.store, book)} if book is not None else {}
            found = [each for each in await shelf.store.find(Metric, where, FIELDS) if each.kind == "attempt"]
        groups = add_up(found, by)
        if as_json:
            output.data({"by": by, "rows": [group.as_json() for group in groups], "total": total(found).as_json()})
        elif not groups:
            output.note("Nothing was called yet. Read a book: `shelf process FILE.pdf`.")
        else:
            _show(by, groups, total(found))

    connect.run(command)


@dataclass(slots=True)
class Group:
    """Attempts that belong together."""

    name: str
    calls: int = 0
    pages: int = 0
    """Read by the provider: found published counts nowhere."""
    failed: int = 0
    unknown: int = 0
    unpriced: int = 0
    """Answers of a paid provider whose price nobody knows: they are in no sum."""
    cost: Decimal = Decimal(0)
    """Of the outcomes that are known."""
    unknown_cost: Decimal = Decimal(0)
    """High estimates of those that are not."""
    input_tokens: int = 0
    output_tokens: int = 0
    queue_seconds: float = 0.0
    seconds: list[float] = field(default_factory=list)

    def add(self, metric: Metric) -> None:
        self.calls += 1
        self.pages += metric.read or 0
        self.failed += metric.outcome in ("failed", "partial")
        if metric.outcome == "unknown":
            self.unknown += 1
            self.unknown_cost += exactly(metric.cost_usd)
        else:
            self.unpriced += metric.cost_usd is None
            self.cost += exactly(metric.cost_usd)
        self.input_tokens += metric.input_tokens or 0
        self.output_tokens += metric.output_tokens or 0
        self.queue_seconds += metric.queue_seconds or 0.0
        if metric.execution_seconds is not None:
            self.seconds.append(metric.execution_seconds)

    def as_json(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "calls": self.calls,
            "pages": self.pages,
            "failed": self.failed,
            "cost_usd": float(self.cost),
            "unknown": self.unknown,
            "unknown_high_usd": float(self.unknown_cost),
            "unpriced": self.unpriced,
            "input_tokens": self.input_tokens,
            "output_tokens": self.output_tokens,
            "execution_seconds": {f"p{share}": percentile(self.seconds, share) for share in PERCENTILES},
            "queue_seconds": round(self.queue_seconds, 3),
        }


def exactly(cost_usd: float | None) -> Decimal:
    """As it is written, so that sums have no dust of binary fractions."""
    return Decimal(repr(cost_usd)) if cost_usd is not None else Decimal(0)


def add_up(metrics: Iterable[Metric], by: str) -> list[Group]:
    """A group for each book, operation, provider, model or day (of UTC); the dearest first, days in their order."""
    groups: dict[str, Group] = {}
    for metric in metrics:
        name = _name(metric, by)
        groups.setdefault(name, Group(name)).add(metric)
    if by == "day":
        return sorted(groups.values(), key=lambda group: group.name)
    return sorted(groups.values(), key=lambda group: (-group.cost - group.unknown_cost, -group.calls, group.name))


def total(metrics: Iterable[Metric]) -> Group:
    """All of them."""
    group = Group("total")
    for metric in metrics:
        group.add(metric)
    return group


def percentile(values: Sequence[float], share: int) -> float | None:
    """The smallest value that `share` percent of them do not exceed; None of nothing."""
    if not values:
        return None
    ordered = sorted(values)
    return ordered[max(0, -(-share * len(ordered) // 100) - 1)]


def _name(metric: Metric, by: str) -> str:
    if by == "day":
        return (metric.at or "")[:10] or "–"
    value = {
        "book": metric.book_key,
        "operation": metric.operation,
        "provider": metric.provider,
        "model": metric.model,
    }[by]
    return value or "–"


def _show(by: str, groups: Sequence[Group], everything: Group) -> None:
    from cli import output

    tokens = everything.input_tokens or everything.output_tokens
    headers = [by, "calls", "pages", "failed", "cost", "unknown", "at most"]
    headers += ["tokens in", "out"] if tokens else []
    headers += ["p50 s", "p95 s", "p99 s", "queued s"]
    rows = []
    for group in [*groups, *([everything] if len(groups) > 1 else [])]:
        seconds = [percentile(group.seconds, share) for share in PERCENTILES]
        rows.append(
            [
                *(group.name, group.calls, group.pages, group.failed, _usd(group.cost), group.unknown or None),
                _usd(group.unknown_cost) if group.unknown else None,
                *([group.input_tokens, group.output_tokens] if tokens else []),
                *(None if each is None else f"{each:.2f}" for each in seconds),
                f"{group.queue_seconds:.1f}",
            ]
        )
    output.table(headers, rows, right=headers[1:])
    if everything.unknown:
        at_most = _usd(everything.unknown_cost)
        print(f"Calls that may have been charged, nobody knows: {everything.unknown}, at most {at_most}.")
    if everything.unpriced:
        print(f"Calls whose price nobody knows, in no sum: {everything.unpriced}.")


def _usd(cost: Decimal) -> str:
    """Every digit that was recorded, two at least."""
    text = f"{cost.normalize():f}"
    whole, _, rest = text.partition(".")
    return f"${whole}.{rest:0<2}"
