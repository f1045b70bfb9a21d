"""Blends what several engines read on one page into one reading, without a model.

`align` finds which lines and words of the engines stand for the same ink; `choose` decides where they differ;
`locate` finds a place for readings without boxes; `blend` puts it all together; `quality` says how many errors to
expect; `correct` lays over it what a person says. Pure functions: no I/O, no clock.
"""

from providers.vote.blend import agreement, blend
from providers.vote.correct import CORRECTION, corrected, tidy
from providers.vote.quality import expected_cer

__all__ = ["CORRECTION", "REVISION", "agreement", "blend", "corrected", "expected_cer", "tidy"]

REVISION = 6
"""Part of the fingerprint: raised where the rules change, so that blending anew does not find the old result."""
