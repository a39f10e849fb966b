"""Generates the JSON Schema (draft 2020-12) of the language from the models of ops and sections.

The schema is written for editors: `op` is an enumeration and each op has its own `if`/`then`, so that an editor reports
an error at its place and not as "none of 40 alternatives". It checks structure and types; `archdsl check` checks the
rest.
"""

from __future__ import annotations

import json

from archdsl.axes import MOST
from archdsl.language.keys import COMMON_KEYS, HEADS
from archdsl.language.labels import MAX_TEXT
from archdsl.language.schema.models import COMPOSITES, Common
from archdsl.language.schema.sections import KEY, NUMBER, REFERENCE, document, form_fields, overlay, sections
from archdsl.language.schema.values import Schema, op_fields, ops_of, ref, summary
from archdsl.ops import OPS_BY_NAME, Split

_COPIES = r"^([A-Za-z_][A-Za-z0-9_-]*)?(\{[0-9]{1,4}\}[A-Za-z0-9_-]*)+$"
_ABOUT_SHORT = """A node in short form: `[window] op value /stride key=value flag norm act`, or a call, `basic(64, 2)`.
A count goes before it, `3 * 3x3 conv 64` or `dense 6 * layer`; after it `as name{1}`, `<- inputs`, `when condition`."""
_SHORT = [
    "7x7 conv 64 /2",
    "3x3x3 conv 64 /1x2x2",
    "conv 64 kernel=3",
    "3 * 3x3 conv 512",
    "fc 1000",
    "2x2 maxpool",
    "basic(64, 2)",
    "concat <- skip, up",
    "dense 6 * layer as denselayer{1}",
    "excite(16) when se",
]


def schema_text() -> str:
    """Return the schema as text."""
    return json.dumps(schema(), indent=1, ensure_ascii=False) + "\n"


