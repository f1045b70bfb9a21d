"""PDF: words in their boxes whatever the page is turned, cut or made of; pictures untouched; labels, outline, metadata."""

from __future__ import annotations

import hashlib
import json
import shutil
import unicodedata
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pymupdf
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw

from books.exports.job import Export
from books.exports.pdf import LabelRun, label_runs, write_pdf
from books.exports.pdf_text import printable
from books.view import BookView
from providers.source import ManifestLeaf
from schemas.reading import Line, PageReading, Word
from tests.books.exports.builder import SAMPLE, make_view, page_reading, sample_view

TOLERANCE = 1.5
"""Points by which a word of the PDF may differ from where it was read."""


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> tuple[BookView, Path]:
    folder = tmp_path_factory.mktemp("sample")
    view = sample_view(folder)
    write_pdf(Export(view), folder / "sample.pdf")
    return view, folder / "sample.pdf"


def images_of(path: Path) -> list[list[str]]:
    """SHA-256 of the raw streams of each page's images."""
    with pymupdf.open(path) as document:
        return [
            [hashlib.sha256(document.xref_stream_raw(image[0])).hexdigest() for image in page.get_images()]
            for page in document
        ]


def rendered(path: Path) -> list[bytes]:
    with pymupdf.open(path) as document:
        return [page.get_pixmap(dpi=50).samples for page in document]


def words_of(page: Any) -> list[tuple[str, tuple[float, ...]]]:
    """Words with boxes on the upright page as it is shown, in the order of the text."""
    found = []
    for x0, y0, x1, y1, text, *_ in page.get_text("words", sort=False):
        box = pymupdf.Rect(x0, y0, x1, y1) * page.rotation_matrix
        found.append((text, tuple(box)))
    return found


def check_words(page: Any, reading: PageReading) -> None:
    words = words_of(page)
    assert [text for text, _ in words] == [word.text for word in reading.words]
    for (text, box), word in zip(words, reading.words, strict=True):
        assert max(abs(a - b) for a, b in zip(box, word.box, strict=True)) <= TOLERANCE, (text, box, word.box)


def made(folder: Path, view: BookView) -> Any:
    write_pdf(Export(view), folder / "out.pdf")
    return pymupdf.open(folder / "out.pdf")


class TestSample:
    def test_words_lie_in_their_boxes_in_reading_order(self, sample: tuple[BookView, Path]) -> None:
        view, path = sample
        with pymupdf.open(path) as document:
            for page in document:
                reading = view.reading(view.pages[page.number])
                assert reading is not None
                check_words(page, reading)

    def test_nothing_that_one_sees_has_changed(self, sample: tuple[BookView, Path]) -> None:
        _, path = sample
        assert images_of(path) == images_of(SAMPLE)
        assert rendered(path) == rendered(SAMPLE)

    def test_it_is_hardly_larger(self, sample: tuple[BookView, Path]) -> None:
        assert sample[1].stat().st_size <= 1.1 * SAMPLE.stat().st_size

    def test_outline_labels_metadata(self, sample: tuple[BookView, Path]) -> None:
        view, path = sample
        with pymupdf.open(path) as document:
            assert document.get_toc() == [[1, entry.title, entry.page] for entry in view.entries]
            assert [page.get_label() for page in document] == [page.label or "" for page in view.pages]
            assert document.metadata["title"] == "A Day at a Time"
            assert document.metadata["author"] == "Archibald Alexander"
            assert document.xref_get_key(document.pdf_catalog(), "Lang") == ("string", "en")
            assert "urn:isbn:9781402894626" in document.get_xml_metadata()

    def test_the_same_book_gives_the_same_bytes(self, sample: tuple[BookView, Path], tmp_path: Path) -> None:
        view, path = sample
        write_pdf(Export(view), tmp_path / "again.pdf")
        assert (tmp_path / "again.pdf").read_bytes() == path.read_bytes()

    def test_chromium_s_reader_finds_words_outline_and_labels(self, sample: tuple[BookView, Path]) -> None:
        import pypdfium2

        view, path = sample
        document = pypdfium2.PdfDocument(str(path))
        assert [document.get_page_label(number) for number in range(26)] == [page.label or "" for page in view.pages]
        titles = [(item.get_title(), item.get_dest().get_index() + 1) for item in document.get_toc()]
        assert titles == [(entry.title, entry.page) for entry in view.entries]
        page, reading = document[5], view.reading(view.pages[5])
        assert reading is not None
        text_page = page.get_textpage()
        text = text_page.get_text_bounded()
        assert text.split() == reading.text.split()
        first = text_page.get_charbox(0)
        word = reading.words[0]
        assert first[0] == pytest.approx(word.box[0], abs=TOLERANCE)
        assert first[3] == pytest.approx(page.get_height() - word.box[1], abs=TOLERANCE)
        assert first[3] - first[1] == pytest.approx(word.box[3] - word.box[1], abs=TOLERANCE), (
            "a selection has a height"
        )


