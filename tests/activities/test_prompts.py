"""Prompts: named by what they say, given for one book by a correction, kept as long as that is."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from activities.asking import prompt_of
from activities.correcting import publish_prompt
from activities.corrections import TEXTS, Corrections
from activities.holdings import artifacts_of
from activities.prompts import OWN, PROMPT_FIELDS, Prompt
from providers.local_artifacts import LocalArtifactStore
from schemas.documents import Correction
from schemas.errors import ArtifactMissing

BOOK = "a-book-0123abcd"


def given(number: int, fingerprint: str | None, who: str = "Ann") -> Correction:
    return Correction(
        key=f"{BOOK}/correction/prompt:blend/{number}",
        target=BOOK,
        field="prompt:blend",
        number=number,
        value=json.dumps(fingerprint) if fingerprint else None,
        reverted=fingerprint is None or None,
        who=who,
    )


@pytest.fixture
def artifacts(tmp_path: Path) -> LocalArtifactStore:
    return LocalArtifactStore(tmp_path)


async def test_the_last_one_given_counts_until_it_is_reset(artifacts: LocalArtifactStore) -> None:
    first, second = (publish_prompt(artifacts, text) for text in ("One.", "Two."))
    said = [given(1, first), given(2, second, "Ben")]
    found = await prompt_of(artifacts, Corrections(said), BOOK, "blend")
    assert (found.text, found.by) == ("Two.\n", "Ben")
    assert (await prompt_of(artifacts, Corrections(said), BOOK, "metadata")) == Prompt(OWN["metadata"])
    assert (await prompt_of(artifacts, Corrections([*said, given(3, None)]), BOOK, "blend")) == Prompt(OWN["blend"])


async def test_one_that_is_lost(artifacts: LocalArtifactStore) -> None:
    with pytest.raises(ArtifactMissing, match="prompt of blend for a-book"):
        await prompt_of(artifacts, Corrections([given(1, "0" * 64)]), BOOK, "blend")


def test_the_name_follows_from_the_text_alone() -> None:
    assert Prompt("One.\n").hash == Prompt("One.\n", "Ann").hash != Prompt("Two.\n").hash
    assert len({Prompt(text).hash for text in OWN.values()}) == len(OWN)


def test_dumps_carry_them_and_deletions_take_them_along() -> None:
    assert set(PROMPT_FIELDS) < set(TEXTS)
    said = given(1, "ab" * 32)
    assert artifacts_of(Correction, said.model_dump()) == {"ab" * 32}
    assert artifacts_of(Correction, given(2, None).model_dump()) == set()
