"""The JSON Schema (draft 2020-12) of the language, made from the models of ops and sections.

Written for editors: a node's `op` is an enumeration and each kind has an `if`/`then` of its own, so that a mistake is
told where it is and not as "none of 40 alternatives". It knows structure and types; `archdsl check` knows the rest.
"""

from __future__ import annotations

import json

from archdsl.language.document_forms import COMPOSITES, AuxForm, ClaimForm, Claims, DocumentForm
from archdsl.language.forms import ArgForm, Paper, Preprocess
from archdsl.language.keys import COMMON_KEYS, HEADS
from archdsl.language.schema_values import Schema, kinds_of, model_fields, op_fields, ref, summary, value_schema
from archdsl.ops import KINDS, Split

KEY = r"[A-Za-z_][A-Za-z0-9_-]{0,99}"
ARGUMENT = r"[A-Za-z][A-Za-z0-9_]{0,63}"
REFERENCE = r"^\s*[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*\s*$"
COPIES = r"^([A-Za-z_][A-Za-z0-9_-]*)?(\{[01]\}[A-Za-z0-9_-]*)+$"
CLAIM = r"^\d[\d,_]*(\.\d+)?\s*[kKMGTB%]?$"

_EXAMPLES = {
    "name": ["resnet50"],
    "input": ["3x224x224", 784, [3, "H=224", "W=224"]],
    "args": [{"classes": 1000, "n": [3, 4, 6, 3], "block": "bottleneck"}],
    "defaults": [{"conv": "bn relu", "naming": "sibling"}],
    "outputs": [{"logits": "fc", "features": "layer4"}],
    "labels": [["cat", "dog"], "labels.txt"],
    "extends": ["resnet50", "base.yaml#large"],
}
_NOT_IN_VARIANTS = ("variants", "extends", "archdsl")


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
            "document": _document(),
            "overlay": _overlay(),
            **_sections(),
            **_node_forms(),
            **{f"op_{kind}": _op(kind) for kind in KINDS},
            **{f"defaults_{kind}": _defaults(kind) for kind in KINDS},
            **_parts(),
            **_common(),
        },
    }


# --- the document --------------------------------------------------------------------------------------------


def _document() -> Schema:
    return {"type": "object", "properties": _top_level(), "required": ["input", "net"], "additionalProperties": False}


def _overlay() -> Schema:
    """A variant, or a spec that extends another: any part of a spec, and arguments written bare."""
    properties = {}
    for name, field in _top_level().items():
        whole = name in ("defaults", "preprocess", "labels", "input", "outputs", "doc", "name", "claims", *_NOT_IN_VARIANTS)
        properties[name] = field if whole else {**field, "$ref": "#/$defs/part"}
    return {
        "description": "Overrides: mappings merge by key, anything else is replaced whole, null removes.",
        "type": "object",
        "properties": properties,
        "additionalProperties": {**ref("argument_value"), "description": "an argument of the spec"},
    }


def _top_level() -> dict[str, Schema]:
    plain = {name: field for name, field in model_fields(DocumentForm).items() if name in ("name", "doc", "extends")}
    out: dict[str, Schema] = {}
    for name, info in DocumentForm.model_fields.items():
        about = {"description": info.description or name}
        if name in plain:
            out[name] = {"type": "string", **about}
        elif name == "archdsl":
            out[name] = {"const": 1, **about}
        else:
            out[name] = {**ref("node" if name == "net" else name), **about}
        if name in _EXAMPLES:
            out[name]["examples"] = _EXAMPLES[name]
    return out


def _sections() -> dict[str, Schema]:
    """The definitions of the sections, each under its own name."""
    return {
        "input": _input(),
        "size": _size(),
        "args": _named({**ref("argument")}, ARGUMENT),
        "argument": {**_scalar("array", "object"), "if": {"type": "object"}, "then": _argument()},
        "argument_value": _scalar("array", "object", "null"),
        "defaults": {
            "type": "object",
            "properties": {"naming": {"enum": ["nested", "sibling", "flat"], "description": _NAMING},
                           **{kind: ref(f"defaults_{kind}") for kind in KINDS}},
            "additionalProperties": False,
        },
        "blocks": _named(ref("node"), rf"\s*{ARGUMENT}\s*(\(.*\))?\s*(<-\s*\S.*)?"),
        "aux": _named(_strict(_model(AuxForm), ["from", "do"])),
        "outputs": {
            "type": ["string", "array", "object"], "pattern": REFERENCE,
            "items": ref("reference"), "additionalProperties": ref("reference"),
        },
        "paper": _paper(),
        "preprocess": _preprocess(),
        "labels": {"type": ["string", "array"], "items": _scalar()},
        "variants": _named(ref("overlay")),
        "claims": _strict({name: {**ref("claim"), **_about(Claims, name)} for name in Claims.model_fields}),
        "claim": _claim(),
        "part": {"type": ["string", "number", "boolean", "array", "object", "null"]},
    }  # fmt: skip


_NAMING = "how a node of several parts names them: `x.conv`, `x.bn`; `conv1`, `bn1`; or `x.0`, `x.1`"


def _named(values: Schema, pattern: str = KEY) -> Schema:
    return {"type": "object", "propertyNames": {"pattern": f"^{pattern}$"}, "additionalProperties": values}


def _strict(properties: dict[str, Schema], required: list[str] | None = None) -> Schema:
    made: Schema = {"type": "object", "properties": properties, "additionalProperties": False}
    return {**made, "required": required} if required else made


def _scalar(*more: str) -> Schema:
    return {"type": ["number", "string", "boolean", *more]}


def _about(model: type, name: str) -> Schema:
    text = getattr(model, "model_fields")[name].description
    return {"description": text} if text else {}


def _model(model: type[AuxForm]) -> dict[str, Schema]:
    """The fields of a form; what pydantic knows nothing about is a node."""
    out = {}
    for name, field in model_fields(model).items():
        known = "anyOf" in field or "type" in field
        about = {"description": field["description"]} if "description" in field else {}
        out[name] = value_schema(field, expression=False) if known else {**ref("node"), **about}
    return out
