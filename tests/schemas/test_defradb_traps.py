"""What the client relies on in DefraDB, tried on the real server: run it first against any new version."""

from __future__ import annotations

import asyncio
import itertools
import random
import uuid
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import pytest

from schemas.defradb import DefraStore, filters, guard_selection
from schemas.documents import TYPES, Document, Lease, OcrResult, Page
from schemas.errors import DocumentRefused, StoreRefused, StoreUnavailable
from schemas.guard import same
from schemas.http import HttpClient, Reply
from schemas.sdl import RESERVED, python_types, sdl
from schemas.store import Saved, Update, op_id


class Raw:
    """GraphQL without the rules, on a small type of its own."""

    def __init__(self, url: str) -> None:
        self.http = HttpClient(url)
        self.type = f"Trap{uuid.uuid4().hex[:10]}"

    async def post(self, query: str, variables: Mapping[str, Any] | None = None) -> Reply:
        body = {"query": query.replace("TYPE", self.type), "variables": variables or {}}
        return await self.http.post_json("/api/v0/graphql", body)

    async def __call__(self, query: str, variables: Mapping[str, Any] | None = None) -> dict[str, Any]:
        body = (await self.post(query, variables)).json()
        assert isinstance(body, dict)
        return body

    async def data(self, query: str, variables: Mapping[str, Any] | None = None) -> Any:
        body = await self(query, variables)
        assert "errors" not in body, body
        return body["data"]["r"]

    async def schema(self, fields: str) -> None:
        body = f"type {self.type} {{ key: String @index(unique: true) {fields} }}".encode()
        reply = await self.http.request("POST", "/api/v0/schema", content=body, headers={"content-type": "text/plain"})
        assert reply.status == 200, reply.text

    async def create(self, documents: list[dict[str, Any]]) -> list[dict[str, Any]]:
        query = "mutation($i:[TYPEMutationInputArg!]){r:create_TYPE(input:$i){_docID key}}"
        made: list[dict[str, Any]] = await self.data(query, {"i": documents})
        return made


@pytest.fixture
async def raw(defradb_url: str, defra: DefraStore) -> Any:  # after the bootstrap: it wants an empty database
    made = Raw(defradb_url)
    await made.schema("n: Int rev: Int group: String @index text: String x: Float")
    yield made
    await made.http.close()


UPDATE = "mutation($d:[ID!],$f:TYPEFilterArg,$i:TYPEMutationInputArg){r:update_TYPE(docID:$d,filter:$f,input:$i){key}}"

# --- the server ---


async def test_create_answers_in_order_of_docids(raw: Raw) -> None:
    keys = [f"k{number}" for number in range(20)]
    made = await raw.create([{"key": key} for key in keys])
    assert [each["key"] for each in made] != keys
    assert [each["_docID"] for each in made] == sorted(each["_docID"] for each in made)


async def test_docid_follows_from_the_first_fields_and_stays(raw: Raw) -> None:
    [made] = await raw.create([{"key": "k", "n": 1}])
    await raw.data(UPDATE, {"d": [made["_docID"]], "f": {"n": {"_eq": 1}}, "i": {"n": 2, "text": "t"}})
    assert await raw.data("query{r:TYPE{_docID n}}") == [{"_docID": made["_docID"], "n": 2}]
    body = await raw('mutation{r:create_TYPE(input:[{key:"k",n:1}]){_docID}}')
    assert body["errors"][0]["message"] == f"a document with the given ID already exists. DocID: {made['_docID']}"
    body = await raw('mutation{r:create_TYPE(input:[{key:"k",n:7}]){_docID}}')
    assert "can not index a doc's field(s) that violates unique index" in body["errors"][0]["message"]
    assert body["errors"][0]["message"].endswith("key: k")


async def test_a_request_is_all_or_nothing(raw: Raw) -> None:
    await raw.create([{"key": "old"}])
    body = await raw('mutation{r:create_TYPE(input:[{key:"new"},{key:"old",n:1}]){_docID}}')
    assert body["errors"]
    assert [each["key"] for each in await raw.data("query{r:TYPE{key}}")] == ["old"]


@pytest.mark.parametrize("arguments", ["", "docID:null,", "filter:null,", "filter:{},", "filter:{n:{}},"])
async def test_an_empty_selection_is_the_whole_collection(raw: Raw, arguments: str) -> None:
    await raw.create([{"key": "a"}, {"key": "b"}])
    await raw.data(f"mutation{{r:update_TYPE({arguments}input:{{n:5}}){{key}}}}")
    assert [each["n"] for each in await raw.data("query{r:TYPE{n}}")] == [5, 5]


