"""Layouts: how a tensor of a file holds a value of the spec.

A value of the spec has its channels first, and no batch. A tensor of the file may hold the same numbers transposed, or
with axes split, merged, added or removed. Each of its axes after the batch is a list of factors `(axis, stride, size)`:
along a factor, the index on `axis` of the value grows by `stride`, `size` times. A Transpose permutes the axes, a
Reshape groups the factors anew, and neither computes anything.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from math import prod
from typing import TypeAlias

import numpy as np

from archdsl import ops
from archdsl.frontends.onnx_model import Array
from archdsl.ops.base import Op

Factor: TypeAlias = tuple[int, int, int]
Factors: TypeAlias = tuple[Factor, ...]
Axes: TypeAlias = tuple[Factors, ...]
"""The factors of each axis of a tensor after the batch."""

_LARGEST_SCALE = 16
"""Of a pixel shuffle that is tried."""


def standard(shape: Sequence[int]) -> Axes:
    """The layout of a tensor that has the value's own axes."""
    return tuple(((axis, 1, size),) for axis, size in enumerate(shape))


def turned(shape: Sequence[int], order: Iterable[int]) -> Axes:
    """The layout of a tensor that has the value's axes in another order."""
    whole = standard(shape)
    return tuple(whole[axis] for axis in order)


def size_of(factors: Factors) -> int:
    return prod(size for _, _, size in factors)


def joined(axes: Iterable[Factors]) -> Factors:
    """The factors of several axes as one axis."""
    return tidy(factor for factors in axes for factor in factors)


def tidy(factors: Iterable[Factor]) -> Factors:
    """The same axis with the fewest factors."""
    result: list[Factor] = []
    for axis, stride, size in factors:
        if size == 1:
            continue
        if result and result[-1][:2] == (axis, stride * size):
            result[-1] = (axis, stride, result[-1][2] * size)
        else:
            result.append((axis, stride, size))
    return tuple(result)


def same(first: Axes, second: Axes) -> bool:
    """Whether two layouts are equal; axes of size 1 are all alike."""
    return len(first) == len(second) and all(map(lambda a, b: tidy(a) == tidy(b), first, second))


def settled(axes: Axes, shape: Sequence[int]) -> Axes:
    """The same layout; its axes of size 1 are the value's if all axes are, in their order or with the channels last."""
    rank = len(shape)
    forms = (turned(shape, order) for order in (range(rank), (*range(1, rank), 0)))
    return next((form for form in forms if same(axes, form)), tuple(map(tidy, axes)))


def whole_axes(axes: Axes, shape: Sequence[int]) -> list[int | None] | None:
    """For each axis of the tensor that of the value, or None for one of size 1; None if axes are split or merged."""
    result: list[int | None] = []
    for factors in axes:
        if len(factors) > 1 or any(stride != 1 or size != shape[axis] for axis, stride, size in factors):
            return None
        result.append(factors[0][0] if factors else None)
    missing = {axis for axis, size in enumerate(shape) if size > 1} - set(result)
    return None if missing else result


def regrouped(axes: Axes, sizes: Sequence[int]) -> Axes | None:
    """The layout after a Reshape to these sizes; None if it cuts through a factor."""
    waiting = [*reversed(joined(axes))]
    result: list[Factors] = []
    for size in sizes:
        taken: list[Factor] = []
        while size > 1:
            if not waiting:
                return None
            axis, stride, whole = waiting.pop()
            if size % whole == 0:
                taken.append((axis, stride, whole))
                size //= whole
            elif whole % size == 0:
                inner = whole // size
                taken.append((axis, stride * inner, size))
                waiting.append((axis, stride, inner))
                size = 1
            else:
                return None
        result.append(tidy(taken))
    return None if waiting else tuple(result)


def composed(outer: Axes, inner: Axes) -> Axes | None:
    """The layout `outer` of a value that itself has the layout `inner`; None if a factor of `inner` is cut."""
    result = []
    for factors in outer:
        parts: list[Factor] = []
        for axis, stride, size in factors:
            rest = size_of(inner[axis]) // (stride * size)
            split = regrouped((inner[axis],), (rest, size, stride))
            if split is None:
                return None
            parts += split[1]
        result.append(tidy(parts))
    return tuple(result)


def positions(axes: Axes, shape: Sequence[int]) -> Array:
    """For each element of the tensor, in order, its index in the flattened value."""
    index: Array = np.zeros((), np.int64)
    for axis, stride, size in joined(axes):
        index = index[..., None] + np.arange(size) * stride * prod(shape[axis + 1 :])
    return index.reshape(-1)


@lru_cache(maxsize=1024)
def route(axes: Axes, shape: tuple[int, ...]) -> tuple[Op, ...] | None:
    """At most two ops that give a value whose own axes are those of the tensor; None if there are none."""
    level: list[tuple[tuple[Op, ...], Axes]] = [((), standard(shape))]
    for _ in range(3):
        following = []
        for steps, inner in level:
            if same(axes, inner):
                return steps
            for op, outer in _moves(tuple(map(size_of, inner))) if len(steps) < 2 else ():
                after = composed(outer, inner)
                if after is not None:
                    following.append(((*steps, op), after))
        level = following
    return None


def _moves(shape: tuple[int, ...]) -> Iterator[tuple[Op, Axes]]:
    """The ops that only move the values of this shape, with the layout of their outputs."""
    whole = standard(shape)
    (channels, *sizes), axes = shape, len(shape) - 1
    if not axes:
        return
    yield ops.Flatten(), (joined(whole),)
    for groups in range(2, channels):
        if channels % groups == 0:
            each = channels // groups
            yield ops.Shuffle(groups=groups), (((0, 1, each), (0, each, groups)), *whole[1:])
    for scale in range(2, _LARGEST_SCALE + 1):
        parts = scale**axes
        if channels % parts == 0:
            inner = [(0, scale ** (axes - 1 - axis), scale) for axis in range(axes)]
            spatial = [((axis + 1, 1, size), inner[axis]) for axis, size in enumerate(sizes)]
            yield ops.PixelShuffle(scale=scale), (((0, parts, channels // parts),), *spatial)
        if not any(size % scale for size in sizes):
            outer = [((axis + 1, scale, size // scale),) for axis, size in enumerate(sizes)]
            within = [(axis + 1, 1, scale) for axis in range(axes)]
            yield ops.PixelUnshuffle(scale=scale), ((*whole[0], *within), *outer)
