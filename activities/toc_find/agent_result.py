"""What the contents agent writes in the end, and what it comes to."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from activities.toc_find.schema import Source
from providers.rules.contents import ContentsFound

STRATEGIES = {
    "grep_report": "by the words on the pages",
    "grep_with_scan": "by the words and the pictures of the pages",
    "not_found": "nothing was found",
}


class ContentsRange(BaseModel):
    """The pages of the contents."""

    model_config = ConfigDict(frozen=True)

    start_page: int = Field(description="First physical page of the contents.")
    end_page: int = Field(description="Last physical page of the contents.")


class Level(BaseModel):
    """How the entries of one level look."""

    model_config = ConfigDict(frozen=True)

    level: int = Field(ge=1, le=3, description="1 = top.")
    visual: str = Field(description="How they are set: capitals, bold, indented, ...")
    numbering: str | None = Field(None, description="How they are numbered ('Part I', '1.', '1.1'); null if not.")
    has_page_numbers: bool = Field(description="Whether they have page numbers.")
    semantic_type: str | None = Field(None, description="What they are: part, chapter, section, ...")


class StructureSummary(BaseModel):
    """The levels of the contents."""

    model_config = ConfigDict(frozen=True)

    total_levels: int = Field(ge=1, le=3)
    level_patterns: list[Level] = Field(description="One for each level.")
    consistency_notes: list[str] = Field(default_factory=list, description="Exceptions, each in a sentence.")

    def sentence(self) -> str:
        """For people and for the extraction: "2 levels: 1 part (capitals, numbered Part I, without page numbers); ..."."""
        levels = "; ".join(
            f"{each.level} {each.semantic_type or 'entry'} ({each.visual}"
            f"{f', numbered {each.numbering}' if each.numbering else ''}"
            f", {'with' if each.has_page_numbers else 'without'} page numbers)"
            for each in sorted(self.level_patterns, key=lambda each: each.level)
        )
        notes = f". {' '.join(self.consistency_notes)}" if self.consistency_notes else ""
        return f"{self.total_levels} level{'s' * (self.total_levels > 1)}: {levels}{notes}"


class WrittenResult(BaseModel):
    """Arguments of `write_toc_result`."""

    model_config = ConfigDict(frozen=True)

    toc_found: bool = Field(description="Whether the book has a printed table of contents.")
    confidence: float = Field(ge=0, le=1)
    search_strategy_used: Literal["grep_report", "grep_with_scan", "not_found"]
    reasoning: str = Field(min_length=1, description="What decided, in a sentence or two.")
    toc_page_range: ContentsRange | None = Field(None, description="null where there are no contents.")
    structure_summary: StructureSummary | None = Field(None, description="null where there are no contents.")


class AgentFound(ContentsFound):
    """`ContentsFound` as an agent came to it, with what it noted on the way."""

    decided_by: str
    """Provider and model, or 'rules'."""
    confidence: float | None = None
    strategy: str | None = None
    levels: StructureSummary | None = None
    observations: dict[int, str] = Field(default_factory=dict)
    """Physical page -> what was seen there."""
    pages_checked: list[int] = Field(default_factory=list)
    conversation: str = ""
    """Fingerprint of all that was said."""


def by_agent(
    rules: ContentsFound,
    result: WrittenResult,
    who: str,
    observations: dict[int, str],
    checked: list[int],
    conversation: str,
) -> AgentFound:
    """The contents as the agent wrote them; the outline stays a witness of its own."""
    pages: list[int] = []
    if result.toc_page_range is not None:
        pages = list(range(result.toc_page_range.start_page, result.toc_page_range.end_page + 1))
    outline = "outline" in rules.source
    source: Source = (
        "printed+outline" if pages and outline else "printed" if pages else "outline" if outline else "none"
    )
    how = STRATEGIES[result.search_strategy_used]
    return AgentFound(
        found=bool(pages) or outline,
        pages=pages,
        source=source,
        reason=f"{result.reasoning} (agent {who}, {how}, {result.confidence:.0%} sure)",
        structure=result.structure_summary.sentence() if pages and result.structure_summary else None,
        decided_by=who,
        confidence=result.confidence,
        strategy=result.search_strategy_used,
        levels=result.structure_summary,
        observations=observations,
        pages_checked=checked,
        conversation=conversation,
    )


def by_rules(
    rules: ContentsFound, who: str, why: str, observations: dict[int, str], checked: list[int], conversation: str
) -> AgentFound:
    """The rules' answer, with the reason why the agent's does not stand."""
    return AgentFound(
        **{**rules.model_dump(), "unsure": False, "reason": f"{rules.reason} (rules; agent {who} gave up: {why})"},
        decided_by="rules",
        observations=observations,
        pages_checked=checked,
        conversation=conversation,
    )
