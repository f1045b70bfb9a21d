"""Edits of a book's leaves, as pure functions from one manifest to the next: replace, insert, drop, move, split, join.

A leaf keeps its identity (file, page in it, region) whatever happens around it; what changes is the order. Files that
come with an edit are appended to the manifest's and none is ever taken out, so that the number of a file, which is part
of the identity, is never given twice. A leaf that was dropped and comes back is the old one, with its readings.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from providers.source import Manifest, ManifestLeaf, SourcePart
from schemas.errors import BadInput
from schemas.pagespec import format_pages, parse_pages

Action = Literal["replace", "insert", "drop", "move", "split", "join", "reset"]

NEEDS: Mapping[str, tuple[str, ...]] = {
    "replace": ("pages", "files"),
    "insert": ("after", "files"),
    "drop": ("pages",),
    "move": ("pages", "after"),
    "split": ("pages",),
    "join": ("pages",),
    "reset": (),
}
"""What each action must be told; 'files' are given as `source` or as `manifest`."""

NARROWEST = 0.05
"""Share of a leaf that a split may leave to one side: less is a margin, not a page."""


class LeafEdit(BaseModel):
    """One edit, as jobs and the command line give it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    action: Action
    pages: str | None = Field(None, description="Physical pages of the book that it is about, as '3-4'.")
    after: int | None = Field(None, description="Physical page behind which leaves are put; 0 = before the first.")
    source: str | list[str] | None = Field(
        None, description="Files with the new leaves: PDF, images or a folder, as the worker sees them."
    )
    manifest: str | None = Field(
        None, description="Instead of a source: fingerprint of one that was imported into the artifact store."
    )
    from_pages: str | None = Field(
        None, description="Which pages of the files; all by default, the first for 'replace'."
    )
    at: float = Field(0.5, gt=0, lt=1, description="Where a split cuts, as a share of the leaf's width.")
    rtl: bool = Field(False, description="The right half of a split comes first.")

    @model_validator(mode="after")
    def _told_what_it_needs(self) -> LeafEdit:
        given = {"pages": self.pages, "after": self.after, "files": self.source or self.manifest}
        for name in NEEDS[self.action]:
            if given[name] is None:
                raise ValueError(f"{self.action!r} needs {name if name != 'files' else 'a source or a manifest'!r}")
        if self.source is not None and self.manifest is not None:
            raise ValueError("give one of 'source' and 'manifest'")
        return self


@dataclass(frozen=True, slots=True)
class Changes:
    """What an edit does to the pages of a book."""

    moved: tuple[tuple[int, int], ...]
    """(old page, new page) of each leaf that stays and moves."""
    gone: tuple[int, ...]
    """Old pages whose leaves are not in the book any more."""
    new: tuple[int, ...]
    """New pages whose leaves were not in it."""


def apply(manifest: Manifest, book: str, edit: LeafEdit, files: Manifest | None, original: Manifest) -> Manifest:
    """The manifest after the edit.

    Args:
        book: key of the book, which does not follow from the files any more.
        files: the manifest of the edit's own files; None for an edit without.
        original: what the source alone gives, for 'reset'.

    Raises BadInput: a page that is not there, a leaf that would be in the book twice, a book without leaves."""
    match edit.action:
        case "replace":
            assert files is not None
            return replace(manifest, book, _one(edit, manifest), files, edit.from_pages or "1")
        case "insert":
            assert files is not None
            return insert(manifest, book, edit.after or 0, files, edit.from_pages or "")
        case "drop":
            return drop(manifest, book, _pages(edit.pages, manifest))
        case "move":
            return move(manifest, book, _pages(edit.pages, manifest), edit.after or 0)
        case "split":
            return split(manifest, book, _one(edit, manifest), edit.at, rtl=edit.rtl)
        case "join":
            return join(manifest, book, _one(edit, manifest))
        case "reset":
            return with_files_of(original, manifest, book)


def replace(manifest: Manifest, book: str, page: int, files: Manifest, from_page: str = "1") -> Manifest:
    """Another scan of the same page takes its place. Raises BadInput."""
    _check(manifest, page)
    parts, fresh = _new_leaves(manifest, files, from_page)
    if len(fresh) != 1:
        raise BadInput(
            f"Page {page} can be replaced by one page, and {len(fresh)} were given.",
            "Name one of the file's; drop and insert for more.",
        )
    leaves = manifest.all_leaves()
    note = f"{fresh[0].note}; " if fresh[0].note else ""
    leaves[page - 1] = fresh[0].model_copy(update={"note": f"{note}in place of {_name(manifest, leaves[page - 1])}"})
    return _edited(manifest, book, parts, leaves)


def insert(manifest: Manifest, book: str, after: int, files: Manifest, from_pages: str = "") -> Manifest:
    """Leaves that were missing, behind a page (0 = before the first). Raises BadInput."""
    _check_after(manifest, after)
    parts, fresh = _new_leaves(manifest, files, from_pages)
    fresh = [leaf.model_copy(update={"note": leaf.note or "inserted"}) for leaf in fresh]
    leaves = manifest.all_leaves()
    return _edited(manifest, book, parts, [*leaves[:after], *fresh, *leaves[after:]])


