"""Who does what in a job, by which model, and what one call may cost: from what was asked for, what was chosen for the book
before, and what is configured. Reads no document and calls nothing, so that a plan can be made of it beforehand."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from activities.contracts import JobConfig, ProviderPolicy, ResolveInput
from activities.services import Services
from providers.base import OcrProvider, RemoteOcrProvider
from providers.prices import high_estimate
from schemas.errors import BadInput, LanguageMissing
from schemas.keys import budget_key
from schemas.pagespec import format_pages

BOOK_PROVIDERS = {
    "extract": "pdf",
    "blend": "vote",
    "label_read": "rules",
    "label": "rules",
    "metadata": "rules",
    "toc_find": "rules",
    "toc_extract": "rules",
    "toc_link": "structure",
    "structure": "structure",
    "paragraph": "structure",
}
"""Who does each operation without a model."""

MODEL_BACKED = ("blend", "label_read", "metadata", "toc_find", "toc_extract")
"""Operations that a language model can do in place of the rules."""

AGENT = "agent"
"""Variant of the units that an agent carries."""
AGENT_USD = 0.5
"""What one run of an agent may cost at most, where the job's budget is large enough."""
AGENT_SHARE = 0.25
"""Of a job's budget: more of it is not set aside for the contents of the book."""


@dataclass(frozen=True, slots=True)
class Chosen:
    """What `JobConfig` has of it, field by field."""

    ocr: str
    stand_in: str
    images: str
    image_ocr: str
    second_opinion: str
    second_opinion_above: float
    second_opinion_share: float
    language: str
    providers: dict[str, ProviderPolicy]
    book_providers: dict[str, str]
    models: dict[str, str]
    fallbacks: dict[str, str]
    high_usd: dict[str, float]
    agent_usd: float

    def fields(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.__dataclass_fields__}


