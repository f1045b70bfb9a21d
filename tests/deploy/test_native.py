"""The commands of the containers, run here with the very arguments; only addresses and folders are this machine's."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from cli.stack import servers
from providers.s3_artifacts import S3ArtifactStore
from tests.conftest import answers, free_port, running
from tests.deploy.proxy import stand_in

ROOT = Path(__file__).parents[2]
Services = dict[str, dict[str, Any]]
CONTAINERS_OWN = ("/var/lib", "/run/", "/home/", "0.0.0.0", "9181", "7233", "8233", "7243")


def here(arguments: list[str], places: dict[str, str]) -> list[str]:
    """The arguments with this machine's places in them; nothing that only a container has may be left."""
    there = re.compile("|".join(re.escape(each) for each in sorted(places, key=len, reverse=True)))
    for argument in arguments:
        left = there.sub("", argument)
        assert not any(sign in left for sign in CONTAINERS_OWN), argument
    return [there.sub(lambda found: places[found[0]], argument) for argument in arguments]


def healthy(command: list[str], environment: dict[str, str], within_seconds: float = 30) -> None:
    """Wait for a health check's success."""
    deadline = time.monotonic() + within_seconds
    while True:
        done = subprocess.run(command, check=False, capture_output=True, text=True, env=environment, cwd=ROOT)
        if done.returncode == 0:
            return
        assert time.monotonic() < deadline, done.stdout + done.stderr
        time.sleep(0.5)


def fails(command: list[str], environment: dict[str, str]) -> str:
    done = subprocess.run(command, check=False, capture_output=True, text=True, env=environment, cwd=ROOT)
    assert done.returncode != 0
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def environment(defradb_binary: Path) -> dict[str, str]:
    """As in a container: nothing of the user's settings, the programs on PATH."""
    theirs = ("SHELF_", "TEMPORAL_", "DEFRA_")
    programs = [str(Path(sys.executable).parent), str(defradb_binary.parent), os.environ["PATH"]]
    kept = {name: value for name, value in os.environ.items() if not name.startswith(theirs)}
    return kept | {"PATH": os.pathsep.join(programs), "PYTHONPATH": str(ROOT), "SHELF_LOOPBACK_ONLY": "1"}


@dataclass(frozen=True)
class Temporal:
    address: str
    http: str
    check: list[str]


@pytest.fixture(scope="module")
def temporal(
    compose: dict[str, Any], environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Temporal]:
    """The dev server as the service temporal-dev starts it, found healthy by the service's own check."""
    service = compose["services"]["temporal-dev"]
    folder = tmp_path_factory.mktemp("temporal")
    port, ui, http = (str(free_port()) for _ in range(3))
    places = {"0.0.0.0": "127.0.0.1", "7233": port, "8233": ui, "7243": http, "/home/temporal": str(folder)}
    program = str(servers.temporal_program())  # the image's entrypoint
    command = [program, *here(service["command"], places)]
    check = here(service["healthcheck"]["test"][1:], places)
    with running(command, folder / "log", lambda: answers(f"http://127.0.0.1:{http}/api/v1/namespaces/default")):
        healthy(check, environment)
        yield Temporal(f"127.0.0.1:{port}", f"http://127.0.0.1:{http}", check)


@dataclass(frozen=True)
class DefraDb:
    url: str
    check: list[str]


@pytest.fixture(scope="module")
def secrets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that deploy/make-secrets.sh makes."""
    folder = tmp_path_factory.mktemp("deploy")
    (folder / "make-secrets.sh").write_text((ROOT / "deploy/make-secrets.sh").read_text())
    subprocess.run(["sh", str(folder / "make-secrets.sh")], check=True, capture_output=True)
    return folder / "secrets"


@pytest.fixture(scope="module")
def start_defradb(
    compose: dict[str, Any], environment: dict[str, str], secrets: Path, defradb_binary: Path
) -> Callable[[str, Path], Any]:
    def start(name: str, folder: Path) -> Any:
        service = compose["services"][name]
        url = f"127.0.0.1:{free_port()}"
        places = {"0.0.0.0:9181": url, "127.0.0.1:9181": url, "/var/lib": str(folder), "/run/secrets": str(secrets)}
        command = here(service["command"], places)
        assert command[0] == "defradb"
        check = here(service["healthcheck"]["test"][1:], places)
        command[0] = check[0] = str(defradb_binary)
        server = running(command, folder / "log", lambda: answers(f"http://{url}/health-check"))
        return server, DefraDb(f"http://{url}", check)

    return start


@pytest.fixture(scope="module")
def defradb(
    start_defradb: Callable[[str, Path], Any],
    environment: dict[str, str],
    compose: dict[str, Any],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[DefraDb]:
    """Production's database, with its types, as its service and the job beside it make it."""
    server, found = start_defradb("defradb", tmp_path_factory.mktemp("defradb"))
    with server:
        healthy(found.check, environment)
        job = compose["services"]["defradb-types"]["command"]
        for _ in range(2):
            subprocess.run(
                [sys.executable, *job[1:]], check=True, cwd=ROOT, env=environment | {"SHELF_DEFRADB_URL": found.url}
            )
        yield found


