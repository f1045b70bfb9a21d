"""Anthropic's Messages API: what is sent, what an answer means, what it cost, and that no key is shown."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from providers.anthropic import Anthropic, largest_side
from providers.errors import (
    BadOutput,
    Connection,
    CredentialsRefused,
    NotServed,
    Overloaded,
    ProviderError,
    QuotaExhausted,
    RateLimited,
    Rejected,
    ServerError,
)
from providers.language_model import Answer, Message, ToolCall
from providers.model_service import Refused
from providers.queues import ProviderQueue
from schemas.http import LOOPBACK_ONLY
from tests.providers.remote.anthropic_responder import MessagesService, Said, always
from tests.providers.remote.model_calls import ADD, KEY, KEY_ENV, assert_no_key, ledger, png, question, row_of, talking
from tests.providers.remote.server import Answer as Sent
from tests.providers.remote.server import garbage, half, hung_up, json_answer, slow, wrong_json

SCHEMA = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"], "additionalProperties": False}
COST = (1000 * 1.0 + 150 * 5.0) / 1e6


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(KEY_ENV, KEY)
    monkeypatch.setenv(LOOPBACK_ONLY, "1")


@pytest.fixture
def talk(tmp_path: Path) -> Callable[..., Any]:
    def row(url: str) -> ProviderQueue:
        return row_of("anthropic", url, usd_per_million_input=1.0, usd_per_million_output=5.0)

    return lambda service: talking(service, Anthropic, row, tmp_path)


class TestAnswers:
    async def test_a_question_with_everything_is_understood(self, talk: Any) -> None:
        async with talk(MessagesService()) as on:
            answer = await on.ask(
                messages=(Message("user", "What stands there?", (png(), png(30, 20, "JPEG"))),),
                schema=SCHEMA,
                tools=(ADD,),
                temperature=0.2,
            )
        assert answer == Answer("The text of the page.", "claude-haiku-5-5")
        body = on.service.bodies[0]
        assert not {"temperature", "top_p", "top_k"} & set(body), "this version refuses them, whatever they say"
        assert [block["type"] for block in body["messages"][0]["content"]] == ["image", "image", "text"]
        assert on.service.pictures == [(40, 60), (30, 20)]
        assert body["output_config"] == {"format": {"type": "json_schema", "schema": SCHEMA}}
        assert body["system"] == "You read."
        assert on.note["cost_usd"] == pytest.approx(COST)
        assert on.note["input_tokens"] == 1000, "those of the cache are paid too"
        assert_no_key(on.calls, answer)

    async def test_results_of_all_tools_go_into_one_message(self, talk: Any) -> None:
        def say(body: Any, number: int) -> Said:
            if number == 1:
                return Said("Let me see.", "tool_use", (("add", {"a": 1}), ("add", {})))
            return Said(str([block.get("content") or block["text"] for block in body["messages"][-1]["content"]]))

        async with talk(MessagesService(say)) as on:
            first = await on.ask(tools=(ADD,))
            assert first.text == "Let me see."
            assert first.tool_calls == (ToolCall("toolu_0", "add", {"a": 1}), ToolCall("toolu_1", "add", {}))
            messages = (
                Message("user", "Add."),
                Message("assistant", first.text, tool_calls=first.tool_calls),
                Message("tool", "2", tool_call_id="toolu_0"),
                Message("tool", "3", tool_call_id="toolu_1"),
                Message("user", "Go on."),
            )
            assert (await on.ask(messages=messages, tools=(ADD,))).text == "['2', '3', 'Go on.']"

    async def test_an_image_that_is_too_large_is_sent_again_as_large_as_may_be(self, talk: Any) -> None:
        async with talk(MessagesService(largest_side=50)) as on:
            answer = await on.ask(messages=(Message("user", "Read.", (png(40, 60), png(20, 30))),))
            assert answer.text == "The text of the page."
            assert on.service.pictures == [(33, 50), (20, 30)]
            assert [(note["outcome"], note["cost_usd"]) for note in on.calls.made] == [
                ("failed", 0.0),
                ("ok", pytest.approx(COST)),
            ]
            await on.ask(messages=(Message("user", "Read.", (png(60, 40),)),))
            assert on.service.pictures[2:] == [(50, 33)]
            assert len(on.calls.made) == 3, "it is not refused again"

    async def test_it_is_made_smaller_once(self, talk: Any) -> None:
        async with talk(MessagesService()) as on:
            on.server.rule = lambda request: on.service.too_many_pixels((60, 60), 0)
            await on.fails(Rejected, messages=(Message("user", "Read.", (png(60, 60),)),))
            assert len(on.server.log) == 2

    @pytest.mark.parametrize(
        ("body", "side"),
        [
            (
                b'{"error": {"message": "image is 3000x4000 pixels; the largest dimensions that fit are 1176 x 1568"}}',
                (1568, False),
            ),
            (b'{"error": {"message": "x", "details": {"max_side_length_pixels": 2000}}}', (2000, True)),
            (b'{"error": {"message": "image: unsupported media type"}}', (None, False)),
            (b'{"error": {"message": "grid 30 x 40 by 50 x 60 is wrong"}}', (None, False)),
            (b"<html>too large</html>", (None, False)),
        ],
    )
    def test_how_large_an_image_may_be(self, body: bytes, side: tuple[int | None, bool]) -> None:
        assert largest_side(body) == side


class TestErrors:
    @pytest.mark.parametrize(
        ("error", "expected", "retry_after"),
        [
            ("refused key", CredentialsRefused, None),
            ("permission", CredentialsRefused, None),
            ("no credit", QuotaExhausted, None),
            ("billing", QuotaExhausted, None),
            ("spend limit", QuotaExhausted, None),
            ("rate limited", RateLimited, 3),
            ("ramp", RateLimited, 7),
            ("overloaded", Overloaded, None),
            ("server error", ServerError, None),
            ("not served", NotServed, None),
            ("rejected", Rejected, None),
            ("too large", Rejected, None),
        ],
    )
    async def test_a_refusal_costs_nothing(
        self, talk: Any, error: str, expected: type[ProviderError], retry_after: float | None
    ) -> None:
        async with talk(MessagesService()) as on:
            on.server.script(on.service.errors[error])
            raised = await on.fails(expected)
            assert raised.retry_after_seconds == retry_after
            assert (on.note["outcome"], on.note["cost_usd"]) == ("failed", 0.0)
            assert "page 3 of a-book" in raised.message

    @pytest.mark.parametrize(
        ("said", "expected", "why"),
        [
            (Said("The text of", "max_tokens"), BadOutput, "limit of tokens"),
            (Said("The text of", "model_context_window_exceeded"), BadOutput, "context"),
            (Said("", "refusal"), Refused, "refused"),
            (Said("", "pause_turn"), BadOutput, "pause_turn"),
            (Said(""), BadOutput, "empty"),
        ],
    )
    async def test_an_unusable_answer_is_paid(self, talk: Any, said: Said, expected: type[BadOutput], why: str) -> None:
        async with talk(MessagesService(lambda body, number: said)) as on:
            raised = await on.fails(expected)
            assert why in raised.message
            assert raised.cost_usd == pytest.approx(COST)
            assert (on.note["outcome"], on.note["output_tokens"]) == ("failed", 150)

    @pytest.mark.parametrize(
        ("sent", "expected"),
        [
            (hung_up(0.1), Connection),
            (half(MessagesService().answer(Said("The text of the page"))), Connection),
            (garbage(0.1), ServerError),
            (wrong_json(0.1), ServerError),
            (MessagesService.error(200, "api_error", "Internal"), ServerError),
            (MessagesService().errors["gateway"], ServerError),
        ],
    )
    async def test_an_answer_that_is_lost_or_none_may_have_been_charged(
        self, talk: Any, sent: Sent, expected: type[ProviderError]
    ) -> None:
        async with talk(MessagesService()) as on:
            on.server.script(sent)
            assert (await on.fails(expected)).cost_usd is None
            assert (on.note["outcome"], on.note["cost_usd"]) == ("unknown", 0.5)

    async def test_an_overload_inside_an_answer_of_status_200(self, talk: Any) -> None:
        async with talk(MessagesService()) as on:
            on.server.script(MessagesService.error(200, "overloaded_error", "Overloaded"))
            await on.fails(Overloaded)

    async def test_a_slow_answer_is_lost_at_the_time_limit(self, talk: Any) -> None:
        async with talk(MessagesService(always("Late."))) as on:
            on.server.script(slow(on.service.answer(Said("Late.")), 1.0))
            assert (await on.fails(Connection, timeout_seconds=0.2)).cost_usd is None

    async def test_an_answer_that_was_noted_is_not_paid_again(self, talk: Any) -> None:
        async with talk(MessagesService()) as on:
            first = await on.ask()
            assert await on.ask() == first
            assert len(on.server.log) == 1
            assert await on.ask(system="You read something else.") == first
            assert len(on.server.log) == 2

    async def test_no_log_shows_the_key(self, talk: Any, caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level(logging.DEBUG)
        caplog.set_level(logging.DEBUG, logger="httpx")  # a worker of another test quiets it
        async with talk(MessagesService()) as on:
            await on.ask()
            on.server.script(on.service.errors["refused key"])
            await on.fails(CredentialsRefused, system="You read something else.")
        assert "/v1/messages" in caplog.text
        assert KEY not in caplog.text

    async def test_a_missing_key_is_said_before_anything_is_sent(
        self, talk: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.delenv(KEY_ENV)
        async with talk(MessagesService()) as on:
            with pytest.raises(CredentialsRefused, match=KEY_ENV):
                await on.ask()
            assert not on.server.log

    async def test_only_loopback_is_allowed_in_tests(self, tmp_path: Path) -> None:
        row = row_of("anthropic", "https://api.anthropic.com")
        with pytest.raises(ProviderError, match="only loopback"):
            await Anthropic(row).answer(question(), "m", 20, ledger(tmp_path, row))

    async def test_an_answer_without_figures_is_of_unknown_cost(self, talk: Any) -> None:
        async with talk(MessagesService()) as on:
            on.server.script(json_answer({**on.service.message(Said("Text.")), "usage": None}))
            await on.ask()
            assert (on.note["outcome"], on.note["cost_usd"]) == ("ok", None)
