"""load_ocr_text: the recognised text of the page that is loaded."""

from __future__ import annotations

from pydantic import BaseModel

from activities.toc_find.tools.base import AgentTool, Desk, Ran, Refused

TEXT_CHARACTERS = 8000
"""Of a page; a page of an encyclopedia has 6,000."""


class Arguments(BaseModel):
    """None: it is the page that is loaded."""


def page_text(desk: Desk, page: int) -> str:
    """The page's text, or that there is none."""
    reading = desk.readings.get(page)
    text = reading.text if reading is not None else ""
    if not text.strip():
        return "(no text was recognised on it)"
    return text if len(text) <= TEXT_CHARACTERS else f"{text[:TEXT_CHARACTERS]}\n(cut off here)"


def load(desk: Desk, asked: Arguments) -> Ran:
    """The text. Raises Refused."""
    page = desk.conversation.page
    if page is None:
        raise Refused("No page is loaded: load one with load_page_image first.")
    text = page_text(desk, page)
    return Ran(f"Text of page {page}:\n{text}", f"text of page {page}, {len(text)} characters")


TOOL = AgentTool(
    "load_ocr_text",
    "Gives you the recognised text of the page that is loaded now, which may have errors. Costs little.",
    Arguments,
    load,
)
