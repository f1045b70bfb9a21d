"""Vision models as OCR: how each family is asked, what its answers become, when it is asked again, and what that costs."""

from __future__ import annotations

import asyncio
import base64
import io
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image as Pictures
from PIL import ImageDraw, ImageFont

from providers.base import Reading
from providers.errors import BadOutput, Overloaded, ProviderError, RateLimited
from providers.image_steps import ImageSteps
from providers.latex_text import plain_signs
from providers.model_service import Refused
from providers.queues import ProviderQueue
from providers.remote import make_readers
from providers.remote_image import Engine, PageImage
from providers.source import LeafSource
from providers.vision_ocr import OLMOCR_PROMPT, VisionOcr, olmocr_answer, plain_answer, recipe_for
from providers.vote.blend import blend
from schemas.errors import BadInput
from schemas.http import LOOPBACK_ONLY
from schemas.reading import Line, PageReading, Word
from tests.providers.remote import anthropic_responder
from tests.providers.remote.anthropic_responder import MessagesService
from tests.providers.remote.model_calls import KEY, KEY_ENV, assert_no_key, ledger, row_of
from tests.providers.remote.openai_responder import ChatService, Said, Speaker, always
from tests.providers.remote.server import ScriptedServer

LINES = (
    "THE LAMP IN THE HALL",
    "It was late when the doctor came, and nobody had lit",
    "the lamp in the hall. He said nothing, and sat down.",
    "Outside the rain had stopped, and the carriage waited",
    "with its door open, as it had all the evening before.",
    "17",
)
TEXT = "\n".join(LINES)
OLMOCR = "allenai/olmOCR-2-7B-1025"


def front(text: str, valid: bool = True, turn: int = 0) -> str:
    return (
        f"---\nprimary_language: en\nis_rotation_valid: {valid}\nrotation_correction: {turn}\nis_table: False\n"
        f"is_diagram: False\n---\n{text}"
    )


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(KEY_ENV, KEY)
    monkeypatch.setenv(LOOPBACK_ONLY, "1")


@pytest.fixture(scope="module")
def leaf(tmp_path_factory: pytest.TempPathFactory) -> LeafSource:
    """A page of a few lines, 5 x 7 inches at 200 dpi, with more print below them."""
    picture = Pictures.new("L", (1000, 1400), 255)
    draw = ImageDraw.Draw(picture)
    font = ImageFont.load_default(34)
    for number, line in enumerate((*LINES[:5], *LINES[1:5], *LINES[1:5])):
        draw.text((60, 100 + 60 * number), line, fill=0, font=font)
    path = tmp_path_factory.mktemp("page") / "page.png"
    picture.save(path, dpi=(200, 200))
    return LeafSource(path=str(path), kind="image", index=0, page=3, book="a-book")


@pytest.fixture(scope="module")
def blank(tmp_path_factory: pytest.TempPathFactory) -> LeafSource:
    path = tmp_path_factory.mktemp("blank") / "page.png"
    Pictures.new("L", (1000, 1400), 255).save(path, dpi=(200, 200))
    return LeafSource(path=str(path), kind="image", index=0, page=4, book="a-book")


class InProcess:
    """`PageImages` without processes of its own: the same engine, in this one."""

    def __init__(self, row: ProviderQueue) -> None:
        self.engine = Engine(row.max_image_bytes, row.max_image_side)

    async def of(self, leaf: LeafSource, timeout_seconds: float) -> PageImage:
        return self.engine((leaf.path, leaf.kind, leaf.index, leaf.region, leaf.image_steps))

    def parameters(self) -> dict[str, object]:
        return {}

    async def close(self) -> None: ...


