"""What activities work with; made once per worker."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from temporalio.client import Client, WorkflowExecutionStatus
from temporalio.service import RPCError, RPCStatusCode

from activities.contracts import WorkUnit
from providers.artifacts import ArtifactStore
from providers.base import OcrProvider
from providers.queues import ProviderQueue
from providers.source import LeafSource, Manifest
from schemas.documents import Page
from schemas.errors import ArtifactMissing
from schemas.keys import page_key
from schemas.store import Store

MANIFESTS = 64
"""Manifests kept in memory: one per book that is being worked on."""


PAGE_FIELDS = (
    *(name for name in Page.model_fields if name != "text"),
    *(
        f"{operation}_{name}"
        for operation in Page.operations
        for name in ("complete", "inputs", "generation", "artifact", "error")
    ),
)
"""A page without its text: what plans are loaded from."""

UNIT_FIELDS = (
    *("part", "index", "region", "page", "image_hash", "image_steps", "width", "height", "ocr_results"),
    *("blend_artifact", "label_read_artifact"),
    *(f"{operation}_generation" for operation in Page.operations),
)
"""What the work activities need of a page."""


@dataclass(slots=True)
class Services:
    """Store, artifacts, providers, and the Temporal client that tells whether a lease's holder lives."""

    store: Store
    artifacts: ArtifactStore
    providers: dict[str, OcrProvider]
    queues: dict[str, ProviderQueue]
    client: Client | None
    source_roots: Sequence[Path]
    language: str = "eng"
    image_ocr: str = "tesseract"
    second_opinion: str = "rapidocr"
    second_opinion_above: float = 0.02
    second_opinion_share: float = 0.045
    _manifests: dict[str, Manifest] = field(default_factory=dict)

    async def manifest(self, fingerprint: str) -> Manifest:
        """The ordered files of a book. Raises ArtifactMissing."""
        known = self._manifests.get(fingerprint)
        if known is not None:
            return known
        body = await asyncio.to_thread(self.artifacts.get, fingerprint)
        if body is None:
            raise ArtifactMissing(
                "The list of the book's source files is not in the artifact store.",
                "Start the job from its source again.",
            )
        manifest = Manifest.model_validate_json(body)
        if len(self._manifests) >= MANIFESTS:
            self._manifests.pop(next(iter(self._manifests)))
        self._manifests[fingerprint] = manifest
        return manifest

    def leaf(self, manifest: Manifest, book_id: str, page: int, document: Page | None) -> LeafSource:
        """Where the image of a page lies."""
        at = manifest.leaf(page)
        source = manifest.parts[at.part]
        return LeafSource(
            path=str(self.artifacts.file(source.sha256)),
            kind=source.kind,
            index=at.index,
            region=at.region,
            page=page,
            book=book_id,
            image_hash=(document.image_hash if document is not None else None) or "",
            image_steps=(document.image_steps if document is not None else None) or "",
        )

    async def pages(self, book_id: str, unit: WorkUnit) -> dict[int, Page]:
        """The Page documents of a unit, by physical page, without their texts; those without one are absent."""
        keys = [page_key(book_id, leaf) for leaf in unit.leaves]
        found = await self.store.get(Page, keys, UNIT_FIELDS)
        return {page: found[key] for page, key in zip(unit.pages, keys, strict=True) if key in found}

    async def book_pages(self, book_id: str) -> dict[int, Page]:
        """All Page documents of a book, by physical page, without their texts."""
        found = await self.store.find(Page, {"book_key": book_id}, PAGE_FIELDS)
        return {page.page: page for page in found if page.page is not None}

    async def alive(self, workflow_id: str, first_run_id: str) -> bool:
        """Whether the chain that holds a lease still runs. Unreachable = not known = alive."""
        if self.client is None:
            return True
        try:
            description = await self.client.get_workflow_handle(workflow_id).describe()
        except RPCError as error:
            return error.status != RPCStatusCode.NOT_FOUND
        if description.status != WorkflowExecutionStatus.RUNNING:
            return False
        execution = description.raw_description.workflow_execution_info
        return (execution.first_run_id or description.run_id) == first_run_id
