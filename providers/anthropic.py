"""Claude, by Anthropic's Messages API of version 2026-10-21 (facts/providers.md A.5). Written by its documentation and its
own client, never called live.

That version refuses `temperature`, `top_p` and `top_k`, whatever they say: a question's temperature is left out.
"""

from __future__ import annotations

import asyncio
import io
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from providers.answer_schema import portable_schema
from providers.classify import unreadable
from providers.errors import BadOutput, Rejected
from providers.language_model import Answer, Image, Message, Question, ToolCall
from providers.ledger import Calls, Response
from providers.model_service import Check, ModelService, Refused, base64_of, mapping, tokens
from providers.prices import Usage
from providers.queues import ProviderQueue
from schemas.http import Reply

VERSION = "2026-10-21"

FINISHED = {"end_turn", "stop_sequence", "tool_use"}
WHY = {
    "max_tokens": "it was cut off at the limit of tokens",
    "model_context_window_exceeded": "it was cut off at the end of the model's context",
}
"""`stop_reason`: of answers that are none."""

FEW_IMAGES = 20
"""In a request of more, images must be smaller."""
SIZES = re.compile(r"(\d{2,5})\s*(?:x|×|by)\s*(\d{2,5})")
TOO_LARGE = re.compile(
    r"image.*(?:dimension|too large|exceed|pixel|maximum)|dimension.*image", re.IGNORECASE | re.DOTALL
)


class Anthropic(ModelService):
    """`LanguageModel` over `POST {base_url}/v1/messages`."""

    def __init__(self, row: ProviderQueue) -> None:
        super().__init__(row)
        self._sides: dict[str, int] = {}
        """Model -> the longest side in pixels that it told us, so that the next page need not be refused first."""

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
        """One call, as `LanguageModel.answer`; a second one, with smaller images, where the first was refused for their size.

        Args:
            what: the page and its book, for messages.
            check: an answer with a fault is noted as BadOutput, with its cost, and raised.
        """
        key = self.service.key()

        async def call(asked: Question) -> Answer:
            headers = {"x-api-key": key, "anthropic-version": VERSION}
            body = self.body(asked, model)
            return await self.ask(asked, model, "/v1/messages", body, headers, timeout_seconds, calls, check, what)

        if model in self._sides:
            question = await _shrunk(question, self._sides[model])
        try:
            return await call(question)
        except Rejected as error:
            side, of_any_image = largest_side(error.raw)
            images = sum(len(message.images) for message in question.messages)
            if side is None or not images:
                raise
            if of_any_image and images <= FEW_IMAGES:
                self._sides[model] = side
            question = await _shrunk(question, side)
        return await call(question)

    def body(self, question: Question, model: str) -> dict[str, Any]:
        """The request."""
        body: dict[str, Any] = {
            "model": model,
            "max_tokens": question.max_tokens,
            "messages": _messages(question.messages),
        }
        if question.system:
            body["system"] = question.system
        if question.schema is not None:
            body["output_config"] = {
                "format": {"type": "json_schema", "schema": portable_schema(question.schema, typed_values=False)}
            }
        if question.tools:
            body["tools"] = [
                {"name": tool.name, "description": tool.description, "input_schema": dict(tool.parameters)}
                for tool in question.tools
            ]
        return body

    def ended(self, said: Mapping[str, Any]) -> Any:
        return said.get("stop_reason")

    def read(
        self, reply: Reply, said: Mapping[str, Any], asked: str, check: Check | None, what: str
    ) -> Response[Answer]:
        usage = usage_of(mapping(said.get("usage")))
        model = str(said.get("model") or asked)
        if said.get("type") == "error" or said.get("error"):
            raise self.error_inside(reply, said.get("error"), None, model, usage, what)
        content, ended = said.get("content"), said.get("stop_reason")
        if not isinstance(content, list):
            raise self.priced(unreadable(self.row, reply, "no content", what), model, usage)
        if ended == "refusal":
            why = mapping(said.get("stop_details")).get("category") or "no reason given"
            raise self.bad_output(Refused, f"the model refused ({why})", reply, model, usage, what)
        if ended not in FINISHED:
            fault = WHY.get(str(ended), f"it ended with {ended!r} instead of the end of its turn")
            raise self.bad_output(BadOutput, fault, reply, model, usage, what)
        blocks = [mapping(block) for block in content]
        text = "".join(str(block.get("text") or "") for block in blocks if block.get("type") == "text").strip()
        tool_calls = tuple(
            ToolCall(str(block.get("id")), str(block.get("name")), dict(mapping(block.get("input"))))
            for block in blocks
            if block.get("type") == "tool_use"
        )
        return self.accepted(reply, Answer(text, model, tool_calls), usage, check, what)


