"""The conversation with the contents agent, as it lies in the artifact store; and the question that it comes to.

Texts only. The picture of the current page is no part of it: it is put behind the last message each time, so that no picture
of an earlier page is sent, or paid for, again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from activities.toc_find.agent_prompt import NUDGE, UNREADABLE
from activities.toc_find.agent_result import WrittenResult
from providers.language_model import Answer, Image, Message, Question, Tool, ToolCall
from providers.rules.contents import ContentsFound

MOST_CALLS = 6
"""Of one answer; any further ones are left out."""
LABEL_CHARACTERS = 120
VALUE_CHARACTERS = 60


class Call(BaseModel):
    """A tool that the model asks for."""

    model_config = ConfigDict(frozen=True)

    id: str
    name: str
    arguments: dict[str, Any]

    @property
    def label(self) -> str:
        """Tool and arguments on one line: "load_page_image(12)"."""
        shown = [text for value in self.arguments.values() if (text := _short(value))]
        return f"{self.name}({', '.join(shown)})"[:LABEL_CHARACTERS]


class Said(BaseModel):
    """One message."""

    model_config = ConfigDict(frozen=True)

    role: str
    """'user', 'assistant' or 'tool'."""
    text: str = ""
    calls: tuple[Call, ...] = ()
    """Of the assistant."""
    call_id: str = ""
    """Of a tool's answer."""
    short: str = ""
    """Of a tool's answer: in a few words, for people."""


class Conversation(BaseModel):
    """All that was said, and where the agent stands."""

    model_config = ConfigDict(frozen=True)

    rules: ContentsFound
    """What the rules found; it stands if the agent does not decide."""
    pages: tuple[int, ...]
    """Physical pages that may be loaded."""
    messages: tuple[Said, ...]
    page: int | None = None
    """The page that is before the model."""
    observations: dict[int, str] = Field(default_factory=dict)
    """Physical page -> what the model saw there."""
    idle: int = 0
    """Answers without a tool, one after the other, at the end."""
    result: WrittenResult | None = None
    before: str = ""
    """Fingerprint of the conversation that this one continues; '' for the first. Who deletes the book follows it."""

    @property
    def calls(self) -> tuple[Call, ...]:
        """The tools that the model's last answer asks for."""
        for message in reversed(self.messages):
            if message.role == "assistant":
                return message.calls
        return ()

    @property
    def seen(self) -> tuple[int, ...]:
        """Pages that were loaded."""
        current = () if self.page is None else (self.page,)
        return tuple(sorted({*self.observations, *current}))

    def answered(self, answer: Answer) -> Conversation:
        """With the model's answer, and with a nudge where it calls no tool."""
        calls = tuple(
            Call(id=call.id, name=call.name, arguments=dict(call.arguments)) for call in answer.tool_calls[:MOST_CALLS]
        )
        said = [Said(role="assistant", text=answer.text, calls=calls)] if answer.text or calls else []
        return self._with(said, None if calls else NUDGE)

    def unreadable(self, why: str) -> Conversation:
        """With the note that an answer came which is none."""
        return self._with([], UNREADABLE.format(why=why[:300]))

    def _with(self, said: Sequence[Said], nudge: str | None) -> Conversation:
        more = [*said, Said(role="user", text=nudge)] if nudge else said
        return self.model_copy(
            update={"messages": (*self.messages, *more), "idle": self.idle + 1 if nudge else 0},
        )

    def told(self, call: Call, text: str, short: str, **update: Any) -> Conversation:
        """With a tool's answer; `update`: fields that it changes."""
        message = Said(role="tool", text=text, call_id=call.id, short=short[:LABEL_CHARACTERS])
        return self.model_copy(update={"messages": (*self.messages, message), **update})

    def question(
        self, system: str, prompt_hash: str, tools: Sequence[Tool], images: tuple[Image, ...], notes: Sequence[str]
    ) -> Question:
        """What the model is asked next.

        Args:
            images: the current page's; () without one.
            notes: what it is told besides, behind the last message.
        """
        messages: list[Message] = []
        for said in (*self.messages, *(Said(role="user", text=note) for note in notes)):
            if said.role == "user" and messages and messages[-1].role == "user":
                messages[-1] = Message("user", f"{messages[-1].text}\n\n{said.text}")
            else:
                messages.append(_message(said))
        if images:
            text = f"The picture of page {self.page}, which is loaded now."
            if messages[-1].role == "user":
                text = f"{messages.pop().text}\n\n{text}"
            messages.append(Message("user", text, images))
        return Question(system, messages, tools=tools, temperature=0.1, prompt_hash=prompt_hash)


def _message(said: Said) -> Message:
    calls = tuple(ToolCall(call.id, call.name, call.arguments) for call in said.calls)
    return Message(said.role, said.text, tool_calls=calls, tool_call_id=said.call_id)


def _short(value: Any) -> str:
    """A value for a label: words and numbers; of an object its numbers ("5-6"); lists are left out."""
    if isinstance(value, Mapping):
        return "-".join(str(each) for each in value.values() if isinstance(each, int) and not isinstance(each, bool))
    if value is None or isinstance(value, list | tuple):
        return ""
    text = " ".join(str(value).split())
    return text if len(text) <= VALUE_CHARACTERS else f"{text[: VALUE_CHARACTERS - 1]}…"
