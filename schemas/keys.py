"""Keys of documents: they follow from the business identity, so that a repeat meets itself."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

from schemas.store import digest


def book_key(name: str, file_hashes: Sequence[str]) -> str:
    """Slug of the source's name + 8 hex of the SHA-256 over the ordered files' hashes."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    slug = re.sub(r"[^a-z0-9]+", "-", plain.lower()).strip("-")[:40].rstrip("-") or "book"
    return f"{slug}-{digest(list(file_hashes))[:8]}"


def leaf_id(part: int, index: int, region: str = "") -> str:
    """Identity of a leaf within its book: source file (0-based), page in it (1-based in the id), region."""
    return f"{part:04d}-{index + 1:04d}{'-' + region if region else ''}"


def page_key(book: str, leaf: str) -> str:
    """Key of a Page."""
    return f"{book}/leaf/{leaf}"


def ocr_result_key(page: str, provider: str, fingerprint: str) -> str:
    """Key of an OcrResult: one per page, provider and request."""
    return f"{page}/ocr/{provider}/{fingerprint[:16]}"


def toc_key(book: str) -> str:
    """Key of the ToC."""
    return f"{book}/toc"


def toc_entry_key(book: str, toc_set: str, order: int) -> str:
    """Key of a TocEntry: its place in a set."""
    return f"{book}/toc/{toc_set}/{order:03d}"


def chapter_key(book: str, chapter_set: str, order: int) -> str:
    """Key of a Chapter: its place in a set."""
    return f"{book}/chapter/{chapter_set}/{order:03d}"


def paragraph_key(book: str, paragraph_set: str, order: int) -> str:
    """Key of a Paragraph: its place in the set of its chapter."""
    return f"{book}/paragraph/{paragraph_set}/{order:05d}"


def correction_key(target: str, field: str, number: int) -> str:
    """Key of a Correction: the n-th of a field of a document."""
    return f"{target}/correction/{field}/{number}"


def budget_key(workflow_id: str, first_run_id: str) -> str:
    """Key of a job's Budget; runs that continue one another share it."""
    return f"job/{workflow_id}/{first_run_id}"


def day_key(day: str) -> str:
    """Key of the Budget of a day of UTC, as '2026-11-24'."""
    return f"day/{day}"
