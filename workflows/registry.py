"""Every workflow that a worker serves, and the jobs among them by name."""

from __future__ import annotations

from workflows.add_ocr_source import AddOcrSource
from workflows.build_structure import BuildStructure
from workflows.contents_agent import ContentsAgent
from workflows.correct import Correct
from workflows.delete_book import DeleteBook
from workflows.edit_leaves import EditLeaves
from workflows.improve import Improve
from workflows.job import Job
from workflows.page_range import PageRange
from workflows.process_pages import ProcessPages
from workflows.rerun_toc import RerunToc
from workflows.run_operations import RunOperations
from workflows.set_budget import SetBudget

JOBS: dict[str, type[Job]] = {
    job.__name__: job
    for job in (
        *(ProcessPages, RerunToc, AddOcrSource, RunOperations, EditLeaves, Correct, BuildStructure),
        *(Improve, DeleteBook),
    )
}
WORKFLOWS: tuple[type, ...] = (*JOBS.values(), PageRange, ContentsAgent, SetBudget)
