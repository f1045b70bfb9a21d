"""The OCR services' side of their protocols, as documented: what they check, answer, charge, and how they refuse.

Shapes from the services' documentation and SDKs (tests/providers/remote/test_sdk_oracles.py parses these answers with them).
"""

from __future__ import annotations

import base64
import io
import itertools
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from PIL import Image

from tests.providers.remote.server import Answer, Handler, Request, json_answer

Box = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class PrintedLine:
    """A line as it stands on the page."""

    text: str
    box: Box
    """Shares of the picture's width and height."""
    kind: str = "text"
    """Of its block, as Mistral names it."""
    confidence: float = 0.97
    markdown: str = ""
    """How a service that answers in markdown writes it; '' = as it is."""

    def words(self) -> list[tuple[str, Box]]:
        """Each word with its share of the line by number of letters."""
        x0, y0, x1, y1 = self.box
        step = (x1 - x0) / len(self.text)
        found, at = [], 0
        for word in self.text.split():
            start = self.text.index(word, at)
            at = start + len(word)
            found.append((word, (x0 + start * step, y0, x0 + at * step, y1)))
        return found


PAGE: tuple[PrintedLine, ...] = (
    PrintedLine("A DAY AT A TIME", (0.35, 0.05, 0.65, 0.07), "header"),
    PrintedLine("The Doctor", (0.4, 0.15, 0.6, 0.18), "title", markdown="## The Doctor"),
    PrintedLine("It was late when the doctor came, and", (0.15, 0.25, 0.85, 0.275)),
    PrintedLine("nobody had lit the lamp in the hall.", (0.15, 0.28, 0.8, 0.305)),
    PrintedLine("He said: 'Wait & see,' and sat down.", (0.15, 0.4, 0.85, 0.425)),
    PrintedLine("17", (0.49, 0.94, 0.51, 0.96), "footer"),
)

Reader = Callable[[bytes], Sequence[PrintedLine]]


def the_page(image: bytes) -> Sequence[PrintedLine]:
    """What every page of these services says unless told otherwise."""
    return PAGE


def size_of(image: bytes) -> tuple[int, int]:
    """Pixels of a picture; raises where it is none."""
    with Image.open(io.BytesIO(image)) as opened:
        opened.verify()
        return opened.size


@dataclass
class OcrService:
    """One service, with its key, its price a page and what it reads."""

    key: str = "secret-of-the-test-0123456789"
    usd_per_page: float = 0.0
    read: Reader = the_page
    images: list[bytes] = field(default_factory=list)
    """The pictures that it was sent."""

    def handlers(self) -> dict[str, Handler]:
        raise NotImplementedError

    @property
    def errors(self) -> Mapping[str, Answer]:
        """Its refusals, by what they mean; equal names in all services."""
        raise NotImplementedError

    def _look(self, image: bytes) -> tuple[int, int]:
        self.images.append(image)
        return size_of(image)


# Mistral


