"""Typed answers: what is taken, what goes back to the model, and when it ends."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest
from pydantic import BaseModel, Field

from providers.answer_schema import strict_schema
from providers.asking import FAULTY_CHARACTERS, ask, json_values
from providers.errors import BadOutput, Overloaded, ProviderError
from providers.language_model import Answer, Message, Question
from providers.ledger import Calls, Ledger, Response
from providers.prices import Usage
from tests.providers.remote.model_calls import ledger, png, question, row_of


class Page(BaseModel):
    """What is printed at the edges of a page."""

    number: str | None
    confidence: float = Field(ge=0, le=1)


GOOD = '{"number": "17", "confidence": 0.9}'


class ScriptedModel:
    """Says one thing after the other; an error is raised."""

    name = "scripted"
    sees = True

    def __init__(self, *said: str | ProviderError) -> None:
        self.said = list(said)
        self.asked: list[Question] = []

    def model(self, asked: str) -> str:
        return asked

    async def answer(self, question: Question, model: str, timeout_seconds: float, calls: Calls) -> Answer:
        self.asked.append(question)
        said = self.said[len(self.asked) - 1]

        async def send() -> Response[Answer]:
            if isinstance(said, ProviderError):
                raise said
            return Response(Answer(said, model), Usage(cost_usd=0.01), model, said.encode())

        return await calls.paid(send, question.prompt_hash)

    async def close(self) -> None: ...


@pytest.fixture
def calls(tmp_path: Path) -> Ledger:
    return ledger(tmp_path, row_of("openai", "http://127.0.0.1:1"))


def nothing_wrong(page: Page) -> list[str]:
    return []


async def test_a_good_answer_is_one_call(calls: Ledger) -> None:
    model = ScriptedModel(GOOD)
    asked = question(messages=(Message("user", "Look.", (png(),)),))
    assert await ask(model, "m", asked, Page, nothing_wrong, 20, calls) == Page(number="17", confidence=0.9)
    assert model.asked[0].schema == strict_schema(Page)
    assert (model.asked[0].schema_name, model.asked[0].prompt_hash) == ("Page", "p1")
    assert [(note["cost_usd"], note["prompt_hash"]) for note in calls.made] == [(0.01, "p1")]


async def test_what_is_wrong_goes_back_with_the_faulty_answer(calls: Ledger) -> None:
    model = ScriptedModel('{"number": 17, "confidence": 4}', '{"number": "99", "confidence": 1}', GOOD)

    def check(page: Page) -> list[str]:
        return [f"page {page.number} is not in the text"] if page.number == "99" else []

    asked = question(messages=(Message("user", "Look.", (png(),)),))
    assert (await ask(model, "m", asked, Page, check, 20, calls)).number == "17"
    first, second, third = (each.messages for each in model.asked)
    assert (len(first), len(second), len(third)) == (1, 3, 5)
    assert third[0].images, "the page stays before the model's eyes"
    assert [message.role for message in third] == ["user", "assistant", "user", "assistant", "user"]
    assert second[1].text == '{"number": 17, "confidence": 4}'
    assert "- number: Input should be a valid string (you gave 17)" in second[2].text
    assert "- confidence: Input should be less than or equal to 1 (you gave 4)" in second[2].text
    assert "- page 99 is not in the text" in third[4].text
    assert len(calls.made) == 3, "each turn is paid and noted"


async def test_after_two_repairs_it_ends(calls: Ledger) -> None:
    model = ScriptedModel("No.", "{", '{"number": null}', GOOD)
    with pytest.raises(BadOutput, match=r"3 turns, the last one: confidence: Field required") as raised:
        await ask(model, "m", question(), Page, nothing_wrong, 20, calls)
    assert len(model.asked) == 3
    assert raised.value.cost_usd == 0.0, "its calls are noted already"
    assert sum(note["cost_usd"] for note in calls.made) == pytest.approx(0.03)


@pytest.mark.parametrize("error", [Overloaded("busy"), BadOutput("it was cut off", cost_usd=0.01)])
async def test_a_failed_call_is_no_turn(calls: Ledger, error: ProviderError) -> None:
    model = ScriptedModel("No.", error, GOOD)
    with pytest.raises(type(error)):
        await ask(model, "m", question(), Page, nothing_wrong, 20, calls)
    assert len(model.asked) == 2


async def test_a_turn_that_was_answered_is_not_paid_again(tmp_path: Path) -> None:
    """The worker died at the second turn, or the provider was too busy for it."""
    row = row_of("openai", "http://127.0.0.1:1")
    asked = question(messages=(Message("user", "Look.", (png(),)),))
    with pytest.raises(Overloaded):
        await ask(ScriptedModel("No.", Overloaded("busy")), "m", asked, Page, nothing_wrong, 20, ledger(tmp_path, row))
    model = ScriptedModel(GOOD)
    assert (await ask(model, "m", asked, Page, nothing_wrong, 20, ledger(tmp_path, row))).number == "17"
    assert [message.text for message in model.asked[0].messages][:2] == ["Look.", "No."]
    # Another question of the same item is another one.
    other = question(messages=(Message("user", "Look.", (png(41),)),))
    assert (await ask(ScriptedModel(GOOD), "m", other, Page, nothing_wrong, 20, ledger(tmp_path, row))).number == "17"


async def test_an_endless_faulty_answer_is_not_paid_twice(calls: Ledger) -> None:
    model = ScriptedModel("x" * 100_000, GOOD)
    await ask(model, "m", question(), Page, nothing_wrong, 20, calls)
    assert len(model.asked[1].messages[1].text) <= FAULTY_CHARACTERS + 2


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (GOOD, [GOOD]),
        (f"```json\n{GOOD}\n```", [GOOD]),
        (f"Here it is:\n```\n{GOOD}\n```\nAnything else?", [GOOD]),
        (f"Sure! {GOOD} I hope {{that}} helps.", [GOOD]),
        ('{"text": "two\nlines"}', ['{"text": "two\\nlines"}']),
        ("[1, 2]", []),
        ('{"number": "17"', []),
        ("Nothing.", []),
        ("{" * 5000, []),
    ],
)
def test_json_is_found_where_models_put_it(text: str, expected: Sequence[str]) -> None:
    found = list(json_values(text))
    assert found[:1] == [json.loads(each) for each in expected]


async def test_the_object_that_fits_is_taken(calls: Ledger) -> None:
    model = ScriptedModel(f'Given {{"book": "x"}} I say {GOOD}.')
    assert (await ask(model, "m", question(), Page, nothing_wrong, 20, calls)).number == "17"


def test_an_object_of_any_fields_cannot_be_asked_for() -> None:
    class Loose(BaseModel):
        counts: dict[str, int]

    with pytest.raises(TypeError, match="any fields"):
        strict_schema(Loose)


class Node(BaseModel):
    name: str
    below: list[Node] = Field(description="Those within.")
    above: Node | None = Field(None, description="That around it.")


def test_a_type_within_itself_has_a_schema() -> None:
    assert strict_schema(Node)["$defs"]["Node"]["required"] == ["name", "below", "above"]
