"""The contents agent: its conversation, its budgets, what stands when it gives up, and that nothing is asked twice."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import replace
from typing import Any

import pytest
from temporalio.api.sdk.v1 import WorkflowMetadata

from activities.prompts import Prompt
from activities.toc_find import agent_activity
from activities.toc_find.agent_conversation import Call, Conversation
from activities.toc_find.agent_prompt import AGENT_PROMPT, NUDGE
from activities.toc_find.agent_result import AgentFound
from activities.toc_find.tools.base import Desk
from providers.errors import BadOutput, QuotaExhausted, ServerError
from providers.language_model import Answer, Message, Question, ToolCall
from providers.ledger import Calls, Response
from providers.prices import Usage
from providers.queues import QUEUES
from providers.remote_image import PageImage
from providers.source import LeafSource
from schemas.documents import Metric, ToC
from schemas.keys import toc_key
from tests.workflows.conftest import Shelf, progress, until
from worker import make_workers
from workflows.details import GAP

NAME = "openrouter"
LLM = {"toc_find": f"{NAME}/test/model-1"}
PRICE = 0.01
UNSURE = {"pages": [2], "goes_on": True, "structure": None, "confidence": 0.4, "reason": "a list that is cut off"}

Said = str | tuple[str, dict[str, Any]] | list[tuple[str, dict[str, Any]]] | Exception
"""A text, a call, several calls, or what the call ends in."""


def load(page: int, seen: str | None = None) -> tuple[str, dict[str, Any]]:
    return "load_page_image", {"page_num": page, "current_page_observations": seen}


GREP: tuple[str, dict[str, Any]] = ("get_frontmatter_grep_report", {})
TEXT: tuple[str, dict[str, Any]] = ("load_ocr_text", {})


def write(first: int | None, last: int | None = None) -> tuple[str, dict[str, Any]]:
    level = {"level": 1, "visual": "plain", "numbering": None, "has_page_numbers": True, "semantic_type": "chapter"}
    found = first is not None
    return "write_toc_result", {
        "toc_found": found,
        "confidence": 0.9,
        "search_strategy_used": "grep_with_scan" if found else "not_found",
        "reasoning": "A list of tales with page numbers." if found else "There is no such list.",
        "toc_page_range": {"start_page": first, "end_page": last or first} if found else None,
        "structure_summary": {"total_levels": 1, "level_patterns": [level], "consistency_notes": []} if found else None,
    }


class Agent:
    """A model that says what the test wrote for each turn; `looks` are its answers to the one look."""

    name = NAME

    def __init__(self) -> None:
        self.sees = False
        self.price = PRICE
        self.script: Callable[[int], Said] = lambda turn: GREP
        self.turns: list[Question] = []
        self.looks = 0
        self.gate: asyncio.Event | None = None

    def model(self, asked: str) -> str:
        return asked or "default"

    async def answer(self, question: Question, model: str, timeout_seconds: float, calls: Calls) -> Answer:
        if question.schema_name == "Look":
            self.looks += 1
            return await self._paid(Answer(json.dumps(UNSURE), model), calls, question.prompt_hash)
        self.turns.append(question)
        if self.gate is not None:
            await self.gate.wait()
        said = self.script(len(self.turns))
        if isinstance(said, Exception):
            return await self._paid(said, calls, question.prompt_hash)
        if isinstance(said, str):
            return await self._paid(Answer(said, model), calls, question.prompt_hash)
        asked = said if isinstance(said, list) else [said]
        turn = len(self.turns)
        made = tuple(ToolCall(f"{turn}-{at}", name, arguments) for at, (name, arguments) in enumerate(asked))
        return await self._paid(Answer("", model, made), calls, question.prompt_hash)

    async def _paid(self, answer: Answer | Exception, calls: Calls, prompt_hash: str) -> Answer:
        async def send() -> Response[Answer]:
            if isinstance(answer, Exception):
                raise answer
            return Response(answer, Usage(cost_usd=self.price), answer.model)

        return await calls.paid(send, prompt_hash)

    def last(self, turn: int) -> list[Message]:
        """What was new to the model at a turn (from 1)."""
        messages = list(self.turns[turn - 1].messages)
        at = max((at for at, message in enumerate(messages) if message.role == "assistant"), default=-1)
        return messages[at + 1 :]

    async def close(self) -> None:
        return None


class Pictures:
    """The number of the page instead of its picture."""

    def parameters(self) -> Mapping[str, object]:
        return {}

    async def of(self, leaf: LeafSource, timeout_seconds: float) -> PageImage:
        return PageImage(str(leaf.page).encode(), "image/png", 1, 1, None)  # type: ignore[arg-type]

    async def close(self) -> None:
        return None


@pytest.fixture
async def agent(shelf: Shelf) -> AsyncIterator[Agent]:
    made = Agent()
    shelf.services.models[NAME] = made
    row = next(row for row in QUEUES if row.name == NAME)
    shelf.services.queues[NAME] = replace(
        row, usd_per_million_input=1.0, usd_per_million_output=1.0, requests_per_second=None
    )
    shelf.tesseract.texts = {page: [f"Words of page {page} and more of them."] for page in range(1, 13)}
    async with AsyncExitStack() as stack:
        for worker in make_workers(shelf.client, shelf.services, shelf.pdf, [NAME]):  # type: ignore[arg-type]
            await stack.enter_async_context(worker)
        yield made


async def run(shelf: Shelf, **options: Any) -> tuple[str, ToC]:
    """A job whose contents an agent looks for; its book and ToC."""
    result = await shelf.run(12, llm=LLM, second_opinion="", **options)
    assert result.state == "complete"
    return result.book_id, await toc_of(shelf, result.book_id)


async def toc_of(shelf: Shelf, book: str) -> ToC:
    return (await shelf.store.get(ToC, [toc_key(book)]))[toc_key(book)]


def found_of(shelf: Shelf, toc: ToC) -> AgentFound:
    body = shelf.services.artifacts.get(str(toc.flag("toc_find", "artifact")))
    assert body is not None
    return AgentFound.model_validate_json(body)


async def calls_of(shelf: Shelf, book: str) -> list[Metric]:
    return [m for m in await shelf.store.find(Metric, {"book_key": book}) if m.kind == "attempt" and m.provider == NAME]


async def details(shelf: Shelf, epoch: int = 1) -> str:
    """What the Temporal UI shows of the last job's agent."""
    agent = shelf.client.get_workflow_handle(f"{shelf.handles[-1].id}:e{epoch}:toc_find")
    metadata = await agent.query("__temporal_workflow_metadata", result_type=WorkflowMetadata)
    return str(metadata.current_details)