@dataclass
class Mistral(OcrService):
    """POST /v1/ocr, OCR 4."""

    usd_per_page: float = 0.004
    model: str = "mistral-ocr-4-1"

    def handlers(self) -> dict[str, Handler]:
        return {"POST /v1/ocr": self.ocr}

    @property
    def errors(self) -> Mapping[str, Answer]:
        def error(status: int, message: str, kind: str, code: str) -> Answer:
            body = {"object": "error", "message": message, "type": kind, "param": None, "code": code}
            return json_answer({**body, "raw_status_code": status}, status, note=kind)

        return {
            "refused key": json_answer({"detail": "Unauthorized"}, 401, note="refused key"),
            "quota": error(429, "Monthly spending limit reached for this workspace", "spending_limit", "1301"),
            "rate limited": error(429, "Rate limit exceeded", "rate_limited", "1300"),
            "overloaded": error(503, "Service unavailable", "service_unavailable", "3505"),
            "server error": error(500, "Internal server error", "internal_server_error", "1000"),
            "rejected": json_answer(
                {"detail": [{"loc": ["body", "document"], "msg": "Field required", "type": "missing"}]}, 422
            ),
            "not served": error(400, f"Invalid model: {self.model}", "invalid_model", "1500"),
        }

    def ocr(self, request: Request) -> Answer:
        if request.headers.get("authorization") != f"Bearer {self.key}":
            return self.errors["refused key"]
        asked = request.json
        if asked["model"] != self.model:
            return self.errors["not served"]
        document = asked["document"]
        kind, _, data = document.get("image_url", "").partition(";base64,")
        if document.get("type") != "image_url" or not kind.startswith("data:image/"):
            return self.errors["rejected"]
        image = base64.b64decode(data, validate=True)
        size = self._look(image)
        page = self.page(
            self.read(image), size, blocks=asked["include_blocks"], words=asked["confidence_scores_granularity"]
        )
        body = {
            "pages": [page],
            "model": self.model,
            "usage_info": {"pages_processed": 1, "doc_size_bytes": len(image)},
            "document_annotation": None,
        }
        return json_answer(body, charge_usd=self.usd_per_page, note="read")

    @staticmethod
    def page(lines: Sequence[PrintedLine], size: tuple[int, int], *, blocks: bool, words: str | None) -> dict[str, Any]:
        """A page object; lines of one kind that follow closely make a block."""
        groups: list[list[PrintedLine]] = []
        for line in lines:
            last = groups[-1][-1] if groups else None
            if last is not None and last.kind == line.kind and line.box[1] - last.box[3] < 0.02:
                groups[-1].append(line)
            else:
                groups.append([line])
        contents = ["\n".join(line.markdown or line.text for line in group) for group in groups]
        markdown = "\n\n".join(contents)
        page: dict[str, Any] = {
            "index": 0,
            "markdown": markdown,
            "images": [],
            "tables": [],
            "hyperlinks": [],
            "header": None,
            "footer": None,
            "dimensions": {"dpi": 200, "width": size[0], "height": size[1]},
            "confidence_scores": None,
            "blocks": None,
        }
        if blocks:
            page["blocks"] = [
                {
                    "type": group[0].kind,
                    "top_left_x": round(min(line.box[0] for line in group) * size[0]),
                    "top_left_y": round(min(line.box[1] for line in group) * size[1]),
                    "bottom_right_x": round(max(line.box[2] for line in group) * size[0]),
                    "bottom_right_y": round(max(line.box[3] for line in group) * size[1]),
                    "content": content,
                }
                for group, content in zip(groups, contents, strict=True)
            ]
        if words == "word":
            scores, at = [], 0
            for line in lines:
                for word in (line.markdown or line.text).split():
                    at = markdown.index(word, at)
                    scores.append({"text": word, "confidence": line.confidence, "start_index": at})
                    at += len(word)
            mean = sum(score["confidence"] for score in scores) / len(scores) if scores else 0.0
            page["confidence_scores"] = {
                "average_page_confidence_score": mean,
                "minimum_page_confidence_score": min((score["confidence"] for score in scores), default=0.0),
                "word_confidence_scores": scores,
            }
        return page


# Google


