"""The adapters of the paid OCR services against servers that speak each protocol: readings, refusals, accidents, keys."""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from providers.errors import (
    BadOutput,
    Connection,
    CredentialsRefused,
    NotServed,
    ProviderError,
    Rejected,
    ServerError,
)
from providers.image_steps import ImageSteps
from providers.local_artifacts import LocalArtifactStore
from providers.queues import provider_queues
from providers.remote import READERS, _adapter
from providers.source import LeafSource
from schemas.errors import BadInput, LanguageMissing
from schemas.http import HttpClient
from schemas.reading import PageReading
from tests.providers.remote.conftest import HEIGHT, SERVICES, WIDTH, Desk
from tests.providers.remote.ocr_services import PAGE, PrintedLine, size_of
from tests.providers.remote.server import after, garbage, half, hung_up, json_answer, slow, wrong_json

Desks = Callable[..., Desk]

SENTENCE = "It was late when the doctor came and nobody had lit the lamp in the hall"
TEXT = "\n".join(line.text for line in PAGE)
KINDS = {
    "refused key": "CredentialsRefused",
    "quota": "QuotaExhausted",
    "rate limited": "RateLimited",
    "overloaded": "Overloaded",
    "server error": "ServerError",
    "rejected": "Rejected",
    "not served": "NotServed",
}


def near(page: PageReading, tolerance: float) -> bool:
    """Whether each line lies where it is printed."""
    return all(
        abs(found - printed * size) <= tolerance
        for line, source in zip(page.lines, PAGE, strict=True)
        for found, printed, size in zip(line.box, source.box, (WIDTH, HEIGHT, WIDTH, HEIGHT), strict=True)
    )


