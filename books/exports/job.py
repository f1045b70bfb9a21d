"""What every format is given: the book, what was chosen, and whom to tell how far it is."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from books.exports.content import Content, read_content
from books.view import BookView
from providers.image_steps import ImageSteps
from schemas.documents import OcrResult
from schemas.reading import PageReading

Progress = Callable[[int, int], None]
"""Told (pages done, pages in all); may raise to end the export."""


def silent(done: int, total: int) -> None:
    """For exports that nobody watches."""


@dataclass
class Export:
    """One book to be written, in any number of formats."""

    view: BookView
    by_page: bool = False
    """Of `text`: page by page with printed numbers, instead of running text."""
    sources: Mapping[str, list[OcrResult]] = field(default_factory=dict)
    """key of a Page -> the readings that its blend read; what `json` lists. See `gather_sources`."""
    progress: Progress = silent
    notes: list[str] = field(default_factory=list)
    """Sentences for people about what the export does not hold."""
    _readings: dict[int, PageReading | None] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        """Chapters and paragraphs that are older than the texts are left out: the book is written as if it had none."""
        view = self.view
        if (view.chapters or view.paragraphs or view.links) and not view.structure_is_current:
            toc = view.toc.model_copy(update={"links": None}) if view.toc is not None else None
            self.view = dataclasses.replace(view, chapters=[], paragraphs=[], toc=toc)
            self.notes.append(
                f"The structure of {view.key} is older than its text, and is left out: chapters follow the contents, "
                f"paragraphs the lines of the pages. Build it again: `shelf structure {view.key}`."
            )

    def reading(self, number: int) -> PageReading | None:
        """The blended reading of a physical page, kept: several formats ask for each. Raises ArtifactMissing."""
        if number not in self._readings:
            page = self.view.page(number)
            self._readings[number] = self.view.reading(page) if page is not None else None
        return self._readings[number]

    @cached_property
    def content(self) -> Content:
        """What there is to read, in order. Raises ArtifactMissing."""
        return read_content(self.view, self.reading)

    @cached_property
    def page_count(self) -> int:
        """Leaves of the book."""
        return self.view.manifest.page_count

    @cached_property
    def missing(self) -> dict[int, str]:
        """Physical page -> why there is no text of it."""
        found: dict[int, str] = {}
        for number in range(1, self.page_count + 1):
            page = self.view.page(number)
            if page is None or not page.flag("blend", "complete"):
                errors = [page.flag(name, "error") for name in ("extract", "ocr", "blend")] if page is not None else []
                found[number] = next((str(error) for error in errors if error), "not read yet")
        return found

    def label(self, number: int) -> str:
        """The printed number of a physical page, '' where it has none."""
        page = self.view.page(number)
        return (page.label or "") if page is not None else ""

    @cached_property
    def page_ids(self) -> dict[int, str]:
        """Physical page -> a name for links that no other page has: `page-xii` of a printed number, else `leaf-7`."""
        found: dict[int, str] = {}
        taken: set[str] = set()
        for number in range(1, self.page_count + 1):
            plain = re.sub(r"[^A-Za-z0-9]+", "-", self.label(number)).strip("-")
            name = f"page-{plain}" if plain and f"page-{plain}" not in taken else f"leaf-{number}"
            taken.add(name)
            found[number] = name
        return found


async def gather_sources(view: BookView) -> dict[str, list[OcrResult]]:
    """The readings behind every page, in one question to the store."""
    wanted = [key for page in view.pages for key in page.ocr_results or []]
    found = await view.store.get(OcrResult, wanted) if wanted else {}
    return {page.key: [found[key] for key in page.ocr_results or [] if key in found] for page in view.pages}


def orientation(image_steps: str | None) -> int:
    """Degrees clockwise by which the page was turned for reading, after its own /Rotate or EXIF orientation."""
    return ImageSteps.from_json(image_steps).orientation