async def test_null_is_never_less_than(raw: Raw) -> None:
    [made] = await raw.create([{"key": "k"}])
    variables = {"d": [made["_docID"]], "f": {"rev": {"_lt": 9}}, "i": {"rev": 9}}
    await raw.data(UPDATE, variables)
    assert await raw.data("query{r:TYPE{rev}}") == [{"rev": None}]
    await raw.data(UPDATE, {**variables, "f": {"rev": {"_eq": None}}})
    assert await raw.data("query{r:TYPE{rev}}") == [{"rev": 9}]


async def test_not_and_ge_finds_every_null(raw: Raw) -> None:
    """The back-fill looks so, because `_or` loses rows."""
    await raw.create([{"key": "a", "rev": 0, "n": 0}, {"key": "b", "rev": 1}, {"key": "c", "n": 64}, {"key": "d"}])
    query = "query($f:TYPEFilterArg){r:TYPE(filter:$f){key}}"
    found = await raw.data(query, {"f": {"_not": {"_and": [{"rev": {"_ge": 0}}, {"n": {"_ge": 0}}]}}})
    assert sorted(each["key"] for each in found) == ["b", "c", "d"]


async def test_an_update_out_of_its_own_filter_answers_nothing(raw: Raw) -> None:
    [made] = await raw.create([{"key": "k", "rev": 0}])
    variables = {"d": [made["_docID"]], "f": {"rev": {"_eq": 0}}, "i": {"rev": 1}}
    assert await raw.data(UPDATE, variables) == []
    assert await raw.data("query{r:TYPE{rev}}") == [{"rev": 1}]
    assert await raw.data(UPDATE, {**variables, "d": ["bae-00000000-0000-5000-8000-000000000000"]}) == []


async def test_an_update_without_change_still_commits(raw: Raw) -> None:
    [made] = await raw.create([{"key": "k", "n": 1}])
    await raw.data(UPDATE, {"d": [made["_docID"]], "f": {"n": {"_eq": 1}}, "i": {"n": 1}})
    [commit] = await raw.data(f'query{{r:latestCommits(docID:"{made["_docID"]}"){{height signature{{type}}}}}}')
    assert commit["height"] == 2


async def test_a_conflict_has_errors_and_data(raw: Raw) -> None:
    [made] = await raw.create([{"key": "k", "n": 0}])

    async def write(number: int) -> dict[str, Any]:
        return await raw(UPDATE, {"d": [made["_docID"]], "f": {"key": {"_eq": "k"}}, "i": {"n": number}})

    for turn in range(20):
        bodies = await asyncio.gather(*(write(turn * 10 + number) for number in range(10)))
        conflicts = [body for body in bodies if body.get("errors")]
        if any(body["data"] for body in conflicts):
            break
    else:
        pytest.fail("no conflict in 200 writes")
    assert {error["message"] for body in conflicts for error in body["errors"]} == {
        "transaction conflict. Please retry"
    }
    [commit] = await raw.data(f'query{{r:latestCommits(docID:"{made["_docID"]}"){{height signature{{type}}}}}}')
    assert commit["height"] <= 1 + (turn + 1) * 10 - len(conflicts)


async def test_int_has_32_bits(raw: Raw) -> None:
    query = "mutation($i:[TYPEMutationInputArg!]){r:create_TYPE(input:$i){n}}"
    body = await raw(query, {"i": [{"key": "k", "n": 2**31}]})
    assert 'Expected type "Int"' in body["errors"][0]["message"]
    assert body["data"] is None
    assert await raw.data(query, {"i": [{"key": "k", "n": 2**31 - 1}]}) == [{"n": 2**31 - 1}]


async def test_an_index_without_a_name_is_made_twice(raw: Raw) -> None:
    path, body = f"/api/v0/collections/{raw.type}/indexes", {"Fields": [{"Name": "n"}], "Unique": False}
    names = [(await raw.http.post_json(path, {"Name": "", **body})).json()["Name"] for _ in range(2)]
    assert names == [f"{raw.type}_n_ASC", f"{raw.type}_n_ASC_2"]
    reply = await raw.http.post_json(path, {"Name": names[0], **body})
    assert (reply.status, "already exists" in reply.text) == (400, True)


