"""The store on DefraDB 0.19, by its GraphQL endpoint.

What is avoided, because it loses or changes data there (each has a contract test): `_or`, relations, ordering by more
than one field, time travel, REST writes, explicit transactions, an update whose selection could be empty. One request
is one transaction; its parts run in no particular order, so they touch disjoint documents. The types of the store get
internal numbers of two digits (`sdl.RESERVED`).
"""

from __future__ import annotations

import functools
import json
import random
import uuid
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ParamSpec, TypeVar

from schemas import telemetry
from schemas.defradb_api import API, CONFLICT_TRIES, SAME_ID, DefraApi, Exists
from schemas.documents import TYPES, Document, Lease
from schemas.errors import DocumentRefused, RevReused, StoreRefused, StoreUnavailable
from schemas.guard import (
    INT_MAX,
    checked,
    difference,
    distinct,
    judge,
    raise_refused,
    reused,
    row_of,
    same_content,
    selection,
    stub_of,
    values_of,
    where_of,
)
from schemas.history import COMMIT_FIELDS, DOCUMENT, rebuild
from schemas.http import AnswerLost, HttpClient, NotSent
from schemas.sdl import (
    IDENTITY,
    INCARNATION,
    MOST_TYPES,
    RESERVED,
    SCALARS,
    indexes,
    python_types,
    reserved_sdl,
    rev_fields,
    sdl,
    stored_types,
)
from schemas.store import Saved, Update, Version, Written, revision

D = TypeVar("D", bound=Document)

DOCUMENTS_PER_REQUEST = 12
"""Batches are quadratic in the server: 716 documents/s by 10 a request, 239 by 100, 45 by 400. Of page updates with
read-back 12 cost the two processes together the least; 25 cost 8 % more."""
KEYS_PER_QUERY = 100
"""`_in` with 500 keys takes over a second."""
ROUNDS = 12
"""Times that an update starts over because another save of the same operation came between."""
LATEST = "cid height links{name} signature{type identity}"
"""Of a commit. `signature` always: a server that signs panics without it. Asked of `latestCommits`: `_version` on a
query is the whole history, 25 documents of height 8 take 250 ms by it and 50 ms by `latestCommits`."""

FIRST = ("already exists", "duplicate field", "mutating an existing field")


@dataclass(slots=True)
class _Part:
    """One aliased update of a request."""

    key: str
    doc_ids: list[str]
    where: dict[str, Any]
    values: dict[str, Any]


@dataclass(slots=True)
class _Save:
    """A save under way."""

    kind: type[Document]
    operation: str
    rev: int
    written: dict[str, Written] = field(default_factory=dict)
    refused: dict[str, Exception] = field(default_factory=dict)


P = ParamSpec("P")
R = TypeVar("R")


def _spanned(name: str) -> Callable[[Callable[P, Coroutine[Any, Any, R]]], Callable[P, Coroutine[Any, Any, R]]]:
    """A span around an operation of the store with all its requests: (self, type, ..., documents or keys)."""

    def decorate(method: Callable[P, Coroutine[Any, Any, R]]) -> Callable[P, Coroutine[Any, Any, R]]:
        @functools.wraps(method)
        async def spanned(*args: P.args, **kwargs: P.kwargs) -> R:
            kind, last = args[1], args[-1]
            count = len(last) if isinstance(last, list | tuple) else None
            with telemetry.database(name, getattr(kind, "__name__", str(kind)), count):
                return await method(*args, **kwargs)

        return spanned

    return decorate


