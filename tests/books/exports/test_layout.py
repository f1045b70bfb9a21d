"""hOCR, ALTO and METS: valid, complete, and in the pixels of the page."""

from __future__ import annotations

import hashlib
import os
import re
from collections import Counter
from pathlib import Path
from urllib.parse import unquote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree
from PIL import Image

from books.exports import xml
from books.exports.alto import alto_page
from books.exports.hocr import write_hocr
from books.exports.job import Export
from books.exports.mets import write_mets
from books.view import BookView
from providers.source import ManifestLeaf
from tests.books.exports.builder import ROOT, make_view, page_reading, sample_view

SCHEMAS = ROOT / "tests" / "data" / "schemas"
ALTO_XSDS = [SCHEMAS / "alto-4-3.xsd", *map(Path, filter(None, [os.environ.get("SHELF_ALTO_XSD")]))]
"""What is valid by 4.3 is valid by 4.4, which only adds to it; the latter is not kept here (tests/data/schemas/README.md)."""
ALTO = "{http://www.loc.gov/standards/alto/ns-v4#}"
METS = "{http://www.loc.gov/METS/}"
HREF = "{http://www.w3.org/1999/xlink}href"
XHTML = "{http://www.w3.org/1999/xhtml}"


class _Xlink(etree.Resolver):
    """The schemas import XLink by its address on the web."""

    def resolve(self, url: str, public_id: str, context: object) -> object:
        return self.resolve_filename(str(SCHEMAS / "xlink.xsd"), context) if url.endswith("xlink.xsd") else None


def schema(path: Path) -> etree.XMLSchema:
    parser = etree.XMLParser(no_network=True)
    parser.resolvers.add(_Xlink())
    return etree.XMLSchema(etree.parse(str(path), parser))


def bbox(title: str) -> tuple[int, ...]:
    found = re.search(r"bbox (\d+) (\d+) (\d+) (\d+)", title)
    assert found
    return tuple(int(value) for value in found.groups())


class TestAlto:
    def test_words_places_and_confidences(self, rich: BookView) -> None:
        page = etree.fromstring(alto_page(Export(rich), 3).encode())
        (found,) = page.iter(f"{ALTO}Page")
        assert (found.get("PHYSICAL_IMG_NR"), found.get("PRINTED_IMG_NR")) == ("3", "1")
        assert (found.get("WIDTH"), found.get("HEIGHT")) == ("1667", "2500")
        words = list(page.iter(f"{ALTO}String"))
        assert [word.get("CONTENT") for word in words][:4] == ["Line", "of", "page", "3."]
        first = {name: int(words[0].get(name)) for name in ("HPOS", "VPOS", "WIDTH", "HEIGHT")}
        assert first == {"HPOS": 208, "VPOS": 417, "WIDTH": 84, "HEIGHT": 41}
        assert words[0].get("WC") == "0.950"
        ids = [element.get("ID") for element in page.iter() if element.get("ID")]
        assert [name for name, count in Counter(ids).items() if count > 1] == []

    def test_a_missing_page_is_there_and_empty(self, rich: BookView) -> None:
        page = etree.fromstring(alto_page(Export(rich), 5).encode())
        assert list(page.iter(f"{ALTO}Page"))
        assert not list(page.iter(f"{ALTO}TextLine"))

    @pytest.mark.parametrize("xsd", ALTO_XSDS, ids=lambda path: path.stem)
    def test_it_is_valid(self, rich: BookView, tmp_path: Path, xsd: Path) -> None:
        valid = schema(xsd)
        for view, count in ((rich, 6), (sample_view(tmp_path), 26)):
            for number in range(1, count + 1):
                page = etree.fromstring(alto_page(Export(view), number).encode())
                valid.assertValid(page)
                assert {block.get("LANG") for block in page.iter(f"{ALTO}TextBlock")} <= {"en"}
        assert page.find(f".//{ALTO}TextBlock").get("LANG") == "en"


