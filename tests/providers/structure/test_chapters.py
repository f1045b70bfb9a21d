"""Chapters and buckets: every line belongs to exactly one."""

from __future__ import annotations

import itertools

from hypothesis import given, settings
from hypothesis import strategies as st

from providers.structure.chapters import ChapterFacts, EntryTitle, Owner, chapters
from providers.structure.headings import split_number
from providers.structure.links import Link, link
from schemas.reading import Line
from tests.providers.reading_helpers import line, sample_truth
from tests.providers.structure.books import book, prose, sample_book, sheet_of


def title(name: str, level: int = 1, number: str | None = None) -> EntryTitle:
    return EntryTitle(key=name, number=number, title=name, level=level)


def linked(order: int, name: str, page: int | None, line: int | None = None) -> Link:
    return Link(order=order, entry=name, page=page, line=line, method="label", confidence=0.6, mismatch=None)


def shape(parts: list[ChapterFacts]) -> list[tuple[str, int, str, int, int, int, int | None]]:
    return [
        (part.title, part.level, part.bucket, part.start_page, part.start_line, part.end_page, part.end_line)
        for part in parts
    ]


def test_two_entries_on_one_page_split_it_at_the_heading_and_parents_hold_their_children() -> None:
    pages: list[list[Line]] = [prose(25) for _ in range(10)]
    pages[3] = [*prose(5), line("The Doctor", 150, 200, 16), *prose(8, y=250)]
    sheets = book(pages)
    names = [title("Part"), title("The Wheels", 2), title("The Doctor", 2), title("The End")]
    links = [linked(0, "Part", 2), linked(1, "The Wheels", 3), linked(2, "The Doctor", 4, 5), linked(3, "The End", 9)]
    parts = chapters(names, links, sheets)
    assert shape(parts) == [
        ("Front matter", 1, "front matter", 1, 0, 1, None),
        ("Part", 1, "", 2, 0, 8, None),
        ("The Wheels", 2, "", 3, 0, 4, 5),
        ("The Doctor", 2, "", 4, 5, 8, None),
        ("The End", 1, "", 9, 0, 10, None),
    ]
    assert [part.parent for part in parts] == [None, None, 1, 1, None]
    owner = Owner(parts)
    assert [owner.of(*at) for at in ((2, 3), (4, 4), (4, 5), (5, 0), (10, 20))] == [1, 2, 3, 3, 4]


def test_matter_and_buckets() -> None:
    kinds = {
        1: "cover",
        2: "title_page",
        3: "copyright",
        4: "toc",
        5: "preface",
        6: "preface",
        19: "index",
        20: "blank",
    }
    labels = {4: "iv", 5: "v", 6: "vi"} | {page: str(page - 6) for page in range(7, 20)}
    sheets = [
        sheet_of(page, *([] if page == 20 else prose(12)), kind=kinds.get(page, "body"), label=labels.get(page))
        for page in range(1, 21)
    ]
    names = [title("The Wheels"), title("The Doctor"), title("Appendix A")]
    links = [linked(0, "The Wheels", 7), linked(1, "The Doctor", 12), linked(2, "Appendix A", 17)]
    parts = chapters(names, links, sheets, frozenset({4}))
    assert [
        (p.title if p.source != "heading" else "*", p.matter, p.bucket, p.start_page, p.end_page) for p in parts
    ] == [
        ("Cover", "front", "cover", 1, 1),
        ("Front matter", "front", "front matter", 2, 3),
        ("Contents", "front", "contents", 4, 4),
        ("*", "front", "", 5, 6),
        ("The Wheels", "body", "", 7, 11),
        ("The Doctor", "body", "", 12, 16),
        ("Appendix A", "back", "", 17, 18),
        ("*", "back", "", 19, 19),
        ("Back matter", "back", "back matter", 20, 20),
    ]
    assert (parts[3].start_label, parts[3].end_label) == ("v", "vi")


