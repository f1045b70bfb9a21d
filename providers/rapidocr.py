"""RapidOCR (PP-OCRv6 by ONNX Runtime): slower and heavier than Tesseract, better on contents pages and lost lines.

Three to five times Tesseract's CPU a page, and 1 GB a process: its own pool, few processes. The models lie in the wheel;
nothing is downloaded.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from providers.image_steps import ImageSteps, apply
from providers.ink import REVISION as INK_REVISION
from providers.ink import ink_figures
from providers.pool import EnginePool
from providers.reading_order import reading_order
from schemas.errors import LanguageMissing
from schemas.reading import Box, Line, PageReading, Word

if TYPE_CHECKING:
    from providers.base import Reading
    from providers.source import LeafSource

NAME = "rapidocr"

DPI = 250
"""Tried on typeset scans at 200, 240, 250, 300: equal on body text (CER 0.1 %), but a lone thin "1" on a contents page is
found from 250 up only. CPU and memory grow with the pixels: 300 takes 1.4 times as much."""
MAX_SIDE_PIXELS = 2600
"""The library's own limit of 2000 would bring a 6 x 9 inch page back to 220 dpi."""
DETECTOR_SIDE_PIXELS = 1600
"""Longer side of the picture in which lines are looked for; they are cut out of the full one.

The library looks in the full picture (2750 pixels of a letter), which takes half of a page's CPU. With this limit, the score
below and the settings in `Engine`, on the same busy machine: 65 letters 10.1 against 5.3 core-seconds a page, 3.60 against 3.69 %
of the words wrong (signatures become words), 2.35 against 2.24 % of the characters; ten rasterised contents pages 8.5 against
4.6, 22.4 against 20.5 %; 26 book pages 6.7 against 4.4, both 0.07 %. At 1280 lone page numbers ("i", "vi") are lost."""
DETECTOR_SCORE = 0.4
"""From which a place is taken for text. With the library's 0.5, the smaller picture loses a lone thin "1" on a contents page."""

LANGUAGES = frozenset(
    [
        "afr",
        "aze",
        "bos",
        "cat",
        "ces",
        "chi_sim",
        "chi_tra",
        "cym",
        "dan",
        "deu",
        "eng",
        "enm",
        "est",
        "eus",
        "fil",
        "fin",
        "fra",
        "frm",
        "gle",
        "glg",
        "hrv",
        "hun",
        "ind",
        "isl",
        "ita",
        "jpn",
        "kur",
        "lat",
        "lav",
        "lit",
        "ltz",
        "mlt",
        "msa",
        "nld",
        "nor",
        "oci",
        "pol",
        "por",
        "que",
        "ron",
        "slk",
        "slv",
        "spa",
        "sqi",
        "swa",
        "swe",
        "tgl",
        "tur",
        "uzb",
    ]
)
"""Codes as Tesseract has them, for that is what users give: Chinese, Japanese and the languages in Latin letters of
rapidocr's list for PP-OCRv6 "small", apart from Vietnamese, most of whose letters the model does not know."""


class RapidOcrProvider:
    """`OcrProvider` over a pool of its own."""

    name = NAME

    def __init__(self, processes: int = 1) -> None:
        self.pool = EnginePool(processes, "providers.rapidocr:Engine", NAME)

    def model(self, language: str) -> str:
        """Engine and model; one model reads all its languages. Raises LanguageMissing."""
        unknown = [part for part in language.split("+") if part not in LANGUAGES]
        if unknown or not language:
            raise LanguageMissing(
                f"RapidOCR's model does not read {', '.join(unknown) or 'no language'}; it reads Latin letters, "
                "Chinese and Japanese.",
                "Read the book with Tesseract alone (no second opinion), which has models for a hundred languages.",
            )
        return _model()

    def parameters(self) -> Mapping[str, object]:
        return {"dpi": DPI, "use_cls": False, "detector": [DETECTOR_SIDE_PIXELS, DETECTOR_SCORE], "ink": INK_REVISION}

    async def read(self, leaf: LeafSource, language: str, timeout_seconds: float) -> Reading:
        """Read one page. Raises EngineCrashed, Rejected (the page cannot be rendered), LanguageMissing."""
        from providers.base import pool_reading

        task = (leaf.path, leaf.kind, leaf.index, leaf.region, leaf.image_steps)
        return await pool_reading(self.pool, task, leaf, self.model(language), language, timeout_seconds)

    async def warm(self) -> None:
        await self.pool.warm()

    async def close(self) -> None:
        await self.pool.close()


@functools.cache
def _model() -> str:
    from importlib.metadata import version

    return f"rapidocr {version('rapidocr')} PP-OCRv6 small"


# The child's side


