"""Tesseract through the pool against two bare processes of tesserocr: pages a second, CPU-seconds a page, ratios.

    python benchmarks/engines.py [--pages 26] [--processes 2] [--rounds 3]

Both render with PyMuPDF at 300 dpi in the reading process and use the same model and page segmentation. Rounds are
interleaved, the median counts; starting the processes is not measured, as a worker's are warm.
"""

from __future__ import annotations

import argparse
import asyncio
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SAMPLE = ROOT / "samples" / "a-day-at-a-time-scan.pdf"
sys.path.insert(0, str(ROOT))

BARE = """
import os, sys
os.environ["OMP_THREAD_LIMIT"] = "1"
import pymupdf, tesserocr
from PIL import Image
path, tessdata, first, step, count = sys.argv[1], sys.argv[2], *map(int, sys.argv[3:])
document = pymupdf.open(path)
api = tesserocr.PyTessBaseAPI(path=tessdata, lang="eng", psm=3)
print("ready", flush=True)
sys.stdin.readline()
for number in range(first, count, step):
    pixmap = document[number % len(document)].get_pixmap(dpi=300, colorspace=pymupdf.csGRAY, alpha=False)
    api.SetImage(Image.frombytes("L", (pixmap.width, pixmap.height), pixmap.samples))
    api.SetSourceResolution(300)
    api.Recognize()
    api.GetTSVText(0)
print(sum(os.times()[:2]), flush=True)
sys.stdin.readline()
"""


def cpu_of(pid: int) -> float:
    """CPU-seconds that a process has used so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / 100


def bare(pages: int, processes: int, tessdata: Path) -> tuple[float, float]:
    """(pages a second, CPU-seconds a page) of plain processes that share the pages out among them."""
    children = [
        subprocess.Popen(
            [sys.executable, "-c", BARE, str(SAMPLE), str(tessdata), str(first), str(processes), str(pages)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for first in range(processes)
    ]
    for child in children:
        assert child.stdout is not None
        child.stdout.readline()
    before = sum(cpu_of(child.pid) for child in children)
    started = time.perf_counter()
    for child in children:
        assert child.stdin is not None
        child.stdin.write("\n")
        child.stdin.flush()
    for child in children:
        assert child.stdout is not None
        child.stdout.readline()
    seconds = time.perf_counter() - started
    cpu = sum(cpu_of(child.pid) for child in children) - before
    for child in children:
        child.communicate("\n")
    return pages / seconds, cpu / pages


async def pooled(pages: int, processes: int) -> tuple[float, float, float]:
    """(pages a second, CPU-seconds a page, of which in the parent) through the pool."""
    from providers.source import LeafSource
    from providers.tesseract import TesseractProvider

    provider = TesseractProvider(processes)
    await provider.warm()
    leaves = [LeafSource(path=str(SAMPLE), kind="pdf", index=n % 26, page=n + 1, book="sample") for n in range(pages)]
    # The model is loaded with the first page of each process; a bare process has it before it is measured.
    await asyncio.gather(*(provider.read(leaf, "eng", 300) for leaf in leaves[:processes]))
    before = sum(cpu_of(pid) for pid in provider.pool.pids)
    parent = resource.getrusage(resource.RUSAGE_SELF)
    started = time.perf_counter()
    await asyncio.gather(*(provider.read(leaf, "eng", 300) for leaf in leaves))
    seconds = time.perf_counter() - started
    children = sum(cpu_of(pid) for pid in provider.pool.pids) - before
    after = resource.getrusage(resource.RUSAGE_SELF)
    own = after.ru_utime + after.ru_stime - parent.ru_utime - parent.ru_stime
    await provider.close()
    return pages / seconds, (children + own) / pages, own / pages


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pages", type=int, default=26)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    from providers import tesseract

    tessdata = dict(tesseract._found("eng"))["eng"]
    plain, ours = [], []
    for _ in range(arguments.rounds):
        plain.append(bare(arguments.pages, arguments.processes, tessdata))
        ours.append(asyncio.run(pooled(arguments.pages, arguments.processes)))
        print(
            f"bare {plain[-1][0]:.2f} pages/s {plain[-1][1]:.3f} CPU-s/page   "
            f"pool {ours[-1][0]:.2f} pages/s {ours[-1][1]:.3f} CPU-s/page (parent {1000 * ours[-1][2]:.1f} ms)",
            flush=True,
        )
    speed = statistics.median(o[0] / p[0] for o, p in zip(ours, plain, strict=True))
    cpu = statistics.median(o[1] / p[1] for o, p in zip(ours, plain, strict=True))
    print(f"median ratios, pool to bare: pages/s {speed:.3f}, CPU {cpu:.3f}")


if __name__ == "__main__":
    main()
