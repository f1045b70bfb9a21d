"""What activities work with; made once per worker."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from temporalio.api.enums.v1 import TaskQueueType
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import DescribeTaskQueueRequest
from temporalio.client import Client, WorkflowExecutionStatus
from temporalio.service import RPCError, RPCStatusCode

from activities.contracts import Failure, WorkUnit
from providers.artifacts import ArtifactStore
from providers.base import OcrProvider, RemoteOcrProvider
from providers.language_model import LanguageModel
from providers.ledger import Buckets
from providers.queues import ProviderQueue, provider_queues
from providers.remote_image import PageImages
from providers.settings import BudgetSettings, OperationSettings, Settings
from providers.source import LeafSource, Manifest, leaf_source
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
    remote: dict[str, RemoteOcrProvider] = field(default_factory=dict)
    """Those that read pages by calls; `providers` read them in this process."""
    models: dict[str, LanguageModel] = field(default_factory=dict)
    """Language models by the name of their provider."""
    pictures: dict[str, PageImages] = field(default_factory=dict)
    """Of the language models that see: who makes the pictures of pages for them."""
    refusals: dict[tuple[str, int, str], Failure] = field(default_factory=dict)
    """(book, epoch, provider) -> why no call of it can succeed until somebody acts. What the job has sent already need not
    find out the same; after `resume` the epoch is another."""
    buckets: Buckets = field(default_factory=Buckets)
    operations: Mapping[str, OperationSettings] = field(default_factory=dict)
    budget: BudgetSettings = field(default_factory=BudgetSettings)
    configured: frozenset[str] = frozenset()
    """Providers that the user has set something of."""
    language: str = "eng"
    image_ocr: str = "tesseract"
    second_opinion: str = "rapidocr"
    second_opinion_above: float = 0.02
    second_opinion_share: float = 0.04
    looking: bool = False
    """For a plan: work activities only tell what lies there already; nobody is called, nothing is written."""
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
        return self.remember(fingerprint, Manifest.model_validate_json(body))

    def remember(self, fingerprint: str, manifest: Manifest) -> Manifest:
        """Keep it in memory; one that a plan is made of lies nowhere else."""
        if len(self._manifests) >= MANIFESTS:
            self._manifests.pop(next(iter(self._manifests)))
        self._manifests[fingerprint] = manifest
        return manifest

    def leaf(self, manifest: Manifest, book_id: str, page: int, document: Page | None) -> LeafSource:
        """Where the image of a page lies."""
        return leaf_source(manifest, self.artifacts, book_id, page, document)

    async def pages(self, book_id: str, unit: WorkUnit) -> dict[int, Page]:
        """The Page documents of a unit, by physical page, without their texts; those without one are absent."""
        keys = [page_key(book_id, leaf) for leaf in unit.leaves]
        found = await self.store.get(Page, keys, UNIT_FIELDS)
        return {page: found[key] for page, key in zip(unit.pages, keys, strict=True) if key in found}

    async def book_pages(self, book_id: str) -> dict[int, Page]:
        """All Page documents of a book, by physical page, without their texts."""
        found = await self.store.find(Page, {"book_key": book_id}, PAGE_FIELDS)
        return {page.page: page for page in found if page.page is not None}

    async def close(self) -> None:
        """End the engines and connections of the providers."""
        every: list[OcrProvider | RemoteOcrProvider | LanguageModel] = [*self.providers.values()]
        for provider in [*every, *self.remote.values(), *self.models.values()]:
            await provider.close()
        for pictures in self.pictures.values():
            await pictures.close()

    async def served(self, queue: str) -> bool:
        """Whether some worker asks for activities of a queue. Unreachable = not known = served."""
        if self.client is None:
            return True
        try:
            described = await self.client.workflow_service.describe_task_queue(
                DescribeTaskQueueRequest(
                    namespace=self.client.namespace,
                    task_queue=TaskQueue(name=queue),
                    task_queue_type=TaskQueueType.TASK_QUEUE_TYPE_ACTIVITY,
                )
            )
        except RPCError:
            return True
        return bool(described.pollers)

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


def make_services(settings: Settings, store: Store, artifacts: ArtifactStore, client: Client | None) -> Services:
    """With every provider that is known here, by the settings; engines start when they are first used.

    Raises BadInput for a wrong row of the queue table."""
    from providers.rapidocr import RapidOcrProvider  # engines' libraries: half a second
    from providers.remote import make_models, make_readers
    from providers.scripted import ScriptedProvider
    from providers.tesseract import TesseractProvider
    from providers.text_layer import TextLayerProvider

    queues = provider_queues(settings.providers)
    return Services(
        store=store,
        artifacts=artifacts,
        providers={
            "text-layer": TextLayerProvider(),
            "tesseract": TesseractProvider(settings.tesseract_processes),
            "rapidocr": RapidOcrProvider(settings.rapidocr_processes),
            "scripted": ScriptedProvider(settings.script),
        },
        queues=queues,
        client=client,
        source_roots=settings.source_roots,
        language=settings.language,
        second_opinion_above=settings.second_opinion_above,
        second_opinion_share=settings.second_opinion_share,
        remote=make_readers(queues),
        models=make_models(queues),
        pictures={name: PageImages(row) for name, row in queues.items() if row.answers and row.sees},
        operations=settings.operations,
        budget=settings.budget,
        configured=frozenset(settings.providers),
    )
