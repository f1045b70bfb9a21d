"""DefraDB types from the document classes: SDL for new types, single fields and indexes for older ones."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin

from schemas.documents import OPERATION_FIELDS, Document


@dataclass(frozen=True, slots=True)
class Scalar:
    """How DefraDB writes a type, and the number by which it lists it (`GET /collections`)."""

    name: str
    kind: int


SCALARS: dict[Any, Scalar] = {
    str: Scalar("String", 11),
    int: Scalar("Int", 4),
    float: Scalar("Float", 6),
    bool: Scalar("Boolean", 2),
    list[str]: Scalar("[String!]", 12),
    list[int]: Scalar("[Int!]", 5),
    list[float]: Scalar("[Float!]", 7),
}
"""Python type -> DefraDB type. `T!` outside lists does not exist in 0.19: every field may be null."""

RESERVED: tuple[str, ...] = tuple(f"Reserved{number}" for number in range(1, 10))
"""Types that hold nothing and take the server's internal numbers 1 to 9.

DefraDB 0.19 looks up the fields of type 1 by the prefix "1" of their keys, and so meets those of the types 10 to 19
as well (`internal/db/id/field.go`, `keys.NewFieldIDPrefix`): fields of the same name get each other's numbers, values
are read from the wrong place and index entries are lost. Among numbers of two digits none is the prefix of another."""

MOST_TYPES = 99
"""The hundredth type would do to type 10 what the tenth does to type 1."""


@dataclass(frozen=True, slots=True)
class Index:
    """An index on one field. Its name is the one that the SDL directive gives: with an empty name a repeated POST
    makes a second index (`..._ASC_2`) instead of failing."""

    type_name: str
    field: str
    unique: bool

    @property
    def name(self) -> str:
        return f"{self.type_name}_{self.field}_ASC"


@cache
def python_types(kind: type[Document]) -> dict[str, Any]:
    """Every field of the type that documents have -> its Python type without `| None`.

    Raises TypeError where a class uses a type that has no counterpart."""
    found: dict[str, Any] = {name: _plain(info.annotation) for name, info in kind.model_fields.items()}
    for operation in kind.operations:
        for name, python_type in OPERATION_FIELDS.items():
            found[f"{operation}_{name}"] = python_type
    for name, python_type in found.items():
        if python_type not in SCALARS:
            raise TypeError(f"{kind.__name__}.{name}: {python_type} cannot be stored")
    return found


INCARNATION = "incarnation"
"""A field of every type that no document class has and no reader sees: null, or a random number in a document that was
made under the key of a deleted one.

DefraDB names a document by the hash of what it was created with, and a deleted one keeps its name for ever: the same
content could never be created again. A book that is deleted and processed anew makes just that content."""


def stored_types(kind: type[Document]) -> dict[str, Any]:
    """Every field of the type as the database has it."""
    return {**python_types(kind), INCARNATION: int}


def rev_fields(kind: type[Document]) -> list[str]:
    """The revision guards of a mutable type."""
    return [f"{operation}_rev" for operation in kind.operations]


def indexes(kind: type[Document]) -> list[Index]:
    """`key` first, then `indexed` in order."""
    name = kind.__name__
    return [Index(name, "key", True), *(Index(name, field, False) for field in kind.indexed)]


def sdl(kind: type[Document]) -> str:
    """The type in DefraDB's schema language, with its indexes."""
    marks = {index.field: " @index(unique: true)" if index.unique else " @index" for index in indexes(kind)}
    lines = [
        f"  {name}: {SCALARS[python_type].name}{marks.get(name, '')}"
        for name, python_type in stored_types(kind).items()
    ]
    return "\n".join([f"type {kind.__name__} {{", *lines, "}"])


IDENTITY = RESERVED[-1]
"""The reserved type that holds one document: the database's own random name."""


def reserved_sdl(name: str) -> str:
    """The SDL of a type that only takes a number; it shares no field name with a real one."""
    return f"type {name} {{ {name.lower()}: String }}"


def _plain(annotation: Any) -> Any:
    """`X | None` -> X."""
    if get_origin(annotation) in (Union, UnionType):
        rest = [part for part in get_args(annotation) if part is not NoneType]
        if len(rest) == 1:
            return rest[0]
    return annotation
