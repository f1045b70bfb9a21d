"""Pages of a PDF, by PyMuPDF: opening and checking, facts, text layer, rendering. Used through `providers/pages.py`.

PyMuPDF is not thread-safe: every call into it here holds one lock, so threads are safe but gain nothing.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import math
import os
import re
import sys
import threading
from collections import OrderedDict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from providers.errors import Rejected
from providers.leaves import (
    DEFAULT_DPI,
    MAX_IMAGE_PIXELS,
    MAX_PAGE_POINTS,
    MAX_READABLE_INCHES,
    POINTS_PER_INCH,
    LeafFacts,
    Raster,
    first_line,
    identity,
    native_zoom,
    overlap,
    region_box,
    too_many_pixels,
    within_limit,
)
from providers.text_damage import text_damage
from schemas.errors import BadSource, SourceNotFound
from schemas.reading import Box, Line, PageReading, Word

SCAN_COVERAGE = 0.8
"""Share of the page that images must cover for it to count as a scan."""
OPEN_DOCUMENTS = 4


@functools.cache
def mupdf_library() -> Any:
    """PyMuPDF without its layout and Markdown parts: importing those takes 1.5 of its 1.8 CPU-seconds (2.0 here)
    and 60 MB in every engine process, and nothing here uses them. None in `sys.modules` is Python's own way to say
    "not importable", which PyMuPDF takes as "not installed"."""
    names = ("pymupdf.layout", "pymupdf4llm")
    blocked = [name for name in names if name not in sys.modules]
    for name in blocked:
        sys.modules[name] = None  # type: ignore[assignment]
    try:
        import pymupdf
    finally:
        for name in blocked:
            sys.modules.pop(name, None)
    # MuPDF's complaints about a file would go to stdout, where data belongs.
    pymupdf.TOOLS.mupdf_display_errors(False)
    pymupdf.TOOLS.mupdf_display_warnings(False)
    return pymupdf


_lock = threading.RLock()
_documents: OrderedDict[tuple[str, int, int], Any] = OrderedDict()
_hashes: dict[tuple[str, int, int], Any] = {}


def _document(path: Path | str) -> Any:
    """The open document, from a small cache: opening a PDF of 500 pages costs more than rendering one of them.

    Raises BadSource where it cannot be opened. The caller holds the lock."""
    try:
        key = identity(path)
    except OSError as error:
        raise SourceNotFound(f"{path} does not exist.", "Check the path.") from error
    document = _documents.get(key)
    if document is None:
        document = _open_pdf(path)
        _documents[key] = document
        while len(_documents) > OPEN_DOCUMENTS:
            old, stale = _documents.popitem(last=False)
            _hashes.pop(old, None)
            stale.close()
    _documents.move_to_end(key)
    return document


def _open_pdf(path: Path | str) -> Any:
    mupdf = mupdf_library()
    try:
        document = mupdf.open(str(path), filetype="pdf")
    except Exception as error:
        raise BadSource(f"{path} is damaged: {first_line(error)}.", "Copy or download it again.") from error
    if document.needs_pass:  # an empty password was tried by opening it
        document.close()
        raise BadSource(
            f"{path} is locked by a password.", "Save a copy without the password (qpdf --decrypt), and process that."
        )
    return document


def check(path: Path) -> int:
    """The number of pages of a PDF that can be read completely; BadSource otherwise."""
    with _lock:
        truncated = not _ends_like_a_pdf(path)
        try:
            document = _document(path)
        except BadSource:
            if truncated:
                raise _truncated(path) from None
            raise
        pages: int = document.page_count
        if document.is_repaired and truncated:
            raise _truncated(path)
        if pages == 0:
            if document.is_repaired:
                raise BadSource(f"{path} is damaged: no page is left in it.", "Copy or download it again.")
            raise BadSource(f"{path} has no pages.", "Check that it is the right file.")
        for index in range(pages):
            _check_page(path, document, index)
        return pages


def _check_page(path: Path, document: Any, index: int) -> None:
    try:
        page = document[index]
        width, height = page.rect.width, page.rect.height
        images = document.get_page_images(index)
        if document.is_repaired:
            page.read_contents()
    except Exception as error:
        raise BadSource(
            f"{path} is damaged: page {index + 1} cannot be opened ({first_line(error)}).", "Copy or download it again."
        ) from error
    if max(width, height) > MAX_PAGE_POINTS:
        raise BadSource(
            f"Page {index + 1} of {path} measures {width / 72:.0f} x {height / 72:.0f} inches; "
            f"{MAX_PAGE_POINTS / 72:.0f} is the most a PDF page may have.",
            "Set its page size right, or leave the page out of the file.",
        )
    if min(width, height) < 1:
        raise BadSource(f"Page {index + 1} of {path} has no area.", "Set its page size right, or leave the page out.")
    for image in images:
        if image[2] * image[3] > MAX_IMAGE_PIXELS:
            raise too_many_pixels(f"An image on page {index + 1} of {path}", image[2], image[3])


def _truncated(path: Path) -> BadSource:
    return BadSource(f"{path} is truncated: its end is missing, and pages with it.", "Copy or download it again.")


_AFTER_LAST_OBJECT = re.compile(rb"\s*(xref|startxref|trailer|\d+\s+\d+\s+obj\s*<<[^>]*?/Type\s*/XRef)")


def _ends_like_a_pdf(path: Path) -> bool:
    """Whether the file's end is there: its %%EOF, or at least all objects, so that only an index was cut off.

    MuPDF repairs a truncated file silently, and the pages that were cut off are simply not there any more, or blank.
    """
    with path.open("rb") as file:
        file.seek(0, os.SEEK_END)
        # Mail gateways and servers append up to some kilobytes.
        file.seek(max(0, file.tell() - 65_536))
        tail = file.read()
    if b"%%EOF" in tail[-8192:]:
        return True
    last = tail.rfind(b"endobj")
    return last >= 0 and _AFTER_LAST_OBJECT.match(tail, last + len(b"endobj")) is not None


@contextlib.contextmanager
def _page(path: Path | str, index: int) -> Iterator[Any]:
    """One page of a PDF. Raises Rejected where it cannot be opened, or anything done with it fails in MuPDF."""
    with _lock:
        try:
            document = _document(path)
            if not 0 <= index < document.page_count:
                raise Rejected(f"{path} has no page {index + 1}, only {document.page_count}")
            yield document[index]
        except (Rejected, BadSource, SourceNotFound, MemoryError):
            raise
        except Exception as error:
            raise Rejected(f"page {index + 1} of {path} cannot be read: {first_line(error)}") from error


# Facts


def leaf_facts(path: Path | str, index: int) -> LeafFacts:
    """Facts of a page. Raises Rejected where it cannot be read."""
    with _page(path, index) as page:
        quality, reason = _text_layer(page)
        return LeafFacts(
            width=page.rect.width,
            height=page.rect.height,
            rotation=page.rotation,
            image_hash=_page_hash(path, page),
            text_layer=quality,
            reason=reason,
        )


def landscape_pages(path: Path | str, shape: float, scans_only: bool) -> list[tuple[int, float, float]]:
    """(index, width, height) of the pages that are so much wider than high. Raises Rejected."""
    with _page(path, 0) as first:
        pages = first.parent.page_count
    found = []
    for index in range(pages):
        with _page(path, index) as page:
            width, height = page.rect.width, page.rect.height
            if width >= shape * height and not (scans_only and not _is_scan(page)):
                found.append((index, width, height))
    return found


def _is_scan(page: Any) -> bool:
    """Whether pictures cover the page, and no text that was set."""
    sheet = _flat_box(page)
    covered = sum(overlap(image["bbox"], sheet) for image in page.get_image_info())
    return covered >= SCAN_COVERAGE * sheet[2] * sheet[3] and _text_layer(page)[0] != "good"


_REFERENCE = re.compile(rb"(\d+) \d+ R\b")
_DRAWN = re.compile(rb"/([^\s/<>\[\](){}%]+)\s+Do\b")
_BACKWARD = re.compile(rb"/(?:Parent|StructParents?|P|Metadata|PieceInfo|LastModified) *(?:\d+ \d+ R|\d+|\([^)]*\))")
"""Keys that lead out of the page, or change nothing that one sees."""


def _page_hash(path: Path | str, page: Any) -> str:
    """SHA-256 over boxes, rotation, content and everything the content may draw with, raw streams undecoded.

    Independent of object numbers: each reference is replaced by the hash of what it leads to. Fonts and images that
    many pages share are hashed once per document.
    """
    document = page.parent
    seen: dict[int, bytes] = _hashes.setdefault(identity(path), {})

    def digest(xref: int) -> bytes:
        known = seen.get(xref)
        if known is None:
            seen[xref] = b"cycle"
            body = document.xref_object(xref, compressed=True).encode("utf-8", "surrogateescape")
            whole = hashlib.sha256(resolve(body))
            if document.xref_is_stream(xref):
                whole.update(document.xref_stream_raw(xref) or b"")
            known = seen[xref] = whole.digest()
        return known

    def resolve(body: bytes) -> bytes:
        return _REFERENCE.sub(lambda match: digest(int(match[1])).hex().encode(), _BACKWARD.sub(b"", body))

    content = page.read_contents() or b""
    whole = hashlib.sha256(content)
    for key in ("MediaBox", "CropBox", "Rotate", "UserUnit"):
        whole.update(f"\n{key} {_inherited(document, page.xref, key)[1]}".encode())
    drawn = set(_DRAWN.findall(content))
    for key in ("XObject", "Font", "ExtGState", "ColorSpace", "Pattern", "Shading", "Properties"):
        kind, value = _inherited(document, page.xref, f"Resources/{key}")
        if kind == "xref":
            value = document.xref_object(int(value.split()[0]), compressed=True)
        body = value.encode("utf-8", "surrogateescape")
        if key == "XObject":
            # Some writers give every page one dictionary of all the book's images.
            entries = re.findall(rb"/([^\s/<>\[\](){}%]+) *(\d+) \d+ R", body)
            for name, xref in sorted(entries):
                if name in drawn:
                    whole.update(b"\n/" + name + b" " + digest(int(xref)))
        elif kind != "null":
            whole.update(b"\n" + key.encode() + b" " + resolve(body))
    return whole.hexdigest()


def _inherited(document: Any, xref: int, key: str) -> tuple[str, str]:
    """(type, value) of a page's key, looked up in its parents where the page itself has none."""
    for _ in range(64):  # a damaged tree may run in a circle
        kind, value = document.xref_get_key(xref, key)
        if kind != "null":
            return kind, value
        kind, value = document.xref_get_key(xref, "Parent")
        if kind != "xref":
            break
        xref = int(value.split()[0])
    return "null", "null"


