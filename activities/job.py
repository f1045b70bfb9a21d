"""Activities of a job itself: resolve its source and configuration, load state, renew and release the lease."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from temporalio import activity
from temporalio.exceptions import ApplicationError

from activities.beat import beating
from activities.choosing import Chooser
from activities.contracts import BOOK_ITEM, JobConfig, LeaseInput, LoadedState, LoadInput, ResolveInput
from activities.corrections import read_corrections
from activities.operation import Records, Scope
from activities.placing import place_pages, positions
from activities.registry import by_key
from activities.services import PAGE_FIELDS, Services
from activities.state import JobState
from activities.work import as_application_error
from providers.importing import AUTO, NEVER, import_source, publish_manifest
from providers.leaf_edits import LeafEdit, apply, changes, today
from providers.pdf import PdfReader
from providers.source import Manifest
from schemas.documents import Book, Document, Lease, OcrResult, Page, ToC
from schemas.errors import (
    ArtifactMissing,
    BadInput,
    LeaseHeld,
    LeaseLost,
    ShelfError,
    SourceNotAllowed,
    SourceNotFound,
)
from schemas.keys import book_key, leaf_id, page_key, toc_key
from schemas.pagespec import format_pages, parse_pages
from schemas.store import Update, digest, op_id

SOURCE = "source"
"""The 'operation' that owns the fields of a Book that follow from its source."""

CHOICES = ("ocr", "language", "second_opinion", "images", "llm")
"""Of a job's input: what is kept with the book, so that a later job which names the book reads as the first one did."""

WAIT_FIRST_SECONDS = 30.0
WAIT_LONGEST_SECONDS = 600.0


@dataclass(frozen=True, slots=True)
class Source:
    """A resolved source."""

    book_id: str
    fingerprint: str
    manifest: Manifest
    choices: dict[str, Any] = field(default_factory=dict)
    """What was chosen for the book before, where the job names the book and not a source."""
    before: str = ""
    """Fingerprint of the manifest that the book had when this one was chosen; '' for a new book."""
    edited: Manifest | None = None
    """That manifest itself, where leaves are edited."""