async def test_an_agent_finds_what_the_rules_did_not(shelf: Shelf, agent: Agent) -> None:
    says: list[Said] = [GREP, load(5), load(6), load(6, "a list of tales"), [TEXT, write(5, 6)]]
    agent.script = lambda turn: says[turn - 1]
    book, toc = await run(shelf)
    assert (toc.found, toc.source, toc.pages) == (True, "printed", [5, 6])
    assert toc.reason == (
        f"A list of tales with page numbers. (agent {LLM['toc_find']}, by the words and the pictures of the pages, 90% sure)"
    )
    found = found_of(shelf, toc)
    assert found.structure == "1 level: 1 chapter (plain, with page numbers)"
    assert (found.observations, found.pages_checked) == ({5: "a list of tales"}, [5, 6])
    assert "Not done. Page 5 leaves your sight" in agent.last(4)[0].text
    assert agent.last(3)[0].text.endswith("Words of page 5 and more of them."), "it is blind, so it gets the text"
    calls = await calls_of(shelf, book)
    assert [m.cost_usd for m in calls] == [PRICE] * 5
    assert {m.prompt_hash for m in calls} == {Prompt(AGENT_PROMPT).hash}

    told = (await details(shelf)).replace(GAP, "")
    assert "contents agent · openrouter · the result is written · turn 5 of 15 · 0.0500 of 0.5 USD" in told
    assert "| 4 | load_page_image(6, a list of tales) | page 6, as text | 0.0100 |" in told
    assert "| 3 | load_page_image(6) | refused: Page 5 leaves your sight" in told
    assert "| 5 | load_ocr_text()<br>write_toc_result(True, 0.9, grep_with_scan," in told
    assert "Words of page" not in told

    commits = await shelf.commits()
    again = await shelf.run(12, llm=LLM, second_opinion="")
    assert again.cost_usd == 0
    assert len(agent.turns) == 5
    assert await shelf.commits() == commits


async def test_only_the_picture_of_the_current_page_is_sent(shelf: Shelf, agent: Agent) -> None:
    agent.sees = True
    shelf.services.pictures[NAME] = Pictures()  # type: ignore[assignment]
    says: list[Said] = [GREP, load(5), load(7, "prose"), load(3, "an index"), "Hm.", write(None)]
    agent.script = lambda turn: says[turn - 1]
    _, toc = await run(shelf)
    assert (toc.found, toc.pages) == (False, [])
    pictures = [[image.body for message in asked.messages for image in message.images] for asked in agent.turns]
    assert pictures == [[], [], [b"5"], [b"7"], [b"3"], [b"3"]]
    assert NUDGE in agent.last(6)[-1].text
    for asked in agent.turns:
        roles = [message.role for message in asked.messages]
        assert "user" not in [b for a, b in itertools.pairwise(roles) if a == "user"]


async def test_over_its_turns_the_rules_answer_stands(shelf: Shelf, agent: Agent) -> None:
    agent.script = lambda turn: load(turn % 12 + 1, "nothing")
    book, toc = await run(shelf)
    assert toc.found is False
    assert "gave up: 15 turns used" in str(toc.reason)
    assert len(agent.turns) == len(await calls_of(shelf, book)) == 15
    assert found_of(shelf, toc).decided_by == "rules"
    assert "You may answer 1 more time, this one included." in agent.last(15)[-1].text


async def test_over_its_money_the_rules_answer_stands(shelf: Shelf, agent: Agent) -> None:
    agent.price = 0.2
    book, toc = await run(shelf)
    assert "0.4000 of 0.5 USD used in 2 turns" in str(toc.reason)
    assert sum(m.cost_usd or 0 for m in await calls_of(shelf, book)) == pytest.approx(0.4), "a third might be too much"