# Text layer

MIN_LAYER_WORDS = 10
"""Over a scan, fewer words are a stamp ("Digitized by …") or a page number, not the page."""


def _text_layer(page: Any) -> tuple[str, str]:
    """('good' | 'poor' | 'none', reason), from the order in which things are drawn and from the text itself."""
    log = page.get_bboxlog()
    visible, hidden, under = 0, 0, 0
    coverage = 0.0
    sheet = _flat_box(page)
    for kind, box in log:
        if kind in ("fill-text", "stroke-text"):
            visible += 1
        elif kind == "ignore-text":
            hidden += 1
        elif kind in ("fill-image", "fill-image-mask"):
            coverage += overlap(box, sheet) / (sheet[2] * sheet[3])
            if coverage >= SCAN_COVERAGE:
                under, visible = under + visible, 0  # what was drawn before lies under the picture
    scan = coverage >= SCAN_COVERAGE
    if not log:
        return "none", "blank page"
    text = " ".join(text for _, text, _, _ in _words(page)) if visible or hidden or under else ""
    if not text.strip():
        return "none", "a scan without text" if scan else "no text"
    if hidden > visible or under > visible:
        return "poor", "OCR layer of unknown origin over a scan" if scan else "the text is not visible on the page"
    if scan and len(text.split()) < MIN_LAYER_WORDS:
        return "poor", "only a few words over a scan"
    reason = text_damage(text)
    return ("poor", reason) if reason else ("good", "")


