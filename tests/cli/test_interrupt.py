"""Ctrl-C at any moment ends in exit code 130 and a sentence, never in a traceback."""

from __future__ import annotations

from pathlib import Path

import pytest

from cli import doctor, main


def test_while_commands_are_put_together(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    class Ended(Exception):
        pass

    def interrupted() -> None:
        raise KeyboardInterrupt

    def exit_(code: int) -> None:
        raise Ended(code)

    monkeypatch.setattr(main, "make_app", interrupted)
    monkeypatch.setattr(main.os, "_exit", exit_)
    with pytest.raises(Ended, match="130"):
        main.main()
    assert capsys.readouterr().err == "Interrupted. Servers that were started go on; `shelf down` stops them.\n"


def test_a_file_in_the_way_of_a_folder_is_seen(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    [finding] = doctor._writable("state", file / "home")
    assert finding.state == "problem"
    assert "Not a directory" in finding.message
