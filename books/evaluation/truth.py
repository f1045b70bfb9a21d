"""Truth files: what a book says, transcribed by people or known from how it was made.

JSON, as `samples/a-day-at-a-time.json`. Every part may be left out: only what is there is scored. A `null` is a statement
(this page has no number, this book prints no publisher), a missing field is none.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from schemas.errors import BadInput, SourceNotFound

METADATA = ("title", "subtitle", "authors", "publisher", "place", "year", "isbn", "language")


class _Part(BaseModel):
    """Notes beside the known fields are welcome and not read."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    def states(self, name: str) -> bool:
        """Whether the file says anything of this field, were it `null`."""
        return name in self.model_fields_set


class TruthPage(_Part):
    """One physical page."""

    page: int = Field(ge=1)
    """1-based."""
    label: str | None = None
    """The number that the page has, printed or counted; null = it has none."""
    label_printed: bool | None = None
    """Whether the number is to be seen on the page. Left out: it is, if it stands in the first or last lines of `text`."""
    running_header: str | None = None
    page_type: str | None = None
    """Null is no statement here: kinds of pages are many, and truths name those that are certain."""
    text: str | None = None
    """Lines in reading order; '' = a blank page, null = not transcribed."""


class TruthEntry(_Part):
    """One entry of the contents."""

    title: str
    level: int | None = Field(None, ge=1)
    printed: str | None = None
    page: int | None = Field(None, ge=1)
    """Physical page. Left out: the page whose label is `printed`, where there is exactly one."""


class Truth(_Part):
    """One book."""

    name: str = ""
    """Of the file without `.json`."""
    source_name: str | None = None
    """Name of the book's source; left out: it begins with the truth file's own name."""
    title: str | None = None
    subtitle: str | None = None
    authors: list[str] | None = None
    publisher: str | None = None
    place: str | None = None
    year: int | None = None
    isbn: list[str] | None = None
    language: str | None = None
    toc_pages: list[int] | None = None
    toc: list[TruthEntry] | None = None
    toc_transcribed: bool = True
    """False: the entries were not transcribed, whatever `toc` holds."""
    pages: list[TruthPage] = []

    @model_validator(mode="after")
    def _pages_once(self) -> Truth:
        numbers = [page.page for page in self.pages]
        twice = sorted({number for number in numbers if numbers.count(number) > 1})
        if twice:
            raise ValueError(f"page {twice[0]} is there twice")
        return self

    @property
    def entries(self) -> list[TruthEntry] | None:
        """None where the file says nothing of them."""
        return self.toc if self.toc_transcribed else None


def load_truth(path: Path) -> Truth:
    """Read one file. Raises BadInput, which names file and field; SourceNotFound."""
    try:
        body: Any = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise SourceNotFound(f"The truth file {path} does not exist.", "Check the path.") from None
    except OSError as error:
        raise SourceNotFound(f"The truth file {path} cannot be read: {error.strerror}.", "Check the path.") from None
    except ValueError as error:
        raise BadInput(f"The truth file {path} is no JSON: {error}.", _SEE) from None
    try:
        return Truth.model_validate({**body, "name": path.stem} if isinstance(body, dict) else body)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"]) or "the file itself"
        raise BadInput(f"The truth file {path} is wrong at {field}: {first['msg']}.", _SEE) from None


_SEE = "See docs/evaluation.md for the format, samples/a-day-at-a-time.json for an example."


def truth_files(path: Path) -> list[Path]:
    """The file, or all `.json` files of the folder. Raises SourceNotFound."""
    if not path.is_dir():
        return [path]
    files = sorted(path.glob("*.json"))
    if not files:
        raise SourceNotFound(f"The folder {path} has no truth file (*.json).", _SEE)
    return files


def truths_by_source(truths: Sequence[Truth]) -> dict[str, Truth]:
    """Name of the source that each is for -> truth, as `truth_of` takes them. Raises BadInput where two are for one."""
    found: dict[str, Truth] = {}
    for one in truths:
        source = one.source_name or one.name
        if (other := found.setdefault(source, one)) is not one:
            raise BadInput(
                f"Two truth files are for {source!r}: {other.name}.json and {one.name}.json.",
                "Take one away, or correct its `source_name`.",
            )
    return found


def truth_of(source: str, truths: Mapping[str, Truth]) -> Truth | None:
    """The truth for a source: of the same name, else the longest name with which the source's begins, followed by a sign
    ("book" for "book-scan", not for "bookshelf").

    Args:
        source: name of the source without its ending.
        truths: name of the truth file (or its `source_name`) without ending -> truth.
    """
    fitting = [
        name for name in truths if source == name or (source.startswith(name) and not source[len(name)].isalnum())
    ]
    return truths[max(fitting, key=len)] if fitting else None
