"""Functions of the ATen ops that move values: reshapes, transposes, slices, concatenations, pads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from archdsl.frontends.aten.translation import BATCH, Lazy, Translation
from archdsl.frontends.aten.values import identity
from archdsl.frontends.state import Unsupported


def view(t: Translation, self: Any, *arguments: Any, **options: Any) -> Lazy:
    """Any reshape: the shape of its output is known."""
    return t.view(self)


def transposed(t: Translation, self: Any, order: Sequence[int]) -> str | Lazy:
    """A transpose; one that moves axes of size 1 alone is a reshape."""
    shape = t.shape(self)
    order = [axis % len(shape) for axis in order]
    rank = len(shape)
    larger = [axis for axis in order if shape[axis] != 1]
    channels_last = shape[3:] and order in ([0, *range(2, rank), 1], [0, rank - 1, *range(1, rank - 1)])
    if larger == sorted(larger) and not channels_last:
        return t.view(self)
    if order[0] != 0:
        raise Unsupported("it moves the batch")
    return t.emit("Transpose", t.value(self), perm=tuple(order))


def permute(t: Translation, self: Any, dims: Sequence[int]) -> str | Lazy:
    return transposed(t, self, dims)


def transpose(t: Translation, self: Any, dim0: int, dim1: int) -> str | Lazy:
    order = list(range(len(t.shape(self))))
    order[dim0], order[dim1] = order[dim1], order[dim0]
    return transposed(t, self, order)


def movedim(t: Translation, self: Any, source: Any, destination: Any) -> str | Lazy:
    if not isinstance(source, int) or not isinstance(destination, int):
        raise Unsupported("it moves several axes")
    rank = len(t.shape(self))
    order = [axis for axis in range(rank) if axis != source % rank]
    order.insert(destination % rank, source % rank)
    return transposed(t, self, order)


def expand(t: Translation, self: Any, *arguments: Any, **options: Any) -> str:
    after = t.shape(t.node)
    if t.shape(self) == after:
        return t.value(self)
    return t.emit("Expand", t.value(self), t.array((1, *after[1:])))


# --- parts -----------------------------------------------------------------------------------------------------


def cropped(t: Translation, x: Any, axis: int, start: int, end: int, step: int = 1) -> str:
    """A slice of the channels, or of a spatial axis, which is a crop, and with a step a pool of single pixels."""
    shape = t.shape(x)
    axis %= len(shape)
    start, end, _ = slice(start, end).indices(shape[axis])
    name = t.value(x)
    if (start, end, step) == (0, shape[axis], 1):
        return name
    if axis == 0:
        raise Unsupported("it slices the batch")
    if axis == 1:
        return t.emit("Slice", name, *(t.array([n]) for n in (start, end, axis, step)))
    pads = [0] * (2 * len(shape))
    pads[axis], pads[axis + len(shape)] = -start, end - shape[axis]
    if any(pads):
        name = t.emit("Pad", name, t.array(pads), mode="constant")
    if step > 1:
        axes = len(shape) - 2
        steps = tuple(step if n == axis - 2 else 1 for n in range(axes))
        name = t.emit("MaxPool", name, kernel_shape=(1,) * axes, strides=steps)
    return name


def slice_(
    t: Translation, self: Any, dim: int = 0, start: int | None = None, end: int | None = None, step: int = 1
) -> str:
    size = t.shape(self)[dim]
    return cropped(t, self, dim, start or 0, size if end is None else end, step)


def narrow(t: Translation, self: Any, dim: int, start: int, length: int) -> str:
    return cropped(t, self, dim, start, start + length)


def select(t: Translation, self: Any, dim: int, index: int) -> Lazy:
    shape = list(t.shape(self))
    index %= shape[dim]
    name = cropped(t, self, dim, index, index + 1)
    shape[dim] = 1
    return Lazy(name, tuple(shape))


def split(t: Translation, self: Any, sizes: Any = None, dim: int = 0, **options: Any) -> str | tuple[str, ...]:
    """Any split: the sizes of its parts are known."""
    rank = len(t.shape(self))
    parts = [int(part.shape[dim]) for part in t.node.meta["val"]]
    if len(parts) == 1:
        return (t.value(self),)
    if dim % rank == 0:
        raise Unsupported("it splits the batch")
    first = t.emit("Split", t.value(self), t.array(parts), outputs=len(parts), axis=dim % rank)
    return (first, *(f"{first}.{n}" for n in range(1, len(parts))))


def cat(t: Translation, tensors: Sequence[Any], dim: int = 0) -> str:
    rank = len(t.shape(t.node))
    if dim % rank == 0:
        raise Unsupported("it concatenates batches")
    return t.emit("Concat", *map(t.value, tensors), axis=dim % rank)


# --- pixels ----------------------------------------------------------------------------------------------------


def pad(t: Translation, self: Any, pad: Sequence[int], mode: str = "constant", value: float | None = None) -> str:
    rank = len(t.shape(self))
    begins, ends = [0] * rank, [0] * rank
    for n in range(len(pad) // 2):  # the last axis comes first
        begins[rank - 1 - n], ends[rank - 1 - n] = pad[2 * n : 2 * n + 2]
    if not any((*begins, *ends)):
        return t.value(self)
    names = {"replicate": "edge", "circular": "wrap"}
    constant = (t.array(value or 0.0, np.float32),) if mode == "constant" else ()
    return t.emit("Pad", t.value(self), t.array([*begins, *ends]), *constant, mode=names.get(mode, mode))


def constant_pad(t: Translation, self: Any, pad_: Sequence[int], value: float = 0.0) -> str:
    return pad(t, self, pad_, "constant", value)


def moved(t: Translation, name: str, apart: tuple[int, ...], order: tuple[int, ...], after: tuple[int, ...]) -> str:
    """A Reshape, a Transpose and a Reshape."""
    return t.reshape(t.emit("Transpose", t.reshape(name, apart), perm=order), after)


def pixel_shuffle(t: Translation, self: Any, upscale_factor: int) -> str:
    return t.emit("DepthToSpace", t.value(self), blocksize=upscale_factor, mode="CRD")


def pixel_unshuffle(t: Translation, self: Any, downscale_factor: int) -> str:
    r, (_, channels, height, width) = downscale_factor, t.shape(self)
    apart = (BATCH, channels, height // r, r, width // r, r)
    return moved(t, t.value(self), apart, (0, 1, 3, 5, 2, 4), t.shape(t.node))


def channel_shuffle(t: Translation, self: Any, groups: int) -> str:
    _, channels, *sizes = t.shape(self)
    apart = (BATCH, groups, channels // groups, *sizes)
    return moved(t, t.value(self), apart, (0, 2, 1, *range(3, len(apart))), t.shape(self))


_RESHAPES = ("view", "reshape", "flatten", "unflatten", "squeeze", "unsqueeze", "view_as", "reshape_as", "_unsafe_view")

TABLE: Mapping[str, Any] = {
    **dict.fromkeys(_RESHAPES, view),
    "permute": permute,
    "transpose": transpose,
    "movedim": movedim,
    **dict.fromkeys(("expand", "expand_as"), expand),
    "slice": slice_,
    "narrow": narrow,
    "select": select,
    **dict.fromkeys(("chunk", "split", "split_with_sizes", "tensor_split"), split),
    **dict.fromkeys(("cat", "concat", "concatenate"), cat),
    "pad": pad,
    "constant_pad_nd": constant_pad,
    "pixel_shuffle": pixel_shuffle,
    "pixel_unshuffle": pixel_unshuffle,
    **dict.fromkeys(("channel_shuffle", "native_channel_shuffle"), channel_shuffle),
}

VIEWS = frozenset((view, permute, transpose, movedim, expand, slice_, narrow, select, split, identity))
"""Functions of ops whose output can share the memory of their first argument."""
