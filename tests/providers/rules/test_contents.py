"""Contents: found, read, levelled and linked."""

from __future__ import annotations

import pytest

from providers.rules.contents import Entry, extract, find
from providers.rules.labels import propose, sequence
from providers.vote import blend
from schemas.reading import Line, PageReading
from tests.providers.reading_helpers import body, line, page, sample, sample_truth


def contents_page(
    *rows: tuple[str, str | None] | tuple[str, str | None, float], heading: str | None = "CONTENTS"
) -> PageReading:
    """Rows of (title, number[, indent]); numbers are set flush right in lines of their own, as text layers have them."""
    lines: list[Line] = [line(heading, 160, 50, 12)] if heading else []
    for i, row in enumerate(rows):
        y = 90.0 + 16 * i
        lines.append(line(row[0], 50 + (row[2] if len(row) > 2 else 0), y))
        if row[1] is not None:
            lines.append(line(row[1], 350 - 5 * len(row[1]), y))
    return page(*lines)


def read(
    *pages: PageReading, labels: dict[int, str | None] | None = None, outline: list[tuple[int, str, int]] | None = None
) -> list[Entry]:
    return extract(list(enumerate(pages, 3)), outline or [], labels or {}, [])


def shape(entries: list[Entry]) -> list[tuple[str | None, str, int, str | None]]:
    return [(entry.number, entry.title, entry.level, entry.printed) for entry in entries]


class TestFind:
    def test_by_its_heading(self) -> None:
        pages = [body(None), contents_page(("One", "1"), ("Two", "9"), ("Three", "15")), body("1"), body("2")]
        found = find(list(enumerate(pages, 1)))
        assert (found.found, found.pages, found.source) == (True, [2], "printed")
        assert "page 2" in found.reason

    def test_by_rising_numbers_without_a_heading(self) -> None:
        rows = [
            (f"The chapter about {word}", str(7 * i + 1))
            for i, word in enumerate(("boats", "ropes", "sails", "winds", "tides", "ports", "crews"))
        ]
        found = find([(1, body(None)), (2, contents_page(*rows, heading=None)), (3, body("1"))])
        assert found.pages == [2]

    def test_several_pages_and_a_short_last_one(self) -> None:
        first = contents_page(*[(f"Chapter {i} of many", str(5 * i)) for i in range(1, 25)])
        second = contents_page(*[(f"Chapter {i} of many", str(5 * i)) for i in range(25, 45)], heading=None)
        last = contents_page(("Bibliography", "230"), ("Index", "241"), heading=None)
        found = find([(1, body(None)), (2, first), (3, second), (4, last), (5, body("1")), (6, body("2"))])
        assert found.pages == [2, 3, 4]

    def test_a_list_of_figures_is_not_contents(self) -> None:
        figures = contents_page(*[(f"Figure {i}. A boat", str(5 * i)) for i in range(1, 9)], heading="LIST OF FIGURES")
        assert not find([(1, body(None)), (2, figures), (3, body("1"))]).found

    def test_none(self) -> None:
        found = find([(n, body(str(n))) for n in range(1, 9)])
        assert (found.found, found.pages, found.source) == (False, [], "none")

    def test_outline_only(self) -> None:
        found = find([(n, body(str(n))) for n in range(1, 9)], [(1, "One", 1), (1, "Two", 5)])
        assert (found.found, found.pages, found.source) == (True, [], "outline")


