"""Mistral OCR 4.1: one page image a call; paragraphs with boxes and markdown, confidences of words.

POST {base_url}/v1/ocr. Facts: facts/providers.md A.1; shapes from the documentation of 2026-08-21 and mistralai 3.7.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Mapping, Sequence
from typing import Any

from rapidfuzz.distance import Levenshtein

from providers import answer_checks, latex_text, markdown_lines
from providers.answer_checks import accepted
from providers.base import Reading
from providers.classify import redacted_bytes, unreadable
from providers.ink import ink_figures
from providers.latex_text import plain_signs
from providers.ledger import Calls, Response
from providers.markdown_lines import laid_out, plain_lines
from providers.ocr_service import READING, OcrService
from providers.prices import Usage
from providers.remote_image import PageImage, confidence, page_name
from providers.service import MISSHAPEN
from providers.source import LeafSource
from schemas.reading import Line, PageReading, Word

PATH = "/v1/ocr"
OPTIONS: Mapping[str, object] = {
    "include_image_base64": False,
    "include_blocks": True,  # OCR 4; earlier models give the page's markdown alone
    "confidence_scores_granularity": "word",
    "table_format": None,  # tables stay in their place in the text
    "extract_header": False,
    "extract_footer": False,
}
REVISION = 1
"""Of what is made of an answer."""


class MistralOcr(OcrService):
    """`RemoteOcrProvider`."""

    example = "mistral-ocr-4-1"

    def parameters(self) -> Mapping[str, object]:
        return {
            **self.images.parameters(),
            **OPTIONS,
            "revisions": [REVISION, markdown_lines.REVISION, latex_text.REVISION, answer_checks.REVISION],
        }

    async def read(self, leaf: LeafSource, language: str, timeout_seconds: float, calls: Calls) -> Reading:
        """Read one page by one call. Raises a ProviderError."""
        began = time.monotonic()
        model, what = self.model(language), page_name(leaf)
        image = await self.images.of(leaf, timeout_seconds)

        async def send() -> Response[PageReading]:
            document = {"type": "image_url", "image_url": image.data_url}
            reply = await self._service.request(
                "POST",
                PATH,
                json_body={"model": model, "document": document, **OPTIONS},
                headers={"authorization": f"Bearer {self._service.key()}"},
                timeout_seconds=timeout_seconds,
                what=what,
            )
            answer = self._service.json(reply, what)
            try:
                page = await asyncio.to_thread(reading, self.name, answer["pages"][0], image)
                page.model, page.language = str(answer.get("model") or model), language
                usage = Usage(pages=int(answer["usage_info"]["pages_processed"]))
            except MISSHAPEN as error:
                raise unreadable(self.row, reply, f"not the documented shape ({error!r})", what) from None
            return accepted(self.row, page, image, usage, redacted_bytes(self.row, reply.body), what)

        page = await calls.paid(send, keep=READING)
        return Reading(page, time.monotonic() - began)


def reading(provider: str, page: Mapping[str, Any], image: PageImage) -> PageReading:
    """The reading that a page object says; raises MISSHAPEN where it is none.

    `figures["boxes_guessed"]` is the share of words in paragraphs whose line breaks the service did not keep."""
    if not page.get("blocks"):
        return _without_places(provider, page, image)
    size = page.get("dimensions") or {"width": image.columns, "height": image.rows}
    across, down = float(size["width"]), float(size["height"])
    placed: list[tuple[int, Line]] = []
    guessed = 0
    for number, block in enumerate(page["blocks"]):
        if block["type"] == "image":
            continue
        box = (
            block["top_left_x"] / across,
            block["top_left_y"] / down,
            block["bottom_right_x"] / across,
            block["bottom_right_y"] / down,
        )
        laid, reflowed = laid_out(_lines(block["content"]), box, image.columns, image.rows, number)
        guessed += reflowed * sum(len(line.words) for line in laid)
        placed += [(_order(block["type"], box), line) for line in laid]
    # Before the heads are put first: the scores come in the service's order.
    words = [word for _, line in placed for word in line.words]
    _set_confidences(words, page)
    placed.sort(key=lambda entry: entry[0])  # stable
    result = image.reading(provider, [line for _, line in placed])
    if guessed:
        result.figures["boxes_guessed"] = round(guessed / len(words), 3)
    return result


def _without_places(provider: str, page: Mapping[str, Any], image: PageImage) -> PageReading:
    """Of a model that gives no blocks: every word somewhere on the page, from which the blend can place it."""
    result = PageReading(provider, image.look.width, image.look.height)
    everywhere = (0.0, 0.0, result.width, result.height)
    for number, paragraph in enumerate(re.split(r"\n\s*\n", page["markdown"])):
        result.lines += [Line([Word(word, everywhere) for word in text.split()], number) for text in _lines(paragraph)]
    _set_confidences(result.words, page)
    if not result.lines:
        # Of a reading without places nobody can say which print it lost; of an empty one, all of it.
        result.figures = ink_figures(image.look, [])
    return result


def _lines(markdown: str) -> list[str]:
    return plain_lines(plain_signs(markdown))


def _order(kind: str, box: tuple[float, float, float, float]) -> int:
    """Running heads first, feet last, whatever place the service gives them."""
    upper = box[1] + box[3] < 1.0
    return 0 if kind == "header" and upper else 2 if kind == "footer" and not upper else 1


def _set_confidences(words: Sequence[Word], page: Mapping[str, Any]) -> None:
    """Each word's confidence by those of the pieces of markdown that have its letters. Pieces are not words (one may be part
    of a word, or carry markup), so letters and digits are aligned; a word of signs alone takes its neighbour's."""
    known: list[float] = []
    spelled = ""
    for score in (page.get("confidence_scores") or {}).get("word_confidence_scores") or ():
        letters = "".join(sign for sign in str(score["text"]) if sign.isalnum())
        spelled += letters
        known += [confidence(100 * float(score["confidence"])) or 0.0] * len(letters)
    if not known:
        return
    own = ["".join(sign for sign in word.text if sign.isalnum()) for word in words]
    found: list[float | None] = [None] * sum(map(len, own))
    for part in Levenshtein.opcodes("".join(own), spelled):
        if part.tag in ("equal", "replace"):
            found[part.src_start : part.src_end] = known[part.dest_start : part.dest_end]
    at, last = 0, known[0]
    for word, letters in zip(words, own, strict=True):
        values = [value for value in found[at : at + len(letters)] if value is not None]
        at += len(letters)
        if values or not letters:
            word.confidence = last = sum(values) / len(values) if values else last
