"""What a store promises, over both implementations."""

from __future__ import annotations

import asyncio
import random
from typing import Any

import pytest

from schemas.documents import Book, Lease, OcrResult, Page, ToC
from schemas.errors import DocumentRefused, LeaseLost, RevReused, StoreRefused
from schemas.store import Saved, Store, Update, op_id

NASTY = [
    "",
    " ",
    "quotes \" and \\ backslash ' `",
    "\x00NUL, \x01\x02\x1f controls, \x7f, \x85",
    "tab\t newline\n return\r\n form feed\f",
    "emoji 😀 👩‍👩‍👧, astral 𝔸, combining e\u0301, é",
    "\u2028\u2029\ufeff\ufffd\uffff",
    '{}[]()$x: query { } #comment """ ${a} %s {0}',
    "العربية עברית 漢字",
    "ﬁ ﬂ soft\u00adhyphen zero\u200bwidth",
    "x" * 20_000,
]


def save(key: str, artifact: str, step: int = 1, epoch: int = 1, operation: str = "ocr", **fields: Any) -> Update:
    flags = {"complete": True, "inputs": f"in-{artifact}", "generation": 0, "artifact": artifact, "error": None}
    return Update(key, fields, flags, op_id(epoch, operation, step, artifact))


async def pages(store: Store, book: str, count: int) -> list[str]:
    keys = [f"{book}/p{number:03d}" for number in range(1, count + 1)]
    await store.stub(Page, [{"key": key, "book_key": book, "page": at + 1} for at, key in enumerate(keys)])
    return keys


async def heights(store: Store, keys: list[str]) -> list[int]:
    return [len(await store.history(Page, key)) for key in keys]


# --- stubs ---


async def test_stub_has_every_revision_at_zero(store: Store, book: str) -> None:
    [key] = await pages(store, book, 1)
    page = (await store.get(Page, [key]))[key]
    assert (page.book_key, page.page, page.text) == (book, 1, None)
    assert [page.flag(operation, "rev") for operation in Page.operations] == [0] * 5
    assert page.flag("ocr", "complete") is None


async def test_stub_leaves_what_exists_and_creates_the_rest(store: Store, book: str) -> None:
    await pages(store, book, 30)
    documents = [{"key": f"{book}/p{number:03d}", "book_key": book, "page": 900 + number} for number in range(1, 61)]
    random.Random(1).shuffle(documents)
    await store.stub(Page, documents)
    await store.stub(Page, documents)
    found = await store.find(Page, {"book_key": book}, ["page"])
    assert [page.page for page in found] == [*range(1, 31), *range(931, 961)]
    assert {len(await store.history(Page, page.key)) for page in found[::10]} == {1}


async def test_stub_names_the_refused_and_writes_the_others(store: Store, book: str) -> None:
    with pytest.raises(DocumentRefused) as caught:
        await store.stub(Page, [{"key": f"{book}/a", "page": 1}, {"key": f"{book}/b", "page": 2**31}])
    assert caught.value.key == f"{book}/b"
    assert set(await store.get(Page, [f"{book}/a", f"{book}/b"])) == {f"{book}/a"}


async def test_stubs_of_two_at_once(store: Store, book: str) -> None:
    await asyncio.gather(*(pages(store, book, 40) for _ in range(3)))
    assert len(await store.find(Page, {"book_key": book}, [])) == 40


# --- immutable documents ---


def readings(book: str, count: int, **fields: Any) -> list[OcrResult]:
    made = [
        OcrResult(
            key=f"{book}/p{number:03d}/ocr/x/f",
            book_key=book,
            page_key=f"{book}/p{number:03d}",
            text=f"text of {number}",
            confidence=90 + number / 7,
            **fields,
        )
        for number in range(1, count + 1)
    ]
    random.Random(2).shuffle(made)
    return made


