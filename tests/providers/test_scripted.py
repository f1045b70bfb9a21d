"""The scripted provider keeps to its script, over processes too."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from providers.errors import EngineCrashed, ProviderError, RateLimited
from providers.scripted import TAXONOMY, ScriptedProvider
from providers.source import LeafSource
from schemas.errors import BadInput, LanguageMissing

ROOT = Path(__file__).parents[2]


def leaf(page: int, book: str = "moby") -> LeafSource:
    return LeafSource(path="none", kind="pdf", index=page - 1, page=page, book=book)


async def outcome(provider: ScriptedProvider, page: int) -> str:
    try:
        await provider.read(leaf(page), "eng", 0.05)
    except ProviderError as error:
        return error.kind
    return "ok"


async def test_the_default_text_names_its_page() -> None:
    provider = ScriptedProvider()
    page = (await provider.read(leaf(7), "eng", 1)).page
    assert page.lines[0].text == "MOBY 7"
    assert page.lines[1].text == "Page 7 of moby."
    assert (await provider.read(leaf(8), "eng", 1)).page.lines[0].text == "8 MOBY"
    assert page.to_json() == (await ScriptedProvider().read(leaf(7), "eng", 1)).page.to_json()
    assert page.confidence == 95


async def test_texts_and_confidences() -> None:
    provider = ScriptedProvider({"pages": {"1": {"text": "A b\n\nc", "confidence": 60}, "2": {"text": ""}}})
    page = (await provider.read(leaf(1), "eng", 1)).page
    assert (page.text, page.confidence) == ("A b\nc", 60)
    assert (await provider.read(leaf(2), "eng", 1)).page.lines == []


@pytest.mark.parametrize("kind", sorted(TAXONOMY))
async def test_each_error_of_the_taxonomy(kind: str) -> None:
    provider = ScriptedProvider({"pages": {"1": {"faults": [{"error": kind, "retry_after_seconds": 3}]}}})
    with pytest.raises(ProviderError) as caught:
        await provider.read(leaf(1), "eng", 1)
    assert type(caught.value) is TAXONOMY[kind]
    assert caught.value.retry_after_seconds == 3
    assert await outcome(provider, 1) == "ok"


async def test_faults_come_in_order_and_end() -> None:
    faults = [{"error": "RateLimited", "times": 2}, {"error": "hang"}, {"error": "Overloaded"}]
    provider = ScriptedProvider({"pages": {"4": {"faults": faults}}})
    assert [await outcome(provider, 4) for _ in range(6)] == [
        "RateLimited",
        "RateLimited",
        EngineCrashed.kind,
        "Overloaded",
        "ok",
        "ok",
    ]
    assert await outcome(provider, 5) == "ok"


async def test_for_ever() -> None:
    provider = ScriptedProvider({"pages": {"1": {"faults": [{"error": "Rejected", "times": -1}]}}})
    assert [await outcome(provider, 1) for _ in range(4)] == ["Rejected"] * 4


async def test_limits() -> None:
    provider = ScriptedProvider({"in_flight": 2, "retry_after_seconds": 9, "delay_seconds": 0.05})
    results = await asyncio.gather(*(provider.read(leaf(n), "eng", 1) for n in range(1, 4)), return_exceptions=True)
    limited = [result for result in results if isinstance(result, RateLimited)]
    assert [error.retry_after_seconds for error in limited] == [9]
    provider = ScriptedProvider({"per_second": 3})
    assert [await outcome(provider, n) for n in range(1, 6)] == ["ok"] * 3 + ["RateLimited"] * 2


async def test_languages() -> None:
    provider = ScriptedProvider({"languages": ["eng"]})
    with pytest.raises(LanguageMissing, match="'deu'"):
        provider.model("deu+eng")
    assert provider.model("eng").startswith("scripted ")


def test_the_model_follows_the_texts_only() -> None:
    def model(entry: dict[str, Any]) -> str:
        return ScriptedProvider({"pages": {"1": {"text": "a", **entry}}}).model("eng")

    assert model({}) == model({"faults": [{"error": "hang"}], "delay_seconds": 3})
    assert model({}) != model({"text": "b"})


async def test_the_log_counts_calls_over_processes(tmp_path: Path) -> None:
    script = tmp_path / "script.json"
    script.write_text(
        json.dumps({"log": "calls.jsonl", "pages": {"1": {"faults": [{"error": "kill"}, {"error": "Overloaded"}]}}})
    )
    code = (
        "import asyncio, sys; from providers.scripted import ScriptedProvider as P;"
        "from providers.source import LeafSource as L;"
        "asyncio.run(P(sys.argv[1]).read(L(path='x', kind='pdf', index=0, page=1, book='b'), 'eng', 1))"
    )
    killed = subprocess.run([sys.executable, "-c", code, str(script)], cwd=ROOT, check=False)
    assert killed.returncode == -9
    provider = ScriptedProvider(script)
    assert await outcome(provider, 1) == "Overloaded"
    assert await outcome(ScriptedProvider(str(script)), 1) == "ok"
    assert [(line["page"], line["call"], line["outcome"]) for line in provider.calls()] == [
        (1, 1, "kill"),
        (1, 2, "Overloaded"),
        (1, 3, "ok"),
    ]


def test_a_bad_script_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="unknown error 'Oops'"):
        ScriptedProvider({"pages": {"1": {"faults": [{"error": "Oops"}]}}})
    (tmp_path / "a.json").write_text("[]")
    with pytest.raises(BadInput, match="no JSON object"):
        ScriptedProvider(tmp_path / "a.json")
    with pytest.raises(BadInput, match="cannot be read"):
        ScriptedProvider(tmp_path / "none.json")
