"""Sets of physical pages as text: "1-20,35". Compact in histories, readable in the Temporal UI."""

from __future__ import annotations

from collections.abc import Iterable

from schemas.errors import BadInput


def format_pages(pages: Iterable[int]) -> str:
    """Ascending ranges: [1, 2, 3, 7] -> "1-3,7"; "" for no pages."""
    runs: list[list[int]] = []
    for page in sorted(set(pages)):
        if runs and page == runs[-1][1] + 1:
            runs[-1][1] = page
        else:
            runs.append([page, page])
    return ",".join(str(first) if first == last else f"{first}-{last}" for first, last in runs)


def parse_pages(spec: str, page_count: int | None = None) -> list[int]:
    """ "1-3,7" -> [1, 2, 3, 7], ascending, without doubles; "" -> [].

    Raises BadInput for anything else, and for pages beyond `page_count` where it is given."""
    pages: set[int] = set()
    for part in filter(None, (piece.strip() for piece in spec.split(","))):
        first, dash, last = part.partition("-")
        try:
            low = int(first)
            high = int(last) if dash else low
        except ValueError:
            raise BadInput(f"{part!r} is not a page or a range of pages.", "Write pages as 1-20,35.") from None
        if low < 1 or high < low:
            raise BadInput(f"{part!r} is not a range of pages that begins at 1 or later.", "Write pages as 1-20,35.")
        if page_count is not None and high > page_count:
            raise BadInput(f"Page {high} was asked for, but the book has {page_count} pages.", "Ask for fewer pages.")
        pages.update(range(low, high + 1))
    return sorted(pages)
