"""PDF: the original pages with words that can be searched and copied, outline, printed page numbers, metadata.

Images are never decoded: a PDF's pages are taken over with all they refer to, image files are embedded as they are
(`pdf_images.py`). An OCR layer that came with the source is taken out where ours takes its place; pages of born-digital PDFs
keep their text and get no second one. The same book gives the same bytes, on the same versions of this program and PyMuPDF.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from books.exports import xml
from books.exports.content import legal_levels, linked_entries, title_of
from books.exports.job import Export, orientation
from books.exports.pdf_images import add_image_page
from books.exports.pdf_text import Matrix, TextFont, add_object, add_stream, printable, text_content
from providers import pages
from providers.leaves import region_box
from providers.rules.numerals import roman_value, to_roman
from providers.source import ManifestLeaf
from schemas.documents import Page
from schemas.errors import BadSource
from schemas.store import digest

PRODUCER = "Shelf"
COVERS = 0.8
"""Share of the page from which an image counts as the page itself, as in `providers/pdf_pages.py`."""


def write_pdf(export: Export, target: Path) -> None:
    """Raises BadSource where a page of the source cannot be taken over."""
    mupdf = pages.mupdf_library()
    try:
        document = _in_book_order(export, mupdf)
        try:
            _add_text(export, document)
            _write_outline(export, document)
            _write_labels(export, document)
            _write_metadata(export, document)
            document.save(
                str(target),
                garbage=3,
                use_objstms=1,
                deflate=not _has_bare_images(document),
                no_new_id=1,
                reproducible=True,
            )
        finally:
            document.close()
    except (RuntimeError, ValueError) as error:
        raise BadSource(
            f"The pages of {export.view.key} cannot be made a PDF: {str(error).splitlines()[0][:200]}.",
            "Open the source in another program and save it anew; or export another format.",
        ) from error


def _has_bare_images(document: Any) -> bool:
    """Whether an image came uncompressed. What packs the objects (a third of a born-digital book) would pack it as well, and
    its stream would not be the one that came."""
    return any(
        document.xref_is_image(number) and document.xref_get_key(number, "Filter")[0] == "null"
        for number in range(1, document.xref_length())
    )


# Pages ----------------------------------------------------------------------------------------------------------------


def _in_book_order(export: Export, mupdf: Any) -> Any:
    """An open document with a page for every leaf, in the order of the book.

    The first PDF of the source is opened and the other files are added to it, so that what belongs to a document as a whole
    (layers, tags, attachments) stays."""
    manifest = export.view.manifest
    leaves = manifest.all_leaves()
    used = {leaf.part for leaf in leaves}
    files = {number: export.view.artifacts.file(part.sha256) for number, part in enumerate(manifest.parts)}
    base = next((n for n, part in enumerate(manifest.parts) if part.kind == "pdf" and n in used), None)
    document = mupdf.open() if base is None else mupdf.open(str(files[base]), filetype="pdf")
    place: dict[tuple[int, int], int] = {}
    if base is not None:
        place |= {(base, index): index for index in range(manifest.parts[base].pages)}
    for number, part in enumerate(manifest.parts):
        wanted = sorted({leaf.index for leaf in leaves if leaf.part == number})
        if number == base or not wanted:
            continue
        if part.kind == "pdf":
            with mupdf.open(str(files[number]), filetype="pdf") as other:
                place |= {(number, index): document.page_count + index for index in range(part.pages)}
                document.insert_pdf(other)
            continue
        for index in wanted:
            place[number, index] = document.page_count
            facts = pages.leaf_facts(files[number], "image", index)
            add_image_page(document, files[number], index, facts.width, facts.height)
    _strip_old_text(export, document, leaves, place)
    order = []
    shown: set[int] = set()
    for leaf in leaves:
        at = place[leaf.part, leaf.index]
        if at in shown:  # a spread, whose page is shown once for each half
            document.fullcopy_page(at)
            at = document.page_count - 1
        shown.add(at)
        order.append(at)
    if order != list(range(document.page_count)):
        document.select(order)
    return document


def _strip_old_text(
    export: Export, document: Any, leaves: Sequence[ManifestLeaf], place: dict[tuple[int, int], int]
) -> None:
    """Take out the invisible text that came with the source, and text that lies under the scan, where ours replaces it."""
    done: set[int] = set()
    for number, leaf in enumerate(leaves, start=1):
        known, at = export.view.page(number), place[leaf.part, leaf.index]
        if at in done or known is None or known.text_layer != "poor" or not _gets_text(export, known):
            continue
        done.add(at)
        page = document[at]
        visible, hidden = _layer(page)
        if not hidden:
            continue
        annotations = document.xref_get_key(page.xref, "Annots")
        page.add_redact_annot(page.rect, fill=False, cross_out=False)
        # 2 takes out invisible text alone (PDF_REDACT_TEXT_REMOVE_INVISIBLE).
        page.apply_redactions(images=0, graphics=0, text=2 if visible else 0)
        # Redaction takes the links along, which are not text.
        document.xref_set_key(page.xref, "Annots", annotations[1])


def _layer(page: Any) -> tuple[bool, bool]:
    """(whether there is text that one sees, whether there is text that one does not see)."""
    visible = hidden = False
    area = page.cropbox.width * page.cropbox.height
    for kind, box in page.get_bboxlog():
        if kind in ("fill-text", "stroke-text"):
            visible = True
        elif kind == "ignore-text":
            hidden = True
        elif kind in ("fill-image", "fill-image-mask") and (box[2] - box[0]) * (box[3] - box[1]) >= COVERS * area:
            visible, hidden = False, hidden or visible  # what was drawn before lies under the picture
    return visible, hidden


def _gets_text(export: Export, page: Page) -> bool:
    """Whether our words go onto the page: it was read, and does not carry good text of its own."""
    return (
        page.text_layer != "good"
        and bool(page.flag("blend", "complete"))
        and export.reading(page.page or 0) is not None
    )


def _add_text(export: Export, document: Any) -> None:
    font = TextFont()
    streams: dict[int, tuple[str, int]] = {}
    for number, leaf in enumerate(export.view.manifest.all_leaves(), start=1):
        known, page = export.view.page(number), document[number - 1]
        matrix = _place_leaf(document, page, leaf.region, orientation(known.image_steps) if known is not None else 0)
        if known is not None and _gets_text(export, known):
            reading = export.reading(number)
            name = _free_name(document, page)
            content = text_content(reading, matrix, font, name) if reading is not None else b""
            if content:
                streams[number] = (name, add_stream(document, content))
        export.progress(number, export.page_count)
    if not streams:
        return
    font_number = font.write(document)
    for number, (name, stream) in streams.items():
        page = document[number - 1]
        _own_resources(document, page)
        document.xref_set_key(page.xref, f"Resources/Font/{name}", f"{font_number} 0 R")
        if not page.is_wrapped:  # a page that leaves its matrix changed would move our words
            page.wrap_contents()
        contents = " ".join(f"{xref} 0 R" for xref in [*page.get_contents(), stream])
        document.xref_set_key(page.xref, "Contents", f"[{contents}]")


def _place_leaf(document: Any, page: Any, region: str, turn: int) -> Matrix:
    """Show the leaf upright and alone; returns the way from its points to the PDF's user space."""
    x0, y0, x1, y1 = region_box(region, page.rect.width, page.rect.height)
    whole = _to_user_space(page)
    if region:
        box = " ".join(f"{value:.4f}" for value in whole.box((x0, y0, x1, y1)))
        for key in ("CropBox", "TrimBox", "BleedBox", "ArtBox"):
            if key == "CropBox" or document.xref_get_key(page.xref, key)[0] != "null":
                document.xref_set_key(page.xref, key, f"[{box}]")
    width, height = x1 - x0, y1 - y0
    if turn:
        document.xref_set_key(page.xref, "Rotate", str((page.rotation + turn) % 360))
    # From points of the leaf as it was read to points of the page as the file shows it.
    back = {
        0: (1, 0, 0, 1, x0, y0),
        90: (0, -1, 1, 0, x0, y0 + height),
        180: (-1, 0, 0, -1, x0 + width, y0 + height),
        270: (0, 1, -1, 0, x0 + width, y0),
    }[turn]
    a, b, c, d, e, f = back
    origin, right, down = whole.point(e, f), whole.point(e + a, f + b), whole.point(e + c, f + d)
    return Matrix(
        right[0] - origin[0], right[1] - origin[1], down[0] - origin[0], down[1] - origin[1], origin[0], origin[1]
    )


