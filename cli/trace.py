"""`--otel console`: the trace of a job as a tree, out of the log of the embedded worker."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from schemas import telemetry
from schemas.errors import BadInput

if TYPE_CHECKING:
    from cli.connect import Connection

WAIT_SECONDS = 3.0
"""For the job's own span, which the worker writes when the job has ended."""
_traces: list[str] = []
"""Of the jobs that this command started."""


def to_console(value: str) -> None:
    """Before anything is started: a worker that is started now inherits it. Raises BadInput."""
    if value != "console":
        raise BadInput(f"--otel {value}: only `console` is known.", "Receivers are set by OTEL_* (docs/telemetry.md).")
    telemetry.to_console()


def remember() -> None:
    """Inside of the span that starts a job."""
    _traces.append(telemetry.current()[0])


async def show(shelf: Connection) -> None:
    """The tree of the last job, if spans go to the console."""
    if telemetry.wanted().get("traces") != "console" or not _traces:
        return
    from cli.output import note
    from schemas.telemetry_console import read_lines, tree

    log = shelf.settings.home / "logs" / "worker.log"
    for _ in range(int(WAIT_SECONDS * 10)):
        text = await asyncio.to_thread(log.read_text, errors="replace") if log.exists() else ""
        lines = read_lines(text.splitlines(), _traces[-1])
        if any(line.text.split(" | ")[1].find("shelf.job=") >= 0 and "PageRange" not in line.text for line in lines):
            break
        await asyncio.sleep(0.1)
    if not lines:
        note("The worker prints no spans: it was started without. Try `shelf down`, then the command again.")
        return
    for line in tree(lines):
        note(line)
