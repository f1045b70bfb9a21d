"""Writes the pages of docs/reference/ from the code: inputs, operations, documents, providers, commands, exit codes, settings.

    .venv/bin/python tools/reference.py            # write them
    .venv/bin/python tools/reference.py --check    # name those that differ from the code; exit code 1 if there are any

The same code gives the same bytes on every machine. `tests/docs/test_reference.py` fails where a page is not what this writes.
"""

from __future__ import annotations

import argparse
import ast
import inspect
import re
import sys
import textwrap
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import MISSING
from dataclasses import fields as dataclass_fields
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "docs" / "reference"
COMMAND = ".venv/bin/python tools/reference.py"


def render() -> dict[str, str]:
    """File name -> its text."""
    makers: dict[str, Callable[[], str]] = {
        "inputs.md": inputs,
        "operations.md": operations,
        "documents.md": documents,
        "providers.md": providers,
        "commands.md": commands,
        "exit-codes.md": exit_codes,
        "settings.md": settings,
    }
    return {name: make().rstrip() + "\n" for name, make in makers.items()}


# Pages ------------------------------------------------------------------------------------------------------------------


def inputs() -> str:
    """Inputs of the jobs."""
    from activities.corrections import Said
    from providers.leaf_edits import LeafEdit
    from workflows.registry import JOBS

    parts = [
        head(
            "Inputs of the jobs",
            "workflows/inputs.py",
            "A job is a workflow that takes one JSON object. [Through Temporal](../temporal.md) shows how to start one. "
            "A *required* field must be given. A wrong field ends the job as Failed with `BadInput`, which names it.",
        )
    ]
    for name, job in JOBS.items():
        parts += [
            f"## {name}",
            sentence(job.__doc__),
            f"Operations: {codes(operation.name for operation in job.operations) or 'none of its own'}."
            + (f" It takes {codes(job.takes)} as the database has them." if job.takes else ""),
            model_table(job.input_model),
        ]
    for model, where in ((LeafEdit, "`edits` of `EditLeaves`"), (Said, "`corrections` of `Correct`")):
        parts += [f"## {model.__name__}", f"One of the {where}. {sentence(model.__doc__)}", model_table(model)]
    return "\n\n".join(parts)


def operations() -> str:
    """Operations and their flags."""
    from activities.choosing import BOOK_PROVIDERS
    from activities.registry import OPERATIONS
    from providers.queues import QUEUES, STORE_QUEUE
    from schemas.documents import OPERATION_FIELDS
    from workflows.registry import JOBS

    queues = {row.name: row.queue for row in QUEUES}
    readers = [row.queue for row in QUEUES if row.reads_pages]
    parts = [
        head(
            "Operations and flags",
            "activities/registry.py",
            "An operation plans units of work and records their results. It *requires* flags and *completes* one. A flag is "
            "the field `<operation>_complete` of each document that the operation writes; it counts while "
            "`<operation>_inputs` agrees with what would be read today. Scope `page`: one item a "
            "page; scope `book`: one item for the book.",
        ),
        table(
            ("operation", "scope", "requires", "completes", "writes", "queue of the work"),
            [
                [
                    f"[`{name}`](#{name})",
                    operation.scope.value,
                    codes(operation.requires),
                    f"`{operation.completes}_complete`",
                    codes(kind.__name__ for kind in operation.target_schemas),
                    f"`{queues[BOOK_PROVIDERS[name]]}`" if name in BOOK_PROVIDERS else "of the engine",
                ]
                for name, operation in OPERATIONS.items()
            ],
        ),
        f"Queues of engines: {codes(readers)}. Every save is on the queue `{STORE_QUEUE}`.",
        f"Fields of an operation on each document that it writes: {codes(f'<operation>_{name}' for name in OPERATION_FIELDS)} "
        "([documents](documents.md)).",
    ]
    for name, operation in OPERATIONS.items():
        used = [job for job, kind in JOBS.items() if name in [each.name for each in kind.operations]]
        parts += [
            f"## {name}",
            sentence(type(operation).__doc__),
            bullets(
                ("shown as", operation.title),
                ("work activity", f"`{operation.work_activity}`"),
                ("save activity", f"`{operation.save_activity}`"),
                ("without a model done by", f"`{BOOK_PROVIDERS[name]}`" if name in BOOK_PROVIDERS else ""),
                ("in the jobs", codes(used)),
            ),
        ]
    return "\n\n".join(parts)


