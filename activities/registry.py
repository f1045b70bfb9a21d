"""Every operation by name. Pure: workflows import this, activities are wired in `worker.py`."""

from __future__ import annotations

from activities.blend.operation import BLEND
from activities.extract.operation import EXTRACT
from activities.label.operation import LABEL
from activities.label_read.operation import LABEL_READ
from activities.metadata.operation import METADATA
from activities.ocr.operation import ADDED_OCR, OCR
from activities.operation import FLAG_SCOPES, Operation, Scope
from activities.paragraph.operation import PARAGRAPH
from activities.structure.operation import STRUCTURE
from activities.toc_extract.operation import TOC_EXTRACT
from activities.toc_find.operation import TOC_FIND
from activities.toc_link.operation import TOC_LINK

OPERATIONS: dict[str, Operation] = {
    operation.name: operation
    for operation in (
        *(EXTRACT, OCR, BLEND, LABEL_READ, LABEL, METADATA, TOC_FIND, TOC_EXTRACT),
        *(TOC_LINK, STRUCTURE, PARAGRAPH),
    )
}
FLAG_SCOPES.update({operation.completes: operation.scope for operation in OPERATIONS.values()})

PAGE_OPERATIONS = tuple(operation.name for operation in OPERATIONS.values() if operation.scope is Scope.PAGE)
"""Those that complete each page by itself; `label` and the rest come from the book as a whole."""

VARIANTS: dict[str, Operation] = {operation.key: operation for operation in (ADDED_OCR,)}
"""Other plans for the same flags; a job that names one in its composition uses it instead."""


def key_of(operation: Operation) -> str:
    """How a job names an operation to its ranges."""
    return operation.key or operation.name


def by_key(key: str) -> Operation:
    """The operation that `key_of` named."""
    return VARIANTS.get(key) or OPERATIONS[key]
