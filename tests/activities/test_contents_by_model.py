"""What becomes of a model's look at likely contents pages, and of the entries that it extracts."""

from __future__ import annotations

from typing import Any

import pytest

from activities.toc_extract.schema import Entries, Listed, listed
from activities.toc_extract.schema import problems as entry_problems
from activities.toc_extract.schema import question as entry_question
from activities.toc_find.schema import SHORTLIST, SURE, Look, decided, problems, question, shortlist
from providers.rules.contents import ContentsFound
from schemas.reading import PageReading
from tests.providers.reading_helpers import body, line, page

WHO = "maker/model-1"


def contents(*rows: str) -> PageReading:
    return page(*(line(row, 40, 60 + 20 * at) for at, row in enumerate(rows)))


LIST = contents("Contents", *(f"The {at}th Thing . . . . . {at * 10}" for at in range(1, 12)))
BOOK = [(1, body()), (2, body()), (3, LIST), (4, body()), (5, body())]
FOUND = ContentsFound(found=True, pages=[3], source="printed", reason="the word")
NONE = ContentsFound(found=False, pages=[], source="none", reason="nothing")


def look(*pages: int, **values: Any) -> Look:
    given = {"goes_on": False, "structure": "chapters", "confidence": 0.9, "reason": "a list", **values}
    return Look(pages=list(pages), **given)


class TestShortlist:
    def test_what_the_rules_found_and_what_stands_beside(self) -> None:
        shown = shortlist(FOUND, BOOK)
        assert list(shown) == [2, 3, 4]
        assert shown[3] == "the rules take it for contents"
        assert shown[2] == shown[4] == "it stands beside those"

    def test_what_looks_like_contents_too(self) -> None:
        shown = shortlist(NONE, BOOK)
        assert shown == {3: "it looks like a list with page numbers"}
        assert shortlist(NONE, [(1, body()), (2, body())]) == {}

    def test_not_more_than_are_looked_at(self) -> None:
        many = [(page, LIST) for page in range(1, 20)]
        assert list(shortlist(NONE, many)) == list(range(1, SHORTLIST + 1))
        found = FOUND.model_copy(update={"pages": list(range(5, 15))})
        assert list(shortlist(found, many)) == list(range(5, 5 + SHORTLIST))

    def test_the_question_shows_text_and_reason(self) -> None:
        asked = question({3: "why", 9: "not read"}, BOOK)
        assert asked.startswith("--- page 3: why ---\nContents\n")
        assert asked.endswith("--- page 9: not read ---\n(no text)")


class TestDecided:
    def test_its_pages_count(self) -> None:
        found = decided(FOUND, look(4, 3), WHO)
        assert (found.pages, found.source, found.found, found.unsure) == ([3, 4], "printed", True, False)
        assert found.reason == f"a list ({WHO}, 90% sure)"
        assert found.structure == "chapters"

    @pytest.mark.parametrize("values", [{"confidence": SURE - 0.01}, {"goes_on": True}])
    def test_where_it_did_not_decide(self, values: dict[str, Any]) -> None:
        assert decided(FOUND, look(3, **values), WHO).unsure

    def test_where_it_contradicts_the_rules(self) -> None:
        found = decided(FOUND, look(structure=None), WHO)
        assert (found.pages, found.source, found.unsure) == ([], "none", True)
        assert not decided(NONE, look(), WHO).unsure, "both say that there are none"

    def test_an_outline_stays(self) -> None:
        outline = ContentsFound(found=True, pages=[], source="outline", reason="the PDF has one")
        found = decided(outline, look(), WHO)
        assert (found.found, found.source, found.structure) == (True, "outline", None)
        assert decided(outline, look(3), WHO).source == "printed+outline"

    def test_pages_that_were_not_shown_stay(self) -> None:
        many = FOUND.model_copy(update={"pages": list(range(5, 14))})
        assert decided(many, look(*range(5, 11)), WHO).pages == list(range(5, 14))

    def test_a_page_that_it_was_not_given(self) -> None:
        assert problems(look(3), {3: ""}) == []
        assert problems(look(3, 7), {3: "", 4: ""}) == ["page 7 is none of those that you were given (3, 4)"]


PAGES = [(3, contents("Contents", "I. The Harbour . . 1", "The Pilot and his B0at . . 12", "Index . . xii"))]


def entry(title: str, number: str | None = None, level: int = 1, page: str | None = None, on: int = 3) -> Listed:
    return Listed(number=number, title=title, level=level, kind=None, page=page, contents_page=on)


def wrong(*entries: Listed) -> list[str]:
    return entry_problems(Entries(entries=list(entries)), PAGES)


class TestEntries:
    def test_nothing_is_wrong(self) -> None:
        good = [
            entry("The Harbour", "I", page="1"),
            entry("The Pilot and His Boat", page="12"),
            entry("Index", page="xii"),
        ]
        assert wrong(*good) == [], "also where an engine misread a letter"

    def test_none_at_all(self) -> None:
        assert wrong() == ["there are no entries, but these are contents pages"]

    def test_what_the_model_is_told_of(self) -> None:
        assert wrong(entry("The Harbour", on=9)) == ["entry 1: contents_page 9 is none of [3]"]
        assert wrong(entry("The Harbour", page="p. 1")) == ["entry 1: page 'p. 1' is no page number"]
        assert wrong(entry(" ")) == ["entry 1 has neither number nor title"]
        assert wrong(entry("", "II")) == [], "a part may have no title"

    def test_the_contents_of_another_book(self) -> None:
        (said,) = wrong(entry("Loomings"), entry("The Carpet-Bag of Ishmael"))
        assert "do not stand on these pages, as 'Loomings'" in said

    def test_a_few_that_no_engine_could_read(self) -> None:
        assert wrong(*[entry("The Harbour")] * 4, entry("Loomings of a Whale")) == []

    def test_levels_have_no_gaps(self) -> None:
        levels = [3, 3, 1, 4, 2, 3, 1]
        made = listed(Entries(entries=[entry(f"T{level}", level=level) for level in levels]))
        assert [level for _, level in made] == [1, 1, 1, 2, 2, 3, 1]

    def test_as_the_rules_have_them(self) -> None:
        ((made, level),) = listed(Entries(entries=[entry("  The Harbour ", " I ", page=" 1 ")]))
        assert (made.title, made.number, made.printed, made.physical, level) == ("The Harbour", "I", "1", 3, 1)
        ((part, _),) = listed(Entries(entries=[entry("", "II", page="")]))
        assert (part.title, part.printed) == ("", None)

    def test_the_question(self) -> None:
        assert entry_question(PAGES, None).startswith("--- physical page 3 ---\nContents")
        assert entry_question(PAGES, "two levels").startswith("Who found the contents says of them: two levels\n\n")
