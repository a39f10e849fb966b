"""The rounding errors of long sums, measured: where the terms are nearly equal, errors do not have random signs.

``sqrt(n) * u`` (`tolerance.py`) assumes independent errors. While equal terms are added one by one, each addition may
round in the same direction, and the error grows like ``n * u``. So the terms are added in float32, one by one, and the
error of this sum widens the tolerance where it is larger. Of other terms it is smaller, and nothing changes.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import TYPE_CHECKING

import numpy as np

from archdsl.graph import Node
from archdsl.ops import L2, AvgPool, Gap, Ln, LogSoftmax, Mean, Norm, Softmax, Subsample, Sum
from archdsl.verification.tolerance import Float64Array

if TYPE_CHECKING:
    from torch import Tensor

LONG = 16
"""Shorter sums of equal terms are within the usual tolerance."""
_AT_ONCE = 1 << 22
"""The number of terms in memory at once, as far as a single sum does not have more."""


def growth(node: Node, x: Tensor, size: float) -> Float64Array | None:
    """Return how many times as large as `size` the relative errors of the node's sums are: at least 1, and of a shape
    that can be multiplied by the node's value.

    `x` is the node's input, `size` the expected error, ``sqrt(n) * u``. None: the node adds few terms, or products.
    """
    rows = _summed(node, x)
    if rows is None or rows.shape[-1] < LONG or not size:
        return None
    factor = np.maximum(sum_errors(rows.numpy()) / size, 1.0)
    if isinstance(node.op, Softmax):
        return _of_softmax(node.op, factor, x.shape)
    if isinstance(node.op, Ln | LogSoftmax) or getattr(node.op, "over", "") == "channels":  # one sum for each pixel
        return np.expand_dims(factor, 1)
    if not isinstance(node.op, Norm):  # windows at several places
        factor = factor.max(2)
    channels: Float64Array = np.repeat(factor, x.shape[1] // factor.shape[1], 1)
    return channels.reshape(*channels.shape, *(1 for _ in x.shape[2:]))


def sum_errors(rows: Float64Array) -> Float64Array:
    """Return the error of the sum of each row (..., n) in float32, one by one, relative to the sum of the absolute
    values; the largest of all partial sums, because runtimes add blocks."""
    terms = rows.reshape(-1, rows.shape[-1])
    step = max(1, _AT_ONCE // max(1, terms.shape[1]))
    errors = [_errors(terms[start : start + step].astype(np.float32)) for start in range(0, len(terms), step)]
    return np.concatenate(errors).reshape(rows.shape[:-1])


@np.errstate(over="ignore", invalid="ignore")
def _errors(terms: np.ndarray[tuple[int, ...], np.dtype[np.float32]]) -> Float64Array:
    exact = np.cumsum(terms, 1, np.float64)
    errors = np.abs(np.add.accumulate(terms, 1) - exact)
    errors /= np.maximum(np.cumsum(np.abs(terms), 1, np.float64), np.finfo(np.float32).tiny)
    largest: Float64Array = errors.max(1)
    return np.where(np.isfinite(largest), largest, 0.0)  # an overflow is reported as such


def _summed(node: Node, x: Tensor) -> Tensor | None:
    """The terms of each sum, in the last axis: of a norm (N, groups, n), of windows side by side (N, C, windows, n),
    over channels (N, *pixels, n)."""
    op = node.op
    if isinstance(op, Ln):
        return x.movedim(1, -1)
    if isinstance(op, Softmax):
        values = _weighed(op, x)
        return (values - values.amax(2, keepdim=True)).exp().movedim(2, -1)
    if isinstance(op, Mean | Sum | L2):
        terms = x.square() if isinstance(op, L2) else x
        return terms.movedim(1, -1) if op.over == "channels" else terms.flatten(2)[:, :, None]
    if isinstance(op, LogSoftmax):
        return (x - x.amax(1, keepdim=True)).exp().movedim(1, -1)
    if isinstance(op, Norm):
        groups = op.groups_of(x.shape[1])
        return None if groups is None else x.reshape(len(x), groups, -1)
    if isinstance(op, Gap | AvgPool | Subsample):
        window = _window(op, x.shape[2:])
        windows = x
        for axis, size in enumerate(window, 2):
            windows = windows.unfold(axis, size, size)
        return windows.reshape(*x.shape[:2], -1, prod(window))
    return None


def _weighed(op: Softmax, x: Tensor) -> Tensor:
    """The input of a softmax with the values of each sum in the third axis."""
    if op.space:
        return x.flatten(2)
    return x.reshape(len(x), op.groups, op.parts_of(x.shape[1]), -1, *x.shape[2:])


def _of_softmax(op: Softmax, factor: Float64Array, shape: Sequence[int]) -> Float64Array:
    """The factor of each sum for each value that the sum divides."""
    if op.space:
        return factor.reshape(*factor.shape, *(1 for _ in shape[2:]))
    each: Float64Array = np.repeat(factor[:, :, None], op.parts_of(shape[1]), 2)
    return each.reshape(shape)


def _window(op: Gap | AvgPool | Subsample, sizes: Sequence[int]) -> tuple[int, ...]:
    """The size of a pool's windows inside the image."""
    if isinstance(op, Gap):
        return tuple(sizes)
    axes = zip(sizes, op.kernel, strict=True)
    if isinstance(op, AvgPool) and op.adaptive:
        return tuple(-(-size // count) for size, count in axes)
    return tuple(map(min, axes))