class Talk:
    def __init__(self, service: Any, server: ScriptedServer, row: ProviderQueue, folder: Path) -> None:
        self.service, self.server = service, server
        self.provider = VisionOcr(row)
        self.provider.images = InProcess(self.provider.images.row)  # type: ignore[assignment]
        self.calls = ledger(folder, row)

    async def read(self, leaf: LeafSource) -> Reading:
        return await self.provider.read(leaf, "eng", 20, self.calls)

    @property
    def outcomes(self) -> list[tuple[str, float | None]]:
        return [(note["outcome"], note["cost_usd"]) for note in self.calls.made]

    @property
    def temperatures(self) -> list[float]:
        return [body["temperature"] for body in self.service.bodies]


@pytest.fixture
def talk(tmp_path: Path) -> Callable[..., Any]:
    @asynccontextmanager
    async def talking(say: Speaker, model: str = "some/seeing-model", name: str = "openrouter") -> AsyncIterator[Talk]:
        service = ChatService(name, say, model=model)
        with ScriptedServer(service.handlers()) as server:
            talk = Talk(service, server, row_of(name, server.url + "/v1", model=model), tmp_path)
            try:
                yield talk
            finally:
                await talk.provider.close()

    return talking


class TestReading:
    async def test_the_lines_of_the_answer_are_the_pages(self, talk: Any, leaf: LeafSource) -> None:
        said = "THE LAMP IN THE HALL\n\n" + "\n".join(LINES[1:5]) + "\n\n17"
        async with talk(always(said)) as on:
            reading = await on.read(leaf)
        page = reading.page
        assert page.text == TEXT
        assert [line.block for line in page.lines] == [0, 1, 1, 1, 1, 2]
        assert (page.provider, page.model, page.language) == ("openrouter", "some/seeing-model", "eng")
        assert (page.width, page.height) == pytest.approx((360.0, 504.0), abs=0.01)
        assert {word.box for word in page.words} == {(0.0, 0.0, page.width, page.height)}, "as the blend knows it"
        assert page.confidence is None
        assert page.figures == {}, "nobody can say what print it lost"
        assert PageReading.from_json(page.to_json()).text == TEXT
        assert on.outcomes == [("ok", 0.002)]
        assert on.calls.made[0]["prompt_hash"] == recipe_for("some/seeing-model").prompt_hash
        assert_no_key(on.calls, page, on.provider)

    async def test_the_blend_finds_the_places(self, talk: Any, leaf: LeafSource) -> None:
        own = [
            Line(
                [
                    Word(text, (20 + 45 * place, 30 + 22 * row, 60 + 45 * place, 42 + 22 * row), 80.0)
                    for place, text in enumerate(line.replace("late", "1ate").split())
                ]
            )
            for row, line in enumerate(LINES)
        ]
        engine = PageReading("tesseract", 360.0, 504.0, own)
        async with talk(always(TEXT)) as on:
            page = (await on.read(leaf)).page
        blended = blend([engine, page])
        assert [line.text for line in blended.lines] == list(LINES)
        assert max(word.box[3] - word.box[1] for word in blended.words) < 30

    async def test_markup_is_no_print(self, talk: Any, leaf: LeafSource) -> None:
        said = (
            "# THE LAMP\n\nIt was **late** when \\(\\alpha\\) came.\\(^{1}\\)\n\n![A lamp](page_1_2_3_4.png)\n\n"
            "<table><tr><td>Oil</td><td>$5</td></tr>\n<tr><td>Wick</td><td>2</td></tr></table>\n\n\\[\nE = \\frac{a}{b}\n\\]"
        )
        async with talk(always(front(said)), OLMOCR, "deepinfra") as on:
            page = (await on.read(leaf)).page
        assert [line.text for line in page.lines] == [
            "THE LAMP",
            "It was late when α came.1",
            "Oil $5",
            "Wick 2",
            "E = a/b",
        ]

    async def test_a_blank_page_is_empty(self, talk: Any, blank: LeafSource) -> None:
        async with talk(always("[blank]")) as on:
            page = (await on.read(blank)).page
        assert page.lines == []
        assert on.outcomes == [("ok", 0.002)]

    async def test_through_anthropic(self, tmp_path: Path, leaf: LeafSource) -> None:
        service = MessagesService(anthropic_responder.always(TEXT), largest_side=700)
        with ScriptedServer(service.handlers()) as server:
            row = row_of("anthropic", server.url, usd_per_million_input=1.0, usd_per_million_output=5.0)
            on = Talk(service, server, row, tmp_path)
            page = (await on.read(leaf)).page
            await on.provider.close()
        assert page.text == TEXT
        assert service.pictures == [(500, 700)], "made smaller by us, and not by the service without a word"
        assert [outcome for outcome, _ in on.outcomes] == ["failed", "ok"]

    async def test_in_a_process_of_its_own(self, tmp_path: Path, leaf: LeafSource) -> None:
        service = ChatService("vllm", always(front(TEXT)), key="", model="olmocr")
        with ScriptedServer(service.handlers()) as server:
            row = row_of("vllm", server.url + "/v1", model="olmocr", key_env="")
            provider = make_readers({"vllm": row})["vllm"]
            reading = await provider.read(leaf, "eng", 60, ledger(tmp_path, row))
            await provider.close()
        assert reading.page.text == TEXT
        assert service.pictures() == [(920, 1288)], "as large as what it was trained with"


