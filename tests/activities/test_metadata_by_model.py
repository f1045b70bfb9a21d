"""What becomes of the metadata that a model gives: every value is looked for on the pages."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from activities.metadata.schema import AGREED, PRINTED, TOLD, Catalogued, Contributor, problems, verified
from providers.rules.metadata import Evidence, Metadata
from tests.providers.reading_helpers import line, page

WHO = "maker/model-1"
NOTHING: dict[str, Any] = {
    **dict.fromkeys(("title", "subtitle", "publisher", "place", "year", "lccn", "language", "description")),
    **{name: [] for name in ("authors", "isbn", "subjects", "contributors")},
    "confidence": 0.9,
}
PAGES = [
    (1, page(line("THE", 40, 40))),
    (3, page(line("THE D0CTOR AND HIS HORSE", 40, 40), line("by Jane Roe and R. Poe", 40, 80))),
    (4, page(line("Copyright 1911, Nobody & Sons", 40, 40), line("ISBN 0-306-40615-2", 40, 80))),
]


def said(**values: Any) -> Catalogued:
    return Catalogued(**{**NOTHING, **values})


def test_a_value_says_on_which_page_it_stands() -> None:
    found = verified(said(title="The Doctor and his Horse", year=1911), Metadata(), PAGES, WHO)
    assert (found.title, found.year) == ("The Doctor and his Horse", 1911)
    assert found.evidence["title"] == Evidence(page=3, confidence=PRINTED, source=WHO), "in spite of a misread letter"
    assert found.evidence["year"].page == 4


def test_a_value_that_no_page_prints_hardly_counts() -> None:
    found = verified(said(title="Moby Dick, or the Whale", place="Ulm"), Metadata(), PAGES, WHO)
    assert found.title == "Moby Dick, or the Whale"
    assert (found.evidence["title"].page, found.evidence["title"].confidence) == (None, TOLD)
    assert found.evidence["place"].page is None


def test_what_the_rules_found_too_is_surer() -> None:
    rules = Metadata(title="THE DOCTOR and his Horse", authors=["Jane Roe"], evidence={})
    found = verified(said(title="The Doctor and His Horse", authors=["Jane Roe", "R. Poe"]), rules, PAGES, WHO)
    assert found.evidence["title"].confidence == AGREED
    assert (found.authors, found.evidence["authors"].confidence) == (["Jane Roe", "R. Poe"], PRINTED)


def test_where_it_has_none_the_rules_have_their_say() -> None:
    evidence = {"publisher": Evidence(page=4, confidence=0.7, source="copyright_page")}
    found = verified(said(), Metadata(publisher="Nobody & Sons", evidence=evidence), PAGES, WHO)
    assert (found.publisher, found.evidence) == ("Nobody & Sons", evidence)


def test_only_isbns_with_a_right_checksum() -> None:
    found = verified(said(isbn=["0-306-40615-2", "0-306-40615-3"]), Metadata(), PAGES, WHO)
    assert found.isbn == ["9780306406157"]
    assert found.evidence["isbn"].page == 4
    assert verified(said(isbn=["12"]), Metadata(), PAGES, WHO).isbn == []


def test_the_fields_that_only_models_give() -> None:
    answer = said(
        lccn="11-12345",
        description="A story of a doctor.",
        subjects=["Horses"],
        contributors=[Contributor(name="R. Poe", role="editor")],
    )
    found = verified(answer, Metadata(), PAGES, WHO)
    assert (found.description, found.subjects, found.contributors) == (
        "A story of a doctor.",
        ["Horses"],
        ["R. Poe (editor)"],
    )
    assert found.evidence["description"].confidence == TOLD, "it stands on no page"
    assert found.evidence["contributors"].page == 3
    assert found.evidence["subjects"].page is None
    assert verified(said(lccn="not one"), Metadata(), PAGES, WHO).lccn is None


@pytest.mark.parametrize(
    ("values", "wrong"),
    [
        ({"year": 1911, "language": "en"}, 0),
        ({"year": datetime.now(UTC).year + 1}, 0),
        ({"year": datetime.now(UTC).year + 2}, 1),
        ({"year": 1066}, 1),
        ({"language": "English"}, 1),
        ({"language": "eng", "year": 0}, 2),
    ],
)
def test_what_the_model_is_told_of(values: dict[str, Any], wrong: int) -> None:
    assert len(problems(said(**values))) == wrong