@pytest.mark.parametrize("name", SERVICES)
class TestEveryService:
    async def test_reads_a_page_and_notes_what_it_cost(self, desks: Desks, name: str) -> None:
        desk = desks(name)
        page = (await desk.read()).page
        assert page.text == TEXT
        assert (page.provider, page.model, page.language) == (name, desk.row.model, "eng")
        assert (page.width, page.height) == (pytest.approx(WIDTH, abs=0.5), pytest.approx(HEIGHT, abs=0.5))
        assert page.confidence == pytest.approx(97, abs=0.1)
        # Mistral gives a place to paragraphs alone: their shorter lines are placed by guess.
        assert near(page, 15 if name == "mistral" else 1)
        assert page.figures["ink_outside"] == 0
        (note,) = await desk.notes()
        assert (note["outcome"], note["cost_usd"]) == ("ok", desk.service.usd_per_page)
        assert desk.server.charged_usd == desk.service.usd_per_page
        assert all(entry.authorized for entry in desk.server.log)
        assert desk.paid_requests == 1

    async def test_an_answer_that_was_noted_is_not_paid_again(self, desks: Desks, name: str) -> None:
        """A worker died between the note of a call and the artifact of its page."""
        desk = desks(name)
        first = (await desk.read()).page
        desk.answered = 0
        again = (await desk.read()).page
        assert again.to_json() == first.to_json()
        assert desk.paid_requests == 1
        assert [note["attempt"] for note in await desk.notes()] == [1]

    async def test_refusals_and_accidents(self, desks: Desks, name: str) -> None:
        """Each is what it is, costs what is known of it, and no request is repeated by the adapter."""
        desk = desks(name, page_timeout_seconds=30)
        good = desk.service.usd_per_page
        for meaning, kind in KINDS.items():
            desk.server.script(desk.service.errors[meaning], method="POST")
            with pytest.raises(ProviderError) as refused:
                await desk.read()
            assert (meaning, refused.value.kind, refused.value.cost_usd) == (meaning, kind, 0.0)
            assert "page 7 of a-day" in refused.value.message
        desk.server.script(after(desk.service.errors["overloaded"], 3), method="POST")
        with pytest.raises(ProviderError) as busy:
            await desk.read()
        assert busy.value.retry_after_seconds == 3

        # A body that says something: half of it is lost.
        long = json_answer({"padding": "x" * 1000}, charge_usd=good)
        for accident, kind in (
            (hung_up(good), Connection),
            (half(long), Connection),
            (garbage(good), ServerError),
            (wrong_json(good), ServerError),
            (json_answer([1, 2]), ServerError),
        ):
            desk.server.script(accident, method="POST")
            with pytest.raises(kind) as unknown:
                await desk.read()
            assert unknown.value.cost_usd is None, accident.note
        desk.server.script(slow(long, 1.5), method="POST")
        with pytest.raises(Connection, match="no answer within") as late:
            await desk.read(timeout_seconds=0.7)
        assert late.value.cost_usd is None

        notes = await desk.notes()
        assert desk.paid_requests == desk.attempts == len(notes)
        assert [note["outcome"] for note in notes] == ["failed"] * 8 + ["unknown"] * 6
        assert all(note["cost_usd"] == good for note in notes[8:])

    async def test_a_key_is_asked_of_the_environment_and_shown_nowhere(
        self,
        desks: Desks,
        name: str,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
        capfd: pytest.CaptureFixture[str],
    ) -> None:
        desk = desks(name)
        secret = "wrong-key-of-somebody-9876543210"
        variable = "AWS_SECRET_ACCESS_KEY" if name == "textract" else desk.row.key_env
        monkeypatch.setenv(variable, f" {secret}\n")
        shown: list[str] = []
        # Services quote keys in refusals, proxies in pages of HTML.
        quoting = json_answer({"error": {"message": f"bad key {secret}"}, "__type": "X", "message": secret}, 401)
        for scripted in (None, quoting, json_answer({"echo": secret}, 500), json_answer({"echo": secret})):
            desk.server.script(scripted)
            with pytest.raises(ProviderError) as refused:
                await desk.read()
            shown += [repr(refused.value), refused.value.message, refused.value.raw.decode()]
            assert refused.value.__cause__ is None
        for value, said in (("", "is empty"), ("two words", "is no key"), ("ключ-ключ", "is no key")):
            monkeypatch.setenv(variable, value)
            with pytest.raises(CredentialsRefused, match=said) as missing:
                await desk.read()
            assert variable in missing.value.message
            shown.append(missing.value.message)
        monkeypatch.setenv(variable, secret)
        shown += [repr(desk.provider), repr(vars(desk.provider)), json.dumps(desk.provider.parameters(), default=str)]
        shown += [path.read_text(errors="replace") for path in tmp_path.rglob("*") if path.is_file()]
        shown += capfd.readouterr()
        assert shown
        assert not any(secret in text for text in shown)
        assert len(desk.server.log) == 4, "without a usable key nothing is sent"

    async def test_a_skewed_turned_page_is_read_upright_and_put_back(
        self, desks: Desks, name: str, leaf: LeafSource
    ) -> None:
        desk = desks(name)
        steps = ImageSteps(orientation=90, skew=1.5)
        turned = leaf.model_copy(update={"image_steps": steps.to_json()})
        page = (await desk.read(turned)).page
        assert (page.width, page.height) == (pytest.approx(HEIGHT, abs=0.5), pytest.approx(WIDTH, abs=0.5))
        (picture,) = desk.service.images
        wide, high = size_of(picture)
        assert wide > high
        # The straightened sheet is larger than the page, so shares of it are not shares of the page.
        middle = sum(page.lines[0].box[::2]) / 2 / page.width
        assert middle == pytest.approx(0.5, abs=0.03)

    async def test_an_empty_answer_on_a_page_with_print_is_paid_and_bad(self, desks: Desks, name: str) -> None:
        desk = desks(name)
        desk.service.read = lambda image: ()
        with pytest.raises(BadOutput, match="it is empty, and there are about"):
            await desk.read()
        (note,) = await desk.notes()
        assert note["cost_usd"] == desk.service.usd_per_page == desk.server.charged_usd

    async def test_a_loop_is_bad(self, desks: Desks, name: str) -> None:
        desk = desks(name)
        desk.service.read = lambda image: [
            PrintedLine("and the old man sat", (0.1, 0.1 + n / 100, 0.5, 0.105 + n / 100)) for n in range(60)
        ]
        with pytest.raises(BadOutput, match="repeats"):
            await desk.read()

    def test_its_row_must_name_a_model(self, name: str) -> None:
        row = provider_queues({name: {"model": ""}})[name]
        provider = _adapter(row, READERS)(row)
        if name == "textract":
            assert provider.model("eng") == "DetectDocumentText"
        else:
            with pytest.raises(BadInput, match="names no model"):
                provider.model("eng")

    def test_its_parameters_name_what_changes_the_answer(self, name: str) -> None:
        small = provider_queues({name: {"max_image_side": 1000}})[name]
        usual = provider_queues()[name]
        assert _adapter(small, READERS)(small).parameters() != _adapter(usual, READERS)(usual).parameters()


@pytest.mark.parametrize(
    ("base_url", "error", "said"),
    [
        ("", NotServed, "has no address"),
        ("ftp://127.0.0.1/", NotServed, "is no address"),
        ("nonsense", NotServed, "is no address"),
        ("http://example.org", NotServed, "travel in the open"),
        ("https://example.org", NotServed, "only loopback"),
        ("http://127.0.0.1:1", Connection, "gave no answer"),
    ],
)
async def test_addresses(desks: Desks, base_url: str, error: type[ProviderError], said: str) -> None:
    desk = desks("mistral", base_url=base_url)
    with pytest.raises(error, match=said) as refused:
        await desk.read()
    assert refused.value.cost_usd == 0.0


