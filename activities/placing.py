"""Where the leaves of a book stand: written to the pages when a job takes the book.

A page's position is data; who it is, is its key. So an edited manifest costs an update of each page that it moves, and
nothing is looked at or read again. A page whose leaf is not in the manifest stands nowhere (`page` is null): nobody sees
it, and with its leaf it comes back, its readings and its history with it.
"""

from __future__ import annotations

from activities.extract.operation import EXTRACT
from activities.save import FAILURE_NOTE
from providers.source import Manifest
from schemas.documents import Page
from schemas.keys import leaf_id, page_key
from schemas.store import Store, Update, op_id

PAGES_A_REQUEST = 25
"""Of one guarded update (facts/defradb.md 5)."""


def positions(book: str, manifest: Manifest) -> dict[str, int]:
    """Key of a page -> its physical position."""
    return {
        page_key(book, leaf_id(leaf.part, leaf.index, leaf.region)): page
        for page, leaf in enumerate(manifest.all_leaves(), start=1)
    }


async def place_pages(store: Store, book: str, epoch: int, fingerprint: str, manifest: Manifest) -> int:
    """Give every page that there is the position of its leaf; returns how many stood elsewhere.

    Guarded like any save: under the lowest revision of the epoch, so that the epoch's own `extract`, which writes the
    same position for pages that are new, comes after it, and a late save of an earlier job, which knows another order,
    does not. Positions that are right are not written.

    Raises LeaseLost, StoreUnavailable."""
    wanted = positions(book, manifest)
    found = await store.find(Page, {"book_key": book}, ["page"])
    mark = op_id(epoch, EXTRACT.name, FAILURE_NOTE, fingerprint)
    updates = [
        Update(page.key, {"page": wanted.get(page.key)}, {}, mark)
        for page in found
        if page.page != wanted.get(page.key)
    ]
    for at in range(0, len(updates), PAGES_A_REQUEST):
        await store.update(Page, EXTRACT.name, epoch, FAILURE_NOTE, updates[at : at + PAGES_A_REQUEST])
    return len(updates)