async def test_latest_commits_is_the_head_of_the_document(raw: Raw) -> None:
    [made] = await raw.create([{"key": "k", "n": 0}])
    for number in range(4):
        await raw.data(UPDATE, {"d": [made["_docID"]], "f": {"n": {"_eq": number}}, "i": {"n": number + 1}})
    [latest] = await raw.data(
        f'query{{r:latestCommits(docID:"{made["_docID"]}"){{cid height fieldName links{{name}} signature{{type}}}}}}'
    )
    assert (latest["height"], latest["fieldName"]) == (5, "_C")
    assert {link["name"] for link in latest["links"]} == {"_head", "n"}
    [row] = await raw.data("query{r:TYPE{_version{cid height signature{type}}}}")
    assert max(row["_version"], key=lambda each: each["height"])["cid"] == latest["cid"]
    assert len(row["_version"]) == 5


async def test_fields_of_type_10_are_mixed_up_with_those_of_type_1(fresh_url: str) -> None:
    """Why the bootstrap keeps the numbers 1 to 9 free. If this fails, the server is mended."""
    raw = Raw(fresh_url)
    bootstrapped = (await raw.http.get("/api/v0/collections")).json()
    assert bootstrapped == [], "needs a server of its own"
    first = raw.type
    await raw.schema("b: String @index a: String")
    await raw.create([{"key": "k", "a": "a", "b": "b"}])
    query = f"query{{r:{first}{{key a b}}}}"
    assert await raw.data(query) == [{"key": "k", "a": "a", "b": "b"}]
    for number in range(2, 11):
        raw.type = f"{first}n{number}"
        await raw.schema("z: String c: String b: String a: String")
        right = await raw.data(query) == [{"key": "k", "a": "a", "b": "b"}]
        assert right is (number < 10)
    await raw.http.close()


async def test_types_that_shelf_did_not_make_are_not_joined(fresh_url: str) -> None:
    raw = Raw(fresh_url)
    await raw.schema("n: Int")
    store = DefraStore(fresh_url)
    with pytest.raises(StoreRefused, match="empty database"):
        await store.bootstrap()
    await store.close()
    await raw.http.close()


async def test_commits_need_the_signature_where_the_server_signs(signing_url: str) -> None:
    store = DefraStore(signing_url)
    await store.bootstrap()
    await store.close()
    raw = Raw(signing_url)
    await raw.schema("n: Int")
    [made] = await raw.create([{"key": "k"}])
    reply = await raw.post(f'query{{r:latestCommits(docID:"{made["_docID"]}"){{cid}}}}')
    assert (reply.status, reply.body.strip()) == (500, b"")
    reply = await raw.post('mutation{r:create_TYPE(input:[{key:"l"}]){_version{cid}}}')
    assert (reply.status, reply.body.strip()) == (500, b"")
    assert [each["key"] for each in await raw.data("query{r:TYPE{key}}")] == ["k"]  # rolled back
    await raw.http.close()


async def test_everything_on_a_server_that_signs(signing_url: str, book: str) -> None:
    store = DefraStore(signing_url)
    await store.bootstrap()
    await store.stub(Page, [{"key": book}])
    update = Update(book, {"text": "t"}, {"complete": True}, "op")
    [first] = await store.update(Page, "ocr", 1, 1, [update])
    assert await store.update(Page, "ocr", 1, 1, [update]) == [first]
    [made] = await store.create(OcrResult, [OcrResult(key=book)])
    versions = await store.history(Page, book)
    assert versions[-1].cid == first.cid
    assert made.cid == (await store.history(OcrResult, book))[0].cid
    signers = {version.signer for version in versions}
    assert len(signers) == 1
    assert all(signer and len(signer) == 66 and int(signer, 16) for signer in signers)
    await store.close()


# --- guards of the client ---


@pytest.mark.parametrize(
    ("doc_ids", "where"),
    [
        (None, None),
        (None, {}),
        ([], {"n": {"_eq": 1}}),
        ([""], {"n": {"_eq": 1}}),
        ("bae-1", {"n": {"_eq": 1}}),
        (["bae-1"], {"n": {}}),
        (None, {"n": {}}),
        (None, {"n": None}),
        (["bae-1"], {"n": 1}),
        (["bae-1"], {"n": {"eq": 1}}),
        (None, {"_or": [{"n": {"_eq": 1}}]}),
        (None, {"n": {"_eq": 1}, "m": {}}),
    ],
)
def test_an_update_that_could_hit_everything_is_not_sent(doc_ids: Any, where: Any) -> None:
    with pytest.raises(StoreRefused, match="not sent"):
        guard_selection(doc_ids, where)