class TestMistral:
    async def test_what_is_asked(self, desks: Desks) -> None:
        desk = desks("mistral")
        await desk.read()
        asked = desk.server.log[0].request.json
        assert asked.pop("document")["image_url"].startswith("data:image/png;base64,")
        assert asked == {
            "model": "mistral-ocr-4-1",
            "include_image_base64": False,
            "include_blocks": True,
            "confidence_scores_granularity": "word",
            "table_format": None,
            "extract_header": False,
            "extract_footer": False,
        }

    async def test_markdown_becomes_the_lines_of_the_page_with_their_confidences(self, desks: Desks) -> None:
        desk = desks("mistral")
        desk.service.read = lambda image: [
            PrintedLine("3", (0.4, 0.95, 0.6, 0.97), "footer", 0.5),
            PrintedLine("CONTENTS", (0.4, 0.1, 0.6, 0.12), "title", 0.9, "# **CONTENTS**"),
            PrintedLine("The Doctor 17", (0.1, 0.2, 0.9, 0.22), "table", 0.8, "| The Doctor | 17 |\n| --- | --- |"),
            PrintedLine("a note1 & more", (0.1, 0.3, 0.9, 0.32), "text", 0.7, "a *note*$^{1}$ &amp; more"),
            PrintedLine("A HEAD", (0.4, 0.02, 0.6, 0.04), "header", 0.6),
        ]
        page = (await desk.read()).page
        assert [(line.text, round(line.words[0].confidence or 0)) for line in page.lines] == [
            ("A HEAD", 60),
            ("CONTENTS", 90),
            ("The Doctor 17", 80),
            ("a note1 & more", 70),
            ("3", 50),
        ]
        assert "boxes_guessed" not in page.figures

    async def test_a_paragraph_whose_line_breaks_were_forgotten_is_broken_again(self, desks: Desks) -> None:
        desk = desks("mistral")
        words = SENTENCE.split() * 4
        texts = [" ".join(f"{word}{n}" for word in words) for n in range(3)]
        desk.service.read = lambda image: [
            PrintedLine(text, (0.1, 0.2 + n / 4, 0.9, 0.4 + n / 4)) for n, text in enumerate(texts)
        ]
        page = (await desk.read()).page
        assert " ".join(line.text for line in page.lines) == " ".join(texts)
        assert 5 <= len(page.lines) / 3 <= 12
        assert page.figures["boxes_guessed"] == 1.0
        heights = [line.height for line in page.lines]
        assert max(heights) < 0.05 * HEIGHT
        assert all(a.box[1] < b.box[1] for a, b in pairwise(page.lines))

    async def test_the_price_goes_by_the_pages_that_the_answer_says(self, desks: Desks) -> None:
        desk = desks("mistral")

        def two(request: Any) -> Any:
            body = json.loads(desk.service.ocr(request).body)
            body["usage_info"]["pages_processed"] = 2
            body["model"] = "mistral-ocr-4-1-0716"
            return json_answer(body)

        desk.server.script(two)
        page = (await desk.read()).page
        assert page.model == "mistral-ocr-4-1-0716"
        (note,) = await desk.notes()
        assert note["cost_usd"] == 0.008

    async def test_an_earlier_model_gives_no_blocks(self, desks: Desks) -> None:
        desk = desks("mistral")

        def without(request: Any) -> Any:
            body = json.loads(desk.service.ocr(request).body)
            body["pages"][0] |= {"blocks": None, "dimensions": None}
            return json_answer(body)

        desk.server.script(without)
        page = (await desk.read()).page
        assert page.text == TEXT
        assert page.confidence == pytest.approx(97)
        assert {word.box for word in page.words} == {(0.0, 0.0, page.width, page.height)}
        assert "ink_outside" not in page.figures, "nobody can say which print it lost"


