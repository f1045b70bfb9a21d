"""Arguments and options that commands have in common; what `--wait` and `--detach` mean is in `cli/starting.py`."""

from __future__ import annotations

import typer

BOOK = typer.Argument(help="Key of a book, or its beginning; see `shelf books`.", metavar="BOOK", show_default=False)
PAGE = typer.Argument(help="Physical page, counted from 1.", metavar="N", min=1, show_default=False)
PAGE_OPTION = typer.Option("--page", help="Physical page, counted from 1.", metavar="N", min=1, show_default=False)
PAGES = typer.Option("--pages", help="Physical pages, as 1-20,35; all by default.")
JSON = typer.Option("--json", help="Print JSON (format: docs/cli.md).")

# Of commands that start a job
WAIT = typer.Option("--wait", help="Wait while another job works on the book, instead of being refused.")
DETACH = typer.Option("--detach", help="Start the job, print its id, and return.")
OTEL = typer.Option(
    "--otel", help="console: show the trace of the job at its end (docs/telemetry.md).", metavar="WHERE"
)

PRIORITY = typer.Option(
    "--priority",
    help="Whose pages go first where they wait for the same engine: 1 before 5. Default: 3; what you wait for has 2.",
    metavar="1-5",
    min=1,
    max=5,
    show_default=False,
)

# Of commands that may spend money (`cli/spending.py`)
LLM = typer.Option(
    "--llm",
    help="Language model, as provider/MODEL for all that one can do, or as blend=provider/MODEL; none: by rules. May be "
    "given again.",
    metavar="MODEL",
    show_default=False,
)
BUDGET = typer.Option("--budget", help="Pause before the job has spent more.", metavar="USD", show_default=False)
UNPRICED = typer.Option(
    "--allow-unpriced", help="Call a paid provider although nobody knows its price: no budget holds it."
)

# Of commands by which people correct the machines
WHY = typer.Option("--why", help="Why, in a sentence; kept with the correction.", metavar="TEXT")
WHO = typer.Option("--who", help="Who says so. Default: SHELF_USER, or who is logged in.", metavar="NAME")
