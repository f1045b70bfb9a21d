"""What a finished job says: the book, its contents, how complete it is, what failed and what to do about it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

from cli import output
from cli.books import METADATA, book_contents, book_metadata
from schemas.store import Store

LOOK = "look at the page: `shelf page {book} {page} --image page.png`"
AGAIN = "try it again: `shelf retry {book} --failed`"
NEXT_STEPS = {
    "TimedOut": AGAIN,
    "WorkerDied": f"{AGAIN}; if it dies again, {LOOK}",
    "Blocked": "comes with the failure before it",
    "Connection": AGAIN,
    "Overloaded": AGAIN,
    "RateLimited": AGAIN,
    "ServerError": AGAIN,
    "Rejected": LOOK,
    "BadOutput": LOOK,
    "QuotaExhausted": "raise the provider's quota, then process the book again",
    "DocumentRefused": "this is a bug: report it",
}
"""By the code of a failure."""


def next_step(code: str, book: str, page: int) -> str:
    """What the user can do about a failed page, or about the book where `page` is 0."""
    step = NEXT_STEPS.get(code, AGAIN)
    return (AGAIN if not page and step is LOOK else step).format(book=book, page=page)


@dataclass(frozen=True, slots=True)
class Ending:
    """What a job says at its end."""

    find: Callable[[Store, dict[str, Any]], Awaitable[dict[str, Any]]]
    """From `cli.starting.job_facts` to the whole summary, as `--json` shows it."""
    show: Callable[[dict[str, Any]], None]
    """The summary for people, on stdout."""


async def with_steps(store: Store, facts: dict[str, Any]) -> dict[str, Any]:
    """What every job says: each failure with what the user can do about it."""
    key = facts["key"]
    failed = [{**item, "next_step": next_step(item["code"], key, item["page"])} for item in facts["failed"]]
    return {**facts, "failed": failed}


def show_job(summary: dict[str, Any]) -> None:
    """How far each operation came, what it took, what failed."""
    rows = [
        [name, count["complete"], count["failed"] + count["blocked"], count["total"]]
        for name, count in summary["operations"].items()
    ]
    output.table(["operation", "complete", "not", "of"], rows, right=["complete", "not", "of"])
    print()
    output.facts(
        [
            ("Cost", output.money(summary["cost_usd"])),
            ("Time", output.duration(summary["seconds"])),
            ("Temporal UI", summary["url"]),
        ]
    )
    show_failures(summary)


async def with_book(store: Store, facts: dict[str, Any]) -> dict[str, Any]:
    """The summary of `process`: the job's, and what the book has come to."""
    key = facts["key"]
    metadata = await book_metadata(store, key)
    contents = await book_contents(store, key)
    return {
        **await with_steps(store, facts),
        **{name: metadata[name] for name in (*METADATA, "labels")},
        "toc_pages": contents["toc_pages"],
        "toc": contents["toc"],
    }


def show_book(summary: dict[str, Any]) -> None:
    """The book, its contents, how complete it is."""
    names = {"authors": "Author" if len(summary["authors"]) < 2 else "Authors", "isbn": "ISBN", "lccn": "LCCN"}
    metadata = [(names.get(name, name.capitalize()), summary[name]) for name in METADATA]
    output.facts(metadata)
    if not any(value not in (None, []) for _, value in metadata):
        print("No title, author or imprint was found in the book.")
    print()
    show_entries(summary["toc"])
    print()
    output.facts(
        [
            ("Labels", summary["labels"]),
            ("Pages", f"{summary['pages_complete']} of {summary['pages']} complete"),
            ("Failures", "none" if not summary["failed_count"] else str(summary["failed_count"])),
            ("Cost", output.money(summary["cost_usd"])),
            ("Time", output.duration(summary["seconds"])),
            ("Temporal UI", summary["url"]),
            ("Read on", f"shelf show {summary['key']}"),
        ]
    )
    show_failures(summary)


def show_failures(summary: dict[str, Any]) -> None:
    """The failed pages by name, each with its next step."""
    if summary["failed"]:
        print()
        rows = [
            [
                item["page"] or "book",
                item["operation"],
                f"{item['code']}: {item['message']}",
                item["next_step"],
            ]
            for item in summary["failed"]
        ]
        output.table(["page", "operation", "reason", "next step"], rows, right=["page"])
        if summary["failed_count"] > len(summary["failed"]):
            print(f"and {summary['failed_count'] - len(summary['failed'])} more; see `shelf pages {summary['key']}`")


async def with_contents(store: Store, facts: dict[str, Any]) -> dict[str, Any]:
    """The summary of `RerunToc`: the job's, and the contents."""
    contents = await book_contents(store, facts["key"])
    return {**await with_steps(store, facts), "toc_pages": contents["toc_pages"], "toc": contents["toc"]}


def show_contents(summary: dict[str, Any]) -> None:
    """The contents, then what it took."""
    show_entries(summary["toc"])
    print()
    show_job(summary)


def show_entries(entries: Sequence[dict[str, Any]]) -> None:
    """The contents, each level further in."""
    if not entries:
        print("Contents: none found.")
        return
    rows = [
        [
            "  " * ((entry["level"] or 1) - 1) + " ".join(filter(None, [entry["number"], entry["title"]])),
            entry["printed"],
            entry["page"],
        ]
        for entry in entries
    ]
    output.table(["Contents", "printed", "page"], rows, right=["printed", "page"])


def show_purchase(summary: dict[str, Any]) -> None:
    """Lot by lot what was bought and gained, then why no more."""
    bought = summary["purchase"]
    rows = [
        [
            lot["provider"] + (" (compared)" if lot["compared"] else ""),
            lot["pages"],
            output.money(lot["cost_usd"]),
            f"{lot['wrong_before']:,.0f}",
            f"{lot['wrong_after']:,.0f}",
            f"{(lot['wrong_before'] - lot['wrong_after']) / lot['cost_usd']:,.0f}" if lot["cost_usd"] else None,
        ]
        for lot in bought["lots"]
    ]
    headers = ["provider", "pages", "cost", "wrong before", "after", "gain per dollar"]
    output.table(headers, rows, right=headers[2:])
    print()
    gained = bought["wrong_before"] - bought["wrong_after"]
    share = f" ({gained / bought['wrong_before']:.0%})" if bought["wrong_before"] else ""
    output.facts(
        [
            ("Bought", bought["pages"] or "nothing"),
            ("Considered", f"{bought['considered']} pages"),
            ("Gained", f"{gained:,.0f} expected wrong characters fewer{share}"),
            ("Cost", output.money(bought["cost_usd"])),
            ("Stopped", bought["stopped"]),
            ("Time", output.duration(summary["seconds"])),
            ("Temporal UI", summary["url"]),
        ]
    )
    show_failures(summary)


ENDINGS = {
    "ProcessPages": Ending(with_book, show_book),
    "EditLeaves": Ending(with_book, show_book),
    "RerunToc": Ending(with_contents, show_contents),
    "Improve": Ending(with_steps, show_purchase),
}
"""By the name of a job; the others show their counts."""


def ending_of(job: str) -> Ending:
    """What the job says at its end."""
    return ENDINGS.get(job, Ending(with_steps, show_job))
