"""Reductions as ONNX nodes."""

from __future__ import annotations

from archdsl import ops
from archdsl.backends.onnx.records import Emitter
from archdsl.backends.onnx.rules.parts import Lowering
from archdsl.ops.base import Op


def reduced(op_type: str) -> Lowering:
    """Return the lowering to an ONNX reduction over the channels or the spatial axes, which keep size 1."""

    def rule(e: Emitter, op: ops.Reduction) -> None:
        axes = [1] if op.over == "channels" else list(range(2, len(e.node.shape) + 1))
        e.last(op_type, e.x, e.ints("axes", axes), keepdims=1, noop_with_empty_axes=0)

    return rule


RULES: dict[type[Op], Lowering] = {
    ops.Mean: reduced("ReduceMean"),
    ops.Max: reduced("ReduceMax"),
    ops.Sum: reduced("ReduceSum"),
    ops.L2: reduced("ReduceL2"),
}
