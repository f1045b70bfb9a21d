"""Every operation by name. Pure: workflows import this, activities are wired in `worker.py`."""

from __future__ import annotations

from activities.blend.operation import BLEND
from activities.extract.operation import EXTRACT
from activities.label.operation import LABEL
from activities.label_read.operation import LABEL_READ
from activities.metadata.operation import METADATA
from activities.ocr.operation import OCR
from activities.operation import FLAG_SCOPES, Operation
from activities.toc_extract.operation import TOC_EXTRACT
from activities.toc_find.operation import TOC_FIND

OPERATIONS: dict[str, Operation] = {
    operation.name: operation for operation in (EXTRACT, OCR, BLEND, LABEL_READ, LABEL, METADATA, TOC_FIND, TOC_EXTRACT)
}
FLAG_SCOPES.update({operation.completes: operation.scope for operation in OPERATIONS.values()})
