"""ALTO 4.4: an XML file for each page, with words, places and confidences. Source: the Library of Congress, alto-4-4.xsd."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from books.exports import xml
from books.exports.job import Export
from books.exports.layout import PixelPage, around, pixel_page
from schemas.documents import Page

NAMES = {
    "xmlns": "http://www.loc.gov/standards/alto/ns-v4#",
    "xmlns:xlink": "http://www.w3.org/1999/xlink",
    "xmlns:xsi": "http://www.w3.org/2001/XMLSchema-instance",
    "xsi:schemaLocation": "http://www.loc.gov/standards/alto/ns-v4# http://www.loc.gov/standards/alto/v4/alto-4-4.xsd",
    "SCHEMAVERSION": "4.4",
}


def write_alto(export: Export, target: Path) -> None:
    """Fills the folder `target` with one file a page."""
    for number in range(1, export.page_count + 1):
        (target / file_name(number)).write_text(alto_page(export, number), encoding="utf-8", newline="\n")
        export.progress(number, export.page_count)


def file_name(number: int) -> str:
    """Of a physical page, in the order of the book when sorted."""
    return f"{number:04d}.xml"


def alto_page(export: Export, number: int) -> str:
    """One physical page as a document; a page without a reading is empty. Raises ArtifactMissing."""
    place, page = pixel_page(export, number), export.view.page(number)
    language = export.view.book.language
    alto = xml.tag(
        "alto",
        NAMES,
        "\n",
        _description(export, place),
        "\n",
        xml.tag("Layout", None, _page(place, page, language)),
    )
    return xml.DECLARATION + alto + "\n"


def _description(export: Export, place: PixelPage) -> str:
    reading = export.reading(place.number)
    steps = ""
    if reading is not None:
        software = xml.tag("processingSoftware", None, xml.leaf("softwareName", "Shelf"))
        steps = xml.tag(
            "Processing",
            {"ID": "blend"},
            xml.leaf("processingCategory", "contentGeneration"),
            xml.leaf(
                "processingStepDescription", f"Text blended from its readings ({reading.model or reading.provider})"
            ),
            software,
        )
    return xml.tag(
        "Description",
        None,
        xml.leaf("MeasurementUnit", "pixel"),
        xml.tag("sourceImageInformation", None, xml.leaf("fileName", place.image)),
        steps,
    )


def _page(place: PixelPage, page: Page | None, language: str | None) -> str:
    number = place.number
    confidence = page.confidence if page is not None else None
    attributes = {
        "ID": f"page-{number}",
        "PAGECLASS": page.page_type if page is not None else None,
        "HEIGHT": place.height,
        "WIDTH": place.width,
        "PHYSICAL_IMG_NR": number,
        "PRINTED_IMG_NR": place.label or None,
        "PC": None if confidence is None else f"{min(1.0, max(0.0, confidence / 100)):.3f}",
        "PROCESSINGREFS": "blend" if place.lines else None,
    }
    blocks = "".join(_blocks(place, language))
    space = {"ID": f"space-{number}", "HEIGHT": place.height, "WIDTH": place.width, "HPOS": 0, "VPOS": 0}
    return xml.tag("Page", attributes, "\n", xml.tag("PrintSpace", space, "\n", blocks), "\n")


def _blocks(place: PixelPage, language: str | None) -> Iterator[str]:
    line_number = word_number = 0
    for at, lines in enumerate(place.blocks, start=1):
        written = []
        for line in lines:
            line_number += 1
            pieces: list[str] = []
            end: tuple[int, int] | None = None
            for word in line.words:
                word_number += 1
                x0, y0, x1, _y1 = place.pixels(word.box)
                if end is not None:
                    pieces.append(xml.tag("SP", {"HPOS": end[0], "VPOS": end[1], "WIDTH": max(0, x0 - end[0])}))
                end = (x1, y0)
                sure = None if word.confidence is None else f"{min(1.0, max(0.0, word.confidence / 100)):.3f}"
                attributes = {"ID": f"word-{place.number}-{word_number}", "CONTENT": word.text, "WC": sure}
                pieces.append(xml.tag("String", {**attributes, **_box(place, word.box)}))
            line_box = {"ID": f"line-{place.number}-{line_number}", **_box(place, line.box)}
            written.append(xml.tag("TextLine", line_box, *pieces) + "\n")
        box = _box(place, around([line.box for line in lines]))
        # Not on the Page, where 4.4 alone has it: readers of older versions validate these files, too.
        about = {"ID": f"block-{place.number}-{at}", **box, "LANG": language}
        yield xml.tag("TextBlock", about, "\n", *written) + "\n"


def _box(place: PixelPage, box: tuple[float, float, float, float]) -> dict[str, object]:
    x0, y0, x1, y1 = place.pixels(box)
    return {"HPOS": x0, "VPOS": y0, "WIDTH": x1 - x0, "HEIGHT": y1 - y0}