def documents() -> str:
    """Fields of the documents in DefraDB."""
    from schemas import documents as module

    parts = [
        head(
            "Documents and their fields",
            "schemas/documents.py",
            "The types of the database, which is made from the same classes. Every field may be null. "
            "`key` is unique in its type.",
        ),
        table(
            ("type", "holds", "operations that write it"),
            [
                [
                    f"[`{kind.__name__}`](#{kind.__name__.lower()})",
                    first(kind.__doc__),
                    codes(kind.operations) or "immutable",
                ]
                for kind in module.TYPES
            ],
        ),
        "## Fields of an operation",
        "Each operation owns these fields of every document that it writes:",
        "```text\n" + textwrap.dedent(_indented(module.__doc__)) + "\n```",
    ]
    for kind in module.TYPES:
        parts += [
            f"## {kind.__name__}",
            sentence(kind.__doc__),
            bullets(("indexed", codes(kind.indexed))),
            model_table(kind, defaults=False),
        ]
    return "\n\n".join(part for part in parts if part)


def providers() -> str:
    """Rows of the queue table."""
    from providers import errors
    from providers import queues as module
    from providers.queues import QUEUES, STORE_QUEUE, WORKFLOW_QUEUE, ProviderQueue

    docs = attribute_docs(ProviderQueue)
    names = [field.name for field in dataclass_fields(ProviderQueue)]
    computed = _computed_rows(Path(str(module.__file__)).read_text())
    shown = [name for name in names if name not in ("name", "queue")]
    parts = [
        head(
            "Providers, queues, limits",
            "providers/queues.py",
            "A provider is an engine or service with a task queue of its own. Each row can be changed in `shelf.toml` "
            "(`[providers.tesseract]`, `in_flight = 8`) or in the environment (`SHELF_PROVIDERS__TESSERACT__IN_FLIGHT=8`).",
        ),
        table(
            ("provider", "queue", "reads pages (`--ocr`)", "language model (`--llm`)", "key of the service"),
            [
                [
                    f"[`{row.name}`](#{row.name})",
                    f"`{row.queue}`",
                    "yes" if row.reads_pages else "",
                    "yes" if row.answers else "",
                    f"`{row.key_env}`" if row.key_env else "",
                ]
                for row in QUEUES
            ],
        ),
        f"Without a row: `{WORKFLOW_QUEUE}` (workflows), `{STORE_QUEUE}` (what reads and writes the database).",
        "## Settings of a row",
        table(
            ("setting", "default", "meaning"),
            [
                [f"`{field.name}`", _dataclass_default(field), docs.get(field.name, "")]
                for field in dataclass_fields(ProviderQueue)
                if field.name != "name"
            ],
        ),
        "## Rows",
    ]
    for row in QUEUES:
        cells = {name: computed.get((row.name, name), getattr(row, name)) for name in shown}
        changed = {
            field.name: cells[field.name]
            for field in dataclass_fields(ProviderQueue)
            if field.name in cells and (field.default is MISSING or cells[field.name] != field.default)
        }
        parts += [
            f"### {row.name}",
            table(
                ("setting", "value"),
                [["`queue`", f"`{row.queue}`"], *([f"`{name}`", value_text(value)] for name, value in changed.items())],
            ),
        ]
    kinds = _subclasses(errors.ProviderError)
    parts += [
        "## How a call may fail",
        "`providers/errors.py`. A *permanent* error settles the page as failed; any other is repeated until `max_attempts`. "
        "[Troubleshooting](../troubleshooting.md) says what to do.",
        table(
            ("code", "permanent", "meaning"),
            [[f"`{kind.__name__}`", "yes" if kind.permanent else "", one_line(kind.__doc__)] for kind in kinds],
        ),
    ]
    return "\n\n".join(parts)


def commands() -> str:
    """Every command with its arguments and options."""
    from typer.main import get_command

    from cli.main import make_app

    group: Any = get_command(make_app())
    found = list(_commands(group, "shelf"))
    parts = [
        head(
            "Commands",
            "cli/",
            "What `./shelf COMMAND --help` says. [Command line](../cli.md) describes what the commands do together, "
            "and their JSON.",
        ),
        table(
            ("command", "what it does"),
            [[f"[`{name}`](#{name.replace(' ', '-')})", first(command.help)] for name, command in found],
        ),
    ]
    for name, command in found:
        context = command.context_class(command, info_name=name)
        parts += [
            f"## {name}",
            f"```text\n{' '.join([name, *command.collect_usage_pieces(context)])}\n```",
            sentence(command.help),
        ]
        rows = [
            [f"`{what}`", text]
            for what, text in filter(None, (each.get_help_record(context) for each in command.params))
        ]
        parts.append(table(("argument or option", "meaning"), rows) if rows else "")
    return "\n\n".join(part for part in parts if part)


