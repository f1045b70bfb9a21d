"""Answers of any shape: a reading, or an error that the adapters know; never anything else."""

from __future__ import annotations

import copy
import json
import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from providers import azure_document_intelligence, google_vision, mistral_ocr, textract
from providers.leaves import Raster
from providers.remote_image import PageImage
from providers.service import MISSHAPEN
from schemas.reading import PageReading
from tests.providers.remote.ocr_services import PAGE, Amazon, Azure, Google, Mistral

SIZE = (200, 300)
IMAGE = PageImage(b"", "image/png", *SIZE, Raster(np.full((300, 200), 255, dtype=np.uint8), 144, 216, 100))
JUNK = (None, "x", -1, 0, [], {}, [None], {"x": None}, math.nan, 1e400, True)

READERS: dict[str, tuple[Any, Callable[[Any], PageReading]]] = {
    "mistral": (
        Mistral.page(PAGE, SIZE, blocks=True, words="word"),
        lambda page: mistral_ocr.reading("m", page, IMAGE),
    ),
    "google": (Google.annotation(PAGE, SIZE), lambda found: google_vision.reading("g", found, IMAGE)),
    "azure": (
        Azure.analysis(PAGE, SIZE),
        lambda result: azure_document_intelligence.reading("a", result, IMAGE),
    ),
    "textract": (Amazon.blocks(PAGE), lambda blocks: textract.reading("t", blocks, IMAGE)),
}


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Paths to every kind of node: of a list, to its first and last."""
    yield path
    if isinstance(value, dict):
        for name, item in value.items():
            yield from places(item, (*path, name))
    elif isinstance(value, list) and value:
        for position in {0, len(value) - 1}:
            yield from places(value[position], (*path, position))


def with_junk(value: Any, path: tuple[Any, ...], junk: Any) -> Any:
    if not path:
        return junk
    changed = copy.copy(value)
    changed[path[0]] = with_junk(value[path[0]], path[1:], junk)
    return changed


@pytest.mark.parametrize("name", READERS)
def test_every_part_replaced_by_junk(name: str) -> None:
    answer, read = READERS[name]
    answer = json.loads(json.dumps(answer))
    read_anyway = refused = 0
    for path in set(places(answer)):
        for junk in JUNK:
            try:
                page = read(with_junk(answer, path, junk))
            except MISSHAPEN:
                refused += 1
                continue
            read_anyway += 1
            assert PageReading.from_json(page.to_json()).text == page.text
            assert all(math.isfinite(side) for word in page.words for side in word.box)
            assert all(word.confidence is None or 0 <= word.confidence <= 100 for word in page.words)
    assert read_anyway > 50
    assert refused > 50
