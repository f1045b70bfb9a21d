"""The contents agent's activities: begin, one turn of the model, one call of a tool, end.

Each leaves the conversation as it is then in the artifact store, under what led there, so that whatever was said is said once:
a repeat after a crash, or a job that resumes, finds it.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import ParamSpec, TypeVar

from temporalio import activity
from temporalio.exceptions import ApplicationError

from activities.asking import Asked, prompt_of
from activities.beat import beating
from activities.book import BookRecords, each_page, scope_of
from activities.contracts import BOOK_ITEM, Outcome, UnitInput, WorkResult
from activities.corrections import Corrections, read_corrections, types_said
from activities.metadata.operation import each_type
from activities.prompts import Prompt
from activities.services import Services
from activities.toc_find.agent_contracts import EndInput, Moved, ToolInput, TurnInput
from activities.toc_find.agent_conversation import Conversation, Said
from activities.toc_find.agent_prompt import AGENT_PROMPT, LAST_TURNS
from activities.toc_find.agent_prompt import REVISION as AGENT_REVISION
from activities.toc_find.agent_result import by_agent, by_rules
from activities.toc_find.operation import TOC_FIND, toc_find_inputs
from activities.toc_find.schema import shortlist
from activities.toc_find.tools import offered, run
from activities.toc_find.tools.base import Desk
from activities.work import Item, Produced, as_application_error, request_of, work
from providers.errors import BadOutput, ProviderError
from providers.language_model import Image
from providers.ledger import Calls
from providers.pdf import PdfReader
from providers.prices import high_estimate
from providers.rules import REVISION
from providers.rules.contents import find
from schemas.documents import Page
from schemas.errors import ArtifactMissing, ShelfError
from schemas.pagespec import format_pages
from schemas.reading import PageReading

MANY_TURNS = 3
"""So few turns before the end the model is told."""

P = ParamSpec("P")
R = TypeVar("R")


def _activity(function: Callable[P, Awaitable[R]]) -> Callable[P, Awaitable[R]]:
    """Heartbeats, and errors as Temporal has them: outages of ours are waited for, anything else would come again."""

    @functools.wraps(function)
    async def wrapped(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            async with beating():
                return await function(*args, **kwargs)
        except ShelfError as error:
            raise as_application_error(error) from None
        except Exception as error:
            activity.logger.exception("the contents agent failed")
            raise ApplicationError(str(error)[:500], type=type(error).__name__, non_retryable=True) from error

    return wrapped


class ContentsAgentActivities:
    """What the workflow `ContentsAgent` does."""

    def __init__(self, services: Services, pdf: PdfReader) -> None:
        self.services = services
        self.pdf = pdf

    @activity.defn
    @_activity
    async def agent_begin(self, job: UnitInput) -> Moved:
        """The conversation with what the rules know: which pages there are, and what they found on them."""
        records, corrections = await self._records(job)
        wanted = scope_of(job)
        types = types_said(corrections, records.pages, wanted)
        reads = [job.manifest, *each_page(records.artifacts("blend", wanted)), *each_type(types)]
        model = f"agent/{AGENT_REVISION} rules/{REVISION}"
        said = await prompt_of(self.services.artifacts, corrections, job.book_id, TOC_FIND.name)
        hints = said.text if said.by else ""
        fingerprint = request_of(job, model, reads, records.generation(job), {"hints": hints}).fingerprint

        async def begun() -> Conversation:
            readings = await records.readings(wanted)
            facts = await self.pdf.book(await self.services.manifest(job.manifest), self.services.artifacts)
            rules = await asyncio.to_thread(find, readings, facts.outline, types)
            pages = tuple(page for page in wanted if page in records.pages)
            likely = {page: why for page, why in shortlist(rules, readings).items() if page in pages}
            task = _task(job.page_count, pages, likely, hints)
            return Conversation(rules=rules, pages=pages, messages=(Said(role="user", text=task),))

        await self._keep(fingerprint, begun)
        return Moved(conversation=fingerprint)

    @activity.defn
    async def agent_turn(self, job: TurnInput) -> WorkResult:
        """One answer of the model: one call, paid once. Its outcome has the conversation with the answer as artifact, and
        the calls that it asks for as figures "call 0", "call 1", ...; "idle" counts answers without any."""
        unit = job.job

        async def items() -> Sequence[Item]:
            conversation = await self._conversation(job.conversation, unit)
            pages = await self.services.book_pages(unit.book_id) if conversation.page is not None else {}
            return [self._turn(job, conversation, pages.get(conversation.page or 0))]

        return await work(self.services, unit, items)

    def _turn(self, job: TurnInput, conversation: Conversation, document: Page | None) -> Item:
        unit = job.job
        provider = unit.unit.provider
        model = self.services.models[provider]
        name = model.model(unit.model)
        prompt = Prompt(AGENT_PROMPT)
        notes = []
        if job.turns_left <= MANY_TURNS:
            times = "times" if job.turns_left > 1 else "time"
            notes.append(LAST_TURNS.format(left=job.turns_left, times=times))

        async def ask(calls: Calls) -> Produced:
            images: tuple[Image, ...] = ()
            said = list(notes)
            if conversation.page is not None:
                try:
                    images = await Asked(self.services, unit, model, prompt, calls).picture(conversation.page, document)
                except ProviderError as error:
                    # Whatever ails the picture, the agent has the text.
                    said.append(f"The picture of page {conversation.page} cannot be shown: {error.message[:200]}")
            question = conversation.question(prompt.text, prompt.hash, offered(), images, said)
            try:
                answer = await model.answer(question, name, unit.page_timeout_seconds, calls)
            except BadOutput as error:
                # It came and was paid; the model is told, and it counts as a turn.
                told = conversation.unreadable(error.message)
            else:
                told = conversation.answered(answer)
            return Produced(_body(_after(told, job.conversation)), model=name, prompt_hash=prompt.hash)

        picture: Mapping[str, object] = {}
        if model.sees and document is not None:
            pictures = self.services.pictures[provider]
            picture = {"picture": [document.image_hash, document.image_steps, dict(pictures.parameters())]}
        return Item(
            item=BOOK_ITEM,
            request=request_of(
                unit,
                name,
                [job.conversation],
                0,  # what the conversation began with has the generation
                {"agent": AGENT_REVISION, "sees": model.sees, "notes": notes, **picture},
                prompt.hash,
            ),
            inputs="",
            call=_never,
            ask=ask,
            figures=_figures,
            estimate_usd=high_estimate(self.services.queues[provider], name, unit.unit.operation),
        )

    @activity.defn
    @_activity
    async def agent_tool(self, job: ToolInput) -> Moved:
        """What one of the tools answers that the model called."""
        unit = job.job
        fingerprint = request_of(
            unit, f"agent/{AGENT_REVISION} tools", [job.conversation, str(job.call)], 0
        ).fingerprint

        async def ran() -> Conversation:
            before = await self._conversation(job.conversation, unit)
            records = await BookRecords.read(self.services, unit.book_id)
            readings: Mapping[int, PageReading] = dict(await records.readings(scope_of(unit)))
            desk = Desk(before, readings, self.services.models[unit.unit.provider].sees)
            return _after(await asyncio.to_thread(run, desk, before.calls[job.call]), job.conversation)

        conversation = await self._keep(fingerprint, ran)
        return Moved(
            conversation=fingerprint,
            said=conversation.messages[-1].short,
            finished=conversation.result is not None,
        )

    @activity.defn
    @_activity
    async def agent_end(self, job: EndInput) -> Outcome:
        """What the agent wrote, or what the rules found, as the result of the unit."""
        unit = job.job
        conversation = await self._conversation(job.conversation, unit)
        model = self.services.models[unit.unit.provider]
        who = f"{unit.unit.provider}/{model.model(unit.model)}"
        noted = (conversation.observations, list(conversation.seen), job.conversation)
        if conversation.result is not None and not job.given_up:
            found = by_agent(conversation.rules, conversation.result, who, *noted)
        else:
            found = by_rules(conversation.rules, who, job.given_up, *noted)
        records, corrections = await self._records(unit)
        wanted = scope_of(unit)
        generation = records.generation(unit)
        fingerprint = request_of(
            unit, f"agent/{AGENT_REVISION} end", [job.conversation, job.given_up], generation
        ).fingerprint
        await asyncio.to_thread(self.services.artifacts.publish, fingerprint, found.model_dump_json().encode())
        types = types_said(corrections, records.pages, wanted)
        return Outcome(
            item=BOOK_ITEM,
            status="ok",
            artifact=fingerprint,
            inputs=toc_find_inputs(unit.manifest, records.pages, wanted, unit.choice, generation, types),
            generation=generation,
            figures={"turns": job.turns, "decided_by": found.decided_by, "pages": format_pages(found.pages)},
        )

    async def _records(self, job: UnitInput) -> tuple[BookRecords, Corrections]:
        records = await BookRecords.read(self.services, job.book_id)
        return records, await read_corrections(self.services.store, job.book_id)

    async def _conversation(self, fingerprint: str, job: UnitInput) -> Conversation:
        """Raises ArtifactMissing."""
        body = await asyncio.to_thread(self.services.artifacts.get, fingerprint)
        if body is None:
            raise ArtifactMissing(
                f"What was said with the agent that looks for the contents of {job.book_id} is not in the artifact store.",
                "The search begins anew with the next job on the book.",
            )
        return Conversation.model_validate_json(body)

    async def _keep(self, fingerprint: str, make: Callable[[], Awaitable[Conversation]]) -> Conversation:
        """What lies under the fingerprint, made where it is not there."""
        body = await asyncio.to_thread(self.services.artifacts.get, fingerprint)
        if body is not None:
            return Conversation.model_validate_json(body)
        made = await make()
        await asyncio.to_thread(self.services.artifacts.publish, fingerprint, _body(made))
        return made


async def _never() -> Produced:
    raise AssertionError("a model is asked by its calls")


def _after(conversation: Conversation, before: str) -> Conversation:
    return conversation.model_copy(update={"before": before})


def _body(conversation: Conversation) -> bytes:
    return conversation.model_dump_json().encode()


def _figures(body: bytes) -> Mapping[str, float | int | str | bool]:
    conversation = Conversation.model_validate_json(body)
    calls = () if conversation.idle else conversation.calls
    return {"idle": conversation.idle, **{f"call {at}": call.label for at, call in enumerate(calls)}}


def _task(page_count: int, pages: Sequence[int], likely: Mapping[int, str], hints: str) -> str:
    """The first message. `hints`: what a person said for this book to the model that takes the one look."""
    listed = "; ".join(f"page {page} ({why})" for page, why in likely.items())
    return (
        f"The book has {page_count} pages, numbered physically from 1. You can load pages {format_pages(pages)}. "
        f"{f'Rules point to: {listed}.' if listed else 'Rules point to no page.'} Find its table of contents."
        + (f"\n\nFor a look without tools at this book, a person gave these instructions:\n{hints}" if hints else "")
    )
