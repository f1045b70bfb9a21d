"""Books made by hand: a view over documents in memory and artifacts in a folder."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from activities.choosing import BOOK_PROVIDERS
from activities.operation import choice_of
from activities.paragraph.operation import paragraph_inputs
from activities.structure.operation import structure_inputs
from activities.toc_link.operation import toc_link_inputs
from books.view import BookView
from providers.local_artifacts import LocalArtifactStore
from providers.source import Manifest, ManifestLeaf, SourcePart
from schemas.documents import Book, Chapter, Page, Paragraph, ToC, TocEntry
from schemas.keys import chapter_key, leaf_id, page_key, paragraph_key, toc_entry_key, toc_key
from schemas.memory import MemoryStore
from schemas.reading import Line, PageReading, Word
from schemas.store import digest

ROOT = Path(__file__).resolve().parents[3]
SAMPLE = ROOT / "samples" / "a-day-at-a-time-scan.pdf"
TRUTH = json.loads((ROOT / "samples" / "a-day-at-a-time.json").read_text())
READINGS = ROOT / "tests" / "data" / "readings" / "a-day-at-a-time-tesseract.json"
BOOK = "hand-made-0123abcd"


def page_reading(
    lines: Sequence[str], *, width: float = 400.0, height: float = 600.0, top: float = 100.0
) -> PageReading:
    """Lines of 10-point words of 5 points a letter, from x = 50, 14 points apart."""
    made = []
    for number, text in enumerate(lines):
        x, y = 50.0, top + 14 * number
        words = []
        for word in text.split():
            words.append(Word(word, (x, y, x + 5 * len(word), y + 10), 95.0))
            x += 5 * len(word) + 4
        made.append(Line(words))
    return PageReading("vote", width, height, made, model="vote 1", language="eng")


def make_view(
    folder: Path,
    parts: Sequence[tuple[Path, str, int]],
    readings: Mapping[int, PageReading | None],
    *,
    leaves: Sequence[ManifestLeaf] | None = None,
    labels: Mapping[int, str] | None = None,
    book: Mapping[str, Any] | None = None,
    pages: Mapping[int, Mapping[str, Any]] | None = None,
    entries: Sequence[Mapping[str, Any]] = (),
    chapters: Sequence[Mapping[str, Any]] = (),
    paragraphs: Sequence[Mapping[str, Any]] = (),
) -> BookView:
    """A book of these files. A page whose reading is None failed; `pages` adds fields to Page documents, `paragraphs` name
    their chapter by its position."""
    artifacts = LocalArtifactStore(folder / "artifacts")
    manifest = Manifest(
        name="hand made",
        parts=tuple(
            SourcePart(sha256=artifacts.put_file(path), name=path.name, kind=kind, pages=count)
            for path, kind, count in parts
        ),
        leaves=tuple(leaves) if leaves is not None else None,
    )
    artifacts.publish(manifest.fingerprint(), manifest.model_dump_json(exclude_defaults=True).encode())
    documents = []
    for number, leaf in enumerate(manifest.all_leaves(), start=1):
        found = readings.get(number)
        fields: dict[str, Any] = {"text_layer": "none"}
        if found is not None:
            artifact = digest(["reading", number, found.text, len(found.words)])
            artifacts.publish(artifact, found.to_json())
            fields |= {"text": found.text, "confidence": 95.0, "blend_complete": True, "blend_artifact": artifact}
            fields |= {"width": found.width, "height": found.height}
        elif number in readings:
            fields |= {"ocr_error": "TimedOut: it took longer than it may"}
        label = (labels or {}).get(number)
        documents.append(
            Page(
                key=page_key(BOOK, leaf_id(leaf.part, leaf.index, leaf.region)),
                book_key=BOOK,
                part=leaf.part,
                index=leaf.index,
                region=leaf.region,
                page=number,
                label=label,
                label_inferred=False,
                **(fields | dict((pages or {}).get(number, {}))),
            )
        )
    made_chapters = [
        Chapter(
            key=chapter_key(BOOK, "set", at),
            book_key=BOOK,
            sort_order=at,
            **{"level": 1, "matter": "body", "bucket": "", **row},
        )
        for at, row in enumerate(chapters)
    ]
    made_paragraphs = []
    for at, row in enumerate(paragraphs):
        fields = dict(row)
        chapter = made_chapters[fields.pop("chapter", 0)]
        made_paragraphs.append(
            Paragraph(
                key=paragraph_key(BOOK, "set", at), book_key=BOOK, sort_order=at, chapter_key=chapter.key, **fields
            )
        )
    toc = ToC(key=toc_key(BOOK), book_key=BOOK, found=bool(entries), current_set="set" if entries else None)
    about = {"title": "Hand Made", "authors": ["Ann Author"], "language": "en", "page_count": manifest.page_count}
    about |= dict(book or {})
    made = BookView(
        key=BOOK,
        book=Book(key=BOOK, source_manifest=manifest.fingerprint(), source_name="hand made", **about),
        pages=documents,
        toc=toc,
        entries=[
            TocEntry(key=toc_entry_key(BOOK, "set", at), book_key=BOOK, sort_order=at, **{"level": 1, **row})
            for at, row in enumerate(entries)
        ],
        chapters=made_chapters,
        paragraphs=made_paragraphs,
        artifacts=artifacts,
        store=MemoryStore(),
    )
    return built(made)


def built(view: BookView) -> BookView:
    """With the flags that say that links, chapters and paragraphs were made from its texts of today."""
    pages = {page.page: page for page in view.pages if page.page is not None}
    choice = choice_of(BOOK_PROVIDERS["structure"])

    def flags(operation: str, inputs: str) -> dict[str, Any]:
        return {f"{operation}_complete": True, f"{operation}_inputs": inputs}

    assert view.toc is not None
    toc = view.toc.model_copy(update=flags("toc_link", toc_link_inputs(pages, view.book, view.toc, choice, 0)))
    book = view.book.model_copy(
        update=flags("structure", structure_inputs(pages, view.book, toc, choice, 0))
        | flags("paragraph", paragraph_inputs(pages, view.book, choice, 0))
    )
    return dataclasses.replace(view, toc=toc, book=book)


def sample_view(folder: Path, **more: Any) -> BookView:
    """The sample scan with Tesseract's stored readings as the blend, and labels and contents by its truth."""
    readings = [PageReading.from_json(json.dumps(row).encode()) for row in json.loads(READINGS.read_text())]
    about = {name: TRUTH[name] for name in ("title", "authors", "publisher", "year", "isbn", "language")}
    fields: dict[str, Any] = {
        "labels": {row["page"]: row["label"] for row in TRUTH["pages"] if row["label"]},
        "book": about,
        "pages": {
            row["page"]: {"running_header": row["running_header"], "page_type": row["page_type"]}
            for row in TRUTH["pages"]
        },
        "entries": TRUTH["toc"],
    }
    return make_view(folder, [(SAMPLE, "pdf", 26)], dict(enumerate(readings, start=1)), **(fields | more))
