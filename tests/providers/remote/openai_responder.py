"""The other end of OpenAI's chat completions, in its dialects: what it checks, answers, charges, and how it refuses.

Shapes from the services' documentation and clients (test_model_sdk_oracles.py parses these answers with OpenAI's own types).
"""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from PIL import Image

from tests.providers.remote.server import Answer, Handler, Request, after, json_answer

USAGE = {"prompt_tokens": 1200, "completion_tokens": 300, "total_tokens": 1500}

KNOWN = {
    "model", "messages", "max_tokens", "max_completion_tokens", "temperature", "response_format", "tools",
}  # fmt: skip
EXTRAS = {"openrouter": {"provider"}, "vllm": {"repetition_detection"}}
"""Fields that only these know; others answer 400, as OpenAI and LM Studio do."""


@dataclass(frozen=True, slots=True)
class Said:
    """What the model says to one question."""

    text: str | None = ""
    finish: str | None = "stop"
    tool_calls: tuple[tuple[str, str], ...] = ()
    """(name, arguments as JSON)."""
    refusal: str | None = None


Speaker = Callable[[Mapping[str, Any], int], Said]
"""What is said to the n-th request (1-based) with this body."""


def always(text: str) -> Speaker:
    return lambda body, number: Said(text)


def one_sentence(body: Mapping[str, Any], number: int) -> Said:
    """What these services say unless told otherwise."""
    return Said("The text of the page.")


