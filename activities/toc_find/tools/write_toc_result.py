"""write_toc_result: the end of the run."""

from __future__ import annotations

from activities.toc_find.agent_result import WrittenResult
from activities.toc_find.tools.base import AgentTool, Desk, Ran, Refused
from schemas.pagespec import format_pages

MOST_PAGES = 40
"""Of a table of contents; the longest are those of collected laws."""


def write(desk: Desk, asked: WrittenResult) -> Ran:
    """The result, checked. Raises Refused."""
    conversation = desk.conversation
    found = asked.toc_page_range
    if asked.toc_found != (found is not None):
        raise Refused(
            "toc_found is true, so toc_page_range must name the pages."
            if asked.toc_found
            else "toc_found is false, so toc_page_range must be null."
        )
    if found is None:
        return Ran("Written.", "no contents", {"result": asked})
    pages = range(found.start_page, found.end_page + 1)
    if not pages:
        raise Refused(f"The range ends at {found.end_page}, before it begins at {found.start_page}.")
    beyond = [page for page in (found.start_page, found.end_page) if page not in conversation.pages]
    if beyond:
        raise Refused(f"Page {beyond[0]} is none of those that you can load ({format_pages(conversation.pages)}).")
    if len(pages) > MOST_PAGES or not set(pages) <= set(conversation.pages):
        raise Refused(f"{found.start_page}-{found.end_page} is no run of pages that can be one table of contents.")
    if not set(pages) & set(conversation.seen):
        raise Refused(f"You have loaded none of the pages {format_pages(pages)}: look at one of them first.")
    return Ran("Written.", f"contents on pages {format_pages(pages)}", {"result": asked})


TOOL = AgentTool("write_toc_result", "Writes the result and ends the search.", WrittenResult, write)
