"""No key is anywhere, though the service quotes it in its refusals, in an answer that is garbage, and in a header.

Real Temporal, DefraDB and worker, which logs all that it can; looked for in histories, documents, artifacts, logs, telemetry,
exports, a dump, and what commands print."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from schemas.documents import TYPES
from tests.e2e.machine import Machine
from tests.e2e.otlp_receiver import Receiver, receiving
from tests.e2e.test_paid import KEY, book_of, finished, paid_machine, paused, service  # noqa: F401
from tests.providers.remote.ocr_services import Mistral
from tests.providers.remote.server import Answer, Request, ScriptedServer, json_answer

NEEDLE = KEY.encode()

pytestmark = pytest.mark.slow


def quoting(status: int, **further: str) -> Answer:
    """A refusal that says the key, as some services do."""
    body = {"object": "error", "message": f"Bearer {KEY} did not do", "param": KEY, "headers": {"authorization": KEY}}
    answer = json_answer({**body, **further}, status)
    return replace(answer, headers={"x-request-echo": f"Bearer {KEY}", "www-authenticate": KEY})


def echo(request: Request) -> Answer | None:
    return {
        1: quoting(500),
        2: quoting(429, type="rate_limited"),
        3: Answer(body=f"<html>{KEY}</html>".encode(), note="garbage"),
        4: json_answer({"model": KEY, "pages": KEY}),
        5: quoting(401),
    }.get(request.number)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as found:
        yield found


def parts(file: Path) -> Iterator[tuple[str, bytes]]:
    """What a file holds; of an archive, unpacked."""
    body = file.read_bytes()
    yield str(file), body
    if zipfile.is_zipfile(io.BytesIO(body)):
        with zipfile.ZipFile(io.BytesIO(body)) as archive:
            for name in archive.namelist():
                yield f"{file}: {name}", archive.read(name)


async def test_no_key_is_anywhere(
    receiver: Receiver,
    paid_machine: Machine,  # noqa: F811
    service: tuple[Mistral, ScriptedServer],  # noqa: F811
) -> None:
    machine, (_, server) = paid_machine, service
    machine.environment |= {"OTEL_EXPORTER_OTLP_ENDPOINT": receiver.url, "SHELF_LOG_LEVEL": "DEBUG"}
    assert machine.stop("worker") == 0
    machine.start("worker")
    source = book_of(6, machine.folder / "scans" / "secret.pdf")
    server.rule = echo
    job = {"source": str(source), "ocr": "mistral", "second_opinion": "", "budget_usd": 1.0}
    handle = await machine.start_job("secret", job)
    reason = await paused(handle)
    assert reason.startswith("CredentialsRefused")
    said = [reason, str(await handle.query("progress")), machine.shelf("status", "--json").stdout]
    await handle.signal("resume")
    result = await finished(machine, handle)
    assert result.state == "complete"
    assert all(entry.authorized for entry in server.log)
    assert len(server.log) == 11

    book, out = result.book_id, machine.folder / "out"
    for arguments in (
        ["providers"],
        ["providers", "--json"],
        ["doctor", "--json"],
        ["queue", "mistral", "--json"],
        ["status", "--json"],
        ["budget", "--json"],
        ["cost", book, "--by", "model", "--json"],
        ["show", book],
        ["history", book],
        ["history", book, "--page", "1", "--json"],
        ["plan", book, "--ocr", "mistral", "--fresh", "--json"],
        ["export", book, "--format", "all", "--out", str(out)],
        ["dump", book, "--out", str(machine.folder / "book.zip")],
    ):
        done = machine.shelf(*arguments)
        assert done.returncode == 0, f"{arguments}: {done.stderr}"
        assert done.stdout or done.stderr
        said += [done.stdout, done.stderr]
    assert list(out.rglob("*.epub"))
    client = await machine.client()
    async for workflow in client.list_workflows():
        history = await client.get_workflow_handle(workflow.id, run_id=workflow.run_id).fetch_history()
        said.append(str(history.to_json()))
    async with machine.store() as store:
        for kind in TYPES:
            for document in await store.find(kind, {}):
                said += [document.model_dump_json(), *map(str, await store.history(kind, document.key))]
    assert json.dumps(said).count(KEY) == 0
    assert "[key]" in json.dumps(said), "the refusal was quoted, without the key"

    assert machine.stop("worker") == 0  # it exports what it still has
    machine.end()
    assert len(receiver.bodies) > 3
    assert NEEDLE not in b"".join(receiver.bodies)
    assert b"ocr_pages" in (machine.folder / "worker.log").read_bytes()
    found = {
        where for file in machine.folder.rglob("*") if file.is_file() for where, body in parts(file) if NEEDLE in body
    }
    assert not found
