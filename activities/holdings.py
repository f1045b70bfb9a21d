"""What a book holds: its documents, and by them its artifacts and source files.

Artifacts lie under what they say, so two books may share one: a scan that both contain, a blank page. Who removes a
book's artifacts takes those that no other book names.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from activities.corrections import TEXTS
from providers.artifacts import ArtifactStore
from providers.source import Manifest
from schemas.documents import TYPES, Book, Correction, Document, Lease, Metric, OcrResult, ToC
from schemas.store import Store

EARLIER_HISTORY = "history "
"""Before the fingerprint among `documents` of a Metric of the operation `load`: the versions that a book had in the
database that it came from."""

BEING_DELETED = "being deleted"
"""`source_error` of a Book from the first step of its deletion on."""

MEMBERS: tuple[type[Document], ...] = tuple(kind for kind in TYPES if kind not in (Book, Lease))
"""Types whose documents belong to a book by `book_key`."""

ALL: tuple[type[Document], ...] = (Book, *MEMBERS)


def being_deleted(book: Book) -> bool:
    """Whether its deletion has begun; what is left of it is no book."""
    return bool(book.flag("source", "error") == BEING_DELETED)


@dataclass
class Holdings:
    """What lies in the artifact store for a book."""

    artifacts: set[str] = field(default_factory=set)
    """Fingerprints of published results."""
    files: set[str] = field(default_factory=set)
    """SHA-256 of source files."""

    def __or__(self, other: Holdings) -> Holdings:
        return Holdings(self.artifacts | other.artifacts, self.files | other.files)

    def __and__(self, other: Holdings) -> Holdings:
        return Holdings(self.artifacts & other.artifacts, self.files & other.files)

    def __sub__(self, other: Holdings) -> Holdings:
        return Holdings(self.artifacts - other.artifacts, self.files - other.files)

    def __len__(self) -> int:
        return len(self.artifacts) + len(self.files)

    def to_json(self) -> bytes:
        return json.dumps({"artifacts": sorted(self.artifacts), "files": sorted(self.files)}).encode()

    @staticmethod
    def from_json(body: bytes) -> Holdings:
        found = json.loads(body)
        return Holdings(set(found["artifacts"]), set(found["files"]))

    def size(self, artifacts: ArtifactStore) -> int:
        """Bytes on the disk; what is missing has none."""
        return sum(map(artifacts.size, self.artifacts)) + sum(map(artifacts.file_size, self.files))


def where(kind: type[Document], book: str) -> dict[str, str]:
    """By what a book's documents of a type are found."""
    return {"key" if kind in (Book, Lease) else "book_key": book}


def names_artifacts(kind: type[Document]) -> list[str]:
    """Fields of the type that say what lies in the artifact store."""
    names = [f"{operation}_artifact" for operation in kind.operations]
    if kind is Book:
        names.append("source_manifest")
    elif kind is OcrResult:
        names.append("artifact")
    elif kind is Correction:
        names += ["field", "value"]
    elif kind is Metric:
        names += ["operation", "documents"]
    return names


def artifacts_of(kind: type[Document], values: Mapping[str, Any]) -> set[str]:
    """Fingerprints that a document, or one of its versions, names."""
    if kind is Correction:
        said = values.get("value") if values.get("field") in TEXTS else None
        return {str(json.loads(said))} if said and json.loads(said) else set()
    if kind is Metric:
        noted = (values.get("documents") or []) if values.get("operation") == "load" else []
        return {each.removeprefix(EARLIER_HISTORY) for each in noted if each.startswith(EARLIER_HISTORY)}
    return {str(found) for name in names_artifacts(kind) if (found := values.get(name))}


class Collector:
    """Adds up what documents and their versions name."""

    def __init__(self) -> None:
        self.found = Holdings()
        self._manifests: set[str] = set()
        self._contents: set[str] = set()

    def add(self, kind: type[Document], values: Mapping[str, Any]) -> None:
        """The fields of a document, or of one of its versions."""
        self.found.artifacts |= artifacts_of(kind, values)
        if kind is Book and (manifest := values.get("source_manifest")):
            self._manifests.add(str(manifest))
        if kind is ToC and (contents := values.get("toc_find_artifact")):
            self._contents.add(str(contents))

    def result(self, artifacts: ArtifactStore) -> Holdings:
        """All of it, with the source files and the manifests that other manifests were edited from."""
        found = self.found | Holdings()
        for fingerprint in self._manifests:
            if body := artifacts.get(fingerprint):
                manifest = Manifest.model_validate_json(body)
                found.files |= {part.sha256 for part in manifest.parts}
                found.artifacts |= {manifest.original} - {""}
        for fingerprint in self._contents:
            found.artifacts |= _conversations(artifacts, fingerprint)
        return found


def _conversations(artifacts: ArtifactStore, contents: str) -> set[str]:
    """What was said with the agent that found the contents, if one did: each names the one before it."""
    found: set[str] = set()
    at, follow = contents, "conversation"
    while body := artifacts.get(at):
        said = json.loads(body)
        at = str(said.get(follow) or "") if isinstance(said, dict) else ""
        if not at or at in found:
            break
        found.add(at)
        follow = "before"
    return found


async def held(store: Store, artifacts: ArtifactStore, book: str, *, past: bool = False) -> Holdings:
    """What a book holds now; with `past`, also what its documents named before: one question per document.

    Raises StoreUnavailable."""
    collector = Collector()
    for kind in ALL:
        names = names_artifacts(kind)
        if not names:
            continue
        for document in await store.find(kind, where(kind, book), names):
            collector.add(kind, document.model_dump())
            if past and kind.operations:
                for version in await store.history(kind, document.key):
                    collector.add(kind, version.changed)
    return await asyncio.to_thread(collector.result, artifacts)


async def held_by_others(store: Store, artifacts: ArtifactStore, book: str) -> AsyncIterator[Holdings]:
    """What each other book holds, one after the other."""
    for other in await store.find(Book, {}, []):
        if other.key != book:
            yield await held(store, artifacts, other.key)


async def shared_with_others(store: Store, artifacts: ArtifactStore, book: str, mine: Holdings) -> Holdings:
    """What of it another book holds too, and so has to stay."""
    shared = Holdings()
    async for theirs in held_by_others(store, artifacts, book):
        shared = shared | (mine & theirs)
    return shared


async def count_documents(store: Store, book: str) -> dict[str, int]:
    """How many documents of each type a book has; types without any are left out."""
    counts = {kind.__name__: len(await store.find(kind, where(kind, book), [])) for kind in ALL}
    return {name: count for name, count in counts.items() if count}