async def test_create_answers_in_order_of_the_input(store: Store, book: str) -> None:
    documents = readings(book, 60, op_id="one")
    written = await store.create(OcrResult, documents)
    assert [each.key for each in written] == [each.key for each in documents]
    assert {each.outcome for each in written} == {Saved.SAVED}
    assert len({each.doc_id for each in written}) == len({each.cid for each in written}) == 60
    for each in written[::20]:
        [version] = await store.history(OcrResult, each.key)
        assert version.cid == each.cid
    stored = await store.get(OcrResult, [each.key for each in documents])
    assert {key: each.text for key, each in stored.items()} == {each.key: each.text for each in documents}


async def test_create_again_is_equal_and_commits_nothing(store: Store, book: str) -> None:
    first = await store.create(OcrResult, readings(book, 30, op_id="one"))
    again = await store.create(OcrResult, readings(book, 40, op_id="another job"))
    outcome = {each.key: each.outcome for each in again}
    assert [outcome[each.key] for each in first] == [Saved.EQUAL] * 30
    assert sorted(outcome.values()).count(Saved.SAVED) == 10
    assert {each.doc_id for each in first} < {each.doc_id for each in again}
    assert len(await store.history(OcrResult, first[0].key)) == 1
    assert (await store.get(OcrResult, [first[0].key]))[first[0].key].op_id == "one"


async def test_create_with_other_content_is_a_bug(store: Store, book: str) -> None:
    [old] = readings(book, 1)
    await store.create(OcrResult, [old])
    other = old.model_copy(update={"text": "something else"})
    with pytest.raises(RevReused, match=old.key):
        await store.create(OcrResult, [other, *readings(book, 3)[:0], OcrResult(key=f"{book}/new", book_key=book)])
    stored = await store.get(OcrResult, [old.key, f"{book}/new"])
    assert stored[old.key].text == old.text
    assert f"{book}/new" in stored


async def test_create_the_same_document_twice_in_one_call(store: Store, book: str) -> None:
    [one] = readings(book, 1)
    written = await store.create(OcrResult, [one, one])
    assert written[0] == written[1]
    with pytest.raises(RevReused):
        await store.create(OcrResult, [OcrResult(key=f"{book}/z", text="a"), OcrResult(key=f"{book}/z", text="b")])


@pytest.mark.parametrize(
    "bad",
    [
        {"generation": 2**31},
        {"generation": -(2**31) - 1},
        {"confidence": float("nan")},
        {"confidence": float("inf")},
        {"text": "half \ud83d surrogate"},
        {"no_such_field": 1},
    ],
    ids=str,
)
async def test_create_names_the_refused_and_writes_the_others(store: Store, book: str, bad: dict[str, Any]) -> None:
    documents = readings(book, 30)
    documents[17] = OcrResult.model_construct(key=f"{book}/bad", **bad)
    with pytest.raises(DocumentRefused) as caught:
        await store.create(OcrResult, documents)
    assert caught.value.key == f"{book}/bad"
    assert len(await store.get(OcrResult, [each.key for each in documents])) == 29


async def test_create_nothing(store: Store) -> None:
    assert await store.create(OcrResult, []) == []
    await store.stub(Page, [])
    assert await store.update(Page, "ocr", 1, 1, []) == []
    assert await store.get(Page, []) == {}


async def test_values_come_back_as_they_went(store: Store, book: str) -> None:
    documents = [OcrResult(key=f"{book}/{at}/{text[:40]}", book_key=book, text=text) for at, text in enumerate(NASTY)]
    await store.create(OcrResult, documents)
    stored = await store.get(OcrResult, [each.key for each in documents])
    assert [stored[each.key].text for each in documents] == NASTY
    [version] = await store.history(OcrResult, documents[3].key)
    assert version.state["text"] == NASTY[3]
    again = await store.create(OcrResult, documents)
    assert {each.outcome for each in again} == {Saved.EQUAL}


