"""Links between pages lead to files and headings that are there; addresses on the web are well-formed."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from tests.docs.pages import ROOT, anchors, links, pages


def problem(page: Path, target: str) -> str:
    """What is wrong with a link of a page; '' for nothing."""
    parts = urlsplit(target)
    if parts.scheme:
        well_formed = parts.scheme in ("http", "https") and "." in parts.netloc and not parts.netloc.startswith(".")
        return "" if well_formed else "no address of the web"
    file = page if not parts.path else (page.parent / unquote(parts.path)).resolve()
    if not file.is_relative_to(ROOT):
        return "leads out of the repository"
    if not file.exists():
        return "no such file"
    if parts.fragment and parts.fragment not in anchors(file.read_text(encoding="utf-8")):
        return "no such heading"
    return ""


@pytest.mark.parametrize("page", pages(), ids=lambda page: str(page.relative_to(ROOT)))
def test_links(page: Path) -> None:
    found = {target: problem(page, target) for target in links(page.read_text(encoding="utf-8"))}
    assert not {target: what for target, what in found.items() if what}


@pytest.mark.parametrize(
    ("target", "what"),
    [
        ("docs/cli.md", ""),
        ("docs/cli.md#exit-codes", ""),
        ("#start", ""),
        ("https://temporal.io", ""),
        ("http://127.0.0.1:8233", ""),
        ("docs/nowhere.md", "no such file"),
        ("docs/cli.md#nowhere", "no such heading"),
        ("#nowhere", "no such heading"),
        ("../elsewhere.md", "leads out of the repository"),
        ("https:/temporal.io", "no address of the web"),
        ("mailto:nobody", "no address of the web"),
    ],
)
def test_what_is_wrong_is_seen(target: str, what: str) -> None:
    assert problem(ROOT / "README.md", target) == what


def test_links_are_found_where_they_stand_and_not_in_code() -> None:
    text = (
        "[a](b.md) ![c](d.png) <https://e.org/f> `[g](h.md)`\n```sh\n[i](j.md)\n```\n[`k`](l.md#m) [n [o]](p_(q).md)\n"
    )
    assert list(links(text)) == ["b.md", "d.png", "https://e.org/f", "l.md#m", "p_(q).md"]


def test_headings_are_named_as_github_does() -> None:
    text = "# What was checked, and what was not\n## `toc_find`\n## Twice\n## Twice\n```\n# no heading\n```\n"
    assert anchors(text) == {"what-was-checked-and-what-was-not", "toc_find", "twice", "twice-1"}
