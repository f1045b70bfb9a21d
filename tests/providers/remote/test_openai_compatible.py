"""One adapter, seven dialects: what is sent, what an answer means, what it cost, and that no key is shown."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from providers.errors import (
    BadOutput,
    Connection,
    Cooling,
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
from providers.openai_compatible import DIALECTS, OpenAiCompatible
from providers.queues import QUEUES
from schemas.errors import BadInput
from schemas.http import LOOPBACK_ONLY
from tests.conftest import free_port
from tests.providers.remote.model_calls import ADD, KEY, KEY_ENV, assert_no_key, ledger, png, question, row_of, talking
from tests.providers.remote.openai_responder import ChatService, Said, always
from tests.providers.remote.server import Answer as Sent
from tests.providers.remote.server import garbage, half, hung_up, json_answer, slow, wrong_json

SCHEMA = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"], "additionalProperties": False}
NAMES = [row.name for row in QUEUES if row.kind == "openai-compatible"]


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(KEY_ENV, KEY)
    monkeypatch.setenv(LOOPBACK_ONLY, "1")


@pytest.fixture
def talk(tmp_path: Path) -> Callable[..., Any]:
    def start(service: ChatService, **fields: Any) -> Any:
        prices = {"usd_per_million_input": 1.0, "usd_per_million_output": 2.0, **fields}
        return talking(
            service, OpenAiCompatible, lambda url: row_of(service.dialect, url + service.prefix, **prices), tmp_path
        )

    return start


class TestAnswers:
    @pytest.mark.parametrize("name", NAMES)
    async def test_every_dialect_is_understood_by_its_service(self, talk: Any, name: str) -> None:
        service = ChatService(name)
        async with talk(service) as on:
            asked = question(
                messages=(Message("user", "What stands there?", (png(), png(30, 20, "JPEG"))),),
                schema=SCHEMA,
                tools=(ADD,),
                temperature=0.2,
            )
            answer = await on.model.answer(asked, service.model, 20, on.calls)
        assert answer == Answer("The text of the page.", "maker/model-1")
        body = service.bodies[0]
        assert body["max_completion_tokens" if name == "openai" else "max_tokens"] == 4096
        assert body["messages"][0] == {"role": "system", "content": "You read."}
        assert [part["type"] for part in body["messages"][1]["content"]] == ["image_url", "image_url", "text"]
        assert service.pictures() == [(40, 60), (30, 20)]
        assert body["response_format"]["json_schema"] == {"name": "answer", "strict": True, "schema": SCHEMA}
        assert body["temperature"] == 0.2
        assert on.note["outcome"] == "ok"
        assert on.note["prompt_hash"] == "p1"
        assert_no_key(on.calls, answer)

    def test_the_table_has_every_dialect_of_the_rows(self) -> None:
        assert set(NAMES) | {""} == set(DIALECTS)

    async def test_a_server_without_a_key_gets_none(self, talk: Any) -> None:
        async with talk(ChatService("ollama", key=""), key_env="") as on:
            await on.ask()
            assert not on.server.log[0].authorized

    async def test_text_alone_is_no_list_of_parts(self, talk: Any) -> None:
        async with talk(ChatService("ollama")) as on:
            await on.ask()
            assert on.service.bodies[0]["messages"][1]["content"] == "What stands there?"

    async def test_olmocr_gets_its_text_first(self, talk: Any) -> None:
        service = ChatService("deepinfra", model="allenai/olmOCR-2-7B-1025")
        async with talk(service) as on:
            await on.ask(messages=(Message("user", "Read.", (png(),)),))
        assert [part["type"] for part in service.bodies[0]["messages"][1]["content"]] == ["text", "image_url"]

    @pytest.mark.parametrize(
        ("name", "model", "sent"),
        [
            ("openai", "gpt-4.1", True),
            ("openai", "gpt-5.2-mini", False),
            ("openai", "o4-mini", False),
            ("openrouter", "openai/gpt-6", False),
            ("openrouter", "anthropic/claude-haiku-5.5", False),
            ("openrouter", "google/gemini-3-flash", True),
            ("vllm", "openai/gpt-oss-20b", True),
        ],
    )
    def test_temperature_is_left_out_where_a_model_refuses_it(self, name: str, model: str, sent: bool) -> None:
        body = OpenAiCompatible(row_of(name, "http://127.0.0.1:1")).body(question(temperature=0.1), model)
        assert ("temperature" in body) is sent

    def test_openrouter_is_told_who_may_answer(self) -> None:
        model = OpenAiCompatible(row_of("openrouter", "http://127.0.0.1:1"))
        assert model.body(question(), "a/b")["provider"] == {"data_collection": "deny"}
        capped = OpenAiCompatible(replace(model.row, usd_per_million_input=0.5, usd_per_million_output=2))
        assert capped.body(question(schema=SCHEMA), "a/b")["provider"] == {
            "data_collection": "deny",
            "require_parameters": True,
            "max_price": {"prompt": "0.5", "completion": "2"},
        }
        assert DIALECTS["openrouter"].extras == {"provider": {"data_collection": "deny"}}, "the table is not changed"

    async def test_tools_are_asked_for_and_answered(self, talk: Any) -> None:
        def say(body: Any, number: int) -> Said:
            if number == 1:
                return Said(None, "tool_calls", (("add", '{"a": 1}'), ("add", "")))
            return Said(f"done: {[message['content'] for message in body['messages'] if message['role'] == 'tool']}")

        async with talk(ChatService("openai", say)) as on:
            first = await on.ask(tools=(ADD,))
            assert first.tool_calls == (ToolCall("call_0", "add", {"a": 1}), ToolCall("call_1", "add", {}))
            messages = (
                Message("user", "Add."),
                Message("assistant", first.text, tool_calls=first.tool_calls),
                Message("tool", "2", tool_call_id="call_0"),
                Message("tool", "3", tool_call_id="call_1"),
            )
            assert (await on.ask(messages=messages, tools=(ADD,))).text == "done: ['2', '3']"

    async def test_thoughts_that_a_server_left_in_are_no_answer(self, talk: Any) -> None:
        async with talk(ChatService("llamacpp", always("<think>Hm.\nYes.</think>\n\nThe text."))) as on:
            assert (await on.ask()).text == "The text."

    def test_the_model_is_the_one_named_or_the_rows(self) -> None:
        model = OpenAiCompatible(row_of("deepinfra", "http://127.0.0.1:1"))
        assert model.model("x/y") == "x/y"
        assert model.model("") == "allenai/olmOCR-2-7B-1025"
        with pytest.raises(BadInput, match=r"model = .* under \[providers\.openrouter\]"):
            OpenAiCompatible(row_of("openrouter", "http://127.0.0.1:1")).model("")
        with pytest.raises(BadInput, match=r"\[providers\.openai\] dialect 'klingon'"):
            OpenAiCompatible(row_of("openai", "http://127.0.0.1:1", dialect="klingon"))


class TestCost:
    async def test_what_the_response_says_counts(self, talk: Any) -> None:
        for name, usd in (("openrouter", 0.002), ("deepinfra", 0.002), ("openai", (1200 + 2 * 300) / 1e6), ("vllm", 0)):
            async with talk(ChatService(name)) as on:
                await on.ask()
                assert on.note["cost_usd"] == pytest.approx(usd), name
                assert (on.note["input_tokens"], on.note["output_tokens"]) == (1200, 300)

    async def test_with_a_key_of_ones_own_the_provider_behind_is_paid_too(self, talk: Any) -> None:
        service = ChatService("openrouter")
        body = service.completion(Said("Text."))
        body["usage"] |= {"is_byok": True, "cost": 0.0001, "cost_details": {"upstream_inference_cost": 0.003}}
        async with talk(service) as on:
            on.server.script(json_answer(body))
            await on.ask()
            assert on.note["cost_usd"] == pytest.approx(0.0031)

    @pytest.mark.parametrize("cost", ["0.1", -1, None, True, {"usd": 1}])
    async def test_a_cost_that_is_no_amount_is_none(self, talk: Any, cost: Any) -> None:
        service = ChatService("openrouter")
        body = service.completion(Said("Text."))
        body["usage"]["cost"] = cost
        async with talk(service) as on:
            on.server.script(json_answer(body))
            await on.ask()
            assert on.note["cost_usd"] == pytest.approx((1200 + 2 * 300) / 1e6)


class TestErrors:
    @pytest.mark.parametrize(
        ("name", "error", "expected", "retry_after"),
        [
            ("openai", "refused key", CredentialsRefused, None),
            ("openai", "quota", QuotaExhausted, None),
            ("openai", "rate limited", RateLimited, 3),
            ("llamacpp", "overloaded", Overloaded, None),
            ("openai", "server error", ServerError, None),
            ("openai", "not served", NotServed, None),
            ("openai", "rejected", Rejected, None),
            ("openrouter", "refused key", CredentialsRefused, None),
            ("openrouter", "quota", QuotaExhausted, None),
            ("openrouter", "key limit", QuotaExhausted, None),
            ("openrouter", "patience", RateLimited, 2),
            ("openrouter", "rate limited", RateLimited, 3),
            ("openrouter", "overloaded", Overloaded, None),
            ("openrouter", "not served", NotServed, None),
            ("openrouter", "rejected", Rejected, None),
        ],
    )
    async def test_a_refusal_costs_nothing(
        self, talk: Any, name: str, error: str, expected: type[ProviderError], retry_after: float | None
    ) -> None:
        service = ChatService(name)
        async with talk(service) as on:
            on.server.script(service.errors[error])
            raised = await on.fails(expected)
            assert raised.retry_after_seconds == retry_after
            assert raised.cost_usd == 0.0
            assert "page 3 of a-book" in raised.message
            assert (on.note["outcome"], on.note["cost_usd"]) == ("failed", 0.0)

    @pytest.mark.parametrize(
        ("code", "kind", "expected"),
        [
            (429, "rate_limit_exceeded", RateLimited),
            (503, "provider_overloaded", Overloaded),
            (402, "payment_required", QuotaExhausted),
            (400, "context_length_exceeded", Rejected),
            (502, "server", ServerError),
        ],
    )
    async def test_an_error_inside_an_answer_of_status_200(
        self, talk: Any, code: int, kind: str, expected: type[ProviderError]
    ) -> None:
        service = ChatService("openrouter")
        async with talk(service) as on:
            on.server.script(service.inside(code, "No.", kind))
            raised = await on.fails(expected)
            assert raised.cost_usd is None, "nobody knows whether what the model had begun is charged"
            assert (on.note["outcome"], on.note["cost_usd"]) == ("unknown", 0.5)

    async def test_a_model_that_breaks_off_is_paid_for_what_it_said(self, talk: Any) -> None:
        service = ChatService("openrouter")
        async with talk(service) as on:
            on.server.script(service.in_choice(502, "Upstream error"))
            raised = await on.fails(ServerError)
            assert raised.cost_usd == 0.002
            assert (on.note["outcome"], on.note["cost_usd"], on.note["input_tokens"]) == ("failed", 0.002, 1200)

    @pytest.mark.parametrize(
        ("said", "expected", "why"),
        [
            (Said("The text of", "length"), BadOutput, "limit of tokens"),
            (Said("ha ha ha", "repetition"), BadOutput, "repeats itself"),
            (Said("Text", None), BadOutput, "None"),
            (Said("", "content_filter"), Refused, "filter"),
            (Said(None, "stop", refusal="I cannot."), Refused, "I cannot"),
            (Said("", "stop"), BadOutput, "empty"),
            (Said(None, "stop"), BadOutput, "empty"),
            (Said("", "tool_calls", (("add", '{"a": '),)), BadOutput, "'add' are no JSON"),
            (Said("", "tool_calls", (("add", "[1]"),)), BadOutput, "'add' are no object"),
        ],
    )
    async def test_an_unusable_answer_is_paid(self, talk: Any, said: Said, expected: type[BadOutput], why: str) -> None:
        async with talk(ChatService("openrouter", lambda body, number: said)) as on:
            raised = await on.fails(expected)
            assert why in raised.message
            assert (raised.kind, raised.cost_usd) == ("BadOutput", 0.002)
            assert raised.model == "maker/model-1"
            assert (on.note["outcome"], on.note["cost_usd"], on.note["output_tokens"]) == ("failed", 0.002, 300)
            assert json.loads(raised.raw)["usage"]["cost"] == 0.002

    async def test_an_answer_that_fails_its_check_is_paid(self, talk: Any) -> None:
        async with talk(ChatService("openrouter")) as on:
            with pytest.raises(BadOutput, match=r"openrouter's answer cannot be used: it is in Dutch\."):
                await on.model.answer(
                    question(),
                    on.service.model,
                    20,
                    on.calls,
                    check=lambda answer: "it is in Dutch" * bool(answer.text),
                )
            assert (on.note["outcome"], on.note["cost_usd"]) == ("failed", 0.002)

    @pytest.mark.parametrize(
        ("sent", "expected"),
        [
            (hung_up(0.002), Connection),
            (half(ChatService().answer(Said("The text of the page"))), Connection),
            (garbage(0.002), ServerError),
            (wrong_json(0.002), ServerError),
            (json_answer([1]), ServerError),
            (json_answer({"choices": []}), ServerError),
            (json_answer({"choices": [{"finish_reason": "stop", "message": None}]}), ServerError),
            (Sent(502, b"<html>Bad gateway</html>"), ServerError),
        ],
    )
    async def test_an_answer_that_is_lost_or_none_may_have_been_charged(
        self, talk: Any, sent: Sent, expected: type[ProviderError]
    ) -> None:
        async with talk(ChatService("openai")) as on:
            on.server.script(sent)
            raised = await on.fails(expected)
            assert raised.cost_usd is None
            assert (on.note["outcome"], on.note["cost_usd"]) == ("unknown", 0.5)

    async def test_a_slow_answer_is_lost_at_the_time_limit(self, talk: Any) -> None:
        async with talk(ChatService("openai")) as on:
            on.server.script(slow(on.service.answer(Said("Late.")), 1.0))
            assert (await on.fails(Connection, timeout_seconds=0.2)).cost_usd is None

    async def test_nobody_there_costs_nothing(self, talk: Any, tmp_path: Path) -> None:
        row = row_of("vllm", f"http://127.0.0.1:{free_port()}/v1", free=False)
        model = OpenAiCompatible(row)
        with pytest.raises(Connection) as raised:
            await model.answer(question(), "m", 20, ledger(tmp_path, row))
        assert raised.value.cost_usd == 0.0

    async def test_a_storm_of_429_cools_the_provider_down(self, talk: Any) -> None:
        service = ChatService("openrouter")
        async with talk(service) as on:
            on.server.rule = lambda request: replace(service.errors["rate limited"], headers={"retry-after": "30"})
            assert (await on.fails(RateLimited)).retry_after_seconds == 30
            for _ in range(20):
                await on.fails(Cooling)
            assert len(on.server.log) == 1, "nobody asks again before the time that it was told"

    async def test_a_model_that_cannot_see_is_no_fault_of_the_page(self, talk: Any) -> None:
        said = "image input is not supported - hint: if this is unexpected, you may need to provide the mmproj"
        async with talk(ChatService("llamacpp")) as on:
            on.server.script(json_answer({"error": {"code": 500, "message": said, "type": "server_error"}}, 500))
            raised = await on.fails(NotServed, messages=(Message("user", "Read.", (png(),)),))
            assert "Name a model of llamacpp that sees" in raised.message

    async def test_a_text_that_is_none_is_not_sent(self, talk: Any) -> None:
        async with talk(ChatService("openai")) as on:
            assert (await on.fails(Rejected, messages=(Message("user", "\ud800"),))).cost_usd == 0.0
            assert not on.server.log


class TestKeysAndAddresses:
    async def test_a_missing_key_is_said_before_anything_is_sent(
        self, talk: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.delenv(KEY_ENV)
        async with talk(ChatService("openai")) as on:
            with pytest.raises(CredentialsRefused, match=KEY_ENV):
                await on.ask()
            assert not on.server.log
            assert not on.calls.made

    async def test_only_loopback_is_allowed_in_tests(self, tmp_path: Path) -> None:
        row = row_of("openai", "https://api.openai.com/v1")
        with pytest.raises(ProviderError, match="only loopback") as raised:
            await OpenAiCompatible(row).answer(question(), "m", 20, ledger(tmp_path, row))
        assert raised.value.cost_usd == 0.0

    async def test_no_key_travels_in_the_open(self, tmp_path: Path) -> None:
        row = row_of("vllm", "http://192.0.2.1:8000/v1")
        with pytest.raises(NotServed, match="https"):
            await OpenAiCompatible(row).answer(question(), "m", 20, ledger(tmp_path, row))
