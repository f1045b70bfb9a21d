"""All operations that a language model can do, on the sample's first pages: what it is sent, what becomes of its answers, what
it costs, and by which prompt.

Real Temporal, DefraDB, worker, command line and engine; the model is a loopback server that speaks OpenRouter's protocol."""

from __future__ import annotations

import json
import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from activities.choosing import MODEL_BACKED
from activities.prompts import OWN, Prompt
from tests.e2e.machine import SAMPLE, Machine
from tests.providers.remote.openai_responder import ChatService, Said
from tests.providers.remote.server import ScriptedServer

KEY = "sk-of-the-models"
MODEL = "maker/model-1"
SPEC = f"openrouter/{MODEL}"
PRICE = 0.002
PAGES = 6
TRUTH = json.loads((SAMPLE.parent / "a-day-at-a-time.json").read_text(encoding="utf-8"))
REASON = "the scan shows a capital"

SCHEMAS = {
    "Proofread": "blend",
    "PageLabels": "label_read",
    "Catalogued": "metadata",
    "Look": "toc_find",
    "Entries": "toc_extract",
}
"""Name of the schema that is asked for -> operation."""

pytestmark = pytest.mark.slow


def asked_for(body: Mapping[str, Any]) -> str:
    return SCHEMAS[body["response_format"]["json_schema"]["name"]]


def text_of(body: Mapping[str, Any]) -> str:
    return "".join(part["text"] for part in parts(body) if part["type"] == "text")


def pictures_of(body: Mapping[str, Any]) -> list[tuple[int, int]]:
    return [ChatService.look(part["image_url"]["url"]) for part in parts(body) if part["type"] == "image_url"]


def parts(body: Mapping[str, Any]) -> list[dict[str, Any]]:
    content = next(message["content"] for message in body["messages"] if message["role"] == "user")
    return content if isinstance(content, list) else [{"type": "text", "text": content}]


def model(body: Mapping[str, Any], number: int) -> Said:
    text = text_of(body)
    return Said(json.dumps(ANSWERS[asked_for(body)](text)))


def proofread(text: str) -> dict[str, Any]:
    changes = [{"line": 999, "original": "no such text", "replacement": "other", "reason": "none"}]
    if found := re.search(r"^(\d+): .*\b(Doctor)\b", text, re.MULTILINE):
        changes.append({"line": int(found[1]), "original": found[2], "replacement": "DOCTOR", "reason": REASON})
    return {"corrections": changes, "whole_text": None, "confidence": 0.9}


def contents(text: str) -> dict[str, Any]:
    """A model that reads well: what is printed there, whatever the engine made of its leaders."""
    page = int(re.findall(r"physical page (\d+)", text)[0])
    rest = {"number": None, "level": 1, "kind": None, "contents_page": page}
    return {"entries": [{**rest, "title": entry["title"], "page": entry["printed"]} for entry in TRUTH["toc"]]}


CATALOGUED: dict[str, Any] = {
    "title": "A Day at a Time",
    "subtitle": None,
    "authors": ["Archibald Alexander"],
    "publisher": None,
    "place": None,
    "year": 1916,
    "isbn": [],
    "lccn": None,
    "language": "en",
    "description": "Short talks for every day.",
    "subjects": [],
    "contributors": [],
    "confidence": 0.9,
}

ANSWERS = {
    "blend": proofread,
    "label_read": lambda text: {"page_number": None, "running_header": None},
    "metadata": lambda text: CATALOGUED,
    "toc_find": lambda text: {
        "pages": [int(page) for page in re.findall(r"page (\d+): the rules take it", text)],
        "goes_on": False,
        "structure": "one level, not numbered",
        "confidence": 0.95,
        "reason": "a list of titles with numbers",
    },
    "toc_extract": contents,
}


@pytest.fixture
def service() -> Iterator[tuple[ChatService, ScriptedServer]]:
    chat = ChatService(dialect="openrouter", say=model, key=KEY, model=MODEL, usd_per_call=PRICE)
    with ScriptedServer(chat.handlers()) as server:
        yield chat, server