async def test_a_model_that_calls_no_tool_is_nudged_three_times(shelf: Shelf, agent: Agent) -> None:
    says: list[Said] = ["Let me think.", BadOutput("it was cut off"), "I believe it is on page 5."]
    agent.script = lambda turn: says[turn - 1]
    _, toc = await run(shelf)
    assert "called no tool 3 times in a row" in str(toc.reason)
    assert "it was cut off" in agent.last(3)[-1].text


async def test_what_was_said_is_not_asked_again_after_a_pause(shelf: Shelf, agent: Agent) -> None:
    """The look did not decide; then the credit ends at the agent's second turn, and comes back."""
    contents = ["CONTENTS", "The First Part . . . . 4", "The Second Part . . . . 7", "The Third Part . . . . 9"]
    shelf.tesseract.texts = {**shelf.tesseract.texts, 2: contents}
    says: dict[int, Said] = {1: load(2), 2: QuotaExhausted("no credit is left"), 3: write(2)}
    agent.script = says.__getitem__
    handle = await shelf.start(12, llm=LLM, second_opinion="")

    async def is_paused() -> bool:
        return (await progress(handle)).state == "paused"

    await until(is_paused)
    assert (await progress(handle)).reason.startswith("QuotaExhausted: no credit is left")
    book = (await progress(handle)).book_id
    toc = await toc_of(shelf, book)
    assert not toc.flag("toc_find", "complete"), "the look alone is no result"
    assert sorted(m.cost_usd or 0.0 for m in await calls_of(shelf, book)) == [0.0, PRICE, PRICE], (
        "refused, look, turn 1"
    )

    await handle.signal("resume")
    result = await handle.result()
    assert result.state == "complete"
    assert result.cost_usd == pytest.approx(3 * PRICE), "what was spent before the pause counts"
    assert (await toc_of(shelf, book)).pages == [2]
    assert agent.looks == 1
    assert len(agent.turns) == 3
    assert agent.turns[1] == agent.turns[2]
    assert sorted(m.cost_usd or 0.0 for m in await calls_of(shelf, book)) == [0.0, PRICE, PRICE, PRICE]


async def test_when_the_job_pauses_it_ends_after_its_turn_and_goes_on_there_later(shelf: Shelf, agent: Agent) -> None:
    agent.gate = asyncio.Event()
    says: list[Said] = [GREP, write(None)]
    agent.script = lambda turn: says[turn - 1]
    with shelf.env.auto_time_skipping_disabled():
        handle = await shelf.start(12, llm=LLM, second_opinion="")
        await until(lambda: agent.turns)
        child = shelf.client.get_workflow_handle(f"{handle.id}:e1:toc_find")
        await handle.signal("pause", "the machine is needed")

        async def is_told() -> bool:
            events = (await child.fetch_history()).events
            return any(event.HasField("workflow_execution_signaled_event_attributes") for event in events)

        await until(is_told)
        agent.gate.set()

        async def is_paused() -> bool:
            return (await progress(handle)).state == "paused"

        await until(is_paused)
    assert (await progress(handle)).reason == "the machine is needed"
    assert len(agent.turns) == 1
    await handle.signal("resume")
    result = await handle.result()
    assert result.state == "complete"
    assert len(agent.turns) == 2
    assert len(await calls_of(shelf, result.book_id)) == 2
    assert "turn 2 of 15 · 0.0200 of 0.5 USD" in await details(shelf, 2), "what was said before counts"


async def test_a_provider_that_fails_leaves_the_rules_answer(shelf: Shelf, agent: Agent) -> None:
    attempts = shelf.services.queues[NAME].max_attempts

    agent.script = lambda turn: GREP if turn == 1 else ServerError("it is on fire")
    book, toc = await run(shelf)
    assert "gave up: turn 2: ServerError: it is on fire" in str(toc.reason)
    assert len(agent.turns) == 1 + attempts
    assert sorted(m.outcome or "" for m in await calls_of(shelf, book)) == [*["failed"] * attempts, "ok"]


async def test_a_fault_of_a_tool_ends_the_agent_and_not_the_book(
    shelf: Shelf, agent: Agent, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(desk: Desk, call: Call) -> Conversation:
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr(agent_activity, "run", broken)
    _, toc = await run(shelf)
    assert "gave up: turn 1: ZeroDivisionError: a bug" in str(toc.reason)
    assert len(agent.turns) == 1


async def test_it_is_told_what_a_person_said_of_the_book(shelf: Shelf, agent: Agent) -> None:
    book = (await shelf.run(12, second_opinion="")).book_id
    said = {"field": "prompt:toc_find", "value": "The contents are a poem."}
    await shelf.run(workflow="Correct", book_id=book, who="a person", corrections=[said])
    agent.script = lambda turn: write(None)
    await shelf.run(workflow="RunOperations", book_id=book, operations=["toc_find"], llm=LLM)
    assert "The contents are a poem." in agent.turns[0].messages[0].text
