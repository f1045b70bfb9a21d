"""The text layer as a provider; the layer itself is tested in test_pages.py."""

from __future__ import annotations

from pathlib import Path

import pytest

from providers import pages
from providers.errors import Rejected
from providers.source import LeafSource
from providers.text_layer import TextLayerProvider

pymupdf = pages.mupdf_library()


async def test_reads_what_the_page_says(tmp_path: Path) -> None:
    document = pymupdf.open()
    for number in range(1, 4):
        document.new_page().insert_text((72, 72), f"Page {number}")
    path = tmp_path / "t.pdf"
    document.save(path)
    provider = TextLayerProvider()
    for number in (2, 1, 3):
        leaf = LeafSource(path=str(path), kind="pdf", index=number - 1, page=number)
        page = (await provider.read(leaf, "eng", 60)).page
        assert page.text == f"Page {number}"
        assert page.provider == "text-layer"
        assert page.model.startswith("pymupdf ")
        assert page.confidence is None
    with pytest.raises(Rejected, match="no text layer"):
        await provider.read(LeafSource(path="a.png", kind="image", index=0, page=1), "eng", 60)
    with pytest.raises(Rejected, match="no page 9"):
        await provider.read(LeafSource(path=str(path), kind="pdf", index=8, page=9), "eng", 60)
    await provider.close()
