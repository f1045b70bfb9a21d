"""The body of an artifact that holds one engine's reading of one page.

Geometry is in PDF points (1/72 inch) of the upright page: origin at the top left, y downwards, after the
page's own /Rotate was applied. Confidence is 0 to 100, None where an engine gives none.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import pydantic_core

Box = tuple[float, float, float, float]
"""x0, y0, x1, y1 in points of the upright page."""


@dataclass(slots=True)
class Word:
    """One word as it was read: no blanks inside, `text` as the engine gave it."""

    text: str
    box: Box
    confidence: float | None = None
    voters: tuple[str, ...] = ()
    """Of a blended word: the providers that read it so. Empty in an engine's own reading."""
    readings: tuple[tuple[str, str], ...] = ()
    """Of a blended word that was disputed: (provider, what it read), '' where it read nothing."""
    rule: str = ""
    """Of a blended word that was disputed: the name of the rule that decided."""


@dataclass(slots=True)
class Line:
    """One visual line: its words from left to right."""

    words: list[Word]
    block: int = 0
    """Lines of one block (column, paragraph, header) share a number."""

    @property
    def text(self) -> str:
        return " ".join(word.text for word in self.words)

    @property
    def box(self) -> Box:
        boxes = [word.box for word in self.words]
        return (
            min(b[0] for b in boxes),
            min(b[1] for b in boxes),
            max(b[2] for b in boxes),
            max(b[3] for b in boxes),
        )

    @property
    def height(self) -> float:
        _, top, _, bottom = self.box
        return bottom - top


@dataclass(slots=True)
class PageReading:
    """All lines of a page in reading order, as one provider (or the blend) has them."""

    provider: str
    width: float
    height: float
    lines: list[Line] = field(default_factory=list)
    model: str = ""
    """Model and version as the engine itself reports them ("tesseract 5.5.1 eng fast")."""
    language: str = ""
    figures: dict[str, float] = field(default_factory=dict)
    """What else was measured on the page, by name ("ink_outside": share of its print in no recognised line)."""
    notes: list[str] = field(default_factory=list)
    """What people should know of how the text came about, in sentences (a model's corrections that did not apply)."""

    @property
    def text(self) -> str:
        """Lines joined by newlines, in reading order; '' for a blank page."""
        return "\n".join(line.text for line in self.lines)

    @property
    def words(self) -> list[Word]:
        return [word for line in self.lines for word in line.words]

    @property
    def confidence(self) -> float | None:
        """Mean word confidence weighted by length; None on a blank page or without confidences."""
        weighted = [(word.confidence, len(word.text)) for word in self.words if word.confidence is not None]
        total = sum(length for _, length in weighted)
        return sum(confidence * length for confidence, length in weighted) / total if total else None

    def to_json(self) -> bytes:
        """Compact JSON: a word is [text, x0, y0, x1, y1, confidence] plus, if blended, voters, readings, rule."""
        lines = []
        for line in self.lines:
            words: list[list[object]] = []
            for word in line.words:
                row: list[object] = [
                    word.text,
                    *(round(value, 1) for value in word.box),
                    None if word.confidence is None else round(word.confidence, 1),
                ]
                if word.voters or word.readings or word.rule:
                    row += [word.voters, word.readings, word.rule]
                words.append(row)
            lines.append([line.block, words])
        return pydantic_core.to_json(
            {
                "provider": self.provider,
                "model": self.model,
                "language": self.language,
                "width": self.width,
                "height": self.height,
                "lines": lines,
                "figures": self.figures,
                **({"notes": self.notes} if self.notes else {}),
            }
        )

    @classmethod
    def from_json(cls, body: bytes) -> PageReading:
        data = pydantic_core.from_json(body)
        lines = []
        for block, rows in data["lines"]:
            words = []
            for row in rows:
                blended = row[6:] or ((), (), "")
                words.append(
                    Word(
                        text=row[0],
                        box=(row[1], row[2], row[3], row[4]),
                        confidence=row[5],
                        voters=tuple(blended[0]),
                        readings=tuple((provider, text) for provider, text in blended[1]),
                        rule=blended[2],
                    )
                )
            lines.append(Line(words=words, block=block))
        return cls(
            provider=data["provider"],
            width=data["width"],
            height=data["height"],
            lines=lines,
            model=data["model"],
            language=data["language"],
            figures=data.get("figures", {}),
            notes=data.get("notes", []),
        )
