"""Vision models as OCR, through whatever serves them: a picture of the page and a prompt go in, its text comes out.

How a model wants to be asked is data (`RECIPES`). None says where on the page its words stand: each word's box is the page, and
the blend finds its place by the other readings (`providers/vote/locate.py`).

An answer that loops, was cut off, or is no transcription is paid and thrown away; the model is asked again, hotter, which is
what helps against loops. Written by documentation, never called live.
"""

from __future__ import annotations

import asyncio
import hashlib
import io
import json
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from providers import answer_checks, latex_text, markdown_lines
from providers.answer_checks import page_fault
from providers.anthropic import Anthropic
from providers.base import Reading
from providers.errors import BadOutput
from providers.ink import ink_figures
from providers.language_model import Answer, Image, Message, Question
from providers.latex_text import plain_signs
from providers.ledger import Calls
from providers.markdown_lines import plain_lines
from providers.model_service import Refused
from providers.openai_compatible import OpenAiCompatible
from providers.queues import ProviderQueue
from providers.remote_image import PageImage, PageImages, page_name
from providers.source import LeafSource
from schemas.reading import Line, PageReading, Word

REVISION = 1
"""Of what is made of an answer; the prompts have hashes."""
PROGRESS = "vision-ocr"
"""What is remembered of a page: which of the temperatures is next, and by how much the picture is turned."""


@dataclass(frozen=True, slots=True)
class Transcript:
    """What an answer says."""

    text: str
    """Markdown, or plain."""
    turn: int = 0
    """Degrees counter-clockwise by which the model wants to see the picture turned before it reads it."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """How a family of models is asked."""

    name: str
    models: str
    """Pattern of their names, in any case."""
    prompt: str
    parse: Callable[[str], Transcript]
    """Raises ValueError, with what is wrong as a sentence's end."""
    max_tokens: int = 8000
    temperatures: tuple[float, ...] = (0.0, 0.3, 0.8)
    """Of the first call, and of those that follow an unusable answer."""
    longest_side: int | None = None
    """Pixels: of the pictures that it was trained with; None = what the service takes."""

    @property
    def prompt_hash(self) -> str:
        return hashlib.sha256(self.prompt.encode()).hexdigest()[:16]


# Answers

_FENCE = re.compile(r"\A```[\w-]*\n(.*?)\n?```\s*\Z", re.DOTALL)
_ANNOUNCED = re.compile(
    r"\A(?:here(?:'s| is)|sure|certainly|below is)\b(?=[^\n]*\b(?:transcri|text of|page))[^\n]{0,120}:\s*\n",
    re.IGNORECASE,
)
_REFUSED = re.compile(
    r"\A(?:i['’]m sorry|sorry|i apologi[sz]e|i(?: am|['’]m)? (?:can(?:no|['’])t|unable))\b"
    r"(?=.*\b(?:images?|pictures?|transcri\w+|copyright\w*|assist with|as an ai)\b).{0,400}\Z",
    re.IGNORECASE | re.DOTALL,
)
_BLANK = re.compile(r"\A\W*blank\W*\Z", re.IGNORECASE)


def plain_answer(text: str) -> Transcript:
    """An answer that is the text itself, maybe in a code fence or behind a sentence that announces it."""
    text = _unfenced(_ANNOUNCED.sub("", text.strip(), count=1))
    if _REFUSED.match(text):
        raise ValueError(f"it is a refusal ({text[:120]!r})")
    return Transcript("" if _BLANK.match(text) else text.replace("[?]", ""))


def olmocr_answer(text: str) -> Transcript:
    """An answer with front matter before the text: lines of `name: value` between two of dashes."""
    found = re.match(r"\A---\s*\n(.*?)\n---[ \t]*(?:\n(.*))?\Z", _unfenced(text.strip()), re.DOTALL)
    if found is None:
        raise ValueError("it does not begin with its front matter")
    front = {
        name.strip(): value.strip().lower() for name, _, value in (row.partition(":") for row in found[1].splitlines())
    }
    if front.get("is_rotation_valid") not in ("true", "false"):
        raise ValueError("its front matter does not say whether the page is upright")
    turn = front.get("rotation_correction", "0")
    if turn not in ("0", "90", "180", "270"):
        raise ValueError(f"its front matter turns the page by {turn!r}")
    body = (found[2] or "").strip()
    return Transcript("" if body == "null" else body, int(turn) if front["is_rotation_valid"] == "false" else 0)


def _unfenced(text: str) -> str:
    fenced = _FENCE.match(text)
    return fenced[1].strip() if fenced else text


# Recipes

# The prompt that the olmOCR models were trained with, word for word: olmocr 0.4.27, `build_no_anchoring_v4_yaml_prompt`.
# Copyright Allen Institute for Artificial Intelligence, Apache License 2.0 (https://www.apache.org/licenses/LICENSE-2.0).
OLMOCR_PROMPT = (
    "Attached is one page of a document that you must process. "
    "Just return the plain text representation of this document as if you were reading it naturally. "
    "Convert equations to LateX and tables to HTML.\n"
    "If there are any figures or charts, label them with the following markdown syntax "
    "![Alt text describing the contents of the figure](page_startx_starty_width_height.png)\n"
    "Return your output as markdown, with a front matter section on top specifying values for the primary_language, "
    "is_rotation_valid, rotation_correction, is_table, and is_diagram parameters."
)

