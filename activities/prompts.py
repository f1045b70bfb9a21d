"""What language models are told, by operation: the program's own instructions, and what a person may put in their place."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from activities.blend.prompt import PROMPT as BLEND
from activities.label_read.prompt import PROMPT as LABEL_READ
from activities.metadata.prompt import PROMPT as METADATA
from activities.toc_extract.prompt import PROMPT as TOC_EXTRACT
from activities.toc_find.prompt import PROMPT as TOC_FIND
from schemas.store import digest

OWN: Mapping[str, str] = {
    "blend": BLEND,
    "label_read": LABEL_READ,
    "metadata": METADATA,
    "toc_find": TOC_FIND,
    "toc_extract": TOC_EXTRACT,
}
"""Operation -> the program's instructions."""

PROMPT = "prompt:"
"""Of the field of a book's correction, before the operation's name: the instructions that count for this book.

No operation has them among what its flag reads: another text makes nothing stale, for a model would be paid to do again
what nobody said is wrong. They count from the next time on."""

PROMPT_FIELDS = tuple(PROMPT + operation for operation in OWN)

HASH_CHARACTERS = 16


@dataclass(frozen=True, slots=True)
class Prompt:
    """The instructions of an operation, named by what they say."""

    text: str
    by: str = ""
    """Who gave them for this book; '' = they are the program's own."""

    @property
    def hash(self) -> str:
        return digest(self.text)[:HASH_CHARACTERS]