class JobActivities:
    """What a job needs besides its operations."""

    def __init__(self, services: Services, pdf: PdfReader) -> None:
        self.services = services
        self.pdf = pdf
        self.chooser = Chooser(services)

    @activity.defn
    async def resolve_job(self, job: ResolveInput) -> JobConfig:
        """Source into the artifact store, lease, Book document, and the configuration that the job is frozen to.

        Raises ApplicationError with BadSource, SourceNotFound, SourceNotAllowed, BadInput, LanguageMissing or LeaseHeld
        as type; LeaseHeld is retryable if the job waits."""
        try:
            async with beating():
                return await self._resolve(job)
        except LeaseHeld as error:
            raise lease_held(error, wait=bool(job.input.get("wait"))) from None
        except ShelfError as error:
            raise as_application_error(error) from None

    async def _resolve(self, job: ResolveInput) -> JobConfig:
        source = await self._source(job)
        count = source.manifest.page_count
        pages = parse_pages(str(job.input.get("pages") or await self._edited_pages(source) or f"1-{count}"), count)
        chosen = self.chooser.choose(job, source.choices)
        await self.chooser.check_served(chosen)
        epoch = await self.take(source.book_id, job)
        if await self._manifest_of(source.book_id) not in (source.before, source.fingerprint):
            # Somebody was faster, between the look at the book and the lease; from now on nobody can be.
            return await self._resolve(job)
        if source.edited is not None:
            # An edit is done once: a repeat of this activity, whose answer was lost, must not edit its own result.
            note = _edit_note(job)
            await asyncio.to_thread(self.services.artifacts.publish, note, source.before.encode())
        await place_pages(self.services.store, source.book_id, epoch, source.fingerprint, source.manifest)
        await self._book(source, epoch, job.input)
        return self.chooser.freeze(job, chosen, source.book_id, epoch, source.fingerprint, count, pages)

    async def _source(self, job: ResolveInput) -> Source:
        given = job.input
        if given.get("book_id"):
            source = await self.source_by_key(str(given["book_id"]))
            return await self._edit(source, job) if given.get("edits") else source
        if given.get("manifest") is None:
            spreads, rtl = str(given.get("spreads") or AUTO), bool(given.get("rtl"))
            manifest = await self._import(given["source"], spreads, rtl=rtl)
        else:
            manifest = await self.services.manifest(str(given["manifest"]))
        source = await self.source_of(manifest)
        await publish_manifest(self.services.artifacts, source.manifest)
        return source

    async def source_by_key(self, book_id: str) -> Source:
        """A book that is known, with what was chosen for it. Raises BadInput, ArtifactMissing."""
        book = (await self.services.store.get(Book, [book_id], ["source_manifest", "choices"])).get(book_id)
        if book is None or not book.source_manifest:
            raise BadInput(f"There is no book {book_id!r}.", "See `shelf books` for those there are.")
        manifest = await self.services.manifest(book.source_manifest)
        choices = json.loads(book.choices or "{}")
        return Source(book_id, book.source_manifest, manifest, choices, before=book.source_manifest)

    async def source_of(self, manifest: Manifest) -> Source:
        """The book of an imported source, with the edits of its leaves that it has by now. Writes nothing."""
        book_id = manifest.book or book_key(manifest.name, [part.sha256 for part in manifest.parts])
        before = await self._manifest_of(book_id)
        if before:
            # Without the artifact of the old manifest the source is all that there is.
            with contextlib.suppress(ArtifactMissing):
                manifest = today(manifest, await self.services.manifest(before), book_id)
        return Source(book_id, manifest.fingerprint(), manifest, before=before)

    async def _edit(self, source: Source, job: ResolveInput) -> Source:
        """The book after the edits. Raises BadInput where they do not fit it as it is."""
        noted = await asyncio.to_thread(self.services.artifacts.get, _edit_note(job))
        before = source.before if noted is None else noted.decode()
        if job.input.get("of") not in (None, before):
            raise BadInput(
                f"The leaves of {source.book_id} have changed since this edit of them was made.",
                f"Look at them with `shelf leaf list {source.book_id}`, and edit again.",
            )
        manifest = edited = await self.services.manifest(before)
        original = await self.services.manifest(manifest.original) if manifest.original else manifest
        for edit in (LeafEdit.model_validate(each) for each in job.input["edits"]):
            files = None
            if edit.manifest is not None:
                files = await self.services.manifest(edit.manifest)
            elif edit.source is not None:
                files = await self._import(edit.source, NEVER)
            manifest = apply(manifest, source.book_id, edit, files, original)
        fingerprint = await publish_manifest(self.services.artifacts, manifest)
        return replace(source, fingerprint=fingerprint, manifest=manifest, before=before, edited=edited)

    async def _edited_pages(self, source: Source) -> str:
        """After an edit: the pages that were looked at before, and the new ones. Who read twenty pages of a book and
        replaces one of them does not ask for the rest."""
        if source.edited is None:
            return ""
        found = await self.services.store.find(Page, {"book_key": source.book_id}, ["key"])
        known, new = {page.key for page in found}, changes(source.edited, source.manifest).new
        places = positions(source.book_id, source.manifest)
        return format_pages(page for key, page in places.items() if key in known or page in new)

    async def _import(self, given: str | Sequence[str], spreads: str, *, rtl: bool = False) -> Manifest:
        paths = self._allowed(given)
        _, manifest = await import_source(self.pdf, self.services.artifacts, paths, spreads, rtl=rtl)
        return manifest

    async def _manifest_of(self, book_id: str) -> str:
        """Fingerprint of the manifest that a book has now; '' where there is no such book."""
        book = (await self.services.store.get(Book, [book_id], ["source_manifest"])).get(book_id)
        return (book.source_manifest if book is not None else None) or ""

    def _allowed(self, given: str | Sequence[str]) -> list[Path]:
        """Existing paths below the roots that the worker may read; relative ones are looked up in each root."""
        roots = [root.resolve() for root in self.services.source_roots]
        found = []
        for name in [given] if isinstance(given, str) else given:
            path = Path(name)
            candidates = [path] if path.is_absolute() else [root / path for root in roots]
            inside = [
                candidate.resolve()
                for candidate in candidates
                if any(candidate.resolve().is_relative_to(root) for root in roots)
            ]
            if not inside:
                raise SourceNotAllowed(
                    f"{name} lies outside the folders that the worker may read ({', '.join(map(str, roots))}).",
                    "Move it there, name its folder in SHELF_SOURCE_ROOTS, or use `shelf process`.",
                )
            existing = [candidate for candidate in inside if candidate.exists()]
            if not existing:
                raise SourceNotFound(f"{name} does not exist below {', '.join(map(str, roots))}.", "Check the path.")
            found.append(existing[0])
        return found

    async def take(self, book_id: str, job: ResolveInput) -> int:
        """Take the book, if nobody alive holds it. Raises LeaseHeld."""
        store = self.services.store
        while True:
            lease = (await store.get(Lease, [book_id])).get(book_id)
            expected = (lease.epoch if lease is not None else None) or 0
            if lease is not None and lease.workflow_id and lease.run_id != job.run_id:
                same_chain = lease.workflow_id == job.workflow_id and lease.first_run_id == job.first_run_id
                if not same_chain and await self.services.alive(lease.workflow_id, lease.first_run_id or ""):
                    raise LeaseHeld(
                        f"Book {book_id} is being worked on by {lease.workflow_id}.",
                        f"Watch it with `shelf watch {book_id}`, or start with --wait.",
                    )
            if lease is not None and lease.run_id == job.run_id and lease.workflow_id == job.workflow_id:
                # My own token: an earlier attempt of this activity, whose answer was lost, took it.
                return expected
            epoch = await store.acquire_lease(book_id, job.workflow_id, job.first_run_id, job.run_id, expected)
            if epoch is not None:
                return epoch

    @staticmethod
    def _choices(source: Source, given: Mapping[str, Any]) -> dict[str, Any]:
        """What counts for the book from now on. A job on some pages, or by an added provider, decides nothing for it."""
        partly = source.choices and given.get("pages")
        chosen = {} if partly or given.get("provider") else {name: given[name] for name in CHOICES if name in given}
        return {**source.choices, **chosen}

    async def _book(self, source: Source, epoch: int, given: Mapping[str, Any]) -> None:
        choices = self._choices(source, given)
        await self.services.store.stub(Book, [{"key": source.book_id}])
        update = Update(
            source.book_id,
            {
                "source_name": source.manifest.name,
                "source_manifest": source.fingerprint,
                "page_count": source.manifest.page_count,
                "choices": json.dumps(choices, sort_keys=True) if choices else None,
                **({"barcode": str(given["barcode"])} if given.get("barcode") else {}),
            },
            {"complete": True, "inputs": digest(source.fingerprint)[:16], "error": None},
            op_id(epoch, SOURCE, 1, source.fingerprint),
        )
        await self.services.store.update(Book, SOURCE, epoch, 1, [update])

    @activity.defn
    async def load_state(self, job: LoadInput) -> LoadedState:
        """What is complete and current in the database, for these operations and pages."""
        try:
            async with beating():
                return await self._load(job)
        except ShelfError as error:
            raise as_application_error(error) from None

    async def _load(self, job: LoadInput) -> LoadedState:
        state = await read_state(self.services, job)
        operations = [by_key(key) for key in (*job.operations, *job.takes)]
        return LoadedState(
            complete={
                operation.name: (
                    format_pages(state.of(operation.name).complete)
                    if operation.scope is Scope.PAGE
                    else "0" * (BOOK_ITEM in state.of(operation.name).complete)
                )
                for operation in operations
            },
            sections={
                operation.name: state.of(operation.name).section
                for operation in operations
                if state.of(operation.name).section
            },
            leaves=state.leaves if job.leaves else {},
        )

    @activity.defn
    async def renew_lease(self, job: LeaseInput) -> int:
        """The next epoch for the same holder. Raises ApplicationError LeaseLost where another job has the book."""
        try:
            lease = (await self.services.store.get(Lease, [job.book_id])).get(job.book_id)
            if lease is None or lease.run_id != job.run_id:
                raise LeaseLost(f"Book {job.book_id} was taken by another job while this one was paused.")
            if lease.epoch == job.epoch + 1:
                return job.epoch + 1
            epoch = await self.services.store.acquire_lease(
                job.book_id, lease.workflow_id or "", lease.first_run_id or "", job.run_id, job.epoch
            )
            if epoch is None:
                raise LeaseLost(f"Book {job.book_id} was taken by another job while this one was paused.")
            return epoch
        except ShelfError as error:
            raise as_application_error(error) from None

    @activity.defn
    async def release_lease(self, job: LeaseInput) -> None:
        """Free the book, if this run still holds it."""
        try:
            await self.services.store.release_lease(job.book_id, job.run_id, job.epoch)
        except ShelfError as error:
            raise as_application_error(error) from None


