"""The job that `docs/extending.md` shows, exactly as it stands there, run as it says."""

from __future__ import annotations

import importlib
import re
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
from temporalio.worker import Worker
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner, SandboxRestrictions

from activities.contracts import JobResult
from tests.workflows.conftest import Shelf
from worker import PASSED_THROUGH
from workflows.page_range import PageRange

TEXT = (Path(__file__).parents[2] / "docs" / "extending.md").read_text()


def code_of(heading: str) -> str:
    """The first Python block under a heading."""
    found = re.search(rf"^## {heading}$.*?^```python\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)
    assert found is not None
    return found[1]


@pytest.fixture
def documented(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """A module that holds the text of the docs and nothing else."""
    name = f"documented_{uuid.uuid4().hex[:8]}"
    (tmp_path / f"{name}.py").write_text(code_of("A job"))
    monkeypatch.syspath_prepend(str(tmp_path))
    yield importlib.import_module(name)
    sys.modules.pop(name, None)


def test_it_takes_fifteen_lines() -> None:
    assert len([line for line in code_of("A job").splitlines() if line.strip()]) <= 15


async def test_it_runs(shelf: Shelf, documented: ModuleType) -> None:
    book = (await shelf.run(4)).book_id
    read = dict(shelf.tesseract.calls)
    restrictions = SandboxRestrictions.default.with_passthrough_modules(*PASSED_THROUGH)
    async with Worker(
        shelf.client,
        task_queue="documented",
        workflows=[documented.TextAndTitle, PageRange],
        workflow_runner=SandboxedWorkflowRunner(restrictions=restrictions),
    ):
        result: JobResult = await shelf.client.execute_workflow(
            "TextAndTitle",
            {"book_id": book, "pages": "2-3", "fresh": True},
            id=f"text-and-title:{book}",
            task_queue="documented",
            result_type=JobResult,
        )
    assert (result.state, result.pages_complete, set(result.operations)) == ("complete", 2, {"blend", "metadata"})
    assert [page.flag("blend", "generation") for page in (await shelf.pages(book)).values()] == [None, 2, 2, None]
    assert dict(shelf.tesseract.calls) == read
