"""The sample on the way out of a database and into another: dumped, checked, loaded, deleted, read again."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from activities.holdings import ALL, where
from schemas.documents import Lease, OcrResult
from tests.e2e.conftest import SampleRun
from tests.e2e.machine import SAMPLE, Machine, files_below

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def file(sample_run: SampleRun) -> Path:
    target = sample_run.machine.folder / "library.zip"
    done = sample_run.machine.shelf("dump", sample_run.book, "--out", str(target), "--json")
    assert done.returncode == 0, done.stderr
    [book] = json.loads(done.stdout)["books"].values()
    assert (book["documents"]["Page"], book["documents"]["Book"], book["missing"]) == (26, 1, [])
    return target


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory: pytest.TempPathFactory, defradb_binary: Path, file: Path) -> Iterator[Machine]:
    """Another machine, into which the dump was loaded."""
    made = Machine(tmp_path_factory.mktemp("elsewhere"), defradb_binary)
    try:
        made.start()
        done = made.shelf("load", str(file), "--json")
        assert done.returncode == 0, done.stderr
        assert [row["outcome"] for row in json.loads(done.stdout)["books"]] == ["loaded"]
        yield made
    finally:
        made.end()


def test_it_can_be_loaded_into_an_empty_database(sample_run: SampleRun, file: Path) -> None:
    done = sample_run.machine.shelf("dump", "--check", str(file), "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert (found["books"], found["missing"]) == (1, 0)
    assert found["documents"] > 26


def test_a_damaged_one_is_named(sample_run: SampleRun, file: Path, tmp_path: Path) -> None:
    damaged = tmp_path / "damaged.zip"
    damaged.write_bytes(file.read_bytes()[:-1000])
    done = sample_run.machine.shelf("dump", "--check", str(damaged))
    assert done.returncode == 65
    assert str(damaged) in done.stderr


async def test_elsewhere_it_is_the_same_book_and_nothing_is_to_be_done(
    sample_run: SampleRun, elsewhere: Machine
) -> None:
    book = sample_run.book
    documents = await elsewhere.documents(book)
    assert documents == await sample_run.machine.documents(book)
    commits = await elsewhere.commits(book)
    done = await asyncio.to_thread(elsewhere.shelf, "process", book, "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["pages_complete"] == 26
    assert elsewhere.calls() == []
    assert await elsewhere.commits(book) == commits
    again = await asyncio.to_thread(elsewhere.shelf, "load", str(sample_run.machine.folder / "library.zip"), "--json")
    assert [row["outcome"] for row in json.loads(again.stdout)["books"]] == ["equal"]


async def test_deleted_and_processed_again(sample_run: SampleRun, elsewhere: Machine) -> None:
    """DefraDB never takes the same content twice: what is made again is made under other names."""
    book = sample_run.book
    before = await elsewhere.documents(book)
    asked = await asyncio.to_thread(elsewhere.shelf, "delete", book)
    assert asked.returncode == 2
    assert "--yes" in asked.stderr
    assert await elsewhere.documents(book) == before

    done = await asyncio.to_thread(elsewhere.shelf, "delete", book, "--yes", "--keep-artifacts")
    assert done.returncode == 0, done.stderr
    assert await left(elsewhere, book) == {}
    done = await asyncio.to_thread(elsewhere.shelf, "process", str(SAMPLE), "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["key"] == book
    assert elsewhere.calls() == []
    assert await elsewhere.documents(book) == before


async def test_without_its_artifacts_it_is_read_again(sample_run: SampleRun, elsewhere: Machine) -> None:
    book = sample_run.book
    before = await read_by_tesseract(elsewhere, book)
    done = await asyncio.to_thread(elsewhere.shelf, "delete", book, "--yes", "--json")
    assert done.returncode == 0, done.stderr
    assert "history" in done.stderr
    assert json.loads(done.stdout)["artifacts"] > 26
    assert await left(elsewhere, book) == {}
    assert {name for name in files_below(elsewhere.artifacts) if name.startswith("sources")} == set()
    done = await asyncio.to_thread(elsewhere.shelf, "process", str(SAMPLE), "--pages", "1-3", "--json")
    assert done.returncode == 0, done.stderr
    assert {page for _, page in elsewhere.begun()} == {1, 2, 3}
    again = await read_by_tesseract(elsewhere, book)
    assert len(again) == 3
    assert again == {key: text for key, text in before.items() if key in again}
    async with elsewhere.store() as store:
        [lease] = await store.find(Lease, {})
    assert lease.workflow_id is None
    assert lease.epoch == 7  # the sample's, the load's, and those of three jobs and two deletions


async def read_by_tesseract(machine: Machine, book: str) -> dict[str, str | None]:
    """Texts by key. Not those of the pages: which of them get a second opinion depends on how many are read."""
    async with machine.store() as store:
        found = await store.find(OcrResult, {"book_key": book}, ["provider", "text"])
    return {each.key: each.text for each in found if each.provider == "tesseract"}


async def left(machine: Machine, book: str) -> dict[str, int]:
    """Documents of the book, by type, but for its lease."""
    async with machine.store() as store:
        counts = {kind.__name__: len(await store.find(kind, where(kind, book), [])) for kind in ALL}
    return {name: count for name, count in counts.items() if count}
