"""Google Cloud Vision, DOCUMENT_TEXT_DETECTION: words with boxes and confidences, one page image a call.

POST {base_url}/v1/images:annotate. Facts: facts/providers.md A.2; shapes from the documentation and google-cloud-vision 3.16.
A project that must stay in a region: base_url = "https://eu-vision.googleapis.com".
"""

from __future__ import annotations

import asyncio
import base64
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from providers import answer_checks
from providers.answer_checks import accepted
from providers.base import Reading
from providers.classify import classify, redacted_bytes, unreadable
from providers.language_tags import language_tags
from providers.ledger import Calls, Response
from providers.ocr_service import READING, OcrService
from providers.prices import Usage
from providers.remote_image import PageImage, page_name
from providers.service import MISSHAPEN, credential
from providers.source import LeafSource
from schemas.reading import Box, Line, PageReading, Word

PATH = "/v1/images:annotate"
TOKEN = "GOOGLE_OAUTH_ACCESS_TOKEN"  # noqa: S105  the name of a variable
"""Environment variable with an OAuth token (`gcloud auth print-access-token`), used in place of a key."""
PROJECT = "GOOGLE_CLOUD_PROJECT"
"""Environment variable with the project that pays, which a token does not name."""
REVISION = 1
"""Of what is made of an answer."""

RPC_CODES = {
    1: "CANCELLED",
    2: "UNKNOWN",
    3: "INVALID_ARGUMENT",
    4: "DEADLINE_EXCEEDED",
    5: "NOT_FOUND",
    6: "ALREADY_EXISTS",
    7: "PERMISSION_DENIED",
    8: "RESOURCE_EXHAUSTED",
    9: "FAILED_PRECONDITION",
    10: "ABORTED",
    11: "OUT_OF_RANGE",
    12: "UNIMPLEMENTED",
    13: "INTERNAL",
    14: "UNAVAILABLE",
    15: "DATA_LOSS",
    16: "UNAUTHENTICATED",
}
"""google.rpc.Code: an error inside an answer of status 200 has the number alone."""

HINTS = {
    "af", "ar", "be", "bg", "bn", "ca", "cs", "da", "de", "el", "en", "es", "et", "fa", "fi", "fil", "fr", "gu",
    "hi", "hr", "hu", "hy", "id", "is", "it", "ja", "kn", "ko", "lo", "lt", "lv", "mk", "ml", "mr", "ms", "ne",
    "nl", "no", "pa", "pl", "pt", "ro", "ru", "sk", "sl", "sq", "sr", "sr-Latn", "sv", "ta", "te", "th", "tr", "uk",
    "vi", "yi", "zh-Hans", "zh-Hant",
}  # fmt: skip
"""Languages that the service supports fully. A hint that it does not know is an error, and none is needed."""

SPACES = {"SPACE", "SURE_SPACE", "EOL_SURE_SPACE"}
LINE_ENDS = {"EOL_SURE_SPACE", "LINE_BREAK", "HYPHEN"}