class TestMets:
    @pytest.fixture
    def package(self, rich: BookView, tmp_path: Path) -> tuple[Path, etree._Element]:
        folder = tmp_path / "mets"
        folder.mkdir()
        write_mets(Export(rich), folder)
        return folder, etree.parse(str(folder / "mets.xml")).getroot()

    def test_it_is_valid(self, package: tuple[Path, etree._Element]) -> None:
        schema(SCHEMAS / "mets.xsd").assertValid(package[1])

    def test_files_are_there_with_their_hashes(self, package: tuple[Path, etree._Element]) -> None:
        folder, mets = package
        named = set()
        for file in mets.iter(f"{METS}file"):
            path = folder / unquote(file.find(f"{METS}FLocat").get(HREF))
            named.add(path)
            assert hashlib.sha256(path.read_bytes()).hexdigest() == file.get("CHECKSUM")
            assert path.stat().st_size == int(file.get("SIZE"))
        assert named | {folder / "mets.xml"} == {path for path in folder.rglob("*") if path.is_file()}

    def test_pages_carry_order_label_type_and_files(self, package: tuple[Path, etree._Element]) -> None:
        _, mets = package
        physical, logical = mets.iter(f"{METS}structMap")
        pages = [div for div in physical.iter(f"{METS}div") if div.get("TYPE") == "page"]
        assert [page.get("ORDER") for page in pages] == ["1", "2", "3", "4", "5", "6"]
        assert [page.get("ORDERLABEL") for page in pages] == [None, "xi", "1", "2", "3", "4"]
        assert pages[4].get("LABEL") == "missing"
        assert [pointer.get("FILEID") for pointer in pages[2]] == ["SOURCE-0001", "ALTO-0003"]
        chapters = [(div.get("TYPE"), div.get("LABEL")) for div in logical.iter(f"{METS}div")]
        assert chapters[1:3] == [("front_matter", "Front matter"), ("chapter", "I The First")]
        links = Counter(link.get("{http://www.w3.org/1999/xlink}from") for link in mets.iter(f"{METS}smLink"))
        assert links == {
            "#LOGICAL-BOOK": 6,
            "#LOGICAL-0001": 2,
            "#LOGICAL-0002": 4,
            "#LOGICAL-0003": 2,
            "#LOGICAL-0004": 1,
        }
        (inner,) = (div for div in logical.iter(f"{METS}div") if div.get("ID") == "LOGICAL-0003")
        assert inner.getparent().get("ID") == "LOGICAL-0002"


class TestHocr:
    def test_pages_lines_and_words(self, rich: BookView, tmp_path: Path) -> None:
        write_hocr(Export(rich), tmp_path / "book.hocr")
        root = etree.parse(str(tmp_path / "book.hocr"), etree.XMLParser(load_dtd=False, no_network=True)).getroot()
        pages = [div for div in root.iter(f"{XHTML}div") if div.get("class") == "ocr_page"]
        assert len(pages) == 6
        assert "ppageno 2; lpageno 1; scan_res 300 300" in pages[2].get("title")
        assert 'image "rich & more.pdf#page=3"' in pages[2].get("title")
        words = [span for span in pages[2].iter(f"{XHTML}span") if span.get("class") == "ocrx_word"]
        assert [word.text for word in words][:4] == ["Line", "of", "page", "3."]
        assert bbox(words[0].get("title")) == (208, 417, 292, 458)
        assert "x_wconf 95" in words[0].get("title")
        ids = [element.get("id") for element in root.iter() if element.get("id")]
        assert len(ids) == len(set(ids))
        names = {meta.get("name"): meta.get("content") for meta in root.iter(f"{XHTML}meta")}
        assert names["ocr-number-of-pages"] == "6"
        assert {span.get("class") for span in root.iter(f"{XHTML}span")} <= set(names["ocr-capabilities"].split())

    def test_boxes_of_image_files_are_their_own_pixels(self, tmp_path: Path) -> None:
        image = tmp_path / "spread.png"
        Image.new("L", (1200, 900), 255).save(image, dpi=(150, 150))
        leaves = [ManifestLeaf(part=0, index=0, region=region) for region in ("0,0,0.5,1", "0.5,0,1,1")]
        half = page_reading(["Words."], width=288.0, height=432.0)
        view = make_view(tmp_path, [(image, "image", 1)], {1: half, 2: half}, leaves=leaves)
        write_hocr(Export(view), tmp_path / "book.hocr")
        body = (tmp_path / "book.hocr").read_text()
        assert body.count("bbox 0 0 600 900") == 2
        assert "bbox 104 208 167 229" in body


@settings(max_examples=100, deadline=None)
@given(st.text())
def test_any_text_survives_xml(text: str) -> None:
    kept = re.sub("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]", "", text)
    element = etree.fromstring(xml.leaf("a", text, {"b": text}).encode())
    assert (element.text or "") == kept.replace("\r\n", "\n").replace("\r", "\n")
    assert " ".join(element.get("b").split()) == " ".join(kept.split())
