"""Real servers: how they are started, recognised, survived and stopped."""

from __future__ import annotations

import errno
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from cli.stack import processes, servers
from cli.stack import stack as stack_module
from cli.stack.stack import Stack
from schemas.errors import DiskFull, ServerUnavailable

MakeStack = Callable[..., Stack]


def pids(stack: Stack) -> dict[str, int | None]:
    return {part.name: part.pid for part in stack.status()}


def states(stack: Stack) -> dict[str, str]:
    return {part.name: part.state for part in stack.status()}


def all_of(stack: Stack) -> list[int]:
    """Every process that has files of this stack on its command line."""
    home = stack.home
    arguments = (f"shelf_home={home}", str(home / "temporal.db"), str(home / "defradb"))
    return [pid for argument in arguments for pid, _ in processes.find_by_argument(argument)]


def test_servers_are_not_started_where_there_is_no_room(make_stack: MakeStack, monkeypatch: pytest.MonkeyPatch) -> None:
    stack = make_stack()
    usage = shutil.disk_usage("/")
    monkeypatch.setattr(stack_module.shutil, "disk_usage", lambda folder: usage._replace(free=12_000_000))
    with pytest.raises(DiskFull, match=r"has 12 MB left, and the servers need 64"):
        stack.ensure()
    assert not all_of(stack)


def test_up_is_idempotent_and_down_leaves_nothing(make_stack: MakeStack) -> None:
    stack = make_stack()
    assert states(stack) == dict.fromkeys(("temporal", "defradb", "worker"), "stopped")
    assert stack.endpoints() is None

    endpoints = stack.ensure()
    before = pids(stack)
    assert set(states(stack).values()) == {"running"}
    assert sorted(filter(None, before.values())) == sorted(all_of(stack))

    assert stack.ensure() == endpoints
    assert pids(stack) == before

    http = f"127.0.0.1:{json.loads((stack.home / 'stack.json').read_text())['temporal']['ports']['http_port']}"
    described = servers.request(http, "GET", "/api/v1/namespaces/default")
    assert described["config"]["workflowExecutionRetentionTtl"] == f"{servers.RETENTION_SECONDS}s"
    registered = described["config"]["customSearchAttributeAliases"].values()
    assert set(servers.SEARCH_ATTRIBUTES) <= set(registered)

    assert stack.down() == ["temporal", "defradb", "worker"]
    assert all_of(stack) == []
    assert stack.down() == []

    # Links into the UI stay good.
    assert stack.ensure() == endpoints