class TestAskedAgain:
    async def test_a_loop_is_asked_again_and_hotter(self, talk: Any, leaf: LeafSource) -> None:
        said = [Said("and so on " * 60), Said("The text of", "length"), Said(TEXT)]
        async with talk(lambda body, number: said[number - 1]) as on:
            assert (await on.read(leaf)).page.text == TEXT
            assert on.temperatures == [0.0, 0.3, 0.8]
            assert on.outcomes == [("failed", 0.002), ("failed", 0.002), ("ok", 0.002)], "each is paid"
            assert "repeats" in on.calls.made[0]["error"]

    async def test_after_the_third_answer_it_ends(self, talk: Any, leaf: LeafSource) -> None:
        async with talk(always("and so on " * 60)) as on:
            with pytest.raises(BadOutput, match="page 3 of a-book") as raised:
                await on.read(leaf)
            assert len(on.service.bodies) == 3
            assert raised.value.cost_usd == 0.002
            assert on.server.charged_usd == pytest.approx(sum(cost for _, cost in on.outcomes))

    async def test_the_next_attempt_goes_on_where_this_one_stood(self, talk: Any, leaf: LeafSource) -> None:
        loop, sideways = Said(front("and so on " * 60)), Said(front("x", valid=False, turn=180))
        said = [loop, sideways, Said(front(TEXT))]
        async with talk(lambda body, number: said[number - 1], OLMOCR, "deepinfra") as on:
            on.server.script(None, None, on.service.errors["overloaded"])
            with pytest.raises(Overloaded):
                await on.read(leaf)
            assert (await on.read(leaf)).page.text == TEXT
            assert on.temperatures == [0.1, 0.3, 0.3], "what was paid for and found wanting is not asked again"

    async def test_whoever_asks_again_after_the_end_begins_anew(self, talk: Any, leaf: LeafSource) -> None:
        async with talk(lambda body, number: Said("and so on " * 60 if number < 4 else TEXT)) as on:
            with pytest.raises(BadOutput):
                await on.read(leaf)
            assert (await on.read(leaf)).page.text == TEXT
            assert on.temperatures == [0.0, 0.3, 0.8, 0.0]

    @pytest.mark.parametrize(
        ("said", "why"),
        [
            ("[blank]", "lines of print"),
            ("I'm sorry, but I can't transcribe this image.", "refusal"),
            ("x" * 30_000, "letters"),
        ],
    )
    async def test_what_is_no_reading_of_the_page(self, talk: Any, leaf: LeafSource, said: str, why: str) -> None:
        async with talk(always(said)) as on:
            with pytest.raises(BadOutput, match=why):
                await on.read(leaf)

    async def test_a_refusal_is_paid_once(self, talk: Any, leaf: LeafSource) -> None:
        async with talk(lambda body, number: Said(None, "stop", refusal="I cannot.")) as on:
            with pytest.raises(Refused):
                await on.read(leaf)
            assert len(on.service.bodies) == 1

    async def test_another_failure_is_not_repeated_here(self, talk: Any, leaf: LeafSource) -> None:
        async with talk(always(TEXT)) as on:
            on.server.script(on.service.errors["rate limited"])
            with pytest.raises(RateLimited):
                await on.read(leaf)
            assert len(on.server.log) == 1


