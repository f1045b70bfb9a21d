"""Language models behind OpenAI's chat completions, as a dozen services and servers speak it, each a little differently.

One adapter; what differs is data (`DIALECTS`). Written by the services' documentation and their own clients, never called
live: `tests/providers/remote` has what was tried (facts/providers.md A.3, A.4).

All take a JSON schema in one form (`response_format`, `json_schema`): Ollama reads only its `schema`, LM Studio refuses
`json_object`, vLLM's `guided_json` is gone. All take images as data URLs.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from providers.classify import redacted, unreadable
from providers.errors import BadOutput
from providers.language_model import Answer, Message, Question, ToolCall
from providers.ledger import Calls, Response
from providers.model_service import Check, ModelService, Refused, amount, base64_of, mapping, tokens
from providers.prices import Usage
from providers.queues import ProviderQueue
from schemas.errors import BadInput
from schemas.http import Reply


@dataclass(frozen=True, slots=True)
class Dialect:
    """What is peculiar to one service or server. Unknown fields make OpenAI and LM Studio refuse a request, so each gets
    only what it knows."""

    length_field: str = "max_tokens"
    """Field that says how long an answer may be."""
    detail: str = ""
    """Of an image: OpenAI's models look at a small copy unless asked for more."""
    no_temperature: str = ""
    """Names of models that refuse a temperature of one's own, or are served by nobody who takes one."""
    extras: Mapping[str, Any] = field(default_factory=dict)
    """Sent with every request."""
    routed: bool = False
    """OpenRouter: a request may go to any of several providers, and says in `provider` which will do."""


REASONING = r"(?:o\d|gpt-[5-9])(?:[.-]|$)"
"""OpenAI's reasoning models take the temperature 1 only."""

DIALECTS: Mapping[str, Dialect] = {
    # No dialect: what all of them understand.
    "": Dialect(),
    "openai": Dialect(length_field="max_completion_tokens", detail="high", no_temperature=rf"^{REASONING}"),
    "openrouter": Dialect(
        detail="high",
        no_temperature=rf"^(?:openai/{REASONING}|anthropic/)",
        # Nobody who keeps what he is sent, or trains on it.
        extras={"provider": {"data_collection": "deny"}},
        routed=True,
    ),
    "deepinfra": Dialect(),
    # Ends a loop when it is one, not at the end of the tokens; its finish_reason is then "repetition". Patterns of tokens, and
    # not so few that the dots of a contents page, or the empty cells of a table, are one.
    "vllm": Dialect(extras={"repetition_detection": {"min_pattern_size": 4, "max_pattern_size": 100, "min_count": 40}}),
    # It makes a message of each part of a message, in their order: so there is at most one part of text. Its context is
    # small unless the model's Modelfile sets num_ctx.
    "ollama": Dialect(),
    "lmstudio": Dialect(),
    "llamacpp": Dialect(),
}
"""By `dialect` of a row."""

TEXT_FIRST = re.compile(r"olmocr", re.IGNORECASE)
"""Models that were trained with the text before the image, against the custom."""

FINISHED = {"stop", "tool_calls", "function_call"}
WHY = {
    "length": "it was cut off at the limit of tokens",
    "repetition": "it repeats itself without end",
}
"""`finish_reason`: of answers that are none."""

THOUGHTS = re.compile(r"\A\s*<think>.*?</think>", re.DOTALL)
"""Local servers without a parser for a model's thoughts leave them in the answer."""