class Chooser:
    """Decides for one worker's providers and settings."""

    def __init__(self, services: Services) -> None:
        self.services = services

    def choose(self, job: ResolveInput, before: Mapping[str, Any]) -> Chosen:
        """Everything that a plan needs to know of who does what.

        Args:
            before: what was chosen for the book; what the job is given wins.

        Raises:
            BadInput: a provider that there is not, or whose price nobody knows.
            LanguageMissing: no model of the engine for the language.
        """
        services = self.services
        given = {**before, **job.input}
        ocr = str(job.input.get("provider") or given.get("ocr") or "auto")
        stand_in = str(given.get("stand_in") or "")
        language = str(given.get("language") or services.language)
        second = self._second_opinion(given, language)
        first = services.image_ocr if ocr == "auto" else ocr
        for name in {first, stand_in} - {""}:
            self._reader(name).model(language)
        models = self._models(given, job.operations)
        asked = {operation: each for operation, each in models.items() if operation in job.operations}
        book_providers = {**BOOK_PROVIDERS, **{operation: provider for operation, (provider, _) in models.items()}}
        readers = self._with_fallbacks({first, stand_in, second} - {""})
        names = {*BOOK_PROVIDERS.values(), "text-layer", services.image_ocr, *readers}
        names |= self._with_fallbacks({provider for provider, _ in asked.values()})
        fallbacks = self._fallbacks(readers, asked)
        return Chosen(
            ocr=ocr,
            stand_in=stand_in,
            images=str(given.get("images") or "auto"),
            image_ocr=services.image_ocr,
            second_opinion=second,
            second_opinion_above=services.second_opinion_above,
            second_opinion_share=services.second_opinion_share,
            language=language,
            providers={name: self._policy(name) for name in sorted(names)},
            book_providers=book_providers,
            models={operation: model for operation, (_, model) in models.items()},
            fallbacks=fallbacks,
            high_usd=self._high_usd(job, readers, asked, fallbacks),
            agent_usd=self._agent_usd(job),
        )

    def freeze(
        self,
        job: ResolveInput,
        chosen: Chosen,
        book_id: str,
        epoch: int,
        manifest: str,
        page_count: int,
        pages: Sequence[int],
    ) -> JobConfig:
        """All that the job's plans may read, for the whole of it."""
        return JobConfig(
            job=job.job,
            book_id=book_id,
            epoch=epoch,
            run_id=job.run_id,
            manifest=manifest,
            page_count=page_count,
            pages=format_pages(pages),
            generation=epoch if job.anew else None,
            anew=job.anew,
            **chosen.fields(),
            budget_usd=job.input.get("budget_usd") or self.services.budget.per_job_usd,
            budget_key=budget_key(job.workflow_id, job.first_run_id),
            day_budget_usd=self.services.budget.per_day_usd,
            priority=job.priority,
        )

    async def check_served(self, chosen: Chosen) -> None:
        """Raises BadInput for a remote provider of which no worker serves the queue: the job would wait for ever."""
        for name in chosen.providers:
            row = self.services.queues[name]
            if row.remote and not await self.services.served(row.queue):
                raise BadInput(
                    f"No worker serves {name}: the task queue {row.queue} has no poller.",
                    f"Set {row.key_env} in the environment of the worker and start it anew (`shelf down`, then again)."
                    if row.key_env and not os.environ.get(row.key_env)
                    else f"Start a worker with `--queues {row.queue}`, or name [providers.{name}] in shelf.toml.",
                )

    def _reader(self, name: str) -> OcrProvider | RemoteOcrProvider:
        known: dict[str, OcrProvider | RemoteOcrProvider] = {**self.services.providers, **self.services.remote}
        readers = sorted(provider for provider in known if self.services.queues[provider].reads_pages)
        if name not in readers:
            raise BadInput(f"There is no OCR provider {name!r}.", f"Known: {', '.join(readers)}.")
        return known[name]

    def _second_opinion(self, given: dict[str, Any], language: str) -> str:
        """The provider asked for, or the configured one where it knows the language; '' for none."""
        asked = given.get("second_opinion")
        name = self.services.second_opinion if asked is None else str(asked)
        if not name:
            return ""
        try:
            self._reader(name).model(language)
        except LanguageMissing:
            if asked is not None:
                raise
            return ""
        return name

    def _models(self, given: Mapping[str, Any], operations: Sequence[str]) -> dict[str, tuple[str, str]]:
        """operation -> (provider, model), of all that a language model shall do, in whichever job: what was chosen tells
        whether a flag is current. Raises BadInput for a provider that this job needs and that there is not."""
        chosen = {name: settings.llm for name, settings in self.services.operations.items()}
        llm = given.get("llm")
        if llm is not None:
            chosen |= dict.fromkeys(MODEL_BACKED, llm) if isinstance(llm, str) else llm
        unknown = sorted(set(chosen) - set(MODEL_BACKED))
        if unknown:
            raise BadInput(f"No language model can do {unknown[0]!r}.", f"It can do: {', '.join(MODEL_BACKED)}.")
        models = {}
        for operation, spec in chosen.items():
            provider, _, model = spec.partition("/")
            if provider in self.services.models:
                models[operation] = (provider, self.services.models[provider].model(model))
            elif provider and operation in operations:
                raise BadInput(
                    f"There is no language model provider {provider!r} (in {spec!r}).",
                    f"Known: {', '.join(sorted(self.services.models))}. Write provider/MODEL.",
                )
            elif provider:
                models[operation] = (provider, model)
        return models

    def _with_fallbacks(self, names: set[str]) -> set[str]:
        """These providers and whoever takes over from them. Raises BadInput for a fallback that cannot read pages."""
        found = set(names)
        while True:
            more = {self.services.queues[name].fallback for name in found} - found - {""}
            if not more:
                return found
            for name in more:
                if not self.services.queues[name].answers:
                    self._reader(name)
            found |= more

    def _fallbacks(self, readers: set[str], asked: Mapping[str, tuple[str, str]]) -> dict[str, str]:
        """Who takes over: of a reader the one that its row names; of a language model another one, else the rules."""
        queues = self.services.queues
        found = {f"ocr {name}": queues[name].fallback for name in readers if queues[name].fallback}
        for operation, (provider, _) in asked.items():
            fallback = queues[provider].fallback
            if fallback:
                other = fallback if queues[fallback].answers else BOOK_PROVIDERS[operation]
                found[f"{operation} {provider}"] = other
        return found

    def _high_usd(
        self,
        job: ResolveInput,
        readers: set[str],
        asked: Mapping[str, tuple[str, str]],
        fallbacks: Mapping[str, str],
    ) -> dict[str, float]:
        """High estimates of the units that may cost money, those of fallbacks too. Raises BadInput where nobody knows a
        price, or a language model that is to take over has no model."""
        wanted = [("ocr", name, self.services.queues[name].model) for name in readers if "ocr" in job.operations]
        for operation, (provider, model) in asked.items():
            wanted.append((operation, provider, model))
            other = fallbacks.get(f"{operation} {provider}")
            if other in self.services.models:
                wanted.append((operation, other, self.services.models[other].model("")))
        allowed = job.input.get("allow_unpriced")
        if allowed is None:
            allowed = self.services.budget.unknown_price == "allow"
        found = {}
        for operation, provider, model in wanted:
            row = self.services.queues[provider]
            usd = high_estimate(row, model, operation)
            if usd is None and not allowed:
                raise BadInput(
                    f"Nobody knows what {provider} takes for {model or 'its model'}.",
                    f"Write usd_per_page, or usd_per_million_input and usd_per_million_output, under [providers.{provider}] "
                    "in shelf.toml; or allow it with --allow-unpriced.",
                )
            if usd:
                found[f"{operation} {provider}"] = usd
                if operation == "toc_find":
                    found[f"{operation} {provider} {AGENT}"] = self._agent_usd(job)
        return found

    def _agent_usd(self, job: ResolveInput) -> float:
        budget = job.input.get("budget_usd") or self.services.budget.per_job_usd
        return min(AGENT_USD, AGENT_SHARE * float(budget)) if budget else AGENT_USD

    def _policy(self, name: str) -> ProviderPolicy:
        row = self.services.queues[name]
        return ProviderPolicy(
            remote=row.remote,
            paid=row.paid,
            answers=row.answers,
            failing_in_a_row=row.failing_in_a_row,
            name=row.name,
            queue=row.queue,
            batch_pages=row.batch_pages,
            in_flight=row.in_flight,
            page_timeout_seconds=row.page_timeout_seconds,
            max_attempts=row.max_attempts,
            retry_initial_seconds=row.retry_initial_seconds,
            retry_maximum_seconds=row.retry_maximum_seconds,
        )
