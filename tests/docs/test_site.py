"""The site builds without a warning, and every link inside of it leads somewhere."""

from __future__ import annotations

import os
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from tests.docs.pages import ROOT

IN_BROWSERS_ONLY = ("#", "#furo-main-content")


class Page(HTMLParser):
    """Targets and ids of an HTML page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.targets: set[str] = set()
        self.ids: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name == "id" and value:
                self.ids.add(value)
            elif name in ("href", "src") and value and tag != "link":
                self.targets.add(value)


def configured(name: str) -> object:
    """A constant of docs/conf.py, which only Sphinx imports."""
    scope: dict[str, object] = {"__file__": str(ROOT / "docs" / "conf.py")}
    exec(compile((ROOT / "docs" / "conf.py").read_text(), "conf.py", "exec"), scope)
    return scope[name]


def test_a_page_that_is_still_to_be_written_has_a_place_and_one_that_is_there_is_not_called_so() -> None:
    navigation, not_yet = configured("NAVIGATION"), configured("NOT_YET")
    assert isinstance(navigation, dict)
    assert isinstance(not_yet, tuple)
    named = [page for pages in navigation.values() for page in pages]
    assert len(named) == len(set(named))
    assert set(not_yet) <= set(named)
    missing = {page for page in named if not (ROOT / f"{page}.md").exists()}
    assert missing == set(not_yet), "NAVIGATION and NOT_YET in docs/conf.py do not fit the pages that are there"


@pytest.mark.slow
def test_the_site_builds_strictly_and_its_links_lead_somewhere(tmp_path: Path) -> None:
    site = tmp_path / "site"
    done = subprocess.run(
        [str(ROOT / "tools" / "site"), str(site)],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
        env={**os.environ, "SHELF_VENV": sys.prefix},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    found = {path: Page(path.read_text(encoding="utf-8")) for path in site.rglob("*.html")}
    assert {site / "index.html", site / "docs" / "tutorial.html", site / "README.html"} <= set(found)
    dead = []
    for path, page in found.items():
        for target in page.targets - set(IN_BROWSERS_ONLY):
            parts = urlsplit(target)
            if parts.scheme or parts.netloc:
                continue
            file = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            if not file.exists() or (parts.fragment and parts.fragment not in found[file].ids):
                dead.append(f"{path.relative_to(site)}: {target}")
    assert not dead
