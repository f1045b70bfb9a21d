"""Whole books that are typeset for this purpose, by the conventions of many publishers, read and scored like any other.

    python benchmarks/typeset.py [--books NAME,...] [--profile scan200] [--cache DIR] [--jobs N] [--faults] [--keep DIR]

`typeset_books.py` has the books, `typesetter.py` sets them and says what stands on their pages. As they are set they have a text
layer: rules alone are tried, and a run takes two minutes. With `--profile` their pages are rasterised first (`degrade.py`).
`--faults` names each deviation; `--keep` leaves PDFs and truths in a folder. Writes nothing else.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks.degrade import PROFILES  # noqa: E402
from benchmarks.pipeline import ProcessedBook, process  # noqa: E402
from benchmarks.reading import table  # noqa: E402
from benchmarks.readings import PageImage, Reader, ReadingCache  # noqa: E402
from benchmarks.typeset_books import BOOKS  # noqa: E402
from benchmarks.typesetter import Design, typeset  # noqa: E402
from books.evaluation import BookScore, Truth, score_book, total  # noqa: E402
from books.evaluation.contents import match_entries, same_number  # noqa: E402
from books.evaluation.figures import Found, Hits  # noqa: E402
from providers.rapidocr import RapidOcrProvider  # noqa: E402
from providers.tesseract import TesseractProvider  # noqa: E402
from providers.text_layer import TextLayerProvider  # noqa: E402

HEADERS = (
    "book",
    "pages",
    "labels",
    "inferred",
    "none",
    "types",
    "headers",
    "no header",
    "contents pages",
    "title F",
    "+ page F",
)
HEADERS += ("level F", "on page", "metadata")


def row(name: str, score: BookScore, pages: int) -> list[str]:
    """A line of the table."""
    labels, contents, headers = score.labels, score.contents, score.headers
    return [
        name,
        str(pages),
        *(_hits(each) for each in ((labels.observed, labels.inferred, labels.unnumbered) if labels else (None,) * 3)),
        _hits(score.page_types),
        *(_hits(each) for each in ((headers.printed, headers.none) if headers else (None, None))),
        f"{contents.pages.right} of {contents.pages.wanted}, {contents.pages.given} given" if contents.pages else "–",
        *(_f(each) for each in (contents.titles, contents.titles_pages, contents.levels)),
        _hits(contents.physical),
        _hits(score.metadata_fields),
    ]


def _hits(hits: Hits | None) -> str:
    return f"{hits.right}/{hits.of}" if hits is not None and hits.of else "–"


def _f(found: Found | None) -> str:
    return f"{found.f or 0.0:.3f}" if found is not None else "–"


def faults(book: ProcessedBook, truth: Truth, score: BookScore) -> list[str]:
    """Each deviation, in words."""
    found = [
        f"{name}: {one.ours!r}, printed {one.truth!r}" for name, one in score.metadata.items() if one.verdict != "right"
    ]
    for page in sorted(score.pages, key=lambda page: page.page):
        for what, differs in (("label", page.label), ("type", page.page_type), ("header", page.running_header)):
            if differs is not None:
                found.append(f"page {page.page}: {what} {differs[1]!r}, printed {differs[0]!r}")
    if truth.toc_pages != ((book.toc.pages if book.toc else None) or []):
        found.append(f"contents pages {book.toc.pages if book.toc else []}, printed {truth.toc_pages}")
    if truth.entries is not None:
        matched = match_entries(truth.entries, book.entries)
        for theirs, ours in matched:
            told, entry = truth.entries[theirs], book.entries[ours]
            elsewhere = told.states("page") and told.page != entry.page
            if not same_number(told, entry) or told.level != entry.level or elsewhere:
                found.append(
                    f"entry {told.title!r}: {entry.title!r} level {entry.level} number {entry.printed} page {entry.page}, "
                    f"printed level {told.level} number {told.printed} page {told.page}"
                )
        missing = {*range(len(truth.entries))} - {theirs for theirs, _ in matched}
        found += [f"entry missing: {truth.entries[i].title!r}" for i in sorted(missing)]
        more = {*range(len(book.entries))} - {ours for _, ours in matched}
        found += [f"entry invented: {book.entries[i].title!r} {book.entries[i].printed}" for i in sorted(more)]
    return found


async def run(
    designs: Sequence[Design], profile: str, cache: Path, jobs: int, folder: Path, *, name_faults: bool
) -> None:
    kinds = {"tesseract": TesseractProvider, "rapidocr": RapidOcrProvider, "text-layer": TextLayerProvider}
    reader = Reader(kinds, ReadingCache(cache), jobs)
    rows, scores, pages = [], [], 0
    try:
        for design in designs:
            press = typeset(design)
            pdf, truth = folder / f"{design.name}.pdf", press.truth()
            press.save(pdf)
            pdf.with_suffix(".json").write_text(truth.model_dump_json(exclude_unset=True, indent=1))
            images = [PageImage(str(pdf), index, profile) for index in range(len(press.sheets))]
            book = await process(design.name, images, reader)
            score = score_book(book, truth)
            scores.append(score)
            pages += len(images)
            rows.append(row(design.name, score, len(images)))
            print(f"{design.name}: {len(images)} pages", file=sys.stderr, flush=True)
            if name_faults:
                print("\n".join([f"== {design.name}", *faults(book, truth, score)]), flush=True)
    finally:
        await reader.close()
    print(table(HEADERS, [*rows, row("all", total(scores), pages)]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--books", default="", help="names, by commas")
    parser.add_argument("--profile", choices=list(PROFILES), default="")
    parser.add_argument("--cache", type=Path, default=ROOT / ".shelf" / "reading-cache")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--faults", action="store_true", help="name each deviation")
    parser.add_argument("--keep", type=Path, help="folder for PDFs and truths")
    options = parser.parse_args()
    names = [name for name in options.books.split(",") if name]
    designs = [design for design in BOOKS if not names or design.name in names]
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.keep or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        asyncio.run(run(designs, options.profile, options.cache, options.jobs, folder, name_faults=options.faults))


if __name__ == "__main__":
    main()
