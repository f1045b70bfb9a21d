"""`shelf eval` on the sample that was processed through real servers, against its truth."""

from __future__ import annotations

import json
import shlex
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import SampleRun
from tests.providers.reading_helpers import ROOT

pytestmark = pytest.mark.slow

TRUTH = ROOT / "samples" / "a-day-at-a-time.json"


@pytest.fixture(scope="module")
def scored(sample_run: SampleRun) -> dict[str, Any]:
    done = sample_run.machine.shelf("eval", sample_run.book, "--truth", str(TRUTH), "--json")
    assert done.returncode == 0, done.stderr
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def test_figures(scored: dict[str, Any], sample_run: SampleRun) -> None:
    (book,) = scored["books"]
    assert scored["total"] is None
    assert (book["book"], book["truth"]) == (sample_run.book, "a-day-at-a-time")
    assert book["text"]["pages"] == 26
    assert book["text"]["cer"] <= 0.002
    assert book["text"]["bag"]["errors"] <= book["text"]["words"]["errors"]
    assert (book["labels"]["all"]["right"], book["labels"]["all"]["of"]) == (26, 26)
    assert (book["labels"]["false_observed"], book["labels"]["false_inferred"]) == (0, 0)
    contents = book["contents"]
    assert contents["pages"]["f"] == contents["titles"]["f"] == 1
    assert contents["titles_pages"]["f"] == contents["levels"]["f"] == contents["physical"]["share"] == 1
    assert {name: field["verdict"] for name, field in book["metadata"].items()} == dict.fromkeys(
        ("title", "authors", "publisher", "year", "isbn", "language"), "right"
    )


def test_a_folder_finds_its_books_by_name(sample_run: SampleRun, scored: dict[str, Any], tmp_path: Path) -> None:
    shutil.copy(TRUTH, tmp_path)
    (tmp_path / "another.json").write_text("{}")
    done = sample_run.machine.shelf("eval", "--truth", str(tmp_path), "--worst", "2")
    assert done.returncode == 0, done.stderr
    rows = done.stdout.splitlines()
    assert rows[0].split()[:3] == ["book", "pages", "CER"]
    assert rows[1].split()[:2] == [sample_run.book, "26"]
    assert "26/26" in rows[1]
    worst = [row for row in rows if f"shelf why {sample_run.book} " in row or f"shelf page {sample_run.book} " in row]
    assert len(worst) == min(2, len(scored["books"][0]["pages"]))
    assert "another" in done.stderr, "a truth without a book is named"


def test_the_commands_of_the_worst_pages_work(sample_run: SampleRun) -> None:
    done = sample_run.machine.shelf("eval", sample_run.book, "--truth", str(TRUTH))
    command = next(row[row.index("shelf why ") :] for row in done.stdout.splitlines() if "shelf why " in row)
    shown = sample_run.machine.shelf(*shlex.split(command)[1:])
    assert shown.returncode == 0, shown.stderr
    assert "tesseract" in shown.stdout


def test_refusals_say_what_to_do(sample_run: SampleRun, tmp_path: Path) -> None:
    machine = sample_run.machine
    (tmp_path / "other.json").write_text('{"pages": [{"page": "one"}]}')
    bad = machine.shelf("eval", "--truth", str(tmp_path / "other.json"))
    assert bad.returncode == 2
    assert "other.json is wrong at pages.0.page" in bad.stderr
    (tmp_path / "other.json").write_text("{}")
    strange = machine.shelf("eval", "--truth", str(tmp_path / "other.json"))
    assert strange.returncode == 2
    assert "shelf eval BOOK --truth FILE" in strange.stderr
    unnamed = machine.shelf("eval", sample_run.book, "--truth", str(tmp_path))
    assert unnamed.returncode == 2
    assert sample_run.book in unnamed.stderr
    gone = machine.shelf("eval", "--truth", str(tmp_path / "gone.json"))
    assert gone.returncode == 66
