"""What only the memory store has (injected faults), and the rebuilding of past states from literals."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any

import cbor2
import pytest

from schemas.documents import Lease, OcrResult, Page
from schemas.errors import StoreUnavailable
from schemas.history import rebuild, signer
from schemas.memory import MemoryStore, SeededFaults
from schemas.store import Update


def part(cid: str, name: str, value: Any) -> dict[str, Any]:
    delta = base64.b64encode(cbor2.dumps(value)).decode()
    return {"cid": cid, "height": 1, "fieldName": name, "delta": delta, "links": [], "signature": None}


def whole(cid: str, height: int, *links: tuple[str, str]) -> dict[str, Any]:
    named = [{"name": name, "cid": linked} for name, linked in links]
    return {"cid": cid, "height": height, "fieldName": "_C", "delta": None, "links": named, "signature": None}


def test_rebuild_in_any_order() -> None:
    commits = [
        whole("c3", 3, ("_head", "c2"), ("a", "a3"), ("b", "b3")),
        part("a1", "a", "one"),
        whole("c1", 1, ("a", "a1"), ("key", "k1")),
        part("b3", "b", [1.5, 2]),
        part("k1", "key", "k"),
        whole("c2", 2, ("_head", "c1"), ("a", "a2")),
        part("a2", "a", "two"),
        part("a3", "a", None),
    ]
    versions = rebuild(commits)
    assert [(each.cid, each.height) for each in versions] == [("c1", 1), ("c2", 2), ("c3", 3)]
    assert [each.state for each in versions] == [
        {"a": "one", "key": "k"},
        {"a": "two", "key": "k"},
        {"a": None, "b": [1.5, 2], "key": "k"},
    ]
    assert versions[1].changed == {"a": "two"}


def test_a_missing_commit_and_a_broken_delta_are_errors() -> None:
    with pytest.raises(ValueError, match="a1"):
        rebuild([whole("c1", 1, ("a", "a1"))])
    for delta in ("!", "/w==", "gQ=="):
        with pytest.raises(ValueError, match="unreadable"):
            rebuild([whole("c1", 1, ("a", "a1")), {**part("a1", "a", 1), "delta": delta}])


def test_signer_is_the_public_key() -> None:
    assert signer({"type": "ES256K", "identity": base64.b64encode(b"02ab").decode()}) == "02ab"
    assert signer(None) is None


async def test_faults_before_and_after_committing() -> None:
    said: list[str] = []

    def faults(name: str) -> None:
        said.append(name)
        if name == "stub:after" and said.count(name) == 1:
            raise StoreUnavailable("lost")

    store = MemoryStore(faults)
    with pytest.raises(StoreUnavailable):
        await store.stub(Page, [{"key": "k"}])
    await store.stub(Page, [{"key": "k"}])
    assert store.commits == 1
    assert said == ["stub", "stub:after"] * 2


@pytest.mark.parametrize("seed", range(20))
async def test_work_under_seeded_faults_ends_as_without(seed: int) -> None:
    faults = SeededFaults(seed, rate=0.4)
    store = MemoryStore(faults)

    async def again(action: Callable[[], Any]) -> Any:
        while True:
            try:
                return await action()
            except StoreUnavailable:
                continue

    assert await again(lambda: store.acquire_lease("b", "w", "f", "r", 0)) == 1
    await again(lambda: store.stub(Page, [{"key": "b/1"}]))
    for step in (1, 2):
        update = Update("b/1", {"text": str(step)}, {"complete": True}, f"op{step}")
        await again(lambda update=update, step=step: store.update(Page, "ocr", 1, step, [update]))
    await again(lambda: store.create(OcrResult, [OcrResult(key="o")]))
    await again(lambda: store.release_lease("b", "r", 1))
    faults_seen = sum(faults.raised.values())
    store.faults = None
    assert store.commits == 1 + 1 + 1 + 2 + 1 + 1
    assert [version.state.get("text") for version in await store.history(Page, "b/1")] == [None, "1", "2"]
    assert (await store.get(Lease, ["b"]))["b"].run_id is None
    assert SeededFaults(seed).raised.total() == 0
    assert faults_seen == faults.raised.total()


async def test_faults_are_the_same_for_the_same_seed_and_only_where_wanted() -> None:
    def raised(seed: int) -> list[int]:
        faults, found = SeededFaults(seed, 0.3, {"update"}), []
        for number in range(200):
            for name in ("get", "update", "update:after"):
                try:
                    faults(name)
                except StoreUnavailable:
                    assert name != "get"
                    found.append(number)
        return found

    assert raised(1) == raised(1) != raised(2)
    assert 30 < len(raised(1)) < 90
