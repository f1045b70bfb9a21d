"""Deleting a book: marked first, its documents next, what lies in the artifact store after them, the Book last.

A deletion that ends in the middle leaves a Book that says so and whose operations count as not done: it can be deleted
again by its name, or processed again, and is never taken for a whole one. The Lease stays, for its epoch has to go on
growing: whatever an earlier job may still have under way is refused by it.
"""

from __future__ import annotations

import asyncio

from temporalio import activity

from activities.beat import beating
from activities.contracts import Contract, ResolveInput
from activities.holdings import (
    BEING_DELETED,
    MEMBERS,
    Holdings,
    being_deleted,
    count_documents,
    held,
    shared_with_others,
    where,
)
from activities.job import SOURCE, JobActivities, lease_held
from activities.paragraph.activity import figure_artifacts
from activities.save import check_lease
from activities.services import Services
from activities.work import as_application_error
from schemas.documents import Book, Page, ToC
from schemas.errors import BadInput, LeaseHeld, ShelfError
from schemas.store import STEPS_PER_EPOCH, Update, digest, op_id, revision

STEP = STEPS_PER_EPOCH - 1
"""Of the mark: after everything else that the epoch could write."""

ORDER = (ToC.__name__, Page.__name__, *(kind.__name__ for kind in MEMBERS if kind not in (ToC, Page)))
"""Types as they are deleted: those that say that something is complete before what they say it of."""

KEYS_A_LOOK = 240
"""Documents deleted between two looks at the lease."""


class Deletion(Contract):
    """A deletion that has begun."""

    book_id: str
    epoch: int
    plan: str
    """Fingerprint of the artifact that says which artifacts the book had; '' where they are kept."""
    counts: dict[str, int]
    """Type -> documents that there are."""


class DeleteStep(Contract):
    """Argument of the steps of a deletion."""

    deletion: Deletion
    kind: str = ""
    """Of `delete_documents`: name of a type."""


class Removed(Contract):
    """Answer of `delete_artifacts`."""

    removed: int = 0
    kept: int = 0
    """Those that another book holds too."""
    bytes: int = 0


class DeleteActivities:
    """The steps of `DeleteBook`; each may be repeated."""

    def __init__(self, services: Services, jobs: JobActivities) -> None:
        self.services = services
        self.jobs = jobs

    @activity.defn
    async def begin_deletion(self, job: ResolveInput) -> Deletion:
        """Take the book, note what it has in the artifact store, mark it.

        Raises ApplicationError with BadInput or LeaseHeld as type; LeaseHeld is retryable if the job waits."""
        try:
            async with beating():
                return await self._begin(job)
        except LeaseHeld as error:
            raise lease_held(error, wait=bool(job.input.get("wait"))) from None
        except ShelfError as error:
            raise as_application_error(error) from None

    async def _begin(self, job: ResolveInput) -> Deletion:
        store, artifacts = self.services.store, self.services.artifacts
        key = str(job.input["book_id"])
        if key not in await store.get(Book, [key], ["key"]):
            raise BadInput(f"There is no book {key!r}.", "See `shelf books` for those there are.")
        epoch = await self.jobs.take(key, job)
        book = (await store.get(Book, [key]))[key]
        noted = str(book.flag(SOURCE, "artifact") or "") if being_deleted(book) else ""
        if book.flag(SOURCE, "rev") == revision(epoch, STEP):
            plan = noted  # an earlier attempt of this activity marked it, and its answer was lost
        elif job.input.get("keep_artifacts"):
            plan = ""
        else:
            found = await held(store, artifacts, key, past=True)
            if book.paragraph_sets:
                found.artifacts |= await figure_artifacts(self.services, key)
            if noted and (body := await asyncio.to_thread(artifacts.get, noted)):
                # Of a deletion that did not come to its end: the documents that named these are gone.
                found = found | Holdings.from_json(body)
            body = found.to_json()
            plan = digest(["deletion", key, body.decode()])
            await asyncio.to_thread(artifacts.publish, plan, body)
        for operation in Book.operations:
            flags: dict[str, str | None] = {"complete": None, "inputs": None}
            if operation == SOURCE:
                flags |= {"artifact": plan or None, "error": BEING_DELETED}
            mark = op_id(epoch, operation, STEP, plan)
            await store.update(Book, operation, epoch, STEP, [Update(key, {}, flags, mark)])
        return Deletion(book_id=key, epoch=epoch, plan=plan, counts=await count_documents(store, key))

    @activity.defn
    async def delete_documents(self, step: DeleteStep) -> int:
        """All documents of one type. Raises ApplicationError with LeaseLost as type."""
        try:
            async with beating():
                kind = next(kind for kind in MEMBERS if kind.__name__ == step.kind)
                book = step.deletion.book_id
                keys = [each.key for each in await self.services.store.find(kind, where(kind, book), [])]
                for at in range(0, len(keys), KEYS_A_LOOK):
                    await check_lease(self.services, book, step.deletion.epoch)
                    await self.services.store.delete(kind, keys[at : at + KEYS_A_LOOK])
                return len(keys)
        except ShelfError as error:
            raise as_application_error(error) from None

    @activity.defn
    async def delete_artifacts(self, step: DeleteStep) -> Removed:
        """What the plan names and no other book holds. Raises ApplicationError with LeaseLost or DiskFull as type."""
        try:
            async with beating():
                return await self._artifacts(step.deletion)
        except ShelfError as error:
            raise as_application_error(error) from None

    async def _artifacts(self, deletion: Deletion) -> Removed:
        artifacts = self.services.artifacts
        await check_lease(self.services, deletion.book_id, deletion.epoch)
        body = await asyncio.to_thread(artifacts.get, deletion.plan) if deletion.plan else None
        if body is None:
            return Removed()
        mine = Holdings.from_json(body)
        shared = await shared_with_others(self.services.store, artifacts, deletion.book_id, mine)
        own = mine - shared

        def remove() -> int:
            freed = sum(map(artifacts.remove, sorted(own.artifacts)))
            return freed + sum(map(artifacts.remove_file, sorted(own.files)))

        return Removed(removed=len(own), kept=len(shared), bytes=await asyncio.to_thread(remove))

    @activity.defn
    async def finish_deletion(self, step: DeleteStep) -> None:
        """The Book itself, and the note of what it had. Raises ApplicationError with LeaseLost as type."""
        try:
            await check_lease(self.services, step.deletion.book_id, step.deletion.epoch)
            await self.services.store.delete(Book, [step.deletion.book_id])
            if step.deletion.plan:
                await asyncio.to_thread(self.services.artifacts.remove, step.deletion.plan)
        except ShelfError as error:
            raise as_application_error(error) from None
