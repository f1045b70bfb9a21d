"""The services' own clients read what our test servers answer, and see the text that our adapters see: the shapes that the
adapters are tested against are the documented ones."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from tests.providers.remote.conftest import Desk
from tests.providers.remote.ocr_services import PAGE, Amazon, Google

Desks = Callable[..., Desk]
LINES = [line.text for line in PAGE]


def spelled(text: str) -> str:
    return "".join(text.split())


async def raw_answer(desk: Desk) -> bytes:
    """The body that the adapter was given, and kept with the attempt."""
    import base64

    (record,) = [record for record in desk.store.attempts(desk.ledgers[-1].fingerprint).values() if "raw" in record]
    raw = record["raw"]
    return base64.b64decode(raw) if isinstance(raw, str) else raw


async def test_mistral(desks: Desks) -> None:
    models = pytest.importorskip("mistralai.client.models")
    desk = desks("mistral")
    page = (await desk.read()).page
    answer = models.OCRResponse.model_validate_json(await raw_answer(desk))
    (seen,) = answer.pages
    assert [type(block).__name__ for block in seen.blocks] == [
        "OCRHeaderBlock",
        "OCRTitleBlock",
        "OCRTextBlock",
        "OCRTextBlock",
        "OCRFooterBlock",
    ]
    assert spelled("".join(block.content for block in seen.blocks)).replace("##", "") == spelled(page.text)
    scores = seen.confidence_scores.word_confidence_scores
    assert all(seen.markdown[score.start_index :].startswith(score.text) for score in scores)
    assert answer.usage_info.pages_processed == 1
    request = models.OCRRequest.model_validate(desk.server.log[0].request.json)
    assert request.document.type == "image_url"
    assert request.include_blocks is True
    assert request.confidence_scores_granularity == "word"


async def test_google(desks: Desks) -> None:
    vision = pytest.importorskip("google.cloud.vision_v1")
    desk = desks("google-vision")
    page = (await desk.read()).page
    answer = vision.BatchAnnotateImagesResponse.from_json((await raw_answer(desk)).decode())
    annotation = answer.responses[0].full_text_annotation
    assert annotation.text == page.text + "\n"
    symbols = "".join(
        symbol.text
        for block in annotation.pages[0].blocks
        for paragraph in block.paragraphs
        for word in paragraph.words
        for symbol in word.symbols
    )
    assert symbols == spelled(page.text)
    request = vision.BatchAnnotateImagesRequest.from_json(json.dumps(desk.server.log[0].request.json))
    assert request.requests[0].features[0].type_ == vision.Feature.Type.DOCUMENT_TEXT_DETECTION
    assert request.requests[0].image.content == desk.service.images[0]
    assert list(request.requests[0].image_context.language_hints) == ["en"]
    error = vision.BatchAnnotateImagesResponse.from_json(Google().inner_error(3, "Bad image data.").body.decode())
    assert (error.responses[0].error.code, error.responses[0].error.message) == (3, "Bad image data.")


async def test_azure(desks: Desks) -> None:
    models = pytest.importorskip("azure.ai.documentintelligence.models")
    desk = desks("azure-document-intelligence")
    page = (await desk.read()).page
    operation = json.loads(desk.service.result(desk.server.log[-1].request).body)
    assert operation["status"] == "succeeded"
    answer = models.AnalyzeResult(operation["analyzeResult"])
    seen = answer.pages[0]
    assert (seen.unit, answer.api_version, answer.model_id) == ("pixel", "2024-11-30", "prebuilt-read")
    assert [line.content for line in seen.lines] == page.text.split("\n") == LINES
    content = answer.content
    assert all(content[w.span.offset : w.span.offset + w.span.length] == w.content for w in seen.words)
    assert [word.content for word in seen.words] == [word.text for word in page.words]
    request = models.AnalyzeDocumentRequest(desk.server.log[0].request.json)
    assert request.bytes_source == desk.service.images[0]
    error = models.DocumentIntelligenceErrorResponse(json.loads(desk.service.errors["not served"].body)).error
    assert (error.code, error.innererror.code) == ("NotFound", "ModelNotFound")


async def test_textract(desks: Desks) -> None:
    """Botocore's own parser, with the service's model: it keeps only what the API has, and of the right type."""
    from botocore.parsers import create_parser
    from botocore.session import get_session

    desk = desks("textract")
    page = (await desk.read()).page
    shape = get_session().get_service_model("textract").operation_model("DetectDocumentText").output_shape
    body = await raw_answer(desk)
    answer = create_parser("json").parse({"status_code": 200, "headers": {}, "body": body}, shape)
    assert [block["Text"] for block in answer["Blocks"] if block["BlockType"] == "LINE"] == page.text.split("\n")
    assert [block["Text"] for block in answer["Blocks"] if block["BlockType"] == "WORD"] == [w.text for w in page.words]
    assert json.loads(json.dumps(answer["Blocks"])) == json.loads(body)["Blocks"], "nothing that the API does not have"
    for name, kind in (("rate limited", "ProvisionedThroughputExceededException"), ("rejected", "UnsupportedDocument")):
        refusal = Amazon().errors[name]
        response = {"status_code": refusal.status, "headers": dict(refusal.headers), "body": refusal.body}
        assert create_parser("json").parse(response, shape)["Error"]["Code"].startswith(kind)
