"""How fast the shelf is searched: an index over generated pages, questions of several kinds, and a plain scan as peer.

    python benchmarks/search.py [--pages 300000] [--folder DIR] [--queries 40]

Pages have about 300 words each by Zipf's law: the commonest words are English ones in their order, the others those of the
sample, then invented ones; every tenth page is a real one of the sample. The index is written by the code that `shelf search`
uses, from pages as the database gives them. The peer looks through the same texts with `LIKE`, as a search without an index
would; through a part of them, from which the whole is reckoned. The second peer is FTS5 by itself: `ORDER BY rank` over all that
matches.
"""

from __future__ import annotations

import argparse
import json
import random
import resource
import shutil
import sqlite3
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from books.search import _BookMark, _point, _write, open_index
from books.search_index import SearchIndex
from books.search_query import parse_query
from schemas.documents import Page
from schemas.keys import leaf_id, page_key

ROOT = Path(__file__).parents[1]
TRUTH = ROOT / "samples" / "a-day-at-a-time.json"
COMMON = """
the of and to a in that he was it his is with i as had for at by on not be from but you which have they were
her she all this we him are one so there an or been when who my their them out if up no me what would more
will some into said then could very has than any do about upon its your only other time man two like these
great before little such over our after now made must first down should did well old men see where most may
good way how long think own day never much make come
"""
VOCABULARY = 120_000
WORDS_PER_PAGE = 300
PAGES_PER_BOOK = 300
SCANNED = 10_000
"""Pages that the peer looks through."""


def vocabulary() -> list[str]:
    """Words by rank: the commonest of English, those of the sample, then invented ones."""
    rng = random.Random(7)
    syllables = [
        a + b
        for a in ("b", "c", "d", "f", "g", "h", "l", "m", "n", "p", "r", "s", "t", "v", "w", "st", "tr", "sch")
        for b in "aeiou"
    ]
    words = dict.fromkeys(COMMON.split())
    for text in sample_texts():
        words.update(dict.fromkeys(word for word in text.lower().split() if word.isalpha()))
    while len(words) < VOCABULARY:
        words["".join(rng.choices(syllables, k=rng.randint(2, 5))) + rng.choice(["", "n", "s", "r", "é", "ng"])] = None
    return list(words)


def sample_texts() -> list[str]:
    return [page["text"] for page in json.loads(TRUTH.read_text())["pages"] if len(page.get("text") or "") > 200]


