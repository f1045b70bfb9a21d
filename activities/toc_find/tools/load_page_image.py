"""load_page_image: lay a page before the model, in place of the one before."""

from __future__ import annotations

from pydantic import BaseModel, Field

from activities.toc_find.tools.base import AgentTool, Desk, Ran, Refused
from activities.toc_find.tools.load_ocr_text import page_text
from schemas.pagespec import format_pages

OBSERVATION_CHARACTERS = 1000
"""Of what is kept; the model's own words stay in the conversation."""


class Arguments(BaseModel):
    """Which page, and what was seen on the one before."""

    page_num: int = Field(description="Physical page, from 1.")
    current_page_observations: str | None = Field(
        None, description="What you saw on the page that is loaded now; null only while none is."
    )


def load(desk: Desk, asked: Arguments) -> Ran:
    """The page becomes the current one. Raises Refused."""
    conversation = desk.conversation
    page = asked.page_num
    if page not in conversation.pages:
        raise Refused(f"There is no page {page} to load. You can load {format_pages(conversation.pages)}.")
    if page == conversation.page:
        raise Refused(f"Page {page} is loaded already. Load another one, or write the result.")
    observations = dict(conversation.observations)
    if conversation.page is not None:
        seen = (asked.current_page_observations or "").strip()
        if not seen:
            raise Refused(
                f"Page {conversation.page} leaves your sight with this: call again and say in current_page_observations "
                "what you saw on it."
            )
        observations[conversation.page] = seen[:OBSERVATION_CHARACTERS]
    if desk.sees:
        text, short = f"Page {page} is loaded; its picture follows.", f"page {page}"
    else:
        text = f"Page {page} is loaded. You are sent no pictures; its text:\n{page_text(desk, page)}"
        short = f"page {page}, as text"
    return Ran(text, short, {"page": page, "observations": observations})


TOOL = AgentTool(
    "load_page_image",
    "Shows you the picture of one page, in place of the page that is loaded now. Costs money.",
    Arguments,
    load,
)
