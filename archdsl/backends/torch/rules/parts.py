"""What the rules share: constructors, calls, and the names of classes for each number of axes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias, TypeVar

from archdsl.axes import MOST, axes_of
from archdsl.backends.torch.steps import Argument, Call, Expr, Literal, Lowered, Module
from archdsl.shapes import Pads, Shape

Rule: TypeAlias = Callable[[Any, Sequence[Shape]], Lowered]
X = Argument(0)
T = TypeVar("T")


def named(target: str, shape: Shape) -> str:
    """Return `nn.Conv2d` for `nn.Conv{n}d` and an image. A vector has the class of signals."""
    return target.format(n=max(1, axes_of(shape)))


def for_all_axes(table: Mapping[str, T]) -> dict[str, T]:
    """Return a table with a row for each number of axes in place of each row whose target has an `{n}`."""
    return {target.format(n=axes): row for target, row in table.items() for axes in range(1, MOST + 1)}


def module(target: str, **arguments: Literal) -> Module:
    return Module(target, tuple(arguments.items()))


def call(target: str, *args: Expr, **kwargs: Expr) -> Call:
    return Call(target, args, tuple(kwargs.items()))


def sides(pads: Pads) -> tuple[int, ...]:
    """Return the pads in the order of `F.pad`: begin and end of the last axis, then of the one before it."""
    return tuple(side for sides in reversed([*zip(pads.begins, pads.ends, strict=True)]) for side in sides)


@dataclass(frozen=True, slots=True)
class Bare:
    """The rule of an op without fields: a module without arguments."""

    module: str

    def __call__(self, op: Any, shapes: Sequence[Shape]) -> Lowered:
        return Lowered(module(self.module))
