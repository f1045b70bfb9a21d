"""How a job's pages are cut into ranges."""

from __future__ import annotations

from activities.contracts import JobConfig


def cut(pages: tuple[int, ...], config: JobConfig) -> list[tuple[int, ...]]:
    """Consecutive chunks. The first one is shorter: metadata and contents start when it is back."""
    first = min(config.first_range_pages, config.range_pages)
    if not pages:
        return []
    ranges = [pages[:first]]
    rest = pages[first:]
    ranges += [rest[at : at + config.range_pages] for at in range(0, len(rest), config.range_pages)]
    return [chunk for chunk in ranges if chunk]
