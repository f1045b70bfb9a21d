"""`shelf compare`: what several engines read of the same pages, side by side, and who was followed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from difflib import SequenceMatcher
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.options import BOOK, JSON

if TYPE_CHECKING:
    from books.view import BookView
    from cli.connect import Connection
    from schemas.documents import Metric, OcrResult
    from schemas.reading import Line, PageReading, Word


def compare(
    book: Annotated[str, BOOK],
    page: Annotated[int | None, typer.Option("--page", help="One page, line by line.", min=1)] = None,
    summary: Annotated[bool, typer.Option("--summary", help="Which engine served this book best.")] = False,
    as_json: Annotated[bool, JSON] = False,
) -> None:
    """Compare the readings of several engines: a table of the pages, one page line by line, or the engines by rank.

    Add a reading with `shelf add-source`."""
    from cli import connect, output
    from cli.books import find_book

    async def command() -> None:
        async with connect.reading() as shelf:
            key = await find_book(shelf.store, book)
            if page is not None:
                found = await compare_page(shelf, key, page)
            else:
                found = await compare_book(shelf, key)
        if summary and page is None:
            found.pop("pages")
        if as_json:
            output.data(found)
        elif page is not None:
            show_page(found)
        elif summary:
            show_providers(found["providers"])
        else:
            show_pages(found)

    connect.run(command)


# What is compared ---------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Score:
    """What a provider did on some pages. Counted where at least two read."""

    pages: int = 0
    words: int = 0
    """Words of the blend."""
    agreed: int = 0
    """Of these: it read them alike."""
    disputed: int = 0
    """Of these: the engines read them differently."""
    won: int = 0
    """Of the disputed ones: it was followed, alone or with others."""
    confidences: list[float] = field(default_factory=list)
    """Of each page that it read."""


def scores(blended: PageReading, providers: Sequence[str]) -> dict[str, Score]:
    """Each provider's part in the blend of one page."""
    words = blended.words
    disputed = [word for word in words if is_disputed(word)]
    return {
        provider: Score(
            pages=1,
            words=len(words),
            # A word without voters was read by all alike.
            agreed=sum(not word.voters or provider in word.voters for word in words),
            disputed=len(disputed),
            won=sum(provider in word.voters for word in disputed),
        )
        for provider in providers
    }


def is_disputed(word: Word) -> bool:
    """Whether the engines read the word differently."""
    return bool(word.readings)


def costs(metrics: Sequence[Metric]) -> dict[str, dict[str, Any]]:
    """provider -> pages that it read, seconds a page, cost; of all its attempts at reading."""
    found: dict[str, dict[str, Any]] = {}
    for provider in sorted({str(metric.provider) for metric in metrics}):
        mine = [metric for metric in metrics if metric.provider == provider]
        read = sum(metric.read or 0 for metric in mine)
        seconds = sum(metric.execution_seconds or 0.0 for metric in mine)
        known = all(metric.cost_usd is not None for metric in mine)
        found[provider] = {
            "pages_read": read,
            "seconds_per_page": round(seconds / read, 2) if read else None,
            "cost_usd": round(sum(metric.cost_usd or 0.0 for metric in mine), 6) if known else None,
        }
    return found


async def _view(shelf: Connection, key: str) -> BookView:
    from books.view import load_book

    return await load_book(shelf.store, shelf.artifacts, key)


async def _attempts(shelf: Connection, key: str) -> list[Metric]:
    from schemas.documents import Metric

    fields = ["kind", "operation", "provider", "read", "execution_seconds", "cost_usd"]
    found = await shelf.store.find(Metric, {"book_key": key}, fields)
    return [metric for metric in found if metric.kind == "attempt" and metric.operation == "ocr"]


async def compare_book(shelf: Connection, key: str) -> dict[str, Any]:
    """All pages with more than one reading, the most different first; and the providers by rank."""
    from schemas.documents import OcrResult

    view = await _view(shelf, key)
    fields = ["provider", "confidence", "expected_cer", "artifact"]
    results = {result.key: result for result in await shelf.store.find(OcrResult, {"book_key": key}, fields)}
    totals: dict[str, Score] = {}
    rows = []
    for page in view.pages:
        sources = [results[name] for name in page.ocr_results or [] if name in results]
        blended = view.reading(page) if sources else None
        for source in sources:
            if source.confidence is not None:
                totals.setdefault(str(source.provider), Score()).confidences.append(source.confidence)
        if blended is None or len(sources) < 2:
            continue
        own = scores(blended, [str(source.provider) for source in sources])
        for provider, score in own.items():
            total = totals.setdefault(provider, Score())
            for name in ("pages", "words", "agreed", "disputed", "won"):
                setattr(total, name, getattr(total, name) + getattr(score, name))
        rows.append(
            {
                "page": page.page,
                "label": page.label,
                "agreement": page.agreement,
                "confidence": page.confidence,
                "expected_cer": page.expected_cer,
                "words": len(blended.words),
                "disputed": sum(map(is_disputed, blended.words)),
                "sources": [_source(source, own[str(source.provider)]) for source in sources],
            }
        )
    spent = costs(await _attempts(shelf, key))
    return {
        "key": key,
        "pages_compared": len(rows),
        "pages_with_one_source": sum(len(page.ocr_results or []) == 1 for page in view.pages),
        "providers": ranking(totals, spent),
        "pages": sorted(rows, key=lambda row: (1.0 if row["agreement"] is None else row["agreement"], row["page"])),
    }


