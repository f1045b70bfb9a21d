"""The list of commands, by which a newcomer finds the one to type."""

from __future__ import annotations

from typer.testing import CliRunner

from cli.main import COMMANDS, make_app


def test_every_command_stands_under_its_task_with_a_whole_phrase() -> None:
    done = CliRunner().invoke(make_app(), ["--help"], terminal_width=80, prog_name="shelf")
    assert done.exit_code == 0
    assert "..." not in done.output.partition("Options:")[2], "a phrase was cut"
    places = [done.output.index(f"\n{task}:\n") for task in COMMANDS]
    assert places == sorted(places)
    for names in (names for modules in COMMANDS.values() for _, names in modules):
        for name in names:
            assert f"\n  {name.replace('_', '-')} " in done.output
    assert all(line.count("(") == line.count(")") for line in done.output.splitlines())
