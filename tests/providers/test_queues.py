"""The queue table: what a user may set of a row, and what is refused before anything is called or paid."""

from __future__ import annotations

from typing import Any

import pytest

from providers.queues import provider_queues
from schemas.errors import BadInput


@pytest.mark.parametrize(
    "values",
    [
        {"requests_per_second": 0},  # would be no limit at all
        {"requests_per_second": -1},
        {"requests_per_second": float("inf")},
        {"in_flight": 0},
        {"in_flight": "ten"},
        {"page_timeout_seconds": 0},
        {"batch_pages": 0},
        {"max_attempts": 0},
        {"retry_initial_seconds": 0},
        {"retry_maximum_seconds": float("nan")},
        {"usd_per_page": -0.004},  # would fill a budget instead of using it up
        {"usd_per_page": float("nan")},
        {"usd_per_million_input": -1, "usd_per_million_output": 1},
        {"max_image_bytes": 0},
        {"max_image_side": 0},
        {"failing_in_a_row": 0},
        {"key_env": "MISTRAL API KEY"},
        {"sees": "maybe"},
    ],
)
def test_a_value_that_makes_no_sense_is_refused_by_name(values: dict[str, Any]) -> None:
    with pytest.raises(BadInput, match=rf"\[providers\.mistral\] {next(iter(values))} is wrong: "):
        provider_queues({"mistral": values})


def test_half_a_price_is_refused() -> None:
    with pytest.raises(BadInput, match=r"usd_per_million_output") as refused:
        provider_queues({"openrouter": {"usd_per_million_input": 0.3}})
    assert "openrouter" in str(refused.value)


def test_a_retry_that_waits_longer_than_it_may_is_refused() -> None:
    with pytest.raises(BadInput, match=r"retry_maximum_seconds"):
        provider_queues({"mistral": {"retry_initial_seconds": 90}})


def test_pages_of_a_service_go_one_by_one() -> None:
    with pytest.raises(BadInput, match=r"\[providers\.mistral\] batch_pages is 8"):
        provider_queues({"mistral": {"batch_pages": 8}})
    assert provider_queues({"tesseract": {"batch_pages": 16}})["tesseract"].batch_pages == 16


@pytest.mark.parametrize(
    "fallbacks",
    [
        {"mistral": "mistral"},
        {"mistral": "google-vision", "google-vision": "mistral"},
        {"mistral": "google-vision", "google-vision": "textract", "textract": "google-vision"},
    ],
)
def test_providers_that_take_over_from_each_other_are_refused(fallbacks: dict[str, str]) -> None:
    """A page that nobody can read would go round for ever, and be paid for each time."""
    with pytest.raises(BadInput, match=r"fallback") as refused:
        provider_queues({name: {"fallback": other} for name, other in fallbacks.items()})
    assert "google-vision" in str(refused.value) or "mistral → mistral" in str(refused.value)


def test_a_chain_of_fallbacks_is_fine() -> None:
    table = provider_queues({"mistral": {"fallback": "google-vision"}, "google-vision": {"fallback": "tesseract"}})
    assert table["mistral"].fallback == "google-vision"


def test_numbers_from_the_environment_are_strings() -> None:
    table = provider_queues({"mistral": {"in_flight": "4", "requests_per_second": "2.5", "usd_per_page": "0.002"}})
    row = table["mistral"]
    assert (row.in_flight, row.requests_per_second, row.usd_per_page) == (4, 2.5, 0.002)
