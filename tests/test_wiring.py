"""Every activity that a plan may send is served on the queue that it is sent to, and every layer knows the same names."""

from __future__ import annotations

from typing import Any

import pytest

from activities.choosing import BOOK_PROVIDERS
from activities.operation import FLAG_SCOPES
from activities.registry import OPERATIONS
from activities.services import Services
from providers.local_artifacts import LocalArtifactStore
from providers.pdf import PdfReader
from providers.queues import QUEUES, STORE_QUEUE, provider_queues
from schemas.documents import OPERATION_FIELDS, TYPES
from schemas.errors import BadInput
from schemas.memory import MemoryStore
from worker import make_activities
from workflows.job import CompositionError, Job
from workflows.registry import JOBS, WORKFLOWS


@pytest.fixture
async def served(tmp_path: Any) -> dict[str, set[str]]:
    services = Services(
        store=MemoryStore(),
        artifacts=LocalArtifactStore(tmp_path),
        providers={},
        queues=provider_queues(),
        client=None,
        source_roots=[],
    )
    pdf = PdfReader()
    return {
        queue: {activity.__temporal_activity_definition.name for activity in activities}  # type: ignore[attr-defined]
        for queue, activities in make_activities(services, pdf).items()
    }


async def test_work_is_served_on_the_queue_of_each_provider_that_may_do_it(served: dict[str, set[str]]) -> None:
    queues = {row.name: row.queue for row in QUEUES}
    for name, operation in OPERATIONS.items():
        providers = [row.name for row in QUEUES if row.reads_pages] if name == "ocr" else [BOOK_PROVIDERS[name]]
        for provider in providers:
            assert operation.work_activity in served[queues[provider]], f"{name} on {provider}"


async def test_saves_and_the_jobs_own_activities_are_served_on_the_stores_queue(served: dict[str, set[str]]) -> None:
    wanted = {operation.save_activity for operation in OPERATIONS.values()}
    own = {"resolve_job", "load_state", "renew_lease", "release_lease", "record_corrections", "reserve_budget"}
    own |= {"reserve_budget", "set_budget", "find_sellers", "rank_pages"}
    own |= {"begin_deletion", "delete_documents", "delete_artifacts", "finish_deletion"}
    assert wanted | own == served[STORE_QUEUE]


def test_an_operations_fields_exist_on_the_documents_that_it_writes() -> None:
    mutable = {name for kind in TYPES for name in kind.operations}
    assert set(OPERATIONS) <= mutable
    for operation in OPERATIONS.values():
        assert any(operation.name in kind.operations for kind in operation.target_schemas)
    assert set(OPERATION_FIELDS) >= {"rev", "op_id", "complete", "inputs", "generation", "artifact", "error"}


def test_flags_have_the_scope_of_the_operation_that_sets_them() -> None:
    assert {operation.completes: operation.scope for operation in OPERATIONS.values()} == FLAG_SCOPES


def test_composing_a_job_whose_requirement_nobody_provides_is_an_error() -> None:
    with pytest.raises(CompositionError, match="blend requires ocr"):
        type("OnlyBlend", (Job,), {"operations": (OPERATIONS["extract"], OPERATIONS["blend"])})


def test_a_job_may_say_that_it_takes_a_flag_from_the_database() -> None:
    job = type("BlendAgain", (Job,), {"operations": (OPERATIONS["blend"],), "takes": ("ocr",)})
    assert issubclass(job, Job)


def test_workflow_names_are_those_that_people_type() -> None:
    assert list(JOBS) == [
        *("ProcessPages", "RerunToc", "AddOcrSource", "RunOperations", "EditLeaves", "Correct", "BuildStructure"),
        *("Improve", "DeleteBook"),
    ]
    assert {workflow.__name__ for workflow in WORKFLOWS} == {
        "ProcessPages",
        "RerunToc",
        "AddOcrSource",
        "RunOperations",
        "EditLeaves",
        "Correct",
        "BuildStructure",
        "Improve",
        "DeleteBook",
        "PageRange",
        "ContentsAgent",
        "SetBudget",
    }


@pytest.mark.parametrize("overrides", [{"nobody": {}}, {"tesseract": {"in_flihgt": 3}}])
def test_a_wrong_override_is_named(overrides: dict[str, dict[str, Any]]) -> None:
    with pytest.raises(BadInput, match=r"nobody|in_flihgt"):
        provider_queues(overrides)


def test_an_override_changes_one_row() -> None:
    table = provider_queues({"tesseract": {"in_flight": 7}})
    assert table["tesseract"].in_flight == 7
    assert table["rapidocr"] == next(row for row in QUEUES if row.name == "rapidocr")
