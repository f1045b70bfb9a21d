"""hOCR 1.2: one XHTML file with every page, line and word in its place. Source: kba.github.io/hocr-spec/1.2."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from books.exports import xml
from books.exports.content import title_of
from books.exports.job import Export
from books.exports.layout import PixelPage, around, pixel_page

CAPABILITIES = "ocr_page ocr_carea ocr_line ocrx_word ocrp_lang"


def write_hocr(export: Export, target: Path) -> None:
    """Pages without a reading are there, and empty."""
    book = export.view.book
    metas = {
        "ocr-system": "Shelf",
        "ocr-capabilities": CAPABILITIES,
        "ocr-number-of-pages": export.page_count,
        "ocr-langs": book.language,
        "dc.title": title_of(export.view),
        "dc.creator": ", ".join(book.authors or []) or None,
        "dc.date": book.year,
    }
    head = [xml.tag("meta", {"name": name, "content": value}) for name, value in metas.items() if value is not None]
    with target.open("w", encoding="utf-8", newline="\n") as file:
        file.write(xml.DECLARATION)
        file.write(
            '<!DOCTYPE html PUBLIC "-//W3C//DTD XHTML 1.0 Transitional//EN"'
            ' "http://www.w3.org/TR/xhtml1/DTD/xhtml1-transitional.dtd">\n'
        )
        language = {"lang": book.language, "xml:lang": book.language}
        opened = xml.tag("html", {"xmlns": "http://www.w3.org/1999/xhtml", **language}, "").removesuffix("</html>")
        file.write(
            opened + "\n" + xml.tag("head", None, xml.leaf("title", title_of(export.view)), *head) + "\n<body>\n"
        )
        for number in range(1, export.page_count + 1):
            file.write("".join(_page(pixel_page(export, number))))
            export.progress(number, export.page_count)
        file.write("</body>\n</html>\n")


def _page(page: PixelPage) -> Iterator[str]:
    number = page.number
    title = f'image "{page.image.replace(chr(34), "")}"; bbox 0 0 {page.width} {page.height}; ppageno {number - 1}'
    if page.label:
        title += f"; lpageno {page.label.replace(';', '')}"
    title += f"; scan_res {round(page.scale_x * 72)} {round(page.scale_y * 72)}"
    opened = xml.tag("div", {"class": "ocr_page", "id": f"page_{number}", "title": title}, "")
    yield opened.removesuffix("</div>") + "\n"
    word_number = line_number = 0
    for area, lines in enumerate(page.blocks, start=1):
        box = _box(page, around([line.box for line in lines]))
        yield xml.tag("div", {"class": "ocr_carea", "id": f"block_{number}_{area}", "title": box}, "").removesuffix(
            "</div>"
        )
        for line in lines:
            line_number += 1
            words = []
            for word in line.words:
                word_number += 1
                place = _box(page, word.box)
                if word.confidence is not None:
                    place += f"; x_wconf {round(word.confidence)}"
                words.append(
                    xml.leaf(
                        "span", word.text, {"class": "ocrx_word", "id": f"word_{number}_{word_number}", "title": place}
                    )
                )
            attributes = {"class": "ocr_line", "id": f"line_{number}_{line_number}", "title": _box(page, line.box)}
            yield xml.tag("span", attributes, " ".join(words)) + "\n"
        yield "</div>\n"
    yield "</div>\n"


def _box(page: PixelPage, box: tuple[float, float, float, float]) -> str:
    return "bbox " + " ".join(str(value) for value in page.pixels(box))
