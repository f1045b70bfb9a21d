"""The contents agent's worker is killed while the third turn is being answered: it goes on at the third turn.

Real Temporal, DefraDB and worker; the model is a loopback server that speaks OpenRouter's protocol and keeps the bill."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pymupdf
import pytest

from activities.work import LOST
from schemas.documents import Metric, ToC
from schemas.keys import toc_key
from tests.e2e.machine import JOB_SECONDS, Machine, until
from tests.providers.remote.openai_responder import ChatService, Said
from tests.providers.remote.server import Answer, Request, ScriptedServer, slow

SECRET = "The oldest owl of Ockham"
"""Stands on every page; in no history."""
CALL_USD = 0.003

pytestmark = pytest.mark.slow

TURNS: Mapping[int, tuple[str, dict[str, Any]]] = {
    1: ("get_frontmatter_grep_report", {}),
    2: ("load_page_image", {"page_num": 5, "current_page_observations": None}),
    3: ("load_page_image", {"page_num": 6, "current_page_observations": "a list of tales"}),
    4: (
        "write_toc_result",
        {
            "toc_found": True,
            "confidence": 0.9,
            "search_strategy_used": "grep_with_scan",
            "reasoning": "A list of tales.",
            "toc_page_range": {"start_page": 5, "end_page": 5},
            "structure_summary": None,
        },
    ),
}


def turn_of(body: Mapping[str, Any]) -> int:
    """Which turn is asked for: one more than were answered."""
    return 1 + sum(message["role"] == "assistant" for message in body["messages"])


def say(body: Mapping[str, Any], number: int) -> Said:
    name, arguments = TURNS[turn_of(body)]
    return Said(None, "tool_calls", ((name, json.dumps(arguments)),))


def book_of(pages: int, path: Path) -> Path:
    """A PDF with good text, and nothing that rules take for contents."""
    document = pymupdf.open()
    for number in range(1, pages + 1):
        page = document.new_page(width=300, height=420)
        for line in range(12):
            page.insert_text((30, 40 + 28 * line), f"{SECRET}, page {number}, saw it all.", fontsize=11)
    document.save(path)
    return path


@pytest.fixture
def service() -> Iterator[tuple[ChatService, ScriptedServer]]:
    chat = ChatService(dialect="openrouter", say=say, usd_per_call=CALL_USD)
    with ScriptedServer(chat.handlers()) as server:
        yield chat, server


@pytest.fixture
def asking_machine(
    tmp_path: Path, defradb_binary: Path, service: tuple[ChatService, ScriptedServer]
) -> Iterator[Machine]:
    chat, server = service
    machine = Machine(tmp_path, defradb_binary, counted=False)
    row = {"base_url": f"{server.url}/v1", "usd_per_million_input": 1.0, "usd_per_million_output": 1.0}
    machine.environment |= {"OPENROUTER_API_KEY": chat.key, "SHELF_PROVIDERS": json.dumps({"openrouter": row})}
    try:
        machine.start()
        yield machine
    finally:
        machine.end()


async def test_killed_at_its_third_turn_it_goes_on_at_the_third_turn(
    asking_machine: Machine, service: tuple[ChatService, ScriptedServer]
) -> None:
    machine, (chat, server) = asking_machine, service

    def hold(request: Request) -> Answer | None:
        return slow(chat.chat(request), 60) if request.number == 3 else None

    server.rule = hold
    source = book_of(12, machine.folder / "scans" / "tales.pdf")
    job = {"source": str(source), "llm": {"toc_find": f"openrouter/{chat.model}"}, "second_opinion": ""}
    handle = await machine.start_job("tales", job)
    await until("the third turn is asked", lambda: len(server.log) >= 3)
    machine.kill("worker")
    machine.start("worker")
    result = await asyncio.wait_for(handle.result(), JOB_SECONDS)
    assert result.state == "complete"

    assert [turn_of(entry.request.json) for entry in server.log] == [1, 2, 3, 3, 4]
    third = [entry.request.json for entry in server.log[2:4]]
    assert third[0] == third[1], "the same is asked again"
    assert all(len(pictures) <= 1 for pictures in map(_pictures, chat.bodies)), "of the current page only"
    assert len(chat.pictures()) == 3

    async with machine.store() as store:
        toc = (await store.get(ToC, [toc_key(result.book_id)]))[toc_key(result.book_id)]
        assert (toc.pages, toc.source) == ([5], "printed")
        metrics = [m for m in await store.find(Metric, {"book_key": result.book_id}) if m.provider == "openrouter"]
    attempts = [m for m in metrics if m.kind == "attempt"]
    assert sorted((m.outcome, m.error) for m in attempts) == [*[("ok", None)] * 4, ("unknown", LOST)]
    assert [m.cost_usd for m in attempts if m.outcome == "ok"] == [CALL_USD] * 4
    assert sum(m.cost_usd or 0.0 for m in attempts) >= server.charged_usd

    client = await machine.client()
    agent = client.get_workflow_handle("tales:e1:toc_find")
    history = await agent.fetch_history()
    assert sum(event.HasField("activity_task_scheduled_event_attributes") for event in history.events) == 10
    raw = b"".join(event.SerializeToString() for event in history.events)
    assert b"turn 3 \xc2\xb7 load_page_image(6, a list of tales)" in raw, "as the Temporal UI shows it"
    for never in (SECRET, chat.key):
        assert never.encode() not in raw


def _pictures(body: Mapping[str, Any]) -> list[Any]:
    return [
        part
        for message in body["messages"]
        if isinstance(message["content"], list)
        for part in message["content"]
        if part["type"] == "image_url"
    ]