class Engine:
    """One RapidOCR object; its models are loaded when it is made, so that the first page need not wait."""

    def __init__(self) -> None:
        import logging

        logging.disable(logging.WARNING)  # its logger reports every model it loads
        import numpy as np
        import rapidocr

        from providers import pages

        self._pages = pages
        self._engine = rapidocr.RapidOCR(
            params={
                # The angle classifier turns upright lines upside down: 12.9 % instead of 1.6 % of the characters wrong.
                "Global.use_cls": False,
                "Global.return_word_box": True,
                "Global.max_side_len": MAX_SIDE_PIXELS,
                "Det.limit_type": "max",
                "Det.limit_side_len": DETECTOR_SIDE_PIXELS,
                "Det.box_thresh": DETECTOR_SCORE,
                # Lines of a batch are padded to the longest: one at a time takes 3 % less and is read as well.
                "Rec.rec_batch_num": 1,
                "Global.log_level": "error",
                "EngineConfig.onnxruntime.intra_op_num_threads": 1,
                "EngineConfig.onnxruntime.inter_op_num_threads": 1,
                # Memory is kept from line to line; asking the system for it anew took a fifth of the time.
                "EngineConfig.onnxruntime.enable_cpu_mem_arena": True,
            }
        )
        self._engine(np.full((64, 64, 3), 255, dtype=np.uint8))

    def __call__(self, task: tuple[str, str, int, str, str]) -> bytes:
        """Read (path, kind, index, region, image steps); JSON of a PageReading without model."""
        path, kind, index, region, steps = task
        raster = apply(self._pages.render(path, kind, index, dpi=DPI, region=region), ImageSteps.from_json(steps))
        page = PageReading(provider=NAME, width=raster.width, height=raster.height)
        result = self._engine(raster.pixels)
        texts = getattr(result, "txts", None)
        if not texts:  # a blank page
            page.figures = ink_figures(raster, [])
            return page.to_json()
        # Boxes per word are left out by the library for lines without words; then they cannot be told apart.
        boxed = result.word_results if len(result.word_results or ()) == len(texts) else [()] * len(texts)
        lines = []
        for text, score, corners, pieces in zip(texts, result.scores, result.boxes, boxed, strict=True):
            words = words_of_line(text, float(score), _bounds(corners), [_piece(piece) for piece in pieces])
            for word in words:
                word.box = raster.to_points(*word.box)
            if words:
                lines.append(Line(words))
        page.lines = reading_order(lines, page.width)
        page.figures = ink_figures(raster, page.lines)
        for word in page.words:
            word.box = raster.on_page(word.box)
        return page.to_json()


def _bounds(corners: Any) -> Box:
    """The upright box around four corners."""
    xs, ys = [float(corner[0]) for corner in corners], [float(corner[1]) for corner in corners]
    return (min(xs), min(ys), max(xs), max(ys))


def _piece(piece: Any) -> tuple[str, float, Box]:
    text, score, corners = piece
    return str(text), float(score), _bounds(corners)


def words_of_line(text: str, score: float, box: Box, pieces: Sequence[tuple[str, float, Box]]) -> list[Word]:
    """The words of a recognised line, each with its box and confidence.

    The library's pieces are not the line's words (it splits at hyphens, digits and every Chinese character), but
    spell the same characters: each character takes its share of its piece's box, each word the union of its
    characters'. Without pieces that spell the line, the line's box is shared out by the characters' usual widths.
    """
    tokens = text.split()
    spelled: list[tuple[str, float, Box]] = []
    for piece, piece_score, piece_box in pieces:
        spelled += _characters("".join(piece.split()), piece_score, piece_box)
    if [character for character, _, _ in spelled] != list("".join(tokens)):
        spelled = [entry for entry in _characters(text, score, box) if not entry[0].isspace()]
    words, start = [], 0
    for token in tokens:
        part = spelled[start : start + len(token)]
        start += len(token)
        words.append(
            Word(
                token,
                (
                    min(b[0] for _, _, b in part),
                    min(b[1] for _, _, b in part),
                    max(b[2] for _, _, b in part),
                    max(b[3] for _, _, b in part),
                ),
                100 * sum(s for _, s, _ in part) / len(part),
            )
        )
    return words


def _characters(text: str, score: float, box: Box) -> list[tuple[str, float, Box]]:
    """Each character of a text with its share of the box."""
    x0, y0, x1, y1 = box
    widths = [_width(character) for character in text]
    scale = (x1 - x0) / sum(widths) if widths else 0.0
    characters = []
    for character, width in zip(text, widths, strict=True):
        characters.append((character, score, (x0, y0, x0 + width * scale, y1)))
        x0 += width * scale
    return characters


def _width(character: str) -> float:
    """Of a character in a book face, in ems; good to a fifth."""
    if character in "iIjltf.,;:'’‘!|()[] ·":
        return 0.3
    if character in "mwMW—…" or character > "\u2e80":
        return 0.9
    return 0.65 if character.isupper() else 0.5
