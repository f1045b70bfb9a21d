"""Where a value comes from: versions of documents joined to the activities that wrote them, words to their readings."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from activities.corrections import TEXTS, Corrections, text_of
from activities.prompts import PROMPT_FIELDS, Prompt
from cli.books import find_page
from providers.artifacts import ArtifactStore
from providers.image_steps import sentences
from providers.source import Manifest
from schemas.documents import Book, Correction, Document, Metric, OcrResult, Page, ToC
from schemas.errors import ArtifactMissing, BadInput
from schemas.keys import toc_key
from schemas.reading import Box, Line, PageReading, Word
from schemas.store import Store, Version

GUARDS = tuple(f"_{name}" for name in ("rev", "op_id", "complete", "inputs", "generation", "artifact", "error"))
"""Endings of the fields that an operation keeps for itself; left out where people read what changed."""
OVERLAP = 0.5
"""Share of the narrower word's width that must lie over the other for both to be the same place on the page."""

LinkTo = Callable[[str, str], str | None]
"""(workflow id, run id) -> address in the Temporal UI, None where it is not known."""


@dataclass(frozen=True, slots=True)
class Author:
    """The save that wrote a commit."""

    metric: Metric
    at: str | None
    answer: Metric | None = None
    """The last attempt that led to it."""
    prompts: Mapping[str, str] = field(default_factory=dict)
    """Hash of a prompt that was given for the book -> who gave it."""

    def row(self, link: LinkTo) -> dict[str, Any]:
        save = self.metric
        answer = self.answer
        prompt = answer.prompt_hash if answer is not None else None
        return {
            "operation": save.operation,
            "provider": save.provider,
            "model": answer.model if answer is not None else None,
            "prompt_hash": prompt,
            "prompt_by": self.prompts.get(prompt or ""),
            "price_source": answer.price_source if answer is not None else None,
            "at": self.at,
            "workflow_id": save.workflow_id,
            "run_id": save.run_id,
            "activity_id": save.activity_id,
            "url": link(save.workflow_id, save.run_id or "") if save.workflow_id else None,
        }


class Authors:
    """Metrics of a book, to look up who wrote a commit, and by which model and prompt."""

    def __init__(self, metrics: Iterable[Metric], prompts: Mapping[str, str]) -> None:
        self._by_cid: dict[str, Author] = {}
        saves: list[Metric] = []
        answers: dict[str, Metric] = {}
        for metric in metrics:
            if metric.kind == "save":
                saves.append(metric)
            elif metric.op_id and metric.at:
                last = answers.get(metric.op_id)
                if last is None or metric.at >= str(last.at):
                    answers[metric.op_id] = metric
        for save in saves:
            answer = answers.get(save.op_id or "")
            author = Author(save, save.at or (answer.at if answer is not None else None), answer, prompts)
            for document in save.documents or ():
                # 'Type key docID cid op_id'; a key has no blanks.
                parts = document.split(" ")
                if len(parts) >= 4:
                    self._by_cid[parts[3]] = author

    @classmethod
    async def read(cls, store: Store, artifacts: ArtifactStore, key: str) -> Authors:
        """Those of a book."""
        given = await store.find(Correction, {"book_key": key})
        prompts = {}
        for each in given:
            if each.field in PROMPT_FIELDS and each.value and (body := artifacts.get(text_of(each))) is not None:
                prompts[Prompt(body.decode()).hash] = each.who or "somebody"
        return cls(await store.find(Metric, {"book_key": key}), prompts)

    def of(self, cid: str) -> Author | None:
        return self._by_cid.get(cid)


NOBODY: dict[str, Any] = dict.fromkeys(
    (
        *("operation", "provider", "model", "prompt_hash", "prompt_by", "price_source", "at"),
        *("workflow_id", "run_id", "activity_id", "url"),
    )
)


async def book_history(store: Store, artifacts: ArtifactStore, key: str, link: LinkTo) -> dict[str, Any]:
    """Versions of the book's own documents, and what people say of them, newest first."""
    documents: list[tuple[type[Document], str]] = [(Book, key), (ToC, toc_key(key))]
    documents += await _corrections_of(store, key, key)
    return await _history(store, artifacts, key, link, documents)


async def page_history(store: Store, artifacts: ArtifactStore, key: str, number: int, link: LinkTo) -> dict[str, Any]:
    """Versions of a page, of every reading of it, and what people say of it, newest first."""
    page = await find_page(store, key, number)
    readings = await store.find(OcrResult, {"page_key": page.key}, ["key"])
    documents: list[tuple[type[Document], str]] = [
        (Page, page.key),
        *((OcrResult, result.key) for result in readings),
        *await _corrections_of(store, key, page.key),
    ]
    return {**await _history(store, artifacts, key, link, documents), "page": number}


