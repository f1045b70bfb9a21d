"""`./shelf` with a stand-in for uv: what it does when, not whether packages can be fetched."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

UV = f"""#!/bin/sh
echo "$@" >>"$LOG"
case $1 in
--version) ;;
venv)
    for venv; do :; done
    mkdir -p "$venv/bin"
    : >"$venv/pyvenv.cfg"
    ln -s {sys.executable} "$venv/bin/python"
    ;;
pip)
    sleep "${{UV_SECONDS:-0}}"
    exit "${{UV_CODE:-0}}"
    ;;
esac
"""

CLI = """
import os, sys
try:
    os.fstat(9)
    print("descriptor 9 is open")
except OSError:
    pass
print(os.getcwd(), *sys.argv[1:], sep="|")
"""


class Tree:
    """A checkout with a launcher, a lock and a command line that shows how it was called."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "a checkout"
        self.log = folder / "uv.log"
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith(("SHELF_", "UV_", "PYTHON"))},
            "PATH": f"{folder / 'bin'}:{os.environ['PATH']}",
            "LOG": str(self.log),
            "XDG_CACHE_HOME": str(folder / "cache"),
        }
        (self.root / "cli").mkdir(parents=True)
        (self.root / "cli" / "__init__.py").touch()
        (self.root / "cli" / "__main__.py").write_text(CLI)
        (self.root / "requirements.lock").write_text("a==1\n")
        (self.root / "requirements-dev.lock").write_text("a==1\nb==1\n")
        shutil.copy(ROOT / "shelf", self.root)
        (folder / "bin").mkdir()
        uv = folder / "bin" / "uv"
        uv.write_text(UV)
        uv.chmod(0o755)

    def run(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [self.root / "shelf", *arguments],
            check=False,
            capture_output=True,
            text=True,
            env=self.environment | environment,
            timeout=30,
            cwd=self.root.parent,
        )

    def start(self, **environment: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [self.root / "shelf", "x"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=self.environment | environment,
            start_new_session=True,
        )

    def calls(self, word: str) -> int:
        return sum(line.startswith(word) for line in self.log.read_text().splitlines()) if self.log.exists() else 0


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    return Tree(tmp_path)


def test_the_first_start_sets_up_and_the_next_only_runs(tree: Tree) -> None:
    first = tree.run("one two", "*")
    assert (first.returncode, first.stdout) == (0, f"{tree.root.parent}|one two|*\n"), first.stderr
    assert "--require-hashes" in tree.log.read_text()
    again = tree.run("x")
    assert (again.stdout, again.stderr) == (f"{tree.root.parent}|x\n", "")
    assert tree.calls("pip") == 1


def test_a_start_that_finds_all_in_place_adds_little(tree: Tree) -> None:
    tree.run()
    python = [str(tree.root / ".venv/bin/python"), "-P", "-m", "cli"]

    def quickest(command: list[str]) -> float:
        def once() -> float:
            began = time.perf_counter()
            subprocess.run(
                command, check=True, capture_output=True, env=tree.environment | {"PYTHONPATH": str(tree.root)}
            )
            return time.perf_counter() - began

        return min(once() for _ in range(7))

    assert quickest([str(tree.root / "shelf")]) - quickest(python) < 0.05


def test_a_changed_lock_is_installed(tree: Tree) -> None:
    tree.run()
    (tree.root / "requirements.lock").write_text("a==2\n")
    assert tree.run().returncode == 0
    assert (tree.calls("pip"), tree.calls("venv")) == (2, 1)


def test_the_tools_come_with_the_first_test_and_stay(tree: Tree) -> None:
    check = tree.root / "tools" / "check"
    check.parent.mkdir()
    check.write_text('echo "checked $*"\n')
    tree.run()
    tested = tree.run("test", "-k", "a b")
    assert tested.stdout == f"checked {tree.root}/.venv -k a b\n"
    tree.run("test")
    tree.run()
    assert tree.calls("pip") == 2
    assert (tree.root / ".venv/installed.lock").read_text() == (tree.root / "requirements-dev.lock").read_text()


def test_an_interrupted_set_up_is_done_again(tree: Tree) -> None:
    failed = tree.run(UV_CODE="1")
    assert failed.returncode == 1
    assert "Check the network" in failed.stderr
    assert tree.run("x").returncode == 0

    (tree.root / ".venv/installed.lock").unlink()
    killed = tree.start(UV_SECONDS="30")
    while tree.calls("pip") < 3:
        time.sleep(0.02)
    os.killpg(killed.pid, signal.SIGKILL)
    killed.communicate()
    again = tree.run("x")
    assert (again.returncode, again.stdout) == (0, f"{tree.root.parent}|x\n")


def test_two_first_starts_at_once(tree: Tree) -> None:
    starts = [tree.start(UV_SECONDS="1") for _ in range(3)]
    ended = [start.communicate(timeout=30) for start in starts]
    assert [start.returncode for start in starts] == [0, 0, 0], ended
    assert tree.calls("pip") == 1
    assert sum("waiting" in said for _, said in ended) == 2


def test_the_lock_of_the_set_up_is_not_held_by_the_command(tree: Tree) -> None:
    assert "descriptor" not in tree.run().stdout


def test_it_is_found_through_links_from_any_folder(tree: Tree, tmp_path: Path) -> None:
    link = tmp_path / "bin" / "shelf"
    link.symlink_to("../a checkout/shelf")
    (tmp_path / "cli").mkdir()  # a folder of the user's that has the name of ours
    (tmp_path / "cli" / "__main__.py").write_text("print('the wrong one')")
    (tmp_path / "cli" / "__init__.py").touch()
    for command in ([str(link)], ["shelf"]):
        said = subprocess.run(command, check=False, capture_output=True, text=True, env=tree.environment, cwd=tmp_path)
        assert said.stdout == f"{tmp_path}\n", said.stderr


def test_another_folder_for_the_environment(tree: Tree, tmp_path: Path) -> None:
    assert tree.run(SHELF_VENV=str(tmp_path / "elsewhere")).returncode == 0
    assert (tmp_path / "elsewhere/bin/python").exists()
    assert not (tree.root / ".venv").exists()
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "file").touch()
    refused = tree.run(SHELF_VENV=str(precious))
    assert refused.returncode == 1
    assert (precious / "file").exists()


def test_no_python_is_said_clearly(tree: Tree) -> None:
    refused = tree.run(SHELF_PYTHON="/nowhere/python3")
    assert refused.returncode == 1
    assert "Python 3.11 or newer is needed" in refused.stderr
    assert refused.stderr.count("\n") == 1
