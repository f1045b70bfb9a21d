"""Import of a source: checked, its spreads found, its files kept in the artifact store by hash, its manifest published.

Nothing is kept before everything is checked, so a bad file leaves nothing behind.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from providers.artifacts import ArtifactStore
from providers.pdf import PdfReader
from providers.source import Manifest, ManifestLeaf, SourcePart

AUTO = "auto"
"""Scans of two pages become two leaves where `providers/spreads.py` is sure."""
NEVER = "never"
ALWAYS = "always"
"""Every landscape page is split."""


@dataclass(frozen=True, slots=True)
class Looked:
    """A source that was checked; nothing of it is kept yet."""

    name: str
    files: tuple[tuple[Path, str, int], ...]
    """(path, kind, pages)."""
    leaves: tuple[ManifestLeaf, ...] | None
    """None = every page of every file, as they come."""

    @property
    def page_count(self) -> int:
        return len(self.leaves) if self.leaves is not None else sum(pages for _, _, pages in self.files)

    def manifest(self, hashes: Sequence[str]) -> Manifest:
        """With the SHA-256 of each file."""
        parts = [
            SourcePart(sha256=sha256, name=path.name, kind=kind, pages=pages)
            for sha256, (path, kind, pages) in zip(hashes, self.files, strict=True)
        ]
        return Manifest(name=self.name, parts=tuple(parts), leaves=self.leaves)


async def look_at_source(pdf: PdfReader, paths: Sequence[Path], spreads: str = AUTO, *, rtl: bool = False) -> Looked:
    """Check the files and decide which pages are scans of two. Raises BadSource, SourceNotFound.

    Args:
        spreads: 'auto', 'never' or 'always'.
        rtl: of two pages the right one comes first.
    """
    files = await pdf.inspect(paths)
    first = paths[0]
    found = {} if spreads == NEVER else await pdf.spreads(files, always=spreads == ALWAYS)
    leaves = _leaves(files, found, rtl=rtl) if found else None
    return Looked(first.name if first.is_dir() else first.stem, tuple(files), leaves)


async def keep_source(artifacts: ArtifactStore, looked: Looked) -> tuple[str, Manifest]:
    """Files and manifest into the artifact store; returns the manifest and its fingerprint. Raises DiskFull."""
    manifest = looked.manifest([await asyncio.to_thread(artifacts.put_file, path) for path, _, _ in looked.files])
    return await publish_manifest(artifacts, manifest), manifest


async def publish_manifest(artifacts: ArtifactStore, manifest: Manifest) -> str:
    """Its fingerprint. Raises DiskFull."""
    fingerprint = manifest.fingerprint()
    body = manifest.model_dump_json(exclude_defaults=True).encode()
    await asyncio.to_thread(artifacts.publish, fingerprint, body)
    return fingerprint


async def import_source(
    pdf: PdfReader, artifacts: ArtifactStore, paths: Sequence[Path], spreads: str = AUTO, *, rtl: bool = False
) -> tuple[str, Manifest]:
    """Returns the manifest and its fingerprint; the same files under the same name give the same ones.

    Raises BadSource, SourceNotFound, DiskFull."""
    return await keep_source(artifacts, await look_at_source(pdf, paths, spreads, rtl=rtl))


def _leaves(
    files: Sequence[tuple[Path, str, int]], found: dict[tuple[int, int], tuple[float | None, str]], *, rtl: bool
) -> tuple[ManifestLeaf, ...]:
    from providers.leaf_edits import halves

    leaves: list[ManifestLeaf] = []
    for number, (_, _, pages) in enumerate(files):
        for index in range(pages):
            leaf = ManifestLeaf(part=number, index=index)
            at, why = found.get((number, index), (None, ""))
            leaves += [leaf.model_copy(update={"note": why})] if at is None else halves(leaf, at, why, rtl=rtl)
    return tuple(leaves)