@dataclass
class Google(OcrService):
    """POST /v1/images:annotate."""

    usd_per_page: float = 0.0015
    bearer: str = ""
    """An OAuth token that is taken as well, with x-goog-user-project."""
    hints: list[list[str]] = field(default_factory=list)
    """languageHints of each request."""

    def handlers(self) -> dict[str, Handler]:
        return {"POST /v1/images:annotate": self.annotate}

    @property
    def errors(self) -> Mapping[str, Answer]:
        def error(code: int, status: str, message: str, reason: str = "", retry: str = "") -> Answer:
            details: list[dict[str, Any]] = []
            if reason:
                details.append(
                    {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": reason, "domain": "googleapis.com"}
                )
            if retry:
                details.append({"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": retry})
            body = {"error": {"code": code, "message": message, "status": status, "details": details}}
            return json_answer(body, code, note=status)

        return {
            "refused key": error(
                400, "INVALID_ARGUMENT", "API key not valid. Please pass a valid API key.", "API_KEY_INVALID"
            ),
            "quota": error(403, "PERMISSION_DENIED", "This API method requires billing.", "BILLING_DISABLED"),
            "rate limited": error(
                429, "RESOURCE_EXHAUSTED", "Quota exceeded for quota metric 'Requests'", "RATE_LIMIT_EXCEEDED", "0.2s"
            ),
            "overloaded": error(503, "UNAVAILABLE", "The service is currently unavailable."),
            "server error": error(500, "INTERNAL", "Internal error encountered."),
            "rejected": error(400, "INVALID_ARGUMENT", "Request payload size exceeds the limit."),
            "not served": error(404, "NOT_FOUND", "Requested entity was not found."),
        }

    def inner_error(self, code: int, message: str) -> Answer:
        """200, and the picture's own error inside."""
        return json_answer({"responses": [{"error": {"code": code, "message": message}}]}, note=f"inner {code}")

    def annotate(self, request: Request) -> Answer:
        by_token = (
            self.bearer
            and request.headers.get("authorization") == f"Bearer {self.bearer}"
            and bool(request.headers.get("x-goog-user-project"))
        )
        if not by_token and request.headers.get("x-goog-api-key") != self.key:
            return self.errors["refused key"]
        asked = request.json["requests"]
        if len(asked) != 1 or [feature["type"] for feature in asked[0]["features"]] != ["DOCUMENT_TEXT_DETECTION"]:
            return self.errors["rejected"]
        self.hints.append(asked[0].get("imageContext", {}).get("languageHints", []))
        image = base64.b64decode(asked[0]["image"]["content"], validate=True)
        size = self._look(image)
        lines = self.read(image)
        body = {"responses": [{"fullTextAnnotation": self.annotation(lines, size)} if lines else {}]}
        return json_answer(body, charge_usd=self.usd_per_page, note="read")

    @staticmethod
    def annotation(lines: Sequence[PrintedLine], size: tuple[int, int]) -> dict[str, Any]:
        def poly(box: Box) -> dict[str, Any]:
            x0, x1, y0, y1 = (
                round(value) for value in (box[0] * size[0], box[2] * size[0], box[1] * size[1], box[3] * size[1])
            )
            # A coordinate of 0 is left out: protobuf's JSON has no defaults.
            corners = [{"x": x, "y": y} for x, y in ((x0, y0), (x1, y0), (x1, y1), (x0, y1))]
            return {"vertices": [{axis: value for axis, value in corner.items() if value} for corner in corners]}

        blocks = []
        for _, group in itertools.groupby(lines, key=lambda line: (line.kind, round(line.box[1], 1))):
            words = []
            for line in group:
                parts = line.words()
                for n, (word, box) in enumerate(parts):
                    symbols: list[dict[str, Any]] = [{"text": letter, "confidence": line.confidence} for letter in word]
                    last = n == len(parts) - 1
                    symbols[-1]["property"] = {"detectedBreak": {"type": "EOL_SURE_SPACE" if last else "SPACE"}}
                    words.append({"symbols": symbols, "confidence": line.confidence, "boundingBox": poly(box)})
            blocks.append(
                {
                    "blockType": "TEXT",
                    "confidence": 0.97,
                    "paragraphs": [{"words": words}],
                    "boundingBox": poly((0, 0, 1, 1)),
                }
            )
        text = "".join(line.text + "\n" for line in lines)
        return {"text": text, "pages": [{"width": size[0], "height": size[1], "confidence": 0.97, "blocks": blocks}]}


# Azure


@dataclass
class Azure(OcrService):
    """documentModels/prebuilt-read:analyze, and the operation's results."""

    usd_per_page: float = 0.0015
    polls: int = 1
    """How often an operation is still running when it is asked."""
    retry_after: str = "0"
    elsewhere: str = ""
    """Host in Operation-Location, in place of the one that was asked."""
    operations: dict[str, dict[str, Any]] = field(default_factory=dict)

    def handlers(self) -> dict[str, Handler]:
        models = "/documentintelligence/documentModels/prebuilt-read"
        return {f"POST {models}:analyze": self.analyze, f"GET {models}/analyzeResults/": self.result}

    @property
    def errors(self) -> Mapping[str, Answer]:
        def error(status: int, code: str, message: str, inner: str = "") -> Answer:
            body: dict[str, Any] = {"code": code, "message": message}
            if inner:
                body["innererror"] = {"code": inner, "message": message}
            return json_answer({"error": body}, status, note=code)

        return {
            "refused key": error(401, "401", "Access denied due to invalid subscription key or wrong API endpoint."),
            "quota": error(403, "403", "Out of call volume quota for FormRecognizer F0 pricing tier."),
            "rate limited": error(429, "429", "Requests to the Analyze operation have exceeded the rate limit."),
            "overloaded": error(503, "ServiceUnavailable", "The service is temporarily unavailable."),
            "server error": error(500, "InternalServerError", "An unexpected error occurred."),
            "rejected": error(400, "InvalidRequest", "Invalid request.", "InvalidContentLength"),
            "not served": error(404, "NotFound", "Resource not found.", "ModelNotFound"),
            "expired": error(404, "NotFound", "Operation not found.", "OperationNotFound"),
        }

    def analyze(self, request: Request) -> Answer:
        if request.headers.get("ocp-apim-subscription-key") != self.key:
            return self.errors["refused key"]
        if request.query.get("api-version") != "2024-11-30":
            return self.errors["rejected"]
        image = base64.b64decode(request.json["base64Source"], validate=True)
        size = self._look(image)
        name = f"operation-{len(self.operations) + 1}"
        self.operations[name] = {"polls": self.polls, "result": self.analysis(self.read(image), size)}
        host = self.elsewhere or f"http://{request.headers['host']}"
        path = request.path.removesuffix(":analyze")
        headers = {
            "operation-location": f"{host}{path}/analyzeResults/{name}?api-version=2024-11-30",
            "retry-after": self.retry_after,
        }
        return Answer(202, b"", headers, self.usd_per_page, note="submitted")

    def result(self, request: Request) -> Answer:
        if request.headers.get("ocp-apim-subscription-key") != self.key:
            return self.errors["refused key"]
        operation = self.operations.get(request.path.rpartition("/")[2])
        if operation is None:
            return self.errors["expired"]
        times = {"createdDateTime": "2026-11-01T00:00:00Z", "lastUpdatedDateTime": "2026-11-01T00:00:01Z"}
        if operation["polls"] > 0:
            operation["polls"] -= 1
            return json_answer(
                {"status": "running", **times}, headers={"retry-after": self.retry_after}, note="running"
            )
        if "error" in operation:
            return json_answer({"status": "failed", **times, "error": operation["error"]}, note="failed")
        return json_answer({"status": "succeeded", **times, "analyzeResult": operation["result"]}, note="read")

    @staticmethod
    def analysis(lines: Sequence[PrintedLine], size: tuple[int, int]) -> dict[str, Any]:
        def polygon(box: Box) -> list[float]:
            x0, y0, x1, y1 = box[0] * size[0], box[1] * size[1], box[2] * size[0], box[3] * size[1]
            return [x0, y0, x1, y0, x1, y1, x0, y1]

        content = ""
        words: list[dict[str, Any]] = []
        found: list[dict[str, Any]] = []
        for line in lines:
            at = 0
            for word, box in line.words():
                at = line.text.index(word, at)
                span = {"offset": len(content) + at, "length": len(word)}
                words.append({"content": word, "polygon": polygon(box), "span": span, "confidence": line.confidence})
                at += len(word)
            span = {"offset": len(content), "length": len(line.text)}
            found.append({"content": line.text, "polygon": polygon(line.box), "spans": [span]})
            content += line.text + "\n"
        page = {
            "pageNumber": 1,
            "angle": 0.0,
            "width": size[0],
            "height": size[1],
            "unit": "pixel",
            "spans": [{"offset": 0, "length": len(content)}],
            "words": words,
            "lines": found,
        }
        return {
            "apiVersion": "2024-11-30",
            "modelId": "prebuilt-read",
            "stringIndexType": "textElements",
            "contentFormat": "text",
            "content": content,
            "pages": [page],
        }


# Amazon


@dataclass
class Amazon(OcrService):
    """DetectDocumentText; `key` is the secret access key, by which signatures are checked."""

    usd_per_page: float = 0.0015
    access_key: str = "AKIAEXAMPLE0000000"
    token: str = ""
    region: str = "us-east-1"

    def handlers(self) -> dict[str, Handler]:
        return {"POST /": self.detect}

    @property
    def errors(self) -> Mapping[str, Answer]:
        def error(status: int, kind: str, message: str = "") -> Answer:
            body = {"__type": f"com.amazonaws.textract#{kind}", "message": message}
            return json_answer(body, status, headers={"content-type": "application/x-amz-json-1.1"}, note=kind)

        return {
            "refused key": error(
                400, "UnrecognizedClientException", "The security token included in the request is invalid."
            ),
            "quota": error(402, "HumanLoopQuotaExceededException", "You have exceeded the quota."),
            "rate limited": error(400, "ProvisionedThroughputExceededException", "Rate exceeded"),
            "throttling": error(400, "ThrottlingException", "Rate exceeded"),
            "overloaded": error(503, "ServiceUnavailableException", "Try again later"),
            "server error": error(500, "InternalServerError", "Internal error"),
            "rejected": error(400, "UnsupportedDocumentException", "Request has unsupported document format"),
            "not served": error(400, "UnknownOperationException", ""),
        }

    def detect(self, request: Request) -> Answer:
        if not self.signed(request):
            return self.errors["refused key"]
        if request.headers.get("x-amz-target") != "Textract.DetectDocumentText":
            return self.errors["not served"]
        if request.headers.get("content-type") != "application/x-amz-json-1.1":
            return self.errors["rejected"]
        image = base64.b64decode(request.json["Document"]["Bytes"], validate=True)
        self._look(image)
        body = {
            "DocumentMetadata": {"Pages": 1},
            "Blocks": self.blocks(self.read(image)),
            "DetectDocumentTextModelVersion": "1.0",
        }
        headers = {"content-type": "application/x-amz-json-1.1"}
        return json_answer(body, headers=headers, charge_usd=self.usd_per_page, note="read")

    def signed(self, request: Request) -> bool:
        """Whether the signature is the one that the secret gives for exactly this request."""
        from botocore.auth import SigV4Auth
        from botocore.awsrequest import AWSRequest
        from botocore.credentials import Credentials

        given = request.headers.get("authorization", "")
        if (
            f"Credential={self.access_key}/" not in given
            or request.headers.get("x-amz-security-token", "") != self.token
        ):
            return False
        names = given.partition("SignedHeaders=")[2].partition(",")[0].split(";")
        signer = SigV4Auth(Credentials(self.access_key, self.key), "textract", self.region)
        copy = AWSRequest("POST", f"http://{request.headers['host']}{request.path}", data=request.body)
        for name in names:
            copy.headers[name] = request.headers[name]
        copy.context["timestamp"] = request.headers["x-amz-date"]
        canonical = signer.canonical_request(copy)
        return given.endswith(f"Signature={signer.signature(signer.string_to_sign(copy, canonical), copy)}")

    @staticmethod
    def blocks(lines: Sequence[PrintedLine]) -> list[dict[str, Any]]:
        def geometry(box: Box) -> dict[str, Any]:
            x0, y0, x1, y1 = box
            corners = ((x0, y0), (x1, y0), (x1, y1), (x0, y1))
            return {
                "BoundingBox": {"Left": x0, "Top": y0, "Width": x1 - x0, "Height": y1 - y0},
                "Polygon": [{"X": x, "Y": y} for x, y in corners],
            }

        page: dict[str, Any] = {"BlockType": "PAGE", "Id": "page", "Geometry": geometry((0, 0, 1, 1))}
        rows: list[dict[str, Any]] = []
        leaves: list[dict[str, Any]] = []
        for n, line in enumerate(lines):
            ids = []
            for m, (word, box) in enumerate(line.words()):
                ids.append(f"word-{n}-{m}")
                word_block = {"BlockType": "WORD", "Id": ids[-1], "Text": word, "TextType": "PRINTED"}
                leaves.append({**word_block, "Confidence": 100 * line.confidence, "Geometry": geometry(box)})
            row = {"BlockType": "LINE", "Id": f"line-{n}", "Text": line.text, "Confidence": 100 * line.confidence}
            rows.append({**row, "Geometry": geometry(line.box), "Relationships": [{"Type": "CHILD", "Ids": ids}]})
        if rows:
            page["Relationships"] = [{"Type": "CHILD", "Ids": [row["Id"] for row in rows]}]
        return json.loads(json.dumps([page, *rows, *leaves]))