def test_a_guarded_update_is_sent() -> None:
    guard_selection(["bae-1"], {"n": {"_eq": None}})
    guard_selection(["bae-1"], None)
    guard_selection(None, {"n": {"_lt": 1}})


def test_filters_are_split_at_a_hundred() -> None:
    made = filters(Page, {"book_key": "b", "page": list(range(205))})
    assert [len(each["page"]["_in"]) for each in made] == [100, 100, 5]
    assert {each["book_key"]["_eq"] for each in made} == {"b"}
    assert filters(Page, {}) == [{}]


# --- what goes wrong in single documents ---


class Spoiled(HttpClient):
    """Refuses requests that carry a word, as a server would refuse a document."""

    def __init__(self, url: str, word: str, reply: Reply) -> None:
        super().__init__(url)
        self.word, self.reply, self.count = word, reply, 0

    async def request(self, method: str, path: str = "", **rest: Any) -> Reply:
        if self.word in str(rest.get("json_body")) and "mutation" in str(rest.get("json_body")):
            self.count += 1
            return self.reply
        return await super().request(method, path, **rest)


@pytest.mark.parametrize(
    "reply",
    [
        Reply(200, {}, b'{"data":null,"errors":[{"message":"Txn is too big to fit into one request"}]}'),
        Reply(500, {}, b""),
    ],
    ids=["refused", "panic"],
)
async def test_one_bad_document_is_found_by_halving(defradb_url: str, book: str, reply: Reply) -> None:
    http = Spoiled(defradb_url, "poison", reply)
    store = DefraStore(defradb_url, http=http)
    await store.bootstrap()
    documents = [OcrResult(key=f"{book}/{at:02d}", text="poison" if at == 13 else "fine") for at in range(30)]
    with pytest.raises(DocumentRefused) as caught:
        await store.create(OcrResult, documents)
    assert caught.value.key == f"{book}/13"
    assert len(await store.get(OcrResult, [each.key for each in documents], [])) == 29
    keys = [f"{book}/p{at:02d}" for at in range(30)]
    await store.stub(Page, [{"key": key} for key in keys])
    updates = [Update(key, {"text": "poison" if key.endswith("07") else "fine"}, {}, "op") for key in keys]
    with pytest.raises(DocumentRefused) as caught:
        await store.update(Page, "ocr", 1, 1, updates)
    assert caught.value.key == f"{book}/p07"
    assert [page.text for page in (await store.get(Page, keys)).values()].count("fine") == 29
    assert http.count <= 2 * 3 * 6
    await store.close()


# --- bootstrap ---

numbers = itertools.count()


def kind(name: str, body: dict[str, Any], operations: tuple[str, ...] = (), indexed: tuple[str, ...] = ()) -> Any:
    made = type(
        name,
        (Document,),
        {
            "__annotations__": {
                **{field: python_type | None for field, python_type in body.items()},
                "operations": ClassVar,
                "indexed": ClassVar,
            },
            **dict.fromkeys(body),
            "operations": operations,
            "indexed": indexed,
            "__module__": __name__,
        },
    )
    assert set(python_types(made)) >= set(body)
    return made


@pytest.fixture
def name() -> str:
    return f"Kind{uuid.uuid4().hex[:10]}"


async def test_bootstrap_from_nothing_by_several_at_once(fresh_url: str, book: str) -> None:
    stores = [DefraStore(fresh_url) for _ in range(4)]
    await asyncio.gather(*(store.bootstrap() for store in stores))
    assert set(await stores[0]._collections()) == {*RESERVED, *(kind.__name__ for kind in TYPES)}
    for index, store in enumerate(stores):
        await store.stub(Page, [{"key": f"{book}/{index}", "book_key": book}])
        [written] = await store.update(Page, "ocr", 1, 1, [Update(f"{book}/{index}", {"text": "t"}, {}, "op")])
        assert written.outcome is Saved.SAVED
        await store.close()


async def test_bootstrap_of_all_types_twice_and_beside_another(defradb_url: str) -> None:
    stores = [DefraStore(defradb_url) for _ in range(3)]
    await asyncio.gather(*(store.bootstrap() for store in stores))
    await stores[0].bootstrap()
    assert stores[0]._missing(await stores[0]._collections()) == []
    await stores[0].ready()
    for store in stores:
        await store.close()


