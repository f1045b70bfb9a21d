"""Amazon Textract, DetectDocumentText: lines, words, boxes and confidences, one page image a call.

POST to https://textract.{region}.amazonaws.com/, signed by botocore's SigV4 signer, sent by our own client. Credentials are
AWS_ACCESS_KEY_ID (or the row's `key_env`), AWS_SECRET_ACCESS_KEY and, where they are temporary, AWS_SESSION_TOKEN of the
worker's environment; profiles and roles are not looked for. Facts: facts/providers.md A.8; shapes from botocore 1.44.
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import time
from collections.abc import Mapping
from typing import Any

from providers import answer_checks
from providers.answer_checks import accepted
from providers.base import Reading
from providers.classify import redacted_bytes, unreadable
from providers.errors import NotServed
from providers.ledger import Calls, Response
from providers.ocr_service import READING, OcrService
from providers.prices import Usage
from providers.remote_image import PageImage, page_name
from providers.service import MISSHAPEN, credential
from providers.source import LeafSource
from schemas.errors import LanguageMissing
from schemas.reading import Line, PageReading, Word

SECRET = "AWS_SECRET_ACCESS_KEY"  # noqa: S105  the name of a variable
TOKEN = "AWS_SESSION_TOKEN"  # noqa: S105  the name of a variable
LANGUAGES = frozenset(["deu", "eng", "fra", "ita", "por", "spa"])
"""Those of Textract's documentation, as Tesseract names them."""
REVISION = 1
"""Of what is made of an answer."""


class Textract(OcrService):
    """`RemoteOcrProvider`."""

    def model(self, language: str) -> str:
        """The operation; the service does not say which model carries it out. Raises LanguageMissing."""
        unknown = [part for part in language.split("+") if part not in LANGUAGES]
        if unknown:
            raise LanguageMissing(
                f"Textract does not read {', '.join(unknown) or 'no language'}; it reads {', '.join(sorted(LANGUAGES))}.",
                "Read the book with another provider; google-vision reads a hundred languages.",
            )
        return self.row.model or "DetectDocumentText"

    def parameters(self) -> Mapping[str, object]:
        return {**self.images.parameters(), "revisions": [REVISION, answer_checks.REVISION]}

    async def read(self, leaf: LeafSource, language: str, timeout_seconds: float, calls: Calls) -> Reading:
        """Read one page by one call. Raises a ProviderError."""
        began = time.monotonic()
        model, what = self.model(language), page_name(leaf)
        image = await self.images.of(leaf, timeout_seconds)
        address = self.row.base_url or self._regional()
        body = json.dumps({"Document": {"Bytes": base64.b64encode(image.body).decode("ascii")}}).encode()

        async def send() -> Response[PageReading]:
            # Signed when it is sent: a signature is good for five minutes.
            reply = await self._service.request(
                "POST",
                "/",
                base_url=address,
                content=body,
                headers=self._signed(address, body, model),
                timeout_seconds=timeout_seconds,
                what=what,
            )
            answer = self._service.json(reply, what)
            try:
                page = await asyncio.to_thread(reading, self.name, answer["Blocks"], image)
                usage = Usage(pages=int(answer["DocumentMetadata"]["Pages"]))
            except MISSHAPEN as error:
                raise unreadable(self.row, reply, f"not the documented shape ({error!r})", what) from None
            page.model, page.language = model, language
            return accepted(self.row, page, image, usage, redacted_bytes(self.row, reply.body), what)

        page = await calls.paid(send, keep=READING)
        return Reading(page, time.monotonic() - began)

    def _regional(self) -> str:
        if not self.row.region:
            raise NotServed(f"{self.name} has no region. Set region of [providers.{self.name}], then resume the job.")
        return f"https://textract.{self.row.region}.amazonaws.com"

    def _signed(self, address: str, body: bytes, model: str) -> dict[str, str]:
        """Headers with the signature of exactly this request. Raises CredentialsRefused."""
        from botocore.auth import SigV4Auth
        from botocore.awsrequest import AWSRequest
        from botocore.credentials import Credentials

        token = credential(self.row, TOKEN) if os.environ.get(TOKEN, "").strip() else None
        credentials = Credentials(self._service.key(), credential(self.row, SECRET), token)
        headers = {"content-type": "application/x-amz-json-1.1", "x-amz-target": f"Textract.{model}"}
        request = AWSRequest("POST", f"{address.rstrip('/')}/", headers=headers, data=body)
        SigV4Auth(credentials, "textract", self.row.region).add_auth(request)
        return dict(request.headers.items())


def reading(provider: str, blocks: list[Mapping[str, Any]], image: PageImage) -> PageReading:
    """The reading that the blocks of an answer say. Raises MISSHAPEN."""
    words = {block["Id"]: block for block in blocks if block["BlockType"] == "WORD"}
    lines = []
    for block in blocks:
        if block["BlockType"] == "LINE":
            ids = [
                name
                for relation in block.get("Relationships") or ()
                if relation["Type"] == "CHILD"
                for name in relation["Ids"]
            ]
            lines.append(Line([_word(words[name]) for name in ids if name in words]))
    # It goes over columns from left to right.
    return image.reading(provider, lines, ordered=False)


def _word(block: Mapping[str, Any]) -> Word:
    box = block["Geometry"]["BoundingBox"]
    x0, y0 = float(box["Left"]), float(box["Top"])
    text = "".join(str(block["Text"]).split())
    return Word(text, (x0, y0, x0 + float(box["Width"]), y0 + float(box["Height"])), float(block["Confidence"]))