async def _corrections_of(store: Store, key: str, target: str) -> list[tuple[type[Document], str]]:
    found = await store.find(Correction, {"book_key": key}, ["target"])
    return [(Correction, each.key) for each in found if each.target == target]


async def book_corrections(store: Store, key: str, artifacts: ArtifactStore | None = None) -> dict[str, Any]:
    """What people corrected in a book: first what counts now, each part newest first.

    A text is shown where the artifacts are given, else its fingerprint."""
    found = await store.find(Correction, {"book_key": key})
    pages = {page.key: page.page for page in await store.find(Page, {"book_key": key}, ["page"])}
    live = Corrections(found)

    def row(each: Correction) -> dict[str, Any]:
        value = json.loads(each.value) if each.value is not None else None
        if each.field in TEXTS and value and artifacts is not None:
            body = artifacts.get(value)
            value = body.decode() if body is not None else None
        return {
            "key": each.key,
            "page": pages.get(str(each.target)),
            "field": each.field,
            "number": each.number,
            "value": value,
            "live": live.of(str(each.target), str(each.field)) is each,
            "reverted": bool(each.reverted),
            "who": each.who,
            "at": each.at,
            "why": each.why,
        }

    rows = sorted(map(row, found), key=lambda row: (row["live"], row["at"] or ""), reverse=True)
    return {"key": key, "corrections": rows}


async def page_background(store: Store, artifacts: ArtifactStore, key: str, page: Page) -> dict[str, Any]:
    """What people say of a page, and why its leaf is what it is ('' where there is nothing to say)."""
    rows = (await book_corrections(store, key))["corrections"]
    return {
        "corrections": [row for row in rows if row["live"] and row["page"] == page.page],
        "leaf_note": await _leaf_note(store, artifacts, key, page),
    }


async def _leaf_note(store: Store, artifacts: ArtifactStore, key: str, page: Page) -> str:
    book = (await store.get(Book, [key], ["source_manifest"]))[key]
    body = artifacts.get(book.source_manifest or "")
    if body is None:
        return ""
    place = (page.part, page.index, page.region or "")
    leaves = Manifest.model_validate_json(body).leaves or ()
    return next((leaf.note for leaf in leaves if (leaf.part, leaf.index, leaf.region) == place), "")


async def _history(
    store: Store,
    artifacts: ArtifactStore,
    key: str,
    link: LinkTo,
    documents: Sequence[tuple[type[Document], str]],
) -> dict[str, Any]:
    authors = await Authors.read(store, artifacts, key)
    rows = []
    for kind, name in documents:
        latest = ""
        for version in await store.history(kind, name):
            row = _version_row(kind, name, version, authors, link)
            # `at` is when the work began, and saves of one document may overtake each other: its versions stay in
            # the order of the commits, one whose time is not known after the one before it.
            latest = max(latest, row["at"] or "")
            rows.append((latest, version.height, row))
    rows.sort(key=lambda entry: entry[:2], reverse=True)
    return {"key": key, "versions": [row for _, _, row in rows]}


def _version_row(kind: type[Document], name: str, version: Version, authors: Authors, link: LinkTo) -> dict[str, Any]:
    author = authors.of(version.cid)
    written = {
        operation: version.changed[f"{operation}_op_id"]
        for operation in kind.operations
        if version.changed.get(f"{operation}_op_id")
    }
    row = author.row(link) if author is not None else dict(NOBODY)
    row["at"] = row["at"] or version.changed.get("at")  # a correction says itself when it was made
    if row["operation"] is None and written:
        row["operation"] = next(iter(written))
    op_id = next(iter(written.values()), None) or version.changed.get("op_id")
    return {
        "document": name,
        "type": kind.__name__,
        "cid": version.cid,
        "height": version.height,
        "op_id": op_id,
        **row,
        "signer": version.signer,
        "changed": dict(version.changed),
    }


def content_of(changed: Mapping[str, Any]) -> dict[str, Any]:
    """What a version says about the book, without the fields by which saves guard themselves."""
    return {
        name: value
        for name, value in changed.items()
        if name not in ("key", "book_key", "page_key", "op_id") and not name.endswith(GUARDS)
    }


