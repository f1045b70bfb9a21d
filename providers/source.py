"""A book's source: the ordered files, and one leaf of them. Opening, counting, rendering: `providers/pages.py`."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class SourcePart(BaseModel):
    """One file of a source."""

    model_config = ConfigDict(frozen=True)
    sha256: str
    name: str
    kind: str
    """'pdf' or 'image'."""
    pages: int
    """Pages of a PDF, frames of an image."""


class Manifest(BaseModel):
    """The ordered files of a book; an artifact of its own, so that histories carry its hash only."""

    model_config = ConfigDict(frozen=True)
    name: str
    parts: tuple[SourcePart, ...]

    @property
    def page_count(self) -> int:
        return sum(part.pages for part in self.parts)

    def leaf(self, page: int) -> tuple[int, int]:
        """(part, index) of the 1-based physical page of the source as it was first seen."""
        rest = page - 1
        for number, part in enumerate(self.parts):
            if rest < part.pages:
                return number, rest
            rest -= part.pages
        raise IndexError(f"page {page} of {self.page_count}")


class LeafSource(BaseModel):
    """Where one page's image lies: what an engine process needs to render it by itself."""

    model_config = ConfigDict(frozen=True)
    path: str
    kind: str
    index: int
    region: str = ""
    page: int
    """Physical page, for messages."""
    book: str = ""
    """Book key, for messages."""
    image_hash: str = ""