PLAIN_PROMPT = """\
Transcribe this page of a book exactly as it is printed.

- Write every word, from the top of the page to its foot, in the order in which a person reads it: running head, page number, \
headings, one column after the other, captions, footnotes.
- Keep the page's line breaks, and a hyphen at the end of a line. Leave an empty line between paragraphs.
- Keep spelling, capitals, punctuation and mistakes as they are. Do not translate, correct, complete or shorten anything.
- Write each row of a table, or of a table of contents, as one line, with its page number at the end.
- Write [?] for what cannot be read. Do not describe pictures.
- If nothing is printed on the page, write [blank].

Answer with the text of the page alone: no introduction, no remarks, no markup."""

RECIPES: tuple[Recipe, ...] = (
    Recipe(
        "olmocr",
        r"olmocr",
        OLMOCR_PROMPT,
        olmocr_answer,
        # Of olmocr's own ladder (0.1, 0.1, 0.2, 0.3, 0.5, 0.8, 0.9, 1.0), as far apart as three steps can be.
        temperatures=(0.1, 0.3, 0.8),
        longest_side=1288,
    ),
    # A model of the parts of a page, whose layout another one finds: of whole pages it reads simple ones well.
    Recipe("paddleocr-vl", r"paddleocr[-_]?vl", "OCR:", plain_answer, max_tokens=4096),
    Recipe("plain", r"", PLAIN_PROMPT, plain_answer),
)
"""The first that fits the model's name."""


def recipe_for(model: str) -> Recipe:
    """How a model is asked."""
    return next(recipe for recipe in RECIPES if re.search(recipe.models, model, re.IGNORECASE))


class VisionOcr:
    """`RemoteOcrProvider` over the language model of the same row."""

    def __init__(self, row: ProviderQueue) -> None:
        self.name = row.name
        self.row = row
        self.language_model = Anthropic(row) if row.kind == "anthropic" else OpenAiCompatible(row)
        self.recipe = recipe_for(row.model)
        side = min(row.max_image_side, self.recipe.longest_side or row.max_image_side)
        self.images = PageImages(replace(row, max_image_side=side))

    def model(self, language: str) -> str:
        """The row's model, which reads what it reads: nobody lists the languages. Raises BadInput where the row names none."""
        return self.language_model.model("")

    def parameters(self) -> Mapping[str, object]:
        return {
            **self.images.parameters(),
            "recipe": [self.recipe.name, self.recipe.prompt_hash, self.recipe.max_tokens, *self.recipe.temperatures],
            "revisions": [REVISION, latex_text.REVISION, markdown_lines.REVISION, answer_checks.REVISION],
        }

    async def read(self, leaf: LeafSource, language: str, timeout_seconds: float, calls: Calls) -> Reading:
        """Read one page by up to four calls: two repeats of an unusable answer, and one of a picture that lies on its side.

        Each call has the time limit. Raises a ProviderError; BadOutput where the last answer was no better."""
        began = time.monotonic()
        model, what = self.model(language), page_name(leaf)
        image = await self.images.of(leaf, timeout_seconds)
        picture = Image(image.body, image.media_type)
        # What earlier attempts at this page paid for and found unusable is not asked again.
        step, turn = json.loads(await calls.recall(PROGRESS) or "[0, 0]")
        if turn:
            picture = await asyncio.to_thread(_turned, picture, turn)

        def fault(answer: Answer) -> str:
            try:
                transcript = self.recipe.parse(answer.text)
            except ValueError as error:
                return str(error)
            # What it reads of a page that it cannot see upright is thrown away.
            return "" if transcript.turn and not turn else page_fault(self._page(transcript, image), image)

        while True:
            question = Question(
                system="",
                messages=(Message("user", self.recipe.prompt, (picture,)),),
                max_tokens=self.recipe.max_tokens,
                temperature=self.recipe.temperatures[step],
                prompt_hash=self.recipe.prompt_hash,
            )
            try:
                answer = await self.language_model.answer(
                    question, model, timeout_seconds, calls, what=what, check=fault
                )
            except Refused:
                raise
            except BadOutput:
                step = (step + 1) % len(self.recipe.temperatures)
                await calls.remember(PROGRESS, json.dumps([step, turn]))
                if step == 0:  # whoever asks for this page once more begins anew
                    raise
                continue
            transcript = self.recipe.parse(answer.text)
            if not transcript.turn or turn:
                page = self._page(transcript, image)
                page.model, page.language = answer.model, language
                return Reading(page, time.monotonic() - began)
            turn = transcript.turn
            await calls.remember(PROGRESS, json.dumps([step, turn]))
            picture = await asyncio.to_thread(_turned, picture, turn)

    def _page(self, transcript: Transcript, image: PageImage) -> PageReading:
        """The reading: lines as they were written, a block for each paragraph, every word somewhere on the page."""
        page = PageReading(self.name, image.look.width, image.look.height)
        everywhere = (0.0, 0.0, page.width, page.height)
        for block, paragraph in enumerate(re.split(r"\n\s*\n", plain_signs(transcript.text))):
            for text in plain_lines(paragraph):
                page.lines.append(Line([Word(word, everywhere) for word in text.split()], block))
        if not page.lines:
            # Of a reading without places nobody can say which print it lost; of an empty one, all of it.
            page.figures = ink_figures(image.look, [])
        return page

    async def close(self) -> None:
        await self.images.close()
        await self.language_model.close()


def _turned(picture: Image, degrees: int) -> Image:
    """The picture turned counter-clockwise by quarter turns."""
    from PIL import Image as Pictures

    turns = {90: Pictures.Transpose.ROTATE_90, 180: Pictures.Transpose.ROTATE_180, 270: Pictures.Transpose.ROTATE_270}
    with Pictures.open(io.BytesIO(picture.body)) as opened:
        kind = opened.format or "PNG"
        body = io.BytesIO()
        opened.transpose(turns[degrees]).save(body, kind, **({"quality": 90} if kind == "JPEG" else {}))
    return Image(body.getvalue(), picture.media_type)
