"""An export is there whole, or nothing of it is."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from books.exports.files import written
from books.exports.job import Export
from books.exports.registry import FORMATS, parse_formats
from books.view import BookView
from schemas.errors import ArtifactMissing, BadInput, DiskFull, ShelfError


def left(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def fail_halfway(target: Path, *, folder: bool, force: bool = False) -> None:
    with written(target, folder=folder, force=force) as path:
        (path / "a.xml" if folder else path).write_text("half")
        raise RuntimeError


@pytest.mark.parametrize("folder", [False, True])
def test_a_failure_leaves_nothing(tmp_path: Path, folder: bool) -> None:
    with pytest.raises(RuntimeError):
        fail_halfway(tmp_path / "out", folder=folder)
    assert left(tmp_path) == []


@pytest.mark.parametrize("folder", [False, True])
def test_a_failure_leaves_what_was_there(tmp_path: Path, folder: bool) -> None:
    old = tmp_path / "out" / "a.xml" if folder else tmp_path / "out"
    old.parent.mkdir(exist_ok=True)
    old.write_text("old")
    with pytest.raises(RuntimeError):
        fail_halfway(tmp_path / "out", folder=folder, force=True)
    assert old.read_text() == "old"
    with written(tmp_path / "out", folder=folder, force=True) as path:
        (path / "b.xml" if folder else path).write_text("new")
    assert left(tmp_path) == ["out"]
    assert (left(tmp_path / "out") if folder else old.read_text()) == (["b.xml"] if folder else "new")


def test_what_is_there_is_not_replaced_unasked(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("old")
    with pytest.raises(BadInput, match="--force"), written(tmp_path / "out", folder=False, force=False):
        pytest.fail("the block must not be entered")
    with pytest.raises(BadInput, match="is a file"), written(tmp_path / "out", folder=True, force=True):
        pytest.fail("the block must not be entered")


def test_a_place_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DiskFull, match="--out"), written(tmp_path / "file" / "out", folder=False, force=False):
        pytest.fail("the block must not be entered")


@pytest.mark.parametrize(
    ("number", "kind", "says"),
    [
        (errno.ENOSPC, DiskFull, "No room left to write"),
        (errno.EDQUOT, DiskFull, "No room left to write"),
        (errno.EACCES, DiskFull, "may not be written: Permission denied"),
        (errno.ENAMETOOLONG, ShelfError, "was not written: File name too long: elsewhere"),
        (errno.EIO, ShelfError, "was not written: Input/output error: elsewhere"),
    ],
)
def test_what_the_system_refuses_is_said_as_it_is(
    tmp_path: Path, number: int, kind: type[ShelfError], says: str
) -> None:
    with pytest.raises(ShelfError, match=says) as caught, written(tmp_path / "out", folder=False, force=False):
        raise OSError(number, os.strerror(number), "elsewhere")
    assert type(caught.value) is kind
    assert str(tmp_path / "out") in caught.value.message
    assert caught.value.next_step
    assert left(tmp_path) == []


def test_a_name_that_is_too_long(tmp_path: Path) -> None:
    with (
        pytest.raises(ShelfError, match="too long") as caught,
        written(tmp_path / ("o" * 300), folder=False, force=False),
    ):
        pytest.fail("the block must not be entered")
    assert not isinstance(caught.value, DiskFull)


def test_formats_by_name() -> None:
    assert [format.name for format in parse_formats("epub, PDF,epub")] == ["epub", "pdf"]
    assert parse_formats("all") == list(FORMATS.values())
    with pytest.raises(BadInput, match="'docx' is no export format"):
        parse_formats("pdf,docx")
    with pytest.raises(BadInput, match="No format"):
        parse_formats(" ,")


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_cleans_up_after_a_lost_reading(name: str, rich: BookView, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    format = FORMATS[name]
    format.write(Export(rich), out / "book")
    names = left(out)
    assert "book" in names
    for path in (tmp_path / "artifacts" / "published").rglob("*"):
        if path.is_file() and b'"lines"' in path.read_bytes():
            path.unlink()
    if name in ("text", "markdown", "epub"):  # their words come from paragraphs
        rich.paragraphs.clear()
    with pytest.raises(ArtifactMissing, match=r"--pages 1 --fresh"):
        format.write(Export(rich), out / "book", force=True)
    assert left(out) == names