async def test_limits_of_integers_lists_and_null(store: Store, book: str) -> None:
    key = f"{book}/toc"
    await store.stub(ToC, [{"key": key, "book_key": book}])
    fields: dict[str, Any] = {"pages": [2**31 - 1, -(2**31), 0], "found": False, "reason": "", "entry_count": 0}
    await store.update(ToC, "toc_find", 1, 1, [save(key, "a", **fields)])
    toc = (await store.get(ToC, [key]))[key]
    assert (toc.pages, toc.found, toc.reason, toc.entry_count) == ([2**31 - 1, -(2**31), 0], False, "", 0)
    await store.update(ToC, "toc_find", 1, 2, [save(key, "b", pages=[], reason=None)])
    toc = (await store.get(ToC, [key]))[key]
    assert (toc.pages, toc.reason, toc.found) == ([], None, False)
    [equal] = await store.update(ToC, "toc_find", 1, 3, [save(key, "b", pages=[], reason=None)])
    assert equal.outcome is Saved.EQUAL
    [other] = await store.update(ToC, "toc_find", 1, 3, [save(key, "b", pages=None)])
    assert other.outcome is Saved.SAVED  # no list is not an empty list


# --- deletes ---


async def test_what_is_deleted_is_gone_and_the_rest_stays(store: Store, book: str) -> None:
    documents = readings(book, 40)
    await store.create(OcrResult, documents)
    keys = [each.key for each in documents[:30]]
    assert await store.delete(OcrResult, keys) == 30
    assert await store.delete(OcrResult, [*keys, f"{book}/never-there"]) == 0
    assert await store.delete(OcrResult, []) == 0
    left = await store.find(OcrResult, {"book_key": book}, [])
    assert {each.key for each in left} == {each.key for each in documents[30:]}
    assert await store.get(OcrResult, keys) == {}
    assert await store.history(OcrResult, keys[0]) == []


async def test_what_was_deleted_can_be_made_again_as_it_was(store: Store, book: str) -> None:
    documents = readings(book, 30)
    for _ in range(3):
        written = await store.create(OcrResult, documents)
        assert {each.outcome for each in written} == {Saved.SAVED}
        assert {each.outcome for each in await store.create(OcrResult, documents)} == {Saved.EQUAL}
        stored = await store.get(OcrResult, [each.key for each in documents])
        assert [stored[each.key] for each in documents] == documents
        [version] = await store.history(OcrResult, documents[0].key)
        wanted = {name: value for name, value in documents[0].model_dump().items() if value is not None}
        assert (version.cid, version.state) == (written[0].cid, dict(sorted(wanted.items())))
        await store.delete(OcrResult, [each.key for each in documents])


async def test_some_were_deleted_some_exist_some_are_new(store: Store, book: str) -> None:
    documents = readings(book, 36)
    await store.create(OcrResult, documents[:24])
    await store.delete(OcrResult, [each.key for each in documents[6:18]])
    written = await store.create(OcrResult, documents)
    outcome = {each.key: each.outcome for each in written}
    assert [key for key in outcome if outcome[key] is Saved.EQUAL] == [
        each.key for each in [*documents[:6], *documents[18:24]]
    ]
    assert len(await store.find(OcrResult, {"book_key": book}, [])) == 36


async def test_a_deleted_stub_is_a_stub_again_and_can_be_saved(store: Store, book: str) -> None:
    keys = await pages(store, book, 30)
    await store.update(Page, "ocr", 1, 1, [save(key, "a", text="before") for key in keys])
    await store.delete(Page, keys)
    assert await pages(store, book, 30) == keys
    assert {page.text for page in await store.find(Page, {"book_key": book}, ["text"])} == {None}
    await store.update(Page, "ocr", 1, 1, [save(key, "a", text="after") for key in keys])
    assert {page.text for page in await store.find(Page, {"book_key": book}, ["text"])} == {"after"}
    assert await heights(store, keys[:1]) == [2]


async def test_several_make_again_what_was_deleted(store: Store, book: str) -> None:
    documents = readings(book, 20)
    await store.create(OcrResult, documents)
    await store.delete(OcrResult, [each.key for each in documents])
    await asyncio.gather(*(store.create(OcrResult, documents) for _ in range(3)))
    assert len(await store.find(OcrResult, {"book_key": book}, [])) == 20
    assert len(await store.history(OcrResult, documents[0].key)) == 1


# --- guarded updates ---


