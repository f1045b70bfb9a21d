"""The Dockerfile as data: no engine to build it with here."""

from __future__ import annotations

import fnmatch
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from providers.settings import Settings

ROOT = Path(__file__).parents[2]

NOT_COPIED = shutil.ignore_patterns("__pycache__")


@dataclass
class Stage:
    base: str
    instructions: list[tuple[str, str]] = field(default_factory=list)

    def of(self, name: str) -> list[str]:
        return [text for instruction, text in self.instructions if instruction == name]

    @property
    def copied(self) -> list[tuple[list[str], str]]:
        """From the context: sources and target of each COPY."""
        words = [shlex.split(text) for text in self.of("COPY")]
        return [(each[:-1], each[-1]) for each in words if not each[0].startswith("--from")]


@pytest.fixture(scope="module")
def stages() -> dict[str, Stage]:
    text = re.sub(r"^\s*#.*\n", "", (ROOT / "Dockerfile").read_text(), flags=re.MULTILINE)
    found: dict[str, Stage] = {}
    arguments: dict[str, str] = {}
    stage = None
    for line in re.sub(r"\\\n", " ", text).splitlines():
        instruction, _, rest = line.partition(" ")
        if instruction == "ARG" and stage is None:
            name, _, value = rest.partition("=")
            arguments[f"${{{name}}}"] = value
        elif instruction == "FROM":
            base, _, name = rest.partition(" AS ")
            stage = found[name] = Stage(arguments[base])
        elif line.strip():
            assert stage is not None
            stage.instructions.append((instruction, rest.strip()))
    return found


def test_bases_have_a_version(stages: dict[str, Stage]) -> None:
    for name, stage in stages.items():
        assert re.fullmatch(r"(python|golang):\d+\.\d+\.\d+-[\w-]+", stage.base), f"{name}: {stage.base}"
    assert len({stage.base for name, stage in stages.items() if name != "go"}) == 1, "what is built runs elsewhere"


def test_the_go_of_the_image_is_new_enough(stages: dict[str, Stage]) -> None:
    from cli.stack.defradb_build import MINIMUM_GO

    version = tuple(int(part) for part in stages["go"].base.split(":")[1].split("-")[0].split(".")[:2])
    assert version >= MINIMUM_GO


def test_the_last_stage_is_for_somebody_who_is_not_root(stages: dict[str, Stage]) -> None:
    *_, name = stages
    assert name == "shelf"
    kinds = [instruction for instruction, _ in stages[name].instructions]
    assert stages[name].of("USER") == ["shelf"]
    assert "RUN" not in kinds[kinds.index("USER") :]


def test_packages_are_installed_with_their_hashes(stages: dict[str, Stage]) -> None:
    installs = [
        each for stage in stages.values() for each in stage.of("RUN") if "pip install" in each or "pip sync" in each
    ]
    assert len(installs) == 2
    assert all("--require-hashes" in each for each in installs)
    for lock in ("requirements.lock", "tools/uv-requirements.txt"):
        blocks = re.split(r"\n(?=\S)", (ROOT / lock).read_text().strip())
        assert all("--hash=sha256:" in block for block in blocks if not block.startswith("#")), lock


def test_no_secret_is_given_to_the_build(stages: dict[str, Stage]) -> None:
    given = [each.partition("=")[0] for stage in stages.values() for kind in ("ARG", "ENV") for each in stage.of(kind)]
    assert not [each for each in given if re.search("SECRET|PASSWORD|TOKEN|KEY", each)]


def test_variables_of_the_image_are_settings(stages: dict[str, Stage]) -> None:
    names = re.findall(r"\b(SHELF_\w+)=", " ".join(stages["shelf"].of("ENV")))
    assert set(names) == {"SHELF_HOME", "SHELF_WORKER"}
    assert {name.removeprefix("SHELF_").lower() for name in names} <= set(Settings.model_fields)


def test_the_image_holds_all_packages_of_the_program(stages: dict[str, Stage]) -> None:
    packages = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["root_packages"]
    copied = {source for sources, _ in stages["shelf"].copied for source in sources}
    assert {f"{package}/" for package in packages} | {"worker.py", "pyproject.toml", "samples/"} <= copied


def test_the_context_holds_what_is_copied_and_nothing_else(stages: dict[str, Stage]) -> None:
    lines = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line and not line.startswith("#")]
    assert lines[0] == "*"
    let_in = [line[1:].rstrip("/") for line in lines if line.startswith("!")]
    copied = {source.rstrip("/") for stage in stages.values() for sources, _ in stage.copied for source in sources}
    for source in copied:
        assert (ROOT / source).exists(), source
        assert any(fnmatch.fnmatch(source, each) or source.startswith(f"{each}/") for each in let_in), source
    for each in let_in:
        wanted = any(fnmatch.fnmatch(source, each) or source.startswith(f"{each}/") for source in copied)
        assert wanted, f"{each} is let in and never copied"
    assert not any(each.startswith((".env", "deploy/secrets", "shelf.toml")) for each in let_in)


def copy_as(stage: Stage, folder: Path) -> None:
    """What the stage takes from the context."""
    for sources, target in stage.copied:
        for source in sources:
            if source.endswith("/"):
                shutil.copytree(ROOT / source, folder / target, ignore=NOT_COPIED, dirs_exist_ok=True)
            else:
                (folder / target).mkdir(parents=True, exist_ok=True)
                shutil.copy(ROOT / source, folder / target)


def run(folder: Path, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, *arguments],
        check=False, capture_output=True, text=True, cwd=folder, env={"PYTHONPATH": str(folder)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_stage_that_builds_defradb_has_all_that_its_code_imports(stages: dict[str, Stage], tmp_path: Path) -> None:
    """With what is copied there and without any package, as in that stage."""
    copy_as(stages["defradb"], tmp_path)
    code = "import cli.stack.defradb_build as b, runpy; runpy.run_path('deploy/build_defradb.py'); print(b.MODULE)"
    assert run(tmp_path, "-S", "-P", "-c", code).strip() == str(tmp_path / "tools/defradb")
    assert (tmp_path / "tools/defradb/go.sum").exists()


def test_the_program_runs_from_what_the_image_holds(stages: dict[str, Stage], tmp_path: Path) -> None:
    copy_as(stages["shelf"], tmp_path)
    assert "process" in run(tmp_path, "-P", "-m", "cli", "--help")
    assert "--queues" in run(tmp_path, "worker.py", "--help")
    assert "shelf" in run(tmp_path, "-P", "-c", "from cli.dump import versions; print(versions())")
    for script in sorted((tmp_path / "deploy").glob("*.py")):
        run(tmp_path, "-c", f"import runpy; runpy.run_path({str(script)!r})")