def _words(page: Any) -> list[tuple[Box, str, int, int]]:
    """(box on the upright page, text, block, line) of each word, in the order of the content stream."""
    mupdf = mupdf_library()
    # Without TEXT_CID_FOR_UNKNOWN_UNICODE, which would pass off a glyph's number as a letter.
    flags = mupdf.TEXT_PRESERVE_LIGATURES | mupdf.TEXT_PRESERVE_WHITESPACE | mupdf.TEXT_MEDIABOX_CLIP
    turn = page.rotation_matrix  # extraction ignores /Rotate, page.rect and rendering obey it
    words = []
    for x0, y0, x1, y1, text, block, line, _ in page.get_text("words", flags=flags):
        box = (x0, y0, x1, y1)
        if page.rotation:
            box = tuple(mupdf.Rect(box) * turn)
        words.append((box, text, block, line))
    return words


def _flat_box(page: Any) -> Box:
    """The page as text, image and drawing boxes see it, that is before /Rotate."""
    width, height = page.rect.width, page.rect.height
    return (0.0, 0.0, height, width) if page.rotation in (90, 270) else (0.0, 0.0, width, height)


def text_layer_reading(path: Path | str, index: int, region: str = "") -> PageReading:
    """The text that a PDF page carries; an empty reading where it carries none. Raises Rejected.

    Ligatures stay as they are; a soft hyphen (U+00AD) at the end of a line becomes '-', elsewhere it is dropped,
    for that is how either prints. Confidences are None.
    """
    with _page(path, index) as page:
        x0, y0, x1, y1 = region_box(region, page.rect.width, page.rect.height)
        lines: list[Line] = []
        previous = (-1, -1)
        for box, raw, block, number in _words(page):
            text = raw.strip()
            cx, cy = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
            if not text or not (x0 <= cx <= x1 and y0 <= cy <= y1):
                continue
            entry = Word(text, (box[0] - x0, box[1] - y0, box[2] - x0, box[3] - y0))
            if (block, number) == previous or (lines and _continues(lines[-1], entry)):
                lines[-1].words.append(entry)
            else:
                lines.append(Line([entry], block=block))
            previous = (block, number)
        for line in lines:
            _print_soft_hyphens(line)
        lines = [line for line in lines if line.words]
        return PageReading(provider="text-layer", width=x1 - x0, height=y1 - y0, lines=lines)


