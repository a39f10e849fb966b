"""Functions of the ATen ops that pool, reduce and resize."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import prod
from typing import Any

import numpy as np

from archdsl.axes import KINDS
from archdsl.frontends.aten.layers import COUNTS, per_axis
from archdsl.frontends.aten.translation import BATCH, Lazy, Translation
from archdsl.frontends.state import Unsupported


def _spatial(t: Translation, x: Any, axes: int) -> tuple[int, ...]:
    shape = t.shape(x)
    if len(shape) != axes + 2 or shape[0] != BATCH:
        raise Unsupported("its input has no batch, or other axes")
    return shape[2:]


def max_pool(axes: int) -> Callable[..., str]:
    def rule(
        t: Translation, input: Any, kernel_size: Any, stride: Any = (), padding: Any = 0, dilation: Any = 1,
        ceil_mode: bool = False,
    ) -> str:  # fmt: skip
        _spatial(t, input, axes)
        return t.emit(
            "MaxPool",
            t.value(input),
            kernel_shape=per_axis(kernel_size, axes),
            strides=per_axis(stride or kernel_size, axes),
            pads=per_axis(padding, axes) * 2,
            dilations=per_axis(dilation, axes),
            ceil_mode=int(ceil_mode),
        )

    return rule


def avg_pool(axes: int) -> Callable[..., str]:
    def rule(
        t: Translation, input: Any, kernel_size: Any, stride: Any = (), padding: Any = 0, ceil_mode: bool = False,
        count_include_pad: bool = True, divisor_override: int | None = None,
    ) -> str:  # fmt: skip
        _spatial(t, input, axes)
        kernel = per_axis(kernel_size, axes)
        if divisor_override is not None and ceil_mode:
            raise Unsupported("it has a divisor of its own, and windows beyond its input (ceil_mode)")
        pooled = t.emit(
            "AveragePool",
            t.value(input),
            kernel_shape=kernel,
            strides=per_axis(stride or kernel_size, axes),
            pads=per_axis(padding, axes) * 2,
            ceil_mode=int(ceil_mode),
            count_include_pad=int(count_include_pad or divisor_override is not None),
        )
        if divisor_override is None or divisor_override == prod(kernel):
            return pooled
        return t.emit("Mul", pooled, t.array(prod(kernel) / divisor_override, np.float32))

    return rule


def adaptive(axes: int) -> Callable[..., str]:
    def rule(t: Translation, input: Any, output_size: Any) -> str:
        _spatial(t, input, axes)
        after = t.shape(t.node)[2:]
        if set(after) == {1}:
            return t.emit("GlobalAveragePool", t.value(input))
        return t.emit("aten.AdaptiveAvgPool", t.value(input), kernel_shape=after)

    return rule


def adaptive_max(axes: int) -> Callable[..., tuple[str, ...]]:
    def rule(t: Translation, input: Any, output_size: Any) -> tuple[str, ...]:
        _spatial(t, input, axes)
        _check_indices(t)
        if set(per_axis(output_size, axes)) != {1}:
            raise Unsupported("a spec has adaptive max pools to one pixel only")
        return (t.emit("GlobalMaxPool", t.value(input)), "")

    return rule


def _check_indices(t: Translation) -> None:
    if any(user.args[1] != 0 and user.users for user in t.node.users):
        raise Unsupported("another node reads its indices")


# --- reductions ------------------------------------------------------------------------------------------------


def _source_axes(before: tuple[int, ...], after: tuple[int, ...], axes: set[int]) -> frozenset[int] | None:
    """The axes of a tensor of shape `before` that `axes` of its reshape to `after` consist of; None if there are none
    such. Axes of size 1 belong to the axis before them."""
    result: set[int] = set()
    n = m = 0
    while n < len(before) or m < len(after):
        left, right = [n] if n < len(before) else [], [m] if m < len(after) else []
        while prod(before[i] for i in left) != prod(after[i] for i in right) or not left or not right:
            smaller = prod(before[i] for i in left) < prod(after[i] for i in right)
            if (smaller or not left) and n + len(left) < len(before):
                left.append(n + len(left))
            elif m + len(right) < len(after):
                right.append(m + len(right))
            else:
                break
        reduced = {i in axes for i in right if after[i] != 1}
        if len(reduced) > 1:
            return None
        if reduced == {True} or (not reduced and axes.intersection(right)):
            result.update(left)
        n, m = n + max(len(left), 1), m + max(len(right), 1)
    return frozenset(result)


def reduction(op_type: str) -> Callable[..., Lazy]:
    def rule(t: Translation, self: Any, dim: Any = None, keepdim: bool = False, *, dtype: Any = None) -> Lazy:
        shape = t.shape(self)
        dims = range(len(shape)) if dim is None or dim == [] else per_axis(dim, 1)
        axes = {axis % len(shape) for axis in dims}
        if 0 in axes:
            raise Unsupported("it reduces the batch")
        before = t.view(self)
        if before.reduction and before.reduction != op_type:
            before = Lazy(t.value(self), shape)
        same = before.reduced == shape
        source = frozenset(axes) if same else _source_axes(before.reduced, shape, axes)
        if source is None:
            before, source = Lazy(t.value(self), shape), frozenset(axes)
        return Lazy(before.source, before.shape, op_type, before.axes | source)

    return rule


def norm(t: Translation, self: Any, ord: Any = 2, dim: Any = None, keepdim: bool = False, *, dtype: Any = None) -> Lazy:
    if ord != 2:
        raise Unsupported(f"it is the norm of order {ord}, not 2")
    return reduction("ReduceL2")(t, self, dim, keepdim)


def max_dim(t: Translation, self: Any, dim: int, keepdim: bool = False) -> tuple[str, ...]:
    _check_indices(t)
    lazy = reduction("ReduceMax")(t, self, dim, keepdim)
    value = t.node.meta["val"][0]
    return (t.materialise(lazy, tuple(value.shape)), "")


# --- resizes ---------------------------------------------------------------------------------------------------

_CENTRES = {True: "align_corners", False: "pytorch_half_pixel"}


def resize(mode: str, **fixed: str) -> Callable[..., str]:
    """`mode` is ONNX's. Some ATen ops have the argument `align_corners` between size and scales."""

    def rule(t: Translation, input: Any, output_size: Any, *rest: Any) -> str:
        before, after = t.shape(input), t.shape(t.node)
        scales = [scale for one in rest if not isinstance(one, bool) and one is not None for scale in per_axis(one, 1)]
        exact = zip(before[2:], scales, after[2:], strict=False)
        if output_size is None and any(abs(size * scale - new) > 1e-6 * new for size, scale, new in exact):
            raise Unsupported("its scales do not give whole sizes")
        attributes: dict[str, Any] = dict(fixed)
        if mode != "nearest":
            attributes["coordinate_transformation_mode"] = _CENTRES[bool(rest[0])]
        return t.emit("Resize", t.value(input), "", "", t.array((1, *after[1:])), mode=mode, **attributes)

    return rule


_NEAREST = {"coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
_NEAREST_EXACT = {"coordinate_transformation_mode": "half_pixel", "nearest_mode": "round_prefer_ceil"}

TABLE: Mapping[str, Any] = {
    **{f"max_pool{n}d": max_pool(n) for n in COUNTS},
    **{f"avg_pool{n}d": avg_pool(n) for n in COUNTS},
    **{f"adaptive_avg_pool{n}d": adaptive(n) for n in COUNTS},
    **{f"adaptive_max_pool{n}d": adaptive_max(n) for n in COUNTS},
    "mean": reduction("ReduceMean"),
    "sum": reduction("ReduceSum"),
    "amax": reduction("ReduceMax"),
    "max.dim": max_dim,
    "linalg_vector_norm": norm,
    "norm.ScalarOpt_dim": norm,
    **{f"upsample_nearest{n}d": resize("nearest", **_NEAREST) for n in COUNTS},
    **{f"_upsample_nearest_exact{n}d": resize("nearest", **_NEAREST_EXACT) for n in COUNTS},
    **{f"upsample_{KINDS[n].linear}{n}d": resize("linear") for n in COUNTS},
    **{f"upsample_bicubic{n}d": resize("cubic") for n in COUNTS},
}