def _to_user_space(page: Any) -> Matrix:
    """From points of the page as it is shown, after /CropBox, /Rotate and /UserUnit, to its user space.

    PyMuPDF's own matrices leave out the crop box of pages that are rotated."""
    crop, media = page.cropbox, page.mediabox
    x0, x1 = crop.x0, crop.x1
    y0, y1 = media.y1 - crop.y1, media.y1 - crop.y0  # PyMuPDF turns the crop box upside down
    high, wide = page.rect.height, page.rect.width
    unit = crop.width / (high if page.rotation in (90, 270) else wide)
    a, b, c, d, e, f = {
        0: (unit, 0, 0, -unit, x0, y1),
        90: (0, unit, unit, 0, x0, y0),
        180: (-unit, 0, 0, unit, x1, y0),
        270: (0, -unit, -unit, 0, x1, y1),
    }[page.rotation]
    return Matrix(a, b, c, d, e, f)


def _own_resources(document: Any, page: Any) -> None:
    """Give the page a /Font dictionary of its own: many files share one among pages, some inherit it from the page tree."""
    kind, value = document.xref_get_key(page.xref, "Resources")
    at = page.xref
    while kind == "null":
        parent_kind, parent = document.xref_get_key(at, "Parent")
        if parent_kind != "xref":
            value = "<<>>"
            break
        at = int(parent.split()[0])
        kind, value = document.xref_get_key(at, "Resources")
    if kind == "xref":
        value = document.xref_object(int(value.split()[0]), compressed=True)
    document.xref_set_key(page.xref, "Resources", value)
    kind, value = document.xref_get_key(page.xref, "Resources/Font")
    if kind == "xref":
        document.xref_set_key(page.xref, "Resources/Font", document.xref_object(int(value.split()[0]), compressed=True))


