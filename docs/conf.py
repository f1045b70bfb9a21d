"""The site of the docs, made by Sphinx with MyST and the theme Furo: `tools/site` builds it into `.site/`.

The sources are the Markdown files as they stand in the repository, so that they read the same there; the root is the
repository, because README.md, ARCHITECTURE.md and benchmarks/ are pages too. The navigation is `NAVIGATION` alone.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
HOME = "docs/README"

NAVIGATION: dict[str, tuple[str, ...]] = {
    "Tutorial": ("docs/tutorial",),
    "How-to": (
        *(
            "docs/library",
            "docs/rerun",
            "docs/troubleshooting",
            "docs/money",
            "docs/improve",
            "docs/providers",
            "docs/models",
            "docs/limits",
        ),
        *("docs/temporal", "docs/temporal-ui", "docs/telemetry"),
        *("docs/deploy", "docs/scaling", "docs/backup", "docs/upgrade", "docs/extending", "docs/writing"),
    ),
    "Reference": (
        *("docs/cli", "docs/reference/commands", "docs/reference/exit-codes", "docs/reference/settings"),
        *("docs/reference/inputs", "docs/reference/operations", "docs/reference/documents", "docs/reference/providers"),
        *("docs/jobs/process-pages", "docs/jobs/add-ocr-source", "docs/jobs/rerun-toc", "docs/jobs/run-operations"),
        *("docs/jobs/correct", "docs/jobs/leaves", "docs/jobs/build-structure", "docs/jobs/delete-book"),
        *("docs/exports", "docs/export-json", "docs/dump-format", "docs/evaluation"),
    ),
    "Explanation": (
        *("docs/explanation", "docs/reading", "docs/images", "ARCHITECTURE"),
        *("benchmarks/README", "benchmarks/READING", "README"),
    ),
}
"""Heading -> pages below it. Every page of the site is here once; one that nobody wrote yet is in `NOT_YET`."""

NOT_YET: tuple[str, ...] = ()
"""Pages with a place in the navigation that are not there yet. A page that is there must not be here."""

project = "Shelf"
html_title = "Shelf"
root_doc = HOME
extensions = ["myst_parser"]
include_patterns = ["docs/**", "benchmarks/*.md", "README.md", "ARCHITECTURE.md"]
source_suffix = {".md": "markdown"}
nitpicky = True
myst_heading_anchors = 6
myst_links_external_new_tab = False
suppress_warnings = ["myst.header"]  # README.md goes from its title to tables, as pages of a repository do
html_theme = "furo"
html_copy_source = False
html_show_copyright = False
highlight_language = "none"  # a fence without a language is output, not code


def pages_of(heading: str) -> list[str]:
    """The pages below a heading that are there."""
    return [page for page in NAVIGATION[heading] if (ROOT / f"{page}.md").exists()]


def _add_navigation(app: Any, page: str, content: list[str]) -> None:
    """The navigation is no text of the home page: a repository's viewer would show it as code."""
    if page != HOME:
        return
    for heading in NAVIGATION:
        body = "\n".join(f"/{name}" for name in pages_of(heading))
        content[0] += f"\n```{{toctree}}\n:hidden:\n:caption: {heading}\n\n{body}\n```\n"


def _add_entrance(app: Any, failure: Exception | None) -> None:
    """The home page is in a folder of the site; its root leads there."""
    if failure is None and app.builder.name == "html":
        refresh = f'<!doctype html><title>{project}</title><meta http-equiv="refresh" content="0; url={HOME}.html">'
        (Path(app.outdir) / "index.html").write_text(
            f'{refresh}<a href="{HOME}.html">{project}</a>\n', encoding="utf-8"
        )


def setup(app: Any) -> dict[str, Any]:
    """Called by Sphinx."""
    for page in NOT_YET:
        if (ROOT / f"{page}.md").exists():
            from sphinx.util import logging

            logging.getLogger(__name__).warning("%s.md is there: take it out of NOT_YET in docs/conf.py", page)
    app.connect("source-read", _add_navigation)
    app.connect("build-finished", _add_entrance)
    return {"parallel_read_safe": True}
