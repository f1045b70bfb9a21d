from __future__ import annotations

import os
import re
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from cli.stack import servers
from providers.queues import QUEUES, STORE_QUEUE, WORKFLOW_QUEUE
from providers.s3_artifacts import parse_url
from providers.settings import Settings

ROOT = Path(__file__).parents[2]
Services = dict[str, dict[str, Any]]

PINNED = re.compile(r"[\w./-]+:v?\d+\.\d+[\w.-]*")
STANDARD = {
    "OTEL_EXPORTER_OTLP_ENDPOINT",
    "OTEL_EXPORTER_OTLP_HEADERS",
    "OTEL_EXPORTER_OTLP_PROTOCOL",
    "OTEL_SERVICE_NAME",
    "OTEL_RESOURCE_ATTRIBUTES",
}
"""Variables of OpenTelemetry's own."""
WORKERS_OWN = {"SHELF_LOG_LEVEL", "SHELF_LOG_FORMAT"}
REMOTE = {row.name: row for row in QUEUES if row.remote}
MORE_KEYS = {"textract": {"AWS_SECRET_ACCESS_KEY"}}
"""Beside that of the row."""
ROOT_BY_ITS_MAKERS = {"lgtm"}
"""The image writes as root all over its folders; for looking at, on this machine."""
UNSERVED = {"scripted"}
"""Engines for tests; the dev worker serves them."""


def ends(service: dict[str, Any]) -> bool:
    """Whether it is done once it has done its work, and the others wait for that."""
    return str(service.get("restart", "no")).startswith(("no", "on-failure"))


def in_profile(services: Services, profile: str) -> Services:
    return {name: service for name, service in services.items() if profile in service["profiles"]}


def networks_of(service: dict[str, Any]) -> set[str]:
    return set(service.get("networks", ["default"]))


def command(service: dict[str, Any]) -> list[str]:
    found: list[str] = service["command"]
    return found


def keys_of(services: Services) -> set[str]:
    """Variables that the programs of these get from files by `deploy/with_keys.sh`."""
    names = {name for each in services.values() if "build" in each for name in each.get("environment", {})}
    return {name.removesuffix("_FILE") for name in names if name.endswith("_FILE")}


def option(arguments: list[str], name: str) -> str:
    return arguments[arguments.index(name) + 1]


def queues_of(services: Services) -> list[str]:
    """Task queues that the workers among these serve, with repetitions."""
    commands = [command(service) for service in services.values() if "worker.py" in service.get("command", [])]
    given = [option(each, "--queues").split(",") for each in commands]
    known = [WORKFLOW_QUEUE, STORE_QUEUE, *(row.queue for row in QUEUES)]
    return [
        queue for names in given for queue in known for name in names if name in (queue, queue.removeprefix("shelf-"))
    ]


def test_every_service_belongs_to_one_profile(services: Services) -> None:
    assert {tuple(service["profiles"]) for service in services.values()} == {
        ("dev",),
        ("production",),
        ("observability",),
        ("cli",),
        *((name,) for name in REMOTE),
    }


def test_images_have_a_version(services: Services) -> None:
    for name, service in services.items():
        assert PINNED.fullmatch(service["image"]), f"{name}: {service['image']}"
    ours = {service["image"] for service in services.values() if "build" in service}
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert ours == {f"shelf:{version}"}


def test_ports_are_this_machines_alone_and_free_of_each_other(services: Services) -> None:
    for profile in ("dev", "production"):
        together = in_profile(services, profile) | in_profile(services, "observability")
        ports = [port for service in together.values() for port in service.get("ports", [])]
        assert ports
        assert all(re.fullmatch(r"127\.0\.0\.1:\d+:\d+", port) for port in ports), ports
        taken = [port.split(":")[1] for port in ports]
        assert len(taken) == len(set(taken))


def test_every_server_has_a_health_check_and_every_job_an_end(services: Services) -> None:
    for name, service in services.items():
        check = service.get("healthcheck", {})
        if ends(service):
            assert check.get("disable", "build" not in service), f"{name} would be checked as if it were a worker"
        else:
            assert check["test"][0] == "CMD", name
            assert {"interval", "timeout", "retries", "start_period"} <= set(check), name


def test_what_is_waited_for_exists_in_the_profile_and_can_happen(services: Services) -> None:
    for name, service in services.items():
        for other, wanted in service.get("depends_on", {}).items():
            awaited = services[other]
            [profile] = service["profiles"]
            assert awaited["profiles"] == ["production" if profile in REMOTE else profile], f"{name} waits for {other}"
            condition = "service_completed_successfully" if ends(awaited) else "service_healthy"
            assert wanted == {"condition": condition}, f"{name} waits for {other}"


