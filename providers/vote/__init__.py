"""Blends what several engines read on one page into one reading, without a model.

`align` finds which lines and words of the engines stand for the same ink; `choose` decides where they differ;
`blend` puts both together. Pure functions: no I/O, no clock.
"""

from providers.vote.blend import agreement, blend

__all__ = ["REVISION", "agreement", "blend"]

REVISION = 1
"""Part of the fingerprint: raised where the rules change, so that blending anew does not find the old result."""