def drawn_pdf(path: Path, *, rotation: int = 0, cropped: bool = False, count: int = 1) -> Path:
    """Pages of 400 x 600 points with a picture that covers them; cropped, the media box is larger by 30 points around."""
    edge = 30 if cropped else 0
    wide, high = (600, 400) if rotation in (90, 270) else (400, 600)
    document = pymupdf.open()
    picture = pymupdf.Pixmap(pymupdf.csGRAY, pymupdf.IRect(0, 0, 80, 120))
    picture.clear_with(200)
    for _ in range(count):
        page = document.new_page(width=wide + 2 * edge, height=high + 2 * edge)
        page.insert_image(page.rect, pixmap=picture)
        if cropped:
            page.set_cropbox(pymupdf.Rect(edge, edge, edge + wide, edge + high))
        page.set_rotation(rotation)
    document.save(path)
    return path


@pytest.mark.parametrize("cropped", [False, True])
@pytest.mark.parametrize("rotation", [0, 90, 180, 270])
@pytest.mark.parametrize("turn", [0, 90, 180, 270])
def test_turned_and_cropped_pages(tmp_path: Path, rotation: int, cropped: bool, turn: int) -> None:
    size = (600.0, 400.0) if turn in (90, 270) else (400.0, 600.0)
    reading = page_reading(["Words that lie", "where (they) should."], width=size[0], height=size[1])
    path = drawn_pdf(tmp_path / "source.pdf", rotation=rotation, cropped=cropped)
    fields = {1: {"image_steps": json.dumps({"orientation": turn})}}
    document = made(tmp_path, make_view(tmp_path, [(path, "pdf", 1)], {1: reading}, pages=fields))
    assert (document[0].rect.width, document[0].rect.height) == pytest.approx(size)
    check_words(document[0], reading)


@pytest.mark.parametrize("rotation", [0, 90])
@pytest.mark.parametrize("turn", [0, 270])
def test_a_spread_is_shown_once_for_each_half(tmp_path: Path, rotation: int, turn: int) -> None:
    path = drawn_pdf(tmp_path / "source.pdf", rotation=rotation)
    size = (600.0, 200.0) if turn else (200.0, 600.0)
    halves = [page_reading(["Left", "one."], width=size[0], height=size[1], top=50), None]
    halves[1] = page_reading(["Right."], width=size[0], height=size[1], top=90)
    leaves = [ManifestLeaf(part=0, index=0, region=region) for region in ("0,0,0.5,1", "0.5,0,1,1")]
    steps = {number: {"image_steps": json.dumps({"orientation": turn})} for number in (1, 2)}
    view = make_view(tmp_path, [(path, "pdf", 1)], {1: halves[0], 2: halves[1]}, leaves=leaves, pages=steps)
    document = made(tmp_path, view)
    assert document.page_count == 2
    for page, half in zip(document, halves, strict=True):
        assert (page.rect.width, page.rect.height) == pytest.approx(size, abs=0.01)
        assert half is not None
        check_words(page, half)


def test_edited_leaves_come_in_the_order_of_the_book(tmp_path: Path) -> None:
    rescan = drawn_pdf(tmp_path / "rescan.pdf", count=3)
    plate = tmp_path / "plate.jpg"
    Image.effect_noise((850, 1250), 60).save(plate, dpi=(150, 150))
    # Page 3 was dropped, 5 moved to the front, the rescan's second page put in, the plate added, page 5 shown again.
    order = [(0, 4), (0, 0), (1, 1), (0, 1), (2, 0), (0, 3), (0, 4)]
    leaves = [ManifestLeaf(part=part, index=index) for part, index in order]
    readings = {number: page_reading([f"Leaf {number}."]) for number in range(1, 8)}
    view = make_view(tmp_path, [(SAMPLE, "pdf", 26), (rescan, "pdf", 3), (plate, "image", 1)], readings, leaves=leaves)
    document = made(tmp_path, view)
    assert [page.get_text().strip() for page in document] == [f"Leaf {number}." for number in range(1, 8)]
    shown, scan = images_of(tmp_path / "out.pdf"), images_of(SAMPLE)
    assert [shown[at] for at in (0, 1, 3, 5, 6)] == [scan[at] for at in (4, 0, 1, 3, 4)]
    assert shown[2] == images_of(rescan)[1]
    assert shown[4] == [hashlib.sha256(plate.read_bytes()).hexdigest()]