def test_nobody_runs_as_root(services: Services) -> None:
    for name, service in services.items():
        if name in ROOT_BY_ITS_MAKERS:
            assert service["profiles"] == ["observability"]
            continue
        user = str(service.get("user", "root")).split(":")[0]
        assert user not in ("root", "0"), name


def test_secrets_come_from_files_and_from_nowhere_else(compose: dict[str, Any], services: Services) -> None:
    declared = compose["secrets"]
    used = {secret for service in services.values() for secret in service.get("secrets", [])}
    assert used == set(declared)
    made = (ROOT / "deploy/make-secrets.sh").read_text()
    for name, secret in declared.items():
        assert secret == {"file": f"./deploy/secrets/{name}"}
        assert (f"secret {name} " in made) != (name.upper() in keys_of(services)), f"{name}: made, or the user's"
    for name, service in services.items():
        for key, value in service.get("environment", {}).items():
            if re.search("PASSWORD|PWD|SECRET|TOKEN|KEY", key):
                assert key.endswith("_FILE"), f"{name}: {key}"
                assert value.startswith("/run/secrets/"), f"{name}: {key}"
        said = f"{service.get('command')} {service.get('environment')}"
        assert set(re.findall(r"/run/secrets/(\w+)", said)) <= set(service.get("secrets", [])), name


def test_secrets_are_made_once_and_kept_from_others(tmp_path: Path) -> None:
    script = tmp_path / "make-secrets.sh"
    script.write_text((ROOT / "deploy/make-secrets.sh").read_text())

    def made() -> dict[str, str]:
        subprocess.run(["sh", str(script)], check=True, capture_output=True)
        return {path.name: path.read_text() for path in (tmp_path / "secrets").iterdir()}

    first = made()
    assert made() == first
    assert set(first) == {"postgres_password", "defradb_keyring", "artifact_store"}
    assert re.fullmatch(r"[0-9a-f]{64}\n", first["postgres_password"])
    assert re.fullmatch(r"DEFRA_KEYRING_SECRET=[0-9a-f]{64}\n", first["defradb_keyring"])
    assert (tmp_path / "secrets").stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "secrets/postgres_password").stat().st_mode & 0o777 == 0o444
    assert (ROOT / "deploy/secrets/.gitignore").read_text().splitlines()[-2:] == ["*", "!.gitignore"]


def test_volumes_and_networks_are_declared_and_used(compose: dict[str, Any], services: Services) -> None:
    named: set[str] = set()
    for name, service in services.items():
        for volume in service.get("volumes", []):
            source, target = volume.split(":")[:2]
            assert target.startswith("/")
            if source.startswith("."):
                assert volume.endswith(":ro"), f"{name} could write to {source}"
                assert (ROOT / source).exists(), f"{name}: {source}"
            else:
                named.add(source)
    assert named == set(compose["volumes"])
    used = {network for service in services.values() for network in networks_of(service)}
    assert used == set(compose["networks"])


def test_databases_are_out_of_reach(compose: dict[str, Any], services: Services) -> None:
    """DefraDB and PostgreSQL lie in networks without a way out, where only those are that need them."""
    inside = {"book-database": {"defradb", "defradb-types", "defradb-proxy"}}
    inside["temporal-database"] = {"postgres", "temporal-schema", "temporal"}
    for network, members in inside.items():
        assert compose["networks"][network] == {"internal": True}
        assert {name for name, service in services.items() if network in networks_of(service)} == members
    for name in ("defradb", "postgres"):
        assert "ports" not in services[name]
        assert "default" not in networks_of(services[name])


@pytest.mark.parametrize(("profile", "temporal", "store"), [
    ("dev", "temporal-dev", "defradb-dev"),
    ("production", "temporal", "defradb-proxy"),
])  # fmt: skip
def test_names_of_servers_lead_to_them(services: Services, profile: str, temporal: str, store: str) -> None:
    """Workers and command line know `temporal` and `store`, whichever profile runs."""
    aliases: dict[str, str] = {}
    for name, service in in_profile(services, profile).items():
        networks = service.get("networks", {})
        given = networks["default"].get("aliases", []) if isinstance(networks, dict) and "default" in networks else []
        aliases |= dict.fromkeys((name, *given), name)
    assert (aliases["temporal"], aliases["store"]) == (temporal, store)
    environment = services["cli"]["environment"]
    assert environment["TEMPORAL_ADDRESS"] == "temporal:7233"
    assert environment["SHELF_DEFRADB_URL"] == "http://store:9181"