def _continues(line: Line, word: Word) -> bool:
    """Whether a word that MuPDF gave a line of its own stands on the same visual line, to the right: after a wide
    gap (a page number after its title, a running head) MuPDF starts a new line."""
    _, ly0, lx1, ly1 = line.words[-1].box
    x0, y0, _, y1 = word.box
    height = min(ly1 - ly0, y1 - y0)
    if height <= 0 or x0 < lx1 - 0.2 * height:
        return False
    same_baseline = min(ly1, y1) - max(ly0, y0) > 0.7 * height
    similar = max(ly1 - ly0, y1 - y0) < 2 * height
    return same_baseline and similar


def _print_soft_hyphens(line: Line) -> None:
    for number, word in enumerate(line.words):
        if "\u00ad" in word.text:
            last = number == len(line.words) - 1
            kept = "-" if last and word.text.endswith("\u00ad") else ""
            word.text = word.text.replace("\u00ad", "") + kept
    line.words = [word for word in line.words if word.text]


# Rendering


def render(path: Path | str, index: int, dpi: float | None, region: str) -> Raster:
    """A page in gray. Raises Rejected."""
    with _page(path, index) as page:
        box = region_box(region, page.rect.width, page.rect.height)
        return _gray(page, box if region else None, *_zoom(page, dpi, box))


