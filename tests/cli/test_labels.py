import pytest

from cli.labels import short_labels


@pytest.mark.parametrize(
    ("labels", "short"),
    [
        ([], ""),
        ([None, None, "iii", *map(str, range(1, 24))], "2 unnumbered, iii, 1-23"),
        (["i", "ii", "iii", "iv", "1", "2"], "i-iv, 1-2"),
        (["A-1", "A-2", "B-1"], "A-1-A-2, B-1"),
        (["1", "2", None, "5", "7"], "1-2, 1 unnumbered, 5, 7"),
        (["I", "ii"], "I, ii"),
        (["frontispiece", None], "frontispiece, 1 unnumbered"),
    ],
)
def test_runs_of_labels(labels: list[str | None], short: str) -> None:
    assert short_labels(labels) == short
