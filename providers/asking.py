"""A question to a language model whose answer is a value of a type, checked; what is wrong goes back to the model, twice.

Schemas are asked for where a service takes them, but never trusted: some ignore them, and none knows what only a check can
see (a page that the book does not have).
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from hashlib import sha256
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from providers.answer_schema import strict_schema
from providers.errors import BadOutput
from providers.language_model import LanguageModel, Message, Question
from providers.ledger import Calls
from schemas.store import digest

M = TypeVar("M", bound=BaseModel)

REPAIRS = 2
"""A model that is told twice what is wrong does not learn it the third time."""
FAULTS = 8
"""Of a faulty answer that are told: more of them are the same one."""
FAULTY_CHARACTERS = 20_000
"""Of a faulty answer that go back: it is paid for again as input."""


async def ask(
    model: LanguageModel,
    asked_model: str,
    question: Question,
    output: type[M],
    check: Callable[[M], list[str]],
    timeout_seconds: float,
    calls: Calls,
) -> M:
    """The model's answer as an `output`, after at most two repair turns.

    Args:
        asked_model: as `model.model` gives it.
        question: its schema is that of `output`, whatever it says.
        check: what is wrong with a value, in sentences that the model is told; [] if nothing is.
        timeout_seconds: of each turn.
        calls: each turn is a paid call, unless an earlier attempt at the same was answered.

    Raises:
        BadOutput: the last answer is as unusable as the first (its calls are noted, it costs nothing by itself), or a model
            refused, or was cut off.
        ProviderError: as `LanguageModel.answer`.
    """
    messages = list(question.messages)
    asked = replace(question, schema=strict_schema(output), schema_name=output.__name__)
    for turn in range(REPAIRS + 1):
        now = replace(asked, messages=tuple(messages))
        # An attempt that fails at a later turn, or a worker that dies there, has paid for this one. The adapters here keep what
        # their calls bring as well, before anybody can die; one of somebody else's need not.
        name = f"answer/{_named(now, asked_model)}"
        text = await calls.recall(name)
        if text is None:
            text = (await model.answer(now, asked_model, timeout_seconds, calls)).text
            await calls.remember(name, text)
        value, faults = _value(text, output)
        if value is not None:
            faults = check(value)
            if not faults:
                return value
        if turn < REPAIRS:
            messages += [Message("assistant", _shortened(text)), Message("user", repair(faults))]
    raise BadOutput(f"{model.name} gave no usable answer in {REPAIRS + 1} turns, the last one: {'; '.join(faults)}")


def repair(faults: list[str]) -> str:
    """What a model is told of an answer that cannot be used."""
    told = "\n".join(f"- {fault}" for fault in faults[:FAULTS])
    return (
        f"This answer cannot be used:\n{told}\n"
        "Answer again: the whole answer with these faults mended, as JSON of the same schema, and nothing else."
    )


def _value(text: str, output: type[M]) -> tuple[M | None, list[str]]:
    """The first JSON in an answer that is an `output`; else what is wrong with the first JSON."""
    first: list[str] = []
    for candidate in json_values(text):
        try:
            return output.model_validate(candidate), []
        except ValidationError as error:
            first = first or _sentences(error)
    return None, first or ["It is no JSON object, or an unfinished one."]


def _sentences(error: ValidationError) -> list[str]:
    said = []
    for each in error.errors(include_url=False, include_context=False):
        where = ".".join(str(part) for part in each["loc"]) or "the answer"
        given = "" if each["type"] == "missing" else f" (you gave {json.dumps(each['input'], default=str)[:80]})"
        said.append(f"{where}: {each['msg']}{given}")
    return said


def json_values(text: str) -> Iterator[Any]:
    """The JSON objects in a text: all of it, or what stands between code fences, or within prose.

    Line breaks inside strings, which local models write, are taken."""
    decoder = json.JSONDecoder(strict=False)
    for part in (text, *re.findall(r"```\w*\s*\n(.*?)```", text, re.DOTALL)):
        try:
            value = decoder.decode(part.strip())
        except ValueError:
            continue
        if isinstance(value, dict):
            yield value
    start = text.find("{")
    while start >= 0:
        try:
            value, end = decoder.raw_decode(text, start)
        except (ValueError, RecursionError):
            end = start + 1
        else:
            yield value
        start = text.find("{", end)


def _named(question: Question, asked_model: str) -> str:
    """A question's name, by all that is asked."""
    messages = [
        [message.role, message.text, [sha256(image.body).hexdigest() for image in message.images]]
        for message in question.messages
    ]
    return digest([asked_model, question.system, messages, question.schema_name, question.schema])[:24]


def _shortened(text: str) -> str:
    return text if len(text) <= FAULTY_CHARACTERS else f"{text[:FAULTY_CHARACTERS]} …"
