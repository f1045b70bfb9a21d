"""Sources and pages on real files: the sample, and PDFs and images made here."""

from __future__ import annotations

import io
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageDraw
from PIL.PngImagePlugin import PngImageFile

from providers import leaves, pages, pdf_pages
from providers.errors import Rejected
from providers.reading_order import reading_order
from providers.text_damage import text_damage
from schemas.errors import BadSource, ShelfError, SourceNotFound
from schemas.reading import Line, Word

pymupdf = pages.mupdf_library()

SAMPLE = Path(__file__).parents[2] / "samples" / "a-day-at-a-time-scan.pdf"
WORDS = "the quick brown fox jumps over the lazy dog while seven wizards read old books"


def picture(text: str = "", size: tuple[int, int] = (850, 1100), mode: str = "L") -> Image.Image:
    """A page image with an asymmetric mark: a black block in its top left corner."""
    image = Image.new("L", size, 255)
    draw = ImageDraw.Draw(image)
    draw.rectangle((0, 0, size[0] // 4, size[1] // 8), fill=0)
    draw.text((size[0] // 3, size[1] // 2), text, fill=0)
    return image.convert(mode)


def encoded(image: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    body = io.BytesIO()
    image.save(body, kind, **options)
    return body.getvalue()


def text_pdf(path: Path, lines: list[str], pages_: int = 1, **options: Any) -> Path:
    document = pymupdf.open()
    for _ in range(pages_):
        page = document.new_page(width=612, height=792)
        for number, line in enumerate(lines):
            page.insert_text((72, 72 + 16 * number), line, fontsize=11, **options)
    document.save(path)
    return path


def scan_pdf(path: Path, images: list[Image.Image], width: float = 612, height: float = 792) -> Path:
    document = pymupdf.open()
    for image in images:
        page = document.new_page(width=width, height=height)
        page.insert_image(page.rect, stream=encoded(image), keep_proportion=False)
    document.save(path)
    return path


def corner(pixels: np.ndarray) -> str:
    """Which corner holds the black block of `picture`."""
    rows, columns = pixels.shape
    y, x = rows // 20, columns // 20
    corners = {
        "top left": pixels[y, x],
        "top right": pixels[y, -x],
        "bottom left": pixels[-y, x],
        "bottom right": pixels[-y, -x],
    }
    return min(corners, key=lambda name: int(corners[name]))


class TestInspect:
    def test_one_pdf(self) -> None:
        assert [tuple(part) for part in pages.inspect([SAMPLE])] == [(SAMPLE, "pdf", 26)]

    def test_files_in_the_order_given(self, tmp_path: Path) -> None:
        a, b = text_pdf(tmp_path / "a.pdf", ["x"], 2), tmp_path / "b.png"
        picture().save(b)
        assert [tuple(part) for part in pages.inspect([b, a])] == [(b, "image", 1), (a, "pdf", 2)]

    def test_a_folder_of_images_in_natural_order(self, tmp_path: Path) -> None:
        for name in ("page10.png", "page2.jpg", "page1.tif", "page3.jp2"):
            picture().save(tmp_path / name)
        (tmp_path / "notes.txt").write_text("x")
        (tmp_path / ".DS_Store").write_text("x")
        notes: list[str] = []
        parts = pages.inspect([tmp_path], notes)
        assert [part.path.name for part in parts] == ["page1.tif", "page2.jpg", "page3.jp2", "page10.png"]
        assert {part.kind for part in parts} == {"image"}
        assert len(notes) == 1
        assert "notes.txt" in notes[0]

    def test_pages_of_a_tiff(self, tmp_path: Path) -> None:
        path = tmp_path / "book.tif"
        picture().save(path, save_all=True, append_images=[picture(), picture()], compression="tiff_lzw")
        assert [part.pages for part in pages.inspect([path])] == [3]

    def test_content_decides_not_the_name(self, tmp_path: Path) -> None:
        path = tmp_path / "scan.pdf"
        path.write_bytes(encoded(picture()))
        assert pages.inspect([path])[0].kind == "image"
        (tmp_path / "0001").write_bytes(SAMPLE.read_bytes())
        assert pages.inspect([tmp_path / "0001"])[0].kind == "pdf"

    def test_an_empty_user_password_is_tried(self, tmp_path: Path) -> None:
        document = pymupdf.open(SAMPLE)
        document.save(tmp_path / "e.pdf", encryption=pymupdf.PDF_ENCRYPT_AES_256, owner_pw="owner", user_pw="")
        assert pages.inspect([tmp_path / "e.pdf"])[0].pages == 26


class TestBadInput:
    def refused(self, path: Path, *said: str, error: type[ShelfError] = BadSource) -> None:
        with pytest.raises(error) as caught:
            pages.inspect([path])
        assert type(caught.value) is error
        for part in (path.name, *said):
            assert part in caught.value.message
        assert caught.value.next_step

    def test_missing_path(self, tmp_path: Path) -> None:
        self.refused(tmp_path / "none.pdf", "does not exist", error=SourceNotFound)

    def test_no_source(self) -> None:
        with pytest.raises(BadSource, match="No source"):
            pages.inspect([])

    @pytest.mark.parametrize("name", ["a.pdf", "a.txt", "a"])
    def test_not_a_pdf(self, tmp_path: Path, name: str) -> None:
        path = tmp_path / name
        path.write_bytes(b"Dear reader, this is a letter.\n" * 50)
        self.refused(path, "not a PDF")

    def test_empty_file(self, tmp_path: Path) -> None:
        path = tmp_path / "a.pdf"
        path.touch()
        self.refused(path, "is empty")

    @pytest.mark.parametrize("percent", [1, 30, 60, 90, 95, 99])
    def test_truncated_pdf(self, tmp_path: Path, percent: int) -> None:
        body = SAMPLE.read_bytes()
        path = tmp_path / "cut.pdf"
        path.write_bytes(body[: len(body) * percent // 100])
        self.refused(path, "truncated")

    @pytest.mark.parametrize("compact", [False, True])
    @pytest.mark.parametrize("percent", [10, 40, 70, 85])
    def test_truncated_text_pdf(self, tmp_path: Path, percent: int, compact: bool) -> None:
        document = pymupdf.open()
        for number in range(20):
            page = document.new_page()
            for line in range(30):
                page.insert_text((72, 72 + 16 * line), f"{number} {line} {random.Random(line).random()} {WORDS}")
        body = document.tobytes(use_objstms=compact, deflate=True)
        path = tmp_path / "cut.pdf"
        path.write_bytes(body[: len(body) * percent // 100])
        self.refused(path, "truncated")

    def test_only_the_index_cut_off_is_repaired(self, tmp_path: Path) -> None:
        body = SAMPLE.read_bytes()
        path = tmp_path / "cut.pdf"
        path.write_bytes(body[: body.rfind(b"startxref")])
        assert pages.inspect([path])[0].pages == 26

    def test_wrong_offsets_are_repaired(self, tmp_path: Path) -> None:
        path = tmp_path / "shifted.pdf"
        path.write_bytes(b"%PDF-1.3\n%\n% moved\n" + SAMPLE.read_bytes()[9:])
        assert pages.inspect([path])[0].pages == 26

    def test_password(self, tmp_path: Path) -> None:
        path = tmp_path / "locked.pdf"
        pymupdf.open(SAMPLE).save(path, encryption=pymupdf.PDF_ENCRYPT_AES_256, owner_pw="o", user_pw="secret")
        self.refused(path, "password")

    def test_no_pages(self, tmp_path: Path) -> None:
        path = tmp_path / "none.pdf"
        head = b"%PDF-1.4\n"
        one = b"1 0 obj\n<</Type/Catalog/Pages 2 0 R>>\nendobj\n"
        two = b"2 0 obj\n<</Type/Pages/Kids[]/Count 0>>\nendobj\n"
        xref = len(head + one + two)
        path.write_bytes(
            head + one + two + b"xref\n0 3\n0000000000 65535 f \n%010d 00000 n \n%010d 00000 n \n" % (9, 9 + len(one))
            + b"trailer\n<</Root 1 0 R/Size 3>>\nstartxref\n%d\n%%%%EOF\n" % xref
        )  # fmt: skip
        self.refused(path, "has no pages")

    def test_a_page_of_absurd_size(self, tmp_path: Path) -> None:
        path = text_pdf(tmp_path / "huge.pdf", ["x"], 3)
        document = pymupdf.open(path)
        document.xref_set_key(document[1].xref, "MediaBox", "[0 0 100000 100000]")
        document.save(tmp_path / "huge2.pdf")
        self.refused(tmp_path / "huge2.pdf", "Page 2", "1389 x 1389 inches")

    def test_an_image_of_absurd_size_in_a_pdf(self, tmp_path: Path) -> None:
        document = pymupdf.open(scan_pdf(tmp_path / "s.pdf", [picture()]))
        xref = document[0].get_images()[0][0]
        document.xref_set_key(xref, "Width", "60000")
        document.xref_set_key(xref, "Height", "60000")
        document.save(tmp_path / "bomb.pdf")
        self.refused(tmp_path / "bomb.pdf", "page 1", "60000 x 60000")

    def test_decompression_bomb(self, tmp_path: Path) -> None:
        path = tmp_path / "bomb.png"
        Image.new("1", (40_000, 20_000)).save(path)
        self.refused(path, "40000 x 20000 pixels")

    @pytest.mark.parametrize("suffix", ["png", "jpg", "tif", "jp2"])
    def test_truncated_image(self, tmp_path: Path, suffix: str) -> None:
        noise = Image.fromarray(np.random.default_rng(1).integers(0, 255, (300, 300), dtype=np.uint8))
        noise.save(tmp_path / f"whole.{suffix}")
        body = (tmp_path / f"whole.{suffix}").read_bytes()
        path = tmp_path / f"cut.{suffix}"
        for share in (0.3, 0.6, 0.95):
            path.write_bytes(body[: int(len(body) * share)])
            self.refused(path, "damaged")

    def test_an_image_that_is_none(self, tmp_path: Path) -> None:
        path = tmp_path / "a.jpg"
        path.write_bytes(b"\xff\xd8\xff\xe0 not really")
        self.refused(path, "damaged")

    def test_a_folder_without_images(self, tmp_path: Path) -> None:
        (tmp_path / "readme.txt").write_text("x")
        self.refused(tmp_path, "has no images")

    def test_a_folder_of_pdfs(self, tmp_path: Path) -> None:
        text_pdf(tmp_path / "a.pdf", ["x"])
        self.refused(tmp_path, "1 PDF")

    def test_a_bad_file_among_good_ones_is_named(self, tmp_path: Path) -> None:
        picture().save(tmp_path / "1.png")
        (tmp_path / "2.png").touch()
        with pytest.raises(BadSource, match=r"2\.png is empty"):
            pages.inspect([tmp_path])

    def test_damage_leaves_no_stdout(self, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
        path = tmp_path / "cut.pdf"
        path.write_bytes(SAMPLE.read_bytes()[:500_000])
        with pytest.raises(BadSource):
            pages.inspect([path])
        assert capfd.readouterr().out == ""


class TestFacts:
    def test_a_scan(self) -> None:
        facts = [pages.leaf_facts(SAMPLE, "pdf", index) for index in range(26)]
        assert (round(facts[0].width), round(facts[0].height), facts[0].rotation) == (396, 612, 0)
        assert {(fact.text_layer, fact.reason) for fact in facts} == {("none", "a scan without text")}
        assert len({fact.image_hash for fact in facts}) == 26

    def test_born_digital(self, tmp_path: Path) -> None:
        path = text_pdf(tmp_path / "t.pdf", [WORDS] * 10)
        facts = pages.leaf_facts(path, "pdf", 0)
        assert (facts.text_layer, facts.reason) == ("good", "")

    def test_blank(self, tmp_path: Path) -> None:
        facts = pages.leaf_facts(text_pdf(tmp_path / "t.pdf", []), "pdf", 0)
        assert (facts.text_layer, facts.reason) == ("none", "blank page")

    def test_an_invisible_layer_over_a_scan(self, tmp_path: Path) -> None:
        document = pymupdf.open(scan_pdf(tmp_path / "s.pdf", [picture()]))
        for number in range(20):
            document[0].insert_text((72, 72 + 16 * number), WORDS, render_mode=3)
        document.save(tmp_path / "o.pdf")
        facts = pages.leaf_facts(tmp_path / "o.pdf", "pdf", 0)
        assert (facts.text_layer, facts.reason) == ("poor", "OCR layer of unknown origin over a scan")

    def test_a_layer_hidden_under_the_scan(self, tmp_path: Path) -> None:
        document = pymupdf.open(text_pdf(tmp_path / "t.pdf", [WORDS] * 20))
        document[0].insert_image(document[0].rect, stream=encoded(picture()))
        document.save(tmp_path / "o.pdf")
        facts = pages.leaf_facts(tmp_path / "o.pdf", "pdf", 0)
        assert (facts.text_layer, facts.reason) == ("poor", "OCR layer of unknown origin over a scan")

    def test_visible_text_over_a_background_picture_is_good(self, tmp_path: Path) -> None:
        document = pymupdf.open(scan_pdf(tmp_path / "s.pdf", [picture()]))
        for number in range(20):
            document[0].insert_text((72, 72 + 16 * number), WORDS)
        document.save(tmp_path / "o.pdf")
        assert pages.leaf_facts(tmp_path / "o.pdf", "pdf", 0).text_layer == "good"

    def test_a_stamp_over_a_scan(self, tmp_path: Path) -> None:
        document = pymupdf.open(scan_pdf(tmp_path / "s.pdf", [picture()]))
        document[0].insert_text((72, 72), "Digitized by a library")
        document.save(tmp_path / "o.pdf")
        facts = pages.leaf_facts(tmp_path / "o.pdf", "pdf", 0)
        assert (facts.text_layer, facts.reason) == ("poor", "only a few words over a scan")

    def test_the_hash_follows_the_picture(self, tmp_path: Path) -> None:
        a, b = picture("a"), picture("b")
        first = pages.leaf_facts(scan_pdf(tmp_path / "1.pdf", [a, b, a]), "pdf", 0)
        hashes = [pages.leaf_facts(tmp_path / "1.pdf", "pdf", index).image_hash for index in range(3)]
        assert hashes[0] == hashes[2] == first.image_hash != hashes[1]
        # The same page in another file, with other object numbers.
        other = pages.leaf_facts(scan_pdf(tmp_path / "2.pdf", [b, b, a]), "pdf", 2)
        assert other.image_hash == first.image_hash
        for key, value in (("Rotate", "90"), ("CropBox", "[0 0 300 300]")):
            document = pymupdf.open(tmp_path / "1.pdf")
            document.xref_set_key(document[0].xref, key, value)
            document.save(tmp_path / f"{key}.pdf")
            assert pages.leaf_facts(tmp_path / f"{key}.pdf", "pdf", 0).image_hash != first.image_hash

    def test_a_shared_dictionary_of_all_images_does_not_mix_pages(self, tmp_path: Path) -> None:
        document = pymupdf.open(scan_pdf(tmp_path / "1.pdf", [picture("a"), picture("b")]))
        names = []
        for page in document:
            (image,) = page.get_images()
            names.append(f"/{image[7]}{page.number} {image[0]} 0 R")
            content = page.read_contents().replace(f"/{image[7]} ".encode(), f"/{image[7]}{page.number} ".encode())
            document.update_stream(page.get_contents()[0], content)
            for extra in page.get_contents()[1:]:
                document.update_stream(extra, b" ")
        shared = document.get_new_xref()
        document.update_object(shared, f"<</XObject<<{' '.join(names)}>>>>")
        for page in document:
            document.xref_set_key(page.xref, "Resources", f"{shared} 0 R")
        document.save(tmp_path / "2.pdf")
        first, second = (pages.leaf_facts(tmp_path / "2.pdf", "pdf", index).image_hash for index in (0, 1))
        assert first != second
        assert pages.render(tmp_path / "2.pdf", "pdf", 1).pixels.min() == 0

    def test_a_missing_page_is_rejected(self) -> None:
        with pytest.raises(Rejected, match="no page 27"):
            pages.leaf_facts(SAMPLE, "pdf", 26)

    @pytest.mark.parametrize(
        ("text", "said"),
        [
            (WORDS, ""),
            ("Zażółć gęślą jaźń, ñandú, Übergröße, naïve œuvre " * 5, ""),
            ("Это книга о том, как читать старые книги " * 5, ""),
            ("字を読むことは楽しい。" * 10, ""),
            ("SAB UNHCR WHO NGO MRT " * 3 + WORDS * 3, ""),
            (WORDS + " \ufffd\ufffd\ufffd", "U+FFFD"),
            (WORDS + " \ue001\ue002\ue003\ue004\ue005", "private"),
            ("CafÃ© crÃ¨me â€œquotedâ€\x9d dÃ©jÃ\xa0 vu", "mojibake"),
            ("WKH TXLFN EURZQ IRA MXPSV RYHU WKH ODCB GRJ " * 5, "vowels"),
            ("\x03\x01\x02 \x04 abc", "control"),
        ],
    )
    def test_text_damage(self, text: str, said: str) -> None:
        reason = text_damage(text)
        assert (said in reason) if said else reason == ""

    def test_an_image(self, tmp_path: Path) -> None:
        path = tmp_path / "a.png"
        picture().save(path, dpi=(200, 200))
        facts = pages.leaf_facts(path, "image", 0)
        assert (round(facts.width), round(facts.height)) == (306, 396)
        assert facts.text_layer == "none"

    def test_frames_have_hashes_of_their_own(self, tmp_path: Path) -> None:
        path = tmp_path / "a.tif"
        picture().save(path, save_all=True, append_images=[picture()])
        assert len({pages.leaf_facts(path, "image", index).image_hash for index in (0, 1)}) == 2
        with pytest.raises(Rejected):
            pages.leaf_facts(path, "image", 2)


class TestTextLayer:
    def test_lines_and_boxes(self, tmp_path: Path) -> None:
        reading = pages.text_layer_reading(text_pdf(tmp_path / "t.pdf", ["First line", "and the second"]), 0)
        assert reading.text == "First line\nand the second"
        assert reading.confidence is None
        word = reading.lines[1].words[0]
        assert word.text == "and"
        assert word.box[0] == pytest.approx(72, abs=1)
        assert word.box[1] < 88 < word.box[3]

    def test_pieces_on_one_baseline_are_one_line(self, tmp_path: Path) -> None:
        document = pymupdf.open()
        page = document.new_page()
        page.insert_text((72, 72), "Chapter One")
        page.insert_text((500, 72), "17")
        page.insert_text((72, 90), "Chapter Two")
        page.insert_text((500, 90), "23")
        document.save(tmp_path / "t.pdf")
        assert pages.text_layer_reading(tmp_path / "t.pdf", 0).text == "Chapter One 17\nChapter Two 23"

    def test_columns_stay_apart(self, tmp_path: Path) -> None:
        document = pymupdf.open()
        page = document.new_page()
        for x in (72, 320):
            for line in range(5):
                page.insert_text((x, 72 + 14 * line), f"column {x} line {line}")
        document.save(tmp_path / "t.pdf")
        lines = pages.text_layer_reading(tmp_path / "t.pdf", 0).text.split("\n")
        assert lines == [f"column {x} line {line}" for x in (72, 320) for line in range(5)]

    def test_boxes_are_of_the_upright_page(self, tmp_path: Path) -> None:
        document = pymupdf.open()
        page = document.new_page(width=400, height=600)
        page.insert_text((350, 100), "word", rotate=270)
        page.set_rotation(270)
        document.save(tmp_path / "t.pdf")
        reading = pages.text_layer_reading(tmp_path / "t.pdf", 0)
        assert (reading.width, reading.height) == (600, 400)
        assert pages.leaf_facts(tmp_path / "t.pdf", "pdf", 0).text_layer == "good"
        box = reading.words[0].box
        assert box[2] - box[0] > box[3] - box[1]
        pixels = pages.render(tmp_path / "t.pdf", "pdf", 0, dpi=72).pixels
        ys, xs = np.nonzero(pixels < 128)
        assert box[0] - 2 <= xs.min()
        assert xs.max() <= box[2] + 2
        assert box[1] - 2 <= ys.min()
        assert ys.max() <= box[3] + 2

    def test_soft_hyphens(self) -> None:
        line = Line([Word("con\u00adtain", (0, 0, 9, 9)), Word("some\u00ad", (0, 0, 9, 9))])
        pdf_pages._print_soft_hyphens(line)
        assert line.text == "contain some-"

    def test_a_region(self, tmp_path: Path) -> None:
        document = pymupdf.open()
        page = document.new_page(width=800, height=600)
        page.insert_text((72, 72), "left")
        page.insert_text((472, 72), "right")
        document.save(tmp_path / "t.pdf")
        reading = pages.text_layer_reading(tmp_path / "t.pdf", 0, "0.5,0,1,1")
        assert (reading.text, reading.width) == ("right", 400)
        assert reading.words[0].box[0] == pytest.approx(72, abs=1)

    def test_a_pages_text_belongs_to_that_page(self, tmp_path: Path) -> None:
        """Objects in the file in another order than the pages, as scanners that write backwards leave them."""
        path = scan_pdf(tmp_path / "t.pdf", [picture() for _ in range(3)])
        document = pymupdf.open(path)
        for index in (2, 0, 1):
            document[index].insert_text((300, 400), f"This is page {index + 1}")
        for index in (2, 1, 0):  # images last, backwards, under new numbers
            (old,) = (image[0] for image in document[index].get_images())
            new = document.get_new_xref()
            document.update_object(new, document.xref_object(old))
            document.update_stream(new, document.xref_stream(old))
            name = document[index].get_images()[0][7]
            document.xref_set_key(document[index].xref, f"Resources/XObject/{name}", f"{new} 0 R")
        document.save(tmp_path / "shuffled.pdf")
        texts = [pages.text_layer_reading(tmp_path / "shuffled.pdf", index).text for index in range(3)]
        assert texts == ["This is page 1", "This is page 2", "This is page 3"]


class TestRender:
    def test_a_scans_own_pixels_untouched(self) -> None:
        """Rendering at the scan's resolution gives the decoded image, byte for byte."""
        document = pymupdf.open(SAMPLE)
        for index in (0, 2, 9):
            raster = pages.render(SAMPLE, "pdf", index)
            native = pymupdf.Pixmap(document, document[index].get_images()[0][0])
            assert raster.pixels.shape == (2550, 1651)
            assert raster.pixels.tobytes() == native.samples
            assert round(raster.dpi) == 300
            assert raster.to_points(1651, 2550, 0, 0) == pytest.approx((396.24, 612, 0, 0), abs=0.01)

    def test_pages_shuffled_in_the_file(self, tmp_path: Path) -> None:
        document = pymupdf.open(SAMPLE)
        document.select([5, 3, 4])
        document.save(tmp_path / "s.pdf", garbage=3)
        for index, original in enumerate((5, 3, 4)):
            assert np.array_equal(
                pages.render(tmp_path / "s.pdf", "pdf", index).pixels, pages.render(SAMPLE, "pdf", original).pixels
            )

    def test_resolutions_that_differ_in_x_and_y_follow_the_rotation(self, tmp_path: Path) -> None:
        """Fax scans: 204 x 98 dpi. The coarser direction is brought up to the finer one."""
        for rotation in (0, 90):
            document = pymupdf.open(scan_pdf(tmp_path / "f.pdf", [picture(size=(1728, 1078))]))
            document[0].set_rotation(rotation)
            document.save(tmp_path / f"f{rotation}.pdf")
            raster = pages.render(tmp_path / f"f{rotation}.pdf", "pdf", 0)
            assert round(raster.dpi) == 203
            assert sorted(raster.pixels.shape) == [1728, pytest.approx(2236.5, abs=1)]
            assert (raster.pixels.shape[0] > raster.pixels.shape[1]) == (rotation == 0)

    @pytest.mark.parametrize(
        ("rotation", "expected"), [(0, "top left"), (90, "top right"), (180, "bottom right"), (270, "bottom left")]
    )
    def test_rotation(self, tmp_path: Path, rotation: int, expected: str) -> None:
        document = pymupdf.open(scan_pdf(tmp_path / "s.pdf", [picture()]))
        document[0].set_rotation(rotation)
        document.save(tmp_path / "r.pdf")
        raster = pages.render(tmp_path / "r.pdf", "pdf", 0)
        assert corner(raster.pixels) == expected
        facts = pages.leaf_facts(tmp_path / "r.pdf", "pdf", 0)
        assert (facts.width, facts.height, facts.rotation) == (raster.width, raster.height, rotation)
        assert (raster.width > raster.height) == (rotation in (90, 270))
        assert facts.reason == "a scan without text"

    def test_crop_box(self, tmp_path: Path) -> None:
        document = pymupdf.open(scan_pdf(tmp_path / "s.pdf", [picture()]))
        document[0].set_cropbox(pymupdf.Rect(306, 0, 612, 792))  # the right half: no black block
        document.save(tmp_path / "c.pdf")
        raster = pages.render(tmp_path / "c.pdf", "pdf", 0)
        assert raster.width == 306
        assert raster.pixels.min() > 200

    def test_inverted_decode(self, tmp_path: Path) -> None:
        """A bilevel image with /Decode [1 0] shows what a viewer shows."""
        plain = picture(mode="1")
        scan_pdf(tmp_path / "s.pdf", [plain])
        expected = pages.render(tmp_path / "s.pdf", "pdf", 0).pixels
        document = pymupdf.open(tmp_path / "s.pdf")
        xref = document[0].get_images()[0][0]
        document.xref_set_key(xref, "Decode", "[1 0]")
        document.save(tmp_path / "d.pdf")
        inverted = pages.render(tmp_path / "d.pdf", "pdf", 0).pixels
        assert np.allclose(inverted.astype(int), 255 - expected.astype(int), atol=2)
        assert (
            pages.leaf_facts(tmp_path / "d.pdf", "pdf", 0).image_hash
            != pages.leaf_facts(tmp_path / "s.pdf", "pdf", 0).image_hash
        )

    def test_resolution_of_a_low_scan_is_raised_and_of_a_high_one_capped(self, tmp_path: Path) -> None:
        low = pages.render(scan_pdf(tmp_path / "l.pdf", [picture(size=(612, 792))]), "pdf", 0)
        assert round(low.dpi) == 150
        high = pages.render(scan_pdf(tmp_path / "h.pdf", [picture(size=(5100, 6600))]), "pdf", 0)
        assert round(high.dpi) == 400
        text = pages.render(text_pdf(tmp_path / "t.pdf", [WORDS]), "pdf", 0)
        assert round(text.dpi) == 300

    def test_a_scan_whose_resolution_was_lost_is_not_blown_up(self, tmp_path: Path) -> None:
        path = scan_pdf(tmp_path / "l.pdf", [picture(size=(1700, 2200))], 1700, 2200)
        assert pages.render(path, "pdf", 0).pixels.shape == (2200, 1700)
        assert max(pages.render(path, "pdf", 0, dpi=200).pixels.shape) <= 3400

    def test_the_largest_page_is_rendered_within_the_limit(self, tmp_path: Path) -> None:
        document = pymupdf.open()
        document.new_page(width=14_000, height=14_000).insert_text((100, 100), "x")
        document.save(tmp_path / "p.pdf")
        assert pages.render(tmp_path / "p.pdf", "pdf", 0).pixels.size <= leaves.MAX_RENDER_PIXELS * 1.001

    def test_a_region(self, tmp_path: Path) -> None:
        path = scan_pdf(tmp_path / "s.pdf", [picture()])
        whole, left = pages.render(path, "pdf", 0), pages.render(path, "pdf", 0, region="0,0,0.5,1")
        assert left.pixels.shape[0] == whole.pixels.shape[0]
        assert abs(left.pixels.shape[1] - whole.pixels.shape[1] / 2) <= 1
        assert np.array_equal(left.pixels, whole.pixels[:, : left.pixels.shape[1]])
        assert left.width == 306
        for wrong in ("a", "0,0,2,1", "0.5,0,0.5,1", "0,0,1"):
            with pytest.raises(Rejected):
                pages.render(path, "pdf", 0, region=wrong)

    @pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I;16"])
    def test_modes_of_images(self, tmp_path: Path, mode: str) -> None:
        if mode == "I;16":
            image = Image.fromarray(np.asarray(picture()).astype(np.uint16) * 257)
        else:
            image = picture(mode=mode)
        path = tmp_path / "a.tif"
        image.save(path)
        pixels = pages.render(path, "image", 0).pixels
        assert corner(pixels) == "top left"
        assert pixels.min() < 30
        assert pixels.max() > 225

    def test_transparency_is_paper(self, tmp_path: Path) -> None:
        image = Image.new("RGBA", (400, 500), (0, 0, 0, 0))
        ImageDraw.Draw(image).rectangle((0, 0, 100, 60), fill=(0, 0, 0, 255))
        image.save(tmp_path / "a.png")
        assert corner(pages.render(tmp_path / "a.png", "image", 0).pixels) == "top left"
        assert pages.render(tmp_path / "a.png", "image", 0).pixels.max() == 255

    @pytest.mark.parametrize(
        ("orientation", "expected"), [(1, "top left"), (3, "bottom right"), (6, "top right"), (8, "bottom left")]
    )
    def test_photographs_are_turned_upright(self, tmp_path: Path, orientation: int, expected: str) -> None:
        exif = Image.Exif()
        exif[274] = orientation
        path = tmp_path / "a.jpg"
        picture().save(path, exif=exif, quality=95)
        raster = pages.render(path, "image", 0)
        facts = pages.leaf_facts(path, "image", 0)
        assert corner(raster.pixels) == expected
        assert (facts.width, facts.height) == (raster.width, raster.height)
        assert facts.rotation == {1: 0, 3: 180, 6: 90, 8: 270}[orientation]

    @pytest.mark.parametrize("behind", [False, True])
    def test_a_png_is_turned_wherever_that_stands(self, tmp_path: Path, behind: bool) -> None:
        exif = Image.Exif()
        exif[274] = 6
        body = encoded(picture(), exif=exif)
        at = body.index(b"eXIf") - 4
        chunk = body[at : at + 12 + int.from_bytes(body[at : at + 4], "big")]
        end = body.index(b"IEND") - 4
        if behind:
            body = body[:at] + body[at + len(chunk) : end] + chunk + body[end:]
        path = tmp_path / "a.png"
        path.write_bytes(body)
        assert pages.leaf_facts(path, "image", 0).rotation == 90
        assert corner(pages.render(path, "image", 0).pixels) == "top right"

    def test_the_pixels_of_a_png_are_not_decoded_for_facts(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        decoded: list[object] = []
        load = PngImageFile.load

        def noted(image: PngImageFile) -> object:
            decoded.append(image)
            return load(image)

        monkeypatch.setattr(PngImageFile, "load", noted)
        picture().save(tmp_path / "a.png", dpi=(200, 200))
        assert pages.leaf_facts(tmp_path / "a.png", "image", 0).width == pytest.approx(306, abs=0.1)
        assert not decoded
        pages.render(tmp_path / "a.png", "image", 0)
        assert decoded

    def test_frames_of_a_tiff(self, tmp_path: Path) -> None:
        path = tmp_path / "a.tif"
        turned = picture().transpose(Image.Transpose.ROTATE_180)
        picture().save(path, save_all=True, append_images=[turned])
        assert corner(pages.render(path, "image", 0).pixels) == "top left"
        assert corner(pages.render(path, "image", 1).pixels) == "bottom right"

    def test_png_for_a_viewer(self, tmp_path: Path) -> None:
        with Image.open(io.BytesIO(pages.png(SAMPLE, "pdf", 0, dpi=72))) as image:
            assert image.size in ((396, 612), (397, 612))
        picture(mode="RGB").save(tmp_path / "a.jpg", dpi=(200, 200))
        with Image.open(io.BytesIO(pages.png(tmp_path / "a.jpg", "image", 0, dpi=100))) as image:
            assert image.size == (425, 550)

    def test_damaged_page_is_rejected(self, tmp_path: Path) -> None:
        path = tmp_path / "a.png"
        path.write_bytes(encoded(picture())[:-200])
        with pytest.raises(Rejected, match=r"page 1 of .*a.png"):
            pages.render(path, "image", 0)


class TestReadingOrder:
    def line(self, text: str, x: float, y: float, width: float = 0) -> Line:
        return Line([Word(text, (x, y, x + (width or 6 * len(text)), y + 10))])

    def order(self, lines: list[Line]) -> list[str]:
        shuffled = list(lines)
        random.Random(7).shuffle(shuffled)
        return [line.text for line in reading_order(shuffled, 400)]

    def test_one_column(self) -> None:
        assert self.order([self.line(f"line{n}", 40, 40 + 14 * n, 300) for n in range(9)]) == [
            f"line{n}" for n in range(9)
        ]

    def test_contents_with_page_numbers(self) -> None:
        lines = [self.line(f"title{n}", 40, 40 + 14 * n, 150) for n in range(8)]
        lines += [self.line(str(n), 350, 41 + 14 * n, 12) for n in range(8)]
        assert self.order(lines) == [f"title{n} {n}" for n in range(8)]

    def test_two_columns_with_heading_and_page_number(self) -> None:
        lines = [self.line("heading", 40, 10, 320)]
        lines += [self.line(f"{side}{n}", x, 40 + 14 * n, 150) for side, x in (("l", 40), ("r", 210)) for n in range(6)]
        lines += [self.line("99", 195, 300, 12)]
        assert self.order(lines) == ["heading", *(f"l{n}" for n in range(6)), *(f"r{n}" for n in range(6)), "99"]

    def test_nothing(self) -> None:
        assert self.order([]) == []
