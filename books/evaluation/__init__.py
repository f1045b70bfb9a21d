"""How good a processed book is, against a truth file. Pure: values in, figures out (definitions: `docs/evaluation.md`).

`truth` reads the files, `score` puts together what `text`, `labels`, `contents` and `metadata` measure, `report` makes rows
for people.
"""

from books.evaluation.score import BookScore, Processed, score_book, total
from books.evaluation.truth import Truth, load_truth, truth_files

__all__ = ["BookScore", "Processed", "Truth", "load_truth", "score_book", "total", "truth_files"]
