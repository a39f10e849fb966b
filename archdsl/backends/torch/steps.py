"""The parts of a lowered network, as plain data: constructors of modules, and expressions over tensors.

`module` runs this data and `source` prints it; neither depends on the ops of the language. Targets are written as in
PyTorch code: `nn.Conv2d`, `F.pad`, `torch.cat`; a name without a dot is a class of `layers`; `+`, `-`, `*`, `/`,
`slice` (channels from, up to), `size` (of an axis) and `sizes` (of all axes) are operators.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from archdsl.ops.base import Look

Literal: TypeAlias = "bool | int | float | str | tuple[Literal, ...] | None"
Expr: TypeAlias = "Literal | Code | Argument | Value | Weight | Call | Run | tuple[Expr, ...]"


PRECEDENCE = {"+": 0, "-": 0, "*": 1, "/": 1}
"""The infix operators, and which of them bind first: those with the larger number."""


@dataclass(frozen=True, slots=True)
class Code:
    """A constant as source text; in printed programs only."""

    text: str


@dataclass(frozen=True, slots=True)
class Argument:
    """The n-th input of the lowered op."""

    index: int


@dataclass(frozen=True, slots=True)
class Value:
    """The output of a node, by its id in the graph."""

    id: int


@dataclass(frozen=True, slots=True)
class Weight:
    """A parameter of the module itself, or of the module `inside` a child."""

    name: str
    inside: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Call:
    """A function or operator applied."""

    target: str
    args: tuple[Expr, ...]
    kwargs: tuple[tuple[str, Expr], ...] = ()


@dataclass(frozen=True, slots=True)
class Run:
    """A call of a child module, or of the module `inside` it, name by name. A child with a dotted name is in plain
    containers."""

    child: str
    args: tuple[Expr, ...]
    inside: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Module:
    """The constructor of a module, with names for all arguments."""

    target: str
    arguments: tuple[tuple[str, Literal], ...] = ()
    look: Look = "other"
    """The look of its op in drawings, from which `source` derives the module's role for a reader."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter of the module that contains the node, with `fill` as its initial value."""

    shape: tuple[int, ...]
    fill: float


@dataclass(frozen=True, slots=True)
class Lowered:
    """A lowered op: a module, an expression over its `Argument`s, or both.

    A node in the module tree uses `module` if there is one, an implied node uses `call`. With `parameter`, the
    expression reads it as `Weight("")`.
    """

    module: Module | None = None
    call: Expr = None
    parameter: Parameter | None = None


def replace(expr: Expr, change: Callable[[Argument | Value | Weight], Expr]) -> Expr:
    """Return the expression with its leaves replaced."""
    if isinstance(expr, (Argument, Value, Weight)):
        return change(expr)
    if isinstance(expr, tuple):
        return tuple(replace(item, change) for item in expr)
    if isinstance(expr, Call):
        kwargs = tuple((name, replace(item, change)) for name, item in expr.kwargs)
        return Call(expr.target, tuple(replace(item, change) for item in expr.args), kwargs)
    if isinstance(expr, Run):
        return Run(expr.child, tuple(replace(item, change) for item in expr.args), expr.inside)
    return expr


def values(expr: Expr) -> tuple[int, ...]:
    """Return the ids of the values that an expression reads, in order, with repeats."""
    ids: list[int] = []

    def collect(leaf: Argument | Value | Weight) -> Expr:
        if isinstance(leaf, Value):
            ids.append(leaf.id)
        return leaf

    replace(expr, collect)
    return tuple(ids)
