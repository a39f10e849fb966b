"""Merges as PyTorch operators and functions."""

from __future__ import annotations

from collections.abc import Sequence

from archdsl import ops
from archdsl.backends.torch.rules.parts import Rule, call
from archdsl.backends.torch.steps import Argument, Expr, Lowered
from archdsl.ops.base import Op
from archdsl.shapes import Shape


def joined(operator: str) -> Rule:
    """Return the rule of `a + b + c`, from left to right."""
    return lambda op, shapes: Lowered(call=call(operator, *(Argument(n) for n in range(len(shapes)))))


def nested(function: str) -> Rule:
    """Return the rule of `f(f(a, b), c)`, from left to right."""

    def rule(op: Op, shapes: Sequence[Shape]) -> Lowered:
        value: Expr = Argument(0)
        for n in range(1, len(shapes)):
            value = call(function, value, Argument(n))
        return Lowered(call=value)

    return rule


def concat(op: ops.Concat, shapes: Sequence[Shape]) -> Lowered:
    return Lowered(call=call("torch.cat", tuple(Argument(n) for n in range(len(shapes))), 1))


RULES: dict[type[Op], Rule] = {
    ops.Add: joined("+"),
    ops.Sub: joined("-"),
    ops.Mul: joined("*"),
    ops.Div: joined("/"),
    ops.Maximum: nested("torch.maximum"),
    ops.Minimum: nested("torch.minimum"),
    ops.Concat: concat,
}
