"""The official clients' own types agree with what we send and with what the responders of these tests answer."""

from __future__ import annotations

import copy
import inspect
import typing
from collections.abc import Iterable, Iterator, Mapping
from enum import StrEnum
from typing import Annotated, Any, Literal

import anthropic
import openai
import pytest
from anthropic.types import Message as AnthropicMessage
from anthropic.types.message_create_params import MessageCreateParamsNonStreaming
from anthropic.types.shared import ErrorResponse
from openai.lib._pydantic import to_strict_json_schema
from openai.types.chat import ChatCompletion
from openai.types.chat.completion_create_params import CompletionCreateParamsNonStreaming
from pydantic import BaseModel, Field, TypeAdapter

from providers.answer_schema import portable_schema, strict_schema
from providers.anthropic import Anthropic
from providers.language_model import Message, ToolCall
from providers.openai_compatible import OpenAiCompatible
from tests.providers.remote import anthropic_responder, openai_responder
from tests.providers.remote.anthropic_responder import MessagesService
from tests.providers.remote.model_calls import ADD, KEY, png, question, row_of
from tests.providers.remote.openai_responder import ChatService
from tests.providers.remote.server import ScriptedServer


class Kind(StrEnum):
    CHAPTER = "chapter"
    PART = "part"


class Entry(BaseModel):
    """One entry."""

    title: str = Field(description="As printed.", min_length=1)
    below: list[Entry] = Field(default_factory=list, max_length=9)
    page: int | None = Field(None, ge=1)


class Found(BaseModel):
    kind: Literal["found"] = "found"
    what: Kind = Field(Kind.CHAPTER, description="What it is.")


class Lost(BaseModel):
    kind: Literal["lost"] = "lost"
    pages: list[int] = Field(min_length=1)


class Contents(BaseModel):
    first: Entry = Field(description="The first.")
    result: Annotated[Found | Lost, Field(discriminator="kind")]
    title: str | None = None


CALL = ToolCall("call_0", "add", {"a": 1})
CONVERSATION = question(
    messages=(
        Message("user", "Read.", (png(),)),
        Message("assistant", "", tool_calls=(CALL, ToolCall("call_1", "add", {}))),
        Message("tool", "2", tool_call_id="call_0"),
        Message("tool", "3", tool_call_id="call_1"),
        Message("assistant", "So."),
        Message("user", "Go on."),
    ),
    schema=strict_schema(Contents),
    tools=(ADD,),
    temperature=0.1,
)


# Kept: what they validate lazily needs them.
OPENAI = TypeAdapter(CompletionCreateParamsNonStreaming)
ANTHROPIC = TypeAdapter(MessageCreateParamsNonStreaming)


def consumed(value: Any) -> Any:
    """What pydantic validates only when it is looked at, looked at."""
    if isinstance(value, Mapping):
        return {name: consumed(each) for name, each in value.items()}
    if isinstance(value, Iterable) and not isinstance(value, str | bytes):
        return [consumed(each) for each in value]
    return value


def fields_of(parameters: Any) -> set[str]:
    return set(typing.get_type_hints(parameters))


class TestRequests:
    def test_openai_knows_what_it_is_sent(self) -> None:
        body = OpenAiCompatible(row_of("openai", "http://127.0.0.1:1")).body(CONVERSATION, "gpt-4.1")
        assert set(body) <= fields_of(CompletionCreateParamsNonStreaming)
        assert consumed(OPENAI.validate_python(body))["messages"]

    def test_anthropic_knows_what_it_is_sent(self) -> None:
        body = Anthropic(row_of("anthropic", "http://127.0.0.1:1")).body(CONVERSATION, "claude-haiku-5-5")
        assert set(body) <= fields_of(MessageCreateParamsNonStreaming)
        assert consumed(ANTHROPIC.validate_python(body))["messages"] == consumed(body["messages"])

    def test_a_wrong_message_would_be_noticed(self) -> None:
        body = Anthropic(row_of("anthropic", "http://127.0.0.1:1")).body(CONVERSATION, "claude-haiku-5-5")
        body["messages"][0]["content"][0]["source"].pop("data")
        with pytest.raises(ValueError, match="data"):
            consumed(ANTHROPIC.validate_python(body))

    @pytest.mark.parametrize("output", [Entry, Found, Lost, Contents])
    def test_schemas_are_as_strict_as_openais_own(self, output: type[BaseModel]) -> None:
        assert strict_schema(output) == portable_schema(_without_defaults(to_strict_json_schema(output)))

    @pytest.mark.parametrize("output", [Entry, Found, Lost, Contents])
    def test_schemas_are_cut_down_as_anthropics_own_are(self, output: type[BaseModel]) -> None:
        strict = strict_schema(output)
        own = anthropic.transform_schema(copy.deepcopy(strict))
        assert portable_schema(strict, typed_values=False) == own, "its client has nothing more to cut from it"
        assert portable_schema(strict) == strict
        assert "minLength" in strict_schema(Entry)["$defs"]["Entry"]["properties"]["title"]["description"]


