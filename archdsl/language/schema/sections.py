"""Generates the JSON Schema of the sections of a spec: input, arguments, defaults, variants, claims and others."""

from __future__ import annotations

from pydantic import BaseModel

from archdsl.axes import FORMS, MOST
from archdsl.language.keys import NAMINGS, TASKS
from archdsl.language.schema.models import AuxForm, ClaimForm, Claims, DocumentForm
from archdsl.language.schema.values import Schema, model_fields, op_fields, ref, value_schema
from archdsl.language.section_models import ArgForm, PaperForm, Preprocess
from archdsl.ops import OPS_BY_NAME, Split

KEY = r"[A-Za-z_][A-Za-z0-9_-]{0,99}"
NUMBER = r"(0|[1-9][0-9]{0,4})"
REFERENCE = r"^\s*\.*[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*\s*$"
_ARGUMENT = r"[A-Za-z][A-Za-z0-9_]{0,63}"
_CLAIM = r"^\d[\d,_]*(\.\d+)?\s*[kKMGTB%]?$"
_SIZE = rf"^\d{{1,10}}(x\d{{1,10}}){{0,{MOST}}}$"

_EXAMPLES = {
    "name": ["resnet50"],
    "family": ["resnet"],
    "task": ["segmentation"],
    "input": ["3x224x224", "12x5000", "1x96x96x96", 784, [3, "H=224", "W=224"]],
    "args": [{"classes": 1000, "n": [3, 4, 6, 3], "block": "bottleneck"}],
    "defaults": [{"conv": "bn relu", "naming": "sibling"}],
    "blocks": [
        {"basic(w, s=1)": {"residual": {"conv1": "3x3 conv w /s", "conv2": "3x3 conv w linear"}, "then": "relu"}}
    ],
    "net": [{"conv1": "7x7 conv 64 /2", "pool": "gap", "fc": "fc 1000"}],
    "aux": [{"aux1": {"from": "inception4a", "do": "head", "weight": 0.3}}],
    "outputs": [{"logits": "fc", "features": "layer4"}],
    "labels": [["cat", "dog"], "labels.txt"],
    "variants": [{"resnet101": {"n": [3, 4, 23, 3]}}],
    "claims": [
        {"source": "Table 1", "params": "25.6M", "macs": "4.09G", "top1": {"value": 76.1, "source": "the repository"}}
    ],
    "extends": ["resnet50", "base.yaml#large"],
}
_NAMING = "names of the ops of one node: nested `x.conv` and `x.bn`, sibling `conv1` and `bn1`, or flat `x.0` and `x.1`"
_PARTIAL = ("net", "aux", "args", "blocks")
"""Sections that an overlay can contain in part."""


def document() -> Schema:
    """Return the schema of a spec."""
    properties = _top_level()
    properties["paper"] |= {"required": ["title"]}
    return {"type": "object", "properties": properties, "required": ["input", "net"], "additionalProperties": False}


def overlay() -> Schema:
    """Return the schema of a variant, or of a spec with `extends`: any part of a spec, and bare arguments."""
    properties: dict[str, Schema] = {}
    for name, field in _top_level().items():
        about: Schema = {key: field[key] for key in ("description", "examples") if key in field}
        if name in _PARTIAL:
            properties[name] = {**ref(f"overlay_{name}"), **about}
        else:
            properties[name] = {"if": {"type": "null"}, "else": field, **about}
    return {
        "description": "Overrides: mappings merge by key; nodes with a head word and values replace; null removes.",
        "type": "object",
        "properties": properties,
        "additionalProperties": ref("argument_value"),
    }


def _top_level() -> dict[str, Schema]:
    out: dict[str, Schema] = {}
    for name, info in DocumentForm.model_fields.items():
        if name in ("name", "family", "doc", "extends"):
            definition: Schema = {"type": "string"}
        elif name == "task":
            definition = {"enum": [*TASKS]}
        elif name == "axes":
            definition = {"type": "integer", "minimum": 1, "maximum": MOST}
        else:
            definition = {"const": 1} if name == "archdsl" else ref("node" if name == "net" else name)
        examples = {"examples": _EXAMPLES[name]} if name in _EXAMPLES else {}
        out[name] = {**definition, "description": info.description or "", **examples}
    return out


