"""How far apart the pixels of a tensor are, in pixels of an earlier one, by the fields of the ops between."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from itertools import count
from typing import Any

_NUMBERS = count()
_POOLS = ("maxpool", "avgpool", "subsample")
_GROWS = ("deconv", "upsample", "pixelshuffle")


def grid(x: Any) -> tuple[Any, ...]:
    """A number for the tensor that the distances refer to, and those along each axis."""
    if not hasattr(x, "grid"):
        x.grid = next(_NUMBERS), *(Fraction(1) for _ in x.shape[2:])
    known: tuple[Any, ...] = x.grid
    return known


def between(x: Any, y: Any) -> tuple[Fraction, ...] | None:
    (one, *before), (other, *after) = grid(x), grid(y)
    return tuple(b / a for a, b in zip(before, after, strict=True)) if one == other else None


def placed(kind: str, run: Callable[..., Any]) -> Callable[..., Any]:
    """The same op, which notes the grid of its output."""

    def noting(machine: Any, read: Any, fields: dict[str, Any]) -> Any:
        y = run(machine, read, fields)
        if y.dim() > 2 and not hasattr(y, "grid"):
            found = _of_merge(read, y) if isinstance(read, list) else _of_op(kind, read, y, fields)
            if found is not None:
                y.grid = found
        return y

    return noting


def _of_merge(read: list[Any], y: Any) -> tuple[Any, ...] | None:
    grids = [grid(x) for x in read if x.shape[2:] == y.shape[2:]]
    first = {one for one in grids if one[0] == min(number for number, *_ in grids)}
    return first.pop() if len(first) == 1 else None


def _of_op(kind: str, x: Any, y: Any, fields: dict[str, Any]) -> tuple[Any, ...] | None:
    number, *steps = grid(x)
    if kind in ("gap", "gmp") or fields.get("over") == "space" or fields.get("adaptive"):
        return grid(x) if x.shape[2:] == y.shape[2:] else None
    step: Any = fields.get("stride") or 1
    if kind in _POOLS:
        step = fields.get("stride") or fields["kernel"]
    if kind == "upsample":
        step = fields.get("scale")
        if step is None or fields.get("align_corners"):
            sizes = list(zip(x.shape[2:], y.shape[2:], strict=True))
            if fields.get("align_corners"):
                sizes = [(a - 1, b - 1) if min(a, b) > 1 else (a, b) for a, b in sizes]
            step = [Fraction(b, a) for a, b in sizes]
    if kind == "blurpool":
        step = fields.get("stride", 2)
    if kind in ("pixelshuffle", "pixelunshuffle"):
        step = fields["scale"]
    each = [step] * len(steps) if isinstance(step, int) else step
    grows = kind in _GROWS
    return number, *(a / b if grows else a * b for a, b in zip(steps, each, strict=True))