@pytest.fixture
def machine(tmp_path: Path, defradb_binary: Path, service: tuple[ChatService, ScriptedServer]) -> Iterator[Machine]:
    found = Machine(tmp_path, defradb_binary, counted=False)
    # Budgets hold by these; what the response says that it cost is what is noted.
    prices = {"usd_per_million_input": 1.0, "usd_per_million_output": 1.0}
    row = {"base_url": f"{service[1].url}{service[0].prefix}", "requests_per_second": 50, **prices}
    found.environment |= {"OPENROUTER_API_KEY": KEY, "SHELF_PROVIDERS": json.dumps({"openrouter": row})}
    try:
        found.start()
        yield found
    finally:
        found.end()


def done(machine: Machine, *arguments: str) -> dict[str, Any]:
    said = machine.shelf(*arguments, "--json")
    assert said.returncode == 0, said.stderr
    found: dict[str, Any] = json.loads(said.stdout)
    return found


async def test_a_model_does_all_that_one_can(machine: Machine, service: tuple[ChatService, ScriptedServer]) -> None:
    chat, server = service
    pages = ("--pages", f"1-{PAGES}")
    result = done(machine, "process", str(SAMPLE), *pages, "--no-second-opinion", "--llm", SPEC)
    book = result["key"]
    assert result["state"] == "complete"

    bodies = defaultdict(list)
    for body in chat.bodies:
        bodies[asked_for(body)].append(body)
    assert set(bodies) == set(MODEL_BACKED)
    for operation, sent in bodies.items():
        assert {body["messages"][0]["content"] for body in sent} == {OWN[operation]}
    for body in [*bodies["blend"], *bodies["label_read"]]:
        ((width, height),) = pictures_of(body)
        assert min(width, height) > 500, "the page itself, to be read"
    for operation in ("metadata", "toc_find", "toc_extract"):
        assert all(pictures_of(body) for body in bodies[operation]), operation

    metrics = [each for each in await machine.attempts(book) if each.provider == "openrouter"]
    assert Counter(each.operation for each in metrics) == {name: len(sent) for name, sent in bodies.items()}
    assert {(each.model, each.cost_usd, each.outcome) for each in metrics} == {(MODEL, PRICE, "ok")}
    assert all(each.prompt_hash == Prompt(OWN[str(each.operation)]).hash for each in metrics)
    assert result["cost_usd"] == pytest.approx(PRICE * len(server.log))

    shown = done(machine, "show", book)
    assert (shown["title"], shown["description"]) == ("A Day at a Time", "Short talks for every day.")
    assert shown["evidence"]["title"]["source"] == SPEC
    listed = done(machine, "toc", book)
    assert SPEC in listed["reason"]
    assert "The Doctor" in [entry["title"] for entry in listed["toc"]]
    page = listed["toc_pages"][0]
    why = done(machine, "why", book, str(page), "doctor")
    assert why["occurrences"][0]["text"] == "DOCTOR"
    assert why["occurrences"][0]["rule"] == f"corrected by {SPEC}: {REASON}"
    assert (why["provider"], why["model"], why["prompt_hash"], why["prompt_by"]) == (
        *("openrouter", MODEL, Prompt(OWN["blend"]).hash),
        None,
    )
    assert why["notes"] == ["not applied: 'no such text' to 'other' (none): that does not stand there"]

    # A prompt for this book: nothing is asked by giving it, and the next time it counts.
    asked = len(server.log)
    mine = machine.folder / "mine.txt"
    mine.write_text("Correct nothing but digits.\n")
    given = done(machine, "prompt", "set", "blend", book, str(mine), "--who", "Ann", "--why", "it is well read")
    assert (given["prompt"]["hash"], given["prompt"]["who"]) == (Prompt(mine.read_text()).hash, "Ann")
    again = done(machine, "process", book, *pages)
    assert (again["cost_usd"], len(server.log)) == (0, asked)
    done(machine, "run", book, "--operations", "blend", "--pages", str(page), "--fresh")
    assert len(server.log) == asked + 1
    assert chat.bodies[-1]["messages"][0]["content"] == mine.read_text()
    why = done(machine, "why", book, str(page), "doctor")
    assert (why["prompt_hash"], why["prompt_by"]) == (Prompt(mine.read_text()).hash, "Ann")
    assert done(machine, "prompt", "reset", "blend", book)["prompt"]["own"] is True
