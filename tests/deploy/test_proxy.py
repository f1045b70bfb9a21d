from __future__ import annotations

import json
import os
import re
import shutil
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from cli.stack.servers import defradb_answers
from schemas.defradb import DefraStore
from schemas.errors import StoreRefused
from tests.conftest import answers, free_port, running
from tests.deploy.proxy import CONFIG, passes, stand_in

REFUSED = (
    ("POST", "/api/v0/schema"),
    ("PATCH", "/api/v0/schema"),
    ("GET", "/api/v0/schema"),
    ("GET", "/api/v0/graphql?query=%7B__typename%7D"),
    ("GET", "/api/v0/collections/Book"),
    ("POST", "/api/v0/collections/Book"),
    ("DELETE", "/api/v0/collections/Book"),
    ("PATCH", "/api/v0/collections"),
    ("POST", "/api/v0/collections/Book/indexes"),
    ("POST", "/api/v0/backup/export"),
    ("POST", "/api/v0/backup/import"),
    ("POST", "/api/v0/graphql/../backup/export"),
    ("POST", "/api/v0/tx"),
    ("POST", "/api/v0/purge"),
    ("GET", "/api/v0/debug/dump"),
    ("POST", "/api/v0/view"),
    ("POST", "/api/v0/lens"),
    ("GET", "/api/v0/p2p/info"),
    ("POST", "/api/v0/acp/node/disable"),
    ("GET", "/openapi.json"),
    ("GET", "/"),
)


@pytest.fixture(params=["the list", "nginx"])
def proxy(request: pytest.FixtureRequest, defradb_url: str, tmp_path: Path) -> Iterator[str]:
    """Address of a proxy before the session's DefraDB."""
    if request.param == "the list":
        with stand_in(defradb_url) as url:
            yield url
        return
    nginx = shutil.which("nginx")
    if nginx is None:
        pytest.skip("nginx is not on PATH: its list was tested without it, its configuration is not")
    port = free_port()
    config = CONFIG.read_text().replace("/tmp/", f"{tmp_path}/").replace("listen 9181", f"listen 127.0.0.1:{port}")
    config = config.replace("http://defradb:9181", defradb_url)
    if os.geteuid() == 0:  # its processes could not reach this folder as another user
        config = "user root;\n" + config
    (tmp_path / "nginx.conf").write_text(config)
    command = [nginx, "-c", str(tmp_path / "nginx.conf"), "-e", "stderr", "-g", "daemon off;"]
    url = f"http://127.0.0.1:{port}"
    with running(command, tmp_path / "nginx.log", lambda: answers(f"{url}/health-check")):
        yield url


def ask(url: str, method: str, path: str, body: bytes = b"", **headers: str) -> tuple[int, bytes]:
    request = urllib.request.Request(url + path, body or None, headers, method=method)
    try:
        with urllib.request.urlopen(request, timeout=20) as response:
            return response.status, response.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


def test_the_list_is_graphql_health_and_what_types_there_are() -> None:
    assert passes() == {
        "default": "0",
        "POST /api/v0/graphql": "1",
        "GET /health-check": "1",
        "GET /api/v0/collections": "1",
    }


def test_what_is_sent_on_is_what_was_compared_with_the_list() -> None:
    config = CONFIG.read_text()
    assert re.findall(r"location (\S+)", config) == ["/"]
    assert re.findall(r"proxy_pass (\S+);", config) == ["$defradb$uri$is_args$args"]
    assert config.index("if ($passes = 0)") < config.index("return 403") < config.index("proxy_pass ")
    assert config.count("{") == config.count("}")
    refusal = re.search(r"return 403 '(.*)';", config)
    assert refusal is not None
    assert "defradb-types" in json.loads(refusal[1])["error"]


@pytest.mark.parametrize(("method", "path"), REFUSED)
def test_what_is_not_on_the_list_is_refused_as_data(method: str, path: str) -> None:
    assert f"{method} {path.partition('?')[0]}" not in passes()


async def test_a_store_whose_types_are_there_works_through_it(proxy: str, defradb_url: str) -> None:
    beside = DefraStore(defradb_url)
    await beside.bootstrap()
    await beside.close()
    store = DefraStore(proxy)
    await store.bootstrap()
    await store.ready()
    await store.close()
    assert defradb_answers(proxy), "the command line would call the database unreachable"


async def test_missing_types_are_refused_with_what_to_do(proxy: str, defradb_url: str) -> None:
    """As after an upgrade whose job was not run. The database of the session has all types, so one is asked for anew."""
    from pydantic import create_model

    from schemas.documents import TYPES, Document

    beside = DefraStore(defradb_url)
    await beside.bootstrap()
    await beside.close()
    later = create_model("LaterType", __base__=Document)
    store = DefraStore(proxy, types=(*TYPES, later))
    with pytest.raises(StoreRefused):
        await store.bootstrap()
    await store.close()


def test_the_rest_is_refused(proxy: str) -> None:
    for method, path in REFUSED:
        status, body = ask(proxy, method, path, b"{}" if method in ("POST", "PATCH") else b"")
        assert status == 403, f"{method} {path}"
        assert "error" in json.loads(body)


def test_many_pages_at_once_pass(proxy: str) -> None:
    query = json.dumps({"query": "query{Lease(limit:1){key}}" + " " * 8_000_000}).encode()
    assert ask(proxy, "POST", "/api/v0/graphql", query, **{"content-type": "application/json"})[0] == 200
