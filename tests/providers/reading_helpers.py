"""Readings built from literals, the sample's readings, and how texts are compared."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from rapidfuzz.distance import Levenshtein

from schemas.reading import Line, PageReading, Word

ROOT = Path(__file__).resolve().parents[2]
WIDTH, HEIGHT = 400.0, 600.0


def line(text: str, x: float, y: float, size: float = 10.0, confidence: float | None = 96.0, block: int = 0) -> Line:
    """A line whose letters are half as wide as high; a blank is a quarter; several blanks make a gap."""
    words = []
    for match in re.finditer(r"\S+", text):
        left = x + sum(0.25 if c == " " else 0.5 for c in text[: match.start()]) * size
        words.append(Word(match[0], (left, y, left + 0.5 * size * len(match[0]), y + size), confidence))
    return Line(words, block)


def page(*lines: Line, provider: str = "tesseract") -> PageReading:
    return PageReading(provider, WIDTH, HEIGHT, [row for row in lines if row.words])


def body(
    number: str | None = None, header: str | None = None, rows: int = 20, heading: str | None = None
) -> PageReading:
    """A page of running text: header and number at the top, or the number alone at the foot under a heading."""
    lines = []
    if header is not None:
        lines.append(line(header, 120, 40))
        if number is not None:
            lines.append(line(number, 350, 40))
    elif number is not None:
        lines.append(line(number, 200, 570))
    if heading is not None:
        lines.append(line(heading, 120, 110, size=16))
    text = "and so it was that the people of the town went to see what had come over the hill"
    lines += [line(text[: 60 + i % 3], 50, 150 + 14 * i) for i in range(rows)]
    return page(*sorted(lines, key=lambda row: row.box[1]))


def sample(engine: str) -> list[tuple[int, PageReading]]:
    """(physical page, reading) of the sample scan by "tesseract" (300 dpi) or "rapidocr" (200 dpi, classifier off)."""
    pages = json.loads((ROOT / "tests/data/readings" / f"a-day-at-a-time-{engine}.json").read_text())
    return [(i, PageReading.from_json(json.dumps(body).encode())) for i, body in enumerate(pages, 1)]


def sample_truth() -> dict[str, Any]:
    truth: dict[str, Any] = json.loads((ROOT / "samples/a-day-at-a-time.json").read_text())
    return truth


def normalised(text: str, *, straight_quotes: bool = False) -> str:
    """Blanks and dot leaders collapsed, joiners removed, a soft hyphen at a line's end as the hyphen that is printed."""
    text = text.replace("\u2060", "").replace("\u00ad\n", "-\n").replace("\u00ad", "")
    text = re.sub(r"(?:[.·…_]\s*){3,}", " … ", text)
    if straight_quotes:
        text = text.translate(str.maketrans("‘’“”", "''\"\""))
    return re.sub(r"\s+", " ", text).strip()


def character_errors(
    readings: list[tuple[int, PageReading]], truth: dict[str, Any], *, straight_quotes: bool = False
) -> float:
    """Character error rate over the pages, in per cent."""
    errors = letters = 0
    for number, reading in readings:
        told = normalised(truth["pages"][number - 1]["text"], straight_quotes=straight_quotes)
        errors += Levenshtein.distance(told, normalised(reading.text, straight_quotes=straight_quotes))
        letters += len(told)
    return 100 * errors / letters