def sections() -> dict[str, Schema]:
    """Return the definitions of the sections by name."""
    signature = rf"\s*{_ARGUMENT}\s*(\(.*\))?\s*(<-\s*\S.*)?"
    reference: Schema = {"type": ["string", "integer"], "pattern": REFERENCE, "description": "the name of a node"}
    return {
        "input": {"if": {"type": "object"}, "then": _named(ref("size"), _ARGUMENT), "else": ref("size")},
        "size": _size(),
        "args": _named(ref("argument"), _ARGUMENT),
        "argument": {"if": {"type": "object"}, "then": _argument(), "else": ref("argument_value")},
        "argument_value": {**_scalar("array", "object", "null"), "description": "an argument of the spec"},
        "defaults": _strict(
            {
                "naming": {"enum": [*NAMINGS], "description": _NAMING},
                **{op: ref(f"defaults_{op}") for op in OPS_BY_NAME},
            }
        ),
        "blocks": _named(ref("node"), signature),
        "aux": _named(_strict(form_fields(AuxForm), ["from", "do"])),
        "reference": reference,
        "outputs": {
            **reference,
            "type": ["string", "integer", "array", "object"],
            "items": ref("reference"),
            "additionalProperties": ref("reference"),
        },
        "paper": _paper(),
        "preprocess": _preprocess(),
        "labels": {"type": ["string", "array"], "items": _scalar()},
        "variants": _named(ref("overlay")),
        "claims": _strict(
            {
                name: field if name == "source" else {**ref("claim"), **field}
                for name, field in form_fields(Claims, None).items()
            }
        ),
        "claim": {
            "if": {"type": "object"},
            "then": _strict({**form_fields(ClaimForm), "value": _claim_value()}, ["value"]),
            "else": _claim_value(),
        },
        "overlay_net": {"type": ["string", "array", "object", "null"]},
        "overlay_aux": {"type": ["object", "null"]},
        "overlay_args": _named(ref("argument_value"), _ARGUMENT),
        "overlay_blocks": _named({"type": ["string", "array", "object", "null"]}, signature),
        **{f"defaults_{op}": _defaults(op) for op in OPS_BY_NAME},
    }


def form_fields(model: type[BaseModel], other: str | None = "node") -> dict[str, Schema]:
    """Return the fields of a form; fields of type Any refer to the definition `other`."""
    out: dict[str, Schema] = {}
    for name, field in model_fields(model).items():
        about = {key: field[key] for key in ("description",) if key in field}
        if "anyOf" in field or "type" in field:
            out[name] = value_schema(field, expression=False)
        else:
            out[name] = {**(ref(other) if other else {}), **about}
    return out


def _named(values: Schema, pattern: str = KEY) -> Schema:
    return {"type": "object", "propertyNames": {"pattern": f"^{pattern}$"}, "additionalProperties": values}


def _strict(properties: dict[str, Schema], required: list[str] | None = None) -> Schema:
    definition: Schema = {"type": "object", "properties": properties, "additionalProperties": False}
    return {**definition, "required": required} if required else definition


def _scalar(*more: str) -> Schema:
    return {"type": ["number", "string", "boolean", *more]}


def _size() -> Schema:
    """The definition of an input shape: `3x224x224`, `12x5000`, `784`, `[3, H=224, W=224]`."""
    return {
        "description": f"{FORMS}, or one number for a vector",
        "type": ["string", "integer", "array"],
        "pattern": _SIZE,
        "minimum": 1,
        "patternErrorMessage": "write channels and sizes, e.g. 12x5000, 3x224x224 or 1x96x96x96, or one number",
        "items": {"type": ["integer", "string"], "minimum": 1},
        "minItems": 1,
        "maxItems": 1 + MOST,
    }


def _argument() -> Schema:
    """The definition of an argument with limits: `{type: int, default: 32, min: 1}`."""
    fields = form_fields(ArgForm, None)
    fields["default"] |= _scalar("array")
    return _strict(fields, ["default"])


def _defaults(op: str) -> Schema:
    roles = {} if OPS_BY_NAME[op] is Split else {"norm": ref("norm"), "act": ref("act")}
    fields = {name: {"$ref": f"#/$defs/op_{op}/properties/{name}"} for name in op_fields(OPS_BY_NAME[op])}
    return {
        "description": f"default fields, norm and activation of `{op}`",
        "type": ["string", "object", "null"],
        "properties": {**fields, **roles},
        "additionalProperties": False,
    }


def _paper() -> Schema:
    """The definition of `paper`. Titles, DOIs and arXiv identifiers can look like numbers to YAML."""
    fields = form_fields(PaperForm)
    for name in ("title", "arxiv", "doi"):
        fields[name] |= {"type": ["string", "number"]}
    return _strict(fields)


def _preprocess() -> Schema:
    fields = form_fields(Preprocess)
    for name in ("mean", "std"):
        fields[name] |= {"type": ["number", "array"]}
    for name, words in (("scale", ["auto"]), ("window", [*Preprocess.windows])):
        del fields[name]["enum"]
        fields[name] |= {"pattern": f"^({'|'.join(words)})$", "examples": words}
    return {"if": {"type": "object"}, "then": _strict(fields), "else": {"enum": [*Preprocess.presets]}}


def _claim_value() -> Schema:
    return {
        "type": ["number", "string"],
        "pattern": _CLAIM,
        "patternErrorMessage": "not a number such as 25.6M",
        "examples": ["25.6M", "4.09G", 25557032],
    }