def test_contents_after_a_preface_are_no_part_of_it() -> None:
    sheets = book([prose(12) for _ in range(8)])
    parts = chapters(
        [title("Preface"), title("The Wheels")],
        [linked(0, "Preface", 1), linked(1, "The Wheels", 5)],
        sheets,
        frozenset({3, 4}),
    )
    assert [(part.title, part.start_page, part.end_page) for part in parts] == [
        ("Preface", 1, 2),
        ("Contents", 3, 4),
        ("The Wheels", 5, 8),
    ]


def test_a_book_without_contents_gets_parts_and_chapters_from_its_headings() -> None:
    pages: list[list[Line]] = [prose(25) for _ in range(20)]
    pages[1] = [line("PART ONE", 150, 200, 18)]
    pages[2] = [line("CHAPTER I", 160, 90, 12), line("The Wheels", 150, 115, 16), *prose(15, y=160)]
    pages[8] = [*prose(5), line("CHAPTER II", 160, 200, 12), line("The Doctor", 150, 225, 16), *prose(8, y=280)]
    pages[14] = [line("CHAPTER III", 160, 90, 12), line("The End", 155, 115, 16), *prose(15, y=160)]
    parts = chapters([], [], book(pages))
    found = [(p.number, p.title, p.level, p.start_page, p.start_line) for p in parts if not p.bucket]
    assert found == [
        (None, "PART ONE", 1, 2, 0),
        ("I", "The Wheels", 2, 3, 0),
        ("II", "The Doctor", 2, 9, 5),
        ("III", "The End", 2, 15, 0),
    ]


def test_a_book_without_any_heading_is_one_bucket() -> None:
    assert shape(chapters([], [], book([prose(20) for _ in range(4)]))) == [("Text", 1, "text", 1, 0, 4, None)]


def test_numbers_of_headings() -> None:
    assert split_number(["CHAPTER IV", "The Storm"]) == ("IV", "The Storm")
    assert split_number(["Ill", "A Triple Best"]) == ("III", "A Triple Best")
    assert split_number(["2.1 Routes"]) == ("2.1", "Routes")
    assert split_number(["I was born in the year"]) == (None, "I was born in the year")
    assert split_number(["Civil Wars"]) == (None, "Civil Wars")


def test_the_sample_scan_with_its_contents_and_without() -> None:
    sheets, facts, names, contents, _ = sample_book()
    told = chapters(names, link(facts, sheets, contents), sheets, contents)
    truth = [(row["page"], row["title"]) for row in sample_truth()["toc"]]
    found = chapters([], [], sheets, contents)
    assert [part.start_page for part in told if not part.bucket] == [page for page, _ in truth]
    assert [(part.start_page, part.title) for part in found if not part.bucket] == truth
    ends = [(part.start_page, part.end_page) for part in told]
    assert ends == [(1, 2), (3, 3), (4, 7), (8, 11), (12, 15), (16, 19), (20, 23), (24, 26)]


SIX_PAGES = book([prose(12) for _ in range(6)])


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 6), st.one_of(st.none(), st.integers(0, 11)), st.integers(1, 4)), max_size=9))
def test_whatever_the_entries_every_line_has_one_owner_within_its_bounds(
    places: list[tuple[int, int | None, int]],
) -> None:
    sheets = SIX_PAGES
    names = [title(f"entry {order}", level) for order, (_, _, level) in enumerate(places)]
    links = [linked(order, f"entry {order}", page, at) for order, (page, at, _) in enumerate(places)]
    parts = chapters(names, links, sheets)
    starts = [(part.start_page, part.start_line) for part in parts]
    assert starts == sorted(starts)
    assert starts[0] == (1, 0)
    owner = Owner(parts)
    for page, at in itertools.product(range(1, 7), range(12)):
        each: int | None = owner.of(page, at)
        while each is not None:
            part = parts[each]
            end = (part.end_page, part.end_line if part.end_line is not None else 99)
            assert (part.start_page, part.start_line) <= (page, at) < end
            each = part.parent