def _without_defaults(schema: Any) -> Any:
    """OpenAI's client leaves them in; and takes a discriminated union as it is."""
    if isinstance(schema, list):
        return [_without_defaults(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    return {
        name: _without_defaults(value) for name, value in schema.items() if name not in ("default", "discriminator")
    }


class TestResponders:
    """Each client, with its own key handling and error types, at the responder."""

    @pytest.fixture
    def openai_client(self) -> Iterator[tuple[ChatService, ScriptedServer, openai.OpenAI]]:
        service = ChatService("openai")
        with ScriptedServer(service.handlers()) as server:
            with openai.OpenAI(base_url=server.url + "/v1", api_key=KEY, max_retries=0) as client:
                yield service, server, client

    @pytest.fixture
    def anthropic_client(self) -> Iterator[tuple[MessagesService, ScriptedServer, anthropic.Anthropic]]:
        service = MessagesService()
        with ScriptedServer(service.handlers()) as server:
            with anthropic.Anthropic(base_url=server.url, api_key=KEY, max_retries=0) as client:
                yield service, server, client

    @pytest.mark.parametrize("dialect", ["openai", "openrouter", "deepinfra", "vllm"])
    def test_openais_type_reads_the_answers(self, dialect: str) -> None:
        service = ChatService(dialect)
        for said in (
            openai_responder.Said("Text."),
            openai_responder.Said(None, "tool_calls", (("add", '{"a": 1}'),)),
            openai_responder.Said("", "length"),
            openai_responder.Said(None, "stop", refusal="No."),
        ):
            read = ChatCompletion.model_validate(service.completion(said))
            assert read.choices[0].message.content == said.text
            assert read.usage is not None
            assert (read.usage.prompt_tokens, read.usage.completion_tokens) == (1200, 300)

    def test_openais_client_is_answered(self, openai_client: Any) -> None:
        service, _, client = openai_client
        body = OpenAiCompatible(row_of("openai", "http://127.0.0.1:1")).body(CONVERSATION, service.model)
        assert client.chat.completions.create(**body).choices[0].message.content == "The text of the page."
        assert service.bodies == [body]

    @pytest.mark.parametrize(
        ("error", "expected"),
        [
            ("refused key", openai.AuthenticationError),
            ("quota", openai.RateLimitError),
            ("rate limited", openai.RateLimitError),
            ("server error", openai.InternalServerError),
            ("not served", openai.NotFoundError),
            ("rejected", openai.BadRequestError),
        ],
    )
    def test_openais_client_reads_the_refusals(self, openai_client: Any, error: str, expected: type[Exception]) -> None:
        service, server, client = openai_client
        server.script(service.errors[error])
        with pytest.raises(expected) as raised:
            client.chat.completions.create(model=service.model, messages=[{"role": "user", "content": "x"}])
        assert raised.value.type  # type: ignore[attr-defined]

    def test_anthropics_type_reads_the_answers(self) -> None:
        for said in (
            anthropic_responder.Said("Text."),
            anthropic_responder.Said("", "tool_use", (("add", {"a": 1}),)),
            anthropic_responder.Said("", "refusal"),
        ):
            read = AnthropicMessage.model_validate(MessagesService().message(said))
            assert read.stop_reason == said.stop
            assert read.usage.cache_read_input_tokens == 500

    def test_anthropics_client_is_answered_and_sends_the_same_version(self, anthropic_client: Any) -> None:
        service, server, client = anthropic_client
        body = Anthropic(row_of("anthropic", "http://127.0.0.1:1")).body(CONVERSATION, service.model)
        # This client sends its key as a bearer.
        server.rule = lambda request: service.answer(anthropic_responder.Said("Text."))
        assert client.messages.create(**body).content[0].text == "Text."
        sent = server.log[0].request
        assert sent.headers["anthropic-version"] == "2026-10-21"
        assert (sent.path, sent.json) == ("/v1/messages", body)

    def test_anthropics_client_takes_no_temperature(self) -> None:
        assert not {"temperature", "top_p", "top_k"} & set(
            inspect.signature(anthropic.resources.Messages.create).parameters
        )

    def test_anthropics_type_reads_the_refusals(self) -> None:
        for meaning, answer in MessagesService().errors.items():
            if meaning not in ("too large", "gateway"):
                ErrorResponse.model_validate_json(answer.body)
