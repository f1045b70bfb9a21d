"""Azure Document Intelligence, prebuilt-read: lines, words, boxes and confidences, one page image an operation.

Two steps: POST {base_url}/documentintelligence/documentModels/{model}:analyze is charged and answers with the operation's
address; GETs of that address cost nothing. The address is kept at once, so that what was submitted is asked for again and
never submitted twice. Facts: facts/providers.md A.7; API of 2024-11-30, shapes from azure-ai-documentintelligence 1.0.2.
"""

from __future__ import annotations

import asyncio
import base64
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from providers import answer_checks
from providers.answer_checks import page_fault
from providers.base import Reading
from providers.classify import classify, redacted_bytes, retry_after_seconds, unreadable
from providers.errors import BadOutput, NotServed, ProviderError, RateLimited, ServerError
from providers.ledger import Calls, Response
from providers.ocr_service import OcrService
from providers.prices import Usage, call_price
from providers.remote_image import PageImage, page_name
from providers.service import MISSHAPEN
from providers.source import LeafSource
from schemas.http import Reply
from schemas.reading import Box, Line, PageReading, Word

API_VERSION = "2024-11-30"
POLL_SECONDS = 1.0
"""Between two looks where the service does not say; looks count against its limit of 15 a second as well."""
OPERATION = "operation"
"""Name under which the address of what was submitted is remembered; '' = it came to nothing."""
FAILED_LOOKS = "failed_looks"
"""Name under which the number of looks that failed is remembered."""
REVISION = 1
"""Of what is made of an answer."""


