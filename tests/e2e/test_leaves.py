"""`shelf leaf` on a scanned book with real engines: a rescan, a page too many, and a scan of two pages at a time."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from rapidfuzz.distance import Levenshtein

from providers import pages
from tests.e2e.machine import SAMPLE, Machine
from tests.providers.reading_helpers import sample_truth
from tests.providers.spread_pages import DPI, page, spread

pytestmark = pytest.mark.slow

TEXTS = {int(row["page"]): str(row["text"]) for row in sample_truth()["pages"]}
FIRST = 4
"""Page of the sample that bears the number 1; no picture up to page 9."""


def part_of_sample(path: Path, first: int, last: int) -> Path:
    library = pages.mupdf_library()
    with library.open() as document, library.open(SAMPLE) as sample:
        document.insert_pdf(sample, from_page=first - 1, to_page=last - 1)
        document.save(path)
    return path


def scan_of(path: Path, images: list[Image.Image]) -> Path:
    with pages.mupdf_library().open() as document:
        for image in images:
            body = io.BytesIO()
            image.save(body, "JPEG", quality=90)
            sheet = document.new_page(width=image.width * 72 / DPI, height=image.height * 72 / DPI)
            sheet.insert_image(sheet.rect, stream=body.getvalue())
        document.save(path)
    return path


def ask(machine: Machine, *arguments: str) -> Any:
    done = machine.shelf(*arguments, "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def read_right(row: dict[str, Any], of_sample: int) -> None:
    words, truth = " ".join(str(row["text"]).split()), " ".join(TEXTS[of_sample].split())
    assert Levenshtein.normalized_distance(words, truth) < 0.02, words


def test_a_rescan_and_a_page_too_many(machine: Machine) -> None:
    source = part_of_sample(machine.folder / "four.pdf", FIRST, FIRST + 3)
    book = ask(machine, "process", str(source), "--no-second-opinion")["key"]
    begun = machine.begun().total()
    rescan = scan_of(machine.folder / "rescan.pdf", [page(FIRST), page(FIRST + 2)])
    replace = ("leaf", "replace", book, "--page", "3", "--with", str(rescan), "--from-page", "2")
    told = machine.shelf(*replace, "--preview")
    assert told.stdout == "page 3 is replaced; 1 page to read\n"
    assert machine.begun().total() == begun
    done = machine.shelf(*replace)
    assert done.returncode == 0, done.stderr
    assert done.stderr.startswith("page 3 is replaced; 1 page to read\n")
    assert machine.begun().total() == begun + 1, "more was read than the rescan"
    done = machine.shelf("leaf", "drop", book, "--pages", "1")
    assert done.returncode == 0, done.stderr
    assert done.stderr.startswith("page 1 goes; pages 2-4 become 1-3; no page to read\n")
    rows = ask(machine, "pages", book, "--text")["pages"]
    assert [(row["page"], row["label"]) for row in rows] == [(1, "2"), (2, "3"), (3, "4")]
    for row, of_sample in zip(rows, (FIRST + 1, FIRST + 2, FIRST + 3), strict=True):
        read_right(row, of_sample)
    found = ask(machine, "leaf", "list", book)
    assert [row["leaf"] for row in found["leaves"]] == ["0000-0002", "0001-0002", "0000-0004"]
    assert found["leaves"][1]["note"] == "in place of page 3 of four.pdf"
    assert [row["leaf"] for row in found["dropped"]] == ["0000-0001", "0000-0003"]

    again = machine.shelf("process", str(source), "--no-second-opinion", "--json")
    assert again.returncode == 0, again.stderr
    assert f"The leaves of {book} were edited, and stay so." in again.stderr
    assert (json.loads(again.stdout)["pages"], machine.begun().total()) == (3, begun + 1)
    assert ask(machine, "leaf", "reset", book)["pages"] == 4
    assert [row["label"] for row in ask(machine, "pages", book)["pages"]] == ["1", "2", "3", "4"]
    assert machine.begun().total() == begun + 1

    wrong = machine.shelf("leaf", "drop", book, "--pages", "9")
    assert (wrong.returncode, wrong.stdout) == (2, "")
    assert wrong.stderr == "error: Page 9 was asked for, but the book has 4 pages. Ask for fewer pages.\n"


def test_scans_of_two_pages_become_leaves(machine: Machine) -> None:
    images = [
        spread(page(number), page(number + 1), seed=number, slant=(number - 6) / 4)[0]
        for number in range(FIRST, FIRST + 6, 2)
    ]
    source = scan_of(machine.folder / "spreads.pdf", images)
    found = ask(machine, "process", str(source), "--no-second-opinion")
    assert (found["pages"], found["pages_complete"]) == (6, 6)
    rows = ask(machine, "pages", found["key"], "--text")["pages"]
    assert [row["label"] for row in rows] == ["1", "2", "3", "4", "5", "6"]
    for number, row in enumerate(rows):
        read_right(row, FIRST + number)
    leaves = ask(machine, "leaf", "list", found["key"])["leaves"]
    assert [row["file_page"] for row in leaves] == [1, 1, 2, 2, 3, 3]
    assert leaves[0]["note"].startswith("left half of page 1 of spreads.pdf, split at ")