def ranking(totals: dict[str, Score], spent: dict[str, dict[str, Any]]) -> list[dict[str, Any]]:
    """The providers, best first: by their agreement with the blend, then by the share of disputes that they won."""
    unknown = {"pages_read": None, "seconds_per_page": None, "cost_usd": None}
    rows = [
        {
            "provider": provider,
            "pages_compared": score.pages,
            "agreement": round(score.agreed / score.words, 4) if score.words else None,
            "disputed": score.disputed,
            "won": score.won,
            "confidence": round(sum(score.confidences) / len(score.confidences), 1) if score.confidences else None,
            **spent.get(provider, unknown),
        }
        for provider, score in totals.items()
    ]
    return sorted(
        rows,
        key=lambda row: (
            -(row["agreement"] if row["agreement"] is not None else -1.0),
            -(row["won"] / row["disputed"] if row["disputed"] else 0.0),
            row["provider"],
        ),
    )


def _source(source: OcrResult, score: Score | None) -> dict[str, Any]:
    return {
        "provider": source.provider,
        "confidence": source.confidence,
        "expected_cer": source.expected_cer,
        "agreement": round(score.agreed / score.words, 4) if score is not None and score.words else None,
        "won": score.won if score is not None else 0,
    }


async def compare_page(shelf: Connection, key: str, number: int) -> dict[str, Any]:
    """One page: its sources, its lines as each of them read it, and every word that they read differently."""
    from schemas.errors import BadInput

    view = await _view(shelf, key)
    page = view.page(number)
    if page is None:
        raise BadInput(f"Page {number} of {key} was not looked at yet.", "See `shelf pages` for those that were.")
    sources = await view.sources(page)
    if not sources:
        raise BadInput(f"Page {number} of {key} was not read yet.", f"Read it: `shelf process {key} --pages {number}`.")
    readings = {str(source.provider): view.source_reading(source, page) for source in sources}
    blended = view.reading(page)
    own = scores(blended, list(readings)) if blended is not None and len(sources) > 1 else {}
    return {
        "key": key,
        "page": page.page,
        "label": page.label,
        "agreement": page.agreement,
        "confidence": page.confidence,
        "expected_cer": page.expected_cer,
        "sources": [
            {**_source(source, own.get(str(source.provider))), "model": source.model, "text": source.text}
            for source in sources
        ],
        "text": page.text,
        "lines": lines_of(blended, readings),
        "words": _disputed_words(blended),
    }


def _disputed_words(blended: PageReading | None) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for number, line in enumerate(blended.lines if blended is not None else (), start=1):
        found += [
            {
                "line": number,
                "word": word.text,
                "won_by": list(word.voters),
                "rule": word.rule,
                "readings": [{"provider": provider, "text": text} for provider, text in word.readings],
            }
            for word in line.words
            if is_disputed(word)
        ]
    return found


def lines_of(blended: PageReading | None, readings: dict[str, PageReading]) -> list[dict[str, Any]]:
    """The lines of the blend, each with what every engine read in its place; what stands nowhere in the blend follows.

    All readings have the same coordinates, so a line belongs to the one that it overlaps most."""
    base = blended if blended is not None else next(iter(readings.values()))
    rows: list[dict[str, Any]] = [{"text": line.text, "sources": {}} for line in base.lines]
    placed: list[dict[str, list[Line]]] = [{} for _ in base.lines]
    nowhere: list[dict[str, Any]] = []
    for provider, reading in readings.items():
        for line in reading.lines:
            shares = [(_overlap(line, other), -at) for at, other in enumerate(base.lines) if line.words and other.words]
            share, at = max(shares, default=(0.0, 0))
            if share > 0:
                placed[-at].setdefault(provider, []).append(line)
            else:
                nowhere.append({"text": "", "sources": {provider: line.text}})
    for row, lines in zip(rows, placed, strict=True):
        for provider in readings:
            parts = sorted(lines.get(provider, []), key=lambda line: line.box[0])
            row["sources"][provider] = " ".join(part.text for part in parts)
    return rows + nowhere


def _overlap(one: Line, other: Line) -> float:
    """Common area in square points, of the lower line's height at least a third."""
    a, b = one.box, other.box
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    least = min(one.height, other.height) / 3
    return width * height if width > 0 and height > 0 and height >= least else 0.0


