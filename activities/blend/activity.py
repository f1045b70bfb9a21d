"""Work and save of `blend`."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from temporalio import activity

from activities.asking import Asked, is_asked, model_item, prompt_of
from activities.blend.operation import BLEND, blend_inputs
from activities.blend.schema import Proofread, proofread
from activities.contracts import SaveInput, SaveResult, UnitInput, WorkResult
from activities.corrections import TEXT, Corrections, read_corrections, text_of
from activities.operation import stored_generation
from activities.prompts import Prompt
from activities.save import Loaded, save, update_pages
from activities.services import Services
from activities.work import Item, Produced, request_of, work
from providers.image_steps import ImageSteps
from providers.lexicon import MODEL as LEXICON
from providers.lexicon import Lexicon, book_words
from providers.vote import CORRECTION, REVISION, agreement, blend, corrected, expected_cer
from schemas.documents import Correction, Document, OcrResult, Page
from schemas.errors import ArtifactMissing
from schemas.pagespec import parse_pages
from schemas.reading import PageReading
from schemas.store import Written, digest


class BlendActivities:
    """Blends on the vote's queue, saves on the store's."""

    def __init__(self, services: Services) -> None:
        self.services = services

    @activity.defn(name=BLEND.work_activity)
    async def blend_pages(self, job: UnitInput) -> WorkResult:
        """One reading from all readings of each page."""

        async def items() -> Sequence[Item]:
            documents = await self.services.pages(job.book_id, job.unit)
            keys = [key for document in documents.values() for key in document.ocr_results or ()]
            results = await self.services.store.get(OcrResult, keys, ["provider", "artifact"])
            corrections = await read_corrections(self.services.store, job.book_id)
            several = any(len(document.ocr_results or ()) > 1 for document in documents.values())
            words = await self._book_words(job) if several else frozenset()
            items = [
                self._item(job, page, document, results, corrections, words) for page, document in documents.items()
            ]
            if not is_asked(self.services, job):
                return items
            prompt = await prompt_of(self.services.artifacts, corrections, job.book_id, BLEND.name)
            return [self._asked(job, item, documents[item.item], corrections, prompt, results, words) for item in items]

        return await work(self.services, job, items)

    def _item(
        self,
        job: UnitInput,
        page: int,
        document: Page,
        results: Mapping[str, OcrResult],
        corrections: Corrections,
        words: frozenset[str],
    ) -> Item:
        generation = stored_generation(document, BLEND.name, job.generation)
        artifacts = tuple(str(results[key].artifact) for key in document.ocr_results or () if key in results)
        said = corrections.of(document.key, TEXT)
        # A page that was read once passes as it is, and is asked for before its range is read.
        words = words if len(artifacts) > 1 else frozenset()

        async def call() -> Produced:
            readings = await asyncio.gather(*(asyncio.to_thread(self._reading, artifact) for artifact in artifacts))
            if said is None:
                blended = await asyncio.to_thread(_blended, readings, words)
            else:
                blended = await self._corrected(document.key, said, readings, words)
            return Produced(blended.to_json(), model=f"vote/{REVISION}")

        return Item(
            item=page,
            request=request_of(
                job,
                f"vote/{REVISION}",
                [*artifacts, *_digest(words), *([text_of(said)] if said is not None else [])],
                generation,
                {"lexicon": LEXICON, **({"corrected_by": said.who} if said is not None else {})},
            ),
            inputs=blend_inputs(
                document.ocr_results, job.choice, generation, corrections.digest_of(document.key, [TEXT])
            ),
            call=call,
            earlier=str(document.flag(BLEND.name, "artifact") or ""),
        )

    def _asked(
        self,
        job: UnitInput,
        item: Item,
        document: Page,
        corrections: Corrections,
        prompt: Prompt,
        results: Mapping[str, OcrResult],
        words: frozenset[str],
    ) -> Item:
        """The same by a model, over what the vote makes of the readings. What a person gave, or nobody read, is not asked."""
        said = corrections.of(document.key, TEXT)
        if said is not None or ImageSteps.from_json(document.image_steps).blank:
            return item
        artifacts = [str(results[key].artifact) for key in document.ocr_results or () if key in results]

        async def answer(asked: Asked) -> bytes:
            base = PageReading.from_json((await item.call()).body)
            readings = [PageReading.from_json(await asyncio.to_thread(self._body, name)) for name in artifacts]
            image = await asked.picture(item.item, document)
            if not base.lines and not image:
                return base.to_json()
            proof = await asked.answer(Proofread, _question(base, readings), image)
            made = proofread(base, proof, asked.name, seen=bool(image))
            made.model = f"{base.model} + {asked.name}"
            made.figures["expected_cer"] = expected_cer(made, _lexicon(readings, words))
            return made.to_json()

        async def rules(why: str) -> bytes:
            base = PageReading.from_json((await item.call()).body)
            base.notes.append(why)
            return base.to_json()

        return model_item(
            self.services, job, prompt, item, answer=answer, rules=rules, also=[document.image_hash or ""]
        )

    async def _corrected(
        self, key: str, said: Correction, readings: Sequence[PageReading], words: frozenset[str]
    ) -> PageReading:
        """The text that a person gave, over what the engines read of the page, if they did."""
        body = await asyncio.to_thread(self.services.artifacts.get, text_of(said))
        if body is None:
            raise ArtifactMissing(
                f"The corrected text of {key} is not in the artifact store.", "Correct the page again, or revert it."
            )
        page = (await self.services.store.get(Page, [key], ["width", "height"]))[key]
        # A single reading keeps its engine's name: what stood in place of a corrected word was said by that one.
        base = readings[0] if len(readings) == 1 else None
        if len(readings) > 1:
            base = await asyncio.to_thread(_blended, readings, words)
        return await asyncio.to_thread(
            corrected, body.decode(), said.who or "", base, page.width or 0.0, page.height or 0.0
        )

    async def _book_words(self, job: UnitInput) -> frozenset[str]:
        """Words of the first readings of the range. All of them are settled when a page has a second one, so that the same
        range gives the same words whatever was read first."""
        pages = set(parse_pages(job.unit.scope))
        documents = await self.services.book_pages(job.book_id)
        keys = [page.ocr_results[0] for at, page in documents.items() if at in pages and page.ocr_results]
        results = await self.services.store.get(OcrResult, keys, ["text"])
        return await asyncio.to_thread(book_words, [result.text or "" for result in results.values()])

    def _reading(self, artifact: str) -> PageReading:
        return PageReading.from_json(self._body(artifact))

    def _body(self, artifact: str) -> bytes:
        body = self.services.artifacts.get(artifact)
        if body is None:
            raise ArtifactMissing(
                f"The reading {artifact[:12]} is not in the artifact store.",
                "Read the page again with `shelf process --fresh`.",
            )
        return body

    @activity.defn(name=BLEND.save_activity)
    async def save_blended_text(self, job: SaveInput) -> SaveResult:
        """The best text of each page."""

        def fields(item: Loaded) -> Mapping[str, Any]:
            reading = PageReading.from_json(item.body)
            by_hand = reading.provider == CORRECTION
            share = None if by_hand else agreement(reading)
            return {
                "text": reading.text,
                "confidence": None if reading.confidence is None else round(reading.confidence, 1),
                "agreement": None if share is None else round(share, 4),
                "expected_cer": 0.0 if by_hand else reading.figures.get("expected_cer"),
            }

        async def write(items: Sequence[Loaded]) -> list[tuple[type[Document], Written, str]]:
            return await update_pages(self.services, job, items, fields)

        return await save(self.services, job, write, Page)


def _question(base: PageReading, readings: Sequence[PageReading]) -> str:
    """The page as the model gets it: numbered lines, then what each engine read."""
    numbered = "\n".join(f"{number}: {line.text}" for number, line in enumerate(base.lines, 1))
    parts = [f"The text, by lines:\n{numbered or '(nothing was read)'}"]
    if len(readings) > 1:
        parts += [f"What {reading.provider} read:\n{reading.text or '(nothing)'}" for reading in readings]
    return "\n\n".join(parts)


def _blended(readings: Sequence[PageReading], words: frozenset[str]) -> PageReading:
    return blend(readings, _lexicon(readings, words))


def _lexicon(readings: Sequence[PageReading], words: frozenset[str]) -> Lexicon:
    # A page that was read once passes as it is: the book's words are not asked.
    return Lexicon(readings[0].language if readings else "", words if len(readings) > 1 else frozenset())


def _digest(words: frozenset[str]) -> tuple[str, ...]:
    return (digest(sorted(words)),) if words else ()
