"""The contents agent's tools: bounds, refusals in sentences, and where the report points to."""

from __future__ import annotations

import json
from typing import Any

import pytest

from activities.toc_find.agent_conversation import Call, Conversation, Said
from activities.toc_find.agent_result import by_agent, by_rules
from activities.toc_find.tools import TOOLS, offered, run
from activities.toc_find.tools.base import Desk
from activities.toc_find.tools.grep_report import report, structure_clusters
from providers.rules.contents import ContentsFound
from schemas.reading import Line, PageReading, Word

RULES = ContentsFound(found=True, pages=[], source="outline", reason="the outline has 9 entries")


def reading(*lines: str) -> PageReading:
    rows = [
        Line(
            [
                Word(word, (40.0 * at, 20.0 * row, 40.0 * at + 35, 20.0 * row + 12), 95.0)
                for at, word in enumerate(text.split())
            ]
        )
        for row, text in enumerate(lines)
    ]
    return PageReading("tesseract", 400.0, 600.0, rows)


def desk(*, page: int | None = None, sees: bool = True, **texts: str) -> Desk:
    conversation = Conversation(
        rules=RULES, pages=(*range(1, 31), 99, 100), messages=(Said(role="user", text="Find it."),), page=page
    )
    return Desk(conversation, {int(name[1:]): reading(text) for name, text in texts.items()}, sees)


def call(name: str, **arguments: Any) -> Call:
    return Call(id="1", name=name, arguments=arguments)


def answer(conversation: Conversation) -> str:
    assert conversation.messages[-1].role == "tool"
    assert conversation.messages[-1].call_id == "1"
    return conversation.messages[-1].text


WRITTEN: dict[str, Any] = {
    "toc_found": True,
    "confidence": 0.8,
    "search_strategy_used": "grep_report",
    "reasoning": "It says so.",
    "toc_page_range": {"start_page": 5, "end_page": 6},
    "structure_summary": None,
}


@pytest.mark.parametrize(
    ("asked", "why"),
    [
        (call("load_page_image", page_num=31), "There is no page 31 to load. You can load 1-30,99-100."),
        (call("load_page_image", page_num=0), "There is no page 0"),
        (call("load_page_image", page_num=5), "Page 5 is loaded already"),
        (call("load_page_image", page_num=6), "Page 5 leaves your sight"),
        (call("load_page_image", page_num=6, current_page_observations="  "), "Page 5 leaves your sight"),
        (call("load_page_image", page_num="the next"), "page_num: Input should be a valid integer"),
        (call("load_page_image"), "page_num: Field required"),
        (call("read_the_whole_book"), "There is no tool 'read_the_whole_book'. There are: get_frontmatter_grep_report"),
        (call("write_toc_result"), "toc_found: Field required"),
        (call("write_toc_result", **{**WRITTEN, "confidence": 7}), "confidence: Input should be less than"),
        (call("write_toc_result", **{**WRITTEN, "toc_page_range": None}), "toc_page_range must name the pages"),
        (call("write_toc_result", **{**WRITTEN, "toc_found": False}), "toc_page_range must be null"),
        (
            call("write_toc_result", **{**WRITTEN, "toc_page_range": {"start_page": 6, "end_page": 5}}),
            "before it begins",
        ),
        (
            call("write_toc_result", **{**WRITTEN, "toc_page_range": {"start_page": 30, "end_page": 31}}),
            "Page 31 is none",
        ),
        (
            call("write_toc_result", **{**WRITTEN, "toc_page_range": {"start_page": 29, "end_page": 99}}),
            "no run of pages",
        ),
        (call("write_toc_result", **{**WRITTEN, "toc_page_range": {"start_page": 8, "end_page": 9}}), "loaded none"),
    ],
)
def test_what_cannot_be_done_is_refused_in_a_sentence_and_changes_nothing(asked: Call, why: str) -> None:
    before = desk(page=5).conversation
    after = run(desk(page=5), asked)
    assert answer(after).startswith("Not done. ")
    assert why in answer(after)
    assert after.messages[-1].short.startswith("refused: ")
    assert after.model_copy(update={"messages": before.messages}) == before


