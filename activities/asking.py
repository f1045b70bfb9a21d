"""What operations share that a language model may do: the prompt, the pictures, the typed answer, and the rules in its place
where that is of no use.

The unit's provider says who does it: a name of `Services.models` is asked, any other is the rules.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TypeVar

from pydantic import BaseModel
from temporalio import activity

from activities.contracts import UnitInput
from activities.corrections import Corrections, text_of
from activities.prompts import OWN, PROMPT, Prompt
from activities.services import Services
from activities.work import Item, Produced, request_of
from providers.artifacts import ArtifactStore
from providers.asking import ask
from providers.errors import BadOutput
from providers.language_model import Image, LanguageModel, Message, Question
from providers.ledger import Calls
from providers.prices import high_estimate
from schemas.documents import Page
from schemas.errors import ArtifactMissing

M = TypeVar("M", bound=BaseModel)


async def prompt_of(artifacts: ArtifactStore, corrections: Corrections, book_id: str, operation: str) -> Prompt:
    """The book's own instructions, else the program's. Raises ArtifactMissing."""
    said = corrections.of(book_id, PROMPT + operation)
    if said is None:
        return Prompt(OWN[operation])
    body = await asyncio.to_thread(artifacts.get, text_of(said))
    if body is None:
        raise ArtifactMissing(
            f"The prompt of {operation} for {book_id} is not in the artifact store.",
            f"Give it again with `shelf prompt set {operation} {book_id} FILE`, or `shelf prompt reset`.",
        )
    return Prompt(body.decode(), said.who or "somebody")


@dataclass(frozen=True, slots=True)
class Asked:
    """A model that is asked within one item: its name, its instructions, the way to it."""

    services: Services
    job: UnitInput
    model: LanguageModel
    prompt: Prompt
    calls: Calls

    @property
    def name(self) -> str:
        """Provider and model, as results name who said something."""
        return f"{self.job.unit.provider}/{self.model.model(self.job.model)}"

    async def picture(self, page: int, document: Page | None) -> tuple[Image, ...]:
        """The page as it is sent; () for a model that does not see."""
        if not self.model.sees:
            return ()
        manifest = await self.services.manifest(self.job.manifest)
        leaf = await asyncio.to_thread(self.services.leaf, manifest, self.job.book_id, page, document)
        image = await self.services.pictures[self.job.unit.provider].of(leaf, self.job.page_timeout_seconds)
        return (Image(image.body, image.media_type),)

    async def answer(
        self,
        output: type[M],
        text: str,
        images: tuple[Image, ...] = (),
        *,
        check: Callable[[M], list[str]] = lambda answer: [],
        max_tokens: int = 4096,
    ) -> M:
        """The typed answer, after two repair turns at most. Raises BadOutput, or any other ProviderError."""
        question = Question(
            system=self.prompt.text,
            messages=[Message("user", text, images)],
            max_tokens=max_tokens,
            temperature=0.1,
            prompt_hash=self.prompt.hash,
        )
        model = self.model.model(self.job.model)
        return await ask(self.model, model, question, output, check, self.job.page_timeout_seconds, self.calls)


def is_asked(services: Services, job: UnitInput) -> bool:
    """Whether a model does this unit, and not the rules."""
    return job.unit.provider in services.models


def model_item(
    services: Services,
    job: UnitInput,
    prompt: Prompt,
    base: Item,
    *,
    answer: Callable[[Asked], Awaitable[bytes]],
    rules: Callable[[str], Awaitable[bytes]] | None = None,
    also: Iterable[str] = (),
    figures: Callable[[bytes], Mapping[str, float | int | str | bool]] = lambda body: {},
) -> Item:
    """An item that a model does in place of the rules.

    Args:
        base: the same item as the rules do it.
        answer: the result's body by the model's answer; BadOutput where that is of no use.
        rules: the result then, given the sentence why; by default as the rules make it. The sentence is among the figures,
            where the Temporal UI shows it.
        also: what is looked at besides what the rules look at, as hashes.
    """
    model = services.models[job.unit.provider]
    name = model.model(job.model)
    unused = ""

    async def produce(calls: Calls) -> Produced:
        nonlocal unused
        try:
            body = await answer(Asked(services, job, model, prompt, calls))
        except BadOutput as error:
            unused = f"{job.unit.provider}/{name} gave no answer of use: {error.message[:300]}"
            activity.logger.info("%s of %s, item %s: %s", job.unit.operation, job.book_id, base.item, unused)
            body = (await base.call()).body if rules is None else await rules(unused)
        return Produced(body, model=name, prompt_hash=prompt.hash)

    async def never() -> Produced:
        raise AssertionError("a model is asked by its calls")

    row = services.queues[job.unit.provider]
    asked = base.request
    parameters = {"sees": model.sees, "instead_of": asked.model, **asked.parameters}
    return replace(
        base,
        request=request_of(job, name, [*asked.inputs, *also], asked.generation, parameters, prompt_hash=prompt.hash),
        call=never,
        ask=produce,
        figures=lambda body: {**figures(body), **({"unused": unused} if unused else {})},
        estimate_usd=high_estimate(row, name, job.unit.operation),
    )