def _free_name(document: Any, page: Any) -> str:
    """A name that the page's own content does not use for a font."""
    taken = {font[4] for font in document.get_page_fonts(page.number)}
    return next(name for name in ("ShT", *(f"ShT{n}" for n in range(1, 1000))) if name not in taken)


# Outline, labels, metadata --------------------------------------------------------------------------------------------


@dataclass(slots=True)
class OutlineItem:
    """An entry of the outline."""

    level: int
    title: str
    page: int


def outline(export: Export) -> list[OutlineItem]:
    """From the contents, else from the chapters; levels go down one at a time. Empty where neither is known."""
    entries = [
        OutlineItem(entry.level or 1, " ".join(filter(None, (entry.number, entry.title))), page)
        for entry, page in linked_entries(export.view)
    ] or [
        OutlineItem(
            chapter.level or 1, " ".join(filter(None, (chapter.number, chapter.title))), chapter.start_page or 1
        )
        for chapter in export.view.chapters
        if not chapter.bucket
    ]
    entries = [item for item in entries if 1 <= item.page <= export.page_count]
    for item, level in zip(entries, legal_levels([item.level for item in entries]), strict=True):
        item.level = level
    return entries


def _write_outline(export: Export, document: Any) -> None:
    """Our entries in place of the source's; where we have none, the source keeps its own."""
    items = outline(export)
    if not items:
        return
    numbers = [add_object(document, "<<>>") for _ in items]
    root = add_object(document, "<<>>")
    children: dict[int, list[int]] = {-1: []}
    parents: list[int] = []
    path: list[int] = []
    for at, item in enumerate(items):
        del path[item.level - 1 :]
        parents.append(path[-1] if path else -1)
        children.setdefault(parents[-1], []).append(at)
        path.append(at)
    for at, item in enumerate(items):
        siblings = children[parents[at]]
        rank = siblings.index(at)
        page = document[item.page - 1]
        x, y = _to_user_space(page).point(0.0, 0.0)
        parts = [
            f"/Title {_string(item.title)}",
            f"/Parent {root if parents[at] < 0 else numbers[parents[at]]} 0 R",
            f"/Dest[{page.xref} 0 R/XYZ {x:g} {y:g} null]",
        ]
        if rank:
            parts.append(f"/Prev {numbers[siblings[rank - 1]]} 0 R")
        if rank + 1 < len(siblings):
            parts.append(f"/Next {numbers[siblings[rank + 1]]} 0 R")
        below = children.get(at)
        if below:  # closed: a minus before how many show when it is opened
            parts.append(f"/First {numbers[below[0]]} 0 R/Last {numbers[below[-1]]} 0 R/Count -{len(below)}")
        document.update_object(numbers[at], f"<<{''.join(parts)}>>")
    top = children[-1]
    document.update_object(
        root, f"<</Type/Outlines/First {numbers[top[0]]} 0 R/Last {numbers[top[-1]]} 0 R/Count {len(top)}>>"
    )
    document.xref_set_key(document.pdf_catalog(), "Outlines", f"{root} 0 R")


_STYLED = re.compile(r"^(?P<prefix>.*?)(?P<number>[1-9]\d{0,5}|[ivxlcdm]+|[IVXLCDM]+)$")


@dataclass(frozen=True, slots=True)
class LabelRun:
    """Pages whose labels count up from one (ISO 32000-1, 12.4.2)."""

    start: int
    """0-based page."""
    prefix: str
    style: str
    """'D', 'r', 'R' or '' (the prefix is all of it)."""
    first: int

    def label(self, page: int) -> str:
        """What a viewer shows for a 0-based page of the run."""
        number = self.first + page - self.start
        counted = {"D": str(number), "r": to_roman(number), "R": to_roman(number).upper()} if self.style else {}
        return self.prefix + counted.get(self.style, "")


