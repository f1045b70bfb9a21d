"""Command that scores processed books against truth files: eval."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.options import JSON

if TYPE_CHECKING:
    from books.evaluation import BookScore, Truth
    from schemas.documents import Book
    from schemas.store import Store


def eval(
    truth: Annotated[
        Path,
        typer.Option("--truth", help="A truth file, or a folder of them (docs/evaluation.md).", metavar="FILE|DIR"),
    ],
    book: Annotated[
        str | None,
        typer.Argument(
            help="Key of a book, or its beginning; all books that a truth is for by default.",
            metavar="BOOK",
            show_default=False,
        ),
    ] = None,
    worst: Annotated[int, typer.Option("--worst", help="Pages to list of each book.", metavar="N", min=0)] = 5,
    as_json: Annotated[bool, JSON] = False,
) -> None:
    """Score books against truth files: text, page numbers, contents, metadata."""
    from books.evaluation import load_truth, score_book, total, truth_files
    from books.evaluation.report import as_json as json_of
    from books.evaluation.truth import truths_by_source
    from books.view import load_book
    from cli import connect, output

    async def command() -> None:
        truths = truths_by_source([load_truth(file) for file in truth_files(truth)])
        async with connect.reading() as shelf:
            pairs = await _pairs(shelf.store, book, truth, truths, by_name=truth.is_dir())
            views = [(await load_book(shelf.store, shelf.artifacts, key), one) for key, one in pairs]
        scores = [score_book(view, one) for view, one in views]
        sums = total(scores) if len(scores) > 1 else None
        if as_json:
            output.data(json_of(scores, sums))
        else:
            show_scores(scores, sums, worst)
        used = {id(one) for _, one in pairs}
        unused = sorted(name for name, one in truths.items() if id(one) not in used)
        if unused:
            output.note(f"Not scored, for no book is theirs: {', '.join(unused)}.")

    connect.run(command)


async def _pairs(
    store: Store, book: str | None, path: Path, truths: Mapping[str, Truth], *, by_name: bool
) -> list[tuple[str, Truth]]:
    """(key, its truth) of what is to be scored. A named book takes a named file whatever they are called; otherwise names
    decide. Raises BadInput."""
    from books.evaluation.truth import truth_of
    from cli.books import find_book
    from schemas.documents import Book
    from schemas.errors import BadInput

    def of(one: Book) -> Truth | None:
        return truths.get(one.key) or truth_of(one.source_name or "", truths)

    if book is None:
        books = sorted(await store.find(Book, {}, ["source_name"]), key=lambda one: one.key)
        found = [(one.key, its) for one in books if (its := of(one)) is not None]
        if not found:
            raise BadInput(
                f"No book here has the name of a truth in {path} ({', '.join(sorted(truths))}).",
                "Process it first, or name both: `shelf eval BOOK --truth FILE`.",
            )
        return found
    key = await find_book(store, book)
    if not by_name:
        return [(key, next(iter(truths.values())))]
    named = (await store.get(Book, [key], ["source_name"]))[key]
    its = of(named)
    if its is None:
        raise BadInput(
            f"No truth in {path} has the name of {key} ({named.source_name}).", "Name the file: `--truth FILE.json`."
        )
    return [(key, its)]


def show_scores(scores: Sequence[BookScore], sums: BookScore | None, worst: int) -> None:
    """A row per book and one of sums; then metadata that is not right, and the worst pages of each."""
    from books.evaluation.report import HEADERS, book_row, worst_pages, wrong_fields
    from cli import output

    output.table(HEADERS, [book_row(score) for score in (*scores, *([sums] if sums else []))], right=HEADERS[1:])
    fields = [row for score in scores for row in wrong_fields(score)]
    if fields:
        print()
        output.table(["book", "field", "verdict", "truth", "found"], fields)
    for score in scores:
        pages = worst_pages(score, worst)
        if pages:
            print(f"\n{score.book}: {len(pages)} of {len(score.pages)} pages on which something is wrong")
            output.table(["page", "what", "see"], pages, right=["page"])
