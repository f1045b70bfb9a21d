"""Progress of several books on stderr: rewritten in place on a terminal, a line per event anywhere else."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from cli.batch_rows import ENDED, FAILED, PREPARING, RUNNING, WITH_GAPS, BatchDisplay, Row
from cli.display import BAR_CHARACTERS, LINE_EVERY_SECONDS, clock, doing
from cli.jobs import pages_read, works_on_pages
from cli.output import is_live, note

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.text import Text

TITLE_CHARACTERS = 40


def make_batch_display(rows: Sequence[Row]) -> BatchDisplay:
    """What fits stderr."""
    return LiveBatch(rows) if is_live() else LineBatch(rows)


def describe(rows: Sequence[Row]) -> str:
    """`3 of 12 books, 1 failed`."""
    text = f"{sum(row.state in ENDED for row in rows)} of {len(rows)} books"
    for state, word in ((FAILED, "failed"), (WITH_GAPS, "with gaps")):
        if count := sum(row.state == state for row in rows):
            text += f", {count} {word}"
    return text


def how_far(row: Row) -> str:
    """`reading, 12 of 300 pages`."""
    progress = row.progress
    if progress is None:
        return row.state
    pages = f", {pages_read(progress)} of {progress.pages} pages" if progress.pages and works_on_pages(progress) else ""
    return f"{doing(progress)}{pages}"


class LineBatch:
    """For logs and pipes: a line when a book begins and ends, and where the others are every ten seconds."""

    poll_seconds = 5.0

    def __init__(self, rows: Sequence[Row]) -> None:
        self._rows = rows
        self._states: dict[int, str] = {}
        self._shown_at = time.monotonic()
        self._line = ""

    def changed(self, row: Row) -> None:
        number = next(at for at, each in enumerate(self._rows, start=1) if each is row)
        if row.state != self._states.get(number) and row.state != PREPARING:
            self._states[number] = row.state
            key = f" as {row.key}" if row.key and row.state == RUNNING else ""
            reason = f": {row.reason}" if row.reason else ""
            note(f"[{number}/{len(self._rows)}] {row.title}: {row.state.replace('_', ' ')}{key}{reason}")
            return
        running = [each for each in self._rows if each.state == RUNNING]
        line = "; ".join([describe(self._rows), *(f"{each.key}: {how_far(each)}" for each in running)])
        now = time.monotonic()
        if line != self._line and now - self._shown_at >= LINE_EVERY_SECONDS:
            note(line)
            self._line, self._shown_at = line, now

    def note(self, text: str) -> None:
        note(text)

    def close(self) -> None:
        pass


class LiveBatch:
    """How many books are through, and a bar for each that is being worked on; gone when it closes."""

    poll_seconds = 1.0

    def __init__(self, rows: Sequence[Row]) -> None:
        import sys

        from rich.console import Console
        from rich.live import Live

        self._rows = rows
        self._began = time.monotonic()
        console = Console(file=sys.stderr, highlight=False, markup=False, emoji=False)
        self._live = Live(self._draw(), console=console, auto_refresh=False, transient=True)
        self._live.start(refresh=True)

    def changed(self, row: Row) -> None:
        self._live.update(self._draw(), refresh=True)

    def note(self, text: str) -> None:
        self._live.console.print(text)

    def close(self) -> None:
        self._live.stop()

    def _draw(self) -> RenderableType:
        from rich.console import Group
        from rich.text import Text

        head = Text.assemble((describe(self._rows), "bold"), (f"  {clock(time.monotonic() - self._began)}", "dim"))
        return Group(head, *(self._bar(row) for row in self._rows if row.state in (PREPARING, RUNNING)))

    @staticmethod
    def _bar(row: Row) -> Text:
        from rich.text import Text

        progress = row.progress
        done = 0
        if progress is not None and progress.pages:
            done = round(BAR_CHARACTERS * pages_read(progress) / progress.pages)
        title = row.key or row.title
        if len(title) > TITLE_CHARACTERS:
            title = "…" + title[-TITLE_CHARACTERS + 1 :]
        return Text.assemble(
            f"{title:<{TITLE_CHARACTERS}}  ",
            ("━" * done, "green"),
            ("━" * (BAR_CHARACTERS - done), "bright_black"),
            f"  {how_far(row)}",
            overflow="ellipsis",
            no_wrap=True,
        )