def graphql(url: str, query: str) -> Any:
    request = urllib.request.Request(
        f"{url}/api/v0/graphql", json.dumps({"query": query}).encode(), {"content-type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=20) as response:
        return json.loads(response.read())


def test_temporals_setup_makes_any_namespace_ready_and_may_be_repeated(
    temporal: Temporal, environment: dict[str, str]
) -> None:
    for namespace in ("default", "books", "default", "books"):
        subprocess.run(
            ["sh", str(ROOT / "deploy/temporal/setup.sh")],
            check=True,
            capture_output=True,
            env=environment | {"TEMPORAL_ADDRESS": temporal.address, "TEMPORAL_NAMESPACE": namespace},
            timeout=60,
        )
        path = f"/api/v1/namespaces/{namespace}"
        described = servers.request(temporal.http.removeprefix("http://"), "GET", path)
        assert described["config"]["workflowExecutionRetentionTtl"] == f"{servers.RETENTION_SECONDS}s"
        aliases = described["config"]["customSearchAttributeAliases"].values()
        assert set(servers.SEARCH_ATTRIBUTES) <= set(aliases)


def test_a_longer_retention_is_left_as_it_is(temporal: Temporal, environment: dict[str, str]) -> None:
    ours = environment | {"TEMPORAL_ADDRESS": temporal.address, "TEMPORAL_NAMESPACE": "archive"}
    create = ["temporal", "operator", "namespace", "create", "--namespace", "archive", "--retention", "90d"]
    subprocess.run(create, check=True, capture_output=True, env=ours)
    subprocess.run(
        ["sh", str(ROOT / "deploy/temporal/setup.sh")], check=True, capture_output=True, env=ours, timeout=60
    )
    described = servers.request(temporal.http.removeprefix("http://"), "GET", "/api/v1/namespaces/archive")
    assert described["config"]["workflowExecutionRetentionTtl"] == f"{90 * 24 * 3600}s"


def test_the_address_of_productions_health_check_answers(temporal: Temporal, compose: dict[str, Any]) -> None:
    *_, url = compose["services"]["temporal"]["healthcheck"]["test"]
    assert answers(url.replace("http://127.0.0.1:7243", temporal.http))


def test_health_checks_fail_where_nothing_listens(
    temporal: Temporal, defradb: DefraDb, environment: dict[str, str]
) -> None:
    nobody = f"127.0.0.1:{free_port()}"
    assert fails([each.replace(temporal.address, nobody) for each in temporal.check], environment)
    assert fails([each.replace(defradb.url.removeprefix("http://"), nobody) for each in defradb.check], environment)


def test_productions_commits_are_signed(defradb: DefraDb) -> None:
    commits = graphql(defradb.url, "query{commits(limit:1){cid signature{type identity}}}")["data"]["commits"]
    assert commits
    assert commits[0]["signature"]["identity"]


def test_production_does_not_start_without_its_secret(
    start_defradb: Callable[[str, Path], Any], secrets: Path, tmp_path: Path
) -> None:
    kept = secrets / "defradb_keyring"
    kept.rename(kept.with_suffix(".away"))
    try:
        server, _ = start_defradb("defradb", tmp_path)
        with pytest.raises(AssertionError, match="missing keyring secret"), server:
            pass
    finally:
        kept.with_suffix(".away").rename(kept)


def test_the_dev_database_starts(
    start_defradb: Callable[[str, Path], Any], environment: dict[str, str], tmp_path: Path
) -> None:
    server, found = start_defradb("defradb-dev", tmp_path)
    with server:
        healthy(found.check, environment)


@pytest.mark.skipif(shutil.which("versitygw") is None, reason="versitygw is not on PATH")
def test_the_object_store_takes_what_shelf_needs(
    services: Services, environment: dict[str, str], secrets: Path, tmp_path: Path
) -> None:
    """Made and started as by its services, with the secret that the script made."""
    port = str(free_port())
    places = {":7070": f":{port}", "/var/lib": str(tmp_path), "/run/secrets": str(secrets)}
    places["127.0.0.1:7070"] = f"127.0.0.1:{port}"
    subprocess.run(here(services["object-store-folder"]["command"], places), check=True)
    service = services["object-store"]
    command = [*service["entrypoint"], *here(service["command"], places)]
    url = here(service["healthcheck"]["test"], places)[-1]
    with running(command, tmp_path / "log", lambda: answers(url)):
        given = {key: str(value) for key, value in services["cli-production"]["environment"].items() if value}
        store = S3ArtifactStore(
            given["SHELF_ARTIFACTS_URL"],
            tmp_path / "copies",
            endpoint=f"http://127.0.0.1:{port}",
            credentials=Path(here([given["SHELF_ARTIFACTS_CREDENTIALS"]], places)[0]),
        )
        store.check()
        store.publish("ab" * 32, b"x")
        assert [path for path in tmp_path.rglob("*") if path.name == "ab" * 31]


@pytest.mark.slow
def test_workers_behind_the_proxy_become_healthy(
    services: Services,
    temporal: Temporal,
    defradb: DefraDb,
    environment: dict[str, str],
    secrets: Path,
    tmp_path: Path,
) -> None:
    """Each by its own queues: on one machine all have the same host name."""
    with stand_in(defradb.url) as store, contextlib.ExitStack() as running_workers:
        waiting = []
        for name in ("worker-jobs", "worker-tesseract", "worker-mistral"):
            service = services[name]
            given = {key: value for key, value in service["environment"].items() if value is not None}
            given |= {"TEMPORAL_ADDRESS": temporal.address, "SHELF_DEFRADB_URL": store, "SHELF_HOME": str(tmp_path)}
            # Asked for nothing before there is work.
            given["SHELF_ARTIFACTS_ENDPOINT"] = f"http://127.0.0.1:{free_port()}"
            given["SHELF_ARTIFACTS_CREDENTIALS"] = str(secrets / "artifact_store")
            ours = environment | given | {"OMP_THREAD_LIMIT": "1", "PYTHONUNBUFFERED": "1"}
            check = [sys.executable, *service["healthcheck"]["test"][2:]]
            assert "No process of" in fails(check, ours)
            command = [sys.executable, str(ROOT / service["command"][1]), *service["command"][2:]]
            if entrypoint := service.get("entrypoint"):
                (tmp_path / "mistral_api_key").write_text("of-nobody\n")
                script = (ROOT / entrypoint[1]).read_text().replace("/run/secrets", str(tmp_path))
                ours |= {key: value.replace("/run/secrets", str(tmp_path)) for key, value in given.items()}
                command = [entrypoint[0], "-c", script, entrypoint[1], *command]
            running_workers.enter_context(ended_well(command, ours, tmp_path / f"{name}.log"))
            waiting.append((check, ours))
        for check, ours in waiting:
            healthy(check, ours, within_seconds=90)


@contextlib.contextmanager
def ended_well(command: list[str], environment: dict[str, str], log: Path) -> Iterator[None]:
    """A process that, after the block, ends by itself when it is asked to."""
    with log.open("wb") as output:
        process = subprocess.Popen(command, env=environment, cwd=log.parent, stdout=output, stderr=output)
    try:
        yield
        process.terminate()
        assert process.wait(timeout=60) == 0, log.read_text()
    finally:
        process.kill()
        process.wait()


def test_a_workers_check_says_that_temporal_is_away(environment: dict[str, str]) -> None:
    ours = environment | {"TEMPORAL_ADDRESS": f"127.0.0.1:{free_port()}"}
    assert "Temporal does not answer" in fails([sys.executable, str(ROOT / "deploy/worker_health.py")], ours)
