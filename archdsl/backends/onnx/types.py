"""Half precision by typed emission: each op works in one type, and values are cast where two types meet.

Single precision stays where the field keeps it: softmax, sums over groups and across channels, squared distances, the
statistics of batch norms. Layer norms add up in single precision by their own attribute (`stash_type`). What enters and
leaves the network is float32.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Literal, TypeAlias

from archdsl.backends.onnx.records import Dtype, OnnxLowering, OnnxNode
from archdsl.ops.base import Op

Precision: TypeAlias = Literal["fp32", "fp16", "bf16"]
DTYPES: dict[Precision, Dtype] = {"fp32": "float32", "fp16": "float16", "bf16": "bfloat16"}
ONNX_TYPES: dict[Dtype, int] = {"float32": 1, "int64": 7, "float16": 10, "bfloat16": 16}
"""Numbers of onnx.TensorProto.DataType."""

_SINGLE_INPUTS = {"BatchNormalization": (1, 2, 3, 4), "Resize": (2,)}
"""Inputs that stay in single precision beside values of half: ONNX has a type of their own for them."""


def type_of(op: Op, precision: Precision) -> Dtype:
    """What the op works in."""
    return "float32" if op.float32 else DTYPES[precision]


def retyped(lowered: OnnxLowering, dtype: Dtype) -> OnnxLowering:
    """The same with its numbers in the type that its values have."""
    if dtype == "float32":
        return lowered
    kept = {
        node.inputs[i] for node in lowered.nodes for i in _SINGLE_INPUTS.get(node.op_type, ()) if i < len(node.inputs)
    }
    made = tuple(
        item if item.dtype != "float32" or item.name in kept else replace(item, dtype=dtype)
        for item in lowered.initializers
    )
    return replace(lowered, initializers=made)


class Casts:
    """The types of values, and the casts between them, each made once and added to `nodes`."""

    def __init__(self, nodes: list[OnnxNode]) -> None:
        self.types: dict[str, Dtype] = {}
        self.nodes = nodes
        self._made: dict[tuple[str, Dtype], str] = {}

    def to(self, value: str, dtype: Dtype) -> str:
        """The value in the type."""
        if self.types.get(value, "float32") == dtype:
            return value
        found = self._made.get((value, dtype))
        if found is None:
            found = self._made[value, dtype] = f"{value}/{dtype}"
            self.nodes.append(cast(found, value, found, dtype))
            self.types[found] = dtype
        return found


def cast(name: str, value: str, output: str, dtype: Dtype) -> OnnxNode:
    return OnnxNode(name, "Cast", (value,), (output,), {"saturate": 1, "to": ONNX_TYPES[dtype]})