class OpenAiCompatible(ModelService):
    """`LanguageModel` over `POST {base_url}/chat/completions`."""

    def __init__(self, row: ProviderQueue) -> None:
        """Raises BadInput for a dialect that nobody speaks."""
        super().__init__(row)
        if row.dialect not in DIALECTS:
            raise BadInput(
                f"[providers.{row.name}] dialect {row.dialect!r} is not known.",
                f"Known: {', '.join(name for name in DIALECTS if name)}; leave it empty for any other.",
            )
        self.dialect = DIALECTS[row.dialect]

    async def answer(
        self,
        question: Question,
        model: str,
        timeout_seconds: float,
        calls: Calls,
        *,
        what: str = "",
        check: Check | None = None,
    ) -> Answer:
        """One call, as `LanguageModel.answer`.

        Args:
            what: the page and its book, for messages.
            check: an answer with a fault is noted as BadOutput, with its cost, and raised.
        """
        key = self.service.key()
        headers = {"authorization": f"Bearer {key}"} if key else {}
        body = self.body(question, model)
        return await self.ask(question, model, "/chat/completions", body, headers, timeout_seconds, calls, check, what)

    def body(self, question: Question, model: str) -> dict[str, Any]:
        """The request."""
        dialect = self.dialect
        messages: list[dict[str, Any]] = []
        if question.system:
            messages.append({"role": "system", "content": question.system})
        messages += [self._message(message, model) for message in question.messages]
        body: dict[str, Any] = {"model": model, "messages": messages, dialect.length_field: question.max_tokens}
        if question.temperature is not None and not (
            dialect.no_temperature and re.search(dialect.no_temperature, model)
        ):
            body["temperature"] = question.temperature
        if question.schema is not None:
            body["response_format"] = {
                "type": "json_schema",
                "json_schema": {"name": question.schema_name, "strict": True, "schema": dict(question.schema)},
            }
        if question.tools:
            body["tools"] = [
                {
                    "type": "function",
                    "function": {
                        "name": tool.name,
                        "description": tool.description,
                        "parameters": dict(tool.parameters),
                    },
                }
                for tool in question.tools
            ]
        body |= dialect.extras
        if dialect.routed:
            body["provider"] = self._route(question, body["provider"])
        return body

    def _route(self, question: Question, provider: Mapping[str, Any]) -> dict[str, Any]:
        """Who may answer: else one that does not know schemas or tools ignores them, and one may be dearer than planned."""
        chosen = dict(provider)
        if question.schema is not None or question.tools:
            chosen["require_parameters"] = True
        limits = {"prompt": self.row.usd_per_million_input, "completion": self.row.usd_per_million_output}
        if cap := {name: str(usd) for name, usd in limits.items() if usd is not None}:
            chosen["max_price"] = cap
        return chosen

    def _message(self, message: Message, model: str) -> dict[str, Any]:
        if message.role == "tool":
            return {"role": "tool", "tool_call_id": message.tool_call_id, "content": message.text}
        if message.role == "assistant":
            said: dict[str, Any] = {"role": "assistant", "content": message.text}
            if message.tool_calls:
                said["content"] = message.text or None
                said["tool_calls"] = [
                    {
                        "id": call.id,
                        "type": "function",
                        "function": {
                            "name": call.name,
                            "arguments": json.dumps(dict(call.arguments), ensure_ascii=False),
                        },
                    }
                    for call in message.tool_calls
                ]
            return said
        if not message.images:
            return {"role": message.role, "content": message.text}
        parts: list[dict[str, Any]] = []
        for image in message.images:
            url: dict[str, str] = {"url": f"data:{image.media_type};base64,{base64_of(image)}"}
            if self.dialect.detail:
                url["detail"] = self.dialect.detail
            parts.append({"type": "image_url", "image_url": url})
        if message.text:
            parts.insert(0 if TEXT_FIRST.search(model) else len(parts), {"type": "text", "text": message.text})
        return {"role": message.role, "content": parts}

    def ended(self, said: Mapping[str, Any]) -> Any:
        return _choice(said).get("finish_reason")

    def read(
        self, reply: Reply, said: Mapping[str, Any], asked: str, check: Check | None, what: str
    ) -> Response[Answer]:
        usage = usage_of(mapping(said.get("usage")))
        model = str(said.get("model") or asked)
        if said.get("error"):
            raise self.error_inside(reply, said["error"], _status(said["error"]), model, usage, what)
        choice = _choice(said)
        message = choice.get("message")
        ended = choice.get("finish_reason")
        if choice.get("error") or ended == "error":
            raise self.error_inside(reply, choice.get("error"), _status(choice.get("error")), model, usage, what)
        if not isinstance(message, Mapping):
            raise self.priced(unreadable(self.row, reply, "no choices with a message", what), model, usage)
        if message.get("refusal") or ended == "content_filter":
            why = redacted(self.row, str(message.get("refusal") or "a content filter stopped it"))[:300]
            raise self.bad_output(Refused, f"the model refused ({why})", reply, model, usage, what)
        if ended not in FINISHED:
            fault = WHY.get(str(ended), f"it ended with {ended!r} instead of a stop")
            raise self.bad_output(BadOutput, fault, reply, model, usage, what)
        try:
            tool_calls = _tool_calls(message.get("tool_calls"))
        except ValueError as error:
            raise self.bad_output(BadOutput, str(error), reply, model, usage, what) from None
        answer = Answer(THOUGHTS.sub("", _text(message.get("content"))).strip(), model, tool_calls)
        return self.accepted(reply, answer, usage, check, what)


def _choice(said: Mapping[str, Any]) -> Mapping[str, Any]:
    """The first, and only one, of an answer."""
    choices = said.get("choices")
    return mapping(choices[0]) if isinstance(choices, list) and choices else {}


def usage_of(usage: Mapping[str, Any]) -> Usage:
    """What an answer's `usage` says. OpenRouter says what it charged for itself; whoever brings his own key (BYOK) pays the
    provider behind it as well."""
    cost = amount(usage.get("cost"))
    if cost is not None and usage.get("is_byok"):
        cost += amount(mapping(usage.get("cost_details")).get("upstream_inference_cost")) or 0.0
    if cost is None:
        cost = amount(usage.get("estimated_cost"))  # DeepInfra
    return Usage(
        input_tokens=tokens(usage.get("prompt_tokens")),
        output_tokens=tokens(usage.get("completion_tokens")),
        cached_tokens=tokens(mapping(usage.get("prompt_tokens_details")).get("cached_tokens")),
        cost_usd=cost,
    )


def _status(error: Any) -> int | None:
    """The status that an error inside an answer names."""
    code = mapping(error).get("code")
    try:
        status = int(code) if isinstance(code, int | str) else 0
    except ValueError:
        return None
    return status if 400 <= status < 600 else None


def _text(content: Any) -> str:
    """A message's text: a string, or parts."""
    if isinstance(content, list):
        return "".join(str(mapping(part).get("text") or "") for part in content)
    return content if isinstance(content, str) else ""


def _tool_calls(calls: Any) -> tuple[ToolCall, ...]:
    """Raises ValueError where the arguments are no object of JSON."""
    found = []
    for number, call in enumerate(calls if isinstance(calls, list) else (), 1):
        function = mapping(mapping(call).get("function"))
        name, arguments = str(function.get("name") or ""), function.get("arguments")
        if isinstance(arguments, str):
            try:
                arguments = json.loads(arguments or "{}")
            except ValueError:
                raise ValueError(f"the arguments for {name!r} are no JSON") from None
        if not isinstance(arguments, Mapping):
            raise ValueError(f"the arguments for {name!r} are no object")
        found.append(ToolCall(str(mapping(call).get("id") or f"call_{number}"), name, dict(arguments)))
    return tuple(found)
