"""Nodes of older opsets in the form of the newest one, so that each import rule knows one form.

Most changes between opsets turned an attribute into an input.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, TypeAlias

import numpy as np

from archdsl.frontends.onnx_model import NEWEST, Array, SourceModel, SourceNode

_INTS, _FLOATS = np.int64, np.float32
_Input: TypeAlias = tuple[str, type[Any]]
_TO_INPUTS: Mapping[str, tuple[int, tuple[_Input, ...]]] = {
    **dict.fromkeys(("Squeeze", "Unsqueeze", "ReduceSum"), (13, (("axes", _INTS),))),
    **dict.fromkeys(("ReduceMean", "ReduceMax", "ReduceL2"), (18, (("axes", _INTS),))),
    "Split": (13, (("split", _INTS),)),
    "Pad": (11, (("pads", _INTS), ("value", _FLOATS))),
    "Slice": (10, (("starts", _INTS), ("ends", _INTS), ("axes", _INTS))),
    "Clip": (11, (("min", _FLOATS), ("max", _FLOATS))),
    "Upsample": (9, (("scales", _FLOATS),)),
    "Dropout": (12, (("ratio", _FLOATS),)),
}
"""For each op, the first opset in which these attributes are the inputs after the first."""


def newest(model: SourceModel) -> SourceModel:
    """The model with its nodes in the newest form; attributes that became inputs are constants."""
    constants = dict(model.constants)
    nodes = tuple(_newest(node, model.opset, constants) for node in model.nodes)
    return replace(model, nodes=nodes, constants=constants, opset=NEWEST)


def _newest(node: SourceNode, opset: int, constants: dict[str, Array]) -> SourceNode:
    first, names = _TO_INPUTS.get(node.op_type, (0, ()))
    if opset < first:
        node = _with_inputs(node, names, constants)
    rule = next((rule for op_type, before, rule in _CHANGES if node.op_type == op_type and opset < before), None)
    return node if rule is None else rule(node)


def _with_inputs(node: SourceNode, names: tuple[_Input, ...], constants: dict[str, Array]) -> SourceNode:
    attributes, inputs = dict(node.attributes), [*node.inputs[:1]]
    for name, dtype in names:
        value = attributes.pop(name, None)
        constant = "" if value is None else f"{node.outputs[0]}/{name}"
        if constant:
            constants[constant] = np.asarray(value, dtype)
        inputs.append(constant)
    while not inputs[-1]:
        inputs.pop()
    return replace(node, inputs=tuple(inputs), attributes=attributes)


def _flattened(node: SourceNode) -> SourceNode:
    """A softmax over all axes from one on, by default the second."""
    return replace(node, attributes={"axis": 1, **node.attributes, "flattened": 1})


def _resize(node: SourceNode) -> SourceNode:
    """Before opset 11, a Resize has the scales as its second input and no rule of coordinates."""
    rules = {"coordinate_transformation_mode": "asymmetric", "nearest_mode": "simple"}
    inputs = (node.inputs[0], "", *node.inputs[1:])
    return replace(node, op_type="Resize", inputs=inputs, attributes={**node.attributes, **rules})


def _grouped(node: SourceNode) -> SourceNode:
    return replace(node, attributes={**node.attributes, "per_group": 1})


_CHANGES: tuple[tuple[str, int, Callable[[SourceNode], SourceNode]], ...] = (
    ("Softmax", 13, _flattened),
    ("LogSoftmax", 13, _flattened),
    ("Upsample", NEWEST + 1, _resize),
    ("Resize", 11, _resize),
    ("GroupNormalization", 21, _grouped),
)
