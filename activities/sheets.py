"""A book's pages as `providers/structure` reads them: what `toc_link`, `structure` and `paragraph` share."""

from __future__ import annotations

import asyncio

from activities.book import BookRecords
from providers.structure import REVISION
from providers.structure.edges import mark
from providers.structure.lines import Sheet, make_sheet
from schemas.reading import PageReading

MODEL = f"structure/{REVISION}"


async def read_sheets(records: BookRecords, page_count: int) -> list[Sheet]:
    """All leaves of the book in order, running heads and the like marked; one that was not read has no lines.

    Raises ArtifactMissing."""
    return await asyncio.to_thread(_read, records, page_count)


def _read(records: BookRecords, page_count: int) -> list[Sheet]:
    blended = records.artifacts("blend")
    sheets = []
    for page in range(1, page_count + 1):
        document = records.pages.get(page)
        # One at a time: the readings of 5,000 pages would take a gigabyte, their sheets a tenth of it.
        body = records.body(page, blended[page]) if page in blended else None
        sheets.append(
            make_sheet(
                page,
                PageReading.from_json(body) if body is not None else None,
                label=document.label if document is not None else None,
                label_inferred=bool(document is not None and document.label_inferred),
                running_header=document.running_header if document is not None else None,
                page_type=(document.page_type if document is not None else None) or ("body" if body else "unread"),
            )
        )
    mark(sheets)
    return sheets


def contents_pages(records: BookRecords) -> frozenset[int]:
    """Physical pages of the printed contents."""
    return frozenset((records.toc.pages if records.toc is not None else None) or ())


def reads_of(records: BookRecords) -> list[str]:
    """What all three operations look at, as inputs of a request."""
    return [
        records.artifact("label"),
        *(
            f"{page}:{document.key}:{document.flag('blend', 'artifact')}"
            for page, document in sorted(records.pages.items())
        ),
    ]
