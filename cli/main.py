"""The `shelf` command: which modules hold which commands, and what becomes of an error."""

from __future__ import annotations

import contextlib
import importlib
import os
import re
import sys
import traceback
from typing import TYPE_CHECKING, NoReturn

import typer
from typer.core import TyperGroup

from cli.output import interrupted, report
from schemas.errors import ShelfError

if TYPE_CHECKING:
    from click import HelpFormatter

NAME_WIDTH = 12
"""Of the longest command, so that all tasks stand in line."""

COMMANDS = {
    "Read": (
        ("cli.process", ("process", "watch")),
        ("cli.watch_folder", ("watch_folder",)),
        ("cli.control", ("status", "pause", "resume", "cancel")),
    ),
    "Look": (
        ("cli.library", ("books", "search")),
        ("cli.read", ("show", "toc", "pages", "page")),
        ("cli.provenance", ("why", "history")),
        ("cli.eval", ("eval",)),
    ),
    "Work on again": (
        ("cli.again", ("retry", "run", "add_source")),
        ("cli.compare", ("compare",)),
    ),
    "Correct": (
        ("cli.correct", ("correct", "label", "meta", "corrections")),
        ("cli.image", ("image",)),
        ("cli.leaf", ("leaf",)),
        ("cli.prompt", ("prompt",)),
    ),
    "Structure and export": (
        ("cli.structure", ("structure", "chapters")),
        ("cli.export", ("export",)),
    ),
    "Providers and money": (
        ("cli.providers", ("providers",)),
        ("cli.plan", ("plan",)),
        ("cli.cost", ("cost",)),
        ("cli.budget", ("budget",)),
        ("cli.improve", ("improve",)),
        ("cli.queue", ("queue",)),
    ),
    "Keep": (
        ("cli.dump", ("dump", "load")),
        ("cli.delete", ("delete",)),
    ),
    "Servers": (("cli.commands_stack", ("up", "down", "doctor")),),
}
"""What people want to do -> modules with the names of the functions (or groups of them) that are commands, in the order of
`--help`. They import what is heavy inside the function: all of them together cost `--help` a few milliseconds."""


class ByTask(TyperGroup):
    """Lists the commands by what they are for, each with as much of its first sentence as says what it does."""

    def format_commands(self, ctx: typer.Context, formatter: HelpFormatter) -> None:  # type: ignore[override]
        for task, modules in COMMANDS.items():
            names = [name.replace("_", "-") for _, functions in modules for name in functions]
            with formatter.section(task):
                formatter.write_dl(
                    [(f"{name:<{NAME_WIDTH}}", in_short(self.commands[name].help or "")) for name in names]
                )


def in_short(text: str) -> str:
    """`Read books` of `Read books: text, labels, ... More of it.`"""
    return re.split(r"[:;.](?:\s|$)| \(", " ".join(text.split()), maxsplit=1)[0]


def make_app() -> typer.Typer:
    """The command line with all its commands."""
    app = typer.Typer(
        name="shelf",
        cls=ByTask,
        help="Turn books, scanned or born digital, into text, page numbers, metadata and a linked table of contents.\n\n"
        "To begin: shelf process BOOK.pdf. A book that was read is named by the beginning of its key.",
        no_args_is_help=True,
        add_completion=False,
        rich_markup_mode=None,  # plain help: Rich would take 0.14 s to import
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    for module, name in ((module, name) for task in COMMANDS.values() for module, names in task for name in names):
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
    except KeyboardInterrupt:  # before or beside `connect.run`, which has a word on jobs
        code = interrupted()
    except BaseException:
        traceback.print_exc()
        code = 1
    with contextlib.suppress(OSError):
        sys.stdout.flush()
        sys.stderr.flush()
    # A Temporal client leaves threads that now and then abort the interpreter while it takes itself down, after all is
    # done (temporalio/sdk-python#300; seen here in one command of six): so it is not taken down.
    os._exit(code if isinstance(code, int) else int(code is not None))