def drop(manifest: Manifest, book: str, pages: Sequence[int]) -> Manifest:
    """Leaves that do not belong to the book, or are there twice. Raises BadInput."""
    gone = set(pages)
    leaves = [leaf for page, leaf in enumerate(manifest.all_leaves(), start=1) if page not in gone]
    if not leaves:
        raise BadInput("No page would be left in the book.", "Leave at least one in it.")
    return _edited(manifest, book, manifest.parts, leaves)


def move(manifest: Manifest, book: str, pages: Sequence[int], after: int) -> Manifest:
    """Leaves at another place, in the order that they have. `after` counts as the book is now. Raises BadInput."""
    _check_after(manifest, after)
    if after in pages:
        raise BadInput(f"Page {after} cannot come behind itself.", "Name a page that does not move.")
    numbered = list(enumerate(manifest.all_leaves(), start=1))
    moving = [leaf for page, leaf in numbered if page in set(pages)]
    before = [leaf for page, leaf in numbered if page <= after and page not in set(pages)]
    behind = [leaf for page, leaf in numbered if page > after and page not in set(pages)]
    return _edited(manifest, book, manifest.parts, [*before, *moving, *behind])


def split(manifest: Manifest, book: str, page: int, at: float, *, rtl: bool = False) -> Manifest:
    """A scan of two pages becomes two leaves; the image stays as it is. Raises BadInput."""
    _check(manifest, page)
    if not NARROWEST <= at <= 1 - NARROWEST:
        raise BadInput(
            f"A cut at {at:g} of page {page} leaves no page on one side.",
            f"Cut between {NARROWEST:g} and {1 - NARROWEST:g}.",
        )
    leaves = manifest.all_leaves()
    whole = leaves[page - 1]
    sides = halves(whole, at, f"of {_name(manifest, whole)}, split by hand at {at:.0%}", rtl=rtl)
    return _edited(manifest, book, manifest.parts, [*leaves[: page - 1], *sides, *leaves[page:]])


def join(manifest: Manifest, book: str, page: int) -> Manifest:
    """Undo a split: the half at this page and the other one, which stands next to it, become one leaf. Raises
    BadInput."""
    _check(manifest, page)
    leaves = manifest.all_leaves()
    for other in (page + 1, page - 1):
        if not 1 <= other <= len(leaves):
            continue
        region = _union(leaves[page - 1], leaves[other - 1])
        if region is None:
            continue
        first, last = sorted((page, other))
        whole = leaves[page - 1].model_copy(update={"region": region, "note": "two halves, joined by hand"})
        return _edited(manifest, book, manifest.parts, [*leaves[: first - 1], whole, *leaves[last:]])
    raise BadInput(
        f"Page {page} is not a half of a scan whose other half stands next to it.", "See `shelf leaf list` for halves."
    )


def halves(leaf: ManifestLeaf, at: float, why: str, *, rtl: bool = False) -> tuple[ManifestLeaf, ManifestLeaf]:
    """The two leaves of a scan that shows two pages, in the order in which they are read.

    Args:
        at: where the gutter is, as a share of the leaf's width.
        why: the end of each half's note, after "left half ".
    """
    x0, y0, x1, y1 = _shares(leaf.region)
    cut = round(x0 + (x1 - x0) * at, 4)
    left = leaf.model_copy(update={"region": _region(x0, y0, cut, y1), "note": f"left half {why}"})
    right = leaf.model_copy(update={"region": _region(cut, y0, x1, y1), "note": f"right half {why}"})
    return (right, left) if rtl else (left, right)


def with_files_of(manifest: Manifest, known: Manifest, book: str) -> Manifest:
    """The same leaves over all the files that the book has had: so the number of a file is never given to another."""
    if len(known.parts) <= len(manifest.parts):
        return manifest
    return manifest.model_copy(update={"parts": known.parts, "leaves": tuple(manifest.all_leaves()), "book": book})


def today(given: Manifest, current: Manifest, book: str) -> Manifest:
    """What a job works on that is given the files of a book: the book's edited leaves where it has some, since what
    was replaced, inserted or dropped does not come undone by reading the old file once more ('reset' does that)."""
    if not given.book and current.original:
        return current
    return with_files_of(given, current, book)


def changes(old: Manifest, new: Manifest) -> Changes:
    """What becomes of the pages."""
    before = {_identity(leaf): page for page, leaf in enumerate(old.all_leaves(), start=1)}
    after = {_identity(leaf): page for page, leaf in enumerate(new.all_leaves(), start=1)}
    return Changes(
        moved=tuple((page, after[leaf]) for leaf, page in before.items() if after.get(leaf, page) != page),
        gone=tuple(page for leaf, page in before.items() if leaf not in after),
        new=tuple(page for leaf, page in after.items() if leaf not in before),
    )