def label_runs(labels: Sequence[str]) -> list[LabelRun]:
    """Printed numbers as runs; each page keeps exactly its own, '' one without a number."""
    runs: list[LabelRun] = []
    for page, label in enumerate(labels):
        if runs and runs[-1].style and runs[-1].label(page) == label:
            continue
        if runs and not runs[-1].style and runs[-1].prefix == label:
            continue
        runs.append(_run(page, label))
    return runs


def _run(page: int, label: str) -> LabelRun:
    found = _STYLED.match(label)
    if found:
        number, prefix = found["number"], found["prefix"]
        if number.isdigit():
            return LabelRun(page, prefix, "D", int(number))
        value = roman_value(number.lower())
        if value and to_roman(value) == number.lower() and not prefix[-1:].isalpha():
            return LabelRun(page, prefix, "r" if number.islower() else "R", value)
    return LabelRun(page, label, "", 1)


def _write_labels(export: Export, document: Any) -> None:
    labels = [export.label(number) for number in range(1, export.page_count + 1)]
    if not any(labels):
        return
    rows = []
    for run in label_runs(labels):
        style = f"/S/{run.style}/St {run.first}" if run.style else ""
        prefix = f"/P {_string(run.prefix)}" if run.prefix else ""
        rows.append(f"{run.start}<<{style}{prefix}>>")
    document.xref_set_key(document.pdf_catalog(), "PageLabels", f"<</Nums[{''.join(rows)}]>>")


def _write_metadata(export: Export, document: Any) -> None:
    """DocInfo and XMP anew. No date of this export is in it: the same book must give the same bytes."""
    book = export.view.book
    title = title_of(export.view)
    authors = book.authors or []
    info = {"Title": title, "Author": ", ".join(authors), "Subject": book.subtitle or "", "Producer": PRODUCER}
    created = (document.metadata or {}).get("creationDate") or ""
    parts = [f"/{name} {_string(value)}" for name, value in info.items() if value]
    if re.fullmatch(r"D:[0-9Z'+-]{4,22}", created):
        parts.append(f"/CreationDate({created})")
    number = add_object(document, f"<<{''.join(parts)}>>")
    document.xref_set_key(-1, "Info", f"{number} 0 R")
    identity = digest(["pdf", export.view.key, export.view.book.source_manifest])[:32]
    document.xref_set_key(-1, "ID", f"[<{identity}><{identity}>]")
    document.set_xml_metadata(_xmp(export, title, authors))
    if book.language:
        document.xref_set_key(document.pdf_catalog(), "Lang", _string(book.language))
    document.xref_set_key(document.pdf_catalog(), "ViewerPreferences", "<</DisplayDocTitle true>>")


def _xmp(export: Export, title: str, authors: Sequence[str]) -> str:
    book = export.view.book
    creators = xml.tag("rdf:Seq", None, *(xml.leaf("rdf:li", author) for author in authors)) if authors else ""
    fields = [
        xml.tag("dc:title", None, xml.tag("rdf:Alt", None, xml.leaf("rdf:li", title, {"xml:lang": "x-default"}))),
        xml.tag("dc:creator", None, creators) if creators else "",
        xml.tag("dc:publisher", None, xml.tag("rdf:Bag", None, xml.leaf("rdf:li", book.publisher)))
        if book.publisher
        else "",
        xml.tag("dc:date", None, xml.tag("rdf:Seq", None, xml.leaf("rdf:li", book.year))) if book.year else "",
        xml.tag("dc:language", None, xml.tag("rdf:Bag", None, xml.leaf("rdf:li", book.language)))
        if book.language
        else "",
        xml.leaf("dc:identifier", f"urn:isbn:{book.isbn[0]}") if book.isbn else "",
        xml.leaf("pdf:Producer", PRODUCER),
    ]
    names = {
        "rdf:about": "",
        "xmlns:dc": "http://purl.org/dc/elements/1.1/",
        "xmlns:pdf": "http://ns.adobe.com/pdf/1.3/",
    }
    body = xml.tag(
        "x:xmpmeta",
        {"xmlns:x": "adobe:ns:meta/"},
        xml.tag(
            "rdf:RDF",
            {"xmlns:rdf": "http://www.w3.org/1999/02/22-rdf-syntax-ns#"},
            xml.tag("rdf:Description", names, *fields),
        ),
    )
    return f'<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>{body}<?xpacket end="r"?>'


def _string(text: str) -> str:
    """A text string object: as it is in ASCII, else UTF-16 in hexadecimal (ISO 32000-1, 7.9.2.2)."""
    text = printable(text)
    if text.isascii():
        escaped = text.replace("\\", r"\\").replace("(", r"\(").replace(")", r"\)")
        return f"({escaped})"
    return f"<FEFF{text.encode('utf-16-be').hex().upper()}>"