async def read_state(services: Services, job: LoadInput) -> JobState:
    """What is complete and current in the database, for these operations and pages. Writes nothing."""
    book_id = job.config.book_id
    pages = tuple(parse_pages(job.pages))
    manifest = await services.manifest(job.config.manifest)
    operations = [by_key(key) for key in (*job.operations, *job.takes)]
    book: Document | None = None
    toc: Document | None = None
    results: dict[str, OcrResult] = {}
    every = manifest.all_leaves()
    leaves = {page: leaf_id(at.part, at.index, at.region) for page in pages for at in (every[page - 1],)}
    if job.leaves:
        keys = [page_key(book_id, leaf) for leaf in leaves.values()]
        found = await services.store.get(Page, keys, PAGE_FIELDS)
        documents = {page: found[key] for page, key in zip(leaves, keys, strict=True) if key in found}
        wanted = [key for document in documents.values() for key in document.ocr_results or ()]
        if wanted:
            results = await services.store.get(OcrResult, wanted, ["provider", "expected_cer"])
    else:
        documents = await services.book_pages(book_id)
        book = (await services.store.get(Book, [book_id])).get(book_id)
        toc = (await services.store.get(ToC, [toc_key(book_id)])).get(toc_key(book_id))
    own = tuple(by_key(key).name for key in job.operations)
    state = JobState(config=job.config, pages=pages, leaves=leaves, own=own)
    records = Records(documents, book, toc, results, await read_corrections(services.store, book_id))
    for operation in operations:
        operation.load(state, records)
        operation.load_elsewhere(state, records)
        # In the order of the job, so that staleness runs down the chain.
        operation.forget_stale(state)
    return state


def lease_held(error: LeaseHeld, *, wait: bool) -> ApplicationError:
    """Tried again, ever more seldom, where the job waits for the book."""
    delay = min(WAIT_FIRST_SECONDS * 2 ** (activity.info().attempt - 1), WAIT_LONGEST_SECONDS)
    return ApplicationError(
        str(error),
        error.exit_code,
        type="LeaseHeld",
        non_retryable=not wait,
        next_retry_delay=timedelta(seconds=delay),
    )


def _edit_note(job: ResolveInput) -> str:
    """Under which it is noted what the leaves were before this run's edit."""
    return digest(["leaves before", job.workflow_id, job.run_id])