async def test_update_saves_and_reads_back(store: Store, book: str) -> None:
    keys = await pages(store, book, 60)
    random.Random(3).shuffle(keys)
    updates = [save(key, f"art-{key}", text=f"text of {key}", confidence=90) for key in keys]
    written = await store.update(Page, "ocr", 1, 1, updates)
    assert [each.key for each in written] == keys
    assert {each.outcome for each in written} == {Saved.SAVED}
    stored = await store.get(Page, keys)
    for key, update in zip(keys, updates, strict=True):
        page = stored[key]
        assert (page.text, page.confidence) == (f"text of {key}", 90.0)
        assert (page.flag("ocr", "rev"), page.flag("ocr", "op_id")) == (65, update.op_id)
        assert (page.flag("ocr", "complete"), page.flag("ocr", "artifact")) == (True, f"art-{key}")
        assert page.flag("blend", "rev") == 0
    versions = await store.history(Page, keys[0])
    assert [version.height for version in versions] == [1, 2]
    assert versions[1].cid == written[0].cid


async def test_update_repeated_is_saved_once(store: Store, book: str) -> None:
    keys = await pages(store, book, 3)
    updates = [save(key, "a", text="t") for key in keys]
    first = await store.update(Page, "ocr", 1, 1, updates)
    assert await store.update(Page, "ocr", 1, 1, updates) == first
    assert await heights(store, keys) == [2, 2, 2]


async def test_cid_is_that_of_the_own_commit(store: Store, book: str) -> None:
    """Another operation may have written to the document since."""
    [key] = await pages(store, book, 1)
    [ocr] = await store.update(Page, "ocr", 1, 1, [save(key, "a", text="t")])
    [label] = await store.update(Page, "label", 1, 1, [save(key, "l", operation="label", label="xii")])
    [again] = await store.update(Page, "ocr", 1, 1, [save(key, "a", text="t")])
    assert (again.cid, again.outcome) == (ocr.cid, Saved.SAVED)
    assert [version.cid for version in await store.history(Page, key)][1:] == [ocr.cid, label.cid]


async def test_equal_values_commit_nothing_under_a_later_revision(store: Store, book: str) -> None:
    keys = await pages(store, book, 2)
    await store.update(Page, "ocr", 1, 1, [save(key, "a", text="t", confidence=0.1 + 0.2) for key in keys])
    later = await store.update(
        Page, "ocr", 7, 1, [save(keys[0], "a", text="t", confidence=0.3), save(keys[1], "a", text="T", confidence=0.3)]
    )
    assert [each.outcome for each in later] == [Saved.EQUAL, Saved.SAVED]
    assert await heights(store, keys) == [2, 3]
    assert (await store.get(Page, keys[:1], ["ocr_rev"]))[keys[0]].flag("ocr", "rev") == 65


async def test_a_commit_holds_only_what_changed(store: Store, book: str) -> None:
    [key] = await pages(store, book, 1)
    await store.update(Page, "ocr", 1, 1, [save(key, "a", text="t", confidence=90.0)])
    await store.update(Page, "ocr", 2, 1, [save(key, "a", text="u", confidence=90.0)])
    assert set((await store.history(Page, key))[-1].changed) == {"text", "ocr_rev", "ocr_op_id"}


@pytest.mark.parametrize("flag", ["complete", "inputs", "artifact", "error", "generation"])
async def test_a_flag_alone_makes_a_difference(store: Store, book: str, flag: str) -> None:
    [key] = await pages(store, book, 1)
    first = save(key, "a", text="t")
    await store.update(Page, "ocr", 1, 1, [first])
    value = {"complete": False, "inputs": "other", "artifact": "other", "error": "broken", "generation": 3}[flag]
    [written] = await store.update(
        Page, "ocr", 1, 2, [Update(key, {"text": "t"}, {**first.flags, flag: value}, "second")]
    )
    assert written.outcome is Saved.SAVED
    assert set((await store.history(Page, key))[-1].changed) == {f"ocr_{flag}", "ocr_rev", "ocr_op_id"}


