"""The tolerance of `verify`: the largest difference between two runs of a network that rounding explains.

Values are compared channel by channel (`channel_differences`): ``max|a - b| / max|b|`` over the values of one channel,
where b is the float64 reference (`reference.py`). One wrong weight changes one channel, and would be invisible among
channels with larger values. The tolerance of a run in another precision follows from its unit roundoff u and from the
network:

1. The rounding error of a sum of n terms grows like ``sqrt(n) * u`` with high probability (Higham and Mary 2019, "A new
   approach to probabilistic rounding error analysis", theorem 2.4). `Op.terms` is this n.
2. The reference runs a second time, perturbed: the inputs and tensors of every op that rounds change by a relative
   error of ``sqrt(n) * u`` with random signs, and so does its output (Monte Carlo arithmetic, Parker 1997); an op with
   few output values is perturbed several times. The difference of the two runs in a channel, its `spread`, shows the
   effect of errors of this size at this depth: they add up, cancel, grow if large values cancel, and vanish in a relu.
3. The tolerance of the channel is ``SAFETY * (spread + u)``.

It grows with the depth, with the length of sums, and with the condition of the computation.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import inf, prod, sqrt
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from archdsl.axes import axes_of
from archdsl.graph import Node
from archdsl.shapes import concrete

ROUNDOFF: Mapping[str, float] = {"float64": 2.0**-53, "float32": 2.0**-24, "float16": 2.0**-11, "bfloat16": 2.0**-8}
"""The unit roundoff u: half the distance from 1 to the next larger number of the type."""
SMALLEST: Mapping[str, float] = {
    "float64": 2.0**-1022,
    "float32": 2.0**-126,
    "float16": 2.0**-14,
    "bfloat16": 2.0**-126,
}
"""The smallest normal number of the type; smaller values may be flushed to 0."""
LARGEST: Mapping[str, float] = {
    "float64": (2.0 - 2.0**-52) * 2.0**1023,
    "float32": (2.0 - 2.0**-23) * 2.0**127,
    "float16": 65504.0,
    "bfloat16": (2.0 - 2.0**-7) * 2.0**127,
}
"""The largest finite number of the type; larger values overflow to infinity."""
SCALE: Mapping[str, float] = {
    "float64": 2.0**-969,
    "float32": 2.0**-102,
    "float16": 2.0**-14,
    "bfloat16": 2.0**-118,
}
"""The smallest scale of a channel: differences in channels with smaller values are relative to this, because the type
has only few digits for such values."""
SAFETY = 2.0
"""One run is one sample of the errors; another may have larger ones. 1 was too small for correct runs of the
library and of random networks."""
LEAST = 32
"""The smallest number of values in a channel that is compared by itself; vectors and smaller channels are compared as a
whole tensor."""

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
    """Return ``max|a - b| / max|b|`` for each channel of `b`; infinity if not all values are finite.

    In a channel whose values in `b` are all 0, the difference is relative to the largest value of all channels.
    """
    first, second = np.asarray(a, np.float64), np.asarray(b, np.float64)
    if first.shape != second.shape:
        return np.full(_channels(second.shape), np.inf)
    with np.errstate(invalid="ignore"):
        differences, scale = _largest(first - second), _largest(second)
    whole = scale.max(initial=0.0)
    scale[scale == 0] = whole or 1.0
    differences /= np.maximum(scale, SCALE[dtype])
    return np.where(np.isfinite(differences) & np.isfinite(scale), differences, np.inf)


def _channels(shape: tuple[int, ...]) -> int:
    """The number of channels of a value (N, C, ...) that are compared separately; 1: it is compared as a whole."""
    large = axes_of(shape[1:]) > 0 and shape[0] * prod(shape[2:]) >= LEAST
    return shape[1] if large else 1


def _largest(value: Float64Array) -> Float64Array:
    """The largest absolute value in each channel; NaN if the channel contains a NaN."""
    rows = value.reshape(len(value), _channels(value.shape), -1) if value.ndim else value.reshape(1, 1, 1)
    largest: Float64Array = np.maximum(rows.max((0, 2), initial=0.0), 0.0 - rows.min((0, 2), initial=0.0))
    return largest


def steady_spread(spread: Float64Array, value: Float64Array) -> Float64Array:
    """Return the spread, at least the median of all channels where a channel has fewer than LEAST nonzero values."""
    if len(spread) == 1:
        return spread
    few = np.count_nonzero(value, (0, *range(2, value.ndim))) < LEAST
    return np.where(few, np.maximum(spread, np.median(spread)), spread)


def tolerances(spread: Float64Array, dtype: str = "float32") -> Float64Array:
    """Return the tolerance of each channel if the perturbed run differs by `spread`."""
    return SAFETY * (spread + ROUNDOFF[dtype])


def worst_channel(differences: Float64Array, allowed: Float64Array) -> Deviation:
    """Return the channel with the largest ratio of difference and tolerance."""
    if differences.shape != allowed.shape:
        return Deviation(inf, float(allowed.max()), None)
    with np.errstate(invalid="ignore"):
        at = int((differences / allowed).argmax())  # NaN if both are infinite: argmax returns the first such channel
    return Deviation(float(differences[at]), float(allowed[at]), at if len(allowed) > 1 else None)


def error_size(node: Node, dtype: str = "float32", sizes: Mapping[str, int] | None = None) -> float:
    """Return the relative rounding error of one node, ``sqrt(n) * u``; 0 if the op only moves values.

    `sizes` are the free sizes of the input, if they are not the default ones.
    """
    inputs, output = node.in_shapes, node.shape
    if sizes:
        inputs, output = tuple(concrete(shape, sizes) for shape in inputs), concrete(output, sizes)
    return sqrt(node.op.terms(inputs, output)) * ROUNDOFF[dtype]
