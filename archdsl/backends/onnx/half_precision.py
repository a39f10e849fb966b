"""Half precision: each op computes in one type, and values are cast between ops of different types.

Some computations stay in single precision, as is usual: softmax, sums over groups and across channels, squared
distances, the statistics of batch norms. Layer norms add up in single precision by their own attribute (`stash_type`).
Inputs and outputs of the network are float32.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Literal, TypeAlias

from archdsl.backends.onnx.records import Dtype, OnnxLowering, OnnxNode
from archdsl.ops.base import Op

Precision: TypeAlias = Literal["fp32", "fp16", "bf16"]
DTYPES: dict[Precision, Dtype] = {"fp32": "float32", "fp16": "float16", "bf16": "bfloat16"}
ONNX_TYPES: dict[Dtype, int] = {"float32": 1, "uint8": 2, "int64": 7, "float16": 10, "bfloat16": 16}
"""Values of onnx.TensorProto.DataType."""

_SINGLE_INPUTS = {"BatchNormalization": (1, 2, 3, 4), "Resize": (2,)}
"""Inputs that stay in single precision beside half-precision values: they have a separate type in ONNX."""


def type_of(op: Op, precision: Precision) -> Dtype:
    """Return the type in which the op computes."""
    return "float32" if op.float32 else DTYPES[precision]


def retyped(lowered: OnnxLowering, dtype: Dtype) -> OnnxLowering:
    """Return the lowering with its float initializers in the type of its values."""
    if dtype == "float32":
        return lowered
    kept = {
        node.inputs[i] for node in lowered.nodes for i in _SINGLE_INPUTS.get(node.op_type, ()) if i < len(node.inputs)
    }
    initializers = tuple(
        item if item.dtype != "float32" or item.name in kept else replace(item, dtype=dtype)
        for item in lowered.initializers
    )
    return replace(lowered, initializers=initializers)


class Casts:
    """The types of values, and the casts between them, each added to `nodes` once."""

    def __init__(self, nodes: list[OnnxNode]) -> None:
        self.types: dict[str, Dtype] = {}
        self.nodes = nodes
        self._casts: dict[tuple[str, Dtype], str] = {}

    def to(self, value: str, dtype: Dtype) -> str:
        """Return the name of the value in the type."""
        if self.types.get(value, "float32") == dtype:
            return value
        name = self._casts.get((value, dtype))
        if name is None:
            name = self._casts[value, dtype] = f"{value}/{dtype}"
            self.nodes.append(cast(name, value, name, dtype))
            self.types[name] = dtype
        return name


def cast(name: str, value: str, output: str, dtype: Dtype) -> OnnxNode:
    return OnnxNode(name, "Cast", (value,), (output,), {"saturate": 1, "to": ONNX_TYPES[dtype]})
