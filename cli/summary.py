"""What a finished job says: the book, its contents, how complete it is, what failed and what to do about it."""

from __future__ import annotations

from typing import Any

from cli import output
from cli.books import METADATA, book_contents, book_metadata
from schemas.store import Store

LOOK = "look at the page: `shelf page {book} {page} --image page.png`"
AGAIN = "process the book again: only what failed is tried"
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


async def summarise(store: Store, result: dict[str, Any]) -> dict[str, Any]:
    """The summary of a job as `process --json` shows it; `result` has the job's own part."""
    key = result["key"]
    metadata = await book_metadata(store, key)
    contents = await book_contents(store, key)
    return {
        **result,
        "failed": [{**item, "next_step": next_step(item["code"], key, item["page"])} for item in result["failed"]],
        **{name: metadata[name] for name in (*METADATA, "labels")},
        "toc_pages": contents["toc_pages"],
        "toc": contents["toc"],
    }


def show(summary: dict[str, Any]) -> None:
    """For people, on stdout."""
    names = {"authors": "Author" if len(summary["authors"]) < 2 else "Authors", "isbn": "ISBN"}
    metadata = [(names.get(name, name.capitalize()), summary[name]) for name in METADATA]
    output.facts(metadata)
    if not any(value not in (None, []) for _, value in metadata):
        print("No title, author or imprint was found in the book.")
    print()
    if summary["toc"]:
        rows = [
            [
                "  " * ((entry["level"] or 1) - 1) + " ".join(filter(None, [entry["number"], entry["title"]])),
                entry["printed"],
                entry["page"],
            ]
            for entry in summary["toc"]
        ]
        output.table(["Contents", "printed", "page"], rows, right=["printed", "page"])
    else:
        print("Contents: none found.")
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
