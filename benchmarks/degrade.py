"""What scanning does to a page: skew, blur, show-through of the verso, noise, low resolution, two tones.

Pure functions from raster to raster (rows x columns, 0 black to 255 white); `degrade` puts them together by a named profile
and a seed, so that a page of a profile is the same picture wherever it is made. Lengths are given for 300 dpi, at which
the pages are rendered; a profile's own resolution comes last, as the scanner's does.
"""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Pixels = NDArray[np.uint8]

REVISION = 1
"""Part of the identity of every degraded page: raised where the picture changes."""

RENDER_DPI = 300
"""At which pages are rendered before they are degraded."""

PAPER = 255


@dataclass(frozen=True, slots=True)
class Profile:
    """How bad a scan is. Every page draws its own skew, noise and speckles by its seed."""

    name: str
    dpi: float = RENDER_DPI
    skew_degrees: float = 0.0
    """Each page lies askew by an angle between minus and plus this."""
    blur_pixels: float = 0.0
    """Standard deviation of a Gaussian, in pixels at 300 dpi."""
    show_through: float = 0.0
    """Share of the verso's ink that shows, mirrored."""
    noise: float = 0.0
    """Standard deviation, in gray levels, of noise in every pixel of the scan."""
    fading: float = 0.0
    """Share of the contrast that is lost: black becomes gray."""
    speckles: float = 0.0
    """Share of the pixels that are turned over after all else: dust on a bilevel scan."""
    bilevel: bool = False
    """Black and white only, by one threshold."""

    def identity(self) -> str:
        """Changes with whatever may change the picture."""
        return hashlib.sha256(repr((REVISION, RENDER_DPI, sorted(asdict(self).items()))).encode()).hexdigest()


PROFILES = {
    profile.name: profile
    for profile in (
        Profile("scan200", dpi=200, skew_degrees=0.7, blur_pixels=0.8, noise=8, fading=0.1),
        Profile("scan300", skew_degrees=0.7, blur_pixels=0.8, noise=10, fading=0.1),
        Profile("bilevel", skew_degrees=0.7, blur_pixels=1.0, noise=25, speckles=0.0005, bilevel=True),
        Profile("skewed", skew_degrees=3.0, blur_pixels=0.6, noise=5),
        Profile("noisy", skew_degrees=0.5, blur_pixels=0.6, noise=45),
        Profile("blurred", skew_degrees=0.5, blur_pixels=2.4, noise=6, fading=0.15),
        Profile("through", skew_degrees=0.5, blur_pixels=0.8, show_through=0.3, noise=8, fading=0.2),
        Profile("lowres", dpi=120, skew_degrees=0.5, blur_pixels=0.8, noise=5),
        Profile("worn", dpi=150, skew_degrees=1.5, blur_pixels=1.2, show_through=0.2, noise=14, fading=0.25),
    )
}
"""By name, mildest first; `worn` is a bit of everything."""


def degrade(page: Pixels, verso: Pixels | None, profile: Profile, seed: int) -> Pixels:
    """The page as a scanner would have it.

    Args:
        page: rendered at RENDER_DPI.
        verso: the page on the back of the leaf, rendered alike; None = blank.
        seed: of everything that is drawn by lot.
    """
    import numpy as np

    lot = np.random.default_rng(seed)
    angle = float(lot.uniform(-1, 1)) * profile.skew_degrees
    if profile.show_through and verso is not None:
        page = show_through(page, verso, profile.show_through)
    if angle:
        page = skew(page, angle)
    if profile.blur_pixels:
        page = blur(page, profile.blur_pixels)
    if profile.dpi != RENDER_DPI:
        page = resample(page, profile.dpi / RENDER_DPI)
    if profile.fading:
        page = fade(page, profile.fading)
    if profile.noise:
        page = noise(page, profile.noise, lot)
    if profile.bilevel:
        page = two_tones(page)
    if profile.speckles:
        page = speckle(page, profile.speckles, lot)
    return page


def seed_of(*what: object) -> int:
    """The same number for the same things, in every process and on every machine."""
    return int.from_bytes(hashlib.sha256(repr(what).encode()).digest()[:8])


def skew(page: Pixels, degrees: float) -> Pixels:
    """Turned counter-clockwise about its middle; the size stays, the corners are paper."""
    import numpy as np
    from PIL import Image

    turned = Image.fromarray(page).rotate(degrees, Image.Resampling.BICUBIC, fillcolor=PAPER)
    return np.asarray(turned, dtype=np.uint8)


def blur(page: Pixels, pixels: float) -> Pixels:
    """Out of focus: a Gaussian of this standard deviation."""
    import numpy as np
    from PIL import Image, ImageFilter

    return np.asarray(Image.fromarray(page).filter(ImageFilter.GaussianBlur(pixels)), dtype=np.uint8)


SHOW_BLUR_PIXELS = 2.0
"""Paper scatters what shines through it."""


def show_through(page: Pixels, verso: Pixels, share: float) -> Pixels:
    """The ink of the verso, mirrored and scattered, at a share of its darkness behind the page's own."""
    import numpy as np

    behind = np.full_like(page, PAPER)
    rows, columns = min(page.shape[0], verso.shape[0]), min(page.shape[1], verso.shape[1])
    behind[:rows, -columns:] = verso[:rows, :columns][:, ::-1]
    light = 1 - share * (1 - blur(behind, SHOW_BLUR_PIXELS).astype(np.float32) / PAPER)
    return np.clip(page * light, 0, PAPER).round().astype(np.uint8)


def resample(page: Pixels, factor: float) -> Pixels:
    """Scanned at another resolution: each pixel is the mean of what it covers."""
    import numpy as np
    from PIL import Image

    size = (max(1, round(page.shape[1] * factor)), max(1, round(page.shape[0] * factor)))
    return np.asarray(Image.fromarray(page).resize(size, Image.Resampling.BOX), dtype=np.uint8)


def fade(page: Pixels, share: float) -> Pixels:
    """Less contrast: black goes this share of the way to white."""
    import numpy as np

    return (PAPER - (PAPER - page.astype(np.float32)) * (1 - share)).round().astype(np.uint8)


def noise(page: Pixels, sigma: float, lot: np.random.Generator) -> Pixels:
    """Gaussian noise in every pixel, in gray levels; what exceeds white is cut off, as a scanner does."""
    import numpy as np

    grain = lot.standard_normal(page.shape, dtype=np.float32) * sigma
    return np.clip(page + grain, 0, PAPER).round().astype(np.uint8)


THRESHOLD = 150
"""Of 255: a little above the middle, so that thin strokes survive a blur."""


def two_tones(page: Pixels) -> Pixels:
    """Black and white by one threshold, as fax and cheap scanners do."""
    import numpy as np

    return np.where(page < THRESHOLD, np.uint8(0), np.uint8(PAPER))


def speckle(page: Pixels, share: float, lot: np.random.Generator) -> Pixels:
    """This share of the pixels turned over: black becomes white, white black."""
    import numpy as np

    hit = lot.random(page.shape, dtype=np.float32) < share
    return np.where(hit, PAPER - page, page).astype(np.uint8)
