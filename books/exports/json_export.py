"""JSON: everything that is known of a book, as one documented object (`docs/export-json.md`)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from books.exports.job import Export
from schemas.documents import Page

FORMAT_VERSION = "1.1"
"""Of the object: fields may be added in 1.x, none is renamed or removed before 2."""


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Evidence(_Model):
    """Where a field of the metadata was found."""

    page: int | None = Field(None, description="Physical page.")
    confidence: float | None = Field(None, description="0 to 1.")
    source: str | None = Field(None, description="Where on it, or which other source.")


class BookJson(_Model):
    """What the book says about itself."""

    key: str = Field(description="Key of the book.")
    source_name: str | None = Field(description="Name of the source, without a folder.")
    page_count: int = Field(description="Number of leaves.")
    title: str | None
    subtitle: str | None
    authors: list[str]
    publisher: str | None
    place: str | None
    year: int | None
    isbn: list[str] = Field(description="ISBNs as 13 digits.")
    language: str | None = Field(description="ISO 639-1.")
    lccn: str | None = Field(description="Library of Congress Control Number; as the next three, by a model only.")
    description: str | None = Field(description="What the book is; written by the model.")
    subjects: list[str] = Field(description="Subject headings as printed.")
    contributors: list[str] = Field(description="'Name (role)' of those who are no authors.")
    evidence: dict[str, Evidence] = Field(description="Field -> where it was found.")


class SourceJson(_Model):
    """One engine's reading of a page."""

    key: str
    provider: str
    model: str | None
    language: str | None
    confidence: float | None = Field(description="Mean of its words, 0 to 100.")
    text: str


class WordJson(_Model):
    """One word of the best text."""

    text: str
    box: tuple[float, float, float, float] = Field(description="x0, y0, x1, y1 in points of the upright page.")
    confidence: float | None = Field(description="0 to 100.")


class LineJson(_Model):
    """One line; lines of a column or paragraph share a block."""

    block: int
    words: list[WordJson]


class PageJson(_Model):
    """One leaf."""

    page: int = Field(description="Physical page, from 1.")
    label: str | None = Field(description="Printed number; null where there is none.")
    label_inferred: bool = Field(description="True where the number is not printed but follows.")
    page_type: str | None
    running_header: str | None
    width: float | None = Field(description="Points.")
    height: float | None
    status: str = Field(description="'complete' or 'missing'.")
    problem: str | None = Field(description="Of a missing page: why.")
    text: str | None = Field(description="The best text; null of a missing page.")
    confidence: float | None = Field(description="0 to 100.")
    agreement: float | None = Field(description="Share of words that all sources read alike, 0 to 1; null with one.")
    expected_cer: float | None = Field(description="Expected share of wrong characters, 0 to 1.")
    lines: list[LineJson] = Field(description="The best text with boxes.")
    sources: list[SourceJson] = Field(description="The readings that it was made from.")


class ContentsJson(_Model):
    """An entry of the table of contents."""

    number: str | None
    title: str | None
    level: int | None = Field(description="1 = top.")
    printed: str | None = Field(description="Page number as it stands in the contents.")
    page: int | None = Field(description="Physical page.")
    confidence: float | None = Field(description="0 to 1.")
    source: str | None
    link: dict[str, Any] | None = Field(description="How the page was found and what disagrees; null before linking.")


class ChapterJson(_Model):
    """A chapter, or a bucket of what no entry names."""

    key: str
    parent: str | None
    level: int | None
    number: str | None
    title: str | None
    matter: str | None = Field(description="'front', 'body' or 'back'.")
    bucket: str | None = Field(description="'' = a chapter.")
    start_page: int | None
    end_page: int | None
    start_label: str | None
    end_label: str | None
    source: str | None
    confidence: float | None


class ParagraphJson(_Model):
    """A paragraph, heading, note or figure."""

    chapter: str | None = Field(description="Key of its chapter.")
    kind: str | None
    level: int | None
    text: str | None
    pages: list[int]
    crop: list[float] | None = Field(description="Of a figure: page, x0, y0, x1, y1.")


class ExportJson(_Model):
    """A whole book."""

    format: str = "shelf-book"
    version: str = FORMAT_VERSION
    book: BookJson
    contents: list[ContentsJson]
    chapters: list[ChapterJson]
    paragraphs: list[ParagraphJson]
    pages: list[PageJson]


def write_json(export: Export, target: Path) -> None:
    """UTF-8, indented by one blank a level."""
    body = json.dumps(book_json(export).model_dump(mode="json"), ensure_ascii=False, indent=1)
    # Lone surrogates, which some PDFs hand out, are no UTF-8.
    target.write_text(body + "\n", encoding="utf-8", errors="replace", newline="\n")


def book_json(export: Export) -> ExportJson:
    """The object. Raises ArtifactMissing."""
    view, book = export.view, export.view.book
    pages = []
    for number in range(1, export.page_count + 1):
        pages.append(_page(export, number, view.page(number)))
        export.progress(number, export.page_count)
    known = BookJson(
        key=view.key,
        source_name=book.source_name,
        page_count=export.page_count,
        title=book.title,
        subtitle=book.subtitle,
        authors=book.authors or [],
        publisher=book.publisher,
        place=book.place,
        year=book.year,
        isbn=book.isbn or [],
        language=book.language,
        lccn=book.lccn,
        description=book.description,
        subjects=book.subjects or [],
        contributors=book.contributors or [],
        evidence={
            name: Evidence(page=found.get("page"), confidence=found.get("confidence"), source=found.get("source"))
            for name, found in json.loads(book.metadata_evidence or "{}").items()
        },
    )
    links = view.links
    contents = [
        ContentsJson(
            **{
                name: getattr(entry, name)
                for name in ("number", "title", "level", "printed", "page", "confidence", "source")
            },
            link=links[at] if at < len(links) else None,
        )
        for at, entry in enumerate(view.entries)
    ]
    shared = [name for name in ChapterJson.model_fields if name != "key"]
    chapters = [
        ChapterJson(key=chapter.key, **{name: getattr(chapter, name) for name in shared}) for chapter in view.chapters
    ]
    paragraphs = [
        ParagraphJson(
            chapter=paragraph.chapter_key,
            kind=paragraph.kind,
            level=paragraph.level,
            text=paragraph.text,
            pages=paragraph.pages or [],
            crop=json.loads(paragraph.crop) if paragraph.crop else None,
        )
        for paragraph in view.paragraphs
    ]
    return ExportJson(book=known, contents=contents, chapters=chapters, paragraphs=paragraphs, pages=pages)


def _page(export: Export, number: int, page: Page | None) -> PageJson:
    problem = export.missing.get(number)
    reading = export.reading(number)
    shared = ("label", "page_type", "running_header", "width", "height", "confidence", "agreement", "expected_cer")
    return PageJson(
        page=number,
        label_inferred=bool(page.label_inferred) if page is not None else False,
        status="missing" if problem else "complete",
        problem=problem,
        text=None if problem or page is None else page.text or "",
        **{name: getattr(page, name) if page is not None else None for name in shared},
        lines=[
            LineJson(
                block=line.block,
                words=[WordJson(text=word.text, box=word.box, confidence=word.confidence) for word in line.words],
            )
            for line in (reading.lines if reading is not None else [])
        ],
        sources=[
            SourceJson(
                key=source.key,
                provider=source.provider or "",
                model=source.model,
                language=source.language,
                confidence=source.confidence,
                text=source.text or "",
            )
            for source in (export.sources.get(page.key, []) if page is not None else [])
        ],
    )