class TestTextThatCameWithTheSource:
    @staticmethod
    def scan(path: Path, *, hidden: str = "", under: str = "", visible: str = "", form: bool = False) -> Path:
        document = pymupdf.open()
        page = document.new_page(width=400, height=600)
        if under:
            page.insert_text((50, 100), under)
        picture = pymupdf.Pixmap(pymupdf.csGRAY, pymupdf.IRect(0, 0, 80, 120))
        picture.clear_with(220)
        page.insert_image(page.rect, pixmap=picture)
        page.insert_link(
            {"kind": pymupdf.LINK_URI, "from": pymupdf.Rect(10, 10, 50, 50), "uri": "https://example.org/"}
        )
        if hidden and form:
            layer = pymupdf.open()
            layer.new_page(width=400, height=600).insert_text((50, 100), hidden, render_mode=3)
            page.show_pdf_page(page.rect, layer, 0)
        elif hidden:
            page.insert_text((50, 100), hidden, render_mode=3)
        if visible:
            page.insert_text((50, 590), visible)
        document.save(path)
        return path

    @pytest.mark.parametrize(
        ("layer", "left"),
        [
            ({"hidden": "0ld OCR"}, ""),
            ({"hidden": "0ld OCR", "form": True}, ""),
            ({"under": "0ld OCR"}, ""),
            ({"hidden": "0ld OCR", "visible": "Digitized"}, "Digitized"),
        ],
    )
    def test_a_layer_that_ours_replaces_is_taken_out(self, tmp_path: Path, layer: Mapping[str, Any], left: str) -> None:
        path = self.scan(tmp_path / "scan.pdf", **layer)
        reading = page_reading(["New words."])
        view = make_view(tmp_path, [(path, "pdf", 1)], {1: reading}, pages={1: {"text_layer": "poor"}})
        document = made(tmp_path, view)
        assert sorted(document[0].get_text().split()) == sorted([*left.split(), "New", "words."])
        assert images_of(tmp_path / "out.pdf") == images_of(path)
        assert rendered(tmp_path / "out.pdf") == rendered(path)
        assert [link["uri"] for link in document[0].get_links()] == ["https://example.org/"]

    def test_a_page_that_could_not_be_read_keeps_its_own(self, tmp_path: Path) -> None:
        path = self.scan(tmp_path / "scan.pdf", hidden="0ld OCR")
        document = made(tmp_path, make_view(tmp_path, [(path, "pdf", 1)], {1: None}, pages={1: {"text_layer": "poor"}}))
        assert document[0].get_text().strip() == "0ld OCR"

    def test_born_digital_pages_get_no_second_text(self, tmp_path: Path) -> None:
        source = pymupdf.open()
        source.new_page(width=400, height=600).insert_text((50, 100), "Born digital.")
        source.save(tmp_path / "born.pdf")
        reading = page_reading(["Born digital."])
        view = make_view(tmp_path, [(tmp_path / "born.pdf", "pdf", 1)], {1: reading}, pages={1: {"text_layer": "good"}})
        assert made(tmp_path, view)[0].get_text().strip() == "Born digital."


def letters(mode: str) -> Image.Image:
    """A picture of 300 x 450 pixels with something at its top left."""
    image = Image.new("L", (300, 450), 255)
    draw = ImageDraw.Draw(image)
    draw.rectangle((20, 30, 120, 60), fill=0)
    draw.line((20, 100, 250, 400), fill=100, width=7)
    if mode == "RGBA":
        image = image.convert("RGBA")
        image.putalpha(Image.linear_gradient("L").resize(image.size))
        return image
    if mode == "I;16":
        import numpy as np

        return Image.fromarray(np.asarray(image).astype(np.uint16) * 257)
    return image.convert(mode)


