"""Options that the commands have in common which start a job; what they mean is in `cli/starting.py`."""

from __future__ import annotations

import typer

WAIT = typer.Option("--wait", help="Wait while another job works on the book, instead of being refused.")
DETACH = typer.Option("--detach", help="Start the job, print its id, and return.")
