"""Generates the JSON Schema of single values from pydantic fields; any field can be an expression.

A field of several types becomes one schema with a list of types, never an `anyOf`, so that an editor reports "0 is less
than 1" and not "matches none of 4 alternatives".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

from pydantic import BaseModel

from archdsl.ops import OPS_BY_NAME, Op
from archdsl.ops.base import MAX_SIZE

Schema: TypeAlias = dict[str, Any]

_TYPES = ("integer", "number", "boolean", "string", "array", "object", "null")
_LIMITS = ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum")


def ref(name: str) -> Schema:
    """Return a reference to a definition."""
    return {"$ref": f"#/$defs/{name}"}


def model_fields(model: type[BaseModel]) -> Mapping[str, Schema]:
    """Return the pydantic schema of each field by its name in a spec, with references resolved."""
    model_schema = model.model_json_schema(by_alias=True)
    definitions = model_schema.get("$defs", {})
    return {name: _resolved(field, definitions) for name, field in model_schema["properties"].items()}


def _resolved(schema: Any, definitions: Mapping[str, Schema]) -> Any:
    if isinstance(schema, dict):
        if "$ref" in schema:
            return _resolved(definitions[schema["$ref"].rpartition("/")[2]], definitions)
        return {key: _resolved(value, definitions) for key, value in schema.items()}
    return [_resolved(item, definitions) for item in schema] if isinstance(schema, list) else schema


def value_schema(field: Schema, expression: bool = True) -> Schema:
    """Return the schema of a field; with `expression`, a string is always one of its types."""
    out: Schema = {key: field[key] for key in ("description",) if key in field}
    types: set[str] = {"string"} if expression else set()
    arrays = 0
    for option in field.get("anyOf", [field]):
        json_type = option.get("type")
        if json_type is None and "const" not in option:
            continue
        types.add(json_type or "integer")
        if json_type == "array":
            arrays += 1
            out |= _array(option, expression) if arrays == 1 else {"items": ref("numbers")}
        elif "enum" in option or "const" in option:
            out["examples" if expression else "enum"] = option.get("enum", [option.get("const")])
        else:
            out |= {key: option[key] for key in _LIMITS if key in option and abs(option[key]) != MAX_SIZE}
    ordered = [t for t in _TYPES if t in types and not (t == "integer" and "number" in types)]
    default = {"default": field["default"]} if field.get("default") is not None else {}
    return {"type": ordered if len(ordered) > 1 else ordered[0], **out, **default}


def _array(option: Schema, expression: bool) -> Schema:
    """The schema of a list; all tuples of the language have items of one type."""
    item = option.get("items") or option["prefixItems"][0]
    limits: Schema = {key: option[key] for key in ("minItems", "maxItems") if key in option}
    return {"items": value_schema(item, expression), **limits}


def op_fields(op: type[Op]) -> dict[str, Schema]:
    """Return the fields of an op; each can be an expression."""
    return {name: value_schema(field) for name, field in model_fields(op).items()}


def ops_of(role: str) -> list[str]:
    """Return the names of the ops with a role (`norm` or `act`)."""
    return [name for name, op in OPS_BY_NAME.items() if op.role == role]


def summary(op: type[Op]) -> str:
    """Return the docstring of an op for editors, without its errors and source."""
    lines = [line.strip() for line in (op.__doc__ or "").strip().splitlines()]
    kept: list[str] = []
    for line in lines:
        if line.startswith(("Errors:", "Source:")):
            break
        kept.append(line)
    text = "\n".join(kept).strip().replace("``", "`")
    return f"{text}\nC: channels; S: the size of each axis." if "C x S" in text else text