def test_variables_are_settings_that_exist(services: Services) -> None:
    settings = {f"SHELF_{name.upper()}" for name in Settings.model_fields} | WORKERS_OWN
    known = settings | STANDARD | {"TEMPORAL_ADDRESS", "TEMPORAL_NAMESPACE"}
    for name, service in services.items():
        if "build" in service:
            files = {f"{key}_FILE" for key in keys_of({name: service})}
            assert set(service.get("environment", {})) - files <= known, name
    for name in re.findall(r"^#?(\w+)=", (ROOT / "deploy/.env.example").read_text(), re.MULTILINE):
        of_the_file = name in ("COMPOSE_PROFILES", "SHELF_SCANS", "SHELF_UID", "SHELF_GID")
        assert of_the_file or name in services["worker-jobs"]["environment"], name
        assert (
            not of_the_file or name == "COMPOSE_PROFILES" or f"${{{name}:-" in (ROOT / "docker-compose.yml").read_text()
        )


def test_settings_of_the_command_line_and_of_workers_agree(services: Services) -> None:
    """`cli` goes with `dev`; `cli-production` with the others, which look for artifacts elsewhere."""
    for name, service in services.items():
        if not name.startswith("worker-"):
            continue
        cli = services["cli" if service["profiles"] == ["dev"] else "cli-production"]
        own = {key: value for key, value in service["environment"].items() if not key.endswith("_FILE")}
        given = {**cli["environment"]}
        assert given.pop("SHELF_USER")
        assert own == given
        assert service["volumes"] == cli["volumes"]
        assert set(cli.get("secrets", [])) <= set(service.get("secrets", []))


def test_artifacts_of_production_lie_in_its_object_store(services: Services) -> None:
    assert "SHELF_ARTIFACTS_URL" not in services["cli"]["environment"]
    given = services["cli-production"]["environment"]
    bucket, _ = parse_url(given["SHELF_ARTIFACTS_URL"])
    assert given["SHELF_ARTIFACTS_ENDPOINT"] == "http://object-store:7070"
    assert given["SHELF_ARTIFACTS_CREDENTIALS"] == "/run/secrets/artifact_store"
    server, made = services["object-store"], services["object-store-folder"]
    assert server["volumes"] == made["volumes"]
    folder = server["volumes"][0].partition(":")[2]
    assert command(made)[-1] == f"{folder}/{bucket}"
    assert command(server)[0].endswith(f" posix {folder}")
    assert folder in (ROOT / "Dockerfile").read_text().split(), "a new volume would belong to root"
    assert server["user"] == "1000:1000", "the user of the image that makes the folder"


def test_every_queue_has_one_kind_of_worker(services: Services) -> None:
    """What no worker serves would wait for ever; two kinds on one queue would not scale apart."""
    local = sorted(row.queue for row in QUEUES if not row.remote and row.name not in UNSERVED)
    served = sorted(queues_of(in_profile(services, "production")))
    assert served == sorted([WORKFLOW_QUEUE, STORE_QUEUE, *local]), "add a worker-… to docker-compose.yml"
    for name, row in REMOTE.items():
        assert list(in_profile(services, name)) == [f"worker-{name}"], "add it to docker-compose.yml"
        assert queues_of(in_profile(services, name)) == [row.queue]
    assert option(command(services["worker-dev"]), "--queues") == "all"


def test_keys_of_paid_providers_are_where_their_workers_are_and_nowhere_else(services: Services) -> None:
    for name, service in services.items():
        row = REMOTE.get(name.removeprefix("worker-"))
        wanted = {row.key_env, *MORE_KEYS.get(row.name, ())} if row is not None and row.key_env else set()
        assert keys_of({name: service}) == wanted, name
        files = {f"{key}_FILE": f"/run/secrets/{key.lower()}" for key in wanted}
        given = service.get("environment", {})
        assert {key: value for key, value in given.items() if key in files} == files, name
        if wanted:
            assert sorted(service["secrets"]) == sorted(["artifact_store", *(key.lower() for key in wanted)])
            assert service["entrypoint"] == ["sh", "deploy/with_keys.sh"]


