"""Which books are meant by folders, files and CSV files."""

from __future__ import annotations

from pathlib import Path

import pytest

from cli.sources import books_of, read_manifest, source_key
from providers.importing import look_at_source
from providers.pdf import PdfReader
from schemas.errors import BadInput, BadSource
from schemas.keys import book_key
from tests.cli.conftest import write_pdf


@pytest.fixture
def scans(tmp_path: Path) -> Path:
    """Two PDFs, a folder of images, a folder of PDFs; and what is no book."""
    for name in ("b10.pdf", "b2.pdf", "notes.txt", ".hidden.pdf", "pages/p1.png", "pages/p2.png", "more/c.PDF"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(name.encode())
    return tmp_path


def names(folder: Path, *arguments: str, each: bool = False) -> list[list[str]] | None:
    books = books_of([folder / name for name in arguments], each=each)
    return None if books is None else [[str(path.relative_to(folder)) for path in book.paths] for book in books]


def test_a_folder_of_pdfs_is_a_batch_in_the_order_of_people(scans: Path) -> None:
    assert names(scans, "") == [["b2.pdf"], ["b10.pdf"], ["more/c.PDF"], ["pages"]]


def test_files_in_order_and_a_folder_of_images_are_one_book(scans: Path) -> None:
    assert names(scans, "b2.pdf", "b10.pdf") is None
    assert names(scans, "pages") is None
    (scans / "pages" / "stray.pdf").write_bytes(b"x")
    assert names(scans, "pages") is None


def test_each_file_is_a_book_of_its_own(scans: Path) -> None:
    assert names(scans, "b2.pdf", "b10.pdf", each=True) == [["b2.pdf"], ["b10.pdf"]]
    assert names(scans, "pages", each=True) == [["pages/p1.png"], ["pages/p2.png"]]


def test_folders_and_files_together_are_a_batch(scans: Path) -> None:
    assert names(scans, "pages", "b2.pdf") == [["pages"], ["b2.pdf"]]


def test_a_link_back_to_a_folder_above_is_not_followed(scans: Path) -> None:
    (scans / "more" / "up").symlink_to(scans)
    (scans / "more" / "self").symlink_to(scans / "more")
    assert names(scans, "") == [["b2.pdf"], ["b10.pdf"], ["more/c.PDF"], ["pages"]]


def test_a_folder_with_two_names_is_looked_at_once(scans: Path) -> None:
    """Two folders that link to each other would otherwise give each book by many ways."""
    (scans / "other").mkdir()
    (scans / "other" / "d.pdf").write_bytes(b"d")
    (scans / "other" / "there").symlink_to(scans / "more")
    (scans / "more" / "back").symlink_to(scans / "other")
    found = names(scans, "") or []
    assert sorted(path.rsplit("/", 1)[-1] for (path,) in found) == ["b10.pdf", "b2.pdf", "c.PDF", "d.pdf", "pages"]


def test_a_linked_folder_elsewhere_is_followed(scans: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    (elsewhere / "e.pdf").write_bytes(b"e")
    (scans / "zlink").symlink_to(elsewhere)
    assert ["zlink/e.pdf"] in (names(scans, "") or [])


def test_a_folder_without_any_book(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("no book")
    with pytest.raises(BadSource, match="no PDF and no image"):
        books_of([tmp_path])


def test_a_row_per_book(tmp_path: Path) -> None:
    file = tmp_path / "scans.csv"
    file.write_text(
        "\ufeffPath;Barcode;Lang;Pages;OCR;Second_Opinion;fresh\n"
        'one.pdf;B-1;deu;"1-3,7";;no;\n'
        "\n"
        "sub/two;;;;rapidocr;;yes\n",
        encoding="utf-8",
    )
    one, two = read_manifest(file, {"language": "eng", "second_opinion": "rapidocr"})
    assert (one.paths, one.where) == ((tmp_path / "one.pdf",), "scans.csv, line 2")
    assert dict(one.options) == {"barcode": "B-1", "language": "deu", "pages": "1-3,7", "second_opinion": ""}
    assert two.paths == (tmp_path / "sub" / "two",)
    assert dict(two.options) == {"language": "eng", "second_opinion": "rapidocr", "ocr": "rapidocr", "fresh": True}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "scans.csv, line 1: there is no column `path`"),
        ("path,colour\na.pdf,red\n", "scans.csv, line 1: there is no column 'colour'"),
        ("path,pages,pages\n", "scans.csv, line 1: the column 'pages' is there twice"),
        ("path,pages\na.pdf,1-3\nb.pdf,x\n", "scans.csv, line 3: 'x' is not a page"),
        ("path,fresh\na.pdf,perhaps\n", "scans.csv, line 2: The input of the job is not right: field 'fresh'"),
        ("path,pages\n,1\n", "scans.csv, line 2: the path is missing"),
        ("path\na.pdf\n./a.pdf\n", "scans.csv, line 3: ./a.pdf is the book of scans.csv, line 2"),
        ("path\na.pdf,1\n", "scans.csv, line 2: it has 2 cells, but there are 1 columns"),
        ('path,pages\n"a.pdf,1\n', "scans.csv, line 2: it is no CSV"),
        ("path\n", "names no book"),
    ],
)
def test_what_is_wrong_is_named_with_its_line(tmp_path: Path, text: str, says: str) -> None:
    file = tmp_path / "scans.csv"
    file.write_text(text)
    with pytest.raises(BadInput) as refused:
        read_manifest(file, {})
    assert says in str(refused.value)


async def test_the_key_of_a_source_is_that_of_its_import(tmp_path: Path) -> None:
    file = write_pdf(tmp_path / "A Book.pdf", "Some text.")
    pdf = PdfReader()
    try:
        looked = await look_at_source(pdf, [file])
    finally:
        await pdf.close()
    import hashlib

    manifest = looked.manifest([hashlib.sha256(file.read_bytes()).hexdigest()])
    assert source_key([file]) == book_key(manifest.name, [part.sha256 for part in manifest.parts])


def test_each_row_may_have_its_model_and_its_budget(tmp_path: Path) -> None:
    file = tmp_path / "scans.csv"
    file.write_text("path,budget,llm,allow_unpriced\na.pdf,2.50,blend=anthropic/claude-haiku-5-5,\nb.pdf,,none,yes\n")
    first, second = read_manifest(file, {"budget_usd": 1.0})
    assert first.options == {"budget_usd": 2.5, "llm": {"blend": "anthropic/claude-haiku-5-5"}}
    assert second.options == {"budget_usd": 1.0, "llm": "", "allow_unpriced": True}
    file.write_text("path,budget\na.pdf,-1\n")
    with pytest.raises(BadInput, match=r"line 2.*budget_usd"):
        read_manifest(file, {})
