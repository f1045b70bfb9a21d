"""Which DefraDB is taken, and how a build that goes wrong leaves things. That it compiles is seen by using it."""

from __future__ import annotations

from pathlib import Path

import pytest

from cli.stack import defradb_binary, defradb_build, defradb_release
from cli.stack.progress import Progress, no_progress
from schemas.errors import DiskFull, ServerUnavailable


def program(path: Path, says: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\necho '{says}' >&2\n")
    path.chmod(0o755)
    return path


@pytest.fixture(autouse=True)
def bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("DEFRADB_BIN", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("PATH", f"{tmp_path / 'path'}:/usr/bin:/bin")


@pytest.fixture
def toolchain(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(defradb_build, "_toolchain", lambda work, progress: None)


def test_the_order(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert defradb_binary.find() is None
    built = program(defradb_binary.built_binary(), "defradb 0.19.0 ( )")
    assert defradb_binary.find() == built
    on_path = program(tmp_path / "path" / "defradb", "defradb v0.19.0 (9d048c01 2025-08-08) built with Go 1.24")
    assert defradb_binary.find() == on_path
    named = program(tmp_path / "named", "")
    monkeypatch.setenv("DEFRADB_BIN", str(named))
    assert defradb_binary.find() == named


@pytest.mark.parametrize("says", ["defradb 1.0.0 (x y)", "defradb 0.18.2 (x y)", "something else"])
def test_another_version_on_the_path_is_passed_over(tmp_path: Path, says: str) -> None:
    program(tmp_path / "path" / "defradb", says)
    assert defradb_binary.find() is None


def test_a_wrong_name_is_an_error_not_a_build(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DEFRADB_BIN", str(tmp_path / "nothing"))
    with pytest.raises(ServerUnavailable, match="DEFRADB_BIN"):
        defradb_binary.find_or_build()


def test_a_build_appears_whole_and_leaves_nothing_else(toolchain: None, monkeypatch: pytest.MonkeyPatch) -> None:
    def compile_it(toolchain: object, out: Path, progress: Progress) -> Path:
        return program(out / "defradb", "defradb 0.19.0 ( )")

    monkeypatch.setattr(defradb_build, "_compile", compile_it)
    root = defradb_release.cache_dir()
    killed = root / ".defradb-build-killed" / "go" / "pkg"
    killed.mkdir(parents=True)
    (killed / "file").touch()
    killed.chmod(0o500)  # as Go's module cache is
    assert defradb_binary.find_or_build() == defradb_binary.built_binary()
    assert {path.name for path in root.iterdir()} == {"defradb-build.lock", defradb_binary.built_binary().parent.name}


def test_a_failed_build_leaves_nothing_and_is_tried_again(toolchain: None, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(toolchain: object, out: Path, progress: Progress) -> Path:
        program(out / "defradb", "")
        raise ServerUnavailable("go build ended with 1.")

    monkeypatch.setattr(defradb_build, "_compile", fail)
    for _ in range(2):
        with pytest.raises(ServerUnavailable, match="ended with 1"):
            defradb_build.build(defradb_binary.built_binary(), no_progress)
    assert [path.name for path in defradb_release.cache_dir().iterdir()] == ["defradb-build.lock"]


def test_too_little_room_is_said_before_the_build(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(defradb_build, "BUILD_BYTES", 10**18)
    with pytest.raises(DiskFull, match="GB"):
        defradb_build.build(defradb_binary.built_binary(), no_progress)


def test_gos_last_words_are_shown(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    go = tmp_path / "go"
    go.write_text("#!/bin/sh\necho 'dial tcp: no route to host' >&2\nexit 1\n")
    go.chmod(0o755)
    with pytest.raises(ServerUnavailable, match="no route to host"):
        defradb_build._run_go([str(go), "build"], {})


def test_the_session_uses_the_pinned_version(defradb_binary: Path) -> None:
    from cli.stack.defradb_binary import VERSION, version_of

    assert version_of(defradb_binary) in (VERSION, "")
