"""Operations that a language model does: chosen per operation, typed, priced, and the rules where its answer is of no use."""

from __future__ import annotations

import base64
import json
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from temporalio.client import WorkflowFailureError

from activities.choosing import Chooser
from activities.contracts import JobResult, ResolveInput
from activities.prompts import OWN, Prompt
from providers.language_model import Answer, Question
from providers.ledger import Calls, Response
from providers.prices import Usage
from providers.queues import QUEUES
from schemas.documents import Book, Budget, Metric, ToC, TocEntry
from schemas.errors import BadInput
from schemas.keys import toc_key
from schemas.reading import PageReading
from tests.workflows.conftest import Shelf

NAME = "openrouter"
SPEC = f"{NAME}/test/model-1"
PRICE = 0.001


class Model:
    """A language model in the test's hands: answers by the kind of answer that is wanted; sees nothing."""

    name = NAME
    sees = False

    def __init__(self) -> None:
        self.asked: list[Question] = []
        self.answers: dict[str, Callable[[Question], Any]] = {}

    def model(self, asked: str) -> str:
        return asked or "default"

    async def answer(self, question: Question, model: str, timeout_seconds: float, calls: Calls) -> Answer:
        self.asked.append(question)
        speak = self.answers.get(question.schema_name)
        said = speak(question) if speak is not None else "no idea"
        text = said if isinstance(said, str) else json.dumps(said)

        async def send() -> Response[Answer]:
            return Response(Answer(text, model), Usage(cost_usd=PRICE, input_tokens=100, output_tokens=10), model)

        return await calls.paid(send, question.prompt_hash)

    async def close(self) -> None:
        return None

    def count(self) -> Counter[str]:
        return Counter(question.schema_name for question in self.asked)


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without one no worker serves its queue."""
    monkeypatch.setenv("OPENROUTER_API_KEY", "of-the-test")


@pytest.fixture
async def model(shelf: Shelf) -> Model:
    made = Model()
    shelf.services.models[NAME] = made
    row = next(row for row in QUEUES if row.name == NAME)
    # The price is declared, and no test waits for a rate.
    shelf.services.queues[NAME] = replace(
        row, usd_per_million_input=1.0, usd_per_million_output=1.0, requests_per_second=None
    )
    return made


def no_corrections(question: Question) -> dict[str, Any]:
    return {"corrections": [], "whole_text": None, "confidence": 0.9}


async def attempts(shelf: Shelf, book: str) -> list[Metric]:
    return [m for m in await shelf.store.find(Metric, {"book_key": book}) if m.kind == "attempt" and m.provider == NAME]


async def test_a_model_corrects_the_blend_and_every_word_says_who(shelf: Shelf, model: Model) -> None:
    shelf.tesseract.texts = {1: ["The cat sal on the mat", "and purred all day"]}

    def correct(question: Question) -> dict[str, Any]:
        changes = [{"line": 1, "original": "sal", "replacement": "sat", "reason": "no word"}]
        changes.append({"line": None, "original": "dog", "replacement": "cow", "reason": "a whim"})
        return {
            "corrections": changes if "sal" in question.messages[0].text else [],
            "whole_text": None,
            "confidence": 1,
        }

    model.answers["Proofread"] = correct
    result = await shelf.run(2, llm={"blend": SPEC}, second_opinion="")
    page = (await shelf.pages(result.book_id))[1]
    assert page.text == "The cat sat on the mat\nand purred all day"
    reading = PageReading.from_json(shelf.services.artifacts.get(str(page.flag("blend", "artifact"))) or b"")
    changed = next(word for word in reading.words if word.text == "sat")
    assert changed.voters == (NAME,)
    assert ("tesseract", "sal") in changed.readings or ("vote", "sal") in changed.readings
    assert changed.rule == f"corrected by {SPEC}: no word"
    assert reading.notes == ["not applied: 'dog' to 'cow' (a whim): that does not stand there"]
    calls = await attempts(shelf, result.book_id)
    assert [(m.model, m.cost_usd, m.input_tokens) for m in calls] == [("test/model-1", PRICE, 100)] * 2
    assert {m.prompt_hash for m in calls} == {Prompt(OWN["blend"]).hash}
    assert result.cost_usd == pytest.approx(2 * PRICE)
    again = await shelf.run(2, llm={"blend": SPEC}, second_opinion="")
    assert again.cost_usd == 0, "it is current, and nothing is asked again"
    assert len(model.asked) == 2


async def test_unusable_answers_leave_the_rules_result_and_their_cost(shelf: Shelf, model: Model) -> None:
    shelf.tesseract.texts = {1: ["A page of text"]}
    result = await shelf.run(1, llm={"blend": SPEC}, second_opinion="")
    assert result.state == "complete"
    page = (await shelf.pages(result.book_id))[1]
    assert page.text == "A page of text"
    reading = PageReading.from_json(shelf.services.artifacts.get(str(page.flag("blend", "artifact"))) or b"")
    assert reading.notes
    assert "no answer of use" in reading.notes[0]
    assert len(model.asked) == 3, "one turn and two repairs"
    assert len(await attempts(shelf, result.book_id)) == 3


async def test_each_repair_turn_has_money_set_aside(shelf: Shelf, model: Model) -> None:
    """Under a cap a turn after the first goes on with what was said before, in a unit of its own: none is paid twice."""
    shelf.tesseract.texts = {1: ["A page of text"]}
    result = await shelf.run(1, llm={"blend": SPEC}, second_opinion="", budget_usd=1.0)
    assert result.state == "complete"
    calls = await attempts(shelf, result.book_id)
    assert [(call.outcome, call.cost_usd) for call in calls] == [("ok", PRICE)] * 3
    assert len({call.activity_id for call in calls}) == 3
    assert result.cost_usd == pytest.approx(3 * PRICE)
    [budget] = await shelf.store.find(Budget, {})
    assert budget.spent_usd == pytest.approx(3 * PRICE)


async def test_why_the_rules_did_it_is_seen_in_the_temporal_ui(shelf: Shelf, model: Model) -> None:
    shelf.tesseract.texts = {1: ["THE DOCTOR", "by Jane Roe"]}
    result = await shelf.run(2, llm={"metadata": SPEC}, second_opinion="")
    assert result.state == "complete"
    assert model.count() == {"Catalogued": 3}
    history = (await shelf.handles[-1].fetch_history()).to_json()
    told = [base64.b64decode(found).decode() for found in re.findall(r'"data": ?"([^"]+)"', history)]
    assert any(f'"unused":"{SPEC} gave no answer of use: ' in each for each in told)


async def test_a_rewritten_page_is_refused(shelf: Shelf, model: Model) -> None:
    text = ["One two three four five", "six seven eight nine ten"]
    shelf.tesseract.texts = {1: text}
    changes = [
        {"line": at, "original": line, "replacement": "Quite another line of words", "reason": "nicer"}
        for at, line in enumerate(text, 1)
    ]
    model.answers["Proofread"] = lambda question: {"corrections": changes, "whole_text": None, "confidence": 1}
    result = await shelf.run(1, llm={"blend": SPEC}, second_opinion="")
    assert (await shelf.pages(result.book_id))[1].text == "\n".join(text)


async def test_a_model_reads_labels_and_the_sequence_decides(shelf: Shelf, model: Model) -> None:
    shelf.tesseract.texts = {
        page: ["Some words of the page", "and more of them", str(page + 10)] for page in range(1, 9)
    }
    model.answers["PageLabels"] = lambda question: {
        "page_number": question.messages[0].text.split()[-1],
        "running_header": None,
    }
    result = await shelf.run(8, llm={"label_read": SPEC}, second_opinion="")
    pages = await shelf.pages(result.book_id)
    assert [pages[page].label for page in range(1, 9)] == [str(page + 10) for page in range(1, 9)]
    assert model.count() == {"PageLabels": 8}


CATALOGUED: dict[str, Any] = {
    "title": "The Doctor",
    "subtitle": None,
    "authors": ["Jane Roe"],
    "publisher": "Nobody & Sons",
    "place": None,
    "year": 1911,
    "isbn": ["0-306-40615-2"],
    "lccn": "11012345",
    "language": "en",
    "description": "A story of a doctor.",
    "subjects": [],
    "contributors": [{"name": "John Doe", "role": "editor"}],
    "confidence": 0.9,
}


async def test_a_model_gives_all_metadata_and_each_is_looked_for_on_the_pages(shelf: Shelf, model: Model) -> None:
    shelf.tesseract.texts = {
        1: ["THE DOCTOR", "by Jane Roe", "edited by John Doe"],
        2: ["Copyright 1911 by Jane Roe", "ISBN 0-306-40615-2"],
    }
    model.answers["Catalogued"] = lambda question: CATALOGUED
    result = await shelf.run(4, llm={"metadata": SPEC}, second_opinion="")
    (book,) = await shelf.store.find(Book, {"key": result.book_id})
    assert (book.title, book.authors, book.year, book.isbn) == ("The Doctor", ["Jane Roe"], 1911, ["9780306406157"])
    assert (book.lccn, book.description, book.contributors) == (
        "11012345",
        "A story of a doctor.",
        ["John Doe (editor)"],
    )
    evidence = json.loads(book.metadata_evidence or "{}")
    assert evidence["title"]["page"] == 1
    assert evidence["title"]["source"] == SPEC
    assert (evidence["publisher"]["page"], evidence["publisher"]["confidence"]) == (None, 0.4), "no page prints it"


async def test_a_model_that_names_an_impossible_year_is_told_so(shelf: Shelf, model: Model) -> None:
    said = iter([{**CATALOGUED, "year": 3911}, CATALOGUED])
    model.answers["Catalogued"] = lambda question: next(said)
    result = await shelf.run(2, llm={"metadata": SPEC}, second_opinion="")
    assert "3911" in model.asked[1].messages[-1].text
    assert (await shelf.store.find(Book, {"key": result.book_id}))[0].year == 1911


CONTENTS = ["CONTENTS", "I The First Part . . . . 4", "II The Second Part . . . . 7", "III The Third Part . . . . 9"]
TITLES = {4: "The First Part", 7: "The Second Part", 9: "The Third Part"}


def with_contents(shelf: Shelf) -> None:
    shelf.tesseract.texts = {
        page: CONTENTS if page == 2 else [TITLES.get(page, "more of it"), f"Words of page {page} and more.", str(page)]
        for page in range(1, 11)
    }


async def test_a_model_extracts_contents_which_are_found_on_their_pages(shelf: Shelf, model: Model) -> None:
    with_contents(shelf)

    def entry(number: str, title: str, level: int, page: str) -> dict[str, Any]:
        return {"number": number, "title": title, "level": level, "kind": "part", "page": page, "contents_page": 2}

    model.answers["Entries"] = lambda question: {
        "entries": [
            entry("I", "The First Part", 1, "4"),
            entry("II", "The Second Part", 2, "7"),
            entry("III", "The Third Part", 1, "9"),
        ]
    }
    result = await shelf.run(10, llm={"toc_extract": SPEC}, second_opinion="")
    (toc,) = await shelf.store.find(ToC, {"key": toc_key(result.book_id)})
    entries = await shelf.store.find(TocEntry, {"toc_set": toc.current_set, "book_key": result.book_id})
    found = [
        (each.number, each.title, each.level, each.page) for each in sorted(entries, key=lambda e: e.sort_order or 0)
    ]
    assert found == [("I", "The First Part", 1, 4), ("II", "The Second Part", 2, 7), ("III", "The Third Part", 1, 9)]


async def test_a_model_that_writes_another_books_contents_is_refused(shelf: Shelf, model: Model) -> None:
    with_contents(shelf)
    other = {
        "number": None,
        "title": "Loomings of the Whale",
        "level": 1,
        "kind": None,
        "page": "1",
        "contents_page": 2,
    }
    model.answers["Entries"] = lambda question: {"entries": [other]}
    result = await shelf.run(10, llm={"toc_extract": SPEC}, second_opinion="")
    (toc,) = await shelf.store.find(ToC, {"key": toc_key(result.book_id)})
    entries = await shelf.store.find(TocEntry, {"toc_set": toc.current_set, "book_key": result.book_id})
    assert {each.title for each in entries} == set(TITLES.values()), "what the rules found"


async def test_one_look_decides_which_pages_are_the_contents(shelf: Shelf, model: Model) -> None:
    with_contents(shelf)
    model.answers["Look"] = lambda question: {
        "pages": [2],
        "goes_on": False,
        "structure": "three parts, numbered",
        "confidence": 0.95,
        "reason": "a list of parts with page numbers",
    }
    result = await shelf.run(10, llm={"toc_find": SPEC}, second_opinion="")
    (toc,) = await shelf.store.find(ToC, {"key": toc_key(result.book_id)})
    assert toc.pages == [2]
    assert SPEC in (toc.reason or "")
    assert model.count() == {"Look": 1}


async def test_what_was_chosen_for_a_book_counts_in_later_jobs(shelf: Shelf, model: Model) -> None:
    with_contents(shelf)
    model.answers["Proofread"] = no_corrections
    book = (await shelf.run(10, llm={"blend": SPEC}, second_opinion="")).book_id
    asked = len(model.asked)
    result: JobResult = await shelf.run(workflow="RerunToc", book_id=book)
    assert result.state == "complete"
    assert len(model.asked) == asked, "the blend is current, whoever did it"
    by_rules = await shelf.run(book_id=book, llm="")
    assert by_rules.operations["blend"].complete == 10
    assert len(model.asked) == asked, "and can be done by the rules again"


async def test_a_model_that_nobody_serves_is_named_at_once(shelf: Shelf, model: Model) -> None:
    with pytest.raises(WorkflowFailureError) as failed:
        await shelf.run(2, llm="nobody/at-all")
    assert "nobody" in str(failed.value.cause)
    with pytest.raises(WorkflowFailureError) as failed:
        await shelf.run(2, llm={"ocr": SPEC})
    assert "No language model can do 'ocr'" in str(failed.value.cause)


async def test_a_model_that_takes_over_is_priced_and_reserved_too(shelf: Shelf, model: Model) -> None:
    services = shelf.services
    services.models["anthropic"] = model
    services.queues[NAME] = replace(services.queues[NAME], fallback="anthropic")
    unpriced = services.queues["anthropic"]
    services.queues["anthropic"] = replace(unpriced, usd_per_million_input=1.0, usd_per_million_output=1.0)
    job = ResolveInput(
        job="ProcessPages",
        input={"llm": {"blend": SPEC}, "budget_usd": 1.0},
        operations=("blend",),
        workflow_id="w",
        first_run_id="r",
        run_id="r",
    )
    chosen = Chooser(services).choose(job, {})
    assert chosen.fallbacks == {f"blend {NAME}": "anthropic"}
    assert set(chosen.high_usd) == {f"blend {NAME}", "blend anthropic"}
    services.queues["anthropic"] = unpriced
    with pytest.raises(BadInput, match="Nobody knows what anthropic takes"):
        Chooser(services).choose(job, {})


async def test_an_unknown_price_is_refused_unless_allowed(shelf: Shelf, model: Model) -> None:
    model.answers["Proofread"] = no_corrections
    row = next(row for row in QUEUES if row.name == NAME)
    shelf.services.queues[NAME] = replace(row, base_url="https://example.test/v1", name=NAME, dialect="")
    with pytest.raises(WorkflowFailureError) as failed:
        await shelf.run(2, llm={"blend": SPEC}, second_opinion="")
    assert "Nobody knows what" in str(failed.value.cause)
    result = await shelf.run(2, llm={"blend": SPEC}, second_opinion="", allow_unpriced=True)
    assert result.state == "complete"


async def prompted(shelf: Shelf, book: str, **said: Any) -> JobResult:
    said = {"field": "prompt:blend", **said}
    return await shelf.run(workflow="Correct", book_id=book, who="Ann", corrections=[said])


async def test_a_book_has_its_own_prompt_from_the_next_time_on(shelf: Shelf, model: Model) -> None:
    model.answers["Proofread"] = no_corrections
    book = (await shelf.run(2, llm={"blend": SPEC}, second_opinion="")).book_id
    commits = await shelf.commits()
    own = "Correct nothing  but digits.\n\nLeave the rest.\n"
    result = await prompted(shelf, book, value=own, why="the rest is right")
    assert (result.state, result.operations, result.cost_usd) == ("complete", {}, 0)
    again = await shelf.run(2, llm={"blend": SPEC}, second_opinion="")
    assert (again.cost_usd, len(model.asked)) == (0, 2), "it makes nothing stale"
    assert await shelf.commits() == commits
    await shelf.run(2, llm={"blend": SPEC}, second_opinion="", from_operation="blend")
    assert [question.system for question in model.asked] == [OWN["blend"]] * 2 + [own] * 2, "as it was written"
    hashes = {m.prompt_hash for m in (await attempts(shelf, book))}
    assert hashes == {Prompt(OWN["blend"]).hash, Prompt(own).hash}
    await prompted(shelf, book, revert=True)
    await shelf.run(2, llm={"blend": SPEC}, second_opinion="", from_operation="blend")
    assert [question.system for question in model.asked[4:]] == [OWN["blend"]] * 2


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ({"value": "  \n"}, "The prompt is empty"),
        ({"value": 7}, "The field prompt:blend is given no text"),
        ({"artifact": "0" * 64}, "not in the artifact store of the worker"),
        ({"value": "x" * 70_000}, "longer than"),
        ({"field": "prompt:ocr", "value": "Read."}, "cannot be corrected"),
        ({"revert": True}, "nothing to revert"),
    ],
)
async def test_no_such_prompt(shelf: Shelf, model: Model, said: dict[str, Any], why: str) -> None:
    book = (await shelf.run(1, second_opinion="")).book_id
    with pytest.raises(WorkflowFailureError) as failed:
        await prompted(shelf, book, **said)
    assert why in str(failed.value.cause)
