"""Opening sources and their pages: PDF by PyMuPDF, images by Pillow.

All geometry is in points (1/72 inch) of the upright page, origin top left: after the PDF's /Rotate and CropBox, or
after the photograph's EXIF orientation, were applied. `index` is 0-based: the page of a PDF, the frame of an image.
A `region` is a part of the upright page as fractions of its width and height, "x0,y0,x1,y1" ("0,0,0.5,1" is the
left half of a scan that shows two pages), '' for all of it; points then count from the region's corner.

Threads may call this, but PyMuPDF's work is done one call at a time: for many pages use a process of
`providers/pool.py`. PyMuPDF, Pillow and numpy are imported when they are first needed.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import re
from collections.abc import Sequence
from pathlib import Path

from providers import image_pages, pdf_pages
from providers.leaves import LeafFacts, Part, Raster, region_box
from providers.pdf_pages import mupdf_library
from schemas.errors import BadSource, SourceNotFound
from schemas.reading import PageReading

__all__ = [
    "LeafFacts",
    "Part",
    "Raster",
    "inspect",
    "landscape_pages",
    "leaf_facts",
    "look",
    "mupdf_library",
    "natural_key",
    "png",
    "render",
    "text_layer_reading",
]

IMAGE_SUFFIXES = {".tif", ".tiff", ".jpg", ".jpeg", ".jpe", ".png", ".jp2", ".j2k", ".jpx", ".jpf", ".j2c"}


def inspect(paths: Sequence[Path], notes: list[str] | None = None) -> list[Part]:
    """The files of a source in their order, each opened, counted and checked.

    Args:
        paths: one PDF, several files in order, or folders of images (natural order of names).
        notes: gets a sentence for everything that was left out.

    Raises:
        SourceNotFound: a path does not exist.
        BadSource: a file is no PDF and no image, empty, truncated, locked by a password, without pages, or has a
            page of absurd size; the message names the file and the page.
    """
    if not paths:
        raise BadSource("No source was given.", "Name a PDF, some image files, or a folder of images.")
    parts: list[Part] = []
    for path in paths:
        for file in _files(path, notes if notes is not None else []):
            kind = _kind(file)
            parts.append(Part(file, kind, pdf_pages.check(file) if kind == "pdf" else image_pages.check(file)))
    return parts


def natural_key(name: str) -> list[tuple[int, int, str]]:
    """Sort key under which page2.png comes before page10.png."""
    return [
        (0, int(part), "") if part.isdigit() else (1, 0, part) for part in re.split(r"(\d+)", name.casefold()) if part
    ]


def _files(path: Path, notes: list[str]) -> list[Path]:
    try:
        if not path.exists():
            raise SourceNotFound(f"{path} does not exist.", "Check the path; a book is a PDF, images, or a folder.")
        if not path.is_dir():
            return [path]
        entries = sorted(
            (entry for entry in path.iterdir() if entry.is_file()), key=lambda entry: natural_key(entry.name)
        )
    except PermissionError as error:
        raise BadSource(f"{path} may not be read: {error.strerror}.", "Give this user the right to read it.") from error
    entries = [entry for entry in entries if not entry.name.startswith(".")]
    images = [entry for entry in entries if entry.suffix.lower() in IMAGE_SUFFIXES]
    others = [entry for entry in entries if entry.suffix.lower() not in IMAGE_SUFFIXES]
    if not images:
        pdfs = [entry.name for entry in others if entry.suffix.lower() == ".pdf"]
        if pdfs:
            raise BadSource(
                f"The folder {path} has no images, but {len(pdfs)} PDF ({pdfs[0]}).",
                "Name the PDF itself, or several in the order in which they make the book.",
            )
        raise BadSource(
            f"The folder {path} has no images.", "Pages may be TIFF, JPEG, PNG or JP2 files directly in the folder."
        )
    if others:
        names = ", ".join(entry.name for entry in others[:3]) + (", …" if len(others) > 3 else "")
        notes.append(f"{len(others)} other files in {path} are left out: {names}")
    return images


def _kind(path: Path) -> str:
    """'pdf' or 'image', by content, whatever the name says."""
    try:
        with path.open("rb") as file:
            head = file.read(1024)
    except PermissionError as error:
        raise BadSource(f"{path} may not be read: {error.strerror}.", "Give this user the right to read it.") from error
    except OSError as error:
        raise BadSource(f"{path} cannot be read: {error.strerror}.", "Name a PDF, image files, or a folder.") from error
    if not head:
        raise BadSource(f"{path} is empty (0 bytes).", "Copy or download it again.")
    if b"%PDF-" in head:
        return "pdf"
    with contextlib.suppress(Exception), image_pages.open_image(path):
        return "image"
    if path.suffix.lower() in IMAGE_SUFFIXES:
        raise BadSource(f"{path} is damaged, or not the image that its name says.", "Export or scan that page again.")
    raise BadSource(
        f"{path} is not a PDF and not an image (it begins with {head[:12]!r}).",
        "Give a PDF, or TIFF, JPEG, PNG or JP2 images.",
    )


def leaf_facts(path: Path | str, kind: str, index: int, region: str = "") -> LeafFacts:
    """Geometry, hash and text-layer quality of a page, without rendering it: some 3 ms of a born-digital page, 1 of
    a scanned one. Of a region: its own size and hash; the text layer is judged over the whole page, for a good one
    is good in either half. Raises Rejected where the page cannot be read."""
    facts = image_pages.leaf_facts(path, index) if kind == "image" else pdf_pages.leaf_facts(path, index)
    if not region:
        return facts
    x0, y0, x1, y1 = region_box(region, facts.width, facts.height)
    return dataclasses.replace(
        facts,
        width=x1 - x0,
        height=y1 - y0,
        image_hash=hashlib.sha256(f"{facts.image_hash} {region}".encode()).hexdigest(),
    )


def landscape_pages(
    path: Path | str, kind: str, shape: float, *, scans_only: bool = True
) -> list[tuple[int, float, float]]:
    """(index, width, height) of the pages that are at least `shape` times as wide as high; of a PDF only those that are
    pictures and nothing else, unless `scans_only` is off. Raises Rejected."""
    if kind == "image":
        return image_pages.landscape_pages(path, shape)
    return pdf_pages.landscape_pages(path, shape, scans_only)


def text_layer_reading(path: Path | str, index: int, region: str = "") -> PageReading:
    """The text that a PDF page carries; an empty reading where it carries none. Raises Rejected."""
    return pdf_pages.text_layer_reading(path, index, region)


def render(path: Path | str, kind: str, index: int, dpi: float | None = None, region: str = "") -> Raster:
    """A page as an engine should see it.

    Args:
        dpi: resolution; None takes the scan's own (between 150 and 400 dpi), 300 where there is none. Very large
            pages get less, so that no more than 60 million pixels are made.

    Raises:
        Rejected: the page cannot be rendered, or its picture has more pixels than a page may have.
    """
    if kind == "image":
        return image_pages.render(path, index, dpi, region)
    return pdf_pages.render(path, index, dpi, region)


def look(path: Path | str, kind: str, index: int, dpi: float, region: str = "") -> Raster:
    """A page for looking at it as a whole: at a whole part of the scan's own resolution, as near to `dpi` as that gets,
    which takes a third of the time of any other. Raises Rejected."""
    if kind == "image":
        return image_pages.look(path, index, dpi, region)
    return pdf_pages.look(path, index, dpi, region)


def png(path: Path | str, kind: str, index: int, dpi: float = 150.0, region: str = "", orientation: int = 0) -> bytes:
    """A page in colour as PNG, for a viewer or a remote provider, turned clockwise by `orientation` (what
    `ImageSteps` has: 0, 90, 180 or 270). Raises Rejected."""
    if kind == "image":
        return image_pages.png(path, index, dpi, region, orientation)
    return pdf_pages.png(path, index, dpi, region, orientation)
