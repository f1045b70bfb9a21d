"""What calls cost: dated, sourced, and None where nobody knows."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest

from providers.prices import (
    CONVERSATIONS,
    FREE,
    Usage,
    call_price,
    call_seconds,
    estimate,
    high_estimate,
    rates,
    service_of,
)
from providers.queues import QUEUES, provider_queues

ROWS = {row.name: row for row in QUEUES}
DAY = date(2026, 11, 24)
TOKENS = Usage(input_tokens=10_000, output_tokens=1_000)


@pytest.mark.parametrize(
    ("provider", "model", "usage", "at", "usd", "source"),
    [
        # Pages, by our table.
        ("mistral", "mistral-ocr-4-1", Usage(pages=1), DAY, 0.004, "OCR 4.1, 2026-11-23"),
        ("mistral", "mistral-ocr-2512", Usage(pages=3), DAY, 0.006, "OCR 3, 2026-11-23"),
        ("google-vision", "DOCUMENT_TEXT_DETECTION", Usage(pages=1), DAY, 0.0015, "Vision"),
        ("google-vision", "TEXT_DETECTION", Usage(pages=3), DAY, 0.0045, "Vision"),
        ("google-vision", "LABEL_DETECTION", Usage(pages=1), DAY, None, "no price"),
        ("azure-document-intelligence", "prebuilt-read", Usage(pages=1), DAY, 0.0015, "Read"),
        ("azure-document-intelligence", "prebuilt-layout", Usage(pages=1), DAY, 0.01, "Layout"),
        ("azure-document-intelligence", "prebuilt-invoice", Usage(pages=1), DAY, None, "no price"),
        ("textract", "DetectDocumentText 1.0", Usage(pages=2), DAY, 0.003, "Textract"),
        ("textract", "AnalyzeDocument", Usage(pages=1), DAY, None, "no price"),
        # Before our entry began, and for an alias: genai-prices, by the day.
        ("mistral", "mistral-ocr-latest", Usage(pages=1000), date(2026, 1, 1), 2.0, "genai-prices"),
        ("mistral", "mistral-ocr-latest", Usage(pages=1000), DAY, 4.0, "genai-prices"),
        ("mistral", "mistral-ocr-9", Usage(pages=1), DAY, None, "no price"),
        # Tokens.
        ("deepinfra", "allenai/olmOCR-2-7B-1025", TOKENS, DAY, 0.00109, "olmOCR's README, on DeepInfra, 2026-03-25"),
        ("deepinfra", "somebody/else", TOKENS, DAY, None, "no price"),
        ("anthropic", "claude-haiku-5-5-20261001", TOKENS, DAY, 0.0015, "genai-prices"),
        ("openai", "gpt-5-mini-2025-08-07", TOKENS, DAY, 0.0045, "genai-prices"),
        ("openrouter", "google/gemini-2.5-flash", TOKENS, DAY, 0.0055, "genai-prices"),
        ("openrouter", "nobody/knows", TOKENS, DAY, None, "no price"),
        # What has no figure for the price to work on is not free.
        ("openrouter", "google/gemini-2.5-flash", Usage(), DAY, None, "no price"),
        ("anthropic", "claude-haiku-5-5", Usage(input_tokens=5), DAY, None, "no price"),
        ("mistral", "mistral-ocr-4-1", TOKENS, DAY, None, "no price"),
        # The response has the last word, also where it says that a call was free.
        ("openrouter", "nobody/knows", Usage(cost_usd=0.0123), DAY, 0.0123, "the response"),
        ("openrouter", "some/model:free", Usage(cost_usd=0.0), DAY, 0.0, "the response"),
    ],
)
def test_the_price_of_a_call(provider: str, model: str, usage: Usage, at: date, usd: float | None, source: str) -> None:
    price = call_price(ROWS[provider], model, usage, at)
    assert price.usd == usd
    assert source in price.source


def test_every_price_says_its_day() -> None:
    for provider, model, usage in (
        ("mistral", "mistral-ocr-4-1", Usage(pages=1)),
        ("anthropic", "claude-haiku-5-5", TOKENS),
    ):
        assert any(part.startswith("2026-") for part in call_price(ROWS[provider], model, usage, DAY).source.split())


def test_a_cached_prompt_is_cheaper() -> None:
    whole = call_price(ROWS["anthropic"], "claude-haiku-5-5", TOKENS, DAY).usd
    cached = call_price(ROWS["anthropic"], "claude-haiku-5-5", replace(TOKENS, cached_tokens=9_000), DAY).usd
    assert whole is not None
    assert cached is not None
    assert cached < whole


def test_the_users_own_figures_win_over_our_table() -> None:
    table = provider_queues(
        {
            "mistral": {"usd_per_page": 0.002},
            "anthropic": {"usd_per_million_input": 1.0, "usd_per_million_output": 2.0},
        }
    )
    by_page = call_price(table["mistral"], "mistral-ocr-4-1", Usage(pages=2), DAY)
    assert (by_page.usd, by_page.source) == (0.004, "[providers.mistral], 2026-11-24")
    assert call_price(table["anthropic"], "whatever", TOKENS, DAY).usd == 0.012


def test_whose_price_counts_follows_from_the_address_not_from_the_name() -> None:
    table = provider_queues(
        {
            "my-router": {"kind": "openai-compatible", "dialect": "openrouter"},
            "lan": {"kind": "openai-compatible", "dialect": "openai", "base_url": "http://10.0.0.7:8000/v1"},
            "together": {"kind": "openai-compatible", "dialect": "openai", "base_url": "https://api.together.xyz/v1"},
            # Our own row behind a proxy of the user's is still who sends the bill.
            "openai": {"base_url": "https://proxy.example/v1"},
        }
    )
    assert service_of(table["my-router"]) == "openrouter"
    assert call_price(table["lan"], "gpt-5-mini", TOKENS, DAY).usd is None
    assert call_price(table["openai"], "gpt-5-mini", TOKENS, DAY).usd == 0.0045
    # Known to genai-prices by its address.
    assert call_price(table["together"], "meta-llama/Llama-3.3-70B-Instruct-Turbo", TOKENS, DAY).usd


def test_what_is_declared_free_costs_nothing_and_nothing_else_does() -> None:
    assert call_price(ROWS["ollama"], "anything", TOKENS) == FREE
    assert high_estimate(ROWS["ollama"], "anything", "blend") == 0.0
    assert high_estimate(ROWS["tesseract"], "", "ocr") == 0.0
    assert high_estimate(ROWS["openrouter"], "nobody/knows", "blend") is None
    assert high_estimate(ROWS["openrouter"], "", "blend") is None


def test_a_page_priced_reading_is_estimated_exactly() -> None:
    found = estimate(ROWS["mistral"], "", "ocr", at=DAY)
    assert found is not None
    assert (found.low, found.expected, found.high) == (0.004, 0.004, 0.004)


@pytest.mark.parametrize("operation", sorted(CONVERSATIONS))
@pytest.mark.parametrize(
    ("provider", "model"),
    [
        ("anthropic", "claude-haiku-5-5"),
        ("openrouter", "google/gemini-2.5-flash"),
        ("openai", "gpt-5-mini"),
        ("deepinfra", "allenai/olmOCR-2-7B-1025"),
    ],
)
def test_estimates_are_ordered_and_above_nothing(operation: str, provider: str, model: str) -> None:
    found = estimate(ROWS[provider], model, operation, at=DAY)
    assert found is not None
    assert 0 < found.low < found.expected < found.high
    assert found.high == high_estimate(ROWS[provider], model, operation)
    assert call_seconds(ROWS[provider], model, operation) > 0


def test_a_longer_text_costs_more() -> None:
    short = estimate(ROWS["anthropic"], "claude-haiku-5-5", "blend", characters=500, at=DAY)
    long = estimate(ROWS["anthropic"], "claude-haiku-5-5", "blend", characters=5_000, at=DAY)
    assert short is not None
    assert long is not None
    assert short.expected < long.expected


def test_olmocr_costs_about_what_its_makers_say() -> None:
    """ "Under $200 per million pages" (its README)."""
    found = estimate(ROWS["deepinfra"], "", "ocr", at=DAY)
    assert found is not None
    assert 100 < found.expected * 1e6 < 300


def test_rates_are_those_of_short_questions() -> None:
    haiku = rates(ROWS["anthropic"], at=DAY)
    assert (haiku.usd_per_million_input, haiku.usd_per_million_output) == (0.1, 0.5)
    assert rates(ROWS["mistral"], at=DAY).usd_per_1000_pages == 4.0
    assert rates(ROWS["openrouter"], at=DAY).usd_per_million_input is None


def test_our_table_and_genai_prices_agree_where_both_have_a_price() -> None:
    ours = call_price(ROWS["mistral"], "mistral-ocr-4-1", Usage(pages=1000), DAY)
    theirs = call_price(ROWS["mistral"], "mistral-ocr-latest", Usage(pages=1000), DAY)
    assert "genai" not in ours.source
    assert "genai" in theirs.source
    assert ours.usd == theirs.usd