async def why(store: Store, artifacts: ArtifactStore, key: str, number: int, word: str, link: LinkTo) -> dict[str, Any]:
    """Every place on a page where a word stands, or where an engine read it: who read what, and what decided.

    Raises BadInput where it does not stand there, ArtifactMissing where the blend's artifact is gone."""
    page = await find_page(store, key, number)
    blend = page.flag("blend", "artifact")
    if not blend:
        raise BadInput(f"Page {number} of {key} has no text yet.", f"See how far its job is: `shelf status {key}`.")
    blended = _reading(artifacts, str(blend), f"the text of page {number}")
    results = await store.get(OcrResult, page.ocr_results or [])
    sources = [results[name] for name in page.ocr_results or [] if name in results]
    readings = {str(result.provider): _reading_or_none(artifacts, result) for result in sources}
    found = find_words(blended, word)
    if not found:
        raise BadInput(
            f"{word!r} does not stand on page {number} of {key}, and no engine read it there.",
            f"See its text: `shelf page {key} {number}`.",
        )
    cid, author = await _blend_commit(store, artifacts, key, page)
    return {
        "key": key,
        "page": number,
        "label": page.label,
        "word": word,
        "occurrences": [occurrence(line, at, readings) for line, at in found],
        "sources": [
            {
                "key": result.key,
                "provider": result.provider,
                "model": result.model,
                "confidence": result.confidence,
                "artifact": result.artifact,
            }
            for result in sources
        ],
        "notes": list(blended.notes),
        "image_steps": sentences(page.image_steps),
        "document": page.key,
        "artifact": blend,
        "cid": cid,
        "op_id": page.flag("blend", "op_id"),
        **await page_background(store, artifacts, key, page),
        **(author.row(link) if author is not None else NOBODY),
    }


def find_words(blended: PageReading, word: str) -> list[tuple[Line, int]]:
    """(line, position) of each occurrence: the same letters in any case, without the signs around them.

    Where it does not stand so: words that an engine read so, then words that contain it."""
    wanted = _letters(word)
    places = [(line, at) for line in blended.lines for at in range(len(line.words))]

    def stands(place: tuple[Line, int]) -> str:
        return place[0].words[place[1]].text

    def was_read(place: tuple[Line, int]) -> str:
        # A disputed word carries the readings of the whole block that was disputed: several words, maybe.
        return " ".join(text for _, text in place[0].words[place[1]].readings)

    return (
        [place for place in places if _letters(stands(place)) == wanted]
        or [place for place in places if wanted in map(_letters, was_read(place).split())]
        or [place for place in places if wanted in stands(place).casefold()]
        or [place for place in places if wanted in was_read(place).casefold()]
    )


def occurrence(line: Line, at: int, readings: Mapping[str, PageReading | None]) -> dict[str, Any]:
    """One word of the blend: what each source read at that place, with its confidence, and the rule that decided."""
    word = line.words[at]
    said = dict(word.readings)
    rows = []
    for provider, reading in readings.items():
        there = words_at(reading, word.box) if reading is not None else []
        if provider in said:
            text = said[provider]
        elif provider in word.voters:
            text = word.text
        else:
            text = " ".join(other.text for other in there)
        rows.append({"provider": provider, "text": text, "confidence": mean_confidence(there)})
    return {
        "text": word.text,
        "line": line.text,
        "box": list(word.box),
        "confidence": word.confidence,
        "rule": word.rule or ("agreed" if len(readings) > 1 else "only-source"),
        "voters": list(word.voters or (readings if len(readings) == 1 else ())),
        "readings": rows,
    }


def words_at(reading: PageReading, box: Box) -> list[Word]:
    """The words of a reading that stand in this place, from left to right."""
    return sorted((word for word in reading.words if _overlaps(word.box, box)), key=lambda word: word.box[0])


def mean_confidence(words: Sequence[Word]) -> float | None:
    """Of words that have one; None if none has."""
    known = [word.confidence for word in words if word.confidence is not None]
    return round(sum(known) / len(known), 1) if known else None


def _overlaps(one: Box, other: Box) -> bool:
    across = min(one[2], other[2]) - max(one[0], other[0])
    down = min(one[3], other[3]) - max(one[1], other[1])
    return across > OVERLAP * min(one[2] - one[0], other[2] - other[0]) and down > OVERLAP * min(
        one[3] - one[1], other[3] - other[1]
    )


def _letters(text: str) -> str:
    """Without signs around it, in lower case; a text of signs alone stays."""
    return (re.sub(r"^\W+|\W+$", "", text) or text.strip()).casefold()


def _reading(artifacts: ArtifactStore, fingerprint: str, what: str) -> PageReading:
    body = artifacts.get(fingerprint)
    if body is None:
        raise ArtifactMissing(f"The artifact behind {what} is not in the artifact store.", "Run the job again.")
    return PageReading.from_json(body)


def _reading_or_none(artifacts: ArtifactStore, result: OcrResult) -> PageReading | None:
    body = artifacts.get(result.artifact) if result.artifact else None
    return PageReading.from_json(body) if body is not None else None


async def _blend_commit(
    store: Store, artifacts: ArtifactStore, key: str, page: Page
) -> tuple[str | None, Author | None]:
    """The commit that wrote the text of today, and its save."""
    versions = await store.history(Page, page.key)
    cid = next((version.cid for version in reversed(versions) if "blend_op_id" in version.changed), None)
    if cid is None:
        return None, None
    return cid, (await Authors.read(store, artifacts, key)).of(cid)
