"""Progress of a job on stderr: rewritten in place on a terminal, a line now and then anywhere else."""

from __future__ import annotations

import time
from collections import deque
from typing import TYPE_CHECKING, Protocol

from cli.jobs import pages_read, works_on_pages
from cli.output import is_live, money, note

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.text import Text

    from activities.contracts import Progress

LINE_EVERY_SECONDS = 10.0
RATE_SECONDS = 30.0
"""The rate is that of the last half minute: engines start slowly and pages differ."""
BAR_CHARACTERS = 30

STATES = {
    "resolving": "preparing",
    "running": "reading",
    "pausing": "pausing: finishing the pages under way",
    "cancelling": "cancelling: finishing the pages under way",
}
"""A job's own words, for people."""

WITHOUT_READING = "working"
"""A running job that reads no page."""

TITLES = {
    "extract": "pages found",
    "ocr": "read",
    "blend": "blended",
    "label_read": "numbers read",
    "label": "labels",
    "metadata": "metadata",
    "toc_find": "contents found",
    "toc_extract": "contents read",
    "toc_link": "contents linked",
    "structure": "chapters",
    "paragraph": "paragraphs",
}


def title_of(operation: str) -> str:
    """What an operation has done, in a word or two."""
    return TITLES.get(operation, operation.replace("_", " "))


def doing(progress: Progress) -> str:
    """What the job does at the moment."""
    if progress.state == "running" and "ocr" not in progress.operations:
        return WITHOUT_READING
    return STATES.get(progress.state, progress.state)


class Display(Protocol):
    """What shows the progress of one job."""

    poll_seconds: float
    """How often it is worth being told."""

    def update(self, progress: Progress) -> None: ...

    def note(self, text: str) -> None:
        """Say something beside the progress."""

    def close(self) -> None: ...


def make_display(title: str) -> Display:
    """What fits stderr."""
    return LiveDisplay(title) if is_live() else LineDisplay(title)


class Pace:
    """Pages per second, and the time left."""

    def __init__(self) -> None:
        self._seen: deque[tuple[float, int]] = deque()

    def add(self, settled: int, now: float | None = None) -> None:
        now = time.monotonic() if now is None else now
        self._seen.append((now, settled))
        while len(self._seen) > 2 and self._seen[1][0] < now - RATE_SECONDS:
            self._seen.popleft()

    @property
    def per_second(self) -> float | None:
        """None until there is something to go by."""
        if len(self._seen) < 2:
            return None
        (began, before), (now, settled) = self._seen[0], self._seen[-1]
        return (settled - before) / (now - began) if settled > before and now > began else None

    def describe(self, total: int) -> str:
        """`2.1 pages/s · 0:12 left`; '' while nothing is known, and when all is read: what follows has no pace."""
        rate = self.per_second
        if not rate or not self._seen:
            return ""
        left = total - self._seen[-1][1]
        if left <= 0:
            return ""
        speed = f"{rate:.1f} pages/s" if rate >= 1 else f"{60 * rate:.1f} pages/min"
        return f"{speed} · {clock(left / rate)} left"


def clock(seconds: float) -> str:
    """`0:07`, `12:05`, `3:00:09`."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


class LineDisplay:
    """For logs and pipes: at most a line every ten seconds, none while nothing changes."""

    poll_seconds = 5.0

    def __init__(self, title: str) -> None:
        self._title = title
        self._pace = Pace()
        self._shown_at = time.monotonic()
        self._line = ""

    def update(self, progress: Progress) -> None:
        read = pages_read(progress)
        self._pace.add(read)
        line = f"{self._title}: {doing(progress)}"
        if progress.pages and works_on_pages(progress):
            line += f", {read} of {progress.pages} pages"
        if progress.failed:
            line += f", {len({item.page for item in progress.failed})} failed"
        now = time.monotonic()
        if line != self._line and now - self._shown_at >= LINE_EVERY_SECONDS:
            pace = self._pace.describe(progress.pages)
            note(f"{line}{' · ' + pace if pace else ''}")
            self._line, self._shown_at = line, now

    def note(self, text: str) -> None:
        note(text)

    def close(self) -> None:
        pass


class LiveDisplay:
    """A bar of pages with rate and time left, and counts per operation under it; gone when it closes."""

    poll_seconds = 0.5

    def __init__(self, title: str) -> None:
        import sys

        from rich.console import Console
        from rich.live import Live

        self._title = title
        self._pace = Pace()
        self._began = time.monotonic()
        # Drawn when there is something new: a thread that redraws would cost more than the job's own queries.
        console = Console(file=sys.stderr, highlight=False, markup=False, emoji=False)
        self._live = Live(self._waiting(), console=console, auto_refresh=False, transient=True)
        self._live.start(refresh=True)

    def update(self, progress: Progress) -> None:
        self._pace.add(pages_read(progress))
        self._live.update(self._draw(progress), refresh=True)

    def note(self, text: str) -> None:
        self._live.console.print(text)

    def close(self) -> None:
        self._live.stop()

    def _waiting(self) -> RenderableType:
        from rich.text import Text

        return Text.assemble((self._title, "bold"), "  preparing")

    def _draw(self, progress: Progress) -> RenderableType:
        from rich.console import Group
        from rich.text import Text

        read, total = pages_read(progress), progress.pages
        head = Text.assemble(
            (self._title, "bold"),
            f"  {doing(progress)}",
            (f"  {clock(time.monotonic() - self._began)}", "dim"),
        )
        if progress.reason and progress.reason != "cancelled":
            head.append(f"  {progress.reason}", "yellow")
        if progress.cost_usd:
            head.append(f"  {money(progress.cost_usd)}")
        lines: list[Text] = [head]
        if total and works_on_pages(progress):
            done = round(BAR_CHARACTERS * read / total)
            bar = Text.assemble(
                ("━" * done, "green"), ("━" * (BAR_CHARACTERS - done), "bright_black"), f"  {read} of {total} pages"
            )
            if pace := self._pace.describe(total):
                bar.append(f"  {pace}", "cyan")
            lines.append(bar)
        if progress.operations:
            lines.append(self._operations(progress))
        for item in progress.failed[-3:]:
            where = f"page {item.page}" if item.page else "book"
            lines.append(Text(f"{where}, {item.operation}: {item.message}", "red", no_wrap=True, overflow="ellipsis"))
        return Group(*lines)

    def _operations(self, progress: Progress) -> Text:
        from rich.text import Text

        width = self._live.console.width
        lines = [Text()]
        for name, count in progress.operations.items():
            said = Text()
            title = title_of(name)
            if count.complete >= count.total:
                said.append(f"✓ {title}", "green")
            else:
                number = "" if count.total == 1 else f" {count.complete}"
                under_way = " …" if count.in_flight else ""
                said.append(f"{title}{number}{under_way}", "default" if count.complete or count.in_flight else "dim")
            if count.failed or count.blocked:
                said.append(f" ({count.failed + count.blocked} not)", "red")
            # Lines end between operations: "contents" and "read" apart would be two things.
            if lines[-1] and lines[-1].cell_len + 3 + said.cell_len > width:
                lines.append(Text())
            if lines[-1]:
                lines[-1].append(" · ", "dim")
            lines[-1].append_text(said)
        return Text("\n").join(lines)
