"""Fits the weights of `providers/vote/quality.py` on pages with known text, and says how well they hold on others.

    python benchmarks/calibrate.py --data DIR [--cache DIR] [--every N] [--read]

The data folder (or $SHELF_DATA) holds `books/*.pdf` with their truths (`*.json`) and folders of images with a `.txt` beside
each. Books are taken in every profile of `degrade.py`. Pages that no engine has read yet are left out; --read reads every
N-th of each book by both engines first (CPU-hours for many).

Each page's error is that of its letters, wherever the engine put the word: order of lines is no matter of confidence. Half
of the pages (by a hash of what they are) gives the weights, the other half the table that is printed; the weights for
`quality.py` then come from all.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import tempfile
import zlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rapidfuzz import process
from rapidfuzz.distance import Levenshtein

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks.degrade import PROFILES  # noqa: E402
from benchmarks.readings import PageImage, Reader, ReadingCache, page_count, write_picture  # noqa: E402
from books.evaluation import load_truth  # noqa: E402
from books.evaluation.text import normalised  # noqa: E402
from providers import pages  # noqa: E402
from providers.ink import ink_figures  # noqa: E402
from providers.lexicon import Lexicon  # noqa: E402
from providers.rapidocr import RapidOcrProvider  # noqa: E402
from providers.tesseract import TesseractProvider  # noqa: E402
from providers.vote import blend  # noqa: E402
from providers.vote.quality import signs  # noqa: E402
from schemas.reading import PageReading  # noqa: E402

NAMES = ("base", "low", "doubt", "unknown", "broken", "outside", "disputed")
SMALLEST = 0.002
"""Errors below it count alike: they are a few letters of a page."""
FAR = 1.0
"""Relative errors beyond it count less."""
FOLDS = 6
"""Rows of the reliability table: pages by expected error, least first."""

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Row:
    """One reading of one page: its signs and its true error."""

    page: str
    kind: str
    signs: dict[str, float]
    error: float

    @property
    def held_out(self) -> bool:
        return bool(zlib.crc32(self.page.encode()) % 2)


def sources(data: Path, every: int) -> Iterator[tuple[PageImage, str, bool]]:
    """(page, its text, whether it is one that --read reads)."""
    for picture in sorted(data.glob("*/*")):
        text = picture.with_suffix(".txt")
        if picture.suffix.lower() in {".tif", ".png", ".jpg"} and text.exists():
            yield PageImage(str(picture), 0), text.read_text(errors="replace"), True
    for book in sorted(data.glob("books/*.pdf")):
        told = book.with_suffix(".json")
        if not told.exists():
            continue
        texts = {page.page: page.text for page in load_truth(told).pages}
        for profile in PROFILES:
            for index in range(page_count(str(book))):
                if len(texts.get(index + 1) or "") >= 200:
                    yield PageImage(str(book), index, profile), str(texts[index + 1]), index % every == 0


def letters_wrong(truth: str, text: str) -> float:
    """Share of the truth's letters that are wrong, missing or too many, words paired wherever they stand."""
    told, read = (Counter(normalised(each).replace("…", " ").split()) for each in (truth, text))
    missing, extra = list((told - read).elements()), list((read - told).elements())
    total = sum(len(word) * n for word, n in told.items())
    wrong = 0
    if missing and extra:
        alike = process.cdist(missing, extra, scorer=Levenshtein.normalized_similarity, dtype=np.float32)
        for at in np.argsort(-alike, axis=None):
            i, j = divmod(int(at), len(extra))
            if alike[i, j] < 0.5:
                break
            if missing[i] and extra[j]:
                wrong += Levenshtein.distance(missing[i], extra[j])
                missing[i] = extra[j] = ""
    # What is left was lost, invented, or divided otherwise; of the last the letters are there.
    rest = [Counter("".join(words)) for words in (missing, extra)]
    wrong += max((rest[0] - rest[1]).total(), (rest[1] - rest[0]).total())
    return min(1.0, wrong / max(1, total))


def with_figures(image: PageImage, readings: Sequence[PageReading]) -> None:
    """Measures the ink anew: cached readings may be older than what is measured."""
    with tempfile.TemporaryDirectory() as folder:
        picture = Path(image.file)
        if image.profile:
            picture = Path(folder) / "page.png"
            write_picture(image, picture)
        raster = pages.render(
            picture, "image" if image.profile else image.kind, 0 if image.profile else image.index, dpi=200
        )
        for reading in readings:
            reading.figures = ink_figures(raster, reading.lines)


