"""What a tool is, and what it works on."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from pydantic import BaseModel

from activities.toc_find.agent_conversation import Conversation
from schemas.reading import PageReading

A = TypeVar("A", bound=BaseModel)


class Refused(Exception):
    """A tool does not do what it was asked for; the message tells the model what to do instead."""


@dataclass(frozen=True, slots=True)
class Desk:
    """What lies before a tool."""

    conversation: Conversation
    readings: Mapping[int, PageReading]
    """Physical page -> blended reading, of the pages that may be loaded and were read."""
    sees: bool
    """Whether the model is sent pictures."""


@dataclass(frozen=True, slots=True)
class Ran:
    """What a tool did."""

    text: str
    """The answer to the model."""
    short: str
    """The same in a few words, for people."""
    update: Mapping[str, Any] = field(default_factory=dict)
    """Fields of the conversation that it changes."""


@dataclass(frozen=True, slots=True)
class AgentTool(Generic[A]):
    """A function that the model may call."""

    name: str
    description: str
    arguments: type[A]
    run: Callable[[Desk, A], Ran]
    """Raises Refused."""