def marked(text: str, base: str) -> list[tuple[str, bool]]:
    """The words of `text`, each with whether it is not in its place in `base`."""
    words, others = text.split(), base.split()
    found = []
    for tag, i1, i2, _, _ in SequenceMatcher(None, words, others, autojunk=False).get_opcodes():
        found += [(word, tag != "equal") for word in words[i1:i2]]
    return found


# For people ---------------------------------------------------------------------------------------------------------------


def show_pages(found: dict[str, Any]) -> None:
    """A line per page, the most different first."""
    from cli import output

    if not found["pages"]:
        output.note(f"No page has two readings. Add one: `shelf add-source {found['key']} --ocr rapidocr`.")
        return
    rows = []
    for row in found["pages"]:
        won = Counter({source["provider"]: source["won"] for source in row["sources"]})
        rows.append(
            [
                row["page"],
                row["label"],
                [source["provider"] for source in row["sources"]],
                _share(row["agreement"]),
                row["confidence"],
                _share(row["expected_cer"]),
                row["disputed"],
                ", ".join(f"{provider} {count}" for provider, count in won.most_common() if count),
            ]
        )
    headers = ["page", "label", "sources", "agreement", "confidence", "expected errors", "disputed", "won by"]
    output.table(headers, rows, right=["page", "label", *headers[3:7]])
    if alone := found["pages_with_one_source"]:
        output.note(f"{alone} pages have one reading and are not compared.")


def show_providers(rows: Sequence[dict[str, Any]]) -> None:
    """The engines, best first."""
    from cli import output

    headers = ["provider", "pages", "agreement", "disputes won", "confidence", "seconds a page", "cost"]
    table = [
        [
            row["provider"],
            row["pages_compared"],
            _share(row["agreement"]),
            f"{row['won']} of {row['disputed']}" if row["disputed"] else None,
            row["confidence"],
            row["seconds_per_page"],
            None if row["pages_read"] is None else output.money(row["cost_usd"]),
        ]
        for row in rows
    ]
    output.table(headers, table, right=headers[1:])


def show_page(found: dict[str, Any]) -> None:
    """Sources, then the page line by line, then the disputed words."""
    import sys

    from cli import output

    output.facts(
        [
            ("Page", found["page"]),
            ("Label", found["label"]),
            ("Agreement", _share(found["agreement"])),
            ("Confidence", found["confidence"]),
            ("Expected errors", _share(found["expected_cer"])),
        ]
    )
    print()
    rows = [
        [
            source["provider"],
            source["model"],
            source["confidence"],
            _share(source["expected_cer"]),
            _share(source["agreement"]),
            source["won"],
        ]
        for source in found["sources"]
    ]
    headers = ["source", "model", "confidence", "expected errors", "agreement", "won"]
    output.table(headers, rows, right=headers[2:])
    print()
    if sys.stdout.isatty():
        _show_columns(found)
    else:
        _show_lines(found)
    if found["words"]:
        print()
        output.table(
            ["line", "word", "won by", "rule", "readings"],
            [
                [
                    word["line"],
                    word["word"],
                    word["won_by"],
                    word["rule"],
                    ", ".join(
                        f"{reading['provider']} {reading['text'] or '(nothing)'}" for reading in word["readings"]
                    ),
                ]
                for word in found["words"]
            ],
            right=["line"],
        )


def _show_columns(found: dict[str, Any]) -> None:
    """Side by side, words that differ from the blend in red."""
    from rich.table import Table
    from rich.text import Text

    from cli import output

    providers = [source["provider"] for source in found["sources"]]
    grid = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold", expand=True)
    for name in (*providers, "blend"):
        grid.add_column(name, ratio=1, overflow="fold")
    for row in found["lines"]:
        cells = []
        for provider in providers:
            cell = Text()
            for word, differs in marked(row["sources"].get(provider, ""), row["text"]):
                cell.append(" " if cell else "")
                cell.append(word, "bold red" if differs else "")
            cells.append(cell)
        grid.add_row(*cells, Text(row["text"]))
    output.console().print(grid)


def _show_lines(found: dict[str, Any]) -> None:
    """One below the other: a line that all read alike once, any other by each, with *these* words differing."""
    names = [source["provider"] for source in found["sources"]]
    width = max(map(len, [*names, "blend"]))
    for row in found["lines"]:
        read = {name: row["sources"].get(name, "") for name in names}
        if all(text == row["text"] for text in read.values()):
            print(f"{'=':<{width}}  {row['text']}")
            continue
        print(f"{'blend':<{width}}  {row['text']}")
        for name, text in read.items():
            words = (f"*{word}*" if differs else word for word, differs in marked(text, row["text"]))
            print(f"{name:<{width}}  {' '.join(words)}".rstrip())


def _share(value: float | None) -> str | None:
    return None if value is None else f"{value:.1%}"
