"""`shelf cost`, `budget`, `providers`, `plan`, and the options about money: what they say, and what they never say."""

from __future__ import annotations

import asyncio
import json
import re
import shlex
import textwrap
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command
from typer.testing import CliRunner

from activities.budget import BudgetActivities, today
from activities.contracts import ReserveInput
from activities.services import Services
from cli.cost import add_up, percentile, total
from cli.main import make_app
from cli.pauses import next_step
from cli.spending import models, spending
from providers.queues import QUEUES
from schemas.documents import Metric
from schemas.errors import BadInput
from schemas.keys import budget_key
from tests.cli.conftest import BOOK, JOB, Library

Run = Callable[..., tuple[int, str, str]]
ROOT = Path(__file__).parents[2]
SAMPLE = ROOT / "samples" / "a-day-at-a-time-scan.pdf"


# cost -----------------------------------------------------------------------------------------------------------------


def metric(number: int, **fields: Any) -> Metric:
    return Metric(
        **{
            "key": f"attempt/{number}",
            "kind": "attempt",
            "book_key": BOOK,
            "operation": "ocr",
            "provider": "mistral",
            "model": "mistral-ocr-4-1",
            "at": "2026-11-23T10:00:00.000+00:00",
            "read": 1,
            "pages": [number],
            "outcome": "ok",
            "cost_usd": 0.004,
            "queue_seconds": 0.1,
            "execution_seconds": float(number),
            **fields,
        }
    )


METRICS = [
    *(metric(number) for number in range(1, 101)),
    metric(101, outcome="unknown", read=0),
    metric(102, outcome="failed", cost_usd=0.0, read=0),
    metric(103, outcome="ok", cost_usd=None, provider="openrouter", model="nobody/knows"),
    metric(
        104,
        operation="blend",
        provider="anthropic",
        model="claude-haiku-5-5",
        cost_usd=0.0001234,
        input_tokens=1000,
        output_tokens=47,
        at="2026-11-24T00:00:00.000+00:00",
    ),
]


def test_sums_are_exact_and_unknown_outcomes_apart() -> None:
    mistral, anthropic, openrouter = add_up(METRICS, "provider")
    assert (mistral.name, mistral.calls, mistral.pages) == ("mistral", 102, 100)
    # A sum of floats would have dust: 0.4000000000000003.
    assert mistral.cost == Decimal("0.400")
    assert (mistral.unknown, mistral.unknown_cost, mistral.failed) == (1, Decimal("0.004"), 1)
    assert (anthropic.cost, anthropic.input_tokens, anthropic.output_tokens) == (Decimal("0.0001234"), 1000, 47)
    assert (openrouter.cost, openrouter.unpriced) == (Decimal(0), 1)
    for by in ("book", "operation", "provider", "model", "day"):
        groups = add_up(METRICS, by)
        everything = total(METRICS)
        assert sum(group.cost for group in groups) == everything.cost == Decimal("0.4001234")
        assert sum(group.calls for group in groups) == everything.calls == len(METRICS)
    assert [group.name for group in add_up(METRICS, "day")] == ["2026-11-23", "2026-11-24"]


def test_percentiles_are_values_that_occurred() -> None:
    values = [float(number) for number in range(1, 101)]
    assert [percentile(values, share) for share in (50, 95, 99)] == [50.0, 95.0, 99.0]
    assert percentile([3.0], 99) == 3.0
    assert percentile([], 50) is None


def test_cost_shows_what_the_metrics_say(library: Library, shelf: Run) -> None:
    asyncio.run(library.store.create(Metric, METRICS))
    code, out, _ = shelf("cost", "small", "--by", "model", "--json")
    assert code == 0
    found = json.loads(out)
    rows = {row["name"]: row for row in found["rows"]}
    assert rows["mistral-ocr-4-1"]["cost_usd"] == 0.4
    assert rows["mistral-ocr-4-1"]["unknown_high_usd"] == 0.004
    assert rows["mistral-ocr-4-1"]["execution_seconds"] == {"p50": 51.0, "p95": 97.0, "p99": 101.0}
    assert rows["mistral-ocr-4-1"]["queue_seconds"] == 10.2
    assert found["total"]["cost_usd"] == 0.4001234
    code, out, _ = shelf("cost")
    assert code == 0
    assert "$0.4001234" in out
    assert "Calls that may have been charged, nobody knows: 1, at most $0.004." in out
    assert "Calls whose price nobody knows, in no sum:" in out
    assert shelf("cost", "--by", "colour")[0] == 2


# budget ---------------------------------------------------------------------------------------------------------------


