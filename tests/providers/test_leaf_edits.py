"""Edits of leaves on manifests alone."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from providers.leaf_edits import (
    LeafEdit,
    apply,
    changes,
    describe,
    drop,
    halves,
    insert,
    join,
    move,
    replace,
    split,
    today,
    with_files_of,
)
from providers.source import Manifest, ManifestLeaf, SourcePart
from schemas.errors import BadInput

BOOK = "book-0123abcd"


def files(*counts: int, name: str = "scan") -> Manifest:
    parts = [
        SourcePart(sha256=f"{name}{number}", name=f"{name}{number}.pdf", kind="pdf", pages=count)
        for number, count in enumerate(counts)
    ]
    return Manifest(name=name, parts=tuple(parts))


def order(manifest: Manifest) -> list[tuple[int, int]]:
    return [(leaf.part, leaf.index) for leaf in manifest.all_leaves()]


def pages(*numbers: int) -> list[tuple[int, int]]:
    return [(0, number - 1) for number in numbers]


def test_each_edit_keeps_the_identities_and_says_whose_leaves_they_are() -> None:
    source = files(6)
    rescan = files(2, name="rescan")
    replaced = replace(source, BOOK, 2, rescan, "2")
    assert order(replaced) == [(0, 0), (1, 1), *pages(3, 4, 5, 6)]
    assert replaced.leaf(2).note == "in place of page 2 of scan0.pdf"
    assert (replaced.book, replaced.original) == (BOOK, source.fingerprint())
    inserted = insert(replaced, BOOK, 0, files(1, name="cover"))
    assert order(inserted)[:2] == [(2, 0), (0, 0)], "a new file gets the next number"
    assert inserted.original == source.fingerprint(), "the first manifest, however many edits there are"
    assert order(drop(inserted, BOOK, [1, 3])) == pages(1, 3, 4, 5, 6)
    assert [part.name for part in drop(inserted, BOOK, [1, 3]).parts] == ["scan0.pdf", "rescan0.pdf", "cover0.pdf"]


@pytest.mark.parametrize(
    ("moving", "after", "expected"),
    [
        ([2, 3], 5, (1, 4, 5, 2, 3, 6)),
        ([5, 6], 0, (5, 6, 1, 2, 3, 4)),
        ([1], 6, (2, 3, 4, 5, 6, 1)),
        ([2, 5], 3, (1, 3, 2, 5, 4, 6)),
        ([3], 2, (1, 2, 3, 4, 5, 6)),
    ],
)
def test_moving_counts_as_the_book_is_before(moving: list[int], after: int, expected: tuple[int, ...]) -> None:
    assert order(move(files(6), BOOK, moving, after)) == pages(*expected)


def test_a_file_that_was_there_before_keeps_its_number() -> None:
    source = files(3)
    dropped = drop(source, BOOK, [2])
    back = insert(dropped, BOOK, 1, source, "2")
    assert order(back) == pages(1, 2, 3)
    assert len(back.parts) == 1


def test_a_number_of_a_file_is_never_given_twice() -> None:
    source = files(3)
    edited = replace(source, BOOK, 1, files(1, name="a"))
    back = with_files_of(source, edited, BOOK)
    assert order(back) == pages(1, 2, 3)
    assert order(insert(back, BOOK, 3, files(1, name="b")))[-1] == (2, 0)
    assert with_files_of(source, source, BOOK) is source
    assert today(source, back, BOOK) == back, "after a reset the old file gives what is there"


def test_the_old_file_does_not_undo_edits() -> None:
    source = files(3)
    edited = drop(source, BOOK, [2])
    assert today(source, edited, BOOK) == edited
    halved = source.model_copy(update={"leaves": halves(ManifestLeaf(part=0, index=0), 0.5, "")})
    assert today(halved, edited, BOOK) == edited, "nor does another decision about its spreads"
    assert today(halved, source, BOOK) == halved
    other = drop(edited, BOOK, [1])
    assert today(other, edited, BOOK) == other, "an edited manifest that is given on purpose counts"


@pytest.mark.parametrize(
    ("edit", "sentence"),
    [
        (lambda m: replace(m, BOOK, 4, files(1, name="r")), "no page 4"),
        (lambda m: replace(m, BOOK, 1, files(2, name="r"), "1-2"), "2 were given"),
        (lambda m: replace(m, BOOK, 1, files(2, name="r"), "3"), "Page 3 was asked for"),
        (lambda m: replace(m, BOOK, 1, files(3), "3"), r"page 3 of scan0.pdf\) would be in the book twice"),
        (lambda m: insert(m, BOOK, 4, files(1, name="r")), "no page 4 to put leaves behind"),
        (lambda m: insert(m, BOOK, 1, files(3), "2"), "twice, as page 2 and as page 3"),
        (lambda m: drop(m, BOOK, [1, 2, 3]), "No page would be left"),
        (lambda m: move(m, BOOK, [2], 2), "behind itself"),
        (lambda m: split(m, BOOK, 1, 0.01), "no page on one side"),
        (lambda m: join(m, BOOK, 1), "not a half"),
        (lambda m: apply(m, BOOK, LeafEdit(action="split", pages="1-2"), None, m), "is about one page"),
        (lambda m: apply(m, BOOK, LeafEdit(action="drop", pages="3-9"), None, m), "Page 9 was asked for"),
        (lambda m: apply(m, BOOK, LeafEdit(action="drop", pages=" "), None, m), "No page was named"),
    ],
)
def test_what_does_not_fit_is_refused_in_a_sentence(edit: Any, sentence: str) -> None:
    with pytest.raises(BadInput, match=sentence):
        edit(files(3))


@pytest.mark.parametrize(
    "given",
    [
        {"action": "replace", "pages": "1"},
        {"action": "insert", "source": "a.pdf"},
        {"action": "move", "pages": "1"},
        {"action": "drop"},
        {"action": "drop", "pages": "1", "leaf": "2"},
        {"action": "replace", "pages": "1", "source": "a.pdf", "manifest": "ab"},
    ],
)
def test_an_edit_without_what_it_needs_is_none(given: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        LeafEdit.model_validate(given)


@pytest.mark.parametrize("rtl", [False, True])
def test_joining_undoes_a_split(rtl: bool) -> None:
    source = files(3)
    two = split(source, BOOK, 2, 0.47, rtl=rtl)
    assert two.page_count == 4
    regions = [leaf.region for leaf in two.all_leaves()]
    assert sorted(regions[1:3]) == ["0,0,0.47,1", "0.47,0,1,1"]
    assert regions[1].startswith("0.47") is rtl
    for page in (2, 3):
        joined = join(two, BOOK, page)
        assert order(joined) == pages(1, 2, 3)
        assert [leaf.region for leaf in joined.all_leaves()] == ["", "", ""]
    apart = move(two, BOOK, [3], 4)
    with pytest.raises(BadInput, match="not a half"):
        join(apart, BOOK, 2)


def test_a_half_can_be_split_again_and_joined() -> None:
    four = split(split(files(1), BOOK, 1, 0.3), BOOK, 2, 0.5)
    assert [leaf.region for leaf in four.all_leaves()] == ["0,0,0.3,1", "0.3,0,0.65,1", "0.65,0,1,1"]
    assert join(join(four, BOOK, 3), BOOK, 1).leaf(1).region == ""


def test_what_changes_is_said_in_a_sentence() -> None:
    source = files(26)
    inserted = insert(source, BOOK, 12, files(1, name="r"))
    change = changes(source, inserted)
    assert (change.gone, change.new) == ((), (13,))
    assert describe(change, 1) == "pages 13-26 become 14-27; page 13 is new; 1 page to read"
    assert describe(changes(source, drop(source, BOOK, [3, 4])), 0) == (
        "pages 3-4 go; pages 5-26 become 3-24; no page to read"
    )
    assert describe(changes(source, replace(source, BOOK, 7, files(1, name="r"))), 1) == (
        "page 7 is replaced; 1 page to read"
    )
    assert describe(changes(source, move(source, BOOK, [1], 3)), 0) == (
        "page 1 becomes 3; pages 2-3 become 1-2; no page to read"
    )
