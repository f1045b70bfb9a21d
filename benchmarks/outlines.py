"""Contents and page numbers of books that nobody transcribed: PDFs with an outline and page labels, which are taken away before
the book is read and are the truth after it.

    python benchmarks/outlines.py FILE.pdf ... [--profile scan200] [--cache DIR] [--jobs N]

Precision: entries that stand in the outline, on the page that it names. Recall: entries of the outline that were found so; it
has levels that the printed contents leave out (index letters, paragraphs), so less than 1 need not be a fault. With
`--profile` the pages are rasterised first (`degrade.py`). Writes nothing.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
from pathlib import Path

import pymupdf

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks.degrade import PROFILES  # noqa: E402
from benchmarks.pipeline import ProcessedBook, process  # noqa: E402
from benchmarks.readings import PageImage, Reader, ReadingCache  # noqa: E402
from books.evaluation.contents import match_entries  # noqa: E402
from books.evaluation.truth import TruthEntry  # noqa: E402
from providers.rapidocr import RapidOcrProvider  # noqa: E402
from providers.tesseract import TesseractProvider  # noqa: E402
from providers.text_layer import TextLayerProvider  # noqa: E402

MOST_PAGES = 1000


def taken_away(pdf: Path, folder: Path) -> tuple[Path, list[TruthEntry], list[str]]:
    """(copy without them, the outline's entries with their pages, the label of every page)."""
    with pymupdf.open(pdf) as document:
        outline = [
            TruthEntry(title=title, level=level, page=page) for level, title, page in document.get_toc() if page > 0
        ]
        labels = [document[i].get_label() for i in range(min(len(document), MOST_PAGES))]
        document.set_toc([])
        document.set_page_labels([])
        document.set_metadata({})
        copy = folder / pdf.name
        document.save(copy)
    return copy, outline, labels


def row(name: str, book: ProcessedBook, outline: list[TruthEntry], labels: list[str]) -> str:
    """A line of the table."""
    matched = match_entries(outline, book.entries)
    right = sum(outline[theirs].page == book.entries[ours].page for theirs, ours in matched)
    said = [(page.label, label) for page, label in zip(book.pages, labels, strict=False) if label and page.label]
    agree = f"{sum(ours == theirs for ours, theirs in said)} of {len(said)}" if said else "–"
    precision, recall = (f"{right / count:.2f}" if count else "–" for count in (len(book.entries), len(outline)))
    pages = len((book.toc.pages if book.toc else None) or ())
    title = book.book.title or "–"
    return (
        f"| {name} | {len(book.pages)} | {pages} | {len(book.entries)} | {precision} | {recall} | {agree} | {title} |"
    )


async def run(files: list[Path], profile: str, cache: Path, jobs: int) -> None:
    kinds = {"tesseract": TesseractProvider, "rapidocr": RapidOcrProvider, "text-layer": TextLayerProvider}
    reader = Reader(kinds, ReadingCache(cache), jobs)
    print("| book | pages | contents pages | entries | precision | recall | labels | title |")
    print("|---|---|---|---|---|---|---|---|")
    try:
        with tempfile.TemporaryDirectory() as folder:
            for file in files:
                copy, outline, labels = taken_away(file, Path(folder))
                count = len(labels)
                images = [PageImage(str(copy), index, profile) for index in range(count)]
                print(row(file.stem, await process(file.stem, images, reader), outline, labels), flush=True)
    finally:
        await reader.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE.pdf")
    parser.add_argument("--profile", choices=list(PROFILES), default="")
    parser.add_argument("--cache", type=Path, default=ROOT / ".shelf" / "reading-cache")
    parser.add_argument("--jobs", type=int, default=2)
    options = parser.parse_args()
    asyncio.run(run(options.files, options.profile, options.cache, options.jobs))


if __name__ == "__main__":
    main()