def books(count: int, words: list[str]) -> Iterator[tuple[_BookMark, list[Page]]]:
    rng = np.random.default_rng(5)
    weights = 1 / np.arange(1, len(words) + 1)
    steps = (weights / weights.sum()).cumsum()
    real, table = sample_texts(), np.array(words, dtype=object)
    for number in range(-(-count // PAGES_PER_BOOK)):
        pages = min(PAGES_PER_BOOK, count - number * PAGES_PER_BOOK)
        chosen = table[np.searchsorted(steps, rng.random((pages, WORDS_PER_PAGE)))]
        key = f"generated-{number:08x}"
        rows = []
        for at in range(pages):
            lines = [" ".join(chosen[at][start : start + 10]) for start in range(0, WORDS_PER_PAGE, 10)]
            text = real[(number + at) % len(real)] if at % 10 == 0 else "\n".join(lines)
            name = page_key(key, leaf_id(0, at))
            rows.append(
                Page.model_validate(
                    {"key": name, "book_key": key, "page": at + 1, "label": str(at), "text": text, "blend_op_id": "x"}
                )
            )
        yield _BookMark(key, f"Generated book {number}", "1"), rows


def build(folder: Path, count: int) -> float:
    """Seconds that the index took, making the pages aside."""
    folder.mkdir(parents=True, exist_ok=True)
    index = SearchIndex(folder / "bench.db", scratch=True)
    spent = 0.0
    for number, (book, pages) in enumerate(books(count, vocabulary()), 1):
        began = time.perf_counter()
        _write(index, book, pages)
        spent += time.perf_counter() - began
        if number % 100 == 0:
            print(f"  {number * PAGES_PER_BOOK} pages, {number * PAGES_PER_BOOK / spent:.0f}/s", flush=True)
    began = time.perf_counter()
    index.finish()
    spent += time.perf_counter() - began
    _point(folder, "bench.db")
    return spent


def questions(words: list[str], queries: int) -> dict[str, list[str]]:
    """Kinds of question -> questions."""
    rng = random.Random(3)

    def some(low: int, high: int) -> str:
        return words[rng.randrange(low, min(high, len(words)))]

    def make(one: Callable[[], str]) -> list[str]:
        return [one() for _ in range(queries)]

    lines = [line.split() for text in sample_texts() for line in text.splitlines() if len(line.split()) > 6]

    def quoted() -> str:
        line = rng.choice(lines)
        start = rng.randrange(len(line) - 3)
        return '"' + " ".join(line[start : start + 4]).replace('"', "") + '"'

    return {
        "rare word": make(lambda: some(2_000, 60_000)),
        "common word": make(lambda: some(100, 1_000)),
        "very frequent word": make(lambda: some(0, 40)),
        "two words": make(lambda: f"{some(50, 5_000)} {some(50, 5_000)}"),
        "frequent and rare": make(lambda: f"{some(0, 20)} {some(1_000, 20_000)}"),
        "three frequent words": make(lambda: f"{some(0, 40)} {some(0, 40)} {some(0, 40)}"),
        "phrase of a page": make(quoted),
        "phrase of frequent words": make(lambda: f'"{some(0, 12)} {some(0, 12)}"'),
        "frequent phrase and word": make(lambda: f'"{some(0, 8)} {some(0, 8)}" {some(200, 5_000)}'),
        "either": make(lambda: f"{some(500, 5_000)} OR {some(0, 2_000)}"),
        "without": make(lambda: f"{some(100, 2_000)} -{some(0, 100)}"),
        "beginning of 2 letters": make(lambda: some(100, 5_000)[:2] + "*"),
        "beginning of 4 letters": make(lambda: some(0, 5_000)[:4].ljust(2, "e") + "*"),
        "beginning of 6 letters": make(lambda: some(100, 50_000)[:6].ljust(2, "e") + "*"),
    }


def quantile(values: list[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


def report(kind: str, times: list[float], note: str = "") -> None:
    print(
        f"| {kind} | {quantile(times, 0.5):.1f} | {quantile(times, 0.95):.1f} | {max(times):.1f} | {note} |", flush=True
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pages", type=int, default=300_000)
    parser.add_argument("--queries", type=int, default=40, help="of each kind")
    parser.add_argument("--folder", type=Path, help="keep the index here, and use one that is there")
    given = parser.parse_args()
    home = given.folder or Path(tempfile.mkdtemp(prefix="shelf-search-"))
    folder = home / "search"
    try:
        if not (folder / "current").exists():
            seconds = build(folder, given.pages)
            print(f"index: {given.pages} pages in {seconds:.0f} s, {given.pages / seconds:.0f} pages/s")
        size = (folder / "bench.db").stat().st_size
        print(f"size: {size / 1e6:.0f} MB, {size / given.pages / 1e3:.1f} KB a page")
        measure(home, folder / "bench.db", given.pages, given.queries)
        print(f"memory: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3:.0f} MB at most")
    finally:
        if given.folder is None:
            shutil.rmtree(home)


def measure(home: Path, file: Path, pages: int, queries: int) -> None:
    asked = questions(vocabulary(), queries)
    index = open_index(home)
    every: list[float] = []
    print("| question | p50 ms | p95 ms | max ms | pages found, median |\n|---|---|---|---|---|")
    for kind, texts in asked.items():
        times, totals = [], []
        for text in texts:
            began = time.perf_counter()
            found = index.search(parse_query(text))
            times.append((time.perf_counter() - began) * 1000)
            totals.append(found.total)
        report(kind, times, str(quantile([float(total) for total in totals], 0.5)))
        every += times
    report("**all**", every)
    opening = []
    for _ in range(10):
        began = time.perf_counter()
        fresh = open_index(home)
        fresh.search(parse_query(asked["two words"][0]))
        opening.append((time.perf_counter() - began) * 1000)
        fresh.close()
    report("two words, file just opened", opening)
    peers(file, asked, pages, quantile(every, 0.95))


def peers(file: Path, asked: dict[str, list[str]], pages: int, ours: float) -> None:
    database = sqlite3.connect(file)
    scanned = min(SCANNED, pages)
    rows = [row for (row,) in database.execute("SELECT id FROM page ORDER BY id LIMIT ?", (scanned,))]
    scan, alone = [], []
    for text in asked["rare word"][:5]:
        began = time.perf_counter()
        database.execute("SELECT id FROM page WHERE id <= ? AND text LIKE ?", (rows[-1], f"%{text}%")).fetchall()
        scan.append((time.perf_counter() - began) * 1000 * pages / scanned)
    report(f"peer: LIKE, reckoned from {scanned} pages", scan, f"{quantile(scan, 0.5) / ours:.0f} times our p95 of all")
    for text in asked["very frequent word"][:5]:
        began = time.perf_counter()
        database.execute(
            "SELECT rowid FROM pages WHERE pages MATCH ? ORDER BY rank LIMIT 10", (f'"{text}"',)
        ).fetchall()
        alone.append((time.perf_counter() - began) * 1000)
    report("peer: FTS5 ORDER BY rank, very frequent word", alone, f"{quantile(alone, 0.5) / ours:.0f} times")


if __name__ == "__main__":
    main()
