"""Heartbeats beside the work, so that a killed worker is noticed within seconds.

They prove that the process lives, not that it gets on: a page that hangs is ended by its engine pool's time limit.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from temporalio import activity

HEARTBEAT_TIMEOUT_SECONDS = 10.0
"""A job must go on within 20 s of a kill; the server's own timers and the restart need the rest."""
BEAT_SECONDS = 2.0


@asynccontextmanager
async def beating(*details: Any) -> AsyncIterator[None]:
    """Heartbeat with these details until the block ends."""

    async def beat() -> None:
        while True:
            activity.heartbeat(*details)
            await asyncio.sleep(BEAT_SECONDS)

    task = asyncio.ensure_future(beat())
    try:
        yield
    finally:
        task.cancel()