def exit_codes() -> str:
    """Exit codes, and the errors that end with them."""
    from schemas import errors

    text = re.search(r"Exit codes \([^)]*\): (.*?)\.(?=\n|$)", one_line(errors.__doc__))
    if text is None:
        raise ValueError("the docstring of schemas/errors.py does not list the exit codes any more")
    codes_of = {int(code): what for code, what in (item.split(" ", 1) for item in re.split(r", (?=\d)", text[1]))}
    from cli.output import INTERRUPTED

    codes_of[INTERRUPTED] = "Ctrl-C: the command let go of its job, which goes on"
    kinds = _subclasses(errors.ShelfError)
    parts = [
        head(
            "Exit codes and errors",
            "schemas/errors.py",
            "An error is one sentence on stderr: `error: what happened. what to do next`. "
            "[Troubleshooting](../troubleshooting.md) goes through them.",
        ),
        table(("exit code", "meaning"), [[str(code), what] for code, what in sorted(codes_of.items())]),
        "## Errors by name",
        "The name is the type of the failure in Temporal, too. *Again*: whether the activity is tried again by itself.",
        table(
            ("error", "exit code", "again", "meaning"),
            [
                [f"`{kind.__name__}`", str(kind.exit_code), "yes" if kind.retryable else "", one_line(kind.__doc__)]
                for kind in kinds
                if kind.__module__ == errors.__name__
            ],
        ),
    ]
    return "\n\n".join(parts)


def settings() -> str:
    """What the user may set."""
    from providers import settings as module
    from providers.settings import Settings

    prefix = str(Settings.model_config["env_prefix"])
    separator = str(Settings.model_config["env_nested_delimiter"])
    rows = list(_settings(Settings, "", prefix, separator))
    parts = [
        head("Settings", "providers/settings.py", sentence(module.__doc__)),
        table(("in `shelf.toml`", "environment", "default", "meaning"), rows),
    ]
    return "\n\n".join(parts)


def _settings(model: type[BaseModel], table_name: str, prefix: str, separator: str) -> Iterator[list[str]]:
    docs = attribute_docs(model)
    for name, field in model.model_fields.items():
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            yield from _settings(kind, f"{table_name}{name}.", f"{prefix}{name.upper()}{separator}", separator)
            continue
        # A name that other tools have too stands beside ours: TEMPORAL_ADDRESS.
        names = [str(each) for each in getattr(field.validation_alias, "choices", ())]
        environment = next((each for each in names if each.isupper()), f"{prefix}{name.upper()}")
        default = "computed" if field.default_factory is not None else default_text(field)
        yield [f"`{table_name}{name}`", f"`{environment}`", default, docs.get(name, field.description or "")]


# Parts of a page --------------------------------------------------------------------------------------------------------


def head(title: str, source: str, text: str) -> str:
    """Title, where it comes from, and what it is."""
    return f"<!-- Written by tools/reference.py from {source}; change that and run it again. -->\n\n# {title}\n\n{text}"