class DefraStore:
    """`schemas.store.Store` on a DefraDB server.

    Args:
        url: address of the server, without path.
        http: instead of an own client (tests that lose answers).
        types: the document types of the bootstrap.
    """

    def __init__(self, url: str, *, http: HttpClient | None = None, types: Sequence[type[Document]] = TYPES) -> None:
        self.url = url.rstrip("/")
        self._http = http or HttpClient(
            self.url, connect_seconds=5.0, read_seconds=60.0, on_connect=self._recognise, spans=False
        )
        self._api = DefraApi(self.url, self._http)
        self._identity: str | None = None
        self._types = tuple(types)
        self._random = random.Random()  # noqa: S311 (jitter)

    # --- bootstrap -------------------------------------------------------------------------------------------------

    async def bootstrap(self) -> None:
        """Create missing types, fields and indexes by diff; back-fill 0 into `_rev` fields that are null.

        Repeatable, and safe beside another process that does the same.

        Raises:
            StoreUnavailable.
            StoreRefused: a stored field has another type than the class says.
        """
        older: set[type[Document]] = set()
        for attempt in range(CONFLICT_TRIES):
            found = await self._collections()
            older |= {
                kind
                for kind in self._types
                if kind.__name__ in found and not set(rev_fields(kind)) <= set(found[kind.__name__]["fields"])
            }
            steps = self._missing(found)
            if not steps:
                break
            if attempt:
                await self._api.pause(attempt)
            for method, path, body in steps:
                try:
                    await self._api.admin(method, path, body)
                except StoreRefused as error:
                    # Somebody else may have been first ("already exists", "duplicate field"): what is there decides.
                    if attempt + 1 == CONFLICT_TRIES or not any(text in str(error) for text in FIRST):
                        raise
                    break
        else:
            raise StoreUnavailable(f"{self.url}: types, fields or indexes are still missing: {steps[0][1]}.")
        # Only where a guard was added now: it reads every document. Should this process die in between, `update`
        # itself copes with a guard that is null.
        for kind in self._types:
            if kind in older:
                await self._backfill(kind)
        self._identity = await self._name()

    async def _name(self) -> str:
        """The database's random name; given to it where it has none."""
        name = IDENTITY.lower()
        for value in (None, uuid.uuid4().hex):
            if value is not None:
                await self._api.graphql(
                    f"mutation($i:[{IDENTITY}MutationInputArg!]!){{c:create_{IDENTITY}(input:$i){{_docID}}}}",
                    {"i": [{name: value}]},
                )
            rows = (await self._api.graphql(f"query{{r:{IDENTITY}{{{name}}}}}", {}))["r"]
            if rows:
                # Two that began at once gave it two names: both take the lower one.
                return min(str(row[name]) for row in rows)
        raise StoreUnavailable(f"{self.url}: the database's name was not there after it was written.")

    async def _recognise(self) -> None:
        """Before each new connection: the same database as before? A server that was killed leaves its port to anybody,
        and another Shelf's database would take our documents without a word."""
        if self._identity is None:
            return
        name = IDENTITY.lower()
        async with HttpClient(self.url, connect_seconds=5.0, read_seconds=10.0, spans=False) as http:
            try:
                reply = await http.request(
                    "POST", f"{API}/graphql", json_body={"query": f"query{{r:{IDENTITY}{{{name}}}}}"}
                )
                rows = (reply.json().get("data") or {}).get("r") or []
            except (NotSent, AnswerLost, ValueError, AttributeError) as error:
                raise StoreUnavailable(f"The database at {self.url} does not answer: {error}.") from error
        if self._identity not in [row[name] for row in rows]:
            raise StoreUnavailable(
                f"Another database answers at {self.url}.", "Start Shelf's own again: `shelf up`; see `shelf doctor`."
            )

    async def _collections(self) -> dict[str, dict[str, Any]]:
        """Active types: {"fields": {name: kind number}, "indexes": {(field, unique)}}."""
        found: dict[str, dict[str, Any]] = {}
        for entry in await self._api.admin("GET", "/collections") or []:
            version, schema = entry["version"], entry["schema"]
            if version.get("IsActive", True):
                found[version["Name"]] = {
                    "fields": {each["Name"]: each["Kind"] for each in schema["Fields"]},
                    "indexes": {
                        (each["Fields"][0]["Name"], each["Unique"])
                        for each in version["Indexes"] or []
                        if len(each["Fields"]) == 1
                    },
                }
        return found

    def _missing(self, found: Mapping[str, Mapping[str, Any]]) -> list[tuple[str, str, Any]]:
        """Requests that make the database what the classes say: one per type, so that one that exists hinders none."""
        reserved = [name for name in RESERVED if name not in found]
        if reserved:
            # They come first and alone: the numbers are given in order.
            others = [name for name in found if name not in RESERVED]
            if others:
                raise StoreRefused(
                    f"{self.url} holds types that Shelf did not make, or made before it kept numbers free: {others}.",
                    "Use an empty database.",
                )
            return [("POST", "/schema", reserved_sdl(name)) for name in reserved]
        if len(found) + sum(kind.__name__ not in found for kind in self._types) > MOST_TYPES:
            raise StoreRefused(f"{self.url} would hold more than {MOST_TYPES} types; DefraDB 0.19 would mix up fields.")
        steps: list[tuple[str, str, Any]] = []
        for kind in self._types:
            name, wanted = kind.__name__, stored_types(kind)
            stored = found.get(name)
            if stored is None:
                steps.append(("POST", "/schema", sdl(kind)))
                continue
            patch = []
            for each, python_type in wanted.items():
                scalar = SCALARS[python_type]
                have = stored["fields"].get(each)
                if have is None:
                    value = {"Name": each, "Kind": scalar.name}
                    patch.append({"op": "add", "path": f"/{name}/Fields/-", "value": value})
                elif have != scalar.kind:
                    raise StoreRefused(
                        f"{self.url}: {name}.{each} has type {have} there, not {scalar.kind} ({scalar.name}).",
                        "Another program or version made this database; name another one.",
                    )
            if patch:
                body = {"Patch": json.dumps(patch), "SetAsDefaultVersion": True, "Migration": None}
                steps.append(("PATCH", "/schema", body))
            for index in indexes(kind):
                if (index.field, index.unique) not in stored["indexes"]:
                    # Under its name: with an empty one a race makes two indexes.
                    definition = {
                        "Name": index.name,
                        "Fields": [{"Name": index.field, "Descending": False}],
                        "Unique": index.unique,
                    }
                    steps.append(("POST", f"/collections/{name}/indexes", definition))
        return steps

    async def _backfill(self, kind: type[Document]) -> None:
        """0 into revision guards that are null: one that was added later never matches `_lt`. One scan per type."""
        revs = rev_fields(kind)
        if not revs:
            return
        name = kind.__name__
        data = await self._api.graphql(
            f"query($f:{name}FilterArg){{r:{name}(filter:$f){{_docID key {' '.join(revs)}}}}}",
            # Not `_or` over `_eq: null`: `_or` loses rows.
            {"f": {"_not": {"_and": [{rev: {"_ge": 0}} for rev in revs]}}},
        )
        for rev in revs:
            parts = [
                _Part(row["key"] or row["_docID"], [row["_docID"]], {rev: {"_eq": None}}, {rev: 0})
                for row in data["r"]
                if row[rev] is None
            ]
            for chunk in _chunks(parts, DOCUMENTS_PER_REQUEST):
                await self._mutate(kind, chunk)

    async def ready(self) -> None:
        """Read one document: the health check of the server looks at nothing. Raises StoreUnavailable."""
        name = self._types[0].__name__
        try:
            await self._api.graphql(f"query{{r:{name}(limit:1){{key}}}}", {})
        except StoreRefused as error:
            raise StoreUnavailable(f"{self.url} does not know {name} yet: {error.message}") from error

    async def close(self) -> None:
        """Close the connections."""
        await self._http.close()

    # --- writes ----------------------------------------------------------------------------------------------------

    @_spanned("stub")
    async def stub(self, kind: type[Document], documents: Sequence[Mapping[str, Any]]) -> None:
        """Create mutable documents that do not exist yet: key, the fields given, every <op>_rev 0.

        One that exists is left as it is.

        Raises: DocumentRefused (the others were written), StoreUnavailable.
        """
        refused: dict[str, Exception] = {}
        rows: dict[str, dict[str, Any]] = {}
        for document in documents:
            try:
                row = stub_of(kind, document)
                rows.setdefault(row["key"], row)
            except DocumentRefused as error:
                refused[error.key] = error
        for chunk in _chunks(list(rows.values()), DOCUMENTS_PER_REQUEST):
            await self._create(kind, chunk, ["key"], {}, {}, refused)
        raise_refused(refused)

    @_spanned("create")
    async def create(self, kind: type[Document], documents: Sequence[Document]) -> list[Written]:
        """Create immutable documents. One that exists with equal content is EQUAL.

        Returns: one per document, in order; `cid` is that of the commit made now, '' where it existed.

        Raises:
            DocumentRefused: the database refuses one; the others were written.
            RevReused: the key exists with other content (`op_id` aside).
            StoreUnavailable.
        """
        names = list(python_types(kind))
        refused: dict[str, Exception] = {}
        rows: dict[str, dict[str, Any]] = {}
        for document in documents:
            try:
                row = row_of(kind, document)
            except DocumentRefused as error:
                refused[error.key] = error
                continue
            other = rows.setdefault(row["key"], row)
            if not same_content(other, row, names):
                refused[row["key"]] = reused(kind, row["key"])
        written: dict[str, Written] = {}
        existing: dict[str, Mapping[str, Any]] = {}
        for chunk in _chunks(list(rows.values()), DOCUMENTS_PER_REQUEST):
            await self._create(kind, chunk, names, written, existing, refused)
        for key, stored in existing.items():
            if same_content(stored, rows[key], names):
                written[key] = Written(key, Saved.EQUAL, stored["_docID"])
            else:
                refused[key] = reused(kind, key)
        raise_refused(refused)
        return [written[document.key] for document in documents]

    async def _create(
        self,
        kind: type[Document],
        rows: Sequence[Mapping[str, Any]],
        names: Sequence[str],
        written: dict[str, Written],
        existing: dict[str, Mapping[str, Any]],
        refused: dict[str, Exception],
    ) -> None:
        """Create what does not exist; what exists is read into `existing`. Halves a request that is refused.

        What was deleted is created under another name of DefraDB's (`sdl.INCARNATION`)."""
        name = kind.__name__
        query = (
            f"mutation($i:[{name}MutationInputArg!]){{"
            f"r:create_{name}(input:$i){{_docID key _version{{cid height signature{{type identity}}}}}}}}"
        )
        while rows:
            try:
                data = await self._api.graphql(query, {"i": list(rows)})
            except Exists as error:
                # All or nothing: it names one, so all are looked up; then the rest is created.
                found = await self._rows(kind, [row["key"] for row in rows], names)
                existing.update(found)
                rest = [row for row in rows if row["key"] not in found]
                if len(rest) < len(rows):
                    rows = rest
                    continue
                if SAME_ID in str(error) and not any(INCARNATION in row for row in rows):
                    # Of a deleted document: its name is used up, so this one gets another. The unique index on `key`
                    # still lets only one of several writers in.
                    rows = [{**row, INCARNATION: self._random.randrange(1, INT_MAX)} for row in rows]
                    continue
                problem: StoreRefused = error
            except StoreRefused as error:
                problem = error
            else:
                # In the order of docIDs, not of the input: matched by key.
                for row in data["r"]:
                    written[row["key"]] = Written(row["key"], Saved.SAVED, row["_docID"], newest(row["_version"]))
                return
            if len(rows) == 1:
                refused[rows[0]["key"]] = problem
                return
            half = len(rows) // 2
            await self._create(kind, rows[:half], names, written, existing, refused)
            rows = rows[half:]

    @_spanned("update")
    async def update(
        self, kind: type[Document], operation: str, epoch: int, step: int, updates: Sequence[Update]
    ) -> list[Written]:
        """Guarded updates of existing documents: compare first, skip equal values, write, read back.

        Only the values that differ are written, under the condition that the revision is still the one that was read:
        so a document is never a mixture of two saves, and a commit shows what changed.

        Returns: one per update, in order; `cid` is that of the commit that wrote the revision, '' for EQUAL and
            OVERTAKEN.

        Raises:
            LeaseLost: a higher epoch wrote; at once, later documents are not written.
            RevReused: another save has the same revision; the others were written.
            DocumentRefused: no such document, or the database refuses it; the others were written.
            StoreUnavailable.
        """
        distinct(kind, [update.key for update in updates])
        save = _Save(kind, operation, revision(epoch, step))
        pending: list[tuple[Update, dict[str, Any]]] = []
        for update in updates:
            try:
                pending.append((update, values_of(kind, operation, update)))
            except DocumentRefused as error:
                save.refused[update.key] = error
        for chunk in _chunks(pending, DOCUMENTS_PER_REQUEST):
            await self._update_chunk(save, chunk)
        raise_refused(save.refused)
        return [save.written[update.key] for update in updates]

    async def _update_chunk(self, save: _Save, chunk: Sequence[tuple[Update, dict[str, Any]]]) -> None:
        kind, rev_name, id_name = save.kind, f"{save.operation}_rev", f"{save.operation}_op_id"
        names = sorted({"key", rev_name, id_name}.union(*(values for _, values in chunk)))
        pending = list(chunk)
        for attempt in range(ROUNDS):
            if attempt:
                telemetry.save_conflict("revision")
                await self._api.pause(attempt)
            rows = await self._rows(kind, [update.key for update, _ in pending], names)
            parts: list[_Part] = []
            look: dict[str, Update] = {}
            for update, values in pending:
                key, row = update.key, rows.get(update.key)
                if row is None:
                    save.refused[key] = DocumentRefused(f"{kind.__name__} {key!r}: no such document.", key)
                    continue
                stored = row[rev_name]
                if stored == save.rev and row[id_name] == update.op_id:
                    look[row["_docID"]] = update  # an earlier delivery of this save: only its commit is looked up
                    continue
                changes = difference(row, values)
                if not changes:
                    save.written[key] = Written(key, Saved.EQUAL, row["_docID"])
                    continue
                if self._judged(save, update, row):
                    continue
                look[row["_docID"]] = update
                # `_eq` what was read, not `_lt`: an update in between must not be mixed with this one; and it
                # matches null, which `_lt` never does.
                changes |= {rev_name: save.rev, id_name: update.op_id}
                parts.append(_Part(key, [row["_docID"]], {rev_name: {"_eq": stored}}, changes))
            await self._mutate_or_refuse(save, parts)
            undecided = await self._read_back(save, look) if look else set()
            pending = [each for each in pending if each[0].key in undecided and each[0].key not in save.refused]
            if not pending:
                return
        raise StoreUnavailable(
            f"{kind.__name__} {pending[0][0].key!r}: revision {save.rev} was not there after {ROUNDS} tries."
        )

    async def _read_back(self, save: _Save, look: Mapping[str, Update]) -> set[str]:
        """Judge each document by what is stored now. Returns the keys that need another round.

        The mutation itself does not tell: it returns [] for a document that its own update moved out of the filter."""
        name, rev_name, id_name = save.kind.__name__, f"{save.operation}_rev", f"{save.operation}_op_id"
        doc_ids = list(look)
        arguments = "".join(f",$d{number}:ID!" for number in range(len(doc_ids)))
        commits = " ".join(f"c{number}:latestCommits(docID:$d{number}){{{LATEST}}}" for number in range(len(doc_ids)))
        data = await self._api.graphql(
            f"query($d:[String!]{arguments}){{r:{name}(docID:$d){{_docID {rev_name} {id_name}}} {commits}}}",
            {"d": doc_ids, **{f"d{number}": doc_id for number, doc_id in enumerate(doc_ids)}},
        )
        latest = {doc_id: data[f"c{number}"] for number, doc_id in enumerate(doc_ids)}
        undecided = {update.key for update in look.values()}
        for row in data["r"]:
            update = look[row["_docID"]]
            if self._judged(save, update, row):
                undecided.discard(update.key)
                done = save.written.get(update.key)
                if done and done.outcome is Saved.SAVED:
                    cid = await self._commit_of(rev_name, row["_docID"], latest[row["_docID"]])
                    save.written[update.key] = replace(done, cid=cid)
        return undecided

    async def _commit_of(self, field_name: str, doc_id: str, latest: Sequence[Mapping[str, Any]]) -> str:
        """The newest commit that wrote the field: the latest one, unless another operation came after."""
        cid = newest(latest, field_name)
        if not cid:
            data = await self._api.graphql(
                f'query($d:ID){{r:commits(docID:$d,fieldName:"{DOCUMENT}"){{{LATEST}}}}}', {"d": doc_id}
            )
            cid = newest(data["r"], field_name)
        return cid

    def _judged(self, save: _Save, update: Update, row: Mapping[str, Any]) -> bool:
        """Note the outcome that the stored revision gives; False where the save is still to be done.

        Raises LeaseLost."""
        rev_name, id_name = f"{save.operation}_rev", f"{save.operation}_op_id"
        try:
            outcome = judge(save.kind, update.key, row[rev_name], row[id_name], save.rev, update.op_id)
        except RevReused as error:
            save.refused[update.key] = error
            return True
        if outcome is None:
            return False
        save.written[update.key] = Written(update.key, outcome, row["_docID"])
        return True

    async def _mutate_or_refuse(self, save: _Save, parts: Sequence[_Part]) -> None:
        """Write; a refused request is halved until the document is alone and named."""
        if not parts:
            return
        try:
            await self._mutate(save.kind, parts)
        except StoreRefused as error:
            if len(parts) == 1:
                save.refused[parts[0].key] = error
                return
            half = len(parts) // 2
            await self._mutate_or_refuse(save, parts[:half])
            await self._mutate_or_refuse(save, parts[half:])

    async def _mutate(self, kind: type[Document], parts: Sequence[_Part]) -> dict[str, Any]:
        """Updates of disjoint documents in one transaction. An empty result says nothing: read back."""
        name = kind.__name__
        arguments: list[str] = []
        fields: list[str] = []
        variables: dict[str, Any] = {}
        for number, part in enumerate(parts):
            guard_selection(part.doc_ids, part.where)
            arguments.append(f"$d{number}:[ID!],$f{number}:{name}FilterArg,$i{number}:{name}MutationInputArg")
            fields.append(f"u{number}:update_{name}(docID:$d{number},filter:$f{number},input:$i{number}){{_docID}}")
            variables |= {f"d{number}": part.doc_ids, f"f{number}": part.where, f"i{number}": part.values}
        return await self._api.graphql(f"mutation({','.join(arguments)}){{{' '.join(fields)}}}", variables)

    @_spanned("delete")
    async def delete(self, kind: type[Document], keys: Sequence[str]) -> int:
        """Delete documents by key; those that do not exist are none. Returns how many there were.

        DefraDB adds a commit that says "deleted"; the values stay in the commits before it. Raises StoreUnavailable."""
        name = kind.__name__
        count = 0
        for chunk in _chunks(list(dict.fromkeys(keys)), DOCUMENTS_PER_REQUEST):
            rows = await self._rows(kind, chunk, ["key"])
            if not rows:
                continue
            doc_ids = [row["_docID"] for row in rows.values()]
            guard_selection(doc_ids, None)
            await self._api.graphql(f"mutation($d:[ID!]){{r:delete_{name}(docID:$d){{_docID}}}}", {"d": doc_ids})
            count += len(rows)
        return count

    # --- reads -----------------------------------------------------------------------------------------------------

    @_spanned("get")
    async def get(self, kind: type[D], keys: Sequence[str], fields: Iterable[str] | None = None) -> dict[str, D]:
        """Documents by key, in the order of `keys`; missing ones are absent.

        Raises: StoreUnavailable, StoreRefused (a field that the type has not)."""
        names = selection(kind, fields)
        rows: dict[str, dict[str, Any]] = {}
        for chunk in _chunks(list(dict.fromkeys(keys)), KEYS_PER_QUERY):
            rows |= await self._rows(kind, chunk, names)
        return {key: _document(kind, rows[key]) for key in dict.fromkeys(keys) if key in rows}

    @_spanned("find")
    async def find(self, kind: type[D], where: Mapping[str, Any], fields: Iterable[str] | None = None) -> list[D]:
        """Documents whose fields equal `where`, by key; a list or tuple means one of its values.

        An indexed field must be among them, or `where` be empty (= all).

        Raises: StoreUnavailable, StoreRefused."""
        names = selection(kind, fields)
        found: dict[str, D] = {}
        for filter_ in filters(kind, where):
            name = kind.__name__
            argument, use = (f"($f:{name}FilterArg)", "(filter:$f)") if filter_ else ("", "")
            data = await self._api.graphql(
                f"query{argument}{{r:{name}{use}{{{' '.join(names)}}}}}", {"f": filter_} if filter_ else {}
            )
            found |= {row["key"]: _document(kind, row) for row in data["r"]}
        return [found[key] for key in sorted(found)]

    @_spanned("history")
    async def history(self, kind: type[Document], key: str) -> list[Version]:
        """All versions, oldest first; [] where there is no such document. Raises StoreUnavailable, StoreRefused."""
        rows = await self._rows(kind, [key], ["key"])
        if key not in rows:
            return []
        data = await self._api.graphql(
            f"query($d:ID){{r:commits(docID:$d){{{COMMIT_FIELDS}}}}}", {"d": rows[key]["_docID"]}
        )
        return rebuild(
            {**commit, "links": [link for link in commit["links"] if link["name"] != INCARNATION]}
            for commit in data["r"]
        )

    async def _rows(self, kind: type[Document], keys: Sequence[str], names: Sequence[str]) -> dict[str, dict[str, Any]]:
        """At most KEYS_PER_QUERY raw rows by key, with _docID."""
        name = kind.__name__
        data = await self._api.graphql(
            f"query($f:{name}FilterArg){{r:{name}(filter:$f){{_docID {' '.join(dict.fromkeys(['key', *names]))}}}}}",
            {"f": {"key": {"_in": list(keys)}}},
        )
        return {row["key"]: row for row in data["r"]}

    # --- lease -----------------------------------------------------------------------------------------------------

    async def acquire_lease(
        self, book_key: str, workflow_id: str, first_run_id: str, run_id: str, expected: int
    ) -> int | None:
        """Take the lease by compare-and-set: epoch `expected` -> expected + 1.

        Returns: the new epoch; or the epoch that my own token already holds (a lost response); None where somebody
            else was first."""
        await self.stub(Lease, [{"key": book_key, "book_key": book_key, "epoch": 0}])
        row = (await self._rows(Lease, [book_key], ["epoch", "run_id"]))[book_key]
        if row["epoch"] != expected:
            return int(row["epoch"]) if row["run_id"] == run_id else None
        values = {
            "workflow_id": workflow_id,
            "first_run_id": first_run_id,
            "run_id": run_id,
            "epoch": checked(Lease, "epoch", expected + 1, book_key),
        }
        await self._mutate(Lease, [_Part(book_key, [row["_docID"]], {"epoch": {"_eq": expected}}, values)])
        row = (await self._rows(Lease, [book_key], ["epoch", "run_id"]))[book_key]
        return int(row["epoch"]) if row["run_id"] == run_id else None

    async def release_lease(self, book_key: str, run_id: str, epoch: int) -> None:
        """Free the book if run_id and epoch still hold it; the epoch stays."""
        row = (await self._rows(Lease, [book_key], ["epoch", "run_id"])).get(book_key)
        if row is None or row["run_id"] != run_id or row["epoch"] != epoch:
            return
        where = {"run_id": {"_eq": run_id}, "epoch": {"_eq": epoch}}
        values = {"workflow_id": None, "first_run_id": None, "run_id": None}
        await self._mutate(Lease, [_Part(book_key, [row["_docID"]], where, values)])