class TestOlmOcr:
    async def test_it_is_asked_as_it_was_trained(self, talk: Any, leaf: LeafSource) -> None:
        async with talk(always(front(TEXT)), OLMOCR, "deepinfra") as on:
            assert (await on.read(leaf)).page.text == TEXT
            body = on.service.bodies[0]
        assert [part["type"] for part in body["messages"][0]["content"]] == ["text", "image_url"]
        assert body["messages"][0]["content"][0]["text"] == OLMOCR_PROMPT
        assert (body["max_tokens"], body["temperature"], len(body["messages"])) == (8000, 0.1, 1)
        assert on.service.pictures() == [(920, 1288)]

    async def test_a_page_on_its_side_is_turned_once(self, talk: Any, leaf: LeafSource) -> None:
        """The model says by how much the picture is to be turned counter-clockwise: so it was trained."""
        lying = leaf.model_copy(update={"image_steps": ImageSteps(orientation=90).to_json()})

        def upright(body: Any) -> bool:
            """Whether the first line of the page, which is short, is the topmost: ink at the left of the top only."""
            url = body["messages"][0]["content"][1]["image_url"]["url"]
            with Pictures.open(io.BytesIO(base64.b64decode(url.partition(",")[2]))) as picture:
                dark = np.asarray(picture) < 128
            return dark.shape[0] > dark.shape[1] and bool(np.argmax(dark.any(axis=1)) < dark.shape[0] // 8)

        seen: list[bool] = []

        def say(body: Any, number: int) -> Said:
            seen.append(upright(body))
            return Said(front(TEXT) if seen[-1] else front("tnioj eht", valid=False, turn=90))

        async with talk(say, OLMOCR, "deepinfra") as on:
            page = (await on.read(lying)).page
            assert page.text == TEXT
            assert seen == [False, True]
            assert on.temperatures == [0.1, 0.1], "it was not the answer that was wrong"
            assert on.outcomes == [("ok", 0.002), ("ok", 0.002)]

    async def test_a_model_that_is_never_content_is_believed_the_second_time(self, talk: Any, leaf: LeafSource) -> None:
        async with talk(always(front(TEXT, valid=False, turn=180)), OLMOCR, "deepinfra") as on:
            assert (await on.read(leaf)).page.text == TEXT
            assert len(on.service.bodies) == 2

    @pytest.mark.parametrize(
        ("answer", "fault"),
        [
            (TEXT, "front matter"),
            ("---\nis_rotation_valid: True", "front matter"),
            ("---\nprimary_language: en\n---\nText", "upright"),
            ("---\nis_rotation_valid: False\nrotation_correction: 45\n---\nText", "'45'"),
        ],
    )
    def test_front_matter_that_is_none(self, answer: str, fault: str) -> None:
        with pytest.raises(ValueError, match=fault):
            olmocr_answer(answer)

    def test_front_matter(self) -> None:
        assert olmocr_answer(front("a\n---\nb")).text == "a\n---\nb"
        assert olmocr_answer(f"```markdown\n{front('a')}\n```").text == "a"
        assert olmocr_answer(front("null")).text == ""
        assert olmocr_answer(front("").rstrip()).text == ""
        assert olmocr_answer(front("x", valid=False, turn=270)).turn == 270
        assert olmocr_answer(front("x", valid=True, turn=270)).turn == 0


class TestRecipes:
    @pytest.mark.parametrize(
        ("model", "name"),
        [
            (OLMOCR, "olmocr"),
            ("PaddlePaddle/PaddleOCR-VL-1.6", "paddleocr-vl"),
            ("paddleocr_vl", "paddleocr-vl"),
            ("google/gemini-3-flash", "plain"),
            ("", "plain"),
        ],
    )
    def test_by_the_models_name(self, model: str, name: str) -> None:
        assert recipe_for(model).name == name

    async def test_paddle_gets_its_two_words(self, talk: Any, leaf: LeafSource) -> None:
        async with talk(always(TEXT), "PaddlePaddle/PaddleOCR-VL-1.6", "vllm") as on:
            await on.read(leaf)
            assert on.service.bodies[0]["messages"][0]["content"][-1] == {"type": "text", "text": "OCR:"}

    def test_a_changed_recipe_is_another_question(self) -> None:
        one, two = (VisionOcr(row_of("openrouter", "http://127.0.0.1:1", model=model)) for model in ("a", OLMOCR))
        assert one.parameters() != two.parameters()
        assert re.fullmatch(r"[0-9a-f]{16}", str(one.parameters()["recipe"][1]))  # type: ignore[index]

    def test_a_row_without_a_model_says_so(self) -> None:
        with pytest.raises(BadInput, match=r"\[providers\.openrouter\]"):
            VisionOcr(row_of("openrouter", "http://127.0.0.1:1")).model("eng")

    @pytest.mark.parametrize(
        ("said", "text"),
        [
            ("```\nThe text.\n```", "The text."),
            ("Here is the transcription of the page:\n\nThe text.", "The text."),
            ("Here is my hand:\ntake it.", "Here is my hand:\ntake it."),
            ("I can't help it, he said, and left the page.", "I can't help it, he said, and left the page."),
            (
                "Sorry, said the doctor; I cannot see the lamp.\n" * 12,
                "Sorry, said the doctor; I cannot see the lamp.\n" * 12,
            ),
            ("[blank]", ""),
            ("Point Blank", "Point Blank"),
            ("The [?] text", "The  text"),
        ],
    )
    def test_what_is_around_the_text_goes(self, said: str, text: str) -> None:
        assert plain_answer(said).text == text.strip()

    @pytest.mark.parametrize(
        ("latex", "plain"),
        [
            (r"It costs $5, or \$6 and $10.", r"It costs $5, or \$6 and $10."),
            (r"\(x \le 5\)", "$x ≤ 5$"),
            ("$$\n\\sum x\n$$", "$∑ x$"),
            (r"an angle of $30^{\circ}$", "an angle of $30^{°}$"),
            (r"$\unknown{x}$", r"$\unknown{x}$"),
        ],
    )
    def test_formulas(self, latex: str, plain: str) -> None:
        assert plain_signs(latex) == plain


async def test_reading_many_pages_at_once_keeps_them_apart(tmp_path: Path, leaf: LeafSource, blank: LeafSource) -> None:
    def say(body: Any, number: int) -> Said:
        url = body["messages"][0]["content"][0]["image_url"]["url"]
        with Pictures.open(io.BytesIO(base64.b64decode(url.partition(",")[2]))) as picture:
            return Said("[blank]" if np.asarray(picture).min() > 200 else TEXT)

    service = ChatService("openrouter", say)
    with ScriptedServer(service.handlers()) as server:
        row = row_of("openrouter", server.url + "/v1", model=service.model)
        on = Talk(service, server, row, tmp_path / "notes")

        async def read(number: int) -> str | ProviderError:
            reading = await on.provider.read(
                blank if number % 3 else leaf, "eng", 20, ledger(tmp_path / str(number), row)
            )
            return reading.page.text

        assert await asyncio.gather(*map(read, range(6))) == [TEXT, "", "", TEXT, "", ""]
        await on.provider.close()
