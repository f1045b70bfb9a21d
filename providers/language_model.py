"""What a language model looks like to the operations, whoever serves it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from providers.ledger import Calls


@dataclass(frozen=True, slots=True)
class Image:
    """A picture in a message."""

    body: bytes
    media_type: str = "image/png"


@dataclass(frozen=True, slots=True)
class ToolCall:
    """What a model asks for."""

    id: str
    name: str
    arguments: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Message:
    """One message of a conversation; the system prompt stands apart (`Question.system`)."""

    role: str
    """'user', 'assistant', or 'tool' (the result of a call)."""
    text: str = ""
    images: tuple[Image, ...] = ()
    """Of the user, in order, before the text."""
    tool_calls: tuple[ToolCall, ...] = ()
    """Of the assistant."""
    tool_call_id: str = ""
    """Of a tool's result: which call it answers."""


@dataclass(frozen=True, slots=True)
class Tool:
    """A function that a model may ask for."""

    name: str
    description: str
    parameters: Mapping[str, Any]
    """JSON schema of its arguments, an object."""


@dataclass(frozen=True, slots=True)
class Question:
    """One call: everything that may change the answer."""

    system: str
    messages: Sequence[Message]
    schema: Mapping[str, Any] | None = None
    """JSON schema that the answer's text must satisfy; None = plain text."""
    schema_name: str = "answer"
    tools: Sequence[Tool] = ()
    max_tokens: int = 4096
    temperature: float | None = None
    """None = the model's own; left out where a service refuses it."""
    prompt_hash: str = ""
    """Hash of the prompt's version, for the Metric."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a model said."""

    text: str
    model: str
    """As the response names it."""
    tool_calls: tuple[ToolCall, ...] = field(default=())


class LanguageModel(Protocol):
    """A service of language models. One adapter file per protocol; rows in `providers/queues.py`."""

    name: str
    sees: bool
    """Whether images may be sent."""

    def model(self, asked: str) -> str:
        """The model that is asked: the one named, else the row's. Raises BadInput where there is none."""

    async def answer(self, question: Question, model: str, timeout_seconds: float, calls: Calls) -> Answer:
        """One call (one note in `calls`). Raises a ProviderError; BadOutput where the answer is cut off, refused or
        empty, its cost noted. That the text satisfies the schema is for the caller to check."""

    async def close(self) -> None: ...
