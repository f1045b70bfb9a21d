"""The rules of saving, without a database: what may be stored, when two values are equal, what a revision says.

Both stores stand on these, so that a test over the one says something about the other.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from enum import Enum
from typing import Any

from schemas.documents import OPERATION_FIELDS, Document
from schemas.errors import DocumentRefused, LeaseLost, RevReused, StoreRefused
from schemas.sdl import python_types
from schemas.store import STEPS_PER_EPOCH, Saved, Update

INT_MIN, INT_MAX = -(2**31), 2**31 - 1
"""DefraDB's `Int` is GraphQL's: 32 bits. Larger ones are refused there, so they are refused here, by name."""

GUARD_FIELDS = ("rev", "op_id")
"""Written by the store itself; they take no part in comparisons."""


def checked(kind: type[Document], name: str, value: Any, key: str) -> Any:
    """`value` as it goes to the database.

    Raises DocumentRefused: no such field, wrong type, beyond 32 bits, not finite, not encodable."""
    python_type = python_types(kind).get(name)
    if python_type is None:
        raise DocumentRefused(f"{kind.__name__} {key}: it has no field {name!r}.", key)
    if value is None:
        return None
    item_types = {list[str]: str, list[int]: int, list[float]: float}
    if python_type in item_types:
        if not isinstance(value, list | tuple):
            raise DocumentRefused(f"{kind.__name__} {key}: {name} must be a list, not {type(value).__name__}.", key)
        return [_checked_scalar(kind, name, item, item_types[python_type], key) for item in value]
    return _checked_scalar(kind, name, value, python_type, key)


def _checked_scalar(kind: type[Document], name: str, value: Any, python_type: type, key: str) -> Any:
    if isinstance(value, Enum):
        value = value.value
    where = f"{kind.__name__} {key!r}: {name}"
    if python_type is float and isinstance(value, int | float) and not isinstance(value, bool):
        if not math.isfinite(value):
            raise DocumentRefused(f"{where} is {value}; only finite numbers can be stored.", key)
        return float(value)
    if type(value) is not python_type:
        raise DocumentRefused(f"{where} must be {python_type.__name__}, not {type(value).__name__}.", key)
    if isinstance(value, int) and not INT_MIN <= value <= INT_MAX:
        raise DocumentRefused(f"{where} is {value}; the database's integers have 32 bits.", key)
    if isinstance(value, str):
        try:
            value.encode()
        except UnicodeEncodeError as error:
            raise DocumentRefused(f"{where} holds half a surrogate pair at {error.start}.", key) from error
    return value


def row_of(kind: type[Document], document: Document | Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a document that are not null, checked. Null and absent are the same to the database.

    Raises DocumentRefused."""
    given = document.model_dump() if isinstance(document, Document) else dict(document)
    key = given.get("key")
    if not isinstance(key, str) or not key:
        raise DocumentRefused(f"{kind.__name__}: a document without a key.", str(key or ""))
    row = {name: checked(kind, name, value, key) for name, value in given.items()}
    return {name: value for name, value in row.items() if value is not None}


def stub_of(kind: type[Document], document: Mapping[str, Any]) -> dict[str, Any]:
    """A stub: what is given, and 0 in every revision guard (null never matches `_lt`). Raises DocumentRefused."""
    return {**{f"{operation}_rev": 0 for operation in kind.operations}, **row_of(kind, document)}


def values_of(kind: type[Document], operation: str, update: Update) -> dict[str, Any]:
    """What an update writes, flags under their full names, without the guard fields.

    Raises DocumentRefused, also for a field that belongs to another operation."""
    key = update.key
    if operation not in kind.operations:
        raise DocumentRefused(f"{kind.__name__} {key!r}: {operation!r} owns no fields of it.", key)
    values: dict[str, Any] = {}
    for name, value in update.fields.items():
        if name == "key" or (name not in kind.model_fields and name in python_types(kind)):
            raise DocumentRefused(f"{kind.__name__} {key!r}: {name} is not a field that {operation} may set.", key)
        values[name] = checked(kind, name, value, key)
    for name, value in update.flags.items():
        if name not in OPERATION_FIELDS or name in GUARD_FIELDS:
            raise DocumentRefused(f"{kind.__name__} {key!r}: {name!r} is no flag that a save may set.", key)
        values[f"{operation}_{name}"] = checked(kind, f"{operation}_{name}", value, key)
    return values