class TestEntries:
    def test_decimal_numbers_give_levels(self) -> None:
        found = read(
            contents_page(("1 Boats", "1"), ("1.1 Small boats", "2", 15), ("1.1.1 Rafts", "3", 30), ("2 Ropes", "9"))
        )
        assert shape(found) == [
            ("1", "Boats", 1, "1"),
            ("1.1", "Small boats", 2, "2"),
            ("1.1.1", "Rafts", 3, "3"),
            ("2", "Ropes", 1, "9"),
        ]

    def test_indents_give_levels_on_recto_and_verso(self) -> None:
        recto = contents_page(("Boats", "1"), ("Small boats", "2", 15), ("Rafts", "3", 30), ("Large boats", "5", 15))
        verso = contents_page(("Ships", "8", 15), ("Ropes", "9"), ("Knots", "10", 15), heading=None)
        for row in verso.lines:
            for word in row.words:
                word.box = (word.box[0] - 22, word.box[1], word.box[2] - 22, word.box[3])
        assert [entry.level for entry in read(recto, verso)] == [1, 2, 3, 2, 2, 1, 2]

    def test_parts_lift_chapters(self) -> None:
        found = read(
            contents_page(
                ("Preface", "v"),
                ("I  The Coast", "1"),
                ("1 Boats", "3"),
                ("1.1 Rafts", "4"),
                ("II  The Hills", "40"),
                ("2 Goats", "41"),
                ("Index", "90"),
            )
        )
        assert [(entry.title, entry.level) for entry in found] == [
            ("Preface", 1), ("I The Coast", 1), ("Boats", 2), ("Rafts", 3), ("II The Hills", 1), ("Goats", 2), ("Index", 1),
        ]  # fmt: skip

    def test_parts_without_numbers(self) -> None:
        found = read(
            contents_page(
                ("PART ONE", None), ("Boats", "1"), ("Ropes", "9"), ("PART TWO", None), ("Goats", "41"), ("Sheep", "50")
            )
        )
        assert [(entry.title, entry.level, entry.printed) for entry in found] == [
            ("PART ONE", 1, None), ("Boats", 2, "1"), ("Ropes", 2, "9"),
            ("PART TWO", 1, None), ("Goats", 2, "41"), ("Sheep", 2, "50"),
        ]  # fmt: skip

    def test_wrapped_titles_are_joined(self) -> None:
        found = read(
            contents_page(
                ("1 Boats", "1"),
                ("2 A very long title that does not fit in one row and", None),
                ("goes on in the next", "9", 10),
                ("3 Ropes", "20"),
            )
        )
        assert [entry.title for entry in found] == [
            "Boats",
            "A very long title that does not fit in one row and goes on in the next",
            "Ropes",
        ]

    def test_a_first_word_of_one_letter_is_no_number(self) -> None:
        found = read(contents_page(("A Day at a Time", "1"), ("I Remember", "5"), ("God in the Wheels", "9")))
        assert [(entry.number, entry.title) for entry in found] == [
            (None, "A Day at a Time"),
            (None, "I Remember"),
            (None, "God in the Wheels"),
        ]

    def test_articles_with_a_wide_gap_behind_them_are_no_numbers(self) -> None:
        found = read(contents_page(("A  Day at a Time", "1"), ("God in the Wheels", "5"), ("A  Triple Best", "9")))
        assert [(entry.number, entry.title) for entry in found] == [
            (None, "A Day at a Time"),
            (None, "God in the Wheels"),
            (None, "A Triple Best"),
        ]

    def test_letters_number_appendices(self) -> None:
        found = read(contents_page(("1 Boats", "1"), ("2 Ropes", "5"), ("A   Knots", "9"), ("B   Winds", "12")))
        assert [(entry.number, entry.title) for entry in found][2:] == [("A", "Knots"), ("B", "Winds")]

    def test_leaders_and_noise_are_stripped(self) -> None:
        noisy = line("Fair Weather", 50, 90)
        noisy.words += (
            line("oo... ceesssescssseessseessssesceseccess", 120, 90, confidence=3).words + line("13", 340, 90).words
        )
        dotted = line("Foul Weather . . . . . . . . . . . . . . . . 21", 50, 106)
        glued = line("Storm..........................34", 50, 122)
        found = read(page(line("CONTENTS", 160, 50), noisy, dotted, glued))
        assert [(entry.title, entry.printed) for entry in found][:2] == [("Fair Weather", "13"), ("Foul Weather", "21")]

    def test_numbers_on_the_left(self) -> None:
        rows = [
            line(f"{n}  {title}", 50, 90 + 16 * i)
            for i, (n, title) in enumerate([(3, "Boats"), (17, "Ropes"), (29, "Sails"), (44, "Winds")])
        ]
        found = read(page(line("CONTENTS", 160, 50), *rows))
        assert [(entry.title, entry.printed) for entry in found] == [
            ("Boats", "3"),
            ("Ropes", "17"),
            ("Sails", "29"),
            ("Winds", "44"),
        ]

    def test_a_year_in_the_title_is_not_the_page(self) -> None:
        found = read(contents_page(("Boats before 1914", "1"), ("Boats after 1945", "19"), ("Ropes", "30")))
        assert [(entry.title, entry.printed) for entry in found][:2] == [
            ("Boats before 1914", "1"),
            ("Boats after 1945", "19"),
        ]


