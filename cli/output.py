"""What a command shows: data on stdout (tables for people, JSON for programs), notes and errors on stderr.

A table on a terminal fits its width; anywhere else nothing is cut or coloured, so that it can be searched and compared.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal, TextIO

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from schemas.errors import ShelfError

INTERRUPTED = 130
"""Exit code of a command that Ctrl-C ended, as shells have it; a job that runs goes on."""
UNLIMITED_WIDTH = 100_000
"""Of a file or a pipe: rows are never wrapped."""
GAP = 2
"""Blanks between columns."""
LONGEST_WORD = 40
"""A longer one (the name of a document) may be cut where there is no room for it."""
NONE = "–"


def data(value: Any) -> None:
    """Print a value as JSON: two blanks of indentation, UTF-8, keys in the documented order."""
    import json

    print(json.dumps(value, ensure_ascii=False, indent=2))


def note(text: str) -> None:
    """Tell people something beside the data."""
    print(text, file=sys.stderr, flush=True)


def report(error: ShelfError) -> None:
    """`error: message. next step`."""
    note(f"error: {sentence(error.message)} {error.next_step}".rstrip())


def interrupted() -> int:
    """Ctrl-C: say what goes on without the command. Returns its exit code."""
    note("Interrupted. Servers that were started go on; `shelf down` stops them.")
    return INTERRUPTED


def sentence(text: str) -> str:
    """With a full stop, if it has no end of its own."""
    text = text.strip()
    return text if text.endswith((".", "!", "?", ":", ")")) else f"{text}."


def is_live(stream: TextIO | None = None) -> bool:
    """Whether a display that rewrites itself makes sense on stderr: a terminal, nobody asked for plain text, no CI."""
    stream = stream or sys.stderr
    return stream.isatty() and not os.environ.get("NO_COLOR") and not os.environ.get("CI")


def console(stream: TextIO | None = None) -> Console:
    """A Rich console on stdout (or another stream) that never wraps where nobody looks."""
    from rich.console import Console

    stream = stream or sys.stdout
    width = None if stream.isatty() else UNLIMITED_WIDTH
    return Console(file=stream, width=width, highlight=False, markup=False, emoji=False, soft_wrap=not stream.isatty())


def table(
    headers: Sequence[str], rows: Sequence[Sequence[Any]], right: Sequence[str] = (), optional: Sequence[str] = ()
) -> None:
    """Print rows under headers; where a terminal is too narrow for that, each row as a paragraph.

    Args:
        right: columns that are aligned to the right.
        optional: columns that may be missing on a narrow terminal, the first to go first; a note says so.
    """
    from rich.table import Table
    from rich.text import Text

    cells = [[cell(value) for value in row] for row in rows]
    out = console()
    widths = fitted(headers, cells, out.width, optional)
    if widths is None:
        _paragraphs(headers, cells)
        return
    shown = [number for number, header in enumerate(headers) if header in widths]
    grid = Table(box=None, pad_edge=False, padding=(0, GAP, 0, 0), header_style="bold")
    for header in (headers[number] for number in shown):
        justify: Literal["right", "left"] = "right" if header in right else "left"
        grid.add_column(header, justify=justify, overflow="fold", width=widths[header])
    for row in cells:
        grid.add_row(*(Text(row[number]) for number in shown))
    _print(grid, out)
    if missing := [header for header in headers if header not in widths]:
        note(f"Not shown, for want of room: {', '.join(missing)}. A wider terminal or --json has it all.")


def fitted(
    headers: Sequence[str], rows: Sequence[Sequence[str]], width: int, optional: Sequence[str] = ()
) -> dict[str, int] | None:
    """Width of each column that is shown, in which no word is cut; None where there is no such table."""
    from rich.cells import cell_len

    natural: dict[str, int] = {}
    least: dict[str, int] = {}
    for header, *values in zip(headers, *rows, strict=True):
        natural[header] = max(cell_len(value) for value in (header, *values))
        words = [word for value in (header, *values) for word in value.split()]
        # The first column names the row: what is typed again must be in one piece, however long.
        most = natural[header] if header == headers[0] else LONGEST_WORD
        least[header] = min(most, max((cell_len(word) for word in words), default=0))
    droppable = list(optional)
    while sum(least.values()) + GAP * (len(least) - 1) > width:
        if not droppable:
            return None
        gone = droppable.pop(0)
        del natural[gone], least[gone]
    excess = sum(natural.values()) + GAP * (len(natural) - 1) - width
    for _ in range(excess):
        widest = max((header for header in natural if natural[header] > least[header]), key=natural.__getitem__)
        natural[widest] -= 1
    return natural


def _paragraphs(headers: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    for number, row in enumerate(rows):
        if number:
            print()
        known = [(header, value if value != NONE else None) for header, value in zip(headers, row, strict=True)]
        facts(known, least=max(map(len, headers)))


def facts(pairs: Sequence[tuple[str, Any]], least: int = 0) -> None:
    """Print names and values in two columns, the first `least` wide or more; names without a value are left out."""
    known = [(name, cell(value)) for name, value in pairs if value not in (None, "", [], ())]
    width = max([least, *(len(name) for name, _ in known)])
    bold, plain = ("\x1b[1m", "\x1b[0m") if is_live(sys.stdout) else ("", "")
    for name, value in known:
        # Long values are left to the terminal: an address that was wrapped by us could not be clicked.
        print(f"{bold}{name:<{width}}{plain}  {value}")


def _print(grid: Table, out: Console) -> None:
    """Without the blanks by which Rich fills up the last column."""
    with out.capture() as captured:
        out.print(grid)
    print("\n".join(line.rstrip() for line in captured.get().rstrip("\n").split("\n")))


def cell(value: Any) -> str:
    """A value as people read it: `–` for none, one decimal, lists by commas."""
    if value is None or value == "":
        return NONE
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.1f}"
    if isinstance(value, list | tuple):
        return ", ".join(cell(item) for item in value) or NONE
    return str(value)


def counted(number: int, thing: str) -> str:
    """`1 book`, `2 books`."""
    return f"{number} {thing}{'' if number == 1 else 's'}"


def duration(seconds: float) -> str:
    """`4.2 s`, `3 min 5 s`, `2 h 7 min`."""
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min"


def money(cost_usd: float | None) -> str:
    """Dollars; four digits after the point where a page costs less than a cent."""
    if cost_usd is None:
        return "unknown"
    return f"${cost_usd:.4f}" if 0 < cost_usd < 0.1 else f"${cost_usd:.2f}"
