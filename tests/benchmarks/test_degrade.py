"""What the benchmark's scanner does to a page, measured on pictures whose properties are known."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from benchmarks import degrade
from benchmarks.degrade import PROFILES, RENDER_DPI, Profile
from benchmarks.readings import PageImage, write_picture
from providers import pages
from tests.providers.reading_helpers import ROOT

SAMPLE = str(ROOT / "samples/a-day-at-a-time-scan.pdf")
WHITE = np.full((400, 600), 255, dtype=np.uint8)

Pixels = NDArray[np.uint8]


def rule(row: int = 200) -> Pixels:
    """A horizontal line across the page."""
    page = WHITE.copy()
    page[row - 1 : row + 2, 50:550] = 0
    return page


def bar() -> Pixels:
    """A black half."""
    page = WHITE.copy()
    page[:, :300] = 0
    return page


def angle_of(page: Pixels) -> float:
    """Degrees counter-clockwise of the one line on the page, by regression over its dark pixels."""
    rows, columns = np.nonzero(page < 128)
    return -math.degrees(math.atan(np.polyfit(columns, rows, 1)[0]))


@pytest.mark.parametrize("degrees", [-3.0, -0.7, 0.5, 2.0])
def test_skew_turns_by_the_angle(degrees: float) -> None:
    turned = degrade.skew(rule(), degrees)
    assert turned.shape == WHITE.shape
    assert angle_of(turned) == pytest.approx(degrees, abs=0.05)
    assert turned[0, 0] == 255, "what comes in at the corners is paper"


@pytest.mark.parametrize("pixels", [0.8, 2.4])
def test_blur_widens_an_edge_by_its_deviation(pixels: float) -> None:
    slope = np.diff(degrade.blur(bar(), pixels)[200].astype(float))
    at = np.arange(len(slope))
    middle = (slope * at).sum() / slope.sum()
    deviation = math.sqrt((slope * (at - middle) ** 2).sum() / slope.sum())
    assert deviation == pytest.approx(pixels, rel=0.25)


def test_the_verso_shows_mirrored_at_its_share() -> None:
    through = degrade.show_through(WHITE, bar(), 0.3)
    assert through[200, 100] == 255
    assert through[200, 500] == pytest.approx(255 * 0.7, abs=1), "its left half is behind our right one"
    assert (degrade.show_through(bar(), bar(), 0.3)[:, :300] == 0).all(), "ink stays ink"


def test_a_smaller_verso_leaves_the_rest_of_the_paper() -> None:
    through = degrade.show_through(WHITE, np.zeros((100, 200), dtype=np.uint8), 0.5)
    assert through[50, 500] < 140
    assert through[300, 500] == through[50, 300] == 255


def test_resampling_keeps_the_page_and_its_ink() -> None:
    small = degrade.resample(bar(), 0.4)
    assert small.shape == (160, 240)
    assert small.mean() == pytest.approx(bar().mean(), abs=1)


def test_fading_lifts_black_and_leaves_white() -> None:
    faded = degrade.fade(bar(), 0.2)
    assert (faded[0, 0], faded[0, -1]) == (51, 255)


def test_noise_has_its_deviation_and_is_cut_off_at_white() -> None:
    gray = np.full((400, 600), 128, dtype=np.uint8)
    noisy = degrade.noise(gray, 20, np.random.default_rng(1)).astype(float)
    assert noisy.std() == pytest.approx(20, abs=0.5)
    assert noisy.mean() == pytest.approx(128, abs=0.5)
    assert degrade.noise(WHITE, 20, np.random.default_rng(1)).max() == 255


def test_two_tones() -> None:
    assert set(np.unique(degrade.two_tones(degrade.noise(bar(), 30, np.random.default_rng(1))))) == {0, 255}


def test_speckles_are_as_many_as_told() -> None:
    speckled = degrade.speckle(WHITE, 0.01, np.random.default_rng(1))
    assert (speckled == 0).mean() == pytest.approx(0.01, abs=0.001)


@pytest.mark.parametrize("name", PROFILES)
def test_a_page_is_the_same_picture_each_time(name: str) -> None:
    first, second, other = (degrade.degrade(rule(), bar(), PROFILES[name], seed) for seed in (7, 7, 8))
    assert np.array_equal(first, second)
    assert not np.array_equal(first, other)
    factor = PROFILES[name].dpi / RENDER_DPI
    assert first.shape == (round(400 * factor), round(600 * factor))


def test_skew_stays_within_the_profile_and_differs_by_page() -> None:
    profile = Profile("skewed alone", skew_degrees=3.0)
    angles = [angle_of(degrade.degrade(rule(), None, profile, seed)) for seed in range(12)]
    assert max(map(abs, angles)) <= 3.05
    assert max(angles) > 1
    assert min(angles) < -1


def test_seeds_are_the_same_in_every_process() -> None:
    assert degrade.seed_of(5, "worn") == degrade.seed_of(5, "worn") != degrade.seed_of(6, "worn")
    assert degrade.seed_of(5, "worn") == 8722618609021891676


def test_another_profile_is_another_picture() -> None:
    profile = PROFILES["worn"]
    assert len({one.identity() for one in PROFILES.values()}) == len(PROFILES)
    assert replace(profile, noise=15).identity() != profile.identity()
    assert PageImage(SAMPLE, 4, "worn").identity() != PageImage(SAMPLE, 5, "worn").identity()
    assert PageImage(SAMPLE, 4, "worn").identity() != PageImage(SAMPLE, 4).identity()


def test_pictures_carry_their_resolution(tmp_path: Path) -> None:
    """So engines see the page in its true size, whatever its profile's resolution."""
    file = tmp_path / "page.png"
    write_picture(PageImage(SAMPLE, 4, "worn"), file)
    raster = pages.render(file, "image", 0)
    original = pages.render(SAMPLE, "pdf", 4)
    assert raster.dpi == pytest.approx(150, abs=1)
    assert (raster.width, raster.height) == pytest.approx((original.width, original.height), rel=0.01)
