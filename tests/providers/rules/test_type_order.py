"""The order of a book's parts as a prior: what it mends, and what it leaves alone."""

from __future__ import annotations

import pytest

from providers.rules.page_types import page_types
from providers.rules.proposal import Proposal
from providers.rules.type_order import ORDER, cost, likeliest


def text(*first: str, **more: object) -> Proposal:
    return Proposal(first_lines=first or ("Plain words of a page",), words=300, rows=35, type_height=10, **more)  # type: ignore[arg-type]


def entries(*first: str, **more: object) -> Proposal:
    """A page of entries that end in numbers."""
    return Proposal(first_lines=first, words=120, rows=30, numbered=0.9, leaders=0.8, type_height=10, **more)  # type: ignore[arg-type]


TITLE = Proposal(first_lines=("A GREAT BOOK", "by", "A Person", "London"), words=8, rows=4, largest=30)
IMPRINT = Proposal(first_lines=("Copyright 1999",), words=60, rows=12, has_copyright=True, has_isbn=True)


def book(*middle: Proposal | None, pages: int = 30) -> list[Proposal | None]:
    return [TITLE, IMPRINT, *middle, *(text() for _ in range(pages))]


def types_of(proposals: list[Proposal | None], first_numbered: int) -> list[str]:
    labels = [str(i - first_numbered + 1) if i >= first_numbered else None for i in range(len(proposals))]
    return page_types(proposals, labels)


def test_a_page_in_the_middle_of_the_contents_belongs_to_them() -> None:
    doubtful = text("Neng 2. ee 7", "of the", numbered=0.3)
    found = types_of(book(entries("Contents"), entries("Chapter 9 ... 80"), doubtful, entries("Index ... 300")), 6)
    assert found[:7] == ["title_page", "copyright", "toc", "toc", "toc", "toc", "body"]


def test_leaders_that_read_like_a_copyright_sign_make_no_copyright_page() -> None:
    noisy = entries("1.2 Things (c) ... 7", has_copyright=True)
    proposals = [
        TITLE,
        text("A note without any number"),
        entries("Contents"),
        entries("1 A ... 3"),
        noisy,
        entries("9 Z ... 8"),
    ]
    found = types_of([*proposals, *(text() for _ in range(30))], 6)
    assert found[2:6] == ["toc"] * 4


@pytest.mark.parametrize("numbered", [0.6, 1.0])
def test_pages_of_tables_are_no_contents(numbered: float) -> None:
    tables: list[Proposal | None] = [text(numbered=numbered, listed=0.9) for _ in range(8)]
    found = types_of([*book(entries("Contents")), *tables, *(text() for _ in range(30))], 3)
    assert set(found[3:]) == {"body"}


def test_blank_and_unread_pages_are_passed_over() -> None:
    blank = Proposal()
    found = types_of(book(blank, entries("Contents"), None, entries("7 Z ... 8"), blank), 7)
    assert found[:8] == ["title_page", "copyright", "blank", "toc", "unread", "toc", "blank", "body"]


def test_a_keyword_holds_against_the_order() -> None:
    """Contents at the end of the book, a preface before the contents, notes after each chapter."""
    late = types_of([*book(text("Preface"), pages=40), entries("Table des matières"), entries("IX ... 210")], 3)
    assert (late[2], late[10]) == ("preface", "body")
    back = [text("Notes"), text(), text("Bibliography"), entries("Index", listed=0.9)]
    found = types_of([*book(entries("Contents"), pages=40), *back], 3)
    assert found[-4:] == ["notes", "notes", "bibliography", "index"]


def test_costs_say_how_books_are_made() -> None:
    assert all(cost(kind, kind) == 0 for kind in ORDER)
    assert cost("title_page", "copyright") < cost("copyright", "title_page")
    assert cost("toc", "body") < cost("body", "toc") < cost("body", "title_page")


def test_without_pages_there_is_nothing() -> None:
    assert likeliest([]) == []
