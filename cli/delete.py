"""The command that takes a book away: delete."""

from __future__ import annotations

import contextlib
import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.options import BOOK, JSON, WAIT

if TYPE_CHECKING:
    from cli.connect import Connection
    from schemas.store import Store

MEGABYTE = 1_000_000


def delete(
    book: Annotated[str, BOOK],
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    keep_artifacts: Annotated[
        bool,
        typer.Option("--keep-artifacts", help="Keep what engines answered and the source files; only documents go."),
    ] = False,
    wait: Annotated[bool, WAIT] = False,
    as_json: Annotated[bool, JSON] = False,
) -> None:
    """Delete a book: its documents, and what only it has in the artifact store. Asks first."""
    from books.search import forget
    from cli import connect, output
    from cli.starting import known_book, run_job
    from cli.summary import Ending
    from schemas.errors import ShelfError

    async def command() -> int | None:
        async with connect.working(wait_for_worker=False) as shelf:
            key = await known_book(shelf, book)
            for line in tell(await what_goes(shelf, key, keep_artifacts=keep_artifacts)):
                output.note(line)
            if not yes and not asked(key):
                output.note("Nothing was deleted.")
                return 1
            code = await run_job(
                shelf,
                "DeleteBook",
                {"book_id": key, "keep_artifacts": keep_artifacts},
                book=key,
                details="artifacts kept" if keep_artifacts else "",
                wait=wait,
                as_json=as_json,
                ending=Ending(_what_went, _show_what_went),
            )
            with contextlib.suppress(ShelfError):  # the book is gone all the same, and a search looks for itself
                forget(shelf.settings.home, key)
            for line in rebuild(shelf):
                output.note(line)
            return code

    connect.run(command)


def asked(key: str) -> bool:
    """Whether whoever sits there says yes. Raises BadInput where nobody does."""
    from schemas.errors import BadInput

    if not sys.stdin.isatty():
        raise BadInput(f"Nobody is there to be asked whether {key} shall be deleted.", "Say it with --yes.")
    return typer.confirm(f"Delete {key}?", default=False, err=True)


async def what_goes(shelf: Connection, key: str, *, keep_artifacts: bool) -> dict[str, Any]:
    """What a deletion would take, and what it would leave because other books have it too."""
    import asyncio

    from activities.holdings import Holdings, count_documents, held, shared_with_others

    artifacts = shelf.artifacts
    mine = Holdings() if keep_artifacts else await held(shelf.store, artifacts, key, past=True)
    shared = await shared_with_others(shelf.store, artifacts, key, mine) if mine else Holdings()
    return {
        "key": key,
        "documents": await count_documents(shelf.store, key),
        "artifacts": len(mine - shared),
        "bytes": await asyncio.to_thread((mine - shared).size, artifacts),
        "shared_artifacts": len(shared),
        "shared_bytes": await asyncio.to_thread(shared.size, artifacts),
    }


def tell(found: dict[str, Any]) -> list[str]:
    """The same, for people; and what DefraDB keeps."""
    documents = ", ".join(f"{count} {name}" for name, count in found["documents"].items())
    lines = [f"{found['key']}: {sum(found['documents'].values())} documents ({documents})."]
    if found["artifacts"]:
        lines.append(f"{found['artifacts']} artifacts, {_size(found['bytes'])}, go with them.")
    if found["shared_artifacts"]:
        lines.append(
            f"{found['shared_artifacts']} artifacts, {_size(found['shared_bytes'])}, stay: other books have them too."
        )
    lines.append(
        "DefraDB keeps what deleted documents said in its history, on this disk, for good; Temporal keeps the histories "
        "of jobs for 30 days, with corrections as they were typed. A database built anew has neither."
    )
    return lines


def rebuild(shelf: Connection) -> list[str]:
    """How the past values go for good: the commands."""
    home = shelf.settings.home
    if shelf.settings.defradb_is_external:
        load = ["SHELF_DEFRADB_URL=http://ADDRESS-OF-AN-EMPTY-DATABASE shelf load library.zip"]
    else:
        load = ["shelf down", f"mv {home} {home}-old", "shelf load library.zip", f"rm -r {home}-old"]
    return [
        "Its past values are still in DefraDB's history. To remove them, build the database anew from the other books:",
        *(f"  {line}" for line in ["shelf dump --out library.zip", "shelf dump --check library.zip", *load]),
    ]


async def _what_went(store: Store, facts: dict[str, Any]) -> dict[str, Any]:
    counts = {name: count["complete"] for name, count in facts["operations"].items()}
    removed = counts.pop("artifacts", 0)
    kept = facts["operations"].get("artifacts", {}).get("total", 0) - removed
    return {
        **{name: facts[name] for name in ("key", "job", "workflow_id", "state", "seconds", "url")},
        "documents": {**counts, "Book": 1},
        "artifacts": removed,
        "shared_artifacts": kept,
    }


def _show_what_went(found: dict[str, Any]) -> None:
    documents = sum(found["documents"].values())
    print(f"Deleted {found['key']}: {documents} documents, {found['artifacts']} artifacts.")


def _size(count: int) -> str:
    return f"{count / MEGABYTE:.1f} MB" if count >= MEGABYTE / 10 else f"{count / 1000:.0f} kB"
