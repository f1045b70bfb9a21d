"""The `shelf` command: which modules hold which commands, and what becomes of an error."""

from __future__ import annotations

import contextlib
import importlib
import os
import sys
import traceback
from typing import NoReturn

import typer

from cli.output import report
from schemas.errors import ShelfError

COMMANDS = (
    ("cli.process", ("process", "watch")),
    ("cli.plan", ("plan",)),
    ("cli.cost", ("cost",)),
    ("cli.budget", ("budget",)),
    ("cli.providers", ("providers",)),
    ("cli.queue", ("queue",)),
    ("cli.control", ("status", "pause", "resume", "cancel")),
    ("cli.library", ("books", "search")),
    ("cli.read", ("show", "pages", "page", "toc")),
    ("cli.again", ("run", "retry", "add_source")),
    ("cli.improve", ("improve",)),
    ("cli.compare", ("compare",)),
    ("cli.watch_folder", ("watch_folder",)),
    ("cli.structure", ("structure", "chapters")),
    ("cli.provenance", ("history", "why")),
    ("cli.correct", ("correct", "label", "meta", "corrections")),
    ("cli.prompt", ("prompt",)),
    ("cli.image", ("image",)),
    ("cli.leaf", ("leaf",)),
    ("cli.eval", ("eval",)),
    ("cli.export", ("export",)),
    ("cli.dump", ("dump", "load")),
    ("cli.delete", ("delete",)),
    ("cli.commands_stack", ("up", "down", "doctor")),
)
"""Modules with the names of the functions (or groups of them) that are commands, in the order of `--help`. They import
what is heavy inside the function: all of them together cost `--help` a few milliseconds."""


def make_app() -> typer.Typer:
    """The command line with all its commands."""
    app = typer.Typer(
        name="shelf",
        help="Turn books, scanned or born digital, into text, page numbers, metadata and a linked table of contents.",
        no_args_is_help=True,
        add_completion=False,
        rich_markup_mode=None,  # plain help: Rich would take 0.14 s to import
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    for module, names in COMMANDS:
        for name in names:
            command = getattr(importlib.import_module(module), name)
            if isinstance(command, typer.Typer):
                app.add_typer(command, name=name)
            else:
                app.command()(command)
    return app


def main() -> NoReturn:
    """Run the command that was typed, and exit with its code (`schemas/errors.py`)."""
    try:
        make_app()(prog_name="shelf")
        code: object = 0
    except ShelfError as error:
        report(error)
        code = error.exit_code
    except SystemExit as ended:  # how Typer ends, also after --help and wrong usage
        code = ended.code
    except BaseException:
        traceback.print_exc()
        code = 1
    with contextlib.suppress(OSError):
        sys.stdout.flush()
        sys.stderr.flush()
    # A Temporal client leaves threads that now and then abort the interpreter while it takes itself down, after all is
    # done (temporalio/sdk-python#300; seen here in one command of six): so it is not taken down.
    os._exit(code if isinstance(code, int) else int(code is not None))
