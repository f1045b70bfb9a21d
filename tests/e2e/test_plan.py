"""What `shelf plan` says of the sample, beside what its reading comes to.

The provider is a loopback server that speaks Anthropic's protocol, counts tokens as its documentation says (four characters
of text; width times height by 750 of a picture, after shrinking), and answers as a model does that finds little to say."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from cli.cost import add_up
from tests.e2e.machine import Machine
from tests.providers.remote.anthropic_responder import MessagesService, Said
from tests.providers.remote.server import Answer, Handler, Request, ScriptedServer, json_answer

KEY = "sk-of-the-plan"
MODEL = "anthropic/claude-haiku-5-5"
LONGEST_SIDE, PICTURE_TOKENS, PIXELS_PER_TOKEN = 1568, 1600, 750
CHARACTERS_PER_TOKEN = 4

pytestmark = pytest.mark.slow


@dataclass
class CountingService(MessagesService):
    """Charges for what is really sent and said."""

    counted: list[tuple[int, int]] = field(default_factory=list)

    def handlers(self) -> dict[str, Handler]:
        return {"POST /v1/messages": self.counting}

    def counting(self, request: Request) -> Answer:
        before = len(self.pictures)
        answer = self.messages(request)
        if answer.status != 200:
            return answer
        body, said = request.json, json.loads(answer.body)
        blocks = [block for message in body["messages"] for block in message["content"]]
        texts = [body.get("system", ""), *(block["text"] for block in blocks if block["type"] == "text")]
        texts.append(json.dumps(body.get("output_config", "")))
        tokens = round(sum(map(len, texts)) / CHARACTERS_PER_TOKEN)
        tokens += sum(map(picture_tokens, self.pictures[before:]))
        out = round(sum(len(block.get("text", "")) for block in said["content"]) / CHARACTERS_PER_TOKEN)
        said["usage"] = {
            "input_tokens": tokens,
            "cache_creation_input_tokens": 0,
            "cache_read_input_tokens": 0,
            "output_tokens": out,
        }
        self.counted.append((tokens, out))
        return json_answer(said)


def picture_tokens(size: tuple[int, int]) -> int:
    shrunk = min(1.0, LONGEST_SIDE / max(size))
    return min(PICTURE_TOKENS, round(size[0] * shrunk * size[1] * shrunk / PIXELS_PER_TOKEN))


def model(body: Mapping[str, Any], number: int) -> Said:
    """By the fields of the schema that is asked for."""
    fields = set(body["output_config"]["format"]["schema"]["properties"])
    text = next(block["text"] for block in body["messages"][0]["content"] if block["type"] == "text")
    if "corrections" in fields:
        lines = re.findall(r"^(\d+): (\S{5,}.*)$", text, re.MULTILINE)[:3]
        changes = [
            {
                "line": int(line),
                "original": words.split()[0],
                "replacement": words.split()[0],
                "reason": "as the picture shows, the engine misread a letter",
            }
            for line, words in lines
        ]
        return Said(json.dumps({"corrections": changes, "whole_text": None, "confidence": 0.97}))
    if "running_header" in fields:
        return Said(json.dumps({"page_number": None, "running_header": None}))
    if "goes_on" in fields:
        shown = [int(page) for page in re.findall(r"--- page (\d+): the rules take it for contents", text)]
        return Said(
            json.dumps(
                {
                    "pages": shown,
                    "goes_on": False,
                    "structure": "Chapters with their page numbers, on one level, not numbered.",
                    "confidence": 0.95,
                    "reason": "It is a list of titles with ascending page numbers under the heading Contents.",
                }
            )
        )
    if "entries" in fields:
        page = int(re.findall(r"page (\d+)", text, re.IGNORECASE)[0])
        found = re.findall(r"^(.{4,}?)[ .…]+(\d{1,3})$", text, re.MULTILINE)
        entries = [
            {
                "number": None,
                "title": title.strip(" ."),
                "level": 1,
                "kind": "chapter",
                "page": printed,
                "contents_page": page,
            }
            for title, printed in found
        ]
        return Said(json.dumps({"entries": entries}))
    values: dict[str, Any] = dict.fromkeys(fields)
    values |= {name: [] for name in ("authors", "isbn", "subjects", "contributors") if name in fields}
    values |= {
        "title": "A Day at a Time",
        "authors": ["Archibald Alexander"],
        "year": 1916,
        "language": "en",
        "confidence": 0.9,
        "description": "Short talks for every day on courage, cheerfulness and duty. They were first printed week by week.",
    }
    return Said(json.dumps({name: value for name, value in values.items() if name in fields}))


@pytest.fixture
def service() -> Iterator[tuple[CountingService, ScriptedServer]]:
    counting = CountingService(say=model, key=KEY)
    with ScriptedServer(counting.handlers()) as server:
        yield counting, server


@pytest.fixture
def machine_with_model(
    tmp_path: Path, defradb_binary: Path, service: tuple[CountingService, ScriptedServer]
) -> Iterator[Machine]:
    machine = Machine(tmp_path, defradb_binary, counted=False)
    machine.environment |= {
        "ANTHROPIC_API_KEY": KEY,
        "SHELF_PROVIDERS": json.dumps({"anthropic": {"base_url": service[1].url, "requests_per_second": 50}}),
    }
    try:
        machine.start()
        yield machine
    finally:
        machine.end()


async def test_a_plan_for_models_is_within_30_percent(
    machine_with_model: Machine, service: tuple[CountingService, ScriptedServer]
) -> None:
    machine, (counting, _) = machine_with_model, service
    sample = str(Path(__file__).parents[2] / "samples" / "a-day-at-a-time-scan.pdf")
    said = machine.shelf("plan", sample, "--llm", MODEL, "--json")
    assert said.returncode == 0, said.stderr
    plan = json.loads(said.stdout)
    assert counting.counted == []  # nobody was asked
    assert await machine.books() == []  # nothing was written

    done = machine.shelf("process", sample, "--llm", MODEL, "--json")
    assert done.returncode == 0, done.stderr
    book = plan["plans"][0]["key"]
    groups = {
        group.name: group
        for group in add_up(
            [each for each in await machine.attempts(book) if each.provider == "anthropic"], "operation"
        )
    }
    report = {}
    for row in plan["plans"][0]["operations"]:
        if row["provider"] == "anthropic":
            group = groups[row["operation"]]
            report[row["operation"]] = (row["calls"], group.calls, row["cost_usd"], float(group.cost))
            assert row["calls"] == group.calls, report
            assert row["cost_usd"]["low"] <= group.cost <= row["cost_usd"]["high"], report
    expected = plan["total"]["cost_usd"]["expected"]
    spent = sum((group.cost for group in groups.values()), Decimal(0))
    assert float(spent) == pytest.approx(expected, rel=0.3), report
    tokens = sum(group.input_tokens for group in groups.values()), sum(group.output_tokens for group in groups.values())
    assert tokens == tuple(map(sum, zip(*counting.counted, strict=True)))

    again = json.loads(machine.shelf("plan", book, "--json").stdout)
    assert again["total"]["calls"] == 0
    assert again["total"]["cost_usd"]["high"] == 0
