"""How the two servers are called, and how each is asked whether it does its work. Standard library only: it runs on
every command, before anything heavy is imported.
"""

from __future__ import annotations

import http.client
import json
import shutil
import socket
import sys
from pathlib import Path
from typing import Any

from schemas.errors import ServerUnavailable

HOST = "127.0.0.1"
"""Neither server asks who calls, so neither listens beyond the machine."""

SEARCH_ATTRIBUTES = {
    "ShelfBook": "Keyword",
    "ShelfJob": "Keyword",
    "ShelfState": "Keyword",
    "ShelfPagesDone": "Int",
    "ShelfPagesFailed": "Int",
    "ShelfCostUsd": "Double",
}

RETENTION_SECONDS = 30 * 24 * 3600
"""The dev server's own is one day: too short to look back at last week's shelf of books."""

PROBE_SECONDS = 2.0
"""A loopback answer takes milliseconds; on a machine where every core reads pages, tenths of a second."""


def temporal_program() -> Path:
    """The Temporal CLI, whose dev server this is: of the environment's wheel, else from PATH.

    Raises:
        ServerUnavailable: there is none.
    """
    beside_python = Path(sys.executable).parent / "temporal"
    if beside_python.exists():
        return beside_python
    if on_path := shutil.which("temporal"):
        return Path(on_path)
    raise ServerUnavailable(
        f"The program `temporal` is neither beside {sys.executable} nor on PATH.",
        "Start Shelf through ./shelf, which installs it, or set TEMPORAL_ADDRESS to a server that runs.",
    )


def temporal_command(database: Path | None, port: int, ui_port: int, http_port: int) -> list[str]:
    """Call of the dev server; in memory without `database`.

    One partition a queue: with the default four, a limit of requests per second is neither exact nor even. Fairness is off by
    default: a book with a thousand pages waiting would let all others wait (priority is on).
    """
    store = ["--db-filename", str(database)] if database else []
    return [
        str(temporal_program()),
        "server",
        "start-dev",
        *store,
        *("--ip", HOST, "--port", str(port), "--ui-port", str(ui_port), "--http-port", str(http_port)),
        *("--log-level", "error"),
        *("--dynamic-config-value", "matching.numTaskqueueReadPartitions=1"),
        *("--dynamic-config-value", "matching.numTaskqueueWritePartitions=1"),
        *("--dynamic-config-value", "matching.enableFairness=true"),
        *(part for name, kind in SEARCH_ATTRIBUTES.items() for part in ("--search-attribute", f"{name}={kind}")),
    ]


def defradb_command(program: Path, root: Path, port: int, store: str = "badger") -> list[str]:
    """Call of DefraDB: one machine's, so no peers, and no keyring whose loss would lose the books.

    `node` logs at info because its line about the address is what says that it is this process that listens there;
    the rest at error, as `http` would log each request.
    """
    return [
        *(str(program), "start", "--rootdir", str(root), "--url", f"{HOST}:{port}", "--store", store),
        *("--no-p2p", "--no-keyring", "--no-telemetry", "--no-log-color"),
        *("--log-level", "error", "--log-overrides", "node,level=info"),
    ]


def free_port(*wanted: int | None) -> int:
    """The first of the wanted ports that nobody listens on, else any free one."""
    for port in (*(port for port in wanted if port), 0):
        with socket.socket() as probe:
            # As the servers do: without it, connections of a server that just ended would block its port for a minute.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((HOST, port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise ServerUnavailable("The machine has no free port on the loopback address.", "Close something and try again.")


def request(authority: str, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
    """One JSON request over HTTP; None unless it was answered with 200."""
    connection = http.client.HTTPConnection(authority, timeout=PROBE_SECONDS)
    try:
        data = None if body is None else json.dumps(body)
        connection.request(method, path, data, {"Content-Type": "application/json"})
        response = connection.getresponse()
        content = response.read()
        return json.loads(content) if response.status == 200 else None
    except (OSError, http.client.HTTPException, ValueError):
        return None
    finally:
        connection.close()


def defradb_answers(url: str) -> bool:
    """Whether DefraDB reads from its store; its health check would say yes without looking."""
    scheme, _, authority = url.rstrip("/").rpartition("://")
    if scheme == "https":
        return _accepts(authority, 443)
    return isinstance(request(authority, "GET", "/api/v0/collections?name=Book"), list | dict)


def temporal_answers(authority: str) -> bool:
    """Whether the namespace is served, asked over the HTTP interface: a gRPC client takes 0.4 s to import."""
    return request(authority, "GET", "/api/v1/namespaces/default") is not None


def temporal_accepts(address: str) -> bool:
    """Whether something listens at an external server's address; its HTTP interface need not be open."""
    return _accepts(address, 7233)


def _accepts(authority: str, default_port: int) -> bool:
    host, _, port = authority.rpartition(":") if ":" in authority else (authority, "", str(default_port))
    try:
        with socket.create_connection((host.strip("[]"), int(port)), timeout=PROBE_SECONDS):
            return True
    except (OSError, ValueError):
        return False


def keep_history_for_a_month(http_authority: str) -> None:
    """Set the namespace's retention to 30 days where it is shorter."""
    path = "/api/v1/namespaces/default"
    described = request(http_authority, "GET", path) or {}
    retention = described.get("config", {}).get("workflowExecutionRetentionTtl", "0s")
    if float(retention.rstrip("s")) < RETENTION_SECONDS:
        config = {"workflowExecutionRetentionTtl": f"{RETENTION_SECONDS}s"}
        request(http_authority, "POST", f"{path}/update", {"config": config})