def table(headers: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table; a cell is one line and holds no bare pipe."""
    lines = [f"| {' | '.join(headers)} |", f"|{'---|' * len(headers)}"]
    lines += [f"| {' | '.join(_cell(cell) for cell in row)} |" for row in rows]
    return "\n".join(line.replace("|  |", "| |").replace("|  |", "| |") for line in lines)


def _cell(text: str) -> str:
    # Outside of code spans `<` would begin HTML, and `*` emphasis.
    pieces = re.split(r"(`+[^`]*`+)", one_line(text))
    plain = [re.sub(r"[<*\[]", r"\\\g<0>", piece) if _is_bare(piece) else piece for piece in pieces]
    return "".join(plain).replace("|", "\\|")


def _is_bare(piece: str) -> bool:
    return not piece.startswith("`") and "](" not in piece and not re.fullmatch(r"\[|\]\(#?[\w./#-]*\)", piece)


def bullets(*facts: tuple[str, str]) -> str:
    """Facts that have a value."""
    return "\n".join(f"- {name}: {value}" for name, value in facts if value)


def codes(names: Iterable[str]) -> str:
    """Names as code, by commas."""
    return ", ".join(f"`{name}`" for name in names)


def one_line(text: str | None) -> str:
    """Text without line ends, blanks by one."""
    return " ".join((text or "").split())


def first(text: str | None) -> str:
    """The first sentence."""
    return re.split(r"(?<=\.)\s", one_line(text), maxsplit=1)[0]


def sentence(text: str | None) -> str:
    """A docstring's prose: paragraphs by empty lines, nothing that Markdown takes for something else."""
    blocks = re.split(r"\n\s*\n", inspect.cleandoc(text or ""))
    return "\n\n".join(_cell(block) for block in blocks).replace("\\|", "|")


def model_table(model: type[BaseModel], *, defaults: bool = True) -> str:
    """Fields of a pydantic model with type, default and description."""
    rows = []
    for name, field in model.model_fields.items():
        row = [f"`{name}`", f"`{type_text(field.annotation, hide_none=not defaults or not field.is_required())}`"]
        rows.append([*row, *([default_text(field)] if defaults else []), field.description or ""])
    return table(("field", "type", *(("default",) if defaults else ()), "meaning"), rows)


def type_text(annotation: Any, *, hide_none: bool) -> str:
    """A type as the code writes it; without `None` where null only says that nothing was given."""
    text = getattr(annotation, "__name__", "") if isinstance(annotation, type) and "[" not in str(annotation) else ""
    text = text or re.sub(r"\b(?:[a-z_]+\.)+(?=[A-Za-z])", "", str(annotation)).replace("'", '"')
    text = re.sub(r"^Optional\[(.*)\]$", r"\1 | None", text)
    return re.sub(r" \| None$", "", text) if hide_none else text


def default_text(field: FieldInfo) -> str:
    """The default as JSON would have it; '' for a field that must be given."""
    return "required" if field.is_required() else value_text(field.get_default(call_default_factory=False))


def value_text(value: Any) -> str:
    """A value as it stands in TOML or JSON."""
    if value is None:
        return "none"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, float) and value.is_integer():
        return f"`{int(value)}`"
    return f'`"{value}"`' if value == "" else f"`{value}`"


# From the source, where the objects do not have it ----------------------------------------------------------------------


def attribute_docs(kind: type) -> dict[str, str]:
    """Attribute -> the string that stands below it in the class."""
    (tree,) = ast.parse(textwrap.dedent(inspect.getsource(kind))).body
    assert isinstance(tree, ast.ClassDef)
    found = {}
    for one, following in zip(tree.body, tree.body[1:], strict=False):
        text = following.value if isinstance(following, ast.Expr) else None
        if isinstance(one, ast.AnnAssign) and isinstance(one.target, ast.Name) and isinstance(text, ast.Constant):
            found[one.target.id] = one_line(str(text.value))
    return found


def _computed_rows(source: str) -> dict[tuple[str, str], str]:
    """(provider, setting) -> the expression, where a row's value depends on the machine."""
    found = {}
    for node in ast.walk(ast.parse(source)):
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "ProviderQueue"):
            continue
        if not (node.args and isinstance(node.args[0], ast.Constant)):
            continue
        for keyword in node.keywords:
            if keyword.arg and any(
                isinstance(part, ast.Name) and part.id == "CORES" for part in ast.walk(keyword.value)
            ):
                found[str(node.args[0].value), keyword.arg] = ast.unparse(keyword.value).replace("CORES", "cores")
    return found


def _dataclass_default(field: Any) -> str:
    return "required" if field.default is MISSING else value_text(field.default)


def _indented(text: str | None) -> str:
    """The indented lines of a docstring."""
    return "\n".join(line for line in (text or "").splitlines() if line.startswith("    "))


def _subclasses(root: type[Any]) -> list[type[Any]]:
    found: list[type[Any]] = []
    for kind in root.__subclasses__():
        if kind.__module__ == root.__module__:
            found += [kind, *_subclasses(kind)]
    return found


def _commands(group: Any, prefix: str) -> Iterator[tuple[str, Any]]:
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from _commands(command, f"{prefix} {name}")
        else:
            yield f"{prefix} {name}", command


def different(pages: dict[str, str]) -> list[str]:
    """Names of pages that are not there, are not as they should be, or should not be there."""
    there = {path.name: path.read_text(encoding="utf-8") for path in FOLDER.glob("*.md")}
    return sorted(name for name in {*there, *pages} if there.get(name) != pages.get(name))


def main() -> int:
    """Returns the exit code."""
    parser = argparse.ArgumentParser(description="Write docs/reference/ from the code.")
    parser.add_argument("--check", action="store_true", help="only name the pages that differ")
    options = parser.parse_args()
    sys.path.insert(0, str(ROOT))
    pages = render()
    changed = different(pages)
    if options.check:
        for name in changed:
            print(f"docs/reference/{name} differs from the code; run {COMMAND}")
        return int(bool(changed))
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name in changed:
        if name in pages:
            (FOLDER / name).write_text(pages[name], encoding="utf-8")
        else:
            (FOLDER / name).unlink()
        print(f"docs/reference/{name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
