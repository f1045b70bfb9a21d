"""A book's source: the ordered files, and one leaf of them. Opening, counting, rendering: `providers/pages.py`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict

from schemas.store import digest

if TYPE_CHECKING:
    from providers.artifacts import ArtifactStore
    from schemas.documents import Page


class SourcePart(BaseModel):
    """One file of a source."""

    model_config = ConfigDict(frozen=True)
    sha256: str
    name: str
    kind: str
    """'pdf' or 'image'."""
    pages: int
    """Pages of a PDF, frames of an image."""


class ManifestLeaf(BaseModel):
    """One leaf by its identity."""

    model_config = ConfigDict(frozen=True)
    part: int
    """0-based number of the file."""
    index: int
    """0-based page or frame in it."""
    region: str = ""
    """Shares of the upright page, "x0,y0,x1,y1"; '' = all of it."""
    note: str = ""
    """Why the leaf is what it is (a half of a spread, a rescan), in a sentence."""


class Manifest(BaseModel):
    """The ordered files of a book and the order of its leaves; an artifact of its own, so that histories carry its hash
    only."""

    model_config = ConfigDict(frozen=True)
    name: str
    parts: tuple[SourcePart, ...]
    leaves: tuple[ManifestLeaf, ...] | None = None
    """The leaves in the order of the book; None = every page of every part, as they come."""
    book: str = ""
    """Key of the book, where it does not follow from the files any more (leaves were replaced or inserted)."""
    original: str = ""
    """Fingerprint of the manifest that the source alone gives, where this one was edited."""

    @property
    def page_count(self) -> int:
        return len(self.leaves) if self.leaves is not None else sum(part.pages for part in self.parts)

    def leaf(self, page: int) -> ManifestLeaf:
        """The leaf at the 1-based physical page."""
        if self.leaves is not None:
            if 1 <= page <= len(self.leaves):
                return self.leaves[page - 1]
            raise IndexError(f"page {page} of {self.page_count}")
        rest = page - 1
        for number, part in enumerate(self.parts):
            if rest < part.pages:
                return ManifestLeaf(part=number, index=rest)
            rest -= part.pages
        raise IndexError(f"page {page} of {self.page_count}")

    def all_leaves(self) -> list[ManifestLeaf]:
        """Every leaf in order."""
        if self.leaves is not None:
            return list(self.leaves)
        return [
            ManifestLeaf(part=number, index=index)
            for number, part in enumerate(self.parts)
            for index in range(part.pages)
        ]

    def positions(self, part: int) -> dict[int, int]:
        """index in the part -> first physical page that shows it."""
        found: dict[int, int] = {}
        for page, leaf in enumerate(self.all_leaves(), start=1):
            if leaf.part == part:
                found.setdefault(leaf.index, page)
        return found

    def fingerprint(self) -> str:
        """Under which the manifest is published."""
        return digest(["manifest", self.model_dump(mode="json", exclude_defaults=True)])


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
    image_steps: str = ""
    """JSON of the steps that prepare the image for reading; '' = as it is."""


def leaf_source(
    manifest: Manifest, artifacts: ArtifactStore, book: str, page: int, document: Page | None
) -> LeafSource:
    """Where the image of a physical page of a book lies; without a document, nothing is known of the image yet."""
    at = manifest.leaf(page)
    part = manifest.parts[at.part]
    return LeafSource(
        path=str(artifacts.file(part.sha256)),
        kind=part.kind,
        index=at.index,
        region=at.region,
        page=page,
        book=book,
        image_hash=(document.image_hash if document is not None else None) or "",
        image_steps=(document.image_steps if document is not None else None) or "",
    )