def test_budget_shows_caps_and_what_is_set_aside(library: Library, shelf: Run) -> None:
    from temporalio.testing import ActivityEnvironment

    activities = BudgetActivities(Services(library.store, library.artifacts, {}, {}, None, []))
    asked = ReserveInput(
        book_id=BOOK,
        holder="range",
        job_key=budget_key(JOB, "run-1"),
        job_limit_usd=0.1,
        settled_usd=0.02,
        day_settled_usd=0.02,
        open_usd=0.0,
        call_usd=0.004,
        calls=2,
    )
    asyncio.run(ActivityEnvironment().run(activities.reserve_budget, asked))
    code, out, _ = shelf("budget", "--json")
    assert code == 0
    found = json.loads(out)
    assert found["day"] == {
        "key": f"day/{today()}",
        "book": None,
        "limit_usd": 5.0,
        "spent_usd": 0.0,
        "set_aside_usd": 0.0,
        "left_usd": 5.0,
    }
    [job] = found["jobs"]
    assert (job["book"], job["limit_usd"], job["spent_usd"]) == (BOOK, 0.1, 0.02)
    assert (job["set_aside_usd"], job["left_usd"]) == (0.008, 0.072)
    code, out, _ = shelf("budget")
    assert "$0.0080" in out


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ((), "It is not clear which cap is meant"),
        (("book",), "It is not clear which cap is meant"),
        (("--day", "book", "5"), "It is not clear which cap is meant"),
        (("book", "much"), "'much' is no amount"),
        (("book", "0"), "'0' is no amount"),
        (("--day", "inf"), "'inf' is no amount"),
    ],
)
def test_raising_needs_a_book_and_an_amount(arguments: tuple[str, ...], says: str) -> None:
    result = CliRunner().invoke(make_app(), ["budget", "raise", *arguments])
    assert result.exit_code == 2
    assert says in result.stderr


