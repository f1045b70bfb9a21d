"""Which adapter speaks to which kind of service; one line per kind. Others bring theirs as entry points of the group
`shelf.providers` (docs/extending.md).

An adapter is made with its row of the table; it reads its key from the environment of the worker when it makes a call, and
keeps it nowhere else.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from importlib.metadata import entry_points
from typing import Any

from providers.base import RemoteOcrProvider
from providers.language_model import LanguageModel
from providers.queues import ProviderQueue
from schemas.errors import BadInput, ShelfError

GROUP = "shelf.providers"
"""Entry points: name = the kind, value = a function of (ProviderQueue) that returns an adapter."""

READERS: dict[str, str] = {
    "mistral-ocr": "providers.mistral_ocr:MistralOcr",
    "google-vision": "providers.google_vision:GoogleVision",
    "azure-document-intelligence": "providers.azure_document_intelligence:AzureDocumentIntelligence",
    "textract": "providers.textract:Textract",
    "openai-compatible": "providers.vision_ocr:VisionOcr",
    "anthropic": "providers.vision_ocr:VisionOcr",
}
"""kind -> class that reads pages (`RemoteOcrProvider`)."""

MODELS: dict[str, str] = {
    "openai-compatible": "providers.openai_compatible:OpenAiCompatible",
    "anthropic": "providers.anthropic:Anthropic",
}
"""kind -> class that answers questions (`LanguageModel`)."""

CALLED_LIVE: Mapping[str, str] = {}
"""kind -> day on which its adapter was tried on the real service. What is not named never was: it was built by the
documentation, and tested against servers of our own that speak as documented."""


def make_readers(queues: Mapping[str, ProviderQueue]) -> dict[str, RemoteOcrProvider]:
    """Every remote provider that reads pages, by name. Raises BadInput for a kind that nobody knows."""
    return {name: _made(row, READERS) for name, row in queues.items() if row.remote and row.reads_pages}


def make_models(queues: Mapping[str, ProviderQueue]) -> dict[str, LanguageModel]:
    """Every service of language models, by name. Raises BadInput for a kind that nobody knows."""
    return {name: _made(row, MODELS) for name, row in queues.items() if row.remote and row.answers}


def _made(row: ProviderQueue, known: Mapping[str, str]) -> Any:
    """The adapter of a row. Raises BadInput, also for a package of somebody else that is broken."""
    if row.kind in known:
        return _adapter(row, known)(row)
    try:
        return _adapter(row, known)(row)
    except ShelfError:
        raise
    except Exception as error:
        entry = next(entry for entry in entry_points(group=GROUP) if entry.name == row.kind)
        package = f"the package {entry.dist.name} {entry.dist.version}" if entry.dist is not None else "a package"
        raise BadInput(
            f"[providers.{row.name}] kind {row.kind!r} comes from {package} ({entry.value}), which does not work: "
            f"{type(error).__name__}: {error}.",
            f"Mend or update it, or take [providers.{row.name}] out of shelf.toml.",
        ) from error


def _adapter(row: ProviderQueue, known: Mapping[str, str]) -> Callable[[ProviderQueue], Any]:
    if row.kind in known:
        module, _, name = known[row.kind].partition(":")
        adapter: Callable[[ProviderQueue], Any] = getattr(import_module(module), name)
        return adapter
    for entry in entry_points(group=GROUP):
        if entry.name == row.kind:
            made: Callable[[ProviderQueue], Any] = entry.load()
            return made
    plugins = sorted(entry.name for entry in entry_points(group=GROUP))
    raise BadInput(
        f"[providers.{row.name}] kind {row.kind!r} is none that anything here speaks to.",
        f"Known: {', '.join(sorted({*known, *plugins}))}.",
    )
