"""The tolerance of `verify`: the largest difference that rounding alone explains between two runs of one network.

Outputs are compared channel by channel (`channel_differences`): ``max|a - b| / max|b|`` over one channel's numbers,
against a reference that computes in float64 (`reference.py`). One wrong weight moves one channel,
and among channels with larger numbers it would not be seen. What a run in another precision may differ by follows from
its unit roundoff u and from the network:

1. Rounding errors of a sum of n terms grow like ``sqrt(n) * u`` with high probability (Higham and Mary 2019, "A new
   approach to probabilistic rounding error analysis", theorem 2.4). `Op.terms` is that n.
2. So the reference runs a second time, perturbed: every op that rounds receives inputs and tensors that are off by
   ``sqrt(n) * u`` of themselves, with random signs, and its output is perturbed likewise (Monte Carlo arithmetic,
   Parker 1997); an op with few outputs is perturbed several times. The difference of the two runs in a channel, its
   `spread`, shows what errors of this size amount to at this depth: they add up, cancel, are amplified where large
   numbers cancel, and disappear behind a relu.
3. The tolerance of the channel is ``SAFETY * (spread + u)``.

It grows with depth, with the length of sums, and with how badly the numbers at hand are conditioned.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import inf, sqrt
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from archdsl.graph import Node

ROUNDOFF: Mapping[str, float] = {"float64": 2.0**-53, "float32": 2.0**-24, "float16": 2.0**-11, "bfloat16": 2.0**-8}
"""u: half the distance from 1 to the next number of the type."""
SMALLEST: Mapping[str, float] = {
    "float64": 2.0**-1022,
    "float32": 2.0**-126,
    "float16": 2.0**-14,
    "bfloat16": 2.0**-126,
}
"""Float64Array below may be flushed to 0."""
SCALE: Mapping[str, float] = {
    "float64": 2.0**-969,
    "float32": 2.0**-102,
    "float16": 2.0**-14,
    "bfloat16": 2.0**-118,
}
"""A channel whose largest number is below is held against this: of numbers so small none but a few digits are kept."""
SAFETY = 2.0
"""One run is one sample of errors; another may be worse luck. Set after looking at runs of the library and of random
networks, for which 1 was not enough."""
LEAST = 32
"""A channel of fewer numbers is no sample to go by: such tensors, and vectors, are compared as a whole."""

Float64Array: TypeAlias = npt.NDArray[np.float64]


class Deviation(NamedTuple):
    """The difference from the reference, and its tolerance, in the channel where their ratio is largest.

    `channel` is None if the tensor is compared as a whole.
    """

    difference: float
    tolerance: float
    channel: int | None

    @property
    def exceeded(self) -> bool:
        """Whether the difference exceeds the tolerance, or one of the two is not finite."""
        return not self.difference <= self.tolerance < inf


def channel_differences(a: Any, b: Any, dtype: str = "float32") -> Float64Array:
    """``max|a - b| / max|b|`` of each channel of `b`, in one row; infinite where not all numbers are finite.

    A channel that is 0 throughout in `b` is held against the largest number of all of them.
    """
    first, second = np.asarray(a, np.float64), np.asarray(b, np.float64)
    if first.shape != second.shape:
        return np.full(_channels(second.shape), np.inf)
    with np.errstate(invalid="ignore"):
        gaps, scale = _largest(first - second), _largest(second)
    whole = scale.max(initial=0.0)
    scale[scale == 0] = whole or 1.0
    gaps /= np.maximum(scale, SCALE[dtype])
    return np.where(np.isfinite(gaps) & np.isfinite(scale), gaps, np.inf)


def _channels(shape: tuple[int, ...]) -> int:
    """How many channels a value (N, C, H, W) is compared in; 1: as a whole."""
    images = len(shape) == 4 and shape[0] * shape[2] * shape[3] >= LEAST
    return shape[1] if images else 1


def _largest(value: Float64Array) -> Float64Array:
    """The largest size of a number in each channel; no number where one is none."""
    rows = value.reshape(len(value), _channels(value.shape), -1) if value.ndim else value.reshape(1, 1, 1)
    largest: Float64Array = np.maximum(rows.max((0, 2), initial=0.0), -rows.min((0, 2), initial=0.0))
    return largest


def steadied(spread: Float64Array, value: Float64Array) -> Float64Array:
    """The spread, where a channel of `value` has too few numbers that are not 0 to go by, at least the channels'
    median."""
    if len(spread) == 1:
        return spread
    few = np.count_nonzero(value, (0, 2, 3)) < LEAST
    return np.where(few, np.maximum(spread, np.median(spread)), spread)


def tolerances(spread: Float64Array, dtype: str = "float32") -> Float64Array:
    """The largest difference that rounding explains, for each channel, if the perturbed run differs by `spread`."""
    return SAFETY * (spread + ROUNDOFF[dtype])


def worst_channel(differences: Float64Array, allowed: Float64Array) -> Deviation:
    """The channel in which the difference is the largest part of its tolerance."""
    if differences.shape != allowed.shape:
        return Deviation(inf, float(allowed.max()), None)
    with np.errstate(invalid="ignore"):
        at = int((differences / allowed).argmax())  # not a number where both are infinite: the first such channel
    return Deviation(float(differences[at]), float(allowed[at]), at if len(allowed) > 1 else None)


def error_size(node: Node, dtype: str = "float32") -> float:
    """The relative error of one node on its own: ``sqrt(n) * u``; 0 where no number is computed."""
    return sqrt(node.op.terms(node.in_shapes, node.shape)) * ROUNDOFF[dtype]