def test_a_program_gets_its_keys_from_files(tmp_path: Path) -> None:
    (tmp_path / "one").write_text("k-1 with 'quotes' and $dollars\n")
    (tmp_path / "two").write_text("k-2")
    script = (ROOT / "deploy/with_keys.sh").read_text().replace("/run/secrets", str(tmp_path))
    given = {
        "PATH": os.environ["PATH"],
        "ONE_KEY_FILE": f"{tmp_path}/one",
        "TWO_FILE": f"{tmp_path}/two",
        "SSL_CERT_FILE": "/etc/ssl/cert.pem",
    }

    def run(*shown: str) -> subprocess.CompletedProcess[str]:
        command = ["sh", "-c", script, "with_keys.sh", "printenv", *shown]
        return subprocess.run(command, env=given, capture_output=True, text=True, check=False)

    assert run("ONE_KEY", "TWO").stdout == "k-1 with 'quotes' and $dollars\nk-2\n"
    assert run("SSL_CERT").returncode == 1, "only what is a secret is read"
    (tmp_path / "two").unlink()
    missing = run("ONE_KEY")
    assert missing.returncode != 0
    assert missing.stdout == ""
    assert f"{tmp_path}/two" in missing.stderr


def test_a_worker_is_asked_for_the_queues_it_serves(services: Services) -> None:
    for name, service in services.items():
        if name.startswith("worker-"):
            assert option(service["healthcheck"]["test"], "--queues") == option(command(service), "--queues"), name


def test_the_dev_servers_are_started_as_the_embedded_ones(services: Services) -> None:
    temporal = servers.temporal_command(Path("/home/temporal/temporal.db"), 7233, 8233, 7243)
    assert command(services["temporal-dev"]) == [{servers.HOST: "0.0.0.0"}.get(each, each) for each in temporal[1:]]
    defradb = servers.defradb_command(Path("defradb"), Path("/var/lib/defradb"), 9181)
    assert command(services["defradb-dev"]) == [each.replace(servers.HOST, "0.0.0.0") for each in defradb]


def test_production_has_what_the_dev_server_gets_on_its_command_line(services: Services) -> None:
    given = servers.temporal_command(None, 1, 2, 3)
    values = [given[at + 1].split("=") for at, each in enumerate(given) if each == "--dynamic-config-value"]
    config = yaml.safe_load((ROOT / "deploy/temporal/dynamicconfig.yaml").read_text())
    assert config == {name: [{"value": yaml.safe_load(value)}] for name, value in values}
    setup = (ROOT / "deploy/temporal/setup.sh").read_text()
    assert dict(re.findall(r"(Shelf\w+)=(\w+)", setup)) == servers.SEARCH_ATTRIBUTES
    assert f"retention_seconds={servers.RETENTION_SECONDS} " in setup
    mounted = dict(volume.split(":")[1::-1] for volume in services["temporal"]["volumes"])
    path = services["temporal"]["environment"]["DYNAMIC_CONFIG_FILE_PATH"]
    assert mounted[path] == "./deploy/temporal/dynamicconfig.yaml"


def test_temporals_tables_are_made_or_updated_in_order(services: Services, tmp_path: Path) -> None:
    """The six calls; temporal-sql-tool itself comes with its image only."""
    (tmp_path / "password").write_text("secret\n")
    tool = tmp_path / "temporal-sql-tool"
    tool.write_text(f'#!/bin/sh\necho "$SQL_PASSWORD" "$@" >>{tmp_path}/calls\n')
    tool.chmod(0o755)
    script = (
        (ROOT / "deploy/temporal/schema.sh")
        .read_text()
        .replace("/run/secrets/postgres_password", f"{tmp_path}/password")
    )
    environment = services["temporal-schema"]["environment"] | {"PATH": f"{tmp_path}:{os.environ['PATH']}"}
    subprocess.run(["sh", "-c", script], check=True, env=environment)
    calls = []
    for database, versions in (("temporal", "temporal"), ("temporal_visibility", "visibility")):
        server = f"secret --plugin postgres12 --ep postgres -p 5432 -u temporal --db {database}"
        folder = f"/etc/temporal/schema/postgresql/v12/{versions}/versioned"
        calls += [f"{server} create", f"{server} setup-schema -v 0.0", f"{server} update-schema -d {folder}"]
    assert (tmp_path / "calls").read_text().splitlines() == calls


def test_the_production_database_differs_by_its_keyring(services: Services) -> None:
    dev, production = command(services["defradb-dev"]), command(services["defradb"])
    assert set(dev) - set(production) == {"--no-keyring"}
    assert set(production) - set(dev) == {"--secret-file", "/run/secrets/defradb_keyring"}
    assert "--development" not in production


def test_scripts_are_posix_shell() -> None:
    scripts = sorted((ROOT / "deploy").rglob("*.sh"))
    assert len(scripts) == 4
    for script in scripts:
        subprocess.run(["sh", "-n", str(script)], check=True)
        assert script.read_text().startswith("#!/bin/sh\n")
        assert script.stat().st_mode & 0o111
