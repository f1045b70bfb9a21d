"""The text that a born-digital PDF carries, as a provider. PyMuPDF is not thread-safe: it runs in a pool process."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from providers.errors import Rejected
from providers.image_steps import ImageSteps, turn_words
from providers.pool import EnginePool

if TYPE_CHECKING:
    from providers.base import Reading
    from providers.source import LeafSource

NAME = "text-layer"


class TextLayerProvider:
    """`OcrProvider` that reads nothing but what the file says itself. Confidences are None."""

    name = NAME

    def __init__(self, processes: int = 1) -> None:
        self.pool = EnginePool(processes, "providers.text_layer:Engine", NAME)

    def model(self, language: str) -> str:
        """The library's version; the text is what it is, in any language."""
        from importlib.metadata import version

        return f"pymupdf {version('pymupdf')}"

    def parameters(self) -> Mapping[str, object]:
        return {}

    async def read(self, leaf: LeafSource, language: str, timeout_seconds: float) -> Reading:
        """Read one page. Raises Rejected for an image file, and where the page cannot be read; EngineCrashed."""
        from providers.base import pool_reading

        if leaf.kind != "pdf":
            raise Rejected(f"page {leaf.page} is an image and has no text layer")
        task = (leaf.path, leaf.index, leaf.region, leaf.image_steps)
        return await pool_reading(self.pool, task, leaf, self.model(language), language, timeout_seconds)

    async def warm(self) -> None:
        await self.pool.warm()

    async def close(self) -> None:
        await self.pool.close()


class Engine:
    """The child's side: (path, index, region, image steps) -> JSON of a PageReading without model."""

    def __init__(self) -> None:
        from providers import pages

        pages.mupdf_library()
        self._pages = pages

    def __call__(self, task: tuple[str, int, str, str]) -> bytes:
        path, index, region, steps = task
        reading = self._pages.text_layer_reading(path, index, region)
        return turn_words(reading, ImageSteps.from_json(steps).orientation).to_json()
