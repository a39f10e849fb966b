"""Weights with fewer axes than the network: filters for images become filters for volumes.

Carreira and Zisserman 2017 (I3D), arXiv 1705.07750, section 2.2: the response to a volume of equal slices is the
response to one slice, away from the border. With `mean`, a filter is repeated along the new axis, and each copy is
divided by the number of copies that meet in an output slice. With `centre`, just one copy reaches each output slice,
and the others are zeros.

In a convolution all copies meet. In a `deconv` of stride s and dilation d, copy t reaches the output slices n with
`n = t*d` modulo s, its phase: copies of one phase meet, and a phase without a copy cannot be inflated.
A `subsample` adds its window: its coefficient is divided by the size of the window along the new axis.
Standardized filters of more than one slice cannot be inflated: copies would be standardized together.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from functools import partial, reduce
from math import prod
from typing import Literal, TypeAlias

import numpy as np

from archdsl.axes import axes_of
from archdsl.backends.weights.tensors import Array, TensorEntry
from archdsl.diagnostics import ArchError, error
from archdsl.graph import Graph, Tensor
from archdsl.ops.conv import Conv, Deconv
from archdsl.ops.pool import Subsample

Inflate: TypeAlias = Literal["mean", "centre"]


def new_axes(tensor: Tensor, shape: tuple[int, ...]) -> slice | None:
    """Return the place of the axes that a tensor of `shape` lacks: the first ones of the filter.

    None: the tensor differs in another way.
    """
    want, (first, *_) = tensor.param.shape, tensor.node.in_shapes
    new = slice(len(want) - axes_of(first), len(want) - axes_of(first) + len(want) - len(shape))
    fits = 0 < new.start < new.stop < len(want) and shape == want[: new.start] + want[new.stop :]
    return new if fits else None


def inflated(
    entries: Mapping[str, TensorEntry], graph: Graph, how: Inflate, fresh: Collection[str]
) -> tuple[dict[str, TensorEntry], int]:
    """Return the entries with those of filters that lack axes inflated, and the number of these.

    Tensors of `fresh` stay as they are. Raises E0603 for a `deconv` with output slices that no copy reaches, and for
    standardized filters.
    """
    out, count, lacking = dict(entries), 0, 0
    sparse: list[Tensor] = []
    standardized: list[Tensor] = []
    for tensor in graph.tensors:
        entry = entries.get(tensor.key)
        new = new_axes(tensor, entry.shape) if entry is not None else None
        if entry is None or new is None:
            continue
        lacking = new.stop - new.start
        if tensor.key in fresh:
            continue
        op = tensor.node.op
        if isinstance(op, Conv) and op.standardize is not None and prod(tensor.param.shape[new]) > 1:
            standardized.append(tensor)
            continue
        divisors = [_divisors(tensor, axis, size, how) for axis, size in enumerate(tensor.param.shape[new])]
        if not all(divisors):
            sparse.append(tensor)
            continue
        make = partial(_inflate, entry, tensor.param.shape, new, divisors)
        out[tensor.key] = TensorEntry(tensor.param.shape, entry.dtype, make)
        count += 1
    if sparse or standardized:
        raise _sparse(graph, sparse) if sparse else _standardized(graph, standardized)
    for tensor in graph.tensors if lacking else ():
        op, key = tensor.node.op, tensor.key
        if isinstance(op, Subsample) and tensor.param.name == "weight" and key in out and key not in fresh:
            out[key] = _divided(out[key], prod(op.kernel[:lacking]))
            count += 1
    return out, count


def _divisors(tensor: Tensor, axis: int, size: int, how: Inflate) -> list[int]:
    """The divisor of each of `size` copies along a new axis, 0 for zeros; empty if a phase has no copy."""
    op = tensor.node.op
    stride, dilation = (op.stride[axis], op.dilation[axis]) if isinstance(op, Deconv) else (1, 1)
    phases = [copy * dilation % stride for copy in range(size)]
    meeting = Counter(phases)
    if len(meeting) < stride:
        return []
    if how == "mean":
        return [meeting[phase] for phase in phases]
    begin = (size - stride + 1) // 2  # as many copies in the middle as there are phases; of an even size the later one
    return [int(begin <= copy < begin + stride) for copy in range(size)]


def _inflate(entry: TensorEntry, shape: tuple[int, ...], new: slice, divisors: list[list[int]]) -> Array:
    values = np.expand_dims(entry.make(), tuple(range(new.start, new.stop)))
    by = reduce(np.multiply.outer, [np.array(of_axis, np.float32) for of_axis in divisors])
    by = by.reshape(*by.shape, *[1] * (len(shape) - new.stop))
    out = np.zeros(shape, values.dtype)
    np.divide(values, by, out=out, where=by > 0)
    return out


def _divided(entry: TensorEntry, by: int) -> TensorEntry:
    return TensorEntry(entry.shape, entry.dtype, lambda: np.divide(entry.make(), np.float32(by)))


def _sparse(graph: Graph, tensors: list[Tensor]) -> ArchError:
    rows = []
    for tensor in tensors:
        op = tensor.node.op
        assert isinstance(op, Deconv)
        window, stride, dilation = ("x".join(map(str, field)) for field in (op.kernel, op.stride, op.dilation))
        rows.append(f"{tensor.key}  {window}, stride {stride}, dilation {dilation}")
    why = "they reach only some of the output slices along the new axis"
    return _refusal(
        graph, why, rows, "make the `deconv` window at least as large as its stride, or initialise it", tensors
    )


def _standardized(graph: Graph, tensors: list[Tensor]) -> ArchError:
    why = "their copies would be standardized together, which changes the response to equal slices"
    return _refusal(graph, why, [tensor.key for tensor in tensors], "initialise them", tensors)


def _refusal(graph: Graph, why: str, rows: list[str], help_: str, tensors: list[Tensor]) -> ArchError:
    more = [f"... and {len(rows) - 10:,} more"] if len(rows) > 10 else []
    options = " ".join(f"--reinit '{tensor.node.path}.*'" for tensor in tensors[:3])
    return error(
        "E0603",
        f"filters of `{graph.name}` cannot be inflated: {why}",
        notes=("\n".join(rows[:10] + more),),
        help=f"{help_}: `{options}`",
    )
