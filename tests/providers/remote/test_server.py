"""The scripted server does what its scripts say, and its log tells the truth: the tests of money lean on it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator

import pytest

from schemas.http import AnswerLost, HttpClient
from tests.providers.remote.server import (
    Answer,
    Entry,
    Request,
    ScriptedServer,
    after,
    half,
    hung_up,
    json_answer,
    most_begun,
    most_in_flight,
    slow,
)

GOOD = json_answer({"text": "é" * 50}, charge_usd=0.004, note="read")


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with ScriptedServer({"POST /v1": lambda request: GOOD, "POST /v1/special": lambda request: Answer(204)}) as server:
        yield server


async def test_handlers_scripts_and_rules(server: ScriptedServer) -> None:
    server.rule = lambda request: Answer(418) if request.number == 4 else None
    server.script(Answer(500), None, lambda request: json_answer({"was": request.json}))
    async with HttpClient(server.url, headers={"authorization": "Bearer x"}) as http:
        seen = [(await http.post_json("/v1/ocr?a=1", {"n": n})).status for n in range(5)]
        special = (await http.post_json("/v1/special/x", {})).status
        nobody = (await http.get("/v2")).status
    assert (seen, special, nobody) == ([500, 200, 200, 418, 200], 204, 404)
    assert [entry.status for entry in server.log] == [500, 200, 200, 418, 200, 204, 404]
    assert server.log[1].request.query == {"a": "1"}
    assert all(entry.authorized and entry.delivered for entry in server.log)
    assert server.charged_usd == pytest.approx(0.008)


async def test_a_script_for_one_method_waits_for_it(server: ScriptedServer) -> None:
    server.handlers["GET /v1"] = lambda request: GOOD
    server.script(Answer(503), method="GET")
    async with HttpClient(server.url) as http:
        assert [(await http.post_json("/v1", {})).status, (await http.get("/v1")).status] == [200, 503]
    assert not server.log[0].authorized


async def test_broken_answers_are_charged_and_not_delivered(server: ScriptedServer) -> None:
    server.script(half(GOOD), hung_up(0.004))
    async with HttpClient(server.url) as http:
        for _ in range(2):
            with pytest.raises(AnswerLost):
                await http.post_json("/v1", {})
        assert (await http.post_json("/v1", {})).headers["content-type"] == "application/json"
    assert [entry.delivered for entry in server.log] == [False, False, True]
    assert server.charged_usd == pytest.approx(0.012)


async def test_slow_answers_overlap_and_say_when_to_come_again(server: ScriptedServer) -> None:
    server.script(*[slow(after(Answer(429), 7), 0.3)] * 3)
    async with HttpClient(server.url) as http:
        replies = await asyncio.gather(*(http.post_json("/v1", {}) for _ in range(3)))
        await http.post_json("/v1", {})
    assert {reply.headers["retry-after"] for reply in replies} == {"7"}
    assert most_in_flight(server.log) == 3
    # A timer may fire a clock tick early.
    assert all(entry.left is not None and entry.left - entry.arrived >= 0.29 for entry in server.log[:3])


def test_windows() -> None:
    def entry(arrived: float, left: float | None) -> Entry:
        return Entry(Request(1, "POST", "/", {}, {}, b""), arrived, left)

    log = [entry(0.0, 1.0), entry(0.5, 0.9), entry(1.0, 1.5), entry(1.4, 2.0), entry(9.0, 9.5)]
    assert most_begun(log, 1.0) == 3  # 0.5, 1.0, 1.4: a window leaves out its first instant
    assert most_begun(log, 0.3) == 1
    assert most_begun([], 1.0) == 0
    assert most_in_flight(log) == 2
    assert most_in_flight([*log, entry(0.0, None)]) == 3
    assert most_in_flight([entry(time.monotonic(), None)]) == 1
