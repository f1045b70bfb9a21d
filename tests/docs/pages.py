"""The Markdown pages of the project: their links, their headings, their fenced blocks."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FENCE = re.compile(r"^(?P<fence>`{3,})(?P<language>[^\n`]*)\n(?P<text>.*?)^(?P=fence)\s*$", re.MULTILINE | re.DOTALL)
LINK = re.compile(
    r"\[[^\]\[]*(?:\[[^\]]*\][^\]\[]*)*\]\((?P<target>(?:[^()\s]|\([^()\s]*\))+)\)|<(?P<bare>https?:[^>\s]+)>"
)


@dataclass(frozen=True)
class Block:
    """A fenced block."""

    language: str
    text: str


def pages() -> list[Path]:
    """All pages that people read, README.md and ARCHITECTURE.md included."""
    found = [ROOT / "README.md", ROOT / "ARCHITECTURE.md", ROOT / "CHANGELOG.md"]
    return [*found, *sorted(ROOT.glob("docs/**/*.md")), *sorted(ROOT.glob("benchmarks/*.md"))]


def blocks(text: str) -> list[Block]:
    """Fenced blocks in order."""
    return [Block(found["language"].strip(), found["text"]) for found in FENCE.finditer(text)]


def links(text: str) -> Iterator[str]:
    """Targets of links and images, outside of code."""
    plain = re.sub(r"`[^`\n]*`", "", FENCE.sub("", text))
    for found in LINK.finditer(plain):
        yield found["target"] or found["bare"]


def anchors(text: str) -> set[str]:
    """Names of the headings, as GitHub and the site make them."""
    seen: dict[str, int] = {}
    names = set()
    for heading in re.findall(r"^#{1,6} +(.+?)\s*#*$", FENCE.sub("", text), re.MULTILINE):
        plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).replace("`", "").replace("*", "")
        name = re.sub(r"[^\w\- ]", "", plain.lower()).replace(" ", "-")
        count = seen.get(name, 0)
        seen[name] = count + 1
        names.add(f"{name}-{count}" if count else name)
    return names