@dataclass
class ChatService:
    """POST {prefix}/chat/completions."""

    dialect: str = "openai"
    say: Speaker = one_sentence
    key: str = "secret-of-the-test-0123456789"
    """'' = asks for none."""
    model: str = "maker/model-1"
    usd_per_call: float = 0.002
    prefix: str = "/v1"
    bodies: list[dict[str, Any]] = field(default_factory=list)
    """The requests that were understood."""

    def handlers(self) -> dict[str, Handler]:
        return {f"POST {self.prefix}/chat/completions": self.chat}

    # Answers

    def completion(self, said: Said) -> dict[str, Any]:
        message: dict[str, Any] = {"role": "assistant", "content": said.text, "refusal": said.refusal}
        if said.tool_calls:
            message["content"] = said.text or None
            message["tool_calls"] = [
                {"id": f"call_{number}", "type": "function", "function": {"name": name, "arguments": arguments}}
                for number, (name, arguments) in enumerate(said.tool_calls)
            ]
        usage: dict[str, Any] = dict(USAGE)
        if self.dialect == "openrouter":
            usage |= {"cost": self.usd_per_call, "is_byok": False, "cost_details": {"upstream_inference_cost": None}}
        if self.dialect == "deepinfra":
            usage["estimated_cost"] = self.usd_per_call
        if self.dialect in ("openai", "openrouter"):
            usage["prompt_tokens_details"] = {"cached_tokens": 1000}
            usage["completion_tokens_details"] = {"reasoning_tokens": 100}
        return {
            "id": "chatcmpl-1",
            "object": "chat.completion",
            "created": 1_790_000_000,
            "model": self.model,
            "choices": [{"index": 0, "message": message, "logprobs": None, "finish_reason": said.finish}],
            "usage": usage,
        }

    def answer(self, said: Said) -> Answer:
        return json_answer(self.completion(said), charge_usd=self.usd_per_call, note=said.finish or "?")

    def inside(self, code: int, message: str, error_type: str) -> Answer:
        """OpenRouter: the model had already begun, so the status is 200."""
        error = {"code": code, "message": message, "metadata": {"error_type": error_type}}
        return json_answer({"error": error, "user_id": "user_1"}, note=f"200 with {error_type}")

    def in_choice(self, code: int, message: str) -> Answer:
        """OpenRouter: the model broke off; what it had said is charged."""
        body = self.completion(Said("The text of", "error"))
        body["choices"][0]["error"] = {"code": code, "message": message}
        return json_answer(body, charge_usd=self.usd_per_call, note="200 with an error in the choice")

    @property
    def errors(self) -> Mapping[str, Answer]:
        """Refusals, by what they mean."""
        if self.dialect == "openrouter":

            def error(status: int, message: str, **metadata: Any) -> Answer:
                body = {"error": {"code": status, "message": message, "metadata": metadata}, "user_id": "user_1"}
                return json_answer(body, status, note=str(metadata.get("error_type")))

            return {
                "refused key": error(401, f"No auth credentials found for {self.key}", error_type="authentication"),
                "quota": error(402, "Insufficient credits. Add more", error_type="payment_required"),
                "key limit": error(403, "Key limit exceeded", limit_source="key_limit"),
                "patience": after(
                    error(402, "Too much is in flight for your balance", limit_source="openrouter_in_flight_budget"), 2
                ),
                "rate limited": after(error(429, "Rate limit exceeded", error_type="rate_limit_exceeded"), 3),
                "overloaded": error(503, "Provider overloaded", error_type="provider_overloaded"),
                "server error": error(502, "Upstream error", error_type="provider_unavailable"),
                "not served": error(404, "No endpoints found for maker/none.", error_type="not_found"),
                "rejected": error(413, "Image too large", error_type="image_too_large"),
            }

        def refusal(status: int, message: str, kind: str, code: str | None = None) -> Answer:
            body = {"error": {"message": message, "type": kind, "param": None, "code": code}}
            return json_answer(body, status, note=code or kind)

        return {
            "refused key": refusal(
                401, f"Incorrect API key provided: {self.key}.", "invalid_request_error", "invalid_api_key"
            ),
            "quota": refusal(429, "You exceeded your current quota", "insufficient_quota", "insufficient_quota"),
            "rate limited": after(refusal(429, "Rate limit reached", "requests", "rate_limit_exceeded"), 3),
            "overloaded": refusal(503, "Loading model", "unavailable_error"),
            "server error": refusal(500, "The server had an error", "server_error"),
            "not served": refusal(404, "The model `none` does not exist", "invalid_request_error", "model_not_found"),
            "rejected": refusal(400, "Invalid content", "invalid_request_error"),
        }

    # Requests

    def chat(self, request: Request) -> Answer:
        if self.key and request.headers.get("authorization") != f"Bearer {self.key}":
            return self.errors["refused key"]
        body = request.json
        fault = self.fault(body)
        if fault:
            return json_answer(
                {"error": {"message": fault, "type": "invalid_request_error", "param": None, "code": None}}, 400
            )
        if body["model"] != self.model:
            return self.errors["not served"]
        self.bodies.append(body)
        return self.answer(self.say(body, len(self.bodies)))

    def fault(self, body: Mapping[str, Any]) -> str:
        """What such a service refuses a request for; '' for none."""
        unknown = set(body) - KNOWN - EXTRAS.get(self.dialect, set())
        if unknown:
            return f"Unrecognized request argument supplied: {', '.join(sorted(unknown))}"
        if self.dialect == "openai" and "max_tokens" in body:
            return "Unsupported parameter: 'max_tokens' is not supported with this model."
        if body.get("response_format", {}).get("type", "json_schema") != "json_schema":
            return "'response_format.type' must be 'json_schema'"
        asked: set[str] = set()
        for message in body["messages"]:
            if message["role"] == "tool":
                if message["tool_call_id"] not in asked:
                    return "tool message without a call before it"
                asked.remove(message["tool_call_id"])
                continue
            if asked:
                return "a tool call was left without its result"
            asked = {call["id"] for call in message.get("tool_calls", ())}
            for call in message.get("tool_calls", ()):
                json.loads(call["function"]["arguments"])
            for part in message["content"] if isinstance(message["content"], list) else ():
                if part["type"] == "image_url":
                    self.look(part["image_url"]["url"])
        return ""

    @staticmethod
    def look(url: str) -> tuple[int, int]:
        """Pixels of a picture in a data URL; raises where it is none."""
        head, _, data = url.partition(";base64,")
        with Image.open(io.BytesIO(base64.b64decode(data, validate=True))) as picture:
            picture.load()
            assert head == f"data:image/{str(picture.format).lower()}"
            return picture.size

    def pictures(self) -> list[tuple[int, int]]:
        """Sizes of all pictures that came, in order."""
        return [
            self.look(part["image_url"]["url"])
            for body in self.bodies
            for message in body["messages"]
            if isinstance(message["content"], list)
            for part in message["content"]
            if part["type"] == "image_url"
        ]
