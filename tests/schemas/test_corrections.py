"""Corrections are numbered: whoever is second at a number is told so, and a repeat is none. Over both stores."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest
from temporalio.testing import ActivityEnvironment

from activities.correcting import CorrectActivities
from activities.corrections import RecordInput, Said, read_corrections
from activities.services import Services
from providers.local_artifacts import LocalArtifactStore
from schemas.documents import Correction
from schemas.errors import RevReused
from schemas.keys import correction_key
from schemas.store import Saved, Store


def said(book: str, number: int, who: str, value: str | None, *, reverted: bool | None = None) -> Correction:
    return Correction(
        key=correction_key(book, "title", number),
        book_key=book,
        target=book,
        field="title",
        number=number,
        value=value,
        reverted=reverted,
        who=who,
        at="2026-01-01T00:00:00.000+00:00",
    )


async def test_a_number_is_taken_once(store: Store, book: str) -> None:
    first = said(book, 1, "Ann", '"One"')
    assert (await store.create(Correction, [first]))[0].outcome is Saved.SAVED
    assert (await store.create(Correction, [first]))[0].outcome is Saved.EQUAL
    with pytest.raises(RevReused):
        await store.create(Correction, [said(book, 1, "Ben", '"Two"')])
    assert [found.who for found in await store.find(Correction, {"book_key": book})] == ["Ann"]


async def test_the_highest_number_counts_beyond_nine(store: Store, book: str) -> None:
    """Keys come in the order of their letters: 10 before 9."""
    await store.create(Correction, [said(book, number, "Ann", f'"Title {number}"') for number in range(1, 12)])
    live = await read_corrections(store, book)
    assert live.value(book, "title") == "Title 11"
    digest = live.digest_of(book, ["title"])
    await store.create(Correction, [said(book, 12, "Ann", None, reverted=True)])
    live = await read_corrections(store, book)
    assert not live.has(book, "title")
    assert live.digest_of(book, ["title"]) == "", "as if nothing had been said"
    await store.create(Correction, [said(book, 13, "Ann", '"Title 11"')])
    assert (await read_corrections(store, book)).digest_of(book, ["title"]) == digest


async def test_two_who_speak_at_once_are_both_heard(store: Store, book: str, tmp_path: Path) -> None:
    epoch = await store.acquire_lease(book, "job", "run", "run", 0)
    assert epoch is not None
    services = Services(store, LocalArtifactStore(tmp_path), {}, {}, None, [])
    record = CorrectActivities(services).record_corrections

    async def speak(who: str) -> None:
        value = Said(field="title", value=f"The title of {who}")
        job = RecordInput(book_id=book, epoch=epoch, who=who, at="2026-01-01T00:00:00.000+00:00", corrections=(value,))
        environment = ActivityEnvironment()
        environment.info = replace(environment.info, activity_id=who)
        await environment.run(record, job)

    people = ["Ann", "Ben", "Cid", "Dot"]
    await asyncio.gather(*map(speak, people))
    found = await store.find(Correction, {"book_key": book})
    assert sorted(each.number or 0 for each in found) == [1, 2, 3, 4]
    assert sorted(str(each.who) for each in found) == people