class TestGoogle:
    async def test_what_is_asked(self, desks: Desks) -> None:
        desk = desks("google-vision")
        await desk.read(language="deu+eng+enm+xyz")
        (entry,) = desk.server.log
        asked = entry.request.json["requests"][0]
        assert asked["features"] == [{"type": "DOCUMENT_TEXT_DETECTION"}], "each feature is charged"
        assert desk.service.hints == [["de", "en"]]
        assert entry.request.query == {}, "a key in the address gets into logs"

    async def test_a_token_in_place_of_a_key(self, desks: Desks, monkeypatch: pytest.MonkeyPatch) -> None:
        desk = desks("google-vision")
        desk.service.bearer = "ya29.token-of-the-test"
        monkeypatch.delenv("GOOGLE_VISION_API_KEY")
        monkeypatch.setenv("GOOGLE_OAUTH_ACCESS_TOKEN", "ya29.token-of-the-test")
        monkeypatch.setenv("GOOGLE_CLOUD_PROJECT", "my-project")
        assert (await desk.read()).page.text == TEXT
        headers = desk.server.log[0].request.headers
        assert headers["x-goog-user-project"] == "my-project"
        assert "x-goog-api-key" not in headers

    @pytest.mark.parametrize(
        ("code", "kind", "permanent"),
        [
            (3, "Rejected", True),
            (7, "CredentialsRefused", True),
            (8, "RateLimited", False),
            (13, "ServerError", False),
            (14, "Overloaded", False),
            (99, "ServerError", False),
        ],
    )
    def test_errors_inside(self, code: int, kind: str, permanent: bool) -> None:
        from providers.classify import classify
        from providers.google_vision import RPC_CODES
        from schemas.http import Reply

        error = {"code": code, "message": "…", "status": RPC_CODES.get(code, "UNKNOWN")}
        found = classify(provider_queues()["google-vision"], Reply(200, {}, b""), error=error)
        assert (found.kind, found.permanent) == (kind, permanent)

    async def test_an_error_of_the_picture_inside_200(self, desks: Desks) -> None:
        desk = desks("google-vision")
        desk.server.script(desk.service.inner_error(3, "Bad image data."))
        with pytest.raises(Rejected, match="Bad image data") as refused:
            await desk.read()
        assert refused.value.cost_usd is None

    async def test_pieces_are_joined_by_their_breaks(self, desks: Desks) -> None:
        def symbol(text: str, kind: str = "", prefix: bool = False) -> dict[str, Any]:
            found: dict[str, Any] = {"text": text, "confidence": 0.9}
            if kind:
                found["property"] = {"detectedBreak": {"type": kind, **({"isPrefix": True} if prefix else {})}}
            return found

        def word(x: float, y: float, *symbols: dict[str, Any]) -> dict[str, Any]:
            corners = [{"x": x, "y": y}, {"x": x + 40, "y": y}, {"x": x + 40, "y": y + 20}, {"x": x, "y": y + 20}]
            return {"symbols": list(symbols), "boundingBox": {"vertices": corners}, "confidence": 0.9}

        desk = desks("google-vision")
        paragraph = {
            "words": [
                word(100, 100, symbol("s"), symbol("o")),
                word(140, 100, symbol(",", "SPACE")),
                word(200, 100, symbol("b"), symbol("e", "HYPHEN")),
                word(100, 130, symbol("i"), symbol("t")),
                word(200, 130, symbol("x", "SPACE", prefix=True)),
            ]
        }
        page = {"width": 1000, "height": 1500, "blocks": [{"paragraphs": [paragraph]}]}
        desk.server.script(json_answer({"responses": [{"fullTextAnnotation": {"text": "…", "pages": [page]}}]}))
        assert (await desk.read()).page.text == "so, be-\nit x"


class TestTextract:
    async def test_the_request_is_signed_by_the_official_algorithm(
        self, desks: Desks, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        """The server checks the signature over exactly what arrived (`Amazon.signed`)."""
        desk = desks("textract")
        desk.service.token = "temporary/token+of=the-test=="
        monkeypatch.setenv("AWS_SESSION_TOKEN", desk.service.token)
        assert (await desk.read()).page.text == TEXT
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "another-secret-of-the-test")
        desk.store = LocalArtifactStore(tmp_path / "without the answer")
        with pytest.raises(CredentialsRefused):
            await desk.read()

    def test_languages(self) -> None:
        row = provider_queues()["textract"]
        provider = _adapter(row, READERS)(row)
        assert provider.model("eng+deu") == "DetectDocumentText"
        with pytest.raises(LanguageMissing, match="does not read rus"):
            provider.model("eng+rus")

    async def test_the_address_follows_the_region(self, desks: Desks, monkeypatch: pytest.MonkeyPatch) -> None:
        desk = desks("textract", base_url="", region="eu-west-2")
        asked: list[str] = []

        async def request(self: HttpClient, method: str, path: str = "", **rest: Any) -> Any:
            asked.append(self.base_url + path)
            raise AssertionError("not sent")

        monkeypatch.setattr(HttpClient, "request", request)
        with pytest.raises(ServerError):
            await desk.read()
        assert asked == ["https://textract.eu-west-2.amazonaws.com/"]
