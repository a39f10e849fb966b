"""Compound scaling (Tan and Le 2019, equation 3): depth, width and input size of a network grow by one number, phi."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil, lcm
from typing import NamedTuple

from archdsl.diagnostics import error
from archdsl.diagnostics.arguments import check_range
from archdsl.language.expressions import Value
from archdsl.language.expressions.arithmetic import BUILTINS
from archdsl.network import Network

CHANNELS = SIZES = 8
"""Widths become multiples of 8, as in the paper's code; input sizes grow in steps of 8 and of what the network
accepts."""
_LEAST, _MOST, _FURTHER = -30, 70, 140
"""In tenths: the scalings that are tried for the largest within budgets, to the largest network of the paper; and twice
as far if even that one is within them."""
_LIMIT = 50
"""The largest scaling that can be set."""


class Coefficients(NamedTuple):
    """The factors for phi = 1; the defaults are those of the paper."""

    depth: float = 1.2
    width: float = 1.1
    resolution: float = 1.15


def phis(further: bool = False) -> tuple[float, ...]:
    """Return the scalings that are tried."""
    return tuple(tenth / 10 for tenth in range(_LEAST, (_FURTHER if further else _MOST) + 1))


def checked(coefficients: Sequence[float], scale: bool | float | None) -> Coefficients:
    """Return the coefficients. Raises E0002 if they are not three numbers of 0.1 to 10, or for a large scaling."""
    if isinstance(coefficients, str) or len(coefficients) != 3:
        raise error("E0002", "`coefficients` are three numbers: of the depth, the width and the resolution", status=2)
    for one in coefficients:
        check_range("coefficients", one, 0.1, 10, whole=False)
    if not isinstance(scale, bool):
        check_range("scale", scale, -_LIMIT, _LIMIT, whole=False)
    return Coefficients(*coefficients)


def scaled(net: Network, phi: float, by: Coefficients = Coefficients()) -> tuple[dict[str, Value], str | None]:
    """Return the arguments and the input size of a network that is scaled by `phi`; 0 changes nothing.

    Multipliers (floats) are multiplied. Counts are rounded up; widths to the nearest multiple of 8 that is at least 90
    % of the width. Raises E0919 if no argument is marked with `scale`, or the input size cannot change.
    """
    values = net.document.known_arguments(net.args)[0]
    marks = {name: decl.scale for name, decl in net.document.args.items() if decl.scale}
    if not marks:
        raise error(
            "E0919",
            f"`{net.name}` has no argument to scale",
            help="mark arguments, as in `args: {width: {default: 1.0, scale: width}, n: {default: 3, scale: depth}}`",
        )
    factors = {"depth": by.depth**phi, "width": by.width**phi}
    args = {name: _value(values[name], mark, factors[mark]) for name, mark in marks.items()}
    return args, None if by.resolution == 1 or phi == 0 else _input(net, by.resolution**phi)


def _value(value: Value, mark: str, factor: float) -> Value:
    if factor == 1 or not value:
        return value
    if isinstance(value, tuple):
        return tuple(_value(item, mark, factor) for item in value)
    assert isinstance(value, (int, float))
    if isinstance(value, float):
        return round(value * factor, 3)
    return ceil(value * factor - 1e-9) if mark == "depth" else BUILTINS["divisible"][2]((value * factor, CHANNELS))


def _input(net: Network, factor: float) -> str | None:
    """The input with larger axes: each the nearest size that is some steps from that of the spec."""
    graph = net.graph
    pinned = next((size for size in graph.sizes if size.pinned), None)
    if len(graph.inputs) > 1 or pinned is not None:
        why = f"fixed by {pinned.pinned}" if pinned is not None else "not one size: it has several inputs"
        raise error(
            "E0919",
            f"the input size of `{net.name}` cannot grow: it is {why}",
            help="scale the depth and the width only: set the coefficient of the resolution to 1",
        )
    channels, *sizes = map(int, graph.input_spec.split("x"))
    steps = lcm(SIZES, *(size.step for size in graph.sizes))
    least = max((size.minimum for size in graph.sizes), default=1)
    grown = [max(round(size * (factor - 1) / steps), -((size - least) // steps)) * steps + size for size in sizes]
    return "x".join(map(str, (channels, *grown)))