def test_the_worker_gets_the_addresses_and_the_users_folder(
    make_stack: MakeStack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    stack = make_stack()
    endpoints = stack.ensure()
    assert f"serving {endpoints.temporal_address} {endpoints.defradb_url}" in (stack.logs / "worker.log").read_text()
    assert os.readlink(f"/proc/{pids(stack)['worker']}/cwd") == str(tmp_path)


def test_a_killed_part_comes_back_and_the_others_stay(make_stack: MakeStack) -> None:
    stack = make_stack()
    endpoints = stack.ensure()
    for name in ("temporal", "defradb", "worker"):
        before = pids(stack)
        victim = before.pop(name)
        assert victim is not None
        os.kill(victim, signal.SIGKILL)
        assert stack.ensure() == endpoints, "same ports, so that links and the worker's connections stay good"
        after = pids(stack)
        assert after.pop(name) != victim
        assert after == before


def test_two_starts_at_once_make_one_stack(make_stack: MakeStack) -> None:
    stack = make_stack()
    with ThreadPoolExecutor(3) as threads:
        answers = list(threads.map(lambda _: stack.ensure(), range(3)))
    assert len(set(answers)) == 1
    assert len(all_of(stack)) == 3


def test_two_folders_have_two_stacks(make_stack: MakeStack) -> None:
    one, two = make_stack("one"), make_stack("two")
    with ThreadPoolExecutor(2) as threads:
        first, second = threads.map(lambda stack: stack.ensure(), (one, two))
    assert first.temporal_address != second.temporal_address
    assert first.defradb_url != second.defradb_url
    one.down()
    assert set(states(two).values()) == {"running"}


@pytest.mark.parametrize("content", [None, '{"temporal": {"comm'])
def test_lost_or_damaged_state_leaves_no_second_stack(make_stack: MakeStack, content: str | None) -> None:
    """As after a parent that was killed before it wrote the pids down."""
    stack = make_stack()
    stack.ensure()
    before = all_of(stack)
    state = stack.home / "stack.json"
    state.unlink() if content is None else state.write_text(content)
    stack.ensure()
    now = all_of(stack)
    assert len(now) == 3
    assert not set(now) & set(before)


def test_servers_whose_folder_was_removed_are_still_stopped(
    make_stack: MakeStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stack_module, "SERVER_GRACE_SECONDS", 0.5)  # Temporal does not end without its database
    stack = make_stack()
    stack.ensure()
    while stack.home.exists():
        # The servers write into it all the while.
        shutil.rmtree(stack.home, ignore_errors=True)
    assert len(stack.down()) == 3
    assert all_of(stack) == []


def test_a_stale_pid_that_a_stranger_has_is_left_alone(make_stack: MakeStack) -> None:
    stack = make_stack()
    stack.ensure()
    stack.down()
    with subprocess.Popen(["sleep", "60"]) as stranger:
        state = json.loads((stack.home / "stack.json").read_text())
        for name in state:
            state[name] |= {"pid": stranger.pid, "born": "an-earlier-boot:77"}
        (stack.home / "stack.json").write_text(json.dumps(state))
        stack.ensure()
        assert stranger.pid not in pids(stack).values()
        stack.down()
        assert stranger.poll() is None
        stranger.kill()


def test_taken_ports_are_left_to_their_owners(make_stack: MakeStack, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        monkeypatch.setattr(stack_module, "DEFRADB_PORTS", {"port": port})
        monkeypatch.setattr(stack_module, "TEMPORAL_PORTS", {"port": port, "ui_port": port, "http_port": port})
        endpoints = make_stack().ensure()
    assert str(port) not in f"{endpoints.temporal_address} {endpoints.temporal_ui_url} {endpoints.defradb_url}"


@pytest.mark.parametrize("name", ["temporal", "defradb"])
def test_a_port_taken_between_look_and_start(make_stack: MakeStack, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """A stranger that even answers on the port is not taken for ours."""
    other = make_stack("other")
    strangers = other.ensure()
    address = strangers.temporal_address if name == "temporal" else strangers.defradb_url
    taken = int(address.rpartition(":")[2])
    usual = dict.fromkeys(("port", "ui_port", "http_port"), taken) if name == "temporal" else {"port": taken}
    monkeypatch.setattr(stack_module, f"{name.upper()}_PORTS", usual)
    look = servers.free_port
    # The look finds the port free although it is not, as if it had been taken just after.
    monkeypatch.setattr(servers, "free_port", lambda *wanted: taken if taken in wanted else look(*wanted))
    stack = make_stack("one")
    endpoints = stack.ensure()
    assert address not in (endpoints.temporal_address, endpoints.defradb_url)
    assert set(states(stack).values()) == set(states(other).values()) == {"running"}
    # The worker was started with the first port and had to be started again.
    assert f"serving {endpoints.temporal_address} {endpoints.defradb_url}" in (stack.logs / "worker.log").read_text()


def test_a_server_that_hangs_is_started_anew(make_stack: MakeStack, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(servers, "PROBE_SECONDS", 0.2)
    monkeypatch.setattr(stack_module, "SERVER_GRACE_SECONDS", 0.5)
    stack = make_stack()
    stack.ensure()
    hung = pids(stack)["defradb"]
    assert hung is not None
    os.kill(hung, signal.SIGSTOP)
    assert states(stack)["defradb"] == "silent"
    stack.ensure()
    assert pids(stack)["defradb"] != hung
    assert states(stack)["defradb"] == "running"


def test_external_servers_are_used_and_never_stopped(
    make_stack: MakeStack, monkeypatch: pytest.MonkeyPatch, defradb_url: str, temporal_dev: str
) -> None:
    monkeypatch.setenv("SHELF_DEFRADB_URL", defradb_url)
    monkeypatch.setenv("TEMPORAL_ADDRESS", temporal_dev)
    stack = make_stack()
    endpoints = stack.ensure()
    assert (endpoints.temporal_address, endpoints.defradb_url) == (temporal_dev, defradb_url)
    assert states(stack) == {"temporal": "external", "defradb": "external", "worker": "running"}
    assert stack.down() == ["worker"]
    assert servers.defradb_answers(defradb_url)
    assert servers.temporal_accepts(temporal_dev)


@pytest.mark.parametrize("variable", ["SHELF_DEFRADB_URL", "TEMPORAL_ADDRESS"])
def test_an_external_server_that_is_down_is_named(
    make_stack: MakeStack, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    port = servers.free_port()
    monkeypatch.setenv(variable, f"127.0.0.1:{port}" if variable.startswith("T") else f"http://127.0.0.1:{port}")
    stack = make_stack()
    with pytest.raises(ServerUnavailable, match=str(port)):
        stack.ensure()
    assert all_of(stack) == []
    assert not stack.home.exists()


def test_a_worker_that_dies_shows_its_last_words(make_stack: MakeStack, fake_worker: Path) -> None:
    fake_worker.write_text("raise SystemExit('no such queue')")
    with pytest.raises(ServerUnavailable, match="no such queue") as caught:
        make_stack().ensure()
    assert caught.value.exit_code == 69


def test_a_server_that_cannot_start_shows_its_last_words(make_stack: MakeStack) -> None:
    stack = make_stack()
    stack.home.mkdir(parents=True)
    (stack.home / "temporal.db").write_text("this is no database")
    with pytest.raises(ServerUnavailable, match="temporal ended while starting"):
        stack.ensure()


def test_a_command_killed_while_it_starts_the_servers(make_stack: MakeStack, fake_worker: Path) -> None:
    """kill -9 at any moment of the start; the next start makes one whole stack."""
    stack = make_stack()
    start = (
        "import sys; from pathlib import Path; from cli.stack import stack; from providers.settings import load_settings;"
        f"stack.WORKER_SCRIPT = Path({str(fake_worker)!r}); stack.Stack(load_settings(home={str(stack.home)!r})).ensure()"
    )
    for delay in (0.35, 0.7, 1.2):
        with subprocess.Popen([sys.executable, "-c", start], cwd=Path(__file__).parents[2]) as child:
            time.sleep(delay)
            child.kill()
    stack.ensure()
    assert set(states(stack).values()) == {"running"}
    assert sorted(all_of(stack)) == sorted(filter(None, pids(stack).values()))


def test_a_key_that_is_set_later_reaches_the_worker(make_stack: MakeStack, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("MISTRAL_API_KEY", "MINE_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("ANTHROPIC_API_KEY", "secret-of-anthropic")
    stack = make_stack(providers={"mine": {"kind": "openai-compatible", "key_env": "MINE_KEY"}})
    assert stack.new_keys() == []  # nothing runs
    stack.ensure()
    before = pids(stack)
    assert stack.new_keys() == []
    assert not stack.renew_worker()

    monkeypatch.setenv("MISTRAL_API_KEY", "secret-of-mistral")
    monkeypatch.setenv("MINE_KEY", "secret-of-mine")
    assert stack.new_keys() == ["MINE_KEY", "MISTRAL_API_KEY"]
    assert stack.renew_worker()
    after = pids(stack)
    assert stack.new_keys() == []
    assert after["worker"] != before["worker"]
    assert (after["temporal"], after["defradb"]) == (before["temporal"], before["defradb"])
    environment = Path(f"/proc/{after['worker']}/environ").read_bytes()
    assert b"MISTRAL_API_KEY=secret-of-mistral" in environment
    # By their names alone.
    assert "secret-of" not in (stack.home / "stack.json").read_text()
    assert stack.renew_worker(anyway=True)
    assert pids(stack)["worker"] != after["worker"]


def test_on_a_full_disk_servers_stop_and_nothing_half_written_stays(
    make_stack: MakeStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    stack = make_stack()
    stack.ensure()
    full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def refuse(self: Path, target: Path) -> None:
        raise full

    monkeypatch.setattr(Path, "replace", refuse)
    with pytest.raises(DiskFull, match="No space left on device"):
        stack._write({})
    assert stack.down() == ["temporal", "defradb", "worker"]
    assert not all_of(stack)
    assert [path.name for path in stack.home.glob("stack.json*")] == ["stack.json"]
