"""What a person says of the kind of a page: certain where the contents and the metadata are looked for, and for the kinds
of which a book has one page."""

from __future__ import annotations

from collections.abc import Mapping

from providers.rules.contents import find
from providers.rules.labels import propose, sequence
from providers.rules.metadata import extract
from schemas.reading import PageReading
from tests.providers.reading_helpers import body, line, page
from tests.providers.rules.test_contents import contents_page

LIST = contents_page(("One", "1"), ("Two", "9"), ("Three", "15"))
MORE = contents_page(*[(f"Chapter {i} of many", str(20 + 5 * i)) for i in range(1, 9)], heading=None)
ODD = page(line("One two three", 50, 90), line("Four five six", 50, 106))
"""What no rule takes for contents."""


def pages(*given: PageReading) -> list[tuple[int, PageReading]]:
    return list(enumerate(given, 1))


class TestContents:
    def test_a_page_of_another_type_is_none(self) -> None:
        book = pages(body(None), LIST, body("1"), body("2"))
        assert find(book).pages == [2]
        assert not find(book, types={2: "list"}).found
        assert find(book, [(1, "One", 3)], {2: "list"}).source == "outline"

    def test_a_page_that_no_rule_would_find(self) -> None:
        book = pages(body(None), ODD, body("1"), body("2"))
        assert not find(book).found
        found = find(book, types={2: "toc"})
        assert (found.pages, found.reason) == ([2], "page 2: a person says so")

    def test_it_wins_over_a_longer_run_and_takes_the_pages_that_go_on(self) -> None:
        book = pages(LIST, MORE, body(None), body(None), ODD, MORE, body("1"))
        assert find(book).pages == [1, 2]
        assert find(book, types={5: "toc"}).pages == [5, 6]
        assert find(book, types={5: "toc", 6: "list"}).pages == [5]

    def test_it_joins_a_run(self) -> None:
        book = pages(body(None), LIST, ODD, MORE, body("1"))
        assert find(book, types={3: "toc"}).pages == [2, 3, 4]

    def test_each_of_several_counts(self) -> None:
        book = pages(LIST, body(None), body(None), body(None), body(None), ODD)
        assert find(book, types={1: "toc", 6: "toc"}).pages == [1, 6]

    def test_a_type_of_a_page_that_is_not_among_them_changes_nothing(self) -> None:
        book = pages(body(None), LIST, body("1"))
        assert find(book, types={1: "title_page", 40: "toc"}) == find(book)


class TestMetadata:
    FALSE = page(line("A Series of Books", 80, 120, 28), line("by Tom Wood", 150, 220, 14))
    TRUE = page(line("Deep Water", 110, 120, 20), line("by Anna Lee", 150, 220, 12))
    NOTICE = page(
        *[line(text, 40, 300 + 14 * i, 7) for i, text in enumerate(("© Anna Lee 2003. All rights", "reserved."))]
    )

    def test_the_title_page_is_the_one_that_is_said(self) -> None:
        book = pages(self.TRUE, body(None, rows=12), self.FALSE, *[body(str(n), rows=12) for n in range(1, 6)])
        types = {1: "title_page"} if extract(book).title != "Deep Water" else {3: "title_page"}
        title, author = ("Deep Water", "Anna Lee") if 1 in types else ("A Series of Books", "Tom Wood")
        found = extract(book, types=types)
        assert (found.title, found.authors) == (title, [author])
        assert found.evidence["title"].page == next(iter(types))

    def test_a_page_of_another_type_is_no_title_page(self) -> None:
        book = pages(self.TRUE, body(None, rows=12), *[body(str(n), rows=12) for n in range(1, 6)])
        assert extract(book).title == "Deep Water"
        assert extract(book, types={1: "dedication"}).title != "Deep Water"

    def test_the_copyright_page_is_the_one_that_is_said(self) -> None:
        old = page(line("© Tom Wood 1950. All rights of this other book are reserved and more", 40, 300, 7))
        book = pages(self.TRUE, old, self.NOTICE, *[body(str(n), rows=12) for n in range(1, 6)])
        assert extract(book).year == 1950
        assert extract(book, types={3: "copyright"}).year == 2003


class TestTypes:
    FALSE, TRUE, NOTICE = TestMetadata.FALSE, TestMetadata.TRUE, TestMetadata.NOTICE
    BODY = tuple(body(str(n), rows=12) for n in range(1, 6))

    @staticmethod
    def types(*given: PageReading, said: Mapping[int, str] | None = None) -> list[str]:
        return [label.page_type for label in sequence([propose(each) for each in given], types=said)]

    def test_a_guessed_title_page_yields_to_the_one_that_is_said(self) -> None:
        book = (self.TRUE, body(None, rows=12), self.FALSE, *self.BODY)
        guessed = self.types(*book).index("title_page")
        assert guessed in (0, 2)
        said = 2 - guessed
        found = self.types(*book, said={said: "title_page"})
        assert (found[said], found.count("title_page")) == ("title_page", 1)

    def test_so_does_a_guessed_copyright_page(self) -> None:
        old = page(line("© Tom Wood 1950. All rights of this other book are reserved and more", 40, 300, 7))
        book = (self.TRUE, old, self.NOTICE, *self.BODY)
        assert self.types(*book)[1] == "copyright"
        found = self.types(*book, said={2: "copyright"})
        assert (found[2], found.count("copyright")) == ("copyright", 1)
        assert found[0] == "title_page"

    def test_one_that_no_rule_would_take_far_into_the_book(self) -> None:
        book = (self.TRUE, *self.BODY, ODD)
        assert self.types(*book)[0] == "title_page"
        found = self.types(*book, said={6: "title_page"})
        assert [at for at, kind in enumerate(found) if kind == "title_page"] == [6]
        notice_last = self.types(*book, said={6: "copyright"})
        assert (notice_last[0], notice_last[6]) == ("title_page", "copyright")

    def test_a_page_that_is_said_to_be_something_else_is_none(self) -> None:
        book = (self.TRUE, body(None, rows=12), *self.BODY)
        assert self.types(*book)[0] == "title_page"
        assert "title_page" not in self.types(*book, said={0: "dedication"})

    def test_what_is_said_twice_stands_twice(self) -> None:
        book = (self.TRUE, body(None, rows=12), self.FALSE, *self.BODY)
        found = self.types(*book, said={0: "title_page", 2: "title_page"})
        assert [at for at, kind in enumerate(found) if kind == "title_page"] == [0, 2]

    def test_of_a_page_that_could_not_be_read(self) -> None:
        readings = [None, *(propose(each) for each in (self.TRUE, *self.BODY))]
        found = [label.page_type for label in sequence(readings, types={0: "title_page"})]
        assert found[0] == "title_page"
        assert found.count("title_page") == 1

    def test_other_types_change_nothing_around_them(self) -> None:
        book = (self.TRUE, body(None, rows=12), *self.BODY)
        assert self.types(*book, said={4: "notes"}) == self.types(*book)
