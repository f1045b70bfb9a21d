"""Progress of slow set-up steps, on stderr: one rewritten line on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import sys
import time
from typing import Protocol, TextIO

from cli.output import is_live

LOG_EVERY_SECONDS = 15.0
"""Without a terminal (CI, a log file): often enough to see that it lives, rarely enough to read."""


class Progress(Protocol):
    """Told what is being done; called often."""

    def __call__(self, stage: str, detail: str = "") -> None:
        """`stage` says the step, `detail` how far it is; an empty stage ends the display."""


def no_progress(stage: str, detail: str = "") -> None:
    """Show nothing."""


class StderrProgress:
    """Shows steps that take longer than a moment; quick ones leave no trace on a terminal."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stderr
        self._live = is_live(self._stream)
        self._stage = ""
        self._shown_at = 0.0

    def __call__(self, stage: str, detail: str = "") -> None:
        line = f"{stage}: {detail}" if detail else stage
        if self._live:
            # \x1b[K clears what a longer line left behind.
            self._stream.write(f"\r\x1b[K{line}")
            self._stream.flush()
        elif stage and (stage != self._stage or time.monotonic() - self._shown_at >= LOG_EVERY_SECONDS):
            print(line, file=self._stream, flush=True)
            self._shown_at = time.monotonic()
        self._stage = stage
