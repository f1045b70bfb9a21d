"""What people say against the machines: the live corrections of a book, as inputs of its operations.

Nothing else refers to them. Each operation that decides over a field counts the corrections of that field among what it
reads (`digest_of`), so a correction makes stale what depends on it, every re-run keeps it, and undoing it is one more of
them (`schemas/documents.Correction`).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import Field

from activities.contracts import Contract
from activities.prompts import PROMPT_FIELDS
from schemas.documents import Correction, Document
from schemas.store import Store, digest

TEXT = "text"
IMAGE_STEPS = "image_steps"
PAGE_TYPE = "page_type"
LABEL_FIELDS = ("label", PAGE_TYPE, "running_header")
PAGE_FIELDS = (TEXT, *LABEL_FIELDS, IMAGE_STEPS)
"""Of a page. `blend` reads the first, `label` the next three, `extract` the last; `toc_find` and `metadata` the type."""
BOOK_FIELDS = ("title", "subtitle", "authors", "publisher", "place", "year", "isbn", "language")
"""Of a book; `metadata` reads all of them."""
TEXTS = (TEXT, *PROMPT_FIELDS)
"""Fields whose value is the fingerprint of a text in the artifact store."""


class Said(Contract):
    """One correction, as it is asked for."""

    page: int | None = Field(None, description="Physical page that is corrected; null for the book itself.")
    field: str = Field(
        description="Name of the field: of a page "
        + ", ".join(PAGE_FIELDS)
        + "; of a book "
        + ", ".join((*BOOK_FIELDS, *PROMPT_FIELDS))
        + "."
    )
    value: Any = Field(None, description="What is right; null where the book or page has none.")
    artifact: str | None = Field(None, description="Of a text, instead: fingerprint of what was published.")
    why: str | None = Field(None, description="Why, in a sentence.", max_length=1000)
    revert: bool = Field(False, description="Give the machines back their say, instead of a value.")


class RecordInput(Contract):
    """Argument of `record_corrections`."""

    book_id: str
    epoch: int
    who: str
    at: str
    """When it was said, by the workflow's clock: the same for every attempt."""
    corrections: tuple[Said, ...]


class RecordResult(Contract):
    """Answer of `record_corrections`."""

    recorded: tuple[str, ...]
    """Keys of the corrections that count now, in the order in which they were given."""
    pages: str
    """The pages that are known of the book, as "1-20,35"."""
    corrected: str
    """Those among them that were corrected."""


class Corrections:
    """The corrections that count, by target and field."""

    def __init__(self, documents: Iterable[Correction] = ()) -> None:
        newest: dict[tuple[str, str], Correction] = {}
        for document in sorted(documents, key=lambda document: document.number or 0):
            newest[str(document.target), str(document.field)] = document
        self._live = {place: document for place, document in newest.items() if not document.reverted}
        self._newest = newest

    def of(self, target: str, field: str) -> Correction | None:
        """The one that counts; None where the machines have their say."""
        return self._live.get((target, field))

    def has(self, target: str, field: str) -> bool:
        return (target, field) in self._live

    def value(self, target: str, field: str) -> Any:
        """What it says; None also where there is none (`has` tells). Of `TEXTS`: the fingerprint of the artifact."""
        found = self.of(target, field)
        return json.loads(found.value) if found is not None and found.value is not None else None

    def newest(self, target: str, field: str) -> Correction | None:
        """The last one, also where it undoes those before it."""
        return self._newest.get((target, field))

    def digest_of(self, target: str, fields: Iterable[str]) -> str:
        """Hash of all that is said of these fields; '' where nothing is, so that a flag which was set before there were
        corrections stays current.

        Without their numbers: the same said again leads to the same result."""
        said = [
            [field, found.value, found.who, found.why]
            for field in fields
            if (found := self.of(target, field)) is not None
        ]
        return digest(said)[:16] if said else ""


def types_said(corrections: Corrections, pages: Mapping[int, Document], wanted: Iterable[int]) -> dict[int, str]:
    """Physical page -> kind, of those of the wanted pages of which a person says it."""
    return {
        page: str(corrections.value(pages[page].key, PAGE_TYPE))
        for page in sorted(wanted)
        if page in pages and corrections.has(pages[page].key, PAGE_TYPE)
    }


def text_of(correction: Correction) -> str:
    """Fingerprint of the text that a correction gives, of a page or of a prompt."""
    return str(json.loads(correction.value or '""'))


async def read_corrections(store: Store, book_id: str) -> Corrections:
    """All corrections of a book; usually few or none."""
    return Corrections(await store.find(Correction, {"book_key": book_id}))


def with_corrections(inputs: list[object], *digests: str) -> list[object]:
    """What a flag's hash is made of, with the corrections that there are."""
    said = [each for each in digests if each]
    return [*inputs, {"corrections": said}] if said else inputs
