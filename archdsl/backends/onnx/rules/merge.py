"""Merges as ONNX nodes."""

from __future__ import annotations

from archdsl import ops
from archdsl.backends.onnx.records import Emitter
from archdsl.backends.onnx.rules.parts import Lowering
from archdsl.ops.base import Op


def joined(op_type: str, several: str = "") -> Lowering:
    """Return the lowering to an ONNX op of two inputs; more inputs are one op `several`, or joined one by one."""

    def rule(e: Emitter, op: ops.Elementwise) -> None:
        if several and len(e.inputs) > 2:
            e.last(several, *e.inputs)
            return
        value = e.x
        for number, other in enumerate(e.inputs[1:-1], 1):
            value = e.step(f"{op.name}{number}", op_type, value, other)
        e.last(op_type, value, e.inputs[-1])

    return rule


def concat(e: Emitter, op: ops.Concat) -> None:
    e.last("Concat", *e.inputs, axis=1)


RULES: dict[type[Op], Lowering] = {
    ops.Add: joined("Add", "Sum"),
    ops.Sub: joined("Sub"),
    ops.Mul: joined("Mul"),
    ops.Div: joined("Div"),
    ops.Maximum: joined("Max", "Max"),
    ops.Minimum: joined("Min", "Min"),
    ops.Concat: concat,
}