async def test_an_earlier_step_is_overtaken(store: Store, book: str) -> None:
    [key] = await pages(store, book, 1)
    await store.update(Page, "ocr", 1, 1, [save(key, "a", text="result")])
    note = Update(key, {}, {"complete": False, "error": "timed out"}, "note")
    [written] = await store.update(Page, "ocr", 1, 0, [note])
    assert written.outcome is Saved.OVERTAKEN
    page = (await store.get(Page, [key]))[key]
    assert (page.flag("ocr", "complete"), page.flag("ocr", "error"), page.text) == (True, None, "result")


async def test_a_higher_epoch_means_that_the_lease_is_lost(store: Store, book: str) -> None:
    keys = await pages(store, book, 2)
    await store.update(Page, "ocr", 2, 0, [save(keys[0], "new", text="new")])
    with pytest.raises(LeaseLost, match="epoch 2"):
        await store.update(Page, "ocr", 1, 63, [save(key, "old", text="old") for key in keys])
    assert (await store.get(Page, keys))[keys[0]].text == "new"


async def test_one_revision_for_two_results_is_a_bug(store: Store, book: str) -> None:
    keys = await pages(store, book, 3)
    await store.update(Page, "ocr", 1, 1, [save(keys[1], "a", text="one")])
    with pytest.raises(RevReused, match=keys[1]):
        await store.update(Page, "ocr", 1, 1, [save(key, "b", text="two") for key in keys])
    assert [page.text for page in (await store.get(Page, keys)).values()] == ["two", "one", "two"]


async def test_a_missing_document_is_named(store: Store, book: str) -> None:
    keys = await pages(store, book, 2)
    with pytest.raises(DocumentRefused, match="no such document") as caught:
        await store.update(Page, "ocr", 1, 1, [save(key, "a", text="t") for key in [keys[0], f"{book}/no", keys[1]]])
    assert caught.value.key == f"{book}/no"
    assert [page.text for page in (await store.get(Page, keys)).values()] == ["t", "t"]
    assert await store.get(Page, [f"{book}/no"]) == {}


BAD_FIELDS: list[dict[str, Any]] = [
    {"page": 2**31},
    {"page": "1"},
    {"page": True},
    {"text": 1},
    {"text": "\ud800"},
    {"confidence": float("-inf")},
    {"ocr_results": "x"},
    {"ocr_results": ["a", None]},
    {"nope": 1},
    {"key": "k"},
    {"blend_complete": True},
    {"ocr_complete": True},
]


@pytest.mark.parametrize("fields", BAD_FIELDS, ids=ascii)
async def test_a_bad_value_is_named_and_the_others_written(store: Store, book: str, fields: dict[str, Any]) -> None:
    keys = await pages(store, book, 3)
    updates = [save(key, "a", text="t") for key in keys]
    updates[1] = Update(keys[1], fields, {"complete": True}, "x")
    with pytest.raises(DocumentRefused) as caught:
        await store.update(Page, "ocr", 1, 1, updates)
    assert caught.value.key == keys[1]
    assert [page.text for page in (await store.get(Page, keys)).values()] == ["t", None, "t"]


@pytest.mark.parametrize("flags", [{"rev": 9}, {"op_id": "x"}, {"nope": 1}, {"complete": 1}, {"generation": 2**40}])
async def test_a_bad_flag_is_named(store: Store, book: str, flags: dict[str, Any]) -> None:
    [key] = await pages(store, book, 1)
    with pytest.raises(DocumentRefused):
        await store.update(Page, "ocr", 1, 1, [Update(key, {"text": "t"}, flags, "x")])
    assert await heights(store, [key]) == [1]


async def test_an_operation_that_owns_nothing_there(store: Store, book: str) -> None:
    [key] = await pages(store, book, 1)
    with pytest.raises(DocumentRefused):
        await store.update(Page, "toc_find", 1, 1, [save(key, "a", text="t")])


async def test_a_document_twice_in_one_save(store: Store, book: str) -> None:
    [key] = await pages(store, book, 1)
    with pytest.raises(DocumentRefused, match="twice"):
        await store.update(Page, "ocr", 1, 1, [save(key, "a", text="t"), save(key, "b", text="u")])


