"""ONNX nodes for an older opset: attributes, inputs and ops that it does not have, in terms of those that it has.

The rules of `rules/` and all else that plans nodes are written for opset `DEFAULT`; later opsets up to `NEWEST` only
add types and ops (onnx.ai/onnx/operators: the versions of each op).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from math import pi, sqrt
from typing import TypeAlias

from archdsl.backends.onnx.half_precision import DTYPES, Precision
from archdsl.backends.onnx.records import Attribute, Constant, Initializer, OnnxNode
from archdsl.backends.onnx.splits import drop_unread, shared
from archdsl.diagnostics import ArchError, error
from archdsl.diagnostics.arguments import check_range

OLDEST, DEFAULT, NEWEST = 13, 20, 28
_BF16 = 22
"""The first opset whose Conv takes bfloat16."""
_ANTIALIAS = 18
_IR = {13: 7, 15: 8, 19: 9, 21: 10, 23: 11, 24: 12, 25: 13, 28: 14}
"""The IR version of the release of ONNX that introduced an opset (onnx.helper.VERSION_TABLE), where it changes."""
_END = 2**31 - 1

_SINCE = {
    ("BatchNormalization", "training_mode"): 14,
    ("Reshape", "allowzero"): 14,
    ("Resize", "antialias"): _ANTIALIAS,
    ("Resize", "keep_aspect_ratio_policy"): _ANTIALIAS,
    ("Cast", "saturate"): 19,
}
"""The opset that introduced an attribute. Before, nodes computed what its default says."""


def checked_opset(opset: int | None, precision: str, embedded: bool = False) -> int:
    """Return the opset of a file; None: the default of its precision.

    Raises E0002 for a number that is no opset from 13 to the newest, E0870 for one that cannot express the precision or
    embedded preprocessing.
    """
    if opset is None:
        return _BF16 if precision == "bf16" else DEFAULT
    check_range("opset", opset, OLDEST, NEWEST)
    if precision == "bf16" and opset < _BF16:
        raise cannot(opset, "convolutions in bfloat16", _BF16)
    if embedded and opset < _ANTIALIAS:
        raise cannot(opset, "a Resize with antialiasing, which the embedded preprocessing needs", _ANTIALIAS)
    return opset


def ir_version(opset: int) -> int:
    """Return the IR version of a file with this opset."""
    return _IR[max(first for first in _IR if first <= opset)]


def cannot(opset: int, what: str, since: int) -> ArchError:
    """Return E0870: `opset` has no `what`, which exists since another one."""
    return error("E0870", f"opset {opset} cannot express {what}", status=2, help=f"use opset {since} or newer")


def in_opset(
    nodes: Sequence[OnnxNode], initializers: dict[str, Initializer], opset: int, precision: Precision
) -> list[OnnxNode]:
    """Return the nodes in the terms of an opset; `initializers` gets the constants that they need, and loses those that
    no node reads any more. Raises E0870 for a node that the opset cannot express."""
    if opset >= DEFAULT:
        return list(nodes)
    rewriter = _Rewriter(initializers, opset, precision)
    if opset < 18:
        nodes = _kept_apart(nodes, rewriter)
    result: list[OnnxNode] = []
    for node in nodes:
        since, rule = _RULES.get(node.op_type, (0, _same))
        known = {key: v for key, v in node.attributes.items() if _SINCE.get((node.op_type, key), 0) <= opset}
        result += (rule if opset < since else _same)(rewriter, replace(node, attributes=known))
    drop_unread(result, initializers)
    return result


class _Rewriter:
    """What a rule knows of the file: its initializers, its opset and the type in which half precision computes."""

    def __init__(self, initializers: dict[str, Initializer], opset: int, precision: Precision) -> None:
        self.initializers, self.opset = initializers, opset
        self.half = precision != "fp32"
        self.dtype = DTYPES[precision]

    def number(self, node: OnnxNode, what: str, value: float) -> str:
        """Return the name of a constant in the type of the file."""
        return shared(Constant(f"{node.name}/{what}", (), (value,), self.dtype), self.initializers)

    def ints(self, node: OnnxNode, what: str, *values: int) -> str:
        return shared(Constant(f"{node.name}/{what}", (len(values),), values, "int64"), self.initializers)

    def values(self, name: str) -> tuple[int, ...]:
        """Return the elements of a list of integers."""
        item = self.initializers[name]
        assert isinstance(item, Constant)
        return tuple(map(int, item.values))


_Rule: TypeAlias = Callable[[_Rewriter, OnnxNode], Iterable[OnnxNode]]


def _step(node: OnnxNode, what: str, op_type: str, *inputs: str, **attributes: Attribute) -> OnnxNode:
    """An inner node of a rewritten one; without `what` the last one, which has the name and the output of `node`."""
    if not what:
        return OnnxNode(node.name, op_type, inputs, node.outputs, attributes)
    name = f"{node.name}/{what}"
    return OnnxNode(name, op_type, inputs, (name,), attributes)


def _same(rewriter: _Rewriter, node: OnnxNode) -> Iterable[OnnxNode]:
    return (node,)


def _shape(rewriter: _Rewriter, node: OnnxNode) -> Iterable[OnnxNode]:
    start, end = (node.attributes.get(key, otherwise) for key, otherwise in (("start", 0), ("end", _END)))
    if (start, end) == (0, _END):
        return (replace(node, attributes={}),)
    assert isinstance(start, int) and isinstance(end, int)
    bounds = (rewriter.ints(node, what, value) for what, value in (("start", start), ("end", end), ("axis", 0)))
    return _step(node, "whole", "Shape", *node.inputs), _step(node, "", "Slice", f"{node.name}/whole", *bounds)


def _pad(rewriter: _Rewriter, node: OnnxNode) -> Iterable[OnnxNode]:
    """Leaves out the list of axes, which has all of them."""
    x, pads, *value = node.inputs[:3]
    return (replace(node, inputs=(x, pads, *filter(None, value))),)


def _reduce(rewriter: _Rewriter, node: OnnxNode) -> Iterable[OnnxNode]:
    x, axes = node.inputs
    keepdims = node.attributes["keepdims"]
    return (replace(node, inputs=(x,), attributes={"axes": rewriter.values(axes), "keepdims": keepdims}),)


def _hardswish(rewriter: _Rewriter, node: OnnxNode) -> Iterable[OnnxNode]:
    yield _step(node, "gate", "HardSigmoid", *node.inputs, alpha=1 / 6, beta=0.5)
    yield _step(node, "", "Mul", *node.inputs, f"{node.name}/gate")


def _gelu(rewriter: _Rewriter, node: OnnxNode) -> Iterable[OnnxNode]:
    """The nodes that ONNX Runtime fuses into its own Gelu."""
    (x,), at = node.inputs, node.name
    number = rewriter.number
    if node.attributes["approximate"] == "tanh":
        yield _step(node, "cube", "Pow", x, number(node, "three", 3.0))
        yield _step(node, "bent", "Mul", f"{at}/cube", number(node, "bend", 0.044715))
        yield _step(node, "sum", "Add", x, f"{at}/bent")
        yield _step(node, "inner", "Mul", f"{at}/sum", number(node, "slope", sqrt(2 / pi)))
        yield _step(node, "curve", "Tanh", f"{at}/inner")
    else:
        yield _step(node, "inner", "Div", x, number(node, "root", sqrt(2)))
        yield _step(node, "curve", "Erf", f"{at}/inner")
    yield _step(node, "gate", "Add", f"{at}/curve", number(node, "one", 1.0))
    yield _step(node, "twice", "Mul", x, f"{at}/gate")
    yield _step(node, "", "Mul", f"{at}/twice", number(node, "half", 0.5))


def _layer_norm(rewriter: _Rewriter, node: OnnxNode) -> Iterable[OnnxNode]:
    """The nodes that ONNX Runtime fuses into its own LayerNormalization, over the last axis."""
    if rewriter.half:
        raise cannot(rewriter.opset, "a layer norm in half precision that adds up in float32", 17)
    (x, weight, bias), at = node.inputs, node.name
    over: Mapping[str, Attribute] = {"axes": (-1,), "keepdims": 1}
    epsilon = node.attributes["epsilon"]
    assert isinstance(epsilon, float)
    yield _step(node, "own_mean", "ReduceMean", x, **over)
    yield _step(node, "rest", "Sub", x, f"{at}/own_mean")
    yield _step(node, "square", "Pow", f"{at}/rest", rewriter.number(node, "two", 2.0))
    yield _step(node, "variance", "ReduceMean", f"{at}/square", **over)
    yield _step(node, "positive", "Add", f"{at}/variance", rewriter.number(node, "epsilon", epsilon))
    yield _step(node, "deviation", "Sqrt", f"{at}/positive")
    yield _step(node, "divided", "Div", f"{at}/rest", f"{at}/deviation")
    yield _step(node, "scaled", "Mul", f"{at}/divided", weight)
    yield _step(node, "", "Add", f"{at}/scaled", bias)


def _batch_norm(rewriter: _Rewriter, node: OnnxNode) -> Iterable[OnnxNode]:
    if rewriter.half:
        raise cannot(rewriter.opset, "a batch norm in half precision with statistics in float32", 15)
    return (node,)


def _kept_apart(nodes: Sequence[OnnxNode], rewriter: _Rewriter) -> list[OnnxNode]:
    """Put a Max with minus infinity between a Pad and a pool.

    ONNX Runtime fuses a Pad with zeros and without a list of axes into the pool that reads it: a max pool pads with
    minus infinity (1.20), a mean may leave out what is padded.
    """
    padded = {node.outputs[0] for node in nodes if node.op_type == "Pad" and len(node.inputs) == 4}
    result: list[OnnxNode] = []
    for node in nodes:
        if node.op_type in ("MaxPool", "AveragePool") and node.inputs[0] in padded:
            result.append(_step(node, "apart", "Max", *node.inputs, rewriter.number(node, "lowest", float("-inf"))))
            node = replace(node, inputs=(f"{node.name}/apart",))
        result.append(node)
    return result


_RULES: Mapping[str, tuple[int, _Rule]] = {
    "HardSwish": (14, _hardswish),
    "BatchNormalization": (15, _batch_norm),
    "Shape": (15, _shape),
    "LayerNormalization": (17, _layer_norm),
    "Pad": (18, _pad),
    "ReduceMean": (18, _reduce),
    "ReduceMax": (18, _reduce),
    "ReduceL2": (18, _reduce),
    "Gelu": (20, _gelu),
}
"""The opset since which an op is as the rules write it, and what it is before."""
