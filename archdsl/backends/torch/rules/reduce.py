"""Reductions as PyTorch functions."""

from __future__ import annotations

from collections.abc import Sequence

from archdsl import ops
from archdsl.backends.torch.rules.parts import Rule, X, call
from archdsl.backends.torch.steps import Lowered
from archdsl.ops.base import Op
from archdsl.shapes import Shape


def reduced(function: str) -> Rule:
    """Return the rule of a function over the channels or the spatial axes, which become axes of size 1."""

    def rule(op: ops.Reduction, shapes: Sequence[Shape]) -> Lowered:
        axes = 1 if op.over == "channels" else tuple(range(2, len(shapes[0]) + 1))
        return Lowered(call=call(function, X, dim=axes, keepdim=True))

    return rule


RULES: dict[type[Op], Rule] = {
    ops.Mean: reduced("torch.mean"),
    ops.Max: reduced("torch.amax"),
    ops.Sum: reduced("torch.sum"),
    ops.L2: reduced("torch.linalg.vector_norm"),
}
