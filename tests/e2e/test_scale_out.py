"""Two machines, as far as one can have them: two workers that share nothing but Temporal, DefraDB and a bucket read a book, and
one of them is killed."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from activities.contracts import JobResult
from providers.s3_artifacts import S3ArtifactStore
from tests.e2e.machine import (
    BATCH_PAGES,
    ENGINE_PROCESSES,
    JOB_SECONDS,
    SAMPLE,
    TESSERACT_PROCESSES,
    Machine,
    files_below,
    until,
)
from tests.s3_server import BUCKET, KEYS, S3Server, s3_server

pytestmark = pytest.mark.slow

PAGES = 14
URL = f"s3://{BUCKET}/library"
WORKERS = ("worker", "second")


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[S3Server]:
    for name, value in KEYS.items():
        monkeypatch.setenv(name, value)
    with s3_server() as server:
        yield server


@pytest.fixture
def fleet(tmp_path: Path, defradb_binary: Path, bucket: S3Server) -> Iterator[Machine]:
    """Temporal, DefraDB and two workers, each with a state folder of its own; the command line has a third."""
    made = Machine(tmp_path, defradb_binary)
    del made.environment["SHELF_ARTIFACTS_DIR"]
    made.environment |= KEYS | {
        "SHELF_ARTIFACTS_URL": URL,
        "SHELF_ARTIFACTS_ENDPOINT": bucket.url,
        # Four batches under way at most: with seven, both workers have to take some.
        "SHELF_PROVIDERS": json.dumps({"tesseract": {"in_flight": 2, "batch_pages": 2}}),
    }
    made.commands["second"] = made.commands["worker"]
    for name in WORKERS:
        made.own[name] = {"SHELF_HOME": str(tmp_path / f"home of {name}")}
    try:
        made.start("temporal", "defradb", *WORKERS)
        yield made
    finally:
        made.end()


def readers(machine: Machine) -> set[str]:
    """Workers whose engines have read a page to the end, by the parents of the engines."""
    by_pid = {process.pid: name for name, process in machine.processes.items()}
    found = set()
    for _, _, pid, event in machine.calls():
        if event == "end":
            parent = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
            found.add(by_pid[parent])
    return found


async def test_two_machines_share_a_book_and_one_dies(fleet: Machine, bucket: S3Server) -> None:
    handle = await fleet.start_job("shared", {"source": f"samples/{SAMPLE.name}", "pages": f"1-{PAGES}"})
    await until("both have read a page", lambda: readers(fleet) == set(WORKERS))
    assert fleet.ended() < PAGES, "the run was over before it could be disturbed"
    fleet.kill("worker")
    result: JobResult = await asyncio.wait_for(handle.result(), JOB_SECONDS)
    assert (result.state, result.pages_complete, result.failed) == ("complete", PAGES, ())

    # Read again is only what the killed one had under way; what it had published is found by the other.
    begun = {page: count for (engine, page), count in fleet.begun().items() if engine == "tesseract"}
    assert set(begun) == set(range(1, PAGES + 1))
    assert sum(begun.values()) - PAGES <= ENGINE_PROCESSES, begun
    metrics = [metric for metric in await fleet.attempts(result.book_id) if metric.provider == "tesseract"]
    reported = Counter(page for metric in metrics for page in metric.pages or [])
    # A free reading that was published, and whose worker died before it could report it, is found and has no Metric.
    unreported = set(begun) - set(reported)
    assert len(unreported) <= TESSERACT_PROCESSES * BATCH_PAGES, unreported
    assert all(begun[page] == 1 for page in unreported), "what was read again is reported"
    assert set(reported.values()) == {1}, f"read twice: {reported}"
    assert sum(metric.read or 0 for metric in metrics) <= PAGES
    assert {metric.outcome for metric in metrics} == {"ok"}
    assert await fleet.held_leases() == []

    # Either worker's view, the dead one's too: every result, and the source file.
    documents = await fleet.documents(result.book_id)
    named = {
        str(value)
        for document in documents.values()
        for field, value in document.items()
        if field == "artifact" or field.endswith("_artifact")
    }
    assert len(named) > PAGES
    for name in WORKERS:
        home = fleet.folder / f"home of {name}"
        store = S3ArtifactStore(URL, home / "artifacts" / "copies", endpoint=bucket.url)
        assert [artifact for artifact in named if store.get(artifact) is None] == []
        (copy,) = files_below(home / "artifacts" / "copies" / "sources")
        assert store.file(copy.replace("/", "")).read_bytes() == SAMPLE.read_bytes()
        assert {path.split("/")[1] for path in files_below(home) if path.startswith("artifacts/")} == {"copies"}
    assert not fleet.artifacts.exists()
    assert not [key for key in bucket.objects if not key.startswith("library/")]
    assert not [key for key in bucket.objects if "/damaged/" in key or "/intents/" in key]
    assert bucket.refused == []

    # A third machine, which has read nothing.
    image = fleet.folder / "page.png"
    shown = fleet.shelf("page", result.book_id, "3", "--image", str(image))
    assert shown.returncode == 0, shown.stderr
    assert image.read_bytes().startswith(b"\x89PNG")
    again = fleet.shelf("process", str(SAMPLE), "--pages", f"1-{PAGES}", "--json")
    assert again.returncode == 0, again.stderr
    assert sum(count for (engine, _), count in fleet.begun().items() if engine == "tesseract") == sum(begun.values())

    said = (
        "".join(path.read_text(errors="replace") for path in fleet.folder.glob("*.log")) + shown.stderr + again.stderr
    )
    assert KEYS["AWS_SECRET_ACCESS_KEY"] not in said