class TestLinks:
    def pages(self) -> tuple[list[tuple[int, PageReading]], dict[int, str | None]]:
        readings = [(1, page()), (2, contents_page(("Boats", "1"), ("Ropes", "3"), ("Sails", "6")))]
        titles = {3: "Boats", 5: "Ropes", 8: "Sails"}
        readings += [(n, body(str(n - 2), heading=titles.get(n))) for n in range(3, 11)]
        return readings, {n: str(n - 2) for n in range(3, 11)}

    def extract(self, labels: dict[int, str | None], outline: list[tuple[int, str, int]] | None = None) -> list[Entry]:
        readings, _ = self.pages()
        return extract([readings[1]], outline or [], labels, [(n, propose(reading)) for n, reading in readings])

    def test_label_and_title_agree(self) -> None:
        found = self.extract(self.pages()[1])
        assert [entry.page for entry in found] == [3, 5, 8]
        assert all(entry.confidence >= 0.9 for entry in found)

    def test_a_title_beside_the_labelled_page_wins_and_shows(self) -> None:
        labels: dict[int, str | None] = {n: str(n - 1) for n in range(3, 11)}
        found = self.extract(labels)
        assert [entry.page for entry in found][1:] == [5, 8]
        assert all(entry.confidence <= 0.6 for entry in found[1:])

    def test_without_labels_titles_are_looked_for(self) -> None:
        assert [entry.page for entry in self.extract({})] == [3, 5, 8]

    def test_an_outline_confirms(self) -> None:
        found = self.extract(self.pages()[1], [(1, "Boats", 3), (1, "Ropes", 5), (1, "Sails", 8)])
        assert {entry.source for entry in found} == {"printed+outline"}
        assert all(entry.confidence > 0.95 for entry in found)

    def test_an_outline_alone(self) -> None:
        found = extract([], [(1, "Boats", 3), (2, "Rafts", 4)], {3: "1", 4: "2"}, [])
        assert [(entry.title, entry.level, entry.page, entry.printed, entry.source) for entry in found] == [
            ("Boats", 1, 3, "1", "outline"),
            ("Rafts", 2, 4, "2", "outline"),
        ]

    def test_wrong_levels_of_an_outline_do_not_beat_numbering(self) -> None:
        found = read(
            contents_page(("1 Boats", "1"), ("1.1 Rafts", "2"), ("2 Ropes", "5")),
            outline=[(1, "Boats", 4), (2, "Rafts", 5), (3, "Ropes", 8)],
        )
        assert [entry.level for entry in found] == [1, 2, 1]

    def test_the_outlines_spelling_of_signs_is_taken(self) -> None:
        found = read(
            contents_page(("Why is fz var needed", "1"), ("Ropes", "5")),
            outline=[(1, "Why is fz_var needed", 4), (1, "Ropes", 8)],
        )
        assert found[0].title == "Why is fz_var needed"


@pytest.mark.parametrize("sources", [("tesseract",), ("tesseract", "rapidocr")])
def test_sample(sources: tuple[str, ...]) -> None:
    engines = [dict(sample(name)) for name in sources]
    readings = [(n, blend([engine[n] for engine in engines])) for n in range(1, 27)]
    proposals = [(n, propose(reading)) for n, reading in readings]
    labels = {n: label.label for (n, _), label in zip(proposals, sequence([p for _, p in proposals]), strict=True)}
    found = find(readings)
    assert found.pages == [3]
    entries = extract([readings[2]], [], labels, proposals)
    truth = sample_truth()["toc"]
    assert [(entry.level, entry.printed, entry.page) for entry in entries] == [
        (told["level"], told["printed"], told["page"]) for told in truth
    ]
    if len(sources) == 2:
        assert [entry.title for entry in entries] == [told["title"] for told in truth]
        assert all(entry.confidence >= 0.9 for entry in entries)