@pytest.mark.parametrize(("epoch", "step"), [(1, 64), (1, -1)])
async def test_a_step_beyond_the_epoch(store: Store, book: str, epoch: int, step: int) -> None:
    with pytest.raises(ValueError, match="step"):
        await store.update(Page, "ocr", epoch, step, [save(f"{book}/x", "a")])


async def test_operations_do_not_hinder_each_other(store: Store, book: str) -> None:
    keys = await pages(store, book, 30)
    outcomes = await asyncio.gather(
        *(
            store.update(
                Page, operation, epoch, 1, [save(key, operation, operation=operation, **fields) for key in keys]
            )
            for epoch, operation, fields in (
                (3, "extract", {"text_layer": "good"}),
                (1, "blend", {"text": "t"}),
                (2, "label_read", {"running_header": "h"}),
            )
        )
    )
    assert {each.outcome for written in outcomes for each in written} == {Saved.SAVED}
    for page in (await store.get(Page, keys)).values():
        assert (page.text_layer, page.text, page.running_header) == ("good", "t", "h")
        assert [page.flag(name, "rev") for name in ("extract", "blend", "label_read")] == [193, 65, 129]
    assert set(await heights(store, keys[:5])) == {4}


# --- reads ---


async def test_get_in_order_of_the_keys_and_only_the_fields(store: Store, book: str) -> None:
    keys = await pages(store, book, 250)
    asked = [keys[7], f"{book}/no", keys[3], keys[7], *keys[100:]]
    found = await store.get(Page, asked, ["page", "ocr_rev"])
    assert list(found) == [keys[7], keys[3], *keys[100:]]
    assert found[keys[7]].page == 8
    assert found[keys[7]].book_key is None
    assert found[keys[7]].model_extra == {"ocr_rev": 0}


async def test_find_by_indexed_field(store: Store, book: str) -> None:
    keys = await pages(store, book, 12)
    await pages(store, f"{book}-other", 3)
    assert [page.key for page in await store.find(Page, {"book_key": book})] == keys
    assert [page.key for page in await store.find(Page, {"book_key": book, "page": 4})] == [keys[3]]
    assert [page.page for page in await store.find(Page, {"book_key": book, "page": (4, 2, 99)})] == [2, 4]
    assert await store.find(Page, {"book_key": f"{book}-none"}) == []
    assert len(await store.find(Page, {"book_key": book, "text": None})) == 12
    assert len(await store.find(Page, {"book_key": [book, f"{book}-other"]}, ["page"])) == 15
    assert await store.find(Page, {"book_key": []}) == []
    assert {page.key for page in await store.find(Page, {}, [])} >= set(keys)


async def test_find_with_many_alternatives(store: Store, book: str) -> None:
    keys = await pages(store, book, 230)
    assert [page.key for page in await store.find(Page, {"key": keys[::-1]}, [])] == keys


@pytest.mark.parametrize("where", [{"page": 1}, {"nope": 1}, {"book_key": "b", "ocr_results": "x"}, {"book_key": 1}])
async def test_find_refuses_what_it_cannot_do_well(store: Store, where: dict[str, Any]) -> None:
    with pytest.raises(StoreRefused):
        await store.find(Page, where)


async def test_unknown_fields_are_refused(store: Store) -> None:
    with pytest.raises(StoreRefused, match="nope"):
        await store.get(Page, ["x"], ["nope"])


async def test_history_rebuilds_every_state(store: Store, book: str) -> None:
    [key] = await pages(store, book, 1)
    for epoch in range(1, 5):
        values = {"text": f"version {epoch}" if epoch != 3 else None, "ocr_results": [str(epoch)], "confidence": epoch}
        await store.update(Page, "blend", epoch, 1, [save(key, str(epoch), epoch=epoch, operation="blend", **values)])
    versions = await store.history(Page, key)
    assert [version.height for version in versions] == [1, 2, 3, 4, 5]
    assert [version.state.get("text") for version in versions] == [None, "version 1", "version 2", None, "version 4"]
    assert versions[0].state["ocr_rev"] == 0
    assert versions[3].changed["text"] is None
    current = (await store.get(Page, [key]))[key].model_dump(exclude_none=True)
    assert {name: value for name, value in versions[-1].state.items() if value is not None} == current
    assert await store.history(Page, f"{book}/no") == []


