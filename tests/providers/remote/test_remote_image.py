"""The picture that a service gets, and the way back from its answer to the page."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from rapidfuzz.distance import Levenshtein

from providers.errors import Rejected
from providers.image_steps import ImageSteps
from providers.pool import EnginePool
from providers.queues import provider_queues
from providers.remote_image import Engine, PageImages, encoded
from providers.source import LeafSource
from providers.tesseract import TesseractProvider
from schemas.reading import Line, Word

SAMPLE = Path(__file__).parents[3] / "samples" / "a-day-at-a-time-scan.pdf"
ROW = provider_queues()["mistral"]


def noise(rows: int, columns: int) -> np.ndarray:
    """What neither PNG nor JPEG makes small."""
    return np.random.default_rng(7).integers(0, 256, (rows, columns), dtype=np.uint8)


class TestEncoding:
    def test_print_is_png_and_unchanged(self) -> None:
        pixels = np.full((900, 600), 255, dtype=np.uint8)
        pixels[100:120, 50:500] = 0
        body, media_type, columns, rows = encoded(pixels, 7_000_000, 4000)
        assert (media_type, columns, rows) == ("image/png", 600, 900)
        assert (np.asarray(Image.open(io.BytesIO(body))) == pixels).all()

    def test_a_gray_scan_is_jpeg(self) -> None:
        body, media_type, columns, rows = encoded(noise(1600, 1200), 7_000_000, 4000)
        assert (media_type, columns, rows) == ("image/jpeg", 1200, 1600)
        assert Image.open(io.BytesIO(body)).format == "JPEG"

    @pytest.mark.parametrize("max_bytes", [900_000, 200_000, 20_000])
    def test_it_fits(self, max_bytes: int) -> None:
        body, _, columns, rows = encoded(noise(1600, 1200), max_bytes, 4000)
        assert len(body) <= max_bytes
        assert Image.open(io.BytesIO(body)).size == (columns, rows)
        assert columns / rows == pytest.approx(0.75, abs=0.02)

    def test_no_side_is_too_long(self) -> None:
        _, _, columns, rows = encoded(np.full((3000, 1000), 255, dtype=np.uint8), 7_000_000, 1500)
        assert (columns, rows) == (500, 1500)

    def test_what_cannot_fit_is_refused(self) -> None:
        with pytest.raises(Rejected, match="cannot be made to fit into 300 bytes"):
            encoded(noise(1600, 1200), 300, 4000)

    def test_the_same_page_gives_the_same_bytes(self) -> None:
        task = (str(SAMPLE), "pdf", 4, "", ImageSteps(skew=0.7).to_json())
        first, second = (Engine(1_000_000, 2000)(task) for _ in range(2))
        assert first.body == second.body
        assert len(first.body) <= 1_000_000
        assert max(first.columns, first.rows) <= 2000


@pytest.mark.parametrize("steps", [ImageSteps(), ImageSteps(skew=2.0), ImageSteps(orientation=90, skew=-3.0)])
def test_boxes_come_back_to_where_the_print_is(steps: ImageSteps) -> None:
    """A word that the service finds in the prepared picture lies, on the page, where the picture's ink comes from."""
    image = Engine(7_000_000, 1500)((str(SAMPLE), "pdf", 4, "", steps.to_json()))
    width, height = (612, 396) if steps.orientation else (396, 612)
    x, y = 0.5, 0.25
    found = image.reading("x", [Line([Word("here", (x - 0.05, y - 0.01, x + 0.05, y + 0.01))])])
    assert (round(found.width), round(found.height)) == (width, height)
    # The way there: turn the found point about the page's middle, as the straightening did.
    box = found.words[0].box
    cx, cy = (box[0] + box[2]) / 2 - width / 2, (box[1] + box[3]) / 2 - height / 2
    angle = np.radians(-steps.skew)
    across, down = image.look.margin
    px = cx * np.cos(angle) - cy * np.sin(angle) + width / 2 + across
    py = cx * np.sin(angle) + cy * np.cos(angle) + height / 2 + down
    assert px / (width + 2 * across) == pytest.approx(x, abs=1e-3)
    assert py / (height + 2 * down) == pytest.approx(y, abs=1e-3)


