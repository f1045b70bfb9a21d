"""Tables on terminals of any width: a key can be copied, no word is cut, nothing is lost without a word."""

from __future__ import annotations

import pytest

from cli.output import counted, fitted, table

HEADERS = ("key", "title", "state", "changed")
KEY = "a-day-at-a-time-scan-c43e950d"
ROWS = [[KEY, "A Day at a Time", "complete", "2026-11-30"], ["moby-0a1b2c3d", "Moby-Dick; or, The Whale", "gaps", "–"]]


def widths(width: int, optional: tuple[str, ...] = ()) -> dict[str, int] | None:
    return fitted(HEADERS, ROWS, width, optional)


def test_all_columns_as_they_are_where_they_fit() -> None:
    assert widths(200) == {"key": len(KEY), "title": 24, "state": 8, "changed": 10}


def test_the_widest_gives_way_down_to_its_longest_word() -> None:
    found = widths(72)
    assert found == {"key": len(KEY), "title": 72 - len(KEY) - 8 - 10 - 3 * 2, "state": 8, "changed": 10}


def test_columns_that_may_be_missing_go_first() -> None:
    assert widths(56, ("changed",)) == {"key": len(KEY), "title": 15, "state": 8}


def test_what_fits_in_no_way_is_no_table() -> None:
    assert widths(40, ("changed",)) is None


def test_a_row_becomes_a_paragraph(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "40")
    monkeypatch.setenv("NO_COLOR", "1")
    table(HEADERS, ROWS)
    assert capsys.readouterr().out == (
        f"key      {KEY}\ntitle    A Day at a Time\nstate    complete\nchanged  2026-11-30\n"
        "\nkey      moby-0a1b2c3d\ntitle    Moby-Dick; or, The Whale\nstate    gaps\n"
    )


def test_what_is_left_out_is_named(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "56")
    table(HEADERS, ROWS, optional=("changed",))
    said = capsys.readouterr()
    assert KEY in said.out
    assert "2026-11-30" not in said.out
    assert said.err == "Not shown, for want of room: changed. A wider terminal or --json has it all.\n"


def test_a_file_gets_every_column_whole(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    table(HEADERS, ROWS, optional=("changed",))
    said = capsys.readouterr()
    assert f"{KEY}  A Day at a Time           complete  2026-11-30" in said.out
    assert said.err == ""


def test_one_is_not_many() -> None:
    assert [counted(number, "book") for number in (0, 1, 2)] == ["0 books", "1 book", "2 books"]
