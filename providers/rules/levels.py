"""Levels of contents entries: by numbering, then by indent, then by keywords."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from statistics import median

from providers.rules.entries import RawEntry

_BACK_MATTER = re.compile(
    r"^(?:index|bibliography|references|glossary|notes|endnotes|appendi(?:x|ces)|epilogue|afterword|conclusion"
    r"|acknowledge?ments|about\s+the\s+authors?|register|literatur(?:verzeichnis)?)\b",
    re.I,
)


def assign_levels(entries: Sequence[RawEntry]) -> list[int]:
    """Level of each entry, from 1.

    Depth inside a chapter comes from decimal numbers, else from the indent cluster. Parts (keyword, or roman numerals
    above arabic chapters, or a row without page number above entries with one) lift what follows by one; what
    stands before the first part, and back matter, is on the level of the parts.
    """
    parts = _parts(entries)
    depths = _depths(entries, parts)
    # Where what follows a part is set deeper than what stands beside it (a preface, an index), the indent says it all.
    indented = bool(parts) and all(i + 1 in parts or depths[i + 1] > 1 for i in parts if i + 1 < len(entries))
    levels = []
    inside = False
    for i, (entry, depth) in enumerate(zip(entries, depths, strict=True)):
        if i in parts:
            inside = True
            levels.append(1)
            continue
        if inside and depth == 1 and entry.number is None and _BACK_MATTER.match(entry.title):
            inside = False
        levels.append(depth + (inside and not indented))
    return levels


def _parts(entries: Sequence[RawEntry]) -> set[int]:
    parts = {i for i, entry in enumerate(entries) if entry.kind == "part"}
    if not parts:
        unnumbered = [
            i
            for i, entry in enumerate(entries[:-1])
            if entry.printed is None and entry.number is None and entries[i + 1].printed is not None
        ]
        printed = sum(entry.printed is not None for entry in entries)
        if printed >= 0.6 * len(entries) and len(unnumbered) >= 2:
            parts = set(unnumbered)
    return parts


def _depths(entries: Sequence[RawEntry], parts: set[int]) -> list[int]:
    """Depth of each entry below its part, from 1."""
    rest = [i for i in range(len(entries)) if i not in parts]
    by_depth: dict[int, list[float]] = defaultdict(list)
    for i in rest:
        depth = entries[i].depth
        if depth is not None:
            by_depth[depth].append(entries[i].indent)
    decimal = sum(len(indents) for indents in by_depth.values())
    result = [1] * len(entries)
    size = median([entry.height for entry in entries]) if entries else 10.0
    if decimal >= 0.4 * max(1, len(rest)):
        lowest = min(by_depth)
        typical = {depth: median(indents) for depth, indents in by_depth.items()}
        for i in rest:
            entry = entries[i]
            if entry.depth is not None:
                result[i] = entry.depth - lowest + 1
            else:
                # The shallowest depth whose indent is its own: sections are often set flush with chapters.
                fitting = [d for d, x in sorted(typical.items()) if abs(x - entry.indent) <= 0.6 * size]
                deeper = [d for d, x in sorted(typical.items()) if x < entry.indent - 0.6 * size]
                result[i] = (fitting[0] if fitting else max(deeper) + 1 if deeper else lowest) - lowest + 1
        return result
    clusters = _clusters([entries[i].indent for i in rest], max(3.0, 0.5 * size))
    for i in rest:
        result[i] = 1 + sum(entries[i].indent > high + 0.01 for _, high in clusters)
    return result


def _clusters(values: Sequence[float], tolerance: float) -> list[tuple[float, float]]:
    """Groups of values with no gap over `tolerance` inside, from left to right."""
    groups: list[list[float]] = []
    for value in sorted(values):
        if groups and value - groups[-1][-1] <= tolerance:
            groups[-1].append(value)
        else:
            groups.append([value])
    return [(group[0], group[-1]) for group in groups]
