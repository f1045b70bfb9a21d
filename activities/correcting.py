"""Recording what people say: checked, numbered, once."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from temporalio import activity

from activities.beat import beating
from activities.corrections import (
    BOOK_FIELDS,
    IMAGE_STEPS,
    PAGE_FIELDS,
    TEXTS,
    Corrections,
    RecordInput,
    RecordResult,
    Said,
    read_corrections,
)
from activities.prompts import PROMPT_FIELDS
from activities.save import check_lease
from activities.services import Services
from activities.work import as_application_error
from providers.artifacts import ArtifactStore, Request
from providers.errors import Rejected
from providers.image_steps import ImageSteps
from providers.rules.isbn import find_isbns
from providers.rules.page_types import PAGE_TYPES
from providers.vote import CORRECTION, tidy
from schemas.documents import Correction, Metric, Page
from schemas.errors import ArtifactMissing, BadInput, RevReused, ShelfError
from schemas.keys import correction_key
from schemas.pagespec import format_pages
from schemas.store import Saved, Written, digest

OPERATION = "correct"
"""Under which the Metrics have it."""

TEXT_BYTES = 65_536
"""Of a corrected page, as UTF-8: a full newspaper page has half of it. Inline it also has to fit into a history."""

CHARACTERS = {"label": 20, "running_header": 200, "title": 500, "subtitle": 500, "publisher": 200, "place": 100}
"""Longest values of the fields that are a line of text."""

RACES = 20
"""Others who took the next number first, before it is a fault."""


class CorrectActivities:
    """Writes the Correction documents; what follows from them is the operations' work."""

    def __init__(self, services: Services) -> None:
        self.services = services

    @activity.defn
    async def record_corrections(self, job: RecordInput) -> RecordResult:
        """All of them checked first, then each written under its field's next number.

        Raises ApplicationError with BadInput, LeaseLost, ArtifactMissing or DiskFull as type."""
        try:
            async with beating():
                return await self._record(job)
        except ShelfError as error:
            raise as_application_error(error) from None

    async def _record(self, job: RecordInput) -> RecordResult:
        store = self.services.store
        await check_lease(self.services, job.book_id, job.epoch)
        found = await store.find(Page, {"book_key": job.book_id}, ["page"])
        keys = {page.page: page.key for page in found if page.page is not None}
        known = await read_corrections(store, job.book_id)
        wanted = []
        inline = 0
        for said in job.corrections:
            inline += len(said.value.encode()) if said.field in TEXTS and isinstance(said.value, str) else 0
            if inline > TEXT_BYTES:
                raise BadInput(
                    f"The texts given are longer than {TEXT_BYTES} bytes together.",
                    "Correct fewer pages at once, or use `shelf correct`.",
                )
            target = self._target(job.book_id, keys, said)
            value = None if said.revert else json.dumps(await self._value(said), ensure_ascii=False)
            if said.revert and not self._revertible(known, job, target, said):
                raise BadInput(
                    f"The {said.field} of {_place(job.book_id, said)} is not corrected: there is nothing to revert.",
                    f"See what is: `shelf corrections {job.book_id}`.",
                )
            wanted.append((target, said, value))
        recorded = []
        written: list[Written] = []
        for target, said, value in wanted:
            key, new = await self._write(job, target, said, value)
            recorded.append(key)
            written += new
        await self._metric(job, written)
        return RecordResult(
            recorded=tuple(recorded),
            pages=format_pages(keys),
            corrected=format_pages({said.page for said in job.corrections if said.page is not None}),
        )

    def _target(self, book_id: str, keys: Mapping[int, str], said: Said) -> str:
        """Key of the document that is corrected."""
        fields = (*BOOK_FIELDS, *PROMPT_FIELDS) if said.page is None else PAGE_FIELDS
        if said.field not in fields:
            raise BadInput(
                f"The field {said.field!r} of a {'book' if said.page is None else 'page'} cannot be corrected.",
                f"Known: {', '.join(fields)}.",
            )
        if said.page is None:
            return book_id
        if said.page not in keys:
            raise BadInput(
                f"Page {said.page} of {book_id} is not known.", f"See those that are: `shelf pages {book_id}`."
            )
        return keys[said.page]

    async def _value(self, said: Said) -> Any:
        if said.field not in TEXTS:
            return checked(said.field, said.value)
        artifacts = self.services.artifacts
        where = f"page {said.page}" if said.page is not None else f"the field {said.field}"
        if said.artifact is None:
            if not isinstance(said.value, str):
                raise BadInput(f"{where.capitalize()} is given no text.", "Give it as 'value', or its 'artifact'.")
            publish = publish_prompt if said.field in PROMPT_FIELDS else publish_text
            return await asyncio.to_thread(publish, artifacts, said.value)
        body = await asyncio.to_thread(artifacts.get, said.artifact)
        if body is None:
            raise ArtifactMissing(
                f"The text for {where} is not in the artifact store of the worker.",
                "Do it from the machine that has it, or give the text itself as 'value'.",
            )
        try:
            body.decode()
        except UnicodeDecodeError:
            raise BadInput(f"The artifact given for {where} is no text.", "Publish it as UTF-8.") from None
        return said.artifact

    @staticmethod
    def _revertible(known: Corrections, job: RecordInput, target: str, said: Said) -> bool:
        newest = known.newest(target, said.field)
        return newest is not None and (not newest.reverted or (newest.who, newest.at) == (job.who, job.at))

    async def _write(self, job: RecordInput, target: str, said: Said, value: str | None) -> tuple[str, list[Written]]:
        """One document, unless the last one says the same: so a repeat of this activity finds what it wrote.

        Two who speak at once cannot both have a number, for keys are unique: the second reads again and takes the
        next."""
        for _ in range(RACES):
            newest = (await read_corrections(self.services.store, job.book_id)).newest(target, said.field)
            content = {"value": value, "reverted": said.revert or None, "who": job.who, "why": said.why}
            if newest is not None and all(getattr(newest, name) == value for name, value in content.items()):
                return newest.key, []
            number = ((newest.number if newest is not None else None) or 0) + 1
            correction = Correction(
                key=correction_key(target, said.field, number),
                book_key=job.book_id,
                target=target,
                field=said.field,
                number=number,
                at=job.at,
                **content,
            )
            try:
                return correction.key, await self.services.store.create(Correction, [correction])
            except RevReused:
                continue
        raise RevReused(f"{RACES} others corrected the {said.field} of {target} at this moment.", "Try it again.")

    async def _metric(self, job: RecordInput, written: Sequence[Written]) -> None:
        """Which activity wrote them, for `shelf history`."""
        new = [result for result in written if result.outcome is Saved.SAVED]
        if not new:
            return
        info = activity.info()
        metric = Metric(
            key=f"save/{info.workflow_run_id}/{info.activity_id}/{info.attempt}",
            book_key=job.book_id,
            kind="save",
            operation=OPERATION,
            provider="person",
            workflow_id=info.workflow_id,
            run_id=info.workflow_run_id,
            activity_id=info.activity_id,
            attempt=info.attempt,
            at=job.at,
            outcome="ok",
            documents=[f"{Correction.__name__} {result.key} {result.doc_id} {result.cid}" for result in new],
        )
        await self.services.store.create(Metric, [metric])