def describe(change: Changes, to_read: int) -> str:
    """In a sentence: "pages 13-26 become 14-27; page 13 is new; 1 page to read"."""
    runs: list[list[tuple[int, int]]] = []
    for old, new in change.moved:
        if runs and (old, new) == (runs[-1][-1][0] + 1, runs[-1][-1][1] + 1):
            runs[-1].append((old, new))
        else:
            runs.append([(old, new)])
    told = []
    # A leaf that goes where another comes is a rescan.
    same = [page for page in change.gone if page in change.new]
    if same:
        told.append(f"{_some(same)} {'is' if len(same) == 1 else 'are'} replaced")
    if gone := [page for page in change.gone if page not in same]:
        told.append(f"{_some(gone)} {'goes' if len(gone) == 1 else 'go'}")
    for run in runs:
        told.append(
            f"{_some([old for old, _ in run])} {'becomes' if len(run) == 1 else 'become'} "
            f"{format_pages(new for _, new in run)}"
        )
    if added := [page for page in change.new if page not in same]:
        told.append(f"{_some(added)} {'is' if len(added) == 1 else 'are'} new")
    told.append(f"{to_read or 'no'} page{'s' * (to_read > 1)} to read")
    return "; ".join(told)


def _some(pages: Sequence[int]) -> str:
    return f"page{'s' * (len(pages) > 1)} {format_pages(pages)}"


def _one(edit: LeafEdit, manifest: Manifest) -> int:
    pages = _pages(edit.pages, manifest)
    if len(pages) != 1:
        raise BadInput(f"{edit.action!r} is about one page, and {edit.pages!r} names {len(pages)}.", "Name one page.")
    return pages[0]


def _pages(spec: str | None, manifest: Manifest) -> list[int]:
    pages = parse_pages(spec or "", manifest.page_count)
    if not pages:
        raise BadInput("No page was named.", "Write pages as 3-4.")
    return pages


def _check(manifest: Manifest, page: int) -> None:
    if not 1 <= page <= manifest.page_count:
        raise BadInput(f"The book has no page {page}.", f"It has {manifest.page_count}, counted from 1.")


def _check_after(manifest: Manifest, after: int) -> None:
    if not 0 <= after <= manifest.page_count:
        raise BadInput(
            f"The book has no page {after} to put leaves behind.",
            f"It has {manifest.page_count}; 0 stands for its beginning.",
        )


def _new_leaves(
    manifest: Manifest, files: Manifest, from_pages: str
) -> tuple[tuple[SourcePart, ...], list[ManifestLeaf]]:
    """The files of the book with the new ones behind them, and the wanted leaves under the numbers that they have
    there. A file that the book has had keeps its number: a leaf of it is the leaf that it was."""
    parts = list(manifest.parts)
    numbers = []
    for part in files.parts:
        known = [at for at, each in enumerate(parts) if each.sha256 == part.sha256]
        numbers.append(known[0] if known else len(parts))
        if not known:
            parts.append(part)
    wanted = parse_pages(from_pages, files.page_count) or range(1, files.page_count + 1)
    leaves = [files.leaf(page) for page in wanted]
    return tuple(parts), [leaf.model_copy(update={"part": numbers[leaf.part]}) for leaf in leaves]


def _edited(manifest: Manifest, book: str, parts: Sequence[SourcePart], leaves: Sequence[ManifestLeaf]) -> Manifest:
    """Raises BadInput for a leaf that is there twice."""
    edited = Manifest(
        name=manifest.name,
        parts=tuple(parts),
        leaves=tuple(leaves),
        book=book,
        original=manifest.original or manifest.fingerprint(),
    )
    seen: dict[tuple[int, int, str], int] = {}
    for page, leaf in enumerate(leaves, start=1):
        first = seen.setdefault(_identity(leaf), page)
        if first != page:
            raise BadInput(
                f"The same leaf ({_name(edited, leaf)}) would be in the book twice, as page {first} and as page {page}.",
                "Move it, or drop the one that is there.",
            )
    return edited


def _identity(leaf: ManifestLeaf) -> tuple[int, int, str]:
    return leaf.part, leaf.index, leaf.region


def _name(manifest: Manifest, leaf: ManifestLeaf) -> str:
    part = manifest.parts[leaf.part]
    piece = "a part of " if leaf.region else ""
    return f"{piece}page {leaf.index + 1} of {part.name}" if part.pages > 1 else f"{piece}{part.name}"


def _shares(region: str) -> tuple[float, float, float, float]:
    x0, y0, x1, y1 = (float(value) for value in (region or "0,0,1,1").split(","))
    return x0, y0, x1, y1


def _region(x0: float, y0: float, x1: float, y1: float) -> str:
    return "" if (x0, y0, x1, y1) == (0, 0, 1, 1) else ",".join(f"{share:.4g}" for share in (x0, y0, x1, y1))


def _union(one: ManifestLeaf, other: ManifestLeaf) -> str | None:
    """The region of two halves that lie side by side in one image; None where they do not."""
    if (one.part, one.index) != (other.part, other.index) or not one.region or not other.region:
        return None
    (ax0, ay0, ax1, ay1), (bx0, by0, bx1, by1) = sorted((_shares(one.region), _shares(other.region)))
    return _region(ax0, ay0, bx1, ay1) if (ax1, ay0, ay1) == (bx0, by0, by1) else None