async def test_bootstrap_of_a_new_type_beside_old_ones_and_at_once(defradb_url: str, name: str) -> None:
    new = kind(name, {"a": str, "b": int, "c": float, "d": bool, "e": list[str], "f": list[int], "g": list[float]})
    stores = [DefraStore(defradb_url, types=(*TYPES, new)) for _ in range(4)]
    await asyncio.gather(*(store.bootstrap() for store in stores))
    values = {"a": "x", "b": 1, "c": 0.5, "d": True, "e": ["x"], "f": [1], "g": [0.5]}
    await stores[0].create(new, [new(key="k", **values)])
    assert (await stores[1].get(new, ["k"]))["k"].model_dump() == {"key": "k", **values}
    for store in stores:
        await store.close()


async def test_bootstrap_from_an_older_schema(defradb_url: str, name: str) -> None:
    """A field, an index and a whole operation are missing; documents exist; several processes start at once."""
    old = kind(name, {"text": str, "old_index": str}, ("ocr",), ("old_index",))
    store = DefraStore(defradb_url, types=(old,))
    await store.bootstrap()
    keys = [f"k{number:02d}" for number in range(60)]
    await store.stub(old, [{"key": key, "old_index": "o"} for key in keys])
    await store.update(old, "ocr", 1, 1, [Update(keys[0], {"text": "t"}, {"complete": True}, "a")])
    await store.close()

    new = kind(
        name,
        {"text": str, "old_index": str, "group": str, "scores": list[float], "n": int},
        ("ocr", "blend", "label"),
        ("old_index", "group", "text"),
    )
    stores = [DefraStore(defradb_url, types=(new,)) for _ in range(3)]
    await asyncio.gather(*(each.bootstrap() for each in stores))
    store = stores[0]
    collection = (await store._collections())[name]
    assert collection["indexes"] == {("key", True), ("old_index", False), ("group", False), ("text", False)}
    listed = (await store._http.get(f"/api/v0/collections/{name}/indexes")).json()
    assert len(listed) == 4  # none twice
    found = await store.find(new, {"old_index": "o"})
    assert len(found) == 60
    assert {(each.flag("blend", "rev"), each.flag("label", "rev")) for each in found} == {(0, 0)}
    assert found[0].flag("ocr", "rev") == 65
    assert [each.key for each in await store.find(new, {"text": "t"})] == [keys[0]]
    values = {"group": "g", "scores": [0.5, 1.0], "n": 3}
    written = await store.update(new, "blend", 1, 1, [Update(key, values, {"complete": True}, "b") for key in keys])
    assert {each.outcome for each in written} == {Saved.SAVED}
    assert len(await store.find(new, {"group": "g"})) == 60
    for each in stores:
        await each.close()


async def test_a_guard_that_stayed_null_hinders_no_update(defradb_url: str, name: str, monkeypatch: Any) -> None:
    """The process died between adding the field and filling it."""
    old, new = kind(name, {"text": str}), kind(name, {"text": str}, ("ocr",))
    store = DefraStore(defradb_url, types=(old,))
    await store.bootstrap()
    await store.stub(old, [{"key": "k"}])
    later = DefraStore(defradb_url, types=(new,))

    async def died(kind: type[Document]) -> None:
        raise StoreUnavailable("died here")

    with monkeypatch.context() as patch:
        patch.setattr(later, "_backfill", died)
        with pytest.raises(StoreUnavailable):
            await later.bootstrap()
    assert (await later.get(new, ["k"]))["k"].flag("ocr", "rev") is None
    [written] = await later.update(new, "ocr", 1, 1, [Update("k", {"text": "t"}, {}, "op")])
    assert written.outcome is Saved.SAVED
    await later._backfill(new)
    assert (await later.get(new, ["k"]))["k"].flag("ocr", "rev") == 65
    await store.close()
    await later.close()


async def test_a_field_of_another_type_is_refused(defradb_url: str, name: str) -> None:
    first = DefraStore(defradb_url, types=(kind(name, {"n": int}),))
    await first.bootstrap()
    second = DefraStore(defradb_url, types=(kind(name, {"n": str}),))
    with pytest.raises(StoreRefused, match=rf"{name}\.n has type"):
        await second.bootstrap()
    await first.close()
    await second.close()


async def test_not_ready_before_the_bootstrap(defradb_url: str, name: str) -> None:
    store = DefraStore(defradb_url, types=(kind(name, {"n": int}),))
    with pytest.raises(StoreUnavailable, match=name):
        await store.ready()
    await store.bootstrap()
    await store.ready()
    await store.close()


