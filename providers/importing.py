"""Import of a source: checked, its files kept in the artifact store by hash, its manifest published.

Nothing is kept before everything is checked, so a bad file leaves nothing behind.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

from providers.artifacts import ArtifactStore
from providers.pdf import PdfReader
from providers.source import Manifest, SourcePart


async def import_source(pdf: PdfReader, artifacts: ArtifactStore, paths: Sequence[Path]) -> tuple[str, Manifest]:
    """Returns the manifest and its fingerprint; the same files under the same name give the same ones.

    Raises BadSource, SourceNotFound, DiskFull."""
    files = await pdf.inspect(paths)
    parts = [
        SourcePart(sha256=await asyncio.to_thread(artifacts.put_file, path), name=path.name, kind=kind, pages=pages)
        for path, kind, pages in files
    ]
    first = paths[0]
    manifest = Manifest(name=first.name if first.is_dir() else first.stem, parts=tuple(parts))
    body = manifest.model_dump_json(exclude_defaults=True).encode()
    await asyncio.to_thread(artifacts.publish, manifest.fingerprint(), body)
    return manifest.fingerprint(), manifest