def look(path: Path | str, index: int, dpi: float, region: str) -> Raster:
    """A page in gray at a whole part of its own resolution. Raises Rejected."""
    with _page(path, index) as page:
        box = region_box(region, page.rect.width, page.rect.height)
        zoom_x, zoom_y = _page_zoom(page)
        part = max(1, round(zoom_y * POINTS_PER_INCH / dpi))
        return _gray(page, box if region else None, zoom_x / part, zoom_y / part)


def _gray(page: Any, clip: Box | None, zoom_x: float, zoom_y: float) -> Raster:
    import numpy as np

    mupdf = mupdf_library()
    # Readers' notes and stamps are not the book: no annotations.
    pixmap = page.get_pixmap(
        matrix=mupdf.Matrix(zoom_x, zoom_y),
        colorspace=mupdf.csGRAY,
        alpha=False,
        annots=False,
        clip=None if clip is None else mupdf.Rect(clip),
    )
    pixels = np.frombuffer(pixmap.samples, dtype=np.uint8).reshape(pixmap.height, pixmap.stride)
    if pixmap.stride != pixmap.width:
        pixels = np.ascontiguousarray(pixels[:, : pixmap.width])
    x0, y0, x1, y1 = clip or (0.0, 0.0, page.rect.width, page.rect.height)
    return Raster(pixels, x1 - x0, y1 - y0, zoom_y * POINTS_PER_INCH)


def _zoom(page: Any, dpi: float | None, box: Box) -> tuple[float, float]:
    """Pixels per point in x and y."""
    width, height = box[2] - box[0], box[3] - box[1]
    if dpi is None:
        zoom_x, zoom_y = _page_zoom(page)
    else:
        zoom_x = zoom_y = dpi / POINTS_PER_INCH * min(1.0, MAX_READABLE_INCHES * 72 / max(width, height))
    return within_limit(zoom_x, zoom_y, width, height)


def _page_zoom(page: Any) -> tuple[float, float]:
    """The resolution of the scan, exactly, so that its pixels come out untouched where it lies straight on the page.

    Tried on bilevel scans: rendering at this zoom gives the very bytes of the decoded image, at 14 ms a page, so
    a short cut round the renderer (masks, /Decode, clips, rotation to get wrong) would gain under 1 % of an OCR second.
    """
    width, height = page.rect.width, page.rect.height
    sheet = _flat_box(page)
    coverage = 0.0
    best = (0.0, 0.0)
    for image in page.get_image_info():
        share = overlap(image["bbox"], sheet) / (width * height)
        coverage += share
        if share < 0.05:
            continue
        if image["width"] * image["height"] > MAX_IMAGE_PIXELS:
            raise Rejected(too_many_pixels("An image on this page", image["width"], image["height"]).message)
        a, b, c, d = image["transform"][:4]
        across, down = math.hypot(a, b), math.hypot(c, d)
        if not across or not down:
            continue
        zoom = (image["width"] / across, image["height"] / down)
        turned = (abs(a) < abs(b)) != (page.rotation in (90, 270))
        best = max(best, (zoom[1], zoom[0]) if turned else zoom)
    default = DEFAULT_DPI / 72 * min(1.0, MAX_READABLE_INCHES * 72 / max(width, height))
    if coverage < SCAN_COVERAGE or not best[0]:
        return default, default
    # Letters drawn over a picture are sharper than the picture; paths may be letters too.
    drawn = ("fill-text", "fill-path", "stroke-text", "stroke-path")
    if best[0] < default and any(kind in drawn for kind, _ in page.get_bboxlog()):
        return default, default
    return native_zoom(best[0], best[1], width, height)


def png(path: Path | str, index: int, dpi: float, region: str, orientation: int = 0) -> bytes:
    """A page in colour. Raises Rejected."""
    mupdf = mupdf_library()
    with _page(path, index) as page:
        box = region_box(region, page.rect.width, page.rect.height)
        zoom_x, zoom_y = _zoom(page, dpi, box)
        matrix = mupdf.Matrix(zoom_x, zoom_y) * mupdf.Matrix(orientation)
        pixmap = page.get_pixmap(matrix=matrix, alpha=False, clip=mupdf.Rect(box))
        body: bytes = pixmap.tobytes("png")
        return body
