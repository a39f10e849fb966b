"""Merges as PyTorch operators and functions."""

from __future__ import annotations

from collections.abc import Sequence

from archdsl import ops
from archdsl.backends.torch.rules.parts import Rule, call
from archdsl.backends.torch.steps import Argument, Lowered
from archdsl.ops.base import Op
from archdsl.shapes import Shape


def joined(operator: str) -> Rule:
    """Return the rule of `a + b + c`, from left to right."""
    return lambda op, shapes: Lowered(call=call(operator, *(Argument(n) for n in range(len(shapes)))))


def concat(op: ops.Concat, shapes: Sequence[Shape]) -> Lowered:
    return Lowered(call=call("torch.cat", tuple(Argument(n) for n in range(len(shapes))), 1))


RULES: dict[type[Op], Rule] = {
    ops.Add: joined("+"),
    ops.Mul: joined("*"),
    ops.Concat: concat,
}
