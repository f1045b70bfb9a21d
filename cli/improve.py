"""`shelf improve`: better readings of the worst pages, for so much money."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.options import BOOK, DETACH, JSON, LLM, PAGES, UNPRICED, WAIT

if TYPE_CHECKING:
    from cli.connect import Connection


def improve(
    book: Annotated[str, BOOK],
    budget: Annotated[
        float | None, typer.Option("--budget", help="Spend at most so much.", metavar="USD", show_default=False)
    ] = None,
    by: Annotated[
        list[str] | None,
        typer.Option(
            "--with",
            help="Provider that may be paid; given again, they are compared on the same pages first. Default: those that "
            "are set up, at most three.",
            metavar="PROVIDER",
            show_default=False,
        ),
    ] = None,
    pages: Annotated[str | None, PAGES] = None,
    at_most: Annotated[
        int | None, typer.Option("--at-most", help="Buy at most so many pages.", metavar="N", min=1, show_default=False)
    ] = None,
    preview: Annotated[bool, typer.Option("--preview", help="Show what would be considered; buy nothing.")] = False,
    llm: Annotated[list[str] | None, LLM] = None,
    allow_unpriced: Annotated[bool, UNPRICED] = False,
    wait: Annotated[bool, WAIT] = False,
    detach: Annotated[bool, DETACH] = False,
    as_json: Annotated[bool, JSON] = False,
) -> None:
    """Buy better readings of the pages with the most expected errors, as long as they are worth the money."""
    from cli import connect, output

    async def command() -> int | None:
        from cli.spending import spending
        from cli.starting import known_book, run_job
        from schemas.errors import BadInput

        chosen = spending(llm, budget, allow_unpriced)
        if preview:
            async with connect.reading() as shelf:
                found = await look(shelf, book, by, pages, at_most, budget)
            if as_json:
                output.data(found)
            else:
                show_look(found)
            return None
        async with connect.working(wait_for_worker=False) as shelf:
            key = await known_book(shelf, book)
            try:
                output.note(_sentence(await look(shelf, key, by, pages, at_most, budget)))
            except BadInput:
                # Whom the worker has a key for, this shell need not know. What else is wrong, the job says.
                if by:
                    raise
            given = {"book_id": key, "providers": by, "pages": pages, "most_pages": at_most, **chosen}
            return await run_job(
                shelf,
                "Improve",
                {name: value for name, value in given.items() if value is not None},
                book=key,
                details=_details(by, budget, at_most),
                wait=wait,
                detach=detach,
                as_json=as_json,
            )

    connect.run(command)


def _details(by: list[str] | None, budget: float | None, at_most: int | None) -> str:
    """For the Temporal UI."""
    parts = [
        ", ".join(by or ["whoever is set up"]),
        f"{budget:g} USD" if budget is not None else "",
        f"at most {at_most} pages" if at_most is not None else "",
    ]
    return " · ".join(part for part in parts if part)


async def look(
    shelf: Connection, text: str, by: list[str] | None, pages: str | None, at_most: int | None, budget: float | None
) -> dict[str, Any]:
    """What the job would find: pages worth considering, the worst of them, prices. Calls nobody, writes nothing.

    Raises BadInput for a book, a provider or pages that there are not."""
    from activities.ranking import COMPARED, RankInput, nobody_sells, rank, sellers
    from cli.books import find_book
    from providers.prices import estimate, rates
    from providers.queues import provider_queues
    from schemas.documents import Book
    from schemas.errors import BadInput
    from schemas.pagespec import parse_pages

    key = await find_book(shelf.store, text)
    queues = provider_queues(shelf.settings.providers)
    names = list(by or [row.name for row in sellers(queues, shelf.settings.providers)][:COMPARED])
    if not names:
        raise nobody_sells(key)
    readers = sorted(name for name, row in queues.items() if row.reads_pages)
    if unknown := [name for name in names if name not in readers]:
        raise BadInput(f"There is no OCR provider {unknown[0]!r}.", f"Known: {', '.join(readers)}.")
    count = (await shelf.store.get(Book, [key], ["page_count"]))[key].page_count or 0
    among = pages or f"1-{count}"
    parse_pages(among, count)
    ranked = await rank(shelf.store, RankInput(book_id=key, pages=among, providers=tuple(names), most=WORST))
    prices = []
    for name in names:
        row = queues[name]
        cost = estimate(row, row.model)
        prices.append(
            {
                "provider": name,
                "model": row.model or None,
                "usd_per_page": None if cost is None else {"expected": cost.expected, "high": cost.high},
                "price_source": rates(row).source if row.paid else None,
            }
        )
    return {
        "key": key,
        "considered": ranked.count,
        "wrong": round(ranked.wrong, 1),
        "worst": [
            {"page": each.page, "expected_cer": each.cer, "wrong": round(each.wrong, 1)} for each in ranked.pages
        ],
        "providers": prices,
        "budget_usd": budget,
        "most_pages": at_most,
    }


WORST = 10
"""Pages named by a preview."""


def show_look(found: dict[str, Any]) -> None:
    """The worst pages, and what reading one of them costs."""
    from cli import output

    print(_sentence(found))
    if found["worst"]:
        rows = [[row["page"], f"{row['expected_cer']:.1%}", f"{row['wrong']:,.0f}"] for row in found["worst"]]
        output.table(["page", "expected wrong", "characters"], rows, right=["page", "expected wrong", "characters"])
    print()
    rows = [[row["provider"], row["model"], _price(row), row["price_source"]] for row in found["providers"]]
    output.table(["provider", "model", "a page", "price from"], rows, right=["a page"])


def _sentence(found: dict[str, Any]) -> str:
    """What would be considered, as a line."""
    if not found["considered"]:
        return f"{found['key']}: no page is worth considering."
    prices = ", ".join(f"{row['provider']} {_price(row)}" for row in found["providers"])
    pages = "1 page" if found["considered"] == 1 else f"{found['considered']} pages"
    return f"{found['key']}: {pages} with {found['wrong']:,.0f} expected wrong characters; a page costs: {prices}."


def _price(row: dict[str, Any]) -> str:
    cost = row["usd_per_page"]
    if cost is None:
        return "unknown"
    if not cost["high"]:
        return "free"
    high = f" (up to ${cost['high']:.4f})" if cost["high"] > cost["expected"] else ""
    return f"${cost['expected']:.4f}{high}"