def test_sdl_reads_like_the_class() -> None:
    lines = sdl(Lease).splitlines()
    assert lines[0] == "type Lease {"
    assert "  key: String @index(unique: true)" in lines
    assert "  epoch: Int" in lines
    assert "  ocr_complete: Boolean" in sdl(Page).splitlines()
    assert "  book_key: String @index" in sdl(Page).splitlines()
    assert "  ocr_results: [String!]" in sdl(Page).splitlines()


# --- lost answers ---


async def again(action: Callable[[], Any]) -> Any:
    """What Temporal does: the same call until it succeeds."""
    for _ in range(200):
        try:
            return await action()
        except StoreUnavailable:
            continue
    raise AssertionError("200 tries")


@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_execute_and_time_out(lossy: Callable[[int, float], DefraStore], book: str, seed: int) -> None:
    """10 % of all answers are lost, half of the work is delivered twice: the end is as without faults."""
    store = lossy(seed, 0.1)
    dice = random.Random(seed)
    keys = [f"{book}/p{number:02d}" for number in range(30)]
    actions: list[Callable[[], Any]] = []
    for start in range(0, 30, 6):
        part = keys[start : start + 6]
        results = [OcrResult(key=f"{key}/ocr", book_key=book, text=key) for key in part]
        actions.append(lambda results=results: store.create(OcrResult, results))
        for step in (1, 2, 3):
            updates = [
                Update(key, {"text": f"{key} {step}"}, {"complete": True}, op_id(1, "ocr", step, key)) for key in part
            ]
            actions.append(lambda updates=updates, step=step: store.update(Page, "ocr", 1, step, updates))
    actions += dice.sample(actions, len(actions) // 2)
    dice.shuffle(actions)

    assert await again(lambda: store.acquire_lease(book, "w", "f", "r", 0)) == 1
    for _ in range(2):
        await again(lambda: store.stub(Page, [{"key": key, "book_key": book} for key in keys]))
    gate = asyncio.Semaphore(4)

    async def run(action: Callable[[], Any]) -> None:
        async with gate:
            await again(action)

    await asyncio.gather(*(run(action) for action in actions))
    await again(lambda: store.release_lease(book, "r", 1))

    assert store._http.lost > 2  # type: ignore[attr-defined]
    pages = await again(lambda: store.find(Page, {"book_key": book}))
    assert [(page.text, page.flag("ocr", "rev")) for page in pages] == [(f"{key} 3", 67) for key in keys]
    assert len(await again(lambda: store.find(OcrResult, {"book_key": book}))) == 30
    lease = (await again(lambda: store.get(Lease, [book])))[book]
    assert (lease.epoch, lease.run_id) == (1, None)
    for key in keys[::7]:
        versions = await again(lambda key=key: store.history(Page, key))
        revs = [version.state["ocr_rev"] for version in versions]
        assert revs == sorted(set(revs)), "every save at most once, never backwards"


async def test_160_deliveries_with_lost_answers(lossy: Callable[[int, float], DefraStore], book: str) -> None:
    stores = [lossy(seed, 0.2) for seed in range(8)]
    keys = [f"{book}/{number}" for number in range(8)]
    await again(lambda: stores[0].stub(Page, [{"key": key, "book_key": book} for key in keys]))
    deliveries = [(key, step) for key in keys for step in range(1, 6)] * 4
    random.Random(5).shuffle(deliveries)

    async def work(store: DefraStore, share: list[tuple[str, int]]) -> None:
        for key, step in share:
            update = Update(key, {"text": f"{step}"}, {"artifact": f"a{step}"}, op_id(1, "ocr", step, key))
            await again(lambda update=update, step=step: store.update(Page, "ocr", 1, step, [update]))

    await asyncio.gather(*(work(store, deliveries[at::8]) for at, store in enumerate(stores)))
    assert sum(store._http.lost for store in stores) > 40  # type: ignore[attr-defined]
    for key in keys:
        versions = await again(lambda key=key: stores[0].history(Page, key))
        revs = [version.state["ocr_rev"] for version in versions]
        assert revs == sorted(set(revs))
        assert (revs[-1], versions[-1].state["text"], versions[-1].state["ocr_artifact"]) == (69, "5", "a5")
        current = (await again(lambda key=key: stores[0].get(Page, [key])))[key].model_dump()
        assert all(same(versions[-1].state.get(field), value) for field, value in current.items())