def guard_selection(doc_ids: Sequence[str] | None, where: Mapping[str, Any] | None) -> None:
    """Refuse an update or delete that could mean the whole collection.

    `docID: null`, `filter: null`, `filter: {}` and `{field: {}}` all select every document.

    Raises StoreRefused."""
    if doc_ids is not None and (isinstance(doc_ids, str) or not doc_ids or not all(doc_ids)):
        raise StoreRefused("An update by an empty list of documents was not sent.")
    if doc_ids is None and not where:
        raise StoreRefused("An update without documents or filter would change all of them; it was not sent.")
    for name, operators in (where or {}).items():
        if name.startswith("_"):
            raise StoreRefused(f"A guarded update may not use {name}; it was not sent.")
        if not isinstance(operators, Mapping) or not operators or not all(each.startswith("_") for each in operators):
            raise StoreRefused(f"The filter on {name!r} has no operator: it would match everything; it was not sent.")


def filters(kind: type[Document], where: Mapping[str, Any]) -> list[dict[str, Any]]:
    """`where` as filters whose results are added up: more than KEYS_PER_QUERY alternatives are split.

    Raises StoreRefused."""
    result: list[dict[str, Any]] = [{}]
    for name, values in where_of(kind, where).items():
        if len(values) == 1:
            operators: list[dict[str, Any]] = [{"_eq": values[0]}]
        else:
            operators = [{"_in": list(chunk)} for chunk in _chunks(values, KEYS_PER_QUERY)]
        result = [{**each, name: operator} for each in result for operator in operators]
    return result


def _document(kind: type[D], row: Mapping[str, Any]) -> D:
    return kind.model_validate({name: value for name, value in row.items() if name != "_docID"})


def newest(commits: Iterable[Mapping[str, Any]], linked: str | None = None) -> str:
    """CID of the highest commit (that wrote the field `linked`), '' without one."""
    fitting = [each for each in commits if linked is None or any(link["name"] == linked for link in each["links"])]
    return str(max(fitting, key=lambda each: int(each["height"]))["cid"]) if fitting else ""


T = TypeVar("T")


def _chunks(items: Sequence[T], size: int) -> list[Sequence[T]]:
    return [items[start : start + size] for start in range(0, len(items), size)]