@pytest.mark.parametrize(
    ("name", "mode", "options", "kept"),
    [
        ("gray.jpg", "L", {}, True),
        ("colour.jpg", "RGB", {}, True),
        ("cmyk.jpg", "CMYK", {}, True),
        ("gray.jp2", "L", {}, True),
        ("bilevel.png", "1", {}, False),
        ("gray.png", "L", {}, False),
        ("palette.png", "P", {}, False),
        ("alpha.png", "RGBA", {}, False),
        ("deep.png", "I;16", {}, False),
        ("group4.tif", "1", {"compression": "group4"}, False),
        ("packbits.tif", "1", {"compression": "packbits"}, False),
        ("lzw.tif", "RGB", {"compression": "tiff_lzw"}, False),
        ("deep.tif", "I;16", {}, False),
        ("cmyk.tif", "CMYK", {}, False),
    ],
)
def test_image_files_lose_nothing(tmp_path: Path, name: str, mode: str, options: dict[str, Any], kept: bool) -> None:
    path = tmp_path / name
    letters(mode).save(path, dpi=(150, 150), **options)
    dpi = 300 if name.endswith(".jp2") else 150  # a JPEG 2000 file says nothing of its resolution
    size = (300 / dpi * 72, 450 / dpi * 72)
    reading = PageReading("vote", *size, [Line([Word("Over", (9, 14, 31, 24)), Word("it.", (36, 14, 50, 24))])])
    view = make_view(tmp_path, [(path, "image", 1)], {1: reading})
    document = made(tmp_path, view)
    (page,) = document
    assert (page.rect.width, page.rect.height) == pytest.approx(size, abs=0.05)
    check_words(page, reading)
    if kept:
        assert images_of(tmp_path / "out.pdf") == [[hashlib.sha256(path.read_bytes()).hexdigest()]]
    else:
        assert (tmp_path / "out.pdf").stat().st_size < 1.1 * path.stat().st_size + 4000
    shown = page.get_pixmap(dpi=dpi, colorspace=pymupdf.csGRAY)
    with Image.open(path) as image:
        if mode == "RGBA":
            white = Image.new("RGBA", image.size, "white")
            white.alpha_composite(image)
            image = white
        if mode == "I;16":
            image = letters("L")
        expected = image.convert("RGB").convert("L")
    assert shown.width * shown.height == expected.width * expected.height
    worst = max(abs(a - b) for a, b in zip(shown.samples, expected.tobytes(), strict=True))
    assert worst <= (70 if mode == "CMYK" else 12 if kept else 1), "colour conversions of CMYK differ by library"


@pytest.mark.parametrize("orientation", range(1, 9))
def test_photographs_stand_upright(tmp_path: Path, orientation: int) -> None:
    from PIL import ImageOps

    path = tmp_path / "photo.jpg"
    exif = Image.Exif()
    exif[274] = orientation
    letters("L").save(path, dpi=(150, 150), exif=exif, quality=95)
    with Image.open(path) as image:
        upright = ImageOps.exif_transpose(image)
    view = make_view(tmp_path, [(path, "image", 1)], {1: None})
    page = made(tmp_path, view)[0]
    shown = page.get_pixmap(dpi=150, colorspace=pymupdf.csGRAY)
    assert (shown.width, shown.height) == upright.size
    assert max(abs(a - b) for a, b in zip(shown.samples, upright.tobytes(), strict=True)) <= 12


def test_bilevel_pages_of_a_tiff_are_group4(tmp_path: Path) -> None:
    path = tmp_path / "book.tif"
    pages = [letters("1"), letters("1").rotate(180)]
    pages[0].save(path, compression="tiff_deflate", save_all=True, append_images=pages[1:], dpi=(150, 150))
    document = made(tmp_path, make_view(tmp_path, [(path, "image", 2)], {1: None, 2: None}))
    for page, expected in zip(document, pages, strict=True):
        (image,) = page.get_images()
        assert image[8] == "CCITTFaxDecode"
        shown = page.get_pixmap(dpi=150, colorspace=pymupdf.csGRAY)
        assert shown.samples == expected.convert("L").tobytes()


boxes = st.tuples(
    st.floats(1, 300, allow_nan=False), st.floats(1, 80, allow_nan=False), st.floats(4, 30, allow_nan=False)
)
texts = st.text(
    st.characters(exclude_categories=("Cs", "Cc", "Zs", "Zl", "Zp", "Cf", "Mn", "Me", "Mc")), min_size=1, max_size=12
).filter(lambda text: not {unicodedata.bidirectional(letter) for letter in text} & {"R", "AL", "AN"})
"""From left to right: where a word has letters of both directions, the reader of the test puts them in an order of its own."""


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(texts, boxes), min_size=1, max_size=12))
def test_any_word_comes_back_from_the_pdf(tmp_path: Path, words: list[tuple[str, tuple[float, float, float]]]) -> None:
    folder = tmp_path / "any"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    path = drawn_pdf(folder / "source.pdf")
    lines = [
        Line([Word(text, (x, 20 + 45 * at, x + max(width, 2.5 * len(text)), 20 + 45 * at + height))], block=at)
        for at, (text, (x, width, height)) in enumerate(words)
    ]
    reading = PageReading("vote", 400.0, 600.0, lines)
    page = made(folder, make_view(folder, [(path, "pdf", 1)], {1: reading}))[0]
    raw = page.get_text("rawdict", flags=pymupdf.TEXT_PRESERVE_LIGATURES)
    found = [
        char["c"]
        for block in raw["blocks"]
        for line in block.get("lines", [])
        for span in line["spans"]
        for char in span["chars"]
    ]
    # Which words stand on one line is the reader's guess where each is of another size.
    assert "".join(found) == "".join(printable(text) for text, _ in words)