def usage_of(usage: Mapping[str, Any]) -> Usage:
    """What an answer's `usage` says: `input_tokens` are only those that met no cache."""
    parts = [tokens(usage.get(f"{name}input_tokens")) for name in ("", "cache_creation_", "cache_read_")]
    return Usage(
        input_tokens=None if parts[0] is None else sum(part or 0 for part in parts),
        output_tokens=tokens(usage.get("output_tokens")),
        cached_tokens=parts[2],
    )


def _messages(messages: Sequence[Message]) -> list[dict[str, Any]]:
    """User and assistant in turn: the results of all tools that were asked for at once go into one message, and what the
    user adds follows them there."""
    made: list[dict[str, Any]] = []
    for message in messages:
        role = "assistant" if message.role == "assistant" else "user"
        if made and made[-1]["role"] == role:
            made[-1]["content"] += _blocks(message)
        else:
            made.append({"role": role, "content": _blocks(message)})
    return made


def _blocks(message: Message) -> list[dict[str, Any]]:
    if message.role == "tool":
        return [{"type": "tool_result", "tool_use_id": message.tool_call_id, "content": message.text}]
    blocks: list[dict[str, Any]] = [
        {
            "type": "image",
            "source": {"type": "base64", "media_type": image.media_type, "data": base64_of(image)},
            # Else a page that is larger than the model's eye is made smaller without a word.
            "transformations": {"oversized_image": "error"},
        }
        for image in message.images
    ]
    if message.text:  # an empty block is refused
        blocks.append({"type": "text", "text": message.text})
    blocks += [
        {"type": "tool_use", "id": call.id, "name": call.name, "input": dict(call.arguments)}
        for call in message.tool_calls
    ]
    return blocks


# Images


def largest_side(raw: bytes) -> tuple[int | None, bool]:
    """(side, whether that holds for images of any shape): pixels of the largest image that will do, as the refusal of a larger
    one says; (None, False) where it is no such refusal."""
    try:
        error = mapping(mapping(json.loads(raw)).get("error"))
    except ValueError:
        return None, False
    if side := tokens(mapping(error.get("details")).get("max_side_length_pixels")):
        return side, True
    message = str(error.get("message") or "")
    sizes = [max(int(wide), int(high)) for wide, high in SIZES.findall(message)]
    # The image's own size, and the largest of its shape that fits.
    return (min(sizes), False) if len(sizes) >= 2 and TOO_LARGE.search(message) else (None, False)


async def _shrunk(question: Question, side: int) -> Question:
    """The question with no side of an image longer than that."""

    def shrink() -> list[Message]:
        return [
            replace(message, images=tuple(_smaller(image, side) for image in message.images))
            for message in question.messages
        ]

    return replace(question, messages=await asyncio.to_thread(shrink))


def _smaller(image: Image, side: int) -> Image:
    """The image with no side longer than that."""
    from PIL import Image as Pictures

    with Pictures.open(io.BytesIO(image.body)) as picture:
        kind = picture.format or "PNG"
        if max(picture.size) <= side:
            return image
        factor = side / max(picture.size)
        size = (max(1, int(picture.width * factor)), max(1, int(picture.height * factor)))
        body = io.BytesIO()
        picture.resize(size, Pictures.Resampling.LANCZOS).save(
            body, kind, **({"quality": 90} if kind == "JPEG" else {})
        )
    return Image(body.getvalue(), image.media_type)