class AzureDocumentIntelligence(OcrService):
    """`RemoteOcrProvider`. The address is the user's own resource, so the row has none until it is set."""

    example = "prebuilt-read"

    def parameters(self) -> Mapping[str, object]:
        return {
            **self.images.parameters(),
            "api_version": API_VERSION,
            "revisions": [REVISION, answer_checks.REVISION],
        }

    async def read(self, leaf: LeafSource, language: str, timeout_seconds: float, calls: Calls) -> Reading:
        """Submit one page, unless it was, and ask until it is read. Raises a ProviderError."""
        began = time.monotonic()
        model, what = self.model(language), page_name(leaf)
        image = await self.images.of(leaf, timeout_seconds)
        until = time.monotonic() + timeout_seconds
        operation = await calls.recall(OPERATION)
        if not operation or not self._ours(operation):
            # What was submitted to another resource, before the row's address was changed, is not asked for: the key is new.
            operation = await self._submit(image, model, what, timeout_seconds, calls)
        try:
            reply, answer = await self._result(operation, what, max(until - time.monotonic(), POLL_SECONDS), calls)
        except ProviderError as error:
            await self._count(error, calls)
            raise
        try:
            page = await asyncio.to_thread(reading, self.name, answer["analyzeResult"], image)
        except MISSHAPEN as error:
            raise BadOutput(
                f"{self.name}'s answer on {what} has not the documented shape ({error!r}).",
                raw=redacted_bytes(self.row, reply.body),
            ) from None
        page.model, page.language = model, language
        if wrong := page_fault(page, image):
            raise BadOutput(
                f"{self.name}'s answer on {what} is no reading of it: {wrong}.",
                raw=redacted_bytes(self.row, reply.body),
            )
        return Reading(page, time.monotonic() - began)

    async def _submit(self, image: PageImage, model: str, what: str, timeout_seconds: float, calls: Calls) -> str:
        """The address of the operation, which is charged and remembered."""

        async def send() -> Response[str]:
            reply = await self._service.request(
                "POST",
                f"/documentintelligence/documentModels/{model}:analyze",
                json_body={"base64Source": base64.b64encode(image.body).decode("ascii")},
                params={"api-version": API_VERSION},
                headers=self._headers(),
                timeout_seconds=timeout_seconds,
                what=what,
            )
            operation = reply.headers.get("operation-location", "")
            if not operation:
                raise unreadable(self.row, reply, "it has no Operation-Location", what)
            usage = Usage(pages=1)
            if not self._ours(operation):
                raise NotServed(
                    f"{self.name} took {what}, but its result lies at another host ({urlsplit(operation).netloc}), where the "
                    f"key is not sent. Set base_url of [providers.{self.name}] to that of the resource itself.",
                    cost_usd=call_price(self.row, model, usage).usd,
                )
            # Before the call is noted as done: a death in between must not lose what was paid for.
            await calls.remember(OPERATION, operation)
            return Response(operation, usage, model)

        return await calls.paid(send)

    async def _result(
        self, operation: str, what: str, timeout_seconds: float, calls: Calls
    ) -> tuple[Reply, dict[str, Any]]:
        """The answer of an operation that succeeded. A failed look raises and changes nothing: the next attempt looks again."""
        until = time.monotonic() + timeout_seconds

        async def look() -> Reply:
            parts = urlsplit(operation)
            return await self._service.request(
                "GET",
                f"{parts.path}?{parts.query}" if parts.query else parts.path,
                base_url=f"{parts.scheme}://{parts.netloc}",
                headers=self._headers(),
                timeout_seconds=max(until - time.monotonic(), POLL_SECONDS),
                what=what,
            )

        while True:
            try:
                reply = await calls.free(look)
                answer = self._service.json(reply, what)
            except NotServed as error:
                await calls.remember(OPERATION, "")
                raise ServerError(
                    f"{self.name} no longer has the result of {what}: what was submitted has expired, and was paid in vain. "
                    "The next attempt submits it anew.",
                    raw=error.raw,
                ) from None
            status = answer.get("status")
            if status == "succeeded":
                return reply, answer
            if status not in ("notStarted", "running"):
                await calls.remember(OPERATION, "")
                raise classify(self.row, reply, what, error=answer.get("error") or answer, status=400)
            pause = retry_after_seconds(reply.headers)
            pause = POLL_SECONDS if pause is None else pause
            if time.monotonic() + pause > until:
                raise ServerError(
                    f"{self.name} has not finished {what} within {timeout_seconds:.0f} s; the next attempt asks for the "
                    "result again."
                )
            await asyncio.sleep(pause)

    def _ours(self, operation: str) -> bool:
        """Whether it lies where the key may be sent."""
        return urlsplit(operation)[:2] == urlsplit(self.row.base_url)[:2]

    async def _count(self, error: ProviderError, calls: Calls) -> None:
        """No look is noted as a call, so they are counted here: the page fails with every `max_attempts`-th that failed."""
        error.cost_usd = 0.0  # looks are free, and the submission is noted
        if not isinstance(error, RateLimited):
            failures = int(await calls.recall(FAILED_LOOKS) or 0) + 1
            await calls.remember(FAILED_LOOKS, str(failures))
            error.permanent = error.permanent or failures % self.row.max_attempts == 0

    def _headers(self) -> dict[str, str]:
        return {"ocp-apim-subscription-key": self._service.key()}


def reading(provider: str, result: Mapping[str, Any], image: PageImage) -> PageReading:
    """The reading that an analyzeResult says of its one page. Raises MISSHAPEN."""
    lines: list[Line] = []
    for page in result["pages"]:
        size = (float(page["width"]), float(page["height"]))
        words = [
            (word["span"]["offset"], Word(text, _box(word["polygon"], size), 100 * float(word["confidence"])))
            for word in page.get("words") or ()
            if (text := "".join(str(word["content"]).split()))
        ]
        for line in page.get("lines") or ():
            spans = [(span["offset"], span["offset"] + span["length"]) for span in line["spans"]]
            inside = [entry for entry in words if any(start <= entry[0] < end for start, end in spans)]
            words = [entry for entry in words if entry not in inside]
            lines.append(Line([word for _, word in inside]))
        # What it gives no line gets one by its place.
        lines += [Line([word]) for _, word in words]
    return image.reading(provider, lines, ordered=False)


def _box(polygon: list[float], size: tuple[float, float]) -> Box:
    """Shares of the picture, of x1, y1, x2, y2, ..."""
    xs, ys = polygon[0::2], polygon[1::2]
    return (min(xs) / size[0], min(ys) / size[1], max(xs) / size[0], max(ys) / size[1])
