"""Every entry to its leaf: two witnesses, and what they disagree on."""

from __future__ import annotations

from providers.structure.lines import Sheet
from providers.structure.links import is_number_line, link
from schemas.reading import Line
from tests.providers.reading_helpers import line, sample_truth
from tests.providers.structure.books import book, entry, prose, sample_book


def chapter(title: str, number: str = "") -> list[Line]:
    head = [line(number, 180, 90, 12)] if number else []
    return [*head, line(title, 130, 110, 16), *prose(20, y=150)]


def a_book(**at: tuple[int, str]) -> list[Sheet]:
    """Thirty pages of text; `at`: page -> (number line, title)."""
    pages: list[list[Line]] = [prose(25) for _ in range(30)]
    for number, title in at.values():
        pages[number - 1] = chapter(title)
    return book(pages)


def test_number_and_title_agree() -> None:
    sheets = a_book(one=(5, "The Wheels"), two=(12, "The Doctor"))
    links = link([entry("The Wheels", "5"), entry("The Doctor", "12")], sheets)
    assert [(each.page, each.line, each.method, each.confidence, each.mismatch) for each in links] == [
        (5, 0, "label+title", 0.98, None),
        (12, 0, "label+title", 0.98, None),
    ]


def test_a_title_two_leaves_on_is_believed_and_said() -> None:
    sheets = a_book(one=(5, "The Wheels"), two=(14, "The Doctor"))
    (_, doctor) = link([entry("The Wheels", "5"), entry("The Doctor", "12")], sheets)
    assert (doctor.page, doctor.method) == (14, "title")
    assert doctor.mismatch == "'The Doctor' is printed p. 12 = image 12, but its title stands on image 14 (p. 14)."


def test_a_misprinted_number_is_overruled_by_a_heading_far_away_that_keeps_the_order() -> None:
    sheets = a_book(one=(5, "The Wheels of Time"), two=(22, "The Doctor and his Men"), three=(26, "The End of It"))
    links = link(
        [entry("The Wheels of Time", "5"), entry("The Doctor and his Men", "2"), entry("The End of It", "26")], sheets
    )
    assert [each.page for each in links] == [5, 22, 26]
    assert "stands on image 22" in (links[1].mismatch or "")


def test_titles_that_recur_are_told_apart_by_their_order() -> None:
    sheets = a_book(a=(3, "One"), b=(6, "Summary"), c=(10, "Two"), d=(15, "Summary"))
    wanted = [entry("One", None), entry("Summary", None), entry("Two", None), entry("Summary", None)]
    # Titles of three letters are looked for only where a number points.
    wanted[0], wanted[2] = entry("One", "3"), entry("Two", "10")
    assert [each.page for each in link(wanted, sheets)] == [3, 6, 10, 15]


def test_what_only_the_number_tells_is_said() -> None:
    sheets = a_book(one=(5, "The Wheels"))
    (there, nowhere, unknown) = link(
        [entry("Something Else Entirely", "9"), entry("Absent Title", None), entry("Another Absence", "99")], sheets
    )
    assert (there.page, there.line, there.method) == (9, None, "label")
    assert there.mismatch == "'Something Else Entirely' is printed p. 9 = image 9, but its title does not stand there."
    assert (nowhere.page, nowhere.method, nowhere.confidence) == (None, "none", 0.0)
    assert nowhere.mismatch == "'Absent Title' has no page number, and its title was not found."
    assert (
        unknown.mismatch
        == "'Another Absence' is printed p. 99, a number that no page has, and its title was not found."
    )


def test_an_outline_is_checked_against_the_page() -> None:
    sheets = a_book(one=(5, "The Wheels"), two=(12, "The Doctor"))
    (right, wrong) = link(
        [entry("The Wheels", "5", 5, source="outline"), entry("The Doctor", "10", 10, source="outline")], sheets
    )
    assert (right.page, right.method, right.mismatch) == (5, "outline+title", None)
    assert (wrong.page, wrong.method) == (12, "title")
    assert wrong.mismatch == "The outline puts 'The Doctor' on image 10, but its title stands on image 12 (p. 12)."


def test_a_heading_begins_with_its_number_and_two_may_share_a_page() -> None:
    pages: list[list[Line]] = [prose(25) for _ in range(8)]
    pages[3] = [*prose(5), line("CHAPTER II", 160, 190, 12), line("The Doctor", 150, 215, 16), *prose(8, y=250)]
    pages[3] += [line("The Nurse", 150, 390, 16), *prose(6, y=420)]
    links = link([entry("The Doctor", "4", number="II"), entry("The Nurse", "4")], book(pages))
    assert [(each.page, each.line) for each in links] == [(4, 5), (4, 15)]


def test_a_title_over_two_lines_and_one_that_the_page_prolongs() -> None:
    pages: list[list[Line]] = [prose(25) for _ in range(8)]
    pages[2] = [line("The Long and Winding", 100, 80, 16), line("Story of the Clock", 110, 100, 16), *prose(15, y=150)]
    pages[5] = [line("3.3 Roles (Annex A)", 50, 80, 14), *prose(15, y=150)]
    links = link(
        [entry("The Long and Winding Story of the Clock", "3"), entry("Roles", "6", number="3.3")], book(pages)
    )
    assert [(each.page, each.line, each.method) for each in links] == [(3, 0, "label+title"), (6, 0, "label+title")]


def test_number_lines() -> None:
    for text in ("CHAPTER IV", "IV.", "12", "Chapter the First", "PART TWO", "— 3 —"):
        assert is_number_line(text), text
    for text in ("CHAPTER 1. INTRODUCTION", "The Doctor", "Book lovers", "1.1 Scope", ""):
        assert not is_number_line(text), text


def test_the_sample_scan() -> None:
    sheets, entries, _, contents, _ = sample_book()
    links = link(entries, sheets, contents)
    assert [(each.page, each.line, each.method) for each in links] == [
        (row["page"], 0, "label+title") for row in sample_truth()["toc"]
    ]
