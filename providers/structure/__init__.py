"""What a book is made of, by rules over its blended readings: where each entry of the contents begins, chapters,
paragraphs, figures. Pure functions from `Sheet`s (`lines.py`) to frozen results; only `figures.py` looks at images.
"""

REVISION = 1
"""Part of the fingerprint: raised where a rule changes, so that a re-run does not find the old result."""

FIGURES_REVISION = 1
"""The same of `figures.py` alone, whose results are kept page by page."""
