"""Spoiled scans through the real stack: turned, straightened, cleaned, recorded on the leaf, and all of it undone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from rapidfuzz.distance import Levenshtein

from providers import pages
from tests.e2e.machine import SAMPLE, Machine
from tests.providers.page_faults import Gray, askew_on_black, in_gray, shown_through
from tests.providers.reading_helpers import sample_truth

pytestmark = pytest.mark.slow

TEXTS = {int(row["page"]): str(row["text"]) for row in sample_truth()["pages"]}
SIDEWAYS, UPSIDE_DOWN, ASKEW, BLANK, CLEAN = 1, 2, 3, 4, 5
OF_SAMPLE = {SIDEWAYS: 6, UPSIDE_DOWN: 8, ASKEW: 9, CLEAN: 7}


def spoiled(folder: Path) -> Path:
    def scan(page: int) -> Gray:
        return pages.render(SAMPLE, "pdf", page - 1).pixels

    folder.mkdir()
    for number, pixels in {
        SIDEWAYS: np.rot90(scan(6)),
        UPSIDE_DOWN: np.rot90(scan(8), 2),
        ASKEW: askew_on_black(scan(9), 3.0),
        BLANK: shown_through(scan(10)),
        CLEAN: in_gray(scan(7)),
    }.items():
        Image.fromarray(np.ascontiguousarray(pixels)).save(folder / f"{number}.png", dpi=(300, 300))
    return folder


def ask(machine: Machine, *arguments: str) -> Any:
    done = machine.shelf(*arguments, "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def wrong(machine: Machine, book: str, page: int) -> float:
    """Share of a page's characters that are wrong."""
    text = " ".join(str(ask(machine, "page", book, str(page))["text"]).split())
    return Levenshtein.normalized_distance(text, " ".join(TEXTS[OF_SAMPLE[page]].split()))


def test_spoiled_scans(machine: Machine) -> None:
    before = machine.begun().total()
    source = spoiled(machine.folder / "spoiled")
    process = ("process", str(source), "--no-second-opinion")
    book = ask(machine, *process)["key"]
    found = {page: ask(machine, "page", book, str(page)) for page in (1, 2, 3, 4, 5)}
    assert {page: wrong(machine, book, page) < 0.02 for page in OF_SAMPLE} == dict.fromkeys(OF_SAMPLE, True)
    said = {page: row["image_steps"] for page, row in found.items()}
    assert said[SIDEWAYS]["orientation"].startswith("turned 90° clockwise: its lines run from top to bottom")
    assert said[UPSIDE_DOWN]["orientation"].startswith("turned 180° clockwise: ")
    assert set(said[ASKEW]) == {"masks", "skew"}
    assert said[BLANK] == {"blank": "blank: not read: no mark as large and as dark as a letter, no picture"}
    assert said[CLEAN] == {}
    assert found[SIDEWAYS]["width"] < found[SIDEWAYS]["height"]
    assert (found[BLANK]["text"], [read["text"] for read in found[BLANK]["sources"]]) == ("", [""])

    begun = machine.begun().total()
    assert begun == before + 4, "an engine was asked for the empty page"
    assert ask(machine, *process)["key"] == book
    assert machine.begun().total() == begun, "what is current was done again"

    ask(machine, *process, "--images", "off")
    assert machine.begun().total() == begun + 4, (
        "all but the clean one are read again, the empty one for the first time"
    )
    assert ask(machine, "page", book, str(SIDEWAYS))["image_steps"] == {}
    assert wrong(machine, book, UPSIDE_DOWN) > 0.3
    ask(machine, *process, "--images", "auto")
    assert wrong(machine, book, UPSIDE_DOWN) < 0.02

    ask(machine, "image", book, "--page", str(UPSIDE_DOWN), "--orientation", "0", "--why", "to see")
    by_hand = ask(machine, "page", book, str(UPSIDE_DOWN))
    assert (by_hand["image_steps"], wrong(machine, book, UPSIDE_DOWN) > 0.3) == ({}, True)
    ask(machine, "image", book, "--page", str(UPSIDE_DOWN), "--auto")
    assert wrong(machine, book, UPSIDE_DOWN) < 0.02