def _place(book_id: str, said: Said) -> str:
    return book_id if said.page is None else f"page {said.page} of {book_id}"


def publish_text(artifacts: ArtifactStore, text: str) -> str:
    """Keep a page's text, for histories and corrections carry references; returns its fingerprint.

    Raises BadInput for one that is too long, DiskFull."""
    body = tidy(text).encode()
    if len(body) > TEXT_BYTES:
        raise BadInput(
            f"The text has {len(body)} bytes, more than the {TEXT_BYTES} of a page.", "Give one page's text."
        )
    return _publish(artifacts, "text/1", body)


def publish_prompt(artifacts: ArtifactStore, text: str) -> str:
    """Keep the instructions for a model as they are written; returns their fingerprint.

    Raises BadInput for none, or too many; DiskFull."""
    body = f"{text.strip()}\n".encode()
    if not text.strip():
        raise BadInput("The prompt is empty.", "Write what the model is to do, or use `shelf prompt reset`.")
    if len(body) > TEXT_BYTES:
        raise BadInput(f"The prompt has {len(body)} bytes, more than {TEXT_BYTES}.", "Shorten it.")
    return _publish(artifacts, "prompt/1", body)


def _publish(artifacts: ArtifactStore, model: str, body: bytes) -> str:
    fingerprint = Request(
        operation=CORRECTION, provider="person", model=model, parameters={}, inputs=(digest(body.decode()),)
    ).fingerprint
    artifacts.publish(fingerprint, body)
    return fingerprint


def checked(field: str, value: Any) -> Any:
    """A value as its document has it: blanks and signs of a list put right, types and checksums verified.

    None, and an empty text, mean that the book or page has none. Raises BadInput that names the field."""
    if isinstance(value, str):
        value = " ".join(value.split()) or None
    if field in ("authors", "isbn"):
        return _listed(field, [] if value is None else value)
    if field == "page_type":
        if value not in PAGE_TYPES:
            raise BadInput(f"There is no page type {value!r}.", f"Known: {', '.join(PAGE_TYPES)}.")
        return value
    if value is None:
        return None
    if field == "year":
        return _year(value)
    if not isinstance(value, str):
        raise BadInput(f"The {field} must be a text, not {value!r}.", "Write it as it is printed.")
    if field == IMAGE_STEPS:
        return _steps(value)
    if field == "language":
        if not re.fullmatch(r"[a-z]{2}", value):
            raise BadInput(f"{value!r} is no language by ISO 639-1.", "Write two letters, as en or de.")
        return value
    if len(value) > CHARACTERS[field]:
        raise BadInput(f"The {field} has {len(value)} characters, more than {CHARACTERS[field]}.", "Shorten it.")
    return value


def _year(value: Any) -> int:
    text = str(value)
    if isinstance(value, bool) or not re.fullmatch(r"\d{1,4}", text) or int(text) == 0:
        raise BadInput(f"The year must be a whole number of at most four digits, not {value!r}.", "Write it as 1916.")
    return int(text)


def _listed(field: str, value: Any) -> list[str]:
    if not isinstance(value, list) or not all(isinstance(each, str) and each.strip() for each in value):
        raise BadInput(f"The {field} must be a list of texts, not {value!r}.", 'Write ["one", "another"].')
    texts = [" ".join(each.split()) for each in value]
    if field == "authors":
        return texts
    numbers = []
    for text in texts:
        found = find_isbns(f"ISBN {text}")
        if len(found) != 1:
            raise BadInput(f"{text!r} is no ISBN: its checksum is wrong.", "Check it against the book.")
        numbers += found
    return numbers


def _steps(value: str) -> str | None:
    try:
        return ImageSteps.from_json(value).to_json() or None
    except Rejected:
        raise BadInput(f"{value!r} are no {IMAGE_STEPS}.", "See docs/jobs/correct.md for what they may be.") from None