async def rows_of(data: Path, cache: ReadingCache, every: int, *, read: bool) -> list[Row]:
    reader = Reader({"tesseract": TesseractProvider, "rapidocr": RapidOcrProvider}, cache, jobs=1)
    lexicon = Lexicon("eng")
    rows = []
    try:
        for image, truth, chosen in sources(data, every):
            found: list[PageReading] = []
            for engine in ("tesseract", "rapidocr"):
                if read and chosen:
                    found.append((await reader.read(engine, image)).page)
                elif (known := cache.get(image, reader.model[engine])) is not None:
                    found.append(known.page)
            with_figures(image, found)
            if len(found) == 2:
                found.append(blend(found, lexicon))
            name = f"{Path(image.file).name} {image.number} {image.profile}"
            rows += [
                Row(name, reading.provider, signs(reading, lexicon), letters_wrong(truth, reading.text))
                for reading in found
                if reading.words
            ]
    finally:
        await reader.close()
    return rows


def design(rows: Sequence[Row]) -> Array:
    return np.array([[1.0, *(row.signs.get(name, 0.0) for name in NAMES[1:])] for row in rows])


def fit(rows: Sequence[Row]) -> Array:
    """Non-negative least squares of relative errors. Repeated with weights by what was expected, less for pages that are far
    off (Huber): a few unreadable ones would lift the expectation of all."""
    signs_of, errors = design(rows), np.array([row.error for row in rows])
    scale = errors + 0.01
    weights = np.zeros(len(NAMES))
    for _ in range(12):
        weights = _nnls(signs_of / scale[:, None], errors / scale)
        usual = np.maximum(signs_of @ weights, SMALLEST)
        scale = usual * np.sqrt(np.maximum(1.0, np.abs(errors - usual) / usual / FAR))
    return weights


def _nnls(left: Array, right: Array) -> Array:
    """Coordinate descent; there are seven unknowns."""
    gram, target = left.T @ left, left.T @ right
    found = np.zeros(len(target))
    for _ in range(600):
        for j in range(len(found)):
            if gram[j, j] > 0:
                found[j] = max(0.0, found[j] - (gram[j] @ found - target[j]) / gram[j, j])
    return found


def expected(rows: Sequence[Row], weights: Array) -> Array:
    found: Array = np.minimum(1.0, design(rows) @ weights)
    return found


def rank_correlation(a: Array, b: Array) -> float:
    """Spearman's rho, ties in the order in which they come."""
    ranks = [np.argsort(np.argsort(each, kind="stable"), kind="stable") for each in (a, b)]
    return float(np.corrcoef(ranks[0], ranks[1])[0, 1])


def report(kind: str, rows: Sequence[Row]) -> str:
    settling, check = [row for row in rows if not row.held_out], [row for row in rows if row.held_out]
    weights = fit(settling)
    told, errors = expected(check, weights), np.array([row.error for row in check])
    doubt = np.array([row.signs.get("doubt", 0.0) for row in check])
    lines = [
        f"{kind}: fitted on {len(settling)} pages, checked on {len(check)}",
        f"  rank correlation with the true error {rank_correlation(told, errors):.2f}; "
        f"of confidence alone {rank_correlation(doubt, errors):.2f}",
        "  pages   expected   true",
    ]
    for part in np.array_split(np.argsort(told, kind="stable"), FOLDS):
        lines.append(f"  {len(part):5d}   {told[part].mean():8.2%}   {errors[part].mean():6.2%}")
    final = fit(rows)
    named = ", ".join(f"{name}={value:.4g}" for name, value in zip(NAMES, final.round(4), strict=True) if value)
    return "\n".join([*lines, f"  from all pages: Weights({named})"])


def main() -> None:
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument(
        "--data", type=Path, default=os.environ.get("SHELF_DATA"), required="SHELF_DATA" not in os.environ
    )
    parser.add_argument("--cache", type=Path, default=Path(tempfile.gettempdir()) / "shelf-readings")
    parser.add_argument("--every", type=int, default=12)
    parser.add_argument("--read", action="store_true")
    given: Any = parser.parse_args()
    rows = asyncio.run(rows_of(given.data, ReadingCache(given.cache), given.every, read=given.read))
    for kind in ("tesseract", "rapidocr", "vote"):
        print(report(kind, [row for row in rows if row.kind == kind]))


if __name__ == "__main__":
    main()
