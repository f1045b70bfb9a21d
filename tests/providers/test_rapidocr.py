"""RapidOCR through its pool; word boxes of its lines."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from providers.rapidocr import RapidOcrProvider, words_of_line
from providers.source import LeafSource
from schemas.errors import LanguageMissing

SAMPLE = Path(__file__).parents[2] / "samples" / "a-day-at-a-time-scan.pdf"


def leaf(page: int, path: Path = SAMPLE, kind: str = "pdf") -> LeafSource:
    return LeafSource(path=str(path), kind=kind, index=page - 1, page=page, book="a-day")


@pytest.mark.slow
async def test_reads_a_contents_page_and_a_blank_one(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    provider = RapidOcrProvider(1)
    await provider.warm()
    page = (await provider.read(leaf(3), "eng", 300)).page
    Image.new("L", (850, 1100), 255).save(tmp_path / "blank.png")
    blank = (await provider.read(leaf(1, tmp_path / "blank.png", "image"), "eng", 300)).page
    await provider.close()

    lines = [" ".join(line.text.replace(".", " ").split()) for line in page.lines]
    assert lines == [
        "CONTENTS",
        "A Day at a Time 1",
        "God in the Wheels 5",
        "A Triple Best 9",
        "Finical Farming 13",
        "The Doctor 17",
        "Well and Now 21",
        "iii",
    ]
    assert (round(page.width), round(page.height)) == (396, 612)
    assert all(0 <= x0 < x1 <= 397 and 0 <= y0 < y1 <= 613 for x0, y0, x1, y1 in (word.box for word in page.words))
    assert page.confidence is not None
    assert page.confidence > 90
    assert (page.provider, page.model) == ("rapidocr", provider.model("eng"))
    assert blank.lines == []
    output = capfd.readouterr()
    assert output.out == output.err == ""


def test_languages() -> None:
    provider = RapidOcrProvider()
    assert provider.model("eng") == provider.model("deu+fra")
    for language in ("rus", "eng+ell", ""):
        with pytest.raises(LanguageMissing, match="does not read"):
            provider.model(language)


def test_parameters_name_what_changes_the_answer() -> None:
    assert RapidOcrProvider().parameters()["use_cls"] is False


class TestWords:
    def test_pieces_are_joined_to_the_words_of_the_line(self) -> None:
        words = words_of_line(
            "self-critic as 12",
            0.9,
            (0, 0, 170, 10),
            [
                ("self-", 0.8, (0, 0, 50, 10)),
                ("critic", 1.0, (50, 1, 110, 11)),
                ("as", 0.7, (120, 0, 140, 10)),
                ("12", 0.9, (150, 0, 170, 10)),
            ],
        )
        assert [word.text for word in words] == ["self-critic", "as", "12"]
        assert words[0].box == pytest.approx((0, 0, 110, 11))
        assert words[0].confidence == pytest.approx((5 * 80 + 6 * 100) / 11)
        assert words[1].box == pytest.approx((120, 0, 140, 10))

    def test_one_piece_over_two_words_is_shared_out(self) -> None:
        words = words_of_line("one two", 0.9, (0, 0, 60, 10), [("onetwo", 0.9, (0, 0, 60, 10))])
        assert [word.text for word in words] == ["one", "two"]
        assert words[0].box[2] <= words[1].box[0] + 0.01

    @pytest.mark.parametrize("pieces", [[], [("something else", 0.5, (0.0, 0.0, 9.0, 9.0))]])
    def test_without_fitting_pieces_by_width(
        self, pieces: list[tuple[str, float, tuple[float, float, float, float]]]
    ) -> None:
        words = words_of_line("wide ill", 0.5, (100, 0, 200, 10), pieces)
        (a, b) = words
        assert a.box[0] == 100
        assert b.box[2] == pytest.approx(200)
        assert a.box[2] < b.box[0]
        assert a.box[2] - a.box[0] > b.box[2] - b.box[0]
        assert a.confidence == 50

    def test_nothing(self) -> None:
        assert words_of_line("  ", 0.5, (0, 0, 1, 1), []) == []
