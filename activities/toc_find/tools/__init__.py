"""The contents agent's tools: one file each, pure functions over a conversation and the texts of pages.

What a tool refuses, it refuses in a sentence that the model can act on; nothing that a model asks for raises.
"""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ValidationError

from activities.toc_find.agent_conversation import Call, Conversation
from activities.toc_find.tools import grep_report, load_ocr_text, load_page_image, write_toc_result
from activities.toc_find.tools.base import AgentTool, Desk, Refused
from providers.answer_schema import strict_schema
from providers.language_model import Tool

TOOLS: dict[str, AgentTool[Any]] = {
    module.TOOL.name: module.TOOL for module in (grep_report, load_page_image, load_ocr_text, write_toc_result)
}


def offered() -> list[Tool]:
    """The tools as a model is told of them."""
    return [Tool(tool.name, tool.description, _parameters(tool.arguments)) for tool in TOOLS.values()]


def run(desk: Desk, call: Call) -> Conversation:
    """The conversation with the answer of the tool that was called, or with the reason why it did nothing."""
    tool = TOOLS.get(call.name)
    if tool is None:
        return _refused(desk, call, f"There is no tool {call.name!r}. There are: {', '.join(TOOLS)}.")
    try:
        ran = tool.run(desk, tool.arguments.model_validate(call.arguments))
    except ValidationError as error:
        return _refused(desk, call, f"The arguments of {call.name} do not fit: {'; '.join(_faults(error))}.")
    except Refused as refused:
        return _refused(desk, call, str(refused))
    return desk.conversation.told(call, ran.text, ran.short, **ran.update)


def _refused(desk: Desk, call: Call, why: str) -> Conversation:
    return desk.conversation.told(call, f"Not done. {why}", f"refused: {why}")


def _faults(error: ValidationError) -> list[str]:
    return [
        f"{'.'.join(map(str, each['loc'])) or 'arguments'}: {each['msg']}"
        for each in error.errors(include_url=False, include_context=False, include_input=False)
    ]


def _parameters(arguments: type[BaseModel]) -> dict[str, Any]:
    if not arguments.model_fields:
        return {"type": "object", "properties": {}, "required": [], "additionalProperties": False}
    return strict_schema(arguments)