def same(stored: Any, wanted: Any) -> bool:
    """Equal to a reader: numbers within rounding, lists item by item; a bool is not a number."""
    if isinstance(stored, list | tuple) and isinstance(wanted, list | tuple):
        return len(stored) == len(wanted) and all(same(a, b) for a, b in zip(stored, wanted, strict=True))
    if isinstance(stored, bool) or isinstance(wanted, bool):
        return stored is wanted
    if isinstance(stored, float) or isinstance(wanted, float):
        if not isinstance(stored, int | float) or not isinstance(wanted, int | float):
            return False
        return math.isclose(stored, wanted, rel_tol=1e-9, abs_tol=1e-12)
    return bool(stored == wanted)


def difference(stored: Mapping[str, Any], wanted: Mapping[str, Any]) -> dict[str, Any]:
    """The wanted values that are not there yet."""
    return {name: value for name, value in wanted.items() if not same(stored.get(name), value)}


def same_content(stored: Mapping[str, Any], row: Mapping[str, Any], names: Iterable[str]) -> bool:
    """Whether an immutable document is the stored one. `op_id` says who was first, not what it holds: a later job
    that arrives at the same document finds it done."""
    return all(same(stored.get(name), row.get(name)) for name in names if name != "op_id")


def judge(
    kind: type[Document], key: str, stored_rev: int | None, stored_op_id: str | None, rev: int, op_id: str
) -> Saved | None:
    """What the stored revision says to the save `rev`, `op_id`; None = it is not written (yet).

    Raises:
        LeaseLost: a higher epoch wrote.
        RevReused: another save carries the same revision.
    """
    if stored_rev is None or stored_rev < rev:
        return None
    if stored_rev == rev:
        if stored_op_id == op_id:
            return Saved.SAVED
        raise RevReused(
            f"{kind.__name__} {key!r}: revision {rev} was written by save {stored_op_id}, not by {op_id}.",
            "This is a bug in the operation: two kinds of save share a step, or an artifact is not deterministic.",
        )
    epoch, stored_epoch = rev // STEPS_PER_EPOCH, stored_rev // STEPS_PER_EPOCH
    if stored_epoch > epoch:
        raise LeaseLost(f"{kind.__name__} {key!r}: job epoch {stored_epoch} wrote it; this job has epoch {epoch}.")
    return Saved.OVERTAKEN


def reused(kind: type[Document], key: str) -> RevReused:
    """The error for an immutable document that would have to change."""
    return RevReused(f"{kind.__name__} {key!r} exists with other content, and it is immutable.")


def distinct(kind: type[Document], keys: Sequence[str]) -> None:
    """Raises DocumentRefused where a key occurs twice: one request may not touch a document twice, its parts run in
    no particular order."""
    seen: set[str] = set()
    for key in keys:
        if key in seen:
            raise DocumentRefused(f"{kind.__name__} {key!r} occurs twice in one save.", key)
        seen.add(key)


def raise_refused(refused: Mapping[str, Exception]) -> None:
    """Raise what went wrong with single documents after the others were written; a RevReused comes first."""
    if not refused:
        return
    for error in refused.values():
        if isinstance(error, RevReused):
            raise error
    key, error = next(iter(refused.items()))
    message = str(error)
    if len(refused) > 1:
        others = sorted(set(refused) - {key})
        message += f" Also refused: {', '.join(others[:10])}" + (" ..." if len(others) > 10 else "")
    raise DocumentRefused(message, key) from error


def selection(kind: type[Document], fields: Iterable[str] | None) -> list[str]:
    """`key` and the fields asked for; all where None is given. Raises StoreRefused for an unknown one."""
    known = python_types(kind)
    names = list(known) if fields is None else list(dict.fromkeys(["key", *fields]))
    unknown = [name for name in names if name not in known]
    if unknown:
        raise StoreRefused(f"{kind.__name__} has no field {', '.join(unknown)}.")
    return names


def where_of(kind: type[Document], where: Mapping[str, Any]) -> dict[str, list[Any]]:
    """The conditions of a search as field -> values of which one must be there.

    Raises StoreRefused: no indexed field among them, an unknown field, a list field, a value of the wrong type."""
    if where and not {"key", *kind.indexed} & set(where):
        raise StoreRefused(f"{kind.__name__}: none of {', '.join(where)} is indexed; this would read every document.")
    wanted: dict[str, list[Any]] = {}
    for name, value in where.items():
        if python_types(kind).get(name) not in (str, int, float, bool):
            raise StoreRefused(f"{kind.__name__}: {name!r} is no field that can be searched.")
        several = list(dict.fromkeys(value)) if isinstance(value, list | tuple | set | frozenset) else [value]
        wanted[name] = [checked(kind, name, each, f"where {name}") for each in several]
    return wanted


def matches(row: Mapping[str, Any], wanted: Mapping[str, Sequence[Any]]) -> bool:
    """Whether a stored row meets the conditions of `where_of`; null equals null."""
    return all(any(same(row.get(name), value) for value in values) for name, values in wanted.items())
