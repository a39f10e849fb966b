"""Weights with fewer axes than the network: filters for images become filters for volumes.

Carreira and Zisserman 2017 (I3D), arXiv 1705.07750, section 2.2: a filter is repeated along the new axis and divided by
its size there, so that the response to a volume of equal slices is the response to one slice (`mean`). Or it is the
middle slice of a filter of zeros (`centre`), so that each slice is filtered alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from math import prod
from typing import Literal, TypeAlias

import numpy as np

from archdsl.axes import axes_of
from archdsl.backends.weights.tensors import Array, TensorEntry
from archdsl.graph import Graph, Tensor

Inflate: TypeAlias = Literal["mean", "centre"]


def new_axes(tensor: Tensor, shape: tuple[int, ...]) -> slice | None:
    """Return the place of the axes that a tensor of `shape` lacks: the first ones of the filter.

    None: the tensor differs in another way.
    """
    want, (first, *_) = tensor.param.shape, tensor.node.in_shapes
    new = slice(len(want) - axes_of(first), len(want) - axes_of(first) + len(want) - len(shape))
    fits = 0 < new.start < new.stop < len(want) and shape == want[: new.start] + want[new.stop :]
    return new if fits else None


def inflated(entries: Mapping[str, TensorEntry], graph: Graph, how: Inflate) -> tuple[Mapping[str, TensorEntry], int]:
    """Return the entries with those of filters that lack axes inflated, and the number of these."""
    out, count = dict(entries), 0
    for tensor in graph.tensors:
        entry = entries.get(tensor.key)
        new = new_axes(tensor, entry.shape) if entry is not None else None
        if entry and new:
            shape = tensor.param.shape
            out[tensor.key] = TensorEntry(shape, entry.dtype, partial(_inflate, entry, shape, new, how))
            count += 1
    return out, count


def _inflate(entry: TensorEntry, shape: tuple[int, ...], new: slice, how: Inflate) -> Array:
    values = np.expand_dims(entry.make(), tuple(range(new.start, new.stop)))
    if how == "mean":
        return np.ascontiguousarray(np.broadcast_to(values / np.float32(prod(shape[new])), shape))
    out = np.zeros(shape, values.dtype)
    middle = [slice(size // 2, size // 2 + 1) for size in shape[new]]
    out[(*[slice(None)] * new.start, *middle)] = values
    return out