def schema() -> Schema:
    """Return the schema as plain data."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "archdsl",
        "description": "A convolutional network, in the archdsl language, version 1.",
        "type": "object",
        "if": {"required": ["extends"]},
        "then": ref("overlay"),
        "else": ref("document"),
        "$defs": {
            "document": document(),
            "overlay": overlay(),
            **sections(),
            **_nodes(),
            **{f"node_{head}": _composite(head) for head in HEADS if head != "op"},
            **{f"op_{op}": _op(op) for op in OPS_BY_NAME},
            "norm": _part("norm"),
            "act": _part("act"),
            "numbers": {"type": ["number", "string", "array"], "items": ref("numbers")},
            **_common(),
        },
    }


def _nodes() -> dict[str, Schema]:
    """The definitions of a node by its form, and of a mapping by its head word."""
    by_head: Schema = ref("sequence")
    for head in reversed(HEADS):
        by_head = {"if": {"required": [head]}, "then": ref(f"node_{head}"), "else": by_head}
    words = "|".join((*HEADS, *COMMON_KEYS, "then"))
    return {
        "node": {
            "description": "a short string, a list or a mapping of nodes, or a mapping with a head word",
            "type": ["string", "array", "object"],
            "items": ref("node"),
            "if": {"type": "string"},
            "then": ref("short"),
            "else": {"if": {"type": "object"}, "then": by_head},
        },
        "short": {
            "type": "string",
            "description": _ABOUT_SHORT,
            "pattern": _pattern(),
            "patternErrorMessage": f"not a node; the ops are {', '.join(OPS_BY_NAME)}",
            "examples": _SHORT,
        },
        "sequence": {
            "description": "named nodes, each reads the one before",
            "type": "object",
            "propertyNames": {
                "pattern": rf"^((?!({words})$)({KEY}|{NUMBER})(\.[A-Za-z0-9][A-Za-z0-9_-]*)*|\.({words}))$"
            },
            "additionalProperties": ref("node"),
        },
        "node_op": {
            "type": "object",
            "properties": {"op": {"description": "the op of the node", "enum": [*OPS_BY_NAME]}},
            "allOf": [{"if": {"properties": {"op": {"const": op}}}, "then": ref(f"op_{op}")} for op in OPS_BY_NAME],
        },
    }


def _pattern() -> str:
    """A pattern for short strings: they have a known op or are a call."""
    ops = "|".join(OPS_BY_NAME)
    tail = r"(\s+(as|<-|when)\s[^\n]*)?"
    call = rf"[A-Za-z]\w*(\([^\n]*\))?{tail}"
    return rf"^\s*((dense\s+)?\S[^\n]*?\s\*\s+)?((\d+(x\d+){{0,{MOST - 1}}}\s+)?({ops})(\s[^\n]*)?|{call})\s*$"


def _op(name: str) -> Schema:
    op = OPS_BY_NAME[name]
    roles = {} if op is Split else {"norm": ref("norm"), "act": ref("act")}
    return {
        "type": "object",
        "properties": {"op": {"const": name, "description": summary(op)}, **op_fields(op), **roles, **_common_refs()},
        "additionalProperties": False,
    }


def _composite(head: str) -> Schema:
    model = COMPOSITES[head]
    fields = {name: field for name, field in form_fields(model).items() if name not in COMMON_KEYS}
    for name in ("merge", "split", "scale"):
        if name in fields:  # can be an expression
            types = [*dict.fromkeys(t for t in (*fields[name]["type"], "string") if t != "null")]
            fields[name] = {"type": types, "description": fields[name]["description"]}
    if head == "call":
        fields["call"] |= {"pattern": r"^\s*[A-Za-z]\w*\s*(\([^\n]*\))?\s*$", "examples": ["basic(64, 2)"]}
    if "merge" in fields:
        fields["merge"]["examples"] = ["concat", "add", "mul"]
    if head in ("branches", "inception"):
        fields[head] = {"type": ["array", "object"], **fields[head]}
    return {
        "type": "object",
        "properties": {**fields, **_common_refs()},
        "required": [head, "repeat"] if head == "dense" else [head],
        "additionalProperties": False,
    }


def _part(role: str) -> Schema:
    """The definition of `norm` or `act`: `bn`, `none`, `{op: leaky_relu, slope: 0.1}`."""
    ops = ops_of(role)
    rules = []
    for op in ops:
        fields = {name: {"$ref": f"#/$defs/op_{op}/properties/{name}"} for name in ("op", *op_fields(OPS_BY_NAME[op]))}
        condition: Schema = {"type": "object", "properties": {"op": {"const": op}}, "required": ["op"]}
        rules.append({"if": condition, "then": {"properties": fields, "additionalProperties": False}})
    what = "normalisation" if role == "norm" else "activation"
    return {
        "description": f"the {what} after the node: an op, `none`, an argument with the name of an op, or a mapping",
        "type": ["string", "object", "null"],
        "examples": [*ops, "none"],
        "properties": {"op": {"enum": ops}},
        "required": ["op"],
        "allOf": rules,
    }


def _common() -> dict[str, Schema]:
    """The definitions of the keys that every node can have."""
    fields = form_fields(Common)
    fields["repeat"] |= {"type": ["integer", "string"], "minimum": 0, "examples": [3, "n[0]"]}
    fields["as"] |= {
        "type": "string",
        "pattern": _COPIES,
        "examples": ["layer{1}"],
        "patternErrorMessage": "must contain {0} or {1}, the number of the copy",
    }
    fields["from"] |= {
        "type": ["string", "array"],
        "pattern": REFERENCE,
        "items": ref("reference"),
        "examples": ["conv1"],
    }
    fields["when"] |= {"type": ["boolean", "number", "string"], "examples": ["se", "s == 1"]}
    fields["doc"] |= {"type": "string"}
    fields["label"] |= {"type": "string", "examples": ["stem", "MBConv{e}, {k}x{k}"], "maxLength": MAX_TEXT}
    return {f"node_{name}": field for name, field in fields.items()}


def _common_refs() -> dict[str, Schema]:
    return {name.removeprefix("node_"): ref(name) for name in _common()}