def test_print_in_no_line_is_measured_as_for_the_other_engines() -> None:
    image = Engine(7_000_000, 4000)((str(SAMPLE), "pdf", 4, "", ""))
    nothing = image.reading("x", [])
    half = image.reading("x", [Line([Word("x", (0.0, 0.0, 1.0, 0.5))])])
    whole = image.reading("x", [Line([Word("x", (0.0, 0.0, 1.0, 1.0))])])
    assert nothing.figures["ink_lines"] > 15
    assert 0.2 < half.figures["ink_outside"] < 0.8
    assert whole.figures["ink_outside"] == 0.0


def test_pieces_of_a_line_are_put_together_by_their_places() -> None:
    image = Engine(7_000_000, 1500)((str(SAMPLE), "pdf", 4, "", ""))
    pieces = [
        Line([Word("Second", (0.1, 0.2, 0.3, 0.22))]),
        Line([Word("9", (0.8, 0.1, 0.82, 0.12))]),
        Line([Word("First", (0.1, 0.1, 0.3, 0.12))]),
    ]
    assert image.reading("x", pieces, ordered=False).text == "First 9\nSecond"


async def test_a_process_makes_it_and_a_bad_page_says_which(tmp_path: Path) -> None:
    images = PageImages(ROW, 1)
    try:
        leaf = LeafSource(path=str(SAMPLE), kind="pdf", index=2, page=3, book="a-day")
        image = await images.of(leaf, 60)
        assert image.data_url.startswith(f"data:{image.media_type};base64,")
        assert image.body == Engine(ROW.max_image_bytes, ROW.max_image_side)((leaf.path, "pdf", 2, "", "")).body
        with pytest.raises(Rejected):
            await images.of(leaf.model_copy(update={"index": 9999}), 60)
    finally:
        await images.close()


async def test_a_page_whose_process_ends_twice_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    images = PageImages(ROW, 1)
    # An "engine" that ends its process, in place of a library that crashes.
    images.pool = EnginePool(1, "tests.providers.engines:obedient", "pictures", {})
    leaf = LeafSource(path="segfault", kind="pdf", index=2, page=3, book="a-day")
    started: list[int] = []
    run = images.pool.run

    async def counted(task: object, seconds: float, what: str = "") -> object:
        started.append(1)
        return await run("segfault", seconds, what)

    monkeypatch.setattr(images.pool, "run", counted)
    try:
        with pytest.raises(Rejected, match="died on page 3 of a-day"):
            await images.of(leaf, 60)
    finally:
        await images.close()
    assert len(started) == 2


def test_parameters_follow_the_limits() -> None:
    small = PageImages(replace(ROW, max_image_bytes=1000))
    assert small.parameters() != PageImages(ROW).parameters()


@pytest.mark.slow
async def test_an_engine_reads_the_picture_as_it_reads_the_page(tmp_path: Path) -> None:
    """What is sent is as legible as what the local engines see."""
    image = Engine(400_000, 2500)((str(SAMPLE), "pdf", 4, "", ""))
    picture = tmp_path / f"page.{image.media_type.partition('/')[2]}"
    picture.write_bytes(image.body)
    engine = TesseractProvider(1)
    try:
        sent = await engine.read(LeafSource(path=str(picture), kind="image", index=0, page=5), "eng", 120)
        page = await engine.read(LeafSource(path=str(SAMPLE), kind="pdf", index=4, page=5), "eng", 120)
    finally:
        await engine.close()
    assert len(page.page.text) > 1000
    assert Levenshtein.normalized_distance(sent.page.text, page.page.text) < 0.005