# --- lease ---


async def test_lease_goes_to_the_first(store: Store, book: str) -> None:
    assert await store.acquire_lease(book, "w1", "f1", "r1", 0) == 1
    assert await store.acquire_lease(book, "w1", "f1", "r1", 0) == 1  # the answer was lost
    assert await store.acquire_lease(book, "w2", "f2", "r2", 0) is None
    lease = (await store.get(Lease, [book]))[book]
    assert (lease.book_key, lease.workflow_id, lease.first_run_id, lease.run_id, lease.epoch) == (
        book, "w1", "f1", "r1", 1
    )  # fmt: skip
    assert await store.acquire_lease(book, "w2", "f2", "r2", 1) == 2
    assert await store.acquire_lease(book, "w1", "f1", "r1", 1) is None


async def test_lease_is_renewed_by_its_holder(store: Store, book: str) -> None:
    assert await store.acquire_lease(book, "w1", "f1", "r1", 0) == 1
    assert await store.acquire_lease(book, "w1", "f1", "r1", 1) == 2
    assert await store.acquire_lease(book, "w1", "f1", "r1", 1) == 2  # the answer was lost
    assert await store.acquire_lease(book, "w2", "f2", "r2", 1) is None
    lease = (await store.get(Lease, [book]))[book]
    assert (lease.workflow_id, lease.run_id, lease.epoch) == ("w1", "r1", 2)


async def test_lease_released_keeps_its_epoch(store: Store, book: str) -> None:
    assert await store.acquire_lease(book, "w1", "f1", "r1", 0) == 1
    await store.release_lease(book, "r2", 1)
    await store.release_lease(book, "r1", 2)
    assert (await store.get(Lease, [book]))[book].run_id == "r1"
    await store.release_lease(book, "r1", 1)
    await store.release_lease(book, "r1", 1)
    lease = (await store.get(Lease, [book]))[book]
    assert (lease.workflow_id, lease.run_id, lease.epoch) == (None, None, 1)
    assert await store.acquire_lease(book, "w1", "f1", "r1", 0) is None  # a late twin of the acquiring
    assert await store.acquire_lease(book, "w2", "f2", "r2", 1) == 2
    await store.release_lease(f"{book}-never", "r", 1)


async def test_lease_of_many_at_once(store: Store, book: str) -> None:
    for expected in (0, 1):
        taken = await asyncio.gather(
            *(store.acquire_lease(book, f"w{run}", f"f{run}", f"r{expected}-{run}", expected) for run in range(8))
        )
        assert sorted(taken, key=str) == [expected + 1] + [None] * 7


async def test_page_and_lease_and_book_have_keys_of_their_own(store: Store, book: str) -> None:
    await store.stub(Book, [{"key": book, "source_name": "a.pdf"}])
    assert await store.acquire_lease(book, "w", "f", "r", 0) == 1
    assert (await store.get(Book, [book]))[book].source_name == "a.pdf"


# --- delivery ---


async def test_shuffled_duplicated_deliveries_end_at_the_highest(store: Store, book: str) -> None:
    keys = await pages(store, book, 5)
    saves = [(key, step) for key in keys for step in range(1, 9)] * 4
    random.Random(4).shuffle(saves)
    gate = asyncio.Semaphore(8)

    async def deliver(key: str, step: int) -> None:
        async with gate:
            [written] = await store.update(Page, "ocr", 1, step, [save(key, f"{key}-{step}", step, text=f"{step}")])
            assert written.outcome in (Saved.SAVED, Saved.OVERTAKEN)

    await asyncio.gather(*(deliver(*each) for each in saves))
    for key in keys:
        versions = await store.history(Page, key)
        revs = [version.state["ocr_rev"] for version in versions]
        assert revs == sorted(set(revs))
        assert revs[-1] == 64 + 8
        assert versions[-1].state["text"] == "8"
        assert all(version.state["ocr_artifact"] == f"{key}-{version.state['text']}" for version in versions[1:])