class GoogleVision(OcrService):
    """`RemoteOcrProvider`. Each feature is charged apart, so only this one is asked for."""

    example = "DOCUMENT_TEXT_DETECTION"

    def parameters(self) -> Mapping[str, object]:
        return {**self.images.parameters(), "hints": True, "revisions": [REVISION, answer_checks.REVISION]}

    async def read(self, leaf: LeafSource, language: str, timeout_seconds: float, calls: Calls) -> Reading:
        """Read one page by one call. Raises a ProviderError."""
        began = time.monotonic()
        model, what = self.model(language), page_name(leaf)
        image = await self.images.of(leaf, timeout_seconds)
        asked: dict[str, Any] = {
            "image": {"content": base64.b64encode(image.body).decode("ascii")},
            "features": [{"type": model}],
        }
        if hints := [tag for tag in language_tags(language) if tag in HINTS]:
            asked["imageContext"] = {"languageHints": hints}

        async def send() -> Response[PageReading]:
            reply = await self._service.request(
                "POST",
                PATH,
                json_body={"requests": [asked]},
                headers=self._credentials(),
                timeout_seconds=timeout_seconds,
                what=what,
            )
            answer = self._service.json(reply, what)
            try:
                response = answer["responses"][0]
                error = response.get("error")
                if not error:
                    page = await asyncio.to_thread(reading, self.name, response.get("fullTextAnnotation"), image)
            except MISSHAPEN as fault:
                raise unreadable(self.row, reply, f"not the documented shape ({fault!r})", what) from None
            if error:
                named = {**error, "status": RPC_CODES.get(error.get("code"), "UNKNOWN")}
                raise classify(self.row, reply, what, error=named)
            page.model, page.language = model, language
            return accepted(self.row, page, image, Usage(pages=1), redacted_bytes(self.row, reply.body), what)

        page = await calls.paid(send, keep=READING)
        return Reading(page, time.monotonic() - began)

    def _credentials(self) -> dict[str, str]:
        """A key in a header: in the address, where samples have it, it gets into logs. Raises CredentialsRefused."""
        if os.environ.get(TOKEN, "").strip():
            headers = {"authorization": f"Bearer {credential(self.row, TOKEN)}"}
            if os.environ.get(PROJECT, "").strip():
                headers["x-goog-user-project"] = credential(self.row, PROJECT)
            return headers
        return {"x-goog-api-key": self._service.key()}


def reading(provider: str, annotation: Mapping[str, Any] | None, image: PageImage) -> PageReading:
    """The reading that a fullTextAnnotation says; without one, nothing was found. Raises MISSHAPEN."""
    lines: list[Line] = []
    for page in (annotation or {}).get("pages", ()):
        size = (float(page["width"]), float(page["height"]))
        for block in page.get("blocks", ()):
            for paragraph in block.get("paragraphs", ()):
                lines += _lines(paragraph["words"], size)
    # Of a contents page it makes a block of titles and one of numbers.
    return image.reading(provider, lines, ordered=False)


def _lines(words: Sequence[Mapping[str, Any]], size: tuple[float, float]) -> Iterator[Line]:
    """Lines of a paragraph. What it calls words are pieces: signs stand apart, and only the breaks say where blanks are."""
    line: list[Word] = []
    text, boxes, scores = "", list[Box](), list[float]()

    def end_word() -> None:
        nonlocal text
        if text:
            x0, y0 = min(box[0] for box in boxes), min(box[1] for box in boxes)
            x1, y1 = max(box[2] for box in boxes), max(box[3] for box in boxes)
            line.append(Word(text, (x0, y0, x1, y1), sum(scores) / len(scores) if scores else None))
        text = ""
        boxes.clear()
        scores.clear()

    for word in words:
        for symbol in word["symbols"]:
            found = (symbol.get("property") or {}).get("detectedBreak") or {}
            kind = found.get("type", "")
            if found.get("isPrefix") and kind:
                end_word()
            text += "".join(str(symbol.get("text", "")).split())
            boxes.append(_box(symbol.get("boundingBox") or word["boundingBox"], size))
            score = symbol.get("confidence", word.get("confidence"))
            if score is not None:
                scores.append(100 * float(score))
            if found.get("isPrefix"):
                continue
            if kind == "HYPHEN" and not text.endswith("-"):
                text += "-"  # printed, but not among the symbols
            if kind in SPACES | LINE_ENDS:
                end_word()
            if kind in LINE_ENDS and line:
                yield Line(line)
                line = []
    end_word()
    if line:
        yield Line(line)


def _box(poly: Mapping[str, Any], size: tuple[float, float]) -> Box:
    """Shares of the picture; a coordinate of 0 is left out."""
    vertices = poly["vertices"]
    xs = [float(vertex.get("x", 0)) / size[0] for vertex in vertices]
    ys = [float(vertex.get("y", 0)) / size[1] for vertex in vertices]
    return (min(xs), min(ys), max(xs), max(ys))