class TestLabels:
    def test_runs(self) -> None:
        labels = ["", "", "iii", "iv", "1", "2", "2", "A-3", "A-4", "XII", "plate", "plate", "mix", "7bis", "010"]
        runs = label_runs(labels)
        assert runs[:4] == [
            LabelRun(0, "", "", 1),
            LabelRun(2, "", "r", 3),
            LabelRun(4, "", "D", 1),
            LabelRun(6, "", "D", 2),
        ]
        assert all(
            next(run for run in reversed(runs) if run.start <= page).label(page) == label
            for page, label in enumerate(labels)
        )

    @settings(max_examples=60, deadline=None)
    @given(st.lists(st.one_of(st.just(""), st.text(max_size=6), st.integers(1, 3000).map(str)), max_size=12))
    def test_every_label_is_kept(self, labels: list[str]) -> None:
        runs = label_runs(labels)
        for page, label in enumerate(labels):
            assert next(run for run in reversed(runs) if run.start <= page).label(page) == label

    def test_odd_ones_survive_the_file(self, tmp_path: Path) -> None:
        path = drawn_pdf(tmp_path / "source.pdf", count=4)
        labels = {1: "(a)\\", 2: "§ 5", 3: "iv", 4: "v"}
        view = make_view(tmp_path, [(path, "pdf", 4)], {}, labels=labels, book={"title": "Überall (1)\\"})
        document = made(tmp_path, view)
        assert document.metadata["title"] == "Überall (1)\\"
        import pypdfium2

        labelled = pypdfium2.PdfDocument(str(tmp_path / "out.pdf"))
        assert [labelled.get_page_label(number) for number in range(4)] == ["(a)\\", "§ 5", "iv", "v"]


def test_outline_levels_become_legal(tmp_path: Path) -> None:
    path = drawn_pdf(tmp_path / "source.pdf", count=5)
    entries = [
        {"title": "Deep", "level": 3, "page": 1},
        {"title": "Top", "number": "I", "level": 1, "page": 2},
        {"title": "Jump", "level": 4, "page": 3},
        {"title": "Nowhere", "level": 1},
        {"title": "Beside", "level": 4, "page": 4},
        {"title": "End", "level": 1, "page": 5},
    ]
    document = made(tmp_path, make_view(tmp_path, [(path, "pdf", 5)], {}, entries=entries))
    assert document.get_toc() == [[1, "Deep", 1], [1, "I Top", 2], [2, "Jump", 3], [2, "Beside", 4], [1, "End", 5]]


def test_resources_that_pages_inherit_or_share(tmp_path: Path) -> None:
    drawn_pdf(tmp_path / "plain.pdf", count=3)
    source = pymupdf.open(tmp_path / "plain.pdf")
    (resources,) = {source.xref_get_key(source[0].xref, "Resources")[1]}
    parent = int(source.xref_get_key(source[0].xref, "Parent")[1].split()[0])
    font = source.get_new_xref()
    source.update_object(font, "<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>")
    fonts = source.get_new_xref()
    source.update_object(fonts, f"<</ShT {font} 0 R>>")
    if resources.endswith(" R"):
        resources = source.xref_object(int(resources.split()[0]), compressed=True)
    source.xref_set_key(parent, "Resources", resources.removesuffix(">>") + f"/Font {fonts} 0 R>>")
    for page in source:
        source.xref_set_key(page.xref, "Resources", "null")
    source.xref_set_key(source[2].xref, "Contents", "null")
    source.save(tmp_path / "source.pdf", encryption=pymupdf.PDF_ENCRYPT_AES_256, owner_pw="owner", permissions=0)
    readings = {number: page_reading([f"Leaf {number}."]) for number in (1, 2, 3)}
    document = made(tmp_path, make_view(tmp_path, [(tmp_path / "source.pdf", "pdf", 3)], readings))
    assert [page.get_text().strip() for page in document] == ["Leaf 1.", "Leaf 2.", "Leaf 3."]
    assert rendered(tmp_path / "out.pdf") == rendered(tmp_path / "source.pdf")
    assert not document.needs_pass
    assert document.metadata["encryption"] is None
