"""Merges as ONNX nodes."""

from __future__ import annotations

from archdsl import ops
from archdsl.backends.onnx.records import Emitter
from archdsl.backends.onnx.rules.parts import Lowering
from archdsl.ops.base import Op


def add(e: Emitter, op: ops.Add) -> None:
    e.last("Add" if len(e.inputs) == 2 else "Sum", *e.inputs)


def mul(e: Emitter, op: ops.Mul) -> None:
    product = e.x
    for number, other in enumerate(e.inputs[1:-1], 1):
        product = e.step(f"product{number}", "Mul", product, other)
    e.last("Mul", product, e.inputs[-1])


def concat(e: Emitter, op: ops.Concat) -> None:
    e.last("Concat", *e.inputs, axis=1)


RULES: dict[type[Op], Lowering] = {
    ops.Add: add,
    ops.Mul: mul,
    ops.Concat: concat,
}
