"""How far two runs of one network may lie apart, by rounding alone: the one place that says so.

Outputs are compared by `difference`, ``max|a - b| / max|b|``, against a judge that computes in float64 (`judge.py`).
What a run in another precision may differ by follows from its unit roundoff u and from the network, by a formula without
a constant that was fitted to results:

1. Rounding errors of a sum of n terms grow like ``sqrt(n) * u`` with high probability (Higham and Mary 2019, "A new
   approach to probabilistic rounding error analysis", theorem 2.4). `terms` is that n for each op.
2. So the judge runs a second time, and errs on purpose: every op that rounds receives inputs and tensors that are off by
   ``sqrt(n) * u`` of themselves, with random signs, and its output is made off likewise (Monte Carlo arithmetic, Parker
   1997), and where it gives few numbers this is done several times. How far that run strays from the first, `spread`, says what errors of this size come to at this depth: they add
   up, cancel, are amplified where large numbers cancel, and are forgotten behind a relu.
3. The bound is ``SAFETY * (spread + u)``.

It grows with depth, with the length of sums, and with how badly the numbers at hand are conditioned.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import sqrt
from typing import Any, TypeAlias

import numpy as np

from archdsl import ops
from archdsl.graph import Node
from archdsl.ops import Op
from archdsl.shapes import at, numel

ROUNDOFF: Mapping[str, float] = {"float64": 2.0**-53, "float32": 2.0**-24, "float16": 2.0**-11, "bfloat16": 2.0**-8}
"""u: half the distance from 1 to the next number of the type."""
SMALLEST: Mapping[str, float] = {
    "float64": 2.0**-1022,
    "float32": 2.0**-126,
    "float16": 2.0**-14,
    "bfloat16": 2.0**-126,
}
"""Numbers below may be flushed to 0."""
SAFETY = 2.0
"""One run is one sample of errors; another may be worse luck."""

Rule: TypeAlias = Callable[[Node], float]


def difference(a: Any, b: Any) -> float:
    """``max|a - b| / max|b|``, ``max|a|`` where b is 0 throughout, and infinite where not all numbers are finite."""
    first, second = np.asarray(a, np.float64), np.asarray(b, np.float64)
    if first.shape != second.shape or not (np.isfinite(first).all() and np.isfinite(second).all()):
        return float("inf")
    if not second.size:
        return 0.0
    apart, scale = float(np.abs(first - second).max()), float(np.abs(second).max())
    return apart / scale if scale else apart


def bound(spread: float, dtype: str = "float32") -> float:
    """The largest difference that rounding explains, where the erring run differs by `spread`."""
    return SAFETY * (spread + ROUNDOFF[dtype])


def error_size(node: Node, dtype: str = "float32") -> float:
    """The relative error of one node on its own: ``sqrt(n) * u``; 0 where no number is computed."""
    return sqrt(TERMS[type(node.op)](node)) * ROUNDOFF[dtype]


def _sum(node: Node) -> float:
    """The products that are added up for one output, and the bias."""
    return node.macs / max(numel(node.shape), 1) + 1


def _window(node: Node) -> float:
    """The pixels of a window."""
    kernel = getattr(node.op, "kernel", (1, 1))
    if getattr(node.op, "adaptive", False):
        sizes = [at(size) for size in node.in_shapes[0][1:]]
        kernel = (-(-sizes[0] // kernel[0]) + 1, -(-sizes[1] // kernel[1]) + 1)
    return float(kernel[0] * kernel[1] + 1)


def _all(node: Node) -> float:
    return float(numel(node.in_shapes[0]))


def _number(number: float) -> Rule:
    return lambda node: number


_EXACT, _ONE, _FEW = _number(0.0), _number(1.0), _number(8.0)

TERMS: Mapping[type[Op], Rule] = {
    **dict.fromkeys((ops.Conv, ops.Deconv, ops.Fc, ops.Rbf), _sum),
    **dict.fromkeys((ops.AvgPool, ops.Subsample), _window),
    **dict.fromkeys((ops.Gap, ops.Gn, ops.Ln, ops.Softmax), _all),
    ops.Lrn: lambda node: node.op.size + 8.0,  # type: ignore[attr-defined]
    ops.Bn: _number(4.0),
    **dict.fromkeys((ops.Add, ops.Mul), lambda node: float(len(node.inputs))),
    **dict.fromkeys((ops.Scale, ops.LeakyRelu, ops.PRelu), _ONE),
    **dict.fromkeys((ops.Affine, ops.Upsample), _number(4.0)),
    **dict.fromkeys((ops.Elu, ops.Tanh, ops.ScaledTanh, ops.Sigmoid, ops.Silu, ops.Gelu, ops.HardSwish, ops.HardSigmoid), _FEW),
    **dict.fromkeys((ops.Input, ops.MaxPool, ops.Relu, ops.Relu6, ops.Dropout, ops.DropPath, ops.Concat, ops.Flatten,
                     ops.Slice, ops.Shuffle, ops.Pad, ops.Identity), _EXACT),
}  # fmt: skip
"""n: how many terms go into one number of the output. One row for each of `ops.GRAPH_OPS`; functions such as exp count as
a series of eight."""

ABSOLUTE: frozenset[type[Op]] = frozenset({ops.Sigmoid, ops.HardSigmoid, ops.Elu})
"""Computed as a difference from, or a fraction of, 1: their error does not shrink with their result."""
OF_INPUT: frozenset[type[Op]] = frozenset({ops.Silu, ops.Gelu, ops.HardSwish})
"""Their input times such a function: the error is one of the input."""
