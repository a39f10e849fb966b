"""The JSON Schema (draft 2020-12) of the language, made from the models of ops and sections.

Written for editors: a node's `op` is an enumeration and each kind has an `if`/`then` of its own, so that a mistake is
told where it is and not as "none of 40 alternatives". It knows structure and types; `archdsl check` knows the rest.
"""

from __future__ import annotations

import json

from archdsl.language.keys import COMMON_KEYS, HEADS
from archdsl.language.schema.models import COMPOSITES, Common
from archdsl.language.schema.sections import KEY, REFERENCE, document, form_fields, overlay, sections
from archdsl.language.schema.values import Schema, kinds_of, op_fields, ref, summary
from archdsl.ops import OPS_BY_NAME, Split

_COPIES = r"^([A-Za-z_][A-Za-z0-9_-]*)?(\{[0-9]{1,4}\}[A-Za-z0-9_-]*)+$"
_ABOUT_SHORT = """A node in short: `[KxK] kind value /stride key=value flag norm act`, or a call of a block, `basic(64, 2)`.
Before it a count, `3 * 3x3 conv 64`, or `dense 6 * layer`; behind it `as name{1}`, `<- inputs`, `when condition`."""
_SHORT = [
    "7x7 conv 64 /2",
    "3 * 3x3 conv 512",
    "fc 1000",
    "2x2 maxpool",
    "basic(64, 2)",
    "concat <- skip, up",
    "dense 6 * layer as denselayer{1}",
    "excite(16) when se",
]


def schema_text() -> str:
    return json.dumps(schema(), indent=1, ensure_ascii=False) + "\n"


def schema() -> Schema:
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
            **{f"op_{kind}": _op(kind) for kind in OPS_BY_NAME},
            "norm": _part("norm"),
            "act": _part("act"),
            "numbers": {"type": ["number", "string", "array"], "items": ref("numbers")},
            **_common(),
        },
    }


def _nodes() -> dict[str, Schema]:
    """A node by the form that it is written in, and a mapping by its head word."""
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
            "patternErrorMessage": f"not a node; the kinds are {', '.join(OPS_BY_NAME)}",
            "examples": _SHORT,
        },
        "sequence": {
            "description": "nodes by name, one behind the other",
            "type": "object",
            "propertyNames": {"pattern": rf"^((?!({words})$){KEY}(\.[A-Za-z0-9][A-Za-z0-9_-]*)*|\.({words}))$"},
            "additionalProperties": ref("node"),
        },
        "node_op": {
            "type": "object",
            "properties": {"op": {"description": "the kind of the node", "enum": [*OPS_BY_NAME]}},
            "allOf": [
                {"if": {"properties": {"op": {"const": kind}}}, "then": ref(f"op_{kind}")} for kind in OPS_BY_NAME
            ],
        },
    }


def _pattern() -> str:
    """The beginnings of a short string: a kind must be one that there is, unless all of it is a call."""
    kinds = "|".join(OPS_BY_NAME)
    tail = r"(\s+(as|<-|when)\s[^\n]*)?"
    call = rf"[A-Za-z]\w*(\([^\n]*\))?{tail}"
    return rf"^\s*((dense\s+)?\S[^\n]*?\s\*\s+)?((\d+x\d+\s+)?({kinds})(\s[^\n]*)?|{call})\s*$"


def _op(kind: str) -> Schema:
    op = OPS_BY_NAME[kind]
    roles = {} if op is Split else {"norm": ref("norm"), "act": ref("act")}
    return {
        "type": "object",
        "properties": {"op": {"const": kind, "description": summary(op)}, **op_fields(op), **roles, **_common_refs()},
        "additionalProperties": False,
    }


def _composite(head: str) -> Schema:
    model = COMPOSITES[head]
    fields = {name: field for name, field in form_fields(model).items() if name not in COMMON_KEYS}
    for name in ("merge", "split", "scale"):
        if name in fields:  # which may be an expression
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
    """`norm: bn`, `act: none`, `act: {op: leaky_relu, slope: 0.1}`."""
    kinds = kinds_of(role)
    by_kind = []
    for kind in kinds:
        fields = {
            name: {"$ref": f"#/$defs/op_{kind}/properties/{name}"} for name in ("op", *op_fields(OPS_BY_NAME[kind]))
        }
        made: Schema = {"properties": fields, "additionalProperties": False}
        by_kind.append(
            {"if": {"type": "object", "properties": {"op": {"const": kind}}, "required": ["op"]}, "then": made}
        )
    what = "normalisation" if role == "norm" else "activation"
    return {
        "description": f"the {what} behind the node: a kind, `none`, an argument that names one, or a mapping",
        "type": ["string", "object", "null"],
        "examples": [*kinds, "none"],
        "properties": {"op": {"enum": kinds}},
        "required": ["op"],
        "allOf": by_kind,
    }


def _common() -> dict[str, Schema]:
    """What any node may have."""
    fields = form_fields(Common)
    fields["repeat"] |= {"type": ["integer", "string"], "minimum": 0, "examples": [3, "n[0]"]}
    fields["as"] |= {
        "type": "string",
        "pattern": _COPIES,
        "examples": ["layer{1}"],
        "patternErrorMessage": "a name with {0} or {1}, where the copy's number goes",
    }
    fields["from"] |= {
        "type": ["string", "array"],
        "pattern": REFERENCE,
        "items": ref("reference"),
        "examples": ["conv1"],
    }
    fields["when"] |= {"type": ["boolean", "number", "string"], "examples": ["se", "s == 1"]}
    fields["doc"] |= {"type": "string"}
    return {f"node_{name}": field for name, field in fields.items()}


def _common_refs() -> dict[str, Schema]:
    return {name.removeprefix("node_"): ref(name) for name in _common()}
