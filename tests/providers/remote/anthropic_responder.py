"""The other end of Anthropic's Messages API, version 2026-10-21: what it checks, answers, charges, and how it refuses.

Shapes from its documentation and client (test_model_sdk_oracles.py parses these answers with Anthropic's own types).
"""

from __future__ import annotations

import base64
import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from PIL import Image

from tests.providers.remote.server import Answer, Handler, Request, after, json_answer

KNOWN = {"model", "max_tokens", "messages", "system", "tools", "output_config"}
USAGE = {
    "input_tokens": 200,
    "cache_creation_input_tokens": 300,
    "cache_read_input_tokens": 500,
    "output_tokens": 150,
    "service_tier": "standard",
}


@dataclass(frozen=True, slots=True)
class Said:
    """What the model says to one question."""

    text: str = ""
    stop: str = "end_turn"
    tool_uses: tuple[tuple[str, Mapping[str, Any]], ...] = ()


Speaker = Callable[[Mapping[str, Any], int], Said]


def always(text: str) -> Speaker:
    return lambda body, number: Said(text)


def one_sentence(body: Mapping[str, Any], number: int) -> Said:
    """What these services say unless told otherwise."""
    return Said("The text of the page.")


@dataclass
class MessagesService:
    """POST /v1/messages."""

    say: Speaker = one_sentence
    key: str = "secret-of-the-test-0123456789"
    model: str = "claude-haiku-5-5"
    usd_per_call: float = 0.0002
    largest_side: int = 8000
    """Pixels, of what the model sees without shrinking it."""
    bodies: list[dict[str, Any]] = field(default_factory=list)
    pictures: list[tuple[int, int]] = field(default_factory=list)
    """Sizes of all that were looked at."""

    def handlers(self) -> dict[str, Handler]:
        return {"POST /v1/messages": self.messages}

    # Answers

    def message(self, said: Said) -> dict[str, Any]:
        content: list[dict[str, Any]] = [{"type": "text", "text": said.text, "citations": None}] if said.text else []
        content += [
            {"type": "tool_use", "id": f"toolu_{number}", "name": name, "input": dict(arguments)}
            for number, (name, arguments) in enumerate(said.tool_uses)
        ]
        return {
            "id": "msg_1",
            "type": "message",
            "role": "assistant",
            "model": self.model,
            "content": content,
            "stop_reason": said.stop,
            "stop_sequence": None,
            "stop_details": {"type": "refusal", "category": "cyber", "explanation": None}
            if said.stop == "refusal"
            else None,
            "usage": USAGE,
        }

    def answer(self, said: Said) -> Answer:
        return json_answer(
            self.message(said),
            headers={"request-id": "req_1"},
            charge_usd=self.usd_per_call,
            note=said.stop,
        )

    @staticmethod
    def error(status: int, kind: str, message: str, **details: Any) -> Answer:
        error: dict[str, Any] = {"type": kind, "message": message}
        if details:
            error["details"] = details
        return json_answer({"type": "error", "error": error, "request_id": "req_1"}, status, note=kind)

    @property
    def errors(self) -> Mapping[str, Answer]:
        """Refusals, by what they mean."""
        return {
            "refused key": self.error(401, "authentication_error", f"invalid x-api-key {self.key}"),
            "permission": self.error(403, "permission_error", "Your key may not use this resource"),
            "no credit": self.error(400, "invalid_request_error", "Your credit balance is too low to access the API."),
            "billing": self.error(402, "billing_error", "There is a problem with your billing."),
            "spend limit": self.error(
                429, "rate_limit_error", "Usage is over the limit", error_code="enforced_spend_limit_reached"
            ),
            "rate limited": after(self.error(429, "rate_limit_error", "Number of requests exceeded"), 3),
            "ramp": after(
                self.error(429, "rate_limit_error", "Slow growth, please", error_code="ramp_limit_exceeded"), 7
            ),
            "overloaded": self.error(529, "overloaded_error", "Overloaded"),
            "server error": self.error(500, "api_error", "Internal server error"),
            "gateway": self.error(504, "timeout_error", "Timed out"),
            "not served": self.error(404, "not_found_error", "model: none"),
            "rejected": self.error(400, "invalid_request_error", "messages: at least one message is required"),
            "too large": Answer(413, b"<html><head><title>413 Request Entity Too Large</title></head></html>"),
        }

    # Requests

    def messages(self, request: Request) -> Answer:
        if request.headers.get("x-api-key") != self.key:
            return self.errors["refused key"]
        if request.headers.get("anthropic-version") != "2026-10-21":
            return self.error(400, "invalid_request_error", "anthropic-version: not a version")
        body = request.json
        if unknown := set(body) - KNOWN:
            return self.error(400, "invalid_request_error", f"{sorted(unknown)[0]}: Extra inputs are not permitted")
        if body["model"] != self.model:
            return self.errors["not served"]
        if fault := self.fault(body):
            return self.error(400, "invalid_request_error", fault)
        sizes = [self.look(block) for message in body["messages"] for block in message["content"]]
        for number, size in enumerate(sizes):
            if size is not None and max(size) > self.largest_side:
                return self.too_many_pixels(size, number)
        self.pictures += [size for size in sizes if size is not None]
        self.bodies.append(body)
        return self.answer(self.say(body, len(self.bodies)))

    def too_many_pixels(self, size: tuple[int, int], number: int) -> Answer:
        return self.error(
            400,
            "invalid_request_error",
            f"messages.0.content.{number}: an image exceeds {self.largest_side} pixels",
            error_code="image_dimensions_too_large",
            max_side_length_pixels=self.largest_side,
            paths=[f"messages.0.content.{number}"],
        )

    @staticmethod
    def fault(body: Mapping[str, Any]) -> str:
        """What the API refuses a request for; '' for none."""
        open_calls: set[str] = set()
        before = "assistant"
        for message in body["messages"]:
            if message["role"] == before:
                return "roles must alternate"
            before = message["role"]
            blocks = message["content"]
            if not blocks:
                return "content must not be empty"
            results = [block["tool_use_id"] for block in blocks if block["type"] == "tool_result"]
            if set(results) != open_calls:
                return "each tool_use needs its tool_result in the next message"
            if [block["type"] for block in blocks[: len(results)]] != ["tool_result"] * len(results):
                return "tool_result blocks come first"
            if any(block["type"] == "text" and not block["text"] for block in blocks):
                return "text content blocks must be non-empty"
            open_calls = {block["id"] for block in blocks if block["type"] == "tool_use"}
        return ""

    @staticmethod
    def look(block: Mapping[str, Any]) -> tuple[int, int] | None:
        if block["type"] != "image":
            return None
        assert block["transformations"] == {"oversized_image": "error"}
        with Image.open(io.BytesIO(base64.b64decode(block["source"]["data"], validate=True))) as picture:
            picture.load()
            assert block["source"]["media_type"] == f"image/{str(picture.format).lower()}"
            return picture.size
