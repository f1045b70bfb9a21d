"""JSON schemas of answers, in the part of JSON Schema that every service keeps to.

OpenAI's strict mode wants each field required and none further; Anthropic refuses bounds, lengths and patterns, OpenAI some of
them. So bounds are said in the description, where a model can read them, and checked when the answer is there.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

STRING_FORMATS = {"date-time", "time", "date", "duration", "email", "hostname", "uri", "ipv4", "ipv6", "uuid"}
KEPT = ("type", "enum", "const", "description", "required", "additionalProperties")


def strict_schema(output: type[BaseModel]) -> dict[str, Any]:
    """A type's schema: no further fields, none left out, no defaults, and a `$ref` without company. What may be missing must be
    nullable in the type. Raises TypeError for an object of any fields, which cannot be asked for strictly."""
    schema = output.model_json_schema()
    return portable_schema(_strict(schema, schema.get("$defs", {}), ()))


def _strict(schema: Any, definitions: Mapping[str, Any], inside: tuple[str, ...]) -> Any:
    """The same of a part; `inside`: definitions that were put in place of a reference around it."""
    if isinstance(schema, list):
        return [_strict(one, definitions, inside) for one in schema]
    if not isinstance(schema, Mapping):
        return schema
    rest = {name: value for name, value in schema.items() if name not in ("default", "title", "discriminator")}
    if "$ref" in rest and len(rest) > 1:
        reference = rest.pop("$ref")
        name = reference.rpartition("/")[2]
        if name in inside:
            return {"$ref": reference}
        return _strict({**definitions[name], **rest}, definitions, (*inside, name))
    made: dict[str, Any] = {}
    for name, value in rest.items():
        if name in ("properties", "$defs"):
            made[name] = {key: _strict(one, definitions, inside) for key, one in value.items()}
        elif name in ("enum", "const", "required", "examples"):
            made[name] = value
        else:
            made[name] = _strict(value, definitions, inside)
    if made.get("type") == "object":
        if not made.get("properties"):
            raise TypeError("an object of any fields cannot be asked for strictly: name them, or use a list of pairs")
        made["additionalProperties"] = False
        made["required"] = list(made["properties"])
    return made


def portable_schema(schema: Mapping[str, Any], *, typed_values: bool = True) -> dict[str, Any]:
    """The schema with everything that some service refuses said in the description instead; applied twice, it is the same.

    Args:
        typed_values: whether listed values keep their `type`: OpenAI asks for it, Anthropic's client leaves it out.
    """

    def portable(part: Mapping[str, Any]) -> dict[str, Any]:
        return portable_schema(part, typed_values=typed_values)

    rest = dict(schema)
    taken: dict[str, Any] = {}
    if "$defs" in rest:
        taken["$defs"] = {name: portable(one) for name, one in rest.pop("$defs").items()}
    if "$ref" in rest:
        return {**taken, "$ref": rest["$ref"]}
    for name in KEPT:
        if name in rest:
            taken[name] = rest.pop(name)
    if not typed_values and ("enum" in taken or "const" in taken):
        taken.pop("type", None)
    if "properties" in rest:
        taken["properties"] = {name: portable(one) for name, one in rest.pop("properties").items()}
    if "items" in rest:
        taken["items"] = portable(rest.pop("items"))
    for name in ("anyOf", "oneOf", "allOf"):
        if name in rest:
            taken["allOf" if name == "allOf" else "anyOf"] = [portable(one) for one in rest.pop(name)]
    if rest.get("format") in STRING_FORMATS:
        taken["format"] = rest.pop("format")
    if rest.get("minItems") in (0, 1):
        taken["minItems"] = rest.pop("minItems")
    rest.pop("title", None)
    if rest:
        said = json.dumps(rest, ensure_ascii=False, sort_keys=True)
        taken["description"] = f"{taken['description']} {said}" if taken.get("description") else said
    return taken