# providers ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder without servers."""
    monkeypatch.chdir(tmp_path)
    for name in ("SHELF_HOME", "SHELF_DEFRADB_URL", "TEMPORAL_ADDRESS"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


def test_providers_name_the_key_and_never_say_it(nowhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MISTRAL_API_KEY", "sk-very-secret")
    monkeypatch.delenv("ANTHROPIC_API_KEY", raising=False)
    for arguments in (["providers"], ["providers", "--json"]):
        result = CliRunner().invoke(make_app(), arguments)
        assert result.exit_code == 0
        assert "sk-very-secret" not in result.stdout + result.stderr
    rows = {row["name"]: row for row in json.loads(result.stdout)["providers"]}
    assert set(rows) == {row.name for row in QUEUES}
    mistral = rows["mistral"]
    assert (mistral["key_env"], mistral["key_present"]) == ("MISTRAL_API_KEY", True)
    assert (mistral["usd_per_1000_pages"], mistral["price_source"][-10:]) == (4.0, "2026-11-23")
    assert mistral["called_live"] is None  # nobody who wrote this had a key
    assert (mistral["requests_per_second"], mistral["in_flight"], mistral["served"]) == (6, 10, None)
    assert rows["anthropic"]["key_present"] is False
    assert rows["openrouter"]["price"] == "by model"
    assert rows["ollama"]["price"] == rows["tesseract"]["price"] == "free"
    assert not list(nowhere.iterdir())


# plan -----------------------------------------------------------------------------------------------------------------


def planned(*arguments: str) -> dict[str, Any]:
    result = CliRunner().invoke(make_app(), ["plan", *arguments, "--json"])
    assert result.exit_code == 0, result.stderr
    found: dict[str, Any] = json.loads(result.stdout)
    return found


def test_a_plan_of_files_keeps_nothing(nowhere: Path) -> None:
    found = planned(str(SAMPLE), "--ocr", "mistral", "--pages", "1-10")
    [book] = found["plans"]
    row = next(row for row in book["operations"] if row["operation"] == "ocr")
    assert (row["provider"], row["pages"], row["calls"], row["current"]) == ("mistral", 10, 10, 0)
    assert row["cost_usd"] == {"low": 0.04, "expected": 0.04, "high": 0.04}
    assert found["total"]["cost_usd"]["expected"] == 0.04
    assert found["total"]["unknown"] == []
    assert not list(nowhere.iterdir())


@pytest.mark.parametrize(
    ("ocr", "budget", "within", "says"),
    [
        ("mistral", "0.05", "yes", "It stays below $0.05."),
        ("mistral", "0.01", "no", "It pauses at $0.01 before all is done."),
        ("deepinfra", "0.005", "maybe", "It may pause at $0.005 before all is done."),
    ],
)
def test_a_plan_says_whether_it_fits_a_budget(nowhere: Path, ocr: str, budget: str, within: str, says: str) -> None:
    arguments = [str(SAMPLE), "--ocr", ocr, "--pages", "1-10", "--budget", budget]
    [book] = planned(*arguments)["plans"]
    assert book["within_budget"] == within, book["cost_usd"]
    assert says in CliRunner().invoke(make_app(), ["plan", *arguments]).stdout


def test_an_unknown_price_is_said_and_never_nothing(nowhere: Path) -> None:
    found = planned(str(SAMPLE), "--llm", "blend=openrouter/nobody/knows", "--pages", "1-2")
    assert found["total"]["unknown"] == ["blend openrouter"]
    row = next(row for row in found["plans"][0]["operations"] if row["operation"] == "blend")
    assert (row["calls"], row["cost_usd"]) == (2, None)
    result = CliRunner().invoke(
        make_app(), ["plan", str(SAMPLE), "--llm", "blend=openrouter/nobody/knows", "--pages", "1-2"]
    )
    assert "Cost unknown: no price of blend openrouter" in result.stdout


def test_without_paid_providers_nothing_is_to_pay(nowhere: Path) -> None:
    result = CliRunner().invoke(make_app(), ["plan", str(SAMPLE)])
    assert result.exit_code == 0
    assert "Nothing to pay; about" in result.stdout


def test_what_cannot_be_planned_is_said(nowhere: Path) -> None:
    for arguments, code, says in (
        (["nobody-0123abcd"], 2, "There is no book"),
        (["nowhere.pdf"], 66, "does not exist"),
        ([str(SAMPLE), "--ocr", "nobody"], 2, "There is no OCR provider 'nobody'"),
        ([str(SAMPLE), "--llm", "nobody/model"], 2, "There is no language model provider 'nobody'"),
        ([str(SAMPLE), "--llm", "ocr=anthropic/claude-haiku-5-5"], 2, "No language model can do 'ocr'"),
    ):
        result = CliRunner().invoke(make_app(), ["plan", *arguments])
        assert (result.exit_code, says in result.stderr) == (code, True), result.stderr


# options --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "means"),
    [
        ([], None),
        (["anthropic/claude-haiku-5-5"], "anthropic/claude-haiku-5-5"),
        (["none"], ""),
        (["blend=openrouter/google/gemini-2.5-flash"], {"blend": "openrouter/google/gemini-2.5-flash"}),
        (["blend=a/b", "toc_find=none"], {"blend": "a/b", "toc_find": ""}),
        # A model's name may have a sign of equality; an operation's cannot have a slash.
        (["lan/model=q4"], "lan/model=q4"),
        (
            ["a/b", "metadata=none"],
            {"blend": "a/b", "label_read": "a/b", "metadata": "", "toc_find": "a/b", "toc_extract": "a/b"},
        ),
    ],
)
def test_models_as_they_are_typed(given: list[str], means: object) -> None:
    assert models(given) == means


def test_what_was_not_said_is_left_to_the_job() -> None:
    assert spending(None, None, False) == {}
    assert spending(["none"], 2.5, True) == {"llm": "", "budget_usd": 2.5, "allow_unpriced": True}
    for wrong in (0.0, -1.0, float("nan"), float("inf")):
        with pytest.raises(BadInput, match="is no amount"):
            spending(None, wrong, False)
    with pytest.raises(BadInput, match="names no provider"):
        models(["/model"])


@pytest.mark.parametrize(
    ("reason", "says"),
    [
        ("BudgetExhausted: the budget of this job is used up: ...", "`shelf budget raise book-1 USD`"),
        ("BudgetExhausted: the budget of 2026-11-24 is used up: ...", "`shelf budget raise --day USD`"),
        ("CredentialsRefused: MISTRAL_API_KEY is refused", "Set the right key where the worker is started"),
        ("NotServed: mistral answered 400 (invalid_model)", "Correct it in shelf.toml, then `shelf resume book-1`"),
        ("by request", "Go on with `shelf resume book-1`."),
    ],
)
def test_a_pause_says_how_to_go_on(reason: str, says: str) -> None:
    assert says in next_step("book-1", reason)


# The how-to -----------------------------------------------------------------------------------------------------------


def commands_of(page: str) -> list[list[str]]:
    """What stands in the shell blocks of a page of the docs."""
    blocks = re.findall(r"```sh\n(.*?)```", (ROOT / "docs" / page).read_text(), re.DOTALL)
    lines = [shlex.split(line, comments=True) for block in blocks for line in block.splitlines()]
    return [line[1:] for line in lines if line and line[0] == "shelf"]


@pytest.mark.parametrize("arguments", commands_of("money.md"), ids=" ".join)
def test_what_the_docs_say_can_be_typed(arguments: list[str]) -> None:
    group: Any = get_command(make_app())
    while True:
        context = group.make_context("shelf", list(arguments), resilient_parsing=False)
        name, command, rest = group.resolve_command(context, context._protected_args + context.args)
        if not hasattr(command, "commands") or not rest:
            break
        group, arguments = command, rest
    command.make_context(name, list(rest))


def test_settings_of_the_docs_are_settings(nowhere: Path) -> None:
    from providers.queues import provider_queues
    from providers.settings import load_settings

    blocks = re.findall(r" *```toml\n(.*?)```", (ROOT / "docs" / "money.md").read_text(), re.DOTALL)
    Path("shelf.toml").write_text(textwrap.dedent("\n".join(map(textwrap.dedent, blocks))))
    settings = load_settings()
    assert (settings.budget.per_job_usd, settings.budget.per_day_usd) == (5.0, 20.0)
    assert settings.operations["blend"].llm == "anthropic/claude-haiku-5-5"
    assert provider_queues(settings.providers)["mistral"].usd_per_page == 0.002
