"""What is left out of the text, and what must not be."""

from __future__ import annotations

import itertools

from providers.structure.edges import mark
from tests.providers.reading_helpers import line
from tests.providers.structure.books import prose, sheet_of


def classes(sheet_lines: dict[int, tuple[tuple[int, int, str], ...]]) -> list[tuple[int, int, int, str]]:
    return [(at, *run) for at, runs in sorted(sheet_lines.items()) for run in runs]


def test_heads_and_numbers_go_and_the_chapters_own_heading_stays() -> None:
    sheets = [
        sheet_of(1, line("The Storm", 150, 110, 16), *prose(20, y=150), line("1", 198, 570), label="1"),
        *(
            sheet_of(
                number,
                line(f"{number} THE STORM" if number % 2 == 0 else f"THE STORM {number}", 50, 40),
                *prose(25),
                label=str(number),
                header="THE STORM",
            )
            for number in range(2, 8)
        ),
    ]
    mark(sheets)
    assert classes(sheets[0].left_out) == [(21, 0, 1, "page_number")]
    assert classes(sheets[1].left_out) == [(0, 0, 1, "page_number"), (0, 1, 3, "running_head")]
    assert classes(sheets[2].left_out) == [(0, 0, 2, "running_head"), (0, 2, 3, "page_number")]
    assert [len(sheet.body) for sheet in sheets] == [21, *[25] * 6]


def test_feet_recur_too_and_a_heading_that_recurs_chapters_apart_is_none() -> None:
    sheets = [
        sheet_of(
            number,
            *([line("Summary", 50, 60, 12)] if number in {2, 14, 26} else []),
            *prose(20),
            line("A Treatise of Clocks, volume two", 50, 570, 8),
        )
        for number in range(1, 28)
    ]
    mark(sheets)
    assert all([run[-1] for run in classes(sheet.left_out)] == ["running_head"] for sheet in sheets)
    assert sheets[1].body[0].text == "Summary"


def test_a_number_that_was_misread_stands_where_the_others_do() -> None:
    sheets = [
        sheet_of(number, *prose(20), line("l7" if number == 7 else str(number), 198, 570), label=str(number))
        for number in range(5, 12)
    ]
    mark(sheets)
    assert [run[-1] for sheet in sheets for run in classes(sheet.left_out)] == ["page_number"] * 7


def test_catchwords_and_signatures() -> None:
    pages = []
    first = [
        "".join(letters) for letters in itertools.islice(itertools.permutations("mostluckyberg", 7), 0, 60000, 1400)
    ]
    for number in range(1, 41):
        body = prose(25)
        body[0].words[0].text = first[number]
        foot = [line(first[number + 1], 300, 480)]
        if number % 8 == 1:
            foot = [line("ABCDEF"[number // 8], 200, 500)]
        pages.append(sheet_of(number, *body, *foot))
    mark(pages)
    found = [run[-1] for sheet in pages for run in classes(sheet.left_out)]
    assert found.count("signature") == 5
    assert found.count("catchword") == 34, "all but those with a signature, and the last page"
