"""JSON Schema of single values: what pydantic says of a field, with room for an expression.

A field of several types becomes one schema with a list of types, never an `anyOf`: an editor then says that 0 is less
than 1, not that a value is none of four things.
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
    return {"$ref": f"#/$defs/{name}"}


def model_fields(model: type[BaseModel]) -> Mapping[str, Schema]:
    """The fields of a model by the names that a spec uses, as pydantic sees them, references resolved."""
    made = model.model_json_schema(by_alias=True)
    definitions = made.get("$defs", {})
    return {name: _resolved(field, definitions) for name, field in made["properties"].items()}


def _resolved(schema: Any, definitions: Mapping[str, Schema]) -> Any:
    if isinstance(schema, dict):
        if "$ref" in schema:
            return _resolved(definitions[schema["$ref"].rpartition("/")[2]], definitions)
        return {key: _resolved(value, definitions) for key, value in schema.items()}
    return [_resolved(item, definitions) for item in schema] if isinstance(schema, list) else schema


def value_schema(field: Schema, expression: bool = True) -> Schema:
    """A field's schema in one piece; with `expression`, a string is always among its types."""
    out: Schema = {key: field[key] for key in ("description",) if key in field}
    types: set[str] = {"string"} if expression else set()
    arrays = 0
    for option in field.get("anyOf", [field]):
        kind = option.get("type")
        if kind is None and "const" not in option:
            continue
        types.add(kind or "integer")
        if kind == "array":
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
    """Lists of one type only: every tuple of the language is one."""
    item = option.get("items") or option["prefixItems"][0]
    limits: Schema = {key: option[key] for key in ("minItems", "maxItems") if key in option}
    return {"items": value_schema(item, expression), **limits}


def op_fields(op: type[Op]) -> dict[str, Schema]:
    """The fields of an op; each may be an expression."""
    strict = op.model_json_schema(mode="serialization")["properties"]
    out = {}
    for name, field in model_fields(op).items():
        made = value_schema(field)
        # The number that stands for both axes has the limits of either.
        sides = [item for option in strict[name].get("anyOf", [strict[name]]) for item in option.get("prefixItems", ())]
        if sides and "minimum" in sides[0] and "minimum" not in made:
            made["minimum"] = made["items"]["minimum"] = sides[0]["minimum"]
        out[name] = made
    return out


def kinds_of(role: str) -> list[str]:
    return [kind for kind, op in OPS_BY_NAME.items() if op.role == role]


def summary(op: type[Op]) -> str:
    """What an editor shows of a kind: its docstring, less what only a maintainer wants."""
    lines = [line.strip() for line in (op.__doc__ or "").strip().splitlines()]
    kept: list[str] = []
    for line in lines:
        if line.startswith(("Errors:", "Source:")):
            break
        kept.append(line)
    return "\n".join(kept).strip().replace("``", "`")
