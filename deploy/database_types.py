"""Makes Shelf's types, fields and indexes in DefraDB, where they are missing; repeatable.

Workers reach the database through a proxy that lets no change of types through, so that this is done once, before they
start, by a job beside the database. `SHELF_DEFRADB_URL` says where it is.
"""

from __future__ import annotations

import asyncio
import sys

from providers.settings import load_settings
from schemas.defradb import DefraStore
from schemas.errors import ShelfError


async def make_types() -> None:
    """Raises StoreUnavailable, StoreRefused."""
    store = DefraStore(load_settings().defradb_url)
    try:
        await store.bootstrap()
        await store.ready()
    finally:
        await store.close()


if __name__ == "__main__":
    try:
        asyncio.run(make_types())
    except ShelfError as error:
        sys.exit(str(error))
