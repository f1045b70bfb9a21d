"""What the adapters of OCR services share: the row, the page's picture, the service, the model."""

from __future__ import annotations

from providers.ledger import Keep
from providers.queues import ProviderQueue
from providers.remote_image import PageImages
from providers.service import Service
from schemas.errors import BadInput
from schemas.reading import PageReading

READING: Keep[PageReading] = Keep(
    "reading", lambda page: page.to_json().decode(), lambda text: PageReading.from_json(text.encode())
)
"""The answer of a service that reads a page by one call."""


class OcrService:
    """Base of adapters that send one picture a page; a subclass has `parameters` and `read` (`RemoteOcrProvider`)."""

    example = ""
    """Of a model, for who has named none."""

    def __init__(self, row: ProviderQueue) -> None:
        self.name = row.name
        self.row = row
        self.images = PageImages(row)
        self._service = Service(row)

    def model(self, language: str) -> str:
        """The row's model; services find the language by themselves. Raises BadInput where the row names none."""
        if not self.row.model:
            raise BadInput(f"[providers.{self.name}] names no model.", f"Set model, for example {self.example}.")
        return self.row.model

    async def close(self) -> None:
        await self.images.close()
        await self._service.close()