def test_a_page_comes_before_the_model_and_the_last_one_stays_as_words() -> None:
    after = run(desk(page=5), call("load_page_image", page_num=99, current_page_observations="chapters, with numbers"))
    assert (after.page, after.observations, after.seen) == (99, {5: "chapters, with numbers"}, (5, 99))
    assert answer(after) == "Page 99 is loaded; its picture follows."
    blind = run(desk(p7="Seven swans", sees=False), call("load_page_image", page_num=7))
    assert "Seven swans" in answer(blind)


def test_the_text_is_that_of_the_loaded_page() -> None:
    assert answer(run(desk(page=5, p5="Five fish"), call("load_ocr_text"))) == "Text of page 5:\nFive fish"
    assert "no text was recognised" in answer(run(desk(page=6, p5="Five fish"), call("load_ocr_text")))
    assert "No page is loaded" in answer(run(desk(p5="Five fish"), call("load_ocr_text")))


def test_the_result_keeps_the_outline_as_a_witness() -> None:
    level = {"visual": "capitals", "numbering": "Part I", "has_page_numbers": False, "semantic_type": "part"}
    second = {"visual": "indented", "numbering": None, "has_page_numbers": True, "semantic_type": "chapter"}
    summary = {"total_levels": 2, "level_patterns": [{"level": 2, **second}, {"level": 1, **level}]}
    after = run(desk(page=5), call("write_toc_result", **{**WRITTEN, "structure_summary": summary}))
    assert after.result is not None
    found = by_agent(RULES, after.result, "some/model", {}, [5], "name")
    assert (found.pages, found.source, found.unsure) == ([5, 6], "printed+outline", False)
    assert found.structure == (
        "2 levels: 1 part (capitals, numbered Part I, without page numbers); 2 chapter (indented, with page numbers)"
    )
    stands = by_rules(RULES, "some/model", "15 turns used", {}, [], "name")
    assert stands.reason == "the outline has 9 entries (rules; agent some/model gave up: 15 turns used)"
    assert (stands.found, stands.source) == (True, "outline")


def test_the_report_points_to_lists_and_names_what_it_cannot_see() -> None:
    texts = {
        2: "A preface to this book",
        4: "Contents Chapter 1 3 Chapter 2 9 Chapter 3 14 Chapter IV 20",
        5: "the contents of his pockets",
        7: "Chapter 1 It began",
        8: "and went on as in chapter one",
        10: "Chapter 2 It ended",
        12: "Bibliography",
    }
    made = report(texts, range(1, 13), {4: 0.9, 6: 0.7})
    assert made["pages_with_data"] == 7
    assert made["failed_pages"] == "1,3,6,9,11"
    assert made["categorized_pages"] == {
        "toc": "4-5",
        "front_matter": "2",
        "structure": "4,7-8,10",
        "back_matter": "12",
    }
    assert made["list_like_pages"] == "4,6"
    assert made["page_details"]["4"]["structure"] == ["Chapter 1", "Chapter 2", "Chapter 3", "Chapter IV"]
    told = " ".join(made["summary"])
    assert "Look first at 4:" in told
    assert "stands on 5, perhaps in running text" in told
    assert "Without such a word, 6 look like lists" in told
    assert "(7-8,10)" in told
    assert structure_clusters([1, 2, 9, 11, 13, 20]) == [[9, 11, 13]]


def test_the_report_is_a_tool_over_the_pages_that_may_be_loaded() -> None:
    after = run(desk(p3="Inhaltsverzeichnis", p4="Kapitel 1"), call("get_frontmatter_grep_report"))
    made = json.loads(answer(after))
    assert made["search_range"] == "1-30,99-100"
    assert made["categorized_pages"]["toc"] == "3"
    assert after.messages[-1].short == "a word for contents on pages 3"


def test_tools_are_offered_with_schemas_that_every_service_takes() -> None:
    for tool in offered():
        assert tool.parameters["type"] == "object"
        assert tool.parameters["additionalProperties"] is False
        assert set(tool.parameters["required"]) == set(tool.parameters["properties"])
    assert [tool.name for tool in offered()] == list(TOOLS)
