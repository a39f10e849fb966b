"""What a lowered network consists of: constructors of modules, and expressions over tensors. Plain data.

`module` runs this data and `source` prints it; neither knows an op of the language. Targets are written as a PyTorch
user writes them: `nn.Conv2d`, `F.relu`, `torch.cat`; a bare name is a class of `layers`; `+`, `*` and `slice` (channels
from, up to) are operators.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from archdsl.ops.base import Look

Literal: TypeAlias = "bool | int | float | str | tuple[Literal, ...] | None"
Expr: TypeAlias = "Literal | Code | Argument | Value | Training | Weight | Call | Run | tuple[Expr, ...]"


@dataclass(frozen=True, slots=True)
class Code:
    """A constant already written as source; in printed programs only."""

    text: str


@dataclass(frozen=True, slots=True)
class Argument:
    """The n-th input of the op that is being lowered."""

    index: int


@dataclass(frozen=True, slots=True)
class Value:
    """The tensor that a node made: its id in the graph."""

    id: int


@dataclass(frozen=True, slots=True)
class Training:
    """Whether the module is in training mode."""


@dataclass(frozen=True, slots=True)
class Weight:
    """A parameter that the module itself owns, or what lies `inside` it."""

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
    """A child module applied, or what lies `inside` it, name by name. A child with a dotted name lies in plain
    containers."""

    child: str
    args: tuple[Expr, ...]
    inside: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Module:
    """The constructor of a module, all its arguments named."""

    target: str
    arguments: tuple[tuple[str, Literal], ...] = ()
    look: Look = "other"
    """What its op is drawn as, which tells `source` what a reader takes it for."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """A tensor that the module around the node owns, all values `fill` at the start."""

    shape: tuple[int, ...]
    fill: float


@dataclass(frozen=True, slots=True)
class Lowered:
    """What an op becomes: as a module, as an expression over its `Argument`s, or as either.

    An op with a place in the module tree takes `module` if there is one, an implied one `call`. With `parameter` the
    expression reads it as `Weight("")`.
    """

    module: Module | None = None
    call: Expr = None
    parameter: Parameter | None = None


def replace(expr: Expr, change: Callable[[Argument | Value | Weight], Expr]) -> Expr:
    """The expression with its leaves changed."""
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
    """The ids of the values that an expression reads, in order, repeats included."""
    found: list[int] = []

    def note(leaf: Argument | Value | Weight) -> Expr:
        if isinstance(leaf, Value):
            found.append(leaf.id)
        return leaf

    replace(expr, note)
    return tuple(found)
